/* SPDX-License-Identifier: MIT */
/*
 * Pictures. A cell stands for one frame or page, or for a block of them: it shows what most of them
 * are, and if something has happened to one of them, the colour of that.
 */
#include "memview.h"
#include <linux/kernel-page-flags.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRESENT   (1ULL << 63)
#define SWAPPED   (1ULL << 62)
#define FILE_PAGE (1ULL << 61)
#define EXCLUSIVE (1ULL << 56)
#define NUMBER    ((1ULL << 55) - 1)

enum colour { BLACK, RED, GREEN, YELLOW, BLUE, MAGENTA, CYAN, WHITE, BRIGHT = 8 };
#define ON(background) ((background) << 4)

#define LABEL 11 /* columns of a line's first address */
#define AREA  40 /* columns of an area's description */

static const uint8_t event_colour[EVENTS] = {
    [FAULTED] = BLACK | ON(GREEN),          [COPIED] = BLACK | ON(YELLOW),
    [SWAPPED_IN] = BLACK | ON(CYAN),        [SWAPPED_OUT] = WHITE | BRIGHT | ON(MAGENTA),
    [RECLAIMED] = WHITE | BRIGHT | ON(RED),
};

/* ---- cells ---- */

void picture_resize(struct picture *p, int width, int height)
{
    p->cells = realloc(p->cells, (size_t)width * height * sizeof(*p->cells));
    if (!p->cells)
        die("memory");
    p->width = width;
    p->height = height;
    for (int i = 0; i < width * height; i++)
        p->cells[i] = (struct cell){' ', WHITE};
}

static void put(struct picture *p, int x, int y, struct cell cell)
{
    if (x >= 0 && x < p->width && y >= 0 && y < p->height)
        p->cells[y * p->width + x] = cell;
}

/* Returns the column behind the text. */
static __attribute__((format(printf, 5, 6))) int print(struct picture *p, int x, int y,
                                                       uint8_t colour, const char *format, ...)
{
    char text[256];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    for (const char *c = text; *c; c++, x++)
        put(p, x, y, (struct cell){(unsigned char)*c < ' ' || *c == 127 ? '?' : *c, colour});
    return x;
}

/* "640K", "12M", "3.5G": at most five characters */
static const char *size_text(uint64_t kib)
{
    static char texts[8][16];
    static unsigned next;
    char *text = texts[next++ % 8];
    if (kib < 10000)
        snprintf(text, 16, "%uK", (unsigned)kib);
    else if (kib < 10000 * 1024)
        snprintf(text, 16, "%uM", (unsigned)(kib >> 10));
    else
        snprintf(text, 16, "%.1fG", kib / 1048576.0);
    return text;
}

/* ---- what a frame, what a page is ---- */

static uint8_t process_colour(unsigned slot)
{
    static const uint8_t colours[] = {GREEN, CYAN, YELLOW, MAGENTA, BLUE, RED};
    return colours[slot % 6] | BRIGHT;
}

static char process_letter(unsigned slot)
{
    return 'A' + slot % 26;
}

static bool has(uint64_t flags, unsigned bit)
{
    return flags >> bit & 1;
}

/* By what it is for; and if processes map it, by whose it is. */
static struct cell frame_cell(const struct frame *f)
{
    uint64_t flags = f->flags;
    if (has(flags, KPF_NOPAGE))
        return (struct cell){' ', WHITE};
    if (has(flags, KPF_BUDDY))
        return (struct cell){'.', BLACK | BRIGHT};
    if (has(flags, KPF_SLAB))
        return (struct cell){'=', YELLOW};
    if (has(flags, KPF_PGTABLE))
        return (struct cell){'+', MAGENTA};
    if (f->owner == OWNER_SHARED)
        return (struct cell){'*', WHITE | BRIGHT};
    if (f->owner != OWNER_NONE && has(flags, KPF_THP))
        return (struct cell){'@', process_colour(f->owner)};
    if (f->owner != OWNER_NONE)
        return (struct cell){process_letter(f->owner) + (f->anonymous ? 0 : 'a' - 'A'),
                             process_colour(f->owner)};
    if (has(flags, KPF_SWAPCACHE))
        return (struct cell){'~', CYAN};
    if (has(flags, KPF_ANON))
        return (struct cell){'?', WHITE};
    if (has(flags, KPF_LRU) || has(flags, KPF_UPTODATE))
        return (struct cell){':', BLUE | BRIGHT};
    return (struct cell){'#', RED};
}

static struct cell page_cell(const struct sample *s, const struct entry *e)
{
    const struct frame *f = e->word & PRESENT ? sample_frame(s, e->word & NUMBER) : NULL;
    uint64_t flags = f ? f->flags : 0;
    bool dirty = has(flags, KPF_DIRTY);
    if (e->word & SWAPPED)
        return (struct cell){'s', CYAN};
    if (!(e->word & PRESENT))
        return (struct cell){'.', BLACK | BRIGHT};
    if (has(flags, KPF_ZERO_PAGE))
        return (struct cell){'0', BLUE | BRIGHT};
    if (!(e->word & EXCLUSIVE))
        return (struct cell){'*', WHITE | BRIGHT};
    if (has(flags, KPF_THP))
        return (struct cell){'@', YELLOW | BRIGHT};
    if (!(e->word & FILE_PAGE))
        dirty = dirty || !has(flags, KPF_SWAPCACHE);
    return dirty ? (struct cell){'d', RED | BRIGHT} : (struct cell){'c', GREEN | BRIGHT};
}

/* The most frequent of a block's cells. */
struct poll {
    struct cell cell[12];
    unsigned count[12], kinds;
    uint8_t event;
};

static void vote(struct poll *v, struct cell cell, uint8_t event)
{
    unsigned i = 0;
    while (i < v->kinds && (v->cell[i].c != cell.c || v->cell[i].colour != cell.colour))
        i++;
    if (event > v->event)
        v->event = event;
    if (i == v->kinds) {
        if (v->kinds == 12)
            return;
        v->cell[v->kinds] = cell;
        v->count[v->kinds++] = 0;
    }
    v->count[i]++;
}

static struct cell winner(const struct poll *v, struct cell none)
{
    unsigned best = 0;
    for (unsigned i = 1; i < v->kinds; i++)
        if (v->count[i] > v->count[best])
            best = i;
    if (v->kinds)
        none = v->cell[best];
    if (v->event)
        none.colour = event_colour[v->event];
    return none;
}

/* The smallest of 1, 2, 3, 4, 6, 8, 12 ... of which `cells` reach for n, halved `zoom` times. */
static uint64_t block_size(uint64_t n, uint64_t cells, int zoom)
{
    uint64_t block = 1;
    while (block * cells < n && (block == 1 || block * 3 / 2 * cells < n))
        block *= 2;
    if (block * cells < n)
        block = block * 3 / 2;
    return block >> zoom ?: 1;
}

static long limit(long scroll, long lines, long height)
{
    if (scroll > lines - height)
        scroll = lines - height;
    return scroll < 0 ? 0 : scroll;
}

/* ---- the frames ---- */

static struct cell frames_cell(const struct sample *s, size_t first, uint64_t block)
{
    struct poll v = {.kinds = 0};
    for (size_t i = first; i < first + block && i < s->frame_count; i++)
        vote(&v, frame_cell(&s->frames[i]), s->frames[i].event);
    return winner(&v, (struct cell){' ', WHITE});
}

static void draw_frames(struct picture *p, const struct sample *s, int y, int height,
                        struct look *look)
{
    int width = p->width - LABEL;
    uint64_t block = block_size(s->frame_count, (uint64_t)width * height, look->zoom[0]);
    uint64_t line = block * width;
    long lines = (s->frame_count + line - 1) / line;
    look->scroll[0] = limit(look->scroll[0], lines, height);
    for (int row = 0; row < height && look->scroll[0] + row < lines; row++) {
        size_t first = (look->scroll[0] + row) * line;
        print(p, 0, y + row, WHITE, "%9llx",
              (unsigned long long)sample_frame_number(s, first) * PAGE);
        for (int x = 0; x < width && first + x * block < s->frame_count; x++)
            put(p, LABEL + x, y + row, frames_cell(s, first + x * block, block));
    }
}

/* ---- an address space ---- */

static size_t entry_at(const struct process *q, uint64_t page)
{
    size_t low = 0, high = q->entry_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (q->entries[middle].page < page)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct cell pages_cell(const struct sample *s, const struct process *q, uint64_t first,
                              uint64_t end)
{
    struct poll v = {.kinds = 0};
    for (size_t i = entry_at(q, first); i < q->entry_count && q->entries[i].page < end; i++)
        vote(&v, page_cell(s, &q->entries[i]), q->entries[i].event);
    return winner(&v, (struct cell){'.', BLACK | BRIGHT});
}

static void draw_area(struct picture *p, const struct sample *s, const struct process *q,
                      const struct area *a, uint64_t block, uint64_t from, int y)
{
    int width = p->width - AREA;
    print(p, 0, y, WHITE, "%12llx", (unsigned long long)from * PAGE);
    if (from == a->start)
        print(p, 13, y, WHITE, "%s %5s %-15.15s", a->access,
              size_text((a->end - a->start) * (PAGE / 1024)), a->name);
    for (int x = 0; x < width && from + x * block < a->end; x++) {
        uint64_t first = from + x * block, end = first + block < a->end ? first + block : a->end;
        put(p, AREA + x, y, pages_cell(s, q, first, end));
    }
}

/* Returns the lines that all areas take; draws those from `scroll` on. */
static long draw_areas(struct picture *p, const struct sample *s, const struct process *q, int y,
                       int height, int zoom, long scroll)
{
    uint64_t width = p->width - AREA;
    long line = 0;
    for (size_t i = 0; i < q->area_count; i++) {
        const struct area *a = &q->areas[i];
        uint64_t block = block_size(a->end - a->start, width, zoom);
        for (uint64_t at = a->start; at < a->end; at += block * width, line++)
            if (line >= scroll && line < scroll + height)
                draw_area(p, s, q, a, block, at, y + (int)(line - scroll));
    }
    return line;
}

static void draw_process_line(struct picture *p, const struct process *q, int y)
{
    int x = print(p, 0, y, process_colour(q->slot), "%c %d %s", process_letter(q->slot), q->pid,
                  q->name);
    print(p, x, y, WHITE, "  resident %s  swapped %s  faults %llu, major %llu",
          size_text(q->resident * (PAGE / 1024)), size_text(q->swapped * (PAGE / 1024)),
          (unsigned long long)(q->minor + q->major), (unsigned long long)q->major);
}

static void draw_process(struct picture *p, const struct sample *s, int y, int height,
                         struct look *look)
{
    const struct process *q = sample_process(s, look->pid);
    long lines;
    if (height < 2)
        return;
    if (!q) {
        print(p, 0, y, WHITE, "no process %d", look->pid);
        return;
    }
    draw_process_line(p, q, y);
    lines = draw_areas(p, s, q, y + 1, 0, look->zoom[1], 0);
    look->scroll[1] = limit(look->scroll[1], lines, height - 1);
    draw_areas(p, s, q, y + 1, height - 1, look->zoom[1], look->scroll[1]);
}

/* ---- around them ---- */

static uint64_t rate(const struct sample *s, const struct sample *before, enum counter which)
{
    if (!before || s->time <= before->time)
        return 0;
    return (s->counters[which] - before->counters[which]) / (s->time - before->time) + 0.5;
}

static int flashing(struct picture *p, int x, int y, enum event event, const char *name, uint64_t n)
{
    x = print(p, x, y, n ? event_colour[event] : WHITE, "%s %llu/s", name, (unsigned long long)n);
    return x + 2;
}

static void draw_status(struct picture *p, const struct sample *s, const struct sample *before,
                        const struct look *look)
{
    const uint64_t *c = s->counters;
    int x = print(p, 0, 0, WHITE | BRIGHT, "memory %s", size_text(c[TOTAL]));
    print(p, x, 0, WHITE, " free %s cached %s anon %s slab %s tables %s swap %s/%s",
          size_text(c[FREE]), size_text(c[CACHED]), size_text(c[ANONYMOUS]), size_text(c[SLAB]),
          size_text(c[TABLES]), size_text(c[SWAP_TOTAL] - c[SWAP_FREE]), size_text(c[SWAP_TOTAL]));
    x = flashing(p, 0, 1, FAULTED, "faults", rate(s, before, FAULTS));
    x = print(p, x, 1, WHITE, "major %llu/s  ", (unsigned long long)rate(s, before, MAJOR));
    x = flashing(p, x, 1, COPIED, "copies", rate(s, before, COPIES));
    x = flashing(p, x, 1, SWAPPED_IN, "in", rate(s, before, SWAP_IN));
    x = flashing(p, x, 1, SWAPPED_OUT, "out", rate(s, before, SWAP_OUT));
    flashing(p, x, 1, RECLAIMED, "reclaimed", rate(s, before, RECLAIMS));
    if (look->paused)
        print(p, p->width - 8, 1, BLACK | ON(WHITE), " paused ");
}

struct key {
    struct cell cell;
    const char *text;
};
static const struct key frame_keys[] = {
    {{'.', BLACK | BRIGHT}, "free"},
    {{'#', RED}, "kernel"},
    {{'=', YELLOW}, "slab"},
    {{'+', MAGENTA}, "tables"},
    {{':', BLUE | BRIGHT}, "cache"},
    {{'*', WHITE | BRIGHT}, "shared"},
    {{'@', YELLOW | BRIGHT}, "huge"},
    {{'~', CYAN}, "swap cache"},
    {{'A', GREEN | BRIGHT}, "'s memory"},
    {{'a', GREEN | BRIGHT}, "'s file"},
    {{0}, NULL},
};
static const struct key page_keys[] = {
    {{'.', BLACK | BRIGHT}, "untouched"}, {{'c', GREEN | BRIGHT}, "clean"},
    {{'d', RED | BRIGHT}, "dirty"},       {{'*', WHITE | BRIGHT}, "shared"},
    {{'0', BLUE | BRIGHT}, "zero page"},  {{'s', CYAN}, "swapped"},
    {{'@', YELLOW | BRIGHT}, "huge"},     {{0}, NULL},
};

/* With spaces between signs and names if there is room for them. */
static void draw_keys(struct picture *p, int y, const struct key *keys)
{
    int x = 0, length = 0;
    for (const struct key *k = keys; k->text; k++)
        length += strlen(k->text) + 4;
    for (; keys->text; keys++) {
        put(p, x, y, keys->cell);
        x = print(p, x + 1 + (length <= p->width && keys->text[0] != '\''), y, WHITE, "%s",
                  keys->text);
        x += length <= p->width ? 2 : 1;
    }
}

static void draw_help(struct picture *p)
{
    static const char *const lines[] = {
        "q            quit                    ", "p, space     pause, go on            ",
        "s            one step (and pause)    ", "tab, down    the next process        ",
        "up           the one before          ", "v            other view              ",
        "+ -          zoom in, out            ", "left, right  scroll a line           ",
        "PgUp, PgDn   scroll a page           ", "?            this help               ",
    };
    static const struct {
        enum event event;
        const char *text;
    } events[] = {{FAULTED, "faulted in"},
                  {COPIED, "copied or moved"},
                  {SWAPPED_IN, "swapped in"},
                  {SWAPPED_OUT, "swapped out"},
                  {RECLAIMED, "taken away"}};
    int n = sizeof(lines) / sizeof(lines[0]), m = sizeof(events) / sizeof(events[0]);
    int x = (p->width - 40) / 2, y = (p->height - n - m - 2) / 2;
    if (x < 0)
        x = 0;
    if (y < 0)
        y = 0;
    for (int i = 0; i < n + m + 2; i++)
        print(p, x, y + i, BLACK | ON(WHITE), "%40s", "");
    for (int i = 0; i < n; i++)
        print(p, x + 2, y + 1 + i, BLACK | ON(WHITE), "%s", lines[i]);
    for (int i = 0; i < m; i++) {
        print(p, x + 2, y + n + 1 + i, event_colour[events[i].event], "   ");
        print(p, x + 15, y + n + 1 + i, BLACK | ON(WHITE), "%s", events[i].text);
    }
}

void draw(struct picture *p, const struct sample *s, const struct sample *before, struct look *look)
{
    int height = p->height - 4; /* two lines of numbers, two of explanations */
    int frames = look->view == BOTH ? height / 2 : height;
    draw_status(p, s, before, look);
    if (height >= 1 && look->view != PROCESS)
        draw_frames(p, s, 2, frames, look);
    if (look->view == BOTH)
        draw_process(p, s, 2 + frames, height - frames, look);
    else if (look->view == PROCESS)
        draw_process(p, s, 2, height, look);
    draw_keys(p, p->height - 2, look->view == PROCESS ? page_keys : frame_keys);
    print(p, 0, p->height - 1, WHITE,
          "q quit  p pause  s step  tab process  v view  + - zoom  ? help");
    if (look->help)
        draw_help(p);
}

/* ---- once ---- */

/* Make room for more lines; what is there stays, as the width does not change. */
static void add_lines(struct picture *p, int lines)
{
    struct picture more = {0};
    picture_resize(&more, p->width, p->height + lines);
    memcpy(more.cells, p->cells, (size_t)p->width * p->height * sizeof(*p->cells));
    free(p->cells);
    *p = more;
}

void draw_once(struct picture *p, const struct sample *s, int pid, int width)
{
    struct look look = {.view = FRAMES, .pid = pid};
    const struct process *chosen = sample_process(s, pid);
    int y = 1, frames = 16;
    picture_resize(p, width, 1 + frames + 1);
    draw_status(p, s, NULL, &look);
    for (int x = 0; x < width; x++) /* rates there are none */
        put(p, x, 1, (struct cell){' ', WHITE});
    draw_frames(p, s, y, frames, &look);
    while (frames > 1 && p->cells[(y + frames - 1) * width + LABEL].c == ' ')
        frames--;
    y += frames;
    p->height = y + 1;
    draw_keys(p, y++, frame_keys);
    add_lines(p, s->process_count);
    for (size_t i = 0; i < s->process_count; i++)
        draw_process_line(p, &s->processes[i], y++);
    if (!chosen)
        return;
    add_lines(p, 2 + chosen->area_count);
    draw_process_line(p, chosen, y++);
    draw_areas(p, s, chosen, y, chosen->area_count, 0, 0);
    draw_keys(p, y + chosen->area_count, page_keys);
}
