/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pt: building, taking down and scanning tables of 1 GiB in 4 KiB pages, and what the tables weigh.
 *
 * The limit of building is a memset of the bytes that the tables have, into pages that are as warm as those that the pool
 * gives; of scanning, a pass over the same bytes that only loads.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"
#include "pt/pt.h"

#define GIB	 (UINT64_C(1) << 30)
#define PAGES	 (GIB >> 12)
#define IA	 (3 * GIB)
#define TABLES	 (PAGES * 8)

struct rig {
	struct mem mem;
	struct mem_pool *pool;
	struct pt pt;
	struct pt_gather g;
	uint64_t *raw; /* as many bytes as the leaf tables have */
	size_t raw_len;
};

static bool rig_up(struct bench *b, struct rig *r, const char *name, const struct pt_fmt *fmt)
{
	*r = (struct rig){.raw_len = TABLES};
	if (mem_init_process(&r->mem))
		goto no_mem;
	r->pool = mem_pool_new(&r->mem);
	r->raw = mmap(NULL, r->raw_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!r->pool || r->raw == MAP_FAILED)
		goto no_mem;
	memset(r->raw, 1, r->raw_len);
	r->pt.pool = r->pool;
	r->pt.levels = 4;
	r->pt.pgsizes = BIT(12);
	if (pt_init(&r->pt, fmt))
		goto no_mem;
	return true;
no_mem:
	bench_skip(b, name, "out of memory");
	return false;
}

static void rig_down(struct rig *r)
{
	pt_gather_free(&r->pt, &r->g);
	pt_fini(&r->pt);
	mem_pool_free(r->pool);
	munmap(r->raw, r->raw_len);
	mem_fini(&r->mem);
}

/* A limit that a clever compiler could not shorten. */
static double memset_ns(struct rig *r, int byte)
{
	uint64_t t = bench_ns();

	memset(r->raw, byte, r->raw_len);
	bench_keep(r->raw[0]);
	return (double)(bench_ns() - t);
}

static double scan_ns(const struct rig *r)
{
	uint64_t t = bench_ns(), any = 0;
	size_t i;

	for (i = 0; i < r->raw_len / 8; i++)
		any |= r->raw[i];
	bench_keep(any);
	return (double)(bench_ns() - t);
}

static void map_unmap_fmt(struct bench *b, const struct pt_fmt *fmt, const char *map_name, const char *unmap_name)
{
	struct bench_samples map = {0}, unmap = {0}, limit = {0};
	unsigned int i, n = bench_samples(b, 40);
	struct rig r;

	if (!rig_up(b, &r, map_name, fmt))
		return;
	for (i = 0; i <= n; i++) {
		uint64_t t0, t1, t2, gone = 0;
		double lim = memset_ns(&r, (int)i & 0xff);

		t0 = bench_ns();
		if (pt_map(&r.pt, IA, 5 * GIB, GIB, PT_READ | PT_WRITE, &r.g))
			break;
		t1 = bench_ns();
		if (pt_unmap(&r.pt, IA, GIB, &gone, &r.g) || gone != GIB)
			break;
		pt_gather_free(&r.pt, &r.g);
		t2 = bench_ns();
		if (i == 0)
			continue; /* the pool was cold */
		bench_add(&limit, lim / (double)PAGES);
		bench_add(&map, (double)(t1 - t0) / (double)PAGES);
		bench_add(&unmap, (double)(t2 - t1) / (double)PAGES);
	}
	rig_down(&r);
	if (map.n != n) {
		bench_skip(b, map_name, "map or unmap failed");
		return;
	}
	bench_report(b, &(struct bench_row){.name = map_name, .unit = "ns/PTE", .value = bench_median(&map),
					    .limit = "memset of the table bytes", .limit_value = bench_median(&limit),
					    .target = 1.3, .target_ratio = 2});
	bench_report(b, &(struct bench_row){.name = unmap_name, .unit = "ns/PTE", .value = bench_median(&unmap),
					    .limit = "memset of the table bytes", .limit_value = bench_median(&limit),
					    .target = 1});
}

static void map_unmap(struct bench *b)
{
	map_unmap_fmt(b, &pt_fmt_vtdss, "pt map 1 GiB of 4 KiB, second stage", "pt unmap 1 GiB of 4 KiB, second stage");
	map_unmap_fmt(b, &pt_fmt_x86_64, "pt map 1 GiB of 4 KiB, first stage", "pt unmap 1 GiB of 4 KiB, first stage");
	map_unmap_fmt(b, &pt_fmt_arm64_s2_4k, "pt map 1 GiB of 4 KiB, stage 2, SMMUv3", "pt unmap 1 GiB of 4 KiB, stage 2, SMMUv3");
	map_unmap_fmt(b, &pt_fmt_arm64_s1_4k, "pt map 1 GiB of 4 KiB, stage 1, SMMUv3", "pt unmap 1 GiB of 4 KiB, stage 1, SMMUv3");
}

/* The first map of a process: the kernel clears and faults in every page of both sides. */
static void map_cold(struct bench *b)
{
	const char *name = "pt map 1 GiB of 4 KiB, memory never touched";
	struct bench_samples map = {0}, limit = {0};
	unsigned int i, n = bench_samples(b, 15);

	for (i = 0; i < n; i++) {
		struct rig r;
		uint64_t t;

		if (!rig_up(b, &r, name, &pt_fmt_vtdss))
			return;
		munmap(r.raw, r.raw_len);
		r.raw = mmap(NULL, r.raw_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (r.raw == MAP_FAILED)
			return;
		bench_add(&limit, memset_ns(&r, 1) / (double)PAGES);
		t = bench_ns();
		if (pt_map(&r.pt, IA, 5 * GIB, GIB, PT_READ | PT_WRITE, &r.g))
			bench_skip(b, name, "map failed");
		bench_add(&map, (double)(bench_ns() - t) / (double)PAGES);
		rig_down(&r);
	}
	bench_report(b, &(struct bench_row){.name = name, .unit = "ns/PTE", .value = bench_median(&map),
					    .limit = "memset of as much fresh memory", .limit_value = bench_median(&limit),
					    .target_ratio = 2});
}

/* Every page its own call, in address order, tables in place: the floor of a 4 KiB IOAS_MAP. */
static void map_single(struct bench *b)
{
	const char *name = "pt map + unmap of one 4 KiB page, tables present";
	struct bench_samples s = {0};
	unsigned int i, n = bench_samples(b, 20);
	struct rig r;

	if (!rig_up(b, &r, name, &pt_fmt_vtdss))
		return;
	/* one page per 2 MiB stays, so no table ever empties */
	for (i = 0; i < 512; i++)
		pt_map(&r.pt, IA + i * (UINT64_C(2) << 20), GIB, 4096, PT_READ, &r.g);
	for (i = 0; i < n; i++) {
		uint64_t ia, t = bench_ns(), calls = 0;

		for (ia = IA + 4096; ia < IA + GIB / 16; ia += 4096) {
			if (nb_aligned(ia, UINT64_C(2) << 20))
				continue;
			if (pt_map(&r.pt, ia, ia, 4096, PT_READ | PT_WRITE, &r.g) ||
			    pt_unmap(&r.pt, ia, 4096, NULL, &r.g))
				bench_skip(b, name, "map or unmap failed");
			calls++;
		}
		bench_add(&s, (double)(bench_ns() - t) / (double)calls);
	}
	rig_down(&r);
	bench_report(b, &(struct bench_row){.name = name, .unit = "ns/pair", .value = bench_median(&s)});
}

static void dirty_clean(struct bench *b)
{
	const char *name = "pt read dirty of a clean 1 GiB at 4 KiB";
	struct bench_samples s = {0}, limit = {0};
	unsigned int i, n = bench_samples(b, 40);
	struct rig r;

	if (!rig_up(b, &r, name, &pt_fmt_vtdss))
		return;
	if (pt_map(&r.pt, IA, 5 * GIB, GIB, PT_READ | PT_WRITE, &r.g))
		bench_skip(b, name, "map failed");
	for (i = 0; i < n; i++) {
		uint64_t t;

		bench_add(&limit, scan_ns(&r) / (double)PAGES);
		t = bench_ns();
		if (pt_read_dirty(&r.pt, IA, GIB, true, NULL, NULL) != 0)
			bench_skip(b, name, "pages are dirty that nobody wrote");
		bench_add(&s, (double)(bench_ns() - t) / (double)PAGES);
	}
	rig_down(&r);
	bench_report(b, &(struct bench_row){.name = name, .unit = "ns/page", .value = bench_median(&s),
					    .limit = "a pass that only loads the entries",
					    .limit_value = bench_median(&limit), .target = 0.8});
}

static void memory(struct bench *b)
{
	struct rig r;
	double page, tib;

	if (!rig_up(b, &r, "pt memory", &pt_fmt_vtdss))
		return;
	if (pt_map(&r.pt, IA, 5 * GIB, GIB, PT_READ | PT_WRITE, &r.g))
		bench_skip(b, "pt memory", "map failed");
	page = (double)mem_pool_used(r.pool) / (double)PAGES;
	rig_down(&r);
	if (!rig_up(b, &r, "pt memory", &pt_fmt_vtdss))
		return;
	r.pt.pgsizes |= BIT(30);
	if (pt_map(&r.pt, 1024 * GIB, 1024 * GIB, 1024 * GIB, PT_READ | PT_WRITE, &r.g))
		bench_skip(b, "pt memory", "map failed");
	tib = (double)mem_pool_used(r.pool) / 1024;
	rig_down(&r);
	bench_report(b, &(struct bench_row){.name = "pt memory per mapped 4 KiB page", .unit = "bytes", .value = page,
					    .limit = "the entries alone", .limit_value = 8, .target = 10});
	bench_report(b, &(struct bench_row){.name = "pt memory of 1 TiB in 1 GiB pages", .unit = "KiB", .value = tib,
					    .limit = "the entries alone", .limit_value = 8, .target = 1024});
}

const struct bench_case bench_pt[] = {
	{"pt map-unmap", map_unmap}, {"pt map-cold", map_cold}, {"pt map-single", map_single},
	{"pt dirty-clean", dirty_clean}, {"pt memory", memory}, {NULL, NULL},
};
