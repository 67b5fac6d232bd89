/* SPDX-License-Identifier: MIT */
/* /proc/PID: that its fields tell what has been done, and that they agree with each other. */
#include "procfile.h"

#include <grp.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/resource.h>

#define PAGE 4096UL

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void burn(double how_long)
{
    double end = seconds(CLOCK_THREAD_CPUTIME_ID) + how_long;
    while (seconds(CLOCK_THREAD_CPUTIME_ID) < end)
        ;
}

static void times(void)
{
    if (qemu_user_lacks("/proc/self/stat"))
        return;
    double before = seconds(CLOCK_BOOTTIME);
    struct gate gate = gate_make();
    pid_t child = CHILD(gate_pass(gate));
    double after = seconds(CLOCK_BOOTTIME);
    long start = stat_field(pid_text(child), 22);
    CHECK(start >= (long)(before * 100) - 1 && start <= (long)(after * 100) + 1,
          "a process started when it was made");
    gate_open(gate);
    end_of(child);
    burn(0.15);
    long ticks = stat_field("self", 14) + stat_field("self", 15);
    double used = seconds(CLOCK_PROCESS_CPUTIME_ID);
    CHECK(ticks >= 14 && ticks <= used * 100 + 1, "its time is that of its clock");
    long children = stat_field("self", 16) + stat_field("self", 17);
    child = CHILD(burn(0.1));
    await_state(child, "Z");
    CHECK(stat_field(pid_text(child), 14) + stat_field(pid_text(child), 15) >= 9,
          "a zombie's time is kept");
    end_of(child);
    CHECK(stat_field("self", 16) + stat_field("self", 17) >= children + 9,
          "and added to what children have used");
}

static void memory_fields(void)
{
    if (qemu_user_lacks("sizes"))
        return;
    unsigned long size = stat_word("self", 23), minor = stat_word("self", 10);
    long resident = stat_field("self", 24);
    char *p = private_pages(1000 * PAGE);
    CHECK_EQ(stat_word("self", 23) - size, 1000 * PAGE, "vsize grows with a mapping");
    madvise(p, 1000 * PAGE, MADV_NOHUGEPAGE);
    for (int i = 0; i < 1000; i++)
        p[i * PAGE] = 1;
    long grown = stat_field("self", 24) - resident;
    CHECK(grown >= 900 && grown <= 1100, "rss with what is touched");
    CHECK(stat_word("self", 10) - minor >= 1000, "each touch is a minor fault");
    CHECK_EQ(stat_field("self", 12), stat_field("self", 12), "major ones are counted apart");
    unsigned long total, shared, text, data, library;
    long statm_resident;
    CHECK_EQ(sscanf(proc_read("/proc/self/statm"), "%lu %ld %lu %lu %lu %lu", &total,
                    &statm_resident, &shared, &text, &library, &data),
             6, "statm has its fields");
    CHECK_EQ(total * PAGE, stat_word("self", 23), "its first is vsize");
    CHECK(labs(statm_resident - stat_field("self", 24)) < 100, "its second is rss");
    CHECK(shared > 0 && (long)shared < statm_resident && data >= 1000, "shared and data");
    CHECK_EQ(library, 0, "library is zero");
    char *status = proc_read("/proc/self/status");
    CHECK_EQ(number_of(status, "VmSize:") * 1024, total * PAGE, "VmSize");
    CHECK(labs(number_of(status, "VmRSS:") / 4 - statm_resident) < 100, "VmRSS");
    CHECK_EQ(number_of(status, "RssAnon:") + number_of(status, "RssFile:") +
                 number_of(status, "RssShmem:"),
             number_of(status, "VmRSS:"), "is the sum of its kinds");
    CHECK(number_of(status, "RssAnon:") >= 3600, "most of it anonymous");
    CHECK(number_of(status, "VmPeak:") >= number_of(status, "VmSize:") &&
              number_of(status, "VmHWM:") >= number_of(status, "VmRSS:") - 256,
          "peaks are no lower");
    long peak = number_of(status, "VmHWM:");
    munmap(p, 1000 * PAGE);
    status = proc_read("/proc/self/status");
    CHECK(number_of(status, "VmHWM:") >= peak - 512 && number_of(status, "VmRSS:") < peak - 3000,
          "and stay when memory goes");
    CHECK_EQ(stat_word("self", 23), size, "vsize is what it was");
    status = proc_read("/proc/self/status");
    CHECK(number_of(status, "VmStk:") >= 8 && number_of(status, "VmExe:") > 0, "VmStk, VmExe");
}

static void locked(void)
{
    if (qemu_user_lacks("VmLck"))
        return;
    char *p = private_pages(4 * PAGE);
    REQUIRE(mlock(p, 4 * PAGE) == 0);
    CHECK_EQ(number_of(proc_read("/proc/self/status"), "VmLck:"), 16, "VmLck");
    munlock(p, 4 * PAGE);
    CHECK_EQ(number_of(proc_read("/proc/self/status"), "VmLck:"), 0, "is zero again");
}

static void scheduling(void)
{
    if (qemu_user_lacks("priority fields"))
        return;
    int nice_value = getpriority(PRIO_PROCESS, 0); /* whoever runs us may be nice */
    CHECK(stat_field("self", 18) == 20 + nice_value && stat_field("self", 19) == nice_value,
          "priority and nice value");
    nice_value = nice_value < 19 ? 19 : 18;
    setpriority(PRIO_PROCESS, 0, nice_value);
    CHECK(stat_field("self", 18) == 20 + nice_value && stat_field("self", 19) == nice_value,
          "follow setpriority");
    cpu_set_t all, set;
    sched_getaffinity(0, sizeof(all), &all);
    int last = CPU_SETSIZE - 1;
    while (!CPU_ISSET(last, &all))
        last--;
    CPU_ZERO(&set);
    CPU_SET(last, &set);
    REQUIRE(sched_setaffinity(0, sizeof(set), &set) == 0);
    CHECK_EQ(stat_field("self", 39), last, "the processor it runs on");
    char list[16];
    snprintf(list, sizeof(list), "\t%d\n", last);
    char *line = line_of(proc_read("/proc/self/status"), "Cpus_allowed_list:");
    CHECK(line && starts_with(line, list), "Cpus_allowed_list");
    CHECK_EQ(hex_of(proc_text, "Cpus_allowed:"), 1UL << last, "Cpus_allowed");
    CHECK_EQ(stat_field("self", 41), SCHED_OTHER, "policy");
    NEED_ROOT();
    struct sched_param param = {.sched_priority = 3};
    REQUIRE(sched_setscheduler(0, SCHED_FIFO, &param) == 0);
    CHECK(stat_field("self", 40) == 3 && stat_field("self", 41) == SCHED_FIFO,
          "real-time priority and policy");
    CHECK_EQ(stat_field("self", 18), -4, "as priority it is below zero");
}

static void family(void)
{
    if (qemu_user_lacks("family fields"))
        return;
    pid_t child = CHILD(setsid(); for (;;) pause());
    await_state(child, "S");
    while (stat_field(pid_text(child), 6) != child)
        usleep(500);
    CHECK_EQ(stat_field(pid_text(child), 4), getpid(), "the parent");
    CHECK_EQ(stat_field(pid_text(child), 5), child, "the group");
    CHECK(stat_field(pid_text(child), 7) == 0 && stat_field(pid_text(child), 8) == -1,
          "a new session has no terminal");
    CHECK_EQ(stat_field(pid_text(child), 38), SIGCHLD, "fork: SIGCHLD at the end");
    CHECK_EQ(stat_field(pid_text(child), 20), 1, "one thread");
    CHECK(stat_field(pid_text(child), 9) & 0x40, "it has not executed anything");
    CHECK_EQ(stat_field(pid_text(child), 35), 1, "it waits");
    CHECK_EQ(stat_field("self", 35), 0, "we do not");
    kill(child, SIGSTOP);
    CHECK_EQ(await_state(child, "T"), 'T', "stopped: T");
    CHECK(line_of(proc_read("/proc/%d/status", child), "State:\tT (stopped)"), "in words too");
    kill(child, SIGKILL);
    CHECK_EQ(await_state(child, "Z"), 'Z', "dead: Z");
    CHECK(line_of(proc_read("/proc/%d/status", child), "State:\tZ (zombie)"), "in words too");
    CHECK(!line_of(proc_text, "VmSize:"), "a zombie has no memory");
    CHECK_EQ(stat_word(pid_text(child), 23), 0, "nor a size");
    end_of(child);
    signal(SIGUSR1, SIG_IGN);
    child = syscall(SYS_clone, SIGUSR1, NULL, NULL, NULL, NULL);
    if (child == 0)
        for (;;)
            pause();
    CHECK_EQ(stat_field(pid_text(child), 38), SIGUSR1, "clone chose another signal");
    kill(child, SIGKILL);
    waitpid(child, NULL, __WCLONE);
}

static void signals(void)
{
    if (qemu_user_lacks("signal masks"))
        return;
    block_signal(SIGUSR1);
    block_signal(SIGRTMIN);
    signal(SIGUSR2, SIG_IGN);
    signal(SIGHUP, (void (*)(int))(void *)times);
    raise(SIGUSR1);
    kill(getpid(), SIGRTMIN);
    kill(getpid(), SIGRTMIN);
    char *status = proc_read("/proc/self/status");
    CHECK(hex_of(status, "SigBlk:") >> (SIGRTMIN - 1) & 1, "SigBlk");
    CHECK(hex_of(status, "SigIgn:") >> (SIGUSR2 - 1) & 1, "SigIgn");
    CHECK_EQ(hex_of(status, "SigCgt:") >> (SIGHUP - 1) & 1, 1, "SigCgt");
    CHECK(hex_of(status, "SigPnd:") >> (SIGUSR1 - 1) & 1, "SigPnd: sent to the thread");
    CHECK(hex_of(status, "ShdPnd:") >> (SIGRTMIN - 1) & 1, "ShdPnd: sent to the process");
    CHECK_EQ(number_of(status, "SigQ:"), number_of(status, "SigQ:"), "SigQ is there");
    CHECK(number_of(status, "SigQ:") >= 3, "and counts those queued");
    CHECK_EQ(stat_field("self", 32) >> (SIGUSR1 - 1) & 1, 1, "stat: blocked");
    CHECK_EQ(stat_field("self", 33) >> (SIGUSR2 - 1) & 1, 1, "stat: ignored");
    CHECK_EQ(stat_field("self", 34) >> (SIGHUP - 1) & 1, 1, "stat: caught");
    CHECK_EQ(stat_field("self", 31) >> (SIGUSR1 - 1) & 1, 1, "stat: pending");
}

static void identity(void)
{
    NEED_ROOT();
    if (qemu_user_lacks("identity"))
        return;
    gid_t groups[] = {7, 9, 12};
    REQUIRE(setgroups(3, groups) == 0 && setresgid(1, 2, 3) == 0);
    REQUIRE(setresuid(4, 0, 6) == 0);
    umask(0137);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    char *status = proc_read("/proc/self/status"), *line;
    line = line_of(status, "Uid:");
    CHECK(line && starts_with(line, "\t4\t0\t6\t0\n"), "Uid");
    line = line_of(status, "Gid:");
    CHECK(line && starts_with(line, "\t1\t2\t3\t2\n"), "Gid");
    line = line_of(status, "Groups:");
    CHECK(line && starts_with(line, "\t7 9 12"), "Groups");
    line = line_of(status, "Umask:");
    CHECK(line && starts_with(line, "\t0137\n"), "Umask");
    CHECK_EQ(number_of(status, "NoNewPrivs:"), 1, "NoNewPrivs");
    CHECK(hex_of(status, "CapEff:") && !hex_of(status, "CapInh:"), "capabilities");
    CHECK_EQ(number_of(status, "NSpid:"), getpid(), "NSpid");
    CHECK_EQ(number_of(status, "TracerPid:"), 0, "TracerPid");
    CHECK(number_of(status, "FDSize:") >= 3, "FDSize");
}

/* ---- threads ---- */

struct helper {
    pthread_t thread;
    pid_t tid;
    struct gate ready, leave;
};

static void *help(void *arg)
{
    struct helper *h = arg;
    h->tid = gettid();
    prctl(PR_SET_NAME, "helper");
    setpriority(PRIO_PROCESS, 0, 19);
    burn(0.1);
    gate_open(h->ready);
    gate_pass(h->leave);
    return NULL;
}

static void threads(void)
{
    if (qemu_user_lacks("threads in /proc"))
        return;
    struct helper h = {.ready = gate_make(), .leave = gate_make()};
    REQUIRE(pthread_create(&h.thread, NULL, help, &h) == 0);
    gate_pass(h.ready);
    char task[64];
    snprintf(task, sizeof(task), "self/task/%d", h.tid);
    CHECK_EQ(stat_field("self", 20), 2, "two threads");
    CHECK_EQ(number_of(proc_read("/proc/self/status"), "Threads:"), 2, "in status as well");
    CHECK_EQ(strtol(proc_read("/proc/%s/stat", task), NULL, 10), h.tid,
             "a thread's stat has its number");
    CHECK(strstr(proc_text, "(helper)") != NULL, "its name");
    CHECK_EQ(stat_field(task, 19), 19, "its nice value");
    CHECK_EQ(stat_field("self", 19), 0, "not that of the first");
    CHECK(stat_field(task, 14) + stat_field(task, 15) >= 9, "its own time");
    char own[64];
    snprintf(own, sizeof(own), "self/task/%d", getpid());
    CHECK(stat_field(own, 14) + stat_field(own, 15) < stat_field(task, 14) + stat_field(task, 15),
          "which is not the first thread's");
    CHECK(stat_field("self", 14) + stat_field("self", 15) + 2 >=
              stat_field(task, 14) + stat_field(task, 15),
          "the process's is the sum");
    CHECK_EQ(number_of(proc_read("/proc/%s/status", task), "Tgid:"), getpid(), "Tgid");
    CHECK_EQ(number_of(proc_text, "Pid:"), h.tid, "Pid");
    CHECK_STR(proc_read("/proc/%s/comm", task), "helper\n", "comm of a thread");
    char path[80];
    snprintf(path, sizeof(path), "/proc/%s/comm", task);
    CHECK_EQ(write_error(path, "renamed"), 0, "can be written by another thread");
    CHECK_STR(proc_read("/proc/%s/comm", task), "renamed\n", "and read back");
    int n = 0;
    DIR *dir = opendir("/proc/self/task");
    for (struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    closedir(dir);
    CHECK_EQ(n, 2, "task lists both");
    snprintf(path, sizeof(path), "/proc/%d/task/%d", getppid(), h.tid);
    CHECK_EQ(access(path, F_OK), -1, "but not under another process");
    char link[64] = "", want[64];
    snprintf(want, sizeof(want), "%d/task/%d", getpid(), gettid());
    CHECK(readlink("/proc/thread-self", link, 63) > 0 && !strcmp(link, want), "thread-self");
    CHECK_EQ(await_state(h.tid, "S"), 'S', "a thread is found by its number in /proc itself");
    gate_open(h.leave);
    pthread_join(h.thread, NULL);
    snprintf(path, sizeof(path), "/proc/%s/stat", task);
    while (access(path, F_OK) == 0)
        usleep(500);
    CHECK_FAIL(access(path, F_OK), ENOENT, "an ended thread is gone");
    CHECK_EQ(stat_field("self", 20), 1, "one is left");
    CHECK(stat_field("self", 14) + stat_field("self", 15) >= 9, "its time stays with the process");
}

/* ---- what it has done ---- */

static void io(void)
{
    if (qemu_user_lacks("io"))
        return;
    char buffer[1000] = "";
    int null = open("/dev/null", O_WRONLY), zero = open("/dev/zero", O_RDONLY);
    char *text = proc_read("/proc/self/io");
    long read_before = number_of(text, "rchar: "), written_before = number_of(text, "wchar: ");
    long reads = number_of(text, "syscr: "), writes = number_of(text, "syscw: ");
    REQUIRE(written_before >= 0);
    for (int i = 0; i < 10; i++) {
        write(null, buffer, 1000);
        read(zero, buffer, 500);
    }
    text = proc_read("/proc/self/io");
    CHECK_EQ(number_of(text, "wchar: ") - written_before, 10000, "io: wchar");
    CHECK_EQ(number_of(text, "syscw: ") - writes, 10, "syscw");
    long more = number_of(text, "rchar: ") - read_before;
    CHECK(more >= 5000 && more < 5400, "rchar: with the reading of io itself");
    more = number_of(text, "syscr: ") - reads;
    CHECK(more >= 11 && more <= 13, "syscr");
    CHECK(line_of(text, "read_bytes: ") && line_of(text, "write_bytes: "), "of disks");
}

static void switches(void)
{
    char *status = proc_read("/proc/self/status");
    if (qemu_user_lacks("context switches"))
        return;
    long before = number_of(status, "voluntary_ctxt_switches:"), now = before;
    /* On a busy machine some are over before they have begun. */
    for (int i = 0; i < 100 && now < before + 5; i++) {
        usleep(20000);
        now = number_of(proc_read("/proc/self/status"), "voluntary_ctxt_switches:");
    }
    CHECK(now >= before + 5, "sleeps are voluntary switches");
    CHECK(number_of(proc_text, "nonvoluntary_ctxt_switches:") >= 0, "others are counted too");
    unsigned long long ran, waited, slices, later;
    CHECK_EQ(sscanf(proc_read("/proc/self/schedstat"), "%llu %llu %llu", &ran, &waited, &slices), 3,
             "schedstat");
    burn(0.02);
    CHECK(sscanf(proc_read("/proc/self/schedstat"), "%llu", &later) == 1 && later >= ran + 19000000,
          "counts nanoseconds");
    char name[64];
    snprintf(name, sizeof(name), "(%d, #threads: 1)", getpid());
    CHECK(strstr(proc_read("/proc/self/sched"), name) && strstr(proc_text, "nr_switches"), "sched");
}

static void waiting(void)
{
    NEED_ROOT();
    if (qemu_user_lacks("syscall"))
        return;
    struct gate gate = gate_make();
    char buffer[7];
    pid_t child = CHILD(read(gate.read_end, buffer, 7));
    await_state(child, "S");
    long number;
    unsigned long args[6], sp, pc;
    CHECK_EQ(sscanf(proc_read("/proc/%d/syscall", child), "%ld %lx %lx %lx %lx %lx %lx %lx %lx",
                    &number, &args[0], &args[1], &args[2], &args[3], &args[4], &args[5], &sp, &pc),
             9, "syscall of a process that waits");
    CHECK(number == SYS_read && (int)args[0] == gate.read_end && args[1] == (unsigned long)buffer &&
              args[2] == 7,
          "tells number and arguments");
    CHECK(sp > (unsigned long)buffer - (1 << 20) && sp < (unsigned long)buffer + (1 << 20) && pc,
          "and where it is");
    CHECK_EQ(strtol(proc_read("/proc/self/syscall"), NULL, 10), SYS_read, "our own: reading this");
    char *wchan = proc_read("/proc/%d/wchan", child);
    CHECK(wchan[0] && strcmp(wchan, "0") && !strchr(wchan, '\n'), "wchan names a function");
    CHECK_STR(proc_read("/proc/self/wchan"), "0", "we wait for nothing");
    if (has_capability(21))
        CHECK(starts_with(proc_read("/proc/%d/stack", child), "[<0>] "), "stack");
    gate_open(gate);
    end_of(child);
}

static void limits(void)
{
    if (qemu_user_lacks("limits"))
        return;
    struct rlimit limit = {77, 88};
    setrlimit(RLIMIT_NOFILE, &limit);
    limit = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_CORE, &limit);
    char *text = proc_read("/proc/self/limits"), *line = line_of(text, "Max open files ");
    long soft, hard;
    CHECK(line && sscanf(line, "%ld %ld files", &soft, &hard) == 2 && soft == 77 && hard == 88,
          "limits follow setrlimit");
    CHECK(starts_with(text, "Limit                     Soft Limit"), "below a head line");
    int lines = 0;
    for (char *p = text; *p; p++)
        lines += *p == '\n';
    CHECK_EQ(lines, 17, "all sixteen");
}

static void memory_of_program(void)
{
    if (qemu_user_lacks("addresses"))
        return;
    char *stat = proc_read("/proc/self/stat");
    unsigned long word[53];
    for (int i = 3; i <= 52; i++)
        word[i] = strtoul(field_at(stat, i), NULL, 10);
    unsigned long code = (unsigned long)burn, data = (unsigned long)&proc_text;
    CHECK(word[26] <= code && code < word[27], "startcode, endcode");
    CHECK(word[28] > (unsigned long)word && word[28] < (unsigned long)word + (8 << 20),
          "startstack");
    CHECK(word[45] < word[46] && word[45] < data, "start_data, end_data");
    CHECK(word[47] <= (unsigned long)sbrk(0), "start_brk");
    CHECK(word[48] < word[49] && word[49] <= word[50] && word[50] <= word[51],
          "arguments lie before the environment");
    CHECK_EQ(read_file("/proc/self/cmdline", proc_text, sizeof(proc_text)), word[49] - word[48],
             "cmdline is those bytes");
    CHECK_EQ(word[30] | word[29], 0, "no register is told");
    unsigned long aux[80] = {0};
    int fd = open("/proc/self/auxv", O_RDONLY), n = read(fd, aux, sizeof(aux)) / 16;
    int found = 0;
    for (int i = 0; i < n; i++)
        found += (aux[2 * i] == AT_PHDR && aux[2 * i + 1] == getauxval(AT_PHDR)) ||
                 (aux[2 * i] == AT_PAGESZ && aux[2 * i + 1] == PAGE);
    CHECK(found == 2 && aux[2 * n - 2] == AT_NULL, "auxv");
}

/* ---- what can be set ---- */

static void names(void)
{
    if (qemu_user_lacks("comm"))
        return;
    CHECK_EQ(write_error("/proc/self/comm", "a name that is too long"), 0, "comm can be written");
    CHECK_STR(proc_read("/proc/self/comm"), "a name that is \n", "fifteen bytes are kept");
    char name[17] = "";
    prctl(PR_GET_NAME, name);
    CHECK_STR(name, "a name that is ", "prctl tells the same");
    pid_t child = CHILD(for (;;) pause());
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/comm", child);
    CHECK_EQ(write_error(path, "other"), EINVAL, "another process's cannot");
    kill(child, SIGKILL);
    end_of(child);
}

static void out_of_memory(void)
{
    NEED_ROOT();
    CHECK_EQ(write_error("/proc/self/oom_score_adj", "100"), 0, "oom_score_adj");
    CHECK_STR(proc_read("/proc/self/oom_score_adj"), "100\n", "is read back");
    CHECK_EQ(IN_CHILD(_exit(atoi(proc_read("/proc/self/oom_score_adj")))), 100, "fork inherits it");
    long score = atol(proc_read("/proc/self/oom_score"));
    CHECK(score > 0 && score <= 2000, "oom_score");
    CHECK_EQ(write_error("/proc/self/oom_score_adj", "500"), 0, "more");
    CHECK(atol(proc_read("/proc/self/oom_score")) > score, "raises the score");
    CHECK_EQ(write_error("/proc/self/oom_score_adj", "1001"), EINVAL, "1000 is the most");
    CHECK_EQ(write_error("/proc/self/oom_score_adj", "-1001"), EINVAL, "-1000 the least");
    CHECK_EQ(write_error("/proc/self/oom_score_adj", "x"), EINVAL, "a number");
    write_error("/proc/self/oom_score_adj", "0");
    CHECK_EQ(IN_CHILD(prctl(PR_SET_DUMPABLE, 1); become_user(1000); prctl(PR_SET_DUMPABLE, 1);
                      _exit(write_error("/proc/self/oom_score_adj", "7") ||
                            write_error("/proc/self/oom_score_adj", "-7") != EACCES)),
             0, "an ordinary user may raise it but not lower it below what root has set");
}

static void small_ones(void)
{
    if (qemu_user_lacks("personality"))
        return;
    CHECK_EQ(strtoul(proc_read("/proc/self/personality"), NULL, 16), personality(0xffffffff),
             "personality");
    CHECK_EQ(write_error("/proc/self/coredump_filter", "0x13"), 0, "coredump_filter");
    CHECK_STR(proc_read("/proc/self/coredump_filter"), "00000013\n", "is read back");
    CHECK_EQ(IN_CHILD(_exit(strtol(proc_read("/proc/self/coredump_filter"), NULL, 16))), 0x13,
             "fork inherits it");
    prctl(PR_SET_TIMERSLACK, 12345);
    CHECK_STR(proc_read("/proc/self/timerslack_ns"), "12345\n", "timerslack_ns");
    CHECK_EQ(write_error("/proc/self/timerslack_ns", "54321"), 0, "can be set");
    CHECK_EQ(prctl(PR_GET_TIMERSLACK), 54321, "prctl tells the same");
    CHECK(strchr(proc_read("/proc/self/cgroup"), ':') != NULL || !proc_text[0], "cgroup");
    char mounts[1 << 16];
    int n = 0, lines = 0;
    read_file("/proc/self/mounts", mounts, sizeof(mounts));
    for (char *p = mounts; *p; p++)
        n += *p == '\n';
    for (char *p = proc_read("/proc/self/mountinfo"); *p; p++)
        lines += *p == '\n';
    CHECK(n > 0 && n == lines, "mounts and mountinfo have as many lines");
    int stats = 0;
    for (char *p = proc_read("/proc/self/mountstats"); *p; p++)
        stats += *p == '\n';
    CHECK(stats >= lines && starts_with(proc_text, "device "), "mountstats too");
}

CHECK_MAIN(CASE(times), CASE(memory_fields), CASE(locked), CASE(scheduling), CASE(family),
           CASE(signals), CASE(identity), CASE(threads), CASE(io), CASE(switches), CASE(waiting),
           CASE(limits), CASE(memory_of_program), CASE(names), CASE(out_of_memory),
           CASE(small_ones))
