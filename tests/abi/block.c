/* SPDX-License-Identifier: MIT */
/*
 * Block devices, through their special files.
 *
 * On Linux the device is a loop device over a file; where there is none, and the machine is Vellum, it
 * is /dev/ram0 (the parameter ramdisk_size=), which nobody else uses.
 */
#include "check.h"
#include <linux/blkpg.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#define SIZE (8L << 20)
#define MIB  (1L << 20)

static char device[64]; /* its path */
static char name[16];   /* in /sys/block */
static int loop = -1;   /* keeps the loop device until the case ends */
static unsigned long long size;

/* A loop device over a new file, which goes when its last user does. */
static int loop_device(void)
{
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), number, file;
    struct loop_config config = {0};

    if (control < 0)
        return 0;
    file = open("disk", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    REQUIRE(file >= 0);
    REQUIRE(ftruncate(file, SIZE) == 0);
    config.fd = file;
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_PARTSCAN;
    for (int tries = 0; tries < 100; tries++) {
        number = ioctl(control, LOOP_CTL_GET_FREE);
        if (number < 0)
            return 0;
        snprintf(device, sizeof(device), "/dev/loop%d", number);
        loop = open(device, O_RDWR | O_CLOEXEC);
        if (loop < 0)
            return 0;
        if (ioctl(loop, LOOP_CONFIGURE, &config) == 0)
            return 1;
        close(loop);
        if (errno != EBUSY)
            return 0;
    }
    return 0;
}

static int is_vellum(void)
{
    struct utsname u;

    return uname(&u) == 0 && strstr(u.version, "Vellum");
}

/* Is there a device? It is as new: zeros. */
static int have_device(const char *text)
{
    int fd;

    if (geteuid() != 0 || check_state->qemu_user) {
        SKIP(text, "needs root, and a kernel of this machine");
        return 0;
    }
    if (is_vellum() && access("/dev/ram0", F_OK) == 0)
        strcpy(device, "/dev/ram0");
    else if (!loop_device()) {
        SKIP(text, "no device to be had");
        return 0;
    }
    snprintf(name, sizeof(name), "%.15s", device + 5);
    fd = open(device, O_RDWR | O_CLOEXEC);
    REQUIRE(fd >= 0);
    REQUIRE(ioctl(fd, BLKGETSIZE64, &size) == 0);
    REQUIRE(size >= (unsigned long long)SIZE);
    if (loop < 0) {
        unsigned long long range[2] = {0, size};

        REQUIRE(ioctl(fd, BLKROSET, &(int){0}) == 0);
        REQUIRE(ioctl(fd, BLKZEROOUT, range) == 0);
        ioctl(fd, BLKRRPART); /* what an earlier case has made goes */
    }
    close(fd);
    return 1;
}
#define NEED_DEVICE()                                                                              \
    do {                                                                                           \
        if (!have_device(__func__))                                                                \
            return;                                                                                \
    } while (0)

static int open_device(int flags)
{
    int fd = open(device, flags | O_CLOEXEC);

    REQUIRE(fd >= 0);
    return fd;
}

static void fill(char *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (char)((seed = seed * 1664525 + 1013904223) >> 24);
}

static void *buffer(size_t n)
{
    return private_pages((n + 4095) & ~4095UL);
}

/* ---- cases -------------------------------------------------------------------------------------- */

static void sizes(void)
{
    unsigned long sectors = 0, ahead = 0;
    unsigned physical = 0, io_min = 0, io_opt = 1;
    int fd, logical = 0, block = 0, read_only = -1, align = -1;
    unsigned short rotational = 9;
    struct stat st;

    NEED_DEVICE();
    fd = open_device(O_RDWR);
    CHECK_EQ(ioctl(fd, BLKGETSIZE, &sectors), 0, "BLKGETSIZE");
    CHECK_EQ(sectors * 512, size, "BLKGETSIZE counts 512 bytes");
    CHECK_EQ(ioctl(fd, BLKSSZGET, &logical), 0, "BLKSSZGET");
    CHECK_EQ(logical, 512, "logical blocks of 512 bytes");
    CHECK_EQ(ioctl(fd, BLKPBSZGET, &physical), 0, "BLKPBSZGET");
    CHECK(physical >= 512 && !(physical & (physical - 1)), "physical blocks");
    CHECK_EQ(ioctl(fd, BLKBSZGET, &block), 0, "BLKBSZGET");
    CHECK(block >= 512 && block <= 65536, "block size");
    CHECK_EQ(ioctl(fd, BLKBSZSET, &(int){1000}), -1, "BLKBSZSET to what is no power of 2");
    CHECK_EQ(ioctl(fd, BLKIOMIN, &io_min), 0, "BLKIOMIN");
    CHECK(io_min >= 512, "least transfer");
    CHECK_EQ(ioctl(fd, BLKIOOPT, &io_opt), 0, "BLKIOOPT");
    CHECK_EQ(ioctl(fd, BLKALIGNOFF, &align), 0, "BLKALIGNOFF");
    CHECK_EQ(align, 0, "aligned");
    CHECK_EQ(ioctl(fd, BLKROTATIONAL, &rotational), 0, "BLKROTATIONAL");
    CHECK(rotational <= 1, "rotational or not");
    CHECK_EQ(ioctl(fd, BLKROGET, &read_only), 0, "BLKROGET");
    CHECK_EQ(read_only, 0, "can be written");
    CHECK_EQ(ioctl(fd, BLKRAGET, &ahead), 0, "BLKRAGET");
    CHECK_EQ(ioctl(fd, BLKRASET, 64), 0, "BLKRASET");
    CHECK(ioctl(fd, BLKRAGET, &ahead) == 0 && ahead == 64, "BLKRAGET tells it");
    CHECK_EQ(ioctl(fd, BLKRASET, 256), 0, "BLKRASET back");
    CHECK(readahead(fd, 0, 65536) == 0 || errno == EINVAL, "readahead (Linux: since 6.7)");
    CHECK_FAIL(ioctl(fd, BLKGETSIZE64, unmapped_page()), EFAULT, "BLKGETSIZE64 to a bad address");
    CHECK_EQ(ioctl(fd, _IO(0x12, 250), 0), -1, "an ioctl that is not there");
    CHECK_EQ(fstat(fd, &st), 0, "fstat");
    CHECK(S_ISBLK(st.st_mode) && st.st_size == 0, "a block device of no size");
    close(fd);
}

static void positions(void)
{
    int fd;

    NEED_DEVICE();
    fd = open_device(O_RDWR);
    CHECK_EQ(lseek(fd, 0, SEEK_END), size, "SEEK_END is the device's size");
    CHECK_EQ(lseek(fd, -512, SEEK_CUR), size - 512, "SEEK_CUR");
    CHECK_FAIL(lseek(fd, 1, SEEK_END), EINVAL, "not beyond the end");
    CHECK_FAIL(lseek(fd, (off_t)size + 1, SEEK_SET), EINVAL, "nor this way");
    CHECK_FAIL(lseek(fd, -1, SEEK_SET), EINVAL, "nor before the start");
    CHECK_FAIL(lseek(fd, 0, SEEK_DATA), EINVAL, "SEEK_DATA");
    CHECK_FAIL(lseek(fd, 0, SEEK_HOLE), EINVAL, "SEEK_HOLE");
    CHECK_FAIL(ftruncate(fd, 0), EINVAL, "ftruncate");
    close(fd);
    fd = open_device(O_RDWR | O_TRUNC);
    CHECK_EQ(lseek(fd, 0, SEEK_END), size, "O_TRUNC does nothing");
    close(fd);
}

static void bytes(void)
{
    char *in, *out;
    int fd;

    NEED_DEVICE();
    in = buffer(70000);
    out = buffer(70000);
    fill(in, 70000, 1);
    fd = open_device(O_RDWR);
    CHECK_EQ(pwrite(fd, in, 70000, 12345), 70000, "write at any byte");
    CHECK_EQ(pread(fd, out, 70000, 12345), 70000, "and read");
    CHECK(!memcmp(in, out, 70000), "the same");
    CHECK(pread(fd, out, 100, 12300) == 100 && !out[44] && out[45] == in[0], "before it are zeros");
    CHECK_EQ(pwrite(fd, in, 1, 4095), 1, "a byte");
    CHECK_EQ(pread(fd, out, 3, 4094), 3, "across a page");
    CHECK(!out[0] && out[1] == in[0] && !out[2], "only that byte");
    CHECK_EQ(pwrite(fd, in, 1000, size - 600), 600, "at the end: what fits");
    CHECK_EQ(pread(fd, out, 1000, size - 600), 600, "the same for reading");
    CHECK(!memcmp(in, out, 600), "the same bytes");
    CHECK_FAIL(pwrite(fd, in, 1, size), ENOSPC, "write at the end");
    CHECK_EQ(pwrite(fd, in, 0, size), 0, "nothing, at the end");
    CHECK_EQ(pread(fd, out, 1, size), 0, "read at the end");
    CHECK_EQ(pread(fd, out, 1, size + 4096), 0, "read beyond it");
    CHECK_FAIL(pwrite(fd, unmapped_page(), 100, 0), EFAULT, "from a bad address");
    CHECK_EQ(fsync(fd), 0, "fsync");
    CHECK_EQ(fdatasync(fd), 0, "fdatasync");
    CHECK_EQ(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE), 0, "sync_file_range");
    CHECK_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0, "posix_fadvise");
    CHECK_EQ(pread(fd, out, 70000, 12345), 70000, "and read it again");
    CHECK(!memcmp(in, out, 70000), "still the same");
    close(fd);
    fd = open_device(O_RDWR);
    CHECK_EQ(pread(fd, out, 70000, 12345), 70000, "after the last close");
    CHECK(!memcmp(in, out, 70000), "still the same");
    close(fd);
}

static void vectors_and_flags(void)
{
    char a[] = "one ", b[] = "two ", c[9] = "";
    struct iovec out[] = {{a, 4}, {b, 4}}, in[] = {{c, 3}, {c + 3, 5}};
    int fd;

    NEED_DEVICE();
    fd = open_device(O_RDWR | O_APPEND);
    CHECK_EQ(write(fd, "12345678", 8), 8, "O_APPEND");
    CHECK(pread(fd, c, 8, 0) == 8 && !memcmp(c, "12345678", 8), "does not append");
    close(fd);
    fd = open_device(O_RDWR | O_SYNC);
    CHECK_EQ(pwritev(fd, out, 2, 1022), 8, "pwritev with O_SYNC");
    CHECK_EQ(preadv(fd, in, 2, 1022), 8, "preadv");
    CHECK(!memcmp(c, "one two ", 8), "the same");
    close(fd);
    fd = open_device(O_RDONLY);
    CHECK_FAIL(write(fd, a, 4), EBADF, "not open for writing");
    CHECK_FAIL(ioctl(fd, BLKZEROOUT, ((unsigned long long[]){0, 512})), EBADF, "nor for zeros");
    close(fd);
    fd = open_device(O_WRONLY);
    CHECK_FAIL(read(fd, c, 4), EBADF, "not open for reading");
    close(fd);
}

static void direct(void)
{
    char *in, *out;
    int fd, cached;

    NEED_DEVICE();
    in = buffer(MIB);
    out = buffer(MIB);
    fill(in, MIB, 2);
    cached = open_device(O_RDWR);
    fd = open_device(O_RDWR | O_DIRECT);
    CHECK_EQ(pwrite(fd, in, MIB, 4096), MIB, "write past the cache");
    CHECK_EQ(pread(fd, out, MIB, 4096), MIB, "read past the cache");
    CHECK(!memcmp(in, out, MIB), "the same");
    CHECK_EQ(pread(cached, out, MIB, 4096), MIB, "read through the cache");
    CHECK(!memcmp(in, out, MIB), "the same");
    CHECK_EQ(pwrite(cached, in, 5000, 10000), 5000, "write through the cache");
    CHECK_EQ(pread(fd, out, 16384, 8192), 16384, "read past it");
    CHECK(!memcmp(in, out + 10000 - 8192, 5000), "sees that");
    CHECK_EQ(pwrite(fd, in, 512, 512), 512, "a sector");
    CHECK(pread(cached, out, 512, 512) == 512 && !memcmp(in, out, 512), "the cache sees it");
    CHECK_FAIL(pwrite(fd, in, 512, 100), EINVAL, "a position that is no block's");
    CHECK_FAIL(pwrite(fd, in, 100, 512), EINVAL, "a length that is no block's");
    CHECK_FAIL(pread(fd, out, 513, 0), EINVAL, "the same for reading");
    CHECK_EQ(pread(fd, out, 4096, size - 512), 512, "at the end");
    CHECK_EQ(pread(fd, out, 512, size), 0, "behind the end");
    CHECK_FAIL(pwrite(fd, in, 512, size), ENOSPC, "write there");
    CHECK_FAIL(pread(fd, unmapped_page(), 512, 0), EFAULT, "a bad address");
    close(fd);
    close(cached);
}

static void mapped(void)
{
    char *p, *out, *private;
    int fd, direct_fd;

    NEED_DEVICE();
    out = buffer(8192);
    fd = open_device(O_RDWR);
    direct_fd = open_device(O_RDWR | O_DIRECT);
    p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096);
    CHECK(p != MAP_FAILED, "mmap, shared");
    REQUIRE(p != MAP_FAILED);
    CHECK(p[0] == 0 && p[65535] == 0, "zeros");
    strcpy(p + 5000, "through a mapping");
    CHECK(pread(fd, out, 18, 9096) == 18 && !strcmp(out, "through a mapping"), "read sees it");
    CHECK_EQ(msync(p, 65536, MS_SYNC), 0, "msync");
    CHECK_EQ(pread(direct_fd, out, 4096, 8192), 4096, "read past the cache");
    CHECK(!strcmp(out + 904, "through a mapping"), "sees it");
    CHECK_EQ(pwrite(fd, "THROUGH", 7, 9096), 7, "write");
    CHECK(!strcmp(p + 5000, "THROUGH a mapping"), "the mapping sees it");
    strcpy(p + 5000, "once more written"); /* clean by now, perhaps */
    CHECK_EQ(fsync(fd), 0, "fsync");
    CHECK(pread(direct_fd, out, 4096, 8192) == 4096 && !strcmp(out + 904, "once more written"),
          "is on the device");
    private = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 8192);
    CHECK(private != MAP_FAILED, "mmap, private");
    strcpy(private + 904, "mine");
    CHECK(pread(fd, out, 18, 9096) == 18 && !strcmp(out, "once more written"), "is only ours");
    munmap(p, 65536);
    p = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, (off_t)size - 4096);
    REQUIRE(p != MAP_FAILED);
    CHECK_EQ(p[4095], 0, "the last page");
    CHECK_EQ(IN_CHILD({
                 signal(SIGBUS, SIG_DFL);
                 prctl(PR_SET_DUMPABLE, 0);
                 _exit(((volatile char *)p)[4096]);
             }),
             128 + SIGBUS, "behind it: SIGBUS");
    close(direct_fd);
    close(fd);
}

/* Four processes write records of any length, each in a part of its own, and read them back. */
static void parallel_writer(int who)
{
    long part = (long)(size / 4), at = who * part, end = at + part;
    char in[3000], out[3000];
    unsigned seed = (unsigned)who + 1;
    int fd = open_device(O_RDWR);

    while (at < end) {
        long n = (seed = seed * 1103515245 + 12345) / 65536 % 2999 + 1;

        n = n < end - at ? n : end - at;
        fill(in, (size_t)n, seed);
        if (pwrite(fd, in, (size_t)n, at) != n)
            _exit(1);
        at += n;
    }
    seed = (unsigned)who + 1;
    for (at = who * part; at < end;) {
        long n = (seed = seed * 1103515245 + 12345) / 65536 % 2999 + 1;

        n = n < end - at ? n : end - at;
        fill(in, (size_t)n, seed);
        if (pread(fd, out, (size_t)n, at) != n || memcmp(in, out, (size_t)n))
            _exit(2);
        at += n;
    }
    _exit(fsync(fd) ? 3 : 0);
}

static void parallel(void)
{
    pid_t child[4];

    NEED_DEVICE();
    for (int i = 0; i < 4; i++)
        child[i] = CHILD(parallel_writer(i));
    for (int i = 0; i < 4; i++)
        CHECK_EQ(end_of(child[i]), 0, "a process among four reads what it wrote");
}

static void exclusive(void)
{
    int fd, other;

    NEED_DEVICE();
    fd = open(device, O_RDWR | O_EXCL | O_CLOEXEC);
    CHECK(fd >= 0, "O_EXCL");
    other = open(device, O_RDWR | O_CLOEXEC);
    CHECK(other >= 0, "others may open it without");
    close(other);
    CHECK_FAIL(open(device, O_RDONLY | O_EXCL), EBUSY, "but not with O_EXCL");
    close(fd);
    fd = open(device, O_RDWR | O_EXCL | O_CLOEXEC);
    CHECK(fd >= 0, "until it is closed");
    CHECK_EQ(fcntl(fd, F_GETFL) & O_EXCL, 0, "the flag is not kept");
    close(fd);
}

static void read_only(void)
{
    int fd, value = 0;

    NEED_DEVICE();
    fd = open_device(O_RDWR);
    CHECK_EQ(ioctl(fd, BLKROSET, &(int){1}), 0, "BLKROSET");
    CHECK(ioctl(fd, BLKROGET, &value) == 0 && value == 1, "BLKROGET tells it");
    CHECK_FAIL(pwrite(fd, "x", 1, 0), EPERM, "writing is not permitted");
    CHECK_EQ(pread(fd, &(char){0}, 1, 0), 1, "reading is");
    CHECK_EQ(ioctl(fd, BLKZEROOUT, ((unsigned long long[]){0, 512})), -1, "zeros are not");
    CHECK_EQ(ioctl(fd, BLKROSET, &(int){0}), 0, "BLKROSET back");
    CHECK_EQ(pwrite(fd, "x", 1, 0), 1, "and writing is permitted");
    CHECK_EQ(fsync(fd), 0, "fsync");
    if (has_capability(21 /* CAP_SYS_ADMIN */))
        CHECK_EQ(IN_CHILD({
                     become_user(1000);
                     _exit(ioctl(fd, BLKROSET, &(int){1}) == -1 && errno == EACCES ? 0 : 1);
                 }),
                 0, "BLKROSET is root's");
    close(fd);
}

static int all_zero(int fd, off_t at, size_t n)
{
    char *p = buffer(n);
    int zero = pread(fd, p, n, at) == (ssize_t)n;

    for (size_t i = 0; i < n && zero; i++)
        zero = p[i] == 0;
    munmap(p, (n + 4095) & ~4095UL);
    return zero;
}

static int zero_out(int fd, unsigned request, unsigned long long start, unsigned long long n)
{
    unsigned long long range[2] = {start, n};

    return ioctl(fd, request, range);
}

static void erasing(void)
{
    char *in;
    int fd;

    NEED_DEVICE();
    in = buffer(MIB);
    fill(in, MIB, 3);
    fd = open_device(O_RDWR);
    REQUIRE(pwrite(fd, in, MIB, 0) == MIB);
    CHECK_EQ(zero_out(fd, BLKZEROOUT, 4096, 8192), 0, "BLKZEROOUT");
    CHECK(all_zero(fd, 4096, 8192), "zeros");
    CHECK(!all_zero(fd, 0, 4096) && !all_zero(fd, 12288, 4096), "the rest is as it was");
    CHECK_EQ(zero_out(fd, BLKZEROOUT, 512, 1024), 0, "some sectors of a page");
    CHECK(all_zero(fd, 512, 1024) && !all_zero(fd, 0, 512) && !all_zero(fd, 1536, 512),
          "only they");
    CHECK_FAIL(zero_out(fd, BLKZEROOUT, 100, 512), EINVAL, "a start that is no sector's");
    CHECK_FAIL(zero_out(fd, BLKZEROOUT, 0, 100), EINVAL, "a length that is no sector's");
    CHECK_FAIL(zero_out(fd, BLKZEROOUT, size, 512), EINVAL, "beyond the end");
    CHECK_FAIL(zero_out(fd, BLKZEROOUT, 512, ~0ULL << 9), EINVAL, "around the end");
    CHECK_EQ(zero_out(fd, BLKDISCARD, 65536, 65536), 0, "BLKDISCARD");
    CHECK_FAIL(zero_out(fd, BLKDISCARD, 0, 100), EINVAL, "not of a part of a sector");
    CHECK_FAIL(zero_out(fd, BLKSECDISCARD, 0, 4096), EOPNOTSUPP, "secure erasure is not there");
    CHECK_FAIL(zero_out(fd, BLKDISCARD, size - 512, 1024), EINVAL, "nor beyond the end");
    CHECK(!all_zero(fd, 61440, 4096) && !all_zero(fd, 131072, 4096), "the rest is as it was");
    int punched = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 200 << 10, 8192);
    if (loop >= 0 && punched < 0 && errno == EOPNOTSUPP) { /* its file cannot be zeroed in place */
        SKIP("a hole punched", "the file under the loop device cannot do it");
    } else {
        CHECK_EQ(punched, 0, "a hole punched");
        CHECK(all_zero(fd, 200 << 10, 8192), "zeros");
    }
    CHECK_EQ(fallocate(fd, FALLOC_FL_ZERO_RANGE, 300 << 10, 512), 0, "a range of zeros");
    CHECK(all_zero(fd, 300 << 10, 512) && !all_zero(fd, (300 << 10) + 512, 512), "so long");
    CHECK_FAIL(fallocate(fd, 0, 0, 4096), EOPNOTSUPP, "no allocation");
    CHECK_FAIL(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 4096), EOPNOTSUPP, "KEEP_SIZE is due");
    CHECK_FAIL(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 100), EINVAL, "a length that is no block's");
    CHECK_FAIL(fallocate(fd, FALLOC_FL_ZERO_RANGE, (off_t)size, 4096), EINVAL, "beyond the end");
    CHECK_EQ(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, (off_t)size - 4096, 8192), 0,
             "across the end, the size being kept");
    CHECK_EQ(ioctl(fd, BLKFLSBUF), 0, "BLKFLSBUF");
    CHECK(all_zero(fd, 4096, 8192) && !all_zero(fd, 12288, 4096), "and all is as it was");
    close(fd);
}

/* ---- partitions ------------------------------------------------------------------------------------ */

static int partition_ioctl(int fd, int op, int number, long long start, long long length)
{
    struct blkpg_partition p = {.start = start, .length = length, .pno = number};
    struct blkpg_ioctl_arg a = {.op = op, .datalen = sizeof(p), .data = &p};

    return ioctl(fd, BLKPG, &a);
}

/* A node for a partition, by what sysfs says of its number: its path, or NULL. */
static const char *partition_node(int number)
{
    static char path[64];
    char file[128], text[32];
    unsigned major, minor;

    snprintf(file, sizeof(file), "/sys/block/%s/%sp%d/dev", name, name, number);
    if (read_file(file, text, sizeof(text)) <= 0 || sscanf(text, "%u:%u", &major, &minor) != 2)
        return NULL;
    snprintf(path, sizeof(path), "part%d", number);
    unlink(path);
    REQUIRE(mknod(path, S_IFBLK | 0600, makedev(major, minor)) == 0);
    return path;
}

static long sysfs_number(int number, const char *what)
{
    char file[128], text[32];

    snprintf(file, sizeof(file), "/sys/class/block/%sp%d/%s", name, number, what);
    return read_file(file, text, sizeof(text)) > 0 ? atol(text) : -1;
}

static void by_hand(void)
{
    unsigned long long n = 0;
    char text[8] = "";
    const char *node;
    int fd, part;

    NEED_DEVICE();
    fd = open_device(O_RDWR);
    CHECK_EQ(partition_ioctl(fd, BLKPG_ADD_PARTITION, 2, MIB, 2 * MIB), 0, "add a partition");
    CHECK_FAIL(partition_ioctl(fd, BLKPG_ADD_PARTITION, 2, 4 * MIB, MIB), EBUSY, "it is there");
    CHECK_FAIL(partition_ioctl(fd, BLKPG_ADD_PARTITION, 3, 2 * MIB, 2 * MIB), EBUSY, "overlaps");
    CHECK_EQ(partition_ioctl(fd, BLKPG_ADD_PARTITION, 4, 4 * MIB, MIB), 0, "another one");
    CHECK_FAIL(partition_ioctl(fd, BLKPG_ADD_PARTITION, 0, 6 * MIB, MIB), EINVAL, "number 0");
    CHECK_FAIL(partition_ioctl(fd, 77, 5, 6 * MIB, MIB), EINVAL, "what is not there");
    CHECK_EQ(sysfs_number(2, "start"), MIB / 512, "its start");
    CHECK_EQ(sysfs_number(2, "size"), 2 * MIB / 512, "its size");
    CHECK_EQ(sysfs_number(2, "partition"), 2, "its number");
    node = partition_node(2);
    part = node ? open(node, O_RDWR | O_CLOEXEC) : -1;
    CHECK(part >= 0, "can be opened");
    REQUIRE(part >= 0);
    CHECK(ioctl(part, BLKGETSIZE64, &n) == 0 && n == 2 * MIB, "has its size");
    CHECK_EQ(pwrite(part, "inside", 6, 1000), 6, "write to it");
    CHECK_EQ(fsync(part), 0, "fsync");
    CHECK(pread(fd, text, 6, MIB + 1000) == 6 && !strcmp(text, "inside"), "the disk has it");
    CHECK_FAIL(pwrite(part, "x", 1, 2 * MIB), ENOSPC, "its end is an end");
    CHECK_EQ(pread(part, text, 1, 2 * MIB), 0, "for reading, too");
    CHECK_FAIL(partition_ioctl(fd, BLKPG_DEL_PARTITION, 2, 0, 0), EBUSY, "in use: it stays");
    CHECK_FAIL(partition_ioctl(part, BLKPG_ADD_PARTITION, 1, 0, 512), EINVAL, "no parts of parts");
    close(part);
    CHECK_EQ(partition_ioctl(fd, BLKPG_RESIZE_PARTITION, 2, MIB, 3 * MIB), 0, "resize");
    CHECK_EQ(sysfs_number(2, "size"), 3 * MIB / 512, "its new size");
    CHECK_FAIL(partition_ioctl(fd, BLKPG_RESIZE_PARTITION, 2, MIB, 4 * MIB), EBUSY, "not into 4");
    CHECK_EQ(partition_ioctl(fd, BLKPG_DEL_PARTITION, 2, 0, 0), 0, "delete");
    CHECK_EQ(sysfs_number(2, "size"), -1, "it is gone");
    CHECK_FAIL(open(node, O_RDONLY), ENXIO, "its number is nobody's");
    CHECK_FAIL(partition_ioctl(fd, BLKPG_DEL_PARTITION, 2, 0, 0), ENXIO, "not twice");
    CHECK_EQ(partition_ioctl(fd, BLKPG_DEL_PARTITION, 4, 0, 0), 0, "the other one");
    close(fd);
}

static void entry(unsigned char *block, int i, unsigned char type, unsigned start, unsigned n)
{
    unsigned char *e = block + 446 + 16 * i;

    e[4] = type;
    memcpy(e + 8, &start, 4);
    memcpy(e + 12, &n, 4);
    block[510] = 0x55;
    block[511] = 0xaa;
}

static void table(void)
{
    unsigned char block[512] = {0}, chain[512] = {0}, last[512] = {0};
    const char *node;
    int fd, part;

    NEED_DEVICE();
    fd = open_device(O_RDWR);
    entry(block, 0, 0x83, 2048, 2048);
    entry(block, 1, 0x05, 8192, 8000);
    entry(chain, 0, 0x83, 63, 1000);
    entry(chain, 1, 0x05, 2000, 1000);
    entry(last, 0, 0x82, 63, 500);
    REQUIRE(pwrite(fd, block, 512, 0) == 512);
    REQUIRE(pwrite(fd, chain, 512, 8192 * 512) == 512);
    REQUIRE(pwrite(fd, last, 512, (8192 + 2000) * 512) == 512);
    CHECK_EQ(ioctl(fd, BLKRRPART), 0, "BLKRRPART");
    if (sysfs_number(1, "start") < 0 && !is_vellum()) {
        SKIP("a table", "this kernel reads none of this kind");
        return;
    }
    CHECK_EQ(sysfs_number(1, "start"), 2048, "a primary partition");
    CHECK_EQ(sysfs_number(1, "size"), 2048, "its size");
    CHECK(sysfs_number(2, "size") > 0, "the extended one");
    CHECK_EQ(sysfs_number(5, "start"), 8192 + 63, "a logical one");
    CHECK_EQ(sysfs_number(5, "size"), 1000, "its size");
    CHECK_EQ(sysfs_number(6, "start"), 8192 + 2000 + 63, "another");
    CHECK_EQ(sysfs_number(6, "size"), 500, "its size");
    CHECK_EQ(sysfs_number(7, "size"), -1, "no more");
    node = partition_node(5);
    REQUIRE(node);
    part = open(node, O_RDWR | O_EXCL | O_CLOEXEC);
    CHECK(part >= 0, "opened, exclusively");
    CHECK_FAIL(ioctl(fd, BLKRRPART), EBUSY, "in use: the table is not read again");
    CHECK_FAIL(ioctl(part, BLKRRPART), EINVAL, "a partition has none");
    CHECK_FAIL(open(device, O_RDONLY | O_EXCL), EBUSY, "the disk is used by its part");
    close(part);
    memset(block, 0, sizeof(block));
    REQUIRE(pwrite(fd, block, 512, 0) == 512);
    CHECK_EQ(ioctl(fd, BLKRRPART), 0, "no table");
    CHECK_EQ(sysfs_number(1, "size"), -1, "no partitions");
    close(fd);
}

static void seen(void)
{
    char text[65536], *line, pattern[100];
    unsigned long long v[17];
    int fd, fields = 0;
    char *p;

    NEED_DEVICE();
    fd = open_device(O_RDWR | O_DIRECT);
    REQUIRE(pread(fd, buffer(4096), 4096, 0) == 4096);
    close(fd);
    REQUIRE(read_file("/proc/partitions", text, sizeof(text)) > 0);
    snprintf(pattern, sizeof(pattern), "%8llu %s\n", size / 1024, name);
    CHECK(strstr(text, pattern) != NULL, "/proc/partitions has it");
    REQUIRE(read_file("/proc/diskstats", text, sizeof(text)) > 0);
    snprintf(pattern, sizeof(pattern), " %s ", name);
    line = strstr(text, pattern);
    CHECK(line != NULL, "/proc/diskstats has it");
    for (p = line ? line + strlen(pattern) : text; fields < 17; fields++) {
        char *end;

        v[fields] = strtoull(p, &end, 10);
        if (end == p || (*end == '\n' && fields < 16))
            break;
        p = end;
    }
    CHECK_EQ(fields, 17, "seventeen numbers");
    CHECK(fields == 17 && v[0] >= 1 && v[2] >= 8, "reads are counted");
    snprintf(pattern, sizeof(pattern), "/sys/block/%s/stat", name);
    CHECK(read_file(pattern, text, sizeof(text)) > 0, "the same in /sys");
    snprintf(pattern, sizeof(pattern), "/sys/block/%s/queue/logical_block_size", name);
    CHECK(read_file(pattern, text, sizeof(text)) > 0 && atoi(text) == 512, "its block size");
    CHECK_FAIL(open("nothing", O_RDONLY), ENOENT, "no node");
    REQUIRE(mknod("nothing", S_IFBLK | 0600, makedev(254, 1048575)) == 0);
    CHECK_FAIL(open("nothing", O_RDONLY), ENXIO, "a node of no device");
}

CHECK_MAIN_BUT_QEMU_USER(CASE(sizes), CASE(positions), CASE(bytes), CASE(vectors_and_flags),
                         CASE(direct), CASE(mapped), CASE(parallel), CASE(exclusive),
                         CASE(read_only), CASE(erasing), CASE(by_hand), CASE(table), CASE(seen))
