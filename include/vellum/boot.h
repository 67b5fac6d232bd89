/* SPDX-License-Identifier: MIT */
/*
 * What the machine's entry code tells the kernel, and the command line.
 */
#ifndef VELLUM_BOOT_H
#define VELLUM_BOOT_H

#include <vellum/arch.h>

#define COMMAND_LINE_MAX 4096

struct boot_info {
    char command_line[COMMAND_LINE_MAX];
    paddr_t initrd_start, initrd_end; /* bytes; equal if there is none */
    u64 entry_cycles;                 /* arch_cycles() at the first instruction */
    paddr_t firmware_table;           /* ACPI RSDP or device tree */
};
extern struct boot_info boot_info;

/* The first C function on the boot processor that is not the machine's. Interrupts off. */
void kernel_main(void) __noreturn;

/* The value of the last `name=value` on the command line, as a string that lives for ever; "" for
 * a bare `name`; NULL if it is not there. What follows ` -- ` is init's, not looked at. */
const char *boot_param(const char *name);
/* The same as a number with the suffixes K, M, G; fallback if absent or not a number. */
u64 boot_param_u64(const char *name, u64 fallback);
/* argv and envp of init as Linux builds them: words behind `--` are arguments, k=v words that no
 * part of the kernel asked for are environment. Arrays end with NULL. */
void boot_init_arguments(const char *init, char **argv, char **envp, unsigned max);

/* Unpack the initrd, a sequence of newc archives (zero padding between them allowed), into the root
 * file system. Its memory becomes that of the files, or is given back. Returns 0, -EINVAL for a
 * damaged archive (what came before stays), -ENOMEM or -ENOSPC. */
int initramfs_unpack(void);

/* Memory found by the machine, before the buddy allocator: page.h. */

#endif
