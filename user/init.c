/* SPDX-License-Identifier: MIT */
/*
 * init: the first process of the image.
 *
 * It mounts what programs expect, then does one of two things.
 *
 * Without a command it runs root's shell on the console, in a session of its own so
 * that job control works, and switches the machine off when the shell ends. (If
 * there is the port described below, the host is told first, 'b', and answers.)
 *
 * With a command (`./run -- COMMAND` says VELLUM_COMMAND=1 in the environment) it
 * runs that command and reports to the host through a virtio port: frames of one
 * kind byte, three bytes of length (little endian) and so many bytes of data. One
 * stream carries everything, so whatever the command wrote has reached the host
 * before its status does:
 *
 *     host to guest   'c' the command's arguments, each ended by a zero byte; in as many
 *                     frames as it takes, an empty one at the end; comes first of all
 *                     'i' standard input; empty: its end   'g' go on   'q' switch off
 *     guest to host   'o' standard output   'e' standard error
 *                     'b' the command begins   's' its wait status, decimal
 *
 * The command has pipes for standard input, output and error, which this
 * process copies to and from frames; or, if the host says VELLUM_TTY=1 in the
 * environment, the console. Then the host is asked ('b') before the command
 * writes there, and the console is drained before the status is sent.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
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

#define PORT_NAME   "vellum.command"
#define PORT_DEVICE "/dev/virtio-ports/" PORT_NAME
#define INIT_FOLDER "/.vellum"

enum { FRAME_HEADER = 4, FRAME_DATA = 16384 };

static void complain(const char *what)
{
    dprintf(2, "init: %s: %s\n", what, strerror(errno));
}

/* ---- the machine ---- */

static _Noreturn void power_off(void)
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

static void set_up(void)
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

/* ---- a child ---- */

/* A session of its own, whose controlling terminal is the console. */
static void own_the_console(void)
{
    setsid();
    if (ioctl(0, TIOCSCTTY, 0) < 0) {
        complain("controlling terminal");
    }
}

static _Noreturn void execute(char **argv)
{
    sigset_t none;
    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGCHLD, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(argv[0], argv);
    dprintf(2, "%s: %s\n", argv[0], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

static int wait_for(pid_t pid)
{
    int status;
    for (;;) {
        pid_t ended = wait(&status);
        if (ended == pid) {
            return status;
        }
        if (ended < 0 && errno != EINTR) {
            return 127 << 8;
        }
    }
}

/* ---- the port ---- */

/* On Linux the port's device is found by the name that /sys gives it. */
static int open_port_linux(void)
{
    char path[64], name[sizeof PORT_NAME + 1];
    for (int port = 0; port < 32; port++) {
        snprintf(path, sizeof path, "/sys/class/virtio-ports/vport%dp%d/name", port / 8, port % 8);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            continue;
        }
        ssize_t n = read(fd, name, sizeof name);
        close(fd);
        if (n >= (ssize_t)strlen(PORT_NAME) && !memcmp(name, PORT_NAME, strlen(PORT_NAME))) {
            snprintf(path, sizeof path, "/dev/vport%dp%d", port / 8, port % 8);
            return open(path, O_RDWR | O_CLOEXEC);
        }
    }
    errno = ENODEV;
    return -1;
}

static int open_port(void)
{
    int fd = open(PORT_DEVICE, O_RDWR | O_CLOEXEC);
    return fd >= 0 ? fd : open_port_linux();
}

static void port_failed(const char *what)
{
    complain(what);
    power_off();
}

static void write_all(int fd, const uint8_t *data, size_t size)
{
    while (size) {
        ssize_t n = write(fd, data, size);
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        } else if (n < 0 && errno != EINTR) {
            port_failed("write to the host");
        }
    }
}

static void read_all(int fd, uint8_t *data, size_t size)
{
    while (size) {
        ssize_t n = read(fd, data, size);
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            port_failed("read from the host");
        }
    }
}

/* `frame` has room for the header before the data. */
static void send_frame(int port, char kind, uint8_t *frame, size_t size)
{
    frame[0] = (uint8_t)kind;
    for (int i = 0; i < 3; i++) {
        frame[1 + i] = (uint8_t)(size >> (8 * i));
    }
    write_all(port, frame, FRAME_HEADER + size);
}

static char receive_frame(int port, uint8_t *data, size_t *size)
{
    uint8_t header[FRAME_HEADER];
    read_all(port, header, sizeof header);
    *size = header[1] | (size_t)header[2] << 8 | (size_t)header[3] << 16;
    if (*size > FRAME_DATA) {
        errno = EPROTO;
        port_failed("frame from the host");
    }
    read_all(port, data, *size);
    return (char)header[0];
}

/* Whatever else comes is of no use any more. */
static void wait_for_host(int port, char kind)
{
    static uint8_t data[FRAME_DATA];
    size_t size;
    while (receive_frame(port, data, &size) != kind) {
    }
}

/* The console is about to be used. */
static void ask_host(int port)
{
    uint8_t begin[FRAME_HEADER];
    send_frame(port, 'b', begin, 0);
    wait_for_host(port, 'g');
}

/* ---- a command ---- */

struct relay {
    int port;
    int input;     /* the command's standard input; -1 when closed */
    int output[2]; /* its standard output and error; -1 at their end */
    uint8_t in[FRAME_DATA], frame[FRAME_HEADER + FRAME_DATA];
    size_t in_start, in_end; /* what of `in` the command has still to take */
};

static volatile sig_atomic_t child_ended;

static void on_child(int signal_number)
{
    child_ended = 1;
}

static void close_input(struct relay *r)
{
    close(r->input);
    r->input = -1;
}

static void feed_command(struct relay *r)
{
    ssize_t n = write(r->input, r->in + r->in_start, r->in_end - r->in_start);
    if (n >= 0) {
        r->in_start += (size_t)n;
    } else if (errno != EAGAIN && errno != EINTR) {
        close_input(r);
    }
}

static void take_from_host(struct relay *r)
{
    char kind = receive_frame(r->port, r->in, &r->in_end);
    r->in_start = 0;
    if (kind == 'q') {
        power_off();
    }
    if (kind == 'i' && r->in_end == 0) {
        close_input(r);
    }
}

/* Sends at most `limit` bytes of what the command has written; returns how many. */
static size_t take_from_command(struct relay *r, int which, size_t limit)
{
    ssize_t n =
        read(r->output[which], r->frame + FRAME_HEADER, limit < FRAME_DATA ? limit : FRAME_DATA);
    if (n > 0) {
        send_frame(r->port, which ? 'e' : 'o', r->frame, (size_t)n);
        return (size_t)n;
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        close(r->output[which]);
        r->output[which] = -1;
    }
    return 0;
}

/* Copies until the command has ended and returns its wait status. What it (or a
 * process that it left behind) has written by then is sent, and no more. */
static int relay_until_end(struct relay *r, pid_t pid)
{
    sigset_t none;
    int status;
    sigemptyset(&none);
    for (bool ended = false; !ended;) {
        bool held = r->in_start < r->in_end;
        struct pollfd wait_on[4] = {
            {r->input >= 0 && !held ? r->port : -1, POLLIN, 0},
            {held ? r->input : -1, POLLOUT, 0},
            {r->output[0], POLLIN, 0},
            {r->output[1], POLLIN, 0},
        };
        if (!child_ended && ppoll(wait_on, 4, NULL, &none) > 0) {
            if (wait_on[0].revents) {
                take_from_host(r);
            }
            if (wait_on[1].revents) {
                feed_command(r);
            }
            for (int i = 0; i < 2; i++) {
                if (wait_on[2 + i].revents) {
                    take_from_command(r, i, FRAME_DATA);
                }
            }
        }
        child_ended = 0;
        for (pid_t p = 1; !ended && p > 0;) {
            p = waitpid(-1, &status, WNOHANG);
            ended = p == pid;
        }
    }
    return status;
}

/* Sends what stands in the pipes now. A process that the command left behind
 * may go on writing; that is nobody's output any more. */
static void drain(struct relay *r)
{
    for (int i = 0; i < 2; i++) {
        int left = 0;
        if (r->output[i] >= 0 && ioctl(r->output[i], FIONREAD, &left) < 0) {
            complain("output of the command");
        }
        for (size_t n = 1; left > 0 && n > 0; left -= (int)n) {
            n = take_from_command(r, i, (size_t)left);
        }
    }
}

/* The pipe's end that this process keeps does not block. */
static int make_pipe(int ends[2], int ours)
{
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return -1;
    }
    return fcntl(ends[ours], F_SETFL, O_NONBLOCK);
}

static int run_on_pipes(int port, char **argv)
{
    static struct relay r;
    int in[2], out[2], err[2];
    if (make_pipe(in, 1) < 0 || make_pipe(out, 0) < 0 || make_pipe(err, 0) < 0) {
        port_failed("pipe");
    }
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    signal(SIGCHLD, on_child);
    signal(SIGPIPE, SIG_IGN);
    pid_t pid = fork();
    if (pid < 0) {
        port_failed("fork");
    }
    if (pid == 0) {
        setsid();
        dup2(in[0], 0);
        dup2(out[1], 1);
        dup2(err[1], 2);
        execute(argv);
    }
    close(in[0]);
    close(out[1]);
    close(err[1]);
    r = (struct relay){.port = port, .input = in[1], .output = {out[0], err[0]}};
    int status = relay_until_end(&r, pid);
    drain(&r);
    return status;
}

static int run_on_console(int port, char **argv)
{
    ask_host(port);
    pid_t pid = fork();
    if (pid < 0) {
        port_failed("fork");
    }
    if (pid == 0) {
        own_the_console();
        execute(argv);
    }
    int status = wait_for(pid);
    tcdrain(0);
    return status;
}

static void run_shell(void)
{
    const char *shell = getenv("SHELL");
    char name[64];
    int port = open_port();
    if (port >= 0) {
        ask_host(port);
        close(port);
    }
    pid_t pid = fork();
    if (pid < 0) {
        complain("fork");
        return;
    }
    if (pid == 0) {
        own_the_console();
        if (chdir("/root") < 0) {
            complain("/root");
        }
        snprintf(name, sizeof name, "-%s", strrchr(shell, '/') + 1);
        execl(shell, name, (char *)NULL);
        complain(shell);
        execl("/bin/sh", "-sh", (char *)NULL);
        _exit(127);
    }
    wait_for(pid);
}

/* What the host has put beside the image is not a part of it. */
static void remove_own_files(void)
{
    unlink(INIT_FOLDER "/init");
    rmdir(INIT_FOLDER);
}

/* The arguments of the command, as the host sends them. */
static char **read_command(int port)
{
    char *text = NULL;
    size_t size = 0, part, count = 0;
    do {
        text = realloc(text, size + FRAME_DATA);
        if (!text || receive_frame(port, (uint8_t *)text + size, &part) != 'c') {
            port_failed("command");
        }
        size += part;
    } while (part);
    char **argv = malloc((size + 1) * sizeof *argv);
    if (!argv || (size && text[size - 1])) {
        port_failed("command");
    }
    for (size_t at = 0; at < size; at += strlen(text + at) + 1) {
        argv[count++] = text + at;
    }
    argv[count] = NULL;
    return argv;
}

static _Noreturn void run_command(void)
{
    char text[FRAME_HEADER + 16];
    int port = open_port();
    if (port < 0) {
        port_failed(PORT_NAME);
    }
    char **argv = read_command(port);
    unsetenv("VELLUM_COMMAND");
    int status = getenv("VELLUM_TTY") ? run_on_console(port, argv) : run_on_pipes(port, argv);
    sync();
    int length = snprintf(text + FRAME_HEADER, sizeof text - FRAME_HEADER, "%d", status);
    send_frame(port, 's', (uint8_t *)text, (size_t)length);
    wait_for_host(port, 'q');
    power_off();
}

int main(void)
{
    if (getpid() != 1) {
        dprintf(2, "init: this is for process 1 alone\n");
        return 1;
    }
    set_up();
    remove_own_files();
    if (getenv("VELLUM_COMMAND")) {
        run_command();
    }
    run_shell();
    power_off();
}
