/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Attach and block: what is in force for a device's requests.
 *
 * The STE is a function of the device's state: what is attached to requests without PASID, whether PASIDs are attached, whether ATS
 * is on. Everything that can fail happens while the old attachment is in force; then CD and STE are written, which cannot. The CD
 * comes before an STE that leads to it and goes after one that does not any more.
 *
 * With PASIDs attached the STE is one of stage 1 whatever the requests without do: S1DSS has them go through CD 0, pass, or end.
 *
 * ATS (3.9.2): off at the function before the STE forbids it; on at the function after the STE allows it.
 */
#include "drv/smmuv3/smmu.h"

#include <errno.h>

#include "base/alloc.h"

/* Whose list an attachment is in: that of the domain whose table the host writes. */
static struct dsmmu_domain *owner_of(struct dsmmu_domain *d)
{
	return d->kind == DSMMU_NESTED ? dsmmu_parent(d) : d;
}

static struct dsmmu_att **pasid_slot(struct dsmmu_dev *sdev, uint32_t pasid, bool make)
{
	struct dsmmu_cds *c = dsmmu_cds(sdev, pasid, make);

	if (!c)
		return NULL;
	return &c->att[sdev->two_level ? pasid & ((1u << DSMMU_CD_SPLIT) - 1) : pasid];
}

/* ---- entries ---- */

static bool wants_ats(const struct dsmmu_dev *sdev, const struct dsmmu_att *rid, uint32_t pasids)
{
	if (!sdev->ats || dsmmu_ats_is_off(sdev->unit, sdev->dev->rid))
		return false;
	return pasids || (rid && rid->atc);
}

static void s1_args(const struct dsmmu_dev *sdev, uint8_t dss, struct dsmmu_s1_args *s1)
{
	*s1 = (struct dsmmu_s1_args){
		.cdtab = sdev->cdtab_pa,
		.fmt = sdev->two_level ? SMMU_S1FMT_64K : SMMU_S1FMT_LINEAR,
		.cdmax = sdev->ssid_bits,
		.dss = dss,
		.el2 = sdev->unit->e2h,
		.no_stall = sdev->unit->stall && !sdev->stall,
	};
}

static void make_nested(const struct dsmmu_dev *sdev, const struct dsmmu_ste_common *common, struct dsmmu_entry *e)
{
	const struct dsmmu_domain *d = sdev->rid->domain;
	struct dsmmu_s2_args s2;

	dsmmu_s2_args(dsmmu_parent(d), sdev->rid->id, sdev->stall, &s2);
	switch (dsmmu_vste_config(d)) {
	case SMMU_STE_CONFIG_S1:
		dsmmu_ste_make_nested(e, common, &s2, d->vste);
		break;
	case SMMU_STE_CONFIG_BYPASS:
		dsmmu_ste_make_s2(e, common, &s2);
		break;
	default:
		dsmmu_ste_make_abort(e);
		break;
	}
}

static void make_ste(const struct dsmmu_dev *sdev, bool ats, struct dsmmu_entry *e)
{
	const struct dsmmu_ste_common common = { .ats = ats, .shcfg = sdev->unit->shcfg };
	const struct dsmmu_att *rid = sdev->rid;
	struct dsmmu_s1_args s1;
	struct dsmmu_s2_args s2;

	if (rid && rid->domain->kind == DSMMU_S2) {
		dsmmu_s2_args(rid->domain, rid->id, sdev->stall, &s2);
		dsmmu_ste_make_s2(e, &common, &s2);
	} else if (rid && rid->domain->kind == DSMMU_NESTED) {
		make_nested(sdev, &common, e);
	} else if (sdev->pasids || (rid && rid->domain->kind == DSMMU_S1)) {
		s1_args(sdev, !rid ? SMMU_S1DSS_TERMINATE : rid->domain->kind == DSMMU_S1 ? SMMU_S1DSS_SSID0 : SMMU_S1DSS_BYPASS,
			&s1);
		dsmmu_ste_make_s1(e, &common, &s1);
	} else if (rid) {
		dsmmu_ste_make_bypass(e, &common);
	} else {
		dsmmu_ste_make_abort(e);
	}
}

/* Under the lock that a cut-off takes, too, so that it is either seen here or comes after us. */
static void write_ste(struct dsmmu_dev *sdev)
{
	struct dsmmu *u = sdev->unit;
	struct dsmmu_entry e;

	pthread_mutex_lock(&u->lock);
	make_ste(sdev, wants_ats(sdev, sdev->rid, sdev->pasids), &e);
	dsmmu_ste_write(u, sdev->dev->rid, sdev->ste, &e);
	pthread_mutex_unlock(&u->lock);
}

static void write_cd(const struct dsmmu_att *att)
{
	struct dsmmu_cd_args a;
	struct dsmmu_entry e;

	dsmmu_cd_args(att->domain, att->id, att->sdev->stall, &a);
	dsmmu_cd_make_s1(&e, &a);
	dsmmu_cd_write(att->sdev, att->pasid == NB_NO_PASID ? 0 : att->pasid, &e);
}

static void clear_cd(struct dsmmu_dev *sdev, uint32_t ssid)
{
	const struct dsmmu_entry none = { { 0 } };

	dsmmu_cd_write(sdev, ssid, &none);
}

/* ---- from one attachment to the next ---- */

static struct dsmmu_viommu *viommu_of(const struct dsmmu_att *att)
{
	return att && att->domain->kind == DSMMU_NESTED ? att->domain->viommu : NULL;
}

/* Nothing leads to the attachment any more, and the unit has been told. */
static void drop(struct dsmmu_att *att)
{
	struct dsmmu_domain *d = att->domain, *owner = owner_of(d);

	pthread_mutex_lock(&owner->lock);
	nb_list_del(&att->link);
	pthread_mutex_unlock(&owner->lock);
	dsmmu_tags_del(att);
	if (d->kind == DSMMU_S1 || d->kind == DSMMU_S2)
		dsmmu_id_put(d, att->sdev->unit);
	nb_free(att);
}

static void change_rid(struct dsmmu_dev *sdev, struct dsmmu_att *att)
{
	struct dsmmu_att *old = sdev->rid;
	bool was_s1 = old && old->domain->kind == DSMMU_S1;
	struct dsmmu_viommu *from = viommu_of(old), *to = viommu_of(att);

	/* Events from before are not the next guest's. */
	if (from && from != to)
		dsmmu_evt_route(sdev, NULL, 0);
	if (att && att->domain->kind == DSMMU_S1)
		write_cd(att);
	sdev->rid = att;
	write_ste(sdev);
	if (was_s1 && !(att && att->domain->kind == DSMMU_S1))
		clear_cd(sdev, 0);
	if (to && from != to)
		dsmmu_evt_drain(sdev->unit);
	/* Each time: QEMU attaches a bypass STE before it makes the vDEVICE. */
	if (to)
		dsmmu_viommu_route(to, sdev);
}

static void change_pasid(struct dsmmu_dev *sdev, uint32_t pasid, struct dsmmu_att **slot, struct dsmmu_att *att)
{
	if (att) {
		write_cd(att);
		sdev->pasids += *slot ? 0 : 1;
	} else {
		clear_cd(sdev, pasid);
		sdev->pasids--;
	}
	*slot = att;
	write_ste(sdev);
}

static void flush_atc(struct dsmmu_dev *sdev, uint32_t pasid)
{
	dsmmu_queue_begin(sdev->unit);
	dsmmu_push_atc(sdev->unit, sdev->dev->rid, pasid, 0, SMMU_ATC_SIZE_ALL);
	dsmmu_queue_end(sdev->unit);
}

/* att null: block. */
static void change(struct dsmmu_dev *sdev, uint32_t pasid, struct dsmmu_att **slot, struct dsmmu_att *att)
{
	const bool rid = pasid == NB_NO_PASID;
	struct dsmmu_att *old = *slot;
	uint32_t pasids = rid ? sdev->pasids : sdev->pasids - (old ? 1 : 0) + (att ? 1 : 0);
	bool ats = wants_ats(sdev, rid ? att : sdev->rid, pasids), was_on = sdev->ats_on;

	if (was_on && !ats)
		dsmmu_ats_disable(sdev);
	if (rid)
		change_rid(sdev, att);
	else
		change_pasid(sdev, pasid, slot, att);
	if (was_on) /* also when it is off now: nothing may be left for when it is on again */
		flush_atc(sdev, pasid);
	if (ats && !was_on) {
		flush_atc(sdev, pasid);
		if (dsmmu_ats_enable(sdev)) { /* the function is worse than its owner thought */
			sdev->ats = false;
			write_ste(sdev);
		}
	}
	if (old)
		drop(old);
	if (old && sdev->stall)
		dsmmu_evt_drain(sdev->unit);
}

/* ---- the seam ---- */

static int check(const struct dsmmu_dev *sdev, uint32_t pasid, const struct dsmmu_domain *d, struct nb_diag *diag)
{
	const struct drv_dev *dev = sdev->dev;
	const struct dsmmu *u = sdev->unit;
	int err = 0;

	if (atomic_load(&u->base.dead))
		return nb_fail(diag, -EIO, "the SMMU of function %04x does not answer any more", dev->rid);
	if (pasid != NB_NO_PASID) {
		if (dev->max_pasids == 0)
			return nb_fail(diag, -EOPNOTSUPP, "function %04x has no PASIDs behind this SMMU", dev->rid);
		if (pasid == 0 || pasid >= dev->max_pasids)
			return nb_fail(diag, -EINVAL, "PASID %u is outside 1..%u of function %04x", pasid, dev->max_pasids - 1,
				       dev->rid);
		if (d->kind != DSMMU_S1)
			return nb_fail(diag, d->kind == DSMMU_S2 ? -EINVAL : -EOPNOTSUPP,
				       "only a stage 1 of the host can be attached to a PASID");
		if (sdev->rid && (sdev->rid->domain->kind == DSMMU_S2 || sdev->rid->domain->kind == DSMMU_NESTED))
			return nb_fail(diag, -EINVAL, "function %04x is attached to a stage 2, or its PASIDs are a guest's",
				       dev->rid);
	}
	/* In Linux's order: the unit, then PASIDs of the host, then the vDEVICE. */
	switch (d->kind) {
	case DSMMU_S1:
		return dsmmu_paging_compatible(d, u, sdev, diag);
	case DSMMU_S2:
		err = dsmmu_paging_compatible(d, u, sdev, diag);
		break;
	case DSMMU_NESTED:
		err = dsmmu_nested_unit(d, sdev, diag);
		break;
	case DSMMU_IDENTITY:
		return 0;
	}
	if (!err && sdev->pasids)
		err = nb_fail(diag, -EBUSY, "function %04x has PASIDs attached", dev->rid);
	if (!err && d->kind == DSMMU_NESTED)
		err = dsmmu_nested_named(d, sdev, diag);
	return err;
}

/* May the device have translations of this domain in its ATC? */
static bool caches(const struct dsmmu_dev *sdev, const struct dsmmu_domain *d)
{
	if (!sdev->ats)
		return false;
	switch (d->kind) {
	case DSMMU_S1:
		return true;
	case DSMMU_S2: /* a stage 2 that stalls does not go with ATS (5.2, S2S) */
		return !sdev->stall;
	case DSMMU_NESTED:
		if (dsmmu_vste_config(d) == SMMU_STE_CONFIG_S1)
			return !sdev->stall && FIELD_GET(SMMU_STE_1_EATS, d->vste[1]) == SMMU_EATS_FULL;
		return !sdev->stall;
	case DSMMU_IDENTITY:
		break;
	}
	return false;
}

int dsmmu_attach(struct drv_dev *dev, uint32_t pasid, struct drv_domain *domain, struct nb_diag *diag)
{
	struct dsmmu_dev *sdev = dev->priv;
	struct dsmmu_domain *d = dsmmu_domain(domain), *owner = owner_of(d);
	struct dsmmu_att *att, **slot = &sdev->rid;
	int err = check(sdev, pasid, d, diag);

	if (err)
		return err;
	att = nb_zalloc(sizeof(*att));
	if (!att)
		return nb_fail(diag, -ENOMEM, "no memory to attach function %04x", dev->rid);
	att->sdev = sdev;
	att->domain = d;
	att->pasid = pasid;
	att->atc = caches(sdev, d);
	if (pasid != NB_NO_PASID)
		slot = pasid_slot(sdev, pasid, true);
	if (!slot || (d->kind == DSMMU_S1 && !dsmmu_cds(sdev, 0, true))) {
		err = nb_fail(diag, -ENOMEM, "no memory for the CD table of function %04x", dev->rid);
		goto out_free;
	}
	if (d->kind == DSMMU_NESTED) {
		att->id = d->viommu->vmid;
	} else if (d->kind != DSMMU_IDENTITY) {
		err = dsmmu_id_get(d, sdev->unit, &att->id);
		if (err) {
			nb_fail(diag, err, err == -ENOSPC ? "the SMMU has no ASID or VMID left" : "no memory");
			goto out_free;
		}
	}
	err = dsmmu_tags_add(att);
	if (err) {
		nb_fail(diag, err, "no memory for the cache tags of function %04x", dev->rid);
		goto out_put_id;
	}
	pthread_mutex_lock(&owner->lock);
	if (owner->snoop_only && !dev->always_snoops)
		err = -EINVAL;
	else
		nb_list_add_tail(&owner->atts, &att->link);
	pthread_mutex_unlock(&owner->lock);
	if (err) {
		nb_fail(diag, err, "the domain enforces snooping, function %04x does not always", dev->rid);
		goto out_del_tags;
	}
	change(sdev, pasid, slot, att);
	NB_TRACE(sdev->unit->base.cfg.tr, drv_attach, dev->rid, pasid, domain->type, domain->id);
	return 0;
out_del_tags:
	dsmmu_tags_del(att);
out_put_id:
	if (d->kind == DSMMU_S1 || d->kind == DSMMU_S2)
		dsmmu_id_put(d, sdev->unit);
out_free:
	nb_free(att);
	return err;
}

void dsmmu_block(struct drv_dev *dev, uint32_t pasid)
{
	struct dsmmu_dev *sdev = dev->priv;
	struct dsmmu_att **slot = pasid == NB_NO_PASID ? &sdev->rid : pasid_slot(sdev, pasid, false);

	if (!slot || !*slot)
		return;
	change(sdev, pasid, slot, NULL);
	NB_TRACE(sdev->unit->base.cfg.tr, drv_block, dev->rid, pasid);
}
