/* SPDX-License-Identifier: MIT */
/*
 * Vector state: x87, SSE, and what else XSAVE manages (Intel SDM volume 1, chapter 13).
 *
 * A thread that runs has its state in the registers; arch_switch() saves it to the thread's area, at
 * the top of its kernel stack, and loads the next thread's. Kernel code never touches these
 * registers, so kernel threads have no such state, and a thread that comes back on the same processor
 * after kernel threads only finds its registers as they were.
 *
 * The area has the standard format if the processor has XSAVEOPT, which leaves out what is in its
 * initial state or unmodified since it was loaded; else the compacted one of XSAVEC, or what XSAVE
 * or FXSAVE write. Signal frames always have the standard format.
 *
 * All components that user mode can use without asking are enabled, except protection keys and bounds
 * registers, which are of no use without system calls that Vellum has not.
 */
#include <arch/x86.h>
#include <vellum/error.h>
#include <vellum/page.h>
#include <vellum/string.h>
#include <vellum/uaccess.h>

#define XSAVE_MINIMUM 576 /* legacy region and header */
#define WANTED        (BIT(0) | BIT(1) | BIT(2) | BIT(5) | BIT(6) | BIT(7)) /* x87 SSE AVX AVX-512 */
#define AVX512        (BIT(5) | BIT(6) | BIT(7))

unsigned fpu_area_size, fpu_user_size;
u64 fpu_features;

/* What a new program starts with: all components in their initial state. */
static struct {
    u16 control, status;
    u8 tag, reserved;
    u16 opcode;
    u64 instruction, data;
    u32 mxcsr, mxcsr_mask;
    u8 registers[480], header[64];
} __aligned(64) initial = {.control = 0x37f, .mxcsr = 0x1f80};

static inline void xsetbv(u64 features)
{
    __asm__ volatile("xsetbv" : : "a"((u32)features), "d"((u32)(features >> 32)), "c"(0));
}

static __init u64 choose_features(void)
{
    struct cpuid d = cpuid(0xd, 0);
    u64 features = ((u64)d.edx << 32 | d.eax) & WANTED;

    if (!(features & BIT(2)) || (features & AVX512) != AVX512)
        features &= ~AVX512; /* all three or none, and not without AVX */
    return features;
}

__init void fpu_init(void)
{
    fpu_user_size = 512;
    fpu_area_size = 512;
    if (!x86.xsave)
        return;
    fpu_features = choose_features();
    write_cr4(read_cr4() | CR4_OSXSAVE);
    xsetbv(fpu_features);
    fpu_user_size = cpuid(0xd, 0).ebx; /* for what is enabled now, standard format */
    fpu_area_size = ALIGN_UP(max_t(unsigned, fpu_user_size, XSAVE_MINIMUM), 64);
}

void fpu_cpu_init(void)
{
    __asm__ volatile("fninit");
    if (x86.xsave)
        xsetbv(fpu_features);
    fpu_reset();
}

#define FEATURE_MASK "a"((u32)fpu_features), "d"((u32)(fpu_features >> 32))

/* => interrupts or preemption off; area: 64-byte aligned, its header all zero before the first time */
void fpu_save(void *area)
{
    if (likely(x86.xsaveopt))
        __asm__ volatile("xsaveopt64 (%0)" : : "r"(area), FEATURE_MASK : "memory");
    else if (x86.xsavec)
        __asm__ volatile("xsavec64 (%0)" : : "r"(area), FEATURE_MASK : "memory");
    else if (x86.xsave)
        __asm__ volatile("xsave64 (%0)" : : "r"(area), FEATURE_MASK : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

/* To another thread's area: XSAVEOPT could take it for the one it has loaded and write nothing. */
void fpu_save_copy(void *area)
{
    memset((char *)area + 512, 0, fpu_area_size >= XSAVE_MINIMUM ? 64 : 0);
    if (x86.xsavec && !x86.xsaveopt)
        __asm__ volatile("xsavec64 (%0)" : : "r"(area), FEATURE_MASK : "memory");
    else if (x86.xsave)
        __asm__ volatile("xsave64 (%0)" : : "r"(area), FEATURE_MASK : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

/* To an image in the standard format, with all components. */
void fpu_save_standard(void *area)
{
    if (!x86.xsave) {
        __asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
        return;
    }
    memset((char *)area + 512, 0, 64);
    __asm__ volatile("xsave64 (%0)" : : "r"(area), FEATURE_MASK : "memory");
}

u32 fpu_mxcsr_mask(void)
{
    static u8 area[512] __aligned(16); /* every processor writes the same */
    u32 mask;

    __asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
    mask = *(u32 *)(area + 28);
    return mask ? mask : 0xffbf;
}

void fpu_restore(const void *area)
{
    if (likely(x86.xsave))
        __asm__ volatile("xrstor64 (%0)" : : "r"(area), FEATURE_MASK : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

void fpu_reset(void)
{
    fpu_restore(&initial);
}

/* Write the registers to a signal frame (64-byte aligned user memory of fpu_user_size bytes), in the
 * standard format. 0 or -EFAULT. */
int fpu_save_user(void __user *to)
{
    int error = 0;

    if (!x86.xsave) {
        __asm__ volatile(ASM_STAC "1: fxsave64 (%1)\n"
                                  "2:\n" ASM_CLAC ".pushsection .text.fixup, \"ax\"\n"
                                  "3: mov $-14, %0\n"
                                  "   jmp 2b\n"
                                  ".popsection\n" EXCEPTION_ENTRY("1b", "3b")
                         : "+r"(error)
                         : "r"(to)
                         : "memory");
        return error;
    }
    if (clear_user((char *)to + 512, 64)) /* of the header only some bits are written */
        return -EFAULT;
    __asm__ volatile(ASM_STAC "1: xsave64 (%1)\n"
                              "2:\n" ASM_CLAC ".pushsection .text.fixup, \"ax\"\n"
                              "3: mov $-14, %0\n"
                              "   jmp 2b\n"
                              ".popsection\n" EXCEPTION_ENTRY("1b", "3b")
                     : "+r"(error)
                     : "r"(to), FEATURE_MASK
                     : "memory");
    return error;
}

/* Load the registers from a signal frame: the components in `features` (0: it is only what FXSAVE
 * writes). What the processor finds wrong in it faults, and the table of exceptions turns
 * that into -EFAULT; the registers are the user's in any case. */
int fpu_restore_user(const void __user *from, u64 features)
{
    int error = 0;

    if (x86.xsave && features) {
        u64 others = fpu_features & ~features;

        features &= fpu_features;
        __asm__ volatile(ASM_STAC "1: xrstor64 (%1)\n"
                                  "2:\n" ASM_CLAC ".pushsection .text.fixup, \"ax\"\n"
                                  "3: mov $-14, %0\n"
                                  "   jmp 2b\n"
                                  ".popsection\n" EXCEPTION_ENTRY("1b", "3b")
                         : "+r"(error)
                         : "r"(from), "a"((u32)features), "d"((u32)(features >> 32))
                         : "memory");
        if (others)
            __asm__ volatile("xrstor64 (%0)"
                             :
                             : "r"(&initial), "a"((u32)others), "d"((u32)(others >> 32))
                             : "memory");
        return error;
    }
    fpu_reset();
    __asm__ volatile(ASM_STAC "1: fxrstor64 (%1)\n"
                              "2:\n" ASM_CLAC ".pushsection .text.fixup, \"ax\"\n"
                              "3: mov $-14, %0\n"
                              "   jmp 2b\n"
                              ".popsection\n" EXCEPTION_ENTRY("1b", "3b")
                     : "+r"(error)
                     : "r"(from)
                     : "memory");
    return error;
}
