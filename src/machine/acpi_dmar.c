/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The DMA Remapping Reporting table, for hosts with VT-d units.
 *
 * One DRHD for each unit, with the functions behind it named one by one; an RMRR for each range of memory that functions have reserved; an
 * ATSR for each segment whose units all have device-TLB support; a SATC for each segment with functions that have a device-TLB. All
 * functions of a virtual host sit on root buses: there are no bridges and no ports, so a path has one hop.
 */
#include "machine/acpi_put.h"

#include "hw/vtd/caps.h"
#include "spec/vtd/dmar.h"

_Static_assert(VTD_MMIO_SIZE <= ACPI_DMAR_UNIT_STEP, "the registers of two units do not overlap");
/* Every list full, every function named in each. */
_Static_assert(48 + NB_DESC_MAX_IOMMUS * (16 + 8 + 8) + NB_DESC_MAX_FUNCTIONS * (8 + 8 + NB_DESC_MAX_RMRRS * (24 + 8)) <= ACPI_MAX, "");

static void begin(struct table *t, unsigned int type)
{
	t->open = t->len;
	acpi_put(t, type, 2);
	acpi_put(t, 0, 2);
}

static void end(struct table *t)
{
	acpi_put_at(t, t->open + 2, t->len - t->open, 2);
}

/* 8.3.1: a function on a root bus. */
static void put_scope(struct table *t, const struct nb_desc_function *f)
{
	acpi_put(t, VTD_SCOPE_ENDPOINT, 1);
	acpi_put(t, VTD_SCOPE_SIZE + VTD_SCOPE_HOP, 1);
	acpi_put(t, 0, 2);
	acpi_put(t, 0, 1); /* enumeration ids are for I/O APICs, HPETs and namespace devices */
	acpi_put(t, f->rid >> 8, 1);
	acpi_put(t, f->rid >> 3 & 31, 1);
	acpi_put(t, f->rid & 7, 1);
}

/* 8.3. INCLUDE_PCI_ALL is never said: what there is has a name. */
static void put_unit(struct table *t, const struct nb_desc *d, uint32_t unit)
{
	uint32_t i;

	begin(t, VTD_DMAR_DRHD);
	acpi_put(t, 0, 1);
	acpi_put(t, 0, 1); /* 2^0 pages of registers */
	acpi_put(t, d->iommu[unit].segment, 2);
	acpi_put(t, ACPI_DMAR_UNIT_BASE + unit * ACPI_DMAR_UNIT_STEP, 8);
	for (i = 0; i < d->nfunctions; i++)
		if (d->function[i].iommu == unit)
			put_scope(t, &d->function[i]);
	end(t);
}

/* 8.4: one structure for a range, with all functions that have it. Written at the first of them. */
static void put_range(struct table *t, const struct nb_desc *d, uint32_t first, const struct nb_desc_rmrr *r)
{
	uint16_t segment = d->function[first].segment;
	uint32_t i;

	if (!acpi_first_with(d, first, r))
		return;
	begin(t, VTD_DMAR_RMRR);
	acpi_put(t, 0, 2);
	acpi_put(t, segment, 2);
	acpi_put(t, r->base, 8);
	acpi_put(t, r->base + (r->size - 1), 8);
	for (i = first; i < d->nfunctions; i++)
		if (acpi_has_range(&d->function[i], segment, r))
			put_scope(t, &d->function[i]);
	end(t);
}

/* 8.5. A host without ports can only speak of all of them, so all units of the segment must be able to. */
static void put_ports(struct table *t, const struct nb_desc *d, uint32_t segment)
{
	uint32_t i;

	for (i = 0; i < d->niommus; i++)
		if (d->iommu[i].segment == segment && !acpi_unit_ats(d, i))
			return;
	begin(t, VTD_DMAR_ATSR);
	acpi_put(t, VTD_ATSR_ALL_PORTS, 1);
	acpi_put(t, 0, 1);
	acpi_put(t, segment, 2);
	end(t);
}

/* 8.8. None of our functions needs its device-TLB to work: ATC_REQUIRED stays clear. */
static void put_device_tlbs(struct table *t, const struct nb_desc *d, uint32_t segment)
{
	size_t empty;
	uint32_t i;

	begin(t, VTD_DMAR_SATC);
	acpi_put(t, 0, 2);
	acpi_put(t, segment, 2);
	empty = t->len;
	for (i = 0; i < d->nfunctions; i++)
		if (d->function[i].segment == segment && acpi_function_ats(d, &d->function[i]))
			put_scope(t, &d->function[i]);
	if (t->len == empty)
		t->len = t->open;
	else
		end(t);
}

static void put_header(struct table *t, const struct nb_desc *d)
{
	unsigned int haw = 0;
	bool remaps = true;
	uint32_t i;

	for (i = 0; i < d->niommus; i++) {
		haw = d->iommu[i].vtd.haw > haw ? d->iommu[i].vtd.haw : haw;
		remaps = remaps && d->iommu[i].vtd.intr_remap;
	}
	acpi_header(t, "DMAR", 1, d->name, VTD_DMAR_SIZE);
	acpi_put_at(t, VTD_DMAR_HAW, haw - 1, 1);
	acpi_put_at(t, VTD_DMAR_FLAGS, remaps ? VTD_DMAR_INTR_REMAP : 0, 1);
}

size_t acpi_dmar(const struct nb_desc *d, uint8_t out[ACPI_MAX])
{
	struct table t = {.buf = out};
	unsigned int k;
	uint32_t i;

	put_header(&t, d);
	for (i = 0; i < d->niommus; i++)
		put_unit(&t, d, i);
	for (i = 0; i < d->nfunctions; i++)
		for (k = 0; k < d->function[i].nrmrrs; k++)
			put_range(&t, d, i, &d->function[i].rmrr[k]);
	for (i = 0; i < d->niommus; i++)
		if (acpi_leads(d, i))
			put_ports(&t, d, d->iommu[i].segment);
	for (i = 0; i < d->niommus; i++)
		if (acpi_leads(d, i))
			put_device_tlbs(&t, d, d->iommu[i].segment);
	return acpi_finish(&t);
}
