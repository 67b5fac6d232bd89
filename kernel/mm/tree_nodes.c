/* SPDX-License-Identifier: MIT */
/*
 * The memory that lib/'s trees ask for: an object cache for each kind of node.
 * They are asked under spinlocks and may not sleep, so they draw on the reserve.
 */
#include <vellum/alloc.h>
#include <vellum/id_map.h>
#include <vellum/radix_tree.h>

static struct object_cache *radix_nodes, *id_nodes;

void tree_nodes_init(void)
{
    radix_nodes = object_cache_create("radix_node", sizeof(struct radix_node), 0);
    id_nodes = object_cache_create("id_node", sizeof(struct id_node), 0);
    if (!radix_nodes || !id_nodes)
        panic("no memory for the caches of tree nodes");
}

struct radix_node *radix_node_alloc(void)
{
    return object_alloc(radix_nodes, ALLOC_ATOMIC);
}

void radix_node_free(struct radix_node *node)
{
    object_free(radix_nodes, node);
}

struct id_node *id_node_alloc(void)
{
    return object_alloc(id_nodes, ALLOC_ATOMIC);
}

void id_node_free(struct id_node *node)
{
    object_free(id_nodes, node);
}
