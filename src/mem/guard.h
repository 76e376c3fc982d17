/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guarded access to memory of this process that may not be there.
 *
 * Each routine is a few instructions whose addresses stand in a table
 * (section nb_guard). A SIGSEGV or SIGBUS at one of them resumes at the routine's failure exit;
 * any other goes on to whoever had the signal before us. No cost when nothing
 * faults: no probing, no system call, no setjmp.
 *
 * Alignment: 64-bit routines want natural alignment to be single-copy atomic.
 */
#ifndef NB_MEM_GUARD_H
#define NB_MEM_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Install the handlers for SIGSEGV and SIGBUS. Later calls do nothing unless the program has replaced them behind our
 * back (no interposition): then they go in front again. 0 or -errno of sigaction(2). The previous handlers are kept
 * and called for faults that are not ours.
 */
int guard_init(void);

/*
 * For a host that interposes sigaction(): whoever would have the signal now, instead of what was there
 * at guard_init(). `act` null reads. Only SIGSEGV and SIGBUS; -EINVAL otherwise. 0 or -errno. Before guard_init()
 * it is plain sigaction(2).
 */
struct sigaction;
int guard_chain_sigaction(int sig, const struct sigaction *act, struct sigaction *old);

/* The library that interposes sigaction() gives the real one here, before guard_init(). */
void guard_use_sigaction(int (*fn)(int, const struct sigaction *, struct sigaction *));

/*
 * Copy with guard on both sides, ascending. Return the number of bytes NOT copied: 0 is success. Up to 256 bytes, when
 * both sides and the length are multiples of 8, go by whole 64-bit words.
 */
size_t guard_copy(void *dst, const void *src, size_t len);
size_t guard_fill(void *dst, uint8_t byte, size_t len);
bool guard_load32(const void *p, uint32_t *v);
bool guard_store32(void *p, uint32_t v);
bool guard_load8(const void *p, uint8_t *v);
/* Touch one byte for writing without changing it: true if it is writable memory. */
bool guard_touch_write(void *p);

#if defined(__x86_64__)

#define GUARD_ENTRY(insn_label, fail)                                                                         \
	".pushsection nb_guard, \"a\"\n\t"                                                                    \
	".balign 4\n\t"                                                                                       \
	".long " insn_label " - .\n\t"                                                                        \
	".long " fail " - .\n\t"                                                                              \
	".popsection\n\t"

/*
 * Volatile must be said, and an empty statement must follow, where an asm goto has outputs: gcc before 14 drops the
 * first when the outputs are dead, and sinks the outputs past the labels (GCC bugs 110420 and 113921).
 */
#define GUARD_OUTPUTS __asm__ volatile("")

static inline bool guard_load64(const void *p, uint64_t *v)
{
	uint64_t x;

	__asm__ volatile goto("1: movq (%1), %0\n\t" GUARD_ENTRY("1b", "%l[fail]")
			      : "=r"(x) : "r"(p) : "memory" : fail);
	GUARD_OUTPUTS;
	*v = x;
	return true;
fail:
	return false;
}

static inline bool guard_store64(void *p, uint64_t v)
{
	__asm__ volatile goto("1: movq %1, (%0)\n\t" GUARD_ENTRY("1b", "%l[fail]") : : "r"(p), "r"(v) : "memory" : fail);
	return true;
fail:
	return false;
}

/* 0 exchanged, 1 not equal (*expected updated), -1 not there. */
static inline int guard_cas64(void *p, uint64_t *expected, uint64_t desired)
{
	uint64_t was = *expected;

	__asm__ volatile goto("1: lock cmpxchgq %2, (%1)\n\t" GUARD_ENTRY("1b", "%l[fail]")
		     : "+a"(was)
		     : "r"(p), "r"(desired)
		     : "memory", "cc"
		     : fail);
	GUARD_OUTPUTS;
	if (was == *expected)
		return 0;
	*expected = was;
	return 1;
fail:
	return -1;
}

#else
#error "guarded access is written for x86-64; other hosts need their routines here"
#endif

#endif
