/* SPDX-License-Identifier: MIT */
/* User and group ids: who may change which, over fork and exec, set-user-ID programs. */
#include "check.h"

#include <grp.h>
#include <sys/auxv.h>
#include <sys/fsuid.h>

static int ids_are(uid_t real, uid_t effective, uid_t saved)
{
    uid_t r, e, s;
    return getresuid(&r, &e, &s) == 0 && r == real && e == effective && s == saved &&
           getuid() == real && geteuid() == effective;
}

static int gids_are(gid_t real, gid_t effective, gid_t saved)
{
    gid_t r, e, s;
    return getresgid(&r, &e, &s) == 0 && r == real && e == effective && s == saved &&
           getgid() == real && getegid() == effective;
}

/* The raw calls: glibc's wrappers do the same for a process with one thread. */
#define FAILS(call, error) ((call) == -1 && errno == (error))

#define CHECK_CHILD(text, ...) CHECK_EQ(IN_CHILD(__VA_ARGS__), 0, text)

static void as_root(void)
{
    NEED_ROOT();
    CHECK_CHILD("root's setuid sets all three ids", setuid(1000);
                _exit(ids_are(1000, 1000, 1000) ? 0 : 1));
    CHECK_CHILD("and there is no way back", setuid(1000);
                _exit(FAILS(setuid(0), EPERM) && FAILS(seteuid(0), EPERM) ? 0 : 1));
    CHECK_CHILD("root's seteuid sets the effective id", seteuid(1000);
                _exit(ids_are(0, 1000, 0) ? 0 : 1));
    CHECK_CHILD("and can be taken back", seteuid(1000); seteuid(0);
                _exit(ids_are(0, 0, 0) ? 0 : 1));
    CHECK_CHILD("setreuid sets the saved id with the real one", setreuid(1000, 1001);
                _exit(ids_are(1000, 1001, 1001) ? 0 : 1));
    CHECK_CHILD("setreuid(-1, -1) changes nothing", setreuid(-1, -1);
                _exit(ids_are(0, 0, 0) ? 0 : 1));
    CHECK_CHILD("setresuid sets each", setresuid(1000, 1001, 1002);
                _exit(ids_are(1000, 1001, 1002) ? 0 : 1));
    CHECK_CHILD("-1 leaves an id alone", setresuid(-1, 1001, -1);
                _exit(ids_are(0, 1001, 0) ? 0 : 1));
    CHECK_CHILD("root's setgid sets all three", setgid(1000);
                _exit(gids_are(1000, 1000, 1000) ? 0 : 1));
    CHECK_CHILD("setresgid sets each", setresgid(1000, 1001, 1002);
                _exit(gids_are(1000, 1001, 1002) ? 0 : 1));
    CHECK_CHILD("setregid sets the saved id with the real one", setregid(1000, 1001);
                _exit(gids_are(1000, 1001, 1001) ? 0 : 1));
    CHECK_FAIL(syscall(SYS_setuid, -1), EINVAL, "there is no user -1");
    CHECK_FAIL(syscall(SYS_setgid, -1), EINVAL, "and no group -1");
    CHECK_FAIL(syscall(SYS_getresuid, 8, 8, 8), EFAULT, "getresuid with bad pointers");
}

static void as_user(void)
{
    NEED_ROOT();
    CHECK_CHILD("a user may swap real and effective id", setresuid(1000, 1001, 1001);
                _exit(setreuid(1001, 1000) == 0 && ids_are(1001, 1000, 1000) ? 0 : 1));
    CHECK_CHILD("setuid sets the effective id alone", setresuid(1000, 1001, 1002);
                _exit(setuid(1002) == 0 && ids_are(1000, 1002, 1002) ? 0 : 1));
    CHECK_CHILD("to the real or saved one", setresuid(1000, 1001, 1002); _exit(
                    setuid(1000) == 0 && setuid(1002) == 0 && FAILS(setuid(1001), EPERM) ? 0 : 1));
    CHECK_CHILD("setresuid takes any of the three", setresuid(1000, 1001, 1002);
                _exit(setresuid(1002, 1000, 1001) == 0 && ids_are(1002, 1000, 1001) ? 0 : 1));
    CHECK_CHILD("but no other", setresuid(1000, 1001, 1002);
                _exit(FAILS(setresuid(1003, -1, -1), EPERM) && FAILS(setresuid(-1, 0, -1), EPERM) &&
                              FAILS(setresuid(-1, -1, 0), EPERM)
                          ? 0
                          : 1));
    CHECK_CHILD("and then none is changed", setresuid(1000, 1001, 1002);
                setresuid(1002, 1003, 1000); _exit(ids_are(1000, 1001, 1002) ? 0 : 1));
    CHECK_CHILD("setreuid of the real id refuses the saved one", setresuid(1000, 1001, 1002);
                _exit(FAILS(setreuid(1002, -1), EPERM) ? 0 : 1));
    CHECK_CHILD("seteuid takes the saved one", setresuid(1000, 1001, 1002);
                _exit(seteuid(1002) == 0 && ids_are(1000, 1002, 1002) ? 0 : 1));
    CHECK_CHILD(
        "groups follow the same rules", setresgid(1000, 1001, 1002); setresuid(1000, 1000, 1000);
        _exit(setgid(1002) == 0 && gids_are(1000, 1002, 1002) && FAILS(setgid(1001), EPERM) ? 0
                                                                                            : 1));
    CHECK_CHILD(
        "setresgid takes any of the three", setresgid(1000, 1001, 1002);
        setresuid(1000, 1000, 1000);
        _exit(setresgid(1001, 1002, 1000) == 0 && FAILS(setresgid(7, -1, -1), EPERM) ? 0 : 1));
}

static void supplementary_groups(void)
{
    NEED_ROOT();
    gid_t list[] = {30, 10, 20}, got[8];
    if (check_state->qemu_user) {
        SKIP("supplementary groups", "not under qemu-user");
        return;
    }
    CHECK_EQ(setgroups(3, list), 0, "setgroups");
    CHECK_EQ(getgroups(0, NULL), 3, "getgroups with a size of 0 tells how many");
    CHECK_EQ(getgroups(8, got), 3, "getgroups");
    CHECK(got[0] + got[1] + got[2] == 60, "tells them");
    CHECK_FAIL(getgroups(2, got), EINVAL, "a list too small");
    CHECK_FAIL(syscall(SYS_getgroups, -1, got), EINVAL, "a negative size");
    CHECK_FAIL(setgroups(65537, list), EINVAL, "too many groups");
    CHECK_FAIL(syscall(SYS_setgroups, 3, 8), EFAULT, "a bad pointer");
    CHECK_CHILD("a child inherits them", _exit(getgroups(0, NULL) == 3 ? 0 : 1));
    CHECK_CHILD("a user may not set them", setresuid(1000, 1000, 1000);
                _exit(FAILS(setgroups(1, list), EPERM) ? 0 : 1));
    write_file("of-group-20", "x", 0040);
    REQUIRE(chown("of-group-20", 0, 20) == 0);
    CHECK_CHILD("a supplementary group opens a file", setresgid(1000, 1000, 1000);
                setresuid(1000, 1000, 1000); _exit(open("of-group-20", O_RDONLY) >= 0 ? 0 : 1));
    CHECK_CHILD("without it the file stays closed", become_user(1000);
                _exit(FAILS(open("of-group-20", O_RDONLY), EACCES) ? 0 : 1));
    CHECK_EQ(setgroups(0, NULL), 0, "an empty list");
    CHECK_EQ(getgroups(8, got), 0, "is empty");
}

static void file_system_ids(void)
{
    NEED_ROOT();
    write_file("private", "x", 0600);
    CHECK_CHILD("setfsuid tells the old id", _exit(setfsuid(1000) == 0 ? 0 : 1));
    CHECK_CHILD("the file system id decides over files", setfsuid(1000);
                _exit(FAILS(open("private", O_RDONLY), EACCES) ? 0 : 1));
    CHECK_CHILD("and owns what is made", setfsuid(1000); struct stat st;
                int fd = open("made", O_CREAT | O_WRONLY, 0600);
                _exit(fstat(fd, &st) == 0 && st.st_uid == 1000 ? 0 : 1));
    CHECK_CHILD("it follows the effective id", setfsuid(1000); seteuid(1001);
                _exit(setfsuid(-1) == 1001 ? 0 : 1));
    CHECK_CHILD("a user may set it to the own ids only", setresuid(1000, 1000, 1000); setfsuid(5);
                _exit(setfsuid(-1) == 1000 ? 0 : 1));
    CHECK_CHILD("setfsgid", _exit(setfsgid(1000) == 0 && setfsgid(-1) == 1000 ? 0 : 1));
}

static void copy_program(const char *path, uid_t user, gid_t group, mode_t mode)
{
    static char buffer[1 << 20];
    int from = open(check_state->self, O_RDONLY),
        to = open(path, O_CREAT | O_WRONLY | O_EXCL, 0600);
    ssize_t n = read(from, buffer, sizeof(buffer));
    REQUIRE(n > 0 && n < (ssize_t)sizeof(buffer) && write(to, buffer, n) == n);
    close(from);
    close(to);
    REQUIRE(chown(path, user, group) == 0 && chmod(path, mode) == 0);
}

static int run(const char *path, const char *verb)
{
    return IN_CHILD(become_user(1000); execl(path, path, verb, NULL); _exit(99));
}

static void set_id_programs(void)
{
    NEED_ROOT();
    if (!can_exec_self() || qemu_user_lacks("set-user-ID"))
        return;
    copy_program("suid", 1005, 1006, 04755);
    copy_program("sgid", 1005, 1006, 02755);
    copy_program("both", 1005, 1006, 06755);
    copy_program("suid-root", 0, 0, 04755);
    copy_program("sgid-no-x", 1005, 1006, 02745);
    CHECK_EQ(run("./suid", "--1000-1005-1005"), 0, "a set-user-ID program has its owner's id");
    CHECK_EQ(run("./suid", "--g-1000-1000-1000"), 0, "and the caller's group");
    CHECK_EQ(run("./sgid", "--g-1000-1006-1006"), 0, "a set-group-ID program has its group's id");
    CHECK_EQ(run("./both", "--1000-1005-1005"), 0, "both: the user");
    CHECK_EQ(run("./both", "--g-1000-1006-1006"), 0, "and the group");
    CHECK_EQ(run("./suid", "--secure"), 0, "AT_SECURE is 1 in such a program");
    CHECK_EQ(run("./suid-root", "--1000-0-0"), 0, "set-user-ID root");
    CHECK_EQ(run("./suid-root", "--become-root"), 0, "may become root altogether");
    CHECK_EQ(run("./suid", "--drop"), 0, "a set-user-ID program may go back and forth");
    CHECK_EQ(IN_CHILD(execl("./suid", "./suid", "--0-1005-1005", NULL); _exit(99)), 0,
             "run by root it has its owner's id too");
    symlink("suid", "link");
    CHECK_EQ(run("./link", "--1000-1005-1005"), 0, "through a symbolic link");
    write_file("script", "#!./plain --g-1000-1000-1000\n", 0755);
    copy_program("plain", 0, 0, 0755);
    REQUIRE(chown("script", 1005, 1006) == 0 && chmod("script", 06755) == 0);
    CHECK_EQ(run("./script", "x"), 0, "a script's set-id bits do nothing");
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    CHECK_EQ(run("./suid", "--1000-1000-1000"), 0, "nor do a program's after PR_SET_NO_NEW_PRIVS");
}

static int verb(const char *text)
{
    unsigned r, e, s;
    if (!strcmp(text, "--secure"))
        return getauxval(AT_SECURE) == 1 ? 0 : 1;
    if (!strcmp(text, "--become-root"))
        return setuid(0) == 0 && ids_are(0, 0, 0) ? 0 : 1;
    if (!strcmp(text, "--drop"))
        return seteuid(1000) == 0 && ids_are(1000, 1000, 1005) && seteuid(1005) == 0 &&
                       setuid(1000) == 0 && seteuid(1005) == 0
                   ? 0
                   : 1;
    if (sscanf(text, "--g-%u-%u-%u", &r, &e, &s) == 3)
        return gids_are(r, e, s) ? 0 : 1;
    if (sscanf(text, "--%u-%u-%u", &r, &e, &s) == 3)
        return ids_are(r, e, s) ? 0 : 1;
    return 0;
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        CASE(as_root),         CASE(as_user),         CASE(supplementary_groups),
        CASE(file_system_ids), CASE(set_id_programs), {NULL, NULL},
    };
    if (argc > 1)
        return verb(argv[1]);
    return check_run(cases);
}
