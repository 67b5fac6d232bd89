/* SPDX-License-Identifier: MIT */
/*
 * The tree of nodes behind /sys (sysfs.h). It knows nothing of inodes: those are made from nodes when
 * somebody looks (inode.c).
 */
#include "internal.h"
#include <vellum/alloc.h>
#include <vellum/format.h>
#include <vellum/fs.h>
#include <vellum/string.h>
#include <linux/limits.h>

#define FIRST_POSITION 2 /* behind "." and ".." */
#define TEXT_MAX       255

DEFINE_SPINLOCK(sysfs_lock);
struct sysfs_node sysfs_root = {
    .parent = &sysfs_root,
    .children = LIST_INIT(sysfs_root.children),
    .last_position = FIRST_POSITION - 1,
    .ino = 1,
    .mode = S_IFDIR | 0555,
};

struct sysfs_node *sysfs_find(struct sysfs_node *parent, const char *name, size_t length)
{
    struct sysfs_node *n;

    list_for_each_entry(n, &parent->children, sibling)
        if (strncmp(n->name, name, length) == 0 && n->name[length] == '\0')
            return n;
    return NULL;
}

/* A node from the pattern, or the one of that name that is there already. NULL: no memory. */
static struct sysfs_node *add(struct sysfs_node *parent, const char *name, size_t length,
                              const struct sysfs_node *pattern)
{
    struct sysfs_node *n = kmalloc(sizeof(*n) + length + 1, ALLOC_KERNEL), *there;

    if (!n)
        return NULL;
    *n = *pattern;
    n->parent = parent;
    n->ino = inode_next_number();
    n->last_position = FIRST_POSITION - 1;
    list_init(&n->children);
    memcpy(n->name, name, length);
    n->name[length] = '\0';
    spin_lock(&sysfs_lock);
    there = sysfs_find(parent, name, length);
    if (!there) {
        n->position = ++parent->last_position;
        list_add_tail(&n->sibling, &parent->children);
    }
    if (there)
        there->hidden = false;
    spin_unlock(&sysfs_lock);
    if (there)
        kfree(n);
    return there ? there : n;
}

struct sysfs_node *sysfs_directory(struct sysfs_node *parent, const char *path, ...)
{
    static const struct sysfs_node pattern = {.mode = S_IFDIR | 0755};
    struct sysfs_node *at = parent ? parent : &sysfs_root;
    char text[NAME_MAX + 1];
    va_list args;

    va_start(args, path);
    vsnprintf(text, sizeof(text), path, args);
    va_end(args);
    for (const char *p = text; at && *p;) {
        size_t n = strcspn(p, "/");

        at = add(at, p, n, &pattern);
        p += n + (p[n] == '/');
    }
    return at;
}

void sysfs_hide(struct sysfs_node *node)
{
    if (!node)
        return;
    spin_lock(&sysfs_lock);
    node->hidden = true;
    spin_unlock(&sysfs_lock);
}

void sysfs_file(struct sysfs_node *parent, const char *name, sysfs_show_fn *fn, void *data)
{
    struct sysfs_node pattern = {.mode = S_IFREG | 0444, .show = fn, .data = data};

    if (parent)
        add(parent, name, strlen(name), &pattern);
}

void sysfs_knob(struct sysfs_node *parent, const char *name, sysfs_show_fn *fn,
                sysfs_store_fn *store, void *data)
{
    struct sysfs_node pattern = {.mode = S_IFREG | 0644, .show = fn, .store = store, .data = data};

    if (parent)
        add(parent, name, strlen(name), &pattern);
}

static void show_text(struct seq_file *m, void *data)
{
    seq_puts(m, data);
    seq_putc(m, '\n');
}

void sysfs_text(struct sysfs_node *parent, const char *name, const char *format, ...)
{
    char text[TEXT_MAX + 1], *copy;
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    copy = kstrdup(text, ALLOC_KERNEL);
    if (copy)
        sysfs_file(parent, name, show_text, copy);
}

void sysfs_binary(struct sysfs_node *parent, const char *name, const void *bytes, size_t size)
{
    struct sysfs_node pattern = {.mode = S_IFREG | 0444, .data = (void *)bytes, .size = size};

    if (parent)
        add(parent, name, strlen(name), &pattern);
}

void sysfs_link(struct sysfs_node *parent, const char *name, struct sysfs_node *target)
{
    struct sysfs_node pattern = {.mode = S_IFLNK | 0777, .target = target};

    if (parent && target)
        add(parent, name, strlen(name), &pattern);
}
