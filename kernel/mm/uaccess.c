/* SPDX-License-Identifier: MIT */
/*
 * Structures that grow. A system call that is given a structure and its size can be extended without
 * a new number: an old program passes fewer bytes, and what is missing means zero; a new program on
 * an old kernel passes more, and may as long as what the kernel does not know is zero.
 */
#include <vellum/string.h>
#include <vellum/uaccess.h>

/* Is all of it zero? 1, 0 or -EFAULT. => user_range_ok() */
static int user_is_zero(const u8 __user *from, size_t n)
{
    u8 bytes[64];

    for (size_t done = 0, part; done < n; done += part) {
        part = min(n - done, sizeof(bytes));
        if (copy_from_user(bytes, from + done, part))
            return -EFAULT;
        for (size_t i = 0; i < part; i++)
            if (bytes[i])
                return 0;
    }
    return 1;
}

int copy_struct_from_user(void *to, size_t known, const void __user *from, size_t size)
{
    if (size > PAGE_SIZE)
        return -E2BIG;
    if (!user_range_ok(from, size))
        return -EFAULT;
    if (size > known) {
        int zero = user_is_zero((const u8 __user *)from + known, size - known);

        if (zero <= 0)
            return zero ? zero : -E2BIG;
    }
    memset(to, 0, known);
    return copy_from_user(to, from, min(size, known)) ? -EFAULT : 0;
}
