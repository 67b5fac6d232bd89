/* SPDX-License-Identifier: MIT */
/*
 * The initramfs: archives in cpio's "newc" format, unpacked into the root file system.
 *
 *     header: "070701" and 13 fields of 8 hexadecimal digits
 *     name, with its zero byte, padded so that header and name are a multiple of 4
 *     contents, padded to a multiple of 4
 *
 * A member named TRAILER!!! ends an archive; others may follow after zeros. Members with more than
 * one link come once for each name, with the contents in the last one of them; the first name that
 * is seen makes the file and the others are linked to it. Nothing in the archive is trusted: every
 * length is checked against what is left.
 *
 * Where contents begin at a page (tools/newc.py sees to that, by zeros behind the name), the frames
 * of the archive become the pages of the new file as they are:
 *
 *     archive   | header, name, 0 ... | contents | contents | rest, header, name, 0 ... | contents
 *                                          |          |        |
 *     file                               page 0     page 1   page 2, a copy
 *
 * Other contents are copied. What is behind the unpacker is given back on the way, so that even an
 * archive that fills most of memory can be unpacked.
 */
#include <vellum/alloc.h>
#include <vellum/boot.h>
#include <vellum/fs.h>
#include <vellum/page_cache.h>
#include <vellum/printk.h>
#include <vellum/process.h>
#include <vellum/string.h>
#include <vellum/time.h>

#define HEADER_SIZE 110
#define TRAILER     "TRAILER!!!"

enum field {
    F_INO,
    F_MODE,
    F_UID,
    F_GID,
    F_NLINK,
    F_MTIME,
    F_SIZE,
    F_DEV_MAJOR,
    F_DEV_MINOR,
    F_RDEV_MAJOR,
    F_RDEV_MINOR,
    F_NAME_SIZE,
    F_CHECK,
    FIELDS,
};

struct member {
    u32 field[FIELDS];
    const char *name; /* ended by a zero byte */
    const u8 *data;
};

/* A file with several names, from the first one on. */
struct linked {
    struct list link;
    u32 ino, dev_major, dev_minor;
    char name[];
};

struct unpacker {
    const u8 *start, *at, *end;
    u64 next_report;    /* ktime_get() at which to say how far it is */
    struct list linked; /* of this archive */
};

static __init int hex_digit(u8 c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static __init bool parse_field(const u8 *text, u32 *value)
{
    int digit;

    *value = 0;
    for (int i = 0; i < 8; i++) {
        digit = hex_digit(text[i]);
        if (digit < 0)
            return false;
        *value = *value << 4 | digit;
    }
    return true;
}

/* Padding is counted from the start of the archive, which is aligned itself. */
static __init size_t padded(size_t n)
{
    return ALIGN_UP(n, 4);
}

/* Read the header at u->at and go behind the member. False: it is damaged. */
static __init bool next_member(struct unpacker *u, struct member *m)
{
    size_t left = u->end - u->at, name_end;

    if (left < HEADER_SIZE || (memcmp(u->at, "070701", 6) != 0 && memcmp(u->at, "070702", 6) != 0))
        return false;
    for (int i = 0; i < FIELDS; i++)
        if (!parse_field(u->at + 6 + 8 * i, &m->field[i]))
            return false;
    name_end = HEADER_SIZE + (size_t)m->field[F_NAME_SIZE];
    if (m->field[F_NAME_SIZE] == 0 || m->field[F_NAME_SIZE] > PATH_MAX || name_end > left)
        return false;
    m->name = (const char *)u->at + HEADER_SIZE;
    if (m->name[m->field[F_NAME_SIZE] - 1] != 0)
        return false;
    name_end = padded(name_end);
    if (name_end > left || m->field[F_SIZE] > left - name_end)
        return false;
    m->data = u->at + name_end;
    u->at += min(left, name_end + padded(m->field[F_SIZE]));
    return true;
}

/* ---- making what a member describes --------------------------------------------------------------------- */

/* System calls take user addresses: here is what they do, with the kernel's strings. */
static __init int set_metadata(const struct path *path, const struct member *m)
{
    struct inode *inode = path->dentry->inode;
    struct attributes attr = {
        .valid = ATTR_UID | ATTR_GID | ATTR_MTIME | ATTR_ATIME,
        .uid = m->field[F_UID],
        .gid = m->field[F_GID],
        .mtime = m->field[F_MTIME] * (s64)NSEC_PER_SEC,
        .atime = m->field[F_MTIME] * (s64)NSEC_PER_SEC,
        .mode = m->field[F_MODE] & 07777,
    };

    if ((inode->mode & S_IFMT) != S_IFLNK)
        attr.valid |= ATTR_MODE;
    return inode_change(path->mount, inode, &attr);
}

/* Make the frames that the contents fill the pages of an empty file. Returns how many bytes that was. */
static __init size_t adopt_pages(struct file *file, const struct member *m)
{
    struct inode *inode = file->inode;
    paddr_t start = virt_to_phys(m->data);
    size_t done = 0;

    if (!IS_ALIGNED(start, PAGE_SIZE) || inode->size)
        return 0;
    mutex_lock(&inode->mutex);
    for (; m->field[F_SIZE] - done >= PAGE_SIZE; done += PAGE_SIZE) {
        struct page *page = boot_take_initrd_page(start + done);
        int error = page_cache_add_memory(&inode->cache, page, done / PAGE_SIZE);

        if (error) { /* then no frame is free for a copy either, and writing will say so */
            page->flags = PG_RESERVED;
            break;
        }
        page_put(page);
    }
    WRITE_ONCE(inode->size, done);
    mutex_unlock(&inode->mutex);
    return done;
}

static __init int write_contents(const char *name, const struct member *m)
{
    struct file *file = file_open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    size_t done;
    ssize_t n = 0;

    if (is_err(file))
        return ptr_err(file);
    done = adopt_pages(file, m);
    while (done < m->field[F_SIZE]) {
        n = file_write_kernel(file, m->data + done, m->field[F_SIZE] - done, done);
        if (n <= 0)
            break;
        done += n;
    }
    file_put(file);
    return n < 0 ? n : 0;
}

static __init int make_link_target(const char *name, const struct member *m)
{
    char *target;
    int error;

    if (m->field[F_SIZE] == 0 || m->field[F_SIZE] >= PATH_MAX)
        return -EINVAL;
    target = kmalloc(m->field[F_SIZE] + 1, ALLOC_KERNEL);
    if (!target)
        return -ENOMEM;
    memcpy(target, m->data, m->field[F_SIZE]);
    target[m->field[F_SIZE]] = 0;
    error = kernel_symlink(target, name);
    kfree(target);
    return error;
}

static __init int make_node(const char *name, const struct member *m)
{
    mode_t mode = m->field[F_MODE];
    int error;

    switch (mode & S_IFMT) {
    case S_IFREG:
        return write_contents(name, m);
    case S_IFLNK:
        return make_link_target(name, m);
    case S_IFDIR:
        error = kernel_mkdir(name, 0700);
        return error == -EEXIST ? 0 : error;
    case S_IFCHR:
    case S_IFBLK:
    case S_IFIFO:
    case S_IFSOCK:
        return kernel_mknod(name, mode, dev_make(m->field[F_RDEV_MAJOR], m->field[F_RDEV_MINOR]));
    default:
        return -EINVAL;
    }
}

/* The first name of a file with several links; or NULL, and this is remembered as the first. */
static __init const char *find_linked(struct unpacker *u, const struct member *m)
{
    struct linked *l;
    size_t n;

    list_for_each_entry(l, &u->linked, link)
        if (l->ino == m->field[F_INO] && l->dev_major == m->field[F_DEV_MAJOR] &&
            l->dev_minor == m->field[F_DEV_MINOR])
            return l->name;
    n = strlen(m->name) + 1;
    l = kmalloc(sizeof(*l) + n, ALLOC_KERNEL);
    if (!l)
        return NULL; /* the names become files of their own */
    l->ino = m->field[F_INO];
    l->dev_major = m->field[F_DEV_MAJOR];
    l->dev_minor = m->field[F_DEV_MINOR];
    memcpy(l->name, m->name, n);
    list_add(&l->link, &u->linked);
    return NULL;
}

static __init void forget_linked(struct unpacker *u)
{
    struct linked *l;

    while (!list_empty(&u->linked)) {
        l = list_first_entry(&u->linked, struct linked, link);
        list_del(&l->link);
        kfree(l);
    }
}

static __init int unpack_member(struct unpacker *u, const struct member *m)
{
    const char *name = m->name, *first = NULL;
    mode_t type = m->field[F_MODE] & S_IFMT;
    struct path path;
    int error;

    while (*name == '/')
        name++;
    if (!*name)
        return 0;
    if (m->field[F_NLINK] > 1 && type != S_IFDIR)
        first = find_linked(u, m);
    if (type != S_IFDIR)
        kernel_unlink(name); /* a later archive replaces what an earlier one had */
    if (first && strcmp(first, name) != 0) {
        error = kernel_link(first, name);
        if (!error && m->field[F_SIZE] && type == S_IFREG)
            error = write_contents(name, m);
    } else {
        error = make_node(name, m);
    }
    if (!error)
        error = path_lookup(AT_FDCWD, name, 0, &path);
    if (error)
        return error;
    error = set_metadata(&path, m);
    path_put(&path);
    return error;
}

static __init void skip_zeros(struct unpacker *u)
{
    while (u->at < u->end && *u->at == 0)
        u->at++;
}

/* The frames behind are free for what comes, and somebody who waits long is told how far it is. */
static __init void advance(struct unpacker *u)
{
    boot_free_initrd(virt_to_phys(u->at));
    if (ktime_get() < u->next_report)
        return;
    u->next_report = ktime_get() + 3 * NSEC_PER_SEC;
    pr_info("initramfs: %lu%% unpacked",
            (unsigned long)(u->at - u->start) * 100 / (unsigned long)(u->end - u->start));
}

static __init int unpack(struct unpacker *u)
{
    struct member m;
    int error;

    for (;; advance(u)) {
        skip_zeros(u);
        if (u->at == u->end)
            return 0;
        if (!next_member(u, &m))
            return -EINVAL;
        if (strcmp(m.name, TRAILER) == 0) {
            forget_linked(u);
            continue;
        }
        error = unpack_member(u, &m);
        if (error == -ENOMEM || error == -ENOSPC)
            return error;
        if (error)
            pr_warn("initramfs: %s: error %d", m.name, -error);
    }
}

int __init initramfs_unpack(void)
{
    struct unpacker u = {
        .start = phys_to_virt(boot_info.initrd_start),
        .at = phys_to_virt(boot_info.initrd_start),
        .end = phys_to_virt(boot_info.initrd_end),
        .next_report = ktime_get() + 3 * NSEC_PER_SEC,
    };
    int error;

    list_init(&u.linked);
    error = unpack(&u);
    forget_linked(&u);
    boot_free_initrd(UINT64_MAX);
    return error;
}
