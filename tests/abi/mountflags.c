/* SPDX-License-Identifier: MIT */
/* Mount flags, bind mounts, moving, propagation, pivot_root; mknod, sticky directories, set-id bits;
 * the calls that write files out. */
#include "check.h"

#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

static int may_mount(void)
{
    if (mkdir("m", 0755) == 0 && mount("none", "m", "tmpfs", 0, "mode=0777") == 0)
        return 1;
    SKIP("mounts", "mounting is not allowed");
    return 0;
}

static int remount(unsigned long flags)
{
    return mount("none", "m", NULL, MS_REMOUNT | flags, NULL);
}

static void read_only(void)
{
    if (!may_mount())
        return;
    write_file("m/f", "text", 0666);
    int fd = open("m/f", O_RDONLY);
    CHECK_EQ(remount(MS_RDONLY), 0, "remount ro");
    CHECK_FAIL(open("m/f", O_RDWR), EROFS, "writing: EROFS");
    CHECK_FAIL(open("m/new", O_CREAT | O_RDWR, 0600), EROFS, "creating");
    CHECK_FAIL(mkdir("m/d", 0700), EROFS, "mkdir");
    CHECK_FAIL(unlink("m/f"), EROFS, "unlink");
    CHECK_FAIL(rename("m/f", "m/g"), EROFS, "rename");
    CHECK_FAIL(symlink("x", "m/l"), EROFS, "symlink");
    CHECK_FAIL(link("m/f", "m/l"), EROFS, "link");
    CHECK_FAIL(chmod("m/f", 0600), EROFS, "chmod");
    CHECK_FAIL(chown("m/f", 1, 1), EROFS, "chown");
    CHECK_FAIL(truncate("m/f", 0), EROFS, "truncate");
    CHECK_FAIL(utimensat(AT_FDCWD, "m/f", NULL, 0), EROFS, "utimensat");
    CHECK_FAIL(fchmod(fd, 0600), EROFS, "fchmod");
    CHECK_FAIL(setxattr("m/f", "trusted.x", "x", 1, 0), EROFS, "setxattr");
    CHECK_FAIL(access("m/f", W_OK), EROFS, "access");
    CHECK_EQ(access("m/f", R_OK), 0, "reading is allowed");
    CHECK_EQ(remount(0), 0, "remount rw");
    CHECK_EQ(mkdir("m/d", 0700), 0, "then it can be written again");
    int w = open("m/f", O_RDWR);
    CHECK_FAIL(remount(MS_RDONLY), EBUSY, "not while a file is open for writing");
    close(w);
    close(fd);
    REQUIRE(umount("m") == 0);
}

static int change(unsigned long long set, unsigned long long clear, int flags)
{
    struct mount_attr attr = {.attr_set = set, .attr_clr = clear};

    return syscall(SYS_mount_setattr, AT_FDCWD, "m", flags, &attr, sizeof(attr));
}

/* Of the mount alone, which its writers keep as it is, others of the same file system not. */
static void read_only_mount(void)
{
    if (!may_mount())
        return;
    REQUIRE(mkdir("b", 0700) == 0 && mkdir("m/sub", 0700) == 0);
    REQUIRE(mount("m", "b", NULL, MS_BIND, NULL) == 0);
    REQUIRE(mount("none", "m/sub", "tmpfs", 0, NULL) == 0);
    int fd = open("m/f", O_RDWR | O_CREAT, 0600), below = open("m/sub/f", O_WRONLY | O_CREAT, 0600);
    REQUIRE(fd >= 0 && below >= 0);
    CHECK_FAIL(mount(NULL, "m", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), EBUSY,
               "a mount with a writer does not become read-only");
    CHECK_FAIL(change(MOUNT_ATTR_RDONLY, 0, 0), EBUSY, "nor by mount_setattr");
    CHECK_EQ(mount(NULL, "b", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), 0, "another one does");
    CHECK_FAIL(open("b/f", O_WRONLY), EROFS, "there nobody writes");
    close(fd);
    CHECK_FAIL(change(MOUNT_ATTR_RDONLY, 0, AT_RECURSIVE), EBUSY, "a writer further down");
    fd = open("m/f", O_WRONLY);
    CHECK(fd >= 0, "leaves all as it was");
    close(fd);
    close(below);
    CHECK_EQ(change(MOUNT_ATTR_RDONLY, 0, AT_RECURSIVE), 0, "without writers");
    CHECK_FAIL(open("m/sub/f", O_WRONLY), EROFS, "it reaches all");
    CHECK_FAIL(open("m/f", O_RDONLY | O_TRUNC), EROFS, "O_TRUNC is writing");
    CHECK_EQ(change(0, MOUNT_ATTR_RDONLY, AT_RECURSIVE), 0, "and back");
    CHECK(open("m/sub/f", O_WRONLY) >= 0, "to writing");
    REQUIRE(umount("b") == 0 && umount2("m", MNT_DETACH) == 0);
}

/* Nothing is mounted where nobody could name it. */
/* A file is open for writing, so that the change is refused each time; nobody may see it begin. */
static void refused_unseen(void)
{
    if (!may_mount())
        return;
    int kept = open("m/kept", O_CREAT | O_WRONLY, 0600), other = 0;
    pid_t writer = CHILD(for (;;) {
        int fd = open("m/f", O_CREAT | O_WRONLY, 0600);
        if (fd < 0)
            _exit(errno);
        close(fd);
    });
    for (int i = 0; i < 1000; i++) {
        other |= remount(MS_RDONLY | (i % 2 ? MS_BIND : 0)) == 0 || errno != EBUSY;
        if (i % 100 == 0)
            usleep(1000);
    }
    CHECK_EQ(other, 0, "a thousand times EBUSY");
    CHECK_EQ(waitpid(writer, NULL, WNOHANG), 0, "who opens for writing meanwhile never got EROFS");
    kill(writer, SIGKILL);
    end_of(writer);
    close(kept);
    CHECK_EQ(umount("m"), 0, "umount");
}

/* What is mounted can be named and unmounted, whoever tries to remove the directory at the same time. */
static void mounted_and_removed(void)
{
    if (!may_mount())
        return;
    int mounted = 0, lost = 0;
    pid_t remover = CHILD(for (unsigned i = 0;; i++) i % 2 ? rmdir("m/d") : rename("m/e", "m/d"));
    for (int i = 0; i < 600; i++) {
        mkdir("m/d", 0700);
        mkdir("m/e", 0700);
        if (mount("none", "m/d", "tmpfs", 0, NULL) != 0)
            continue;
        mounted++;
        lost += umount("m/d") != 0;
    }
    kill(remover, SIGKILL);
    end_of(remover);
    CHECK(mounted > 0, "something was mounted");
    CHECK_EQ(lost, 0, "and could be unmounted each time");
    CHECK_EQ(umount("m"), 0, "nothing is left mounted below");
}

static void taken_out(void)
{
    if (!may_mount())
        return;
    REQUIRE(mkdir("m/d", 0700) == 0 && mkdir("e", 0700) == 0);
    int fd = open("m", O_PATH | O_DIRECTORY), back = open(".", O_PATH | O_DIRECTORY);
    REQUIRE(fchdir(fd) == 0 && umount2("../m", MNT_DETACH) == 0);
    /* ENOENT since Linux 6.17 or so */
    CHECK(mount("none", "d", "tmpfs", 0, NULL) < 0 && (errno == EINVAL || errno == ENOENT),
          "in a mount that was taken out");
    CHECK(mount("/proc", "d", NULL, MS_BIND, NULL) < 0 && (errno == EINVAL || errno == ENOENT),
          "nothing is bound there");
    CHECK_FAIL(mount(".", "/tmp", NULL, MS_BIND, NULL), EINVAL, "it is no source either");
    CHECK_FAIL(mount(NULL, ".", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), EINVAL, "remount");
    REQUIRE(fchdir(back) == 0);
    CHECK_EQ(rmdir("m"), 0, "where it stood can be removed");
}

static void restrictions(void)
{
    if (!may_mount())
        return;
    REQUIRE(mknod("m/null", S_IFCHR | 0666, makedev(1, 3)) == 0);
    int fd = open("m/null", O_WRONLY);
    CHECK(fd >= 0 && write(fd, "x", 1) == 1, "a device");
    close(fd);
    CHECK_EQ(remount(MS_NODEV), 0, "nodev");
    CHECK_FAIL(open("m/null", O_WRONLY), EACCES, "devices are dead");
    CHECK_EQ(access("m/null", R_OK), 0, "though permitted");
    write_file("m/script", "#!/bin/true\n", 0755);
    CHECK_EQ(remount(MS_NOEXEC), 0, "noexec");
    CHECK_FAIL(execl("m/script", "script", NULL), EACCES, "no execution");
    int f = open("m/script", O_RDONLY);
    CHECK_FAIL((long)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, f, 0), EPERM,
               "nor mapping for it");
    void *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, f, 0);
    CHECK_FAIL(mprotect(p, 4096, PROT_READ | PROT_EXEC), EACCES, "not even later");
    close(f);
    munmap(p, 4096);
    char text[20000];
    REQUIRE(remount(MS_NOSUID | MS_NOATIME) == 0);
    read_file("/proc/self/mountinfo", text, sizeof(text));
    char *line = strstr(text, "/m ");
    CHECK(line && strstr(line, "nosuid") && strstr(line, "noatime"), "mountinfo shows flags");
    REQUIRE(umount("m") == 0);
}

static void binds(void)
{
    if (!may_mount())
        return;
    REQUIRE(mkdir("b", 0755) == 0 && mkdir("m/sub", 0755) == 0);
    write_file("m/sub/f", "text", 0666);
    CHECK_EQ(mount("m/sub", "b", NULL, MS_BIND, NULL), 0, "bind");
    struct stat st, su;
    CHECK(stat("b/f", &st) == 0 && stat("m/sub/f", &su) == 0 && st.st_ino == su.st_ino,
          "the same files");
    CHECK_FAIL(link("m/sub/f", "b/g"), EXDEV, "no links from mount to mount");
    CHECK_FAIL(rename("m/sub/f", "b/g"), EXDEV, "nor renames");
    CHECK_EQ(mount("none", "b", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), 0,
             "a bind mount alone may be read-only");
    CHECK_FAIL(open("b/f", O_RDWR), EROFS, "there it is");
    int fd = open("m/sub/f", O_RDWR);
    CHECK(fd >= 0, "and not at the other place");
    close(fd);
    REQUIRE(mkdir("c", 0755) == 0);
    CHECK_EQ(mount("b", "c", NULL, MS_MOVE, NULL), 0, "move");
    CHECK(stat("c/f", &st) == 0 && stat("b/f", &st) == -1, "it is at the new place only");
    CHECK_FAIL(mount("c", "c", NULL, MS_MOVE, NULL), ELOOP, "not into itself");
    CHECK_FAIL(mount("m/sub", "b", NULL, MS_MOVE, NULL), EINVAL, "what is no mount");
    write_file("plain", "", 0600);
    CHECK_FAIL(mount("m", "plain", NULL, MS_BIND, NULL), ENOTDIR, "a directory over a file");
    CHECK_EQ(mount("m/sub/f", "plain", NULL, MS_BIND, NULL), 0, "a file over a file");
    CHECK(stat("plain", &st) == 0 && st.st_size == 4, "is seen there");
    REQUIRE(umount("plain") == 0);
    CHECK_FAIL(unlink("c"), EISDIR, "a mount point is still a directory");
    CHECK_FAIL(rmdir("c"), EBUSY, "which is busy");
    CHECK_EQ(mount(NULL, "c", NULL, MS_PRIVATE, NULL), 0, "MS_PRIVATE");
    CHECK_EQ(mount(NULL, "c", NULL, MS_SLAVE | MS_REC, NULL), 0, "MS_SLAVE");
    CHECK_EQ(mount(NULL, "c", NULL, MS_UNBINDABLE, NULL), 0, "MS_UNBINDABLE");
    CHECK_FAIL(mount("c", "b", NULL, MS_BIND, NULL), EINVAL, "it cannot be bound");
    CHECK_FAIL(mount(NULL, "c", NULL, MS_PRIVATE | MS_SLAVE, NULL), EINVAL, "two kinds");
    CHECK_FAIL(mount(NULL, "b", NULL, MS_PRIVATE, NULL), EINVAL, "no mount point");
    CHECK_FAIL(mount("none", "b", "nothing", 0, NULL), ENODEV, "an unknown file system");
    CHECK_FAIL(mount("none", "absent", "tmpfs", 0, NULL), ENOENT, "an absent directory");
    CHECK_FAIL(umount("b"), EINVAL, "umount of what is none");
    CHECK_EQ(IN_CHILD({
                 become_user(1000);
                 CHECK_FAIL(mount("none", "b", "tmpfs", 0, NULL), EPERM, "not for everybody");
                 CHECK_FAIL(umount("c"), EPERM, "nor umount");
                 CHECK_FAIL(syscall(SYS_pivot_root, "b", "b"), EPERM, "nor pivot_root");
             }),
             0, "child");
    REQUIRE(umount("c") == 0 && umount("m") == 0);
}

static void pivoting(void)
{
    if (!may_mount())
        return;
    REQUIRE(mkdir("m/new", 0755) == 0 && mkdir("m/plain", 0755) == 0);
    write_file("m/old-root", "", 0644);
    CHECK_EQ(
        IN_CHILD({
            REQUIRE(chroot("m") == 0 && chdir("/") == 0);
            REQUIRE(mount("none", "/new", "tmpfs", 0, NULL) == 0);
            REQUIRE(mkdir("/new/put", 0755) == 0);
            write_file("/new/new-root", "", 0644);
            CHECK_FAIL(syscall(SYS_pivot_root, "/new", "/plain"), EBUSY,
                       "the old root cannot be put on itself");
            CHECK_FAIL(syscall(SYS_pivot_root, "/plain", "/new/put"), EBUSY, "nor be the new one");
            CHECK_FAIL(syscall(SYS_pivot_root, "/new/put", "/new/put"), EINVAL,
                       "the new root has to be a mount");
            CHECK_FAIL(syscall(SYS_pivot_root, "/none", "/new"), ENOENT, "and be there");
            CHECK_FAIL(syscall(SYS_pivot_root, "/old-root", "/new"), ENOTDIR, "as a directory");
            CHECK_EQ(syscall(SYS_pivot_root, "/new", "/new/put"), 0, "pivot_root");
            struct stat st;
            CHECK_EQ(stat("/new-root", &st), 0, "the new root is the root");
            CHECK_EQ(stat("/put/old-root", &st), 0, "the old one is below it");
            CHECK_EQ(stat("new-root", &st), 0, "the working directory came along");
            CHECK_EQ(umount2("/put", MNT_DETACH), 0, "the old one can be taken away");
            CHECK_FAIL(stat("/put/old-root", &st), ENOENT, "and is gone");
        }),
        0, "child");
    struct stat st;
    CHECK_EQ(stat("m/new-root", &st), 0, "from outside the new one stands in the old one's place");
    REQUIRE(umount2("m", MNT_DETACH) == 0);
}

static void nodes(void)
{
    struct stat st;
    CHECK_EQ(mknod("file", S_IFREG | 0644, 0), 0, "mknod of a file");
    CHECK_EQ(mknod("none", 0644, 0), 0, "without a type: a file");
    CHECK(stat("none", &st) == 0 && S_ISREG(st.st_mode), "yes");
    CHECK_EQ(mknod("fifo", S_IFIFO | 0600, 0), 0, "a FIFO");
    CHECK_EQ(mknod("sock", S_IFSOCK | 0600, 0), 0, "a socket");
    CHECK_EQ(mknod("dev", S_IFCHR | 0600, makedev(1, 3)), 0, "a device");
    CHECK_FAIL(mknod("dir", S_IFDIR | 0700, 0), EPERM, "not a directory");
    CHECK_FAIL(mknod("link", S_IFLNK | 0700, 0), EINVAL, "nor a link");
    CHECK_FAIL(mknod("file", S_IFREG | 0644, 0), EEXIST, "what is there");
    chmod(".", 0777);
    CHECK_EQ(IN_CHILD({
                 become_user(1000);
                 CHECK_FAIL(mknod("d2", S_IFCHR | 0600, makedev(1, 3)), EPERM, "devices: root's");
                 CHECK_EQ(mknod("f2", S_IFIFO | 0600, 0), 0, "FIFOs: everybody's");
             }),
             0, "child");
}

static void sticky(void)
{
    REQUIRE(mkdir("s", 0777) == 0 && chmod("s", 01777) == 0);
    write_file("s/root", "", 0666);
    CHECK_EQ(IN_CHILD({
                 become_user(1000);
                 write_file("s/mine", "", 0666);
                 CHECK_FAIL(unlink("s/root"), EPERM, "another's file in a sticky directory stays");
                 CHECK_FAIL(rename("s/root", "s/x"), EPERM, "with its name");
                 CHECK_FAIL(rename("s/mine", "s/root"), EPERM, "and is not replaced");
                 CHECK_EQ(rename("s/mine", "s/own"), 0, "one's own may go");
             }),
             0, "child");
}

static mode_t mode_of(const char *name)
{
    struct stat st;
    return stat(name, &st) == 0 ? st.st_mode & 07777 : 0xffff;
}

static void set_id(void)
{
    chmod(".", 0777);
    write_file("f", "text", 0);
    write_file("g", "text", 0);
    REQUIRE(chown("f", 1000, 1000) == 0 && chmod("f", 06777) == 0);
    int fd = open("f", O_RDWR);
    REQUIRE(write(fd, "x", 1) == 1);
    CHECK_EQ(mode_of("f"), 06777, "root's write keeps set-id bits");
    CHECK_EQ(IN_CHILD({
                 become_user(1000);
                 int h = open("f", O_RDWR);
                 REQUIRE(write(h, "x", 1) == 1);
                 CHECK_EQ(mode_of("f"), 0777, "another's clears them");
                 REQUIRE(chmod("f", 06777) == 0 && ftruncate(h, 1) == 0);
                 CHECK_EQ(mode_of("f"), 0777, "so does truncation");
                 REQUIRE(chmod("f", 06777) == 0 && chown("f", -1, 1000) == 0);
                 CHECK_EQ(mode_of("f"), 0777, "and a change of group");
             }),
             0, "child");
    REQUIRE(chmod("f", 06777) == 0 && chown("f", 7, 7) == 0);
    CHECK_EQ(mode_of("f"), 0777, "chown by root, too");
    REQUIRE(chmod("f", 02666) == 0 && chown("f", 8, 8) == 0);
    CHECK_EQ(mode_of("f"), 02666, "a set-group-id without execution is none");
}

static void writing_out(void)
{
    int fd = open("f", O_CREAT | O_RDWR, 0600), p[2];
    REQUIRE(pipe(p) == 0 && write(fd, "text", 4) == 4);
    CHECK_EQ(fsync(fd), 0, "fsync");
    CHECK_EQ(fdatasync(fd), 0, "fdatasync");
    CHECK_EQ(syncfs(fd), 0, "syncfs");
    CHECK_FAIL(fsync(p[0]), EINVAL, "not of a pipe");
    CHECK_FAIL(fsync(99), EBADF, "nor of nothing");
    CHECK_EQ(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE), 0, "sync_file_range");
    CHECK_FAIL(sync_file_range(fd, -1, 0, 0), EINVAL, "a negative offset");
    CHECK_FAIL(sync_file_range(fd, 0, 0, 64), EINVAL, "unknown flags");
    CHECK_FAIL(sync_file_range(p[0], 0, 0, 0), ESPIPE, "not of a pipe");
    CHECK_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED), 0, "posix_fadvise");
    CHECK_EQ(posix_fadvise(fd, 0, 0, 99), EINVAL, "unknown advice");
    CHECK_EQ(posix_fadvise(p[0], 0, 0, POSIX_FADV_NORMAL), ESPIPE, "about a pipe");
    CHECK_EQ(readahead(fd, 0, 4096), 0, "readahead");
    CHECK_FAIL(readahead(p[0], 0, 4096), EINVAL, "of a pipe");
    CHECK_FAIL(readahead(p[1], 0, 4096), EBADF, "of what cannot be read");
}

CHECK_MAIN_BUT_QEMU_USER(CASE(read_only), CASE(read_only_mount), CASE(refused_unseen),
                         CASE(mounted_and_removed), CASE(taken_out), CASE(restrictions),
                         CASE(binds), CASE(pivoting), CASE(nodes), CASE(sticky), CASE(set_id),
                         CASE(writing_out))
