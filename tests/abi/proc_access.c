/* SPDX-License-Identifier: MIT */
/* /proc/PID: the links to what a process uses, and who may look at what. */
#include "procfile.h"

#include <grp.h>
#include <sys/file.h>

static const char *of(pid_t pid, const char *name)
{
    static char path[4][96];
    static unsigned next;
    char *at = path[next++ % 4];
    snprintf(at, 96, "/proc/%d/%s", pid, name);
    return at;
}

static char *link_text(const char *path)
{
    static char text[PATH_MAX];
    ssize_t n = readlink(path, text, PATH_MAX - 1);
    text[n > 0 ? n : 0] = 0;
    return text;
}

static int entries(const char *path)
{
    int n = 0;
    DIR *dir = opendir(path);
    if (!dir)
        return -1;
    for (struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

/* ---- descriptors ---- */

static void descriptors(void)
{
    struct stat a, b;
    char path[PATH_MAX], want[PATH_MAX + 16], here[PATH_MAX];
    REQUIRE(getcwd(here, sizeof(here)));
    int fd = open("file", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0 && write(fd, "0123456789", 10) == 10);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    snprintf(want, sizeof(want), "%s/file", here);
    CHECK_STR(link_text(path), want, "fd: a link to the file");
    CHECK(stat(path, &a) == 0 && fstat(fd, &b) == 0 && a.st_ino == b.st_ino, "leads to it");
    if (!check_state->qemu_user) {
        CHECK(lstat(path, &a) == 0 && (a.st_mode & 0777) == 0700, "read and write");
        int writer = open("file", O_WRONLY), reader = open("file", O_RDONLY);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", writer);
        CHECK(lstat(path, &a) == 0 && (a.st_mode & 0777) == 0300, "write alone");
        snprintf(path, sizeof(path), "/proc/self/fd/%d", reader);
        CHECK(lstat(path, &a) == 0 && (a.st_mode & 0777) == 0500, "read alone");
        REQUIRE(dup2(writer, reader) == reader);
        CHECK(lstat(path, &a) == 0 && (a.st_mode & 0777) == 0300, "what the number means changes");
        close(writer);
        close(reader);
        CHECK_FAIL(lstat(path, &a), ENOENT, "closed: gone");
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int again = open(path, O_RDONLY);
    char buffer[16] = "";
    CHECK(again >= 0 && read(again, buffer, 4) == 4 && !memcmp(buffer, "0123", 4),
          "opening it opens the file anew, from its start");
    close(again);
    unlink("file");
    snprintf(want, sizeof(want), "%s/file (deleted)", here);
    CHECK_STR(link_text(path), want, "a removed file is called so");
    again = open(path, O_RDONLY);
    CHECK(again >= 0, "but can still be opened");
    close(again);
    int pipes[2];
    REQUIRE(pipe(pipes) == 0 && fstat(pipes[0], &a) == 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", pipes[0]);
    snprintf(want, sizeof(want), "pipe:[%lu]", (unsigned long)a.st_ino);
    CHECK_STR(link_text(path), want, "a pipe has its number");
    int open_now = 0;
    for (int i = 0; i < 256; i++)
        open_now += fcntl(i, F_GETFD) >= 0;
    CHECK_EQ(entries("/proc/self/fd"), open_now + 1, "all are listed, and that of the listing");
    CHECK_EQ(entries("/proc/self/fdinfo"), open_now + 1, "in fdinfo too");
    if (qemu_user_lacks("fdinfo"))
        return;
    lseek(fd, 7, SEEK_SET);
    char *text = proc_read("/proc/self/fdinfo/%d", fd);
    CHECK_EQ(number_of(text, "pos:\t"), 7, "fdinfo: the position");
    char *flags = line_of(text, "flags:\t");
    CHECK(flags && (strtol(flags, NULL, 8) & (O_ACCMODE | O_APPEND | O_CLOEXEC)) ==
                       (O_RDWR | O_APPEND | O_CLOEXEC),
          "the flags");
    CHECK_EQ(number_of(text, "ino:\t"), (long)b.st_ino, "the inode");
    CHECK(number_of(text, "mnt_id:\t") > 0, "the mount");
    struct flock lock = {.l_type = F_WRLCK, .l_start = 3, .l_len = 5};
    REQUIRE(fcntl(fd, F_SETLK, &lock) == 0);
    snprintf(want, sizeof(want), "POSIX  ADVISORY  WRITE %d ", getpid());
    text = proc_read("/proc/self/fdinfo/%d", fd);
    CHECK(strstr(text, "lock:\t1: ") && strstr(text, want) && strstr(text, " 3 7\n"),
          "its record locks");
}

static void locks(void)
{
    if (qemu_user_lacks("/proc/locks"))
        return;
    int fd = open("locked", O_RDWR | O_CREAT, 0600);
    struct stat st;
    char want[128], number[32];
    struct flock lock = {.l_type = F_RDLCK, .l_start = 100};
    REQUIRE(fstat(fd, &st) == 0 && fcntl(fd, F_SETLK, &lock) == 0);
    snprintf(want, sizeof(want), "POSIX  ADVISORY  READ %d ", getpid());
    snprintf(number, sizeof(number), ":%lu 100 EOF\n", (unsigned long)st.st_ino);
    char *text = proc_read("/proc/locks"), *line = strstr(text, want);
    CHECK(line && strstr(line, number), "a record lock, in all the file from 100 on");
    struct gate held = gate_make(), leave = gate_make();
    pid_t child = CHILD(int own = open("locked", O_RDONLY); flock(own, LOCK_EX); gate_open(held);
                        gate_pass(leave));
    gate_pass(held);
    snprintf(want, sizeof(want), "FLOCK  ADVISORY  WRITE %d ", child);
    line = strstr(proc_read("/proc/locks"), want);
    snprintf(number, sizeof(number), ":%lu 0 EOF\n", (unsigned long)st.st_ino);
    CHECK(line && strstr(line, number), "another's flock");
    gate_open(leave);
    end_of(child);
    CHECK(!strstr(proc_read("/proc/locks"), want), "goes with it");
    close(fd);
    CHECK(!strstr(proc_read("/proc/locks"), number), "and ours with the descriptor");
}

/* ---- what it uses ---- */

static void places(void)
{
    struct gate gate = gate_make();
    char here[PATH_MAX];
    mkdir("inner", 0755);
    REQUIRE(getcwd(here, sizeof(here)));
    strcat(here, "/inner");
    pid_t child = CHILD(chdir("inner"); gate_open(gate); for (;;) pause());
    gate_pass(gate);
    CHECK_STR(link_text(of(child, "cwd")), here, "cwd of another process");
    CHECK_STR(link_text(of(child, "root")), "/", "its root");
    if (!check_state->qemu_user)
        CHECK_STR(link_text(of(child, "exe")), check_state->self, "its program");
    struct stat a, b;
    CHECK(stat(of(child, "cwd"), &a) == 0 && stat("inner", &b) == 0 && a.st_ino == b.st_ino,
          "the links lead there");
    kill(child, SIGKILL);
    end_of(child);
    NEED_ROOT();
    child = CHILD(chroot("inner"); gate_open(gate); for (;;) pause());
    gate_pass(gate);
    CHECK_STR(link_text(of(child, "root")), here, "root after chroot");
    CHECK(stat(of(child, "root/."), &a) == 0 && a.st_ino == b.st_ino, "leads there");
    kill(child, SIGKILL);
    CHECK_EQ(await_state(child, "Z"), 'Z', "a zombie");
    CHECK_FAIL(readlink(of(child, "exe"), here, 10), ENOENT, "has no program");
    CHECK_FAIL(readlink(of(child, "cwd"), here, 10), ENOENT, "and is nowhere");
    CHECK_EQ(entries(of(child, "fd")), 0, "nothing is open");
    if (!check_state->qemu_user) /* which has threads of its own */
        CHECK_EQ(entries(of(child, "task")), 1, "but its thread is listed");
    end_of(child);
    CHECK_FAIL(open(of(child, "stat"), O_RDONLY), ENOENT, "waited for: nothing is left");
}

static void stale(void)
{
    struct gate gate = gate_make();
    pid_t child = CHILD(gate_pass(gate));
    int fd = open(of(child, "stat"), O_RDONLY), dir = open(of(child, ""), O_RDONLY | O_DIRECTORY);
    char byte;
    REQUIRE(fd >= 0 && dir >= 0);
    gate_open(gate);
    end_of(child);
    CHECK_FAIL(read(fd, &byte, 1), ESRCH, "an open file of a process that is gone: ESRCH");
    CHECK(openat(dir, "statm", O_RDONLY) < 0 && (errno == ENOENT || errno == ESRCH),
          "in its open directory nothing is found");
}

static void mapped_files(void)
{
    NEED_ROOT();
    if (qemu_user_lacks("map_files"))
        return;
    int fd = open("mapped", O_RDWR | O_CREAT, 0600);
    REQUIRE(ftruncate(fd, 3 * 4096) == 0 && pwrite(fd, "hello", 5, 4096) == 5);
    char *p = mmap(NULL, 2 * 4096, PROT_READ, MAP_PRIVATE, fd, 4096), path[96], want[PATH_MAX];
    REQUIRE(p != MAP_FAILED && getcwd(want, sizeof(want)));
    strcat(want, "/mapped");
    snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (long)p, (long)p + 8192);
    CHECK_STR(link_text(path), want, "map_files: a link to what is mapped");
    struct stat st;
    CHECK(lstat(path, &st) == 0 && S_ISLNK(st.st_mode), "which is one");
    if (has_capability(21)) {
        int again = open(path, O_RDONLY);
        char text[8] = "";
        CHECK(again >= 0 && pread(again, text, 5, 4096) == 5 && !strcmp(text, "hello"),
              "through which the file can be opened");
        close(again);
    }
    int found = 0;
    DIR *dir = opendir("/proc/self/map_files");
    for (struct dirent *e; dir && (e = readdir(dir));)
        found += !strcmp(e->d_name, path + strlen("/proc/self/map_files/"));
    closedir(dir);
    CHECK_EQ(found, 1, "it is listed");
    strcat(path, "\n");
    CHECK_FAIL(lstat(path, &st), ENOENT, "a line is no name of one");
    path[strlen(path) - 1] = 0;
    munmap(p, 8192);
    CHECK_FAIL(lstat(path, &st), ENOENT, "unmapped: gone");
    CHECK_FAIL(lstat("/proc/self/map_files/0-1000", &st), ENOENT, "so is what never was");
    CHECK_FAIL(lstat("/proc/self/map_files/x", &st), ENOENT, "and what is no range");
    REQUIRE(dup2(fd, 9) == 9);
    CHECK_EQ(lstat("/proc/self/fd/9", &st), 0, "a descriptor");
    CHECK_FAIL(lstat("/proc/self/fd/9\n", &st), ENOENT, "is not its line");
    CHECK_FAIL(lstat("/proc/self/fd/09", &st), ENOENT, "nor has it leading zeros");
    CHECK_FAIL(lstat("/proc/self/fd/9 ", &st), ENOENT, "or blanks");
    CHECK_FAIL(lstat("/proc/1\n", &st), ENOENT, "neither is a process its line");
}

static void namespaces(void)
{
    struct stat a, b;
    if (qemu_user_lacks("ns"))
        return;
    CHECK(stat("/proc/self/ns/pid", &a) == 0 && stat("/proc/self/ns/uts", &b) == 0 &&
              a.st_ino != b.st_ino && a.st_dev == b.st_dev,
          "namespaces are objects of one file system");
    char want[64];
    snprintf(want, sizeof(want), "uts:[%lu]", (unsigned long)b.st_ino);
    CHECK_STR(link_text("/proc/self/ns/uts"), want, "with a number");
    pid_t child = CHILD(for (;;) pause());
    CHECK(stat(of(child, "ns/uts"), &a) == 0 && a.st_ino == b.st_ino, "a child is in the same");
    kill(child, SIGKILL);
    end_of(child);
}

/* ---- who may look ---- */

static const char *const closed[] = {"environ", "maps",    "smaps",       "smaps_rollup", "auxv",
                                     "io",      "syscall", "personality", "stack",        "mem"};
static const char *const open_to_all[] = {"stat",          "statm",  "status", "cmdline",
                                          "comm",          "limits", "wchan",  "oom_score",
                                          "oom_score_adj", "mounts"};

static int readable_by(uid_t uid, pid_t pid, const char *name)
{
    return IN_CHILD(become_user(uid); _exit(read_error(of(pid, name))));
}

static void others(void)
{
    NEED_ROOT();
    if (qemu_user_lacks("access"))
        return;
    struct gate gate = gate_make();
    char text[96];
    pid_t child =
        CHILD(become_user(1001); prctl(PR_SET_DUMPABLE, 1); gate_open(gate); for (;;) pause());
    gate_pass(gate);
    for (unsigned i = 0; i < ARRAY_SIZE(closed); i++) {
        int error = readable_by(1002, child, closed[i]);
        snprintf(text, sizeof(text), "%s is closed to another user", closed[i]);
        CHECK(error == EACCES || error == EPERM || error == ENOENT, text);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(open_to_all); i++) {
        snprintf(text, sizeof(text), "%s is open to all", open_to_all[i]);
        CHECK_EQ(readable_by(1002, child, open_to_all[i]), 0, text);
    }
    for (unsigned i = 0; i < 4; i++) {
        snprintf(text, sizeof(text), "%s can be read by the same user", closed[i]);
        CHECK_EQ(readable_by(1001, child, closed[i]), 0, text);
    }
    CHECK_EQ(IN_CHILD(become_user(1002); char b[9];
                      _exit(readlink(of(child, "exe"), b, 9) < 0 && errno == EACCES)),
             1, "exe tells another user nothing");
    CHECK_EQ(IN_CHILD(become_user(1002); char b[9];
                      _exit(readlink(of(child, "cwd"), b, 9) < 0 && errno == EACCES)),
             1, "nor cwd");
    CHECK_EQ(IN_CHILD(become_user(1002);
                      _exit(open(of(child, "fd"), O_RDONLY | O_DIRECTORY) < 0 && errno == EACCES)),
             1, "nor fd");
    CHECK_EQ(IN_CHILD(become_user(1001); _exit(entries(of(child, "fd")) > 2)), 1,
             "the same user sees what is open");
    CHECK_EQ(IN_CHILD(become_user(1002); _exit(strcmp(proc_read("/proc/%d/wchan", child), "0"))), 0,
             "where it waits is not told");
    CHECK_EQ(IN_CHILD(become_user(1002); _exit(stat_word(pid_text(child), 28) != 0)), 0,
             "nor where its stack is");
    struct stat st;
    CHECK(stat(of(child, ""), &st) == 0 && st.st_uid == 1001 && st.st_gid == 1001,
          "the directory is the user's");
    CHECK(stat(of(child, "environ"), &st) == 0 && st.st_uid == 1001, "and what is in it");
    CHECK_EQ(
        IN_CHILD(become_user(1002); _exit(write_error(of(child, "oom_score_adj"), "9") == EACCES)),
        1, "nobody else changes its score");
    CHECK_FAIL(chmod(of(child, "stat"), 0777), EPERM, "modes cannot be changed");
    kill(child, SIGKILL);
    end_of(child);
}

static void secrets(void)
{
    NEED_ROOT();
    if (qemu_user_lacks("dumpable"))
        return;
    struct gate gate = gate_make();
    struct stat st;
    pid_t child =
        CHILD(become_user(1001); prctl(PR_SET_DUMPABLE, 0); gate_open(gate); for (;;) pause());
    gate_pass(gate);
    CHECK(stat(of(child, "environ"), &st) == 0 && st.st_uid == 0 && st.st_gid == 0,
          "files of a process that keeps secrets are root's");
    CHECK(stat(of(child, ""), &st) == 0 && st.st_uid == 1001, "its directory is not");
    CHECK_EQ(readable_by(1001, child, "maps"), EACCES, "its own user may not look");
    CHECK_EQ(readable_by(1001, child, "environ"), EACCES, "anywhere");
    CHECK_EQ(readable_by(1001, child, "status"), 0, "but at what all may see");
    CHECK_EQ(read_error(of(child, "maps")), 0, "root may");
    kill(child, SIGKILL);
    end_of(child);
}

CHECK_MAIN(CASE(descriptors), CASE(locks), CASE(places), CASE(stale), CASE(mapped_files),
           CASE(namespaces), CASE(others), CASE(secrets))
