/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The board: units, functions and the wires between them.
 *
 * Nothing here is locked: the wiring is complete before the host is handed out, and it is taken down when nobody is left
 * that could use it. The one exception is a unit's own interrupt, which may arrive while its driver
 * is still being brought up: `drv` is published with release order and an interrupt before that is dropped, as
 * a machine drops one whose vector nobody has taken.
 */
#include "machine/machine.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "drv/drv.h"
#include "hw/vtd/vtd.h"
#include "machine/desc_vtd.h"
#include "mem/guard.h"

/* Where the units send their own messages: in the interrupt address range, one vector each. */
#define UNIT_MSI_ADDR UINT64_C(0xfee00000)
#define UNIT_MSI_DATA 0x4000u

struct unit {
	struct machine *m;
	struct hw_iommu *hw;
	_Atomic(struct drv_iommu *) drv;
	uint32_t msi_data;
};

struct function {
	struct unit *unit;
	const struct nb_desc_function *desc;
	struct dev_fn *fn;
	struct drv_dev dev;
	_Atomic(struct host_function *) host; /* null until plugged in: interrupts before that are dropped */
};

struct machine {
	struct nb_desc desc;
	struct mem mem;
	struct mem_pool *pool;
	struct nb_trace *tr;
	struct host *host;
	struct unit unit[NB_DESC_MAX_IOMMUS];
	struct function function[NB_DESC_MAX_FUNCTIONS];
};

/* drv --MMIO--> hw */
static uint64_t unit_mmio_read(void *opaque, uint64_t off, unsigned int size)
{
	struct unit *u = opaque;

	return u->hw->ops->mmio_read(u->hw, off, size);
}

static void unit_mmio_write(void *opaque, uint64_t off, unsigned int size, uint64_t v)
{
	struct unit *u = opaque;

	u->hw->ops->mmio_write(u->hw, off, size, v);
}

/* hw --MSI--> drv */
static void unit_msi(void *opaque, uint64_t addr, uint32_t data)
{
	struct unit *u = opaque;
	struct drv_iommu *drv = atomic_load_explicit(&u->drv, memory_order_acquire);

	if (drv && addr == UNIT_MSI_ADDR && data == u->msi_data)
		drv->ops->irq(drv, data);
}

/* dev --RID, PASID, IOVA--> hw */
static int function_dma_read(void *opaque, uint32_t pasid, uint64_t addr, void *buf, size_t len)
{
	struct function *f = opaque;

	return hw_dma_read(f->unit->hw, f->desc->rid, pasid, addr, buf, len);
}

static int function_dma_write(void *opaque, uint32_t pasid, uint64_t addr, const void *buf, size_t len)
{
	struct function *f = opaque;

	return hw_dma_write(f->unit->hw, f->desc->rid, pasid, addr, buf, len);
}

static void function_irq(void *opaque, enum dev_irq kind, unsigned int vector, bool level)
{
	struct function *f = opaque;
	struct host_function *host = atomic_load_explicit(&f->host, memory_order_acquire);

	if (host)
		host_function_irq(host, kind, vector, level);
}

static int unit_create(struct machine *m, uint32_t i, struct nb_diag *diag)
{
	const struct nb_desc_iommu *d = &m->desc.iommu[i];
	struct unit *u = &m->unit[i];
	struct drv_iommu_cfg cfg = {
		.mem = &m->mem,
		.pool = m->pool,
		.tr = m->tr,
		.mmio = {.opaque = u, .read = unit_mmio_read, .write = unit_mmio_write},
		.segment = (uint16_t)d->segment,
		.errata = d->vtd.erratum_772415 ? DRV_ERRATUM_VTD_772415 : 0,
		.msi_addr = UNIT_MSI_ADDR,
		.msi_data = UNIT_MSI_DATA + i,
	};
	struct drv_iommu *drv;
	struct vtd_caps caps;
	struct nb_diag why = {""};
	int err;

	u->m = m;
	u->msi_data = cfg.msi_data;
	desc_vtd_caps(&d->vtd, &caps);
	err = vtd_create(&caps, &m->mem, m->tr, &u->hw, &why);
	if (err)
		return nb_fail(diag, err, "IOMMU %s: %s", d->name, why.msg);
	u->hw->msi = unit_msi;
	u->hw->msi_opaque = u;
	err = drv_vtd_ops.probe(&cfg, &drv, &why);
	if (err)
		return nb_fail(diag, err, "the driver of IOMMU %s: %s", d->name, why.msg);
	atomic_store_explicit(&u->drv, drv, memory_order_release);
	return 0;
}

static int function_create(struct machine *m, uint32_t i, struct nb_diag *diag)
{
	const struct nb_desc_function *d = &m->desc.function[i];
	const struct dev_model *model = dev_model_find(d->model);
	struct function *f = &m->function[i];
	const struct dev_bus bus = {
		.opaque = f, .dma_read = function_dma_read, .dma_write = function_dma_write, .irq = function_irq};
	struct dev_option opt[NB_DESC_MAX_OPTIONS];
	struct host_function *host;
	struct dev_caps caps;
	struct nb_diag why = {""};
	unsigned int j;
	int err;

	assert(model); /* the description was checked */
	f->unit = &m->unit[d->iommu];
	f->desc = d;
	for (j = 0; j < d->noptions; j++)
		opt[j] = (struct dev_option){.key = d->option[j].key, .value = d->option[j].value};
	err = model->create(opt, d->noptions, &bus, m->tr, &f->fn, &why);
	if (err)
		return nb_fail(diag, err, "function %04x:%02x:%02x.%x (%s): %s", d->segment, d->rid >> 8, d->rid >> 3 & 31,
			       d->rid & 7, d->model, why.msg);
	dev_caps(f->fn, &caps);
	f->dev = (struct drv_dev){
		.iommu = atomic_load_explicit(&f->unit->drv, memory_order_relaxed),
		.rid = d->rid,
		.ats = caps.ats,
		.pri = caps.pri,
		.max_pasids = caps.max_pasids,
	};
	err = host_add_function(m->host,
				&(struct host_function_cfg){.segment = d->segment,
							    .rid = d->rid,
							    .group = d->group,
							    .fn = f->fn,
							    .dev = &f->dev},
				&host);
	if (err)
		return nb_fail(diag, err, "function %04x:%02x:%02x.%x (%s): the host refused it: %s", d->segment,
			       d->rid >> 8, d->rid >> 3 & 31, d->rid & 7, d->model, strerror(-err));
	atomic_store_explicit(&f->host, host, memory_order_release);
	return 0;
}

/* Takes down whatever is there: also the way out of a machine_create() that failed. */
void machine_destroy(struct machine *m)
{
	uint32_t i;

	if (!m)
		return;
	if (m->host)
		host_destroy(m->host);
	for (i = 0; i < m->desc.nfunctions; i++)
		if (m->function[i].fn)
			dev_destroy(m->function[i].fn);
	for (i = 0; i < m->desc.niommus; i++) {
		struct drv_iommu *drv = atomic_load_explicit(&m->unit[i].drv, memory_order_relaxed);

		if (drv) {
			drv->ops->remove(drv);
			atomic_store_explicit(&m->unit[i].drv, NULL, memory_order_relaxed);
		}
		if (m->unit[i].hw)
			m->unit[i].hw->ops->destroy(m->unit[i].hw);
	}
	if (m->pool)
		mem_pool_free(m->pool);
	mem_fini(&m->mem);
	nb_trace_free(m->tr);
	nb_free(m);
}

int machine_create(const struct machine_cfg *cfg, struct machine **out, struct nb_diag *diag)
{
	struct machine *m;
	uint32_t i;
	int err;

	err = nb_desc_check(cfg->desc, NULL, diag);
	if (err)
		return err;
	err = guard_init();
	if (err)
		return nb_fail(diag, err, "cannot take SIGSEGV and SIGBUS: %s", strerror(-err));
	m = nb_zalloc(sizeof(*m));
	if (!m)
		return nb_fail(diag, -ENOMEM, "out of memory");
	m->desc = *cfg->desc;
	err = mem_init_process(&m->mem);
	if (err) {
		nb_free(m);
		return nb_fail(diag, err, "out of memory");
	}
	err = -ENOMEM;
	nb_fail(diag, err, "out of memory");
	m->tr = nb_trace_new(cfg->counters);
	m->pool = mem_pool_new(&m->mem);
	if (!m->tr || !m->pool)
		goto fail;
	err = host_create(&(struct host_cfg){.mem = &m->mem,
					     .tr = m->tr,
					     .resolve_iommufd = cfg->resolve_iommufd,
					     .opaque = cfg->opaque,
					     .log = cfg->log},
			  &m->host);
	if (err) {
		nb_fail(diag, err, "the host cannot be made: %s", strerror(-err));
		goto fail;
	}
	for (i = 0; i < m->desc.niommus; i++) {
		err = unit_create(m, i, diag);
		if (err)
			goto fail;
	}
	for (i = 0; i < m->desc.nfunctions; i++) {
		err = function_create(m, i, diag);
		if (err)
			goto fail;
	}
	*out = m;
	return 0;
fail:
	machine_destroy(m);
	return err;
}

struct host *machine_host(struct machine *m)
{
	return m->host;
}

struct nb_trace *machine_trace(struct machine *m)
{
	return m->tr;
}

const struct nb_desc *machine_desc(const struct machine *m)
{
	return &m->desc;
}

int machine_vfio_index(struct machine *m, uint16_t segment, uint16_t rid)
{
	uint32_t i;

	for (i = 0; i < m->desc.nfunctions; i++)
		if (m->desc.function[i].segment == segment && m->desc.function[i].rid == rid)
			return (int)i;
	return -ENOENT;
}

struct hw_iommu *machine_iommu_of(struct machine *m, uint16_t segment, uint16_t rid)
{
	int i = machine_vfio_index(m, segment, rid);

	return i < 0 ? NULL : m->function[i].unit->hw;
}

struct dev_fn *machine_function(struct machine *m, uint16_t segment, uint16_t rid)
{
	int i = machine_vfio_index(m, segment, rid);

	return i < 0 ? NULL : m->function[i].fn;
}
