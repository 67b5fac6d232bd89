/* SPDX-License-Identifier: MIT */
/*
 * Handing out numbers (include/vellum/id_map.h).
 *
 *     height 2:  root  full, used: 64 bits, a bit for every child
 *                  +-- child  full, used: a bit for every word
 *                        +-- word  a bit for every number
 *
 * A subtree that is not there has all its numbers free. A child is full if its
 * `full` is all ones, and in use if its `used` is not zero; empty nodes are
 * freed at once. Height 0 is a single word in the map itself.
 */
#include <vellum/error.h>
#include <vellum/id_map.h>

#define BITS   6
#define SLOTS  64U
#define LEVELS 6 /* nodes above the words, and one more, for 31 bits */

/* How far to shift a number to get its slot in a node `level` levels above the words. */
static inline unsigned shift_of(unsigned level)
{
    return level * BITS;
}

static inline unsigned slot_of(unsigned id, unsigned level)
{
    return (id >> shift_of(level)) % SLOTS;
}

/* The numbers in [0, capacity) are reached by the tree as it is. */
static inline u64 capacity(const struct id_map *map)
{
    return 1UL << shift_of(map->height + 1);
}

static int grow(struct id_map *map)
{
    struct id_node *node;

    if (map->height && !map->root->used) { /* empty: it serves at any level */
        map->height++;
        return 0;
    }
    node = id_node_alloc();
    if (!node)
        return -ENOMEM;
    *node = (struct id_node){0};
    if (map->height == 0) {
        node->words[0] = map->word;
        node->used = map->word != 0;
        node->full = map->word == ~0UL;
    } else {
        node->children[0] = map->root;
        node->used = map->root->used != 0;
        node->full = map->root->full == ~0UL;
    }
    map->root = node;
    map->height++;
    return 0;
}

/* Where to look in a word or mask: the bits that lead to a number in use, or to a free one. */
static inline u64 candidates(const struct id_map *map, const struct id_node *const *path, u64 id,
                             unsigned level, bool used)
{
    u64 word;

    if (level > 0)
        return used ? path[level]->used : ~path[level]->full;
    word = map->height ? path[1]->words[slot_of(id, 1)] : map->word;
    return used ? word : ~word;
}

/*
 * The lowest number >= from that is in use, or that is free; capacity() if there is none. Follows
 * the lowest candidate at or after the slots of `id`; where a node has none left, it goes on with
 * the slot after that node.
 */
static u64 seek(const struct id_map *map, unsigned from, bool used)
{
    const struct id_node *path[LEVELS];
    unsigned level = map->height;
    u64 id = from;

    if (id >= capacity(map))
        return capacity(map);
    path[level] = map->root;
    for (;;) {
        unsigned slot = slot_of(id, level);
        u64 bits = candidates(map, path, id, level, used) & (~0UL << slot);

        if (!bits) {
            id = ((id >> shift_of(level + 1)) + 1) << shift_of(level + 1);
            do {
                if (++level > map->height)
                    return capacity(map);
            } while (slot_of(id, level) == 0);
            continue;
        }
        if ((unsigned)__builtin_ctzl(bits) != slot) {
            id = (id >> shift_of(level + 1)) << shift_of(level + 1);
            id |= (u64)__builtin_ctzl(bits) << shift_of(level);
        }
        if (level == 0)
            return id;
        level--;
        if (level > 0) {
            path[level] = path[level + 1]->children[slot_of(id, level + 1)];
            if (!path[level])
                return id; /* no node: all free */
        }
    }
}

/* Free the nodes of a path from `level` upwards as far as nothing in them is in use. */
static void prune(struct id_map *map, struct id_node *const *path, unsigned id, unsigned level)
{
    for (; level <= map->height && !path[level]->used; level++) {
        struct id_node *node = path[level];

        if (level < map->height) {
            path[level + 1]->children[slot_of(id, level + 1)] = NULL;
            path[level + 1]->used &= ~(1UL << slot_of(id, level + 1));
        } else {
            *map = (struct id_map){.next = map->next};
        }
        id_node_free(node);
    }
}

/* Mark a number as handed out. => it is free and within the capacity */
static int take(struct id_map *map, unsigned id)
{
    struct id_node *path[LEVELS];
    u64 *word;

    if (map->height == 0) {
        map->word |= 1UL << id;
        return 0;
    }
    path[map->height] = map->root;
    for (unsigned level = map->height; level > 1; level--) {
        struct id_node **slot = &path[level]->children[slot_of(id, level)];

        if (!*slot) {
            *slot = id_node_alloc();
            if (!*slot) {
                prune(map, path, id, level);
                return -ENOMEM;
            }
            **slot = (struct id_node){0};
        }
        path[level - 1] = *slot;
    }
    word = &path[1]->words[slot_of(id, 1)];
    *word |= 1UL << slot_of(id, 0);
    for (unsigned level = 1; level <= map->height; level++)
        path[level]->used |= 1UL << slot_of(id, level);
    if (*word != ~0UL)
        return 0;
    for (unsigned level = 1; level <= map->height; level++) {
        path[level]->full |= 1UL << slot_of(id, level);
        if (path[level]->full != ~0UL)
            break;
    }
    return 0;
}

static int take_growing(struct id_map *map, u64 id)
{
    int error;

    while (id >= capacity(map)) {
        error = grow(map);
        if (error)
            return error;
    }
    return take(map, id);
}

int id_map_alloc(struct id_map *map, unsigned min, unsigned max, bool cyclic)
{
    unsigned from = cyclic && map->next > min && map->next <= max ? map->next : min;
    u64 id;
    int error;

    assert(max <= ID_MAX);
    id = max(seek(map, from, false), (u64)from);
    if (id > max && from > min)
        id = seek(map, min, false);
    if (id > max)
        return -ENOSPC;
    error = take_growing(map, id);
    if (error)
        return error;
    map->next = id + 1;
    return id;
}

int id_map_take(struct id_map *map, unsigned id)
{
    int error = id_map_test(map, id) ? -ENOSPC : take_growing(map, id);

    return error ? error : (int)id;
}

void id_map_free(struct id_map *map, unsigned id)
{
    struct id_node *path[LEVELS];
    u64 *word;

    assert(id_map_test(map, id));
    if (map->height == 0) {
        map->word &= ~(1UL << id);
        return;
    }
    path[map->height] = map->root;
    for (unsigned level = map->height; level > 1; level--)
        path[level - 1] = path[level]->children[slot_of(id, level)];
    word = &path[1]->words[slot_of(id, 1)];
    *word &= ~(1UL << slot_of(id, 0));
    for (unsigned level = 1; level <= map->height; level++)
        path[level]->full &= ~(1UL << slot_of(id, level));
    if (*word)
        return;
    path[1]->used &= ~(1UL << slot_of(id, 1));
    prune(map, path, id, 1);
}

bool id_map_test(const struct id_map *map, unsigned id)
{
    const struct id_node *node = map->root;

    if (id >= capacity(map))
        return false;
    if (map->height == 0)
        return (map->word >> id) & 1;
    for (unsigned level = map->height; level > 1 && node; level--)
        node = node->children[slot_of(id, level)];
    return node && (node->words[slot_of(id, 1)] >> slot_of(id, 0)) & 1;
}

int id_map_next_used(const struct id_map *map, unsigned from)
{
    u64 id = seek(map, from, true);

    return id < capacity(map) ? (int)id : -1;
}
