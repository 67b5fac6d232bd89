/* SPDX-License-Identifier: MIT */
/*
 * Restartable sequences (rseq(2)): code on data of one processor, without locks or atomic operations.
 *
 * A thread registers a structure in its memory. We keep the number of its processor there, and the
 * thread writes there which critical section it is in, if in any. Was it switched away from, or is it
 * about to run a signal handler, while its program counter was inside of that section, then it goes on
 * at the section's abort address: it notices that it may have been disturbed, and starts over.
 *
 * The scheduler only sets WORK_RSEQ when it switches away from a registered thread; the rest is done
 * before the return to user mode. A section is not entered by system calls, so it is enough to look at
 * the user's frame.
 */
#include "internal.h"
#include <vellum/mm.h>
#include <vellum/rseq.h>
#include <vellum/syscall.h>
#include <vellum/uaccess.h>
#include <linux/rseq.h>

static struct rseq __user *registered(const struct thread *t)
{
    return (struct rseq __user *)t->rseq;
}

static int store_cpu(struct thread *t, u32 start, u32 cpu)
{
    if (put_user(start, &registered(t)->cpu_id_start) || put_user(cpu, &registered(t)->cpu_id))
        return -EFAULT;
    t->rseq_cpu = cpu;
    return 0;
}

/* A description that could not have been meant: -EINVAL. */
static int read_section(struct thread *t, vaddr_t address, struct rseq_cs *cs)
{
    u32 signature, flags;

    if (copy_from_user(cs, (const void __user *)address, sizeof(*cs)))
        return -EFAULT;
    if (cs->version > 0 || cs->flags || cs->start_ip >= USER_END ||
        cs->post_commit_offset > USER_END - cs->start_ip || cs->abort_ip >= USER_END ||
        cs->abort_ip - cs->start_ip < cs->post_commit_offset)
        return -EINVAL;
    /* What stands before the abort address shows that it was meant as one: else this would be a way to
     * make a program jump anywhere. */
    if (get_user(signature, (const u32 __user *)(cs->abort_ip - sizeof(u32))) ||
        get_user(flags, &registered(t)->flags))
        return -EFAULT;
    return signature != t->rseq_signature || flags ? -EINVAL : 0;
}

static int leave_section(struct thread *t, struct trap_frame *frame, vaddr_t address)
{
    struct rseq_cs cs;
    int error = read_section(t, address, &cs);

    if (error || put_user((u64)0, &registered(t)->rseq_cs))
        return error ? error : -EFAULT;
    if (frame_pc(frame) - cs.start_ip < cs.post_commit_offset)
        frame_set_pc(frame, cs.abort_ip);
    return 0;
}

void rseq_resume(struct trap_frame *frame)
{
    struct thread *t = current;
    u32 cpu;
    u64 section;

    __atomic_fetch_and(&t->work, ~WORK_RSEQ, __ATOMIC_RELAXED);
    if (unlikely(itimers_run(t->process)))
        itimers_look(&t->process->itimers);
    cpu = READ_ONCE(t->cpu)->id; /* if it is another one later, WORK_RSEQ is set again */
    if (unlikely(!t->rseq))
        return;
    if (get_user(section, &registered(t)->rseq_cs) ||
        (section && leave_section(t, frame, section) != 0) ||
        (cpu != t->rseq_cpu && store_cpu(t, cpu, cpu) != 0))
        signal_fault(SIGSEGV, SI_KERNEL, 0);
}

static int unregister(struct thread *t, vaddr_t address, u32 length, int flags, u32 signature)
{
    if ((flags & ~RSEQ_FLAG_UNREGISTER) || !t->rseq || t->rseq != address ||
        length != sizeof(struct rseq))
        return -EINVAL;
    if (signature != t->rseq_signature)
        return -EPERM;
    if (store_cpu(t, 0, (u32)RSEQ_CPU_ID_UNINITIALIZED))
        return -EFAULT;
    t->rseq = 0;
    return 0;
}

SYSCALL_DEFINE4(rseq, vaddr_t, address, u32, length, int, flags, u32, signature)
{
    struct thread *t = current;

    if (flags & RSEQ_FLAG_UNREGISTER)
        return unregister(t, address, length, flags, signature);
    if (flags)
        return -EINVAL;
    if (t->rseq) {
        if (t->rseq != address || length != sizeof(struct rseq))
            return -EINVAL;
        return signature != t->rseq_signature ? -EPERM : -EBUSY;
    }
    if (address % __alignof__(struct rseq) || length != sizeof(struct rseq))
        return -EINVAL;
    if (!user_range_ok((void __user *)address, length))
        return -EFAULT;
    t->rseq = address;
    t->rseq_signature = signature;
    t->rseq_cpu = (u32)RSEQ_CPU_ID_UNINITIALIZED;
    __atomic_fetch_or(&t->work, WORK_RSEQ, __ATOMIC_RELAXED);
    return 0;
}
