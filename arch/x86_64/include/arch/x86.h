/* SPDX-License-Identifier: MIT */
/*
 * The processor, for arch/x86_64 alone: instructions as functions, registers' bits, what the
 * features of this processor are, and what the files here offer each other.
 */
#ifndef ARCH_X86_H
#define ARCH_X86_H

#include <vellum/arch.h>
#include <vellum/cpu.h>

/* ---- instructions ------------------------------------------------------------------------------ */

static inline u8 in8(u16 port)
{
    u8 v;

    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static inline u16 in16(u16 port)
{
    u16 v;

    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static inline u32 in32(u16 port)
{
    u32 v;

    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static inline void out8(u16 port, u8 v)
{
    __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static inline void out16(u16 port, u16 v)
{
    __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port));
}

static inline void out32(u16 port, u32 v)
{
    __asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}

static inline u64 rdmsr(u32 msr)
{
    u32 low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (u64)high << 32 | low;
}

static inline void wrmsr(u32 msr, u64 v)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

struct cpuid {
    u32 eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(u32 leaf, u32 subleaf)
{
    struct cpuid r;

    __asm__ volatile("cpuid"
                     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                     : "a"(leaf), "c"(subleaf));
    return r;
}

#define X86_REGISTER(name)                                                                         \
    static inline u64 read_##name(void)                                                            \
    {                                                                                              \
        u64 v;                                                                                     \
                                                                                                   \
        __asm__ volatile("mov %%" #name ", %0" : "=r"(v) : : "memory");                            \
        return v;                                                                                  \
    }                                                                                              \
    static inline void write_##name(u64 v)                                                         \
    {                                                                                              \
        __asm__ volatile("mov %0, %%" #name : : "r"(v) : "memory");                                \
    }
X86_REGISTER(cr0)
X86_REGISTER(cr2)
X86_REGISTER(cr3)
X86_REGISTER(cr4)

#define FSGSBASE_REGISTER(name)                                                                    \
    static inline u64 rd##name(void)                                                               \
    {                                                                                              \
        u64 v;                                                                                     \
                                                                                                   \
        __asm__ volatile("rd" #name " %0" : "=r"(v));                                              \
        return v;                                                                                  \
    }                                                                                              \
    static inline void wr##name(u64 v)                                                             \
    {                                                                                              \
        __asm__ volatile("wr" #name " %0" : : "r"(v));                                             \
    }
FSGSBASE_REGISTER(fsbase)
FSGSBASE_REGISTER(gsbase)

#define CR4_TSD        (1UL << 2)
#define CR4_PAE        (1UL << 5)
#define CR4_MCE        (1UL << 6)
#define CR4_PGE        (1UL << 7)
#define CR4_OSFXSR     (1UL << 9)
#define CR4_OSXMMEXCPT (1UL << 10)
#define CR4_UMIP       (1UL << 11)
#define CR4_FSGSBASE   (1UL << 16)
#define CR4_OSXSAVE    (1UL << 18)
#define CR4_SMEP       (1UL << 20)
#define CR4_SMAP       (1UL << 21)

#define MSR_APIC_BASE      0x1b
#define MSR_TSC_DEADLINE   0x6e0
#define MSR_X2APIC         0x800
#define MSR_STAR           0xc0000081
#define MSR_LSTAR          0xc0000082
#define MSR_CSTAR          0xc0000083
#define MSR_SYSCALL_MASK   0xc0000084
#define MSR_FS_BASE        0xc0000100
#define MSR_GS_BASE        0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102

/* ---- what the processor can -------------------------------------------------------------------------- */

struct x86_features { /* [i] after x86_features_init(), which the entry code calls */
    bool smep, smap, umip, fsgsbase, mce, gigabyte_pages, x2apic, tsc_deadline, rdrand, rdseed;
    bool xsave, xsaveopt, xsavec, erms;
    unsigned physical_bits;
};
extern struct x86_features x86;
extern u8 string_fast_bytes; /* for string.S and user_copy.S: rep movsb is the fast way */
void x86_features_init(void);

/* ---- processors ----------------------------------------------------------------------------------------- */

struct x86_tss {
    u32 reserved0;
    u64 rsp[3];
    u64 reserved1;
    u64 ist[7];
    u64 reserved2;
    u16 reserved3, io_map;
} __packed;

#define GDT_ENTRIES 11

enum { IST_NONE, IST_DEBUG, IST_NMI, IST_DOUBLE_FAULT, IST_MACHINE_CHECK, IST_COUNT };
#define IST_STACK_SIZE PAGE_SIZE

/* What switch_stack() leaves on the stack of a thread that does not run. */
struct switch_frame {
    u64 r15, r14, r13, r12, rbx, rbp, rip;
};

/* Flushes asked of other processors: smp.c. */
struct tlb_request {
    vaddr_t start, end;
    u64 waiting_for; /* [a] processors that have not done it */
};

struct arch_cpu {
    u64 gdt[GDT_ENTRIES];
    struct x86_tss tss;
    char *ist_stacks;         /* [i] IST_COUNT - 1 of them */
    struct thread *fpu_owner; /* [c] whose vector state is in the registers; NULL: nobody's */
    u64 timer_deadline;       /* [c] cycles; UINT64_MAX: not armed */
    u64 tlb_pending __cacheline_aligned; /* [a] processors whose tlb_request waits for us */
    struct tlb_request tlb;              /* ours */
} __cacheline_aligned;
/* [i] constant  [c] this processor only  [a] atomic */

extern struct arch_cpu boot_arch_cpu;
extern struct cpu *secondary_cpu; /* [a] boot.S: who is being started */
extern vaddr_t secondary_stack;
extern paddr_t secondary_page_table;

/* ---- vectors -------------------------------------------------------------------------------------------- */

enum {
    VECTOR_DEVICE_FIRST = 0x30,
    VECTOR_DEVICE_LAST = 0xdf,
    VECTOR_TIMER = 0xf0,
    VECTOR_TLB,
    VECTOR_IPI, /* IPI_COUNT of them */
    VECTOR_ERROR = 0xfe,
    VECTOR_SPURIOUS = 0xff,
};

void handle_exception(unsigned vector, struct trap_frame *frame);
void handle_interrupt(unsigned vector, struct trap_frame *frame);
void tlb_serve(void);

/* local APIC, IO-APIC: apic.c */
void lapic_init(void);     /* once */
void lapic_cpu_init(void); /* each processor */
u32 lapic_id(void);
void lapic_eoi(void);
void lapic_send(u32 apic_id, u32 command);
void lapic_timer_start(u32 count);
u32 lapic_timer_count(void);
void lapic_timer_mode(bool deadline);
void power_init(void); /* power.c; => memory can be mapped */
void ioapic_init(void);
int ioapic_route(unsigned gsi, unsigned vector, u32 apic_id, bool level, bool low);
void ioapic_mask(unsigned gsi);
unsigned ioapic_gsi_count(void);

#define LAPIC_INIT    0x4500 /* INIT, assert */
#define LAPIC_STARTUP 0x4600 /* + page */

/* irq.c, timer.c, fpu.c, paging.c, power.c */
unsigned isa_irq_to_gsi(unsigned irq, bool *level, bool *low);
void timer_calibrate(void);
void timer_vector(struct trap_frame *frame);
void timer_cpu_init(void);
void fpu_init(void);
void fpu_cpu_init(void);
void sort_exception_table(void);
void delay_us(u64 us); /* after timer_calibrate() */

/* ---- vector state: fpu.c ----------------------------------------------------------------------------------- */

extern unsigned fpu_area_size; /* [i] bytes at the top of each kernel stack, a multiple of 64 */
extern u64 fpu_features;       /* [i] XCR0 */
extern unsigned fpu_user_size; /* [i] of the state in a signal frame, as XSAVE writes it */

void fpu_save(void *area);
void fpu_save_copy(void *area);
void fpu_restore(const void *area);
void fpu_reset(void);
void fpu_save_standard(void *area);
u32 fpu_mxcsr_mask(void); /* of bits that may be set */
int fpu_save_user(void __user *to);
int fpu_restore_user(const void __user *from, u64 features);

/* ---- ACPI: acpi.c --------------------------------------------------------------------------------------------- */

struct acpi_gas {
    u8 space, width, offset, access;
    u64 address;
} __packed;

struct ioapic {
    u8 id;
    u32 gsi_base;
    paddr_t address;
    volatile u32 *registers;
    unsigned inputs;
    struct ioapic *next;
};

struct acpi_info {
    bool found;
    u32 lapic_address;
    unsigned cpu_count; /* usable ones, MAX_CPUS at the most are kept */
    unsigned cpus_ignored;
    u32 apic_ids[MAX_CPUS]; /* in the order of the table */
    struct ioapic ioapics[8];
    unsigned ioapic_count;
    struct {
        u32 gsi;
        bool level, low;
    } isa[16];         /* the 16 lines of ISA */
    u64 hpet_address;  /* 0: none */
    u16 pm_timer_port; /* 0: none */
    bool pm_timer_32;
    u16 pm1a_control, pm1b_control;
    bool sleep_known;
    u8 sleep_a, sleep_b; /* SLP_TYP of S5 */
    bool hardware_reduced;
    struct acpi_gas sleep_control; /* of hardware-reduced ACPI */
    bool reset_known;
    struct acpi_gas reset;
    u8 reset_value;
    u8 rtc_century;   /* CMOS register, 0: none */
    u64 ecam_address; /* 0: none */
    u8 ecam_first_bus, ecam_last_bus;
};
extern struct acpi_info acpi; /* [i] after acpi_init() */
void acpi_init(paddr_t rsdp); /* on the first page table: physical memory below 4 GiB is mapped */

#define BOOT_MAPPED (4UL << 30) /* physical memory that the first page table maps */
#define TRAMPOLINE  0x8000UL    /* page below 1 MiB where other processors start */

void early_console(void); /* devices.c: printk to the first UART, polled */

#include <vellum/thread.h>

/* ---- debuggers: ptrace.c, thread.c => interrupts off, t is current -------------------------------------------- */

void debug_registers_load(struct thread *t);
void debug_registers_off(void);
void debug_registers_hit(struct trap_frame *frame, u64 dr6);
void thread_bases_save(struct thread *t); /* to t->arch */
void thread_bases_load(struct thread *t, u64 fs_base, u64 gs_base);

static inline void *fpu_area(struct thread *thread)
{
    return (void *)(thread->stack + KERNEL_STACK_SIZE - fpu_area_size);
}

/* Below the vector state, just above the frame of user mode, where system call entry looks. */
struct syscall_gate {
    u64 limit; /* numbers from here on take the slow way: SYSCALL_MAX, or 0 if a debugger wants all */
    u64 unused; /* keeps the stack aligned */
};

static inline struct syscall_gate *syscall_gate(struct thread *thread)
{
    return (struct syscall_gate *)fpu_area(thread) - 1;
}

#endif
