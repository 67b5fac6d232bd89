/* SPDX-License-Identifier: MIT */
/*
 * Descriptors in flight (unix(7), SCM_RIGHTS), and those that nobody can ever receive.
 *
 * A message holds references to the files that were sent with it. If such a file is itself a socket,
 * its queue may hold others, and in the end itself: send a socket to its peer and close both, and each
 * is kept by the other's queue. References alone never free such a ring, so whenever a socket closes
 * while sockets are in flight they are examined:
 *
 *   1. Candidates are the sockets all of whose references are from flight. Others can be used by
 *      somebody, and so can what lies in their queues.
 *   2. From each candidate take the references that lie in queues of candidates. One that keeps a
 *      reference lies in the queue of a socket in use: it can be reached, and so can all in its queue.
 *   3. What was not reached is garbage: its queue is emptied, and with the last reference it goes.
 *
 * gc_mutex is held over that, over every change of in_flight, and where a receiver gets references
 * to what stays in a queue (MSG_PEEK).
 *
 * Closing may free messages with sockets whose closing frees messages ...: that is made a loop by
 * a list of what the thread still has to free.
 */
#include "socket.h"
#include <vellum/alloc.h>
#include <vellum/process.h>

static DEFINE_MUTEX(gc_mutex);
static struct list in_flight = LIST_INIT(in_flight); /* [gc_mutex] sockets */
static unsigned in_flight_count;                     /* [gc_mutex], read without */
static atomic_t closes;                              /* since the last collection */

/* ---- making and counting ------------------------------------------------------------------------------- */

static struct unix_rights *rights_alloc(unsigned n, struct user *user)
{
    struct unix_rights *r = kmalloc(sizeof(*r) + n * sizeof(r->files[0]), ALLOC_KERNEL);

    if (!r)
        return NULL;
    r->n = 0;
    r->user = user;
    ref_get(&user->refs);
    return r;
}

void unix_rights_free(struct unix_rights *r)
{
    for (unsigned i = 0; i < r->n; i++)
        file_put(r->files[i]);
    user_put(r->user);
    kfree(r);
}

struct unix_rights *unix_rights_make(const int *fds, unsigned n)
{
    struct user *user = current->cred->user;
    struct unix_rights *r;
    struct fd_ref ref;

    if ((u64)atomic_read(&user->files_in_flight) > process_limit(RLIMIT_NOFILE) &&
        !capable(CAP_SYS_RESOURCE) && !capable(CAP_SYS_ADMIN))
        return err_ptr(-ETOOMANYREFS);
    r = rights_alloc(n, user);
    if (!r)
        return err_ptr(-ENOMEM);
    for (unsigned i = 0; i < n; i++) {
        ref = fd_get_any(fds[i]);
        if (!ref.file) {
            unix_rights_free(r);
            return err_ptr(-EBADF);
        }
        r->files[r->n++] = file_get(ref.file);
        fd_put(ref);
    }
    return r;
}

struct unix_rights *unix_rights_peek(struct unix_rights *rights)
{
    struct unix_rights *r = rights_alloc(rights->n, rights->user);

    if (!r)
        return NULL;
    mutex_lock(&gc_mutex);
    for (; r->n < rights->n; r->n++)
        r->files[r->n] = file_get(rights->files[r->n]);
    mutex_unlock(&gc_mutex);
    return r;
}

void unix_rights_sent(struct unix_rights *r)
{
    struct unix_socket *s;

    atomic_add(&r->user->files_in_flight, (int)r->n);
    mutex_lock(&gc_mutex);
    for (unsigned i = 0; i < r->n; i++) {
        s = file_socket(r->files[i]);
        if (!s)
            continue;
        if (s->in_flight++ == 0)
            list_add(&s->flight_link, &in_flight);
        in_flight_count++;
    }
    mutex_unlock(&gc_mutex);
}

void unix_rights_received(struct unix_rights *r)
{
    struct unix_socket *s;

    atomic_sub(&r->user->files_in_flight, (int)r->n);
    mutex_lock(&gc_mutex);
    for (unsigned i = 0; i < r->n; i++) {
        s = file_socket(r->files[i]);
        if (!s)
            continue;
        assert(s->in_flight > 0);
        if (--s->in_flight == 0)
            list_del_init(&s->flight_link);
        in_flight_count--;
    }
    mutex_unlock(&gc_mutex);
}

/* ---- freeing messages ------------------------------------------------------------------------------------ */

/* A thread that frees messages, and what it has still to free. */
struct discarder {
    struct list link; /* [discard_lock] */
    struct thread *thread;
    struct list messages; /* the thread's own */
};

static DEFINE_SPINLOCK(discard_lock);
static struct list discarders = LIST_INIT(discarders); /* [discard_lock] */

static struct discarder *discarder_of(struct thread *t)
{
    struct discarder *d, *found = NULL;

    spin_lock(&discard_lock);
    list_for_each_entry(d, &discarders, link)
        if (d->thread == t)
            found = d;
    spin_unlock(&discard_lock);
    return found;
}

static void discard_all(struct discarder *d)
{
    struct unix_message *m;

    while (!list_empty(&d->messages)) {
        m = list_first_entry(&d->messages, struct unix_message, link);
        list_del(&m->link);
        if (m->rights) {
            unix_rights_received(m->rights);
            unix_rights_free(m->rights);
            m->rights = NULL;
        }
        unix_message_free(m);
    }
}

void unix_messages_discard(struct list *messages)
{
    struct discarder d = {.thread = current}, *outer;

    if (list_empty(messages))
        return;
    outer = discarder_of(current);
    if (outer) {
        list_splice_tail_init(messages, &outer->messages);
        return;
    }
    list_init(&d.messages);
    list_splice_tail_init(messages, &d.messages);
    spin_lock(&discard_lock);
    list_add(&d.link, &discarders);
    spin_unlock(&discard_lock);
    discard_all(&d);
    spin_lock(&discard_lock);
    list_del(&d.link);
    spin_unlock(&discard_lock);
}

/* ---- garbage => gc_mutex -------------------------------------------------------------------------------------- */

typedef void visit_fn(struct unix_socket *s, void *arg);

/* The sockets in the messages of one queue. */
static void visit_queue(struct unix_socket *s, visit_fn *visit, void *arg)
{
    struct unix_message *m;
    struct unix_socket *inner;

    list_for_each_entry(m, &s->queue, link) {
        for (unsigned i = 0; m->rights && i < m->rights->n; i++) {
            inner = file_socket(m->rights->files[i]);
            if (inner && !list_empty(&inner->gc_link))
                visit(inner, arg);
        }
    }
}

/* The candidates that lie in what can be received through s; a listener's connections count. */
static void visit_inside(struct unix_socket *s, visit_fn *visit, void *arg)
{
    struct unix_socket *pending;

    spin_lock(&s->lock);
    if (s->state == UNIX_LISTENING) {
        list_for_each_entry(pending, &s->queue, pending_link) {
            spin_lock_raw_nested(&pending->lock, 1);
            visit_queue(pending, visit, arg);
            spin_unlock_raw(&pending->lock);
        }
    } else {
        visit_queue(s, visit, arg);
    }
    spin_unlock(&s->lock);
}

static void count_inside(struct unix_socket *s, void *unused)
{
    s->gc_count--;
}

static void reach(struct unix_socket *s, void *work)
{
    if (s->gc_reached)
        return;
    s->gc_reached = true;
    list_move_tail(&s->gc_link, work);
}

static void choose_candidates(struct list *candidates)
{
    struct unix_socket *s;
    struct file *file;

    list_for_each_entry(s, &in_flight, flight_link) {
        file = s->file;
        s->gc_reached = false;
        s->gc_count = s->in_flight;
        if (atomic_read(&file->refs) == (int)s->in_flight)
            list_add_tail(&s->gc_link, candidates);
    }
}

/* => s->lock */
static void take_messages(struct unix_socket *s, struct list *garbage)
{
    list_splice_tail_init(&s->queue, garbage);
    s->queued = s->bytes = 0;
}

static void empty_queues(struct unix_socket *s, struct list *garbage)
{
    struct unix_socket *pending;

    spin_lock(&s->lock);
    if (s->state != UNIX_LISTENING) {
        take_messages(s, garbage);
    } else {
        list_for_each_entry(pending, &s->queue, pending_link) {
            spin_lock_raw_nested(&pending->lock, 1);
            take_messages(pending, garbage);
            spin_unlock_raw(&pending->lock);
        }
    }
    spin_unlock(&s->lock);
}

void unix_collect_garbage(void)
{
    struct list candidates = LIST_INIT(candidates), work = LIST_INIT(work),
                garbage = LIST_INIT(garbage);
    struct unix_socket *s, *next;

    /* Looking at all that are in flight at each close would be their number squared. */
    if (!READ_ONCE(in_flight_count) ||
        (unsigned)atomic_inc_return(&closes) < READ_ONCE(in_flight_count) / 16)
        return;
    atomic_set(&closes, 0);
    mutex_lock(&gc_mutex);
    choose_candidates(&candidates);
    list_for_each_entry(s, &candidates, gc_link)
        visit_inside(s, count_inside, NULL);
    list_for_each_entry_safe(s, next, &candidates, gc_link)
        if (s->gc_count > 0)
            reach(s, &work);
    list_for_each_entry(s, &work, gc_link) /* grows while we go */
        visit_inside(s, reach, &work);
    list_for_each_entry_safe(s, next, &candidates, gc_link) {
        empty_queues(s, &garbage);
        list_del_init(&s->gc_link);
    }
    list_for_each_entry_safe(s, next, &work, gc_link)
        list_del_init(&s->gc_link);
    mutex_unlock(&gc_mutex);
    unix_messages_discard(&garbage);
}
