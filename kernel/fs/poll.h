/* SPDX-License-Identifier: MIT */
/*
 * Waiting for several files at once: the part that poll(2) and select(2) share.
 */
#ifndef VELLUM_FS_POLL_H
#define VELLUM_FS_POLL_H

#include "internal.h"
#include <linux/eventpoll.h>
#include <linux/poll.h>

struct poll_entry;

#define POLL_FAST 8 /* entries on the stack */

struct poll_entry {
    struct wait_entry wait;
    struct wait_queue *queue; /* where it stands */
    struct file *file;        /* a reference: its queue must not go */
    unsigned long events;
    struct poller *poller;
};

struct poll_chunk;

struct poller {
    struct poll_table table;
    struct wait_queue wake; /* the thread sleeps here; entries wake it */
    bool triggered;         /* [wake.lock, or while no entry is queued] */
    int error;
    unsigned n_fast;
    struct poll_entry fast[POLL_FAST];
    struct poll_chunk *chunks;
};

void poller_init(struct poller *p);
void poller_end(struct poller *p);
/* Sleep until an entry was woken: 0; -ETIME, -ERESTARTSYS */
int poller_sleep(struct poller *p, ktime_t deadline);

/* Call round(), which counts what has come up and lets files collect entries as long as p->table.queue is
 * set, until it counts something or fails, the time is over, or a signal comes. What it returned last, -EINTR,
 * -ENOMEM. (Here, so that round() is a part of the loop.) */
static __always_inline int poller_wait(int (*round)(struct poller *p, void *arg), void *arg,
                                       ktime_t deadline)
{
    struct poller p;
    int found, error = 0;

    poller_init(&p);
    if (deadline == 0)
        p.table.queue = NULL;
    for (;;) {
        found = round(&p, arg);
        if (found || deadline == 0 || error)
            break;
        error = p.error;
        if (error)
            break;
        p.table.queue = NULL;
        error = poller_sleep(&p, deadline);
    }
    poller_end(&p);
    if (found || error == -ETIME)
        return found;
    return error == -ERESTARTSYS ? -EINTR : error;
}

#define POLL_ALWAYS (EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM) /* of files without poll() */

/* The events of interest that are true now; queues an entry if the poller still collects them. */
static inline unsigned poll_file(struct poller *p, struct file *file, unsigned events)
{
    if (unlikely(!file->ops->poll))
        return POLL_ALWAYS & events;
    p->table.events = events;
    return file->ops->poll(file, p->table.queue ? &p->table : NULL) & events;
}

/* Tell the user how much is left until the deadline. */
void deadline_to_user(struct __kernel_timespec __user *ts, ktime_t deadline);

#endif
