/* SPDX-License-Identifier: MIT */
/* Pseudo-terminals: ptmx and pts, both directions, packet mode, window size, sessions, hang-up. */
#include "check.h"

#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>

static char got[8192];
static volatile int winch, hups, conts;

static void on_signal(int signo)
{
    if (signo == SIGWINCH)
        winch++;
    else if (signo == SIGHUP)
        hups++;
    else
        conts++;
}

/* A pair whose slave can be opened; its name in NAME. */
static int open_master(char name[64], int flags)
{
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | flags), unlock = 0;
    unsigned number = 0;
    REQUIRE(master >= 0);
    REQUIRE(ioctl(master, TIOCGPTN, &number) == 0);
    REQUIRE(ioctl(master, TIOCSPTLCK, &unlock) == 0);
    snprintf(name, 64, "/dev/pts/%u", number);
    return master;
}

static void open_pair(int *master, int *slave)
{
    char name[64];
    *master = open_master(name, 0);
    *slave = open(name, O_RDWR | O_NOCTTY);
    REQUIRE(*slave >= 0);
}

static void set_raw(int fd)
{
    struct termios t;
    REQUIRE(tcgetattr(fd, &t) == 0);
    cfmakeraw(&t);
    REQUIRE(tcsetattr(fd, TCSANOW, &t) == 0);
}

/* What comes out of a descriptor until it is as long as WANT. */
static int reads_as(int fd, const char *want)
{
    size_t n = 0;
    while (n < strlen(want)) {
        ssize_t r = read(fd, got + n, sizeof(got) - 1 - n);
        if (r <= 0)
            break;
        n += r;
    }
    got[n] = 0;
    return !strcmp(got, want);
}

static void names(void)
{
    unsigned number = 99999;
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY), locked = -1, zero = 0;
    REQUIRE(master >= 0);
    CHECK_EQ(ioctl(master, TIOCGPTN, &number), 0, "TIOCGPTN");
    char name[64], text[128];
    snprintf(name, sizeof(name), "/dev/pts/%u", number);
    struct stat st;
    CHECK_EQ(stat(name, &st), 0, "the slave has a name in /dev/pts");
    CHECK(S_ISCHR(st.st_mode) && major(st.st_rdev) == 136 && minor(st.st_rdev) == number,
          "which is device 136:N");
    CHECK_EQ(st.st_uid, 0, "and belongs to who opened the master");
    CHECK(ioctl(master, TIOCGPTLCK, &locked) == 0 && locked == 1, "it is locked at first");
    CHECK_FAIL(open(name, O_RDWR | O_NOCTTY), EIO, "and cannot be opened");
    CHECK_EQ(ioctl(master, TIOCSPTLCK, &zero), 0, "TIOCSPTLCK unlocks it");
    int slave = open(name, O_RDWR | O_NOCTTY);
    CHECK(slave >= 0, "then it opens");
    CHECK_EQ(isatty(slave), 1, "it is a terminal");
    CHECK_EQ(isatty(master), 1, "and so is the master");
    CHECK_FAIL(ioctl(slave, TIOCGPTN, &number), ENOTTY, "TIOCGPTN is the master's");
    snprintf(text, sizeof(text), "/proc/self/fd/%d", slave);
    ssize_t n = readlink(text, got, sizeof(got) - 1);
    got[n > 0 ? n : 0] = 0;
    CHECK_STR(got, name, "the slave's descriptor knows its name");
    int peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK(peer >= 0, "TIOCGPTPEER opens the slave");
    struct stat other;
    CHECK(fstat(peer, &other) == 0 && other.st_ino == st.st_ino && other.st_rdev == st.st_rdev,
          "the same one");
    CHECK_EQ(fcntl(peer, F_GETFD), FD_CLOEXEC, "with the flags that were asked for");
    close(peer);
    int second = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    unsigned next = number;
    CHECK(ioctl(second, TIOCGPTN, &next) == 0 && next != number, "another open is another pair");
    close(second);
    struct statfs fs;
    CHECK(statfs("/dev/pts", &fs) == 0 && fs.f_type == 0x1cd1, "/dev/pts is a devpts");
    close(master);
    CHECK_FAIL(stat(name, &st), ENOENT, "with its master the name goes");
    snprintf(text, sizeof(text), "/proc/self/fd/%d", slave);
    CHECK(open(text, O_RDWR | O_NOCTTY) == -1, "and the slave cannot be opened again");
    close(slave);
    CHECK(open("/dev/pts/file", O_CREAT | O_RDWR, 0600) == -1, "nobody makes files there");
    CHECK(mkdir("/dev/pts/dir", 0700) == -1, "or directories");
}

static void both_ways(void)
{
    int m, s, n = 0;
    open_pair(&m, &s);
    CHECK_EQ(write(m, "hello\n", 6), 6, "typing a line");
    CHECK_EQ(read(s, got, sizeof(got)), 6, "the slave reads it");
    CHECK(!memcmp(got, "hello\n", 6), "as it was typed");
    CHECK(reads_as(m, "hello\r\n"), "the master sees the echo, with a carriage return");
    REQUIRE(write(s, "a\nb", 3) == 3);
    struct pollfd p = {m, POLLIN, 0};
    CHECK(poll(&p, 1, 10000) == 1 && ioctl(m, FIONREAD, &n) == 0 && n > 0,
          "FIONREAD counts what the master can read");
    CHECK(reads_as(m, "a\r\nb"), "output is processed");
    REQUIRE(write(m, "ab\177c\n", 5) == 5);
    CHECK(read(s, got, sizeof(got)) == 3 && !memcmp(got, "ac\n", 3), "erase edits the line");
    CHECK(reads_as(m, "ab\b \bc\r\n"), "and is shown");
    REQUIRE(write(m, "\004", 1) == 1);
    CHECK_EQ(read(s, got, sizeof(got)), 0, "^D is an end of file");
    set_raw(s);
    REQUIRE(write(m, "x\ry\003", 4) == 4);
    CHECK(read(s, got, sizeof(got)) == 4 && !memcmp(got, "x\ry\003", 4), "raw: as it comes");
    REQUIRE(write(s, "a\nb", 3) == 3);
    CHECK(reads_as(m, "a\nb"), "in both directions");
    struct termios t, u;
    CHECK(tcgetattr(m, &t) == 0 && tcgetattr(s, &u) == 0 && t.c_lflag == u.c_lflag,
          "the master shows the slave's settings");
    t.c_lflag |= ICANON;
    CHECK(tcsetattr(m, TCSANOW, &t) == 0 && tcgetattr(s, &u) == 0 && (u.c_lflag & ICANON),
          "and can set them");
    CHECK_EQ(tcdrain(s), 0, "tcdrain");
    CHECK_FAIL(write(s, unmapped_page(), 4), EFAULT, "bad addresses");
    CHECK_FAIL(lseek(m, 0, SEEK_SET), ESPIPE, "no position");
}

static void blocking(void)
{
    char name[64];
    int m = open_master(name, O_NONBLOCK), s = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK);
    struct pollfd p = {m, POLLIN | POLLOUT, 0};
    REQUIRE(s >= 0);
    CHECK_FAIL(read(m, got, 10), EAGAIN, "nothing to read for the master");
    CHECK_FAIL(read(s, got, 10), EAGAIN, "nor for the slave");
    CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLOUT, "poll: only writable");
    REQUIRE(write(s, "x", 1) == 1);
    CHECK(poll(&p, 1, 1000) == 1 && p.revents == (POLLIN | POLLOUT), "then readable too");
    CHECK_EQ(read(m, got, 10), 1, "read");
    fcntl(m, F_SETFL, 0);
    fcntl(s, F_SETFL, 0);
    pid_t pid = CHILD(usleep(20000); write(s, "late", 4));
    CHECK(reads_as(m, "late"), "a master waits for output");
    end_of(pid);
    set_raw(s);
    static char big[20000], all[20000];
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = 'a' + i % 23;
    pid = CHILD(write(s, big, sizeof(big)));
    size_t n = 0;
    while (n < sizeof(all)) {
        ssize_t r = read(m, all + n, sizeof(all) - n);
        if (r <= 0)
            break;
        n += r;
    }
    CHECK(n == sizeof(all) && !memcmp(all, big, n), "more than fits goes through, to the master");
    CHECK_EQ(end_of(pid), 0, "and the writer ends");
    pid = CHILD(write(m, big, sizeof(big)));
    for (n = 0; n < sizeof(all);) {
        ssize_t r = read(s, all + n, sizeof(all) - n);
        if (r <= 0)
            break;
        n += r;
    }
    CHECK(n == sizeof(all) && !memcmp(all, big, n), "and to the slave");
    CHECK_EQ(end_of(pid), 0, "again");
    close(s);
    CHECK(poll(&p, 1, 1000) == 1 && (p.revents & POLLHUP), "without a slave the master is hung up");
    CHECK_FAIL(read(m, got, 10), EIO, "and reads EIO");
    s = open(name, O_RDWR | O_NOCTTY);
    CHECK(s >= 0, "the slave can be opened again");
    CHECK(poll(&p, 1, 0) == 1 && !(p.revents & POLLHUP), "then it is up again");
    REQUIRE(write(s, "last", 4) == 4);
    close(s);
    CHECK(reads_as(m, "last"), "what was written is read before the end");
    CHECK_FAIL(read(m, got, 10), EIO, "EIO");
}

static void packets(void)
{
    int m, s, on = 1, off = 0, value = -1;
    open_pair(&m, &s);
    CHECK(ioctl(m, TIOCPKT, &on) == 0 && ioctl(m, TIOCGPKT, &value) == 0 && value == 1, "TIOCPKT");
    REQUIRE(write(s, "data", 4) == 4);
    CHECK(read(m, got, 100) == 5 && got[0] == TIOCPKT_DATA && !memcmp(got + 1, "data", 4),
          "data comes with a zero before it");
    REQUIRE(tcflush(s, TCIFLUSH) == 0);
    CHECK(read(m, got, 100) == 1 && got[0] == TIOCPKT_FLUSHREAD, "a flush of the input is told");
    REQUIRE(tcflush(s, TCOFLUSH) == 0);
    CHECK(read(m, got, 100) == 1 && got[0] == TIOCPKT_FLUSHWRITE, "and of the output");
    REQUIRE(tcflow(s, TCOOFF) == 0);
    struct pollfd p = {m, POLLIN | POLLPRI, 0};
    CHECK(poll(&p, 1, 1000) == 1 && (p.revents & POLLPRI), "poll tells of a state as urgent");
    CHECK(read(m, got, 100) == 1 && got[0] == TIOCPKT_STOP, "output stopped");
    REQUIRE(tcflow(s, TCOON) == 0);
    CHECK(read(m, got, 100) == 1 && got[0] == TIOCPKT_START, "and started");
    struct termios t;
    REQUIRE(tcgetattr(s, &t) == 0);
    t.c_iflag &= ~IXON;
    REQUIRE(tcsetattr(s, TCSANOW, &t) == 0);
    CHECK(read(m, got, 100) == 1 && got[0] == TIOCPKT_NOSTOP, "^S is none any more");
    CHECK_EQ(ioctl(m, TIOCPKT, &off), 0, "packet mode off");
    REQUIRE(write(s, "data", 4) == 4);
    CHECK(reads_as(m, "data"), "plain again");
    CHECK_FAIL(ioctl(s, TIOCPKT, &on), ENOTTY, "not for the slave");
    CHECK_FAIL(ioctl(m, TIOCPKT, unmapped_page()), EFAULT, "bad address");
}

/* tcflush() and tcflow() of the master are about its own ends of the two directions. */
static void master_flushes(void)
{
    int m, s;
    open_pair(&m, &s);
    set_raw(s);
    REQUIRE(write(s, "abc", 3) == 3 && poll(&(struct pollfd){m, POLLIN, 0}, 1, 10000) == 1);
    CHECK(tcflush(m, TCOFLUSH) == 0 && tcflush(s, TCIFLUSH) == 0 && reads_as(m, "abc"),
          "what the slave has written is not the master's output");
    REQUIRE(write(s, "abc", 3) == 3 && poll(&(struct pollfd){m, POLLIN, 0}, 1, 10000) == 1);
    CHECK(tcflush(s, TCOFLUSH) == 0 && reads_as(m, "abc"), "and not the slave's any more");
    REQUIRE(write(s, "abc", 3) == 3 && poll(&(struct pollfd){m, POLLIN, 0}, 1, 10000) == 1);
    REQUIRE(tcflush(m, TCIFLUSH) == 0 && write(s, "def", 3) == 3);
    CHECK(reads_as(m, "def"), "but the master's input");
    REQUIRE(write(m, "ghi", 3) == 3 && poll(&(struct pollfd){s, POLLIN, 0}, 1, 10000) == 1);
    CHECK(tcflush(m, TCIOFLUSH) == 0 && reads_as(s, "ghi"), "what the slave can read stays");
    CHECK_FAIL(ioctl(m, TCFLSH, 3), EINVAL, "no such queue");
    CHECK(tcflow(m, TCIOFF) == 0 && reads_as(s, "\23"), "TCIOFF of the master types ^S");
    REQUIRE(fcntl(m, F_SETFL, O_NONBLOCK) == 0 && tcflow(m, TCOOFF) == 0);
    CHECK_FAIL(write(m, "jkl", 3), EAGAIN, "TCOOFF of the master holds what it types");
    CHECK(write(s, "mno", 3) == 3 && reads_as(m, "mno"), "and nothing else");
    REQUIRE(tcflow(m, TCOON) == 0);
    CHECK(write(m, "jkl", 3) == 3 && reads_as(s, "jkl"), "until TCOON");
    CHECK_FAIL(ioctl(m, TCXONC, 4), EINVAL, "no such action");
    close(m);
    close(s);
}

/* Output that is stopped: nothing more leaves the slave, and what has left it is there to be read. */
static void stopped(void)
{
    int m, s;
    open_pair(&m, &s);
    set_raw(s);
    REQUIRE(write(s, "abc", 3) == 3 && poll(&(struct pollfd){m, POLLIN, 0}, 1, 10000) == 1);
    REQUIRE(tcflow(s, TCOOFF) == 0 && fcntl(s, F_SETFL, O_NONBLOCK) == 0);
    CHECK(reads_as(m, "abc"), "what was written before TCOOFF can be read");
    CHECK_FAIL(write(s, "def", 3), EAGAIN, "and nothing can be written after it");
    CHECK_EQ(poll(&(struct pollfd){s, POLLOUT, 0}, 1, 0), 0, "as poll says");
    REQUIRE(fcntl(s, F_SETFL, 0) == 0);
    pid_t pid = CHILD({ REQUIRE(write(s, "ghi", 3) == 3); });
    CHECK_EQ(await_state(pid, "SZ"), 'S', "a write waits");
    REQUIRE(tcflow(s, TCOON) == 0);
    CHECK(reads_as(m, "ghi") && end_of(pid) == 0, "until TCOON");
    struct termios t;
    REQUIRE(tcgetattr(s, &t) == 0);
    t.c_lflag |= ISIG;
    t.c_iflag |= IXON;
    REQUIRE(tcsetattr(s, TCSANOW, &t) == 0 && write(m, "\23", 1) == 1);
    while (poll(&(struct pollfd){s, POLLOUT, 0}, 1, 0) == 1)
        sched_yield(); /* until it is seen */
    pid = CHILD({ REQUIRE(write(s, "jkl", 3) == 3); });
    CHECK_EQ(await_state(pid, "SZ"), 'S', "the same with ^S");
    REQUIRE(write(m, "\21", 1) == 1);
    CHECK(reads_as(m, "jkl") && end_of(pid) == 0, "and ^Q");
    REQUIRE(write(s, "mno", 3) == 3 && poll(&(struct pollfd){m, POLLIN, 0}, 1, 10000) == 1);
    REQUIRE(write(m, "\3", 1) == 1);
    CHECK(reads_as(m, "mno"), "^C takes nothing back");
    close(m);
    close(s);
}

static void sessions(void)
{
    char name[64];
    int m = open_master(name, 0);
    struct gate ready = gate_make();
    pid_t pid = CHILD({
        close(m);
        REQUIRE(setsid() > 0);
        CHECK_FAIL(open("/dev/tty", O_RDWR), ENXIO, "a new session has no terminal");
        int s = open(name, O_RDWR);
        REQUIRE(s >= 0);
        CHECK_EQ(tcgetpgrp(s), getpid(), "a leader who opens one has it, and the foreground");
        CHECK_EQ(tcgetsid(s), getpid(), "TIOCGSID");
        int tty = open("/dev/tty", O_RDWR);
        CHECK(tty >= 0, "and /dev/tty is it");
        REQUIRE(write(tty, "via tty", 7) == 7);
        handle_flags(SIGWINCH, on_signal, SA_RESTART);
        handle_flags(SIGINT, on_signal, 0);
        gate_open(ready);
        while (!winch)
            usleep(1000);
        struct winsize w;
        CHECK(ioctl(s, TIOCGWINSZ, &w) == 0 && w.ws_row == 33 && w.ws_col == 77,
              "SIGWINCH tells of a new size");
        gate_open(ready);
        while (!conts)
            usleep(1000);
        CHECK(1, "^C is SIGINT for the foreground");
        handle_flags(SIGHUP, on_signal, 0);
        handle_flags(SIGCONT, on_signal, 0);
        conts = 0;
        gate_open(ready);
        while (!hups || !conts)
            usleep(1000);
        CHECK(1, "closing the master: SIGHUP and SIGCONT for the leader");
        CHECK_EQ(read(s, got, 10), 0, "reading the slave: end of file");
        CHECK_FAIL(write(s, "x", 1), EIO, "writing: EIO");
        CHECK_FAIL(ioctl(s, TIOCGWINSZ, &w), EIO, "ioctl: EIO");
        struct pollfd p = {s, POLLIN, 0};
        CHECK(poll(&p, 1, 0) == 1 && (p.revents & POLLHUP), "poll: POLLHUP");
        CHECK_FAIL(open("/dev/tty", O_RDWR), ENXIO, "the session has no terminal any more");
    });
    gate_pass(ready);
    CHECK(reads_as(m, "via tty"), "the master reads what went through /dev/tty");
    pid_t group = 0;
    CHECK(ioctl(m, TIOCGPGRP, &group) == 0 && group == pid, "the master may ask for the group");
    CHECK(ioctl(m, TIOCGSID, &group) == 0 && group == pid, "and the session");
    struct winsize w = {.ws_row = 33, .ws_col = 77};
    CHECK_EQ(ioctl(m, TIOCSWINSZ, &w), 0, "TIOCSWINSZ on the master");
    gate_pass(ready);
    REQUIRE(write(m, "\003", 1) == 1);
    gate_pass(ready);
    close(m);
    CHECK_EQ(end_of(pid), 0, "the session ends");
}

static void leader_leaves(void)
{
    char name[64];
    int m = open_master(name, 0);
    struct gate ready = gate_make(), seen = gate_make();
    pid_t pid = CHILD({
        close(m);
        REQUIRE(setsid() > 0);
        int s = open(name, O_RDWR);
        REQUIRE(s >= 0);
        handle_flags(SIGHUP, on_signal, 0);
        pid_t other = CHILD({
            gate_open(ready);
            while (!hups)
                usleep(1000);
            CHECK(1, "when the leader ends the foreground gets SIGHUP");
            gate_open(seen);
        });
        (void)other;
        gate_pass(ready);
    });
    CHECK_EQ(end_of(pid), 0, "the leader ends");
    gate_pass(seen);
    close(m);
}

static void hang_up(void)
{
    char name[64];
    int m = open_master(name, 0);
    pid_t pid = CHILD({
        REQUIRE(setsid() > 0);
        int s = open(name, O_RDWR);
        REQUIRE(s >= 0);
        handle_flags(SIGHUP, on_signal, 0);
        CHECK_EQ(syscall(SYS_vhangup), 0, "vhangup");
        CHECK_FAIL(write(s, "x", 1), EIO, "takes the terminal from who has it open");
        CHECK_EQ(read(s, got, 1), 0, "for good");
        int again = open(name, O_RDWR | O_NOCTTY);
        CHECK(again >= 0 && write(again, "new", 3) == 3, "it can be opened anew");
        become_user(1000);
        CHECK_FAIL(syscall(SYS_vhangup), EPERM, "root may do that");
    });
    CHECK(reads_as(m, "new"), "and then works");
    CHECK_EQ(end_of(pid), 0, "child");
    close(m);
}

/* The slave writes and closes while the master looks: what was written comes before the EIO. */
static void last_words(void)
{
    enum { ROUNDS = 100 };
    _Atomic int *turn = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int master[ROUNDS], slave[ROUNDS], spoken = 0;
    REQUIRE(turn != MAP_FAILED);
    for (int i = 0; i < ROUNDS; i++) {
        open_pair(&master[i], &slave[i]);
        REQUIRE(fcntl(master[i], F_SETFL, O_NONBLOCK) == 0);
    }
    pid_t speaker = CHILD({
        for (int i = 0; i < ROUNDS; i++) {
            while (*turn <= i)
                sched_yield();
            for (volatile int k = i * 37 % 1000; k > 0; k--)
                ;
            write(slave[i], "x", 1);
            close(slave[i]);
        }
    });
    for (int i = 0; i < ROUNDS; i++)
        close(slave[i]);
    for (int i = 0; i < ROUNDS; i++) {
        char got[4];
        ssize_t n;
        *turn = i + 1;
        while ((n = read(master[i], got, 1)) < 0 && errno == EAGAIN)
            sched_yield();
        spoken += n == 1;
    }
    CHECK(spoken == ROUNDS, "what is written just before the close is read before the end");
    CHECK_EQ(end_of(speaker), 0, "the speaker");
}

static void many(void)
{
    int m[64], s[64], good = 1;
    for (int i = 0; i < 64; i++)
        open_pair(&m[i], &s[i]);
    for (int i = 0; i < 64; i++) {
        char text[32];
        int n = snprintf(text, sizeof(text), "pair %d\n", i);
        good &= write(m[i], text, n) == n && read(s[i], got, 100) == n && !memcmp(got, text, n);
    }
    CHECK(good, "64 pairs, each for itself");
    for (int i = 0; i < 64; i++) {
        close(m[i]);
        close(s[63 - i]);
    }
    unsigned number = 99999;
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    CHECK(ioctl(master, TIOCGPTN, &number) == 0 && number < 64, "numbers are used again");
    close(master);
}

CHECK_MAIN_BUT_QEMU_USER(CASE(names), CASE(both_ways), CASE(blocking), CASE(packets),
                         CASE(master_flushes), CASE(stopped), CASE(sessions), CASE(leader_leaves),
                         CASE(hang_up), CASE(many), CASE(last_words))
