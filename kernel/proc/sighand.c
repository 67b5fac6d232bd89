/* SPDX-License-Identifier: MIT */
/*
 * Tables of signal handlers.
 *
 * Most signals of most processes have the default action, so a table says in a bit set which entries
 * were ever set, and only those are copied by fork and reset by exec.
 *
 * The table's lock guards all that concerns signals in the processes that use it. A process changes
 * its table only in exec, and only if it shares it with another process. Whoever locks another
 * process's table has interrupts off from the moment it reads p->sighand until it holds the lock
 * (sighand_lock()); so once an interrupt has been answered by every CPU, nobody is still on the way
 * to a table that was replaced, and it can be put.
 */
#include "internal.h"
#include <vellum/alloc.h>
#include <vellum/smp.h>

static struct object_cache *sighand_cache;

void sighands_init(void)
{
    sighand_cache = object_cache_create("sighand", sizeof(struct sighand), 0);
    if (!sighand_cache)
        panic("no memory for signal handlers");
}

struct sighand *sighand_alloc(void)
{
    struct sighand *s = object_alloc(sighand_cache, ALLOC_KERNEL);

    if (!s)
        return NULL;
    ref_init(&s->refs);
    spin_init(&s->lock);
    s->set = s->ignored = s->caught = 0;
    return s;
}

struct sighand *sighand_copy(struct sighand *from)
{
    struct sighand *s = sighand_alloc();
    unsigned long flags;

    if (!s)
        return NULL;
    flags = spin_lock_irqsave(&from->lock);
    s->set = from->set;
    s->ignored = from->ignored;
    s->caught = from->caught;
    for (signal_set left = s->set; left; left &= left - 1) {
        int signo = __builtin_ctzll(left) + 1;

        *sighand_slot(s, signo) = *sighand_slot(from, signo);
    }
    spin_unlock_irqrestore(&from->lock, flags);
    return s;
}

void sighand_put(struct sighand *s)
{
    if (ref_put(&s->refs))
        object_free(sighand_cache, s);
}

struct sighand *sighand_lock(struct process *p, unsigned long *flags)
{
    *flags = irq_save();
    for (;;) {
        struct sighand *s = READ_ONCE(p->sighand);

        spin_lock(&s->lock);
        if (likely(s == READ_ONCE(p->sighand)))
            return s;
        spin_unlock(&s->lock);
    }
}

static void answer(void *unused)
{
}

int sighand_unshare(struct process *p)
{
    struct sighand *old = p->sighand, *new;
    unsigned long flags;

    if (likely(atomic_read(&old->refs) == 1))
        return 0;
    new = sighand_copy(old);
    if (!new)
        return -ENOMEM;
    flags = spin_lock_irqsave(&old->lock);
    WRITE_ONCE(p->sighand, new);
    spin_unlock_irqrestore(&old->lock, flags);
    preempt_disable();
    smp_call(&cpus_online, answer, NULL);
    preempt_enable();
    sighand_put(old);
    return 0;
}

/* Ignored signals stay ignored (execve(2)), with no flags. */
void sighand_reset(struct process *p)
{
    unsigned long flags;
    struct sighand *s = sighand_lock(p, &flags);

    s->set = s->ignored;
    s->caught = 0;
    for (signal_set left = s->set; left; left &= left - 1)
        *sighand_slot(s, __builtin_ctzll(left) + 1) =
            (struct sigaction_k){.handler = (vaddr_t)SIG_IGN};
    sighand_unlock(s, flags);
}

struct sigaction_k sighand_action(struct sighand *s, int signo)
{
    if (s->set & signal_bit(signo))
        return *sighand_slot(s, signo);
    return (struct sigaction_k){0};
}
