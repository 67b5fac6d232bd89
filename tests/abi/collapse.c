/* SPDX-License-Identifier: MIT */
/* Single pages that become huge ones: madvise(MADV_COLLAPSE) and khugepaged. */
#include "huge_areas.h"
#include "thread.h"

#include <sys/prctl.h>
#include <sys/uio.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define DAEMON SYS_HUGE "khugepaged/"

/* Memory of n huge pages in which every page has been written as one by itself. */
static char *small_pages(unsigned n, unsigned seed)
{
    char *p = area(n, MADV_NOHUGEPAGE);
    fill(p, n * HUGE, seed);
    REQUIRE(huge_kib(p, n * HUGE) == 0);
    REQUIRE(madvise(p, n * HUGE, MADV_HUGEPAGE) == 0);
    return p;
}

/* Is there nobody who could collapse anything? TEXT is skipped then. */
static int lacking(const char *text)
{
    static char *p;
    if (qemu_user_lacks(text))
        return 1;
    p = p ?: small_pages(1, 1);
    if (madvise(p, HUGE, MADV_COLLAPSE) == 0)
        return 0;
    SKIP(text, "no MADV_COLLAPSE here");
    return 1;
}

static int collapse(char *p, size_t bytes)
{
    for (int i = 0; i < 1000; i++) {
        if (madvise(p, bytes, MADV_COLLAPSE) == 0)
            return 0;
        if (errno != EAGAIN) /* somebody was at one of the pages */
            break;
        usleep(1000);
    }
    return -1;
}

static void asked(void)
{
    if (lacking("MADV_COLLAPSE"))
        return;
    char *p = small_pages(3, 1);
    CHECK_EQ(collapse(p + HUGE, HUGE), 0, "the one in the middle");
    CHECK_EQ(huge_kib(p, 3 * HUGE), 2048, "is huge");
    CHECK(holds(p, 3 * HUGE, 1), "all contents are as before");
    CHECK_EQ(madvise(p + HUGE, HUGE, MADV_COLLAPSE), 0, "again: it is huge already");
    CHECK_EQ(collapse(p, 3 * HUGE), 0, "all of them");
    CHECK_EQ(huge_kib(p, 3 * HUGE), 6144, "are huge");
    CHECK_EQ(kib(p, 3 * HUGE, "Rss:"), 6144, "and resident");
    CHECK_EQ(kib(p, 3 * HUGE, "Private_Dirty:"), 6144, "ours, and dirty");
    CHECK(holds(p, 3 * HUGE, 1), "all contents are as before");
    fill(p, 3 * HUGE, 2);
    CHECK(holds(p, 3 * HUGE, 2), "and can be written");
    CHECK_EQ(munmap(p + HUGE + 5 * PAGE, PAGE), 0, "a hole in one");
    CHECK_EQ(huge_kib(p, 3 * HUGE), 4096, "splits it");
    CHECK_FAIL(madvise(p, 3 * HUGE, MADV_COLLAPSE), ENOMEM, "then there is a hole");
    CHECK(part_holds(p, 0, PARTS + 5, 2) && part_holds(p, PARTS + 6, 3 * PARTS, 2),
          "all else is there");
}

static void sparse(void)
{
    if (lacking("a range with little in it"))
        return;
    char *p = area(2, MADV_NOHUGEPAGE);
    p[7 * PAGE] = 'x';
    p[9 * PAGE + 5] = 'y';
    int sum = 0;
    for (unsigned i = 100; i < 200; i++)
        sum += p[i * PAGE];
    REQUIRE(madvise(p, 2 * HUGE, MADV_HUGEPAGE) == 0);
    CHECK_EQ(collapse(p, HUGE), 0, "two pages written, others read, most untouched");
    CHECK_EQ(huge_kib(p, 2 * HUGE), 2048, "a huge page");
    for (unsigned i = 0; i < HUGE; i++)
        sum += p[i] != 0;
    CHECK_EQ(sum, 2, "zero but for two bytes");
    CHECK(p[7 * PAGE] == 'x' && p[9 * PAGE + 5] == 'y', "which are there");
    CHECK_FAIL(madvise(p + HUGE, HUGE, MADV_COLLAPSE), EINVAL, "where nothing has been touched");
}

static void refused(void)
{
    if (lacking("what is refused"))
        return;
    char *p = small_pages(3, 3);
    CHECK_FAIL(madvise(unmapped_page(), PAGE, MADV_COLLAPSE), ENOMEM, "nothing is there");
    CHECK_FAIL(madvise(p + 1, HUGE, MADV_COLLAPSE), EINVAL, "an address within a page");
    CHECK_EQ(madvise(p, 0, MADV_COLLAPSE), 0, "no bytes");
    CHECK_EQ(madvise(p + HUGE, PAGE, MADV_COLLAPSE), 0, "the beginning of one: none is whole");
    CHECK_FAIL(madvise(p + PAGE, PAGE, MADV_COLLAPSE), EINVAL, "a page in the midst");
    CHECK_EQ(huge_kib(p, 3 * HUGE), 0, "nothing has been done");
    CHECK_EQ(collapse(p + PAGE, 2 * HUGE), 0, "two, shifted by a page");
    CHECK_EQ(huge_kib(p, 3 * HUGE), 2048, "one of them is whole");
    REQUIRE(madvise(p, 3 * HUGE, MADV_NOHUGEPAGE) == 0);
    CHECK_FAIL(madvise(p, HUGE, MADV_COLLAPSE), EINVAL, "MADV_NOHUGEPAGE");
    CHECK_FAIL(madvise(private_pages(PAGE), PAGE, MADV_COLLAPSE), EINVAL, "too small a mapping");
    p = area(1, 0);
    CHECK_FAIL(madvise(p, HUGE, MADV_COLLAPSE), EINVAL, "untouched memory");
    p = small_pages(1, 4);
    REQUIRE(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0);
    CHECK_FAIL(madvise(p, HUGE, MADV_COLLAPSE), EINVAL, "PR_SET_THP_DISABLE");
    REQUIRE(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0) == 0);
    CHECK_EQ(collapse(p, HUGE), 0, "taken back");
    CHECK(holds(p, HUGE, 4), "its contents are there");
}

/* Linux can do some of these if it is built and set up for it. */
static void not_anonymous(void)
{
    if (lacking("what is not private and anonymous"))
        return;
    int fd = memfd_create("memory", MFD_CLOEXEC), file = open("file", O_RDWR | O_CREAT, 0600);
    REQUIRE(fd >= 0 && file >= 0 && ftruncate(fd, 4 * HUGE) == 0 && ftruncate(file, 4 * HUGE) == 0);
    char *p = mmap(NULL, 4 * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *q = mmap(NULL, 4 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    REQUIRE(p != MAP_FAILED && q != MAP_FAILED);
    p[2 * HUGE] = q[2 * HUGE] = 1;
    int error = madvise(p, 4 * HUGE, MADV_COLLAPSE) ? errno : 0;
    CHECK(error == 0 || error == EINVAL, "shared memory: done or EINVAL");
    error = madvise(q, 4 * HUGE, MADV_COLLAPSE) ? errno : 0;
    CHECK(error == 0 || error == EINVAL, "a file: done or EINVAL");
    CHECK(p[2 * HUGE] == 1 && q[2 * HUGE] == 1 && p[HUGE] == 0, "contents are as before");
}

static void several_mappings(void)
{
    if (lacking("a range in two mappings"))
        return;
    char *p = small_pages(4, 5);
    REQUIRE(mprotect(p + HUGE + 100 * PAGE, PAGE, PROT_READ | PROT_EXEC) == 0);
    CHECK_FAIL(madvise(p, 4 * HUGE, MADV_COLLAPSE), EINVAL, "a huge page is never in two mappings");
    CHECK_EQ(collapse(p + 2 * HUGE, 2 * HUGE), 0, "those beyond");
    CHECK_EQ(huge_kib(p + HUGE + 101 * PAGE, 3 * HUGE), 4096, "are huge");
    CHECK(holds(p, 4 * HUGE, 5), "all contents are as before");
}

static void forked(void)
{
    if (lacking("after fork"))
        return;
    char *p = small_pages(2, 6);
    struct gate turn = gate_make(), mine = gate_make();
    pid_t child =
        CHILD(gate_pass(turn); int bad = !holds(p, 2 * HUGE, 6) || p[99] != 0; p[98] = 1;
              p[HUGE + 98] = 1; bad |= collapse(p, 2 * HUGE) != 0;
              bad |= huge_kib(p, 2 * HUGE) != 4096; bad |= !holds(p, 2 * HUGE, 6); gate_open(mine);
              gate_pass(turn); bad |= p[97] != 0; _exit(bad | !holds(p, 2 * HUGE, 6)));
    p[99] = 1;
    CHECK_EQ(collapse(p, HUGE), 0, "pages shared with a child are copied");
    CHECK_EQ(huge_kib(p, 2 * HUGE), 2048, "a huge page of ours");
    CHECK(holds(p, 2 * HUGE, 6), "our contents are there");
    gate_open(turn);
    gate_pass(mine);
    p[97] = 2;
    CHECK_EQ(p[98], 0, "the child's writes are its own");
    gate_open(turn);
    CHECK_EQ(end_of(child), 0, "it has its contents too, and can do the same");
    child = CHILD(gate_pass(turn); _exit(!holds(p, HUGE, 6) || huge_kib(p, 2 * HUGE) < 2048));
    gate_open(turn);
    CHECK_EQ(end_of(child), 0, "what was collapsed is shared huge by the next child");
    CHECK(holds(p, 2 * HUGE, 6), "all contents are as before");
}

/* PFNs of a huge page, where we may see them. */
static void placed(void)
{
    if (lacking("pagemap"))
        return;
    char *p = small_pages(1, 7);
    uint64_t words[PARTS];
    REQUIRE(collapse(p, HUGE) == 0);
    int fd = open("/proc/self/pagemap", O_RDONLY), in_row = 0, present = 0;
    REQUIRE(fd >= 0 && pread(fd, words, sizeof(words), (long)p / PAGE * 8) == sizeof(words));
    for (unsigned i = 0; i < PARTS; i++) {
        present += words[i] >> 63;
        in_row += (words[i] & ((1UL << 55) - 1)) == (words[0] & ((1UL << 55) - 1)) + i;
    }
    CHECK_EQ(present, PARTS, "all pages are present");
    if (!(words[0] & ((1UL << 55) - 1))) {
        SKIP("where they are", "not shown");
        return;
    }
    CHECK_EQ(in_row, PARTS, "in a row");
    CHECK_EQ(words[0] % PARTS, 0, "aligned");
    int flags = open("/proc/kpageflags", O_RDONLY);
    uint64_t flag;
    if (flags < 0 ||
        pread(flags, &flag, 8, (long)(words[0] & ((1UL << 55) - 1)) * 8) != sizeof(flag)) {
        SKIP("kpageflags", "not shown");
        return;
    }
    CHECK(flag >> 22 & 1, "kpageflags tells that it is huge");
}

static void locked(void)
{
    if (lacking("locked memory"))
        return;
    char *p = small_pages(1, 8);
    if (mlock(p, HUGE)) {
        SKIP("locked memory", "RLIMIT_MEMLOCK");
        return;
    }
    CHECK_EQ(collapse(p, HUGE), 0, "locked memory");
    CHECK_EQ(huge_kib(p, HUGE), 2048, "is huge");
    CHECK_EQ(kib(p, HUGE, "Locked:"), 2048, "and locked");
    CHECK(holds(p, HUGE, 8), "with its contents");
    CHECK_EQ(munlock(p + 3 * PAGE, PAGE), 0, "a page of it is not any more");
    CHECK(holds(p, HUGE, 8), "its contents are there");
}

static void out_and_in(void)
{
    if (lacking("pages in swap"))
        return;
    char *p = small_pages(2, 9);
    REQUIRE(madvise(p, 2 * HUGE, MADV_PAGEOUT) == 0);
    for (unsigned i = 0; i < 2 * PARTS; i += 40) /* some are in use */
        p[i * PAGE + 3] = 1;
    if (kib(p, 2 * HUGE, "Swap:") <= 0)
        SKIP("pages in swap", "none is");
    CHECK_EQ(collapse(p, 2 * HUGE), 0, "what is in swap is brought back");
    CHECK_EQ(huge_kib(p, 2 * HUGE), 4096, "all is huge");
    CHECK_EQ(kib(p, 2 * HUGE, "Swap:"), 0, "and nothing in swap");
    CHECK(holds(p, 2 * HUGE, 9), "with its contents");
}

static void another_process(void)
{
#ifdef SYS_process_madvise
    if (lacking("process_madvise"))
        return;
    char *p = small_pages(1, 10);
    struct gate turn = gate_make(), ready = gate_make();
    pid_t child = CHILD(fill(p, HUGE, 11); gate_open(ready); gate_pass(turn);
                        _exit(!holds(p, HUGE, 11) * 2 | (huge_kib(p, HUGE) != 2048)));
    int fd = syscall(SYS_pidfd_open, child, 0);
    struct iovec there = {p, HUGE};
    gate_pass(ready);
    long done = syscall(SYS_process_madvise, fd, &there, 1, MADV_COLLAPSE, 0);
    if (done < 0 && (errno == EPERM || errno == ENOSYS))
        SKIP("process_madvise", "not allowed here");
    else
        CHECK_EQ(done, HUGE, "process_madvise of a child's");
    gate_open(turn);
    int status = end_of(child);
    CHECK(status == 0 || (done < 0 && status == 1), "it has its contents, in a huge page");
    CHECK(holds(p, HUGE, 10), "and we ours");
#endif
}

/* ---- many threads at once ---- */

enum { THREADS = 4 };

static char *arena;
static _Atomic int wrong, stop;
enum { LOST = 1, BY_MEM = 2, BY_PIPE = 4, DIFFERS = 8, NOT_OUT = 16, NOT_PROTECTED = 32 };

/* Counts in words of its own on all pages, and looks whether a count was lost. */
static void *writer(void *argument)
{
    unsigned me = (long)argument;
    for (unsigned round = 1; !stop && !wrong; round++) {
        for (unsigned i = 0; i < 2 * PARTS; i++) {
            volatile unsigned *word = (unsigned *)(arena + i * PAGE + me * 64);
            wrong |= *word != round - 1 ? LOST : 0;
            *word = round;
        }
    }
    return NULL;
}

static void *reader(void *argument)
{
    char word[8];
    int fds[2], mem = open("/proc/self/mem", O_RDWR);
    REQUIRE(pipe(fds) == 0 && mem >= 0);
    for (unsigned i = 0; !stop && !wrong; i = (i + 7) % (2 * PARTS)) {
        char *p = arena + i * PAGE + 2048;
        memset(word, 'a' + i % 26, sizeof(word));
        wrong |= pwrite(mem, word, 8, (off_t)(unsigned long)p) != 8 ? BY_MEM : 0;
        wrong |= write(fds[1], p, 8) != 8 || read(fds[0], p + 8, 8) != 8 ? BY_PIPE : 0;
        wrong |= memcmp(p, word, 8) != 0 || memcmp(p + 8, word, 8) != 0 ? DIFFERS : 0;
    }
    return argument;
}

static void threads(void)
{
    pthread_t writers[THREADS], other;
    if (lacking("threads"))
        return;
    arena = small_pages(2, 0);
    memset(arena, 0, 2 * HUGE);
    for (long i = 0; i < THREADS; i++)
        writers[i] = thread_start(writer, (void *)i);
    other = thread_start(reader, NULL);
    int collapsed = 0, children = 0;
    for (unsigned round = 0; round < 60 && !wrong; round++) {
        char *p = arena + round % 2 * HUGE;
        collapsed += madvise(p, HUGE, MADV_COLLAPSE) == 0;
        char *page = p + round * 37 % PARTS * PAGE;
        if (round % 3 == 0)
            wrong |= madvise(page, 5 * PAGE, MADV_PAGEOUT) != 0 ? NOT_OUT : 0;
        if (round % 5 == 0)
            children += IN_CHILD(p[77] = 1) == 0;
        if (round % 3 == 1) /* a protection that changes nothing for them splits it too */
            wrong |= mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) != 0 ||
                             mprotect(page, PAGE, PROT_READ | PROT_WRITE) != 0
                         ? NOT_PROTECTED
                         : 0;
    }
    stop = 1;
    for (int i = 0; i < THREADS; i++)
        thread_end(writers[i]);
    thread_end(other);
    CHECK_EQ(wrong, 0, "no write of four threads is lost while a fifth collapses and splits");
    CHECK(collapsed > 0 && children == 12, "it did");
}

/* ---- khugepaged ---- */

static long setting(const char *name)
{
    return strtol(proc_read(DAEMON "%s", name), NULL, 10);
}

static int set(const char *name, long value)
{
    char path[PATH_MAX], text[32];
    int n = snprintf(text, sizeof(text), "%ld\n", value);
    snprintf(path, sizeof(path), DAEMON "%s", name);
    int fd = open(path, O_WRONLY), done = fd >= 0 ? write(fd, text, n) : -1;
    int error = errno;
    close(fd);
    errno = error;
    return done == n ? 0 : -1;
}

/* Are the settings ours to change? TEXT is skipped if not. */
static int daemon_lacking(const char *text)
{
    if (lacking(text))
        return 1;
    if (set("scan_sleep_millisecs", setting("scan_sleep_millisecs")) == 0 &&
        !strstr(proc_read(SYS_HUGE "enabled"), "[never]"))
        return 0;
    SKIP(text, "khugepaged is not ours");
    return 1;
}

/* Waits until khugepaged has been all round N times from now on. */
static void await_scans(long n)
{
    long seen = setting("full_scans");
    while (setting("full_scans") - seen < n)
        usleep(2000);
}

/* Waits until the range has so many KiB in huge pages, as long as a watchdog may take. */
static void await_huge(char *p, size_t bytes, long wanted)
{
    while (huge_kib(p, bytes) < wanted)
        usleep(2000);
}

static void settings(void)
{
    static const char *const names[] = {"max_ptes_none", "max_ptes_swap", "max_ptes_shared"};
    static const long values[] = {511, 64, 256};
    if (daemon_lacking("khugepaged's settings"))
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        CHECK_EQ(setting(names[i]), values[i], names[i]);
        CHECK_FAIL(set(names[i], 512), EINVAL, "more than there are");
        CHECK_FAIL(set(names[i], -1), EINVAL, "less than none");
        CHECK(set(names[i], 17) == 0 && setting(names[i]) == 17, "17");
        CHECK_EQ(set(names[i], values[i]), 0, "and back");
    }
    CHECK_EQ(setting("pages_to_scan"), 4096, "pages_to_scan");
    CHECK_FAIL(set("pages_to_scan", 0), EINVAL, "none");
    CHECK_EQ(setting("scan_sleep_millisecs"), 10000, "scan_sleep_millisecs");
    CHECK_EQ(setting("alloc_sleep_millisecs"), 60000, "alloc_sleep_millisecs");
    CHECK(setting("defrag") == 0 || setting("defrag") == 1, "defrag");
    CHECK_FAIL(set("defrag", 2), EINVAL, "2");
    CHECK(set("full_scans", 1) == -1 && set("pages_collapsed", 1) == -1, "counts cannot be set");
}

static void found(void)
{
    if (daemon_lacking("khugepaged"))
        return;
    long sleep = setting("scan_sleep_millisecs"), before = setting("pages_collapsed");
    REQUIRE(set("scan_sleep_millisecs", 10) == 0);
    char *p = small_pages(2, 20);
    await_huge(p, 2 * HUGE, 4096);
    CHECK(holds(p, 2 * HUGE, 20), "khugepaged finds what was touched page by page");
    CHECK(setting("pages_collapsed") - before >= 2, "pages_collapsed tells");
    CHECK(number_of(proc_read("/proc/vmstat"), "thp_collapse_alloc ") >= 2, "and so does vmstat");
    REQUIRE(set("max_ptes_none", 100) == 0);
    p = area(2, MADV_NOHUGEPAGE);
    for (unsigned i = 0; i < PARTS - 100; i++)
        p[i * PAGE] = p[HUGE + i * PAGE] = 'x';
    REQUIRE(munmap(p + 2 * HUGE - PAGE, PAGE) == 0);
    REQUIRE(madvise(p + HUGE, PAGE, MADV_DONTNEED) == 0);
    REQUIRE(madvise(p, HUGE, MADV_HUGEPAGE) == 0);
    await_huge(p, HUGE, 2048);
    CHECK(p[0] == 'x' && p[HUGE - 101 * PAGE] == 'x' && p[HUGE - 1] == 0,
          "a hundred that are missing do not matter if max_ptes_none allows it");
    p = area(1, MADV_NOHUGEPAGE);
    for (unsigned i = 0; i < PARTS - 101; i++)
        p[i * PAGE] = 'y';
    REQUIRE(madvise(p, HUGE, MADV_HUGEPAGE) == 0);
    await_scans(3);
    CHECK_EQ(huge_kib(p, HUGE), 0, "one more does");
    REQUIRE(set("max_ptes_none", 511) == 0);
    await_huge(p, HUGE, 2048);
    CHECK(p[0] == 'y' && p[HUGE - 1] == 0, "until it is allowed");
    p = small_pages(1, 21);
    char *q = area(1, MADV_NOHUGEPAGE);
    fill(q, HUGE, 22);
    await_huge(p, HUGE, 2048);
    await_scans(2);
    CHECK_EQ(huge_kib(q, HUGE), 0, "MADV_NOHUGEPAGE holds against it");
    set("scan_sleep_millisecs", sleep);
}

/* Processes come and go under its eyes. */
static void comings(void)
{
    if (daemon_lacking("processes that end while it looks"))
        return;
    long sleep = setting("scan_sleep_millisecs");
    int bad = 0;
    REQUIRE(set("scan_sleep_millisecs", 0) == 0);
    char *p = small_pages(2, 23);
    for (unsigned i = 0; i < 30; i++)
        bad |= IN_CHILD(bad = !holds(p, 2 * HUGE, 23); fill(p, HUGE, i); bad |= !holds(p, HUGE, i);
                        _exit(bad | !part_holds(p, PARTS, 2 * PARTS, 23)));
    CHECK_EQ(bad, 0, "children that write and end while khugepaged looks");
    CHECK(holds(p, 2 * HUGE, 23), "do not disturb the parent");
    set("scan_sleep_millisecs", sleep);
}

CHECK_MAIN(CASE(asked), CASE(sparse), CASE(refused), CASE(not_anonymous), CASE(several_mappings),
           CASE(forked), CASE(placed), CASE(locked), CASE(out_and_in), CASE(another_process),
           CASE(threads), CASE(settings), CASE(found), CASE(comings))
