/* SPDX-License-Identifier: MIT */
/*
 * Core dumps (core(5)): a process that dies of certain signals leaves its memory and registers in a
 * file, for a debugger.
 *
 * The thread that took the signal marks the process as ending and waits until every other thread has
 * noticed, and rests in core_park() with its registers in order, or is past all that in exit(2). Then
 * it writes the file, as the process itself would: with its credentials, limits, directory. After
 * that all go on to their end.
 *
 * If the pattern begins with '|' the rest is a command: that program is run as root and reads the dump from
 * its standard input. RLIMIT_CORE says nothing then, but that of such a program itself, which is 1, keeps
 * it from having another one look at its own end.
 */
#include "core.h"
#include <vellum/alloc.h>
#include <vellum/format.h>
#include <vellum/mm.h>
#include <vellum/printk.h>
#include <vellum/string.h>
#include <vellum/time.h>
#include <vellum/version.h>
#include <linux/fs.h>

static char core_pattern[CORE_PATTERN_MAX] = "core"; /* [tree_lock] */
int core_uses_pid, core_pipe_limit;
static atomic_t pipes_running; /* dumps to programs */
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
    __atomic_fetch_and(&current->work, ~WORK_SIGNAL,
                       __ATOMIC_SEQ_CST); /* only SIGKILL cuts it short */
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

static void add_specifier(struct text *t, char c, const struct core *core)
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
        add_number(t, core->cred->uid);
        break;
    case 'g':
        add_number(t, core->cred->gid);
        break;
    case 'd':
        add_number(t, current->mm->dumpable);
        break;
    case 's':
        add_number(t, core->info->si_signo);
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

/* As many characters of `pattern` as the pattern of one word has. Returns whether it had %p. */
static bool expand(struct text *t, const char *pattern, size_t n, const struct core *core)
{
    const char *end = pattern + n;
    bool with_pid = false;

    for (const char *c = pattern; c < end; c++) {
        if (*c != '%') {
            add(t, (char[2]){*c});
        } else if (c + 1 < end) {
            with_pid |= *++c == 'p';
            add_specifier(t, *c, core);
        }
    }
    return with_pid;
}

static void make_name(char *name, size_t size, const char *pattern, const struct core *core)
{
    struct text t = {name, name + size - 1};

    if (!expand(&t, pattern, strlen(pattern), core) && core_uses_pid) {
        add(&t, ".");
        add_number(&t, current->process->pid);
    }
    *t.at = '\0';
}

#define WORDS_MAX (CORE_PATTERN_MAX / 2 + 1)

/* The words of a command, each expanded after they were taken apart; the texts lie in `name`. */
static void make_words(char *words[WORDS_MAX], char *name, size_t size, const char *pattern,
                       const struct core *core)
{
    struct text t = {name, name + size - 1};
    unsigned count = 0;
    size_t n;

    for (; *pattern; pattern += n) {
        for (n = 0; pattern[n] && pattern[n] != ' '; n++)
            ;
        if (n && t.at < t.end) {
            words[count++] = t.at;
            expand(&t, pattern, n, core);
            *t.at++ = '\0';
        }
        n += pattern[n] == ' ';
    }
    words[count] = NULL;
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

static bool dump_to_file(struct core *core, char *name, const char *pattern)
{
    struct core_file out = {.limit = process_limit(RLIMIT_CORE)};
    bool secret = current->mm->dumpable == 2;
    int error;

    if (out.limit < PAGE_SIZE)
        return false;
    make_name(name, PATH_MAX, pattern, core);
    if (secret && *name != '/') /* never where the user who started it chose to be */
        return false;
    out.file = core_open(name, secret);
    if (is_err(out.file))
        return false;
    error = core_write(core, &out);
    file_put(out.file);
    return error == 0 || error == -EFBIG;
}

/* ---- the program --------------------------------------------------------------------------------------------- */

static bool dump_to_program(struct core *core, char *name, const char *pattern)
{
    struct core_file out = {.limit = ~0UL, .is_pipe = true};
    char *words[WORDS_MAX];
    struct file *ends[2];
    int error;

    make_words(words, name, PATH_MAX, pattern, core);
    error = words[0] ? pipe_create(ends, 0) : -EINVAL;
    if (error)
        return false;
    out.file = ends[1];
    error = helper_run(words, ends[0]);
    if (error)
        pr_warn("core dump of process %d: %s: error %d", current->process->pid, words[0], -error);
    else
        error = core_write(core, &out);
    if (!error && core_pipe_limit) /* it may want to look at /proc/PID: stay until it has ended */
        pipe_finish(out.file);
    file_put(out.file);
    return error == 0;
}

static bool dump(struct core *core, char *name)
{
    char pattern[CORE_PATTERN_MAX];
    int running, limit = core_pipe_limit;
    bool dumped = false;

    core_pattern_get(pattern);
    if (*pattern != '|')
        return dump_to_file(core, name, pattern);
    if (process_limit(RLIMIT_CORE) == HELPER_CORE_LIMIT)
        return false;
    running = atomic_inc_return(&pipes_running);
    if (limit && running > limit)
        pr_warn("core dump of process %d: more than core_pipe_limit", current->process->pid);
    else
        dumped = dump_to_program(core, name, pattern + 1);
    atomic_dec(&pipes_running);
    return dumped;
}

int core_dump(siginfo_t *info)
{
    const struct cred *cred = current->cred;
    struct core core = {
        .dumper = current, .info = info, .cred = cred, .parked = LIST_INIT(core.parked)};
    struct mm *mm = current->mm;
    int signo = info->si_signo;
    char *name;

    if (!mm || mm->dumpable == 0 ||
        (process_limit(RLIMIT_CORE) < PAGE_SIZE && READ_ONCE(core_pattern[0]) != '|'))
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

void core_pattern_set(const char *pattern)
{
    unsigned long flags = spin_lock_irqsave(&tree_lock);

    strlcpy(core_pattern, pattern, CORE_PATTERN_MAX);
    spin_unlock_irqrestore(&tree_lock, flags);
}
