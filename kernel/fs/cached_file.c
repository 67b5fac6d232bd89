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
#include "internal.h"
#include <vellum/lru.h>
#include <vellum/writeback.h>

#define READ_BATCH 16

/* ---- reading ---------------------------------------------------------------------------------------- */

/* One of the pages is where the next window of read-ahead is due. */
static __noinline void pass_mark(struct file *file, struct page **pages, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (pages[i]->flags & PG_READAHEAD)
            read_ahead_mark(file, pages[i]);
}

/* The pages first..last as far as they are in the cache, as a run from `first` on; if the first is
 * missing it is read (-EAGAIN with nowait), or (memory only) *hole is set. Of this read(2), `more` pages
 * follow after last. Returns how many, or -errno. */
static int next_pages(struct file *file, u64 first, u64 last, u64 more, bool nowait,
                      struct page **pages, bool *hole)
{
    struct page_cache *cache = file->cache;
    unsigned n, run = 0;
    u32 flags = 0;

    *hole = false;
    if (first == last) {
        pages[0] = page_cache_find(cache, first);
        n = pages[0] != NULL;
    } else {
        n = page_cache_gang_ready(cache, first, last, 0, pages);
    }
    while (run < n && pages[run]->index == first + run)
        flags |= pages[run++]->flags;
    if (run < n)
        pages_put(pages + run, n - run);
    if (unlikely(flags & PG_READAHEAD))
        pass_mark(file, pages, run);
    if (likely(run))
        return run;
    if (page_cache_in_memory_only(cache)) {
        pages[0] = page_cache_find_data(cache, first, true);
        *hole = !pages[0];
        return is_err(pages[0]) ? ptr_err(pages[0]) : !*hole;
    }
    if (nowait)
        return -EAGAIN;
    pages[0] = read_ahead_page(file, first, min(last - first + 1 + more, 1UL << 20));
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
        if (offset == 0) /* whoever reads it in small pieces uses it once */
            page_mark_accessed(pages[i]);
        total += copied;
        pos += copied;
        if (copied < bytes)
            break;
    }
    return total;
}

ssize_t cached_file_read(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    loff_t at = *pos, end, size = READ_ONCE(file->cache->inode->size);
    struct page *pages[READ_BATCH];
    ssize_t error = 0;

    if (at >= size || iter->count == 0)
        return 0;
    end = (u64)(size - at) < iter->count ? size : at + (loff_t)iter->count;
    while (at < end) {
        u64 first = (u64)at / PAGE_SIZE, last = (u64)(end - 1) / PAGE_SIZE;
        u64 until = min(last, first + READ_BATCH - 1);
        size_t wanted, copied;
        bool hole;
        int n = next_pages(file, first, until, last - until, iter->nowait, pages, &hole);

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

static void contents_changed(struct page *page)
{
    if (unlikely(page->flags & PG_CODE_SYNCED))
        page_flag_clear(page, PG_CODE_SYNCED);
}

/* A page whose only home is memory counts as dirty from the first write on. What the kernel itself
 * writes, when it unpacks the root image, is as clean as if it came from a disk. */
static void memory_changed(struct page *page)
{
    contents_changed(page);
    if (!(page->flags & PG_DIRTY) && current->mm)
        page_flag_set(page, PG_DIRTY);
}

/* Fill a page that is not in the cache yet, and then add it. Returns bytes copied or -errno. */
static ssize_t write_new_memory(struct page_cache *cache, u64 index, unsigned offset,
                                unsigned bytes, struct iov_iter *iter)
{
    struct page *page = page_alloc(ALLOC_USER | ALLOC_MOVABLE), *other;
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
    if (likely(!error)) {
        memory_changed(page);
    } else if (error == -EEXIST) { /* a fault has made one meanwhile */
        other = page_cache_read(cache, index, NULL);
        error = is_err(other) ? ptr_err(other) : 0;
        if (!error) {
            memcpy((char *)page_to_virt(other) + offset, memory + offset, copied);
            memory_changed(other);
            page_put(other);
        }
    }
    page_put(page);
    return error ? error : (ssize_t)copied;
}

static ssize_t write_memory(struct page_cache *cache, u64 index, unsigned offset, unsigned bytes,
                            struct iov_iter *iter)
{
    struct page *page = page_cache_find_data(cache, index, true);
    size_t copied;

    if (!page)
        return write_new_memory(cache, index, offset, bytes, iter);
    if (is_err(page))
        return ptr_err(page);
    copied = copy_from_iter(iter, (char *)page_to_virt(page) + offset, bytes);
    memory_changed(page);
    page_put(page);
    return copied ? (ssize_t)copied : -EFAULT;
}

/* Copy into a page, which is locked; without faults, so perhaps not all. Returns bytes copied. */
static size_t fill_page(struct page *page, unsigned offset, unsigned bytes, struct iov_iter *iter)
{
    char *memory = page_to_virt(page);
    struct iov_iter before = *iter;
    size_t copied;

    nofault_begin();
    copied = copy_from_iter(iter, memory + offset, bytes);
    nofault_end();
    if (!(page->flags & PG_UPTODATE)) { /* it was to be overwritten as a whole */
        if (copied < bytes) {
            *iter = before; /* whoever needs the page will read it */
            return 0;
        }
        memset(memory, 0, offset);
        memset(memory + offset + bytes, 0, PAGE_SIZE - offset - bytes);
        page_flag_set(page, PG_UPTODATE);
    }
    if (copied) {
        contents_changed(page);
        page_set_dirty(page);
    }
    return copied;
}

/* Is nothing left of what the page holds on the device, if these bytes are written? */
static bool overwrites(const struct page_cache *cache, u64 index, unsigned offset, unsigned bytes)
{
    return bytes == PAGE_SIZE || index >= DIV_ROUND_UP(cache->inode->size, PAGE_SIZE);
}

/* A page whose home is a device: locked while it changes. */
static ssize_t write_page(struct page_cache *cache, u64 index, unsigned offset, unsigned bytes,
                          struct iov_iter *iter)
{
    const struct page_cache_ops *ops = cache->ops;
    u64 pos = index * PAGE_SIZE + offset;
    struct page *page;
    ssize_t copied;
    int error = iov_fault_in(iter, bytes);

    if (!error && ops->write_begin)
        error = ops->write_begin(cache, pos, bytes);
    if (error)
        return error;
    page = page_cache_grab(cache, index, overwrites(cache, index, offset, bytes));
    if (is_err(page)) {
        copied = ptr_err(page);
    } else {
        copied = fill_page(page, offset, bytes, iter);
        page_unlock(page);
        page_put(page);
    }
    if (ops->write_end)
        ops->write_end(cache, pos, bytes);
    balance_dirty(cache);
    return copied; /* 0: touch the buffer again */
}

static ssize_t write_locked(struct file *file, struct iov_iter *iter, loff_t at, size_t count)
{
    struct page_cache *cache = file->cache;
    struct inode *inode = cache->inode;
    bool memory = page_cache_in_memory_only(cache);
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
        if ((n < bytes || !memory) && (current->work & WORK_KILLED))
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

/* O_DSYNC, or O_SYNC, which contains it: what was written is on the device before write(2) returns. */
static __noinline ssize_t write_through(struct file *file, loff_t at, ssize_t n)
{
    bool data_only = (file->flags & O_SYNC) != O_SYNC;
    int error = file->ops->fsync ? file->ops->fsync(file, at, at + n - 1, data_only) : 0;

    return error ? error : n;
}

ssize_t cached_file_write(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    struct inode *inode = file->cache->inode;
    ssize_t n;
    loff_t at;

    if (iter->count == 0)
        return 0;
    if (unlikely(iter->nowait)) {
        if (!page_cache_in_memory_only(file->cache))
            return -EOPNOTSUPP;
        if (!mutex_trylock(&inode->mutex))
            return -EAGAIN;
    } else {
        mutex_lock(&inode->mutex);
    }
    at = file->flags & O_APPEND ? (loff_t)inode->size : *pos;
    n = file_write_limit(file, at, iter->count);
    if (unlikely(inode->seals & ~F_SEAL_SEAL) && n > 0)
        n = sealed_write(inode, at, n);
    if (n > 0) {
        int error = file_modified(file);

        n = error ? error : write_locked(file, iter, at, n);
    }
    mutex_unlock(&inode->mutex);
    if (n <= 0)
        return n;
    *pos = at + n;
    return likely(!(file->flags & O_DSYNC)) ? n : write_through(file, at, n);
}

ssize_t cached_file_write_at(struct file *file, struct iov_iter *iter, loff_t *pos)
{
    struct inode *inode = file->cache->inode;
    loff_t at = *pos;
    ssize_t n;

    mutex_lock(&inode->mutex);
    n = file_modified(file);
    if (n == 0)
        n = write_locked(file, iter, at, iter->count);
    mutex_unlock(&inode->mutex);
    if (n <= 0)
        return n;
    *pos = at + n;
    return likely(!(file->flags & O_DSYNC)) ? n : write_through(file, at, n);
}

/* ---- mapping ------------------------------------------------------------------------------------------ */

static inline struct page_cache *cache_of(const struct vma *vma)
{
    return container_of(vma->mappings, struct page_cache, mappings);
}

/* A page from the cache, or from the device, with others around it. */
static struct page *device_page(struct vm_fault *fault, struct page_cache *cache)
{
    struct file *file = fault->vma->file;
    struct page *page = page_cache_find(cache, fault->index);

    if (!page)
        return read_ahead_for_fault(fault);
    if (!fault->waited) /* else it is there because of us */
        read_ahead_fault_hit(&file->read_ahead);
    if (page->flags & PG_READAHEAD)
        read_ahead_mark(file, page);
    return page;
}

int cached_fault(struct vm_fault *fault)
{
    struct page_cache *cache = cache_of(fault->vma);
    struct page *page;

    if (fault->index >= DIV_ROUND_UP(READ_ONCE(cache->inode->size), PAGE_SIZE))
        return FAULT_BUS;
    if (page_cache_in_memory_only(cache))
        page = page_cache_read(cache, fault->index, fault);
    else
        page = device_page(fault, cache);
    if (unlikely(is_err(page)))
        return fault_error(ptr_err(page));
    fault->page = page;
    return FAULT_OK;
}

unsigned cached_fault_around(struct vma *vma, u64 first, u64 last, struct page **pages)
{
    /* Who touches a marked page must come by himself. A single page is only asked after. */
    return page_cache_gang_ready(cache_of(vma), first, last, first == last ? 0 : PG_READAHEAD,
                                 pages);
}

/* The first write through a shared mapping since the page was clean. */
static int cached_make_writable(struct vm_fault *fault)
{
    struct page_cache *cache = cache_of(fault->vma);
    struct page *page = fault->page;
    u64 pos = fault->index * PAGE_SIZE;
    int error = 0;

    if (dirty_is_due(cache)) {
        fault->backing = cache->backing; /* which stays for ever; the cache need not */
        page_put(page);
        return FAULT_THROTTLE;
    }
    if (cache->ops->write_begin)
        error = cache->ops->write_begin(cache, pos, PAGE_SIZE);
    if (error)
        return fault_error(error);
    page_lock(page);
    if (page->cache == cache)
        page_set_dirty(page);
    if (cache->ops->write_end)
        cache->ops->write_end(cache, pos, PAGE_SIZE);
    if (page->cache != cache) {
        page_unlock(page); /* truncated meanwhile */
        return FAULT_RETRY;
    }
    inode_touch(fault->vma->file->inode, ATTR_MTIME | ATTR_CTIME);
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
    struct page_cache *cache = file->cache;

    vma->ops = page_cache_in_memory_only(cache) ? &memory_file_vm_ops : &cached_file_vm_ops;
    vma->mappings = &cache->mappings;
    file_accessed(file);
    return 0;
}

/* ---- writing back ----------------------------------------------------------------------------------- */

int file_check_written(struct file *file)
{
    struct page_cache *cache = file->cache;
    int error;

    if (likely(READ_ONCE(cache->error) == READ_ONCE(file->error_seen)))
        return 0;
    spin_lock(&file->lock);
    error = error_sequence_check(&cache->error, &file->error_seen);
    spin_unlock(&file->lock);
    return error;
}

int cached_file_fsync(struct file *file, loff_t start, loff_t end, bool data_only)
{
    int error = page_cache_sync(file->cache, start, end);
    int earlier = file_check_written(file);

    return earlier ? earlier : error;
}
