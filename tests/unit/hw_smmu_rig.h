/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An SMMUv3 over a small memory, with tables built by hand: what the unit tests of hw/smmuv3 share.
 *
 * Memory is one region of 32 MiB at 1 GiB. Pages are taken from it one by one. An IPA is the PA plus RIG_IPA, so that a
 * structure read without stage 2 hits nothing. Words of entries are written as numbers from the manual, not through our masks.
 */
#ifndef NB_TESTS_HW_SMMU_RIG_H
#define NB_TESTS_HW_SMMU_RIG_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/rcu.h"
#include "hw/smmuv3/smmu.h"
#include "mem/mem.h"
#include "spec/smmuv3/cd.h"
#include "spec/smmuv3/cmds.h"
#include "spec/smmuv3/events.h"
#include "spec/smmuv3/regs.h"
#include "spec/smmuv3/ste.h"

#define RIG_BASE UINT64_C(0x40000000)
#define RIG_SIZE UINT64_C(0x2000000)
#define RIG_IPA	 UINT64_C(0x1000000000)
#define RIG_NONE UINT64_C(0x8000000000) /* no memory here, and within 40 bits */
#define RIG_SID	 0x0110
#define RIG_VA	 UINT64_C(0x12345000)
#define RIG_VMID UINT64_C(0x0203)
#define RIG_ASID UINT64_C(0x0405)

/* STE: V and Config; stage 2 of 40-bit IPAs in 4 KiB pages, start at level 1 with two tables, 48-bit PAs, AA64, AFFD clear, R. */
#define STE_V UINT64_C(1)
#define STE_BYPASS UINT64_C(0x9)
#define STE_S1 UINT64_C(0xb)
#define STE_S2 UINT64_C(0xd)
#define STE_NESTED UINT64_C(0xf)
#define STE2_S2 ((UINT64_C(24) << 32) | (UINT64_C(1) << 38) | (UINT64_C(5) << 48) | (UINT64_C(1) << 51) | (UINT64_C(1) << 58))
/* CD: T0SZ 25 (39 bits), 4 KiB, EPD1, V, IPS 48 bits, AA64, R, A, ASID. */
#define CD0 (UINT64_C(25) | (UINT64_C(1) << 30) | (UINT64_C(1) << 31) | (UINT64_C(5) << 32) | (UINT64_C(1) << 41) | \
	     (UINT64_C(3) << 45) | (RIG_ASID << 48))
/* Page descriptors: valid page, AF, nG, AP[1] unprivileged, AttrIndx 0; read-only has AP[2]. Stage 2: S2AP RW, AF, normal memory. */
#define S1_RW UINT64_C(0xc43)
#define S1_RO UINT64_C(0xcc3)
#define S2_RW UINT64_C(0x4ff)
#define S2_RO UINT64_C(0x47f)

struct rig {
	struct smmu_caps caps;
	struct hw_iommu *hw;
	struct mem mem;
	struct nb_trace *tr;
	uint8_t *buf;
	uint64_t next;
	uint64_t strtab, cmdq, evtq, priq, cd, s1root, s2root;
	uint32_t prod, econs; /* of the command queue, of the event queue as we have read it */
	struct {
		uint64_t addr;
		uint32_t data;
	} msi[64];
	unsigned int nmsi;
	/* the requester */
	struct hw_client client;
	bool has_client, answers;
	struct {
		uint32_t pasid;
		uint64_t addr;
		unsigned int lg2, prgi, code;
		bool all;
		enum hw_stall_end end;
	} got;
	unsigned int ninval, nresponse, nstall;
};

#define RIG_CMDQ_LG2 8
#define RIG_EVTQ_LG2 7
#define RIG_PRIQ_LG2 8

static inline void rig_msi(void *opaque, uint64_t addr, uint32_t data)
{
	struct rig *r = opaque;

	assert_true(r->nmsi < ARRAY_SIZE(r->msi));
	r->msi[r->nmsi].addr = addr;
	r->msi[r->nmsi++].data = data;
}

static inline bool rig_ats_invalidate(void *opaque, uint32_t pasid, bool all, uint64_t addr, unsigned int lg2)
{
	struct rig *r = opaque;

	r->ninval++;
	r->got.pasid = pasid;
	r->got.all = all;
	r->got.addr = addr;
	r->got.lg2 = lg2;
	return r->answers;
}

static inline void rig_page_response(void *opaque, uint32_t pasid, unsigned int prgi, unsigned int code)
{
	struct rig *r = opaque;

	r->nresponse++;
	r->got.pasid = pasid;
	r->got.prgi = prgi;
	r->got.code = code;
}

static inline void rig_stall_done(void *opaque, uint32_t pasid, uint64_t addr, bool all, enum hw_stall_end end)
{
	struct rig *r = opaque;

	r->nstall++;
	r->got.pasid = pasid;
	r->got.addr = addr;
	r->got.all = all;
	r->got.end = end;
}

static inline const struct hw_client *rig_client(void *opaque, uint16_t rid)
{
	struct rig *r = opaque;

	return r->has_client && rid == RIG_SID ? &r->client : NULL;
}

/* 2^lg2 bytes, aligned. */
static inline uint64_t rig_alloc(struct rig *r, unsigned int lg2)
{
	uint64_t pa = (r->next + nb_low_mask(lg2)) & ~nb_low_mask(lg2);

	r->next = pa + BIT(lg2);
	assert_true(r->next <= RIG_BASE + RIG_SIZE);
	return pa;
}
static inline uint64_t rig_page(struct rig *r)
{
	return rig_alloc(r, 12);
}

#include "hw_rig.h"

static inline void rig_new_caps(struct rig *r, const struct smmu_caps *c)
{
	struct nb_diag diag;

	memset(r, 0, sizeof(*r));
	assert_int_equal(guard_init(), 0);
	r->caps = *c;
	r->buf = aligned_alloc(4096, RIG_SIZE);
	assert_non_null(r->buf);
	memset(r->buf, 0, RIG_SIZE);
	r->tr = nb_trace_new(NULL);
	assert_int_equal(mem_init_regions(&r->mem), 0);
	assert_int_equal(mem_add_region(&r->mem, hpa(RIG_BASE), r->buf, RIG_SIZE), 0);
	assert_int_equal(smmu_create(c, &r->mem, r->tr, &r->hw, &diag), 0);
	r->hw->msi = rig_msi;
	r->hw->msi_opaque = r;
	r->hw->client = rig_client;
	r->hw->client_opaque = r;
	r->client = (struct hw_client){.opaque = r,
				       .ats_invalidate = rig_ats_invalidate,
				       .page_response = rig_page_response,
				       .stall_done = rig_stall_done};
	r->answers = true;
	r->next = RIG_BASE;
}
static inline void rig_free(struct rig *r)
{
	r->hw->ops->destroy(r->hw);
	mem_fini(&r->mem);
	nb_trace_free(r->tr);
	free(r->buf);
}

/* Queues and a linear stream table of 512 entries; translation on, C_BAD_STREAMID recorded, interrupts by message. */
static inline void rig_start(struct rig *r)
{
	r->strtab = rig_alloc(r, 15);
	r->cmdq = rig_alloc(r, 4 + RIG_CMDQ_LG2);
	r->evtq = rig_alloc(r, 5 + RIG_EVTQ_LG2);
	r->priq = rig_alloc(r, 4 + RIG_PRIQ_LG2);
	reg64(r, 0x80, r->strtab);
	reg32(r, 0x88, 9);
	reg64(r, 0x90, r->cmdq | RIG_CMDQ_LG2);
	reg64(r, 0xa0, r->evtq | RIG_EVTQ_LG2);
	reg64(r, 0xc0, r->priq | RIG_PRIQ_LG2);
	reg32(r, 0x2c, 2);
	reg64(r, 0x68, 0xfee00000);
	reg32(r, 0x70, 0x11);
	reg64(r, 0xb0, 0xfee00004);
	reg32(r, 0xb8, 0x22);
	reg64(r, 0xd0, 0xfee00008);
	reg32(r, 0xd8, 0x33);
	reg32(r, 0x50, r->caps.pri ? 7 : 5);
	reg32(r, 0x20, r->caps.pri ? 0xf : 0xd);
	assert_int_equal(get32(r, 0x24), r->caps.pri ? 0xf : 0xd);
}
static inline void rig_new(struct rig *r)
{
	struct smmu_caps c;

	smmu_caps_all(&c);
	rig_new_caps(r, &c);
	rig_start(r);
}

static inline void ste(struct rig *r, unsigned int sid, uint64_t q0, uint64_t q1, uint64_t q2, uint64_t q3)
{
	uint64_t at = r->strtab + sid * 64ul;

	w64(r, at + 8, q1);
	w64(r, at + 16, q2);
	w64(r, at + 24, q3);
	w64(r, at, q0);
}

/* A table of `level` for va, made on the way; level 3 gets the entry. Start at level 1; addresses in tables are PA + off. */
static inline void rig_map(struct rig *r, uint64_t root, uint64_t va, uint64_t e, uint64_t off)
{
	uint64_t table = root;
	unsigned int shift;

	for (shift = 30; shift > 12; shift -= 9) {
		uint64_t at = table + (shift == 30 ? va >> 30 & 1023 : va >> shift & 511) * 8;

		if (!r64(r, at))
			w64(r, at, (rig_page(r) + off) | 3);
		table = (r64(r, at) & UINT64_C(0xfffffffff000)) - off;
	}
	w64(r, table + (va >> 12 & 511) * 8, e);
}

/* A stream with stage 1 of one CD: RIG_VA to a page that is returned. */
static inline uint64_t rig_s1(struct rig *r)
{
	uint64_t page = rig_page(r);

	r->cd = rig_page(r);
	r->s1root = rig_page(r);
	w64(r, r->cd, CD0);
	w64(r, r->cd + 8, r->s1root);
	rig_map(r, r->s1root, RIG_VA, page | S1_RW, 0);
	ste(r, RIG_SID, STE_S1 | r->cd, 0, RIG_VMID, 0);
	return page;
}

/* Nested: all of the rig's memory at RIG_IPA, RIG_VA to an IPA of a page that is returned. */
static inline uint64_t rig_nested(struct rig *r)
{
	uint64_t page = rig_page(r), pa;

	r->cd = rig_page(r);
	r->s1root = rig_page(r);
	r->s2root = rig_alloc(r, 13);
	rig_map(r, r->s1root, RIG_VA, (page + RIG_IPA) | S1_RW, RIG_IPA);
	for (pa = RIG_BASE; pa < r->next + 0x10000; pa += 4096)
		rig_map(r, r->s2root, pa + RIG_IPA, pa | S2_RW, 0);
	w64(r, r->cd, CD0);
	w64(r, r->cd + 8, r->s1root + RIG_IPA);
	ste(r, RIG_SID, STE_NESTED | (r->cd + RIG_IPA), 0, STE2_S2 | RIG_VMID, r->s2root);
	return page;
}

/* ---- queues ---- */

static inline void cmd_put(struct rig *r, uint64_t q0, uint64_t q1)
{
	uint64_t at = r->cmdq + (r->prod & nb_low_mask(RIG_CMDQ_LG2)) * 16;

	w64(r, at, q0);
	w64(r, at + 8, q1);
	r->prod = (r->prod + 1) & (uint32_t)nb_low_mask(RIG_CMDQ_LG2 + 1);
}
static inline uint32_t cmd_go(struct rig *r)
{
	reg32(r, 0x98, r->prod);
	return get32(r, 0x9c);
}
/* One command; true: it was consumed. */
static inline bool cmd(struct rig *r, uint64_t q0, uint64_t q1)
{
	cmd_put(r, q0, q1);
	return (cmd_go(r) & 0xfffff) == r->prod;
}
/* It has to be illegal: CERROR_ILL, and the queue goes on behind it afterwards. */
static inline void cmd_ill(struct rig *r, uint64_t q0, uint64_t q1)
{
	uint32_t at = r->prod;

	assert_false(cmd(r, q0, q1));
	assert_int_equal(get32(r, 0x9c), 1u << 24 | at);
	assert_int_equal((get32(r, 0x60) ^ get32(r, 0x64)) & 1, 1);
	r->prod = at;
	reg32(r, 0x98, r->prod);
	reg32(r, 0x64, get32(r, 0x60));
	r->nmsi = 0;
}
static inline void sync_cmds(struct rig *r)
{
	assert_true(cmd(r, 0x46, 0));
}
static inline void cfgi_ste(struct rig *r, unsigned int sid)
{
	assert_true(cmd(r, 0x03 | (uint64_t)sid << 32, 1));
	sync_cmds(r);
}
static inline void cfgi_all(struct rig *r)
{
	assert_true(cmd(r, 0x04, 31));
	sync_cmds(r);
}

static inline unsigned int events(struct rig *r)
{
	return (get32(r, 0x100a8) - r->econs) & (uint32_t)nb_low_mask(RIG_EVTQ_LG2 + 1);
}
/* Take the next record. */
static inline void event_get(struct rig *r, uint64_t rec[4])
{
	uint64_t at = r->evtq + (r->econs & nb_low_mask(RIG_EVTQ_LG2)) * 32;
	unsigned int i;

	assert_int_not_equal(events(r), 0);
	for (i = 0; i < 4; i++)
		rec[i] = r64(r, at + 8 * i);
	r->econs = (r->econs + 1) & (uint32_t)nb_low_mask(RIG_EVTQ_LG2 + 1);
	reg32(r, 0x100ac, r->econs | (get32(r, 0x100a8) & 0x80000000u));
}
/* The only event there is. */
#define event_is(r, a, b, c, d) event_is_((r), (a), (b), (c), (d), __FILE__, __LINE__)
static inline void event_is_(struct rig *r, uint64_t a, uint64_t b, uint64_t c, uint64_t d, const char *file, int line)
{
	const uint64_t want[4] = {a, b, c, d};
	uint64_t rec[4];

	if (events(r) != 1)
		print_error("%s:%d: %u events\n", file, line, events(r));
	assert_int_equal(events(r), 1);
	event_get(r, rec);
	if (memcmp(rec, want, sizeof(rec)) != 0)
		print_error("%s:%d: event %016llx %016llx %016llx %016llx\n", file, line, (unsigned long long)rec[0],
			    (unsigned long long)rec[1], (unsigned long long)rec[2], (unsigned long long)rec[3]);
	assert_memory_equal(rec, want, sizeof(rec));
}

/* ---- requests ---- */

static inline struct hw_result go_ssid(struct rig *r, uint32_t ssid, uint64_t addr, unsigned int access, unsigned int flags)
{
	struct hw_request req = {.addr = addr, .pasid = ssid, .rid = RIG_SID, .access = (uint8_t)access, .flags = (uint8_t)flags};
	struct hw_result res;

	memset(&res, 0xa5, sizeof(res));
	hw_translate(r->hw, &req, &res);
	return res;
}
static inline struct hw_result go(struct rig *r, uint64_t addr, unsigned int access)
{
	return go_ssid(r, NB_NO_PASID, addr, access, 0);
}
static inline struct hw_result go_sid(struct rig *r, uint16_t sid, uint64_t addr)
{
	struct hw_request req = {.addr = addr, .pasid = NB_NO_PASID, .rid = sid, .access = HW_READ};
	struct hw_result res;

	memset(&res, 0xa5, sizeof(res));
	hw_translate(r->hw, &req, &res);
	return res;
}
#define ok_at(res, want)                              \
	do {                                          \
		struct hw_result r_ = (res);          \
		assert_int_equal(r_.kind, HW_OK);     \
		assert_int_equal(r_.pa.v, (want));    \
	} while (0)
#define faults(res, what)                               \
	do {                                            \
		struct hw_result r_ = (res);            \
		assert_int_equal(r_.kind, HW_FAULT);    \
		assert_int_equal(r_.fault.reason, (what)); \
	} while (0)

#endif
