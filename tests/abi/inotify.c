/* SPDX-License-Identifier: MIT */
/* inotify: every kind of event, masks, names, renames, the end of files, limits, errors. */
#include "check.h"

#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/xattr.h>
#include <utime.h>

#ifndef IN_MASK_CREATE
#define IN_MASK_CREATE 0x10000000
#endif

struct seen {
    int wd;
    uint32_t mask, cookie, len;
    char name[300];
};

static struct seen seen[64];
static int events;

/* Reads all that is there; how many events. */
static int look(int fd)
{
    static char buffer[65536] __attribute__((aligned(8)));
    ssize_t n;
    events = 0;
    while ((n = read(fd, buffer, sizeof(buffer))) > 0)
        for (char *p = buffer; p < buffer + n && events < 64;) {
            struct inotify_event *e = (struct inotify_event *)p;
            struct seen *s = &seen[events++];
            *s = (struct seen){e->wd, e->mask, e->cookie, e->len, ""};
            if (e->len)
                strcpy(s->name, e->name);
            p += sizeof(*e) + e->len;
        }
    return events;
}

/* Is the event number i this one? */
static int is(int i, int wd, uint32_t mask, const char *name)
{
    if (i < events && seen[i].wd == wd && seen[i].mask == mask && !strcmp(seen[i].name, name))
        return 1;
    for (int k = 0; k < events; k++)
        fprintf(stderr, "# event %d: wd %d mask %x \"%s\"\n", k, seen[k].wd, seen[k].mask,
                seen[k].name);
    return 0;
}

static int start(const char *path, uint32_t mask, int *wd)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    REQUIRE(fd >= 0);
    *wd = inotify_add_watch(fd, path, mask);
    REQUIRE(*wd > 0);
    return fd;
}

static void a_file(void)
{
    int wd, file;
    char buffer[8];
    write_file("f", "text", 0644);
    int fd = start("f", IN_ALL_EVENTS, &wd);
    CHECK_EQ(look(fd), 0, "nothing has happened");
    file = open("f", O_RDONLY);
    CHECK(look(fd) == 1 && is(0, wd, IN_OPEN, ""), "IN_OPEN");
    CHECK_EQ(seen[0].len, 0, "without a name");
    read(file, buffer, 4);
    CHECK(look(fd) == 1 && is(0, wd, IN_ACCESS, ""), "IN_ACCESS");
    read(file, buffer, 4);
    CHECK_EQ(look(fd), 0, "nothing was read at the end");
    close(file);
    CHECK(look(fd) == 1 && is(0, wd, IN_CLOSE_NOWRITE, ""), "IN_CLOSE_NOWRITE");
    file = open("f", O_RDWR);
    write(file, "1", 1);
    close(file);
    CHECK(look(fd) == 3 && is(0, wd, IN_OPEN, "") && is(1, wd, IN_MODIFY, "") &&
              is(2, wd, IN_CLOSE_WRITE, ""),
          "IN_MODIFY, IN_CLOSE_WRITE");
    truncate("f", 2);
    CHECK(look(fd) == 1 && is(0, wd, IN_MODIFY, ""), "truncate");
    chmod("f", 0600);
    CHECK(look(fd) == 1 && is(0, wd, IN_ATTRIB, ""), "IN_ATTRIB: chmod");
    chown("f", -1, getgid());
    CHECK(look(fd) == 1 && is(0, wd, IN_ATTRIB, ""), "chown");
    utime("f", NULL);
    CHECK(look(fd) == 1 && is(0, wd, IN_ATTRIB, ""), "utime");
    setxattr("f", "user.x", "1", 1, 0);
    removexattr("f", "user.x");
    CHECK(look(fd) <= 1, "attributes that only some file systems have");
    link("f", "g");
    CHECK(look(fd) == 1 && is(0, wd, IN_ATTRIB, ""), "link");
    rename("f", "h");
    CHECK(look(fd) == 1 && is(0, wd, IN_MOVE_SELF, ""), "IN_MOVE_SELF");
    unlink("g");
    CHECK(look(fd) == 1 && is(0, wd, IN_ATTRIB, ""), "one name less");
    file = open("h", O_RDONLY);
    unlink("h");
    CHECK(look(fd) == 2 && is(0, wd, IN_OPEN, "") && is(1, wd, IN_ATTRIB, ""),
          "the last name of an open file");
    close(file);
    CHECK(look(fd) == 3 && is(0, wd, IN_CLOSE_NOWRITE, "") && is(1, wd, IN_DELETE_SELF, "") &&
              is(2, wd, IN_IGNORED, ""),
          "IN_DELETE_SELF, IN_IGNORED when it is closed");
    CHECK_FAIL(inotify_rm_watch(fd, wd), EINVAL, "the watch has ended");
}

static void a_directory(void)
{
    int wd, file;
    char buffer[8];
    mkdir("d", 0755);
    int fd = start("d", IN_ALL_EVENTS, &wd);
    write_file("d/f", "text", 0600);
    CHECK(look(fd) == 5 && is(0, wd, IN_CREATE, "f") && is(1, wd, IN_OPEN, "f") &&
              is(2, wd, IN_MODIFY, "f") && is(3, wd, IN_ATTRIB, "f") &&
              is(4, wd, IN_CLOSE_WRITE, "f"),
          "a file is made and written");
    CHECK_EQ(seen[0].len, 16, "the name is padded");
    file = open("d/f", O_RDONLY);
    pread(file, buffer, 2, 0);
    close(file);
    CHECK(look(fd) == 3 && is(1, wd, IN_ACCESS, "f"), "and read");
    mkdir("d/sub", 0755);
    CHECK(look(fd) == 1 && is(0, wd, IN_CREATE | IN_ISDIR, "sub"), "a directory is made");
    symlink("f", "d/link");
    CHECK(look(fd) == 1 && is(0, wd, IN_CREATE, "link"), "a symbolic link");
    mkfifo("d/fifo", 0600);
    CHECK(look(fd) == 1 && is(0, wd, IN_CREATE, "fifo"), "a FIFO");
    link("d/f", "d/g");
    CHECK(look(fd) == 1 && is(0, wd, IN_CREATE, "g"), "a name more");
    unlink("d/g");
    CHECK(look(fd) == 1 && is(0, wd, IN_DELETE, "g"), "IN_DELETE");
    rmdir("d/sub");
    CHECK(look(fd) == 1 && is(0, wd, IN_DELETE | IN_ISDIR, "sub"), "of a directory");
    chmod("d", 0700);
    CHECK(look(fd) == 1 && is(0, wd, IN_ATTRIB | IN_ISDIR, ""), "the directory itself");
    DIR *dir = opendir("d");
    readdir(dir);
    closedir(dir);
    CHECK(look(fd) >= 2 && is(0, wd, IN_OPEN | IN_ISDIR, "") &&
              is(events - 1, wd, IN_CLOSE_NOWRITE | IN_ISDIR, ""),
          "is opened and closed");
    file = open("d/f", O_RDWR | O_TRUNC);
    ftruncate(file, 10);
    fchmod(file, 0640);
    unlink("d/f");
    write(file, "x", 1);
    look(fd);
    uint32_t all = 0;
    int deleted = -1, modified = -1;
    for (int i = 0; i < events; i++) {
        all |= seen[i].mask;
        if (seen[i].mask == IN_DELETE)
            deleted = i;
        if (seen[i].mask == IN_MODIFY)
            modified = i;
    }
    CHECK_EQ(all, IN_OPEN | IN_MODIFY | IN_ATTRIB | IN_DELETE, "O_TRUNC, ftruncate, fchmod");
    CHECK(deleted > 0 && modified > deleted, "an unlinked file is still told of");
    close(file);
    look(fd);
    CHECK_EQ(inotify_add_watch(fd, "d", IN_ALL_EVENTS | IN_EXCL_UNLINK), wd, "IN_EXCL_UNLINK");
    file = open("d/h", O_RDWR | O_CREAT, 0600);
    unlink("d/h");
    look(fd);
    write(file, "x", 1);
    close(file);
    CHECK_EQ(look(fd), 0, "it is not");
    unlink("d/link");
    unlink("d/fifo");
    look(fd);
    rmdir("d");
    CHECK(look(fd) == 2 && is(0, wd, IN_DELETE_SELF, "") && is(1, wd, IN_IGNORED, ""),
          "the end of the directory");
}

static void renames(void)
{
    int wa, wb, fd;
    mkdir("a", 0755);
    mkdir("b", 0755);
    write_file("a/f", "", 0644);
    fd = start("a", IN_MOVE | IN_DELETE, &wa);
    wb = inotify_add_watch(fd, "b", IN_MOVE | IN_MOVE_SELF);
    CHECK(wb > wa, "numbers go up");
    rename("a/f", "b/g");
    CHECK(look(fd) == 2 && is(0, wa, IN_MOVED_FROM, "f") && is(1, wb, IN_MOVED_TO, "g"),
          "from one directory to another");
    uint32_t cookie = seen[0].cookie;
    CHECK(cookie != 0 && seen[1].cookie == cookie, "with the same cookie");
    rename("b/g", "b/h");
    CHECK(look(fd) == 2 && is(0, wb, IN_MOVED_FROM, "g") && is(1, wb, IN_MOVED_TO, "h"),
          "within one");
    CHECK(seen[0].cookie != cookie && seen[0].cookie == seen[1].cookie, "with a new cookie");
    mkdir("b/dir", 0755);
    rename("b/dir", "a/dir");
    CHECK(look(fd) == 2 && is(0, wb, IN_MOVED_FROM | IN_ISDIR, "dir") &&
              is(1, wa, IN_MOVED_TO | IN_ISDIR, "dir"),
          "a directory");
    rename("b", "c");
    CHECK(look(fd) == 1 && is(0, wb, IN_MOVE_SELF, ""), "IN_MOVE_SELF of a directory");
    write_file("c/x", "", 0644);
    inotify_add_watch(fd, "c/x", IN_ALL_EVENTS);
    look(fd);
    rename("c/h", "c/x");
    look(fd);
    CHECK(is(0, wb, IN_MOVED_FROM, "h") && is(1, wb, IN_MOVED_TO, "x"), "over another file");
    int gone = 0;
    for (int i = 0; i < events; i++)
        gone += seen[i].mask == IN_DELETE_SELF;
    CHECK_EQ(gone, 1, "which is deleted");
}

static void masks(void)
{
    int wd, fd;
    write_file("f", "", 0644);
    mkdir("d", 0755);
    symlink("f", "l");
    fd = start("f", IN_OPEN, &wd);
    chmod("f", 0600);
    CHECK_EQ(look(fd), 0, "only what the mask says");
    CHECK_EQ(inotify_add_watch(fd, "f", IN_ATTRIB), wd, "another mask, the same watch");
    close(open("f", O_RDONLY));
    CHECK_EQ(look(fd), 0, "replaces the first");
    CHECK_EQ(inotify_add_watch(fd, "f", IN_OPEN | IN_MASK_ADD), wd, "IN_MASK_ADD");
    close(open("f", O_RDONLY));
    chmod("f", 0644);
    CHECK(look(fd) == 2 && is(0, wd, IN_OPEN, "") && is(1, wd, IN_ATTRIB, ""), "adds to it");
    CHECK_FAIL(inotify_add_watch(fd, "f", IN_OPEN | IN_MASK_CREATE), EEXIST, "IN_MASK_CREATE");
    CHECK_FAIL(inotify_add_watch(fd, "f", IN_OPEN | IN_MASK_CREATE | IN_MASK_ADD), EINVAL,
               "not both");
    CHECK_FAIL(inotify_add_watch(fd, "f", IN_OPEN | IN_ONLYDIR), ENOTDIR, "IN_ONLYDIR");
    CHECK(inotify_add_watch(fd, "d", IN_OPEN | IN_ONLYDIR | IN_MASK_CREATE) > wd, "of a directory");
    int wl = inotify_add_watch(fd, "l", IN_ATTRIB | IN_DELETE_SELF | IN_DONT_FOLLOW);
    CHECK(wl > wd, "IN_DONT_FOLLOW: the link itself");
    CHECK_EQ(inotify_add_watch(fd, "l", IN_OPEN), wd, "without it the file");
    close(fd);
    fd = start("f", IN_OPEN | IN_ONESHOT, &wd);
    close(open("f", O_RDONLY));
    close(open("f", O_RDONLY));
    CHECK(look(fd) == 2 && is(0, wd, IN_OPEN, "") && is(1, wd, IN_IGNORED, ""), "IN_ONESHOT");
    int second = inotify_add_watch(fd, "f", IN_OPEN);
    CHECK(second > wd, "a new watch has a new number");
    CHECK_EQ(inotify_rm_watch(fd, second), 0, "inotify_rm_watch");
    close(open("f", O_RDONLY));
    CHECK(look(fd) == 1 && is(0, second, IN_IGNORED, ""), "only says so");
}

static void reading(void)
{
    char buffer[256];
    struct gate gate = gate_make();
    int wd, n;
    write_file("f", "", 0644);
    mkdir("d", 0755);
    int fd = start("f", IN_OPEN | IN_CLOSE, &wd);
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
    CHECK_EQ(poll(&p, 1, 0), 0, "no event, nothing to poll");
    CHECK_FAIL(read(fd, buffer, sizeof(buffer)), EAGAIN, "nor to read");
    for (int i = 0; i < 5; i++)
        open("f", O_RDONLY);
    CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN, "an event");
    CHECK(ioctl(fd, FIONREAD, &n) == 0 && n == 16, "equal events are one");
    CHECK_FAIL(read(fd, buffer, 15), EINVAL, "a buffer that is too small");
    CHECK_EQ(read(fd, buffer, 16), 16, "one that is not");
    CHECK_FAIL(write(fd, buffer, 16), EBADF, "it cannot be written");
    inotify_add_watch(fd, "d", IN_CREATE);
    close(open("d/a_name_of_more_than_16", O_CREAT | O_RDWR, 0600));
    close(open("d/b", O_CREAT | O_RDWR, 0600));
    CHECK(ioctl(fd, FIONREAD, &n) == 0 && n == 48 + 32, "two with names");
    CHECK_EQ(read(fd, buffer, 60), 48, "whole events only");
    CHECK_EQ(read(fd, buffer, sizeof(buffer)), 32, "then the rest");
    REQUIRE(fcntl(fd, F_SETFL, 0) == 0);
    pid_t child = CHILD({
        gate_open(gate);
        _exit(read(fd, buffer, sizeof(buffer)) == 32 ? 0 : 1);
    });
    gate_pass(gate);
    await_state(child, "S");
    close(open("d/c", O_CREAT | O_RDWR, 0600));
    CHECK_EQ(end_of(child), 0, "a read waits");
}

static void overflow(void)
{
    char text[32];
    int wd, fd, lost = 0, total = 0, limit;
    REQUIRE(read_file("/proc/sys/fs/inotify/max_queued_events", text, sizeof(text)) > 0);
    limit = atoi(text);
    CHECK(limit >= 1000, "max_queued_events");
    write_file("f", "", 0644);
    fd = start("f", IN_OPEN | IN_CLOSE, &wd);
    for (int i = 0; i < limit / 2 + 10; i++)
        close(open("f", O_RDONLY));
    static char buffer[65536];
    for (ssize_t n; (n = read(fd, buffer, sizeof(buffer))) > 0;)
        for (char *p = buffer; p < buffer + n; p += 16, total++) {
            struct inotify_event *e = (struct inotify_event *)p;
            lost += e->mask == IN_Q_OVERFLOW && e->wd == -1;
        }
    CHECK_EQ(lost, 1, "IN_Q_OVERFLOW, once");
    CHECK(total >= limit && total <= limit + 1, "after as many events as may wait");
    close(open("f", O_RDONLY));
    CHECK_EQ(look(fd), 2, "then it goes on");
}

static void unmounting(void)
{
    int wd, fd;
    NEED_ROOT();
    mkdir("m", 0755);
    if (mount("none", "m", "tmpfs", 0, NULL) < 0) {
        SKIP("IN_UNMOUNT", "nothing may be mounted");
        return;
    }
    write_file("m/f", "", 0644);
    fd = start("m/f", IN_DELETE_SELF, &wd);
    REQUIRE(umount("m") == 0);
    for (int i = 0; i < 100 && look(fd) == 0; i++)
        usleep(10000);
    CHECK(events == 2 && is(0, wd, IN_UNMOUNT, "") && is(1, wd, IN_IGNORED, ""), "IN_UNMOUNT");
}

/* Processes make and remove files in a directory while others watch it for a while. */
static void racing(void)
{
    pid_t makers[3], watchers[2];
    int good = 0;
    mkdir("d", 0755);
    for (int m = 0; m < 3; m++)
        makers[m] = CHILD({
            char name[32];
            for (int i = 0; i < 300; i++) {
                snprintf(name, sizeof(name), "d/%d-%d", m, i % 7);
                close(open(name, O_CREAT | O_RDWR, 0600));
                rename(name, "d/same");
                unlink("d/same");
            }
        });
    for (int w = 0; w < 2; w++)
        watchers[w] = CHILD({
            for (int i = 0; i < 100; i++) {
                int wd;
                int fd = start("d", IN_ALL_EVENTS | (i % 3 ? 0 : IN_ONESHOT), &wd);
                look(fd);
                int other = inotify_add_watch(fd, "d/same", IN_ALL_EVENTS);
                look(fd);
                if (other > 0 && i % 2)
                    inotify_rm_watch(fd, other);
                close(fd);
            }
        });
    for (int m = 0; m < 3; m++)
        good += end_of(makers[m]) == 0;
    for (int w = 0; w < 2; w++)
        good += end_of(watchers[w]) == 0;
    CHECK_EQ(good, 5, "files and watches that come and go");
}

static void errors(void)
{
    int wd, pipes[2], fd = start(".", IN_OPEN, &wd);
    REQUIRE(pipe(pipes) == 0);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC, "IN_CLOEXEC");
    CHECK_EQ(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDONLY | O_NONBLOCK, "IN_NONBLOCK");
    CHECK_FAIL(inotify_init1(1), EINVAL, "an unknown flag");
    CHECK_FAIL(inotify_add_watch(fd, ".", 0), EINVAL, "no mask");
    CHECK_FAIL(inotify_add_watch(fd, "no", IN_OPEN), ENOENT, "no file");
    CHECK_FAIL(inotify_add_watch(fd, "", IN_OPEN), ENOENT, "no name");
    CHECK_FAIL(inotify_add_watch(fd, unmapped_page(), IN_OPEN), EFAULT, "a bad address");
    CHECK_FAIL(inotify_add_watch(999, ".", IN_OPEN), EBADF, "no descriptor");
    CHECK_FAIL(inotify_add_watch(pipes[0], ".", IN_OPEN), EINVAL, "of another kind");
    CHECK_FAIL(inotify_rm_watch(fd, 4711), EINVAL, "no watch");
    CHECK_FAIL(inotify_rm_watch(999, wd), EBADF, "no descriptor");
    CHECK_FAIL(inotify_rm_watch(pipes[0], wd), EINVAL, "of another kind");
    write_file("secret", "", 0600);
    if (geteuid() == 0)
        CHECK_EQ(IN_CHILD(become_user(1000);
                          _exit(inotify_add_watch(fd, "secret", IN_OPEN) < 0 ? errno : 0)),
                 EACCES, "a file that may not be read");
    int n = 0, error = 0;
    while (n < 2000 && !error) {
        error = inotify_init1(0) < 0 ? errno : 0;
        n++;
    }
    CHECK_EQ(error, EMFILE, "there is an end to instances");
}

CHECK_MAIN(CASE(a_file), CASE(a_directory), CASE(renames), CASE(masks), CASE(reading),
           CASE(overflow), CASE(unmounting), CASE(racing), CASE(errors))
