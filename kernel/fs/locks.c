/* SPDX-License-Identifier: MIT */
/*
 * Advisory locks: records (fcntl(2), F_SETLK and F_OFD_SETLK) and whole files (flock(2)).
 *
 * A record lock belongs to a process (its descriptor table) or to an open file, and covers a range
 * of bytes; an owner's ranges never overlap, and setting one replaces what the owner had there, which
 * may cut a range in two. Waiters sleep on the inode's queue and try again when a lock goes. A
 * process that would wait for one that waits for it, through others perhaps, gets EDEADLK.
 */
#include "internal.h"
#include <vellum/seq_file.h>
#include <vellum/syscall.h>

struct file_lock {
    struct list link;  /* [locks->lock] records: by start within an owner's */
    const void *owner; /* struct files or struct file */
    int type;          /* F_RDLCK, F_WRLCK */
    pid_t pid;         /* for F_GETLK; -1: an open file's */
    loff_t start, end; /* both included */
};

struct file_locks {
    struct inode *inode; /* [i] */
    struct list all;     /* [all_lock] */
    spinlock_t lock;
    struct list records, flocks; /* [lock] */
    struct wait_queue wait;
};

#define STEPS_MAX 32 /* of those who sleep for one who sleeps for one ... that are looked at */

/* Who sleeps for whom; to find circles. */
struct lock_waiter {
    struct list link; /* [waiters_lock] */
    const void *owner, *blocker;
};
static DEFINE_SPINLOCK(all_lock);        /* outside locks->lock */
static struct list all = LIST_INIT(all); /* [all_lock] of inodes that were ever locked */

static DEFINE_SPINLOCK(waiters_lock);
static struct list waiters = LIST_INIT(waiters);

static struct file_locks *locks_of(struct inode *inode)
{
    struct file_locks *l = READ_ONCE(inode->locks), *fresh;

    if (l)
        return l;
    fresh = kmalloc(sizeof(*fresh), ALLOC_KERNEL);
    if (!fresh)
        return NULL;
    fresh->inode = inode;
    spin_init(&fresh->lock);
    list_init(&fresh->records);
    list_init(&fresh->flocks);
    wait_queue_init(&fresh->wait);
    spin_lock(&inode->lock);
    l = inode->locks;
    if (!l)
        l = inode->locks = fresh;
    spin_unlock(&inode->lock);
    if (l != fresh) {
        kfree(fresh);
        return l;
    }
    spin_lock(&all_lock);
    list_add_tail(&l->all, &all);
    spin_unlock(&all_lock);
    return l;
}

void locks_free(struct inode *inode)
{
    assert(list_empty(&inode->locks->records) && list_empty(&inode->locks->flocks));
    spin_lock(&all_lock);
    list_del(&inode->locks->all);
    spin_unlock(&all_lock);
    kfree(inode->locks);
}

static bool overlaps(const struct file_lock *a, const struct file_lock *b)
{
    return a->start <= b->end && b->start <= a->end;
}

/* The first lock of another owner that stands in the way of `want`. => locks->lock */
static struct file_lock *find_conflict(struct list *head, const struct file_lock *want)
{
    struct file_lock *l;

    list_for_each_entry(l, head, link)
        if (l->owner != want->owner && overlaps(l, want) &&
            (l->type == F_WRLCK || want->type == F_WRLCK))
            return l;
    return NULL;
}

/* ---- records ------------------------------------------------------------------------------------------ */

/* Before the owner's first that begins later, or last: F_GETLK finds an owner's first one. */
static void record_insert(struct list *records, struct file_lock *lock)
{
    struct file_lock *l;

    list_for_each_entry(l, records, link)
        if (l->owner == lock->owner && l->start > lock->start)
            break;
    list_add_tail(&lock->link, &l->link);
}

/* Let the owner's range be of want->type (F_UNLCK: free). Uses up to two of `spare`; those used become
 * NULL. => locks->lock, no conflict */
static void record_apply(struct file_locks *locks, const struct file_lock *want,
                         struct file_lock *spare[2])
{
    struct file_lock *l, *next, *piece;
    loff_t start = want->start, end = want->end;

    list_for_each_entry_safe(l, next, &locks->records, link) {
        if (l->owner != want->owner)
            continue;
        if (l->type == want->type && want->type != F_UNLCK && /* touching ones of a kind are one */
            l->start <= (end == INT64_MAX ? end : end + 1) &&
            start <= (l->end == INT64_MAX ? l->end : l->end + 1)) {
            start = min(start, l->start);
            end = max(end, l->end);
        } else if (!overlaps(l, want)) {
            continue;
        } else if (l->start < want->start && l->end > want->end) {
            piece = spare[1];
            spare[1] = NULL;
            *piece = *l;
            piece->start = want->end + 1;
            l->end = want->start - 1;
            list_add(&piece->link, &l->link);
            continue;
        } else if (l->start < want->start) {
            l->end = want->start - 1;
            continue;
        } else if (l->end > want->end) {
            l->start = want->end + 1;
            continue;
        }
        list_del(&l->link);
        kfree(l);
    }
    if (want->type == F_UNLCK)
        return;
    piece = spare[0];
    spare[0] = NULL;
    *piece = *want;
    piece->start = start;
    piece->end = end;
    record_insert(&locks->records, piece);
}

/* Would `owner`, sleeping for `blocker`, close a circle? Open files, which nobody keeps from waiting for
 * each other, may stand in one already: so only so many steps are taken. => waiters_lock */
static bool would_deadlock(const void *owner, const void *blocker)
{
    struct lock_waiter *w;
    bool found = true;

    for (unsigned steps = 0; found && steps < STEPS_MAX; steps++) {
        if (blocker == owner)
            return true;
        found = false;
        list_for_each_entry(w, &waiters, link)
            if (w->owner == blocker) {
                blocker = w->blocker;
                found = true;
                break;
            }
    }
    return false;
}

static int record_try(struct file_locks *locks, const struct file_lock *want,
                      struct file_lock *spare[2], const void **blocker)
{
    struct file_lock *conflict = NULL;

    spin_lock(&locks->lock);
    if (want->type != F_UNLCK)
        conflict = find_conflict(&locks->records, want);
    if (conflict)
        *blocker = conflict->owner;
    else
        record_apply(locks, want, spare);
    spin_unlock(&locks->lock);
    return conflict ? -EAGAIN : 0;
}

static int record_wait(struct file_locks *locks, const struct file_lock *want,
                       struct file_lock *spare[2], const void *blocker)
{
    struct lock_waiter w = {.owner = want->owner};
    int error = 0, result;

    for (;;) {
        spin_lock(&waiters_lock);
        if (want->pid != -1 && would_deadlock(want->owner, blocker))
            error = -EDEADLK;
        w.blocker = blocker;
        list_add(&w.link, &waiters);
        spin_unlock(&waiters_lock);
        result = -EAGAIN;
        if (!error)
            error = wait_event_interruptible(
                &locks->wait, (result = record_try(locks, want, spare, &blocker)) != -EAGAIN ||
                                  blocker != w.blocker);
        spin_lock(&waiters_lock);
        list_del(&w.link);
        spin_unlock(&waiters_lock);
        if (error || result != -EAGAIN)
            return error ? error : result;
    }
}

static int record_set(struct inode *inode, struct file_lock *want, bool wait)
{
    struct file_locks *locks = locks_of(inode);
    struct file_lock *spare[2];
    const void *blocker = NULL;
    int error = -ENOLCK;

    spare[0] = kmalloc(sizeof(struct file_lock), ALLOC_KERNEL);
    spare[1] = kmalloc(sizeof(struct file_lock), ALLOC_KERNEL);
    if (locks && spare[0] && spare[1]) {
        error = record_try(locks, want, spare, &blocker);
        if (error && wait)
            error = record_wait(locks, want, spare, blocker);
        if (!error)
            wake_up_all(&locks->wait); /* something may have become free or weaker */
    }
    kfree(spare[0]);
    kfree(spare[1]);
    return error;
}

/* From l_whence, l_start, l_len to the range (fcntl(2)). */
static int record_range(struct file *file, const struct flock *fl, struct file_lock *lock)
{
    loff_t base = 0, start;

    switch (fl->l_whence) {
    case SEEK_SET:
        break;
    case SEEK_CUR:
        base = file->pos;
        break;
    case SEEK_END:
        base = READ_ONCE(file->inode->size);
        break;
    default:
        return -EINVAL;
    }
    if (__builtin_add_overflow(base, fl->l_start, &start))
        return -EOVERFLOW;
    if (start < 0)
        return -EINVAL;
    lock->start = start;
    lock->end = INT64_MAX;
    if (fl->l_len > 0 && __builtin_add_overflow(start, fl->l_len - 1, &lock->end))
        return -EOVERFLOW;
    if (fl->l_len < 0) {
        if (start + fl->l_len < 0)
            return -EINVAL;
        lock->end = start - 1;
        lock->start = start + fl->l_len;
    }
    return 0;
}

static int record_get(struct file *file, struct file_lock *want, struct flock *fl)
{
    struct file_locks *locks = file->inode->locks;
    struct file_lock *l = NULL;

    if (locks) {
        spin_lock(&locks->lock);
        l = find_conflict(&locks->records, want);
        if (l) {
            fl->l_type = l->type;
            fl->l_whence = SEEK_SET;
            fl->l_start = l->start;
            fl->l_len = l->end == INT64_MAX ? 0 : l->end - l->start + 1;
            fl->l_pid = l->pid;
        }
        spin_unlock(&locks->lock);
    }
    if (!l)
        fl->l_type = F_UNLCK;
    return 0;
}

/* A process's lock, just set, while another of its threads was closing the descriptor: that may have taken
 * all locks away before ours was there, and nobody else would. 0 or -EBADF */
static int check_still_open(unsigned fd, struct file *file, struct file_lock *want)
{
    struct file *now = files_lookup(current->files, fd);

    if (now)
        file_put(now);
    if (likely(now == file))
        return 0;
    want->type = F_UNLCK;
    if (record_set(file->inode, want, false)) /* no memory to cut a range in two */
        locks_close(file, current->files);
    return -EBADF;
}

long locks_fcntl(unsigned fd, struct file *file, unsigned command, struct flock __user *ufl)
{
    bool ofd = command == F_OFD_GETLK || command == F_OFD_SETLK || command == F_OFD_SETLKW;
    bool get = command == F_GETLK || command == F_OFD_GETLK;
    struct file_lock want = {.owner = ofd ? (void *)file : (void *)current->files,
                             .pid = ofd ? -1 : current->process->pid};
    struct flock fl;
    int error;

    if (copy_from_user(&fl, ufl, sizeof(fl)))
        return -EFAULT;
    if (fl.l_type != F_RDLCK && fl.l_type != F_WRLCK && (fl.l_type != F_UNLCK || get))
        return -EINVAL;
    if (ofd && fl.l_pid)
        return -EINVAL;
    want.type = fl.l_type;
    error = record_range(file, &fl, &want);
    if (error)
        return error;
    if (get) {
        record_get(file, &want, &fl);
        return copy_to_user(ufl, &fl, sizeof(fl)) ? -EFAULT : 0;
    }
    if ((fl.l_type == F_RDLCK && !(file->mode & FILE_READ)) ||
        (fl.l_type == F_WRLCK && !(file->mode & FILE_WRITE)))
        return -EBADF;
    error = record_set(file->inode, &want, command == F_SETLKW || command == F_OFD_SETLKW);
    return error || ofd || want.type == F_UNLCK ? error : check_still_open(fd, file, &want);
}

/* Everything of an owner's in a list goes. */
static void locks_drop(struct file_locks *locks, struct list *head, const void *owner)
{
    struct file_lock *l, *next;
    bool any = false;

    spin_lock(&locks->lock);
    list_for_each_entry_safe(l, next, head, link)
        if (l->owner == owner) {
            list_del(&l->link);
            kfree(l);
            any = true;
        }
    spin_unlock(&locks->lock);
    if (any)
        wake_up_all(&locks->wait);
}

void locks_close(struct file *file, struct files *files)
{
    locks_drop(file->inode->locks, &file->inode->locks->records, files);
}

void locks_release(struct file *file)
{
    locks_drop(file->inode->locks, &file->inode->locks->records, file);
    locks_drop(file->inode->locks, &file->inode->locks->flocks, file);
}

/* ---- flock(2) ------------------------------------------------------------------------------------------- */

/* One lock for an open file; *spare becomes NULL if it is used. */
static int flock_try(struct file_locks *locks, const struct file_lock *want,
                     struct file_lock **spare)
{
    struct file_lock *l;
    int error = 0;

    spin_lock(&locks->lock);
    if (find_conflict(&locks->flocks, want)) {
        error = -EAGAIN;
        goto out;
    }
    list_for_each_entry(l, &locks->flocks, link)
        if (l->owner == want->owner) {
            l->type = want->type;
            goto out;
        }
    **spare = *want;
    list_add_tail(&(*spare)->link, &locks->flocks);
    *spare = NULL;
out:
    spin_unlock(&locks->lock);
    return error;
}

static int flock_set(struct file *file, int type, bool wait)
{
    struct file_lock want = {.owner = file,
                             .type = type,
                             .pid = current->process->pid,
                             .end = INT64_MAX},
                     *spare, *l;
    struct file_locks *locks = locks_of(file->inode);
    bool other = false;
    int error;

    if (!locks)
        return -ENOLCK;
    if (type == F_UNLCK) {
        locks_drop(locks, &locks->flocks, file);
        return 0;
    }
    spare = kmalloc(sizeof(*spare), ALLOC_KERNEL);
    if (!spare)
        return -ENOLCK;
    spin_lock(&locks->lock); /* a change of kind gives the old lock up first */
    list_for_each_entry(l, &locks->flocks, link)
        other |= l->owner == file && l->type != type;
    spin_unlock(&locks->lock);
    if (other)
        locks_drop(locks, &locks->flocks, file);
    error = flock_try(locks, &want, &spare);
    if (error && wait) {
        int woken = wait_event_interruptible(&locks->wait,
                                             (error = flock_try(locks, &want, &spare)) != -EAGAIN);

        if (woken)
            error = woken;
    }
    kfree(spare);
    return error;
}

SYSCALL_DEFINE2(flock, unsigned, fd, unsigned, operation)
{
    static const int types[] = {[LOCK_SH] = F_RDLCK, [LOCK_EX] = F_WRLCK, [LOCK_UN] = F_UNLCK};
    unsigned kind = operation & ~LOCK_NB;
    struct fd_ref ref = fd_get(fd);
    int error = -EINVAL;

    if (!ref.file)
        return -EBADF;
    if (operation & LOCK_MAND) /* as Linux does since it has none: accepted, without effect */
        error = 0;
    else if (kind == LOCK_SH || kind == LOCK_EX || kind == LOCK_UN)
        error = flock_set(ref.file, types[kind], !(operation & LOCK_NB));
    fd_put(ref);
    return error;
}

/* ---- /proc ---------------------------------------------------------------------------------------------- */

/* "1: POSIX  ADVISORY  WRITE 123 00:05:678 0 EOF" (proc(5)) */
static void show_list(struct seq_file *m, const struct file_locks *locks, const struct list *head,
                      const void *owner, const char *before, unsigned *number)
{
    const struct inode *inode = locks->inode;
    const struct file_lock *l;

    list_for_each_entry(l, head, link) {
        if (owner && l->owner != owner)
            continue;
        seq_printf(m, "%s%u: %s ADVISORY  %s %d %02x:%02x:%llu %lld ", before, ++*number,
                   head == &locks->flocks ? "FLOCK "
                   : l->pid == -1         ? "OFDLCK"
                                          : "POSIX ",
                   l->type == F_WRLCK ? "WRITE" : "READ", l->pid, dev_major(inode->sb->device),
                   dev_minor(inode->sb->device), (unsigned long long)inode->ino,
                   (long long)l->start);
        if (l->end == INT64_MAX)
            seq_puts(m, "EOF\n");
        else
            seq_printf(m, "%lld\n", (long long)l->end);
    }
}

void locks_show(struct seq_file *m)
{
    struct file_locks *locks;
    unsigned number = 0;

    spin_lock(&all_lock);
    list_for_each_entry(locks, &all, all) {
        spin_lock(&locks->lock);
        show_list(m, locks, &locks->records, NULL, "", &number);
        show_list(m, locks, &locks->flocks, NULL, "", &number);
        spin_unlock(&locks->lock);
    }
    spin_unlock(&all_lock);
}

void locks_show_file(struct seq_file *m, const struct file *file, const struct files *files)
{
    struct file_locks *locks = READ_ONCE(file->inode->locks);
    unsigned number = 0;

    if (!locks)
        return;
    spin_lock(&locks->lock);
    show_list(m, locks, &locks->records, files, "lock:\t", &number);
    show_list(m, locks, &locks->records, file, "lock:\t", &number);
    show_list(m, locks, &locks->flocks, file, "lock:\t", &number);
    spin_unlock(&locks->lock);
}
