/* SPDX-License-Identifier: MIT */
/* Text for /proc, which nobody reads here. */
#include <vellum/seq_file.h>

void seq_puts(struct seq_file *m, const char *s)
{
}

void seq_printf(struct seq_file *m, const char *format, ...)
{
}

void seq_putc(struct seq_file *m, char c)
{
}

void seq_escape(struct seq_file *m, const char *s, const char *special)
{
}
