/* SPDX-License-Identifier: MIT */
/* openat2: what it refuses, and the walks that RESOLVE_* forbid; preadv2 and pwritev2. */
#include "check.h"

#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/uio.h>

static long open2(int dirfd, const char *name, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    struct open_how how = {flags, mode, resolve};
    return syscall(SYS_openat2, dirfd, name, &how, sizeof(how));
}

/* Opens name below dir with RESOLVE_*; 0, or the error. */
static int try_resolve(int dir, const char *name, uint64_t resolve)
{
    long fd = open2(dir, name, O_PATH, 0, resolve);
    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

static void arguments(void)
{
    struct {
        struct open_how how;
        uint64_t more;
    } big = {{O_RDONLY, 0, 0}, 0};
    write_file("f", "text", 0644);
    int fd = open2(AT_FDCWD, "f", O_RDONLY, 0, 0);
    CHECK(fd >= 0, "a plain open");
    CHECK_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY, "with its mode");
    CHECK_FAIL(open2(AT_FDCWD, "f", O_RDONLY, 0600, 0), EINVAL, "a mode without O_CREAT");
    CHECK_FAIL(open2(AT_FDCWD, "g", O_CREAT | O_RDWR, 010000, 0), EINVAL, "a mode that is none");
    CHECK(open2(AT_FDCWD, "g", O_CREAT | O_RDWR, 0600, 0) >= 0, "O_CREAT");
    CHECK_FAIL(open2(AT_FDCWD, "f", 1ULL << 40, 0, 0), EINVAL, "unknown flags");
    CHECK_FAIL(open2(AT_FDCWD, "f", O_PATH | O_RDWR, 0, 0), EINVAL, "O_PATH with an access");
    CHECK_FAIL(open2(AT_FDCWD, "f", O_RDONLY, 0, 1 << 20), EINVAL, "unknown RESOLVE_*");
    CHECK_FAIL(open2(AT_FDCWD, "f", O_RDONLY, 0, RESOLVE_BENEATH | RESOLVE_IN_ROOT), EINVAL,
               "two borders");
    CHECK_FAIL(syscall(SYS_openat2, AT_FDCWD, "f", &big, 8), EINVAL, "too short a structure");
    CHECK_FAIL(syscall(SYS_openat2, AT_FDCWD, "f", &big, 8192), E2BIG, "too long");
    CHECK(syscall(SYS_openat2, AT_FDCWD, "f", &big, sizeof(big)) >= 0, "longer, with zeros");
    big.more = 1;
    CHECK_FAIL(syscall(SYS_openat2, AT_FDCWD, "f", &big, sizeof(big)), E2BIG, "with more");
    CHECK_FAIL(syscall(SYS_openat2, AT_FDCWD, "f", unmapped_page(), 24), EFAULT, "bad address");
    CHECK_FAIL(open2(AT_FDCWD, "none", O_RDONLY, 0, 0), ENOENT, "no such file");
    CHECK_FAIL(open2(77, "f", O_RDONLY, 0, 0), EBADF, "no such directory");
    CHECK_FAIL(open2(AT_FDCWD, "h", O_CREAT | O_RDWR, 0600, RESOLVE_CACHED), EAGAIN,
               "RESOLVE_CACHED makes nothing");
    CHECK(open2(AT_FDCWD, "f", O_RDONLY, 0, RESOLVE_CACHED) >= 0, "but finds what is at hand");
}

static void borders(void)
{
    char target[PATH_MAX];
    REQUIRE(mkdir("root", 0755) == 0 && mkdir("root/dir", 0755) == 0);
    write_file("outside", "", 0644);
    write_file("root/file", "", 0644);
    REQUIRE(symlink("file", "root/link") == 0 && symlink("../outside", "root/out") == 0);
    REQUIRE(symlink("/file", "root/absolute") == 0 && symlink("dir/../file", "root/round") == 0);
    snprintf(target, sizeof(target), "/proc/self/fd/%d", open("outside", O_RDONLY));
    REQUIRE(symlink(target, "root/magic") == 0);
    int d = open("root", O_RDONLY | O_DIRECTORY);
    CHECK_EQ(try_resolve(d, "file", RESOLVE_BENEATH), 0, "beneath: a file");
    CHECK_EQ(try_resolve(d, "link", RESOLVE_BENEATH), 0, "a link inside");
    CHECK_EQ(try_resolve(d, "round", RESOLVE_BENEATH), 0, "down and up again");
    CHECK_EQ(try_resolve(d, "../outside", RESOLVE_BENEATH), EXDEV, "not out");
    CHECK_EQ(try_resolve(d, "..", RESOLVE_BENEATH), EXDEV, "not above");
    CHECK_EQ(try_resolve(d, "dir/../..", RESOLVE_BENEATH), EXDEV, "not later");
    CHECK_EQ(try_resolve(d, "out", RESOLVE_BENEATH), EXDEV, "not through a link");
    CHECK_EQ(try_resolve(d, "/etc", RESOLVE_BENEATH), EXDEV, "no absolute path");
    CHECK_EQ(try_resolve(d, "absolute", RESOLVE_BENEATH), EXDEV, "no absolute link");
    CHECK_EQ(try_resolve(d, "none", RESOLVE_BENEATH), ENOENT, "what is not there");
    CHECK_EQ(try_resolve(d, "file", RESOLVE_IN_ROOT), 0, "in root: a file");
    CHECK_EQ(try_resolve(d, "/file", RESOLVE_IN_ROOT), 0, "an absolute path starts there");
    CHECK_EQ(try_resolve(d, "absolute", RESOLVE_IN_ROOT), 0, "and a link");
    CHECK_EQ(try_resolve(d, "../../../file", RESOLVE_IN_ROOT), 0, "the root is its own parent");
    CHECK_EQ(try_resolve(d, "out", RESOLVE_IN_ROOT), ENOENT, "nothing outside is seen");
    CHECK_EQ(try_resolve(d, "/", RESOLVE_IN_ROOT), 0, "the root itself");
    CHECK_EQ(try_resolve(d, "magic", RESOLVE_IN_ROOT), ENOENT, "there is no /proc in it");
}

static void links(void)
{
    char name[64];
    write_file("file", "", 0644);
    REQUIRE(symlink("file", "link") == 0 && mkdir("dir", 0755) == 0 && symlink("dir", "d") == 0);
    write_file("dir/x", "", 0644);
    CHECK_EQ(try_resolve(AT_FDCWD, "file", RESOLVE_NO_SYMLINKS), 0, "no links: a file");
    CHECK_EQ(try_resolve(AT_FDCWD, "link", RESOLVE_NO_SYMLINKS), ELOOP, "a link at the end");
    CHECK_EQ(try_resolve(AT_FDCWD, "d/x", RESOLVE_NO_SYMLINKS), ELOOP, "in the middle");
    CHECK(open2(AT_FDCWD, "link", O_PATH | O_NOFOLLOW, 0, RESOLVE_NO_SYMLINKS) >= 0,
          "a link may be opened itself");
    CHECK_EQ(try_resolve(AT_FDCWD, "d/x", RESOLVE_NO_MAGICLINKS), 0, "plain links are not magic");
    snprintf(name, sizeof(name), "/proc/self/fd/%d", open("file", O_RDONLY));
    CHECK_EQ(try_resolve(AT_FDCWD, name, 0), 0, "/proc/self/fd/N");
    CHECK_EQ(try_resolve(AT_FDCWD, name, RESOLVE_NO_MAGICLINKS), ELOOP, "is");
    CHECK_EQ(try_resolve(AT_FDCWD, "/proc/self/cwd/file", RESOLVE_NO_MAGICLINKS), ELOOP,
             "and so is /proc/self/cwd");
}

static void mounts(void)
{
    REQUIRE(mkdir("m", 0755) == 0 && mkdir("m/sub", 0755) == 0);
    if (mount("none", "m", "tmpfs", 0, NULL) < 0) {
        SKIP("RESOLVE_NO_XDEV", "mounting is not allowed");
        return;
    }
    write_file("m/x", "", 0644);
    write_file("file", "", 0644);
    CHECK_EQ(try_resolve(AT_FDCWD, "file", RESOLVE_NO_XDEV), 0, "on one mount");
    CHECK_EQ(try_resolve(AT_FDCWD, "m/x", RESOLVE_NO_XDEV), EXDEV, "into another");
    CHECK_EQ(try_resolve(AT_FDCWD, "m", RESOLVE_NO_XDEV), EXDEV, "or to its root");
    int d = open("m", O_RDONLY | O_DIRECTORY);
    CHECK_EQ(try_resolve(d, "x", RESOLVE_NO_XDEV), 0, "inside it");
    CHECK_EQ(try_resolve(d, "../file", RESOLVE_NO_XDEV), EXDEV, "and out of it");
    close(d);
    REQUIRE(umount("m") == 0);
}

static void vectors(void)
{
    char got[64] = "";
    int fd = open("f", O_CREAT | O_RDWR, 0600);
    struct iovec v = {"abcdef", 6}, w = {got, 10}, two[2] = {{got, 2}, {got + 20, 10}};
    CHECK_EQ(pwritev2(fd, &v, 1, 10, 0), 6, "pwritev2 at an offset");
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0, "leaves the position");
    CHECK_EQ(pwritev2(fd, &v, 1, -1, 0), 6, "-1 is the position");
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 6, "which goes on");
    CHECK_EQ(pwritev2(fd, &v, 1, 0, RWF_APPEND), 6, "RWF_APPEND");
    struct stat st;
    CHECK(fstat(fd, &st) == 0 && st.st_size == 22, "writes at the end");
    CHECK(preadv2(fd, &w, 1, 10, 0) == 10 && !memcmp(got, "abcdefabcd", 10), "preadv2");
    CHECK(preadv2(fd, two, 2, 10, RWF_HIPRI) == 12 && got[20] == 'c', "into two buffers");
    CHECK_EQ(pwritev2(fd, &v, 1, 0, RWF_DSYNC), 6, "RWF_DSYNC");
    CHECK_EQ(pwritev2(fd, &v, 1, 0, RWF_SYNC), 6, "RWF_SYNC");
    CHECK_FAIL(preadv2(fd, &w, 1, 0, 0x4000000), EOPNOTSUPP, "unknown flags");
    CHECK_FAIL(preadv2(fd, &w, 1, -5, 0), EINVAL, "a negative offset");
    int p[2];
    REQUIRE(pipe(p) == 0);
    CHECK_FAIL(pwritev2(p[1], &v, 1, 0, 0), ESPIPE, "a pipe has no offsets");
    CHECK_EQ(pwritev2(p[1], &v, 1, -1, 0), 6, "but can be written");
}

CHECK_MAIN_BUT_QEMU_USER(CASE(arguments), CASE(borders), CASE(links), CASE(mounts), CASE(vectors))
