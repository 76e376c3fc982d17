/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * smmu: this process drives QEMU's SMMUv3 and the dmatest function behind it. Mapped DMA must be right to the byte, what is not
 * mapped refused, and the event in the guest's queue must say who and where, in the guest's own numbers.
 */

#include <stdio.h>
#include <string.h>

#include "engine.h"
#include "guest.h"
#include "phys.h"
#include "smmu.h"

#define PAGES  16u
#define SIZE   (PAGES * PHYS_PAGE)
#define IOVA_A UINT64_C(0x1234560000)
#define IOVA_B UINT64_C(0x7f0000000000) /* far away: no table in common but the root */
#define HOLE   UINT64_C(0x4000000000)
#define ASID   7u
#define PASID  5u
#define VCMDQ_ROUNDS 300u

struct stage {
	struct engine engine;
	uint32_t sid;
	struct smmu_table table;
	struct phys a, b, other; /* SIZE bytes each */
};

static struct phys block(void)
{
	struct phys first = phys_alloc();

	for (unsigned int i = 1; i < PAGES; i++)
		phys_alloc(); /* the next ones lie behind it */
	return first;
}

static void map(struct smmu_table table, uint64_t iova, struct phys to, bool writable)
{
	for (unsigned int i = 0; i < PAGES; i++)
		smmu_map(table, iova + i * PHYS_PAGE, to.pa + i * PHYS_PAGE, writable);
}

static void unmap(struct smmu_table table, uint64_t iova)
{
	for (unsigned int i = 0; i < PAGES; i++)
		smmu_map(table, iova + i * PHYS_PAGE, 0, false);
}

static void expect_bytes(const char *what, struct phys got, struct phys want)
{
	if (memcmp(got.va, want.va, SIZE) != 0)
		fail("%s: wrong data", what);
	report(what, "ok");
}

static void expect_untouched(const char *what, struct phys block)
{
	for (size_t i = 0; i < SIZE; i++) {
		if (((unsigned char *)block.va)[i])
			fail("%s: memory was written that is not mapped", what);
	}
}

/* A to B, wherever `src` and `dst` lead there. */
static void copy(struct stage *s, const char *what, uint64_t src, uint64_t dst)
{
	pattern_fill(s->a.va, SIZE, (uintptr_t)what);
	memset(s->b.va, 0, SIZE);
	engine_expect(&s->engine, DMATEST_ERROR_NONE, what, DMATEST_CMD_COPY, src, dst, SIZE);
	expect_bytes(what, s->b, s->a);
}

static void refused(struct stage *s, const char *what, uint32_t error, uint64_t src, uint64_t dst, uint64_t at)
{
	memset(s->b.va, 0, SIZE);
	engine_expect(&s->engine, error, what, DMATEST_CMD_COPY, src, dst, SIZE);
	if (engine_read64(&s->engine, DMATEST_ERROR_ADDR) != at)
		fail("%s: reported at %#llx", what, (unsigned long long)engine_read64(&s->engine, DMATEST_ERROR_ADDR));
	expect_untouched(what, s->b);
	report(what, "ok");
}

static void expect_event(struct stage *s, const char *what, uint32_t type, int ssid, uint64_t address, bool read)
{
	struct smmu_event e;

	smmu_wait_event(what, &e);
	if (e.type != type || e.sid != s->sid || e.has_ssid != (ssid >= 0) || (ssid >= 0 && e.ssid != (uint32_t)ssid))
		fail("%s: event %#x of stream %#x, substream %d %#x", what, e.type, e.sid, e.has_ssid, e.ssid);
	/* A configuration error has no address. */
	if (type != SMMU_C_BAD_CD && (e.address != address || e.read != read || e.s2))
		fail("%s: event for %s at %#llx, stage 2: %d", what, e.read ? "read" : "write",
		     (unsigned long long)e.address, e.s2);
}

/* Events come in their order: if there was none before, the next one is that of a request which is refused now. */
static void no_event_before(struct stage *s, const char *what)
{
	refused(s, what, DMATEST_ERROR_DST_DMA, IOVA_A, HOLE, HOLE);
	expect_event(s, what, SMMU_F_TRANSLATION, -1, HOLE, false);
}

/* Before the guest has any tables, addresses are physical ones, or nothing passes. */
static void unit_off(struct stage *s)
{
	copy(s, "off_bypass", s->a.pa, s->b.pa);
	smmu_refuse_all(true);
	refused(s, "off_abort", DMATEST_ERROR_SRC_DMA, s->a.pa, s->b.pa, s->a.pa);
	smmu_refuse_all(false);
}

static void mapped(struct stage *s)
{
	copy(s, "copy", IOVA_A, IOVA_B);
	refused(s, "unmapped_write", DMATEST_ERROR_DST_DMA, IOVA_A, HOLE, HOLE);
	expect_event(s, "unmapped_write", SMMU_F_TRANSLATION, -1, HOLE, false);
	refused(s, "unmapped_read", DMATEST_ERROR_SRC_DMA, HOLE, IOVA_B, HOLE);
	expect_event(s, "unmapped_read", SMMU_F_TRANSLATION, -1, HOLE, true);
	copy(s, "copy_after_faults", IOVA_A, IOVA_B);
}

/* Each change is made known in another way. */
static void changes(struct stage *s)
{
	unmap(s->table, IOVA_B);
	for (unsigned int i = 0; i < PAGES; i++)
		smmu_invalidate_page(ASID, IOVA_B + i * PHYS_PAGE);
	refused(s, "after_unmap", DMATEST_ERROR_DST_DMA, IOVA_A, IOVA_B, IOVA_B);
	expect_event(s, "after_unmap", SMMU_F_TRANSLATION, -1, IOVA_B, false);

	memset(s->other.va, 0, SIZE);
	map(s->table, IOVA_B, s->b, true);
	copy(s, "mapped_again", IOVA_A, IOVA_B);
	memset(s->b.va, 0, SIZE);
	map(s->table, IOVA_B, s->other, true);
	smmu_invalidate_asid(ASID);
	engine_expect(&s->engine, DMATEST_ERROR_NONE, "remap", DMATEST_CMD_COPY, IOVA_A, IOVA_B, SIZE);
	expect_bytes("remap", s->other, s->a);
	expect_untouched("remap", s->b);

	map(s->table, IOVA_B, s->b, false);
	if (smmu_has_ranges())
		smmu_invalidate_pages(ASID, IOVA_B, PAGES);
	else
		smmu_invalidate_asid(ASID);
	refused(s, "read_only", DMATEST_ERROR_DST_DMA, IOVA_A, IOVA_B, IOVA_B);
	expect_event(s, "read_only", SMMU_F_PERMISSION, -1, IOVA_B, false);
	map(s->table, IOVA_B, s->b, true);
	smmu_invalidate_asid(ASID);
	copy(s, "writable_again", IOVA_A, IOVA_B);
}

/* Two tables for one device, told apart by the guest's own descriptors: the host hears of none of them. */
static void substreams(struct stage *s)
{
	struct smmu_table tagged = smmu_table_new();

	if (!(engine_read32(&s->engine, DMATEST_FEATURES) & DMATEST_FEATURE_PASID_ON))
		fail("pasid: switched off");
	map(tagged, IOVA_A, s->a, true);
	map(tagged, IOVA_B, s->other, true);
	memset(s->other.va, 0, SIZE);
	engine_write32(&s->engine, DMATEST_PASID, PASID | DMATEST_PASID_EN);
	refused(s, "pasid_unknown", DMATEST_ERROR_SRC_DMA, IOVA_A, IOVA_B, IOVA_A);
	expect_event(s, "pasid_unknown", SMMU_C_BAD_CD, PASID, 0, false);
	smmu_set_cd(s->sid, PASID, ASID + 1, tagged);
	engine_expect(&s->engine, DMATEST_ERROR_NONE, "pasid", DMATEST_CMD_COPY, IOVA_A, IOVA_B, SIZE);
	expect_bytes("pasid", s->other, s->a);
	expect_untouched("pasid", s->b);
	unmap(tagged, IOVA_B);
	smmu_invalidate_asid(ASID + 1);
	refused(s, "pasid_unmapped", DMATEST_ERROR_DST_DMA, IOVA_A, IOVA_B, IOVA_B);
	expect_event(s, "pasid_unmapped", SMMU_F_TRANSLATION, PASID, IOVA_B, false);
	smmu_clear_cd(s->sid, PASID);
	refused(s, "pasid_gone", DMATEST_ERROR_SRC_DMA, IOVA_A, IOVA_B, IOVA_A);
	expect_event(s, "pasid_gone", SMMU_C_BAD_CD, PASID, 0, false);
	engine_write32(&s->engine, DMATEST_PASID, 0);
	copy(s, "without_pasid_still_good", IOVA_A, IOVA_B);
}

/* Through the device's own TLB, which keeps what it has learnt until the guest's invalidation has gone all the way to it. */
static void device_tlb(struct stage *s)
{
	smmu_stream_translate(s->sid, true);
	if (!(engine_read32(&s->engine, DMATEST_FEATURES) & DMATEST_FEATURE_ATS_ON))
		fail("device_tlb: ATS is off");
	engine_write32(&s->engine, DMATEST_CONTROL, DMATEST_CONTROL_ATS);
	copy(s, "device_tlb", IOVA_A, IOVA_B);
	unmap(s->table, IOVA_B);
	smmu_invalidate_asid(ASID);
	for (unsigned int i = 0; i < PAGES; i++)
		smmu_invalidate_atc(s->sid, IOVA_B + i * PHYS_PAGE);
	refused(s, "device_tlb_after_unmap", DMATEST_ERROR_DST_DMA, IOVA_A, IOVA_B, IOVA_B);
	map(s->table, IOVA_B, s->b, true);
	copy(s, "device_tlb_at_end", IOVA_A, IOVA_B);
	engine_write32(&s->engine, DMATEST_CONTROL, 0);
	no_event_before(s, "device_tlb_without_event"); /* what it asks in vain for is no fault */
}

/* Through a queue that the hardware serves without a trap or a call to the host; often enough for its indices to wrap. */
static void virtual_queue(struct stage *s)
{
	unsigned int i;

	if (!smmu_use_vcmdq()) {
		report("vcmdq", "none");
		return;
	}
	unmap(s->table, IOVA_B);
	smmu_invalidate_pages(ASID, IOVA_B, PAGES);
	refused(s, "vcmdq_after_unmap", DMATEST_ERROR_DST_DMA, IOVA_A, IOVA_B, IOVA_B);
	expect_event(s, "vcmdq_after_unmap", SMMU_F_TRANSLATION, -1, IOVA_B, false);
	map(s->table, IOVA_B, s->b, true);
	for (i = 0; i < VCMDQ_ROUNDS; i++) {
		struct phys to = i % 2 ? s->b : s->other;

		memset(to.va, 0, SIZE);
		map(s->table, IOVA_B, to, true);
		smmu_invalidate_page(ASID, IOVA_B);
		engine_expect(&s->engine, DMATEST_ERROR_NONE, "vcmdq", DMATEST_CMD_COPY, IOVA_A, IOVA_B, PHYS_PAGE);
		if (memcmp(to.va, s->a.va, PHYS_PAGE) != 0)
			fail("vcmdq: an old translation was used in round %u", i);
	}
	map(s->table, IOVA_B, s->b, true);
	smmu_invalidate_asid(ASID);
	copy(s, "vcmdq_at_end", IOVA_A, IOVA_B);
	report("vcmdq", "ok");
}

void scenario_smmu(void)
{
	struct stage s = {.a = block(), .b = block(), .other = block()};
	unsigned int bus, device, function;
	char pci[16];

	engine_find(pci, sizeof(pci));
	engine_open(&s.engine, pci);
	if (sscanf(pci, "0000:%x:%x.%x", &bus, &device, &function) != 3)
		fail("%s is in another segment", pci);
	s.sid = bus << 8 | device << 3 | function; /* so says the board's IORT */
	report("stream", "%#x", s.sid);
	smmu_find();
	unit_off(&s);

	smmu_start();
	smmu_stream_forget(s.sid); /* QEMU looks at an entry when it is told of it, not when the unit is switched on */
	refused(&s, "no_entry", DMATEST_ERROR_SRC_DMA, s.a.pa, s.b.pa, s.a.pa);
	s.table = smmu_table_new();
	map(s.table, IOVA_A, s.a, true);
	map(s.table, IOVA_B, s.b, true);
	smmu_set_cd(s.sid, 0, ASID, s.table);
	smmu_stream_translate(s.sid, false);
	mapped(&s);
	changes(&s);
	report("ranges", "%d", smmu_has_ranges());
	virtual_queue(&s);
	if (smmu_has_substreams())
		substreams(&s);
	if (smmu_has_ats())
		device_tlb(&s);

	smmu_stream_bypass(s.sid);
	copy(&s, "stream_bypass", s.a.pa, s.b.pa);
	smmu_stream_forget(s.sid);
	refused(&s, "stream_gone", DMATEST_ERROR_SRC_DMA, IOVA_A, IOVA_B, IOVA_A);
	smmu_stream_translate(s.sid, false);
	no_event_before(&s, "at_end");
}
