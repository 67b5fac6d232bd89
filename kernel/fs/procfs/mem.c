/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/mem: the memory of a process, at its addresses, for who may trace it (proc(5)). It is
 * that of the program that ran when the file was opened; after an exec there is nothing left of it.
 */
#include "internal.h"
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/mm.h>
#include <linux/fs.h>

int proc_mem_open(struct inode *inode, struct file *file)
{
    struct proc_inode *pi = proc_inode(inode);

    file->version = pi->process->exec_count;
    return 0;
}

struct mm *proc_file_mm(struct file *file)
{
    struct process *p = proc_inode(file->inode)->process;
    struct mm *mm = process_mm(p);

    if (mm && p->exec_count != file->version) {
        mm_put(mm);
        mm = NULL;
    }
    return mm;
}

static ssize_t access(struct file *file, struct iov_iter *iter, loff_t *pos, bool write)
{
    struct mm *mm = proc_file_mm(file);
    char *page = mm ? kmalloc(PAGE_SIZE, ALLOC_KERNEL) : NULL;
    ssize_t done = 0, error = 0;

    if (mm && !page)
        error = -ENOMEM;
    while (page && iter->count && !error) {
        size_t n = min(iter->count, PAGE_SIZE), got;

        if (write && copy_from_iter(iter, page, n) != n) {
            error = -EFAULT;
            break;
        }
        got = mm_access(mm, *pos, page, n, write, true);
        if (got == 0)
            error = -EIO;
        else if (!write && copy_to_iter(iter, page, got) != got)
            error = -EFAULT;
        if (error)
            break;
        *pos += got;
        done += got;
        if (got < n)
            break;
    }
    kfree(page);
    if (mm)
        mm_put(mm);
    return done ? done : error;
}

static ssize_t mem_read(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    return access(file, iter, pos, false);
}

static ssize_t mem_write(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    return access(file, iter, pos, true);
}

/* All 64 bits are addresses. */
static loff_t mem_seek(struct file *file, loff_t offset, int whence)
{
    if (whence != SEEK_SET && whence != SEEK_CUR)
        return -EINVAL;
    file->pos = whence == SEEK_CUR ? (loff_t)((u64)file->pos + (u64)offset) : offset;
    return file->pos;
}

const struct file_ops proc_mem_ops = {
    .open = proc_mem_open,
    .read = mem_read,
    .write = mem_write,
    .seek = mem_seek,
};
