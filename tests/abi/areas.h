/* SPDX-License-Identifier: MIT */
/* Areas of the address space, as /proc/self/maps and smaps tell of them. */
#ifndef ABI_AREAS_H
#define ABI_AREAS_H

#include "procfile.h"
#include <sys/resource.h>

#define PAGE       4096UL
#define READ_WRITE (PROT_READ | PROT_WRITE)

/* Pages at an address that no neighbour is merged with: a page without access on both sides. */
static CHECK_USED char *map_alone(size_t pages, int prot, int flags, int fd)
{
    char *p = mmap(NULL, (pages + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(p != MAP_FAILED);
    p = mmap(p + PAGE, pages * PAGE, prot, flags | MAP_FIXED, fd, 0);
    REQUIRE(p != MAP_FAILED);
    return p;
}

/* The same, private and anonymous. */
static CHECK_USED char *anonymous(size_t pages, int prot)
{
    return map_alone(pages, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

/* A file of `pages` pages, whose bytes tell their page: 'a', 'b' ... */
static CHECK_USED int letters(const char *path, int pages)
{
    char page[PAGE];
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    REQUIRE(fd >= 0);
    for (int i = 0; i < pages; i++) {
        memset(page, 'a' + i % 26, PAGE);
        REQUIRE(write(fd, page, PAGE) == PAGE);
    }
    return fd;
}

/* How many lines of /proc/self/maps lie, at least in part, within the range. */
static CHECK_USED int areas(const void *start, size_t pages)
{
    uintptr_t from = (uintptr_t)start, to = from + pages * PAGE;
    char *text = proc_read("/proc/self/maps");
    int count = 0;
    for (char *line = text; line && *line;
         line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        unsigned long begin, end;
        if (sscanf(line, "%lx-%lx", &begin, &end) == 2 && begin < to && end > from)
            count++;
    }
    return count;
}

/* The line of /proc/PROCESS/smaps (and what follows) of the area that covers an address; NULL: none. */
static CHECK_USED char *area_at(const char *process, const void *address)
{
    char *text = proc_read("/proc/%s/smaps", process);
    for (char *line = text; line && *line;
         line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        unsigned long begin, end;
        if (sscanf(line, "%lx-%lx ", &begin, &end) == 2 && begin <= (uintptr_t)address &&
            end > (uintptr_t)address)
            return line;
    }
    return NULL;
}

/* Kibibytes behind a name in smaps; -1: no such area. */
static CHECK_USED long area_kib(const char *process, const void *address, const char *name)
{
    char *p = area_at(process, address);
    return p ? number_of(p, name) : -1;
}

/* Has the area this two-letter flag (VmFlags)? */
static CHECK_USED int has_flag(const void *address, const char *flag)
{
    char *p = area_at("self", address), want[8];
    p = p ? line_of(p, "VmFlags:") : NULL;
    if (!p)
        return -1;
    snprintf(want, sizeof(want), " %s ", flag);
    char *found = strstr(p, want);
    return found && found < strchr(p, '\n');
}

/* The protections of the area at an address, "rw-p"; "": none. */
static CHECK_USED const char *protections(const void *address)
{
    static char text[8];
    char *p = area_at("self", address);
    text[0] = 0;
    if (p)
        sscanf(p, "%*x-%*x %7s", text);
    return text;
}

/* Is there any mapping at an address? */
static CHECK_USED int is_mapped(const void *address)
{
    return msync((void *)((uintptr_t)address & -PAGE), PAGE, MS_ASYNC) == 0;
}

/* Pages of the range that are in memory, by mincore(). */
static CHECK_USED int resident(const void *start, size_t pages)
{
    static unsigned char map[4096];
    int count = 0;
    REQUIRE(pages <= sizeof(map) && mincore((void *)start, pages * PAGE, map) == 0);
    for (size_t i = 0; i < pages; i++)
        count += map[i] & 1;
    return count;
}

/* A number from a line of /proc/self/status, in KiB. */
static CHECK_USED long status_kib(const char *name)
{
    return number_of(proc_read("/proc/self/status"), name);
}

/* The number in a file of /proc/sys/vm; -1: there is none. */
static CHECK_USED long vm_setting(const char *name)
{
    char *text = proc_read("/proc/sys/vm/%s", name);
    return *text ? atol(text) : -1;
}

static CHECK_USED int set_limit(int resource, rlim_t soft)
{
    struct rlimit limit;
    getrlimit(resource, &limit);
    limit.rlim_cur = soft;
    if (limit.rlim_max < soft)
        limit.rlim_max = soft;
    return setrlimit(resource, &limit);
}

/* What a read, or a write, of a byte does: 0, or 128 + the signal. */
static CHECK_USED int after_read(const void *address)
{
    return IN_CHILD(_exit(*(volatile const char *)address & 0));
}

static CHECK_USED int after_write(void *address)
{
    return IN_CHILD(*(volatile char *)address = 1);
}

#define SEGV (128 + SIGSEGV)
#define BUS  (128 + SIGBUS)

#endif
