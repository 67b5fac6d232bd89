/* SPDX-License-Identifier: MIT */
/*
 * Doubly linked lists whose links live inside the objects they chain.
 *
 * A `struct list` is both the head and a link. The list is a ring: an empty
 * head points at itself, so adding and removing have no special cases.
 *
 * An `hlist` is for hash tables: its head is one pointer wide, and a link knows
 * the address of the pointer that points to it, so that it can be removed
 * without the head.
 *
 * Nothing here locks: the lock belongs to whoever owns the head. Debug builds
 * check the neighbours at each change and poison the links of what was removed,
 * so that a second removal or a stale walk faults at once.
 */
#ifndef VELLUM_LIST_H
#define VELLUM_LIST_H

#include <vellum/assert.h>

struct list {
    struct list *next, *prev;
};

#define LIST_INIT(name)                                                                            \
    {                                                                                              \
        &(name), &(name)                                                                           \
    }

#define LIST_POISON_NEXT ((void *)0xdead000000000100)
#define LIST_POISON_PREV ((void *)0xdead000000000200)

static inline void list_init(struct list *head)
{
    head->next = head;
    head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

/* True if `entry` is the only one on the list. */
static inline bool list_is_singular(const struct list *head)
{
    return head->next != head && head->next == head->prev;
}

static inline void list_insert_between(struct list *entry, struct list *prev, struct list *next)
{
    assert(prev->next == next && next->prev == prev);
    assert(entry != prev && entry != next);
    entry->next = next;
    entry->prev = prev;
    next->prev = entry;
    prev->next = entry;
}

/* Insert right after `head` (a head: at the front; a member: behind it). */
static inline void list_add(struct list *entry, struct list *head)
{
    list_insert_between(entry, head, head->next);
}

/* Insert right before `head` (a head: at the end). */
static inline void list_add_tail(struct list *entry, struct list *head)
{
    list_insert_between(entry, head->prev, head);
}

static inline void list_unlink(struct list *entry)
{
    assert(entry->prev->next == entry && entry->next->prev == entry);
    entry->next->prev = entry->prev;
    entry->prev->next = entry->next;
}

/* Remove; `entry` may not be looked at again until it is added or initialised. */
static inline void list_del(struct list *entry)
{
    list_unlink(entry);
#if defined(VELLUM_DEBUG) || defined(__VELLUM_HOST__)
    entry->next = LIST_POISON_NEXT;
    entry->prev = LIST_POISON_PREV;
#endif
}

/* Remove, and make `entry` an empty list: list_empty(entry) then tells that it is on none. */
static inline void list_del_init(struct list *entry)
{
    list_unlink(entry);
    list_init(entry);
}

static inline void list_move(struct list *entry, struct list *head)
{
    list_unlink(entry);
    list_add(entry, head);
}

static inline void list_move_tail(struct list *entry, struct list *head)
{
    list_unlink(entry);
    list_add_tail(entry, head);
}

/* Put all of `from` at the front of `head`, in order. => from is stale: use or init it anew. */
static inline void list_splice(struct list *from, struct list *head)
{
    struct list *first = from->next, *last = from->prev, *after = head->next;

    if (list_empty(from))
        return;
    first->prev = head;
    head->next = first;
    last->next = after;
    after->prev = last;
}

static inline void list_splice_init(struct list *from, struct list *head)
{
    list_splice(from, head);
    list_init(from);
}

/* Put all of `from` at the end of `head`, in order, and leave `from` empty. */
static inline void list_splice_tail_init(struct list *from, struct list *head)
{
    list_splice_init(from, head->prev);
}

#define list_entry(link, type, member)       container_of(link, type, member)
#define list_first_entry(head, type, member) container_of((head)->next, type, member)
#define list_last_entry(head, type, member)  container_of((head)->prev, type, member)
#define list_first_entry_or_null(head, type, member)                                               \
    ({                                                                                             \
        struct list *_head = (head);                                                               \
        struct list *_first = _head->next;                                                         \
        _first != _head ? container_of(_first, type, member) : NULL;                               \
    })
#define list_next_entry(pos, member) container_of((pos)->member.next, __typeof__(*(pos)), member)
#define list_prev_entry(pos, member) container_of((pos)->member.prev, __typeof__(*(pos)), member)

#define list_for_each(link, head)                                                                  \
    for ((link) = (head)->next; (link) != (head); (link) = (link)->next)

#define list_for_each_entry(pos, head, member)                                                     \
    for ((pos) = container_of((head)->next, __typeof__(*(pos)), member); &(pos)->member != (head); \
         (pos) = list_next_entry(pos, member))

#define list_for_each_entry_reverse(pos, head, member)                                             \
    for ((pos) = container_of((head)->prev, __typeof__(*(pos)), member); &(pos)->member != (head); \
         (pos) = list_prev_entry(pos, member))

/* The body may remove (and free) `pos`; `next` is a second cursor of the same type. */
#define list_for_each_entry_safe(pos, next, head, member)                                          \
    for ((pos) = container_of((head)->next, __typeof__(*(pos)), member),                           \
        (next) = list_next_entry(pos, member);                                                     \
         &(pos)->member != (head); (pos) = (next), (next) = list_next_entry(next, member))

struct hlist_node {
    struct hlist_node *next;
    struct hlist_node **pprev; /* what points to this node; NULL when on no list */
};

struct hlist_head {
    struct hlist_node *first;
};

#define HLIST_INIT                                                                                 \
    {                                                                                              \
        NULL                                                                                       \
    }

static inline void hlist_init(struct hlist_head *head)
{
    head->first = NULL;
}

static inline void hlist_node_init(struct hlist_node *node)
{
    node->next = NULL;
    node->pprev = NULL;
}

static inline bool hlist_empty(const struct hlist_head *head)
{
    return !head->first;
}

/* True if the node is on no list. => it was initialised, or removed with hlist_del() */
static inline bool hlist_unhashed(const struct hlist_node *node)
{
    return !node->pprev;
}

static inline void hlist_add_head(struct hlist_node *node, struct hlist_head *head)
{
    struct hlist_node *first = head->first;

    assert(!first || first->pprev == &head->first);
    node->next = first;
    node->pprev = &head->first;
    if (first)
        first->pprev = &node->next;
    head->first = node;
}

/* Remove; hlist_unhashed(node) holds afterwards. */
static inline void hlist_del(struct hlist_node *node)
{
    struct hlist_node *next = node->next;

    assert(node->pprev && *node->pprev == node);
    *node->pprev = next;
    if (next)
        next->pprev = node->pprev;
    node->pprev = NULL;
#if defined(VELLUM_DEBUG) || defined(__VELLUM_HOST__)
    node->next = LIST_POISON_NEXT;
#endif
}

#define hlist_entry(node, type, member) container_of(node, type, member)
#define hlist_entry_or_null(node, type, member)                                                    \
    ({                                                                                             \
        struct hlist_node *_node = (node);                                                         \
        _node ? container_of(_node, type, member) : NULL;                                          \
    })

#define hlist_for_each_entry(pos, head, member)                                                    \
    for ((pos) = hlist_entry_or_null((head)->first, __typeof__(*(pos)), member); (pos);            \
         (pos) = hlist_entry_or_null((pos)->member.next, __typeof__(*(pos)), member))

/* The body may remove (and free) `pos`; `next_node` is a struct hlist_node * cursor. */
#define hlist_for_each_entry_safe(pos, next_node, head, member)                                    \
    for ((pos) = hlist_entry_or_null((head)->first, __typeof__(*(pos)), member);                   \
         (pos) && ((next_node) = (pos)->member.next, true);                                        \
         (pos) = hlist_entry_or_null(next_node, __typeof__(*(pos)), member))

#endif
