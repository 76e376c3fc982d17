/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Models by themselves: what is common. A row of `models` per vendor says which registers it takes and how they are put into a unit;
 * the rows are in files of their own.
 */
#include "machine/offline.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rcu.h"
#include "machine/offline_model.h"
#include "mem/guard.h"

static const struct offline_model *const models[] = {&offline_vtd, &offline_smmuv3};
static const char *const not_yet[] = {"amdvi"};

static const struct offline_model *find(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(models); i++)
		if (strcmp(models[i]->name, name) == 0)
			return models[i];
	return NULL;
}

int offline_model_check(const char *model, struct nb_diag *diag)
{
	size_t i;

	if (find(model))
		return 0;
	for (i = 0; i < ARRAY_SIZE(not_yet); i++)
		if (strcmp(not_yet[i], model) == 0)
			return nb_fail(diag, -EOPNOTSUPP, "there is no model of %s yet, only of vtd and smmuv3", model);
	return nb_fail(diag, -ENOENT, "there is no model \"%.40s\" (vtd, smmuv3 and amdvi are names of models)", model);
}

static void name_all(const struct offline_name names[OFFLINE_MAX_NAMES + 1], char out[64])
{
	size_t i, at = 0;

	out[0] = 0;
	for (i = 0; names[i].name && at < 64; i++)
		at += (size_t)snprintf(out + at, 64 - at, "%s%s", i ? ", " : "", names[i].name);
}

/* Sort values under the model's names. */
static int sort_values(const struct offline_model *m, const struct offline_name names[OFFLINE_MAX_NAMES + 1],
		       const struct offline_value *v, size_t n, bool all, const uint64_t *sorted[OFFLINE_MAX_NAMES], size_t *item,
		       struct nb_diag *diag)
{
	char known[64];
	size_t i, k;

	for (i = 0; i < n; i++) {
		for (k = 0; names[k].name && strcmp(names[k].name, v[i].name) != 0; k++)
			;
		*item = i;
		if (!names[k].name) {
			name_all(names, known);
			return nb_fail(diag, -EINVAL, "%.40s is not known for model %s (known: %s)", v[i].name, m->name, known);
		}
		if (sorted[k])
			return nb_fail(diag, -EINVAL, "%s is given twice", names[k].name);
		if (v[i].value > nb_low_mask(names[k].bits))
			return nb_fail(diag, -EINVAL, "%s has %u bits, and is %#" PRIx64, names[k].name, names[k].bits, v[i].value);
		sorted[k] = &v[i].value;
	}
	*item = n;
	for (k = 0; all && names[k].name; k++)
		if (!sorted[k])
			return nb_fail(diag, -EINVAL, "%s is missing, which model %s needs", names[k].name, m->name);
	return 0;
}

int offline_create(const struct offline_cfg *cfg, struct offline **out, struct offline_blame *blame,
		   struct nb_diag *diag)
{
	const uint64_t *reg[OFFLINE_MAX_NAMES] = {NULL}, *cap[OFFLINE_MAX_NAMES] = {NULL};
	struct offline_blame unheard;
	struct offline *o;
	int err;

	if (!blame)
		blame = &unheard;
	*blame = (struct offline_blame){OFFLINE_NOTHING, 0};
	err = offline_model_check(cfg->model, diag);
	if (err)
		return err;
	err = guard_init();
	if (err)
		return nb_fail(diag, err, "cannot take SIGSEGV and SIGBUS: %s", strerror(-err));
	o = nb_zalloc(sizeof(*o));
	if (!o)
		return nb_fail(diag, -ENOMEM, "out of memory");
	o->model = find(cfg->model);
	blame->part = OFFLINE_REGISTERS;
	err = sort_values(o->model, o->model->registers, cfg->reg, cfg->nregs, true, reg, &blame->item, diag);
	if (err)
		goto fail;
	blame->part = OFFLINE_CAPS;
	err = sort_values(o->model, o->model->caps, cfg->cap, cfg->ncaps, false, cap, &blame->item, diag);
	if (err)
		goto fail;
	blame->part = OFFLINE_MEMORY;
	err = offline_image_load(&o->image, cfg->region, cfg->nregions, &blame->item, diag);
	if (err)
		goto fail;
	blame->part = OFFLINE_CAPS;
	blame->item = cfg->ncaps;
	err = o->model->start(o, reg, cap, diag);
	if (err) {
		if (err != -EINVAL)
			blame->part = OFFLINE_NOTHING;
		goto fail;
	}
	blame->part = OFFLINE_NOTHING;
	*out = o;
	return 0;
fail:
	offline_destroy(o);
	return err;
}

void offline_destroy(struct offline *o)
{
	if (!o)
		return;
	if (o->hw)
		o->hw->ops->destroy(o->hw);
	offline_image_drop(&o->image);
	nb_free(o);
}

void offline_translate(struct offline *o, const struct hw_request *req, struct hw_result *res)
{
	o->used = true;
	nb_rcu_read_lock();
	o->hw->ops->translate(o->hw, req, res);
	nb_rcu_read_unlock();
	if (o->model->complete)
		o->model->complete(o, req, res);
}

void offline_flush(struct offline *o)
{
	if (o->used)
		o->model->flush(o->hw);
	o->used = false;
}

bool offline_reads_file(const struct offline *o, dev_t dev, ino_t ino)
{
	size_t i;

	for (i = 0; i < o->image.n; i++)
		if (o->image.file[i].dev == dev && o->image.file[i].ino == ino)
			return true;
	return false;
}

int offline_can_write_back(const struct offline *o, struct offline_blame *blame, struct nb_diag *diag)
{
	*blame = (struct offline_blame){OFFLINE_MEMORY, 0};
	return offline_image_names(&o->image, &blame->item, diag);
}

int offline_write_back(const struct offline *o, const char *dir, struct nb_diag *diag)
{
	return offline_image_save(&o->image, dir, diag);
}
