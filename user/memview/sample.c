/* SPDX-License-Identifier: MIT */
/*
 * Samples: what /proc tells of frames and address spaces, and what has happened between two of them.
 *
 * /proc/kpageflags says what each frame is, and the pagemap of each process which frames it maps; so
 * the owner of a frame is found by going through all processes. Areas of which nothing is resident
 * cost one read. Two lists of a process's pages, both by address, are compared like two sorted files.
 */
#include "memview.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PRESENT   (1ULL << 63)
#define SWAPPED   (1ULL << 62)
#define FILE_PAGE (1ULL << 61)
#define NUMBER    ((1ULL << 55) - 1)
#define CHUNK     8192 /* words read at once */

static void *grow(void *old, size_t bytes)
{
    void *p = realloc(old, bytes ? bytes : 1);
    if (!p)
        die("memory");
    return p;
}

/* ---- files ---- */

/* The text of a file, or "" if it cannot be read; good until the next call. */
static char *text_of(const char *path)
{
    static char *text;
    static size_t size;
    size_t used = 0;
    ssize_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    do {
        used += n;
        if (size - used < 4096)
            text = grow(text, size = used + 65536);
    } while (fd >= 0 && (n = read(fd, text + used, size - used - 1)) > 0);
    if (fd >= 0)
        close(fd);
    text[used] = 0;
    return text;
}

static char *process_text(int pid, const char *file)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
    return text_of(path);
}

static uint64_t number_behind(const char *text, const char *name)
{
    size_t length = strlen(name);
    for (const char *p = text; p; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
        if (!strncmp(p, name, length))
            return strtoull(p + length, NULL, 10);
    return 0;
}

static ssize_t read_words(int fd, uint64_t first, size_t n, uint64_t *words)
{
    ssize_t bytes = pread(fd, words, n * 8, first * 8);
    return bytes < 0 ? -1 : bytes / 8;
}

/* ---- frames ---- */

/* Of the sample that was freed last: to ask for new memory each time would show in the picture. */
static struct frame *spare;

struct frame *sample_frame(const struct sample *s, uint64_t number)
{
    for (size_t i = 0; i < s->range_count; i++)
        if (number - s->ranges[i].first < s->ranges[i].count)
            return &s->frames[s->ranges[i].at + number - s->ranges[i].first];
    return NULL;
}

uint64_t sample_frame_number(const struct sample *s, size_t index)
{
    for (size_t i = 0; i < s->range_count; i++)
        if (index - s->ranges[i].at < s->ranges[i].count)
            return s->ranges[i].first + index - s->ranges[i].at;
    return 0;
}

static void find_ranges(struct sample *s)
{
    char *text = text_of("/proc/iomem");
    for (char *p = text; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL) {
        char *end, *line = p;
        uint64_t start, stop;
        if (*line == ' ' || strncmp(strstr(line, " : ") ?: line, " : System RAM", 13) != 0)
            continue;
        start = strtoull(line, &end, 16);
        stop = *end == '-' ? strtoull(end + 1, NULL, 16) + 1 : 0;
        start = (start + PAGE - 1) / PAGE;
        stop /= PAGE;
        if (stop <= start)
            continue;
        s->ranges = grow(s->ranges, (s->range_count + 1) * sizeof(*s->ranges));
        s->ranges[s->range_count++] = (struct range){start, stop - start, s->frame_count};
        s->frame_count += stop - start;
    }
    if (s->range_count == 0) {
        errno = EPERM;
        die("/proc/iomem tells no addresses");
    }
}

static void read_frames(struct sample *s)
{
    static uint64_t words[CHUNK];
    int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        die("/proc/kpageflags");
    s->frames = grow(spare, s->frame_count * sizeof(*s->frames));
    spare = NULL;
    for (size_t r = 0; r < s->range_count; r++) {
        const struct range *range = &s->ranges[r];
        for (uint64_t done = 0; done < range->count;) {
            size_t want = range->count - done < CHUNK ? range->count - done : CHUNK;
            ssize_t n = read_words(fd, range->first + done, want, words);
            if (n <= 0) { /* no descriptors there */
                memset(words, 0, sizeof(words));
                n = want;
            }
            for (ssize_t i = 0; i < n; i++)
                s->frames[range->at + done + i] =
                    (struct frame){.flags = words[i], .owner = OWNER_NONE};
            done += n;
        }
    }
    close(fd);
}

/* ---- processes ---- */

struct process *sample_process(const struct sample *s, int pid)
{
    for (size_t i = 0; s && i < s->process_count; i++)
        if (s->processes[i].pid == pid)
            return &s->processes[i];
    return NULL;
}

static void add_entry(struct process *p, struct entry e)
{
    if (p->entry_count == p->entry_room) {
        p->entry_room = p->entry_room ? p->entry_room * 2 : 256;
        p->entries = grow(p->entries, p->entry_room * sizeof(*p->entries));
    }
    p->entries[p->entry_count++] = e;
}

static void own(struct sample *s, const struct process *p, uint64_t word)
{
    struct frame *f = sample_frame(s, word & NUMBER);
    if (!f || (f->flags & (1ULL << KPF_ZERO_PAGE)))
        return;
    f->owner = f->owner == OWNER_NONE || f->owner == p->slot ? p->slot : OWNER_SHARED;
    f->anonymous = !(word & FILE_PAGE);
}

static void read_entries(struct sample *s, struct process *p)
{
    static uint64_t words[CHUNK];
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/pagemap", p->pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (size_t i = 0; fd >= 0 && i < p->area_count; i++) {
        const struct area *a = &p->areas[i];
        for (uint64_t at = a->start; at < a->end;) {
            ssize_t n = read_words(fd, at, a->end - at < CHUNK ? a->end - at : CHUNK, words);
            if (n <= 0)
                break;
            for (ssize_t j = 0; j < n; j++) {
                if (!(words[j] & (PRESENT | SWAPPED)))
                    continue;
                add_entry(p, (struct entry){.page = at + j, .word = words[j]});
                if (words[j] & SWAPPED)
                    p->swapped++;
                else
                    own(s, p, words[j]);
            }
            at += n;
        }
    }
    if (fd >= 0)
        close(fd);
}

/* The last part of the name, as it is found in maps. */
static void take_name(struct area *a, const char *line)
{
    size_t length = strcspn(line, "\n");
    const char *name = memchr(line, '[', length), *slash;
    if (!name)
        name = memchr(line, '/', length);
    if (!name)
        return;
    length -= name - line;
    while (*name == '/' && (slash = memchr(name + 1, '/', length - 1))) {
        length -= slash - name;
        name = slash;
    }
    if (*name == '/')
        name++, length--;
    snprintf(a->name, sizeof(a->name), "%.*s", (int)length, name);
}

static void read_areas(struct process *p)
{
    char *text = process_text(p->pid, "maps");
    for (char *line = text; line && *line;
         line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        struct area a = {0};
        char *at;
        a.start = strtoull(line, &at, 16) / PAGE;
        if (*at != '-')
            continue;
        a.end = strtoull(at + 1, &at, 16) / PAGE;
        snprintf(a.access, sizeof(a.access), "%.4s", at + 1);
        take_name(&a, at + 5);
        p->areas = grow(p->areas, (p->area_count + 1) * sizeof(a));
        p->areas[p->area_count++] = a;
    }
}

/* The letter it had before, or one that nobody has. */
static unsigned choose_slot(const struct sample *s, const struct sample *before, int pid)
{
    const struct process *old = sample_process(before, pid);
    if (old)
        return old->slot;
    for (unsigned slot = 0;; slot++) {
        bool taken = false;
        for (size_t i = 0; i < s->process_count; i++)
            taken |= s->processes[i].slot == slot;
        for (size_t i = 0; before && i < before->process_count; i++)
            taken |= before->processes[i].slot == slot;
        if (!taken || slot == OWNER_SHARED - 1)
            return slot;
    }
}

static void add_process(struct sample *s, const struct sample *before, int pid)
{
    struct process p = {.pid = pid};
    char *text = process_text(pid, "statm");
    if (strtol(text + strcspn(text, " "), NULL, 10) == 0)
        return; /* a kernel thread, or gone */
    p.resident = strtol(text + strcspn(text, " "), NULL, 10);
    text = process_text(pid, "stat");
    char *name = strchr(text, '('), *end = strrchr(text, ')');
    if (!name || !end)
        return;
    snprintf(p.name, sizeof(p.name), "%.*s", (int)(end - name - 1), name + 1);
    sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %*u %llu %*u %llu", (unsigned long long *)&p.minor,
           (unsigned long long *)&p.major);
    p.slot = choose_slot(s, before, pid);
    read_areas(&p);
    read_entries(s, &p);
    s->processes = grow(s->processes, (s->process_count + 1) * sizeof(p));
    s->processes[s->process_count++] = p;
}

static int by_pid(const void *a, const void *b)
{
    return ((const struct process *)a)->pid - ((const struct process *)b)->pid;
}

static void read_processes(struct sample *s, const struct sample *before)
{
    DIR *d = opendir("/proc");
    struct dirent *e;
    if (!d)
        die("/proc");
    while ((e = readdir(d)))
        if (isdigit((unsigned char)e->d_name[0]))
            add_process(s, before, atoi(e->d_name));
    closedir(d);
    qsort(s->processes, s->process_count, sizeof(*s->processes), by_pid);
}

/* ---- what has happened ---- */

static void note_frame(const struct sample *s, uint64_t word, enum event event)
{
    struct frame *f = word & PRESENT ? sample_frame(s, word & NUMBER) : NULL;
    if (f && f->event < event)
        f->event = event;
}

static enum event compare(uint64_t old, uint64_t new)
{
    if (!(new &PRESENT))
        return (old & PRESENT) ? (new &SWAPPED ? SWAPPED_OUT : RECLAIMED) : NOTHING;
    if (old & SWAPPED)
        return SWAPPED_IN;
    if (!(old & PRESENT))
        return FAULTED;
    return (old & NUMBER) != (new &NUMBER) ? COPIED : NOTHING;
}

/* Both lists are by page. What has gone stays in the new one for this time. */
static void compare_process(const struct sample *s, struct process *p, const struct process *old)
{
    struct process merged = {0};
    size_t i = 0, j = 0;
    while (i < p->entry_count || j < old->entry_count) {
        struct entry now =
            i < p->entry_count ? p->entries[i] : (struct entry){.page = (1ULL << 56) - 1};
        struct entry was =
            j < old->entry_count ? old->entries[j] : (struct entry){.page = (1ULL << 56) - 1};
        struct entry e = {.page = now.page < was.page ? now.page : was.page};
        uint64_t before = 0;
        if (now.page == e.page)
            e.word = now.word, i++;
        if (was.page == e.page)
            before = was.word, j++;
        if (!e.word && !before)
            continue;
        e.event = compare(before, e.word);
        if (e.event == RECLAIMED || e.event == SWAPPED_OUT) {
            struct frame *f = sample_frame(s, before & NUMBER);
            if (f && f->owner == OWNER_NONE)
                note_frame(s, before, e.event);
        } else {
            note_frame(s, e.word, e.event);
        }
        add_entry(&merged, e);
    }
    free(p->entries);
    p->entries = merged.entries;
    p->entry_count = merged.entry_count;
    p->entry_room = merged.entry_room;
}

static bool in_cache(uint64_t flags)
{
    return (flags & (1ULL << KPF_LRU | 1ULL << KPF_UPTODATE)) && !(flags & 1ULL << KPF_ANON);
}

static void find_events(struct sample *s, const struct sample *before)
{
    for (size_t i = 0; i < s->process_count; i++) {
        const struct process *old = sample_process(before, s->processes[i].pid);
        if (old)
            compare_process(s, &s->processes[i], old);
    }
    if (s->frame_count != before->frame_count)
        return;
    for (size_t i = 0; i < s->frame_count; i++)
        if (in_cache(before->frames[i].flags) && (s->frames[i].flags & (1ULL << KPF_BUDDY)) &&
            !s->frames[i].event)
            s->frames[i].event = RECLAIMED;
}

/* ---- all of it ---- */

static void read_counters(struct sample *s)
{
    char *text = text_of("/proc/vmstat");
    s->counters[FAULTS] = number_behind(text, "pgfault ");
    s->counters[MAJOR] = number_behind(text, "pgmajfault ");
    s->counters[COPIES] = number_behind(text, "pgfault_copy ");
    s->counters[SWAP_IN] = number_behind(text, "pswpin ");
    s->counters[SWAP_OUT] = number_behind(text, "pswpout ");
    s->counters[RECLAIMS] =
        number_behind(text, "pgsteal_kswapd ") + number_behind(text, "pgsteal_direct ");
    text = text_of("/proc/meminfo");
    s->counters[TOTAL] = number_behind(text, "MemTotal:");
    s->counters[FREE] = number_behind(text, "MemFree:");
    s->counters[CACHED] = number_behind(text, "Cached:");
    s->counters[ANONYMOUS] = number_behind(text, "AnonPages:");
    s->counters[SLAB] = number_behind(text, "Slab:");
    s->counters[TABLES] = number_behind(text, "PageTables:");
    s->counters[SWAP_TOTAL] = number_behind(text, "SwapTotal:");
    s->counters[SWAP_FREE] = number_behind(text, "SwapFree:");
}

struct sample *sample_take(const struct sample *before)
{
    struct sample *s = grow(NULL, sizeof(*s));
    struct timespec now;
    *s = (struct sample){0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    s->time = now.tv_sec + now.tv_nsec / 1e9;
    read_counters(s);
    find_ranges(s);
    read_frames(s);
    read_processes(s, before);
    if (before)
        find_events(s, before);
    return s;
}

void sample_free(struct sample *s)
{
    for (size_t i = 0; s && i < s->process_count; i++) {
        free(s->processes[i].areas);
        free(s->processes[i].entries);
    }
    if (s) {
        free(s->processes);
        free(s->ranges);
        free(spare);
        spare = s->frames;
        free(s);
    }
}
