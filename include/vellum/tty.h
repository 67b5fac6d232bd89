/* SPDX-License-Identifier: MIT */
/*
 * Terminals (termios(3), tty_ioctl(4)).
 *
 *   driver --tty_receive()--> line discipline --> input ring --> read(2)
 *   driver <--tty_output_take()-- output ring <-- OPOST <-- write(2), echo
 *
 * The line discipline (kernel/dev/tty_line.c) knows no driver and no file; the files, ioctls and job
 * control are kernel/dev/tty.c. A pseudo-terminal (kernel/dev/pty.c) is a terminal whose device is
 * another open file, the master.
 */
#ifndef VELLUM_TTY_H
#define VELLUM_TTY_H

#include <vellum/fs.h>
#include <vellum/ring.h>
#include <vellum/sync.h>
#include <asm/termbits.h>
#include <asm/termios.h>

#define TTY_INPUT  4096
#define TTY_OUTPUT 4096

struct tty;

struct tty_driver {
    /* There is something in the output ring: take it with tty_output_take(). => tty->lock held */
    void (*start_output)(struct tty *tty);
    /* Speed or format changed. => may sleep; NULL: nothing to do */
    void (*set_termios)(struct tty *tty);
    /* The rest is for terminals that come and go, and NULL for those that stay. */
    int (*open)(struct tty *tty); /* one more file: 0 or -errno */
    void (*close)(struct tty *tty);
    void (*input_taken)(struct tty *tty); /* there is room for input again. => tty->lock held */
    void (*noted)(struct tty *tty);       /* packet_status has changed. => tty->lock held */
    void (*free)(struct tty *tty);        /* the last reference went */
};

struct tty {
    const char *name;                /* [i] "ttyS0" */
    dev_id_t device;                 /* [i] */
    const struct tty_driver *driver; /* [i] */
    void *driver_data;               /* [i] */
    spinlock_t lock;                 /* interrupts off; what says [l] */
    struct termios2 termios;         /* [l] */
    struct winsize size;             /* [l] */

    /* Input. Positions grow for ever; the byte at p is input[p % TTY_INPUT]. */
    u8 input[TTY_INPUT];                    /* [l] */
    unsigned long line_end[TTY_INPUT / 64]; /* [l] the byte ends a line (canonical mode) */
    unsigned long
        end_of_file[TTY_INPUT / 64]; /* [l] the byte is a VEOF: ends a line, is not read */
    u32 head, tail;                  /* [l] next to be written, next to be read */
    u32 line_start;                  /* [l] canonical: tail .. line_start are finished lines */
    bool literal_next;               /* [l] VLNEXT was typed */
    unsigned column, line_column;    /* [l] of the cursor; where the line being typed began */

    u8 output_buffer[TTY_OUTPUT];
    struct byte_ring output; /* [l] */
    bool stopped;            /* [l] by VSTOP or TCOOFF */
    u32 gone_before;         /* [l] stopped: what of the output a master may read all the same */
    bool packet;             /* [l] the master wants to know what happens here (TIOCPKT) */
    u8 packet_status;        /* [l] TIOCPKT_*, not yet told */
    u32 short_of_room;       /* a write found none: O_ASYNC tells when there is some */
    unsigned hangups;        /* [l] read without: files from before the last one are dead */
    refcount_t refs;         /* open files, and the session it controls */

    struct mutex read_mutex;  /* one reader at a time */
    struct mutex write_mutex; /* one writer: write(2)s do not mix */
    struct wait_queue read_wait, write_wait;
    pid_t session, pgrp; /* [tree_lock], read without; 0: controls no session */
    struct list link;    /* [list lock] */
};

/* Make a terminal known as /dev/name. The structure stays the caller's, for ever. 0 or -errno. */
int tty_register(struct tty *tty, const char *name, dev_id_t device,
                 const struct tty_driver *driver, void *driver_data);

/* The common part of that, for a terminal with a name of its own making. One reference. */
void tty_setup(struct tty *tty, const char *name, dev_id_t device, const struct tty_driver *driver,
               void *driver_data);
/* A pseudo-terminal. What is in its output ring has left the terminal and waits for the master to
 * read it; other rings hold what is still to be sent. */
static inline bool tty_is_pseudo(const struct tty *tty)
{
    return tty->driver->free != NULL;
}
/* Could the driver, or the master, take something? => tty->lock held */
static inline bool tty_has_output(const struct tty *tty)
{
    return !byte_ring_empty(&tty->output) && (!tty->stopped || tty->gone_before > 0);
}
static inline void tty_get(struct tty *tty)
{
    ref_get(&tty->refs);
}
void tty_put(struct tty *tty);

/* Something the master of a pseudo-terminal may want to know. => tty->lock held */
static inline void tty_note(struct tty *tty, u8 status)
{
    if (unlikely(tty->packet)) {
        tty->packet_status |= status;
        tty->driver->noted(tty);
    }
}

/* The line is gone (vhangup(2)): files that are open now read nothing and cannot be written; the session
 * loses its terminal, and its leader gets SIGHUP and SIGCONT, the foreground group too if the leader
 * is leaving. => no lock */
void tty_hang_up(struct tty *tty, bool leader_leaves);

/* Bytes from the device. => interrupts off or on, tty->lock not held; any context */
void tty_receive(struct tty *tty, const u8 *bytes, size_t n);
/* A break condition was received. */
void tty_receive_break(struct tty *tty);
/* Take up to n bytes to be sent; wakes writers. => tty->lock held */
size_t tty_output_take(struct tty *tty, u8 *bytes, size_t n);

/* The session's leader exits: its foreground group gets SIGHUP and SIGCONT, the terminal is free.
 * => no lock */
void tty_leave_session(struct process *leader);
/* Make the console the controlling terminal of the current session leader (init). */
void tty_console_attach(void);
const struct tty *tty_console(void); /* what /dev/console is; or NULL */
/* For /proc/PID/stat: the device number, and the foreground group or -1. NULL is allowed. */
u32 tty_number(const struct tty *tty);
pid_t tty_foreground(const struct tty *tty);

/* ---- tty_line.c: => tty->lock held ------------------------------------------------------------- */

/* One byte of input. Returns the signal that it stands for, or 0. */
int line_input(struct tty *tty, u8 c);
/* Could read(2) return something? minimum: bytes wanted in raw mode. */
bool line_readable(struct tty *tty, unsigned minimum);
unsigned line_available(struct tty *tty);
/* Bytes that could be typed without one being lost. A line too long to end is no reason to wait. */
unsigned line_room(struct tty *tty);
/* Take up to n bytes; in canonical mode up to the end of one line, and then *end is set. */
size_t line_take(struct tty *tty, u8 *bytes, size_t n, bool *end);
/* Put processed output into the ring. Returns how many bytes of the text went in. */
size_t line_output(struct tty *tty, const u8 *bytes, size_t n);
void line_flush_input(struct tty *tty);
/* Throw away what has not left the terminal yet. */
void line_flush_output(struct tty *tty);
/* Stop output, or let it go on: the caller starts the driver. */
void line_stop(struct tty *tty, bool stopped);
/* The mode changed from `old`. */
void line_mode_changed(struct tty *tty, const struct termios2 *old);

#endif
