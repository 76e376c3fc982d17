/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fault recording (7.2), the fault event (7.3) and the queue-error bits that share its status register.
 *
 * "Status" below is what 7.3 calls interrupt conditions yet to be serviced: PPF, PFO, IQE, ICE, ITE. A condition that
 * arises while another is pending makes no new message.
 */
#include "hw/vtd/model.h"

#include <string.h>

#define STATUS (VTD_FSTS_PFO | VTD_FSTS_PPF | VTD_FSTS_IQE | VTD_FSTS_ICE | VTD_FSTS_ITE)

void vtd_msi_queue(struct vtd_msis *q, uint64_t addr, uint32_t data)
{
	if (q->n == VTD_MAX_MSIS)
		return; /* each message needs a status bit that software must clear first: not reached */
	q->m[q->n].addr = addr;
	q->m[q->n++].data = data;
}

void vtd_msi_send(struct vtd *v, struct vtd_msis *q)
{
	unsigned int i;

	for (i = 0; i < q->n; i++) {
		NB_TRACE(v->hw.tr, hw_irq, q->m[i].addr, q->m[i].data);
		if (v->hw.msi)
			v->hw.msi(v->hw.msi_opaque, q->m[i].addr, q->m[i].data);
	}
	q->n = 0;
}

void vtd_fault(struct vtd *v, const struct hw_request *req, struct hw_result *res, unsigned int reason,
	       unsigned int stage, bool silent)
{
	struct hw_fault *f = &res->fault;
	uint64_t hi = FIELD(VTD_FRCD_1_SID, req->rid) | FIELD(VTD_FRCD_1_FR, reason);

	res->kind = HW_FAULT;
	res->lg2 = 0;
	res->perm = 0;
	res->pa = hpa(0);
	memset(f, 0, sizeof(*f));
	f->reason = (uint16_t)reason;
	f->stage = (uint8_t)stage;
	if (silent)
		return;
	/* 11.4.7.6. A translation request is a read on the wire. */
	if (unlikely(req->flags & VTD_REQ_PAGE))
		hi |= VTD_FRCD_1_T2;
	else if (unlikely(req->flags & VTD_REQ_ATS))
		hi |= VTD_FRCD_1_T1 | FIELD_C(VTD_FRCD_1_AT, 1);
	else if ((req->access & HW_WRITE) && (req->access & HW_READ))
		hi |= VTD_FRCD_1_T1 | VTD_FRCD_1_T2;
	else if (!(req->access & HW_WRITE))
		hi |= VTD_FRCD_1_T1;
	if (unlikely(req->flags & HW_TRANSLATED))
		hi |= FIELD_C(VTD_FRCD_1_AT, 2);
	if (req->pasid != NB_NO_PASID && v->caps.pasid_bits) {
		hi |= VTD_FRCD_1_PP | FIELD(VTD_FRCD_1_PV, req->pasid & NB_PASID_MAX);
		hi |= req->flags & HW_PRIV ? VTD_FRCD_1_PRIV : 0;
		hi |= (req->access & HW_EXEC) && (hi & (VTD_FRCD_1_T1 | VTD_FRCD_1_T2)) == VTD_FRCD_1_T1 ? VTD_FRCD_1_EXE : 0;
	}
	f->record[0] = req->addr & VTD_FRCD_0_FI & nb_low_mask(vtd_caps_widest(&v->caps));
	f->record[1] = hi | VTD_FRCD_1_F;
	f->record_len = 16;
}

/* A condition has set bits of FSTS that were clear; `before` is FSTS without them. */
static void event(struct vtd *v, uint32_t before, struct vtd_msis *q)
{
	if (before & STATUS)
		return;
	v->fectl |= (uint32_t)VTD_ECTL_IP;
	if (!(v->fectl & VTD_ECTL_IM)) {
		v->fectl &= ~(uint32_t)VTD_ECTL_IP;
		vtd_msi_queue(q, (uint64_t)v->feuaddr << 32 | v->feaddr, v->fedata);
	}
}

static void serviced(struct vtd *v)
{
	if (!(v->fsts & STATUS))
		v->fectl &= ~(uint32_t)VTD_ECTL_IP;
}

/* 7.2.1. False: overflow, nothing recorded. */
static bool record(struct vtd *v, const uint64_t rec[2], struct vtd_msis *q)
{
	uint32_t before = v->fsts;
	unsigned int i = v->frcd_next;

	if (before & VTD_FSTS_PFO)
		return false;
	if (v->frcd[i][1] & VTD_FRCD_1_F) {
		v->fsts |= (uint32_t)VTD_FSTS_PFO; /* PPF is set, so this makes no message */
		return false;
	}
	v->frcd[i][0] = rec[0];
	v->frcd[i][1] = rec[1];
	v->frcd_next = (i + 1) % v->caps.fault_records;
	if (!(before & VTD_FSTS_PPF)) {
		v->fsts = (uint32_t)((before & ~VTD_FSTS_FRI) | FIELD(VTD_FSTS_FRI, i) | VTD_FSTS_PPF);
		event(v, before, q);
	}
	return true;
}

void vtd_report(struct hw_iommu *hw, const struct hw_request *req, struct hw_result *res)
{
	struct vtd *v = to_vtd(hw);
	struct vtd_msis q = {.n = 0};

	if (res->kind != HW_FAULT || (req->flags & HW_OBSERVE))
		return;
	NB_TRACE(hw->tr, hw_fault, req->rid, req->pasid, req->addr, res->fault.reason);
	if (!res->fault.record_len)
		return;
	pthread_mutex_lock(&v->event_lock);
	res->fault.recorded = record(v, res->fault.record, &q);
	pthread_mutex_unlock(&v->event_lock);
	if (!res->fault.recorded)
		NB_TRACE(hw->tr, hw_fault_lost, req->rid, res->fault.reason);
	vtd_msi_send(v, &q);
}

void vtd_event_queue_error(struct vtd *v, uint64_t fsts_bit, uint64_t info, struct vtd_msis *q)
{
	uint64_t field = fsts_bit == VTD_FSTS_IQE ? VTD_IQER_IQEI :
			 fsts_bit == VTD_FSTS_ITE ? VTD_IQER_ITESID :
						    VTD_IQER_ICESID;
	uint32_t before;

	pthread_mutex_lock(&v->event_lock);
	before = v->fsts;
	if (!(before & fsts_bit)) {
		v->iqer = (v->iqer & ~field) | nb_field_put(field, info);
		v->fsts |= (uint32_t)fsts_bit;
		event(v, before, q);
	}
	pthread_mutex_unlock(&v->event_lock);
}

bool vtd_event_queue_stopped(struct vtd *v)
{
	bool stopped;

	pthread_mutex_lock(&v->event_lock);
	stopped = v->fsts & (VTD_FSTS_IQE | VTD_FSTS_ITE);
	pthread_mutex_unlock(&v->event_lock);
	return stopped;
}

/* ---- registers ---- */

static bool frcd_at(const struct vtd *v, uint64_t off)
{
	return off >= VTD_FRCD_AT && off < VTD_FRCD_AT + VTD_FRCD_SIZE * (uint64_t)v->caps.fault_records;
}

bool vtd_event_owns(const struct vtd *v, uint64_t off)
{
	return (off >= VTD_REG_FSTS && off <= VTD_REG_FEUADDR) || off == VTD_REG_IQER || off == VTD_REG_IQER + 4 ||
	       frcd_at(v, off);
}

uint32_t vtd_event_read(struct vtd *v, uint64_t off)
{
	uint32_t r = 0;

	pthread_mutex_lock(&v->event_lock);
	switch (off) {
	case VTD_REG_FSTS:
		r = v->fsts;
		break;
	case VTD_REG_FECTL:
		r = v->fectl;
		break;
	case VTD_REG_FEDATA:
		r = v->fedata;
		break;
	case VTD_REG_FEADDR:
		r = v->feaddr;
		break;
	case VTD_REG_FEUADDR:
		r = v->feuaddr;
		break;
	case VTD_REG_IQER:
		r = (uint32_t)v->iqer;
		break;
	case VTD_REG_IQER + 4:
		r = (uint32_t)(v->iqer >> 32);
		break;
	default:
		off -= VTD_FRCD_AT;
		r = (uint32_t)(v->frcd[off / 16][off / 8 % 2] >> (off % 8 * 8));
	}
	pthread_mutex_unlock(&v->event_lock);
	return r;
}

/* F is write-1-to-clear and the only bit of a record that software changes; PPF follows all of them. */
static void write_frcd(struct vtd *v, uint64_t off, uint32_t val)
{
	unsigned int i;

	off -= VTD_FRCD_AT;
	if (off % 16 != 12 || !(val & (uint32_t)(VTD_FRCD_1_F >> 32)))
		return;
	v->frcd[off / 16][1] &= ~VTD_FRCD_1_F;
	for (i = 0; i < v->caps.fault_records; i++)
		if (v->frcd[i][1] & VTD_FRCD_1_F)
			return;
	v->fsts &= ~(uint32_t)VTD_FSTS_PPF;
	serviced(v);
}

bool vtd_event_write(struct vtd *v, uint64_t off, uint32_t val, uint32_t mask, struct vtd_msis *q)
{
	bool resume = false;

	val &= mask;
	pthread_mutex_lock(&v->event_lock);
	switch (off) {
	case VTD_REG_FSTS:
		val &= (uint32_t)(VTD_FSTS_PFO | VTD_FSTS_IQE | VTD_FSTS_ICE | VTD_FSTS_ITE);
		resume = v->fsts & val & (VTD_FSTS_IQE | VTD_FSTS_ITE);
		v->fsts &= ~val;
		serviced(v);
		break;
	case VTD_REG_FECTL:
		if (!(mask & VTD_ECTL_IM))
			break;
		v->fectl = (v->fectl & ~(uint32_t)VTD_ECTL_IM) | (val & (uint32_t)VTD_ECTL_IM);
		if (!(v->fectl & VTD_ECTL_IM) && (v->fectl & VTD_ECTL_IP)) {
			v->fectl &= ~(uint32_t)VTD_ECTL_IP;
			vtd_msi_queue(q, (uint64_t)v->feuaddr << 32 | v->feaddr, v->fedata);
		}
		break;
	case VTD_REG_FEDATA:
		v->fedata = ((v->fedata & ~mask) | val) & (uint32_t)VTD_EDATA_IMD;
		break;
	case VTD_REG_FEADDR:
		v->feaddr = ((v->feaddr & ~mask) | val) & (uint32_t)VTD_EADDR_MA;
		break;
	case VTD_REG_FEUADDR:
		v->feuaddr = (v->feuaddr & ~mask) | val;
		break;
	default:
		if (frcd_at(v, off))
			write_frcd(v, off, val);
	}
	pthread_mutex_unlock(&v->event_lock);
	return resume;
}

void vtd_event_disabled(struct vtd *v)
{
	pthread_mutex_lock(&v->event_lock);
	v->frcd_next = 0;
	pthread_mutex_unlock(&v->event_lock);
}

void vtd_event_reset(struct vtd *v)
{
	pthread_mutex_lock(&v->event_lock);
	v->fsts = v->fedata = v->feaddr = v->feuaddr = 0;
	v->fectl = (uint32_t)VTD_ECTL_IM;
	v->iqer = 0;
	v->frcd_next = 0;
	memset(v->frcd, 0, sizeof(v->frcd));
	pthread_mutex_unlock(&v->event_lock);
}
