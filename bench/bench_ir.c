/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupt remapping: from a message to an interrupt, entry cached, source-id verified, 1024 indices at random.
 *
 * Compared with what no implementation can leave out: a load of a slot by its index out of a table of the same size, the comparison
 * of its index and of the source-id, and the store of the result.
 */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "bench_unit.h"
#include "hw/vtd/vtd.h"

#define NENTRIES 1024u
#define STREAM	 2048u
#define LAPS	 16u

struct entry {
	uint64_t key, lo, hi, pad;
};

static bool up(struct bench_unit *v, uint64_t **table)
{
	struct vtd_caps caps;
	hpa_t pa;
	unsigned int i;

	memset(v, 0, sizeof(*v));
	vtd_caps_all(&caps);
	if (mem_init_process(&v->mem))
		return false;
	v->pool = mem_pool_new(&v->mem);
	*table = v->pool ? mem_page_alloc(v->pool, 2, &pa) : NULL;
	if (!*table || vtd_create(&caps, &v->mem, NULL, &v->hw, NULL))
		return false;
	for (i = 0; i < NENTRIES; i++) {
		(*table)[2 * i] = 1 | (uint64_t)(i & 0xff) << 16 | (uint64_t)(i & 0xff) << 40;
		(*table)[2 * i + 1] = BENCH_RID | 1u << 18;
	}
	v->hw->ops->mmio_write(v->hw, 0xb8, 8, pa.v | 9); /* IRTA: 1024 entries */
	v->hw->ops->mmio_write(v->hw, 0x18, 4, 1u << 24);
	v->hw->ops->mmio_write(v->hw, 0x18, 4, 1u << 25);
	return true;
}

static void down(struct bench_unit *v, uint64_t *table)
{
	if (v->hw)
		v->hw->ops->destroy(v->hw);
	if (table)
		mem_page_free(v->pool, table, 2);
	if (v->pool)
		mem_pool_free(v->pool);
	mem_fini(&v->mem);
}

static uint64_t remap_stream(struct hw_iommu *hw, const uint64_t *s)
{
	struct hw_irq irq;
	uint64_t sum = 1;
	unsigned int i;

	for (i = 0; i < STREAM; i++) {
		if (hw->ops->interrupt(hw, BENCH_RID, s[i], 0, &irq))
			return 0;
		sum += irq.vector + irq.dest;
	}
	return sum;
}

static uint64_t bare_stream(const struct entry *t, const uint64_t *s)
{
	struct hw_irq irq;
	uint64_t sum = 1;
	unsigned int i;

	for (i = 0; i < STREAM; i++) {
		uint64_t index = s[i] >> 5 & 0x7fff;
		const struct entry *e = &t[index % NENTRIES];

		if (e->key != index || ((e->hi ^ BENCH_RID) & 0xffff) != 0)
			return 0;
		irq = (struct hw_irq){.dest = (uint32_t)(e->lo >> 32), .vector = (uint8_t)e->lo};
		__asm__ volatile("" : : "m"(irq));
		sum += irq.vector + irq.dest;
	}
	return sum;
}

static void lookup(struct bench *b)
{
	const char *name = "ir_lookup, entry cached, one thread";
	struct entry *bare = calloc(NENTRIES, sizeof(*bare));
	struct bench_samples s = {0}, limit = {0};
	unsigned int i, n = bench_samples(b, 60);
	static uint64_t stream[STREAM];
	uint64_t seed = 88172645463325252u, *table = NULL;
	struct bench_unit v;

	for (i = 0; i < STREAM; i++)
		stream[i] = 0xfee00010u | bench_rand(&seed) % NENTRIES << 5;
	for (i = 0; bare && i < NENTRIES; i++)
		bare[i] = (struct entry){.key = i, .lo = (uint64_t)i << 32 | (i & 0xff), .hi = BENCH_RID};
	if (!up(&v, &table) || !bare || !remap_stream(v.hw, stream)) {
		bench_skip(b, name, "no unit, or it does not remap");
		goto out;
	}
	for (i = 0; i < n; i++) {
		uint64_t t = bench_ns(), k;

		for (k = 0; k < LAPS; k++)
			bench_keep(bare_stream(bare, stream));
		bench_add(&limit, (double)(bench_ns() - t) / (LAPS * STREAM));
		t = bench_ns();
		for (k = 0; k < LAPS; k++)
			bench_keep(remap_stream(v.hw, stream));
		bench_add(&s, (double)(bench_ns() - t) / (LAPS * STREAM));
	}
	bench_report(b, &(struct bench_row){.name = name, .unit = "ns", .value = bench_median(&s),
					    .limit = "a slot by its index, compared and copied",
					    .limit_value = bench_median(&limit), .target = 15});
out:
	down(&v, table);
	free(bare);
}

const struct bench_case bench_ir[] = {{"ir_lookup", lookup}, {NULL, NULL}};
