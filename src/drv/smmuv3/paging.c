/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Paging domains: stage 1 and stage 2 tables that the kernel builds.
 *
 * Stage 1 is taken whenever it can serve; nesting parents need stage 2, dirty tracking stage 1 (HTTU). A domain may be
 * walked by several units; each walks the same table under an id of its own, so what one of them cannot do is refused at
 * attach. (Linux 7.2 refuses every unit but the one that the domain was allocated for.)
 *
 * Leaves are cut and joined in one store, which asks for IDR3.BBML 2 of real silicon; the core does not make it happen unless a user
 * unmaps a part of what he mapped.
 */
#include "drv/smmuv3/smmu.h"

#include <errno.h>

#include "base/alloc.h"
#include "drv/common.h"
#include "pt/fmt.h"

static const struct drv_domain_ops s1_ops, s1_dirty_ops, s2_ops;

static const struct pt_fmt *format(bool s1, unsigned int granule)
{
	switch (granule) {
	case 12:
		return s1 ? &pt_fmt_arm64_s1_4k : &pt_fmt_arm64_s2_4k;
	case 14:
		return s1 ? &pt_fmt_arm64_s1_16k : &pt_fmt_arm64_s2_16k;
	default:
		return s1 ? &pt_fmt_arm64_s1_64k : &pt_fmt_arm64_s2_64k;
	}
}

/* Blocks of 4 TiB need 52-bit output (DDI 0487 D8.3). */
static uint64_t sizes(const struct pt_fmt *fmt, unsigned int oas)
{
	return fmt->pgsizes & ~(oas < 52 ? BIT(42) : 0);
}

/* 48 bits but for 64 KiB pages, as for the processes of a host with these pages. */
static unsigned int s1_width(const struct dsmmu *u)
{
	return u->granule == 16 && FIELD_GET(SMMU_IDR5_VAX, u->idr[5]) == SMMU_VAX_52 ? 52 : 48;
}

static unsigned int out_width(const struct dsmmu *u)
{
	return u->granule != 16 && u->oas > 48 ? 48 : u->oas;
}

static unsigned int levels_for(unsigned int width, unsigned int granule)
{
	return (width - granule + granule - 4) / (granule - 3);
}

/*
 * Start tables side by side where the architecture wants them (DDI 0487 D8.2): instead of one more level whose table would have 16
 * entries or fewer, for the widths at which that level does not exist.
 */
static void s2_shape(unsigned int width, unsigned int granule, uint8_t *levels, uint8_t *concat)
{
	bool forced = granule == 12 ? width == 40 || width == 42 : granule == 14 && (width == 40 || width == 48);

	*levels = (uint8_t)levels_for(width, granule);
	*concat = 0;
	if (forced) {
		*levels = (uint8_t)(*levels - 1);
		*concat = (uint8_t)(width - granule - (granule - 3) * (unsigned int)*levels);
	}
}

/* S2SL0 of a table with that many levels; 4 KiB tables count from level 2, the others from level 3. */
static uint8_t s2_start(unsigned int levels, unsigned int granule)
{
	return (uint8_t)(granule == 12 ? levels - 2 : levels - 1);
}

int dsmmu_alloc_paging(struct drv_dev *dev, uint32_t flags, struct drv_domain **out, struct nb_diag *diag)
{
	struct dsmmu *u = dsmmu_of(dev->iommu);
	bool parent = flags & DRV_ALLOC_NEST_PARENT, dirty = flags & DRV_ALLOC_DIRTY;
	bool s1 = !parent && u->s1;
	const struct pt_fmt *fmt = format(s1, u->granule);
	struct dsmmu_domain *d;
	unsigned int width;
	int err;

	if (flags & ~(uint32_t)(DRV_ALLOC_NEST_PARENT | DRV_ALLOC_DIRTY | DRV_ALLOC_PASID))
		return nb_fail(diag, -EOPNOTSUPP, "domain flags %#x are not known", flags);
	if (parent && flags != DRV_ALLOC_NEST_PARENT)
		return nb_fail(diag, -EOPNOTSUPP, "a nesting parent has no PASIDs and tracks no dirty pages here");
	if (parent && !u->nesting)
		return nb_fail(diag, -EOPNOTSUPP, "the SMMU does not have both stages");
	if (dirty && !u->dirty)
		return nb_fail(diag, -EOPNOTSUPP, "the SMMU does not track dirty pages (IDR0.HTTU, COHACC)");
	if ((flags & DRV_ALLOC_PASID) && !u->s1)
		return nb_fail(diag, -EOPNOTSUPP, "the SMMU has no stage 1, which PASIDs need");

	d = dsmmu_domain_new(u, s1 ? DSMMU_S1 : DSMMU_S2, dirty ? &s1_dirty_ops : s1 ? &s1_ops : &s2_ops);
	if (!d)
		return nb_fail(diag, -ENOMEM, "no memory for a domain");
	width = out_width(u);
	d->pt.pool = u->base.cfg.pool;
	if (!u->coherent) {
		d->pt.flush = u->base.cfg.flush;
		d->pt.flush_opaque = u->base.cfg.flush_opaque;
	}
	d->coherent_only = u->coherent;
	d->pt.oa_lg2 = (uint8_t)width;
	d->pt.pgsizes = sizes(fmt, width);
	if (s1) {
		d->pt.ia_lg2 = (uint8_t)s1_width(u);
		d->pt.levels = (uint8_t)levels_for(d->pt.ia_lg2, u->granule);
	} else {
		d->pt.ia_lg2 = (uint8_t)width;
		s2_shape(width, u->granule, &d->pt.levels, &d->pt.concat_lg2);
		d->sl0 = s2_start(d->pt.levels, u->granule);
		d->fwb = parent && u->fwb;
	}
	err = pt_init(&d->pt, fmt);
	if (err) {
		nb_fail(diag, err, "no memory for a page table");
		dsmmu_domain_delete(d);
		return err;
	}
	d->base.type = DRV_DOMAIN_PAGING;
	d->base.flags = flags;
	d->base.pgsizes = d->pt.pgsizes;
	d->base.aperture_last = nb_low_mask(d->pt.ia_lg2);
	*out = &d->base;
	return 0;
}

static void paging_free(struct drv_domain *domain)
{
	struct dsmmu_domain *d = dsmmu_domain(domain);

	pt_fini(&d->pt);
	dsmmu_domain_delete(d);
}

bool dsmmu_is_nest_parent(const struct drv_domain *d)
{
	return d && d->ops == &s2_ops && (d->flags & DRV_ALLOC_NEST_PARENT);
}

/* ---- what entries say of it ---- */

static uint8_t oas_code(unsigned int width)
{
	return width <= 32 ? SMMU_OAS_32 : width <= 36 ? SMMU_OAS_36 : width <= 40 ? SMMU_OAS_40 : width <= 42 ? SMMU_OAS_42 :
	       width <= 44 ? SMMU_OAS_44 : width <= 48 ? SMMU_OAS_48 : SMMU_OAS_52;
}

static void table_args(const struct dsmmu_domain *d, struct dsmmu_table_args *t)
{
	static const uint8_t tg[] = { [12] = SMMU_TG_4K, [14] = SMMU_TG_16K, [16] = SMMU_TG_64K };

	*t = (struct dsmmu_table_args){
		.root = pt_root(&d->pt),
		.ia_bits = d->pt.ia_lg2,
		.tg = tg[d->pt.fmt->page_lg2],
		.ps = oas_code(d->pt.oa_lg2),
		.coherent = d->coherent_only,
	};
}

void dsmmu_s2_args(const struct dsmmu_domain *d, uint16_t vmid, bool stall, struct dsmmu_s2_args *out)
{
	*out = (struct dsmmu_s2_args){ .sl0 = d->sl0, .vmid = vmid, .fwb = d->fwb, .stall = stall };
	table_args(d, &out->t);
}

void dsmmu_cd_args(const struct dsmmu_domain *d, uint16_t asid, bool stall, struct dsmmu_cd_args *out)
{
	*out = (struct dsmmu_cd_args){ .asid = asid, .dirty = d->base.flags & DRV_ALLOC_DIRTY, .stall = stall };
	table_args(d, &out->t);
}

int dsmmu_paging_compatible(const struct dsmmu_domain *d, const struct dsmmu *u, const struct dsmmu_dev *sdev,
			    struct nb_diag *diag)
{
	bool s1 = d->kind == DSMMU_S1;

	if (s1 ? !u->s1 : !u->s2)
		return nb_fail(diag, -EINVAL, "the SMMU has no stage %d", s1 ? 1 : 2);
	if (u->granule != d->pt.fmt->page_lg2)
		return nb_fail(diag, -EINVAL, "the domain's pages are not the SMMU's");
	if (d->coherent_only != u->coherent)
		return nb_fail(diag, -EINVAL, "the table was built for page walks that snoop, or for such that do not");
	if (d->pt.oa_lg2 > u->oas || (d->pt.pgsizes & ~sizes(d->pt.fmt, u->oas)))
		return nb_fail(diag, -EINVAL, "the domain's addresses are wider than the SMMU's %u bits", u->oas);
	if (s1 && d->pt.ia_lg2 > s1_width(u))
		return nb_fail(diag, -EINVAL, "the SMMU translates %u bits, the domain has more", s1_width(u));
	if (!s1 && d->pt.ia_lg2 != out_width(u))
		return nb_fail(diag, -EINVAL, "the SMMU's stage 2 has another shape than the domain's");
	if ((d->base.flags & DRV_ALLOC_DIRTY) && !u->dirty)
		return nb_fail(diag, -EINVAL, "the domain tracks dirty pages, the SMMU cannot");
	if ((d->base.flags & DRV_ALLOC_NEST_PARENT) && !u->nesting)
		return nb_fail(diag, -EINVAL, "the domain is a nesting parent, the SMMU cannot nest");
	if (d->fwb && !u->fwb)
		return nb_fail(diag, -EINVAL, "the domain's memory types are those of forced write-back, which the SMMU has not");
	if (sdev && d->snoop_only && !sdev->dev->always_snoops)
		return nb_fail(diag, -EINVAL, "the domain enforces snooping, function %04x does not always", sdev->dev->rid);
	return 0;
}

/* ---- map and unmap ---- */

/* Table pages that nothing leads to any more; a unit that is dead may still walk them, and they wait for its removal. */
static void free_pages(struct dsmmu_domain *d, struct pt_gather *pages, struct dsmmu *dead)
{
	if (unlikely(dead))
		dsmmu_keep_pages(dead, pages);
	else
		pt_gather_free(&d->pt, pages);
}

static int paging_map(struct drv_domain *domain, uint64_t ia, hpa_t pa, uint64_t len, unsigned int prot,
		      struct nb_diag *diag)
{
	struct dsmmu_domain *d = dsmmu_domain(domain);
	struct pt_gather gone = { 0 };
	int err;

	if (len == 0 || ia + (len - 1) < ia || ia + (len - 1) > domain->aperture_last)
		return nb_fail(diag, -ERANGE, "the range ends beyond the domain's aperture");
	prot &= ~(unsigned int)(PT_SNOOP | PT_TRACK);
	if (d->fwb)
		prot |= PT_SNOOP;
	if (domain->flags & DRV_ALLOC_DIRTY)
		prot |= PT_TRACK;
	err = pt_map(&d->pt, ia, pa.v, len, prot, &gone);
	if (unlikely(err || gone.pages)) {
		/* Something was reachable that no longer is: a part that was undone, or an empty table. */
		free_pages(d, &gone, dsmmu_flush_range(d, ia, ia + (len - 1), false, true));
	}
	if (err)
		return nb_fail(diag, err, err == -EADDRINUSE ? "something is mapped there" : "the table refuses the range");
	return 0;
}

static int paging_unmap(struct drv_domain *domain, uint64_t ia, uint64_t len, struct drv_gather *g)
{
	struct pt *pt = &dsmmu_domain(domain)->pt;
	uint64_t had = pt->npages + g->pages.npages;
	int err;

	if (len == 0)
		return -EINVAL;
	err = pt_unmap(pt, ia, len, NULL, &g->pages);
	/* Also on -ENOMEM: what lies before the leaf that could not be split is gone. */
	if (err != -EINVAL)
		drv_gather_add(g, ia, ia + (len - 1));
	if (pt->npages + g->pages.npages != had) /* a table is new: a leaf became one */
		g->cut = true;
	return err;
}

static void paging_iotlb_sync(struct drv_domain *domain, struct drv_gather *g)
{
	struct dsmmu_domain *d = dsmmu_domain(domain);
	struct dsmmu *dead = NULL;

	if (g->any) /* as leaves, units may keep what they cached of upper levels: only if no table goes */
		dead = dsmmu_flush_range(d, g->first, g->last, g->pages.npages == 0, g->cut);
	free_pages(d, &g->pages, dead);
	*g = (struct drv_gather){ 0 };
}

static int paging_iova_to_phys(struct drv_domain *domain, uint64_t ia, hpa_t *pa)
{
	return drv_lookup(&dsmmu_domain(domain)->pt, ia, pa);
}

/* ---- dirty tracking: always on in a domain that was made for it ---- */

static int set_dirty_tracking(struct drv_domain *domain, bool on, struct nb_diag *diag)
{
	(void)domain;
	(void)on;
	(void)diag;
	return 0;
}

static int read_and_clear_dirty(struct drv_domain *domain, uint64_t ia, uint64_t len, bool no_clear, pt_dirty_fn *fn,
				void *opaque, struct drv_gather *g)
{
	return drv_read_dirty(&dsmmu_domain(domain)->pt, ia, len, no_clear, fn, opaque, g);
}

/* Nothing in a table can do it: either all devices snoop by themselves, or not. */
static bool enforce_cache_coherency(struct drv_domain *domain)
{
	struct dsmmu_domain *d = dsmmu_domain(domain);
	struct dsmmu_att *att;
	bool ok = true;

	pthread_mutex_lock(&d->lock);
	nb_list_for_each(att, &d->atts, link)
		ok = ok && att->sdev->dev->always_snoops;
	if (ok)
		d->snoop_only = true;
	pthread_mutex_unlock(&d->lock);
	return ok;
}

#define PAGING_OPS                                                                                             \
	.free = paging_free, .map = paging_map, .unmap = paging_unmap, .iotlb_sync = paging_iotlb_sync,        \
	.iova_to_phys = paging_iova_to_phys, .enforce_cache_coherency = enforce_cache_coherency

static const struct drv_domain_ops s1_ops = { PAGING_OPS };
static const struct drv_domain_ops s2_ops = { PAGING_OPS };
static const struct drv_domain_ops s1_dirty_ops = {
	PAGING_OPS,
	.set_dirty_tracking = set_dirty_tracking,
	.read_and_clear_dirty = read_and_clear_dirty,
};
