/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The I/O Remapping Table, for hosts with SMMUs.
 *
 * One ITS group, which stands for the host's doorbell; a node for each SMMU; a root complex for each segment, which sends the
 * functions' ids one by one to their SMMUs; a node for each range of memory that functions have reserved. A StreamID is the function's
 * requester id, and the DeviceID of its messages is that below its segment's number.
 */
#include "machine/acpi_put.h"

#include "hw/smmuv3/caps.h"
#include "spec/smmuv3/iort.h"
#include "spec/smmuv3/regs.h"

#define IDS		 0x10000u /* of a segment */
#define ITS_ID		 0u
/* DeviceIDs of the units' own messages, above those of all segments; wires of units that send none. */
#define UNIT_DEVICE_ID	 UINT64_C(0xffffff00)
#define UNIT_GSIV	 96u
#define ADDRESS_BITS	 64 /* that functions can put on the bus */

_Static_assert(SMMU_REGS_SIZE <= ACPI_IORT_UNIT_STEP, "the registers of two units do not overlap");
/* Every list full; a range for each function, and each with a mapping of its own. */
_Static_assert(SMMU_IORT_SIZE + SMMU_IORT_ITS_SIZE + 4 + NB_DESC_MAX_IOMMUS * (SMMU_IORT_SMMUV3_SIZE + 2 * SMMU_IORT_MAP_SIZE) +
		       NB_DESC_MAX_IOMMUS * SMMU_IORT_ROOT_COMPLEX_SIZE + NB_DESC_MAX_FUNCTIONS * SMMU_IORT_MAP_SIZE +
		       NB_DESC_MAX_FUNCTIONS * NB_DESC_MAX_RMRRS *
			       (SMMU_IORT_RMR_SIZE + SMMU_IORT_MAP_SIZE + SMMU_IORT_RMR_RANGE_SIZE) <=
	       ACPI_MAX, "");

struct iort {
	struct table t;
	const struct nb_desc *d;
	uint32_t nnodes, nmaps;
	size_t its, unit[NB_DESC_MAX_IOMMUS]; /* where the nodes are */
};

static size_t begin(struct iort *o, unsigned int type, unsigned int revision)
{
	o->t.open = o->t.len;
	o->nmaps = 0;
	acpi_put(&o->t, type, 1);
	acpi_put(&o->t, 0, 2);
	acpi_put(&o->t, revision, 1);
	acpi_put(&o->t, o->nnodes++, 4);
	acpi_put(&o->t, 0, 8); /* no mappings yet */
	return o->t.open;
}

static void end(struct iort *o)
{
	acpi_put_at(&o->t, o->t.open + SMMU_IORT_NODE_LENGTH, o->t.len - o->t.open, 2);
}

static void put_map(struct iort *o, uint32_t in, uint32_t n, uint64_t out, size_t node, uint64_t flags)
{
	if (o->nmaps == 0)
		acpi_put_at(&o->t, o->t.open + SMMU_IORT_NODE_MAPS, o->t.len - o->t.open, 4);
	acpi_put_at(&o->t, o->t.open + SMMU_IORT_NODE_NMAPS, ++o->nmaps, 4);
	acpi_put(&o->t, in, 4);
	acpi_put(&o->t, n - 1, 4);
	acpi_put(&o->t, out, 4);
	acpi_put(&o->t, node, 4);
	acpi_put(&o->t, flags, 4);
}

static void put_its(struct iort *o)
{
	o->its = begin(o, SMMU_IORT_ITS, SMMU_IORT_ITS_REVISION);
	acpi_put(&o->t, 1, 4);
	acpi_put(&o->t, ITS_ID, 4);
	end(o);
}

/* Functions' messages keep their ids; the unit's own have one. */
static void put_unit(struct iort *o, uint32_t i)
{
	const struct nb_desc_iommu *u = &o->d->iommu[i];
	const struct nb_desc_smmuv3 *s = &u->smmuv3;
	unsigned int k;

	o->unit[i] = begin(o, SMMU_IORT_SMMUV3, SMMU_IORT_SMMUV3_REVISION);
	acpi_put(&o->t, ACPI_IORT_UNIT_BASE + i * ACPI_IORT_UNIT_STEP, 8);
	acpi_put(&o->t, (s->coherent ? SMMU_IORT_SMMUV3_COHACC : 0) | FIELD(SMMU_IORT_SMMUV3_HTTU, s->httu) |
		 (s->msi ? SMMU_IORT_SMMUV3_DEVICEID : 0), 4);
	acpi_put(&o->t, 0, 4);
	acpi_put(&o->t, 0, 8); /* no VATOS */
	acpi_put(&o->t, SMMU_IORT_SMMUV3_GENERIC, 4);
	for (k = 0; k < 4; k++)
		acpi_put(&o->t, s->msi ? 0 : UNIT_GSIV + 4 * i + k, 4);
	acpi_put(&o->t, 0, 4); /* no proximity domain */
	acpi_put(&o->t, s->msi ? 1 : 0, 4);
	put_map(o, 0, IDS, (uint64_t)u->segment * IDS, o->its, 0);
	if (s->msi)
		put_map(o, 0, 1, UNIT_DEVICE_ID + i, o->its, SMMU_IORT_MAP_SINGLE);
	end(o);
}

/* What all units of a segment can do, the root complex says it can. */
static void put_root_complex(struct iort *o, uint32_t segment)
{
	uint64_t ats = SMMU_IORT_ATS_SUPPORTED | SMMU_IORT_PRI_SUPPORTED | SMMU_IORT_PASID_FORWARD;
	const struct nb_desc *d = o->d;
	unsigned int width = 20;
	uint32_t i;

	for (i = 0; i < d->niommus; i++) {
		const struct nb_desc_smmuv3 *s = &d->iommu[i].smmuv3;

		if (d->iommu[i].segment != segment)
			continue;
		ats &= ~((s->ats ? 0 : SMMU_IORT_ATS_SUPPORTED) | (s->pri ? 0 : SMMU_IORT_PRI_SUPPORTED));
		width = s->ssid_bits < width ? s->ssid_bits : width;
	}
	if (width == 0)
		ats &= ~SMMU_IORT_PASID_FORWARD;
	begin(o, SMMU_IORT_ROOT_COMPLEX, SMMU_IORT_ROOT_COMPLEX_REVISION);
	acpi_put(&o->t, SMMU_IORT_COHERENT, 4);
	acpi_put(&o->t, 0, 3);
	acpi_put(&o->t, SMMU_IORT_MEM_CPM | SMMU_IORT_MEM_DACS | SMMU_IORT_MEM_CANWBS, 1);
	acpi_put(&o->t, ats, 4);
	acpi_put(&o->t, segment, 4);
	acpi_put(&o->t, ADDRESS_BITS, 1);
	acpi_put(&o->t, FIELD(SMMU_IORT_PASID_WIDTH, width), 2);
	acpi_put(&o->t, 0, 1);
	acpi_put(&o->t, 0, 4); /* PASIDs have no flags of ours */
	for (i = 0; i < d->nfunctions; i++)
		if (d->function[i].segment == segment)
			put_map(o, d->function[i].rid, 1, d->function[i].rid, o->unit[d->function[i].iommu], 0);
	end(o);
}

/* Whoever has it uses it as it is, whatever the operating system does: no remapping. */
static void put_range(struct iort *o, uint32_t first, const struct nb_desc_rmrr *r)
{
	const struct nb_desc *d = o->d;
	uint32_t i;

	begin(o, SMMU_IORT_RMR, SMMU_IORT_RMR_REVISION);
	acpi_put(&o->t, FIELD_C(SMMU_IORT_RMR_ATTR, SMMU_IORT_RMR_ATTR_NORMAL_WB), 4);
	acpi_put(&o->t, 1, 4);
	acpi_put(&o->t, 0, 4);
	for (i = first; i < d->nfunctions; i++)
		if (acpi_has_range(&d->function[i], d->function[first].segment, r))
			put_map(o, 0, 1, d->function[i].rid, o->unit[d->function[i].iommu], SMMU_IORT_MAP_SINGLE);
	acpi_put_at(&o->t, o->t.open + SMMU_IORT_RMR_SIZE - 4, o->t.len - o->t.open, 4);
	acpi_put(&o->t, r->base, 8);
	acpi_put(&o->t, r->size, 8);
	acpi_put(&o->t, 0, 4);
	end(o);
}

size_t acpi_iort(const struct nb_desc *d, uint8_t out[ACPI_MAX])
{
	struct iort o = {.t = {.buf = out}, .d = d};
	unsigned int k;
	uint32_t i;

	acpi_header(&o.t, "IORT", SMMU_IORT_REVISION, d->name, SMMU_IORT_SIZE);
	acpi_put_at(&o.t, SMMU_IORT_NODES, SMMU_IORT_SIZE, 4);
	put_its(&o);
	for (i = 0; i < d->niommus; i++)
		put_unit(&o, i);
	for (i = 0; i < d->niommus; i++)
		if (acpi_leads(d, i))
			put_root_complex(&o, d->iommu[i].segment);
	for (i = 0; i < d->nfunctions; i++)
		for (k = 0; k < d->function[i].nrmrrs; k++)
			if (acpi_first_with(d, i, &d->function[i].rmrr[k]))
				put_range(&o, i, &d->function[i].rmrr[k]);
	acpi_put_at(&o.t, SMMU_IORT_NNODES, o.nnodes, 4);
	return acpi_finish(&o.t);
}
