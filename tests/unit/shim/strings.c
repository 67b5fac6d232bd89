/* SPDX-License-Identifier: MIT */
/* Our string and format functions; those that the C library has keep its version. */
#include "rename.h"

#include "lib/format.c"
#undef WORD
#include "lib/string.c"
