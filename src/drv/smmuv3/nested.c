/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nested domains: the guest's own stage 1 over a nesting parent, given as the first two words of a guest STE.
 *
 * What a guest may set is a list; anything else is refused with the bit named. Whether the entry makes sense to the
 * unit beyond that is between the guest and the unit, which reports C_BAD_STE to the guest.
 */
#include "drv/smmuv3/smmu.h"

#include <errno.h>
#include <inttypes.h>

#include "uapi/iommufd.h"

#define GUEST_0 (SMMU_STE_0_V | SMMU_STE_0_CONFIG | SMMU_STE_0_S1FMT | BITS(51, 6) | SMMU_STE_0_S1CDMAX)
#define GUEST_1 (SMMU_STE_1_S1DSS | SMMU_STE_1_S1CIR | SMMU_STE_1_S1COR | SMMU_STE_1_S1CSH | SMMU_STE_1_S1STALLD | SMMU_STE_1_EATS)

static void nested_free(struct drv_domain *domain)
{
	dsmmu_domain_delete(dsmmu_domain(domain));
}

static const struct drv_domain_ops nested_ops = {
	.free = nested_free,
};

static int refuse_bit(struct nb_diag *diag, unsigned int word, uint64_t bits)
{
	return nb_fail(diag, -EIO, "the guest's STE sets bit %u of word %u, which is not the guest's", nb_ilog2(bits), word);
}

static int check_vste(const uint64_t vste[2], struct nb_diag *diag)
{
	uint64_t config = FIELD_GET(SMMU_STE_0_CONFIG, vste[0]), eats = FIELD_GET(SMMU_STE_1_EATS, vste[1]);

	if (vste[0] & ~GUEST_0)
		return refuse_bit(diag, 0, vste[0] & ~GUEST_0);
	if (vste[1] & ~GUEST_1)
		return refuse_bit(diag, 1, vste[1] & ~GUEST_1);
	if (config != SMMU_STE_CONFIG_ABORT && config != SMMU_STE_CONFIG_BYPASS && config != SMMU_STE_CONFIG_S1)
		return nb_fail(diag, -EIO, "the guest's STE has Config %" PRIu64 ", may be abort, bypass or stage 1", config);
	if (eats != SMMU_EATS_ABORT && eats != SMMU_EATS_FULL)
		return nb_fail(diag, -EIO, "the guest's STE has EATS %" PRIu64 ", may be 0 or 1", eats);
	return 0;
}

int dsmmu_alloc_nested(struct drv_viommu *viommu, uint32_t flags, const struct drv_user_data *data, struct drv_domain **out,
		       struct nb_diag *diag)
{
	struct dsmmu_viommu *v = dsmmu_viommu(viommu);
	struct iommu_hwpt_arm_smmuv3 arg;
	struct dsmmu_domain *d;
	uint64_t vste[2];
	int err;

	if (flags)
		return nb_fail(diag, -EOPNOTSUPP, "nested domain flags %#x are not supported here", flags);
	err = drv_copy_user_data(&arg, sizeof(arg), sizeof(arg), IOMMU_HWPT_DATA_ARM_SMMUV3, data);
	if (err)
		return nb_fail(diag, err, "the guest's STE is of another type, cannot be read, or is not %zu bytes", sizeof(arg));
	vste[0] = cpu64((le64_t){ arg.ste[0] });
	vste[1] = cpu64((le64_t){ arg.ste[1] });
	if (!(vste[0] & SMMU_STE_0_V)) {
		vste[0] = vste[1] = 0; /* nothing of an entry that is not valid counts */
	} else {
		err = check_vste(vste, diag);
		if (err)
			return err;
	}
	d = dsmmu_domain_new(dsmmu_of(viommu->iommu), DSMMU_NESTED, &nested_ops);
	if (!d)
		return nb_fail(diag, -ENOMEM, "no memory for a domain");
	d->base.type = DRV_DOMAIN_NESTED;
	d->base.flags = flags;
	d->base.parent = viommu->parent;
	d->base.viommu = viommu;
	d->viommu = v;
	d->vste[0] = vste[0];
	d->vste[1] = vste[1];
	*out = &d->base;
	return 0;
}

int dsmmu_nested_unit(const struct dsmmu_domain *d, const struct dsmmu_dev *sdev, struct nb_diag *diag)
{
	if (d->viommu->base.iommu != &sdev->unit->base)
		return nb_fail(diag, -EINVAL, "the vIOMMU stands on another SMMU than that of function %04x", sdev->dev->rid);
	return 0;
}

int dsmmu_nested_named(const struct dsmmu_domain *d, const struct dsmmu_dev *sdev, struct nb_diag *diag)
{
	struct dsmmu_viommu *v = d->viommu;
	struct dsmmu_vdevice *vd = NULL, *i;
	unsigned int b;

	if (dsmmu_vste_config(d) != SMMU_STE_CONFIG_S1)
		return 0;
	pthread_mutex_lock(&v->lock);
	for (b = 0; b < ARRAY_SIZE(v->vdevs); b++)
		nb_list_for_each(i, &v->vdevs[b], link)
			if (i->base.dev == sdev->dev)
				vd = i;
	pthread_mutex_unlock(&v->lock);
	return vd ? 0 : nb_fail(diag, -ENOENT, "function %04x has no vDEVICE in the vIOMMU", sdev->dev->rid);
}
