/* SPDX-License-Identifier: MIT */
/* Descriptors and credentials in messages of local sockets; descriptors that nobody can receive. */
#include "check.h"

#include <sys/socket.h>
#include <sys/un.h>

static char got[1000];

union control {
    char bytes[CMSG_SPACE(300 * sizeof(int))];
    struct cmsghdr header;
};

/* Send TEXT with descriptors. */
static ssize_t send_fds(int s, const char *text, const int *fds, int n)
{
    static union control c;
    struct iovec v = {(void *)text, strlen(text)};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = CMSG_SPACE(n * 4)};
    c.header = (struct cmsghdr){CMSG_LEN(n * 4), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(&c.header), fds, n * 4);
    return sendmsg(s, &m, 0);
}

/* Receive up to n descriptors; how many came, -1 on error. */
static int receive_fds(int s, int *fds, int n, int flags, int *out_flags, size_t bytes)
{
    static union control c;
    struct iovec v = {got, bytes};
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = n ? &c : NULL,
                       .msg_controllen = n ? CMSG_LEN(n * 4) : 0};
    ssize_t r = recvmsg(s, &m, flags);
    if (r < 0)
        return -1;
    got[r] = 0;
    if (out_flags)
        *out_flags = m.msg_flags;
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    if (!h || h->cmsg_type != SCM_RIGHTS)
        return 0;
    int count = (h->cmsg_len - CMSG_LEN(0)) / 4;
    memcpy(fds, CMSG_DATA(h), count * 4);
    return count;
}

static int is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* Is the other end of a pipe's read end still open somewhere? */
static int has_writer(int read_end)
{
    struct pollfd p = {read_end, POLLIN, 0};
    poll(&p, 1, 0);
    return !(p.revents & POLLHUP);
}

static void passing(void)
{
    int s[2], p[2], fds[8], flags;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && pipe(p) == 0);
    CHECK_EQ(send_fds(s[0], "fd", &p[1], 1), 2, "a descriptor is sent");
    close(p[1]);
    CHECK(has_writer(p[0]), "it lives on the way");
    CHECK_EQ(receive_fds(s[1], fds, 4, MSG_CMSG_CLOEXEC, &flags, 100), 1, "and is received");
    CHECK(!strcmp(got, "fd"), "with the bytes");
    CHECK_EQ(fcntl(fds[0], F_GETFD), FD_CLOEXEC, "MSG_CMSG_CLOEXEC");
    CHECK(write(fds[0], "x", 1) == 1 && read(p[0], got, 1) == 1, "it is the pipe's end");
    REQUIRE(send_fds(s[0], "no", &fds[0], 1) == 2);
    close(fds[0]);
    CHECK_EQ(read(s[1], got, 10), 2, "read takes the bytes");
    CHECK(!has_writer(p[0]), "and closes what came with them");
    REQUIRE(pipe(p) == 0);
    int three[3] = {p[0], p[1], 0};
    REQUIRE(send_fds(s[0], "3", three, 3) == 1);
    CHECK_EQ(receive_fds(s[1], fds, 2, 0, &flags, 100), 2, "room for two of three");
    CHECK_EQ(flags & MSG_CTRUNC, MSG_CTRUNC, "MSG_CTRUNC says so");
    close(fds[0]);
    close(fds[1]);
    REQUIRE(send_fds(s[0], "0", three, 3) == 1);
    CHECK_EQ(receive_fds(s[1], fds, 0, 0, &flags, 100), 0, "room for none");
    CHECK_EQ(flags & MSG_CTRUNC, MSG_CTRUNC, "MSG_CTRUNC again");
    REQUIRE(send_fds(s[0], "aa", &p[1], 1) == 2 && write(s[0], "bb", 2) == 2 &&
            send_fds(s[0], "cc", &p[1], 1) == 2);
    CHECK_EQ(receive_fds(s[1], fds, 4, MSG_PEEK, NULL, 100), 1, "MSG_PEEK gives descriptors too");
    close(fds[0]);
    CHECK(receive_fds(s[1], fds, 4, 0, NULL, 100) == 1 && !strcmp(got, "aa"),
          "bytes with descriptors end a read");
    close(fds[0]);
    CHECK(receive_fds(s[1], fds, 4, 0, NULL, 100) == 1 && !strcmp(got, "bbcc"),
          "those before others are joined with them");
    close(fds[0]);
    int bad[2] = {p[0], 777};
    CHECK_FAIL(send_fds(s[0], "x", bad, 2), EBADF, "a descriptor that is none");
    int many[254];
    for (int i = 0; i < 254; i++)
        many[i] = p[0];
    CHECK_FAIL(send_fds(s[0], "x", many, 254), EINVAL, "254 are too many");
    CHECK_EQ(send_fds(s[0], "x", many, 253), 1, "253 are not");
    CHECK(is_open(p[0]), "the sender keeps its own");
    close(s[1]);
    union control c = {.header = {4, SOL_SOCKET, SCM_RIGHTS}};
    struct iovec v = {"x", 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)};
    REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    CHECK_FAIL(sendmsg(s[0], &m, 0), EINVAL, "a control message that is too short");
    c.header.cmsg_len = sizeof(c) + 100;
    CHECK_FAIL(sendmsg(s[0], &m, 0), EINVAL, "or too long");
    c.header = (struct cmsghdr){CMSG_LEN(4), SOL_SOCKET, 99};
    CHECK_FAIL(sendmsg(s[0], &m, 0), EINVAL, "of an unknown type");
    c.header = (struct cmsghdr){CMSG_LEN(4), 99, 1};
    m.msg_controllen = CMSG_SPACE(4);
    CHECK_EQ(sendmsg(s[0], &m, 0), 1, "of another level: ignored");
    m.msg_control = unmapped_page();
    CHECK_FAIL(sendmsg(s[0], &m, 0), EFAULT, "at a bad address");
}

/* Send credentials; NULL: none. */
static ssize_t send_cred(int s, const struct ucred *u)
{
    union control c = {.header = {CMSG_LEN(sizeof(*u)), SOL_SOCKET, SCM_CREDENTIALS}};
    struct iovec v = {"x", 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    if (u) {
        m.msg_control = &c;
        m.msg_controllen = CMSG_SPACE(sizeof(*u));
        memcpy(CMSG_DATA(&c.header), u, sizeof(*u));
    }
    return sendmsg(s, &m, 0);
}

static int receive_cred(int s, struct ucred *u)
{
    union control c;
    struct iovec v = {got, 100};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)};
    if (recvmsg(s, &m, 0) < 0)
        return -1;
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    if (!h || h->cmsg_type != SCM_CREDENTIALS)
        return 0;
    memcpy(u, CMSG_DATA(h), sizeof(*u));
    return 1;
}

static void credentials(void)
{
    int s[2], one = 1;
    struct ucred u = {0};
    REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    REQUIRE(send_cred(s[0], NULL) == 1);
    CHECK_EQ(receive_cred(s[1], &u), 0, "no credentials unless they are asked for");
    REQUIRE(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) == 0);
    REQUIRE(send_cred(s[0], NULL) == 1);
    CHECK(receive_cred(s[1], &u) == 1 && u.pid == getpid() && u.uid == 0 && u.gid == 0,
          "with SO_PASSCRED they come");
    u = (struct ucred){getpid(), 12, 34};
    REQUIRE(send_cred(s[0], &u) == 1);
    memset(&u, 0, sizeof(u));
    CHECK(receive_cred(s[1], &u) == 1 && u.uid == 12 && u.gid == 34, "root may say what it likes");
    u = (struct ucred){99999999, 0, 0};
    CHECK_FAIL(send_cred(s[0], &u), ESRCH, "but not name a process that is not");
    CHECK_EQ(IN_CHILD({
                 become_user(1000);
                 struct ucred w = {getpid(), 1000, 1000};
                 CHECK_EQ(send_cred(s[0], &w), 1, "others may tell the truth");
                 w.uid = 0;
                 CHECK_FAIL(send_cred(s[0], &w), EPERM, "and nothing else: the user");
                 w = (struct ucred){getpid(), 1000, 0};
                 CHECK_FAIL(send_cred(s[0], &w), EPERM, "the group");
                 w = (struct ucred){1, 1000, 1000};
                 CHECK_FAIL(send_cred(s[0], &w), EPERM, "the process");
             }),
             0, "child");
    CHECK(receive_cred(s[1], &u) == 1 && u.uid == 1000, "that is received");
    int t[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, t) == 0);
    REQUIRE(setsockopt(t[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) == 0);
    REQUIRE(write(t[0], "mine", 4) == 4);
    CHECK_EQ(IN_CHILD(write(t[0], "its", 3)), 0, "another process writes into the stream");
    CHECK(receive_cred(t[1], &u) == 1 && u.pid == getpid(), "a read with credentials");
    CHECK_EQ(strncmp(got, "mine", 4), 0, "ends where the sender changes");
    CHECK(receive_cred(t[1], &u) == 1 && u.pid != getpid(), "the rest is the other's");
    socklen_t n = sizeof(u);
    CHECK(getsockopt(t[0], SOL_SOCKET, SO_PEERCRED, &u, &n) == 0 && u.pid == getpid(),
          "SO_PEERCRED of a pair");
    int f = socket(AF_UNIX, SOCK_STREAM, 0);
    n = sizeof(u);
    CHECK(getsockopt(f, SOL_SOCKET, SO_PEERCRED, &u, &n) == 0 && u.pid == 0 && u.uid == (uid_t)-1,
          "of one without a peer");
}

/* A pipe whose write end lies in a ring of sockets that are then closed: the ring must go. */
static void rings(void)
{
    int s[2], t[2], p[2], trigger[2];
    REQUIRE(pipe(p) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    int two[2] = {s[0], p[1]};
    REQUIRE(send_fds(s[1], "r", two, 2) == 1);
    close(p[1]);
    close(s[0]);
    CHECK(has_writer(p[0]), "a socket in its own queue lives while the peer does");
    close(s[1]);
    for (int i = 0; i < 1000 && has_writer(p[0]); i++) {
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, trigger) == 0);
        close(trigger[0]);
        close(trigger[1]);
        usleep(1000);
    }
    CHECK(!has_writer(p[0]), "then it goes, and all in it");
    REQUIRE(pipe(p) == 0 && socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0 &&
            socketpair(AF_UNIX, SOCK_STREAM, 0, t) == 0);
    int a[3] = {s[0], s[1], p[1]}, b[2] = {t[0], t[1]};
    REQUIRE(send_fds(t[0], "1", a, 3) == 1 && send_fds(s[0], "2", b, 2) == 1 &&
            send_fds(s[1], "3", b, 2) == 1);
    close(p[1]);
    close(s[0]);
    close(s[1]);
    close(t[0]);
    CHECK(has_writer(p[0]), "a ring of four, one end of which is held");
    int fds[4];
    CHECK_EQ(receive_fds(t[1], fds, 4, 0, NULL, 100), 3, "can be received from");
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    close(t[1]);
    for (int i = 0; i < 1000 && has_writer(p[0]); i++) {
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, trigger) == 0);
        close(trigger[0]);
        close(trigger[1]);
        usleep(1000);
    }
    CHECK(!has_writer(p[0]), "and goes with its last holder");
}

/* Sockets in sockets in sockets: closing the outermost must not overflow anything. */
static void nests(void)
{
    int p[2], inner[2], outer[2], depth = 0;
    REQUIRE(pipe(p) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, inner) == 0);
    REQUIRE(send_fds(inner[0], "x", &p[1], 1) == 1);
    close(p[1]);
    for (; depth < 2000; depth++) {
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, outer) == 0);
        if (send_fds(outer[0], "x", inner, 2) != 1)
            break;
        close(inner[0]);
        close(inner[1]);
        memcpy(inner, outer, sizeof(inner));
    }
    CHECK(depth >= 4, "sockets can be sent in sockets");
    close(inner[0]);
    close(inner[1]);
    for (int i = 0; i < 1000 && has_writer(p[0]); i++) {
        int t[2];
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, t) == 0);
        close(t[0]);
        close(t[1]);
        usleep(1000);
    }
    CHECK(!has_writer(p[0]), "what was innermost is closed in the end");
}

/* Several processes pass descriptors around while others make garbage. */
static void traffic(void)
{
    pid_t pids[4];
    for (int k = 0; k < 4; k++)
        pids[k] = CHILD({
            unsigned seed = k + 1;
            int s[2];
            int f[4];
            REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
            for (int i = 0; i < 300; i++) {
                int t[2];
                REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, t) == 0);
                if (rand_r(&seed) % 3 == 0)
                    REQUIRE(send_fds(t[0], "ring", t, 2) == 4);
                REQUIRE(send_fds(s[0], "pass", t, 2) == 4);
                close(t[0]);
                close(t[1]);
                REQUIRE(receive_fds(s[1], f, 4, 0, NULL, 100) == 2);
                REQUIRE(write(f[1], "alive", 5) == 5);
                int n = receive_fds(f[0], f + 2, 2, 0, NULL, 100);
                REQUIRE(!strcmp(got, "alive"));
                (void)n;
                close(f[0]);
                close(f[1]);
            }
        });
    int good = 1;
    for (int k = 0; k < 4; k++)
        good &= end_of(pids[k]) == 0;
    CHECK(good, "what is in use is never taken for garbage");
}

CHECK_MAIN_BUT_QEMU_USER(CASE(passing), CASE(credentials), CASE(rings), CASE(nests), CASE(traffic))
