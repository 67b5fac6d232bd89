/* SPDX-License-Identifier: MIT */
/*
 * How urgent the input and output of a thread is: its I/O priority (ioprio_set(2)). It is kept in a
 * context of its own, since threads may share one (CLONE_IO); most threads never get one.
 */
#ifndef VELLUM_IO_CONTEXT_H
#define VELLUM_IO_CONTEXT_H

#include <vellum/thread.h>

struct io_context {
    refcount_t refs;
    u16 priority; /* [a] IOPRIO_PRIO_VALUE() */
};

/* What the current thread's child gets, by the flags of clone(2). 0 or -ENOMEM.
 * => child->io_context is NULL */
int io_context_fork(struct thread *child, u64 flags);
void io_context_put(struct io_context *io); /* any context */

#endif
