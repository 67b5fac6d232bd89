/* SPDX-License-Identifier: MIT */
/* Areas made for huge pages: whether they have them, and whether their contents are right. */
#ifndef ABI_HUGE_AREAS_H
#define ABI_HUGE_AREAS_H

#include "procfile.h"

#define PAGE  4096UL
#define HUGE  (2048UL << 10)
#define PARTS (HUGE / PAGE)

#define SYS_HUGE "/sys/kernel/mm/transparent_hugepage/"

/* The sum of a field of smaps over the mappings in [p, p + bytes), in KiB. */
static CHECK_USED long kib(void *p, size_t bytes, const char *name)
{
    unsigned long low = (unsigned long)p, high = low + bytes, start, end;
    char *line = proc_read("/proc/self/smaps");
    long sum = 0;
    int inside = 0;
    for (; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            inside = start >= low && end <= high;
        else if (inside && starts_with(line, name))
            sum += strtol(line + strlen(name), NULL, 10);
    }
    return sum;
}

static CHECK_USED long huge_kib(void *p, size_t bytes)
{
    return kib(p, bytes, "AnonHugePages:");
}

/* Aligned private memory of whole huge pages, which no neighbour is merged with. */
static CHECK_USED char *area(unsigned n, int advice)
{
    char *p =
        mmap(NULL, (n + 2) * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE(p != MAP_FAILED);
    p = (char *)(((unsigned long)p + HUGE) & ~(HUGE - 1));
    REQUIRE(mprotect(p, n * HUGE, PROT_READ | PROT_WRITE) == 0);
    if (advice)
        REQUIRE(madvise(p, n * HUGE, advice) == 0);
    return p;
}

/* A word of each page says which it is. */
static CHECK_USED void fill(char *p, size_t bytes, unsigned seed)
{
    for (size_t i = 0; i < bytes; i += PAGE)
        *(unsigned *)(p + i + seed % 1000 * 4) = seed * 7919 + i / PAGE;
}

/* Pages from..to of what was filled hold it still. */
static CHECK_USED int part_holds(const char *p, size_t from, size_t to, unsigned seed)
{
    for (size_t i = from; i < to; i++)
        if (*(volatile const unsigned *)(p + i * PAGE + seed % 1000 * 4) != seed * 7919 + i)
            return 0;
    return 1;
}

static CHECK_USED int holds(const char *p, size_t bytes, unsigned seed)
{
    return part_holds(p, 0, bytes / PAGE, seed);
}

#endif
