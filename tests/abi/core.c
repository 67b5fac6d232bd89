/* SPDX-License-Identifier: MIT */
/* Core dumps: when there is one, its name, its notes and memory. */
#include "tracing.h"

#include <elf.h>
#include <pthread.h>
#include <sys/procfs.h>
#include <sys/resource.h>
#include <sys/utsname.h>

static volatile long marker = 0x5ca1ab1e;
static long *private_page, *shared_page;
static int *volatile nowhere = (int *)8;

/* Where a plain "core" is not what becomes of a dump there is nothing to look at. */
static int cores_are_plain(void)
{
    char pattern[256] = "";
    if (check_state->qemu_user)
        return 0;
    read_file("/proc/sys/kernel/core_pattern", pattern, sizeof(pattern));
    return !strcmp(pattern, "core\n");
}

#define NEED_CORES()                                                                               \
    do {                                                                                           \
        if (!cores_are_plain()) {                                                                  \
            SKIP(__func__, "core files go elsewhere here");                                        \
            return;                                                                                \
        }                                                                                          \
    } while (0)

static void allow(rlim_t bytes)
{
    struct rlimit limit = {bytes, RLIM_INFINITY};
    REQUIRE(setrlimit(RLIMIT_CORE, &limit) == 0);
}

/* The status word of a child that dies of BODY. */
#define DEATH(...)                                                                                 \
    ({                                                                                             \
        pid_t child_ = CHILD(__VA_ARGS__);                                                         \
        int status_ = -1;                                                                          \
        waitpid(child_, &status_, 0);                                                              \
        last_child = child_;                                                                       \
        status_;                                                                                   \
    })
static pid_t last_child;

static int exists(const char *name)
{
    return access(name, F_OK) == 0;
}

static char *map_core(const char *name, size_t *size)
{
    struct stat st;
    int fd = open(name, O_RDONLY);
    if (fd < 0 || fstat(fd, &st) < 0)
        return NULL;
    *size = st.st_size;
    char *p = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    return p == MAP_FAILED ? NULL : p;
}

/* The COUNTth note of a kind: its contents, NULL if there are fewer. */
static void *note(char *core, unsigned type, int count, size_t *size)
{
    Elf64_Ehdr *e = (Elf64_Ehdr *)core;
    Elf64_Phdr *p = (Elf64_Phdr *)(core + e->e_phoff);
    for (int i = 0; i < e->e_phnum; i++) {
        if (p[i].p_type != PT_NOTE)
            continue;
        char *at = core + p[i].p_offset, *end = at + p[i].p_filesz;
        while (at < end) {
            Elf64_Nhdr *n = (Elf64_Nhdr *)at;
            at += sizeof(*n) + (n->n_namesz + 3) / 4 * 4;
            if (n->n_type == type && count-- == 0) {
                *size = n->n_descsz;
                return at;
            }
            at += (n->n_descsz + 3) / 4 * 4;
        }
    }
    return NULL;
}

/* What the core has at an address: NULL if not there. */
static void *memory_at(char *core, size_t size, const volatile void *address)
{
    Elf64_Ehdr *e = (Elf64_Ehdr *)core;
    Elf64_Phdr *p = (Elf64_Phdr *)(core + e->e_phoff);
    unsigned long a = (unsigned long)address;
    for (int i = 0; i < e->e_phnum; i++)
        if (p[i].p_type == PT_LOAD && a >= p[i].p_vaddr && a < p[i].p_vaddr + p[i].p_filesz &&
            p[i].p_offset + p[i].p_filesz <= size)
            return core + p[i].p_offset + (a - p[i].p_vaddr);
    return NULL;
}

static void when(void)
{
    NEED_CORES();
    allow(0);
    int status = DEATH(abort());
    CHECK(WTERMSIG(status) == SIGABRT && !WCOREDUMP(status) && !exists("core"),
          "no core with a limit of 0");
    allow(RLIM_INFINITY);
    status = DEATH(raise(SIGTERM));
    CHECK(WTERMSIG(status) == SIGTERM && !WCOREDUMP(status) && !exists("core"), "none of SIGTERM");
    status = DEATH(abort());
    CHECK(WTERMSIG(status) == SIGABRT && WCOREDUMP(status) && exists("core"), "one of SIGABRT");
    struct stat st;
    REQUIRE(stat("core", &st) == 0);
    CHECK_EQ(st.st_mode, S_IFREG | 0600, "which only its owner reads");
    unlink("core");
    siginfo_t info;
    pid_t child = CHILD(raise(SIGSEGV));
    REQUIRE(waitid(P_PID, child, &info, WEXITED) == 0);
    CHECK(info.si_code == CLD_DUMPED && info.si_status == SIGSEGV, "waitid: CLD_DUMPED");
    unlink("core");
    status = DEATH(prctl(PR_SET_DUMPABLE, 0); abort());
    CHECK(!WCOREDUMP(status) && !exists("core"), "none of a process that forbids it");
    write_file("core", "mine", 0644);
    REQUIRE(link("core", "old") == 0);
    status = DEATH(abort());
    char text[16];
    CHECK(WCOREDUMP(status) && read_file("old", text, sizeof(text)) == 4,
          "a file of that name is replaced, not written over");
    unlink("core");
    write_file("other", "mine", 0600);
    REQUIRE(symlink("other", "core") == 0);
    status = DEATH(abort());
    CHECK(WCOREDUMP(status) && read_file("other", text, sizeof(text)) == 4,
          "a symbolic link is not followed");
    unlink("core");
    REQUIRE(mkdir("closed", 0555) == 0);
    if (geteuid() == 0) {
        status = DEATH(become_user(1000); prctl(PR_SET_DUMPABLE, 1); REQUIRE(chdir("closed") == 0);
                       abort());
        CHECK(!WCOREDUMP(status), "none where the user may not write");
    }
    allow(4096 * 3);
    status = DEATH(abort());
    REQUIRE(stat("core", &st) == 0);
    CHECK(st.st_size <= 4096 * 3, "one that is too large is cut off");
}

static void contents(void)
{
    NEED_CORES();
    allow(RLIM_INFINITY);
    private_page = private_pages(4096 * 4);
    shared_page = share_pages(4096);
    int fd = open(check_state->self, O_RDONLY);
    char *file = mmap(NULL, 4096 * 2, PROT_READ, MAP_PRIVATE, fd, 0);
    REQUIRE(file != MAP_FAILED);
    int status = DEATH(marker = 4711; private_page[0] = 42; shared_page[0] = 43; *nowhere = 1);
    CHECK(WTERMSIG(status) == SIGSEGV && WCOREDUMP(status), "it dies");
    size_t size, n;
    char *core = map_core("core", &size);
    REQUIRE(core);
    Elf64_Ehdr *e = (Elf64_Ehdr *)core;
    CHECK(!memcmp(e->e_ident, ELFMAG, SELFMAG) && e->e_type == ET_CORE, "an ELF core file");
    prstatus_t *s = note(core, NT_PRSTATUS, 0, &n);
    CHECK(s && n == sizeof(*s), "NT_PRSTATUS");
    CHECK(s && s->pr_pid == last_child && s->pr_ppid == getpid() && s->pr_cursig == SIGSEGV,
          "tells who, and the signal");
    CHECK(!note(core, NT_PRSTATUS, 1, &n), "of one thread");
    prpsinfo_t *i = note(core, NT_PRPSINFO, 0, &n);
    CHECK(i && n == sizeof(*i) && i->pr_pid == last_child && i->pr_uid == getuid(), "NT_PRPSINFO");
    CHECK(i && !strcmp(i->pr_fname, "core"), "tells the name");
    siginfo_t *info = note(core, NT_SIGINFO, 0, &n);
    CHECK(info && n == sizeof(*info) && info->si_signo == SIGSEGV && info->si_addr == (void *)8,
          "NT_SIGINFO tells the address");
    Elf64_auxv_t *a = note(core, NT_AUXV, 0, &n);
    while (a && a->a_type != AT_NULL && a->a_type != AT_PAGESZ)
        a++;
    CHECK(a && a->a_type == AT_PAGESZ && a->a_un.a_val == 4096, "NT_AUXV");
    unsigned long *f = note(core, NT_FILE, 0, &n);
    CHECK(f && f[0] >= 2 && f[1] == 4096, "NT_FILE");
    CHECK(f && strstr((char *)(f + 2 + 3 * f[0]), "/core"), "names the program");
    CHECK(note(core, NT_FPREGSET, 0, &n) != NULL, "NT_FPREGSET");
#ifdef __x86_64__
    CHECK(n == 512 && note(core, NT_X86_XSTATE, 0, &n) && n >= 576, "NT_X86_XSTATE");
#endif
    long *m = memory_at(core, size, &marker);
    CHECK(m && *m == 4711, "data are there");
    m = memory_at(core, size, private_page);
    CHECK(m && m[0] == 42, "private memory is there");
    m = memory_at(core, size, private_page + 1024);
    CHECK(m && m[0] == 0, "with its untouched pages");
    m = memory_at(core, size, shared_page);
    CHECK(m && m[0] == 43, "shared memory without a name is there");
    CHECK(memory_at(core, size, file), "the first page of a file is there if it is a program");
    CHECK(!memory_at(core, size, file + 4096), "the next is not");
    unlink("core");
    int knob = open("/proc/self/coredump_filter", O_WRONLY);
    CHECK_EQ(write(knob, "4", 1), 1, "coredump_filter is written");
    close(knob);
    char filter[16];
    read_file("/proc/self/coredump_filter", filter, sizeof(filter));
    CHECK_STR(filter, "00000004\n", "coredump_filter");
    DEATH(raise(SIGSEGV));
    core = map_core("core", &size);
    REQUIRE(core);
    CHECK(!memory_at(core, size, private_page) && !memory_at(core, size, shared_page),
          "without it, no memory of the process's own");
    CHECK(memory_at(core, size, file + 4096), "but files");
}

static pthread_barrier_t barrier;
static void *rest(void *arg)
{
    *(pid_t *)arg = gettid();
    pthread_barrier_wait(&barrier);
    for (;;)
        pause();
    return arg;
}

static void threads(void)
{
    NEED_CORES();
    allow(RLIM_INFINITY);
    pid_t *tids = share_pages(4096);
    int status = DEATH(pthread_t t; pthread_barrier_init(&barrier, NULL, 4);
                       for (int k = 0; k < 3; k++) pthread_create(&t, NULL, rest, &tids[k]);
                       pthread_barrier_wait(&barrier); abort());
    CHECK(WTERMSIG(status) == SIGABRT && WCOREDUMP(status), "four threads die");
    size_t size, n;
    char *core = map_core("core", &size);
    REQUIRE(core);
    prstatus_t *s = note(core, NT_PRSTATUS, 0, &n);
    CHECK(s && s->pr_pid == last_child, "first the one that died");
    int found = 0;
    for (int k = 1; (s = note(core, NT_PRSTATUS, k, &n)); k++)
        for (int j = 0; j < 3; j++)
            found += s->pr_pid == tids[j];
    CHECK_EQ(found, 3, "then the others");
    CHECK(note(core, NT_FPREGSET, 3, &n) && !note(core, NT_FPREGSET, 4, &n),
          "each with all its registers");
}

/* A setting of the whole machine: changed on Vellum only. */
static void set_knob(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "/proc/sys/kernel/%s", name);
    int fd = open(path, O_WRONLY);
    REQUIRE(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void to_a_program(void)
{
    struct utsname u;
    char pattern[PATH_MAX + 64], want[128], text[256] = "";
    if (uname(&u) < 0 || !strstr(u.version, "Vellum") || geteuid() != 0) {
        SKIP("core_pattern with a pipe", "a setting of the whole machine");
        return;
    }
    write_file("helper", "#!/bin/sh\ncd \"${0%/*}\"\ncat > dump\necho \"$#:$*\" > arguments\n",
               0755);
    allow(0);
    snprintf(pattern, sizeof(pattern), "|%s/helper %%s 100%%%% '%%e x'  %%u", check_state->scratch);
    set_knob("core_pattern", pattern);
    set_knob("core_pipe_limit", "1"); /* we are told of the death when the program has ended */
    int status = DEATH(prctl(PR_SET_NAME, "two words"); abort());
    set_knob("core_pattern", "core");
    CHECK(WTERMSIG(status) == SIGABRT && WCOREDUMP(status), "a program took the dump");
    read_file("arguments", text, sizeof(text));
    snprintf(want, sizeof(want), "5:%d 100%% 'two words x' %u\n", SIGABRT, getuid());
    CHECK_STR(text, want, "its arguments: words are taken apart before they are filled in");
    size_t size, n;
    char *core = map_core("dump", &size);
    REQUIRE(core);
    prstatus_t *s = note(core, NT_PRSTATUS, 0, &n);
    CHECK(s && s->pr_pid == last_child, "what it read is a core file,");
    CHECK(memory_at(core, size, (void *)&marker), "with memory in it");
    struct stat st;
    CHECK(stat("dump", &st) == 0 && st.st_uid == 0, "the program is root's");
    set_knob("core_pattern", "|/no/such/program");
    status = DEATH(abort());
    set_knob("core_pattern", "core");
    CHECK(WTERMSIG(status) == SIGABRT && !WCOREDUMP(status), "one that is not there takes none");
    snprintf(pattern, sizeof(pattern), "|%s/crash", check_state->scratch);
    write_file("crash", "#!/bin/sh\nkill -SEGV $$\n", 0755);
    set_knob("core_pattern", pattern);
    status = DEATH(abort());
    set_knob("core_pattern", "core");
    set_knob("core_pipe_limit", "0");
    CHECK(WTERMSIG(status) == SIGABRT, "one that dies itself is not looked at by another");
}

CHECK_MAIN(CASE(when), CASE(contents), CASE(threads), CASE(to_a_program))
