/* SPDX-License-Identifier: MIT */
/* /sys: a file system of facts, and what it tells of processors, nodes and memory. */
#include "procfile.h"

#include <sys/mount.h>
#include <sys/vfs.h>

#define CPU "/sys/devices/system/cpu"

/* "0-2,5" as a set of bits; ~0: it is none. */
static unsigned long range_set(const char *text)
{
    unsigned long set = 0;
    char *end;
    while (*text && *text != '\n') {
        unsigned long first = strtoul(text, &end, 10), last = first;
        if (end == text)
            return ~0UL;
        if (*end == '-')
            last = strtoul(end + 1, &end, 10);
        for (; first <= last; first++)
            set |= 1UL << first;
        text = *end == ',' ? end + 1 : end;
    }
    return set;
}

/* "ff,00000001" as bits. */
static unsigned long mask_set(const char *text)
{
    unsigned long set = 0;
    for (; *text && *text != '\n'; text++)
        if (*text != ',')
            set = set << 4 | strtoul((char[]){*text, 0}, NULL, 16);
    return set;
}

static int lacks_sysfs(void)
{
    struct statfs fs;
    if (statfs("/sys", &fs) == 0 && fs.f_type == 0x62656572)
        return 0;
    SKIP("sysfs", "nothing is mounted on /sys");
    return 1;
}

static void processors(void)
{
    if (lacks_sysfs())
        return;
    unsigned long online = range_set(proc_read(CPU "/online"));
    unsigned long possible = range_set(proc_read(CPU "/possible"));
    unsigned long present = range_set(proc_read(CPU "/present"));
    CHECK_EQ(__builtin_popcountl(online), sysconf(_SC_NPROCESSORS_ONLN), "cpu/online");
    CHECK_EQ(online & ~present, 0, "those online are present");
    CHECK_EQ(present & ~possible, 0, "those present are possible");
    CHECK_EQ(range_set(proc_read(CPU "/offline")) & online, 0, "those offline are others");
    CHECK(63 - __builtin_clzl(possible) <= atoi(proc_read(CPU "/kernel_max")), "kernel_max");
    for (int i = 0; i < 64; i++) {
        char path[80], text[64];
        snprintf(path, sizeof(path), CPU "/cpu%d", i);
        snprintf(text, sizeof(text), "cpu%d has a directory if it is present", i);
        if (i < 8 || present >> i & 1)
            CHECK_EQ(access(path, F_OK) == 0, present >> i & 1, text);
    }
}

static void topology(void)
{
    if (lacks_sysfs())
        return;
    unsigned long online = range_set(proc_read(CPU "/online")), all = 0;
    for (int i = 0; i < 64; i++) {
        if (!(online >> i & 1))
            continue;
        char *text = proc_read(CPU "/cpu%d/topology/physical_package_id", i);
        CHECK(text[0] >= '0' && text[0] <= '9', "physical_package_id");
        CHECK(atoi(proc_read(CPU "/cpu%d/topology/core_id", i)) >= 0, "core_id");
        unsigned long core = range_set(proc_read(CPU "/cpu%d/topology/thread_siblings_list", i));
        unsigned long package = range_set(proc_read(CPU "/cpu%d/topology/core_siblings_list", i));
        CHECK(core >> i & 1, "a processor is among those of its core");
        CHECK_EQ(core & ~package, 0, "which is part of its package");
        CHECK_EQ(mask_set(proc_read(CPU "/cpu%d/topology/thread_siblings", i)), core,
                 "as a mask the same");
        CHECK_EQ(mask_set(proc_read(CPU "/cpu%d/topology/core_siblings", i)), package,
                 "of the package too");
        CHECK_EQ(range_set(proc_read(CPU "/cpu%d/topology/core_cpus_list", i)), core,
                 "the newer names say the same");
        CHECK_EQ(range_set(proc_read(CPU "/cpu%d/topology/package_cpus_list", i)), package,
                 "of the package too");
        all |= package;
    }
    CHECK_EQ(all, online, "all packages together are all processors");
}

static void caches(void)
{
    if (lacks_sysfs())
        return;
    if (access(CPU "/cpu0/cache/index0", F_OK) < 0) {
        SKIP("caches", "the machine tells of none");
        return;
    }
    int levels = 0, last = 0, ordered = 1;
    for (int i = 0; i < 8; i++) {
        char dir[64], path[96];
        snprintf(dir, sizeof(dir), CPU "/cpu0/cache/index%d", i);
        if (access(dir, F_OK) < 0)
            break;
        int level = atoi(proc_read("%s/level", dir));
        ordered &= level >= last;
        last = level;
        levels++;
        char *type = proc_read("%s/type", dir);
        CHECK(!strcmp(type, "Data\n") || !strcmp(type, "Instruction\n") ||
                  !strcmp(type, "Unified\n"),
              "type of a cache");
        long size = strtol(proc_read("%s/size", dir), NULL, 10);
        CHECK(size > 0 && strchr(proc_text, 'K'), "its size in KiB");
        long line = atol(proc_read("%s/coherency_line_size", dir));
        CHECK(line >= 16 && (line & (line - 1)) == 0, "its lines");
        snprintf(path, sizeof(path), "%s/number_of_sets", dir);
        if (access(path, F_OK) == 0) {
            long sets = atol(proc_read("%s/number_of_sets", dir));
            long ways = atol(proc_read("%s/ways_of_associativity", dir));
            CHECK(ways == 0 || labs(sets * ways * line - size * 1024) < line * ways,
                  "sets, ways and lines make its size");
        }
        CHECK(range_set(proc_read("%s/shared_cpu_list", dir)) & 1, "who uses it");
        unsigned long users = range_set(proc_text);
        CHECK_EQ(mask_set(proc_read("%s/shared_cpu_map", dir)), users, "as a mask");
    }
    CHECK(levels > 0 && ordered, "nearer ones come first");
}

static void nodes(void)
{
    if (lacks_sysfs())
        return;
    if (access("/sys/devices/system/node/node0", F_OK) < 0) {
        SKIP("nodes", "a kernel without them");
        return;
    }
    CHECK(range_set(proc_read("/sys/devices/system/node/online")) & 1, "node 0 is online");
    unsigned long set = range_set(proc_read("/sys/devices/system/node/node0/cpulist"));
    CHECK(set != 0 && set != ~0UL, "it has processors");
    CHECK_EQ(mask_set(proc_read("/sys/devices/system/node/node0/cpumap")), set, "as a mask");
    char *text = proc_read("/sys/devices/system/node/node0/meminfo");
    char *total = strstr(text, "MemTotal:"), *free = strstr(text, "MemFree:");
    long all = number_of(proc_read("/proc/meminfo"), "MemTotal:");
    text = proc_read("/sys/devices/system/node/node0/meminfo");
    total = strstr(text, "MemTotal:");
    free = strstr(text, "MemFree:");
    CHECK(total && free && atol(free + 8) < atol(total + 9) && atol(total + 9) <= all + 4096,
          "its memory");
    CHECK_EQ(atoi(proc_read("/sys/devices/system/node/node0/distance")), 10, "it is near itself");
    struct stat a, b;
    char path[80];
    snprintf(path, sizeof(path), "/sys/devices/system/node/node0/cpu%d", __builtin_ctzl(set));
    CHECK(lstat(path, &a) == 0 && S_ISLNK(a.st_mode), "links to its processors");
    snprintf(path, sizeof(path), CPU "/cpu%d", __builtin_ctzl(set));
    CHECK(stat(path, &b) == 0 && S_ISDIR(b.st_mode), "which are directories");
    char target[PATH_MAX] = "";
    snprintf(path, sizeof(path), "/sys/devices/system/node/node0/cpu%d", __builtin_ctzl(set));
    CHECK(stat(path, &a) == 0 && a.st_ino == b.st_ino, "lead there");
    CHECK(readlink(path, target, PATH_MAX - 1) > 0 && starts_with(target, "../../"),
          "relative ones");
}

static void files(void)
{
    if (lacks_sysfs())
        return;
    struct stat st;
    char a[64] = "", b[64] = "";
    int fd = open(CPU "/online", O_RDONLY);
    REQUIRE(fd >= 0);
    CHECK(fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 4096, "a file seems a page");
    CHECK_EQ(st.st_mode & 0777, 0444, "that all can read");
    CHECK(st.st_uid == 0 && st.st_nlink == 1, "it is root's");
    ssize_t n = read(fd, a, sizeof(a));
    CHECK(n >= 2 && a[n - 1] == '\n', "it has a line");
    CHECK_EQ(read(fd, b, sizeof(b)), 0, "and an end");
    CHECK(lseek(fd, 0, SEEK_SET) == 0 && read(fd, b, sizeof(b)) == n && !strcmp(a, b),
          "it can be read again");
    memset(b, 0, sizeof(b));
    CHECK(pread(fd, b, sizeof(b), 1) == n - 1 && !strcmp(a + 1, b), "from anywhere");
    close(fd);
    CHECK(stat("/sys/devices", &st) == 0 && S_ISDIR(st.st_mode) && st.st_nlink >= 3,
          "directories count those in them");
    int dirs = 2;
    DIR *dir = opendir("/sys/devices/system/cpu");
    for (struct dirent *e; dir && (e = readdir(dir));)
        dirs += e->d_type == DT_DIR && e->d_name[0] != '.';
    closedir(dir);
    CHECK(stat(CPU, &st) == 0 && (int)st.st_nlink == dirs, "exactly");
    NEED_ROOT();
    CHECK_EQ(write_error(CPU "/online", "0"), EACCES, "a fact cannot be written");
    CHECK(mkdir("/sys/new", 0755) < 0 && (errno == EPERM || errno == EROFS), "nothing can be made");
    CHECK(open("/sys/new", O_CREAT | O_WRONLY, 0644) < 0, "no file");
    CHECK(unlink(CPU "/online") < 0 && (errno == EPERM || errno == EROFS), "nor removed");
    CHECK(rmdir("/sys/devices") < 0, "no directory");
    CHECK_FAIL(open("/sys/devices/system/none", O_RDONLY), ENOENT, "what is not there");
    CHECK_FAIL(open("/sys/devices/system/cpu/online/x", O_RDONLY), ENOTDIR,
               "a file is no directory");
}

static void folders(void)
{
    if (lacks_sysfs())
        return;
    static const char *const usual[] = {"block", "bus",      "class",  "dev",   "devices",
                                        "fs",    "firmware", "kernel", "module"};
    for (unsigned i = 0; i < ARRAY_SIZE(usual); i++) {
        char path[64];
        struct stat st;
        snprintf(path, sizeof(path), "/sys/%s", usual[i]);
        CHECK(stat(path, &st) == 0 && S_ISDIR(st.st_mode), path);
    }
    CHECK(access("/sys/dev/char", F_OK) == 0 && access("/sys/dev/block", F_OK) == 0,
          "/sys/dev has both kinds");
    char *clock = proc_read("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    CHECK(strlen(clock) > 2, "the clock source");
    char name[64];
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(clock, "\n"), clock);
    CHECK(strstr(proc_read("/sys/devices/system/clocksource/clocksource0/available_clocksource"),
                 name) != NULL,
          "is one of those available");
}

static void terminals(void)
{
    if (lacks_sysfs())
        return;
    CHECK_STR(proc_read("/sys/class/tty/tty/dev"), "5:0\n", "/dev/tty in class/tty");
    CHECK_STR(proc_read("/sys/class/tty/console/dev"), "5:1\n", "and the console");
    CHECK(access("/sys/class/tty/console/active", R_OK) == 0, "which tells what it is");
}

/* Each PCI device: what its files say is in its registers. */
static void pci(void)
{
    DIR *dir = lacks_sysfs() ? NULL : opendir("/sys/bus/pci/devices");
    unsigned seen = 0, right = 0;
    if (!dir) {
        SKIP("PCI", "no such bus here");
        return;
    }
    for (struct dirent *e; (e = readdir(dir));) {
        char path[PATH_MAX];
        unsigned char config[64] = {};
        if (e->d_name[0] == '.')
            continue;
        seen++;
        snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", e->d_name);
        int fd = open(path, O_RDONLY);
        ssize_t n = read(fd, config, sizeof(config));
        close(fd);
        snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vendor", e->d_name);
        int vendor = strtoul(proc_read(path), NULL, 16);
        snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/class", e->d_name);
        int class = strtoul(proc_read(path), NULL, 16);
        right += n == 64 && vendor == (config[0] | config[1] << 8) &&
                 class == (config[9] | config[10] << 8 | config[11] << 16);
    }
    closedir(dir);
    CHECK_EQ(right, seen, "vendor, class and config of each PCI device agree");
}

static void mounted(void)
{
    NEED_ROOT();
    if (lacks_sysfs() || qemu_user_lacks("mount"))
        return;
    struct stat a, b;
    mkdir("again", 0755);
    if (mount("none", "again", "sysfs", 0, NULL) < 0) {
        SKIP("mount", "not allowed here");
        return;
    }
    CHECK(stat("again/devices/system/cpu/online", &a) == 0 && stat(CPU "/online", &b) == 0 &&
              a.st_ino == b.st_ino,
          "a second mount shows the same");
    umount("again");
    CHECK(stat("again/devices", &a) < 0, "and goes");
    CHECK(strstr(proc_read("/proc/filesystems"), "nodev\tsysfs\n") != NULL, "in filesystems");
}

CHECK_MAIN(CASE(processors), CASE(topology), CASE(caches), CASE(nodes), CASE(files), CASE(folders),
           CASE(terminals), CASE(pci), CASE(mounted))
