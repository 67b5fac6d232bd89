/* SPDX-License-Identifier: MIT */
/*
 * The set of VMAs of an address space.
 *
 * VMAs stand in a list, ascending, and in a red-black tree by start. Each knows how much is free in
 * front of it (from the end of its predecessor), and each node of the tree the largest such gap in
 * its subtree; a place for a new mapping is found in one descent. Below a stack that may grow,
 * STACK_GUARD bytes do not count as free.
 *
 *      prev            gap            vma
 *   [--------)  . . . . . . . . . [----------)
 *
 * All that mmap, munmap, mprotect and brk do is made of the operations here: find, insert, remove,
 * resize, split and merge. Neighbours that are equal in all but place do not exist: whoever makes
 * them equal merges them.
 */
#include "address_space.h"
#include "huge.h"
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/string.h>

struct object_cache *vma_cache;

static inline struct vma *vma_of(struct rb_node *node)
{
    return rb_entry(node, struct vma, node);
}

struct vma *vma_first(struct mm *mm)
{
    return list_first_entry_or_null(&mm->vma_list, struct vma, link);
}

struct vma *vma_next(struct vma *vma)
{
    struct list *next = vma->link.next;

    return next == &vma->mm->vma_list ? NULL : list_entry(next, struct vma, link);
}

struct vma *vma_prev(struct vma *vma)
{
    struct list *prev = vma->link.prev;

    return prev == &vma->mm->vma_list ? NULL : list_entry(prev, struct vma, link);
}

struct vma *vma_find(struct mm *mm, vaddr_t address)
{
    struct rb_node *node = mm->vmas.node;
    struct vma *found = NULL;

    while (node) {
        struct vma *vma = vma_of(node);

        if (vma->end <= address) {
            node = node->right;
        } else {
            found = vma;
            if (vma->start <= address)
                break;
            node = node->left;
        }
    }
    return found;
}

struct vma *vma_find_exact(struct mm *mm, vaddr_t address)
{
    struct vma *vma = vma_find(mm, address);

    return vma && vma->start <= address ? vma : NULL;
}

struct vma *vma_find_hinted(struct mm *mm, vaddr_t address)
{
    struct thread *thread = current;
    struct vma *vma = thread->fault_hint;

    if (likely(thread->fault_hint_sequence == mm->sequence) && vma && vma->start <= address &&
        address < vma->end)
        return vma;
    vma = vma_find(mm, address);
    thread->fault_hint = vma;
    thread->fault_hint_sequence = mm->sequence;
    return vma;
}

/* ---- gaps ------------------------------------------------------------------------------------- */

static inline vaddr_t prev_end(struct vma *vma)
{
    struct vma *prev = vma_prev(vma);

    return prev ? prev->end : 0;
}

static inline u64 gap_below(struct vma *vma)
{
    vaddr_t start = vma_guarded_start(vma), end = prev_end(vma);

    return start > end ? start - end : 0;
}

static bool update_largest(struct rb_node *node)
{
    struct vma *vma = vma_of(node);
    u64 largest = gap_below(vma);

    if (node->left)
        largest = max(largest, vma_of(node->left)->largest_gap);
    if (node->right)
        largest = max(largest, vma_of(node->right)->largest_gap);
    if (vma->largest_gap == largest)
        return false;
    vma->largest_gap = largest;
    return true;
}

static const struct rb_augment augment = {update_largest};

/* The gap below a VMA (or NULL) has changed. */
static inline void gap_changed(struct vma *vma)
{
    if (vma)
        rb_augment_propagate(&vma->node, &augment);
}

/*
 * The VMA whose gap, cut to [low, high), is the highest of at least `size` bytes. Subtrees without a
 * gap that large are not entered; of the others the search comes back empty-handed only along the
 * two borders of [low, high), so it takes O(log n). The depth of the recursion is that of the tree.
 */
static struct vma *highest_gap(struct rb_node *node, u64 size, vaddr_t low, vaddr_t high)
{
    while (node && vma_of(node)->largest_gap >= size) {
        struct vma *vma = vma_of(node), *found;
        vaddr_t start = max(prev_end(vma), low);

        if (start < high && high - start >= size) {
            found = highest_gap(node->right, size, low, high);
            if (found)
                return found;
            if (gap_below(vma) >= size && vma_guarded_start(vma) >= start &&
                vma_guarded_start(vma) - start >= size)
                return vma;
        }
        if (vma->start <= low)
            return NULL;
        node = node->left;
    }
    return NULL;
}

vaddr_t vma_find_gap(struct mm *mm, u64 size, vaddr_t low, vaddr_t high)
{
    struct vma *last =
        list_empty(&mm->vma_list) ? NULL : list_last_entry(&mm->vma_list, struct vma, link);
    vaddr_t start = max(last ? last->end : 0, low);
    struct vma *vma;

    if (size == 0 || high < low || high - low < size)
        return 0;
    if (start < high && high - start >= size)
        return high - size;
    vma = highest_gap(mm->vmas.node, size, low, high);
    return vma ? min(vma_guarded_start(vma), high) - size : 0;
}

/* ---- membership ------------------------------------------------------------------------------- */

void mapping_set_init(struct mapping_set *set)
{
    rwlock_init(&set->lock);
    set->tree = RB_ROOT;
    atomic_set(&set->writable, 0);
    set->id = 0;
}

/* => mappings->lock */
static void file_link_locked(struct vma *vma)
{
    vma->file_node.start = vma->offset;
    vma->file_node.last = vma_index(vma, vma->end) - 1;
    interval_insert(&vma->file_node, &vma->mappings->tree);
}

static bool counts_as_writable(const struct vma *vma)
{
    return (vma->flags & VM_SHARED) && (vma->flags & VM_MAY_WRITE);
}

static void file_link(struct vma *vma)
{
    write_lock(&vma->mappings->lock);
    file_link_locked(vma);
    write_unlock(&vma->mappings->lock);
    if (counts_as_writable(vma))
        atomic_inc(&vma->mappings->writable);
}

static void file_unlink(struct vma *vma)
{
    write_lock(&vma->mappings->lock);
    interval_remove(&vma->file_node, &vma->mappings->tree);
    write_unlock(&vma->mappings->lock);
    if (counts_as_writable(vma))
        atomic_dec(&vma->mappings->writable);
}

struct vma *vma_alloc(struct mm *mm, vaddr_t start, vaddr_t end, u32 flags)
{
    struct vma *vma = object_alloc(vma_cache, ALLOC_KERNEL | ALLOC_ZERO);

    if (!vma)
        return NULL;
    vma->mm = mm;
    vma->start = start;
    vma->end = end;
    vma->flags = flags;
    vma->offset = start >> PAGE_SHIFT;
    return vma;
}

void vma_insert(struct mm *mm, struct vma *vma)
{
    struct rb_node **slot = &mm->vmas.node, *parent = NULL;
    struct vma *prev = NULL;

    assert(rwlock_write_held(&mm->lock));
    assert(vma->start < vma->end && IS_ALIGNED(vma->start | vma->end, PAGE_SIZE));
    while (*slot) {
        parent = *slot;
        if (vma->start < vma_of(parent)->start) {
            slot = &parent->left;
        } else {
            prev = vma_of(parent);
            slot = &parent->right;
        }
    }
    list_add(&vma->link, prev ? &prev->link : &mm->vma_list);
    assert(prev_end(vma) <= vma->start);
    assert(!vma_next(vma) || vma->end <= vma_next(vma)->start);
    gap_changed(vma_next(vma)); /* before the rotations, which take gaps as they find them */
    rb_link(&vma->node, parent, slot);
    rb_insert_augmented(&vma->node, &mm->vmas, &augment);
    if (vma->mappings)
        file_link(vma);
    mm->vma_count++;
    mm->sequence++;
}

void vma_remove(struct mm *mm, struct vma *vma)
{
    struct vma *next = vma_next(vma);

    assert(rwlock_write_held(&mm->lock));
    if (vma->mappings)
        file_unlink(vma);
    rb_erase_augmented(&vma->node, &mm->vmas, &augment);
    list_del(&vma->link);
    gap_changed(next);
    mm->vma_count--;
    mm->sequence++;
}

void vma_free(struct vma *vma)
{
    if (vma->ops && vma->ops->close)
        vma->ops->close(vma);
    if (vma->file)
        mm_file_ops.put(vma->file);
    object_free(vma_cache, vma);
}

void vma_resize(struct vma *vma, vaddr_t start, vaddr_t end)
{
    struct vma *next = vma_next(vma);

    assert(rwlock_write_held(&vma->mm->lock));
    assert(start < end && prev_end(vma) <= start && (!next || end <= next->start));
    if (vma->mappings) {
        write_lock(&vma->mappings->lock);
        interval_remove(&vma->file_node, &vma->mappings->tree);
    }
    vma->offset += (s64)(start - vma->start) >> PAGE_SHIFT;
    vma->start = start;
    vma->end = end;
    if (vma->mappings) {
        file_link_locked(vma);
        write_unlock(&vma->mappings->lock);
    }
    gap_changed(vma);
    gap_changed(next);
    vma->mm->sequence++;
}

void vma_set_flags(struct vma *vma, u32 flags)
{
    bool was = vma->mappings && counts_as_writable(vma);

    vma->flags = flags;
    if (vma->mappings && counts_as_writable(vma) != was)
        atomic_add(&vma->mappings->writable, was ? -1 : 1);
    vma->mm->sequence++;
}

/* ---- split and merge ----------------------------------------------------------------------------- */

struct vma *vma_split(struct vma *vma, vaddr_t at)
{
    struct vma *upper = object_alloc(vma_cache, ALLOC_KERNEL);

    assert(vma->start < at && at < vma->end);
    if (!upper)
        return NULL;
    if (!vma->ops) /* the huge page of zeros is there without anything private */
        split_huge_boundary(vma->mm, at);
    *upper = *vma;
    upper->start = at;
    upper->offset = vma_index(vma, at);
    if (upper->file)
        mm_file_ops.get(upper->file);
    if (upper->ops && upper->ops->open)
        upper->ops->open(upper);
    vma_resize(vma, vma->start, at);
    vma_insert(vma->mm, upper);
    return upper;
}

/* Would a and b, b behind a, be one VMA if they touched? */
static bool same_kind(const struct vma *a, const struct vma *b)
{
    return a->flags == b->flags && a->file == b->file && a->ops == b->ops &&
           a->private_data == b->private_data && !(a->flags & VM_SPECIAL) &&
           a->offset + ((a->end - a->start) >> PAGE_SHIFT) == b->offset;
}

static bool can_join(const struct vma *a, const struct vma *b)
{
    return a && b && a->end == b->start && same_kind(a, b);
}

/* Make a cover b too, which follows it, and free b. */
static void join(struct vma *a, struct vma *b)
{
    vaddr_t end = b->end;

    a->has_private |= b->has_private;
    vma_remove(a->mm, b);
    vma_resize(a, a->start, end);
    vma_free(b);
}

struct vma *vma_merge(struct vma *vma)
{
    struct vma *prev = vma_prev(vma), *next = vma_next(vma);

    if (can_join(vma, next))
        join(vma, next);
    if (!can_join(prev, vma))
        return vma;
    join(prev, vma);
    return prev;
}

static bool is_anonymous(const struct vma *vma, u32 flags)
{
    return vma && !vma->ops && !vma->file && vma->flags == flags;
}

struct vma *vma_extend_anonymous(struct mm *mm, vaddr_t start, vaddr_t end, u32 flags)
{
    struct vma *next = vma_find(mm, start), *prev;

    prev = next                        ? vma_prev(next)
           : list_empty(&mm->vma_list) ? NULL
                                       : list_last_entry(&mm->vma_list, struct vma, link);
    if (is_anonymous(prev, flags) && prev->end == start) {
        vma_resize(prev, prev->start, end);
        return vma_merge(prev);
    }
    if (is_anonymous(next, flags) && next->start == end) {
        vma_resize(next, start, next->end);
        return next;
    }
    return NULL;
}

/* ---- counting -------------------------------------------------------------------------------------- */

void vma_account(struct mm *mm, u32 flags, struct file *file, long pages)
{
    mm->total_pages += pages;
    if (flags & VM_GROWSDOWN)
        mm->stack_pages += pages;
    else if ((flags & VM_EXEC) && !(flags & VM_WRITE) && file)
        mm->exec_pages += pages;
    else if ((flags & VM_WRITE) && !(flags & VM_SHARED))
        mm->data_pages += pages;
    if (flags & VM_LOCKED)
        mm->locked_pages += pages;
    if (flags & VM_ACCOUNT)
        atomic_add(&count_committed, pages);
}
