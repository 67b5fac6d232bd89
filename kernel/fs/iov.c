/* SPDX-License-Identifier: MIT */
/*
 * Iterators over the bytes of a read or write (iov.h).
 */
#include "internal.h"

/* Go to the next segment that has bytes. => count > 0 */
static void iov_next_segment(struct iov_iter *it)
{
    while (it->length == 0) {
        it->base = it->next->iov_base;
        it->length = min_t(size_t, it->next->iov_len, it->count);
        it->next++;
    }
}

static inline void iov_step(struct iov_iter *it, size_t n)
{
    it->base += n;
    it->length -= n;
    it->count -= n;
}

enum direction { TO_ITER, FROM_ITER, ZERO_ITER };

/* Copy within the current segment: how much was. */
static inline size_t copy_piece(struct iov_iter *it, void *memory, size_t n, enum direction dir)
{
    if (it->kernel) {
        if (dir == TO_ITER)
            memcpy(it->base, memory, n);
        else if (dir == FROM_ITER)
            memcpy(memory, it->base, n);
        else
            memset(it->base, 0, n);
        return n;
    }
    if (dir == TO_ITER)
        return n - copy_to_user(it->base, memory, n);
    if (dir == FROM_ITER)
        return n - copy_from_user(memory, it->base, n);
    return n - clear_user(it->base, n);
}

static __always_inline size_t copy_iter(struct iov_iter *it, void *memory, size_t n,
                                        enum direction dir)
{
    size_t done = 0, piece, copied;

    n = min(n, it->count);
    while (done < n) {
        if (unlikely(it->length == 0))
            iov_next_segment(it);
        piece = min(n - done, it->length);
        copied = copy_piece(it, (char *)memory + done, piece, dir);
        iov_step(it, copied);
        done += copied;
        if (unlikely(copied < piece))
            break;
    }
    return done;
}

size_t copy_to_iter(struct iov_iter *it, const void *from, size_t n)
{
    return copy_iter(it, (void *)from, n, TO_ITER);
}

size_t copy_from_iter(struct iov_iter *it, void *to, size_t n)
{
    return copy_iter(it, to, n, FROM_ITER);
}

size_t zero_iter(struct iov_iter *it, size_t n)
{
    return copy_iter(it, NULL, n, ZERO_ITER);
}

void iov_advance(struct iov_iter *it, size_t n)
{
    size_t piece;

    for (n = min(n, it->count); n > 0; n -= piece) {
        if (it->length == 0)
            iov_next_segment(it);
        piece = min(n, it->length);
        iov_step(it, piece);
    }
}

void iov_revert_point(const struct iov_iter *it, struct iov_iter *saved)
{
    *saved = *it;
}

int iov_fault_in(struct iov_iter *it, size_t n)
{
    struct iov_iter probe = *it;
    const char *p, *end;
    char c;

    if (it->kernel || it->count == 0)
        return 0;
    for (n = min(n, probe.count); n > 0; n -= end - p, iov_step(&probe, end - p)) {
        if (probe.length == 0)
            iov_next_segment(&probe);
        p = probe.base;
        end = p + min(n, probe.length);
        for (const char *q = p; q < end; q = (const char *)(((vaddr_t)q & PAGE_MASK) + PAGE_SIZE))
            if (get_user(c, (const char __user *)q))
                return q == it->base ? -EFAULT : 0;
    }
    (void)c;
    return 0;
}

int iov_import(struct iov_iter *it, const struct iovec __user *uiov, unsigned long n,
               struct iovec *fast, struct iovec **iov)
{
    struct iovec *v = fast;
    size_t total = 0;

    *iov = fast;
    if (n > UIO_MAXIOV)
        return -EINVAL;
    if (n > IOV_FAST) {
        v = kmalloc_array(n, sizeof(*v), ALLOC_KERNEL);
        if (!v)
            return -ENOMEM;
        *iov = v;
    }
    if (copy_from_user(v, uiov, n * sizeof(*v)))
        return -EFAULT;
    for (unsigned long i = 0; i < n; i++) {
        if ((ssize_t)v[i].iov_len < 0)
            return -EINVAL;
        if (!user_range_ok(v[i].iov_base, v[i].iov_len))
            return -EFAULT;
        v[i].iov_len = min_t(size_t, v[i].iov_len, MAX_RW_COUNT - total);
        total += v[i].iov_len;
    }
    *it = (struct iov_iter){.count = total, .next = v};
    return 0;
}
