/* SPDX-License-Identifier: MIT */
/* /proc/PID/pagemap, /proc/kpageflags, /proc/kpagecount, /proc/PID/clear_refs; and what Pss adds up to. */
#include "procfile.h"
#include <linux/capability.h>
#include <linux/kernel-page-flags.h>
#include <sys/resource.h>

#define PAGE      4096UL
#define PRESENT   (1ULL << 63)
#define SWAPPED   (1ULL << 62)
#define FILE_PAGE (1ULL << 61)
#define EXCLUSIVE (1ULL << 56)
#define NUMBER    ((1ULL << 55) - 1)
#define FLAG(f)   (1ULL << (f))

static uint64_t word_at(int fd, off_t number)
{
    uint64_t word = 0;
    return pread(fd, &word, sizeof(word), number * 8) == sizeof(word) ? word : 0;
}

static uint64_t page_word(const char *process, const void *address)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%s/pagemap", process);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    uint64_t word = word_at(fd, (uintptr_t)address / PAGE);
    close(fd);
    return word;
}

static uint64_t frame_word(const char *file, uint64_t frame)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    uint64_t word = word_at(fd, frame);
    close(fd);
    return word;
}

static uint64_t flags_of(const void *address)
{
    return frame_word("/proc/kpageflags", page_word("self", address) & NUMBER);
}

static uint64_t count_of(const void *address)
{
    return frame_word("/proc/kpagecount", page_word("self", address) & NUMBER);
}

static int sees_frames(void)
{
    return !check_state->qemu_user && has_capability(CAP_SYS_ADMIN) &&
           access("/proc/kpageflags", R_OK) == 0;
}

/* Base pages that no neighbour is merged with. */
static char *base_pages(size_t pages)
{
    char *p = private_pages((pages + 2) * PAGE) + PAGE;
    REQUIRE(mprotect(p - PAGE, PAGE, PROT_NONE) == 0);
    REQUIRE(mprotect(p + pages * PAGE, PAGE, PROT_NONE) == 0);
    madvise(p, pages * PAGE, MADV_NOHUGEPAGE);
    return p;
}

/* ---- pagemap ---- */

static void entries(void)
{
    if (qemu_user_lacks("pagemap"))
        return;
    char *p = base_pages(8);
    CHECK_EQ(page_word("self", p) & ~(1ULL << 55), 0, "never touched: nothing");
    CHECK(*(volatile char *)p == 0 && (page_word("self", p) & PRESENT), "read: present");
    CHECK(!(page_word("self", p) & (FILE_PAGE | EXCLUSIVE)), "the zero page is nobody's");
    p[0] = 1;
    uint64_t word = page_word("self", p);
    CHECK((word & PRESENT) && (word & EXCLUSIVE), "written: present, and ours alone");
    CHECK(!(word & (FILE_PAGE | SWAPPED)), "of no file, not swapped");
    CHECK_EQ(page_word("self", p + PAGE) & PRESENT, 0, "its neighbour is not there");
    mprotect(p, PAGE, PROT_NONE);
    CHECK(page_word("self", p) & PRESENT, "without access it is still there");
    madvise(p, PAGE, MADV_DONTNEED);
    CHECK_EQ(page_word("self", p) & PRESENT, 0, "given back: gone");
    CHECK_EQ(page_word("self", p - PAGE) & PRESENT, 0, "PROT_NONE, never touched");
    munmap(p, 8 * PAGE);
    CHECK_EQ(page_word("self", p), 0, "unmapped: zero");

    char *s = share_pages(2 * PAGE);
    s[0] = 1;
    word = page_word("self", s);
    CHECK((word & PRESENT) && (word & FILE_PAGE), "shared memory counts as a file's");
    int fd = memfd_create("pagemap", MFD_CLOEXEC);
    REQUIRE(fd >= 0 && ftruncate(fd, PAGE) == 0);
    char *m = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    REQUIRE(m != MAP_FAILED && *(volatile char *)m == 0);
    CHECK(page_word("self", m) & FILE_PAGE, "a file's page");
    *m = 1;
    CHECK(!(page_word("self", m) & FILE_PAGE), "its private copy is not");
}

static void reading(void)
{
    if (qemu_user_lacks("pagemap"))
        return;
    int fd = open("/proc/self/pagemap", O_RDONLY);
    uint64_t words[1024];
    char *p = base_pages(2000);
    for (int i = 0; i < 2000; i += 3)
        p[i * PAGE] = 1;
    CHECK_FAIL(pread(fd, words, 12, 0), EINVAL, "no whole words");
    CHECK_FAIL(pread(fd, words, 8, 4), EINVAL, "not on a word's boundary");
    CHECK_EQ(pread(fd, words, 0, 0), 0, "nothing asked for");
    CHECK_EQ(pread(fd, words, sizeof(words), 0), (long)sizeof(words), "from address 0 on");
    CHECK_EQ(pread(fd, words, 8, (off_t)1 << 53), 0, "no address is there");
    CHECK_FAIL(pread(fd, unmapped_page(), 8, (uintptr_t)p / PAGE * 8), EFAULT, "a bad buffer");
    int right = 1;
    for (int from = 0; from < 2000; from += 1000) {
        ssize_t n = pread(fd, words, 1000 * 8, ((uintptr_t)p / PAGE + from) * 8);
        right &= n == 8000;
        for (int i = 0; i < 1000; i++)
            right &= !!(words[i] & PRESENT) == ((from + i) % 3 == 0);
    }
    CHECK(right, "2000 pages in two readings");
    CHECK_EQ(lseek(fd, (uintptr_t)p / PAGE * 8, SEEK_SET), (long)((uintptr_t)p / PAGE * 8),
             "lseek");
    CHECK(read(fd, words, 16) == 16 && (words[0] & PRESENT) && !(words[1] & PRESENT),
          "and read from there");
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), (long)((uintptr_t)p / PAGE * 8 + 16), "which moves on");
    CHECK_FAIL(lseek(fd, 0, SEEK_END), EINVAL, "it has no end");
    CHECK_FAIL(write(fd, words, 8), EBADF, "it is read only");
    close(fd);
    if (geteuid() == 0)
        CHECK_EQ(IN_CHILD(become_user(65534);
                          _exit(open("/proc/1/pagemap", O_RDONLY) < 0 && errno == EACCES ? 7 : 0)),
                 7, "another user's is not to be read");
}

static void set_capabilities(uint64_t effective)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    REQUIRE(syscall(SYS_capget, &head, data) == 0);
    data[0].effective = effective;
    data[1].effective = effective >> 32;
    REQUIRE(syscall(SYS_capset, &head, data) == 0);
}

static void privilege(void)
{
    if (!sees_frames()) {
        SKIP("privilege", "sees no frames");
        return;
    }
    char *p = base_pages(1);
    *p = 1;
    CHECK((page_word("self", p) & NUMBER) != 0, "with CAP_SYS_ADMIN the frame's number is told");
    int before = open("/proc/self/pagemap", O_RDONLY);
    CHECK_EQ(IN_CHILD(set_capabilities(0); uint64_t w = page_word("self", p);
                      _exit((w & PRESENT) && !(w & NUMBER) ? 7 : 0)),
             7, "without it, it is 0");
    set_capabilities(0);
    CHECK((word_at(before, (uintptr_t)p / PAGE) & NUMBER) != 0,
          "who opened the file is what counts");
    close(before);
}

/* ---- frames ---- */

static void frames(void)
{
    if (!sees_frames()) {
        SKIP("frames", "sees no frames");
        return;
    }
    char *p = base_pages(4);
    p[0] = 1;
    uint64_t f = flags_of(p);
    CHECK((f & FLAG(KPF_ANON)) && (f & FLAG(KPF_MMAP)), "private memory: ANON, MMAP");
    CHECK(f & FLAG(KPF_SWAPBACKED), "SWAPBACKED");
    CHECK(!(f & (FLAG(KPF_BUDDY) | FLAG(KPF_SLAB) | FLAG(KPF_NOPAGE) | FLAG(KPF_ZERO_PAGE) |
                 FLAG(KPF_PGTABLE))),
          "and nothing else");
    CHECK_EQ(count_of(p), 1, "mapped once");
    uint64_t frame = page_word("self", p) & NUMBER;
    CHECK(*(volatile char *)(p + PAGE) == 0 && (flags_of(p + PAGE) & FLAG(KPF_ZERO_PAGE)),
          "read before it was written: the zero page");
    p[PAGE] = 1;
    CHECK(!(flags_of(p + PAGE) & FLAG(KPF_ZERO_PAGE)), "written: a page of its own");

    struct gate ready = gate_make(), go = gate_make(), wrote = gate_make();
    pid_t child = CHILD((void)*(volatile char *)p; gate_open(ready); gate_pass(go); p[0] = 2;
                        gate_open(wrote); for (;;) pause());
    gate_pass(ready);
    CHECK_EQ(page_word(pid_text(child), p) & NUMBER, frame, "fork: one frame for both");
    CHECK_EQ(count_of(p), 2, "mapped twice");
    CHECK_EQ(page_word("self", p) & EXCLUSIVE, 0, "and not ours alone");
    gate_open(go);
    gate_pass(wrote);
    CHECK((page_word(pid_text(child), p) & NUMBER) != frame, "written: a copy");
    CHECK_EQ(page_word("self", p) & NUMBER, frame, "the original stays where it was");
    CHECK_EQ(count_of(p), 1, "mapped once again");
    CHECK((page_word("self", p) & EXCLUSIVE) && (page_word(pid_text(child), p) & EXCLUSIVE),
          "each has his own");
    kill(child, SIGKILL);
    end_of(child);

    int fd = memfd_create("frames", MFD_CLOEXEC);
    REQUIRE(fd >= 0 && ftruncate(fd, 2 * PAGE) == 0);
    char *a = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *b = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
    REQUIRE(a != MAP_FAILED && b != MAP_FAILED);
    a[0] = 1;
    CHECK(*(volatile char *)b == 1, "a page of a file");
    CHECK_EQ(page_word("self", a) & NUMBER, page_word("self", b) & NUMBER, "is there once");
    CHECK_EQ(count_of(a), 2, "mapped twice");
    f = flags_of(a);
    CHECK((f & FLAG(KPF_MMAP)) && !(f & FLAG(KPF_ANON)), "MMAP, not ANON");
    munmap(b, PAGE);
    CHECK_EQ(count_of(a), 1, "mapped once");
    frame = page_word("self", a) & NUMBER;
    munmap(a, PAGE);
    f = frame_word("/proc/kpageflags", frame);
    CHECK(frame_word("/proc/kpagecount", frame) == 0 && !(f & (FLAG(KPF_MMAP) | FLAG(KPF_BUDDY))),
          "in the file only");
}

static long pss_of(const char *process, const char *p)
{
    char head[40];
    snprintf(head, sizeof(head), "\n%08lx-", (unsigned long)p);
    char *at = strstr(proc_read("/proc/%s/smaps", process), head);
    return at ? number_of(at + 1, "Pss:") : -1;
}

/* More than one page table's worth of memory, and processes that have written none, one or many. */
static void many_shares(void)
{
    if (!sees_frames()) {
        SKIP("many shares", "sees no frames");
        return;
    }
    enum { PAGES = 1536, WRITERS = 3 };
    static const int writes[WRITERS] = {0, 1, 700};
    struct gate ready = gate_make();
    pid_t children[WRITERS];
    char *p = base_pages(PAGES), text[100];
    for (int i = 0; i < PAGES; i++)
        p[i * PAGE] = 1;
    for (int n = 0; n < WRITERS; n++) {
        children[n] = CHILD(for (int i = 0; i < writes[n]; i++) p[i * PAGE] = 2; gate_open(ready);
                            for (;;) pause());
        gate_pass(ready);
    }
    static const int samples[] = {0, 1, 699, 700, 1535};
    for (unsigned i = 0; i < ARRAY_SIZE(samples); i++) {
        int users = 1;
        for (int n = 0; n < WRITERS; n++)
            users += samples[i] >= writes[n];
        snprintf(text, sizeof(text), "page %d has %d users", samples[i], users);
        CHECK_EQ(count_of(p + samples[i] * PAGE), users, text);
        CHECK_EQ(!!(page_word("self", p + samples[i] * PAGE) & EXCLUSIVE), users == 1,
                 "exclusive or not");
    }
    long sum = pss_of("self", p);
    for (int n = 0; n < WRITERS; n++)
        sum += pss_of(pid_text(children[n]), p);
    snprintf(text, sizeof(text), "the Pss of all is what memory they use, but for fractions: %ld",
             sum);
    CHECK(labs(sum - 4 * (PAGES + 1 + 700)) <= WRITERS + 1, text);
    for (int n = 0; n < WRITERS; n++) {
        kill(children[n], SIGKILL);
        end_of(children[n]);
        if (n == 1)
            CHECK_EQ(count_of(p + 1000 * PAGE), 2, "two have ended");
    }
    CHECK_EQ(pss_of("self", p), 4 * PAGES, "alone");
    CHECK_EQ(count_of(p), 1, "and every page is ours");
}

/* The frames with a flag, and all that there are. */
static long count_frames(unsigned flag, long *all)
{
    static uint64_t words[1 << 16];
    int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
    long found = 0;
    ssize_t n;
    REQUIRE(fd >= 0);
    *all = 0;
    while ((n = read(fd, words, sizeof(words))) > 0)
        for (ssize_t i = 0; i < n / 8; i++) {
            *all += !(words[i] & FLAG(KPF_NOPAGE));
            found += (words[i] >> flag) & 1;
        }
    close(fd);
    return found;
}

static void all_frames(void)
{
    if (!sees_frames()) {
        SKIP("all frames", "sees no frames");
        return;
    }
    uint64_t word;
    int flags = open("/proc/kpageflags", O_RDONLY), counts = open("/proc/kpagecount", O_RDONLY);
    REQUIRE(flags >= 0 && counts >= 0);
    CHECK_FAIL(pread(flags, &word, 4, 0), EINVAL, "kpageflags: no whole word");
    CHECK_FAIL(pread(flags, &word, 8, 12), EINVAL, "not on a word's boundary");
    CHECK_FAIL(pread(counts, &word, 4, 0), EINVAL, "kpagecount: no whole word");
    CHECK_EQ(pread(flags, &word, 8, (off_t)1 << 50), 0, "kpageflags ends");
    CHECK_EQ(pread(counts, &word, 8, (off_t)1 << 50), 0, "kpagecount ends");
    CHECK_FAIL(pread(flags, unmapped_page(), 8, 0), EFAULT, "a bad buffer");
    CHECK_EQ(pread(flags, &word, 8, 0), 8, "frame 0");
    close(flags);
    close(counts);
    long all, total = number_of(proc_read("/proc/meminfo"), "MemTotal:") / 4;
    long free_frames = count_frames(KPF_BUDDY, &all);
    CHECK(all >= total && all < total + total / 4 + 65536, "there are as many as MemTotal tells");
    CHECK(free_frames > 0 && free_frames <= all, "free ones");
    CHECK(count_frames(KPF_SLAB, &all) > 0, "the kernel's objects");
    CHECK(count_frames(KPF_PGTABLE, &all) > 0, "page tables");
    CHECK(count_frames(KPF_ANON, &all) > 0, "private memory");
    CHECK(IN_CHILD(become_user(65534); _exit(open("/proc/kpageflags", O_RDONLY) < 0 &&
                                                     open("/proc/kpagecount", O_RDONLY) < 0
                                                 ? 7
                                                 : 0)) == 7,
          "for root alone");
}

/* ---- clear_refs ---- */

static long referenced(const char *p)
{
    char head[40];
    snprintf(head, sizeof(head), "\n%08lx-", (unsigned long)p);
    char *at = strstr(proc_read("/proc/self/smaps"), head);
    return at ? number_of(at + 1, "Referenced:") : -1;
}

static int clear_refs(const char *text)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    int error = fd < 0 || write(fd, text, strlen(text)) < 0 ? errno : 0;
    close(fd);
    return error;
}

static void forgetting(void)
{
    if (qemu_user_lacks("clear_refs"))
        return;
    char *p = base_pages(16);
    for (int i = 0; i < 16; i++)
        p[i * PAGE] = i + 1;
    CHECK_EQ(referenced(p), 64, "all has been touched");
    CHECK_EQ(clear_refs("3"), 0, "forget what files were touched");
    CHECK_EQ(referenced(p), 64, "this is none");
    CHECK_EQ(clear_refs("2\n"), 0, "forget what private memory was touched");
    CHECK_EQ(referenced(p), 0, "nothing has been touched");
    int right = 1;
    for (int i = 0; i < 16; i++)
        right &= p[i * PAGE] == i + 1;
    CHECK(right, "all is there still");
    mprotect(p, 16 * PAGE, PROT_READ);
    mprotect(p, 16 * PAGE, PROT_READ | PROT_WRITE);
    CHECK_EQ(clear_refs("1"), 0, "forget all");
    mprotect(p, 16 * PAGE, PROT_NONE); /* so that processors forget as well */
    mprotect(p, 16 * PAGE, PROT_READ | PROT_WRITE);
    p[0] = p[5 * PAGE] = 9;
    CHECK_EQ(referenced(p), 8, "two pages touched since");
    CHECK_EQ(clear_refs("0"), EINVAL, "0");
    CHECK_EQ(clear_refs("6"), EINVAL, "6");
    CHECK_EQ(clear_refs("x"), EINVAL, "no number");
    char *big = private_pages(8 << 20);
    memset(big, 1, 8 << 20);
    munmap(big, 8 << 20);
    long peak = number_of(proc_read("/proc/self/status"), "VmHWM:");
    CHECK_EQ(clear_refs("5"), 0, "the peak is now");
    CHECK(number_of(proc_read("/proc/self/status"), "VmHWM:") < peak - 4096, "VmHWM is less");
}

/* ---- faults ---- */

static long minor_faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

static void nothing_to_do(int signal)
{
    (void)signal;
    _exit(7);
}

static void faults(void)
{
    if (qemu_user_lacks("faults"))
        return;
    long before = minor_faults();
    char *p = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    REQUIRE(p != MAP_FAILED);
    CHECK(minor_faults() - before >= 1, "MAP_POPULATE's faults are counted");
    char *text = proc_read("/proc/vmstat");
    long all = number_of(text, "pgfault "), major = number_of(text, "pgmajfault ");
    CHECK(all > 0 && major >= 0 && major <= all, "vmstat: pgfault, pgmajfault");
    CHECK_EQ(number_of(proc_read("/proc/self/status"), "VmSwap:") < 0, 0, "VmSwap");
    CHECK_EQ(IN_CHILD(signal(SIGSEGV, nothing_to_do); *(volatile char *)unmapped_page() = 1), 7,
             "an invalid fault");
    if (access("/proc/self/faults", R_OK) < 0) {
        SKIP("invalid faults are counted", "Linux does not");
        return;
    }
    text = proc_read("/proc/self/faults");
    long invalid = number_of(text, "invalid ");
    CHECK(number_of(text, "minor ") > 0 && number_of(text, "major ") >= 0 && invalid >= 0,
          "/proc/PID/faults");
    long total = number_of(proc_read("/proc/vmstat"), "pgfault_invalid ");
    pid_t child = CHILD(signal(SIGSEGV, nothing_to_do); *(volatile char *)unmapped_page() = 1);
    end_of(child);
    CHECK_EQ(number_of(proc_read("/proc/self/faults"), "invalid "), invalid,
             "another's are not ours");
    CHECK(number_of(proc_read("/proc/vmstat"), "pgfault_invalid ") > total, "vmstat has them all");
    char path[64];
    int fd = open("/proc/self/mem", O_RDONLY);
    CHECK_FAIL(pread(fd, path, 1, (uintptr_t)unmapped_page()), EIO, "a debugger's is none");
    close(fd);
    CHECK(pipe((int *)unmapped_page()) < 0 &&
              number_of(proc_read("/proc/self/faults"), "invalid ") > invalid,
          "the kernel's access on our behalf is one");
}

/* ---- what Pss adds up to ---- */

/* The sum over all processes, and the frames that are mapped, in KiB. */
static void add_up(long *pss, long *mapped)
{
    static uint64_t counts[1 << 16];
    DIR *d = opendir("/proc");
    struct dirent *e;
    REQUIRE(d);
    for (*pss = 0; (e = readdir(d));) {
        long n = atoi(e->d_name) > 0
                     ? number_of(proc_read("/proc/%s/smaps_rollup", e->d_name), "Pss:")
                     : 0;
        *pss += n > 0 ? n : 0;
    }
    closedir(d);
    int fd = open("/proc/kpagecount", O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    ssize_t n;
    for (*mapped = 0; (n = read(fd, counts, sizeof(counts))) > 0;)
        for (ssize_t i = 0; i < n / 8; i++)
            *mapped += counts[i] ? PAGE / 1024 : 0;
    close(fd);
}

static void sum_of_pss(void)
{
    if (!sees_frames()) {
        SKIP("the sum of Pss", "sees no frames");
        return;
    }
    struct gate ready = gate_make();
    char *shared = share_pages(12 << 20), *private = private_pages(12 << 20);
    pid_t children[4];
    long pss, mapped, off = 0;
    memset(shared, 1, 12 << 20);
    memset(private, 1, 12 << 20);
    for (int i = 0; i < 4; i++) {
        children[i] = CHILD(for (long at = 0; at < 12 << 20; at += PAGE) {
            (void)*(volatile char *)(shared + at);
            if (at < i * (2L << 20))
            private[at] = i;
        } gate_open(ready);
                            for (;;) pause());
        gate_pass(ready);
    }
    /* Others come and go meanwhile; Linux has pages mapped that are no process's. */
    int exact = access("/proc/self/faults", R_OK) == 0;
    for (int i = 0; i < 10; i++) {
        add_up(&pss, &mapped);
        off = labs(pss - mapped) - (exact ? mapped / 100 + 64 : mapped / 6 + 4096);
        if (off <= 0)
            break;
    }
    char text[100];
    snprintf(text, sizeof(text), "Pss of all processes: %ld KiB, frames mapped: %ld KiB", pss,
             mapped);
    CHECK(off <= 0, text);
    for (int i = 0; i < 4; i++) {
        kill(children[i], SIGKILL);
        end_of(children[i]);
    }
}

CHECK_MAIN(CASE(entries), CASE(reading), CASE(privilege), CASE(frames), CASE(many_shares),
           CASE(all_frames), CASE(forgetting), CASE(faults), CASE(sum_of_pss))
