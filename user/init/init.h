/* SPDX-License-Identifier: MIT */
/* What the files of init share; main.c tells the idea. */
#ifndef VELLUM_INIT_H
#define VELLUM_INIT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PORT_NAME "vellum.command"

enum { FRAME_HEADER = 4, FRAME_DATA = 16384 };

/* ---- machine.c ---- */

void complain(const char *what); /* on the console, with errno */
_Noreturn void power_off(void);
/* Mount what programs expect, open the console as 0, 1 and 2, set names and the environment. */
void set_up(void);

/* ---- child.c ---- */

/* A session of its own, whose controlling terminal is the console. */
void own_the_console(void);
_Noreturn void execute(char **argv);
/* Reap children until this one has ended; its wait status. */
int wait_for(pid_t pid);

/* ---- port.c: on an error the machine is switched off ---- */

int open_port(void); /* or -1 */
_Noreturn void port_failed(const char *what);
/* `frame` has room for the header before the data. */
void send_frame(int port, char kind, uint8_t *frame, size_t size);
/* The next frame's kind; `data` has room for FRAME_DATA. */
char receive_frame(int port, uint8_t *data, size_t *size);
/* Whatever else comes is of no use any more. */
void wait_for_host(int port, char kind);
/* The console is about to be used. */
void ask_host(int port);

/* ---- command.c ---- */

/* Run the command that the host sends, and switch off. */
_Noreturn void run_command(void);

#endif
