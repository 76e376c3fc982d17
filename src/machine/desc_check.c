/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Is a description one that can be built? Everything that a reader of struct nb_desc relies on is established
 * here and nowhere else, for descriptions from YAML and for bytes from a file alike: strings end, counts and indices are
 * in range, booleans are 0 or 1, and what was asked of a unit fits together.
 */
#include "machine/desc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "base/diag.h"
#include "dev/dev.h"
#include "machine/desc_vendor.h"
#include "machine/own_iommu.h"

#define STR_OK(s) (memchr((s), 0, sizeof(s)) != NULL)

static bool name_ok(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	return n > 0 && s[n] == 0 && s[0] != '.' && s[0] != '-';
}

/* A description may be bytes from a file: a bool that holds neither 0 nor 1 must not be read as one. */
static bool switches_ok(const struct desc_vendor *v, const void *part)
{
	const volatile uint8_t *p = part;
	const struct desc_erratum *e;
	const struct desc_key *k;

	for (k = v->keys; k->name; k++)
		if ((k->kind == DESC_KEY_BOOL || k->kind == DESC_KEY_EITHER) && p[k->offset] > 1)
			return false;
	for (e = v->errata; e->number; e++)
		if (p[e->offset] > 1)
			return false;
	return true;
}

/* *part: the reason is about what the unit can do, in the words of its vendor. */
static int check_iommu(const struct nb_desc *d, uint32_t i, bool *part, struct nb_diag *diag)
{
	const struct nb_desc_iommu *u = &d->iommu[i];
	const struct desc_vendor *v;
	uint32_t j;

	if (!STR_OK(u->name) || !name_ok(u->name))
		return nb_fail(diag, -EINVAL, "an IOMMU's name is letters, digits, '.', '_' and '-'");
	for (j = 0; j < i; j++)
		if (strcmp(d->iommu[j].name, u->name) == 0)
			return nb_fail(diag, -EINVAL, "two IOMMUs are called %s", u->name);
	if (u->segment > UINT16_MAX)
		return nb_fail(diag, -EINVAL, "segment %" PRIu32 " does not fit 16 bits", u->segment);
	v = desc_vendor_of(u);
	if (!v)
		return nb_fail(diag, -EINVAL, "IOMMU %s is of an unknown vendor", u->name);
	/* Interrupts and firmware tables are a machine's: of one kind or of the other. */
	if (u->vendor != d->iommu[0].vendor)
		return nb_fail(diag, -EINVAL, "the units of a host are of one vendor: %s is %s, %s is %s", d->iommu[0].name,
			       desc_vendor_of(&d->iommu[0])->title, u->name, v->title);
	if (!switches_ok(v, desc_part(u)))
		return nb_fail(diag, -EINVAL, "the description is damaged: a switch is neither on nor off");
	*part = true;
	return v->check(desc_part(u), diag);
}

static int check_options(const struct nb_desc_function *f, const struct dev_model *model, struct nb_diag *diag)
{
	struct dev_option opt[NB_DESC_MAX_OPTIONS];
	unsigned int i, j;

	for (i = 0; i < f->noptions; i++) {
		const struct nb_desc_option *o = &f->option[i];

		if (!STR_OK(o->key) || !STR_OK(o->value) || !name_ok(o->key))
			return nb_fail(diag, -EINVAL, "an option's name is letters, digits, '.', '_' and '-'");
		for (j = 0; j < i; j++)
			if (strcmp(f->option[j].key, o->key) == 0)
				return nb_fail(diag, -EINVAL, "option %s is given twice", o->key);
	}
	return dev_check_options(model, opt, own_iommu_options(f, opt), diag);
}

/* VT-d 8.4; DEN 0049, reserved memory range nodes: whole pages that the unit can address. Functions may share a range; parts of ranges are a mistake. */
static int check_rmrrs(const struct nb_desc *d, uint32_t i, struct nb_diag *diag)
{
	const struct nb_desc_function *f = &d->function[i];
	const struct nb_desc_iommu *u = &d->iommu[f->iommu];
	const struct desc_vendor *v = desc_vendor_of(u);
	unsigned int width = v->address_bits(desc_part(u)), k, l;
	uint32_t j;

	if (f->nrmrrs > NB_DESC_MAX_RMRRS)
		return nb_fail(diag, -EINVAL, "more than %d ranges of reserved memory", NB_DESC_MAX_RMRRS);
	for (k = 0; k < f->nrmrrs; k++) {
		const struct nb_desc_rmrr *r = &f->rmrr[k];

		if (r->size == 0 || !nb_aligned(r->base | r->size, v->rmrr_align))
			return nb_fail(diag, -EINVAL, "rmrr: base %#" PRIx64 " and size %#" PRIx64 " must be multiples of %" PRIu32, r->base,
				       r->size, v->rmrr_align);
		if (r->size - 1 > UINT64_MAX - r->base || (r->base + (r->size - 1)) >> width != 0)
			return nb_fail(diag, -EINVAL, "rmrr: base %#" PRIx64 " and size %#" PRIx64 " go beyond the host address width of %u bits",
				       r->base, r->size, width);
		for (j = 0; j <= i; j++)
			for (l = 0; l < (j == i ? k : d->function[j].nrmrrs); l++) {
				const struct nb_desc_rmrr *q = &d->function[j].rmrr[l];

				if (d->function[j].segment != f->segment || r->base > q->base + (q->size - 1) ||
				    q->base > r->base + (r->size - 1))
					continue;
				if (j == i || q->base != r->base || q->size != r->size)
					return nb_fail(diag, -EINVAL, "rmrr: the range at %#" PRIx64 " overlaps the one at %#" PRIx64, r->base, q->base);
			}
	}
	return 0;
}

static int check_function(const struct nb_desc *d, uint32_t i, struct nb_diag *diag)
{
	const struct nb_desc_function *f = &d->function[i];
	const struct dev_model *model;
	uint32_t j;
	int err;

	if (f->iommu >= d->niommus)
		return nb_fail(diag, -EINVAL, "there is no IOMMU number %u", f->iommu);
	if (d->iommu[f->iommu].segment != f->segment)
		return nb_fail(diag, -EINVAL, "the function is in segment %04x, its IOMMU %s in %04x", f->segment,
			       d->iommu[f->iommu].name, d->iommu[f->iommu].segment);
	for (j = 0; j < i; j++) {
		const struct nb_desc_function *g = &d->function[j];

		if (g->segment == f->segment && g->rid == f->rid)
			return nb_fail(diag, -EINVAL, "two functions are at %04x:%02x:%02x.%x", f->segment, f->rid >> 8,
				       f->rid >> 3 & 31, f->rid & 7);
		if (g->group == f->group && g->iommu != f->iommu)
			return nb_fail(diag, -EINVAL, "group %" PRIu32 " has functions behind %s and behind %s", f->group,
				       d->iommu[g->iommu].name, d->iommu[f->iommu].name);
	}
	if (!STR_OK(f->model))
		return nb_fail(diag, -EINVAL, "the description is damaged: a model's name does not end");
	model = dev_model_find(f->model);
	if (!model)
		return nb_fail(diag, -EINVAL, "there is no model \"%s\"", f->model);
	if (f->noptions > NB_DESC_MAX_OPTIONS)
		return nb_fail(diag, -EINVAL, "more than %d options", NB_DESC_MAX_OPTIONS);
	err = check_options(f, model, diag);
	if (!err)
		err = own_iommu_check(d, i, diag);
	return err ? err : check_rmrrs(d, i, diag);
}

int nb_desc_check(const struct nb_desc *d, char what[32], struct nb_diag *diag)
{
	uint32_t i;
	int err;

	if (what)
		what[0] = 0;
	if (d->magic != NB_DESC_MAGIC || d->size != sizeof(*d))
		return nb_fail(diag, -EINVAL, "not a host description of this version of nestbox");
	if (!STR_OK(d->name) || !STR_OK(d->title) || !name_ok(d->name))
		return nb_fail(diag, -EINVAL, "a host's name is letters, digits, '.', '_' and '-'");
	if (d->niommus < 1 || d->niommus > NB_DESC_MAX_IOMMUS)
		return nb_fail(diag, -EINVAL, "a host has 1 to %d IOMMUs", NB_DESC_MAX_IOMMUS);
	if (d->nfunctions > NB_DESC_MAX_FUNCTIONS)
		return nb_fail(diag, -EINVAL, "a host has at most %d functions", NB_DESC_MAX_FUNCTIONS);
	for (i = 0; i < d->niommus; i++) {
		bool part = false;

		err = check_iommu(d, i, &part, diag);
		if (err) {
			if (what)
				snprintf(what, 32, "iommus[%" PRIu32 "]%s", i, part ? ".capabilities" : "");
			return err;
		}
	}
	for (i = 0; i < d->nfunctions; i++) {
		err = check_function(d, i, diag);
		if (err) {
			if (what)
				snprintf(what, 32, "functions[%" PRIu32 "]", i);
			return err;
		}
	}
	return 0;
}
