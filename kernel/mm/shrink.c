/* SPDX-License-Identifier: MIT */
/*
 * Other rooms' caches that can give memory back: they are worn down as the lists of pages are, a share
 * of each at every pass, so that neither lives at the other's expense.
 */
#include "scan.h"
#include <vellum/alloc.h>
#include <vellum/sync.h>
#include <vellum/vmstat.h>

static DEFINE_MUTEX(lock);
static struct list shrinkers = LIST_INIT(shrinkers); /* [lock] */

void shrinker_register(struct shrinker *s)
{
    mutex_lock(&lock);
    list_add_tail(&s->link, &shrinkers);
    mutex_unlock(&lock);
}

/* One at a time: who comes meanwhile takes pages. And a shrinker that allocates, and so comes here
 * again, must not wait for itself. */
u64 shrink_caches(unsigned priority)
{
    struct shrinker *s;
    u64 freed = 0;

    if (!mutex_trylock(&lock))
        return 0;
    list_for_each_entry(s, &shrinkers, link) {
        u64 n = shrinker_share(s->count(), priority, vfs_cache_pressure, &s->deferred);

        if (!n)
            continue;
        freed += s->scan(n);
        vm_events(slabs_scanned, n);
    }
    mutex_unlock(&lock);
    return freed;
}

u64 shrink_all(void)
{
    struct shrinker *s;
    u64 freed = 0;

    mutex_lock(&lock);
    list_for_each_entry(s, &shrinkers, link)
        freed += s->scan(s->count());
    mutex_unlock(&lock);
    return freed;
}
