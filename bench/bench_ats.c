/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Device-TLBs and page requests, nested, 4 KiB pages.
 *
 * A hit is a DMA of 8 bytes through the function's device-TLB; its limit is the same DMA to the same addresses through the unit's IOTLB.
 * A miss is the translation request that follows and the fill. A page request goes into the ring, its response
 * comes out of the invalidation queue; the limit is the wait descriptor alone that software puts behind it.
 */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "bench_unit.h"
#include "hw/atc.h"

#define VA     BENCH_VA
#define NPAGES BENCH_NPAGES
#define STREAM BENCH_STREAM
#define LAPS   8u

static bool devtlb_stream(struct hw_atc *atc, const uint64_t *s)
{
	uint64_t word;
	size_t done;
	unsigned int i;

	for (i = 0; i < STREAM; i++) {
		if (hw_atc_dma(atc, NB_NO_PASID, s[i], &word, sizeof(word), false, 0, &done))
			return false;
		bench_keep(word);
	}
	return true;
}

static bool iotlb_stream(struct hw_iommu *hw, const uint64_t *s)
{
	uint64_t word;
	unsigned int i;

	for (i = 0; i < STREAM; i++) {
		if (hw_dma_read(hw, BENCH_RID, NB_NO_PASID, s[i], &word, sizeof(word)))
			return false;
		bench_keep(word);
	}
	return true;
}

static void devtlb_of(struct bench *b, const struct bench_unit_ops *ops)
{
	struct bench_samples s = {0}, limit = {0}, miss = {0};
	unsigned int i, n = bench_samples(b, 60);
	static uint64_t stream[STREAM];
	struct hw_atc *atc = NULL;
	char name[2][128];
	struct bench_unit u;
	uint64_t t, k;

	snprintf(name[0], sizeof(name[0]), "devtlb_hit, DMA of 8 bytes, nested, one thread%s", ops->suffix);
	snprintf(name[1], sizeof(name[1]), "devtlb_miss, translation request and fill, IOTLB hit%s", ops->suffix);
	bench_stream(stream);
	if (!bench_unit_up(&u, ops) || !bench_unit_map_set(&u)) {
		bench_skip(b, name[0], "no unit");
		return;
	}
	/* Room for every page even where two share a bucket: a hit is what is measured. */
	atc = hw_atc_new(u.hw, BENCH_RID, 32 * NPAGES);
	if (!atc) {
		bench_skip(b, name[0], "no device-TLB");
		bench_unit_down(&u);
		return;
	}
	hw_atc_enable(atc, true);
	if (!devtlb_stream(atc, stream) || !iotlb_stream(u.hw, stream)) {
		bench_skip(b, name[0], "it does not translate");
		goto out;
	}
	for (i = 0; i < n; i++) {
		t = bench_ns();
		for (k = 0; k < LAPS; k++)
			iotlb_stream(u.hw, stream);
		bench_add(&limit, (double)(bench_ns() - t) / (LAPS * STREAM));
		t = bench_ns();
		for (k = 0; k < LAPS; k++)
			devtlb_stream(atc, stream);
		bench_add(&s, (double)(bench_ns() - t) / (LAPS * STREAM));
	}
	for (i = 0; i < n; i++) {
		double spent = 0;

		for (k = 0; k < NPAGES; k++) {
			uint64_t word;
			size_t done;

			if (k % 64 == 0) {
				hw_atc_forget(atc);
				t = bench_ns();
			}
			hw_atc_dma(atc, NB_NO_PASID, VA + k * 4096, &word, sizeof(word), false, 0, &done);
			if (k % 64 == 63)
				spent += (double)(bench_ns() - t);
		}
		bench_add(&miss, spent / NPAGES);
	}
	bench_report(b, &(struct bench_row){.name = name[0], .unit = "ns", .value = bench_median(&s),
					    .limit = "the same DMA, IOTLB hit", .limit_value = bench_median(&limit),
					    .target_ratio = 1.0});
	bench_report(b, &(struct bench_row){.name = name[1], .unit = "ns",
					    .value = bench_median(&miss), .limit = "DMA of 8 bytes, IOTLB hit",
					    .limit_value = bench_median(&limit)});
out:
	hw_atc_free(atc);
	bench_unit_down(&u);
}

static void devtlb(struct bench *b)
{
	devtlb_of(b, &bench_vtd);
	devtlb_of(b, &bench_smmuv3);
}

struct responses {
	struct hw_client client;
	unsigned int n;
};

static void response(void *opaque, uint32_t pasid, unsigned int prgi, unsigned int code)
{
	struct responses *r = opaque;

	(void)pasid;
	(void)prgi;
	r->n += code == HW_PAGE_SUCCESS;
}
static const struct hw_client *client(void *opaque, uint16_t rid)
{
	struct responses *r = opaque;

	return rid == BENCH_RID ? &r->client : NULL;
}

static void page_requests_of(struct bench *b, const struct bench_unit_ops *ops)
{
	const struct hw_page_request pr = {.addr = VA, .pasid = NB_NO_PASID, .rid = BENCH_RID, .prgi = 5, .access = HW_READ,
					   .last = true};
	struct bench_samples s = {0}, limit = {0};
	unsigned int i, n = bench_samples(b, 60), sent = 0;
	struct responses r = {.n = 0};
	struct bench_unit u;
	char name[128];

	snprintf(name, sizeof(name), "page request to response, the unit's part%s", ops->suffix);
	if (!bench_unit_up(&u, ops)) {
		bench_skip(b, name, "no unit");
		return;
	}
	r.client = (struct hw_client){.opaque = &r, .page_response = response};
	u.hw->client = client;
	u.hw->client_opaque = &r;
	for (i = 0; i < n; i++) {
		uint64_t t = bench_ns(), k;

		for (k = 0; k < 256; k++)
			ops->inv(&u, BENCH_INV_LEAF, NULL, 0);
		bench_add(&limit, (double)(bench_ns() - t) / 256);
		t = bench_ns();
		for (k = 0; k < 256; k++, sent++) {
			u.hw->ops->page_request(u.hw, &pr);
			ops->respond(&u, 5);
		}
		bench_add(&s, (double)(bench_ns() - t) / 256);
	}
	if (r.n != sent)
		bench_skip(b, name, "responses were lost");
	else
		bench_report(b, &(struct bench_row){.name = name, .unit = "ns", .value = bench_median(&s),
						    .limit = "a wait command alone",
						    .limit_value = bench_median(&limit), .target = 5000});
	bench_unit_down(&u);
}

static void page_requests(struct bench *b)
{
	page_requests_of(b, &bench_vtd);
	page_requests_of(b, &bench_smmuv3);
}

const struct bench_case bench_ats[] = {{"devtlb", devtlb}, {"page_request", page_requests}, {NULL, NULL}};
