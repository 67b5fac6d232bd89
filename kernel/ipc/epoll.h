/* SPDX-License-Identifier: MIT */
/*
 * What the two halves of epoll share: epoll.c (the ready list, waiting) and epoll_ctl.c (the
 * interest tree, nesting).
 */
#ifndef KERNEL_IPC_EPOLL_H
#define KERNEL_IPC_EPOLL_H

#include <vellum/fs.h>
#include <vellum/rbtree.h>
#include <linux/eventpoll.h>

struct epoll {
    struct mutex mutex;     /* interest tree; one thread at a time goes through the ready list */
    struct rb_root items;   /* [m] by (file, fd) */
    spinlock_t lock;        /* interrupts off */
    struct list ready;      /* [l] items; read without it by those who then look again */
    struct wait_queue wait; /* epoll_wait(2) */
    struct wait_queue poll_wait; /* those who poll the epoll itself */
    struct file *file;           /* [i] no reference: it refers to us */
    struct user *user;           /* [i] whose watches are counted */
    struct list nested;          /* [n] items whose file is an epoll */
    u64 reports;                 /* [m] rounds of epoll_wait(2) */
    u64 mark, checked;           /* [n] the walks that were here last, */
    unsigned height, paths;      /* [n] and what they found */
};
/* [m] mutex  [l] lock  [n] nest_mutex */

/* Our entry on a wait queue of the file. Most files have one queue. */
struct epoll_hook {
    struct wait_entry wait;
    struct wait_queue *queue;
    struct epoll_item *item;
    struct epoll_hook *next;
};

struct epoll_item {
    struct rb_node node;     /* [ep m] */
    struct list ready;       /* [ep l] in ep->ready; empty: not ready */
    struct epoll *ep;        /* [i] */
    struct file *file;       /* [i] no reference: the item goes when the file does */
    int fd;                  /* [i] */
    u32 events;              /* [ep m] to change */
    u64 data;                /* [ep m] */
    u64 reported;            /* [ep m] in which of ep->reports it was looked at last */
    struct epoll_hook hook;  /* [ep m]; queue NULL: none */
    struct list file_link;   /* [link lock of the file] in file->epoll_links */
    struct list nested_link; /* [n] in ep->nested, if the file is an epoll */
};

/* The bits that say how to report, not what. An item that has only these left is disarmed. */
#define EPOLL_MANNER (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)

extern const struct file_ops epoll_ops;

static inline bool is_epoll(const struct file *file)
{
    return file->ops == &epoll_ops;
}

/* Which of the events that item asks for are true? table: also queue the item's hooks, or NULL.
 * => ep->mutex */
static inline unsigned epoll_item_poll(struct epoll_item *item, struct poll_table *table)
{
    return item->file->ops->poll(item->file, table) & item->events;
}

wake_fn epoll_wake;
/* The item has events: put it on the ready list and wake those who wait. */
void epoll_item_ready(struct epoll_item *item);
/* Remove all items and free ep, whose file is being released. */
void epoll_destroy(struct epoll *ep);

#endif
