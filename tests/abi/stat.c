/* SPDX-License-Identifier: MIT */
/* stat, statx, times of files, utimensat, statfs: what is told and when it changes. */
#include "check.h"

#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

static struct stat status_of(const char *path)
{
    struct stat st;
    REQUIRE(lstat(path, &st) == 0);
    return st;
}

static int64_t nanoseconds(struct timespec time)
{
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static void fields(void)
{
    write_file("f", "0123456789", 0640);
    struct stat a = status_of("f"), b;
    CHECK(S_ISREG(a.st_mode) && (a.st_mode & 07777) == 0640, "st_mode");
    CHECK(a.st_nlink == 1 && a.st_size == 10, "st_nlink and st_size");
    CHECK(a.st_uid == geteuid() && a.st_gid == getegid(), "st_uid and st_gid");
    CHECK(a.st_blksize >= 512 && (a.st_blksize & (a.st_blksize - 1)) == 0, "st_blksize");
    CHECK(a.st_blocks > 0 && a.st_blocks <= 16, "st_blocks counts units of 512 bytes");
    CHECK(a.st_ino != 0 && a.st_dev == status_of(".").st_dev, "st_ino and st_dev");
    int fd = open("f", O_RDONLY);
    CHECK(fstat(fd, &b) == 0 && !memcmp(&a, &b, sizeof(a)), "fstat tells the same");
    CHECK(fstatat(AT_FDCWD, "f", &b, 0) == 0 && !memcmp(&a, &b, sizeof(a)), "so does fstatat");
    CHECK(fstatat(fd, "", &b, AT_EMPTY_PATH) == 0 && a.st_ino == b.st_ino, "AT_EMPTY_PATH");
    CHECK_FAIL(fstatat(fd, "", &b, 0), ENOENT, "an empty path without it");
    CHECK_FAIL(fstatat(fd, "x", &b, 0), ENOTDIR, "a path relative to a file");
    CHECK_FAIL(fstatat(AT_FDCWD, "f", &b, 0x8000000), EINVAL, "unknown flags");
    CHECK_FAIL(fstat(999, &b), EBADF, "a bad descriptor");
    CHECK_FAIL(stat("missing", &b), ENOENT, "a missing file");
    CHECK(S_ISDIR(status_of(".").st_mode), "a directory");
    CHECK(S_ISCHR(status_of("/dev/null").st_mode), "a device");
    CHECK_EQ(status_of("/dev/null").st_rdev, makedev(1, 3), "st_rdev of /dev/null");
    int fds[2];
    REQUIRE(pipe(fds) == 0);
    CHECK(fstat(fds[0], &b) == 0 && S_ISFIFO(b.st_mode), "a pipe");
    REQUIRE(fstat(fds[1], &a) == 0);
    CHECK(a.st_ino == b.st_ino, "both ends are one inode");
    CHECK_EQ(mknod("p", S_IFIFO | 0600, 0), 0, "mknod of a FIFO");
    CHECK(S_ISFIFO(status_of("p").st_mode), "is one");
    CHECK(mknod("r", S_IFREG | 0600, 0) == 0 && S_ISREG(status_of("r").st_mode), "of a file");
    CHECK(mknod("n", 0600, 0) == 0 && S_ISREG(status_of("n").st_mode), "no type means a file");
    CHECK(mknod("s", S_IFSOCK | 0600, 0) == 0 && S_ISSOCK(status_of("s").st_mode), "of a socket");
    CHECK_FAIL(mknod("r", S_IFREG | 0600, 0), EEXIST, "a name that is taken");
    CHECK_FAIL(mknod("d", S_IFDIR | 0700, 0), EPERM, "of a directory");
    CHECK_FAIL(mknod("x", S_IFMT, 0), EINVAL, "of an unknown type");
}

static void device_nodes(void)
{
    NEED_ROOT();
    char buffer[8];
    CHECK_EQ(mknod("null", S_IFCHR | 0666, makedev(1, 3)), 0, "mknod of a device");
    CHECK(S_ISCHR(status_of("null").st_mode) && status_of("null").st_rdev == makedev(1, 3),
          "is one, with its number");
    int fd = open("null", O_RDWR);
    CHECK(fd >= 0 && write(fd, "x", 1) == 1 && read(fd, buffer, 8) == 0, "and works as /dev/null");
    CHECK_EQ(mknod("nothing", S_IFCHR | 0666, makedev(234, 56)), 0, "a number without a driver");
    CHECK_FAIL(open("nothing", O_RDONLY), ENXIO, "cannot be opened");
    CHECK_EQ(mknod("block", S_IFBLK | 0666, makedev(234, 56)), 0, "a block device");
    CHECK(S_ISBLK(status_of("block").st_mode), "is one");
    CHECK_EQ(IN_CHILD(become_user(1000);
                      _exit(mknod("mine", S_IFCHR | 0666, makedev(1, 3)) < 0 ? errno : 0)),
             EPERM, "a user may not make devices");
    chmod(".", 0777);
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(mknod("fifo", S_IFIFO | 0666, 0) < 0 ? errno : 0)),
             0, "but FIFOs");
}

static void extended(void)
{
    struct statx sx;
    struct stat st;
    write_file("f", "0123456789", 0640);
    st = status_of("f");
    memset(&sx, 0x55, sizeof(sx));
    CHECK_EQ(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &sx), 0, "statx");
    CHECK_EQ(sx.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS, "tells all that was asked for");
    CHECK(sx.stx_mode == st.st_mode && sx.stx_nlink == 1 && sx.stx_size == 10, "mode, links, size");
    CHECK(sx.stx_ino == st.st_ino && sx.stx_uid == st.st_uid && sx.stx_gid == st.st_gid,
          "inode and owners");
    CHECK(sx.stx_mtime.tv_sec == st.st_mtim.tv_sec &&
              sx.stx_mtime.tv_nsec == (unsigned)st.st_mtim.tv_nsec,
          "the time");
    CHECK(makedev(sx.stx_dev_major, sx.stx_dev_minor) == st.st_dev, "the device");
    CHECK(sx.stx_blocks == (unsigned long)st.st_blocks && sx.stx_blksize == (unsigned)st.st_blksize,
          "blocks");
    int fd = open("f", O_RDONLY);
    CHECK(statx(fd, "", AT_EMPTY_PATH, STATX_INO, &sx) == 0 && sx.stx_ino == st.st_ino,
          "of a descriptor");
    symlink("f", "l");
    CHECK(statx(AT_FDCWD, "l", AT_SYMLINK_NOFOLLOW, STATX_TYPE, &sx) == 0 && S_ISLNK(sx.stx_mode),
          "of a link itself");
    CHECK_FAIL(statx(AT_FDCWD, "f", 0x8000000, STATX_INO, &sx), EINVAL, "unknown flags");
    CHECK_FAIL(statx(AT_FDCWD, "f", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, STATX_INO, &sx),
               EINVAL, "contradicting flags");
    CHECK_FAIL(statx(AT_FDCWD, "f", 0, 0x80000000, &sx), EINVAL, "a reserved bit in the mask");
}

/* Waits until the clock that files are stamped by shows another time. */
static void next_tick(void)
{
    struct timespec from, now;
    clock_gettime(CLOCK_REALTIME_COARSE, &from);
    do {
        usleep(1000);
        clock_gettime(CLOCK_REALTIME_COARSE, &now);
    } while (nanoseconds(now) == nanoseconds(from));
}

static void when_times_change(void)
{
    struct stat before, after;
    struct timespec now, later;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    write_file("f", "x", 0644);
    clock_gettime(CLOCK_REALTIME, &later);
    before = status_of("f");
    CHECK(nanoseconds(before.st_mtim) >= nanoseconds(now) &&
              nanoseconds(before.st_mtim) <= nanoseconds(later),
          "a new file has the present time");
    next_tick();
    int fd = open("f", O_RDWR);
    REQUIRE(write(fd, "y", 1) == 1);
    after = status_of("f");
    CHECK(nanoseconds(after.st_mtim) > nanoseconds(before.st_mtim), "a write changes mtime");
    CHECK(nanoseconds(after.st_ctim) > nanoseconds(before.st_ctim), "and ctime");
    next_tick();
    before = after;
    chmod("f", 0600);
    after = status_of("f");
    CHECK(nanoseconds(after.st_ctim) > nanoseconds(before.st_ctim), "chmod changes ctime");
    CHECK_EQ(nanoseconds(after.st_mtim), nanoseconds(before.st_mtim), "and not mtime");
    next_tick();
    before = status_of(".");
    write_file("g", "", 0644);
    after = status_of(".");
    CHECK(nanoseconds(after.st_mtim) > nanoseconds(before.st_mtim),
          "a new name changes the directory");
    next_tick();
    before = status_of(".");
    unlink("g");
    after = status_of(".");
    CHECK(nanoseconds(after.st_mtim) > nanoseconds(before.st_mtim), "so does a removed one");
    next_tick();
    before = status_of("f");
    link("f", "h");
    after = status_of("f");
    CHECK(nanoseconds(after.st_ctim) > nanoseconds(before.st_ctim),
          "a link changes the file's ctime");
    next_tick();
    before = status_of("f");
    REQUIRE(ftruncate(fd, 100) == 0);
    after = status_of("f");
    CHECK(nanoseconds(after.st_mtim) > nanoseconds(before.st_mtim), "ftruncate changes mtime");
    next_tick();
    before = status_of("f");
    rename("f", "r");
    after = status_of("r");
    CHECK_EQ(nanoseconds(after.st_mtim), nanoseconds(before.st_mtim), "rename leaves mtime alone");
}

static void setting_times(void)
{
    struct timespec times[2] = {{1000000000, 123456789}, {2000000000, 987654321}};
    struct stat st, before;
    write_file("f", "x", 0644);
    CHECK_EQ(utimensat(AT_FDCWD, "f", times, 0), 0, "utimensat");
    st = status_of("f");
    CHECK(st.st_atim.tv_sec == 1000000000 && st.st_atim.tv_nsec == 123456789, "sets atime");
    CHECK(st.st_mtim.tv_sec == 2000000000 && st.st_mtim.tv_nsec == 987654321, "and mtime");
    CHECK(st.st_ctim.tv_sec != 1000000000, "but not ctime");
    times[0].tv_nsec = UTIME_OMIT;
    times[1] = (struct timespec){5, 6};
    CHECK_EQ(utimensat(AT_FDCWD, "f", times, 0), 0, "UTIME_OMIT");
    st = status_of("f");
    CHECK(st.st_atim.tv_sec == 1000000000 && st.st_mtim.tv_sec == 5 && st.st_mtim.tv_nsec == 6,
          "leaves one alone");
    times[0].tv_nsec = UTIME_NOW;
    times[1].tv_nsec = UTIME_OMIT;
    CHECK_EQ(utimensat(AT_FDCWD, "f", times, 0), 0, "UTIME_NOW");
    st = status_of("f");
    CHECK(st.st_atim.tv_sec > 1000000000 && st.st_mtim.tv_sec == 5, "sets one to the present");
    CHECK_EQ(utimensat(AT_FDCWD, "f", NULL, 0), 0, "no times");
    st = status_of("f");
    CHECK(st.st_mtim.tv_sec > 1000000000, "set both to the present");
    symlink("f", "l");
    times[0] = times[1] = (struct timespec){77, 0};
    before = status_of("f");
    CHECK(utimensat(AT_FDCWD, "l", times, AT_SYMLINK_NOFOLLOW) == 0 &&
              status_of("l").st_mtim.tv_sec == 77,
          "AT_SYMLINK_NOFOLLOW sets the link's");
    CHECK_EQ(status_of("f").st_mtim.tv_sec, before.st_mtim.tv_sec, "and not the file's");
    int fd = open("f", O_RDONLY);
    CHECK(futimens(fd, times) == 0 && status_of("f").st_mtim.tv_sec == 77, "futimens");
    times[0].tv_nsec = 1000000000;
    CHECK_FAIL(utimensat(AT_FDCWD, "f", times, 0), EINVAL, "too many nanoseconds");
    times[0].tv_nsec = 0;
    CHECK_FAIL(utimensat(AT_FDCWD, "missing", times, 0), ENOENT, "a missing file");
    CHECK_FAIL(utimensat(AT_FDCWD, "f", times, 0x8000), EINVAL, "unknown flags");
    NEED_ROOT();
    chmod("f", 0666);
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(utimensat(AT_FDCWD, "f", NULL, 0) < 0 ? errno : 0)),
             0, "who may write may set the present time");
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(utimensat(AT_FDCWD, "f", times, 0) < 0 ? errno : 0)),
             EPERM, "but no other");
    chmod("f", 0644);
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(utimensat(AT_FDCWD, "f", NULL, 0) < 0 ? errno : 0)),
             EACCES, "who may not write, none");
}

static void file_systems(void)
{
    struct statfs fs;
    struct statvfs vfs;
    CHECK_EQ(statfs(".", &fs), 0, "statfs");
    CHECK(fs.f_bsize >= 512 && fs.f_namelen == 255, "block size and length of names");
    CHECK(fs.f_bfree <= fs.f_blocks && fs.f_ffree <= fs.f_files, "no more is free than there is");
    CHECK_EQ(fs.f_type, 0x01021994, "/tmp is a tmpfs");
    int fd = open(".", O_RDONLY);
    struct statfs same;
    CHECK(fstatfs(fd, &same) == 0 && same.f_type == fs.f_type, "fstatfs");
    CHECK(statfs("/proc", &fs) == 0 && fs.f_type == 0x9fa0, "/proc is a procfs");
    CHECK_EQ(statvfs(".", &vfs), 0, "statvfs");
    CHECK_FAIL(statfs("missing", &fs), ENOENT, "a missing file");
    CHECK_FAIL(fstatfs(999, &fs), EBADF, "a bad descriptor");
}

CHECK_MAIN(CASE(fields), CASE(device_nodes), CASE(extended), CASE(when_times_change),
           CASE(setting_times), CASE(file_systems))
