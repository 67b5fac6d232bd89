/* SPDX-License-Identifier: MIT */
/* mmap, munmap and mprotect of anonymous memory: placement, holes, splits, merges, refusals. */
#include "check.h"

#include <sys/resource.h>

enum { PAGE = 4096 };

#define ANONYMOUS(address, pages, prot, flags)                                                     \
    mmap((address), (pages) * (size_t)PAGE, (prot), (flags) | MAP_ANONYMOUS, -1, 0)
#define READ_WRITE (PROT_READ | PROT_WRITE)

/* How many lines of /proc/self/maps lie within the range, and the protections of the first. */
static int areas(const void *start, size_t pages, char *protections)
{
    static char text[65536];
    uintptr_t from = (uintptr_t)start, to = from + pages * PAGE;
    int count = 0;
    REQUIRE(read_file("/proc/self/maps", text, sizeof(text)) > 0);
    for (char *line = text; *line; line = strchr(line, '\n') + 1) {
        unsigned long begin, end;
        char prot[8];
        if (sscanf(line, "%lx-%lx %4s", &begin, &end, prot) != 3)
            break;
        if (begin < to && end > from) {
            if (protections && count == 0)
                strcpy(protections, prot);
            count++;
        }
    }
    return count;
}

/* Whether a page can be read, asked of the kernel. */
static int readable(const void *address)
{
    int fds[2];
    REQUIRE(pipe(fds) == 0);
    int ok = write(fds[1], address, 1) == 1;
    close(fds[0]);
    close(fds[1]);
    return ok;
}

static void zeroed(void)
{
    unsigned char *p = private_pages(50 * PAGE);
    int sum = 0;
    for (int i = 0; i < 50 * PAGE; i++)
        sum |= p[i];
    CHECK_EQ(sum, 0, "new memory reads as zero");
    memset(p, 0xaa, 50 * PAGE);
    CHECK_EQ(munmap(p, 50 * PAGE), 0, "munmap");
    p = private_pages(50 * PAGE);
    sum = 0;
    for (int i = 0; i < 50 * PAGE; i++)
        sum |= p[i];
    CHECK_EQ(sum, 0, "memory that was used before as well");
    CHECK_EQ((uintptr_t)p % PAGE, 0, "mappings are aligned to pages");
    void *odd = mmap(NULL, 100, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(odd != MAP_FAILED && readable((char *)odd + 4095), "a length of 100 gives a page");
    CHECK_EQ(munmap(odd, 1), 0, "which a length of 1 unmaps");
    CHECK(!readable(odd), "as a whole");
}

static void fixed(void)
{
    char *p = ANONYMOUS(NULL, 10, READ_WRITE, MAP_PRIVATE);
    memset(p, 1, 10 * PAGE);
    CHECK(ANONYMOUS(p + 3 * PAGE, 2, READ_WRITE, MAP_PRIVATE | MAP_FIXED) == p + 3 * PAGE,
          "MAP_FIXED maps over an old mapping");
    CHECK(p[3 * PAGE] == 0 && p[5 * PAGE - 1] == 0, "its pages are fresh");
    CHECK(p[3 * PAGE - 1] == 1 && p[5 * PAGE] == 1, "their neighbours as before");
    if (!qemu_user_lacks("MAP_FIXED_NOREPLACE")) {
        errno = 0;
        CHECK(ANONYMOUS(p + PAGE, 1, READ_WRITE, MAP_PRIVATE | MAP_FIXED_NOREPLACE) == MAP_FAILED &&
                  errno == EEXIST,
              "MAP_FIXED_NOREPLACE refuses to map over one: EEXIST");
        munmap(p + 4 * PAGE, 2 * PAGE);
        CHECK(ANONYMOUS(p + 3 * PAGE, 2, READ_WRITE, MAP_PRIVATE | MAP_FIXED_NOREPLACE) ==
                      MAP_FAILED &&
                  errno == EEXIST,
              "also where only a part is taken");
        CHECK(ANONYMOUS(p + 4 * PAGE, 2, READ_WRITE, MAP_PRIVATE | MAP_FIXED_NOREPLACE) ==
                  p + 4 * PAGE,
              "in a hole it maps");
    }
    munmap(p + 4 * PAGE, PAGE);
    CHECK(ANONYMOUS(p + 4 * PAGE, 1, READ_WRITE, MAP_PRIVATE) == p + 4 * PAGE,
          "a hint is followed where there is room");
    void *other = ANONYMOUS(p + 4 * PAGE, 1, READ_WRITE, MAP_PRIVATE);
    CHECK(other != MAP_FAILED && other != p + 4 * PAGE, "and is only a hint where there is none");
}

static void mmap_refused(void)
{
    CHECK(mmap(NULL, 0, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
              errno == EINVAL,
          "a length of 0: EINVAL");
    CHECK(mmap(NULL, PAGE, READ_WRITE, MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL,
          "neither private nor shared: EINVAL");
    CHECK(mmap((void *)0x500001, PAGE, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
               0) == MAP_FAILED &&
              errno == EINVAL,
          "MAP_FIXED at an address that is not aligned: EINVAL");
    CHECK(mmap(NULL, ~0ul - 8192, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
              errno == ENOMEM,
          "more than there are addresses: ENOMEM");
    CHECK(mmap(NULL, ~0ul, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
              errno == ENOMEM,
          "a length that overflows: ENOMEM");
    if (!qemu_user_lacks("addresses of the kernel")) {
        CHECK(ANONYMOUS((void *)0xffffffff80000000, 1, READ_WRITE, MAP_PRIVATE | MAP_FIXED) ==
                      MAP_FAILED &&
                  errno == ENOMEM,
              "MAP_FIXED at an address of the kernel: ENOMEM");
        CHECK(ANONYMOUS((void *)0xfffffffffffff000, 2, READ_WRITE, MAP_PRIVATE | MAP_FIXED) ==
                      MAP_FAILED &&
                  (errno == ENOMEM || errno == EINVAL),
              "or at one that wraps around");
    }
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, -1, 0) == MAP_FAILED && errno == EBADF,
          "a bad descriptor: EBADF");
    CHECK(mmap(NULL, PAGE, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, 12345, 0) != MAP_FAILED,
          "an anonymous mapping ignores the descriptor");
    NEED_ROOT();
    CHECK(IN_CHILD(become_user(1000);
                   _exit(ANONYMOUS((void *)0, 1, READ_WRITE, MAP_PRIVATE | MAP_FIXED) == MAP_FAILED
                             ? errno
                             : 0)) == EPERM,
          "a user may not map page 0");
}

static void unmapping(void)
{
    char *p = ANONYMOUS(NULL, 10, READ_WRITE, MAP_PRIVATE);
    memset(p, 7, 10 * PAGE);
    CHECK_EQ(munmap(p + 2 * PAGE, 3 * PAGE), 0, "a hole in the middle");
    CHECK(readable(p + PAGE) && !readable(p + 2 * PAGE) && !readable(p + 4 * PAGE) &&
              readable(p + 5 * PAGE),
          "exactly these pages are gone");
    CHECK(p[2 * PAGE - 1] == 7 && p[5 * PAGE] == 7, "the others keep their contents");
    CHECK_EQ(munmap(p, 10 * PAGE), 0, "a range with holes in it");
    CHECK_EQ(munmap(p, 10 * PAGE), 0, "a range without any mapping");
    CHECK_FAIL(munmap(p + 1, PAGE), EINVAL, "an address that is not aligned");
    CHECK_FAIL(munmap(p, 0), EINVAL, "a length of 0");
    if (!qemu_user_lacks("addresses of the kernel"))
        CHECK_FAIL(munmap((void *)0xffffffff80000000, PAGE), EINVAL, "an address of the kernel");
    CHECK_FAIL(munmap(p, ~0ul - PAGE), EINVAL, "a length beyond all addresses");
}

static void protecting(void)
{
    char prot[8], *p = ANONYMOUS(NULL, 9, READ_WRITE, MAP_PRIVATE);
    memset(p, 5, 9 * PAGE);
    if (qemu_user_lacks("areas in /proc/self/maps"))
        return;
    CHECK_EQ(mprotect(p + 3 * PAGE, 3 * PAGE, PROT_READ), 0, "mprotect of the middle");
    CHECK(areas(p, 3, prot) == 1 && !strcmp(prot, "rw-p"), "the first third is writable");
    CHECK(areas(p + 3 * PAGE, 3, prot) == 1 && !strcmp(prot, "r--p"), "the middle is not");
    CHECK(areas(p + 6 * PAGE, 3, prot) >= 1 && !strcmp(prot, "rw-p"), "the last third is");
    CHECK_EQ(areas(p + 2 * PAGE, 5, NULL), 3, "these are three areas");
    CHECK_EQ(mprotect(p + 3 * PAGE, 3 * PAGE, READ_WRITE), 0, "mprotect back");
    CHECK_EQ(areas(p + 2 * PAGE, 5, NULL), 1, "makes it one area again");
    CHECK_EQ(p[4 * PAGE], 5, "with its contents");
    mprotect(p + 2 * PAGE, 2 * PAGE, PROT_NONE);
    CHECK(areas(p + 2 * PAGE, 2, prot) == 1 && !strcmp(prot, "---p"), "PROT_NONE");
    CHECK(!readable(p + 2 * PAGE), "a page without access cannot be read by a system call");
    mprotect(p + 2 * PAGE, 2 * PAGE, PROT_READ | PROT_EXEC);
    CHECK(areas(p + 2 * PAGE, 2, prot) == 1 && !strcmp(prot, "r-xp"), "PROT_READ | PROT_EXEC");
    CHECK_EQ(p[2 * PAGE], 5, "its contents are still there");
    mprotect(p + 2 * PAGE, 2 * PAGE, READ_WRITE);
    munmap(p + 4 * PAGE, PAGE);
    CHECK_FAIL(mprotect(p + 3 * PAGE, 3 * PAGE, PROT_READ), ENOMEM, "a range with a hole: ENOMEM");
    CHECK_FAIL(mprotect(p + 4 * PAGE, PAGE, PROT_READ), ENOMEM, "nothing mapped: ENOMEM");
    CHECK_FAIL(mprotect(p + 1, PAGE, PROT_READ), EINVAL, "an address that is not aligned: EINVAL");
    CHECK_FAIL(mprotect(p, PAGE, 0x1000), EINVAL, "unknown protections: EINVAL");
    CHECK_EQ(mprotect(p, 0, PROT_READ), 0, "a length of 0 does nothing");
    CHECK_FAIL(mprotect(p, PAGE, PROT_READ | PROT_GROWSDOWN), EINVAL,
               "PROT_GROWSDOWN on what does not grow: EINVAL");
}

static void merging(void)
{
    if (qemu_user_lacks("areas in /proc/self/maps"))
        return;
    char *p = ANONYMOUS(NULL, 20, PROT_NONE, MAP_PRIVATE);
    REQUIRE(munmap(p, 20 * PAGE) == 0);
    p += 4 * PAGE;
    ANONYMOUS(p, 2, READ_WRITE, MAP_PRIVATE | MAP_FIXED);
    ANONYMOUS(p + 4 * PAGE, 2, READ_WRITE, MAP_PRIVATE | MAP_FIXED);
    CHECK_EQ(areas(p, 6, NULL), 2, "two mappings with a gap are two areas");
    ANONYMOUS(p + 2 * PAGE, 2, READ_WRITE, MAP_PRIVATE | MAP_FIXED);
    CHECK_EQ(areas(p, 6, NULL), 1, "a third that fills the gap makes one");
    ANONYMOUS(p + 6 * PAGE, 2, PROT_READ, MAP_PRIVATE | MAP_FIXED);
    CHECK_EQ(areas(p, 8, NULL), 2, "other protections do not merge");
    munmap(p + 6 * PAGE, 2 * PAGE);
    ANONYMOUS(p + 6 * PAGE, 2, READ_WRITE, MAP_SHARED | MAP_FIXED);
    CHECK_EQ(areas(p, 8, NULL), 2, "shared and private do not merge");
    munmap(p, 8 * PAGE);
    CHECK_EQ(areas(p, 8, NULL), 0, "after munmap nothing is there");
    /* Every second page: as many areas as pages. */
    p = ANONYMOUS(NULL, 200, READ_WRITE, MAP_PRIVATE);
    memset(p, 9, 200 * PAGE);
    for (int i = 0; i < 200; i += 2)
        REQUIRE(mprotect(p + i * PAGE, PAGE, PROT_READ) == 0);
    int count = areas(p, 200, NULL);
    CHECK(count == 200, "every second page protected: 200 areas");
    REQUIRE(mprotect(p, 200 * PAGE, READ_WRITE) == 0);
    CHECK_EQ(areas(p, 200, NULL), 1, "one mprotect over all: one area");
    int sum = 0;
    for (int i = 0; i < 200; i++)
        sum += p[i * PAGE];
    CHECK_EQ(sum, 1800, "the contents are as before");
}

static void shared(void)
{
    volatile int *p = share_pages(4 * PAGE);
    volatile int *private = private_pages(PAGE);
    pid_t child = CHILD(p[1000] = 1; *private = 1; while (!p[0]) sched_yield(); p[1001] = 2);
    while (!p[1000])
        sched_yield();
    CHECK_EQ(*private, 0, "a child's write to private memory is not seen");
    p[0] = 1;
    end_of(child);
    CHECK_EQ(p[1001], 2, "writes to shared memory are seen both ways while both run");
    IN_CHILD(IN_CHILD(IN_CHILD(p[2000] = 3)));
    CHECK_EQ(p[2000], 3, "also those of a grandchild's child");
    IN_CHILD(munmap((void *)p, PAGE));
    CHECK_EQ(p[1000], 1, "a child's munmap is its own");
    volatile int *untouched = share_pages(64 * PAGE);
    IN_CHILD(for (int i = 0; i < 64; i++) untouched[i * 1024] = i);
    int right = 1;
    for (int i = 0; i < 64; i++)
        right &= untouched[i * 1024] == i;
    CHECK(right, "pages that the child touched first are shared too");
}

static void large_and_sparse(void)
{
    size_t size = 8ul << 30;
    char *p = mmap(NULL, size, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(p != MAP_FAILED, "8 GiB of addresses can be reserved");
    if (p == MAP_FAILED)
        return;
    for (size_t i = 0; i < size; i += 256 << 20)
        p[i] = i >> 28;
    int right = 1;
    for (size_t i = 0; i < size; i += 256 << 20)
        right &= p[i] == (char)(i >> 28) && p[i + 4096] == 0;
    CHECK(right, "and touched here and there");
    CHECK_EQ(munmap(p, size), 0, "and given back");
}

static void randomised(void)
{
    char text[16];
    if (!can_exec_self() || qemu_user_lacks("random placement"))
        return;
    int fds[2], different = 0;
    uintptr_t first[3] = {0};
    for (int i = 0; i < 4; i++) {
        uintptr_t seen[3];
        REQUIRE(pipe(fds) == 0);
        pid_t child = CHILD(dup2(fds[1], 1); execl(check_state->self, "x", "--where", NULL));
        REQUIRE(read(fds[0], seen, sizeof(seen)) == sizeof(seen));
        end_of(child);
        for (int j = 0; j < 3; j++) {
            different |= first[j] && first[j] != seen[j] ? 1 << j : 0;
            first[j] = seen[j];
        }
    }
    if (read_file("/proc/sys/kernel/randomize_va_space", text, 16) > 0 && *text == '0') {
        SKIP("randomisation", "turned off");
        return;
    }
    CHECK(different & 1, "the stack lies elsewhere in each program");
    CHECK(different & 2, "so do mappings");
    CHECK(different & 4, "and the heap");
}

static void advice(void)
{
    char *p = private_pages(4 * PAGE);
    memset(p, 1, 4 * PAGE);
    if (madvise(p, PAGE, MADV_DONTNEED) < 0 && errno == ENOSYS) {
        SKIP("madvise", "not there");
        return;
    }
    CHECK(p[0] == 0 && p[PAGE] == 1, "MADV_DONTNEED drops private pages");
    if (qemu_user_lacks("errors of madvise"))
        return;
    CHECK_FAIL(madvise(p + 1, PAGE, MADV_DONTNEED), EINVAL, "an address that is not aligned");
    CHECK_FAIL(madvise(p, PAGE, 12345), EINVAL, "unknown advice");
    munmap(p + PAGE, PAGE);
    CHECK_FAIL(madvise(p, 4 * PAGE, MADV_DONTNEED), ENOMEM, "a range with a hole");
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        CASE(zeroed),     CASE(fixed),   CASE(mmap_refused), CASE(unmapping),
        CASE(protecting), CASE(merging), CASE(shared),       CASE(large_and_sparse),
        CASE(randomised), CASE(advice),  {NULL, NULL},
    };
    if (argc > 1 && !strcmp(argv[1], "--where")) {
        uintptr_t where[3] = {(uintptr_t)&argc, (uintptr_t)private_pages(PAGE), (uintptr_t)sbrk(0)};
        return write(1, where, sizeof(where)) == sizeof(where) ? 0 : 1;
    }
    if (argc > 1)
        return 0;
    return check_run(cases);
}
