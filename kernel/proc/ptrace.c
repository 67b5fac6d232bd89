/* SPDX-License-Identifier: MIT */
/*
 * ptrace(2): the requests, from the tracer's side.
 *
 * Most of them want a stopped thread. hold() makes sure that it is ours and stopped, and stays so
 * while we look at it, SIGKILL or not; let_go() ends that. A request that resumes the thread is its
 * own end.
 */
#include "ptrace.h"
#include <vellum/alloc.h>
#include <vellum/mm.h>
#include <vellum/string.h>
#include <vellum/syscall.h>
#include <vellum/uaccess.h>
#include <linux/audit.h>
#include <linux/elf.h>
#include <linux/rseq.h>
#include <linux/uio.h>

#define OPTIONS                                                                                    \
    (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |      \
     PTRACE_O_TRACEEXEC | PTRACE_O_TRACEVFORKDONE | PTRACE_O_TRACEEXIT | PTRACE_O_TRACESECCOMP |   \
     PTRACE_O_EXITKILL)

#define offsetofend(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

/* ---- holding the thread ----------------------------------------------------------------------------- */

/* -ESRCH unless t is traced by the current thread and, if `stopped`, stands still. */
static int hold(struct thread *t, bool stopped)
{
    unsigned long flags;
    struct tracee *tr = t->tracee;
    struct sighand *s;
    int error = -ESRCH;

    if (!tr || !t->process)
        return -ESRCH;
    s = sighand_lock(t->process, &flags);
    if (tr->tracer == current && !stopped) {
        error = 0;
    } else if (tr->tracer == current && t->state == TASK_TRACED && !tr->listening &&
               !(t->work & WORK_KILLED)) {
        tr->frozen = true;
        error = 0;
    }
    sighand_unlock(s, flags);
    return error;
}

static void let_go(struct thread *t)
{
    unsigned long flags;
    struct sighand *s = sighand_lock(t->process, &flags);

    t->tracee->frozen = false;
    if (t->work & WORK_KILLED)
        wake_thread_state(t, TASK_TRACED);
    sighand_unlock(s, flags);
}

static long resume(struct thread *t, int request, unsigned long signo)
{
    bool step = request == PTRACE_SINGLESTEP || request == PTRACE_SYSEMU_SINGLESTEP;
    struct tracee *tr = t->tracee;
    unsigned long flags;
    struct sighand *s;

    if (signo > SIGNALS || !arch_single_step(t, step))
        return -EIO;
    s = sighand_lock(t->process, &flags);
    tr->resume = request;
    tr->resume_signal = signo;
    tr->code = 0;
    tr->frozen = false;
    wake_thread_state(t, TASK_TRACED);
    sighand_unlock(s, flags);
    return 0;
}

/* ---- memory -------------------------------------------------------------------------------------------- */

static long peek_poke(struct thread *t, vaddr_t address, unsigned long *word, bool write)
{
    struct mm *mm = t->mm;

    if (!mm || mm_access(mm, address, word, sizeof(*word), write, true) != sizeof(*word))
        return -EIO;
    return 0;
}

static long peek(struct thread *t, vaddr_t address, unsigned long __user *data)
{
    unsigned long word;
    long error = peek_poke(t, address, &word, false);

    return error ? error : put_user(word, data);
}

/* ---- signals ---------------------------------------------------------------------------------------------- */

static long get_set_info(struct thread *t, siginfo_t __user *data, bool set)
{
    siginfo_t info, *at = t->tracee->info;

    if (!at)
        return -EINVAL;
    if (!set)
        return copy_to_user(data, at, sizeof(*at)) ? -EFAULT : 0;
    if (copy_from_user(&info, data, sizeof(info)))
        return -EFAULT;
    *at = info;
    return 0;
}

static long get_set_mask(struct thread *t, size_t size, signal_set __user *data, bool set)
{
    unsigned long flags;
    struct sighand *s;
    signal_set mask;

    if (size != sizeof(mask))
        return -EINVAL;
    if (!set) /* what the program has asked for, not what it waits with (sigsuspend) */
        return put_user(t->work & WORK_RESTORE_MASK ? t->saved_mask : t->blocked, data);
    if (get_user(mask, data))
        return -EFAULT;
    s = sighand_lock(t->process, &flags);
    t->blocked = mask & ~SIGNALS_UNBLOCKABLE;
    signal_show(t);
    sighand_unlock(s, flags);
    return 0;
}

static long peek_infos(struct thread *t, const struct ptrace_peeksiginfo_args __user *uargs,
                       siginfo_t __user *data)
{
    struct ptrace_peeksiginfo_args args;
    struct process *p = t->process;
    long n;

    if (copy_from_user(&args, uargs, sizeof(args)))
        return -EFAULT;
    if ((args.flags & ~PTRACE_PEEKSIGINFO_SHARED) || args.nr < 0)
        return -EINVAL;
    for (n = 0; n < args.nr; n++) {
        unsigned long flags;
        struct sighand *s = sighand_lock(p, &flags);
        siginfo_t info;
        bool found = signal_queue_peek(args.flags ? &p->pending : &t->pending, args.off + n, &info);

        sighand_unlock(s, flags);
        if (!found)
            break;
        if (copy_to_user(data + n, &info, sizeof(info)))
            return n ? n : -EFAULT;
        if (signal_pending())
            return n + 1;
    }
    return n;
}

/* ---- registers --------------------------------------------------------------------------------------------- */

static long get_set_registers(struct thread *t, unsigned type, struct iovec __user *uiov, bool set)
{
    size_t size = arch_regset_size(type);
    struct iovec iov;
    void *buffer;
    long error = 0;

    if (copy_from_user(&iov, uiov, sizeof(iov)))
        return -EFAULT;
    if (size == 0 || iov.iov_len % 8)
        return -EINVAL;
    iov.iov_len = min(iov.iov_len, size);
    buffer = kmalloc(size, ALLOC_KERNEL);
    if (!buffer)
        return -ENOMEM;
    if (set) {
        if (copy_from_user(buffer, iov.iov_base, iov.iov_len))
            error = -EFAULT;
        else
            error = arch_regset_set(t, type, buffer, iov.iov_len);
    } else {
        arch_regset_get(t, type, buffer);
        if (copy_to_user(iov.iov_base, buffer, iov.iov_len))
            error = -EFAULT;
    }
    kfree(buffer);
    return error ? error : put_user(iov.iov_len, &uiov->iov_len);
}

/* What a system call stop is about. Returns the size of the whole answer. */
static long syscall_info(struct thread *t, size_t size, void __user *data)
{
    const struct trap_frame *frame = thread_frame(t);
    struct ptrace_syscall_info info = {
        .arch = ELF_ARCH | __AUDIT_ARCH_64BIT | __AUDIT_ARCH_LE,
        .instruction_pointer = frame_pc(frame),
        .stack_pointer = frame_sp(frame),
    };
    size_t actual = offsetof(struct ptrace_syscall_info, entry);
    unsigned long args[6];

    if (t->tracee->info && t->tracee->info->si_code == (SIGTRAP | 0x80)) {
        if (t->tracee->message == PTRACE_EVENTMSG_SYSCALL_ENTRY) {
            info.op = PTRACE_SYSCALL_INFO_ENTRY;
            info.entry.nr = frame_syscall(frame);
            frame_args(frame, args);
            for (unsigned i = 0; i < 6; i++)
                info.entry.args[i] = args[i];
            actual = offsetofend(struct ptrace_syscall_info, entry.args);
        } else if (t->tracee->message == PTRACE_EVENTMSG_SYSCALL_EXIT) {
            info.op = PTRACE_SYSCALL_INFO_EXIT;
            info.exit.rval = frame_result(frame);
            info.exit.is_error = frame_result(frame) < 0 && frame_result(frame) >= -4095;
            actual = offsetofend(struct ptrace_syscall_info, exit.is_error);
        }
    }
    return copy_to_user(data, &info, min(size, actual)) ? -EFAULT : (long)actual;
}

/* Where the thread keeps its restartable sequence (rseq(2)), for those that checkpoint programs. */
static long rseq_configuration(struct thread *t, size_t size, void __user *data)
{
    struct ptrace_rseq_configuration c = {
        .rseq_abi_pointer = t->rseq,
        .rseq_abi_size = sizeof(struct rseq),
        .signature = t->rseq_signature,
    };

    return copy_to_user(data, &c, min(size, sizeof(c))) ? -EFAULT : (long)sizeof(c);
}

/* ---- control --------------------------------------------------------------------------------------------------- */

static long set_options(struct thread *t, unsigned long options)
{
    if (options & ~(unsigned long)OPTIONS)
        return -EINVAL;
    t->tracee->options = options;
    return 0;
}

static long interrupt(struct thread *t)
{
    unsigned long flags;
    struct sighand *s = sighand_lock(t->process, &flags);
    long error = -EIO;

    if (t->tracee->seized) {
        if (!t->tracee->dead)
            ptrace_set_trap(t, TRAP_STOP);
        error = 0;
    }
    sighand_unlock(s, flags);
    return error;
}

static long listen(struct thread *t)
{
    unsigned long flags;
    struct sighand *s = sighand_lock(t->process, &flags);
    struct tracee *tr = t->tracee;
    long error = -EIO;

    if (tr->seized && tr->info && tr->info->si_code >> 8 == PTRACE_EVENT_STOP) {
        tr->listening = true;
        if (tr->trap & TRAP_NOTIFY)
            wake_thread_state(t, TASK_TRACED);
        error = 0;
    }
    sighand_unlock(s, flags);
    return error;
}

/* Of a thread that stands still. */
static long stopped_request(struct thread *t, long request, unsigned long address,
                            unsigned long data)
{
    switch (request) {
    case PTRACE_PEEKTEXT:
    case PTRACE_PEEKDATA:
        return peek(t, address, (unsigned long __user *)data);
    case PTRACE_POKETEXT:
    case PTRACE_POKEDATA:
        return peek_poke(t, address, &data, true);
    case PTRACE_SETOPTIONS:
        return set_options(t, data);
    case PTRACE_GETEVENTMSG:
        return put_user(t->tracee->message, (unsigned long __user *)data);
    case PTRACE_GETSIGINFO:
    case PTRACE_SETSIGINFO:
        return get_set_info(t, (siginfo_t __user *)data, request == PTRACE_SETSIGINFO);
    case PTRACE_GETSIGMASK:
    case PTRACE_SETSIGMASK:
        return get_set_mask(t, address, (signal_set __user *)data, request == PTRACE_SETSIGMASK);
    case PTRACE_PEEKSIGINFO:
        return peek_infos(t, (const void __user *)address, (siginfo_t __user *)data);
    case PTRACE_GETREGSET:
    case PTRACE_SETREGSET:
        return get_set_registers(t, address, (struct iovec __user *)data,
                                 request == PTRACE_SETREGSET);
    case PTRACE_GET_SYSCALL_INFO:
        return syscall_info(t, address, (void __user *)data);
    case PTRACE_GET_RSEQ_CONFIGURATION:
        return rseq_configuration(t, address, (void __user *)data);
    case PTRACE_LISTEN:
        return listen(t);
    default:
        return arch_ptrace(t, request, address, data);
    }
}

static bool resumes(long request)
{
    return request == PTRACE_CONT || request == PTRACE_SYSCALL || request == PTRACE_SINGLESTEP ||
           request == PTRACE_SYSEMU || request == PTRACE_SYSEMU_SINGLESTEP;
}

static long tracee_request(struct thread *t, long request, unsigned long address,
                           unsigned long data)
{
    long result = hold(t, request != PTRACE_KILL && request != PTRACE_INTERRUPT);

    if (result)
        return result;
    if (request == PTRACE_KILL)
        return signal_send_thread(t, SIGKILL, NULL);
    if (request == PTRACE_INTERRUPT)
        return interrupt(t);
    if (resumes(request)) {
        result = resume(t, request, data);
        if (result == 0)
            return 0;
    } else if (request == PTRACE_DETACH) {
        if (data <= SIGNALS)
            return ptrace_detach(t, data);
        result = -EIO;
    } else {
        result = stopped_request(t, request, address, data);
    }
    let_go(t);
    return result;
}

SYSCALL_DEFINE4(ptrace, long, request, long, pid, unsigned long, address, unsigned long, data)
{
    struct thread *t;
    long result;

    if (request == PTRACE_TRACEME)
        return ptrace_traceme();
    t = thread_find(pid);
    if (!t)
        return -ESRCH;
    if (request == PTRACE_ATTACH)
        result = ptrace_attach(t, false, 0);
    else if (request == PTRACE_SEIZE)
        result = address || (data & ~(unsigned long)OPTIONS) ? -EIO : ptrace_attach(t, true, data);
    else
        result = tracee_request(t, request, address, data);
    thread_put(t);
    return result;
}
