/* SPDX-License-Identifier: MIT */
/* swapon and swapoff without a device: who may, and what is refused; where swap is shown. */
#include "check.h"

#include <sys/swap.h>
#include <sys/sysinfo.h>

/* Is there a capability to swap on with? qemu-user's host may not give it. */
static int may_swap(void)
{
    errno = 0;
    return swapoff("/nonexistent") == -1 && errno != EPERM;
}

static void on(void)
{
    int fd = open("file", O_RDWR | O_CREAT, 0600);

    REQUIRE(fd >= 0 && ftruncate(fd, 1 << 20) == 0);
    CHECK_FAIL(swapon("file", 1 << 30), EINVAL, "swapon with an unknown flag");
    if (!may_swap()) {
        SKIP("swapon by one who may", "no CAP_SYS_ADMIN");
        return;
    }
    CHECK_FAIL(swapon("/nonexistent", 0), ENOENT, "swapon of nothing");
    CHECK_FAIL(swapon("file/below", 0), ENOTDIR, "below a file");
    CHECK_FAIL(swapon((char *)1, 0), EFAULT, "a name that cannot be read");
    CHECK_FAIL(swapon("", 0), ENOENT, "an empty name");
    CHECK_FAIL(swapon(".", 0), EISDIR, "a directory");
    CHECK_FAIL(swapon("/dev/null", 0), EINVAL, "a character device");
    CHECK_FAIL(swapon("file", 0), EINVAL, "a file without a signature");
    CHECK_FAIL(swapon("file", SWAP_FLAG_PREFER | 5), EINVAL, "the same with a priority");
    CHECK_FAIL(swapon("file", SWAP_FLAG_DISCARD), EINVAL, "the same with discard");
}

static void off(void)
{
    int fd = open("file", O_RDWR | O_CREAT, 0600);

    REQUIRE(fd >= 0);
    if (!may_swap()) {
        SKIP("swapoff by one who may", "no CAP_SYS_ADMIN");
        return;
    }
    CHECK_FAIL(swapoff("/nonexistent"), ENOENT, "swapoff of nothing");
    CHECK_FAIL(swapoff("file"), EINVAL, "of a file that is not swapped to");
    CHECK_FAIL(swapoff((char *)1), EFAULT, "a name that cannot be read");
    CHECK_FAIL(swapoff("file/below"), ENOTDIR, "below a file");
}

static void permission(void)
{
    if (geteuid() == 0)
        REQUIRE(setresuid(65534, 65534, 65534) == 0);
    CHECK_FAIL(swapon("/nonexistent", 0), EPERM, "swapon without CAP_SYS_ADMIN");
    CHECK_FAIL(swapon("/nonexistent", 1 << 30), EINVAL, "an unknown flag is found first");
    CHECK_FAIL(swapoff("/nonexistent"), EPERM, "swapoff without CAP_SYS_ADMIN");
}

static int has_line(const char *file, const char *start)
{
    char line[512];
    FILE *f = fopen(file, "r");
    int found = 0;

    REQUIRE(f);
    while (fgets(line, sizeof(line), f))
        found |= strncmp(line, start, strlen(start)) == 0;
    fclose(f);
    return found;
}

static void shown(void)
{
    struct sysinfo info;

    CHECK(has_line("/proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority"),
          "/proc/swaps has its heading");
    CHECK(has_line("/proc/meminfo", "SwapTotal:"), "/proc/meminfo tells SwapTotal");
    CHECK(has_line("/proc/meminfo", "SwapFree:"), "SwapFree");
    CHECK(has_line("/proc/meminfo", "SwapCached:"), "SwapCached");
    CHECK(has_line("/proc/vmstat", "pswpin "), "/proc/vmstat tells pswpin");
    CHECK(has_line("/proc/vmstat", "pswpout "), "pswpout");
    CHECK(has_line("/proc/self/status", "VmSwap:"), "/proc/self/status tells VmSwap");
    CHECK(has_line("/proc/self/smaps", "Swap:"), "/proc/self/smaps tells Swap");
    CHECK(has_line("/proc/self/smaps", "SwapPss:"), "SwapPss");
    CHECK(sysinfo(&info) == 0 && info.freeswap <= info.totalswap, "sysinfo");
    CHECK(access("/proc/sys/vm/page-cluster", R_OK) == 0, "vm.page-cluster");
}

int main(void)
{
    static const struct check_case cases[] = {
        CASE(on), CASE(off), CASE(permission), CASE(shown), {NULL, NULL}};

    return check_run(cases);
}
