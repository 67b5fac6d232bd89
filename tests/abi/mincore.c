/* SPDX-License-Identifier: MIT */
/* mincore and msync: what is in memory, what is written back, what is refused. */
#include "areas.h"
#include <sys/mount.h>

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

/* What fallocate(2) has set aside in a file in memory is in no use yet. */
static void reserved(void)
{
    if (qemu_user_lacks("mincore"))
        return;
    int fd = memfd_create("reserved", 0);
    char buffer[100] = "x";
    struct stat s;
    REQUIRE(fd >= 0 && posix_fallocate(fd, 0, 8 * PAGE) == 0 && fstat(fd, &s) == 0);
    char *p = mmap(NULL, 8 * PAGE, READ_WRITE, MAP_SHARED, fd, 0);
    REQUIRE(p != MAP_FAILED);
    CHECK_EQ(s.st_blocks, 64, "pages of a file that are set aside take room");
    CHECK_EQ(resident(p, 8), 0, "and are not there");
    CHECK_FAIL(lseek(fd, 0, SEEK_DATA), ENXIO, "they are not data");
    CHECK_EQ(lseek(fd, 0, SEEK_HOLE), 0, "but a hole");
    CHECK(pread(fd, buffer, 100, PAGE) == 100 && buffer[0] == 0, "that is read as zeros");
    CHECK_EQ(resident(p, 8), 0, "read(2) does not need them");
    CHECK_EQ(*(volatile char *)(p + 2 * PAGE), 0, "a touch");
    CHECK_EQ(resident(p, 8), 1, "needs one");
    CHECK_EQ(pwrite(fd, "x", 1, 5 * PAGE + 7), 1, "a write");
    CHECK_EQ(resident(p, 8), 2, "another");
    CHECK(p[5 * PAGE + 7] == 'x' && p[5 * PAGE] == 0 && p[6 * PAGE - 1] == 0, "zero around it");
    CHECK_EQ(lseek(fd, 0, SEEK_DATA), 2 * (int)PAGE, "the first is data now");
    CHECK_EQ(lseek(fd, 3 * PAGE, SEEK_DATA), 5 * (int)PAGE, "the second too");
    CHECK_EQ(posix_fallocate(fd, 0, 8 * PAGE), 0, "once more");
    CHECK(fstat(fd, &s) == 0 && s.st_blocks == 64, "takes no more room");
    CHECK_EQ(p[5 * PAGE + 7], 'x', "and leaves what there is");
    CHECK(pwrite(fd, p, 8 * PAGE, 0) == (int)(8 * PAGE) && resident(p, 8) == 8,
          "all of it written");
    CHECK_EQ(lseek(fd, 0, SEEK_HOLE), 8 * (int)PAGE, "no hole is left");
}

/* If there is not room for all of it, what has been set aside goes again. */
static void no_room(void)
{
    NEED_ROOT();
    struct stat s;
    mkdir("m", 0755);
    if (qemu_user_lacks("mount"))
        return;
    if (unshare(CLONE_NEWNS) == 0) /* where there are namespaces it stays ours */
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    if (mount("none", "m", "tmpfs", 0, "size=64k") < 0) {
        SKIP("a tmpfs of 64 KiB", "no mounts here");
        return;
    }
    int fd = open("m/f", O_RDWR | O_CREAT, 0644), other = open("m/g", O_RDWR | O_CREAT, 0644);
    REQUIRE(fd >= 0 && other >= 0 && pwrite(fd, "x", 1, 3 * PAGE) == 1);
    REQUIRE(pwrite(other, "yyyy", 4, 2 * PAGE) == 4);
    CHECK_EQ(posix_fallocate(fd, 0, 16 * PAGE), ENOSPC, "more than there is room for");
    CHECK(fstat(fd, &s) == 0 && s.st_blocks == 8, "nothing is kept of it");
    CHECK_EQ(s.st_size, 3 * (int)PAGE + 1, "nor is the file longer");
    CHECK_EQ(posix_fallocate(other, 0, 15 * PAGE), 0, "so that others find room");
    close(fd);
    close(other);
    umount("m");
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
    p[PAGE] = 1;
    memset(map, 0xff, sizeof(map));
    CHECK_FAIL(map_of(p, 8 * PAGE, map), ENOMEM, "a hole");
    CHECK(map[0] == 0 && map[1] == 1 && map[3] == 0 && map[4] == 0xff, "what is before it is told");
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

CHECK_MAIN(CASE(contents), CASE(reserved), CASE(no_room), CASE(refused), CASE(privacy),
           CASE(syncing))
