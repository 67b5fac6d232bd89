/* SPDX-License-Identifier: MIT */
/*
 * memview: physical memory and address spaces on a terminal, as they are now.
 *
 *     sample.c    takes a sample of /proc, and compares it with the one before
 *     draw.c      makes a picture of a sample
 *     screen.c    shows pictures on a terminal, writing only what has changed
 *     main.c      options, keys, the clock
 */
#ifndef MEMVIEW_H
#define MEMVIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE 4096

_Noreturn void die(const char *what); /* with errno's text; restores the terminal */

/* ---- samples ---- */

/* What has happened to a page or frame since the sample before; the higher number is shown. */
enum event { NOTHING, RECLAIMED, FAULTED, COPIED, SWAPPED_OUT, SWAPPED_IN, EVENTS };

/* What stands for a page of an address space in pagemap. */
struct entry {
    uint64_t page : 56; /* address / PAGE */
    uint64_t event : 8;
    uint64_t word; /* 0: gone since the last sample */
};

struct area {
    uint64_t start, end; /* pages */
    char access[5];
    char name[28];
};

struct process {
    int pid;
    unsigned slot; /* its letter and colour; the same as long as it lives */
    char name[17];
    uint64_t minor, major;
    long resident, swapped; /* pages */
    struct area *areas;
    struct entry *entries; /* those that are not empty, by page */
    size_t area_count, entry_count, entry_room;
};

/* Whose a frame is: a process's slot, or one of these. */
enum { OWNER_NONE = 0xffff, OWNER_SHARED = 0xfffe };

struct frame {
    uint64_t flags; /* KPF_* */
    uint16_t owner;
    uint8_t event;
    bool anonymous;
};

struct range {
    uint64_t first, count; /* frame numbers */
    size_t at;             /* index of the first in the array */
};

enum counter {
    FAULTS,
    MAJOR,
    COPIES,
    SWAP_IN,
    SWAP_OUT,
    RECLAIMS, /* so far: events */
    TOTAL,
    FREE,
    CACHED,
    ANONYMOUS,
    SLAB,
    TABLES,
    SWAP_TOTAL,
    SWAP_FREE, /* KiB */
    COUNTERS
};

struct sample {
    double time; /* s */
    struct range *ranges;
    size_t range_count, frame_count;
    struct frame *frames;
    struct process *processes; /* by pid */
    size_t process_count;
    uint64_t counters[COUNTERS];
};

/* A sample of now; what differs from `before` (NULL: nothing does) gets its event. */
struct sample *sample_take(const struct sample *before);
void sample_free(struct sample *s);
/* The frame with a number; NULL: no memory. */
struct frame *sample_frame(const struct sample *s, uint64_t number);
uint64_t sample_frame_number(const struct sample *s, size_t index);
struct process *sample_process(const struct sample *s, int pid); /* or NULL */

/* ---- pictures ---- */

struct cell {
    char c;
    uint8_t colour; /* foreground 0..7, +8: bright; background << 4 */
};

struct picture {
    int width, height;
    struct cell *cells;
};

enum view { BOTH, FRAMES, PROCESS, VIEWS };

struct look {
    enum view view;
    int pid;
    int zoom[2];    /* halvings of a cell, of the frames and of the process */
    long scroll[2]; /* lines */
    bool paused, help;
};

void picture_resize(struct picture *p, int width, int height); /* and make it blank */
/* Draw a sample as large as the picture is. before: for rates; may be NULL. Scrolling is limited. */
void draw(struct picture *p, const struct sample *s, const struct sample *before,
          struct look *look);
/* The same as a list without end: the picture grows to what is needed. */
void draw_once(struct picture *p, const struct sample *s, int pid, int width);

/* ---- the terminal ---- */

void screen_open(void);
void screen_close(void); /* as it was; may be called by signal handlers, and twice */
bool screen_size(int *width, int *height);
void screen_forget(void); /* draw everything anew next time */
void screen_show(const struct picture *p);
void picture_print(const struct picture *p, bool colours); /* as lines of text */

#endif
