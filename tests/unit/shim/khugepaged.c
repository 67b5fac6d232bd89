/* SPDX-License-Identifier: MIT */
/* No thread collapses pages. */
#include <vellum/khugepaged.h>

void khugepaged_enter(struct mm *mm)
{
}

void khugepaged_leave(struct mm *mm)
{
}
