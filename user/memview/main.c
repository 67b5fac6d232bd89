/* SPDX-License-Identifier: MIT */
#include "memview.h"
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char help[] =
    "usage: memview [--interval SECONDS] [--pid N]\n"
    "       memview --once [--pid N] [--width COLUMNS] [--no-colour]\n"
    "\n"
    "Shows physical memory and the address space of a process, live, on a terminal.\n"
    "\n"
    "  --interval S   seconds between two samples (0.5)\n"
    "  --pid N        the process to begin with; with --once: show its address space\n"
    "  --once         print one picture as text\n"
    "  --width N      its width (that of the terminal, or 80)\n"
    "  --no-colour    without colours (as if it were not a terminal)\n"
    "  --help         this text\n"
    "\n"
    "A cell is a frame, or a block of frames: . free, # the kernel's, = its objects, + page\n"
    "tables, : page cache, * shared by processes, @ huge page, ~ swap cache; A B C ... memory\n"
    "of one process, a b c ... a file's page that it alone maps.\n"
    "Keys: q quit, p or space pause, s step, tab up down process, + - zoom, left right PgUp PgDn\n"
    "scroll, v view, ? help.\n";

_Noreturn void die(const char *what)
{
    int error = errno;
    screen_close();
    fprintf(stderr, "memview: %s: %s\n", what, strerror(error));
    exit(1);
}

/* ---- signals ---- */

static volatile sig_atomic_t resized, stopping;

static void on_resize(int signal)
{
    resized = 1;
}

static void on_stop(int signal)
{
    stopping = 1;
}

/* However we end, the terminal is as it was. */
static void on_end(int number)
{
    screen_close();
    signal(number, SIG_DFL);
    raise(number);
}

static void handle(int number, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigaction(number, &action, NULL);
}

static void handle_signals(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGSEGV,
                               SIGBUS, SIGILL,  SIGFPE, SIGABRT, SIGPIPE};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        handle(ends[i], on_end, SA_RESETHAND | SA_NODEFER);
    handle(SIGWINCH, on_resize, 0);
    handle(SIGTSTP, on_stop, 0);
}

/* ---- keys ---- */

enum { KEY_NONE, KEY_END = 256, KEY_UP, KEY_DOWN, KEY_LEFT, KEY_RIGHT, KEY_PAGE_UP, KEY_PAGE_DOWN };

static char typed[64];
static size_t typed_count;

/* Is there something to be read within so many milliseconds? */
static bool wait_key(int ms)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&p, 1, ms) > 0;
}

/* The first of the bytes that were typed is a key, or begins one. */
static int take_key(void)
{
    static const struct {
        const char *text;
        int key;
    } keys[] = {
        {"[A", KEY_UP},       {"[B", KEY_DOWN},       {"[C", KEY_RIGHT}, {"[D", KEY_LEFT},
        {"OA", KEY_UP},       {"OB", KEY_DOWN},       {"OC", KEY_RIGHT}, {"OD", KEY_LEFT},
        {"[5~", KEY_PAGE_UP}, {"[6~", KEY_PAGE_DOWN},
    };
    size_t n = 1;
    int key = (unsigned char)typed[0];
    if (typed_count == 0)
        return KEY_NONE;
    for (size_t i = 0; key == 27 && i < sizeof(keys) / sizeof(keys[0]); i++)
        if (typed_count > strlen(keys[i].text) &&
            !memcmp(typed + 1, keys[i].text, strlen(keys[i].text))) {
            n = 1 + strlen(keys[i].text);
            key = keys[i].key;
        }
    memmove(typed, typed + n, typed_count -= n);
    return key;
}

/* The next key, or KEY_NONE after so many milliseconds or at a signal. */
static int next_key(int ms)
{
    ssize_t n;
    if (typed_count == 0 && !wait_key(ms))
        return KEY_NONE;
    while (typed_count == 0 || (typed[0] == 27 && typed_count < 4 && wait_key(50))) {
        n = read(STDIN_FILENO, typed + typed_count, sizeof(typed) - typed_count);
        if (n == 0 || (n < 0 && errno != EINTR))
            return KEY_END; /* nobody is there any more */
        if (n < 0)
            return KEY_NONE;
        typed_count += n;
    }
    return take_key();
}

/* ---- the live picture ---- */

struct state {
    struct sample *now, *before;
    struct look look;
    struct picture picture;
    bool changed, step;
    double interval;
};

static double clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* The one with the most memory, of the others if there are any. */
static int choose_process(const struct sample *s)
{
    const struct process *best = NULL;
    for (size_t i = 0; i < s->process_count; i++) {
        const struct process *p = &s->processes[i];
        if (!best || best->pid == getpid() || (p->pid != getpid() && p->resident > best->resident))
            best = p;
    }
    return best ? best->pid : 0;
}

static void another_process(struct state *st, int step)
{
    const struct sample *s = st->now;
    size_t at = 0;
    if (s->process_count == 0)
        return;
    while (at < s->process_count && s->processes[at].pid < st->look.pid)
        at++;
    if (step > 0 && (at == s->process_count || s->processes[at].pid == st->look.pid))
        at++;
    if (step < 0)
        at += s->process_count - 1;
    st->look.pid = s->processes[at % s->process_count].pid;
    st->look.scroll[1] = 0;
}

static void zoom(struct look *look, int step)
{
    int *zoom = &look->zoom[look->view == PROCESS];
    *zoom += step;
    if (*zoom < 0)
        *zoom = 0;
    if (*zoom > 30)
        *zoom = 30;
}

/* Whether to go on. */
static bool obey(struct state *st, int key)
{
    struct look *look = &st->look;
    long *scroll = &look->scroll[look->view == PROCESS];
    st->changed = true;
    switch (key) {
    case 'q':
    case 'Q':
    case KEY_END:
        return false;
    case 'p':
    case ' ':
        look->paused = !look->paused;
        break;
    case 's':
        look->paused = true;
        st->step = true;
        break;
    case '\t':
    case KEY_DOWN:
        another_process(st, 1);
        break;
    case KEY_UP:
        another_process(st, -1);
        break;
    case 'v':
        look->view = (look->view + 1) % VIEWS;
        break;
    case '+':
    case '=':
        zoom(look, 1);
        break;
    case '-':
        zoom(look, -1);
        break;
    case KEY_LEFT:
        --*scroll;
        break;
    case KEY_RIGHT:
        ++*scroll;
        break;
    case KEY_PAGE_UP:
        *scroll -= st->picture.height / 2;
        break;
    case KEY_PAGE_DOWN:
        *scroll += st->picture.height / 2;
        break;
    case '?':
    case 'h':
        look->help = !look->help;
        break;
    default:
        st->changed = false;
    }
    return true;
}

static void take(struct state *st)
{
    struct sample *s = sample_take(st->now);
    sample_free(st->before);
    st->before = st->now;
    st->now = s;
    st->changed = true;
    if (!sample_process(s, st->look.pid) && !st->look.paused)
        st->look.pid = choose_process(s);
}

static void show(struct state *st)
{
    int width = 80, height = 24;
    screen_size(&width, &height);
    picture_resize(&st->picture, width < 44 ? 44 : width, height < 6 ? 6 : height);
    draw(&st->picture, st->now, st->before, &st->look);
    screen_show(&st->picture);
    st->changed = false;
}

/* ^Z: give the terminal back, stop, and come back. */
static void stop(void)
{
    stopping = 0;
    screen_close();
    raise(SIGSTOP);
    screen_open();
}

static int watch(int pid, double interval)
{
    struct state st = {.interval = interval, .look.pid = pid};
    double due = 0;
    bool going = true;
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        fprintf(stderr, "memview: this is no terminal; see memview --once\n");
        return 2;
    }
    take(&st);
    handle_signals();
    screen_open();
    while (going) {
        double now = clock_now();
        if (st.step || (!st.look.paused && now >= due)) {
            double cost;
            take(&st);
            st.step = false;
            cost = clock_now() - now; /* at most a third of the processor's time */
            due = now + (cost * 3 > st.interval ? cost * 3 : st.interval);
        }
        if (stopping)
            stop(), st.changed = true;
        if (resized) {
            resized = 0;
            screen_forget();
            st.changed = true;
        }
        if (st.changed && typed_count == 0)
            show(&st);
        now = clock_now();
        going = obey(&st, next_key(st.look.paused ? 60000
                                   : now < due    ? (due - now) * 1000 + 1
                                                  : 0));
    }
    screen_close();
    return 0;
}

static int print_once(int pid, int width, bool colours)
{
    struct sample *s = sample_take(NULL);
    struct picture p = {0};
    int height;
    bool terminal = isatty(STDOUT_FILENO);
    if (width == 0 && (!terminal || !screen_size(&width, &height)))
        width = 80;
    if (pid && !sample_process(s, pid)) {
        fprintf(stderr, "memview: no process %d with memory\n", pid);
        return 1;
    }
    draw_once(&p, s, pid, width);
    picture_print(&p, colours && terminal);
    return 0;
}

/* A number within bounds; else it ends. */
static double number(const char *option, const char *text, double low, double high)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= low && value <= high)) {
        fprintf(stderr, "memview: --%s %s: not between %g and %g\n", option, text, low, high);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"once", no_argument, NULL, 'o'},        {"pid", required_argument, NULL, 'p'},
        {"width", required_argument, NULL, 'w'}, {"interval", required_argument, NULL, 'i'},
        {"no-colour", no_argument, NULL, 'n'},   {"no-color", no_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0},
    };
    bool once = false, colours = true;
    double interval = 0.5;
    int pid = 0, width = 0, option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'o':
            once = true;
            break;
        case 'p':
            pid = number("pid", optarg, 1, 1 << 22);
            break;
        case 'w':
            width = number("width", optarg, 44, 1000);
            break;
        case 'i':
            interval = number("interval", optarg, 0.05, 3600);
            break;
        case 'n':
            colours = false;
            break;
        case 'h':
            fputs(help, stdout);
            return 0;
        default:
            fputs("memview: see memview --help\n", stderr);
            return 2;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "memview: what is %s? See memview --help\n", argv[optind]);
        return 2;
    }
    return once ? print_once(pid, width, colours) : watch(pid, interval);
}
