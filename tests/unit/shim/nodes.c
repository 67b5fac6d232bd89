/* SPDX-License-Identifier: MIT */
/* Filled with junk: an allocator promises nothing about the contents. */
#include "nodes.h"
#include "unit.h"
#include <vellum/id_map.h>
#include <vellum/radix_tree.h>
#include <vellum/string.h>

uint64_t nodes_in_use, nodes_fail_one_in;

static void *node_alloc(size_t size)
{
    void *node;

    if (nodes_fail_one_in && unit_random_below(nodes_fail_one_in) == 0)
        return NULL;
    node = malloc(size);
    memset(node, 0xa5, size);
    nodes_in_use++;
    return node;
}

static void node_free(void *node)
{
    nodes_in_use--;
    free(node);
}

struct radix_node *radix_node_alloc(void)
{
    return node_alloc(sizeof(struct radix_node));
}

void radix_node_free(struct radix_node *node)
{
    node_free(node);
}

struct id_node *id_node_alloc(void)
{
    return node_alloc(sizeof(struct id_node));
}

void id_node_free(struct id_node *node)
{
    node_free(node);
}
