/* SPDX-License-Identifier: MIT */
/*
 * /sys/kernel/mm/transparent_hugepage: which memory gets huge pages (docs/huge_pages.md).
 */
#include "internal.h"
#include <vellum/error.h>
#include <vellum/huge.h>
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

void __init sysfs_huge_init(void)
{
    struct sysfs_node *dir = sysfs_directory(NULL, "kernel/mm/transparent_hugepage");

    if (!dir)
        return;
    sysfs_knob(dir, "enabled", show_choice, store_choice, &enabled);
    sysfs_knob(dir, "defrag", show_choice, store_choice, &defrag);
    sysfs_text(dir, "hpage_pmd_size", "%lu", HUGE_SIZE);
}
