/* SPDX-License-Identifier: MIT */
/*
 * What an epoll watches: epoll_ctl(2), and how items end.
 *
 * An item holds no reference to its file; it goes with EPOLL_CTL_DEL, with the last reference to the
 * file (epoll_forget()) or with the epoll (epoll_destroy()). The last two may meet: nest_mutex lets
 * one go after the other. EPOLL_CTL_DEL meets neither, since its caller holds both files.
 *
 * Epolls that watch epolls form a graph, which changes only under nest_mutex. It has no loop, it is
 * at most MAX_NESTS deep, and from no epoll in it do more than MAX_PATHS ways lead up: each wake-up
 * of a file goes all of them.
 */
#include "epoll.h"
#include <vellum/alloc.h>
#include <vellum/cred.h>
#include <vellum/hash.h>
#include <vellum/syscall.h>
#include <vellum/uaccess.h>

#define MAX_NESTS 5
#define MAX_PATHS 500

static DEFINE_MUTEX(nest_mutex);
static u64 last_walk; /* [nest_mutex] */

/* file->epoll_links is guarded by one of these, and not by a lock in the file: who finds the list
 * empty frees the file, while he who emptied it is still about to unlock. */
#define LINK_LOCK_BITS 4
static spinlock_t link_locks[1 << LINK_LOCK_BITS];

static spinlock_t *link_lock(const struct file *file)
{
    return &link_locks[hash_pointer(file, LINK_LOCK_BITS)];
}

/* Like Linux: a user's items may fill 4% of memory. */
u64 epoll_max_watches(void)
{
    return boot_memory_total() / 25 / sizeof(struct epoll_item);
}

/* ---- the graph of epolls => nest_mutex -------------------------------------------------------------- */

#define for_each_watcher(item, ep) list_for_each_entry(item, &(ep)->file->epoll_links, file_link)
#define for_each_nested(item, ep)  list_for_each_entry(item, &(ep)->nested, nested_link)

/* How many epolls stand above each other from ep down; more than MAX_NESTS if `sought` is there. */
static unsigned height_below(struct epoll *ep, const struct epoll *sought, u64 walk)
{
    struct epoll_item *item;
    unsigned most = 0;

    if (ep == sought)
        return MAX_NESTS + 1;
    if (ep->mark == walk)
        return ep->height;
    for_each_nested(item, ep) most =
        max(most, height_below(item->file->private_data, sought, walk));
    ep->mark = walk;
    return ep->height = most + 1;
}

static unsigned height_above(struct epoll *ep, u64 walk)
{
    struct epoll_item *item;
    unsigned most = 0;

    if (ep->mark == walk)
        return ep->height;
    for_each_watcher(item, ep) most = max(most, height_above(item->ep, walk));
    ep->mark = walk;
    return ep->height = most + 1;
}

static unsigned paths_above(struct epoll *ep, u64 walk)
{
    struct epoll_item *item;
    unsigned paths = 0;

    if (ep->mark == walk)
        return ep->paths;
    for_each_watcher(item, ep) paths = min(paths + paths_above(item->ep, walk), MAX_PATHS + 1u);
    ep->mark = walk;
    return ep->paths = max(paths, 1u);
}

/* No epoll from ep down has too many ways up. */
static bool paths_ok(struct epoll *ep, u64 walk)
{
    struct epoll_item *item;

    if (ep->checked == walk)
        return true;
    ep->checked = walk;
    if (paths_above(ep, walk) > MAX_PATHS)
        return false;
    for_each_nested(item, ep) if (!paths_ok(item->file->private_data, walk)) return false;
    return true;
}

/* May ep watch `inner`? 0, -ELOOP */
static int check_nesting(struct epoll *ep, struct epoll *inner)
{
    u64 down = ++last_walk, up = ++last_walk;

    assert(mutex_held(&nest_mutex));
    return height_below(inner, ep, down) + height_above(ep, up) > MAX_NESTS ? -ELOOP : 0;
}

/* ---- items => ep->mutex -------------------------------------------------------------------------------- */

static inline int compare(const struct file *file, int fd, const struct epoll_item *item)
{
    if (file != item->file)
        return file < item->file ? -1 : 1;
    return fd - item->fd;
}

static struct epoll_item *item_find(struct epoll *ep, const struct file *file, int fd)
{
    struct rb_node *node = ep->items.node;

    while (node) {
        struct epoll_item *item = rb_entry(node, struct epoll_item, node);
        int order = compare(file, fd, item);

        if (order == 0)
            return item;
        node = order < 0 ? node->left : node->right;
    }
    return NULL;
}

static void item_insert(struct epoll *ep, struct epoll_item *new)
{
    struct rb_node **slot = &ep->items.node, *parent = NULL;

    while (*slot) {
        parent = *slot;
        slot = compare(new->file, new->fd, rb_entry(parent, struct epoll_item, node)) < 0
                   ? &parent->left
                   : &parent->right;
    }
    rb_link(&new->node, parent, slot);
    rb_insert_color(&new->node, &ep->items);
}

static void hooks_remove(struct epoll_item *item)
{
    struct epoll_hook *hook, *next;

    if (!item->hook.queue)
        return;
    wait_remove(item->hook.queue, &item->hook.wait);
    for (hook = item->hook.next; hook; hook = next) {
        next = hook->next;
        wait_remove(hook->queue, &hook->wait);
        kfree(hook);
    }
}

static void item_remove(struct epoll_item *item)
{
    struct epoll *ep = item->ep;
    unsigned long flags;

    assert(mutex_held(&ep->mutex));
    hooks_remove(item); /* from here on nothing makes it ready */
    rb_erase(&item->node, &ep->items);
    flags = spin_lock_irqsave(&ep->lock);
    if (!list_empty(&item->ready))
        list_del(&item->ready);
    spin_unlock_irqrestore(&ep->lock, flags);
    if (!list_empty(&item->nested_link))
        list_del(&item->nested_link);
    spin_lock(link_lock(item->file));
    list_del_init(&item->file_link);
    spin_unlock(link_lock(item->file)); /* the file may be gone now */
    atomic_dec(&ep->user->epoll_watches);
    kfree(item);
}

/* What a file's poll method calls for each of its queues. */
struct hook_table {
    struct poll_table table;
    struct epoll_item *item;
    int error;
};

static void hook_queue(struct poll_table *table, struct file *file, struct wait_queue *q)
{
    struct hook_table *t = container_of(table, struct hook_table, table);
    struct epoll_item *item = t->item;
    struct epoll_hook *hook = &item->hook;

    if (hook->queue) {
        hook = kmalloc(sizeof(*hook), ALLOC_KERNEL);
        if (!hook) {
            t->error = -ENOMEM;
            return;
        }
        hook->next = item->hook.next;
        item->hook.next = hook;
    }
    hook->item = item;
    hook->queue = q;
    hook->wait = (struct wait_entry){.link = LIST_INIT(hook->wait.link), .wake = epoll_wake};
    if (item->events & EPOLLEXCLUSIVE)
        wait_add_exclusive(q, &hook->wait);
    else
        wait_add(q, &hook->wait);
}

static struct epoll_item *item_alloc(struct epoll *ep, struct file *file, int fd,
                                     const struct epoll_event *event)
{
    struct epoll_item *item;

    if ((u64)atomic_inc_return(&ep->user->epoll_watches) > epoll_max_watches()) {
        atomic_dec(&ep->user->epoll_watches);
        return err_ptr(-ENOSPC);
    }
    item = kzalloc(sizeof(*item), ALLOC_KERNEL);
    if (!item) {
        atomic_dec(&ep->user->epoll_watches);
        return err_ptr(-ENOMEM);
    }
    list_init(&item->ready);
    list_init(&item->nested_link);
    item->ep = ep;
    item->file = file;
    item->fd = fd;
    item->events = event->events;
    item->data = event->data;
    return item;
}

/* ---- EPOLL_CTL_*: => ep->mutex; if file is an epoll, nest_mutex ---------------------------------------- */

static int ctl_add(struct epoll *ep, struct file *file, int fd, const struct epoll_event *event)
{
    struct hook_table table = {.table = {.queue = hook_queue, .events = event->events}};
    struct epoll_item *item;
    bool nested = is_epoll(file);

    if (item_find(ep, file, fd))
        return -EEXIST;
    item = item_alloc(ep, file, fd, event);
    if (is_err(item))
        return ptr_err(item);
    item_insert(ep, item);
    WRITE_ONCE(file->epolled, true);
    spin_lock(link_lock(file));
    list_add_tail(&item->file_link, &file->epoll_links);
    spin_unlock(link_lock(file));
    if (nested) {
        list_add_tail(&item->nested_link, &ep->nested);
        if (!paths_ok(file->private_data, ++last_walk)) {
            item_remove(item);
            return -EINVAL;
        }
    }
    table.item = item;
    if (epoll_item_poll(item, &table.table))
        epoll_item_ready(item);
    if (table.error)
        item_remove(item);
    return table.error;
}

static int ctl_modify(struct epoll *ep, struct epoll_item *item, const struct epoll_event *event)
{
    if (item->events & EPOLLEXCLUSIVE)
        return -EINVAL;
    WRITE_ONCE(item->events, event->events);
    item->data = event->data;
    smp_fence(); /* a wake-up that saw the old events came before we ask the file */
    if (epoll_item_poll(item, NULL))
        epoll_item_ready(item);
    return 0;
}

static int ctl_locked(struct epoll *ep, int op, struct file *file, int fd,
                      const struct epoll_event *event)
{
    struct epoll_item *item;
    int error = 0;

    mutex_lock(&ep->mutex);
    item = op == EPOLL_CTL_ADD ? NULL : item_find(ep, file, fd);
    if (op == EPOLL_CTL_ADD)
        error = ctl_add(ep, file, fd, event);
    else if (!item)
        error = -ENOENT;
    else if (op == EPOLL_CTL_MOD)
        error = ctl_modify(ep, item, event);
    else
        item_remove(item);
    mutex_unlock(&ep->mutex);
    return error;
}

/* The events that EPOLLEXCLUSIVE can stand with. */
#define EXCLUSIVE_OK                                                                               \
    (EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE)

static int ctl_check(struct file *epfile, int op, struct file *file,
                     const struct epoll_event *event)
{
    if (!file->ops->poll)
        return -EPERM;
    if (file == epfile || !is_epoll(epfile))
        return -EINVAL;
    if (op != EPOLL_CTL_DEL && (event->events & EPOLLEXCLUSIVE) &&
        (op == EPOLL_CTL_MOD || is_epoll(file) || (event->events & ~EXCLUSIVE_OK)))
        return -EINVAL;
    return op == EPOLL_CTL_ADD || op == EPOLL_CTL_MOD || op == EPOLL_CTL_DEL ? 0 : -EINVAL;
}

static int ctl_files(struct file *epfile, int op, struct file *file, int fd,
                     struct epoll_event *event)
{
    int error = ctl_check(epfile, op, file, event);
    struct epoll *ep = epfile->private_data;

    if (error)
        return error;
    event->events &= ~EPOLLWAKEUP; /* the machine is never suspended */
    event->events |= EPOLLERR | EPOLLHUP;
    if (!is_epoll(file))
        return ctl_locked(ep, op, file, fd, event);
    mutex_lock(&nest_mutex);
    if (op == EPOLL_CTL_ADD)
        error = check_nesting(ep, file->private_data);
    if (!error)
        error = ctl_locked(ep, op, file, fd, event);
    mutex_unlock(&nest_mutex);
    return error;
}

SYSCALL_DEFINE4(epoll_ctl, int, epfd, int, op, int, fd, struct epoll_event __user *, uevent)
{
    struct epoll_event event = {0};
    struct fd_ref ep, target;
    long result = -EBADF;

    if (op != EPOLL_CTL_DEL && copy_from_user(&event, uevent, sizeof(event)))
        return -EFAULT;
    ep = fd_get(epfd);
    target = fd_get(fd);
    if (ep.file && target.file)
        result = ctl_files(ep.file, op, target.file, fd, &event);
    fd_put(target);
    fd_put(ep);
    return result;
}

int epoll_watched(struct file *epoll, unsigned fd, unsigned nth, const void **watched)
{
    struct epoll *ep = epoll->private_data;
    struct epoll_item *item;
    int error = -ENOENT;

    if (!is_epoll(epoll))
        return -EINVAL;
    mutex_lock(&ep->mutex);
    rb_for_each_entry(item, &ep->items, node)
        if ((unsigned)item->fd == fd && nth-- == 0) {
            *watched = item->file;
            error = 0;
            break;
        }
    mutex_unlock(&ep->mutex);
    return error;
}

/* ---- the end -------------------------------------------------------------------------------------------- */

void epoll_forget(struct file *file)
{
    struct epoll_item *item;
    struct epoll *ep;

    spin_lock(link_lock(file));
    item = list_first_entry_or_null(&file->epoll_links, struct epoll_item, file_link);
    spin_unlock(link_lock(file));
    if (!item)
        return;
    mutex_lock(&nest_mutex);
    while (
        !list_empty(&file->epoll_links)) { /* nobody adds, and those who remove hold nest_mutex */
        item = list_first_entry(&file->epoll_links, struct epoll_item, file_link);
        ep = item->ep;
        mutex_lock(&ep->mutex);
        item_remove(item);
        mutex_unlock(&ep->mutex);
    }
    mutex_unlock(&nest_mutex);
}

void epoll_destroy(struct epoll *ep)
{
    struct rb_node *node;

    if (!rb_empty(&ep->items)) {
        mutex_lock(&nest_mutex);
        mutex_lock(&ep->mutex);
        while ((node = rb_first(&ep->items)) != NULL)
            item_remove(rb_entry(node, struct epoll_item, node));
        mutex_unlock(&ep->mutex);
        mutex_unlock(&nest_mutex);
    }
    user_put(ep->user);
    kfree(ep);
}
