/* SPDX-License-Identifier: BSD-3-Clause */
/* What a walk tells about each entry: its name in the manual and its fields in words. */
#include "hw/smmuv3/model.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NAME(e, mask, name) ((e) & (mask) ? " " name : "")

void smmu_step_entry(const struct smmu_steps *st, const char *name, uint64_t pa, bool gpa_valid, uint64_t ipa, bool fetched,
		     const uint64_t *w, unsigned int n, const char *fields)
{
	struct hw_step s = {
		.name = name,
		.nwords = (uint8_t)n,
		.gpa_valid = gpa_valid,
		.fetched = fetched,
		.gpa = gpa(gpa_valid ? ipa : 0),
		.pa = hpa(pa),
	};

	if (!st || !st->fn)
		return;
	if (fetched) {
		memcpy(s.word, w, n * sizeof(*w));
		snprintf(s.fields, sizeof(s.fields), "%s", fields);
	}
	st->fn(st->opaque, &s);
}

void smmu_step_pte(const struct smmu_steps *st, unsigned int stage, int level, uint64_t pa, bool gpa_valid, uint64_t ipa,
		   bool fetched, uint64_t e, const char *fields)
{
	static const char *const names[2][5] = {
		{"stage 1 level -1 descriptor", "stage 1 level 0 descriptor", "stage 1 level 1 descriptor",
		 "stage 1 level 2 descriptor", "stage 1 level 3 descriptor"},
		{"stage 2 level -1 descriptor", "stage 2 level 0 descriptor", "stage 2 level 1 descriptor",
		 "stage 2 level 2 descriptor", "stage 2 level 3 descriptor"},
	};
	struct hw_step s = {
		.name = names[stage - 1][level + 1],
		.stage = (uint8_t)stage,
		.level = (uint8_t)(4 - level), /* hw.h counts from the leaf */
		.nwords = 1,
		.gpa_valid = gpa_valid,
		.fetched = fetched,
		.gpa = gpa(gpa_valid ? ipa : 0),
		.pa = hpa(pa),
		.word = {e},
	};

	if (!st || !st->fn)
		return;
	if (fetched)
		snprintf(s.fields, sizeof(s.fields), "%s", fields);
	st->fn(st->opaque, &s);
}

/* 5.2 and 5.4: TG0 and S2TG; IPS and S2PS */
static const char *const granule_text[4] = {[SMMU_TG_4K] = "4K", [SMMU_TG_64K] = "64K", [SMMU_TG_16K] = "16K", [3] = "reserved"};
static const char *const size_text[8] = {"32", "36", "40", "42", "44", "48", "52", "reserved"};

/* The longest of these and of smmu_text_cd() has some 140 characters. */
void smmu_text_ste(char out[200], const uint64_t q[8])
{
	static const char *const config[8] = {"abort", "abort", "abort", "abort", "bypass", "stage 1", "stage 2", "nested"};
	unsigned int c = (unsigned int)FIELD_GET(SMMU_STE_0_CONFIG, q[0]);
	int n;

	if (!(q[0] & SMMU_STE_0_V)) {
		snprintf(out, 200, "not valid");
		return;
	}
	n = snprintf(out, 200, "V %s", config[c]);
	if ((c & 5) == 5)
		n += snprintf(out + n, 200 - (size_t)n, " S1CDMax=%" PRIu64 " S1DSS=%" PRIu64 " -> 0x%" PRIx64,
			      FIELD_GET(SMMU_STE_0_S1CDMAX, q[0]), FIELD_GET(SMMU_STE_1_S1DSS, q[1]), q[0] & SMMU_STE_0_S1CTXPTR);
	if ((c & 6) == 6)
		n += snprintf(out + n, 200 - (size_t)n, " S2T0SZ=%" PRIu64 " S2SL0=%" PRIu64 " S2TG=%s S2PS=%s S2TTB 0x%" PRIx64,
			      FIELD_GET(SMMU_STE_2_S2T0SZ, q[2]), FIELD_GET(SMMU_STE_2_S2SL0, q[2]),
			      granule_text[FIELD_GET(SMMU_STE_2_S2TG, q[2])], size_text[FIELD_GET(SMMU_STE_2_S2PS, q[2])],
			      q[3] & SMMU_STE_3_S2TTB);
	if (c & 3)
		snprintf(out + n, 200 - (size_t)n, " S2VMID=%" PRIu64 " EATS=%" PRIu64, FIELD_GET(SMMU_STE_2_S2VMID, q[2]),
			 FIELD_GET(SMMU_STE_1_EATS, q[1]));
}

void smmu_text_cd(char out[200], const uint64_t q[8])
{
	if (!(q[0] & SMMU_CD_0_V)) {
		snprintf(out, 200, "not valid");
		return;
	}
	snprintf(out, 200, "V ASID=%" PRIu64 "%s%s%s%s T0SZ=%" PRIu64 " TG0=%s TTB0 0x%" PRIx64 " T1SZ=%" PRIu64 "%s TTB1 0x%" PRIx64
		 " IPS=%s%s%s%s",
		 FIELD_GET(SMMU_CD_0_ASID, q[0]), NAME(q[0], SMMU_CD_0_AA64, "AA64"), NAME(q[0], SMMU_CD_0_HA, "HA"),
		 NAME(q[0], SMMU_CD_0_HD, "HD"), NAME(q[0], SMMU_CD_0_EPD0, "EPD0"), FIELD_GET(SMMU_CD_0_T0SZ, q[0]),
		 granule_text[FIELD_GET(SMMU_CD_0_TG0, q[0])], q[1] & SMMU_CD_1_TTB0, FIELD_GET(SMMU_CD_0_T1SZ, q[0]), NAME(q[0], SMMU_CD_0_EPD1, "EPD1"),
		 q[2] & SMMU_CD_2_TTB1, size_text[FIELD_GET(SMMU_CD_0_IPS, q[0])], NAME(q[0], SMMU_CD_0_A, "A"),
		 NAME(q[0], SMMU_CD_0_R, "R"), NAME(q[0], SMMU_CD_0_S, "S"));
}
