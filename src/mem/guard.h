/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guarded access to memory of this process that may not be there.
 *
 * Each routine is a few instructions whose addresses stand in a table
 * (section nb_guard). A SIGSEGV or SIGBUS at one of them resumes at the routine's exit with the failure marked;
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

/*
 * One line of the table. The handler sets the carry flag and goes on at `resume`, so a routine that clears the flag first
 * can hand it to the compiler as an output: a branch on a flag that does not wait for the load. (asm goto would
 * say the same, but gcc 12 loses or moves its outputs: GCC bugs 110420 and 113921.)
 */
#define GUARD_ENTRY(insn_label, resume)                                                                       \
	".pushsection nb_guard, \"a\"\n\t"                                                                    \
	".balign 4\n\t"                                                                                       \
	".long " insn_label " - .\n\t"                                                                        \
	".long " resume " - .\n\t"                                                                            \
	".popsection\n\t"

static inline bool guard_load64(const void *p, uint64_t *v)
{
	uint64_t x;
	bool bad;

	__asm__ volatile("clc\n"
			 "1:\tmovq (%2), %0\n"
			 "2:\n\t" GUARD_ENTRY("1b", "2b")
			 : "=r"(x), "=@ccc"(bad)
			 : "r"(p)
			 : "memory");
	if (__builtin_expect(bad, 0))
		return false;
	*v = x;
	return true;
}

/* p is a multiple of 16: one access on every processor with AVX, as its makers promise. */
static inline bool guard_load128(const void *p, uint64_t v[2])
{
	typedef uint64_t pair __attribute__((vector_size(16)));
	pair x;
	bool bad;

	__asm__ volatile("clc\n"
			 "1:\tmovdqa (%2), %0\n"
			 "2:\n\t" GUARD_ENTRY("1b", "2b")
			 : "=x"(x), "=@ccc"(bad)
			 : "r"(p)
			 : "memory");
	if (__builtin_expect(bad, 0))
		return false;
	v[0] = x[0];
	v[1] = x[1];
	return true;
}

static inline bool guard_store64(void *p, uint64_t v)
{
	bool bad;

	__asm__ volatile("clc\n"
			 "1:\tmovq %2, (%1)\n"
			 "2:\n\t" GUARD_ENTRY("1b", "2b")
			 : "=@ccc"(bad)
			 : "r"(p), "r"(v)
			 : "memory");
	return !__builtin_expect(bad, 0);
}

/* 0 exchanged, 1 not equal (*expected updated), -1 not there. */
static inline int guard_cas64(void *p, uint64_t *expected, uint64_t desired)
{
	uint64_t was = *expected;
	int bad = 0;

	/* The instruction has the flags for itself, so its failure exit is a line of its own. */
	__asm__ volatile("1:\tlock cmpxchgq %3, (%2)\n"
			 "2:\n\t"
			 ".pushsection .text.unlikely, \"ax\"\n"
			 "3:\tmovl $1, %1\n\t"
			 "jmp 2b\n\t"
			 ".popsection\n\t" GUARD_ENTRY("1b", "3b")
			 : "+a"(was), "+r"(bad)
			 : "r"(p), "r"(desired)
			 : "memory", "cc");
	if (__builtin_expect(bad, 0))
		return -1;
	if (was == *expected)
		return 0;
	*expected = was;
	return 1;
}

#else
#error "guarded access is written for x86-64; other hosts need their routines here"
#endif

#endif
