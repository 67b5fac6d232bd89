/* SPDX-License-Identifier: MIT */
/*
 * Other rooms' caches that can give memory back.
 */
#include <vellum/alloc.h>
#include <vellum/sync.h>

static DEFINE_MUTEX(lock);
static struct list shrinkers = LIST_INIT(shrinkers); /* [lock] */

void shrinker_register(struct shrinker *s)
{
    mutex_lock(&lock);
    list_add_tail(&s->link, &shrinkers);
    mutex_unlock(&lock);
}

u64 shrink_all(void)
{
    struct shrinker *s;
    u64 freed = 0;

    /* A shrinker that allocates comes here again: it must not wait for itself. */
    if (!mutex_trylock(&lock))
        return 0;
    list_for_each_entry(s, &shrinkers, link)
        freed += s->scan(s->count());
    mutex_unlock(&lock);
    return freed;
}
