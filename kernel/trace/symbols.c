/* SPDX-License-Identifier: MIT */
/*
 * The table of function symbols and its reader.
 *
 *     symbol_table:  u64 base                 address of the first symbol
 *                    u32 count
 *                    u32 offset[count]        from base, ascending
 *                    char names[]             as many strings, in the same order
 *
 * tools/mksymbols.sh makes it from the linked image. An empty name marks where
 * a run of code ends and data begins. Which symbol an address belongs to is a
 * binary search; its name is found by stepping over those before, since only a
 * machine in trouble asks and an index would cost memory in all others.
 */
#include <vellum/string.h>
#include <vellum/symbols.h>

struct symbol_header {
    u64 base;
    u32 count;
    u32 offset[];
};

extern const unsigned char symbol_table[] __aligned(8);

static const struct symbol_header *header(void)
{
    return (const struct symbol_header *)symbol_table;
}

static const char *name_of(unsigned index)
{
    const char *name = (const char *)&header()->offset[header()->count];

    while (index--)
        name += strlen(name) + 1;
    return name;
}

const char *symbol_lookup(vaddr_t address, u64 *offset)
{
    const struct symbol_header *table = header();
    unsigned low = 0, high = table->count; /* the symbol is in [low, high) */
    u64 distance = address - table->base;
    const char *name;

    if (address < table->base || !table->count)
        return NULL;
    while (high - low > 1) {
        unsigned middle = low + (high - low) / 2;

        if (table->offset[middle] <= distance)
            low = middle;
        else
            high = middle;
    }
    name = name_of(low);
    if (!*name)
        return NULL;
    *offset = distance - table->offset[low];
    return name;
}
