/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bench for the VT-d driver: the driver, the real hardware model, memory, and a requester. No part
 * is a mock: driver and model meet at registers, tables and interrupt messages only.
 *
 * Domains map to made-up host addresses: translations are asked for, not performed.
 */
#ifndef NB_TESTS_DRV_RIG_H
#define NB_TESTS_DRV_RIG_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/trace.h"
#include "drv/drv.h"
#include "hw/vtd/vtd.h"
#include "uapi/iommufd.h"

#define K4 UINT64_C(0x1000)
#define M2 UINT64_C(0x200000)
#define G1 UINT64_C(0x40000000)
#define RW (PT_READ | PT_WRITE)

#define NUNITS 2
#define NDEVS  3		/* 0 and 1 behind unit 0, 2 behind unit 1 */
#define RAM    (512 * K4)	/* the guest's, for its tables; GPA 0 upward */
#define FAULT  BIT(63)		/* go(): refused, the reason in the low bits */

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
	struct mem_pool *pool;
	struct nb_trace *tr;
	struct rig_unit {
		struct vtd_caps caps;
		struct hw_iommu *hw;
		struct drv_iommu *drv;
		struct rig *rig;
		unsigned int wbf;	/* write-buffer flushes asked for */
		bool deaf;		/* the tail register is not heard */
		bool corrupt;		/* the next descriptor is spoilt before the unit reads it */
	} unit[NUNITS];
	struct drv_dev dev[NDEVS];
	uint8_t *ram;
	uint64_t ram_used;
	struct nb_diag diag;
};

#define SPLIT_PA  UINT64_C(0x10000000)
#define SPLIT_LEN (UINT64_C(1) << 20)

static inline uint64_t rig_mmio_read(void *opaque, uint64_t off, unsigned int size)
{
	struct rig_unit *u = opaque;

	return u->hw->ops->mmio_read(u->hw, off, size);
}

static inline void rig_flush(void *opaque, const void *p, size_t len)
{
	struct rig *r = opaque;
	size_t off = (size_t)((const uint8_t *)p - r->cpu_side);

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

		*(uint64_t *)(uintptr_t)(ring + rig_mmio_read(u, 0x80, 8)) = 0xf; /* no such type */
		u->corrupt = false;
	}
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
	if (u->drv)
		drv_vtd_ops.irq(u->drv, data);
}

#define OK(r, call)                                                                                          \
	do {                                                                                                  \
		int err_ = (call);                                                                            \
		if (err_)                                                                                     \
			fail_msg("%s:%d: %s: %s (%s)", __FILE__, __LINE__, #call, strerror(-err_), (r)->diag.msg); \
	} while (0)

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
	u->hw->msi = rig_msi;
	u->hw->msi_opaque = u;
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

static inline void rig_down(struct rig *r)
{
	unsigned int i;

	for (i = 0; i < NDEVS; i++)
		drv_vtd_ops.release_device(&r->dev[i]);
	for (i = 0; i < NUNITS; i++) {
		drv_vtd_ops.remove(r->unit[i].drv);
		r->unit[i].hw->ops->destroy(r->unit[i].hw);
	}
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

static inline int attach(struct rig *r, unsigned int dev, uint32_t pasid, struct drv_domain *d)
{
	return drv_vtd_ops.attach(&r->dev[dev], pasid, d, &r->diag);
}

static inline void block(struct rig *r, unsigned int dev, uint32_t pasid)
{
	drv_vtd_ops.block(&r->dev[dev], pasid);
}

static inline struct drv_domain *identity(struct rig *r, unsigned int dev)
{
	return drv_vtd_ops.identity_domain(r->dev[dev].iommu);
}

static inline struct drv_domain *paging(struct rig *r, unsigned int dev, uint32_t flags)
{
	struct drv_domain *d = NULL;

	OK(r, drv_vtd_ops.domain_alloc_paging(&r->dev[dev], flags, &d, &r->diag));
	return d;
}

static inline int map(struct rig *r, struct drv_domain *d, uint64_t ia, uint64_t pa, uint64_t len, unsigned int prot)
{
	return d->ops->map(d, ia, hpa(pa), len, prot, &r->diag);
}

static inline void unmap(struct rig *r, struct drv_domain *d, uint64_t ia, uint64_t len)
{
	struct drv_gather g = {0};

	OK(r, d->ops->unmap(d, ia, len, &g));
	d->ops->iotlb_sync(d, &g);
	assert_null(g.pages.pages);
}

/* The requester: where does it get to? */
static inline uint64_t go(struct rig *r, unsigned int dev, uint32_t pasid, uint64_t addr, uint8_t access)
{
	struct hw_request req = {.addr = addr, .pasid = pasid, .rid = r->dev[dev].rid, .access = access};
	struct hw_result res;

	hw_translate(r->unit[dev == 2].hw, &req, &res);
	return res.kind == HW_OK ? res.pa.v : FAULT | res.fault.reason;
}

#define GO(r, dev, pasid, addr, want)                                                                        \
	do {                                                                                                  \
		uint64_t got_ = go(r, dev, pasid, addr, HW_READ), want_ = (want);                             \
		if (got_ != want_ && !((want_) == FAULT && (got_ & FAULT)))                                   \
			fail_msg("%s:%d: device %u PASID %#x at %#lx: got %#lx, want %#lx", __FILE__, __LINE__, \
				 (unsigned int)(dev), (unsigned int)(pasid), (unsigned long)(addr),           \
				 (unsigned long)got_, (unsigned long)want_);                                  \
	} while (0)

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
