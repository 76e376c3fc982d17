/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Heap allocation with a failure that a test can order.
 *
 * Every allocation of every room goes through here, so that a test can replay
 * a scenario with the n-th allocation of the calling thread failing, for all n,
 * until the scenario passes. Memory comes zeroed. Null means out of memory and
 * is never fatal.
 */
#ifndef NB_BASE_ALLOC_H
#define NB_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

void *nb_zalloc(size_t size);
void *nb_calloc(size_t n, size_t size);	 /* null on overflow of n * size too */
void *nb_realloc(void *p, size_t n, size_t size); /* grown part is not zeroed */
void *nb_aligned_zalloc(size_t align, size_t size);
void nb_free(void *p);

/* The n-th injectable call of this thread from now on fails; 0 disarms. */
void nb_fail_nth_arm(unsigned long n);
/* True when the armed failure has happened. Disarms. */
bool nb_fail_nth_fired(void);
/* For calls other than allocations (mmap, dup, ...): true = pretend failure. */
bool nb_should_fail(void);

#endif
