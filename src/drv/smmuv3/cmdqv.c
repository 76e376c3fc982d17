/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tegra241 CMDQ-V: a VINTF for each vIOMMU of that type, a slot for each of its vDEVICEs, an LVCMDQ for each hardware queue (spec/smmuv3/cmdqv.h).
 *
 * A guest maps page 0 of its VINTF, enables its queues there and uses them without us; page 1, where a queue lies, is ours alone. The VMID is in
 * the VINTF and StreamIDs are replaced by the hardware, so that nothing that a guest puts into a queue reaches beyond it. Commands that
 * the hardware does not take from a guest still come as ioctls (viommu.c). VINTF 0 is the host's by convention and not used: the host sends its
 * commands through CMDQ.
 *
 * cmdqv.lock protects who has which VINTF, and orders reports of errors. Interrupts only try it and leave a mark, as with the event queue.
 */
#include "drv/smmuv3/smmu.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "drv/common.h"
#include "mem/guard.h"
#include "spec/smmuv3/cmdqv.h"
#include "uapi/iommufd.h"

#define MAX_VINTFS  64
#define MAX_LVCMDQS 128
#define ENTRY_LG2   4
/* Reports that one interrupt makes at most: a guest may go on making errors. */
#define MAX_ROUNDS 16

struct vcmdq {
	struct drv_hw_queue base;
	uint32_t index; /* of the VCMDQ */
};

struct vintf {
	struct dsmmu_viommu viommu; /* first */
	struct dsmmu_cmdqv *cmdqv;
	uint32_t index;
	uint32_t slots;			     /* taken ones; viommu.lock */
	struct vcmdq *lvcmdq[MAX_LVCMDQS]; /* the core's lock for queues */
};

struct dsmmu_cmdqv {
	struct dsmmu *unit;
	uint64_t base;
	uint32_t nvintfs, nvcmdqs, per_vintf, nsids, version;
	pthread_mutex_t lock;	/* vintfs, reports */
	_Atomic bool pending;	/* an interrupt came: look again after dropping the lock */
	struct vintf *vintfs[MAX_VINTFS];
};

static uint32_t read32(const struct dsmmu_cmdqv *c, uint64_t off)
{
	return dsmmu_read32(c->unit, c->base + off);
}

static void write32(const struct dsmmu_cmdqv *c, uint64_t off, uint32_t v)
{
	dsmmu_write32(c->unit, c->base + off, v);
}

/* CONFIG and its STATUS: bit 0 of both, everywhere. 0 or -EIO. */
static int write_config(const struct dsmmu_cmdqv *c, uint64_t config, uint64_t status, uint32_t v)
{
	uint64_t until = drv_now_ms() + DSMMU_TIMEOUT_MS;

	write32(c, config, v);
	while (((read32(c, status) ^ v) & 1) != 0) {
		if (drv_now_ms() > until)
			return -EIO;
		nb_cpu_relax();
	}
	return 0;
}

static uint64_t vintf_reg(const struct vintf *vi, uint64_t reg)
{
	return CMDQV_REG_VINTF + (uint64_t)CMDQV_VINTF_REGS * vi->index + reg;
}

static uint64_t page0_reg(const struct vcmdq *q, uint64_t reg)
{
	return CMDQV_VCMDQ_PAGE0 + (uint64_t)CMDQV_VCMDQ_STEP * q->index + reg;
}

static uint64_t page1_reg(const struct vcmdq *q, uint64_t reg)
{
	return CMDQV_VCMDQ_PAGE1 + (uint64_t)CMDQV_VCMDQ_STEP * q->index + reg;
}

static struct vintf *vintf_of(struct drv_viommu *v)
{
	return container_of(dsmmu_viommu(v), struct vintf, viommu);
}

/* ---- errors of guests ---- */

/* Cmdqv lock. */
static void report_vintf(struct vintf *vi)
{
	struct drv_viommu *v = &vi->viommu.base;
	struct iommu_vevent_tegra241_cmdqv ev;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ev.lvcmdq_err_map); i++) {
		uint64_t at = vintf_reg(vi, CMDQV_VINTF_LVCMDQ_ERR_MAP + 8 * i);

		ev.lvcmdq_err_map[i] = le64(read32(vi->cmdqv, at) | (uint64_t)read32(vi->cmdqv, at + 4) << 32).le;
	}
	NB_TRACE(vi->cmdqv->unit->base.cfg.tr, drv_queue_error, ev.lvcmdq_err_map[0], vi->index);
	if (v->report_event)
		v->report_event(v, IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV, &ev, sizeof(ev));
}

static void serve_errors(struct dsmmu_cmdqv *c)
{
	unsigned int rounds = MAX_ROUNDS;

	while (rounds-- && atomic_load(&c->pending) && pthread_mutex_trylock(&c->lock) == 0) {
		uint64_t map;

		atomic_store(&c->pending, false);
		map = read32(c, CMDQV_REG_VINTF_ERR_MAP) | (uint64_t)read32(c, CMDQV_REG_VINTF_ERR_MAP + 4) << 32;
		for (; map; map &= map - 1) {
			unsigned int i = (unsigned int)__builtin_ctzll(map);

			if (i < c->nvintfs && c->vintfs[i])
				report_vintf(c->vintfs[i]);
		}
		pthread_mutex_unlock(&c->lock);
	}
}

void dsmmu_cmdqv_irq(struct dsmmu *u)
{
	if (!u->cmdqv)
		return;
	atomic_store(&u->cmdqv->pending, true);
	serve_errors(u->cmdqv);
}

/* ---- queues ---- */

static size_t hw_queue_size(struct drv_viommu *v, uint32_t type)
{
	(void)v;
	return type == IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV ? sizeof(struct vcmdq) : 0;
}

static int check_queue(const struct vintf *vi, const struct drv_hw_queue *b, struct nb_diag *diag)
{
	unsigned int most = (unsigned int)FIELD_GET(SMMU_IDR1_CMDQS, vi->cmdqv->unit->idr[1]) + ENTRY_LG2;

	if (b->index >= vi->cmdqv->per_vintf)
		return nb_fail(diag, -EINVAL, "queue %" PRIu32 " of %" PRIu32, b->index, vi->cmdqv->per_vintf);
	if (vi->lvcmdq[b->index])
		return nb_fail(diag, -EEXIST, "queue %" PRIu32 " is there already", b->index);
	if (b->index && !vi->lvcmdq[b->index - 1])
		return nb_fail(diag, -EIO, "queue %" PRIu32 " before queue %" PRIu32, b->index, b->index - 1);
	if ((b->length & (b->length - 1)) || b->length < 32 || b->length > BIT(most))
		return nb_fail(diag, -EINVAL, "length %#" PRIx64 " is no power of two from 32 to 2^%u", b->length, most);
	if (b->base.v & ~CMDQV_VCMDQ_BASE_ADDR || b->base.v & (b->length - 1))
		return nb_fail(diag, -EINVAL, "the queue does not lie at a multiple of its length %#" PRIx64, b->length);
	return 0;
}

/* The core serialises this with hw_queue_destroy(). Where it lies is said before the guest can enable it. */
static int hw_queue_init(struct drv_hw_queue *base, struct nb_diag *diag)
{
	struct vcmdq *q = container_of(base, struct vcmdq, base);
	struct vintf *vi = vintf_of(base->viommu);
	struct dsmmu_cmdqv *c = vi->cmdqv;
	uint64_t alloc;
	int err = check_queue(vi, base, diag);

	if (err)
		return err;
	q->index = vi->index * c->per_vintf + base->index;
	alloc = CMDQV_REG_CMDQ_ALLOC + 4ull * q->index;
	dsmmu_write64(c->unit, c->base + page1_reg(q, CMDQV_VCMDQ_BASE),
		      base->base.v | FIELD(CMDQV_VCMDQ_BASE_LOG2SIZE, nb_ilog2(base->length) - ENTRY_LG2));
	write32(c, alloc, (uint32_t)(CMDQV_CMDQ_ALLOC_ALLOCATED | FIELD(CMDQV_CMDQ_ALLOC_VINTF, vi->index) |
				     FIELD(CMDQV_CMDQ_ALLOC_LVCMDQ, base->index)));
	if (!(read32(c, alloc) & CMDQV_CMDQ_ALLOC_ALLOCATED)) {
		dsmmu_write64(c->unit, c->base + page1_reg(q, CMDQV_VCMDQ_BASE), 0);
		return nb_fail(diag, -EIO, "the CMDQ-V does not give VINTF %" PRIu32 " a queue", vi->index);
	}
	base->after = base->index ? &vi->lvcmdq[base->index - 1]->base : NULL;
	vi->lvcmdq[base->index] = q;
	return 0;
}

static void disable(const struct dsmmu_cmdqv *c, const struct vcmdq *q)
{
	write_config(c, page0_reg(q, CMDQV_VCMDQ_CONFIG), page0_reg(q, CMDQV_VCMDQ_STATUS), 0);
}

/* Its guest may enable it again until it is taken away, so that what the next one relies on comes after that. */
static void hw_queue_destroy(struct drv_hw_queue *base)
{
	struct vcmdq *q = container_of(base, struct vcmdq, base);
	struct vintf *vi = vintf_of(base->viommu);
	struct dsmmu_cmdqv *c = vi->cmdqv;

	disable(c, q);
	write32(c, CMDQV_REG_CMDQ_ALLOC + 4ull * q->index, 0);
	disable(c, q);
	/* What went unanswered of its ATC invalidations is not for the next one to hear. */
	dsmmu_queue_flush(c->unit);
	write32(c, page0_reg(q, CMDQV_VCMDQ_GERRORN), read32(c, page0_reg(q, CMDQV_VCMDQ_GERROR)));
	write32(c, page0_reg(q, CMDQV_VCMDQ_PROD), 0);
	write32(c, page0_reg(q, CMDQV_VCMDQ_CONS), 0);
	dsmmu_write64(c->unit, c->base + page1_reg(q, CMDQV_VCMDQ_BASE), 0);
	dsmmu_write64(c->unit, c->base + page1_reg(q, CMDQV_VCMDQ_CONS_INDX_BASE), 0);
	vi->lvcmdq[base->index] = NULL;
}

/* ---- vDEVICEs ---- */

static int vdevice_init(struct drv_vdevice *base, struct nb_diag *diag)
{
	struct dsmmu_vdevice *vd = container_of(base, struct dsmmu_vdevice, base);
	struct vintf *vi = vintf_of(base->viommu);
	uint32_t free;
	int err;

	if (base->virt_id > FIELD_MAX(CMDQV_SID_MATCH_VSID))
		return nb_fail(diag, -EINVAL, "virtual StreamID %#" PRIx64 " has more than 20 bits", base->virt_id);
	pthread_mutex_lock(&vi->viommu.lock);
	free = ~vi->slots & (uint32_t)nb_low_mask(vi->cmdqv->nsids);
	vd->slot = free ? (uint8_t)__builtin_ctz(free) : 0;
	vi->slots |= free ? (uint32_t)BIT(vd->slot) : 0;
	pthread_mutex_unlock(&vi->viommu.lock);
	if (!free)
		return nb_fail(diag, -ENOSPC, "a VINTF has room for %" PRIu32 " devices", vi->cmdqv->nsids);
	err = dsmmu_vdevice_init(base, diag);
	assert(!err); /* virt_id was looked at */
	write32(vi->cmdqv, vintf_reg(vi, CMDQV_VINTF_SID_REPLACE + 4ull * vd->slot), base->dev->rid);
	write32(vi->cmdqv, vintf_reg(vi, CMDQV_VINTF_SID_MATCH + 4ull * vd->slot),
		(uint32_t)(CMDQV_SID_MATCH_EN | FIELD(CMDQV_SID_MATCH_VSID, base->virt_id)));
	return 0;
}

static void vdevice_destroy(struct drv_vdevice *base)
{
	struct dsmmu_vdevice *vd = container_of(base, struct dsmmu_vdevice, base);
	struct vintf *vi = vintf_of(base->viommu);

	write32(vi->cmdqv, vintf_reg(vi, CMDQV_VINTF_SID_MATCH + 4ull * vd->slot), 0);
	write32(vi->cmdqv, vintf_reg(vi, CMDQV_VINTF_SID_REPLACE + 4ull * vd->slot), 0);
	dsmmu_vdevice_destroy(base);
	pthread_mutex_lock(&vi->viommu.lock);
	vi->slots &= ~(uint32_t)BIT(vd->slot);
	pthread_mutex_unlock(&vi->viommu.lock);
}

/* ---- vIOMMUs ---- */

static void vintf_stop(struct vintf *vi)
{
	struct dsmmu_cmdqv *c = vi->cmdqv;

	write_config(c, vintf_reg(vi, CMDQV_VINTF_CONFIG), vintf_reg(vi, CMDQV_VINTF_STATUS), 0);
	pthread_mutex_lock(&c->lock); /* reports that are under way end here */
	c->vintfs[vi->index] = NULL;
	pthread_mutex_unlock(&c->lock);
	serve_errors(c); /* a mark left meanwhile was for somebody else */
}

static void vintf_destroy(struct drv_viommu *v)
{
	struct vintf *vi = vintf_of(v);
	unsigned int i;

	assert(vi->slots == 0);
	for (i = 0; i < ARRAY_SIZE(vi->lvcmdq); i++)
		assert(!vi->lvcmdq[i]);
	vintf_stop(vi);
	dsmmu_viommu_fini(v);
}

static const struct drv_viommu_ops vintf_ops = {
	.destroy = vintf_destroy,
	.domain_alloc_nested = dsmmu_alloc_nested,
	.cache_invalidate = dsmmu_cache_invalidate,
	.vdevice_size = sizeof(struct dsmmu_vdevice),
	.vdevice_init = vdevice_init,
	.vdevice_destroy = vdevice_destroy,
	.hw_queue_size = hw_queue_size,
	.hw_queue_init = hw_queue_init,
	.hw_queue_destroy = hw_queue_destroy,
};

static int vintf_take(struct dsmmu_cmdqv *c, struct vintf *vi)
{
	uint32_t i;

	pthread_mutex_lock(&c->lock);
	for (i = 1; i < c->nvintfs && c->vintfs[i]; i++)
		;
	if (i < c->nvintfs) {
		vi->cmdqv = c;
		vi->index = i;
		c->vintfs[i] = vi;
	}
	pthread_mutex_unlock(&c->lock);
	serve_errors(c);
	return i < c->nvintfs ? 0 : -ENOSPC;
}

static int vintf_start(const struct vintf *vi)
{
	uint32_t config = (uint32_t)FIELD(CMDQV_VINTF_CONFIG_VMID, vi->viommu.vmid);
	uint64_t at = vintf_reg(vi, CMDQV_VINTF_CONFIG);

	write32(vi->cmdqv, at, config);
	return write_config(vi->cmdqv, at, vintf_reg(vi, CMDQV_VINTF_STATUS), config | (uint32_t)CMDQV_VINTF_CONFIG_EN);
}

size_t dsmmu_cmdqv_viommu_size(struct drv_dev *dev)
{
	return dsmmu_of(dev->iommu)->cmdqv && dsmmu_can_nest(dev) ? sizeof(struct vintf) : 0;
}

int dsmmu_cmdqv_viommu_init(struct drv_viommu *v, const struct drv_user_data *data, struct nb_diag *diag)
{
	struct iommu_viommu_tegra241_cmdqv out;
	struct dsmmu_cmdqv *c = dsmmu_of(v->iommu)->cmdqv;
	struct vintf *vi = vintf_of(v);
	int err;

	if (!data)
		return nb_fail(diag, -EINVAL, "this type has data: where to map its page from");
	err = drv_copy_user_data(&out, sizeof(out), sizeof(out), IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV, data);
	if (err)
		return nb_fail(diag, err, "the data cannot be read, or is not %zu bytes long", sizeof(out));
	err = vintf_take(c, vi);
	if (err)
		return nb_fail(diag, err, "all %" PRIu32 " VINTFs for guests are taken", c->nvintfs - 1);
	err = vintf_start(vi);
	if (err) {
		nb_fail(diag, err, "the CMDQ-V does not enable VINTF %" PRIu32, vi->index);
		goto out_stop;
	}
	err = v->offer_mmap ? v->offer_mmap(v, c->base + CMDQV_VINTF_PAGES + (uint64_t)CMDQV_VINTF_STEP * vi->index,
					    CMDQV_PAGE_SIZE, &out.out_vintf_mmap_offset) :
			      -EOPNOTSUPP;
	if (err) {
		nb_fail(diag, err, "the page of VINTF %" PRIu32 " cannot be mapped", vi->index);
		goto out_stop;
	}
	out.out_vintf_mmap_length = CMDQV_PAGE_SIZE;
	if (guard_copy((void *)(uintptr_t)data->uptr, &out, sizeof(out))) {
		err = nb_fail(diag, -EFAULT, "the data cannot be written");
		goto out_stop;
	}
	v->ops = &vintf_ops;
	return 0;
out_stop:
	vintf_stop(vi);
	return err;
}

/* ---- the block ---- */

int dsmmu_cmdqv_hw_info(const struct dsmmu *u, void *buf, uint32_t *len)
{
	struct iommu_hw_info_tegra241_cmdqv info = {0};

	if (!u->cmdqv)
		return -EOPNOTSUPP;
	info.version = (uint8_t)u->cmdqv->version;
	info.log2vcmdqs = (uint8_t)nb_ilog2(u->cmdqv->per_vintf);
	info.log2vsids = (uint8_t)nb_ilog2(u->cmdqv->nsids);
	memcpy(buf, &info, *len < sizeof(info) ? *len : sizeof(info));
	*len = sizeof(info);
	return 0;
}

static int reset(const struct dsmmu_cmdqv *c)
{
	if (write_config(c, CMDQV_REG_CONFIG, CMDQV_REG_STATUS, 0))
		return -EIO;
	return write_config(c, CMDQV_REG_CONFIG, CMDQV_REG_STATUS, (uint32_t)CMDQV_CONFIG_EN);
}

int dsmmu_cmdqv_init(struct dsmmu *u, struct nb_diag *diag)
{
	struct dsmmu_cmdqv *c;
	uint32_t param;

	if (!u->base.cfg.companion)
		return 0;
	c = nb_zalloc(sizeof(*c));
	if (!c)
		return nb_fail(diag, -ENOMEM, "no memory for the CMDQ-V");
	c->unit = u;
	c->base = u->base.cfg.companion;
	pthread_mutex_init(&c->lock, NULL);
	u->cmdqv = c;
	param = read32(c, CMDQV_REG_PARAM);
	c->version = (uint32_t)FIELD_GET(CMDQV_PARAM_VER, param);
	c->nvintfs = 1u << FIELD_GET(CMDQV_PARAM_NUM_VINTF_LOG2, param);
	c->nvcmdqs = 1u << FIELD_GET(CMDQV_PARAM_NUM_VCMDQ_LOG2, param);
	c->nsids = 1u << FIELD_GET(CMDQV_PARAM_NUM_SID_PER_VM_LOG2, param);
	if (c->nvintfs > MAX_VINTFS || c->nvcmdqs > MAX_LVCMDQS || c->nsids > 16 || c->nvcmdqs < c->nvintfs)
		return nb_fail(diag, -ENXIO, "the CMDQ-V has %" PRIu32 " VINTFs, %" PRIu32 " VCMDQs, %" PRIu32 " slots (PARAM)",
			       c->nvintfs, c->nvcmdqs, c->nsids);
	c->per_vintf = c->nvcmdqs / c->nvintfs;
	if (reset(c))
		return nb_fail(diag, -EIO, "the CMDQ-V does not enable itself");
	return 0;
}

void dsmmu_cmdqv_fini(struct dsmmu *u)
{
	struct dsmmu_cmdqv *c = u->cmdqv;

	if (!c)
		return;
	write_config(c, CMDQV_REG_CONFIG, CMDQV_REG_STATUS, 0);
	pthread_mutex_destroy(&c->lock);
	nb_free(c);
}
