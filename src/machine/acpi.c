/* SPDX-License-Identifier: BSD-3-Clause */
#include "machine/acpi.h"

#include <assert.h>
#include <string.h>

#include "dev/dev.h"
#include "hw/vtd/caps.h"
#include "spec/vtd/dmar.h"

_Static_assert(VTD_MMIO_SIZE <= ACPI_DMAR_UNIT_STEP, "the registers of two units do not overlap");

struct table {
	uint8_t *buf;
	size_t len;
	size_t open; /* the structure that is being written */
};

/* The lowest n bytes of v. */
static void put(struct table *t, uint64_t v, unsigned int n)
{
	assert(t->len + n <= ACPI_DMAR_MAX);
	for (; n; n--, v >>= 8)
		t->buf[t->len++] = (uint8_t)v;
}

static void put_at(struct table *t, size_t at, uint64_t v, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		t->buf[at + i] = (uint8_t)(v >> (8 * i));
}

static void text_at(struct table *t, size_t at, const char *s, size_t n)
{
	size_t i, len = strlen(s);

	for (i = 0; i < n; i++)
		t->buf[at + i] = (uint8_t)(i < len ? s[i] : ' ');
}

static void begin(struct table *t, unsigned int type)
{
	t->open = t->len;
	put(t, type, 2);
	put(t, 0, 2);
}

static void end(struct table *t)
{
	put_at(t, t->open + 2, t->len - t->open, 2);
}

/* 8.3.1: a function on a root bus. */
static void put_scope(struct table *t, const struct nb_desc_function *f)
{
	put(t, VTD_SCOPE_ENDPOINT, 1);
	put(t, VTD_SCOPE_SIZE + VTD_SCOPE_HOP, 1);
	put(t, 0, 2);
	put(t, 0, 1); /* enumeration ids are for I/O APICs, HPETs and namespace devices */
	put(t, f->rid >> 8, 1);
	put(t, f->rid >> 3 & 31, 1);
	put(t, f->rid & 7, 1);
}

/* 8.3. INCLUDE_PCI_ALL is never said: what there is has a name. */
static void put_unit(struct table *t, const struct nb_desc *d, uint32_t unit)
{
	uint32_t i;

	begin(t, VTD_DMAR_DRHD);
	put(t, 0, 1);
	put(t, 0, 1); /* 2^0 pages of registers */
	put(t, d->iommu[unit].segment, 2);
	put(t, ACPI_DMAR_UNIT_BASE + unit * ACPI_DMAR_UNIT_STEP, 8);
	for (i = 0; i < d->nfunctions; i++)
		if (d->function[i].iommu == unit)
			put_scope(t, &d->function[i]);
	end(t);
}

static bool has_range(const struct nb_desc_function *f, uint16_t segment, const struct nb_desc_rmrr *r)
{
	unsigned int i;

	for (i = 0; f->segment == segment && i < f->nrmrrs; i++)
		if (f->rmrr[i].base == r->base && f->rmrr[i].size == r->size)
			return true;
	return false;
}

/* 8.4: one structure for a range, with all functions that have it. Written at the first of them. */
static void put_range(struct table *t, const struct nb_desc *d, uint32_t first, const struct nb_desc_rmrr *r)
{
	uint16_t segment = d->function[first].segment;
	uint32_t i;

	for (i = 0; i < first; i++)
		if (has_range(&d->function[i], segment, r))
			return;
	begin(t, VTD_DMAR_RMRR);
	put(t, 0, 2);
	put(t, segment, 2);
	put(t, r->base, 8);
	put(t, r->base + (r->size - 1), 8);
	for (i = first; i < d->nfunctions; i++)
		if (has_range(&d->function[i], segment, r))
			put_scope(t, &d->function[i]);
	end(t);
}

/* The first unit of its segment? */
static bool leads(const struct nb_desc *d, uint32_t unit)
{
	uint32_t i;

	for (i = 0; i < unit; i++)
		if (d->iommu[i].segment == d->iommu[unit].segment)
			return false;
	return true;
}

/* 8.5. A host without ports can only speak of all of them, so all units of the segment must be able to. */
static void put_ports(struct table *t, const struct nb_desc *d, uint32_t segment)
{
	uint32_t i;

	for (i = 0; i < d->niommus; i++)
		if (d->iommu[i].segment == segment && !d->iommu[i].vtd.device_tlb)
			return;
	begin(t, VTD_DMAR_ATSR);
	put(t, VTD_ATSR_ALL_PORTS, 1);
	put(t, 0, 1);
	put(t, segment, 2);
	end(t);
}

static bool has_device_tlb(const struct nb_desc *d, const struct nb_desc_function *f)
{
	struct dev_option opt[NB_DESC_MAX_OPTIONS];
	unsigned int i;

	for (i = 0; i < f->noptions; i++)
		opt[i] = (struct dev_option){.key = f->option[i].key, .value = f->option[i].value};
	return d->iommu[f->iommu].vtd.device_tlb && dev_options_ats(dev_model_find(f->model), opt, f->noptions);
}

/* 8.8. None of our functions needs its device-TLB to work: ATC_REQUIRED stays clear. */
static void put_device_tlbs(struct table *t, const struct nb_desc *d, uint32_t segment)
{
	size_t empty;
	uint32_t i;

	begin(t, VTD_DMAR_SATC);
	put(t, 0, 2);
	put(t, segment, 2);
	empty = t->len;
	for (i = 0; i < d->nfunctions; i++)
		if (d->function[i].segment == segment && has_device_tlb(d, &d->function[i]))
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
	memset(t->buf, 0, VTD_DMAR_SIZE);
	t->len = VTD_DMAR_SIZE;
	text_at(t, VTD_DMAR_SIGNATURE, "DMAR", 4);
	put_at(t, VTD_DMAR_REVISION, 1, 1);
	text_at(t, VTD_DMAR_OEMID, "NSTBOX", 6);
	text_at(t, VTD_DMAR_OEM_TABLE_ID, d->name, 8);
	put_at(t, VTD_DMAR_OEM_REVISION, 1, 4);
	text_at(t, VTD_DMAR_CREATOR_ID, "NBOX", 4);
	put_at(t, VTD_DMAR_CREATOR_REVISION, 1, 4);
	put_at(t, VTD_DMAR_HAW, haw - 1, 1);
	put_at(t, VTD_DMAR_FLAGS, remaps ? VTD_DMAR_INTR_REMAP : 0, 1);
}

size_t acpi_dmar(const struct nb_desc *d, uint8_t out[ACPI_DMAR_MAX])
{
	struct table t = {.buf = out};
	uint8_t sum = 0;
	unsigned int k;
	uint32_t i;
	size_t at;

	put_header(&t, d);
	for (i = 0; i < d->niommus; i++)
		put_unit(&t, d, i);
	for (i = 0; i < d->nfunctions; i++)
		for (k = 0; k < d->function[i].nrmrrs; k++)
			put_range(&t, d, i, &d->function[i].rmrr[k]);
	for (i = 0; i < d->niommus; i++)
		if (leads(d, i))
			put_ports(&t, d, d->iommu[i].segment);
	for (i = 0; i < d->niommus; i++)
		if (leads(d, i))
			put_device_tlbs(&t, d, d->iommu[i].segment);
	put_at(&t, VTD_DMAR_LENGTH, t.len, 4);
	for (at = 0; at < t.len; at++)
		sum = (uint8_t)(sum + out[at]);
	out[VTD_DMAR_CHECKSUM] = (uint8_t)-sum;
	return t.len;
}
