/* SPDX-License-Identifier: MIT */
/*
 * Errors told once to each who asks (include/vellum/error_sequence.h).
 *
 *      31                     13   12  11          0
 *     | number of told errors    |told|   -errno    |
 *
 * The number grows only at an error that follows one that was told: as long as nobody has looked,
 * many errors are one, and the word cannot run through all numbers between two looks.
 */
#include <vellum/compiler.h>
#include <vellum/error_sequence.h>

#define ERROR_MASK 0xfffU
#define TOLD       0x1000U
#define ONE_MORE   0x2000U

void error_sequence_record(error_sequence_t *word, int error)
{
    error_sequence_t old = READ_ONCE(*word), new;

    do {
        new = (old & ~(ERROR_MASK | TOLD)) | ((u32)-error & ERROR_MASK);
        if (old & TOLD)
            new += ONE_MORE;
    } while (new != old && !__atomic_compare_exchange_n(word, &old, new, true, __ATOMIC_RELEASE,
                                                        __ATOMIC_RELAXED));
}

error_sequence_t error_sequence_sample(const error_sequence_t *word)
{
    error_sequence_t now = READ_ONCE(*word);

    return now & TOLD ? now : 0;
}

int error_sequence_check(error_sequence_t *word, error_sequence_t *seen)
{
    error_sequence_t now = __atomic_load_n(word, __ATOMIC_ACQUIRE);

    if (now == *seen)
        return 0;
    while (!(now & TOLD) && !__atomic_compare_exchange_n(word, &now, now | TOLD, true,
                                                         __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        ;
    *seen = now | TOLD;
    return -(int)(now & ERROR_MASK);
}
