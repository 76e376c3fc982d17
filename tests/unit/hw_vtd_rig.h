/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A VT-d unit over a small memory, with tables built by hand: what the unit tests of hw/vtd share.
 *
 * Memory is one region of 32 MiB at 1 GiB. Pages are taken from it one by one. A guest-physical address is the
 * host-physical one plus RIG_GPA, so that a table read without the second stage hits nothing.
 */
#ifndef NB_TESTS_HW_VTD_RIG_H
#define NB_TESTS_HW_VTD_RIG_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/rcu.h"
#include "hw/vtd/vtd.h"
#include "mem/mem.h"
#include "spec/vtd/descs.h"
#include "spec/vtd/entries.h"
#include "spec/vtd/faults.h"
#include "spec/vtd/pte.h"
#include "spec/vtd/regs.h"

#define RIG_BASE UINT64_C(0x40000000)
#define RIG_SIZE UINT64_C(0x2000000)
#define RIG_GPA	 UINT64_C(0x1000000000)
#define RIG_RID	 0x0110

enum { SS_RW = 3 };
#define FS_U_RW (VTD_FSPTE_P | VTD_FSPTE_RW | VTD_FSPTE_US)

struct rig {
	struct vtd_caps caps;
	struct hw_iommu *hw;
	struct mem mem;
	struct nb_trace *tr;
	uint8_t *buf;
	uint64_t next;
	uint64_t root, dir, table; /* scalable: PASIDs 0..63 */
	uint64_t iq, iqt, status;
	uint32_t nwait;
	struct {
		uint64_t addr;
		uint32_t data;
	} msi[16];
	unsigned int nmsi;
};

static inline void rig_msi(void *opaque, uint64_t addr, uint32_t data)
{
	struct rig *r = opaque;

	assert_true(r->nmsi < 16);
	r->msi[r->nmsi].addr = addr;
	r->msi[r->nmsi++].data = data;
}

static inline uint64_t rig_page(struct rig *r)
{
	uint64_t pa = r->next;

	r->next += 4096;
	assert_true(r->next <= RIG_BASE + RIG_SIZE);
	return pa;
}

#include "hw_rig.h"

static inline void gcmd(struct rig *r, uint64_t set, uint64_t clear)
{
	reg32(r, VTD_REG_GCMD, (uint32_t)((get32(r, VTD_REG_GSTS) & 0x96ffffffu & ~clear) | set));
}

static inline void rig_new_caps(struct rig *r, const struct vtd_caps *c)
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
	assert_int_equal(vtd_create(c, &r->mem, r->tr, &r->hw, &diag), 0);
	r->hw->msi = rig_msi;
	r->hw->msi_opaque = r;
	r->next = RIG_BASE;
	r->root = rig_page(r);
	r->status = rig_page(r);
}
static inline void rig_free(struct rig *r)
{
	r->hw->ops->destroy(r->hw);
	mem_fini(&r->mem);
	nb_trace_free(r->tr);
	free(r->buf);
}

static inline void rig_queue(struct rig *r, bool dw)
{
	r->iq = rig_page(r);
	reg64(r, VTD_REG_IQT, 0);
	reg64(r, VTD_REG_IQA, r->iq | (dw ? VTD_IQA_DW : 0));
	gcmd(r, VTD_GCMD_QIE, 0);
}
static inline void rig_on(struct rig *r, unsigned int ttm)
{
	reg64(r, VTD_REG_RTADDR, r->root | (uint64_t)ttm << 10);
	gcmd(r, VTD_GCMD_SRTP, 0);
	gcmd(r, VTD_GCMD_TE, 0);
	assert_int_equal(get32(r, VTD_REG_GSTS), VTD_GSTS_TES | VTD_GSTS_RTPS | (r->iq ? VTD_GSTS_QIES : 0));
}

/* Put one descriptor; true: the queue took it and goes on. */
static inline bool inv(struct rig *r, uint64_t q0, uint64_t q1)
{
	bool dw = get64(r, VTD_REG_IQA) & VTD_IQA_DW;

	w64(r, r->iq + r->iqt, q0);
	w64(r, r->iq + r->iqt + 8, q1);
	if (dw) {
		w64(r, r->iq + r->iqt + 16, 0);
		w64(r, r->iq + r->iqt + 24, 0);
	}
	r->iqt = (r->iqt + (dw ? 32 : 16)) & 4095;
	reg64(r, VTD_REG_IQT, r->iqt);
	return get64(r, VTD_REG_IQH) == r->iqt;
}
/* Wait, and see the status written. */
static inline void sync_wait(struct rig *r)
{
	uint32_t v = 0;

	r->nwait++;
	assert_true(inv(r, VTD_INV_WAIT | VTD_INV_WAIT_0_SW | (uint64_t)r->nwait << 32, r->status));
	assert_int_equal(mem_load32(&r->mem, hpa(r->status), &v), 0);
	assert_int_equal(v, r->nwait);
}
#define INV(r, q0, q1)                                                                                        \
	do {                                                                                                  \
		assert_true(inv(r, q0, q1));                                                                  \
		sync_wait(r);                                                                                 \
	} while (0)
static inline uint64_t d_iotlb(unsigned int g, uint16_t did)
{
	return VTD_INV_IOTLB | (uint64_t)g << 4 | (uint64_t)did << 16;
}
static inline uint64_t d_piotlb(unsigned int g, uint16_t did, uint32_t pasid)
{
	return VTD_INV_PIOTLB | (uint64_t)g << 4 | (uint64_t)did << 16 | (uint64_t)pasid << 32;
}
static inline uint64_t d_pc(unsigned int g, uint16_t did, uint32_t pasid)
{
	return VTD_INV_PC | (uint64_t)g << 4 | (uint64_t)did << 16 | (uint64_t)pasid << 32;
}
static inline uint64_t d_cc(unsigned int g, uint16_t did, uint16_t sid)
{
	return VTD_INV_CC | (uint64_t)g << 4 | (uint64_t)did << 16 | (uint64_t)sid << 32;
}

/* The entry of level `level` for `ia`; missing tables above it are made. add is put on table addresses. */
static inline uint64_t entry_at(struct rig *r, uint64_t root, unsigned int levels, unsigned int level, uint64_t ia,
				uint64_t table_bits, uint64_t add)
{
	uint64_t table = root;
	unsigned int l;

	for (l = levels; ; l--) {
		uint64_t pa = table + ((ia >> (3 + 9 * l)) & 511) * 8, e;

		if (l == level)
			return pa;
		e = r64(r, pa);
		if (!e) {
			e = (rig_page(r) + add) | table_bits;
			w64(r, pa, e);
		}
		table = (e & BITS(51, 12)) - add;
	}
}
static inline void ss_map(struct rig *r, uint64_t root, unsigned int levels, unsigned int level, uint64_t ia,
			  uint64_t e)
{
	w64(r, entry_at(r, root, levels, level, ia, SS_RW, 0), e);
}
static inline void fs_map(struct rig *r, uint64_t root, unsigned int levels, unsigned int level, uint64_t ia,
			  uint64_t e, uint64_t add)
{
	w64(r, entry_at(r, root, levels, level, ia, FS_U_RW, add), e);
}
/* Second stage for everything in memory: GPA = HPA + RIG_GPA, 4 KiB pages. */
static inline uint64_t ss_all(struct rig *r, unsigned int levels)
{
	uint64_t root = rig_page(r), pa;

	for (pa = RIG_BASE; pa < RIG_BASE + RIG_SIZE; pa += 4096)
		ss_map(r, root, levels, 1, pa + RIG_GPA, pa | SS_RW);
	return root;
}

/* Scalable structures for a device. */
static inline void sm_device(struct rig *r, uint16_t rid, uint64_t q0_more, uint64_t q1)
{
	uint64_t half = r->root + (rid >> 8) * 16u + (rid & 0x80 ? 8u : 0u), ctx;

	if (!r->dir) {
		r->dir = rig_page(r);
		r->table = rig_page(r);
		w64(r, r->dir, r->table | VTD_PDIR_0_P);
	}
	if (!r64(r, half))
		w64(r, half, rig_page(r) | VTD_SROOT_0_LP);
	ctx = (r64(r, half) & BITS(51, 12)) + (rid & 0x7fu) * 32u;
	w64(r, ctx + 8, q1);
	w64(r, ctx, r->dir | VTD_SCTX_0_P | q0_more);
}
static inline uint64_t pasid_at(struct rig *r, uint32_t pasid)
{
	return r->table + (pasid & 63) * 64u;
}
static inline void sm_pasid(struct rig *r, uint32_t pasid, uint64_t q0, uint64_t q1, uint64_t q2)
{
	w64(r, pasid_at(r, pasid) + 8, q1);
	w64(r, pasid_at(r, pasid) + 16, q2);
	w64(r, pasid_at(r, pasid), q0);
}
#define PGTT(k) ((uint64_t)(k) << 6 | VTD_PASID_0_P)
#define AW(n)	((uint64_t)(n) << 2)

static inline struct hw_result ask(struct rig *r, uint16_t rid, uint32_t pasid, uint64_t addr, uint8_t access,
				   uint8_t flags)
{
	struct hw_request req = {.addr = addr, .pasid = pasid, .rid = rid, .access = access, .flags = flags};
	struct hw_result res;

	memset(&res, 0xee, sizeof(res));
	hw_translate(r->hw, &req, &res);
	return res;
}
/* Ask and expect. */
#define GOES(r, pasid, addr, access, want)                                                                    \
	do {                                                                                                  \
		struct hw_result res_ = ask(r, RIG_RID, pasid, addr, access, 0);                              \
		if (res_.kind == HW_FAULT)                                                                    \
			fail_msg("fault %#x instead of a translation", res_.fault.reason);                    \
		assert_int_equal(res_.kind, HW_OK);                                                           \
		assert_int_equal(res_.pa.v, want);                                                            \
	} while (0)
#define FAULTS(r, pasid, addr, access, want)                                                                  \
	do {                                                                                                  \
		struct hw_result res_ = ask(r, RIG_RID, pasid, addr, access, 0);                              \
		assert_int_equal(res_.kind, HW_FAULT);                                                        \
		assert_int_equal(res_.fault.reason, want);                                                    \
	} while (0)

/* Empty all fault records and status. */
static inline void faults_clear(struct rig *r)
{
	unsigned int i;

	for (i = 0; i < r->caps.fault_records; i++)
		reg32(r, VTD_FRCD_AT + 16 * i + 12, UINT32_C(1) << 31);
	reg32(r, VTD_REG_FSTS, 0x71);
}

#endif
