/* SPDX-License-Identifier: MIT */
/*
 * What the two halves of inotify share: notify.c (watches, and what happens to files) and inotify.c
 * (the file that events are read from, the system calls).
 */
#ifndef VELLUM_FS_INOTIFY_H
#define VELLUM_FS_INOTIFY_H

#include "internal.h"
#include <vellum/notify.h>

/* An inotify instance: watches, and the events that nobody has read yet. */
struct inotify {
    spinlock_t lock;        /* inside of inode->lock */
    struct list events;     /* [l] */
    unsigned count;         /* [l] events, the one that says that some were lost not counted */
    size_t bytes;           /* [l] what reading them all would give */
    struct rb_root watches; /* [l] by number */
    int last_wd;            /* [l] */
    struct wait_queue wait;
    struct mutex mutex; /* one change of the watches at a time */
    struct user *user;  /* [i] */
};
/* [l] lock  [i] constant */

struct watch {
    refcount_t refs;
    struct rb_node node;        /* [instance lock] */
    struct hlist_node of_inode; /* [inode->lock] in inode->watches */
    struct list all;            /* [all_lock] */
    struct inotify *instance;   /* [i] exists while `alive` */
    struct inode *inode;        /* [i] each reference to the watch comes with one to it */
    int wd;                     /* [i] */
    u32 mask;                   /* [inode->lock] IN_* */
    bool alive;                 /* [inode->lock] */
    struct watch *next_dead;
};

struct event {
    struct list link;
    struct inotify_event head; /* as it is read; the name, padded with zeros, follows */
};

/* Append an event, unless it is like the last one. length 0: no name. => instance lock */
void event_queue(struct inotify *in, int wd, u32 mask, u32 cookie, const char *name, u32 length);

/* A watch by number with a reference, and one to its inode, or NULL. */
struct watch *watch_find(struct inotify *in, int wd);
/* Make a watch or change the one that is there: its number or -errno. => in->mutex */
int watch_add(struct inotify *in, struct inode *inode, u32 mask);
/* End it: false if it had ended before. => no lock held */
bool watch_end(struct watch *w, u32 mask);
/* => the lock of a list or tree in which it still stands */
struct watch *watch_get(struct watch *w);
/* May be the last use of the inode. => no lock held */
void watch_put(struct watch *w);

#endif
