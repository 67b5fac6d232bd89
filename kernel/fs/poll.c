/* SPDX-License-Identifier: MIT */
/*
 * poll(2).
 *
 * Each round asks every file which events are true. In the first round a file also puts an entry of
 * ours on the queues it will wake; once anything is found to be true no more are queued, and with a
 * timeout of 0 none is. Then the thread sleeps on a queue of its own, which the entries' wake
 * function wakes if the events it was woken with are of interest; and asks again.
 */
#include "poll.h"
#include <vellum/syscall.h>

struct poll_chunk {
    struct poll_chunk *next;
    unsigned n;
    struct poll_entry entries[];
};
#define CHUNK_ENTRIES ((PAGE_SIZE - sizeof(struct poll_chunk)) / sizeof(struct poll_entry))

static bool poll_wake(struct wait_entry *wait, unsigned long key)
{
    struct poll_entry *e = container_of(wait, struct poll_entry, wait);
    struct poller *p = e->poller;

    if (key && !(key & e->events))
        return false;
    WRITE_ONCE(p->triggered, true);
    wake_up(&p->wake, 1, 0);
    return true;
}

static struct poll_entry *entry_alloc(struct poller *p)
{
    struct poll_chunk *c = p->chunks;

    if (p->n_fast < POLL_FAST)
        return &p->fast[p->n_fast++];
    if (!c || c->n == CHUNK_ENTRIES) {
        c = kmalloc(PAGE_SIZE, ALLOC_KERNEL);
        if (!c)
            return NULL;
        c->next = p->chunks;
        c->n = 0;
        p->chunks = c;
    }
    return &c->entries[c->n++];
}

static void poll_queue(struct poll_table *table, struct file *file, struct wait_queue *q)
{
    struct poller *p = container_of(table, struct poller, table);
    struct poll_entry *e = entry_alloc(p);

    if (!e) {
        p->error = -ENOMEM;
        return;
    }
    *e = (struct poll_entry){
        .wait = {.link = LIST_INIT(e->wait.link), .thread = current, .wake = poll_wake},
        .queue = q,
        .file = file_get(file),
        .events = table->events | EPOLLERR | EPOLLHUP,
        .poller = p,
    };
    wait_add(q, &e->wait);
}

void poller_init(struct poller *p)
{
    p->table.queue = poll_queue;
    wait_queue_init(&p->wake);
    p->triggered = false;
    p->error = 0;
    p->n_fast = 0;
    p->chunks = NULL;
}

static void entries_end(struct poll_entry *entries, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        wait_remove(entries[i].queue, &entries[i].wait);
        file_put(entries[i].file);
    }
}

void poller_end(struct poller *p)
{
    struct poll_chunk *c;

    entries_end(p->fast, p->n_fast);
    while ((c = p->chunks) != NULL) {
        p->chunks = c->next;
        entries_end(c->entries, c->n);
        kfree(c);
    }
}

int poller_sleep(struct poller *p, ktime_t deadline)
{
    int error =
        wait_event_state(&p->wake, READ_ONCE(p->triggered), TASK_INTERRUPTIBLE, deadline, false);

    WRITE_ONCE(p->triggered, false);
    smp_fence(); /* then ask the files: what becomes true from here on triggers again */
    return error;
}

void deadline_to_user(struct __kernel_timespec __user *uts, ktime_t deadline)
{
    if (!uts || deadline == KTIME_MAX)
        return;
    if (timespec_to_user(uts, deadline ? ktime_left(deadline) : 0))
        return; /* the call itself was successful all the same */
}

/* ---- poll(2) ------------------------------------------------------------------------------------------ */

struct poll_set {
    struct pollfd *fds;
    unsigned n;
};

/* How many have events. */
static int poll_round(struct poller *p, void *arg)
{
    const struct poll_set *set = arg;
    unsigned events;
    struct fd_ref ref;
    int found = 0;

    for (struct pollfd *pfd = set->fds; pfd < set->fds + set->n; pfd++) {
        events = 0;
        if (likely(pfd->fd >= 0)) {
            ref = fd_get(pfd->fd);
            events = POLLNVAL;
            if (likely(ref.file))
                events = poll_file(p, ref.file, (u16)pfd->events | POLLERR | POLLHUP);
            fd_put(ref);
        }
        pfd->revents = events;
        if (events) {
            found++;
            p->table.queue = NULL; /* we will not sleep */
        }
    }
    return found;
}

#define POLL_STACK 32

static long do_poll(struct pollfd __user *ufds, unsigned n, ktime_t deadline)
{
    struct pollfd few[POLL_STACK], *fds = few;
    long result;

    if (n > process_limit(RLIMIT_NOFILE))
        return -EINVAL;
    if (n > POLL_STACK) {
        fds = kmalloc_array(n, sizeof(*fds), ALLOC_KERNEL);
        if (!fds)
            return -ENOMEM;
    }
    result = -EFAULT;
    if (copy_from_user(fds, ufds, n * sizeof(*fds)))
        goto out;
    result = poller_wait(poll_round, &(struct poll_set){fds, n}, deadline);
    for (unsigned i = 0; result >= 0 && i < n; i++) /* the range was checked by the copy above */
        if (arch_put_user_16(fds[i].revents, &ufds[i].revents))
            result = -EFAULT;
out:
    if (fds != few)
        kfree(fds);
    return result;
}

/* poll(2) goes on after a signal without a handler, with what is left of its time. */
static long poll_again(struct restart_block *r)
{
    long result = do_poll((struct pollfd __user *)r->arg[0], r->arg[1], r->arg[2]);

    return result == -EINTR ? -ERESTART_RESTARTBLOCK : result;
}

SYSCALL_DEFINE3(poll, struct pollfd __user *, fds, unsigned, n, int, timeout)
{
    ktime_t deadline = timeout < 0 ? KTIME_MAX : timeout ? ktime_after(timeout * NSEC_PER_MSEC) : 0;
    long result = do_poll(fds, n, deadline);

    if (result != -EINTR)
        return result;
    current->restart = (struct restart_block){poll_again, {(u64)fds, n, deadline}};
    return -ERESTART_RESTARTBLOCK;
}

SYSCALL_DEFINE5(ppoll, struct pollfd __user *, fds, unsigned, n, struct __kernel_timespec __user *,
                timeout, const void __user *, mask, size_t, mask_size)
{
    ktime_t deadline;
    long result = deadline_from_user(timeout, &deadline);

    if (!result && mask)
        result = signal_mask_user(mask, mask_size);
    if (result)
        return result;
    result = do_poll(fds, n, deadline);
    if (mask)
        signal_mask_restore(result == -EINTR);
    deadline_to_user(timeout, deadline);
    return result == -EINTR ? -ERESTARTNOHAND : result;
}
