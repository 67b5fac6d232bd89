/* SPDX-License-Identifier: MIT */
/*
 * Our own firmware, for `-bios none`: what there must be in machine mode so that the kernel, which
 * knows only supervisor mode and the SBI, finds what it finds under OpenSBI.
 */
#ifndef RISCV64_FIRMWARE_H
#define RISCV64_FIRMWARE_H

#define MAX_HARTS       64 /* hart ids 0 to 63; others stay parked */
#define HART_STACK_SIZE 2048
#define FIRMWARE_SIZE   0x40000 /* a power of two: one PMP entry protects it */

/* mstatus, mie, mip */
#define MSTATUS_MPP_S 0x00800
#define MSTATUS_MPP   0x01800
#define MIE_MSIE      0x008
#define MIE_MTIE      0x080

#ifndef __ASSEMBLY__

#include <vellum/compiler.h>

/* What a trap saves: the registers that C functions may change, in the order entry.S stores them. */
struct registers {
    u64 ra, t[7], a[8];
};

enum hart_state { HART_STARTED, HART_STOPPED, HART_START_PENDING }; /* as SBI's HSM numbers them */

struct hart {
    volatile u32 *software; /* [i] MSIP: 1 interrupts it; NULL: no such hart */
    volatile u64 *compare;  /* [i] MTIMECMP */
    enum hart_state state;  /* [a] */
    u64 start, argument;    /* written by who sets HART_START_PENDING */
    u32 ipi;                /* [a] a software interrupt for supervisor mode is due */
    u32 fences_asked;       /* [a] ticket of the newest request */
    u32 fences_done;        /* [a] all requests up to this ticket are done */
};
/* [i] set by the first hart before the others look  [a] atomic */

extern struct hart harts[MAX_HARTS];

/* entry.S */
void enter_supervisor(u64 hart, u64 argument, u64 start) __noreturn;
void park(void) __noreturn;

/* main.c */
void firmware_main(u64 hart, const void *blob) __noreturn;
void firmware_wait(u64 hart) __noreturn;
void firmware_trap(struct registers *r, u64 cause, u64 hart);
void firmware_reset(u64 type);

/* sbi.c */
void sbi_handle(struct registers *r, u64 hart);
void serve_fences(struct hart *h);

#endif
#endif
