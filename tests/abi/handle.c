/* SPDX-License-Identifier: MIT */
/* File handles: name_to_handle_at, open_by_handle_at, on a tmpfs. */
#include "check.h"
#include <sys/mount.h>

union handle {
    struct file_handle head;
    char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
};

static int handle_get(const char *name, union handle *h, int *mount_id, int flags)
{
    h->head.handle_bytes = MAX_HANDLE_SZ;
    return name_to_handle_at(AT_FDCWD, name, &h->head, mount_id, flags);
}

static int handle_open(union handle *h, int flags)
{
    int here = open(".", O_RDONLY | O_DIRECTORY), fd = open_by_handle_at(here, &h->head, flags);
    int error = errno;
    close(here);
    errno = error;
    return fd;
}

static ino_t inode_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

/* Into a tmpfs of our own. */
static int enter(void)
{
    if (!has_capability(21 /* CAP_SYS_ADMIN */) || !has_capability(2 /* CAP_DAC_READ_SEARCH */) ||
        geteuid() != 0) {
        SKIP("file handles", "needs root");
        return 0;
    }
    if (qemu_user_lacks("file handles"))
        return 0;
    REQUIRE(mkdir("m", 0755) == 0);
    REQUIRE(mount("none", "m", "tmpfs", 0, NULL) == 0);
    REQUIRE(chdir("m") == 0);
    return 1;
}

static void leave(void)
{
    REQUIRE(chdir("..") == 0);
    umount2("m", MNT_DETACH);
}

static void there_and_back(void)
{
    union handle h, again, other;
    char text[16] = "";
    int id, id2;

    if (!enter())
        return;
    write_file("f", "contents", 0600);
    write_file("g", "else", 0600);
    CHECK_EQ(handle_get("f", &h, &id, 0), 0, "a handle");
    CHECK(h.head.handle_bytes > 0 && h.head.handle_bytes <= MAX_HANDLE_SZ, "has some bytes");
    CHECK_EQ(handle_get("f", &again, &id2, 0), 0, "once more");
    CHECK(again.head.handle_bytes == h.head.handle_bytes &&
              !memcmp(again.head.f_handle, h.head.f_handle, h.head.handle_bytes),
          "is the same");
    CHECK_EQ(id, id2, "in the same mount");
    CHECK_EQ(handle_get("g", &other, &id2, 0), 0, "of another file");
    CHECK(memcmp(other.head.f_handle, h.head.f_handle, h.head.handle_bytes), "is another");
    int fd = handle_open(&h, O_RDWR);
    CHECK(fd >= 0, "opened by handle");
    CHECK_EQ(read(fd, text, sizeof(text)), 8, "and read");
    CHECK_STR(text, "contents", "it is that file");
    CHECK_EQ(write(fd, "!", 1), 1, "and written");
    close(fd);
    fd = handle_open(&h, O_RDONLY | O_CLOEXEC);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC, "O_CLOEXEC");
    CHECK_EQ(read(fd, text, sizeof(text)), 9, "what was written is there");
    close(fd);
    leave();
}

static void renamed_and_linked(void)
{
    union handle h;
    char path[64], where[PATH_MAX] = "";
    int id;

    if (!enter())
        return;
    write_file("f", "x", 0600);
    REQUIRE(mkdir("d", 0755) == 0 && handle_get("f", &h, &id, 0) == 0);
    REQUIRE(rename("f", "d/g") == 0);
    int fd = handle_open(&h, O_RDONLY);
    CHECK(fd >= 0, "after a rename");
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    CHECK(readlink(path, where, sizeof(where) - 1) > 4 && strstr(where, "/m/d/g"),
          "it has the new name");
    close(fd);
    REQUIRE(link("d/g", "h") == 0 && unlink("d/g") == 0);
    fd = handle_open(&h, O_RDONLY);
    CHECK(fd >= 0, "another name is left");
    close(fd);
    write_file("k", "y", 0600);
    REQUIRE(rename("k", "h") == 0);
    CHECK_FAIL(handle_open(&h, O_RDONLY), ESTALE, "replaced by a rename: gone");
    leave();
}

static void gone(void)
{
    union handle h, d;
    int id;

    if (!enter())
        return;
    write_file("f", "x", 0600);
    REQUIRE(mkdir("d", 0755) == 0);
    REQUIRE(handle_get("f", &h, &id, 0) == 0 && handle_get("d", &d, &id, 0) == 0);
    REQUIRE(unlink("f") == 0 && rmdir("d") == 0);
    CHECK_FAIL(handle_open(&h, O_RDONLY), ESTALE, "a removed file");
    CHECK_FAIL(handle_open(&d, O_RDONLY), ESTALE, "a removed directory");
    write_file("f", "y", 0600);
    CHECK_FAIL(handle_open(&h, O_RDONLY), ESTALE, "nor is it a new one of that name");
    leave();
}

static void directories(void)
{
    union handle h, root;
    int id;

    if (!enter())
        return;
    REQUIRE(mkdir("d", 0755) == 0);
    write_file("d/f", "x", 0600);
    REQUIRE(symlink("d/f", "l") == 0);
    CHECK_EQ(handle_get("d", &h, &id, 0), 0, "of a directory");
    int fd = handle_open(&h, O_RDONLY | O_DIRECTORY);
    CHECK_EQ(faccessat(fd, "f", R_OK, 0), 0, "names are found in it");
    close(fd);
    CHECK_FAIL(handle_open(&h, O_WRONLY), EISDIR, "not to be written");
    CHECK_EQ(handle_get(".", &root, &id, 0), 0, "of the root");
    fd = handle_open(&root, O_RDONLY);
    CHECK_EQ(faccessat(fd, "d", R_OK, 0), 0, "is the root");
    struct stat st;
    REQUIRE(stat(".", &st) == 0);
    CHECK_EQ(inode_of(fd), st.st_ino, "by its number");
    close(fd);
    CHECK_EQ(handle_get("l", &h, &id, 0), 0, "of a symbolic link");
    CHECK_FAIL(handle_open(&h, O_RDONLY), ELOOP, "which cannot be opened");
    fd = handle_open(&h, O_PATH);
    CHECK(fd >= 0 && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode), "but for O_PATH");
    close(fd);
    CHECK_EQ(handle_get("l", &h, &id, AT_SYMLINK_FOLLOW), 0, "of what it leads to");
    fd = handle_open(&h, O_RDONLY);
    CHECK(fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode), "is the file");
    union handle same;
    same.head.handle_bytes = MAX_HANDLE_SZ;
    CHECK_EQ(name_to_handle_at(fd, "", &same.head, &id, AT_EMPTY_PATH), 0, "of an open file");
    CHECK(!memcmp(same.head.f_handle, h.head.f_handle, h.head.handle_bytes), "is the same");
    close(fd);
    leave();
}

static void errors(void)
{
    union handle h;
    int id = -1;

    if (!enter())
        return;
    write_file("f", "x", 0600);
    h.head.handle_bytes = 0;
    CHECK_FAIL(name_to_handle_at(AT_FDCWD, "f", &h.head, &id, 0), EOVERFLOW, "no room");
    CHECK(h.head.handle_bytes > 0, "how much is needed");
    CHECK(id >= 0, "the mount is told");
    CHECK_EQ(name_to_handle_at(AT_FDCWD, "f", &h.head, &id, 0), 0, "as much is enough");
    h.head.handle_bytes = MAX_HANDLE_SZ + 1;
    CHECK_FAIL(name_to_handle_at(AT_FDCWD, "f", &h.head, &id, 0), EINVAL, "too much room");
    CHECK_FAIL(handle_get("f", &h, &id, 0x10000), EINVAL, "an unknown flag");
    CHECK_FAIL(handle_get("none", &h, &id, 0), ENOENT, "no such file");
    CHECK_FAIL(handle_get("f", &h, (int *)8, 0), EFAULT, "nowhere to tell the mount");
    CHECK_FAIL(syscall(SYS_name_to_handle_at, AT_FDCWD, "f", 8, &id, 0), EFAULT, "no handle");
    CHECK_FAIL(handle_get("/proc/self/stat", &h, &id, 0), EOPNOTSUPP, "procfs has none");
    REQUIRE(handle_get("f", &h, &id, 0) == 0);
    CHECK_FAIL(open_by_handle_at(999, &h.head, O_RDONLY), EBADF, "no such descriptor");
    CHECK_FAIL(syscall(SYS_open_by_handle_at, AT_FDCWD, 8, O_RDONLY), EFAULT, "no handle");
    unsigned bytes = h.head.handle_bytes;
    h.head.handle_bytes = 0;
    CHECK_FAIL(handle_open(&h, O_RDONLY), EINVAL, "an empty handle");
    h.head.handle_bytes = bytes;
    int fd = open_by_handle_at(AT_FDCWD, &h.head, O_RDONLY);
    CHECK(fd >= 0, "AT_FDCWD: where we are");
    close(fd);
    memset(h.head.f_handle, 0x55, bytes);
    CHECK_FAIL(handle_open(&h, O_RDONLY), ESTALE, "a handle that nobody made");
    REQUIRE(handle_get("f", &h, &id, 0) == 0);
    REQUIRE(chmod(".", 0777) == 0);
    CHECK_EQ(IN_CHILD({
                 become_user(12345);
                 CHECK_FAIL(handle_open(&h, O_RDONLY), EPERM, "needs CAP_DAC_READ_SEARCH");
                 CHECK_EQ(handle_get("f", &h, &id, 0), 0, "a handle is for everybody");
             }),
             0, "the user's checks end");
    leave();
}

CHECK_MAIN(CASE(there_and_back), CASE(renamed_and_linked), CASE(gone), CASE(directories),
           CASE(errors))
