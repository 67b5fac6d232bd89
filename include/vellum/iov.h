/* SPDX-License-Identifier: MIT */
/*
 * Where the bytes of a read or write go to or come from: user buffers (one or several), or kernel
 * memory. The iterator advances as bytes are copied.
 */
#ifndef VELLUM_IOV_H
#define VELLUM_IOV_H

#include <vellum/uaccess.h>
#include <linux/uio.h>

struct iov_iter {
    char *base;               /* of what is left of the current segment; user or kernel address */
    size_t length;            /* bytes left in the current segment */
    size_t count;             /* bytes left in all */
    const struct iovec *next; /* further segments (kernel copy of the array) */
    bool kernel;              /* base is kernel memory */
    bool nowait;              /* do what needs no waiting; else -EAGAIN (RWF_NOWAIT) */
};

static inline void iov_single(struct iov_iter *it, void __user *buffer, size_t n)
{
    *it = (struct iov_iter){.base = buffer, .length = n, .count = n};
}

static inline void iov_kernel(struct iov_iter *it, void *buffer, size_t n)
{
    *it = (struct iov_iter){.base = buffer, .length = n, .count = n, .kernel = true};
}

/* Copy up to n bytes; return how many were (fewer only at a bad address or the iterator's end). */
size_t copy_to_iter(struct iov_iter *it, const void *from, size_t n);
size_t copy_from_iter(struct iov_iter *it, void *to, size_t n);
size_t zero_iter(struct iov_iter *it, size_t n);
void iov_advance(struct iov_iter *it, size_t n);
void iov_revert_point(const struct iov_iter *it, struct iov_iter *saved); /* *saved = *it */
/* Touch the first bytes to be read from user memory so that a copy under nofault can succeed. */
int iov_fault_in(struct iov_iter *it, size_t n);
/* Copy and check a user's iovec array: total at most MAX_RW_COUNT. `fast` holds up to 8, else it is
 * allocated: free *iov if != fast. 0, -EINVAL, -EFAULT, -ENOMEM. */
#define IOV_FAST 8
int iov_import(struct iov_iter *it, const struct iovec __user *uiov, unsigned long n,
               struct iovec *fast, struct iovec **iov);
#define MAX_RW_COUNT (0x7fffffffL & PAGE_MASK)

#endif
