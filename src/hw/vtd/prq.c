/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Page requests (7.4 to 7.6): the queue, its registers (11.4.11) and event, automatic responses.
 *
 * A page request is checked as far as the PASID entry (6.5.3.1), not against page tables: whether there can be a page is
 * software's to say. What is refused is a fault like any other, logged with type "page request" (T1 T2 = 0 1). What
 * is queued first drops what is cached for its address, so that the retry does not meet the translation that refused.
 *
 * Who answers: software, by a response descriptor; the unit itself, for the last request of a group, when it discards:
 *   queue full, or PRO not cleared yet   success: the function tries again and asks again
 *   any fault                            invalid request, never failure, which would switch off the whole device
 * A stop marker (last, neither read nor write) is queued like a request and answered by nobody.
 *
 * Choices where the manual leaves room: an entry that cannot be written is lost and answered as a fault, the tail
 * stays; so are requests while translation is off, or to a unit without page requests.
 */
#include "hw/vtd/model.h"

/* ---- responses ---- */

void vtd_page_respond(struct vtd *v, uint16_t rid, uint32_t pasid, unsigned int prgi, unsigned int code)
{
	const struct hw_client *c = v->hw.client ? v->hw.client(v->hw.client_opaque, rid) : NULL;

	NB_TRACE(v->hw.tr, hw_page_response, rid, pasid, prgi, code);
	if (c && c->page_response)
		c->page_response(c->opaque, pasid, prgi, code);
}

/* ---- the event, 11.4.11.5 ---- */

/* A condition has set a bit of PRS; `before` is PRS without it. While one is pending, another makes no message. */
static void event_locked(struct vtd *v, uint32_t before, struct vtd_msis *q)
{
	if (before & (VTD_PRS_PPR | VTD_PRS_PRO))
		return;
	v->pectl |= (uint32_t)VTD_ECTL_IP;
	if (!(v->pectl & VTD_ECTL_IM)) {
		v->pectl &= ~(uint32_t)VTD_ECTL_IP;
		vtd_msi_queue(q, (uint64_t)v->peuaddr << 32 | v->peaddr, v->pedata);
	}
}

/* ---- the queue ---- */

enum outcome { QUEUED, FULL, BROKEN };

/* Software may write anything into head, tail and size: what lies beyond the size is not looked at. */
static enum outcome enqueue_locked(struct vtd *v, const struct hw_page_request *pr, struct vtd_msis *q)
{
	uint64_t size = BIT(12 + FIELD_GET(VTD_PQA_PQS, v->pqa)), off = v->pqt & (size - 1), d[4] = {0}, pa;
	bool pasid = pr->pasid != NB_NO_PASID;
	uint32_t before = v->prs;
	unsigned int i;

	if (before & VTD_PRS_PRO)
		return FULL;
	if (((off + sizeof(d)) & (size - 1)) == (v->pqh & (size - 1))) {
		v->prs |= (uint32_t)VTD_PRS_PRO;
		event_locked(v, before, q);
		return FULL;
	}
	d[0] = FIELD_C(VTD_PREQ_0_TYPE, 1) | FIELD(VTD_PREQ_0_RID, pr->rid);
	if (pasid)
		d[0] |= VTD_PREQ_0_PP | FIELD(VTD_PREQ_0_PASID, pr->pasid & NB_PASID_MAX) |
			(pr->access & HW_EXEC ? VTD_PREQ_0_EXE : 0) | (pr->priv ? VTD_PREQ_0_PRIV : 0);
	d[1] = (pr->addr & VTD_PREQ_1_ADDR) | FIELD(VTD_PREQ_1_PRGI, pr->prgi & 0x1ffu) |
	       (pr->access & (HW_READ | (pasid ? HW_EXEC : 0)) ? VTD_PREQ_1_RD : 0) |
	       (pr->access & HW_WRITE ? VTD_PREQ_1_WR : 0) | (pr->last ? VTD_PREQ_1_LPIG : 0);
	pa = (v->pqa & VTD_PQA_PQA & nb_low_mask(v->caps.haw)) + off;
	for (i = 0; i < ARRAY_SIZE(d); i++)
		if (mem_store64(v->hw.mem, hpa(pa + 8 * i), d[i]))
			return BROKEN;
	v->pqt = (off + sizeof(d)) & (size - 1);
	v->prs |= (uint32_t)VTD_PRS_PPR;
	event_locked(v, before, q);
	return QUEUED;
}

/* 6.5.3.1, table "Implicit Invalidation on Page Request" */
static void implicit_invalidation(struct vtd *v, const struct hw_page_request *pr, enum vtd_kind kind, uint16_t did,
				  uint32_t pasid)
{
	switch (kind) {
	case VTD_K_FS:
		vtd_piotlb_invalidate(v, VTD_INV_PIOTLB_PAGE, did, pasid, pr->addr & ~UINT64_C(0xfff), 0, false);
		break;
	case VTD_K_NESTED:
		vtd_iotlb_invalidate(v, VTD_INV_IOTLB_DOMAIN, did, 0, 0, false);
		break;
	case VTD_K_SS:
	case VTD_K_PT:
		vtd_iotlb_invalidate(v, VTD_INV_IOTLB_PAGE, did, pr->addr, 0, false);
		break;
	}
}

/* False: *bad says why not. */
static bool allowed_locked(struct vtd *v, const struct hw_page_request *pr, const struct hw_request *req, struct vtd_bad *bad)
{
	uint64_t seq = atomic_load_explicit(&v->tlb.inv_seq, memory_order_acquire);
	const struct vtd_proc *p;
	struct vtd_box box;
	enum vtd_kind kind = VTD_K_PT;
	uint32_t pasid = 0;
	uint16_t did = 0;

	nb_rcu_read_lock();
	p = vtd_config(v, req, seq, &box, NULL, false, bad);
	if (p) {
		kind = p->kind;
		did = p->did;
		pasid = p->pasid;
	}
	nb_rcu_read_unlock();
	if (p)
		implicit_invalidation(v, pr, kind, did, pasid);
	return p != NULL;
}

void vtd_page_request(struct hw_iommu *hw, const struct hw_page_request *asked)
{
	struct vtd *v = to_vtd(hw);
	struct hw_page_request pr = *asked;
	bool marker = pr.last && !(pr.access & (HW_READ | HW_WRITE | HW_EXEC));
	struct hw_request req = {.addr = pr.addr, .rid = pr.rid, .access = pr.access};
	struct vtd_msis q = {.n = 0};
	struct hw_result res = {.kind = HW_OK};
	struct vtd_bad bad = {0};
	enum outcome how = BROKEN;

	if (pr.pasid != NB_NO_PASID)
		pr.pasid &= NB_PASID_MAX;
	req.pasid = pr.pasid;
	req.flags = (uint8_t)(VTD_REQ_PAGE | (pr.priv ? HW_PRIV : 0u));
	NB_TRACE(hw->tr, hw_page_request, pr.rid, pr.pasid, pr.addr, pr.prgi);
	/* One after the other from the check on, so that a drain waits for those that were let through. */
	pthread_mutex_lock(&v->prq_lock);
	if (v->caps.page_requests && (atomic_load_explicit(&v->mode, memory_order_acquire) & VTD_MODE_TE)) {
		if (allowed_locked(v, &pr, &req, &bad))
			how = enqueue_locked(v, &pr, &q);
		else
			vtd_fault(v, &req, &res, bad.reason, 0, bad.silent);
	}
	pthread_mutex_unlock(&v->prq_lock);

	if (res.kind == HW_FAULT)
		vtd_report(hw, &req, &res);
	if (how != QUEUED) {
		NB_TRACE(hw->tr, hw_page_request_lost, pr.rid, pr.addr, pr.prgi);
		if (pr.last && !marker)
			vtd_page_respond(v, pr.rid, pr.pasid, pr.prgi, how == FULL ? HW_PAGE_SUCCESS : HW_PAGE_INVALID);
	}
	vtd_msi_send(v, &q);
}

void vtd_prq_drain(struct vtd *v)
{
	pthread_mutex_lock(&v->prq_lock);
	pthread_mutex_unlock(&v->prq_lock);
}

/* ---- registers ---- */

bool vtd_prq_owns(const struct vtd *v, uint64_t off)
{
	return v->caps.page_requests && ((off >= VTD_REG_PQH && off < VTD_REG_PQA + 8) ||
					 (off >= VTD_REG_PRS && off <= VTD_REG_PEUADDR));
}

uint32_t vtd_prq_read(struct vtd *v, uint64_t off)
{
	uint32_t r = 0;

	pthread_mutex_lock(&v->prq_lock);
	switch (off) {
	case VTD_REG_PQH:
		r = (uint32_t)v->pqh;
		break;
	case VTD_REG_PQT:
		r = (uint32_t)v->pqt;
		break;
	case VTD_REG_PQA:
		r = (uint32_t)v->pqa;
		break;
	case VTD_REG_PQA + 4:
		r = (uint32_t)(v->pqa >> 32);
		break;
	case VTD_REG_PRS:
		r = v->prs;
		break;
	case VTD_REG_PECTL:
		r = v->pectl;
		break;
	case VTD_REG_PEDATA:
		r = v->pedata;
		break;
	case VTD_REG_PEADDR:
		r = v->peaddr;
		break;
	case VTD_REG_PEUADDR:
		r = v->peuaddr;
		break;
	default: /* upper halves of head and tail */
		break;
	}
	pthread_mutex_unlock(&v->prq_lock);
	return r;
}

static uint32_t merge(uint32_t old, uint32_t val, uint32_t mask, uint64_t rw)
{
	return (old & ~mask) | (val & mask & (uint32_t)rw);
}

void vtd_prq_write(struct vtd *v, uint64_t off, uint32_t val, uint32_t mask, struct vtd_msis *q)
{
	pthread_mutex_lock(&v->prq_lock);
	switch (off) {
	case VTD_REG_PQH:
		v->pqh = merge((uint32_t)v->pqh, val, mask, VTD_PQH_PQH);
		break;
	case VTD_REG_PQT: /* software sets it up, the unit moves it */
		v->pqt = merge((uint32_t)v->pqt, val, mask, VTD_PQT_PQT);
		break;
	case VTD_REG_PQA:
		v->pqa = (v->pqa & ~UINT64_C(0xffffffff)) |
			 merge((uint32_t)v->pqa, val, mask, (VTD_PQA_PQA | VTD_PQA_PQS) & UINT32_MAX);
		break;
	case VTD_REG_PQA + 4:
		v->pqa = (v->pqa & UINT32_MAX) | (uint64_t)merge((uint32_t)(v->pqa >> 32), val, mask, UINT32_MAX) << 32;
		break;
	case VTD_REG_PRS:
		v->prs &= ~(val & mask);
		if (!v->prs)
			v->pectl &= ~(uint32_t)VTD_ECTL_IP;
		break;
	case VTD_REG_PECTL:
		if (!(mask & VTD_ECTL_IM))
			break;
		v->pectl = (v->pectl & ~(uint32_t)VTD_ECTL_IM) | (val & (uint32_t)VTD_ECTL_IM);
		if (!(v->pectl & VTD_ECTL_IM) && (v->pectl & VTD_ECTL_IP)) {
			v->pectl &= ~(uint32_t)VTD_ECTL_IP;
			vtd_msi_queue(q, (uint64_t)v->peuaddr << 32 | v->peaddr, v->pedata);
		}
		break;
	case VTD_REG_PEDATA:
		v->pedata = merge(v->pedata, val, mask, VTD_EDATA_IMD);
		break;
	case VTD_REG_PEADDR:
		v->peaddr = merge(v->peaddr, val, mask, VTD_EADDR_MA);
		break;
	case VTD_REG_PEUADDR:
		v->peuaddr = merge(v->peuaddr, val, mask, UINT32_MAX);
		break;
	default:
		break;
	}
	pthread_mutex_unlock(&v->prq_lock);
}

void vtd_prq_reset(struct vtd *v)
{
	pthread_mutex_lock(&v->prq_lock);
	v->pqh = v->pqt = v->pqa = 0;
	v->prs = v->pedata = v->peaddr = v->peuaddr = 0;
	v->pectl = (uint32_t)VTD_ECTL_IM;
	pthread_mutex_unlock(&v->prq_lock);
}
