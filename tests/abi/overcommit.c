/* SPDX-License-Identifier: MIT */
/* Overcommit: what counts as committed, to the page, and what the three modes refuse; the limits of
 * address spaces and of the number of areas. */
#include "areas.h"

#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)
#define MIB       (1UL << 20)

/* Settings may only be changed where that does no harm to others: not on the host. */
static int is_shared_machine(void)
{
    return access("/proc/cgroups", F_OK) == 0;
}

static long committed(void)
{
    return number_of(proc_read("/proc/meminfo"), "Committed_AS:");
}

/* Others on this machine commit memory as well: the change is looked at again until it is WANT, KiB,
 * or has not been so a hundred times. UNDO brings back what was before DO. */
#define DELTA(want, do, undo)                                                                      \
    ({                                                                                             \
        long seen_ = 0;                                                                            \
        for (int tries_ = 0; tries_ < 100; tries_++) {                                             \
            long before_ = committed();                                                            \
            do                                                                                     \
                ;                                                                                  \
            seen_ = committed() - before_;                                                         \
            undo;                                                                                  \
            if (seen_ == (want))                                                                   \
                break;                                                                             \
        }                                                                                          \
        seen_;                                                                                     \
    })

static void counted(void)
{
    char *p = NULL, *q;
    if (qemu_user_lacks("Committed_AS"))
        return;
    CHECK_EQ(DELTA(4096, p = anonymous(1024, READ_WRITE), munmap(p, 1024 * PAGE)), 4096,
             "a private mapping counts when it is made");
    p = anonymous(1024, READ_WRITE);
    CHECK_EQ(DELTA(0, memset(p, 1, 1024 * PAGE), (void)0), 0, "and not when it is touched");
    CHECK_EQ(DELTA(-2048, munmap(p, 512 * PAGE),
                   mmap(p, 512 * PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0)),
             -2048, "munmap gives it back");
    CHECK_EQ(DELTA(0, madvise(p, 1024 * PAGE, MADV_DONTNEED), (void)0), 0,
             "MADV_DONTNEED does not");
    CHECK_EQ(DELTA(0, mprotect(p, 1024 * PAGE, PROT_READ), mprotect(p, 1024 * PAGE, READ_WRITE);
                   p[0] = 1),
             0, "nor does mprotect, of what was written");
    CHECK_EQ(DELTA(0, mmap(p, 1024 * PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0), (void)0), 0,
             "one mapping in the place of another");
    q = anonymous(1024, PROT_READ);
    CHECK_EQ(DELTA(0, q = anonymous(1024, PROT_READ), munmap(q, 1024 * PAGE)), 0,
             "what cannot be written does not count");
    CHECK_EQ(DELTA(4096, q = anonymous(1024, PROT_READ);
                   mprotect(q, 1024 * PAGE, READ_WRITE), munmap(q, 1024 * PAGE)),
             4096, "until it can be");
    int fd = letters("f", 16);
    CHECK_EQ(DELTA(64, q = map_alone(16, READ_WRITE, MAP_PRIVATE, fd), munmap(q, 16 * PAGE)), 64,
             "a private mapping of a file counts");
    CHECK_EQ(DELTA(0, q = map_alone(16, READ_WRITE, MAP_SHARED, fd), munmap(q, 16 * PAGE)), 0,
             "a shared one does not");
    CHECK_EQ(DELTA(4096, q = share_pages(1024 * PAGE), munmap(q, 1024 * PAGE)), 4096,
             "shared memory counts as a whole");
    if (vm_setting("overcommit_memory") != 2) {
        CHECK_EQ(DELTA(0, q = mmap(NULL, 1024 * PAGE, READ_WRITE, ANONYMOUS | MAP_NORESERVE, -1, 0),
                       munmap(q, 1024 * PAGE)),
                 0, "MAP_NORESERVE does not count");
        CHECK_EQ(DELTA(0,
                       q = mmap(NULL, 1024 * PAGE, READ_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
                       munmap(q, 1024 * PAGE)),
                 0, "nor shared");
        q = mmap(NULL, 1024 * PAGE, READ_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        CHECK_EQ(DELTA(400, memset(q, 1, 100 * PAGE), madvise(q, 100 * PAGE, MADV_REMOVE)), 400,
                 "but by what is touched");
    }
    CHECK_EQ(DELTA(400, REQUIRE(posix_fallocate(fd, 16 * PAGE, 100 * PAGE) == 0),
                   REQUIRE(ftruncate(fd, 16 * PAGE) == 0)),
             400, "a file in memory counts by its pages");
}

static void moved(void)
{
    if (qemu_user_lacks("Committed_AS"))
        return;
    char *p = anonymous(1024, READ_WRITE), *q, *room = anonymous(4096, PROT_NONE);
    CHECK_EQ(DELTA(4096, q = mremap(p, 1024 * PAGE, 2048 * PAGE, MREMAP_MAYMOVE),
                   p = mremap(q, 2048 * PAGE, 1024 * PAGE, 0)),
             4096, "mremap: what is more");
    CHECK_EQ(DELTA(-2048, REQUIRE(mremap(p, 1024 * PAGE, 512 * PAGE, 0) == p),
                   p = mremap(p, 512 * PAGE, 1024 * PAGE, MREMAP_MAYMOVE)),
             -2048, "or less");
    CHECK_EQ(DELTA(0, p = mremap(p, 1024 * PAGE, 1024 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, room),
                   p = mremap(p, 1024 * PAGE, 1024 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
                              room + 2000 * PAGE);
                   mmap(room, 1024 * PAGE, PROT_NONE, ANONYMOUS | MAP_FIXED, -1, 0)),
             0, "a move costs nothing");
    char *heap = (char *)(((uintptr_t)sbrk(0) + PAGE - 1) & -PAGE);
    REQUIRE(brk(heap) == 0);
    CHECK_EQ(DELTA(4096, REQUIRE(brk(heap + 1024 * PAGE) == 0), REQUIRE(brk(heap) == 0)), 4096,
             "brk");
    char *stack =
        mmap(room + 1600 * PAGE, PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0);
    REQUIRE(stack != MAP_FAILED);
    REQUIRE(munmap(room + 1024 * PAGE, 576 * PAGE) == 0);
    CHECK_EQ(DELTA(400, *(volatile char *)(stack - 100 * PAGE) = 1,
                   REQUIRE(munmap(stack - 100 * PAGE, 100 * PAGE) == 0)),
             400, "a stack counts as it grows");
}

/* A child that has what we have counts for as much, until it ends or executes another program. */
static void inherited(void)
{
    if (qemu_user_lacks("Committed_AS"))
        return;
    char *p = anonymous(20000, READ_WRITE);
    struct gate go = gate_make();
    pid_t child = 0;
    p[0] = 1;
    long with = DELTA(-1, child = CHILD(gate_pass(go)), gate_open(go); end_of(child));
    REQUIRE(munmap(p, 20000 * PAGE) == 0);
    long without = DELTA(-1, child = CHILD(gate_pass(go)), gate_open(go); end_of(child));
    CHECK(with - without > 70000 && with - without < 90000, "a child counts what its parent does");
    p = anonymous(20000, READ_WRITE);
    long after = DELTA(0, end_of(CHILD(p[1] = 1)), (void)0);
    CHECK_EQ(after, 0, "until it ends");
}

static void settings(void)
{
    NEED_ROOT();
    if (qemu_user_lacks("/proc/sys/vm"))
        return;
    long mode = vm_setting("overcommit_memory"), ratio = vm_setting("overcommit_ratio");
    long kbytes = vm_setting("overcommit_kbytes");
    CHECK(mode >= 0 && mode <= 2, "overcommit_memory");
    CHECK(vm_setting("admin_reserve_kbytes") >= 0, "admin_reserve_kbytes");
    CHECK(vm_setting("user_reserve_kbytes") >= 0, "user_reserve_kbytes");
    CHECK(vm_setting("max_map_count") >= 1000, "max_map_count");
    CHECK(vm_setting("mmap_min_addr") >= 0, "mmap_min_addr");
    CHECK_EQ(write_error("/proc/sys/vm/overcommit_memory", "3"), EINVAL, "there are three modes");
    CHECK_EQ(write_error("/proc/sys/vm/overcommit_memory", "x"), EINVAL, "with numbers");
    if (is_shared_machine() || write_error("/proc/sys/vm/overcommit_kbytes", "100000")) {
        SKIP("changing them", "others run on this machine");
        return;
    }
    CHECK_EQ(vm_setting("overcommit_ratio"), 0,
             "of overcommit_kbytes and overcommit_ratio one counts");
    CHECK_EQ(number_of(proc_read("/proc/meminfo"), "CommitLimit:") -
                 number_of(proc_read("/proc/meminfo"), "SwapTotal:"),
             100000, "it is in CommitLimit");
    CHECK_EQ(write_error("/proc/sys/vm/overcommit_ratio", "60"), 0, "overcommit_ratio");
    CHECK_EQ(vm_setting("overcommit_kbytes"), 0, "counts from then on");
    char text[24];
    snprintf(text, sizeof(text), "%ld", kbytes ? kbytes : ratio);
    write_error(kbytes ? "/proc/sys/vm/overcommit_kbytes" : "/proc/sys/vm/overcommit_ratio", text);
    CHECK(vm_setting("overcommit_ratio") == ratio && vm_setting("overcommit_kbytes") == kbytes,
          "as it was");
}

static int map_error(size_t length, int flags)
{
    void *p = mmap(NULL, length, READ_WRITE, flags, -1, 0);
    if (p == MAP_FAILED)
        return errno;
    munmap(p, length);
    return 0;
}

static void guessing(void)
{
    if (qemu_user_lacks("overcommit"))
        return;
    if (vm_setting("overcommit_memory") != 0) {
        SKIP("mode 0", "another mode is set");
        return;
    }
    char *info = proc_read("/proc/meminfo");
    size_t all = (number_of(info, "MemTotal:") + number_of(info, "SwapTotal:")) * 1024UL;
    CHECK_EQ(map_error(2 * all, ANONYMOUS), ENOMEM, "mode 0: more than all memory is refused");
    CHECK_EQ(map_error(2 * all, MAP_SHARED | MAP_ANONYMOUS), ENOMEM, "shared as well");
    CHECK_EQ(map_error(2 * all, ANONYMOUS | MAP_NORESERVE), 0, "not with MAP_NORESERVE");
    CHECK_EQ(map_error(all / 2, ANONYMOUS), 0, "half of it is given");
    char *p = mmap(NULL, 2 * all, PROT_READ, ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED, "what cannot be written is no promise");
    CHECK_FAIL(mprotect(p, 2 * all, READ_WRITE), ENOMEM, "to make it writable is one");
    CHECK_EQ(mprotect(p, all / 2, READ_WRITE), 0, "a part may be");
    munmap(p, 2 * all);
    p = mmap(NULL, MIB, READ_WRITE, ANONYMOUS, -1, 0);
    CHECK_FAIL(mremap(p, MIB, 2 * all, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0, ENOMEM,
               "mremap is refused as well");
    CHECK_FAIL(brk((char *)sbrk(0) + 2 * all), ENOMEM, "and brk");
    int some = 0;
    for (int i = 0; i < 6; i++)
        some += mmap(NULL, all / 2, READ_WRITE, ANONYMOUS, -1, 0) != MAP_FAILED;
    CHECK_EQ(some, 6, "many halves are given");
}

static void counting(void)
{
    NEED_ROOT();
    if (qemu_user_lacks("overcommit"))
        return;
    if (is_shared_machine() || write_error("/proc/sys/vm/overcommit_memory", "2")) {
        SKIP("mode 2", "others run on this machine");
        return;
    }
    char *info = proc_read("/proc/meminfo");
    size_t room = (number_of(info, "CommitLimit:") - number_of(info, "Committed_AS:")) * 1024UL;
    CHECK_EQ(map_error(room, ANONYMOUS), ENOMEM, "mode 2: more than the limit is refused");
    CHECK_EQ(map_error(room, ANONYMOUS | MAP_NORESERVE), ENOMEM, "MAP_NORESERVE counts as well");
    CHECK_EQ(map_error(room, MAP_SHARED | MAP_ANONYMOUS), ENOMEM, "shared memory");
    CHECK_EQ(map_error(room / 2, ANONYMOUS), 0, "less than that is given");
    char *p = mmap(NULL, room * 2 / 3, READ_WRITE, ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED, "two thirds of it");
    CHECK_EQ(map_error(room * 2 / 3, ANONYMOUS), ENOMEM, "once, not twice");
    CHECK(mmap(p, room * 2 / 3, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0) == p,
          "in its own place a second time");
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    int error = child < 0 ? errno : 0;
    CHECK_EQ(error, ENOMEM, "fork would promise it once more: ENOMEM");
    munmap(p, room * 2 / 3);
    CHECK_EQ(IN_CHILD(_exit(0)), 0, "given back, it works");
    CHECK_EQ(IN_CHILD(become_user(1000);
                      size_t less = room - vm_setting("admin_reserve_kbytes") * 1024UL / 2;
                      _exit(map_error(less, ANONYMOUS))),
             ENOMEM, "the last of it is root's");
    REQUIRE(write_error("/proc/sys/vm/overcommit_memory", "1") == 0);
    CHECK_EQ(map_error(64 * room, ANONYMOUS), 0, "mode 1: all is promised");
    REQUIRE(write_error("/proc/sys/vm/overcommit_memory", "0") == 0);
}

static void many_areas(void)
{
    NEED_ROOT();
    if (qemu_user_lacks("max_map_count"))
        return;
    long limit = vm_setting("max_map_count");
    if (is_shared_machine() || write_error("/proc/sys/vm/max_map_count", "300")) {
        SKIP("max_map_count", "others run on this machine");
        return;
    }
    char *p = anonymous(2000, PROT_NONE);
    int error = 0, n;
    for (n = 0; n < 1000 && !error; n++)
        error = mprotect(p + (2 * n + 1) * PAGE, PAGE, PROT_READ) ? errno : 0;
    CHECK(error == ENOMEM && n > 100 && n < 150,
          "mprotect does not make more areas than there may be");
    CHECK_EQ(areas(p, 2000), 2 * (n - 1) + 1, "nothing is left half done");
    CHECK_FAIL(munmap(p + 1500 * PAGE, PAGE), ENOMEM, "nor does munmap");
    CHECK_FAIL(madvise(p + 1500 * PAGE, PAGE, MADV_DONTFORK), ENOMEM, "nor madvise");
    CHECK_FAIL(mremap(p + 1500 * PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0,
               ENOMEM, "nor mremap");
    CHECK_EQ(munmap(p, 2000 * PAGE), 0, "munmap of all of them works");
    char text[24];
    snprintf(text, sizeof(text), "%ld", limit);
    CHECK_EQ(write_error("/proc/sys/vm/max_map_count", text), 0, "the limit as it was");
}

CHECK_MAIN(CASE(counted), CASE(moved), CASE(inherited), CASE(settings), CASE(guessing),
           CASE(counting), CASE(many_areas))
