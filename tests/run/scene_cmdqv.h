/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest on host `grace` that has a hardware queue of a CMDQ-V: stage 1 of its own, page 0 of its VINTF mapped, commands without a call.
 *
 * Numbers of IHI 0070 and of Linux's tegra241-cmdqv.c by hand. As scene.h, on which it stands: SCENE_CHECK(condition) is the includer's.
 */
#ifndef NB_TESTS_SCENE_CMDQV_H
#define NB_TESTS_SCENE_CMDQV_H

#include <sched.h>
#include <time.h>

#include "scene.h"

#define VSID	   0xabcu
#define VCMDQ_CD   4u /* pages of the guest: its CD, */
#define VCMDQ_PAGE 5u /* and two queues of 2^8 commands */
#define VCMDQ_LG2  8u
enum { VCMDQ_CONS, VCMDQ_PROD, VCMDQ_CONFIG, VCMDQ_STATUS, VCMDQ_GERROR, VCMDQ_GERRORN };

struct scene_cmdqv {
	struct scene *s;
	uint32_t parent, viommu, vdevice, hwpt, queue[2];
	uint64_t offset, length;
	volatile uint32_t *page;
	uint32_t prod[2];
};

static inline uint32_t vcmdq_get(const struct scene_cmdqv *g, unsigned int q, unsigned int reg)
{
	return __atomic_load_n(&g->page[32 * q + reg], __ATOMIC_ACQUIRE);
}
static inline void vcmdq_put(struct scene_cmdqv *g, unsigned int q, unsigned int reg, uint32_t v)
{
	__atomic_store_n(&g->page[32 * q + reg], v, __ATOMIC_RELEASE);
}

/* Until somebody else has seen to it; the deadline is only for what is broken. */
static inline void vcmdq_wait(const struct scene_cmdqv *g, unsigned int q, unsigned int reg, uint32_t want)
{
	time_t end = time(NULL) + 20;

	while (vcmdq_get(g, q, reg) != want) {
		if (time(NULL) > end)
			fprintf(stderr, "queue %u register %u is %#x, not %#x\n", q, reg, vcmdq_get(g, q, reg), want);
		SCENE_CHECK(time(NULL) <= end);
		sched_yield();
	}
}

static inline void vcmdq_push(struct scene_cmdqv *g, unsigned int q, uint64_t lo, uint64_t hi)
{
	uint64_t *slot = scene_table(g->s, VCMDQ_PAGE + q) + 2 * (g->prod[q] & ((1u << VCMDQ_LG2) - 1));

	__atomic_store_n(&slot[0], lo, __ATOMIC_RELAXED);
	__atomic_store_n(&slot[1], hi, __ATOMIC_RELAXED);
	g->prod[q] = (g->prod[q] + 1) & ((2u << VCMDQ_LG2) - 1);
}
static inline void vcmdq_tlbi_va(struct scene_cmdqv *g, unsigned int q, uint64_t va) /* ASID 9, and a VMID that is not ours */
{
	vcmdq_push(g, q, 0x12 | UINT64_C(0x7777) << 32 | UINT64_C(9) << 48, va | 1);
}
static inline void vcmdq_sync(struct scene_cmdqv *g, unsigned int q)
{
	vcmdq_push(g, q, 0x46, 0);
	vcmdq_put(g, q, VCMDQ_PROD, g->prod[q]);
}
static inline void vcmdq_done(struct scene_cmdqv *g, unsigned int q)
{
	vcmdq_wait(g, q, VCMDQ_CONS, g->prod[q]);
}

static inline uint32_t vcmdq_alloc(struct scene_cmdqv *g, unsigned int index, unsigned int page, uint64_t length, long want)
{
	struct iommu_hw_queue_alloc a = {.size = sizeof(a),
					 .viommu_id = g->viommu,
					 .type = IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV,
					 .index = index,
					 .nesting_parent_iova = SCENE_GPA + 4096 * page,
					 .length = length};
	long err = scene_ioctl(g->s, g->s->iommu, IOMMU_HW_QUEUE_ALLOC, &a);

	SCENE_CHECK((err < 0 && err != -1 ? err : err ? -errno : 0) == want);
	return a.out_hw_queue_id;
}

static inline void vcmdq_enable(struct scene_cmdqv *g, unsigned int q)
{
	g->prod[q] = 0;
	vcmdq_put(g, q, VCMDQ_PROD, 0);
	vcmdq_put(g, q, VCMDQ_CONS, 0);
	vcmdq_put(g, q, VCMDQ_CONFIG, 1);
	vcmdq_wait(g, q, VCMDQ_STATUS, 1);
}

/* Page n of the 512: AP for all, AF, nG, inner shareable; 0: not there. */
static inline void vcmdq_leaf(struct scene_cmdqv *g, unsigned int n, unsigned int page)
{
	__atomic_store_n(&scene_table(g->s, 3)[n], page ? (SCENE_GPA + 4096 * page) | 0xf43 : 0, __ATOMIC_RELEASE);
}

/* The vIOMMU, its device under stage 1 of the guest's, the page. scene_open() was called. */
static inline void vcmdq_guest(struct scene_cmdqv *g, struct scene *s)
{
	struct iommu_hwpt_alloc alloc = {.size = sizeof(alloc), .flags = IOMMU_HWPT_ALLOC_NEST_PARENT};
	struct iommu_viommu_tegra241_cmdqv out = {0};
	struct iommu_viommu_alloc viommu = {.size = sizeof(viommu), .type = IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV,
					    .data_len = sizeof(out), .data_uptr = (uintptr_t)&out};
	struct iommu_vdevice_alloc vdevice = {.size = sizeof(vdevice), .virt_id = VSID};
	struct iommu_hwpt_arm_smmuv3 ste = {0};
	uint64_t *cd = scene_table(s, VCMDQ_CD);
	int err = 0;

	*g = (struct scene_cmdqv){.s = s};
	alloc.dev_id = viommu.dev_id = vdevice.dev_id = s->dev_id;
	alloc.pt_id = s->ioas;
	SCENE_CHECK(scene_ioctl(s, s->iommu, IOMMU_HWPT_ALLOC, &alloc) == 0);
	g->parent = viommu.hwpt_id = alloc.out_hwpt_id;
	SCENE_CHECK(scene_ioctl(s, s->iommu, IOMMU_VIOMMU_ALLOC, &viommu) == 0);
	SCENE_CHECK(out.out_vintf_mmap_length == 65536 && out.out_vintf_mmap_offset);
	g->viommu = vdevice.viommu_id = viommu.out_viommu_id;
	g->offset = out.out_vintf_mmap_offset;
	g->length = out.out_vintf_mmap_length;
	SCENE_CHECK(scene_ioctl(s, s->iommu, IOMMU_VDEVICE_ALLOC, &vdevice) == 0);
	g->vdevice = vdevice.out_vdevice_id;
	cd[1] = SCENE_GPA;
	cd[3] = 0xff;
	/* T0SZ 16, EPD1, V, IPS 48 bits, AA64, R, A, ASID 9 */
	cd[0] = 16 | 1u << 30 | UINT64_C(1) << 31 | UINT64_C(5) << 32 | UINT64_C(1) << 41 | UINT64_C(3) << 45 | UINT64_C(9) << 48;
	ste.ste[0] = 1 | 5 << 1 | (SCENE_GPA + VCMDQ_CD * 4096);
	alloc.flags = 0;
	alloc.pt_id = g->viommu;
	alloc.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3;
	alloc.data_len = sizeof(ste);
	alloc.data_uptr = (uintptr_t)&ste;
	SCENE_CHECK(scene_ioctl(s, s->iommu, IOMMU_HWPT_ALLOC, &alloc) == 0);
	g->hwpt = alloc.out_hwpt_id;
	scene_attach(s, g->hwpt);
	g->page = s->k->mmap(s->k->opaque, NULL, g->length, PROT_READ | PROT_WRITE, MAP_SHARED, s->iommu, g->offset, &err);
	SCENE_CHECK(g->page && g->page != MAP_FAILED);
}

/* With one queue, enabled. */
static inline void vcmdq_up(struct scene_cmdqv *g, struct scene *s)
{
	vcmdq_guest(g, s);
	g->queue[0] = vcmdq_alloc(g, 0, VCMDQ_PAGE, 16u << VCMDQ_LG2, 0);
	vcmdq_enable(g, 0);
}

/* A translation that is cached is there without its descriptor, until the guest's own invalidation is done, and no longer. */
static inline void vcmdq_scene(struct scene_cmdqv *g)
{
	const uint64_t iova = SCENE_IOVA + 4096;
	struct scene *s = g->s;

	vcmdq_leaf(g, 1, SCENE_DATA + 1);
	SCENE_CHECK(scene_run(s, DMATEST_CMD_CHECKSUM, iova, 0, 4096) == DMATEST_STATUS_DONE);
	vcmdq_leaf(g, 1, 0);
	vcmdq_sync(g, 0);
	vcmdq_done(g, 0);
	SCENE_CHECK(scene_run(s, DMATEST_CMD_CHECKSUM, iova, 0, 4096) == DMATEST_STATUS_DONE);
	vcmdq_tlbi_va(g, 0, iova + 4096); /* its neighbour's */
	vcmdq_sync(g, 0);
	vcmdq_done(g, 0);
	SCENE_CHECK(scene_run(s, DMATEST_CMD_CHECKSUM, iova, 0, 4096) == DMATEST_STATUS_DONE);
	vcmdq_tlbi_va(g, 0, iova);
	vcmdq_sync(g, 0);
	vcmdq_done(g, 0);
	SCENE_CHECK(scene_run(s, DMATEST_CMD_CHECKSUM, iova, 0, 4096) == DMATEST_STATUS_ERROR);
}

#endif
