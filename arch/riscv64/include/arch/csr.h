/* SPDX-License-Identifier: MIT */
/*
 * Control and status registers: their bits, by the names of the privileged specification
 * (version 1.12), for C and assembly.
 */
#ifndef VELLUM_ARCH_CSR_H
#define VELLUM_ARCH_CSR_H

/* sstatus */
#define SR_SIE        0x00000002 /* interrupts on */
#define SR_SPIE       0x00000020 /* what SIE was before the trap */
#define SR_SPP        0x00000100 /* the trap came from the kernel */
#define SR_FS         0x00006000 /* state of the floating-point registers */
#define SR_FS_INITIAL 0x00002000
#define SR_FS_CLEAN   0x00004000
#define SR_FS_DIRTY   0x00006000
#define SR_SUM        0x00040000 /* the kernel may touch user pages */

/* sie, sip */
#define SIE_SSIE 0x002
#define SIE_STIE 0x020
#define SIE_SEIE 0x200

/* scause */
#define CAUSE_INTERRUPT        (1UL << 63)
#define INTERRUPT_SOFTWARE     1
#define INTERRUPT_TIMER        5
#define INTERRUPT_EXTERNAL     9
#define CAUSE_FETCH_MISALIGNED 0
#define CAUSE_FETCH_ACCESS     1
#define CAUSE_ILLEGAL          2
#define CAUSE_BREAKPOINT       3
#define CAUSE_LOAD_MISALIGNED  4
#define CAUSE_LOAD_ACCESS      5
#define CAUSE_STORE_MISALIGNED 6
#define CAUSE_STORE_ACCESS     7
#define CAUSE_USER_CALL        8
#define CAUSE_SUPERVISOR_CALL  9
#define CAUSE_FETCH_PAGE       12
#define CAUSE_LOAD_PAGE        13
#define CAUSE_STORE_PAGE       15

/* satp */
#define SATP_SV39 (8UL << 60)

#ifndef __ASSEMBLY__

#define csr_read(name)                                                                             \
    ({                                                                                             \
        unsigned long _value;                                                                      \
        __asm__ volatile("csrr %0, " #name : "=r"(_value) : : "memory");                           \
        _value;                                                                                    \
    })
#define csr_write(name, value)                                                                     \
    __asm__ volatile("csrw " #name ", %0" : : "rK"((unsigned long)(value)) : "memory")
#define csr_set(name, bits)                                                                        \
    __asm__ volatile("csrs " #name ", %0" : : "rK"((unsigned long)(bits)) : "memory")
#define csr_clear(name, bits)                                                                      \
    __asm__ volatile("csrc " #name ", %0" : : "rK"((unsigned long)(bits)) : "memory")

#endif
#endif
