/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The board: units and functions, built and taken down. What passes between them is in wires.c.
 *
 * Nothing here is locked: the wiring is complete before the host is handed out, and it is taken down when nobody is left
 * that could use it. The one exception is a unit's own interrupt, which may arrive while its driver
 * is still being brought up: `drv` is published with release order and an interrupt before that is dropped, as
 * a machine drops one whose vector nobody has taken.
 */
#include "machine/board.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "mem/guard.h"

static int resolve_iommufd(void *opaque, int fd, struct iommufd_file **out)
{
	struct machine *m = opaque;

	return m->cfg.resolve_iommufd(m->cfg.opaque, fd, out);
}

static bool is_node(void *opaque, int fd)
{
	struct machine *m = opaque;

	return m->cfg.is_node(m->cfg.opaque, fd);
}

static int queue_fd(void *opaque, struct queue_file *f, enum host_queue_kind kind, int *fd)
{
	struct machine *m = opaque;

	return m->cfg.queue_fd(m->cfg.opaque, f, kind, fd);
}

static void queue_fd_abort(void *opaque, struct queue_file *f, int fd)
{
	struct machine *m = opaque;

	m->cfg.queue_fd_abort(m->cfg.opaque, f, fd);
}

static void queue_ready(void *opaque, struct queue_file *f, bool ready)
{
	struct machine *m = opaque;

	m->cfg.queue_ready(m->cfg.opaque, f, ready);
}

static int unit_pages(void *opaque, struct drv_iommu *iommu, uint64_t reg, uint64_t len, int *fd, uint64_t *fd_off)
{
	struct machine *m = opaque;
	uint32_t i;

	for (i = 0; i < m->desc.niommus; i++) {
		struct hw_iommu *hw = m->unit[i].hw;

		if (atomic_load_explicit(&m->unit[i].drv, memory_order_relaxed) == iommu && hw->ops->register_memory)
			return hw->ops->register_memory(hw, reg, len, fd, fd_off);
	}
	return -EOPNOTSUPP;
}

static void host_log(void *opaque, const char *line)
{
	struct machine *m = opaque;

	m->cfg.log(m->cfg.opaque, line);
}

/* The host's callbacks come to us, because settling is ours; the rest is passed on. */
static int host_make(struct machine *m)
{
	const struct host_cfg cfg = {
		.mem = &m->mem,
		.tr = m->tr,
		.resolve_iommufd = resolve_iommufd,
		.is_node = m->cfg.is_node ? is_node : NULL,
		.opaque = m,
		.queue_fd = m->cfg.queue_fd ? queue_fd : NULL,
		.queue_fd_abort = m->cfg.queue_fd_abort ? queue_fd_abort : NULL,
		.queue_ready = m->cfg.queue_ready ? queue_ready : NULL,
		.unit_pages = unit_pages,
		.settle = wires_settle,
		.log = m->cfg.log ? host_log : NULL,
	};

	return host_create(&cfg, &m->host);
}

static const struct unit_vendor *vendor_of(const struct nb_desc_iommu *d)
{
	static const struct unit_vendor *const all[] = {&unit_vtd, &unit_smmuv3};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(all) && (uint32_t)all[i]->id != d->vendor; i++)
		;
	assert(i < ARRAY_SIZE(all)); /* the description was checked */
	return all[i];
}

static int unit_create(struct machine *m, uint32_t i, struct nb_diag *diag)
{
	const struct nb_desc_iommu *d = &m->desc.iommu[i];
	const struct unit_vendor *v = vendor_of(d);
	struct unit *u = &m->unit[i];
	struct drv_iommu_cfg cfg = {
		.mem = &m->mem,
		.pool = m->pool,
		.tr = m->tr,
		.mmio = wires_mmio(u),
		.segment = (uint16_t)d->segment,
		.msi_addr = v->doorbell ? doorbell_addr(m) : UNIT_MSI_ADDR,
		.msi_data = UNIT_MSI_DATA + i,
	};
	struct drv_iommu *drv;
	struct nb_diag why = {""};
	int err;

	u->m = m;
	u->msi_addr = cfg.msi_addr;
	u->msi_data = cfg.msi_data;
	err = v->create(u, d, &cfg, &why);
	if (err)
		return nb_fail(diag, err, "IOMMU %s: %s", d->name, why.msg);
	wires_unit(u);
	if (v->doorbell)
		doorbell_unit(u, cfg.segment);
	if (v->lags(d)) {
		cfg.flush = wires_flush;
		cfg.flush_opaque = u;
	}
	err = v->drv->probe(&cfg, &drv, &why);
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
	struct dev_option opt[NB_DESC_MAX_OPTIONS];
	struct host_function *host;
	struct dev_caps caps;
	struct dev_bus bus;
	struct nb_diag why = {""};
	unsigned int j;
	int err;

	assert(model); /* the description was checked */
	bus = wires_bus(f);
	own_iommu_bus(f, &bus);
	err = model->create(opt, own_iommu_options(d, opt), &bus, m->tr, &f->fn, &why);
	if (err)
		return nb_fail(diag, err, "function %04x:%02x:%02x.%x (%s): %s", d->segment, d->rid >> 8, d->rid >> 3 & 31,
			       d->rid & 7, d->model, why.msg);
	dev_caps(f->fn, &caps);
	err = wires_function(f, &caps);
	if (!err && f->unit->hw->doorbell)
		err = doorbell_function(f, &caps);
	if (err)
		return nb_fail(diag, err, "out of memory");
	for (j = 0; j < d->nrmrrs; j++)
		f->fw_resv[j] = (struct drv_resv){d->rmrr[j].base, d->rmrr[j].base + (d->rmrr[j].size - 1), DRV_RESV_DIRECT};
	f->dev = (struct drv_dev){
		.iommu = atomic_load_explicit(&f->unit->drv, memory_order_relaxed),
		.rid = d->rid,
		.ats = caps.ats,
		.pri = caps.pri,
		.stall = caps.stall && !f->behind,
		.always_snoops = true, /* the virtual host's memory is coherent for everybody */
		.max_pasids = f->behind ? 0 : caps.max_pasids, /* what leaves that unit has none */
		.fn_ops = &wires_fn_ops,
		.fw_resv = f->fw_resv,
		.nfw_resv = d->nrmrrs,
	};
	err = host_add_function(m->host,
				&(struct host_function_cfg){.segment = d->segment,
							    .rid = d->rid,
							    .group = d->group,
							    .fn = f->fn,
							    .dev = &f->dev,
							    .doorbell = f->unit->hw->doorbell ? &f->doorbell : NULL,
							    .guest_msi = f->unit->guest_msi},
				&host);
	if (err)
		return nb_fail(diag, err, "function %04x:%02x:%02x.%x (%s): the host refused it: %s", d->segment,
			       d->rid >> 8, d->rid >> 3 & 31, d->rid & 7, d->model, strerror(-err));
	atomic_store_explicit(&f->host, host, memory_order_release);
	return 0;
}

void machine_threads(struct machine *m, enum hw_threads what)
{
	uint32_t i;

	for (i = 0; i < m->desc.niommus; i++) {
		struct hw_iommu *hw = m->unit[i].hw;

		if (hw && hw->ops->threads)
			hw->ops->threads(hw, what);
	}
}

/* Takes down whatever is there: also the way out of a machine_create() that failed. */
void machine_destroy(struct machine *m)
{
	uint32_t i;

	if (!m)
		return;
	if (m->host)
		host_destroy(m->host);
	for (i = 0; i < m->desc.nfunctions; i++) {
		if (m->function[i].fn)
			dev_destroy(m->function[i].fn);
		wires_function_fini(&m->function[i]);
	}
	for (i = 0; i < m->desc.nfunctions; i++)
		own_iommu_destroy(m->function[i].own);
	/* A thread of a model may still be in an interrupt. */
	machine_threads(m, HW_THREADS_HOLD);
	for (i = 0; i < m->desc.niommus; i++) {
		struct drv_iommu *drv = atomic_load_explicit(&m->unit[i].drv, memory_order_relaxed);

		if (drv) {
			drv->ops->remove(drv);
			atomic_store_explicit(&m->unit[i].drv, NULL, memory_order_relaxed);
		}
		if (m->unit[i].hw)
			m->unit[i].hw->ops->destroy(m->unit[i].hw);
	}
	doorbell_destroy(m);
	mem_lag_free(m->lag);
	if (m->pool)
		mem_pool_free(m->pool);
	mem_fini(&m->mem);
	nb_trace_free(m->tr);
	nb_free(m);
}

int machine_create(const struct machine_cfg *cfg, struct machine **out, struct nb_diag *diag)
{
	struct machine *m;
	bool lags = false;
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
	m->cfg = *cfg;
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
	if (cfg->trace_patterns) {
		err = nb_trace_log(m->tr, cfg->trace_patterns, cfg->trace_fd, diag);
		if (err)
			goto fail;
		err = -ENOMEM;
	}
	for (i = 0; i < m->desc.niommus; i++)
		lags |= vendor_of(&m->desc.iommu[i])->lags(&m->desc.iommu[i]);
	if (lags) {
		m->lag = mem_lag_new(&m->mem, m->pool);
		if (!m->lag)
			goto fail;
	}
	err = vendor_of(&m->desc.iommu[0])->doorbell ? doorbell_create(m) : 0;
	if (err) {
		nb_fail(diag, err, "no room for a doorbell: %s", strerror(-err));
		goto fail;
	}
	err = host_make(m);
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
		m->function[i].desc = &m->desc.function[i];
		m->function[i].unit = &m->unit[m->desc.function[i].iommu];
	}
	err = own_iommus_create(m, diag);
	if (err)
		goto fail;
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
