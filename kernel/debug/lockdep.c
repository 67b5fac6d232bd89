/* SPDX-License-Identifier: MIT */
/*
 * The order of locks, learnt and checked while the kernel runs.
 *
 * Locks that are initialised at the same place form a class, and so do those in a static variable.
 * Whenever a lock of class B is waited for while one of class A is held, "A before B" becomes an
 * edge of a graph, with the backtrace of the first time. If the graph already has a path from B to
 * A, two processors could wait for each other for ever, and we stop - at the first time that the
 * order is wrong, whether or not anybody waits this time.
 *
 *        A --> C --> D           D held, A wanted: the path A..D is there: report
 *         \--> B
 *
 * Interrupts are a second way to deadlock. A class that an interrupt handler takes must never be
 * held with interrupts on, nor be held while waiting for a class that is: the handler could come
 * to the processor that holds the latter. So there must be no path from a class marked IN_IRQ to
 * one marked IRQS_ON (a path of no edges, which is one class with both marks, included).
 *
 * What is known already costs a look at one bit for each lock held. Spinning locks are kept for
 * each processor, since whoever holds one stays there, and the run queue's lock is passed from a
 * thread to the next; sleeping ones are kept for each thread.
 */
#include <vellum/lockdep.h>
#include <vellum/mm.h>
#include <vellum/printk.h>
#include <vellum/symbols.h>

#define CLASSES    512
#define MOST_EDGES 4096
#define DEPTH      7
#define IMAGE      (~0xffffffffUL)
#define HASH_SIZE  1024

enum { IN_IRQ = 1, IRQS_ON = 2 };

struct class
{
    vaddr_t key;     /* where its locks are initialised, or the address of its only one */
    unsigned nested; /* classes of the same locks, one in another */
    u16 next;        /* in the hash chain */
    u8 marks;        /* IN_IRQ, IRQS_ON */
    u32 marked_at[2][DEPTH];
};

struct edge {
    u16 from, to; /* 0: free */
    u32 taken_at; /* where `from` was taken */
    u32 trace[DEPTH];
};

static struct class classes[CLASSES];      /* [graph] index 0 is not used */
static unsigned class_count = 1;           /* [graph] */
static u16 class_hash[HASH_SIZE];          /* [graph] */
static u64 follows[CLASSES][CLASSES / 64]; /* [graph] to change: bit b of row a is edge a -> b */
static struct edge edges[MOST_EDGES];      /* [graph] open hashing */
static u16 came_from[CLASSES], queue[CLASSES]; /* [graph] of the search */
static struct held_locks cpu_held[MAX_CPUS];   /* [that CPU] interrupts off */
static u32 graph_lock;                         /* a bare word: it must not check itself */
static bool off;                               /* a report has begun */

static unsigned long graph_enter(void)
{
    unsigned long flags = irq_save();

    while (__atomic_exchange_n(&graph_lock, 1, __ATOMIC_ACQUIRE))
        cpu_relax();
    return flags;
}

static void graph_leave(unsigned long flags)
{
    __atomic_store_n(&graph_lock, 0, __ATOMIC_RELEASE);
    irq_restore(flags);
}

/* ---- reports ----------------------------------------------------------------------------------------- */

static void print_pc(const char *what, u32 pc)
{
    u64 offset = 0;
    const char *name = symbol_lookup((IMAGE | pc) - 1, &offset);

    printk(LOG_EMERG, "%s %s+0x%lx", what, name ? name : "?", (unsigned long)offset + 1);
}

static void print_trace(const u32 *trace)
{
    for (unsigned i = 0; i < DEPTH && trace[i]; i++)
        print_pc("       ", trace[i]);
}

static void print_class(const char *what, unsigned class)
{
    const struct class *c = &classes[class];
    u64 offset = 0;
    const char *name = symbol_lookup(c->key, &offset);

    printk(LOG_EMERG, "%s [%u.%u], %s %s+0x%lx", what, class, c->nested,
           offset ? "initialised in" : "static:", name ? name : "?", (unsigned long)offset);
}

static struct edge *edge_slot(unsigned from, unsigned to)
{
    unsigned i = (from * 31 + to) % MOST_EDGES;

    while (edges[i].from && (edges[i].from != from || edges[i].to != to))
        i = (i + 1) % MOST_EDGES;
    return &edges[i];
}

/* The path that the last search found, backwards from its end. */
static void print_path(unsigned start, unsigned end)
{
    for (unsigned to = end; to != start; to = came_from[to]) {
        const struct edge *e = edge_slot(came_from[to], to);

        print_class("   lock", e->to);
        print_class("     was taken while holding", e->from);
        print_pc("     which was taken at", e->taken_at);
        print_trace(e->trace);
    }
}

static void take_trace(u32 trace[DEPTH])
{
    struct stack_walk walk;
    unsigned n = 0, skip = 3; /* our own functions */

    arch_stack_walk_start(&walk, NULL);
    while (n < DEPTH && arch_stack_walk_next(&walk)) {
        if (skip)
            skip--;
        else
            trace[n++] = (u32)walk.pc;
    }
    if (n < DEPTH)
        trace[n] = 0;
}

/* ---- the graph => graph ------------------------------------------------------------------------------- */

static unsigned class_find(vaddr_t key, unsigned nested)
{
    u16 *slot = &class_hash[(key / 4 + nested) % HASH_SIZE];
    unsigned i;

    for (i = *slot; i; i = classes[i].next)
        if (classes[i].key == key && classes[i].nested == nested)
            return i;
    if (class_count == CLASSES) {
        off = true;
        panic("more than %u classes of locks", CLASSES);
    }
    i = class_count++;
    classes[i] = (struct class){.key = key, .nested = nested, .next = *slot};
    *slot = i;
    return i;
}

static inline bool edge_known(unsigned from, unsigned to)
{
    return __atomic_load_n(&follows[from][to / 64], __ATOMIC_RELAXED) & BIT(to % 64);
}

/* Search forward from `start` for class `target`, or (target 0) for one with `mark`; breadth first.
 * Returns the class found, or 0. */
static unsigned search(unsigned start, unsigned target, u8 mark)
{
    unsigned head = 0, tail = 0;

    for (unsigned i = 0; i < class_count; i++)
        came_from[i] = 0;
    came_from[start] = start;
    queue[tail++] = start;
    while (head < tail) {
        unsigned at = queue[head++];

        if (target ? at == target : classes[at].marks & mark)
            return at;
        for (unsigned w = 0; w < CLASSES / 64; w++)
            for (u64 rest = follows[at][w]; rest; rest &= rest - 1) {
                unsigned to = w * 64 + __builtin_ctzll(rest);

                if (!came_from[to]) {
                    came_from[to] = at;
                    queue[tail++] = to;
                }
            }
    }
    return 0;
}

static void edge_add(const struct held_lock *held, unsigned class)
{
    struct edge *e = edge_slot(held->class, class);
    static unsigned count;

    if (++count > MOST_EDGES / 4 * 3) {
        off = true;
        panic("more than %u pairs of locks", MOST_EDGES / 4 * 3);
    }
    e->from = held->class;
    e->to = class;
    e->taken_at = held->pc;
    take_trace(e->trace);
    __atomic_fetch_or(&follows[held->class][class / 64], BIT(class % 64), __ATOMIC_RELAXED);
}

/* Is there a class that interrupts take from which one that is held with interrupts on can be
 * reached? Whenever the graph or a mark has changed. */
static void check_interrupts(void)
{
    for (unsigned from = 1; from < class_count; from++) {
        unsigned to = classes[from].marks & IN_IRQ ? search(from, 0, IRQS_ON) : 0;

        if (!to)
            continue;
        off = true;
        print_class("lock order: an interrupt takes", from);
        print_trace(classes[from].marked_at[0]);
        print_class(" and with interrupts on somebody holds", to);
        print_trace(classes[to].marked_at[1]);
        print_path(from, to);
        panic("lock order: a lock of interrupts is held, or waits, with interrupts on");
    }
}

static __noinline void learn(const struct held_lock *held, unsigned class, u32 pc)
{
    unsigned long flags = graph_enter();

    if (!off && !edge_known(held->class, class)) {
        if (search(class, held->class, 0)) {
            off = true;
            print_class("lock order: now wanted", class);
            print_class(" while holding", held->class);
            print_pc(" which was taken at", held->pc);
            printk(LOG_EMERG, " but before, the other way round:");
            print_path(class, held->class);
            panic("lock order: two processors could wait for each other");
        }
        edge_add(held, class);
        check_interrupts();
    }
    graph_leave(flags);
}

static __noinline void learn_mark(unsigned class, u8 mark)
{
    unsigned long flags = graph_enter();

    if (!off && !(classes[class].marks & mark)) {
        classes[class].marks |= mark;
        take_trace(classes[class].marked_at[mark == IRQS_ON]);
        check_interrupts();
    }
    graph_leave(flags);
}

/* ---- what is held --------------------------------------------------------------------------------------- */

void lock_id_init(struct lock_id *id, vaddr_t site)
{
    id->site = (u32)site;
    id->class = id->nests = 0;
}

void lock_may_nest(struct lock_id *id)
{
    id->nests = 1;
}

/* The variable that a static lock is, or is a part of: so the locks of a table are one class. */
static vaddr_t key_of_static(const void *lock)
{
    u64 offset = 0;

    if (((vaddr_t)lock & IMAGE) != IMAGE || !symbol_lookup((vaddr_t)lock, &offset)) {
        off = true;
        panic("lock %p was never initialised", lock);
    }
    return (vaddr_t)lock - offset;
}

static unsigned class_of(struct lock_id *id, const void *lock, unsigned nested)
{
    unsigned class = READ_ONCE(id->class);
    vaddr_t key = IMAGE | id->site;
    unsigned long flags;

    if (likely(class && !nested))
        return class;
    if (!id->site)
        key = key_of_static(lock);
    flags = graph_enter();
    class = class_find(key, nested);
    graph_leave(flags);
    if (!nested)
        WRITE_ONCE(id->class, class);
    return class;
}

static void check_against(const struct held_locks *held, unsigned irq_depth, const void *lock,
                          unsigned class, bool nests, u32 pc)
{
    for (unsigned i = 0; i < held->count; i++) {
        const struct held_lock *h = &held->locks[i];

        if (h->irq_depth != irq_depth)
            continue;
        if (unlikely(h->class == class)) {
            if (nests && h->lock != lock)
                continue;
            off = true;
            print_class("lock order: wanted", class);
            print_pc(" is held already, since", h->pc);
            panic(h->lock == lock ? "lock order: taken twice"
                                  : "lock order: two locks of a class, in no order");
        }
        if (unlikely(!edge_known(h->class, class)))
            learn(h, class, pc);
    }
}

void lockdep_order(struct lock_id *id, const void *lock, unsigned nested, bool spins, vaddr_t pc)
{
    unsigned long flags;
    unsigned class, depth;
    u8 mark;

    if (off)
        return;
    pc = pc ? pc : LOCKDEP_HERE;
    class = class_of(id, lock, nested);
    depth = this_cpu()->irq_depth;
    if (spins) {
        mark = depth ? IN_IRQ : irqs_enabled() ? IRQS_ON : 0;
        if (unlikely(mark & ~READ_ONCE(classes[class].marks)))
            learn_mark(class, mark);
        flags = irq_save();
        check_against(&cpu_held[this_cpu()->id], depth, lock, class, id->nests, (u32)pc);
        irq_restore(flags);
    }
    if (!depth)
        check_against(&current->held, 0, lock, class, id->nests, (u32)pc);
}

void lockdep_taken(struct lock_id *id, const void *lock, unsigned nested, bool spins, vaddr_t pc)
{
    unsigned class = off ? 0 : class_of(id, lock, nested);
    unsigned long flags = irq_save();
    struct held_locks *held = spins ? &cpu_held[this_cpu()->id] : &current->held;

    if (held->count == ARRAY_SIZE(held->locks)) {
        off = true;
        panic("more than %lu locks held", (unsigned long)ARRAY_SIZE(held->locks));
    }
    held->locks[held->count++] = (struct held_lock){lock, (u32)(pc ? pc : LOCKDEP_HERE), class,
                                                    spins ? this_cpu()->irq_depth : 0};
    irq_restore(flags);
}

void lockdep_released(const void *lock, bool spins)
{
    unsigned long flags = irq_save();
    struct held_locks *held = spins ? &cpu_held[this_cpu()->id] : &current->held;
    unsigned i = held->count;

    while (i > 0 && held->locks[i - 1].lock != lock)
        i--;
    if (i == 0 && !off) {
        off = true;
        panic("lock %p is released by one who has not taken it", lock);
    }
    if (i > 0) {
        held->count--;
        for (i--; i < held->count; i++)
            held->locks[i] = held->locks[i + 1];
    }
    irq_restore(flags);
}

void lockdep_thread_init(struct thread *thread)
{
    thread->held.count = 0;
}

void assert_no_locks(void)
{
    if (current->held.count == 0 || off)
        return;
    off = true;
    print_class("still held:", current->held.locks[0].class);
    print_pc(" taken at", current->held.locks[0].pc);
    panic("a lock is held where none may be");
}

void assert_may_fault(void)
{
    struct thread *t = current;

    if (t->nofault || !t->mm)
        return;
    assert_may_sleep();
    lockdep_order(&t->mm->lock.id, &t->mm->lock, 0, false, LOCKDEP_HERE);
}
