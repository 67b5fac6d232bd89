/* SPDX-License-Identifier: MIT */
/*
 * syslog(2): reading and clearing the messages, and the level below which they go to the console.
 */
#include <vellum/cred.h>
#include <vellum/printk.h>
#include <vellum/string.h>
#include <vellum/sync.h>
#include <vellum/syscall.h>
#include <vellum/uaccess.h>

enum { /* the types of syslog(2), which no user-space header names */
       SYSLOG_CLOSE,
       SYSLOG_OPEN,
       SYSLOG_READ,
       SYSLOG_READ_ALL,
       SYSLOG_READ_CLEAR,
       SYSLOG_CLEAR,
       SYSLOG_CONSOLE_OFF,
       SYSLOG_CONSOLE_ON,
       SYSLOG_CONSOLE_LEVEL,
       SYSLOG_SIZE_UNREAD,
       SYSLOG_SIZE_BUFFER,
};

static DEFINE_MUTEX(reader_mutex);
static u64 unread;           /* [reader_mutex] next record for SYSLOG_READ */
static u64 cleared;          /* [reader_mutex] SYSLOG_READ_ALL starts here */
static int saved_level = -1; /* [reader_mutex] while the console is off */

/* Length of all records from number `from` on; with *first the number of the earliest that fits into
 * `room` bytes together with those behind it. */
static size_t length_from(u64 from, size_t room, u64 *first)
{
    char text[LOG_RECORD_MAX];
    u64 next = from, end = log_next();
    size_t total = 0, n;

    while (next < end && (n = log_read(&next, text, sizeof(text))) > 0)
        total += n;
    for (*first = next = from; total > room && next < end; *first = next)
        total -= log_read(&next, text, sizeof(text));
    return total;
}

/* Copy whole records from *next on, before number end, while they fit. */
static long copy_records(char __user *buffer, size_t room, u64 *next, u64 end)
{
    char text[LOG_RECORD_MAX];
    size_t done = 0;

    while (*next < end) {
        u64 after = *next;
        size_t n = log_read(&after, text, sizeof(text));

        if (n == 0 || n > room - done)
            break;
        if (copy_to_user(buffer + done, text, n))
            return done ? (long)done : -EFAULT;
        *next = after;
        done += n;
    }
    return done;
}

static long read_all(char __user *buffer, int length, bool clear)
{
    u64 end = log_next(), first;
    long r;

    length_from(max(cleared, log_first()), length, &first);
    r = copy_records(buffer, length, &first, end);
    if (clear && r >= 0)
        cleared = end;
    return r;
}

u64 log_cleared(void)
{
    return READ_ONCE(cleared);
}

bool log_has_unread(void)
{
    return log_next() > READ_ONCE(unread);
}

size_t log_take_unread(char *buf, size_t size)
{
    char text[LOG_RECORD_MAX];
    size_t n = 0;
    u64 next;

    mutex_lock(&reader_mutex);
    next = unread;
    if (next < log_next())
        n = log_read(&next, text, sizeof(text));
    if (n <= size) {
        memcpy(buf, text, n);
        unread = next;
    }
    mutex_unlock(&reader_mutex);
    return n <= size ? n : 0;
}

static long read_next(char __user *buffer, int length)
{
    int r = wait_event_interruptible(&log_wait, log_has_unread());

    if (r)
        return r;
    mutex_lock(&reader_mutex);
    r = copy_records(buffer, length, &unread, log_next());
    mutex_unlock(&reader_mutex);
    return r;
}

static long set_console(int type, int level)
{
    if (type == SYSLOG_CONSOLE_LEVEL) {
        if (level < 1 || level > 8)
            return -EINVAL;
        saved_level = -1;
        log_set_console_level(level);
    } else if (type == SYSLOG_CONSOLE_OFF) {
        if (saved_level < 0)
            saved_level = log_console_level();
        log_set_console_level(1);
    } else if (saved_level >= 0) {
        log_set_console_level(saved_level);
        saved_level = -1;
    }
    return 0;
}

static long locked_call(int type, char __user *buffer, int length)
{
    u64 first;

    switch (type) {
    case SYSLOG_READ_ALL:
    case SYSLOG_READ_CLEAR:
        return read_all(buffer, length, type == SYSLOG_READ_CLEAR);
    case SYSLOG_CLEAR:
        cleared = log_next();
        return 0;
    case SYSLOG_SIZE_UNREAD:
        return length_from(max(unread, log_first()), SIZE_MAX, &first);
    case SYSLOG_SIZE_BUFFER:
        return LOG_SIZE;
    default:
        return set_console(type, length);
    }
}

SYSCALL_DEFINE3(syslog, int, type, char __user *, buffer, int, length)
{
    bool reads = type == SYSLOG_READ || type == SYSLOG_READ_ALL || type == SYSLOG_READ_CLEAR;
    long r;

    if (type < SYSLOG_CLOSE || type > SYSLOG_SIZE_BUFFER || (reads && (!buffer || length < 0)))
        return -EINVAL;
    if (type != SYSLOG_READ_ALL && type != SYSLOG_SIZE_BUFFER && !capable(CAP_SYSLOG) &&
        !capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (type == SYSLOG_CLOSE || type == SYSLOG_OPEN || (reads && length == 0))
        return 0;
    if (type == SYSLOG_READ)
        return read_next(buffer, length);
    mutex_lock(&reader_mutex);
    r = locked_call(type, buffer, length);
    mutex_unlock(&reader_mutex);
    return r;
}
