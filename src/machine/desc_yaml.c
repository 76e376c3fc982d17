/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads a host description out of YAML.
 *
 * libyaml composes the document, and every node of it knows its line; we go down by our own tables of keys, so the depth is
 * ours and an alias that contains itself leads nowhere. What cannot be said by a table
 * (unique addresses, capabilities that fit together) is nb_desc_check()'s, which names the item, and
 * the item knows its line.
 */
#include "machine/desc_yaml.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "machine/desc_keys.h"
#include "machine/desc_vendor.h"

#define MAX_FILE (1u << 20)
#define MAX_BRACKETS 64 /* a description needs three */

struct reader {
	const char *file;
	yaml_document_t doc;
	struct nb_desc *d;
	struct nb_diag *diag;
	unsigned int iommu_line[NB_DESC_MAX_IOMMUS], function_line[NB_DESC_MAX_FUNCTIONS];
	/* By index of the vendor's keys; 0: the file does not give it. */
	unsigned int key_line[NB_DESC_MAX_IOMMUS][DESC_MAX_KEYS], errata_line[NB_DESC_MAX_IOMMUS];
	bool has_group[NB_DESC_MAX_FUNCTIONS];
};

static bool ends_in(const char *s, const char *tail)
{
	size_t n = strlen(s), t = strlen(tail);

	return n >= t && strcmp(s + n - t, tail) == 0;
}

static unsigned int line_of(const yaml_node_t *n)
{
	return (unsigned int)n->start_mark.line + 1;
}

#define REFUSE(r, node, fmt, ...)                                                                             \
	nb_fail((r)->diag, -EINVAL, "%s:%u: " fmt, (r)->file, line_of(node), ##__VA_ARGS__)

/* Scalars from a file may hold anything: show at most the first 40 bytes. */
#define SHOWN(n) (int)((n)->data.scalar.length > 40 ? 40 : (n)->data.scalar.length), (n)->data.scalar.value

static int need_scalar(struct reader *r, const yaml_node_t *n, const char *key)
{
	if (n->type == YAML_SCALAR_NODE && !memchr(n->data.scalar.value, 0, n->data.scalar.length))
		return 0;
	return REFUSE(r, n, "%s must be one plain value", key);
}

static int get_string(struct reader *r, const yaml_node_t *n, const char *key, char *out, size_t size)
{
	int err = need_scalar(r, n, key);

	if (err)
		return err;
	if (n->data.scalar.length >= size)
		return REFUSE(r, n, "%s is longer than %zu characters", key, size - 1);
	memset(out, 0, size);
	memcpy(out, n->data.scalar.value, n->data.scalar.length);
	return 0;
}

static int get_number(struct reader *r, const yaml_node_t *n, const char *key, uint64_t max, uint64_t *out)
{
	const char *s;
	char *end;
	uint64_t v;
	int err = need_scalar(r, n, key);

	if (err)
		return err;
	s = (const char *)n->data.scalar.value;
	errno = 0;
	v = strtoull(s, &end, 0);
	if (s[0] < '0' || s[0] > '9' || *end || errno)
		return REFUSE(r, n, "%s: \"%.*s\" is not a number", key, SHOWN(n));
	if (v > max)
		return REFUSE(r, n, "%s is %" PRIu64 ", must be at most %" PRIu64, key, v, max);
	*out = v;
	return 0;
}

static int get_bool(struct reader *r, const yaml_node_t *n, const char *key, bool *out)
{
	static const char *const words[2][4] = {{"false", "off", "no", "0"}, {"true", "on", "yes", "1"}};
	unsigned int v, w;
	int err = need_scalar(r, n, key);

	if (err)
		return err;
	for (v = 0; v < 2; v++)
		for (w = 0; w < 4; w++)
			if (strcmp((const char *)n->data.scalar.value, words[v][w]) == 0) {
				*out = v == 1;
				return 0;
			}
	return REFUSE(r, n, "%s: \"%.*s\" is neither true nor false", key, SHOWN(n));
}

/*
 * Go through a mapping with an index into `keys` for each pair; fn handles the value. Refuses what is not in the
 * table and what is there twice.
 */
typedef int key_fn(struct reader *r, unsigned int key, const yaml_node_t *value, void *opaque);

static int each_key(struct reader *r, const yaml_node_t *map, const char *what, const char *const *keys, key_fn *fn,
		    void *opaque)
{
	const yaml_node_pair_t *p;
	uint64_t seen = 0;
	char known[160];

	if (map->type != YAML_MAPPING_NODE)
		return REFUSE(r, map, "%s must be \"key: value\" lines", what);
	for (p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
		const yaml_node_t *k = yaml_document_get_node(&r->doc, p->key);
		const yaml_node_t *v = yaml_document_get_node(&r->doc, p->value);
		unsigned int i;
		int err;

		if (!k || !v || k->type != YAML_SCALAR_NODE)
			return REFUSE(r, map, "%s has a key that is not a word", what);
		for (i = 0; keys[i]; i++)
			if (strcmp((const char *)k->data.scalar.value, keys[i]) == 0)
				break;
		if (!keys[i]) {
			desc_keys_suggest(keys, (const char *)k->data.scalar.value, k->data.scalar.length, known, sizeof(known));
			return REFUSE(r, k, "%s has no key \"%.*s\" (%s)", what, SHOWN(k), known);
		}
		if (seen & BIT(i))
			return REFUSE(r, k, "%s is given twice", keys[i]);
		seen |= BIT(i);
		err = fn(r, i, v, opaque);
		if (err)
			return err;
	}
	return 0;
}

/* Sequence item or null; refuses by returning null with *err set. */
static int need_sequence(struct reader *r, const yaml_node_t *n, const char *what, size_t max)
{
	if (n->type != YAML_SEQUENCE_NODE)
		return REFUSE(r, n, "%s must be a list", what);
	if ((size_t)(n->data.sequence.items.top - n->data.sequence.items.start) > max) {
		const yaml_node_t *item = yaml_document_get_node(&r->doc, n->data.sequence.items.start[max]);

		return REFUSE(r, item ? item : n, "%s: there may be at most %zu", what, max);
	}
	return 0;
}

struct capability_item {
	const struct desc_vendor *vendor;
	uint8_t *part;
	unsigned int *line; /* of each key */
};

static int get_word(struct reader *r, const yaml_node_t *v, const struct desc_key *k, uint8_t *out)
{
	char known[64];
	uint8_t i;
	int err = need_scalar(r, v, k->name);

	if (err)
		return err;
	for (i = 0; i < DESC_KEY_WORDS && k->words[i]; i++)
		if (strcmp((const char *)v->data.scalar.value, k->words[i]) == 0) {
			*out = i;
			return 0;
		}
	desc_keys_list(k->words, known, sizeof(known));
	return REFUSE(r, v, "%s: \"%.*s\" is not known (known: %s)", k->name, SHOWN(v), known);
}

static int on_capability(struct reader *r, unsigned int key, const yaml_node_t *v, void *opaque)
{
	const struct capability_item *it = opaque;
	const struct desc_key *k = &it->vendor->keys[key];
	uint8_t *field = it->part + k->offset;
	uint64_t n;
	int err;

	it->line[key] = line_of(v);
	if (k->kind == DESC_KEY_BOOL)
		return get_bool(r, v, k->name, (bool *)(void *)field);
	if (k->kind == DESC_KEY_WORD)
		return get_word(r, v, k, field);
	err = get_number(r, v, k->name, k->kind == DESC_KEY_NUMBER32 ? UINT32_MAX : UINT8_MAX, &n);
	if (err)
		return err;
	if (k->kind == DESC_KEY_EITHER) {
		if (n != k->either[0] && n != k->either[1])
			return REFUSE(r, v, "%s is %" PRIu64 ", must be %u or %u", k->name, n, k->either[0], k->either[1]);
		*(bool *)(void *)field = n == k->either[1];
	} else if (k->kind == DESC_KEY_NUMBER32) {
		memcpy(field, &(uint32_t){(uint32_t)n}, 4);
	} else {
		*field = (uint8_t)n;
	}
	return 0;
}

static int read_capabilities(struct reader *r, const yaml_node_t *map, struct nb_desc_iommu *u)
{
	struct capability_item it = {.vendor = desc_vendor_of(u), .part = desc_part_rw(u), .line = r->key_line[u - r->d->iommu]};
	const char *names[DESC_MAX_KEYS + 1] = {NULL};
	unsigned int i;

	for (i = 0; it.vendor->keys[i].name; i++)
		names[i] = it.vendor->keys[i].name;
	return each_key(r, map, "capabilities", names, on_capability, &it);
}

static int read_erratum(struct reader *r, const yaml_node_t *n, const struct desc_vendor *vendor, uint8_t *part)
{
	const struct desc_erratum *e;
	char known[64] = "";
	size_t at = 0;
	uint64_t v;
	int err = get_number(r, n, "errata", UINT32_MAX, &v);

	if (err)
		return err;
	for (e = vendor->errata; e->number; e++) {
		if (e->number == v) {
			*(bool *)(void *)(part + e->offset) = true;
			return 0;
		}
		at += (size_t)snprintf(known + at, sizeof(known) - at, "%s%" PRIu32, at ? ", " : "", e->number);
	}
	return REFUSE(r, n, "erratum %" PRIu64 " is not known (known: %s)", v, at ? known : "none");
}

static int read_errata(struct reader *r, const yaml_node_t *list, struct nb_desc_iommu *u)
{
	const struct desc_vendor *vendor = desc_vendor_of(u);
	uint8_t *part = desc_part_rw(u);
	const struct desc_erratum *e;
	const yaml_node_item_t *it;
	int err = need_sequence(r, list, "errata", 16);

	if (err)
		return err;
	r->errata_line[u - r->d->iommu] = line_of(list);
	for (e = vendor->errata; e->number; e++)
		*(bool *)(void *)(part + e->offset) = false;
	for (it = list->data.sequence.items.start; !err && it < list->data.sequence.items.top; it++) {
		const yaml_node_t *n = yaml_document_get_node(&r->doc, *it);

		err = n ? read_erratum(r, n, vendor, part) : -EINVAL;
	}
	return err;
}

enum { IOMMU_NAME, IOMMU_VENDOR, IOMMU_SEGMENT, IOMMU_LIKE, IOMMU_CAPABILITIES, IOMMU_ERRATA };
static const char *const iommu_keys[] = {"name", "vendor", "segment", "like", "capabilities", "errata", NULL};

struct iommu_item {
	struct nb_desc_iommu *u;
	const yaml_node_t *vendor_at, *capabilities, *errata;
	const struct desc_vendor *vendor;
	const struct nb_desc *like;
};

static int on_iommu(struct reader *r, unsigned int key, const yaml_node_t *v, void *opaque)
{
	struct iommu_item *it = opaque;
	char word[32], known[64];
	uint64_t n;
	int err;

	switch (key) {
	case IOMMU_NAME:
		return get_string(r, v, "name", it->u->name, sizeof(it->u->name));
	case IOMMU_VENDOR:
		err = get_string(r, v, "vendor", word, sizeof(word));
		if (err)
			return err;
		it->vendor_at = v;
		it->vendor = desc_vendor_find(word);
		desc_vendor_names(known, sizeof(known));
		return it->vendor ? 0 : REFUSE(r, v, "vendor \"%s\" is not known (known: %s)", word, known);
	case IOMMU_SEGMENT:
		err = get_number(r, v, "segment", UINT16_MAX, &n);
		if (!err)
			it->u->segment = (uint32_t)n;
		return err;
	case IOMMU_LIKE:
		err = get_string(r, v, "like", word, sizeof(word));
		if (err)
			return err;
		it->like = nb_desc_find(word);
		return it->like ? 0 : REFUSE(r, v, "like: there is no built-in host \"%s\"", word);
	case IOMMU_CAPABILITIES:
		it->capabilities = v;
		return 0;
	default:
		it->errata = v;
		return 0;
	}
}

/* What the unit is before its own capabilities and errata are read: they stand on it, wherever they stand. */
static int start_from(struct reader *r, struct iommu_item *it)
{
	const struct nb_desc_iommu *from;

	if (!it->like)
		it->like = it->vendor ? it->vendor->standard : desc_vendor_vtd.standard;
	from = &it->like->iommu[0];
	if (it->vendor && (uint32_t)it->vendor->id != from->vendor)
		return REFUSE(r, it->vendor_at, "vendor %s, but the unit is to be like that of %s, which is of vendor %s",
			      it->vendor->name, it->like->name, desc_vendor_of(from)->name);
	it->u->vendor = from->vendor;
	memcpy(desc_part_rw(it->u), desc_part(from), desc_vendor_of(from)->size);
	return 0;
}

static int read_iommus(struct reader *r, const yaml_node_t *list)
{
	const yaml_node_item_t *i;
	int err = need_sequence(r, list, "iommus", NB_DESC_MAX_IOMMUS);

	if (err)
		return err;
	for (i = list->data.sequence.items.start; i < list->data.sequence.items.top; i++) {
		const yaml_node_t *n = yaml_document_get_node(&r->doc, *i);
		struct iommu_item it = {.u = &r->d->iommu[r->d->niommus]};

		if (!n)
			return -EINVAL;
		r->iommu_line[r->d->niommus++] = line_of(n);
		err = each_key(r, n, "an IOMMU", iommu_keys, on_iommu, &it);
		if (!err)
			err = start_from(r, &it);
		if (!err && it.capabilities)
			err = read_capabilities(r, it.capabilities, it.u);
		if (!err && it.errata)
			err = read_errata(r, it.errata, it.u);
		if (!err && !it.u->name[0])
			err = REFUSE(r, n, "the IOMMU has no name");
		if (err)
			return err;
	}
	return 0;
}

static int read_options(struct reader *r, const yaml_node_t *map, struct nb_desc_function *f)
{
	const yaml_node_pair_t *p;

	if (map->type != YAML_MAPPING_NODE)
		return REFUSE(r, map, "options must be \"key: value\" lines");
	for (p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
		const yaml_node_t *k = yaml_document_get_node(&r->doc, p->key);
		const yaml_node_t *v = yaml_document_get_node(&r->doc, p->value);
		struct nb_desc_option *o = &f->option[f->noptions];
		int err;

		if (!k || !v)
			return -EINVAL;
		if (f->noptions == NB_DESC_MAX_OPTIONS)
			return REFUSE(r, k, "there may be at most %d options", NB_DESC_MAX_OPTIONS);
		err = get_string(r, k, "an option's name", o->key, sizeof(o->key));
		if (!err)
			err = get_string(r, v, o->key, o->value, sizeof(o->value));
		if (err)
			return err;
		f->noptions++;
	}
	return 0;
}

enum { RMRR_BASE, RMRR_SIZE };
static const char *const rmrr_keys[] = {"base", "size", NULL};

struct rmrr_item {
	struct nb_desc_rmrr *m;
	bool has[2];
};

static int on_rmrr(struct reader *r, unsigned int key, const yaml_node_t *v, void *opaque)
{
	struct rmrr_item *it = opaque;

	it->has[key] = true;
	return get_number(r, v, rmrr_keys[key], UINT64_MAX, key == RMRR_BASE ? &it->m->base : &it->m->size);
}

/* What they are for, nb_desc_check() knows. */
static int read_rmrrs(struct reader *r, const yaml_node_t *list, struct nb_desc_function *f)
{
	const yaml_node_item_t *it;
	int err = need_sequence(r, list, "rmrr", NB_DESC_MAX_RMRRS);

	for (it = err ? NULL : list->data.sequence.items.start; !err && it < list->data.sequence.items.top; it++) {
		const yaml_node_t *n = yaml_document_get_node(&r->doc, *it);

		struct rmrr_item item = {.m = &f->rmrr[f->nrmrrs++]};

		err = n ? each_key(r, n, "a range", rmrr_keys, on_rmrr, &item) : -EINVAL;
		if (!err && !(item.has[RMRR_BASE] && item.has[RMRR_SIZE]))
			err = REFUSE(r, n, "the range has no %s", rmrr_keys[item.has[RMRR_BASE] ? RMRR_SIZE : RMRR_BASE]);
	}
	return err;
}

/* "0000:01:00.0", or without the segment. */
static bool parse_address(const char *s, uint16_t *segment, uint16_t *rid)
{
	unsigned int seg = 0, bus, dev, fn;
	int n = 0;

	if (strspn(s, "0123456789abcdefABCDEF:.") != strlen(s) || strlen(s) > 12)
		return false;
	if ((sscanf(s, "%4x:%2x:%2x.%1x%n", &seg, &bus, &dev, &fn, &n) != 4 || s[n]) &&
	    (seg = 0, n = 0, sscanf(s, "%2x:%2x.%1x%n", &bus, &dev, &fn, &n) != 3 || s[n]))
		return false;
	if (dev > 31 || fn > 7)
		return false;
	*segment = (uint16_t)seg;
	*rid = (uint16_t)(bus << 8 | dev << 3 | fn);
	return true;
}

enum { FN_ADDRESS, FN_IOMMU, FN_MODEL, FN_GROUP, FN_OPTIONS, FN_RMRR };
static const char *const function_keys[] = {"address", "iommu", "model", "group", "options", "rmrr", NULL};

struct function_item {
	struct nb_desc_function *f;
	unsigned int index;
	const yaml_node_t *iommu;
	bool has_address;
};

static int on_function(struct reader *r, unsigned int key, const yaml_node_t *v, void *opaque)
{
	struct function_item *it = opaque;
	char word[32];
	uint64_t n;
	int err;

	switch (key) {
	case FN_ADDRESS:
		err = get_string(r, v, "address", word, sizeof(word));
		if (!err && !parse_address(word, &it->f->segment, &it->f->rid))
			return REFUSE(r, v, "address: \"%s\" is not of the form 0000:01:00.0", word);
		it->has_address = true;
		return err;
	case FN_IOMMU:
		it->iommu = v;
		return need_scalar(r, v, "iommu");
	case FN_MODEL:
		return get_string(r, v, "model", it->f->model, sizeof(it->f->model));
	case FN_GROUP:
		err = get_number(r, v, "group", INT32_MAX, &n);
		if (err)
			return err;
		it->f->group = (uint32_t)n;
		r->has_group[it->index] = true;
		return 0;
	case FN_OPTIONS:
		return read_options(r, v, it->f);
	default:
		return read_rmrrs(r, v, it->f);
	}
}

static int find_iommu(struct reader *r, const yaml_node_t *item, struct function_item *it)
{
	uint32_t i;

	if (!it->iommu)
		return REFUSE(r, item, "the function has no iommu");
	for (i = 0; i < r->d->niommus; i++)
		if (strcmp((const char *)it->iommu->data.scalar.value, r->d->iommu[i].name) == 0) {
			it->f->iommu = (uint8_t)i;
			return 0;
		}
	return REFUSE(r, it->iommu, "there is no IOMMU \"%.*s\"", SHOWN(it->iommu));
}

static int read_functions(struct reader *r, const yaml_node_t *list)
{
	const yaml_node_item_t *i;
	int err = need_sequence(r, list, "functions", NB_DESC_MAX_FUNCTIONS);

	if (err)
		return err;
	for (i = list->data.sequence.items.start; i < list->data.sequence.items.top; i++) {
		const yaml_node_t *n = yaml_document_get_node(&r->doc, *i);
		struct function_item it = {.f = &r->d->function[r->d->nfunctions], .index = r->d->nfunctions};

		if (!n)
			return -EINVAL;
		r->function_line[r->d->nfunctions++] = line_of(n);
		err = each_key(r, n, "a function", function_keys, on_function, &it);
		if (!err && !it.has_address)
			err = REFUSE(r, n, "the function has no address");
		if (!err && !it.f->model[0])
			err = REFUSE(r, n, "the function has no model");
		if (!err)
			err = find_iommu(r, n, &it);
		if (err)
			return err;
	}
	return 0;
}

/* A function without a group gets one of its own: the lowest number that nobody has. */
static void give_groups(struct reader *r)
{
	struct nb_desc *d = r->d;
	uint32_t i, j, next = 0;

	for (i = 0; i < d->nfunctions; i++) {
		if (r->has_group[i])
			continue;
		for (j = 0; j < d->nfunctions; j++)
			if (r->has_group[j] && d->function[j].group == next) {
				next++;
				j = UINT32_MAX; /* start over: the list is in no order */
			}
		d->function[i].group = next;
		r->has_group[i] = true;
	}
}

enum { TOP_NAME, TOP_TITLE, TOP_IOMMUS, TOP_FUNCTIONS };
static const char *const top_keys[] = {"name", "title", "iommus", "functions", NULL};

struct top_item {
	const yaml_node_t *iommus, *functions;
};

static int on_top(struct reader *r, unsigned int key, const yaml_node_t *v, void *opaque)
{
	struct top_item *it = opaque;

	switch (key) {
	case TOP_NAME:
		return get_string(r, v, "name", r->d->name, sizeof(r->d->name));
	case TOP_TITLE:
		return get_string(r, v, "title", r->d->title, sizeof(r->d->title));
	case TOP_IOMMUS:
		it->iommus = v;
		return 0;
	default:
		it->functions = v;
		return 0;
	}
}

/*
 * Where the file says what a vendor's check refuses: its sentences are about keys by their names, and the first that the file gives is
 * the one to look at. A key that is not given has its value from elsewhere.
 */
static unsigned int capability_line(const struct reader *r, unsigned int unit, const char *sentence)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	const struct desc_key *keys = desc_vendor_of(&r->d->iommu[unit])->keys;
	const char *word = sentence;
	size_t len;
	unsigned int i;

	for (word += strcspn(word, letters); *word; word += len, word += strcspn(word, letters)) {
		len = strspn(word, letters);
		for (i = 0; keys[i].name; i++)
			if (r->key_line[unit][i] && strncmp(keys[i].name, word, len) == 0 && !keys[i].name[len])
				return r->key_line[unit][i];
		if (r->errata_line[unit] && len == strlen("erratum") && strncmp(word, "erratum", len) == 0)
			return r->errata_line[unit];
	}
	return r->iommu_line[unit];
}

static int read_document(struct reader *r)
{
	const yaml_node_t *root = yaml_document_get_root_node(&r->doc);
	struct top_item top = {NULL, NULL};
	struct nb_diag why;
	unsigned int line, n;
	char what[32];
	int err;

	err = each_key(r, root, "a host", top_keys, on_top, &top);
	if (err)
		return err;
	if (!r->d->name[0])
		return REFUSE(r, root, "the host has no name");
	if (!top.iommus)
		return REFUSE(r, root, "the host has no iommus");
	err = read_iommus(r, top.iommus);
	if (!err && top.functions)
		err = read_functions(r, top.functions);
	if (err)
		return err;
	give_groups(r);
	err = nb_desc_check(r->d, what, &why);
	if (!err)
		return 0;
	line = line_of(root);
	if (sscanf(what, "iommus[%u]", &n) == 1)
		line = ends_in(what, "].capabilities") ? capability_line(r, n, why.msg) : r->iommu_line[n];
	else if (sscanf(what, "functions[%u]", &n) == 1)
		line = r->function_line[n];
	return nb_fail(r->diag, err, "%s:%u: %s", r->file, line, why.msg);
}

static int parser_failed(struct reader *r, const yaml_parser_t *p, const char *text, size_t len)
{
	size_t line = p->problem_mark.line + 1, i;

	if (p->error == YAML_MEMORY_ERROR)
		return nb_fail(r->diag, -ENOMEM, "%s: out of memory", r->file);
	if (p->error == YAML_READER_ERROR) { /* knows bytes, not lines */
		for (line = 1, i = 0; i < len && i < p->problem_offset; i++)
			line += text[i] == '\n';
	}
	return nb_fail(r->diag, -EINVAL, "%s:%zu: not YAML: %s", r->file, line, p->problem ? p->problem : "?");
}

/* libyaml's time is quadratic in the depth of [ and {. Brackets in strings and comments count too: be generous. */
static int check_depth(struct reader *r, const char *text, size_t len)
{
	size_t line = 1, depth = 0, i;

	for (i = 0; i < len; i++) {
		line += text[i] == '\n';
		if (text[i] == '[' || text[i] == '{')
			depth++;
		else if ((text[i] == ']' || text[i] == '}') && depth)
			depth--;
		if (depth > MAX_BRACKETS)
			return nb_fail(r->diag, -EINVAL, "%s:%zu: more than %d open brackets", r->file, line, MAX_BRACKETS);
	}
	return 0;
}

int desc_yaml_parse(const char *name, const void *text, size_t len, struct nb_desc *out, struct nb_diag *diag)
{
	struct reader r = {.file = name, .d = out, .diag = diag};
	yaml_document_t second;
	yaml_parser_t p;
	int err;

	memset(out, 0, sizeof(*out));
	out->magic = NB_DESC_MAGIC;
	out->size = sizeof(*out);
	err = check_depth(&r, text, len);
	if (err)
		return err;
	if (!yaml_parser_initialize(&p))
		return nb_fail(diag, -ENOMEM, "%s: out of memory", name);
	yaml_parser_set_input_string(&p, text, len);
	if (!yaml_parser_load(&p, &r.doc)) {
		err = parser_failed(&r, &p, text, len);
		goto out_parser;
	}
	if (!yaml_document_get_root_node(&r.doc)) {
		err = nb_fail(diag, -EINVAL, "%s:1: there is no host description in this file", name);
		goto out_doc;
	}
	err = read_document(&r);
	if (err)
		goto out_doc;
	if (!yaml_parser_load(&p, &second)) {
		err = parser_failed(&r, &p, text, len);
		goto out_doc;
	}
	if (yaml_document_get_root_node(&second))
		err = REFUSE(&r, yaml_document_get_root_node(&second), "a file describes one host, this is a second one");
	yaml_document_delete(&second);
out_doc:
	yaml_document_delete(&r.doc);
out_parser:
	yaml_parser_delete(&p);
	return err;
}

int desc_yaml_read(const char *path, struct nb_desc *out, struct nb_diag *diag)
{
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t len = 0;
	int err;

	if (!f) {
		err = -errno;
		return nb_fail(diag, err, "%s: %s", path, strerror(-err));
	}
	text = nb_zalloc(MAX_FILE + 1);
	if (!text) {
		err = nb_fail(diag, -ENOMEM, "%s: out of memory", path);
		goto out;
	}
	len = fread(text, 1, MAX_FILE + 1, f);
	if (ferror(f)) {
		err = errno ? -errno : -EIO;
		nb_fail(diag, err, "%s: %s", path, strerror(-err));
	} else if (len > MAX_FILE) {
		err = nb_fail(diag, -EINVAL, "%s: larger than 1 MiB, this is no host description", path);
	} else {
		err = desc_yaml_parse(path, text, len, out, diag);
	}
out:
	nb_free(text);
	fclose(f);
	return err;
}

int desc_yaml_find(const char *name, struct nb_desc *out, struct nb_diag *diag)
{
	const struct nb_desc *d;

	if (strchr(name, '/') || ends_in(name, ".yaml") || ends_in(name, ".yml"))
		return desc_yaml_read(name, out, diag);
	d = nb_desc_find(name);
	if (!d)
		return nb_fail(diag, -ENOENT, "there is no built-in host \"%s\" (`nestbox host list` shows them; a file's "
			       "name ends in .yaml)", name);
	*out = *d;
	return 0;
}
