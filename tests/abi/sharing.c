/* SPDX-License-Identifier: MIT */
/* Who shares which pages: along a tree of forks, between mappings of a file; and that the parts each
 * process is charged with (Pss) add up to what is in use. */
#include "areas.h"

enum { MEMBERS = 7, PAGES = 64 };

/* Processes that do what they are told, one after the other: 'w' N writes N pages, 'd' N gives N
 * pages back, 'f' forks the next member, 'q' ends. */
static struct {
    int command[2], done[2];
    pid_t pid;
} members[MEMBERS];

static char *memory;

static void obey(int me)
{
    unsigned char order[2];
    while (read(members[me].command[0], order, 2) == 2) {
        int n = order[1];
        if (order[0] == 'w')
            for (int i = 0; i < n; i++)
                memory[i * PAGE] = me + 1;
        if (order[0] == 'd')
            madvise(memory, n * PAGE, MADV_DONTNEED);
        if (order[0] == 'f' && (members[n].pid = fork()) == 0) {
            members[n].pid = getpid();
            me = n;
            continue;
        }
        if (order[0] == 'q') {
            for (int i = 0; i < n; i++)
                wait(NULL);
            _exit(0);
        }
        write(members[me].done[1], &members[order[0] == 'f' ? n : me].pid, sizeof(pid_t));
    }
    _exit(1);
}

/* Gives an order and waits until it is carried out; the process it was about. */
static pid_t order(int member, char what, int n)
{
    unsigned char text[2] = {what, n};
    pid_t answer = 0;
    REQUIRE(write(members[member].command[1], text, 2) == 2);
    REQUIRE(read(members[member].done[0], &answer, sizeof(answer)) == sizeof(answer));
    return answer;
}

static void spawn(int parent, int child)
{
    members[child].pid = order(parent, 'f', child);
}

/* Of all members in `set`: the sum of their Pss, KiB. */
static long sum_of(unsigned set, const char *name)
{
    long sum = 0;
    for (int i = 0; i < MEMBERS; i++)
        if (set >> i & 1)
            sum += area_kib(pid_text(members[i].pid), memory, name);
    return sum;
}

/* Each process's is rounded down. */
#define CHECK_PSS(set, want, text)                                                                 \
    do {                                                                                           \
        long pss_ = sum_of((set), "Pss:");                                                         \
        CHECK(pss_ <= (want) && pss_ > (want)-MEMBERS, text);                                      \
    } while (0)

static void start_tree(void)
{
    memory = anonymous(PAGES, READ_WRITE);
    madvise(memory, PAGES * PAGE, MADV_NOHUGEPAGE);
    memset(memory, 0x55, PAGES * PAGE);
    for (int i = 0; i < MEMBERS; i++)
        REQUIRE(pipe(members[i].command) == 0 && pipe(members[i].done) == 0);
    members[0].pid = fork();
    if (members[0].pid == 0) {
        members[0].pid = getpid();
        obey(0);
    }
    REQUIRE(munmap(memory, PAGES * PAGE) == 0); /* the members alone have it */
}

static void tree(void)
{
    if (qemu_user_lacks("smaps of trees of forks"))
        return;
    start_tree();
    CHECK_EQ(order(0, 'w', 0), members[0].pid, "a member answers");
    CHECK_PSS(1, 4 * PAGES, "one process: all of it is its own");
    spawn(0, 1);
    CHECK_PSS(1, 2 * PAGES, "two: half for each");
    CHECK_PSS(2, 2 * PAGES, "the child's half");
    CHECK_EQ(sum_of(1, "Shared_Dirty:") + sum_of(1, "Shared_Clean:"), 4 * PAGES, "all is shared");
    spawn(1, 2);
    spawn(0, 3);
    CHECK_PSS(1, PAGES, "four: a quarter");
    CHECK_PSS(4, PAGES, "for the grandchild too");
    CHECK_PSS(15, 4 * PAGES, "the sum is what is used");
    CHECK_EQ(sum_of(15, "Rss:"), 16 * PAGES, "though each has all of it");
    order(2, 'w', 32);
    CHECK_PSS(15, 4 * PAGES + 4 * 32, "32 pages written: so many more");
    CHECK_EQ(sum_of(4, "Private_Dirty:"), 4 * 32, "they are the writer's");
    CHECK_PSS(4, 4 * 32 + 32, "who still has a quarter of the others");
    CHECK_EQ(sum_of(1, "Private_Dirty:") + sum_of(1, "Private_Clean:"), 0,
             "the first has none of its own");
    spawn(2, 4);
    CHECK_PSS(31, 4 * PAGES + 4 * 32, "another child changes nothing in the sum");
    CHECK_EQ(sum_of(16, "Private_Dirty:"), 0, "it shares the writer's pages");
    order(0, 'w', 64);
    CHECK_EQ(sum_of(1, "Private_Dirty:"), 4 * PAGES, "the first writes all: all is its own");
    CHECK_PSS(31, 8 * PAGES + 4 * 32, "three copies of the first half, two of the other");
    order(3, 'd', 64);
    CHECK_EQ(sum_of(8, "Rss:"), 0, "what is given back is gone");
    CHECK_PSS(31, 8 * PAGES + 4 * 32, "the others have it");
    order(1, 'd', 32);
    CHECK_PSS(31, 8 * PAGES, "the last user's are gone altogether");
    order(1, 'w', 16);
    CHECK_EQ(sum_of(2, "Rss:"), 4 * 48, "and come anew when they are touched");
    CHECK_PSS(31, 8 * PAGES + 4 * 16, "for that process");
    char byte = 0;
    spawn(4, 5);
    spawn(5, 6);
    CHECK_PSS(127, 8 * PAGES + 4 * 16, "seven processes");
    for (int i = 0; i < MEMBERS; i++) { /* contents, each through /proc/PID/mem */
        char path[64];
        snprintf(path, sizeof(path), "/proc/%d/mem", members[i].pid);
        int fd = open(path, O_RDONLY);
        static const int want[] = {1, 2, 3, 0, 3, 3, 3};
        CHECK(fd >= 0 && pread(fd, &byte, 1, (off_t)memory) == 1 && byte == want[i],
              "each sees what it, or who made it, has written");
        close(fd);
    }
    kill(members[4].pid, SIGKILL);
    kill(members[2].pid, SIGKILL);
    while (process_state(members[2].pid) && process_state(members[2].pid) != 'Z')
        usleep(1000);
    while (process_state(members[4].pid) && process_state(members[4].pid) != 'Z')
        usleep(1000);
    CHECK_PSS(1 | 2 | 8 | 32 | 64, 8 * PAGES + 4 * 16, "who ends leaves all to the others");
    CHECK_PSS(32, 2 * 32 + 32 * 4 / 3, "two of them and the second have it");
    for (int i = 0; i < MEMBERS; i++)
        kill(members[i].pid, SIGKILL);
    end_of(members[0].pid);
}

static void files(void)
{
    if (qemu_user_lacks("smaps"))
        return;
    int fd = letters("f", 16);
    char *shared = map_alone(16, READ_WRITE, MAP_SHARED, fd);
    char *readable = map_alone(16, PROT_READ, MAP_PRIVATE, fd);
    char *private = map_alone(16, READ_WRITE, MAP_PRIVATE, fd);
    int sum = 0;
    for (int i = 0; i < 16; i++)
        sum += shared[i * PAGE] + readable[i * PAGE] + private[i * PAGE];
    CHECK_EQ(sum, 3 * (16 * 'a' + 120), "three mappings of one file");
    CHECK_EQ(area_kib("self", shared, "Rss:"), 64, "all there");
    CHECK_EQ(area_kib("self", shared, "Pss:") + area_kib("self", readable, "Pss:") +
                 area_kib("self", private, "Pss:"),
             3 * 21, "and counted once together");
    CHECK_EQ(area_kib("self", private, "Anonymous:"), 0,
             "private and writable, but only read: shared");
    private[0] = '!';
    CHECK_EQ(area_kib("self", private, "Anonymous:"), 4, "written: one page is ours");
    CHECK(shared[0] == 'a' && readable[0] == 'a', "which the others do not see");
    shared[PAGE] = '?';
    CHECK(readable[PAGE] == '?' && private[PAGE] == '?', "what is written to the file, all see");
    struct gate ready = gate_make();
    pid_t child = CHILD(for (int i = 0; i < 16; i++)(void) * (volatile char *)(shared + i * PAGE);
                        gate_open(ready); for (;;) pause());
    gate_pass(ready);
    const char *other = pid_text(child);
    CHECK_EQ(area_kib(other, shared, "Rss:"), 64, "a child has the file's pages too");
    CHECK_EQ(area_kib(other, private, "Anonymous:"), 4, "and our copy of one");
    CHECK_EQ(area_kib(other, private, "Private_Dirty:"), 0, "which is shared");
    private[0] = '#';
    CHECK_EQ(area_kib(other, private, "Private_Dirty:") +
                 area_kib(other, private, "Private_Clean:"),
             4, "until we write it again");
    kill(child, SIGKILL);
    end_of(child);
}

/* One copy of a program's text for all who run it, and one page of zeros. */
static void programs(void)
{
    if (qemu_user_lacks("smaps"))
        return;
    void *code = (void *)((uintptr_t)programs & -PAGE);
    long alone = area_kib("self", code, "Rss:"), pss = area_kib("self", code, "Pss:");
    CHECK(alone > 0 && pss < alone,
          "the text of this program is shared with the others that run it");
    CHECK_EQ(area_kib("self", code, "Private_Dirty:"), 0, "none of it is written");
    char *p = anonymous(32, READ_WRITE);
    int sum = 0;
    for (int i = 0; i < 32; i++)
        sum += ((volatile char *)p)[i * PAGE];
    CHECK_EQ(sum, 0, "memory that is only read");
    CHECK_EQ(area_kib("self", p, "Rss:"), 0, "takes none");
    CHECK_EQ(area_kib("self", p, "Pss:"), 0, "at all");
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    for (int i = 0; i < 32; i++)
        p[i * PAGE] = 1;
    getrusage(RUSAGE_SELF, &after);
    CHECK(after.ru_minflt - before.ru_minflt >= 32 || area_kib("self", p, "Rss:") == 128,
          "until it is written");
    CHECK_EQ(after.ru_majflt, before.ru_majflt, "no fault of these was a major one");
}

/* Writers and readers of one page on several processors: each page is copied once, whole. */
static void at_once(void)
{
    enum { CHILDREN = 4, ROUNDS = 20, N = 200 };
    long *p = private_pages(N * PAGE);
    int *bad = share_pages(PAGE);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < N; i++)
            for (unsigned long w = 0; w < PAGE / sizeof(long); w += 64)
                p[i * PAGE / sizeof(long) + w] = round * 1000 + i;
        pid_t pids[CHILDREN];
        for (int c = 0; c < CHILDREN; c++)
            pids[c] = CHILD(for (int i = 0; i < N; i++) {
                long *page = p + i * PAGE / sizeof(long);
                page[1] = c;
                for (unsigned long w = 0; w < PAGE / sizeof(long); w += 64)
                    *bad += page[w] != round * 1000 + i;
            });
        for (int i = 0; i < N; i++)
            p[i * PAGE / sizeof(long)] = -1;
        for (int c = 0; c < CHILDREN; c++)
            end_of(pids[c]);
    }
    CHECK_EQ(*bad, 0, "children see what was there at the fork while all of them write");
}

CHECK_MAIN(CASE(tree), CASE(files), CASE(programs), CASE(at_once))
