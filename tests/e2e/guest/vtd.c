/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See vtd.h. Names and section numbers are those of the Intel VT-d specification, revision 4.1.
 */

#include <string.h>

#include "guest.h"
#include "phys.h"
#include "vtd.h"

#define VTD_BASE UINT64_C(0xfed90000)

/* 11.4: registers */
enum {
	VTD_GCMD = 0x18,
	VTD_GSTS = 0x1c,
	VTD_RTADDR = 0x20,
	VTD_FSTS = 0x34,
	VTD_IQT = 0x88,
	VTD_IQA = 0x90,
};

#define GCMD_TE             (1u << 31)
#define GCMD_SRTP           (1u << 30)
#define GCMD_QIE            (1u << 26)
#define GSTS_PERSISTENT     0x96ffffffu /* what a write to GCMD has to repeat: not the one-shot commands */
#define RTADDR_TTM_SCALABLE (UINT64_C(1) << 10)
#define IQA_DW_256BIT       (UINT64_C(1) << 11)

/* 6.5.2: descriptors */
#define INV_CONTEXT_GLOBAL     UINT64_C(0x11)
#define INV_IOTLB_GLOBAL       UINT64_C(0x12)
#define INV_WAIT_WRITE         UINT64_C(0x25)
#define INV_PIOTLB_PASID       UINT64_C(0x26)
#define INV_PIOTLB_PAGE        UINT64_C(0x36)
#define INV_PASID_CACHE_PASID  UINT64_C(0x17)
#define INV_PASID_CACHE_GLOBAL UINT64_C(0x37)
#define INV_DID(did)           ((uint64_t)(did) << 16)
#define INV_PASID(pasid)       ((uint64_t)(pasid) << 32)

/* 9.3 to 9.6: root, context and PASID entries */
#define ENTRY_PRESENT    UINT64_C(1)
#define CONTEXT_PASIDE   UINT64_C(8)
#define PASID_AW_4LEVEL  (UINT64_C(2) << 2)
#define PASID_PGTT_FIRST (UINT64_C(1) << 6)

/* 9.7: first-stage entries */
#define FS_PRESENT_RW_USER UINT64_C(7)

#define ADDRESS UINT64_C(0x000ffffffffff000) /* in each of these entries */

#define DOMAIN_ID 5u
#define DONE      0x600du

static volatile unsigned char *regs;
static struct phys queue, status, directory, pasid_table;
static uint32_t tail;

static void write64(unsigned int reg, uint64_t v)
{
	*(volatile uint64_t *)(regs + reg) = v;
}

static uint32_t read32(unsigned int reg)
{
	return *(volatile uint32_t *)(regs + reg);
}

static void command(uint32_t bit)
{
	double limit = now() + 5;

	*(volatile uint32_t *)(regs + VTD_GCMD) = (read32(VTD_GSTS) & GSTS_PERSISTENT) | bit;
	while (!(read32(VTD_GSTS) & bit)) {
		if (now() > limit)
			fail("VT-d did not take command %#x, status %#x", bit, read32(VTD_GSTS));
	}
}

static void put_descriptor(uint64_t low, uint64_t high)
{
	uint64_t words[4] = {low, high, 0, 0};

	memcpy((unsigned char *)queue.va + tail, words, sizeof(words));
	tail = (tail + sizeof(words)) % PHYS_PAGE;
}

/* Hands over what is queued and waits until it took effect. */
static void sync_queue(void)
{
	volatile uint32_t *done = status.va;
	double limit = now() + 5;

	*done = 0;
	put_descriptor(INV_WAIT_WRITE | (uint64_t)DONE << 32, status.pa);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	write64(VTD_IQT, tail);
	while (*done != DONE) {
		if (now() > limit)
			fail("VT-d's invalidation queue is stuck, fault status %#x", read32(VTD_FSTS));
	}
}

void vtd_init(uint8_t bus, uint8_t devfn)
{
	struct phys root = phys_alloc(), context = phys_alloc();
	uint64_t *slot;

	queue = phys_alloc();
	status = phys_alloc();
	directory = phys_alloc();
	pasid_table = phys_alloc();
	regs = phys_mmio(VTD_BASE, PHYS_PAGE);

	/* A root entry points to two context tables, for device functions below and from 0x80. */
	slot = (uint64_t *)root.va + bus * 2 + (devfn >> 7);
	*slot = context.pa | ENTRY_PRESENT;
	slot = (uint64_t *)context.va + (devfn & 0x7f) * 4;
	*slot = directory.pa | CONTEXT_PASIDE | ENTRY_PRESENT;
	*(uint64_t *)directory.va = pasid_table.pa | ENTRY_PRESENT;

	write64(VTD_RTADDR, root.pa | RTADDR_TTM_SCALABLE);
	command(GCMD_SRTP);
	write64(VTD_IQA, queue.pa | IQA_DW_256BIT);
	write64(VTD_IQT, 0);
	command(GCMD_QIE);
	put_descriptor(INV_CONTEXT_GLOBAL, 0);
	put_descriptor(INV_PASID_CACHE_GLOBAL, 0);
	put_descriptor(INV_IOTLB_GLOBAL, 0);
	sync_queue();
	command(GCMD_TE);
}

struct vtd_table vtd_table_new(void)
{
	struct phys page = phys_alloc();

	return (struct vtd_table){page.va, page.pa};
}

void vtd_map(struct vtd_table table, uint64_t iova, uint64_t pa)
{
	uint64_t *level = table.va;

	for (unsigned int shift = 39; shift > 12; shift -= 9) {
		uint64_t *slot = &level[iova >> shift & 511];

		if (!*slot)
			*slot = phys_alloc().pa | FS_PRESENT_RW_USER;
		level = phys_va(*slot & ADDRESS);
	}
	level[iova >> 12 & 511] = pa ? pa | FS_PRESENT_RW_USER : 0;
}

static void pasid_changed(uint32_t pasid)
{
	put_descriptor(INV_PASID_CACHE_PASID | INV_DID(DOMAIN_ID) | INV_PASID(pasid), 0);
	put_descriptor(INV_PIOTLB_PASID | INV_DID(DOMAIN_ID) | INV_PASID(pasid), 0);
	sync_queue();
}

void vtd_set_pasid(uint32_t pasid, struct vtd_table table)
{
	uint64_t *entry = (uint64_t *)pasid_table.va + pasid * 8;

	entry[1] = DOMAIN_ID;
	entry[2] = table.pa;
	__atomic_store_n(&entry[0], PASID_PGTT_FIRST | PASID_AW_4LEVEL | ENTRY_PRESENT, __ATOMIC_RELEASE);
	pasid_changed(pasid);
}

void vtd_clear_pasid(uint32_t pasid)
{
	memset((uint64_t *)pasid_table.va + pasid * 8, 0, 64);
	pasid_changed(pasid);
}

void vtd_invalidate_page(uint32_t pasid, uint64_t iova)
{
	put_descriptor(INV_PIOTLB_PAGE | INV_DID(DOMAIN_ID) | INV_PASID(pasid), iova);
	sync_queue();
}
