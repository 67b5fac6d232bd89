/* SPDX-License-Identifier: MIT */
/*
 * The contended path of spinlocks, and the checks of debug builds.
 *
 * A test-and-set lock, spun on by reading: under an emulator or a hypervisor the processor whose
 * turn it would be in a fair (ticket) lock may not be running at all.
 */
#include <vellum/sync.h>

void spin_wait(spinlock_t *lock)
{
    u64 spins = 0;

    do {
        while (__atomic_load_n(&lock->locked, __ATOMIC_RELAXED)) {
            cpu_relax();
#ifdef VELLUM_DEBUG
            if (++spins == 4000000000ULL)
                panic("spinlock %p stuck: held by CPU %d since ...%x", (void *)lock,
                      lock->owner_cpu - 1, lock->holder);
#endif
        }
        (void)spins;
    } while (__atomic_exchange_n(&lock->locked, 1, __ATOMIC_ACQUIRE));
}

#ifdef VELLUM_DEBUG
void spin_init(spinlock_t *lock)
{
    *lock = (spinlock_t)SPINLOCK_INIT;
    lock_id_init(&lock->id, LOCKDEP_HERE);
}

void spin_debug_lock(spinlock_t *lock, unsigned nested)
{
    if (current->preempt_count == 0 && irqs_enabled())
        panic("spinlock %p taken with preemption on", (void *)lock);
    if (READ_ONCE(lock->owner_cpu) == this_cpu()->id + 1)
        panic("spinlock %p taken twice; first at ...%x", (void *)lock, lock->holder);
    lockdep_order(&lock->id, lock, nested, true, LOCKDEP_HERE);
}

void spin_debug_locked(spinlock_t *lock, unsigned nested)
{
    lockdep_taken(&lock->id, lock, nested, true, LOCKDEP_HERE);
    lock->owner_cpu = this_cpu()->id + 1;
    lock->holder = (u32)(vaddr_t)__builtin_return_address(0);
}

void spin_debug_unlock(spinlock_t *lock)
{
    if (!spin_held(lock))
        panic("spinlock %p released by CPU %u, held by CPU %d", (void *)lock, this_cpu()->id,
              lock->owner_cpu - 1);
    lock->owner_cpu = 0;
    lockdep_released(lock, true);
}

bool spin_held(const spinlock_t *lock)
{
    return lock->locked && lock->owner_cpu == this_cpu()->id + 1;
}

void assert_may_sleep_at(const char *file, int line)
{
    if (current == &boot_thread && boot_cpu.counters.switches == 0)
        return; /* start-up: there is nobody whom a lock could have to wait for */
    if (current->preempt_count > 0 || !irqs_enabled() || this_cpu()->irq_depth > 0)
        panic("sleeping where it must not: %s:%d (preempt_count %d, interrupts %s)", file, line,
              current->preempt_count, irqs_enabled() ? "on" : "off");
}
#endif
