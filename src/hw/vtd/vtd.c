/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The unit as a whole: creation, and the path of a request through it.
 *
 * A request: interrupt range (3.15), translation off, configuration, checks that need no table, IOTLB, walk:
 * translate_any(). The common case, no PASID and an IOTLB hit, is decided in translate() before that.
 */
#include "hw/vtd/model.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "hw/request.h"

static void pass(struct hw_result *res, uint64_t addr, unsigned int lg2, unsigned int perm)
{
	res->kind = HW_OK;
	res->lg2 = (uint8_t)lg2;
	res->perm = (uint8_t)perm;
	res->pa = hpa(addr);
}

/* Not subject to remapping: nothing but protected memory is in the way (11.4.8). */
static void pass_off(struct vtd *v, const struct hw_request *req, struct hw_result *res, uint32_t mode, unsigned int lg2, unsigned int perm)
{
	if (likely(!(mode & VTD_MODE_PMR)))
		pass(res, req->addr, lg2, perm);
	else if (vtd_pmr_hit(v, req->addr))
		vtd_pmr_block(res);
	else
		pass(res, req->addr, lg2 < VTD_PMR_LG2 ? lg2 : VTD_PMR_LG2, perm);
}

/*
 * Requests without PASID in the interrupt range are not remapped (3.15): writes are interrupt messages, zero-length reads pass by
 * the unit, the rest is illegal (29h in 5.1.4.1, which FPD does not silence). With both kinds of remapping off nobody looks.
 */
static void interrupt_range(struct vtd *v, const struct hw_request *req, struct hw_result *res, uint32_t mode)
{
	unsigned int access = req->access & (HW_READ | HW_WRITE | HW_EXEC);

	if (access == HW_WRITE && !(req->flags & HW_NO_MSG)) {
		res->kind = HW_INTERRUPT;
		res->lg2 = 20;
		res->perm = HW_WRITE;
		res->pa = hpa(req->addr);
	} else if (!access) {
		pass(res, req->addr, 20, 0);
	} else if (!(mode & (VTD_MODE_TE | VTD_MODE_IRE))) {
		pass_off(v, req, res, mode, 20, HW_READ | HW_WRITE);
	} else {
		vtd_fault(v, req, res, VTD_FR_IR_NO_MSG, 0, false);
	}
}

/* Reads and writes, nothing else. */
#define PLAIN(req) ((uint8_t)((req)->access - 1) < 3 && !((req)->flags & (HW_OBSERVE | HW_TRANSLATED)))
_Static_assert(HW_READ == 1 && HW_WRITE == 2 && HW_EXEC == 4, "PLAIN()");

static inline bool addr_ok(const struct vtd_proc *p, uint64_t addr)
{
	return (addr + p->in_bias) >> p->in_bits == 0;
}

static __attribute__((noinline)) void refuse_addr(struct vtd *v, const struct vtd_proc *p,
						  const struct hw_request *req, struct hw_result *res)
{
	switch (p->kind) {
	case VTD_K_SS:
		vtd_fault(v, req, res, p->legacy ? VTD_FR_ADDR_WIDE : VTD_FR_SS_ADDR_WIDE, 2, p->fpd);
		res->fault.gpa_valid = true;
		res->fault.gpa = gpa(req->addr);
		return;
	case VTD_K_PT:
		vtd_fault(v, req, res, p->legacy ? VTD_FR_ADDR_WIDE : VTD_FR_HPA_WIDE, 0, p->fpd);
		return;
	default:
		vtd_fault(v, req, res, VTD_FR_NOT_CANONICAL, 1, p->fpd);
	}
}

/* What the PASID entry allows at all: SPT.5, SPT.6. False: refused. */
static bool request_ok(struct vtd *v, const struct vtd_proc *p, const struct hw_request *req, struct hw_result *res)
{
	if (p->legacy)
		return true;
	if ((req->access & HW_EXEC) && req->pasid != NB_NO_PASID && !p->ere) {
		vtd_fault(v, req, res, VTD_FR_PASID_ERE, 0, p->fpd);
		return false;
	}
	if (vtd_req_priv(p, req) && !p->sre) {
		vtd_fault(v, req, res, VTD_FR_PASID_SRE, 0, p->fpd);
		return false;
	}
	return true;
}

static void pass_through(struct vtd *v, const struct vtd_proc *p, const struct hw_request *req, struct hw_result *res)
{
	if (unlikely(req->addr >> 20 == VTD_INTR_RANGE)) {
		vtd_fault(v, req, res, p->legacy ? VTD_FR_INTR_OUT : VTD_FR_SINTR_OUT, 0, p->fpd);
		return;
	}
	/* A translation request accesses nothing. */
	pass_off(v, req, res, req->flags & VTD_REQ_ATS ? 0 : atomic_load_explicit(&v->mode, memory_order_acquire), p->in_bits,
		 HW_READ | HW_WRITE | (p->ere && req->pasid != NB_NO_PASID ? HW_EXEC : 0u));
}

static __attribute__((noinline)) void translate_slow(struct vtd *v, const struct hw_request *req,
						     struct hw_result *res, uint64_t seq);

/* With the translation function known. `plain`: nothing but user reads and writes, privilege never. */
static inline __attribute__((always_inline)) void translate_with(struct vtd *v, const struct vtd_proc *p,
								 const struct hw_request *req,
								 struct hw_result *res, uint64_t seq, bool plain)
{
	uint32_t word = atomic_load_explicit(&p->tag->leaf, memory_order_acquire);
	unsigned int lg2 = 12;
	uint64_t val;

	if (unlikely(!addr_ok(p, req->addr))) {
		refuse_addr(v, p, req, res);
		return;
	}
	if (unlikely(p->kind == VTD_K_PT)) {
		pass_through(v, p, req, res);
		return;
	}
	if (vtd_tlb_probe(&v->tlb, word, req->addr, &val, &lg2)) {
		res->kind = HW_OK;
		res->lg2 = (uint8_t)lg2;
		res->pa = hpa((val & VTD_V_ADDR) | (req->addr & (BIT(lg2) - 1)));
		if (likely(plain && !(req->access & ~val & (HW_READ | HW_WRITE)))) {
			res->perm = (uint8_t)((val & VTD_V_UR) | (val & VTD_V_UWP) / (VTD_V_UWP / VTD_V_UW));
			NB_TRACE(v->hw.tr, hw_tlb_hit, req->rid, req->pasid, req->addr, res->pa.v);
			return;
		}
		if (vtd_hit(v, p, req, res, val) <= 0) {
			NB_TRACE(v->hw.tr, hw_tlb_hit, req->rid, req->pasid, req->addr, res->pa.v);
			return;
		}
	}
	NB_TRACE(v->hw.tr, hw_tlb_miss, req->rid, req->pasid, req->addr);
	vtd_walk(v, p, req, res, seq);
}

/* CAP.ZLR (3.14): a zero-length read that lacks nothing but permission to read goes to a page that can be written. */
static void zero_length(struct vtd *v, const struct vtd_proc *p, const struct hw_request *read, struct hw_result *res)
{
	struct hw_request req = *read;
	struct hw_result again;

	if (res->kind != HW_FAULT || (res->fault.reason != VTD_FR_NO_READ && res->fault.reason != VTD_FR_SNO_READ))
		return;
	req.access = HW_WRITE;
	vtd_walk_observe(v, p, &req, &again, NULL); /* it writes nothing: no dirty bit */
	if (again.kind == HW_OK)
		*res = again;
}

/* Everything that is not the common case: other configurations, HW_OBSERVE. */
static void translate_slow(struct vtd *v, const struct hw_request *asked, struct hw_result *res, uint64_t seq)
{
	struct hw_request req = *asked;
	const struct vtd_proc *p;
	struct vtd_box box;
	struct vtd_bad bad;
	bool observe = req.flags & HW_OBSERVE;

	if (req.flags & HW_TRANSLATED) {
		vtd_translated(v, asked, res, seq, atomic_load_explicit(&v->mode, memory_order_acquire));
		return;
	}
	if (!(req.access & (HW_READ | HW_WRITE | HW_EXEC)))
		req.access |= HW_READ; /* a zero-length read */
	if (req.pasid != NB_NO_PASID && req.pasid > NB_PASID_MAX)
		req.pasid &= NB_PASID_MAX; /* there are no more bits on the wire */
	p = vtd_config(v, &req, seq, &box, NULL, observe, &bad);
	if (!p) {
		vtd_fault(v, &req, res, bad.reason, 0, bad.silent);
		return;
	}
	vtd_translate_proc(v, p, &req, res, seq);
	if (unlikely(!(asked->access & (HW_READ | HW_WRITE | HW_EXEC))))
		zero_length(v, p, &req, res);
}

void vtd_translate_proc(struct vtd *v, const struct vtd_proc *p, const struct hw_request *req, struct hw_result *res,
			uint64_t seq)
{
	if (!request_ok(v, p, req, res))
		return;
	if (!(req->flags & HW_OBSERVE))
		translate_with(v, p, req, res, seq, false);
	else if (!addr_ok(p, req->addr))
		refuse_addr(v, p, req, res);
	else if (p->kind == VTD_K_PT)
		pass_through(v, p, req, res);
	else
		vtd_walk_observe(v, p, req, res, NULL);
}

/* 11.4.8.1: with protected memory the final address decides, however it was found. */
static void not_protected(struct vtd *v, struct hw_result *res)
{
	if (res->kind != HW_OK)
		return;
	if (vtd_pmr_hit(v, res->pa.v))
		vtd_pmr_block(res);
	else if (res->lg2 > VTD_PMR_LG2)
		res->lg2 = VTD_PMR_LG2;
}

static __attribute__((noinline)) void translate_any(struct vtd *v, const struct hw_request *req,
						    struct hw_result *res, uint64_t seq, uint32_t mode)
{
	const struct vtd_proc *p = NULL;

	/* Translated requests leave by the three ways that are not the common one, so that it need not ask for them. */
	if (req->pasid == NB_NO_PASID && unlikely(req->addr >> 20 == VTD_INTR_RANGE)) {
		if (req->flags & HW_TRANSLATED)
			vtd_translated(v, req, res, seq, mode);
		else
			interrupt_range(v, req, res, mode);
		return;
	}
	if (unlikely((mode & (VTD_MODE_TE | VTD_MODE_PMR)) != VTD_MODE_TE)) {
		if (req->flags & HW_TRANSLATED) {
			vtd_translated(v, req, res, seq, mode);
		} else if (mode & VTD_MODE_TE) {
			translate_slow(v, req, res, seq);
			not_protected(v, res);
		} else {
			pass_off(v, req, res, mode, 52, HW_READ | HW_WRITE | HW_EXEC);
		}
		return;
	}
	if (req->pasid == NB_NO_PASID) {
		const struct vtd_bus *b = atomic_load_explicit(&v->bus[req->rid >> 8], memory_order_acquire);

		p = b ? nb_rcu_dereference(b->slot[req->rid & 0xff].fast) : NULL;
		if (unlikely(p && p->priv_rid))
			p = NULL;
	} else if (!(req->flags & HW_PRIV)) {
		p = vtd_config_cached(v, req);
	}
	if (likely(p && PLAIN(req)))
		translate_with(v, p, req, res, seq, true);
	else
		translate_slow(v, req, res, seq);
}

/*
 * The common case here, without a call: translation on, no protected memory, no PASID, no flags, configuration and a 4 KiB translation
 * cached, allowed.
 */
static void translate(struct hw_iommu *hw, const struct hw_request *req, struct hw_result *res)
{
	struct vtd *v = to_vtd(hw);
	/* Before anything that an invalidation may change: see tlb.h. */
	uint64_t seq = atomic_load_explicit(&v->tlb.inv_seq, memory_order_acquire), val, what = hw_request_word(req);
	uint32_t mode = atomic_load_explicit(&v->mode, memory_order_acquire);
	const struct vtd_bus *b = atomic_load_explicit(&v->bus[what >> 40 & 0xff], memory_order_acquire);
	const struct vtd_proc *p = b ? nb_rcu_dereference(b->slot[what >> 32 & 0xff].fast) : NULL;
	unsigned int access = (unsigned int)(what >> 48 & 0xff);

	if (likely(p && (what & (BITS(63, 56) | BITS(31, 0))) == NB_NO_PASID && access - 1 < 3 &&
		   (mode & (VTD_MODE_TE | VTD_MODE_PMR)) == VTD_MODE_TE && p->hot && req->addr >> 20 != VTD_INTR_RANGE &&
		   addr_ok(p, req->addr))) {
		uint32_t word = atomic_load_explicit(&p->tag->leaf, memory_order_acquire);
		uint64_t key = vtd_key(word >> 8, VTD_SZ_4K, vtd_vpn(req->addr));

		if (likely((word & 1) && hw_probe(v->tlb.leaf, VTD_TLB_LG2, key, &val) &&
			   !(access & ~val & (HW_READ | HW_WRITE)) && hw_counted(hw->tr, NB_EV_hw_tlb_hit))) {
			res->kind = HW_OK;
			res->lg2 = 12;
			res->perm = (uint8_t)((val & VTD_V_UR) | (val & VTD_V_UWP) / (VTD_V_UWP / VTD_V_UW));
			res->pa = hpa((val & VTD_V_ADDR) | (req->addr & 4095));
			NB_USDT(hw_tlb_hit, req->rid, req->pasid, req->addr, res->pa.v);
			return;
		}
	}
	translate_any(v, req, res, seq, mode);
}

/* From memory and not from caches; so no read section is needed, and steps may call anyone. */
static void walk(struct hw_iommu *hw, const struct hw_request *req, hw_step_fn *step, void *opaque,
		 struct hw_result *res)
{
	struct vtd *v = to_vtd(hw);
	struct vtd_steps st = {.fn = step, .opaque = opaque};
	uint32_t mode = atomic_load_explicit(&v->mode, memory_order_acquire);
	const struct vtd_proc *p;
	struct hw_request r = *req;
	struct vtd_box box;
	struct vtd_bad bad;

	r.flags |= HW_OBSERVE;
	if (r.flags & HW_TRANSLATED) {
		vtd_translated(v, &r, res, 0, mode);
		return;
	}
	if (r.pasid == NB_NO_PASID && r.addr >> 20 == VTD_INTR_RANGE) {
		interrupt_range(v, &r, res, mode);
		return;
	}
	if (!(r.access & (HW_READ | HW_WRITE | HW_EXEC)))
		r.access |= HW_READ;
	if (!(mode & VTD_MODE_TE)) {
		pass_off(v, &r, res, mode, 52, HW_READ | HW_WRITE | HW_EXEC);
		return;
	}
	p = vtd_config(v, &r, 0, &box, &st, true, &bad);
	if (!p) {
		vtd_fault(v, &r, res, bad.reason, 0, bad.silent);
		return;
	}
	if (!request_ok(v, p, &r, res))
		return;
	if (!addr_ok(p, r.addr))
		refuse_addr(v, p, &r, res);
	else if (p->kind == VTD_K_PT)
		pass_through(v, p, &r, res);
	else
		vtd_walk_observe(v, p, &r, res, &st);
	if (!(req->access & (HW_READ | HW_WRITE | HW_EXEC)))
		zero_length(v, p, &r, res);
	if (mode & VTD_MODE_PMR)
		not_protected(v, res);
}

/* ---- life ---- */

static void make_reserved(struct vtd *v)
{
	const struct vtd_caps *c = &v->caps;
	uint64_t wide = BITS(51, 0) & ~nb_low_mask(c->haw);
	unsigned int l;

	for (l = 1; l <= 5; l++) {
		/* 3.7, "bits reserved with second-stage translation", and bit 62 of 9.8 */
		v->ss_node_rsvd[l] = wide | VTD_SSPTE_TM | VTD_SSPTE_SNP | (l >= 4 ? VTD_SSPTE_PS : 0);
		v->ss_leaf_rsvd[l] = wide | VTD_SSPTE_TM | (c->snoop_control ? 0 : VTD_SSPTE_SNP);
		/* 3.6 */
		v->fs_node_rsvd[l] = wide | (l >= 4 ? VTD_FSPTE_PS : 0);
		v->fs_leaf_rsvd[l] = wide;
	}
	v->ss_leaf_rsvd[2] |= BITS(20, 12) | (c->ss_2m ? 0 : VTD_SSPTE_PS);
	v->ss_leaf_rsvd[3] |= BITS(29, 12) | (c->ss_1g ? 0 : VTD_SSPTE_PS);
	v->fs_leaf_rsvd[2] |= BITS(20, 13);
	v->fs_leaf_rsvd[3] |= BITS(29, 13) | (c->fs_1g ? 0 : VTD_FSPTE_PS);
}

static void reset(struct hw_iommu *hw)
{
	struct vtd *v = to_vtd(hw);

	pthread_mutex_lock(&v->mmio_lock);
	vtd_regs_reset(v);
	vtd_event_reset(v);
	vtd_prq_reset(v);
	vtd_invalidate_all(v);
	pthread_mutex_unlock(&v->mmio_lock);
}

static void destroy(struct hw_iommu *hw)
{
	struct vtd *v = to_vtd(hw);

	vtd_config_fini(v);
	vtd_ir_fini(v);
	vtd_tlb_fini(&v->tlb);
	pthread_mutex_destroy(&v->event_lock);
	pthread_mutex_destroy(&v->prq_lock);
	pthread_mutex_destroy(&v->mmio_lock);
	nb_free(v);
}

static const struct hw_ops vtd_ops = {
	.vendor = "vtd",
	.destroy = destroy,
	.reset = reset,
	.mmio_read = vtd_mmio_read,
	.mmio_write = vtd_mmio_write,
	.translate = translate,
	.report = vtd_report,
	.walk = walk,
	.ats_request = vtd_ats_request,
	.translated_ok = vtd_translated_ok,
	.page_request = vtd_page_request,
	.interrupt = vtd_interrupt,
	.written_back = vtd_written_back,
};

int vtd_create(const struct vtd_caps *caps, struct mem *mem, struct nb_trace *tr, struct hw_iommu **out,
	       struct nb_diag *diag)
{
	struct vtd *v;
	int err = vtd_caps_check(caps, diag);

	if (err)
		return err;
	v = nb_aligned_zalloc(64, sizeof(*v));
	if (!v)
		return nb_fail(diag, -ENOMEM, "VT-d: out of memory");
	err = vtd_tlb_init(&v->tlb, tr);
	if (err) {
		nb_free(v);
		return nb_fail(diag, err, "VT-d: out of memory for the IOTLB");
	}
	v->caps = *caps;
	err = vtd_ir_init(v);
	if (err) {
		vtd_tlb_fini(&v->tlb);
		nb_free(v);
		return nb_fail(diag, err, "VT-d: out of memory for the interrupt entry cache");
	}
	v->hw.ops = &vtd_ops;
	v->hw.mem = mem;
	v->hw.tr = tr;
	v->hw.mmio_size = VTD_MMIO_SIZE;
	v->cap = vtd_caps_cap(caps);
	v->ecap = vtd_caps_ecap(caps);
	make_reserved(v);
	pthread_mutex_init(&v->mmio_lock, NULL);
	pthread_mutex_init(&v->prq_lock, NULL);
	pthread_mutex_init(&v->event_lock, NULL);
	vtd_regs_reset(v);
	vtd_event_reset(v);
	vtd_prq_reset(v);
	*out = &v->hw;
	return 0;
}

int vtd_inject_devtlb_timeout(struct hw_iommu *hw, uint16_t sid)
{
	struct vtd *v = to_vtd(hw);

	if (!v->caps.device_tlb)
		return -EINVAL;
	pthread_mutex_lock(&v->mmio_lock);
	v->lost_sid = sid;
	pthread_mutex_unlock(&v->mmio_lock);
	return 0;
}

int vtd_inject_devtlb_stray(struct hw_iommu *hw, uint16_t sid)
{
	struct vtd *v = to_vtd(hw);
	struct vtd_msis q = {.n = 0};

	if (!v->caps.device_tlb)
		return -EINVAL;
	vtd_event_queue_error(v, VTD_FSTS_ICE, sid, &q);
	vtd_msi_send(v, &q);
	return 0;
}

void vtd_drop_caches(struct hw_iommu *hw)
{
	struct vtd *v = to_vtd(hw);

	pthread_mutex_lock(&v->mmio_lock);
	if (v->iec)
		vtd_iec_invalidate(v, 0, VTD_IEC_LAST);
	vtd_invalidate_all(v);
	pthread_mutex_unlock(&v->mmio_lock);
}
