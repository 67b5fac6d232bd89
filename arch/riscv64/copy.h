/* SPDX-License-Identifier: MIT */
/*
 * The body of memcpy and of the copies from and to user memory, as a macro for assembly.
 *
 * The machine may trap on misaligned accesses, so there are none: the destination is aligned to 8
 * bytes first; if the source then is not, each word is put together from two aligned ones.
 *
 * On entry t6 = destination, a1 = source, t5 = end of destination. On exit t6 = t5. At every access
 * [t6, t5) covers what has not been copied for certain, and a1 goes with t6 (but in the misaligned
 * loop, where a1 - offset does; a fix-up finds the source as a1 = t6 + t4 there). Changes a2 to a7
 * and t0 to t4. `access` is a macro that wraps each load and store.
 */
.macro COPY_WORDS access, count, at = 0
    \access ld a2, \at + 0(a1)
    \access ld a3, \at + 8(a1)
    \access ld a4, \at + 16(a1)
    \access ld a5, \at + 24(a1).if \count == 8
    \access ld a6, \at + 32(a1)
    \access ld t0, \at + 40(a1)
    \access ld t1, \at + 48(a1)
    \access ld t2, \at + 56(a1).endif \access sd a2, \at + 0(t6)
    \access sd a3, \at + 8(t6)
    \access sd a4, \at + 16(t6)
    \access sd a5, \at + 24(t6).if \count == 8
    \access sd a6, \at + 32(t6)
    \access sd t0, \at + 40(t6)
    \access sd t1, \at + 48(t6)
    \access sd t2, \at + 56(t6).endif.endm

                                         .macro COPY_BODY access sub t4,
                                 a1,
                                 t6 /* source - destination */
                                     or a3,
                                 t6, a1 andi a3, a3, 7 beqz a3, 20f sub a2, t5, t6 li a4,
                                 16 bltu a2, a4, 80f andi a3, t6, 7 beqz a3, 12f 11 : \access lbu a4
    ,
                                 0(a1) /* until the destination is aligned */
    \access sb a4,
                                 0(t6)addi a1,
                                 a1,
                                 1 addi t6,
                                 t6,
                                 1 andi a3,
                                 t6,
                                 7 bnez a3,
                                 11b 12 : andi a3,
                                 a1,
                                 7 bnez a3,
                                 60f

                                          20 : sub a2,
                                 t5,
                                 t6 /* both aligned */
                                               andi a7,
                                 a2,
                                 -128 beqz a7,
                                 30f add a7,
                                 t6,
                                 a7 21 : COPY_WORDS \access,
                                 8 COPY_WORDS \access,
                                 8,
                                 64 addi a1,
                                 a1,
                                 128 addi t6,
                                 t6,
                                 128 bne t6,
                                 a7,
                                 21b sub a2,
                                 t5,
                                 t6 30 : andi a7,
                                 a2,
                                 -32 beqz a7,
                                 40f add a7,
                                 t6,
                                 a7 31 : COPY_WORDS \access,
                                 4 addi a1,
                                 a1,
                                 32 addi t6,
                                 t6,
                                 32 bne t6,
                                 a7,
                                 31b sub a2,
                                 t5,
                                 t6 40 : andi a7,
                                 a2,
                                 24 beqz a7,
                                 50f add a7,
                                 t6,
                                 a7 41 : \access ld a3,
                                 0(a1)
    \access sd a3,
                                 0(t6)addi a1,
                                 a1,
                                 8 addi t6,
                                 t6,
                                 8 bne t6,
                                 a7,
                                 41b 50 : andi a3,
                                 a2,
                                 4 /* less than 8 bytes, aligned */
                                          beqz a3,
                                 51f
    \access lw a3,
                                 0(a1)
    \access sw a3,
                                 0(t6)addi a1,
                                 a1,
                                 4 addi t6,
                                 t6,
                                 4 51 : andi a3,
                                 a2,
                                 2 beqz a3,
                                 52f
    \access lh a3,
                                 0(a1)
    \access sh a3,
                                 0(t6)addi a1,
                                 a1,
                                 2 addi t6,
                                 t6,
                                 2 52 : andi a3,
                                 a2,
                                 1 beqz a3,
                                 90f
    \access lb a3,
                                 0(a1)
    \access sb a3,
                                 0(t6)addi a1,
                                 a1,
                                 1 addi t6,
                                 t6,
                                 1 j 90f

                                        60 : sub a2,
                                 t5,
                                 t6 /* source misaligned by a3 bytes */
                                             andi a7,
                                 a2,
                                 -8 beqz a7,
                                 80f add a7,
                                 t6,
                                 a7 slli t0,
                                 a3,
                                 3 neg t1,
                                 t0 /* shifts count modulo 64 */
                                             sub a1,
                                 a1,
                                 a3
    \access ld a4,
                                 0(a1)61 : \access ld a5,
                                 8(a1)srl a4,
                                 a4,
                                 t0 sll a6,
                                 a5,
                                 t1 or a4,
                                 a4,
                                 a6
    \access sd a4,
                                 0(t6)mv a4,
                                 a5 addi a1,
                                 a1,
                                 8 addi t6,
                                 t6,
                                 8 bne t6,
                                 a7,
                                 61b add a1,
                                 t6,
                                 t4 80 : beq t6,
                                 t5,
                                 90f 81 : \access lbu a4,
                                 0(a1)
    \access sb a4,
                                 0(t6)addi a1,
                                 a1,
                                 1 addi t6,
                                 t6,
                                 1 bne t6,
                                 t5,
                                 81b 90 :.endm
