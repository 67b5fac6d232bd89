/* SPDX-License-Identifier: MIT */
/* There is no swap: for tests of what only asks about it. */
#include <vellum/error.h>
#include <vellum/swap.h>

struct page *swap_read(swap_entry_t entry, bool killable, struct vm_fault *fault)
{
    return err_ptr(-ENOENT);
}

void swap_free(swap_entry_t entry)
{
}

void swap_free_many(const swap_entry_t *entries, unsigned n)
{
}

bool swap_cache_release(struct page *page)
{
    return false;
}
