/* SPDX-License-Identifier: MIT */
/*
 * /sys/kernel/mm/transparent_hugepage: which memory gets huge pages (docs/huge_pages.md).
 */
#include "internal.h"
#include <vellum/error.h>
#include <vellum/khugepaged.h>
#include <vellum/string.h>

/* A file with one word of several, the one that holds in brackets. */
struct choice {
    int *value;               /* index into words */
    const char *const *words; /* in the order of the values; ends with NULL */
    unsigned order[5];        /* in which they are shown */
};

static void show_choice(struct seq_file *m, void *data)
{
    const struct choice *c = data;

    for (unsigned i = 0; c->words[i]; i++) {
        const char *word = c->words[c->order[i]];

        seq_printf(m, c->order[i] == READ_ONCE(*c->value) ? "%s[%s]" : "%s%s", i ? " " : "", word);
    }
    seq_putc(m, '\n');
}

static int store_choice(void *data, char *text, size_t n)
{
    const struct choice *c = data;

    if (n && text[n - 1] == '\n')
        text[--n] = '\0';
    for (unsigned i = 0; c->words[i]; i++)
        if (!strcmp(text, c->words[i])) {
            WRITE_ONCE(*c->value, i);
            khugepaged_kick(); /* perhaps there is something for it to do now */
            return 0;
        }
    return -EINVAL;
}

static const char *const modes[] = {"never", "madvise", "always", NULL};

static struct choice enabled = {
    &huge_settings.mode, modes, {HUGE_ALWAYS, HUGE_MADVISE, HUGE_NEVER}};

static const char *const defrags[] = {"never", "madvise", "defer+madvise", "defer", "always", NULL};

static struct choice defrag = {&huge_settings.defrag,
                               defrags,
                               {HUGE_DEFRAG_ALWAYS, HUGE_DEFRAG_DEFER, HUGE_DEFRAG_DEFER_MADVISE,
                                HUGE_DEFRAG_MADVISE, HUGE_DEFRAG_NEVER}};

/* ---- khugepaged ------------------------------------------------------------------------------------ */

static void show_number(struct seq_file *m, void *data)
{
    seq_printf(m, "%u\n", READ_ONCE(*(unsigned *)data));
}

/* A number of digits alone, up to `most`. 0 or -EINVAL */
static int store_number(unsigned *value, u64 least, u64 most, const char *text, size_t n)
{
    u64 number = 0;

    if (n && text[n - 1] == '\n')
        n--;
    if (!n)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9' || number > most)
            return -EINVAL;
        number = number * 10 + text[i] - '0';
    }
    if (number < least || number > most)
        return -EINVAL;
    WRITE_ONCE(*value, number);
    return 0;
}

static int store_switch(void *data, char *text, size_t n)
{
    return store_number(data, 0, 1, text, n);
}

static int store_share(void *data, char *text, size_t n)
{
    return store_number(data, 0, HUGE_PAGES - 1, text, n);
}

static int store_count(void *data, char *text, size_t n)
{
    return store_number(data, 1, ~0U, text, n);
}

static int store_sleep(void *data, char *text, size_t n)
{
    int error = store_number(data, 0, ~0U, text, n);

    if (!error)
        khugepaged_kick();
    return error;
}

static __init void init_khugepaged(struct sysfs_node *parent)
{
    struct sysfs_node *dir = sysfs_directory(parent, "khugepaged");
    struct khugepaged_settings *s = &khugepaged_settings;

    sysfs_knob(dir, "defrag", show_number, store_switch, &s->defrag);
    sysfs_knob(dir, "pages_to_scan", show_number, store_count, &s->pages_to_scan);
    sysfs_knob(dir, "scan_sleep_millisecs", show_number, store_sleep, &s->scan_sleep_millisecs);
    sysfs_knob(dir, "alloc_sleep_millisecs", show_number, store_sleep, &s->alloc_sleep_millisecs);
    sysfs_knob(dir, "max_ptes_none", show_number, store_share, &s->limits.none);
    sysfs_knob(dir, "max_ptes_swap", show_number, store_share, &s->limits.swapped);
    sysfs_knob(dir, "max_ptes_shared", show_number, store_share, &s->limits.shared);
    sysfs_file(dir, "pages_collapsed", show_number, &khugepaged_counts.pages_collapsed);
    sysfs_file(dir, "full_scans", show_number, &khugepaged_counts.full_scans);
}

void __init sysfs_huge_init(void)
{
    struct sysfs_node *dir = sysfs_directory(NULL, "kernel/mm/transparent_hugepage");

    if (!dir)
        return;
    sysfs_knob(dir, "enabled", show_choice, store_choice, &enabled);
    sysfs_knob(dir, "defrag", show_choice, store_choice, &defrag);
    sysfs_knob(dir, "use_zero_page", show_number, store_switch, &huge_settings.use_zero_page);
    sysfs_text(dir, "hpage_pmd_size", "%lu", HUGE_SIZE);
    init_khugepaged(dir);
}
