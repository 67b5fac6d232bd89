/* SPDX-License-Identifier: MIT */
/*
 * System calls about the machine as a whole: names, figures, power.
 */
#include "internal.h"
#include <vellum/page.h>
#include <vellum/printk.h>
#include <vellum/smp.h>
#include <vellum/string.h>
#include <vellum/syscall.h>
#include <vellum/time.h>
#include <vellum/uaccess.h>
#include <linux/reboot.h>
#include <linux/sysinfo.h>
#include <linux/utsname.h>

/* ---- names --------------------------------------------------------------------------------------------- */

static DEFINE_MUTEX(name_mutex);

/* The release says which version of Linux's interface is kept to: C libraries look at it. */
static struct new_utsname names = { /* [name_mutex] node and domain */
    .sysname = "Linux",
    .nodename = "vellum",
    .release = "6.1.0-vellum",
    .version = "#1 SMP PREEMPT Vellum",
    .machine = ARCH_NAME,
    .domainname = "(none)",
};

void system_names(struct new_utsname *to)
{
    mutex_lock(&name_mutex);
    *to = names;
    mutex_unlock(&name_mutex);
}

SYSCALL_DEFINE1(uname, struct new_utsname __user *, uts)
{
    struct new_utsname copy;

    system_names(&copy);
    return copy_to_user(uts, &copy, sizeof(copy)) ? -EFAULT : 0;
}

static int set_system_name(char *name, const char __user *text, int length)
{
    char copy[__NEW_UTS_LEN + 1] = "";

    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (length < 0 || length > __NEW_UTS_LEN)
        return -EINVAL;
    if (copy_from_user(copy, text, length))
        return -EFAULT;
    mutex_lock(&name_mutex);
    memcpy(name, copy, sizeof(copy));
    mutex_unlock(&name_mutex);
    return 0;
}

SYSCALL_DEFINE2(sethostname, const char __user *, name, int, length)
{
    return set_system_name(names.nodename, name, length);
}

SYSCALL_DEFINE2(setdomainname, const char __user *, name, int, length)
{
    return set_system_name(names.domainname, name, length);
}

/* ---- figures --------------------------------------------------------------------------------------------- */

static unsigned count_threads(void)
{
    unsigned long flags = spin_lock_irqsave(&tree_lock);
    struct process *p;
    unsigned n = 0;

    list_for_each_entry(p, &all_processes, all_link)
        n += p->thread_count;
    spin_unlock_irqrestore(&tree_lock, flags);
    return n;
}

SYSCALL_DEFINE1(sysinfo, struct sysinfo __user *, uinfo)
{
    struct memory_counts m;
    struct sysinfo info;

    memory_counts(&m);
    memset(&info, 0, sizeof(info));
    info.uptime = ktime_get() / NSEC_PER_SEC;
    for (int i = 0; i < 3; i++)
        info.loads[i] = load_average[i] << (SI_LOAD_SHIFT - 11);
    info.totalram = m.total * PAGE_SIZE;
    info.freeram = m.free * PAGE_SIZE;
    info.sharedram = m.shared * PAGE_SIZE;
    info.bufferram = 0; /* the page cache holds files alone: they count as cached */
    info.procs = count_threads();
    info.mem_unit = 1;
    return copy_to_user(uinfo, &info, sizeof(info)) ? -EFAULT : 0;
}

SYSCALL_DEFINE3(getcpu, unsigned __user *, cpu, unsigned __user *, node, void __user *, unused)
{
    unsigned id = READ_ONCE(current->cpu)->id;

    if (cpu && put_user(id, cpu))
        return -EFAULT;
    return node ? put_user(0u, node) : 0;
}

/* ---- power ------------------------------------------------------------------------------------------------- */

static void stop_machine(const char *what)
{
    pr_info("reboot: %s", what);
    preempt_disable();
    smp_stop_others();
    irq_disable();
}


SYSCALL_DEFINE4(reboot, int, magic, int, magic2, unsigned, command, void __user *, arg)
{
    if (!capable(CAP_SYS_BOOT))
        return -EPERM;
    if ((unsigned)magic != LINUX_REBOOT_MAGIC1 ||
        (magic2 != LINUX_REBOOT_MAGIC2 && magic2 != LINUX_REBOOT_MAGIC2A &&
         magic2 != LINUX_REBOOT_MAGIC2B && magic2 != LINUX_REBOOT_MAGIC2C))
        return -EINVAL;
    switch (command) {
    case LINUX_REBOOT_CMD_CAD_ON:
    case LINUX_REBOOT_CMD_CAD_OFF:
        return 0; /* there is no keyboard whose keys it could be about */
    case LINUX_REBOOT_CMD_RESTART:
    case LINUX_REBOOT_CMD_RESTART2:
        stop_machine("restarting");
        arch_reset();
    case LINUX_REBOOT_CMD_POWER_OFF:
        stop_machine("power off");
        arch_power_off();
    case LINUX_REBOOT_CMD_HALT:
        stop_machine("halted");
        arch_halt();
    }
    return -EINVAL;
}
