/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What passes between the rooms of a machine.
 *
 *   function --DMA, ATS, page request, message--> unit        unit --response, end of a stall, invalidation--> function
 *   unit --remapped message--> host                           driver --MMIO, write-back--> unit --MSI--> driver
 *   driver --capabilities--> function
 *
 * Nothing here is locked but the inboxes: the wiring is complete before the host is handed out, and it is taken down when nobody is left
 * that could use it.
 */
#include "machine/board.h"

#include <errno.h>

#include "base/bits.h"

#define ATC_ENTRIES 256 /* of a function's device-TLB */

/* Access bits are passed on as they are. */
_Static_assert((int)DEV_READ == (int)HW_READ && (int)DEV_WRITE == (int)HW_WRITE && (int)DEV_EXEC == (int)HW_EXEC, "");

/* ---- driver to unit ---- */

static uint64_t mmio_read(void *opaque, uint64_t off, unsigned int size)
{
	struct unit *u = opaque;

	return u->hw->ops->mmio_read(u->hw, off, size);
}

static void mmio_write(void *opaque, uint64_t off, unsigned int size, uint64_t v)
{
	struct unit *u = opaque;

	u->hw->ops->mmio_write(u->hw, off, size, v);
}

struct drv_mmio wires_mmio(struct unit *u)
{
	return (struct drv_mmio){.opaque = u, .read = mmio_read, .write = mmio_write};
}

/* In the virtual host a physical address is a process address. */
void wires_flush(void *opaque, const void *p, size_t len)
{
	struct unit *u = opaque;

	u->hw->ops->written_back(u->hw, hpa((uintptr_t)p), len);
}

/* ---- unit to driver, host and function ---- */

static void unit_msi(void *opaque, uint64_t addr, uint32_t data)
{
	struct unit *u = opaque;
	struct drv_iommu *drv = atomic_load_explicit(&u->drv, memory_order_acquire);

	if (drv && addr == 0 && u->companion && data == u->companion_wire)
		drv->ops->irq(drv, u->msi_data + DRV_MSI_COMPANION);
	else if (drv && addr == u->msi_addr && (data == u->msi_data || data == u->msi_data + DRV_MSI_PAGE_REQUEST))
		drv->ops->irq(drv, data);
}

static void unit_deliver(void *opaque, const struct hw_irq *irq)
{
	struct unit *u = opaque;

	host_deliver(u->m->host, irq->dest, irq->vector);
}

/* A handful of functions: looked for where they are. */
static const struct hw_client *unit_client(void *opaque, uint16_t rid)
{
	struct unit *u = opaque;
	uint32_t i;

	for (i = 0; i < u->m->desc.nfunctions; i++) {
		const struct function *f = &u->m->function[i];

		if (f->unit == u && f->desc->rid == rid)
			return &f->client;
	}
	return NULL;
}

void wires_unit(struct unit *u)
{
	u->hw->msi = unit_msi;
	u->hw->msi_opaque = u;
	u->hw->deliver = unit_deliver;
	u->hw->deliver_opaque = u;
	u->hw->client = unit_client;
	u->hw->client_opaque = u;
}

/* ---- responses ---- */

static bool put_aside(struct function *f, const struct inbox_item *it)
{
	struct machine *m = f->unit->m;

	atomic_fetch_add_explicit(&m->waiting, 1, memory_order_relaxed);
	if (inbox_put(&f->inbox, it))
		return true;
	atomic_fetch_sub_explicit(&m->waiting, 1, memory_order_relaxed);
	return false;
}

static void client_response(void *opaque, uint32_t pasid, unsigned int prgi, unsigned int code)
{
	struct function *f = opaque;
	const struct inbox_item it = {.pasid = pasid, .prgi = (uint16_t)prgi, .code = (uint8_t)code};

	if (!put_aside(f, &it))
		NB_TRACE(f->unit->m->tr, hw_page_request_lost, f->desc->rid, 0, prgi);
}

/*
 * A unit has few places for stalled transactions, and a function stalls again only when it was told to go on: there is always room for
 * what ends one.
 */
static void client_stall_done(void *opaque, uint32_t pasid, uint64_t addr, bool all, enum hw_stall_end end)
{
	struct function *f = opaque;
	const struct inbox_item it = {.stall = true, .all = all, .pasid = pasid, .addr = addr, .code = (uint8_t)end};

	(void)put_aside(f, &it);
}
_Static_assert((int)HW_STALL_RETRY == (int)DEV_STALL_RETRY && (int)HW_STALL_ABORT == (int)DEV_STALL_ABORT &&
	       (int)HW_STALL_RAZ_WI == (int)DEV_STALL_RAZ_WI, "");

/* Hand over what is there for f. Without locks. */
static void drain(struct function *f)
{
	struct inbox_item it;

	while (inbox_take(&f->inbox, &it)) {
		atomic_fetch_sub_explicit(&f->unit->m->waiting, 1, memory_order_relaxed);
		if (it.stall)
			dev_stall_done(f->fn, it.pasid, it.addr, it.all, it.code);
		else
			dev_page_response(f->fn, it.pasid, it.prgi, it.code);
	}
}

/*
 * An answer that this thread has caused is in its inbox, and counted, or has been taken by another thread. What others cause at the
 * same time is theirs to settle.
 */
void wires_settle(void *opaque)
{
	struct machine *m = opaque;
	uint32_t i;

	if (likely(atomic_load_explicit(&m->waiting, memory_order_relaxed) == 0))
		return;
	for (i = 0; i < m->desc.nfunctions; i++) {
		if (inbox_has(&m->function[i].inbox))
			drain(&m->function[i]);
		if (m->function[i].own)
			own_iommu_settle(m->function[i].own);
	}
}

/* ---- function to unit ---- */

static int fn_dma_read(void *opaque, uint32_t pasid, uint64_t addr, void *buf, size_t len)
{
	struct function *f = opaque;

	return hw_dma_read(f->unit->hw, f->desc->rid, pasid, addr, buf, len);
}

static int fn_dma_write(void *opaque, uint32_t pasid, uint64_t addr, const void *buf, size_t len)
{
	struct function *f = opaque;

	return hw_dma_write(f->unit->hw, f->desc->rid, pasid, addr, buf, len);
}

static void fn_irq(void *opaque, enum dev_irq kind, unsigned int vector, bool level)
{
	struct function *f = opaque;
	struct host_function *host = atomic_load_explicit(&f->host, memory_order_acquire);

	if (host)
		host_function_irq(host, kind, vector, level);
}

/*
 * PCI Express 5.0, 10.4: what comes of it has happened when the unit is done with it; an answer is ours to hand over, with
 * no lock held. Answers to other functions, whose requests the driver took from the queue along with this one, are left to
 * wires_settle(), so that functions never wait inside each other.
 */
static void fn_page_request(void *opaque, const struct dev_page_request *pr)
{
	struct function *f = opaque;
	struct hw_iommu *hw = f->unit->hw;
	const struct hw_page_request req = {
		.addr = pr->addr,
		.pasid = pr->pasid,
		.rid = f->desc->rid,
		.prgi = pr->prgi,
		.access = pr->access & (DEV_READ | DEV_WRITE | DEV_EXEC),
		.last = pr->last,
		.priv = (pr->access & DEV_PRIV) != 0,
	};

	hw->ops->page_request(hw, &req);
	drain(f);
}

/* What moved past the unit's own count, which is of untranslated requests. */
static void count_bytes(struct function *f, uint32_t pasid, uint64_t addr, size_t n, bool write)
{
	struct nb_trace *tr = f->unit->m->tr;

	if (!n)
		return;
	if (write)
		NB_TRACE_N(tr, hw_dma_write, n, (uint64_t)f->desc->rid, (uint64_t)pasid, addr, (uint64_t)n);
	else
		NB_TRACE_N(tr, hw_dma_read, n, (uint64_t)f->desc->rid, (uint64_t)pasid, addr, (uint64_t)n);
}

static int fn_dma_ats(void *opaque, uint32_t pasid, uint64_t addr, void *buf, size_t len, bool write, size_t *done)
{
	struct function *f = opaque;

	int err = hw_atc_dma(f->atc, pasid, addr, buf, len, write, 0, done);

	count_bytes(f, pasid, addr, *done, write);
	return err;
}

static int fn_dma_translated(void *opaque, uint32_t pasid, uint64_t pa, void *buf, size_t len, bool write)
{
	struct function *f = opaque;

	int err = f->atc ? hw_atc_dma_translated(f->atc, pasid, pa, buf, len, write) : -EFAULT;

	if (!err)
		count_bytes(f, pasid, pa, len, write);
	return err;
}

static void fn_ats_translate(void *opaque, uint32_t pasid, uint64_t addr, unsigned int access, struct dev_ats *out)
{
	struct function *f = opaque;
	struct hw_ats_completion c;

	*out = (struct dev_ats){.ur = true};
	if (!f->atc)
		return;
	hw_atc_ask(f->atc, pasid, addr, access & (DEV_READ | DEV_WRITE | DEV_EXEC), access & DEV_PRIV ? HW_PRIV : 0, &c);
	*out = (struct dev_ats){
		.ur = c.status == HW_ATS_UR,
		.ca = c.status == HW_ATS_CA,
		.untranslated_only = c.untranslated_only,
		.global = c.global,
		.lg2 = c.lg2,
		.perm = c.perm,
		.pa = c.pa.v,
	};
}

static void fn_ats_forget(void *opaque)
{
	struct function *f = opaque;

	if (f->atc)
		hw_atc_forget(f->atc);
}

/* The switch may be thrown back and forth by several threads: whoever comes last tells what it is now. */
static void fn_ats_switched(void *opaque)
{
	struct function *f = opaque;

	if (!f->atc)
		return;
	pthread_mutex_lock(&f->ats_lock);
	hw_atc_enable(f->atc, dev_feature_enabled(f->fn, DEV_FEATURE_ATS));
	pthread_mutex_unlock(&f->ats_lock);
}

/* What does not get through, the unit has logged. */
static int fn_msi(void *opaque, uint64_t addr, uint32_t data)
{
	struct function *f = opaque;

	return hw_message(f->unit->hw, f->desc->rid, addr, data);
}

struct dev_bus wires_bus(struct function *f)
{
	return (struct dev_bus){
		.opaque = f,
		.dma_read = fn_dma_read,
		.dma_write = fn_dma_write,
		.irq = fn_irq,
		.msi = fn_msi,
		.ats_translate = fn_ats_translate,
		.dma_translated = fn_dma_translated,
		.dma_ats = fn_dma_ats,
		.page_request = f->unit->hw->ops->page_request ? fn_page_request : NULL,
		.ats_forget = fn_ats_forget,
		.ats_switched = fn_ats_switched,
	};
}

static bool client_invalidate(void *opaque, uint32_t pasid, bool all_pasids, uint64_t addr, unsigned int lg2)
{
	struct function *f = opaque;

	return hw_atc_invalidate(f->atc, pasid, all_pasids, addr, lg2);
}

/* A function without ATS keeps nothing: the unit takes the missing call as an answer. */
int wires_function(struct function *f, const struct dev_caps *caps)
{
	if ((caps->pri || caps->stall) && inbox_init(&f->inbox))
		return -ENOMEM;
	if (caps->ats) {
		f->atc = hw_atc_new(f->unit->hw, f->desc->rid, ATC_ENTRIES);
		if (!f->atc)
			return -ENOMEM;
		pthread_mutex_init(&f->ats_lock, NULL);
	}
	f->client = (struct hw_client){.opaque = f,
				       .ats_invalidate = caps->ats ? client_invalidate : NULL,
				       .page_response = client_response,
				       .stall_done = caps->stall ? client_stall_done : NULL};
	return 0;
}

void wires_function_fini(struct function *f)
{
	inbox_fini(&f->inbox);
	if (!f->atc)
		return;
	pthread_mutex_destroy(&f->ats_lock);
	hw_atc_free(f->atc);
}

/* ---- driver to function ---- */

static struct function *function_of(struct drv_dev *dev)
{
	return container_of(dev, struct function, dev);
}

static enum dev_feature dev_feature(enum drv_feature what)
{
	switch (what) {
	case DRV_FEATURE_PASID:
		return DEV_FEATURE_PASID;
	case DRV_FEATURE_ATS:
		return DEV_FEATURE_ATS;
	default:
		return DEV_FEATURE_PRI;
	}
}

static int feature_enable(struct drv_dev *dev, enum drv_feature what, uint32_t arg)
{
	return dev_feature_enable(function_of(dev)->fn, dev_feature(what), true, arg);
}

static void feature_disable(struct drv_dev *dev, enum drv_feature what)
{
	(void)dev_feature_enable(function_of(dev)->fn, dev_feature(what), false, 0);
}

const struct drv_fn_ops wires_fn_ops = {.enable = feature_enable, .disable = feature_disable};
