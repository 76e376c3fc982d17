/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PCIe ATS: translation requests and translated transactions (3.9.1, 13.6, 13.7).
 *
 * A translation request makes no events but F_BAD_ATS_TREQ and, with CR2.REC_CFG_ATS, those of configuration errors. It asks for what it
 * needs as an ordinary request would, so access flag and dirty state are updated for what is granted. With split stages the completion
 * has the intermediate address, and translated transactions go through stage 2.
 */
#include "hw/smmuv3/model.h"

#include <string.h>

static bool related(unsigned int type)
{
	return type >= SMMU_EVT_TRANSLATION && type <= SMMU_EVT_PERMISSION;
}

/* What EATS means now: split-stage needs ATSCHK. */
static unsigned int eats_of(const struct smmu_dev *d, uint32_t mode)
{
	return d->eats == SMMU_EATS_SPLIT && !(mode & SMMU_MODE_ATSCHK) ? SMMU_EATS_ABORT : d->eats;
}

/* ---- translation requests ---- */

/* The smallest granule is the smallest translation unit. */
static uint8_t stu(const struct smmu *v)
{
	return v->caps.gran4k ? 12 : v->caps.gran16k ? 14 : 16;
}

/* Is a configuration error of ATS and PRI recorded (3.9.1.2, 8.1)? */
bool smmu_records_ats(const struct smmu *v, unsigned int type)
{
	uint32_t mode = atomic_load_explicit(&v->mode, memory_order_acquire);

	return (mode & SMMU_MODE_REC_CFG_ATS) && (type != SMMU_EVT_BAD_STREAMID || (mode & SMMU_MODE_RECINVSID));
}

/* Of a configuration error: CA, and an event only if software asked for it (3.9.1.2). */
static void completer_abort(struct smmu *v, const struct hw_request *req, const struct smmu_why *why,
			    struct hw_ats_completion *c)
{
	struct hw_result res;

	smmu_fault(v, NULL, req, &res, why);
	if (!smmu_records_ats(v, why->type))
		res.fault.record_len = 0;
	c->status = HW_ATS_CA;
	c->fault = res.fault;
}

/* UR, and the event of 7.3.6 unless the STE says abort. */
static void unsupported(struct smmu *v, const struct hw_request *req, bool log, struct hw_ats_completion *c)
{
	const struct smmu_why why = {.type = SMMU_EVT_BAD_ATS_TREQ};
	struct hw_result res;

	smmu_fault(v, NULL, req, &res, &why);
	res.fault.record[1] = FIELD_C(SMMU_EVT_1_SPAN, 1) | SMMU_EVT_1_ATS_R | (req->access & HW_WRITE ? SMMU_EVT_1_ATS_W : 0) |
			      (req->access & HW_EXEC ? SMMU_EVT_1_ATS_X : 0) | (req->flags & HW_PRIV ? SMMU_EVT_1_ATS_P : 0);
	res.fault.record[2] = req->addr & ~UINT64_C(4095);
	if (!log)
		res.fault.record_len = 0;
	c->status = HW_ATS_UR;
	c->fault = res.fault;
}

/*
 * Try an access. True: granted, *res has what else would be. False with res->fault.reason F_PERMISSION of the page itself: something
 * less may be; with any other: nothing.
 */
static bool try_access(struct smmu *v, const struct smmu_cfg *cfg, const struct hw_request *req, unsigned int access,
		       uint64_t seq, struct hw_result *res)
{
	struct hw_request r = *req;

	r.access = (uint8_t)access;
	smmu_translate_cfg(v, cfg, &r, res, seq);
	return res->kind == HW_OK;
}

static bool page_refused(const struct hw_result *res)
{
	return res->fault.reason == SMMU_EVT_PERMISSION && (res->fault.model & SMMU_F_PAGE);
}

/* 13.7.1. *perm is what the completion grants. False: nothing, and *res says why. */
static bool grant(struct smmu *v, const struct smmu_cfg *cfg, const struct hw_request *req, bool exe, uint64_t seq,
		  struct hw_result *res, unsigned int *perm)
{
	/* With INSTCFG Instruction all reads are fetches: execute permission grants reading. With Data, reading grants execution. */
	bool inst = cfg->instcfg == SMMU_CFG_PRIV, data = cfg->instcfg == SMMU_CFG_UNPRIV, write = req->access & HW_WRITE;
	struct hw_result w;

	*perm = HW_READ;
	if (try_access(v, cfg, req, inst ? HW_EXEC : HW_READ, seq, res)) {
		if (exe)
			*perm |= inst || data ? HW_EXEC : res->perm & HW_EXEC;
		if (write && try_access(v, cfg, req, HW_WRITE, seq, &w)) {
			*perm |= HW_WRITE;
			*res = w;
		}
		return true;
	}
	*perm = HW_WRITE; /* a page that can only be written */
	return write && page_refused(res) && try_access(v, cfg, req, HW_WRITE, seq, res);
}

void smmu_ats_request(struct hw_iommu *hw, const struct hw_request *asked, struct hw_ats_completion *c)
{
	struct smmu *v = to_smmu(hw);
	uint64_t seq = atomic_load_explicit(&v->tlb.inv_seq, memory_order_acquire), ipa;
	uint32_t mode = atomic_load_explicit(&v->mode, memory_order_acquire);
	struct hw_request req = *asked;
	const struct smmu_cfg *cfg;
	const struct smmu_dev *d;
	struct hw_result res;
	struct smmu_box box;
	struct smmu_why why;
	unsigned int perm;
	bool exe;

	NB_TRACE(hw->tr, hw_ats_request, req.rid, req.pasid, req.addr, req.access);
	memset(c, 0, sizeof(*c));
	c->lg2 = stu(v);
	req.flags &= HW_PRIV;
	if (req.pasid == NB_NO_PASID) { /* 13.7: data, unprivileged */
		req.flags = 0;
		req.access &= (uint8_t)~HW_EXEC;
	}
	c->priv = req.flags & HW_PRIV;
	exe = req.access & HW_EXEC;
	if (!(mode & SMMU_MODE_EN) || !v->caps.ats) {
		unsupported(v, &req, true, c);
		return;
	}
	d = smmu_config_dev(v, req.rid, seq, &box, NULL, false, &why);
	if (d && d->bad)
		why = (struct smmu_why){.type = d->bad};
	if (!d || d->bad) {
		completer_abort(v, &req, &why, c);
		return;
	}
	if (d->config == SMMU_STE_CONFIG_ABORT || eats_of(d, mode) == SMMU_EATS_ABORT) {
		unsupported(v, &req, d->config != SMMU_STE_CONFIG_ABORT, c);
		return;
	}
	cfg = smmu_config_proc(v, d, req.pasid, seq, &box, NULL, false, &why);
	if (!cfg) {
		if (!related(why.type)) {
			completer_abort(v, &req, &why, c);
			return;
		}
		smmu_fault(v, &d->nos1, &req, &res, &why);
		c->fault = res.fault;
		c->fault.record_len = 0;
		return;
	}
	if (cfg->privcfg >= SMMU_CFG_UNPRIV)
		req.flags = cfg->privcfg == SMMU_CFG_PRIV ? HW_PRIV : 0;
	req.access &= (uint8_t)~HW_EXEC;
	if (!grant(v, cfg, &req, exe, seq, &res, &perm)) {
		if (!related(res.fault.reason))
			c->status = HW_ATS_CA;
		c->fault = res.fault;
		if (c->status == HW_ATS_OK || !(mode & SMMU_MODE_REC_CFG_ATS))
			c->fault.record_len = 0;
		return;
	}
	c->perm = (uint8_t)perm;
	c->lg2 = res.lg2;
	c->pa = hpa(res.pa.v & ~nb_low_mask(res.lg2));
	if (eats_of(d, mode) == SMMU_EATS_SPLIT) {
		req.access = perm & HW_READ ? HW_READ : HW_WRITE;
		if (cfg->kind == SMMU_K_S2)
			ipa = req.addr;
		else if (!smmu_walk_ipa(v, cfg, &req, &ipa)) { /* it changed under our eyes */
			c->perm = 0;
			c->lg2 = stu(v);
			return;
		}
		c->pa = hpa(ipa & ~nb_low_mask(res.lg2));
	}
	NB_TRACE(hw->tr, hw_ats_done, req.rid, req.addr, c->status, c->pa.v);
}

/* ---- translated transactions ---- */

static void refuse(struct smmu *v, const struct hw_request *req, struct hw_result *res, const struct smmu_why *why, bool log)
{
	smmu_fault(v, NULL, req, res, why);
	if (!log)
		res->fault.record_len = 0;
}

static void pass(struct smmu *v, const struct hw_request *req, struct hw_result *res)
{
	static const struct smmu_why silent;

	if (req->addr >> v->caps.oas != 0) {
		smmu_fault(v, NULL, req, res, &silent); /* 3.9.1.1: the first of the two choices */
		return;
	}
	res->kind = HW_OK;
	res->lg2 = v->caps.oas;
	res->perm = HW_READ | HW_WRITE | HW_EXEC;
	res->pa = hpa(req->addr);
}

/* Errors that a PASID makes where it means something at all. */
static bool pasid_ok(const struct smmu *v, const struct smmu_dev *d, uint32_t pasid, struct smmu_why *why)
{
	bool s1 = (d->config & SMMU_STE_CONFIG_S1) == SMMU_STE_CONFIG_S1;

	if (pasid == NB_NO_PASID)
		return true;
	*why = (struct smmu_why){.type = SMMU_EVT_BAD_SUBSTREAMID};
	if (!v->caps.ssid_bits || !s1 || !d->s1cdmax || pasid >> d->s1cdmax != 0)
		return false;
	why->type = SMMU_EVT_STREAM_DISABLED;
	return !(d->s1dss == SMMU_S1DSS_SSID0 && pasid == 0);
}

void smmu_translated(struct smmu *v, const struct hw_request *asked, struct hw_result *res, uint64_t seq, uint32_t mode)
{
	const struct smmu_why forbidden = {.type = SMMU_EVT_TRANSL_FORBIDDEN};
	bool log = mode & SMMU_MODE_REC_CFG_ATS, observe = asked->flags & HW_OBSERVE;
	struct hw_request req = *asked, eff;
	const struct smmu_dev *d;
	struct smmu_box box;
	struct smmu_why why;

	if (!v->caps.pasidtt || req.pasid == NB_NO_PASID) {
		req.pasid = NB_NO_PASID;
		req.flags &= (uint8_t)~HW_PRIV;
		req.access = (uint8_t)(req.access & HW_EXEC ? (req.access & ~HW_EXEC) | HW_READ : req.access);
	}
	if (!(mode & SMMU_MODE_EN)) {
		refuse(v, &req, res, &forbidden, true);
		return;
	}
	if (!(mode & SMMU_MODE_ATSCHK)) {
		pass(v, &req, res);
		return;
	}
	d = smmu_config_dev(v, req.rid, seq, &box, NULL, observe, &why);
	if (d && d->bad)
		why = (struct smmu_why){.type = d->bad};
	/* In the order of 3.9.1.3: what EATS forbids comes before what is wrong with the SubstreamID. */
	if (!d || d->bad) {
		refuse(v, &req, res, &why, log);
	} else if (d->config == SMMU_STE_CONFIG_ABORT) {
		why = (struct smmu_why){.type = 0};
		refuse(v, &req, res, &why, false);
	} else if (d->eats == SMMU_EATS_ABORT) {
		refuse(v, &req, res, &forbidden, true);
	} else if (!pasid_ok(v, d, req.pasid, &why)) {
		refuse(v, &req, res, &why, log);
	} else if (d->eats == SMMU_EATS_FULL) {
		pass(v, &req, res);
	} else {
		smmu_override(v, &d->nos1, &req, &eff);
		eff.flags &= (uint8_t)~HW_TRANSLATED;
		smmu_translate_cfg(v, &d->nos1, &eff, res, seq);
	}
}

bool smmu_translated_ok(struct hw_iommu *hw, uint16_t rid, uint64_t addr)
{
	struct smmu *v = to_smmu(hw);
	uint32_t mode = atomic_load_explicit(&v->mode, memory_order_acquire);
	const struct smmu_slot *slot;
	const struct smmu_dev *d;

	if (!(mode & SMMU_MODE_EN) || addr >> v->caps.oas != 0)
		return false;
	if (!(mode & SMMU_MODE_ATSCHK))
		return true;
	slot = smmu_slot_of(v, rid, false);
	d = slot ? nb_rcu_dereference(slot->dev) : NULL;
	return d && !d->bad && d->eats == SMMU_EATS_FULL;
}
