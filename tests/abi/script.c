/* SPDX-License-Identifier: MIT */
/* Scripts: the #! line, the arguments the interpreter is given, the limits. */
#include "check.h"

static char want[1024];

/* The interpreter: compares its arguments, joined by '|', with the wanted ones. */
static int interpreter(int argc, char **argv)
{
    char got[2048] = "";
    for (int i = 1; i < argc; i++) {
        strcat(got, i > 1 ? "|" : "");
        strncat(got, argv[i], 1000);
    }
    const char *wanted = getenv("WANT");
    if (!wanted)
        return 44;
    if (strcmp(got, wanted)) {
        write(2, got, strlen(got));
        write(2, "\n", 1);
        return 1;
    }
    return 0;
}

/* Makes a script whose first line is LINE with %s replaced by the interpreter, and runs it. */
static int run_script(const char *line, const char *arguments)
{
    char text[2048];
    snprintf(text, sizeof(text), line, "./interp");
    unlink("script");
    write_file("script", text, 0755);
    snprintf(want, sizeof(want), "WANT=%s", arguments);
    char *argv[] = {"name", "first", "second", NULL}, *envp[] = {want, NULL};
    return IN_CHILD(execve("./script", argv, envp); _exit(errno));
}

static int prepare(void)
{
    if (qemu_user_lacks("scripts"))
        return 0;
    REQUIRE(symlink(check_state->self, "interp") == 0);
    return 1;
}

static void the_line(void)
{
    if (!prepare())
        return;
    CHECK_EQ(run_script("#!%s\n", "./script|first|second"), 0, "interpreter without an argument");
    CHECK_EQ(run_script("#!%s -x\n", "-x|./script|first|second"), 0, "with an argument");
    CHECK_EQ(run_script("#!%s -x -y  z\n", "-x -y  z|./script|first|second"), 0,
             "all that follows is one argument");
    CHECK_EQ(run_script("#! \t %s \t -x \t \n", "-x|./script|first|second"), 0,
             "blanks around name and argument are dropped");
    CHECK_EQ(run_script("#!%s  \n", "./script|first|second"), 0, "blanks alone are no argument");
    CHECK_EQ(run_script("#!%s", "./script|first|second"), 0, "the line may end with the file");
    CHECK_EQ(run_script("#!%s -x", "-x|./script|first|second"), 0, "also behind an argument");
    CHECK_EQ(run_script("#!\n", ""), ENOEXEC, "a line without a name");
    CHECK_EQ(run_script("#!   \n", ""), ENOEXEC, "a line with blanks alone");
    CHECK_EQ(run_script("# !%s\n", ""), ENOEXEC, "a comment is no #! line");
    CHECK_EQ(run_script("#!./missing\n", ""), ENOENT, "the interpreter is missing");
    CHECK_EQ(run_script("#!.\n", ""), EACCES, "the interpreter is a directory");
    CHECK_EQ(run_script("#!%s\nWANT", "./script|first|second"), 0,
             "the rest of the file is not read");
}

static void nested(void)
{
    if (!prepare())
        return;
    char path[32], text[64];
    write_file("s0", "#!./interp deep\n", 0755);
    for (int i = 1; i <= 5; i++) {
        snprintf(path, sizeof(path), "s%d", i);
        snprintf(text, sizeof(text), "#!./s%d\n", i - 1);
        write_file(path, text, 0755);
    }
    char *argv[] = {"x", "arg", NULL}, *envp[] = {"WANT=deep|./s0|./s1|./s2|./s3|./s4|arg", NULL};
    CHECK_EQ(IN_CHILD(execve("./s4", argv, envp); _exit(errno)), 0,
             "a script may be another script's interpreter, five deep");
    CHECK_EQ(IN_CHILD(execve("./s5", argv, envp); _exit(errno)), ELOOP, "six deep are too many");
    write_file("self", "#!./self\n", 0755);
    CHECK_EQ(IN_CHILD(execve("./self", argv, envp); _exit(errno)), ELOOP,
             "a script that is its own interpreter");
}

static void limits(void)
{
    if (!prepare())
        return;
    /* The kernel looks at the first 256 bytes. A longer argument is cut, a longer name refused. */
    char line[600], arguments[600], blanks[400];
    memset(line, 'a', sizeof(line));
    memcpy(line, "#!./interp ", 11);
    strcpy(line + 300, "\n");
    memset(arguments, 'a', sizeof(arguments));
    strcpy(arguments + 255 - 10, "|./script|first|second");
    int status = run_script(line, arguments + 1);
    CHECK_EQ(status, 0, "an argument beyond byte 256 is cut there");
    memset(line, 'a', sizeof(line));
    memcpy(line, "#!./", 4);
    strcpy(line + 300, "\n");
    CHECK_EQ(run_script(line, ""), ENOEXEC, "an interpreter's name beyond byte 256 is refused");
    memset(blanks, ' ', sizeof(blanks));
    memcpy(blanks, "#!", 2);
    strcpy(blanks + 300, "./interp\n");
    CHECK_EQ(run_script(blanks, ""), ENOEXEC, "so is one that begins there");
}

static void environment_and_permissions(void)
{
    if (!prepare())
        return;
    write_file("s", "#!./interp\n", 0644);
    char *argv[] = {"x", NULL}, *envp[] = {NULL};
    CHECK_FAIL(execve("./s", argv, envp), EACCES, "a script needs the execute bit");
    REQUIRE(chmod("s", 0711) == 0);
    CHECK_EQ(IN_CHILD(execve("./s", argv, envp); _exit(errno)), 44,
             "the environment is passed as given");
    write_file("plain", "data", 0644);
    write_file("t", "#!./plain\n", 0755);
    CHECK_FAIL(execve("./t", argv, envp), EACCES, "the interpreter needs it too");
    REQUIRE(chmod("plain", 0755) == 0);
    CHECK_FAIL(execve("./t", argv, envp), ENOEXEC, "and must be a program");
    char *none[] = {NULL}, *one[] = {"WANT=./s", NULL};
    CHECK_EQ(IN_CHILD(execve("./s", none, one); _exit(errno)), 0,
             "an empty argv gets the script's name");
}

static void by_descriptor(void)
{
    if (!prepare())
        return;
    write_file("s", "#!./interp\n", 0755);
    int fd = open("s", O_RDONLY), closed = fcntl(fd, F_DUPFD_CLOEXEC, 100);
    REQUIRE(dup2(fd, 99) == 99);
    char *argv[] = {"x", "a", NULL}, *envp[] = {"WANT=/dev/fd/99|a", NULL};
    CHECK_EQ(IN_CHILD(execveat(99, "", argv, envp, AT_EMPTY_PATH); _exit(errno)), 0,
             "a script by descriptor is told as /dev/fd/N");
    CHECK_EQ(IN_CHILD(execveat(closed, "", argv, envp, AT_EMPTY_PATH); _exit(errno)), ENOENT,
             "which cannot be if the descriptor is closed by the exec");
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        CASE(the_line),      CASE(nested), CASE(limits), CASE(environment_and_permissions),
        CASE(by_descriptor), {NULL, NULL},
    };
    if (argc > 0 && strcmp(argv[0], "./interp") == 0)
        return interpreter(argc, argv);
    return check_run(cases);
}
