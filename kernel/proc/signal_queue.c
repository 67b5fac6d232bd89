/* SPDX-License-Identifier: MIT */
/*
 * Signals that wait: the queues of a thread and of a process.
 *
 *     set     a bit for each signal that waits
 *     infos   struct queued_signal: where one came from, in order of arrival
 *
 * The bit is what counts. A record may be missing, when the user has as many as RLIMIT_SIGPENDING allows
 * or there is no memory: a standard signal comes through without, and a real-time one is refused
 * (EAGAIN). Of a standard signal there is at most one record, for a second one changes nothing; the bit
 * of a real-time signal stays until the last of its records has been taken.
 *
 * The lowest number is taken first, but for what the thread has brought on itself just now (SIGSEGV and
 * the like): that must be delivered where it happened. A thread's own queue comes before its process's.
 *
 * All of it is under sighand->lock.
 */
#include "core.h"
#include <vellum/alloc.h>
#include <vellum/string.h>

static struct object_cache *queued_cache;

void signals_init(void)
{
    queued_cache = object_cache_create("queued_signal", sizeof(struct queued_signal), 0);
    if (!queued_cache)
        panic("no memory for signals");
    sighands_init();
}

void signal_queue_init(struct signal_queue *q)
{
    q->set = 0;
    list_init(&q->infos);
}

/* It was taken off its queue; info: it is about to be delivered with that, or NULL. */
static void queued_end(struct queued_signal *s, siginfo_t *info)
{
    if (unlikely(s->taken != NULL)) {
        list_init(&s->link);
        s->taken(s, info);
        return;
    }
    atomic_dec(&s->user->queued_signals);
    user_put(s->user);
    object_free(queued_cache, s);
}

void signal_queue_remove(struct signal_queue *q, signal_set mask)
{
    struct queued_signal *s, *next;

    if (!(q->set & mask))
        return;
    q->set &= ~mask;
    list_for_each_entry_safe(s, next, &q->infos, link) {
        if (!(signal_bit(s->info.si_signo) & mask))
            continue;
        list_del(&s->link);
        queued_end(s, NULL);
    }
}

void signal_queue_flush(struct signal_queue *q)
{
    signal_queue_remove(q, ~0UL);
}

/* ---- adding -------------------------------------------------------------------------------------------- */

/* Whose signals are counted, with a reference: another thread may be changing its credentials. */
static struct user *user_of(struct thread *target)
{
    struct process *p = target->process;
    struct user *user;

    if (target != current)
        spin_lock(&p->lock);
    user = target->cred->user;
    ref_get(&user->refs);
    if (target != current)
        spin_unlock(&p->lock);
    return user;
}

int signal_queue_add(struct signal_queue *q, struct thread *target, int signo,
                     const siginfo_t *info)
{
    bool must = signo >= SIGRTMIN && info && info->si_code != SI_USER && info->si_code != SI_KERNEL;
    struct user *user = user_of(target);
    struct queued_signal *s = NULL;
    u64 limit = target->process->limits[RLIMIT_SIGPENDING].rlim_cur;

    if ((u64)atomic_inc_return(&user->queued_signals) <= limit ||
        (signo < SIGRTMIN && (!info || info->si_code >= 0)))
        s = object_alloc(queued_cache, ALLOC_ATOMIC);
    if (!s) {
        atomic_dec(&user->queued_signals);
        user_put(user);
        return must ? -EAGAIN : 0;
    }
    s->user = user;
    s->taken = NULL;
    if (info) {
        s->info = *info;
    } else {
        memset(&s->info, 0, sizeof(s->info));
        s->info.si_code = SI_KERNEL;
    }
    s->info.si_signo = signo;
    list_add_tail(&s->link, &q->infos);
    return 0;
}

void signal_unqueue(struct queued_signal *s)
{
    int signo = s->info.si_signo;
    struct queued_signal *other;

    if (list_empty(&s->link))
        return;
    list_del_init(&s->link);
    list_for_each_entry(other, &s->queue->infos, link)
        if (other->info.si_signo == signo)
            return;
    s->queue->set &= ~signal_bit(signo);
}

/* ---- taking -------------------------------------------------------------------------------------------- */

/* Take the oldest instance of signo off; without a record of it (none could be allocated) there is
 * little to tell. */
static void queue_take(struct signal_queue *q, int signo, siginfo_t *info)
{
    struct queued_signal *s, *found = NULL;

    list_for_each_entry(s, &q->infos, link) {
        if (s->info.si_signo != signo)
            continue;
        if (found)
            goto more; /* the bit stays: another one is there */
        found = s;
    }
    q->set &= ~signal_bit(signo);
    if (!found) {
        memset(info, 0, sizeof(*info));
        info->si_signo = signo;
        info->si_code = SI_USER;
        return;
    }
more:
    list_del(&found->link);
    *info = found->info;
    queued_end(found, info);
}

static int first_signal(signal_set set)
{
    if (set & SIGNALS_SYNCHRONOUS)
        set &= SIGNALS_SYNCHRONOUS;
    return set ? __builtin_ctzll(set) + 1 : 0;
}

int signal_take(signal_set mask, siginfo_t *info)
{
    struct thread *t = current;
    struct signal_queue *q = &t->pending;
    int signo = first_signal(q->set & mask);

    if (!signo) {
        q = &t->process->pending;
        signo = first_signal(q->set & mask);
    }
    if (signo)
        queue_take(q, signo, info);
    return signo;
}

/* Those of which no record could be kept are not shown. */
bool signal_queue_peek(const struct signal_queue *q, u64 n, siginfo_t *info)
{
    struct queued_signal *s;

    list_for_each_entry(s, &q->infos, link)
        if (n-- == 0) {
            *info = s->info;
            return true;
        }
    return false;
}

int signal_dequeue(signal_set set, siginfo_t *info)
{
    struct process *p = current->process;
    unsigned long flags = spin_lock_irqsave(&p->sighand->lock);
    int signo = signal_take(set, info);

    signal_recalc(current);
    spin_unlock_irqrestore(&p->sighand->lock, flags);
    return signo;
}

signal_set signals_pending(void)
{
    struct process *p = current->process;
    unsigned long flags = spin_lock_irqsave(&p->sighand->lock);
    signal_set set = current->pending.set | p->pending.set;

    spin_unlock_irqrestore(&p->sighand->lock, flags);
    return set;
}
