/* SPDX-License-Identifier: MIT */
/* rename and renameat2: over what is there, of directories, with flags, refused. */
#include "check.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE  2
#endif

static int move(const char *from, const char *to, unsigned flags)
{
    return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

static const char *text_of(const char *path)
{
    static char text[64];
    return read_file(path, text, sizeof(text)) >= 0 ? text : NULL;
}

static int exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static void files(void)
{
    write_file("a", "A", 0644);
    write_file("b", "B", 0644);
    REQUIRE(mkdir("d", 0755) == 0);
    CHECK_EQ(rename("a", "c"), 0, "rename");
    CHECK(!exists("a") && !strcmp(text_of("c"), "A"), "moves the name");
    CHECK_EQ(rename("c", "b"), 0, "over a file");
    CHECK(!exists("c") && !strcmp(text_of("b"), "A"), "replaces it");
    CHECK_EQ(rename("b", "d/e"), 0, "into another directory");
    CHECK_STR(text_of("d/e"), "A", "it is there");
    CHECK_EQ(rename("d/e", "d/e"), 0, "onto itself");
    REQUIRE(link("d/e", "same") == 0);
    CHECK(rename("same", "d/e") == 0 && exists("same") && exists("d/e"),
          "between two names of one file nothing happens");
    CHECK_FAIL(rename("missing", "x"), ENOENT, "a missing file");
    CHECK_FAIL(rename("same", "missing/x"), ENOENT, "into a missing directory");
    CHECK_FAIL(rename("same", "d"), EISDIR, "a file over a directory");
    CHECK_FAIL(rename("same/x", "y"), ENOTDIR, "something below a file");
    CHECK_FAIL(rename("same", "d/e/x"), ENOTDIR, "to below a file");
    CHECK_FAIL(rename("same", "x/"), ENOTDIR, "a file to a name with a slash");
    CHECK_FAIL(rename("same", ""), ENOENT, "to an empty name");
    CHECK_FAIL(rename("same", "/proc/x"), EXDEV, "to another file system");
    int open_file = open("same", O_RDONLY);
    write_file("new", "N", 0644);
    struct stat st;
    CHECK(rename("new", "same") == 0 && fstat(open_file, &st) == 0 && st.st_nlink == 1,
          "the file replaced loses a link, and lives while it is open");
}

static void directories(void)
{
    struct stat st;
    REQUIRE(mkdir("a", 0755) == 0 && mkdir("a/b", 0755) == 0 && mkdir("empty", 0755) == 0);
    REQUIRE(mkdir("full", 0755) == 0);
    write_file("full/f", "", 0644);
    write_file("file", "", 0644);
    CHECK_FAIL(rename("a", "a/b/c"), EINVAL, "a directory into its own child");
    CHECK_FAIL(rename("a", "a/c"), EINVAL, "into itself");
    CHECK_FAIL(rename("a", "full"), ENOTEMPTY, "over one that is not empty");
    CHECK_FAIL(rename("a", "file"), ENOTDIR, "over a file");
    CHECK_FAIL(rename("a/b", "a"), ENOTEMPTY, "over its own parent");
    CHECK_EQ(rename("a", "empty"), 0, "over an empty one");
    CHECK(exists("empty/b") && !exists("a"), "takes everything along");
    stat("empty/b/..", &st);
    ino_t parent = st.st_ino;
    stat("empty", &st);
    CHECK_EQ(parent, st.st_ino, "its child's .. is right");
    CHECK_EQ(st.st_nlink, 3, "its links are counted");
    CHECK_EQ(rename("empty/b", "full/b"), 0, "to another parent");
    stat("empty", &st);
    CHECK_EQ(st.st_nlink, 2, "the old parent loses a link");
    stat("full", &st);
    CHECK_EQ(st.st_nlink, 3, "the new one gains it");
    stat("full/b/..", &st);
    parent = st.st_ino;
    stat("full", &st);
    CHECK_EQ(parent, st.st_ino, "and is the new ..");
    CHECK_EQ(rename("full/", "renamed/"), 0, "slashes behind a directory");
    CHECK_FAIL(rename("renamed/.", "x"), EBUSY, "a path that ends in .");
    CHECK_FAIL(rename("renamed/..", "x"), EBUSY, "or in ..");
    CHECK_FAIL(rename("renamed", "."), EBUSY, "to .");
    symlink("renamed", "link");
    CHECK(rename("link", "moved") == 0 && lstat("moved", &st) == 0 && S_ISLNK(st.st_mode),
          "a link is moved itself");
    CHECK_EQ(rename("file", "moved"), 0, "and replaced itself");
    CHECK(lstat("moved", &st) == 0 && S_ISREG(st.st_mode), "not its target");
}

static void no_replace(void)
{
    write_file("a", "A", 0644);
    write_file("b", "B", 0644);
    CHECK_FAIL(move("a", "b", RENAME_NOREPLACE), EEXIST,
               "RENAME_NOREPLACE refuses a name that is taken");
    CHECK(exists("a") && !strcmp(text_of("b"), "B"), "and changes nothing");
    CHECK_EQ(move("a", "c", RENAME_NOREPLACE), 0, "a free one it takes");
    CHECK_STR(text_of("c"), "A", "like rename");
    CHECK_FAIL(move("c", "c", RENAME_NOREPLACE), EEXIST, "its own name is taken");
    symlink("nowhere", "l");
    CHECK_FAIL(move("c", "l", RENAME_NOREPLACE), EEXIST, "a dangling link too");
    CHECK_FAIL(move("missing", "b", RENAME_NOREPLACE), ENOENT, "a missing file");
}

static void exchange(void)
{
    struct stat st;
    write_file("a", "A", 0644);
    write_file("b", "B", 0644);
    REQUIRE(mkdir("d", 0755) == 0 && mkdir("d/sub", 0755) == 0 && mkdir("e", 0755) == 0);
    CHECK_EQ(move("a", "b", RENAME_EXCHANGE), 0, "RENAME_EXCHANGE of two files");
    CHECK_STR(text_of("a"), "B", "the one");
    CHECK_STR(text_of("b"), "A", "and the other");
    CHECK_EQ(move("a", "d/sub", RENAME_EXCHANGE), 0, "of a file and a directory");
    CHECK(stat("a", &st) == 0 && S_ISDIR(st.st_mode), "the directory is here");
    CHECK_STR(text_of("d/sub"), "B", "the file is there");
    stat("d", &st);
    CHECK_EQ(st.st_nlink, 2, "the links of the parent are right");
    CHECK_FAIL(move("a", "missing", RENAME_EXCHANGE), ENOENT, "both must be there");
    CHECK_FAIL(move("d", "d/sub", RENAME_EXCHANGE), EINVAL, "a directory with its child");
    CHECK_FAIL(move("a", "b", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL, "both flags");
    CHECK_FAIL(move("a", "b", 0x80), EINVAL, "an unknown flag");
}

static void whiteout(void)
{
    struct stat st;
    write_file("a", "A", 0644);
    write_file("b", "B", 0644);
    REQUIRE(mkdir("d", 0755) == 0);
    if (move("a", "d/a", RENAME_WHITEOUT) < 0 && errno == EINVAL) {
        SKIP("RENAME_WHITEOUT", "not on this file system");
        return;
    }
    CHECK_STR(text_of("d/a"), "A", "RENAME_WHITEOUT moves the file");
    CHECK(stat("a", &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == 0,
          "and leaves a device 0:0 under the old name");
    CHECK_EQ(move("d/a", "b", RENAME_WHITEOUT), 0, "also where a name is replaced");
    CHECK_STR(text_of("b"), "A", "it is");
    CHECK(stat("d/a", &st) == 0 && S_ISCHR(st.st_mode), "the whiteout is there");
    CHECK_FAIL(move("b", "a", RENAME_WHITEOUT | RENAME_EXCHANGE), EINVAL, "not in an exchange");
    CHECK_FAIL(move("b", "a", RENAME_WHITEOUT | RENAME_NOREPLACE), EEXIST,
               "RENAME_NOREPLACE holds");
    CHECK(stat("b", &st) == 0 && S_ISREG(st.st_mode), "and nothing was made");
    CHECK_EQ(unlink("a"), 0, "it goes like any file");
    CHECK_EQ(IN_CHILD({
                 become_user(1000);
                 _exit(mknod("/tmp/whiteout-of-1000", S_IFCHR, 0) == 0 &&
                               unlink("/tmp/whiteout-of-1000") == 0
                           ? 0
                           : errno);
             }),
             0, "anybody may make one with mknod");
}

static void relative(void)
{
    REQUIRE(mkdir("d", 0755) == 0 && mkdir("e", 0755) == 0);
    write_file("d/f", "F", 0644);
    int d = open("d", O_RDONLY), e = open("e", O_PATH);
    CHECK_EQ(renameat(d, "f", e, "g"), 0, "renameat from directory to directory");
    CHECK_STR(text_of("e/g"), "F", "it is there");
    CHECK_FAIL(renameat(d, "f", e, "g"), ENOENT, "and gone");
    CHECK_FAIL(renameat(99, "f", e, "g"), EBADF, "a bad descriptor");
    CHECK_FAIL(renameat(e, "g", 99, "g"), EBADF, "as the second");
}

static void many(void)
{
    /* Two processes move files back and forth at once; none is lost. */
    char from[32], to[32];
    REQUIRE(mkdir("x", 0755) == 0 && mkdir("y", 0755) == 0);
    for (int i = 0; i < 20; i++) {
        snprintf(from, sizeof(from), "x/%d", i);
        write_file(from, "f", 0644);
    }
    pid_t child = CHILD(for (int i = 0; i < 400; i++) {
        snprintf(from, sizeof(from), "x/%d", i % 20);
        snprintf(to, sizeof(to), "y/%d", i % 20);
        rename(to, from);
    });
    for (int i = 0; i < 400; i++) {
        snprintf(from, sizeof(from), "x/%d", i % 20);
        snprintf(to, sizeof(to), "y/%d", i % 20);
        rename(from, to);
    }
    end_of(child);
    int found = 0;
    for (int i = 0; i < 20; i++) {
        snprintf(from, sizeof(from), "x/%d", i);
        snprintf(to, sizeof(to), "y/%d", i);
        found += exists(from) + exists(to);
    }
    CHECK_EQ(found, 20, "two processes rename at once, every file has one name");
    child = CHILD(for (int i = 0; i < 200; i++) if (rename("x", "y/x") != 0) rename("y/x", "x"));
    for (int i = 0; i < 200; i++) {
        if (rename("y", "x/y") != 0)
            rename("x/y", "y");
    }
    end_of(child);
    CHECK(exists("x") || exists("y"), "two directories moved into each other make no loop");
}

CHECK_MAIN(CASE(files), CASE(directories), CASE(no_replace), CASE(exchange), CASE(whiteout),
           CASE(relative), CASE(many))
