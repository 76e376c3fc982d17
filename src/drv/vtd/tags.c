/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Domain ids and cache tags: who may have cached what, and what an invalidation takes.
 *
 *   tag           unit's IOTLB                            device's TLB
 *   second stage  IOTLB, by DID and address               range
 *   first stage   PASID-IOTLB, by DID, PASID, address     range
 *   nested        PASID-IOTLB, as first stage             range
 *   parent, for each nested domain over it:
 *                 IOTLB with the nested domain's DID      everything: the device caches by IOVA, we know GPAs
 *
 * A tag is there before the entry that lets hardware cache under it, and goes after the invalidations
 * that took the entry away.
 */
#include "drv/vtd/vtd.h"

#include <errno.h>

#include "base/alloc.h"

struct vtd_domain *dvtd_domain_new(struct vtd_unit *u, enum vtd_kind kind, const struct drv_domain_ops *ops)
{
	struct vtd_domain *d = nb_zalloc(sizeof(*d));

	if (!d)
		return NULL;
	d->base.ops = ops;
	d->base.iommu = &u->base;
	d->base.id = atomic_fetch_add_explicit(&u->next_id, 1, memory_order_relaxed);
	d->kind = kind;
	pthread_mutex_init(&d->lock, NULL);
	nb_list_init(&d->tags);
	nb_list_init(&d->dids);
	nb_list_init(&d->atts);
	return d;
}

void dvtd_domain_delete(struct vtd_domain *d)
{
	assert(nb_list_empty(&d->tags) && nb_list_empty(&d->dids) && nb_list_empty(&d->atts));
	pthread_mutex_destroy(&d->lock);
	nb_free(d);
}

/* ---- domain ids ---- */

int dvtd_did_get(struct vtd_domain *d, struct vtd_unit *u, uint16_t *did)
{
	int err;

	if (d->kind == VTD_IDENTITY) {
		*did = VTD_DID_PASS_THROUGH;
		return 0;
	}
	pthread_mutex_lock(&d->lock);
	err = drv_domain_id_get(&d->dids, &u->base, &u->dids, did);
	pthread_mutex_unlock(&d->lock);
	return err;
}

void dvtd_did_put(struct vtd_domain *d, struct vtd_unit *u)
{
	if (d->kind == VTD_IDENTITY)
		return;
	pthread_mutex_lock(&d->lock);
	drv_domain_id_put(&d->dids, &u->base, &u->dids);
	pthread_mutex_unlock(&d->lock);
}

/* ---- tags ---- */

/* Domain lock. */
static struct vtd_tag *find_tag(struct vtd_domain *d, const struct vtd_tag *want)
{
	struct vtd_tag *t;

	nb_list_for_each(t, &d->tags, link)
		if (t->kind == want->kind && t->unit == want->unit && t->did == want->did && t->rid == want->rid &&
		    t->pasid == want->pasid)
			return t;
	return NULL;
}

static int add_tag(struct vtd_domain *d, const struct vtd_tag *want)
{
	struct vtd_tag *t, *other;
	struct nb_list *before = &d->tags;

	pthread_mutex_lock(&d->lock);
	t = find_tag(d, want);
	if (!t) {
		t = nb_zalloc(sizeof(*t));
		if (!t) {
			pthread_mutex_unlock(&d->lock);
			return -ENOMEM;
		}
		*t = *want;
		t->users = 0;
		/* Behind a tag of the same unit, so that one submission serves them all. */
		nb_list_for_each(other, &d->tags, link)
			if (other->unit == t->unit)
				before = other->link.next;
		nb_list_add_tail(before, &t->link);
	}
	t->users++;
	pthread_mutex_unlock(&d->lock);
	return 0;
}

static void del_tag(struct vtd_domain *d, const struct vtd_tag *want)
{
	struct vtd_tag *t;

	pthread_mutex_lock(&d->lock);
	t = find_tag(d, want);
	assert(t && t->users > 0);
	if (--t->users == 0) {
		nb_list_del(&t->link);
		nb_free(t);
	}
	pthread_mutex_unlock(&d->lock);
}

struct tag_at {
	struct vtd_domain *d;
	struct vtd_tag tag;
};

/* The tags of one attachment: at most four. */
static unsigned int tags_of(const struct vtd_att *att, struct tag_at out[4])
{
	struct vtd_domain *d = att->domain, *parent = dvtd_parent(d);
	bool by_pasid = d->kind == VTD_FIRST_STAGE || d->kind == VTD_NESTED;
	struct vtd_tag iotlb = { .kind = VTD_TAG_IOTLB, .unit = att->vdev->unit, .did = att->did };
	struct vtd_tag devtlb = { .kind = VTD_TAG_DEVTLB, .unit = att->vdev->unit, .rid = att->vdev->dev->rid,
				  .pasid = att->pasid };
	unsigned int n = 0;

	if (d->kind == VTD_IDENTITY)
		return 0; /* never changes */
	out[n++] = (struct tag_at){ d, iotlb };
	if (by_pasid)
		out[0].tag.pasid = att->pasid;
	if (att->devtlb)
		out[n++] = (struct tag_at){ d, devtlb };
	if (parent) {
		iotlb.kind = VTD_TAG_CHILD_IOTLB;
		devtlb.kind = VTD_TAG_CHILD_DEVTLB;
		out[n++] = (struct tag_at){ parent, iotlb };
		if (att->devtlb)
			out[n++] = (struct tag_at){ parent, devtlb };
	}
	return n;
}

int dvtd_tags_add(const struct vtd_att *att)
{
	struct tag_at at[4];
	unsigned int n = tags_of(att, at), i;

	for (i = 0; i < n; i++) {
		if (add_tag(at[i].d, &at[i].tag)) {
			while (i-- > 0)
				del_tag(at[i].d, &at[i].tag);
			return -ENOMEM;
		}
	}
	return 0;
}

void dvtd_tags_del(const struct vtd_att *att)
{
	struct tag_at at[4];
	unsigned int n = tags_of(att, at);

	while (n-- > 0)
		del_tag(at[n].d, &at[n].tag);
}

void dvtd_tags_del_devtlb(const struct vtd_att *att)
{
	struct tag_at at[4];
	unsigned int n = tags_of(att, at);

	while (n-- > 0)
		if (at[n].tag.kind == VTD_TAG_DEVTLB || at[n].tag.kind == VTD_TAG_CHILD_DEVTLB)
			del_tag(at[n].d, &at[n].tag);
}

/* ---- invalidation ---- */

/* One second-stage range under a DID, or the whole DID where hardware has nothing finer. */
static void push_second_stage(struct vtd_unit *u, uint16_t did, uint64_t addr, unsigned int am, bool ih)
{
	if ((int)am <= dvtd_max_am(u))
		dvtd_queue_push(u, dvtd_desc_iotlb(u, VTD_INV_IOTLB_PAGE, did, addr & ~nb_low_mask(12 + am), am, ih));
	else
		dvtd_queue_push(u, dvtd_desc_iotlb(u, VTD_INV_IOTLB_DOMAIN, did, 0, 0, false));
}

static void push_first_stage(struct vtd_unit *u, uint16_t did, uint32_t pasid, uint64_t addr, unsigned int am, bool ih)
{
	if ((int)am <= dvtd_max_am(u))
		dvtd_queue_push(u, dvtd_desc_piotlb(VTD_INV_PIOTLB_PAGE, did, pasid, addr & ~nb_low_mask(12 + am), am,
						  ih));
	else
		dvtd_queue_push(u, dvtd_desc_piotlb(VTD_INV_PIOTLB_PASID, did, pasid, 0, 0, false));
}

void dvtd_push_tag(const struct vtd_domain *d, const struct vtd_tag *t, uint64_t first, uint64_t last, bool ih)
{
	unsigned int am = dvtd_cover_lg2(first, last);

	switch (t->kind) {
	case VTD_TAG_IOTLB:
		if (d->kind == VTD_SECOND_STAGE)
			push_second_stage(t->unit, t->did, first, am, ih);
		else
			push_first_stage(t->unit, t->did, t->pasid, first, am, ih);
		break;
	case VTD_TAG_CHILD_IOTLB:
		push_second_stage(t->unit, t->did, first, am, ih);
		break;
	case VTD_TAG_DEVTLB:
		dvtd_push_devtlb(t->unit, t->rid, t->pasid, first, am);
		break;
	case VTD_TAG_CHILD_DEVTLB:
		dvtd_push_devtlb(t->unit, t->rid, t->pasid, 0, 52);
		break;
	}
}

/* End a submission; the unit if it is dead. */
static struct vtd_unit *end_dead(struct vtd_unit *u)
{
	return unlikely(dvtd_queue_end(u) == -EIO) ? u : NULL;
}

struct vtd_unit *dvtd_flush_range(struct vtd_domain *d, uint64_t first, uint64_t last, bool ih)
{
	struct vtd_unit *open = NULL, *dead = NULL, *bad;
	struct vtd_tag *t;

	NB_TRACE(dvtd_unit(d->base.iommu)->base.cfg.tr, drv_inv_range, d->base.id, first, last);
	pthread_mutex_lock(&d->lock);
	nb_list_for_each(t, &d->tags, link) {
		if (t->unit != open) {
			if (open && (bad = end_dead(open)))
				dead = bad;
			open = t->unit;
			dvtd_queue_begin(open);
		}
		dvtd_push_tag(d, t, first, last, ih);
	}
	if (open && (bad = end_dead(open)))
		dead = bad;
	pthread_mutex_unlock(&d->lock);
	return dead;
}

void dvtd_flush_mapped(struct vtd_domain *d, uint64_t first, uint64_t last)
{
	struct vtd_unit *seen = NULL;
	struct vtd_tag *t;
	bool caching = false;

	if (!d->flush_on_map)
		return;
	pthread_mutex_lock(&d->lock);
	nb_list_for_each(t, &d->tags, link) {
		if (t->unit == seen)
			continue;
		seen = t->unit;
		if (seen->cap & VTD_CAP_CM)
			caching = true;
		else
			dvtd_flush_write_buffer(seen);
	}
	pthread_mutex_unlock(&d->lock);
	if (caching) /* 6.1: the unit may have cached that nothing was there */
		dvtd_flush_range(d, first, last, true);
}
