/* SPDX-License-Identifier: MIT */
/*
 * The terminal. What it shows is remembered, and only cells that differ are written, in one write: a
 * picture that stays the same costs nothing, and nothing flickers.
 */
#include "memview.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios before;
static volatile bool opened;
static struct picture shown;

static char *output;
static size_t used, room;

static void send(const char *text, size_t n)
{
    if (used + n > room) {
        output = realloc(output, room = (used + n) * 2);
        if (!output)
            die("memory");
    }
    memcpy(output + used, text, n);
    used += n;
}

static void flush(FILE *to)
{
    size_t done = 0;
    if (to)
        fwrite(output, 1, used, to);
    while (!to && done < used) {
        ssize_t n = write(STDOUT_FILENO, output + done, used - done);
        if (n < 0 && errno != EINTR)
            break;
        done += n > 0 ? n : 0;
    }
    used = 0;
}

void screen_open(void)
{
    static const char enter[] = "\033[?1049h\033[?25l\033[0m\033[2J";
    struct termios raw;
    if (tcgetattr(STDIN_FILENO, &before) < 0)
        die("the terminal");
    raw = before;
    raw.c_lflag &= ~(ICANON | ECHO);
    raw.c_iflag &= ~(ICRNL | IXON);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    opened = true;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    send(enter, sizeof(enter) - 1);
    flush(NULL);
    screen_forget();
}

void screen_close(void)
{
    static const char leave[] = "\033[0m\033[?25h\033[?1049l";
    if (!opened)
        return;
    opened = false;
    (void)!write(STDOUT_FILENO, leave, sizeof(leave) - 1);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}

bool screen_size(int *width, int *height)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
        return false;
    *width = size.ws_col ? size.ws_col : 80;
    *height = size.ws_row ? size.ws_row : 24;
    return true;
}

void screen_forget(void)
{
    shown.width = 0;
}

/* Foreground 30-37, bright as bold; background 40-47. */
static void send_colour(uint8_t colour)
{
    char text[24];
    int n = snprintf(text, sizeof(text), colour & 8 ? "\033[0;1;3%d" : "\033[0;3%d", colour & 7);
    if (colour >> 4)
        n += snprintf(text + n, sizeof(text) - n, ";4%d", colour >> 4);
    text[n++] = 'm';
    send(text, n);
}

void screen_show(const struct picture *p)
{
    bool all = p->width != shown.width || p->height != shown.height;
    int x = -1, y = -1, colour = -1; /* where the terminal writes next, and how */
    if (all) {
        picture_resize(&shown, p->width, p->height);
        send("\033[0m\033[2J", 8);
    }
    for (int i = 0; i < p->width * p->height; i++) {
        struct cell cell = p->cells[i];
        if (cell.c == shown.cells[i].c && cell.colour == shown.cells[i].colour)
            continue;
        if (x != i % p->width || y != i / p->width) {
            char move[24];
            x = i % p->width;
            y = i / p->width;
            send(move, snprintf(move, sizeof(move), "\033[%d;%dH", y + 1, x + 1));
        }
        if (colour != cell.colour)
            send_colour(colour = cell.colour);
        send(&cell.c, 1);
        if (++x == p->width) /* terminals differ in where they are now */
            x = -1;
        shown.cells[i] = cell;
    }
    flush(NULL);
}

void picture_print(const struct picture *p, bool colours)
{
    for (int y = 0; y < p->height; y++) {
        const struct cell *line = &p->cells[y * p->width];
        int end = p->width, colour = -1;
        while (end > 0 && line[end - 1].c == ' ' && line[end - 1].colour < 16)
            end--;
        for (int x = 0; x < end; x++) {
            if (colours && line[x].c != ' ' && line[x].colour != colour)
                send_colour(colour = line[x].colour);
            send(&line[x].c, 1);
        }
        if (colours && colour >= 0)
            send("\033[0m", 4);
        send("\n", 1);
    }
    flush(stdout);
}
