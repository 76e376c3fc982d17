/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Paging domains: first- and second-stage tables that the kernel builds.
 *
 * First stage is taken whenever it can serve; nesting parents and dirty tracking need the second. A
 * domain may be walked by several units; each walks the same table, so what one of them
 * cannot do is refused at attach (vtd_paging_compatible).
 */
#include "drv/vtd/vtd.h"

#include <errno.h>

#include "base/alloc.h"
#include "drv/common.h"
#include "drv/vtd/entries.h"

#define SZ_4K BIT(12)
#define SZ_2M BIT(21)
#define SZ_1G BIT(30)

static const struct drv_domain_ops first_stage_ops, second_stage_ops;

static uint64_t first_stage_sizes(const struct vtd_unit *u)
{
	return SZ_4K | SZ_2M | (u->cap & VTD_CAP_FS1GP ? SZ_1G : 0);
}

static uint64_t second_stage_sizes(const struct vtd_unit *u)
{
	return SZ_4K | (u->cap & VTD_CAP_SSLPS_2M ? SZ_2M : 0) | (u->cap & VTD_CAP_SSLPS_1G ? SZ_1G : 0);
}

static unsigned int mgaw(const struct vtd_unit *u)
{
	return (unsigned int)FIELD_GET(VTD_CAP_MGAW, u->cap) + 1;
}

static bool has_second_stage_levels(const struct vtd_unit *u, unsigned int levels)
{
	return levels >= 3 && levels <= 5 && (u->cap & (VTD_CAP_SAGAW_3 << (levels - 3)));
}

/* Levels and aperture: the widest that both SAGAW and MGAW allow; the table may be taller than it need be. */
static bool second_stage_shape(const struct vtd_unit *u, uint8_t *levels, uint64_t *last)
{
	unsigned int width = mgaw(u), want = width > 48 ? 5 : width > 39 ? 4 : 3, n;

	for (n = want; n <= 5; n++)
		if (has_second_stage_levels(u, n))
			break;
	if (n > 5)
		for (n = want; n >= 3; n--)
			if (has_second_stage_levels(u, n))
				break;
	if (n < 3)
		return false;
	if (width > 12 + 9 * n)
		width = 12 + 9 * n;
	*levels = (uint8_t)n;
	*last = nb_low_mask(width);
	return true;
}

/* Only the lower canonical half is used. */
static void first_stage_shape(const struct vtd_unit *u, uint8_t *levels, uint64_t *last)
{
	bool five = mgaw(u) > 48 && (u->cap & VTD_CAP_FS5LP);
	unsigned int limit = five ? 57 : 48, width = mgaw(u) < limit ? mgaw(u) : limit;

	*levels = five ? 5 : 4;
	*last = nb_low_mask(width - 1);
}

int dvtd_alloc_paging(struct drv_dev *dev, uint32_t flags, struct drv_domain **out, struct nb_diag *diag)
{
	struct vtd_unit *u = dvtd_unit(dev->iommu);
	bool first = u->scalable && (u->ecap & VTD_ECAP_FSTS) && !(flags & ~(uint32_t)DRV_ALLOC_PASID);
	const struct pt_fmt *fmt = first ? &pt_fmt_x86_64 : &pt_fmt_vtdss;
	struct vtd_domain *d;
	int err;

	if (flags & ~(uint32_t)(DRV_ALLOC_NEST_PARENT | DRV_ALLOC_DIRTY | DRV_ALLOC_PASID))
		return nb_fail(diag, -EOPNOTSUPP, "domain flags %#x are not known", flags);
	if ((flags & DRV_ALLOC_NEST_PARENT) && !dvtd_can_nest(u))
		return nb_fail(diag, -EOPNOTSUPP, "the unit has no nested translation (ECAP.NEST)");
	if ((flags & DRV_ALLOC_DIRTY) && !dvtd_can_dirty(u))
		return nb_fail(diag, -EOPNOTSUPP, "the unit does not track dirty pages (ECAP.SSADS with SMPWC)");
	if (!first && u->scalable && !(u->ecap & VTD_ECAP_SSTS))
		return nb_fail(diag, -EOPNOTSUPP, "the unit has no second-stage translation (ECAP.SSTS)");

	d = dvtd_domain_new(u, first ? VTD_FIRST_STAGE : VTD_SECOND_STAGE, first ? &first_stage_ops : &second_stage_ops);
	if (!d)
		return nb_fail(diag, -ENOMEM, "no memory for a domain");
	d->pt.pool = u->base.cfg.pool;
	if (!u->walk_coherent) {
		d->pt.flush = u->base.cfg.flush;
		d->pt.flush_opaque = u->base.cfg.flush_opaque;
	}
	d->coherent_only = u->walk_coherent;
	d->flush_on_map = dvtd_flush_on_map(u);
	if (first) {
		d->pt.pgsizes = first_stage_sizes(u);
		first_stage_shape(u, &d->pt.levels, &d->base.aperture_last);
	} else {
		d->pt.pgsizes = second_stage_sizes(u);
		if (!second_stage_shape(u, &d->pt.levels, &d->base.aperture_last)) {
			err = nb_fail(diag, -EOPNOTSUPP, "no second-stage width fits CAP.SAGAW and MGAW");
			goto out_free;
		}
	}
	d->force_writable = (flags & DRV_ALLOC_NEST_PARENT) && (u->base.cfg.errata & DRV_ERRATUM_VTD_772415);
	err = pt_init(&d->pt, fmt);
	if (err) {
		nb_fail(diag, err, "no memory for a page table");
		goto out_free;
	}
	d->base.type = DRV_DOMAIN_PAGING;
	d->base.flags = flags;
	d->base.pgsizes = d->pt.pgsizes;
	*out = &d->base;
	return 0;
out_free:
	dvtd_domain_delete(d);
	return err;
}

static void paging_free(struct drv_domain *domain)
{
	struct vtd_domain *d = dvtd_domain(domain);

	pt_fini(&d->pt);
	dvtd_domain_delete(d);
}

bool dvtd_is_nest_parent(const struct drv_domain *d)
{
	return d && d->ops == &second_stage_ops && (d->flags & DRV_ALLOC_NEST_PARENT);
}

/* ---- may this unit walk it ---- */

static int first_stage_compatible(const struct vtd_domain *d, const struct vtd_unit *u, struct nb_diag *diag)
{
	if (!u->scalable || !(u->ecap & VTD_ECAP_FSTS))
		return nb_fail(diag, -EINVAL, "the unit has no first-stage translation");
	if (d->pt.levels == 5 && !(u->cap & VTD_CAP_FS5LP))
		return nb_fail(diag, -EINVAL, "the unit walks first-stage tables of 4 levels only");
	if (d->pt.pgsizes & ~first_stage_sizes(u))
		return nb_fail(diag, -EINVAL, "the unit has no 1 GiB pages in the first stage");
	return 0;
}

static int second_stage_compatible(const struct vtd_domain *d, const struct vtd_unit *u, struct nb_diag *diag)
{
	if ((d->base.flags & DRV_ALLOC_DIRTY) && !dvtd_can_dirty(u))
		return nb_fail(diag, -EINVAL, "the domain tracks dirty pages, the unit cannot");
	if ((d->base.flags & DRV_ALLOC_NEST_PARENT) && !dvtd_can_nest(u))
		return nb_fail(diag, -EINVAL, "the domain is a nesting parent, the unit cannot nest");
	if (u->scalable && !(u->ecap & VTD_ECAP_SSTS))
		return nb_fail(diag, -EINVAL, "the unit has no second-stage translation");
	if (!has_second_stage_levels(u, d->pt.levels))
		return nb_fail(diag, -EINVAL, "the unit does not walk tables of %u levels (CAP.SAGAW)", d->pt.levels);
	if (nb_low_mask(mgaw(u)) < d->base.aperture_last)
		return nb_fail(diag, -EINVAL, "the unit translates %u bits (CAP.MGAW), the domain has more", mgaw(u));
	if (d->pt.pgsizes & ~second_stage_sizes(u))
		return nb_fail(diag, -EINVAL, "the unit lacks a second-stage page size of the domain (CAP.SSLPS)");
	if ((d->base.flags & DRV_ALLOC_NEST_PARENT) && (u->base.cfg.errata & DRV_ERRATUM_VTD_772415) &&
	    !d->force_writable)
		return nb_fail(diag, -EINVAL, "the unit has erratum 772415, the nesting parent may hold read-only pages");
	if (d->force_snoop && !(u->ecap & VTD_ECAP_SC))
		return nb_fail(diag, -EINVAL, "the domain enforces snooping, the unit cannot (ECAP.SC)");
	return 0;
}

int dvtd_paging_compatible(const struct vtd_domain *d, const struct vtd_unit *u, struct nb_diag *diag)
{
	if (!u->walk_coherent && d->coherent_only)
		return nb_fail(diag, -EINVAL, "the table was built for page walks that snoop, the unit's do not");
	if (dvtd_flush_on_map(u) && !d->flush_on_map)
		return nb_fail(diag, -EINVAL, "the unit wants flushes on map, the domain was not built for that");
	return d->kind == VTD_FIRST_STAGE ? first_stage_compatible(d, u, diag) : second_stage_compatible(d, u, diag);
}

/* ---- map and unmap ---- */

/* Table pages that nothing leads to any more; a unit that is dead may still walk them, and they wait for its removal. */
static void free_pages(struct vtd_domain *d, struct pt_gather *pages, struct vtd_unit *dead)
{
	if (unlikely(dead))
		dvtd_keep_pages(dead, pages);
	else
		pt_gather_free(&d->pt, pages);
}

static int paging_map(struct drv_domain *domain, uint64_t ia, hpa_t pa, uint64_t len, unsigned int prot,
		      struct nb_diag *diag)
{
	struct vtd_domain *d = dvtd_domain(domain);
	struct pt_gather gone = { 0 };
	int err;

	if (d->force_writable && !(prot & PT_WRITE))
		return nb_fail(diag, -EINVAL, "erratum 772415: a nesting parent takes no read-only mapping");
	if (len == 0 || ia + (len - 1) < ia || ia + (len - 1) > domain->aperture_last)
		return nb_fail(diag, -ERANGE, "the range ends beyond the domain's aperture");
	if (d->kind == VTD_SECOND_STAGE && d->force_snoop)
		prot |= PT_SNOOP;
	err = pt_map(&d->pt, ia, pa.v, len, prot, &gone);
	if (unlikely(err || gone.pages)) {
		/* Something was reachable that no longer is: a part that was undone, or an empty table. */
		free_pages(d, &gone, dvtd_flush_range(d, ia, ia + (len - 1), false));
	}
	if (err)
		return nb_fail(diag, err, err == -EADDRINUSE ? "something is mapped there" : "the table refuses the range");
	dvtd_flush_mapped(d, ia, ia + (len - 1));
	return 0;
}

static int paging_unmap(struct drv_domain *domain, uint64_t ia, uint64_t len, struct drv_gather *g)
{
	int err;

	if (len == 0)
		return -EINVAL;
	err = pt_unmap(&dvtd_domain(domain)->pt, ia, len, NULL, &g->pages);
	/* Also on -ENOMEM: what lies before the leaf that could not be split is gone. */
	if (err != -EINVAL)
		drv_gather_add(g, ia, ia + (len - 1));
	return err;
}

static void paging_iotlb_sync(struct drv_domain *domain, struct drv_gather *g)
{
	struct vtd_domain *d = dvtd_domain(domain);
	struct vtd_unit *dead = NULL;

	if (g->any) /* with the hint, units may keep what they cached of upper levels: only if no table goes */
		dead = dvtd_flush_range(d, g->first, g->last, g->pages.npages == 0);
	free_pages(d, &g->pages, dead);
	*g = (struct drv_gather){ 0 };
}

static int paging_iova_to_phys(struct drv_domain *domain, uint64_t ia, hpa_t *pa)
{
	return drv_lookup(&dvtd_domain(domain)->pt, ia, pa);
}

/* ---- changes to entries in force ---- */

/* A bit of a live entry changed: forget the entry, then what was translated with the old bit. Domain lock. */
static void entry_changed(const struct vtd_att *att, bool by_pasid)
{
	struct vtd_unit *u = att->vdev->unit;

	dvtd_flush(u, dvtd_att_entry(att), sizeof(struct vtd_pasid_entry));
	dvtd_queue_begin(u);
	dvtd_queue_push(u, dvtd_desc_pasid_cache(VTD_INV_PC_PASID, att->did, att->pasid));
	dvtd_queue_end(u);
	dvtd_queue_begin(u);
	if (by_pasid)
		dvtd_queue_push(u, dvtd_desc_piotlb(VTD_INV_PIOTLB_PASID, att->did, att->pasid, 0, 0, false));
	else
		dvtd_queue_push(u, dvtd_desc_iotlb(u, VTD_INV_IOTLB_DOMAIN, att->did, 0, 0, false));
	if (att->devtlb)
		dvtd_push_devtlb(u, att->vdev->dev->rid, att->pasid, 0, 52);
	dvtd_queue_end(u);
}

static int set_dirty_tracking(struct drv_domain *domain, bool on, struct nb_diag *diag)
{
	struct vtd_domain *d = dvtd_domain(domain);
	struct vtd_att *att;

	if (!(domain->flags & DRV_ALLOC_DIRTY))
		return nb_fail(diag, -EOPNOTSUPP, "the domain was not allocated for dirty tracking");
	pthread_mutex_lock(&d->lock);
	if (d->dirty_on != on) {
		d->dirty_on = on;
		/* Nested domains walk this second stage through entries of their own. */
		nb_list_for_each(att, &d->atts, link) {
			dvtd_pasid_set_ssade(dvtd_att_entry(att), on);
			entry_changed(att, false);
		}
	}
	pthread_mutex_unlock(&d->lock);
	return 0;
}

static int read_and_clear_dirty(struct drv_domain *domain, uint64_t ia, uint64_t len, bool no_clear, pt_dirty_fn *fn,
				void *opaque, struct drv_gather *g)
{
	if (!(domain->flags & DRV_ALLOC_DIRTY))
		return -EOPNOTSUPP;
	return drv_read_dirty(&dvtd_domain(domain)->pt, ia, len, no_clear, fn, opaque, g);
}

/*
 * Second stage: entries written from now on carry SNP; the core calls before it maps. First stage, and
 * nested domains over this one: PGSNP in the entries in force.
 */
static bool enforce_cache_coherency(struct drv_domain *domain)
{
	struct vtd_domain *d = dvtd_domain(domain);
	struct vtd_att *att;
	bool ok = (dvtd_unit(domain->iommu)->ecap & VTD_ECAP_SC) != 0;

	pthread_mutex_lock(&d->lock);
	nb_list_for_each(att, &d->atts, link)
		ok = ok && (att->vdev->unit->ecap & VTD_ECAP_SC);
	if (ok && !d->force_snoop) {
		d->force_snoop = true;
		nb_list_for_each(att, &d->atts, link) {
			if (att->domain->kind == VTD_SECOND_STAGE)
				continue;
			dvtd_pasid_set_pgsnp(dvtd_att_entry(att));
			entry_changed(att, true);
		}
	}
	pthread_mutex_unlock(&d->lock);
	return ok;
}

static const struct drv_domain_ops first_stage_ops = {
	.free = paging_free,
	.map = paging_map,
	.unmap = paging_unmap,
	.iotlb_sync = paging_iotlb_sync,
	.iova_to_phys = paging_iova_to_phys,
	.enforce_cache_coherency = enforce_cache_coherency,
};

static const struct drv_domain_ops second_stage_ops = {
	.free = paging_free,
	.map = paging_map,
	.unmap = paging_unmap,
	.iotlb_sync = paging_iotlb_sync,
	.iova_to_phys = paging_iova_to_phys,
	.set_dirty_tracking = set_dirty_tracking,
	.read_and_clear_dirty = read_and_clear_dirty,
	.enforce_cache_coherency = enforce_cache_coherency,
};
