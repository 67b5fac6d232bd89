/* SPDX-License-Identifier: MIT */
/* brk, stacks that grow, MAP_GROWSDOWN and the gap that guards what lies below. */
#include "check.h"

#include <setjmp.h>
#include <sys/resource.h>

enum { PAGE = 4096 };

static uintptr_t raw_brk(uintptr_t address)
{
    return syscall(SYS_brk, address);
}

static void heap(void)
{
    uintptr_t start = raw_brk(0);
    CHECK(start != 0, "brk(0) tells the break");
    CHECK_EQ(raw_brk(start + 10 * PAGE), start + 10 * PAGE, "the break grows");
    volatile char *p = (char *)start;
    CHECK(p[0] == 0 && p[10 * PAGE - 1] == 0, "by memory that is zero");
    p[10 * PAGE - 1] = 1;
    p[0] = 2;
    CHECK_EQ(raw_brk(start + 100), start + 100, "it shrinks, to any byte");
    CHECK_EQ(p[0], 2, "what remains keeps its contents");
    if (!qemu_user_lacks("brk")) {
        CHECK_EQ(IN_CHILD(p[5 * PAGE] = 1), 128 + SIGSEGV, "what was given back is gone");
        CHECK_EQ(raw_brk(start + 10 * PAGE), start + 10 * PAGE, "grown again");
        CHECK_EQ(p[10 * PAGE - 1], 0, "it is zero again");
        CHECK_EQ(raw_brk(1), start + 10 * PAGE, "a break below the heap changes nothing");
        CHECK_EQ(raw_brk((uintptr_t)1 << 62), start + 10 * PAGE, "nor does one that cannot be");
    }
    char *far = sbrk(64 << 20);
    CHECK(far != (void *)-1, "64 MiB of heap");
    far[0] = far[(64 << 20) - 1] = 7;
    CHECK(far[32 << 20] == 0, "of which only what is touched is there");
    CHECK_EQ(IN_CHILD(sbrk(PAGE); _exit(sbrk(0) > (void *)far ? 0 : 1)), 0,
             "a child has its own break");
}

static void heap_limits(void)
{
    struct rlimit limit = {1 << 20, RLIM_INFINITY};
    if (qemu_user_lacks("limits of the heap"))
        return;
    REQUIRE(setrlimit(RLIMIT_DATA, &limit) == 0);
    uintptr_t start = raw_brk(0);
    CHECK_EQ(raw_brk(start + (8 << 20)), start, "RLIMIT_DATA stops the break");
    limit.rlim_cur = RLIM_INFINITY;
    REQUIRE(setrlimit(RLIMIT_DATA, &limit) == 0);
    void *wall = (void *)((start + PAGE * 17) & ~(PAGE - 1ul));
    REQUIRE(mmap(wall, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == wall);
    CHECK_EQ(raw_brk(start + 64 * PAGE), start, "a mapping in the way stops it too");
    CHECK_EQ(raw_brk(start + 8 * PAGE), start + 8 * PAGE, "below it the break may grow");
}

static int touch_stack(int depth)
{
    volatile int frame[PAGE / sizeof(int)];
    frame[0] = depth;
    if (depth == 0)
        return frame[0];
    return touch_stack(depth - 1) + frame[0] - depth;
}

static void stack(void)
{
    CHECK_EQ(touch_stack(1000), 0, "the stack grows by four megabytes, page by page");
    CHECK_EQ(IN_CHILD(_exit(touch_stack(1200))), 0, "in a child as well");
    if (qemu_user_lacks("growth of the stack"))
        return;
    char text[65536];
    unsigned long begin, end;
    REQUIRE(read_file("/proc/self/maps", text, sizeof(text)) > 0);
    char *line = strstr(text, "[stack]");
    REQUIRE(line);
    while (line > text && line[-1] != '\n')
        line--;
    REQUIRE(sscanf(line, "%lx-%lx", &begin, &end) == 2);
    CHECK(end - begin >= 1000 * 4096, "/proc/self/maps shows its new size");
    char local;
    CHECK((unsigned long)&local >= begin && (unsigned long)&local < end,
          "the stack pointer is in it");
    CHECK_EQ(IN_CHILD(*(volatile char *)(end - (6 << 20)) = 1), 0,
             "a write far below the stack pointer grows it, within the limit");
    CHECK_EQ(IN_CHILD(*(volatile char *)(end - (9 << 20)) = 1), 128 + SIGSEGV,
             "but not beyond the limit");
    struct rlimit limit = {5 << 20, RLIM_INFINITY};
    CHECK_EQ(IN_CHILD(setrlimit(RLIMIT_STACK, &limit); *(volatile char *)(end - (6 << 20)) = 1),
             128 + SIGSEGV, "a lower limit holds at once");
}

static void guard_gap(void)
{
    if (qemu_user_lacks("MAP_GROWSDOWN"))
        return;
    char *area = mmap(NULL, 1024 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(area != MAP_FAILED && munmap(area, 1024 * PAGE) == 0);
    char *top = area + 800 * PAGE;
    char *p = mmap(top, PAGE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
    CHECK(p == top, "MAP_GROWSDOWN");
    volatile char *v = top - 100;
    *v = 1;
    CHECK_EQ(*v, 1, "a write below it makes it grow");
    v = top - 20 * PAGE;
    *v = 2;
    CHECK_EQ(*v, 2, "also by many pages at once");
    CHECK_EQ(top[-10 * PAGE], 0, "the pages between are zero");
    /* The gap is 256 pages: no growth that would leave less to the mapping below. */
    char *below =
        mmap(area, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    REQUIRE(below == area);
    CHECK_EQ(IN_CHILD(*(volatile char *)(area + 300 * PAGE) = 1), 0,
             "it grows up to the gap above another mapping");
    CHECK_EQ(IN_CHILD(*(volatile char *)(area + 200 * PAGE) = 1), 128 + SIGSEGV,
             "not into the gap");
    CHECK_EQ(IN_CHILD(*(volatile char *)(area + PAGE) = 1), 128 + SIGSEGV,
             "and not up to the mapping");
    munmap(below, PAGE);
    mmap(area, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    CHECK_EQ(IN_CHILD(*(volatile char *)(area + 200 * PAGE) = 1), 0,
             "a mapping without access needs no gap");
}

static void address_space_limit(void)
{
    if (qemu_user_lacks("RLIMIT_AS"))
        return;
    struct rlimit limit = {256 << 20, RLIM_INFINITY};
    REQUIRE(setrlimit(RLIMIT_AS, &limit) == 0);
    errno = 0;
    CHECK(mmap(NULL, 300 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
              errno == ENOMEM,
          "RLIMIT_AS stops mmap: ENOMEM");
    void *p = mmap(NULL, 200 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED, "less is granted");
    CHECK(mmap(NULL, 100 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED,
          "once");
    CHECK_EQ(munmap(p, 200 << 20), 0, "after munmap");
    CHECK(mmap(NULL, 100 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED,
          "again");
    uintptr_t start = raw_brk(0);
    CHECK_EQ(raw_brk(start + (300 << 20)), start, "it stops the break too");
}

CHECK_MAIN(CASE(heap), CASE(heap_limits), CASE(stack), CASE(guard_gap), CASE(address_space_limit))
