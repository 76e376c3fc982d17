/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VMSAv8-64 translation tables (DDI 0487 M.a.a, D8.3): one granule and one stage.
 *
 * Included once by each fmt_arm64_*.c, after it has defined
 *
 *   FMT_PAGE_LG2   12, 14 or 16
 *   ARM64_STAGE    1 or 2
 *   ARM64_FMT      the format's symbol, ARM64_NAME its name
 *
 * Levels count from the leaf here: level 0 is the manual's level 3.
 *
 * Leaves are inner shareable write-back memory, or Device-nGnRE with PT_DEVICE. AF is always set. Stage 1: unprivileged access, not
 * global, no way to say "not readable"; MAIR indices are 1 for memory and 2 for devices. Stage 2: R and W of their own; with
 * PT_SNOOP the memory type is that of forced write-back (STE.S2FWB), which makes the device's own types of no account. Execution is
 * never forbidden. The contiguous hint is not set.
 *
 * Dirty (D8.5): a leaf with DBM is writable; it is dirty while its write permission is spelled out, stage 1 AP[2] = 0, stage 2
 * S2AP[1] = 1. So a fresh writable leaf is dirty. A leaf without DBM is never dirty.
 *
 * Output addresses have 48 bits, and 52 with the 64 KiB granule: bits 51:48 lie in bits 15:12 there.
 */
#include "pt/fmt.h"

#define FMT_INDEX_LG2 (FMT_PAGE_LG2 - 3)

#define A64_VALID  BIT(0)
#define A64_TABLE  BIT(1) /* or page */
#define A64_SH_IN  FIELD_C(BITS(9, 8), 3)
#define A64_AF	   BIT(10)
#define A64_DBM	   BIT(51)
#define A64_ADDR   BITS(47, FMT_PAGE_LG2)
#if FMT_PAGE_LG2 == 16
#define A64_ADDR_HI BITS(15, 12)
#else
#define A64_ADDR_HI UINT64_C(0)
#endif

#if ARM64_STAGE == 1
#define A64_IDX_MEMORY FIELD_C(BITS(4, 2), 1)
#define A64_IDX_DEVICE FIELD_C(BITS(4, 2), 2)
#define A64_AP1	       BIT(6) /* unprivileged */
#define A64_AP2	       BIT(7) /* read-only */
#define A64_NG	       BIT(11)
#else
#define A64_ATTR	BITS(5, 2)
#define A64_ATTR_MEMORY FIELD_C(A64_ATTR, 0xf)
#define A64_ATTR_FWB	FIELD_C(A64_ATTR, 6)
#define A64_ATTR_DEVICE FIELD_C(A64_ATTR, 1)
#define A64_R		BIT(6)
#define A64_W		BIT(7)
#endif

static inline uint64_t a64_addr(uint64_t pa)
{
#if FMT_PAGE_LG2 == 16
	return (pa & A64_ADDR) | (pa >> 48 << 12);
#else
	return pa;
#endif
}

static inline uint64_t a64_pa(uint64_t e)
{
#if FMT_PAGE_LG2 == 16
	return (e & A64_ADDR) | (e & A64_ADDR_HI) << 36;
#else
	return e & A64_ADDR;
#endif
}

static inline bool fmt_present(uint64_t e)
{
	return (e & A64_VALID) != 0;
}

static inline bool fmt_is_leaf(uint64_t e, unsigned int level)
{
	return level == 0 || !(e & A64_TABLE);
}

static bool fmt_prot_ok(unsigned int prot)
{
	return (prot & (PT_READ | PT_WRITE)) != 0;
}

static uint64_t fmt_attr(unsigned int prot)
{
	uint64_t e = A64_VALID | A64_AF | A64_SH_IN;

	if ((prot & PT_WRITE) && (prot & PT_TRACK))
		e |= A64_DBM;
#if ARM64_STAGE == 1
	e |= A64_NG | A64_AP1 | (prot & PT_DEVICE ? A64_IDX_DEVICE : A64_IDX_MEMORY);
	if (!(prot & PT_WRITE))
		e |= A64_AP2;
#else
	e |= prot & PT_DEVICE ? A64_ATTR_DEVICE : prot & PT_SNOOP ? A64_ATTR_FWB : A64_ATTR_MEMORY;
	e |= (prot & PT_READ ? A64_R : 0) | (prot & PT_WRITE ? A64_W : 0);
#endif
	return e;
}

static inline uint64_t fmt_leaf(uint64_t attr, uint64_t oa, unsigned int level)
{
	return attr | a64_addr(oa) | (level == 0 ? A64_TABLE : 0);
}

static inline uint64_t fmt_leaf_down(uint64_t e, unsigned int level)
{
	return level == 1 ? e | A64_TABLE : e;
}

static inline uint64_t fmt_leaf_oa(uint64_t e, unsigned int level)
{
	(void)level;
	return a64_pa(e);
}

static inline uint64_t fmt_table(uint64_t pa, unsigned int level)
{
	(void)level;
	return a64_addr(pa) | A64_TABLE | A64_VALID;
}

static inline uint64_t fmt_table_pa(uint64_t e)
{
	return a64_pa(e);
}

static inline unsigned int fmt_prot(uint64_t e)
{
#if ARM64_STAGE == 1
	return PT_READ | PT_EXEC | (!(e & A64_AP2) || (e & A64_DBM) ? PT_WRITE : 0u) | (e & A64_DBM ? PT_TRACK : 0u) |
	       ((e & BITS(4, 2)) == A64_IDX_DEVICE ? PT_DEVICE : 0u);
#else
	uint64_t type = e & A64_ATTR;

	return (e & A64_R ? PT_READ | PT_EXEC : 0u) | (e & (A64_W | A64_DBM) ? PT_WRITE : 0u) |
	       (e & A64_DBM ? PT_TRACK : 0u) | (type == A64_ATTR_DEVICE ? PT_DEVICE : 0u) |
	       (type == A64_ATTR_FWB ? PT_SNOOP : 0u);
#endif
}

/* Table entries have neither bit: 51 and 7 are ignored there, and we write 0. */
static inline uint64_t fmt_dirty(uint64_t e)
{
#if ARM64_STAGE == 1
	return e & ~(e << (51 - 7)) & A64_DBM;
#else
	return e & (e << (51 - 7)) & A64_DBM;
#endif
}

static inline uint64_t fmt_clean(uint64_t e)
{
#if ARM64_STAGE == 1
	return e | A64_AP2;
#else
	return e & ~A64_W;
#endif
}

#if FMT_PAGE_LG2 == 16
/* The loops add to entries: what carries into bit 48 of the address must begin a run of its own. */
static int map_by_256t(struct pt_op *op, uint64_t first, uint64_t last);
#define FMT_MAP map_by_256t
#endif

#define FMT_MAX_CONCAT_LG2 (ARM64_STAGE == 2 ? 4 : 0)

#include "pt/engine.h"

#if FMT_PAGE_LG2 == 16
static int map_by_256t(struct pt_op *op, uint64_t first, uint64_t last)
{
	for (;;) {
		uint64_t room = BIT(48) - 1 - ((first + op->delta) & nb_low_mask(48));
		uint64_t end = last - first > room ? first + room : last;
		int err = op_map(op, first, end);

		if (err || end == last)
			return err;
		first = end + 1;
	}
}
#endif

const struct pt_fmt ARM64_FMT = {
	.name = ARM64_NAME,
	.min_levels = 2,
	.max_levels = FMT_PAGE_LG2 == 16 ? 3 : 4,
	.oa_lg2 = FMT_PAGE_LG2 == 16 ? 52 : 48,
	.has_dirty = true,
#if FMT_PAGE_LG2 == 12
	.pgsizes = BIT(12) | BIT(21) | BIT(30),
#elif FMT_PAGE_LG2 == 14
	.pgsizes = BIT(14) | BIT(25),
#else
	.pgsizes = BIT(16) | BIT(29) | BIT(42),
#endif
	PT_FMT_ENGINE,
};
