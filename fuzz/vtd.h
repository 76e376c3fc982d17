/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A VT-d unit over a small memory with a valid nested setup, for the targets that attack one: little of an input is needed to
 * get deep.
 *
 * Memory is FZ_PAGES pages from FZ_BASE. Function 00:01.0 has PASIDs 0 to 7; the first stage maps 0x200000 and up, the
 * second stage maps all our memory to itself. The invalidation queue has 2 pages, the page request queue 1.
 */
#ifndef NB_FUZZ_VTD_H
#define NB_FUZZ_VTD_H

#include <string.h>

#include "base/rcu.h"
#include "hw/hw.h"
#include "hw/vtd/vtd.h"
#include "client.h"
#include "input.h"

#define FZ_PAGES 40u
#define FZ_LEN	 (FZ_PAGES * 4096u)
#define FZ_BASE	 UINT64_C(0x100000)
#define FZ_RID	 8
#define FZ_FS	 UINT64_C(0x200000)

enum {
	FZ_ROOT, FZ_CTX, FZ_DIR, FZ_TAB, FZ_RING, FZ_STATUS = FZ_RING + 2, FZ_FSP, FZ_SSP = FZ_FSP + 4,
	FZ_SS_LOW = FZ_SSP + 3, FZ_DATA = FZ_SS_LOW + 4, FZ_IRT, FZ_PRQ, FZ_FREE
};

struct fz_vtd {
	struct hw_iommu *hw;
	struct mem mem;
	uint8_t *ram;
	struct vtd_caps caps;
	bool legacy;
	struct hw_client client;
	unsigned int responses;
};

static inline uint64_t fz_at(unsigned int page)
{
	return FZ_BASE + page * 4096u;
}

static inline void fz_put(struct fz_vtd *z, unsigned int page, unsigned int word, uint64_t v)
{
	check(mem_store64(&z->mem, hpa(fz_at(page % FZ_PAGES) + (word & 511) * 8), v) == 0);
}

static inline uint64_t fz_get(struct fz_vtd *z, unsigned int page, unsigned int word)
{
	uint64_t v = 0;

	check(mem_load64(&z->mem, hpa(fz_at(page % FZ_PAGES) + (word & 511) * 8), &v) == 0);
	return v;
}

static inline void fz_tables(struct fz_vtd *z)
{
	static const unsigned int pgtt[4] = {3, 2, 1, 4};
	unsigned int i;

	fz_put(z, FZ_ROOT, 0, fz_at(FZ_CTX) | 1);
	if (z->legacy) {
		fz_put(z, FZ_CTX, 2 * FZ_RID, fz_at(FZ_SSP) | 1);
		fz_put(z, FZ_CTX, 2 * FZ_RID + 1, 7 << 8 | 2);
	} else {
		/* P, PASIDE, and where they exist DTE and PRE */
		fz_put(z, FZ_CTX, 4 * FZ_RID, fz_at(FZ_DIR) | 9 | (z->caps.device_tlb ? 4 : 0) | (z->caps.page_requests ? 16 : 0));
		fz_put(z, FZ_DIR, 0, fz_at(FZ_TAB) | 1);
		for (i = 0; i < 8; i++) { /* PASIDs 0 to 7: nested, second, first stage, pass-through, twice */
			fz_put(z, FZ_TAB, 8 * i, fz_at(FZ_SSP) | 1 | 2 << 2 | pgtt[i & 3] << 6 |
						    (i & 4 && z->caps.ss_dirty ? 1 << 9 : 0));
			fz_put(z, FZ_TAB, 8 * i + 1, (4 + i) | 1 << 23);
			fz_put(z, FZ_TAB, 8 * i + 2, fz_at(FZ_FSP));
		}
	}
	for (i = 0; i < 3; i++) {
		fz_put(z, FZ_FSP + i, i == 2 ? 1 : 0, fz_at(FZ_FSP + i + 1) | 7);
		fz_put(z, FZ_SSP + i, 0, fz_at(i == 2 ? FZ_SS_LOW : FZ_SSP + i + 1) | 3);
	}
	for (i = 0; i < FZ_PAGES; i++) {
		fz_put(z, FZ_FSP + 3, i, fz_at(i) | 7);
		fz_put(z, FZ_SS_LOW, 256 + i, fz_at(i) | 3);
	}
	for (i = 0; i < 8; i++) { /* IRTEs: present, fixed; every other one checks the source */
		fz_put(z, FZ_IRT, 2 * i, UINT64_C(1) | (uint64_t)(0x30 + i) << 16 | (uint64_t)i << 40);
		fz_put(z, FZ_IRT, 2 * i + 1, i & 1 ? UINT64_C(1) << 18 | FZ_RID : 0);
	}
}

static inline void fz_reg(struct fz_vtd *z, uint64_t off, unsigned int size, uint64_t v)
{
	z->hw->ops->mmio_write(z->hw, off, size, v);
}

static inline uint64_t fz_read(struct fz_vtd *z, uint64_t off, unsigned int size)
{
	return z->hw->ops->mmio_read(z->hw, off, size);
}

static inline void fz_enable(struct fz_vtd *z)
{
	uint64_t on = UINT64_C(1) << 26;

	fz_reg(z, 0x20, 8, fz_at(FZ_ROOT) | (z->legacy ? 0 : 1 << 10));
	fz_reg(z, 0x18, 4, UINT64_C(1) << 30);
	fz_reg(z, 0x90, 8, fz_at(FZ_RING) | (z->legacy ? 0 : 1 << 11) | 1);
	fz_reg(z, 0x18, 4, on);
	fz_reg(z, 0xd0, 8, fz_at(FZ_PRQ));
	if (z->caps.intr_remap) {
		fz_reg(z, 0xb8, 8, fz_at(FZ_IRT) | 2);
		fz_reg(z, 0x18, 4, on | UINT64_C(1) << 24);
		on |= UINT64_C(1) << 25;
	}
	fz_reg(z, 0x18, 4, on);
	fz_reg(z, 0x18, 4, on | UINT64_C(1) << 31);
}

static inline void fz_deliver(void *opaque, const struct hw_irq *irq)
{
	(void)opaque;
	(void)irq;
}

static inline const struct hw_client *fz_client(void *opaque, uint16_t rid)
{
	struct fz_vtd *z = opaque;

	return rid == FZ_RID ? &z->client : NULL;
}

static inline void fz_caps(struct vtd_caps *c, uint64_t bits)
{
	vtd_caps_all(c);
	c->ss_dirty = bits & 1;
	c->snoop_control = bits & 2;
	c->caching_mode = bits & 4;
	c->supervisor = c->rid_priv = bits & 8;
	c->levels5 = bits & 16;
	c->rid_pasid = bits & 32;
	c->fault_records = bits & 64 ? 1 : 8;
	c->no_page_selective = (bits & 0x380) == 0x380;
	c->device_tlb = bits & 0x400;
	c->page_requests = c->dev_tlb_throttle = c->device_tlb;
	c->abort_mode = bits & 0x800;
	c->haw = bits & 0x1000 ? 46 : 52;
	c->mgaw = c->levels5 && !(bits & 0x2000) ? 57 : 48;
	c->nd_lg2 = bits & 0x4000 ? 4 : 16;
	c->intr_remap = bits & 0x8000;
	c->x2apic = c->intr_remap && (bits & 0x10000);
	c->pmr_low = c->pmr_high = bits & 0x20000;
	c->esrtps = bits & 0x40000;
}

/* Set up, switched on. bits: legacy mode (bit 0), then capabilities. False: the model refuses these. */
static inline bool fz_up(struct fz_vtd *z, uint64_t bits)
{
	memset(z, 0, sizeof(*z));
	z->legacy = bits & 1;
	fz_caps(&z->caps, bits >> 1);
	z->ram = aligned_alloc(4096, FZ_LEN);
	if (!z->ram || mem_init_regions(&z->mem) || mem_add_region(&z->mem, hpa(FZ_BASE), z->ram, FZ_LEN))
		abort();
	memset(z->ram, 0, FZ_LEN);
	if (vtd_create(&z->caps, &z->mem, NULL, &z->hw, NULL)) {
		mem_fini(&z->mem);
		free(z->ram);
		return false;
	}
	z->client = (struct hw_client){
		.opaque = &z->responses, .ats_invalidate = fz_ats_invalidate, .page_response = fz_page_response};
	z->hw->msi = fz_msi;
	z->hw->deliver = fz_deliver;
	z->hw->client = fz_client;
	z->hw->client_opaque = z;
	fz_tables(z);
	fz_enable(z);
	return true;
}

static inline void fz_down(struct fz_vtd *z)
{
	z->hw->ops->destroy(z->hw);
	mem_fini(&z->mem);
	free(z->ram);
}

static inline uint64_t fz_address(struct input *in)
{
	uint8_t kind = (uint8_t)take(in, 1);
	uint64_t low = take(in, 2);

	switch (kind & 7) {
	case 0:
		return take(in, 8);
	case 1:
		return FZ_BASE + low * 4;
	case 2:
		return ~UINT64_C(0) - low;
	case 3:
		return UINT64_C(0xfee00000) + low * 16;
	default:
		return FZ_FS + low * 3;
	}
}

/* Every request that fz_agrees_with_memory() makes. */
#define FZ_ASKS 108
static inline void fz_ask(unsigned int i, uint16_t rid, struct hw_request *req)
{
	static const uint64_t addr[6] = {FZ_BASE, FZ_BASE + 0x9000, FZ_FS, FZ_FS + 0x5000, FZ_FS + 0x27000, 0x40000000};

	*req = (struct hw_request){.addr = addr[i / 18], .pasid = i % 9 == 8 ? NB_NO_PASID : i % 9, .rid = rid,
				   .access = i / 9 % 2 ? HW_WRITE : HW_READ};
}

/*
 * Ask until asking sets no more accessed and dirty bits. False: it does not come to that (tables that map themselves), and nothing
 * can be said.
 */
static inline bool fz_settle(struct fz_vtd *z, uint16_t rid)
{
	static uint8_t before[FZ_LEN];
	struct hw_request req;
	struct hw_result res;
	unsigned int i, k;

	for (k = 0; k < 6; k++) {
		memcpy(before, z->ram, FZ_LEN);
		vtd_drop_caches(z->hw);
		for (i = 0; i < FZ_ASKS; i++) {
			fz_ask(i, rid, &req);
			hw_translate(z->hw, &req, &res);
		}
		if (memcmp(before, z->ram, FZ_LEN) == 0)
			return true;
	}
	return false;
}

/* After fz_settle() and then an invalidation of everything: what the unit answers out of its caches is what memory says. */
static inline void fz_agrees_with_memory(struct fz_vtd *z, uint16_t rid)
{
	struct hw_result want, got;
	struct hw_request req;
	unsigned int i;

	for (i = 0; i < FZ_ASKS; i++) {
		fz_ask(i, rid, &req);
		req.flags = HW_OBSERVE;
		hw_translate(z->hw, &req, &want);
		req.flags = 0;
		hw_translate(z->hw, &req, &got);
		/* To observe sets no bits, so it does not see that they cannot be set. */
		if (got.kind == HW_FAULT && want.kind != HW_FAULT)
			continue;
		check(got.kind == want.kind);
		check(got.kind != HW_OK || got.pa.v == want.pa.v);
		check(got.kind != HW_FAULT || got.fault.reason == want.fault.reason || got.fault.reason >= 0x70);
	}
}

#endif
