/* SPDX-License-Identifier: MIT */
/* Children of init: on the console, or wherever they were put; all are reaped. */
#include "init.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

void own_the_console(void)
{
    setsid();
    if (ioctl(0, TIOCSCTTY, 0) < 0) {
        complain("controlling terminal");
    }
}

_Noreturn void execute(char **argv)
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

int wait_for(pid_t pid)
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
