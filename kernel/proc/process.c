/* SPDX-License-Identifier: MIT */
/*
 * Processes: the structure, who refers to it, and what others may ask of it.
 *
 * The life of a process:
 *
 *     process_clone()      LIVE     in the tree (parent, group, session), its first thread runs
 *     last thread exits    ZOMBIE   memory, files, threads are gone; number, times, status are kept
 *     waited for           REAPED   out of the tree; the structure goes with the last reference
 */
#include "internal.h"
#include <vellum/alloc.h>
#include <vellum/mm.h>
#include <vellum/string.h>
#include <linux/prctl.h>

DEFINE_SPINLOCK(tree_lock);
struct list all_processes = LIST_INIT(all_processes);
struct process *init_process;
static struct object_cache *process_cache;

/* What the first process starts with, and Linux's defaults (getrlimit(2)). */
u64 threads_max = 64;
static const struct rlimit64 first_limits[RLIM_NLIMITS] = {
    [RLIMIT_CPU] = {RLIM64_INFINITY, RLIM64_INFINITY},
    [RLIMIT_FSIZE] = {RLIM64_INFINITY, RLIM64_INFINITY},
    [RLIMIT_DATA] = {RLIM64_INFINITY, RLIM64_INFINITY},
    [RLIMIT_STACK] = {8 << 20, RLIM64_INFINITY},
    [RLIMIT_CORE] = {0, RLIM64_INFINITY},
    [RLIMIT_RSS] = {RLIM64_INFINITY, RLIM64_INFINITY},
    [RLIMIT_NPROC] = {0, 0}, /* by the amount of memory: process_init() */
    [RLIMIT_NOFILE] = {1024, 4096},
    [RLIMIT_MEMLOCK] = {8 << 20, 8 << 20},
    [RLIMIT_AS] = {RLIM64_INFINITY, RLIM64_INFINITY},
    [RLIMIT_LOCKS] = {RLIM64_INFINITY, RLIM64_INFINITY},
    [RLIMIT_SIGPENDING] = {0, 0},
    [RLIMIT_MSGQUEUE] = {819200, 819200},
    [RLIMIT_NICE] = {0, 0},
    [RLIMIT_RTPRIO] = {0, 0},
    [RLIMIT_RTTIME] = {RLIM64_INFINITY, RLIM64_INFINITY},
};

struct process *process_alloc(struct process *parent)
{
    struct process *p = object_alloc(process_cache, ALLOC_KERNEL);

    if (!p)
        return NULL;
    memset(p, 0, sizeof(*p));
    ref_init(&p->refs);
    spin_init(&p->lock);
    list_init(&p->threads);
    list_init(&p->children);
    list_init(&p->zombies);
    list_init(&p->tracees);
    list_init(&p->sibling);
    wait_queue_init(&p->child_wait);
    wait_queue_init(&p->exit_wait);
    signal_queue_init(&p->pending);
    itimers_init(&p->itimers, p);
    p->start_time = ktime_get();
    if (parent) {
        memcpy(p->limits, parent->limits, sizeof(p->limits));
        p->no_new_privileges = parent->no_new_privileges;
        p->personality = parent->personality;
        p->oom_score_adj = parent->oom_score_adj;
        p->core_filter = parent->core_filter;
    }
    return p;
}

void process_free(struct process *p)
{
    signal_queue_flush(&p->pending);
    if (p->sighand)
        sighand_put(p->sighand);
    if (unlikely(p->signal_watch != NULL))
        signal_watch_put(p->signal_watch);
    object_free(process_cache, p);
}

void process_get(struct process *p)
{
    ref_get(&p->refs);
}

void process_put(struct process *p)
{
    if (ref_put(&p->refs))
        process_free(p);
}

/* ---- what others ask -------------------------------------------------------------------------------- */

/* Some thread of p that still has its memory and files, preferably the first one. => p->lock */
static struct thread *living_thread(struct process *p)
{
    struct thread *t;

    assert(spin_held(&p->lock));
    if (p->leader && p->leader->fs)
        return p->leader;
    list_for_each_entry(t, &p->threads, thread_link)
        if (t->fs)
            return t;
    return NULL;
}

struct mm *process_mm(struct process *p)
{
    unsigned long flags = spin_lock_irqsave(&p->lock);
    struct thread *t = living_thread(p);
    struct mm *mm = t ? t->mm : NULL;

    if (mm && !mm_get_not_zero(mm))
        mm = NULL;
    spin_unlock_irqrestore(&p->lock, flags);
    return mm;
}

int process_dumpable(struct process *p)
{
    unsigned long flags = spin_lock_irqsave(&p->lock);
    struct thread *t = living_thread(p);
    int r = t && t->mm ? t->mm->dumpable == 1 : -1;

    spin_unlock_irqrestore(&p->lock, flags);
    return r;
}

struct files *process_files(struct process *p)
{
    unsigned long flags = spin_lock_irqsave(&p->lock);
    struct thread *t = living_thread(p);
    struct files *files = t && t->files ? files_get(t->files) : NULL;

    spin_unlock_irqrestore(&p->lock, flags);
    return files;
}

struct fs_context *process_fs_context(struct process *p)
{
    unsigned long flags = spin_lock_irqsave(&p->lock);
    struct thread *t = living_thread(p);
    struct fs_context *fs = t ? t->fs : NULL;

    if (fs)
        ref_get(&fs->refs);
    spin_unlock_irqrestore(&p->lock, flags);
    return fs;
}

struct thread *process_leader(struct process *p)
{
    unsigned long flags = spin_lock_irqsave(&p->lock);
    struct thread *t = p->leader;

    if (t)
        ref_get(&t->refs);
    spin_unlock_irqrestore(&p->lock, flags);
    return t;
}

const struct cred *process_cred(struct process *p)
{
    unsigned long flags = spin_lock_irqsave(&p->lock);
    const struct cred *cred = cred_get(p->leader ? p->leader->cred : &root_cred);

    spin_unlock_irqrestore(&p->lock, flags);
    return cred;
}

const struct cred *thread_cred(struct thread *t)
{
    unsigned long flags = spin_lock_irqsave(&t->process->lock);
    const struct cred *cred = cred_get(t->cred);

    spin_unlock_irqrestore(&t->process->lock, flags);
    return cred;
}

void process_usage(struct process *p, struct usage *u)
{
    unsigned long flags = spin_lock_irqsave(&tree_lock);
    struct thread *t;

    *u = p->dead_threads;
    spin_lock(&p->lock);
    list_for_each_entry(t, &p->threads, thread_link) {
        struct usage one;

        thread_usage(t, &one);
        usage_add(u, &one);
    }
    t = living_thread(p);
    if (t && t->mm)
        u->peak_resident = max(u->peak_resident, mm_peak_resident(t->mm));
    spin_unlock(&p->lock);
    spin_unlock_irqrestore(&tree_lock, flags);
}

void thread_usage(struct thread *t, struct usage *u)
{
    *u = (struct usage){
        .minor_faults = t->minor_faults,
        .major_faults = t->major_faults,
        .invalid_faults = t->invalid_faults,
        .voluntary_switches = t->voluntary_switches,
        .involuntary_switches = t->involuntary_switches,
        .io = t->io,
    };
    thread_times(t, &u->user_ns, &u->system_ns);
}

void usage_add(struct usage *sum, const struct usage *u)
{
    sum->user_ns += u->user_ns;
    sum->system_ns += u->system_ns;
    sum->minor_faults += u->minor_faults;
    sum->major_faults += u->major_faults;
    sum->invalid_faults += u->invalid_faults;
    sum->voluntary_switches += u->voluntary_switches;
    sum->involuntary_switches += u->involuntary_switches;
    sum->peak_resident = max(sum->peak_resident, u->peak_resident);
    sum->io.read_bytes += u->io.read_bytes;
    sum->io.written_bytes += u->io.written_bytes;
    sum->io.reads += u->io.reads;
    sum->io.writes += u->io.writes;
}

char thread_state_letter(const struct thread *t)
{
    int state = READ_ONCE(t->state);

    if (state == TASK_RUNNING)
        return 'R';
    if (state & TASK_STOPPED)
        return 'T';
    if (state & TASK_TRACED)
        return 't';
    return state & TASK_INTERRUPTIBLE ? 'S' : state & TASK_DEAD ? 'X' : 'D';
}

char process_state_letter(struct process *p)
{
    unsigned long flags = spin_lock_irqsave(&p->lock);
    char letter = 'Z';

    if (p->thread_count)
        letter = READ_ONCE(p->leader->state) == TASK_DEAD ? 'Z' : thread_state_letter(p->leader);
    spin_unlock_irqrestore(&p->lock, flags);
    return letter;
}

unsigned threads_blocked(void)
{
    unsigned long flags = spin_lock_irqsave(&tree_lock);
    struct process *p;
    struct thread *t;
    unsigned n = 0;

    list_for_each_entry(p, &all_processes, all_link) {
        spin_lock(&p->lock);
        list_for_each_entry(t, &p->threads, thread_link)
            n += (READ_ONCE(t->state) & (TASK_UNINTERRUPTIBLE | TASK_KILLABLE)) != 0;
        spin_unlock(&p->lock);
    }
    spin_unlock_irqrestore(&tree_lock, flags);
    return n;
}

bool thread_look_asleep(struct process *p, struct thread *t,
                        void (*fn)(struct thread *t, void *arg), void *arg)
{
    unsigned long flags = spin_lock_irqsave(&p->lock);
    struct thread *member;
    bool looked = false;

    /* As long as it is a member it has its stack. */
    list_for_each_entry(member, &p->threads, thread_link)
        if (member == t)
            looked = sched_look_asleep(t, fn, arg);
    spin_unlock_irqrestore(&p->lock, flags);
    return looked;
}

/* ---- the beginning ------------------------------------------------------------------------------------ */

static u64 current_limit(unsigned resource)
{
    return current->process ? process_limit(resource) : RLIM64_INFINITY;
}

void process_init(void)
{
    mm_limit = current_limit;
    mm_out_of_memory = out_of_memory;
    process_cache = object_cache_create("process", sizeof(struct process), CACHE_LINE);
    if (!process_cache)
        panic("no memory for processes");
    threads_init();
    pid_init();
    signals_init();
}

struct first_program {
    int (*fn)(void *);
    void *arg;
};

static void first_thread(void *arg)
{
    struct first_program program = *(struct first_program *)arg;

    irq_enable();
    preempt_enable();
    kernel_stacks_init();
    program.fn(program.arg);
    arch_enter_user();
}

static void limits_init(struct rlimit64 *limits)
{
    struct memory_counts counts;
    u64 threads;

    memory_counts(&counts);
    /* As many threads as would fill an eighth of memory with their stacks; half of them for a user. */
    threads_max = clamp(counts.total * PAGE_SIZE / (8 * KERNEL_STACK_SIZE), 64UL, PID_MAX - 1UL);
    threads = threads_max / 2;
    memcpy(limits, first_limits, sizeof(first_limits));
    limits[RLIMIT_NPROC] = limits[RLIMIT_SIGPENDING] = (struct rlimit64){threads, threads};
}

/* No failure is survivable here. */
void init_process_start(int (*fn)(void *), void *arg)
{
    static struct first_program program;
    struct process_group *group = group_alloc();
    struct process *p = process_alloc(NULL);
    struct thread *t = p ? thread_alloc(p) : NULL;
    unsigned long flags;

    if (!t || !group || !(p->sighand = sighand_alloc()))
        panic("no memory for the first process");
    program = (struct first_program){fn, arg};
    limits_init(p->limits);
    p->core_filter = CORE_FILTER_DEFAULT;
    p->exit_signal = SIGCHLD;
    init_process = p->parent = p;
    ref_get(&t->refs);
    p->leader = t;
    list_add(&t->thread_link, &p->threads);
    p->thread_count = 1;
    flags = spin_lock_irqsave(&tree_lock);
    if (tid_attach(t, 0))
        panic("no memory for the first process");
    p->pid = t->tid;
    group_join(p, 0, &group); /* so that it may call setsid(2) */
    session_join(p, 0, &group);
    list_add_tail(&p->all_link, &all_processes);
    spin_unlock_irqrestore(&tree_lock, flags);
    atomic_inc(&t->cred->user->processes);
    strlcpy(t->comm, "init", sizeof(t->comm));
    sched_fork(t, current);
    t->affinity.bits = ~0UL; /* wherever it likes, not just where it starts */
    arch_thread_start_kernel(t, first_thread, &program);
    wake_new_thread(t);
}
