/* SPDX-License-Identifier: MIT */
/*
 * Every system call with hostile arguments.
 *
 *   fuzz [-n CALLS] [-s SEED] [-j CHILDREN] [-i CHILD] [-v]
 *
 * Children make calls with arguments drawn at random: pointers that lead nowhere, into the kernel,
 * to the last byte of a page; lengths at all the edges; descriptors of everything there is. A child
 * that dies, hangs or has done its share is replaced by the next, whose numbers depend on SEED and
 * its own number alone: `-i N` runs only number N. Most run as nobody, some as root (with the calls
 * steered that would end the machine or the test itself), all in a directory that is their root.
 *
 * Meanwhile canaries, which are other users' processes, watch that nobody changes their memory,
 * their registers and their files. After each call the child looks for what it should not be able
 * to see: words that are addresses of the kernel, or the patterns with which a debug kernel fills
 * memory that nobody has written to.
 *
 * The calls are made in rounds, each in a new folder. After each, with all children gone and the
 * folder removed, free frames and live objects of the kernel are counted: they must be what they
 * were before the first. Exit status 0 if all was well.
 */
#include "fuzz.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/mount.h>
#include <time.h>

enum {
    CALLS_PER_CHILD = 1500,
    MAX_CHILDREN = 64,
    CANARIES = 2,
    CANARY_PAGES = 64,
    STUCK_MS = 400, /* a child without progress is ended */
    SETTLE_ROUNDS = 40,
    CALLS_PER_ROUND = 250000,
    FRAME_LIMIT = 16,
};

struct slot *slots;
static struct watch {
    volatile int stop, failed, ready;
    volatile unsigned long rounds[CANARIES];
} * watch;
static uint64_t seed;
static int verbose;

static void die(const char *what)
{
    printf("fuzz: %s: %s\n", what, strerror(errno));
    exit(2);
}

/* ---- signals: nobody has a reason to send us one, and children of ours have no right to ---- */

static void on_signal(int signal, siginfo_t *info, void *context)
{
    (void)context;
    printf("fuzz: FAILED, signal %d came to %d, code %d, from %d (seed %#lx)\n", signal, getpid(),
           info->si_code, info->si_pid, seed);
    if (info->si_code > 0) {
        printf("fuzz: at %p\n", info->si_addr);
        _exit(1);
    }
    watch->failed = 1;
}

static void handle_signals(int ours)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};

    if (!ours) {
        action.sa_handler = SIG_DFL;
        action.sa_flags = 0;
    }
    for (int i = 1; i < SIGRTMAX; i++)
        if (i != SIGCHLD && i != SIGCONT)
            sigaction(i, &action, NULL);
}

/* ---- canaries ---- */

static void canary_failed(int number, const char *what, size_t where)
{
    printf("fuzz: FAILED, canary %d: %s at %zu (seed %#lx)\n", number, what, where, seed);
    watch->failed = 1;
    _exit(1);
}

/* A process that has nothing to do with the others: whatever it owns stays as it is. */
static void canary(int number)
{
    size_t words = CANARY_PAGES * PAGE / 8;
    uint64_t *memory =
        mmap(NULL, words * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    volatile double sum = 1.0;
    int pipes[2];
    char name[32], text[64] = "", mine[64];

    snprintf(name, sizeof(name), "canary%d", number);
    snprintf(mine, sizeof(mine), "what canary %d wrote", number);
    int fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (memory == MAP_FAILED || fd < 0 || pipe(pipes) < 0 || setgid(1000 + number) < 0 ||
        setuid(1000 + number) < 0)
        canary_failed(number, "start", errno);
    for (size_t i = 0; i < words; i++)
        memory[i] = i * 0x9e3779b97f4a7c15 ^ number;
    pwrite(fd, mine, sizeof(mine), 0);
    __atomic_fetch_add(&watch->ready, 1, __ATOMIC_SEQ_CST);
    while (!watch->stop) {
        for (size_t i = 0; i < words; i++)
            if (memory[i] != (i * 0x9e3779b97f4a7c15 ^ number))
                canary_failed(number, "memory changed", i);
        if (pread(fd, text, sizeof(text), 0) != sizeof(text) || memcmp(text, mine, sizeof(text)))
            canary_failed(number, "file changed", 0);
        if (write(pipes[1], mine, 32) != 32 || read(pipes[0], text, 64) != 32 ||
            memcmp(text, mine, 32))
            canary_failed(number, "pipe changed", 0);
        sum = sum * 1.5 / 1.5;
        if (sum != 1.0)
            canary_failed(number, "floating point changed", 0);
        watch->rounds[number]++;
        usleep(20000);
    }
    _exit(0);
}

/* ---- counting ---- */

static size_t read_file(const char *name, char *text, size_t size)
{
    int fd = open(name, O_RDONLY);
    size_t n = 0;
    ssize_t r;

    while (fd >= 0 && n < size - 1 && (r = read(fd, text + n, size - 1 - n)) > 0)
        n += r;
    close(fd);
    text[n] = 0;
    return n;
}

/* Free frames, after all that the kernel can give back. */
static long free_frames(void)
{
    char text[8192], *line;
    int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

    write(fd, "3", 1);
    close(fd);
    read_file("/proc/meminfo", text, sizeof(text));
    line = strstr(text, "MemFree:");
    return line ? atol(line + 8) / 4 : -1;
}

/* Lines "name active ..." of /proc/slabinfo. */
struct objects {
    int count;
    struct {
        char name[32];
        long active;
    } caches[160];
};

static void count_objects(struct objects *o)
{
    static char text[65536];
    char *line, *rest = text;

    o->count = 0;
    read_file("/proc/slabinfo", text, sizeof(text));
    while ((line = strsep(&rest, "\n")) != NULL && o->count < 160)
        if (sscanf(line, "%31s %ld", o->caches[o->count].name, &o->caches[o->count].active) == 2 &&
            line[0] != '#')
            o->count++;
}

/* The caches that have grown; returns the sum. A few objects of general size are nobody's leak. */
static long grown(const struct objects *before, const struct objects *after, int tell)
{
    long sum = 0;

    for (int i = 0; i < after->count; i++) {
        long old = 0, slack = !strncmp(after->caches[i].name, "kmalloc", 7) ? 8 : 2;

        for (int j = 0; j < before->count; j++)
            if (!strcmp(before->caches[j].name, after->caches[i].name))
                old = before->caches[j].active;
        if (after->caches[i].active <= old + slack)
            continue;
        sum += after->caches[i].active - old;
        if (tell)
            printf("fuzz: %s: %ld objects before, %ld after\n", after->caches[i].name, old,
                   after->caches[i].active);
    }
    return sum;
}

/* ---- the children's world ---- */

static void make_world(void)
{
    static const char *const folders[] = {"dev", "proc", "tmp", "tmp/d", "tmp/d/e"};
    static const struct {
        const char *name;
        int minor;
    } nodes[] = {{"dev/null", 3}, {"dev/zero", 5}, {"dev/full", 7}};

    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++)
        if (mkdir(folders[i], 0777) < 0 || chmod(folders[i], 0777) < 0)
            die(folders[i]);
    for (size_t i = 0; i < 3; i++)
        if (mknod(nodes[i].name, S_IFCHR | 0666, makedev(1, nodes[i].minor)) < 0 ||
            chmod(nodes[i].name, 0666) < 0)
            die(nodes[i].name);
    if (mount("proc", "proc", "proc", 0, NULL) < 0)
        die("mount of proc");
    int fd = open("tmp/program", O_WRONLY | O_CREAT, 0755);
    char buffer[65536];
    int self = open("/proc/self/exe", O_RDONLY);
    for (ssize_t n; (n = read(self, buffer, sizeof(buffer))) > 0;)
        write(fd, buffer, n);
    close(fd);
    close(self);
}

/* What root's children have mounted on each other and on their root, the last one first. */
static void unmount_all(const char *folder)
{
    static char text[1 << 20];
    char point[4096];
    size_t length = strlen(folder);

    for (int left = 1; left;) {
        left = 0;
        read_file("/proc/self/mounts", text, sizeof(text));
        for (char *line = text + strlen(text); line > text;) {
            do
                line--;
            while (line > text && line[-1] != '\n');
            if (sscanf(line, "%*s %4095s", point) == 1 && !strncmp(point, folder, length) &&
                (point[length] == '/' || point[length] == 0))
                left |= umount2(point, MNT_DETACH) == 0;
        }
    }
}

static void remove_all(const char *folder)
{
    pid_t pid = fork();

    if (pid == 0) {
        execl("/bin/rm", "rm", "-rf", folder, NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
}

/* ---- the supervisor ---- */

static unsigned next_child;

static void set_oom_score(const char *score)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY);

    write(fd, score, strlen(score));
    close(fd);
}

static void start_child(struct slot *slot)
{
    slot->number = next_child++;
    slot->calls_before += slot->calls;
    slot->calls = 0;
    slot->leak = 0;
    slot->seen = 0;
    slot->since = 0;
    pid_t pid = fork();
    if (pid < 0)
        die("fork of a child");
    if (pid == 0) {
        handle_signals(0);
        set_oom_score("500");
        munmap(watch, PAGE);
        fuzz_child(slot, seed, CALLS_PER_CHILD);
    }
    slot->pid = pid; /* not in the child: it shares the slot */
}

static unsigned long calls_made(int children)
{
    unsigned long sum = 0;

    for (int i = 0; i < children; i++)
        sum += slots[i].calls_before + slots[i].calls;
    return sum;
}

static void reap(int children, pid_t canaries[], int again)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
        for (int i = 0; i < CANARIES; i++)
            if (pid == canaries[i] && status != 0) {
                printf("fuzz: FAILED, canary %d ended with status %#x (seed %#lx)\n", i, status,
                       seed);
                watch->failed = 1;
            }
        for (int i = 0; i < children; i++) {
            if (pid != slots[i].pid)
                continue;
            if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_LEAK &&
                slots[i].leak) { /* not just exit(EXIT_LEAK) */
                printf("fuzz: FAILED, child %u saw %#lx at byte %lu after %s (seed %#lx)\n",
                       slots[i].number, slots[i].leak, slots[i].leak_at, slots[i].doing, seed);
                watch->failed = 1;
            }
            if (verbose > 1)
                printf("fuzz: child %u: status %#x after %lu calls, %s\n", slots[i].number, status,
                       slots[i].calls, slots[i].doing);
            slots[i].pid = 0;
            if (again)
                start_child(&slots[i]);
        }
    }
}

/* All that descend from us, whoever their parents were: we are their reaper. */
static void end_all(int children)
{
    for (int i = 0; i < children; i++)
        if (slots[i].pid > 0)
            kill(slots[i].pid, SIGKILL);
    for (int round = 0; round < 200; round++) {
        char text[4096], name[64];
        int left = 0;

        while (waitpid(-1, NULL, WNOHANG | __WALL) > 0)
            ;
        snprintf(name, sizeof(name), "/proc/self/task/%d/children", getpid());
        if (!read_file(name, text, sizeof(text))) {
            if (waitpid(-1, NULL, WNOHANG | __WALL) < 0 && errno == ECHILD)
                return;
        }
        for (int pid = 2; pid < 32768; pid++) {
            char stat[512], *end;
            int parent;

            snprintf(name, sizeof(name), "/proc/%d/stat", pid);
            if (access(name, F_OK) < 0 || !read_file(name, stat, sizeof(stat)))
                continue;
            end = strrchr(stat, ')');
            if (!end || sscanf(end + 2, "%*c %d", &parent) != 1 || parent != getpid())
                continue;
            left++;
            kill(pid, SIGKILL);
        }
        if (!left && waitpid(-1, NULL, WNOHANG | __WALL) < 0 && errno == ECHILD)
            return;
        usleep(20000);
    }
    printf("fuzz: FAILED, children that cannot be killed\n");
    watch->failed = 1;
}

static void look_for_stuck(int children)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    for (int i = 0; i < children; i++) {
        long ms = now.tv_sec * 1000 + now.tv_nsec / 1000000;

        if (slots[i].calls != slots[i].seen || !slots[i].since) {
            slots[i].seen = slots[i].calls;
            slots[i].since = ms;
        } else if (ms - slots[i].since > STUCK_MS && slots[i].pid > 0) {
            if (verbose)
                printf("fuzz: child %u is stuck in %s\n", slots[i].number, slots[i].doing);
            kill(slots[i].pid, SIGKILL);
            slots[i].since = ms;
        }
    }
}

/* One load of so many calls; everything it left is removed again. */
static void run(unsigned long calls, int children, const char *folder)
{
    pid_t canaries[CANARIES];

    if (mkdir(folder, 0755) < 0 || chdir(folder) < 0)
        die(folder);
    make_world();
    memset(slots, 0, MAX_CHILDREN * sizeof(*slots));
    watch->stop = watch->ready = 0;
    for (int i = 0; i < CANARIES; i++) {
        canaries[i] = fork();
        if (canaries[i] == 0)
            canary(i);
    }
    while (watch->ready < CANARIES && !watch->failed)
        usleep(1000);
    for (int i = 0; i < children; i++)
        start_child(&slots[i]);
    while (calls_made(children) < calls && !watch->failed) {
        usleep(10000);
        reap(children, canaries, 1);
        look_for_stuck(children);
    }
    for (int i = 0; i < children; i++)
        if (slots[i].pid > 0)
            kill(slots[i].pid, SIGKILL);
    watch->stop = 1;
    for (int i = 0; i < CANARIES; i++) {
        int status;

        if (waitpid(canaries[i], &status, 0) == canaries[i] && status != 0) {
            printf("fuzz: FAILED, canary %d ended with status %#x\n", i, status);
            watch->failed = 1;
        }
    }
    end_all(children);
    chdir("/");
    unmount_all(folder);
    remove_all(folder);
}

static int one_child(unsigned number)
{
    make_world();
    next_child = number;
    start_child(&slots[0]);
    int status;
    waitpid(slots[0].pid, &status, 0);
    printf("fuzz: child %u: status %#x after %lu calls, %s\n", number, status, slots[0].calls,
           slots[0].doing);
    return status != 0;
}

/* Are all frames and objects back that were there before the first round? */
static void look_for_lost(long frames, const struct objects *before)
{
    static struct objects after;
    long left = free_frames();

    count_objects(&after);
    for (int i = 0; i < SETTLE_ROUNDS && (left < frames - FRAME_LIMIT || grown(before, &after, 0));
         i++) {
        usleep(50000);
        left = free_frames();
        count_objects(&after);
    }
    if (!grown(before, &after, 1) && left >= frames - FRAME_LIMIT)
        return;
    printf("fuzz: FAILED, something was not given back: %ld free frames before, %ld after\n",
           frames, left);
    watch->failed = 1;
}

int main(int argc, char **argv)
{
    static struct objects before;
    unsigned long calls = 100000, made = 0, rounds = 0;
    int option, children = 2 * sysconf(_SC_NPROCESSORS_ONLN), number = -1;
    struct timespec start, end;
    char folder[64];

    /* Started by a child, under a name that leads here: one supervisor is enough. */
    const char *name = strrchr((const char *)getauxval(AT_EXECFN), '/');
    if (!name || strcmp(name, "/fuzz") != 0)
        return 0;
    seed = 1;
    while ((option = getopt(argc, argv, "n:s:j:i:v")) != -1) {
        if (option == 'n')
            calls = strtoul(optarg, NULL, 0);
        else if (option == 's')
            seed = strtoull(optarg, NULL, 0);
        else if (option == 'j')
            children = atoi(optarg);
        else if (option == 'i')
            number = atoi(optarg);
        else if (option == 'v')
            verbose++;
        else
            return 2;
    }
    children = children > MAX_CHILDREN ? MAX_CHILDREN : children;
    setvbuf(stdout, NULL, _IOLBF, 0);
    umask(0);
    /* Shared with children whose calls write beside their arena: far away from that. */
    slots = mmap((void *)0x1000000000, MAX_CHILDREN * sizeof(*slots), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    watch = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (slots == MAP_FAILED || watch == MAP_FAILED)
        die("mmap");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    handle_signals(1);
    set_oom_score("-1000"); /* when memory is short, a child has to go */
    clock_gettime(CLOCK_MONOTONIC, &start);
    snprintf(folder, sizeof(folder), "/tmp/fuzz.%d", getpid());
    printf("fuzz: seed %#lx, %lu calls of %u kinds by %d children at a time\n", seed, calls,
           call_count, children);
    if (number >= 0)
        return mkdir(folder, 0755) < 0 || chdir(folder) < 0 ? 2 : one_child(number);

    next_child = 1U << 24; /* a warm-up, so that what the kernel keeps once needed is there */
    run(calls / 10 > 20000 ? 20000 : calls / 10, children, folder);
    next_child = 0;
    long frames = free_frames();
    count_objects(&before);
    while (made < calls && !watch->failed) {
        run(calls - made < CALLS_PER_ROUND ? calls - made : CALLS_PER_ROUND, children, folder);
        made += calls_made(children);
        rounds += watch->rounds[0] + watch->rounds[1];
        look_for_lost(frames, &before);
        clock_gettime(CLOCK_MONOTONIC, &end);
        if (made < calls)
            printf("fuzz: %lu calls in %ld s\n", made, end.tv_sec - start.tv_sec);
    }
    printf("fuzz: %lu calls by %u children in %ld s, %lu rounds of canaries\n", made, next_child,
           end.tv_sec - start.tv_sec, rounds);
    printf(watch->failed ? "fuzz: FAILED (seed %#lx)\n" : "fuzz: passed (seed %#lx)\n", seed);
    return watch->failed;
}
