/* SPDX-License-Identifier: MIT */
/*
 * Kernel messages. Records stand one behind the other in a ring of bytes; a new one overwrites the
 * oldest. Every record has a number, so that a reader who was too slow knows what it missed.
 * Consoles are called with the lock held, so that lines do not mix.
 */
#include <vellum/printk.h>
#include <vellum/boot.h>
#include <vellum/format.h>
#include <vellum/string.h>
#include <vellum/sync.h>
#include <vellum/time.h>

#define LINE_MAX     480
#define LOG_LEVEL(n) ((n) % LOG_FROM_USER)

struct record {
    u64 time;   /* ns since boot */
    u16 length; /* of the text that follows */
    u8 level;
};

static DEFINE_SPINLOCK(log_lock);
static char ring[LOG_SIZE];           /* [log_lock] */
static u64 head, tail;                /* [log_lock] byte positions, ever growing: oldest, next */
static u64 first_number, next_number; /* [log_lock] of the records at head and tail */
static struct list consoles = LIST_INIT(consoles); /* [log_lock] */
static int console_level = LOG_DEBUG;
DEFINE_WAIT_QUEUE(log_wait);
bool log_unannounced;

static void ring_copy_in(u64 pos, const void *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ring[(pos + i) % LOG_SIZE] = ((const char *)from)[i];
}

static void ring_copy_out(u64 pos, void *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((char *)to)[i] = ring[(pos + i) % LOG_SIZE];
}

static void drop_oldest(void)
{
    struct record r;

    ring_copy_out(head, &r, sizeof(r));
    head += sizeof(r) + r.length;
    first_number++;
}

static void append(const struct record *r, const char *text)
{
    while (tail + sizeof(*r) + r->length - head > LOG_SIZE)
        drop_oldest();
    ring_copy_in(tail, r, sizeof(*r));
    ring_copy_in(tail + sizeof(*r), text, r->length);
    tail += sizeof(*r) + r->length;
    next_number++;
}

/* "[    1.234567] text\n", as consoles show it. */
static void show_on(struct console *c, const struct record *r, const char *text)
{
    char line[LINE_MAX + 32];
    size_t n = scnprintf(line, sizeof(line), "[%5llu.%06llu] %.*s\n",
                         (unsigned long long)(r->time / NSEC_PER_SEC),
                         (unsigned long long)(r->time % NSEC_PER_SEC / 1000), (int)r->length, text);

    c->write(c, line, n);
}

void vprintk(enum log_level level, const char *format, va_list args)
{
    char text[LINE_MAX];
    struct console *c;
    struct record r = {.time = ktime_get(), .level = level};
    unsigned long flags;

    r.length = vscnprintf(text, sizeof(text), format, args);
    flags = spin_lock_irqsave(&log_lock);
    append(&r, text);
    if (LOG_LEVEL((int)level) < console_level)
        list_for_each_entry(c, &consoles, link)
            show_on(c, &r, text);
    WRITE_ONCE(log_unannounced, true);
    spin_unlock_irqrestore(&log_lock, flags);
    if (current->preempt_count == 0 && irqs_enabled())
        log_announce();
}

void log_announce(void)
{
    WRITE_ONCE(log_unannounced, false);
    wake_up_all(&log_wait);
}

void printk(enum log_level level, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vprintk(level, format, args);
    va_end(args);
}

void console_register(struct console *console)
{
    unsigned long flags = spin_lock_irqsave(&log_lock);
    u64 pos = head;

    while (pos < tail) {
        char text[LINE_MAX];
        struct record r;

        ring_copy_out(pos, &r, sizeof(r));
        ring_copy_out(pos + sizeof(r), text, r.length);
        if (LOG_LEVEL(r.level) < console_level)
            show_on(console, &r, text);
        pos += sizeof(r) + r.length;
    }
    list_add_tail(&console->link, &consoles);
    spin_unlock_irqrestore(&log_lock, flags);
}

/* Copy record *seq, or the oldest if that is gone, and advance. False at the end. */
static bool take_record(u64 *seq, struct record *r, char text[LINE_MAX])
{
    unsigned long flags = spin_lock_irqsave(&log_lock);
    u64 pos = head;
    bool found;

    *seq = max(*seq, first_number);
    found = *seq < next_number;
    if (found) {
        for (u64 i = first_number; i <= *seq; i++) {
            ring_copy_out(pos, r, sizeof(*r));
            if (i < *seq)
                pos += sizeof(*r) + r->length;
        }
        ring_copy_out(pos + sizeof(*r), text, r->length);
        ++*seq;
    }
    spin_unlock_irqrestore(&log_lock, flags);
    return found;
}

size_t log_read(u64 *seq, char *buf, size_t size)
{
    char text[LINE_MAX];
    struct record r;

    if (!take_record(seq, &r, text))
        return 0;
    return scnprintf(buf, size, "<%u>[%5llu.%06llu] %.*s\n", r.level,
                     (unsigned long long)(r.time / NSEC_PER_SEC),
                     (unsigned long long)(r.time % NSEC_PER_SEC / 1000), (int)r.length, text);
}

size_t log_read_fields(u64 *seq, char *buf, size_t size)
{
    char text[LINE_MAX];
    struct record r;
    size_t n;

    if (!take_record(seq, &r, text))
        return 0;
    n = scnprintf(buf, size, "%u,%llu,%llu,-;", r.level, (unsigned long long)*seq - 1,
                  (unsigned long long)(r.time / NSEC_PER_USEC));
    for (unsigned i = 0; i < r.length && n + 6 < size; i++) {
        u8 c = text[i];

        if (c < ' ' || c >= 127 || c == '\\')
            n += scnprintf(buf + n, size - n, "\\x%02x", c);
        else
            buf[n++] = c;
    }
    buf[n++] = '\n';
    return n;
}

u64 log_first(void)
{
    return READ_ONCE(first_number);
}

u64 log_next(void)
{
    return READ_ONCE(next_number);
}

void log_set_console_level(int level)
{
    WRITE_ONCE(console_level, level);
}

int log_console_level(void)
{
    return console_level;
}
