/* SPDX-License-Identifier: MIT */
/*
 * System calls about the machine as a whole: names, figures, power.
 */
#include "internal.h"
#include <vellum/page.h>
#include <vellum/printk.h>
#include <vellum/smp.h>
#include <vellum/string.h>
#include <vellum/swap.h>
#include <vellum/syscall.h>
#include <vellum/time.h>
#include <vellum/uaccess.h>
#include <vellum/version.h>
#include <linux/reboot.h>
#include <linux/sysinfo.h>
#include <linux/utsname.h>

/* ---- names --------------------------------------------------------------------------------------------- */

static DEFINE_MUTEX(name_mutex);
static char host_name[__NEW_UTS_LEN + 1] = "vellum";   /* [name_mutex] */
static char domain_name[__NEW_UTS_LEN + 1] = "(none)"; /* [name_mutex] */

static void name_get(char *to, const char *name)
{
    mutex_lock(&name_mutex);
    memcpy(to, name, sizeof(host_name));
    mutex_unlock(&name_mutex);
}

static int name_set(char *name, const char *from, unsigned length)
{
    if (length > __NEW_UTS_LEN)
        return -EINVAL;
    mutex_lock(&name_mutex);
    memset(name, 0, sizeof(host_name));
    memcpy(name, from, length);
    mutex_unlock(&name_mutex);
    return 0;
}

void host_name_get(char name[65])
{
    name_get(name, host_name);
}

void domain_name_get(char name[65])
{
    name_get(name, domain_name);
}

int host_name_set(const char *name, unsigned length)
{
    return name_set(host_name, name, length);
}

int domain_name_set(const char *name, unsigned length)
{
    return name_set(domain_name, name, length);
}

SYSCALL_DEFINE1(uname, struct new_utsname __user *, uts)
{
    struct new_utsname names = {
        .sysname = KERNEL_NAME,
        .release = KERNEL_RELEASE,
        .version = KERNEL_VERSION,
        .machine = ARCH_NAME,
    };

    host_name_get(names.nodename);
    domain_name_get(names.domainname);
    return copy_to_user(uts, &names, sizeof(names)) ? -EFAULT : 0;
}

static int set_system_name(char *name, const char __user *text, int length)
{
    char copy[__NEW_UTS_LEN];

    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (length < 0 || length > __NEW_UTS_LEN)
        return -EINVAL;
    return copy_from_user(copy, text, length) ? -EFAULT : name_set(name, copy, length);
}

SYSCALL_DEFINE2(sethostname, const char __user *, name, int, length)
{
    return set_system_name(host_name, name, length);
}

SYSCALL_DEFINE2(setdomainname, const char __user *, name, int, length)
{
    return set_system_name(domain_name, name, length);
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
    unsigned long loads[3];
    struct memory_counts m;
    struct swap_counts swap;
    struct sysinfo info;

    memory_counts(&m);
    swap_counts(&swap);
    memset(&info, 0, sizeof(info));
    info.uptime = ktime_get() / NSEC_PER_SEC;
    load_averages(loads);
    for (int i = 0; i < 3; i++)
        info.loads[i] = loads[i] << (SI_LOAD_SHIFT - LOAD_SHIFT);
    info.totalram = m.total * PAGE_SIZE;
    info.freeram = m.free * PAGE_SIZE;
    info.sharedram = m.shared * PAGE_SIZE;
    info.bufferram = block_pages() * PAGE_SIZE;
    info.totalswap = swap.total * PAGE_SIZE;
    info.freeswap = swap.free * PAGE_SIZE;
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
