/* SPDX-License-Identifier: MIT */
/*
 * The page cache: the pages of one file, by index. Every inode with contents has one; read, write
 * and mmap see the same frames.
 */
#ifndef VELLUM_PAGE_CACHE_H
#define VELLUM_PAGE_CACHE_H

#include <vellum/mm.h>
#include <vellum/radix_tree.h>

struct inode;
struct page_cache;
struct iov_iter;

struct page_cache_ops {
    /* Fill a locked page that is not up to date; sets PG_UPTODATE. 0 or -errno. NULL: new pages are
     * zeros (tmpfs). */
    int (*read_page)(struct page_cache *cache, struct page *page);
    int (*write_page)(struct page_cache *cache, struct page *page); /* NULL: memory is its home */
    /* Before bytes [from, from + n) of a locked page are changed: reserve space. NULL: nothing */
    int (*write_begin)(struct page_cache *cache, struct page *page, unsigned from, unsigned n);
    /* A page is about to be added (0 or -ENOSPC; undone with removed() if adding fails); n pages have
     * been removed. May be called under the cache's lock. NULL: nothing is counted (limits of tmpfs) */
    int (*adding)(struct page_cache *cache);
    void (*removed)(struct page_cache *cache, u64 n);
};

struct page_cache {
    spinlock_t lock;                  /* irqs on; guards pages, nr_pages */
    struct radix_tree pages;          /* [lock] index -> struct page, each holding a reference */
    u64 nr_pages;                     /* [lock] */
    struct mapping_set mappings;      /* VMAs that map the file */
    const struct page_cache_ops *ops; /* [i] */
    struct inode *inode;              /* [i] */
};

void page_cache_init(struct page_cache *cache, struct inode *inode,
                     const struct page_cache_ops *ops);
/* All pages go; => no mapping and no user left */
void page_cache_destroy(struct page_cache *cache);

/* The page with a new reference if it is there and up to date, else NULL. Does not sleep. */
struct page *page_cache_find(struct page_cache *cache, u64 index);
/* The same; if it is not there it is read (or made of zeros). err_ptr(-ENOMEM, -EIO ...).
 * => may sleep. *major is set if the device was waited for; may be NULL */
struct page *page_cache_read(struct page_cache *cache, u64 index, bool *major);
/* Find or create the page for writing: locked, with a reference; not necessarily up to date if
 * `whole` (the caller overwrites all of it). err_ptr on error. */
struct page *page_cache_grab(struct page_cache *cache, u64 index, bool whole);
/* Up to n pages that are in the cache from `first` on, in order, each with a reference. */
unsigned page_cache_gang(struct page_cache *cache, u64 first, struct page **pages, unsigned n);
/* Those of first..last (at most as many as `pages` has room for) that are up to date, the same way. */
unsigned page_cache_gang_ready(struct page_cache *cache, u64 first, u64 last, struct page **pages);
/* Add a page that has its contents to a cache whose only home is memory; the caller keeps his
 * reference. 0, -EEXIST, -ENOMEM, -ENOSPC */
int page_cache_add_memory(struct page_cache *cache, struct page *page, u64 index);
/* The contents are newer than what the device has. Nothing to do where there is no device. */
void page_set_dirty(struct page *page);
/* Remove what lies beyond `size` bytes: pages, their mappings, and the rest of the last page is
 * zeroed. The caller has set the inode's size already (so that new faults fail). => inode mutex */
void page_cache_truncate(struct page_cache *cache, u64 size);
/* Remove whole pages first..last (hole punching, invalidation); private copies stay mapped. */
void page_cache_remove_range(struct page_cache *cache, u64 first, u64 last);
/* SEEK_DATA / SEEK_HOLE for files whose pages are their only home: the next byte offset >= start
 * within size, or -ENXIO. */
loff_t page_cache_seek(struct page_cache *cache, loff_t start, loff_t size, bool data);

/* Bodies for file_ops->read/write of cached files: copy, extend the size, update times. */
struct file;
ssize_t cached_file_read(struct file *file, struct iov_iter *iter, loff_t *pos);
ssize_t cached_file_write(struct file *file, struct iov_iter *iter, loff_t *pos);
/* file_ops->mmap of cached files, and the vm_ops it installs. */
int cached_file_mmap(struct file *file, struct vma *vma);
extern const struct vm_ops cached_file_vm_ops;
int cached_fault(struct vm_fault *fault);
unsigned cached_fault_around(struct vma *vma, u64 first, u64 last, struct page **pages);

#endif
