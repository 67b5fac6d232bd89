/* SPDX-License-Identifier: MIT */
/*
 * Local sockets (unix(7)): life, connections, polling.
 *
 *     connect   client --peer--> server end     the server end stands in the listener's queue
 *               client <--peer--                until accept(2) makes a file of it
 *
 * What is sent goes at once into the queue of the peer, as a message, and is charged to the sender
 * until it is read: that is the whole of flow control. A connected socket holds a reference to its
 * peer, not to the peer's file; when that file closes, both are marked as shut and the peer's queue
 * can still be read to its end.
 */
#include "socket.h"
#include <vellum/alloc.h>
#include <vellum/process.h>
#include <vellum/seq_file.h>

#define DEFAULT_BUFFER 212992

int socket_backlog_max = 4096;
int socket_queue_depth = 10;

struct ucred_user current_ucred(void)
{
    const struct cred *c = current->cred;

    return (struct ucred_user){.pid = current->process->pid, .uid = c->euid, .gid = c->egid};
}

/* ---- making -------------------------------------------------------------------------------------------- */

struct unix_socket *unix_create(unsigned type)
{
    struct unix_socket *s = kzalloc(sizeof(*s), ALLOC_KERNEL);

    if (!s)
        return NULL;
    ref_init(&s->refs);
    spin_init(&s->lock);
    s->type = type;
    list_init(&s->queue);
    list_init(&s->pending_link);
    list_init(&s->blocked);
    list_init(&s->blocked_link);
    list_init(&s->flight_link);
    list_init(&s->gc_link);
    mutex_init(&s->reading);
    wait_queue_init(&s->read_wait);
    wait_queue_init(&s->write_wait);
    wait_queue_init(&s->room_wait);
    s->send_limit = s->receive_limit = DEFAULT_BUFFER;
    s->low_water = 1;
    s->peek_offset = -1;
    s->backlog = socket_queue_depth;
    unix_list_add(s);
    return s;
}

void unix_put(struct unix_socket *s)
{
    if (!ref_put(&s->refs))
        return;
    assert(list_empty(&s->queue) && s->in_flight == 0);
    unix_list_remove(s);
    if (s->address)
        unix_address_put(s->address);
    if (s->peer_groups)
        cred_put(s->peer_groups);
    kfree(s);
}

struct file *unix_file(struct unix_socket *s, unsigned flags)
{
    struct inode *inode = inode_anonymous(S_IFSOCK | 0777);
    struct file *file;

    if (!inode) {
        unix_put(s);
        return err_ptr(-ENOMEM);
    }
    file = file_anonymous(inode, &unix_file_ops, O_RDWR | flags, "socket:");
    if (is_err(file)) {
        inode_put(inode);
        unix_put(s);
        return file;
    }
    file->private_data = s;
    s->file = file;
    return file;
}

struct unix_socket *unix_peer(struct unix_socket *s)
{
    struct unix_socket *peer;

    spin_lock(&s->lock);
    peer = s->peer;
    if (peer)
        unix_get(peer);
    spin_unlock(&s->lock);
    return peer;
}

int unix_take_error(struct unix_socket *s)
{
    return likely(!READ_ONCE(s->error)) ? 0 : __atomic_exchange_n(&s->error, 0, __ATOMIC_ACQ_REL);
}

/* Pollers stand in both queues of the socket; each event is told through one of them. */
void unix_wake_all(struct unix_socket *s, unsigned events)
{
    unsigned room = events & (EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND);

    if (wait_queue_active(&s->read_wait))
        wake_up(&s->read_wait, ~0u, events);
    if (wait_queue_active(&s->write_wait))
        wake_up(&s->write_wait, ~0u, room);
    if (wait_queue_active(&s->room_wait))
        wake_up(&s->room_wait, ~0u, room);
}

/* ---- connections ------------------------------------------------------------------------------------------ */

static void set_peer_cred(struct unix_socket *s, struct ucred_user cred, const struct cred *groups)
{
    s->peer_cred = cred;
    s->peer_groups = cred_get(groups);
}

void unix_pair(struct unix_socket *a, struct unix_socket *b)
{
    unix_get(a);
    unix_get(b);
    a->peer = b;
    b->peer = a;
    set_peer_cred(a, current_ucred(), current->cred);
    set_peer_cred(b, current_ucred(), current->cred);
    if (a->type != SOCK_DGRAM)
        a->state = b->state = UNIX_CONNECTED;
}

int unix_listen(struct unix_socket *s, int backlog)
{
    int error = 0;

    if (s->type == SOCK_DGRAM)
        return -EOPNOTSUPP;
    if ((unsigned)backlog > (unsigned)socket_backlog_max)
        backlog = socket_backlog_max;
    spin_lock(&s->lock);
    if (!s->address || s->state == UNIX_CONNECTED) {
        error = -EINVAL;
    } else {
        s->state = UNIX_LISTENING;
        s->backlog = backlog;
        s->own = current_ucred();
        if (s->peer_groups)
            cred_put(s->peer_groups);
        s->peer_groups = cred_get(current->cred);
    }
    spin_unlock(&s->lock);
    if (!error)
        wake_up_all(&s->room_wait);
    return error;
}

static bool may_connect_now(const struct unix_socket *listener)
{
    return READ_ONCE(listener->queued) <= READ_ONCE(listener->backlog) ||
           READ_ONCE(listener->shutdown) || READ_ONCE(listener->state) != UNIX_LISTENING;
}

/* Is the listener ready for one more? 0, -EAGAIN: its queue is full, or an error. => its lock */
static int listener_state(const struct unix_socket *listener)
{
    if (listener->state != UNIX_LISTENING || listener->dead || (listener->shutdown & RECEIVE_SHUT))
        return -ECONNREFUSED;
    return listener->queued > listener->backlog ? -EAGAIN : 0;
}

/* Join s and the new end, which goes into the listener's queue. => nobody else connects s: its lock
 * was held when its state was set */
static void connection_publish(struct unix_socket *listener, struct unix_socket *s,
                               struct unix_socket *end)
{
    assert(spin_held(&listener->lock));
    end->address = listener->address;
    if (end->address)
        ref_get(&end->address->refs);
    end->path = (struct path){0};
    end->pass_credentials = listener->pass_credentials;
    end->state = UNIX_CONNECTED;
    end->peer = s;
    unix_get(s);
    set_peer_cred(end, current_ucred(), current->cred);
    set_peer_cred(s, listener->own, listener->peer_groups);
    unix_get(end); /* s's; the queue has the first */
    s->peer = end;
    smp_store_release(&s->state,
                      UNIX_CONNECTED); /* who sees that sees the peer: unix_stream_send() */
    list_add_tail(&end->pending_link, &listener->queue);
    listener->queued++;
}

/* One try. -EAGAIN: the queue is full. */
static int try_connect(struct unix_socket *listener, struct unix_socket *s, struct unix_socket *end)
{
    int error;

    spin_lock(&listener->lock);
    error = listener_state(listener);
    if (!error) {
        spin_lock_raw_nested(&s->lock, 1);
        if (s->state != UNIX_IDLE)
            error = s->state == UNIX_CONNECTED ? -EISCONN : -EINVAL;
        else
            connection_publish(listener, s, end);
        spin_unlock_raw(&s->lock);
    }
    spin_unlock(&listener->lock);
    return error;
}

static int connect_to(struct unix_socket *listener, struct unix_socket *s, bool nonblock)
{
    u64 timeout = s->send_timeout;
    ktime_t deadline = wait_deadline(timeout);
    struct unix_socket *end = unix_create(s->type);
    int error;

    if (!end)
        return -ENOMEM;
    while ((error = try_connect(listener, s, end)) == -EAGAIN && !nonblock) {
        error = wait_event_state(&listener->room_wait, may_connect_now(listener),
                                 TASK_INTERRUPTIBLE, deadline, false);
        if (error) {
            error = wait_result(error, timeout);
            break;
        }
    }
    if (error)
        unix_put(end);
    else
        wake_up_poll(&listener->read_wait, EPOLLIN | EPOLLRDNORM);
    return error;
}

int unix_connect(struct unix_socket *s, const struct sockaddr_un *name, unsigned length,
                 bool nonblock)
{
    struct unix_socket *listener;
    int error = 0;

    if (s->type == SOCK_DGRAM)
        return unix_datagram_connect(s, name, length);
    if (s->pass_credentials && !s->address)
        error = unix_autobind(s);
    if (error)
        return error;
    listener = unix_find(name, length, s->type);
    if (is_err(listener))
        return ptr_err(listener);
    /* Its own queue would be its listener's: the locks would be one. */
    error = listener == s ? (s->state == UNIX_LISTENING ? -EINVAL : -ECONNREFUSED)
                          : connect_to(listener, s, nonblock);
    unix_put(listener);
    return error;
}

static struct unix_socket *take_pending(struct unix_socket *s)
{
    struct unix_socket *end = NULL;

    spin_lock(&s->lock);
    if (s->state == UNIX_LISTENING && !list_empty(&s->queue)) {
        end = list_first_entry(&s->queue, struct unix_socket, pending_link);
        list_del_init(&end->pending_link);
        s->queued--;
    }
    spin_unlock(&s->lock);
    return end;
}

struct unix_socket *unix_accept(struct unix_socket *s, bool nonblock)
{
    ktime_t deadline = wait_deadline(s->receive_timeout);
    struct unix_socket *end;
    int error;

    if (s->type == SOCK_DGRAM)
        return err_ptr(-EOPNOTSUPP);
    if (READ_ONCE(s->state) != UNIX_LISTENING)
        return err_ptr(-EINVAL);
    while (!(end = take_pending(s))) {
        if (s->shutdown & RECEIVE_SHUT)
            return err_ptr(-EINVAL);
        if (nonblock)
            return err_ptr(-EAGAIN);
        error =
            wait_event_state(&s->read_wait, !list_empty(&s->queue) || (s->shutdown & RECEIVE_SHUT),
                             TASK_INTERRUPTIBLE, deadline, true);
        if (error) {
            if (!list_empty(&s->queue)) /* the wake-up that came with the signal is another's */
                wake_up_poll(&s->read_wait, EPOLLIN | EPOLLRDNORM);
            return err_ptr(wait_result(error, s->receive_timeout));
        }
    }
    wake_up_poll(&s->room_wait, EPOLLOUT | EPOLLWRNORM);
    return end;
}

/* ---- the end ------------------------------------------------------------------------------------------------ */

static void shut(struct unix_socket *s, unsigned how, int error)
{
    spin_lock(&s->lock);
    WRITE_ONCE(s->shutdown, s->shutdown | how);
    if (error)
        s->error = error;
    spin_unlock(&s->lock);
    unix_wake_all(s, EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM | EPOLLRDHUP |
                         (how == BOTH_SHUT ? EPOLLHUP : 0) | (error ? EPOLLERR : 0));
}

int unix_shutdown(struct unix_socket *s, int how)
{
    unsigned mine, theirs;
    struct unix_socket *peer;

    if (how < SHUT_RD || how > SHUT_RDWR)
        return -EINVAL;
    mine = how + 1; /* SHUT_RD is RECEIVE_SHUT, ... */
    theirs = ((mine & RECEIVE_SHUT) ? SEND_SHUT : 0) | ((mine & SEND_SHUT) ? RECEIVE_SHUT : 0);
    peer = s->type == SOCK_DGRAM ? NULL : unix_peer(s);
    shut(s, mine, 0);
    if (peer) {
        shut(peer, theirs, 0);
        unix_put(peer);
    }
    return 0;
}

static void unix_close(struct unix_socket *s, bool refused);

/* => s is dead: nothing is added any more */
static void close_pending(struct unix_socket *s)
{
    struct unix_socket *end;

    while ((end = take_pending(s)))
        unix_close(end, true);
}

/* The file went (or, refused: it never came to be): consumes the reference. */
static void unix_close(struct unix_socket *s, bool refused)
{
    struct list messages = LIST_INIT(messages);
    struct unix_socket *peer;
    bool unread;

    unix_name_release(s);
    close_pending(s);
    spin_lock(&s->lock);
    s->dead = true;
    WRITE_ONCE(s->shutdown, BOTH_SHUT);
    peer = s->peer;
    s->peer = NULL;
    unread = !list_empty(&s->queue) || refused;
    if (s->state != UNIX_LISTENING)
        list_splice_tail_init(&s->queue, &messages);
    s->queued = s->bytes = 0;
    s->urgent = NULL;
    spin_unlock(&s->lock);
    close_pending(s); /* who came in meanwhile */
    unix_blocked_forget(s);
    unix_room_made(s);
    unix_wake_all(s, EPOLLHUP | EPOLLERR);
    if (peer) {
        if (s->type != SOCK_DGRAM)
            shut(peer, BOTH_SHUT, unread ? ECONNRESET : 0);
        unix_put(peer);
    }
    unix_messages_discard(&messages);
    unix_put(s);
}

static void unix_release(struct file *file)
{
    unix_close(file->private_data, false);
    unix_collect_garbage();
}

/* ---- as a file ------------------------------------------------------------------------------------------------ */

unsigned unix_poll(struct file *file, struct poll_table *table)
{
    struct unix_socket *s = file->private_data, *peer;
    unsigned events = 0, shutdown;
    bool writable;

    if (unlikely(table != NULL)) {
        poll_wait(file, &s->read_wait, table);
        poll_wait(file, &s->write_wait, table);
    }
    shutdown =
        smp_load_acquire(&s->shutdown); /* before the queue: what came first is seen with it */
    if (READ_ONCE(s->error))
        events |= EPOLLERR;
    if (shutdown == BOTH_SHUT)
        events |= EPOLLHUP;
    if (shutdown & RECEIVE_SHUT)
        events |= EPOLLRDHUP | EPOLLIN | EPOLLRDNORM;
    if (!list_empty(&s->queue))
        events |= EPOLLIN | EPOLLRDNORM;
    if (READ_ONCE(s->urgent))
        events |= EPOLLPRI;
    if (s->type != SOCK_DGRAM && READ_ONCE(s->state) == UNIX_IDLE)
        events |= EPOLLHUP;
    writable = unix_writable(s);
    if (writable && s->type == SOCK_DGRAM && (peer = unix_peer(s)) != NULL) {
        writable = unix_datagram_room(s, peer, true);
        unix_put(peer);
    }
    return writable ? events | EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND : events;
}

/* Of a shutdown all are woken with everything: what it is comes first. */
static unsigned unix_async_events(struct file *file, unsigned long events)
{
    struct unix_socket *s = file->private_data;

    if (events & EPOLLHUP)
        return EPOLLHUP;
    if (events & EPOLLPRI)
        return EPOLLPRI | EPOLLIN;
    if (events & EPOLLIN)
        return EPOLLIN;
    if ((events & EPOLLOUT) && __atomic_exchange_n(&s->short_of_room, 0, __ATOMIC_ACQ_REL))
        return EPOLLOUT;
    return events & EPOLLERR;
}

static unsigned flags_of(const struct file *file, const struct iov_iter *iter)
{
    return (file->flags & O_NONBLOCK) || iter->nowait ? MSG_DONTWAIT : 0;
}

static ssize_t unix_read(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    struct unix_socket *s = file->private_data;
    struct unix_receive r = {.iter = iter, .flags = flags_of(file, iter)};

    ssize_t n = s->type == SOCK_STREAM ? unix_stream_receive(s, &r) : unix_datagram_receive(s, &r);

    if (unlikely(r.rights != NULL))
        unix_rights_free(r.rights); /* who only reads does not get them */
    return n;
}

static ssize_t unix_write(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    struct unix_socket *s = file->private_data;
    const struct cred *c = current->cred;
    struct unix_send m = {.iter = iter,
                          .flags = flags_of(file, iter),
                          .cred = {current->process->pid, c->uid, c->gid}};

    return s->type == SOCK_STREAM ? unix_stream_send(s, &m) : unix_datagram_send(s, &m);
}

static int unix_open(struct inode *inode, struct file *file)
{
    return -ENXIO;
}

static void unix_show_fdinfo(struct file *file, struct seq_file *m)
{
    struct unix_socket *s = file->private_data;

    seq_printf(m, "scm_fds: %u\n", s->in_flight);
}

const struct file_ops unix_file_ops = {
    .open = unix_open,
    .can_nowait = true,
    .read = unix_read,
    .write = unix_write,
    .poll = unix_poll,
    .async_events = unix_async_events,
    .ioctl = unix_ioctl,
    .release = unix_release,
    .show_fdinfo = unix_show_fdinfo,
};
