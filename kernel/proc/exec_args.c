/* SPDX-License-Identifier: MIT */
/*
 * Arguments and environment on their way from the old program to the new one's stack.
 *
 * They are copied into a chain of frames while the old address space is still there. Then, in the new
 * one, the stack is filled in from the top as the System V ABI and Linux have it:
 *
 *     stack_top        8 zero bytes
 *                      file name                     AT_EXECFN
 *                      strings of envp
 *                      strings of argv
 *                      platform name                 AT_PLATFORM
 *                      16 random bytes               AT_RANDOM
 *                      auxiliary vector
 *                      envp[0] .. NULL
 *                      argv[0] .. NULL
 *     sp (16-aligned)  argc
 */
#include "exec.h"
#include <vellum/alloc.h>
#include <vellum/random.h>
#include <vellum/string.h>
#include <vellum/uaccess.h>

#define TOTAL_MIN (128UL << 10) /* whatever RLIMIT_STACK says */
#define TOTAL_MAX (6UL << 20)

/* ---- in --------------------------------------------------------------------------------------------- */

/* Where the next byte goes, and how many fit in that frame. NULL: no memory */
static char *room(struct exec_args *args, size_t *n)
{
    size_t offset = args->used % PAGE_SIZE;
    struct page *page;

    if (offset == 0) {
        page = page_alloc(ALLOC_USER);
        if (!page)
            return NULL;
        list_add_tail(&page->link, &args->pages);
    } else {
        page = list_last_entry(&args->pages, struct page, link);
    }
    *n = PAGE_SIZE - offset;
    return (char *)page_to_virt(page) + offset;
}

/* Copy up to n bytes of a string: the bytes copied, zero included if it was reached, or -EFAULT. */
static ssize_t copy_piece(char *to, const char *from, size_t n, bool kernel, bool *end)
{
    ssize_t length;

    if (kernel) {
        length = strnlen(from, n);
        memcpy(to, from, min((size_t)length + 1, n));
    } else {
        length = copy_user_string(to, from, n);
    }
    *end = length >= 0 && length < n;
    return *end ? length + 1 : length;
}

static int add_string(struct exec_args *args, const char *from, bool kernel)
{
    size_t length = 0, n;
    bool end = false;

    while (!end) {
        size_t before = args->used;
        char *to = room(args, &n);
        ssize_t done;

        if (!to)
            return -ENOMEM;
        n = min(n, args->limit - args->used);
        if (n == 0 || length >= EXEC_STRING_MAX) {
            if (before % PAGE_SIZE == 0) { /* the frame just added holds nothing */
                struct page *page = list_last_entry(&args->pages, struct page, link);

                list_del(&page->link);
                page_put(page);
            }
            return -E2BIG;
        }
        done = copy_piece(to, from + length, n, kernel, &end);
        if (done < 0)
            return done;
        args->used += done;
        length += done;
    }
    return length > EXEC_STRING_MAX ? -E2BIG : 0;
}

static int string_at(const struct exec_strings *s, unsigned i, const char **string)
{
    vaddr_t address = 0;

    if (s->kernel)
        address = (vaddr_t)s->kernel[i];
    else if (s->user && get_user(address, s->user + i))
        return -EFAULT;
    *string = (const char *)address;
    return 0;
}

static int add_strings(struct exec_args *args, const struct exec_strings *s, unsigned *count)
{
    const char *string;
    int error;

    for (*count = 0;; ++*count) {
        error = string_at(s, *count, &string);
        if (error || !string)
            return error;
        if (args->limit - args->used <= 2 * sizeof(vaddr_t))
            return -E2BIG;
        args->limit -= sizeof(vaddr_t); /* the pointer to it needs room too */
        error = add_string(args, string, s->kernel);
        if (error)
            return error;
        if (fatal_signal_pending())
            return -EINTR;
    }
}

int exec_args_copy(struct exec_args *args, const struct exec_strings *argv,
                   const struct exec_strings *envp)
{
    int error;

    args->limit = clamp(process_limit(RLIMIT_STACK) / 4, TOTAL_MIN, TOTAL_MAX);
    error = add_strings(args, argv, &args->argc);
    if (!error && args->argc == 0) { /* programs rely on argv[0] */
        error = add_string(args, "", true);
        args->argc = 1;
    }
    args->argv_size = args->used;
    return error ? error : add_strings(args, envp, &args->envc);
}

void exec_args_free(struct exec_args *args)
{
    struct page *page, *next;

    list_for_each_entry_safe(page, next, &args->pages, link)
        page_put(page);
    list_init(&args->pages);
    while (args->front_count)
        kfree(args->front[--args->front_count]);
}

int exec_args_prepend(struct exec_args *args, const char *first, const char *second,
                      const char *third)
{
    const char *strings[3] = {first, second, third};
    char *copies[3];
    unsigned n = 0;

    if (args->drop_first) { /* a script run by a script: the name it has there goes */
        kfree(args->front[0]);
        memmove(args->front, args->front + 1, --args->front_count * sizeof(args->front[0]));
    }
    args->drop_first = true;
    for (int i = 0; i < 3; i++) {
        if (!strings[i])
            continue;
        copies[n] = kstrdup(strings[i], ALLOC_KERNEL);
        if (!copies[n])
            goto no_memory;
        n++;
    }
    memmove(args->front + n, args->front, args->front_count * sizeof(args->front[0]));
    memcpy(args->front, copies, n * sizeof(copies[0]));
    args->front_count += n;
    return 0;

no_memory:
    while (n)
        kfree(copies[--n]);
    return -ENOMEM;
}

unsigned exec_args_count(const struct exec_args *args)
{
    return args->argc - args->drop_first + args->front_count;
}

/* ---- out -------------------------------------------------------------------------------------------- */

/* Copies the chain of frames to the stack and notes where strings begin. */
struct writer {
    const struct exec_args *args;
    struct page *page;    /* at `done` */
    size_t done;          /* bytes of the chain passed */
    vaddr_t to;           /* where the next byte goes */
    u64 __user *pointers; /* where the next pointer goes */
    bool at_start;        /* of a string */
    bool failed;
};

static void note_pointer(struct writer *w, u64 value)
{
    w->failed |= put_user(value, w->pointers) != 0;
    w->pointers++;
}

/* A piece of the chain that is in one frame: copy it, and note the strings that begin in it. */
static void write_piece(struct writer *w, const char *text, size_t n)
{
    const char *end = text + n, *p = text;

    w->failed |= copy_to_user((void __user *)w->to, text, n) != 0;
    while (p < end) {
        const char *zero = memchr(p, '\0', end - p);

        if (w->at_start)
            note_pointer(w, w->to + (p - text));
        w->at_start = zero != NULL;
        p = zero ? zero + 1 : end;
    }
    w->to += n;
}

static void write_chain(struct writer *w, size_t until)
{
    while (w->done < until && !w->failed) {
        size_t offset = w->done % PAGE_SIZE, n = min(PAGE_SIZE - offset, until - w->done);

        write_piece(w, (char *)page_to_virt(w->page) + offset, n);
        w->done += n;
        if (w->done % PAGE_SIZE == 0)
            w->page = list_next_entry(w->page, link);
    }
}

static void skip_first(struct writer *w)
{
    const char *p;

    do {
        p = (char *)page_to_virt(w->page) + w->done % PAGE_SIZE;
        if (++w->done % PAGE_SIZE == 0)
            w->page = list_next_entry(w->page, link);
    } while (*p);
}

static void write_strings(struct writer *w)
{
    const struct exec_args *args = w->args;

    w->page = list_first_entry(&args->pages, struct page, link);
    w->at_start = true;
    if (args->drop_first)
        skip_first(w);
    for (unsigned i = 0; i < args->front_count; i++)
        write_piece(w, args->front[i], strlen(args->front[i]) + 1);
    write_chain(w, args->argv_size);
    note_pointer(w, 0);
}

static size_t first_size(const struct exec_args *args)
{
    struct writer w = {.args = args, .page = list_first_entry(&args->pages, struct page, link)};

    if (!args->drop_first)
        return 0;
    skip_first(&w);
    return w.done;
}

static size_t front_size(const struct exec_args *args)
{
    size_t n = 0;

    for (unsigned i = 0; i < args->front_count; i++)
        n += strlen(args->front[i]) + 1;
    return n;
}

size_t exec_stack_need(const struct exec *e)
{
    const struct exec_args *args = &e->args;

    return args->used + front_size(args) + strlen(e->name) + 1 +
           256 /* alignment, platform, random */ +
           (exec_args_count(args) + args->envc + 3) * sizeof(u64) + sizeof(e->mm->auxv);
}

/* Put n bytes below *top. */
static vaddr_t push(vaddr_t *top, const void *data, size_t n, bool *failed)
{
    *top -= n;
    *failed |= copy_to_user((void __user *)*top, data, n) != 0;
    return *top;
}

vaddr_t exec_args_store(const struct exec *e)
{
    const struct exec_args *args = &e->args;
    struct mm *mm = current->mm;
    struct writer w = {.args = args};
    unsigned argc = exec_args_count(args);
    vaddr_t top = e->stack_top - sizeof(u64), name, platform = 0, random, sp;
    u8 bytes[16];

    name = push(&top, e->name, strlen(e->name) + 1, &w.failed);
    top -= args->used - first_size(args) + front_size(args);
    w.to = top;
    if (ELF_PLATFORM)
        platform = push(&top, ELF_PLATFORM, strlen(ELF_PLATFORM) + 1, &w.failed);
    random_bytes(bytes, sizeof(bytes));
    random = push(&top, bytes, sizeof(bytes), &w.failed);
    elf_fill_auxv(e, random, platform, name);
    top = ALIGN_DOWN(top, 16) - mm->auxv_words * sizeof(u64);
    sp = ALIGN_DOWN(top - (argc + args->envc + 3) * sizeof(u64), 16);

    w.pointers = (u64 __user *)sp;
    mm->args_start = w.to;
    note_pointer(&w, argc);
    write_strings(&w);
    mm->args_end = mm->env_start = w.to;
    write_chain(&w, args->used);
    note_pointer(&w, 0);
    mm->env_end = w.to;
    w.failed |= copy_to_user(w.pointers, mm->auxv, mm->auxv_words * sizeof(u64)) != 0;
    mm->stack_start = sp;
    return w.failed ? 0 : sp;
}
