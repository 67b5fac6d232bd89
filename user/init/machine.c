/* SPDX-License-Identifier: MIT */
/* What programs expect of a machine that has started: file systems, a console, names. */
#include "init.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

void complain(const char *what)
{
    dprintf(2, "init: %s: %s\n", what, strerror(errno));
}

_Noreturn void power_off(void)
{
    kill(-1, SIGKILL);
    while (wait(NULL) > 0 || errno == EINTR) {
    }
    sync();
    reboot(RB_POWER_OFF);
    complain("power off");
    for (;;) {
        pause();
    }
}

/* A kernel without this file system, or without a place for it, is no reason to stop. */
static void mount_on(const char *type, const char *where, mode_t mode)
{
    mkdir(where, mode);
    if (mount(type, where, type, 0, NULL) < 0 && errno != ENODEV && errno != EBUSY &&
        errno != ENOENT) {
        complain(where);
    }
}

/* The terminal behind /dev/console, the last console= of the command line, by
 * its own name: on Linux /dev/console itself knows no job control. */
static int open_console_terminal(void)
{
    char line[2048], name[64] = "/dev/";
    int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, line, sizeof line - 1) : 0;
    if (fd >= 0) {
        close(fd);
    }
    line[n > 0 ? n : 0] = 0;
    for (char *word = strtok(line, " \n"); word; word = strtok(NULL, " \n")) {
        if (!strncmp(word, "console=", 8)) {
            snprintf(name + 5, sizeof name - 5, "%.*s", (int)strcspn(word + 8, ","), word + 8);
        }
    }
    fd = name[5] ? open(name, O_RDWR | O_NOCTTY) : -1;
    return fd >= 0 ? fd : open("/dev/console", O_RDWR | O_NOCTTY);
}

static void open_console(void)
{
    int fd = open_console_terminal();
    if (fd < 0) {
        return;
    }
    for (int i = 0; i < 3; i++) {
        dup2(fd, i);
    }
    if (fd > 2) {
        close(fd);
    }
}

static void set_host_name(void)
{
    char name[65] = "vellum";
    int fd = open("/etc/hostname", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t n = read(fd, name, sizeof name - 1);
        if (n > 0) {
            name[n] = 0;
            name[strcspn(name, "\n")] = 0;
        }
        close(fd);
    }
    sethostname(name, strlen(name));
}

/* The host's window has the size that COLUMNS and LINES say. */
static void set_window_size(void)
{
    const char *columns = getenv("COLUMNS"), *lines = getenv("LINES");
    struct winsize size = {0};
    if (columns && lines) {
        size.ws_col = (unsigned short)atoi(columns);
        size.ws_row = (unsigned short)atoi(lines);
        ioctl(2, TIOCSWINSZ, &size);
    }
    unsetenv("COLUMNS");
    unsetenv("LINES");
}

/* Names for a process's own files that programs expect; some kernels have them. */
static void name_own_files(void)
{
    static const char *const links[][2] = {
        {"/proc/self/fd", "/dev/fd"},
        {"/proc/self/fd/0", "/dev/stdin"},
        {"/proc/self/fd/1", "/dev/stdout"},
        {"/proc/self/fd/2", "/dev/stderr"},
    };
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        if (symlink(links[i][0], links[i][1]) < 0 && errno != EEXIST) {
            complain(links[i][1]);
        }
    }
}

/* Root's shell by /etc/passwd, the last field of the line. */
static const char *find_shell(void)
{
    static char text[4096];
    int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    if (fd >= 0) {
        close(fd);
    }
    text[n > 0 ? n : 0] = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char *shell = strrchr(line, ':');
        if (!strncmp(line, "root:", 5) && shell[1] == '/') {
            return shell + 1;
        }
    }
    return "/bin/sh";
}

void set_up(void)
{
    struct stat st;
    if (stat("/dev/zero", &st) < 0) {
        mount_on("devtmpfs", "/dev", 0755);
    }
    mount_on("proc", "/proc", 0555);
    open_console();
    mount_on("sysfs", "/sys", 0555);
    mount_on("devpts", "/dev/pts", 0755);
    name_own_files();
    set_host_name();
    set_window_size();
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
    setenv("HOME", "/root", 1);
    setenv("SHELL", find_shell(), 1);
    setenv("USER", "root", 1);
    setenv("LOGNAME", "root", 1);
}
