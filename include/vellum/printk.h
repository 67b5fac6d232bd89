/* SPDX-License-Identifier: MIT */
/*
 * Kernel messages: kept in a ring that /dev/kmsg and syslog(2) read, and
 * written to the registered consoles if the level is below `loglevel=`.
 */
#ifndef VELLUM_PRINTK_H
#define VELLUM_PRINTK_H

#include <vellum/compiler.h>
#include <vellum/list.h>
#include <stdarg.h>

enum log_level {
    LOG_EMERG,
    LOG_ALERT,
    LOG_CRIT,
    LOG_ERR,
    LOG_WARNING,
    LOG_NOTICE,
    LOG_INFO,
    LOG_DEBUG
};

#define LOG_SIZE       (32 * 1024) /* bytes of messages that are kept */
#define LOG_RECORD_MAX 600         /* bytes of one as log_read() gives it, at most */

/* One line (the newline is added), with its time. Any context, any lock held. */
void printk(enum log_level level, const char *format, ...) __printf(2, 3);
void vprintk(enum log_level level, const char *format, va_list args) __printf(2, 0);

#define pr_err(...)   printk(LOG_ERR, __VA_ARGS__)
#define pr_warn(...)  printk(LOG_WARNING, __VA_ARGS__)
#define pr_info(...)  printk(LOG_INFO, __VA_ARGS__)
#define pr_debug(...) printk(LOG_DEBUG, __VA_ARGS__)

/* Where messages go. write() must not sleep, and in a panic must work by polling. */
struct console {
    const char *name; /* "ttyS0" */
    void (*write)(struct console *console, const char *text, size_t length);
    struct list link;
};

/* Register: everything logged so far is written out first. */
void console_register(struct console *console);

/* Read the log from sequence number *seq on into buf (kernel memory): one whole record as
 * "<level>[seconds.micros] text\n". Advances *seq. Returns its length, 0 at the end. */
size_t log_read(u64 *seq, char *buf, size_t size);
/* The same as /dev/kmsg shows it: "level,number,microseconds,-;text\n". */
size_t log_read_fields(u64 *seq, char *buf, size_t size);
/* What is added to the level of a message that does not come from the kernel (syslog(3): LOG_USER). */
#define LOG_FROM_USER 8
/* Sequence numbers of the oldest record held and of the next to come. */
u64 log_first(void);
u64 log_next(void);
u64 log_cleared(void); /* of the first since they were cleared (syslog(2)) */
/* Records that nobody has read by syslog(2) or /proc/kmsg, which take each once: is there one; take it,
 * if it has at most `size` bytes, and return its length, else 0. => may sleep */
bool log_has_unread(void);
size_t log_take_unread(char *buf, size_t size);
void log_set_console_level(int level); /* messages with level < this go to consoles */
int log_console_level(void);
/* Sleepers for new records: <vellum/wait.h>'s queue, woken after each record. */
struct wait_queue;
extern struct wait_queue log_wait;
/* printk() may be called under any lock, where it cannot wake anybody: then the next interrupt's end,
 * or the idle loop, does so. */
extern bool log_unannounced;
void log_announce(void); /* => no lock held */

#endif
