/* SPDX-License-Identifier: MIT */
/* Transparent huge pages: what is mapped huge, and that nobody can tell from the contents. */
#include "huge_areas.h"
#include "thread.h"

#include <sys/prctl.h>
#include <sys/uio.h>

/* Filled memory of n huge pages, or NULL where there are none to be had, for check TEXT. */
static char *huge_area(unsigned n, unsigned seed, const char *text)
{
    char *p;
    if (qemu_user_lacks(text))
        return NULL;
    p = area(n, MADV_HUGEPAGE);
    fill(p, n * HUGE, seed);
    if (huge_kib(p, n * HUGE) == (long)(n * HUGE >> 10))
        return p;
    SKIP(text, "no huge pages here");
    munmap(p, n * HUGE);
    return NULL;
}

static void on_fault(void)
{
    char *p = huge_area(1, 1, "one byte is written"), *q;
    if (!p)
        return;
    munmap(p, HUGE);
    p = area(3, MADV_HUGEPAGE);
    p[HUGE + 12345] = 1;
    CHECK_EQ(huge_kib(p, 3 * HUGE), 2048, "one byte is written: its huge page is there");
    CHECK_EQ(kib(p, 3 * HUGE, "Rss:"), 2048, "and nothing else");
    CHECK_EQ(kib(p, 3 * HUGE, "Pss:"), 2048, "all of it ours");
    CHECK_EQ(kib(p, 3 * HUGE, "Anonymous:"), 2048, "anonymous");
    CHECK_EQ(kib(p, 3 * HUGE, "Private_Dirty:"), 2048, "and dirty");
    int zeros = 0;
    for (unsigned i = 0; i < HUGE; i++)
        zeros += p[HUGE + i] == 0;
    CHECK_EQ(zeros, HUGE - 1, "all else of it is zero");
    unsigned char map[3 * PARTS];
    REQUIRE(mincore(p, 3 * HUGE, map) == 0);
    int in = 0;
    for (unsigned i = 0; i < 3 * PARTS; i++)
        in += (map[i] & 1) == (i / PARTS == 1);
    CHECK_EQ(in, 3 * PARTS, "mincore");
    q = area(2, MADV_HUGEPAGE);
    REQUIRE(munmap(q, PAGE) == 0);
    q[HUGE - PAGE] = 1;
    q[HUGE] = 1;
    CHECK_EQ(huge_kib(q + PAGE, 2 * HUGE - PAGE), 2048, "where it is not whole there is none");
    CHECK_EQ(kib(q + PAGE, 2 * HUGE - PAGE, "Rss:"), 2052, "but a page");
}

static void refused(void)
{
    char *p;
    if (qemu_user_lacks("refused"))
        return;
    p = area(2, MADV_NOHUGEPAGE);
    fill(p, 2 * HUGE, 2);
    CHECK_EQ(huge_kib(p, 2 * HUGE), 0, "MADV_NOHUGEPAGE");
    CHECK_EQ(kib(p, 2 * HUGE, "Rss:"), 4096, "but pages");
    CHECK(strstr(proc_read("/proc/self/smaps"), " nh"), "VmFlags nh");
    CHECK_FAIL(madvise(unmapped_page(), PAGE, MADV_HUGEPAGE), ENOMEM, "MADV_HUGEPAGE of nothing");
    CHECK_FAIL(madvise(p + 1, PAGE, MADV_HUGEPAGE), EINVAL, "of an address within a page");
    CHECK_EQ(madvise(p, 0, MADV_HUGEPAGE), 0, "of no bytes");
    CHECK_EQ(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 0, "PR_GET_THP_DISABLE at first");
    CHECK_FAIL(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 1), EINVAL, "PR_SET_THP_DISABLE with garbage");
    CHECK_FAIL(prctl(PR_GET_THP_DISABLE, 1, 0, 0, 0), EINVAL, "PR_GET_THP_DISABLE with garbage");
    CHECK_EQ(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0, "PR_SET_THP_DISABLE");
    CHECK_EQ(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 1, "is kept");
    CHECK_EQ(number_of(proc_read("/proc/self/status"), "THP_enabled:"), 0, "status tells");
    p = area(1, MADV_HUGEPAGE);
    p[0] = 1;
    CHECK_EQ(huge_kib(p, HUGE), 0, "and holds against MADV_HUGEPAGE");
    CHECK_EQ(IN_CHILD(_exit(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0))), 1, "a child inherits it");
    CHECK_EQ(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0), 0, "and taken back");
    CHECK_EQ(number_of(proc_read("/proc/self/status"), "THP_enabled:"), 1, "status tells that too");
}

static void forked(void)
{
    char *p = huge_area(2, 3, "fork");
    if (!p)
        return;
    int status = IN_CHILD({
        if (!holds(p, 2 * HUGE, 3))
            _exit(1);
        if (huge_kib(p, 2 * HUGE) != 4096)
            _exit(2);
        p[5 * PAGE] = 'c';
        if (!holds(p, 2 * HUGE, 3) || p[5 * PAGE] != 'c')
            _exit(3);
        fill(p, HUGE, 4);
        if (!holds(p, HUGE, 4) || !part_holds(p, PARTS, 2 * PARTS, 3))
            _exit(4);
    });
    CHECK_EQ(status, 0, "a child has it, and writes");
    CHECK(holds(p, 2 * HUGE, 3) && p[5 * PAGE] == 0, "we do not see it");
    struct gate child_turn = gate_make(), parent_turn = gate_make();
    pid_t child = CHILD(gate_pass(child_turn); int bad = !holds(p, 2 * HUGE, 3) || p[7] != 0;
                        p[7] = 2; gate_open(parent_turn); gate_pass(child_turn);
                        _exit(bad || p[7] != 2 || !holds(p, 2 * HUGE, 3)));
    p[7] = 1;
    gate_open(child_turn);
    gate_pass(parent_turn);
    CHECK_EQ(p[7], 1, "the parent wrote first");
    p[7] = 3;
    gate_open(child_turn);
    CHECK_EQ(end_of(child), 0, "and the child has its own");
    CHECK(holds(p, 2 * HUGE, 3), "all is as before");
    CHECK_EQ(madvise(p, HUGE, MADV_DONTFORK), 0, "MADV_DONTFORK of the first");
    CHECK_EQ(IN_CHILD(_exit(!part_holds(p, PARTS, 2 * PARTS, 3))), 0, "the child has the second");
}

/* A tree of forks each of which changes something else. */
static int tree(char *p, unsigned seed, int depth)
{
    pid_t children[2];
    int bad = 0;
    for (unsigned i = 0; depth && i < 2; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            bad = !holds(p, HUGE, seed);
            fill(p, HUGE, seed * 2 + i);
            bad |= tree(p, seed * 2 + i, depth - 1);
            _exit(bad | !holds(p, HUGE, seed * 2 + i));
        }
        bad |= children[i] < 0;
    }
    bad |= !holds(p, HUGE, seed);
    for (unsigned i = 0; depth && i < 2; i++)
        bad |= end_of(children[i]);
    return bad | !holds(p, HUGE, seed);
}

static void trees(void)
{
    char *p = huge_area(1, 1, "a tree of forks");
    if (p)
        CHECK_EQ(tree(p, 1, 3), 0, "a tree of forks keeps its contents apart");
}

static void unmapped(void)
{
    char *p = huge_area(3, 5, "munmap");
    if (!p)
        return;
    CHECK_EQ(munmap(p + HUGE + 100 * PAGE, 50 * PAGE), 0, "a hole in the middle one");
    CHECK_EQ(huge_kib(p, 3 * HUGE), 4096, "its neighbours are huge still");
    CHECK_EQ(kib(p, 3 * HUGE, "Rss:"), 3 * 2048 - 200, "and all else is there");
    CHECK(part_holds(p, 0, PARTS + 100, 5) && part_holds(p, PARTS + 150, 3 * PARTS, 5),
          "with its contents");
    CHECK_EQ(munmap(p, HUGE), 0, "a whole one");
    CHECK_EQ(huge_kib(p, 3 * HUGE), 2048, "is gone");
    REQUIRE(mmap(p, HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
            p);
    CHECK(p[0] == 0 && p[HUGE - 1] == 0, "what comes in its place is zero");
    CHECK_EQ(munmap(p, 3 * HUGE), 0, "all of it");
}

static void forgotten(void)
{
    char *p = huge_area(2, 6, "MADV_DONTNEED");
    if (!p)
        return;
    CHECK_EQ(madvise(p + 10 * PAGE, 3 * PAGE, MADV_DONTNEED), 0, "MADV_DONTNEED of three pages");
    CHECK(!p[10 * PAGE + 24] && !p[11 * PAGE + 24] && !p[12 * PAGE + 24], "they are zero");
    fill(p, HUGE, 6);
    CHECK(holds(p, 2 * HUGE, 6), "all else is there");
    CHECK_EQ(huge_kib(p, 2 * HUGE), 2048, "the second is huge still");
    CHECK_EQ(madvise(p + HUGE, HUGE, MADV_DONTNEED), 0, "MADV_DONTNEED of a huge page");
    CHECK_EQ(kib(p, 2 * HUGE, "Rss:"), 2048, "it is gone");
    int zeros = 0;
    for (unsigned i = 0; i < HUGE; i += 4)
        zeros += *(unsigned *)(p + HUGE + i) == 0;
    CHECK_EQ(zeros, HUGE / 4, "and zero");
}

/* A write from outside to one page of memory that may be dropped otherwise (MADV_FREE). */
static void freed_and_written(void)
{
    struct iovec from = {"kept", 4}, to;
    char *p = huge_area(1, 9, "MADV_FREE");

    if (!p || qemu_user_lacks("process_vm_writev"))
        return;
    REQUIRE(madvise(p, HUGE, MADV_FREE) == 0);
    to = (struct iovec){p + 5 * PAGE, 4};
    REQUIRE(process_vm_writev(getpid(), &from, 1, &to, 1, 0) == 4);
    for (int i = 0; i < 3; i++)
        REQUIRE(madvise(p, HUGE, MADV_PAGEOUT) == 0);
    CHECK(!memcmp(p + 5 * PAGE, "kept", 4), "what another process has written stays");
}

static int write_dies(char *p)
{
    return IN_CHILD(signal(SIGSEGV, SIG_DFL); *(volatile char *)p = 1) == 128 + SIGSEGV;
}

static void protected(void)
{
    char *p = huge_area(2, 7, "mprotect");
    if (!p)
        return;
    CHECK_EQ(mprotect(p, HUGE, PROT_READ), 0, "the first read-only");
    CHECK_EQ(huge_kib(p, 2 * HUGE), 4096, "both are huge still");
    CHECK(write_dies(p + 77 * PAGE) && holds(p, 2 * HUGE, 7), "it cannot be written");
    CHECK_EQ(mprotect(p, HUGE, PROT_NONE), 0, "not accessible");
    CHECK(IN_CHILD(signal(SIGSEGV, SIG_DFL); (void)*(volatile char *)p) == 128 + SIGSEGV,
          "it cannot be read");
    CHECK_EQ(mprotect(p, HUGE, PROT_READ | PROT_WRITE), 0, "all is allowed again");
    CHECK(holds(p, 2 * HUGE, 7), "its contents are as before");
    fill(p, 2 * HUGE, 8);
    CHECK(holds(p, 2 * HUGE, 8), "and can be written");
    CHECK_EQ(mprotect(p + HUGE + 3 * PAGE, 2 * PAGE, PROT_READ), 0, "two pages of the second");
    CHECK_EQ(huge_kib(p + HUGE, HUGE), 0, "it is split");
    CHECK(write_dies(p + HUGE + 3 * PAGE) && write_dies(p + HUGE + 5 * PAGE - 1),
          "they cannot be written");
    p[HUGE + 3 * PAGE - 1] = p[HUGE + 5 * PAGE] = 1;
    CHECK(holds(p, 2 * HUGE, 8), "their neighbours can");
    CHECK_EQ(mprotect(p, 100 * PAGE, PROT_READ | PROT_EXEC), 0, "the beginning of the first");
    CHECK_EQ(mprotect(p, 100 * PAGE, PROT_READ | PROT_WRITE), 0, "and back");
    fill(p, HUGE, 9);
    CHECK(holds(p, HUGE, 9), "it can be written all over");
}

static void moved(void)
{
    char *p = huge_area(2, 10, "mremap"), *to;
    if (!p)
        return;
    to = area(4, 0);
    CHECK(mremap(p, HUGE, HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to, "a whole one moves");
    CHECK(holds(to, HUGE, 10), "with its contents");
    CHECK_EQ(huge_kib(to, HUGE), 2048, "as it is");
    CHECK(mremap(to, HUGE, HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, to + HUGE + PAGE) ==
              to + HUGE + PAGE,
          "to where it does not fit");
    CHECK(holds(to + HUGE + PAGE, HUGE, 10), "with its contents");
    CHECK_EQ(huge_kib(to, 4 * HUGE), 0, "in pieces");
    CHECK(mremap(p + HUGE, 20 * PAGE, 20 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p, "a part");
    CHECK(part_holds(p - HUGE, PARTS, PARTS + 20, 10) && part_holds(p, PARTS + 20, 2 * PARTS, 10),
          "both parts have their contents");
    p = huge_area(1, 11, "mremap after fork");
    if (!p)
        return;
    struct gate turn = gate_make();
    pid_t child = CHILD(gate_pass(turn); _exit(!holds(p, HUGE, 11)));
    CHECK(mremap(p, HUGE, HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to,
          "one that is shared moves");
    CHECK(holds(to, HUGE, 11), "with its contents");
    fill(to, HUGE, 12);
    gate_open(turn);
    CHECK_EQ(end_of(child), 0, "the child's has not moved nor changed");
    CHECK(holds(to, HUGE, 12), "ours can be written");
}

static void from_outside(void)
{
    char *p = huge_area(1, 13, "another process's memory"), buffer[3 * PAGE];
    if (!p)
        return;
    struct gate turn = gate_make();
    pid_t child = CHILD(gate_pass(turn));
    struct iovec here = {buffer, sizeof(buffer)}, there = {p + 9 * PAGE, sizeof(buffer)};
    memset(buffer, 'x', sizeof(buffer));
    CHECK_EQ(process_vm_writev(child, &here, 1, &there, 1, 0), sizeof(buffer), "process_vm_writev");
    memset(buffer, 0, sizeof(buffer));
    CHECK_EQ(process_vm_readv(child, &here, 1, &there, 1, 0), sizeof(buffer), "process_vm_readv");
    CHECK(buffer[0] == 'x' && buffer[3 * PAGE - 1] == 'x', "what was written");
    CHECK(holds(p, HUGE, 13) && p[9 * PAGE] == 0, "ours is as before");
    gate_open(turn);
    end_of(child);
    int fds[2], mem = open("/proc/self/mem", O_RDWR);
    REQUIRE(pipe(fds) == 0 && mem >= 0);
    REQUIRE(mprotect(p, HUGE, PROT_READ) == 0);
    CHECK_EQ(pwrite(mem, "abc", 3, (off_t)(unsigned long)(p + 4 * PAGE - 1)), 3,
             "/proc/self/mem writes where we may not");
    CHECK(!memcmp(p + 4 * PAGE - 1, "abc", 3), "and we see it");
    REQUIRE(mprotect(p, HUGE, PROT_READ | PROT_WRITE) == 0);
    child = CHILD(_exit(write(fds[1], "hello", 5) == 5 && read(fds[0], p + 2 * PAGE - 2, 5) == 5 &&
                                !memcmp(p + 2 * PAGE - 2, "hello", 5)
                            ? 0
                            : 1));
    CHECK_EQ(end_of(child), 0, "read(2) into what is shared");
    CHECK(p[2 * PAGE - 2] == 0 && p[2 * PAGE + 1] == 0, "leaves the parent's alone");
}

/* ---- many threads at once ---- */

enum { THREADS = 4, ROUNDS = 60 };

static char *arena;
static _Atomic int wrong, stop;

/* Each has its own pages of the same huge pages: writes them, and tears at them. */
static void *worker(void *argument)
{
    unsigned me = (long)argument;
    for (unsigned round = 1; round <= ROUNDS && !wrong; round++) {
        char *p = arena + round % 4 * HUGE;
        for (unsigned i = me; i < PARTS; i += THREADS)
            *(unsigned *)(p + i * PAGE + 4 * me) = round * 1000 + i;
        for (unsigned i = me; i < PARTS; i += THREADS)
            wrong |= *(unsigned *)(p + i * PAGE + 4 * me) != round * 1000 + i;
        char *page = p + (me + round % (PARTS / THREADS) * THREADS) * PAGE;
        switch ((round + me) % 5) {
        case 0:
            wrong |= madvise(page, PAGE, MADV_DONTNEED) != 0 || page[4 * me] != 0;
            break;
        case 1:
            wrong |=
                mprotect(page, PAGE, PROT_READ) || mprotect(page, PAGE, PROT_READ | PROT_WRITE);
            break;
        case 2:
            /* Its own pages alone: another's may be protected at this moment. */
            wrong |= me == 0 &&
                     IN_CHILD(for (unsigned i = 0; i < PARTS; i += THREADS) p[i * PAGE + 99] = 1);
            break;
        }
        for (unsigned i = me; i < PARTS; i += THREADS)
            wrong |= p[i * PAGE + 99] != 0;
    }
    return NULL;
}

/* All of an area is given up, and touched again, so that there is always something huge. */
static void *renewer(void *argument)
{
    char *p = arena + 4 * HUGE;
    for (unsigned round = 1; !stop && !wrong; round++) {
        fill(p, HUGE, round);
        wrong |= !holds(p, HUGE, round);
        wrong |= munmap(p + (round % 3) * 100 * PAGE, HUGE / 4) != 0;
        wrong |= mmap(p, HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                      0) != p;
        wrong |= madvise(p, HUGE, MADV_HUGEPAGE) != 0 || p[PAGE] != 0;
    }
    return argument;
}

static void threads(void)
{
    pthread_t workers[THREADS], other;
    if (qemu_user_lacks("threads"))
        return;
    arena = area(5, MADV_HUGEPAGE);
    for (long i = 0; i < THREADS; i++)
        workers[i] = thread_start(worker, (void *)i);
    other = thread_start(renewer, NULL);
    for (int i = 0; i < THREADS; i++)
        thread_end(workers[i]);
    stop = 1;
    thread_end(other);
    CHECK_EQ(wrong, 0, "four threads write, protect, forget and fork what a fifth tears at");
}

static void files(void)
{
    char text[100];
    if (qemu_user_lacks("files"))
        return;
    if (read_file(SYS_HUGE "enabled", text, sizeof(text)) < 0) {
        SKIP("transparent_hugepage/enabled", "not there");
        return;
    }
    CHECK(strstr(text, "[always] madvise never\n") || strstr(text, "always [madvise] never\n") ||
              strstr(text, "always madvise [never]\n"),
          "enabled");
    CHECK_EQ(strtol(proc_read(SYS_HUGE "hpage_pmd_size"), NULL, 10), HUGE, "hpage_pmd_size");
    CHECK(number_of(proc_read("/proc/meminfo"), "AnonHugePages:") >= 0, "AnonHugePages in meminfo");
    int fd = open(SYS_HUGE "enabled", O_WRONLY);
    if (fd < 0) {
        SKIP("writing enabled", "not ours");
        return;
    }
    CHECK_FAIL(write(fd, "sometimes", 9), EINVAL, "a word that is none of them");
    close(fd);
}

CHECK_MAIN(CASE(on_fault), CASE(refused), CASE(forked), CASE(trees), CASE(unmapped),
           CASE(forgotten), CASE(freed_and_written), CASE(protected), CASE(moved),
           CASE(from_outside), CASE(threads), CASE(files))
