/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Attach and block: what is in force for a device's requests.
 *
 * Everything that can fail (checks, memory, a domain id) happens while the old attachment is in force;
 * then the old entry is taken away and the new one written, which cannot fail. Between the two the
 * device is blocked: VT-d has no way to replace one translation by another in one step.
 *
 * Teardown, 6.5.3.3: clear P; invalidate the PASID cache; then, when no new walk can start from the old entry,
 * the translations made through it; then the entry's other words may change.
 */
#include "drv/vtd/vtd.h"

#include <errno.h>

#include "base/alloc.h"
#include "drv/vtd/entries.h"
#include "uapi/iommufd.h"

static struct vtd_pasid_table *find_table(const struct vtd_dev *vdev, uint32_t pasid)
{
	uint32_t i = pasid / 64;

	return i < vdev->dir_entries ? vdev->tables[i] : NULL;
}

/* Where the attachment of a PASID (0: RID) is kept; null: it has none and no place for one. */
static struct vtd_att **find_slot(struct vtd_dev *vdev, uint32_t pasid)
{
	struct vtd_pasid_table *t;

	if (!vdev->unit->scalable)
		return pasid == 0 ? &vdev->legacy_att : NULL;
	t = find_table(vdev, pasid);
	return t ? &t->att[pasid & VTD_PASID_TABLE_INDEX] : NULL;
}

/* The same, making the table of PASID entries when it is not there. */
static struct vtd_att **make_slot(struct vtd_dev *vdev, uint32_t pasid)
{
	struct vtd_unit *u = vdev->unit;
	struct vtd_att **slot = find_slot(vdev, pasid);
	struct vtd_pasid_dir_entry *dir;
	struct vtd_pasid_table *t;

	if (slot)
		return slot;
	t = nb_zalloc(sizeof(*t));
	if (!t)
		return NULL;
	t->entries = mem_page_alloc(u->base.cfg.pool, 0, &t->pa);
	if (!t->entries) {
		nb_free(t);
		return NULL;
	}
	_Static_assert(64 * sizeof(struct vtd_pasid_entry) == 4096, "a PASID table is a page");
	dvtd_flush(u, t->entries, 4096);
	dir = &vdev->dir[pasid / 64];
	vdev->tables[pasid / 64] = t;
	__atomic_store_n(&dir->q[0].le, le64(t->pa.v | VTD_PDIR_0_P).le, __ATOMIC_RELEASE);
	dvtd_flush(u, dir, sizeof(*dir));
	return &t->att[pasid & VTD_PASID_TABLE_INDEX];
}

struct vtd_pasid_entry *dvtd_att_entry(const struct vtd_att *att)
{
	return &find_table(att->vdev, att->pasid)->entries[att->pasid & VTD_PASID_TABLE_INDEX];
}

static void ss_args(const struct vtd_domain *ss, struct vtd_ss_args *a)
{
	*a = (struct vtd_ss_args){
		.root = pt_root(&ss->pt),
		.aw = (uint8_t)(ss->pt.levels - 2),
		.dirty = ss->dirty_on,
	};
}

/* From the domains as they are now. Lock of the owner. */
static void make_pasid_entry(const struct vtd_att *att, struct vtd_pasid_entry *e)
{
	struct vtd_domain *d = att->domain, *owner = dvtd_owner(d);
	struct vtd_unit *u = att->vdev->unit;
	struct vtd_pasid_common common = { .did = att->did, .page_walk_snoop = u->walk_coherent };
	struct vtd_fs_args fs = { 0 };
	struct vtd_ss_args ss;

	switch (d->kind) {
	case VTD_FIRST_STAGE:
		common.force_snoop = d->force_snoop && (u->ecap & VTD_ECAP_SC);
		fs.root = pt_root(&d->pt).v;
		fs.levels5 = d->pt.levels == 5;
		dvtd_pasid_make_fs(e, &common, &fs, u->agaw);
		break;
	case VTD_SECOND_STAGE:
		ss_args(d, &ss);
		dvtd_pasid_make_ss(e, &common, &ss);
		break;
	case VTD_NESTED:
		common.force_snoop = owner->force_snoop;
		fs = (struct vtd_fs_args){
			.root = d->s1_root.v,
			.levels5 = d->s1_width == 57,
			.sre = d->s1_flags & IOMMU_VTD_S1_SRE,
			.wpe = d->s1_flags & IOMMU_VTD_S1_WPE,
			.eafe = d->s1_flags & IOMMU_VTD_S1_EAFE,
		};
		ss_args(owner, &ss);
		dvtd_pasid_make_nested(e, &common, &fs, &ss);
		break;
	case VTD_IDENTITY:
		dvtd_pasid_make_pass_through(e, &common, u->agaw);
		break;
	}
}

static void make_context_entry(const struct vtd_att *att, struct vtd_ctx_entry *e)
{
	struct vtd_ss_args ss;

	if (att->domain->kind == VTD_IDENTITY) {
		dvtd_ctx_make_pass_through(e, att->did, att->vdev->unit->agaw);
	} else {
		ss_args(att->domain, &ss);
		dvtd_ctx_make_ss(e, att->did, &ss, att->devtlb);
	}
}

/* ---- setup ---- */

/*
 * An entry appeared. With CM the unit may have cached that there was none: under the DID that
 * we now use, or under 0.
 */
static void entry_appeared(const struct vtd_att *att)
{
	struct vtd_unit *u = att->vdev->unit;

	if (!(u->cap & VTD_CAP_CM)) {
		dvtd_flush_write_buffer(u);
		return;
	}
	dvtd_queue_begin(u);
	if (u->scalable) {
		dvtd_queue_push(u, dvtd_desc_pasid_cache(VTD_INV_PC_PASID, att->did, att->pasid));
		dvtd_queue_push(u, dvtd_desc_pasid_cache(VTD_INV_PC_PASID, 0, att->pasid));
	} else {
		dvtd_queue_push(u, dvtd_desc_context(VTD_INV_CC_DEVICE, att->did, att->vdev->dev->rid));
		dvtd_queue_push(u, dvtd_desc_context(VTD_INV_CC_DEVICE, 0, att->vdev->dev->rid));
	}
	dvtd_queue_end(u);
	dvtd_queue_begin(u);
	if (u->scalable)
		dvtd_queue_push(u, dvtd_desc_piotlb(VTD_INV_PIOTLB_PASID, att->did, att->pasid, 0, 0, false));
	dvtd_queue_push(u, dvtd_desc_iotlb(u, VTD_INV_IOTLB_DOMAIN, att->did, 0, 0, false));
	dvtd_queue_push(u, dvtd_desc_iotlb(u, VTD_INV_IOTLB_DOMAIN, 0, 0, 0, false));
	dvtd_queue_end(u);
}

static void setup(struct vtd_att *att)
{
	struct vtd_unit *u = att->vdev->unit;
	struct vtd_domain *owner = dvtd_owner(att->domain);

	/*
	 * The owner's flags may change beside us; whoever changes them finds this attachment in the
	 * list or is seen here.
	 */
	pthread_mutex_lock(&owner->lock);
	nb_list_add_tail(&owner->atts, &att->link);
	if (u->scalable) {
		struct vtd_pasid_entry e, *live = dvtd_att_entry(att);

		make_pasid_entry(att, &e);
		dvtd_pasid_publish(live, &e);
		dvtd_flush(u, live, sizeof(*live));
	} else {
		struct vtd_ctx_entry e, *live = dvtd_context(att->vdev);

		make_context_entry(att, &e);
		dvtd_ctx_publish(live, &e);
		dvtd_flush(u, live, sizeof(*live));
	}
	pthread_mutex_unlock(&owner->lock);
	entry_appeared(att);
}

/* ---- teardown ---- */

static void invalidate_entry(const struct vtd_att *att)
{
	struct vtd_unit *u = att->vdev->unit;
	uint16_t rid = att->vdev->dev->rid;

	dvtd_queue_begin(u);
	if (u->scalable)
		dvtd_queue_push(u, dvtd_desc_pasid_cache(VTD_INV_PC_PASID, att->did, att->pasid));
	else
		dvtd_queue_push(u, dvtd_desc_context(VTD_INV_CC_DEVICE, att->did, rid));
	dvtd_queue_end(u);
	/*
	 * Its own submission: a walk that started from the old entry must not fill the IOTLB behind
	 * the next ones.
	 */
	dvtd_queue_begin(u);
	if (u->scalable && (att->domain->kind == VTD_FIRST_STAGE || att->domain->kind == VTD_IDENTITY))
		dvtd_queue_push(u, dvtd_desc_piotlb(VTD_INV_PIOTLB_PASID, att->did, att->pasid, 0, 0, false));
	else
		dvtd_queue_push(u, dvtd_desc_iotlb(u, VTD_INV_IOTLB_DOMAIN, att->did, 0, 0, false));
	if (att->devtlb) /* behind the IOTLB's, from which the device could be answered again */
		dvtd_push_devtlb(u, rid, att->pasid, 0, 52);
	dvtd_queue_end(u);
}

static void teardown(struct vtd_att **slot)
{
	struct vtd_att *att = *slot;
	struct vtd_unit *u;
	struct vtd_domain *owner;
	bool asks;

	if (!att)
		return;
	u = att->vdev->unit;
	owner = dvtd_owner(att->domain);
	pthread_mutex_lock(&owner->lock);
	nb_list_del(&att->link); /* from here on nobody changes the live entry but us */
	if (u->scalable)
		dvtd_pasid_unpublish(dvtd_att_entry(att));
	else
		dvtd_ctx_unpublish(dvtd_context(att->vdev));
	pthread_mutex_unlock(&owner->lock);
	if (u->scalable) {
		struct vtd_pasid_entry *live = dvtd_att_entry(att);

		dvtd_flush(u, live, sizeof(*live));
		invalidate_entry(att);
		dvtd_pasid_zero(live);
		dvtd_flush(u, live, sizeof(*live));
	} else {
		struct vtd_ctx_entry *live = dvtd_context(att->vdev);

		dvtd_flush(u, live, sizeof(*live));
		invalidate_entry(att);
		dvtd_ctx_zero(live);
		dvtd_flush(u, live, sizeof(*live));
	}
	if (!u->scalable)
		dvtd_ats_off(att->vdev);
	dvtd_tags_del(att);
	dvtd_did_put(att->domain, u);
	*slot = NULL;
	asks = att->vdev->pri_users > 0;
	if (att->iopf)
		dvtd_pri_put(att->vdev); /* first: the last one stops the function asking */
	if (asks)
		dvtd_prq_drain(att->vdev, att->did, att->pasid);
	nb_free(att);
}

/* ---- the seam ---- */

static int check(const struct drv_dev *dev, uint32_t pasid, const struct vtd_domain *d, struct nb_diag *diag)
{
	const struct vtd_dev *vdev = dev->priv;
	const struct vtd_unit *u = vdev->unit;

	if (atomic_load(&u->base.dead))
		return nb_fail(diag, -EIO, "the unit of function %04x does not answer any more", dev->rid);
	if (pasid != NB_NO_PASID) {
		if (!u->scalable || dev->max_pasids == 0)
			return nb_fail(diag, -EOPNOTSUPP, "function %04x has no PASIDs behind this unit", dev->rid);
		if (pasid == 0 || pasid >= dev->max_pasids)
			return nb_fail(diag, -EINVAL, "PASID %u is outside 1..%u of function %04x", pasid,
				       dev->max_pasids - 1, dev->rid);
	}
	switch (d->kind) {
	case VTD_FIRST_STAGE:
	case VTD_SECOND_STAGE:
		return dvtd_paging_compatible(d, u, diag);
	case VTD_NESTED:
		return dvtd_nested_compatible(d, u, diag);
	case VTD_IDENTITY:
		if (!(u->ecap & VTD_ECAP_PT))
			return nb_fail(diag, -EINVAL, "the unit of function %04x has no pass-through", dev->rid);
		break;
	}
	return 0;
}

int dvtd_attach(struct drv_dev *dev, uint32_t pasid, struct drv_domain *domain, struct nb_diag *diag)
{
	struct vtd_dev *vdev = dev->priv;
	struct vtd_domain *d = dvtd_domain(domain);
	struct vtd_att **slot, *att;
	int err = check(dev, pasid, d, diag);

	if (err)
		return err;
	att = nb_zalloc(sizeof(*att));
	if (!att)
		return nb_fail(diag, -ENOMEM, "no memory to attach function %04x", dev->rid);
	att->vdev = vdev;
	att->domain = d;
	att->pasid = pasid == NB_NO_PASID ? 0 : pasid;
	/* Legacy pass-through takes no translation requests. */
	att->devtlb = vdev->ats && (vdev->unit->scalable || d->kind != VTD_IDENTITY);
	slot = make_slot(vdev, att->pasid);
	if (!slot) {
		err = nb_fail(diag, -ENOMEM, "no memory for a PASID table of function %04x", dev->rid);
		goto out_free;
	}
	err = dvtd_did_get(d, vdev->unit, &att->did);
	if (err) {
		nb_fail(diag, err, err == -ENOSPC ? "the unit has no domain id left (CAP.ND)" : "no memory");
		goto out_free;
	}
	err = dvtd_tags_add(att);
	if (err) {
		nb_fail(diag, err, "no memory for the cache tags of function %04x", dev->rid);
		goto out_put_did;
	}
	if (domain->iopf) {
		err = dvtd_pri_get(vdev);
		if (err) {
			nb_fail(diag, err, "function %04x or its unit has no page requests, or its ATS is off", dev->rid);
			goto out_del_tags;
		}
		att->iopf = true;
	}
	teardown(slot);
	if (!vdev->unit->scalable && att->devtlb && !dvtd_ats_on(vdev)) {
		dvtd_tags_del_devtlb(att);
		att->devtlb = false;
	}
	*slot = att;
	setup(att);
	NB_TRACE(vdev->unit->base.cfg.tr, drv_attach, dev->rid, pasid, domain->type, domain->id);
	return 0;
out_del_tags:
	dvtd_tags_del(att);
out_put_did:
	dvtd_did_put(d, vdev->unit);
out_free:
	nb_free(att);
	return err;
}

void dvtd_block(struct drv_dev *dev, uint32_t pasid)
{
	struct vtd_dev *vdev = dev->priv;
	struct vtd_att **slot = find_slot(vdev, pasid == NB_NO_PASID ? 0 : pasid);

	if (!slot || !*slot)
		return;
	teardown(slot);
	NB_TRACE(vdev->unit->base.cfg.tr, drv_block, dev->rid, pasid);
}
