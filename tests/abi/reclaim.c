/* SPDX-License-Identifier: MIT */
/*
 * What a program says about its pages: madvise(2) with MADV_COLD, MADV_PAGEOUT and MADV_FREE, and mlock
 * beside them; and what reclaim shows in /proc.
 */
#include "check.h"
#include "procfile.h"

#define PAGES 64
#define page  ((size_t)sysconf(_SC_PAGESIZE))

static unsigned char *map(int pages, int flags)
{
    unsigned char *p = mmap(NULL, pages * page, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

    if (p == MAP_FAILED)
        _exit(2);
    return p;
}

static void fill(unsigned char *p, int pages, int seed)
{
    for (int i = 0; i < pages; i++)
        memset(p + i * page, 1 + (i * 7 + seed) % 250, page);
}

/* Pages that are as fill() left them; -1 if one is neither so nor zero from end to end. */
static int count_kept(const unsigned char *p, int pages, int seed)
{
    int kept = 0;

    for (int i = 0; i < pages; i++) {
        unsigned char first = p[i * page], want = 1 + (i * 7 + seed) % 250;

        for (size_t k = 0; k < page; k++)
            if (p[i * page + k] != first)
                return -1;
        if (first != want && first != 0)
            return -1;
        kept += first == want;
    }
    return kept;
}

static void keeps_contents(int advice)
{
    unsigned char *p = map(PAGES, 0);
    int status = 0;

    fill(p, PAGES, 3);
    CHECK(madvise(p, PAGES * page, advice) == 0, "anonymous memory");
    CHECK(count_kept(p, PAGES, 3) == PAGES, "all contents are kept");
    fill(p, PAGES, 4);
    CHECK(madvise(p + page, 5 * page + 1, advice) == 0, "the length is rounded up");
    CHECK(count_kept(p, PAGES, 4) == PAGES, "a part");
    if (fork() == 0) {
        int ok = madvise(p, PAGES * page, advice) == 0 && count_kept(p, PAGES, 4) == PAGES;

        fill(p, PAGES, 9);
        _exit(ok && madvise(p, PAGES * page, advice) == 0 && count_kept(p, PAGES, 9) == PAGES ? 0
                                                                                              : 1);
    }
    wait(&status);
    CHECK(status == 0, "pages shared since fork, then copied");
    CHECK(count_kept(p, PAGES, 4) == PAGES, "the parent's are untouched");
    munmap(p, PAGES * page);
}

static void refused(int advice)
{
    unsigned char *p = map(PAGES, 0);

    CHECK(madvise(p + 1, page, advice) == -1 && errno == EINVAL, "not aligned");
    CHECK(madvise(p, 0, advice) == 0, "nothing");
    munmap(p + 8 * page, page);
    CHECK(madvise(p, 16 * page, advice) == -1 && errno == ENOMEM, "over a hole");
    if (mlock(p, 4 * page) == 0) {
        CHECK(madvise(p, page, advice) == -1 && errno == EINVAL, "locked memory");
        munlock(p, 4 * page);
        CHECK(madvise(p, page, advice) == 0, "no longer locked");
    }
    munmap(p, PAGES * page);
}

static void test_free(void)
{
    unsigned char *p = map(PAGES, 0), *shared;
    int fd, kept, status = 0;

    fill(p, PAGES, 5);
    CHECK(madvise(p, PAGES * page, MADV_FREE) == 0, "MADV_FREE: anonymous memory");
    kept = count_kept(p, PAGES, 5);
    CHECK(kept >= 0, "MADV_FREE: a page keeps its contents or is zero");
    fill(p, PAGES / 2, 6);
    CHECK(count_kept(p, PAGES / 2, 6) == PAGES / 2, "MADV_FREE: what is written after it is kept");
    CHECK(madvise(p, PAGES * page, MADV_PAGEOUT) == 0, "MADV_PAGEOUT after it");
    CHECK(count_kept(p, PAGES / 2, 6) == PAGES / 2,
          "MADV_FREE: that is not paged out into nothing");
    CHECK(count_kept(p + PAGES / 2 * page, PAGES / 2, 5) >= 0 ||
              count_kept(p + PAGES / 2 * page, PAGES / 2, 5 + PAGES / 2 * 7) >= 0,
          "MADV_FREE: the others are as before or zero");
    madvise(p, PAGES * page, MADV_FREE);
    fill(p, PAGES, 7);
    if (fork() == 0) {
        int ok = count_kept(p, PAGES, 7) == PAGES && madvise(p, PAGES * page, MADV_FREE) == 0;

        fill(p, PAGES, 8);
        _exit(ok && count_kept(p, PAGES, 8) == PAGES ? 0 : 1);
    }
    wait(&status);
    CHECK(status == 0, "MADV_FREE in a child");
    CHECK(count_kept(p, PAGES, 7) == PAGES, "MADV_FREE in a child frees nothing of the parent's");
    munmap(p, PAGES * page);

    shared = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(madvise(shared, page, MADV_FREE) == -1 && errno == EINVAL, "MADV_FREE: shared memory");
    munmap(shared, page);
    fd = open("/proc/self/exe", O_RDONLY);
    shared = mmap(NULL, page, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(madvise(shared, page, MADV_FREE) == -1 && errno == EINVAL, "MADV_FREE: a file");
    CHECK(madvise(shared, page, MADV_COLD) == 0, "MADV_COLD: a file");
    CHECK(madvise(shared, page, MADV_PAGEOUT) == 0, "MADV_PAGEOUT: a file");
    CHECK(memcmp(shared, "\177ELF", 4) == 0, "and it is still there");
    munmap(shared, page);
    close(fd);
}

/* A write by somebody else counts as a write. */
static void remote_write(void)
{
    unsigned char *p = map(1, 0);
    char path[64];
    int fd, ok;

    fill(p, 1, 1);
    madvise(p, page, MADV_FREE);
    snprintf(path, sizeof(path), "/proc/%d/mem", getpid());
    fd = open(path, O_RDWR);
    if (fd < 0) {
        SKIP("a write through /proc/PID/mem", "cannot be opened");
        return;
    }
    ok = pwrite(fd, "hello", 5, (off_t)(uintptr_t)p) == 5;
    madvise(p, page, MADV_PAGEOUT);
    CHECK(ok && memcmp(p, "hello", 5) == 0, "MADV_FREE, then written through /proc/PID/mem");
    close(fd);
    munmap(p, page);
}

static void proc(void)
{
    static const char *const names[] = {
        "pgscan_kswapd ", "pgscan_direct ",  "pgsteal_kswapd ",   "pgsteal_direct ", "pgactivate ",
        "pgdeactivate ",  "pgrefill ",       "pglazyfree ",       "pglazyfreed ",    "pageoutrun ",
        "slabs_scanned ", "nr_active_anon ", "nr_inactive_anon ",
    };
    static const char *const lists[] = {
        "Active:",       "Inactive:",       "Active(anon):", "Inactive(anon):",
        "Active(file):", "Inactive(file):", "Unevictable:"};
    long lazy = number_of(proc_read("/proc/vmstat"), "pglazyfree "), min, low, high;
    unsigned char *p;

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        CHECK(number_of(proc_read("/proc/vmstat"), names[i]) >= 0, names[i]);
    if (check_under_qemu_user()) {
        SKIP("meminfo, zoneinfo, pglazyfree", "the emulator's are its own");
        return;
    }
    for (unsigned i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        CHECK(number_of(proc_read("/proc/meminfo"), lists[i]) >= 0, lists[i]);
    proc_read("/proc/zoneinfo");
    min = number_of(proc_text, "        min ");
    low = number_of(proc_text, "        low ");
    high = number_of(proc_text, "        high ");
    CHECK(min >= 0 && min <= low && low <= high, "zoneinfo: min, low, high in order");
    p = map(PAGES, 0);
    fill(p, PAGES, 1);
    madvise(p, PAGES * page, MADV_FREE);
    CHECK(number_of(proc_read("/proc/vmstat"), "pglazyfree ") > lazy, "MADV_FREE is counted");
}

static long knob(const char *name)
{
    return strtol(proc_read("/proc/sys/vm/%s", name), NULL, 10);
}

static void knobs(void)
{
    CHECK(proc_read("/proc/sys/vm/swappiness")[0] && knob("swappiness") <= 200, "vm.swappiness");
    CHECK(knob("min_free_kbytes") > 0, "vm.min_free_kbytes");
    CHECK(proc_read("/proc/sys/vm/vfs_cache_pressure")[0], "vm.vfs_cache_pressure");
    CHECK(knob("watermark_scale_factor") >= 1, "vm.watermark_scale_factor");
    CHECK_EQ(knob("panic_on_oom"), 0, "vm.panic_on_oom");
    CHECK(proc_read("/proc/sys/vm/oom_dump_tasks")[0], "vm.oom_dump_tasks");
    CHECK(proc_read("/proc/sys/vm/oom_kill_allocating_task")[0], "vm.oom_kill_allocating_task");
}

static long score(const char *adjustment)
{
    REQUIRE(write_error("/proc/self/oom_score_adj", adjustment) == 0);
    return strtol(proc_read("/proc/self/oom_score"), NULL, 10);
}

/* Two thirds of the thousandths of memory and swap that it has; 667 for who has nothing. */
static void oom_score(void)
{
    long none = score("0"), more;

    CHECK(none >= 666 && none < 1400, "oom_score of a small process");
    more = score("300") - none;
    CHECK(more >= 199 && more <= 201, "oom_score_adj adds two thirds of it");
    more = score("1000") - none;
    CHECK(more >= 665 && more <= 668, "up to 1000");
    if (write_error("/proc/self/oom_score_adj", "-1000") == 0) {
        CHECK_EQ(score("-1000"), 0, "never chosen: 0");
        score("0");
    }
}

static void cold(void)
{
    keeps_contents(MADV_COLD);
    refused(MADV_COLD);
}

static void pageout(void)
{
    keeps_contents(MADV_PAGEOUT);
    refused(MADV_PAGEOUT);
}

static void lazy_free(void)
{
    refused(MADV_FREE);
    test_free();
}

/* qemu-user takes most advice for granted. */
CHECK_MAIN_BUT_QEMU_USER(CASE(cold), CASE(pageout), CASE(lazy_free), CASE(remote_write), CASE(proc),
                         CASE(knobs), CASE(oom_score))
