/* SPDX-License-Identifier: MIT */
/* One command, whose input, output and status go by way of the port. */
#include "init.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

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

_Noreturn void run_command(void)
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
