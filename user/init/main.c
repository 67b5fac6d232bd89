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
#include "init.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INIT_FOLDER "/.vellum"

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
