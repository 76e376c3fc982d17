/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A function behind a unit: its context entry and PASID directory.
 *
 * Scalable mode: the context entry is written once, at probe, and leads to a
 * directory without tables, so everything is blocked. Legacy mode: the
 * context entry is the attachment; probe only makes its table.
 */
#include "drv/vtd/vtd.h"

#include <errno.h>

#include "base/alloc.h"
#include "drv/vtd/entries.h"

/* Directory entries of one page; Linux makes no smaller directory either. */
#define DIR_MIN 512

/* The root entry's word for a function: legacy has one table a bus, scalable two. */
static le64_t *root_word(struct vtd_unit *u, uint16_t rid)
{
	return &u->root[rid >> 8].q[u->scalable && (rid & 0x80) ? 1 : 0];
}

/* The context table of a function, made at the first use. Unit lock. Null: out of memory. */
static void *context_table(struct vtd_unit *u, uint16_t rid)
{
	le64_t *word = root_word(u, rid);
	void *table;
	hpa_t pa;

	if (cpu64(*word) & VTD_ROOT_0_P)
		return mem_page_ptr(u->base.cfg.pool, hpa(cpu64(*word) & VTD_ROOT_0_CTP));
	table = mem_page_alloc(u->base.cfg.pool, 0, &pa);
	if (!table)
		return NULL;
	dvtd_flush(u, table, 4096);
	__atomic_store_n(&word->le, le64(pa.v | VTD_ROOT_0_P).le, __ATOMIC_RELEASE);
	dvtd_flush(u, word, sizeof(*word));
	return table;
}

struct vtd_ctx_entry *dvtd_context(const struct vtd_dev *vdev)
{
	struct vtd_unit *u = vdev->unit;
	uint64_t root = cpu64(*root_word(u, vdev->dev->rid));
	struct vtd_ctx_entry *table = mem_page_ptr(u->base.cfg.pool, hpa(root & VTD_ROOT_0_CTP));

	assert(!u->scalable && (root & VTD_ROOT_0_P));
	return &table[vdev->dev->rid & 0xff];
}

static struct vtd_sctx_entry *scalable_context(struct vtd_unit *u, uint16_t rid)
{
	struct vtd_sctx_entry *table = mem_page_ptr(u->base.cfg.pool, hpa(cpu64(*root_word(u, rid)) & VTD_ROOT_0_CTP));

	return &table[rid & 0x7f];
}

le64_t *dvtd_context_word(struct vtd_unit *u, uint16_t rid)
{
	uint64_t root = __atomic_load_n(&root_word(u, rid)->le, __ATOMIC_ACQUIRE);
	void *table;

	root = cpu64((le64_t){root});
	if (!(root & VTD_ROOT_0_P))
		return NULL;
	table = mem_page_ptr(u->base.cfg.pool, hpa(root & VTD_ROOT_0_CTP));
	return u->scalable ? &((struct vtd_sctx_entry *)table)[rid & 0x7f].q[0] :
			     &((struct vtd_ctx_entry *)table)[rid & 0xff].q[0];
}

/* A context entry appeared where none was: 6.1 with CM the unit may have cached the absence, under DID 0. */
static void context_appeared(struct vtd_unit *u, uint16_t rid)
{
	if (u->cap & VTD_CAP_CM) {
		dvtd_queue_begin(u);
		dvtd_queue_push(u, dvtd_desc_context(VTD_INV_CC_DEVICE, 0, rid));
		dvtd_queue_end(u);
		dvtd_queue_begin(u);
		dvtd_queue_push(u, dvtd_desc_iotlb(u, VTD_INV_IOTLB_DOMAIN, 0, 0, 0, false));
		dvtd_queue_end(u);
	} else {
		dvtd_flush_write_buffer(u);
	}
}

static void publish_context(struct vtd_dev *vdev)
{
	struct vtd_sctx_entry e, *live = scalable_context(vdev->unit, vdev->dev->rid);
	const struct vtd_sctx_args args = {
		.dir = vdev->dir_pa,
		.dir_entries = vdev->dir_entries,
		.device_tlb = vdev->ats,
		.pasids = vdev->pasid,
		.page_requests = vdev->pri,
	};

	dvtd_sctx_make(&e, &args);
	dvtd_sctx_publish(live, &e);
	dvtd_flush(vdev->unit, live, sizeof(*live));
	context_appeared(vdev->unit, vdev->dev->rid);
}

/*
 * No PASID entry is present, in memory or cached: this takes the way to them. Table 28, changes to a scalable-mode context entry: no
 * domain is left to be affected, but with CM the unit may know, under DID 0, that those entries are absent. ATS is still on: a
 * function answers invalidations only then.
 */
static void take_context(struct vtd_dev *vdev)
{
	struct vtd_unit *u = vdev->unit;
	struct vtd_sctx_entry *live = scalable_context(u, vdev->dev->rid);

	dvtd_sctx_unpublish(live);
	dvtd_flush(u, live, sizeof(*live));
	dvtd_queue_begin(u);
	dvtd_queue_push(u, dvtd_desc_context(VTD_INV_CC_DEVICE, 0, vdev->dev->rid));
	if (u->cap & VTD_CAP_CM)
		dvtd_queue_push(u, dvtd_desc_pasid_cache(VTD_INV_PC_DOMAIN, 0, 0));
	dvtd_queue_end(u);
	dvtd_queue_begin(u);
	if (u->cap & VTD_CAP_CM)
		dvtd_queue_push(u, dvtd_desc_iotlb(u, VTD_INV_IOTLB_DOMAIN, 0, 0, 0, false));
	if (vdev->ats)
		dvtd_push_devtlb(u, vdev->dev->rid, 0, 0, 52);
	dvtd_queue_end(u);
	dvtd_sctx_zero(live);
	dvtd_flush(u, live, sizeof(*live));
}

static int make_directory(struct vtd_dev *vdev)
{
	struct vtd_unit *u = vdev->unit;
	uint32_t need = (vdev->dev->max_pasids + 63) / 64, n = DIR_MIN;

	while (n < need)
		n *= 2;
	vdev->dir_entries = n;
	vdev->dir_order = (uint8_t)(nb_ilog2(n) - nb_ilog2(DIR_MIN));
	vdev->tables = nb_calloc(n, sizeof(struct vtd_pasid_table *));
	vdev->dir = mem_page_alloc(u->base.cfg.pool, vdev->dir_order, &vdev->dir_pa);
	if (!vdev->tables || !vdev->dir)
		return -ENOMEM;
	dvtd_flush(u, vdev->dir, n * sizeof(*vdev->dir));
	return 0;
}

static void free_vdev(struct vtd_dev *vdev)
{
	struct mem_pool *pool = vdev->unit->base.cfg.pool;
	uint32_t i;

	for (i = 0; vdev->tables && i < vdev->dir_entries; i++) {
		if (!vdev->tables[i])
			continue;
		mem_page_free(pool, vdev->tables[i]->entries, 0);
		nb_free(vdev->tables[i]);
	}
	nb_free(vdev->tables);
	mem_page_free(pool, vdev->dir, vdev->dir_order);
	nb_free(vdev);
}

int dvtd_probe_device(struct drv_dev *dev, struct nb_diag *diag)
{
	struct vtd_unit *u = dvtd_unit(dev->iommu);
	struct vtd_dev *vdev = nb_zalloc(sizeof(*vdev));
	uint32_t unit_pasids = 0;
	int err = -ENOMEM;
	void *table;

	if (!vdev)
		return nb_fail(diag, err, "no memory for function %04x", dev->rid);
	if (u->scalable && (u->ecap & VTD_ECAP_PASID))
		unit_pasids = 2u << FIELD_GET(VTD_ECAP_PSS, u->ecap);
	if (unit_pasids > NB_PASID_MAX + 1)
		unit_pasids = NB_PASID_MAX + 1;
	if (dev->max_pasids > unit_pasids)
		dev->max_pasids = unit_pasids;
	vdev->dev = dev;
	vdev->unit = u;
	dvtd_features_find(vdev);

	pthread_mutex_lock(&u->lock);
	table = context_table(u, dev->rid);
	pthread_mutex_unlock(&u->lock);
	if (!table || (u->scalable && make_directory(vdev))) {
		nb_fail(diag, err, "no memory for the tables of function %04x", dev->rid);
		goto out_free;
	}
	if (u->scalable) {
		if (cpu64(scalable_context(u, dev->rid)->q[0]) & VTD_SCTX_0_P) {
			err = nb_fail(diag, -EBUSY, "function %04x is there already", dev->rid);
			goto out_free;
		}
		publish_context(vdev);
		if (dvtd_features_on(vdev)) { /* the function is worse than the owner thought: nothing it cannot do is allowed */
			take_context(vdev);
			publish_context(vdev);
		}
	}
	dev->priv = vdev;
	dvtd_prq_add(vdev);
	return 0;
out_free:
	free_vdev(vdev);
	return err;
}

void dvtd_release_device(struct drv_dev *dev)
{
	struct vtd_dev *vdev = dev->priv;
	struct vtd_unit *u = vdev->unit;
	uint32_t i, k;

	dvtd_block(dev, NB_NO_PASID);
	if (u->scalable) {
		for (i = 0; i < vdev->dir_entries; i++)
			for (k = 0; vdev->tables[i] && k < 64; k++)
				if (vdev->tables[i]->att[k])
					dvtd_block(dev, i * 64 + k);
		if (vdev->pri) /* what it asked is reported here or answered; ATS must still be on */
			dvtd_prq_drain(vdev, 0, 0);
		take_context(vdev);
		dvtd_features_off(vdev);
	}
	dvtd_prq_del(vdev);
	dev->priv = NULL;
	free_vdev(vdev);
}
