/* SPDX-License-Identifier: MIT */
/*
 * Reading a flattened device tree (Devicetree Specification 0.4, chapter 5): where a machine
 * without ACPI says what it has. Nothing is copied or allocated, and nothing in the blob is
 * trusted: offsets, lengths and nesting are checked at each step, a damaged tree ends early.
 *
 * A node is named by the offset of its name in the structure block; FDT_NONE is no node.
 */
#ifndef VELLUM_FDT_H
#define VELLUM_FDT_H

#include <vellum/compiler.h>

#define FDT_NONE      (-1)
#define FDT_MAX_DEPTH 16 /* nodes nested deeper are not seen */

struct fdt {
    const u8 *structure, *strings, *reservations;
    u32 structure_size, strings_size, reservations_size;
    u32 total_size;
};

/* Check the header of a blob of which at most max bytes may be read: 0 or -EINVAL. */
int fdt_open(struct fdt *fdt, const void *blob, size_t max);

int fdt_root(const struct fdt *fdt);
int fdt_first_child(const struct fdt *fdt, int node);
int fdt_next_sibling(const struct fdt *fdt, int node);
int fdt_parent(const struct fdt *fdt, int node);
/* The node after this one in the order of the blob (FDT_NONE: the first). */
int fdt_next(const struct fdt *fdt, int node);
const char *fdt_name(const struct fdt *fdt, int node); /* "serial@10000000" */

/* The node with an absolute path; "/memory" also matches "/memory@80000000". */
int fdt_find_path(const struct fdt *fdt, const char *path);
int fdt_find_phandle(const struct fdt *fdt, u32 phandle);
/* The next node after `node` that lists `compatible` and whose status is not "disabled". */
int fdt_find_compatible(const struct fdt *fdt, int node, const char *compatible);
bool fdt_is_compatible(const struct fdt *fdt, int node, const char *compatible);
bool fdt_is_enabled(const struct fdt *fdt, int node);

/* A property's value and, if length is not NULL, its length in bytes; NULL if there is none. */
const void *fdt_property(const struct fdt *fdt, int node, const char *name, u32 *length);
/* The value if it is a string that ends within it, else NULL. */
const char *fdt_string(const struct fdt *fdt, int node, const char *name);
/* The index-th big-endian cell of a property, or fallback. */
u32 fdt_cell(const struct fdt *fdt, int node, const char *name, unsigned index, u32 fallback);
/* A number of 1 or 2 cells, as the whole property tells. */
u64 fdt_number(const struct fdt *fdt, int node, const char *name, u64 fallback);
/* A number of `cells` (0 to 2; the lowest two of more) cells at p. */
u64 fdt_cells(const void *p, unsigned cells);
/* The property of this node or of the nearest node above that has it. */
u32 fdt_inherited_cell(const struct fdt *fdt, int node, const char *name, u32 fallback);

/* The index-th range of `reg`, translated to physical addresses through the `ranges` of the nodes
 * above. Returns false if there is none or it cannot be reached. */
bool fdt_reg(const struct fdt *fdt, int node, unsigned index, u64 *address, u64 *size);
/* The index-th entry of the memory reservation block; false at the end. */
bool fdt_reservation(const struct fdt *fdt, unsigned index, u64 *address, u64 *size);

#endif
