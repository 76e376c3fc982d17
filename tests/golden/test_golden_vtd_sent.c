/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the VT-d driver sends at each change of an entry, descriptor for descriptor, against lists written by hand from the manual's
 * guidance to software (6.5.3.3, 6.1 for caching mode, 11.4.4.1 for write-buffer flushing).
 *
 * Most missing invalidations show as wrong translations (update, prop, conform). These lists are for what the model has no
 * use for: it never caches that something is not there, has no write buffers, and no memory attributes in its IOTLB.
 *
 * A list is: TYPE.G and what the descriptor names; "|" is a wait descriptor that says when it is done (the end of a submission),
 * "drain|" one that drains page requests, "fence" one that only orders; "WBF" the command.
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
	uint64_t iqa, tail; /* of unit 0 */
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
	case 5: /* SW, FN, PD */
		say((lo >> 5 & 7) == 1 ? "|" : (lo >> 5 & 7) == 5 ? "drain|" : (lo >> 5 & 7) == 2 ? "fence" : "wait?");
		break;
	case 6:
		say("piotlb.%u did %u pasid %u", g, did, pasid);
		break;
	case 7:
		say("pasid.%u did %u pasid %u", g, did, pasid);
		break;
	case 8:
		say("pdevtlb sid %x pasid %u%s", (unsigned int)(lo >> 16 & 0xffff), pasid, hi == 0x7ffffffffffff800 ? " all" : "");
		break;
	default:
		say("type %u%s", type, type == 4 ? lo >> 4 & 1 ? " one" : " all" : "");
	}
}

static void wrote(struct bench *b, unsigned int unit, uint64_t off, uint64_t v)
{
	uint64_t step = t.iqa >> 11 & 1 ? 32 : 16;

	(void)b;
	if (unit != 0)
		return;
	if (off == 0x90)
		t.iqa = v;
	if (off == 0x18 && (v >> 27 & 1))
		say("WBF");
	if (off == 0x18 && (v >> 24 & 1) && !(v >> 25 & 1))
		say("SIRTP");
	if (off == 0x88)
		for (; t.tail != v; t.tail = (t.tail + step) % (256 * step))
			descriptor(word((t.iqa & ~UINT64_C(0xfff)) + t.tail), word((t.iqa & ~UINT64_C(0xfff)) + t.tail + 8));
}

static void up(const char *conf)
{
	unsigned int i;

	for (i = 0; strcmp(vendor_vtd.conf[i].name, conf) != 0; i++)
		assert_true(i + 1 < vendor_vtd.nconfs);
	memset(&t, 0, sizeof(t));
	assert_int_equal(bench_up_watched(&t.b, &vendor_vtd, &vendor_vtd.conf[i], wrote), 0);
}

static void down(void)
{
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
	SENDS(release(), "context.3 did 0 sid 100 pasid.0 did 0 pasid 0 | iotlb.2 did 0 |");
	SENDS(probe(), "context.3 did 0 sid 100 | iotlb.2 did 0 |");
	fs->ops->free(fs);
	ss->ops->free(ss);
	down();
}

static int reported(struct drv_dev *dev, const struct drv_page_request *pr)
{
	(void)dev;
	(void)pr;
	return 0;
}

/* 7.10: the last step of whatever takes an attachment from a function that may have asked for pages. */
static void page_requests(void **state)
{
	struct drv_dev *dev = &t.b.dev[1];
	struct drv_domain *fs, *ss;

	(void)state;
	up("spr-fixed");
	vendor_vtd.drv->release_device(dev);
	dev->pri = true;
	dev->report_fault = reported;
	assert_int_equal(vendor_vtd.drv->probe_device(dev, &t.b.diag), 0);
	fs = paging(0);
	ss = paging(DRV_ALLOC_DIRTY);
	fs->iopf = ss->iopf = true;
	SENDS(assert_int_equal(bench_attach(&t.b, 1, NB_NO_PASID, ss), 0), "");
	SENDS(assert_int_equal(bench_attach(&t.b, 1, 5, fs), 0), "");
	SENDS(assert_int_equal(bench_attach(&t.b, 1, 5, NULL), 0),
	      "pasid.1 did 3 pasid 5 | piotlb.2 did 3 pasid 5 pdevtlb sid 188 pasid 5 all | "
	      "fence piotlb.2 did 3 pasid 5 pdevtlb sid 188 pasid 5 all drain|");
	SENDS(assert_int_equal(bench_attach(&t.b, 1, NB_NO_PASID, NULL), 0),
	      "pasid.1 did 2 pasid 0 | iotlb.2 did 2 devtlb sid 188 all | "
	      "fence iotlb.2 did 2 devtlb sid 188 all drain|");
	/* A function that goes: whatever it asked since. */
	SENDS(vendor_vtd.drv->release_device(dev), 
	      "fence iotlb.2 did 0 devtlb sid 188 all drain| context.3 did 0 sid 188 | devtlb sid 188 all |");
	SENDS(assert_int_equal(vendor_vtd.drv->probe_device(dev, &t.b.diag), 0), "");
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

/* 11.4.5 and 11.4.10: a new root table and a new interrupt table are followed by global invalidations. */
static void bringing_up(void **state)
{
	(void)state;
	up("spr-fixed");
	assert_string_equal(t.sent,
			    "SIRTP type 4 all | context.1 did 0 sid 0 pasid.3 did 0 pasid 0 iotlb.1 did 0 |");
	down();
	up("legacy");
	assert_string_equal(t.sent, "SIRTP type 4 all | context.1 did 0 sid 0 iotlb.1 did 0 |");
	down();
	up("write-buffer");
	assert_string_equal(t.sent,
			    /* then one flush for the unit, and one for each of its two functions */
			    "SIRTP type 4 all | context.1 did 0 sid 0 pasid.3 did 0 pasid 0 iotlb.1 did 0 | WBF WBF WBF");
	down();
}

/* Where walks do not snoop the new table was written back: an entry that nobody has written is absent, and no garbage. */
static void interrupt_table(void **state)
{
	struct hw_irq irq;
	struct hw_iommu *hw;
	unsigned int i, record = 0;

	(void)state;
	up("non-coherent");
	hw = t.b.unit[0].hw;
	t.b.hold = true;
	assert_int_equal(hw->ops->interrupt(hw, 0x100, 0xfee00010 | 100 << 5, 0, &irq), -14);
	for (i = 0; i < 8; i++)
		if (hw->ops->mmio_read(hw, 0x600 + 16 * i + 8, 8) >> 63)
			record = hw->ops->mmio_read(hw, 0x600 + 16 * i + 8, 8) >> 32 & 0xff;
	assert_int_equal(record, 0x22);
	t.b.hold = false;
	bench_interrupts(&t.b);
	down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bringing_up),
		cmocka_unit_test(interrupt_table),
		cmocka_unit_test(plain),
		cmocka_unit_test(caching_mode),
		cmocka_unit_test(page_requests),
		cmocka_unit_test(write_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
