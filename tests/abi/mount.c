/* SPDX-License-Identifier: MIT */
/* chroot, and mounts of tmpfs and procfs: what lies below, what is covered, what is busy. */
#include "check.h"

#include <sys/mount.h>
#include <sys/statfs.h>

static char text[65536];

static void root_directory(void)
{
    NEED_ROOT();
    struct stat inside, outside;
    REQUIRE(mkdir("jail", 0755) == 0 && mkdir("jail/d", 0755) == 0);
    write_file("jail/file", "inside", 0644);
    write_file("outside", "x", 0644);
    symlink("/file", "jail/link");
    REQUIRE(stat("jail", &inside) == 0 && stat("/", &outside) == 0);
    int before = open(".", O_RDONLY);
    CHECK_EQ(IN_CHILD(chroot("jail"); chdir("/"); struct stat st; stat("/", &st);
                      _exit(st.st_ino == inside.st_ino ? 0 : 1)),
             0, "chroot changes the root");
    CHECK_EQ(IN_CHILD(chroot("jail"); chdir("/");
                      _exit(access("/file", F_OK) == 0 && access("/tmp", F_OK) < 0 ? 0 : 1)),
             0, "absolute paths begin there");
    CHECK_EQ(
        IN_CHILD(chroot("jail"); chdir("/"); _exit(
                     access("/../../outside", F_OK) < 0 && access("/../file", F_OK) == 0 ? 0 : 1)),
        0, "and .. does not lead out");
    CHECK_EQ(
        IN_CHILD(chroot("jail"); chdir("/"); _exit(read_file("/link", text, 100) == 6 ? 0 : 1)), 0,
        "absolute links begin there too");
    CHECK_EQ(IN_CHILD(chroot("jail"); chdir("/d"); char path[64]; getcwd(path, 64);
                      _exit(strcmp(path, "/d") ? 1 : 0)),
             0, "getcwd is relative to the root");
    CHECK_EQ(IN_CHILD(chroot("jail"); _exit(openat(before, "outside", O_RDONLY) >= 0 ? 0 : 1)), 0,
             "an open directory outside still leads out");
    CHECK_EQ(IN_CHILD(chroot("jail"); char path[PATH_MAX];
                      long n = syscall(SYS_getcwd, path, PATH_MAX);
                      _exit(n > 0 && !strncmp(path, "(unreachable)", 13) ? 0 : 1)),
             0, "a working directory outside is unreachable");
    CHECK_FAIL(chroot("missing"), ENOENT, "a missing directory");
    CHECK_FAIL(chroot("outside"), ENOTDIR, "a file");
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(chroot("jail") < 0 ? errno : 0)), EPERM,
             "a user may not");
    CHECK_EQ(access("outside", F_OK), 0, "the parent's root is its own");
}

/* A mount namespace of our own where there is such a thing; else the only one. */
static int can_mount(void)
{
    if (geteuid() != 0)
        return 0;
    if (unshare(CLONE_NEWNS) == 0)
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    return 1;
}

static void mounting(void)
{
    if (!can_mount()) {
        SKIP("mount", "needs root");
        return;
    }
    struct statfs fs;
    struct stat below, above;
    REQUIRE(mkdir("m", 0755) == 0);
    write_file("m/covered", "x", 0644);
    REQUIRE(stat("m", &below) == 0);
    CHECK_EQ(mount("none", "m", "tmpfs", 0, "mode=0750"), 0, "mount of a tmpfs");
    REQUIRE(stat("m", &above) == 0);
    CHECK(above.st_dev != below.st_dev, "it is another device");
    CHECK_EQ(above.st_mode & 07777, 0750, "with the mode asked for");
    CHECK(access("m/covered", F_OK) < 0, "what was there is covered");
    write_file("m/f", "on top", 0644);
    CHECK_EQ(read_file("m/f", text, 100), 6, "files are made in it");
    CHECK(statfs("m", &fs) == 0 && fs.f_type == 0x01021994, "statfs tells a tmpfs");
    struct stat parent, here;
    REQUIRE(stat("m/..", &parent) == 0 && stat(".", &here) == 0);
    CHECK(parent.st_ino == here.st_ino && parent.st_dev == here.st_dev, ".. leads out of it");
    write_file("outside", "x", 0644);
    CHECK_FAIL(rename("outside", "m/x"), EXDEV, "rename does not go over its border");
    CHECK_FAIL(link("outside", "m/x"), EXDEV, "nor does link");
    CHECK_FAIL(rmdir("m"), EBUSY, "it cannot be removed");
    CHECK_FAIL(rename("m", "n"), EBUSY, "nor renamed");
    REQUIRE(read_file("/proc/mounts", text, sizeof(text)) > 0);
    char where[PATH_MAX], line[PATH_MAX + 32];
    REQUIRE(realpath("m", where));
    snprintf(line, sizeof(line), "none %s tmpfs rw", where);
    CHECK(strstr(text, line) != NULL, "/proc/mounts tells it");
    int fd = open("m/f", O_RDONLY);
    CHECK_FAIL(umount("m"), EBUSY, "while a file is open it is busy");
    close(fd);
    REQUIRE(chdir("m") == 0);
    CHECK_FAIL(umount("../m"), EBUSY, "as while it is somebody's working directory");
    REQUIRE(chdir("..") == 0);
    CHECK_EQ(umount("m"), 0, "umount");
    CHECK_EQ(access("m/covered", F_OK), 0, "uncovers what was there");
    CHECK(access("m/f", F_OK) < 0, "and the tmpfs is gone");
    CHECK_FAIL(umount("m"), EINVAL, "umount of what is no mount");
    CHECK_FAIL(umount("missing"), ENOENT, "nor there");
}

static void stacked(void)
{
    if (!can_mount()) {
        SKIP("stacked mounts", "needs root");
        return;
    }
    REQUIRE(mkdir("m", 0755) == 0);
    REQUIRE(mount("one", "m", "tmpfs", 0, NULL) == 0);
    write_file("m/one", "", 0644);
    CHECK_EQ(mount("two", "m", "tmpfs", 0, NULL), 0, "a mount on a mount");
    CHECK(access("m/one", F_OK) < 0, "covers it");
    REQUIRE(mkdir("m/deep", 0755) == 0);
    CHECK_EQ(mount("three", "m/deep", "tmpfs", 0, NULL), 0, "a mount below a mount");
    CHECK_FAIL(umount("m"), EBUSY, "keeps it busy");
    CHECK_EQ(umount("m/deep"), 0, "the inner one goes first");
    CHECK_EQ(umount("m"), 0, "then the upper");
    CHECK_EQ(access("m/one", F_OK), 0, "the first is there again");
    int fd = open("m/one", O_RDONLY);
    CHECK_EQ(umount2("m", MNT_DETACH), 0, "MNT_DETACH does not mind open files");
    CHECK(access("m/one", F_OK) < 0, "the mount is gone");
    char byte;
    CHECK_EQ(read(fd, &byte, 1), 0, "the open file works on");
}

static void read_only(void)
{
    if (!can_mount()) {
        SKIP("read-only mounts", "needs root");
        return;
    }
    REQUIRE(mkdir("m", 0755) == 0 && mount("none", "m", "tmpfs", 0, NULL) == 0);
    write_file("m/f", "x", 0755);
    REQUIRE(mkdir("m/d", 0755) == 0);
    CHECK_EQ(mount("none", "m", "tmpfs", MS_REMOUNT | MS_RDONLY, NULL), 0, "remount read-only");
    CHECK_FAIL(open("m/f", O_WRONLY), EROFS, "no file is opened for writing");
    CHECK(open("m/f", O_RDONLY) >= 0, "but for reading");
    CHECK_FAIL(open("m/new", O_CREAT | O_WRONLY, 0644), EROFS, "nothing is made");
    CHECK_FAIL(mkdir("m/x", 0755), EROFS, "no directory");
    CHECK_FAIL(mkdir("m/d", 0755), EEXIST, "what is there is told first");
    CHECK_FAIL(unlink("m/f"), EROFS, "nothing is removed");
    CHECK_FAIL(rmdir("m/d"), EROFS, "no directory either");
    CHECK_FAIL(rename("m/f", "m/g"), EROFS, "nothing renamed");
    CHECK_FAIL(chmod("m/f", 0600), EROFS, "no mode changed");
    CHECK_FAIL(truncate("m/f", 0), EROFS, "nothing cut");
    CHECK_FAIL(access("m/f", W_OK), EROFS, "access tells it");
    CHECK_FAIL(utimensat(AT_FDCWD, "m/f", NULL, 0), EROFS, "no time is set");
    CHECK_EQ(umount2("m", MNT_DETACH), 0, "umount");
    REQUIRE(mount("none", "m", "tmpfs", MS_NOEXEC | MS_NODEV | MS_NOSUID, NULL) == 0);
    write_file("m/script", "#!/bin/sh\n", 0755);
    char *argv[] = {"x", NULL};
    if (!qemu_user_lacks("MS_NOEXEC"))
        CHECK_FAIL(execve("m/script", argv, argv + 1), EACCES, "MS_NOEXEC: nothing is executed");
    REQUIRE(mknod("m/null", S_IFCHR | 0666, 0x103) == 0);
    CHECK_FAIL(open("m/null", O_RDONLY), EACCES, "MS_NODEV: no device is opened");
    umount("m");
}

static void refused(void)
{
    if (!can_mount()) {
        SKIP("refused mounts", "needs root");
        return;
    }
    REQUIRE(mkdir("m", 0755) == 0);
    write_file("f", "", 0644);
    CHECK_FAIL(mount("none", "m", "nonesuch", 0, NULL), ENODEV, "an unknown file system");
    CHECK_FAIL(mount("none", "missing", "tmpfs", 0, NULL), ENOENT, "a missing directory");
    CHECK_FAIL(mount("none", "f", "tmpfs", 0, NULL), ENOTDIR, "a file");
    CHECK_FAIL(mount("none", "m", "tmpfs", 0, "mode=xyz"), EINVAL, "a bad option");
    CHECK_EQ(
        IN_CHILD(become_user(1000); _exit(mount("none", "m", "tmpfs", 0, NULL) < 0 ? errno : 0)),
        EPERM, "a user may not mount");
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(umount("/") < 0 ? errno : 0)), EPERM, "nor unmount");
    CHECK_EQ(mount("none", "m", "proc", 0, NULL), 0, "procfs can be mounted again");
    CHECK_EQ(access("m/self/stat", F_OK), 0, "and is one");
    CHECK_EQ(umount("m"), 0, "umount of it");
}

static void sized(void)
{
    if (!can_mount()) {
        SKIP("a tmpfs with a size", "needs root");
        return;
    }
    static char data[65536];
    struct statfs fs;
    REQUIRE(mkdir("m", 0755) == 0);
    CHECK_EQ(mount("none", "m", "tmpfs", 0, "size=128k"), 0, "a tmpfs with a size");
    CHECK(statfs("m", &fs) == 0 && fs.f_blocks * fs.f_bsize == 131072, "statfs tells it");
    int fd = open("m/f", O_CREAT | O_RDWR, 0644);
    CHECK(write(fd, data, 65536) == 65536 && write(fd, data, 65536) == 65536, "it can be filled");
    CHECK_FAIL(write(fd, data, 1), ENOSPC, "then it is full");
    CHECK(ftruncate(fd, 0) == 0 && write(fd, data, 65536) == 65536, "what is cut is free again");
    close(fd);
    CHECK(unlink("m/f") == 0 && statfs("m", &fs) == 0 && fs.f_bfree == fs.f_blocks,
          "as is what is removed");
    umount("m");
}

static void without_limits(void)
{
    struct statfs fs;
    struct stat st;

    if (!can_mount()) {
        SKIP("ramfs", "needs root");
        return;
    }
    REQUIRE(mkdir("m", 0700) == 0);
    CHECK_EQ(mount("none", "m", "ramfs", MS_NOSUID, "mode=751,unknown=1"), 0,
             "ramfs passes over options that it does not know");
    CHECK(stat("m", &st) == 0 && (st.st_mode & 07777) == 0751, "and knows mode");
    CHECK(statfs("m", &fs) == 0 && fs.f_type == 0x858458f6 && fs.f_blocks == 0 && fs.f_files == 0,
          "it has no limits");
    write_file("m/f", "text", 0600);
    CHECK(read_file("m/f", text, 16) == 4 && !strcmp(text, "text"), "files");
    CHECK_EQ(umount("m"), 0, "umount");
    CHECK_EQ(mount("none", "m", "ramfs", 0, NULL), 0, "again");
    CHECK(stat("m", &st) == 0 && (st.st_mode & 07777) == 0755, "the usual mode");
    CHECK_FAIL(access("m/f", F_OK), ENOENT, "another one");
    CHECK_EQ(umount("m"), 0, "umount");
    CHECK_FAIL(mount("none", "m", "ramfs", 0, "mode=99"), EINVAL, "a bad mode");
}

CHECK_MAIN(CASE(root_directory), CASE(mounting), CASE(stacked), CASE(read_only), CASE(refused),
           CASE(sized), CASE(without_limits))
