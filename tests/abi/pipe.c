/* SPDX-License-Identifier: MIT */
/* Pipes and FIFOs: ends, atomic writes, blocking, SIGPIPE, sizes, rules of opening. */
#include "check.h"

#include <sys/ioctl.h>

static char data[262144], got[262144];
static volatile int broken;

static void on_pipe(int signal)
{
    (void)signal;
    broken++;
}

static void basics(void)
{
    int fds[2];
    CHECK_EQ(pipe(fds), 0, "pipe");
    CHECK_EQ(write(fds[1], "hello", 5), 5, "write");
    CHECK(read(fds[0], got, 2) == 2 && !memcmp(got, "he", 2), "a read takes what it asks for");
    CHECK(read(fds[0], got, 100) == 3 && !memcmp(got, "llo", 3), "and at most what is there");
    CHECK_FAIL(read(fds[1], got, 1), EBADF, "the write end cannot be read");
    CHECK_FAIL(write(fds[0], "x", 1), EBADF, "nor the read end written");
    REQUIRE(write(fds[1], "rest", 4) == 4);
    close(fds[1]);
    CHECK_EQ(read(fds[0], got, 100), 4, "after the last writer's close the rest is read");
    CHECK_EQ(read(fds[0], got, 100), 0, "then comes the end");
    CHECK_EQ(read(fds[0], got, 100), 0, "for ever");
    REQUIRE(pipe(fds) == 0);
    close(fds[0]);
    CHECK_EQ(IN_CHILD(write(fds[1], "x", 1)), 128 + SIGPIPE, "a write without a reader is SIGPIPE");
    handle_flags(SIGPIPE, on_pipe, 0);
    CHECK_FAIL(write(fds[1], "x", 1), EPIPE, "and EPIPE if that is caught");
    CHECK_EQ(broken, 1, "once");
    signal(SIGPIPE, SIG_IGN);
    CHECK_FAIL(write(fds[1], "x", 1), EPIPE, "or ignored");
    CHECK_EQ(write(fds[1], "x", 0), 0, "a write of nothing is none");
    CHECK_FAIL(pipe2(fds, 0x1234), EINVAL, "pipe2 with unknown flags");
    REQUIRE(pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
    CHECK(fcntl(fds[0], F_GETFD) == FD_CLOEXEC && fcntl(fds[1], F_GETFD) == FD_CLOEXEC,
          "pipe2 with O_CLOEXEC");
    CHECK((fcntl(fds[0], F_GETFL) & O_NONBLOCK) && (fcntl(fds[1], F_GETFL) & O_NONBLOCK),
          "and O_NONBLOCK");
    CHECK_EQ(fcntl(fds[0], F_GETFL) & O_ACCMODE, O_RDONLY, "the read end is for reading");
    CHECK_EQ(fcntl(fds[1], F_GETFL) & O_ACCMODE, O_WRONLY, "the write end for writing");
}

static void without_blocking(void)
{
    int fds[2], bytes = -1;
    REQUIRE(pipe2(fds, O_NONBLOCK) == 0);
    CHECK_FAIL(read(fds[0], got, 1), EAGAIN, "an empty pipe: EAGAIN");
    ssize_t total = 0, n;
    while ((n = write(fds[1], data, 4096)) > 0)
        total += n;
    int error = errno;
    CHECK(n == -1 && error == EAGAIN && total == 65536, "64 KiB fit, then EAGAIN");
    CHECK(ioctl(fds[0], FIONREAD, &bytes) == 0 && bytes == 65536, "FIONREAD tells how much");
    REQUIRE(read(fds[0], got, 100) == 100);
    CHECK_FAIL(write(fds[1], data, 4096), EAGAIN, "a write of PIPE_BUF fits whole or not at all");
    REQUIRE(read(fds[0], got, 4096) == 4096);
    CHECK_EQ(write(fds[1], data, 4096), 4096, "with a page free it fits");
    REQUIRE(read(fds[0], got, 8192) == 8192);
    n = write(fds[1], data, 20000);
    CHECK(n > 0 && n < 20000, "a larger one is written in part");
    close(fds[1]);
    total = 0;
    while ((n = read(fds[0], got, sizeof(got))) > 0)
        total += n;
    CHECK(n == 0 && total > 50000, "all that was written is read, then the end: 0, not EAGAIN");
}

static void capacity(void)
{
    int fds[2];
    REQUIRE(pipe2(fds, O_NONBLOCK) == 0);
    CHECK_EQ(fcntl(fds[1], F_GETPIPE_SZ), 65536, "F_GETPIPE_SZ");
    CHECK_EQ(fcntl(fds[1], F_SETPIPE_SZ, 100), 4096, "F_SETPIPE_SZ rounds up to a page");
    CHECK_EQ(write(fds[1], data, 8192), 4096, "and takes effect");
    CHECK_EQ(fcntl(fds[1], F_SETPIPE_SZ, 10000), 16384, "to a power of two");
    CHECK_EQ(write(fds[1], data, 20000), 12288, "what is in it stays");
    CHECK_FAIL(fcntl(fds[1], F_SETPIPE_SZ, 4096), EBUSY, "less than what is in it: EBUSY");
    CHECK_EQ(read(fds[0], got, 20000), 16384, "all can be read");
    CHECK_EQ(fcntl(fds[1], F_SETPIPE_SZ, 1 << 20), 1 << 20, "a megabyte");
    int file = open("f", O_RDWR | O_CREAT, 0644);
    CHECK_FAIL(fcntl(file, F_GETPIPE_SZ), EBADF, "of a file");
}

static void streams(void)
{
    int fds[2], bad = 0;
    REQUIRE(pipe(fds) == 0);
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = i * 31 % 253;
    pid_t child =
        CHILD(close(fds[0]); _exit(write(fds[1], data, sizeof(data)) == sizeof(data) ? 0 : 1));
    close(fds[1]);
    size_t total = 0;
    ssize_t n;
    while ((n = read(fds[0], got + total, 1000 + total % 5000)) > 0)
        total += n;
    CHECK_EQ(end_of(child), 0, "one large write goes through in pieces");
    CHECK(total == sizeof(data) && !memcmp(data, got, total), "and arrives as it was");
    /* Writes of up to PIPE_BUF bytes from several processes do not mix. */
    REQUIRE(pipe(fds) == 0);
    pid_t children[4];
    for (int i = 0; i < 4; i++)
        children[i] = CHILD(char line[4096]; memset(line, 'a' + i, sizeof(line));
                            for (int j = 0; j < 40; j++) write(fds[1], line, sizeof(line)));
    close(fds[1]);
    int blocks = 0;
    while (1) {
        size_t have = 0;
        while (have < 4096 && (n = read(fds[0], got + have, 4096 - have)) > 0)
            have += n;
        if (have == 0)
            break;
        for (int i = 1; i < 4096; i++)
            bad |= got[i] != got[0];
        blocks++;
    }
    for (int i = 0; i < 4; i++)
        end_of(children[i]);
    CHECK(!bad && blocks == 160, "writes of PIPE_BUF bytes are atomic");
}

static void blocking(void)
{
    struct gate gate = gate_make();
    int fds[2];
    char byte;
    REQUIRE(pipe(fds) == 0);
    pid_t child = CHILD(close(fds[1]); _exit(read(fds[0], &byte, 1) == 1 ? byte : 1));
    await_state(child, "S");
    REQUIRE(write(fds[1], "\x42", 1) == 1);
    CHECK_EQ(end_of(child), 0x42, "a reader sleeps until there is something");
    REQUIRE(fcntl(fds[1], F_SETPIPE_SZ, 4096) == 4096 && write(fds[1], data, 4096) == 4096);
    child = CHILD(_exit(write(fds[1], data, 4096) == 4096 ? 7 : 1));
    await_state(child, "S");
    CHECK_EQ(read(fds[0], got, 4096), 4096, "a writer sleeps until there is room");
    CHECK_EQ(end_of(child), 7, "and then writes");
    child = CHILD(signal(SIGPIPE, SIG_IGN); close(fds[0]);
                  _exit(write(fds[1], data, 8192) == -1 && errno == EPIPE ? 7
                        : write(fds[1], data, 1) == -1 && errno == EPIPE  ? 8
                                                                          : 1));
    await_state(child, "S");
    close(fds[0]);
    int end = end_of(child);
    CHECK(end == 7 || end == 8, "the last reader's close wakes a writer");
    (void)gate;
}

static void fifos(void)
{
    struct gate gate = gate_make();
    char byte;
    CHECK_EQ(mkfifo("p", 0600), 0, "mkfifo");
    CHECK_FAIL(mkfifo("p", 0600), EEXIST, "a name that is taken");
    CHECK_FAIL(open("p", O_WRONLY | O_NONBLOCK), ENXIO, "O_WRONLY | O_NONBLOCK without a reader");
    int in = open("p", O_RDONLY | O_NONBLOCK);
    CHECK(in >= 0, "O_RDONLY | O_NONBLOCK opens without a writer");
    CHECK_EQ(read(in, &byte, 1), 0, "and reads the end");
    int out = open("p", O_WRONLY | O_NONBLOCK);
    CHECK(out >= 0, "with a reader there O_WRONLY opens");
    CHECK_FAIL(read(in, &byte, 1), EAGAIN, "with a writer there a read is EAGAIN");
    REQUIRE(write(out, "x", 1) == 1);
    CHECK(read(in, &byte, 1) == 1 && byte == 'x', "data go through");
    close(in);
    signal(SIGPIPE, SIG_IGN);
    CHECK_FAIL(write(out, "x", 1), EPIPE, "without a reader EPIPE");
    close(out);
    int both = open("p", O_RDWR);
    CHECK(both >= 0, "O_RDWR opens at once");
    CHECK(write(both, "y", 1) == 1 && read(both, &byte, 1) == 1 && byte == 'y', "and is both ends");
    REQUIRE(write(both, "z", 1) == 1);
    close(both);
    both = open("p", O_RDWR | O_NONBLOCK);
    CHECK_FAIL(read(both, &byte, 1), EAGAIN, "what nobody read is gone with the last close");
    close(both);
    pid_t child = CHILD(int fd = open("p", O_RDONLY); _exit(read(fd, &byte, 1) == 1 ? byte : 1));
    out = open("p", O_WRONLY);
    CHECK(out >= 0 && write(out, "\x21", 1) == 1 && end_of(child) == 0x21,
          "reader and writer wait for each other in open");
    close(out);
    child = CHILD(int fd = open("p", O_WRONLY); gate_pass(gate); write(fd, "\x22", 1));
    in = open("p", O_RDONLY);
    gate_open(gate);
    CHECK(in >= 0 && read(in, &byte, 1) == 1 && byte == 0x22, "also the other way round");
    end_of(child);
    CHECK_EQ(read(in, &byte, 1), 0, "the writer has gone");
    /* A writer that came and went while the reader waited lets the open return. */
    close(in);
    child = CHILD(_exit(open("p", O_RDONLY) >= 0 ? 5 : 1));
    await_state(child, "S");
    close(open("p", O_WRONLY));
    CHECK_EQ(end_of(child), 5, "a writer that only opens and closes releases the reader");
}

/* A pipe opened once more by way of /proc waits for nobody. */
static void opened_again(void)
{
    int ends[2];
    char name[32], text[8];
    REQUIRE(pipe(ends) == 0 && write(ends[1], "left", 4) == 4);
    close(ends[1]);
    snprintf(name, sizeof(name), "/proc/self/fd/%d", ends[0]);
    int in = open(name, O_RDONLY);
    CHECK(in >= 0, "the reading end opens again though the writer has gone");
    CHECK(read(in, text, 8) == 4 && read(in, text, 8) == 0, "reads what is left, then the end");
    int out = open(name, O_WRONLY);
    CHECK(out >= 0 && write(out, "new", 3) == 3 && read(ends[0], text, 8) == 3,
          "and opens for writing");
    close(in);
    close(ends[0]);
    snprintf(name, sizeof(name), "/proc/self/fd/%d", out);
    int again = open(name, O_WRONLY | O_NONBLOCK);
    signal(SIGPIPE, SIG_IGN);
    CHECK(again >= 0, "the writing end opens again without a reader, O_NONBLOCK or not");
    CHECK_FAIL(write(again, "x", 1), EPIPE, "but has nobody to write to");
}

CHECK_MAIN(CASE(basics), CASE(without_blocking), CASE(capacity), CASE(streams), CASE(blocking),
           CASE(fifos), CASE(opened_again))
