/* SPDX-License-Identifier: MIT */
/* mlock, mlock2, mlockall and their undoing: what is resident, what is counted, what is refused. */
#include "areas.h"

#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif
#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif

static long locked(void)
{
    return status_kib("VmLck:");
}

static int lock2(void *p, size_t length, int flags)
{
    return syscall(SYS_mlock2, p, length, flags);
}

static void ranges(void)
{
    if (qemu_user_lacks("mlock"))
        return;
    char *p = anonymous(10, READ_WRITE);
    long before = locked();
    CHECK_EQ(mlock(p + 2 * PAGE, 3 * PAGE), 0, "mlock");
    CHECK_EQ(resident(p, 10), 3, "faults the range in");
    CHECK_EQ(areas(p, 10), 3, "and cuts it out");
    CHECK_EQ(has_flag(p + 2 * PAGE, "lo"), 1, "lo");
    CHECK_EQ(has_flag(p, "lo"), 0, "not beside it");
    CHECK_EQ(locked() - before, 12, "VmLck");
    CHECK_EQ(area_kib("self", p + 2 * PAGE, "Locked:"), 12, "Locked in smaps");
    CHECK_EQ(mlock(p + 2 * PAGE, 3 * PAGE), 0, "once more");
    CHECK_EQ(locked() - before, 12, "counts no more");
    CHECK_EQ(mlock(p + 4 * PAGE, 3 * PAGE), 0, "an overlap");
    CHECK_EQ(locked() - before, 20, "counts once");
    CHECK_EQ(areas(p, 10), 3, "and is one area with it");
    CHECK_EQ(munlock(p + 3 * PAGE, PAGE), 0, "munlock once undoes all");
    CHECK_EQ(locked() - before, 16, "for that page");
    CHECK_EQ(areas(p, 10), 5, "which is an area of its own now");
    CHECK_EQ(munlock(p, 10 * PAGE), 0, "munlock of all");
    CHECK_EQ(locked(), before, "nothing is locked");
    CHECK_EQ(areas(p, 10), 1, "one area");
    CHECK_EQ(mlock(p + 100, 10), 0, "a few bytes");
    CHECK_EQ(locked() - before, 4, "lock their page");
    CHECK_EQ(mlock(p + PAGE - 1, 2), 0, "two bytes");
    CHECK_EQ(locked() - before, 8, "may lie in two");
    CHECK_EQ(munlock(p + 1, PAGE), 0, "munlock rounds as well");
    CHECK_EQ(locked(), before, "to both pages");
    CHECK_EQ(mlock(p, 0), 0, "no bytes");
    REQUIRE(mlock(p, 4 * PAGE) == 0 && munmap(p + PAGE, PAGE) == 0);
    CHECK_EQ(locked() - before, 12, "munmap unlocks");
    REQUIRE(mmap(p + 2 * PAGE, PAGE, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
            p + 2 * PAGE);
    CHECK_EQ(locked() - before, 8, "and so does a mapping over it");
}

/* The machine's count follows, to the page. Others may lock memory at the same time: some tries. */
static void counted(void)
{
    if (qemu_user_lacks("mlock"))
        return;
    long before = 0, during = 0, after = 0;
    cpu_set_t here; /* Linux keeps what is locked in batches of each processor, too */
    CPU_ZERO(&here);
    CPU_SET(sched_getcpu(), &here);
    REQUIRE(sched_setaffinity(0, sizeof(here), &here) == 0);
    for (int i = 0; i < 20; i++) {
        char *p = anonymous(100, READ_WRITE);
        memset(p, 1, 50 * PAGE);
        if (mlock(p, PAGE) < 0) /* what munmap(2) has unlocked before waits in a batch for this */
            break;
        munlock(p, PAGE);
        write_error("/proc/sys/vm/stat_refresh", "1"); /* Linux counts by processor */
        before = number_of(proc_read("/proc/meminfo"), "Mlocked:");
        if (mlock(p, 100 * PAGE) < 0)
            break;
        write_error("/proc/sys/vm/stat_refresh", "1");
        during = number_of(proc_read("/proc/meminfo"), "Mlocked:");
        munlock(p, 70 * PAGE);
        write_error("/proc/sys/vm/stat_refresh", "1");
        after = number_of(proc_read("/proc/meminfo"), "Mlocked:");
        munmap(p, 100 * PAGE);
        if (during - before == 400 && after - before == 120)
            break;
    }
    CHECK_EQ(during - before, 400, "Mlocked has all of it");
    CHECK_EQ(after - before, 120, "without what is unlocked again");
}

static void on_fault(void)
{
    if (qemu_user_lacks("mlock2"))
        return;
    char *p = anonymous(10, READ_WRITE);
    long before = locked();
    CHECK_EQ(lock2(p, 6 * PAGE, MLOCK_ONFAULT), 0, "MLOCK_ONFAULT");
    CHECK_EQ(resident(p, 10), 0, "faults nothing in");
    CHECK_EQ(locked() - before, 24, "but counts");
    CHECK_EQ(has_flag(p, "lo"), 1, "and locks");
    p[0] = 1;
    CHECK_EQ(area_kib("self", p, "Locked:"), 4, "what is touched");
    CHECK_EQ(lock2(p + PAGE, 2 * PAGE, 0), 0, "mlock2 without the flag");
    CHECK_EQ(resident(p, 10), 3, "faults in");
    CHECK_EQ(locked() - before, 24, "and is counted once");
    CHECK_FAIL(lock2(p, PAGE, 2), EINVAL, "an unknown flag");
    CHECK_EQ(munlock(p, 10 * PAGE), 0, "munlock");
    CHECK_EQ(areas(p, 10), 1, "one area");
    CHECK_EQ(locked(), before, "all undone");
}

static void kinds(void)
{
    if (qemu_user_lacks("mlock"))
        return;
    int fd = letters("f", 6);
    char *p = map_alone(6, PROT_READ, MAP_SHARED, fd);
    CHECK_EQ(mlock(p, 6 * PAGE), 0, "a shared file");
    CHECK_EQ(area_kib("self", p, "Rss:"), 24, "is there");
    p = map_alone(6, READ_WRITE, MAP_PRIVATE, fd);
    CHECK_EQ(mlock(p, 6 * PAGE), 0, "a private one, writable");
    CHECK_EQ(area_kib("self", p, "Anonymous:"), 24, "is copied");
    p = share_pages(6 * PAGE);
    CHECK_EQ(mlock(p, 6 * PAGE), 0, "shared memory");
    CHECK_EQ(resident(p, 6), 6, "is there");
    p = anonymous(4, PROT_READ);
    CHECK_EQ(mlock(p, 4 * PAGE), 0, "what may only be read");
    CHECK_EQ(resident(p, 4), 4, "is there");
    p = anonymous(4, PROT_NONE);
    CHECK_FAIL(mlock(p, 4 * PAGE), ENOMEM, "what may not be touched");
    p = mmap(NULL, 8 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
    CHECK_FAIL(mlock(p, 8 * PAGE), ENOMEM, "beyond the end of the file");
    CHECK_EQ(resident(p, 6), 6, "what there is, is there");
}

static void refused(void)
{
    if (qemu_user_lacks("mlock"))
        return;
    char *p = anonymous(10, READ_WRITE);
    long before = locked();
    CHECK_FAIL(mlock(unmapped_page(), PAGE), ENOMEM, "nothing there");
    CHECK_FAIL(munlock(unmapped_page(), PAGE), ENOMEM, "for munlock neither");
    CHECK_FAIL(mlock(p, -PAGE), EINVAL, "a length that wraps");
    REQUIRE(munmap(p + 4 * PAGE, PAGE) == 0);
    CHECK_FAIL(mlock(p, 10 * PAGE), ENOMEM, "over a hole");
    CHECK_EQ(locked() - before, 16, "it stops there");
    CHECK_EQ(has_flag(p + 6 * PAGE, "lo"), 0, "and does nothing behind it");
    CHECK_FAIL(munlock(p, 10 * PAGE), ENOMEM, "munlock as well");
    CHECK_EQ(locked(), before, "up to the hole");
    char *none = anonymous(2, READ_WRITE);
    memset(none, 1, 2 * PAGE);
    REQUIRE(mprotect(none, 2 * PAGE, PROT_NONE) == 0);
    CHECK_FAIL(mlock(none, 2 * PAGE), ENOMEM, "memory without access, though it is there");
    CHECK_EQ(lock2(none, 2 * PAGE, MLOCK_ONFAULT), 0, "unless what will be touched is asked for");
    REQUIRE(munmap(none, 2 * PAGE) == 0);
    if (geteuid() != 0) {
        SKIP("limits of locked memory", "needs root");
        return;
    }
    p = anonymous(20, READ_WRITE);
    CHECK_EQ(IN_CHILD(set_limit(RLIMIT_MEMLOCK, 8 * PAGE); become_user(1000);
                      _exit(mlock(p, 9 * PAGE) ? errno : 0)),
             ENOMEM, "more than RLIMIT_MEMLOCK");
    CHECK_EQ(IN_CHILD(set_limit(RLIMIT_MEMLOCK, 8 * PAGE); become_user(1000);
                      _exit(mlock(p, 8 * PAGE) || mlock(p, 8 * PAGE) ? errno : 0)),
             0, "what is locked already counts once");
    CHECK_EQ(IN_CHILD(set_limit(RLIMIT_MEMLOCK, 8 * PAGE); become_user(1000);
                      _exit(mlock(p, 4 * PAGE) || mlock(p + 2 * PAGE, 6 * PAGE) ? errno : 0)),
             0, "an overlap too");
    CHECK_EQ(IN_CHILD(set_limit(RLIMIT_MEMLOCK, 8 * PAGE); become_user(1000); mlock(p, 8 * PAGE);
                      set_limit(RLIMIT_MEMLOCK, 0); _exit(munlock(p, 8 * PAGE) ? errno : 0)),
             0, "munlock needs no permission");
    CHECK_EQ(IN_CHILD(set_limit(RLIMIT_MEMLOCK, 0); become_user(1000);
                      _exit(lock2(p, PAGE, MLOCK_ONFAULT) ? errno : 0)),
             EPERM, "mlock2 without any limit");
    CHECK_EQ(IN_CHILD(set_limit(RLIMIT_MEMLOCK, 8 * PAGE); become_user(1000);
                      _exit(mlockall(MCL_CURRENT) ? errno : 0)),
             ENOMEM, "mlockall of more than the limit");
    CHECK_EQ(IN_CHILD(set_limit(RLIMIT_MEMLOCK, 0); become_user(1000);
                      _exit(mlockall(MCL_FUTURE) ? errno : 0)),
             EPERM, "mlockall without any limit");
}

static void everything(void)
{
    if (qemu_user_lacks("mlockall"))
        return;
    CHECK_FAIL(mlockall(0), EINVAL, "mlockall of nothing");
    CHECK_FAIL(mlockall(8), EINVAL, "an unknown flag");
    CHECK_FAIL(mlockall(MCL_ONFAULT), EINVAL, "MCL_ONFAULT alone");
    char *p = anonymous(10, READ_WRITE), *none = anonymous(4, PROT_NONE);
    int fd = letters("f", 4);
    char *file = map_alone(4, PROT_READ, MAP_SHARED, fd);
    CHECK_EQ(mlockall(MCL_CURRENT), 0, "MCL_CURRENT");
    CHECK(resident(p, 10) == 10 && has_flag(p, "lo") == 1, "what there is, is locked");
    CHECK(has_flag(none, "lo") == 1 && resident(none, 4) == 0, "even if it cannot be touched");
    CHECK_EQ(has_flag(file, "lo"), 1, "and files");
    char *q = anonymous(4, READ_WRITE);
    CHECK_EQ(has_flag(q, "lo"), 0, "what comes later is not");
    CHECK_EQ(mlockall(MCL_FUTURE), 0, "MCL_FUTURE");
    q = anonymous(4, READ_WRITE);
    CHECK(has_flag(q, "lo") == 1 && resident(q, 4) == 4, "locks that");
    char *heap = sbrk(4 * PAGE);
    CHECK(heap != (void *)-1 && resident((void *)((uintptr_t)heap & -PAGE), 4) == 4,
          "and the heap");
    q = mremap(q, 4 * PAGE, 6 * PAGE, MREMAP_MAYMOVE);
    CHECK(q != MAP_FAILED && resident(q, 6) == 6, "what is made longer is faulted in");
    CHECK_EQ(IN_CHILD(_exit(locked() == 0 && has_flag(p, "lo") == 0 ? 0 : 1)), 0,
             "a child has nothing locked");
    CHECK_EQ(IN_CHILD(_exit(has_flag(anonymous(1, READ_WRITE), "lo"))), 0, "nor in future");
    CHECK_EQ(mlockall(MCL_FUTURE | MCL_ONFAULT), 0, "MCL_FUTURE with MCL_ONFAULT");
    q = anonymous(4, READ_WRITE);
    CHECK(has_flag(q, "lo") == 1 && resident(q, 4) == 0, "locks what will be touched");
    CHECK_EQ(munlockall(), 0, "munlockall");
    CHECK_EQ(locked(), 0, "unlocks all");
    q = anonymous(4, READ_WRITE);
    CHECK(has_flag(q, "lo") == 0 && resident(q, 4) == 0, "and forgets the future");
    q = anonymous(8, READ_WRITE);
    CHECK_EQ(mlockall(MCL_CURRENT | MCL_ONFAULT), 0, "MCL_CURRENT with MCL_ONFAULT");
    CHECK(has_flag(q, "lo") == 1 && resident(q, 8) == 0, "faults nothing in");
    munlockall();
    if (geteuid() != 0)
        return;
    CHECK_EQ(IN_CHILD(set_limit(RLIMIT_MEMLOCK, 8 * PAGE); become_user(1000);
                      if (mlockall(MCL_FUTURE)) _exit(99);
                      p = mmap(NULL, 9 * PAGE, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                      _exit(p == MAP_FAILED ? errno : 0)),
             EAGAIN, "a mapping that would exceed the limit: EAGAIN");
    CHECK_EQ(IN_CHILD(p = anonymous(4, READ_WRITE); set_limit(RLIMIT_MEMLOCK, 8 * PAGE);
                      become_user(1000); if (mlock(p, 4 * PAGE)) _exit(99);
                      p = mremap(p, 4 * PAGE, 9 * PAGE, MREMAP_MAYMOVE);
                      _exit(p == MAP_FAILED ? errno : 0)),
             EAGAIN, "mremap beyond it too");
}

static void moving(void)
{
    if (qemu_user_lacks("mlock"))
        return;
    char *p = anonymous(4, READ_WRITE), *room = anonymous(20, PROT_NONE), *q;
    long before = locked();
    memset(p, 1, 4 * PAGE);
    REQUIRE(mlock(p, 4 * PAGE) == 0);
    q = mremap(p, 4 * PAGE, 6 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, room + PAGE);
    CHECK(q == room + PAGE && has_flag(q, "lo") == 1, "a lock moves along");
    CHECK_EQ(locked() - before, 24, "and grows");
    CHECK_EQ(resident(q, 6), 6, "all of it is there");
    REQUIRE(mremap(q, 6 * PAGE, 2 * PAGE, 0) == q);
    CHECK_EQ(locked() - before, 8, "shorter: less");
    REQUIRE(munmap(q, 2 * PAGE) == 0);
    CHECK_EQ(locked(), before, "nothing is left");
    p = anonymous(4, READ_WRITE);
    REQUIRE(mlock(p, 4 * PAGE) == 0 && mprotect(p, 4 * PAGE, PROT_READ) == 0);
    CHECK(has_flag(p, "lo") == 1 && locked() - before == 16, "mprotect keeps the lock");
#ifdef MREMAP_DONTUNMAP
    p = mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
    REQUIRE(p != MAP_FAILED);
    CHECK_EQ(has_flag(p, "lo"), 1, "MREMAP_DONTUNMAP: the lock goes along");
#endif
}

CHECK_MAIN(CASE(ranges), CASE(counted), CASE(on_fault), CASE(kinds), CASE(refused),
           CASE(everything), CASE(moving))
