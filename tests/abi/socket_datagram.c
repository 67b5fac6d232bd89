/* SPDX-License-Identifier: MIT */
/* Local datagram and seqpacket sockets: messages, addresses, queues, sendmmsg and recvmmsg. */
#include "sockets.h"

#include <sys/ioctl.h>
#include <linux/sockios.h>

static char data[300000], got[300000];

static ssize_t send_to(int fd, const char *text, const void *bytes, size_t size, int flags)
{
    struct sockaddr_un a;
    socklen_t n = name_of(&a, text);
    return sendto(fd, bytes, size, flags, (struct sockaddr *)&a, n);
}

static void pairs(void)
{
    int s[2], n = -1;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, s), 0, "socketpair");
    REQUIRE(write(s[0], "one", 3) == 3 && write(s[0], "second", 6) == 6);
    CHECK_EQ(send(s[0], "", 0, 0), 0, "an empty message");
    CHECK(ioctl(s[1], SIOCINQ, &n) == 0 && n == 3, "SIOCINQ: the first message");
    CHECK_EQ(recv(s[1], got, 100, MSG_PEEK), 3, "MSG_PEEK");
    CHECK(read(s[1], got, 100) == 3 && !memcmp(got, "one", 3), "a read takes one message");
    CHECK_EQ(recv(s[1], got, 2, MSG_PEEK | MSG_TRUNC), 6, "MSG_TRUNC tells its length");
    struct iovec v = {got, 2};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    CHECK_EQ(recvmsg(s[1], &m, 0), 2, "what does not fit");
    CHECK_EQ(m.msg_flags, MSG_TRUNC, "is cut, and that is said");
    CHECK_EQ(read(s[1], got, 100), 0, "the empty one is a message too");
    CHECK_FAIL(recv(s[1], got, 1, MSG_DONTWAIT), EAGAIN, "then none is left");
    CHECK_EQ(events_of(s[0]), POLLOUT, "poll");
    CHECK_FAIL(listen(s[0], 1), EOPNOTSUPP, "it does not listen");
    CHECK_FAIL(accept(s[0], NULL, NULL), EOPNOTSUPP, "or accept");
    CHECK_FAIL(send(s[0], data, 250000, 0), EMSGSIZE, "there is a limit");
    CHECK_EQ(send(s[0], data, 150000, 0), 150000, "but it is high");
    CHECK_EQ(recv(s[1], got, sizeof(got), 0), 150000, "in one piece");
    CHECK_FAIL(send(s[0], unmapped_page(), 10, 0), EFAULT, "bad address");
    ssize_t total = 0, r;
    while ((r = send(s[0], data, 1000, MSG_DONTWAIT)) > 0)
        total += r;
    int error = errno;
    CHECK(error == EAGAIN && total > 50000, "the sender's buffer fills");
    CHECK_EQ(events_of(s[0]), 0, "and it is not writable");
    for (; total > 0; total -= r)
        r = read(s[1], got, 1000);
    CHECK_EQ(events_of(s[0]), POLLOUT, "until it is read");
    close(s[1]);
    CHECK_FAIL(send(s[0], "x", 1, MSG_NOSIGNAL), ECONNREFUSED, "the peer has gone");
    CHECK_FAIL(send(s[0], "x", 1, 0), ENOTCONN, "and is forgotten");
}

static void addresses(void)
{
    struct sockaddr_un a;
    socklen_t length = sizeof(a);
    int s = socket(AF_UNIX, SOCK_DGRAM, 0), t = socket(AF_UNIX, SOCK_DGRAM, 0);
    int u = socket(AF_UNIX, SOCK_DGRAM, 0);
    REQUIRE(bind_to(s, "server") == 0);
    CHECK_EQ(send_to(t, "server", "anon", 4, 0), 4, "sendto");
    CHECK(recvfrom(s, got, 100, 0, (struct sockaddr *)&a, &length) == 4, "recvfrom");
    CHECK_EQ(length, 0, "of a sender without a name");
    REQUIRE(bind_to(t, "client") == 0);
    REQUIRE(send_to(t, "server", "named", 5, 0) == 5);
    length = sizeof(a);
    CHECK(recvfrom(s, got, 100, 0, (struct sockaddr *)&a, &length) == 5 &&
              !strcmp(a.sun_path, "client"),
          "of one with a name");
    CHECK_EQ(sendto(s, "answer", 6, 0, (struct sockaddr *)&a, length), 6, "an answer to it");
    CHECK_EQ(recv(t, got, 100, 0), 6, "arrives");
    CHECK_FAIL(send(t, "x", 1, 0), ENOTCONN, "without an address: ENOTCONN");
    CHECK_EQ(connect_to(t, "server"), 0, "connect");
    CHECK_EQ(send(t, "x", 1, 0), 1, "then none is needed");
    REQUIRE(recv(s, got, 100, 0) == 1);
    length = sizeof(a);
    CHECK(getpeername(t, (struct sockaddr *)&a, &length) == 0 && !strcmp(a.sun_path, "server"),
          "getpeername");
    CHECK_FAIL(send_to(u, "client", "x", 1, 0), EPERM, "a connected one hears its peer alone");
    CHECK_FAIL(connect_to(u, "client"), EPERM, "and is nobody else's peer");
    CHECK_FAIL(send_to(u, "absent", "x", 1, 0), ENOENT, "no such name");
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    CHECK_EQ(connect(t, &none, sizeof(none)), 0, "connect to nothing");
    CHECK_FAIL(send(t, "x", 1, 0), ENOTCONN, "ends it");
    int st = socket(AF_UNIX, SOCK_STREAM, 0);
    REQUIRE(bind_to(st, "stream") == 0 && listen(st, 1) == 0);
    CHECK_FAIL(send_to(u, "stream", "x", 1, 0), EPROTOTYPE, "a stream is no datagram");
    close(s);
    CHECK_FAIL(send_to(u, "server", "x", 1, 0), ECONNREFUSED, "a name whose socket has gone");
    CHECK_FAIL(shutdown(u, 9), EINVAL, "shutdown of what is not");
    shutdown(u, SHUT_WR);
    CHECK_FAIL(send_to(u, "client", "x", 1, MSG_NOSIGNAL), EPIPE, "shut for writing");
}

static void queues(void)
{
    int s = socket(AF_UNIX, SOCK_DGRAM, 0), t = socket(AF_UNIX, SOCK_DGRAM, 0), n = 0;
    REQUIRE(bind_to(s, "@abi-queue") == 0 && connect_to(t, "@abi-queue") == 0);
    while (send(t, "x", 1, MSG_DONTWAIT) == 1)
        n++;
    int error = errno;
    CHECK(error == EAGAIN && n >= 10 && n < 1000, "a queue is not endless");
    CHECK_EQ(events_of(t), 0, "poll knows that");
    struct gate started = gate_make();
    pid_t pid = CHILD({
        gate_open(started);
        _exit(send(t, "late", 4, 0) == 4 ? 4 : 1);
    });
    gate_pass(started);
    await_state(pid, "S");
    pid_t other = CHILD({
        struct pollfd p = {t, POLLOUT, 0};
        gate_open(started);
        _exit(poll(&p, 1, 60000) == 1 && p.revents == POLLOUT ? 5 : 1);
    });
    gate_pass(started);
    await_state(other, "S");
    for (int i = 0; i < n; i++)
        REQUIRE(read(s, got, 10) == 1);
    CHECK(read(s, got, 10) == 4, "a sender that waits goes on when there is room");
    CHECK_EQ(end_of(pid), 4, "sending ends");
    CHECK_EQ(end_of(other), 5, "and poll tells who waits in it");
}

static void sequences(void)
{
    int s[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s), 0, "a pair of seqpackets");
    REQUIRE(write(s[0], "one", 3) == 3 && write(s[0], "two!", 4) == 4);
    CHECK_EQ(read(s[1], got, 100), 3, "keeps messages apart");
    CHECK_EQ(read(s[1], got, 2), 2, "cuts them");
    CHECK_FAIL(recv(s[1], got, 2, MSG_DONTWAIT), EAGAIN, "and drops the rest");
    shutdown(s[0], SHUT_WR);
    CHECK_EQ(read(s[1], got, 10), 0, "after a shutdown it ends");
    close(s[0]);
    CHECK_FAIL(send(s[1], "x", 1, 0), EPIPE, "EPIPE without a peer");
    CHECK(events_of(s[1]) & POLLHUP, "POLLHUP");
    int l = socket(AF_UNIX, SOCK_SEQPACKET, 0), c = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    CHECK_FAIL(send(c, "x", 1, 0), ENOTCONN, "not connected: ENOTCONN");
    CHECK_FAIL(recv(c, got, 1, 0), ENOTCONN, "for both");
    REQUIRE(bind_to(l, "@abi-seq") == 0 && listen(l, 2) == 0);
    CHECK_EQ(connect_to(c, "@abi-seq"), 0, "it connects");
    int a = accept(l, NULL, NULL);
    CHECK(a >= 0 && write(a, "hi", 2) == 2 && read(c, got, 10) == 2, "and is accepted");
    CHECK_EQ(send_to(c, "@whoever", "abc", 3, 0), 3, "an address is ignored");
    CHECK_EQ(read(a, got, 10), 3, "it goes to the peer");
}

static void many_messages(void)
{
    int s[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    struct mmsghdr out[4] = {0}, in[6] = {0};
    struct iovec v[4], w[6];
    for (int i = 0; i < 4; i++) {
        v[i] = (struct iovec){"abcdefgh", i + 1};
        out[i].msg_hdr.msg_iov = &v[i];
        out[i].msg_hdr.msg_iovlen = 1;
    }
    for (int i = 0; i < 6; i++) {
        w[i] = (struct iovec){got + i * 100, 100};
        in[i].msg_hdr.msg_iov = &w[i];
        in[i].msg_hdr.msg_iovlen = 1;
    }
    CHECK_EQ(sendmmsg(s[0], out, 4, 0), 4, "sendmmsg");
    CHECK(out[0].msg_len == 1 && out[3].msg_len == 4, "tells lengths");
    CHECK_EQ(recvmmsg(s[1], in, 6, MSG_WAITFORONE, NULL), 4, "recvmmsg with MSG_WAITFORONE");
    CHECK(in[0].msg_len == 1 && in[3].msg_len == 4, "lengths");
    CHECK_FAIL(recvmmsg(s[1], in, 6, MSG_DONTWAIT, NULL), EAGAIN, "nothing is left");
    struct timespec ts = {0, 1};
    REQUIRE(write(s[0], "x", 1) == 1);
    CHECK_EQ(recvmmsg(s[1], in, 6, 0, &ts), 1, "a time-out ends it after a message");
    ts.tv_nsec = -1;
    CHECK_FAIL(recvmmsg(s[1], in, 6, 0, &ts), EINVAL, "a bad time-out");
    struct iovec one[2] = {{"ab", 2}, {"cd", 2}};
    struct msghdr m = {.msg_iov = one, .msg_iovlen = 2};
    CHECK_EQ(sendmsg(s[0], &m, 0), 4, "sendmsg gathers");
    CHECK(read(s[1], got, 10) == 4 && !memcmp(got, "abcd", 4), "one message");
    m.msg_iovlen = 2000;
    CHECK_FAIL(sendmsg(s[0], &m, 0), EMSGSIZE, "too many pieces");
    CHECK_FAIL(sendmsg(s[0], unmapped_page(), 0), EFAULT, "bad header");
}

CHECK_MAIN_BUT_QEMU_USER(CASE(pairs), CASE(addresses), CASE(queues), CASE(sequences),
                         CASE(many_messages))
