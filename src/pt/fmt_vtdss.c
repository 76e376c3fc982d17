/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VT-d second-stage tables (VT-d 4.1, 3.7 and 9.x "Second-Stage Paging Entries"): 3 to 5 levels of
 * 512 entries. Present means readable or writable: there is no present bit.
 */
#include "pt/fmt.h"

#define SS_R	BIT(0)
#define SS_W	BIT(1)
#define SS_PS	BIT(7)	/* large page, levels above the last */
#define SS_A	BIT(8)
#define SS_D	BIT(9)
#define SS_SNP	BIT(11) /* leaves: access snoops whatever the request says */
#define SS_ADDR BITS(51, 12)

#define FMT_PAGE_LG2  12
#define FMT_INDEX_LG2 9

static inline bool fmt_present(uint64_t e)
{
	return (e & (SS_R | SS_W)) != 0;
}

static inline bool fmt_is_leaf(uint64_t e, unsigned int level)
{
	return level == 0 || (e & SS_PS) != 0;
}

static bool fmt_prot_ok(unsigned int prot)
{
	return (prot & (PT_READ | PT_WRITE)) != 0;
}

static uint64_t fmt_attr(unsigned int prot)
{
	return (prot & PT_READ ? SS_R : 0) | (prot & PT_WRITE ? SS_W : 0) | (prot & PT_SNOOP ? SS_SNP : 0);
}

static inline uint64_t fmt_leaf(uint64_t attr, uint64_t oa, unsigned int level)
{
	return attr | oa | (level > 0 ? SS_PS : 0);
}

static inline uint64_t fmt_leaf_down(uint64_t e, unsigned int level)
{
	return level == 1 ? e & ~SS_PS : e;
}

static inline uint64_t fmt_leaf_oa(uint64_t e, unsigned int level)
{
	(void)level;
	return e & SS_ADDR;
}

/* Rights of a walk are the AND of its levels: tables grant all. */
static inline uint64_t fmt_table(uint64_t pa, unsigned int level)
{
	(void)level;
	return pa | SS_R | SS_W;
}

static inline uint64_t fmt_table_pa(uint64_t e)
{
	return e & SS_ADDR;
}

static inline unsigned int fmt_prot(uint64_t e)
{
	return (e & SS_R ? PT_READ : 0u) | (e & SS_W ? PT_WRITE : 0u) | (e & SS_SNP ? PT_SNOOP : 0u);
}

static inline uint64_t fmt_dirty(uint64_t e)
{
	return e & SS_D;
}

static inline uint64_t fmt_clean(uint64_t e)
{
	return e & ~SS_D;
}

#include "pt/engine.h"

const struct pt_fmt pt_fmt_vtdss = {
	.name = "vtdss",
	.min_levels = 3,
	.max_levels = 5,
	.oa_lg2 = 52,
	.has_dirty = true,
	.pgsizes = BIT(12) | BIT(21) | BIT(30),
	PT_FMT_ENGINE,
};
