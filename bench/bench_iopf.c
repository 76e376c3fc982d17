/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * I/O page faults: one page request from the device to the program's queue, the answer, and the retry that succeeds.
 *
 * In process, one thread: dmatest fills pages that are not there, the program reads each fault, enters the page and answers.
 * The answer's write() has the device go on until it meets the next missing page. The limit is the part that no path saves: the copy of
 * the record out, of the answer in, and the page that the device writes.
 */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "machine/api.h"
#include "nestbox/nestbox.h"

#define SCENE_CHECK(c)                                                                                                     \
	do {                                                                                                                    \
		if (!(c)) {                                                                                                     \
			fprintf(stderr, "bench_iopf: %s is false\n", #c);                                                       \
			abort();                                                                                                \
		}                                                                                                               \
	} while (0)
#include "../tests/run/scene.h"

#define NFAULTS 256u

/* Nanoseconds a fault. All pages are gone before. */
static double round_trips(struct scene *s)
{
	struct iommu_hwpt_pgfault f;
	uint64_t t = bench_ns();
	unsigned int i;

	scene_put32(s, DMATEST_COMMAND, DMATEST_CMD_FILL);
	for (i = 0; i < NFAULTS; i++) {
		SCENE_CHECK(scene_fault(s, &f));
		scene_leaf(s, i, SCENE_DATA + i % 64);
		scene_answer(s, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS);
	}
	t = bench_ns() - t;
	SCENE_CHECK(scene_get32(s, DMATEST_STATUS) == DMATEST_STATUS_DONE);
	return (double)t / NFAULTS;
}

static double copies(struct scene *s)
{
	struct iommu_hwpt_pgfault f[2] = {0};
	struct iommu_hwpt_page_response r[2] = {0};
	static char page[4096];
	uint64_t t = bench_ns();
	unsigned int i;

	for (i = 0; i < NFAULTS; i++) {
		memcpy(&f[i & 1], &f[~i & 1], sizeof(f[0]));
		memcpy(&r[i & 1], &r[~i & 1], sizeof(r[0]));
		memcpy(s->guest + 4096 * (SCENE_DATA + i % 64), page, sizeof(page));
		bench_keep((uintptr_t)f ^ (uintptr_t)r);
	}
	return (double)(bench_ns() - t) / NFAULTS;
}

static void take_all_away(struct scene *s)
{
	struct iommu_hwpt_vtd_s1_invalidate e = {.npages = UINT64_MAX};
	struct iommu_hwpt_invalidate inv = {.size = sizeof(inv),
					    .hwpt_id = s->hwpt,
					    .data_uptr = (uintptr_t)&e,
					    .data_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
					    .entry_len = sizeof(e),
					    .entry_num = 1};
	unsigned int i;

	for (i = 0; i < 512; i++)
		scene_leaf(s, i, 0);
	SCENE_CHECK(scene_ioctl(s, s->iommu, IOMMU_HWPT_INVALIDATE, &inv) == 0);
}

static void round_trip(struct bench *b)
{
	static const char name[] = "page_request_round_trip";
	struct bench_samples s = {0}, limit = {0};
	struct nb_host *h;
	struct scene sc;
	char why[200];
	unsigned int k;

	if (nb_host_create("spr-fixed", NULL, &h, why, sizeof(why))) {
		bench_skip(b, name, why);
		return;
	}
	scene_up(&sc, nb_host_kernel(h), SCENE_PASID);
	scene_put64(&sc, DMATEST_DST, SCENE_IOVA);
	scene_put64(&sc, DMATEST_LENGTH, NFAULTS * 4096);
	for (k = 0; k < bench_samples(b, 40); k++) {
		take_all_away(&sc);
		bench_add(&s, round_trips(&sc));
		bench_add(&limit, copies(&sc));
	}
	bench_report(b, &(struct bench_row){.name = name,
					    .unit = "ns",
					    .value = bench_median(&s),
					    .limit = "copies of record, answer and page",
					    .limit_value = bench_median(&limit),
					    .target = 5000});
	scene_close(&sc);
	nb_host_destroy(h);
}

const struct bench_case bench_iopf[] = {{"page_request_round_trip", round_trip}, {NULL, NULL}};
