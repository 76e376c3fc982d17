/* SPDX-License-Identifier: BSD-3-Clause */
/* What a walk tells about each entry: its name in the manual and its fields in words. */
#include "hw/vtd/model.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NAME(e, mask, name) ((e) & (mask) ? " " name : "")

void vtd_step_entry(const struct vtd_steps *st, const char *name, uint64_t pa, bool fetched, const uint64_t *w,
		    unsigned int n, const char *fields)
{
	struct hw_step s = {.name = name, .nwords = (uint8_t)n, .fetched = fetched, .pa = hpa(pa)};

	if (!st || !st->fn)
		return;
	if (fetched) {
		memcpy(s.word, w, n * sizeof(*w));
		snprintf(s.fields, sizeof(s.fields), "%s", fields);
	}
	st->fn(st->opaque, &s);
}

void vtd_step_pte(const struct vtd_steps *st, unsigned int stage, unsigned int level, uint64_t pa, bool gpa_valid,
		  uint64_t gpa_v, bool fetched, uint64_t e)
{
	static const char *const names[2][5] = {
		{"FS-PTE", "FS-PDE", "FS-PDPE", "FS-PML4E", "FS-PML5E"},
		{"SS-PTE", "SS-PDE", "SS-PDPE", "SS-PML4E", "SS-PML5E"},
	};
	struct hw_step s = {
		.name = names[stage - 1][level - 1],
		.stage = (uint8_t)stage,
		.level = (uint8_t)level,
		.nwords = 1,
		.gpa_valid = stage == 1 && gpa_valid,
		.fetched = fetched,
		.gpa = gpa(stage == 1 && gpa_valid ? gpa_v : 0),
		.pa = hpa(pa),
		.word = {e},
	};
	bool large = level > 1 && level <= 3 && (e & VTD_SSPTE_PS); /* PS is bit 7 in both */

	if (!st || !st->fn)
		return;
	if (!fetched)
		s.fields[0] = 0;
	else if (stage == 1)
		snprintf(s.fields, sizeof(s.fields), "%s%s%s%s%s%s%s%s -> 0x%" PRIx64,
			 e & VTD_FSPTE_P ? "P" : "not present", NAME(e, VTD_FSPTE_RW, "RW"),
			 NAME(e, VTD_FSPTE_US, "US"), NAME(e, VTD_FSPTE_A, "A"),
			 level == 1 || large ? NAME(e, VTD_FSPTE_D, "D") : "", NAME(e, VTD_FSPTE_EA, "EA"),
			 NAME(e, VTD_FSPTE_XD, "XD"), large ? " PS" : "", e & VTD_FSPTE_ADDR);
	else
		snprintf(s.fields, sizeof(s.fields), "%s%s%s%s%s%s%s -> 0x%" PRIx64,
			 e & (VTD_SSPTE_R | VTD_SSPTE_W) ? "" : "not present", e & VTD_SSPTE_R ? "R" : "",
			 e & VTD_SSPTE_W ? "W" : "", NAME(e, VTD_SSPTE_A, "A"),
			 level == 1 || large ? NAME(e, VTD_SSPTE_D, "D") : "", NAME(e, VTD_SSPTE_SNP, "SNP"),
			 large ? " PS" : "", e & VTD_SSPTE_ADDR);
	st->fn(st->opaque, &s);
}

void vtd_text_ctx(char out[200], uint64_t lo, uint64_t hi)
{
	static const char *const tt[4] = {"second-stage", "second-stage, device-TLB", "pass-through", "reserved"};

	snprintf(out, 200, "%s%s TT %s, AW %u, DID %u -> 0x%" PRIx64, lo & VTD_CTX_0_P ? "P" : "not present",
		 NAME(lo, VTD_CTX_0_FPD, "FPD"), tt[FIELD_GET(VTD_CTX_0_TT, lo)],
		 (unsigned int)FIELD_GET(VTD_CTX_1_AW, hi), (unsigned int)FIELD_GET(VTD_CTX_1_DID, hi),
		 lo & VTD_CTX_0_SSPTPTR);
}

void vtd_text_sctx(char out[200], uint64_t q0, uint64_t q1)
{
	snprintf(out, 200, "%s%s%s%s%s PDTS %u, RID_PASID %u%s -> 0x%" PRIx64,
		 q0 & VTD_SCTX_0_P ? "P" : "not present", NAME(q0, VTD_SCTX_0_FPD, "FPD"),
		 NAME(q0, VTD_SCTX_0_DTE, "DTE"), NAME(q0, VTD_SCTX_0_PASIDE, "PASIDE"),
		 NAME(q0, VTD_SCTX_0_PRE, "PRE"), (unsigned int)FIELD_GET(VTD_SCTX_0_PDTS, q0),
		 (unsigned int)FIELD_GET(VTD_SCTX_1_RID_PASID, q1), NAME(q1, VTD_SCTX_1_RID_PRIV, "RID_PRIV"),
		 q0 & VTD_SCTX_0_PASIDDIRPTR);
}

void vtd_text_pasid(char out[200], const uint64_t q[8])
{
	static const char *const pgtt[8] = {"0 (reserved)", "first-stage", "second-stage", "nested", "pass-through",
					    "5 (reserved)", "6 (reserved)", "7 (reserved)"};

	snprintf(out, 200, "%s%s PGTT %s, DID %u, AW %u%s -> 0x%" PRIx64 ", FSPM %u%s%s%s%s%s -> 0x%" PRIx64,
		 q[0] & VTD_PASID_0_P ? "P" : "not present", NAME(q[0], VTD_PASID_0_FPD, "FPD"),
		 pgtt[FIELD_GET(VTD_PASID_0_PGTT, q[0])], (unsigned int)FIELD_GET(VTD_PASID_1_DID, q[1]),
		 (unsigned int)FIELD_GET(VTD_PASID_0_AW, q[0]), NAME(q[0], VTD_PASID_0_SSADE, "SSADE"),
		 q[0] & VTD_PASID_0_SSPTPTR, (unsigned int)FIELD_GET(VTD_PASID_2_FSPM, q[2]),
		 NAME(q[2], VTD_PASID_2_SRE, "SRE"), NAME(q[2], VTD_PASID_2_WPE, "WPE"),
		 NAME(q[2], VTD_PASID_2_EAFE, "EAFE"), NAME(q[1], VTD_PASID_1_PWSNP, "PWSNP"),
		 NAME(q[1], VTD_PASID_1_PGSNP, "PGSNP"), q[2] & VTD_PASID_2_FSPTPTR);
}
