/* SPDX-License-Identifier: MIT */
/* Names: links, directories, how a path is walked, and what walks refuse. */
#include "check.h"

static nlink_t links(const char *path)
{
    struct stat st;
    REQUIRE(lstat(path, &st) == 0);
    return st.st_nlink;
}

static ino_t inode(const char *path)
{
    struct stat st;
    REQUIRE(lstat(path, &st) == 0);
    return st.st_ino;
}

static void hard_links(void)
{
    char text[8];
    REQUIRE(mkdir("d", 0755) == 0);
    write_file("a", "text", 0644);
    CHECK_EQ(link("a", "b"), 0, "link");
    CHECK(inode("a") == inode("b") && links("a") == 2, "makes a second name of one inode");
    CHECK_EQ(link("a", "d/c"), 0, "also in another directory");
    CHECK_EQ(links("b"), 3, "st_nlink counts them");
    CHECK_EQ(unlink("a"), 0, "unlink");
    CHECK(links("b") == 2 && read_file("d/c", text, 8) == 4, "takes one name away");
    CHECK_FAIL(link("missing", "x"), ENOENT, "link of a missing file");
    CHECK_FAIL(link("b", "d/c"), EEXIST, "link to a name that is taken");
    CHECK_FAIL(link("d", "x"), EPERM, "link of a directory");
    CHECK_FAIL(link("b", "missing/x"), ENOENT, "link into a missing directory");
    CHECK_FAIL(link("b/x", "y"), ENOTDIR, "link of something below a file");
    CHECK_FAIL(link("b", "/dev/x"), EXDEV, "link to another file system");
    symlink("b", "s");
    CHECK(link("s", "t") == 0 && links("s") == 2, "link does not follow a symbolic link");
    CHECK(linkat(AT_FDCWD, "s", AT_FDCWD, "u", AT_SYMLINK_FOLLOW) == 0 && inode("u") == inode("b"),
          "linkat with AT_SYMLINK_FOLLOW does");
    CHECK_FAIL(linkat(AT_FDCWD, "b", AT_FDCWD, "v", 0x8000), EINVAL, "unknown flags");
    CHECK_FAIL(linkat(77, "b", AT_FDCWD, "v", 0), EBADF, "a bad descriptor");
    CHECK_FAIL(link("", "v"), ENOENT, "an empty name");
    CHECK_FAIL(link("b", "x/"), ENOENT, "a new name with a slash");
}

static void removing(void)
{
    REQUIRE(mkdir("d", 0755) == 0 && mkdir("d/e", 0755) == 0);
    write_file("f", "", 0644);
    CHECK_FAIL(unlink("missing"), ENOENT, "unlink of a missing file");
    CHECK_FAIL(unlink("d"), EISDIR, "unlink of a directory");
    CHECK_FAIL(unlink("f/x"), ENOTDIR, "unlink below a file");
    CHECK_FAIL(unlink("f/"), ENOTDIR, "unlink with a slash");
    CHECK_FAIL(unlink(""), ENOENT, "unlink of nothing");
    CHECK_FAIL(rmdir("d"), ENOTEMPTY, "rmdir of a directory with something in it");
    CHECK_FAIL(rmdir("f"), ENOTDIR, "rmdir of a file");
    CHECK_FAIL(rmdir("d/e/."), EINVAL, "rmdir of .");
    CHECK_FAIL(rmdir("d/e/.."), ENOTEMPTY, "rmdir of ..");
    CHECK_FAIL(rmdir("missing"), ENOENT, "rmdir of what is not there");
    CHECK_FAIL(rmdir("/"), EBUSY, "rmdir of the root");
    CHECK_EQ(rmdir("d/e/"), 0, "rmdir with a slash");
    CHECK_EQ(unlinkat(AT_FDCWD, "d", AT_REMOVEDIR), 0, "unlinkat with AT_REMOVEDIR");
    CHECK_FAIL(unlinkat(AT_FDCWD, "f", AT_REMOVEDIR), ENOTDIR, "is rmdir");
    CHECK_FAIL(unlinkat(AT_FDCWD, "f", 0x8000), EINVAL, "unknown flags");
    symlink("missing", "l");
    CHECK_EQ(unlink("l"), 0, "unlink removes a link, not its target");
}

static void directories(void)
{
    CHECK_EQ(links("."), 2, "an empty directory has two links");
    CHECK_EQ(mkdir("d", 0755), 0, "mkdir");
    CHECK(links(".") == 3 && links("d") == 2, "a directory in it adds one");
    CHECK(inode("d/.") == inode("d") && inode("d/..") == inode("."), ". and .. are what they are");
    CHECK_FAIL(mkdir("d", 0755), EEXIST, "mkdir of what is there");
    CHECK_FAIL(mkdir("d/", 0755), EEXIST, "also with a slash");
    CHECK_FAIL(mkdir(".", 0755), EEXIST, "mkdir of .");
    CHECK_FAIL(mkdir("x/y", 0755), ENOENT, "mkdir in a missing directory");
    CHECK_EQ(mkdir("e/", 0700), 0, "mkdir with a slash");
    write_file("f", "", 0644);
    CHECK_FAIL(mkdir("f", 0755), EEXIST, "mkdir of a file's name");
    CHECK_FAIL(mkdir("f/x", 0755), ENOTDIR, "mkdir below a file");
    symlink("nowhere", "l");
    CHECK_FAIL(mkdir("l", 0755), EEXIST, "mkdir of a dangling link");
    CHECK_EQ(rmdir("d"), 0, "rmdir");
    CHECK_EQ(links("."), 3, "takes the link away");
    int dir = open("e", O_RDONLY);
    CHECK_EQ(mkdirat(dir, "x", 0755), 0, "mkdirat");
    CHECK_EQ(access("e/x", F_OK), 0, "is relative to the directory");
}

static void symbolic_links(void)
{
    char text[64];
    struct stat st;
    REQUIRE(mkdir("d", 0755) == 0);
    write_file("d/f", "text", 0644);
    CHECK_EQ(symlink("d/f", "l"), 0, "symlink");
    CHECK(lstat("l", &st) == 0 && S_ISLNK(st.st_mode) && st.st_size == 3,
          "st_size is the target's length");
    CHECK_EQ(st.st_mode & 0777, 0777, "its mode is 0777");
    memset(text, 'x', sizeof(text));
    CHECK(readlink("l", text, 64) == 3 && !memcmp(text, "d/fx", 4),
          "readlink, without a null byte");
    CHECK_EQ(readlink("l", text, 2), 2, "readlink cuts");
    CHECK_FAIL(readlink("l", text, 0), EINVAL, "a buffer of 0");
    CHECK_FAIL(readlink("d/f", text, 10), EINVAL, "readlink of a file");
    CHECK_FAIL(readlink("missing", text, 10), ENOENT, "of a missing one");
    CHECK(stat("l", &st) == 0 && S_ISREG(st.st_mode), "stat follows");
    CHECK_FAIL(symlink("x", "l"), EEXIST, "a name that is taken");
    CHECK_FAIL(symlink("", "m"), ENOENT, "an empty target");
    CHECK_FAIL(symlink("x", "m/"), ENOENT, "a name with a slash");
    symlink("../d", "d/up");
    CHECK_EQ(access("d/up/up/up/f", F_OK), 0, "relative links are followed from where they are");
    symlink("/dev", "abs");
    CHECK_EQ(access("abs/null", F_OK), 0, "absolute ones from the root");
    symlink("d/", "slash");
    CHECK_EQ(access("slash/f", F_OK), 0, "a target with a slash");
    symlink("l", "to-l");
    CHECK_FAIL(open("l/x", O_RDONLY), ENOTDIR, "a link to a file is no directory");
    CHECK_FAIL(open("to-l/", O_RDONLY), ENOTDIR, "also with a slash");
    char target[300];
    memset(target, 'y', 299);
    target[299] = 0;
    CHECK(symlink(target, "long") == 0 && readlink("long", target, 300) == 299,
          "a target of 299 bytes");
    CHECK_FAIL(open("long", O_RDONLY), ENAMETOOLONG, "which cannot be followed");
    int dir = open("d", O_RDONLY);
    CHECK(symlinkat("f", dir, "at") == 0 && access("d/at", F_OK) == 0, "symlinkat");
    CHECK_EQ(readlinkat(dir, "at", text, 10), 1, "readlinkat");
}

static void loops(void)
{
    char name[16], target[16];
    struct stat st;
    symlink("self", "self");
    symlink("b", "a");
    symlink("a", "b");
    CHECK_FAIL(open("self", O_RDONLY), ELOOP, "a link to itself");
    CHECK_FAIL(stat("a", &st), ELOOP, "two links to each other");
    CHECK_FAIL(chdir("a/x"), ELOOP, "in the middle of a path");
    CHECK_EQ(lstat("self", &st), 0, "lstat does not mind");
    CHECK_EQ(rename("self", "other"), 0, "nor rename");
    write_file("n0", "x", 0644);
    for (int i = 1; i <= 41; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        snprintf(target, sizeof(target), "n%d", i - 1);
        REQUIRE(symlink(target, name) == 0);
    }
    CHECK_EQ(access("n40", F_OK), 0, "forty links in a row are followed");
    CHECK_FAIL(access("n41", F_OK), ELOOP, "forty-one are not");
    REQUIRE(mkdir("d", 0755) == 0 && symlink(".", "d/dot") == 0);
    char path[256] = "d";
    for (int i = 0; i < 40; i++)
        strcat(path, "/dot");
    CHECK_EQ(access(path, F_OK), 0, "the links of one path are counted together");
    strcat(path, "/dot");
    CHECK_FAIL(access(path, F_OK), ELOOP, "the forty-first is too many");
}

static void lengths(void)
{
    char name[300], path[5000];
    memset(name, 'n', sizeof(name));
    name[255] = 0;
    CHECK_EQ(mkdir(name, 0755), 0, "a name of 255 bytes");
    CHECK_EQ(rmdir(name), 0, "can be removed");
    name[255] = 'n', name[256] = 0;
    CHECK_FAIL(mkdir(name, 0755), ENAMETOOLONG, "one of 256 cannot be made");
    CHECK_FAIL(open(name, O_RDONLY), ENAMETOOLONG, "nor opened");
    CHECK_FAIL(rename(name, "x"), ENAMETOOLONG, "nor renamed");
    CHECK_FAIL(unlink(name), ENAMETOOLONG, "nor removed");
    memset(path, '/', sizeof(path));
    path[4094] = '.', path[4095] = 0;
    CHECK_EQ(access(path, F_OK), 0, "a path of 4095 bytes");
    path[4095] = '/', path[4096] = 0;
    CHECK_FAIL(access(path, F_OK), ENAMETOOLONG, "one of 4096 is too long");
    memset(path, 'p', sizeof(path));
    path[4999] = 0;
    CHECK_FAIL(access(path, F_OK), ENAMETOOLONG, "as is one of 4999");
    CHECK_EQ(access(".//././/../././", F_OK), 0, "slashes and dots in any number");
    CHECK_EQ(access("/../../..", F_OK), 0, ".. of the root is the root");
    CHECK_FAIL(access("missing/..", F_OK), ENOENT, ".. needs what is before it");
    write_file("f", "", 0644);
    CHECK_FAIL(access("f/..", F_OK), ENOTDIR, "to be a directory");
    CHECK_FAIL(access("f/.", F_OK), ENOTDIR, "as . does");
}

static void working_directory(void)
{
    char here[PATH_MAX], there[PATH_MAX], scratch[PATH_MAX];
    REQUIRE(getcwd(here, sizeof(here)));
    REQUIRE(mkdir("a", 0755) == 0 && mkdir("a/b", 0755) == 0);
    int top = open(".", O_RDONLY);
    CHECK_EQ(chdir("a/b"), 0, "chdir");
    snprintf(scratch, sizeof(scratch), "%.4000s/a/b", here);
    CHECK_STR(getcwd(there, sizeof(there)), scratch, "getcwd tells the path");
    CHECK_EQ(syscall(SYS_getcwd, there, sizeof(there)), (long)strlen(scratch) + 1,
             "the call returns its length with the null byte");
    CHECK_FAIL(syscall(SYS_getcwd, there, strlen(scratch)), ERANGE, "a buffer too small by one");
    CHECK_EQ(chdir(".."), 0, "chdir upwards");
    REQUIRE(rename("../a", "../z") == 0);
    snprintf(scratch, sizeof(scratch), "%.4000s/z", here);
    CHECK_STR(getcwd(there, sizeof(there)), scratch, "a renamed directory has its new name");
    CHECK_EQ(fchdir(top), 0, "fchdir");
    CHECK_STR(getcwd(there, sizeof(there)), here, "back again");
    REQUIRE(symlink("z/b", "s") == 0 && chdir("s") == 0);
    snprintf(scratch, sizeof(scratch), "%.4000s/z/b", here);
    CHECK_STR(getcwd(there, sizeof(there)), scratch, "getcwd tells the real path behind a link");
    REQUIRE(rmdir("../b") == 0);
    CHECK_FAIL(syscall(SYS_getcwd, there, sizeof(there)), ENOENT,
               "a removed directory has no path");
    CHECK_FAIL(open("new", O_CREAT | O_WRONLY, 0644), ENOENT, "nothing is made in it");
    CHECK_FAIL(mkdir("new", 0755), ENOENT, "no directory either");
    struct stat st;
    CHECK(stat(".", &st) == 0 && st.st_nlink == 0, "it has no links");
    CHECK_EQ(chdir(".."), 0, "but one can leave it upwards");
    fchdir(top);
    write_file("f", "", 0644);
    CHECK_FAIL(chdir("f"), ENOTDIR, "chdir to a file");
    CHECK_FAIL(chdir("missing"), ENOENT, "to nothing");
    CHECK_FAIL(fchdir(777), EBADF, "fchdir of a bad descriptor");
    CHECK_FAIL(fchdir(open("f", O_RDONLY)), ENOTDIR, "of a file");
}

CHECK_MAIN(CASE(hard_links), CASE(removing), CASE(directories), CASE(symbolic_links), CASE(loops),
           CASE(lengths), CASE(working_directory))
