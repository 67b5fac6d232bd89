/* SPDX-License-Identifier: MIT */
/*
 * The end of threads and processes (exit(2), exit_group(2)).
 *
 * A thread gives up its memory, files and directories while it can still sleep. Then, under
 * tree_lock, it leaves the process; with the last thread the process becomes a zombie: its children
 * get a new parent, its own parent is told, and keeps it until it has been waited for - or, if the
 * parent does not want to know, it is taken out of the tree at once. The thread's stack goes when
 * another thread runs (thread_reap()).
 */
#include "core.h"
#include <vellum/futex.h>
#include <vellum/mm.h>
#include <vellum/printk.h>
#include <vellum/string.h>
#include <vellum/syscall.h>
#include <vellum/tty.h>
#include <vellum/uaccess.h>

/* ---- telling the parent -------------------------------------------------------------------------------- */

static void child_info(siginfo_t *info, struct process *p, pid_t id, int signo, int why, int status)
{
    const u64 tick = NSEC_PER_SEC / 100; /* clock_t is in hundredths (times(2)) */

    memset(info, 0, sizeof(*info));
    info->si_signo = signo;
    info->si_code = why;
    info->si_pid = id;
    info->si_uid = p->leader->cred->uid;
    info->si_status = status;
    info->si_utime = p->dead_threads.user_ns / tick;
    info->si_stime = p->dead_threads.system_ns / tick;
}

/* Does CLD_* tell of the end of a child? */
static inline bool is_end(int why)
{
    return why == CLD_EXITED || why == CLD_KILLED || why == CLD_DUMPED;
}

bool notify_process(struct process *to, struct process *p, pid_t id, int signo, int why, int status)
{
    bool end = is_end(why), unwanted = false;
    struct sigaction_k action;
    struct sighand *s;
    unsigned long flags;
    siginfo_t info;

    assert(spin_held(&tree_lock));
    s = sighand_lock(to, &flags);
    if (signo == SIGCHLD) {
        bool ignored = s->ignored & signal_bit(SIGCHLD);

        action = sighand_action(s, SIGCHLD);
        unwanted = end && (ignored || (action.flags & SA_NOCLDWAIT));
        if (ignored || (!end && (action.flags & SA_NOCLDSTOP)))
            signo = 0;
    }
    if (signo > 0) {
        child_info(&info, p, id, signo, why, status);
        signal_send_locked(to, NULL, signo, &info);
    }
    sighand_unlock(s, flags);
    wake_up_all(&to->child_wait);
    return unwanted;
}

bool notify_parent(struct process *p, int why, int status)
{
    return notify_process(p->parent, p, p->pid, is_end(why) ? p->exit_signal : SIGCHLD, why,
                          status);
}

static bool notify_end(struct process *p)
{
    int signo = p->exit_code & 0x7f;

    if (unlikely(p->is_helper))
        return true;
    if (!signo)
        return notify_parent(p, CLD_EXITED, p->exit_code >> 8);
    return notify_parent(p, p->exit_code & 0x80 ? CLD_DUMPED : CLD_KILLED, signo);
}

void process_unlink(struct process *p)
{
    struct thread *leader = p->leader;

    assert(spin_held(&tree_lock) && p->state == PROCESS_ZOMBIE);
    if (unlikely(leader->tracee))
        ptrace_forget(leader);
    p->state = PROCESS_REAPED;
    list_del(&p->sibling);
    list_del(&p->all_link);
    tid_detach(leader);
    groups_leave(p);
    atomic_dec(&leader->cred->user->processes);
    spin_lock(&p->lock);
    p->leader = NULL;
    spin_unlock(&p->lock);
    thread_put(leader);
}

/* ---- the family ------------------------------------------------------------------------------------------- */

static struct process *new_parent_of(struct process *p)
{
    while (p != init_process) {
        p = p->parent;
        if (p->is_subreaper && p->state == PROCESS_LIVE)
            return p;
    }
    return init_process;
}

/* A group that p (or its parent's exit) leaves without anybody to continue it gets a last chance. */
static void rouse_orphans(struct process_group *g, struct process *except)
{
    struct process *p;

    if (!group_has_stopped(g) || !group_is_orphaned(g, except))
        return;
    list_for_each_entry(p, &g->members, pgrp_link) {
        signal_send_process(p, SIGHUP, NULL);
        signal_send_process(p, SIGCONT, NULL);
    }
}

static void give_child(struct process *child, struct process *to)
{
    bool zombie = child->state == PROCESS_ZOMBIE;

    child->parent = to;
    WRITE_ONCE(child->parent_pid, to->pid);
    child->exit_signal = SIGCHLD;
    list_move_tail(&child->sibling, zombie ? &to->zombies : &to->children);
    if (child->death_signal && !zombie)
        signal_send_process(child, child->death_signal, NULL);
}

/* => tree_lock. What nobody will wait for is moved to `dead`, linked by sibling, for the caller. */
static void give_children_away(struct process *p, struct list *dead)
{
    struct process *child, *next, *to;

    if (list_empty(&p->children) && list_empty(&p->zombies))
        return;
    to = new_parent_of(p);
    list_for_each_entry_safe(child, next, &p->zombies, sibling) {
        give_child(child, to);
        if (notify_end(child)) {
            process_unlink(child);
            list_add_tail(&child->sibling, dead);
        }
    }
    list_for_each_entry_safe(child, next, &p->children, sibling) {
        give_child(child, to);
        if (child->group != p->group && child->session == p->session)
            rouse_orphans(child->group, p);
    }
}

void process_to_parent(struct process *p, struct list *dead)
{
    p->state = PROCESS_ZOMBIE;
    list_move_tail(&p->sibling, &p->parent->zombies);
    if (notify_end(p)) {
        process_unlink(p);
        list_add_tail(&p->sibling, dead);
    }
}

/* The last thread is leaving; => tree_lock. Processes to be put are added to `dead`. */
static void become_zombie(struct process *p, struct list *dead)
{
    give_children_away(p, dead);
    if (p->parent->group != p->group && p->parent->session == p->session)
        rouse_orphans(p->group, p);
    if (unlikely(p->leader->tracee) && ptrace_process_left(p))
        p->state = PROCESS_UNSEEN;
    else
        process_to_parent(p, dead);
    wake_up_all(&p->exit_wait);
}

static void add_usage(struct process *p, struct thread *t)
{
    struct usage u;

    thread_usage(t, &u);
    __atomic_fetch_add(&p->itimers.charged, u.user_ns + u.system_ns - t->charged, __ATOMIC_RELAXED);
    usage_add(&p->dead_threads, &u);
}

static void leave_process(struct process *p, struct thread *t, int code)
{
    struct list dead = LIST_INIT(dead);
    struct process *d, *next;
    unsigned long flags = spin_lock_irqsave(&tree_lock), inner;
    struct sighand *s = sighand_lock(p, &inner);
    bool last, kept = false;

    spin_lock(&p->lock);
    list_del(&t->thread_link);
    last = list_empty(&p->threads);
    spin_unlock(&p->lock);
    signal_queue_flush(&t->pending);
    if (t == p->leader || p->group_exiting)
        p->exit_code = p->group_exiting ? p->group_exit_code : code;
    if (p->exec_thread && list_is_singular(&p->threads))
        wake_thread(p->exec_thread);
    sighand_unlock(s, inner);
    add_usage(p, t);
    if (unlikely(t->tracee))
        kept = ptrace_thread_left(t, p->group_exiting ? p->group_exit_code : code);
    if (unlikely(!list_empty(&p->tracees)))
        ptrace_release_all(t, &dead);
    if (t != p->leader && !kept) {
        tid_detach(t);
        atomic_dec(&t->cred->user->processes);
    }
    if (last)
        become_zombie(p, &dead);
    spin_unlock_irqrestore(&tree_lock, flags);
    list_for_each_entry_safe(d, next, &dead, sibling)
        process_put(d);
}

/* ---- what a thread leaves behind ------------------------------------------------------------------------------ */

void thread_leave_memory(struct thread *t)
{
    struct process *p = t->process;
    unsigned long flags;

    futex_exit();
    if (t->clear_child_tid) {
        if (atomic_read(&t->mm->users) > 1 && put_user(0, (pid_t __user *)t->clear_child_tid) == 0)
            futex_wake_address(t->clear_child_tid, 1);
        t->clear_child_tid = 0;
    }
    if (!t->vfork_done)
        return;
    flags = spin_lock_irqsave(&p->lock);
    if (t->vfork_done)
        complete(t->vfork_done);
    t->vfork_done = NULL;
    spin_unlock_irqrestore(&p->lock, flags);
}

static void give_up_resources(struct process *p, struct thread *t)
{
    struct files *files = t->files;
    struct fs_context *fs = t->fs;
    struct mm *mm = t->mm;
    unsigned long flags;

    if (mm) {
        thread_leave_memory(t);
        p->dead_threads.peak_resident = max(p->dead_threads.peak_resident, mm_peak_resident(mm));
    }
    flags = spin_lock_irqsave(&p->lock);
    if (mm)
        mm_activate(NULL);
    t->mm = NULL;
    t->files = NULL;
    t->fs = NULL;
    spin_unlock_irqrestore(&p->lock, flags);
    if (mm)
        mm_put(mm);
    if (files)
        files_put(files);
    if (fs)
        fs_context_put(fs);
}

/* No signal is chosen for us any more. Returns whether we are the last thread to begin its end. */
static bool begin_exit(struct process *p, struct thread *t)
{
    unsigned long flags;
    bool last;

    signal_set_mask(~0UL);
    flags = spin_lock_irqsave(&p->sighand->lock);
    last = --p->thread_count == 0;
    if (p->group_stop_signal)
        signal_take_part(p, t);
    if (unlikely(p->core))
        wake_thread(p->core->dumper);
    spin_unlock_irqrestore(&p->sighand->lock, flags);
    return last;
}

void thread_exit(int code)
{
    struct thread *t = current;
    struct process *p = t->process;

    if (p) {
        if (unlikely(t->tracee))
            ptrace_exit_event(p->group_exiting ? p->group_exit_code : code);
        if (begin_exit(p, t)) {
            int reason = p->group_exiting ? p->group_exit_code : code;

            if (p == init_process)
                panic("Attempted to kill init! exitcode=0x%08x", reason);
            itimers_cancel(&p->itimers);
            posix_timers_end(p);
        }
        give_up_resources(p, t);
        if (p->leader_of_session && p->thread_count == 0)
            tty_leave_session(p);
        leave_process(p, t, code);
    }
    preempt_disable();
    __atomic_store_n(&t->state, TASK_DEAD, __ATOMIC_SEQ_CST);
    preempt_enable_no_resched();
    schedule();
    panic("a dead thread runs");
}

void process_exit_group(int code)
{
    struct process *p = current->process;
    unsigned long flags;
    struct sighand *s = sighand_lock(p, &flags);

    if (p->group_exiting)
        code = p->group_exit_code;
    else if (p->thread_count > 1 || current != p->leader)
        group_exit_start(p, code);
    else
        p->alone_exiting = true;
    sighand_unlock(s, flags);
    thread_exit(code);
}

int threads_kill_others(void)
{
    struct process *p = current->process;
    unsigned long flags;
    struct sighand *s = sighand_lock(p, &flags);
    struct thread *t;

    if (p->group_exiting || p->exec_thread) {
        sighand_unlock(s, flags);
        return -EINTR;
    }
    if (list_is_singular(&p->threads)) {
        sighand_unlock(s, flags);
        return 0;
    }
    p->exec_thread = current;
    list_for_each_entry(t, &p->threads, thread_link)
        if (t != current)
            signal_wake(t, true);
    while (!list_is_singular(&p->threads) && !p->group_exiting) {
        __atomic_store_n(&current->state, TASK_KILLABLE, __ATOMIC_SEQ_CST);
        sighand_unlock(s, flags);
        schedule();
        s = sighand_lock(p, &flags);
    }
    p->exec_thread = NULL;
    sighand_unlock(s, flags);
    return p->group_exiting ? -EINTR : 0;
}

SYSCALL_DEFINE1(exit, int, code)
{
    thread_exit((code & 0xff) << 8);
}

SYSCALL_DEFINE1(exit_group, int, code)
{
    process_exit_group((code & 0xff) << 8);
}
