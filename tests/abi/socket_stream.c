/* SPDX-License-Identifier: MIT */
/* Local stream sockets: pairs, names, connections, options, shutting, readiness, errors. */
#include "sockets.h"

#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <linux/sockios.h>

#define ROUNDS 200 /* of each type, in last_words() */

static char data[300000], got[300000];
static volatile int pipes;

static void on_signal(int signo)
{
    (void)signo;
    pipes++;
}

static void making(void)
{
    CHECK_FAIL(socket(AF_UNIX, SOCK_STREAM | 0x100, 0), EINVAL, "unknown flags");
    CHECK_FAIL(socket(AF_UNIX, 13, 0), EINVAL, "a type that is none");
    CHECK_FAIL(socket(AF_UNIX, SOCK_RDM, 0), ESOCKTNOSUPPORT, "a type that is not there");
    CHECK_FAIL(socket(AF_UNIX, SOCK_STREAM, 6), EPROTONOSUPPORT, "another protocol");
    CHECK_FAIL(socket(99, SOCK_STREAM, 0), EAFNOSUPPORT, "an unknown family");
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(s >= 0, "socket");
    CHECK_EQ(fcntl(s, F_GETFD), FD_CLOEXEC, "SOCK_CLOEXEC");
    CHECK_EQ(fcntl(s, F_GETFL), O_RDWR | O_NONBLOCK, "SOCK_NONBLOCK");
    struct stat st;
    CHECK(fstat(s, &st) == 0 && S_ISSOCK(st.st_mode), "fstat says socket");
    char path[64], want[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", s);
    snprintf(want, sizeof(want), "socket:[%lu]", (unsigned long)st.st_ino);
    ssize_t n = readlink(path, got, 100);
    got[n > 0 ? n : 0] = 0;
    CHECK_STR(got, want, "its name in /proc");
    CHECK_FAIL(open(path, O_RDWR), ENXIO, "which cannot be opened");
    CHECK_EQ(option(s, SO_TYPE), SOCK_STREAM, "SO_TYPE");
    CHECK_EQ(option(s, SO_DOMAIN), AF_UNIX, "SO_DOMAIN");
    CHECK_EQ(option(s, SO_PROTOCOL), 0, "SO_PROTOCOL");
    CHECK_EQ(option(s, SO_ERROR), 0, "SO_ERROR");
    CHECK_EQ(option(s, SO_ACCEPTCONN), 0, "SO_ACCEPTCONN");
    CHECK_EQ(events_of(s), POLLOUT | POLLHUP, "poll of one without a connection");
    CHECK_FAIL(read(s, got, 1), EINVAL, "it cannot be read");
    CHECK_FAIL(write(s, "x", 1), ENOTCONN, "nor written");
    CHECK_FAIL(accept(s, NULL, NULL), EINVAL, "nor does it accept");
    CHECK_FAIL(listen(s, 1), EINVAL, "without a name it cannot listen");
    struct sockaddr_un a;
    socklen_t length = sizeof(a);
    CHECK(getsockname(s, (struct sockaddr *)&a, &length) == 0 && length == 2 &&
              a.sun_family == AF_UNIX,
          "it has no name");
    CHECK_FAIL(getpeername(s, (struct sockaddr *)&a, &length), ENOTCONN, "and no peer");
    CHECK_FAIL(listen(0x7fff, 1), EBADF, "not a descriptor");
    int file = open("file", O_CREAT | O_RDWR, 0600);
    CHECK_FAIL(listen(file, 1), ENOTSOCK, "not a socket");
    CHECK_FAIL(lseek(s, 0, SEEK_SET), ESPIPE, "no position");
}

static void pairs(void)
{
    int s[2], n = -1;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0, "socketpair");
    CHECK_EQ(write(s[0], "hello", 5), 5, "write");
    CHECK_EQ(write(s[0], " world", 6), 6, "and again");
    CHECK(ioctl(s[1], SIOCINQ, &n) == 0 && n == 11, "SIOCINQ");
    CHECK(ioctl(s[0], SIOCOUTQ, &n) == 0 && n >= 11, "SIOCOUTQ");
    CHECK(recv(s[1], got, 7, MSG_PEEK) == 7 && !memcmp(got, "hello w", 7), "MSG_PEEK");
    CHECK(read(s[1], got, 2) == 2 && !memcmp(got, "he", 2), "a part");
    CHECK(read(s[1], got, 100) == 9 && !memcmp(got, "llo world", 9), "a stream has no seams");
    CHECK_FAIL(recv(s[1], got, 1, MSG_DONTWAIT), EAGAIN, "nothing left");
    REQUIRE(write(s[1], "back", 4) == 4);
    CHECK(read(s[0], got, 100) == 4 && !memcmp(got, "back", 4), "both ways");
    CHECK_EQ(events_of(s[0]), POLLOUT, "poll: writable");
    REQUIRE(write(s[1], "x", 1) == 1);
    CHECK_EQ(events_of(s[0]), POLLIN | POLLOUT, "and readable");
    close(s[1]);
    CHECK_EQ(events_of(s[0]), POLLIN | POLLOUT | POLLHUP | POLLRDHUP, "the peer has gone");
    CHECK_EQ(read(s[0], got, 10), 1, "what it wrote can be read");
    CHECK_EQ(read(s[0], got, 10), 0, "then it is the end");
    CHECK_EQ(IN_CHILD(write(s[0], "x", 1)), 128 + SIGPIPE, "writing is SIGPIPE");
    CHECK_FAIL(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE, "or EPIPE with MSG_NOSIGNAL");
    signal(SIGPIPE, SIG_IGN);
    CHECK_FAIL(write(s[0], "x", 1), EPIPE, "or if it is ignored");
    close(s[0]);
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    REQUIRE(write(s[0], "unread", 6) == 6);
    close(s[1]);
    CHECK(events_of(s[0]) & POLLERR, "if the peer had not read all, that is an error");
    CHECK_FAIL(read(s[0], got, 10), ECONNRESET, "ECONNRESET");
    CHECK_EQ(read(s[0], got, 10), 0, "once");
    CHECK_FAIL(socketpair(AF_UNIX, SOCK_STREAM, 0, unmapped_page()), EFAULT, "bad address");
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    CHECK_FAIL(sendto(s[0], "x", 1, 0, (struct sockaddr *)&(struct sockaddr_un){AF_UNIX, "x"}, 4),
               EISCONN, "an address is not for a connection");
    struct iovec v[3] = {{"ab", 2}, {"", 0}, {"cde", 3}}, w[2] = {{got, 1}, {got + 10, 100}};
    CHECK_EQ(writev(s[0], v, 3), 5, "writev");
    CHECK(readv(s[1], w, 2) == 5 && got[0] == 'a' && !memcmp(got + 10, "bcde", 4), "readv");
    CHECK_FAIL(write(s[0], unmapped_page(), 5), EFAULT, "bad address to write from");
    REQUIRE(write(s[0], "z", 1) == 1);
    CHECK_FAIL(read(s[1], unmapped_page(), 5), EFAULT, "and to read to");
    CHECK_EQ(read(s[1], got, 5), 1, "nothing is lost by that");
}

static void names(void)
{
    struct sockaddr_un a;
    socklen_t length;
    struct stat st;
    int s = socket(AF_UNIX, SOCK_STREAM, 0), t = socket(AF_UNIX, SOCK_STREAM, 0);
    umask(022);
    CHECK_EQ(bind_to(s, "name"), 0, "bind");
    CHECK(stat("name", &st) == 0 && S_ISSOCK(st.st_mode) && (st.st_mode & 0777) == 0755,
          "makes an inode, by the umask");
    length = sizeof(a);
    CHECK(getsockname(s, (struct sockaddr *)&a, &length) == 0 && !strcmp(a.sun_path, "name") &&
              length == offsetof(struct sockaddr_un, sun_path) + 5,
          "getsockname");
    CHECK_FAIL(bind_to(s, "other"), EINVAL, "a name is for ever");
    CHECK_FAIL(bind_to(t, "name"), EADDRINUSE, "and for one");
    CHECK_FAIL(bind_to(t, "no/name"), ENOENT, "no such directory");
    CHECK_FAIL(bind(t, (struct sockaddr *)&a, 500), EINVAL, "too long");
    CHECK_FAIL(bind(t, unmapped_page(), 10), EFAULT, "bad address");
    a.sun_family = AF_INET;
    CHECK_FAIL(bind(t, (struct sockaddr *)&a, 20), EINVAL, "another family");
    CHECK_FAIL(connect_to(t, "name"), ECONNREFUSED, "nobody listens there");
    CHECK_FAIL(connect_to(t, "absent"), ENOENT, "nobody is there");
    write_file("plain", "", 0600);
    CHECK_FAIL(connect_to(t, "plain"), ECONNREFUSED, "a plain file");
    CHECK_FAIL(open("name", O_RDWR), ENXIO, "a socket cannot be opened");
    CHECK_EQ(listen(s, 5), 0, "listen");
    CHECK_EQ(option(s, SO_ACCEPTCONN), 1, "SO_ACCEPTCONN");
    CHECK_FAIL(read(s, got, 1), EINVAL, "a listener cannot be read");
    CHECK_EQ(connect_to(t, "name"), 0, "connect");
    CHECK_FAIL(connect_to(t, "name"), EISCONN, "once");
    CHECK_EQ(events_of(s), POLLIN, "the listener is readable");
    length = sizeof(a);
    int u = accept4(s, (struct sockaddr *)&a, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
    CHECK(u >= 0 && fcntl(u, F_GETFD) == FD_CLOEXEC && (fcntl(u, F_GETFL) & O_NONBLOCK),
          "accept4 with its flags");
    CHECK(length == 2 && a.sun_family == AF_UNIX, "the client has no name");
    length = sizeof(a);
    CHECK(getpeername(t, (struct sockaddr *)&a, &length) == 0 && !strcmp(a.sun_path, "name"),
          "getpeername");
    length = sizeof(a);
    CHECK(getsockname(u, (struct sockaddr *)&a, &length) == 0 && !strcmp(a.sun_path, "name"),
          "the accepted end has the listener's name");
    struct ucred c = {0};
    length = sizeof(c);
    CHECK(getsockopt(u, SOL_SOCKET, SO_PEERCRED, &c, &length) == 0 && c.pid == getpid() &&
              c.uid == geteuid() && length == sizeof(c),
          "SO_PEERCRED");
    CHECK_FAIL(accept4(s, NULL, NULL, 0x1), EINVAL, "accept4 with unknown flags");
    fcntl(s, F_SETFL, O_NONBLOCK);
    CHECK_FAIL(accept(s, NULL, NULL), EAGAIN, "nobody else came");
    REQUIRE(write(t, "early", 5) == 5);
    CHECK_EQ(read(u, got, 10), 5, "data goes through");
    unlink("name");
    int v = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_FAIL(connect_to(v, "name"), ENOENT, "without its name it is not found");
    CHECK_EQ(write(t, "x", 1), 1, "connections go on");
    close(s);
    CHECK_EQ(write(u, "x", 1), 1, "without the listener, too");
    int w = socket(AF_UNIX, SOCK_DGRAM, 0);
    REQUIRE(bind_to(w, "dgram") == 0);
    CHECK_FAIL(connect_to(v, "dgram"), EPROTOTYPE, "a socket of another type");
    REQUIRE(bind_to(v, "mine") == 0 && listen(v, 1) == 0 && chmod("mine", 0600) == 0);
    chmod(".", 0755);
    CHECK_EQ(IN_CHILD({
                 become_user(1000);
                 int x = socket(AF_UNIX, SOCK_STREAM, 0);
                 CHECK_FAIL(connect_to(x, "mine"), EACCES, "write permission is asked for");
             }),
             0, "child");
}

static void abstract(void)
{
    struct sockaddr_un a;
    socklen_t length = sizeof(a);
    int s = socket(AF_UNIX, SOCK_STREAM, 0), t = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQ(bind_to(s, "@abi-test"), 0, "an abstract name");
    CHECK_FAIL(bind_to(t, "@abi-test"), EADDRINUSE, "for one");
    CHECK_FAIL(connect_to(t, "@abi-test"), ECONNREFUSED, "nobody listens");
    REQUIRE(listen(s, 1) == 0);
    CHECK_FAIL(connect_to(t, "@abi-tes"), ECONNREFUSED, "names are compared in full");
    CHECK_EQ(connect_to(t, "@abi-test"), 0, "connect");
    CHECK(getpeername(t, (struct sockaddr *)&a, &length) == 0 && length == 2 + 9 &&
              a.sun_path[0] == 0,
          "getpeername");
    ssize_t n = read_file("/proc/net/unix", got, sizeof(got));
    CHECK(n > 0 && strstr(got, "@abi-test") && strstr(got, "Inode Path"), "/proc/net/unix");
    close(s);
    int u = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQ(bind_to(u, "@abi-test"), 0, "it is free when its socket closes");
    int v = socket(AF_UNIX, SOCK_STREAM, 0);
    a.sun_family = AF_UNIX;
    CHECK_EQ(bind(v, (struct sockaddr *)&a, 2), 0, "a bind of nothing makes a name");
    length = sizeof(a);
    CHECK(getsockname(v, (struct sockaddr *)&a, &length) == 0 && length == 8 && !a.sun_path[0],
          "of five digits");
}

static void waiting(void)
{
    int s = socket(AF_UNIX, SOCK_STREAM, 0), t, u, n = 0, c[8];
    REQUIRE(bind_to(s, "@abi-wait") == 0 && listen(s, 1) == 0);
    for (; n < 8; n++) {
        c[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect_to(c[n], "@abi-wait") != 0)
            break;
    }
    int error = errno;
    CHECK(n == 2 && error == EAGAIN, "a backlog of 1 takes 2, then EAGAIN");
    struct gate started = gate_make();
    pid_t pid = CHILD({
        t = socket(AF_UNIX, SOCK_STREAM, 0);
        gate_open(started);
        _exit(connect_to(t, "@abi-wait") == 0 && write(t, "third", 5) == 5 ? 3 : 1);
    });
    gate_pass(started);
    await_state(pid, "S");
    for (int i = 0; i < 3; i++)
        u = accept(s, NULL, NULL);
    CHECK(u >= 0 && read(u, got, 10) == 5, "a connect that blocks goes on when one is accepted");
    CHECK_EQ(end_of(pid), 3, "and succeeds");
    struct timeval tv = {0, 20000};
    REQUIRE(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
    CHECK_FAIL(accept(s, NULL, NULL), EAGAIN, "SO_RCVTIMEO holds for accept");
    REQUIRE(setsockopt(u, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
    int p[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
    REQUIRE(setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
    REQUIRE(setsockopt(p[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) == 0);
    CHECK_FAIL(read(p[0], got, 1), EAGAIN, "and for reading");
    ssize_t total = 0, r;
    while ((r = write(p[0], data, 4096)) > 0)
        total += r;
    error = errno;
    CHECK(r == -1 && error == EAGAIN && total > 50000, "SO_SNDTIMEO for writing");
    CHECK_EQ(events_of(p[0]) & POLLOUT, 0, "a full one is not writable");
    struct timeval back = {9, 9};
    socklen_t length = sizeof(back);
    CHECK(getsockopt(p[0], SOL_SOCKET, SO_SNDTIMEO, &back, &length) == 0 && back.tv_sec == 0 &&
              back.tv_usec == 20000,
          "the time-out is told");
    handle_flags(SIGUSR1, on_signal, 0);
    pid_t self = getpid();
    pid = CHILD(await_state(self, "S"); kill(self, SIGUSR1));
    tv.tv_usec = 0;
    setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    CHECK_FAIL(read(p[0], got, 1), EINTR, "a signal interrupts");
    end_of(pid);
    pid = CHILD({
        for (size_t i = 0; i < sizeof(data); i++)
            data[i] = i * 7 % 251;
        close(p[0]);
        int q = p[1];
        for (size_t done = 0; done < (size_t)total;)
            done += read(q, got, sizeof(got));
        write(q, data, sizeof(data));
    });
    close(p[1]);
    CHECK_EQ(recv(p[0], got, sizeof(got), MSG_WAITALL), sizeof(got), "MSG_WAITALL waits for all");
    int good = 1;
    for (size_t i = 0; i < sizeof(got); i++)
        good &= (unsigned char)got[i] == i * 7 % 251;
    CHECK(good, "all bytes in order");
    end_of(pid);
}

static void shutting(void)
{
    int s[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    CHECK_FAIL(shutdown(s[0], 3), EINVAL, "shutdown of nothing that is");
    REQUIRE(write(s[0], "last", 4) == 4);
    CHECK_EQ(shutdown(s[0], SHUT_WR), 0, "SHUT_WR");
    CHECK_FAIL(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE, "no more writing");
    CHECK_EQ(events_of(s[1]), POLLIN | POLLOUT | POLLRDHUP, "the peer sees POLLRDHUP");
    CHECK_EQ(read(s[1], got, 10), 4, "and reads what was there");
    CHECK_EQ(read(s[1], got, 10), 0, "then the end");
    CHECK_EQ(write(s[1], "answer", 6), 6, "and can still write");
    CHECK_EQ(read(s[0], got, 10), 6, "which is read");
    CHECK_EQ(shutdown(s[0], SHUT_RD), 0, "SHUT_RD");
    CHECK_FAIL(send(s[1], "x", 1, MSG_NOSIGNAL), EPIPE, "now the peer cannot write either");
    CHECK(events_of(s[1]) & POLLHUP, "both: POLLHUP");
    int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQ(shutdown(c, SHUT_RDWR), 0, "one that is not connected can be shut");
    REQUIRE(bind_to(l, "@abi-shut") == 0 && listen(l, 4) == 0);
    c = socket(AF_UNIX, SOCK_STREAM, 0);
    REQUIRE(connect_to(c, "@abi-shut") == 0);
    close(l);
    CHECK_FAIL(read(c, got, 1), ECONNRESET, "a listener that goes resets who waits");
}

static void options(void)
{
    int s[2], v = 1;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    CHECK(option(s[0], SO_SNDBUF) == 212992 && option(s[0], SO_RCVBUF) == 212992,
          "buffers of 212992 bytes");
    v = 10000;
    CHECK(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, 4) == 0 && option(s[0], SO_SNDBUF) == 20000,
          "SO_SNDBUF is doubled");
    v = 1;
    CHECK(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, 4) == 0 && option(s[0], SO_SNDBUF) == 4608,
          "but not less than 4608");
    fcntl(s[0], F_SETFL, O_NONBLOCK);
    ssize_t total = 0, n;
    while ((n = write(s[0], data, 1000)) > 0)
        total += n;
    CHECK(total >= 1000 && total < 20000, "a small buffer holds little");
    v = 1;
    CHECK(setsockopt(s[0], SOL_SOCKET, SO_REUSEADDR, &v, 4) == 0 && option(s[0], SO_REUSEADDR) == 1,
          "SO_REUSEADDR is kept");
    CHECK(setsockopt(s[0], SOL_SOCKET, SO_PASSCRED, &v, 4) == 0 && option(s[0], SO_PASSCRED) == 1,
          "SO_PASSCRED");
    CHECK_FAIL(setsockopt(s[0], SOL_SOCKET, SO_TYPE, &v, 4), ENOPROTOOPT, "SO_TYPE is not set");
    CHECK_FAIL(setsockopt(s[0], SOL_SOCKET, SO_PASSCRED, &v, 1), EINVAL, "too short");
    CHECK_FAIL(setsockopt(s[0], SOL_SOCKET, SO_PASSCRED, unmapped_page(), 4), EFAULT, "bad value");
    CHECK_FAIL(setsockopt(s[0], SOL_SOCKET, 9999, &v, 4), ENOPROTOOPT, "no such option");
    CHECK_FAIL(setsockopt(s[0], 6, 1, &v, 4), EOPNOTSUPP, "another level");
    socklen_t length = 1;
    unsigned char byte = 99;
    CHECK(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &byte, &length) == 0 && length == 1 && byte == 1,
          "a short buffer gets the beginning");
    length = -1;
    CHECK_FAIL(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &v, &length), EINVAL, "a negative one");
    v = 5;
    REQUIRE(setsockopt(s[1], SOL_SOCKET, SO_RCVLOWAT, &v, 4) == 0);
    CHECK_EQ(option(s[1], SO_RCVLOWAT), 5, "SO_RCVLOWAT");
    struct linger l = {1, 7}, m = {0, 0};
    length = sizeof(m);
    CHECK(setsockopt(s[0], SOL_SOCKET, SO_LINGER, &l, sizeof(l)) == 0 &&
              getsockopt(s[0], SOL_SOCKET, SO_LINGER, &m, &length) == 0 && m.l_onoff == 1 &&
              m.l_linger == 7,
          "SO_LINGER");
}

static void events(void)
{
    int s[2], e = epoll_create1(0);
    if (e < 0) {
        SKIP("epoll of sockets", "no epoll");
        return;
    }
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    struct epoll_event ev = {EPOLLIN | EPOLLRDHUP | EPOLLET, {.fd = s[0]}}, out[4];
    REQUIRE(epoll_ctl(e, EPOLL_CTL_ADD, s[0], &ev) == 0);
    CHECK_EQ(epoll_wait(e, out, 4, 0), 0, "nothing yet");
    REQUIRE(write(s[1], "x", 1) == 1);
    CHECK(epoll_wait(e, out, 4, 1000) == 1 && out[0].events == EPOLLIN, "readable");
    CHECK_EQ(epoll_wait(e, out, 4, 0), 0, "once, by the edge");
    REQUIRE(write(s[1], "y", 1) == 1);
    CHECK_EQ(epoll_wait(e, out, 4, 1000), 1, "another edge");
    shutdown(s[1], SHUT_WR);
    CHECK(epoll_wait(e, out, 4, 1000) == 1 && out[0].events == (EPOLLIN | EPOLLRDHUP),
          "the end of the peer's writing");
    close(s[1]);
    CHECK(epoll_wait(e, out, 4, 1000) == 1 && (out[0].events & EPOLLHUP), "and of the peer");
}

/* Many writers and readers at once on several connections. */
static void crowd(void)
{
    int l = socket(AF_UNIX, SOCK_STREAM, 0), good = 1;
    REQUIRE(bind_to(l, "@abi-crowd") == 0 && listen(l, 4) == 0);
    pid_t clients[8];
    for (int i = 0; i < 8; i++)
        clients[i] = CHILD({
            for (int k = 0; k < 20; k++) {
                int c = socket(AF_UNIX, SOCK_STREAM, 0);
                char text[32], back[32];
                int n = snprintf(text, sizeof(text), "client %d, %d", i, k);
                if (connect_to(c, "@abi-crowd") || write(c, text, n + 1) != n + 1 ||
                    read(c, back, sizeof(back)) != n + 1 || strcmp(text, back))
                    _exit(1);
                close(c);
            }
        });
    for (int i = 0; i < 160; i++) {
        int c = accept(l, NULL, NULL);
        ssize_t n = read(c, got, 100);
        good &= n > 0 && write(c, got, n) == n;
        close(c);
    }
    CHECK(good, "160 connections of 8 clients are served");
    for (int i = 0; i < 8; i++)
        good &= end_of(clients[i]) == 0;
    CHECK(good, "each gets its own answers");
}

/* What comes in drops does not make a time-out begin anew. */
static void in_drops(void)
{
    struct timeval tv = {.tv_usec = 300000};
    int p[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
    setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    pid_t pid = CHILD({
        close(p[0]);
        for (int i = 0; i < 100 && send(p[1], "x", 1, MSG_NOSIGNAL) == 1; i++)
            usleep(50000);
    });
    close(p[1]);
    CHECK(recv(p[0], got, 100, MSG_WAITALL) < 100, "SO_RCVTIMEO is for the whole of a call");
    close(p[0]);
    end_of(pid);
}

/* The peer sends and closes while we look: what was sent comes before the end. */
static void last_words(void)
{
    const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};
    _Atomic int *turn = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int s[2][ROUNDS][2], spoken = 0;
    REQUIRE(turn != MAP_FAILED);
    for (int i = 0; i < 2 * ROUNDS; i++)
        REQUIRE(socketpair(AF_UNIX, types[i % 2], 0, s[i % 2][i / 2]) == 0);
    pid_t speaker = CHILD({
        for (int i = 0; i < 2 * ROUNDS; i++) {
            close(s[i % 2][i / 2][0]);
            while (*turn <= i)
                sched_yield();
            for (volatile int k = i * 37 % 1000; k > 0; k--)
                ;
            write(s[i % 2][i / 2][1], "x", 1);
            close(s[i % 2][i / 2][1]);
        }
    });
    for (int i = 0; i < 2 * ROUNDS; i++)
        close(s[i % 2][i / 2][1]);
    for (int i = 0; i < 2 * ROUNDS; i++) {
        ssize_t n;
        *turn = i + 1;
        while ((n = recv(s[i % 2][i / 2][0], got, 1, MSG_DONTWAIT)) < 0 && errno == EAGAIN)
            sched_yield();
        spoken += n == 1;
        close(s[i % 2][i / 2][0]);
    }
    CHECK(spoken == 2 * ROUNDS, "what is sent just before the close is read before the end");
    CHECK_EQ(end_of(speaker), 0, "the speaker");
}

CHECK_MAIN_BUT_QEMU_USER(CASE(making), CASE(pairs), CASE(names), CASE(abstract), CASE(waiting),
                         CASE(shutting), CASE(options), CASE(events), CASE(crowd), CASE(last_words),
                         CASE(in_drops))
