/* SPDX-License-Identifier: MIT */
/* The huge page of zeros: what a read of untouched memory that may have huge pages maps. */
#include "huge_areas.h"

#define USE_ZERO_PAGE SYS_HUGE "use_zero_page"

enum { KPF_THP = 22, KPF_ZERO_PAGE = 24 };

static const uint64_t NUMBER = (1UL << 55) - 1;

static char setting[2]; /* as we found it */

static int set(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY), done;
    if (fd < 0)
        return -1;
    done = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return done ? 0 : -1;
}

/* What pagemap says of n pages. */
static void look(void *p, unsigned n, uint64_t *words)
{
    int fd = open("/proc/self/pagemap", O_RDONLY);
    REQUIRE(fd >= 0 && pread(fd, words, n * 8, (long)p / PAGE * 8) == (ssize_t)(n * 8));
    close(fd);
}

static int present(void *p, unsigned n)
{
    uint64_t words[2 * PARTS];
    int count = 0;
    look(p, n, words);
    for (unsigned i = 0; i < n; i++)
        count += words[i] >> 63;
    return count;
}

static int is_zero(const char *p, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64)
        if (*(volatile const char *)(p + i))
            return 0;
    return 1;
}

/* An area of n huge pages, of which each has been read once; NULL: none are mapped huge, for TEXT. */
static char *read_area(unsigned n, const char *text)
{
    char *p, *now = proc_read(USE_ZERO_PAGE);
    if (!setting[0] && now)
        setting[0] = now[0];
    if (setting[0] != '1' && set(USE_ZERO_PAGE, "1")) {
        SKIP(text, "no huge page of zeros here");
        return NULL;
    }
    p = area(n, MADV_HUGEPAGE);
    for (unsigned i = 0; i < n; i++)
        (void)*(volatile char *)(p + i * HUGE + 5 * PAGE);
    if (present(p, PARTS) == (int)PARTS)
        return p;
    SKIP(text, "no huge page is free");
    return NULL;
}

static void restore(void)
{
    if (setting[0] == '0')
        set(USE_ZERO_PAGE, "0");
}

static void file(void)
{
    const char *text = proc_read(USE_ZERO_PAGE);
    CHECK(text && (!strcmp(text, "0\n") || !strcmp(text, "1\n")), "use_zero_page is 0 or 1");
    if (set(USE_ZERO_PAGE, text)) {
        SKIP("use_zero_page is written", "we may not");
        return;
    }
    errno = 0;
    CHECK(set(USE_ZERO_PAGE, "2") && errno == EINVAL, "nothing else");
    CHECK(set(USE_ZERO_PAGE, "x") && errno == EINVAL, "nor a word");
    CHECK(number_of(proc_read("/proc/vmstat"), "thp_zero_page_alloc ") >= 0, "thp_zero_page_alloc");
    CHECK(number_of(proc_read("/proc/vmstat"), "thp_zero_page_alloc_failed ") >= 0,
          "thp_zero_page_alloc_failed");
}

static void mapped(void)
{
    uint64_t words[PARTS], flags[2] = {0, 0};
    char *p = read_area(2, "one read");
    if (!p)
        return;
    CHECK_EQ(present(p, 2 * PARTS), 2 * (int)PARTS, "one read maps all of it");
    CHECK_EQ(kib(p, 2 * HUGE, "Rss:"), 0, "it is not resident");
    CHECK_EQ(kib(p, 2 * HUGE, "Pss:"), 0, "nor a share of it");
    CHECK_EQ(huge_kib(p, 2 * HUGE), 0, "nor anonymous");
    CHECK(is_zero(p, 2 * HUGE), "zeros");
    CHECK(number_of(proc_read("/proc/vmstat"), "thp_zero_page_alloc ") >= 1, "it is counted");
    look(p, PARTS, words);
    int fd = open("/proc/kpageflags", O_RDONLY), in_row = 0;
    uint64_t first = words[0] & NUMBER;
    if (!first || fd < 0) {
        SKIP("where it is", "not shown");
        return;
    }
    for (unsigned i = 0; i < PARTS; i++)
        in_row += (words[i] & NUMBER) == first + i;
    CHECK_EQ(in_row, PARTS, "frames in a row");
    REQUIRE(pread(fd, flags, 16, first * 8) == 16);
    for (int i = 0; i < 2; i++)
        CHECK((flags[i] >> KPF_THP & 1) && (flags[i] >> KPF_ZERO_PAGE & 1),
              "KPF_THP and KPF_ZERO_PAGE");
    look(p + HUGE, 1, words);
    CHECK_EQ(words[0] & NUMBER, first, "the same for all");
    restore();
}

static void written(void)
{
    char *p = read_area(2, "a write");
    if (!p)
        return;
    p[HUGE + 7 * PAGE + 1] = 1;
    long kibs = kib(p, 2 * HUGE, "Rss:");
    CHECK(kibs == 4 || kibs == 2048, "a write makes one page, or a huge one");
    CHECK_EQ(p[HUGE + 7 * PAGE + 1], 1, "and is seen");
    p[HUGE + 7 * PAGE + 1] = 0;
    CHECK(is_zero(p, 2 * HUGE), "all else is zero");
    fill(p, 2 * HUGE, 3);
    CHECK(holds(p, 2 * HUGE, 3), "all of it is written");
    CHECK_EQ(kib(p, 2 * HUGE, "Rss:"), 4096, "and resident");
    char *q = area(1, MADV_HUGEPAGE);
    (void)*(volatile char *)q;
    CHECK(is_zero(q, HUGE), "others' zeros are zero still");
    restore();
}

static void divided(void)
{
    char *p = read_area(2, "a part");
    if (!p)
        return;
    CHECK_EQ(munmap(p + HUGE - PAGE, PAGE), 0, "a page of it is unmapped");
    CHECK_EQ(present(p, PARTS), (int)PARTS - 1, "the others are there");
    CHECK(is_zero(p, HUGE - PAGE), "and zero");
    CHECK_EQ(mprotect(p + HUGE + PAGE, PAGE, PROT_READ), 0, "a page is read-only");
    CHECK(is_zero(p + HUGE, HUGE), "zero still");
    p[HUGE] = p[HUGE + 2 * PAGE] = 1;
    CHECK_EQ(kib(p + HUGE, HUGE, "Rss:"), 8, "its neighbours can be written");
    CHECK_EQ(IN_CHILD(p[HUGE + PAGE] = 1), 128 + SIGSEGV, "it cannot");
    CHECK_EQ(mprotect(p + HUGE, HUGE, PROT_NONE), 0, "PROT_NONE");
    CHECK_EQ(mprotect(p + HUGE, HUGE, PROT_READ | PROT_WRITE), 0, "and back");
    p[HUGE] = p[HUGE + 2 * PAGE] = 0;
    CHECK(is_zero(p + HUGE, HUGE), "all as before");
    restore();
}

static void whole(void)
{
    char *p = read_area(3, "all of it"), *q;
    if (!p)
        return;
    CHECK_EQ(mprotect(p, HUGE, PROT_READ), 0, "it becomes read-only as a whole");
    CHECK_EQ(mprotect(p, HUGE, PROT_READ | PROT_WRITE), 0, "and writable");
    p[9] = 1;
    CHECK(p[9] == 1 && is_zero(p + 64, HUGE - 64), "a write after that");
    CHECK_EQ(madvise(p + HUGE, HUGE, MADV_DONTNEED), 0, "it is not needed");
    CHECK_EQ(present(p + HUGE, PARTS), 0, "gone");
    CHECK(is_zero(p + HUGE, HUGE), "zero again");
    q = area(1, 0);
    CHECK(mremap(p + 2 * HUGE, HUGE, HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q, "it moves");
    CHECK(is_zero(q, HUGE), "zero there");
    q[PAGE] = 1;
    CHECK_EQ(kib(q, HUGE, "Rss:") >= 4, 1, "writable there");
    CHECK_EQ(madvise(p + HUGE, HUGE, MADV_COLD), 0, "MADV_COLD");
    CHECK_EQ(madvise(p + HUGE, HUGE, MADV_PAGEOUT), 0, "MADV_PAGEOUT");
    CHECK_EQ(madvise(p + HUGE, HUGE, MADV_FREE), 0, "MADV_FREE");
    CHECK(is_zero(p + HUGE, HUGE), "zero after all that");
    restore();
}

static void forked(void)
{
    char *p = read_area(1, "a child");
    if (!p)
        return;
    p[HUGE - 1] = 0; /* so that fork has something to copy */
    char *q = read_area(1, "a child");
    if (!q)
        return;
    int child = CHILD(if (!is_zero(q, HUGE)) _exit(1); fill(q, HUGE, 4); _exit(!holds(q, HUGE, 4)));
    CHECK_EQ(end_of(child), 0, "a child finds zeros, and may write");
    CHECK(is_zero(q, HUGE), "zeros for its parent still");
    child = CHILD(munmap(q, HUGE); _exit(0));
    fill(q, HUGE, 5);
    CHECK_EQ(end_of(child), 0, "a child gives it up");
    CHECK(holds(q, HUGE, 5), "its parent writes");
    restore();
}

static void unused(void)
{
    char *p = read_area(1, "no memory");
    if (!p)
        return;
    munmap(p, HUGE);
    if (set("/proc/sys/vm/drop_caches", "2"))
        SKIP("caches are dropped", "we may not");
    p = area(1, MADV_HUGEPAGE);
    CHECK(is_zero(p, HUGE), "whether it was given back or not, there are zeros");
    restore();
}

CHECK_MAIN_BUT_QEMU_USER(CASE(file), CASE(mapped), CASE(written), CASE(divided), CASE(whole),
                         CASE(forked), CASE(unused))
