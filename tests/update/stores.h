/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stand behind every single store into a range of memory.
 *
 * The range is kept read-only while the watch is on. A store into it faults; the handler opens the range, has the processor
 * run that one instruction (trap flag), and calls back if a byte changed. Nothing is sampled and nothing is instrumented: what
 * the compiler made of the code is what is watched, every iteration of a string instruction included.
 *
 * One watch at a time, on one thread. The range is page-aligned and nobody else's.
 */
#ifndef NB_TESTS_STORES_H
#define NB_TESTS_STORES_H

#include <stdbool.h>
#include <stddef.h>

/* Null: this build can. Else why it cannot. */
const char *stores_cannot(void);
/* fn gets the offset of the line (64 bytes) that changed, and what it was. It may itself read and write the range. After guard_init(). */
typedef void stores_fn(void *opaque, size_t off, const void *was);
void stores_init(void *base, size_t len, stores_fn *fn, void *opaque);
void stores_fini(void);
/* The watch goes on and off; between, pause and resume nest. */
void stores_on(void);
void stores_off(void);
void stores_pause(void);
void stores_resume(void);

#endif
