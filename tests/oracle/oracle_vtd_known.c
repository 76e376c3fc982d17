/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where QEMU's intel-iommu is known to differ from the manual (D51397, revision 5.10). A filter looks at
 * what the case holds and at both answers, and explains a difference only as a whole: first match wins.
 *
 * All were seen with 11.1.3, and none of them is a bug of ours unless the manual is read otherwise than in its `section`.
 */
#include "oracle_vtd.h"

static unsigned int host_width(const struct oracle_diff *d)
{
	return d->unit->flags & U_AW39 ? 39 : 48;
}

/* QEMU's FI is the page of the address as the device sent it; of step 1 as well, which is in the same page. */
static bool fault_info_ok(const struct oracle_diff *d)
{
	uint64_t page = d->b->iova & VTD_FRCD_0_FI;

	return d->theirs->record[0] == d->ours->record[0] ||
	       (d->theirs->record[0] == page && d->ours->record[0] == (page & nb_low_mask(host_width(d))));
}

/*
 * Filters read what the case put at its place. Does damage lead ours to other places for its context, directory or PASID entry, so that
 * they cannot know what was read there?
 */
static bool astray(const struct oracle_diff *d)
{
	return ((d->c->f[F_RTA_X] | d->c->f[F_ROOT_X] | (vtd_scalable(d->c) ? d->c->f[F_CTX0_X] | d->c->f[F_PDIR_X] : 0)) & BITS(63, 12));
}

/* Is the record the same but for its reason? */
static bool only_reason_differs(const struct oracle_diff *d)
{
	return d->step >= 0 && d->ours->outcome == ORACLE_FAULT && d->theirs->outcome == ORACLE_FAULT &&
	       fault_info_ok(d) && ((d->ours->record[1] ^ d->theirs->record[1]) & ~VTD_FRCD_1_FR) == 0;
}

static bool reasons(const struct oracle_diff *d, unsigned int ours, unsigned int theirs)
{
	return only_reason_differs(d) && d->ours->reason == ours && d->theirs->reason == theirs;
}

/* What ours says: recorded, or suppressed by FPD. */
static bool ours_refuses(const struct oracle_diff *d, unsigned int reason)
{
	return d->step >= 0 && d->ours->reason == reason && (d->ours->outcome == ORACLE_FAULT || d->ours->silent);
}

/* ---- RTADDR ---- */

static bool ttm_undecoded(const struct oracle_diff *d)
{
	unsigned int most = d->unit->flags & (U_SM | U_FS) ? VTD_TTM_SCALABLE : VTD_TTM_LEGACY;

	return d->c->f[F_TTM] > most && (ours_refuses(d, VTD_FR_RTADDR_INV) || ours_refuses(d, VTD_FR_ABORT_MODE));
}

/* ---- fault recording ---- */

static bool fault_info_wide(const struct oracle_diff *d)
{
	return d->step >= 0 && d->ours->outcome == ORACLE_FAULT && d->theirs->outcome == ORACLE_FAULT &&
	       d->ours->record[1] == d->theirs->record[1] && fault_info_ok(d);
}

/* Scalable mode has reasons of its own; QEMU reports the ones of legacy mode. */
static bool legacy_reasons(const struct oracle_diff *d)
{
	static const uint8_t same[][2] = { /* ours, QEMU's */
		{VTD_FR_SROOT_NP, VTD_FR_ROOT_NP},
		{VTD_FR_SROOT_FETCH, VTD_FR_ROOT_FETCH},
		{VTD_FR_SROOT_RSVD, VTD_FR_ROOT_RSVD},
		{VTD_FR_SCTX_NP, VTD_FR_CTX_NP},
		{VTD_FR_SCTX_FETCH, VTD_FR_CTX_FETCH},
		{VTD_FR_SCTX_RSVD, VTD_FR_CTX_RSVD},
		{VTD_FR_SSS_FETCH, VTD_FR_SS_FETCH},
		{VTD_FR_SSS_ROOT_FETCH, VTD_FR_CTX_INV},
		{VTD_FR_SSS_RSVD, VTD_FR_SS_RSVD},
		{VTD_FR_SSS_NO_PERM, VTD_FR_NO_WRITE},
		{VTD_FR_SSS_NO_PERM, VTD_FR_NO_READ},
		{VTD_FR_SNO_WRITE, VTD_FR_NO_WRITE},
		{VTD_FR_SNO_READ, VTD_FR_NO_READ},
		{VTD_FR_SS_ADDR_WIDE, VTD_FR_ADDR_WIDE},
	};
	unsigned int i;

	if (!only_reason_differs(d) || !vtd_scalable(d->c))
		return false;
	for (i = 0; i < ARRAY_SIZE(same); i++)
		if (d->ours->reason == same[i][0] && d->theirs->reason == same[i][1])
			return true;
	return false;
}

/* And the other way round: what a unit could do decides, not what RTADDR says. */
static bool scalable_reasons(const struct oracle_diff *d)
{
	return (d->unit->flags & (U_SM | U_FS)) && !vtd_scalable(d->c) && reasons(d, VTD_FR_INTR_OUT, VTD_FR_SINTR_OUT);
}

/* ---- requests ---- */

static bool interrupt_range_read(const struct oracle_diff *d)
{
	return d->c->f[F_DEV] >= DEV_READ && d->step == 0 && d->b->iova >> 20 == 0xfee && ours_refuses(d, VTD_FR_IR_NO_MSG);
}

static bool pass_through_width(const struct oracle_diff *d)
{
	return vtd_stage(d->c, d->b) == 0 && d->theirs->outcome != ORACLE_FAULT && d->b->iova >> host_width(d) != 0 &&
	       (ours_refuses(d, VTD_FR_ADDR_WIDE) || ours_refuses(d, VTD_FR_HPA_WIDE));
}

/* The write after a read hits the IOTLB. */
static bool hit_without_fault(const struct oracle_diff *d)
{
	return d->c->f[F_DEV] == DEV_READ_WRITE && d->step == 1 && d->ours->outcome == ORACLE_FAULT &&
	       d->theirs->outcome == ORACLE_NOTHING &&
	       (d->ours->reason == VTD_FR_NO_WRITE || d->ours->reason == VTD_FR_SNO_WRITE);
}

/* ---- structures ---- */

static bool root_other_half(const struct oracle_diff *d)
{
	uint64_t rsvd = BITS(11, 1) | ~nb_low_mask(host_width(d));

	return vtd_scalable(d->c) && (vtd_word(d->b, W_ROOT_OTHER) & rsvd) && d->theirs->outcome == ORACLE_FAULT &&
	       d->theirs->reason == VTD_FR_ROOT_RSVD;
}

static bool first_stage_aw(const struct oracle_diff *d)
{
	return vtd_stage(d->c, d->b) == 1 && FIELD_GET(VTD_PASID_0_AW, vtd_word(d->b, W_PASID)) != VTD_AW_48 &&
	       d->theirs->outcome == ORACLE_FAULT &&
	       (d->theirs->reason == VTD_FR_NOT_CANONICAL || d->theirs->reason == VTD_FR_PASID_INV);
}

static bool either_stage(const struct oracle_diff *d)
{
	return (d->unit->flags & U_FS) && vtd_scalable(d->c) && vtd_stage(d->c, d->b) == 2 &&
	       d->theirs->outcome == ORACLE_FAULT && d->theirs->reason == VTD_FR_PASID_INV;
}

static bool pass_through_pointer(const struct oracle_diff *d)
{
	return !vtd_scalable(d->c) && vtd_stage(d->c, d->b) == 0 && d->theirs->outcome == ORACLE_FAULT &&
	       d->theirs->reason == VTD_FR_CTX_RSVD && d->ours->reason != VTD_FR_CTX_RSVD;
}

/* What a unit does not have is reserved: ECAP.RPS, RPRIVS, DT, PASID, PRS. */
static bool context_features(const struct oracle_diff *d)
{
	return ours_refuses(d, VTD_FR_SCTX_RSVD) &&
	       ((vtd_word(d->b, W_CTX + 1) & (VTD_SCTX_1_RID_PASID | VTD_SCTX_1_RID_PRIV)) ||
		(vtd_word(d->b, W_CTX) & (VTD_SCTX_0_DTE | VTD_SCTX_0_PASIDE | VTD_SCTX_0_PRE)));
}

static bool context_fpd(const struct oracle_diff *d)
{
	uint64_t fpd = (vtd_word(d->b, W_CTX) | vtd_word(d->b, W_PDIR) | vtd_word(d->b, W_PASID)) & VTD_PASID_0_FPD;

	return d->ours->silent && (fpd || astray(d)) && d->theirs->outcome == ORACLE_FAULT && d->theirs->reason == VTD_FR_CTX_RSVD &&
	       (d->ours->reason == VTD_FR_CTX_RSVD || d->ours->reason == VTD_FR_SCTX_RSVD) &&
	       ((vtd_word(d->b, W_CTX) & VTD_CTX_0_FPD) || astray(d));
}

/* FPD of the PASID directory and table entries is read only where the entries are good. */
static bool pasid_fpd(const struct oracle_diff *d)
{
	uint64_t fpd = (vtd_word(d->b, W_CTX) | vtd_word(d->b, W_PDIR) | vtd_word(d->b, W_PASID)) & VTD_PASID_0_FPD;

	return d->ours->silent && (fpd || astray(d)) && d->theirs->outcome == ORACLE_FAULT &&
	       (d->theirs->reason == VTD_FR_PDIR_NP || d->theirs->reason == VTD_FR_PASID_NP ||
		d->theirs->reason == VTD_FR_PASID_INV);
}

static bool directory_reserved(const struct oracle_diff *d)
{
	uint64_t rsvd = BITS(11, 2) | ~nb_low_mask(host_width(d));

	return ours_refuses(d, VTD_FR_PDIR_RSVD) && ((vtd_word(d->b, W_PDIR) & rsvd) || astray(d));
}

static bool pasid_present_late(const struct oracle_diff *d)
{
	return reasons(d, VTD_FR_PASID_NP, VTD_FR_PASID_INV);
}

/* What 9.6 leaves reserved in these units: no SSADS, MTS, EAFS, ERS; SC, SRS, and one stage or the other. */
static bool pasid_reserved(const struct oracle_diff *d)
{
	bool fs = d->unit->flags & U_FS;
	uint64_t addr = BITS(host_width(d) - 1, 12), bad;
	unsigned int i;

	bad = vtd_word(d->b, W_PASID) & ~(addr | VTD_PASID_0_P | VTD_PASID_0_FPD | VTD_PASID_0_AW | VTD_PASID_0_PGTT);
	bad |= vtd_word(d->b, W_PASID + 1) & ~(VTD_PASID_1_DID | (d->unit->flags & U_SC ? VTD_PASID_1_PGSNP : 0) |
					       (fs ? VTD_PASID_1_PWSNP : 0));
	/* Ignored in revision 5 and here: NXE and SMEP, which belong to execute requests. */
	bad |= vtd_word(d->b, W_PASID + 2) & ~(VTD_PASID_2_NXE | VTD_PASID_2_SMEP |
					       (fs ? addr | VTD_PASID_2_FSPM | VTD_PASID_2_WPE : VTD_PASID_2_SRE));
	for (i = 3; i < 8; i++)
		bad |= vtd_word(d->b, W_PASID + i);
	return ours_refuses(d, VTD_FR_PASID_RSVD) && (bad || astray(d));
}

/* ---- walks ---- */

/*
 * QEMU looks at the rights of each entry as it meets it and before its reserved bits, ours when the leaf is known. The manual
 * gives no order, so where a path has both faults either may be reported.
 */
static bool order_of_checks(const struct oracle_diff *d)
{
	bool fs = vtd_stage(d->c, d->b) == 1, write = d->c->f[F_DEV] < DEV_READ;
	unsigned int l;

	if (!only_reason_differs(d))
		return false;
	switch (d->theirs->reason) {
	case VTD_FR_NO_WRITE:
	case VTD_FR_NO_READ:
	case VTD_FR_SNO_WRITE:
	case VTD_FR_US:
		break;
	default:
		return false;
	}
	for (l = 1; l <= 5; l++) {
		uint64_t e = vtd_path_word(d, l), want = fs ? VTD_FSPTE_US | (write ? VTD_FSPTE_RW : 0) :
							    write ? VTD_SSPTE_W : VTD_SSPTE_R;

		if (e && (want & ~e))
			return true;
	}
	return false;
}

/* Entries up to and including the first leaf: does one of levels `from` to `to` have the bit? */
static bool on_path(const struct oracle_diff *d, unsigned int from, unsigned int to, uint64_t bit)
{
	unsigned int l;

	for (l = from; l <= to; l++)
		if (vtd_path_word(d, l) & bit)
			return true;
	return false;
}

static bool snoop_in_scalable(const struct oracle_diff *d)
{
	return (ours_refuses(d, VTD_FR_SSS_RSVD) || ours_refuses(d, VTD_FR_SS_RSVD)) && (d->unit->flags & (U_SM | U_FS)) &&
	       !(d->unit->flags & U_SC) && on_path(d, 1, 3, VTD_SSPTE_SNP);
}

static bool first_stage_1g(const struct oracle_diff *d)
{
	return ours_refuses(d, VTD_FR_FS_RSVD) && (d->unit->flags & U_NO1G) && on_path(d, 3, 3, VTD_FSPTE_PS);
}

/* ---- accessed and dirty ---- */

static bool walk_snoop(const struct oracle_diff *d)
{
	return ours_refuses(d, VTD_FR_FS_AD_NO_SNOOP) && !(vtd_word(d->b, W_PASID + 1) & VTD_PASID_1_PWSNP);
}

/* Only A and D bits that ours has set and QEMU has not, where one of them was set before or by the read before the write. */
static bool dirty_lost(const struct oracle_diff *d)
{
	const uint64_t ad = VTD_FSPTE_A | VTD_FSPTE_D;
	unsigned int i;

	if (d->step >= 0 || vtd_stage(d->c, d->b) != 1)
		return false;
	for (i = 0; i < d->b->nwords; i++) {
		const struct oracle_word *w = &d->b->word[i];

		if (w->ours != w->theirs && ((w->ours & ~ad) != (w->theirs & ~ad) || (w->theirs & ad & ~w->ours) ||
					     (d->c->f[F_DEV] != DEV_READ_WRITE && !(w->val & ad))))
			return false;
	}
	return true;
}

/* After a fault it is open which accessed bits were set on the way. */
static bool accessed_on_fault(const struct oracle_diff *d)
{
	unsigned int i;

	if (d->step >= 0 || vtd_stage(d->c, d->b) != 1 || d->ours->outcome == ORACLE_LANDED ||
	    !(d->ours->outcome == ORACLE_FAULT || d->ours->silent))
		return false;
	for (i = 0; i < d->b->nwords; i++)
		if ((d->b->word[i].ours ^ d->b->word[i].theirs) & ~(VTD_FSPTE_A | VTD_FSPTE_D))
			return false;
	return true;
}

const struct oracle_filter vtd_known[] = {
	{"ttm-undecoded", "11.4.5, RTA.1, RTA.4", "RTADDR.TTM reserved, abort or unsupported walks tables", ttm_undecoded},
	{"fault-info-wide", "11.4.7.6 FI", "address bits beyond the widest guest address are recorded", fault_info_wide},
	{"legacy-reasons", "7.1.3 SRT, SCT, SSS, SGN", "scalable mode faults with reasons of legacy mode", legacy_reasons},
	{"scalable-reasons", "7.1.3 LGN.4", "in legacy mode a unit with scalable mode faults with its reason", scalable_reasons},
	{"interrupt-range-read", "3.15", "a read of 0xfeexxxxx without PASID passes", interrupt_range_read},
	{"pass-through-width", "3.9, LGN.1, SGN.4", "pass-through does not look at the width of host addresses", pass_through_width},
	{"hit-without-fault", "7.1.3 LGN.2, SGN.6", "a write that hits a read-only IOTLB entry is blocked, not recorded",
	 hit_without_fault},
	{"root-other-half", "9.2", "reserved bits of the half for the other 16 devices fault", root_other_half},
	{"first-stage-aw", "9.6 AW, SGN.1", "the first stage's width is taken from AW", first_stage_aw},
	{"either-stage", "9.6 PGTT", "a unit has the first or the second stage, never both", either_stage},
	{"pass-through-pointer", "9.3 SSPTPTR", "with pass-through the table pointer is ignored; faults on reserved bits in it",
	 pass_through_pointer},
	{"context-features", "9.4, SCT.3", "bits reserved without RPS, RPRIVS, DT, PASID, PRS are not looked at",
	 context_features},
	{"context-fpd", "9.3, 9.4 FPD, LCT.3, SCT.3", "reserved bits of a context entry fault in spite of FPD", context_fpd},
	{"pasid-fpd", "9.5, 9.6 FPD, SPD.2, SPT.2, SPT.4", "FPD of an entry that itself faults is not read", pasid_fpd},
	{"directory-reserved", "9.5, SPD.3", "reserved bits of the PASID directory entry are not looked at", directory_reserved},
	{"pasid-present-late", "9.6, SPT.2", "PGTT is looked at before P", pasid_present_late},
	{"order-of-checks", "open in 3.6, 3.7", "rights level by level, before reserved bits", order_of_checks},
	{"snoop-in-scalable", "9.8 SNP, ECAP.SC", "SNP, reserved without snoop control, is let pass in scalable mode",
	 snoop_in_scalable},
	{"first-stage-1g", "9.7 PS, CAP.FS1GP", "1 GiB pages work where they are not advertised", first_stage_1g},
	{"pasid-reserved", "9.6, SPT.3", "reserved bits of the PASID table entry are not looked at", pasid_reserved},
	{"walk-snoop", "9.6 PWSNP, SFS.9", "accessed bits are set although page walks may not snoop", walk_snoop},
	{"dirty-lost", "3.6.2", "no A or D is set in a first-stage leaf that has either", dirty_lost},
	{"accessed-on-fault", "3.6.2", "open in the manual: A of upper entries when a lower one faults", accessed_on_fault},
	{NULL, NULL, NULL, NULL},
};
