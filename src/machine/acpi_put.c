/* SPDX-License-Identifier: BSD-3-Clause */
#include "machine/acpi_put.h"

#include <assert.h>
#include <string.h>

#include "dev/dev.h"
#include "machine/desc_vendor.h"

/* ACPI 5.2.6 */
enum {
	SIGNATURE = 0,
	LENGTH = 4,
	REVISION = 8,
	CHECKSUM = 9,
	OEMID = 10,
	OEM_TABLE_ID = 16,
	OEM_REVISION = 24,
	CREATOR_ID = 28,
	CREATOR_REVISION = 32,
};

void acpi_put(struct table *t, uint64_t v, unsigned int n)
{
	assert(t->len + n <= ACPI_MAX);
	for (; n; n--, v >>= 8)
		t->buf[t->len++] = (uint8_t)v;
}

void acpi_put_at(struct table *t, size_t at, uint64_t v, unsigned int n)
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

void acpi_header(struct table *t, const char *signature, unsigned int revision, const char *host, size_t size)
{
	memset(t->buf, 0, size);
	t->len = size;
	text_at(t, SIGNATURE, signature, 4);
	acpi_put_at(t, REVISION, revision, 1);
	text_at(t, OEMID, "NSTBOX", 6);
	text_at(t, OEM_TABLE_ID, host, 8);
	acpi_put_at(t, OEM_REVISION, 1, 4);
	text_at(t, CREATOR_ID, "NBOX", 4);
	acpi_put_at(t, CREATOR_REVISION, 1, 4);
}

size_t acpi_finish(struct table *t)
{
	uint8_t sum = 0;
	size_t at;

	acpi_put_at(t, LENGTH, t->len, 4);
	for (at = 0; at < t->len; at++)
		sum = (uint8_t)(sum + t->buf[at]);
	t->buf[CHECKSUM] = (uint8_t)-sum;
	return t->len;
}

bool acpi_leads(const struct nb_desc *d, uint32_t unit)
{
	uint32_t i;

	for (i = 0; i < unit; i++)
		if (d->iommu[i].segment == d->iommu[unit].segment)
			return false;
	return true;
}

bool acpi_unit_ats(const struct nb_desc *d, uint32_t unit)
{
	return desc_vendor_of(&d->iommu[unit])->device_tlb(desc_part(&d->iommu[unit]));
}

bool acpi_function_ats(const struct nb_desc *d, const struct nb_desc_function *f)
{
	struct dev_option opt[NB_DESC_MAX_OPTIONS];
	unsigned int i;

	for (i = 0; i < f->noptions; i++)
		opt[i] = (struct dev_option){.key = f->option[i].key, .value = f->option[i].value};
	return acpi_unit_ats(d, f->iommu) && dev_options_ats(dev_model_find(f->model), opt, f->noptions);
}

bool acpi_has_range(const struct nb_desc_function *f, uint16_t segment, const struct nb_desc_rmrr *r)
{
	unsigned int i;

	for (i = 0; f->segment == segment && i < f->nrmrrs; i++)
		if (f->rmrr[i].base == r->base && f->rmrr[i].size == r->size)
			return true;
	return false;
}

bool acpi_first_with(const struct nb_desc *d, uint32_t function, const struct nb_desc_rmrr *r)
{
	uint32_t i;

	for (i = 0; i < function; i++)
		if (acpi_has_range(&d->function[i], d->function[function].segment, r))
			return false;
	return true;
}

size_t acpi_table(const struct nb_desc *d, uint8_t out[ACPI_MAX])
{
	return d->iommu[0].vendor == NB_DESC_SMMUV3 ? acpi_iort(d, out) : acpi_dmar(d, out);
}
