/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest's invalidations through iommufd, in batches, per command: raw commands on an SMMUv3's vIOMMU, and beside them the
 * entries of a VT-d nested table, in the same run. A nested table is attached and some of it is cached, but none of the pages that are
 * invalidated. The limit is a copy of the commands.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/rcu.h"
#include "bench.h"
#include "rig.h"
#include "uapi/iommufd.h"

#define ENGINE 1
#define MAX    256u
#define RAM    (16 * UINT64_C(4096))
#define VSID   UINT64_C(0x42)
#define ASID   UINT64_C(7)
#define VA     UINT64_C(0x40000000)

struct guest {
	struct rig r;
	uint64_t *ram; /* GPA 0 upward */
	uint32_t parent, target; /* of HWPT_INVALIDATE: a nested table or a vIOMMU */
	uint32_t type, len;
	union {
		struct iommu_viommu_arm_smmuv3_invalidate smmuv3[MAX];
		struct iommu_hwpt_vtd_s1_invalidate vtd[MAX];
	} cmd;
};

static bool guest_up(struct guest *g, const char *host)
{
	uint32_t ioas;

	memset(g, 0, sizeof(*g));
	g->ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return g->ram != MAP_FAILED && rig_up(&g->r, nb_desc_find(host)) && !rig_ioas(&g->r, &ioas) &&
	       !rig_map(&g->r, ioas, g->ram, 0, RAM, HW_READ | HW_WRITE) &&
	       !rig_hwpt(&g->r, ENGINE, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &g->parent);
}

static void guest_down(struct guest *g)
{
	rig_down(&g->r);
	munmap(g->ram, RAM);
}

/* VA -> page 8, in tables at pages 4 to 7. */
static void guest_tables(struct guest *g, uint64_t node, uint64_t leaf)
{
	unsigned int level;

	for (level = 3; level > 0; level--)
		g->ram[512 * (7 - level) + (VA >> (12 + 9 * level) & 511)] = 4096u * (8 - level) | node;
	g->ram[512 * 7 + (VA >> 12 & 511)] = 4096 * 8 | leaf;
}

/* One access, so that the nested table has something in the caches. */
static bool guest_touch(struct guest *g)
{
	uint64_t word;

	return rig_read(&g->r, ENGINE, NB_NO_PASID, VA, &word, sizeof(word)) == 0;
}

static bool smmuv3_up(struct guest *g)
{
	struct iommu_viommu_alloc v = {.size = sizeof(v), .type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3};
	struct iommu_vdevice_alloc d = {.size = sizeof(d), .virt_id = VSID};
	struct iommu_hwpt_arm_smmuv3 ste = {{4096 | 0xb, 0}}; /* one CD, in page 1 */
	uint32_t nested, i;

	if (!guest_up(g, "grace"))
		return false;
	v.dev_id = d.dev_id = g->r.dev[ENGINE].id;
	v.hwpt_id = g->parent;
	if (iommufd_ioctl(g->r.iommufd, IOMMU_VIOMMU_ALLOC, (uintptr_t)&v))
		return false;
	g->target = d.viommu_id = v.out_viommu_id;
	guest_tables(g, 3, 0xf47);
	g->ram[512] = ASID << 48 | UINT64_C(0xe205c0003510);
	g->ram[513] = 4096 * 4;
	g->ram[515] = 0xf404ff44;
	if (iommufd_ioctl(g->r.iommufd, IOMMU_VDEVICE_ALLOC, (uintptr_t)&d) ||
	    rig_hwpt_blob(&g->r, ENGINE, g->target, 0, IOMMU_HWPT_DATA_ARM_SMMUV3, &ste, sizeof(ste), &nested) ||
	    rig_attach(&g->r, ENGINE, NB_NO_PASID, nested))
		return false;
	g->type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3;
	g->len = sizeof(g->cmd.smmuv3[0]);
	for (i = 0; i < MAX; i++) { /* TLBI_NH_VA, last level */
		g->cmd.smmuv3[i].cmd[0] = 0x12 | ASID << 48;
		g->cmd.smmuv3[i].cmd[1] = (VA + (i + 1) * UINT64_C(4096)) | 1;
	}
	return guest_touch(g);
}

static bool vtd_up(struct guest *g)
{
	uint32_t i;

	if (!guest_up(g, "spr-fixed"))
		return false;
	guest_tables(g, 0x27, 0x67);
	if (rig_hwpt_nested(&g->r, ENGINE, g->parent, 0, 4096 * 4, 48, 0, &g->target) ||
	    rig_attach(&g->r, ENGINE, NB_NO_PASID, g->target))
		return false;
	g->type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1;
	g->len = sizeof(g->cmd.vtd[0]);
	for (i = 0; i < MAX; i++)
		g->cmd.vtd[i] = (struct iommu_hwpt_vtd_s1_invalidate){
			.addr = VA + (i + 1) * UINT64_C(4096), .npages = 1, .flags = IOMMU_VTD_INV_FLAGS_LEAF};
	return guest_touch(g);
}

/* Nanoseconds per command of `rounds` batches of n; 0: refused. */
static double batch_ns(struct guest *g, uint32_t n, unsigned int rounds)
{
	uint64_t t = bench_ns();
	unsigned int k;

	for (k = 0; k < rounds; k++) {
		struct iommu_hwpt_invalidate a = {.size = sizeof(a), .hwpt_id = g->target, .data_uptr = (uintptr_t)&g->cmd,
						  .data_type = g->type, .entry_len = g->len, .entry_num = n};

		if (iommufd_ioctl(g->r.iommufd, IOMMU_HWPT_INVALIDATE, (uintptr_t)&a) || a.entry_num != n)
			return 0;
	}
	return (double)(bench_ns() - t) / rounds / n;
}

static double copy_ns(const struct guest *g, uint32_t n, unsigned int rounds)
{
	static struct iommu_viommu_arm_smmuv3_invalidate to[MAX];
	uint64_t t = bench_ns();
	unsigned int k;

	for (k = 0; k < rounds; k++) {
		memcpy(to, g->cmd.smmuv3, n * sizeof(to[0]));
		bench_keep((uintptr_t)to);
	}
	return (double)(bench_ns() - t) / rounds / n;
}

static void batches(struct bench *b, struct guest *smmuv3, struct guest *vtd, uint32_t n)
{
	unsigned int i, samples = bench_samples(b, 40), rounds = 8192 / n;
	struct bench_samples ours = {.n = 0}, peer = {.n = 0}, limit = {.n = 0};
	char name[100], beside[128];

	snprintf(name, sizeof(name), "vIOMMU HWPT_INVALIDATE of %u, per command, SMMUv3", n);
	snprintf(beside, sizeof(beside), "%s beside VT-d", name);
	for (i = 0; i < samples; i++) {
		double a = batch_ns(smmuv3, n, rounds), c = batch_ns(vtd, n, rounds);

		if (a == 0 || c == 0) {
			bench_skip(b, name, "an ioctl failed");
			return;
		}
		bench_add(&ours, a);
		bench_add(&peer, c);
		bench_add(&limit, copy_ns(smmuv3, n, rounds));
	}
	bench_report(b, &(struct bench_row){.name = name, .unit = "ns/command", .value = bench_median(&ours),
					    .limit = "copying the commands", .limit_value = bench_median(&limit),
					    .target = n >= MAX ? 20 : 0});
	bench_report(b, &(struct bench_row){.name = beside, .unit = "ns/command", .value = bench_median(&ours),
					    .limit = "entries of a nested table", .limit_value = bench_median(&peer)});
}

static void invalidations(struct bench *b, uint32_t n)
{
	static struct guest smmuv3, vtd;

	if (!smmuv3_up(&smmuv3) || !vtd_up(&vtd)) {
		bench_skip(b, "vIOMMU HWPT_INVALIDATE", "no guest, or its device does not get through");
		return;
	}
	batches(b, &smmuv3, &vtd, n);
	guest_down(&smmuv3);
	guest_down(&vtd);
}

static void one(struct bench *b)
{
	invalidations(b, 1);
}

static void some(struct bench *b)
{
	invalidations(b, 16);
}

static void many(struct bench *b)
{
	invalidations(b, MAX);
}

const struct bench_case bench_viommu[] = {
	{"viommu invalidate 1", one}, {"viommu invalidate 16", some}, {"viommu invalidate 256", many}, {NULL, NULL},
};
