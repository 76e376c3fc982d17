/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What configuration invalidation removes (4.3), grace periods, and starting over. Translations: tlb.c.
 *
 * Cached objects are unpublished and wait among the dead until no reader can stand on them. Each operation is bracketed as
 * hw/tlb.h says, so that no walk that began before or during it can enter anything after it.
 */
#include "hw/smmuv3/model.h"

#include "base/alloc.h"

static void dev_drop_locked(struct smmu *v, struct smmu_slot *slot)
{
	struct smmu_dev *d = atomic_load_explicit(&slot->dev, memory_order_relaxed);

	if (!d)
		return;
	atomic_store_explicit(&slot->fast, NULL, memory_order_release);
	atomic_store_explicit(&slot->dev, NULL, memory_order_release);
	d->dead = v->dead_devs;
	v->dead_devs = d;
	v->ndead++;
}

static void cd_drop_locked(struct smmu *v, struct smmu_cfg *_Atomic *link, struct smmu_cfg *c)
{
	struct smmu_slot *slot = smmu_slot_of(v, c->sid, false);

	if (slot && atomic_load_explicit(&slot->fast, memory_order_relaxed) == c)
		atomic_store_explicit(&slot->fast, NULL, memory_order_release);
	/* `next` stays for readers that stand on c: the dead are linked elsewhere. */
	atomic_store_explicit(link, atomic_load_explicit(&c->next, memory_order_relaxed), memory_order_release);
	v->ncds--;
	c->dead = v->dead_cfgs;
	v->dead_cfgs = c;
	v->ndead++;
}

/* CDs of StreamIDs first to last; one: only of this SubstreamID. */
static void cds_drop_locked(struct smmu *v, uint32_t first, uint32_t last, bool one, uint32_t ssid)
{
	unsigned int i;

	for (i = 0; i < SMMU_CD_HASH; i++) {
		struct smmu_cfg *_Atomic *link = &v->cds[i];
		struct smmu_cfg *c;

		while ((c = atomic_load_explicit(link, memory_order_relaxed)) != NULL) {
			if (c->sid >= first && c->sid <= last && (!one || c->ssid == ssid))
				cd_drop_locked(v, link, c);
			else
				link = &c->next;
		}
	}
}

/*
 * Level 1 CD descriptors; one: those that may lead to this SubstreamID, whichever format the table has: 64 or 1024
 * CDs each. The other one's goes with it, which is allowed.
 */
static void l1cds_drop_locked(struct smmu *v, uint32_t first, uint32_t last, bool one, uint32_t ssid)
{
	unsigned int i;

	for (i = 0; i < SMMU_L1CD_HASH; i++) {
		struct smmu_l1 *_Atomic *link = &v->l1cds[i];
		struct smmu_l1 *l;

		while ((l = atomic_load_explicit(link, memory_order_relaxed)) != NULL) {
			if (l->sid >= first && l->sid <= last && (!one || l->index == ssid >> 6 || l->index == ssid >> 10)) {
				atomic_store_explicit(link, atomic_load_explicit(&l->next, memory_order_relaxed),
						      memory_order_release);
				v->nl1cds--;
				l->dead = v->dead_l1s;
				v->dead_l1s = l;
				v->ndead++;
			} else {
				link = &l->next;
			}
		}
	}
}

static unsigned int split_of(const struct smmu *v)
{
	uint64_t split = FIELD_GET(SMMU_STRTAB_BASE_CFG_SPLIT, atomic_load_explicit(&v->strtab_cfg, memory_order_relaxed));

	return split == 8 || split == 10 ? (unsigned int)split : 6;
}

void smmu_cfgi_ste(struct smmu *v, uint32_t first, uint32_t last, bool leaf)
{
	uint32_t sid;

	if (first > UINT16_MAX)
		return;
	if (last > UINT16_MAX)
		last = UINT16_MAX;
	smmu_inval_begin(v);
	for (sid = first; sid <= last; sid++) {
		struct smmu_bus *b = atomic_load_explicit(&v->bus[sid >> 8], memory_order_acquire);

		if (b)
			dev_drop_locked(v, &b->slot[sid & 0xff]);
		else
			sid |= 0xff;
	}
	if (v->ncds)
		cds_drop_locked(v, first, last, false, 0);
	if (v->nl1cds)
		l1cds_drop_locked(v, first, last, false, 0);
	if (!leaf)
		for (sid = first >> split_of(v); sid <= last >> split_of(v); sid++)
			atomic_store_explicit(&v->l1std[sid], 0, memory_order_release);
	smmu_inval_end(v);
}

void smmu_cfgi_cd(struct smmu *v, uint16_t sid, uint32_t ssid, bool leaf)
{
	smmu_inval_begin(v);
	cds_drop_locked(v, sid, sid, true, ssid);
	if (!leaf)
		l1cds_drop_locked(v, sid, sid, true, ssid);
	smmu_inval_end(v);
}

void smmu_cfgi_cd_all(struct smmu *v, uint16_t sid)
{
	smmu_inval_begin(v);
	cds_drop_locked(v, sid, sid, false, 0);
	l1cds_drop_locked(v, sid, sid, false, 0);
	smmu_inval_end(v);
}

struct dead {
	struct smmu_dev *devs;
	struct smmu_cfg *cfgs;
	struct smmu_l1 *l1s;
};

static struct dead take_dead_locked(struct smmu *v)
{
	struct dead d = {v->dead_devs, v->dead_cfgs, v->dead_l1s};

	v->dead_devs = NULL;
	v->dead_cfgs = NULL;
	v->dead_l1s = NULL;
	v->ndead = 0;
	return d;
}

static void free_dead(struct dead d)
{
	while (d.devs) {
		struct smmu_dev *next = d.devs->dead;

		nb_free(d.devs);
		d.devs = next;
	}
	while (d.cfgs) {
		struct smmu_cfg *next = d.cfgs->dead;

		nb_free(d.cfgs);
		d.cfgs = next;
	}
	while (d.l1s) {
		struct smmu_l1 *next = d.l1s->dead;

		nb_free(d.l1s);
		d.l1s = next;
	}
}

void smmu_sync(struct smmu *v)
{
	struct dead d;

	hw_spin_lock(&v->tlb.lock);
	d = take_dead_locked(v);
	hw_spin_unlock(&v->tlb.lock);
	nb_rcu_synchronize();
	free_dead(d);
	if (atomic_load_explicit(&v->tlb.want_reset, memory_order_relaxed))
		smmu_invalidate_all(v);
}

static void config_drop_locked(struct smmu *v)
{
	unsigned int i, fn;

	for (i = 0; i < 256; i++) {
		struct smmu_bus *b = atomic_load_explicit(&v->bus[i], memory_order_acquire);

		for (fn = 0; b && fn < 256; fn++)
			dev_drop_locked(v, &b->slot[fn]);
	}
	cds_drop_locked(v, 0, UINT16_MAX, false, 0);
	l1cds_drop_locked(v, 0, UINT16_MAX, false, 0);
	for (i = 0; i < SMMU_L1STD_MAX; i++)
		atomic_store_explicit(&v->l1std[i], 0, memory_order_release);
}

/* Forget everything and start over with tags and ids. Waits for readers: an id is given again only when nobody can hold it. */
void smmu_invalidate_all(struct smmu *v)
{
	struct dead d;
	void *tags;

	smmu_inval_begin(v);
	config_drop_locked(v);
	tags = smmu_tlb_forget_locked(&v->tlb);
	d = take_dead_locked(v);
	smmu_inval_end(v);

	nb_rcu_synchronize();

	free_dead(d);
	smmu_tlb_dispose(tags);
	smmu_inval_begin(v);
	config_drop_locked(v); /* what was cached meanwhile has no tags */
	smmu_tlb_restart_locked(&v->tlb);
	smmu_inval_end(v);
}

void smmu_config_fini(struct smmu *v)
{
	unsigned int i;

	smmu_invalidate_all(v);
	free_dead(take_dead_locked(v));
	for (i = 0; i < 256; i++)
		nb_free(atomic_load_explicit(&v->bus[i], memory_order_relaxed));
}
