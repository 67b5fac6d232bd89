/* SPDX-License-Identifier: MIT */
/*
 * The mounts as text: /proc/mounts, /proc/PID/mountinfo, /proc/PID/mountstats (proc(5)).
 */
#include "mount.h"
#include <vellum/seq_file.h>

static void show_flags(struct seq_file *m, unsigned long flags)
{
    static const struct {
        unsigned long flag;
        const char *text;
    } names[] = {
        {MS_NOSUID, ",nosuid"},   {MS_NODEV, ",nodev"},           {MS_NOEXEC, ",noexec"},
        {MS_NOATIME, ",noatime"}, {MS_NODIRATIME, ",nodiratime"}, {MS_NOSYMFOLLOW, ",nosymfollow"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if (flags & names[i].flag)
            seq_puts(m, names[i].text);
    if (!(flags & (MS_NOATIME | MS_STRICTATIME)))
        seq_puts(m, ",relatime");
}

static void show_mounts(struct seq_file *m, void (*show)(struct seq_file *, struct mount *, char *))
{
    char *buffer = name_alloc(), *name;
    struct mount *mount;
    struct path path;

    if (!buffer)
        return;
    mutex_lock(&mount_mutex);
    list_for_each_entry(mount, &all_mounts, all) {
        path = (struct path){.mount = mount, .dentry = mount->root};
        if (path_reachable(&path, buffer, PATH_MAX, &name))
            show(m, mount, name);
    }
    mutex_unlock(&mount_mutex);
    name_free(buffer);
}

static void show_mount(struct seq_file *m, struct mount *mount, char *name)
{
    struct super_block *sb = mount->sb;

    seq_escape(m, mount->source, " \t\n\\#");
    seq_putc(m, ' ');
    seq_escape(m, name, " \t\n\\");
    seq_printf(m, " %s %s", sb->type->name, mount_readonly(mount) ? "ro" : "rw");
    show_flags(m, mount->flags);
    if (sb->ops->show_options)
        sb->ops->show_options(sb, m);
    seq_puts(m, " 0 0\n");
}

static void show_mountinfo(struct seq_file *m, struct mount *mount, char *name)
{
    struct super_block *sb = mount->sb;
    char *buffer = name_alloc(), *root = NULL;
    struct path path = {.mount = anonymous_mount, .dentry = mount->root};

    if (!buffer)
        return;
    if (mount->root != sb->root)
        root = path_name(&path, buffer, PATH_MAX);
    seq_printf(m, "%d %d %u:%u ", mount->id, mount->parent ? mount->parent->id : mount->id,
               dev_major(sb->device), dev_minor(sb->device));
    seq_escape(m, root && !is_err(root) ? root : "/", " \t\n\\");
    seq_putc(m, ' ');
    seq_escape(m, name, " \t\n\\");
    seq_puts(m, mount->flags & MS_RDONLY ? " ro" : " rw");
    show_flags(m, mount->flags);
    if (mount->group)
        seq_printf(m, " shared:%d", mount->group);
    if (mount->master)
        seq_printf(m, " master:%d", mount->master->group);
    if (mount->unbindable)
        seq_puts(m, " unbindable");
    seq_printf(m, " - %s ", sb->type->name);
    seq_escape(m, mount->source, " \t\n\\#");
    seq_puts(m, sb->flags & MS_RDONLY ? " ro" : " rw");
    if (sb->ops->show_options)
        sb->ops->show_options(sb, m);
    seq_putc(m, '\n');
    name_free(buffer);
}

static void show_mountstats(struct seq_file *m, struct mount *mount, char *name)
{
    seq_puts(m, "device ");
    seq_escape(m, mount->source, " \t\n\\#");
    seq_puts(m, " mounted on ");
    seq_escape(m, name, " \t\n\\");
    seq_printf(m, " with fstype %s\n", mount->sb->type->name);
}

void mountstats_show(struct seq_file *m)
{
    show_mounts(m, show_mountstats);
}

void mounts_show(struct seq_file *m)
{
    show_mounts(m, show_mount);
}

void mountinfo_show(struct seq_file *m)
{
    show_mounts(m, show_mountinfo);
}
