/* SPDX-License-Identifier: MIT */
/*
 * Where a thread waits (proc(5)): wchan, stack, syscall. The thread is held asleep while its stack is
 * read; one that runs has nothing to tell, but for the reader itself in which call it is.
 */
#include "snapshot.h"
#include <vellum/symbols.h>

#define DEPTH 32

struct trace {
    unsigned n;
    vaddr_t pc[DEPTH];
};

static void walk(struct thread *t, void *arg)
{
    struct trace *trace = arg;
    struct stack_walk w;

    arch_stack_walk_sleeper(&w, t);
    do
        trace->pc[trace->n++] = w.pc;
    while (trace->n < DEPTH && arch_stack_walk_next(&w));
}

static void nothing(struct thread *t, void *arg)
{
}

bool proc_is_asleep(struct process *p, struct thread *t)
{
    return thread_look_asleep(p, t, nothing, NULL);
}

/* Names through which threads go to sleep, whatever they wait for. */
static bool is_scheduler(const char *name)
{
    static const char *const names[] = {
        "arch_switch",     "switch_stack",    "switch_to",           "schedule",
        "schedule_common", "schedule_until",  "preempt_schedule",    "mutex_lock_slow",
        "read_lock_slow",  "write_lock_slow", "wait_for_completion", "wait_for_completion_killable",
        "schedule_tail",   "preempt_irq",
    };

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* A return address belongs to the call before it. */
static const char *caller_name(vaddr_t pc, u64 *offset)
{
    const char *name = symbol_lookup(pc - 1, offset);

    ++*offset;
    return name;
}

int proc_show_wchan(struct seq_file *m, struct proc_inode *pi)
{
    struct thread *t = proc_subject(pi);
    struct trace trace = {0};
    const char *name = NULL;
    u64 offset;

    if (!t)
        return -ESRCH;
    if (proc_may_look(pi->process))
        thread_look_asleep(pi->process, t, walk, &trace);
    for (unsigned i = 0; i < trace.n && !name; i++) {
        name = caller_name(trace.pc[i], &offset);
        if (name && is_scheduler(name))
            name = NULL;
    }
    seq_puts(m, name ? name : "0");
    thread_put(t);
    return 0;
}

int proc_show_stack(struct seq_file *m, struct proc_inode *pi)
{
    struct thread *t;
    struct trace trace = {0};
    const char *name;
    u64 offset;

    if (!capable(CAP_SYS_ADMIN) || !proc_may_look(pi->process))
        return -EACCES;
    t = proc_subject(pi);
    if (!t)
        return -ESRCH;
    thread_look_asleep(pi->process, t, walk, &trace);
    for (unsigned i = 0; i < trace.n; i++) {
        name = caller_name(trace.pc[i], &offset);
        if (name)
            seq_printf(m, "[<0>] %s+0x%llx\n", name, (unsigned long long)offset);
    }
    thread_put(t);
    return 0;
}

/* ---- syscall ------------------------------------------------------------------------------------------ */

struct user_state {
    long number; /* -1: not in a system call */
    unsigned long args[6];
    vaddr_t sp, pc;
};

static void read_frame(struct thread *t, void *arg)
{
    const struct trap_frame *frame = thread_frame(t);
    struct user_state *u = arg;

    u->number = thread_syscall(t, u->args);
    u->sp = frame_sp(frame);
    u->pc = frame_pc(frame);
}

int proc_show_syscall(struct seq_file *m, struct proc_inode *pi)
{
    struct user_state u;
    struct thread *t;
    bool asleep;

    if (!proc_may_look(pi->process))
        return -EACCES;
    t = proc_subject(pi);
    if (!t)
        return -ESRCH;
    if (t == current) {
        read_frame(t, &u);
        asleep = true;
    } else {
        asleep = thread_look_asleep(pi->process, t, read_frame, &u);
    }
    if (!asleep) {
        seq_puts(m, "running\n");
    } else {
        seq_printf(m, "%ld", u.number);
        for (unsigned i = 0; i < ARRAY_SIZE(u.args) && u.number >= 0; i++)
            seq_printf(m, " 0x%lx", u.args[i]);
        seq_printf(m, " 0x%lx 0x%lx\n", (unsigned long)u.sp, (unsigned long)u.pc);
    }
    thread_put(t);
    return 0;
}
