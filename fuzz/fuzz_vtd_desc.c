/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer: the invalidation queue of a VT-d unit.
 *
 * The input is descriptors as they lie in memory, with the words masked to what their type has in most cases; between them
 * translations that fill the caches and changes of the tables. Checked after each batch: the queue is empty, or it stopped
 * with a code that the manual has, at the descriptor that is wrong, and clearing the error lets it go on; a wait descriptor that
 * was passed has written its status. At the end everything is invalidated, and then the caches say what memory says.
 */
#include <stdlib.h>

#include "spec/vtd/descs.h"
#include "spec/vtd/regs.h"
#include "target.h"
#include "vtd.h"

#define SLOTS 16u /* descriptors in one batch */

struct q {
	struct fz_vtd z;
	unsigned int bytes, tail, mark;
};

/* Fields of each type that are not reserved; what is left out stays as the input has it in one case of eight. */
static const struct {
	uint64_t w0, w1;
} fields[16] = {
	[VTD_INV_CC] = {VTD_INV_CC_0_G | VTD_INV_CC_0_DID | VTD_INV_CC_0_SID | VTD_INV_CC_0_FM, 0},
	[VTD_INV_IOTLB] = {VTD_INV_IOTLB_0_G | VTD_INV_IOTLB_0_DID, VTD_INV_IOTLB_1_ADDR | VTD_INV_IOTLB_1_IH | BITS(4, 0)},
	[VTD_INV_DEVTLB] = {VTD_INV_DEVTLB_0_SID | VTD_INV_DEVTLB_0_MIP, VTD_INV_DEVTLB_1_S | VTD_INV_DEVTLB_1_ADDR},
	[VTD_INV_IEC] = {VTD_INV_IEC_0_G | VTD_INV_IEC_0_IM | VTD_INV_IEC_0_IIDX, 0},
	[VTD_INV_WAIT] = {BITS(6, 4) | BITS(63, 32), 0},
	[VTD_INV_PIOTLB] = {VTD_INV_PIOTLB_0_G | VTD_INV_PIOTLB_0_DID | VTD_INV_PIOTLB_0_PASID,
			    VTD_INV_PIOTLB_1_ADDR | VTD_INV_PIOTLB_1_IH | VTD_INV_PIOTLB_1_AM},
	[VTD_INV_PC] = {VTD_INV_PC_0_G | VTD_INV_PC_0_DID | VTD_INV_PC_0_PASID, 0},
	[VTD_INV_PDEVTLB] = {VTD_INV_PDEVTLB_0_SID | VTD_INV_PDEVTLB_0_PASID | VTD_INV_PDEVTLB_0_MIP,
			     VTD_INV_PDEVTLB_1_GI | VTD_INV_PDEVTLB_1_S | VTD_INV_PDEVTLB_1_ADDR},
	[VTD_INV_PRGR] = {VTD_INV_PRGR_0_PP | VTD_INV_PRGR_0_CODE | VTD_INV_PRGR_0_RID | VTD_INV_PRGR_0_PASID,
			  VTD_INV_PRGR_1_PRGI},
};

static void put(struct q *q, const uint64_t *d)
{
	unsigned int i;

	for (i = 0; i < q->bytes / 8; i++)
		check(mem_store64(&q->z.mem, hpa(fz_at(FZ_RING) + q->tail + 8 * i), d[i]) == 0);
	q->tail = (q->tail + q->bytes) % 8192;
}

static void ring(struct q *q)
{
	fz_reg(&q->z, VTD_REG_IQT, 8, q->tail);
}

static uint32_t status(struct q *q)
{
	uint32_t v = 0;

	check(mem_load32(&q->z.mem, hpa(fz_at(FZ_STATUS)), &v) == 0);
	return v;
}

/* Whatever the queue met, software gets it going again: a descriptor that stopped it is replaced by a wait. */
static void settle(struct q *q)
{
	unsigned int guard;

	for (guard = 0; guard < 3 * SLOTS; guard++) {
		uint32_t fsts = (uint32_t)fz_read(&q->z, VTD_REG_FSTS, 4);
		uint64_t head = fz_read(&q->z, VTD_REG_IQH, 8), iqer = fz_read(&q->z, VTD_REG_IQER, 8), d[4];
		unsigned int i;

		if (!(fsts & (VTD_FSTS_IQE | VTD_FSTS_ITE))) {
			check(head == q->tail);
			return;
		}
		check(head % q->bytes == 0 && head < 8192);
		if (fsts & VTD_FSTS_IQE) {
			check(head != q->tail);
			check(FIELD_GET(VTD_IQER_IQEI, iqer) >= 1 && FIELD_GET(VTD_IQER_IQEI, iqer) <= 9);
			for (i = 0; i < 4; i++)
				d[i] = i ? 0 : VTD_INV_WAIT | VTD_INV_WAIT_0_FN;
			for (i = 0; i < q->bytes / 8; i++)
				check(mem_store64(&q->z.mem, hpa(fz_at(FZ_RING) + head + 8 * i), d[i]) == 0);
		}
		fz_reg(&q->z, VTD_REG_FSTS, 4, VTD_FSTS_IQE | VTD_FSTS_ITE | VTD_FSTS_ICE);
	}
	check(false);
}

static void wait(struct q *q)
{
	uint64_t d[4] = {VTD_INV_WAIT | VTD_INV_WAIT_0_SW, fz_at(FZ_STATUS), 0, 0};

	d[0] |= (uint64_t)++q->mark << 32;
	put(q, d);
	ring(q);
	settle(q);
	check(status(q) == q->mark);
}

static void descriptors(struct q *q, struct input *in, unsigned int n)
{
	while (n-- > 0) {
		uint8_t kind = (uint8_t)take(in, 1);
		uint64_t d[4] = {take(in, 8), take(in, 8), 0, 0};
		unsigned int type = kind & 15;

		if (kind >> 5 != 7) {
			d[0] = (d[0] & fields[type].w0) | type;
			d[1] &= fields[type].w1;
			if (kind & 16) { /* ids and addresses that exist */
				if (type != VTD_INV_WAIT)
					d[0] &= ~(BITS(63, 36) | BITS(31, 20));
				d[1] &= type == VTD_INV_PRGR ? ~UINT64_C(0) : BITS(22, 0);
			}
		} else if (kind & 16) {
			d[2] = take(in, 8);
			d[3] = take(in, 8);
		}
		if ((d[0] & 15) == VTD_INV_WAIT) /* not over the tables, nor over the word that we look at */
			d[1] = (fz_at(FZ_STATUS) + 8) | (d[1] & 3);
		put(q, d);
	}
}

static void ask(struct q *q, struct input *in)
{
	uint8_t v = (uint8_t)take(in, 1);
	struct hw_request req = {.addr = fz_address(in), .rid = FZ_RID, .access = v & 0x40 ? HW_WRITE : HW_READ,
				 .pasid = v & 0x80 ? NB_NO_PASID : v & 7};
	struct hw_result res;

	hw_translate(q->z.hw, &req, &res);
	(void)hw_interrupt(q->z.hw, FZ_RID, UINT64_C(0xfee00010) | (uint64_t)(v & 15) << 5, 0);
}

static void invalidate_all(struct q *q)
{
	const uint64_t cc[4] = {VTD_INV_CC | VTD_INV_CC_GLOBAL << 4, 0, 0, 0};
	const uint64_t pc[4] = {VTD_INV_PC | VTD_INV_PC_GLOBAL << 4, 0, 0, 0};
	const uint64_t iotlb[4] = {VTD_INV_IOTLB | VTD_INV_IOTLB_GLOBAL << 4, 0, 0, 0};

	put(q, cc);
	if (!q->z.legacy)
		put(q, pc);
	put(q, iotlb);
	wait(q);
}

/* Accessed bits must not end up in the ring or in status words. */
static unsigned int not_queue(unsigned int page)
{
	return page >= FZ_RING && page <= FZ_STATUS ? FZ_CTX : page;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	unsigned int ops, n;
	struct q q = {.tail = 0};

	if (!fz_up(&q.z, take(&in, 3)))
		return 0;
	q.bytes = q.z.legacy ? 16 : 32;
	for (n = FZ_RING; n <= FZ_STATUS; n++) {
		fz_put(&q.z, FZ_FSP + 3, n, 0);
		fz_put(&q.z, FZ_SS_LOW, 256 + n, 0);
	}
	wait(&q);
	for (ops = 0; in.left && ops < 100; ops++) {
		uint8_t op = (uint8_t)take(&in, 1);
		uint32_t was = status(&q);

		switch (op & 7) {
		case 0:
		case 1:
		case 2:
			n = 1 + (op >> 3 & (SLOTS - 1));
			descriptors(&q, &in, n);
			ring(&q);
			settle(&q);
			check(status(&q) == was);
			break;
		case 3:
			ask(&q, &in);
			break;
		case 4: /* entries of the tables that are walked, and IRTEs */
			n = not_queue((unsigned int)take(&in, 1) % (FZ_PRQ + 1));
			fz_put(&q.z, n, (unsigned int)take(&in, 1),
			       fz_at(not_queue((unsigned int)take(&in, 1) % FZ_PAGES)) | (take(&in, 1) & 0x9f));
			break;
		case 5:
			(void)vtd_inject_devtlb_timeout(q.z.hw, FZ_RID);
			break;
		case 6:
			invalidate_all(&q);
			break;
		default:
			wait(&q);
		}
	}
	if (fz_settle(&q.z, FZ_RID)) {
		/* What was learned while settling is stale after this. */
		fz_put(&q.z, FZ_FSP + 3, 5, fz_at(6) | 0x67);
		fz_put(&q.z, FZ_SS_LOW, 256 + 9, fz_at(11) | 3);
		invalidate_all(&q);
		fz_agrees_with_memory(&q.z, FZ_RID);
	}
	fz_down(&q.z);
	return 0;
}
