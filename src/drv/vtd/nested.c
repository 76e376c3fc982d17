/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nested domains: the guest's own first-stage table over a nesting parent, and
 * the guest's invalidations.
 *
 * Allocation only copies what the user gave; whether a unit can do it is a question of the unit, asked
 * at attach. Guest PASIDs and DIDs never get here: an invalidation goes to the (DID, PASID) of each
 * attachment of the domain.
 */
#include "drv/vtd/vtd.h"

#include <errno.h>
#include <inttypes.h>

#include "mem/guard.h"
#include "uapi/iommufd.h"

/* Entries copied at a time: what one submission takes. */
#define USER_INV_BLOCK VTD_QUEUE_BATCH

static const struct drv_domain_ops nested_ops;

int dvtd_alloc_nested(struct drv_dev *dev, struct drv_domain *parent, uint32_t flags, const struct drv_user_data *data,
		     struct drv_domain **out, struct nb_diag *diag)
{
	struct vtd_unit *u = dvtd_unit(dev->iommu);
	struct vtd_domain *d;
	struct iommu_hwpt_vtd_s1 s1;
	int err;

	if (!dvtd_can_nest(u))
		return nb_fail(diag, -EOPNOTSUPP, "the unit has no nested translation (ECAP.NEST)");
	if (flags & ~(uint32_t)DRV_ALLOC_PASID)
		return nb_fail(diag, -EOPNOTSUPP, "nested domain flags %#x are not known", flags);
	if (data->type != IOMMU_HWPT_DATA_VTD_S1)
		return nb_fail(diag, -EOPNOTSUPP, "data type %u is not VT-d's stage-1", data->type);
	if (!dvtd_is_nest_parent(parent))
		return nb_fail(diag, -EINVAL, "the parent is not a second-stage domain made for nesting");
	err = drv_copy_user_data(&s1, sizeof(s1), sizeof(s1), IOMMU_HWPT_DATA_VTD_S1, data);
	if (err)
		return nb_fail(diag, err, "the stage-1 data cannot be read, or is not %zu bytes", sizeof(s1));
	d = dvtd_domain_new(u, VTD_NESTED, &nested_ops);
	if (!d)
		return nb_fail(diag, -ENOMEM, "no memory for a domain");
	d->base.type = DRV_DOMAIN_NESTED;
	d->base.flags = flags;
	d->base.parent = parent;
	d->s1_flags = s1.flags;
	d->s1_root = gpa(s1.pgtbl_addr & VTD_PASID_2_FSPTPTR);
	d->s1_width = s1.addr_width;
	*out = &d->base;
	return 0;
}

static void nested_free(struct drv_domain *domain)
{
	dvtd_domain_delete(dvtd_domain(domain));
}

int dvtd_nested_compatible(const struct vtd_domain *d, const struct vtd_unit *u, struct nb_diag *diag)
{
	if (d->s1_width != 48 && d->s1_width != 57)
		return nb_fail(diag, -EINVAL, "stage-1 address width %" PRIu32 " is neither 48 nor 57", d->s1_width);
	if (d->s1_width == 57 && !(u->cap & VTD_CAP_FS5LP))
		return nb_fail(diag, -EINVAL, "stage-1 has 5 levels, the unit walks 4");
	if ((d->s1_flags & IOMMU_VTD_S1_SRE) && !(u->ecap & VTD_ECAP_SRS))
		return nb_fail(diag, -EINVAL, "stage-1 wants supervisor requests, the unit has none (ECAP.SRS)");
	if ((d->s1_flags & IOMMU_VTD_S1_EAFE) && !(u->ecap & VTD_ECAP_EAFS))
		return nb_fail(diag, -EINVAL, "stage-1 wants extended accessed flags, the unit has none (ECAP.EAFS)");
	return dvtd_paging_compatible(dvtd_parent(d), u, diag);
}

/* ---- the guest's invalidations ---- */

/* Inclusive. A count that runs over the end, or of nothing, invalidates more than was asked for: allowed. */
static void inv_range(const struct iommu_hwpt_vtd_s1_invalidate *inv, uint64_t *first, uint64_t *last)
{
	uint64_t len;

	*first = inv->addr;
	if (inv->npages == UINT64_MAX || __builtin_mul_overflow(inv->npages, 4096, &len) ||
	    __builtin_add_overflow(inv->addr, len - 1, last)) {
		*first = 0;
		*last = UINT64_MAX;
	}
}

static int check_inv(const struct iommu_hwpt_vtd_s1_invalidate *inv, struct nb_diag *diag)
{
	if ((inv->flags & ~(uint32_t)IOMMU_VTD_INV_FLAGS_LEAF) || inv->__reserved)
		return nb_fail(diag, -EOPNOTSUPP, "invalidation flags %#" PRIx32 ", reserved %#" PRIx32, inv->flags,
			       inv->__reserved);
	if (!nb_aligned(inv->addr, 4096) || (inv->npages == UINT64_MAX && inv->addr))
		return nb_fail(diag, -EINVAL, "invalidation of %#" PRIx64 " pages at %#" PRIx64, inv->npages, inv->addr);
	return 0;
}

/*
 * A block of entries to one tag of the unit's own TLB: all words of a descriptor but the address are
 * the same.
 */
static void push_iotlb(const struct vtd_tag *t, const struct iommu_hwpt_vtd_s1_invalidate *inv, uint32_t n)
{
	const struct vtd_desc all = dvtd_desc_piotlb(VTD_INV_PIOTLB_PASID, t->did, t->pasid, 0, 0, false);
	const struct vtd_desc page = dvtd_desc_piotlb(VTD_INV_PIOTLB_PAGE, t->did, t->pasid, 0, 0, false);
	int max_am = dvtd_max_am(t->unit);
	uint32_t i;

	for (i = 0; i < n; i++) {
		uint64_t first, last;
		unsigned int am;

		inv_range(&inv[i], &first, &last);
		am = dvtd_cover_lg2(first, last);
		if (likely((int)am <= max_am))
			dvtd_queue_push(t->unit, (struct vtd_desc){
				page.lo, page.hi | (first & ~nb_low_mask(12 + am)) | am |
					 (inv[i].flags & IOMMU_VTD_INV_FLAGS_LEAF ? VTD_INV_PIOTLB_1_IH : 0)});
		else
			dvtd_queue_push(t->unit, all);
	}
}

/* Entries [0, n) of a block, checked, to every tag. */
static void run_block(struct vtd_domain *d, const struct iommu_hwpt_vtd_s1_invalidate *inv, uint32_t n)
{
	struct vtd_unit *open = NULL;
	struct vtd_tag *t;
	uint32_t i;

	pthread_mutex_lock(&d->lock);
	nb_list_for_each(t, &d->tags, link) {
		if (t->unit != open) {
			if (open)
				dvtd_queue_end(open);
			open = t->unit;
			dvtd_queue_begin(open);
		}
		if (likely(t->kind == VTD_TAG_IOTLB)) {
			push_iotlb(t, inv, n);
			continue;
		}
		for (i = 0; i < n; i++) {
			uint64_t first, last;

			inv_range(&inv[i], &first, &last);
			dvtd_push_tag(d, t, first, last, inv[i].flags & IOMMU_VTD_INV_FLAGS_LEAF);
		}
	}
	if (open)
		dvtd_queue_end(open); /* the guest is not told of hardware errors; they are traced */
	pthread_mutex_unlock(&d->lock);
}

static void trace_block(struct nb_trace *tr, const struct iommu_hwpt_vtd_s1_invalidate *inv, uint32_t n)
{
	uint32_t i;

	if (n == 0)
		return;
	if (nb_trace_logged(tr, NB_EV_drv_inv_user))
		for (i = 0; i < n; i++)
			NB_TRACE(tr, drv_inv_user, inv[i].addr, inv[i].npages, inv[i].flags);
	else
		NB_TRACE_N(tr, drv_inv_user, n, inv[0].addr, inv[0].npages, inv[0].flags, 0);
}

/* Copy up to n entries; *got is what could be read. 0 or -EFAULT when fewer. */
static int copy_block(struct iommu_hwpt_vtd_s1_invalidate *inv, uint64_t uptr, uint32_t n, uint32_t *got)
{
	uint32_t i;

	*got = n;
	if (guard_copy(inv, (const void *)(uintptr_t)uptr, n * sizeof(*inv)) == 0)
		return 0;
	/* The array ends in memory that is not there: take what comes before. */
	for (i = 0; i < n; i++)
		if (guard_copy(&inv[i], (const void *)(uintptr_t)(uptr + i * sizeof(*inv)), sizeof(*inv)))
			break;
	*got = i;
	return i < n ? -EFAULT : 0;
}

static int cache_invalidate_user(struct drv_domain *domain, struct drv_user_array *a, struct nb_diag *diag)
{
	struct vtd_domain *d = dvtd_domain(domain);
	struct iommu_hwpt_vtd_s1_invalidate inv[USER_INV_BLOCK];
	uint32_t total = a->entry_num, done = 0;
	int err = 0;

	a->entry_num = 0;
	if (a->type != IOMMU_HWPT_INVALIDATE_DATA_VTD_S1)
		return nb_fail(diag, -EINVAL, "invalidation data type %u is not VT-d's", a->type);
	if (total && a->entry_len != sizeof(struct iommu_hwpt_vtd_s1_invalidate))
		return nb_fail(diag, -EINVAL, "invalidation entries of %u bytes, must be %zu", a->entry_len,
			       sizeof(struct iommu_hwpt_vtd_s1_invalidate));
	while (done < total && err == 0) {
		uint32_t n = total - done, good;

		if (n > USER_INV_BLOCK)
			n = USER_INV_BLOCK;
		err = copy_block(inv, a->uptr + (uint64_t)done * sizeof(*inv), n, &n);
		for (good = 0; good < n; good++) {
			int bad = check_inv(&inv[good], diag);

			if (unlikely(bad)) {
				err = bad;
				break;
			}
		}
		trace_block(domain->iommu->cfg.tr, inv, good);
		if (good)
			run_block(d, inv, good);
		done += good;
	}
	a->entry_num = done;
	if (err == -EFAULT)
		nb_fail(diag, err, "invalidation entry %u cannot be read", done);
	return err;
}

static const struct drv_domain_ops nested_ops = {
	.free = nested_free,
	.cache_invalidate_user = cache_invalidate_user,
};
