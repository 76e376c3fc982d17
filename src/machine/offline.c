/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Models by themselves: one row of `models` per vendor says which registers it takes and how they are put into a unit.
 */
#include "machine/offline.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rcu.h"
#include "hw/vtd/vtd.h"
#include "machine/offline_image.h"
#include "mem/guard.h"
#include "spec/vtd/regs.h"

#define MAX_NAMES 4

struct offline_model {
	const char *name;
	const char *registers[MAX_NAMES + 1]; /* all must be given */
	const char *caps[MAX_NAMES + 1];      /* each may be */
	/* reg and cap in the order of the names; null: not given. -EINVAL: the caps do not fit together. */
	int (*start)(struct offline *o, const uint64_t *const reg[MAX_NAMES], const uint64_t *const cap[MAX_NAMES],
		     struct nb_diag *diag);
	/* What a cached translation could not tell is found out. */
	void (*complete)(struct offline *o, const struct hw_request *req, struct hw_result *res);
	void (*flush)(struct hw_iommu *hw);
};

struct offline {
	const struct offline_model *model;
	struct hw_iommu *hw;
	struct offline_image image;
	bool used; /* since the caches were empty */
};

/* ---- VT-d ---- */

#define HOST_ADDRESS_WIDTH 52 /* no register says it */

static int vtd_start(struct offline *o, const uint64_t *const reg[MAX_NAMES], const uint64_t *const cap[MAX_NAMES],
		     struct nb_diag *diag)
{
	const struct hw_ops *ops;
	struct vtd_caps caps;
	int err;

	vtd_caps_all(&caps);
	caps.exec_request = true; /* the model has them, though no unit that Linux knows does */
	if (cap[0] || cap[1])
		vtd_caps_from_regs(cap[0] ? *cap[0] : vtd_caps_cap(&caps), cap[1] ? *cap[1] : vtd_caps_ecap(&caps),
				   HOST_ADDRESS_WIDTH, &caps);
	err = vtd_create(&caps, &o->image.mem, NULL, &o->hw, diag);
	if (err)
		return err;
	ops = o->hw->ops;
	ops->mmio_write(o->hw, VTD_REG_RTADDR, 8, *reg[0]);
	ops->mmio_write(o->hw, VTD_REG_GCMD, 4, VTD_GCMD_SRTP);
	ops->mmio_write(o->hw, VTD_REG_GCMD, 4, VTD_GCMD_TE);
	return 0;
}

/*
 * An IOTLB entry of a nested translation has no address between the stages; and a page around the interrupt range
 * (0xfee00000) is cached in pieces, so that the size of a hit is not the translation's. A walk that observes knows both.
 */
static void vtd_complete(struct offline *o, const struct hw_request *req, struct hw_result *res)
{
	struct hw_request again = *req;
	struct hw_result seen;

	if (res->kind == HW_OK ? res->lg2 != 12 || res->pa.v >> 30 != 3 :
				 res->kind != HW_FAULT || res->fault.stage != 2 || res->fault.gpa_valid)
		return;
	again.flags |= HW_OBSERVE;
	nb_rcu_read_lock();
	o->hw->ops->translate(o->hw, &again, &seen);
	nb_rcu_read_unlock();
	if (seen.kind != res->kind)
		return; /* what is cached is no longer what is in memory */
	if (res->kind == HW_OK && seen.pa.v == res->pa.v) {
		res->lg2 = seen.lg2;
	} else if (res->kind == HW_FAULT && seen.fault.reason == res->fault.reason) {
		res->fault.gpa_valid = seen.fault.gpa_valid;
		res->fault.gpa = seen.fault.gpa;
	}
}

/* ---- all ---- */

static const struct offline_model models[] = {
	{
		.name = "vtd",
		.registers = {"RTADDR"},
		.caps = {"CAP", "ECAP"},
		.start = vtd_start,
		.complete = vtd_complete,
		.flush = vtd_drop_caches,
	},
};
static const char *const not_yet[] = {"smmuv3", "amdvi"};

static const struct offline_model *find(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(models); i++)
		if (strcmp(models[i].name, name) == 0)
			return &models[i];
	return NULL;
}

int offline_model_check(const char *model, struct nb_diag *diag)
{
	size_t i;

	if (find(model))
		return 0;
	for (i = 0; i < ARRAY_SIZE(not_yet); i++)
		if (strcmp(not_yet[i], model) == 0)
			return nb_fail(diag, -EOPNOTSUPP, "there is no model of %s yet, only of vtd", model);
	return nb_fail(diag, -ENOENT, "there is no model \"%.40s\" (vtd, smmuv3 and amdvi are names of models)", model);
}

static void name_all(const char *const names[MAX_NAMES + 1], char out[64])
{
	size_t i, at = 0;

	out[0] = 0;
	for (i = 0; names[i] && at < 64; i++)
		at += (size_t)snprintf(out + at, 64 - at, "%s%s", i ? ", " : "", names[i]);
}

/* Sort values under the model's names. */
static int sort_values(const struct offline_model *m, const char *const names[MAX_NAMES + 1],
		       const struct offline_value *v, size_t n, bool all, const uint64_t *sorted[MAX_NAMES], size_t *item,
		       struct nb_diag *diag)
{
	char known[64];
	size_t i, k;

	for (i = 0; i < n; i++) {
		for (k = 0; names[k] && strcmp(names[k], v[i].name) != 0; k++)
			;
		*item = i;
		if (!names[k]) {
			name_all(names, known);
			return nb_fail(diag, -EINVAL, "%.40s is not known for model %s (known: %s)", v[i].name, m->name, known);
		}
		if (sorted[k])
			return nb_fail(diag, -EINVAL, "%s is given twice", names[k]);
		sorted[k] = &v[i].value;
	}
	*item = n;
	for (k = 0; all && names[k]; k++)
		if (!sorted[k])
			return nb_fail(diag, -EINVAL, "%s is missing, which model %s needs", names[k], m->name);
	return 0;
}

int offline_create(const struct offline_cfg *cfg, struct offline **out, struct offline_blame *blame,
		   struct nb_diag *diag)
{
	const uint64_t *reg[MAX_NAMES] = {NULL}, *cap[MAX_NAMES] = {NULL};
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
