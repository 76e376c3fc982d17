/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The invalidation queue (6.5.2): descriptors, their checks, completion, errors.
 *
 * Runs in the thread that wrote the register, under mmio_lock, until the queue is empty or stops. The work is bounded: a
 * queue has at most 2^15 descriptors and the tail does not move meanwhile.
 */
#include "hw/vtd/model.h"

#define SM_ONLY	     true
#define LEGACY_TOO   false

/* What follows the type field in each descriptor: bits that must be 0. Words 2 and 3 must be 0 in all. */
struct inv_type {
	bool (*run)(struct vtd *v, const uint64_t d[4], struct vtd_msis *q); /* false: a reserved value; null: no such type */
	uint64_t rsvd0, rsvd1;
	bool sm_only;
};

static bool run_cc(struct vtd *v, const uint64_t d[4], struct vtd_msis *q)
{
	unsigned int g = (unsigned int)FIELD_GET(VTD_INV_CC_0_G, d[0]);

	(void)q;
	if (g == 0)
		return false;
	vtd_cc_invalidate(v, g, (uint16_t)FIELD_GET(VTD_INV_CC_0_DID, d[0]),
			  (uint16_t)FIELD_GET(VTD_INV_CC_0_SID, d[0]), (unsigned int)FIELD_GET(VTD_INV_CC_0_FM, d[0]));
	v->inv_pending = true;
	return true;
}

static bool run_pc(struct vtd *v, const uint64_t d[4], struct vtd_msis *q)
{
	unsigned int g = (unsigned int)FIELD_GET(VTD_INV_PC_0_G, d[0]);

	(void)q;
	if (g != VTD_INV_PC_DOMAIN && g != VTD_INV_PC_PASID && g != VTD_INV_PC_GLOBAL)
		return false;
	vtd_pc_invalidate(v, g, (uint16_t)(FIELD_GET(VTD_INV_PC_0_DID, d[0]) & nb_low_mask(v->caps.nd_lg2)),
			  (uint32_t)FIELD_GET(VTD_INV_PC_0_PASID, d[0]));
	v->inv_pending = true;
	return true;
}

static bool run_iotlb(struct vtd *v, const uint64_t d[4], struct vtd_msis *q)
{
	unsigned int g = (unsigned int)FIELD_GET(VTD_INV_IOTLB_0_G, d[0]);
	unsigned int am = (unsigned int)FIELD_GET(VTD_INV_IOTLB_1_AM, d[1]);

	(void)q;
	if (g == 0)
		return false;
	if (g == VTD_INV_IOTLB_PAGE && (v->caps.no_page_selective || am > vtd_caps_mamv(&v->caps)))
		return false;
	vtd_iotlb_invalidate(v, g, (uint16_t)FIELD_GET(VTD_INV_IOTLB_0_DID, d[0]), d[1] & VTD_INV_IOTLB_1_ADDR, am,
			     d[1] & VTD_INV_IOTLB_1_IH);
	v->inv_pending = true;
	return true;
}

static bool run_piotlb(struct vtd *v, const uint64_t d[4], struct vtd_msis *q)
{
	unsigned int g = (unsigned int)FIELD_GET(VTD_INV_PIOTLB_0_G, d[0]);

	(void)q;
	if (g != VTD_INV_PIOTLB_PASID && g != VTD_INV_PIOTLB_PAGE)
		return false;
	vtd_piotlb_invalidate(v, g, (uint16_t)FIELD_GET(VTD_INV_PIOTLB_0_DID, d[0]),
			      (uint32_t)FIELD_GET(VTD_INV_PIOTLB_0_PASID, d[0]), d[1] & VTD_INV_PIOTLB_1_ADDR,
			      (unsigned int)FIELD_GET(VTD_INV_PIOTLB_1_AM, d[1]), d[1] & VTD_INV_PIOTLB_1_IH);
	v->inv_pending = true;
	return true;
}

/*
 * Ask the requester's device-TLB, and have its answer before this returns; the next wait then waits for what is still under way.
 * No answer is the time-out. With S, the run of ones in `at` from bit 12 up tells the size.
 */
static bool devtlb(struct vtd *v, uint16_t sid, uint32_t pasid, bool all_pasids, uint64_t at, bool s, struct vtd_msis *q)
{
	const struct hw_client *c = v->hw.client ? v->hw.client(v->hw.client_opaque, sid) : NULL;
	unsigned int lg2 = 12;
	bool lost = v->lost_sid == sid;

	if (s) {
		uint64_t zeroes = ~at >> 12 & BITS(51, 0); /* all ones: nothing tells 2^64 from more */

		lg2 = zeroes ? 13 + (unsigned int)__builtin_ctzll(zeroes) : 64;
	}
	at &= ~nb_low_mask(lg2);
	NB_TRACE(v->hw.tr, hw_ats_inval, sid, pasid, at, lg2);
	v->inv_pending = true;
	if (lost)
		v->lost_sid = -1;
	else if (c && c->ats_invalidate)
		lost = !c->ats_invalidate(c->opaque, pasid, all_pasids, at, lg2);
	if (lost)
		vtd_event_queue_error(v, VTD_FSTS_ITE, sid, q);
	return true;
}

/* Without PASID on the wire an invalidation takes every translation of the range, those of PASIDs too (PCI Express 5.0, 10.3.8). */
static bool run_devtlb(struct vtd *v, const uint64_t d[4], struct vtd_msis *q)
{
	return devtlb(v, (uint16_t)FIELD_GET(VTD_INV_DEVTLB_0_SID, d[0]), NB_NO_PASID, true, d[1] & VTD_INV_DEVTLB_1_ADDR,
		      d[1] & VTD_INV_DEVTLB_1_S, q);
}

static bool run_pdevtlb(struct vtd *v, const uint64_t d[4], struct vtd_msis *q)
{
	return devtlb(v, (uint16_t)FIELD_GET(VTD_INV_PDEVTLB_0_SID, d[0]), (uint32_t)FIELD_GET(VTD_INV_PDEVTLB_0_PASID, d[0]),
		      d[1] & VTD_INV_PDEVTLB_1_GI, d[1] & VTD_INV_PDEVTLB_1_ADDR, d[1] & VTD_INV_PDEVTLB_1_S, q);
}

/* 7.6.1. Reserved codes count as a failure, as they do for the function (PCI Express 5.0, 10.4.2.1). */
static bool run_prgr(struct vtd *v, const uint64_t d[4], struct vtd_msis *q)
{
	unsigned int code = (unsigned int)FIELD_GET(VTD_INV_PRGR_0_CODE, d[0]);

	(void)q;
	vtd_page_respond(v, (uint16_t)FIELD_GET(VTD_INV_PRGR_0_RID, d[0]),
			 d[0] & VTD_INV_PRGR_0_PP ? (uint32_t)FIELD_GET(VTD_INV_PRGR_0_PASID, d[0]) : NB_NO_PASID,
			 (unsigned int)FIELD_GET(VTD_INV_PRGR_1_PRGI, d[1]),
			 code == VTD_PRGR_SUCCESS || code == VTD_PRGR_INVALID ? code : VTD_PRGR_FAILURE);
	return true;
}

/* 6.5.2.8 */
static bool run_iec(struct vtd *v, const uint64_t d[4], struct vtd_msis *q)
{
	uint32_t im = (uint32_t)FIELD_GET(VTD_INV_IEC_0_IM, d[0]), index = (uint32_t)FIELD_GET(VTD_INV_IEC_0_IIDX, d[0]);

	(void)q;
	if (!(d[0] & VTD_INV_IEC_0_G)) {
		vtd_iec_invalidate(v, 0, VTD_IEC_LAST);
	} else {
		if (im > FIELD_GET(VTD_ECAP_MHMV, v->ecap))
			return false;
		index &= ~(uint32_t)nb_low_mask(im);
		vtd_iec_invalidate(v, index, index | (uint32_t)nb_low_mask(im));
	}
	v->inv_pending = v->intr_pending = true;
	return true;
}

/* 6.5.2.9, 6.5.2.10. Nothing is told before every access through an older translation is done. */
static bool run_wait(struct vtd *v, const uint64_t d[4], struct vtd_msis *q)
{
	if (d[0] & VTD_INV_WAIT_0_PD)
		vtd_prq_drain(v);
	if (v->inv_pending) {
		vtd_sync(v);
		v->inv_pending = false;
	}
	if (v->intr_pending) {
		hw_interrupt_drain(&v->hw);
		v->intr_pending = false;
	}
	if (d[0] & VTD_INV_WAIT_0_SW) /* what happens at an address that is no memory is undefined: nothing */
		(void)mem_store32(v->hw.mem, hpa(d[1] & VTD_INV_WAIT_1_ADDR & nb_low_mask(v->caps.haw)),
				  (uint32_t)FIELD_GET(VTD_INV_WAIT_0_DATA, d[0]));
	if ((d[0] & VTD_INV_WAIT_0_IF) && !(v->ics & VTD_ICS_IWC)) {
		v->ics |= (uint32_t)VTD_ICS_IWC;
		v->iectl |= (uint32_t)VTD_ECTL_IP;
		if (!(v->iectl & VTD_ECTL_IM)) {
			v->iectl &= ~(uint32_t)VTD_ECTL_IP;
			vtd_msi_queue(q, (uint64_t)v->ieuaddr << 32 | v->ieaddr, v->iedata);
		}
	}
	return true;
}

static const struct inv_type inv_types[] = {
	[VTD_INV_CC] = {run_cc, BITS(63, 50) | BITS(15, 12) | BITS(8, 6), ~UINT64_C(0), LEGACY_TOO},
	[VTD_INV_IOTLB] = {run_iotlb, BITS(63, 32) | BITS(15, 12) | BIT(8), BITS(11, 7), LEGACY_TOO},
	[VTD_INV_DEVTLB] = {run_devtlb, BITS(51, 48) | BITS(31, 21) | BITS(8, 4), BITS(11, 1), LEGACY_TOO},
	[VTD_INV_IEC] = {run_iec, BITS(63, 48) | BITS(26, 12) | BITS(8, 5), ~UINT64_C(0), LEGACY_TOO},
	[VTD_INV_WAIT] = {run_wait, BITS(31, 12) | BIT(8), BITS(1, 0), LEGACY_TOO},
	[VTD_INV_PIOTLB] = {run_piotlb, BITS(63, 52) | BITS(15, 12) | BITS(8, 6), BITS(11, 7), SM_ONLY},
	[VTD_INV_PC] = {run_pc, BITS(63, 52) | BITS(15, 12) | BITS(8, 6), ~UINT64_C(0), SM_ONLY},
	[VTD_INV_PDEVTLB] = {run_pdevtlb, 0, BITS(10, 1), SM_ONLY},
	/* Bits 2:0 of word 1 are ignored for older software's sake: it had LPIG there. */
	[VTD_INV_PRGR] = {run_prgr, BITS(63, 52) | BITS(8, 5), BITS(63, 12), SM_ONLY},
};

/* One descriptor. 0 or the IQEI that stops the queue. */
static unsigned int run(struct vtd *v, const uint64_t d[4], struct vtd_msis *q)
{
	unsigned int type = (unsigned int)(FIELD_GET(VTD_INV_0_TYPE, d[0]) | FIELD_GET(VTD_INV_0_TYPE_HI, d[0]) << 4);
	bool dw = v->iqa & VTD_IQA_DW;
	bool scalable = (atomic_load_explicit(&v->mode, memory_order_relaxed) & VTD_MODE_TTM) >> 1 != VTD_TTM_LEGACY;
	const struct inv_type *t;

	if (type >= ARRAY_SIZE(inv_types) || !inv_types[type].run)
		return VTD_IQEI_TYPE;
	t = &inv_types[type];
	if (t->sm_only && (!dw || !scalable))
		return VTD_IQEI_TYPE;
	if (type == VTD_INV_IEC && !v->caps.intr_remap)
		return VTD_IQEI_TYPE;
	if ((type == VTD_INV_DEVTLB || type == VTD_INV_PDEVTLB) && !v->caps.device_tlb)
		return VTD_IQEI_TYPE;
	if (type == VTD_INV_PRGR && !v->caps.page_requests)
		return VTD_IQEI_TYPE;
	if (type == VTD_INV_WAIT && (d[0] & VTD_INV_WAIT_0_PD) && !v->caps.page_requests)
		return VTD_IQEI_RESERVED;
	/* Without DIT the physical function's id is reserved; Linux fills it in all the same only where DIT is. */
	if (!v->caps.dev_tlb_throttle && type == VTD_INV_DEVTLB && (d[0] & (VTD_INV_DEVTLB_0_PFSID_LO | VTD_INV_DEVTLB_0_PFSID_HI)))
		return VTD_IQEI_RESERVED;
	if (!v->caps.dev_tlb_throttle && type == VTD_INV_PDEVTLB && (d[0] & (VTD_INV_PDEVTLB_0_PFSID_LO | VTD_INV_PDEVTLB_0_PFSID_HI)))
		return VTD_IQEI_RESERVED;
	if ((d[0] & t->rsvd0) || (d[1] & t->rsvd1) || d[2] || d[3])
		return VTD_IQEI_RESERVED;
	return t->run(v, d, q) ? 0 : VTD_IQEI_RESERVED;
}

/* Is the queue as a whole well-formed? 0 or the IQEI. */
static unsigned int check(const struct vtd *v)
{
	unsigned int ttm = (atomic_load_explicit(&v->mode, memory_order_relaxed) & VTD_MODE_TTM) >> 1;
	bool dw = v->iqa & VTD_IQA_DW;

	if (ttm == VTD_TTM_RESERVED || (ttm == VTD_TTM_SCALABLE && !v->caps.scalable) ||
	    (ttm == VTD_TTM_ABORT && !v->caps.abort_mode))
		return VTD_IQEI_TTM;
	if (dw ? !v->caps.scalable && !v->caps.abort_mode : ttm != VTD_TTM_LEGACY)
		return VTD_IQEI_WIDTH;
	if (v->iqt >= BIT(12 + FIELD_GET(VTD_IQA_QS, v->iqa)))
		return VTD_IQEI_TAIL;
	if (dw && (v->iqt & BIT(4)))
		return VTD_IQEI_TAIL_ALIGN;
	return 0;
}

static void stop(struct vtd *v, unsigned int iqei, const uint64_t d[4], struct vtd_msis *q)
{
	NB_TRACE(v->hw.tr, hw_inv_error, d[0], d[1], iqei);
	vtd_event_queue_error(v, VTD_FSTS_IQE, iqei, q);
}

void vtd_queue_run(struct vtd *v, struct vtd_msis *q)
{
	uint64_t size = BIT(12 + FIELD_GET(VTD_IQA_QS, v->iqa));
	unsigned int n = v->iqa & VTD_IQA_DW ? 4 : 2, i, err;
	uint64_t d[4] = {0};

	if (!(v->gsts & VTD_GSTS_QIES) || v->iqh == v->iqt || vtd_event_queue_stopped(v))
		return;
	err = check(v);
	if (err) {
		stop(v, err, d, q);
		return;
	}
	v->iqh &= size - 1 - (8ul * n - 1); /* software changed size or width behind our back */
	while (v->iqh != v->iqt) {
		for (i = 0; i < n; i++) {
			if (mem_load64(v->hw.mem, hpa((v->iqa & VTD_IQA_IQA) + v->iqh + 8 * i), &d[i])) {
				stop(v, VTD_IQEI_FETCH, d, q);
				return;
			}
		}
		NB_TRACE(v->hw.tr, hw_inv_desc, d[0], d[1]);
		err = run(v, d, q);
		if (err) {
			stop(v, err, d, q);
			break;
		}
		v->iqh = (v->iqh + 8 * n) & (size - 1);
		if (vtd_event_queue_stopped(v)) /* ITE */
			break;
	}
	/* Software that never waits. Both change under mmio_lock, or are hints. */
	if (v->ndead > 1024 || atomic_load_explicit(&v->tlb.want_reset, memory_order_relaxed))
		vtd_sync(v);
}
