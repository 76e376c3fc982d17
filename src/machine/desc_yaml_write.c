/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes a host description as YAML: what `nestbox host show` prints, and the start of a user's own file. */
#include "machine/desc_yaml.h"

#include <inttypes.h>
#include <string.h>

#include "dev/dev.h"
#include "machine/desc_vendor.h"

/* The code point at s and its length in bytes; of bytes that are not UTF-8, one byte as it is. */
static uint32_t code_point(const char *s, unsigned int *len)
{
	const unsigned char *b = (const unsigned char *)s;
	unsigned int n = b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : b[0] >= 0xc0 ? 2 : 1, i;
	uint32_t c = n == 1 ? b[0] : b[0] & (0x7fu >> n);

	for (i = 1; i < n; i++) {
		if ((b[i] & 0xc0) != 0x80) {
			*len = 1;
			return b[0];
		}
		c = c << 6 | (b[i] & 0x3f);
	}
	*len = n;
	return c;
}

/* YAML 1.1, 5.1 and 5.4: what a file may hold as it is, but for the line breaks, which a quoted scalar would fold. */
static bool plain(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		return false;
	return c != 0x2028 && c != 0x2029 && c != 0xfeff && c != 0xfffe && c != 0xffff && (c < 0xd800 || c > 0xdfff);
}

/* A double-quoted scalar: the one form that can hold anything. */
static void put_quoted(FILE *f, const char *s)
{
	unsigned int len;

	fputc('"', f);
	for (; *s; s += len) {
		uint32_t c = code_point(s, &len);

		if (!plain(c) || (len == 1 && c >= 0x80)) {
			fprintf(f, c < 0x100 ? "\\x%02" PRIx32 : "\\u%04" PRIx32, c);
			continue;
		}
		if (*s == '"' || *s == '\\')
			fputc('\\', f);
		fwrite(s, 1, len, f);
	}
	fputc('"', f);
}

static void value_of(const struct desc_key *k, const uint8_t *part, char value[16])
{
	uint8_t v = part[k->offset];
	uint32_t n;

	switch (k->kind) {
	case DESC_KEY_BOOL:
		snprintf(value, 16, "%s", v ? "true" : "false");
		break;
	case DESC_KEY_WORD:
		snprintf(value, 16, "%s", k->words[v]);
		break;
	case DESC_KEY_EITHER:
		snprintf(value, 16, "%u", k->either[v ? 1 : 0]);
		break;
	case DESC_KEY_NUMBER32:
		memcpy(&n, part + k->offset, 4);
		snprintf(value, 16, "%#" PRIx32, n);
		break;
	default:
		snprintf(value, 16, "%u", v);
		break;
	}
}

static void put_iommu(FILE *f, const struct nb_desc_iommu *u)
{
	const struct desc_vendor *vendor = desc_vendor_of(u);
	const uint8_t *part = desc_part(u);
	const struct desc_erratum *e;
	const struct desc_key *k;
	const char *sep = "";

	fprintf(f, "  - name: %s\n    vendor: %s\n    segment: %" PRIu32 "\n    capabilities:\n", u->name, vendor->name, u->segment);
	for (k = vendor->keys; k->name; k++) {
		char value[16];

		value_of(k, part, value);
		fprintf(f, "      %s: %-*s # %s\n", k->name, (int)(25 - strlen(k->name)), value, k->brief);
	}
	fputs("    errata: [", f);
	for (e = vendor->errata; e->number; e++)
		if (part[e->offset]) {
			fprintf(f, "%s%" PRIu32, sep, e->number);
			sep = ", ";
		}
	fputs("]\n", f);
}

static void put_function(FILE *f, const struct nb_desc *d, const struct nb_desc_function *fn)
{
	const struct dev_model *model = dev_model_find(fn->model);
	unsigned int i;

	fprintf(f, "  - address: %04x:%02x:%02x.%x\n    iommu: %s\n    model: %s", fn->segment, fn->rid >> 8,
		fn->rid >> 3 & 31, fn->rid & 7, d->iommu[fn->iommu].name, fn->model);
	if (model)
		fprintf(f, " # %s", model->brief);
	fprintf(f, "\n    group: %" PRIu32 "\n", fn->group);
	if (fn->noptions)
		fputs("    options:\n", f);
	for (i = 0; i < fn->noptions; i++) {
		fprintf(f, "      %s: ", fn->option[i].key);
		put_quoted(f, fn->option[i].value);
		fputc('\n', f);
	}
	if (fn->nrmrrs)
		fputs("    rmrr:\n", f);
	for (i = 0; i < fn->nrmrrs; i++)
		fprintf(f, "      - {base: %#" PRIx64 ", size: %#" PRIx64 "}\n", fn->rmrr[i].base, fn->rmrr[i].size);
}

void desc_yaml_write(const struct nb_desc *d, FILE *f)
{
	uint32_t i;

	fprintf(f, "name: %s\ntitle: ", d->name);
	put_quoted(f, d->title);
	fputs("\niommus:\n", f);
	for (i = 0; i < d->niommus; i++)
		put_iommu(f, &d->iommu[i]);
	if (d->nfunctions)
		fputs("functions:\n", f);
	for (i = 0; i < d->nfunctions; i++)
		put_function(f, d, &d->function[i]);
}
