/* SPDX-License-Identifier: MIT */
/* splice, tee and vmsplice; sendfile into pipes and sockets. */
#include "check.h"

#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

static char data[200000], got[200000];

static void fill_data(void)
{
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = i * 13 % 251;
}

static int bytes_in(int fd)
{
    int n = -1;
    ioctl(fd, FIONREAD, &n);
    return n;
}

static void files(void)
{
    int p[2], in, out;
    loff_t offset = 100;
    fill_data();
    in = open("in", O_CREAT | O_RDWR, 0600);
    out = open("out", O_CREAT | O_RDWR, 0600);
    REQUIRE(in >= 0 && out >= 0 && pipe(p) == 0);
    REQUIRE(write(in, data, sizeof(data)) == sizeof(data));
    CHECK_EQ(splice(in, &offset, p[1], NULL, 1000, 0), 1000, "from a file at an offset");
    CHECK_EQ(offset, 1100, "which goes on");
    CHECK_EQ(lseek(in, 0, SEEK_CUR), sizeof(data), "while the position stays");
    CHECK_EQ(bytes_in(p[0]), 1000, "the bytes are in the pipe");
    offset = 5;
    CHECK_EQ(splice(p[0], NULL, out, &offset, 4096, SPLICE_F_MOVE), 1000, "into a file");
    CHECK_EQ(offset, 1005, "at an offset");
    CHECK(pread(out, got, 2000, 5) == 1000 && !memcmp(got, data + 100, 1000), "the right ones");
    lseek(in, 0, SEEK_SET);
    lseek(out, 0, SEEK_SET);
    size_t done = 0;
    while (done < sizeof(data)) {
        ssize_t n = splice(in, NULL, p[1], NULL, sizeof(data), 0), m = 0;
        if (n <= 0)
            break;
        while (m < n)
            m += splice(p[0], NULL, out, NULL, n - m, 0);
        done += n;
    }
    CHECK_EQ(done, sizeof(data), "a whole file through a pipe");
    CHECK(pread(out, got, sizeof(got), 0) == sizeof(data) && !memcmp(got, data, sizeof(data)),
          "arrives");
    CHECK_EQ(splice(in, NULL, p[1], NULL, 100, 0), 0, "at its end: 0");
    CHECK_EQ(splice(in, NULL, p[1], NULL, 0, 0), 0, "nothing is 0");
    CHECK_FAIL(splice(in, NULL, out, NULL, 10, 0), EINVAL, "one side must be a pipe");
    CHECK_FAIL(splice(in, NULL, p[1], &offset, 10, 0), ESPIPE, "a pipe has no offset");
    CHECK_FAIL(splice(p[1], NULL, out, NULL, 10, 0), EBADF, "the wrong end");
    CHECK_FAIL(splice(in, NULL, 99, NULL, 10, 0), EBADF, "no descriptor");
    CHECK_FAIL(splice(in, NULL, p[1], NULL, 10, 0x100), EINVAL, "unknown flags");
    offset = -5;
    CHECK_FAIL(splice(in, &offset, p[1], NULL, 10, 0), EINVAL, "a negative offset");
    CHECK_FAIL(splice(in, unmapped_page(), p[1], NULL, 10, 0), EFAULT, "a bad address");
    int append = open("out", O_WRONLY | O_APPEND);
    REQUIRE(write(p[1], "x", 1) == 1);
    CHECK_FAIL(splice(p[0], NULL, append, NULL, 10, 0), EINVAL, "not with O_APPEND");
    CHECK_EQ(bytes_in(p[0]), 1, "and nothing is lost");
}

static void pipes(void)
{
    int p[2], q[2];
    fill_data();
    REQUIRE(pipe(p) == 0 && pipe(q) == 0);
    REQUIRE(write(p[1], data, 10000) == 10000);
    CHECK_EQ(tee(p[0], q[1], 5000, 0), 5000, "tee");
    CHECK(bytes_in(p[0]) == 10000 && bytes_in(q[0]) == 5000, "copies");
    CHECK(read(q[0], got, 6000) == 5000 && !memcmp(got, data, 5000), "the first bytes");
    CHECK_EQ(splice(p[0], NULL, q[1], NULL, 20000, 0), 10000, "from pipe to pipe");
    CHECK(bytes_in(p[0]) == 0 && bytes_in(q[0]) == 10000, "moves");
    CHECK(read(q[0], got, 20000) == 10000 && !memcmp(got, data, 10000), "all");
    int good = 1;
    for (int i = 0; i < 200; i++) { /* at all alignments, round and round */
        size_t n = 1 + i * 331 % 40000, m = 0;
        REQUIRE(write(p[1], data, n) == (ssize_t)n);
        while (m < n) {
            ssize_t r = splice(p[0], NULL, q[1], NULL, 1 + i * 577 % 30000, 0);
            if (r <= 0)
                break;
            m += r;
            for (ssize_t k = 0; k < r;)
                k += read(q[0], got + m - r + k, r - k);
        }
        good &= m == n && !memcmp(got, data, n);
    }
    CHECK(good, "any number of bytes at any place");
    CHECK_FAIL(splice(p[0], NULL, q[1], NULL, 10, SPLICE_F_NONBLOCK), EAGAIN, "empty: EAGAIN");
    CHECK_FAIL(tee(p[0], q[1], 10, SPLICE_F_NONBLOCK), EAGAIN, "for tee, too");
    CHECK_FAIL(splice(p[0], NULL, p[1], NULL, 10, 0), EINVAL, "a pipe into itself");
    CHECK_FAIL(tee(p[0], p[1], 10, 0), EINVAL, "tee into itself");
    int file = open("f", O_CREAT | O_RDWR, 0600);
    CHECK_FAIL(tee(file, p[1], 10, 0), EINVAL, "tee is for pipes");
    while (write(q[1], data, 4096) == 4096 && bytes_in(q[0]) < 65536)
        ;
    REQUIRE(write(p[1], "x", 1) == 1);
    CHECK_FAIL(splice(p[0], NULL, q[1], NULL, 10, SPLICE_F_NONBLOCK), EAGAIN, "full: EAGAIN");
    pid_t pid = CHILD(_exit(splice(p[0], NULL, q[1], NULL, 10, 0) == 1 ? 7 : 1));
    await_state(pid, "S");
    REQUIRE(read(q[0], got, 60000) > 0);
    CHECK_EQ(end_of(pid), 7, "a splice that waits goes on when there is room");
    close(p[1]);
    CHECK_EQ(splice(p[0], NULL, q[1], NULL, 10, 0), 0, "without a writer: the end");
    close(q[0]);
    REQUIRE(pipe(p) == 0 && write(p[1], "x", 1) == 1);
    signal(SIGPIPE, SIG_IGN);
    CHECK_FAIL(splice(p[0], NULL, q[1], NULL, 10, 0), EPIPE, "without a reader: EPIPE");
}

static void sockets(void)
{
    int p[2], s[2], in = open("in", O_CREAT | O_RDWR, 0600);
    fill_data();
    REQUIRE(pipe(p) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    REQUIRE(write(s[0], data, 5000) == 5000);
    ssize_t n = splice(s[1], NULL, p[1], NULL, 60000, 0);
    CHECK_EQ(n, 5000, "from a socket: what is there");
    CHECK_EQ(splice(p[0], NULL, s[0], NULL, 60000, 0), 5000, "into a socket");
    CHECK(recv(s[1], got, 5000, MSG_WAITALL) == 5000 && !memcmp(got, data, 5000), "and out");
    REQUIRE(write(in, data, 30000) == 30000);
    off_t offset = 10;
    CHECK_EQ(sendfile(s[0], in, &offset, 20000), 20000, "sendfile into a socket");
    CHECK(recv(s[1], got, 20000, MSG_WAITALL) == 20000 && !memcmp(got, data + 10, 20000),
          "arrives");
    offset = 0;
    CHECK_EQ(sendfile(p[1], in, &offset, 3000), 3000, "and into a pipe");
    CHECK(read(p[0], got, 5000) == 3000 && !memcmp(got, data, 3000), "arrives");
}

static void memory(void)
{
    int p[2];
    fill_data();
    REQUIRE(pipe(p) == 0);
    struct iovec v[2] = {{data, 1000}, {data + 5000, 3000}}, w = {got, 10000};
    CHECK_EQ(vmsplice(p[1], v, 2, 0), 4000, "vmsplice into a pipe");
    CHECK_EQ(vmsplice(p[0], &w, 1, 0), 4000, "and out of it");
    CHECK(!memcmp(got, data, 1000) && !memcmp(got + 1000, data + 5000, 3000), "the bytes");
    CHECK_FAIL(vmsplice(p[0], &w, 1, SPLICE_F_NONBLOCK), EAGAIN, "nothing is left");
    int file = open("f", O_CREAT | O_RDWR, 0600);
    CHECK_FAIL(vmsplice(file, &w, 1, 0), EBADF, "not a pipe");
    CHECK_FAIL(vmsplice(p[1], &w, 1, 0x80), EINVAL, "unknown flags");
    v[0].iov_base = unmapped_page();
    CHECK_FAIL(vmsplice(p[1], v, 1, 0), EFAULT, "a bad address");
    struct iovec big = {private_pages(100000), 100000};
    CHECK_EQ(vmsplice(p[1], &big, 1, 0), 65536, "as much as there is room for");
    CHECK_FAIL(vmsplice(p[1], &big, 1, SPLICE_F_NONBLOCK), EAGAIN, "and then nothing");
}

static volatile sig_atomic_t ticks;

static void tick(int signo)
{
    (void)signo;
    ticks++;
}

/* What is in the pipe goes all at once, even if a signal comes meanwhile. */
static void signals(void)
{
    static char data[32 << 10];
    struct iovec iov = {data, sizeof(data)};
    struct itimerval timer = {{0, 1000}, {0, 1000}};
    struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART};
    int fds[2], null = open("/dev/null", O_WRONLY);
    int all = 1;

    REQUIRE(null >= 0 && pipe(fds) == 0);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
    while (ticks < 100) {
        all &= vmsplice(fds[1], &iov, 1, 0) == sizeof(data);
        all &= splice(fds[0], NULL, null, NULL, sizeof(data), SPLICE_F_MOVE) == sizeof(data);
    }
    memset(&timer, 0, sizeof(timer));
    setitimer(ITIMER_REAL, &timer, NULL);
    CHECK(all, "nothing is left in the pipe because of a signal");
}

CHECK_MAIN(CASE(files), CASE(pipes), CASE(sockets), CASE(memory), CASE(signals))
