/* SPDX-License-Identifier: BSD-3-Clause */
#include "nest.h"

#include <string.h>

#include "uapi/iommufd.h"

unsigned int nest_unit(const struct rig *r, unsigned int dev)
{
	unsigned int i, n = 0;

	for (i = 0; r->dev[i].hw != r->dev[dev].hw; i++)
		n += i == 0 || r->dev[i].hw != r->dev[i - 1].hw;
	assert(n < NEST_UNITS);
	return n;
}

void nest_init(struct nest *n, struct rig *r, const struct vendor *v, const struct vendor_guest *g, uint32_t parent)
{
	*n = (struct nest){.rig = r, .v = v, .g = *g, .parent = parent};
}

uint32_t nest_viommu(struct nest *n, unsigned int dev, long *err)
{
	uint32_t *id = &n->viommu[nest_unit(n->rig, dev)];
	long e = 0;

	if (!*id && n->v->viommu_type)
		e = rig_viommu(n->rig, dev, n->parent, n->v->viommu_type, id);
	if (err)
		*err = e;
	return *id;
}

bool nest_table(struct nest *n, enum vendor_s1 how, uint64_t root, void *config, uint64_t config_gpa, uint32_t flags,
		struct nested *out)
{
	*out = (struct nested){.nest = n, .root = root, .flags = flags};
	return n->v->s1_blob(&n->g, how, root, config, config_gpa, &out->blob);
}

long nest_hwpt(struct nested *d, unsigned int dev, uint32_t *id)
{
	struct nest *n = d->nest;
	uint32_t *mine = &d->id[n->v->viommu_type ? nest_unit(n->rig, dev) : 0], over = n->parent;
	long err = 0;

	if (!*mine && n->v->viommu_type)
		over = nest_viommu(n, dev, &err);
	if (!err && !*mine)
		err = rig_hwpt_fault_blob(n->rig, dev, over, d->flags, d->fault, d->blob.type, d->blob.bytes, d->blob.len, mine);
	*id = *mine;
	return err;
}

long nest_attach(struct nest_vdevs *vd, struct nested *d, unsigned int dev, uint32_t pasid)
{
	struct nest *n = d->nest;
	uint32_t id;
	long err = nest_hwpt(d, dev, &id);

	if (!err && n->v->viommu_type && vd->at[dev] != n) {
		if (vd->at[dev])
			err = rig_destroy(n->rig, vd->id[dev]);
		vd->at[dev] = NULL;
		if (!err)
			err = rig_vdevice(n->rig, nest_viommu(n, dev, NULL), dev, NEST_VIRT_ID(dev), &vd->id[dev]);
		if (!err)
			vd->at[dev] = n;
	}
	return err ? err : rig_attach(n->rig, dev, pasid, id);
}

long nest_invalidate(struct nested *d, uint64_t va, uint64_t npages, bool leaf)
{
	struct nest *n = d->nest;
	struct vendor_blob b;
	unsigned int i;
	uint32_t done;
	long err = 0;

	n->v->inv_blob(&n->g, d->root, va, npages, leaf, &b);
	for (i = 0; i < NEST_UNITS; i++) {
		uint32_t id = n->v->viommu_type ? n->viommu[i] : d->id[i];

		if (id && !err)
			err = rig_viommu_invalidate(n->rig, id, b.type, b.bytes, b.len, b.n, &done);
	}
	return err;
}

long nest_destroy(struct nested *d)
{
	unsigned int i;
	long err;

	for (i = 0; i < NEST_UNITS; i++) {
		if (!d->id[i])
			continue;
		err = rig_destroy(d->nest->rig, d->id[i]);
		if (err)
			return err;
		d->id[i] = 0;
	}
	return 0;
}
