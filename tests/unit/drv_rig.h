/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bench for the VT-d driver: the driver, the real hardware model, memory, and a requester. No part
 * is a mock: driver and model meet at registers, tables and interrupt messages only.
 *
 * Domains map to made-up host addresses: translations are asked for, not performed.
 */
#ifndef NB_TESTS_DRV_RIG_H
#define NB_TESTS_DRV_RIG_H

#include "drv_rig_base.h"
#include "hw/vtd/vtd.h"

#define RAM    (512 * K4)	/* the guest's, for its tables; GPA 0 upward */

/* The function's own side: its device-TLB, what it was told, what it was answered. */
struct rig_fn {
	struct rig *rig;
	unsigned int index;
	struct hw_atc *atc;
	struct hw_client client;
	bool on[3];			  /* by enum drv_feature */
	uint32_t arg[3];
	unsigned int switched;		  /* calls of enable and disable */
	bool refuse[3];			  /* enable() says -ENODEV */
	bool silent;			  /* does not answer invalidations */
	_Atomic unsigned int invalidated; /* invalidations that came */
	_Atomic unsigned int early;	  /* of these, while ATS was off */
	_Atomic unsigned int nresponses;
	struct { uint32_t pasid, prgi, code; } response[64]; /* the last ones; n % 64 */
	/* The core's side. */
	_Atomic int answer;		  /* enum rig_answer */
	_Atomic unsigned int nreports, ndiscards;
	_Atomic bool gone;		  /* nothing may be reported any more */
	_Atomic unsigned int late;	  /* and was */
	struct drv_page_request report[64];
	void (*in_report)(struct rig_fn *fn, const struct drv_page_request *pr); /* called inside report_fault */
};

struct rig {
	struct mem mem;
	/*
	 * Device 0 does not wait for the driver: it goes to busy_addr, by RID and as PASID busy_pasid,
	 * whenever the unit is told something. So caches are filled again between any two steps of the
	 * driver. 0: it rests.
	 */
	uint64_t busy_addr;
	uint32_t busy_pasid;
	/*
	 * Somebody else takes a free page, at the worst moment: the unit has not yet been told of anything. If device 0 then gets
	 * to where that page points, a table was freed while it was in use.
	 */
	bool thief;
	unsigned int stolen;
	unsigned int storm; /* so many faults more of device 0, one each time a fault record becomes free */
	/*
	 * With `split` the units have a memory of their own, and see what the driver wrote only after
	 * a flush.
	 */
	bool split;
	struct mem hw_mem;
	uint8_t *cpu_side, *hw_side, *hw_before;
	/* Or they see what each of them reads without snooping as the driver wrote it back: set after rig_memory(). */
	struct mem_lag *lag;
	struct mem_pool *pool;
	struct nb_trace *tr;
	struct rig_unit {
		struct vtd_caps caps;
		struct hw_iommu *hw;
		struct drv_iommu *drv;
		struct rig *rig;
		unsigned int wbf;	/* write-buffer flushes asked for */
		bool deaf;		/* the tail register is not heard */
		unsigned int corrupt;	/* 1: the next descriptor is spoilt before the unit reads it; 2: the next wait */
	} unit[NUNITS];
	struct drv_dev dev[NDEVS];
	bool with_fn;		/* set before rig_devices(): the functions have ATS, PRI and a side of their own */
	struct rig_fn fn[NDEVS];
	bool hold_msi;		/* interrupts of page requests are on their way, and do not arrive */
	unsigned int ask_at_drain; /* so many drains: device 0 asks for a page (PASID 9) when the unit is told to drain */
	unsigned int ask_at_tail; /* the same when the driver has read the ring's tail */
	uint64_t busy_msi;	/* as busy_addr: device 0 sends this message all the time */
	unsigned int drains;	/* submissions with the drain bit */
	_Atomic unsigned int nirqs; /* messages of functions that were delivered; the last one: */
	struct hw_irq irq;
	uint8_t *ram;
	uint64_t ram_used;
	struct nb_diag diag;
};

#define RIG_DRV drv_vtd_ops
#include "drv_rig_fns.h"

#define SPLIT_PA  UINT64_C(0x10000000)
#define SPLIT_LEN (UINT64_C(1) << 20)

static inline void rig_ask_9(struct rig_unit *u)
{
	struct hw_page_request pr = {.addr = 0x7000, .pasid = 9, .rid = u->rig->dev[0].rid, .access = HW_READ, .last = true};

	u->hw->ops->page_request(u->hw, &pr);
}

static inline uint64_t rig_mmio_read(void *opaque, uint64_t off, unsigned int size)
{
	struct rig_unit *u = opaque;
	uint64_t v = u->hw->ops->mmio_read(u->hw, off, size);

	if (off == 0xc8 && u->rig->ask_at_tail) {
		u->rig->ask_at_tail--;
		rig_ask_9(u);
	}
	return v;
}

static inline void rig_flush(void *opaque, const void *p, size_t len)
{
	struct rig *r = opaque;
	size_t off = (size_t)((const uint8_t *)p - r->cpu_side);

	if (r->lag)
		mem_lag_written_back(r->lag, hpa((uintptr_t)p), len);
	if (!r->split)
		return;
	assert_true(off < SPLIT_LEN && len <= SPLIT_LEN - off);
	memcpy(r->hw_side + off, p, len);
}

/*
 * The wait descriptor before the tail says where the status goes. Make what lies there differ from all
 * that the unit may write, or the next function could not tell that it was written.
 */
static inline void rig_expect_status(struct rig_unit *u, uint64_t tail)
{
	struct rig *r = u->rig;
	uint64_t iqa = rig_mmio_read(u, 0x90, 8), slot = iqa & BIT(11) ? 32 : 16;
	uint64_t ring = (iqa & ~UINT64_C(0xfff)) - SPLIT_PA, status, len = slot * 256;

	if (ring >= SPLIT_LEN)
		return; /* no queue yet */
	memcpy(&status, r->hw_side + ring + (tail + len - slot) % len + 8, 8);
	if (status - SPLIT_PA < SPLIT_LEN)
		memset(r->hw_side + (status - SPLIT_PA), 0x5a, 4);
}

/* What the unit writes (status words) the CPU sees at once: writes of a device do snoop. */
static inline void rig_hw_wrote(struct rig *r)
{
	size_t i;

	for (i = 0; i < SPLIT_LEN; i += 4)
		if (memcmp(r->hw_side + i, r->hw_before + i, 4) != 0)
			memcpy(r->cpu_side + i, r->hw_side + i, 4);
}

#define LOOT UINT64_C(0xbad000)

static inline void rig_steal(struct rig *r)
{
	struct hw_request req = {.addr = r->busy_addr, .pasid = NB_NO_PASID, .rid = r->dev[0].rid, .access = HW_READ};
	uint64_t *page = mem_page_alloc(r->pool, 0, NULL);
	struct hw_result res;
	unsigned int i;

	assert_non_null(page);
	for (i = 0; i < 512; i++)
		page[i] = LOOT | 0x67; /* a leaf in either format, the lower bits */
	hw_translate(r->unit[0].hw, &req, &res);
	if (res.kind == HW_OK && (res.pa.v & ~(K4 - 1)) == LOOT)
		r->stolen++;
	mem_page_free(r->pool, page, 0);
}

/* The wait descriptor before the tail: does it drain? */
static inline void rig_look_for_drain(struct rig_unit *u, uint64_t tail)
{
	uint64_t iqa = rig_mmio_read(u, 0x90, 8), slot = iqa & BIT(11) ? 32 : 16, ring = iqa & ~UINT64_C(0xfff);
	const uint64_t *wait = (const uint64_t *)(uintptr_t)(ring + (tail + slot * 255) % (slot * 256));
	struct rig *r = u->rig;

	if ((wait[0] & 0xf) != 5 || !(wait[0] & BIT(7)))
		return;
	r->drains++;
	if (r->ask_at_drain) {
		r->ask_at_drain--;
		rig_ask_9(u);
	}
}

static inline void rig_mmio_write(void *opaque, uint64_t off, unsigned int size, uint64_t v)
{
	struct rig_unit *u = opaque;
	struct rig *r = u->rig;

	if (off == 0x18 && (v & BIT(27)))
		u->wbf++;
	if (off == 0x88 && u->deaf)
		return;
	if (off == 0x88 && u->corrupt) {
		uint64_t ring = rig_mmio_read(u, 0x90, 8) & ~UINT64_C(0xfff);

		uint64_t at = u->corrupt == 1 ? rig_mmio_read(u, 0x80, 8) : (v + 32 * 255) % (32 * 256);

		*(uint64_t *)(uintptr_t)(ring + at) = 0xf; /* no such type */
		u->corrupt = 0;
	}
	if (off == 0x88 && r->with_fn)
		rig_look_for_drain(u, v);
	if (r->split && off == 0x88)
		rig_expect_status(u, v);
	if (off == 0x88 && r->thief)
		rig_steal(r);
	if (r->split)
		memcpy(r->hw_before, r->hw_side, SPLIT_LEN);
	u->hw->ops->mmio_write(u->hw, off, size, v);
	if (r->split)
		rig_hw_wrote(r);
	if (off >= 0x600 && off % 16 == 12 && r->storm) {
		struct hw_request req = {.pasid = NB_NO_PASID, .rid = r->dev[0].rid, .access = HW_READ};
		struct hw_result res;

		r->storm--;
		hw_translate(r->unit[0].hw, &req, &res);
	}
	if (off == 0x88 && r->busy_msi)
		(void)hw_interrupt(r->unit[0].hw, r->dev[0].rid, r->busy_msi, 0);
	if (off == 0x88 && r->busy_addr) {
		struct hw_request req = {.addr = r->busy_addr, .rid = r->dev[0].rid, .access = HW_READ};
		struct hw_result res;

		req.pasid = NB_NO_PASID;
		hw_translate(r->unit[0].hw, &req, &res);
		req.pasid = r->busy_pasid;
		hw_translate(r->unit[0].hw, &req, &res);
	}
}

static inline void rig_msi(void *opaque, uint64_t addr, uint32_t data)
{
	struct rig_unit *u = opaque;

	assert_int_equal(addr, 0xfee00000);
	if (u->rig->hold_msi && data >= DRV_MSI_PAGE_REQUEST)
		return;
	if (u->drv)
		drv_vtd_ops.irq(u->drv, data);
}

static inline void rig_deliver(void *opaque, const struct hw_irq *irq)
{
	struct rig_unit *u = opaque;

	u->rig->irq = *irq;
	u->rig->nirqs++;
}

static inline bool rig_ats_invalidate(void *opaque, uint32_t pasid, bool all_pasids, uint64_t addr, unsigned int lg2)
{
	struct rig_fn *fn = opaque;

	fn->invalidated++;
	if (!fn->on[DRV_FEATURE_ATS])
		fn->early++;
	return !fn->silent && hw_atc_invalidate(fn->atc, pasid, all_pasids, addr, lg2);
}

/* With locks of the unit: one at a time. */
static inline void rig_page_response(void *opaque, uint32_t pasid, unsigned int prgi, unsigned int code)
{
	struct rig_fn *fn = opaque;
	unsigned int n = atomic_load(&fn->nresponses) % 64;

	fn->response[n].pasid = pasid;
	fn->response[n].prgi = prgi;
	fn->response[n].code = code;
	fn->nresponses++;
}

/* One at a time for a unit, as the driver promises. */
static inline int rig_report(struct drv_dev *dev, const struct drv_page_request *pr)
{
	struct rig_fn *fn = rig_fn_of(dev);
	struct drv_page_response resp = {.pasid = pr->pasid, .grpid = pr->grpid};

	if (fn->gone)
		fn->late++;
	fn->report[atomic_load(&fn->nreports) % 64] = *pr;
	fn->nreports++;
	if (fn->in_report)
		fn->in_report(fn, pr);
	switch (atomic_load(&fn->answer)) {
	case RIG_REFUSE:
		return -ENOENT;
	case RIG_ANSWER:
	case RIG_FAIL:
		resp.code = fn->answer == RIG_FAIL ? DRV_PAGE_FAILURE : DRV_PAGE_SUCCESS;
		if (pr->last)
			drv_vtd_ops.page_response(dev, &resp);
		break;
	default:
		break;
	}
	return 0;
}

static inline void rig_discard(struct drv_dev *dev)
{
	rig_fn_of(dev)->ndiscards++;
}

static inline void rig_unit_up(struct rig *r, unsigned int i, const struct vtd_caps *caps, uint32_t errata)
{
	struct rig_unit *u = &r->unit[i];
	struct drv_iommu_cfg cfg = {
		.mem = &r->mem,
		.pool = r->pool,
		.tr = r->tr,
		.errata = errata,
		.msi_addr = 0xfee00000,
		.msi_data = 0x40 + i,
		.flush = rig_flush,
		.flush_opaque = r,
	};

	u->caps = *caps;
	u->rig = r;
	OK(r, vtd_create(caps, r->split ? &r->hw_mem : &r->mem, r->tr, &u->hw, &r->diag));
	if (r->lag)
		vtd_set_lag(u->hw, r->lag);
	u->hw->msi = rig_msi;
	u->hw->msi_opaque = u;
	u->hw->deliver = rig_deliver;
	u->hw->deliver_opaque = u;
	u->hw->client = rig_client;
	u->hw->client_opaque = u;
	cfg.mmio.opaque = u;
	cfg.mmio.read = rig_mmio_read;
	cfg.mmio.write = rig_mmio_write;
	OK(r, drv_vtd_ops.probe(&cfg, &u->drv, &r->diag));
}

/* Memory, trace and counters: what there is before any unit. */
static inline void rig_memory(struct rig *r, bool split)
{
	memset(r, 0, sizeof(*r));
	assert_int_equal(guard_init(), 0);
	r->split = split;
	if (split) {
		r->cpu_side = aligned_alloc(K4, SPLIT_LEN);
		r->hw_side = aligned_alloc(K4, SPLIT_LEN);
		r->hw_before = malloc(SPLIT_LEN);
		assert_true(r->cpu_side && r->hw_side && r->hw_before);
		/* Garbage where nothing was flushed to: a forgotten flush is no empty table. */
		memset(r->hw_side, 0xa5, SPLIT_LEN);
		assert_int_equal(mem_init_regions(&r->mem) | mem_init_regions(&r->hw_mem), 0);
		assert_int_equal(mem_add_region(&r->mem, hpa(SPLIT_PA), r->cpu_side, SPLIT_LEN), 0);
		assert_int_equal(mem_add_region(&r->hw_mem, hpa(SPLIT_PA), r->hw_side, SPLIT_LEN), 0);
		r->pool = mem_pool_new_at(&r->mem, hpa(SPLIT_PA), SPLIT_LEN);
	} else {
		assert_int_equal(mem_init_process(&r->mem), 0);
		r->pool = mem_pool_new(&r->mem);
	}
	r->tr = nb_trace_new(NULL);
	r->ram = aligned_alloc(K4, RAM);
	assert_true(r->pool && r->tr && r->ram);
	memset(r->ram, 0, RAM);
}

static inline void rig_devices(struct rig *r)
{
	unsigned int i;

	for (i = 0; i < NDEVS; i++) {
		r->dev[i] = (struct drv_dev){
			.iommu = r->unit[i == 2].drv,
			.rid = (uint16_t)(0x100 + 0x88 * i),
			.max_pasids = 1u << 16,
			.ats = i == 1,
		};
		if (r->with_fn) {
			struct rig_fn *fn = &r->fn[i];

			fn->rig = r;
			fn->index = i;
			fn->atc = hw_atc_new(r->unit[i == 2].hw, r->dev[i].rid, 64);
			assert_non_null(fn->atc);
			fn->client = (struct hw_client){
				.opaque = fn, .ats_invalidate = rig_ats_invalidate, .page_response = rig_page_response};
			r->dev[i].ats = r->dev[i].pri = true;
			r->dev[i].fn_ops = &rig_fn_ops;
			r->dev[i].report_fault = rig_report;
			r->dev[i].discard_partial = rig_discard;
			r->dev[i].core = r;
		}
		OK(r, drv_vtd_ops.probe_device(&r->dev[i], &r->diag));
	}
}

/* Two units; the second may have other capabilities. */
static inline void rig_up2(struct rig *r, const struct vtd_caps *caps0, const struct vtd_caps *caps1, uint32_t errata)
{
	rig_memory(r, false);
	rig_unit_up(r, 0, caps0, errata);
	rig_unit_up(r, 1, caps1, 0);
	rig_devices(r);
}

static inline void rig_up(struct rig *r)
{
	struct vtd_caps c;

	vtd_caps_all(&c);
	rig_up2(r, &c, &c, 0);
}

/* Functions with ATS, PRI and PASID. */
static inline void rig_up_fn(struct rig *r, const struct vtd_caps *caps)
{
	struct vtd_caps c;

	vtd_caps_all(&c);
	rig_memory(r, false);
	rig_unit_up(r, 0, caps ? caps : &c, 0);
	rig_unit_up(r, 1, caps ? caps : &c, 0);
	r->with_fn = true;
	rig_devices(r);
}

static inline void rig_down(struct rig *r)
{
	unsigned int i;

	for (i = 0; i < NDEVS; i++) {
		drv_vtd_ops.release_device(&r->dev[i]);
		assert_false(r->fn[i].on[0] || r->fn[i].on[1] || r->fn[i].on[2]);
		assert_int_equal(r->fn[i].early, 0);
		hw_atc_free(r->fn[i].atc);
		r->fn[i].atc = NULL;
	}
	for (i = 0; i < NUNITS; i++) {
		drv_vtd_ops.remove(r->unit[i].drv);
		r->unit[i].hw->ops->destroy(r->unit[i].hw);
	}
	mem_lag_free(r->lag);
	mem_pool_free(r->pool); /* asserts that every page came back */
	mem_fini(&r->mem);
	if (r->split)
		mem_fini(&r->hw_mem);
	free(r->cpu_side);
	free(r->hw_side);
	free(r->hw_before);
	nb_trace_free(r->tr);
	free(r->ram);
}

#define NOTHING (FAULT | 0xffff) /* dev_go(): the translation says that there is nothing; a page request may help */

/* Through the device-TLB to real memory: the first eight bytes that are there. */
static inline uint64_t dev_go(struct rig *r, unsigned int dev, uint32_t pasid, uint64_t addr)
{
	uint64_t v = 0;
	size_t done;
	int err = hw_atc_dma(r->fn[dev].atc, pasid, addr, &v, sizeof(v), false, 0, &done);

	return err == -ENOENT ? NOTHING : err ? FAULT : v;
}

#define DEV_GO(r, dev, pasid, addr, want)                                                                    \
	do {                                                                                                  \
		uint64_t got_ = dev_go(r, dev, pasid, addr), want_ = (want);                                  \
		if (got_ != want_)                                                                            \
			fail_msg("%s:%d: device %u PASID %#x at %#lx: got %#lx, want %#lx", __FILE__, __LINE__, \
				 (unsigned int)(dev), (unsigned int)(pasid), (unsigned long)(addr),           \
				 (unsigned long)got_, (unsigned long)want_);                                  \
	} while (0)

static inline void ask_page(struct rig *r, unsigned int dev, uint32_t pasid, uint64_t addr, unsigned int prgi,
			    uint8_t access, bool last)
{
	struct hw_page_request pr = {.addr = addr, .pasid = pasid, .rid = r->dev[dev].rid, .prgi = (uint16_t)prgi,
				     .access = access, .last = last};
	struct hw_iommu *hw = r->unit[dev == 2].hw;

	hw->ops->page_request(hw, &pr);
}

/* ---- the guest ---- */

/* A nesting parent in which the guest's RAM is GPA 0 upward. */
static inline struct drv_domain *parent(struct rig *r, unsigned int dev, uint32_t flags)
{
	struct drv_domain *p = paging(r, dev, flags | DRV_ALLOC_NEST_PARENT);

	OK(r, map(r, p, 0, (uint64_t)(uintptr_t)r->ram, RAM, RW));
	return p;
}

static inline uint64_t guest_page(struct rig *r)
{
	uint64_t gpa_ = r->ram_used;

	assert_true(r->ram_used + K4 <= RAM);
	r->ram_used += K4;
	return gpa_;
}

static inline uint64_t *guest_entry(struct rig *r, uint64_t table, uint64_t va, unsigned int level)
{
	return (uint64_t *)(void *)(r->ram + table) + ((va >> (12 + 9 * level)) & 511);
}

/* Stage-1, 4 levels: va -> gpa. Entry 0 takes the mapping away, without telling anyone. */
static inline void guest_map(struct rig *r, uint64_t root, uint64_t va, uint64_t entry)
{
	uint64_t table = root;
	unsigned int level;

	for (level = 3; level > 0; level--) {
		uint64_t *e = guest_entry(r, table, va, level);

		if (!(*e & 1))
			*e = guest_page(r) | 0x27;
		table = *e & ~UINT64_C(0xfff);
	}
	*guest_entry(r, table, va, 0) = entry ? entry | 0x67 : 0;
}

static inline int nested_raw(struct rig *r, unsigned int dev, struct drv_domain *p, const struct iommu_hwpt_vtd_s1 *s1,
			     struct drv_domain **d)
{
	struct drv_user_data data = {IOMMU_HWPT_DATA_VTD_S1, sizeof(*s1), (uint64_t)(uintptr_t)s1};

	return drv_vtd_ops.domain_alloc_nested(&r->dev[dev], p, 0, &data, d, &r->diag);
}

static inline struct drv_domain *nested(struct rig *r, unsigned int dev, struct drv_domain *p, uint64_t root)
{
	struct iommu_hwpt_vtd_s1 s1 = {.pgtbl_addr = root, .addr_width = 48};
	struct drv_domain *d = NULL;

	OK(r, nested_raw(r, dev, p, &s1, &d));
	return d;
}

static inline int inval_n(struct rig *r, struct drv_domain *d, struct iommu_hwpt_vtd_s1_invalidate *inv, uint32_t n,
			  uint32_t *done)
{
	struct drv_user_array a = {IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, sizeof(*inv), n, (uint64_t)(uintptr_t)inv};
	int err = d->ops->cache_invalidate_user(d, &a, &r->diag);

	*done = a.entry_num;
	return err;
}

static inline void inval(struct rig *r, struct drv_domain *d, uint64_t addr, uint64_t npages, uint32_t flags)
{
	struct iommu_hwpt_vtd_s1_invalidate inv = {.addr = addr, .npages = npages, .flags = flags};
	uint32_t done = 0;

	OK(r, inval_n(r, d, &inv, 1, &done));
	assert_int_equal(done, 1);
}

#endif
