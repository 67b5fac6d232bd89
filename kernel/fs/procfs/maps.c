/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/maps: the VMAs of an address space, a line each (proc(5)).
 */
#include "internal.h"
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/mm.h>

static const char *vma_name(struct vma *vma)
{
    struct mm *mm = vma->mm;
    const char *name = vma->ops && vma->ops->name ? vma->ops->name(vma) : NULL;

    if (name)
        return name;
    if (vma->start < mm->brk && vma->end > mm->brk_start)
        return "[heap]";
    if (vma->start <= mm->stack_start && vma->end >= mm->stack_start)
        return "[stack]";
    return NULL;
}

static void show_file_name(struct seq_file *m, struct vma *vma, char *buffer)
{
    const char *name = path_name(&vma->file->path, buffer, PATH_MAX);

    if (!is_err(name))
        seq_escape(m, name, "\n");
}

/* The address columns are padded so that names begin in column 74. */
void proc_show_vma(struct seq_file *m, struct vma *vma, char *buffer)
{
    const struct inode *inode = vma->file ? vma->file->inode : NULL;
    dev_id_t dev = inode ? inode->sb->device : 0;
    size_t start = m->used;
    const char *name;

    seq_printf(m, "%08llx-%08llx %c%c%c%c %08llx %02x:%02x %llu ", (unsigned long long)vma->start,
               (unsigned long long)vma->end, vma->flags & VM_READ ? 'r' : '-',
               vma->flags & VM_WRITE ? 'w' : '-', vma->flags & VM_EXEC ? 'x' : '-',
               vma->flags & VM_SHARED ? 's' : 'p',
               inode ? (unsigned long long)vma->offset << PAGE_SHIFT : 0ULL, dev_major(dev),
               dev_minor(dev), inode ? (unsigned long long)inode->ino : 0ULL);
    name = inode ? NULL : vma_name(vma);
    if (inode || name) {
        while (m->used - start < 73 && !m->overflow)
            seq_putc(m, ' ');
        if (inode)
            show_file_name(m, vma, buffer);
        else
            seq_puts(m, name);
    }
    seq_putc(m, '\n');
}

int proc_show_maps(struct seq_file *m, struct proc_inode *pi)
{
    struct mm *mm = process_mm(pi->process);
    char *buffer = kmalloc(PATH_MAX, ALLOC_KERNEL);

    if (mm && buffer) {
        read_lock(&mm->lock);
        for (struct vma *vma = vma_find(mm, m->cursor); vma; vma = vma_next(vma)) {
            size_t before = m->used;

            proc_show_vma(m, vma, buffer);
            if (seq_full(m, before, vma->start))
                break;
        }
        read_unlock(&mm->lock);
    }
    if (mm)
        mm_put(mm);
    kfree(buffer);
    return buffer ? 0 : -ENOMEM;
}
