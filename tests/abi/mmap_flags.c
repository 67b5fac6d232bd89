/* SPDX-License-Identifier: MIT */
/* Every flag of mmap: what it asks for, and with what it is refused. */
#include "areas.h"

#ifndef MAP_SYNC
#define MAP_SYNC 0x80000
#endif
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)

static void populating(void)
{
    if (qemu_user_lacks("MAP_POPULATE"))
        return;
    char *p = map_alone(40, READ_WRITE, ANONYMOUS | MAP_POPULATE, -1);
    CHECK_EQ(resident(p, 40), 40, "MAP_POPULATE: all pages are there at once");
    CHECK_EQ(area_kib("self", p, "Rss:"), 160, "and ours");
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    for (int i = 0; i < 40; i++)
        p[i * PAGE] = i;
    getrusage(RUSAGE_SELF, &after);
    CHECK(after.ru_minflt - before.ru_minflt < 10, "writing to them takes no faults");
    p = map_alone(40, PROT_READ, ANONYMOUS | MAP_POPULATE, -1);
    CHECK_EQ(resident(p, 40), 40, "of a mapping for reading too");
    CHECK_EQ(area_kib("self", p, "Anonymous:"), 0, "that takes no memory of its own");
    p = map_alone(40, READ_WRITE, ANONYMOUS | MAP_POPULATE | MAP_NONBLOCK, -1);
    CHECK_EQ(resident(p, 40), 0, "with MAP_NONBLOCK it does nothing");
    p = map_alone(40, PROT_NONE, ANONYMOUS | MAP_POPULATE, -1);
    CHECK_EQ(resident(p, 40), 0, "without access neither, and that is no error");
    p = map_alone(40, READ_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1);
    CHECK_EQ(resident(p, 40), 40, "shared memory");
    int fd = letters("f", 20);
    p = map_alone(20, READ_WRITE, MAP_PRIVATE | MAP_POPULATE, fd);
    CHECK_EQ(area_kib("self", p, "Anonymous:"), 80, "private and writable, of a file: copied");
    CHECK(p[0] == 'a' && p[19 * PAGE] == 't', "with the contents");
    p = map_alone(20, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd);
    CHECK_EQ(area_kib("self", p, "Rss:"), 80, "for reading: the file's own pages");
    CHECK_EQ(area_kib("self", p, "Anonymous:"), 0, "not copied");
    p = mmap(NULL, 30 * PAGE, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    CHECK(p != MAP_FAILED, "a mapping that is longer than the file");
    CHECK_EQ(resident(p, 20), 20, "as far as the file goes");
}

static void locking(void)
{
    if (qemu_user_lacks("MAP_LOCKED"))
        return;
    long before = status_kib("VmLck:");
    char *p = map_alone(20, READ_WRITE, ANONYMOUS | MAP_LOCKED, -1);
    CHECK_EQ(resident(p, 20), 20, "MAP_LOCKED: all pages are there at once");
    CHECK_EQ(has_flag(p, "lo"), 1, "and stay there");
    CHECK_EQ(status_kib("VmLck:") - before, 80, "VmLck counts them");
    munmap(p, 20 * PAGE);
    CHECK_EQ(status_kib("VmLck:"), before, "until they are unmapped");
    if (geteuid() != 0) {
        SKIP("limits of locked memory", "needs root");
        return;
    }
    CHECK_EQ(IN_CHILD(set_limit(RLIMIT_MEMLOCK, 16 * PAGE); become_user(1000);
                      p = mmap(NULL, 17 * PAGE, READ_WRITE, ANONYMOUS | MAP_LOCKED, -1, 0);
                      _exit(p == MAP_FAILED ? errno : 0)),
             EAGAIN, "more than RLIMIT_MEMLOCK: EAGAIN");
    CHECK_EQ(IN_CHILD(set_limit(RLIMIT_MEMLOCK, 16 * PAGE); become_user(1000);
                      p = mmap(NULL, 16 * PAGE, READ_WRITE, ANONYMOUS | MAP_LOCKED, -1, 0);
                      _exit(p == MAP_FAILED ? errno : 0)),
             0, "as much as it is allowed");
    CHECK_EQ(IN_CHILD(set_limit(RLIMIT_MEMLOCK, 0); become_user(1000);
                      p = mmap(NULL, PAGE, READ_WRITE, ANONYMOUS | MAP_LOCKED, -1, 0);
                      _exit(p == MAP_FAILED ? errno : 0)),
             EPERM, "none at all: EPERM");
}

static void reserving(void)
{
    if (qemu_user_lacks("VmFlags"))
        return;
    char *p = anonymous(4, READ_WRITE);
    CHECK_EQ(has_flag(p, "ac"), 1, "private and writable: counted as committed");
    p = anonymous(4, PROT_READ);
    CHECK_EQ(has_flag(p, "ac"), 0, "what cannot be written is not counted");
    REQUIRE(mprotect(p, 4 * PAGE, READ_WRITE) == 0);
    CHECK_EQ(has_flag(p, "ac"), 1, "until it can be");
    memset(p, 1, 4 * PAGE);
    REQUIRE(mprotect(p, 4 * PAGE, PROT_READ) == 0);
    CHECK_EQ(has_flag(p, "ac"), 1, "and then remains so: it has been written to");
    p = map_alone(4, READ_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
    CHECK_EQ(has_flag(p, "ac"), 0, "shared memory is counted elsewhere");
    int fd = letters("f", 4);
    p = map_alone(4, READ_WRITE, MAP_PRIVATE, fd);
    CHECK_EQ(has_flag(p, "ac"), 1, "private and writable, of a file");
    p = map_alone(4, READ_WRITE, MAP_SHARED, fd);
    CHECK_EQ(has_flag(p, "ac"), 0, "shared");
    if (vm_setting("overcommit_memory") == 2) {
        SKIP("MAP_NORESERVE", "strict overcommit");
        return;
    }
    p = map_alone(4, READ_WRITE, ANONYMOUS | MAP_NORESERVE, -1);
    CHECK_EQ(has_flag(p, "nr"), 1, "MAP_NORESERVE");
    CHECK_EQ(has_flag(p, "ac"), 0, "is not counted");
    REQUIRE(mprotect(p, 4 * PAGE, PROT_READ) == 0 && mprotect(p, 4 * PAGE, READ_WRITE) == 0);
    CHECK_EQ(has_flag(p, "ac"), 0, "nor after mprotect");
    char *q = mmap(p + 2 * PAGE, PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0);
    CHECK(q == p + 2 * PAGE && areas(p, 4) == 3, "it does not merge with what is");
}

static void placing(void)
{
    if (qemu_user_lacks("MAP_FIXED_NOREPLACE"))
        return;
    char *p = anonymous(8, READ_WRITE), *q;
    p[0] = 1;
    errno = 0;
    CHECK_FAIL(mmap(p, PAGE, PROT_READ, ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED ? -1
                                                                                              : 0,
               EEXIST, "MAP_FIXED_NOREPLACE where something is");
    CHECK_FAIL(mmap(p - PAGE * 2, 4 * PAGE, PROT_READ, ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) ==
                       MAP_FAILED
                   ? -1
                   : 0,
               EEXIST, "where there is something further up");
    CHECK_EQ(p[0], 1, "nothing is replaced");
    CHECK_FAIL(mmap(p, PAGE, PROT_READ, ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_FIXED, -1, 0) ==
                       MAP_FAILED
                   ? -1
                   : 0,
               EEXIST, "not with MAP_FIXED either");
    REQUIRE(munmap(p + 2 * PAGE, 2 * PAGE) == 0);
    CHECK(mmap(p + 2 * PAGE, 2 * PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) ==
              p + 2 * PAGE,
          "where nothing is");
    CHECK_FAIL(
        mmap(p + 1, PAGE, PROT_READ, ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED ? -1 : 0,
        EINVAL, "an odd address");
    REQUIRE(munmap(p + 4 * PAGE, PAGE) == 0);
    q = mmap(p + 4 * PAGE + 100, PAGE, READ_WRITE, ANONYMOUS, -1, 0);
    CHECK(q != MAP_FAILED && (uintptr_t)q % PAGE == 0, "an odd hint is rounded");
    q = mmap(p, PAGE, READ_WRITE, ANONYMOUS, -1, 0);
    CHECK(q != MAP_FAILED && q != p && p[0] == 1,
          "a hint to a place that is taken is no more than that");
    CHECK(mmap(p, PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0) == p && p[0] == 0,
          "MAP_FIXED replaces");
    p = mmap(NULL, 16 * PAGE, READ_WRITE, ANONYMOUS | MAP_STACK, -1, 0);
    CHECK(p != MAP_FAILED && (p[0] = 1), "MAP_STACK is memory like any other");
    if (qemu_user_lacks("VmFlags"))
        return;
    p = anonymous(16, PROT_NONE);
    q = mmap(p + 8 * PAGE, PAGE, READ_WRITE, ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
    CHECK(q == p + 8 * PAGE && has_flag(q, "gd") == 1, "MAP_GROWSDOWN");
}

static void low_addresses(void)
{
#ifdef MAP_32BIT
    uintptr_t p = (uintptr_t)mmap(NULL, 10 * PAGE, READ_WRITE, ANONYMOUS | MAP_32BIT, -1, 0);
    CHECK(p < 1UL << 31, "MAP_32BIT: below 2 GiB");
    uintptr_t q = (uintptr_t)mmap(NULL, 10 * PAGE, READ_WRITE, ANONYMOUS | MAP_32BIT, -1, 0);
    CHECK(q < 1UL << 31 && q != p, "one more");
    *(char *)p = *(char *)q = 1;
    CHECK_FAIL(mmap(NULL, 3UL << 30, PROT_NONE, ANONYMOUS | MAP_32BIT | MAP_NORESERVE, -1, 0) ==
                       MAP_FAILED
                   ? -1
                   : 0,
               ENOMEM, "more than there is");
    q = (uintptr_t)mmap((void *)(1UL << 40), PAGE, READ_WRITE, ANONYMOUS | MAP_32BIT, -1, 0);
    CHECK(q < 1UL << 31, "it counts more than a hint");
    CHECK((uintptr_t)mmap((void *)(1UL << 40), PAGE, READ_WRITE, ANONYMOUS | MAP_32BIT | MAP_FIXED,
                          -1, 0) == 1UL << 40,
          "but less than MAP_FIXED");
#else
    SKIP("MAP_32BIT", "not on this machine");
#endif
}

static int map_error(size_t length, int prot, int flags, int fd, off_t offset)
{
    void *p = mmap(NULL, length, prot, flags, fd, offset);
    if (p == MAP_FAILED)
        return errno;
    munmap(p, length);
    return 0;
}

static void validated(void)
{
    if (qemu_user_lacks("MAP_SHARED_VALIDATE"))
        return;
    int fd = letters("f", 4);
    CHECK_EQ(map_error(PAGE, READ_WRITE, MAP_SHARED_VALIDATE, fd, 0), 0, "MAP_SHARED_VALIDATE");
    CHECK_EQ(map_error(PAGE, READ_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0), EOPNOTSUPP,
             "MAP_SYNC needs memory that lasts");
    CHECK_EQ(map_error(PAGE, READ_WRITE, MAP_SHARED_VALIDATE | 0x400000, fd, 0), EOPNOTSUPP,
             "an unknown flag is refused");
    CHECK_EQ(map_error(PAGE, READ_WRITE, MAP_SHARED | 0x400000, fd, 0), 0,
             "which MAP_SHARED does not look at");
    CHECK_EQ(map_error(PAGE, READ_WRITE, MAP_PRIVATE | 0x400000, fd, 0), 0, "nor MAP_PRIVATE");
    CHECK_EQ(map_error(PAGE, READ_WRITE, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0), EINVAL,
             "there is nothing to validate about anonymous memory");
    CHECK_EQ(map_error(PAGE, READ_WRITE, MAP_SHARED_VALIDATE | MAP_POPULATE | MAP_NORESERVE, fd, 0),
             0, "known flags");
    char *p = map_alone(4, READ_WRITE, MAP_SHARED_VALIDATE, fd);
    p[0] = '!';
    char byte;
    CHECK(pread(fd, &byte, 1, 0) == 1 && byte == '!', "it is shared");
}

static void huge_pages(void)
{
    if (qemu_user_lacks("MAP_HUGETLB"))
        return;
    long pool = vm_setting("nr_hugepages");
    int error = map_error(2 << 20, READ_WRITE, ANONYMOUS | MAP_HUGETLB, -1, 0);
    if (pool > 0)
        SKIP("MAP_HUGETLB", "there is a pool of huge pages");
    else
        CHECK(error == (pool < 0 ? EINVAL : ENOMEM), "MAP_HUGETLB without a pool");
    int fd = letters("f", 1);
    CHECK_EQ(map_error(PAGE, READ_WRITE, MAP_PRIVATE | MAP_HUGETLB, fd, 0), EINVAL,
             "of an ordinary file");
    CHECK_EQ(map_error(2 << 20, READ_WRITE, ANONYMOUS | MAP_HUGETLB | (5 << 26), -1, 0), EINVAL,
             "a size that there is not");
}

static void refused(void)
{
    int fd = letters("f", 4), other;
    CHECK_EQ(map_error(PAGE, PROT_READ, MAP_PRIVATE, fd, 1), EINVAL, "an odd offset");
    CHECK_EQ(map_error(0, PROT_READ, MAP_PRIVATE, fd, 0), EINVAL, "no length");
    CHECK_EQ(map_error(PAGE, PROT_READ, MAP_PRIVATE, 999, 0), EBADF, "no such descriptor");
    CHECK_EQ(map_error(PAGE, PROT_READ, 0, fd, 0), EINVAL, "neither shared nor private");
    CHECK_EQ(map_error(PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL, "anonymous neither");
    if (qemu_user_lacks("sizes of addresses"))
        return;
    CHECK_EQ(map_error(-PAGE, PROT_READ, ANONYMOUS, -1, 0), ENOMEM, "more than all addresses");
    CHECK_EQ(map_error(1UL << 47, PROT_NONE, ANONYMOUS | MAP_NORESERVE, -1, 0), ENOMEM,
             "more than there are addresses");
    CHECK_EQ(map_error(2 * PAGE, PROT_READ, MAP_PRIVATE, fd, -PAGE), EOVERFLOW,
             "an offset at the end of all files");
    CHECK_EQ(map_error(PAGE, PROT_READ, MAP_SHARED, other = open(".", O_RDONLY), 0), ENODEV,
             "a directory");
    close(other);
    CHECK_EQ(map_error(PAGE, PROT_WRITE, MAP_SHARED, other = open("f", O_WRONLY), 0), EACCES,
             "a file that may not be read");
    CHECK_EQ(map_error(PAGE, PROT_WRITE, MAP_PRIVATE, other, 0), EACCES, "privately neither");
    close(other);
    CHECK_EQ(map_error(PAGE, READ_WRITE, MAP_SHARED, other = open("f", O_RDONLY), 0), EACCES,
             "a file that may not be written, shared and writable");
    CHECK_EQ(map_error(PAGE, READ_WRITE, MAP_PRIVATE, other, 0), 0, "privately it may");
    close(other);
    CHECK_EQ(map_error(PAGE, PROT_READ, MAP_PRIVATE, other = open("f", O_PATH), 0), EBADF,
             "a descriptor that is only a place");
    close(other);
    CHECK_EQ(map_error(PAGE, READ_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0), EINVAL,
             "a shared stack");
    CHECK_EQ(map_error(PAGE, READ_WRITE, MAP_PRIVATE | MAP_GROWSDOWN, fd, 0), EINVAL,
             "a stack of a file");
    int pipes[2];
    REQUIRE(pipe(pipes) == 0);
    CHECK_EQ(map_error(PAGE, PROT_READ, MAP_PRIVATE, pipes[0], 0), ENODEV, "a pipe");
    CHECK_EQ(map_error(PAGE, 0x70 | PROT_READ, ANONYMOUS, -1, 0), 0,
             "protections that nobody knows are not looked at");
    char *p = anonymous(4, READ_WRITE);
    CHECK_EQ(mmap(p + 1, PAGE, PROT_READ, ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ? errno : 0,
             EINVAL, "MAP_FIXED at an odd address");
    CHECK_EQ(mmap((void *)-(4 * PAGE), PAGE, PROT_READ, ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED
                 ? errno
                 : 0,
             ENOMEM, "MAP_FIXED at the kernel's addresses");
    if (geteuid() == 0)
        CHECK_EQ(IN_CHILD(become_user(1000); _exit(mmap(NULL, PAGE, PROT_READ,
                                                        ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED
                                                       ? errno
                                                       : 0)),
                 EPERM, "MAP_FIXED at 0, below mmap_min_addr");
}

/* remap_file_pages(2), which is an mmap() over a part of a mapping. */
static void remapping(void)
{
    if (qemu_user_lacks("remap_file_pages"))
        return;
    int fd = letters("f", 8);
    char *p = map_alone(8, READ_WRITE, MAP_SHARED, fd);
    CHECK_EQ(remap_file_pages(p + 2 * PAGE, 2 * PAGE, 0, 5, 0), 0, "remap_file_pages");
    CHECK(p[2 * PAGE] == 'f' && p[3 * PAGE] == 'g', "shows other pages");
    CHECK(p[PAGE] == 'b' && p[4 * PAGE] == 'e', "and the rest as before");
    CHECK_EQ(areas(p, 8), 3, "which makes three areas");
    CHECK_EQ(remap_file_pages(p + 2 * PAGE, 2 * PAGE, 0, 2, 0), 0, "and back");
    CHECK_EQ(areas(p, 8), 1, "one");
    CHECK_FAIL(remap_file_pages(p, PAGE, PROT_READ, 0, 0), EINVAL, "protections may not be given");
    CHECK_FAIL(remap_file_pages(p, 0, 0, 0, 0), EINVAL, "no length");
    CHECK_FAIL(remap_file_pages(unmapped_page(), PAGE, 0, 0, 0), EINVAL, "nothing there");
    p = map_alone(8, READ_WRITE, MAP_PRIVATE, fd);
    CHECK_FAIL(remap_file_pages(p, PAGE, 0, 1, 0), EINVAL, "a private mapping");
}

CHECK_MAIN(CASE(populating), CASE(locking), CASE(reserving), CASE(placing), CASE(low_addresses),
           CASE(validated), CASE(huge_pages), CASE(refused), CASE(remapping))
