/* SPDX-License-Identifier: MIT */
/*
 * When memory has run out: one process is ended so that the others can go on.
 *
 * The allocator comes here after everything that can be had back has been had back; a page fault
 * comes here when it could get no frame, without any lock of the address space. The victim is the
 * process that has most - resident pages and page tables, plus what oom_score_adj adds, in
 * thousandths of all memory - never init, and nobody whose oom_score_adj is -1000. It gets SIGKILL,
 * as does whoever shares its memory, and may use the allocator's reserve from then on, so that it
 * comes to its end (alloc_slow() in kernel/mm/frames.c).
 *
 * While a victim dies nobody else is chosen, unless it takes too long: it may wait for a lock that
 * the one who came here holds. That is also why nobody waits here for long: the allocation fails
 * instead, the system call with ENOMEM, and the fault is taken again.
 *
 * A program that ends processes itself, before memory runs out, has process_mrelease(2): it need not
 * wait until the victim has come to its end, which may take as long as what its threads wait for.
 */
#include "internal.h"
#include <vellum/mm.h>
#include <vellum/page.h>
#include <vellum/printk.h>
#include <vellum/sync.h>
#include <vellum/syscall.h>
#include <vellum/time.h>
#include <vellum/vmstat.h>

#define OOM_NEVER   (-1000)
#define WAIT_STEP   (5 * NSEC_PER_MSEC)
#define WAIT_STEPS  20                 /* at most, for the victim's memory */
#define DYING_LIMIT (2 * NSEC_PER_SEC) /* a victim that is not gone by then is not waited for */

static DEFINE_MUTEX(oom_mutex);
static DEFINE_WAIT_QUEUE(nobody); /* wakes us: a time-out or a fatal signal ends the wait */

/* What a process has, in pages. */
struct usage_pages {
    u64 anonymous, file, shared, tables, total;
    struct mm *mm; /* to compare only */
    u32 uid;
};

/* => false if it has no memory of its own (any more) */
static bool usage_of(struct process *p, struct usage_pages *u)
{
    unsigned long flags = spin_lock_irqsave(&p->lock);
    struct thread *t;
    struct mm *mm = NULL;

    list_for_each_entry(t, &p->threads, thread_link)
        if ((mm = t->mm) != NULL)
            break;
    if (mm) { /* as long as a thread has it, and we the lock, it stays */
        *u = (struct usage_pages){
            .anonymous = max(atomic_read(&mm->anon_pages), 0L),
            .file = max(atomic_read(&mm->file_pages), 0L),
            .shared = max(atomic_read(&mm->shmem_pages), 0L),
            .tables = max(atomic_read(&mm->table_pages), 0L),
            .total = mm->total_pages,
            .mm = mm,
            .uid = t->cred->uid,
        };
    }
    spin_unlock_irqrestore(&p->lock, flags);
    return mm != NULL;
}

/* The points of a process with so many pages, in pages; 0: it is never chosen. */
static s64 oom_badness(u64 pages, int adjustment)
{
    s64 all = boot_memory_total() / PAGE_SIZE;
    s64 points = pages + adjustment * all / 1000;

    return adjustment == OOM_NEVER ? 0 : max(points, 1L);
}

/* Is somebody on the way out whose memory will come? Also: was it chosen too long ago to hope? */
static bool is_dying(struct process *p)
{
    return p->oom_victim_since && ktime_get() - p->oom_victim_since < DYING_LIMIT;
}

/* The worst process, with a reference; *dying: one that is on its way out already, instead. */
static struct process *choose(struct usage_pages *most, bool *dying)
{
    struct process *p, *worst = NULL;
    s64 worst_points = 0, points;
    struct usage_pages u;
    pid_t next = 1;

    *dying = false;
    for (; (p = process_next(next)) != NULL; process_put(p)) {
        next = p->pid + 1;
        if (p == init_process || !usage_of(p, &u))
            continue;
        if (is_dying(p)) {
            *dying = true;
            process_put(p);
            break;
        }
        points = p->oom_victim_since ? 0
                                     : oom_badness(u.anonymous + u.file + u.shared + u.tables,
                                                   READ_ONCE(p->oom_score_adj));
        if (points <= worst_points)
            continue;
        if (worst)
            process_put(worst);
        worst = p;
        worst_points = points;
        *most = u;
        process_get(p);
    }
    if (*dying && worst) {
        process_put(worst);
        worst = NULL;
    }
    return worst;
}

/* All who run in the same memory. */
static void kill_sharers(const struct mm *mm)
{
    struct usage_pages u;
    struct process *p;
    pid_t next = 1;

    for (; (p = process_next(next)) != NULL; process_put(p)) {
        next = p->pid + 1;
        if (p == init_process || !usage_of(p, &u) || u.mm != mm)
            continue;
        p->oom_victim_since = ktime_get();
        signal_send_process(p, SIGKILL, NULL);
    }
}

static unsigned long kilobytes(u64 pages)
{
    return pages * (PAGE_SIZE / 1024);
}

static void end_one(struct process *p, const struct usage_pages *u)
{
    struct thread *leader = process_leader(p);

    pr_err("%s invoked oom-killer: order=0, oom_score_adj=%d", current->comm,
           current->process ? current->process->oom_score_adj : 0);
    pr_err("Out of memory: Killed process %d (%s) total-vm:%lukB, anon-rss:%lukB, file-rss:%lukB, "
           "shmem-rss:%lukB, UID:%u pgtables:%lukB oom_score_adj:%d",
           p->pid, leader ? leader->comm : "?", kilobytes(u->total), kilobytes(u->anonymous),
           kilobytes(u->file), kilobytes(u->shared), u->uid, kilobytes(u->tables),
           p->oom_score_adj);
    if (leader)
        thread_put(leader);
    vm_event(oom_kill);
    p->oom_victim_since = ktime_get();
    signal_send_process(p, SIGKILL, NULL);
    kill_sharers(u->mm);
}

/* => may sleep; locks of others may be held, which is why this does not wait for long */
bool out_of_memory(void)
{
    struct usage_pages u = {};
    struct process *victim = NULL;
    bool dying = true;

    if (fatal_signal_pending())
        return true;
    if (mutex_trylock(&oom_mutex)) {
        victim = choose(&u, &dying);
        if (victim)
            end_one(victim, &u);
        mutex_unlock(&oom_mutex);
    }
    if (!victim && !dying)
        return false;
    if (victim)
        process_put(victim);
    for (int i = 0; i < WAIT_STEPS && frames_are_short() && !fatal_signal_pending(); i++)
        (void)wait_event_state(&nobody, !frames_are_short(), TASK_KILLABLE, ktime_get() + WAIT_STEP,
                               false);
    return true;
}

/* ---- process_mrelease(2) ------------------------------------------------------------------------------ */

/* Will no thread of the process run its program again? One that dumps its core still needs it. */
static bool is_ending(struct process *p)
{
    unsigned long flags;
    struct sighand *s = sighand_lock(p, &flags);
    bool ending = (p->group_exiting || p->alone_exiting) && !p->core;

    sighand_unlock(s, flags);
    return ending;
}

static bool all_sharers_are_ending(const struct mm *mm)
{
    struct usage_pages u;
    struct process *p;
    bool ending = true;
    pid_t next = 1;

    for (; ending && (p = process_next(next)) != NULL; process_put(p)) {
        next = p->pid + 1;
        if (usage_of(p, &u) && u.mm == mm)
            ending = is_ending(p);
    }
    return ending;
}

/* What is private goes; whoever is still about in the kernel on the process's behalf gets EFAULT. */
SYSCALL_DEFINE2(process_mrelease, int, pidfd, unsigned, flags)
{
    struct process *p;
    struct mm *mm;
    bool nonblock;
    int error = 0;

    if (flags)
        return -EINVAL;
    p = pidfd_process(pidfd, &nonblock);
    if (is_err(p))
        return ptr_err(p);
    mm = process_mm(p);
    if (!mm)
        error = -ESRCH;
    else if (!is_ending(p) || !all_sharers_are_ending(mm))
        error = -EINVAL;
    else if (mm_unmap_private(mm))
        error = -EAGAIN;
    if (mm)
        mm_put(mm);
    process_put(p);
    return error;
}
