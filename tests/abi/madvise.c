/* SPDX-License-Identifier: MIT */
/* madvise: each advice, what it does to contents, children and areas, and when it is refused. */
#include "areas.h"
#include <sys/uio.h>

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLD
#define MADV_COLD    20
#define MADV_PAGEOUT 21
#endif

static void dropping(void)
{
    if (qemu_user_lacks("madvise"))
        return;
    char *p = anonymous(8, READ_WRITE);
    memset(p, 1, 8 * PAGE);
    CHECK_EQ(madvise(p + 2 * PAGE, 2 * PAGE, MADV_DONTNEED), 0, "MADV_DONTNEED");
    CHECK(p[2 * PAGE] == 0 && p[4 * PAGE - 1] == 0, "reads as zero afterwards");
    CHECK(p[2 * PAGE - 1] == 1 && p[4 * PAGE] == 1, "beside it nothing changes");
    CHECK_EQ(areas(p, 8), 1, "it is one area as before");
    CHECK_EQ(madvise(p, 100, MADV_DONTNEED), 0, "a length is rounded up");
    CHECK(p[PAGE - 1] == 0 && p[PAGE] == 1, "to a page");
    int fd = letters("f", 4);
    p = map_alone(4, READ_WRITE, MAP_PRIVATE, fd);
    memset(p, '!', 4 * PAGE);
    REQUIRE(madvise(p, 2 * PAGE, MADV_DONTNEED) == 0);
    CHECK(p[0] == 'a' && p[PAGE] == 'b' && p[2 * PAGE] == '!',
          "of a private mapping: the file's pages again");
    p = map_alone(4, READ_WRITE, MAP_SHARED, fd);
    p[0] = '?';
    REQUIRE(madvise(p, 4 * PAGE, MADV_DONTNEED) == 0);
    CHECK(p[0] == '?', "of a shared one nothing is lost");
    p = share_pages(4 * PAGE);
    p[0] = '?';
    REQUIRE(madvise(p, 4 * PAGE, MADV_DONTNEED) == 0);
    CHECK_EQ(p[0], '?', "nor of shared memory");
    p = anonymous(4, READ_WRITE);
    memset(p, 1, 4 * PAGE);
    REQUIRE(mprotect(p, 4 * PAGE, PROT_NONE) == 0);
    CHECK_EQ(madvise(p, 4 * PAGE, MADV_DONTNEED), 0, "without access to it as well");
    REQUIRE(mprotect(p, 4 * PAGE, PROT_READ) == 0);
    CHECK_EQ(p[0] | p[3 * PAGE], 0, "it is gone");
    p = anonymous(4, READ_WRITE);
    memset(p, 1, 4 * PAGE);
    CHECK_EQ(IN_CHILD(madvise(p, 4 * PAGE, MADV_DONTNEED); _exit(p[0])), 0, "a child's is its own");
    CHECK_EQ(p[0], 1, "and changes nothing for us");
}

static void locked(void)
{
    if (qemu_user_lacks("madvise"))
        return;
    char *p = anonymous(4, READ_WRITE);
    memset(p, 1, 4 * PAGE);
    REQUIRE(mlock(p, 2 * PAGE) == 0);
    CHECK_FAIL(madvise(p, 4 * PAGE, MADV_DONTNEED), EINVAL, "MADV_DONTNEED of what is locked");
    CHECK_FAIL(madvise(p, PAGE, MADV_FREE), EINVAL, "MADV_FREE");
    CHECK_FAIL(madvise(p, PAGE, MADV_COLD), EINVAL, "MADV_COLD");
    CHECK_FAIL(madvise(p, PAGE, MADV_PAGEOUT), EINVAL, "MADV_PAGEOUT");
    CHECK_EQ(p[0], 1, "nothing is lost");
    CHECK_EQ(madvise(p + 2 * PAGE, 2 * PAGE, MADV_DONTNEED), 0, "the rest is not locked");
    if (madvise(p, PAGE, MADV_DONTNEED_LOCKED) < 0 && errno == EINVAL) {
        SKIP("MADV_DONTNEED_LOCKED", "an older kernel");
        return;
    }
    CHECK(p[0] == 0 && p[PAGE] == 1, "MADV_DONTNEED_LOCKED drops it all the same");
    CHECK_EQ(has_flag(p, "lo"), 1, "it is locked still");
}

static void freeing(void)
{
    if (qemu_user_lacks("madvise"))
        return;
    char *p = anonymous(4, READ_WRITE);
    memset(p, 1, 4 * PAGE);
    CHECK_EQ(madvise(p, 4 * PAGE, MADV_FREE), 0, "MADV_FREE");
    CHECK((p[0] == 0 || p[0] == 1) && (p[3 * PAGE] == 0 || p[3 * PAGE] == 1),
          "what was there, or zero");
    memset(p, 2, PAGE);
    CHECK(p[0] == 2 && p[PAGE - 1] == 2, "what is written afterwards stays");
    int fd = letters("f", 2);
    p = map_alone(2, READ_WRITE, MAP_PRIVATE, fd);
    CHECK_FAIL(madvise(p, PAGE, MADV_FREE), EINVAL, "of a file: refused");
    p = share_pages(PAGE);
    CHECK_FAIL(madvise(p, PAGE, MADV_FREE), EINVAL, "of shared memory: refused");
    p = anonymous(4, READ_WRITE);
    memset(p, 3, 4 * PAGE);
    CHECK_EQ(madvise(p, 4 * PAGE, MADV_COLD), 0, "MADV_COLD");
    CHECK_EQ(madvise(p, 4 * PAGE, MADV_PAGEOUT), 0, "MADV_PAGEOUT");
    CHECK(p[0] == 3 && p[4 * PAGE - 1] == 3, "cost nothing but time");
}

static void removing(void)
{
    if (qemu_user_lacks("madvise"))
        return;
    struct stat before, after;
    int fd = letters("f", 8);
    char *p = map_alone(8, READ_WRITE, MAP_SHARED, fd), bytes[2];
    fstat(fd, &before);
    CHECK_EQ(madvise(p + 2 * PAGE, 3 * PAGE, MADV_REMOVE), 0, "MADV_REMOVE of a shared file");
    CHECK(p[2 * PAGE] == 0 && p[5 * PAGE - 1] == 0, "leaves zeros");
    CHECK(p[2 * PAGE - 1] == 'b' && p[5 * PAGE] == 'f', "and the rest");
    CHECK(pread(fd, bytes, 1, 3 * PAGE) == 1 && bytes[0] == 0, "in the file too");
    fstat(fd, &after);
    CHECK_EQ(after.st_size, before.st_size, "whose size is the same");
    CHECK(after.st_blocks < before.st_blocks, "but which takes less room");
    char *q = share_pages(4 * PAGE);
    memset(q, 1, 4 * PAGE);
    CHECK_EQ(madvise(q, 2 * PAGE, MADV_REMOVE), 0, "of shared memory");
    CHECK(q[0] == 0 && q[2 * PAGE] == 1, "also");
    q = map_alone(8, READ_WRITE, MAP_PRIVATE, fd);
    CHECK_FAIL(madvise(q, PAGE, MADV_REMOVE), EACCES, "of a private mapping");
    q = map_alone(8, PROT_READ, MAP_SHARED, open("f", O_RDONLY));
    CHECK_FAIL(madvise(q, PAGE, MADV_REMOVE), EACCES, "of one that may not be written");
    CHECK_FAIL(madvise(anonymous(1, READ_WRITE), PAGE, MADV_REMOVE), EINVAL, "of anonymous memory");
    REQUIRE(mlock(p, PAGE) == 0);
    CHECK_FAIL(madvise(p, PAGE, MADV_REMOVE), EINVAL, "of locked memory");
    REQUIRE(munmap(p + 6 * PAGE, PAGE) == 0);
    CHECK_FAIL(madvise(p + 5 * PAGE, 3 * PAGE, MADV_REMOVE), ENOMEM, "over a hole");
    CHECK(p[5 * PAGE] == 0 && p[7 * PAGE] == 0, "on both sides of which it works");
}

static void forking(void)
{
    if (qemu_user_lacks("madvise"))
        return;
    char *p = anonymous(6, READ_WRITE);
    memset(p, 1, 6 * PAGE);
    CHECK_EQ(madvise(p + 2 * PAGE, 2 * PAGE, MADV_DONTFORK), 0, "MADV_DONTFORK");
    CHECK_EQ(areas(p, 6), 3, "makes an area of its own");
    CHECK_EQ(has_flag(p + 2 * PAGE, "dc"), 1, "dc");
    CHECK_EQ(IN_CHILD(_exit(is_mapped(p + PAGE) && !is_mapped(p + 2 * PAGE) &&
                                    !is_mapped(p + 3 * PAGE) && is_mapped(p + 4 * PAGE)
                                ? 0
                                : 1)),
             0, "which a child does not get");
    CHECK_EQ(madvise(p + 2 * PAGE, 2 * PAGE, MADV_DOFORK), 0, "MADV_DOFORK");
    CHECK_EQ(areas(p, 6), 1, "one area again");
    CHECK_EQ(IN_CHILD(_exit(p[2 * PAGE] - 1)), 0, "and the child has it");
    CHECK_EQ(madvise(p + PAGE, 2 * PAGE, MADV_WIPEONFORK), 0, "MADV_WIPEONFORK");
    CHECK_EQ(has_flag(p + PAGE, "wf"), 1, "wf");
    CHECK_EQ(IN_CHILD(_exit(p[PAGE] | p[3 * PAGE - 1])), 0, "a child finds zeros");
    CHECK_EQ(IN_CHILD(_exit(p[0] == 1 && p[3 * PAGE] == 1 ? 0 : 1)), 0,
             "and beside them what was there");
    CHECK_EQ(IN_CHILD(_exit(IN_CHILD(p[PAGE] = 7; _exit(IN_CHILD(_exit(p[PAGE])))))), 0,
             "a grandchild also finds zeros");
    CHECK_EQ(p[PAGE], 1, "we have it still");
    CHECK_EQ(madvise(p + PAGE, 2 * PAGE, MADV_KEEPONFORK), 0, "MADV_KEEPONFORK");
    CHECK_EQ(areas(p, 6), 1, "one area again");
    CHECK_EQ(IN_CHILD(_exit(p[PAGE] - 1)), 0, "the child has the contents");
    CHECK_FAIL(madvise(share_pages(PAGE), PAGE, MADV_WIPEONFORK), EINVAL,
               "MADV_WIPEONFORK of shared memory");
    int fd = letters("f", 1);
    CHECK_FAIL(madvise(map_alone(1, READ_WRITE, MAP_PRIVATE, fd), PAGE, MADV_WIPEONFORK), EINVAL,
               "of a file");
    CHECK_EQ(madvise(p, 6 * PAGE, MADV_KEEPONFORK), 0, "MADV_KEEPONFORK of what is kept");
}

static void dumping(void)
{
    if (qemu_user_lacks("madvise"))
        return;
    char *p = anonymous(6, READ_WRITE);
    CHECK_EQ(madvise(p + 2 * PAGE, PAGE, MADV_DONTDUMP), 0, "MADV_DONTDUMP");
    CHECK_EQ(has_flag(p + 2 * PAGE, "dd"), 1, "dd");
    CHECK_EQ(areas(p, 6), 3, "an area of its own");
    CHECK_EQ(madvise(p + 2 * PAGE, PAGE, MADV_DODUMP), 0, "MADV_DODUMP");
    CHECK_EQ(areas(p, 6), 1, "one again");
    CHECK_EQ(has_flag(p, "dd"), 0, "without dd");
}

static void populating(void)
{
    if (qemu_user_lacks("madvise"))
        return;
    char *p = anonymous(10, READ_WRITE);
    if (madvise(p, PAGE, MADV_POPULATE_READ) < 0) {
        SKIP("MADV_POPULATE", "an older kernel");
        return;
    }
    CHECK_EQ(madvise(p, 4 * PAGE, MADV_POPULATE_READ), 0, "MADV_POPULATE_READ");
    CHECK_EQ(resident(p, 10), 4, "these pages are there");
    CHECK_EQ(area_kib("self", p, "Anonymous:"), 0, "without memory of their own");
    CHECK_EQ(madvise(p, 6 * PAGE, MADV_POPULATE_WRITE), 0, "MADV_POPULATE_WRITE");
    CHECK_EQ(area_kib("self", p, "Anonymous:"), 24, "these are ours now");
    CHECK_EQ(p[0] | p[5 * PAGE], 0, "and zero");
    memset(p, 5, 10 * PAGE);
    CHECK_EQ(madvise(p, 10 * PAGE, MADV_POPULATE_WRITE), 0, "again");
    CHECK_EQ(p[9 * PAGE], 5, "it changes nothing that is there");
    REQUIRE(mprotect(p, 2 * PAGE, PROT_READ) == 0);
    CHECK_FAIL(madvise(p, 4 * PAGE, MADV_POPULATE_WRITE), EINVAL,
               "for writing what may be read only");
    CHECK_EQ(madvise(p, 4 * PAGE, MADV_POPULATE_READ), 0, "for reading it may");
    REQUIRE(mprotect(p, 2 * PAGE, PROT_NONE) == 0);
    CHECK_FAIL(madvise(p, PAGE, MADV_POPULATE_READ), EINVAL, "without access");
    REQUIRE(mprotect(p, 2 * PAGE, PROT_WRITE) == 0);
    CHECK_FAIL(madvise(p, PAGE, MADV_POPULATE_READ), EINVAL, "what may be written only");
    CHECK_EQ(madvise(p, PAGE, MADV_POPULATE_WRITE), 0, "for writing");
    REQUIRE(mprotect(p, 2 * PAGE, PROT_EXEC) == 0);
    CHECK_FAIL(madvise(p, PAGE, MADV_POPULATE_READ), EINVAL, "what may be executed only");
    REQUIRE(munmap(p + 5 * PAGE, PAGE) == 0);
    CHECK_FAIL(madvise(p + 4 * PAGE, 4 * PAGE, MADV_POPULATE_READ), ENOMEM, "over a hole");
    int fd = letters("f", 4);
    p = mmap(NULL, 8 * PAGE, READ_WRITE, MAP_SHARED, fd, 0);
    CHECK_EQ(madvise(p, 4 * PAGE, MADV_POPULATE_WRITE), 0, "a shared file");
    CHECK_FAIL(madvise(p, 8 * PAGE, MADV_POPULATE_READ), EFAULT, "beyond the end of the file");
    CHECK_FAIL(madvise(p + 4 * PAGE, PAGE, MADV_POPULATE_WRITE), EFAULT, "for writing too");
    p = map_alone(4, READ_WRITE, MAP_PRIVATE, fd);
    CHECK_EQ(madvise(p, 4 * PAGE, MADV_POPULATE_WRITE), 0, "a private one");
    CHECK(area_kib("self", p, "Anonymous:") == 16 && p[0] == 'a' && p[3 * PAGE] == 'd',
          "is copied");
}

static void reading_ahead(void)
{
    if (qemu_user_lacks("madvise"))
        return;
    int fd = letters("f", 16);
    char *p = map_alone(16, PROT_READ, MAP_SHARED, fd);
    CHECK_EQ(madvise(p, 16 * PAGE, MADV_RANDOM), 0, "MADV_RANDOM");
    CHECK_EQ(madvise(p, 16 * PAGE, MADV_SEQUENTIAL), 0, "MADV_SEQUENTIAL");
    CHECK_EQ(madvise(p, 16 * PAGE, MADV_WILLNEED), 0, "MADV_WILLNEED");
    CHECK(p[0] == 'a' && p[15 * PAGE] == 'p', "the contents are what they are");
    CHECK_EQ(madvise(p + PAGE, 2 * PAGE, MADV_RANDOM), 0, "a part");
    CHECK_EQ(madvise(p, 16 * PAGE, MADV_NORMAL), 0, "MADV_NORMAL");
    CHECK_EQ(areas(p, 16), 1, "one area at the end");
    CHECK_EQ(madvise(anonymous(4, READ_WRITE), 4 * PAGE, MADV_RANDOM), 0, "of anonymous memory");
}

static void refused(void)
{
    char *p = anonymous(8, READ_WRITE);
    if (qemu_user_lacks("errors of madvise"))
        return;
    CHECK_FAIL(madvise(p + 1, PAGE, MADV_NORMAL), EINVAL, "an odd address");
    CHECK_FAIL(madvise(p, PAGE, 12345), EINVAL, "advice that nobody knows");
    CHECK_FAIL(madvise(p, PAGE, -1), EINVAL, "nor a negative one");
    CHECK_FAIL(madvise(p + 1, 0, MADV_NORMAL), EINVAL, "no length does not help an odd address");
    CHECK_EQ(madvise(p, 0, MADV_DONTNEED), 0, "no length: nothing to do");
    CHECK_FAIL(madvise(p, 0, 12345), EINVAL, "for known advice");
    CHECK_EQ(madvise(unmapped_page(), 0, MADV_DONTNEED), 0, "wherever");
    CHECK_FAIL(madvise(p, -1UL, MADV_NORMAL), EINVAL, "a length that wraps to nothing");
    CHECK_FAIL(madvise(p, -PAGE, MADV_NORMAL), EINVAL, "or around");
    CHECK_FAIL(madvise(unmapped_page(), PAGE, MADV_NORMAL), ENOMEM, "where nothing is");
    memset(p, 1, 8 * PAGE);
    REQUIRE(munmap(p + 3 * PAGE, 2 * PAGE) == 0);
    CHECK_FAIL(madvise(p, 8 * PAGE, MADV_DONTNEED), ENOMEM, "over a hole");
    CHECK_EQ(p[0] | p[2 * PAGE] | p[5 * PAGE] | p[7 * PAGE], 0, "but it is done on both sides");
    CHECK_FAIL(madvise(p, 8 * PAGE, MADV_DONTDUMP), ENOMEM, "flags as well");
    CHECK_EQ(has_flag(p + 7 * PAGE, "dd"), 1, "to the end");
}

static int advise(int pidfd, void *p, size_t length, int advice, unsigned flags)
{
    struct iovec iov = {p, length};
    return syscall(SYS_process_madvise, pidfd, &iov, 1, advice, flags);
}

static void others(void)
{
    if (qemu_user_lacks("process_madvise"))
        return;
    char *p = anonymous(8, READ_WRITE);
    memset(p, 1, 8 * PAGE);
    struct gate go = gate_make();
    pid_t child = CHILD(gate_pass(go); _exit(p[0] == 1 && p[8 * PAGE - 1] == 1 ? 0 : 1));
    int fd = syscall(SYS_pidfd_open, child, 0);
    REQUIRE(fd >= 0);
    CHECK_EQ(advise(fd, p, 8 * PAGE, MADV_COLD, 0), 8 * PAGE, "process_madvise tells how much");
    CHECK_EQ(advise(fd, p, 8 * PAGE, MADV_PAGEOUT, 0), 8 * PAGE, "MADV_PAGEOUT");
    CHECK_FAIL(advise(fd, p, PAGE, MADV_DONTNEED, 0), EINVAL,
               "what would change another's memory is refused");
    CHECK_FAIL(advise(fd, p, PAGE, MADV_COLD, 1), EINVAL, "flags");
    CHECK_FAIL(advise(999, p, PAGE, MADV_COLD, 0), EBADF, "no such descriptor");
    CHECK_FAIL(advise(go.read_end, p, PAGE, MADV_COLD, 0), EBADF, "one of something else");
    CHECK_FAIL(advise(fd, p + 1, PAGE, MADV_COLD, 0), EINVAL, "an odd address");
    CHECK_FAIL(advise(fd, unmapped_page(), PAGE, MADV_COLD, 0), ENOMEM, "nothing there");
    struct iovec two[] = {{p, PAGE}, {unmapped_page(), PAGE}};
    CHECK_EQ(syscall(SYS_process_madvise, fd, two, 2, MADV_COLD, 0), PAGE,
             "as far as it went, if it went at all");
    CHECK_FAIL(syscall(SYS_process_madvise, fd, two, 2000, MADV_COLD, 0), EINVAL,
               "too many ranges");
    gate_open(go);
    CHECK_EQ(end_of(child), 0, "the process has noticed nothing");
    CHECK_FAIL(advise(fd, p, PAGE, MADV_COLD, 0), ESRCH, "one that is gone");
}

CHECK_MAIN(CASE(dropping), CASE(locked), CASE(freeing), CASE(removing), CASE(forking),
           CASE(dumping), CASE(populating), CASE(reading_ahead), CASE(refused), CASE(others))
