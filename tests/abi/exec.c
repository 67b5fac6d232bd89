/* SPDX-License-Identifier: MIT */
/* execve and execveat: what the new program is given, what it keeps, what is refused. */
#include "check.h"

#include <elf.h>
#include <sys/auxv.h>
#include <sys/resource.h>

extern char **environ;

/* ---- the executed side: `exec --VERB ...`, result in the exit status ---- */

static int probe_layout(int argc, char **argv)
{
    /* argv, envp and auxv follow each other; the strings lie above, in order. */
    char **p = argv + argc;
    int bad = 0;
    bad |= *p == NULL ? 0 : 1;
    bad |= p + 1 == environ ? 0 : 2;
    for (int i = 1; i < argc; i++)
        bad |= argv[i] == argv[i - 1] + strlen(argv[i - 1]) + 1 ? 0 : 4;
    bad |= environ[0] == argv[argc - 1] + strlen(argv[argc - 1]) + 1 ? 0 : 8;
    for (p = environ; *p; p++)
        ;
    unsigned long *aux = (unsigned long *)(p + 1);
    while (aux[0] != AT_NULL)
        aux += 2;
    bad |= (char *)aux < argv[0] ? 0 : 16;
    bad |= strcmp(argv[2], "one two") || strcmp(argv[3], "") || strcmp(argv[4], "\xff\n") ? 32 : 0;
    bad |= strcmp(environ[0], "A=1") || strcmp(environ[1], "odd") || environ[2] ? 64 : 0;
    return bad;
}

static int probe_auxv(void)
{
    int bad = 0;
    extern const Elf64_Ehdr __ehdr_start;
    bad |= getauxval(AT_PAGESZ) == 4096 ? 0 : 1;
    bad |= getauxval(AT_PHDR) == (uintptr_t)&__ehdr_start + __ehdr_start.e_phoff ? 0 : 2;
    bad |= getauxval(AT_PHNUM) == __ehdr_start.e_phnum && getauxval(AT_PHENT) == 56 ? 0 : 4;
    bad |= getauxval(AT_ENTRY) == __ehdr_start.e_entry ? 0 : 8;
    bad |= getauxval(AT_UID) == getuid() && getauxval(AT_EUID) == geteuid() ? 0 : 16;
    bad |= getauxval(AT_GID) == getgid() && getauxval(AT_EGID) == getegid() ? 0 : 16;
    bad |= getauxval(AT_SECURE) == 0 && getauxval(AT_CLKTCK) == 100 ? 0 : 32;
    bad |= getauxval(AT_RANDOM) ? 0 : 64;
    return bad;
}

static int probe_execfn(const char *want)
{
    const char *got = (const char *)getauxval(AT_EXECFN);
    return got && !strcmp(got, want) ? 0 : 1;
}

static int probe_signals(void)
{
    struct sigaction action;
    sigset_t mask;
    stack_t stack;
    int bad = 0;
    sigaction(SIGUSR1, NULL, &action);
    bad |= action.sa_handler == SIG_DFL && action.sa_flags == 0 ? 0 : 1;
    sigaction(SIGUSR2, NULL, &action);
    bad |= action.sa_handler == SIG_IGN ? 0 : 2;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    bad |= sigismember(&mask, SIGTERM) && !sigismember(&mask, SIGINT) ? 0 : 4;
    bad |= is_pending(SIGTERM) ? 0 : 8;
    sigaltstack(NULL, &stack);
    bad |= stack.ss_flags == SS_DISABLE ? 0 : 16;
    bad |= alarm(0) > 500 ? 0 : 32;
    return bad;
}

static int probe_descriptors(void)
{
    int bad = 0;
    char text[8];
    bad |= fcntl(50, F_GETFD) < 0 && errno == EBADF ? 0 : 1;
    bad |= fcntl(51, F_GETFD) == 0 ? 0 : 2;
    bad |= read(51, text, 3) == 3 && !memcmp(text, "def", 3) ? 0 : 4;
    return bad;
}

static int probe_memory(void)
{
    char *p = (char *)0x300000000;
    return mmap(p, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == p
               ? 0
               : 1;
}

static int probe_name(void)
{
    char name[17] = "";
    prctl(PR_GET_NAME, name);
    return strcmp(name, "a-name-of-more-") ? 1 : 0;
}

static int probe(int argc, char **argv)
{
    const char *verb = argv[1];
    if (!strcmp(verb, "--probe"))
        return 0;
    if (!strcmp(verb, "--layout"))
        return probe_layout(argc, argv);
    if (!strcmp(verb, "--auxv"))
        return probe_auxv();
    if (!strcmp(verb, "--execfn"))
        return probe_execfn(argv[2]);
    if (!strcmp(verb, "--signals"))
        return probe_signals();
    if (!strcmp(verb, "--descriptors"))
        return probe_descriptors();
    if (!strcmp(verb, "--memory"))
        return probe_memory();
    if (!strcmp(verb, "--name"))
        return probe_name();
    if (!strcmp(verb, "--count"))
        return argc & 127;
    if (!strcmp(verb, "--pid"))
        return getpid() == atoi(argv[2]) && getppid() == atoi(argv[3]) ? 0 : 1;
    if (!strcmp(verb, "--brk"))
        return sbrk(0) != sbrk(4096);
    return 99;
}

/* ---- the executing side ---- */

#define RUN_SELF(...)                                                                              \
    IN_CHILD(execl(check_state->self, check_state->self, __VA_ARGS__, NULL); _exit(98))

static void copy_self(const char *path, mode_t mode)
{
    char buffer[65536];
    int from = open(check_state->self, O_RDONLY),
        to = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    ssize_t n;
    REQUIRE(from >= 0 && to >= 0);
    while ((n = read(from, buffer, sizeof(buffer))) > 0)
        REQUIRE(write(to, buffer, n) == n);
    REQUIRE(fchmod(to, mode) == 0);
    close(from);
    close(to);
}

static int exec_works(void)
{
    if (!can_exec_self()) {
        SKIP("execve", "qemu-user is not known to the kernel");
        return 0;
    }
    return 1;
}

static void arguments(void)
{
    if (!exec_works())
        return;
    char *argv[] = {"exec", "--layout", "one two", "", "\xff\n", NULL},
         *envp[] = {"A=1", "odd", NULL};
    int bad = IN_CHILD(execve(check_state->self, argv, envp); _exit(127));
    if (!qemu_user_lacks("layout of the vectors")) {
        CHECK_EQ(bad & 1, 0, "argv is ended by a null pointer");
        CHECK_EQ(bad & 2, 0, "envp follows argv");
        CHECK_EQ(bad & 4, 0, "the argument strings lie one behind the other");
        CHECK_EQ(bad & 8, 0, "the environment strings follow them");
    }
    CHECK_EQ(bad & 16, 0, "the vectors lie below the strings");
    CHECK_EQ(bad & 32, 0, "arguments arrive byte by byte, empty ones too");
    CHECK_EQ(bad & 64, 0, "the environment arrives as given");
    char *nothing[] = {"exec", "--count", NULL};
    CHECK_EQ(IN_CHILD(execve(check_state->self, nothing, NULL); _exit(98)), 2,
             "a null envp is an empty one");
}

static void auxiliary_vector(void)
{
    if (!exec_works())
        return;
    int bad = RUN_SELF("--auxv");
    CHECK_EQ(bad & 1, 0, "AT_PAGESZ");
    CHECK_EQ(bad & 2, 0, "AT_PHDR is where the headers are mapped");
    CHECK_EQ(bad & 4, 0, "AT_PHNUM and AT_PHENT");
    CHECK_EQ(bad & 8, 0, "AT_ENTRY");
    CHECK_EQ(bad & 16, 0, "AT_UID, AT_EUID, AT_GID, AT_EGID");
    CHECK_EQ(bad & 32, 0, "AT_SECURE is 0, AT_CLKTCK is 100");
    CHECK_EQ(bad & 64, 0, "AT_RANDOM points to random bytes");
    REQUIRE(symlink(check_state->self, "link") == 0);
    if (!qemu_user_lacks("AT_EXECFN"))
        CHECK_EQ(IN_CHILD(execl("./link", "x", "--execfn", "./link", NULL)), 0,
                 "AT_EXECFN is the name as given");
    if (!qemu_user_lacks("the process's name")) {
        REQUIRE(symlink(check_state->self, "a-name-of-more-than-15") == 0);
        CHECK_EQ(IN_CHILD(execl("./a-name-of-more-than-15", "x", "--name", NULL)), 0,
                 "the process's name is the first 15 bytes of the file's");
    }
}

static void on_signal(int signal)
{
    (void)signal;
}

static void signals(void)
{
    if (!exec_works())
        return;
    static char stack[65536];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
    handle_flags(SIGUSR1, on_signal, SA_RESTART | SA_NODEFER);
    signal(SIGUSR2, SIG_IGN);
    block_signal(SIGTERM);
    REQUIRE(sigaltstack(&alternate, NULL) == 0);
    int bad =
        IN_CHILD(raise(SIGTERM); alarm(1000); execl(check_state->self, "x", "--signals", NULL));
    CHECK_EQ(bad & 1, 0, "handlers are reset by exec");
    CHECK_EQ(bad & 2, 0, "ignored signals stay ignored over exec");
    if (!qemu_user_lacks("mask and pending set over exec")) {
        CHECK_EQ(bad & 4, 0, "the signal mask is kept over exec");
        CHECK_EQ(bad & 8, 0, "pending signals stay pending over exec");
    }
    CHECK_EQ(bad & 16, 0, "the alternate stack is forgotten");
    CHECK_EQ(bad & 32, 0, "the alarm goes on over exec");
}

static void descriptors(void)
{
    if (!exec_works())
        return;
    write_file("f", "abcdef", 0644);
    int fd = open("f", O_RDONLY);
    char text[4];
    REQUIRE(read(fd, text, 3) == 3);
    REQUIRE(dup3(fd, 50, O_CLOEXEC) == 50 && dup2(fd, 51) == 51);
    int bad = RUN_SELF("--descriptors");
    CHECK_EQ(bad & 1, 0, "a close-on-exec descriptor is closed");
    CHECK_EQ(bad & 2, 0, "others stay open");
    CHECK_EQ(bad & 4, 0, "with their offset");
    CHECK_EQ(fcntl(50, F_GETFD), FD_CLOEXEC, "the parent's own descriptors are as before");
    CHECK_EQ(IN_CHILD(execl("/nonexistent", "x", NULL); _exit(fcntl(50, F_GETFD) == 1 ? 0 : 1)), 0,
             "a failed exec closes nothing");
}

static void new_image(void)
{
    if (!exec_works())
        return;
    REQUIRE(mmap((void *)0x300000000, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1,
                 0) != MAP_FAILED);
    if (!qemu_user_lacks("old mappings"))
        CHECK_EQ(RUN_SELF("--memory"), 0, "no mapping of the old program is left");
    char parent[16], self[16];
    snprintf(parent, sizeof(parent), "%d", getpid());
    int status = IN_CHILD(snprintf(self, sizeof(self), "%d", getpid());
                          execl(check_state->self, "x", "--pid", self, parent, NULL));
    CHECK_EQ(status, 0, "pid and parent are kept");
    CHECK_EQ(RUN_SELF("--brk"), 0, "the new program has a heap");
}

static void errors(void)
{
    char *argv[] = {"x", NULL}, *envp[] = {NULL};
    REQUIRE(mkdir("d", 0755) == 0);
    write_file("data", "neither an ELF file nor a script\n", 0755);
    write_file("empty", "", 0755);
    write_file("noexec", "#!/bin/sh\n", 0644);
    write_file("shortelf", "\177ELF", 0755);
    CHECK_FAIL(execve("missing", argv, envp), ENOENT, "no such file");
    CHECK_FAIL(execve("", argv, envp), ENOENT, "an empty name");
    CHECK_FAIL(execve("data/x", argv, envp), ENOTDIR, "a file as a directory");
    CHECK_FAIL(execve("d", argv, envp), EACCES, "a directory");
    CHECK_FAIL(execve("noexec", argv, envp), EACCES, "no execute bit, even for root");
    CHECK_FAIL(execve("data", argv, envp), ENOEXEC, "an unknown format");
    CHECK_FAIL(execve("empty", argv, envp), ENOEXEC, "an empty file");
    CHECK_FAIL(execve("shortelf", argv, envp), ENOEXEC, "a truncated ELF header");
    CHECK_FAIL(execve("/dev/null", argv, envp), EACCES, "a device");
    REQUIRE(symlink("loop", "loop") == 0);
    CHECK_FAIL(execve("loop", argv, envp), ELOOP, "a loop of symbolic links");
    char name[300];
    memset(name, 'n', 299);
    name[299] = 0;
    CHECK_FAIL(execve(name, argv, envp), ENAMETOOLONG, "a name of 299 bytes");
    if (qemu_user_lacks("bad pointers to execve"))
        return;
    CHECK_FAIL(syscall(SYS_execve, 8, argv, envp), EFAULT, "a bad pointer to the name");
    CHECK_FAIL(syscall(SYS_execve, check_state->self, 8, envp), EFAULT, "a bad pointer to argv");
    char *bad[] = {"x", (char *)8, NULL};
    CHECK_FAIL(execve(check_state->self, bad, envp), EFAULT, "a bad pointer in argv");
    CHECK_FAIL(execve(check_state->self, argv, bad), EFAULT, "a bad pointer in envp");
}

/* Writes an ELF header that is right but for what CHANGE does to it. */
static int exec_header(void (*change)(Elf64_Ehdr *, Elf64_Phdr *))
{
    struct {
        Elf64_Ehdr header;
        Elf64_Phdr segment;
    } file;
    int from = open(check_state->self, O_RDONLY), to;
    memset(&file, 0, sizeof(file));
    REQUIRE(read(from, &file.header, sizeof(file.header)) == sizeof(file.header));
    close(from);
    file.header.e_phoff = sizeof(file.header);
    file.header.e_phnum = 1;
    file.header.e_entry = 0x400000;
    file.segment = (Elf64_Phdr){.p_type = PT_LOAD,
                                .p_flags = PF_R | PF_X,
                                .p_vaddr = 0x400000,
                                .p_filesz = 120,
                                .p_memsz = 120,
                                .p_align = 4096};
    change(&file.header, &file.segment);
    unlink("elf");
    to = open("elf", O_CREAT | O_WRONLY, 0755);
    REQUIRE(write(to, &file, sizeof(file)) == sizeof(file));
    close(to);
    char *argv[] = {"elf", NULL};
    return IN_CHILD(execve("./elf", argv, argv + 1); _exit(errno));
}

static void other_machine(Elf64_Ehdr *h, Elf64_Phdr *p)
{
    (void)p;
    h->e_machine = EM_SPARCV9;
}

static void bad_type(Elf64_Ehdr *h, Elf64_Phdr *p)
{
    (void)p;
    h->e_type = ET_REL;
}

static void no_headers(Elf64_Ehdr *h, Elf64_Phdr *p)
{
    (void)p;
    h->e_phnum = 0;
}

static void header_size(Elf64_Ehdr *h, Elf64_Phdr *p)
{
    (void)p;
    h->e_phentsize = 32;
}

static void headers_outside(Elf64_Ehdr *h, Elf64_Phdr *p)
{
    (void)p;
    h->e_phoff = 1 << 20;
}

static void missing_interpreter(Elf64_Ehdr *h, Elf64_Phdr *p)
{
    h->e_ident[EI_PAD] = 0;
    p->p_type = PT_INTERP;
    p->p_offset = 200; /* beyond the end of the file */
    p->p_filesz = p->p_memsz = 16;
}

static void kernel_address(Elf64_Ehdr *h, Elf64_Phdr *p)
{
    p->p_vaddr = h->e_entry = 0xffffffff80000000;
}

static void malformed_files(void)
{
    if (qemu_user_lacks("malformed ELF files"))
        return;
    CHECK_EQ(exec_header(other_machine), ENOEXEC, "a program for another machine");
    CHECK_EQ(exec_header(bad_type), ENOEXEC, "an object file");
    CHECK_EQ(exec_header(no_headers), ENOEXEC, "no program headers");
    CHECK_EQ(exec_header(header_size), ENOEXEC, "a wrong size of program headers");
    int end = exec_header(headers_outside);
    CHECK(end == ENOEXEC || end == EIO, "program headers beyond the end of the file");
    end = exec_header(missing_interpreter);
    CHECK(end == ENOEXEC || end == EIO || end == ENOENT, "an interpreter's name beyond the end");
    end = exec_header(kernel_address);
    CHECK(end == 128 + SIGSEGV || end == 128 + SIGKILL || end == EINVAL || end == ENOMEM,
          "a segment at an address of the kernel");
}

static void too_big(void)
{
    if (!exec_works() || qemu_user_lacks("limits of the arguments"))
        return;
    /* One string may have 32 pages, the null byte included. */
    char *large = malloc(32 * 4096 + 1);
    memset(large, 'x', 32 * 4096);
    large[32 * 4096] = 0;
    char *argv[] = {"exec", "--count", large, NULL}, *envp[] = {NULL};
    CHECK_FAIL(execve(check_state->self, argv, envp), E2BIG, "a string of 32 pages is too long");
    large[32 * 4096 - 1] = 0;
    CHECK_EQ(IN_CHILD(execve(check_state->self, argv, envp); _exit(errno)), 3,
             "one byte less is not");
    /* All together may have a quarter of the stack's limit. */
    char *many[100];
    for (int i = 0; i < 99; i++)
        many[i] = large;
    many[99] = NULL;
    CHECK_FAIL(execve(check_state->self, many, envp), E2BIG, "more than 6 MiB of arguments");
    struct rlimit limit = {1 << 20, RLIM_INFINITY};
    many[0] = "x", many[1] = "--count", many[4] = NULL;
    int end = IN_CHILD(setrlimit(RLIMIT_STACK, &limit); execve(check_state->self, many, envp);
                       _exit(errno));
    CHECK(end == E2BIG || end == 128 + SIGKILL || end == 128 + SIGSEGV,
          "more than a quarter of the stack's limit");
    char *lots[3000];
    for (int i = 0; i < 2999; i++)
        lots[i] = "--count";
    lots[2999] = NULL;
    CHECK_EQ(IN_CHILD(execve(check_state->self, lots, envp); _exit(errno)), 2999 & 127,
             "3000 arguments");
}

static void text_busy(void)
{
    if (!exec_works())
        return;
    copy_self("copy", 0755);
    int fd = open("copy", O_RDWR);
    if (!qemu_user_lacks("a file open for writing cannot be executed"))
        CHECK_EQ(IN_CHILD(execl("./copy", "x", "--probe", NULL); _exit(errno)), ETXTBSY,
                 "a file open for writing cannot be executed");
    close(fd);
    CHECK_EQ(IN_CHILD(execl("./copy", "x", "--probe", NULL); _exit(errno)), 0,
             "after closing it it can");
    if (qemu_user_lacks("a running program cannot be written"))
        return;
    CHECK_EQ(IN_CHILD(_exit(open(check_state->self, O_WRONLY) < 0 ? errno : 0)), ETXTBSY,
             "a running program cannot be opened for writing");
    CHECK_FAIL(truncate(check_state->self, 0), ETXTBSY, "nor truncated");
    CHECK_FAIL(open(check_state->self, O_RDONLY | O_TRUNC), ETXTBSY, "nor opened with O_TRUNC");
    REQUIRE(unlink("copy") == 0);
    CHECK_EQ(access(check_state->self, X_OK), 0, "the program's file is intact");
}

static void permissions(void)
{
    NEED_ROOT();
    copy_self("only-root", 0700);
    copy_self("only-execute", 0711);
    REQUIRE(mkdir("closed", 0700) == 0);
    copy_self("closed/inside", 0755);
    CHECK_EQ(IN_CHILD(become_user(1000); execl("only-root", "x", "--probe", NULL); _exit(errno)),
             EACCES, "a file that others may not execute");
    CHECK_EQ(
        IN_CHILD(become_user(1000); execl("closed/inside", "x", "--probe", NULL); _exit(errno)),
        EACCES, "a file in a directory that others may not search");
    if (can_exec_self() && !qemu_user_lacks("execute without read"))
        CHECK_EQ(IN_CHILD(become_user(1000); execl("./only-execute", "x", "--probe", NULL);
                          _exit(errno)),
                 0, "a file need not be readable to be executed");
}

static void by_descriptor(void)
{
    char *argv[] = {"x", "--probe", NULL}, *envp[] = {NULL};
    if (!exec_works() || qemu_user_lacks("execveat"))
        return;
    int fd = open(check_state->self, O_RDONLY | O_CLOEXEC), path = open(check_state->self, O_PATH);
    int here = open(".", O_RDONLY | O_DIRECTORY);
    copy_self("copy", 0755);
    symlink("copy", "link");
    CHECK_EQ(IN_CHILD(execveat(fd, "", argv, envp, AT_EMPTY_PATH); _exit(errno)), 0,
             "execveat of a descriptor with AT_EMPTY_PATH");
    CHECK_EQ(IN_CHILD(execveat(path, "", argv, envp, AT_EMPTY_PATH); _exit(errno)), 0,
             "execveat of an O_PATH descriptor");
    CHECK_EQ(IN_CHILD(execveat(here, "copy", argv, envp, 0); _exit(errno)), 0,
             "execveat relative to a directory");
    CHECK_EQ(IN_CHILD(execveat(-1, check_state->self, argv, envp, 0); _exit(errno)), 0,
             "an absolute path ignores the descriptor");
    CHECK_EQ(IN_CHILD(fexecve(fd, argv, envp); _exit(errno)), 0, "fexecve");
    CHECK_FAIL(execveat(fd, "", argv, envp, 0), ENOENT, "an empty path without the flag");
    CHECK_FAIL(execveat(fd, "x", argv, envp, 0), ENOTDIR, "a path relative to a file");
    CHECK_FAIL(execveat(1000, "x", argv, envp, 0), EBADF, "a bad descriptor");
    CHECK_FAIL(execveat(here, "link", argv, envp, AT_SYMLINK_NOFOLLOW), ELOOP,
               "AT_SYMLINK_NOFOLLOW refuses a link");
    CHECK_FAIL(execveat(here, "copy", argv, envp, 0x8000), EINVAL, "unknown flags");
    CHECK_FAIL(execveat(here, "", argv, envp, AT_EMPTY_PATH), EACCES, "a directory");
    char *name[] = {"x", "--execfn", "/dev/fd/200", NULL};
    REQUIRE(dup2(fd, 200) == 200);
    CHECK_EQ(IN_CHILD(execveat(200, "", name, envp, AT_EMPTY_PATH); _exit(errno)), 0,
             "AT_EXECFN of a descriptor is /dev/fd/N");
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        CASE(arguments),       CASE(auxiliary_vector), CASE(signals),       CASE(descriptors),
        CASE(new_image),       CASE(errors),           CASE(too_big),       CASE(text_busy),
        CASE(malformed_files), CASE(permissions),      CASE(by_descriptor), {NULL, NULL},
    };
    if (argc > 1)
        return probe(argc, argv);
    return check_run(cases);
}
