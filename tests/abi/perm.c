/* SPDX-License-Identifier: MIT */
/* Permissions of files: classes, access, chmod and chown, set-id bits, sticky directories, umask.
 */
#include "check.h"

#define AS(user, ...) IN_CHILD(become_user(user); __VA_ARGS__)

static int error_of(long result)
{
    return result == -1 ? errno : 0;
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    REQUIRE(lstat(path, &st) == 0);
    return st.st_mode & 07777;
}

static void make(const char *path, uid_t user, gid_t group, mode_t mode)
{
    write_file(path, "text", 0600);
    REQUIRE(chown(path, user, group) == 0 && chmod(path, mode) == 0);
}

static void classes(void)
{
    NEED_ROOT();
    make("owner", 1000, 1000, 0400);
    make("group", 1001, 1000, 0040);
    make("other", 1001, 1001, 0004);
    make("not-owner", 1000, 1000, 0044);
    make("not-group", 1001, 1000, 0404);
    make("none", 1000, 1000, 0);
    make("write-only", 1000, 1000, 0200);
    CHECK_EQ(AS(1000, _exit(error_of(open("owner", O_RDONLY)))), 0, "the owner's bits");
    CHECK_EQ(AS(1000, _exit(error_of(open("group", O_RDONLY)))), 0, "the group's bits");
    CHECK_EQ(AS(1000, _exit(error_of(open("other", O_RDONLY)))), 0, "the others' bits");
    CHECK_EQ(AS(1000, _exit(error_of(open("not-owner", O_RDONLY)))), EACCES,
             "for the owner only the owner's bits count");
    CHECK_EQ(AS(1000, _exit(error_of(open("not-group", O_RDONLY)))), EACCES,
             "for the group only the group's");
    CHECK_EQ(AS(1000, _exit(error_of(open("owner", O_WRONLY)))), EACCES, "read is not write");
    CHECK_EQ(AS(1000, _exit(error_of(open("write-only", O_WRONLY)))), 0, "write alone");
    CHECK_EQ(AS(1000, _exit(error_of(open("write-only", O_RDWR)))), EACCES, "is not both");
    CHECK_EQ(AS(1000, _exit(error_of(open("owner", O_RDONLY | O_TRUNC)))), EACCES,
             "O_TRUNC needs write");
    CHECK_EQ(AS(1000, _exit(error_of(open("none", O_PATH)))), 0,
             "O_PATH needs nothing of the file");
    CHECK_EQ(error_of(open("none", O_RDWR)), 0, "root may all");
    CHECK_EQ(AS(1000, int fd = open("owner", O_RDONLY); fchmod(fd, 0); char c;
                _exit(read(fd, &c, 1) == 1 ? 0 : 1)),
             0, "an open file stays open when its bits are taken away");
}

static void directories(void)
{
    NEED_ROOT();
    REQUIRE(mkdir("d", 0755) == 0 && chown("d", 1000, 1000) == 0);
    make("d/f", 1000, 1000, 0644);
    chmod("d", 0400);
    CHECK_EQ(AS(1000, _exit(error_of(open("d/f", O_RDONLY)))), EACCES, "no search, no file");
    CHECK_EQ(AS(1000, _exit(error_of(open("d", O_RDONLY)))), 0, "with read it can be listed");
    CHECK_EQ(AS(1000, _exit(error_of(chdir("d")))), EACCES, "but not entered");
    chmod("d", 0100);
    CHECK_EQ(AS(1000, _exit(error_of(open("d/f", O_RDONLY)))), 0, "with search files are found");
    CHECK_EQ(AS(1000, _exit(error_of(open("d", O_RDONLY)))), EACCES, "but not listed");
    CHECK_EQ(AS(1000, _exit(error_of(chdir("d")))), 0, "it can be entered");
    CHECK_EQ(AS(1000, _exit(error_of(open("d/new", O_CREAT | O_WRONLY, 0644)))), EACCES,
             "nothing is made without write");
    CHECK_EQ(AS(1000, _exit(error_of(unlink("d/f")))), EACCES, "nor removed");
    CHECK_EQ(AS(1000, _exit(error_of(mkdir("d/x", 0755)))), EACCES, "nor a directory made");
    CHECK_EQ(AS(1000, _exit(error_of(rename("d/f", "d/g")))), EACCES, "nor renamed");
    CHECK_EQ(AS(1000, _exit(error_of(symlink("x", "d/l")))), EACCES, "nor linked");
    chmod("d", 0300);
    CHECK_EQ(AS(1000, _exit(error_of(rename("d/f", "d/g")))), 0,
             "write and search suffice for that");
    make("d/roots", 0, 0, 0);
    CHECK_EQ(AS(1000, _exit(error_of(unlink("d/roots")))), 0, "whose the file is does not matter");
}

static void access_call(void)
{
    NEED_ROOT();
    make("f", 1000, 1000, 0540);
    make("plain", 0, 0, 0644);
    CHECK_EQ(AS(1000, _exit(error_of(access("f", R_OK | X_OK)))), 0, "access of the owner");
    CHECK_EQ(AS(1000, _exit(error_of(access("f", W_OK)))), EACCES, "refuses what is not granted");
    CHECK_EQ(AS(1001, _exit(error_of(access("f", F_OK)))), 0, "F_OK only asks whether it is there");
    CHECK_EQ(AS(1001, _exit(error_of(access("f", R_OK)))), EACCES, "another user");
    CHECK_EQ(IN_CHILD(setresuid(1001, 1000, 1000); _exit(error_of(access("f", R_OK)))), EACCES,
             "access goes by the real id");
    CHECK_EQ(IN_CHILD(setresgid(1001, 1001, 1001); syscall(SYS_setgroups, 0, NULL);
                      setresuid(1001, 1000, 1000); _exit(error_of(access("f", R_OK)))),
             EACCES, "and the real group");
    if (!qemu_user_lacks("faccessat2"))
        CHECK_EQ(IN_CHILD(setresuid(1001, 1000, 1000); _exit(
                              error_of(syscall(SYS_faccessat2, AT_FDCWD, "f", R_OK, AT_EACCESS)))),
                 0, "faccessat2 with AT_EACCESS by the effective one");
    CHECK_EQ(access("f", W_OK), 0, "root may write anything");
    CHECK_FAIL(access("plain", X_OK), EACCES, "but not execute what nobody may");
    CHECK_EQ(access("f", X_OK), 0, "what somebody may it can");
    CHECK_FAIL(access("missing", F_OK), ENOENT, "a missing file");
    CHECK_FAIL(access("f", 8), EINVAL, "unknown bits");
    symlink("missing", "dangling");
    CHECK_FAIL(access("dangling", F_OK), ENOENT, "a link is followed");
    if (qemu_user_lacks("faccessat2"))
        return;
    CHECK_EQ(syscall(SYS_faccessat2, AT_FDCWD, "dangling", F_OK, AT_SYMLINK_NOFOLLOW), 0,
             "but not with AT_SYMLINK_NOFOLLOW");
    int fd = open("f", O_RDONLY);
    CHECK_EQ(syscall(SYS_faccessat2, fd, "", R_OK, AT_EMPTY_PATH), 0, "AT_EMPTY_PATH");
    CHECK_FAIL(syscall(SYS_faccessat2, AT_FDCWD, "f", F_OK, 0x4000), EINVAL, "unknown flags");
}

static void changing_modes(void)
{
    NEED_ROOT();
    make("f", 1000, 1000, 0644);
    CHECK_EQ(AS(1000, _exit(error_of(chmod("f", 0600)))), 0, "the owner may chmod");
    CHECK_EQ(AS(1001, _exit(error_of(chmod("f", 0644)))), EPERM, "others may not");
    CHECK_EQ(mode_of("f"), 0600, "the mode is set");
    CHECK_EQ(AS(1000, _exit(error_of(chmod("f", 06755)))), 0,
             "set-id bits may be set by the owner");
    CHECK_EQ(mode_of("f"), 06755, "and are");
    REQUIRE(chown("f", 1000, 1001) == 0 && chmod("f", 0755) == 0);
    CHECK_EQ(AS(1000, _exit(error_of(chmod("f", 02755)))), 0,
             "set-group-ID of a group not one's own");
    CHECK_EQ(mode_of("f"), 0755, "is silently left out");
    CHECK_EQ(chmod("f", 0170777), 0, "bits beyond 07777");
    CHECK_EQ(mode_of("f"), 0777, "are left out");
    int fd = open("f", O_RDONLY);
    CHECK(fchmod(fd, 0640) == 0 && mode_of("f") == 0640, "fchmod");
    CHECK(fchmodat(AT_FDCWD, "f", 0604, 0) == 0 && mode_of("f") == 0604, "fchmodat");
    symlink("f", "l");
    CHECK(chmod("l", 0600) == 0 && mode_of("f") == 0600, "chmod follows a link");
    CHECK_FAIL(chmod("missing", 0), ENOENT, "a missing file");
    CHECK_FAIL(chmod("f/x", 0), ENOTDIR, "a file as a directory");
    CHECK_FAIL(fchmod(1000, 0), EBADF, "a bad descriptor");
    int path = open("f", O_PATH);
    CHECK_FAIL(fchmod(path, 0), EBADF, "an O_PATH descriptor");
}

static int owner_is(const char *path, uid_t user, gid_t group)
{
    struct stat st;
    return lstat(path, &st) == 0 && st.st_uid == user && st.st_gid == group;
}

static void changing_owners(void)
{
    NEED_ROOT();
    make("f", 1000, 1000, 0644);
    CHECK_EQ(AS(1000, _exit(error_of(chown("f", 1001, -1)))), EPERM,
             "the owner may not give it away");
    CHECK_EQ(AS(1000, _exit(error_of(chown("f", -1, 1001)))), EPERM,
             "nor to a group not one's own");
    CHECK_EQ(IN_CHILD(gid_t more = 1001; syscall(SYS_setgroups, 1, &more);
                      setresgid(1000, 1000, 1000); setresuid(1000, 1000, 1000);
                      _exit(error_of(chown("f", -1, 1001)))),
             0, "but to one of the own groups");
    CHECK(owner_is("f", 1000, 1001), "it is that group's now");
    CHECK_EQ(AS(1001, _exit(error_of(chown("f", -1, 1001)))), EPERM, "others may change nothing");
    CHECK(chown("f", 2000, 2001) == 0 && owner_is("f", 2000, 2001), "root may all");
    CHECK(chown("f", -1, -1) == 0 && owner_is("f", 2000, 2001), "-1 leaves both alone");
    symlink("f", "l");
    CHECK(lchown("l", 3000, 3001) == 0 && owner_is("l", 3000, 3001), "lchown changes the link");
    CHECK(owner_is("f", 2000, 2001), "and not the file");
    CHECK(chown("l", 4000, 4001) == 0 && owner_is("f", 4000, 4001), "chown follows it");
    int fd = open("f", O_RDONLY);
    CHECK(fchown(fd, 5, 6) == 0 && owner_is("f", 5, 6), "fchown");
    CHECK(fchownat(AT_FDCWD, "l", 7, 8, AT_SYMLINK_NOFOLLOW) == 0 && owner_is("l", 7, 8),
          "fchownat with AT_SYMLINK_NOFOLLOW");
    CHECK(fchownat(fd, "", 9, 10, AT_EMPTY_PATH) == 0 && owner_is("f", 9, 10),
          "fchownat with AT_EMPTY_PATH");
    CHECK_FAIL(fchownat(AT_FDCWD, "f", 1, 1, 0x4000), EINVAL, "unknown flags");
    make("suid", 1000, 1000, 06755);
    CHECK(chown("suid", 1001, 1001) == 0 && mode_of("suid") == 0755,
          "chown clears the set-id bits");
    make("lock", 1000, 1000, 02644);
    CHECK(chown("lock", 1001, 1001) == 0 && mode_of("lock") == 02644,
          "but not set-group-ID without group execute");
}

static void writing_clears_set_id(void)
{
    NEED_ROOT();
    make("f", 1000, 1000, 06777);
    CHECK_EQ(AS(1001, int fd = open("f", O_WRONLY); write(fd, "x", 1); close(fd)), 0,
             "a write by another user");
    CHECK_EQ(mode_of("f"), 0777, "clears the set-id bits");
    chmod("f", 06777);
    CHECK_EQ(AS(1001, _exit(error_of(truncate("f", 1)))), 0, "a truncate");
    CHECK_EQ(mode_of("f"), 0777, "as well");
    chmod("f", 06777);
    int fd = open("f", O_WRONLY);
    write(fd, "x", 1);
    CHECK_EQ(mode_of("f"), 06777, "a write by root does not");
}

static void sticky(void)
{
    NEED_ROOT();
    REQUIRE(mkdir("t", 0755) == 0 && chmod("t", 01777) == 0);
    make("t/a", 1000, 1000, 0666);
    make("t/b", 1001, 1001, 0666);
    REQUIRE(mkdir("t/d", 0777) == 0 && chown("t/d", 1001, 1001) == 0);
    CHECK_EQ(AS(1000, _exit(error_of(unlink("t/b")))), EPERM,
             "in a sticky directory nobody removes another's file");
    CHECK_EQ(AS(1000, _exit(error_of(rmdir("t/d")))), EPERM, "nor directory");
    CHECK_EQ(AS(1000, _exit(error_of(rename("t/b", "t/c")))), EPERM, "nor renames it");
    CHECK_EQ(AS(1000, _exit(error_of(rename("t/a", "t/b")))), EPERM, "nor over it");
    CHECK_EQ(AS(1000, _exit(error_of(rename("t/a", "t/c")))), 0, "but the own one");
    CHECK_EQ(AS(1000, _exit(error_of(unlink("t/c")))), 0, "as one may remove it");
    REQUIRE(chown("t", 1000, 1000) == 0);
    CHECK_EQ(AS(1000, _exit(error_of(unlink("t/b")))), 0, "the directory's owner may remove all");
}

static void inheritance(void)
{
    NEED_ROOT();
    struct stat st;
    REQUIRE(mkdir("g", 0755) == 0 && chown("g", 1000, 1234) == 0 && chmod("g", 02777) == 0);
    CHECK_EQ(AS(1000, int fd = open("g/f", O_CREAT | O_WRONLY, 0644); fstat(fd, &st);
                _exit(st.st_gid == 1234 && st.st_uid == 1000 ? 0 : 1)),
             0, "a file in a set-group-ID directory belongs to its group");
    CHECK_EQ(AS(1000, mkdir("g/d", 0755)), 0, "so does a directory");
    stat("g/d", &st);
    CHECK(st.st_gid == 1234 && (st.st_mode & 02000), "which is set-group-ID too");
    umask(0);
    int fd = open("a", O_CREAT | O_WRONLY, 07777);
    CHECK_EQ(mode_of("a"), 07777, "open with O_CREAT and no umask gives all bits");
    close(fd);
    mode_t old = umask(0123);
    CHECK_EQ(old, 0, "umask tells the old one");
    close(open("b", O_CREAT | O_WRONLY, 0777));
    CHECK_EQ(mode_of("b"), 0654, "the umask takes away from open");
    mkdir("c", 0777);
    CHECK_EQ(mode_of("c"), 0654, "from mkdir");
    mkfifo("p", 0777);
    CHECK_EQ(mode_of("p"), 0654, "from mknod");
    chmod("b", 0777);
    CHECK_EQ(mode_of("b"), 0777, "not from chmod");
    CHECK_EQ(umask(07777), 0123, "the umask is told");
    CHECK_EQ(umask(022), 0777, "it holds nine bits");
    mkdir("s", 07777);
    CHECK_EQ(mode_of("s") & 07000, 01000, "mkdir takes the sticky bit, but no set-id bits");
    fd = open("zero", O_CREAT | O_RDWR, 0);
    CHECK(fd >= 0 && write(fd, "x", 1) == 1, "a new file can be written whatever its mode");
}

CHECK_MAIN(CASE(classes), CASE(directories), CASE(access_call), CASE(changing_modes),
           CASE(changing_owners), CASE(writing_clears_set_id), CASE(sticky), CASE(inheritance))
