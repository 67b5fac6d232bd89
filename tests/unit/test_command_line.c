/* SPDX-License-Identifier: MIT */
/* unit: kernel/boot/command_line.c lib/number.c */
#include "unit.h"
#include <vellum/boot.h>
#include <vellum/string.h>

/* The line is cut at the first question, so each test runs in a child with a line of its own. */
static void set_line(const char *line)
{
    strlcpy(boot_info.command_line, line, sizeof(boot_info.command_line));
}

static char *argv[32], *envp[32];

static bool params_are_found(void)
{
    set_line("quiet root=/dev/vda  rw\tmem=64M  root=/dev/vdb delay=-3 bad=12q x=\"a b\"c");
    CHECK_STR(boot_param("root"), "/dev/vdb"); /* the last one counts */
    CHECK_STR(boot_param("quiet"), "");
    CHECK(!boot_param("roo"));
    CHECK(!boot_param("rootx"));
    CHECK_STR(boot_param("x"), "a bc");
    CHECK_EQ(boot_param_u64("mem", 1), 64UL << 20);
    CHECK_EQ(boot_param_u64("delay", 1), -3);
    CHECK_EQ(boot_param_u64("bad", 7), 7);
    CHECK_EQ(boot_param_u64("none", 9), 9);
    return true;
}

static bool init_gets_the_rest(void)
{
    set_line("console=ttyS0 A=1 mod.x=2 TERM=vt100 word -- -c \"echo hello\" console=tty1");
    boot_param("console");
    CHECK_STR(boot_param("console"), "ttyS0");
    boot_init_arguments("/bin/sh", argv, envp, ARRAY_SIZE(argv));
    CHECK_STR(argv[0], "/bin/sh");
    CHECK_STR(argv[1], "-c");
    CHECK_STR(argv[2], "echo hello");
    CHECK_STR(argv[3], "console=tty1");
    CHECK(!argv[4]);
    CHECK_STR(envp[0], "HOME=/");
    CHECK_STR(envp[1], "TERM=vt100");
    CHECK_STR(envp[2], "A=1");
    CHECK(!envp[3]);
    return true;
}

static bool empty_line(void)
{
    set_line("");
    CHECK(!boot_param("init"));
    boot_init_arguments("/init", argv, envp, ARRAY_SIZE(argv));
    CHECK(argv[0] && !argv[1]);
    return true;
}

static bool line_that_is_too_long(void)
{
    for (unsigned i = 0; i < COMMAND_LINE_MAX - 2; i += 2) {
        boot_info.command_line[i] = 'a' + i % 26;
        boot_info.command_line[i + 1] = ' ';
    }
    CHECK(boot_param("a"));
    boot_init_arguments("/init", argv, envp, ARRAY_SIZE(argv));
    CHECK(!argv[1]);
    return true;
}

static bool more_arguments_than_fit(void)
{
    strlcpy(boot_info.command_line, "--", 3);
    for (unsigned i = 2; i < 202; i += 2)
        memcpy(boot_info.command_line + i, " x", 3);
    CHECK(!boot_param("a"));
    boot_init_arguments("/init", argv, envp, ARRAY_SIZE(argv));
    CHECK(argv[ARRAY_SIZE(argv) - 2] && !argv[ARRAY_SIZE(argv) - 1]);
    return true;
}

TEST(command_line)
{
    CHECK_IN_CHILD(params_are_found());
    CHECK_IN_CHILD(init_gets_the_rest());
    CHECK_IN_CHILD(empty_line());
    CHECK_IN_CHILD(line_that_is_too_long());
    CHECK_IN_CHILD(more_arguments_than_fit());
}
