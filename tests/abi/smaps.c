/* SPDX-License-Identifier: MIT */
/* /proc/PID/maps, smaps and smaps_rollup: what is resident, shared, dirty, and how much of it counts. */
#include "procfile.h"

#define PAGE 4096UL

/* The paragraph of smaps that begins at an address; NULL: none. */
static char *area_of(const char *process, void *address)
{
    char head[32], line[40];
    snprintf(head, sizeof(head), "%08lx-", (unsigned long)address);
    snprintf(line, sizeof(line), "\n%s", head);
    char *text = proc_read("/proc/%s/smaps", process), *at;
    if (starts_with(text, head))
        return text;
    at = strstr(text, line);
    return at ? at + 1 : NULL;
}

static long kib(const char *process, void *address, const char *name)
{
    char *p = area_of(process, address);
    return p ? number_of(p, name) : -1;
}

/* Private pages that no neighbour is merged with. */
static char *alone(size_t bytes, int flags, int fd)
{
    char *p = mmap(NULL, bytes + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(p != MAP_FAILED);
    p = mmap(p + PAGE, bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);
    REQUIRE(p != MAP_FAILED);
    if (flags & MAP_ANONYMOUS)
        madvise(p, bytes, MADV_NOHUGEPAGE);
    return p;
}

static void touch(char *p, int pages)
{
    for (int i = 0; i < pages; i++)
        p[i * PAGE] = i + 1;
}

static int look(const char *p, int pages)
{
    int sum = 0;
    for (int i = 0; i < pages; i++)
        sum += ((volatile const char *)p)[i * PAGE];
    return sum;
}

static void is_consistent(const char *process, void *address, const char *what)
{
    char text[100];
    char *p = area_of(process, address);
    REQUIRE(p);
    long rss = number_of(p, "Rss:"), pss = number_of(p, "Pss:");
    snprintf(text, sizeof(text), "%s: Rss is the sum of its four parts", what);
    CHECK_EQ(number_of(p, "Shared_Clean:") + number_of(p, "Shared_Dirty:") +
                 number_of(p, "Private_Clean:") + number_of(p, "Private_Dirty:"),
             rss, text);
    snprintf(text, sizeof(text), "%s: Pss and Referenced are no more than Rss, Rss than Size",
             what);
    CHECK(pss <= rss && number_of(p, "Referenced:") <= rss && rss <= number_of(p, "Size:"), text);
}

static void private_memory(void)
{
    if (qemu_user_lacks("smaps"))
        return;
    char *p = alone(16 * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    CHECK_EQ(kib("self", p, "Size:"), 64, "Size of an area");
    CHECK_EQ(kib("self", p, "Rss:"), 0, "untouched: nothing is resident");
    touch(p, 10);
    CHECK_EQ(kib("self", p, "Rss:"), 40, "Rss: what was written");
    CHECK_EQ(kib("self", p, "Pss:"), 40, "Pss: all of it ours");
    CHECK_EQ(kib("self", p, "Pss_Dirty:"), 40, "Pss_Dirty");
    CHECK_EQ(kib("self", p, "Private_Dirty:"), 40, "Private_Dirty");
    CHECK_EQ(kib("self", p, "Anonymous:"), 40, "Anonymous");
    CHECK_EQ(kib("self", p, "Referenced:"), 40, "Referenced");
    CHECK_EQ(kib("self", p, "KernelPageSize:"), 4, "KernelPageSize");
    CHECK_EQ(kib("self", p, "MMUPageSize:"), 4, "MMUPageSize");
    CHECK_EQ(kib("self", p, "Swap:"), 0, "Swap");
    CHECK_EQ(kib("self", p, "Locked:"), 0, "Locked");
    is_consistent("self", p, "private");
    look(p, 16);
    CHECK_EQ(kib("self", p, "Rss:"), 40, "reading what was never written maps nothing that counts");
    madvise(p, 4 * PAGE, MADV_DONTNEED);
    CHECK_EQ(kib("self", p, "Rss:"), 24, "given back: no longer resident");
    if (mlock(p, 16 * PAGE) == 0) {
        CHECK_EQ(kib("self", p, "Rss:"), 64, "locked: all of it is resident");
        CHECK_EQ(kib("self", p, "Locked:"), 64, "Locked");
        char *flags = line_of(area_of("self", p), "VmFlags:");
        CHECK(flags && strstr(flags, " lo ") && strstr(flags, " lo ") < strchr(flags, '\n'),
              "VmFlags: lo");
    }
}

static void flags(void)
{
    if (qemu_user_lacks("VmFlags"))
        return;
    char *p = alone(PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1), text[200];
    char *f = line_of(area_of("self", p), "VmFlags:");
    REQUIRE(f);
    snprintf(text, sizeof(text), "%.*s", (int)strcspn(f, "\n"), f);
    CHECK(strstr(text, " rd ") && strstr(text, " wr ") && !strstr(text, " ex "), "VmFlags: rd wr");
    CHECK(strstr(text, " mr ") && strstr(text, " mw ") && strstr(text, " me "), "may: mr mw me");
    CHECK(!strstr(text, " sh "), "not shared");
    char *s = alone(PAGE, MAP_SHARED | MAP_ANONYMOUS, -1);
    f = line_of(area_of("self", s), "VmFlags:");
    snprintf(text, sizeof(text), "%.*s", (int)strcspn(f, "\n"), f);
    CHECK(strstr(text, " sh ") && strstr(text, " ms "), "shared: sh ms");
    madvise(p, PAGE, MADV_DONTDUMP);
    madvise(p, PAGE, MADV_SEQUENTIAL);
    mlock2(p, PAGE, MLOCK_ONFAULT);
    f = line_of(area_of("self", p), "VmFlags:");
    snprintf(text, sizeof(text), "%.*s", (int)strcspn(f, "\n"), f);
    CHECK(strstr(text, " me lo sr lf ac ") && strstr(text, " dd "),
          "in this order: lo sr lf ac dd");
    int exe = open("/proc/self/exe", O_RDONLY);
    s = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, exe, 0);
    f = line_of(area_of("self", s), "VmFlags:");
    snprintf(text, sizeof(text), "%.*s", (int)strcspn(f, "\n"), f);
    CHECK(!strstr(text, " sh ") && !strstr(text, " mw ") && strstr(text, " ms"),
          "a shared mapping of a file that is open for reading: ms alone");
    CHECK(strstr(area_of("self", s), " r--s ") != NULL, "but shared it is");
    mprotect(p, PAGE, PROT_READ);
    CHECK(strstr(area_of("self", p), " r--p ") != NULL, "protection in the head line");
}

static void forked(void)
{
    if (qemu_user_lacks("sharing by fork"))
        return;
    struct gate ready = gate_make(), go = gate_make(), wrote = gate_make();
    char *p = alone(8 * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    touch(p, 8);
    pid_t child =
        CHILD(gate_open(ready); gate_pass(go); touch(p, 2); gate_open(wrote); for (;;) pause());
    gate_pass(ready);
    CHECK_EQ(kib("self", p, "Rss:"), 32, "after fork both have all pages");
    CHECK_EQ(kib("self", p, "Pss:"), 16, "each counts for half");
    CHECK_EQ(kib(pid_text(child), p, "Pss:"), 16, "the child as well");
    CHECK_EQ(kib("self", p, "Private_Dirty:") + kib("self", p, "Private_Clean:"), 0,
             "nothing is private");
    CHECK_EQ(kib("self", p, "Shared_Dirty:") + kib("self", p, "Shared_Clean:"), 32,
             "all is shared");
    CHECK_EQ(kib("self", p, "Anonymous:"), 32, "all of it anonymous");
    gate_open(go);
    gate_pass(wrote);
    CHECK_EQ(kib(pid_text(child), p, "Private_Dirty:"), 8, "written pages are the child's own");
    CHECK_EQ(kib("self", p, "Pss:"), 20, "and the others' originals ours");
    CHECK_EQ(kib(pid_text(child), p, "Pss:"), 20, "the sum is what memory is used");
    is_consistent(pid_text(child), p, "child");
    kill(child, SIGKILL);
    end_of(child);
    CHECK_EQ(kib("self", p, "Pss:"), 32, "alone again");
    CHECK_EQ(kib("self", p, "Private_Dirty:") + kib("self", p, "Private_Clean:"), 32,
             "all private");
}

static void three_of_them(void)
{
    if (qemu_user_lacks("three"))
        return;
    struct gate ready = gate_make();
    char *p = alone(30 * PAGE, MAP_SHARED | MAP_ANONYMOUS, -1);
    touch(p, 30);
    CHECK_EQ(kib("self", p, "Rss:"), 120, "shared memory is resident when it was touched");
    CHECK_EQ(kib("self", p, "Pss:"), 120, "with one user it is all his");
    pid_t a = CHILD(look(p, 30); gate_open(ready); for (;;) pause());
    pid_t b = CHILD(look(p, 30); gate_open(ready); for (;;) pause());
    gate_pass(ready);
    gate_pass(ready);
    CHECK_EQ((kib("self", p, "Pss:") + 1) / 2, 20, "three users: a third each");
    CHECK_EQ((kib(pid_text(a), p, "Pss:") + 1) / 2, 20, "the second");
    CHECK_EQ((kib(pid_text(b), p, "Pss:") + 1) / 2, 20, "the third");
    CHECK_EQ(kib("self", p, "Shared_Dirty:") + kib("self", p, "Shared_Clean:"), 120, "all shared");
    CHECK_EQ(kib("self", p, "Anonymous:"), 0, "it is not anonymous");
    CHECK(strstr(area_of("self", p), "/dev/zero (deleted)") != NULL, "its name");
    kill(a, SIGKILL);
    end_of(a);
    CHECK_EQ(kib("self", p, "Pss:"), 60, "two users");
    kill(b, SIGKILL);
    end_of(b);
    CHECK_EQ(kib("self", p, "Pss:"), 120, "one");
}

static void files(void)
{
    if (qemu_user_lacks("mapped files"))
        return;
    char name[PATH_MAX], *zeros = private_pages(16 * PAGE);
    int fd = open("data", O_RDWR | O_CREAT, 0600);
    REQUIRE(fd >= 0 && write(fd, zeros, 16 * PAGE) == (ssize_t)(16 * PAGE) && getcwd(name, 4000));
    char *p = alone(16 * PAGE, MAP_PRIVATE, fd);
    look(p, 16);
    CHECK_EQ(kib("self", p, "Rss:"), 64, "a file's pages are resident when they were read");
    CHECK_EQ(kib("self", p, "Anonymous:"), 0, "they are the file's");
    CHECK_EQ(kib("self", p, "Shared_Clean:") + kib("self", p, "Shared_Dirty:"), 0,
             "one process maps them");
    touch(p, 4);
    CHECK_EQ(kib("self", p, "Rss:"), 64, "written ones are replaced");
    CHECK_EQ(kib("self", p, "Anonymous:"), 16, "by private copies");
    CHECK_EQ(kib("self", p, "Pss:"), 64, "all counts");
    is_consistent("self", p, "file");
    strcat(name, "/data");
    CHECK(strstr(area_of("self", p), name) != NULL, "the name");
    struct stat st;
    char inode[32];
    REQUIRE(fstat(fd, &st) == 0);
    snprintf(inode, sizeof(inode), " %lu ", (unsigned long)st.st_ino);
    CHECK(strstr(area_of("self", p), inode) != NULL, "the inode");
    char *again = alone(8 * PAGE, MAP_SHARED, fd);
    look(again, 8);
    CHECK_EQ(kib("self", again, "Pss:"), 16 + 16 / 2,
             "mapped twice by one process: counts once in all");
    CHECK_EQ(kib("self", again, "Shared_Clean:") + kib("self", again, "Shared_Dirty:"), 16,
             "which is shared");
}

/* ---- all of a process ---- */

/* What has been written, by whomever, and what has only been read. */
static void written(void)
{
    char *p = alone(16 * PAGE, MAP_SHARED | MAP_ANONYMOUS, -1);
    if (qemu_user_lacks("smaps"))
        return;
    touch(p, 4);
    look(p + 4 * PAGE, 4);
    CHECK_EQ(kib("self", p, "Private_Dirty:"), 16, "shared memory that has been written is dirty");
    CHECK_EQ(kib("self", p, "Private_Clean:"), 16, "and what has been read is clean");
    CHECK_EQ(IN_CHILD(look(p, 4); _exit(kib("self", p, "Shared_Dirty:"))), 16,
             "a child that reads it sees that it is dirty");
    int fd = memfd_create("smaps", 0);
    char page[PAGE] = {1};
    for (int i = 0; i < 8; i++)
        REQUIRE(write(fd, page, PAGE) == PAGE);
    p = alone(8 * PAGE, MAP_SHARED, fd);
    close(fd);
    look(p, 8);
    CHECK_EQ(kib("self", p, "Private_Dirty:"), 32, "so is what was written by write()");
    p = alone(8 * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    touch(p, 8);
    REQUIRE(madvise(p, 8 * PAGE, MADV_FREE) == 0);
    touch(p, 8);
    CHECK(kib("self", p, "LazyFree:") == 0 && kib("self", p, "Private_Dirty:") == 32,
          "what is written after MADV_FREE is not to be freed");
}

static void sums(void)
{
    if (qemu_user_lacks("smaps_rollup"))
        return;
    static const char *const names[] = {
        "Rss:",           "Shared_Clean:", "Shared_Dirty:", "Private_Clean:",
        "Private_Dirty:", "Referenced:",   "Anonymous:",    "Locked:"};
    char *p = private_pages(50 * PAGE), text[64];
    touch(p, 50);
    pid_t child = CHILD(touch(p, 20); for (;;) pause());
    await_state(child, "S");
    long sum[ARRAY_SIZE(names)] = {0}, areas = 0, pss = 0;
    for (char *at = proc_read("/proc/%d/smaps", child); at && *at;) {
        areas += at[0] != ' ' && strspn(at, "0123456789abcdef") >= 8;
        for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
            if (starts_with(at, names[i]))
                sum[i] += strtol(at + strlen(names[i]), NULL, 10);
        if (starts_with(at, "Pss:"))
            pss += strtol(at + 4, NULL, 10);
        at = strchr(at, '\n');
        at = at ? at + 1 : NULL;
    }
    char *rollup = proc_read("/proc/%d/smaps_rollup", child);
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        snprintf(text, sizeof(text), "smaps_rollup: %s is the sum of all areas", names[i]);
        CHECK_EQ(number_of(rollup, names[i]), sum[i], text);
    }
    long all = number_of(rollup, "Pss:");
    CHECK(all >= pss && all < pss + areas, "Pss: but for fractions");
    CHECK(labs(number_of(rollup, "Pss_Anon:") + number_of(rollup, "Pss_File:") +
               number_of(rollup, "Pss_Shmem:") - all) <= 3,
          "is the sum of its kinds");
    CHECK(strstr(rollup, "[rollup]") != NULL, "has a head line");
    CHECK(labs(number_of(proc_read("/proc/%d/status", child), "VmRSS:") - sum[0]) < 300, "VmRSS");
    int lines = 0;
    for (char *at = proc_read("/proc/%d/maps", child); *at; at++)
        lines += *at == '\n';
    CHECK_EQ(areas, lines, "maps has the same areas");
    kill(child, SIGKILL);
    end_of(child);
}

static void layout(void)
{
    if (qemu_user_lacks("maps"))
        return;
    unsigned long start, end, offset, before = 0, total = 0;
    unsigned major, minor;
    int heap = 0, stack = 0, vdso = 0, ordered = 1, formed = 1;
    char access[8];
    free(malloc(100000));
    void *brk = sbrk(8192);
    char *text = proc_read("/proc/self/maps");
    for (char *at = text; at && *at; at = strchr(at, '\n'), at = at ? at + 1 : NULL) {
        formed &= sscanf(at, "%lx-%lx %7s %lx %x:%x", &start, &end, access, &offset, &major,
                         &minor) == 6 &&
                  strlen(access) == 4;
        ordered &= start < end && start >= before && !(start % PAGE) && !(end % PAGE);
        before = end;
        total += strstr(at, "[vsyscall]") && strstr(at, "[vsyscall]") < strchr(at, '\n')
                     ? 0
                     : end - start;
        char name[256];
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(at, "\n"), at);
        heap |= strstr(name, "[heap]") && start <= (unsigned long)brk && (unsigned long)brk < end;
        stack |= strstr(name, "[stack]") && start <= (unsigned long)&start &&
                 (unsigned long)&start < end;
        vdso |= strstr(name, "[vdso]") != NULL;
    }
    CHECK(formed, "every line of maps has its fields");
    CHECK(ordered, "in order, in pages, without overlap");
    CHECK(heap, "[heap] is where brk is");
    CHECK(stack, "[stack] is where we are");
    CHECK(vdso, "[vdso]");
    CHECK_EQ(total, stat_word("self", 23), "all areas together are vsize");
    char *p = alone(3 * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    CHECK_EQ(kib("self", p, "Size:"), 12, "an area");
    mprotect(p + PAGE, PAGE, PROT_READ);
    CHECK_EQ(kib("self", p, "Size:"), 4, "is cut by mprotect");
    CHECK_EQ(kib("self", p + PAGE, "Size:"), 4, "in three");
    mprotect(p + PAGE, PAGE, PROT_READ | PROT_WRITE);
    CHECK_EQ(kib("self", p, "Size:"), 12, "and whole again");
    munmap(p + PAGE, PAGE);
    CHECK(!area_of("self", p + PAGE) && kib("self", p + 2 * PAGE, "Size:") == 4, "a hole");
}

CHECK_MAIN(CASE(private_memory), CASE(flags), CASE(forked), CASE(three_of_them), CASE(files),
           CASE(written), CASE(sums), CASE(layout))
