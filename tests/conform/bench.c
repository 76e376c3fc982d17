/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/alloc.h"

#define MSI_ADDR UINT64_C(0xfee00000)

static void leave(struct bench *b)
{
	if (b->leave)
		b->leave(b->opaque);
}

static void enter(struct bench *b)
{
	if (b->enter)
		b->enter(b->opaque);
}

static uint64_t mmio_read(void *opaque, uint64_t off, unsigned int size)
{
	struct bench_unit *u = opaque;
	uint64_t v;

	leave(u->b);
	v = u->hw->ops->mmio_read(u->hw, off, size);
	enter(u->b);
	return v;
}

static void mmio_write(void *opaque, uint64_t off, unsigned int size, uint64_t v)
{
	struct bench_unit *u = opaque;

	if (u->b->wrote)
		u->b->wrote(u->b, (unsigned int)(u - u->b->unit), off, v);
	leave(u->b);
	u->hw->ops->mmio_write(u->hw, off, size, v);
	enter(u->b);
}

/* ---- hardware's own view of the pool ---- */

static uint64_t hw_read(void *opaque, uint64_t off, unsigned int size)
{
	struct bench *b = opaque;
	uint64_t v = 0;

	memcpy(&v, b->pool_hw + off, size);
	return v;
}

/* What a device writes is coherent: it changes the CPU's line too. */
static void hw_write(void *opaque, uint64_t off, unsigned int size, uint64_t v)
{
	struct bench *b = opaque;

	memcpy(b->pool_hw + off, &v, size);
	memcpy(b->pool_cpu + off, &v, size);
}

static const struct mem_mmio_ops hw_pool_ops = {.read = hw_read, .write = hw_write};

bool bench_evict(struct bench *b, size_t off)
{
	off &= ~(size_t)(BENCH_LINE - 1);
	if (b->pool_hw == b->pool_cpu || memcmp(b->pool_hw + off, b->pool_cpu + off, BENCH_LINE) == 0)
		return false;
	memcpy(b->pool_hw + off, b->pool_cpu + off, BENCH_LINE);
	return true;
}

static void flush(void *opaque, const void *p, size_t len)
{
	struct bench *b = opaque;
	size_t off = (size_t)((const uint8_t *)p - b->pool_cpu), end = off + len;

	assert(end <= BENCH_POOL_LEN && off < end);
	for (off &= ~(size_t)(BENCH_LINE - 1); off < end; off += BENCH_LINE)
		if (bench_evict(b, off) && b->line)
			b->line(b->opaque, off);
}

/* ---- interrupts ---- */

static void msi(void *opaque, uint64_t addr, uint32_t data)
{
	struct bench_unit *u = opaque;

	if (addr != MSI_ADDR || (data & ~DRV_MSI_PAGE_REQUEST) != u->msi_data || !u->drv)
		return;
	if (u->b->hold)
		u->msi_held[data != u->msi_data] = true;
	else
		u->drv->ops->irq(u->drv, data);
}

void bench_interrupts(struct bench *b)
{
	unsigned int i, k;

	for (i = 0; i < BENCH_UNITS; i++) {
		for (k = 0; k < 2; k++) {
			if (!b->unit[i].msi_held[k])
				continue;
			b->unit[i].msi_held[k] = false;
			b->unit[i].drv->ops->irq(b->unit[i].drv, b->unit[i].msi_data + k * DRV_MSI_PAGE_REQUEST);
		}
	}
}

/* ---- functions with translation caches, which are always empty ---- */

static bool ats_invalidate(void *opaque, uint32_t pasid, bool all_pasids, uint64_t addr, unsigned int lg2)
{
	const struct bench *b = opaque;

	(void)pasid;
	(void)all_pasids;
	(void)addr;
	(void)lg2;
	return !b->silent;
}

static const struct hw_client *client(void *opaque, uint16_t rid)
{
	const struct bench *b = opaque;
	unsigned int i;

	for (i = 0; i < BENCH_DEVS; i++)
		if (b->dev[i].rid == rid && b->dev[i].ats)
			return &b->client;
	return NULL;
}

/* ---- up and down ---- */

static void *pages(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

static int unit_up(struct bench *b, unsigned int i)
{
	struct bench_unit *u = &b->unit[i];
	struct drv_iommu_cfg cfg = {
		.mem = &b->mem, .pool = b->pool, .tr = b->tr, .msi_addr = MSI_ADDR, .msi_data = 0x40 + i,
		.flush = flush, .flush_opaque = b,
		.mmio = {.opaque = u, .read = mmio_read, .write = mmio_write},
	};
	int err;

	u->b = b;
	u->msi_data = cfg.msi_data;
	err = b->vendor->boot(&b->desc, i, b->conf->noncoherent >> i & 1 ? &b->hw_mem : &b->mem, b->tr, &u->hw, &cfg.errata,
			      &b->diag);
	if (err)
		return err;
	u->hw->msi = msi;
	u->hw->msi_opaque = u;
	u->hw->client = client;
	u->hw->client_opaque = b;
	return b->vendor->drv->probe(&cfg, &u->drv, &b->diag);
}

int bench_up(struct bench *b, const struct vendor *v, const struct vendor_conf *conf)
{
	return bench_up_watched(b, v, conf, NULL);
}

int bench_up_watched(struct bench *b, const struct vendor *v, const struct vendor_conf *conf,
		     void (*wrote)(struct bench *b, unsigned int unit, uint64_t off, uint64_t v))
{
	unsigned int i;
	int err = 0;

	memset(b, 0, sizeof(*b));
	b->wrote = wrote;
	b->vendor = v;
	b->conf = conf;
	b->client = (struct hw_client){.opaque = b, .ats_invalidate = ats_invalidate};
	conf->make(&b->desc);
	v->guest(conf, &b->desc, &b->guest);
	b->pool_cpu = pages(BENCH_POOL_LEN);
	b->pool_hw = b->pool_cpu;
	b->ram = pages(BENCH_RAM_LEN);
	if (guard_init() || mem_init_regions(&b->mem) || mem_init_regions(&b->hw_mem))
		abort();
	err |= mem_add_region(&b->mem, hpa(BENCH_POOL_PA), b->pool_cpu, BENCH_POOL_LEN);
	err |= mem_add_region(&b->mem, hpa(BENCH_RAM_PA), b->ram, BENCH_RAM_LEN);
	err |= mem_add_region(&b->hw_mem, hpa(BENCH_RAM_PA), b->ram, BENCH_RAM_LEN);
	if (conf->noncoherent) {
		b->pool_hw = pages(BENCH_POOL_LEN);
		/* Garbage where nothing was flushed to: a forgotten flush is no empty table. */
		memset(b->pool_hw, 0xa5, BENCH_POOL_LEN);
		err |= mem_add_mmio(&b->hw_mem, hpa(BENCH_POOL_PA), BENCH_POOL_LEN, &hw_pool_ops, b);
	}
	b->pool = mem_pool_new_at(&b->mem, hpa(BENCH_POOL_PA), BENCH_POOL_LEN);
	b->tr = nb_trace_new(NULL);
	if (err || !b->pool || !b->tr)
		abort();
	for (i = 0; i < BENCH_UNITS; i++) {
		err = unit_up(b, i);
		if (err)
			return err;
	}
	for (i = 0; i < BENCH_DEVS; i++) {
		b->dev[i] = (struct drv_dev){.iommu = b->unit[i == 2].drv, .rid = (uint16_t)(0x100 + 0x88 * i),
					     .max_pasids = 1u << 16, .ats = i == 1, .always_snoops = true};
		if (!wrote) /* a unit may remember that there was nothing before the function was plugged in */
			bench_go(b, i, NB_NO_PASID, K4, HW_READ);
		err = v->drv->probe_device(&b->dev[i], &b->diag);
		if (err)
			return err;
	}
	return 0;
}

void bench_down(struct bench *b)
{
	unsigned int i;

	for (i = 0; i < BENCH_DEVS; i++)
		b->vendor->drv->release_device(&b->dev[i]);
	for (i = 0; i < BENCH_UNITS; i++) {
		b->vendor->drv->remove(b->unit[i].drv);
		b->unit[i].hw->ops->destroy(b->unit[i].hw);
	}
	mem_pool_free(b->pool); /* asserts that every page came back */
	mem_fini(&b->mem);
	mem_fini(&b->hw_mem);
	nb_trace_free(b->tr);
	if (b->pool_hw != b->pool_cpu)
		munmap(b->pool_hw, BENCH_POOL_LEN);
	munmap(b->pool_cpu, BENCH_POOL_LEN);
	munmap(b->ram, BENCH_RAM_LEN);
}

/* ---- requests ---- */

static uint64_t verdict(const struct hw_result *res)
{
	return res->kind == HW_OK ? res->pa.v : BENCH_FAULT | res->fault.reason;
}

uint64_t bench_go(struct bench *b, unsigned int dev, uint32_t pasid, uint64_t addr, uint8_t access)
{
	struct hw_request req = {.addr = addr, .pasid = pasid, .rid = b->dev[dev].rid, .access = access};
	struct hw_result res;

	hw_translate(b->unit[dev == 2].hw, &req, &res);
	return verdict(&res);
}

uint64_t bench_look(struct bench *b, unsigned int dev, uint32_t pasid, uint64_t addr, uint8_t access)
{
	struct hw_iommu *hw = b->unit[dev == 2].hw;
	struct hw_request req = {
		.addr = addr, .pasid = pasid, .rid = b->dev[dev].rid, .access = access, .flags = HW_OBSERVE};
	struct hw_result res;

	hw->ops->walk(hw, &req, NULL, NULL, &res);
	return verdict(&res);
}

struct agrees {
	struct bench *b;
	uint64_t pa;
	bool differs;
};

static void compare_step(void *opaque, const struct hw_step *step)
{
	struct agrees *a = opaque;
	unsigned int i;

	for (i = 0; step->fetched && i < step->nwords; i++) {
		uint64_t off = step->pa.v + 8 * i - BENCH_POOL_PA;

		if (off < BENCH_POOL_LEN && memcmp(a->b->pool_cpu + off, &step->word[i], 8) != 0) {
			a->differs = true;
			a->pa = step->pa.v + 8 * i;
		}
	}
}

bool bench_agrees(struct bench *b, unsigned int dev, uint32_t pasid, uint64_t addr, uint64_t *pa)
{
	struct hw_iommu *hw = b->unit[dev == 2].hw;
	struct hw_request req = {.addr = addr, .pasid = pasid, .rid = b->dev[dev].rid, .access = HW_READ, .flags = HW_OBSERVE};
	struct agrees a = {.b = b};
	struct hw_result res;

	hw->ops->walk(hw, &req, compare_step, &a, &res);
	*pa = a.pa;
	return !a.differs;
}

bool bench_capable(struct bench *b, unsigned int dev, enum drv_cap cap)
{
	return b->vendor->drv->capable(&b->dev[dev], cap);
}

/* As the host's core: a function has one vDEVICE, and that is where its guest is. */
static void move_vdevice(struct bench *b, unsigned int dev, struct drv_viommu *v)
{
	struct drv_vdevice *vd = b->vdev[dev];

	if (vd && vd->viommu == v)
		return;
	if (vd) {
		vd->viommu->ops->vdevice_destroy(vd);
		nb_free(vd);
		b->vdev[dev] = NULL;
	}
	if (!v || v->iommu != b->dev[dev].iommu)
		return;
	vd = nb_zalloc(v->ops->vdevice_size);
	if (!vd)
		abort();
	vd->viommu = v;
	vd->dev = &b->dev[dev];
	vd->virt_id = 0x10 + dev;
	if (v->ops->vdevice_init(vd, &b->diag))
		abort();
	b->vdev[dev] = vd;
}

int bench_attach(struct bench *b, unsigned int dev, uint32_t pasid, struct drv_domain *d)
{
	if (d && d->viommu)
		move_vdevice(b, dev, d->viommu);
	if (d)
		return b->vendor->drv->attach(&b->dev[dev], pasid, d, &b->diag);
	b->vendor->drv->block(&b->dev[dev], pasid);
	return 0;
}

int bench_map(struct bench *b, struct drv_domain *d, uint64_t ia, uint64_t pa, uint64_t len)
{
	return d->ops->map(d, ia, hpa(pa), len, PT_READ | PT_WRITE, &b->diag);
}

int bench_unmap(struct drv_domain *d, uint64_t ia, uint64_t len)
{
	struct drv_gather g = {0};
	int err = d->ops->unmap(d, ia, len, &g);

	d->ops->iotlb_sync(d, &g);
	return err;
}

/* ---- the guest ---- */

uint64_t bench_guest_page(struct bench *b)
{
	uint64_t gpa = b->ram_used, len = UINT64_C(1) << b->guest.page_lg2;

	assert(gpa + len <= BENCH_RAM_LEN);
	b->ram_used += len;
	return gpa;
}

void bench_guest_map(struct bench *b, uint64_t root, uint64_t va, uint64_t gpa, unsigned int prot)
{
	const struct vendor_guest *g = &b->guest;
	const unsigned int index_lg2 = g->page_lg2 - 3u;
	uint64_t table = root, *e;
	unsigned int level;

	for (level = g->levels - 1u;; level--) {
		e = (uint64_t *)(void *)(b->ram + table) + (va >> (g->page_lg2 + index_lg2 * level) & nb_low_mask(index_lg2));
		if (level == 0)
			break;
		if (!*e)
			__atomic_store_n(e, b->vendor->s1_node(g, bench_guest_page(b)), __ATOMIC_RELEASE);
		table = *e & BITS(47, 12);
	}
	__atomic_store_n(e, gpa ? b->vendor->s1_leaf(g, gpa, prot) : 0, __ATOMIC_RELEASE);
}

static struct drv_viommu *viommu(struct bench *b, unsigned int dev, struct drv_domain *parent)
{
	struct drv_viommu *v;
	unsigned int i;
	size_t size;

	for (i = 0; b->viommu[i]; i++) {
		if (b->viommu[i]->parent == parent && b->viommu[i]->iommu == b->dev[dev].iommu)
			return b->viommu[i];
		assert(i + 1 < BENCH_VIOMMUS);
	}
	size = b->vendor->drv->viommu_size(&b->dev[dev], b->vendor->viommu_type);
	v = size ? nb_zalloc(size) : NULL;
	if (!v)
		return NULL;
	v->iommu = b->dev[dev].iommu;
	v->parent = parent;
	v->type = b->vendor->viommu_type;
	if (b->vendor->drv->viommu_init(v, NULL, &b->diag))
		abort();
	return b->viommu[i] = v;
}

void bench_viommus_down(struct bench *b)
{
	unsigned int i;

	for (i = 0; i < BENCH_DEVS; i++)
		move_vdevice(b, i, NULL);
	for (i = 0; i < BENCH_VIOMMUS && b->viommu[i]; i++) {
		b->viommu[i]->ops->destroy(b->viommu[i]);
		nb_free(b->viommu[i]);
		b->viommu[i] = NULL;
	}
}

int bench_nested(struct bench *b, unsigned int dev, struct drv_domain *parent, enum vendor_s1 how, uint64_t root,
		 struct drv_domain **out)
{
	uint64_t page = bench_guest_page(b);
	struct vendor_blob blob;
	struct drv_user_data data;
	struct drv_viommu *v;

	*out = NULL;
	if (!b->vendor->s1_blob(&b->guest, how, root, b->ram + page, page, &blob))
		return 0;
	data = (struct drv_user_data){blob.type, blob.len, (uint64_t)(uintptr_t)blob.bytes};
	if (!b->vendor->viommu_type)
		return b->vendor->drv->domain_alloc_nested(&b->dev[dev], parent, 0, &data, out, &b->diag);
	v = viommu(b, dev, parent);
	return v ? v->ops->domain_alloc_nested(v, 0, &data, out, &b->diag) : -ENOMEM;
}

int bench_invalidate(struct bench *b, struct drv_domain *d, uint64_t root, uint64_t va, uint64_t npages, bool leaf)
{
	struct vendor_blob blob;
	struct drv_user_array a;

	b->vendor->inv_blob(&b->guest, root, va, npages, leaf, &blob);
	a = (struct drv_user_array){blob.type, blob.len, blob.n, (uint64_t)(uintptr_t)blob.bytes};
	return d->viommu ? d->viommu->ops->cache_invalidate(d->viommu, &a, &b->diag) :
			   d->ops->cache_invalidate_user(d, &a, &b->diag);
}
