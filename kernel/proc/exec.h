/* SPDX-License-Identifier: MIT */
/*
 * The parts of execve(2): exec.c (the call), exec_args.c (strings), elf.c, script.c (formats).
 */
#ifndef KERNEL_PROC_EXEC_H
#define KERNEL_PROC_EXEC_H

#include "internal.h"
#include <vellum/fs.h>
#include <vellum/mm.h>

#define EXEC_HEAD       256 /* bytes of the file that decide its format; a #! line must fit */
#define EXEC_DEPTH      4   /* scripts that are interpreters of scripts */
#define EXEC_FRONT      (3 * (EXEC_DEPTH + 1))
#define EXEC_STRING_MAX (32 * PAGE_SIZE) /* of one string with its zero (execve(2)) */

/* argv and envp, copied from the old program (or the kernel) into frames of their own: first the
 * strings of argv, then those of envp, each with its zero, one after the other. */
struct exec_args {
    struct list pages; /* page->link */
    size_t used;       /* bytes in them */
    size_t limit;      /* of used */
    unsigned argc, envc;
    size_t argv_size;     /* bytes that belong to argv */
    bool drop_first;      /* a script takes the place of argv[0] */
    unsigned front_count; /* strings of the kernel that go before the rest of argv */
    char *front[EXEC_FRONT];
};

/* Where strings come from: a NULL-ended array in user or kernel memory. */
struct exec_strings {
    const vaddr_t __user *user;
    char *const *kernel; /* if not NULL */
};

int exec_args_copy(struct exec_args *args, const struct exec_strings *argv,
                   const struct exec_strings *envp);
void exec_args_free(struct exec_args *args);
/* Put copies of these before argv (second may be NULL), in the place of argv[0] for the first time. */
int exec_args_prepend(struct exec_args *args, const char *first, const char *second,
                      const char *third);
unsigned exec_args_count(const struct exec_args *args); /* argc as the program will see it */
/* Write strings, argv, envp and the auxiliary vector to the stack of the current mm, below e->
 * stack_top. Returns the stack pointer, or 0 if the memory cannot be written. */
struct exec;
vaddr_t exec_args_store(const struct exec *e);
size_t exec_stack_need(const struct exec *e); /* bytes, at most, that this writes */

struct elf_image {
    struct file *file;
    struct elf64_hdr *header;
    struct elf64_phdr *segments; /* header->e_phnum of them */
    vaddr_t bias;                /* added to the addresses in the file */
    vaddr_t entry;
};

struct exec {
    const char *name;    /* AT_EXECFN */
    bool name_is_closed; /* leads through a descriptor that exec closes: no use to an interpreter */
    struct file *file;   /* the file looked at now: the program, or a script */
    unsigned depth;      /* scripts so far */
    const char *script;  /* name of e->file, if that is an interpreter; else NULL */
    char script_buffer[EXEC_HEAD];
    u8 head[EXEC_HEAD] __aligned(8);
    struct exec_args args;
    struct elf_image program, interpreter; /* interpreter.file NULL: none */
    bool stack_executable;
    vaddr_t stack_top;
    struct mm *mm;     /* the new one, until it is active */
    struct cred *cred; /* likewise */
    bool secure;       /* AT_SECURE */
};

/* An executable regular file, opened, with writers kept out; or err_ptr. */
struct file *exec_open(int dirfd, const char *name, unsigned lookup);
void exec_close(struct file *file);
int exec_read_head(struct exec *e);

/* -ENOEXEC: not this format. script_load() replaces e->file by the interpreter. */
int script_load(struct exec *e);
/* Build e->mm from the file; 0 or -errno. */
int elf_load(struct exec *e);
/* In the new address space: clear what follows the segments' data. 0 or -EFAULT */
int elf_clear_tails(const struct elf_image *image);
void elf_images_free(struct exec *e);
/* Fill mm->auxv; random, platform: addresses on the stack. */
void elf_fill_auxv(const struct exec *e, vaddr_t random, vaddr_t platform, vaddr_t name);
vaddr_t elf_entry(const struct exec *e);

#endif
