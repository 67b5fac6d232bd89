/* SPDX-License-Identifier: MIT */
/*
 * What is in a core file (elf(5), "Notes"):
 *
 *     ELF header, type ET_CORE
 *     program headers      one PT_NOTE, then a PT_LOAD for each mapping
 *     notes                of the thread that died: NT_PRSTATUS (registers); of the process:
 *                          NT_PRPSINFO, NT_SIGINFO, NT_AUXV, NT_FILE (which files are mapped where);
 *                          its other sets of registers; then those of the other threads
 *     memory               page aligned; pages that were never touched are holes
 *
 * Which mappings are written, /proc/PID/coredump_filter says: by default what the process has of its
 * own, and the first page of programs and libraries, by which debuggers know them.
 */
#include "core.h"
#include <vellum/alloc.h>
#include <vellum/mm.h>
#include <vellum/string.h>
#include <linux/elf.h>

/* Bits of coredump_filter. */
enum {
    FILTER_PRIVATE_ANONYMOUS = 1,
    FILTER_SHARED_ANONYMOUS = 2,
    FILTER_PRIVATE_FILE = 4,
    FILTER_SHARED_FILE = 8,
    FILTER_ELF_HEADERS = 16,
};

/* ---- layouts, as the C library's <sys/procfs.h> has them; in a file they are aligned to 4 bytes only ----- */

struct time {
    s64 seconds, microseconds;
} __packed;

struct prstatus { /* the general registers and fpvalid follow */
    s32 signo, code, error;
    s16 current_signal;
    u16 padding;
    u64 pending, held;
    s32 pid, ppid, pgrp, session;
    struct time user, system, children_user, children_system;
} __packed;

struct prpsinfo {
    s8 state, letter, zombie, nice;
    u32 padding;
    u64 flags;
    u32 uid, gid;
    s32 pid, ppid, pgrp, session;
    char name[16], arguments[80];
} __packed;
static_assert(sizeof(struct prstatus) == 112 && sizeof(struct prpsinfo) == 136, "as on Linux");

/* ---- gathering notes ------------------------------------------------------------------------------------------ */

struct notes {
    char *data; /* NULL and failed: no memory */
    size_t size, room;
    bool failed;
};

static void *reserve(struct notes *n, size_t bytes)
{
    size_t room = max(n->room, (size_t)PAGE_SIZE);
    void *at;

    while (room < n->size + bytes)
        room *= 2;
    if (room != n->room && !n->failed) {
        char *data = kmalloc(room, ALLOC_KERNEL);

        if (data && n->data)
            memcpy(data, n->data, n->size);
        kfree(n->data);
        n->data = data;
        n->room = room;
        n->failed = !data;
    }
    if (n->failed)
        return NULL;
    at = n->data + n->size;
    memset(at, 0, bytes);
    n->size += bytes;
    return at;
}

/* A note of `size` bytes, to be filled in; NULL: no memory. */
static void *note(struct notes *n, const char *name, u32 type, size_t size)
{
    size_t name_size = ALIGN_UP(strlen(name) + 1, 4);
    char *at = reserve(n, sizeof(struct elf64_note) + name_size + ALIGN_UP(size, 4));
    struct elf64_note *head = (struct elf64_note *)at;

    if (!at)
        return NULL;
    head->n_namesz = strlen(name) + 1;
    head->n_descsz = size;
    head->n_type = type;
    memcpy(at + sizeof(*head), name, strlen(name));
    return at + sizeof(*head) + name_size;
}

/* A set of registers, by way of memory that is aligned for it. */
static void put_registers(struct notes *n, void *to, struct thread *t, unsigned type)
{
    size_t size = arch_regset_size(type);
    void *buffer = kmalloc(size, ALLOC_KERNEL);

    if (!buffer) {
        n->failed = true;
        return;
    }
    arch_regset_get(t, type, buffer);
    memcpy(to, buffer, size);
    kfree(buffer);
}

static struct time time_of(u64 ns)
{
    return (struct time){ns / NSEC_PER_SEC, ns % NSEC_PER_SEC / NSEC_PER_USEC};
}

static void note_status(struct notes *n, struct thread *t, const siginfo_t *info)
{
    size_t registers = arch_regset_size(NT_PRSTATUS);
    struct process *p = t->process;
    struct prstatus *s = note(n, "CORE", NT_PRSTATUS, sizeof(*s) + registers + 8);
    u64 user, system;

    if (!s)
        return;
    s->signo = s->current_signal = info->si_signo;
    s->pending = t->pending.set;
    s->held = t->blocked;
    s->pid = t->tid;
    s->ppid = p->parent_pid;
    s->pgrp = p->pgrp;
    s->session = p->session;
    thread_times(t, &user, &system);
    s->user = time_of(user);
    s->system = time_of(system);
    s->children_user = time_of(p->dead_children.user_ns);
    s->children_system = time_of(p->dead_children.system_ns);
    put_registers(n, s + 1, t, NT_PRSTATUS);
    *(s32 *)((char *)(s + 1) + registers) = 1; /* there are floating-point registers */
}

static void note_registers(struct notes *n, struct thread *t)
{
    for (const struct core_note *c = arch_core_notes; c->name; c++) {
        size_t size = arch_regset_size(c->type);
        void *at = size ? note(n, c->name, c->type, size) : NULL;

        if (at)
            put_registers(n, at, t, c->type);
    }
}

static void note_process(struct notes *n, struct thread *t)
{
    struct prpsinfo *i = note(n, "CORE", NT_PRPSINFO, sizeof(*i));
    struct process *p = t->process;
    struct mm *mm = t->mm;
    size_t length;

    if (!i)
        return;
    i->letter = 'R';
    i->nice = t->nice;
    i->uid = t->cred->uid;
    i->gid = t->cred->gid;
    i->pid = p->pid;
    i->ppid = p->parent_pid;
    i->pgrp = p->pgrp;
    i->session = p->session;
    memcpy(i->name, t->comm, sizeof(i->name));
    length = min(sizeof(i->arguments) - 1, (size_t)(mm->args_end - mm->args_start));
    length = mm_access(mm, mm->args_start, i->arguments, length, false, true);
    for (size_t k = 0; k < length; k++)
        if (i->arguments[k] == '\0')
            i->arguments[k] = ' ';
}

/* ---- mappings ----------------------------------------------------------------------------------------------------- */

struct mapping {
    vaddr_t start, end;
    u32 flags;
    u64 offset;
    u64 dumped; /* bytes of it that are in the file */
    bool anonymous;
    struct file *file; /* holds a reference */
};

struct mappings {
    struct mapping *all;
    unsigned n;
};

static u64 first_page_if_elf(struct mm *mm, const struct vma *vma)
{
    return vma->offset == 0 && (vma->flags & (VM_READ | VM_EXEC)) ? PAGE_SIZE : 0;
}

/* How much of a mapping is written. */
static u64 dumped_size(struct mm *mm, const struct vma *vma, u32 filter)
{
    u64 size = vma->end - vma->start;

    if (vma->flags & VM_DONTDUMP)
        return 0;
    if (vma->flags & VM_SPECIAL) /* the vDSO's code is ours to tell, its data change */
        return vma->flags & VM_EXEC ? size : 0;
    if (!vma->file)
        return filter & FILTER_PRIVATE_ANONYMOUS ? size : 0;
    if (vma->flags & VM_SHARED) {
        bool nameless = vma->file->inode->nlink == 0;

        return filter & (nameless ? FILTER_SHARED_ANONYMOUS : FILTER_SHARED_FILE) ? size : 0;
    }
    if ((vma->has_private && (filter & FILTER_PRIVATE_ANONYMOUS)) || (filter & FILTER_PRIVATE_FILE))
        return size;
    return filter & FILTER_ELF_HEADERS ? first_page_if_elf(mm, vma) : 0;
}

static int take_mappings(struct mappings *m, struct mm *mm, u32 filter)
{
    unsigned room = mm->vma_count + 16;
    struct vma *vma;

    m->all = kmalloc_array(room, sizeof(*m->all), ALLOC_KERNEL);
    if (!m->all)
        return -ENOMEM;
    read_lock(&mm->lock);
    for (vma = vma_first(mm); vma && m->n < room; vma = vma_next(vma))
        m->all[m->n++] = (struct mapping){
            .start = vma->start,
            .end = vma->end,
            .flags = vma->flags,
            .offset = vma->offset,
            .dumped = dumped_size(mm, vma, filter),
            .anonymous = !vma->file && !(vma->flags & VM_SPECIAL),
            .file = vma->file ? file_get(vma->file) : NULL,
        };
    read_unlock(&mm->lock);
    return 0;
}

static void drop_mappings(struct mappings *m)
{
    for (unsigned i = 0; i < m->n; i++)
        if (m->all[i].file)
            file_put(m->all[i].file);
    kfree(m->all);
}

static void put_word(char **at, u64 word)
{
    memcpy(*at, &word, sizeof(word));
    *at += sizeof(word);
}

/* NT_FILE: how many, the page size; start, end and page in the file of each; then the names. */
static void note_files(struct notes *n, const struct mappings *m)
{
    char *buffer = kmalloc(PATH_MAX, ALLOC_KERNEL);
    struct notes names = {0};
    unsigned count = 0;
    char *at;

    for (unsigned i = 0; i < m->n && buffer; i++) {
        const struct mapping *v = &m->all[i];
        const char *name = v->file ? path_name(&v->file->path, buffer, PATH_MAX) : NULL;
        char *to = name && !is_err(name) ? reserve(&names, strlen(name) + 1) : NULL;

        if (to)
            memcpy(to, name, strlen(name) + 1);
        else if (name && (to = reserve(&names, 1)))
            *to = '\0';
        count += v->file != NULL;
    }
    kfree(buffer);
    at =
        names.failed || !count ? NULL : note(n, "CORE", NT_FILE, 16 + (u64)count * 24 + names.size);
    if (at) {
        put_word(&at, count);
        put_word(&at, PAGE_SIZE);
        for (unsigned i = 0; i < m->n; i++)
            if (m->all[i].file) {
                put_word(&at, m->all[i].start);
                put_word(&at, m->all[i].end);
                put_word(&at, m->all[i].offset);
            }
        memcpy(at, names.data, names.size);
    }
    kfree(names.data);
}

static void gather_notes(struct notes *n, struct core *core, const struct mappings *m)
{
    struct thread *t = current;
    struct core_thread *c;
    void *at;

    note_status(n, t, core->info);
    note_process(n, t);
    if ((at = note(n, "CORE", NT_SIGINFO, sizeof(siginfo_t))))
        memcpy(at, core->info, sizeof(siginfo_t));
    if ((at = note(n, "CORE", NT_AUXV, t->mm->auxv_words * 8)))
        memcpy(at, t->mm->auxv, t->mm->auxv_words * 8);
    note_files(n, m);
    note_registers(n, t);
    list_for_each_entry(c, &core->parked, link) {
        note_status(n, c->thread, core->info);
        note_registers(n, c->thread);
    }
}

/* ---- writing --------------------------------------------------------------------------------------------------------- */

static int emit(struct core_file *out, const void *data, size_t n)
{
    size_t room = out->limit > out->position ? out->limit - out->position : 0;
    bool cut = n > room;
    ssize_t r;

    n = min(n, room);
    while (n > 0) {
        r = file_write_kernel(out->file, data, n, out->position);
        if (r <= 0)
            return r < 0 ? r : -EIO;
        out->position += r;
        data = (const char *)data + r;
        n -= r;
    }
    return cut ? -EFBIG : 0;
}

/* Leave a hole, unless it is the last thing in the file. */
static int skip(struct core_file *out, u64 n, bool last)
{
    static const char zero, zeros[512];
    int error = 0;

    if (out->is_pipe) {
        for (size_t piece; n && !error; n -= piece) {
            piece = min(n, sizeof(zeros));
            error = emit(out, zeros, piece);
        }
        return error;
    }
    if (out->position + n > out->limit)
        return -EFBIG;
    out->position += n;
    if (!last)
        return 0;
    out->position--;
    return emit(out, &zero, 1);
}

static int write_memory(struct core_file *out, const struct mappings *m)
{
    char *page = kmalloc(PAGE_SIZE, ALLOC_KERNEL);
    struct mm *mm = current->mm;
    int error = page ? 0 : -ENOMEM;
    bool hole = false;

    for (unsigned i = 0; i < m->n && !error; i++) {
        const struct mapping *v = &m->all[i];

        for (vaddr_t a = v->start; a < v->start + v->dumped && !error; a += PAGE_SIZE) {
            hole = (v->anonymous && mm_is_untouched(mm, a)) ||
                   mm_access(mm, a, page, PAGE_SIZE, false, true) != PAGE_SIZE;
            error = hole ? skip(out, PAGE_SIZE, false) : emit(out, page, PAGE_SIZE);
        }
    }
    if (!error && hole)
        error = skip(out, 0, true);
    kfree(page);
    return error;
}

static int write_headers(struct core_file *out, const struct mappings *m, u64 notes_size)
{
    struct elf64_hdr header = {
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_CORE,
        .e_machine = ELF_ARCH,
        .e_version = EV_CURRENT,
        .e_phoff = sizeof(header),
        .e_ehsize = sizeof(header),
        .e_phentsize = sizeof(struct elf64_phdr),
        .e_phnum = m->n + 1,
    };
    u64 offset = sizeof(header) + header.e_phnum * sizeof(struct elf64_phdr);
    struct elf64_phdr s = {.p_type = PT_NOTE, .p_offset = offset, .p_filesz = notes_size};
    int error = emit(out, &header, sizeof(header));

    if (!error)
        error = emit(out, &s, sizeof(s));
    offset = ALIGN_UP(offset + notes_size, PAGE_SIZE);
    for (unsigned i = 0; i < m->n && !error; i++) {
        const struct mapping *v = &m->all[i];

        s = (struct elf64_phdr){
            .p_type = PT_LOAD,
            .p_flags = (v->flags & VM_READ ? PF_R : 0) | (v->flags & VM_WRITE ? PF_W : 0) |
                       (v->flags & VM_EXEC ? PF_X : 0),
            .p_offset = offset,
            .p_vaddr = v->start,
            .p_filesz = v->dumped,
            .p_memsz = v->end - v->start,
            .p_align = PAGE_SIZE,
        };
        offset += v->dumped;
        error = emit(out, &s, sizeof(s));
    }
    return error;
}

int core_write(struct core *core, struct core_file *out)
{
    struct mappings m = {0};
    struct notes notes = {0};
    int error = take_mappings(&m, current->mm, current->process->core_filter);

    if (error)
        return error;
    gather_notes(&notes, core, &m);
    error = notes.failed ? -ENOMEM : write_headers(out, &m, notes.size);
    if (!error)
        error = emit(out, notes.data, notes.size);
    if (!error)
        error = skip(out, ALIGN_UP(out->position, PAGE_SIZE) - out->position, false);
    if (!error)
        error = write_memory(out, &m);
    kfree(notes.data);
    drop_mappings(&m);
    return error;
}
