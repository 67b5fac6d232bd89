/* SPDX-License-Identifier: MIT */
/*
 * Bugs on demand: /proc/provoke_crash lists them, and root provokes one by writing its name there.
 *
 * This is how to see what an oops looks like, and how the tests know that the walls between kernel
 * and user, code and data, stack and stack are up. What a bug in the context of a process ends is
 * that process; a spent stack ends in a panic. A debug kernel adds the mistakes that its checks find
 * (kernel/debug/mistakes.c). (The idea is that of Linux's
 * lkdtm.)
 */
#include <vellum/process.h>
#include <vellum/provoke.h>
#include <vellum/seq_file.h>
#include <vellum/string.h>

static const char constant[16] = "never written";
static u8 data[16];

static void provoked_panic(void)
{
    panic("provoked");
}

static void read_null(void)
{
    u64 *volatile null = NULL;

    (void)READ_ONCE(null[1]);
}

static void illegal_instruction(void)
{
    __builtin_trap();
}

/* Each call keeps a part of the stack and shows it to the next, so that none can be left out. */
static __noinline unsigned spend_stack(const volatile u8 *callers)
{
    volatile u8 part[512];

    part[0] = *callers + 1;
    return *callers == 0 && part[0] == 0 ? 0 : spend_stack(part) + part[0];
}

static void spent_stack(void)
{
    WRITE_ONCE(data[0], (u8)spend_stack(data));
}

static void write_code(void)
{
    WRITE_ONCE(*(u8 *)(vaddr_t)provoke_crash, 0);
}

static void write_constant(void)
{
    WRITE_ONCE(*(u8 *)(vaddr_t)constant, 0);
}

static void execute_data(void)
{
    void (*volatile function)(void) = (void (*)(void))(vaddr_t)data;

    function();
}

static void read_user(void)
{
    (void)READ_ONCE(*(u64 *)(frame_sp(thread_frame(current)) & ~7UL));
}

static void execute_user(void)
{
    void (*volatile function)(void) = (void (*)(void))frame_pc(thread_frame(current));

    function();
}

static const struct bug bugs[] = {
    {"panic", provoked_panic},
    {"null", read_null},
    {"illegal-instruction", illegal_instruction},
    {"stack-overflow", spent_stack},
    {"write-code", write_code},
    {"write-constant", write_constant},
    {"execute-data", execute_data},
    {"read-user", read_user},
    {"execute-user", execute_user},
    {0},
};

static const struct bug *more = bugs + ARRAY_SIZE(bugs) - 1; /* [i] once started */

void provoke_add(const struct bug *list)
{
    more = list;
}

static const struct bug *find(const struct bug *list, const char *name)
{
    while (list->name && strcmp(list->name, name) != 0)
        list++;
    return list->name ? list : NULL;
}

int provoke_crash(const char *name)
{
    const struct bug *bug = find(bugs, name);

    if (!bug)
        bug = find(more, name);
    if (!bug)
        return -EINVAL;
    bug->make();
    return 0;
}

void provoke_show(struct seq_file *m)
{
    for (const struct bug *bug = bugs; bug->name; bug++)
        seq_printf(m, "%s\n", bug->name);
    for (const struct bug *bug = more; bug->name; bug++)
        seq_printf(m, "%s\n", bug->name);
}
