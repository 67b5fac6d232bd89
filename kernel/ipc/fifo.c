/* SPDX-License-Identifier: MIT */
/*
 * Opening a pipe by name: FIFOs (fifo(7)), and what pipe(2) made by way of /proc/PID/fd.
 *
 * A FIFO's inode has no pipe until somebody opens it; the pipe goes with the last who has it open. Who
 * opens one end waits until somebody has opened the other:
 *
 *     open for       nobody has the other end      with O_NONBLOCK
 *     reading        waits for a writer            succeeds
 *     writing        waits for a reader            ENXIO
 *     both           succeeds                      succeeds
 *
 * The partner may have closed its end again before we get to look. So it is not asked whether somebody
 * is there, but whether the number of opens has gone up.
 */
#include "pipe.h"
#include <vellum/process.h>

static struct pipe *fifo_use(struct inode *inode)
{
    struct pipe *p;

    mutex_lock(&inode->mutex);
    p = inode->pipe;
    if (!p)
        p = inode->pipe = pipe_alloc();
    if (p)
        p->users++;
    mutex_unlock(&inode->mutex);
    return p;
}

/* Wait until the other end has been opened since `seen`, though it may be closed again by now. */
static int fifo_wait(struct wait_queue *q, const unsigned *opens, unsigned seen)
{
    return wait_event_interruptible(q, READ_ONCE(*opens) != seen);
}

/* One more open file on a pipe; `meet`: an end waits for the other, unless O_NONBLOCK. */
static int open_end(struct inode *inode, struct file *file, bool meet)
{
    struct pipe *p = fifo_use(inode);
    unsigned mode = file->mode & (FILE_READ | FILE_WRITE), seen_readers, seen_writers;
    bool nonblock = file->flags & O_NONBLOCK, wait_reader, wait_writer;
    int error = 0;

    if (!p)
        return -ENOMEM;
    file_set_ops(file, &pipe_ops);
    file->private_data = p;
    mutex_lock(&p->mutex);
    if (meet && mode == FILE_WRITE && nonblock && !p->readers) {
        mutex_unlock(&p->mutex);
        pipe_unuse(inode, p);
        return -ENXIO;
    }
    if (mode & FILE_READ) {
        p->readers++;
        p->read_opens++;
    }
    if (mode & FILE_WRITE) {
        p->writers++;
        p->write_opens++;
    }
    seen_readers = p->read_opens;
    seen_writers = p->write_opens;
    wait_writer = meet && mode == FILE_READ && !p->writers && !nonblock;
    wait_reader = meet && mode == FILE_WRITE && !p->readers;
    if (meet && mode == FILE_READ && !p->writers && nonblock)
        file->version = p->write_opens; /* no hang-up before there was a writer */
    else
        file->version = ~0UL;
    mutex_unlock(&p->mutex);
    pipe_wake_all(p);
    if (wait_writer)
        error = fifo_wait(&p->read_wait, &p->write_opens, seen_writers);
    else if (wait_reader)
        error = fifo_wait(&p->write_wait, &p->read_opens, seen_readers);
    if (error)
        pipe_release(file);
    return error;
}

/* open(2) of a FIFO (fifo(7)). */
static int fifo_open(struct inode *inode, struct file *file)
{
    return open_end(inode, file, true);
}

/* open(2) of what pipe(2) made, by way of /proc: the other end may be gone for ever, and is not
 * waited for. */
static int pipe_open_again(struct inode *inode, struct file *file)
{
    return open_end(inode, file, false);
}

const struct file_ops fifo_file_ops = {.open = fifo_open};
const struct file_ops pipe_again_ops = {.open = pipe_open_again};
