/* SPDX-License-Identifier: MIT */
/*
 * Signal-driven input and output (fcntl(2), O_ASYNC): a signal to the owner of an open file when
 * something can be read from it or written to it.
 *
 * It is a poll that nobody sleeps in: the open file stands in the queues that its poll method names, and
 * is "woken" with the events that came true. That happens under the locks of whoever wakes, perhaps in an
 * interrupt, where no signal can be sent. So the file is put into the list of those with something to
 * tell, and the list is worked off as soon as nothing is held: before the current thread returns to its
 * program (WORK_ASYNC), or by a timer that is due at once, whichever comes first.
 *
 *     write(2) to a pipe --> wake_up_poll(read_wait) --> event_came() --> tellers
 *                                                                           |
 *     the owner <-- signal_owner_send() <-- async_tell() <-- return to user mode, or timer
 */
#include "async.h"
#include <asm/ioctls.h>
#include <asm/siginfo.h>
#include <linux/eventpoll.h>

struct hook {
    struct wait_entry wait;
    struct wait_queue *queue;
    struct file_async *async;
    struct hook *next;
};

/* What F_SETOWN and its like say of an open file; made at the first of them. */
struct file_async {
    struct file *file;
    struct signal_owner owner; /* [lock] */
    int signal;                /* [lock] F_SETSIG; 0: SIGIO, which tells nothing more */
    int fd;                    /* [lock] for si_fd: where O_ASYNC was set */
    unsigned events;           /* [lock] that have come and were not told yet */
    struct list link;          /* [lock] in tellers */
    struct hook *hooks;        /* [switch_mutex] */
};

static DEFINE_SPINLOCK(lock); /* taken with interrupts off, under the locks of wait queues */
static struct list tellers = LIST_INIT(tellers); /* [lock] */
static DEFINE_MUTEX(switch_mutex);
static struct timer tell_timer;

/* ---- telling ------------------------------------------------------------------------------------------ */

static bool has_codes_of_its_own(int signo)
{
    return signo == SIGILL || signo == SIGFPE || signo == SIGSEGV || signo == SIGBUS ||
           signo == SIGTRAP || signo == SIGCHLD || signo == SIGSYS;
}

static void tell_event(const struct file_async *a, int code, unsigned band)
{
    siginfo_t info;

    if (!a->signal) {
        signal_owner_send(&a->owner, SIGIO, NULL);
        return;
    }
    memset(&info, 0, sizeof(info));
    info.si_signo = a->signal;
    info.si_code = has_codes_of_its_own(a->signal) ? SI_SIGIO : code;
    info.si_band = band;
    info.si_fd = a->fd;
    signal_owner_send(&a->owner, a->signal, &info);
}

static void tell(const struct file_async *a)
{
    if (a->events & EPOLLHUP)
        tell_event(a, POLL_HUP, EPOLLHUP | EPOLLERR);
    if (a->events & EPOLLERR)
        tell_event(a, POLL_ERR, EPOLLERR);
    if ((a->events & EPOLLPRI) && a->signal) /* else SIGURG is all */
        tell_event(a, POLL_PRI, EPOLLPRI | EPOLLRDBAND);
    if (a->events & EPOLLIN)
        tell_event(a, POLL_IN, EPOLLIN | EPOLLRDNORM);
    if (a->events & EPOLLOUT)
        tell_event(a, POLL_OUT, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND);
}

static void async_tell(void)
{
    struct file_async *a, copy;
    unsigned long flags;

    for (;;) {
        flags = spin_lock_irqsave(&lock);
        a = list_first_entry_or_null(&tellers, struct file_async, link);
        if (a) {
            copy = *a; /* the file may be gone by the time the signal is sent */
            a->events = 0;
            list_del_init(&a->link);
        }
        spin_unlock_irqrestore(&lock, flags);
        if (!a)
            return;
        tell(&copy);
    }
}

void async_tell_before_return(void)
{
    __atomic_fetch_and(&current->work, ~WORK_ASYNC, __ATOMIC_SEQ_CST);
    async_tell();
}

static void timer_fired(struct timer *t)
{
    async_tell();
}

unsigned async_events_input(struct file *file, unsigned long key)
{
    return key & EPOLLIN;
}

static bool event_came(struct wait_entry *wait, unsigned long key)
{
    struct file_async *a = container_of(wait, struct hook, wait)->async;
    unsigned events = a->file->ops->async_events(a->file, key);
    unsigned long flags;

    if (!events)
        return false;
    flags = spin_lock_irqsave(&lock);
    a->events |= events;
    if (list_empty(&a->link))
        list_add_tail(&a->link, &tellers);
    spin_unlock_irqrestore(&lock, flags);
    __atomic_fetch_or(&current->work, WORK_ASYNC, __ATOMIC_SEQ_CST);
    timer_start(&tell_timer, 0);
    return false;
}

/* ---- on and off ------------------------------------------------------------------------------------------ */

/* What the file's poll method calls for each of its queues. */
struct hook_table {
    struct poll_table table;
    struct file_async *async;
    int error;
};

static void hook_queue(struct poll_table *table, struct file *file, struct wait_queue *q)
{
    struct hook_table *t = container_of(table, struct hook_table, table);
    struct hook *h = kmalloc(sizeof(*h), ALLOC_KERNEL);

    if (!h) {
        t->error = -ENOMEM;
        return;
    }
    *h = (struct hook){
        .wait = {.link = LIST_INIT(h->wait.link), .wake = event_came},
        .queue = q,
        .async = t->async,
        .next = t->async->hooks,
    };
    t->async->hooks = h;
    wait_add(q, &h->wait);
}

static void switch_off(struct file_async *a)
{
    struct hook *h;

    while ((h = a->hooks) != NULL) {
        a->hooks = h->next;
        wait_remove(h->queue, &h->wait);
        kfree(h);
    }
}

static int switch_on(struct file *file, struct file_async *a)
{
    struct hook_table t = {.table = {.queue = hook_queue, .events = ~0UL}, .async = a};

    if (a->hooks)
        return 0;
    file->ops->poll(file, &t.table);
    if (t.error)
        switch_off(a);
    return t.error;
}

/* The file's, made if need be; or NULL. */
static struct file_async *async_get(struct file *file)
{
    struct file_async *a = READ_ONCE(file->async), *new;

    if (a)
        return a;
    new = kzalloc(sizeof(*new), ALLOC_KERNEL);
    if (!new)
        return NULL;
    new->file = file;
    list_init(&new->link);
    spin_lock(&file->lock);
    a = file->async;
    if (!a)
        smp_store_release(&file->async, a = new);
    spin_unlock(&file->lock);
    if (a != new)
        kfree(new);
    return a;
}

static void owner_by_default(struct file *file, struct file_async *a)
{
    struct signal_owner o = {};
    pid_t id = file->ops->async_owner ? file->ops->async_owner(file) : 0;
    unsigned long flags;

    if (!id || signal_owner_set(&o, id < 0 ? F_OWNER_PGRP : F_OWNER_PID, id < 0 ? -id : id))
        return;
    flags = spin_lock_irqsave(&lock);
    if (!a->owner.id)
        a->owner = o;
    spin_unlock_irqrestore(&lock, flags);
}

int async_switch(struct file *file, int fd, bool on)
{
    struct file_async *a;
    unsigned long flags;
    int error = 0;

    if (!file->ops->async_events)
        return 0;
    a = async_get(file);
    if (!a)
        return -ENOMEM;
    mutex_lock(&switch_mutex);
    if (on) {
        owner_by_default(file, a);
        flags = spin_lock_irqsave(&lock);
        a->fd = fd;
        spin_unlock_irqrestore(&lock, flags);
        error = switch_on(file, a);
    } else {
        switch_off(a);
    }
    if (!error) {
        spin_lock(&file->lock);
        file->flags = on ? file->flags | FASYNC : file->flags & ~(unsigned)FASYNC;
        spin_unlock(&file->lock);
    }
    mutex_unlock(&switch_mutex);
    return error;
}

void async_forget(struct file *file)
{
    struct file_async *a = file->async;
    unsigned long flags;

    switch_off(a);
    flags = spin_lock_irqsave(&lock);
    file->async = NULL; /* a socket is still found by its peer */
    if (!list_empty(&a->link))
        list_del(&a->link);
    spin_unlock_irqrestore(&lock, flags);
    kfree(a);
}

void __init async_init(void)
{
    timer_init(&tell_timer, timer_fired);
}

/* ---- owner and signal --------------------------------------------------------------------------------------- */

static long set_owner(struct file *file, int type, pid_t id)
{
    struct file_async *a = async_get(file);
    struct signal_owner o;
    unsigned long flags;
    int error = a ? signal_owner_set(&o, type, id) : -ENOMEM;

    if (error)
        return error;
    flags = spin_lock_irqsave(&lock);
    a->owner = o;
    spin_unlock_irqrestore(&lock, flags);
    return 0;
}

struct signal_owner async_owner_copy(struct file *file)
{
    struct signal_owner o = {.type = F_OWNER_TID};
    unsigned long flags;

    if (!READ_ONCE(file->async))
        return o;
    flags = spin_lock_irqsave(&lock);
    if (file->async)
        o = file->async->owner;
    spin_unlock_irqrestore(&lock, flags);
    return o;
}

static struct signal_owner get_owner(struct file *file)
{
    struct signal_owner o = async_owner_copy(file);

    o.id = signal_owner_id(&o);
    return o;
}

long async_set_owner(struct file *file, int id)
{
    if (id == INT32_MIN)
        return -EINVAL;
    return set_owner(file, id < 0 ? F_OWNER_PGRP : F_OWNER_PID, id < 0 ? -id : id);
}

int async_owner(struct file *file)
{
    struct signal_owner o = get_owner(file);

    return o.type == F_OWNER_PGRP ? -o.id : o.id;
}

static long set_signal(struct file *file, unsigned long signal)
{
    struct file_async *a;

    if (signal > SIGNALS)
        return -EINVAL;
    a = async_get(file);
    if (!a)
        return -ENOMEM;
    WRITE_ONCE(a->signal, signal);
    return 0;
}

long async_fcntl(struct file *file, unsigned command, unsigned long arg)
{
    struct file_async *a = READ_ONCE(file->async);
    struct f_owner_ex ex;
    struct signal_owner o;

    switch (command) {
    case F_SETOWN:
        return async_set_owner(file, (int)arg);
    case F_GETOWN:
        return async_owner(file);
    case F_SETOWN_EX:
        if (copy_from_user(&ex, (void __user *)arg, sizeof(ex)))
            return -EFAULT;
        return set_owner(file, ex.type, ex.pid);
    case F_GETOWN_EX:
        o = get_owner(file);
        ex = (struct f_owner_ex){.type = o.type, .pid = o.id};
        return copy_to_user((void __user *)arg, &ex, sizeof(ex)) ? -EFAULT : 0;
    case F_GETOWNER_UIDS:
        o = get_owner(file);
        return copy_to_user((void __user *)arg, (uid_t[2]){o.uid, o.euid}, sizeof(uid_t[2]))
                   ? -EFAULT
                   : 0;
    case F_SETSIG:
        return set_signal(file, arg);
    default: /* F_GETSIG */
        return a ? READ_ONCE(a->signal) : 0;
    }
}

/* The spellings of FIOASYNC and F_SETOWN among the ioctls. */
long async_ioctl(struct file *file, int fd, bool on)
{
    if (on == !!(file->flags & FASYNC))
        return 0;
    return file->ops->async_events ? async_switch(file, fd, on) : -ENOTTY;
}
