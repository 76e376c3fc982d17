/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small NVMe driver for unit tests: queues at fixed places of the test bus, one command at a time
 * or many, and the completions as they lie in memory. Numbers are written out from the specification, not through the
 * model's own header.
 */
#ifndef NB_TEST_DEV_NVME_H
#define NB_TEST_DEV_NVME_H

#include "test_dev_bus.h"

#define Q_ENTRIES  32
#define SQ_AT(q)   (BUS_BASE + 0x10000 + (q) * 0x2000ull)
#define CQ_AT(q)   (BUS_BASE + 0x40000 + (q) * 0x2000ull)
#define DATA	   (BUS_BASE + 0x200000)
#define LIST	   (BUS_BASE + 0x180000)
#define NSBYTES	   (8u << 20)
#define NSBYTES_STR "8MiB"

struct cqe {
	uint32_t result, reserved;
	uint16_t sqhd, sqid, cid, status; /* status with the phase tag in bit 0 */
};

struct drv {
	struct bus *b;
	struct {
		uint32_t tail, head, size;
		bool phase;
	} q[4];
	uint16_t cid;
};

static inline void put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, 4);
}
static inline void put64(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, 8);
}

struct cmd {
	uint8_t opcode;
	uint32_t nsid, flags;
	uint64_t prp1, prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13;
};

/* Put a command into queue q without ringing. Returns its cid. */
static inline uint16_t drv_queue(struct drv *d, unsigned int q, const struct cmd *c)
{
	uint8_t *e = bus_at(d->b, SQ_AT(q) + 64ull * d->q[q].tail);

	memset(e, 0, 64);
	put32(e, c->opcode | c->flags | (uint32_t)++d->cid << 16);
	put32(e + 4, c->nsid);
	put64(e + 24, c->prp1);
	put64(e + 32, c->prp2);
	put32(e + 40, c->cdw10);
	put32(e + 44, c->cdw11);
	put32(e + 48, c->cdw12);
	put32(e + 52, c->cdw13);
	d->q[q].tail = (d->q[q].tail + 1) % d->q[q].size;
	return d->cid;
}
static inline void drv_ring(struct drv *d, unsigned int q)
{
	w32(d->b, 0x1000 + 8 * q, d->q[q].tail);
}

/* The next completion of queue q, if there is one; the head doorbell is left alone unless `ack`. */
static inline bool drv_poll(struct drv *d, unsigned int q, struct cqe *out, bool ack)
{
	memcpy(out, bus_at(d->b, CQ_AT(q) + 16ull * d->q[q].head), 16);
	if ((out->status & 1) != d->q[q].phase)
		return false;
	if (++d->q[q].head == d->q[q].size) {
		d->q[q].head = 0;
		d->q[q].phase = !d->q[q].phase;
	}
	if (ack)
		w32(d->b, 0x1000 + 8 * q + 4, d->q[q].head);
	return true;
}

/* Run one command to its completion. Returns the status without phase; *result gets dword 0. */
static inline uint16_t drv_do(struct drv *d, unsigned int q, const struct cmd *c, uint32_t *result)
{
	uint16_t cid = drv_queue(d, q, c);
	struct cqe e;

	drv_ring(d, q);
	if (!drv_poll(d, q, &e, true))
		fail_msg("no completion for opcode %#x", c->opcode);
	assert_int_equal(e.cid, cid);
	assert_int_equal(e.sqid, q);
	assert_int_equal(e.sqhd, d->q[q].tail);
	if (result)
		*result = e.result;
	return e.status >> 1;
}
/* Status type and code only. */
static inline uint16_t drv_sc(struct drv *d, unsigned int q, const struct cmd *c)
{
	return drv_do(d, q, c, NULL) & 0x7ff;
}

static inline void drv_queue_reset(struct drv *d, unsigned int q, uint32_t size)
{
	d->q[q].tail = d->q[q].head = 0;
	d->q[q].size = size;
	d->q[q].phase = true;
	memset(bus_at(d->b, CQ_AT(q)), 0, 16ull * size);
}

/* As Linux does: disable, program, enable, wait. */
static inline void drv_enable(struct drv *d)
{
	w32(d->b, 0x14, 0);
	assert_int_equal(r32(d->b, 0x1c) & 1, 0);
	drv_queue_reset(d, 0, Q_ENTRIES);
	w32(d->b, 0x24, (Q_ENTRIES - 1) << 16 | (Q_ENTRIES - 1));
	w64(d->b, 0x28, SQ_AT(0));
	w64(d->b, 0x30, CQ_AT(0));
	w32(d->b, 0x14, 0x00460000);
	w32(d->b, 0x14, 0x00460001);
	assert_int_equal(r32(d->b, 0x1c), 1);
}

static inline uint16_t drv_create_cq(struct drv *d, unsigned int q, uint32_t size, uint32_t vector)
{
	drv_queue_reset(d, q, size);
	return drv_do(d, 0, &(struct cmd){.opcode = 5, .prp1 = CQ_AT(q), .cdw10 = (size - 1) << 16 | q,
					  .cdw11 = vector << 16 | 3}, NULL);
}
static inline uint16_t drv_create_sq(struct drv *d, unsigned int q, uint32_t size, unsigned int cq)
{
	return drv_do(d, 0, &(struct cmd){.opcode = 1, .prp1 = SQ_AT(q), .cdw10 = (size - 1) << 16 | q,
					  .cdw11 = cq << 16 | 1}, NULL);
}

static inline struct drv *drv_new_opts(const struct dev_option *opt, unsigned int nopts)
{
	struct drv *d = calloc(1, sizeof(*d));

	assert_non_null(d);
	d->b = bus_new("nvme", opt, nopts);
	bus_turn_on(d->b);
	assert_int_equal(dev_irq_enable(d->b->fn, DEV_IRQ_MSIX, 5), 0);
	drv_enable(d);
	assert_int_equal(drv_create_cq(d, 1, Q_ENTRIES, 1), 0);
	assert_int_equal(drv_create_sq(d, 1, Q_ENTRIES, 1), 0);
	return d;
}
static inline struct drv *drv_new(void)
{
	return drv_new_opts((struct dev_option[]){{"size", NSBYTES_STR}, {"queues", "4"}, {"serial", "TEST1"}}, 3);
}
static inline void drv_free(struct drv *d)
{
	bus_free(d->b);
	free(d);
}

/* Read or write nlb blocks of 512 bytes. */
static inline struct cmd drv_rw(bool write, uint64_t lba, uint32_t nlb, uint64_t prp1, uint64_t prp2)
{
	return (struct cmd){.opcode = write ? 1 : 2, .nsid = 1, .prp1 = prp1, .prp2 = prp2, .cdw10 = (uint32_t)lba,
			    .cdw11 = (uint32_t)(lba >> 32), .cdw12 = nlb - 1};
}

#endif
