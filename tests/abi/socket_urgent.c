/* SPDX-License-Identifier: MIT */
/* Local sockets: bytes out of turn (MSG_OOB) and looking ahead from an offset (SO_PEEK_OFF). */
#include "sockets.h"

#include <sys/ioctl.h>
#include <linux/sockios.h>

static char got[256];

static void pair(int s[2], int type)
{
    REQUIRE(socketpair(AF_UNIX, type, 0, s) == 0);
}

/* What a receive of at most N bytes brings: its text, or "" and errno. */
static const char *receive(int fd, size_t n, int flags)
{
    ssize_t r = recv(fd, got, n, flags | MSG_DONTWAIT);
    got[r > 0 ? r : 0] = 0;
    return got;
}

static int at_mark(int fd)
{
    int yes = -1;
    return ioctl(fd, SIOCATMARK, &yes) == 0 ? yes : -errno;
}

static int polled(int fd)
{
    struct pollfd p = {fd, POLLIN | POLLPRI, 0};
    poll(&p, 1, 0);
    return p.revents;
}

static void urgent(void)
{
    int s[2];
    pair(s, SOCK_STREAM);
    CHECK_FAIL(recv(s[1], got, 1, MSG_OOB), EINVAL, "MSG_OOB, and there is nothing");
    CHECK_EQ(send(s[0], "abX", 3, MSG_OOB), 3, "the last byte of a send with MSG_OOB");
    CHECK(polled(s[1]) & POLLPRI, "is POLLPRI");
    CHECK_STR(receive(s[1], 10, MSG_OOB | MSG_PEEK), "X", "it can be looked at,");
    CHECK_STR(receive(s[1], 10, MSG_OOB), "X", "and taken before what came earlier");
    CHECK(!(polled(s[1]) & POLLPRI), "then it is gone");
    CHECK_FAIL(recv(s[1], got, 1, MSG_OOB), EINVAL, "for good");
    CHECK_STR(receive(s[1], 10, 0), "ab", "the others are there");

    REQUIRE(send(s[0], "abX", 3, MSG_OOB) == 3 && send(s[0], "cd", 2, 0) == 2);
    CHECK_EQ(at_mark(s[1]), 0, "SIOCATMARK: not yet");
    CHECK_STR(receive(s[1], 10, 0), "ab", "a read ends before the byte");
    CHECK_EQ(at_mark(s[1]), 1, "there is the mark");
    CHECK_STR(receive(s[1], 10, 0), "cd", "the next goes on behind it");
    CHECK_FAIL(recv(s[1], got, 1, MSG_OOB), EINVAL, "which has dropped it");
    CHECK_EQ(at_mark(s[1]), 0, "no mark");

    REQUIRE(send(s[0], "aX", 2, MSG_OOB) == 2 && send(s[0], "bY", 2, MSG_OOB) == 2);
    CHECK_STR(receive(s[1], 10, MSG_OOB), "Y", "a second one takes the place of the first,");
    CHECK_STR(receive(s[1], 10, 0), "aXb", "which becomes an ordinary byte");
    CHECK_FAIL(send(s[0], "", 0, MSG_OOB), EOPNOTSUPP, "none to be sent");
    CHECK(recv(s[1], got, 10, MSG_DONTWAIT) == -1, "all was read");

    struct msghdr m = {};
    struct iovec v = {got, 10};
    m.msg_iov = &v;
    m.msg_iovlen = 1;
    REQUIRE(send(s[0], "Z", 1, MSG_OOB) == 1);
    CHECK(recvmsg(s[1], &m, MSG_OOB) == 1 && (m.msg_flags & MSG_OOB), "recvmsg tells MSG_OOB");
}

static void inline_bytes(void)
{
    int s[2], on = 1;
    pair(s, SOCK_STREAM);
    REQUIRE(setsockopt(s[1], SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)) == 0);
    REQUIRE(send(s[0], "abX", 3, MSG_OOB) == 3 && send(s[0], "cd", 2, 0) == 2);
    CHECK_FAIL(recv(s[1], got, 1, MSG_OOB), EINVAL, "with SO_OOBINLINE it is not out of turn");
    CHECK_STR(receive(s[1], 10, 0), "ab", "a read ends before it all the same");
    CHECK_EQ(at_mark(s[1]), 1, "at the mark");
    CHECK_STR(receive(s[1], 1, 0), "X", "it comes in its turn");
    CHECK_STR(receive(s[1], 10, 0), "cd", "then the rest");
}

static void urgent_signal(void)
{
    int s[2];
    sigset_t set = set_of(SIGURG);
    struct timespec limit = {20, 0}, none = {};
    pair(s, SOCK_STREAM);
    block_signal(SIGURG);
    REQUIRE(send(s[0], "X", 1, MSG_OOB) == 1);
    CHECK_FAIL(sigtimedwait(&set, NULL, &none), EAGAIN, "without an owner nobody hears of it");
    REQUIRE(fcntl(s[1], F_SETOWN, getpid()) == 0);
    REQUIRE(send(s[0], "Y", 1, MSG_OOB) == 1);
    CHECK_EQ(sigtimedwait(&set, NULL, &limit), SIGURG, "an owner gets SIGURG");
}

static void not_there(void)
{
    int s[2];
    pair(s, SOCK_DGRAM);
    CHECK_FAIL(send(s[0], "x", 1, MSG_OOB), EOPNOTSUPP, "datagrams have no MSG_OOB");
    CHECK_FAIL(recv(s[1], got, 1, MSG_OOB), EOPNOTSUPP, "to be received neither");
    pair(s, SOCK_SEQPACKET);
    CHECK_FAIL(send(s[0], "x", 1, MSG_OOB), EOPNOTSUPP, "nor have seqpacket sockets");
}

static int set_offset(int fd, int offset)
{
    return setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset));
}

static int offset_of(int fd)
{
    int value = -77;
    socklen_t n = sizeof(value);
    getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &value, &n);
    return value;
}

static void peek_stream(void)
{
    int s[2];
    if (qemu_user_lacks("SO_PEEK_OFF"))
        return;
    pair(s, SOCK_STREAM);
    CHECK_EQ(offset_of(s[1]), -1, "SO_PEEK_OFF is off at first");
    REQUIRE(send(s[0], "abcdef", 6, 0) == 6);
    CHECK_STR(receive(s[1], 2, MSG_PEEK), "ab", "then every look is at the beginning");
    CHECK_EQ(set_offset(s[1], 1), 0, "on");
    CHECK_STR(receive(s[1], 2, MSG_PEEK), "bc", "a look begins at the offset");
    CHECK_EQ(offset_of(s[1]), 3, "and moves it");
    CHECK_STR(receive(s[1], 2, MSG_PEEK), "de", "for the next");
    CHECK_STR(receive(s[1], 2, 0), "ab", "a read takes from the beginning");
    CHECK_EQ(offset_of(s[1]), 3, "and moves it back by as much");
    CHECK_STR(receive(s[1], 9, MSG_PEEK), "f", "so that it means the same byte");
    CHECK_FAIL(recv(s[1], got, 1, MSG_PEEK | MSG_DONTWAIT), EAGAIN, "beyond the end: EAGAIN");
    REQUIRE(send(s[0], "gh", 2, 0) == 2);
    CHECK_STR(receive(s[1], 9, MSG_PEEK), "gh", "until more has come");
    CHECK_STR(receive(s[1], 99, 0), "cdefgh", "all of it is still there");
    CHECK_EQ(offset_of(s[1]), 0, "the offset is 0 at the least");
    CHECK_EQ(set_offset(s[1], -1), 0, "off again");
    CHECK_EQ(offset_of(s[1]), -1, "is -1");

    struct gate ready = gate_make();
    REQUIRE(send(s[0], "xy", 2, 0) == 2);
    pid_t child = CHILD({
        set_offset(s[1], 2);
        gate_open(ready);
        _exit(recv(s[1], got, 9, MSG_PEEK) == 1 && got[0] == 'z' ? 0 : 1);
    });
    gate_pass(ready);
    await_state(child, "S");
    REQUIRE(send(s[0], "z", 1, 0) == 1);
    CHECK_EQ(end_of(child), 0, "a look beyond the end waits for more");
    REQUIRE(send(s[0], "1", 1, 0) == 1);
    shutdown(s[0], SHUT_WR);
    set_offset(s[1], 4);
    CHECK_EQ(recv(s[1], got, 9, MSG_PEEK), 0, "or for the end");
}

static void peek_datagrams(void)
{
    int s[2];
    if (qemu_user_lacks("SO_PEEK_OFF"))
        return;
    pair(s, SOCK_DGRAM);
    REQUIRE(send(s[0], "abc", 3, 0) == 3 && send(s[0], "defg", 4, 0) == 4);
    REQUIRE(set_offset(s[1], 1) == 0);
    CHECK_STR(receive(s[1], 9, MSG_PEEK), "bc", "of a datagram: the rest of it");
    CHECK_STR(receive(s[1], 2, MSG_PEEK), "de", "then the next one");
    CHECK_EQ(offset_of(s[1]), 5, "offsets count through them");
    CHECK_STR(receive(s[1], 9, 0), "abc", "one is taken");
    CHECK_EQ(offset_of(s[1]), 2, "with its bytes");
    CHECK_STR(receive(s[1], 9, MSG_PEEK), "fg", "the look goes on");
    CHECK_FAIL(recv(s[1], got, 1, MSG_PEEK | MSG_DONTWAIT), EAGAIN, "up to the end");
    CHECK_STR(receive(s[1], 9, 0), "defg", "nothing was lost");
}

CHECK_MAIN(CASE(urgent), CASE(inline_bytes), CASE(urgent_signal), CASE(not_there),
           CASE(peek_stream), CASE(peek_datagrams))
