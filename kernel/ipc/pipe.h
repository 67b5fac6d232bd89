/* SPDX-License-Identifier: MIT */
/*
 * What a pipe is: for pipe.c, which tells the idea, fifo.c and pipe_splice.c.
 */
#ifndef VELLUM_IPC_PIPE_H
#define VELLUM_IPC_PIPE_H

#include <vellum/fs.h>
#include <vellum/sync.h>

struct pipe {
    struct mutex mutex;
    u64 head, tail;            /* [m] positions; READ_ONCE without */
    u64 size;                  /* [m] bytes */
    struct page **pages;       /* [m] size / PAGE_SIZE of them; NULL: not there */
    unsigned readers, writers; /* [m] open files */
    unsigned read_opens,
        write_opens; /* [m] ever: an open that waits for a partner counts one that has gone */
    unsigned users;  /* [m] of a FIFO: open files and opens in progress */
    bool polled;     /* [a] somebody polls it: each write is an edge (epoll(7)) */
    struct wait_queue read_wait, write_wait;
};
/* [m] pipe->mutex  [a] set once */

static inline u64 pipe_used(const struct pipe *p)
{
    return READ_ONCE(p->head) - READ_ONCE(p->tail);
}

static inline u64 pipe_space(const struct pipe *p)
{
    return READ_ONCE(p->size) - pipe_used(p);
}

static inline struct page **pipe_slot(struct pipe *p, u64 pos)
{
    return &p->pages[(pos & (p->size - 1)) >> PAGE_SHIFT];
}

/* Bytes up to the end of the page or of what there is. */
static inline size_t pipe_piece(u64 pos, size_t n)
{
    return min_t(size_t, n, PAGE_SIZE - (pos & (PAGE_SIZE - 1)));
}

/* Has the writer, once round the ring, come into the page that the reader just leaves? */
static inline bool pipe_page_written_again(const struct pipe *p)
{
    return p->head - p->tail > p->size - PAGE_SIZE;
}

extern const struct file_ops pipe_ops;
/* fifo.c: of the inode of a pipe(2), for /proc/PID/fd/N */
extern const struct file_ops pipe_again_ops;

/* An empty pipe without users, or NULL. */
struct pipe *pipe_alloc(void);
/* One user less; the last one frees it, and inode->pipe is NULL. => no lock */
void pipe_unuse(struct inode *inode, struct pipe *p);
/* An open end goes. */
void pipe_release(struct file *file);
/* Everybody is to look again: an end was opened or closed. => no lock */
void pipe_wake_all(struct pipe *p);
/* The pipe of an open end, or NULL. */
struct pipe *pipe_of_file(const struct file *file);
/* Empty: begin at 0 again, with the page that is there, if any. => p->mutex */
void pipe_rewind(struct pipe *p);

/* n bytes at the tail, all in one page, have been read. => p->mutex */
static inline void pipe_consume(struct pipe *p, size_t n)
{
    struct page **slot = pipe_slot(p, p->tail);

    p->tail += n;
    if (p->tail == p->head) {
        pipe_rewind(p);
    } else if (!(p->tail & (PAGE_SIZE - 1)) && !pipe_page_written_again(p)) {
        if (*slot)
            page_put(*slot);
        *slot = NULL;
    }
}

#endif
