/* SPDX-License-Identifier: MIT */
/*
 * ELF programs (elf(5); System V ABI, chapter 5): 64-bit, fixed (ET_EXEC) or position-independent
 * (ET_DYN), with or without an interpreter (the dynamic linker).
 *
 * Nothing is read but headers: each PT_LOAD segment becomes a mapping of the file, and what its memory
 * has beyond its bytes in the file becomes anonymous memory:
 *
 *       file      |......########|#####.........|
 *                 page           page           page
 *       memory    |......########|#####000000000|00000000000000|
 *                        ^ vaddr       ^ + filesz              ^ + memsz, rounded up
 *                 \_______ the file, private ___/\_ anonymous __/
 *
 * The bytes behind `+ filesz` in the last file page are the file's and are cleared in the new address
 * space (elf_clear_tails()).
 */
#include "exec.h"
#include <vellum/alloc.h>
#include <vellum/string.h>
#include <vellum/time.h>
#include <vellum/uaccess.h>
#include <linux/auxvec.h>
#include <linux/elf.h>
#include <linux/personality.h>
#include <linux/rseq.h>

#ifndef AT_RSEQ_FEATURE_SIZE /* newer than Linux 6.1's headers, and looked for by later libraries */
enum { AT_RSEQ_FEATURE_SIZE = 27, AT_RSEQ_ALIGN = 28 };
#endif

#define SEGMENTS_SIZE_MAX 65536
#define INTERPRETER_BASE                                                                           \
    (ALIGN_DOWN(USER_END / 3 * 2, PAGE_SIZE)) /* for position-independent programs */

static unsigned prot_of(const struct elf64_phdr *s)
{
    return (s->p_flags & PF_R ? PROT_READ : 0) | (s->p_flags & PF_W ? PROT_WRITE : 0) |
           (s->p_flags & PF_X ? PROT_EXEC : 0);
}

/* ---- headers ------------------------------------------------------------------------------------------ */

static bool header_ok(const struct elf64_hdr *h)
{
    return memcmp(h->e_ident, ELFMAG, SELFMAG) == 0 && h->e_ident[EI_CLASS] == ELFCLASS64 &&
           h->e_ident[EI_DATA] == ELFDATA2LSB && (h->e_type == ET_EXEC || h->e_type == ET_DYN) &&
           h->e_machine == ELF_ARCH && h->e_phentsize == sizeof(struct elf64_phdr) &&
           h->e_phnum > 0 && (size_t)h->e_phnum * sizeof(struct elf64_phdr) <= SEGMENTS_SIZE_MAX;
}

/* -EINVAL: what it says cannot be mapped; -ENOEXEC: it cannot mean what it says */
static int check_segment(const struct elf64_phdr *s)
{
    if (s->p_filesz > s->p_memsz || s->p_memsz > USER_END || s->p_vaddr > USER_END - s->p_memsz)
        return -EINVAL;
    if ((s->p_offset - s->p_vaddr) % PAGE_SIZE || s->p_offset > INT64_MAX - s->p_filesz)
        return -EINVAL;
    return s->p_align == 0 || IS_POWER_OF_2(s->p_align) ? 0 : -ENOEXEC;
}

/* Segments to be loaded ascend and do not overlap, and there is one at least. */
static int check_segments(const struct elf_image *image)
{
    vaddr_t end = 0;
    int error;

    for (unsigned i = 0; i < image->header->e_phnum; i++) {
        const struct elf64_phdr *s = &image->segments[i];

        if (s->p_type != PT_LOAD)
            continue;
        error = check_segment(s);
        if (error)
            return error;
        if (s->p_vaddr < end)
            return -ENOEXEC;
        end = max(s->p_vaddr + s->p_memsz, 1UL);
    }
    return end > 0 ? 0 : -ENOEXEC;
}

/* head: the first EXEC_HEAD bytes of the file. -ENOEXEC, -ENOMEM, -EIO */
static int read_headers(struct elf_image *image, const void *head)
{
    const struct elf64_hdr *h = head;
    size_t size;
    ssize_t n;

    if (!header_ok(h) || !image->file->ops->mmap)
        return -ENOEXEC;
    size = h->e_phnum * sizeof(struct elf64_phdr);
    image->header = kmalloc(sizeof(*h) + size, ALLOC_KERNEL);
    if (!image->header)
        return -ENOMEM;
    *image->header = *h;
    image->segments = (struct elf64_phdr *)(image->header + 1);
    if (h->e_phoff + size <= EXEC_HEAD && h->e_phoff < EXEC_HEAD) {
        memcpy(image->segments, (const u8 *)head + h->e_phoff, size);
    } else {
        if (h->e_phoff > INT64_MAX - size)
            return -ENOEXEC;
        n = file_read_kernel(image->file, image->segments, size, h->e_phoff);
        if (n != (ssize_t)size)
            return n < 0 ? n : -ENOEXEC;
    }
    return check_segments(image);
}

static const struct elf64_phdr *find_segment(const struct elf_image *image, unsigned type)
{
    for (unsigned i = 0; i < image->header->e_phnum; i++)
        if (image->segments[i].p_type == type)
            return &image->segments[i];
    return NULL;
}

/* ---- mapping ---------------------------------------------------------------------------------------------- */

/* First and last (exclusive) page-aligned address that the image covers, before the bias. */
static void image_extent(const struct elf_image *image, vaddr_t *start, vaddr_t *end,
                         vaddr_t *align)
{
    *start = ~0UL;
    *end = 0;
    *align = PAGE_SIZE;
    for (unsigned i = 0; i < image->header->e_phnum; i++) {
        const struct elf64_phdr *s = &image->segments[i];

        if (s->p_type != PT_LOAD)
            continue;
        *start = min(*start, ALIGN_DOWN(s->p_vaddr, PAGE_SIZE));
        *end = max(*end, ALIGN_UP(s->p_vaddr + s->p_memsz, PAGE_SIZE));
        *align = max(*align, s->p_align);
    }
}

static int map_segment(struct mm *mm, const struct elf_image *image, const struct elf64_phdr *s)
{
    vaddr_t start = s->p_vaddr + image->bias, page = ALIGN_DOWN(start, PAGE_SIZE);
    vaddr_t file_end = s->p_filesz ? ALIGN_UP(start + s->p_filesz, PAGE_SIZE) : page;
    vaddr_t end = ALIGN_UP(start + s->p_memsz, PAGE_SIZE);
    unsigned prot = prot_of(s);
    long r;

    if (file_end > page) {
        r = mm_map_in(mm, image->file, page, file_end - page, prot, MAP_PRIVATE | MAP_FIXED,
                      s->p_offset - (start - page));
        if (r < 0)
            return r;
    }
    if (end > file_end) {
        r = mm_map_in(mm, NULL, file_end, end - file_end, prot,
                      MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, 0);
        if (r < 0)
            return r;
    }
    return 0;
}

static void note_extent(struct mm *mm, const struct elf64_phdr *s, vaddr_t bias)
{
    vaddr_t start = s->p_vaddr + bias, end = start + s->p_filesz;

    if (s->p_flags & PF_X) {
        if (!mm->code_start)
            mm->code_start = start;
        mm->code_end = max(mm->code_end, end);
    } else if (s->p_flags & PF_W) {
        if (!mm->data_start)
            mm->data_start = start;
        mm->data_end = max(mm->data_end, end);
    }
}

static int map_image(struct mm *mm, const struct elf_image *image, bool program)
{
    for (unsigned i = 0; i < image->header->e_phnum; i++) {
        const struct elf64_phdr *s = &image->segments[i];
        int error;

        if (s->p_type != PT_LOAD || s->p_memsz == 0)
            continue;
        error = map_segment(mm, image, s);
        if (error)
            return error;
        if (program)
            note_extent(mm, s, image->bias);
    }
    return 0;
}

static bool may_randomize(void)
{
    return aslr_enabled && !(current->process->personality & ADDR_NO_RANDOMIZE);
}

/* A position-independent program goes to two thirds of the address space, far from everything else. */
static int place_program(struct elf_image *image)
{
    vaddr_t start, end, align, base = INTERPRETER_BASE;

    image_extent(image, &start, &end, &align);
    if (image->header->e_type == ET_EXEC)
        return start >= USER_START ? 0 : -ENOEXEC;
    if (may_randomize())
        base += mm_random_offset(28) % (USER_END / 128);
    base = ALIGN_DOWN(base, align);
    image->bias = base - start;
    return base < USER_END && end - start <= USER_END - base ? 0 : -ENOMEM;
}

/* The interpreter goes wherever mmap would put it. */
static int place_interpreter(struct mm *mm, struct elf_image *image)
{
    vaddr_t start, end, align;
    long base;

    image_extent(image, &start, &end, &align);
    if (image->header->e_type == ET_EXEC)
        return 0;
    base = mm_map_in(mm, NULL, 0, end - start, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, 0);
    if (base < 0)
        return base;
    image->bias = base - start;
    return 0;
}

int elf_clear_tails(const struct elf_image *image)
{
    for (unsigned i = 0; i < image->header->e_phnum; i++) {
        const struct elf64_phdr *s = &image->segments[i];
        vaddr_t end = s->p_vaddr + image->bias + s->p_filesz;

        if (s->p_type != PT_LOAD || s->p_memsz == s->p_filesz || s->p_filesz == 0 ||
            !(s->p_flags & PF_W) || end % PAGE_SIZE == 0)
            continue;
        if (clear_user((void __user *)end, PAGE_SIZE - end % PAGE_SIZE))
            return -EFAULT;
    }
    return 0;
}

/* ---- the vDSO -------------------------------------------------------------------------------------------------- */

static const char *vvar_name(struct vma *vma)
{
    return "[vvar]";
}

static const char *vdso_name(struct vma *vma)
{
    return "[vdso]";
}

static const struct vm_ops vvar_ops = {.name = vvar_name};
static const struct vm_ops vdso_ops = {.name = vdso_name};

#define VDSO_PAGES_MAX 4

/* The page with the clock, then the code that reads it. Without them programs make system calls. */
static int map_vdso(struct mm *mm)
{
    static struct page *pages[1 + VDSO_PAGES_MAX]; /* looked at as long as they are mapped */
    unsigned n = DIV_ROUND_UP((size_t)(vdso_end - vdso_start), PAGE_SIZE);
    vaddr_t hint = mm->mmap_top - (n + 1) * PAGE_SIZE;
    long vvar, vdso;

    if (n == 0 || n > VDSO_PAGES_MAX || !vvar_page)
        return 0;
    WRITE_ONCE(pages[0], vvar_page);
    for (unsigned i = 0; i < n; i++)
        WRITE_ONCE(pages[1 + i], phys_to_page(image_to_phys(vdso_start + i * PAGE_SIZE)));
    vvar = mm_map_special(mm, hint, pages, 1, PROT_READ, &vvar_ops);
    if (vvar < 0)
        return vvar;
    vdso = mm_map_special(mm, vvar + PAGE_SIZE, pages + 1, n, PROT_READ | PROT_EXEC, &vdso_ops);
    if (vdso < 0)
        return vdso;
    if (vdso == vvar + (long)PAGE_SIZE)
        mm->vdso = vdso;
    return 0;
}

/* ---- loading ----------------------------------------------------------------------------------------------------- */

static int open_interpreter(struct exec *e, const struct elf64_phdr *s)
{
    u8 head[EXEC_HEAD] __aligned(8);
    struct file *file;
    ssize_t n = -ENOEXEC;
    char *name;

    if (s->p_filesz < 2 || s->p_filesz > PATH_MAX)
        return -ENOEXEC;
    name = kmalloc(s->p_filesz, ALLOC_KERNEL);
    if (!name)
        return -ENOMEM;
    n = file_read_kernel(e->program.file, name, s->p_filesz, s->p_offset);
    if (n != (ssize_t)s->p_filesz || name[n - 1] != '\0') {
        kfree(name);
        return n < 0 ? n : -ENOEXEC;
    }
    file = exec_open(AT_FDCWD, name, LOOKUP_FOLLOW);
    kfree(name);
    if (is_err(file))
        return ptr_err(file);
    e->interpreter.file = file;
    n = file_read_kernel(file, head, sizeof(head), 0);
    if (n < (ssize_t)sizeof(struct elf64_hdr))
        return n < 0 ? n : -ELIBBAD;
    memset(head + n, 0, sizeof(head) - n);
    n = read_headers(&e->interpreter, head);
    return n == -ENOEXEC ? -ELIBBAD : n;
}

/* Room for what is put there now, and some more to begin with; it grows on demand. */
static int map_stack(struct exec *e)
{
    struct mm *mm = e->mm;
    vaddr_t top = USER_END - PAGE_SIZE;
    size_t size = ALIGN_UP(exec_stack_need(e), PAGE_SIZE) + 32 * PAGE_SIZE;
    unsigned prot = PROT_READ | PROT_WRITE | (e->stack_executable ? PROT_EXEC : 0);
    long r;

    if (may_randomize())
        top -= ALIGN_DOWN(mm_random_offset(28) % (USER_END / 8192), PAGE_SIZE);
    e->stack_top = mm->stack_start = top;
    if (size > process_limit(RLIMIT_STACK))
        size = max(ALIGN_UP(exec_stack_need(e), PAGE_SIZE),
                   ALIGN_DOWN(process_limit(RLIMIT_STACK), PAGE_SIZE));
    r = mm_map_in(mm, NULL, top - size, size, prot,
                  MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_STACK, 0);
    return r < 0 ? r : 0;
}

static int build_mm(struct exec *e)
{
    vaddr_t start, end, align;
    struct mm *mm = e->mm;
    int error = place_program(&e->program);

    if (error || (error = map_vdso(mm)) != 0 || (error = map_stack(e)) != 0)
        return error;
    error = map_image(mm, &e->program, true);
    if (error)
        return error;
    if (e->interpreter.file) {
        error = place_interpreter(mm, &e->interpreter);
        if (!error)
            error = map_image(mm, &e->interpreter, false);
        if (error)
            return error;
    }
    image_extent(&e->program, &start, &end, &align);
    end += e->program.bias;
    if (may_randomize())
        end = ALIGN_UP(end, PAGE_SIZE) + mm_random_offset(13);
    mm_set_brk(mm, end);
    return 0;
}

int elf_load(struct exec *e)
{
    const struct elf64_phdr *s;
    int error;

    e->program.file = e->file;
    error = read_headers(&e->program, e->head);
    if (error)
        return error;
    s = find_segment(&e->program, PT_GNU_STACK);
    e->stack_executable = s && (s->p_flags & PF_X);
    s = find_segment(&e->program, PT_INTERP);
    if (s && (error = open_interpreter(e, s)) != 0)
        return error;
    e->mm = mm_create();
    if (!e->mm)
        return -ENOMEM;
    error = build_mm(e);
    if (error)
        return error;
    e->program.entry = e->program.header->e_entry + e->program.bias;
    if (e->interpreter.file)
        e->interpreter.entry = e->interpreter.header->e_entry + e->interpreter.bias;
    return 0;
}

vaddr_t elf_entry(const struct exec *e)
{
    return e->interpreter.file ? e->interpreter.entry : e->program.entry;
}

void elf_images_free(struct exec *e)
{
    kfree(e->program.header);
    kfree(e->interpreter.header);
    if (e->interpreter.file)
        exec_close(e->interpreter.file);
}

/* ---- the auxiliary vector -------------------------------------------------------------------------------------------- */

/* Where the program headers are in memory: in the segment that holds them. */
static vaddr_t headers_address(const struct elf_image *image)
{
    u64 offset = image->header->e_phoff;

    for (unsigned i = 0; i < image->header->e_phnum; i++) {
        const struct elf64_phdr *s = &image->segments[i];

        if (s->p_type == PT_LOAD && s->p_offset <= offset && offset < s->p_offset + s->p_filesz)
            return s->p_vaddr + image->bias + (offset - s->p_offset);
    }
    return 0;
}

static void add(struct mm *mm, u64 type, u64 value)
{
    assert(mm->auxv_words + 2 <= ARRAY_SIZE(mm->auxv));
    mm->auxv[mm->auxv_words++] = type;
    mm->auxv[mm->auxv_words++] = value;
}

void elf_fill_auxv(const struct exec *e, vaddr_t random, vaddr_t platform, vaddr_t name)
{
    const struct cred *c = current->cred;
    struct mm *mm = current->mm;

    mm->auxv_words = 0;
    if (mm->vdso)
        add(mm, AT_SYSINFO_EHDR, mm->vdso);
    add(mm, AT_MINSIGSTKSZ, arch_signal_frame_size());
    add(mm, AT_HWCAP, arch_hwcap());
    add(mm, AT_PAGESZ, PAGE_SIZE);
    add(mm, AT_CLKTCK, 100);
    add(mm, AT_PHDR, headers_address(&e->program));
    add(mm, AT_PHENT, sizeof(struct elf64_phdr));
    add(mm, AT_PHNUM, e->program.header->e_phnum);
    add(mm, AT_BASE, e->interpreter.file ? e->interpreter.bias : 0);
    add(mm, AT_FLAGS, 0);
    add(mm, AT_ENTRY, e->program.entry);
    add(mm, AT_UID, c->uid);
    add(mm, AT_EUID, c->euid);
    add(mm, AT_GID, c->gid);
    add(mm, AT_EGID, c->egid);
    add(mm, AT_SECURE, e->secure);
    add(mm, AT_RANDOM, random);
    add(mm, AT_HWCAP2, arch_hwcap2());
    add(mm, AT_EXECFN, name);
    if (platform)
        add(mm, AT_PLATFORM, platform);
    add(mm, AT_RSEQ_FEATURE_SIZE, offsetof(struct rseq, flags) + sizeof(u32));
    add(mm, AT_RSEQ_ALIGN, __alignof__(struct rseq));
    add(mm, AT_NULL, 0);
}
