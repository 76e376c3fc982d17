/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest's invalidations through iommufd, in batches, per command: raw commands on an SMMUv3's vIOMMU, and beside them the
 * entries of a VT-d nested table, in the same run. A nested table is attached and some of it is cached, but none of the pages that are
 * invalidated. The limit is a copy of the commands.
 *
 * And without iommufd: a command and a CMD_SYNC in a guest's own queue (CMDQ-V), from the store to PROD until CONS says that they are
 * done. The limit is what another thread takes to answer at all.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cpu.h"
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

static bool smmuv3_up(struct guest *g, uint32_t type, struct iommu_viommu_tegra241_cmdqv *out)
{
	struct iommu_viommu_alloc v = {
		.size = sizeof(v), .type = type, .data_len = out ? sizeof(*out) : 0, .data_uptr = (uintptr_t)out};
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

	if (!smmuv3_up(&smmuv3, IOMMU_VIOMMU_TYPE_ARM_SMMUV3, NULL) || !vtd_up(&vtd)) {
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

/* ---- a queue of the guest's own ---- */

#define QUEUE_PAGE 12
#define QUEUE_LG2  8

struct vcmdq {
	_Atomic uint32_t *page; /* CONS, PROD, CONFIG, STATUS */
	struct iommufd_mapping *mapping;
	size_t len;
	uint32_t prod;
};

static void vcmdq_wait(const struct vcmdq *q, unsigned int reg, uint32_t want)
{
	while (atomic_load_explicit(&q->page[reg], memory_order_acquire) != want)
		nb_cpu_relax();
}

static bool vcmdq_up(struct guest *g, struct vcmdq *q)
{
	struct iommu_viommu_tegra241_cmdqv out = {0};
	struct iommu_hw_queue_alloc a = {.size = sizeof(a),
					 .type = IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV,
					 .nesting_parent_iova = 4096 * QUEUE_PAGE,
					 .length = 16u << QUEUE_LG2};
	uint64_t off;
	void *p;
	int fd;

	if (!smmuv3_up(g, IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV, &out))
		return false;
	a.viommu_id = g->target;
	if (iommufd_ioctl(g->r.iommufd, IOMMU_HW_QUEUE_ALLOC, (uintptr_t)&a) ||
	    iommufd_mmap(g->r.iommufd, out.out_vintf_mmap_offset, out.out_vintf_mmap_length, PROT_READ | PROT_WRITE, MAP_SHARED, &fd,
			 &off, &q->mapping))
		return false;
	q->len = out.out_vintf_mmap_length;
	p = mmap(NULL, q->len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)off);
	iommufd_mapped(q->mapping, p == MAP_FAILED ? 0 : (uintptr_t)p);
	if (p == MAP_FAILED)
		return false;
	q->page = p;
	q->prod = 0;
	atomic_store_explicit(&q->page[2], 1, memory_order_release);
	vcmdq_wait(q, 3, 1);
	return true;
}

/* Nanoseconds until one command and its CMD_SYNC are done; the queue was busy just before. */
static double vcmdq_ns(struct guest *g, struct vcmdq *q, unsigned int rounds)
{
	uint64_t t = bench_ns();
	unsigned int k, i;

	for (k = 0; k <= rounds; k++) {
		if (k == 1) /* the first one finds the unit asleep */
			t = bench_ns();
		for (i = 0; i < 2; i++, q->prod++) {
			uint64_t *slot = &g->ram[512 * QUEUE_PAGE + 2 * (q->prod & ((1u << QUEUE_LG2) - 1))];

			slot[0] = i ? 0x46 : g->cmd.smmuv3[k % MAX].cmd[0];
			slot[1] = i ? 0 : g->cmd.smmuv3[k % MAX].cmd[1];
		}
		atomic_store_explicit(&q->page[1], q->prod & ((2u << QUEUE_LG2) - 1), memory_order_release);
		vcmdq_wait(q, 0, q->prod & ((2u << QUEUE_LG2) - 1));
	}
	return (double)(bench_ns() - t) / rounds;
}

/* What no thread that serves another can beat: a word there and a word back. */
struct echo {
	_Atomic uint32_t asked, answered;
};
#define ECHO_END UINT32_MAX

static void *echo(void *arg)
{
	struct echo *e = arg;
	uint32_t n;

	do {
		n = atomic_load_explicit(&e->asked, memory_order_acquire);
		if (n == atomic_load_explicit(&e->answered, memory_order_relaxed))
			nb_cpu_relax();
		else
			atomic_store_explicit(&e->answered, n, memory_order_release);
	} while (n != ECHO_END);
	return NULL;
}

static double echo_ns(unsigned int rounds)
{
	struct echo e = {0};
	pthread_t thread;
	unsigned int k;
	uint64_t t;

	if (pthread_create(&thread, NULL, echo, &e))
		return 0;
	for (k = 1, t = bench_ns(); k <= rounds; k++) {
		atomic_store_explicit(&e.asked, k, memory_order_release);
		while (atomic_load_explicit(&e.answered, memory_order_acquire) != k)
			nb_cpu_relax();
	}
	t = bench_ns() - t;
	atomic_store_explicit(&e.asked, ECHO_END, memory_order_release);
	pthread_join(thread, NULL);
	return (double)t / rounds;
}

static void own_queue(struct bench *b)
{
	static const char name[] = "VCMDQ: TLBI and CMD_SYNC until done, no ioctl";
	unsigned int i, samples = bench_samples(b, 40), rounds = bench_quick(b) ? 64 : 1024;
	struct bench_samples ours = {.n = 0}, limit = {.n = 0};
	static struct guest g;
	struct vcmdq q;

	if (!vcmdq_up(&g, &q)) {
		bench_skip(b, name, "no guest with a queue");
		return;
	}
	for (i = 0; i < samples; i++) {
		bench_add(&ours, vcmdq_ns(&g, &q, rounds));
		bench_add(&limit, echo_ns(rounds));
	}
	bench_report(b, &(struct bench_row){.name = name, .unit = "ns", .value = bench_median(&ours), .limit = "a word to another thread and back",
					    .limit_value = bench_median(&limit), .target = 2000});
	host_revoke(machine_host(g.r.m), (uintptr_t)q.page, q.len);
	munmap((void *)(uintptr_t)q.page, q.len);
	guest_down(&g);
}

const struct bench_case bench_viommu[] = {
	{"vcmdq", own_queue},
	{"viommu invalidate 1", one}, {"viommu invalidate 16", some}, {"viommu invalidate 256", many}, {NULL, NULL},
};
