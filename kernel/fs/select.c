/* SPDX-License-Identifier: MIT */
/*
 * select(2): poll with bit maps. What is common to both is in poll.c.
 */
#include "poll.h"
#include <vellum/bitmap.h>
#include <vellum/syscall.h>

#define IN_EVENTS     (EPOLLIN | EPOLLRDNORM | EPOLLRDBAND | EPOLLHUP | EPOLLERR)
#define OUT_EVENTS    (EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND | EPOLLERR)
#define EXCEPT_EVENTS EPOLLPRI

enum { IN, OUT, EXCEPT, SETS };

struct select_sets {
    unsigned n, words;
    unsigned long *wanted[SETS], *found[SETS];
};

#define STACK_WORDS (SETS * 2 * 4) /* 256 descriptors */

/* One descriptor that is in some set: sets its bits in `found`. Returns how many, or -EBADF. */
static inline int select_one(struct poller *p, struct select_sets *s, unsigned word, unsigned bit)
{
    static const unsigned events[SETS] = {IN_EVENTS, OUT_EVENTS, EXCEPT_EVENTS};
    struct fd_ref ref = fd_get(word * BITS_PER_WORD + bit);
    unsigned wanted = 0, now;
    int count = 0;

    if (unlikely(!ref.file))
        return -EBADF;
    if (s->wanted[IN][word] & BIT(bit))
        wanted = IN_EVENTS;
    if (s->wanted[OUT][word] & BIT(bit))
        wanted |= OUT_EVENTS;
    if (s->wanted[EXCEPT][word] & BIT(bit))
        wanted |= EXCEPT_EVENTS;
    now = poll_file(p, ref.file, wanted);
    fd_put(ref);
    if (likely(!now))
        return 0;
    for (unsigned i = 0; i < SETS; i++)
        if ((s->wanted[i][word] & BIT(bit)) && (now & events[i])) {
            s->found[i][word] |= BIT(bit);
            count++;
        }
    return count;
}

static int select_round(struct poller *p, void *arg)
{
    struct select_sets *s = arg;
    unsigned long any;
    int found = 0, n;

    for (unsigned w = 0; w < s->words; w++) {
        any = s->wanted[IN][w] | s->wanted[OUT][w] | s->wanted[EXCEPT][w];
        for (; any; any &= any - 1) {
            n = select_one(p, s, w, __builtin_ctzl(any));
            if (unlikely(n < 0))
                return n;
            found += n;
            if (found)
                p->table.queue = NULL;
        }
    }
    return found;
}

static int sets_copy_in(struct select_sets *s, unsigned long __user *const sets[SETS])
{
    unsigned rest = s->n % BITS_PER_WORD;

    for (unsigned i = 0; i < SETS; i++) {
        if (!sets[i]) {
            memset(s->wanted[i], 0, s->words * sizeof(long));
            continue;
        }
        if (copy_from_user(s->wanted[i], sets[i], s->words * sizeof(long)))
            return -EFAULT;
        if (rest)
            s->wanted[i][s->words - 1] &= BIT(rest) - 1;
    }
    return 0;
}

static int sets_copy_out(const struct select_sets *s, unsigned long __user *const sets[SETS])
{
    for (unsigned i = 0; i < SETS; i++)
        if (sets[i] && copy_to_user(sets[i], s->found[i], s->words * sizeof(long)))
            return -EFAULT;
    return 0;
}

static long do_select(int n, unsigned long __user *const sets[SETS], ktime_t deadline)
{
    unsigned long few[STACK_WORDS], *words = few;
    struct select_sets s;
    long result;

    if (n < 0)
        return -EINVAL;
    s.n = min_t(unsigned, n, max_t(unsigned, READ_ONCE(current->files->size), BITS_PER_WORD));
    s.words = DIV_ROUND_UP(s.n, BITS_PER_WORD);
    if (2 * SETS * s.words > STACK_WORDS) {
        words = kmalloc_array(2 * SETS * s.words, sizeof(long), ALLOC_KERNEL);
        if (!words)
            return -ENOMEM;
    }
    for (unsigned i = 0; i < SETS; i++) {
        s.wanted[i] = words + i * s.words;
        s.found[i] = words + (SETS + i) * s.words;
    }
    memset(s.found[0], 0, SETS * s.words * sizeof(long));
    result = sets_copy_in(&s, sets);
    if (!result)
        result = poller_wait(select_round, &s, deadline);
    if (result >= 0 && sets_copy_out(&s, sets))
        result = -EFAULT;
    if (words != few)
        kfree(words);
    return result;
}

SYSCALL_DEFINE5(select, int, n, unsigned long __user *, in, unsigned long __user *, out,
                unsigned long __user *, except, struct __kernel_old_timeval __user *, timeout)
{
    unsigned long __user *const sets[SETS] = {in, out, except};
    struct __kernel_old_timeval tv;
    ktime_t deadline = KTIME_MAX, now;
    long result;

    if (timeout) {
        if (copy_from_user(&tv, timeout, sizeof(tv)))
            return -EFAULT;
        if (tv.tv_sec < 0 || tv.tv_usec < 0)
            return -EINVAL;
        deadline = 0;
        if (tv.tv_sec || tv.tv_usec)
            deadline = tv.tv_sec > (long)(KTIME_MAX / NSEC_PER_SEC) / 2
                           ? KTIME_MAX
                           : ktime_after(tv.tv_sec * NSEC_PER_SEC + tv.tv_usec * NSEC_PER_USEC);
    }
    result = do_select(n, sets, deadline);
    if (timeout && deadline && deadline != KTIME_MAX) { /* what is left, as Linux tells it */
        now = ktime_get();
        now = deadline > now ? deadline - now : 0;
        tv.tv_sec = now / NSEC_PER_SEC;
        tv.tv_usec = now % NSEC_PER_SEC / NSEC_PER_USEC;
        if (copy_to_user(timeout, &tv, sizeof(tv)) && result >= 0)
            return result;
    }
    return result == -EINTR ? -ERESTARTNOHAND : result;
}

/* The sixth argument of pselect6(2). */
struct mask_argument {
    const void *mask;
    size_t size;
};

SYSCALL_DEFINE6(pselect6, int, n, unsigned long __user *, in, unsigned long __user *, out,
                unsigned long __user *, except, struct __kernel_timespec __user *, timeout,
                const struct mask_argument __user *, umask)
{
    unsigned long __user *const sets[SETS] = {in, out, except};
    struct mask_argument m = {0};
    ktime_t deadline;
    long result;

    if (umask && copy_from_user(&m, umask, sizeof(m)))
        return -EFAULT;
    result = deadline_from_user(timeout, &deadline);
    if (!result && m.mask)
        result = signal_mask_user(m.mask, m.size);
    if (result)
        return result;
    result = do_select(n, sets, deadline);
    if (m.mask)
        signal_mask_restore(result == -EINTR);
    deadline_to_user(timeout, deadline);
    return result == -EINTR ? -ERESTARTNOHAND : result;
}
