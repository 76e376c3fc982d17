/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bench for the SMMUv3 driver: the driver, the real hardware model, memory, requesters, and a guest. No part
 * is a mock: driver and model meet at registers, tables and interrupt messages only.
 *
 * Domains map to made-up host addresses: translations are asked for, not performed. The guest's RAM is real: its CDs and tables lie
 * there, IPA 0 upward.
 */
#ifndef NB_TESTS_DRV_SMMU_RIG_H
#define NB_TESTS_DRV_SMMU_RIG_H

#include "drv_rig_base.h"
#include "hw/smmuv3/smmu.h"
#include "mem/lag.h"
#include "spec/smmuv3/cmds.h"
#include "spec/smmuv3/events.h"
#include "spec/smmuv3/regs.h"

#define RAM    (256 * K4)
#define MSI_ADDR UINT64_C(0xfee00000)
#define LOW_PA	 UINT64_C(0x10000000)
#define LOW_LEN	 (UINT64_C(8) << 20)

/* The function's own side. */
struct rig_fn {
	struct rig *rig;
	struct hw_atc *atc;
	struct hw_client client;
	bool on[3];			  /* by enum drv_feature */
	uint32_t arg[3];
	bool refuse[3];			  /* enable() says -ENODEV */
	bool silent;			  /* does not answer invalidations */
	bool can_stall;
	unsigned int switched;		  /* calls of enable and disable */
	unsigned int invalidated;	  /* invalidations that came */
	unsigned int nresponses, last_response;
	unsigned int ndone;		  /* stalls that ended, and how the last one did */
	enum hw_stall_end done;
	enum rig_answer answer;
	unsigned int nreports, late;
	bool gone;			  /* nothing may be reported any more */
	struct drv_page_request report[16];
};

struct rig_unit {
	struct smmu_caps caps;
	struct hw_iommu *hw;
	struct drv_iommu *drv;
	struct rig *rig;
	bool deaf;		/* PROD of the command queue is not heard */
	unsigned int corrupt;	/* the n-th command from now on is spoilt before the unit reads it */
	unsigned int ncmds;	/* commands that were sent, the last ones in cmd */
	struct { uint64_t lo, hi; } cmd[256];
	uint32_t prod;
};

struct rig {
	struct mem mem;
	struct mem_pool *pool;
	struct mem_lag *lag;	/* of units that do not snoop: nothing is seen that was not written back */
	struct nb_trace *tr;
	struct rig_unit unit[NUNITS];
	struct drv_dev dev[NDEVS];
	struct rig_fn fn[NDEVS];
	/*
	 * Device 0 does not wait for the driver: whenever commands are sent, before and after, it goes to busy_addr, so that caches
	 * are filled again between any two steps. Each time it must get to busy_ok[0] or [1]. 0: it rests.
	 */
	uint64_t busy_addr, busy_ok[3];
	uint32_t busy_pasid;
	unsigned int busy_bad, busy_n;
	uint64_t busy_got;	/* the first bad one */
	bool hold_msi;		/* interrupts are on their way, and do not arrive */
	unsigned int nveng;	/* events for guests */
	struct { struct drv_viommu *v; uint32_t type; uint64_t evt[4]; } vevent[64];
	int vevent_err;
	uint8_t *ram, *low;
	uint64_t ram_used;
	struct nb_diag diag;
};

#define RIG_DRV drv_smmuv3_ops
#include "drv_rig_fns.h"

static inline uint64_t go(struct rig *r, unsigned int dev, uint32_t pasid, uint64_t addr)
{
	return rig_go(r, dev, pasid, addr, HW_READ);
}

static inline void rig_busy(struct rig *r)
{
	uint64_t got;

	if (!r->busy_addr)
		return;
	got = go(r, 0, r->busy_pasid, r->busy_addr);
	r->busy_n++;
	if (got == r->busy_ok[0] || got == r->busy_ok[1] || (got & FAULT && r->busy_ok[2] == FAULT))
		return;
	if (!r->busy_bad++)
		r->busy_got = got;
}

static inline uint64_t rig_mmio_read(void *opaque, uint64_t off, unsigned int size)
{
	struct rig_unit *u = opaque;

	return u->hw->ops->mmio_read(u->hw, off, size);
}

/* What the driver sent, read from its ring. */
static inline void rig_log_cmds(struct rig_unit *u, uint32_t prod)
{
	uint64_t base = rig_mmio_read(u, SMMU_REG_CMDQ_BASE, 8);
	uint32_t n = 1u << (base & 31), i;
	struct mem *m = &u->rig->mem;

	for (i = u->prod; i != prod; i = (i + 1) & (2 * n - 1)) {
		hpa_t at = hpa((base & SMMU_Q_BASE_ADDR) + 16 * (i & (n - 1)));
		uint64_t lo = 0, hi = 0;

		assert_int_equal(mem_load64(m, at, &lo) | mem_load64(m, hpa_add(at, 8), &hi), 0);
		if (u->corrupt && --u->corrupt == 0)
			mem_store64(m, at, 0xff); /* no such command */
		u->cmd[u->ncmds % 256].lo = lo;
		u->cmd[u->ncmds++ % 256].hi = hi;
	}
	u->prod = prod;
}

static inline void rig_mmio_write(void *opaque, uint64_t off, unsigned int size, uint64_t v)
{
	struct rig_unit *u = opaque;

	if (off == SMMU_REG_CMDQ_PROD) {
		if (u->deaf)
			return;
		rig_log_cmds(u, (uint32_t)v);
		rig_busy(u->rig);
	}
	u->hw->ops->mmio_write(u->hw, off, size, v);
	if (off == SMMU_REG_CMDQ_PROD)
		rig_busy(u->rig);
}

/* Messages, and the wires of units without them. */
static inline void rig_msi(void *opaque, uint64_t addr, uint32_t data)
{
	struct rig_unit *u = opaque;
	uint32_t base = 0x40 + (uint32_t)(u - u->rig->unit);

	if (addr == 0) {
		if (data == SMMU_WIRE_SYNC)
			return;
		data = data == SMMU_WIRE_GERROR ? base : base + (data == SMMU_WIRE_CMDQV ? DRV_MSI_COMPANION : DRV_MSI_PAGE_REQUEST);
	} else {
		assert_int_equal(addr, MSI_ADDR);
	}
	if (u->drv && !u->rig->hold_msi)
		drv_smmuv3_ops.irq(u->drv, data);
}

static inline bool rig_ats_invalidate(void *opaque, uint32_t pasid, bool all_pasids, uint64_t addr, unsigned int lg2)
{
	struct rig_fn *fn = opaque;

	fn->invalidated++;
	return !fn->silent && hw_atc_invalidate(fn->atc, pasid, all_pasids, addr, lg2);
}

static inline void rig_page_response(void *opaque, uint32_t pasid, unsigned int prgi, unsigned int code)
{
	struct rig_fn *fn = opaque;

	(void)pasid;
	(void)prgi;
	fn->nresponses++;
	fn->last_response = code;
}

static inline void rig_stall_done(void *opaque, uint32_t pasid, uint64_t addr, bool all, enum hw_stall_end end)
{
	struct rig_fn *fn = opaque;

	(void)pasid;
	(void)addr;
	(void)all;
	fn->ndone++;
	fn->done = end;
}

static inline int rig_report(struct drv_dev *dev, const struct drv_page_request *pr)
{
	struct rig_fn *fn = rig_fn_of(dev);
	struct drv_page_response resp = {.pasid = pr->pasid, .grpid = pr->grpid};

	fn->late += fn->gone;
	fn->report[fn->nreports++ % 16] = *pr;
	switch (fn->answer) {
	case RIG_REFUSE:
		return -ENOENT;
	case RIG_ANSWER:
	case RIG_FAIL:
		resp.code = fn->answer == RIG_FAIL ? DRV_PAGE_FAILURE : DRV_PAGE_SUCCESS;
		drv_smmuv3_ops.page_response(dev, &resp);
		break;
	case RIG_TAKE:
		break;
	}
	return 0;
}

/* ---- up and down ---- */

/* low: the driver's memory has small addresses, for units that have no others. */
static inline void rig_memory(struct rig *r, bool low)
{
	memset(r, 0, sizeof(*r));
	assert_int_equal(guard_init(), 0);
	if (low) {
		r->low = aligned_alloc(LOW_LEN, LOW_LEN);
		assert_non_null(r->low);
		assert_int_equal(mem_init_regions(&r->mem), 0);
		assert_int_equal(mem_add_region(&r->mem, hpa(LOW_PA), r->low, LOW_LEN), 0);
		r->pool = mem_pool_new_at(&r->mem, hpa(LOW_PA), LOW_LEN);
	} else {
		assert_int_equal(mem_init_process(&r->mem), 0);
		r->pool = mem_pool_new(&r->mem);
	}
	r->tr = nb_trace_new(NULL);
	r->ram = aligned_alloc(0x10000, RAM);
	assert_true(r->pool && r->tr && r->ram);
	memset(r->ram, 0, RAM);
}

static inline void rig_flush(void *opaque, const void *p, size_t len)
{
	struct rig_unit *u = opaque;
	uint64_t pa = (uint64_t)(uintptr_t)p;

	if (u->rig->low)
		pa = pa - (uint64_t)(uintptr_t)u->rig->low + LOW_PA;
	u->hw->ops->written_back(u->hw, hpa(pa), len);
}

static inline int rig_try_unit(struct rig *r, unsigned int i, const struct smmu_caps *caps)
{
	struct rig_unit *u = &r->unit[i];
	struct drv_iommu_cfg cfg = {
		.mem = &r->mem,
		.pool = r->pool,
		.tr = r->tr,
		.msi_addr = MSI_ADDR,
		.msi_data = 0x40 + i,
		.mmio = {u, rig_mmio_read, rig_mmio_write},
		.companion = caps->cmdqv ? SMMU_CMDQV_BASE : 0,
	};

	u->caps = *caps;
	u->rig = r;
	OK(r, smmu_create(caps, &r->mem, r->tr, &u->hw, &r->diag));
	if (!caps->coherent) {
		if (!r->lag)
			r->lag = mem_lag_new(&r->mem, r->pool);
		assert_non_null(r->lag);
		smmu_set_lag(u->hw, r->lag);
		cfg.flush = rig_flush;
		cfg.flush_opaque = u;
	}
	u->hw->msi = rig_msi;
	u->hw->msi_opaque = u;
	u->hw->client = rig_client;
	u->hw->client_opaque = u;
	return drv_smmuv3_ops.probe(&cfg, &u->drv, &r->diag);
}

static inline void rig_device(struct rig *r, unsigned int i, bool ats, bool stall)
{
	struct rig_fn *fn = &r->fn[i];

	r->dev[i] = (struct drv_dev){
		.iommu = r->unit[i == 2].drv,
		.rid = (uint16_t)(0x100 + 0x88 * i),
		.max_pasids = 1u << 16,
		.ats = ats,
		.stall = stall,
		.always_snoops = true,
		.fn_ops = &rig_fn_ops,
		.report_fault = rig_report,
		.core = r,
	};
	fn->rig = r;
	fn->atc = hw_atc_new(r->unit[i == 2].hw, r->dev[i].rid, 64);
	assert_non_null(fn->atc);
	fn->client = (struct hw_client){.opaque = fn, .ats_invalidate = rig_ats_invalidate, .page_response = rig_page_response,
					.stall_done = stall ? rig_stall_done : NULL};
	OK(r, drv_smmuv3_ops.probe_device(&r->dev[i], &r->diag));
}

enum { RIG_ATS = 1, RIG_STALL = 2 };

/* Two units; the second may have other capabilities. */
static inline void rig_up2(struct rig *r, const struct smmu_caps *caps0, const struct smmu_caps *caps1, unsigned int flags)
{
	unsigned int i;

	rig_memory(r, caps0->oas < 48);
	OK(r, rig_try_unit(r, 0, caps0));
	OK(r, rig_try_unit(r, 1, caps1));
	for (i = 0; i < NDEVS; i++)
		rig_device(r, i, flags & RIG_ATS, flags & RIG_STALL);
}

/* Everything that the model has, as a guest's hypervisor would like it; a host at EL1. */
static inline void rig_caps(struct smmu_caps *c)
{
	smmu_caps_all(c);
	c->oas = 48;
	c->hyp = false;
}

static inline void rig_up(struct rig *r)
{
	struct smmu_caps c;

	rig_caps(&c);
	rig_up2(r, &c, &c, 0);
}

static inline void rig_down(struct rig *r)
{
	unsigned int i;

	if (r->busy_bad)
		fail_msg("device 0 got to %#lx on the way", (unsigned long)r->busy_got);
	r->busy_addr = 0;
	for (i = 0; i < NDEVS; i++) {
		drv_smmuv3_ops.release_device(&r->dev[i]);
		r->fn[i].gone = true;
		assert_false(r->fn[i].on[0] || r->fn[i].on[1] || r->fn[i].on[2]);
		hw_atc_free(r->fn[i].atc);
		r->fn[i].atc = NULL;
	}
	for (i = 0; i < NUNITS; i++) {
		drv_smmuv3_ops.remove(r->unit[i].drv);
		r->unit[i].hw->ops->destroy(r->unit[i].hw);
	}
	for (i = 0; i < NDEVS; i++)
		assert_int_equal(r->fn[i].late, 0);
	if (r->lag)
		mem_lag_free(r->lag);
	mem_pool_free(r->pool); /* asserts that every page came back */
	mem_fini(&r->mem);
	nb_trace_free(r->tr);
	free(r->ram);
	free(r->low);
}

/* ---- the core ---- */

/* Commands that were sent since ncmds was `from`: how many have this op; the last one that has. */
static inline unsigned int sent(const struct rig_unit *u, unsigned int from, unsigned int op, uint64_t *lo, uint64_t *hi)
{
	unsigned int n = 0;

	assert_true(u->ncmds - from <= 256);
	for (; from != u->ncmds; from++) {
		if ((u->cmd[from % 256].lo & 0xff) != op)
			continue;
		n++;
		if (lo)
			*lo = u->cmd[from % 256].lo;
		if (hi)
			*hi = u->cmd[from % 256].hi;
	}
	return n;
}

/* ---- the guest ---- */

/* A nesting parent in which the guest's RAM is IPA 0 upward. */
static inline struct drv_domain *parent(struct rig *r, unsigned int dev)
{
	struct drv_domain *p = paging(r, dev, DRV_ALLOC_NEST_PARENT);

	OK(r, map(r, p, 0, (uint64_t)(uintptr_t)r->ram, RAM, RW));
	return p;
}

static inline int rig_vevent(struct drv_viommu *v, uint32_t type, const void *data, size_t len)
{
	struct rig *r = v->core;

	assert_int_equal(len, 32);
	if (r->vevent_err)
		return r->vevent_err;
	r->vevent[r->nveng % 64].v = v;
	r->vevent[r->nveng % 64].type = type;
	memcpy(r->vevent[r->nveng++ % 64].evt, data, 32);
	return 0;
}

static inline struct drv_viommu *viommu(struct rig *r, unsigned int dev, struct drv_domain *p)
{
	size_t size = drv_smmuv3_ops.viommu_size(&r->dev[dev], IOMMU_VIOMMU_TYPE_ARM_SMMUV3);
	struct drv_viommu *v;

	assert_true(size >= sizeof(*v));
	v = calloc(1, size);
	assert_non_null(v);
	*v = (struct drv_viommu){.iommu = r->dev[dev].iommu, .parent = p, .type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
				 .report_event = rig_vevent, .core = r};
	OK(r, drv_smmuv3_ops.viommu_init(v, NULL, &r->diag));
	return v;
}

static inline void viommu_free(struct drv_viommu *v)
{
	v->ops->destroy(v);
	free(v);
}

static inline struct drv_vdevice *vdevice(struct rig *r, struct drv_viommu *v, unsigned int dev, uint64_t vsid)
{
	struct drv_vdevice *vd = calloc(1, v->ops->vdevice_size);

	assert_non_null(vd);
	*vd = (struct drv_vdevice){.viommu = v, .dev = &r->dev[dev], .virt_id = vsid};
	OK(r, v->ops->vdevice_init(vd, &r->diag));
	return vd;
}

static inline void vdevice_free(struct drv_vdevice *vd)
{
	vd->viommu->ops->vdevice_destroy(vd);
	free(vd);
}

static inline uint64_t guest_page(struct rig *r)
{
	uint64_t ipa = r->ram_used;

	assert_true(r->ram_used + K4 <= RAM);
	r->ram_used += K4;
	return ipa;
}

static inline uint64_t *guest_ptr(struct rig *r, uint64_t ipa)
{
	return (uint64_t *)(void *)(r->ram + ipa);
}

/* Stage 1, 4 KiB pages, 48 bits: va -> ipa. 0 takes the mapping away, without telling anyone. */
static inline void guest_map(struct rig *r, uint64_t root, uint64_t va, uint64_t ipa)
{
	uint64_t table = root;
	unsigned int level;

	for (level = 3; level > 0; level--) {
		uint64_t *e = guest_ptr(r, table) + ((va >> (12 + 9 * level)) & 511);

		if (!(*e & 1))
			*e = guest_page(r) | 3;
		table = *e & UINT64_C(0xfffffffff000);
	}
	guest_ptr(r, table)[(va >> 12) & 511] = ipa ? ipa | 0xf47 : 0;
}

/* A CD for the table, as a guest writes it. */
static inline void guest_cd(struct rig *r, uint64_t cd, uint64_t root, uint64_t asid)
{
	uint64_t *q = guest_ptr(r, cd);

	q[1] = root;
	q[3] = 0xf404ff44;
	q[0] = asid << 48 | UINT64_C(0xe205c0003510);
}

static inline int nested_raw(struct rig *r, struct drv_viommu *v, uint64_t w0, uint64_t w1, struct drv_domain **d)
{
	struct iommu_hwpt_arm_smmuv3 ste = {{w0, w1}};
	struct drv_user_data data = {IOMMU_HWPT_DATA_ARM_SMMUV3, sizeof(ste), (uint64_t)(uintptr_t)&ste};

	return v->ops->domain_alloc_nested(v, 0, &data, d, &r->diag);
}

/* One CD at the IPA. */
static inline struct drv_domain *nested(struct rig *r, struct drv_viommu *v, uint64_t cd)
{
	struct drv_domain *d = NULL;

	OK(r, nested_raw(r, v, cd | 0xb, 0, &d));
	return d;
}

static inline int invalidate_n(struct rig *r, struct drv_viommu *v, const uint64_t (*cmd)[2], uint32_t n, uint32_t *done)
{
	struct drv_user_array a = {IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, 16, n, (uint64_t)(uintptr_t)cmd};
	int err = v->ops->cache_invalidate(v, &a, &r->diag);

	*done = a.entry_num;
	return err;
}

static inline int invalidate(struct rig *r, struct drv_viommu *v, uint64_t lo, uint64_t hi)
{
	const uint64_t cmd[1][2] = {{lo, hi}};
	uint32_t done = 0;
	int err = invalidate_n(r, v, cmd, 1, &done);

	assert_int_equal(done, err ? 0 : 1);
	return err;
}

#endif
