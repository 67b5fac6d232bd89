/* SPDX-License-Identifier: MIT */
/* getdents64: the entries of a directory, read in pieces, sought in, changed meanwhile. */
#include "check.h"

struct entry {
    uint64_t ino;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

/* Reads a directory in pieces of SIZE and counts the names "NUMBER"; others are told by *OTHERS. */
static int count_entries(int fd, size_t size, unsigned char *seen, int *others)
{
    char buffer[8192];
    int found = 0;
    long n;
    *others = 0;
    while ((n = syscall(SYS_getdents64, fd, buffer, size)) > 0) {
        for (long at = 0; at < n;) {
            struct entry *entry = (struct entry *)(buffer + at);
            char *end;
            long number = strtol(entry->name, &end, 10);
            if (*end == 0 && end != entry->name) {
                seen[number]++;
                found++;
            } else {
                ++*others;
            }
            at += entry->length;
        }
    }
    return n < 0 ? -1 : found;
}

static void make_files(int count)
{
    char name[16];
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "d/%d", i);
        write_file(name, "", 0600);
    }
}

static void few(void)
{
    char buffer[1024];
    struct stat st;
    REQUIRE(mkdir("d", 0755) == 0 && mkdir("d/sub", 0755) == 0 && symlink("x", "d/link") == 0);
    REQUIRE(mkfifo("d/fifo", 0600) == 0);
    write_file("d/file", "", 0644);
    int fd = open("d", O_RDONLY | O_DIRECTORY), types = 0, names = 0, inodes = 0, aligned = 1;
    long n = syscall(SYS_getdents64, fd, buffer, sizeof(buffer));
    CHECK(n > 0, "getdents64");
    for (long at = 0; at < n;) {
        struct entry *entry = (struct entry *)(buffer + at);
        names++;
        aligned &= entry->length % 8 == 0 && entry->length >= 19 + strlen(entry->name) + 1;
        types += !strcmp(entry->name, "sub") && entry->type == DT_DIR;
        types += !strcmp(entry->name, "link") && entry->type == DT_LNK;
        types += !strcmp(entry->name, "fifo") && entry->type == DT_FIFO;
        types += !strcmp(entry->name, "file") && entry->type == DT_REG;
        types += !strcmp(entry->name, ".") && entry->type == DT_DIR;
        types += !strcmp(entry->name, "..") && entry->type == DT_DIR;
        inodes +=
            fstatat(fd, entry->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == entry->ino;
        at += entry->length;
    }
    CHECK_EQ(names, 6, "tells all entries, . and .. too");
    CHECK_EQ(types, 6, "with their types");
    CHECK_EQ(inodes, 6, "and inodes");
    CHECK(aligned, "records are aligned to eight bytes");
    CHECK_EQ(syscall(SYS_getdents64, fd, buffer, sizeof(buffer)), 0, "then comes the end");
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0, "seek to the start");
    CHECK_EQ(syscall(SYS_getdents64, fd, buffer, sizeof(buffer)), n, "tells them all again");
    lseek(fd, 0, SEEK_SET);
    CHECK_FAIL(syscall(SYS_getdents64, fd, buffer, 8), EINVAL, "a buffer too small for one entry");
    CHECK_FAIL(syscall(SYS_getdents64, 999, buffer, 1024), EBADF, "a bad descriptor");
    int file = open("d/file", O_RDONLY);
    CHECK_FAIL(syscall(SYS_getdents64, file, buffer, 1024), ENOTDIR, "a file");
}

static void many(void)
{
    static unsigned char seen[1000];
    int others;
    REQUIRE(mkdir("d", 0755) == 0);
    make_files(1000);
    int fd = open("d", O_RDONLY);
    CHECK_EQ(count_entries(fd, 8192, seen, &others), 1000, "a thousand entries");
    int once = 1;
    for (int i = 0; i < 1000; i++)
        once &= seen[i] == 1;
    CHECK(once && others == 2, "each of them once, and . and ..");
    memset(seen, 0, sizeof(seen));
    REQUIRE(lseek(fd, 0, SEEK_SET) == 0);
    CHECK_EQ(count_entries(fd, 64, seen, &others), 1000, "also in the smallest pieces");
    close(fd);
}

static void seeking(void)
{
    char buffer[600];
    REQUIRE(mkdir("d", 0755) == 0);
    make_files(60);
    int fd = open("d", O_RDONLY), right = 1, rounds = 0;
    long n;
    /* The offset of an entry is where the next one begins. */
    while ((n = syscall(SYS_getdents64, fd, buffer, 200)) > 0) {
        char next[600];
        struct entry *first = (struct entry *)buffer;
        if (first->length < n) {
            struct entry *second = (struct entry *)(buffer + first->length);
            off_t now = lseek(fd, 0, SEEK_CUR);
            right &= lseek(fd, first->offset, SEEK_SET) == first->offset;
            right &= syscall(SYS_getdents64, fd, next, 200) > 0;
            right &= !strcmp(((struct entry *)next)->name, second->name);
            right &= lseek(fd, now, SEEK_SET) == now;
            rounds++;
        }
    }
    CHECK(right && rounds > 5, "d_off leads to the next entry");
    DIR *dir = fdopendir(fd);
    rewinddir(dir);
    for (int i = 0; i < 20; i++)
        readdir(dir);
    long position = telldir(dir);
    char name[300];
    strcpy(name, readdir(dir)->d_name);
    while (readdir(dir))
        ;
    seekdir(dir, position);
    CHECK_STR(readdir(dir)->d_name, name, "telldir and seekdir");
    closedir(dir);
}

static void changing(void)
{
    static unsigned char seen[400];
    char name[16], buffer[512];
    int others = 0, complete = 1, removed = 0, once = 1;
    REQUIRE(mkdir("d", 0755) == 0);
    make_files(200);
    int fd = open("d", O_RDONLY);
    long n;
    /* Every entry that is told is removed: the others must still be told. */
    while ((n = syscall(SYS_getdents64, fd, buffer, 200)) > 0) {
        for (long at = 0; at < n; at += ((struct entry *)(buffer + at))->length) {
            struct entry *entry = (struct entry *)(buffer + at);
            if (entry->name[0] == '.')
                continue;
            seen[atoi(entry->name)]++;
            removed += unlinkat(fd, entry->name, 0) == 0;
        }
    }
    for (int i = 0; i < 200; i++)
        complete &= seen[i] == 1;
    CHECK(complete && removed == 200, "removing what was told skips nothing");
    CHECK_EQ(rmdir("d"), 0, "then the directory is empty");
    CHECK_EQ(syscall(SYS_getdents64, fd, buffer, 200) <= 0, 1, "a removed directory tells nothing");
    close(fd);
    REQUIRE(mkdir("d", 0755) == 0);
    make_files(100);
    memset(seen, 0, sizeof(seen));
    fd = open("d", O_RDONLY);
    n = syscall(SYS_getdents64, fd, buffer, 200);
    for (int i = 100; i < 150; i++) {
        snprintf(name, sizeof(name), "d/%d", i);
        write_file(name, "", 0600);
    }
    for (long at = 0; at < n; at += ((struct entry *)(buffer + at))->length) {
        struct entry *entry = (struct entry *)(buffer + at);
        if (entry->name[0] != '.')
            seen[atoi(entry->name)]++;
    }
    count_entries(fd, 200, seen, &others);
    for (int i = 0; i < 100; i++)
        complete &= seen[i] == 1;
    for (int i = 100; i < 150; i++)
        once &= seen[i] <= 1;
    CHECK(complete, "making files meanwhile, the old ones are told once each");
    CHECK(once, "and the new ones at most once");
}

CHECK_MAIN(CASE(few), CASE(many), CASE(seeking), CASE(changing))
