/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the benches of both drivers are made of: the second half, for a vendor's header that has defined struct rig (mem, unit, dev,
 * fn, diag), struct rig_unit (hw, drv, rig), struct rig_fn (atc, client, on, arg, refuse, switched) and RIG_DRV, the driver's operations.
 */
#ifndef NB_TESTS_DRV_RIG_FNS_H
#define NB_TESTS_DRV_RIG_FNS_H

/* ---- functions ---- */

static inline const struct hw_client *rig_client(void *opaque, uint16_t rid)
{
	struct rig *r = ((struct rig_unit *)opaque)->rig;
	unsigned int i;

	for (i = 0; i < NDEVS; i++)
		if (r->fn[i].atc && r->dev[i].rid == rid)
			return &r->fn[i].client;
	return NULL;
}

static inline struct rig_fn *rig_fn_of(struct drv_dev *dev)
{
	struct rig *r = dev->core;

	return &r->fn[dev - r->dev];
}

static inline int rig_enable(struct drv_dev *dev, enum drv_feature what, uint32_t arg)
{
	struct rig_fn *fn = rig_fn_of(dev);

	fn->switched++;
	if (fn->refuse[what])
		return -ENODEV;
	assert_false(fn->on[what]);
	assert_false(what == DRV_FEATURE_PASID && fn->on[DRV_FEATURE_ATS]);
	fn->on[what] = true;
	fn->arg[what] = arg;
	if (what == DRV_FEATURE_ATS)
		hw_atc_enable(fn->atc, true);
	return 0;
}

static inline void rig_disable(struct drv_dev *dev, enum drv_feature what)
{
	struct rig_fn *fn = rig_fn_of(dev);

	fn->switched++;
	assert_true(fn->on[what]);
	assert_false(what == DRV_FEATURE_PASID && fn->on[DRV_FEATURE_ATS]);
	fn->on[what] = false;
	if (what == DRV_FEATURE_ATS)
		hw_atc_enable(fn->atc, false);
}

static const struct drv_fn_ops rig_fn_ops = {.enable = rig_enable, .disable = rig_disable};

/* ---- the core ---- */

static inline int attach(struct rig *r, unsigned int dev, uint32_t pasid, struct drv_domain *d)
{
	return RIG_DRV.attach(&r->dev[dev], pasid, d, &r->diag);
}

static inline void block(struct rig *r, unsigned int dev, uint32_t pasid)
{
	RIG_DRV.block(&r->dev[dev], pasid);
}

static inline struct drv_domain *identity(struct rig *r, unsigned int dev)
{
	return RIG_DRV.identity_domain(r->dev[dev].iommu);
}

static inline struct drv_domain *paging(struct rig *r, unsigned int dev, uint32_t flags)
{
	struct drv_domain *d = NULL;

	OK(r, RIG_DRV.domain_alloc_paging(&r->dev[dev], flags, &d, &r->diag));
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

/* ---- requests ---- */

/* The requester: where does it get to? */
static inline uint64_t rig_go(struct rig *r, unsigned int dev, uint32_t pasid, uint64_t addr, uint8_t access)
{
	struct hw_request req = {.addr = addr, .pasid = pasid, .rid = r->dev[dev].rid, .access = access};
	struct hw_result res;

	hw_translate(r->unit[dev == 2].hw, &req, &res);
	return res.kind == HW_OK ? res.pa.v : FAULT | res.fault.reason;
}

#define GO(r, dev, pasid, addr, want)                                                                        \
	do {                                                                                                  \
		uint64_t got_ = rig_go(r, dev, pasid, addr, HW_READ), want_ = (want);                             \
		if (got_ != want_ && !((want_) == FAULT && (got_ & FAULT)))                                   \
			fail_msg("%s:%d: device %u PASID %#x at %#lx: got %#lx, want %#lx", __FILE__, __LINE__, \
				 (unsigned int)(dev), (unsigned int)(pasid), (unsigned long)(addr),           \
				 (unsigned long)got_, (unsigned long)want_);                                  \
	} while (0)

#endif
