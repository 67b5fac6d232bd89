/* SPDX-License-Identifier: MIT */
/*
 * The signal frame, as Linux lays it out on the user's stack, from high addresses to low:
 *
 *     red zone (128 bytes below the stack pointer, which the program may be using)
 *     vector state as XSAVE writes it, 64-byte aligned; bytes 464 to 511 tell its size and kind;
 *         behind it FP_XSTATE_MAGIC2
 *     siginfo
 *     ucontext: the registers, and where the vector state lies
 *     return address: the C library's restorer, which calls rt_sigreturn(2)
 *
 * What comes back may be forged: no segment, flag or address gets into a frame that user mode could
 * not have had.
 */
#include <arch/x86.h>
#include <vellum/error.h>
#include <vellum/signal.h>
#include <vellum/string.h>
#include <vellum/uaccess.h>
#include <asm/sigcontext.h>
#include <asm/ucontext.h>

#define RED_ZONE   128
#define FPX_SW     464       /* struct _fpx_sw_bytes in the legacy region */
#define USER_FLAGS 0x50dd5UL /* AC RF OF DF TF SF ZF AF PF CF */

struct signal_frame {
    u64 restorer;
    struct ucontext context;
    siginfo_t info;
};

/* ---- push --------------------------------------------------------------------------------------------- */

static size_t fpu_frame_size(void)
{
    return fpu_user_size + (x86.xsave ? FP_XSTATE_MAGIC2_SIZE : 0);
}

size_t arch_signal_frame_size(void)
{
    return ALIGN_UP(sizeof(struct signal_frame) + fpu_frame_size() + 64 + 16 + 8, 16);
}

static int push_fpu(char __user *to)
{
    struct _fpx_sw_bytes sw = {
        .magic1 = FP_XSTATE_MAGIC1,
        .extended_size = (u32)fpu_frame_size(),
        .xfeatures = fpu_features,
        .xstate_size = fpu_user_size,
    };

    if (fpu_save_user(to))
        return -EFAULT;
    if (!x86.xsave)
        return 0;
    if (copy_to_user(to + FPX_SW, &sw, sizeof(sw)))
        return -EFAULT;
    return put_user((u32)FP_XSTATE_MAGIC2, (u32 __user *)(to + fpu_user_size));
}

static void fill_registers(struct sigcontext *s, const struct trap_frame *f)
{
    s->r8 = f->r8;
    s->r9 = f->r9;
    s->r10 = f->r10;
    s->r11 = f->r11;
    s->r12 = f->r12;
    s->r13 = f->r13;
    s->r14 = f->r14;
    s->r15 = f->r15;
    s->rdi = f->rdi;
    s->rsi = f->rsi;
    s->rbp = f->rbp;
    s->rbx = f->rbx;
    s->rdx = f->rdx;
    s->rax = f->rax;
    s->rcx = f->rcx;
    s->rsp = f->rsp;
    s->rip = f->rip;
    s->eflags = f->eflags;
    s->cs = (u16)f->cs;
    s->ss = (u16)f->ss;
}

/* Why the processor stopped, if it did: some handlers look at it. */
static void fill_cause(struct sigcontext *s, const struct trap_frame *f,
                       const struct signal_delivery *d)
{
    u32 error = (u32)f->number;

    if ((long)f->number >= 0 || f->number == -1UL)
        return;
    s->trapno = f->number >> 32 & 0xff;
    s->err = error == UINT32_MAX ? 0 : error;
    if (s->trapno == 14)
        s->cr2 = (u64)d->info.si_addr;
}

int arch_signal_push(struct trap_frame *frame, const struct signal_delivery *d)
{
    bool same_stack = d->sp == frame->rsp;
    vaddr_t fpu = ALIGN_DOWN(d->sp - (same_stack ? RED_ZONE : 0) - fpu_frame_size(), 64UL);
    vaddr_t at = ALIGN_DOWN(fpu - sizeof(struct signal_frame), 16UL) - 8;
    struct signal_frame *user = (struct signal_frame *)at;
    struct signal_frame f;

    if (!(d->action.flags & SA_RESTORER) || d->sp >= USER_END)
        return -EFAULT;
    if (!user_range_ok((void *)fpu, fpu_frame_size()) || push_fpu((char *)fpu))
        return -EFAULT;
    memset(&f.context, 0, sizeof(f.context));
    f.restorer = d->action.restorer;
    f.context.uc_flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS | (x86.xsave ? UC_FP_XSTATE : 0);
    f.context.uc_stack = d->altstack;
    fill_registers(&f.context.uc_mcontext, frame);
    fill_cause(&f.context.uc_mcontext, frame, d);
    f.context.uc_mcontext.oldmask = d->mask;
    f.context.uc_mcontext.fpstate = (void *)fpu;
    f.context.uc_sigmask = d->mask;
    f.info = d->info;
    if (copy_to_user(user, &f, sizeof(f)))
        return -EFAULT;
    frame->rdi = (u64)d->signo;
    frame->rsi = (u64)&user->info;
    frame->rdx = (u64)&user->context;
    frame->rax = 0;
    frame->rsp = at;
    frame->rip = min(d->action.handler, USER_END);
    frame->eflags &= ~(EFLAGS_DF | EFLAGS_RF | EFLAGS_TF);
    frame->number = -1UL;
    return 0;
}

/* ---- return ----------------------------------------------------------------------------------------------- */

/* The size and kind of the state, as the frame says; 0: only what FXSAVE knows. */
static int fpu_frame_features(const char __user *fpu, u64 *features)
{
    struct _fpx_sw_bytes sw;
    u32 magic2;

    *features = 0;
    if (copy_from_user(&sw, fpu + FPX_SW, sizeof(sw)))
        return -EFAULT;
    if (!x86.xsave || sw.magic1 != FP_XSTATE_MAGIC1 || sw.xstate_size < 576 ||
        sw.xstate_size > fpu_user_size || sw.xstate_size > sw.extended_size)
        return 0;
    if (get_user(magic2, (const u32 __user *)(fpu + sw.xstate_size)))
        return -EFAULT;
    if (magic2 == FP_XSTATE_MAGIC2)
        *features = sw.xfeatures & fpu_features;
    return 0;
}

static int restore_fpu(const char __user *fpu)
{
    u64 features;

    if (!fpu) {
        unsigned long flags = irq_save();

        fpu_reset();
        irq_restore(flags);
        return 0;
    }
    if (!user_range_ok(fpu, fpu_frame_size()) || fpu_frame_features(fpu, &features))
        return -EFAULT;
    return fpu_restore_user(fpu, features);
}

static void take_registers(struct trap_frame *f, const struct sigcontext *s)
{
    f->r8 = s->r8;
    f->r9 = s->r9;
    f->r10 = s->r10;
    f->r11 = s->r11;
    f->r12 = s->r12;
    f->r13 = s->r13;
    f->r14 = s->r14;
    f->r15 = s->r15;
    f->rdi = s->rdi;
    f->rsi = s->rsi;
    f->rbp = s->rbp;
    f->rbx = s->rbx;
    f->rdx = s->rdx;
    f->rax = s->rax;
    f->rcx = s->rcx;
    f->rsp = s->rsp;
    f->rip = s->rip;
    f->cs = USER_CS;
    f->ss = USER_DS;
    f->eflags = (f->eflags & ~USER_FLAGS) | (s->eflags & USER_FLAGS);
    f->number = -1UL;
}

int arch_signal_return(struct trap_frame *frame, struct signal_restore *restore)
{
    /* The handler's ret has taken the restorer's address off. */
    const struct signal_frame *user = (const struct signal_frame *)(frame->rsp - 8);
    struct ucontext context;

    if (copy_from_user(&context, &user->context, sizeof(context)))
        return -EFAULT;
    if (context.uc_mcontext.rip >= USER_END || (context.uc_mcontext.cs | 3) != USER_CS)
        return -EFAULT;
    if (restore_fpu((const char *)context.uc_mcontext.fpstate))
        return -EFAULT;
    take_registers(frame, &context.uc_mcontext);
    restore->mask = context.uc_sigmask;
    restore->altstack = context.uc_stack;
    return 0;
}
