/* SPDX-License-Identifier: MIT */
/*
 * Files that are read, written and mapped through their page cache.
 *
 * Reading takes no lock but the cache's, for a moment; it sees the size as it is and never more.
 * Writing holds the inode's mutex. The user's buffer may be a mapping of the very file: then a copy
 * faults and the fault needs pages of the file. No page is locked during a copy that may fault, so
 * the two do not wait for each other; where the page must be locked (its home is a device) the
 * buffer is touched beforehand and the copy runs without faulting, again if need be.
 */
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/fs.h>
#include <vellum/string.h>

#define READ_BATCH 16

/* ---- reading ---------------------------------------------------------------------------------------- */

/* The pages first..last as far as they are in the cache, as a run from `first` on; if the first is
 * missing it is read, or (memory only) *hole is set. Returns how many, or -errno. */
static int next_pages(struct page_cache *cache, u64 first, u64 last, struct page **pages,
                      bool *hole)
{
    unsigned n, run = 0;

    *hole = false;
    if (first == last) {
        pages[0] = page_cache_find(cache, first);
        n = pages[0] != NULL;
    } else {
        n = page_cache_gang_ready(cache, first, last, pages);
    }
    while (run < n && pages[run]->index == first + run)
        run++;
    if (run < n)
        pages_put(pages + run, n - run);
    if (likely(run))
        return run;
    if (!cache->ops || !cache->ops->read_page) {
        *hole = true;
        return 0;
    }
    pages[0] = page_cache_read(cache, first, NULL);
    return is_err(pages[0]) ? ptr_err(pages[0]) : 1;
}

/* Copy the part of [pos, end) that lies in n pages from the one at pos on. Returns bytes copied. */
static size_t copy_pages(struct page **pages, unsigned n, loff_t pos, loff_t end,
                         struct iov_iter *iter)
{
    size_t total = 0;

    for (unsigned i = 0; i < n; i++) {
        size_t offset = pos % PAGE_SIZE;
        size_t bytes = min_t(u64, PAGE_SIZE - offset, end - pos), copied;

        copied = copy_to_iter(iter, (char *)page_to_virt(pages[i]) + offset, bytes);
        total += copied;
        pos += copied;
        if (copied < bytes)
            break;
    }
    return total;
}

ssize_t cached_file_read(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    struct page_cache *cache = &file->inode->cache;
    loff_t at = *pos, end, size = READ_ONCE(file->inode->size);
    struct page *pages[READ_BATCH];
    ssize_t error = 0;

    if (at >= size || iter->count == 0)
        return 0;
    end = (u64)(size - at) < iter->count ? size : at + (loff_t)iter->count;
    while (at < end) {
        u64 first = (u64)at / PAGE_SIZE, last = (u64)(end - 1) / PAGE_SIZE;
        size_t wanted, copied;
        bool hole;
        int n = next_pages(cache, first, min(last, first + READ_BATCH - 1), pages, &hole);

        if (n < 0) {
            error = n;
            break;
        }
        wanted = min_t(u64, end - at, (u64)(n + hole) * PAGE_SIZE - at % PAGE_SIZE);
        copied = hole ? zero_iter(iter, wanted) : copy_pages(pages, n, at, end, iter);
        pages_put(pages, n);
        at += copied;
        if (copied < wanted) {
            error = -EFAULT;
            break;
        }
    }
    error = at > *pos ? at - *pos : error;
    *pos = at;
    file_accessed(file);
    return error;
}

/* ---- writing => inode mutex --------------------------------------------------------------------------- */

/* Fill a page that is not in the cache yet, and then add it. Returns bytes copied or -errno. */
static ssize_t write_new_memory(struct page_cache *cache, u64 index, unsigned offset,
                                unsigned bytes, struct iov_iter *iter)
{
    struct page *page = page_alloc(ALLOC_USER), *other;
    char *memory;
    size_t copied;
    int error;

    if (!page)
        return -ENOMEM;
    memory = page_to_virt(page);
    copied = copy_from_iter(iter, memory + offset, bytes);
    memset(memory, 0, offset);
    memset(memory + offset + copied, 0, PAGE_SIZE - offset - copied);
    error = copied ? page_cache_add_memory(cache, page, index) : -EFAULT;
    if (unlikely(error == -EEXIST)) { /* a fault has made one meanwhile */
        other = page_cache_find(cache, index);
        if (other) {
            memcpy((char *)page_to_virt(other) + offset, memory + offset, copied);
            page_put(other);
            error = 0;
        }
    }
    page_put(page);
    return error ? error : (ssize_t)copied;
}

static void contents_changed(struct page *page)
{
    if (unlikely(page->flags & PG_CODE_SYNCED))
        page_flag_clear(page, PG_CODE_SYNCED);
}

static ssize_t write_memory(struct page_cache *cache, u64 index, unsigned offset, unsigned bytes,
                            struct iov_iter *iter)
{
    struct page *page = page_cache_find(cache, index);
    size_t copied;

    if (!page)
        return write_new_memory(cache, index, offset, bytes, iter);
    copied = copy_from_iter(iter, (char *)page_to_virt(page) + offset, bytes);
    contents_changed(page);
    page_put(page);
    return copied ? (ssize_t)copied : -EFAULT;
}

/* A page whose home is a device: locked while it changes. */
static ssize_t write_page(struct page_cache *cache, u64 index, unsigned offset, unsigned bytes,
                          struct iov_iter *iter)
{
    struct page *page;
    size_t copied = 0;
    int error = iov_fault_in(iter, bytes);

    if (error)
        return error;
    /* A partial copy into a page that was never read would leave rubbish: then read it after all. */
    page = page_cache_grab(cache, index, false);
    if (is_err(page))
        return ptr_err(page);
    if (cache->ops->write_begin)
        error = cache->ops->write_begin(cache, page, offset, bytes);
    if (!error) {
        nofault_begin();
        copied = copy_from_iter(iter, (char *)page_to_virt(page) + offset, bytes);
        nofault_end();
        contents_changed(page);
        page_set_dirty(page);
    }
    page_unlock(page);
    page_put(page);
    return error ? error : (ssize_t)copied; /* 0: touch the buffer again */
}

static ssize_t write_locked(struct file *file, struct iov_iter *iter, loff_t at, size_t count)
{
    struct inode *inode = file->inode;
    struct page_cache *cache = &inode->cache;
    bool memory = !cache->ops || !cache->ops->read_page;
    ssize_t done = 0;

    while ((size_t)done < count) {
        unsigned offset = (at + done) % PAGE_SIZE;
        unsigned bytes = min_t(size_t, PAGE_SIZE - offset, count - done);
        u64 index = (u64)(at + done) / PAGE_SIZE;
        ssize_t n;

        n = memory ? write_memory(cache, index, offset, bytes, iter)
                   : write_page(cache, index, offset, bytes, iter);
        if (n < 0)
            return done ? done : n;
        done += n;
        if ((u64)(at + done) > inode->size)
            WRITE_ONCE(inode->size, at + done);
        if (n < bytes && (current->work & WORK_KILLED))
            break;
    }
    return done;
}

/* What seals (memfd_create(2)) leave of a write: one that would make the file grow ends with the last
 * page that is whole before its end, as Linux's does. */
static ssize_t sealed_write(const struct inode *inode, u64 at, size_t n)
{
    if (inode->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
        return -EPERM;
    if (!(inode->seals & F_SEAL_GROW) || at + n <= inode->size)
        return n;
    return at < ALIGN_DOWN(inode->size, PAGE_SIZE)
               ? (ssize_t)(ALIGN_DOWN(inode->size, PAGE_SIZE) - at)
               : -EPERM;
}

ssize_t cached_file_write(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    struct inode *inode = file->inode;
    ssize_t n;
    loff_t at;

    if (iter->count == 0)
        return 0;
    mutex_lock(&inode->mutex);
    at = file->flags & O_APPEND ? (loff_t)inode->size : *pos;
    n = file_write_limit(file, at, iter->count);
    if (unlikely(inode->seals & ~F_SEAL_SEAL) && n > 0)
        n = sealed_write(inode, at, n);
    if (n > 0) {
        int error = file_modified(file);

        n = error ? error : write_locked(file, iter, at, n);
    }
    mutex_unlock(&inode->mutex);
    if (n > 0)
        *pos = at + n;
    return n;
}

/* ---- mapping ------------------------------------------------------------------------------------------ */

static inline struct page_cache *cache_of(const struct vma *vma)
{
    return container_of(vma->mappings, struct page_cache, mappings);
}

int cached_fault(struct vm_fault *fault)
{
    struct page_cache *cache = cache_of(fault->vma);

    if (fault->index >= DIV_ROUND_UP(READ_ONCE(cache->inode->size), PAGE_SIZE))
        return FAULT_BUS;
    fault->page = page_cache_read(cache, fault->index, &fault->major);
    if (likely(!is_err(fault->page)))
        return FAULT_OK;
    return ptr_err(fault->page) == -ENOMEM ? FAULT_OOM : FAULT_BUS;
}

unsigned cached_fault_around(struct vma *vma, u64 first, u64 last, struct page **pages)
{
    return page_cache_gang_ready(cache_of(vma), first, last, pages);
}

/* The first write through a shared mapping since the page was clean. */
static int cached_make_writable(struct vm_fault *fault)
{
    struct page_cache *cache = cache_of(fault->vma);
    struct page *page = fault->page;
    int error = 0;

    page_lock(page);
    if (page->cache != cache) {
        page_unlock(page);
        return FAULT_RETRY;
    }
    if (cache->ops->write_begin)
        error = cache->ops->write_begin(cache, page, 0, PAGE_SIZE);
    if (!error)
        page_set_dirty(page);
    page_unlock(page);
    if (error)
        return error == -ENOMEM ? FAULT_OOM : FAULT_BUS;
    inode_touch(cache->inode, ATTR_MTIME | ATTR_CTIME);
    return FAULT_OK;
}

const struct vm_ops cached_file_vm_ops = {
    .fault = cached_fault,
    .fault_around = cached_fault_around,
    .make_writable = cached_make_writable,
};

/* Nothing is to be written back, so nobody wants to know. */
static const struct vm_ops memory_file_vm_ops = {
    .fault = cached_fault,
    .fault_around = cached_fault_around,
};

int cached_file_mmap(struct file *file, struct vma *vma)
{
    struct page_cache *cache = &file->inode->cache;

    vma->ops = cache->ops && cache->ops->write_page ? &cached_file_vm_ops : &memory_file_vm_ops;
    vma->mappings = &cache->mappings;
    file_accessed(file);
    return 0;
}
