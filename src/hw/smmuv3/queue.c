/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Command queues (chapter 4, 7.1): what each command does, CMD_SYNC, errors. Whose queue it is, struct smmu_cmdq says.
 *
 * Runs in the thread that wrote the register (a guest's VCMDQ: in cmdqv_poll.c's), under mmio_lock, until the queue is empty or stops. The work is
 * bounded: PROD does not move meanwhile. Reserved bits are not looked at, as 4.1.5 leaves open; commands of other Security states and of features that are
 * not here do not exist. Out-of-range StreamIDs and SubstreamIDs have no effect.
 */
#include "hw/smmuv3/model.h"

#include <limits.h>

/* False: CERROR_ILL. What struct command asks for was checked. */
typedef bool cmd_fn(struct smmu *v, struct smmu_cmdq *cq, const uint64_t d[2]);

/* A StreamID that can have a requester: there are no more than 16 bits of them. */
static bool sid_of(const struct smmu *v, const uint64_t d[2], uint16_t *sid)
{
	uint64_t s = FIELD_GET(SMMU_CMD_0_SID, d[0]);

	*sid = (uint16_t)s;
	return s <= UINT16_MAX && s >> v->caps.sid_bits == 0;
}

/* ---- 4.2: what could be prefetched is fetched when it is needed ---- */

static bool run_prefetch(struct smmu *v, struct smmu_cmdq *cq, const uint64_t d[2])
{
	(void)v;
	(void)cq;
	(void)d;
	return true;
}

/* ---- 4.3 ---- */

static bool run_cfgi_ste(struct smmu *v, struct smmu_cmdq *cq, const uint64_t d[2])
{
	uint16_t sid;

	(void)cq;
	if (sid_of(v, d, &sid))
		smmu_cfgi_ste(v, sid, sid, d[1] & SMMU_CMD_CFGI_1_LEAF);
	return true;
}

static bool run_cfgi_range(struct smmu *v, struct smmu_cmdq *cq, const uint64_t d[2])
{
	uint64_t mask = nb_low_mask((unsigned int)FIELD_GET(SMMU_CMD_CFGI_1_RANGE, d[1]) + 1);
	uint32_t first = (uint32_t)(FIELD_GET(SMMU_CMD_0_SID, d[0]) & ~mask);

	(void)cq;
	smmu_cfgi_ste(v, first, (uint32_t)(first | mask), false);
	return true;
}

static bool run_cfgi_cd(struct smmu *v, struct smmu_cmdq *cq, const uint64_t d[2])
{
	uint16_t sid;

	(void)cq;
	if (sid_of(v, d, &sid))
		smmu_cfgi_cd(v, sid, (uint32_t)FIELD_GET(SMMU_CMD_0_SSID, d[0]), d[1] & SMMU_CMD_CFGI_1_LEAF);
	return true;
}

static bool run_cfgi_cd_all(struct smmu *v, struct smmu_cmdq *cq, const uint64_t d[2])
{
	uint16_t sid;

	(void)cq;
	if (sid_of(v, d, &sid))
		smmu_cfgi_cd_all(v, sid);
	return true;
}

/* ---- 4.4 ---- */

static uint16_t vmid_of(const struct smmu *v, const uint64_t d[2])
{
	return v->caps.s2 ? (uint16_t)FIELD_GET(SMMU_CMD_TLBI_0_VMID, d[0]) : 0;
}

static uint16_t asid_of(const uint64_t d[2])
{
	return (uint16_t)FIELD_GET(SMMU_CMD_TLBI_0_ASID, d[0]);
}

/*
 * CR0.VMW: the VMIDs that a command names. They are 2^n neighbours; the rest of the field is reserved and means one.
 */
static inline void vmids_of(const struct smmu *v, const struct smmu_cmdq *cq, const uint64_t d[2], uint32_t *first, uint32_t *last)
{
	*first = *last = vmid_of(v, d);
	if (unlikely(v->cr0 & SMMU_CR0_VMW) && !cq->one_vmid) {
		unsigned int n = (unsigned int)FIELD_GET(SMMU_CR0_VMW, v->cr0);
		uint32_t mask = (uint32_t)nb_low_mask(n <= 4 ? n : 0);

		*first &= ~mask;
		*last = *first | mask;
	}
}

/* 4.4.1.1, with TG. The range begins at `addr` and does not wrap. False: a reserved combination. */
static __attribute__((noinline)) bool many_of(const struct smmu *v, const uint64_t d[2], uint64_t addr, struct smmu_range *r)
{
	static const uint8_t lg2[4] = {0, 12, 14, 16};
	unsigned int tg = (unsigned int)FIELD_GET(SMMU_CMD_TLBI_1_TG, d[1]), ttl = (unsigned int)FIELD_GET(SMMU_CMD_TLBI_1_TTL, d[1]);
	unsigned int num = (unsigned int)FIELD_GET(SMMU_CMD_TLBI_0_NUM, d[0]);
	unsigned int scale = (unsigned int)FIELD_GET(SMMU_CMD_TLBI_0_SCALE, d[0]);
	uint64_t granules;

	if (tg == SMMU_TLBI_TG_16K && ttl == 1 && !v->caps.ds)
		ttl = 0;
	if (!v->caps.ds)
		scale &= 31;
	if (scale > SMMU_TLBI_SCALE_MAX)
		scale = SMMU_TLBI_SCALE_MAX;
	if (num == 0 && scale == 0 && ttl == 0)
		return false;
	r->tg = lg2[tg];
	r->ttl = (uint8_t)ttl;
	granules = (uint64_t)(num + 1) << scale; /* at most 2^44 */
	if (granules > (BITS(55, 0) - addr) >> r->tg)
		r->last = BITS(55, 0);
	else
		r->last = addr + (granules << r->tg) - 1;
	return true;
}

static inline bool range_of(const struct smmu *v, const uint64_t d[2], uint64_t addr, struct smmu_range *r)
{
	*r = (struct smmu_range){.first = addr, .last = addr | 4095, .leaf = d[1] & SMMU_CMD_TLBI_1_LEAF};
	return likely(!v->caps.ril || !(d[1] & SMMU_CMD_TLBI_1_TG)) || many_of(v, d, addr, r);
}

static bool run_nh_all(struct smmu *v, struct smmu_cmdq *cq, const uint64_t d[2])
{
	uint32_t vmid, last;

	for (vmids_of(v, cq, d, &vmid, &last); vmid <= last; vmid++)
		smmu_tlbi_vmid(v, (uint16_t)vmid, false);
	return true;
}

static bool run_nh_asid(struct smmu *v, struct smmu_cmdq *cq, const uint64_t d[2])
{
	uint32_t vmid, last;

	for (vmids_of(v, cq, d, &vmid, &last); vmid <= last; vmid++)
		smmu_tlbi_asid(v, SMMU_R_EL1, (uint16_t)vmid, asid_of(d));
	return true;
}

static bool run_nh_va(struct smmu *v, struct smmu_cmdq *cq, const uint64_t d[2])
{
	uint32_t vmid, last;
	struct smmu_range r;

	if (!range_of(v, d, d[1] & SMMU_CMD_TLBI_1_ADDR & BITS(55, 0), &r))
		return false;
	for (vmids_of(v, cq, d, &vmid, &last); vmid <= last; vmid++)
		smmu_tlbi_va(v, SMMU_R_EL1, (uint16_t)vmid, asid_of(d), &r);
	return true;
}

static bool run_nh_vaa(struct smmu *v, struct smmu_cmdq *cq, const uint64_t d[2])
{
	uint32_t vmid, last;
	struct smmu_range r;

	if (!range_of(v, d, d[1] & SMMU_CMD_TLBI_1_ADDR & BITS(55, 0), &r))
		return false;
	for (vmids_of(v, cq, d, &vmid, &last); vmid <= last; vmid++)
		smmu_tlbi_vaa(v, SMMU_R_EL1, (uint16_t)vmid, &r);
	return true;
}

static enum smmu_regime el2(const struct smmu *v)
{
	return v->cr2 & SMMU_CR2_E2H ? SMMU_R_EL2_E2H : SMMU_R_EL2;
}

static bool run_el2_all(struct smmu *v, struct smmu_cmdq *cq, const uint64_t d[2])
{
	(void)cq;
	(void)d;
	smmu_tlbi_all(v, false, true);
	return true;
}

static bool run_el2_asid(struct smmu *v, struct smmu_cmdq *cq, const uint64_t d[2])
{
	(void)cq;
	smmu_tlbi_asid(v, SMMU_R_EL2_E2H, 0, asid_of(d));
	return true;
}

static bool run_el2_va(struct smmu *v, struct smmu_cmdq *cq, const uint64_t d[2])
{
	struct smmu_range r;

	(void)cq;
	if (!range_of(v, d, d[1] & SMMU_CMD_TLBI_1_ADDR & BITS(55, 0), &r))
		return false;
	smmu_tlbi_va(v, el2(v), 0, el2(v) == SMMU_R_EL2 ? 0 : asid_of(d), &r);
	return true;
}

static bool run_el2_vaa(struct smmu *v, struct smmu_cmdq *cq, const uint64_t d[2])
{
	struct smmu_range r;

	(void)cq;
	if (!range_of(v, d, d[1] & SMMU_CMD_TLBI_1_ADDR & BITS(55, 0), &r))
		return false;
	smmu_tlbi_vaa(v, el2(v), 0, &r);
	return true;
}

static bool run_s12_vmall(struct smmu *v, struct smmu_cmdq *cq, const uint64_t d[2])
{
	uint32_t vmid, last;

	for (vmids_of(v, cq, d, &vmid, &last); vmid <= last; vmid++)
		smmu_tlbi_vmid(v, (uint16_t)vmid, true);
	return true;
}

static bool run_s2_ipa(struct smmu *v, struct smmu_cmdq *cq, const uint64_t d[2])
{
	uint32_t vmid, last;
	struct smmu_range r;

	if (!range_of(v, d, d[1] & SMMU_CMD_TLBI_1_IPA, &r))
		return false;
	for (vmids_of(v, cq, d, &vmid, &last); vmid <= last; vmid++)
		smmu_tlbi_ipa(v, (uint16_t)vmid, &r);
	return true;
}

static bool run_nsnh_all(struct smmu *v, struct smmu_cmdq *cq, const uint64_t d[2])
{
	(void)cq;
	(void)d;
	smmu_tlbi_all(v, true, false);
	return true;
}

/* ---- 4.5 ---- */

/*
 * Ask the requester's ATC, and have its answer before this returns; CMD_SYNC then waits for what is still under way, and reports
 * what went unanswered (3.9.1.4).
 */
static bool run_atc_inv(struct smmu *v, struct smmu_cmdq *cq, const uint64_t d[2])
{
	unsigned int size = (unsigned int)FIELD_GET(SMMU_CMD_ATC_1_SIZE, d[1]), lg2 = size >= SMMU_ATC_SIZE_ALL ? 64 : 12 + size;
	uint64_t addr = d[1] & SMMU_CMD_ATC_1_ADDR & ~nb_low_mask(lg2);
	bool ssv = (d[0] & SMMU_CMD_0_SSV) && v->caps.ssid_bits, lost;
	uint32_t pasid = ssv ? (uint32_t)FIELD_GET(SMMU_CMD_0_SSID, d[0]) : NB_NO_PASID;
	const struct hw_client *c;
	uint16_t sid;

	if (size > SMMU_ATC_SIZE_ALL)
		return false;
	if (!(v->cr0 & SMMU_CR0_SMMUEN) || !sid_of(v, d, &sid))
		return true;
	c = v->hw.client ? v->hw.client(v->hw.client_opaque, sid) : NULL;
	NB_TRACE(v->hw.tr, hw_ats_inval, sid, pasid, addr, lg2);
	lost = v->lost_sid == sid;
	if (lost)
		v->lost_sid = -1;
	else if (c && c->ats_invalidate) /* without PASID on the wire it takes every translation of the range (PCI Express 5.0, 10.3.8) */
		lost = !c->ats_invalidate(c->opaque, pasid, !ssv || (d[0] & SMMU_CMD_ATC_0_GLOBAL), addr, lg2);
	cq->atc_lost |= lost;
	v->vcmdq_lost |= lost && cq != &v->cmdq;
	return true;
}

static bool run_pri_resp(struct smmu *v, struct smmu_cmdq *cq, const uint64_t d[2])
{
	static const uint8_t code[3] = {HW_PAGE_FAILURE, HW_PAGE_INVALID, HW_PAGE_SUCCESS};
	uint64_t resp = FIELD_GET(SMMU_CMD_PRI_1_RESP, d[1]);
	bool ssv = (d[0] & SMMU_CMD_0_SSV) && v->caps.ssid_bits;
	uint16_t sid;

	(void)cq;
	if (resp > SMMU_PRI_RESP_SUCCESS)
		return false;
	if ((v->cr0 & SMMU_CR0_SMMUEN) && sid_of(v, d, &sid))
		smmu_page_respond(v, sid, ssv ? (uint32_t)FIELD_GET(SMMU_CMD_0_SSID, d[0]) : NB_NO_PASID,
				  (unsigned int)FIELD_GET(SMMU_CMD_PRI_1_PRGI, d[1]), code[resp]);
	return true;
}

/* ---- 4.7 ---- */

static bool run_resume(struct smmu *v, struct smmu_cmdq *cq, const uint64_t d[2])
{
	enum hw_stall_end how = d[0] & SMMU_CMD_RESUME_0_AC	 ? HW_STALL_RETRY :
				(d[0] & SMMU_CMD_RESUME_0_AB) || v->caps.no_term_model ? HW_STALL_ABORT :
										   HW_STALL_RAZ_WI;
	uint16_t sid;

	(void)cq;
	if (sid_of(v, d, &sid))
		smmu_stall_resume(v, sid, (uint16_t)FIELD_GET(SMMU_CMD_RESUME_1_STAG, d[1]), how);
	return true;
}

static bool run_stall_term(struct smmu *v, struct smmu_cmdq *cq, const uint64_t d[2])
{
	uint16_t sid;

	(void)cq;
	if (sid_of(v, d, &sid))
		smmu_stall_term(v, sid, false);
	return true;
}

/* What a command stands on, and what it leaves behind. */
enum {
	CMD_NSEC = 1,  /* has an SSec, and it is illegal on the Non-secure queue (4.1.6) */
	CMD_S1 = 2,
	CMD_S2 = 4,
	CMD_HYP = 8,
	CMD_ATS = 16,
	CMD_PRI = 32,
	CMD_STALL = 64,
	CMD_INV = 128, /* accesses through what it removed may still be under way */
	CMD_TLBI = 256, /* runs between smmu_inval_begin() and _end(), with others of its kind */
};

struct command {
	cmd_fn *run;
	uint16_t flags;
};

/* Commands that are not here do not exist: VMS_PIDM without MPAM, EL3 and Secure ones, DPTI without DPT. CMD_SYNC: run_sync(). */
static const struct command commands[256] = {
	[SMMU_CMD_PREFETCH_CONFIG] = {run_prefetch, CMD_NSEC},
	[SMMU_CMD_PREFETCH_ADDR] = {run_prefetch, CMD_NSEC},
	[SMMU_CMD_CFGI_STE] = {run_cfgi_ste, CMD_NSEC | CMD_INV},
	[SMMU_CMD_CFGI_STE_RANGE] = {run_cfgi_range, CMD_NSEC | CMD_INV},
	[SMMU_CMD_CFGI_CD] = {run_cfgi_cd, CMD_NSEC | CMD_S1 | CMD_INV},
	[SMMU_CMD_CFGI_CD_ALL] = {run_cfgi_cd_all, CMD_NSEC | CMD_S1 | CMD_INV},
	[SMMU_CMD_TLBI_NH_ALL] = {run_nh_all, CMD_S1 | CMD_INV | CMD_TLBI},
	[SMMU_CMD_TLBI_NH_ASID] = {run_nh_asid, CMD_S1 | CMD_INV | CMD_TLBI},
	[SMMU_CMD_TLBI_NH_VA] = {run_nh_va, CMD_S1 | CMD_INV | CMD_TLBI},
	[SMMU_CMD_TLBI_NH_VAA] = {run_nh_vaa, CMD_S1 | CMD_INV | CMD_TLBI},
	[SMMU_CMD_TLBI_EL2_ALL] = {run_el2_all, CMD_HYP | CMD_INV | CMD_TLBI},
	[SMMU_CMD_TLBI_EL2_ASID] = {run_el2_asid, CMD_HYP | CMD_INV | CMD_TLBI},
	[SMMU_CMD_TLBI_EL2_VA] = {run_el2_va, CMD_HYP | CMD_INV | CMD_TLBI},
	[SMMU_CMD_TLBI_EL2_VAA] = {run_el2_vaa, CMD_HYP | CMD_INV | CMD_TLBI},
	[SMMU_CMD_TLBI_S12_VMALL] = {run_s12_vmall, CMD_S2 | CMD_INV | CMD_TLBI},
	[SMMU_CMD_TLBI_S2_IPA] = {run_s2_ipa, CMD_S2 | CMD_INV | CMD_TLBI},
	[SMMU_CMD_TLBI_NSNH_ALL] = {run_nsnh_all, CMD_INV | CMD_TLBI},
	[SMMU_CMD_ATC_INV] = {run_atc_inv, CMD_NSEC | CMD_ATS | CMD_INV},
	[SMMU_CMD_PRI_RESP] = {run_pri_resp, CMD_NSEC | CMD_PRI},
	[SMMU_CMD_RESUME] = {run_resume, CMD_NSEC | CMD_STALL},
	[SMMU_CMD_STALL_TERM] = {run_stall_term, CMD_NSEC | CMD_STALL},
};

static inline bool is_tlbi(const uint64_t d[2])
{
	return commands[FIELD_GET(SMMU_CMD_0_OP, d[0])].flags & CMD_TLBI;
}

static unsigned int missing(const struct smmu *v)
{
	return (v->caps.s1 ? 0u : CMD_S1) | (v->caps.s2 ? 0u : CMD_S2) | (v->caps.hyp ? 0u : CMD_HYP) |
	       (v->caps.ats ? 0u : CMD_ATS) | (v->caps.pri ? 0u : CMD_PRI) |
	       (v->caps.stall_model == SMMU_STALL_NEVER ? CMD_STALL : 0u);
}

/* 4.7.3. Nothing is told before every access through an older translation or configuration is done. 0 or a CERROR. */
static unsigned int run_sync(struct smmu *v, struct smmu_cmdq *cq, const uint64_t d[2], struct smmu_msis *q)
{
	uint64_t cs = FIELD_GET(SMMU_CMD_SYNC_0_CS, d[0]);

	if (cs > SMMU_SYNC_SEV)
		return SMMU_CERROR_ILL;
	if (cq->atc_lost) {
		/* The next CMD_SYNC may pass: software repeats the invalidation or gives the device up. */
		cq->atc_lost = false;
		return SMMU_CERROR_ATC_INV_SYNC;
	}
	if (cq->inv_pending) {
		smmu_sync(v);
		cq->inv_pending = false;
		cq->waited = true;
	}
	if (unlikely(v->vcmdq_lost) && cq == &v->cmdq)
		smmu_cmdqv_synced(v);
	/* SEV: nobody here sleeps in WFE. */
	if (cs == SMMU_SYNC_IRQ)
		smmu_msi_queue(v, q, SMMU_IRQ_SYNC, d[1] & SMMU_CMD_SYNC_1_MSIADDR, (uint32_t)FIELD_GET(SMMU_CMD_SYNC_0_MSIDATA, d[0]));
	return SMMU_CERROR_NONE;
}

/* One command. 0 or the CERROR that stops the queue. */
static unsigned int run(struct smmu *v, struct smmu_cmdq *cq, const uint64_t d[2], unsigned int lacks, struct smmu_msis *q)
{
	uint64_t op = FIELD_GET(SMMU_CMD_0_OP, d[0]);
	const struct command *c = &commands[op];

	if (op == SMMU_CMD_SYNC)
		return run_sync(v, cq, d, q);
	if (!c->run || (c->flags & lacks) || ((c->flags & CMD_NSEC) && (d[0] & SMMU_CMD_0_SSEC)) || !c->run(v, cq, d))
		return SMMU_CERROR_ILL;
	if (c->flags & CMD_INV)
		cq->inv_pending = true;
	return SMMU_CERROR_NONE;
}

static void stop(struct smmu *v, struct smmu_cmdq *cq, unsigned int err, const uint64_t d[2], struct smmu_msis *q)
{
	NB_TRACE(v->hw.tr, hw_inv_error, d[0], d[1], err);
	cq->owner->stop(v, cq, err, q);
}

/*
 * Commands from CONS on, as many as can be had at once: fetched and admitted before any of them is executed, which the unit may do (what is
 * fetched behind one that stops the queue is fetched again).
 */
#define FETCH 16u
struct fetched {
	unsigned int n;	  /* good ones; there is another behind them if err */
	unsigned int err; /* CERROR of that one */
	uint64_t d[FETCH][2];
};

static void fetch(struct smmu *v, struct smmu_cmdq *cq, uint64_t base, uint32_t lap, unsigned int most, struct fetched *f)
{
	uint32_t left = (cq->q.prod - cq->q.cons) & lap, at = cq->q.cons, loaded = 0;

	if (most > left)
		most = left;
	if (most > FETCH)
		most = FETCH;
	f->err = SMMU_CERROR_NONE;
	for (f->n = 0; f->n < most; f->n++, at++) {
		uint64_t *d = f->d[f->n];

		if (smmu_load128(v, base + 16ul * (at & (lap >> 1)), d)) {
			d[0] = d[1] = 0;
			f->err = SMMU_CERROR_ABT;
			break;
		}
		loaded++;
		NB_USDT(hw_inv_desc, d[0], d[1], 0, 0);
		if (unlikely(nb_trace_logged(v->hw.tr, NB_EV_hw_inv_desc)))
			nb_trace_emit(v->hw.tr, NB_EV_hw_inv_desc, (const uint64_t[4]){d[0], d[1]});
		if (!cq->owner->admit)
			continue;
		if (!cq->owner->admit(v, cq, d)) {
			f->err = SMMU_CERROR_ILL;
			break;
		}
		if (FIELD_GET(SMMU_CMD_0_OP, d[0]) == SMMU_CMD_SYNC) { /* for `moved` to tell at once */
			f->n++;
			break;
		}
	}
	nb_trace_add(v->hw.tr, NB_EV_hw_inv_desc, loaded);
}

bool smmu_cmdq_run(struct smmu *v, struct smmu_cmdq *cq, struct smmu_msis *q)
{
	unsigned int lg2 = smmu_q_lg2(&cq->q, v->caps.cmdq_lg2), err = 0, most = cq->owner->most, lacks = missing(v);
	uint64_t base = cq->q.base & SMMU_Q_BASE_ADDR & nb_low_mask(v->caps.oas) & ~nb_low_mask(lg2 < 1 ? 5 : 4 + lg2);
	uint32_t lap = smmu_q_lap(lg2);
	struct fetched f;

	if (!cq->owner->runs(v, cq))
		return false;
	while (!err && !smmu_q_empty(&cq->q, lg2)) {
		bool tlbi = false; /* between smmu_inval_begin() and _end(); nothing is promised before a CMD_SYNC */
		unsigned int i;

		if (most == 0)
			return true;
		fetch(v, cq, base, lap, most, &f);
		for (i = 0; i < f.n && !err && q->n <= SMMU_MAX_MSIS / 2; i++) {
			if (tlbi != is_tlbi(f.d[i])) {
				tlbi = !tlbi;
				if (tlbi)
					smmu_inval_begin(v);
				else
					smmu_inval_end(v);
			}
			err = run(v, cq, f.d[i], lacks, q);
		}
		if (tlbi)
			smmu_inval_end(v);
		if (err)
			i--;
		else if (i == f.n)
			err = f.err;
		most -= i;
		cq->q.cons = (cq->q.cons & ~(uint32_t)SMMU_Q_IDX) | ((cq->q.cons + i) & lap);
		if (i && cq->owner->moved && !cq->owner->moved(v, cq))
			most = 0;
		if (err)
			stop(v, cq, err, f.d[i], q);
		else if (i < f.n)
			return true; /* messages are to be sent first */
	}
	/* Software that never synchronizes. Both change under mmio_lock, or are hints. */
	if (v->ndead > 1024 || atomic_load_explicit(&v->tlb.want_reset, memory_order_relaxed))
		smmu_sync(v);
	return false;
}

/* ---- CMDQ ---- */

static bool cmdq_runs(struct smmu *v, const struct smmu_cmdq *cq)
{
	return (v->cr0 & SMMU_CR0_CMDQEN) && !smmu_q_empty(&cq->q, smmu_q_lg2(&cq->q, v->caps.cmdq_lg2)) &&
	       !smmu_gerror_active(v, (uint32_t)SMMU_GERROR_CMDQ_ERR);
}

static void cmdq_stop(struct smmu *v, struct smmu_cmdq *cq, unsigned int err, struct smmu_msis *q)
{
	cq->q.cons = (uint32_t)((cq->q.cons & SMMU_Q_IDX) | FIELD(SMMU_CMDQ_CONS_ERR, err));
	smmu_gerror(v, (uint32_t)SMMU_GERROR_CMDQ_ERR, q);
}

const struct smmu_cmdq_owner smmu_cmdq_host = {
	.most = UINT_MAX,
	.runs = cmdq_runs,
	.stop = cmdq_stop,
};
