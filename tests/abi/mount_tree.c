/* SPDX-License-Identifier: MIT */
/* Shared subtrees (mount_namespaces(7)), and mounts as descriptors: fsopen, fsmount, open_tree ... */
#include "check.h"

#include <sys/mount.h>

static char text[262144];

/* A private tmpfs at "m" to play in; with a namespace of our own where there is such a thing. */
static int prepare(const char *what)
{
    if (geteuid() != 0 || check_state->qemu_user) {
        SKIP(what, "needs root");
        return 0;
    }
    if (unshare(CLONE_NEWNS) == 0)
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    else if (errno == EPERM) {
        SKIP(what, "needs CAP_SYS_ADMIN");
        return 0;
    }
    REQUIRE(mkdir("m", 0755) == 0 && mount("top", "m", "tmpfs", 0, NULL) == 0);
    REQUIRE(mount(NULL, "m", NULL, MS_PRIVATE, NULL) == 0 && chdir("m") == 0);
    return 1;
}

static void finish(void)
{
    chdir("..");
    umount2("m", MNT_DETACH);
}

static void dirs(const char *names)
{
    char copy[256];
    strcpy(copy, names);
    for (char *name = strtok(copy, " "); name; name = strtok(NULL, " "))
        REQUIRE(mkdir(name, 0755) == 0);
}

/* The line of /proc/self/mountinfo for what is mounted at DIR (below the working directory). */
static const char *info(const char *dir)
{
    static char line[1024];
    char path[PATH_MAX + 64], at[PATH_MAX];
    getcwd(at, sizeof(at));
    snprintf(path, sizeof(path), " %s/%s ", at, dir);
    line[0] = 0;
    if (read_file("/proc/self/mountinfo", text, sizeof(text)) < 0)
        return line;
    for (char *p = strtok(text, "\n"); p; p = strtok(NULL, "\n"))
        if (strstr(p, path))
            snprintf(line, sizeof(line), "%s", p);
    return line;
}

static int is_mounted(const char *dir)
{
    return info(dir)[0] != 0;
}

/* The number behind "shared:" or "master:" of a mount, 0 if there is none. */
static int group(const char *dir, const char *which)
{
    const char *p = strstr(info(dir), which);
    return p ? atoi(p + strlen(which)) : 0;
}

static int bind_to(const char *from, const char *to, unsigned long more)
{
    return mount(from, to, NULL, MS_BIND | more, NULL);
}

static int make(const char *dir, unsigned long type)
{
    return mount(NULL, dir, NULL, type, NULL);
}

static int tmpfs_at(const char *dir)
{
    return mount("x", dir, "tmpfs", 0, NULL);
}

static void peers(void)
{
    if (!prepare("shared mounts"))
        return;
    dirs("a b c");
    REQUIRE(tmpfs_at("a") == 0);
    dirs("a/d a/e");
    CHECK_EQ(make("a", MS_SHARED), 0, "MS_SHARED");
    CHECK(group("a", "shared:") > 0, "mountinfo: shared");
    CHECK_EQ(bind_to("a", "b", 0), 0, "a bind mount of a shared mount");
    CHECK_EQ(group("b", "shared:"), group("a", "shared:"), "is its peer");
    REQUIRE(tmpfs_at("a/d") == 0);
    CHECK(is_mounted("b/d"), "what is mounted below the one appears below the other");
    CHECK(group("a/d", "shared:") && group("a/d", "shared:") == group("b/d", "shared:"),
          "and the two are peers");
    write_file("a/d/file", "x", 0600);
    CHECK_EQ(access("b/d/file", F_OK), 0, "of one file system");
    REQUIRE(tmpfs_at("b/e") == 0);
    CHECK(is_mounted("a/e"), "it works both ways");
    CHECK_EQ(umount("a/e"), 0, "unmounted here");
    CHECK(!is_mounted("b/e"), "it is gone there");
    int fd = open("b/d", O_RDONLY);
    CHECK_FAIL(umount("a/d"), EBUSY, "a copy that is in use keeps all");
    close(fd);
    CHECK_EQ(umount2("b/d", MNT_DETACH), 0, "MNT_DETACH");
    CHECK(!is_mounted("a/d"), "goes everywhere too");
    CHECK_FAIL(mount("a/d", "c", NULL, MS_MOVE, NULL), EINVAL, "a directory cannot be moved");
    REQUIRE(tmpfs_at("a/d") == 0);
    CHECK_FAIL(mount("a/d", "c", NULL, MS_MOVE, NULL), EINVAL, "nor what a shared mount holds");
    CHECK_EQ(make("b", MS_PRIVATE), 0, "MS_PRIVATE");
    CHECK_EQ(group("b", "shared:"), 0, "shares no more");
    REQUIRE(tmpfs_at("a/e") == 0);
    CHECK(!is_mounted("b/e"), "and is told no more");
    CHECK(is_mounted("b/d"), "but keeps what it has");
    finish();
}

static void slaves(void)
{
    if (!prepare("slave mounts"))
        return;
    dirs("a b c");
    REQUIRE(tmpfs_at("a") == 0);
    dirs("a/d a/e a/f");
    REQUIRE(make("a", MS_SHARED) == 0 && bind_to("a", "b", 0) == 0);
    CHECK_EQ(make("b", MS_SLAVE), 0, "MS_SLAVE");
    CHECK(group("b", "master:") == group("a", "shared:") && !group("b", "shared:"),
          "mountinfo: master");
    REQUIRE(tmpfs_at("a/d") == 0);
    CHECK(is_mounted("b/d"), "a slave sees what its master does");
    CHECK_EQ(group("b/d", "master:"), group("a/d", "shared:"), "as a slave of that");
    REQUIRE(tmpfs_at("b/e") == 0);
    CHECK(!is_mounted("a/e"), "and does not tell");
    CHECK_EQ(make("b", MS_SHARED), 0, "a slave may be shared itself");
    REQUIRE(bind_to("b", "c", 0) == 0);
    CHECK(group("b", "master:") && group("b", "shared:") == group("c", "shared:") &&
              group("b", "shared:") != group("a", "shared:"),
          "with peers of its own");
    REQUIRE(tmpfs_at("a/f") == 0);
    CHECK(is_mounted("b/f") && is_mounted("c/f"), "what comes from the master reaches them all");
    CHECK(group("b/f", "shared:") && group("b/f", "shared:") == group("c/f", "shared:") &&
              group("b/f", "master:") == group("a/f", "shared:"),
          "as slaves and peers");
    CHECK_EQ(umount("a/f"), 0, "and goes with it");
    CHECK(!is_mounted("b/f") && !is_mounted("c/f"), "everywhere");
    CHECK_EQ(make("a", MS_PRIVATE), 0, "the master leaves");
    CHECK(!group("b", "master:"), "its slaves have none then");
    finish();
}

static void unbindable(void)
{
    if (!prepare("unbindable mounts"))
        return;
    dirs("a b c");
    REQUIRE(tmpfs_at("a") == 0);
    dirs("a/d a/e");
    REQUIRE(tmpfs_at("a/d") == 0 && tmpfs_at("a/e") == 0);
    CHECK_EQ(make("a/d", MS_UNBINDABLE), 0, "MS_UNBINDABLE");
    CHECK(strstr(info("a/d"), " unbindable"), "mountinfo: unbindable");
    CHECK_FAIL(bind_to("a/d", "b", 0), EINVAL, "cannot be bound");
    CHECK_EQ(bind_to("a", "b", MS_REC), 0, "with what it is in");
    CHECK(!is_mounted("b/d") && is_mounted("b/e"), "it is left out");
    CHECK_FAIL(make("a", MS_SHARED | MS_SLAVE), EINVAL, "two types at once");
    CHECK_FAIL(make("a/e/..", MS_SHARED | MS_RDONLY), EINVAL, "or something else with one");
    CHECK_FAIL(make("c", MS_SHARED), EINVAL, "where nothing is mounted");
    CHECK_EQ(make("a", MS_SHARED | MS_REC), 0, "MS_REC: all below");
    CHECK(group("a", "shared:") && group("a/e", "shared:") && group("a/d", "shared:"),
          "are shared");
    finish();
}

/* ---- descriptors ---- */

static void new_mounts(void)
{
    if (!prepare("fsopen"))
        return;
    struct stat st;
    char message[256];
    dirs("a b");
    CHECK_FAIL(fsopen("no-such-type", 0), ENODEV, "fsopen of an unknown type");
    CHECK_FAIL(fsopen("tmpfs", 0x80), EINVAL, "with an unknown flag");
    CHECK_FAIL(syscall(SYS_fsopen, 8, 0), EFAULT, "from nowhere");
    int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
    REQUIRE(fs >= 0);
    CHECK_EQ(fcntl(fs, F_GETFD), FD_CLOEXEC, "FSOPEN_CLOEXEC");
    CHECK_FAIL(fsmount(fs, 0, 0), EINVAL, "nothing to mount yet");
    CHECK_EQ(fsconfig(fs, FSCONFIG_SET_STRING, "source", "mine", 0), 0, "the source");
    CHECK_FAIL(fsconfig(fs, FSCONFIG_SET_STRING, "source", "again", 0), EINVAL, "one");
    CHECK_EQ(fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0700", 0), 0, "an option");
    CHECK_FAIL(fsconfig(fs, FSCONFIG_SET_STRING, "mode", NULL, 0), EINVAL, "without its value");
    CHECK_FAIL(fsconfig(fs, FSCONFIG_SET_FLAG, NULL, NULL, 0), EINVAL, "a flag without a name");
    CHECK_FAIL(fsconfig(fs, 99, NULL, NULL, 0), EOPNOTSUPP, "an unknown command");
    CHECK_FAIL(fsconfig(-1, FSCONFIG_CMD_CREATE, NULL, NULL, 0), EINVAL, "no descriptor");
    CHECK_FAIL(fsconfig(0, FSCONFIG_CMD_CREATE, NULL, NULL, 0), EINVAL, "one of another kind");
    CHECK_EQ(fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0), 0, "FSCONFIG_CMD_CREATE");
    CHECK_FAIL(fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0), EBUSY, "once");
    ssize_t n = read(fs, message, sizeof(message));
    int error = errno;
    CHECK((n == -1 && error == ENODATA) || n > 0, "what it has to say can be read, or ENODATA");
    CHECK_FAIL(fsmount(fs, 0, 0x30), EINVAL, "fsmount with no such way of access times");
    int m = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOATIME);
    REQUIRE(m >= 0);
    CHECK_FAIL(fsmount(fs, 0, 0), EBUSY, "once");
    CHECK(fstatat(m, "", &st, AT_EMPTY_PATH) == 0 && (st.st_mode & 07777) == 0700,
          "the mount is a directory with the mode that was asked for");
    CHECK_EQ(mkdirat(m, "sub", 0755), 0, "which can be used already");
    CHECK_FAIL(read(m, message, 1), EBADF, "but is not open for reading");
    CHECK_EQ(move_mount(m, "", AT_FDCWD, "a", MOVE_MOUNT_F_EMPTY_PATH), 0, "move_mount");
    CHECK(strstr(info("a"), " rw,nosuid,noatime ") && strstr(info("a"), " - tmpfs mine "),
          "there it is, with its attributes");
    CHECK_EQ(access("a/sub", F_OK), 0, "and contents");
    close(m);
    CHECK(is_mounted("a"), "it stays when the descriptor goes");
    CHECK_EQ(move_mount(AT_FDCWD, "a", AT_FDCWD, "b", 0), 0, "move_mount by name");
    CHECK(is_mounted("b") && !is_mounted("a"), "it has moved");
    CHECK_FAIL(move_mount(AT_FDCWD, "a", AT_FDCWD, "b", 0), EINVAL, "not a mount");
    CHECK_FAIL(move_mount(AT_FDCWD, "b", AT_FDCWD, "a", 0x8000), EINVAL, "an unknown flag");
    CHECK_FAIL(move_mount(AT_FDCWD, "b", AT_FDCWD, "b/sub", 0), ELOOP, "into itself");

    CHECK_EQ(fsconfig(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0), 0, "a parameter for later");
    CHECK_EQ(fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0), 0, "FSCONFIG_CMD_RECONFIGURE");
    CHECK_FAIL(mkdir("b/more", 0755), EROFS, "the file system is read-only now");
    close(fs);
    fs = fspick(AT_FDCWD, "b", FSPICK_CLOEXEC);
    CHECK(fs >= 0, "fspick");
    CHECK_EQ(fsconfig(fs, FSCONFIG_SET_FLAG, "rw", NULL, 0), 0, "of a mounted file system");
    CHECK_EQ(fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0), 0, "changes it");
    CHECK_EQ(mkdir("b/more", 0755), 0, "it is writable");
    CHECK_FAIL(fspick(AT_FDCWD, "a", 0), EINVAL, "fspick where nothing is mounted");
    CHECK_FAIL(fspick(AT_FDCWD, "b", 0x100), EINVAL, "with an unknown flag");
    close(fs);
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(fsopen("tmpfs", 0) < 0 ? errno : 0)), EPERM,
             "a user may not");
    finish();
}

static void trees(void)
{
    if (!prepare("open_tree"))
        return;
    dirs("a b c");
    REQUIRE(tmpfs_at("a") == 0);
    dirs("a/d");
    REQUIRE(tmpfs_at("a/d") == 0);
    write_file("a/d/file", "x", 0600);
    int fd = open_tree(AT_FDCWD, "a", OPEN_TREE_CLOEXEC);
    CHECK(fd >= 0 && (fcntl(fd, F_GETFL) & O_PATH), "open_tree is open with O_PATH");
    close(fd);
    CHECK_FAIL(open_tree(AT_FDCWD, "a", AT_RECURSIVE), EINVAL, "AT_RECURSIVE without a clone");
    CHECK_FAIL(open_tree(AT_FDCWD, "missing", 0), ENOENT, "what is not there");
    fd = open_tree(AT_FDCWD, "a", OPEN_TREE_CLONE | AT_RECURSIVE);
    REQUIRE(fd >= 0);
    CHECK_EQ(faccessat(fd, "d/file", F_OK, 0), 0, "OPEN_TREE_CLONE: a copy of mounts");
    CHECK_EQ(move_mount(fd, "", AT_FDCWD, "b", MOVE_MOUNT_F_EMPTY_PATH), 0,
             "is moved to its place");
    CHECK(is_mounted("b/d"), "all of it");
    close(fd);
    fd = open_tree(AT_FDCWD, "a", OPEN_TREE_CLONE);
    REQUIRE(fd >= 0);
    CHECK_FAIL(faccessat(fd, "d/file", F_OK, 0), ENOENT, "without AT_RECURSIVE one mount alone");
    close(fd);
    CHECK_EQ(umount("b/d"), 0, "what nobody moved has gone with its descriptor");
    CHECK_EQ(umount("b"), 0, "nothing is held");

    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    CHECK_EQ(mount_setattr(AT_FDCWD, "a", 0, &attr, sizeof(attr)), 0, "mount_setattr");
    CHECK_FAIL(mkdir("a/no", 0755), EROFS, "read-only");
    CHECK_EQ(mkdir("a/d/yes", 0755), 0, "that mount alone");
    CHECK_EQ(mount_setattr(AT_FDCWD, "a", AT_RECURSIVE, &attr, sizeof(attr)), 0, "AT_RECURSIVE");
    CHECK_FAIL(mkdir("a/d/no", 0755), EROFS, "and those below");
    attr = (struct mount_attr){.attr_clr = MOUNT_ATTR_RDONLY, .propagation = MS_SHARED};
    CHECK_EQ(mount_setattr(AT_FDCWD, "a", AT_RECURSIVE, &attr, sizeof(attr)), 0, "cleared again");
    CHECK_EQ(mkdir("a/d/more", 0755), 0, "writable");
    CHECK(group("a", "shared:") && group("a/d", "shared:"), "and shared");
    REQUIRE(symlink("more", "a/d/link") == 0);
    attr = (struct mount_attr){.attr_set = MOUNT_ATTR_NOSYMFOLLOW};
    CHECK_EQ(mount_setattr(AT_FDCWD, "a/d", 0, &attr, sizeof(attr)), 0, "MOUNT_ATTR_NOSYMFOLLOW");
    CHECK_FAIL(open("a/d/link", O_RDONLY), ELOOP, "symbolic links are not followed there");
    struct stat st;
    CHECK(lstat("a/d/link", &st) == 0 && strstr(info("a/d"), "nosymfollow"), "but seen");
    attr = (struct mount_attr){
        .attr_clr = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
                    MOUNT_ATTR_NODIRATIME | MOUNT_ATTR__ATIME | MOUNT_ATTR_NOSYMFOLLOW};
    CHECK_EQ(mount_setattr(AT_FDCWD, "a/d", 0, &attr, sizeof(attr)), 0,
             "all is cleared, as mount(8) does it");
    CHECK_EQ(access("a/d/link", F_OK), 0, "links are followed again");
    attr = (struct mount_attr){.attr_set = MOUNT_ATTR_NOATIME};
    CHECK_FAIL(mount_setattr(AT_FDCWD, "a", 0, &attr, sizeof(attr)), EINVAL,
               "a way of access times without clearing the old one");
    attr.attr_clr = MOUNT_ATTR__ATIME;
    CHECK_EQ(mount_setattr(AT_FDCWD, "a", 0, &attr, sizeof(attr)), 0, "with it");
    CHECK(strstr(info("a"), "noatime"), "is set");
    attr = (struct mount_attr){.attr_set = 1ULL << 40};
    CHECK_FAIL(mount_setattr(AT_FDCWD, "a", 0, &attr, sizeof(attr)), EINVAL,
               "an unknown attribute");
    attr = (struct mount_attr){.propagation = MS_SHARED | MS_SLAVE};
    CHECK_FAIL(mount_setattr(AT_FDCWD, "a", 0, &attr, sizeof(attr)), EINVAL, "two types");
    attr = (struct mount_attr){};
    CHECK_EQ(mount_setattr(AT_FDCWD, "missing", 0, &attr, sizeof(attr)), 0, "nothing to do");
    attr.attr_set = MOUNT_ATTR_NODEV;
    CHECK_FAIL(mount_setattr(AT_FDCWD, "a", 0, &attr, 8), EINVAL, "too short a structure");
    CHECK_FAIL(mount_setattr(AT_FDCWD, "c", 0, &attr, sizeof(attr)), EINVAL, "not a mount");
    CHECK_FAIL(mount_setattr(AT_FDCWD, "a", 0x40, &attr, sizeof(attr)), EINVAL, "an unknown flag");
    finish();
}

#define DEEP 300

/* Mounts below mounts, and slaves of slaves. */
static void deep(void)
{
    char before[16], name[16];
    struct stat st;
    int top = 0, right = 1;

    if (!prepare("deep trees"))
        return;
    dirs("from to");
    REQUIRE((top = open(".", O_RDONLY | O_DIRECTORY)) >= 0 && chdir("from") == 0);
    for (int i = 0; i < DEEP; i++)
        right &=
            mkdir("x", 0755) == 0 && mount("deep", "x", "tmpfs", 0, NULL) == 0 && chdir("x") == 0;
    CHECK(right && mkdir("bottom", 0755) == 0, "mounts, each below the one before");
    REQUIRE(fchdir(top) == 0);
    CHECK_EQ(bind_to("from", "to", MS_REC), 0, "all of them bound at another place");
    REQUIRE(chdir("to") == 0);
    for (int i = 0; i < DEEP; i++)
        right &= chdir("x") == 0;
    CHECK(right && stat("bottom", &st) == 0, "are there");
    REQUIRE(fchdir(top) == 0);
    CHECK_EQ(umount2("to/x", MNT_DETACH), 0, "and go together");

    REQUIRE(mkdir("0", 0755) == 0 && mount("first", "0", "tmpfs", 0, NULL) == 0);
    REQUIRE(mount(NULL, "0", NULL, MS_SHARED, NULL) == 0 && mkdir("0/m", 0755) == 0);
    for (int i = 1; i < DEEP; i++) {
        snprintf(before, sizeof(before), "%d", i - 1);
        snprintf(name, sizeof(name), "%d", i);
        right &= mkdir(name, 0755) == 0 && bind_to(before, name, 0) == 0 &&
                 mount(NULL, name, NULL, MS_SLAVE, NULL) == 0 &&
                 mount(NULL, name, NULL, MS_SHARED, NULL) == 0;
    }
    CHECK(right, "slaves, each of the one before");
    CHECK_EQ(mount("told", "0/m", "tmpfs", 0, NULL), 0, "a mount at the first");
    REQUIRE(mkdir("0/m/seen", 0755) == 0);
    snprintf(name, sizeof(name), "%d/m/seen", DEEP - 1);
    CHECK_EQ(stat(name, &st), 0, "is seen at the last");
    CHECK_EQ(umount("0/m"), 0, "umount");
    CHECK_FAIL(stat(name, &st), ENOENT, "as well");
    close(top);
    finish();
}

CHECK_MAIN(CASE(peers), CASE(slaves), CASE(unbindable), CASE(new_mounts), CASE(trees), CASE(deep))
