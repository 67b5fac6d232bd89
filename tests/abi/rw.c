/* SPDX-License-Identifier: MIT */
/* Reading and writing: offsets, holes, cutting, vectors, positions, and what is refused. */
#include "check.h"

#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

static char buffer[70000];

static off_t size_of(const char *path)
{
    struct stat st;
    REQUIRE(stat(path, &st) == 0);
    return st.st_size;
}

static void offsets(void)
{
    int fd = open("f", O_RDWR | O_CREAT, 0644);
    CHECK_EQ(write(fd, "0123456789", 10), 10, "write");
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 10, "moves the offset");
    CHECK_EQ(read(fd, buffer, 10), 0, "at the end there is nothing to read");
    CHECK_EQ(lseek(fd, 2, SEEK_SET), 2, "SEEK_SET");
    CHECK_EQ(read(fd, buffer, 3), 3, "read");
    CHECK(!memcmp(buffer, "234", 3), "what is there");
    CHECK_EQ(lseek(fd, 2, SEEK_CUR), 7, "SEEK_CUR");
    CHECK_EQ(read(fd, buffer, 100), 3, "a read over the end is short");
    CHECK_EQ(lseek(fd, -4, SEEK_END), 6, "SEEK_END");
    CHECK_FAIL(lseek(fd, -11, SEEK_END), EINVAL, "an offset before the start");
    CHECK_FAIL(lseek(fd, 0, 99), EINVAL, "an unknown whence");
    CHECK_FAIL(lseek(999, 0, SEEK_SET), EBADF, "a bad descriptor");
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 6, "a failed seek moves nothing");
    CHECK_EQ(lseek(fd, 1000, SEEK_SET), 1000, "an offset beyond the end");
    CHECK_EQ(read(fd, buffer, 10), 0, "nothing is read there");
    CHECK_EQ(write(fd, "x", 1), 1, "a write there");
    CHECK_EQ(size_of("f"), 1001, "makes the file longer");
    CHECK_EQ(pread(fd, buffer, 100, 500), 100, "what is between");
    CHECK_EQ(buffer[0] | buffer[99], 0, "reads as zero");
    int fds[2];
    REQUIRE(pipe(fds) == 0);
    CHECK_FAIL(lseek(fds[0], 0, SEEK_CUR), ESPIPE, "a pipe has no offset");
    CHECK_FAIL(pread(fds[0], buffer, 1, 0), ESPIPE, "for pread neither");
    CHECK_EQ(write(fd, buffer, 0), 0, "a write of nothing");
    CHECK_EQ(lseek(fd, LONG_MAX, SEEK_SET), LONG_MAX, "the largest offset");
    CHECK_FAIL(write(fd, "x", 1), EINVAL, "where nothing can be written");
    CHECK_FAIL(lseek(fd, 1, SEEK_CUR), EINVAL, "one more is too much");
}

static void advice(void)
{
    int fd = open("f", O_RDWR | O_CREAT, 0644), path = open("f", O_PATH), fds[2];
    REQUIRE(pipe(fds) == 0);
    CHECK_EQ(write(fd, "0123456789", 10), 10, "write");
    for (int a = POSIX_FADV_NORMAL; a <= POSIX_FADV_NOREUSE; a++)
        CHECK_EQ(posix_fadvise(fd, 2, 4, a), 0, "advice");
    CHECK_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0, "on all of a file");
    CHECK_EQ(posix_fadvise(fd, 0, 0, 6), EINVAL, "unknown advice");
    CHECK_EQ(posix_fadvise(fd, 0, -1, POSIX_FADV_NORMAL), EINVAL, "a negative length");
    CHECK_EQ(posix_fadvise(fds[0], 0, 0, POSIX_FADV_NORMAL), ESPIPE, "for a pipe");
    CHECK_EQ(posix_fadvise(999, 0, 0, POSIX_FADV_NORMAL), EBADF, "for nothing");
    CHECK_EQ(posix_fadvise(path, 0, 0, POSIX_FADV_NORMAL), EBADF, "for a path");
    CHECK_EQ(pread(fd, buffer, 10, 0), 10, "the contents are");
    CHECK(!memcmp(buffer, "0123456789", 10), "as they were");
    CHECK_EQ(sync_file_range(fd, 0, 4, SYNC_FILE_RANGE_WRITE), 0, "sync_file_range");
    CHECK_EQ(sync_file_range(fd, 3, 0, 7), 0, "to the end, with all flags");
    CHECK_EQ(sync_file_range(fd, 3, 2, 0), 0, "without any");
    CHECK_FAIL(sync_file_range(fd, 0, 4, 8), EINVAL, "an unknown flag");
    CHECK_FAIL(sync_file_range(fd, -1, 4, 0), EINVAL, "a negative offset");
    CHECK_FAIL(sync_file_range(fd, 0, -1, 0), EINVAL, "a negative length");
    CHECK_FAIL(sync_file_range(fd, LONG_MAX, 2, 0), EINVAL, "an end beyond the largest offset");
    CHECK_FAIL(sync_file_range(fds[1], 0, 4, 0), ESPIPE, "for a pipe");
    CHECK_FAIL(sync_file_range(999, 0, 4, 0), EBADF, "for nothing");
}

static void positions(void)
{
    int fd = open("f", O_RDWR | O_CREAT, 0644);
    CHECK_EQ(pwrite(fd, "abcdef", 6, 10), 6, "pwrite");
    CHECK(size_of("f") == 16 && lseek(fd, 0, SEEK_CUR) == 0, "does not move the offset");
    CHECK(pread(fd, buffer, 3, 12) == 3 && !memcmp(buffer, "cde", 3), "pread");
    CHECK_EQ(pread(fd, buffer, 10, 16), 0, "at the end: nothing");
    CHECK_FAIL(pread(fd, buffer, 1, -1), EINVAL, "a negative offset");
    CHECK_FAIL(pwrite(fd, buffer, 1, -1), EINVAL, "to write");
    int in = open("f", O_RDONLY), out = open("f", O_WRONLY);
    CHECK_FAIL(pwrite(in, "x", 1, 0), EBADF, "pwrite for reading");
    CHECK_FAIL(pread(out, buffer, 1, 0), EBADF, "pread for writing");
}

static void vectors(void)
{
    char a[3], b[4], c[5];
    struct iovec out[3] = {{"one", 3}, {"", 0}, {"three", 5}};
    struct iovec in[3] = {{a, 3}, {b, 4}, {c, 5}};
    int fd = open("f", O_RDWR | O_CREAT, 0644);
    CHECK_EQ(writev(fd, out, 3), 8, "writev");
    REQUIRE(lseek(fd, 0, SEEK_SET) == 0);
    CHECK_EQ(readv(fd, in, 3), 8, "readv");
    CHECK(!memcmp(a, "one", 3) && !memcmp(b, "thre", 4) && c[0] == 'e',
          "fills one after the other");
    CHECK_EQ(pwritev(fd, out, 3, 100), 8, "pwritev");
    CHECK(preadv(fd, in, 2, 100) == 7 && !memcmp(b, "thre", 4), "preadv");
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 8, "they leave the offset");
    CHECK_EQ(readv(fd, in, 0), 0, "no parts");
    CHECK_FAIL(syscall(SYS_readv, fd, in, -1), EINVAL, "a negative number of parts");
    static struct iovec many[1025];
    for (int i = 0; i < 1025; i++)
        many[i] = (struct iovec){"x", 1};
    CHECK_EQ(writev(fd, many, 1024), 1024, "1024 parts");
    CHECK_FAIL(writev(fd, many, 1025), EINVAL, "1025 are too many");
    struct iovec huge = {buffer, (size_t)-1};
    CHECK_FAIL(readv(fd, &huge, 1), EINVAL, "a negative length");
    CHECK_FAIL(preadv(fd, in, 1, -1), EINVAL, "a negative offset");
    int fds[2];
    REQUIRE(pipe(fds) == 0);
    CHECK_EQ(writev(fds[1], out, 3), 8, "writev to a pipe");
    CHECK_EQ(readv(fds[0], in, 3), 8, "readv from it");
    if (!qemu_user_lacks("preadv2"))
        CHECK_EQ(preadv2(fd, in, 1, 0, 0), 3, "preadv2 without flags");
}

/* RWF_NOWAIT: what can be had at once, or EAGAIN. */
static void no_waiting(void)
{
    char text[16];
    struct iovec v = {text, sizeof(text)}, x = {"x", 1};
    int fd = open("f", O_RDWR | O_CREAT, 0644), s[2], p[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && pipe(p) == 0);
    if (qemu_user_lacks("RWF_NOWAIT"))
        return;
    REQUIRE(write(fd, "hello", 5) == 5);
    ssize_t n = preadv2(fd, &v, 1, 0, RWF_NOWAIT);
    if (n == -1 && errno == EOPNOTSUPP)
        SKIP("RWF_NOWAIT of a file", "not on this file system");
    else
        CHECK(n == 5 && !memcmp(text, "hello", 5), "RWF_NOWAIT of what is in memory");
    CHECK_FAIL(preadv2(s[0], &v, 1, -1, RWF_NOWAIT), EAGAIN, "of an empty socket");
    REQUIRE(write(s[1], "hi", 2) == 2);
    CHECK_EQ(preadv2(s[0], &v, 1, -1, RWF_NOWAIT), 2, "of one with something in it");
    CHECK_EQ(pwritev2(s[0], &x, 1, -1, RWF_NOWAIT), 1, "a write with room");
    if (preadv2(p[0], &v, 1, -1, RWF_NOWAIT) == -1 && errno == EOPNOTSUPP) {
        SKIP("RWF_NOWAIT of a pipe", "Linux has it since 6.4");
    } else {
        CHECK_FAIL(preadv2(p[0], &v, 1, -1, RWF_NOWAIT), EAGAIN, "of an empty pipe");
        REQUIRE(write(p[1], "pipe", 4) == 4);
        CHECK_EQ(preadv2(p[0], &v, 1, -1, RWF_NOWAIT), 4, "of one with something in it");
        while (pwritev2(p[1], &v, 1, -1, RWF_NOWAIT) > 0)
            ;
        CHECK_FAIL(pwritev2(p[1], &v, 1, -1, RWF_NOWAIT), EAGAIN, "a full one cannot be written");
    }
    CHECK_FAIL(preadv2(open("/proc/version", O_RDONLY), &v, 1, 0, RWF_NOWAIT), EOPNOTSUPP,
               "not of any file");
    CHECK_FAIL(preadv2(fd, &v, 1, 0, 0x4000000), EOPNOTSUPP, "an unknown flag");
}

static void cutting(void)
{
    int fd = open("f", O_RDWR | O_CREAT, 0644);
    memset(buffer, 'x', sizeof(buffer));
    REQUIRE(write(fd, buffer, 20000) == 20000);
    CHECK(truncate("f", 5000) == 0 && size_of("f") == 5000, "truncate");
    CHECK(ftruncate(fd, 12000) == 0 && size_of("f") == 12000, "ftruncate makes longer too");
    CHECK_EQ(pread(fd, buffer, 7000, 5000), 7000, "what was cut");
    int sum = 0;
    for (int i = 0; i < 7000; i++)
        sum |= buffer[i];
    CHECK_EQ(sum, 0, "reads as zero when it comes back");
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 20000, "the offset stays");
    CHECK_EQ(write(fd, "y", 1), 1, "and a write there");
    CHECK_EQ(size_of("f"), 20001, "leaves a hole");
    CHECK_FAIL(truncate("f", -1), EINVAL, "a negative length");
    CHECK_FAIL(ftruncate(fd, -1), EINVAL, "for ftruncate too");
    CHECK_FAIL(truncate("missing", 0), ENOENT, "a missing file");
    mkdir("d", 0755);
    CHECK_FAIL(truncate("d", 0), EISDIR, "a directory");
    CHECK_FAIL(truncate("f/x", 0), ENOTDIR, "below a file");
    int in = open("f", O_RDONLY), fds[2];
    CHECK_FAIL(ftruncate(in, 0), EINVAL, "a descriptor for reading");
    REQUIRE(pipe(fds) == 0);
    CHECK_FAIL(ftruncate(fds[1], 0), EINVAL, "a pipe");
    CHECK_FAIL(ftruncate(999, 0), EBADF, "a bad descriptor");
    struct stat st;
    CHECK(truncate("f", 0) == 0 && fstat(fd, &st) == 0 && st.st_blocks == 0,
          "cut to 0 it has no blocks");
}

static void holes(void)
{
    struct stat st;
    off_t far = 3l << 30;
    int fd = open("f", O_RDWR | O_CREAT, 0644);
    REQUIRE(pwrite(fd, "end", 3, far) == 3);
    CHECK(fstat(fd, &st) == 0 && st.st_size == far + 3, "a file of 3 GiB with a hole");
    CHECK(st.st_blocks * 512 < 1 << 20, "takes no more room than its data");
    CHECK(pread(fd, buffer, 10, 1 << 30) == 10 && buffer[0] == 0, "the hole reads as zero");
    CHECK(pread(fd, buffer, 10, far) == 3 && !memcmp(buffer, "end", 3), "the end is there");
    REQUIRE(ftruncate(fd, 0) == 0 && ftruncate(fd, 1 << 20) == 0);
    REQUIRE(pwrite(fd, "data", 4, 65536 * 4) == 4);
    CHECK_EQ(lseek(fd, 0, SEEK_HOLE), 0, "SEEK_HOLE finds the hole at the start");
    CHECK_EQ(lseek(fd, 0, SEEK_DATA), 65536 * 4, "SEEK_DATA the data");
    off_t hole = lseek(fd, 65536 * 4, SEEK_HOLE);
    CHECK(hole > 65536 * 4 && hole <= 65536 * 5, "SEEK_HOLE the hole behind it");
    CHECK_FAIL(lseek(fd, hole, SEEK_DATA), ENXIO, "no more data: ENXIO");
    CHECK_FAIL(lseek(fd, 1 << 20, SEEK_DATA), ENXIO, "at the end: ENXIO");
    CHECK_FAIL(lseek(fd, (1 << 20) + 1, SEEK_HOLE), ENXIO, "behind it: ENXIO");
    CHECK_FAIL(lseek(fd, -1, SEEK_HOLE), ENXIO, "before the start: ENXIO");
    REQUIRE(ftruncate(fd, 65536 * 4 + 4) == 0);
    CHECK_EQ(lseek(fd, 65536 * 4 + 1, SEEK_HOLE), 65536 * 4 + 4, "the end of a file is a hole");
}

static void sizes(void)
{
    /* Writes and reads of many lengths over the borders of pages. */
    static const int lengths[] = {1, 2, 511, 512, 4095, 4096, 4097, 8191, 10000, 65536, 69999};
    int fd = open("f", O_RDWR | O_CREAT, 0644), right = 1;
    off_t at = 0;
    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        for (int j = 0; j < lengths[i]; j++)
            buffer[j] = (at + j) * 7 % 251;
        right &= write(fd, buffer, lengths[i]) == lengths[i];
        at += lengths[i];
    }
    REQUIRE(lseek(fd, 0, SEEK_SET) == 0);
    at = 0;
    for (int i = ARRAY_SIZE(lengths) - 1; i >= 0; i--) {
        right &= read(fd, buffer, lengths[i]) == lengths[i];
        for (int j = 0; j < lengths[i]; j++)
            right &= buffer[j] == (char)((at + j) * 7 % 251);
        at += lengths[i];
    }
    CHECK(right, "writes and reads of many lengths");
    /* A thousand overwrites at random places, beside a model in memory. */
    static char model[30000];
    uint32_t random = 1;
    REQUIRE(ftruncate(fd, 0) == 0 && ftruncate(fd, sizeof(model)) == 0);
    for (int i = 0; i < 1000; i++) {
        random = random * 1664525 + 1013904223;
        int start = random % sizeof(model), length = (random >> 8) % 5000;
        length = start + length > (int)sizeof(model) ? (int)sizeof(model) - start : length;
        memset(model + start, i, length);
        right &= pwrite(fd, model + start, length, start) == length;
    }
    right &= pread(fd, buffer, sizeof(model), 0) == sizeof(model);
    CHECK(right && !memcmp(buffer, model, sizeof(model)), "a thousand overwrites");
}

static void together(void)
{
    /* Processes that append to one file lose nothing and do not mix lines. */
    int fd = open("log", O_WRONLY | O_CREAT | O_APPEND, 0644), bad = 0, lines[4] = {0};
    pid_t children[4];
    char line[64];
    for (int i = 0; i < 4; i++)
        children[i] = CHILD(for (int j = 0; j < 200; j++) {
            int length = snprintf(line, sizeof(line), "%d %d %.*s\n", i, j, j % 30,
                                  "------------------------------");
            if (write(fd, line, length) != length)
                _exit(1);
        });
    for (int i = 0; i < 4; i++)
        bad |= end_of(children[i]);
    FILE *file = fopen("log", "r");
    while (fgets(line, sizeof(line), file)) {
        int writer, number;
        if (sscanf(line, "%d %d", &writer, &number) != 2 || writer < 0 || writer > 3 ||
            lines[writer]++ != number)
            bad |= 2;
    }
    fclose(file);
    CHECK(bad == 0 && lines[0] + lines[1] + lines[2] + lines[3] == 800,
          "four processes append 800 lines, each whole and in order");
}

static void others(void)
{
    int fd = open("f", O_RDWR | O_CREAT, 0644);
    REQUIRE(write(fd, "0123456789", 10) == 10);
    CHECK_EQ(fsync(fd), 0, "fsync");
    CHECK_EQ(fdatasync(fd), 0, "fdatasync");
    CHECK_EQ(syncfs(fd), 0, "syncfs");
    CHECK_FAIL(fsync(999), EBADF, "fsync of a bad descriptor");
    int fds[2];
    REQUIRE(pipe(fds) == 0);
    CHECK_FAIL(fsync(fds[0]), EINVAL, "of a pipe");
    sync();
    CHECK(1, "sync");
    int result = posix_fallocate(fd, 0, 100);
    CHECK(result == 0 && size_of("f") == 100, "posix_fallocate makes a file longer");
    int to = open("g", O_RDWR | O_CREAT, 0644);
    off_t from = 2;
    ssize_t n = sendfile(to, fd, &from, 5);
    if (n < 0 && errno == ENOSYS) {
        SKIP("sendfile", "not there");
        return;
    }
    CHECK(n == 5 && from == 7 && pread(to, buffer, 10, 0) == 5 && !memcmp(buffer, "23456", 5),
          "sendfile");
}

CHECK_MAIN(CASE(offsets), CASE(advice), CASE(positions), CASE(vectors), CASE(no_waiting),
           CASE(cutting), CASE(holes), CASE(sizes), CASE(together), CASE(others))
