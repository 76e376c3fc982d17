/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See smmu.h. Names and section numbers are those of the Arm SMMUv3 specification, IHI 0070 issue G.b; table formats are
 * those of the Arm ARM, DDI 0487, D8.3.
 */

#include <stdio.h>
#include <string.h>

#include "guest.h"
#include "phys.h"
#include "smmu.h"

/* 6.3: registers; the last two are in page 1 */
enum {
	SMMU_IDR0 = 0x00,
	SMMU_IDR1 = 0x04,
	SMMU_IDR3 = 0x0c,
	SMMU_CR0 = 0x20,
	SMMU_CR0ACK = 0x24,
	SMMU_CR1 = 0x28,
	SMMU_GBPA = 0x44,
	SMMU_GERROR = 0x60,
	SMMU_STRTAB_BASE = 0x80,
	SMMU_STRTAB_BASE_CFG = 0x88,
	SMMU_CMDQ_BASE = 0x90,
	SMMU_CMDQ_PROD = 0x98,
	SMMU_CMDQ_CONS = 0x9c,
	SMMU_EVENTQ_BASE = 0xa0,
	SMMU_EVENTQ_PROD = 0x100a8,
	SMMU_EVENTQ_CONS = 0x100ac,
	SMMU_SIZE = 0x20000,
};

#define IDR0_ATS	(1u << 10)
#define IDR1_SSIDSIZE	(31u << 6)
#define IDR3_RIL	(1u << 10)
#define CR0_SMMUEN	(1u << 0)
#define CR0_EVENTQEN	(1u << 2)
#define CR0_CMDQEN	(1u << 3)
#define CR1_SHAREABLE	0xd75u /* tables and queues: inner shareable, write-back */
#define GBPA_ABORT	(1u << 20)
#define GBPA_UPDATE	(1u << 31)
#define STRTAB_2LEVEL	(1u << 16)
#define STRTAB_SPLIT	8u
#define STRTAB_LOG2SIZE 16u

/* 5.2: stream table entries */
#define STE_SIZE      64u
#define STE_PER_SPAN  (1u << STRTAB_SPLIT)
#define STE_V	      UINT64_C(1)
#define STE_BYPASS    (UINT64_C(4) << 1)
#define STE_STAGE1    (UINT64_C(5) << 1)
#define STE_S1CDMAX   (UINT64_C(3) << 59) /* log2 of SMMU_CDS */
#define STE_S1DSS_CD0 UINT64_C(2)
#define STE_S1_WB     (UINT64_C(1) << 2 | UINT64_C(1) << 4 | UINT64_C(3) << 6) /* how the descriptors are fetched */
#define STE_EATS      (UINT64_C(1) << 28)
_Static_assert(SMMU_CDS == 1u << 3, "S1CDMax");

/* 5.4: context descriptors; 48 bits in, 48 bits out, 4 KiB pages, TTB1 off, faults abort and are recorded */
#define CD_SIZE	  64u
#define CD_T0SZ	  UINT64_C(16)
#define CD_WB	  (UINT64_C(1) << 8 | UINT64_C(1) << 10 | UINT64_C(3) << 12)
#define CD_EPD1	  (UINT64_C(1) << 30)
#define CD_V	  (UINT64_C(1) << 31)
#define CD_IPS_48 (UINT64_C(5) << 32)
#define CD_AA64	  (UINT64_C(1) << 41)
#define CD_R	  (UINT64_C(1) << 45)
#define CD_A	  (UINT64_C(1) << 46)
#define CD_ASET	  (UINT64_C(1) << 47)
#define CD_ASID	  48

/* 4.1: commands */
#define CMD_CFGI_STE	UINT64_C(0x03)
#define CMD_CFGI_ALL	UINT64_C(0x04)
#define CMD_CFGI_CD	UINT64_C(0x05)
#define CMD_TLBI_ASID	UINT64_C(0x11)
#define CMD_TLBI_VA	UINT64_C(0x12)
#define CMD_TLBI_ALL	UINT64_C(0x30)
#define CMD_ATC_INV	UINT64_C(0x40)
#define CMD_SYNC	UINT64_C(0x46)
#define CMD_LEAF	UINT64_C(1)
#define CMD_RANGE_ALL	UINT64_C(31)
#define CMD_TG_4K	(UINT64_C(1) << 10)
#define CMD_SID(sid)	((uint64_t)(sid) << 32)
#define CMD_SSID(ssid)	((uint64_t)(ssid) << 12)
#define CMD_ASID(asid)	((uint64_t)(asid) << 48)
#define CMD_NUM(num)	((uint64_t)(num) << 12)

/* DDI 0487 D8.3.1, stage 1 */
#define TABLE	   UINT64_C(3)
#define PAGE	   (UINT64_C(3) | UINT64_C(1) << 6 | UINT64_C(3) << 8 | UINT64_C(1) << 10) /* user, shareable, accessed */
#define PAGE_RO	   (UINT64_C(1) << 7)
#define PAGE_NG	   (UINT64_C(1) << 11)
#define ADDRESS	   UINT64_C(0x0000fffffffff000)
#define MAIR_WB	   UINT64_C(0xff)

#define CMDQ_LG2   8u /* of 16 bytes: a page */
#define EVENTQ_LG2 7u /* of 32 bytes: a page */

/* A queue of commands: the unit's own, or one of CMDQ-V. */
struct queue {
	struct phys mem;
	volatile uint32_t *prod_reg, *cons_reg;
	uint32_t prod;
};

static volatile unsigned char *regs;
static struct phys streams, spans[1u << (STRTAB_LOG2SIZE - STRTAB_SPLIT)], cds, eventq;
static struct queue cmdq, vcmdq, *tlb_queue = &cmdq;
static uint32_t event_cons;

static uint32_t read32(unsigned int reg)
{
	return *(volatile uint32_t *)(regs + reg);
}

static void write32(unsigned int reg, uint32_t v)
{
	*(volatile uint32_t *)(regs + reg) = v;
}

static void write64(unsigned int reg, uint64_t v)
{
	*(volatile uint64_t *)(regs + reg) = v;
}

static void wait_bits(const char *what, unsigned int reg, uint32_t mask, uint32_t want)
{
	double limit = now() + PATIENCE;

	while ((read32(reg) & mask) != want) {
		if (now() > limit)
			fail("SMMU: %s: register %#x reads %#x", what, reg, read32(reg));
	}
}

/* Where the firmware says it is; null: nowhere. */
static volatile void *find_registers(const char *name, uint64_t size)
{
	unsigned long long first, last;
	volatile void *found = NULL;
	char line[256];
	FILE *f = fopen("/proc/iomem", "re");

	while (f && !found && fgets(line, sizeof(line), f)) {
		if (strstr(line, name) && sscanf(line, "%llx-%llx", &first, &last) == 2 && last - first >= size - 1)
			found = phys_mmio(first, size);
	}
	if (f)
		fclose(f);
	return found;
}

void smmu_find(void)
{
	regs = find_registers("arm-smmu-v3", SMMU_SIZE);
	if (!regs)
		fail("there is no SMMUv3");
}

bool smmu_has_ats(void)
{
	return read32(SMMU_IDR0) & IDR0_ATS;
}

bool smmu_has_substreams(void)
{
	return read32(SMMU_IDR1) & IDR1_SSIDSIZE;
}

bool smmu_has_ranges(void)
{
	return read32(SMMU_IDR3) & IDR3_RIL;
}

void smmu_refuse_all(bool refuse)
{
	write32(SMMU_GBPA, GBPA_UPDATE | (refuse ? GBPA_ABORT : 0));
	wait_bits("GBPA", SMMU_GBPA, GBPA_UPDATE, 0);
}

static void put(struct queue *q, uint64_t low, uint64_t high)
{
	uint64_t words[2] = {low, high};

	memcpy((unsigned char *)q->mem.va + q->prod % (1u << CMDQ_LG2) * sizeof(words), words, sizeof(words));
	q->prod = (q->prod + 1) % (2u << CMDQ_LG2); /* the wrap bit is the one above the index */
}

/* Hands over what is queued and waits until it took effect. */
static void sync_queue(struct queue *q)
{
	double limit = now() + PATIENCE;

	put(q, CMD_SYNC, 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	*q->prod_reg = q->prod;
	while (*q->cons_reg != q->prod) { /* an error in the bits above the index is not equal either */
		if (now() > limit)
			fail("SMMU: commands: CONS reads %#x, PROD %#x", *q->cons_reg, q->prod);
	}
	if (read32(SMMU_GERROR))
		fail("SMMU: GERROR %#x", read32(SMMU_GERROR));
}

static void put_command(uint64_t low, uint64_t high)
{
	put(&cmdq, low, high);
}

static void sync_commands(void)
{
	sync_queue(&cmdq);
}

static void enable(uint32_t cr0)
{
	write32(SMMU_CR0, cr0);
	wait_bits("CR0", SMMU_CR0ACK, CR0_SMMUEN | CR0_EVENTQEN | CR0_CMDQEN, cr0);
}

void smmu_start(void)
{
	streams = phys_alloc(); /* 256 pointers of 8 bytes */
	cds = phys_alloc();
	cmdq = (struct queue){
		.mem = phys_alloc(),
		.prod_reg = (volatile uint32_t *)(regs + SMMU_CMDQ_PROD),
		.cons_reg = (volatile uint32_t *)(regs + SMMU_CMDQ_CONS),
	};
	eventq = phys_alloc();

	write32(SMMU_CR1, CR1_SHAREABLE);
	write64(SMMU_STRTAB_BASE, streams.pa);
	write32(SMMU_STRTAB_BASE_CFG, STRTAB_2LEVEL | STRTAB_SPLIT << 6 | STRTAB_LOG2SIZE);
	write64(SMMU_CMDQ_BASE, cmdq.mem.pa | CMDQ_LG2);
	write32(SMMU_CMDQ_PROD, 0);
	write32(SMMU_CMDQ_CONS, 0);
	enable(CR0_CMDQEN);
	put_command(CMD_CFGI_ALL, CMD_RANGE_ALL);
	put_command(CMD_TLBI_ALL, 0);
	sync_commands();
	write64(SMMU_EVENTQ_BASE, eventq.pa | EVENTQ_LG2);
	write32(SMMU_EVENTQ_PROD, 0);
	write32(SMMU_EVENTQ_CONS, 0);
	enable(CR0_CMDQEN | CR0_EVENTQEN);
	enable(CR0_CMDQEN | CR0_EVENTQEN | CR0_SMMUEN);
}

static uint64_t *stream_entry(uint32_t sid)
{
	struct phys *span = &spans[sid >> STRTAB_SPLIT];

	if (!span->va) {
		*span = phys_alloc();
		for (unsigned int i = 1; i < STE_PER_SPAN * STE_SIZE / PHYS_PAGE; i++)
			phys_alloc(); /* the next ones lie behind it */
		((uint64_t *)streams.va)[sid >> STRTAB_SPLIT] = span->pa | (STRTAB_SPLIT + 1);
	}
	return (uint64_t *)span->va + sid % STE_PER_SPAN * (STE_SIZE / sizeof(uint64_t));
}

/* 3.21.3.1: invalid first, then the rest, then valid, each made known. */
static void set_stream(uint32_t sid, uint64_t w0, uint64_t w1)
{
	uint64_t *ste = stream_entry(sid);

	__atomic_store_n(&ste[0], 0, __ATOMIC_RELEASE);
	put_command(CMD_CFGI_STE | CMD_SID(sid), CMD_LEAF);
	sync_commands();
	if (!w0)
		return;
	ste[1] = w1;
	__atomic_store_n(&ste[0], w0, __ATOMIC_RELEASE);
	put_command(CMD_CFGI_STE | CMD_SID(sid), CMD_LEAF);
	sync_commands();
}

void smmu_stream_translate(uint32_t sid, bool ats)
{
	uint64_t many = smmu_has_substreams() ? STE_S1CDMAX : 0;

	set_stream(sid, STE_V | STE_STAGE1 | cds.pa | many,
		   (many ? STE_S1DSS_CD0 : 0) | STE_S1_WB | (ats ? STE_EATS : 0));
}

void smmu_stream_bypass(uint32_t sid)
{
	set_stream(sid, STE_V | STE_BYPASS, 0);
}

void smmu_stream_forget(uint32_t sid)
{
	set_stream(sid, 0, 0);
}

static uint64_t *descriptor(uint32_t ssid)
{
	return (uint64_t *)cds.va + ssid * (CD_SIZE / sizeof(uint64_t));
}

void smmu_clear_cd(uint32_t sid, uint32_t ssid)
{
	__atomic_store_n(&descriptor(ssid)[0], 0, __ATOMIC_RELEASE);
	put_command(CMD_CFGI_CD | CMD_SID(sid) | CMD_SSID(ssid), CMD_LEAF);
	sync_commands();
}

void smmu_set_cd(uint32_t sid, uint32_t ssid, uint16_t asid, struct smmu_table table)
{
	uint64_t *cd = descriptor(ssid);

	cd[1] = table.pa;
	cd[3] = MAIR_WB;
	__atomic_store_n(&cd[0],
			 CD_T0SZ | CD_WB | CD_EPD1 | CD_V | CD_IPS_48 | CD_AA64 | CD_R | CD_A | CD_ASET | (uint64_t)asid << CD_ASID,
			 __ATOMIC_RELEASE);
	put_command(CMD_CFGI_CD | CMD_SID(sid) | CMD_SSID(ssid), CMD_LEAF);
	sync_commands();
}

struct smmu_table smmu_table_new(void)
{
	struct phys page = phys_alloc();

	return (struct smmu_table){page.va, page.pa};
}

void smmu_map(struct smmu_table table, uint64_t iova, uint64_t pa, bool writable)
{
	uint64_t *level = table.va;

	for (unsigned int shift = 39; shift > 12; shift -= 9) {
		uint64_t *slot = &level[iova >> shift & 511];

		if (!*slot)
			*slot = phys_alloc().pa | TABLE;
		level = phys_va(*slot & ADDRESS);
	}
	level[iova >> 12 & 511] = pa ? pa | PAGE | PAGE_NG | (writable ? 0 : PAGE_RO) : 0;
}

void smmu_invalidate_page(uint16_t asid, uint64_t iova)
{
	put(tlb_queue, CMD_TLBI_VA | CMD_ASID(asid), iova | CMD_LEAF);
	sync_queue(tlb_queue);
}

void smmu_invalidate_pages(uint16_t asid, uint64_t iova, unsigned int pages)
{
	put(tlb_queue, CMD_TLBI_VA | CMD_ASID(asid) | CMD_NUM(pages - 1), iova | CMD_TG_4K | CMD_LEAF);
	sync_queue(tlb_queue);
}

void smmu_invalidate_asid(uint16_t asid)
{
	put(tlb_queue, CMD_TLBI_ASID | CMD_ASID(asid), 0);
	sync_queue(tlb_queue);
}

void smmu_invalidate_atc(uint32_t sid, uint64_t iova)
{
	put(tlb_queue, CMD_ATC_INV | CMD_SID(sid), iova);
	sync_queue(tlb_queue);
}

/*
 * CMDQ-V has no public manual; positions are those of Linux (tegra241-cmdqv.c). QEMU shows one VINTF. The first access to its pages goes through
 * QEMU, later ones do not.
 */
enum {
	CMDQV_CONFIG = 0x0,
	CMDQV_STATUS = 0x8,
	CMDQV_ALLOC_MAP = 0x200,
	CMDQV_VINTF_CONFIG = 0x1000,
	CMDQV_VINTF_STATUS = 0x1004,
	CMDQV_VI_CONS = 0x30000,
	CMDQV_VI_PROD = 0x30004,
	CMDQV_VI_CONFIG = 0x30008,
	CMDQV_VI_STATUS = 0x3000c,
	CMDQV_VI_BASE = 0x40000,
	CMDQV_SIZE = 0x50000,
};
#define CMDQV_ON 1u

static void cmdqv_switch_on(volatile unsigned char *block, unsigned int config, unsigned int status)
{
	double limit = now() + PATIENCE;

	*(volatile uint32_t *)(block + config) = CMDQV_ON;
	while (!(*(volatile uint32_t *)(block + status) & CMDQV_ON)) {
		if (now() > limit)
			fail("CMDQ-V: register %#x does not follow", status);
	}
}

bool smmu_use_vcmdq(void)
{
	volatile unsigned char *block = find_registers("NVDA200C", CMDQV_SIZE);

	if (!block)
		return false;
	vcmdq = (struct queue){
		.mem = phys_alloc(),
		.prod_reg = (volatile uint32_t *)(block + CMDQV_VI_PROD),
		.cons_reg = (volatile uint32_t *)(block + CMDQV_VI_CONS),
	};
	cmdqv_switch_on(block, CMDQV_CONFIG, CMDQV_STATUS);
	cmdqv_switch_on(block, CMDQV_VINTF_CONFIG, CMDQV_VINTF_STATUS);
	*(volatile uint32_t *)(block + CMDQV_ALLOC_MAP) = CMDQV_ON; /* VCMDQ 0 is LVCMDQ 0 of VINTF 0 */
	*(volatile uint64_t *)(block + CMDQV_VI_BASE) = vcmdq.mem.pa | CMDQ_LG2;
	*vcmdq.prod_reg = 0;
	*vcmdq.cons_reg = 0;
	cmdqv_switch_on(block, CMDQV_VI_CONFIG, CMDQV_VI_STATUS);
	tlb_queue = &vcmdq;
	return true;
}

static bool event_waits(void)
{
	return (read32(SMMU_EVENTQ_PROD) & ((2u << EVENTQ_LG2) - 1)) != event_cons;
}

void smmu_wait_event(const char *what, struct smmu_event *e)
{
	const uint64_t *words;
	double limit = now() + PATIENCE;

	while (!event_waits()) {
		if (now() > limit)
			fail("%s: no event came", what);
		sleep_ms(1);
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	words = (const uint64_t *)eventq.va + event_cons % (1u << EVENTQ_LG2) * 4;
	*e = (struct smmu_event){
		.type = words[0] & 0xff,
		.has_ssid = words[0] >> 11 & 1,
		.ssid = words[0] >> 12 & 0xfffff,
		.sid = (uint32_t)(words[0] >> 32),
		.read = words[1] >> 35 & 1,
		.s2 = words[1] >> 39 & 1,
		.address = words[2],
	};
	event_cons = (event_cons + 1) % (2u << EVENTQ_LG2);
	write32(SMMU_EVENTQ_CONS, event_cons);
}
