/* SPDX-License-Identifier: MIT */
/*
 * Core files: core.c (the process comes to rest; the file), core_elf.c (what is in it).
 */
#ifndef KERNEL_PROC_CORE_H
#define KERNEL_PROC_CORE_H

#include "ptrace.h"
#include <vellum/fs.h>

/* A process that dumps core. */
struct core {
    struct thread *dumper;   /* [i] whose signal it was */
    siginfo_t *info;         /* [i] of the signal */
    const struct cred *cred; /* [i] of the process: it may write the file as root */
    struct list parked; /* [s] struct core_thread: the other threads, at rest until it is done */
    unsigned count;     /* [s] of them */
};

struct core_thread {
    struct list link; /* [s] in core->parked */
    struct thread *thread;
    struct completion done;
};

/* Where the file is written. */
struct core_file {
    struct file *file;
    u64 position;
    u64 limit;    /* RLIMIT_CORE */
    bool is_pipe; /* has no holes */
};

/* Write all of it: 0 or -errno; -EFBIG: it has been cut off at the limit. */
int core_write(struct core *core, struct core_file *out);

#endif
