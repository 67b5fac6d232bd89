/* SPDX-License-Identifier: MIT */
/*
 * Reading a flattened device tree.
 *
 * The structure block is a sequence of 32-bit big-endian tokens:
 *
 *     BEGIN_NODE name        the node's properties, then its children
 *         PROP length, offset of the name in the strings block, value
 *         ...
 *         BEGIN_NODE ... END_NODE
 *     END_NODE
 *     END
 *
 * There is no index: every question is a walk from the node, or from the start. The tree is some
 * kilobytes and is asked a few dozen times while starting.
 */
#include <vellum/error.h>
#include <vellum/fdt.h>
#include <vellum/string.h>

enum {
    FDT_MAGIC = 0xd00dfeed,
    FDT_HEADER_SIZE = 40,
    FDT_VERSION_COMPATIBLE = 17,
    FDT_BEGIN_NODE = 1,
    FDT_END_NODE = 2,
    FDT_PROP = 3,
    FDT_NOP = 4,
    FDT_END = 9,
};

static u32 read_be32(const void *p)
{
    const u8 *b = p;

    return (u32)b[0] << 24 | (u32)b[1] << 16 | (u32)b[2] << 8 | b[3];
}

u64 fdt_cells(const void *p, unsigned cells)
{
    u64 value = 0;

    for (unsigned i = 0; i < cells; i++)
        value = value << 32 | read_be32((const u8 *)p + 4 * i);
    return value;
}

static bool within(u32 offset, u32 size, u32 total)
{
    return offset <= total && size <= total - offset;
}

int fdt_open(struct fdt *fdt, const void *blob, size_t max)
{
    const u8 *header = blob;
    u32 structure, strings, reservations;

    if (max < FDT_HEADER_SIZE || read_be32(header) != FDT_MAGIC)
        return -EINVAL;
    fdt->total_size = read_be32(header + 4);
    structure = read_be32(header + 8);
    strings = read_be32(header + 12);
    reservations = read_be32(header + 16);
    fdt->strings_size = read_be32(header + 32);
    fdt->structure_size = read_be32(header + 36);
    if (fdt->total_size > max || fdt->total_size > INT32_MAX ||
        read_be32(header + 24) > FDT_VERSION_COMPATIBLE ||
        !within(structure, fdt->structure_size, fdt->total_size) ||
        !within(strings, fdt->strings_size, fdt->total_size) || reservations > fdt->total_size)
        return -EINVAL;
    fdt->structure = header + structure;
    fdt->strings = header + strings;
    while (fdt->strings_size && fdt->strings[fdt->strings_size - 1] != 0)
        fdt->strings_size--; /* so every string in the block has an end */
    fdt->reservations = header + reservations;
    fdt->reservations_size = fdt->total_size - reservations;
    return 0;
}

bool fdt_reservation(const struct fdt *fdt, unsigned index, u64 *address, u64 *size)
{
    for (u64 at = 0; at + 16 <= fdt->reservations_size; at += 16) {
        *address = fdt_cells(fdt->reservations + at, 2);
        *size = fdt_cells(fdt->reservations + at + 8, 2);
        if (*address == 0 && *size == 0)
            return false;
        if (index-- == 0)
            return true;
    }
    return false;
}

/* ---- walking ------------------------------------------------------------------------------------ */

/* The token at *at; *at moves behind it. What cannot be read is the end. */
static u32 next_token(const struct fdt *fdt, u32 *at)
{
    u32 token;

    do {
        if (!within(*at, 4, fdt->structure_size))
            return FDT_END;
        token = read_be32(fdt->structure + *at);
        *at += 4;
    } while (token == FDT_NOP);
    return token;
}

/* Length of the string at `offset` of a block, or -1 if it does not end there. */
static int string_length(const u8 *block, u32 size, u32 offset)
{
    const u8 *end;

    if (offset >= size)
        return -1;
    end = memchr(block + offset, 0, size - offset);
    return end ? (int)(end - (block + offset)) : -1;
}

struct property {
    const char *name;
    const u8 *value;
    u32 length;
};

/* The property behind a PROP token at *at; *at moves behind it. */
static bool read_property(const struct fdt *fdt, u32 *at, struct property *p)
{
    u32 name;

    if (!within(*at, 8, fdt->structure_size))
        return false;
    p->length = read_be32(fdt->structure + *at);
    name = read_be32(fdt->structure + *at + 4);
    p->value = fdt->structure + *at + 8;
    if (!within(*at + 8, p->length, fdt->structure_size) || name >= fdt->strings_size)
        return false;
    p->name = (const char *)fdt->strings + name;
    *at += 8 + ALIGN_UP(p->length, 4u);
    return true;
}

/* Move behind a node's name. */
static bool skip_name(const struct fdt *fdt, u32 *at)
{
    int length = string_length(fdt->structure, fdt->structure_size, *at);

    if (length < 0)
        return false;
    *at += ALIGN_UP((u32)length + 1, 4u);
    return true;
}

/* From within a node, past its properties: the token that follows (BEGIN_NODE, END_NODE, END). */
static u32 skip_properties(const struct fdt *fdt, u32 *at)
{
    struct property p;
    u32 token;

    while ((token = next_token(fdt, at)) == FDT_PROP)
        if (!read_property(fdt, at, &p))
            return FDT_END;
    return token;
}

/* The next node in the order of the blob; *depth changes as we go down and up. */
static int next_node(const struct fdt *fdt, int node, int *depth)
{
    u32 at = (u32)node;

    if (!skip_name(fdt, &at))
        return FDT_NONE;
    for (;;) {
        switch (skip_properties(fdt, &at)) {
        case FDT_BEGIN_NODE:
            ++*depth;
            return string_length(fdt->structure, fdt->structure_size, at) < 0 ? FDT_NONE : (int)at;
        case FDT_END_NODE:
            --*depth;
            break;
        default:
            return FDT_NONE;
        }
    }
}

int fdt_root(const struct fdt *fdt)
{
    u32 at = 0;

    if (next_token(fdt, &at) != FDT_BEGIN_NODE ||
        string_length(fdt->structure, fdt->structure_size, at) < 0)
        return FDT_NONE;
    return (int)at;
}

int fdt_next(const struct fdt *fdt, int node)
{
    int depth = 0;

    return node == FDT_NONE ? fdt_root(fdt) : next_node(fdt, node, &depth);
}

int fdt_first_child(const struct fdt *fdt, int node)
{
    int depth = 0, next = node == FDT_NONE ? FDT_NONE : next_node(fdt, node, &depth);

    return depth == 1 ? next : FDT_NONE;
}

int fdt_next_sibling(const struct fdt *fdt, int node)
{
    int depth = 0;

    do
        node = node == FDT_NONE ? FDT_NONE : next_node(fdt, node, &depth);
    while (node != FDT_NONE && depth > 0);
    return depth == 0 ? node : FDT_NONE;
}

int fdt_parent(const struct fdt *fdt, int node)
{
    int path[FDT_MAX_DEPTH], depth = 0, at = fdt_root(fdt);

    while (at != FDT_NONE && at < node) {
        if (depth < 0)
            return FDT_NONE;
        if (depth < FDT_MAX_DEPTH)
            path[depth] = at;
        at = next_node(fdt, at, &depth);
    }
    return at == node && depth > 0 && depth <= FDT_MAX_DEPTH ? path[depth - 1] : FDT_NONE;
}

const char *fdt_name(const struct fdt *fdt, int node)
{
    return (const char *)fdt->structure + node;
}

/* ---- properties ----------------------------------------------------------------------------------- */

const void *fdt_property(const struct fdt *fdt, int node, const char *name, u32 *length)
{
    u32 at = (u32)node;
    struct property p;

    if (node == FDT_NONE || !skip_name(fdt, &at))
        return NULL;
    while (next_token(fdt, &at) == FDT_PROP && read_property(fdt, &at, &p))
        if (strcmp(p.name, name) == 0) {
            if (length)
                *length = p.length;
            return p.value;
        }
    return NULL;
}

const char *fdt_string(const struct fdt *fdt, int node, const char *name)
{
    u32 length;
    const u8 *value = fdt_property(fdt, node, name, &length);

    return value && string_length(value, length, 0) >= 0 ? (const char *)value : NULL;
}

u32 fdt_cell(const struct fdt *fdt, int node, const char *name, unsigned index, u32 fallback)
{
    u32 length;
    const u8 *value = fdt_property(fdt, node, name, &length);

    return value && index < length / 4 ? read_be32(value + 4 * index) : fallback;
}

u64 fdt_number(const struct fdt *fdt, int node, const char *name, u64 fallback)
{
    u32 length;
    const u8 *value = fdt_property(fdt, node, name, &length);

    return value && (length == 4 || length == 8) ? fdt_cells(value, length / 4) : fallback;
}

u32 fdt_inherited_cell(const struct fdt *fdt, int node, const char *name, u32 fallback)
{
    while (node != FDT_NONE && !fdt_property(fdt, node, name, NULL))
        node = fdt_parent(fdt, node);
    return fdt_cell(fdt, node, name, 0, fallback);
}

bool fdt_is_compatible(const struct fdt *fdt, int node, const char *compatible)
{
    u32 length, at = 0;
    const u8 *list = fdt_property(fdt, node, "compatible", &length);
    int n;

    while (list && (n = string_length(list, length, at)) >= 0) {
        if (strcmp((const char *)list + at, compatible) == 0)
            return true;
        at += (u32)n + 1;
    }
    return false;
}

bool fdt_is_enabled(const struct fdt *fdt, int node)
{
    const char *status = fdt_string(fdt, node, "status");

    return !status || strcmp(status, "okay") == 0 || strcmp(status, "ok") == 0;
}

/* ---- finding --------------------------------------------------------------------------------------- */

int fdt_find_compatible(const struct fdt *fdt, int node, const char *compatible)
{
    do
        node = fdt_next(fdt, node);
    while (node != FDT_NONE &&
           !(fdt_is_compatible(fdt, node, compatible) && fdt_is_enabled(fdt, node)));
    return node;
}

int fdt_find_phandle(const struct fdt *fdt, u32 phandle)
{
    int node = fdt_root(fdt);

    while (node != FDT_NONE && fdt_cell(fdt, node, "phandle", 0, 0) != phandle)
        node = fdt_next(fdt, node);
    return node;
}

static bool name_matches(const char *name, const char *wanted, size_t length)
{
    return strncmp(name, wanted, length) == 0 && (name[length] == 0 || name[length] == '@');
}

int fdt_find_path(const struct fdt *fdt, const char *path)
{
    int node = fdt_root(fdt);

    while (node != FDT_NONE && *path == '/' && path[1]) {
        const char *end = strchr(++path, '/');
        size_t length = end ? (size_t)(end - path) : strlen(path);

        for (node = fdt_first_child(fdt, node); node != FDT_NONE;
             node = fdt_next_sibling(fdt, node))
            if (name_matches(fdt_name(fdt, node), path, length))
                break;
        path += length;
    }
    return node;
}

/* ---- addresses ---------------------------------------------------------------------------------------- */

/* Take an address of bus `node` to the address space of the bus above it. An empty `ranges` is the
 * identity; none at all means that the processor cannot get there. */
static bool translate_up(const struct fdt *fdt, int node, int parent, u64 *address)
{
    u32 child_cells = fdt_cell(fdt, node, "#address-cells", 0, 2);
    u32 size_cells = fdt_cell(fdt, node, "#size-cells", 0, 1);
    u32 parent_cells = fdt_cell(fdt, parent, "#address-cells", 0, 2);
    u32 length, step = 4 * (child_cells + parent_cells + size_cells);
    const u8 *ranges = fdt_property(fdt, node, "ranges", &length);

    if (!ranges || child_cells > 3 || size_cells > 2 || parent_cells > 3)
        return false;
    if (length == 0)
        return true;
    for (u32 at = 0; step && within(at, step, length); at += step) {
        u64 from = fdt_cells(ranges + at, child_cells);
        u64 to = fdt_cells(ranges + at + 4 * child_cells, parent_cells);
        u64 size = fdt_cells(ranges + at + 4 * (child_cells + parent_cells), size_cells);

        if (*address >= from && *address - from < size) {
            *address = to + (*address - from);
            return true;
        }
    }
    return false;
}

bool fdt_reg(const struct fdt *fdt, int node, unsigned index, u64 *address, u64 *size)
{
    int bus = fdt_parent(fdt, node);
    u32 address_cells = fdt_cell(fdt, bus, "#address-cells", 0, 2);
    u32 size_cells = fdt_cell(fdt, bus, "#size-cells", 0, 1);
    u32 length, step = 4 * (address_cells + size_cells);
    const u8 *reg = fdt_property(fdt, node, "reg", &length);

    if (!reg || address_cells > 3 || size_cells > 2 || step == 0 || index >= length / step)
        return false;
    *address = fdt_cells(reg + index * step, address_cells);
    *size = fdt_cells(reg + index * step + 4 * address_cells, size_cells);
    for (int above; (above = fdt_parent(fdt, bus)) != FDT_NONE; bus = above)
        if (!translate_up(fdt, bus, above, address))
            return false;
    return true;
}
