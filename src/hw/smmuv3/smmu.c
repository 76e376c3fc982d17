/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The unit as a whole: creation, and the path of a request through it (chapter 15).
 *
 * A request: SMMUEN, configuration, overrides, checks that need no table, TLB, walk: translate_any(). The common case, no
 * SubstreamID and a TLB hit on a 4 KiB page, is decided in translate() before that.
 */
#include "hw/smmuv3/model.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "hw/request.h"

static void pass(struct hw_result *res, uint64_t addr, unsigned int lg2)
{
	res->kind = HW_OK;
	res->lg2 = (uint8_t)lg2;
	res->perm = HW_READ | HW_WRITE | HW_EXEC;
	res->pa = hpa(addr);
}

/* 3.11, 3.4: global bypass. What does not fit is aborted without an event. */
static void bypass_all(struct smmu *v, const struct hw_request *req, struct hw_result *res)
{
	static const struct smmu_why silent;

	if ((atomic_load_explicit(&v->gbpa, memory_order_acquire) & SMMU_GBPA_ABORT) || req->addr >> v->caps.oas != 0)
		smmu_fault(v, NULL, req, res, &silent);
	else
		pass(res, req->addr, v->caps.oas);
}

void smmu_override(const struct smmu *v, const struct smmu_cfg *cfg, const struct hw_request *in, struct hw_request *out)
{
	(void)v;
	*out = *in;
	if (!(out->access & (HW_READ | HW_WRITE | HW_EXEC)))
		out->access |= HW_READ;
	if (out->access & HW_WRITE) { /* writes are data: 13.1.2 */
		out->access &= (uint8_t)~HW_EXEC;
	} else if (cfg && cfg->instcfg == SMMU_CFG_UNPRIV) {
		out->access = HW_READ;
	} else if (cfg && cfg->instcfg == SMMU_CFG_PRIV) {
		out->access |= HW_EXEC;
	}
	if (cfg && cfg->privcfg >= SMMU_CFG_UNPRIV)
		out->flags = (uint8_t)((out->flags & ~HW_PRIV) | (cfg->privcfg == SMMU_CFG_PRIV ? HW_PRIV : 0));
}

/* 3.4: where stage 1 is bypassed, its output is checked all the same. */
static __attribute__((noinline)) void refuse_wide(struct smmu *v, const struct smmu_cfg *cfg, const struct hw_request *req,
						  struct hw_result *res)
{
	const struct smmu_why why = {.type = SMMU_EVT_ADDR_SIZE, .class = SMMU_CLASS_IN};

	smmu_fault(v, cfg, req, res, &why);
}

/* With the translation function known and req as it is after overrides. */
static inline __attribute__((always_inline)) void translate_with(struct smmu *v, const struct smmu_cfg *cfg,
								 const struct hw_request *req, struct hw_result *res, uint64_t seq,
								 bool observe, const struct smmu_steps *st)
{
	unsigned int lg2 = 12;
	uint64_t val;

	if ((cfg->kind == SMMU_K_BYPASS || cfg->kind == SMMU_K_S2) && unlikely(req->addr >> v->caps.oas != 0)) {
		refuse_wide(v, cfg, req, res);
		return;
	}
	if (unlikely(cfg->kind == SMMU_K_BYPASS)) {
		pass(res, req->addr, v->caps.oas);
		return;
	}
	if (observe) {
		smmu_walk_observe(v, cfg, req, res, st);
		return;
	}
	if (likely(((req->addr + cfg->in_bias) & cfg->in_mask) == 0) &&
	    smmu_tlb_find(&v->tlb, cfg->tag, cfg->gtag, req->addr, &val, &lg2)) {
		bool priv = cfg->kind != SMMU_K_S2 && !cfg->s1.two_ranges ? true : req->flags & HW_PRIV;
		unsigned int shift = priv ? SMMU_V_PRIV_SHIFT : 0;

		res->kind = HW_OK;
		res->lg2 = (uint8_t)lg2;
		res->pa = hpa((val & SMMU_V_ADDR & ~nb_low_mask(lg2)) | (req->addr & nb_low_mask(lg2)));
		if (likely(!(req->access & HW_EXEC) && !(req->access & ~(val >> shift) & (HW_READ | HW_WRITE)))) {
			res->perm = val >> (SMMU_V_WOULD_SHIFT + shift) & 7;
			NB_TRACE(v->hw.tr, hw_tlb_hit, req->rid, req->pasid, req->addr, res->pa.v);
			return;
		}
		if (smmu_hit(v, cfg, req, res, val) <= 0) {
			NB_TRACE(v->hw.tr, hw_tlb_hit, req->rid, req->pasid, req->addr, res->pa.v);
			return;
		}
	}
	NB_TRACE(v->hw.tr, hw_tlb_miss, req->rid, req->pasid, req->addr);
	smmu_walk(v, cfg, req, res, seq);
}

void smmu_translate_cfg(struct smmu *v, const struct smmu_cfg *cfg, const struct hw_request *req, struct hw_result *res,
			uint64_t seq)
{
	if (req->flags & HW_OBSERVE)
		translate_with(v, cfg, req, res, seq, true, NULL);
	else
		translate_with(v, cfg, req, res, seq, false, NULL);
}

/* From configuration in memory or caches; with steps, or HW_OBSERVE, from memory alone. */
static void translate_config(struct smmu *v, const struct hw_request *asked, struct hw_result *res, uint64_t seq,
			     const struct smmu_steps *st)
{
	bool observe = asked->flags & HW_OBSERVE;
	struct hw_request in = *asked, req;
	const struct smmu_cfg *cfg, *of;
	struct smmu_box box;
	struct smmu_why why;

	if (in.pasid != NB_NO_PASID && in.pasid > NB_PASID_MAX)
		in.pasid &= NB_PASID_MAX; /* there are no more bits on the wire */
	cfg = smmu_config(v, &in, seq, &box, st, observe, &why, &of);
	smmu_override(v, cfg ? cfg : of, &in, &req);
	if (cfg) {
		translate_with(v, cfg, &req, res, seq, observe, st);
		return;
	}
	smmu_fault(v, of, &req, res, &why);
	if (why.type == SMMU_EVT_BAD_STREAMID && !(atomic_load_explicit(&v->mode, memory_order_relaxed) & SMMU_MODE_RECINVSID))
		res->fault.record_len = 0;
}

static __attribute__((noinline)) void translate_any(struct smmu *v, const struct hw_request *req, struct hw_result *res,
						    uint64_t seq, uint32_t mode)
{
	const struct smmu_cfg *cfg = NULL;

	if (unlikely(req->flags & HW_TRANSLATED)) {
		smmu_translated(v, req, res, seq, mode);
		return;
	}
	if (unlikely(!(mode & SMMU_MODE_EN))) {
		bypass_all(v, req, res);
		return;
	}
	if (req->flags & HW_OBSERVE) {
		translate_config(v, req, res, seq, NULL);
		return;
	}
	if (req->pasid == NB_NO_PASID) {
		const struct smmu_bus *b = atomic_load_explicit(&v->bus[req->rid >> 8], memory_order_acquire);

		cfg = b ? nb_rcu_dereference(b->slot[req->rid & 0xff].fast) : NULL;
	} else if (req->pasid <= NB_PASID_MAX) {
		cfg = smmu_config_cached(v, req->rid, req->pasid);
	}
	/* Plain reads and writes of functions that override nothing. */
	if (likely(cfg && cfg->hot && (uint8_t)(req->access - 1) < 3)) {
		translate_with(v, cfg, req, res, seq, false, NULL);
	} else if (cfg) {
		struct hw_request eff;

		smmu_override(v, cfg, req, &eff);
		translate_with(v, cfg, &eff, res, seq, false, NULL);
	} else {
		translate_config(v, req, res, seq, NULL);
	}
}
_Static_assert(HW_READ == 1 && HW_WRITE == 2 && HW_EXEC == 4, "plain accesses");

/*
 * The common case here, without a call: translation on, no SubstreamID, no flags, configuration and a 4 KiB translation
 * cached under the function's own tag, allowed.
 */
static void translate(struct hw_iommu *hw, const struct hw_request *req, struct hw_result *res)
{
	struct smmu *v = to_smmu(hw);
	/* Before anything that an invalidation may change: see tlb.h. */
	uint64_t seq = atomic_load_explicit(&v->tlb.inv_seq, memory_order_acquire), val, what = hw_request_word(req);
	uint32_t mode = atomic_load_explicit(&v->mode, memory_order_acquire);
	const struct smmu_bus *b = atomic_load_explicit(&v->bus[what >> 40 & 0xff], memory_order_acquire);
	const struct smmu_cfg *cfg = b ? nb_rcu_dereference(b->slot[what >> 32 & 0xff].fast) : NULL;
	unsigned int access = (unsigned int)(what >> 48 & 0xff);

	if (likely(cfg && (what & (BITS(63, 56) | BITS(31, 0))) == NB_NO_PASID && access - 1 < 3 && (mode & SMMU_MODE_EN) &&
		   cfg->hot && ((req->addr + cfg->in_bias) & cfg->in_mask) == 0)) {
		uint32_t word = atomic_load_explicit(&cfg->tag->leaf, memory_order_acquire);

		if (likely((word & BIT(SMMU_SZ_4K)) && smmu_probe_size(&v->tlb, word, SMMU_SZ_4K, req->addr, &val) &&
			   !(access & ~val & (HW_READ | HW_WRITE)) && hw_counted(hw->tr, NB_EV_hw_tlb_hit))) {
			res->kind = HW_OK;
			res->lg2 = 12;
			res->perm = val >> SMMU_V_WOULD_SHIFT & 7;
			res->pa = hpa((val & SMMU_V_ADDR) | (req->addr & 4095));
			NB_USDT(hw_tlb_hit, req->rid, req->pasid, req->addr, res->pa.v);
			return;
		}
	}
	translate_any(v, req, res, seq, mode);
}

/* From memory and not from caches; so no read section is needed, and steps may call anyone. */
static void walk(struct hw_iommu *hw, const struct hw_request *asked, hw_step_fn *step, void *opaque, struct hw_result *res)
{
	struct smmu *v = to_smmu(hw);
	const struct smmu_steps st = {.fn = step, .opaque = opaque};
	uint32_t mode = atomic_load_explicit(&v->mode, memory_order_acquire);
	struct hw_request req = *asked;

	req.flags |= HW_OBSERVE;
	if (req.flags & HW_TRANSLATED)
		smmu_translated(v, &req, res, 0, mode);
	else if (!(mode & SMMU_MODE_EN))
		bypass_all(v, &req, res);
	else
		translate_config(v, &req, res, 0, &st);
}

/* ---- life ---- */

static void reset(struct hw_iommu *hw)
{
	struct smmu *v = to_smmu(hw);

	pthread_mutex_lock(&v->mmio_lock);
	smmu_regs_reset(v);
	smmu_ecmdq_reset(v);
	smmu_cmdqv_reset(v);
	nb_rcu_synchronize();
	smmu_stall_term(v, 0, true);
	smmu_event_reset(v);
	smmu_prq_reset(v);
	smmu_invalidate_all(v);
	pthread_mutex_unlock(&v->mmio_lock);
}

static void destroy(struct hw_iommu *hw)
{
	struct smmu *v = to_smmu(hw);

	smmu_cmdqv_destroy(v); /* its thread first */
	smmu_ecmdq_destroy(v);
	smmu_config_fini(v);
	smmu_tlb_fini(&v->tlb);
	pthread_mutex_destroy(&v->event_lock);
	pthread_mutex_destroy(&v->prq_lock);
	pthread_mutex_destroy(&v->mmio_lock);
	nb_free(v);
}

void smmu_set_lag(struct hw_iommu *hw, struct mem_lag *lag)
{
	struct smmu *v = to_smmu(hw);

	v->lag = v->caps.coherent ? NULL : lag;
}

static void written_back(struct hw_iommu *hw, hpa_t pa, size_t len)
{
	struct smmu *v = to_smmu(hw);

	if (v->lag)
		mem_lag_written_back(v->lag, pa, len);
}

static const struct hw_ops smmu_ops = {
	.vendor = "smmuv3",
	.destroy = destroy,
	.reset = reset,
	.mmio_read = smmu_mmio_read,
	.mmio_write = smmu_mmio_write,
	.translate = translate,
	.report = smmu_report,
	.walk = walk,
	.ats_request = smmu_ats_request,
	.translated_ok = smmu_translated_ok,
	.page_request = smmu_page_request,
	.register_memory = smmu_register_memory,
	.threads = smmu_threads,
	.written_back = written_back,
};

int smmu_create(const struct smmu_caps *caps, struct mem *mem, struct nb_trace *tr, struct hw_iommu **out,
		struct nb_diag *diag)
{
	struct smmu *v;
	int err = smmu_caps_check(caps, diag);

	if (err)
		return err;
	v = nb_aligned_zalloc(64, sizeof(*v));
	if (!v)
		return nb_fail(diag, -ENOMEM, "SMMUv3: out of memory");
	err = smmu_tlb_init(&v->tlb, tr);
	if (err) {
		nb_free(v);
		return nb_fail(diag, err, "SMMUv3: out of memory for the TLB");
	}
	v->caps = *caps;
	smmu_caps_regs(caps, &v->id);
	v->hw.mmio_size = SMMU_REGS_SIZE;
	if (caps->ecmdq) {
		err = smmu_ecmdq_create(v);
		v->hw.mmio_size += (uint64_t)SMMU_CMDQ_CONTROL_PAGE_SIZE << caps->ecmdq_pages_lg2;
	}
	if (!err && caps->cmdqv) {
		err = smmu_cmdqv_create(v);
		v->hw.mmio_size = SMMU_CMDQV_BASE + smmu_cmdqv_size(caps);
	}
	if (err) {
		smmu_ecmdq_destroy(v);
		smmu_tlb_fini(&v->tlb);
		nb_free(v);
		return nb_fail(diag, err, "SMMUv3: out of memory for command queues");
	}
	v->hw.ops = &smmu_ops;
	v->hw.mem = mem;
	v->hw.tr = tr;
	pthread_mutex_init(&v->mmio_lock, NULL);
	pthread_mutex_init(&v->prq_lock, NULL);
	pthread_mutex_init(&v->event_lock, NULL);
	smmu_regs_reset(v);
	smmu_event_reset(v);
	smmu_prq_reset(v);
	*out = &v->hw;
	return 0;
}

int smmu_inject_atc_timeout(struct hw_iommu *hw, uint16_t sid)
{
	struct smmu *v = to_smmu(hw);

	if (!v->caps.ats)
		return -EINVAL;
	pthread_mutex_lock(&v->mmio_lock);
	v->lost_sid = sid;
	pthread_mutex_unlock(&v->mmio_lock);
	return 0;
}

void smmu_drop_caches(struct hw_iommu *hw)
{
	struct smmu *v = to_smmu(hw);

	pthread_mutex_lock(&v->mmio_lock);
	smmu_invalidate_all(v);
	pthread_mutex_unlock(&v->mmio_lock);
}
