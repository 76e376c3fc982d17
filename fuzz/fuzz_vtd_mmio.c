/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer: hostile software in front of a VT-d unit, and hostile devices behind it.
 *
 * The input is a script: register writes, words written into the memory that holds all structures, descriptors with mostly
 * sensible fields, DMA, ATS and page requests, interrupts, walks. Beside what the sanitizers see: DMA touches the
 * memory that is there or fails, a queue does not run for ever (the fuzzer's own timeout), an observation changes nothing.
 */
#include <stdlib.h>

#include "target.h"
#include "vtd.h"

/* Mostly what a driver would send. */
static void put_descriptor(struct fz_vtd *z, struct input *in)
{
	unsigned int slot = (unsigned int)take(in, 1), type = (unsigned int)take(in, 1);
	uint64_t lo = (type & 15) | (type >> 4 & 3) << 4, hi = 0;

	lo |= (take(in, 1) & 15) << 16;	       /* DID, or the function of a device-TLB descriptor */
	lo |= (take(in, 1) & 15) << 32;	       /* SID, PASID or status data */
	switch (type & 15) {
	case 5:
		lo |= 1 << 5;
		hi = fz_at(FZ_STATUS) + (take(in, 1) & 0x7f) * 4;
		break;
	default:
		hi = take(in, 1) << 12 | (take(in, 1) & 0x7f);
	}
	if (type & 0x40)
		lo |= take(in, 8) & ~UINT64_C(15); /* or nonsense */
	fz_put(z, FZ_RING + (slot >> 7 & 1), (slot & 127) * 4, lo);
	fz_put(z, FZ_RING + (slot >> 7 & 1), (slot & 127) * 4 + 1, hi);
	fz_put(z, FZ_RING + (slot >> 7 & 1), (slot & 127) * 4 + 2, 0);
	fz_put(z, FZ_RING + (slot >> 7 & 1), (slot & 127) * 4 + 3, 0);
}

static void on_step(void *opaque, const struct hw_step *step)
{
	unsigned int *n = opaque;

	check(++*n < 200 && step->nwords <= 8 && memchr(step->fields, 0, sizeof(step->fields)));
}

static void walk(struct fz_vtd *z, struct hw_request *req)
{
	static uint8_t before[FZ_LEN];
	struct hw_result res;
	unsigned int n = 0;

	memcpy(before, z->ram, FZ_LEN);
	req->flags |= HW_OBSERVE;
	z->hw->ops->walk(z->hw, req, on_step, &n, &res);
	check(memcmp(before, z->ram, FZ_LEN) == 0);
}

static void ats(struct fz_vtd *z, struct hw_request *req)
{
	struct hw_ats_completion c;

	memset(&c, 0xee, sizeof(c));
	nb_rcu_read_lock();
	z->hw->ops->ats_request(z->hw, req, &c);
	nb_rcu_read_unlock();
	check(c.status <= HW_ATS_CA);
	if (c.status != HW_ATS_OK)
		return;
	check(c.lg2 >= 12 && c.lg2 <= 64);
	check(c.perm == 0 || (c.pa.v & nb_low_mask(c.lg2)) == 0);
}

static void page_request(struct fz_vtd *z, struct input *in, const struct hw_request *req)
{
	uint32_t v = (uint32_t)take(in, 2);
	struct hw_page_request pr = {.addr = req->addr, .pasid = req->pasid, .rid = req->rid, .prgi = v & 511,
				     .access = (uint8_t)(v >> 9 & 7), .last = v & 0x1000, .priv = v & 0x2000};

	z->hw->ops->page_request(z->hw, &pr);
}

static void request(struct fz_vtd *z, struct input *in, uint8_t op, struct hw_request *req)
{
	uint8_t buf[8192];
	struct hw_result res;
	unsigned int n;

	memset(buf, 0x5a, sizeof(buf));
	req->pasid = op & 16 ? (uint32_t)take(in, op & 32 ? 3 : 1) & NB_PASID_MAX : NB_NO_PASID;
	req->addr = fz_address(in);
	n = (unsigned int)take(in, 2) & 0x1fff;
	if (n == 0)
		n = 1;
	if ((op & 15) == 10)
		(void)hw_dma_write(z->hw, req->rid, req->pasid, req->addr, buf, n);
	else if ((op & 15) == 11)
		(void)hw_dma_read(z->hw, req->rid, req->pasid, req->addr, buf, n);
	req->access = (uint8_t)(1 + (take(in, 1) & 3));
	req->flags = op & 64 ? HW_PRIV : 0;
	if ((op & 15) == 12) {
		walk(z, req);
	} else if ((op & 15) == 13 && z->hw->ops->ats_request && z->hw->ops->page_request) {
		if (n & 1)
			page_request(z, in, req);
		else
			ats(z, req);
	} else if ((op & 15) > 12) {
		if (n & 1)
			req->flags |= HW_TRANSLATED;
		hw_translate(z->hw, req, &res);
		check(res.kind == HW_OK || res.kind == HW_FAULT || res.kind == HW_INTERRUPT);
		/* Protected memory regions block without a reason and without a record (10.1.3). */
		check(res.kind != HW_FAULT || res.fault.reason != 0 || res.fault.record_len == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct fz_vtd z;
	unsigned int ops;

	if (!fz_up(&z, take(&in, 3)))
		return 0;
	for (ops = 0; in.left && ops < 300; ops++) {
		uint8_t op = (uint8_t)take(&in, 1);
		struct hw_request req = {.rid = (uint16_t)(FZ_RID | (op >> 6 == 3 ? take(&in, 2) : 0))};
		unsigned int n;
		uint64_t v;

		switch (op & 15) {
		case 0: /* any register, any size */
			fz_reg(&z, take(&in, 2) & 0xfff & ~7u, op & 16 ? 8 : 4, take(&in, 8));
			break;
		case 1:
			v = take(&in, 2);
			(void)fz_read(&z, v & 0xffff, 1u << (op >> 4 & 3));
			fz_reg(&z, v & 0xffff, 1u << (op >> 4 & 3), take(&in, 4));
			break;
		case 2: /* any word */
			fz_put(&z, (unsigned int)take(&in, 1), (unsigned int)take(&in, 2), take(&in, 8));
			break;
		case 3: /* an entry that leads somewhere */
			v = fz_at((unsigned int)take(&in, 1) % (FZ_PAGES + 2)) | (take(&in, 2) & 0xfff);
			fz_put(&z, (unsigned int)take(&in, 1) % (FZ_DATA + 1), (unsigned int)take(&in, 1), v);
			break;
		case 4:
		case 5:
			for (n = 0; n <= (op >> 4 & 3); n++)
				put_descriptor(&z, &in);
			break;
		case 6: /* an interrupt message */
			(void)hw_interrupt(z.hw, req.rid, UINT64_C(0xfee00000) | (take(&in, 3) & 0xffffc), (uint32_t)take(&in, 2));
			break;
		case 7:
		case 8:
			fz_reg(&z, 0x88, 8, (take(&in, 1) & 0xff) * (z.legacy ? 16 : 32));
			break;
		case 9: /* start over after an error */
			fz_reg(&z, 0x34, 4, 0x71);
			if (op & 16)
				z.hw->ops->reset(z.hw);
			if (op & 32)
				vtd_drop_caches(z.hw);
			fz_enable(&z);
			break;
		default:
			request(&z, &in, op, &req);
		}
	}
	fz_down(&z);
	return 0;
}
