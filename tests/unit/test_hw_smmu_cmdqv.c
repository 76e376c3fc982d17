/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The CMDQ-V model: registers, whose queue is whose, what a guest may have in one, errors.
 *
 * A register that is written through the kernel's window acts before the write returns, so nothing here waits for the thread.
 */
#include "hw_cmdqv_rig.h"

/* ---- registers ---- */

static void registers(void **state)
{
	struct rig r;

	(void)state;
	new(&r);
	assert_int_equal(get32(&r, BLOCK + 4), 1 | 3 << 4 | 2 << 8 | 1 << 12);
	reg32(&r, BLOCK + 4, 0);
	reg32(&r, BLOCK + 8, 0);
	assert_int_equal(get64(&r, BLOCK), 1 | UINT64_C(0x1231) << 32);
	assert_int_equal(get32(&r, BLOCK + 8), 1);
	assert_int_equal(r.hw->mmio_size, BLOCK + 0x30000 + 4 * 0x20000);
	/* Nothing of it in the SMMU's own registers, and nothing beyond. */
	assert_int_equal(get32(&r, BLOCK - 0x1000000), 0);
	assert_int_equal(get32(&r, r.hw->mmio_size), 0);
	assert_int_equal(r.hw->ops->mmio_read(r.hw, BLOCK + 1, 2), 0);
	/* The mask of interrupts, as two words that are not aligned as one. */
	reg32(&r, BLOCK + 0x1c, 0xffffffff);
	reg32(&r, BLOCK + 0x20, 0xffffffff);
	assert_int_equal(get32(&r, BLOCK + 0x1c), 0xf);
	assert_int_equal(get32(&r, BLOCK + 0x20), 0);
	/* VMID and HYP_OWN hold while it is enabled. */
	reg32(&r, VINTF(1), 0xffffffff & ~1u);
	assert_int_equal(get32(&r, VINTF(1)), 0x3fffe);
	assert_int_equal(get32(&r, VINTF(1) + 4), 0);
	reg32(&r, VINTF(1), 0x1235);
	reg32(&r, VINTF(1), 0x4321);
	assert_int_equal(get32(&r, VINTF(1)), 0x1235);
	assert_int_equal(get32(&r, VINTF(1) + 4), 1);
	reg32(&r, VINTF(1), 0x4320);
	assert_int_equal(get32(&r, VINTF(1)), 0x1234);
	assert_int_equal(get32(&r, VINTF(1) + 4), 0);
	assert_int_equal(get32(&r, VINTF(4)), 0);
	reg32(&r, VINTF(4), 1);
	assert_int_equal(get32(&r, VINTF(4) + 4), 0);
	/* Slots: two. */
	for (unsigned int i = 0; i < 16; i++) {
		reg32(&r, VINTF(2) + 0x40 + 4 * i, 0xffffffff);
		reg32(&r, VINTF(2) + 0x80 + 4 * i, 0xfffffff0 + i);
	}
	for (unsigned int i = 0; i < 16; i++) {
		assert_int_equal(get32(&r, VINTF(2) + 0x40 + 4 * i), i < 2 ? 0x1fffff : 0);
		assert_int_equal(get32(&r, VINTF(2) + 0x80 + 4 * i), i < 2 ? 0xfffffff0 + i : 0);
	}
	/* Where a queue lies: the block's own bits, and only page 1 says. */
	reg64(&r, VCMDQ1(7), UINT64_MAX);
	assert_int_equal(get64(&r, VCMDQ1(7)), UINT64_C(0xffffffffffff));
	reg64(&r, VCMDQ1(7) + 8, 0x1122334455667788);
	assert_int_equal(get64(&r, VCMDQ1(7) + 8), 0x1122334455667788);
	assert_int_equal(get64(&r, VCMDQ1(7) + 0x10), 0);
	reg32(&r, VCMDQ0(7) + PROD, 0xffffffff);
	reg32(&r, VCMDQ0(7) + CONS, 0xffffffff);
	reg32(&r, VCMDQ0(7) + STATUS, 1);
	reg32(&r, VCMDQ0(7) + GERROR, 1);
	reg32(&r, VCMDQ0(7) + GERRORN, 0xffffffff);
	assert_int_equal(get64(&r, VCMDQ0(7)), 0xfffff | UINT64_C(0xfffff) << 32);
	assert_int_equal(get32(&r, VCMDQ0(7) + STATUS), 0);
	assert_int_equal(get64(&r, VCMDQ0(7) + GERROR), UINT64_C(1) << 32);
	reg32(&r, VCMDQ0(8) + PROD, 5);
	assert_int_equal(get32(&r, VCMDQ0(8) + PROD), 0);
	/* Off: as after reset, and deaf. */
	reg32(&r, BLOCK, 0);
	assert_int_equal(get32(&r, BLOCK + 8), 0);
	assert_int_equal(get32(&r, VINTF(1)), 0);
	assert_int_equal(get32(&r, VINTF(2) + 0x40), 0);
	assert_int_equal(get64(&r, VCMDQ1(7)), 0);
	assert_int_equal(get64(&r, VCMDQ0(7)), 0);
	reg32(&r, VINTF(1), 1);
	reg32(&r, ALLOC(0), 1);
	reg32(&r, VINTF(2) + 0x40, 3);
	assert_int_equal(get32(&r, VINTF(1) + 4) | get32(&r, ALLOC(0)) | get32(&r, VINTF(2) + 0x40), 0);
	rig_free(&r);
}

/* Ascending, descending, no place twice; a queue that is taken back has nothing of its past. */
static void allocation(void **state)
{
	struct queue q[3];
	struct rig r;

	(void)state;
	new(&r);
	vintf(&r, 1, 5, false);
	reg32(&r, ALLOC(2), 1 | 1 << 1 | 1 << 15);
	assert_int_equal(get32(&r, ALLOC(2)), 1 << 1 | 1 << 15); /* there is no LVCMDQ 0 */
	reg32(&r, ALLOC(2), 1 | 4 << 15);
	assert_int_equal(get32(&r, ALLOC(2)) & 1, 0); /* nor a VINTF 4 */
	assert_int_equal(get64(&r, LVCMDQ1(1, 0)), 0);
	give(&r, &q[0], 2, 1, 0);
	reg32(&r, VCMDQ0(5) + PROD, 7);
	give(&r, &q[1], 5, 1, 1);
	assert_int_equal(get32(&r, LVCMDQ0(1, 1) + PROD), 7);
	give(&r, &q[2], 3, 2, 0);
	reg32(&r, ALLOC(6), 1 | 1 << 1 | 1 << 15);
	assert_int_equal(get32(&r, ALLOC(6)) & 1, 0); /* taken */
	reg32(&r, ALLOC(2), 1 | 1 << 15 | 7 << 1); /* it is what it is */
	assert_int_equal(get32(&r, ALLOC(2)), 1 | 1 << 15);
	assert_int_equal(get64(&r, LVCMDQ1(1, 0)), q[0].base | Q_LG2);
	assert_int_equal(get64(&r, LVCMDQ1(1, 1)), q[1].base | Q_LG2);
	assert_int_equal(get64(&r, LVCMDQ1(2, 0)), q[2].base | Q_LG2);
	assert_int_equal(get64(&r, LVCMDQ1(2, 1)), 0);
	/* One register, two names. */
	reg32(&r, LVCMDQ0(1, 1) + PROD, 3);
	assert_int_equal(get32(&r, VCMDQ0(5) + PROD), 3);
	reg32(&r, VCMDQ0(5) + PROD, 0);
	assert_int_equal(get32(&r, LVCMDQ0(1, 1) + PROD), 0);
	enable(&r, &q[1]);
	assert_int_equal(get32(&r, LVCMDQ0(1, 1) + STATUS), 1);
	reg64(&r, LVCMDQ1(1, 1), 0); /* not while it runs */
	assert_int_equal(get64(&r, LVCMDQ1(1, 1)), q[1].base | Q_LG2);
	reg32(&r, ALLOC(2), 0);
	assert_int_equal(get32(&r, ALLOC(2)), 1 | 1 << 15); /* LVCMDQ 1 first */
	reg32(&r, ALLOC(5), 0);
	assert_int_equal(get32(&r, ALLOC(5)) & 1, 0);
	assert_int_equal(get64(&r, VCMDQ1(5)), 0);
	assert_int_equal(get32(&r, VCMDQ0(5) + CONFIG) | get32(&r, VCMDQ0(5) + STATUS) | get32(&r, VCMDQ0(5) + PROD), 0);
	reg32(&r, ALLOC(2), 0);
	assert_int_equal(get32(&r, ALLOC(2)) & 1, 0);
	/* Enabled without a place: it does not run. */
	reg32(&r, VCMDQ0(5) + CONFIG, 1);
	assert_int_equal(get32(&r, VCMDQ0(5) + STATUS), 0);
	rig_free(&r);
}

/* ---- consumption ---- */

static void wraps(void **state)
{
	struct queue q;
	struct rig r;

	(void)state;
	new(&r);
	vintf(&r, 0, 0, true);
	give(&r, &q, 0, 0, 0);
	enable(&r, &q);
	for (unsigned int i = 0; i < 100; i++)
		assert_true(send(&r, &q, 0x46, 0));
	for (unsigned int i = 0; i < 16; i++)
		put(&r, &q, 0x46, 0);
	assert_int_equal(go_q(&r, &q), q.prod); /* a full queue */
	/* PROD of any value: what there is, once round at most. */
	reg32(&r, VCMDQ0(0) + PROD, 0xfffff);
	assert_int_equal(get32(&r, VCMDQ0(0) + CONS) & 31, 31);
	/* Off: nothing moves. From where CONS says when it is on again. */
	reg32(&r, VCMDQ0(0) + CONFIG, 0);
	assert_int_equal(get32(&r, VCMDQ0(0) + STATUS), 0);
	reg32(&r, VCMDQ0(0) + PROD, 9);
	assert_int_equal(get32(&r, VCMDQ0(0) + CONS) & 31, 31);
	reg32(&r, VCMDQ0(0) + CONS, 4);
	reg32(&r, VCMDQ0(0) + CONFIG, 1);
	assert_int_equal(get32(&r, VCMDQ0(0) + CONS), 9);
	reg32(&r, VCMDQ0(0) + CONS, 4); /* not while it runs */
	assert_int_equal(get32(&r, VCMDQ0(0) + CONS), 9);
	/* The VINTF goes: so does the queue; and comes back with it. */
	reg32(&r, VINTF(0), 0);
	assert_int_equal(get32(&r, VCMDQ0(0) + STATUS), 0);
	reg32(&r, VCMDQ0(0) + PROD, 12);
	assert_int_equal(get32(&r, VCMDQ0(0) + CONS), 9);
	vintf(&r, 0, 0, true);
	reg32(&r, VCMDQ0(0) + PROD, 12);
	assert_int_equal(get32(&r, VCMDQ0(0) + CONS), 12);
	rig_free(&r);
}

/* LOG2SIZE 0, beyond what the SMMU has, and more commands than are run at once. */
static void sizes(void **state)
{
	struct smmu_caps c;
	struct queue q;
	struct rig r;

	(void)state;
	smmu_caps_all(&c);
	c.cmdq_lg2 = 8;
	c.cmdqv = true;
	c.cmdqv_vcmdqs_lg2 = 1;
	rig_new_caps(&r, &c);
	rig_start(&r);
	reg32(&r, BLOCK, 1);
	vintf(&r, 0, 0, true);
	give(&r, &q, 0, 0, 0);
	for (unsigned int i = 0; i < 256; i++)
		w64(&r, q.base + 16 * i, 0x46);
	reg64(&r, VCMDQ1(0), q.base);
	enable(&r, &q);
	for (unsigned int i = 1; i < 6; i++) {
		reg32(&r, VCMDQ0(0) + PROD, i & 1);
		assert_int_equal(get32(&r, VCMDQ0(0) + CONS), i & 1);
	}
	reg32(&r, VCMDQ0(0) + CONFIG, 0);
	reg64(&r, VCMDQ1(0), q.base | 31);
	reg32(&r, VCMDQ0(0) + CONS, 0);
	reg32(&r, VCMDQ0(0) + PROD, 256);
	reg32(&r, VCMDQ0(0) + CONFIG, 1);
	assert_int_equal(get32(&r, VCMDQ0(0) + CONS), 256);
	assert_int_equal(get32(&r, VCMDQ0(0) + GERROR), 0);
	rig_free(&r);
}

/* ---- what a guest may ---- */

static void commands(void **state)
{
	struct queue hyp, guest;
	unsigned int op;
	struct rig r;
	bool fine;

	(void)state;
	new(&r);
	vintf(&r, 0, 0, true);
	vintf(&r, 1, 7, false);
	reg32(&r, VINTF(1) + 0x40, 1 | 0x33 << 1);
	give(&r, &hyp, 0, 0, 0);
	give(&r, &guest, 1, 1, 0);
	enable(&r, &hyp);
	enable(&r, &guest);
	for (op = 0; op < 256; op++) {
		/* ATC_INV for the StreamID that there is; a range of SYNC that signals nothing */
		uint64_t lo = op | UINT64_C(0x33) << 32;
		bool mine = op == 0x11 || op == 0x12 || op == 0x40 || op == 0x46;

		if (op == 0x46)
			lo = op;
		if (send(&r, &guest, lo, 0) != mine)
			fail_msg("command %#x", op);
		if (!mine)
			refused(&r, &guest, 1);
		/* The host's own takes what CMDQ takes. */
		r.nmsi = 0;
		fine = cmd(&r, lo, 0);
		if (fine != send(&r, &hyp, lo, 0))
			fail_msg("command %#x", op);
		if (!fine) {
			r.prod = (r.prod - 1) & 511;
			reg32(&r, 0x98, r.prod);
			reg32(&r, 0x64, get32(&r, 0x60));
			refused(&r, &hyp, 1);
		}
		r.nmsi = 0;
	}
	/* A CMD_SYNC that would write somewhere, or wake somebody. */
	for (uint64_t cs = 1; cs < 4; cs++) {
		r.nmsi = 0;
		assert_false(send(&r, &guest, 0x46 | cs << 12 | UINT64_C(0xabcd) << 32, 0xfee01000));
		assert_int_equal(r.nmsi, 1);
		assert_int_equal(r.msi[0].addr, 0);
		refused(&r, &guest, 1);
		assert_false(send(&r, &hyp, 0x46 | cs << 12 | UINT64_C(0xabcd) << 32, 0xfee01000));
		refused(&r, &hyp, 1);
	}
	rig_free(&r);
}

/* Whatever VMID the command names, it is the VINTF's that counts; and CR0.VMW widens nothing. */
static void vmid_forced(void **state)
{
	const uint64_t va = 0x12 | RIG_ASID << 48, asid = 0x11 | RIG_ASID << 48, wrong = UINT64_C(0x7777) << 32;
	struct queue mine, other, hyp;
	uint64_t page;
	struct rig r;

	(void)state;
	new(&r);
	page = rig_nested(&r);
	vintf(&r, 0, 0, true);
	vintf(&r, 1, RIG_VMID, false);
	vintf(&r, 2, RIG_VMID ^ 1, false);
	give(&r, &hyp, 0, 0, 0);
	give(&r, &mine, 1, 1, 0);
	give(&r, &other, 2, 2, 0);
	enable(&r, &hyp);
	enable(&r, &mine);
	enable(&r, &other);
	reg32(&r, 0x20, get32(&r, 0x20) | 1 << 6); /* VMW: two VMIDs at once */
	cache_again(&r, page);
	assert_true(send(&r, &other, va | RIG_VMID << 32, RIG_VA | 1));
	assert_true(send(&r, &other, asid | RIG_VMID << 32, 0));
	assert_true(send(&r, &other, 0x46, 0));
	assert_true(cached(&r));
	assert_true(send(&r, &hyp, va | wrong, RIG_VA | 1));
	assert_true(send(&r, &hyp, 0x46, 0));
	assert_true(cached(&r));
	assert_true(send(&r, &mine, va | wrong, RIG_VA | 1));
	assert_true(send(&r, &mine, 0x46, 0));
	assert_false(cached(&r));
	cache_again(&r, page);
	assert_true(send(&r, &mine, asid | wrong, 0));
	assert_true(send(&r, &mine, 0x46, 0));
	assert_false(cached(&r));
	cache_again(&r, page);
	assert_true(send(&r, &hyp, va | (RIG_VMID ^ 1) << 32, RIG_VA | 1)); /* the host's wildcard does count */
	assert_true(send(&r, &hyp, 0x46, 0));
	assert_false(cached(&r));
	rig_free(&r);
}

static void sid_replaced(void **state)
{
	struct queue q, hyp;
	struct rig r;

	(void)state;
	new(&r);
	r.has_client = true;
	vintf(&r, 0, 0, true);
	vintf(&r, 1, 7, false);
	give(&r, &hyp, 0, 0, 0);
	give(&r, &q, 1, 1, 0);
	enable(&r, &hyp);
	enable(&r, &q);
	reg32(&r, VINTF(1) + 0x84, RIG_SID);
	reg32(&r, VINTF(1) + 0x44, 0x33 << 1); /* not enabled */
	assert_false(send(&r, &q, 0x40 | UINT64_C(0x33) << 32, 52));
	refused(&r, &q, 1);
	assert_int_equal(r.ninval, 0);
	reg32(&r, VINTF(1) + 0x44, 1 | 0x33 << 1);
	assert_true(send(&r, &q, 0x40 | 1 << 11 | 0x5ul << 12 | UINT64_C(0x33) << 32, 0x12345000));
	assert_int_equal(r.ninval, 1);
	assert_int_equal(r.got.pasid, 5);
	assert_int_equal(r.got.addr, 0x12345000);
	/* A neighbour, the physical one, and one whose low 20 bits match. */
	assert_false(send(&r, &q, 0x40 | UINT64_C(0x32) << 32, 52));
	refused(&r, &q, 1);
	assert_false(send(&r, &q, 0x40 | (uint64_t)RIG_SID << 32, 52));
	refused(&r, &q, 1);
	assert_false(send(&r, &q, 0x40 | UINT64_C(0x100033) << 32, 52));
	refused(&r, &q, 1);
	assert_int_equal(r.ninval, 1);
	/* The host's own is not replaced. */
	reg32(&r, VINTF(0) + 0x40, 1 | RIG_SID << 1);
	reg32(&r, VINTF(0) + 0x80, 0x44);
	assert_true(send(&r, &hyp, 0x40 | (uint64_t)RIG_SID << 32, 52));
	assert_int_equal(r.ninval, 2);
	/* Replaced by what no requester can be: nothing happens. */
	reg32(&r, VINTF(1) + 0x84, 0xffffffff);
	assert_true(send(&r, &q, 0x40 | UINT64_C(0x33) << 32, 52));
	assert_int_equal(r.ninval, 2);
	rig_free(&r);
}

/* ---- errors ---- */

static void errors(void **state)
{
	struct queue a, b, c;
	struct rig r;

	(void)state;
	new(&r);
	vintf(&r, 1, 7, false);
	vintf(&r, 3, 7, false);
	give(&r, &a, 6, 1, 0);
	give(&r, &b, 2, 1, 1);
	give(&r, &c, 4, 3, 0);
	enable(&r, &a);
	enable(&r, &b);
	enable(&r, &c);
	put(&r, &b, 0x46, 0);
	put(&r, &b, 0x10, 0);
	put(&r, &b, 0x46, 0);
	assert_int_equal(go_q(&r, &b), 1u << 24 | 1);
	assert_int_equal(r.nmsi, 1);
	assert_int_equal(r.msi[0].addr, 0);
	assert_int_equal(r.msi[0].data, WIRE);
	assert_int_equal(get64(&r, VINTF(1) + 0xc0), 2); /* LVCMDQ 1 */
	assert_int_equal(get64(&r, VINTF(1) + 0xc8), 0);
	assert_int_equal(get64(&r, VINTF(3) + 0xc0), 0);
	assert_int_equal(get32(&r, BLOCK + 0x14), 1 << 1);
	assert_int_equal(get32(&r, BLOCK + 0x18), 0);
	assert_int_equal(get32(&r, BLOCK + 0x24), 1 << 2);
	assert_int_equal(get32(&r, BLOCK + 0x28), 0);
	/* Others go on; this one does not, whatever PROD says. CMDQ has no error. */
	assert_true(send(&r, &a, 0x46, 0));
	reg32(&r, VCMDQ0(2) + PROD, 2);
	reg32(&r, VCMDQ0(2) + PROD, 3);
	assert_int_equal(get32(&r, VCMDQ0(2) + CONS), 1u << 24 | 1);
	assert_int_equal(get32(&r, 0x60), 0);
	/* Masked: the second VINTF's waits for the mask to be lifted. */
	reg32(&r, BLOCK + 0x1c, 1 << 3);
	assert_false(send(&r, &c, 0x30, 0));
	assert_int_equal(r.nmsi, 1);
	assert_int_equal(get32(&r, BLOCK + 0x14), 1 << 1 | 1 << 3);
	reg32(&r, BLOCK + 0x1c, 0);
	assert_int_equal(r.nmsi, 2);
	reg32(&r, BLOCK + 0x1c, 0);
	assert_int_equal(r.nmsi, 2);
	/* Acknowledged without being mended: the same again, as a new error. */
	reg32(&r, VCMDQ0(4) + GERRORN, 1);
	assert_int_equal(get32(&r, VCMDQ0(4) + GERROR), 0);
	assert_int_equal(get32(&r, BLOCK + 0x14), 1 << 1 | 1 << 3);
	assert_int_equal(r.nmsi, 3);
	w64(&r, b.base + 16, 0x46);
	reg32(&r, VCMDQ0(2) + GERRORN, 1);
	assert_int_equal(get32(&r, VCMDQ0(2) + CONS) & 0xfffff, 3);
	assert_int_equal(get32(&r, BLOCK + 0x14), 1 << 3);
	assert_int_equal(get64(&r, VINTF(1) + 0xc0), 0);
	/* Where no memory is. */
	reg32(&r, VCMDQ0(6) + CONFIG, 0);
	reg64(&r, VCMDQ1(6), RIG_NONE | Q_LG2);
	reg32(&r, VCMDQ0(6) + CONFIG, 1);
	reg32(&r, VCMDQ0(6) + PROD, 2);
	assert_int_equal(get32(&r, VCMDQ0(6) + CONS), 2u << 24 | 1);
	/* Disabled, and acknowledged then. */
	reg32(&r, VCMDQ0(6) + CONFIG, 0);
	assert_int_equal(get64(&r, VINTF(1) + 0xc0), 1);
	reg32(&r, VCMDQ0(6) + GERRORN, get32(&r, VCMDQ0(6) + GERROR));
	assert_int_equal(get64(&r, VINTF(1) + 0xc0), 0);
	rig_free(&r);
}

/* An ATC that does not answer is its queue's affair, also when that is disabled; only CMDQ's CMD_SYNC makes it forget then. */
static void atc_timeout(void **state)
{
	struct queue a, b;
	struct rig r;

	(void)state;
	new(&r);
	r.has_client = true;
	r.answers = false;
	vintf(&r, 1, 7, false);
	reg32(&r, VINTF(1) + 0x80, RIG_SID);
	reg32(&r, VINTF(1) + 0x40, 1 | 0x33 << 1);
	give(&r, &a, 0, 1, 0);
	give(&r, &b, 1, 1, 1);
	enable(&r, &a);
	enable(&r, &b);
	assert_true(send(&r, &a, 0x40 | UINT64_C(0x33) << 32, 52));
	assert_true(send(&r, &b, 0x46, 0));
	assert_true(cmd(&r, 0x46, 0));
	assert_false(send(&r, &a, 0x46, 0));
	refused(&r, &a, 3);
	assert_true(send(&r, &a, 0x46, 0));
	for (unsigned int flush = 0; flush < 2; flush++) {
		assert_true(send(&r, &a, 0x40 | UINT64_C(0x33) << 32, 52));
		reg32(&r, VCMDQ0(0) + CONFIG, 0);
		if (flush)
			assert_true(cmd(&r, 0x46, 0));
		reg32(&r, VCMDQ0(0) + CONFIG, 1);
		assert_int_equal(send(&r, &a, 0x46, 0), flush);
		if (!flush)
			refused(&r, &a, 3);
	}
	rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers),
		cmocka_unit_test(allocation),
		cmocka_unit_test(wraps),
		cmocka_unit_test(sizes),
		cmocka_unit_test(commands),
		cmocka_unit_test(vmid_forced),
		cmocka_unit_test(sid_replaced),
		cmocka_unit_test(errors),
		cmocka_unit_test(atc_timeout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
