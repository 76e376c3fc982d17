/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host: the ioctls that a VMM calls often, on a machine with its devices bound.
 *
 * The limit of mapping is the page-table work alone, of the dirty bitmap a pass that only loads the entries.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"
#include "rig.h"
#include "uapi/iommufd.h"

#define AREA_IOVA UINT64_C(0x10000000000)
#define TEST_IOVA UINT64_C(0x200000000)
#define ENGINE	  1 /* the test engine on the first unit */

static bool rig_of(struct bench *b, struct rig *r, const char *name, const char *host)
{
	if (rig_up(r, nb_desc_find(host)))
		return true;
	bench_skip(b, name, "no virtual host");
	return false;
}

static bool rig(struct bench *b, struct rig *r, const char *name)
{
	return rig_of(b, r, name, "spr-fixed");
}

/* n areas of 4 KiB, two pages apart so that none can be merged. */
static bool fill_areas(struct rig *r, uint32_t ioas, char *page, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (rig_map(r, ioas, page, AREA_IOVA + i * UINT64_C(8192), 4096, HW_READ | HW_WRITE))
			return false;
	return true;
}

static char *take(size_t len)
{
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* The same page-table work without the ioctl: map and unmap one page, tables in place. */
static double pt_pair_ns(const struct pt_fmt *fmt, unsigned int n)
{
	struct pt pt = {.levels = 4, .pgsizes = BIT(12)};
	struct pt_gather g = {0};
	struct mem mem;
	uint64_t t;
	unsigned int i;

	if (mem_init_process(&mem))
		return 0;
	pt.pool = mem_pool_new(&mem);
	if (!pt.pool || pt_init(&pt, fmt) || pt_map(&pt, TEST_IOVA, 0, 4096, PT_READ, &g))
		return 0;
	t = bench_ns();
	for (i = 0; i < n; i++) {
		pt_map(&pt, TEST_IOVA + 4096, 4096, 4096, PT_READ | PT_WRITE, &g);
		pt_unmap(&pt, TEST_IOVA + 4096, 4096, NULL, &g);
	}
	t = bench_ns() - t;
	pt_gather_free(&pt, &g);
	pt_fini(&pt);
	mem_pool_free(pt.pool);
	mem_fini(&mem);
	return (double)t / n;
}

static double map_pair(struct bench *b, const char *host, const struct pt_fmt *fmt, bool attached, const char *name)
{
	unsigned int i, k, n = bench_samples(b, 30), inner = 2000;
	struct bench_samples s = {0}, limit = {0};
	char *page = take(8192);
	uint32_t ioas, hwpt;
	struct rig r;

	if (!page || !rig_of(b, &r, name, host))
		return 0;
	if (rig_ioas(&r, &ioas) || rig_hwpt(&r, ENGINE, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &hwpt) ||
	    (attached && rig_attach(&r, ENGINE, NB_NO_PASID, hwpt)) ||
	    rig_map(&r, ioas, page, TEST_IOVA, 4096, HW_READ | HW_WRITE) ||
	    !fill_areas(&r, ioas, page, bench_quick(b) ? 2048 : 65536)) {
		bench_skip(b, name, "an ioctl failed");
		return 0;
	}
	for (i = 0; i < n; i++) {
		uint64_t t;

		bench_add(&limit, pt_pair_ns(fmt, inner));
		t = bench_ns();
		for (k = 0; k < inner; k++) {
			if (rig_map(&r, ioas, page, TEST_IOVA + 8192, 4096, HW_READ | HW_WRITE) ||
			    rig_unmap(&r, ioas, TEST_IOVA + 8192, 4096, NULL)) {
				bench_skip(b, name, "an ioctl failed");
				return 0;
			}
		}
		bench_add(&s, (double)(bench_ns() - t) / inner);
	}
	rig_down(&r);
	munmap(page, 8192);
	bench_report(b, &(struct bench_row){.name = name, .unit = "ns/pair", .value = bench_median(&s),
					    .limit = "the page-table work alone", .limit_value = bench_median(&limit),
					    .target = attached ? 0 : 300});
	return bench_median(&s);
}

static void map_pairs(struct bench *b)
{
	static const char *const names[2] = {"IOAS_MAP + IOAS_UNMAP 4 KiB, 65536 areas, a domain",
					     "IOAS_MAP + IOAS_UNMAP 4 KiB, 65536 areas, attached"};
	unsigned int i;
	char name[128];

	for (i = 0; i < 2; i++) {
		double vtd = map_pair(b, "spr-fixed", &pt_fmt_vtdss, i, names[i]), smmu;

		snprintf(name, sizeof(name), "%s, SMMUv3", names[i]);
		smmu = map_pair(b, "grace", &pt_fmt_arm64_s2_4k, i, name);
		snprintf(name, sizeof(name), "%s, SMMUv3 beside VT-d", names[i]);
		if (vtd != 0 && smmu != 0)
			bench_report(b, &(struct bench_row){.name = name, .unit = "ns/pair", .value = smmu, .limit = "VT-d",
							    .limit_value = vtd});
	}
}

static double auto_pair_ns(struct rig *r, char *page, unsigned int areas, unsigned int inner)
{
	uint32_t ioas;
	uint64_t t, iova;
	unsigned int k;

	if (rig_ioas(r, &ioas) || !fill_areas(r, ioas, page, areas))
		return 0;
	for (k = 0; k < areas / 2; k++) /* and automatic ones beside the fixed */
		if (rig_map_any(r, ioas, page, 4096, HW_READ, &iova))
			return 0;
	t = bench_ns();
	for (k = 0; k < inner; k++)
		if (rig_map_any(r, ioas, page, 4096, HW_READ, &iova) || rig_unmap(r, ioas, iova, 4096, NULL))
			return 0;
	t = bench_ns() - t;
	if (rig_unmap(r, ioas, 0, UINT64_MAX, NULL) || rig_destroy(r, ioas))
		return 0;
	return (double)t / inner;
}

static void auto_iova(struct bench *b)
{
	const char *name = "IOAS_MAP with automatic IOVA + UNMAP, 65536 areas";
	unsigned int i, n = bench_samples(b, 7), inner = 2000;
	unsigned int small = bench_quick(b) ? 512 : 8192;
	struct bench_samples few = {0}, many = {0};
	char *page = take(4096);
	struct rig r;

	if (!page || !rig(b, &r, name))
		return;
	for (i = 0; i < n; i++) {
		double a = auto_pair_ns(&r, page, small, inner), c = auto_pair_ns(&r, page, 8 * small, inner);

		if (a == 0 || c == 0) {
			bench_skip(b, name, "an ioctl failed");
			return;
		}
		bench_add(&few, a);
		bench_add(&many, c);
	}
	rig_down(&r);
	munmap(page, 4096);
	/* log 64 k to log 8 k is 1.23; the rest is caches */
	bench_report(b, &(struct bench_row){.name = name, .unit = "ns/pair", .value = bench_median(&many),
					    .limit = "the same with 8192", .limit_value = bench_median(&few),
					    .target_ratio = 2});
}

static void hwpt_invalidate(struct bench *b, bool attached)
{
	const char *name = attached ? "HWPT_INVALIDATE of 1024 ranges, per entry, attached"
				    : "HWPT_INVALIDATE of 1024 ranges, per entry";
	static struct iommu_hwpt_vtd_s1_invalidate inv[1024], copy[1024];
	unsigned int i, k, n = bench_samples(b, 40);
	struct bench_samples s = {0}, limit = {0};
	char *page = take(4096);
	uint32_t ioas, parent, nested;
	struct rig r;

	if (!page || !rig(b, &r, name))
		return;
	if (rig_ioas(&r, &ioas) || rig_hwpt(&r, ENGINE, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent) ||
	    rig_map(&r, ioas, page, 0x1000, 4096, HW_READ | HW_WRITE) ||
	    rig_hwpt_nested(&r, ENGINE, parent, 0, 0x1000, 48, 0, &nested) ||
	    (attached && rig_attach(&r, ENGINE, NB_NO_PASID, nested))) {
		bench_skip(b, name, "an ioctl failed");
		return;
	}
	for (i = 0; i < 1024; i++)
		inv[i] = (struct iommu_hwpt_vtd_s1_invalidate){.addr = i * UINT64_C(8192), .npages = 1,
							       .flags = IOMMU_VTD_INV_FLAGS_LEAF};
	for (i = 0; i < n; i++) {
		uint64_t t = bench_ns();

		for (k = 0; k < 10; k++) {
			memcpy(copy, inv, sizeof(copy));
			bench_keep(copy[k].addr);
		}
		bench_add(&limit, (double)(bench_ns() - t) / 10240);
		t = bench_ns();
		for (k = 0; k < 10; k++) {
			struct iommu_hwpt_invalidate a = {.size = sizeof(a), .hwpt_id = nested, .data_uptr = (uintptr_t)inv,
							  .data_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
							  .entry_len = sizeof(inv[0]), .entry_num = 1024};

			if (iommufd_ioctl(r.iommufd, IOMMU_HWPT_INVALIDATE, (uintptr_t)&a) || a.entry_num != 1024) {
				bench_skip(b, name, "an ioctl failed");
				return;
			}
		}
		bench_add(&s, (double)(bench_ns() - t) / 10240);
	}
	rig_down(&r);
	munmap(page, 4096);
	bench_report(b, &(struct bench_row){.name = name, .unit = "ns/entry", .value = bench_median(&s),
					    .limit = "copying the entries", .limit_value = bench_median(&limit),
					    .target = attached ? 0 : 10});
}

static void hwpt_invalidates(struct bench *b)
{
	hwpt_invalidate(b, false);
	hwpt_invalidate(b, true);
}

static void dirty_bitmap(struct bench *b)
{
	const char *name = "GET_DIRTY_BITMAP of a clean 1 GiB at 4 KiB";
	const uint64_t gib = UINT64_C(1) << 30, pages = gib >> 12;
	unsigned int i, n = bench_samples(b, 40);
	struct bench_samples s = {0}, limit = {0};
	char *mem = take(gib + (4u << 20)), *va;
	uint8_t *bitmap = calloc(pages / 8, 1);
	uint64_t *entries = calloc(pages, 8);
	uint32_t ioas, hwpt;
	struct rig r;

	if (!mem || !bitmap || !entries || !rig(b, &r, name))
		return;
	/* one page off, so that no large page fits */
	va = (char *)((((uintptr_t)mem + (2u << 20)) & ~(uintptr_t)((2u << 20) - 1)) + 4096);
	if (rig_ioas(&r, &ioas) || rig_map(&r, ioas, va, gib, gib, HW_READ | HW_WRITE) ||
	    rig_hwpt(&r, ENGINE, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt)) {
		bench_skip(b, name, "an ioctl failed");
		return;
	}
	memset(entries, 1, pages * 8);
	for (i = 0; i < n; i++) {
		struct iommu_hwpt_set_dirty_tracking on = {.size = sizeof(on), .hwpt_id = hwpt,
							   .flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE};
		struct iommu_hwpt_get_dirty_bitmap a = {.size = sizeof(a), .hwpt_id = hwpt, .iova = gib, .length = gib,
							.page_size = 4096, .data = (uintptr_t)bitmap};
		uint64_t t = bench_ns(), any = 0, k;

		for (k = 0; k < pages; k++)
			any |= entries[k];
		bench_keep(any);
		bench_add(&limit, (double)(bench_ns() - t) / (double)pages);
		if (i == 0 && iommufd_ioctl(r.iommufd, IOMMU_HWPT_SET_DIRTY_TRACKING, (uintptr_t)&on)) {
			bench_skip(b, name, "dirty tracking cannot be switched on");
			return;
		}
		t = bench_ns();
		if (iommufd_ioctl(r.iommufd, IOMMU_HWPT_GET_DIRTY_BITMAP, (uintptr_t)&a)) {
			bench_skip(b, name, "an ioctl failed");
			return;
		}
		bench_add(&s, (double)(bench_ns() - t) / (double)pages);
	}
	rig_down(&r);
	munmap(mem, gib + (4u << 20));
	free(bitmap);
	free(entries);
	bench_report(b, &(struct bench_row){.name = name, .unit = "ns/page", .value = bench_median(&s),
					    .limit = "a pass that only loads the entries",
					    .limit_value = bench_median(&limit), .target = 0.8});
}

/* Heap in use, large blocks included. */
static double heap(void)
{
	struct mallinfo2 m = mallinfo2();

	return (double)(m.uordblks + m.hblkhd);
}

static void area_memory(struct bench *b)
{
	const char *name = "memory per mapped area";
	unsigned int areas = bench_quick(b) ? 4096 : 65536;
	char *page = take(4096);
	uint32_t ioas;
	double before;
	struct rig r;

	if (!page || !rig(b, &r, name))
		return;
	if (rig_ioas(&r, &ioas) || !fill_areas(&r, ioas, page, 16)) {
		bench_skip(b, name, "an ioctl failed");
		return;
	}
	before = heap();
	if (!rig_unmap(&r, ioas, 0, UINT64_MAX, NULL) && !fill_areas(&r, ioas, page, areas + 16))
		bench_skip(b, name, "an ioctl failed");
	else
		bench_report(b, &(struct bench_row){.name = name, .unit = "bytes",
						    .value = (heap() - before) / areas, .target = 256});
	rig_down(&r);
	munmap(page, 4096);
}

const struct bench_case bench_host[] = {
	{"host map", map_pairs},	   {"host auto-iova", auto_iova},   {"host invalidate", hwpt_invalidates},
	{"host dirty", dirty_bitmap}, {"host area-memory", area_memory}, {NULL, NULL},
};
