/* SPDX-License-Identifier: MIT */
/*
 * What a debugger sees and changes of a stopped thread (ptrace(2), <sys/user.h>).
 *
 * General registers are those of the user frame. The rest (vector state, FS and GS base) is in the
 * processor or wherever arch_switch() keeps it, so the thread notes it in its struct tracee before it
 * stops and loads it when it goes on; in between it is the debugger's.
 *
 *     struct user        0  registers, as PTRACE_GETREGS has them
 *                      848  DR0 to DR7
 */
#include <arch/x86.h>
#include <vellum/alloc.h>
#include <vellum/error.h>
#include <vellum/ptrace.h>
#include <vellum/string.h>
#include <vellum/syscall.h>
#include <vellum/uaccess.h>
#include <asm/prctl.h>
#include <asm/ptrace.h>
#include <linux/elf.h>
#include <linux/ptrace.h>

struct user_registers {
    struct pt_regs frame;
    u64 fs_base, gs_base, ds, es, fs, gs;
};

#define USER_DEBUG 848 /* offsetof(struct user, u_debugreg) */
#define USER_SIZE  928 /* sizeof(struct user) */

#define REGISTERS (sizeof(struct user_registers) / 8)
#define REG(name) (offsetof(struct user_registers, name) / 8)

/* Flags that a debugger may change: CF PF AF ZF SF TF DF OF NT RF AC. */
#define FLAGS_CHANGEABLE 0x54dd5UL

#define FXSAVE_SIZE  512
#define FXSAVE_MXCSR 24
#define XCR0_OFFSET  464 /* in an image: the features that it may have */
#define HEADER       512 /* of XSAVE: which components are there; then what must be 0 */

/* ---- stop and go -------------------------------------------------------------------------------- */

void arch_hold_syscalls(struct thread *thread, bool hold)
{
    WRITE_ONCE(syscall_gate(thread)->limit, hold ? 0 : SYSCALL_MAX);
}

size_t arch_vectors_size(void)
{
    return fpu_user_size;
}

void arch_tracee_save(struct thread *t)
{
    unsigned long flags = irq_save();

    fpu_save_standard(t->tracee->vectors);
    thread_bases_save(t);
    if (t->arch.user < 0)
        debug_registers_off();
    irq_restore(flags);
    t->tracee->arch.fs_base = t->arch.fs_base;
    t->tracee->arch.gs_base = t->arch.gs_base;
}

void arch_tracee_load(struct thread *t)
{
    unsigned long flags = irq_save();

    if (t->tracee->vectors_changed)
        fpu_restore(t->tracee->vectors);
    thread_bases_load(t, t->tracee->arch.fs_base, t->tracee->arch.gs_base);
    if (t->arch.user < 0)
        debug_registers_load(t);
    irq_restore(flags);
}

bool arch_is_stepping(const struct thread *t)
{
    return t->tracee->arch.stepping;
}

bool arch_single_step(struct thread *t, bool on)
{
    struct arch_tracee *a = &t->tracee->arch;
    struct trap_frame *frame = thread_frame(t);

    if (on && !(frame->eflags & EFLAGS_TF)) {
        frame->eflags |= EFLAGS_TF;
        a->forced_tf = true;
    } else if (!on && a->forced_tf) {
        frame->eflags &= ~EFLAGS_TF;
        a->forced_tf = false;
    }
    a->stepping = on;
    return true;
}

void arch_forget_stepping(struct thread *child)
{
    if (current->tracee->arch.forced_tf)
        thread_frame(child)->eflags &= ~EFLAGS_TF;
}

/* ---- general registers ----------------------------------------------------------------------------- */

static void registers_get(struct thread *t, struct user_registers *r)
{
    const struct trap_frame *f = thread_frame(t);

    memset(r, 0, sizeof(*r));
    static_assert(sizeof(r->frame) == sizeof(*f), "the frame is laid out as struct pt_regs");
    memcpy(&r->frame, f, sizeof(r->frame));
    if ((long)f->number < 0)
        r->frame.orig_rax = -1UL;
    if (t->tracee->arch.forced_tf)
        r->frame.eflags &= ~EFLAGS_TF;
    r->fs_base = t->tracee->arch.fs_base;
    r->gs_base = t->tracee->arch.gs_base;
}

static void flags_set(struct thread *t, u64 value)
{
    struct trap_frame *f = thread_frame(t);
    struct arch_tracee *a = &t->tracee->arch;

    if (value & EFLAGS_TF)
        a->forced_tf = false;
    else if (a->forced_tf)
        value |= EFLAGS_TF;
    f->eflags = (f->eflags & ~FLAGS_CHANGEABLE) | (value & FLAGS_CHANGEABLE);
}

static int register_set(struct thread *t, unsigned i, u64 value)
{
    struct trap_frame *f = thread_frame(t);

    switch (i) {
    case REG(frame.orig_rax):
        /* An exception's cause is kept: a signal frame tells it. */
        if ((int)value >= 0)
            f->number = (u32)value;
        else if ((long)f->number >= 0)
            f->number = -1UL;
        return 0;
    case REG(frame.rip): /* what is not canonical must not get there; this faults as well */
        f->rip = min(value, USER_END);
        return 0;
    case REG(frame.eflags):
        flags_set(t, value);
        return 0;
    case REG(frame.cs):
        return (u16)value == USER_CS ? 0 : -EIO;
    case REG(frame.ss):
        return (u16)value == USER_DS ? 0 : -EIO;
    case REG(fs_base):
    case REG(gs_base):
        if (value >= USER_END)
            return -EIO;
        if (i == REG(fs_base))
            t->tracee->arch.fs_base = value;
        else
            t->tracee->arch.gs_base = value;
        return 0;
    case REG(ds):
    case REG(es):
    case REG(fs):
    case REG(gs):
        return (u16)value == 0 ? 0 : -EIO;
    default:
        ((u64 *)f)[i] = value;
        return 0;
    }
}

static int registers_set(struct thread *t, const u64 *values, size_t n)
{
    int error = 0;

    for (unsigned i = 0; i < n / 8 && !error; i++)
        error = register_set(t, i, values[i]);
    return error;
}

/* ---- vector state ------------------------------------------------------------------------------------ */

/* XRSTOR refuses an image whose header or MXCSR is not in order. */
static int vectors_check(const u8 *image, size_t n)
{
    const u64 *header = (const u64 *)(image + HEADER);
    u32 mxcsr = *(const u32 *)(image + FXSAVE_MXCSR);

    if (mxcsr & ~fpu_mxcsr_mask())
        return -EINVAL;
    if (n <= FXSAVE_SIZE)
        return 0;
    if (header[0] & ~fpu_features)
        return -EINVAL;
    for (unsigned i = 1; i < 8; i++)
        if (header[i])
            return -EINVAL;
    return 0;
}

static int vectors_set(struct thread *t, const void *buffer, size_t n)
{
    u8 *image = t->tracee->vectors;
    int error = vectors_check(buffer, n);

    if (error)
        return error;
    memcpy(image, buffer, n);
    if (n == FXSAVE_SIZE && x86.xsave)
        *(u64 *)(image + HEADER) |= 3; /* x87 and SSE are there */
    t->tracee->vectors_changed = true;
    return 0;
}

/* ---- sets of registers ---------------------------------------------------------------------------------- */

const struct core_note arch_core_notes[] = {{NT_PRFPREG, "CORE"}, {NT_X86_XSTATE, "LINUX"}, {0}};

size_t arch_regset_size(unsigned type)
{
    switch (type) {
    case NT_PRSTATUS:
        return sizeof(struct user_registers);
    case NT_PRFPREG:
        return FXSAVE_SIZE;
    case NT_X86_XSTATE:
        return x86.xsave ? fpu_user_size : 0;
    default:
        return 0;
    }
}

void arch_regset_get(struct thread *t, unsigned type, void *buffer)
{
    if (type == NT_PRSTATUS) {
        registers_get(t, buffer);
        return;
    }
    memcpy(buffer, t->tracee->vectors, arch_regset_size(type));
    memset((char *)buffer + XCR0_OFFSET, 0, FXSAVE_SIZE - XCR0_OFFSET);
    if (type == NT_X86_XSTATE)
        *(u64 *)((char *)buffer + XCR0_OFFSET) = fpu_features;
}

int arch_regset_set(struct thread *t, unsigned type, const void *buffer, size_t n)
{
    if (type == NT_PRSTATUS)
        return registers_set(t, buffer, n);
    if (n != arch_regset_size(type)) /* all or nothing */
        return type == NT_X86_XSTATE ? -EFAULT : -EINVAL;
    return vectors_set(t, buffer, n);
}

/* ---- debug registers ------------------------------------------------------------------------------------- */

#define DR6_RESERVED 0xffff0ff0UL
#define DR7_ENABLE   0xffUL
#define DR7_FIXED    0x400UL

/* Kind and length of breakpoint i in DR7. */
enum { KIND_EXECUTE, KIND_WRITE, KIND_IO, KIND_ACCESS };
static unsigned dr7_kind(u64 dr7, unsigned i)
{
    return dr7 >> (16 + 4 * i) & 3;
}
static unsigned dr7_length_mask(u64 dr7, unsigned i)
{
    static const u8 masks[] = {0, 1, 7, 3};

    return masks[dr7 >> (18 + 4 * i) & 3];
}

void debug_registers_load(struct thread *t)
{
    const u64 *d = t->tracee->arch.debug;

    __asm__ volatile("mov %0, %%dr0" : : "r"(d[0]));
    __asm__ volatile("mov %0, %%dr1" : : "r"(d[1]));
    __asm__ volatile("mov %0, %%dr2" : : "r"(d[2]));
    __asm__ volatile("mov %0, %%dr3" : : "r"(d[3]));
    __asm__ volatile("mov %0, %%dr7" : : "r"((d[7] & ~0xfc00UL) | DR7_FIXED));
}

void debug_registers_off(void)
{
    __asm__ volatile("mov %0, %%dr7" : : "r"(DR7_FIXED));
}

/* A debug trap of the current thread in user mode; dr6 tells why. */
void debug_registers_hit(struct trap_frame *frame, u64 dr6)
{
    struct arch_tracee *a;

    if (!current->tracee)
        return;
    a = &current->tracee->arch;
    a->debug[6] = dr6 & (BIT(14) | 15);
    /* A breakpoint for execution strikes before the instruction: let it pass now. */
    for (unsigned i = 0; i < 4; i++)
        if ((dr6 & BIT(i)) && dr7_kind(a->debug[7], i) == KIND_EXECUTE)
            frame->eflags |= EFLAGS_RF;
}

static int dr7_set(struct thread *t, u64 dr7)
{
    struct arch_tracee *a = &t->tracee->arch;

    if (dr7 >> 32)
        return -EIO;
    for (unsigned i = 0; i < 4; i++) {
        if (!(dr7 >> 2 * i & 3))
            continue;
        if (dr7_kind(dr7, i) == KIND_IO || (a->debug[i] & dr7_length_mask(dr7, i)) ||
            (dr7_kind(dr7, i) == KIND_EXECUTE && dr7_length_mask(dr7, i)))
            return -EINVAL;
    }
    a->debug[7] = dr7;
    t->arch.user = dr7 & DR7_ENABLE ? -1 : 1;
    return 0;
}

static int debug_set(struct thread *t, unsigned i, u64 value)
{
    struct arch_tracee *a = &t->tracee->arch;

    if (i == 4 || i == 5)
        return -EIO;
    if (i == 7)
        return dr7_set(t, value);
    if (i < 4 && value >= USER_END)
        return -EINVAL;
    if (i < 4 && (a->debug[7] >> 2 * i & 3) && (value & dr7_length_mask(a->debug[7], i)))
        return -EINVAL;
    a->debug[i] = i == 6 ? value ^ DR6_RESERVED : value;
    return 0;
}

/* ---- requests ---------------------------------------------------------------------------------------------- */

static long peek_user(struct thread *t, unsigned long address, u64 __user *data)
{
    struct user_registers r;
    u64 value = 0;

    if (address % 8 || address >= USER_SIZE)
        return -EIO;
    if (address < sizeof(r)) {
        registers_get(t, &r);
        value = ((u64 *)&r)[address / 8];
    } else if (address >= USER_DEBUG && address < USER_DEBUG + 64) {
        unsigned i = (address - USER_DEBUG) / 8;

        value = t->tracee->arch.debug[i] ^ (i == 6 ? DR6_RESERVED : 0);
    }
    return put_user(value, data);
}

static long poke_user(struct thread *t, unsigned long address, u64 value)
{
    if (address % 8 || address >= USER_SIZE)
        return -EIO;
    if (address < sizeof(struct user_registers))
        return register_set(t, address / 8, value);
    if (address >= USER_DEBUG && address < USER_DEBUG + 64)
        return debug_set(t, (address - USER_DEBUG) / 8, value);
    return -EIO;
}

static long get_set(struct thread *t, unsigned type, void __user *data, bool set)
{
    u8 buffer[FXSAVE_SIZE] __aligned(16);
    size_t n = arch_regset_size(type);

    if (set)
        return copy_from_user(buffer, data, n) ? -EFAULT : arch_regset_set(t, type, buffer, n);
    arch_regset_get(t, type, buffer);
    return copy_to_user(data, buffer, n) ? -EFAULT : 0;
}

static long base(struct thread *t, unsigned long option, unsigned long address)
{
    switch (option) {
    case ARCH_SET_FS:
    case ARCH_SET_GS:
        if (address >= USER_END)
            return -EPERM;
        return register_set(t, option == ARCH_SET_FS ? REG(fs_base) : REG(gs_base), address);
    case ARCH_GET_FS:
        return put_user(t->tracee->arch.fs_base, (u64 __user *)address);
    case ARCH_GET_GS:
        return put_user(t->tracee->arch.gs_base, (u64 __user *)address);
    default:
        return -EINVAL;
    }
}

long arch_ptrace(struct thread *t, long request, unsigned long address, unsigned long data)
{
    static_assert(REGISTERS == 27, "as struct user_regs_struct");

    switch (request) {
    case PTRACE_PEEKUSR:
        return peek_user(t, address, (u64 __user *)data);
    case PTRACE_POKEUSR:
        return poke_user(t, address, data);
    case PTRACE_GETREGS:
    case PTRACE_SETREGS:
        return get_set(t, NT_PRSTATUS, (void __user *)data, request == PTRACE_SETREGS);
    case PTRACE_GETFPREGS:
    case PTRACE_SETFPREGS:
        return get_set(t, NT_PRFPREG, (void __user *)data, request == PTRACE_SETFPREGS);
    case PTRACE_ARCH_PRCTL:
        return base(t, data, address);
    default:
        return -EIO;
    }
}
