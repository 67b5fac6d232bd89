/* SPDX-License-Identifier: MIT */
/*
 * Core dumps (core(5)): a process that dies of certain signals leaves its memory and registers in a
 * file, for a debugger.
 *
 * The thread that took the signal marks the process as ending and waits until every other thread has
 * noticed, and rests in core_park() with its registers in order, or is past all that in exit(2). Then
 * it writes the file, as the process itself would: with its credentials, limits, directory. After
 * that all go on to their end.
 */
#include "core.h"
#include <vellum/alloc.h>
#include <vellum/format.h>
#include <vellum/mm.h>
#include <vellum/string.h>
#include <vellum/time.h>
#include <vellum/version.h>
#include <linux/fs.h>

static char core_pattern[CORE_PATTERN_MAX] = "core"; /* [tree_lock] */
int core_uses_pid;
int suid_dumpable;

/* ---- coming to rest ----------------------------------------------------------------------------------- */

static bool core_begin(struct core *core)
{
    struct process *p = current->process;
    unsigned long flags;
    struct sighand *s;
    struct thread *t;

    if (tracee_make(current) != 0)
        return false;
    s = sighand_lock(p, &flags);
    if (p->group_exiting || p->exec_thread) {
        sighand_unlock(s, flags);
        return false;
    }
    p->core = core;
    p->group_exiting = true;
    p->group_exit_code = core->info->si_signo;
    p->group_stop_signal = p->stop_pending = 0;
    list_for_each_entry(t, &p->threads, thread_link)
        if (t != current)
            signal_wake(t, true);
    while (p->thread_count > core->count + 1) {
        __atomic_store_n(&current->state, TASK_UNINTERRUPTIBLE, __ATOMIC_SEQ_CST);
        sighand_unlock(s, flags);
        schedule();
        s = sighand_lock(p, &flags);
    }
    sighand_unlock(s, flags);
    arch_tracee_save(current);
    return true;
}

static void core_end(struct core *core, bool dumped)
{
    struct process *p = current->process;
    struct core_thread *c, *next;
    unsigned long flags;
    struct sighand *s = sighand_lock(p, &flags);

    p->core = NULL;
    if (dumped)
        p->group_exit_code |= 0x80;
    list_for_each_entry_safe(c, next, &core->parked, link)
        complete(&c->done);
    sighand_unlock(s, flags);
}

void core_park(void)
{
    struct process *p = current->process;
    struct core_thread c = {.thread = current};
    unsigned long flags;
    struct sighand *s;
    bool parked = false;

    if (tracee_make(current) != 0)
        return; /* without its registers it is left out */
    completion_init(&c.done);
    arch_tracee_save(current);
    s = sighand_lock(p, &flags);
    if (p->core && p->core->dumper != current) {
        list_add_tail(&c.link, &p->core->parked);
        p->core->count++;
        wake_thread(p->core->dumper);
        parked = true;
    }
    sighand_unlock(s, flags);
    if (parked)
        wait_for_completion(&c.done);
}

/* ---- the file's name ----------------------------------------------------------------------------------------- */

struct text {
    char *at, *end;
};

static void add(struct text *t, const char *word)
{
    while (*word && t->at < t->end)
        *t->at++ = *word++;
}

static void add_number(struct text *t, s64 n)
{
    char word[24];

    snprintf(word, sizeof(word), "%lld", (long long)n);
    add(t, word);
}

/* A name that is not to become several. */
static void add_flat(struct text *t, const char *word)
{
    for (; *word && t->at < t->end; word++)
        *t->at++ = *word == '/' ? '!' : *word;
}

static void add_program(struct text *t, bool whole)
{
    struct mm *mm = current->mm;
    char *buffer = kmalloc(PATH_MAX, ALLOC_KERNEL);
    const char *name = buffer && mm->exe ? path_name(&mm->exe->path, buffer, PATH_MAX) : NULL;

    if (!name || is_err(name))
        name = current->comm;
    if (!whole && strrchr(name, '/'))
        name = strrchr(name, '/') + 1;
    add_flat(t, name);
    kfree(buffer);
}

static void add_specifier(struct text *t, char c, const siginfo_t *info)
{
    struct process *p = current->process;
    char host[65];

    switch (c) {
    case '%':
        add(t, "%");
        break;
    case 'p':
    case 'P':
        add_number(t, p->pid);
        break;
    case 'i':
    case 'I':
        add_number(t, current->tid);
        break;
    case 'u':
        add_number(t, current->cred->uid);
        break;
    case 'g':
        add_number(t, current->cred->gid);
        break;
    case 'd':
        add_number(t, current->mm->dumpable);
        break;
    case 's':
        add_number(t, info->si_signo);
        break;
    case 't':
        add_number(t, ktime_real() / NSEC_PER_SEC);
        break;
    case 'h':
        host_name_get(host);
        add_flat(t, host);
        break;
    case 'e':
        add_flat(t, current->comm);
        break;
    case 'E':
        add_program(t, true);
        break;
    case 'f':
        add_program(t, false);
        break;
    case 'c':
        add_number(t, process_limit(RLIMIT_CORE));
        break;
    }
}

static void make_name(char *name, size_t size, const siginfo_t *info)
{
    char pattern[CORE_PATTERN_MAX];
    struct text t = {name, name + size - 1};
    bool with_pid = false;
    unsigned long flags = spin_lock_irqsave(&tree_lock);

    memcpy(pattern, core_pattern, sizeof(pattern));
    spin_unlock_irqrestore(&tree_lock, flags);
    for (const char *c = pattern; *c; c++) {
        if (*c != '%') {
            add(&t, (char[2]){*c});
        } else if (c[1]) {
            with_pid |= *++c == 'p';
            add_specifier(&t, *c, info);
        }
    }
    if (core_uses_pid && !with_pid) {
        add(&t, ".");
        add_number(&t, current->process->pid);
    }
    *t.at = '\0';
}

/* ---- the file -------------------------------------------------------------------------------------------------- */

/* It must be what we have made: a file system may see to owner and mode in its own way. */
static int check_file(struct file *f)
{
    const struct inode *inode = f->inode;

    if (!S_ISREG(inode->mode) || inode->nlink != 1 || inode->uid != current->cred->fsuid ||
        (inode->mode & 0677) != 0600)
        return -EPERM;
    return 0;
}

/* A new file; what was there goes, but never with the rights of root for somebody else. */
static struct file *core_open(const char *name, bool secret)
{
    struct file *f;
    int error;

    if (!secret)
        (void)kernel_unlink(name);
    f = file_open(name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_LARGEFILE, 0600);
    if (is_err(f))
        return f;
    error = check_file(f);
    if (!error)
        return f;
    file_put(f);
    return err_ptr(error);
}

static bool dump(struct core *core, char *name)
{
    struct core_file out = {.limit = process_limit(RLIMIT_CORE)};
    bool secret = current->mm->dumpable == 2;
    int error;

    make_name(name, PATH_MAX, core->info);
    if (secret && *name != '/') /* never where the user who started it chose to be */
        return false;
    out.file = core_open(name, secret);
    if (is_err(out.file))
        return false;
    error = core_write(core, &out);
    file_put(out.file);
    return error == 0 || error == -EFBIG;
}

int core_dump(siginfo_t *info)
{
    struct core core = {.dumper = current, .info = info, .parked = LIST_INIT(core.parked)};
    const struct cred *cred = current->cred;
    struct mm *mm = current->mm;
    int signo = info->si_signo;
    char *name;

    if (!mm || mm->dumpable == 0 || process_limit(RLIMIT_CORE) < PAGE_SIZE)
        return signo;
    name = kmalloc(PATH_MAX, ALLOC_KERNEL);
    if (!name)
        return signo;
    if (core_begin(&core)) {
        bool dumped;

        if (mm->dumpable == 2) /* root's file */
            current->cred = &root_cred;
        dumped = dump(&core, name);
        current->cred = cred;
        core_end(&core, dumped);
        signo = current->process->group_exit_code;
    }
    kfree(name);
    return signo;
}

/* ---- settings -------------------------------------------------------------------------------------------------- */

void core_pattern_get(char pattern[CORE_PATTERN_MAX])
{
    unsigned long flags = spin_lock_irqsave(&tree_lock);

    memcpy(pattern, core_pattern, CORE_PATTERN_MAX);
    spin_unlock_irqrestore(&tree_lock, flags);
}

int core_pattern_set(const char *pattern)
{
    unsigned long flags;

    if (*pattern == '|') /* no programs are started to take the dump */
        return -EINVAL;
    flags = spin_lock_irqsave(&tree_lock);
    strlcpy(core_pattern, pattern, CORE_PATTERN_MAX);
    spin_unlock_irqrestore(&tree_lock, flags);
    return 0;
}
