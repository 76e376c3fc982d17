/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * x86-64 tables as VT-d's first stage and AMD's v2 walk them (VT-d 4.1, 3.6): 4 or 5 levels of 512
 * entries, input addresses canonical.
 *
 * Leaves are user pages and carry A, writable ones D as well, so hardware has nothing to write back. There is
 * no way to say "not readable": a write-only mapping can be read. XD stays 0: whether execute requests
 * pass is decided by the PASID entry.
 */
#include "pt/fmt.h"

#define X86_P	 BIT(0)
#define X86_RW	 BIT(1)
#define X86_U	 BIT(2)
#define X86_A	 BIT(5)
#define X86_D	 BIT(6)
#define X86_PS	 BIT(7)
#define X86_XD	 BIT(63)
#define X86_ADDR BITS(51, 12)

#define FMT_PAGE_LG2  12
#define FMT_INDEX_LG2 9

static inline bool fmt_present(uint64_t e)
{
	return (e & X86_P) != 0;
}

static inline bool fmt_is_leaf(uint64_t e, unsigned int level)
{
	return level == 0 || (e & X86_PS) != 0;
}

static bool fmt_prot_ok(unsigned int prot)
{
	return (prot & (PT_READ | PT_WRITE)) != 0;
}

static uint64_t fmt_attr(unsigned int prot)
{
	return X86_P | X86_U | X86_A | (prot & PT_WRITE ? X86_RW | X86_D : 0);
}

static inline uint64_t fmt_leaf(uint64_t attr, uint64_t oa, unsigned int level)
{
	return attr | oa | (level > 0 ? X86_PS : 0);
}

/* Bit 7 means PAT in a last-level entry; we use PAT index 0 everywhere, so the bit is PS or 0. */
static inline uint64_t fmt_leaf_down(uint64_t e, unsigned int level)
{
	return level == 1 ? e & ~X86_PS : e;
}

static inline uint64_t fmt_leaf_oa(uint64_t e, unsigned int level)
{
	(void)level;
	return e & X86_ADDR;
}

static inline uint64_t fmt_table(uint64_t pa, unsigned int level)
{
	(void)level;
	return pa | X86_P | X86_RW | X86_U | X86_A;
}

static inline uint64_t fmt_table_pa(uint64_t e)
{
	return e & X86_ADDR;
}

static inline unsigned int fmt_prot(uint64_t e)
{
	return PT_READ | (e & X86_RW ? PT_WRITE : 0u) | (e & X86_XD ? 0u : PT_EXEC);
}

static inline uint64_t fmt_dirty(uint64_t e)
{
	return e & X86_D;
}

static inline uint64_t fmt_clean(uint64_t e)
{
	return e & ~X86_D;
}

#include "pt/engine.h"

const struct pt_fmt pt_fmt_x86_64 = {
	.name = "x86-64",
	.min_levels = 4,
	.max_levels = 5,
	.oa_lg2 = 52,
	.sign_extended = true,
	.has_dirty = true,
	.pgsizes = BIT(12) | BIT(21) | BIT(30),
	PT_FMT_ENGINE,
};
