/* SPDX-License-Identifier: MIT */
/* mremap where it meets the other calls: areas and their merging, limits, shared memory, kinds of
 * mappings, refusals (mremap.c has the contents of what moves). */
#include "areas.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)
#define MOVE_TO   (MREMAP_MAYMOVE | MREMAP_FIXED)
#define KEEP      (MREMAP_MAYMOVE | MREMAP_DONTUNMAP)

static int remap_error(void *old, size_t old_length, size_t length, int flags, void *new)
{
    void *p = mremap(old, old_length, length, flags, new);
    return p == MAP_FAILED ? errno : 0;
}

static void merging(void)
{
    if (qemu_user_lacks("areas"))
        return;
    char *p = anonymous(12, READ_WRITE), *away = anonymous(6, PROT_NONE);
    REQUIRE(munmap(p + 4 * PAGE, 8 * PAGE) == 0);
    CHECK(mremap(p, 4 * PAGE, 8 * PAGE, 0) == p && areas(p, 12) == 1, "longer in place: one area");
    CHECK(mremap(p, 8 * PAGE, 2 * PAGE, 0) == p && areas(p, 12) == 1, "shorter");
    CHECK(!is_mapped(p + 2 * PAGE), "what is cut off is gone");
    CHECK(mremap(p, 2 * PAGE, 12 * PAGE, 0) == p && p[12 * PAGE - 1] == 0, "longer again");
    CHECK(mremap(p + 4 * PAGE, 4 * PAGE, 4 * PAGE, MOVE_TO, away) == away && areas(p, 12) == 2 &&
              areas(away, 4) == 1,
          "the middle moves away");
    CHECK(mremap(away, 4 * PAGE, 4 * PAGE, MOVE_TO, p + 4 * PAGE) == p + 4 * PAGE &&
              areas(p, 12) == 1,
          "and comes back: one area");
    int fd = letters("f", 12);
    char *q = map_alone(12, READ_WRITE, MAP_SHARED, fd), *room = anonymous(20, PROT_NONE);
    CHECK(mremap(q + 4 * PAGE, 4 * PAGE, 4 * PAGE, MOVE_TO, room + PAGE) == room + PAGE &&
              room[PAGE] == 'e',
          "pages of a file");
    CHECK(strstr(area_at("self", room + PAGE), " 00004000 ") != NULL, "know where they are in it");
    CHECK(mremap(room + PAGE, 4 * PAGE, 4 * PAGE, MOVE_TO, q + 4 * PAGE) == q + 4 * PAGE &&
              areas(q, 12) == 1,
          "back in their place they are one area");
    CHECK(mremap(q, 4 * PAGE, 4 * PAGE, MOVE_TO, room + PAGE) == room + PAGE &&
              mremap(q + 8 * PAGE, 4 * PAGE, 4 * PAGE, MOVE_TO, room + 5 * PAGE) ==
                  room + 5 * PAGE &&
              areas(room + PAGE, 8) == 2,
          "what does not go on in the file stays two");
    CHECK(room[5 * PAGE - 1] == 'd' && room[5 * PAGE] == 'i', "with the contents of both");
    REQUIRE(mprotect(room + PAGE, PAGE, PROT_READ) == 0);
    CHECK(mremap(room + PAGE, PAGE, PAGE, MOVE_TO, room + 12 * PAGE) == room + 12 * PAGE &&
              !strcmp(protections(room + 12 * PAGE), "r--s"),
          "protections move along");
}

static void shared(void)
{
    if (qemu_user_lacks("mremap"))
        return;
    char *p = share_pages(4 * PAGE), *q;
    memset(p, 1, 4 * PAGE);
    q = mremap(p, 0, 4 * PAGE, MREMAP_MAYMOVE);
    CHECK(q != MAP_FAILED && q != p && q[0] == 1, "an old length of 0: the same memory twice");
    q[PAGE] = 7;
    CHECK(p[PAGE] == 7 && is_mapped(p), "both are there");
    CHECK_EQ(remap_error(p, 0, 4 * PAGE, 0, NULL), ENOMEM, "not without another place");
    CHECK_EQ(IN_CHILD(p[2 * PAGE] = 9; _exit(q[2 * PAGE])), 9, "in a child too");
    CHECK_EQ(q[2 * PAGE], 9, "and between us");
    REQUIRE(munmap(p, 4 * PAGE) == 0);
    CHECK_EQ(q[PAGE], 7, "one remains when the other goes");
    char *r = mremap(q, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE);
    CHECK(r != MAP_FAILED && r[3 * PAGE] == 1, "longer");
    CHECK_EQ(after_read(r + 4 * PAGE), BUS, "but there is no more memory behind it");
    CHECK_EQ(remap_error(anonymous(2, READ_WRITE), 0, PAGE, MREMAP_MAYMOVE, NULL), EINVAL,
             "private memory is not duplicated");
    int fd = letters("f", 4);
    p = map_alone(4, READ_WRITE, MAP_SHARED, fd);
    q = anonymous(4, PROT_NONE);
    CHECK(mremap(p + PAGE, 0, 2 * PAGE, MOVE_TO, q) == q && q[0] == 'b' && p[PAGE] == 'b',
          "a second look at a file");
}

static void keeping(void)
{
    if (qemu_user_lacks("MREMAP_DONTUNMAP"))
        return;
    char *p = anonymous(8, READ_WRITE), *to = anonymous(8, PROT_NONE), *q;
    memset(p, 3, 8 * PAGE);
    q = mremap(p + 2 * PAGE, 2 * PAGE, 2 * PAGE, KEEP | MREMAP_FIXED, to);
    CHECK(q == to && q[0] == 3, "MREMAP_DONTUNMAP of a part");
    CHECK(p[2 * PAGE] == 0 && p[3 * PAGE] == 0 && p[PAGE] == 3 && p[4 * PAGE] == 3,
          "leaves it empty, and the rest as it was");
    CHECK_EQ(areas(p, 8), 1, "in one area");
    q[0] = 4;
    p[2 * PAGE] = 5;
    CHECK(q[0] == 4 && p[2 * PAGE] == 5, "they are two memories");
    int fd = letters("f", 4);
    p = map_alone(4, READ_WRITE, MAP_SHARED, fd);
    q = mremap(p, 4 * PAGE, 4 * PAGE, KEEP, NULL);
    CHECK(q != MAP_FAILED && q[0] == 'a' && p[0] == 'a', "of a file: it is seen at both places");
    CHECK_EQ(remap_error(q, 4 * PAGE, 2 * PAGE, KEEP, NULL), EINVAL,
             "with another length: refused");
    CHECK_EQ(remap_error(q, 4 * PAGE, 4 * PAGE, MREMAP_DONTUNMAP, NULL), EINVAL,
             "in place: refused");
    struct rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    CHECK_EQ(IN_CHILD(p = anonymous(20000, READ_WRITE); set_limit(RLIMIT_AS, 128 << 20);
                      _exit(remap_error(p, 20000 * PAGE, 20000 * PAGE, KEEP, NULL))),
             ENOMEM, "it counts as twice as much");
    CHECK_EQ(IN_CHILD(p = anonymous(20000, READ_WRITE); set_limit(RLIMIT_AS, 128 << 20);
                      _exit(remap_error(p, 20000 * PAGE, 20000 * PAGE, MOVE_TO,
                                        anonymous(4, PROT_NONE) - (1UL << 35)))),
             0, "a mere move does not");
}

static void limits(void)
{
    if (qemu_user_lacks("limits"))
        return;
    char *p = anonymous(16, READ_WRITE);
    CHECK_EQ(IN_CHILD(set_limit(RLIMIT_AS, 64 << 20);
                      _exit(remap_error(p, 16 * PAGE, 64 << 20, MREMAP_MAYMOVE, NULL))),
             ENOMEM, "RLIMIT_AS");
    CHECK_EQ(IN_CHILD(set_limit(RLIMIT_DATA, 16 << 20);
                      _exit(remap_error(p, 16 * PAGE, 32 << 20, MREMAP_MAYMOVE, NULL))),
             ENOMEM, "RLIMIT_DATA");
    char *q = anonymous(16, PROT_READ);
    CHECK_EQ(IN_CHILD(set_limit(RLIMIT_DATA, 16 << 20);
                      _exit(remap_error(q, 16 * PAGE, 32 << 20, MREMAP_MAYMOVE, NULL))),
             0, "which does not count what cannot be written");
    CHECK_EQ(IN_CHILD(set_limit(RLIMIT_AS, 64 << 20);
                      _exit(remap_error(p, 16 * PAGE, 8 * PAGE, 0, NULL))),
             0, "less is always possible");
    CHECK_EQ(remap_error(p, 16 * PAGE, 17 * PAGE, 0, NULL), ENOMEM, "no room, and not to move");
    CHECK(is_mapped(p) && is_mapped(p + 15 * PAGE), "it is there still");
}

static void refused(void)
{
    if (qemu_user_lacks("errors of mremap"))
        return;
    char *p = anonymous(16, READ_WRITE), *to = anonymous(16, READ_WRITE);
    to[0] = 1;
    CHECK_EQ(remap_error(unmapped_page(), PAGE, 2 * PAGE, MREMAP_MAYMOVE, NULL), EFAULT,
             "nothing there");
    CHECK_EQ(remap_error(p + 1, PAGE, PAGE, 0, NULL), EINVAL, "an odd address");
    CHECK_EQ(remap_error(p, PAGE, 0, 0, NULL), EINVAL, "no length");
    CHECK_EQ(remap_error(p, PAGE, PAGE, 16, NULL), EINVAL, "an unknown flag");
    CHECK_EQ(remap_error(p, PAGE, PAGE, MREMAP_FIXED, to), EINVAL, "MREMAP_FIXED alone");
    CHECK_EQ(remap_error(p, PAGE, PAGE, MOVE_TO, to + 1), EINVAL, "to an odd address");
    CHECK_EQ(remap_error(p, 4 * PAGE, 4 * PAGE, MOVE_TO, p + 2 * PAGE), EINVAL, "onto itself");
    CHECK_EQ(remap_error(p + 2 * PAGE, 4 * PAGE, 4 * PAGE, MOVE_TO, p), EINVAL, "from above too");
    CHECK_EQ(remap_error(p, PAGE, PAGE, MOVE_TO, (void *)-(2 * PAGE)), EINVAL, "to the kernel");
    CHECK_EQ(remap_error((void *)-(2 * PAGE), PAGE, 2 * PAGE, MREMAP_MAYMOVE, NULL), EFAULT,
             "from the kernel");
    CHECK_EQ(to[0], 1, "nothing has happened to the target");
    CHECK_EQ(remap_error(p + 14 * PAGE, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE, NULL), EFAULT,
             "more than is in the area");
    CHECK(mremap(p, 2 * PAGE, 100, MOVE_TO, to) == to && to[0] == 0 && is_mapped(to + PAGE),
          "the target of a move is replaced, as far as it is needed");
    CHECK(!is_mapped(p) && !is_mapped(p + PAGE) && is_mapped(p + 2 * PAGE),
          "all of the source goes");
    CHECK(mremap(p + 2 * PAGE, 100, 5000, 0) != MAP_FAILED || errno == ENOMEM,
          "lengths are rounded");
    char *text = proc_read("/proc/self/maps"), *vdso = strstr(text, "[vdso]");
    if (vdso) {
        while (vdso > text && vdso[-1] != '\n')
            vdso--;
        char *at = (char *)strtoul(vdso, NULL, 16);
        CHECK_EQ(remap_error(at, PAGE, 64 * PAGE, MREMAP_MAYMOVE, NULL), EFAULT,
                 "the vDSO does not become longer");
    }
}

static volatile sig_atomic_t signals_seen;

static void count_signal(int signal)
{
    (void)signal;
    signals_seen++;
}

static void of_vdso(void)
{
    if (qemu_user_lacks("mremap of the vDSO"))
        return;
    char *text = proc_read("/proc/self/maps"), *line = strstr(text, "[vdso]"), *end;
    if (!line) {
        SKIP("mremap of the vDSO", "there is none");
        return;
    }
    while (line > text && line[-1] != '\n')
        line--;
    char *at = (char *)strtoul(line, &end, 16);
    size_t length = (char *)strtoul(end + 1, NULL, 16) - at;
    char *to = unmapped_page();
    char first[64];
    memcpy(first, at, sizeof(first));
    if (length > PAGE)
        CHECK_EQ(remap_error(at, PAGE, PAGE, MOVE_TO, to), EINVAL, "not a part of the vDSO");
    to = mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(to != MAP_FAILED);
    CHECK(mremap(at, length, length, MOVE_TO, to) == to, "the whole vDSO moves");
    CHECK(!memcmp(to, first, sizeof(first)) && !is_mapped(at), "it is there, and not here");
    line = strstr(proc_read("/proc/self/maps"), "[vdso]");
    CHECK(line != NULL, "with its name");
    handle_flags(SIGUSR1, count_signal, 0);
    syscall(SYS_kill, getpid(), SIGUSR1);
    CHECK_EQ(signals_seen, 1, "a handler returns");
    CHECK_EQ(IN_CHILD(syscall(SYS_kill, getpid(), SIGUSR1); _exit(signals_seen)), 2,
             "also in a child");
}

static void of_kinds(void)
{
    if (qemu_user_lacks("mremap"))
        return;
    char *none = anonymous(4, PROT_NONE), *q;
    q = mremap(none, 4 * PAGE, 16 * PAGE, MREMAP_MAYMOVE);
    CHECK(q != MAP_FAILED && !strcmp(protections(q), "---p"), "what cannot be touched moves");
    q = anonymous(4, READ_WRITE);
    memset(q, 6, 4 * PAGE);
    REQUIRE(madvise(q, 4 * PAGE, MADV_DONTFORK) == 0);
    q = mremap(q, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE);
    CHECK(q != MAP_FAILED && has_flag(q, "dc") == 1 && q[0] == 6, "advice moves along");
    char *file = map_alone(4, READ_WRITE, MAP_PRIVATE, letters("f", 8));
    file[0] = '!';
    q = mremap(file, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE);
    CHECK(q != MAP_FAILED && q[0] == '!' && q[PAGE] == 'b' && q[7 * PAGE] == 'h',
          "a private file's own pages, its others, and more of it");
    CHECK_EQ(area_kib("self", q, "Anonymous:"), 4, "one of which is ours");
    q = mremap(q, 8 * PAGE, PAGE, MREMAP_MAYMOVE);
    CHECK(q != MAP_FAILED && q[0] == '!', "less");
    /* A large one, with tables of its own, over fork. */
    char *large = mmap(NULL, 16 << 20, READ_WRITE, ANONYMOUS, -1, 0);
    REQUIRE(large != MAP_FAILED);
    for (long i = 0; i < 16 << 20; i += PAGE)
        *(long *)(large + i) = i;
    struct gate go = gate_make();
    pid_t child = CHILD(gate_pass(go); long bad = 0;
                        for (long i = 0; i < 16 << 20; i += PAGE) bad += *(long *)(large + i) != i;
                        _exit(bad != 0));
    q = mremap(large, 16 << 20, 24 << 20, MREMAP_MAYMOVE);
    REQUIRE(q != MAP_FAILED);
    long bad = 0;
    for (long i = 0; i < 16 << 20; i += PAGE) {
        bad += *(long *)(q + i) != i;
        *(long *)(q + i) = -i;
    }
    CHECK_EQ(bad, 0, "sixteen megabytes, shared with a child");
    gate_open(go);
    CHECK_EQ(end_of(child), 0, "who has them as they were");
}

CHECK_MAIN(CASE(merging), CASE(shared), CASE(keeping), CASE(limits), CASE(refused), CASE(of_kinds),
           CASE(of_vdso))
