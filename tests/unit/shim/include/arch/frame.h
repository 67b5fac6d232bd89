/* SPDX-License-Identifier: MIT */
#ifndef SHIM_ARCH_FRAME_H
#define SHIM_ARCH_FRAME_H

struct trap_frame {
    unsigned long pc, sp, result;
};

struct arch_thread {
    unsigned long sp;
};

#endif
