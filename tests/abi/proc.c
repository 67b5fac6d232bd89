/* SPDX-License-Identifier: MIT */
/* /proc: what ps, top, free, mount, uptime and kill read. */
#include "check.h"

#include <sys/resource.h>

#include <sys/sysinfo.h>

static char text[65536];

static char *read_proc(const char *path)
{
    return read_file(path, text, sizeof(text)) >= 0 ? text : NULL;
}

/* The number behind NAME in a file of lines "NAME: number". */
static long field(const char *path, const char *name)
{
    char *p = read_proc(path);
    p = p ? strstr(p, name) : NULL;
    return p ? strtol(p + strlen(name), NULL, 10) : -1;
}

static void self(void)
{
    char link[64] = "", want[32], path[64];
    snprintf(want, sizeof(want), "%d", getpid());
    CHECK(readlink("/proc/self", link, 63) > 0 && !strcmp(link, want), "/proc/self is our pid");
    snprintf(path, sizeof(path), "/proc/%d/stat", getpid());
    CHECK_EQ(access(path, F_OK), 0, "where our directory is");
    CHECK_EQ(IN_CHILD(char l[64] = ""; readlink("/proc/self", l, 63);
                      _exit(atoi(l) == getpid() ? 0 : 1)),
             0, "for a child it is the child's");
    if (!qemu_user_lacks("/proc/self/exe")) {
        char exe[PATH_MAX] = "";
        CHECK(readlink("/proc/self/exe", exe, PATH_MAX) > 0 && !strcmp(exe, check_state->self),
              "/proc/self/exe is our program");
        CHECK_EQ(access("/proc/self/exe", X_OK), 0, "and leads to it");
    }
    char cwd[PATH_MAX] = "", here[PATH_MAX];
    CHECK(readlink("/proc/self/cwd", cwd, PATH_MAX) > 0 && !strcmp(cwd, getcwd(here, PATH_MAX)),
          "/proc/self/cwd");
    memset(cwd, 0, sizeof(cwd));
    CHECK(readlink("/proc/self/root", cwd, PATH_MAX) == 1 && cwd[0] == '/', "/proc/self/root");
    CHECK_EQ(access("/proc/999999999", F_OK), -1, "a process that is not there has none");
    struct stat st;
    pid_t child = CHILD(for (;;) pause());
    snprintf(path, sizeof(path), "/proc/%d", child);
    CHECK(stat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid(),
          "a child's directory belongs to its user");
    kill(child, SIGKILL);
    end_of(child);
    CHECK_EQ(stat(path, &st), -1, "and goes with it");
}

static void stat_file(void)
{
    int pid, parent, group, session;
    char name[64], state;
    prctl(PR_SET_NAME, "a (b) c");
    if (qemu_user_lacks("/proc/self/stat"))
        return;
    char *p = read_proc("/proc/self/stat");
    CHECK(p && sscanf(p, "%d (%63[^\n]", &pid, name) == 2 && pid == getpid(), "/proc/self/stat");
    char *paren = strrchr(p, ')');
    CHECK(paren && !strncmp(strchr(p, '(') + 1, "a (b) c", 7), "tells the name in brackets");
    CHECK(sscanf(paren, ") %c %d %d %d", &state, &parent, &group, &session) == 4,
          "the state and more");
    CHECK(state == 'R' && parent == getppid(), "running, the parent");
    CHECK(group == getpgrp() && session == getsid(0), "group and session");
    int fields = 2;
    for (p = paren + 1; *p; p++)
        fields += *p == ' ';
    CHECK_EQ(fields, 52, "fifty-two fields");
    unsigned long minor, user, start, size;
    long resident, nice, threads;
    CHECK_EQ(sscanf(paren,
                    ") %*c %*d %*d %*d %*d %*d %*u %lu %*u %*u %*u %lu %*u %*d %*d %*d %ld %ld %*d "
                    "%lu %lu %ld",
                    &minor, &user, &nice, &threads, &start, &size, &resident),
             7, "numbers all");
    CHECK(minor > 0 && nice == getpriority(PRIO_PROCESS, 0) && threads == 1,
          "faults, nice value, one thread");
    CHECK(size > 100000 && resident > 10 && (unsigned long)resident * 4096 <= size,
          "its size and what is resident");
    struct sysinfo info;
    sysinfo(&info);
    CHECK((long)start / 100 <= info.uptime + 1, "when it started");
}

static void status_file(void)
{
    CHECK_EQ(field("/proc/self/status", "\nPid:"), getpid(), "/proc/self/status: Pid");
    CHECK_EQ(field("/proc/self/status", "\nPPid:"), getppid(), "PPid");
    CHECK_EQ(field("/proc/self/status", "\nUid:"), getuid(), "Uid");
    if (!qemu_user_lacks("Threads"))
        CHECK_EQ(field("/proc/self/status", "\nThreads:"), 1, "Threads");
    CHECK(field("/proc/self/status", "\nVmRSS:") > 0, "VmRSS");
    CHECK(field("/proc/self/status", "\nVmSize:") > 0, "VmSize");
    char *p = read_proc("/proc/self/status");
    CHECK(p && !strncmp(p, "Name:\t", 6), "Name");
    CHECK(p && strstr(p, "\nState:\tR"), "State");
    block_signal(SIGUSR2);
    signal(SIGUSR1, SIG_IGN);
    raise(SIGUSR2);
    p = read_proc("/proc/self/status");
    char *blocked = strstr(p, "\nSigBlk:\t"), *ignored = strstr(p, "\nSigIgn:\t");
    CHECK(blocked && strtoull(blocked + 9, NULL, 16) & 1 << (SIGUSR2 - 1), "SigBlk");
    CHECK(ignored && strtoull(ignored + 9, NULL, 16) & 1 << (SIGUSR1 - 1), "SigIgn");
    char *pending = strstr(p, "\nSigPnd:\t"), *shared = strstr(p, "\nShdPnd:\t");
    CHECK(pending && shared &&
              (strtoull(pending + 9, NULL, 16) | strtoull(shared + 9, NULL, 16)) &
                  1 << (SIGUSR2 - 1),
          "SigPnd and ShdPnd");
}

static void command_line(void)
{
    char path[64];
    struct gate gate = gate_make();
    if (!can_exec_self() || qemu_user_lacks("/proc/PID/cmdline"))
        return;
    pid_t child =
        CHILD(dup2(gate.read_end, 0); execle(check_state->self, "name", "--wait", "two words", "",
                                             NULL, (char *[]){"VAR=value", NULL}));
    await_state(child, "S");
    snprintf(path, sizeof(path), "/proc/%d/cmdline", child);
    while (read_file(path, text, sizeof(text)) > 0 && strcmp(text, "name"))
        usleep(500);
    CHECK_EQ(read_file(path, text, sizeof(text)), 5 + 7 + 10 + 1, "/proc/PID/cmdline");
    CHECK(!memcmp(text, "name\0--wait\0two words\0\0", 23),
          "has the arguments, each with its null");
    snprintf(path, sizeof(path), "/proc/%d/environ", child);
    CHECK(read_file(path, text, sizeof(text)) == 10 && !strcmp(text, "VAR=value"),
          "/proc/PID/environ");
    snprintf(path, sizeof(path), "/proc/%d/comm", child);
    CHECK(read_file(path, text, sizeof(text)) == 5 && !strcmp(text, "proc\n"), "/proc/PID/comm");
    gate_open(gate);
    end_of(child);
    child = CHILD(_exit(0));
    await_state(child, "Z");
    snprintf(path, sizeof(path), "/proc/%d/cmdline", child);
    CHECK_EQ(read_file(path, text, sizeof(text)), 0, "a zombie's is empty");
    end_of(child);
}

static void memory_files(void)
{
    long total = field("/proc/meminfo", "MemTotal:"), free = field("/proc/meminfo", "MemFree:");
    CHECK(total > 8192 && free > 0 && free < total, "/proc/meminfo: MemTotal and MemFree");
    CHECK(field("/proc/meminfo", "MemAvailable:") >= 0, "MemAvailable");
    CHECK(field("/proc/meminfo", "Buffers:") >= 0 && field("/proc/meminfo", "\nCached:") >= 0,
          "Buffers and Cached");
    long slab = field("/proc/meminfo", "\nSlab:"), back = field("/proc/meminfo", "SReclaimable:");
    CHECK(back > 0 && back <= slab, "SReclaimable: a part of Slab");
    CHECK(field("/proc/meminfo", "SwapTotal:") >= 0 && field("/proc/meminfo", "SwapFree:") >= 0,
          "SwapTotal and SwapFree");
    struct sysinfo info;
    CHECK_EQ(sysinfo(&info), 0, "sysinfo");
    CHECK_EQ(info.totalram * info.mem_unit / 1024, total, "tells the same total");
    CHECK(info.procs >= 2 && info.uptime >= 0 && info.freeram <= info.totalram,
          "processes, uptime");
    unsigned long size, resident;
    CHECK(read_proc("/proc/self/statm") && sscanf(text, "%lu %lu", &size, &resident) == 2 &&
              resident > 0 && resident <= size,
          "/proc/self/statm");
}

static void system_files(void)
{
    double uptime, idle, later;
    CHECK(read_proc("/proc/uptime") && sscanf(text, "%lf %lf", &uptime, &idle) == 2 && uptime > 0,
          "/proc/uptime");
    usleep(20000);
    CHECK(read_proc("/proc/uptime") && sscanf(text, "%lf", &later) == 1 && later > uptime,
          "goes on");
    double one, five, fifteen;
    int running, processes, last;
    CHECK(read_proc("/proc/loadavg") && sscanf(text, "%lf %lf %lf %d/%d %d", &one, &five, &fifteen,
                                               &running, &processes, &last) == 6,
          "/proc/loadavg");
    CHECK(read_proc("/proc/stat") && !strncmp(text, "cpu  ", 5) && strstr(text, "\ncpu0 "),
          "/proc/stat");
    CHECK(strstr(text, "\nbtime ") && strstr(text, "\nctxt ") && strstr(text, "\nprocesses "),
          "btime, ctxt, processes");
    long forks = field("/proc/stat", "\nprocesses ");
    IN_CHILD();
    CHECK(field("/proc/stat", "\nprocesses ") > forks, "counts each fork");
    CHECK(read_proc("/proc/version") && !strncmp(text, "Linux version ", 14), "/proc/version");
    CHECK(read_proc("/proc/filesystems") && strstr(text, "\ttmpfs\n") && strstr(text, "\tproc\n"),
          "/proc/filesystems");
    CHECK(read_proc("/proc/mounts") && strstr(text, " /proc proc "), "/proc/mounts");
    CHECK(read_proc("/proc/self/mounts") && strstr(text, " /proc proc "), "/proc/self/mounts");
    CHECK(read_proc("/proc/cpuinfo") && (strstr(text, "processor") != NULL), "/proc/cpuinfo");
    CHECK(read_proc("/proc/cmdline") != NULL, "/proc/cmdline");
}

/* How many names of a directory are in it more than once. */
static int names_twice(const char *path)
{
    static char names[400][NAME_MAX + 1];
    int n = 0, twice = 0;
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && n < 400 && (entry = readdir(dir)); n++) {
        strcpy(names[n], entry->d_name);
        for (int i = 0; i < n; i++)
            twice += !strcmp(names[i], names[n]);
    }
    if (dir)
        closedir(dir);
    return dir && n > 2 ? twice : -1;
}

static void each_name_once(void)
{
    char target[64] = "";
    CHECK_EQ(names_twice("/proc/self"), 0, "/proc/PID has each name once");
    CHECK_EQ(names_twice("/proc/thread-self"), 0, "so has a thread's directory");
    CHECK_EQ(names_twice("/proc/sys/kernel"), 0, "/proc/sys/kernel");
    CHECK_FAIL(access("/proc/thread-self/coredump_filter", F_OK), ENOENT,
               "coredump_filter is the process's");
    CHECK(readlink("/proc/net", target, sizeof(target) - 1) == 8 && !strcmp(target, "self/net"),
          "/proc/net is a link");
    CHECK_EQ(access("/proc/self/net/unix", R_OK), 0, "to what each process has");
    CHECK_EQ(access("/proc/thread-self/net/unix", R_OK), 0, "and each thread");
}

static void listing(void)
{
    DIR *dir = opendir("/proc");
    int found = 0, self_found = 0, meminfo = 0;
    pid_t child = CHILD(for (;;) pause());
    for (struct dirent *entry; (entry = readdir(dir));) {
        found |= atoi(entry->d_name) == child;
        self_found |= !strcmp(entry->d_name, "self");
        meminfo |= !strcmp(entry->d_name, "meminfo");
    }
    closedir(dir);
    CHECK(found, "the listing of /proc has every process");
    CHECK(self_found && meminfo, "and the files");
    kill(child, SIGKILL);
    end_of(child);
    CHECK(open("/proc/new", O_CREAT | O_WRONLY, 0644) < 0, "nothing can be made in /proc");
    CHECK(mkdir("/proc/new", 0755) < 0, "no directory either");
    CHECK(unlink("/proc/meminfo") < 0, "nothing removed");
    int fd = open("/proc/self/stat", O_RDONLY);
    char a[600], b[600];
    ssize_t n = read(fd, a, sizeof(a));
    CHECK(n > 20 && lseek(fd, 0, SEEK_SET) == 0 && read(fd, b, 10) == 10 && !memcmp(a, b, 10),
          "files can be read again from the start");
    CHECK(read(fd, b, 5) == 5 && !memcmp(a + 10, b, 5), "and in pieces");
}

static void maps_of_others(void)
{
    char path[64];
    struct gate gate = gate_make();
    pid_t child = CHILD(private_pages(5 * 4096); gate_open(gate); for (;;) pause());
    gate_pass(gate);
    snprintf(path, sizeof(path), "/proc/%d/maps", child);
    CHECK(read_proc(path) && strstr(text, "[stack]"), "the areas of another process");
    kill(child, SIGKILL);
    end_of(child);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        CASE(self),           CASE(stat_file),    CASE(status_file),    CASE(command_line),
        CASE(memory_files),   CASE(system_files), CASE(each_name_once), CASE(listing),
        CASE(maps_of_others), {NULL, NULL},
    };
    char byte;
    if (argc > 1 && !strcmp(argv[1], "--wait"))
        return read(0, &byte, 1) != 1;
    if (argc > 1)
        return 0;
    return check_run(cases);
}
