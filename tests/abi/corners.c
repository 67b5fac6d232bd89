/* SPDX-License-Identifier: MIT */
/*
 * Small rules that programs meet seldom: of files without a position, set-ID bits, records, copies between
 * file systems, clocks and timers of run time, the mount table as something to wait for.
 */
#include "check.h"
#include "thread.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

/* ---- positions, and what poll(2) says ------------------------------------------------------------------- */

static void no_position(void)
{
    sigset_t usr1 = set_of(SIGUSR1);
    int fds[] = {eventfd(5, 0), timerfd_create(CLOCK_MONOTONIC, 0), signalfd(-1, &usr1, 0),
                 epoll_create1(0), inotify_init1(0)};
    uint64_t word;
    int ends[2];

    if (!qemu_user_lacks("signalfd"))
        for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
            CHECK(lseek(fds[i], 7, SEEK_SET) == 0 && lseek(fds[i], 0, SEEK_END) == 0,
                  "the position of an event descriptor is always 0");
    CHECK_FAIL(lseek(fds[0], 0, 17), EINVAL, "lseek of an unknown kind");
    CHECK_FAIL(pread(fds[0], &word, 8, 0), ESPIPE, "pread of an eventfd");
    REQUIRE(pipe(ends) == 0);
    CHECK_FAIL(lseek(ends[0], 0, SEEK_SET), ESPIPE, "a pipe has no position");
    struct pollfd p = {.fd = fds[0],
                       .events = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM | POLLPRI};
    CHECK(poll(&p, 1, 0) == 1 && p.revents == (POLLIN | POLLOUT), "an eventfd polls as IN and OUT");
    struct itimerspec at_once = {.it_value.tv_nsec = 1};
    timerfd_settime(fds[1], 0, &at_once, NULL);
    p.fd = fds[1];
    CHECK(poll(&p, 1, -1) == 1 && p.revents == POLLIN, "a timerfd as IN");
}

static void mount_table(void)
{
    struct pollfd p = {.events = POLLIN | POLLPRI};

    if (geteuid() != 0 || qemu_user_lacks("the mount table"))
        return;
    p.fd = open("/proc/self/mounts", O_RDONLY);
    CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN, "the mount table can be read");
    mkdir("m", 0755);
    if (unshare(CLONE_NEWNS) != 0 && errno != EINVAL && errno != EPERM)
        return;
    close(p.fd);
    p.fd = open("/proc/self/mounts", O_RDONLY);
    p.events = POLLPRI;
    CHECK_EQ(poll(&p, 1, 0), 0, "nothing has changed since it was opened");
    REQUIRE(mount("t", "m", "tmpfs", 0, NULL) == 0);
    CHECK(poll(&p, 1, -1) == 1 && p.revents == (POLLERR | POLLPRI), "a mount is told by poll");
    CHECK_EQ(poll(&p, 1, 0), 0, "once");
    int epoll = epoll_create1(0), notes = inotify_init1(IN_NONBLOCK);
    struct epoll_event event = {.events = EPOLLPRI | EPOLLET}, got;
    epoll_ctl(epoll, EPOLL_CTL_ADD, p.fd, &event);
    epoll_wait(epoll, &got, 1, 0);
    inotify_add_watch(notes, "m", IN_ALL_EVENTS);
    REQUIRE(umount("m") == 0);
    CHECK(epoll_wait(epoll, &got, 1, -1) == 1 && (got.events & EPOLLPRI), "umount by epoll");
    struct inotify_event note;
    CHECK(read(notes, &note, sizeof(note)) == sizeof(note) && note.mask == (IN_UNMOUNT | IN_ISDIR),
          "IN_UNMOUNT says that it was a directory");
}

/* ---- files ---------------------------------------------------------------------------------------------- */

static void nameless(void)
{
    int fd = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600);
    char name[32];

    if (fd < 0) {
        SKIP("O_TMPFILE", "not on this file system");
        return;
    }
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    CHECK_FAIL(linkat(AT_FDCWD, name, AT_FDCWD, "x", AT_SYMLINK_FOLLOW), ENOENT,
               "O_TMPFILE with O_EXCL gets no name ever");
}

static void becoming(uid_t id)
{
    syscall(SYS_setgroups, 0, NULL);
    if (setresgid(id, id, id) != 0 || setresuid(id, id, id) != 0)
        _exit(99);
}

#define AS(id, call) IN_CHILD(becoming(id); errno = 0; (void)(call); _exit(errno))

static void device_nodes(void)
{
    if (geteuid() != 0)
        return;
    mkdir("mine", 0755);
    mkdir("all", 0777);
    chmod("all", 0777);
    chmod(".", 0755);
    write_file("all/there", "", 0644);
    CHECK_EQ(AS(1000, mknod("all/there", S_IFCHR | 0600, makedev(1, 3))), EEXIST,
             "mknod of a device by a user: the name counts first");
    CHECK_EQ(AS(1000, mknod("mine/new", S_IFBLK | 0600, makedev(7, 0))), EACCES,
             "then the directory");
    CHECK_EQ(AS(1000, mknod("all/new", S_IFCHR | 0600, makedev(1, 3))), EPERM, "then the user");
}

static mode_t mode_of(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? st.st_mode & 07777 : 0;
}

static void set_id_bits(void)
{
    if (geteuid() != 0)
        return;
    chmod(".", 0755);
    write_file("f", "text", 0666);
    chown("f", 1000, 1000);
    chmod("f", 06767);
    CHECK_EQ(AS(1001, write(open("f", O_WRONLY), "x", 1)), 0, "a stranger writes");
    CHECK_EQ(mode_of("f"), 0767, "the set-group-ID bit goes even where the group may not execute");
    chmod("f", 06767);
    CHECK_EQ(AS(1000, write(open("f", O_WRONLY), "x", 1)), 0, "the owner writes");
    CHECK_EQ(mode_of("f"), 02767, "and keeps it as a member of the group");
    chmod("f", 06777);
    int error = AS(1001, fallocate(open("f", O_WRONLY), 0, 0, 5000));
    if (error == EOPNOTSUPP) {
        SKIP("fallocate", "not on this file system");
        return;
    }
    CHECK_EQ(error, 0, "a stranger reserves room");
    CHECK_EQ(mode_of("f"), 0777, "which is a write too");
}

static void first_record(void)
{
    int fd = open("f", O_CREAT | O_RDWR, 0600);
    struct flock high = {.l_type = F_WRLCK, .l_start = 100, .l_len = 10},
                 low = {.l_type = F_WRLCK, .l_start = 10, .l_len = 5};

    REQUIRE(fcntl(fd, F_SETLK, &high) == 0 && fcntl(fd, F_SETLK, &low) == 0);
    CHECK_EQ(IN_CHILD(struct flock all = {.l_type = F_WRLCK}; fcntl(fd, F_GETLK, &all);
                      _exit(all.l_start == 10 && all.l_len == 5)),
             1, "F_GETLK tells of the lock that begins first");
    CHECK_EQ(flock(fd, LOCK_MAND | LOCK_READ), 0, "LOCK_MAND is accepted, and does nothing");
    int other = open("f", O_RDWR);
    CHECK_EQ(flock(other, LOCK_EX | LOCK_NB), 0, "nothing at all");
}

static void between_systems(void)
{
    int file = open("f", O_CREAT | O_RDWR, 0600), memory = memfd_create("m", 0);
    loff_t from = -5;

    REQUIRE(write(file, "0123456789", 10) == 10);
    lseek(file, 0, SEEK_SET);
    if (qemu_user_lacks("copy_file_range"))
        return;
    CHECK_FAIL(copy_file_range(file, NULL, memory, NULL, 5, 0), EXDEV,
               "copy_file_range between file systems");
    int same = open("g", O_CREAT | O_RDWR, 0600);
    CHECK_FAIL(copy_file_range(file, &from, same, NULL, 10, 0), EOVERFLOW,
               "a range from below 0 to above");
    CHECK_EQ(copy_file_range(file, NULL, same, NULL, 5, 0), 5, "within one it copies");
    struct iovec piece = {.iov_base = (char[4]){0}, .iov_len = 4};
    CHECK_EQ(preadv2(file, &piece, 1, 0, RWF_APPEND), 4, "RWF_APPEND is no matter to a read");
}

static void times_of_birth(void)
{
    struct statx st;

    if (qemu_user_lacks("statx"))
        return;
    CHECK(syscall(SYS_statx, AT_FDCWD, "/proc/version", 0, 0xfff, &st) == 0 &&
              !(st.stx_mask & 0x800) && st.stx_blksize == 1024,
          "a file of /proc has no time of birth");
}

/* ---- signals and time ----------------------------------------------------------------------------------- */

static volatile sig_atomic_t count;

static void counter(int signal)
{
    (void)signal;
    count++;
}

static void once(void)
{
    struct sigaction now;

    handle_flags(SIGUSR1, counter, SA_RESETHAND | SA_NODEFER);
    raise(SIGUSR1);
    sigaction(SIGUSR1, NULL, &now);
    CHECK(count == 1 && now.sa_handler == SIG_DFL, "SA_RESETHAND: the default action afterwards");
    if (!qemu_user_lacks("flags of signals"))
        CHECK_EQ((unsigned)now.sa_flags & (SA_RESETHAND | SA_NODEFER), SA_RESETHAND | SA_NODEFER,
                 "the flags are still told");
}

static void a_virtual_storm(void)
{
    struct itimerval each = {.it_interval.tv_usec = 1, .it_value.tv_usec = 1}, off = {0};
    volatile unsigned long work = 0;

    handle_flags(SIGVTALRM, counter, 0);
    setitimer(ITIMER_VIRTUAL, &each, NULL);
    while (work < 20 * 1000 * 1000)
        work++;
    while (count < 2)
        work++;
    setitimer(ITIMER_VIRTUAL, &off, NULL);
    CHECK(count >= 2, "a program gets on while ITIMER_VIRTUAL fires each microsecond");
}

static volatile int stop_running;

static void *run(void *unused)
{
    while (!stop_running)
        ;
    return unused;
}

static long long now_of(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void run_time_sleep(void)
{
    struct timespec t = {.tv_nsec = 30000000};
    pthread_t thread;

    if (qemu_user_lacks("sleeping on a CPU clock"))
        return;
    CHECK_FAIL(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL), EOPNOTSUPP,
               "one cannot sleep until oneself has run");
    clockid_t own = (~(clockid_t)syscall(SYS_gettid) << 3) | 6;
    CHECK_FAIL(syscall(SYS_clock_nanosleep, own, 0, &t, NULL), EINVAL, "by number either");
    REQUIRE(pthread_create(&thread, NULL, run, NULL) == 0);
    long long before = now_of(CLOCK_PROCESS_CPUTIME_ID);
    CHECK_EQ(syscall(SYS_clock_nanosleep, CLOCK_PROCESS_CPUTIME_ID, 0, &t, NULL), 0,
             "but until the process has");
    long long after = now_of(CLOCK_PROCESS_CPUTIME_ID);
    CHECK(after - before >= 30000000, "it has run so long");
    after += 20000000;
    t = (struct timespec){.tv_sec = after / 1000000000, .tv_nsec = after % 1000000000};
    CHECK_EQ(syscall(SYS_clock_nanosleep, CLOCK_PROCESS_CPUTIME_ID, TIMER_ABSTIME, &t, NULL), 0,
             "also until an absolute time");
    CHECK(now_of(CLOCK_PROCESS_CPUTIME_ID) >= after, "that has come");
    stop_running = 1;
    pthread_join(thread, NULL);
    handle_flags(SIGALRM, counter, 0);
    struct itimerval soon = {.it_value.tv_usec = 20000};
    setitimer(ITIMER_REAL, &soon, NULL);
    struct timespec left = {0};
    t = (struct timespec){.tv_sec = 100};
    CHECK_FAIL(syscall(SYS_clock_nanosleep, CLOCK_PROCESS_CPUTIME_ID, 0, &t, &left), EINTR,
               "a signal ends it");
    CHECK(left.tv_sec >= 98 && left.tv_sec < 100, "what was left is told");
}

CHECK_MAIN(CASE(no_position), CASE(mount_table), CASE(nameless), CASE(device_nodes),
           CASE(set_id_bits), CASE(first_record), CASE(between_systems), CASE(times_of_birth),
           CASE(once), CASE(a_virtual_storm), CASE(run_time_sleep))
