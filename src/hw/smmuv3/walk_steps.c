/* SPDX-License-Identifier: BSD-3-Clause */
/* What a walk tells about each descriptor: its fields in words. */
#include "hw/smmuv3/walk.h"

#include <inttypes.h>
#include <stdio.h>

#define NAME(e, mask, name) ((e) & (mask) ? " " name : "")

static void table_text(char *out, size_t len, unsigned int stage, const struct smmu_geo *g, uint64_t e)
{
	if (stage == 1)
		snprintf(out, len, "table%s%s%s%s -> 0x%" PRIx64, NAME(e, SMMU_PTE_APTABLE1, "APTable[1]"),
			 NAME(e, SMMU_PTE_APTABLE0, "APTable[0]"), NAME(e, SMMU_PTE_UXNTABLE, "UXNTable"),
			 NAME(e, SMMU_PTE_PXNTABLE, "PXNTable"), smmu_next_table(g, e));
	else
		snprintf(out, len, "table -> 0x%" PRIx64, smmu_next_table(g, e));
}

static void leaf_text(char *out, size_t len, unsigned int stage, int level, const struct smmu_geo *g, uint64_t e)
{
	const char *what = level == 3 ? "page" : "block";
	uint64_t base = smmu_leaf_base(g, e, smmu_level_lsb(g, level));

	if (stage == 1)
		snprintf(out, len, "%s AP %u%s%s%s%s%s%s AttrIndx %u -> 0x%" PRIx64, what,
			 (unsigned int)(e / SMMU_PTE_AP1 & 3), NAME(e, SMMU_PTE_AF, "AF"), NAME(e, SMMU_PTE_NG, "nG"),
			 NAME(e, SMMU_PTE_DBM, "DBM"), NAME(e, SMMU_PTE_CONT, "Contiguous"), NAME(e, SMMU_PTE_PXN, "PXN"),
			 NAME(e, SMMU_PTE_UXN, "UXN"), (unsigned int)FIELD_GET(SMMU_PTE_ATTRINDX, e), base);
	else
		snprintf(out, len, "%s S2AP %u%s%s%s XN %u MemAttr %u -> 0x%" PRIx64, what,
			 (unsigned int)(e / SMMU_S2PTE_R & 3), NAME(e, SMMU_S2PTE_AF, "AF"),
			 NAME(e, SMMU_S2PTE_DBM, "DBM"), NAME(e, SMMU_S2PTE_CONT, "Contiguous"),
			 (unsigned int)FIELD_GET(SMMU_S2PTE_XN, e), (unsigned int)FIELD_GET(SMMU_S2PTE_MEMATTR, e), base);
}

void smmu_step_desc(const struct smmu_steps *st, unsigned int stage, int level, const struct smmu_geo *g, uint64_t pa,
		    bool gpa_valid, uint64_t ipa, bool fetched, uint64_t e)
{
	char text[200] = "";

	if (!st || !st->fn)
		return;
	if (!fetched)
		;
	else if (level < 3 && (e & 3) == 3)
		table_text(text, sizeof(text), stage, g, e);
	else if (smmu_is_leaf(g, e, level))
		leaf_text(text, sizeof(text), stage, level, g, e);
	else
		snprintf(text, sizeof(text), "%s", e & SMMU_PTE_VALID ? "reserved" : "invalid");
	smmu_step_pte(st, stage, level, pa, gpa_valid, ipa, fetched, e, text);
}
