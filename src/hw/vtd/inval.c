/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What invalidation removes from the caches (6.5.2), grace periods, and starting over.
 *
 * Configuration: cached objects are unpublished and wait among the dead until no reader can stand on them.
 * Translations: by tag and address, see tlb.h. Each operation is bracketed as hw/tlb.h says, so that no walk that
 * began before or during it can enter anything after it.
 */
#include "hw/vtd/model.h"

#include "base/alloc.h"

/* tlb.lock */
static void end_unlock(struct vtd *v)
{
	hw_inval_end(&v->tlb.lock, &v->tlb.inv_seq);
}

static void dev_drop_locked(struct vtd *v, struct vtd_slot *slot)
{
	struct vtd_dev *d = atomic_load_explicit(&slot->dev, memory_order_relaxed);

	if (!d)
		return;
	atomic_store_explicit(&slot->fast, NULL, memory_order_release);
	atomic_store_explicit(&slot->dev, NULL, memory_order_release);
	d->dead = v->dead_devs;
	v->dead_devs = d;
	v->ndead++;
}

/* 6.5.2.1. Scalable mode: no domain tags, so domain-selective is global and the DID is not looked at. */
void vtd_cc_invalidate(struct vtd *v, unsigned int g, uint16_t did, uint16_t sid, unsigned int fm)
{
	static const uint16_t masked[4] = {0, 4, 6, 7};
	unsigned int bus, fn;

	did &= (uint16_t)nb_low_mask(v->caps.nd_lg2);
	hw_spin_lock(&v->tlb.lock);
	for (bus = 0; bus < 256; bus++) {
		struct vtd_bus *b = atomic_load_explicit(&v->bus[bus], memory_order_acquire);

		if (!b || (g == VTD_INV_CC_DEVICE && bus != (unsigned int)(sid >> 8)))
			continue;
		for (fn = 0; fn < 256; fn++) {
			struct vtd_dev *d = atomic_load_explicit(&b->slot[fn].dev, memory_order_relaxed);

			if (!d)
				continue;
			if (g == VTD_INV_CC_DEVICE && ((fn ^ sid) & 0xff & ~masked[fm & 3]) != 0)
				continue;
			if (g != VTD_INV_CC_GLOBAL && !d->scalable && d->legacy.did != did)
				continue;
			dev_drop_locked(v, &b->slot[fn]);
		}
	}
	end_unlock(v);
}

static void pc_drop_locked(struct vtd *v, unsigned int g, uint16_t did, uint32_t pasid)
{
	unsigned int i;

	for (i = 0; i < VTD_PC_HASH; i++) {
		struct vtd_proc *_Atomic *link = &v->pc[i];
		struct vtd_proc *p;

		while ((p = atomic_load_explicit(link, memory_order_relaxed)) != NULL) {
			struct vtd_proc *_Atomic *next = &p->next;

			if (g == VTD_INV_PC_GLOBAL ||
			    (p->did == did && (g == VTD_INV_PC_DOMAIN || p->pasid == pasid))) {
				struct vtd_slot *slot = vtd_slot_of(v, p->rid, false);

				if (slot && atomic_load_explicit(&slot->fast, memory_order_relaxed) == p)
					atomic_store_explicit(&slot->fast, NULL, memory_order_release);
				atomic_store_explicit(link, atomic_load_explicit(next, memory_order_relaxed),
						      memory_order_release);
				v->npc--;
				/* `next` stays for readers that stand on p: the dead are linked elsewhere. */
				p->dead = v->dead_procs;
				v->dead_procs = p;
				v->ndead++;
			} else {
				link = next;
			}
		}
	}
}

void vtd_pc_invalidate(struct vtd *v, unsigned int g, uint16_t did, uint32_t pasid)
{
	hw_spin_lock(&v->tlb.lock);
	pc_drop_locked(v, g, did, pasid);
	end_unlock(v);
}

static void dom_drop_fs_locked(struct vtd *v, struct vtd_dom *dom)
{
	struct vtd_tag *tag;

	for (tag = dom->fs; tag; tag = tag->dom_next) {
		vtd_tag_drop_leaf_locked(&v->tlb, tag);
		vtd_tag_drop_psc_locked(&v->tlb, tag);
	}
}

static void dom_drop_locked(struct vtd *v, struct vtd_dom *dom)
{
	vtd_tag_drop_leaf_locked(&v->tlb, &dom->ss);
	vtd_tag_drop_psc_locked(&v->tlb, &dom->ss);
	vtd_tag_drop_leaf_locked(&v->tlb, &dom->gpa);
	dom_drop_fs_locked(v, dom);
}

static uint64_t last_of(uint64_t first, unsigned int am)
{
	return first | nb_low_mask(am + 12 > 64 ? 64 : am + 12);
}

/* 6.5.2.3, table "IOTLB Invalidation". */
void vtd_iotlb_invalidate(struct vtd *v, unsigned int g, uint16_t did, uint64_t addr, unsigned int am, bool ih)
{
	struct vtd_dom *dom;
	uint64_t first, last;
	unsigned int i;

	hw_spin_lock(&v->tlb.lock);
	if (g == VTD_INV_IOTLB_GLOBAL) {
		for (i = 0; i < VTD_DOM_HASH; i++)
			for (dom = v->tlb.doms[i]; dom; dom = dom->hash_next)
				dom_drop_locked(v, dom);
		goto out;
	}
	dom = vtd_dom_find_locked(&v->tlb, (uint16_t)(did & nb_low_mask(v->caps.nd_lg2)));
	if (!dom)
		goto out;
	if (g == VTD_INV_IOTLB_DOMAIN) {
		dom_drop_locked(v, dom);
		goto out;
	}
	addr &= nb_low_mask(v->caps.mgaw) & ~UINT64_C(0xfff);
	last = last_of(addr, am) & nb_low_mask(v->caps.mgaw);
	first = addr & ~nb_low_mask(am + 12 > 63 ? 63 : am + 12);
	vtd_tag_leaf_range_locked(&v->tlb, &dom->ss, first, last);
	vtd_tag_leaf_range_locked(&v->tlb, &dom->gpa, first, last);
	if (!ih)
		vtd_tag_psc_range_locked(&v->tlb, &dom->ss, first, last);
	dom_drop_fs_locked(v, dom);
out:
	end_unlock(v);
}

/* 6.5.2.4, table "PASID-based-IOTLB Invalidation": no second-stage structures. */
void vtd_piotlb_invalidate(struct vtd *v, unsigned int g, uint16_t did, uint32_t pasid, uint64_t addr,
			   unsigned int am, bool ih)
{
	struct vtd_tag *tag;
	struct vtd_dom *dom;
	uint64_t first, last, flip;

	did &= (uint16_t)nb_low_mask(v->caps.nd_lg2);
	hw_spin_lock(&v->tlb.lock);
	tag = vtd_tag_find_locked(&v->tlb, did, pasid);
	if (g == VTD_INV_PIOTLB_PASID) {
		if (tag) {
			vtd_tag_drop_leaf_locked(&v->tlb, tag);
			vtd_tag_drop_psc_locked(&v->tlb, tag);
		}
		/* Entries of second-stage requests with this PASID lie under the domain alone. */
		dom = vtd_dom_find_locked(&v->tlb, did);
		if (dom)
			vtd_tag_drop_leaf_locked(&v->tlb, &dom->ss);
		goto out;
	}
	if (!tag)
		goto out;
	first = addr & ~nb_low_mask(am + 12 > 63 ? 63 : am + 12);
	last = last_of(first, am);
	if ((last - first) >> 56 != 0) { /* all that a key can hold */
		first = 0;
		last = nb_low_mask(57);
	}
	for (flip = 0; flip < 2; flip++) {
		vtd_tag_leaf_range_locked(&v->tlb, tag, first, last);
		if (!ih)
			vtd_tag_psc_range_locked(&v->tlb, tag, first, last);
		/* With 4 levels the tag ends at bit 47 and what stands above it in the descriptor is not looked at. */
		if ((last ^ first) >> 48 != 0)
			break;
		first = (uint64_t)((int64_t)(first << 16) >> 16);
		last = (uint64_t)((int64_t)(last << 16) >> 16);
	}
out:
	end_unlock(v);
}

/* ---- grace periods ---- */

static void free_dead(struct vtd_dev *devs, struct vtd_proc *procs)
{
	while (devs) {
		struct vtd_dev *next = devs->dead;

		nb_free(devs);
		devs = next;
	}
	while (procs) {
		struct vtd_proc *next = procs->dead;

		nb_free(procs);
		procs = next;
	}
}

void vtd_sync(struct vtd *v)
{
	struct vtd_dev *devs;
	struct vtd_proc *procs;
	bool reset;

	hw_spin_lock(&v->tlb.lock);
	devs = v->dead_devs;
	procs = v->dead_procs;
	v->dead_devs = NULL;
	v->dead_procs = NULL;
	v->ndead = 0;
	reset = v->tlb.want_reset;
	hw_spin_unlock(&v->tlb.lock);
	nb_rcu_synchronize();
	free_dead(devs, procs);
	if (reset)
		vtd_invalidate_all(v);
}

static void config_drop_locked(struct vtd *v)
{
	unsigned int bus, fn;

	for (bus = 0; bus < 256; bus++) {
		struct vtd_bus *b = atomic_load_explicit(&v->bus[bus], memory_order_acquire);

		for (fn = 0; b && fn < 256; fn++)
			dev_drop_locked(v, &b->slot[fn]);
	}
	pc_drop_locked(v, VTD_INV_PC_GLOBAL, 0, 0);
}

/* Forget everything and start over with tags and ids. Waits for readers: an id is given again only when nobody can hold it. */
void vtd_invalidate_all(struct vtd *v)
{
	struct vtd_dom *doms;
	struct vtd_tag *tags;
	struct vtd_dev *devs;
	struct vtd_proc *procs;

	hw_spin_lock(&v->tlb.lock);
	config_drop_locked(v);
	vtd_tlb_forget_locked(&v->tlb, &doms, &tags);
	devs = v->dead_devs;
	procs = v->dead_procs;
	v->dead_devs = NULL;
	v->dead_procs = NULL;
	v->ndead = 0;
	end_unlock(v);

	nb_rcu_synchronize();

	free_dead(devs, procs);
	while (doms) {
		struct vtd_dom *next = doms->hash_next;

		nb_free(doms);
		doms = next;
	}
	while (tags) {
		struct vtd_tag *next = tags->hash_next;

		nb_free(tags);
		tags = next;
	}
	hw_spin_lock(&v->tlb.lock);
	config_drop_locked(v); /* what was cached meanwhile has no tags */
	vtd_tlb_restart_locked(&v->tlb);
	end_unlock(v);
}

void vtd_config_fini(struct vtd *v)
{
	unsigned int i;

	vtd_invalidate_all(v);
	free_dead(v->dead_devs, v->dead_procs);
	for (i = 0; i < 256; i++)
		nb_free(atomic_load_explicit(&v->bus[i], memory_order_relaxed));
}
