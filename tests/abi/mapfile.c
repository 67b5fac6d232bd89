/* SPDX-License-Identifier: MIT */
/* Mappings of files: shared and private, with read and write, over fork, beyond the end. */
#include "areas.h"

static void *map(int fd, int pages, int prot, int flags, int first)
{
    void *p = mmap(NULL, pages * PAGE, prot, flags, fd, first * (off_t)PAGE);
    REQUIRE(p != MAP_FAILED);
    return p;
}

static void contents(void)
{
    int fd = letters("f", 20);
    char *p = map(fd, 20, PROT_READ, MAP_SHARED, 0), *q = map(fd, 3, PROT_READ, MAP_PRIVATE, 7);
    int right = 1;
    for (int i = 0; i < 20; i++)
        right &= p[i * PAGE] == 'a' + i && p[i * PAGE + PAGE - 1] == 'a' + i;
    CHECK(right, "a mapping shows the file");
    CHECK(q[0] == 'h' && q[2 * PAGE] == 'j', "from an offset");
    CHECK_EQ(close(fd), 0, "the descriptor may be closed");
    CHECK_EQ(unlink("f"), 0, "the file removed");
    CHECK(p[19 * PAGE] == 't' && q[PAGE] == 'i', "the mapping remains");
    CHECK_EQ(munmap(p, 20 * PAGE), 0, "munmap");
    CHECK_EQ(q[0], 'h', "the other mapping is still there");
}

static void shared_writes(void)
{
    int fd = letters("f", 4);
    char byte, *p = map(fd, 4, READ_WRITE, MAP_SHARED, 0),
               *q = map(fd, 4, PROT_READ, MAP_SHARED, 0);
    p[PAGE + 5] = '!';
    CHECK(pread(fd, &byte, 1, PAGE + 5) == 1 && byte == '!', "a shared write is seen by read");
    CHECK_EQ(q[PAGE + 5], '!', "and by another mapping");
    REQUIRE(pwrite(fd, "?", 1, 2 * PAGE) == 1);
    CHECK(p[2 * PAGE] == '?' && q[2 * PAGE] == '?', "write is seen by the mappings");
    int other = open("f", O_RDONLY);
    CHECK(pread(other, &byte, 1, PAGE + 5) == 1 && byte == '!', "also through another open");
    IN_CHILD(p[3 * PAGE] = '#');
    CHECK_EQ(q[3 * PAGE], '#', "a child's shared write is seen by the parent");
    CHECK_EQ(IN_CHILD(char *own = map(other, 4, PROT_READ, MAP_SHARED, 0);
                      _exit(own[3 * PAGE] == '#' ? 0 : 1)),
             0, "and by a mapping made later");
    CHECK_EQ(msync(p, 4 * PAGE, MS_SYNC), 0, "msync MS_SYNC");
    CHECK_EQ(msync(p, 4 * PAGE, MS_ASYNC), 0, "msync MS_ASYNC");
    CHECK_FAIL(msync(p, PAGE, MS_SYNC | MS_ASYNC), EINVAL, "both at once");
    CHECK_FAIL(msync(p, PAGE, 0x100), EINVAL, "unknown flags");
    CHECK_FAIL(msync(p + 1, PAGE, MS_SYNC), EINVAL, "an address that is not aligned");
    munmap(q, 4 * PAGE);
    if (!qemu_user_lacks("msync of unmapped memory"))
        CHECK_FAIL(msync(q, PAGE, MS_SYNC), ENOMEM, "nothing mapped");
}

static void private_writes(void)
{
    int fd = letters("f", 4);
    char byte, *p = map(fd, 4, READ_WRITE, MAP_PRIVATE, 0),
               *q = map(fd, 4, PROT_READ, MAP_SHARED, 0);
    p[5] = '!';
    CHECK(pread(fd, &byte, 1, 5) == 1 && byte == 'a', "a private write does not reach the file");
    CHECK_EQ(q[5], 'a', "nor a shared mapping");
    REQUIRE(pwrite(fd, "?", 1, 6) == 1);
    CHECK_EQ(q[6], '?', "a write to the file reaches the shared mapping");
    CHECK_EQ(p[6], 'a', "but not a page that was copied");
    IN_CHILD(p[7] = '#'; p[PAGE] = '#');
    CHECK(p[7] == 'a' && p[PAGE] == 'b', "a child's private write is the child's own");
    CHECK(p[5] == '!', "and the parent's own is still there");
    int again = IN_CHILD(_exit(p[5] == '!' && p[2 * PAGE] == 'c' ? 0 : 1));
    CHECK_EQ(again, 0, "a child sees the parent's private write");
}

static void permissions(void)
{
    letters("f", 1);
    int in = open("f", O_RDONLY), out = open("f", O_WRONLY), path = open("f", O_PATH);
    CHECK(mmap(NULL, PAGE, READ_WRITE, MAP_SHARED, in, 0) == MAP_FAILED && errno == EACCES,
          "shared and writable, but not open for writing: EACCES");
    CHECK(mmap(NULL, PAGE, READ_WRITE, MAP_PRIVATE, in, 0) != MAP_FAILED,
          "private and writable needs reading alone");
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, out, 0) == MAP_FAILED && errno == EACCES,
          "not open for reading: EACCES");
    CHECK(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, out, 0) == MAP_FAILED && errno == EACCES,
          "even if only written: EACCES");
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, path, 0) == MAP_FAILED && errno == EBADF,
          "an O_PATH descriptor: EBADF");
    char *p = map(in, 1, PROT_READ, MAP_SHARED, 0);
    CHECK_FAIL(mprotect(p, PAGE, READ_WRITE), EACCES, "mprotect cannot make it writable: EACCES");
    char *q = map(in, 1, PROT_READ, MAP_PRIVATE, 0);
    CHECK_EQ(mprotect(q, PAGE, READ_WRITE), 0, "a private mapping it can");
    q[0] = 'z';
    CHECK(q[0] == 'z' && p[0] == 'a', "then the write stays private");
    int both = open("f", O_RDWR);
    CHECK(mmap(NULL, PAGE, READ_WRITE, MAP_SHARED, both, 0) != MAP_FAILED,
          "open for both: all goes");
}

static void other_files(void)
{
    int fds[2], directory = open(".", O_RDONLY);
    REQUIRE(pipe(fds) == 0);
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fds[0], 0) == MAP_FAILED && errno == ENODEV,
          "a pipe cannot be mapped: ENODEV");
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, directory, 0) == MAP_FAILED && errno == ENODEV,
          "nor a directory: ENODEV");
    int fd = letters("f", 1);
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 100) == MAP_FAILED && errno == EINVAL,
          "an offset that is not aligned: EINVAL");
    CHECK(mmap(NULL, 0, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED && errno == EINVAL,
          "a length of 0: EINVAL");
    int zero = open("/dev/zero", O_RDWR);
    volatile char *p = mmap(NULL, 4 * PAGE, READ_WRITE, MAP_PRIVATE, zero, 0);
    CHECK((void *)p != MAP_FAILED && p[PAGE] == 0, "/dev/zero maps as zeroes");
    p[PAGE] = 1;
    CHECK_EQ(p[PAGE], 1, "that can be written");
    p = mmap(NULL, PAGE, READ_WRITE, MAP_SHARED, zero, 0);
    REQUIRE((void *)p != MAP_FAILED);
    IN_CHILD(p[0] = 9);
    CHECK_EQ(p[0], 9, "mapped shared it is shared memory");
    int null = open("/dev/null", O_RDWR);
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, null, 0) == MAP_FAILED && errno == ENODEV,
          "/dev/null cannot be mapped: ENODEV");
}

static void sizes(void)
{
    int fd = open("f", O_RDWR | O_CREAT, 0644);
    char buffer[PAGE], *p;
    REQUIRE(write(fd, "hello", 5) == 5);
    p = map(fd, 1, READ_WRITE, MAP_SHARED, 0);
    CHECK(!memcmp(p, "hello\0\0", 7) && p[4095] == 0, "behind the end the page is zero");
    p[5] = '!';
    CHECK_EQ(lseek(fd, 0, SEEK_END), 5, "a write behind the end does not make the file longer");
    CHECK_EQ(pread(fd, buffer, PAGE, 0), 5, "nor is it read");
    REQUIRE(ftruncate(fd, 10) == 0);
    CHECK(pread(fd, buffer, PAGE, 0) == 10, "the file can be made longer");
    CHECK(!memcmp(p, "hello", 5), "under the mapping");
    REQUIRE(pwrite(fd, "end", 3, 100) == 3);
    CHECK(!memcmp(p + 100, "end", 3) && p[50] == 0, "the mapping follows");
    REQUIRE(ftruncate(fd, 0) == 0);
    p = map(fd, 4, READ_WRITE, MAP_SHARED, 0);
    REQUIRE(ftruncate(fd, 4 * PAGE) == 0);
    p[3 * PAGE] = 'x';
    struct stat st;
    REQUIRE(fstat(fd, &st) == 0);
    CHECK(pread(fd, buffer, 1, 3 * PAGE) == 1 && buffer[0] == 'x',
          "a page of a hole is written to");
    CHECK(st.st_size == 4 * PAGE && st.st_blocks <= 4 * 8, "st_blocks counts what is there");
    CHECK(p[PAGE] == 0 && p[2 * PAGE] == 0, "the rest of the hole reads as zero");
}

static void read_into_mapping(void)
{
    int fd = letters("f", 8);
    char *p = map(fd, 8, READ_WRITE, MAP_SHARED, 0), *q = map(fd, 8, READ_WRITE, MAP_PRIVATE, 0);
    CHECK_EQ(pread(fd, q + PAGE, PAGE, 4 * PAGE), PAGE,
             "read into a private mapping of the same file");
    CHECK(q[PAGE] == 'e' && p[PAGE] == 'b', "changes the private page alone");
    CHECK_EQ(pwrite(fd, p + 2 * PAGE, PAGE, 5 * PAGE), PAGE,
             "write from a mapping of the same file");
    CHECK(p[5 * PAGE] == 'c', "copies the page");
    CHECK_EQ(pwrite(fd, p + 6 * PAGE, PAGE, 6 * PAGE), PAGE, "a page onto itself");
    CHECK_EQ(p[6 * PAGE], 'g', "leaves it as it is");
    CHECK_EQ(pread(fd, p + 7 * PAGE, PAGE, 0), PAGE, "read into a shared mapping of the same file");
    char byte;
    CHECK(pread(fd, &byte, 1, 7 * PAGE) == 1 && byte == 'a', "writes the file");
}

static void maps_file(void)
{
    char text[65536], want[PATH_MAX + 64], here[PATH_MAX];
    int fd = letters("mapped", 4);
    REQUIRE(getcwd(here, sizeof(here)));
    char *p = map(fd, 2, PROT_READ, MAP_SHARED, 1);
    if (qemu_user_lacks("/proc/self/maps"))
        return;
    REQUIRE(read_file("/proc/self/maps", text, sizeof(text)) > 0);
    snprintf(want, sizeof(want), "%lx-%lx r--s 00001000 ", (long)p, (long)p + 2 * PAGE);
    char *line = strstr(text, want);
    CHECK(line != NULL, "/proc/self/maps tells addresses, protections and offset");
    struct stat st;
    fstat(fd, &st);
    snprintf(want, sizeof(want), " %lu ", (long)st.st_ino);
    char *ino = line ? strstr(line, want) : NULL;
    CHECK(ino && ino < strchr(line, '\n'), "and the inode");
    snprintf(want, sizeof(want), "%s/mapped\n", here);
    char *name = line ? strstr(line, want) : NULL;
    CHECK(name && name < strchr(line, '\n'), "and the path");
    CHECK(strstr(text, "[stack]") && strstr(text, "[heap]"), "stack and heap are named");
    unlink("mapped");
    REQUIRE(read_file("/proc/self/maps", text, sizeof(text)) > 0);
    CHECK(strstr(text, "/mapped (deleted)\n"), "a removed file is told as deleted");
}

static void many_pages(void)
{
    int fd = letters("f", 300), right = 1;
    char *p = map(fd, 300, READ_WRITE, MAP_SHARED, 0);
    for (int i = 0; i < 300; i += 3)
        p[i * PAGE + i] = '0';
    for (int i = 0; i < 300; i++) {
        char byte;
        right &= pread(fd, &byte, 1, i * PAGE + i) == 1 && byte == (i % 3 ? 'a' + i % 26 : '0');
    }
    CHECK(right, "300 pages, every third written");
    CHECK_EQ(ftruncate(fd, 10 * PAGE), 0, "cut to ten while mapped");
    CHECK_EQ(p[9 * PAGE + 9], '0', "the rest remains");
    REQUIRE(ftruncate(fd, 300 * PAGE) == 0);
    right = 1;
    for (int i = 10; i < 300; i++)
        right &= p[i * PAGE + i] == 0;
    CHECK(right, "made longer again, it reads as zero");
}

CHECK_MAIN(CASE(contents), CASE(shared_writes), CASE(private_writes), CASE(permissions),
           CASE(other_files), CASE(sizes), CASE(read_into_mapping), CASE(maps_file),
           CASE(many_pages))
