/* SPDX-License-Identifier: MIT */
/*
 * What to read ahead: the arithmetic (include/vellum/read_ahead.h).
 *
 * A miss is part of a stream if it is where the last window or the last reading ended, at the start
 * of the file, or behind a row of pages at least as long as what is asked for: those somebody has
 * read, perhaps another reader of a file that several read at different places. Such a miss opens a
 * window, a few times what was asked for; each further window is up to four times the last, until the
 * device's maximum. Any other miss is random, and reads what was asked for and nothing more; it leaves
 * the window alone, so that a stream goes on after it.
 */
#include <vellum/compiler.h>
#include <vellum/read_ahead.h>

#define MISSES_MAX 100 /* faults in vain, after which a mapping is taken for a random one */

static unsigned round_up_to_power(unsigned n)
{
    unsigned power = 1;

    while (power < n && power < 1U << 31)
        power <<= 1;
    return power;
}

static unsigned first_size(unsigned wanted, unsigned max)
{
    unsigned size = round_up_to_power(wanted);

    if (size <= max / 32)
        return size * 4;
    if (size <= max / 4)
        return size * 2;
    return max;
}

static unsigned next_size(unsigned size, unsigned max)
{
    if (size < max / 16)
        return size * 4;
    return size <= max / 2 ? size * 2 : max;
}

/* The window as it is now, to be read as a whole. */
static struct read_plan read_window(const struct read_ahead *ra)
{
    return (struct read_plan){ra->start, ra->size, ra->size - ra->ahead};
}

static struct read_plan read_just(u64 index, unsigned n)
{
    return (struct read_plan){index, n, n};
}

/* A stream begins. What is asked for now is not ahead of anything. */
static struct read_plan open_window(struct read_ahead *ra, u64 index, unsigned wanted, unsigned max,
                                    unsigned size)
{
    ra->start = index;
    ra->size = min(max(size, wanted), max);
    ra->ahead = ra->size > wanted ? ra->size - wanted : ra->size;
    return read_window(ra);
}

static struct read_plan move_window(struct read_ahead *ra, u64 start, unsigned size)
{
    ra->start = start;
    ra->size = ra->ahead = size;
    return read_window(ra);
}

static unsigned most(const struct read_ahead *ra, unsigned max)
{
    return ra->advice == READ_SEQUENTIAL ? max * 2 : max;
}

struct read_plan read_ahead_miss(struct read_ahead *ra, u64 index, unsigned wanted, unsigned max,
                                 unsigned before)
{
    bool goes_on = ra->next && (index == ra->next || index + 1 == ra->next);
    struct read_plan plan;

    max = most(ra, max);
    wanted = clamp(wanted, 1U, max(max, 1U));
    if (ra->advice == READ_RANDOM || max <= 1)
        plan = read_just(index, wanted);
    else if (ra->size && index == ra->start + ra->size) /* faster than the window */
        plan = move_window(ra, index, max(next_size(ra->size, max), wanted));
    else if (index == 0 || goes_on)
        plan = open_window(ra, index, wanted, max, first_size(wanted, max));
    else if (before >= wanted)
        plan = open_window(ra, index, wanted, max, min(before + wanted, max));
    else
        plan = read_just(index, wanted);
    ra->next = index + wanted;
    return plan;
}

struct read_plan read_ahead_marked(struct read_ahead *ra, u64 index, unsigned max, unsigned after)
{
    u64 end = index + 1 + after;

    max = most(ra, max);
    if (ra->advice == READ_RANDOM || max <= 1 || after >= max)
        return read_just(index, 0);
    if (ra->size && index == ra->start + ra->size - ra->ahead)
        return move_window(ra, ra->start + ra->size, next_size(ra->size, max));
    /* The mark of another stream in the same file: go on behind what it has read. */
    return move_window(ra, end, next_size(after + 1, max));
}

struct read_plan read_ahead_fault(struct read_ahead *ra, u64 index, unsigned max, unsigned before,
                                  enum read_advice mapping)
{
    if (mapping == READ_RANDOM || ra->advice == READ_RANDOM || max <= 1)
        return read_just(index, 1);
    if (mapping == READ_SEQUENTIAL)
        return read_ahead_miss(ra, index, 1, max, max(before, 1U));
    if (ra->misses < MISSES_MAX * 10)
        ra->misses++;
    if (ra->misses > MISSES_MAX)
        return read_just(index, 1);
    /* Programs jump about in what they map, but not far: read on both sides. */
    ra->start = index > max / 2 ? index - max / 2 : 0;
    ra->size = max;
    ra->ahead = max / 4;
    return read_window(ra);
}

void read_ahead_fault_hit(struct read_ahead *ra)
{
    if (ra->misses)
        ra->misses--;
}
