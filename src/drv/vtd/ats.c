/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a function does itself: PASID, ATS, page requests (PCI Express 5.0, chapter 10; VT-d 4.1 and 4.2).
 *
 * Switched on as Linux does: in scalable mode PASID and ATS when the function has been probed, its context entry with DTE
 * and PASIDE before; in legacy mode ATS around each attachment with TT = 01. Page requests come on with the first
 * attachment that wants them. A function whose fn_ops is null is told nothing and taken to have on what the owner says it has.
 *
 * A device that does not answer invalidations is cut off: what its TLB holds can no longer be taken back, so the unit is made to
 * refuse its translated requests, for as long as the function is probed. Its other requests go on.
 */
#include "drv/vtd/vtd.h"

#include <errno.h>

/* Smallest translation unit: a page of 4 KiB. */
#define STU_LG2 12

static int enable(struct vtd_dev *vdev, enum drv_feature what, uint32_t arg)
{
	const struct drv_fn_ops *ops = vdev->dev->fn_ops;

	return ops && ops->enable ? ops->enable(vdev->dev, what, arg) : 0;
}

static void disable(struct vtd_dev *vdev, enum drv_feature what)
{
	const struct drv_fn_ops *ops = vdev->dev->fn_ops;

	if (ops && ops->disable)
		ops->disable(vdev->dev, what);
}

void dvtd_features_find(struct vtd_dev *vdev)
{
	struct vtd_unit *u = vdev->unit;
	uint16_t rid = vdev->dev->rid;

	vdev->pasid = u->scalable && vdev->dev->max_pasids > 0;
	vdev->ats = vdev->dev->ats && (u->ecap & VTD_ECAP_DT);
	vdev->pri = vdev->ats && vdev->dev->pri && u->prq.ring && vdev->dev->report_fault;
	if (u->ats_off) /* whoever was cut off here before is another function, or was reset */
		atomic_fetch_and(&u->ats_off[rid / 64], ~BIT(rid & 63));
}

int dvtd_features_on(struct vtd_dev *vdev)
{
	bool lost = false;

	if (!vdev->unit->scalable)
		return 0;
	/* PCI Express: PASID may not change while ATS is on. */
	if (vdev->pasid && enable(vdev, DRV_FEATURE_PASID, 0)) {
		vdev->pasid = false;
		vdev->dev->max_pasids = 0;
		lost = true;
	}
	if (vdev->ats && enable(vdev, DRV_FEATURE_ATS, STU_LG2)) {
		vdev->ats = vdev->pri = false;
		lost = true;
	}
	return lost ? -ENODEV : 0;
}

void dvtd_features_off(struct vtd_dev *vdev)
{
	if (!vdev->unit->scalable)
		return;
	if (vdev->ats)
		disable(vdev, DRV_FEATURE_ATS);
	if (vdev->pasid)
		disable(vdev, DRV_FEATURE_PASID);
}

bool dvtd_ats_on(struct vtd_dev *vdev)
{
	vdev->ats_told = enable(vdev, DRV_FEATURE_ATS, STU_LG2) == 0;
	return vdev->ats_told;
}

void dvtd_ats_off(struct vtd_dev *vdev)
{
	if (vdev->ats_told)
		disable(vdev, DRV_FEATURE_ATS);
	vdev->ats_told = false;
}

int dvtd_pri_get(struct vtd_dev *vdev)
{
	if (!vdev->pri)
		return -ENODEV;
	if (vdev->pri_users == 0 && enable(vdev, DRV_FEATURE_PRI, VTD_PRI_OUTSTANDING))
		return -ENODEV;
	vdev->pri_users++;
	return 0;
}

void dvtd_pri_put(struct vtd_dev *vdev)
{
	assert(vdev->pri_users > 0);
	if (--vdev->pri_users == 0)
		disable(vdev, DRV_FEATURE_PRI);
}

/* ---- functions that do not answer ---- */

bool dvtd_ats_is_cut_off(const struct vtd_unit *u, uint16_t rid)
{
	return u->ats_off && (atomic_load_explicit(&u->ats_off[rid / 64], memory_order_relaxed) & BIT(rid & 63));
}

/*
 * In one store: PRE without DTE is no valid entry, and TT = 01 becomes 00 by its one bit. The entry may be written beside us only
 * by probe and release, which write what has no device-TLB or takes this one's place.
 */
void dvtd_ats_cut_off(struct vtd_unit *u, uint16_t rid)
{
	le64_t *word = dvtd_context_word(u, rid);
	uint64_t bits = u->scalable ? VTD_SCTX_0_DTE | VTD_SCTX_0_PRE : FIELD_C(VTD_CTX_0_TT, VTD_TT_DEVICE_TLB);

	if (u->ats_off)
		atomic_fetch_or(&u->ats_off[rid / 64], BIT(rid & 63));
	if (!word)
		return;
	__atomic_fetch_and(&word->le, ~le64(bits).le, __ATOMIC_ACQ_REL);
	dvtd_flush(u, word, sizeof(*word));
}
