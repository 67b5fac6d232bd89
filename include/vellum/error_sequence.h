/* SPDX-License-Identifier: MIT */
/*
 * Errors of a file that many have open, each of whom is to be told once (after Layton, "errseq").
 *
 * A file's word holds the last error and a number that grows with each error somebody has been told
 * of; an open file remembers the word as it was when it was told last. So recording costs no memory
 * for each open file, and whoever has not seen an error yet finds the word changed.
 */
#ifndef VELLUM_ERROR_SEQUENCE_H
#define VELLUM_ERROR_SEQUENCE_H

#include <vellum/types.h>

typedef u32 error_sequence_t; /* 0: there was never an error */

/* error: a negative errno. Any context, no lock. */
void error_sequence_record(error_sequence_t *word, int error);
/* What somebody remembers who begins now. An error that nobody has been told of he will be told. */
error_sequence_t error_sequence_sample(const error_sequence_t *word);
/* The last error since *seen, which is brought up to date; or 0. => the caller's lock guards *seen */
int error_sequence_check(error_sequence_t *word, error_sequence_t *seen);

#endif
