/* SPDX-License-Identifier: MIT */
/*
 * What the files of this folder share with each other and with nobody else.
 */
#ifndef RISCV64_MACHINE_H
#define RISCV64_MACHINE_H

#include <vellum/arch.h>
#include <vellum/device.h>
#include <vellum/fdt.h>

#define OVERFLOW_STACK_ORDER 1
#define OVERFLOW_STACK_SIZE  (PAGE_SIZE << OVERFLOW_STACK_ORDER)

/* cpu->arch: the machine's part of a processor. */
struct arch_cpu {
    vaddr_t overflow_stack;   /* [i] top: for the report that the kernel stack has overflowed */
    struct thread *fpu_owner; /* [c] whose registers are in the FPU, if it says so too */
    u32 ipis;                 /* [a] enum ipi, as bits: sent and not yet seen */
    void *plic_context;       /* [i] threshold and claim registers of this hart */
    u32 *plic_enable;         /* [i] one bit for each line */
    int node;                 /* [i] in the device tree */
};
/* [i] set before the CPU starts, then constant  [c] this CPU only  [a] atomic */

/* What a hart that firmware has just started needs to get into the kernel (boot.S). */
struct secondary_start {
    u64 satp;
    vaddr_t entry, stack;
    struct thread *thread;
    u64 hart;
};
extern struct secondary_start secondary_starts[]; /* by CPU number; of those not asked for zeros */

/* What arch_switch() leaves on the stack of a thread that does not run (entry.S). */
struct switch_frame {
    unsigned long ra, s[12], gp;
};

extern struct fdt device_tree; /* [i] */
extern struct arch_cpu boot_arch_cpu;
extern char boot_page_table[], boot_stack[], boot_stack_guard[], boot_overflow_stack[];

/* kernel.ld, all page aligned */
extern char image_start[], text_end[], rodata_start[], rodata_end[], init_text_start[],
    init_text_end[], init_start[], init_end[], data_start[], symbols_start[], image_end[];
extern char bss_start[], bss_end[];
extern const u64 machine_range[2]; /* our own firmware: start and end, equal if there is none */

/* entry.S */
void trap_entry(void);
void secondary_entry(void);
void secondary_in_virtual_memory(void);
void secondary_start(struct cpu *cpu) __noreturn;
void kernel_thread_start(void);
void fork_return(void);
extern char syscall_return[], whole_frame_call_return[]; /* where system calls return to */
void return_to_user(struct trap_frame *frame) __noreturn;

/* traps.c */
void trap_from_user(struct trap_frame *frame, u64 cause, vaddr_t address);
void trap_from_kernel(struct trap_frame *frame, u64 cause, vaddr_t address);
void trap_stack_overflow(struct trap_frame *frame, u64 cause, vaddr_t address) __noreturn;

/* fpu.S => sstatus.FS not off */
void fpu_save(struct __riscv_d_ext_state *state);
void fpu_load(const struct __riscv_d_ext_state *state);

/* cpu.c */
bool isa_has(const char *extension); /* of all harts: a letter, or a name such as "sstc" */
void isa_discover(void);
void fpu_init_state(void);     /* of the current thread, whose first use this is */
void fpu_forget_current(void); /* it has not used any (exec) */
void fpu_save_current(void);   /* the current thread's registers to memory, if they are newer */
void fpu_replace_current(const struct __riscv_d_ext_state *state); /* it has these from now on */
void fpu_switch(struct thread *prev, struct thread *next);

/* paging.c */
bool paging_fix_accessed(vaddr_t address, u32 access); /* set A and D for a machine that does not */

/* start.c */
void boot_start(u64 hart, paddr_t fdt, u64 entry_cycles) __noreturn;
extern paddr_t boot_image_base; /* [i] where the image lies */
int boot_cpu_node(u64 hart);    /* in the device tree, or FDT_NONE */

/* irq.c, timer.c, smp.c, devices.c */
void irq_cpu_add(struct cpu *cpu); /* find its registers in the interrupt controller */
void irq_cpu_init(struct cpu *cpu);
void irq_external(void);
void power_init(void);
void timer_cpu_init(void);
void timer_disarm(void);
void ipi_received(void);
void early_uart_init(void);          /* the console: first UART of the device tree */
void early_uart_map(vaddr_t va);     /* its registers have moved */
extern paddr_t early_uart_registers; /* page that must stay mapped, or 0 */

/* sbi.c: 0 or a negative errno */
void sbi_init(void);
bool sbi_has(long extension);
u64 sbi_machine_id(unsigned which); /* mvendorid, marchid, mimpid */
int sbi_hart_start(u64 hart, paddr_t entry, u64 argument);
int sbi_set_timer(u64 deadline);
int sbi_send_ipi(const cpumask_t *mask);
int sbi_remote_fence_i(const cpumask_t *mask);
int sbi_remote_sfence(const cpumask_t *mask, vaddr_t start, u64 size);
int sbi_reset(u32 type);
enum { SBI_SHUTDOWN, SBI_REBOOT };
void sbi_console_write(const char *text);

#endif
