/* SPDX-License-Identifier: MIT */
/*
 * Read-ahead: how much of a file to read, and when, judged by what was asked for so far.
 *
 * Each open file has a window: the pages that were read last on its behalf. The first page of the
 * window's last part carries PG_READAHEAD; who comes to it is near the end, and the next window is
 * begun while he still has pages to go:
 *
 *       start          start + size - ahead        start + size
 *         |  read, being used  |M  read, not asked for  |          next window, twice as large
 *         +--------------------+------------------------+- - - - - - - - - - - - - - - - - - - -
 *                               ^ asked for: begin the next
 *
 * This part is arithmetic alone, and is tested on the host. What reads is kernel/fs/read_ahead.c.
 */
#ifndef VELLUM_READ_AHEAD_H
#define VELLUM_READ_AHEAD_H

#include <vellum/types.h>

enum read_advice {
    READ_NORMAL,
    READ_RANDOM,     /* never more than was asked for */
    READ_SEQUENTIAL, /* twice as much */
};

/* Of an open file. Threads that share it may confuse its numbers, but any numbers are safe. */
struct read_ahead {
    u64 start;            /* the window, in pages */
    unsigned size;        /* 0: there was none */
    unsigned ahead;       /* of its pages, those from the marked one on */
    u64 next;             /* the page behind the last one that had to be waited for */
    unsigned misses;      /* faults in mappings that found nothing, minus those that did */
    unsigned char advice; /* enum read_advice, posix_fadvise(2) */
};

/* What is to be read now: n pages from start on, 0: nothing. start + mark gets PG_READAHEAD if
 * mark < n. */
struct read_plan {
    u64 start;
    unsigned n, mark;
};

/* Page `index` is missing, and `wanted` pages from it on are asked for; `before` pages just before it
 * are there. max: the most that the device wants to be asked for at once; 0: read-ahead is off. */
struct read_plan read_ahead_miss(struct read_ahead *ra, u64 index, unsigned wanted, unsigned max,
                                 unsigned before);
/* The page at index, marked, was asked for; `after` pages just behind it are there as well. */
struct read_plan read_ahead_marked(struct read_ahead *ra, u64 index, unsigned max, unsigned after);
/* A fault in a mapping found page `index` missing (or, hit, not). sequential, random: the mapping's
 * own advice (madvise(2)). */
struct read_plan read_ahead_fault(struct read_ahead *ra, u64 index, unsigned max, unsigned before,
                                  enum read_advice mapping);
void read_ahead_fault_hit(struct read_ahead *ra);

#endif
