/* SPDX-License-Identifier: MIT */
/*
 * Stream sockets, and what they share with the others: messages, and waiting for them.
 *
 * A stream is a queue of messages too, each at most eight pages, of which a reader takes as many bytes
 * as it wants. What was sent with a message (files, credentials) belongs to its bytes: a read ends
 * after bytes with files, and when credentials are asked for, before those of another sender.
 *
 * A byte sent with MSG_OOB is a message of its own, and marks its place in the stream: a read ends before
 * it, and the next one passes over it. MSG_OOB takes it out of turn; its message stays, empty, as the
 * mark. When a second one comes the first is an ordinary byte again.
 */
#include "socket.h"
#include <vellum/alloc.h>
#include <vellum/process.h>

#define PIECE_ORDER 3
#define PIECE_MAX   (PAGE_SIZE << PIECE_ORDER)
#define OVERHEAD    256 /* charged for a message besides its bytes */

/* ---- messages ------------------------------------------------------------------------------------------------ */

bool unix_writable(const struct unix_socket *s)
{
    return s->state != UNIX_LISTENING && (u64)atomic_read(&s->charged) * 4 <= s->send_limit;
}

static bool may_send(const struct unix_socket *s)
{
    return (u32)atomic_read(&s->charged) < READ_ONCE(s->send_limit) ||
           (READ_ONCE(s->shutdown) & SEND_SHUT) || READ_ONCE(s->error);
}

/* Wait until what s has sent is below its limit. *deadline: 0 the first time */
static __noinline int wait_sendable(struct unix_socket *s, unsigned flags, ktime_t *deadline)
{
    u64 timeout = s->send_timeout;

    WRITE_ONCE(s->short_of_room, 1);
    if (flags & MSG_DONTWAIT)
        return -EAGAIN;
    if (!*deadline)
        *deadline = wait_deadline(timeout);
    return wait_result(
        wait_event_state(&s->write_wait, may_send(s), TASK_INTERRUPTIBLE, *deadline, false),
        timeout);
}

/* Room for n bytes: after the header, or in pages of their own. */
static struct unix_message *message_alloc(size_t n)
{
    bool in_pages = n > KMALLOC_MAX - sizeof(struct unix_message) && n <= PIECE_MAX;
    struct unix_message *m = kmalloc(sizeof(*m) + (in_pages ? 0 : n), ALLOC_KERNEL);

    if (unlikely(!m))
        return NULL;
    m->pages = NULL;
    m->data = m->bytes;
    if (likely(!in_pages))
        return m;
    m->order = log2_ceil(DIV_ROUND_UP(n, PAGE_SIZE));
    m->pages = pages_alloc(m->order, ALLOC_KERNEL);
    if (likely(m->pages)) {
        m->data = page_to_virt(m->pages);
        return m;
    }
    kfree(m); /* memory is in pieces: then side by side in the kernel's addresses only */
    m = kmalloc(sizeof(*m) + n, ALLOC_KERNEL);
    if (m) {
        m->pages = NULL;
        m->data = m->bytes;
    }
    return m;
}

static void message_release(struct unix_message *m)
{
    if (unlikely(m->pages != NULL) && ref_put(&m->pages->refs))
        pages_free(m->pages, m->order);
    kfree(m);
}

struct unix_message *unix_message_make(struct unix_socket *s, struct unix_send *send, size_t n)
{
    struct unix_message *m;
    ktime_t deadline = 0;
    int error;

    while (unlikely((u32)atomic_read(&s->charged) >= s->send_limit)) {
        error = wait_sendable(s, send->flags, &deadline);
        if (!error)
            error = -unix_take_error(s);
        if (!error && (s->shutdown & SEND_SHUT))
            error = -EPIPE;
        if (error)
            return err_ptr(error);
    }
    m = message_alloc(n);
    if (unlikely(!m))
        return err_ptr(-ENOMEM);
    if (unlikely(copy_from_iter(send->iter, m->data, n) != n)) {
        message_release(m);
        return err_ptr(-EFAULT);
    }
    m->sender = s;
    unix_get(s);
    m->rights = NULL;
    m->cred = send->cred;
    m->length = n;
    m->taken = 0;
    m->urgent = false;
    m->charge = n + OVERHEAD;
    atomic_add(&s->charged, (int)m->charge);
    return m;
}

void unix_message_free(struct unix_message *m)
{
    struct unix_socket *s = m->sender;

    assert(!m->rights);
    if ((u64)atomic_add_return(&s->charged, -(int)m->charge) * 4 <= s->send_limit)
        if (unlikely(wait_queue_active(&s->write_wait)))
            wake_up(&s->write_wait, ~0u, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND);
    unix_put(s);
    message_release(m);
}

/* ---- waiting for one => s->reading, which is released meanwhile ------------------------------------------------- */

static bool readable(struct unix_socket *s)
{
    return !list_empty(&s->queue) || READ_ONCE(s->error) || (READ_ONCE(s->shutdown) & RECEIVE_SHUT);
}

/* Anything that was not there when the reader looked? */
static bool readable_more(struct unix_socket *s, u32 seen)
{
    return READ_ONCE(s->arrived) != seen || READ_ONCE(s->error) ||
           (READ_ONCE(s->shutdown) & RECEIVE_SHUT);
}

/* Sleep until there is something to find. */
static int wait_readable(struct unix_socket *s, unsigned flags, const u32 *seen, ktime_t *deadline)
{
    u64 timeout = s->receive_timeout;
    int r;

    if (flags & MSG_DONTWAIT)
        return -EAGAIN;
    if (!*deadline)
        *deadline = wait_deadline(timeout);
    mutex_unlock(&s->reading);
    r = wait_event_state(&s->read_wait, unlikely(seen) ? readable_more(s, *seen) : readable(s),
                         TASK_INTERRUPTIBLE, *deadline, !seen);
    if (unlikely(r) && !list_empty(&s->queue)) /* the wake-up that came with it is another's */
        wake_up_poll(&s->read_wait, EPOLLIN | EPOLLRDNORM);
    mutex_lock(&s->reading);
    return wait_result(r, timeout);
}

/* The queue, the error and the shutdown are looked at in one go under the lock: the peer may send his
 * last message and close between two looks, and the end must not be seen before that message. */
int unix_await_message(struct unix_socket *s, unsigned flags, const u32 *seen, ktime_t *deadline)
{
    bool empty, shut;
    int error = 0;

    spin_lock(&s->lock);
    empty = seen ? s->arrived == *seen : list_empty(&s->queue);
    shut = s->shutdown & RECEIVE_SHUT;
    if (empty)
        error = unix_take_error(s);
    spin_unlock(&s->lock);
    if (!empty)
        return 1;
    if (error)
        return -error;
    if (shut)
        return 0;
    error = wait_readable(s, flags, seen, deadline);
    return error ? error : 1;
}

void unix_receive_control(struct unix_socket *s, struct unix_message *m, struct unix_receive *r)
{
    struct unix_rights *rights = m->rights;

    if (r->control) {
        r->cred = m->cred;
        if (!r->from)
            r->from = unix_address_get(m->sender);
    }
    if (likely(!rights) || r->rights)
        return;
    if (r->flags & MSG_PEEK) {
        r->rights = r->control ? unix_rights_peek(rights) : NULL;
        return;
    }
    unix_rights_received(rights);
    spin_lock(&s->lock);
    m->rights = NULL;
    spin_unlock(&s->lock);
    r->rights = rights;
}

/* ---- sending ------------------------------------------------------------------------------------------------------ */

/* A byte that is to be noticed takes the place of the last one. => peer->lock */
static void make_urgent(struct unix_socket *peer, struct unix_message *m)
{
    if (peer->urgent)
        peer->urgent->urgent = false;
    m->urgent = true;
    WRITE_ONCE(peer->urgent, m);
}

/* Put it into the peer's queue. 0 or -EPIPE, and then it is freed. */
static int deliver(struct unix_socket *s, struct unix_message *m, struct unix_send *send,
                   bool urgent)
{
    struct signal_owner owner = {};
    struct unix_socket *peer = s->peer;
    struct list list = LIST_INIT(list);
    int error = -EPIPE;

    if (unlikely(send->rights != NULL)) {
        unix_rights_sent(send->rights);
        m->rights = send->rights;
        send->rights = NULL;
    }
    spin_lock(&peer->lock);
    if (likely(!(peer->shutdown & RECEIVE_SHUT) && !peer->dead)) {
        list_add_tail(&m->link, &peer->queue);
        peer->queued++;
        peer->bytes += m->length;
        WRITE_ONCE(peer->arrived, peer->arrived + 1);
        if (unlikely(urgent)) {
            make_urgent(peer, m);
            if (peer->file)
                owner = async_owner_copy(peer->file);
        }
        error = 0;
    }
    spin_unlock(&peer->lock);
    if (unlikely(error)) {
        list_add(&m->link, &list);
        unix_messages_discard(&list);
        return error;
    }
    if (unlikely(urgent))
        signal_owner_send(&owner, SIGURG, NULL);
    wake_up_poll(&peer->read_wait, EPOLLIN | EPOLLRDNORM | EPOLLRDBAND | (urgent ? EPOLLPRI : 0));
    return 0;
}

/* The last byte of a send with MSG_OOB. */
static int send_urgent(struct unix_socket *s, struct unix_send *send)
{
    struct unix_message *m = unix_message_make(s, send, 1);

    return is_err(m) ? (int)ptr_err(m) : deliver(s, m, send, true);
}

ssize_t unix_stream_send(struct unix_socket *s, struct unix_send *send)
{
    size_t done = 0, n, urgent = send->flags & MSG_OOB ? 1 : 0;
    struct unix_message *m;
    int error = 0;

    if (unlikely(urgent && !send->iter->count))
        return -EOPNOTSUPP;
    if (unlikely(send->to))
        return s->state == UNIX_CONNECTED ? -EISCONN : -EOPNOTSUPP;
    if (unlikely(smp_load_acquire(&s->state) != UNIX_CONNECTED))
        return s->shutdown & SEND_SHUT ? -EPIPE : -ENOTCONN;
    while (send->iter->count > urgent && !error) {
        if (unlikely(s->shutdown & SEND_SHUT)) {
            error = -EPIPE;
            break;
        }
        n = min_t(size_t, send->iter->count - urgent, PIECE_MAX);
        m = unix_message_make(s, send, n);
        error = is_err(m) ? ptr_err(m) : deliver(s, m, send, false);
        if (likely(!error))
            done += n;
    }
    if (unlikely(urgent) && !error) {
        error = s->shutdown & SEND_SHUT ? -EPIPE : send_urgent(s, send);
        done += error ? 0 : 1;
    }
    if (unlikely(error == -EPIPE) && !done && !(send->flags & MSG_NOSIGNAL))
        signal_send_thread(current, SIGPIPE, NULL);
    return done ? (ssize_t)done : error;
}

/* ---- receiving => s->reading ------------------------------------------------------------------------------------------ */

/* The message after m (NULL: the first), or NULL. */
static struct unix_message *next_message(struct unix_socket *s, struct unix_message *m)
{
    struct list *next;

    spin_lock(&s->lock);
    next = m ? m->link.next : s->queue.next;
    spin_unlock(&s->lock);
    return next == &s->queue ? NULL : container_of(next, struct unix_message, link);
}

static void consume(struct unix_socket *s, struct unix_message *m, size_t n)
{
    bool all;

    spin_lock(&s->lock);
    m->taken += n;
    s->bytes -= n;
    all = m->taken == m->length;
    if (all) {
        list_del(&m->link);
        s->queued--;
        if (unlikely(s->urgent == m))
            WRITE_ONCE(s->urgent, NULL);
    }
    spin_unlock(&s->lock);
    if (all)
        unix_message_free(m);
}

/* At a mark: is a read that has `done` bytes to end before it? If not it is passed over (*m is the next
 * message, or NULL: begin at the first), or is a byte like others. */
static bool at_mark(struct unix_socket *s, struct unix_receive *r, struct unix_message **m,
                    ssize_t done, bool *read_it)
{
    struct unix_message *mark = *m;
    bool peek = r->flags & MSG_PEEK, taken = mark->taken == mark->length;

    *read_it = false;
    if (done)
        return true;
    if (!taken && (s->option_bits & UNIX_OOB_INLINE)) {
        *read_it = true;
    } else if (!peek) {
        consume(s, mark, mark->length - mark->taken);
        *m = NULL;
    }
    return false;
}

static bool same_sender(const struct ucred_user *a, const struct ucred_user *b)
{
    return a->pid == b->pid && a->uid == b->uid && a->gid == b->gid;
}

/* Take from the messages that are there. Returns bytes, *end: this read goes no further; or -EFAULT. */
static ssize_t take_bytes(struct unix_socket *s, struct unix_receive *r, bool first, bool *end)
{
    size_t skip = r->flags & MSG_PEEK ? max(s->peek_offset, 0) : 0, n, copied;
    struct unix_message *m = NULL;
    ssize_t done = 0;
    bool read_it;

    while (r->iter->count && !*end && (m = next_message(s, m)) != NULL) {
        if (unlikely(m->urgent)) {
            if (at_mark(s, r, &m, done, &read_it)) {
                *end = true;
                break;
            }
            if (!read_it)
                continue;
        }
        if (unlikely(skip >= m->length - m->taken)) { /* looked at before (SO_PEEK_OFF) */
            skip -= m->length - m->taken;
            continue;
        }
        if (r->control && s->pass_credentials && !(first && !done) &&
            !same_sender(&m->cred, &r->cred)) {
            *end = true;
            break;
        }
        n = min_t(size_t, r->iter->count, m->length - m->taken - skip);
        copied = copy_to_iter(r->iter, m->data + m->taken + skip, n);
        if (unlikely(copied == 0))
            return done ? done : -EFAULT;
        skip = 0;
        *end = m->rights || copied < n;
        if (r->control || m->rights)
            unix_receive_control(s, m, r);
        done += copied;
        unix_peeked(s, r->flags & MSG_PEEK ? (ssize_t)copied : -(ssize_t)copied);
        if (!(r->flags & MSG_PEEK)) {
            consume(s, m, copied);
            m = NULL;
        }
    }
    return done;
}

/* The byte of MSG_OOB. Its message stays as the mark. */
static ssize_t receive_urgent(struct unix_socket *s, struct unix_receive *r)
{
    struct unix_message *m;
    ssize_t result = -EINVAL;

    mutex_lock(&s->reading); /* nobody else takes it off the queue */
    spin_lock(&s->lock);
    m = s->option_bits & UNIX_OOB_INLINE ? NULL : s->urgent;
    if (m && !(r->flags & MSG_PEEK)) {
        WRITE_ONCE(s->urgent, NULL);
        m->taken = 1;
        s->bytes--;
    }
    spin_unlock(&s->lock);
    if (m) {
        result = !r->iter->count || copy_to_iter(r->iter, m->data, 1) == 1 ? 1 : -EFAULT;
        r->out_flags |= MSG_OOB;
    }
    mutex_unlock(&s->reading);
    return result;
}

ssize_t unix_stream_receive(struct unix_socket *s, struct unix_receive *r)
{
    size_t want = r->iter->count, target = r->flags & MSG_WAITALL ? want : s->low_water;
    ssize_t done = 0, n = 0;
    ktime_t deadline = 0;
    bool end = false;
    u32 seen;

    if (unlikely(READ_ONCE(s->state) != UNIX_CONNECTED))
        return -EINVAL;
    if (unlikely(r->flags & MSG_OOB))
        return receive_urgent(s, r);
    target = min(target, want);
    mutex_lock(&s->reading);
    while (!end && r->iter->count) {
        seen = READ_ONCE(s->arrived);
        n = take_bytes(s, r, done == 0, &end);
        if (n < 0)
            break;
        done += n;
        if (end || (size_t)done >= target || (done && (r->flags & MSG_PEEK)))
            break;
        n = unix_await_message(s, r->flags, r->flags & MSG_PEEK ? &seen : NULL, &deadline);
        if (n <= 0)
            break;
    }
    mutex_unlock(&s->reading);
    if (unlikely(!list_empty(&s->queue)) && wait_queue_active(&s->read_wait))
        wake_up_poll(&s->read_wait, EPOLLIN | EPOLLRDNORM);
    return done ? done : n;
}
