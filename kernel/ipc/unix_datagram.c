/* SPDX-License-Identifier: MIT */
/*
 * Datagram and seqpacket sockets: messages that are received whole, or cut.
 *
 * A receiver's queue is bounded twice: by what each sender may have in flight, and, for senders that it
 * is not connected to itself, by its length. Who sends into a full queue sleeps on the receiver's
 * room_wait; who polls for room stands in the receiver's list of blocked senders instead, for it
 * polls queues of its own socket only.
 */
#include "socket.h"
#include <vellum/alloc.h>
#include <vellum/process.h>

static DEFINE_SPINLOCK(blocked_lock); /* all lists of blocked senders */

/* ---- room in the receiver's queue ----------------------------------------------------------------------- */

static bool has_room(const struct unix_socket *s, const struct unix_socket *peer)
{
    return READ_ONCE(peer->peer) == s || READ_ONCE(peer->queued) <= READ_ONCE(peer->backlog) ||
           READ_ONCE(peer->shutdown);
}

bool unix_datagram_room(struct unix_socket *s, struct unix_socket *peer, bool register_it)
{
    if (likely(has_room(s, peer)))
        return true;
    if (!register_it)
        return false;
    spin_lock(&blocked_lock);
    if (!s->blocked_on) {
        unix_get(peer);
        s->blocked_on = peer;
        list_add_tail(&s->blocked_link, &peer->blocked);
    }
    spin_unlock(&blocked_lock);
    smp_fence();
    return has_room(s, peer); /* it may have been made before we were in the list */
}

void unix_blocked_forget(struct unix_socket *s)
{
    struct unix_socket *on;

    spin_lock(&blocked_lock);
    on = s->blocked_on;
    if (on) {
        s->blocked_on = NULL;
        list_del_init(&s->blocked_link);
    }
    spin_unlock(&blocked_lock);
    if (on)
        unix_put(on);
}

void unix_room_made(struct unix_socket *s)
{
    struct unix_socket *sender, *next;
    unsigned n = 0;

    if (wait_queue_active(&s->room_wait))
        wake_up(&s->room_wait, ~0u, EPOLLOUT | EPOLLWRNORM);
    if (likely(list_empty(&s->blocked)))
        return;
    spin_lock(&blocked_lock);
    list_for_each_entry_safe(sender, next, &s->blocked, blocked_link) {
        list_del_init(&sender->blocked_link);
        sender->blocked_on = NULL;
        n++;
        if (wait_queue_active(&sender->write_wait))
            wake_up(&sender->write_wait, ~0u, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND);
    }
    spin_unlock(&blocked_lock);
    while (n--)
        unix_put(s);
}

/* ---- connecting ------------------------------------------------------------------------------------------ */

/* Another peer, or none: what the old one has sent is dropped, and it is told if it was ours alone. */
static void replace_peer(struct unix_socket *s, struct unix_socket *peer)
{
    struct list messages = LIST_INIT(messages);
    struct unix_socket *old;
    bool told = false;

    mutex_lock(&s->reading); /* a receiver may be copying from one of the messages */
    spin_lock(&s->lock);
    old = s->peer;
    s->peer = peer;
    if (old && old != peer) {
        list_splice_tail_init(&s->queue, &messages);
        s->queued = s->bytes = 0;
    }
    spin_unlock(&s->lock);
    mutex_unlock(&s->reading);
    if (old && old != peer && !list_empty(&messages)) {
        spin_lock(&old->lock);
        told = old->peer == s && !old->dead;
        if (told)
            old->error = ECONNRESET;
        spin_unlock(&old->lock);
        if (told)
            unix_wake_all(old, EPOLLERR);
    }
    unix_blocked_forget(s);
    if (old)
        unix_put(old);
    unix_messages_discard(&messages);
    unix_room_made(s);
}

int unix_datagram_connect(struct unix_socket *s, const struct sockaddr_un *name, unsigned length)
{
    struct unix_socket *peer;
    int error = 0;

    if (name->sun_family == AF_UNSPEC) {
        replace_peer(s, NULL);
        return 0;
    }
    if (s->pass_credentials && !s->address)
        error = unix_autobind(s);
    if (error)
        return error;
    peer = unix_find(name, length, s->type);
    if (is_err(peer))
        return ptr_err(peer);
    if (READ_ONCE(peer->peer) && peer->peer != s) {
        unix_put(peer);
        return -EPERM;
    }
    replace_peer(s, peer);
    return 0;
}

/* ---- sending ------------------------------------------------------------------------------------------------ */

/* Where the message goes, with a reference; err_ptr. */
static struct unix_socket *destination(struct unix_socket *s, struct unix_send *send)
{
    struct unix_socket *peer;
    int error;

    if (s->type == SOCK_SEQPACKET) {
        error = unix_take_error(s);
        if (error)
            return err_ptr(-error);
        if (READ_ONCE(s->state) != UNIX_CONNECTED)
            return err_ptr(-ENOTCONN);
    } else if (send->to) {
        return unix_find(send->to, send->to_length, s->type);
    }
    peer = unix_peer(s);
    return peer ? peer : err_ptr(-ENOTCONN);
}

/* One try. -EAGAIN: the queue is full; it has not been registered for that. */
static int try_deliver(struct unix_socket *s, struct unix_socket *peer, struct unix_message *m)
{
    int error = 0;

    spin_lock(&peer->lock);
    if (peer->dead) {
        error = s->type == SOCK_SEQPACKET ? -EPIPE : -ECONNREFUSED;
    } else if (peer->peer && peer->peer != s) {
        error = -EPERM;
    } else if (peer->shutdown & RECEIVE_SHUT) {
        error = -EPIPE;
    } else if (peer->peer != s && peer->queued > peer->backlog) {
        error = -EAGAIN;
    } else {
        list_add_tail(&m->link, &peer->queue);
        peer->queued++;
        peer->bytes += m->length;
        WRITE_ONCE(peer->arrived, peer->arrived + 1);
    }
    spin_unlock(&peer->lock);
    return error;
}

static int deliver(struct unix_socket *s, struct unix_socket *peer, struct unix_message *m,
                   unsigned flags)
{
    ktime_t deadline = wait_deadline(s->send_timeout);
    int error;

    while ((error = try_deliver(s, peer, m)) == -EAGAIN) {
        if (flags & MSG_DONTWAIT)
            return -EAGAIN;
        error = wait_event_state(&peer->room_wait, has_room(s, peer) || READ_ONCE(peer->dead),
                                 TASK_INTERRUPTIBLE, deadline, false);
        if (error)
            return wait_result(error, s->send_timeout);
    }
    if (!error)
        wake_up_poll(&peer->read_wait, EPOLLIN | EPOLLRDNORM | EPOLLRDBAND);
    return error;
}

/* The peer is gone: a datagram socket can have another one. */
static void forget_dead(struct unix_socket *s, struct unix_socket *peer)
{
    bool ours;

    spin_lock(&s->lock);
    ours = s->type == SOCK_DGRAM && s->peer == peer;
    if (ours)
        s->peer = NULL;
    spin_unlock(&s->lock);
    if (ours)
        unix_put(peer);
}

static int send_to(struct unix_socket *s, struct unix_socket *peer, struct unix_send *send)
{
    struct list list = LIST_INIT(list);
    struct unix_message *m = unix_message_make(s, send, send->iter->count);
    int error;

    if (is_err(m))
        return ptr_err(m);
    if (send->rights) {
        unix_rights_sent(send->rights);
        m->rights = send->rights;
        send->rights = NULL;
    }
    error = deliver(s, peer, m, send->flags);
    if (!error)
        return 0;
    if (error == -ECONNREFUSED)
        forget_dead(s, peer);
    list_add(&m->link, &list);
    unix_messages_discard(&list);
    return error;
}

ssize_t unix_datagram_send(struct unix_socket *s, struct unix_send *send)
{
    size_t n = send->iter->count;
    struct unix_socket *peer;
    int error = 0;

    if (send->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (s->pass_credentials && !s->address)
        error = unix_autobind(s);
    if (error)
        return error;
    peer = destination(s, send);
    if (is_err(peer))
        return ptr_err(peer);
    if (n > s->send_limit - 32)
        error = -EMSGSIZE;
    else if (s->shutdown & SEND_SHUT)
        error = -EPIPE;
    else
        error = send_to(s, peer, send);
    unix_put(peer);
    return error ? error : (ssize_t)n;
}

/* ---- receiving ------------------------------------------------------------------------------------------------ */

/* The message that byte *skip of the queue lies in, and then *skip is where in it: SO_PEEK_OFF. */
static struct unix_message *find_message(struct unix_socket *s, size_t *skip)
{
    struct unix_message *m;

    list_for_each_entry(m, &s->queue, link) {
        if (likely(!*skip || *skip < m->length))
            return m;
        *skip -= m->length;
    }
    return NULL;
}

/* => s->reading. The message, still in the queue; err_ptr(0): the end */
static struct unix_message *await_message(struct unix_socket *s, unsigned flags, size_t *skip)
{
    struct unix_message *m;
    ktime_t deadline = 0;
    u32 seen;
    int r;

    for (;;) {
        *skip = flags & MSG_PEEK ? max(s->peek_offset, 0) : 0;
        spin_lock(&s->lock);
        m = find_message(s, skip);
        seen = s->arrived;
        spin_unlock(&s->lock);
        if (m)
            return m;
        r = unix_await_message(s, flags, flags & MSG_PEEK ? &seen : NULL, &deadline);
        if (r == 0)
            return s->type == SOCK_DGRAM && (flags & MSG_DONTWAIT) ? err_ptr(-EAGAIN) : NULL;
        if (r < 0)
            return err_ptr(r);
    }
}

static void take_off(struct unix_socket *s, struct unix_message *m)
{
    bool was_full;

    spin_lock(&s->lock);
    list_del(&m->link);
    was_full = s->queued > s->backlog;
    s->queued--;
    s->bytes -= m->length;
    spin_unlock(&s->lock);
    unix_message_free(m);
    if (was_full)
        unix_room_made(s);
}

ssize_t unix_datagram_receive(struct unix_socket *s, struct unix_receive *r)
{
    struct unix_message *m;
    ssize_t result;
    size_t n, skip;

    if (r->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (s->type == SOCK_SEQPACKET && READ_ONCE(s->state) != UNIX_CONNECTED)
        return -ENOTCONN;
    mutex_lock(&s->reading);
    m = await_message(s, r->flags, &skip);
    if (is_err(m) || !m) {
        mutex_unlock(&s->reading);
        return ptr_err(m);
    }
    n = min_t(size_t, r->iter->count, m->length - skip);
    result = copy_to_iter(r->iter, m->data + skip, n) == n ? (ssize_t)n : -EFAULT;
    if (result >= 0)
        unix_peeked(s, r->flags & MSG_PEEK ? result : -(ssize_t)m->length);
    if (n < m->length - skip) {
        r->out_flags |= MSG_TRUNC;
        if ((r->flags & MSG_TRUNC) && result >= 0)
            result = m->length - skip;
    }
    if (result < 0)
        r->control = false;
    unix_receive_control(s, m, r);
    if (!(r->flags & MSG_PEEK))
        take_off(s, m);
    mutex_unlock(&s->reading);
    if (!list_empty(&s->queue) && wait_queue_active(&s->read_wait))
        wake_up_poll(&s->read_wait, EPOLLIN | EPOLLRDNORM);
    return result;
}
