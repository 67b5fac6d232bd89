/* SPDX-License-Identifier: MIT */
/*
 * The floating-point registers to memory and back: a0 points to 32 doublewords and fcsr, the user's
 * struct __riscv_d_ext_state.
 */
#include <offsets.h>

.macro REGISTERS op
    .set number, 0
    .irp register, f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, \
        f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31
    \op \register, 8 * number(a0)
    .set number, number + 1
    .endr
.endm

    .text
    .globl fpu_save, fpu_load
    .type fpu_save, @function
fpu_save:
    REGISTERS fsd
    frcsr t0
    sw t0, FPU_FCSR(a0)
    ret

    .type fpu_load, @function
fpu_load:
    REGISTERS fld
    lw t0, FPU_FCSR(a0)
    fscsr t0
    ret

    .section .note.GNU-stack, "", @progbits
