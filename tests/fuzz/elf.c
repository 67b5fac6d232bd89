/* SPDX-License-Identifier: MIT */
/*
 * Programs that are damaged in every way.
 *
 *   elf [-n MUTATIONS] [-s SEED] [-i NUMBER] VICTIM...
 *
 * Each mutation takes one of the victims and cuts it off, changes fields of its headers to absurd
 * values, lets its segments overlap, gives it strange interpreters, or throws dice over its bytes;
 * then it is executed. That must fail with one of the errors that exec knows, or give a process
 * that ends, on its own or by a signal. A victim that is as it was must exit with 42.
 */
#define _GNU_SOURCE
#include "random.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 65536, LIMIT_US = 300000, GOOD = 42 };

static unsigned char original[8][MOST], image[MOST + 16384];
static size_t sizes[8], size;

/* A value for a field that was `old`. */
static uint64_t absurd(uint64_t old)
{
    static const uint64_t table[] = {
        0,
        1,
        2,
        3,
        7,
        8,
        0xff,
        0xfff,
        0x1000,
        0x1001,
        0xffff,
        0x10000,
        0x7fffffff,
        0x80000000,
        0xffffffff,
        0x100000000,
        0x7fffffffffff,
        0x7ffffffff000,
        0x800000000000,
        0x3fffffffff,
        0x4000000000,
        0x7fffffffffffffff,
        0x8000000000000000,
        0xffff800000000000,
        0xffffffff80000000,
        0xfffffffffffff000,
        0xffffffffffffffff,
    };

    switch (below(5)) {
    case 0:
        return old + (int)below(33) - 16;
    case 1:
        return old ^ 1UL << below(64);
    case 2:
        return old + ((uint64_t)below(64) - 32) * 4096;
    case 3:
        return next_random();
    default:
        return table[below(sizeof(table) / sizeof(*table))];
    }
}

static Elf64_Phdr *segment(unsigned i)
{
    Elf64_Ehdr *e = (Elf64_Ehdr *)image;
    uint64_t at = e->e_phoff + (uint64_t)i * sizeof(Elf64_Phdr);

    return at <= sizeof(image) - sizeof(Elf64_Phdr) ? (Elf64_Phdr *)(image + at)
                                                    : (Elf64_Phdr *)(image + sizeof(*e));
}

static void change_header(void)
{
    Elf64_Ehdr *e = (Elf64_Ehdr *)image;

    switch (below(10)) {
    case 0:
        e->e_phoff = absurd(e->e_phoff);
        break;
    case 1:
        e->e_phnum = absurd(e->e_phnum);
        break;
    case 2:
        e->e_phentsize = absurd(e->e_phentsize);
        break;
    case 3:
        e->e_entry = absurd(e->e_entry);
        break;
    case 4:
        e->e_type = below(6);
        break;
    case 5:
        e->e_machine = absurd(e->e_machine);
        break;
    case 6:
        e->e_shoff = absurd(e->e_shoff);
        break;
    default:
        image[below(sizeof(*e))] = next_random();
    }
}

static void change_segment(unsigned count)
{
    Elf64_Phdr *p = segment(below(count ? count : 1));
    static const uint32_t types[] = {PT_NULL,      PT_LOAD,         PT_LOAD,    PT_INTERP,
                                     PT_PHDR,      PT_TLS,          PT_DYNAMIC, PT_NOTE,
                                     PT_GNU_STACK, PT_GNU_PROPERTY, 0x7fffffff};

    switch (below(9)) {
    case 0:
        p->p_offset = absurd(p->p_offset);
        break;
    case 1:
        p->p_vaddr = absurd(p->p_vaddr);
        break;
    case 2:
        p->p_filesz = absurd(p->p_filesz);
        break;
    case 3:
        p->p_memsz = absurd(p->p_memsz);
        break;
    case 4:
        p->p_align = absurd(p->p_align);
        break;
    case 5:
        p->p_flags = below(4) ? below(8) : next_random();
        break;
    case 6:
        p->p_type = types[below(sizeof(types) / sizeof(*types))];
        break;
    case 7: /* one over another */
        p->p_vaddr = segment(below(count ? count : 1))->p_vaddr;
        break;
    default:
        *p = *segment(below(count ? count : 1));
    }
}

/* The interpreter's name: none, endless, itself, a folder, a device, not there ... */
static void change_interpreter(unsigned count)
{
    static const char *const names[] = {"",          "/",
                                        "/dev/null", "/dev/zero",
                                        "none",      "/proc/self/exe",
                                        "/tmp",      "/proc/self/mem",
                                        "x",         "/dev/console",
                                        "./x"};
    const char *name = names[below(sizeof(names) / sizeof(*names))];

    for (unsigned i = 0; i < count; i++) {
        Elf64_Phdr *p = segment(i);

        if (p->p_type != PT_INTERP || p->p_offset > MOST)
            continue;
        switch (below(4)) {
        case 0:
            p->p_filesz = absurd(p->p_filesz);
            break;
        case 1: /* without its zero */
            memset(image + p->p_offset, 'x', p->p_filesz < MOST ? p->p_filesz % 4096 : 0);
            break;
        default:
            strcpy((char *)image + p->p_offset, name);
            p->p_filesz = strlen(name) + 1;
        }
        return;
    }
    change_segment(count);
}

static void mutate(unsigned victim)
{
    unsigned count;

    memset(image, 0, sizeof(image));
    memcpy(image, original[victim], size = sizes[victim]);
    count = ((Elf64_Ehdr *)image)->e_phnum;
    for (unsigned n = 1 + below(3); n > 0; n--) {
        switch (below(8)) {
        case 0:
            size = below(3) ? below(size + 1) : below(200);
            break;
        case 1:
            change_header();
            break;
        case 2:
            change_interpreter(count);
            break;
        case 3:
            for (unsigned k = below(20); k > 0; k--)
                image[below(below(2) ? 512 : size + 1)] = next_random();
            break;
        default:
            change_segment(count);
        }
    }
}

static void write_image(const char *name, unsigned long n)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0755);

    if (fd < 0 || write(fd, image, size) != (ssize_t)size) {
        printf("elf: %lu: %s: %s\n", n, name, strerror(errno));
        exit(2);
    }
    close(fd);
}

/* Execute it: its wait status, or minus the error of execve(2). */
static int execute(const char *name)
{
    char *const argv[] = {"victim", NULL}, *const envp[] = {NULL};
    const struct itimerval limit = {{0, 0}, {0, LIMIT_US}};
    volatile int error = 0;
    int status;
    pid_t pid = vfork();

    if (pid == 0) {
        setitimer(ITIMER_REAL, &limit, NULL); /* it stays over exec, and SIGALRM kills */
        execve(name, argv, envp);
        error = errno;
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        perror("elf: vfork");
        exit(2);
    }
    return error ? -error : status;
}

static int is_known(int error)
{
    static const int known[] = {ENOEXEC, EINVAL, ENOMEM,  EACCES, ELIBBAD, ENOENT,
                                EIO,     E2BIG,  ELOOP,   EISDIR, ENOTDIR, ENAMETOOLONG,
                                EPERM,   EAGAIN, ETXTBSY, ENODEV, ENXIO};

    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        if (known[i] == error)
            return 1;
    return 0;
}

int main(int argc, char **argv)
{
    unsigned long mutations = 10000, failed = 0, refused = 0, signalled = 0, ended = 0;
    uint64_t seed = 1;
    long only = -1;
    int option, victims;
    struct rlimit none = {0, 0};

    while ((option = getopt(argc, argv, "n:s:i:")) != -1) {
        if (option == 'n')
            mutations = strtoul(optarg, NULL, 0);
        else if (option == 's')
            seed = strtoull(optarg, NULL, 0);
        else if (option == 'i')
            only = atol(optarg);
        else
            return 2;
    }
    if (optind >= argc) /* what is damaged names us as its interpreter */
        return 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    setrlimit(RLIMIT_CORE, &none);
    victims = argc - optind;
    printf("elf: seed %#lx, %lu mutations of %d programs\n", seed, mutations, victims);
    for (int i = 0; i < victims; i++) {
        int fd = open(argv[optind + i], O_RDONLY);

        sizes[i] = read(fd, original[i], MOST);
        close(fd);
        if (i == 8 || (ssize_t)sizes[i] < (ssize_t)sizeof(Elf64_Ehdr))
            return 2;
    }
    mkdir("/tmp/elf", 0755);
    if (victims < 1 || chdir("/tmp/elf") < 0)
        return 2;
    for (unsigned long n = 0; n < mutations; n++) {
        unsigned victim = n % victims;
        int result;

        if (only >= 0 && n != (unsigned long)only)
            continue;
        random_state = (seed * 1000003 + n + 1) * 0x9e3779b97f4a7c15 | 1;
        next_random();
        if (n % 100 < (unsigned long)victims) { /* now and then undamaged */
            memcpy(image, original[victim], size = sizes[victim]);
            write_image("x", n);
            result = execute("x");
            if (result != GOOD << 8) {
                printf("elf: %lu: undamaged victim %u gives %d\n", n, victim, result);
                failed++;
            }
            continue;
        }
        mutate(victim);
        if (only >= 0)
            printf("elf: %lu: victim %u, %zu bytes\n", n, victim, size);
        write_image("x", n);
        result = execute("x");
        refused += result < 0;
        signalled += result >= 0 && WIFSIGNALED(result);
        ended += result >= 0 && WIFEXITED(result);
        if (result < 0 && !is_known(-result)) {
            printf("elf: %lu: victim %u gives %s\n", n, victim, strerror(-result));
            failed++;
        }
    }
    unlink("x");
    chdir("/");
    rmdir("/tmp/elf");
    printf("elf: %lu refused, %lu ended by a signal, %lu by themselves\n", refused, signalled,
           ended);
    printf(failed ? "elf: FAILED (seed %#lx)\n" : "elf: passed (seed %#lx)\n", seed);
    return failed != 0;
}
