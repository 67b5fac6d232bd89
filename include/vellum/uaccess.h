/* SPDX-License-Identifier: MIT */
/*
 * Memory of the current process, seen from the kernel. Addresses are checked against USER_END; a
 * fault is resolved as if the program had touched the page, and if it cannot be, the copy ends.
 * => may sleep, unless current->nofault is raised (then what is not mapped is not copied)
 */
#ifndef VELLUM_UACCESS_H
#define VELLUM_UACCESS_H

#include <vellum/arch.h>
#include <vellum/error.h>
#include <vellum/thread.h>

static inline bool user_range_ok(const void __user *p, size_t n)
{
    return likely((vaddr_t)p <= USER_END && n <= USER_END - (vaddr_t)p);
}

/* Return the number of bytes that were NOT copied: 0 is success. */
static inline size_t __must_check copy_to_user(void __user *to, const void *from, size_t n)
{
    assert_may_fault();
    return user_range_ok(to, n) ? arch_copy_user(to, from, n) : n;
}

/* What could not be read is left as it was: callers that pass the buffer on must look at the result. */
static inline size_t __must_check copy_from_user(void *to, const void __user *from, size_t n)
{
    assert_may_fault();
    return user_range_ok(from, n) ? arch_copy_user(to, from, n) : n;
}

static inline size_t __must_check clear_user(void __user *to, size_t n)
{
    assert_may_fault();
    return user_range_ok(to, n) ? arch_clear_user(to, n) : n;
}

/* Length of the string without its zero, n if none within n bytes, or -EFAULT. */
static inline ssize_t copy_user_string(char *to, const char __user *from, size_t n)
{
    size_t room = (vaddr_t)from < USER_END ? USER_END - (vaddr_t)from : 0;
    ssize_t len;

    assert_may_fault();
    if (room == 0)
        return -EFAULT;
    len = arch_copy_user_string(to, from, n < room ? n : room);
    return len == (ssize_t)room && room < n ? -EFAULT : len;
}

/*
 * A structure of which the kernel knows `known` bytes and the program passes `size`: what is missing
 * becomes zero, what is unknown must be zero. 0, -E2BIG (more than a page, or unknown bytes are set),
 * or -EFAULT. (openat2(2), "Extensibility")
 */
int copy_struct_from_user(void *to, size_t known, const void __user *from, size_t size);

/* get_user(x, p): x = *p. put_user(x, p): *p = x. 0 or -EFAULT. Sizes 1, 2, 4, 8. */
#define get_user(x, p)                                                                             \
    ({                                                                                             \
        const __typeof__(*(p)) __user *_p = (p);                                                   \
        int _err = -EFAULT;                                                                        \
        assert_may_fault();                                                                        \
        if (user_range_ok(_p, sizeof(*_p)))                                                        \
            switch (sizeof(*_p)) {                                                                 \
            case 1: {                                                                              \
                u8 _v = 0;                                                                         \
                _err = arch_get_user_8(&_v, _p);                                                   \
                (x) = (__typeof__(*(p)))(unsigned long)_v;                                         \
                break;                                                                             \
            }                                                                                      \
            case 2: {                                                                              \
                u16 _v = 0;                                                                        \
                _err = arch_get_user_16(&_v, _p);                                                  \
                (x) = (__typeof__(*(p)))(unsigned long)_v;                                         \
                break;                                                                             \
            }                                                                                      \
            case 4: {                                                                              \
                u32 _v = 0;                                                                        \
                _err = arch_get_user_32(&_v, _p);                                                  \
                (x) = (__typeof__(*(p)))(unsigned long)_v;                                         \
                break;                                                                             \
            }                                                                                      \
            case 8: {                                                                              \
                u64 _v = 0;                                                                        \
                _err = arch_get_user_64(&_v, _p);                                                  \
                (x) = (__typeof__(*(p)))(unsigned long)_v;                                         \
                break;                                                                             \
            }                                                                                      \
            }                                                                                      \
        _err;                                                                                      \
    })
#define put_user(x, p)                                                                             \
    ({                                                                                             \
        __typeof__(*(p)) __user *_p = (p);                                                         \
        __typeof__(*(p)) _v = (x);                                                                 \
        int _err = -EFAULT;                                                                        \
        assert_may_fault();                                                                        \
        if (user_range_ok(_p, sizeof(*_p)))                                                        \
            switch (sizeof(*_p)) {                                                                 \
            case 1:                                                                                \
                _err = arch_put_user_8((u8)(u64)_v, _p);                                           \
                break;                                                                             \
            case 2:                                                                                \
                _err = arch_put_user_16((u16)(u64)_v, _p);                                         \
                break;                                                                             \
            case 4:                                                                                \
                _err = arch_put_user_32((u32)(u64)_v, _p);                                         \
                break;                                                                             \
            case 8:                                                                                \
                _err = arch_put_user_64((u64)_v, _p);                                              \
                break;                                                                             \
            }                                                                                      \
        _err;                                                                                      \
    })

/* Between these, user copies do not fault pages in (for use under a spinlock). */
static inline void nofault_begin(void)
{
    current->nofault++;
    barrier();
}

static inline void nofault_end(void)
{
    barrier();
    current->nofault--;
}

#endif
