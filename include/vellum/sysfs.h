/* SPDX-License-Identifier: MIT */
/*
 * /sys: what the kernel has found, as a tree of directories, one-line files and links (sysfs(5)).
 * Rooms register what they own when they find it; a node stays for ever. All of these can be called
 * as soon as memory can be allocated; => may sleep. Where memory is missing the node is, too: NULL.
 */
#ifndef VELLUM_SYSFS_H
#define VELLUM_SYSFS_H

#include <vellum/compiler.h>
#include <vellum/seq_file.h>

struct sysfs_node;

typedef void sysfs_show_fn(struct seq_file *m, void *data);
/* n bytes and a zero; 0 or -errno */
typedef int sysfs_store_fn(void *data, char *text, size_t n);

/* The directory of that path below parent (NULL: /sys), made with those above it if it is missing. */
struct sysfs_node *sysfs_directory(struct sysfs_node *parent, const char *path, ...) __printf(2, 3);
/* A file that shows what fn prints; 0444. parent NULL (memory was missing): nothing happens. */
void sysfs_file(struct sysfs_node *parent, const char *name, sysfs_show_fn *fn, void *data);
/* The same that can be written by root. */
void sysfs_knob(struct sysfs_node *parent, const char *name, sysfs_show_fn *fn,
                sysfs_store_fn *store, void *data);
/* A file with the same text always (a newline is added); at most 255 bytes. */
void sysfs_text(struct sysfs_node *parent, const char *name, const char *format, ...)
    __printf(3, 4);
/* A file of bytes. They stay the caller's, for ever. */
void sysfs_binary(struct sysfs_node *parent, const char *name, const void *bytes, size_t size);
/* The node, what is below and what links to it cannot be found any more, until a directory is made
 * again in its place. */
void sysfs_hide(struct sysfs_node *node);
/* A relative link to another node. */
void sysfs_link(struct sysfs_node *parent, const char *name, struct sysfs_node *target);

void sysfs_init(void);      /* the file system type, and the directories that are always there */
void sysfs_cpu_init(void);  /* /sys/devices/system */
void sysfs_huge_init(void); /* /sys/kernel/mm/transparent_hugepage */

#endif
