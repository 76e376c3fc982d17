/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a function does itself: PASID and ATS (PCI Express 5.0, chapter 10; IHI 0070 3.9).
 *
 * PASID is switched on when the function is probed, ATS around the attachments that can use it: on after the STE allows it, off before
 * the STE forbids it (3.9.2). A function whose fn_ops is null is told nothing and taken to have on what the owner says it has.
 *
 * A device that does not answer ATC invalidations is cut off: what its cache holds can no longer be taken back, so its STE allows
 * no ATS any more, which with CR0.ATSCHK refuses its translated requests, for as long as the function is probed.
 */
#include "drv/smmuv3/smmu.h"

#include <errno.h>

#define STU_LG2 12

static int enable(struct dsmmu_dev *sdev, enum drv_feature what, uint32_t arg)
{
	const struct drv_fn_ops *ops = sdev->dev->fn_ops;

	return ops && ops->enable ? ops->enable(sdev->dev, what, arg) : 0;
}

static void disable(struct dsmmu_dev *sdev, enum drv_feature what)
{
	const struct drv_fn_ops *ops = sdev->dev->fn_ops;

	if (ops && ops->disable)
		ops->disable(sdev->dev, what);
}

void dsmmu_features_find(struct dsmmu_dev *sdev)
{
	struct dsmmu *u = sdev->unit;
	struct drv_dev *dev = sdev->dev;
	uint32_t unit_pasids = u->s1 && u->ssid_bits ? 1u << u->ssid_bits : 0;

	if (dev->max_pasids > unit_pasids)
		dev->max_pasids = unit_pasids;
	if (dev->max_pasids < 2) /* SubstreamID 0 is that of requests without */
		dev->max_pasids = 0;
	sdev->pasid_on = dev->max_pasids && enable(sdev, DRV_FEATURE_PASID, 0) == 0;
	if (!sdev->pasid_on)
		dev->max_pasids = 0;
	sdev->ssid_bits = dev->max_pasids ? (uint8_t)nb_ilog2(dev->max_pasids) : 0;
	if (dev->max_pasids && dev->max_pasids > 1u << sdev->ssid_bits)
		dev->max_pasids = 1u << sdev->ssid_bits;
	sdev->ats = dev->ats && u->ats;
	sdev->stall = u->stall_always || (u->stall && dev->stall);
	if (u->ats_off) /* whoever was cut off here before is another function, or was reset */
		atomic_fetch_and(&u->ats_off[dev->rid / 64], ~BIT(dev->rid & 63));
}

void dsmmu_features_off(struct dsmmu_dev *sdev)
{
	dsmmu_ats_disable(sdev);
	if (sdev->pasid_on)
		disable(sdev, DRV_FEATURE_PASID);
}

int dsmmu_ats_enable(struct dsmmu_dev *sdev)
{
	if (enable(sdev, DRV_FEATURE_ATS, STU_LG2))
		return -ENODEV;
	sdev->ats_on = true;
	return 0;
}

void dsmmu_ats_disable(struct dsmmu_dev *sdev)
{
	if (sdev->ats_on)
		disable(sdev, DRV_FEATURE_ATS);
	sdev->ats_on = false;
}

/* ---- functions that do not answer ---- */

bool dsmmu_ats_is_off(const struct dsmmu *u, uint16_t sid)
{
	return u->ats_off && (atomic_load_explicit(&u->ats_off[sid / 64], memory_order_relaxed) & BIT(sid & 63));
}

void dsmmu_ats_mark_off(struct dsmmu *u, uint16_t sid)
{
	if (u->ats_off)
		atomic_fetch_or(&u->ats_off[sid / 64], BIT(sid & 63));
}

/* Whoever makes an STE under the lock looks at the marks, so after this none allows ATS that should not. */
void dsmmu_ats_cut_off(struct dsmmu *u)
{
	uint32_t i;

	pthread_mutex_lock(&u->lock);
	for (i = 0; u->ats_off && i < 65536 / 64; i++) {
		uint64_t off = atomic_load(&u->ats_off[i]);

		for (; off; off &= off - 1) {
			uint16_t sid = (uint16_t)(i * 64 + (unsigned int)__builtin_ctzll(off));
			le64_t *live = dsmmu_ste(u, sid);
			struct dsmmu_entry e;
			unsigned int k;

			if (!live || !(cpu64(live[1]) & SMMU_STE_1_EATS))
				continue;
			for (k = 0; k < DSMMU_ENTRY_WORDS; k++)
				e.q[k] = cpu64(live[k]);
			e.q[1] &= ~SMMU_STE_1_EATS;
			dsmmu_ste_write(u, sid, live, &e);
		}
	}
	pthread_mutex_unlock(&u->lock);
}
