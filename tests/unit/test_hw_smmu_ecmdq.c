/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ECMDQ: ID registers, control pages, the handshake of a queue, its errors (IHI 0070 3.5.6, 6.2.5, 6.3.45, 6.3.49 to 6.3.51, 6.3.107 to 6.3.109).
 *
 * 2 pages of 4 queues: 16 KiB apart, the first page behind page 1 of the unit.
 */
#include "hw_smmu_rig.h"

#include <errno.h>

#define QUEUE(n) (0x20000ul + 0x4000ul * (n))
enum { BASE = 0, PROD = 8, CONS = 12 };
#define EN	 0x80000000u
#define ERR	 0x00800000u
#define NQUEUES	 8u
#define Q_LG2	 4u

struct queue {
	uint64_t base, reg;
	uint32_t prod, flags;
};

static void new(struct rig *r)
{
	struct smmu_caps c;

	smmu_caps_all(&c);
	c.ecmdq = true;
	c.ecmdq_pages_lg2 = 1;
	c.ecmdq_queues_lg2 = 2;
	rig_new_caps(r, &c);
	rig_start(r);
}

static void on(struct rig *r, struct queue *q, unsigned int n)
{
	*q = (struct queue){.base = rig_alloc(r, 12), .reg = QUEUE(n), .flags = EN};
	reg64(r, q->reg + BASE, q->base | Q_LG2);
	reg32(r, q->reg + CONS, 0);
	reg32(r, q->reg + PROD, EN);
	assert_int_equal(get32(r, q->reg + CONS), EN);
}
static void put(struct rig *r, struct queue *q, uint64_t lo, uint64_t hi)
{
	uint64_t at = q->base + 16 * (q->prod & 15);

	w64(r, at, lo);
	w64(r, at + 8, hi);
	q->prod = (q->prod + 1) & 31;
}
static uint32_t go_q(struct rig *r, struct queue *q)
{
	reg32(r, q->reg + PROD, q->flags | q->prod);
	assert_int_equal(get32(r, q->reg + PROD), q->flags | q->prod);
	return get32(r, q->reg + CONS);
}
static bool send(struct rig *r, struct queue *q, uint64_t lo, uint64_t hi)
{
	put(r, q, lo, hi);
	return (go_q(r, q) & 0xfffff) == q->prod;
}

static void registers(void **state)
{
	struct rig r, plain;

	(void)state;
	new(&r);
	assert_int_equal(get32(&r, 4) >> 31, 1);
	assert_int_equal(get32(&r, 0x190), 2 << 16 | 1 << 24);
	for (unsigned int p = 0; p < 2; p++) {
		reg64(&r, 0x4000 + 32 * p, 0);
		reg64(&r, 0x4008 + 32 * p, 0);
		assert_int_equal(get64(&r, 0x4000 + 32 * p), (0x20000 + 0x10000 * p) | 1 << 1 | 1);
		assert_int_equal(get64(&r, 0x4008 + 32 * p), 1 | UINT64_C(1) << 32);
		assert_int_equal(get64(&r, 0x4010 + 32 * p), 0);
	}
	assert_int_equal(get64(&r, 0x4040), 0);
	assert_int_equal(r.hw->mmio_size, 0x40000);
	for (unsigned int n = 0; n < NQUEUES; n++) {
		reg64(&r, QUEUE(n) + BASE, UINT64_MAX);
		assert_int_equal(get64(&r, QUEUE(n) + BASE), UINT64_C(0x40ffffffffffffff) & (nb_low_mask(52) | UINT64_C(1) << 62));
		reg32(&r, QUEUE(n) + PROD, ~EN);
		assert_int_equal(get32(&r, QUEUE(n) + PROD), ERR | 0xfffff);
		reg32(&r, QUEUE(n) + CONS, 0xffffffff);
		assert_int_equal(get32(&r, QUEUE(n) + CONS), 0x07000000 | ERR | 0xfffff); /* ENACK follows EN alone */
		assert_int_equal(get64(&r, QUEUE(n) + 16), 0);
		reg64(&r, QUEUE(n) + 16, UINT64_MAX);
		assert_int_equal(get64(&r, QUEUE(n) + 16), 0);
	}
	/* A reset takes it all. */
	r.hw->ops->reset(r.hw);
	assert_int_equal(get64(&r, QUEUE(3) + BASE), 0);
	assert_int_equal(get64(&r, QUEUE(3) + PROD), 0);
	rig_free(&r);
	rig_new(&plain);
	assert_int_equal(get32(&plain, 4) >> 31, 0);
	assert_int_equal(get32(&plain, 0x190), 0);
	assert_int_equal(get64(&plain, 0x4000), 0);
	assert_int_equal(get64(&plain, 0x20000), 0);
	rig_free(&plain);
}

/* The most that there can be, and one queue that fills its page. */
static void extremes(void **state)
{
	static const struct {
		uint8_t p, q;
	} t[] = {{8, 8}, {0, 0}, {8, 0}, {0, 8}};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(t); i++) {
		uint64_t last;
		struct smmu_caps c;
		struct rig r;

		smmu_caps_all(&c);
		c.ecmdq = true;
		c.ecmdq_pages_lg2 = t[i].p;
		c.ecmdq_queues_lg2 = t[i].q;
		rig_new_caps(&r, &c);
		last = 0x20000 + (UINT64_C(0x10000) << t[i].p) - (0x10000u >> t[i].q);
		reg64(&r, last, 0x40);
		assert_int_equal(get64(&r, last), 0x40);
		reg64(&r, last + 0x10, 0x40);
		assert_int_equal(get64(&r, last + 0x10), 0);
		assert_int_equal(get64(&r, 0x20000 + (UINT64_C(0x10000) << t[i].p)), 0);
		rig_free(&r);
	}
}

static void caps(void **state)
{
	struct smmu_caps c;
	struct nb_diag why;

	(void)state;
	smmu_caps_all(&c);
	c.ecmdq = true;
	assert_int_equal(smmu_caps_check(&c, &why), 0);
	c.msi = false;
	assert_int_equal(smmu_caps_check(&c, &why), -EINVAL);
	c.msi = true;
	c.coherent = false;
	c.httu = 0;
	assert_int_equal(smmu_caps_check(&c, &why), -EINVAL);
	c.coherent = true;
	c.ecmdq_pages_lg2 = 9;
	assert_int_equal(smmu_caps_check(&c, &why), -EINVAL);
	c.ecmdq_pages_lg2 = 0;
	c.ecmdq_queues_lg2 = 9;
	assert_int_equal(smmu_caps_check(&c, &why), -EINVAL);
}

/* Its own commands, its own CMD_SYNC; CMDQ off or in error makes no difference. */
static void consumes(void **state)
{
	struct queue q;
	uint64_t page;
	struct rig r;

	(void)state;
	new(&r);
	page = rig_s1(&r);
	ok_at(go(&r, RIG_VA, HW_READ), page);
	on(&r, &q, 6);
	assert_false(cmd(&r, 0xff, 0)); /* CMDQ stands */
	rig_map(&r, r.s1root, RIG_VA, 0, 0);
	ok_at(go(&r, RIG_VA, HW_READ), page);
	assert_true(send(&r, &q, 0x12 | RIG_VMID << 32 | RIG_ASID << 48, RIG_VA | 1));
	assert_true(send(&r, &q, 0x46, 0));
	faults(go(&r, RIG_VA, HW_READ), SMMU_EVT_TRANSLATION);
	reg32(&r, 0x20, get32(&r, 0x20) & ~8u);
	for (unsigned int i = 0; i < 100; i++)
		assert_true(send(&r, &q, 0x46, 0));
	/* CMD_SYNC with a message. */
	r.nmsi = 0;
	assert_true(send(&r, &q, 0x46 | 1 << 12 | UINT64_C(0x77) << 32, 0xfee01000));
	assert_int_equal(r.nmsi, 1);
	assert_int_equal(r.msi[0].addr, 0xfee01000);
	assert_int_equal(r.msi[0].data, 0x77);
	/* 64-bit writes: the upper half is CONS, which is not writable. */
	put(&r, &q, 0x46, 0);
	reg64(&r, q.reg + PROD, EN | q.prod | UINT64_C(0x5) << 32);
	assert_int_equal(get32(&r, q.reg + CONS), EN | q.prod);
	rig_free(&r);
}

static void handshake(void **state)
{
	struct queue q;
	struct rig r;

	(void)state;
	new(&r);
	reg32(&r, 0x20, 0); /* everything else off, so that CR1 is the queues' */
	reg32(&r, 0x28, 0x3f);
	assert_int_equal(get32(&r, 0x28) & 0x3f, 0x3f);
	on(&r, &q, 1);
	reg32(&r, 0x28, 0);
	assert_int_equal(get32(&r, 0x28) & 0x3f, 0x3f); /* 3.5.6.1 */
	reg64(&r, q.reg + BASE, 0);
	assert_int_equal(get64(&r, q.reg + BASE), q.base | Q_LG2);
	reg32(&r, q.reg + CONS, 9);
	assert_int_equal(get32(&r, q.reg + CONS), EN);
	assert_true(send(&r, &q, 0x46, 0));
	/* Off: nothing is consumed, everything can be written; on again, from where CONS says. */
	reg32(&r, q.reg + PROD, q.prod + 1);
	assert_int_equal(get32(&r, q.reg + CONS), q.prod);
	reg32(&r, 0x28, 0);
	assert_int_equal(get32(&r, 0x28) & 0x3f, 0);
	reg32(&r, q.reg + CONS, 5);
	for (unsigned int i = 0; i < 16; i++)
		w64(&r, q.base + 16 * i, 0x46);
	reg32(&r, q.reg + PROD, EN | 8);
	assert_int_equal(get32(&r, q.reg + CONS), EN | 8);
	rig_free(&r);
}

static void errors(void **state)
{
	struct queue a, b;
	struct rig r;

	(void)state;
	new(&r);
	on(&r, &a, 0);
	on(&r, &b, 7);
	put(&r, &a, 0x46, 0);
	put(&r, &a, 0xff, 0);
	put(&r, &a, 0x46, 0);
	assert_int_equal(go_q(&r, &a), EN | ERR | 1 << 24 | 1);
	assert_int_equal(get32(&r, 0x60) ^ get32(&r, 0x64), 1 << 9); /* CMDQP_ERR, not CMDQ_ERR */
	assert_int_equal(r.nmsi, 1);
	assert_int_equal(r.msi[0].addr, 0xfee00000);
	/* Others go on, CMDQ too. */
	assert_true(send(&r, &b, 0x46, 0));
	assert_true(cmd(&r, 0x46, 0));
	/* A second error while the global one is active: only the queue tells. */
	assert_false(send(&r, &b, 0xff, 0));
	assert_int_equal(get32(&r, b.reg + CONS), EN | ERR | 1 << 24 | 1);
	assert_int_equal(r.nmsi, 1);
	/* The global acknowledgement has no effect on queues. */
	reg32(&r, 0x64, get32(&r, 0x60));
	assert_int_equal(get32(&r, 0x60) ^ get32(&r, 0x64), 0);
	assert_int_equal(go_q(&r, &a), EN | ERR | 1 << 24 | 1);
	w64(&r, a.base + 16, 0x46);
	a.flags |= ERR; /* ERRACK */
	assert_int_equal(go_q(&r, &a) & ~0x07000000u, EN | ERR | 3);
	/* The next one toggles back. */
	assert_false(send(&r, &a, 0xff, 0));
	assert_int_equal(get32(&r, a.reg + CONS), EN | 1 << 24 | 3);
	assert_int_equal(get32(&r, 0x60) ^ get32(&r, 0x64), 1 << 9);
	w64(&r, a.base + 16 * 3, 0x46);
	a.flags &= ~ERR;
	assert_int_equal(go_q(&r, &a) & 0xfffff, 4);
	/* Where no memory is. */
	reg32(&r, a.reg + PROD, 0);
	reg64(&r, a.reg + BASE, RIG_NONE | Q_LG2);
	reg32(&r, a.reg + CONS, 0);
	reg32(&r, a.reg + PROD, EN | 1);
	assert_int_equal(get32(&r, a.reg + CONS), EN | ERR | 2 << 24);
	/* Disabled with an error: ENACK goes all the same; consistent again, it runs. */
	reg32(&r, a.reg + PROD, 1);
	assert_int_equal(get32(&r, a.reg + CONS), ERR | 2 << 24);
	reg64(&r, a.reg + BASE, a.base | Q_LG2);
	reg32(&r, a.reg + PROD, EN | 1); /* ERRACK differs: nothing */
	assert_int_equal(get32(&r, a.reg + CONS) & 0xfffff, 0);
	reg32(&r, a.reg + PROD, 1);
	reg32(&r, a.reg + CONS, 0);
	w64(&r, a.base, 0x46);
	reg32(&r, a.reg + PROD, EN | 1);
	assert_int_equal(get32(&r, a.reg + CONS), EN | 1);
	rig_free(&r);
}

/* An ATC that does not answer is told to the queue that asked. */
static void atc_timeout(void **state)
{
	struct queue a, b;
	struct rig r;

	(void)state;
	new(&r);
	r.has_client = true;
	r.answers = false;
	on(&r, &a, 2);
	on(&r, &b, 3);
	assert_true(send(&r, &a, 0x40 | (uint64_t)RIG_SID << 32, 52));
	assert_true(send(&r, &b, 0x46, 0));
	assert_true(cmd(&r, 0x46, 0));
	assert_false(send(&r, &a, 0x46, 0));
	assert_int_equal(get32(&r, a.reg + CONS), EN | ERR | 3 << 24 | 1);
	a.flags |= ERR;
	assert_int_equal(go_q(&r, &a) & 0xfffff, 2);
	rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers),
		cmocka_unit_test(extremes),
		cmocka_unit_test(caps),
		cmocka_unit_test(consumes),
		cmocka_unit_test(handshake),
		cmocka_unit_test(errors),
		cmocka_unit_test(atc_timeout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
