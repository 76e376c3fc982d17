/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ids and cache tags: who may have cached what, and what an invalidation takes (IHI 0070 3.17, 4.4, 4.5).
 *
 *   tag           unit's TLB                                  device's ATC
 *   stage 1       NH_VA (EL2_VA with E2H), by ASID, address   range
 *   stage 2       S2_IPA, by VMID and address                 range
 *   parent, for nested domains over it:
 *                 NH_ALL with the VMID: what was translated   everything: the device caches by IOVA, we know IPAs
 *                 by both stages is not found by IPA
 *
 * The unit first: from its TLB the device could be answered again. And stage 2 before NH_ALL: from it a walk could be.
 * A tag is there before the entry that lets hardware cache under it; the last one to go has the id invalidated, so
 * that whoever uses it next, be it the same domain, finds nothing.
 */
#include "drv/smmuv3/smmu.h"

#include <errno.h>

#include "base/alloc.h"
#include "pt/fmt.h"

#define RANGE_NUM_MAX 31u

struct dsmmu_domain *dsmmu_domain_new(struct dsmmu *u, enum dsmmu_kind kind, const struct drv_domain_ops *ops)
{
	struct dsmmu_domain *d = nb_zalloc(sizeof(*d));

	if (!d)
		return NULL;
	d->base.ops = ops;
	d->base.iommu = &u->base;
	d->base.id = atomic_fetch_add_explicit(&u->next_id, 1, memory_order_relaxed);
	d->kind = kind;
	pthread_mutex_init(&d->lock, NULL);
	nb_list_init(&d->tags);
	nb_list_init(&d->ids);
	nb_list_init(&d->atts);
	return d;
}

void dsmmu_domain_delete(struct dsmmu_domain *d)
{
	assert(nb_list_empty(&d->tags) && nb_list_empty(&d->ids) && nb_list_empty(&d->atts));
	pthread_mutex_destroy(&d->lock);
	nb_free(d);
}

/* ---- ids ---- */

static struct drv_ids *ids_of(const struct dsmmu_domain *d, struct dsmmu *u)
{
	return d->kind == DSMMU_S1 ? &u->asids : &u->vmids;
}

int dsmmu_id_get(struct dsmmu_domain *d, struct dsmmu *u, uint16_t *id)
{
	int err;

	assert(d->kind == DSMMU_S1 || d->kind == DSMMU_S2);
	pthread_mutex_lock(&d->lock);
	err = drv_domain_id_get(&d->ids, &u->base, ids_of(d, u), id);
	pthread_mutex_unlock(&d->lock);
	return err;
}

void dsmmu_id_put(struct dsmmu_domain *d, struct dsmmu *u)
{
	pthread_mutex_lock(&d->lock);
	drv_domain_id_put(&d->ids, &u->base, ids_of(d, u));
	pthread_mutex_unlock(&d->lock);
}

/* ---- tags ---- */

/* Domain lock. */
static struct dsmmu_tag *find_tag(struct dsmmu_domain *d, const struct dsmmu_tag *want)
{
	struct dsmmu_tag *t;

	nb_list_for_each(t, &d->tags, link)
		if (t->kind == want->kind && t->unit == want->unit && t->id == want->id && t->sid == want->sid &&
		    t->pasid == want->pasid)
			return t;
	return NULL;
}

static bool sorts_before(const struct dsmmu_tag *a, const struct dsmmu_tag *b)
{
	return a->unit != b->unit ? (uintptr_t)a->unit < (uintptr_t)b->unit : a->kind < b->kind;
}

static int add_tag(struct dsmmu_domain *d, const struct dsmmu_tag *want)
{
	struct dsmmu_tag *t, *other;
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
		nb_list_for_each(other, &d->tags, link) {
			if (sorts_before(t, other)) {
				before = &other->link;
				break;
			}
		}
		nb_list_add_tail(before, &t->link);
	}
	t->users++;
	pthread_mutex_unlock(&d->lock);
	return 0;
}

static void push_all(const struct dsmmu_domain *d, const struct dsmmu_tag *t);

static void del_tag(struct dsmmu_domain *d, const struct dsmmu_tag *want)
{
	struct dsmmu_tag *t;

	pthread_mutex_lock(&d->lock);
	t = find_tag(d, want);
	assert(t && t->users > 0);
	if (--t->users == 0) {
		dsmmu_queue_begin(t->unit);
		push_all(d, t);
		dsmmu_queue_end(t->unit);
		nb_list_del(&t->link);
		nb_free(t);
	}
	pthread_mutex_unlock(&d->lock);
}

/* The tags of one attachment: at most three, and whose they are. */
static unsigned int tags_of(const struct dsmmu_att *att, struct dsmmu_domain **d, struct dsmmu_tag out[3])
{
	const bool nested = att->domain->kind == DSMMU_NESTED;
	struct dsmmu_tag tlb = { .kind = DSMMU_TAG_TLB, .unit = att->sdev->unit, .id = att->id };
	struct dsmmu_tag atc = { .kind = nested ? DSMMU_TAG_CHILD_ATC : DSMMU_TAG_ATC, .unit = att->sdev->unit,
				 .sid = att->sdev->dev->rid, .pasid = att->pasid };
	unsigned int n = 0;

	if (att->domain->kind == DSMMU_IDENTITY)
		return 0; /* never changes */
	*d = nested ? dsmmu_parent(att->domain) : att->domain;
	out[n++] = tlb;
	if (nested) {
		tlb.kind = DSMMU_TAG_CHILD_TLB;
		out[n++] = tlb;
	}
	if (att->atc)
		out[n++] = atc;
	return n;
}

int dsmmu_tags_add(const struct dsmmu_att *att)
{
	struct dsmmu_tag tag[3];
	struct dsmmu_domain *d = NULL;
	unsigned int n = tags_of(att, &d, tag), i;

	for (i = 0; i < n; i++) {
		if (add_tag(d, &tag[i])) {
			while (i-- > 0)
				del_tag(d, &tag[i]);
			return -ENOMEM;
		}
	}
	return 0;
}

/* In the order in which they were added: the unit forgets before the device. */
void dsmmu_tags_del(const struct dsmmu_att *att)
{
	struct dsmmu_tag tag[3];
	struct dsmmu_domain *d = NULL;
	unsigned int n = tags_of(att, &d, tag), i;

	for (i = 0; i < n; i++)
		del_tag(d, &tag[i]);
}

/* ---- invalidation ---- */

/* Everything under a tag. Queue lock. */
static void push_all(const struct dsmmu_domain *d, const struct dsmmu_tag *t)
{
	struct dsmmu *u = t->unit;

	switch (t->kind) {
	case DSMMU_TAG_TLB:
		if (d->kind == DSMMU_S2)
			dsmmu_queue_push(u, dsmmu_cmd_tlbi(SMMU_CMD_TLBI_S12_VMALL, t->id, 0));
		else
			dsmmu_queue_push(u, dsmmu_cmd_tlbi(u->e2h ? SMMU_CMD_TLBI_EL2_ASID : SMMU_CMD_TLBI_NH_ASID, 0, t->id));
		break;
	case DSMMU_TAG_CHILD_TLB:
		dsmmu_queue_push(u, dsmmu_cmd_tlbi(SMMU_CMD_TLBI_NH_ALL, t->id, 0));
		break;
	case DSMMU_TAG_ATC:
	case DSMMU_TAG_CHILD_ATC:
		dsmmu_push_atc(u, t->sid, t->pasid, 0, SMMU_ATC_SIZE_ALL);
		break;
	}
}

/*
 * The range without range commands would take more than one command a table's worth of pages: everything of the id is cheaper.
 */
static bool too_many(const struct dsmmu *u, const struct dsmmu_domain *d, uint64_t first, uint64_t last)
{
	unsigned int lg2 = d->pt.fmt->page_lg2;

	return !u->ril && (last - first) >> lg2 >= BIT(d->pt.fmt->index_lg2) - 1;
}

/* All leaves in the range are of the smallest size: no larger one fits, and none was there that reached beyond it. */
static bool pages_only(const struct dsmmu_domain *d, uint64_t first, uint64_t last)
{
	uint64_t larger = d->pt.pgsizes & (d->pt.pgsizes - 1), size = larger & -larger;

	return !larger || ((first + size - 1) & ~(size - 1)) + (size - 1) > last || first + size - 1 < first;
}

/*
 * 4.4.1.1: with TG, (NUM + 1) * 2^SCALE pages from the address; TTL 3 says that leaves are of the last level. NUM, SCALE and TTL all
 * 0 would be reserved, so one page of unknown level is invalidated as two.
 */
static void push_range(const struct dsmmu_domain *d, const struct dsmmu_tag *t, uint64_t first, uint64_t last, bool leaf,
		       bool cut)
{
	const unsigned int lg2 = d->pt.fmt->page_lg2;
	unsigned int op = d->kind == DSMMU_S2 ? SMMU_CMD_TLBI_S2_IPA :
			  t->unit->e2h	      ? SMMU_CMD_TLBI_EL2_VA : SMMU_CMD_TLBI_NH_VA;
	struct dsmmu_cmd c = d->kind == DSMMU_S2 ? dsmmu_cmd_tlbi(op, t->id, 0) : dsmmu_cmd_tlbi(op, 0, t->id);
	uint64_t pages = ((last - first) >> lg2) + 1;
	bool ttl = leaf && !cut && pages_only(d, first, last);

	if (too_many(t->unit, d, first, last) || (first == 0 && last >= d->base.aperture_last)) {
		push_all(d, t);
		return;
	}
	c.hi = leaf ? SMMU_CMD_TLBI_1_LEAF : 0;
	if (!t->unit->ril) {
		for (; pages--; first += BIT(lg2))
			dsmmu_queue_push(t->unit, (struct dsmmu_cmd){ c.lo, c.hi | first });
		return;
	}
	c.hi |= FIELD(SMMU_CMD_TLBI_1_TG, (lg2 - 10) / 2) | (ttl ? FIELD_C(SMMU_CMD_TLBI_1_TTL, 3) : 0);
	if (!ttl && (pages & RANGE_NUM_MAX) == 1)
		pages++;
	while (pages) {
		unsigned int scale = (unsigned int)__builtin_ctzll(pages);
		uint64_t num = pages >> scale & RANGE_NUM_MAX;

		dsmmu_queue_push(t->unit, (struct dsmmu_cmd){ c.lo | FIELD(SMMU_CMD_TLBI_0_NUM, num - 1) |
							      FIELD(SMMU_CMD_TLBI_0_SCALE, scale), c.hi | first });
		pages -= num << scale;
		first += num << (scale + lg2);
	}
}

/* log2 of the 4 KiB pages in the smallest naturally aligned power of two that covers both. */
static unsigned int cover_lg2(uint64_t first, uint64_t last)
{
	uint64_t differ = first ^ last;

	return differ >> 12 ? nb_ilog2(differ) + 1 - 12 : 0;
}

static void push_tag(const struct dsmmu_domain *d, const struct dsmmu_tag *t, uint64_t first, uint64_t last, bool leaf, bool cut)
{
	switch (t->kind) {
	case DSMMU_TAG_TLB:
		push_range(d, t, first, last, leaf, cut);
		break;
	case DSMMU_TAG_ATC:
		dsmmu_push_atc(t->unit, t->sid, t->pasid, first, cover_lg2(first, last));
		break;
	case DSMMU_TAG_CHILD_TLB:
	case DSMMU_TAG_CHILD_ATC:
		push_all(d, t);
		break;
	}
}

/* End a submission; the unit if it is dead. */
static struct dsmmu *end_dead(struct dsmmu *u)
{
	return unlikely(dsmmu_queue_end(u) == -EIO) ? u : NULL;
}

struct dsmmu *dsmmu_flush_range(struct dsmmu_domain *d, uint64_t first, uint64_t last, bool leaf, bool cut)
{
	const struct dsmmu_tag *before = NULL;
	struct dsmmu *dead = NULL, *bad;
	struct dsmmu_tag *t;

	NB_TRACE(dsmmu_of(d->base.iommu)->base.cfg.tr, drv_inv_range, d->base.id, first, last);
	pthread_mutex_lock(&d->lock);
	nb_list_for_each(t, &d->tags, link) {
		if (!before || before->unit != t->unit) {
			if (before && (bad = end_dead(before->unit)))
				dead = bad;
			dsmmu_queue_begin(t->unit);
		} else if (before->kind != t->kind && before->kind < DSMMU_TAG_ATC) {
			dsmmu_queue_sync(t->unit);
		}
		push_tag(d, t, first, last, leaf, cut);
		before = t;
	}
	if (before && (bad = end_dead(before->unit)))
		dead = bad;
	pthread_mutex_unlock(&d->lock);
	return dead;
}
