/* SPDX-License-Identifier: MIT */
/*
 * riscv_hwprobe(2): what the harts can do, by keys and values. Newer than Linux 6.1, whose headers
 * do not have it yet; C libraries of later systems ask for it when they start (Linux's
 * Documentation/arch/riscv/hwprobe.rst).
 */
#include "machine.h"
#include <vellum/error.h>
#include <vellum/syscall.h>
#include <vellum/uaccess.h>

struct hwprobe_pair {
    s64 key; /* -1: it is not known here */
    u64 value;
};

enum {
    KEY_VENDOR,
    KEY_ARCHITECTURE,
    KEY_IMPLEMENTATION,
    KEY_BASE_BEHAVIOUR,
    KEY_EXTENSIONS,
    KEY_PERFORMANCE,
};

#define BASE_IMA           1UL
#define MISALIGNED_UNKNOWN 0UL /* of KEY_PERFORMANCE: nothing is claimed of misaligned accesses */
#define EXTENSION_FD       BIT(0)
#define EXTENSION_C        BIT(1)
#define EXTENSION_ZBA      BIT(3)
#define EXTENSION_ZBB      BIT(4)
#define EXTENSION_ZBS      BIT(5)

static u64 extensions(void)
{
    return (isa_has("f") && isa_has("d") ? EXTENSION_FD : 0) | (isa_has("c") ? EXTENSION_C : 0) |
           (isa_has("zba") ? EXTENSION_ZBA : 0) | (isa_has("zbb") ? EXTENSION_ZBB : 0) |
           (isa_has("zbs") ? EXTENSION_ZBS : 0);
}

static void answer(struct hwprobe_pair *pair)
{
    switch (pair->key) {
    case KEY_VENDOR:
    case KEY_ARCHITECTURE:
    case KEY_IMPLEMENTATION:
        pair->value = sbi_machine_id((unsigned)(pair->key - KEY_VENDOR));
        break;
    case KEY_BASE_BEHAVIOUR:
        pair->value = BASE_IMA;
        break;
    case KEY_EXTENSIONS:
        pair->value = extensions();
        break;
    case KEY_PERFORMANCE:
        pair->value = MISALIGNED_UNKNOWN;
        break;
    default:
        pair->key = -1;
        pair->value = 0;
    }
}

/* All harts are taken to be alike, so the set of them only has to have one that is there. */
static int check_cpus(size_t size, const void __user *ucpus)
{
    cpumask_t cpus = {};

    if (size == 0 && !ucpus)
        return 0;
    if (copy_from_user(&cpus, ucpus, min(size, sizeof(cpus))))
        return -EFAULT;
    return cpus.bits & cpus_online.bits ? 0 : -EINVAL;
}

SYSCALL_DEFINE5(riscv_hwprobe, struct hwprobe_pair __user *, pairs, size_t, count, size_t, size,
                const void __user *, cpus, unsigned, flags)
{
    int error = flags ? -EINVAL : check_cpus(size, cpus);

    if (error)
        return error;
    for (size_t i = 0; i < count; i++) {
        struct hwprobe_pair pair;

        if (get_user(pair.key, &pairs[i].key))
            return -EFAULT;
        answer(&pair);
        if (copy_to_user(&pairs[i], &pair, sizeof(pair)))
            return -EFAULT;
    }
    return 0;
}
