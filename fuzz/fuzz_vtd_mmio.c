/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer: hostile software in front of a VT-d unit, and hostile devices behind it.
 *
 * The input is a script: register writes, words written into a small memory that holds all structures, descriptors with mostly
 * sensible fields, DMA, walks. A valid nested setup stands at the start so that little is needed to get deep. Beside what the
 * sanitizers see: DMA touches the memory that is there or fails, a queue does not run for ever (the fuzzer's own
 * timeout), an observation changes nothing.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hw/hw.h"
#include "hw/vtd/vtd.h"
#include "input.h"

#define PAGES 40u
#define LEN   (PAGES * 4096u)
#define BASE  UINT64_C(0x100000)

enum { ROOT, CTX, DIR, TAB, RING, STATUS = RING + 2, FS, SS = FS + 4, SS_LOW = SS + 3, DATA = SS_LOW + 4 };

static uint64_t at(unsigned int page)
{
	return BASE + page * 4096u;
}

static void put(uint8_t *ram, unsigned int page, unsigned int word, uint64_t v)
{
	memcpy(ram + page * 4096u + word * 8, &v, 8);
}

/* Legacy and scalable structures for function 00:01.0; first stage maps 0x200000.., second stage all our memory to itself. */
static void tables(uint8_t *ram, bool legacy)
{
	unsigned int i;

	put(ram, ROOT, 0, at(CTX) | 1);
	if (legacy) {
		put(ram, CTX, 2 * 8, at(SS) | 1);
		put(ram, CTX, 2 * 8 + 1, 7 << 8 | 2);
	} else {
		put(ram, CTX, 4 * 8, at(DIR) | 9);
		put(ram, DIR, 0, at(TAB) | 1);
		for (i = 0; i < 8; i++) { /* PASIDs 0 to 7: nested, second, first stage, pass-through, twice */
			static const unsigned int pgtt[4] = {3, 2, 1, 4};

			put(ram, TAB, 8 * i, at(SS) | 1 | 2 << 2 | pgtt[i & 3] << 6 | (i & 4 ? 1 << 9 : 0));
			put(ram, TAB, 8 * i + 1, (4 + i) | 1 << 23);
			put(ram, TAB, 8 * i + 2, at(FS));
		}
	}
	for (i = 0; i < 3; i++) {
		put(ram, FS + i, i == 2 ? 1 : 0, at(FS + i + 1) | 7);
		put(ram, SS + i, 0, at(i == 2 ? SS_LOW : SS + i + 1) | 3);
	}
	for (i = 0; i < PAGES; i++) {
		put(ram, FS + 3, i, at(i) | 7);
		put(ram, SS_LOW, 256 + i, at(i) | 3);
	}
}

static void reg(struct hw_iommu *hw, uint64_t off, unsigned int size, uint64_t v)
{
	hw->ops->mmio_write(hw, off, size, v);
}

static void enable(struct hw_iommu *hw, bool legacy)
{
	reg(hw, 0x20, 8, at(ROOT) | (legacy ? 0 : 1 << 10));
	reg(hw, 0x18, 4, UINT64_C(1) << 30);
	reg(hw, 0x90, 8, at(RING) | (legacy ? 0 : 1 << 11) | 1);
	reg(hw, 0x18, 4, UINT64_C(1) << 26);
	reg(hw, 0x18, 4, UINT64_C(1) << 26 | UINT64_C(1) << 31);
}

/* Mostly what a driver would send. */
static void put_descriptor(uint8_t *ram, struct input *in)
{
	unsigned int slot = (unsigned int)take(in, 1), type = (unsigned int)take(in, 1);
	uint64_t lo = (type & 15) | (type >> 4 & 3) << 4, hi = 0;

	lo |= (take(in, 1) & 15) << 16;	       /* DID, or the function of a device-TLB descriptor */
	lo |= (take(in, 1) & 15) << 32;	       /* SID, PASID or status data */
	switch (type & 15) {
	case 5:
		lo |= 1 << 5;
		hi = at(STATUS) + (take(in, 1) & 0x7f) * 4;
		break;
	default:
		hi = take(in, 1) << 12 | (take(in, 1) & 0x7f);
	}
	if (type & 0x40)
		lo |= take(in, 8) & ~UINT64_C(15); /* or nonsense */
	put(ram, RING + (slot >> 7 & 1), (slot & 127) * 4, lo);
	put(ram, RING + (slot >> 7 & 1), (slot & 127) * 4 + 1, hi);
	put(ram, RING + (slot >> 7 & 1), (slot & 127) * 4 + 2, 0);
	put(ram, RING + (slot >> 7 & 1), (slot & 127) * 4 + 3, 0);
}

static uint64_t address(struct input *in)
{
	uint8_t kind = (uint8_t)take(in, 1);
	uint64_t low = take(in, 2);

	switch (kind & 7) {
	case 0:
		return take(in, 8);
	case 1:
		return BASE + low * 4;
	case 2:
		return ~UINT64_C(0) - low;
	case 3:
		return UINT64_C(0xfee00000) + low * 16;
	default:
		return 0x200000 + low * 3;
	}
}

static void on_step(void *opaque, const struct hw_step *step)
{
	unsigned int *n = opaque;

	check(++*n < 200 && step->nwords <= 8 && memchr(step->fields, 0, sizeof(step->fields)));
}

static void on_msi(void *opaque, uint64_t addr, uint32_t data)
{
	(void)opaque;
	(void)addr;
	(void)data;
}

static void walk(struct hw_iommu *hw, uint8_t *ram, struct hw_request *req)
{
	static uint8_t before[LEN];
	struct hw_result res;
	unsigned int n = 0;

	memcpy(before, ram, LEN);
	req->flags |= HW_OBSERVE;
	hw->ops->walk(hw, req, on_step, &n, &res);
	check(memcmp(before, ram, LEN) == 0);
}

static void caps_from(struct vtd_caps *c, uint64_t bits)
{
	vtd_caps_all(c);
	c->ss_dirty = bits & 1;
	c->snoop_control = bits & 2;
	c->caching_mode = bits & 4;
	c->supervisor = bits & 8;
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
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return guard_init();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	uint64_t head = take(&in, 3);
	uint8_t *ram = aligned_alloc(4096, LEN), buf[8192];
	bool legacy = head & 1;
	struct vtd_caps caps;
	struct hw_iommu *hw;
	unsigned int ops;
	struct mem mem;

	memset(buf, 0x5a, sizeof(buf));
	caps_from(&caps, head >> 1);
	if (!ram || mem_init_regions(&mem) || mem_add_region(&mem, hpa(BASE), ram, LEN))
		abort();
	memset(ram, 0, LEN);
	if (vtd_create(&caps, &mem, NULL, &hw, NULL)) {
		mem_fini(&mem);
		free(ram);
		return 0;
	}
	hw->msi = on_msi;
	tables(ram, legacy);
	enable(hw, legacy);
	for (ops = 0; in.left && ops < 300; ops++) {
		uint8_t op = (uint8_t)take(&in, 1);
		struct hw_request req = {.rid = (uint16_t)(8 | (op >> 6 == 3 ? take(&in, 2) : 0))};
		struct hw_result res;
		unsigned int n;
		uint64_t v;

		switch (op & 15) {
		case 0: /* any register, any size */
			reg(hw, take(&in, 2) & 0xfff & ~7u, op & 16 ? 8 : 4, take(&in, 8));
			break;
		case 1:
			v = take(&in, 2);
			(void)hw->ops->mmio_read(hw, v & 0xffff, 1u << (op >> 4 & 3));
			reg(hw, v & 0xffff, 1u << (op >> 4 & 3), take(&in, 4));
			break;
		case 2: /* any word */
			put(ram, (unsigned int)take(&in, 1) % PAGES, (unsigned int)take(&in, 2) & 511, take(&in, 8));
			break;
		case 3: /* an entry that leads somewhere */
			v = at((unsigned int)take(&in, 1) % (PAGES + 2)) | (take(&in, 2) & 0xfff);
			put(ram, (unsigned int)take(&in, 1) % (DATA + 1), (unsigned int)take(&in, 1), v);
			break;
		case 4:
		case 5:
		case 6:
			for (n = 0; n <= (op >> 4 & 3); n++)
				put_descriptor(ram, &in);
			break;
		case 7:
		case 8:
			reg(hw, 0x88, 8, (take(&in, 1) & 0xff) * (legacy ? 16 : 32));
			break;
		case 9: /* start over after an error */
			reg(hw, 0x34, 4, 0x71);
			if (op & 16)
				hw->ops->reset(hw);
			if (op & 32)
				vtd_drop_caches(hw);
			enable(hw, legacy);
			break;
		default:
			req.pasid = op & 16 ? (uint32_t)take(&in, op & 32 ? 3 : 1) & NB_PASID_MAX : NB_NO_PASID;
			req.addr = address(&in);
			n = (unsigned int)take(&in, 2) & 0x1fff;
			if (n == 0)
				n = 1;
			if ((op & 15) == 10)
				(void)hw_dma_write(hw, req.rid, req.pasid, req.addr, buf, n);
			else if ((op & 15) == 11)
				(void)hw_dma_read(hw, req.rid, req.pasid, req.addr, buf, n);
			req.access = (uint8_t)(1 + (take(&in, 1) & 3));
			req.flags = op & 64 ? HW_PRIV : 0;
			if ((op & 15) == 12) {
				walk(hw, ram, &req);
			} else if ((op & 15) > 12) {
				hw_translate(hw, &req, &res);
				check(res.kind == HW_OK || res.kind == HW_FAULT || res.kind == HW_INTERRUPT);
				check(res.kind != HW_FAULT || res.fault.reason != 0);
			}
		}
	}
	hw->ops->destroy(hw);
	mem_fini(&mem);
	free(ram);
	return 0;
}
