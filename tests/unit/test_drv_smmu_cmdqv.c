/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SMMUv3 driver: what it writes to a CMDQ-V, and what it leaves there. The whole path is in test_machine_cmdqv.c.
 *
 * The host's own window to a guest's queue stands for the page that the guest would map: what is written there acts at once.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "drv_smmu_rig.h"

#define VSID	   0x42u
#define LVCMDQ(v, l) (0x30000ul + 0x20000ul * (v) + 0x80ul * (l))
enum { CONS = 0, PROD = 4, CONFIG = 8, STATUS = 12, GERROR = 16, GERRORN = 20 };

struct guest {
	struct drv_domain *s2;
	struct drv_viommu *v;
	struct drv_vdevice *vd;
	struct iommu_viommu_tegra241_cmdqv out;
	uint64_t offered;
	unsigned int nevents;
	uint64_t map[2];
};

static uint32_t get(struct rig *r, uint64_t off)
{
	return (uint32_t)r->unit[0].hw->ops->mmio_read(r->unit[0].hw, SMMU_CMDQV_BASE + off, 4);
}
static uint64_t get64(struct rig *r, uint64_t off)
{
	return r->unit[0].hw->ops->mmio_read(r->unit[0].hw, SMMU_CMDQV_BASE + off, 8);
}
static void put(struct rig *r, uint64_t off, uint32_t v)
{
	r->unit[0].hw->ops->mmio_write(r->unit[0].hw, SMMU_CMDQV_BASE + off, 4, v);
}

static int offer(struct drv_viommu *v, uint64_t reg, uint64_t len, uint64_t *offset)
{
	struct guest *g = v->core;

	assert_int_equal(len, 0x10000);
	g->offered = reg - SMMU_CMDQV_BASE;
	*offset = 0x123000;
	return 0;
}

static int event(struct drv_viommu *v, uint32_t type, const void *data, size_t len)
{
	struct guest *g = v->core;

	assert_int_equal(type, IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV);
	assert_int_equal(len, 16);
	memcpy(g->map, data, 16);
	g->nevents++;
	return 0;
}

static void caps(struct smmu_caps *c)
{
	rig_caps(c);
	c->cmdqv = true;
	c->cmdqv_vintfs_lg2 = 1;
	c->cmdqv_vcmdqs_lg2 = 2;
	c->cmdqv_sids_lg2 = 1;
}

static void guest_up(struct rig *r, struct guest *g)
{
	struct smmu_caps c, plain;
	struct drv_user_data data = {.type = IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV, .len = sizeof(g->out), .uptr = (uintptr_t)&g->out};
	size_t size;

	memset(g, 0, sizeof(*g));
	caps(&c);
	rig_caps(&plain);
	rig_up2(r, &c, &plain, RIG_ATS);
	assert_true(drv_smmuv3_ops.viommu_size(&r->dev[2], IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV) == 0); /* behind the other unit */
	size = drv_smmuv3_ops.viommu_size(&r->dev[0], IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV);
	assert_true(size >= sizeof(*g->v));
	g->s2 = parent(r, 0);
	g->v = calloc(1, size);
	assert_non_null(g->v);
	*g->v = (struct drv_viommu){.iommu = r->dev[0].iommu, .parent = g->s2, .type = IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV,
				    .report_event = event, .offer_mmap = offer, .core = g};
	OK(r, drv_smmuv3_ops.viommu_init(g->v, &data, &r->diag));
	assert_int_equal(g->out.out_vintf_mmap_offset, 0x123000);
	assert_int_equal(g->out.out_vintf_mmap_length, 0x10000);
	assert_int_equal(g->offered, 0x50000); /* VINTF 1's page 0 */
	g->vd = vdevice(r, g->v, 0, VSID);
}

static void guest_down(struct rig *r, struct guest *g)
{
	if (g->vd)
		vdevice_free(g->vd);
	viommu_free(g->v);
	g->s2->ops->free(g->s2);
	rig_down(r);
}

static struct drv_hw_queue *queue(struct rig *r, struct guest *g, uint32_t index, uint64_t *ram)
{
	struct drv_hw_queue *q = calloc(1, g->v->ops->hw_queue_size(g->v, IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV));
	uint64_t ipa = guest_page(r);

	assert_non_null(q);
	*ram = (uintptr_t)r->ram + ipa;
	*q = (struct drv_hw_queue){.viommu = g->v, .type = IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV, .index = index, .iova = ipa,
				   .base = hpa(*ram), .length = 4096};
	OK(r, g->v->ops->hw_queue_init(q, &r->diag));
	return q;
}
static void queue_free(struct guest *g, struct drv_hw_queue *q)
{
	g->v->ops->hw_queue_destroy(q);
	free(q);
}

static void written(void **state)
{
	struct drv_hw_queue *q[2];
	uint64_t ram[2];
	struct guest g;
	struct rig r;

	(void)state;
	guest_up(&r, &g);
	assert_int_equal(get(&r, 0) | get(&r, 8), 1);
	assert_int_equal(get(&r, 0x1000), 0); /* VINTF 0 is nobody's */
	assert_int_equal(get(&r, 0x1100) & 0x20001, 1); /* enabled, not the hypervisor's */
	assert_int_not_equal(get(&r, 0x1100) >> 1 & 0xffff, 0);
	assert_int_equal(get(&r, 0x1140), VSID << 1 | 1);
	assert_int_equal(get(&r, 0x1180), r.dev[0].rid);
	for (unsigned int i = 0; i < 2; i++) {
		q[i] = queue(&r, &g, i, &ram[i]);
		assert_true(q[i]->after == (i ? q[0] : NULL));
		assert_int_equal(get(&r, 0x200 + 4 * (2 + i)), 1 | i << 1 | 1 << 15);
		assert_int_equal(get64(&r, LVCMDQ(1, i) + 0x10000), ram[i] | 8);
		assert_int_equal(get(&r, LVCMDQ(1, i) + CONFIG) | get(&r, LVCMDQ(1, i) + STATUS), 0); /* the guest's to enable */
	}
	put(&r, LVCMDQ(1, 1) + CONFIG, 1);
	assert_int_equal(get(&r, LVCMDQ(1, 1) + STATUS), 1);
	for (unsigned int i = 2; i--;) {
		queue_free(&g, q[i]);
		assert_int_equal(get(&r, 0x200 + 4 * (2 + i)) & 1, 0);
		assert_int_equal(get64(&r, 0x20000 + 0x80 * (2 + i)), 0);
	}
	vdevice_free(g.vd);
	g.vd = NULL;
	assert_int_equal(get(&r, 0x1140) | get(&r, 0x1180), 0);
	viommu_free(g.v);
	assert_int_equal(get(&r, 0x1100) & 1, 0);
	g.s2->ops->free(g.s2);
	rig_down(&r);
}

/* A guest that enables its queue whenever the kernel sends a command. */
static void spoil(void *opaque, uint64_t off, unsigned int size, uint64_t v)
{
	struct rig_unit *u = opaque;

	if (off == SMMU_REG_CMDQ_PROD)
		u->hw->ops->mmio_write(u->hw, SMMU_CMDQV_BASE + LVCMDQ(1, 0) + CONFIG, 4, 1);
	rig_mmio_write(opaque, off, size, v);
}

/* What one owner of a queue left unanswered the next does not hear of, whatever the first does meanwhile. */
static void timeout_not_inherited(void **state)
{
	struct guest g;
	struct rig r;

	(void)state;
	guest_up(&r, &g);
	r.fn[0].silent = true;
	for (unsigned int hostile = 0; hostile < 2; hostile++) {
		struct drv_hw_queue *q;
		uint64_t ram;

		q = queue(&r, &g, 0, &ram);
		put(&r, LVCMDQ(1, 0) + CONFIG, 1);
		((uint64_t *)(uintptr_t)ram)[0] = 0x40 | (uint64_t)VSID << 32; /* ATC_INV, and no CMD_SYNC */
		((uint64_t *)(uintptr_t)ram)[1] = 52;
		put(&r, LVCMDQ(1, 0) + PROD, 1);
		assert_int_equal(get(&r, LVCMDQ(1, 0) + CONS), 1);
		assert_int_equal(r.fn[0].invalidated, hostile + 1);
		if (hostile)
			r.unit[0].drv->cfg.mmio.write = spoil;
		queue_free(&g, q);
		r.unit[0].drv->cfg.mmio.write = rig_mmio_write;
		q = queue(&r, &g, 0, &ram);
		((uint64_t *)(uintptr_t)ram)[0] = 0x46;
		put(&r, LVCMDQ(1, 0) + CONFIG, 1);
		put(&r, LVCMDQ(1, 0) + PROD, 1);
		assert_int_equal(get(&r, LVCMDQ(1, 0) + CONS), 1);
		assert_int_equal(get(&r, LVCMDQ(1, 0) + GERROR), 0);
		queue_free(&g, q);
	}
	guest_down(&r, &g);
}

static void errors_reported(void **state)
{
	struct drv_hw_queue *q[2];
	uint64_t ram[2];
	struct guest g;
	struct rig r;

	(void)state;
	guest_up(&r, &g);
	for (unsigned int i = 0; i < 2; i++) {
		q[i] = queue(&r, &g, i, &ram[i]);
		put(&r, LVCMDQ(1, i) + CONFIG, 1);
		((uint64_t *)(uintptr_t)ram[i])[0] = 0x03; /* CFGI_STE */
		put(&r, LVCMDQ(1, i) + PROD, 1);
		assert_int_equal(g.nevents, i + 1);
		assert_int_equal(g.map[0], i ? 3 : 1);
		assert_int_equal(g.map[1], 0);
	}
	/* Destroyed in that state, and anew. */
	queue_free(&g, q[1]);
	q[1] = queue(&r, &g, 1, &ram[1]);
	assert_int_equal(get(&r, LVCMDQ(1, 1) + GERROR) | get(&r, LVCMDQ(1, 1) + GERRORN), 0);
	put(&r, LVCMDQ(1, 1) + CONFIG, 1);
	((uint64_t *)(uintptr_t)ram[1])[0] = 0x46;
	put(&r, LVCMDQ(1, 1) + PROD, 1);
	assert_int_equal(get(&r, LVCMDQ(1, 1) + CONS), 1);
	assert_int_equal(g.nevents, 2);
	queue_free(&g, q[1]);
	queue_free(&g, q[0]);
	guest_down(&r, &g);
}

static uint64_t odd_param(void *opaque, uint64_t off, unsigned int size)
{
	return off == SMMU_CMDQV_BASE + 4 ? 0x1871 : rig_mmio_read(opaque, off, size); /* 256 VINTFs */
}

/* A block of another size than there is. */
static void refused(void **state)
{
	struct smmu_caps c;
	struct rig r;
	struct drv_iommu_cfg cfg;
	struct drv_iommu *drv;

	(void)state;
	caps(&c);
	rig_memory(&r, false);
	OK(&r, rig_try_unit(&r, 0, &c));
	cfg = r.unit[0].drv->cfg;
	drv_smmuv3_ops.remove(r.unit[0].drv);
	r.unit[0].drv = NULL;
	cfg.mmio.read = odd_param;
	assert_int_equal(drv_smmuv3_ops.probe(&cfg, &drv, &r.diag), -ENXIO);
	assert_non_null(strstr(r.diag.msg, "PARAM"));
	assert_int_equal(get(&r, 8), 0);
	r.unit[0].hw->ops->destroy(r.unit[0].hw);
	mem_pool_free(r.pool);
	mem_fini(&r.mem);
	nb_trace_free(r.tr);
	free(r.ram);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(written),
		cmocka_unit_test(timeout_not_inherited),
		cmocka_unit_test(errors_reported),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
