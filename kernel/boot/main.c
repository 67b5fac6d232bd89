/* SPDX-License-Identifier: MIT */
/*
 * The order in which the kernel starts.
 *
 * The machine's entry code has found memory and calls kernel_main() on the boot processor, which
 * runs the first list of levels there, becoming CPU 0's idle thread; the second list runs in the
 * first thread, which may sleep and which in the end becomes init.
 */
#include <vellum/alloc.h>
#include <vellum/block.h>
#include <vellum/boot.h>
#include <vellum/compaction.h>
#include <vellum/cpu.h>
#include <vellum/device.h>
#include <vellum/error.h>
#include <vellum/fs.h>
#include <vellum/khugepaged.h>
#include <vellum/mm.h>
#include <vellum/printk.h>
#include <vellum/process.h>
#include <vellum/provoke.h>
#include <vellum/reclaim.h>
#include <vellum/smp.h>
#include <vellum/string.h>
#include <vellum/syscall.h>
#include <vellum/sysfs.h>
#include <vellum/time.h>
#include <vellum/tty.h>
#include <vellum/virtio.h>

struct level {
    const char *name;
    void (*run)(void);
};

#define MIN_MEMORY (16UL << 20)

static void log_level_init(void)
{
    log_set_console_level(boot_param("quiet") ? LOG_WARNING
                                              : boot_param_u64("loglevel", LOG_DEBUG));
    pr_info("Vellum, %s; command line: %s", ARCH_NAME, boot_info.command_line);
}

static void boot_cpu_setup(void)
{
    arch_cpu_init(&boot_cpu);
}

static void memory_check(void)
{
    if (boot_memory_total() < MIN_MEMORY - (2UL << 20)) /* firmware takes some of it */
        panic("too little memory: %llu KiB found, 16 MiB needed",
              (unsigned long long)boot_memory_total() / 1024);
}

static const struct level early_levels[] = {
    {"command line", log_level_init}, {"boot processor", boot_cpu_setup},
    {"memory size", memory_check},    {"page tables", arch_paging_init},
    {"page frames", frames_init},     {"object caches", object_caches_init},
    {"address spaces", mm_init},      {"scheduler", sched_init},
    {"interrupts", arch_irq_init},    {"clock", time_init},
    {"processes", process_init},
};

/* ---- the other processors ------------------------------------------------------------------------- */

#define START_LIMIT (30 * NSEC_PER_SEC) /* for all of them: emulated, they share a few real ones */

/* Kick them all, then wait for them all: each has a way to go through firmware and its own set-up. */
static void start_processors(void)
{
    unsigned n = arch_smp_discover();
    u64 give_up = ktime_get() + START_LIMIT;
    bool kicked[MAX_CPUS];

    memory_smp_init();
    for (unsigned i = 1; i < n; i++)
        kicked[i] = arch_smp_start(cpus[i]) == 0;
    for (unsigned i = 1; i < n; i++) {
        while (kicked[i] && !__atomic_load_n(&cpus[i]->online, __ATOMIC_ACQUIRE) &&
               ktime_get() < give_up)
            cpu_relax();
        if (!__atomic_load_n(&cpus[i]->online, __ATOMIC_ACQUIRE))
            pr_err("smp: processor %u does not answer", i);
    }
    pr_info("smp: %d of %u processors online", __builtin_popcountll(cpus_online.bits), n);
}

void secondary_main(struct cpu *cpu)
{
    arch_cpu_init(cpu);
    mm_activate(NULL);
    __atomic_fetch_or(&cpus_online.bits, BIT(cpu->id), __ATOMIC_RELEASE);
    __atomic_store_n(&cpu->online, true, __ATOMIC_RELEASE);
    irq_enable();
    idle_loop();
}

/* ---- what runs in the first thread ------------------------------------------------------------------ */

static void unpack_root(void)
{
    u64 size = boot_info.initrd_end - boot_info.initrd_start;
    int error;

    if (size == 0)
        return;
    error = initramfs_unpack();
    if (error)
        pr_err("initramfs: damaged or too large (error %d)", -error);
    pr_info("initramfs: %llu KiB unpacked", (unsigned long long)size / 1024);
}

static void mount_devices(void)
{
    struct file *dev = file_open("/dev", O_RDONLY | O_DIRECTORY, 0);

    if (is_err(dev))
        return; /* no such directory: the user does not want it */
    file_put(dev);
    mount_at("devfs", "/dev", "devtmpfs", 0, NULL);
}

static const struct level late_levels[] = {
    {"processors", start_processors},
    {"reclaim", reclaim_init},
    {"compaction", compaction_init},
    {"huge pages", khugepaged_init},
    {"file systems", vfs_init},
    {"device nodes", devfs_init},
    {"pseudo-terminal names", devpts_init},
    {"process file system", procfs_init},
    {"sysfs", sysfs_init},
    {"memory devices", mem_devices_init},
    {"terminals", tty_init},
    {"pseudo-terminals", pty_init},
    {"block special files", block_files_init},
    {"disks in memory", ram_disks_init},
    {"devices", arch_devices_init},
    {"serial ports", uart_init},
    {"PCI", pci_init},
    {"virtio", virtio_init},
    {"root", unpack_root},
    {"device directory", mount_devices},
#ifdef VELLUM_DEBUG
    {"mistakes on purpose", debug_mistakes_init},
#endif
};

/* ---- init --------------------------------------------------------------------------------------------- */

#define INIT_WORDS 64

/* Only returns if the program cannot be run. */
static int run_init(const char *path)
{
    char *argv[INIT_WORDS], *envp[INIT_WORDS];

    boot_init_arguments(path, argv, envp, INIT_WORDS);
    return exec_kernel(path, argv, envp);
}

static void choose_init(void)
{
    static const char *const usual[] = {"/sbin/init", "/etc/init", "/bin/init", "/bin/sh"};
    const char *first = boot_param("rdinit"), *init = boot_param("init");
    int error;

    if (init && !first) {
        /* A program named by hand, such as a shell, is to have job control at the console. */
        if (session_create() > 0)
            tty_console_attach();
        error = run_init(init);
        if (error == 0)
            return;
        panic("init %s cannot be run (error %d)", init, -error);
    }
    error = run_init(first ? first : "/init");
    if (error == 0)
        return;
    if (first)
        panic("init %s cannot be run (error %d)", first, -error);
    for (unsigned i = 0; i < ARRAY_SIZE(usual); i++)
        if (run_init(usual[i]) == 0)
            return;
    panic("no init found: give an initramfs with -initrd, or name a program with init=");
}

static void open_console(void)
{
    struct file *console = file_open("/dev/console", O_RDWR, 0);

    if (is_err(console)) {
        pr_warn("no /dev/console: init starts without files");
        return;
    }
    for (int i = 0; i < 3; i++) {
        int fd = fd_reserve(0, false);

        if (fd >= 0)
            fd_install(fd, file_get(console));
    }
    file_put(console);
}

static int first_thread(void *unused)
{
    struct memory_counts m;
    u64 ns;

    for (unsigned i = 0; i < ARRAY_SIZE(late_levels); i++)
        late_levels[i].run();
    boot_free_init_memory();
    open_console();
    choose_init();
    memory_counts(&m);
    ns = ktime_get();
    pr_info("boot: %llu.%03llu ms from entry to init; %llu KiB of %llu KiB in use",
            (unsigned long long)ns / 1000000, (unsigned long long)ns / 1000 % 1000,
            (unsigned long long)(boot_memory_total() / 1024 - m.free * (PAGE_SIZE / 1024)),
            (unsigned long long)boot_memory_total() / 1024);
    return 0;
}

void kernel_main(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(early_levels); i++)
        early_levels[i].run();
    tick_start();
    init_process_start(first_thread, NULL);
    idle_loop();
}

/* ---- system calls that are not there ------------------------------------------------------------------- */

long syscall_missing(unsigned long number)
{
    static u64 logged[SYSCALL_MAX / 64];

    if (number < SYSCALL_MAX && syscall_names[number] &&
        !(__atomic_fetch_or(&logged[number / 64], BIT(number % 64), __ATOMIC_RELAXED) &
          BIT(number % 64)))
        pr_info("system call %s is not there (asked for by %s)", syscall_names[number],
                current->comm);
    return -ENOSYS;
}
