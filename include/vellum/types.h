/* SPDX-License-Identifier: MIT */
/*
 * The plain types that every room uses.
 */
#ifndef VELLUM_TYPES_H
#define VELLUM_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

typedef __kernel_ssize_t ssize_t;
typedef __kernel_pid_t pid_t;
typedef __kernel_uid32_t uid_t;
typedef __kernel_gid32_t gid_t;
typedef __kernel_loff_t loff_t;
typedef __kernel_clockid_t clockid_t;
typedef u32 mode_t;

typedef u64 dev_id_t; /* a device number as stat's st_rdev shows it: dev_make(major, minor) */
typedef u64 vaddr_t;  /* an address, user or kernel, as a number */
typedef u64 paddr_t;  /* physical address, bytes */
typedef u64 pfn_t;    /* page frame number: paddr >> PAGE_SHIFT */
typedef u64 ktime_t;  /* nanoseconds; monotonic since boot unless said otherwise */

#define KTIME_MAX ((ktime_t)INT64_MAX)

/* A pointer into user space: never dereferenced, only passed to the copy functions. */
#define __user

#endif
