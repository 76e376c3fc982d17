/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Translation requests and translated requests (4.2, 7.1.3): what a device-TLB asks for and what it does with it.
 *
 * A translation request without the No Write flag is a read and a write (4.2.3.1), so it sets dirty bits where both go through;
 * permissions that lack are left out one by one until the rest is granted. Conditions of the manual's table end in one of:
 *   unsupported request   the device may not ask; logged
 *   completer abort       the unit met an error; logged
 *   success without permission: a page request may help; not logged, but for SFS.10
 * With translation off, or without device-TLB support, everything but untranslated requests is an unsupported request
 * of which no fault tells (4.2.1). So is a translated request with PASID: the unit does not support them.
 *
 * In scalable mode a page whose output overlaps the interrupt range is an error (SGN.8.2); in legacy mode, where the table says no
 * such thing, and of a pass-through the largest piece around the address that does not overlap is granted.
 * The global bit is never given: revision 5 has it 0, and earlier ones let a unit leave it out.
 */
#include "hw/vtd/model.h"

#include <string.h>

/* ---- translation requests ---- */

enum ending { AS_UR, AS_CA, AS_NONE, AS_NONE_LOGGED };

/* 7.1.3, the columns of translation requests. Lacking permissions are not here: see grant(). */
static enum ending ending(unsigned int reason)
{
	switch (reason) {
	case VTD_FR_ROOT_NP:
	case VTD_FR_CTX_NP:
	case VTD_FR_ATS_BLOCKED:
	case VTD_FR_PASID_LEGACY:
	case VTD_FR_ABORT_MODE:
	case VTD_FR_SROOT_NP:
	case VTD_FR_SCTX_NP:
	case VTD_FR_SCTX_DTE:
	case VTD_FR_SCTX_PASIDE:
	case VTD_FR_PASID_WIDE:
	case VTD_FR_RID_PASID:
	case VTD_FR_PSS:
		return AS_UR;
	case VTD_FR_ADDR_WIDE:
	case VTD_FR_PDIR_NP:
	case VTD_FR_PASID_NP:
	case VTD_FR_PASID_ERE:
	case VTD_FR_PASID_SRE:
	case VTD_FR_FS_FETCH:
	case VTD_FR_FS_NP:
	case VTD_FR_FS_RSVD:
	case VTD_FR_FS_ROOT_FETCH:
	case VTD_FR_FS_GPA_WIDE:
	case VTD_FR_FS_ROOT_NO_READ:
	case VTD_FR_FS_NO_READ:
	case VTD_FR_FS_NO_AD:
	case VTD_FR_FS_AD_NO_SNOOP:
	case VTD_FR_SSS_NO_PERM:
	case VTD_FR_NOT_CANONICAL:
	case VTD_FR_US:
	case VTD_FR_HPA_WIDE:
	case VTD_FR_SS_ADDR_WIDE:
		return AS_NONE;
	case VTD_FR_FS_AD_FAILED:
		return AS_NONE_LOGGED;
	default: /* entries that cannot be read, reserved bits, invalid programming, output in the interrupt range */
		return AS_CA;
	}
}

/* The access that a fault takes from a request and leaves the rest; 0: it leaves nothing. */
static unsigned int lacking(unsigned int reason)
{
	switch (reason) {
	case VTD_FR_NO_WRITE:
	case VTD_FR_SNO_WRITE:
		return HW_WRITE;
	case VTD_FR_NO_READ:
	case VTD_FR_SNO_READ:
		return HW_READ | HW_EXEC;
	case VTD_FR_NO_EXEC:
		return HW_EXEC;
	default:
		return 0;
	}
}

static void refuse(struct hw_ats_completion *c, const struct hw_result *res)
{
	enum ending e = ending(res->fault.reason);

	c->status = e == AS_UR ? HW_ATS_UR : e == AS_CA ? HW_ATS_CA : HW_ATS_OK;
	c->fault = res->fault;
	if (e == AS_NONE)
		c->fault.record_len = 0;
}

/* S.1, S.2: endpoints may ask for whatever they write to, their interrupt messages too. */
static void interrupt_range(struct hw_ats_completion *c, const struct hw_request *r)
{
	if (r->access & HW_WRITE) {
		c->perm = HW_WRITE;
		c->untranslated_only = true;
	}
}

/* The largest size up to lg2 around pa that keeps clear of the interrupt range, where pa itself does not lie. */
static unsigned int clear_of_interrupts(uint64_t pa, unsigned int lg2)
{
	while (lg2 > 20 && ((pa ^ (VTD_INTR_RANGE << 20)) & ~nb_low_mask(lg2)) == 0)
		lg2--;
	return lg2;
}

static void grant(struct vtd *v, const struct vtd_proc *p, const struct hw_request *asked, uint64_t seq,
		  struct hw_ats_completion *c)
{
	struct hw_request r = *asked;
	struct hw_result res;
	unsigned int lg2, lacks;

	for (;;) {
		vtd_translate_proc(v, p, &r, &res, seq);
		if (res.kind != HW_FAULT)
			break;
		lacks = lacking(res.fault.reason) & r.access;
		if (!lacks) {
			refuse(c, &res);
			return;
		}
		r.access &= (uint8_t)~lacks;
		if (!(r.access & (HW_READ | HW_WRITE))) { /* effective permission: none */
			c->fault = res.fault;
			c->fault.record_len = 0;
			return;
		}
	}
	lg2 = res.lg2;
	if (p->kind != VTD_K_PT && !p->legacy && clear_of_interrupts(res.pa.v, lg2) != lg2) {
		vtd_fault(v, &r, &res, VTD_FR_SINTR_OUT, p->kind == VTD_K_FS ? 1 : 2, p->fpd);
		refuse(c, &res);
		return;
	}
	if (p->kind == VTD_K_PT) { /* the largest page that the unit has */
		unsigned int most = v->caps.ss_1g || v->caps.fs_1g ? 30 : v->caps.ss_2m || v->caps.first_stage ? 21 : 12;

		lg2 = lg2 < most ? lg2 : most;
	}
	lg2 = clear_of_interrupts(res.pa.v, lg2);
	c->lg2 = (uint8_t)lg2;
	c->perm = res.perm & r.access & (HW_READ | HW_WRITE | HW_EXEC);
	c->pa = hpa(res.pa.v & ~nb_low_mask(lg2));
}

void vtd_ats_request(struct hw_iommu *hw, const struct hw_request *asked, struct hw_ats_completion *c)
{
	struct vtd *v = to_vtd(hw);
	/* Before anything that an invalidation may change: see tlb.h. */
	uint64_t seq = atomic_load_explicit(&v->tlb.inv_seq, memory_order_acquire);
	uint32_t mode = atomic_load_explicit(&v->mode, memory_order_acquire);
	struct hw_request r = *asked;
	const struct vtd_proc *p;
	struct hw_result res;
	struct vtd_box box;
	struct vtd_bad bad;

	NB_TRACE(hw->tr, hw_ats_request, r.rid, r.pasid, r.addr, r.access);
	memset(c, 0, sizeof(*c));
	c->lg2 = 12;
	if (!v->caps.device_tlb || !(mode & VTD_MODE_TE)) {
		c->status = HW_ATS_UR;
		goto out;
	}
	r.flags = (uint8_t)((r.flags & (HW_PRIV | HW_OBSERVE)) | VTD_REQ_ATS);
	r.access = (uint8_t)(HW_READ | (r.access & (HW_WRITE | HW_EXEC)) | (v->caps.no_write_flag ? 0u : HW_WRITE));
	if (r.pasid == NB_NO_PASID)
		r.access &= (uint8_t)~HW_EXEC; /* nothing on the wire says so */
	else
		r.pasid &= NB_PASID_MAX;
	p = vtd_config(v, &r, seq, &box, NULL, r.flags & HW_OBSERVE, &bad);
	if (!p) {
		vtd_fault(v, &r, &res, bad.reason, 0, bad.silent);
		refuse(c, &res);
	} else if (r.addr >> 20 == VTD_INTR_RANGE && (r.pasid == NB_NO_PASID || p->kind == VTD_K_PT) &&
		   (p->sre || !vtd_req_priv(p, &r))) {
		interrupt_range(c, &r);
	} else {
		grant(v, p, &r, seq, c);
	}
	c->priv = r.pasid != NB_NO_PASID && (r.flags & HW_PRIV) && c->status == HW_ATS_OK;
out:
	NB_TRACE(hw->tr, hw_ats_done, r.rid, r.addr, c->status, c->pa.v);
}

/* ---- translated requests ---- */

static inline bool in_reach(const struct vtd *v, uint64_t addr)
{
	return addr >> v->caps.haw == 0 && addr >> 20 != VTD_INTR_RANGE;
}

bool vtd_translated_ok(struct hw_iommu *hw, uint16_t rid, uint64_t addr)
{
	struct vtd *v = to_vtd(hw);
	uint32_t mode = atomic_load_explicit(&v->mode, memory_order_acquire);
	const struct vtd_bus *b = atomic_load_explicit(&v->bus[rid >> 8], memory_order_acquire);
	const struct vtd_dev *d = b ? nb_rcu_dereference(b->slot[rid & 0xff].dev) : NULL;

	return likely(d && d->dte && (mode & (VTD_MODE_TE | VTD_MODE_PMR)) == VTD_MODE_TE && in_reach(v, addr));
}

void vtd_translated(struct vtd *v, const struct hw_request *req, struct hw_result *res, uint64_t seq, uint32_t mode)
{
	const struct vtd_dev *d;
	struct vtd_box box;
	struct vtd_bad bad;

	if (!v->caps.device_tlb || !(mode & VTD_MODE_TE) || req->pasid != NB_NO_PASID) {
		vtd_fault(v, req, res, 0, 0, true);
		return;
	}
	d = vtd_config_dev(v, req, seq, &box, &bad);
	if (!d) {
		vtd_fault(v, req, res, bad.reason, 0, bad.silent);
	} else if (req->addr >> v->caps.haw != 0) {
		vtd_fault(v, req, res, d->scalable ? VTD_FR_HPA_WIDE : VTD_FR_ADDR_WIDE, 0, d->fpd);
	} else if (!in_reach(v, req->addr)) {
		vtd_fault(v, req, res, d->scalable ? VTD_FR_SINTR_OUT : VTD_FR_INTR_OUT, 0, d->fpd);
	} else if ((mode & VTD_MODE_PMR) && vtd_pmr_hit(v, req->addr)) {
		vtd_pmr_block(res);
	} else {
		res->kind = HW_OK;
		res->lg2 = 12;
		res->perm = HW_READ | HW_WRITE;
		res->pa = hpa(req->addr);
	}
}
