/* SPDX-License-Identifier: MIT */
/* Extended attributes on tmpfs: security.* and trusted.*, by path, link and descriptor. */
#include "check.h"

#include <sys/xattr.h>

static char got[70000];

static void basics(void)
{
    write_file("f", "", 0644);
    int fd = open("f", O_RDWR);
    CHECK_FAIL(getxattr("f", "trusted.a", got, 100), ENODATA, "an attribute that is not there");
    CHECK_EQ(setxattr("f", "trusted.a", "value", 5, 0), 0, "set");
    CHECK_EQ(getxattr("f", "trusted.a", NULL, 0), 5, "its size");
    CHECK(getxattr("f", "trusted.a", got, 100) == 5 && !memcmp(got, "value", 5), "its value");
    CHECK_FAIL(getxattr("f", "trusted.a", got, 4), ERANGE, "a buffer that is too small");
    CHECK_FAIL(setxattr("f", "trusted.a", "x", 1, XATTR_CREATE), EEXIST, "XATTR_CREATE");
    CHECK_FAIL(setxattr("f", "trusted.b", "x", 1, XATTR_REPLACE), ENODATA, "XATTR_REPLACE");
    CHECK_EQ(setxattr("f", "trusted.a", "", 0, XATTR_REPLACE), 0, "replaced by nothing");
    CHECK_EQ(getxattr("f", "trusted.a", got, 100), 0, "which is a value too");
    CHECK_EQ(fsetxattr(fd, "security.test", "12", 2, XATTR_CREATE), 0, "fsetxattr");
    CHECK(fgetxattr(fd, "security.test", got, 100) == 2 && !memcmp(got, "12", 2), "fgetxattr");
    ssize_t n = listxattr("f", got, sizeof(got));
    CHECK(n == 24 && memmem(got, n, "trusted.a", 10) && memmem(got, n, "security.test", 14),
          "listxattr names both");
    CHECK_EQ(flistxattr(fd, NULL, 0), 24, "their size");
    CHECK_FAIL(listxattr("f", got, 5), ERANGE, "a list that does not fit");
    CHECK_EQ(removexattr("f", "trusted.a"), 0, "remove");
    CHECK_FAIL(removexattr("f", "trusted.a"), ENODATA, "once");
    CHECK_EQ(fremovexattr(fd, "security.test"), 0, "fremovexattr");
    CHECK_EQ(listxattr("f", got, sizeof(got)), 0, "none is left");
    memset(got, 'v', 65536);
    CHECK_EQ(setxattr("f", "trusted.big", got, 65536, 0), 0, "64 KiB");
    CHECK_FAIL(setxattr("f", "trusted.big", got, 65537, 0), E2BIG, "but not more");
    CHECK_EQ(getxattr("f", "trusted.big", got, sizeof(got)), 65536, "come back");
}

static void errors(void)
{
    char name[300];
    write_file("f", "", 0644);
    memset(name, 'n', sizeof(name));
    memcpy(name, "trusted.", 8);
    name[255] = 0;
    CHECK_EQ(setxattr("f", name, "x", 1, 0), 0, "a name of 255 bytes");
    name[255] = 'n';
    name[256] = 0;
    CHECK_FAIL(setxattr("f", name, "x", 1, 0), ERANGE, "of 256");
    CHECK_FAIL(setxattr("f", "", "x", 1, 0), ERANGE, "of none");
    CHECK_FAIL(setxattr("f", "other.x", "x", 1, 0), EOPNOTSUPP, "an unknown kind");
    CHECK_FAIL(setxattr("f", "plain", "x", 1, 0), EOPNOTSUPP, "no kind");
    CHECK_FAIL(setxattr("f", "trusted.", "x", 1, 0), EINVAL, "a kind alone");
    CHECK_FAIL(setxattr("f", "trusted.x", "x", 1, 8), EINVAL, "unknown flags");
    CHECK_FAIL(setxattr("g", "trusted.x", "x", 1, 0), ENOENT, "no such file");
    CHECK_FAIL(setxattr("f", "trusted.x", unmapped_page(), 5, 0), EFAULT, "a bad value");
    CHECK_FAIL(setxattr("f", unmapped_page(), "x", 1, 0), EFAULT, "a bad name");
    CHECK_FAIL(getxattr("f", name, got, 10), ERANGE, "asking for a name of 256");
    CHECK_FAIL(fgetxattr(99, "trusted.x", got, 10), EBADF, "a bad descriptor");
    int fd = open("f", O_PATH);
    CHECK_FAIL(fsetxattr(fd, "trusted.x", "x", 1, 0), EBADF, "O_PATH");
    int p[2];
    REQUIRE(pipe(p) == 0);
    CHECK_FAIL(fsetxattr(p[0], "trusted.x", "x", 1, 0), EOPNOTSUPP, "a pipe has none");
    REQUIRE(setxattr("f", "trusted.r", "12345", 5, 0) == 0);
    CHECK_FAIL(getxattr("f", "trusted.r", unmapped_page(), 10), EFAULT, "a bad buffer");
}

static void links(void)
{
    write_file("f", "", 0644);
    REQUIRE(symlink("f", "l") == 0 && symlink("none", "d") == 0 && mkdir("dir", 0755) == 0);
    CHECK_EQ(setxattr("l", "trusted.x", "file", 4, 0), 0, "through a link");
    CHECK_EQ(getxattr("f", "trusted.x", got, 10), 4, "it is the file's");
    CHECK_FAIL(lgetxattr("l", "trusted.x", got, 10), ENODATA, "not the link's");
    CHECK_EQ(lsetxattr("l", "trusted.x", "link", 4, 0), 0, "a link has its own");
    CHECK_EQ(llistxattr("l", got, 100), 10, "llistxattr");
    CHECK_EQ(lremovexattr("l", "trusted.x"), 0, "lremovexattr");
    CHECK_EQ(getxattr("l", "trusted.x", got, 10), 4, "the file keeps its own");
    CHECK_FAIL(getxattr("d", "trusted.x", got, 10), ENOENT, "a link to nothing");
    CHECK_EQ(setxattr("dir", "trusted.d", "x", 1, 0), 0, "directories");
    REQUIRE(link("f", "hard") == 0 && unlink("f") == 0);
    CHECK_EQ(getxattr("hard", "trusted.x", got, 10), 4, "they belong to the inode");
}

static void rights(void)
{
    write_file("f", "", 0666);
    chmod(".", 0777);
    REQUIRE(setxattr("f", "trusted.secret", "x", 1, 0) == 0);
    REQUIRE(setxattr("f", "security.known", "x", 1, 0) == 0);
    CHECK_EQ(IN_CHILD({
                 become_user(1000);
                 CHECK_FAIL(getxattr("f", "trusted.secret", got, 10), ENODATA,
                            "trusted.* is not for everybody");
                 CHECK_FAIL(setxattr("f", "trusted.mine", "x", 1, 0), EPERM, "nor to be set");
                 CHECK_FAIL(removexattr("f", "trusted.secret"), EPERM, "or removed");
                 CHECK_EQ(getxattr("f", "security.known", got, 10), 1, "security.* can be read");
                 CHECK_FAIL(setxattr("f", "security.known", "y", 1, 0), EPERM, "but not set");
                 ssize_t n = listxattr("f", got, 100);
                 CHECK(n > 0 && !memmem(got, n, "trusted", 7), "a list without trusted.*");
             }),
             0, "child");
}

CHECK_MAIN(CASE(basics), CASE(errors), CASE(links), CASE(rights))
