/* SPDX-License-Identifier: MIT */
/* /proc: the files about the whole system, and /proc/sys. */
#include "procfile.h"

#include <sys/sysinfo.h>
#include <sys/utsname.h>

static int lines_of(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void burn(double how_long)
{
    struct timespec t;
    double end = 0, now;
    do {
        clock_gettime(CLOCK_MONOTONIC, &t);
        now = t.tv_sec + t.tv_nsec / 1e9;
        end = end ? end : now + how_long;
    } while (now < end);
}

/* ---- memory ---- */

static void memory(void)
{
    char *text = proc_read("/proc/meminfo");
    long total = number_of(text, "MemTotal:"), free = number_of(text, "MemFree:");
    CHECK(free > 0 && free < total, "MemFree is less than MemTotal");
    CHECK(number_of(text, "MemAvailable:") <= total, "MemAvailable is not more");
    CHECK(number_of(text, "Cached:") >= number_of(text, "Shmem:"), "Cached includes Shmem");
    CHECK_EQ(number_of(text, "SReclaimable:") + number_of(text, "SUnreclaim:"),
             number_of(text, "Slab:"), "Slab is the sum of its two parts");
    CHECK(number_of(text, "AnonPages:") > 0 && number_of(text, "PageTables:") > 0 &&
              number_of(text, "KernelStack:") > 0,
          "pages, tables, stacks");
    CHECK(number_of(text, "SwapFree:") <= number_of(text, "SwapTotal:"), "swap");
    CHECK(number_of(text, "CommitLimit:") > 0 && number_of(text, "Committed_AS:") > 0, "promises");
    struct sysinfo info;
    sysinfo(&info);
    CHECK_EQ(info.totalram * info.mem_unit / 1024, total, "sysinfo tells the same total");
    if (qemu_user_lacks("growth"))
        return;
    long anonymous = number_of(text, "AnonPages:");
    char *p = private_pages(16 << 20);
    memset(p, 1, 16 << 20);
    long grown = number_of(proc_read("/proc/meminfo"), "AnonPages:") - anonymous;
    CHECK(grown > 12000 && grown < 400000, "16 MiB more are in use");
    int fd = open("file", O_RDWR | O_CREAT, 0600);
    long shared = number_of(proc_text, "Shmem:");
    REQUIRE(write(fd, p, 8 << 20) == 8 << 20);
    CHECK(number_of(proc_read("/proc/meminfo"), "Shmem:") - shared > 6000,
          "8 MiB in a tmpfs are Shmem");
    long committed = number_of(proc_text, "Committed_AS:");
    char *more = private_pages(32 << 20);
    CHECK(number_of(proc_read("/proc/meminfo"), "Committed_AS:") - committed > 24000,
          "32 MiB promised");
    munmap(more, 32 << 20);
}

static void counters(void)
{
    char *text = proc_read("/proc/vmstat");
    long faults = number_of(text, "pgfault "), free = number_of(text, "nr_free_pages ");
    CHECK(faults > 0 && number_of(text, "pgmajfault ") <= faults, "vmstat: faults");
    CHECK(free > 0 && number_of(text, "nr_anon_pages ") > 0 &&
              number_of(text, "nr_file_pages ") > 0,
          "pages by kind");
    char *p = private_pages(200 * 4096);
    madvise(p, 200 * 4096, MADV_NOHUGEPAGE);
    for (int i = 0; i < 200; i++)
        p[i * 4096] = 1;
    CHECK(number_of(proc_read("/proc/vmstat"), "pgfault ") >= faults + 200, "each touch is one");
    long blocks = 0, order = 1;
    char *at = strstr(proc_read("/proc/buddyinfo"), "Node 0, zone");
    CHECK(at != NULL, "buddyinfo");
    for (at = proc_text; at && *at; at = strchr(at, '\n'), at = at ? at + 1 : NULL) {
        char *field = at + strcspn(at, ",");
        field = strstr(field, "zone");
        order = 1;
        if (!field)
            continue;
        field += 4 + strspn(field + 4, " ");
        field += strcspn(field, " ");
        for (long n; *field && *field != '\n'; order *= 2) {
            char *end;
            n = strtol(field, &end, 10);
            if (end == field)
                break;
            blocks += n * order;
            field = end;
        }
    }
    struct sysinfo info;
    sysinfo(&info);
    long all = info.totalram * info.mem_unit / 4096;
    CHECK(blocks > 0 && blocks <= all, "its blocks are free memory");
    CHECK(strstr(proc_read("/proc/zoneinfo"), "pages free"), "zoneinfo");
    text = strstr(proc_text, "zone   Normal");
    long least = text ? number_of(text, "        min ") : 0, low = number_of(text, "        low ");
    CHECK(least > 0 && least <= low && low <= number_of(text, "        high "),
          "its watermarks are in order");
    long spanned = number_of(text, "        spanned "),
         present = number_of(text, "        present ");
    CHECK(present > 0 && present <= spanned && number_of(text, "        managed ") <= present,
          "managed, present and spanned pages");
    CHECK(number_of(text, "  start_pfn:") >= 0, "its first frame");
    long cached = number_of(proc_read("/proc/meminfo"), "Cached:");
    CHECK(number_of(proc_text, "Mapped:") > 0 && number_of(proc_text, "Mapped:") <= cached,
          "Mapped: files' pages that processes have");
    CHECK(number_of(proc_text, "Active:") >= number_of(proc_text, "Active(anon):") &&
              number_of(proc_text, "Inactive(file):") >= 0 &&
              number_of(proc_text, "Unevictable:") >= number_of(proc_text, "Mlocked:"),
          "lists of pages");
    if (geteuid() == 0)
        CHECK(starts_with(proc_read("/proc/slabinfo"), "slabinfo - version: 2.1\n# name"),
              "slabinfo");
    CHECK(starts_with(proc_read("/proc/swaps"), "Filename"), "swaps has a head line");
}

/* ---- processors and time ---- */

static long cpu_sum(char *text, const char *name)
{
    char *p = line_of(text, name);
    long sum = 0;
    for (int i = 0; p && i < 8; i++)
        sum += strtol(p, &p, 10);
    return sum;
}

static void processors(void)
{
    if (qemu_user_lacks("/proc/stat"))
        return;
    char *text = proc_read("/proc/stat"), name[16];
    long parts = 0, all = cpu_sum(text, "cpu ");
    int n = 0;
    for (int i = 0; i < 1024; i++) {
        snprintf(name, sizeof(name), "cpu%d ", i);
        n += line_of(text, name) != NULL;
        parts += cpu_sum(text, name);
    }
    CHECK_EQ(n, sysconf(_SC_NPROCESSORS_ONLN), "stat: a line for each processor");
    CHECK(labs(all - parts) <= 8L * n, "the first is their sum");
    long user = strtol(line_of(text, "cpu "), NULL, 10), switches = number_of(text, "ctxt ");
    long interrupts = number_of(text, "intr "), forks = number_of(text, "processes ");
    burn(0.2);
    usleep(1000);
    IN_CHILD();
    text = proc_read("/proc/stat");
    char *p = line_of(text, "cpu ");
    strtol(p, &p, 10);
    long system = strtol(p, &p, 10);
    system = strtol(p, &p, 10);
    CHECK(strtol(line_of(text, "cpu "), NULL, 10) + system >= user + 5, "time that is used counts");
    CHECK(number_of(text, "ctxt ") > switches, "ctxt");
    CHECK(number_of(text, "intr ") > interrupts, "intr");
    CHECK(number_of(text, "processes ") > forks, "processes");
    CHECK(number_of(text, "procs_running ") >= 1, "we run");
    CHECK(number_of(text, "procs_blocked ") >= 0, "who waits for disks");
    long per_processor = cpu_sum(text, "cpu0 ");
    double uptime, idle;
    struct timespec boot, real;
    CHECK_EQ(sscanf(proc_read("/proc/uptime"), "%lf %lf", &uptime, &idle), 2, "uptime");
    clock_gettime(CLOCK_BOOTTIME, &boot);
    clock_gettime(CLOCK_REALTIME, &real);
    CHECK(uptime <= boot.tv_sec + boot.tv_nsec / 1e9 && uptime > boot.tv_sec - 30,
          "is that of the clock");
    CHECK(idle <= (uptime + 1) * n * 1.2 && idle >= 0, "idle time is no more than all had");
    CHECK(per_processor <= (uptime + 5) * 150, "nor is a processor's time");
    long born = number_of(proc_read("/proc/stat"), "btime ");
    CHECK(labs(born - (real.tv_sec - boot.tv_sec)) <= 2, "btime");
}

static void load(void)
{
    double average[3];
    int running, all, last;
    CHECK_EQ(sscanf(proc_read("/proc/loadavg"), "%lf %lf %lf %d/%d %d", &average[0], &average[1],
                    &average[2], &running, &all, &last),
             6, "loadavg");
    CHECK(average[0] >= 0 && average[0] < 1000 && running >= 1 && all >= running, "its figures");
    if (qemu_user_lacks("the last number"))
        return;
    pid_t child = CHILD(_exit(0));
    end_of(child);
    sscanf(proc_read("/proc/loadavg"), "%*f %*f %*f %d/%d %d", &running, &all, &last);
    CHECK(last >= child || last < 1000, "the last number that was given");
    struct sysinfo info;
    sysinfo(&info);
    CHECK(info.loads[0] / 65536.0 < average[0] + 2, "sysinfo tells the same");
}

static void processor_files(void)
{
    char *text = proc_read("/proc/cpuinfo"), *at = text;
    int n = 0;
    for (; (at = strstr(at, "processor")); at++)
        n += at == text || at[-1] == '\n';
    if (!check_state->qemu_user)
        CHECK_EQ(n, sysconf(_SC_NPROCESSORS_ONLN), "cpuinfo: a paragraph for each processor");
#ifdef __x86_64__
    char *flags = strstr(text, "\nflags");
    CHECK(flags && strstr(flags, " fpu ") && strstr(flags, " sse2 ") && strstr(flags, " lm "),
          "flags");
    CHECK(strstr(text, "\nmodel name") && strstr(text, "\ncpu MHz") && strstr(text, "\nvendor_id"),
          "model, clock, vendor");
#else
    if (!check_state->qemu_user) {
        CHECK(strstr(text, "isa\t\t: rv64"), "isa");
        CHECK(strstr(text, "\nmmu\t\t: sv") && strstr(text, "\nhart\t\t: "), "mmu, hart");
    }
#endif
    text = proc_read("/proc/interrupts");
    int columns = 0;
    for (at = text; (at = strstr(at, "CPU")) && at < strchr(text, '\n'); at++)
        columns++;
    if (!check_state->qemu_user)
        CHECK_EQ(columns, sysconf(_SC_NPROCESSORS_ONLN), "interrupts: a column for each");
    CHECK(lines_of(text) > 2, "and lines");
}

/* ---- what there is ---- */

static void system_files(void)
{
    struct utsname uts;
    uname(&uts);
    char want[256];
    snprintf(want, sizeof(want), "Linux version %s ", uts.release);
    if (!check_state->qemu_user)
        CHECK(starts_with(proc_read("/proc/version"), want), "version");
    CHECK(strchr(proc_read("/proc/cmdline"), '\n') != NULL, "cmdline");
    char *text = proc_read("/proc/filesystems");
    CHECK(strstr(text, "nodev\tproc\n") && strstr(text, "nodev\tsysfs\n") &&
              strstr(text, "nodev\ttmpfs\n"),
          "filesystems");
    text = proc_read("/proc/devices");
    char *block = strstr(text, "\nBlock devices:\n"), *mem = strstr(text, "  1 mem\n");
    CHECK(starts_with(text, "Character devices:\n") && mem && block && mem < block, "devices");
    CHECK(access("/proc/diskstats", R_OK) == 0 && access("/proc/partitions", R_OK) == 0,
          "diskstats, partitions");
    CHECK(access("/proc/misc", R_OK) == 0, "misc");
    CHECK(starts_with(proc_read("/proc/execdomains"), "0-0\tLinux"), "execdomains");
    CHECK(proc_read("/proc/locks") != NULL && access("/proc/locks", R_OK) == 0, "locks");
    text = proc_read("/proc/iomem");
    CHECK(strstr(text, "System RAM") != NULL, "iomem");
    CHECK(access("/proc/consoles", R_OK) == 0, "consoles");
    NEED_ROOT();
    text = proc_read("/proc/tty/drivers");
    CHECK(strstr(text, "/dev/tty") && strstr(text, "/dev/console"), "tty/drivers");
    CHECK_EQ(IN_CHILD(become_user(1000);
                      _exit(strncmp(proc_read("/proc/iomem"), "00000000-00000000", 17))),
             0, "addresses in iomem are for root");
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(read_error("/proc/slabinfo"))), EACCES,
             "slabinfo is");
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(open("/proc/kmsg", O_RDONLY) < 0)), 1, "kmsg is");
}

static void messages(void)
{
    NEED_ROOT();
    if (qemu_user_lacks("kmsg"))
        return;
    char text[9000], marker[64];
    int fd = open("/dev/kmsg", O_RDWR | O_NONBLOCK);
    if (fd < 0) {
        SKIP("kmsg", "no /dev/kmsg here");
        return;
    }
    snprintf(marker, sizeof(marker), "abi test %d", getpid());
    CHECK_EQ(lseek(fd, 0, SEEK_END), 0, "to the end of the log");
    CHECK_FAIL(read(fd, text, sizeof(text)), EAGAIN, "nothing more yet");
    char line[96];
    snprintf(line, sizeof(line), "<6>%s\\\n", marker);
    CHECK_EQ(write(fd, line, strlen(line)), (ssize_t)strlen(line), "a message of ours");
    ssize_t n;
    unsigned level, found = 0;
    unsigned long long number, before = 0, time;
    char flag = 0;
    while (!found && (n = read(fd, text, sizeof(text) - 1)) > 0) {
        text[n] = 0;
        found = strstr(text, marker) != NULL;
    }
    REQUIRE(found);
    CHECK_EQ(sscanf(text, "%u,%llu,%llu,%c", &level, &number, &time, &flag), 4,
             "a record has level, number, time, flag");
    CHECK_EQ(level, 8 + 6, "the level, and that it is not the kernel's");
    CHECK(strchr(text, ';') && starts_with(strchr(text, ';') + 1, marker), "then the text");
    CHECK(strstr(text, "\\x5c\n"), "with what is special as a number");
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0, "back to the first");
    n = read(fd, text, sizeof(text) - 1);
    text[n > 0 ? n : 0] = 0;
    CHECK(n > 0 && sscanf(text, "%u,%llu", &level, &before) == 2 && before < number,
          "an earlier one");
    CHECK_FAIL(lseek(fd, 0, SEEK_CUR), EINVAL, "there is no position");
    CHECK_FAIL(lseek(fd, 3, SEEK_SET), ESPIPE, "nor any other");
    lseek(fd, 0, SEEK_SET);
    CHECK_FAIL(read(fd, text, 3), EINVAL, "a buffer that is too small");
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    CHECK(poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLIN), "poll");
    close(fd);
}

/* ---- /proc/sys ---- */

static void facts(void)
{
    struct utsname uts;
    if (qemu_user_lacks("/proc/sys"))
        return;
    uname(&uts);
    char *text = proc_read("/proc/sys/kernel/osrelease");
    CHECK(starts_with(text, uts.release) && text[strlen(uts.release)] == '\n', "osrelease");
    CHECK_STR(proc_read("/proc/sys/kernel/ostype"), "Linux\n", "ostype");
    CHECK(starts_with(proc_read("/proc/sys/kernel/version"), uts.version), "version");
    CHECK(starts_with(proc_read("/proc/sys/kernel/hostname"), uts.nodename), "hostname");
    CHECK(atol(proc_read("/proc/sys/kernel/pid_max")) > getpid(), "pid_max");
    CHECK_EQ(atol(proc_read("/proc/sys/kernel/ngroups_max")), sysconf(_SC_NGROUPS_MAX),
             "ngroups_max");
    CHECK(atol(proc_read("/proc/sys/kernel/cap_last_cap")) >= 37, "cap_last_cap");
    CHECK(atol(proc_read("/proc/sys/kernel/threads-max")) > 10, "threads-max");
    CHECK_EQ(atol(proc_read("/proc/sys/kernel/overflowuid")), 65534, "overflowuid");
    CHECK(atol(proc_read("/proc/sys/kernel/random/entropy_avail")) > 0, "entropy_avail");
    char first[64];
    strcpy(first, proc_read("/proc/sys/kernel/random/boot_id"));
    CHECK(strlen(first) == 37 && first[8] == '-' && first[14] == '4', "boot_id is a UUID");
    CHECK_STR(proc_read("/proc/sys/kernel/random/boot_id"), first, "always the same");
    strcpy(first, proc_read("/proc/sys/kernel/random/uuid"));
    CHECK(strlen(first) == 37 && strcmp(proc_read("/proc/sys/kernel/random/uuid"), first),
          "uuid never");
    long now[2] = {0}, open_files = 0, most = 0;
    CHECK(sscanf(proc_read("/proc/sys/fs/file-nr"), "%ld %ld %ld", &now[0], &now[1], &most) == 3 &&
              now[0] >= 3 && now[0] < most,
          "file-nr");
    for (int i = 0; i < 200; i++)
        open("/dev/null", O_RDONLY);
    sscanf(proc_read("/proc/sys/fs/file-nr"), "%ld", &open_files);
    CHECK(open_files >= now[0] + 100, "counts open files");
    CHECK(atol(proc_read("/proc/sys/fs/nr_open")) >= 1024, "nr_open");
    CHECK(atol(proc_read("/proc/sys/fs/pipe-max-size")) >= 4096, "pipe-max-size");
    CHECK(atol(proc_read("/proc/sys/vm/max_map_count")) > 1000, "max_map_count");
    CHECK(atol(proc_read("/proc/sys/vm/mmap_min_addr")) % 4096 == 0, "mmap_min_addr");
    CHECK(atol(proc_read("/proc/sys/vm/min_free_kbytes")) > 0, "min_free_kbytes");
}

static void knobs(void)
{
    NEED_ROOT();
    if (qemu_user_lacks("writing to /proc/sys"))
        return;
    if (write_error("/proc/sys/vm/overcommit_ratio", "50") == EROFS) {
        SKIP("knobs", "/proc/sys is read-only here");
        return;
    }
    CHECK_EQ(write_error("/proc/sys/kernel/ostype", "x"), EACCES, "a fact cannot be written");
    CHECK_EQ(read_error("/proc/sys/vm/drop_caches") == EACCES ||
                 read_error("/proc/sys/vm/drop_caches") == 0,
             1, "what acts when it is written");
    CHECK_EQ(write_error("/proc/sys/vm/drop_caches", "0"), EINVAL, "drop_caches: nothing at all");
    CHECK_EQ(write_error("/proc/sys/vm/drop_caches", " 4 \n"), 0, "drop_caches: be quiet about it");
    CHECK_EQ(write_error("/proc/sys/vm/overcommit_memory", "x"), EINVAL, "not a number");
    CHECK_EQ(write_error("/proc/sys/vm/overcommit_memory", "3"), EINVAL, "out of range");
    CHECK_EQ(write_error("/proc/sys/vm/overcommit_memory", "-1"), EINVAL, "below it");
    CHECK_EQ(write_error("/proc/sys/vm/overcommit_memory", "0\n"), 0, "a number and a newline");
    CHECK_EQ(IN_CHILD(become_user(1000);
                      _exit(write_error("/proc/sys/vm/overcommit_memory", "0") == EACCES)),
             1, "not by an ordinary user");
    CHECK_FAIL(chmod("/proc/sys/vm/overcommit_memory", 0666), EPERM, "modes stay");
    struct stat st;
    CHECK(stat("/proc/sys/vm/overcommit_memory", &st) == 0 && (st.st_mode & 0777) == 0644 &&
              st.st_uid == 0 && st.st_size == 0,
          "0644, root's, no size");
    long before = atol(proc_read("/proc/sys/fs/pipe-max-size"));
    int pipes[2];
    char text[32];
    REQUIRE(pipe(pipes) == 0 && before >= 65536);
    CHECK_EQ(write_error("/proc/sys/fs/pipe-max-size", "65536"), 0, "a knob");
    CHECK_EQ(atol(proc_read("/proc/sys/fs/pipe-max-size")), 65536, "is read back");
    CHECK_EQ(IN_CHILD(become_user(1000);
                      _exit(fcntl(pipes[0], F_SETPIPE_SZ, 131072) < 0 && errno == EPERM)),
             1, "and acts");
    snprintf(text, sizeof(text), "%ld", before);
    write_error("/proc/sys/fs/pipe-max-size", text);
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(fcntl(pipes[0], F_SETPIPE_SZ, 65536) == 65536)), 1,
             "as before");
    CHECK_FAIL(open("/proc/sys/kernel/none", O_RDONLY), ENOENT, "no such knob");
    CHECK(open("/proc/sys/new", O_CREAT | O_WRONLY, 0600) < 0, "none can be made");
}

CHECK_MAIN(CASE(memory), CASE(counters), CASE(processors), CASE(load), CASE(processor_files),
           CASE(system_files), CASE(messages), CASE(facts), CASE(knobs))
