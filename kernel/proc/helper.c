/* SPDX-License-Identifier: MIT */
/*
 * Programs that the kernel itself runs: the one that takes core dumps (core(5)).
 *
 * Such a process is made of nothing, as the first one was: a thread that begins in the kernel, with the
 * first root as its directory, root's credentials and init's limits, and becomes the program by exec. It is
 * a child of init in a session of its own (0), but nobody is told of its end.
 */
#include "internal.h"
#include <vellum/cred.h>
#include <vellum/string.h>

struct helper {
    char *const *argv;
    struct completion started;
    int error;
};

/* => the first of its instructions; ends as a program, or not at all */
static void helper_thread(void *arg)
{
    static char *const environment[] = {"HOME=/", "PATH=/sbin:/bin:/usr/sbin:/usr/bin", NULL};
    struct helper *h = arg;
    int error;

    irq_enable();
    preempt_enable();
    error = exec_kernel(h->argv[0], h->argv, environment);
    h->error = error;
    complete(&h->started); /* h is gone from here on */
    if (error)
        thread_exit(0);
    arch_enter_user();
}

/* Files, directory and handlers of its own. 0 or -ENOMEM, and what is there already is the caller's */
static int give_resources(struct process *p, struct thread *t)
{
    p->sighand = sighand_alloc();
    t->fs = fs_context_create();
    t->files = files_create();
    return p->sighand && t->fs && t->files ? 0 : -ENOMEM;
}

static void discard(struct process *p, struct thread *t)
{
    if (t && t->files)
        files_put(t->files);
    if (t && t->fs)
        fs_context_put(t->fs);
    if (t)
        thread_free(t);
    process_put(p);
}

/* Let it be found, as a child of init. 0, -EAGAIN, -ENOMEM */
static int publish(struct process *p, struct thread *t, struct process_group **spare)
{
    unsigned long flags = spin_lock_irqsave(&tree_lock);
    int error = tid_attach(t, 0);

    if (!error) {
        p->pid = t->tid;
        p->parent = init_process;
        p->parent_pid = init_process->pid;
        ref_get(&t->refs);
        p->leader = t;
        list_add(&t->thread_link, &p->threads);
        p->thread_count = 1;
        group_join(p, 0, spare);
        session_join(p, 0, spare);
        list_add_tail(&p->sibling, &init_process->children);
        list_add_tail(&p->all_link, &all_processes);
        atomic_inc(&t->cred->user->processes);
    }
    spin_unlock_irqrestore(&tree_lock, flags);
    return error;
}

/* The lowest descriptor of a new table, which nobody else sees yet. */
static void install_input(struct files *f, struct file *input)
{
    f->table[0] = input;
    f->open[0] |= 1;
    f->next = 1;
}

int helper_run(char *const argv[], struct file *input)
{
    struct helper h = {.argv = argv};
    struct process_group *group = group_alloc();
    struct process *p = group ? process_alloc(init_process) : NULL;
    struct thread *t = p ? thread_alloc(p) : NULL;
    int error = t ? give_resources(p, t) : -ENOMEM;

    if (error)
        goto fail;
    p->is_helper = true;
    p->exit_signal = SIGCHLD;
    p->limits[RLIMIT_CORE] = (struct rlimit64){HELPER_CORE_LIMIT, HELPER_CORE_LIMIT};
    strlcpy(t->comm, "helper", sizeof(t->comm));
    completion_init(&h.started);
    sched_fork(t, &boot_thread);
    t->affinity.bits = ~0UL;
    arch_thread_start_kernel(t, helper_thread, &h);
    error = publish(p, t, &group);
    if (error)
        goto fail;
    install_input(t->files, input);
    group_free(group);
    wake_new_thread(t);
    wait_for_completion(&h.started);
    return h.error;

fail:
    if (p)
        discard(p, t);
    group_free(group);
    file_put(input);
    return error;
}
