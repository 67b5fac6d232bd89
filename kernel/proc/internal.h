/* SPDX-License-Identifier: MIT */
/*
 * What the files of this room share and nobody else needs.
 */
#ifndef KERNEL_PROC_INTERNAL_H
#define KERNEL_PROC_INTERNAL_H

#include <vellum/error.h>
#include <vellum/process.h>

/* ---- pid.c => tree_lock held, unless said otherwise -------------------------------------------- */

/* Give a thread its number and make it findable; wanted: which, or 0. 0, -EAGAIN (all in use), -EEXIST
 * (the wanted one is) or -ENOMEM. */
int tid_attach(struct thread *t, pid_t wanted);
/* It cannot be found any more; the number stays in use as long as a group or session has it. */
void tid_detach(struct thread *t);
/* `to` takes over the number of `from`, which is detached (exec by a thread that is not the first). */
void tid_take_over(struct thread *to, struct thread *from);
/* The process or thread without a reference, or NULL. */
struct thread *tid_lookup(pid_t tid);
struct process *pid_lookup(pid_t pid);

struct process_group *group_lookup(pid_t id);
/* Join the group (and session) `id`, made if there is none yet. The caller provides the object in
 * *spare and frees what is left there. */
void group_join(struct process *p, pid_t id, struct process_group **spare);
void session_join(struct process *p, pid_t id, struct process_group **spare);
/* A new process joins those of its parent. */
void groups_inherit(struct process *child, struct process *parent);
void groups_leave(struct process *p);
struct process_group *group_alloc(void); /* any context; NULL: no memory */
void group_free(struct process_group *g);
void pid_init(void);

/* ---- process.c, thread.c ------------------------------------------------------------------------ */

/* A process with no thread, family or number yet, limits and flags those of parent. NULL: no memory. */
struct process *process_alloc(struct process *parent);
void process_free(struct process *p);
void threads_init(void);
/* A copy of the current thread with a stack of its own, belonging to `process`; or NULL. */
struct thread *thread_copy(struct process *process);
void thread_free(struct thread *t); /* one that never ran */
void kernel_stacks_init(void);
void kernel_stacks_trim(void); /* give back stacks that the caches do not hold; may sleep */

/* ---- exit.c -------------------------------------------------------------------------------------- */

/* The parent hears of p: SIGCHLD (as `why` CLD_*, with status) and a wake-up. For CLD_EXITED etc.
 * returns whether the parent does not want to wait: the caller reaps. => tree_lock held */
bool notify_parent(struct process *p, int why, int status);
/* The same to any process, about the thread `id` of p, with any signal. */
bool notify_process(struct process *to, struct process *p, pid_t id, int signo, int why,
                    int status);
/* A dead process is shown to its parent, at last: if that does not care it is added to `dead`. */
void process_to_parent(struct process *p, struct list *dead);
/* Take a zombie out of the tree; => tree_lock. Then, without it: process_put(). */
void process_unlink(struct process *p);
/* Make all other threads of the current process die and wait until they have: 0, or -EINTR if the
 * process is dying itself. */
int threads_kill_others(void);
/* The memory that the thread leaves at exec or exit: wakes who waits for that. */
void thread_leave_memory(struct thread *t);

/* ---- pidfd.c ------------------------------------------------------------------------------------ */

/* An open file that means p. flags: O_NONBLOCK or 0. err_ptr on error. */
struct file *pidfd_file(struct process *p, unsigned flags);
/* What a pidfd of ours means, with a reference; err_ptr(-EBADF). */
struct process *pidfd_process(unsigned fd, bool *nonblock);

/* ---- unshare.c ------------------------------------------------------------------------------------- */

/* t, the current thread, gets a descriptor table of its own: 0 or -ENOMEM. */
int thread_unshare_files(struct thread *t);

/* ---- usage.c --------------------------------------------------------------------------------------- */

/* Add up; for peak_resident the larger one. */
void usage_add(struct usage *sum, const struct usage *u);
void usage_to_rusage(const struct usage *u, struct rusage *ru);

/* ---- signal*.c ------------------------------------------------------------------------------------- */

struct sighand *sighand_alloc(void);
struct sighand *sighand_copy(struct sighand *from); /* NULL: no memory */
void sighand_put(struct sighand *s);
/* exec: handlers become defaults, and the process gets a table of its own. 0 or -ENOMEM */
int sighand_unshare(struct process *p);
void sighand_reset(struct process *p);
/* The signals in `bits` have the default action again. => lock */
static inline void sighand_set_default(struct sighand *s, signal_set bits)
{
    s->set &= ~bits;
    s->ignored &= ~bits;
    s->caught &= ~bits;
}
void signal_queue_init(struct signal_queue *q);
/* Record where a signal for target came from; the bit is set by the caller. 0, or -EAGAIN. => the lock */
int signal_queue_add(struct signal_queue *q, struct thread *target, int signo,
                     const siginfo_t *info);
void signal_queue_flush(struct signal_queue *q); /* => the lock, or nobody else sees it */
/* Drop the signals in mask from a queue. */
void signal_queue_remove(struct signal_queue *q, signal_set mask);
/* Let t look at its signals if there are any. => sighand lock */
void signal_show(struct thread *t);
/* t has stopped, or ends: returns whether with that the process has stopped. => sighand lock */
bool signal_take_part(struct process *p, struct thread *t);
/* Does the stop of its process concern t, which may have gone on for its tracer? => sighand lock */
bool signal_stop_applies(struct thread *t);
/* The nth of the signals waiting in a queue: false if there are fewer. => sighand lock */
bool signal_queue_peek(const struct signal_queue *q, u64 n, siginfo_t *info);
/* Let t look at its signals: kill also ends stops and killable sleeps. => sighand lock */
void signal_wake(struct thread *t, bool kill);
/* The process is to die with `code`, all its threads. => sighand lock */
void group_exit_start(struct process *p, int code);
int signal_send_locked(struct process *p, struct thread *t, int signo, const siginfo_t *info);
/* Take part in a stop of the process; => called with the sighand lock held, returns without. */
void signal_stop_current(struct sighand *s, unsigned long flags);
/* Of a signal that the current process sends. */
void signal_info_user(siginfo_t *info, int signo, int code);
int signal_take(signal_set mask, siginfo_t *info); /* signal_dequeue() => sighand lock held */
void sighands_init(void);
void signals_init(void);

#define SIGNALS_STOP                                                                               \
    (signal_bit(SIGSTOP) | signal_bit(SIGTSTP) | signal_bit(SIGTTIN) | signal_bit(SIGTTOU))
#define SIGNALS_UNBLOCKABLE (signal_bit(SIGKILL) | signal_bit(SIGSTOP))
#define SIGNALS_IGNORED_BY_DEFAULT                                                                 \
    (signal_bit(SIGCONT) | signal_bit(SIGCHLD) | signal_bit(SIGWINCH) | signal_bit(SIGURG))
#define SIGNALS_SYNCHRONOUS                                                                        \
    (signal_bit(SIGSEGV) | signal_bit(SIGBUS) | signal_bit(SIGILL) | signal_bit(SIGTRAP) |         \
     signal_bit(SIGFPE) | signal_bit(SIGSYS))
#define SIGNALS_CORE                                                                               \
    (signal_bit(SIGQUIT) | signal_bit(SIGILL) | signal_bit(SIGTRAP) | signal_bit(SIGABRT) |        \
     signal_bit(SIGFPE) | signal_bit(SIGSEGV) | signal_bit(SIGBUS) | signal_bit(SIGSYS) |          \
     signal_bit(SIGXCPU) | signal_bit(SIGXFSZ))

/* ---- core.c ----------------------------------------------------------------------------------------- */

/* The current process dies of the signal: leave a core file, if it may. Returns the status. */
int core_dump(siginfo_t *info);
/* Another thread dumps core (p->core was seen): rest until it is done. */
void core_park(void);

/* ---- session.c => tree_lock held --------------------------------------------------------------------- */

/* Is group g without a member whose parent is in another group of the same session? p is not looked
 * at as a member (it is exiting). */
bool group_is_orphaned(struct process_group *g, struct process *except);
bool group_has_stopped(struct process_group *g);

/* ---- cred_change.c ------------------------------------------------------------------------------------ */

/* The credentials that exec gives for a program file of this owner and mode. err_ptr(-ENOMEM). */
struct inode;
struct cred *cred_for_exec(const struct inode *inode, bool nosuid, bool *secure);

/* ---- oom.c ---------------------------------------------------------------------------------------- */

/* End the process that has most memory, or wait for one that is ending; for a moment. Returns whether
 * it makes sense to try again. => may sleep */
bool out_of_memory(unsigned order);

#endif
