/* SPDX-License-Identifier: MIT */
/* mincore and msync: what is in memory, what is written back, what is refused. */
#include "areas.h"

static int map_of(void *p, size_t length, void *map)
{
    return syscall(SYS_mincore, p, length, map);
}

static void contents(void)
{
    if (qemu_user_lacks("mincore"))
        return;
    unsigned char map[64];
    char *p = anonymous(8, READ_WRITE);
    memset(map, 0xff, sizeof(map));
    CHECK_EQ(map_of(p, 8 * PAGE, map), 0, "mincore");
    CHECK(!(map[0] & 1) && !(map[7] & 1), "untouched memory is not there");
    CHECK_EQ(map[8], 0xff, "one byte for each page, and no more");
    p[PAGE] = 1;
    (void)*(volatile char *)(p + 3 * PAGE);
    map_of(p, 8 * PAGE, map);
    CHECK(!(map[0] & 1) && (map[1] & 1) && !(map[2] & 1) && !(map[4] & 1), "what was written is");
    CHECK(map[3] & 1, "and what was read");
    madvise(p, 8 * PAGE, MADV_DONTNEED);
    CHECK_EQ(resident(p, 8), 0, "given back: no more");
    CHECK_EQ(map_of(p + PAGE, PAGE + 1, map), 0, "a length is rounded up");
    memset(map, 0xff, sizeof(map));
    map_of(p, PAGE + 1, map);
    CHECK(!(map[1] & 1) && map[2] == 0xff, "to two pages");
    int fd = letters("f", 8);
    char *q = map_alone(8, PROT_READ, MAP_SHARED, fd);
    CHECK_EQ(resident(q, 8), 8, "what is in the file's cache is there, mapped or not");
    q = map_alone(8, READ_WRITE, MAP_PRIVATE, fd);
    CHECK_EQ(resident(q, 8), 8, "for a private mapping too");
    REQUIRE(ftruncate(fd, 4 * PAGE) == 0);
    CHECK_EQ(resident(q, 8), 4, "beyond the end is nothing");
    REQUIRE(ftruncate(fd, 8 * PAGE) == 0);
    CHECK_EQ(resident(q, 8), 4, "nor in a hole of the file");
    char *s = share_pages(4 * PAGE);
    CHECK_EQ(resident(s, 4), 0, "shared memory");
    IN_CHILD(s[0] = s[2 * PAGE] = 1);
    CHECK_EQ(resident(s, 4), 2, "is there when anybody has touched it");
    p = anonymous(4, READ_WRITE);
    memset(p, 1, 4 * PAGE);
    REQUIRE(mprotect(p, 4 * PAGE, PROT_NONE) == 0);
    CHECK_EQ(resident(p, 4), 4, "no access is needed");
    CHECK_EQ(IN_CHILD(_exit(resident(p, 4))), 4, "a child has what we have");
}

static void refused(void)
{
    unsigned char map[64];
    char *p = anonymous(8, READ_WRITE);
    if (qemu_user_lacks("errors of mincore"))
        return;
    CHECK_FAIL(map_of(p + 1, PAGE, map), EINVAL, "an odd address");
    CHECK_FAIL(map_of(unmapped_page(), PAGE, map), ENOMEM, "nothing there");
    REQUIRE(munmap(p + 4 * PAGE, PAGE) == 0);
    CHECK_FAIL(map_of(p, 8 * PAGE, map), ENOMEM, "a hole");
    CHECK_EQ(map_of(p, 4 * PAGE, map), 0, "up to it");
    CHECK_FAIL(map_of(p, PAGE, NULL), EFAULT, "nowhere to tell it");
    CHECK_FAIL(map_of(p, 4 * PAGE, anonymous(1, PROT_READ)), EFAULT, "where it cannot be written");
    CHECK_FAIL(map_of((void *)-PAGE, PAGE, map), ENOMEM, "the kernel's addresses");
    CHECK_FAIL(map_of(p, -PAGE, map), ENOMEM, "more than all addresses");
    CHECK_EQ(map_of(p, 0, map), 0, "no length");
    CHECK_EQ(map_of(unmapped_page(), 0, map), 0, "wherever");
}

/* Others' files: what is in the cache is nobody's business. */
static void privacy(void)
{
    NEED_ROOT();
    if (qemu_user_lacks("mincore of others' files"))
        return;
    int fd = letters("f", 4);
    REQUIRE(ftruncate(fd, 8 * PAGE) == 0 && fchmod(fd, 0644) == 0 && chmod(".", 0755) == 0);
    CHECK_EQ(IN_CHILD(become_user(1000); fd = open("f", O_RDONLY); if (fd < 0) _exit(99);
                      char *p = mmap(NULL, 8 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
                      _exit(resident(p, 8))),
             8, "of another's file, all pages are said to be there");
    CHECK_EQ(IN_CHILD(if (fchown(fd, 1000, 1000)) _exit(98); become_user(1000);
                      fd = open("f", O_RDONLY); if (fd < 0) _exit(99);
                      char *p = mmap(NULL, 8 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
                      _exit(resident(p, 8))),
             4, "of one's own the truth");
}

static void syncing(void)
{
    char *p = anonymous(8, READ_WRITE), byte;
    if (qemu_user_lacks("msync"))
        return;
    int fd = letters("f", 8);
    char *q = map_alone(8, READ_WRITE, MAP_SHARED, fd);
    q[0] = '!';
    CHECK_EQ(msync(q, 8 * PAGE, MS_SYNC), 0, "MS_SYNC");
    CHECK(pread(fd, &byte, 1, 0) == 1 && byte == '!', "what was written is in the file");
    CHECK_EQ(msync(q, 8 * PAGE, MS_ASYNC), 0, "MS_ASYNC");
    CHECK_EQ(msync(q, 8 * PAGE, MS_INVALIDATE), 0, "MS_INVALIDATE");
    CHECK_EQ(msync(q, 8 * PAGE, MS_SYNC | MS_INVALIDATE), 0, "both");
    CHECK_EQ(msync(q, 8 * PAGE, 0), 0, "none");
    CHECK_EQ(msync(q, 100, MS_SYNC), 0, "a few bytes");
    CHECK_EQ(msync(p, 8 * PAGE, MS_SYNC), 0, "anonymous memory");
    CHECK_EQ(msync(q, 0, MS_SYNC), 0, "no length");
    CHECK_EQ(msync(unmapped_page(), 0, MS_SYNC), 0, "wherever");
    CHECK_FAIL(msync(q + 1, PAGE, MS_SYNC), EINVAL, "an odd address");
    CHECK_FAIL(msync(q, PAGE, MS_SYNC | MS_ASYNC), EINVAL, "both at once and later");
    CHECK_FAIL(msync(q, PAGE, 8), EINVAL, "an unknown flag");
    CHECK_FAIL(msync(unmapped_page(), PAGE, MS_SYNC), ENOMEM, "nothing there");
    CHECK_FAIL(msync(unmapped_page(), PAGE, MS_ASYNC), ENOMEM, "later neither");
    CHECK_FAIL(msync(q, -PAGE, MS_SYNC), ENOMEM, "a length that wraps");
    REQUIRE(munmap(q + 4 * PAGE, PAGE) == 0);
    CHECK_FAIL(msync(q, 8 * PAGE, MS_SYNC), ENOMEM, "over a hole");
    CHECK_FAIL(msync(q + 4 * PAGE, 2 * PAGE, MS_SYNC), ENOMEM, "from a hole on");
    REQUIRE(mlock(q, PAGE) == 0);
    CHECK_FAIL(msync(q, PAGE, MS_INVALIDATE), EBUSY, "MS_INVALIDATE of what is locked");
    CHECK_FAIL(msync(q, PAGE, MS_SYNC | MS_INVALIDATE), EBUSY, "with MS_SYNC as well");
    CHECK_EQ(msync(q, PAGE, MS_SYNC), 0, "MS_SYNC does not mind");
    REQUIRE(mprotect(q, PAGE, PROT_NONE) == 0);
    CHECK_EQ(msync(q, PAGE, MS_SYNC), 0, "nor needs it access");
}

CHECK_MAIN(CASE(contents), CASE(refused), CASE(privacy), CASE(syncing))
