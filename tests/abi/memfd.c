/* SPDX-License-Identifier: MIT */
/* memfd_create and seals: what each forbids, mappings, names, programs, errors. */
#include "check.h"

#include <linux/memfd.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x10
#endif

static int make(unsigned flags)
{
    int fd = memfd_create("name", flags);
    REQUIRE(fd >= 0);
    return fd;
}

static int seal(int fd, int seals)
{
    return fcntl(fd, F_ADD_SEALS, seals);
}

static void *map(int fd, int prot, int flags)
{
    return mmap(NULL, 4096, prot, flags, fd, 0);
}

/* 0, or the errno of the failed mmap. */
static int map_error(int fd, int prot, int flags)
{
    void *p = map(fd, prot, flags);
    if (p == MAP_FAILED)
        return errno;
    munmap(p, 4096);
    return 0;
}

static void files(void)
{
    char buffer[16] = "";
    struct stat st;
    int fd = make(MFD_CLOEXEC);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC, "MFD_CLOEXEC");
    CHECK_EQ(fcntl(make(0), F_GETFD), 0, "without it");
    CHECK_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR, "for reading and writing");
    CHECK(fstat(fd, &st) == 0 && st.st_size == 0 && st.st_nlink == 0, "empty, without a name");
    CHECK_EQ(st.st_mode, S_IFREG | 0777, "a regular file");
    CHECK_EQ(write(fd, "hello", 5), 5, "write");
    CHECK(pread(fd, buffer, 5, 0) == 5 && !strcmp(buffer, "hello"), "and read");
    CHECK_EQ(lseek(fd, 0, SEEK_END), 5, "it has positions");
    CHECK_EQ(ftruncate(fd, 8192), 0, "and a size");
    char *p = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
    CHECK(p != MAP_FAILED && !memcmp(p, "hello", 5), "it can be mapped");
    p[0] = 'J';
    CHECK(pread(fd, buffer, 5, 0) == 5 && buffer[0] == 'J', "which is the same memory");
    CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL, "it cannot be sealed");
    CHECK_FAIL(seal(fd, F_SEAL_WRITE), EPERM, "really not");
}

static void growing(void)
{
    static char page[4096];
    int fd = make(MFD_ALLOW_SEALING);
    REQUIRE(ftruncate(fd, 5000) == 0);
    CHECK_EQ(fcntl(fd, F_GET_SEALS), 0, "no seals yet");
    CHECK_EQ(seal(fd, F_SEAL_GROW), 0, "F_SEAL_GROW");
    CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_GROW, "F_GET_SEALS");
    CHECK_FAIL(ftruncate(fd, 5001), EPERM, "no greater size");
    CHECK_EQ(ftruncate(fd, 5000), 0, "the same one");
    CHECK_EQ(pwrite(fd, page, 1000, 4000), 1000, "a write up to the end");
    CHECK_FAIL(pwrite(fd, page, 1001, 4097), EPERM, "one beyond it");
    CHECK_EQ(pwrite(fd, page, 4096, 4000), 96, "ends with the last whole page");
    CHECK_FAIL(fallocate(fd, 0, 0, 6000), EPERM, "fallocate cannot either");
    CHECK_EQ(fallocate(fd, 0, 0, 5000), 0, "unless within");
    CHECK_EQ(ftruncate(fd, 100), 0, "it may shrink");
}

static void shrinking(void)
{
    int fd = make(MFD_ALLOW_SEALING);
    REQUIRE(ftruncate(fd, 5000) == 0);
    CHECK_EQ(seal(fd, F_SEAL_SHRINK), 0, "F_SEAL_SHRINK");
    CHECK_FAIL(ftruncate(fd, 4999), EPERM, "no smaller size");
    CHECK_EQ(ftruncate(fd, 6000), 0, "a greater one");
    CHECK_FAIL(ftruncate(fd, 5000), EPERM, "and not back");
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (!qemu_user_lacks("open with O_TRUNC")) {
        CHECK_FAIL(open(path, O_RDWR | O_TRUNC), EPERM, "open with O_TRUNC");
        int again = open(path, O_RDONLY);
        CHECK(again >= 0, "opened again for reading");
        CHECK_EQ(fcntl(again, F_GET_SEALS), F_SEAL_SHRINK, "it is the same file");
        CHECK_FAIL(seal(again, F_SEAL_GROW), EPERM, "sealing wants a file open for writing");
    }
}

static void writing(void)
{
    char byte = 'x';
    int fd = make(MFD_ALLOW_SEALING);
    REQUIRE(ftruncate(fd, 8192) == 0);
    char *p = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
    CHECK_FAIL(seal(fd, F_SEAL_WRITE), EBUSY, "F_SEAL_WRITE while it is mapped for writing");
    CHECK_EQ(mprotect(p, 4096, PROT_READ), 0, "a mapping that could be made writable");
    CHECK_FAIL(seal(fd, F_SEAL_WRITE), EBUSY, "counts too");
    pid_t child = CHILD(pause());
    munmap(p, 4096);
    CHECK_FAIL(seal(fd, F_SEAL_WRITE), EBUSY, "and so does another process's");
    kill(child, SIGKILL);
    end_of(child);
    void *copy = map(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    CHECK_EQ(seal(fd, F_SEAL_WRITE), 0, "F_SEAL_WRITE");
    CHECK_FAIL(write(fd, &byte, 1), EPERM, "no write");
    CHECK_FAIL(pwrite(fd, &byte, 1, 100), EPERM, "nor elsewhere");
    CHECK_EQ(map_error(fd, PROT_READ | PROT_WRITE, MAP_SHARED), EPERM, "no shared mapping");
    CHECK_EQ(map_error(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE), 0, "a private one");
    CHECK_FAIL(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), EPERM,
               "no holes");
    CHECK_EQ(ftruncate(fd, 4096), 0, "the size may change");
    *(char *)copy = 'y';
    CHECK(pread(fd, &byte, 1, 0) == 1 && byte == 0, "private copies are private");
}

static void writing_later(void)
{
    char byte = 'x';
    int fd = make(MFD_ALLOW_SEALING);
    REQUIRE(ftruncate(fd, 8192) == 0);
    char *p = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
    CHECK_EQ(seal(fd, F_SEAL_FUTURE_WRITE), 0, "F_SEAL_FUTURE_WRITE");
    *p = 'z';
    CHECK(pread(fd, &byte, 1, 0) == 1 && byte == 'z', "mappings that were there can write");
    CHECK_FAIL(write(fd, &byte, 1), EPERM, "no write");
    CHECK_EQ(map_error(fd, PROT_READ | PROT_WRITE, MAP_SHARED), EPERM, "no new mapping");
    char *q = map(fd, PROT_READ, MAP_SHARED);
    CHECK(q != MAP_FAILED && *q == 'z', "but for reading");
    CHECK_FAIL(mprotect(q, 4096, PROT_READ | PROT_WRITE), EACCES, "which stays so");
    munmap(p, 4096);
    CHECK_EQ(seal(fd, F_SEAL_WRITE), 0, "then F_SEAL_WRITE is possible");
    CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_FUTURE_WRITE | F_SEAL_WRITE, "both are set");
}

/* A mapping that is split, merged, moved and unmapped in parts is counted right. */
static void counting(void)
{
    int fd = make(MFD_ALLOW_SEALING);
    REQUIRE(ftruncate(fd, 8 * 4096) == 0);
    char *p = mmap(NULL, 8 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    REQUIRE(p != MAP_FAILED);
    REQUIRE(mprotect(p + 4096, 4096, PROT_READ) == 0 && munmap(p + 3 * 4096, 4096) == 0);
    REQUIRE(mprotect(p + 4096, 4096, PROT_READ | PROT_WRITE) == 0);
    p[0] = p[7 * 4096] = 1;
    REQUIRE(munmap(p, 3 * 4096) == 0);
    CHECK_FAIL(seal(fd, F_SEAL_WRITE), EBUSY, "a part is mapped");
    REQUIRE(munmap(p, 8 * 4096) == 0);
    CHECK_EQ(seal(fd, F_SEAL_WRITE), 0, "none is");
    fd = make(MFD_ALLOW_SEALING);
    REQUIRE(ftruncate(fd, 4096) == 0);
    for (int i = 0; i < 20; i++)
        REQUIRE(IN_CHILD(*(char *)map(fd, PROT_READ | PROT_WRITE, MAP_SHARED) = i) == 0);
    CHECK_EQ(seal(fd, F_SEAL_WRITE), 0, "processes that end give theirs back");
}

static void errors(void)
{
    char name[260];
    int fd = make(MFD_ALLOW_SEALING);
    memset(name, 'n', sizeof(name));
    name[249] = 0;
    CHECK(memfd_create(name, 0) >= 0, "the longest name");
    CHECK(memfd_create("", 0) >= 0, "and the shortest");
    CHECK(memfd_create("a/b", 0) >= 0, "a slash is nothing special");
    name[249] = 'n';
    name[250] = 0;
    CHECK_FAIL(memfd_create(name, 0), EINVAL, "a name that is too long");
    CHECK_FAIL(syscall(SYS_memfd_create, unmapped_page(), 0), EFAULT, "a bad address");
    CHECK_FAIL(memfd_create("x", 0x20), EINVAL, "an unknown flag");
    CHECK_FAIL(memfd_create("x", 21u << 26), EINVAL, "a page size without MFD_HUGETLB");
    CHECK_FAIL(seal(fd, 0x4000), EINVAL, "an unknown seal");
    CHECK_EQ(seal(fd, F_SEAL_SEAL), 0, "F_SEAL_SEAL");
    CHECK_FAIL(seal(fd, F_SEAL_GROW), EPERM, "then no more");
    CHECK_FAIL(seal(fd, F_SEAL_SEAL), EPERM, "not even the same");
    CHECK_EQ(fcntl(fd, F_GET_SEALS, -1L), F_SEAL_SEAL, "F_GET_SEALS looks at no argument");
    int pipes[2];
    REQUIRE(pipe(pipes) == 0);
    CHECK_FAIL(fcntl(pipes[1], F_GET_SEALS), EINVAL, "a pipe has no seals");
    CHECK_FAIL(seal(pipes[1], F_SEAL_GROW), EINVAL, "and gets none");
    write_file("f", "", 0644);
    CHECK_EQ(fcntl(open("f", O_RDWR), F_GET_SEALS), F_SEAL_SEAL, "a file of tmpfs");
}

static void information(void)
{
    char path[64], text[512];
    int fd = memfd_create("shown", 0);
    if (qemu_user_lacks("/proc/self/fd"))
        return;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    text[readlink(path, text, sizeof(text) - 1)] = 0;
    CHECK_STR(text, "/memfd:shown (deleted)", "the link in /proc/self/fd");
    REQUIRE(ftruncate(fd, 4096) == 0 && map(fd, PROT_READ, MAP_SHARED) != MAP_FAILED);
    static char maps[65536];
    REQUIRE(read_file("/proc/self/maps", maps, sizeof(maps)) > 0);
    CHECK(strstr(maps, "/memfd:shown (deleted)\n"), "and in the list of mappings");
}

/* A program in memory. */
static void executing(void)
{
    char buffer[65536];
    ssize_t n;
    int fd = make(MFD_CLOEXEC), self = open(check_state->self, O_RDONLY);
    if (qemu_user_lacks("a program in memory"))
        return;
    while ((n = read(self, buffer, sizeof(buffer))) > 0)
        REQUIRE(write(fd, buffer, n) == n);
    CHECK_EQ(IN_CHILD({
                 char *argv[] = {"self", "--probe", NULL};
                 int null = open("/dev/null", O_WRONLY);
                 dup2(null, 1);
                 setenv("ABI_CASE", "none", 1);
                 fexecve(fd, argv, environ);
                 _exit(99);
             }),
             0, "a program in memory");
}

CHECK_MAIN(CASE(files), CASE(growing), CASE(shrinking), CASE(writing), CASE(writing_later),
           CASE(counting), CASE(errors), CASE(information), CASE(executing))
