/* SPDX-License-Identifier: BSD-3-Clause */
/* SMMUv3 registers: what they give, take and guard; global bypass; capabilities and the ID registers. */
#include "hw_smmu_rig.h"

#include <errno.h>

static void id_registers(void **state)
{
	struct smmu_idregs id;
	struct smmu_caps c;
	struct rig r;

	(void)state;
	smmu_caps_all(&c);
	rig_new_caps(&r, &c);
	/* Written out from 6.3.1 to 6.3.6, field by field. */
	assert_int_equal(get32(&r, 0x00), 0x08000000 /* two-level stream table */ | 0x00800000 /* ATSRECERR */ |
						  0x00400000 /* little-endian */ | 0x00080000 /* CD2L */ | 0x00040000 /* VMID16 */ |
						  0x00020000 /* VMW */ | 0x00010000 /* PRI */ | 0x4000 /* SEV */ | 0x2000 /* MSI */ |
						  0x1000 /* ASID16 */ | 0x400 /* ATS */ | 0x200 /* Hyp */ | 0x80 /* HTTU */ |
						  0x10 /* COHACC */ | 0x08 /* AArch64 */ | 0x3 /* S1P S2P */);
	assert_int_equal(get32(&r, 0x04), 19u << 21 | 19u << 16 | 19u << 11 | 20u << 6 | 16 | 3u << 26);
	assert_int_equal(get32(&r, 0x08), 0);
	assert_int_equal(get32(&r, 0x0c), 0x4 /* HAD */ | 0x10 /* XNX */ | 0x100 /* FWB */ | 0x200 /* STT */ | 0x400 /* RIL */ |
						  0x1000 /* BBML 2 */ | 0x2000 /* E0PD */ | 0x20000 /* EPAN */);
	assert_int_equal(get32(&r, 0x14), 64u << 16 | 1u << 10 | 0xf0 | 6);
	assert_int_equal(get32(&r, 0x1c), 3); /* SMMUv3.3 */
	assert_int_equal(get64(&r, 0x00), get32(&r, 0x00) | (uint64_t)get32(&r, 0x04) << 32);

	reg32(&r, 0x00, 0);
	assert_int_not_equal(get32(&r, 0x00), 0);
	smmu_caps_regs(&c, &id);
	memset(&c, 0xff, sizeof(c));
	smmu_caps_from_regs(&id, &c);
	assert_int_equal(smmu_caps_check(&c, NULL), 0);
	{
		struct smmu_idregs again;

		smmu_caps_regs(&c, &again);
		assert_memory_equal(&id, &again, sizeof(id));
	}
	rig_free(&r);
}

/* Whatever stands in the registers, a unit comes out, or a reason. */
static void any_id_registers(void **state)
{
	uint64_t x = 0x9e3779b97f4a7c15;
	unsigned int i, j, good = 0;

	(void)state;
	for (i = 0; i < 20000; i++) {
		struct smmu_idregs id, once, twice;
		uint32_t *w = (uint32_t *)(void *)&id;
		struct smmu_caps c;

		for (j = 0; j < sizeof(id) / 4; j++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			w[j] = (uint32_t)x;
		}
		smmu_caps_from_regs(&id, &c);
		if (smmu_caps_check(&c, NULL))
			continue;
		good++;
		smmu_caps_regs(&c, &once);
		smmu_caps_from_regs(&once, &c);
		smmu_caps_regs(&c, &twice);
		assert_memory_equal(&once, &twice, sizeof(once));
	}
	assert_true(good > 1000);
}

static void refused_capabilities(void **state)
{
	static const struct {
		size_t at;
		uint8_t v;
	} bad[] = {
#define F(f, v) {offsetof(struct smmu_caps, f), v}
		F(oas, 33),	  F(oas, 56),	  F(sid_bits, 33), F(ssid_bits, 21), F(cmdq_lg2, 20), F(evtq_lg2, 20),
		F(priq_lg2, 255), F(httu, 3),	  F(stall_model, 3), F(bbml, 3),     F(minor, 16),    F(stall_max, 65),
		F(s1, 0),	  F(s2, 0),	  F(ats, 0),	   F(ssid_bits, 0),  F(coherent, 0),
	};
	struct smmu_caps c, zero = {0};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct nb_diag diag = {0};

		smmu_caps_all(&c);
		assert_int_equal(smmu_caps_check(&c, &diag), 0);
		*((uint8_t *)&c + bad[i].at) = bad[i].v;
		assert_int_equal(smmu_caps_check(&c, &diag), -EINVAL);
	}
	assert_int_equal(smmu_caps_check(&zero, NULL), -EINVAL);
}

static void acknowledgements(void **state)
{
	struct rig r;

	(void)state;
	rig_new(&r);
	reg32(&r, 0x20, 0xffffffff);
	assert_int_equal(get32(&r, 0x20), 0x1df);
	assert_int_equal(get32(&r, 0x24), 0x1df);
	reg32(&r, 0x24, 0);
	assert_int_equal(get32(&r, 0x24), 0x1df);
	reg32(&r, 0x20, 0);
	assert_int_equal(get32(&r, 0x24), 0);
	reg32(&r, 0x50, 0xffffffff);
	assert_int_equal(get32(&r, 0x50), 7);
	assert_int_equal(get32(&r, 0x54), 7);
	assert_int_equal(get32(&r, 0x40), 0);
	rig_free(&r);
}

/* A guarded register, its guard in CR0 or IRQ_CTRL, and what it takes when that is down. */
static void guards(void **state)
{
	static const struct {
		uint16_t off, ctl;
		uint32_t guard, all;
		bool page1;
	} g[] = {
		{0x80, 0x20, 1, 0xffffffc0, 0},	   {0x84, 0x20, 1, 0x400fffff, 0},  {0x88, 0x20, 1, 0x000307ff, 0},
		{0x2c, 0x20, 1, 0x0000000b, 0},	   {0x90, 0x20, 8, 0xffffffff, 0},  {0x94, 0x20, 8, 0x400fffff, 0},
		{0x9c, 0x20, 8, 0x000fffff, 0},	   {0xa0, 0x20, 4, 0xffffffff, 0},  {0xa4, 0x20, 4, 0x400fffff, 0},
		{0xa8, 0x20, 4, 0x800fffff, 1},	   {0xc0, 0x20, 2, 0xffffffff, 0},  {0xc4, 0x20, 2, 0x400fffff, 0},
		{0xc8, 0x20, 2, 0x800fffff, 1},	   {0x68, 0x50, 1, 0xfffffffc, 0},  {0x6c, 0x50, 1, 0x000fffff, 0},
		{0x70, 0x50, 1, 0xffffffff, 0},	   {0x74, 0x50, 1, 0x0000003f, 0},  {0xb0, 0x50, 4, 0xfffffffc, 0},
		{0xb4, 0x50, 4, 0x000fffff, 0},	   {0xb8, 0x50, 4, 0xffffffff, 0},  {0xbc, 0x50, 4, 0x0000003f, 0},
		{0xd0, 0x50, 2, 0xfffffffc, 0},	   {0xd4, 0x50, 2, 0x000fffff, 0},  {0xd8, 0x50, 2, 0xffffffff, 0},
		{0xdc, 0x50, 2, 0x8000003f, 0},
	};
	struct smmu_caps c;
	size_t i;

	(void)state;
	smmu_caps_all(&c);
	for (i = 0; i < ARRAY_SIZE(g); i++) {
		uint64_t off = g[i].off + (g[i].page1 ? 0x10000u : 0);
		struct rig r;

		rig_new_caps(&r, &c);
		reg32(&r, 0x90, 19); /* indices are as wide as the queue */
		reg32(&r, 0xa0, 19);
		reg32(&r, 0xc0, 19);
		reg32(&r, g[i].ctl, 0);
		reg32(&r, off, 0xffffffff);
		assert_int_equal(get32(&r, off), g[i].all);
		reg32(&r, off, 0);
		assert_int_equal(get32(&r, off), 0);
		reg32(&r, g[i].ctl, g[i].guard);
		reg32(&r, off, 0xffffffff);
		assert_int_equal(get32(&r, off), 0);
		reg32(&r, g[i].ctl, 0);
		reg32(&r, off, 0xffffffff);
		assert_int_equal(get32(&r, off), g[i].all);
		rig_free(&r);
	}
}

/* CR1 has two guards. The consumer's registers have none. */
static void half_guards(void **state)
{
	struct smmu_caps c;
	struct rig r;

	(void)state;
	smmu_caps_all(&c);
	rig_new_caps(&r, &c);
	reg32(&r, 0x28, 0xffffffff);
	assert_int_equal(get32(&r, 0x28), 0xfff);
	reg32(&r, 0x20, 1);
	reg32(&r, 0x28, 0);
	assert_int_equal(get32(&r, 0x28), 0xfc0);
	reg32(&r, 0x20, 4);
	reg32(&r, 0x28, 0x3f);
	assert_int_equal(get32(&r, 0x28), 0);
	reg32(&r, 0x20, 0);
	reg32(&r, 0x28, 0xd75);
	assert_int_equal(get32(&r, 0x28), 0xd75);
	reg32(&r, 0x20, 0xe);
	reg32(&r, 0x100ac, 0xffffffff);
	assert_int_equal(get32(&r, 0x100ac), 0x800fffff);
	reg32(&r, 0x100cc, 0xffffffff);
	assert_int_equal(get32(&r, 0x100cc), 0x800fffff);
	rig_free(&r);
}

static void access_sizes(void **state)
{
	struct smmu_caps c;
	struct rig r;

	(void)state;
	smmu_caps_all(&c);
	c.oas = 48;
	rig_new_caps(&r, &c);
	reg64(&r, 0x80, UINT64_MAX);
	assert_int_equal(get64(&r, 0x80), UINT64_C(0x4000ffffffffffc0)); /* nothing above 48 bits is stored */
	reg32(&r, 0x84, 0x12345678);
	assert_int_equal(get64(&r, 0x80), UINT64_C(0x00005678ffffffc0));
	r.hw->ops->mmio_write(r.hw, 0x80, 1, 0);
	r.hw->ops->mmio_write(r.hw, 0x80, 2, 0);
	r.hw->ops->mmio_write(r.hw, 0x82, 4, 0);
	r.hw->ops->mmio_write(r.hw, 0x84, 8, 0);
	r.hw->ops->mmio_write(r.hw, 0x20000, 4, 1);
	r.hw->ops->mmio_write(r.hw, UINT64_MAX - 7, 8, 1);
	assert_int_equal(get64(&r, 0x80), UINT64_C(0x00005678ffffffc0));
	assert_int_equal(r.hw->ops->mmio_read(r.hw, 0x80, 2), 0);
	assert_int_equal(r.hw->ops->mmio_read(r.hw, 0x20000, 4), 0);
	/* Queue indices are on page 1 only. */
	reg32(&r, 0xa8, 5);
	reg32(&r, 0xac, 5);
	assert_int_equal(get32(&r, 0xa8) | get32(&r, 0xac) | get32(&r, 0x100a8) | get32(&r, 0x100ac), 0);
	nb_rcu_read_lock();
	reg32(&r, 0x80, 0);
	assert_int_equal(get32(&r, 0x80), 0xffffffff);
	nb_rcu_read_unlock();
	assert_int_equal(get64(&r, 0x80), UINT64_C(0x00005678ffffffc0));
	assert_int_equal(r.hw->mmio_size, 0x20000);
	rig_free(&r);
}

/* SMMUEN clear: all goes through, with a SubstreamID too; GBPA can abort it; what is too wide is aborted. No events. */
static void global_bypass(void **state)
{
	struct smmu_caps c;
	struct rig r;

	(void)state;
	smmu_caps_all(&c);
	c.oas = 44;
	rig_new_caps(&r, &c);
	rig_start(&r);
	reg32(&r, 0x20, 0xe);
	ok_at(go(&r, 0x123456789a, HW_WRITE), 0x123456789a);
	ok_at(go_ssid(&r, 7, 0x123456789a, HW_READ, 0), 0x123456789a);
	ok_at(go(&r, UINT64_C(0xfffffffffff), HW_READ), UINT64_C(0xfffffffffff));
	faults(go(&r, UINT64_C(0x100000000000), HW_READ), 0);
	assert_int_equal(get32(&r, 0x44), 0x1000); /* shareability as it comes */
	reg32(&r, 0x44, 0x00100000);
	assert_int_equal(get32(&r, 0x44), 0x1000); /* without Update nothing is written */
	ok_at(go(&r, 0x1000, HW_READ), 0x1000);
	reg32(&r, 0x44, 0xffffffff);
	assert_int_equal(get32(&r, 0x44), 0x001f3f1f); /* Update reads zero: done */
	faults(go(&r, 0x1000, HW_READ), 0);
	reg32(&r, 0x44, 0x80001000);
	ok_at(go(&r, 0x1000, HW_READ), 0x1000);
	assert_int_equal(events(&r), 0);
	/* On: an empty table. */
	reg32(&r, 0x20, 0xf);
	faults(go(&r, 0x1000, HW_READ), 0x04);
	event_is(&r, 0x04 | (uint64_t)RIG_SID << 32, 0, 0, 0);
	rig_free(&r);
}

/* Software acknowledges errors by toggling GERRORN; toggling what is not active does nothing. */
static void global_errors(void **state)
{
	struct rig r;

	(void)state;
	rig_new(&r);
	assert_int_equal(get32(&r, 0x60), 0);
	reg32(&r, 0x64, 0xffffffff);
	assert_int_equal(get32(&r, 0x64), 0);
	reg32(&r, 0x60, 0xffffffff);
	assert_int_equal(get32(&r, 0x60), 0);
	assert_false(cmd(&r, 0, 0));
	assert_int_equal(get32(&r, 0x60), 1);
	assert_int_equal(r.nmsi, 1);
	assert_int_equal(r.msi[0].addr, 0xfee00000);
	assert_int_equal(r.msi[0].data, 0x11);
	/* Acknowledged, but the command is the same: it stops again, and the bit goes back. */
	reg32(&r, 0x64, 1);
	assert_int_equal(get32(&r, 0x60), 0);
	assert_int_equal(get32(&r, 0x64), 1);
	assert_int_equal(r.nmsi, 2);
	rig_free(&r);
}

static void reset(void **state)
{
	static const uint32_t zero[] = {0x20, 0x24, 0x28, 0x2c, 0x50, 0x54, 0x60, 0x64, 0x68, 0x70, 0x80, 0x88, 0x90, 0x98,
					0x9c, 0xa0, 0xb0, 0xb8, 0xc0, 0xd0, 0xd8, 0x100a8, 0x100ac, 0x100c8, 0x100cc};
	struct rig r;
	size_t i;

	(void)state;
	rig_new(&r);
	ok_at(go(&r, (rig_s1(&r), RIG_VA), HW_READ), r.cd - 4096);
	r.hw->ops->reset(r.hw);
	for (i = 0; i < ARRAY_SIZE(zero); i++)
		assert_int_equal(get32(&r, zero[i]), 0);
	ok_at(go(&r, RIG_VA, HW_READ), RIG_VA);
	rig_free(&r);
}

/* Features that are not there: their bits read zero and write nothing. */
static void without_features(void **state)
{
	struct smmu_caps c;
	struct rig r;

	(void)state;
	smmu_caps_all(&c);
	c.ats = c.pri = c.ats_rec_err = c.msi = c.hyp = c.vmw = c.st_2level = false;
	rig_new_caps(&r, &c);
	reg32(&r, 0x20, 0xffffffff);
	assert_int_equal(get32(&r, 0x20), 0xd);
	reg32(&r, 0x20, 0);
	reg32(&r, 0x2c, 0xffffffff);
	assert_int_equal(get32(&r, 0x2c), 2);
	reg32(&r, 0x88, 0xffffffff);
	assert_int_equal(get32(&r, 0x88), 0x3f);
	reg32(&r, 0x50, 7);
	assert_int_equal(get32(&r, 0x50), 5);
	reg32(&r, 0x50, 0);
	reg64(&r, 0x68, UINT64_MAX);
	reg64(&r, 0xc0, UINT64_MAX);
	reg32(&r, 0x100cc, 1);
	assert_int_equal(get64(&r, 0x68), 0);
	assert_int_equal(get64(&r, 0xc0), 0);
	assert_int_equal(get32(&r, 0x100cc), 0);
	rig_free(&r);
}

/* RD of the consumer's and WR of the producers' index read zero above the wrap bit of the size in use (6.3.28, 6.3.95, 6.3.97). */
static void indices(void **state)
{
	static const struct {
		uint32_t base, index, all;
	} q[] = {{0x90, 0x9c, 0}, {0xa0, 0x100a8, 0x80000000}, {0xc0, 0x100c8, 0x80000000}};
	static const struct {
		uint8_t log2size;
		uint32_t seen; /* with queues of up to 2^8 entries */
	} t[] = {{0, 1}, {1, 3}, {7, 0xff}, {8, 0x1ff}, {9, 0x1ff}, {19, 0x1ff}, {31, 0x1ff}};
	struct smmu_caps c;
	size_t i, k;
	struct rig r;

	(void)state;
	smmu_caps_all(&c);
	c.cmdq_lg2 = c.evtq_lg2 = c.priq_lg2 = 8;
	rig_new_caps(&r, &c);
	for (i = 0; i < ARRAY_SIZE(q); i++) {
		for (k = 0; k < ARRAY_SIZE(t); k++) {
			reg64(&r, q[i].base, t[k].log2size);
			reg32(&r, q[i].index, 0xffffffff);
			assert_int_equal(get32(&r, q[i].index), t[k].seen | q[i].all);
			assert_int_equal(get64(&r, q[i].base), t[k].log2size); /* what was written is read back */
		}
	}
	rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(id_registers),	     cmocka_unit_test(any_id_registers), cmocka_unit_test(refused_capabilities),
		cmocka_unit_test(acknowledgements),  cmocka_unit_test(guards),		 cmocka_unit_test(half_guards),
		cmocka_unit_test(access_sizes),	     cmocka_unit_test(global_bypass),	 cmocka_unit_test(global_errors),
		cmocka_unit_test(reset),	     cmocka_unit_test(without_features), cmocka_unit_test(indices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
