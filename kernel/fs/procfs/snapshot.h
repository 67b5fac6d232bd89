/* SPDX-License-Identifier: MIT */
/*
 * What stat, status and sched tell of a process or thread, gathered under the locks that it takes.
 */
#ifndef VELLUM_PROCFS_SNAPSHOT_H
#define VELLUM_PROCFS_SNAPSHOT_H

#include "internal.h"
#include <vellum/error.h>
#include <vellum/mm.h>
#include <vellum/string.h>

struct snapshot {
    char comm[16];
    char state;
    pid_t pid, tgid, ppid, pgrp, session, foreground;
    u32 tty;
    unsigned flags;
    struct usage usage, children;
    int priority, nice, policy, rt_priority, cpu, exit_signal, exit_code;
    unsigned threads;
    u64 start; /* ns since boot */
    u64 pending, shared_pending, blocked, ignored, caught;
    bool huge_pages; /* prctl(PR_SET_THP_DISABLE) has not refused them */
    /* pages */
    u64 total, resident, anon, file, shmem, data, stack, text, locked, peak, peak_total, tables;
    u64 swapped;
    vaddr_t code_start, code_end, data_start, data_end, brk_start, stack_start;
    vaddr_t args_start, args_end, env_start, env_end;
};

/* t: proc_subject(pi) */
void snapshot_take(struct snapshot *s, const struct proc_inode *pi, struct thread *t);
/* The fields about memory alone; untouched if the process has none. */
void snapshot_memory(struct snapshot *s, struct process *p);

static inline u64 snapshot_code_pages(const struct snapshot *s)
{
    return (ALIGN_UP(s->code_end, PAGE_SIZE) - ALIGN_DOWN(s->code_start, PAGE_SIZE)) / PAGE_SIZE;
}

/* stack.c: does the thread wait for something? */
bool proc_is_asleep(struct process *p, struct thread *t);

#endif
