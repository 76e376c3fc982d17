/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the VT-d driver sends at each change of an entry, descriptor for descriptor, against lists written by hand from the manual's
 * guidance to software (6.5.3.3, 6.1 for caching mode, 11.4.4.1 for write-buffer flushing).
 *
 * Most missing invalidations show as wrong translations (update, prop, conform). These lists are for what the model has no
 * use for: it never caches that something is not there, has no write buffers, and no memory attributes in its IOTLB.
 *
 * A list is: TYPE.G and what the descriptor names; "|" is a wait descriptor (the end of a submission); "WBF" the command.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "bench.h"

static struct {
	struct bench b;
	struct hw_ops spy;
	const struct hw_ops *real;
	uint64_t tail;
	char sent[2000];
} t;

static uint64_t word(uint64_t pa)
{
	uint64_t v;

	assert_true(pa - BENCH_POOL_PA < BENCH_POOL_LEN - 8);
	memcpy(&v, t.b.pool_cpu + (pa - BENCH_POOL_PA), 8);
	return v;
}

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *fmt, ...)
{
	size_t n = strlen(t.sent);
	va_list ap;

	if (n)
		t.sent[n++] = ' ';
	va_start(ap, fmt);
	vsnprintf(t.sent + n, sizeof(t.sent) - n, fmt, ap);
	va_end(ap);
}

/* The words taken apart by hand: 6.5.2. */
static void descriptor(uint64_t lo, uint64_t hi)
{
	unsigned int type = lo & 15, g = lo >> 4 & 3, did = lo >> 16 & 0xffff, pasid = lo >> 32 & 0xfffff;

	switch (type) {
	case 1:
		say("context.%u did %u sid %x", g, did, (unsigned int)(lo >> 32 & 0xffff));
		break;
	case 2:
		say("iotlb.%u did %u", g, did);
		break;
	case 3:
		say("devtlb sid %x%s", (unsigned int)(lo >> 32 & 0xffff), hi == 0x7ffffffffffff001 ? " all" : "");
		break;
	case 5:
		say("|");
		break;
	case 6:
		say("piotlb.%u did %u pasid %u", g, did, pasid);
		break;
	case 7:
		say("pasid.%u did %u pasid %u", g, did, pasid);
		break;
	default:
		say("type %u", type);
	}
}

static void spy_write(struct hw_iommu *hw, uint64_t off, unsigned int size, uint64_t v)
{
	if (hw == t.b.unit[0].hw && off == 0x18 && (v >> 27 & 1))
		say("WBF");
	if (hw == t.b.unit[0].hw && off == 0x88) {
		uint64_t iqa = t.real->mmio_read(hw, 0x90, 8), step = iqa >> 11 & 1 ? 32 : 16;

		for (; t.tail != v; t.tail = (t.tail + step) % (256 * step))
			descriptor(word((iqa & ~UINT64_C(0xfff)) + t.tail), word((iqa & ~UINT64_C(0xfff)) + t.tail + 8));
	}
	t.real->mmio_write(hw, off, size, v);
}

static void up(const char *conf)
{
	unsigned int i;

	for (i = 0; strcmp(vendor_vtd.conf[i].name, conf) != 0; i++)
		assert_true(i + 1 < vendor_vtd.nconfs);
	memset(&t, 0, sizeof(t));
	assert_int_equal(bench_up(&t.b, &vendor_vtd, &vendor_vtd.conf[i]), 0);
	t.real = t.b.unit[0].hw->ops;
	t.spy = *t.real;
	t.spy.mmio_write = spy_write;
	t.b.unit[0].hw->ops = &t.spy;
	t.tail = t.real->mmio_read(t.b.unit[0].hw, 0x88, 8);
}

static void down(void)
{
	t.b.unit[0].hw->ops = t.real;
	bench_down(&t.b);
}

static struct drv_domain *paging(uint32_t flags)
{
	struct drv_domain *d = NULL;

	assert_int_equal(vendor_vtd.drv->domain_alloc_paging(&t.b.dev[0], flags, &d, &t.b.diag), 0);
	assert_int_equal(bench_map(&t.b, d, 0x10000000, 0x10000000, K4), 0);
	return d;
}

#define SENDS(call, list)                                                                                      \
	do {                                                                                                   \
		t.sent[0] = '\0';                                                                              \
		call;                                                                                          \
		assert_string_equal(t.sent, list);                                                             \
	} while (0)
#define ATTACH(pasid, d) assert_int_equal(bench_attach(&t.b, 0, pasid, d), 0)

static void release(void)
{
	vendor_vtd.drv->release_device(&t.b.dev[0]);
}

static void probe(void)
{
	assert_int_equal(vendor_vtd.drv->probe_device(&t.b.dev[0], &t.b.diag), 0);
}

/* No caching mode: nothing is sent for what appears. */
static void plain(void **state)
{
	struct drv_domain *fs, *ss, *id;

	(void)state;
	up("spr-fixed");
	fs = paging(0);
	ss = paging(DRV_ALLOC_DIRTY);
	id = vendor_vtd.drv->identity_domain(t.b.dev[0].iommu);
	SENDS(ATTACH(NB_NO_PASID, fs), "");
	SENDS(assert_true(fs->ops->enforce_cache_coherency(fs)), "pasid.1 did 2 pasid 0 | piotlb.2 did 2 pasid 0 |");
	SENDS(ATTACH(NB_NO_PASID, NULL), "pasid.1 did 2 pasid 0 | piotlb.2 did 2 pasid 0 |");
	SENDS(ATTACH(NB_NO_PASID, ss), "");
	SENDS(assert_int_equal(ss->ops->set_dirty_tracking(ss, true, &t.b.diag), 0), "pasid.1 did 2 pasid 0 | iotlb.2 did 2 |");
	SENDS(ATTACH(NB_NO_PASID, id), "pasid.1 did 2 pasid 0 | iotlb.2 did 2 |");
	SENDS(ATTACH(NB_NO_PASID, NULL), "pasid.1 did 1 pasid 0 | piotlb.2 did 1 pasid 0 |");
	SENDS(ATTACH(5, fs), "");
	SENDS(ATTACH(5, NULL), "pasid.1 did 2 pasid 5 | piotlb.2 did 2 pasid 5 |");
	SENDS(release(), "context.3 did 0 sid 100 |");
	SENDS(probe(), "");
	fs->ops->free(fs);
	ss->ops->free(ss);
	down();
}

/* Caching mode: what was not there may be cached, under the domain's id or under 0. */
static void caching_mode(void **state)
{
	struct drv_domain *fs, *ss;

	(void)state;
	up("caching-mode");
	fs = paging(0);
	ss = paging(DRV_ALLOC_DIRTY);
	SENDS(ATTACH(NB_NO_PASID, fs), "pasid.1 did 2 pasid 0 pasid.1 did 0 pasid 0 | piotlb.2 did 2 pasid 0 iotlb.2 did 2 iotlb.2 did 0 |");
	SENDS(ATTACH(NB_NO_PASID, NULL), "pasid.1 did 2 pasid 0 | piotlb.2 did 2 pasid 0 |");
	SENDS(ATTACH(5, ss), "pasid.1 did 2 pasid 5 pasid.1 did 0 pasid 5 | piotlb.2 did 2 pasid 5 iotlb.2 did 2 iotlb.2 did 0 |");
	SENDS(assert_int_equal(bench_map(&t.b, ss, 0x10001000, 0x10001000, K4), 0), "iotlb.3 did 2 |");
	SENDS(ATTACH(5, NULL), "pasid.1 did 2 pasid 5 | iotlb.2 did 2 |");
	SENDS(release(), "context.3 did 0 sid 100 |");
	SENDS(probe(), "context.3 did 0 sid 100 | iotlb.2 did 0 |");
	fs->ops->free(fs);
	ss->ops->free(ss);
	down();
}

/* CAP.RWBF: a flush where an entry appears. */
static void write_buffer(void **state)
{
	struct drv_domain *fs;

	(void)state;
	up("write-buffer");
	fs = paging(0);
	SENDS(ATTACH(NB_NO_PASID, fs), "WBF");
	SENDS(assert_int_equal(bench_map(&t.b, fs, 0x10001000, 0x10001000, K4), 0), "WBF");
	SENDS(ATTACH(NB_NO_PASID, NULL), "pasid.1 did 2 pasid 0 | piotlb.2 did 2 pasid 0 |");
	SENDS(release(), "context.3 did 0 sid 100 |");
	SENDS(probe(), "WBF");
	fs->ops->free(fs);
	down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(caching_mode),
		cmocka_unit_test(write_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
