/* SPDX-License-Identifier: MIT */
/*
 * When memory has run out: one process is ended so that the others can go on.
 *
 * The allocator comes here after everything that can be had back has been had back; a page fault
 * comes here when it could get no frame, without any lock of the address space. The victim is the
 * process that has most - resident pages, pages in swap and page tables, plus what oom_score_adj adds,
 * in thousandths of memory and swap - never init, and nobody whose oom_score_adj is -1000. It gets
 * SIGKILL, as does whoever shares its memory, and may use the allocator's reserve from then on, so that
 * it comes to its end (alloc_slow() in kernel/mm/frames.c).
 *
 * While a victim dies nobody else is chosen, unless it takes too long: it may wait for a lock that
 * the one who came here holds. That is also why nobody waits here for long: the allocation fails
 * instead, the system call with ENOMEM, and the fault is taken again.
 *
 * A program that ends processes itself, before memory runs out, has process_mrelease(2): it need not
 * wait until the victim has come to its end, which may take as long as what its threads wait for.
 */
#include "internal.h"
#include <vellum/lru.h>
#include <vellum/mm.h>
#include <vellum/page.h>
#include <vellum/printk.h>
#include <vellum/reclaim.h>
#include <vellum/swap.h>
#include <vellum/sync.h>
#include <vellum/syscall.h>
#include <vellum/time.h>
#include <vellum/vmstat.h>

#define OOM_NEVER   (-1000)
#define WAIT_STEP   (5 * NSEC_PER_MSEC)
#define WAIT_STEPS  20                 /* at most, for the victim's memory */
#define DYING_LIMIT (2 * NSEC_PER_SEC) /* a victim that is not gone by then is not waited for */
#define LITTLE      32                 /* a part of memory */
#define TABLE_PAUSE (5 * NSEC_PER_SEC) /* between two tables of all processes in the log */

int oom_dump_tasks = 1, oom_kill_allocating_task, panic_on_oom; /* as vm.* (proc(5)) */

static DEFINE_MUTEX(oom_mutex);
static DEFINE_WAIT_QUEUE(nobody); /* wakes us: a time-out or a fatal signal ends the wait */

/* What a process has, in pages. */
struct usage_pages {
    struct mm_usage memory;
    u64 tables, total;
    struct mm *mm; /* to compare only */
    u32 uid;
};

static u64 resident(const struct usage_pages *u)
{
    return u->memory.anonymous + u->memory.file + u->memory.shared;
}

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
            .tables = max(atomic_read(&mm->table_pages), 0L),
            .total = mm->total_pages,
            .mm = mm,
            .uid = t->cred->uid,
        };
        mm_get_usage(mm, &u->memory, false);
    }
    spin_unlock_irqrestore(&p->lock, flags);
    return mm != NULL;
}

static s64 memory_and_swap(void)
{
    struct swap_counts swap;

    swap_counts(&swap);
    return boot_memory_total() / PAGE_SIZE + swap.total;
}

/* The points of a process, in pages; may be negative. */
static s64 oom_points(const struct usage_pages *u, int adjustment, s64 all)
{
    return (s64)(resident(u) + u->memory.swapped + u->tables) + adjustment * all / 1000;
}

int process_oom_score(struct process *p)
{
    int adjustment = READ_ONCE(p->oom_score_adj);
    struct usage_pages u;
    s64 all;

    if (adjustment == OOM_NEVER || !usage_of(p, &u))
        return 0;
    all = memory_and_swap();
    return clamp((1000 + oom_points(&u, adjustment, all) * 1000 / all) * 2 / 3, 0L, 2000L);
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
    s64 worst_points = 0, points, all = memory_and_swap();
    struct usage_pages u;
    pid_t next = 1;
    int adjustment;

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
        adjustment = READ_ONCE(p->oom_score_adj);
        if (p->oom_victim_since)
            continue;
        if (swapoff_is_run_by(p))
            points = INT64_MAX;
        else if (adjustment == OOM_NEVER)
            continue;
        else
            points = max(oom_points(&u, adjustment, all), 1L);
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

/* What there is, and who has it. */
static void report_memory(void)
{
    struct swap_counts swap;

    swap_counts(&swap);
    pr_info("Mem-Info: free:%lukB active_anon:%lukB inactive_anon:%lukB active_file:%lukB "
            "inactive_file:%lukB unevictable:%lukB",
            kilobytes(frames_free()), kilobytes(lru_count(LRU_ACTIVE_ANON)),
            kilobytes(lru_count(LRU_INACTIVE_ANON)), kilobytes(lru_count(LRU_ACTIVE_FILE)),
            kilobytes(lru_count(LRU_INACTIVE_FILE)), kilobytes(lru_count(LRU_UNEVICTABLE)));
    pr_info("Swap: free:%lukB total:%lukB cached:%lukB", kilobytes(swap.free),
            kilobytes(swap.total), kilobytes(swap.cached));
}

static void report_processes(void)
{
    struct usage_pages u;
    struct process *p;
    pid_t next = 1;

    pr_info("Tasks state (memory values in pages):");
    pr_info("[  pid  ]   uid  total_vm      rss pgtables_bytes swapents oom_score_adj name");
    for (; (p = process_next(next)) != NULL; process_put(p)) {
        struct thread *leader = process_leader(p);

        next = p->pid + 1;
        if (usage_of(p, &u))
            pr_info("[%7d] %5u  %8lu %8lu %14lu %8lu %13d %s", p->pid, u.uid,
                    (unsigned long)u.total, (unsigned long)resident(&u),
                    (unsigned long)(u.tables * PAGE_SIZE), (unsigned long)u.memory.swapped,
                    p->oom_score_adj, leader ? leader->comm : "?");
        if (leader)
            thread_put(leader);
    }
}

/* => oom_mutex */
static void report(unsigned order)
{
    static ktime_t last;

    pr_err("%s invoked oom-killer: order=%u, oom_score_adj=%d", current->comm, order,
           current->process ? current->process->oom_score_adj : 0);
    report_memory();
    if (!oom_dump_tasks || (last && ktime_get() - last < TABLE_PAUSE))
        return;
    report_processes();
    last = ktime_get();
}

static void end_one(struct process *p, const struct usage_pages *u)
{
    struct thread *leader = process_leader(p);

    pr_err("Out of memory: Killed process %d (%s) total-vm:%lukB, anon-rss:%lukB, file-rss:%lukB, "
           "shmem-rss:%lukB, UID:%u pgtables:%lukB oom_score_adj:%d",
           p->pid, leader ? leader->comm : "?", kilobytes(u->total), kilobytes(u->memory.anonymous),
           kilobytes(u->memory.file), kilobytes(u->memory.shared), u->uid, kilobytes(u->tables),
           p->oom_score_adj);
    if (leader)
        thread_put(leader);
    vm_event(oom_kill);
    p->oom_victim_since = ktime_get();
    signal_send_process(p, SIGKILL, NULL);
    kill_sharers(u->mm);
}

/* Not even the worst has much: memory is full of what counts for nobody, such as pipes and files in
 * memory. Then whoever asks for more has filled it, as likely as not. */
static bool has_little(const struct process *worst, const struct usage_pages *u)
{
    s64 all = memory_and_swap();

    return oom_points(u, READ_ONCE(worst->oom_score_adj), all) < all / LITTLE;
}

/* Whoever asked instead of the worst, if it may be ended (vm.oom_kill_allocating_task, has_little()). */
static struct process *prefer_asking(struct process *worst, struct usage_pages *u)
{
    struct process *p = current->process;

    if (!p || p == init_process || p->oom_victim_since || p->oom_score_adj == OOM_NEVER ||
        !usage_of(p, u))
        return worst;
    process_get(p);
    process_put(worst);
    return p;
}

/* => may sleep; locks of others may be held, which is why this does not wait for long */
bool out_of_memory(unsigned order)
{
    struct usage_pages u = {};
    struct process *victim = NULL;
    bool dying = true;

    if (fatal_signal_pending())
        return true;
    if (mutex_trylock(&oom_mutex)) {
        victim = choose(&u, &dying);
        if (victim && (oom_kill_allocating_task || has_little(victim, &u)))
            victim = prefer_asking(victim, &u);
        if (victim) {
            report(order);
            if (panic_on_oom)
                panic("Out of memory: vm.panic_on_oom is set");
            end_one(victim, &u);
        }
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
