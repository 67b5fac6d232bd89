/* SPDX-License-Identifier: MIT */
/* Capabilities, securebits, unshare and setns, and the prctl options of privilege. */
#include "check.h"

#include <linux/capability.h>
#include <linux/securebits.h>

static struct __user_cap_header_struct header;
static struct __user_cap_data_struct data[2];

static uint64_t effective(void)
{
    header = (struct __user_cap_header_struct){_LINUX_CAPABILITY_VERSION_3, 0};
    REQUIRE(syscall(SYS_capget, &header, data) == 0);
    return data[0].effective | (uint64_t)data[1].effective << 32;
}

static int set(uint64_t e, uint64_t p, uint64_t i)
{
    header = (struct __user_cap_header_struct){_LINUX_CAPABILITY_VERSION_3, 0};
    for (int w = 0; w < 2; w++)
        data[w] = (struct __user_cap_data_struct){e >> 32 * w, p >> 32 * w, i >> 32 * w};
    return syscall(SYS_capset, &header, data);
}

#define BIT(n) (1ULL << (n))

static void arguments(void)
{
    header = (struct __user_cap_header_struct){0x1234, 0};
    CHECK_FAIL(syscall(SYS_capget, &header, data), EINVAL, "capget of an unknown version");
    CHECK_EQ(header.version, _LINUX_CAPABILITY_VERSION_3, "tells the newest");
    header.version = 0x1234;
    CHECK_EQ(syscall(SYS_capget, &header, NULL), 0, "which is no error without data");
    header = (struct __user_cap_header_struct){_LINUX_CAPABILITY_VERSION_3, -1};
    CHECK_FAIL(syscall(SYS_capget, &header, data), EINVAL, "a negative process");
    header.pid = 1 << 28;
    CHECK_FAIL(syscall(SYS_capget, &header, data), ESRCH, "no such process");
    header.pid = getppid();
    CHECK_FAIL(syscall(SYS_capset, &header, data), EPERM, "capset of another process");
    CHECK_FAIL(syscall(SYS_capget, unmapped_page(), data), EFAULT, "a bad header");
    CHECK_FAIL(prctl(PR_CAPBSET_READ, 64), EINVAL, "PR_CAPBSET_READ of no capability");
    CHECK_FAIL(prctl(PR_CAPBSET_DROP, 64), EINVAL, "PR_CAPBSET_DROP");
    CHECK_FAIL(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 64, 0, 0), EINVAL, "ambient");
    CHECK_FAIL(prctl(PR_CAP_AMBIENT, 9, 0, 0, 0), EINVAL, "an unknown ambient operation");
    CHECK_FAIL(prctl(PR_SET_KEEPCAPS, 2), EINVAL, "PR_SET_KEEPCAPS of 2");
    CHECK_FAIL(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL, "no_new_privs cannot be unset");
    CHECK_FAIL(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0), EINVAL, "nor have more arguments");
    CHECK_FAIL(prctl(99999), EINVAL, "an unknown option");
}

static void sets(void)
{
    NEED_ROOT();
    uint64_t all = effective(), chown_only = BIT(CAP_CHOWN);
    CHECK(all & chown_only, "root has capabilities");
    CHECK_EQ(IN_CHILD(set(chown_only, chown_only, 0); _exit(effective() == chown_only ? 0 : 1)), 0,
             "capset drops them");
    CHECK_EQ(IN_CHILD(set(0, chown_only, 0); _exit(set(chown_only, chown_only, 0) == 0 ? 0 : 1)), 0,
             "what is permitted can be effective again");
    CHECK_EQ(IN_CHILD(set(0, 0, 0); _exit(set(0, chown_only, 0) < 0 ? errno : 0)), EPERM,
             "what is not permitted is lost");
    CHECK_EQ(IN_CHILD(_exit(set(chown_only, 0, 0) < 0 ? errno : 0)), EPERM,
             "effective without permitted");
    CHECK_EQ(IN_CHILD(set(0, all, 0); int fd = creat("f", 0600);
                      _exit(fchown(fd, 5, 5) < 0 ? errno : 0)),
             EPERM, "without CAP_CHOWN root may not");
    CHECK_EQ(IN_CHILD(set(all & ~BIT(CAP_SETPCAP), all, 0);
                      _exit(prctl(PR_CAPBSET_DROP, CAP_CHOWN) < 0 ? errno : 0)),
             EPERM, "PR_CAPBSET_DROP needs CAP_SETPCAP");
    CHECK_EQ(IN_CHILD(prctl(PR_CAPBSET_DROP, CAP_CHOWN); _exit(prctl(PR_CAPBSET_READ, CAP_CHOWN))),
             0, "the bounding set loses one");
    CHECK_EQ(IN_CHILD(prctl(PR_CAPBSET_DROP, CAP_CHOWN); set(all, all, 0);
                      _exit(effective() & chown_only ? 0 : 1)),
             0, "which does not touch the others");
    CHECK_EQ(IN_CHILD(_exit(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0) < 0 ? errno
                                                                                             : 0)),
             EPERM, "ambient needs inheritable");
    CHECK_EQ(IN_CHILD(set(all, all, chown_only);
                      prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0);
                      _exit(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0))),
             1, "then it can be raised");
    CHECK_EQ(IN_CHILD(set(all, all, chown_only);
                      prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0);
                      set(all, all, 0);
                      _exit(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0))),
             0, "and goes with the inheritable one");
}

static void users(void)
{
    NEED_ROOT();
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(effective() != 0)), 0, "leaving root loses all");
    CHECK_EQ(IN_CHILD(prctl(PR_SET_KEEPCAPS, 1); become_user(1000); uint64_t e = effective();
                      _exit(e == 0 && data[0].permitted ? 0 : 1)),
             0, "PR_SET_KEEPCAPS keeps them permitted, not effective");
    CHECK_EQ(IN_CHILD(seteuid(1000); uint64_t e = effective(); int kept = data[0].permitted != 0;
                      seteuid(0); _exit(e == 0 && kept && effective() ? 0 : 1)),
             0, "seteuid only takes them away for a time");
    CHECK_EQ(
        IN_CHILD(setresuid(1000, 1000, 0); _exit(effective() == 0 && data[0].permitted ? 0 : 1)), 0,
        "a saved id of root keeps them permitted");
    CHECK_EQ(IN_CHILD(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP); become_user(1000);
                      _exit(effective() ? 0 : 1)),
             0, "SECBIT_NO_SETUID_FIXUP: ids do not matter");
}

static void securebits(void)
{
    NEED_ROOT();
    CHECK_EQ(prctl(PR_GET_SECUREBITS), 0, "no securebits to begin with");
    CHECK_EQ(IN_CHILD(prctl(PR_SET_KEEPCAPS, 1); _exit(prctl(PR_GET_SECUREBITS))), SECBIT_KEEP_CAPS,
             "PR_SET_KEEPCAPS is one of them");
    CHECK_EQ(IN_CHILD(_exit(prctl(PR_SET_SECUREBITS, 1 << 20) < 0 ? errno : 0)), EPERM,
             "an unknown one");
    CHECK_EQ(IN_CHILD(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED);
                      _exit(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT_LOCKED) < 0 ? errno : 0)),
             EPERM, "a locked one stays");
    CHECK_EQ(IN_CHILD(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT_LOCKED);
                      _exit(prctl(PR_SET_SECUREBITS, 0) < 0 ? errno : 0)),
             EPERM, "so does a lock");
    CHECK_EQ(IN_CHILD(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED);
                      _exit(prctl(PR_SET_KEEPCAPS, 1) < 0 ? errno : 0)),
             EPERM, "PR_SET_KEEPCAPS, if locked");
    CHECK_EQ(IN_CHILD(become_user(1000); _exit(prctl(PR_SET_SECUREBITS, 0) < 0 ? errno : 0)), EPERM,
             "not for everybody");
    CHECK_EQ(IN_CHILD(prctl(PR_SET_SECUREBITS, SECBIT_NO_CAP_AMBIENT_RAISE); effective();
                      set(effective(), effective(), BIT(CAP_CHOWN));
                      _exit(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0) < 0 ? errno
                                                                                             : 0)),
             EPERM, "SECBIT_NO_CAP_AMBIENT_RAISE");
}

/* What a program that was executed has: run as `--effective`, `--keep`. */
static void over_exec(void)
{
    NEED_ROOT();
    if (!can_exec_self())
        return;
#define RUN(...)                                                                                   \
    IN_CHILD({                                                                                     \
        uint64_t all = effective();                                                                \
        __VA_ARGS__;                                                                               \
        (void)all;                                                                                 \
        execl(check_state->self, "self", "--effective", NULL);                                     \
    })
    CHECK_EQ(RUN(), 1, "exec as root: all");
    CHECK_EQ(RUN(set(0, 0, 0)), 1, "even if it had none");
    CHECK_EQ(RUN(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT)), 0, "SECBIT_NOROOT: none");
    CHECK_EQ(RUN(prctl(PR_SET_KEEPCAPS, 1); become_user(1000)), 0, "exec as another user: none");
    CHECK_EQ(RUN(prctl(PR_SET_KEEPCAPS, 1); become_user(1000); set(all, all, BIT(CAP_CHOWN));
                 prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0)),
             2, "but what is ambient");
    CHECK_EQ(RUN(prctl(PR_SET_KEEPCAPS, 1)), 1, "PR_SET_KEEPCAPS is reset");
}

static int probe(void)
{
    uint64_t e = effective();
    if (prctl(PR_GET_KEEPCAPS))
        return 50;
    return e == 0 ? 0 : e == BIT(CAP_CHOWN) ? 2 : 1;
}

static void sharing(void)
{
    CHECK_EQ(syscall(SYS_unshare, 0), 0, "unshare of nothing");
    CHECK_EQ(syscall(SYS_unshare, CLONE_FS | CLONE_FILES | CLONE_SYSVSEM), 0,
             "of what is not shared");
    if (!qemu_user_lacks("a program that is alone"))
        CHECK_EQ(syscall(SYS_unshare, CLONE_THREAD | CLONE_SIGHAND | CLONE_VM), 0, "alone already");
    CHECK_FAIL(syscall(SYS_unshare, CLONE_VFORK), EINVAL, "of what cannot be");
    CHECK_FAIL(syscall(SYS_setns, -1, 0), EBADF, "setns: no descriptor");
    int fd = open("/dev/null", O_RDONLY);
    CHECK_FAIL(syscall(SYS_setns, fd, 0), EINVAL, "setns: no namespace");
    if (geteuid() == 0)
        CHECK_EQ(
            IN_CHILD(become_user(1000); _exit(syscall(SYS_unshare, CLONE_NEWUTS) < 0 ? errno : 0)),
            EPERM, "a namespace: not for everybody");
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {CASE(arguments),  CASE(sets),      CASE(users),
                                              CASE(securebits), CASE(over_exec), CASE(sharing),
                                              {NULL, NULL}};
    if (argc > 1 && !strcmp(argv[1], "--effective"))
        return probe();
    return check_run(cases);
}
