/* SPDX-License-Identifier: MIT */
/*
 * The line discipline: what happens to bytes between the keyboard and read(2), and between write(2)
 * and the screen (termios(3)).
 *
 * In canonical mode input is gathered into lines that can still be edited: positions line_start to
 * head of the input ring are the line being typed, tail to line_start are finished lines. Where a
 * line ends is marked in a bit map beside the ring; an end-of-file character is in the ring too, but
 * marked as one that is not read. In raw mode all of tail to head can be read.
 */
#include <vellum/bitmap.h>
#include <vellum/signal.h>
#include <vellum/string.h>
#include <vellum/tty.h>
#include <asm/ioctls.h>
#include <linux/eventpoll.h>

#define I_FLAG(tty, f)         ((tty)->termios.c_iflag & (f))
#define O_FLAG(tty, f)         ((tty)->termios.c_oflag & (f))
#define L_FLAG(tty, f)         ((tty)->termios.c_lflag & (f))
#define IS_CHAR(tty, c, which) ((c) != 0 && (c) == (tty)->termios.c_cc[which])

static u8 input_at(struct tty *tty, u32 pos)
{
    return tty->input[pos % TTY_INPUT];
}

static bool marked(unsigned long *map, u32 pos)
{
    return map[pos % TTY_INPUT / 64] & BIT(pos % 64);
}

static void set_mark(unsigned long *map, u32 pos, bool value)
{
    if (value)
        map[pos % TTY_INPUT / 64] |= BIT(pos % 64);
    else
        map[pos % TTY_INPUT / 64] &= ~BIT(pos % 64);
}

/* ---- output -------------------------------------------------------------------------------------- */

static void put_raw(struct tty *tty, u8 c)
{
    byte_ring_put(&tty->output, c);
}

/* Where the cursor is after c. */
static void advance_column(struct tty *tty, u8 c)
{
    if (c == '\r')
        tty->column = 0;
    else if (c == '\n')
        tty->column = O_FLAG(tty, ONLRET) ? 0 : tty->column;
    else if (c == '\t')
        tty->column = (tty->column | 7) + 1;
    else if (c == '\b')
        tty->column -= tty->column > 0;
    else if (c >= ' ' && c != 0x7f && (c & 0xc0) != 0x80)
        tty->column++;
}

static bool put_newline(struct tty *tty)
{
    if (!O_FLAG(tty, ONLCR)) {
        put_raw(tty, '\n');
        return true;
    }
    if (byte_ring_space(&tty->output) < 2)
        return false;
    put_raw(tty, '\r');
    put_raw(tty, '\n');
    tty->column = 0;
    return true;
}

static bool put_tab(struct tty *tty)
{
    unsigned n = 8 - tty->column % 8;

    if (O_FLAG(tty, TABDLY) != XTABS) {
        put_raw(tty, '\t');
    } else {
        if (byte_ring_space(&tty->output) < n)
            return false;
        for (unsigned i = 0; i < n; i++)
            put_raw(tty, ' ');
    }
    tty->column += n;
    return true;
}

/* One byte with OPOST. Returns false if there is no room. */
static bool put_processed(struct tty *tty, u8 c)
{
    if (byte_ring_space(&tty->output) == 0)
        return false;
    if (!O_FLAG(tty, OPOST)) {
        put_raw(tty, c);
        return true;
    }
    if (c == '\n')
        return put_newline(tty);
    if (c == '\t')
        return put_tab(tty);
    if (c == '\r') {
        if (O_FLAG(tty, ONOCR) && tty->column == 0)
            return true;
        if (O_FLAG(tty, OCRNL))
            c = '\n';
    }
    if (O_FLAG(tty, OLCUC) && c >= 'a' && c <= 'z')
        c -= 'a' - 'A';
    advance_column(tty, c);
    put_raw(tty, c);
    return true;
}

size_t line_output(struct tty *tty, const u8 *bytes, size_t n)
{
    size_t done = 0;

    while (done < n && put_processed(tty, bytes[done]))
        done++;
    return done;
}

/* ---- echo ------------------------------------------------------------------------------------------- */

static bool shown_as_control(struct tty *tty, u8 c)
{
    return L_FLAG(tty, ECHOCTL) && (c < ' ' || c == 0x7f) && c != '\t' && c != '\n';
}

/* Echo as it stands in the line: control characters as ^X. */
static void echo_char(struct tty *tty, u8 c)
{
    if (shown_as_control(tty, c)) {
        put_processed(tty, '^');
        put_processed(tty, c ^ 0x40);
    } else {
        put_processed(tty, c);
    }
}

static void echo(struct tty *tty, u8 c)
{
    if (L_FLAG(tty, ECHO) || (c == '\n' && L_FLAG(tty, ECHONL) && L_FLAG(tty, ICANON)))
        echo_char(tty, c);
}

/* Columns that the line takes up to (not including) pos. */
static unsigned column_at(struct tty *tty, u32 end)
{
    unsigned column = tty->line_column;

    for (u32 pos = tty->line_start; pos != end; pos++) {
        u8 c = input_at(tty, pos);

        if (c == '\t')
            column = (column | 7) + 1;
        else if (shown_as_control(tty, c))
            column += 2;
        else if (c >= ' ' && c != 0x7f && !(I_FLAG(tty, IUTF8) && (c & 0xc0) == 0x80))
            column++;
    }
    return column;
}

static void rub_out(struct tty *tty, unsigned columns)
{
    for (; columns > 0; columns--) {
        put_processed(tty, '\b');
        put_processed(tty, ' ');
        put_processed(tty, '\b');
    }
}

/* ---- editing the line -------------------------------------------------------------------------------- */

/* Remove the last character (all its bytes in UTF-8) of the line being typed. */
static void erase_char(struct tty *tty)
{
    unsigned before = column_at(tty, tty->head);
    u8 c;

    if (tty->head == tty->line_start)
        return;
    do
        c = input_at(tty, --tty->head);
    while (I_FLAG(tty, IUTF8) && (c & 0xc0) == 0x80 && tty->head != tty->line_start);
    if (!L_FLAG(tty, ECHO))
        return;
    if (L_FLAG(tty, ECHOE))
        rub_out(tty, before - column_at(tty, tty->head));
    else
        echo_char(tty, tty->termios.c_cc[VERASE]);
}

static bool is_word(u8 c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c >= 0x80;
}

static void erase_word(struct tty *tty)
{
    while (tty->head != tty->line_start && !is_word(input_at(tty, tty->head - 1)))
        erase_char(tty);
    while (tty->head != tty->line_start && is_word(input_at(tty, tty->head - 1)))
        erase_char(tty);
}

static void erase_line(struct tty *tty)
{
    if (L_FLAG(tty, ECHO) && L_FLAG(tty, ECHOKE) && L_FLAG(tty, ECHOE)) {
        while (tty->head != tty->line_start)
            erase_char(tty);
        return;
    }
    tty->head = tty->line_start;
    if (L_FLAG(tty, ECHO)) {
        echo_char(tty, tty->termios.c_cc[VKILL]);
        if (L_FLAG(tty, ECHOK))
            put_processed(tty, '\n');
    }
}

static void reprint(struct tty *tty)
{
    echo_char(tty, tty->termios.c_cc[VREPRINT]);
    put_processed(tty, '\n');
    tty->line_column = tty->column;
    for (u32 pos = tty->line_start; pos != tty->head; pos++)
        echo_char(tty, input_at(tty, pos));
}

/* ---- input ---------------------------------------------------------------------------------------------- */

static bool append(struct tty *tty, u8 c, bool ends_line, bool is_eof)
{
    /* In canonical mode the last place is kept for the character that ends the line. */
    u32 limit = TTY_INPUT - (L_FLAG(tty, ICANON) && !ends_line);

    if (tty->head - tty->tail >= limit)
        return false;
    tty->input[tty->head % TTY_INPUT] = c;
    set_mark(tty->line_end, tty->head, ends_line);
    set_mark(tty->end_of_file, tty->head, is_eof);
    tty->head++;
    return true;
}

static void ordinary(struct tty *tty, u8 c)
{
    if (tty->head == tty->line_start)
        tty->line_column = tty->column;
    if (append(tty, c, false, false))
        echo(tty, c);
    else if (I_FLAG(tty, IMAXBEL))
        put_raw(tty, '\a');
}

static void finish_line(struct tty *tty, u8 c, bool is_eof)
{
    if (append(tty, c, true, is_eof)) {
        tty->line_start = tty->head;
        if (!is_eof)
            echo(tty, c);
    }
}

/* Characters with a meaning in canonical mode. Returns whether c was one. */
static bool canonical_special(struct tty *tty, u8 c)
{
    if (IS_CHAR(tty, c, VERASE)) {
        erase_char(tty);
    } else if (IS_CHAR(tty, c, VKILL)) {
        erase_line(tty);
    } else if (IS_CHAR(tty, c, VWERASE) && L_FLAG(tty, IEXTEN)) {
        erase_word(tty);
    } else if (IS_CHAR(tty, c, VREPRINT) && L_FLAG(tty, IEXTEN) && L_FLAG(tty, ECHO)) {
        reprint(tty);
    } else if (IS_CHAR(tty, c, VLNEXT) && L_FLAG(tty, IEXTEN)) {
        tty->literal_next = true;
        if (L_FLAG(tty, ECHO) && L_FLAG(tty, ECHOCTL)) {
            put_raw(tty, '^');
            put_raw(tty, '\b');
        }
    } else if (IS_CHAR(tty, c, VEOF)) {
        finish_line(tty, c, true);
    } else if (c == '\n' || IS_CHAR(tty, c, VEOL) ||
               (IS_CHAR(tty, c, VEOL2) && L_FLAG(tty, IEXTEN))) {
        finish_line(tty, c, false);
    } else {
        return false;
    }
    return true;
}

void line_stop(struct tty *tty, bool stopped)
{
    if (tty->stopped == stopped)
        return;
    tty->stopped = stopped;
    tty->gone_before = stopped && tty_is_pseudo(tty) ? byte_ring_used(&tty->output) : 0;
    tty_note(tty, stopped ? TIOCPKT_STOP : TIOCPKT_START);
    if (!stopped)
        wake_up_poll(&tty->write_wait, EPOLLOUT | EPOLLWRNORM);
}

/* With ISIG: the signal of c, after the flush and echo that come with it; or 0. */
static int signal_of(struct tty *tty, u8 c)
{
    int signo = IS_CHAR(tty, c, VINTR)   ? SIGINT
                : IS_CHAR(tty, c, VQUIT) ? SIGQUIT
                : IS_CHAR(tty, c, VSUSP) ? SIGTSTP
                                         : 0;

    if (signo == 0)
        return 0;
    if (!L_FLAG(tty, NOFLSH)) {
        line_flush_input(tty);
        line_flush_output(tty);
        tty_note(tty, TIOCPKT_FLUSHREAD | TIOCPKT_FLUSHWRITE);
    }
    line_stop(tty, false);
    echo(tty, c);
    return signo;
}

/* XON/XOFF. Returns whether c was taken as one. */
static bool flow_control(struct tty *tty, u8 c)
{
    if (IS_CHAR(tty, c, VSTART)) {
        line_stop(tty, false);
        return true;
    }
    if (IS_CHAR(tty, c, VSTOP)) {
        line_stop(tty, true);
        return true;
    }
    if (I_FLAG(tty, IXANY))
        line_stop(tty, false);
    return false;
}

int line_input(struct tty *tty, u8 c)
{
    int signo;

    if (I_FLAG(tty, ISTRIP))
        c &= 0x7f;
    if (tty->literal_next) {
        tty->literal_next = false;
        ordinary(tty, c);
        return 0;
    }
    if (I_FLAG(tty, IUCLC) && L_FLAG(tty, IEXTEN) && c >= 'A' && c <= 'Z')
        c += 'a' - 'A';
    if (I_FLAG(tty, IXON) && flow_control(tty, c))
        return 0;
    if (L_FLAG(tty, ISIG) && (signo = signal_of(tty, c)) != 0)
        return signo;
    if (c == '\r') {
        if (I_FLAG(tty, IGNCR))
            return 0;
        if (I_FLAG(tty, ICRNL))
            c = '\n';
    } else if (c == '\n' && I_FLAG(tty, INLCR)) {
        c = '\r';
    }
    if (!L_FLAG(tty, ICANON) || !canonical_special(tty, c))
        ordinary(tty, c);
    return 0;
}

/* ---- reading ---------------------------------------------------------------------------------------------- */

bool line_readable(struct tty *tty, unsigned minimum)
{
    if (L_FLAG(tty, ICANON))
        return tty->tail != tty->line_start;
    return tty->head - tty->tail >= max(minimum, 1u);
}

unsigned line_available(struct tty *tty)
{
    return (L_FLAG(tty, ICANON) ? tty->line_start : tty->head) - tty->tail;
}

unsigned line_room(struct tty *tty)
{
    unsigned room = TTY_INPUT - (tty->head - tty->tail);

    if (L_FLAG(tty, ICANON) && tty->tail == tty->line_start)
        return max(room, 1u);
    return L_FLAG(tty, ICANON) && room ? room - 1 : room;
}

size_t line_take(struct tty *tty, u8 *bytes, size_t n, bool *end)
{
    bool canonical = L_FLAG(tty, ICANON);
    u32 limit = canonical ? tty->line_start : tty->head;
    size_t done = 0;

    *end = false;
    while (tty->tail != limit && !*end) {
        bool is_eof = canonical && marked(tty->end_of_file, tty->tail);

        if (done == n && !is_eof)
            break;
        *end = canonical && marked(tty->line_end, tty->tail);
        if (!is_eof)
            bytes[done++] = input_at(tty, tty->tail);
        tty->tail++;
    }
    if (!canonical)
        tty->line_start = tty->tail;
    return done;
}

void line_flush_output(struct tty *tty)
{
    if (!tty_is_pseudo(tty))
        byte_ring_init(&tty->output, tty->output_buffer, TTY_OUTPUT);
}

void line_flush_input(struct tty *tty)
{
    tty->tail = tty->line_start = tty->head;
    tty->literal_next = false;
}

/* What is there when the mode changes: going raw, all of it can be read; going canonical, it counts
 * as a line. */
void line_mode_changed(struct tty *tty, const struct termios2 *old)
{
    if (!((old->c_lflag ^ tty->termios.c_lflag) & ICANON))
        return;
    tty->literal_next = false;
    memset(tty->line_end, 0, sizeof(tty->line_end));
    memset(tty->end_of_file, 0, sizeof(tty->end_of_file));
    tty->line_start = tty->head;
    if (tty->head != tty->tail)
        set_mark(tty->line_end, tty->head - 1, true);
    tty->line_column = tty->column;
}
