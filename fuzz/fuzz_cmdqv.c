/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer: hostile guests behind a CMDQ-V, and a kernel that does not know what it does.
 *
 * The input is a script: the kernel's register writes, stores of any size into the pages that guests have mapped (which the model's thread
 * reads meanwhile), and into queues. No VINTF is the hypervisor's and none has VMID OURS. So whatever is in there, a translation of OURS stays
 * cached, and only devices that some slot names are asked to forget; registers keep the states that they have.
 */
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "hw/smmuv3/smmu.h"
#include "input.h"
#include "spec/smmuv3/cmdqv.h"
#include "spec/smmuv3/cmds.h"
#include "spec/smmuv3/regs.h"

#define BASE	UINT64_C(0x100000)
#define NPAGES	16u
#define OURS	UINT64_C(0x55)
#define SID	1u
#define VA	UINT64_C(0x12345000)
#define NVINTFS 4u
#define NQUEUES 8u
#define NSIDS	2u
#define OPS	400u
enum { STRTAB, CD, TABLES, TARGET = TABLES + 3, QUEUES, CMDQ = QUEUES + 4 };

struct guests {
	struct hw_iommu *hw;
	struct mem mem;
	uint8_t *ram;
	volatile uint8_t *page[NVINTFS];
	struct hw_client client;
	_Atomic unsigned int forgot;
	bool answers;
};

static uint64_t at(unsigned int page)
{
	return BASE + 4096u * page;
}

static void put(struct guests *g, unsigned int page, unsigned int word, uint64_t v)
{
	check(mem_store64(&g->mem, hpa(at(page) + 8 * (word & 511)), v) == 0);
}

static void reg(struct guests *g, uint64_t off, unsigned int size, uint64_t v)
{
	g->hw->ops->mmio_write(g->hw, off, size, v);
}

static uint32_t get(struct guests *g, uint64_t off)
{
	return (uint32_t)g->hw->ops->mmio_read(g->hw, SMMU_CMDQV_BASE + off, 4);
}

static bool forget(void *opaque, uint32_t pasid, bool all, uint64_t addr, unsigned int lg2)
{
	struct guests *g = opaque;

	(void)pasid;
	(void)all;
	check(lg2 == 64 || (lg2 >= 12 && lg2 < 64 && (addr & nb_low_mask(lg2)) == 0));
	atomic_fetch_add(&g->forgot, 1);
	return g->answers;
}

/* Slots name StreamIDs of 2 and up, if they name any that exists. */
static const struct hw_client *client(void *opaque, uint16_t rid)
{
	struct guests *g = opaque;

	check(rid != SID);
	return &g->client;
}

static bool cached(struct guests *g)
{
	struct hw_request req = {.addr = VA, .pasid = NB_NO_PASID, .rid = SID, .access = HW_READ};
	struct hw_result res;

	hw_translate(g->hw, &req, &res);
	return res.kind == HW_OK && res.pa.v == at(TARGET);
}

static void up(struct guests *g)
{
	struct smmu_caps c;
	uint64_t off;
	unsigned int i;
	int fd;

	memset(g, 0, sizeof(*g));
	smmu_caps_all(&c);
	c.cmdqv = true;
	c.cmdqv_vintfs_lg2 = 2;
	c.cmdqv_vcmdqs_lg2 = 3;
	c.cmdqv_sids_lg2 = 1;
	g->ram = aligned_alloc(4096, NPAGES * 4096);
	if (!g->ram || mem_init_regions(&g->mem) || mem_add_region(&g->mem, hpa(BASE), g->ram, NPAGES * 4096) ||
	    smmu_create(&c, &g->mem, NULL, &g->hw, NULL))
		abort();
	memset(g->ram, 0, NPAGES * 4096);
	g->client = (struct hw_client){.opaque = g, .ats_invalidate = forget};
	g->hw->client = client;
	g->hw->client_opaque = g;
	for (i = 0; i < NVINTFS; i++) {
		check(g->hw->ops->register_memory(g->hw, SMMU_CMDQV_BASE + CMDQV_VINTF_PAGES + CMDQV_VINTF_STEP * i, CMDQV_PAGE_SIZE, &fd,
						  &off) == 0);
		g->page[i] = mmap(NULL, CMDQV_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)off);
		check(g->page[i] != MAP_FAILED);
	}
	/* Stage 1 of 39 bits in 4 KiB pages, one page; numbers as in tests/unit/hw_smmu_rig.h */
	put(g, STRTAB, 8 * SID, 0xb | at(CD));
	put(g, STRTAB, 8 * SID + 2, OURS);
	put(g, CD, 0, 25 | UINT64_C(3) << 30 | UINT64_C(5) << 32 | UINT64_C(1) << 41 | UINT64_C(3) << 45);
	put(g, CD, 1, at(TABLES));
	put(g, TABLES, VA >> 30 & 511, at(TABLES + 1) | 3);
	put(g, TABLES + 1, VA >> 21 & 511, at(TABLES + 2) | 3);
	put(g, TABLES + 2, VA >> 12 & 511, at(TARGET) | 0xc43);
	reg(g, SMMU_REG_STRTAB_BASE, 8, at(STRTAB));
	reg(g, SMMU_REG_STRTAB_BASE_CFG, 4, 4);
	reg(g, SMMU_REG_CMDQ_BASE, 8, at(CMDQ) | 7);
	reg(g, SMMU_REG_CR0, 4, SMMU_CR0_SMMUEN | SMMU_CR0_CMDQEN);
	reg(g, SMMU_CMDQV_BASE + CMDQV_REG_CONFIG, 4, 1);
	check(cached(g));
	put(g, TABLES + 2, VA >> 12 & 511, 0);
	check(cached(g));
}

static void down(struct guests *g)
{
	unsigned int i;

	g->hw->ops->destroy(g->hw);
	for (i = 0; i < NVINTFS; i++)
		munmap((void *)(uintptr_t)g->page[i], CMDQV_PAGE_SIZE);
	mem_fini(&g->mem);
	free(g->ram);
}

/* What a kernel may write, but for the VMID and the owner. */
static void kernel(struct guests *g, struct input *in)
{
	unsigned int how = (unsigned int)take(in, 1), n = (unsigned int)take(in, 1);
	uint64_t block = SMMU_CMDQV_BASE, v;

	switch (how % 9) {
	case 0:
		reg(g, block + CMDQV_REG_CMDQ_ALLOC + 4 * (n % NQUEUES), 4, take(in, 3) & 0x1f8ff);
		break;
	case 1: /* likely to succeed */
		v = n >> 3 & 3;
		reg(g, block + CMDQV_REG_CMDQ_ALLOC + 4 * (n % NQUEUES), 4, 1 | v << 15 | (n >> 5 & 1) << 1);
		break;
	case 2:
		v = take(in, 2);
		reg(g, block + CMDQV_REG_VINTF + CMDQV_VINTF_REGS * (n % NVINTFS), 4, (v & 0xffff) << 1 == OURS << 1 ? 1 : (v << 1 & 0x1fffe) | (n >> 7));
		break;
	case 3:
		reg(g, block + CMDQV_REG_VINTF + CMDQV_VINTF_REGS * (n % NVINTFS) + CMDQV_VINTF_SID_MATCH + 4 * (n >> 4 & 15), 4, take(in, 4));
		break;
	case 4:
		v = take(in, 4);
		reg(g, block + CMDQV_REG_VINTF + CMDQV_VINTF_REGS * (n % NVINTFS) + CMDQV_VINTF_SID_REPLACE + 4 * (n >> 4 & 15), 4, v == SID ? 2 : v);
		break;
	case 5:
		v = how & 128 ? take(in, 8) : at(QUEUES + (n >> 4 & 3)) | (n >> 6 & 7);
		reg(g, block + CMDQV_VCMDQ_PAGE1 + CMDQV_VCMDQ_STEP * (n % NQUEUES), 8, v);
		break;
	case 6:
		reg(g, block + CMDQV_VCMDQ_PAGE0 + CMDQV_VCMDQ_STEP * (n % NQUEUES) + 4 * (n >> 3 & 7), 4, take(in, 4));
		break;
	case 7:
		reg(g, block + CMDQV_REG_VINTF_INT_MASK, 4, n);
		break;
	default:
		if (n < 8)
			reg(g, block + CMDQV_REG_CONFIG, 4, n & 1);
		else if (n < 16)
			reg(g, SMMU_REG_CR0, 4, SMMU_CR0_SMMUEN | SMMU_CR0_CMDQEN | (n & 7) << 6);
		else
			reg(g, block + (take(in, 3) & 0x3ffff), n & 1 ? 4 : 8, 0);
	}
}

static void guest(struct guests *g, struct input *in)
{
	unsigned int how = (unsigned int)take(in, 1), n = (unsigned int)take(in, 1);
	volatile uint8_t *p = g->page[how >> 4 & 3] + CMDQV_VCMDQ_STEP * (how >> 6 & 1);

	switch (how & 7) {
	case 0:
		__atomic_store_n(p + n % 32, (uint8_t)take(in, 1), __ATOMIC_RELAXED);
		break;
	case 1:
		__atomic_store_n((volatile uint16_t *)(volatile void *)(p + 2 * (n % 16)), (uint16_t)take(in, 2), __ATOMIC_RELAXED);
		break;
	case 2:
		__atomic_store_n((volatile uint64_t *)(volatile void *)(p + 8 * (n % 4)), take(in, 8), __ATOMIC_RELAXED);
		break;
	case 3:
		__atomic_store_n((volatile uint32_t *)(volatile void *)(p + CMDQV_VCMDQ_CONFIG), n & 1, __ATOMIC_RELEASE);
		break;
	case 4:
		__atomic_store_n((volatile uint32_t *)(volatile void *)(p + CMDQV_VCMDQ_PROD), n, __ATOMIC_RELEASE);
		break;
	case 5:
		__atomic_store_n((volatile uint32_t *)(volatile void *)(p + CMDQV_VCMDQ_GERRORN), n & 1, __ATOMIC_RELEASE);
		break;
	default: /* a command: one that is taken, or anything */
		if (how & 8) {
			static const uint8_t ops[4] = {SMMU_CMD_TLBI_NH_ASID, SMMU_CMD_TLBI_NH_VA, SMMU_CMD_ATC_INV, SMMU_CMD_SYNC};
			uint64_t sid = take(in, 1);

			put(g, QUEUES + (how >> 4 & 3), 2 * (n >> 2), ops[n & 3] | ((n & 3) < 2 ? OURS : (n & 3) == 2 ? sid : 0) << 32);
			put(g, QUEUES + (how >> 4 & 3), 2 * (n >> 2) + 1, (n & 3) == 1 ? VA : take(in, 1));
		} else {
			put(g, QUEUES + (how >> 4 & 3), 2 * n, take(in, 8));
		}
	}
}

/* With the thread held back: what two reads say belongs together. */
static void states(struct guests *g)
{
	unsigned int first[NVINTFS] = {0}, q, v;

	g->hw->ops->threads(g->hw, HW_THREADS_HOLD);
	for (q = 0; q < NQUEUES; q++) {
		uint64_t page = CMDQV_VCMDQ_PAGE0 + CMDQV_VCMDQ_STEP * q;
		uint32_t alloc = get(g, CMDQV_REG_CMDQ_ALLOC + 4 * q);

		check(get(g, page + CMDQV_VCMDQ_STATUS) <= 1 && get(g, page + CMDQV_VCMDQ_GERROR) <= 1);
		check((get(g, page + CMDQV_VCMDQ_CONS) >> 24 & 0x7f) <= 3 || !get(g, page + CMDQV_VCMDQ_STATUS));
		check(!(get(g, page + CMDQV_VCMDQ_PROD) >> 20) && get(g, page + CMDQV_VCMDQ_CONFIG) <= 1 && get(g, page + CMDQV_VCMDQ_GERRORN) <= 1);
		if (!(alloc & 1)) {
			check(get(g, page + CMDQV_VCMDQ_STATUS) == 0);
			continue;
		}
		check((alloc >> 15 & 63) < NVINTFS && (alloc >> 1 & 127) < NQUEUES);
		check(!(first[alloc >> 15 & 63] & 1u << (alloc >> 1 & 127)));
		first[alloc >> 15 & 63] |= 1u << (alloc >> 1 & 127);
	}
	for (v = 0; v < NVINTFS; v++) /* no gaps */
		check((first[v] & (first[v] + 1)) == 0);
	check(get(g, CMDQV_REG_VINTF_ERR_MAP) < 1u << NVINTFS);
	g->hw->ops->threads(g->hw, HW_THREADS_GO);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return guard_init();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	unsigned int i, begin;
	struct guests g;

	up(&g);
	begin = (unsigned int)take(&in, 1);
	g.answers = begin & 1;
	for (i = 0; i < NVINTFS && begin & 2; i++) { /* two guests that run, to begin with */
		uint64_t block = SMMU_CMDQV_BASE;

		reg(&g, block + CMDQV_VCMDQ_PAGE1 + CMDQV_VCMDQ_STEP * i, 8, at(QUEUES + i) | 8);
		reg(&g, block + CMDQV_REG_VINTF + CMDQV_VINTF_REGS * (i / 2), 4, i / 2 << 1 | 1);
		reg(&g, block + CMDQV_REG_CMDQ_ALLOC + 4 * i, 4, 1 | (i & 1) << 1 | i / 2 << 15);
		reg(&g, block + CMDQV_VCMDQ_PAGE0 + CMDQV_VCMDQ_STEP * i + CMDQV_VCMDQ_CONFIG, 4, 1);
	}
	for (i = 0; in.left && i < OPS; i++) {
		unsigned int what = (unsigned int)take(&in, 1);

		if (what % 8 == 0)
			kernel(&g, &in);
		else if (what == 255)
			sched_yield();
		else
			guest(&g, &in);
		if (what % 16 == 7)
			states(&g);
	}
	states(&g);
	check(cached(&g));
	down(&g);
	return 0;
}
