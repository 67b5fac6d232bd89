/* SPDX-License-Identifier: MIT */
/* Robust futexes: what a thread leaves behind when it ends, is killed, or replaces its program. */
#include "thread.h"

/* The layout that set_robust_list(2) wants, with our own lock behind each entry. */
struct entry {
    struct entry *next;
    _Atomic unsigned word;
};
struct head {
    struct entry *next;
    long offset;
    struct entry *pending;
};

static struct head *head; /* shared, as are the entries: they outlive their process */
static struct entry *entries;

static void prepare(void)
{
    head = share_pages(4096);
    entries = (struct entry *)(head + 1);
    head->offset = offsetof(struct entry, word);
    head->next = (void *)head;
}

/* List the first n entries as ours, and hold them. */
static void hold(int n, unsigned bits)
{
    for (int i = 0; i < n; i++) {
        entries[i].word = gettid() | bits;
        entries[i].next = i + 1 < n ? &entries[i + 1] : (void *)head;
    }
    head->next = n ? entries : (void *)head;
    if (syscall(SYS_set_robust_list, head, sizeof(*head)) < 0)
        _exit(50);
}

static void calls(void)
{
    struct head *got = NULL;
    size_t size = 0;
    if (qemu_user_lacks("robust lists"))
        return;
    prepare();
    CHECK_FAIL(syscall(SYS_set_robust_list, head, 8), EINVAL, "set_robust_list: another size");
    CHECK_EQ(syscall(SYS_get_robust_list, 0, &got, &size), 0, "get_robust_list");
    CHECK_EQ(size, sizeof(*head), "tells the size");
    CHECK_EQ(syscall(SYS_set_robust_list, head, sizeof(*head)), 0, "set_robust_list");
    CHECK(syscall(SYS_get_robust_list, gettid(), &got, &size) == 0 && got == head, "is told");
    CHECK_FAIL(syscall(SYS_get_robust_list, 1 << 28, &got, &size), ESRCH, "no such thread");
    CHECK_FAIL(syscall(SYS_get_robust_list, 0, unmapped_page(), &size), EFAULT, "a bad pointer");
    if (geteuid() == 0)
        CHECK_EQ(
            IN_CHILD(become_user(1000);
                     _exit(syscall(SYS_get_robust_list, getppid(), &got, &size) < 0 ? errno : 0)),
            EPERM, "another user's is not told");
    pid_t child =
        CHILD(_exit(syscall(SYS_get_robust_list, 0, &got, &size) == 0 && got != head ? 0 : 1));
    CHECK_EQ(end_of(child), 0, "fork does not inherit it");
}

static void ends(void)
{
    if (qemu_user_lacks("robust lists"))
        return;
    prepare();
    CHECK_EQ(IN_CHILD(hold(3, 0)), 0, "a child ends with three locks");
    for (int i = 0; i < 3; i++)
        CHECK_EQ(entries[i].word, FUTEX_OWNER_DIED, "the lock is marked, and nobody's");
    CHECK_EQ(IN_CHILD(hold(2, FUTEX_WAITERS); entries[1].word = 12345), 0, "one is not its own");
    CHECK_EQ(entries[0].word, FUTEX_OWNER_DIED | FUTEX_WAITERS, "the mark of waiters stays");
    CHECK_EQ(entries[1].word, 12345, "another's lock is left alone");
    CHECK_EQ(IN_CHILD(hold(2, 0); raise(SIGKILL)), 128 + SIGKILL, "a child is killed");
    CHECK_EQ(entries[1].word, FUTEX_OWNER_DIED, "its locks are marked as well");
    CHECK_EQ(IN_CHILD(hold(0, 0); entries[4].word = gettid(); head->pending = &entries[4]), 0,
             "one ends between lock and list");
    CHECK_EQ(entries[4].word, FUTEX_OWNER_DIED, "the pending one is marked");
    head->pending = NULL;
    if (!can_exec_self()) {
        SKIP("exec", "not under this qemu-user");
        return;
    }
    CHECK_EQ(IN_CHILD(hold(2, 0); int null = open("/dev/null", O_RDWR); dup2(null, 1);
                      dup2(null, 2); execl(check_state->self, "self", "--probe", NULL)),
             0, "one replaces its program");
    CHECK_EQ(entries[0].word, FUTEX_OWNER_DIED, "exec gives locks up as well");
}

static void *end_with_lock(void *argument)
{
    hold(1, 0);
    *(_Atomic int *)argument = 1;
    while (*(_Atomic int *)argument == 1)
        usleep(200);
    return NULL;
}

static void waiters(void)
{
    if (qemu_user_lacks("robust lists"))
        return;
    prepare();
    struct timespec t = {20, 0};
    pid_t child = CHILD({
        hold(1, FUTEX_WAITERS);
        while (entries[1].word == 0)
            usleep(200);
    });
    while (entries[0].word == 0)
        usleep(200);
    unsigned held = entries[0].word;
    entries[1].word = 1;
    long r = futex((void *)&entries[0].word, FUTEX_WAIT, held, &t, NULL, 0);
    int error = errno;
    CHECK(r == 0 || error == EAGAIN, "the end wakes one who waits");
    end_of(child);
    CHECK_EQ(entries[0].word, FUTEX_OWNER_DIED | FUTEX_WAITERS, "and the word is marked");
    _Atomic int step = 0;
    pthread_t thread = thread_start(end_with_lock, (void *)&step);
    while (!step)
        usleep(200);
    step = 2;
    thread_end(thread);
    CHECK_EQ(entries[0].word, FUTEX_OWNER_DIED, "a thread's own list counts");
}

static void hostile(void)
{
    if (qemu_user_lacks("robust lists"))
        return;
    prepare();
    struct head *bad = unmapped_page();
    CHECK_EQ(IN_CHILD(syscall(SYS_set_robust_list, bad, sizeof(*bad))), 0, "a list at no memory");
    CHECK_EQ(IN_CHILD(hold(2, 0); entries[1].next = entries), 0, "a list that never ends");
    CHECK_EQ(entries[1].word, FUTEX_OWNER_DIED, "is walked all the same");
    CHECK_EQ(IN_CHILD(hold(2, 0); entries[0].next = (void *)bad), 0, "a list that leads nowhere");
    CHECK_EQ(entries[0].word, FUTEX_OWNER_DIED, "is walked so far");
    CHECK_EQ(IN_CHILD(hold(1, 0); head->offset = 1), 0, "words that are not aligned");
    head->offset = offsetof(struct entry, word);
    CHECK_EQ(IN_CHILD(hold(1, 0); head->next = (void *)(-4096L)), 0, "the kernel's addresses");
    CHECK_EQ(IN_CHILD(hold(1, 0); head->offset = -4096L - (long)entries), 0, "as words too");
}

/* ---- with pthreads, between processes, with and without priority inheritance ---- */

static void pthread_robust(int protocol, const char *text)
{
    pthread_mutex_t *mutex = share_pages(4096);
    pthread_mutexattr_t attributes;
    struct gate gate = gate_make();
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setprotocol(&attributes, protocol);
    REQUIRE(pthread_mutex_init(mutex, &attributes) == 0);
    pid_t child = CHILD(pthread_mutex_lock(mutex); gate_open(gate); pause());
    gate_pass(gate);
    CHECK_EQ(pthread_mutex_trylock(mutex), EBUSY, text);
    kill(child, SIGKILL);
    int error = pthread_mutex_lock(mutex);
    CHECK_EQ(error, EOWNERDEAD, "its owner's death is told to the next one");
    end_of(child);
    CHECK_EQ(pthread_mutex_consistent(mutex), 0, "who makes it consistent");
    CHECK_EQ(pthread_mutex_unlock(mutex), 0, "and releases it");
    CHECK_EQ(IN_CHILD(_exit(pthread_mutex_lock(mutex) == 0 ? 0 : 1)), 0, "another one takes it");
    CHECK_EQ(pthread_mutex_lock(mutex), EOWNERDEAD, "ends with it, too");
    CHECK_EQ(pthread_mutex_unlock(mutex), 0, "releasing it as it is");
    CHECK_EQ(pthread_mutex_lock(mutex), ENOTRECOVERABLE, "spoils it for ever");
}

static void pthreads(void)
{
    if (qemu_user_lacks("robust locks of other processes"))
        return;
    pthread_robust(PTHREAD_PRIO_NONE, "a robust mutex is held");
    pthread_robust(PTHREAD_PRIO_INHERIT, "a robust mutex with priority inheritance is held");
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {CASE(calls),   CASE(ends),     CASE(waiters),
                                              CASE(hostile), CASE(pthreads), {NULL, NULL}};
    if (argc > 1 && !strcmp(argv[1], "--probe"))
        return 0;
    return check_run(cases);
}
