/* SPDX-License-Identifier: MIT */
/* open and openat: every flag, what is refused, and which descriptor comes back. */
#include "check.h"

static struct stat status_of(const char *path)
{
    struct stat st;
    REQUIRE(lstat(path, &st) == 0);
    return st;
}

static void creating(void)
{
    umask(022);
    int fd = open("f", O_WRONLY | O_CREAT, 0666);
    CHECK(fd >= 0, "O_CREAT makes a file");
    struct stat st = status_of("f");
    CHECK(S_ISREG(st.st_mode) && (st.st_mode & 07777) == 0644, "a regular one, with mode & ~umask");
    CHECK(st.st_size == 0 && st.st_nlink == 1 && st.st_uid == geteuid(), "empty, with one link");
    REQUIRE(write(fd, "data", 4) == 4);
    CHECK(open("f", O_WRONLY | O_CREAT, 0) >= 0, "O_CREAT opens a file that is there");
    CHECK(status_of("f").st_size == 4 && (status_of("f").st_mode & 0777) == 0644, "as it is");
    CHECK_FAIL(open("f", O_WRONLY | O_CREAT | O_EXCL, 0644), EEXIST, "but not with O_EXCL");
    CHECK_FAIL(open("missing", O_RDONLY), ENOENT, "without O_CREAT a file must be there");
    CHECK_FAIL(open("d/f", O_WRONLY | O_CREAT, 0644), ENOENT, "and its directory always");
    CHECK_FAIL(open("f/x", O_WRONLY | O_CREAT, 0644), ENOTDIR, "which must be one");
    CHECK_FAIL(open("", O_RDONLY), ENOENT, "an empty path");
    CHECK_FAIL(open("new/", O_WRONLY | O_CREAT, 0644), EISDIR, "a name with a slash behind it");
    CHECK_FAIL(open("f/", O_RDONLY), ENOTDIR, "also of a file that is there");
    CHECK(creat("c", 0600) >= 0 && (status_of("c").st_mode & 0777) == 0600, "creat");
    symlink("target", "dangling");
    CHECK_FAIL(open("dangling", O_WRONLY | O_CREAT | O_EXCL, 0644), EEXIST,
               "O_EXCL does not follow a dangling link");
    CHECK(open("dangling", O_WRONLY | O_CREAT, 0644) >= 0, "O_CREAT alone does");
    CHECK(S_ISREG(status_of("target").st_mode), "and makes the target");
}

static void truncating_and_appending(void)
{
    char text[32];
    write_file("f", "0123456789", 0644);
    int fd = open("f", O_WRONLY | O_TRUNC);
    CHECK(fd >= 0 && status_of("f").st_size == 0, "O_TRUNC empties the file");
    write_file("f", "0123456789", 0644);
    fd = open("f", O_RDWR | O_APPEND);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0, "O_APPEND starts at 0");
    CHECK_EQ(write(fd, "ab", 2), 2, "but writes");
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 12, "at the end");
    REQUIRE(lseek(fd, 3, SEEK_SET) == 3);
    CHECK(read(fd, text, 2) == 2 && !memcmp(text, "34", 2), "reads are where the offset is");
    CHECK_EQ(write(fd, "cd", 2), 2, "after a seek");
    CHECK(read_file("f", text, sizeof(text)) == 14 && !strcmp(text, "0123456789abcd"),
          "still at the end");
    CHECK_EQ(pwrite(fd, "ef", 2, 0), 2, "Linux appends even with pwrite");
    CHECK(read_file("f", text, sizeof(text)) == 16 && !strcmp(text + 14, "ef"), "as is known");
    int other = open("f", O_WRONLY);
    REQUIRE(pwrite(other, "ZZ", 2, 18) == 2);
    REQUIRE(write(fd, "!", 1) == 1);
    CHECK_EQ(status_of("f").st_size, 21, "the end is where others have moved it");
    CHECK_EQ(ftruncate(fd, 3), 0, "ftruncate of a file open with O_APPEND");
}

static void kinds(void)
{
    REQUIRE(mkdir("d", 0755) == 0);
    write_file("f", "x", 0644);
    symlink("f", "to-f");
    symlink("d", "to-d");
    CHECK_FAIL(open("d", O_WRONLY), EISDIR, "a directory cannot be opened for writing");
    CHECK_FAIL(open("d", O_RDWR), EISDIR, "nor for both");
    CHECK_FAIL(open("d", O_RDONLY | O_CREAT, 0644), EISDIR, "nor with O_CREAT");
    CHECK_FAIL(open("d", O_RDONLY | O_TRUNC), EISDIR, "nor with O_TRUNC");
    CHECK(open("d", O_RDONLY) >= 0, "but for reading");
    CHECK(open("d/", O_RDONLY | O_DIRECTORY) >= 0, "also with O_DIRECTORY and a slash");
    CHECK_FAIL(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR, "O_DIRECTORY refuses a file");
    CHECK(open("to-d", O_RDONLY | O_DIRECTORY) >= 0, "it follows a link");
    CHECK_FAIL(open("to-f", O_RDONLY | O_NOFOLLOW), ELOOP, "O_NOFOLLOW refuses a link");
    CHECK_FAIL(open("to-d", O_RDONLY | O_NOFOLLOW | O_DIRECTORY), ENOTDIR,
               "with O_DIRECTORY by another error");
    CHECK(open("to-d/.", O_RDONLY | O_NOFOLLOW) >= 0, "links before the last name are followed");
    CHECK(open("f", O_RDONLY | O_NOFOLLOW) >= 0, "O_NOFOLLOW does not mind a file");
    int dir = open("d", O_RDONLY);
    char byte;
    CHECK_FAIL(read(dir, &byte, 1), EISDIR, "read of a directory");
    CHECK_FAIL(write(dir, &byte, 1), EBADF, "write to one");
    CHECK_FAIL(ftruncate(dir, 0), EINVAL, "ftruncate of one");
}

static void paths_only(void)
{
    char byte;
    struct stat st;
    write_file("f", "x", 0644);
    symlink("f", "l");
    int fd = open("f", O_PATH);
    CHECK(fd >= 0, "O_PATH");
    CHECK_FAIL(read(fd, &byte, 1), EBADF, "cannot be read");
    CHECK_FAIL(write(fd, "x", 1), EBADF, "nor written");
    CHECK_FAIL(lseek(fd, 0, SEEK_SET), EBADF, "nor sought in");
    CHECK_FAIL(ftruncate(fd, 0), EBADF, "nor cut");
    CHECK_FAIL(fchmod(fd, 0600), EBADF, "nor its mode changed");
    CHECK_EQ(fstat(fd, &st), 0, "fstat works");
    CHECK_EQ(fcntl(fd, F_GETFL) & O_PATH, O_PATH, "F_GETFL tells O_PATH");
    CHECK(dup(fd) >= 0, "dup works");
    CHECK_EQ(close(fd), 0, "close works");
    int link = open("l", O_PATH | O_NOFOLLOW);
    CHECK(link >= 0 && fstat(link, &st) == 0 && S_ISLNK(st.st_mode),
          "O_PATH | O_NOFOLLOW opens a link itself");
    char text[8];
    CHECK_EQ(readlinkat(link, "", text, sizeof(text)), 1, "whose target can be read");
    REQUIRE(mkdir("d", 0755) == 0);
    write_file("d/x", "y", 0644);
    int dir = open("d", O_PATH);
    CHECK(openat(dir, "x", O_RDONLY) >= 0, "O_PATH of a directory is good for openat");
    CHECK_EQ(fchdir(dir), 0, "and fchdir");
}

static void descriptors(void)
{
    write_file("f", "x", 0644);
    int a = open("f", O_RDONLY), b = open("f", O_RDONLY), c = open("f", O_RDONLY);
    CHECK(b == a + 1 && c == b + 1, "the lowest free descriptor comes back");
    close(b);
    CHECK_EQ(open("f", O_RDONLY), b, "the one just closed");
    CHECK_EQ(fcntl(a, F_GETFD), 0, "without O_CLOEXEC");
    int d = open("f", O_RDONLY | O_CLOEXEC);
    CHECK_EQ(fcntl(d, F_GETFD), FD_CLOEXEC, "O_CLOEXEC");
    CHECK_FAIL(close(1000), EBADF, "close of a bad descriptor");
    CHECK_FAIL(close(-1), EBADF, "close of -1");
    close(c);
    CHECK_FAIL(close(c), EBADF, "close twice");
    int fd = open("f", O_RDWR | O_NONBLOCK | O_APPEND | O_CLOEXEC);
    int flags = fcntl(fd, F_GETFL);
    CHECK_EQ(flags & O_ACCMODE, O_RDWR, "F_GETFL tells the access mode");
    CHECK((flags & O_APPEND) && (flags & O_NONBLOCK), "O_APPEND and O_NONBLOCK");
    CHECK(!(flags & (O_CREAT | O_EXCL | O_TRUNC)), "no flags of creation");
    char byte;
    CHECK_FAIL(write(a, "x", 1), EBADF, "write to a descriptor for reading");
    int w = open("f", O_WRONLY);
    CHECK_FAIL(read(w, &byte, 1), EBADF, "read from one for writing");
    CHECK_EQ(syscall(SYS_close_range, 100, 200, 0), 0, "close_range of nothing");
    int e = fcntl(w, F_DUPFD, 300);
    CHECK(syscall(SYS_close_range, 300, 310, 0) == 0 && fcntl(e, F_GETFD) < 0,
          "close_range closes");
}

static void temporary(void)
{
    int fd = open(".", O_TMPFILE | O_RDWR, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
        SKIP("O_TMPFILE", "not there");
        return;
    }
    struct stat st;
    CHECK(fd >= 0 && write(fd, "x", 1) == 1, "O_TMPFILE makes a file without a name");
    CHECK(fstat(fd, &st) == 0 && st.st_nlink == 0, "with no link");
    CHECK_FAIL(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL, "it must be writable");
}

static void relative(void)
{
    REQUIRE(mkdir("d", 0755) == 0);
    write_file("d/f", "x", 0644);
    write_file("f", "x", 0644);
    int dir = open("d", O_RDONLY), file = open("f", O_RDONLY);
    CHECK(openat(dir, "f", O_RDONLY) >= 0, "openat is relative to the directory");
    CHECK(openat(dir, "../f", O_RDONLY) >= 0, "also upwards");
    CHECK(openat(AT_FDCWD, "d/f", O_RDONLY) >= 0, "AT_FDCWD is the working directory");
    CHECK(openat(-5, "/dev/null", O_RDONLY) >= 0, "an absolute path ignores the descriptor");
    CHECK_FAIL(openat(-5, "f", O_RDONLY), EBADF, "a relative one needs it");
    CHECK_FAIL(openat(file, "f", O_RDONLY), ENOTDIR, "and needs a directory");
    CHECK_FAIL(openat(dir, "", O_RDONLY), ENOENT, "an empty path");
    REQUIRE(rename("d", "e") == 0);
    CHECK(openat(dir, "f", O_RDONLY) >= 0, "the directory may be renamed meanwhile");
    REQUIRE(unlink("e/f") == 0 && rmdir("e") == 0);
    CHECK_FAIL(openat(dir, "f", O_RDONLY | O_CREAT, 0644), ENOENT,
               "in a directory that was removed nothing is made");
    CHECK_FAIL(openat(dir, "f", O_RDONLY), ENOENT, "nor found");
}

static void removed_while_open(void)
{
    char text[16] = "";
    struct stat st;
    write_file("f", "content", 0644);
    int fd = open("f", O_RDWR);
    REQUIRE(unlink("f") == 0);
    CHECK_EQ(read(fd, text, 7), 7, "a removed file can be read while it is open");
    CHECK_STR(text, "content", "with its contents");
    CHECK_EQ(write(fd, "more", 4), 4, "and written");
    CHECK(fstat(fd, &st) == 0 && st.st_nlink == 0 && st.st_size == 11, "it has no link left");
    write_file("f", "other", 0644);
    CHECK(pread(fd, text, 7, 0) == 7 && !memcmp(text, "content", 7), "a new file is another one");
    CHECK_EQ(close(fd), 0, "it goes with its last descriptor");
}

CHECK_MAIN(CASE(creating), CASE(truncating_and_appending), CASE(kinds), CASE(paths_only),
           CASE(descriptors), CASE(temporary), CASE(relative), CASE(removed_while_open))
