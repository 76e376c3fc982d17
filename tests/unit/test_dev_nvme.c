/* SPDX-License-Identifier: BSD-3-Clause */
/* The NVMe controller as a driver meets it: probing, queues, data in all PRP shapes, interrupts, events. */
#include "test_dev_nvme.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int setup(void **state)
{
	*state = drv_new();
	return 0;
}
static int teardown(void **state)
{
	drv_free(*state);
	return 0;
}

static void pattern(struct bus *b, uint64_t at, uint64_t len, uint32_t seed)
{
	uint8_t *p = bus_at(b, at);

	for (uint64_t i = 0; i < len; i++)
		p[i] = (uint8_t)(seed + i * 11 + (i >> 8) * 3);
}

static void test_probe(void **state)
{
	struct drv *d = *state;
	struct bus *b = d->b;
	uint64_t cap = r64(b, 0);
	uint8_t *id = bus_at(b, DATA);
	uint32_t result, nlba;
	uint64_t nsze;

	assert_int_equal(cap & 0xffff, 1023);	  /* MQES */
	assert_true(cap & 1 << 16);		  /* CQR */
	assert_int_equal(cap >> 32 & 0xf, 0);	  /* DSTRD */
	assert_true(cap & UINT64_C(1) << 37);	  /* NVM command set */
	assert_int_equal(cap >> 48 & 0xf, 0);	  /* MPSMIN */
	assert_int_equal(r32(b, 8), 0x10400);
	assert_int_equal(r32(b, 4), cap >> 32);

	assert_int_equal(drv_do(d, 0, &(struct cmd){.opcode = 6, .prp1 = DATA, .cdw10 = 1}, NULL), 0);
	assert_memory_equal(id + 4, "TEST1               ", 20);
	assert_int_equal(id[77], 8);
	assert_int_equal(id[512], 0x66);
	assert_int_equal(id[513], 0x44);
	memcpy(&nlba, id + 516, 4);
	assert_int_equal(nlba, 1);
	assert_int_equal(id[525] & 1, 1);
	assert_memory_equal(id + 768, "nqn.", 4);
	assert_non_null(strstr((char *)id + 768, "TEST1"));

	assert_int_equal(drv_do(d, 0, &(struct cmd){.opcode = 6, .nsid = 0, .prp1 = DATA, .cdw10 = 2}, NULL), 0);
	memcpy(&nlba, id, 4);
	assert_int_equal(nlba, 1);
	memcpy(&nlba, id + 4, 4);
	assert_int_equal(nlba, 0);
	assert_int_equal(drv_do(d, 0, &(struct cmd){.opcode = 6, .nsid = 1, .prp1 = DATA, .cdw10 = 0}, NULL), 0);
	memcpy(&nsze, id, 8);
	assert_int_equal(nsze, NSBYTES / 512);
	assert_int_equal(id[26] & 0xf, 0);
	assert_int_equal(id[128 + 2], 9);
	assert_int_equal(drv_do(d, 0, &(struct cmd){.opcode = 6, .nsid = 1, .prp1 = DATA, .cdw10 = 3}, NULL), 0);
	assert_int_equal(id[0], 1);
	assert_int_equal(id[1], 8);
	assert_int_equal(id[12], 2);
	assert_int_equal(id[32], 0);

	/* number of queues is granted before I/O queues exist and refused afterwards */
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 9, .cdw10 = 7, .cdw11 = 0x00030003}), 0x0c);
	drv_enable(d);
	assert_int_equal(drv_do(d, 0, &(struct cmd){.opcode = 9, .cdw10 = 7, .cdw11 = 0x00ff00ff}, &result), 0);
	assert_int_equal(result, 0x00030003);
	assert_int_equal(drv_do(d, 0, &(struct cmd){.opcode = 9, .cdw10 = 7, .cdw11 = 0x00010001}, &result), 0);
	assert_int_equal(result, 0x00010001);
	assert_int_equal(drv_create_cq(d, 3, 8, 0) & 0x7ff, 0x101); /* only two were granted */
	assert_int_equal(drv_create_cq(d, 2, 8, 2), 0);
}

/* Write, read back elsewhere, compare: one page, two, lists with and without an offset, lists over several pages. */
static void test_prp_shapes(void **state)
{
	static const struct {
		uint32_t nlb, off; /* blocks; offset of PRP1 in its page */
		uint32_t list_off; /* where in its page the list begins */
		bool scattered;
	} cases[] = {
		{1, 0, 0, false},	{8, 0, 0, false},      {8, 512, 0, false},    {7, 512, 0, false},
		{8, 4, 0, true},	{16, 0, 0, true},      {16, 4092, 0, true},   {16, 2048, 8, true},
		{24, 0, 0xff0, true},	{32, 512, 0xff8, true}, {2048, 0, 0, false},  {2048, 0, 0, true},
		{2048, 2048, 0, true},	{2048, 0, 0x800, true}, {2047, 1024, 0xfe8, true}, {2048, 4, 0xff8, true},
		{9, 4092, 0, true},	{2048, 0, 0xc00, true},
	};
	struct drv *d = *state;
	struct bus *b = d->b;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t len = cases[i].nlb * 512ull, first = 4096 - cases[i].off;
		uint64_t page[300], npages = 0, left, slot, list = LIST + cases[i].list_off;
		uint8_t *expect = malloc(len);
		struct cmd c;

		assert_non_null(expect);
		/* Pages in a scattered order, so that merging neighbours would be seen if it were wrong. */
		for (uint64_t p = 0; p < 257; p++)
			page[p] = DATA + 4096 * (cases[i].scattered ? (p * 37) % 257 : p);
		c = drv_rw(true, 100 + i, cases[i].nlb, page[0] + cases[i].off, 0);
		left = len > first ? len - first : 0;
		npages = (left + 4095) / 4096;
		if (npages == 1) {
			c.prp2 = page[1];
		} else if (npages > 1) {
			uint64_t next_list = LIST + 0x4000;

			c.prp2 = slot = list;
			for (uint64_t p = 1; p <= npages; p++) {
				if ((slot & 4095) == 4088 && p < npages) { /* last slot of the page: chain */
					put64(bus_at(b, slot), next_list);
					slot = next_list;
					next_list += 0x1000;
				}
				put64(bus_at(b, slot), page[p]);
				slot += 8;
			}
		}
		for (uint64_t done = 0, p = 0; done < len; p++) {
			uint64_t n = p == 0 ? (len < first ? len : first) : (len - done < 4096 ? len - done : 4096);
			uint64_t at = page[p] + (p == 0 ? cases[i].off : 0);

			pattern(b, at, n, (uint32_t)(i + p));
			memcpy(expect + done, bus_at(b, at), n);
			done += n;
		}
		assert_int_equal(drv_do(d, 1, &c, NULL), 0);
		memset(bus_at(b, DATA), 0, 258 * 4096);
		c.opcode = 2;
		assert_int_equal(drv_do(d, 1, &c, NULL), 0);
		for (uint64_t done = 0, p = 0; done < len; p++) {
			uint64_t n = p == 0 ? (len < first ? len : first) : (len - done < 4096 ? len - done : 4096);

			assert_memory_equal(bus_at(b, page[p] + (p == 0 ? cases[i].off : 0)), expect + done, n);
			done += n;
		}
		if (cases[i].off) /* nothing before the buffer */
			assert_int_equal(bus_at(b, page[0])[cases[i].off - 1], 0);
		c.opcode = 5; /* compare */
		assert_int_equal(drv_do(d, 1, &c, NULL), 0);
		bus_at(b, page[0] + cases[i].off)[3] ^= 1;
		assert_int_equal(drv_sc(d, 1, &c), 0x285);
		free(expect);
	}
}

static void test_contiguous_is_one_transaction(void **state)
{
	struct drv *d = *state;
	struct cmd c = drv_rw(false, 0, 256, DATA, LIST);

	for (uint64_t p = 1; p < 32; p++)
		put64(bus_at(d->b, LIST + 8 * (p - 1)), DATA + 4096 * p);
	d->b->calls = 0;
	assert_int_equal(drv_do(d, 1, &c, NULL), 0);
	assert_int_equal(d->b->calls, 4); /* entry, list, data, completion */
}

static void test_bad_prps(void **state)
{
	struct drv *d = *state;
	struct cmd c;

	c = drv_rw(false, 0, 1, DATA + 2, 0);
	assert_int_equal(drv_sc(d, 1, &c), 0x13);
	c = drv_rw(false, 0, 16, DATA, DATA + 8192 + 4); /* second page not at a page */
	assert_int_equal(drv_sc(d, 1, &c), 0x13);
	c = drv_rw(false, 0, 24, DATA, LIST + 4);
	assert_int_equal(drv_sc(d, 1, &c), 0x13);
	put64(bus_at(d->b, LIST), DATA + 4096);
	put64(bus_at(d->b, LIST + 8), DATA + 8192 + 512);
	c = drv_rw(false, 0, 24, DATA, LIST);
	assert_int_equal(drv_sc(d, 1, &c), 0x13);
	/* A list that names itself: ends with the transfer. */
	for (uint64_t i = 0; i < 512; i++)
		put64(bus_at(d->b, LIST + 8 * i), LIST);
	c = drv_rw(false, 0, 2048, DATA, LIST + 4088);
	d->b->calls = 0;
	assert_int_equal(drv_do(d, 1, &c, NULL), 0);
	assert_true(d->b->calls < 300);
	/* A chain into the last slot of a page, again and again, would never end: chained lists begin at pages. */
	put64(bus_at(d->b, LIST + 4088), LIST + 4088);
	d->b->calls = 0;
	assert_int_equal(drv_sc(d, 1, &c), 0x13);
	assert_true(d->b->calls < 5);
	c = drv_rw(false, 0, 24, DATA, BUS_BASE + BUS_LEN + 4096); /* list not there */
	assert_int_equal(drv_sc(d, 1, &c), 0x04);
	c = drv_rw(false, 0, 1, UINT64_MAX - 3, 0);
	assert_int_equal(drv_sc(d, 1, &c), 0x04);
	/* pages that meet at the end of the address space are no neighbours */
	c = drv_rw(false, 0, 16, UINT64_MAX - 4095, 0);
	d->b->calls = 0;
	assert_int_equal(drv_sc(d, 1, &c), 0x04);
	assert_int_equal(d->b->calls, 3); /* the first page was tried by itself */
}

static void test_io_refusals(void **state)
{
	struct drv *d = *state;
	uint64_t nlbas = NSBYTES / 512;
	struct cmd c;

	c = drv_rw(false, nlbas - 1, 1, DATA, 0);
	assert_int_equal(drv_sc(d, 1, &c), 0);
	c = drv_rw(false, nlbas - 1, 2, DATA, 0);
	assert_int_equal(drv_sc(d, 1, &c), 0x80);
	c = drv_rw(true, nlbas, 1, DATA, 0);
	assert_int_equal(drv_sc(d, 1, &c), 0x80);
	c = drv_rw(true, UINT64_MAX, 2, DATA, 0);
	assert_int_equal(drv_sc(d, 1, &c), 0x80);
	c = drv_rw(false, UINT64_MAX - 3, 8, DATA, 0);
	assert_int_equal(drv_sc(d, 1, &c), 0x80);
	c = drv_rw(false, 0, 2049, DATA, LIST); /* above MDTS */
	assert_int_equal(drv_sc(d, 1, &c), 0x02);
	c = drv_rw(false, 0, 65536, DATA, LIST);
	assert_int_equal(drv_sc(d, 1, &c), 0x02);
	for (int i = 0; i < 3; i++) {
		c = drv_rw(false, 0, 1, DATA, 0);
		c.nsid = (const uint32_t[]){0, 2, 0xffffffff}[i];
		assert_int_equal(drv_sc(d, 1, &c), 0x0b);
	}
	c = drv_rw(false, 0, 1, DATA, 0);
	c.flags = 1 << 8; /* fused */
	assert_int_equal(drv_sc(d, 1, &c), 0x02);
	c.flags = 1 << 14; /* SGL */
	assert_int_equal(drv_sc(d, 1, &c), 0x02);
	assert_int_equal(drv_sc(d, 1, &(struct cmd){.opcode = 0x77, .nsid = 1}), 0x01);
	assert_int_equal(drv_sc(d, 1, &(struct cmd){.opcode = 0, .nsid = 1}), 0);
	assert_int_equal(drv_sc(d, 1, &(struct cmd){.opcode = 0, .nsid = 0xffffffff}), 0);
	assert_int_equal(drv_sc(d, 1, &(struct cmd){.opcode = 0, .nsid = 7}), 0x0b);
}

static void test_zeroes_and_deallocate(void **state)
{
	struct drv *d = *state;
	struct bus *b = d->b;
	struct cmd c;

	for (uint32_t lba = 0; lba < 1024; lba += 8) {
		pattern(b, DATA, 4096, lba + 1);
		c = drv_rw(true, lba, 8, DATA, 0);
		assert_int_equal(drv_do(d, 1, &c, NULL), 0);
	}
	/* 3..1000 go, the neighbours stay; long enough for a hole with ragged ends */
	assert_int_equal(drv_sc(d, 1, &(struct cmd){.opcode = 8, .nsid = 1, .cdw10 = 3, .cdw12 = 997}), 0);
	for (uint32_t lba = 0; lba < 1024; lba += 8) {
		uint8_t zero[512] = {0};

		c = drv_rw(false, lba, 8, DATA + 8192, 0);
		assert_int_equal(drv_do(d, 1, &c, NULL), 0);
		pattern(b, DATA, 4096, lba + 1);
		for (uint32_t i = 0; i < 8; i++) {
			bool gone = lba + i >= 3 && lba + i <= 1000;

			assert_memory_equal(bus_at(b, DATA + 8192 + 512 * i), gone ? zero : bus_at(b, DATA + 512 * i), 512);
		}
	}
	assert_int_equal(drv_sc(d, 1, &(struct cmd){.opcode = 8, .nsid = 1, .cdw10 = NSBYTES / 512, .cdw12 = 0}), 0x80);

	/* dataset management: two ranges; nothing happens when one of them is bad */
	memset(bus_at(b, DATA), 0, 32);
	put32(bus_at(b, DATA + 4), 1);
	put64(bus_at(b, DATA + 8), 1001);
	put32(bus_at(b, DATA + 20), 2);
	put64(bus_at(b, DATA + 24), NSBYTES / 512 - 1);
	c = (struct cmd){.opcode = 9, .nsid = 1, .prp1 = DATA, .cdw10 = 1, .cdw11 = 4};
	assert_int_equal(drv_sc(d, 1, &c), 0x80);
	c = drv_rw(false, 1001, 1, DATA + 4096, 0);
	assert_int_equal(drv_do(d, 1, &c, NULL), 0);
	assert_int_not_equal(bus_at(b, DATA + 4096)[0] | bus_at(b, DATA + 4096)[1], 0);
	put64(bus_at(b, DATA + 24), 1010);
	c = (struct cmd){.opcode = 9, .nsid = 1, .prp1 = DATA, .cdw10 = 1, .cdw11 = 4};
	assert_int_equal(drv_sc(d, 1, &c), 0);
	c = drv_rw(false, 1001, 1, DATA + 4096, 0);
	assert_int_equal(drv_do(d, 1, &c, NULL), 0);
	for (int i = 0; i < 512; i++)
		assert_int_equal(bus_at(b, DATA + 4096)[i], 0);
}

static void test_batches_and_wrap(void **state)
{
	struct drv *d = *state;
	struct bus *b = d->b;
	struct cqe e;

	/* More rounds than the rings are long, of a size that does not divide them: all wraps are met. */
	for (int round = 0; round < 40; round++) {
		unsigned int n = 7 + (unsigned int)round % 13, irqs = b->msix[1];
		uint16_t first = (uint16_t)(d->cid + 1);

		for (unsigned int i = 0; i < n; i++) {
			struct cmd c = drv_rw(false, i, 1, DATA + 512 * i, 0);

			drv_queue(d, 1, &c);
		}
		drv_ring(d, 1);
		for (unsigned int i = 0; i < n; i++) {
			assert_true(drv_poll(d, 1, &e, i == n - 1));
			assert_int_equal(e.cid, first + i);
			assert_int_equal(e.status >> 1, 0);
		}
		assert_false(drv_poll(d, 1, &e, false));
		assert_int_equal(b->msix[1], irqs + 1); /* one interrupt a batch */
	}
}

static void test_full_cq_waits(void **state)
{
	struct drv *d = *state;
	struct cqe e;
	struct cmd c = drv_rw(false, 0, 1, DATA, 0);
	unsigned int seen = 0;

	assert_int_equal(drv_create_cq(d, 2, 4, 2), 0);
	assert_int_equal(drv_create_sq(d, 2, 32, 2), 0);
	d->q[2].size = 32; /* of the submission queue; the completion queue is walked by hand */
	for (int i = 0; i < 20; i++)
		drv_queue(d, 2, &c);
	drv_ring(d, 2);
	for (uint32_t head = 0, phase = 1; seen < 20; seen++) {
		/* at most three are posted at any time */
		for (uint32_t k = 0; k < 4 && seen == 0; k++) {
			memcpy(&e, bus_at(d->b, CQ_AT(2) + 16 * k), 16);
			assert_int_equal(e.status & 1, k < 3);
		}
		memcpy(&e, bus_at(d->b, CQ_AT(2) + 16 * head), 16);
		assert_int_equal(e.status, phase);
		if (++head == 4) {
			head = 0;
			phase ^= 1;
		}
		w32(d->b, 0x1000 + 2 * 8 + 4, head);
	}
	assert_int_equal(e.cid, d->cid);
}

static void test_queue_refusals(void **state)
{
	struct drv *d = *state;

	assert_int_equal(drv_create_cq(d, 1, 8, 0) & 0x7ff, 0x101); /* exists */
	drv_queue_reset(d, 1, Q_ENTRIES);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 5, .prp1 = CQ_AT(2), .cdw10 = 7 << 16, .cdw11 = 1}), 0x101);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 5, .prp1 = CQ_AT(2), .cdw10 = 7 << 16 | 5, .cdw11 = 1}), 0x101);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 5, .prp1 = CQ_AT(2), .cdw10 = 7 << 16 | 0xffff, .cdw11 = 1}), 0x101);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 5, .prp1 = CQ_AT(2), .cdw10 = 2, .cdw11 = 1}), 0x102);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 5, .prp1 = CQ_AT(2), .cdw10 = 1024 << 16 | 2, .cdw11 = 1}), 0x102);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 5, .prp1 = CQ_AT(2), .cdw10 = 7 << 16 | 2, .cdw11 = 0}), 0x02);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 5, .prp1 = CQ_AT(2) + 8, .cdw10 = 7 << 16 | 2, .cdw11 = 1}), 0x13);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 5, .prp1 = CQ_AT(2), .cdw10 = 7 << 16 | 2, .cdw11 = 5 << 16 | 3}), 0x108);
	assert_int_equal(drv_create_sq(d, 2, 8, 2) & 0x7ff, 0x100); /* no such completion queue */
	assert_int_equal(drv_create_sq(d, 2, 8, 0) & 0x7ff, 0x100);
	assert_int_equal(drv_create_sq(d, 2, 8, 0xffff) & 0x7ff, 0x100);
	assert_int_equal(drv_create_sq(d, 1, 8, 1) & 0x7ff, 0x101);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 4, .cdw10 = 1}), 0x10c); /* in use */
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 0, .cdw10 = 1}), 0);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 0, .cdw10 = 1}), 0x101);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 0, .cdw10 = 0}), 0x101);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 4, .cdw10 = 1}), 0);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 4, .cdw10 = 1}), 0x101);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 4, .cdw10 = 0}), 0x101);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 3}), 0x01);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 0x80}), 0x01);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 6, .flags = 1 << 15, .cdw10 = 1}), 0x02);
}

static void test_admin_refusals(void **state)
{
	struct drv *d = *state;
	uint32_t result;

	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 6, .nsid = 2, .prp1 = DATA}), 0x0b);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 6, .nsid = 0xffffffff, .prp1 = DATA}), 0x0b);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 6, .nsid = 0xfffffffe, .prp1 = DATA, .cdw10 = 2}), 0x0b);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 6, .nsid = 1, .prp1 = DATA, .cdw10 = 0x99}), 0x02);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 6, .prp1 = BUS_BASE + BUS_LEN, .cdw10 = 1}), 0x04);
	/* logs */
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 2, .prp1 = DATA, .cdw10 = 0x7f}), 0x109);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 2, .prp1 = DATA, .cdw10 = 0x007f0002, .cdw12 = 513}), 0x02);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 2, .prp1 = DATA, .cdw10 = 0x007f0002, .cdw12 = 516}), 0x02);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 2, .prp1 = DATA, .cdw10 = 0x007f0002, .cdw13 = 1}), 0x02);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 2, .prp1 = DATA, .cdw10 = 0xffff0002, .cdw11 = 0xffff}), 0x02);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 2, .nsid = 9, .prp1 = DATA, .cdw10 = 0x007f0002}), 0x0b);
	memset(bus_at(d->b, DATA), 0xcc, 1024);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 2, .nsid = 0xffffffff, .prp1 = DATA, .cdw10 = 0x00ff0002, .cdw12 = 256}), 0);
	assert_int_equal(bus_at(d->b, DATA)[255], 0);	/* the rest of the log ... */
	assert_int_equal(bus_at(d->b, DATA)[256], 0xcc); /* ... and nothing past its end */
	/* features */
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 10, .cdw10 = 0x7f}), 0x02);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 9, .cdw10 = 0x7f}), 0x02);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 9, .cdw10 = 0x80000006}), 0x10d);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 9, .nsid = 1, .cdw10 = 6}), 0x10f);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 9, .nsid = 5, .cdw10 = 6}), 0x0b);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 9, .cdw10 = 9, .cdw11 = 5}), 0x02);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 10, .cdw10 = 9, .cdw11 = 0xffff}), 0x02);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 9, .cdw10 = 2, .cdw11 = 1}), 0x02);
	assert_int_equal(drv_do(d, 0, &(struct cmd){.opcode = 9, .cdw10 = 6, .cdw11 = 0}, NULL), 0);
	assert_int_equal(drv_do(d, 0, &(struct cmd){.opcode = 10, .cdw10 = 6}, &result), 0);
	assert_int_equal(result, 0);
	assert_int_equal(drv_do(d, 0, &(struct cmd){.opcode = 10, .cdw10 = 0x106}, &result), 0); /* default */
	assert_int_equal(result, 1);
	assert_int_equal(drv_do(d, 0, &(struct cmd){.opcode = 9, .cdw10 = 9, .cdw11 = 0x10002}, NULL), 0);
	assert_int_equal(drv_do(d, 0, &(struct cmd){.opcode = 10, .cdw10 = 9, .cdw11 = 2}, &result), 0);
	assert_int_equal(result, 0x10002);
}

static void test_smart_counts(void **state)
{
	struct drv *d = *state;
	uint64_t v[4];
	struct cmd c = drv_rw(true, 0, 8, DATA, 0);

	for (int i = 0; i < 300; i++) {
		c.opcode = i < 100 ? 1 : 2;
		assert_int_equal(drv_do(d, 1, &c, NULL), 0);
	}
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 2, .nsid = 0xffffffff, .prp1 = DATA, .cdw10 = 0x007f0002}), 0);
	for (int i = 0; i < 4; i++)
		memcpy(&v[i], bus_at(d->b, DATA + 32 + 16u * (unsigned int)i), 8);
	assert_int_equal(v[0], 2); /* 200 * 4 KiB in thousands of 512 bytes, rounded up */
	assert_int_equal(v[1], 1);
	assert_int_equal(v[2], 200);
	assert_int_equal(v[3], 100);
}

static void test_async_events(void **state)
{
	struct drv *d = *state;
	struct bus *b = d->b;
	struct cqe e;
	uint16_t first = (uint16_t)(d->cid + 1);
	uint32_t result;

	for (int i = 0; i < 4; i++)
		drv_queue(d, 0, &(struct cmd){.opcode = 0x0c});
	drv_ring(d, 0);
	assert_false(drv_poll(d, 0, &e, false));
	/* one more than we take */
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 0x0c}), 0x105);

	w32(b, 0x1000 + 8 * 4, 1); /* tail of a queue that does not exist */
	assert_true(drv_poll(d, 0, &e, true));
	assert_int_equal(e.cid, first);
	assert_int_equal(e.result, 0x00010000);
	w32(b, 0x1000 + 8 * 1, Q_ENTRIES); /* out of range; errors are muted until the log is read */
	assert_false(drv_poll(d, 0, &e, false));
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 2, .prp1 = DATA, .cdw10 = 0x000f8001}), 0); /* retain */
	assert_false(drv_poll(d, 0, &e, false));
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 2, .prp1 = DATA, .cdw10 = 0x000f0001}), 0);
	assert_true(drv_poll(d, 0, &e, true));
	assert_int_equal(e.cid, first + 1);
	assert_int_equal(e.result, 0x00010100);

	/* temperature: only when configured */
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 9, .cdw10 = 4, .cdw11 = 200}), 0);
	assert_false(drv_poll(d, 0, &e, false));
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 9, .cdw10 = 11, .cdw11 = 2}), 0);
	assert_true(drv_poll(d, 0, &e, true));
	assert_int_equal(e.cid, first + 2);
	assert_int_equal(e.result, 0x00020101);

	/* abort the last one */
	assert_int_equal(drv_do(d, 0, &(struct cmd){.opcode = 8, .cdw10 = (uint32_t)(first + 3) << 16}, &result), 0);
	assert_int_equal(result & 1, 0);
	assert_true(drv_poll(d, 0, &e, true));
	assert_int_equal(e.cid, first + 3);
	assert_int_equal(e.status >> 1, 7);
	assert_int_equal(drv_do(d, 0, &(struct cmd){.opcode = 8, .cdw10 = (uint32_t)(first + 3) << 16}, &result), 0);
	assert_int_equal(result & 1, 1);
	assert_int_equal(drv_do(d, 0, &(struct cmd){.opcode = 8, .cdw10 = 1u << 16 | 1}, &result), 0);
	assert_int_equal(result & 1, 1);

	/* without a request an event waits for the next one */
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 2, .prp1 = DATA, .cdw10 = 0x000f0001}), 0);
	w32(b, 0x1000 + 8 * 4, 1);
	assert_false(drv_poll(d, 0, &e, false));
	first = drv_queue(d, 0, &(struct cmd){.opcode = 0x0c});
	drv_ring(d, 0);
	assert_true(drv_poll(d, 0, &e, true));
	assert_int_equal(e.cid, first);
	assert_int_equal(e.result, 0x00010000);
}

static void test_doorbell_values(void **state)
{
	struct drv *d = *state;
	struct bus *b = d->b;
	struct cqe e;

	drv_queue(d, 0, &(struct cmd){.opcode = 0x0c});
	drv_ring(d, 0);
	w32(b, 0x100c, 5); /* head past what was posted */
	assert_true(drv_poll(d, 0, &e, true));
	assert_int_equal(e.result, 0x00010100);
	b->calls = 0;
	w32(b, 0x1008, 0xffff);
	w32(b, 0x100c, 0xffff);
	w32(b, 0x1000 + 8 * 63, 1);
	w32(b, 0x3ffc, 1);
	dev_bar_write(b->fn, 0, 0x1008, 8, 3);
	dev_bar_write(b->fn, 0, 0x1008, 2, 3);
	assert_int_equal(b->calls, 0);
	/* and it all still works */
	struct cmd c = drv_rw(false, 0, 1, DATA, 0);

	assert_int_equal(drv_do(d, 1, &c, NULL), 0);
	assert_false(drv_poll(d, 1, &e, false));
}

static void test_interrupt_modes(void **state)
{
	struct drv *d = *state;
	struct bus *b = d->b;
	struct cmd c = drv_rw(false, 0, 1, DATA, 0);
	struct cqe e;

	/* INTx: level while there is something to read, masked by INTMS */
	assert_int_equal(dev_irq_enable(b->fn, DEV_IRQ_MSIX, 0), 0);
	assert_false(b->intx);
	drv_queue(d, 1, &c);
	drv_ring(d, 1);
	assert_true(b->intx);
	w32(b, 0x0c, 1);
	assert_int_equal(r32(b, 0x0c), 1);
	assert_false(b->intx);
	w32(b, 0x10, 1);
	assert_true(b->intx);
	assert_true(drv_poll(d, 1, &e, true));
	assert_false(b->intx);

	/* MSI with INTMS: the swallowed message leaves at the unmask */
	assert_int_equal(dev_irq_enable(b->fn, DEV_IRQ_MSI, 4), 0);
	w32(b, 0x0c, 2);
	drv_queue(d, 1, &c);
	drv_ring(d, 1);
	assert_int_equal(b->msi[1], 0);
	w32(b, 0x10, 2);
	assert_int_equal(b->msi[1], 1);
	assert_true(drv_poll(d, 1, &e, true));
	w32(b, 0x0c, 2);
	w32(b, 0x10, 2); /* nothing to read, nothing to say */
	assert_int_equal(b->msi[1], 1);

	/* back to INTx with an unread entry: the level comes up by the change of mode */
	drv_queue(d, 1, &c);
	drv_ring(d, 1);
	assert_int_equal(b->msi[1], 2);
	assert_int_equal(dev_irq_enable(b->fn, DEV_IRQ_MSI, 0), 0);
	assert_true(b->intx);
	w32(b, 0x14, 0x00460000); /* disabling drops it */
	assert_false(b->intx);
}

static void test_enable_rules(void **state)
{
	struct drv *d = *state;
	struct bus *b = d->b;
	static const struct {
		uint32_t cc, aqa;
		uint64_t asq;
		bool ok;
	} cases[] = {
		{0x00460001, 0x001f001f, SQ_AT(0), true},
		{0x00460001 | 4 << 7, 0x001f001f, BUS_BASE, true},
		{0x00460001 | 5 << 7, 0x001f001f, BUS_BASE, false}, /* page size */
		{0x00460001 | 4 << 7, 0x001f001f, SQ_AT(0) + 0x2000, false}, /* not aligned to it */
		{0x00460001 | 1 << 4, 0x001f001f, SQ_AT(0), false}, /* command set */
		{0x00460001 | 1 << 11, 0x001f001f, SQ_AT(0), false}, /* arbitration */
		{0x00460001, 0x001f0000, SQ_AT(0), false},
		{0x00460001, 0x0000001f, SQ_AT(0), false},
		{0x00460001, 0x0fff0fff, SQ_AT(0), true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		w32(b, 0x14, 0);
		w32(b, 0x24, cases[i].aqa);
		w64(b, 0x28, cases[i].asq);
		w32(b, 0x30, (uint32_t)BUS_BASE + 0x100000);
		w32(b, 0x34, 0);
		w32(b, 0x14, cases[i].cc);
		assert_int_equal(r32(b, 0x1c), cases[i].ok ? 1 : 2);
		w32(b, 0x24, 0); /* ignored while enabled */
		assert_int_equal(r32(b, 0x24), cases[i].aqa);
	}
	/* shutdown */
	drv_enable(d);
	w32(b, 0x14, 0x00464001);
	assert_int_equal(r32(b, 0x1c), 1 | 2 << 2);
	b->calls = 0;
	drv_queue(d, 0, &(struct cmd){.opcode = 6, .cdw10 = 1, .prp1 = DATA});
	drv_ring(d, 0);
	assert_int_equal(b->calls, 0);
	drv_enable(d);
	assert_int_equal(drv_sc(d, 0, &(struct cmd){.opcode = 6, .cdw10 = 1, .prp1 = DATA}), 0);
}

/* A reset in the middle: queues and requests are gone, the data stays, and everything works again. */
static void test_resets(void **state)
{
	struct drv *d = *state;
	struct bus *b = d->b;
	struct cmd c = drv_rw(true, 5, 8, DATA, 0);
	uint32_t result;
	struct cqe e;

	pattern(b, DATA, 4096, 3);
	assert_int_equal(drv_do(d, 1, &c, NULL), 0);
	for (int how = 0; how < 3; how++) {
		assert_int_equal(drv_do(d, 0, &(struct cmd){.opcode = 10, .cdw10 = 6}, &result), 0);
		assert_int_equal(result, 1); /* features are back to their default too */
		assert_int_equal(drv_do(d, 0, &(struct cmd){.opcode = 9, .cdw10 = 6, .cdw11 = 0}, NULL), 0);
		drv_queue(d, 0, &(struct cmd){.opcode = 0x0c});
		drv_ring(d, 0);
		drv_queue(d, 1, &c);
		if (how == 0) {
			w32(b, 0x14, 0);
		} else {
			if (how == 1)
				dev_reset(b->fn);
			else
				cfg_w(b, cap_find(b, 0x10) + 8, 2, 0xa810);
			assert_int_equal(cfg_r(b, 4, 2), 0);
			bus_turn_on(b);
			assert_int_equal(r32(b, 0x14), 0);
			assert_int_equal(r64(b, 0x28), 0);
			assert_int_equal(dev_irq_enable(b->fn, DEV_IRQ_MSIX, 5), 0);
		}
		assert_int_equal(r32(b, 0x1c), 0);
		b->calls = 0;
		drv_ring(d, 1);
		drv_ring(d, 0);
		assert_int_equal(b->calls, 0);
		drv_enable(d);
		w32(b, 0x1008, 1); /* the old queue is not there: no event either, the request is gone */
		assert_false(drv_poll(d, 0, &e, false));
		assert_int_equal(drv_create_cq(d, 1, Q_ENTRIES, 1), 0);
		assert_int_equal(drv_create_sq(d, 1, Q_ENTRIES, 1), 0);
		c = drv_rw(false, 5, 8, DATA + 8192, 0);
		memset(bus_at(b, DATA + 8192), 0, 4096);
		assert_int_equal(drv_do(d, 1, &c, NULL), 0);
		assert_memory_equal(bus_at(b, DATA), bus_at(b, DATA + 8192), 4096);
	}
}

static void test_file_namespace(void **state)
{
	char path[] = "/tmp/nb-nvme-XXXXXX";
	int fd = mkstemp(path);
	struct dev_option opt[] = {{"file", path}, {"size", "1MiB"}, {"lba", "4096"}};
	struct dev_option ro[] = {{"file", path}, {"readonly", "on"}};
	struct dev_bus db = {0};
	struct dev_fn *fn;
	struct nb_diag diag;
	struct drv *d;
	struct stat st;
	uint8_t got[4096];
	struct cmd c;

	(void)state;
	assert_true(fd >= 0);
	d = drv_new_opts(opt, 3);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 1 << 20);
	pattern(d->b, DATA, 4096, 9);
	c = drv_rw(true, 3, 1, DATA, 0);
	assert_int_equal(drv_do(d, 1, &c, NULL), 0);
	assert_int_equal(drv_do(d, 1, &(struct cmd){.opcode = 0, .nsid = 1}, NULL), 0);
	assert_int_equal(pread(fd, got, 4096, 3 * 4096), 4096);
	assert_memory_equal(got, bus_at(d->b, DATA), 4096);
	c.cdw12 |= 1u << 30; /* FUA */
	assert_int_equal(drv_do(d, 1, &c, NULL), 0);
	/* The file is cut while it is in use: an error, not a crash. */
	assert_int_equal(ftruncate(fd, 4096), 0);
	c = drv_rw(false, 3, 1, DATA, 0);
	assert_int_equal(drv_sc(d, 1, &c), 0x04);
	c.opcode = 5;
	assert_int_equal(drv_sc(d, 1, &c), 0x281);
	assert_int_equal(drv_sc(d, 1, &(struct cmd){.opcode = 8, .nsid = 1, .cdw10 = 3, .cdw12 = 0}), 0x280);
	c = drv_rw(false, 0, 1, DATA, 0);
	assert_int_equal(drv_sc(d, 1, &c), 0);
	drv_free(d);

	assert_int_equal(ftruncate(fd, 70000), 0);
	d = drv_new_opts(ro, 2);
	c = drv_rw(false, 135, 1, DATA, 0); /* 136 whole blocks */
	assert_int_equal(drv_sc(d, 1, &c), 0);
	c = drv_rw(false, 136, 1, DATA, 0);
	assert_int_equal(drv_sc(d, 1, &c), 0x80);
	c = drv_rw(true, 0, 1, DATA, 0);
	assert_int_equal(drv_sc(d, 1, &c), 0x20);
	assert_int_equal(drv_sc(d, 1, &(struct cmd){.opcode = 8, .nsid = 1}), 0x20);
	memset(bus_at(d->b, DATA), 0, 16);
	put32(bus_at(d->b, DATA + 4), 8);
	assert_int_equal(drv_sc(d, 1, &(struct cmd){.opcode = 9, .nsid = 1, .prp1 = DATA, .cdw11 = 4}), 0x20);
	drv_free(d);

	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(dev_model_find("nvme")->create(opt, 1, &db, NULL, &fn, &diag), -EINVAL);
	opt[0].value = "/nonexistent/dir/file";
	assert_int_equal(dev_model_find("nvme")->create(opt, 2, &db, NULL, &fn, &diag), -ENOENT);
	assert_non_null(strstr(diag.msg, "/nonexistent/dir/file"));
	opt[0].value = "/tmp";
	assert_int_equal(dev_model_find("nvme")->create(opt, 1, &db, NULL, &fn, &diag), -EISDIR);
	opt[0].value = "/dev/null";
	assert_int_equal(dev_model_find("nvme")->create(opt, 1, &db, NULL, &fn, &diag), -EINVAL);
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_probe, setup, teardown),
		cmocka_unit_test_setup_teardown(test_prp_shapes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_contiguous_is_one_transaction, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_prps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_io_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zeroes_and_deallocate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_batches_and_wrap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_cq_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_queue_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_admin_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_smart_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_async_events, setup, teardown),
		cmocka_unit_test_setup_teardown(test_doorbell_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interrupt_modes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_enable_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(test_resets, setup, teardown),
		cmocka_unit_test(test_file_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
