/* SPDX-License-Identifier: MIT */
/* Devices: null, zero, full, random, urandom, tty, console; and the terminal if there is one. */
#include "check.h"

#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <termios.h>

static char buffer[70000];

static int all_are(const char *bytes, size_t length, char value)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != value)
            return 0;
    }
    return 1;
}

static void null(void)
{
    int fd = open("/dev/null", O_RDWR);
    CHECK(fd >= 0, "/dev/null");
    CHECK_EQ(read(fd, buffer, 100), 0, "reads the end");
    CHECK_EQ(write(fd, buffer, sizeof(buffer)), sizeof(buffer), "takes everything");
    CHECK_EQ(lseek(fd, 1000, SEEK_SET), 0, "has no offset to speak of");
    CHECK_EQ(pread(fd, buffer, 10, 5), 0, "pread");
    CHECK_EQ(pwrite(fd, buffer, 10, 5), 10, "pwrite");
    struct iovec parts[] = {{buffer, 10}, {buffer, 20}};
    CHECK_EQ(writev(fd, parts, 2), 30, "writev");
    CHECK_FAIL(ftruncate(fd, 0), EINVAL, "cannot be cut");
    CHECK(open("/dev/null", O_WRONLY | O_TRUNC | O_CREAT, 0644) >= 0, "but opened as a shell does");
    CHECK_FAIL(open("/dev/null", O_RDONLY | O_DIRECTORY), ENOTDIR, "it is no directory");
    CHECK_FAIL(ioctl(fd, TCGETS, buffer), ENOTTY, "nor a terminal");
}

static void zero_and_full(void)
{
    int zero = open("/dev/zero", O_RDWR), full = open("/dev/full", O_RDWR);
    memset(buffer, 'x', sizeof(buffer));
    CHECK_EQ(read(zero, buffer, sizeof(buffer)), sizeof(buffer),
             "/dev/zero gives all that is asked");
    CHECK(all_are(buffer, sizeof(buffer), 0), "in zeroes");
    CHECK_EQ(write(zero, buffer, 1000), 1000, "and takes everything");
    memset(buffer, 'x', 100);
    CHECK(read(full, buffer, 100) == 100 && all_are(buffer, 100, 0), "/dev/full gives zeroes");
    CHECK_FAIL(write(full, buffer, 1), ENOSPC, "and is full");
    CHECK_FAIL(pwrite(full, buffer, 1, 0), ENOSPC, "everywhere");
    struct stat st;
    CHECK(fstat(zero, &st) == 0 && st.st_rdev == makedev(1, 5), "/dev/zero is 1:5");
    CHECK(fstat(full, &st) == 0 && st.st_rdev == makedev(1, 7), "/dev/full is 1:7");
}

static void random_numbers(void)
{
    static const char *const names[] = {"/dev/random", "/dev/urandom"};
    char a[256], b[256];
    struct stat st;
    for (int i = 0; i < 2; i++) {
        int fd = open(names[i], O_RDWR);
        memset(a, 0, sizeof(a));
        memset(b, 0, sizeof(b));
        CHECK(fd >= 0 && read(fd, a, 256) == 256 && read(fd, b, 256) == 256, names[i]);
        int bits = 0;
        for (int j = 0; j < 256; j++)
            bits += __builtin_popcount((unsigned char)a[j]);
        CHECK(memcmp(a, b, 256) && bits > 824 && bits < 1224, "gives other bytes each time");
        CHECK_EQ(write(fd, a, 16), 16, "and takes entropy");
        CHECK(fstat(fd, &st) == 0 && st.st_rdev == makedev(1, 8 + i), "it has its number");
    }
    CHECK_EQ(getrandom(a, 256, 0), 256, "getrandom");
    CHECK_EQ(getrandom(b, 256, GRND_NONBLOCK), 256, "without blocking");
    CHECK(memcmp(a, b, 256), "differ");
    CHECK_EQ(getrandom(buffer, sizeof(buffer), 0), sizeof(buffer), "a large request");
    CHECK(!all_are(buffer + sizeof(buffer) - 64, 64, buffer[sizeof(buffer) - 1]),
          "is filled to its end");
    CHECK_EQ(getrandom(a, 0, 0), 0, "none");
    CHECK_FAIL(getrandom(a, 16, 0x100), EINVAL, "unknown flags");
    CHECK_FAIL(getrandom(a, 16, GRND_RANDOM | GRND_INSECURE), EINVAL, "contradicting flags");
}

static void terminals(void)
{
    struct stat st;
    CHECK(stat("/dev/tty", &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(5, 0),
          "/dev/tty is 5:0");
    CHECK(stat("/dev/console", &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(5, 1),
          "/dev/console is 5:1");
    CHECK_EQ(IN_CHILD(setsid(); _exit(open("/dev/tty", O_RDWR) < 0 ? errno : 0)), ENXIO,
             "without a controlling terminal /dev/tty is ENXIO");
}

static volatile int got_signal;

static void on_signal(int signal)
{
    got_signal = signal;
}

static void pseudo_terminal(void)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    char name[64];
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 || ptsname_r(master, name, 64)) {
        SKIP("terminals in pairs", "not there");
        return;
    }
    int slave = open(name, O_RDWR | O_NOCTTY);
    struct termios mode;
    struct winsize size = {.ws_row = 33, .ws_col = 99};
    CHECK(isatty(slave) && tcgetattr(slave, &mode) == 0, "a terminal");
    CHECK((mode.c_lflag & (ICANON | ECHO | ISIG)) == (ICANON | ECHO | ISIG), "starts canonical");
    CHECK(ioctl(master, TIOCSWINSZ, &size) == 0 && ioctl(slave, TIOCGWINSZ, &size) == 0 &&
              size.ws_row == 33 && size.ws_col == 99,
          "the window's size");
    REQUIRE(write(master, "abX\177c\n", 6) == 6);
    CHECK(read(slave, buffer, 100) == 4 && !memcmp(buffer, "abc\n", 4), "a line, edited");
    CHECK(read(master, buffer, 100) >= 6 && !memcmp(buffer, "abX", 3), "and echoed");
    mode.c_lflag &= ~(ICANON | ECHO);
    mode.c_cc[VMIN] = 1, mode.c_cc[VTIME] = 0;
    REQUIRE(tcsetattr(slave, TCSANOW, &mode) == 0);
    REQUIRE(write(master, "q", 1) == 1);
    CHECK_EQ(read(slave, buffer, 100), 1, "raw: byte by byte");
    handle_flags(SIGINT, on_signal, 0);
    CHECK_EQ(IN_CHILD(setsid(); ioctl(slave, TIOCSCTTY, 0); handle_flags(SIGINT, on_signal, 0);
                      write(master, "\003", 1); while (!got_signal) sched_yield();
                      _exit(got_signal == SIGINT ? 0 : 1)),
             0, "^C is SIGINT");
}

/* Only where standard input is a terminal. */
static void own_terminal(void)
{
    struct termios mode, same;
    struct winsize size;
    if (!isatty(0)) {
        SKIP("the own terminal", "standard input is none");
        return;
    }
    CHECK(tcgetattr(0, &mode) == 0 && tcsetattr(0, TCSANOW, &mode) == 0 && tcgetattr(0, &same) == 0,
          "tcgetattr and tcsetattr");
    CHECK_EQ(mode.c_lflag, same.c_lflag, "agree");
    CHECK_EQ(ioctl(0, TIOCGWINSZ, &size), 0, "TIOCGWINSZ");
    CHECK(ttyname(0) != NULL, "ttyname");
}

CHECK_MAIN(CASE(null), CASE(zero_and_full), CASE(random_numbers), CASE(terminals),
           CASE(pseudo_terminal), CASE(own_terminal))
