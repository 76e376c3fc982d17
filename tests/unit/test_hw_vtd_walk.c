/* SPDX-License-Identifier: BSD-3-Clause */
/* Walks over tables built by hand, and the fault of every step that can refuse. */
#include "hw_vtd_rig.h"

#define NOP NB_NO_PASID
#define VA UINT64_C(0x7f1234567000)

static struct rig *rig_scalable(struct vtd_caps *c)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct vtd_caps all;

	vtd_caps_all(&all);
	rig_new_caps(r, c ? c : &all);
	rig_queue(r, true);
	sm_device(r, RIG_RID, (c ? c->pasid_bits : 1) ? VTD_SCTX_0_PASIDE : 0, 0);
	rig_on(r, VTD_TTM_SCALABLE);
	return r;
}
static void done(struct rig *r)
{
	rig_free(r);
	free(r);
}
static void flush(struct rig *r)
{
	vtd_drop_caches(r->hw);
}

static void test_off_and_interrupts(void **state)
{
	struct rig r;
	struct vtd_caps c;
	struct hw_result res;

	(void)state;
	vtd_caps_all(&c);
	rig_new_caps(&r, &c);
	GOES(&r, NOP, 0x123456789, HW_READ, 0x123456789);
	res = ask(&r, RIG_RID, NOP, 0xfee01004, HW_WRITE, 0);
	assert_int_equal(res.kind, HW_INTERRUPT);
	rig_free(&r);
}

static void test_modes(void **state)
{
	struct vtd_caps c;
	struct rig r;

	(void)state;
	vtd_caps_all(&c);
	rig_new_caps(&r, &c);
	rig_on(&r, VTD_TTM_ABORT);
	FAULTS(&r, NOP, VA, HW_READ, 0x33);
	gcmd(&r, 0, VTD_GCMD_TE);
	rig_on(&r, VTD_TTM_RESERVED);
	FAULTS(&r, NOP, VA, HW_READ, 0x30);
	gcmd(&r, 0, VTD_GCMD_TE);
	rig_on(&r, VTD_TTM_LEGACY);
	FAULTS(&r, 5, VA, HW_READ, 0x31);
	FAULTS(&r, NOP, 0xfee00000, HW_READ, 0x29);
	rig_free(&r);
	c.abort_mode = false;
	rig_new_caps(&r, &c);
	rig_on(&r, VTD_TTM_ABORT);
	FAULTS(&r, NOP, VA, HW_READ, 0x30);
	rig_free(&r);
}

static void test_legacy(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct vtd_caps c;
	uint64_t ctx, pt[6], root, data, e;
	unsigned int levels;
	struct hw_result res;

	(void)state;
	vtd_caps_all(&c);
	c.haw = 46;
	rig_new_caps(r, &c);
	rig_on(r, VTD_TTM_LEGACY);
	FAULTS(r, NOP, VA, HW_READ, 0x01);
	w64(r, r->root + 16, UINT64_C(0x3f00000000) | 1);
	FAULTS(r, NOP, VA, HW_READ, 0x09);
	w64(r, r->root + 16, BIT(46) | 1);
	FAULTS(r, NOP, VA, HW_READ, 0x0a);
	ctx = rig_page(r);
	w64(r, r->root + 24, 1);
	w64(r, r->root + 16, ctx | 1);
	FAULTS(r, NOP, VA, HW_READ, 0x0a);
	w64(r, r->root + 24, 0);
	FAULTS(r, NOP, VA, HW_READ, 0x02);
	ctx += (RIG_RID & 0xff) * 16;
	root = rig_page(r);
	data = rig_page(r);
	w64(r, ctx, root | BIT(4) | 1);
	FAULTS(r, NOP, VA, HW_READ, 0x0b);
	w64(r, ctx, root | 1);
	FAULTS(r, NOP, VA, HW_READ, 0x03); /* AW 0 */
	w64(r, ctx, root | 3 << 2 | 1);
	w64(r, ctx + 8, 2 | 7 << 8);
	FAULTS(r, NOP, VA, HW_READ, 0x03); /* TT 3 */
	w64(r, ctx, UINT64_C(0x3f00000000) | 1);
	FAULTS(r, NOP, VA, HW_READ, 0x03); /* first table is not there */
	flush(r);

	for (levels = 3; levels <= 5; levels++) {
		uint64_t ia = levels == 3 ? VA & BITS(38, 0) : levels == 4 ? VA : VA | BIT(56);
		unsigned int l;

		root = rig_page(r);
		w64(r, ctx, root | 1);
		w64(r, ctx + 8, (levels - 2) | 7 << 8);
		flush(r);
		FAULTS(r, NOP, ia, HW_READ, 0x06); /* no R */
		FAULTS(r, NOP, ia, HW_WRITE, 0x05);
		FAULTS(r, NOP, BIT(3 + 9 * (levels + 1)), HW_READ, 0x04);
		ss_map(r, root, levels, 1, ia, data | SS_RW);
		GOES(r, NOP, ia + 0x123, HW_READ | HW_WRITE, data + 0x123);
		for (l = 1; l <= levels; l++)
			pt[l] = entry_at(r, root, levels, l, ia, SS_RW, 0);
		for (l = 1; l <= levels; l++) {
			e = r64(r, pt[l]);
			w64(r, pt[l], e & ~1ul); /* write-only */
			flush(r);
			FAULTS(r, NOP, ia, HW_READ, 0x06);
			GOES(r, NOP, ia, HW_WRITE, data);
			FAULTS(r, NOP, ia, HW_READ, 0x06); /* from the IOTLB, the same */
			w64(r, pt[l], e & ~2ul);
			flush(r);
			FAULTS(r, NOP, ia, HW_WRITE, 0x05);
			GOES(r, NOP, ia, HW_READ, data);
			w64(r, pt[l], e | BIT(46)); /* beyond HAW */
			flush(r);
			FAULTS(r, NOP, ia, HW_READ, 0x0c);
			w64(r, pt[l], e | BIT(62));
			FAULTS(r, NOP, ia, HW_READ, 0x0c);
			w64(r, pt[l], e | BIT(11)); /* SNP: leaves only */
			if (l == 1)
				GOES(r, NOP, ia, HW_READ, data);
			else
				FAULTS(r, NOP, ia, HW_READ, 0x0c);
			flush(r);
			if (l >= 4) {
				w64(r, pt[l], e | BIT(7));
				FAULTS(r, NOP, ia, HW_READ, 0x0c);
			}
			if (l == 2 || l == 3) { /* misaligned large page */
				w64(r, pt[l], e | BIT(7) | BIT(12));
				FAULTS(r, NOP, ia, HW_READ, 0x0c);
				w64(r, pt[l], RIG_BASE | BIT(7) | SS_RW);
				res = ask(r, RIG_RID, NOP, ia + 5, HW_READ, 0);
				assert_int_equal(res.kind, HW_OK);
				assert_int_equal(res.lg2, 3 + 9 * l);
				assert_int_equal(res.pa.v, RIG_BASE | ((ia + 5) & (BIT(3 + 9 * l) - 1)));
				flush(r);
			}
			if (l > 1) {
				w64(r, pt[l], UINT64_C(0x3f00000000) | SS_RW);
				FAULTS(r, NOP, ia, HW_READ, 0x07);
			}
			w64(r, pt[l], e);
			flush(r);
		}
		w64(r, pt[1], 0xfee00000 | SS_RW);
		FAULTS(r, NOP, ia, HW_READ, 0x0e);
		w64(r, pt[1], data | SS_RW);
		faults_clear(r);
	}
	/* pass-through */
	w64(r, ctx, 2 << 2 | 1);
	flush(r);
	GOES(r, NOP, RIG_BASE + 7, HW_WRITE, RIG_BASE + 7);
	FAULTS(r, NOP, BIT(46), HW_READ, 0x04);
	w64(r, ctx + 8, 1 | 7 << 8); /* 3.9: the width of host addresses counts, not AW */
	flush(r);
	GOES(r, NOP, BIT(39), HW_READ, BIT(39));
	GOES(r, NOP, BITS(45, 0), HW_WRITE, BITS(45, 0));
	FAULTS(r, NOP, BIT(46), HW_READ, 0x04);
	done(r);
}

static void test_scalable_config(void **state)
{
	struct vtd_caps c;
	struct rig *r = calloc(1, sizeof(*r));
	uint64_t half, ctx, q0, good0, good1 = 9 | VTD_PASID_1_PWSNP;
	unsigned int i;

	(void)state;
	vtd_caps_all(&c);
	c.haw = 46;
	c.nd_lg2 = 8;
	c.pasid_bits = 16;
	c.levels5 = c.page_requests = false;
	rig_new_caps(r, &c);
	rig_on(r, VTD_TTM_SCALABLE);
	FAULTS(r, NOP, VA, HW_READ, 0x39);
	half = r->root + 16;
	w64(r, half, UINT64_C(0x3f00000000) | 1);
	FAULTS(r, NOP, VA, HW_READ, 0x40);
	w64(r, half, r->root | 2 | 1);
	FAULTS(r, NOP, VA, HW_READ, 0x3a);
	w64(r, half, 0);
	w64(r, half + 8, ~0ul); /* the other half does not matter */
	sm_device(r, RIG_RID, 0, 0);
	ctx = (r64(r, half) & BITS(51, 12)) + (RIG_RID & 0x7f) * 32u;
	q0 = r64(r, ctx);
	w64(r, ctx, q0 & ~1ul);
	FAULTS(r, NOP, VA, HW_READ, 0x41);
	w64(r, ctx, q0 | BIT(5));
	FAULTS(r, NOP, VA, HW_READ, 0x42);
	w64(r, ctx, q0 | VTD_SCTX_0_PRE); /* no page requests in this unit */
	FAULTS(r, NOP, VA, HW_READ, 0x42);
	w64(r, ctx, q0);
	w64(r, ctx + 24, 1);
	FAULTS(r, NOP, VA, HW_READ, 0x42);
	w64(r, ctx + 24, 0);
	w64(r, ctx + 8, 1 << 13); /* PDTS 0: 8192 PASIDs */
	FAULTS(r, NOP, VA, HW_READ, 0x43);
	w64(r, ctx + 8, 3);
	FAULTS(r, NOP, VA, HW_READ, 0x59); /* PASID 3 */
	flush(r);
	w64(r, ctx + 8, 0);
	FAULTS(r, 1, VA, HW_READ, 0x45);
	FAULTS(r, 0x10000, VA, HW_READ, 0x89);
	w64(r, ctx, q0 | VTD_SCTX_0_PASIDE);
	flush(r);
	FAULTS(r, 8192, VA, HW_READ, 0x46);
	FAULTS(r, 0, VA, HW_READ, 0x48);
	FAULTS(r, 64, VA, HW_READ, 0x51);
	w64(r, r->dir + 8, r->table | BIT(5) | 1);
	FAULTS(r, 64, VA, HW_READ, 0x52);
	w64(r, r->dir + 8, UINT64_C(0x3f00000000) | 1);
	FAULTS(r, 64, VA, HW_READ, 0x58);
	w64(r, ctx, (q0 & 0xfff) | UINT64_C(0x3f00000000) | VTD_SCTX_0_PASIDE);
	flush(r);
	FAULTS(r, 64, VA, HW_READ, 0x50);
	w64(r, ctx, q0 | VTD_SCTX_0_PASIDE);
	flush(r);

	FAULTS(r, 1, VA, HW_READ, 0x59);
	good0 = PGTT(VTD_PGTT_NESTED) | AW(VTD_AW_48) | rig_page(r);
	for (i = 0; i < 8; i++) { /* a reserved bit of each word */
		static const uint64_t rsvd[8] = {BIT(10), BIT(20), BIT(9), BIT(0), BIT(0), BIT(63), BIT(5), BIT(1)};

		sm_pasid(r, 1, good0, good1, RIG_GPA);
		w64(r, pasid_at(r, 1) + 8 * i, r64(r, pasid_at(r, 1) + 8 * i) | rsvd[i]);
		FAULTS(r, 1, VA, HW_READ, 0x5a);
		w64(r, pasid_at(r, 1) + 8 * i, 0);
	}
	sm_pasid(r, 1, good0 | BIT(46), good1, RIG_GPA);
	FAULTS(r, 1, VA, HW_READ, 0x5a);
	sm_pasid(r, 1, good0, good1 | BIT(8), RIG_GPA); /* domain ids have 8 bits */
	FAULTS(r, 1, VA, HW_READ, 0x5a);
	sm_pasid(r, 1, good0, good1, RIG_GPA | VTD_PASID_2_ERE);
	FAULTS(r, 1, VA, HW_READ, 0x5a);
	sm_pasid(r, 1, PGTT(0), good1, 0);
	FAULTS(r, 1, VA, HW_READ, 0x5b);
	sm_pasid(r, 1, PGTT(5), good1, 0);
	FAULTS(r, 1, VA, HW_READ, 0x5b);
	sm_pasid(r, 1, PGTT(VTD_PGTT_SS) | AW(VTD_AW_57), good1, 0);
	FAULTS(r, 1, VA, HW_READ, 0x5b); /* no 5 levels */
	sm_pasid(r, 1, PGTT(VTD_PGTT_FS), good1, 1 << 2);
	FAULTS(r, 1, VA, HW_READ, 0x5b);
	sm_pasid(r, 1, PGTT(VTD_PGTT_NESTED) | AW(VTD_AW_39), good1, BIT(39));
	FAULTS(r, 1, VA, HW_READ, 0x5b); /* FSPTPTR beyond AW */
	sm_pasid(r, 1, PGTT(VTD_PGTT_PT), good1, 0);
	GOES(r, 1, 0x5000, HW_WRITE, 0x5000);
	FAULTS(r, 1, BIT(46), HW_READ, 0x83);
	FAULTS(r, 1, 0xfee00000, HW_WRITE, 0x87); /* with PASID it is no interrupt, and may not go there */
	{
		struct hw_result res = ask(r, RIG_RID, 1, 0x5000, HW_READ, HW_PRIV);

		assert_int_equal(res.fault.reason, 0x5d);
		res = ask(r, RIG_RID, 1, 0x5000, HW_EXEC, 0);
		assert_int_equal(res.fault.reason, 0x5c);
	}
	done(r);
}

/* No unit in the test has a capability that this one lacks; so the field is reserved. */
static void test_caps_make_reserved(void **state)
{
	struct vtd_caps all, c;
	struct rig *r;
	unsigned int i;

	(void)state;
	vtd_caps_all(&all);
	for (i = 0; i < 6; i++) {
		uint64_t q0 = PGTT(VTD_PGTT_PT), q1 = 9, q2 = 0;

		c = all;
		switch (i) {
		case 0:
			c.ss_dirty = false;
			q0 |= VTD_PASID_0_SSADE;
			break;
		case 1:
			c.snoop_control = false;
			q1 |= VTD_PASID_1_PGSNP;
			break;
		case 2:
			c.supervisor = c.rid_priv = false;
			q2 |= VTD_PASID_2_SRE;
			break;
		case 3:
			c.ext_access = false;
			q2 |= VTD_PASID_2_EAFE;
			break;
		case 4:
			c.first_stage = c.nested = c.fs_1g = c.ext_access = false;
			q2 |= VTD_PASID_2_WPE;
			break;
		default:
			c.second_stage = c.nested = c.ss_dirty = false;
			q0 |= AW(2);
		}
		r = rig_scalable(&c);
		sm_pasid(r, 0, q0, q1, q2);
		FAULTS(r, NOP, 0x1000, HW_READ, 0x5a);
		sm_pasid(r, 0, PGTT(VTD_PGTT_PT), 9, 0);
		GOES(r, NOP, 0x1000, HW_READ, 0x1000);
		done(r);
		r = rig_scalable(&all);
		sm_pasid(r, 0, q0, q1, q2);
		GOES(r, NOP, 0x1000, HW_READ, 0x1000);
		done(r);
	}
}

/* Page sizes and snooping that a unit does not have are reserved bits in its tables. */
static void test_caps_in_tables(void **state)
{
	struct vtd_caps all, c;
	struct rig *r;
	unsigned int i, lacks;

	(void)state;
	vtd_caps_all(&all);
	for (i = 0; i < 8; i++) {
		uint64_t root, at;
		unsigned int level = i / 2 == 3 ? 1 : i / 2 == 0 ? 2 : 3;
		bool fs = i / 2 == 2;

		lacks = i & 1;
		c = all;
		if (i == 1)
			c.ss_2m = c.ss_1g = false;
		else if (i == 3)
			c.ss_1g = false;
		else if (i == 5)
			c.fs_1g = false;
		else if (i == 7)
			c.snoop_control = false;
		r = rig_scalable(&c);
		root = rig_page(r);
		if (fs)
			sm_pasid(r, 0, PGTT(VTD_PGTT_FS), 5 | VTD_PASID_1_PWSNP, root);
		else
			sm_pasid(r, 0, PGTT(VTD_PGTT_SS) | AW(VTD_AW_48) | root, 5, 0);
		at = entry_at(r, root, 4, level, VA, fs ? FS_U_RW : SS_RW, 0);
		w64(r, at, RIG_BASE | (level > 1 ? BIT(7) : BIT(11)) | (fs ? FS_U_RW : SS_RW));
		if (lacks)
			FAULTS(r, NOP, VA, HW_READ, fs ? 0x72 : 0x7a);
		else
			GOES(r, NOP, VA, HW_READ, RIG_BASE + (VA & (BIT(3 + 9 * level) - 1)));
		done(r);
	}
}

static void test_first_stage(void **state)
{
	struct rig *r = rig_scalable(NULL);
	unsigned int levels;

	(void)state;
	for (levels = 4; levels <= 5; levels++) {
		uint64_t ia = levels == 4 ? UINT64_C(0xffff812345678000) : UINT64_C(0xff00812345678000);
		uint64_t root = rig_page(r), data = rig_page(r), pt[6], e;
		unsigned int l;
		struct hw_result res;

		sm_pasid(r, 0, PGTT(VTD_PGTT_FS), 5 | VTD_PASID_1_PWSNP,
			 root | (levels == 5 ? 1 << 2 : 0) | VTD_PASID_2_SRE);
		sm_pasid(r, 1, PGTT(VTD_PGTT_FS), 5 | VTD_PASID_1_PWSNP,
			 root | (levels == 5 ? 1 << 2 : 0) | VTD_PASID_2_SRE);
		flush(r);
		FAULTS(r, NOP, ia ^ BIT(levels == 4 ? 48 : 57), HW_READ, 0x80);
		FAULTS(r, NOP, ia ^ BIT(63), HW_READ, 0x80);
		FAULTS(r, NOP, ia, HW_READ, 0x71);
		fs_map(r, root, levels, 1, ia, data | FS_U_RW, 0);
		for (l = 1; l <= levels; l++)
			pt[l] = entry_at(r, root, levels, l, ia, 0, 0);
		GOES(r, NOP, ia + 0x10, HW_READ, data + 0x10);
		for (l = 1; l <= levels; l++)
			assert_true(r64(r, pt[l]) & VTD_FSPTE_A);
		assert_false(r64(r, pt[1]) & VTD_FSPTE_D);
		GOES(r, NOP, ia, HW_WRITE, data); /* A is set already, D is due all the same */
		assert_true(r64(r, pt[1]) & VTD_FSPTE_D);
		assert_false(r64(r, pt[2]) & VTD_FSPTE_D);
		for (l = 1; l <= levels; l++) {
			e = r64(r, pt[l]);
			w64(r, pt[l], e & ~VTD_FSPTE_P);
			flush(r);
			FAULTS(r, NOP, ia, HW_READ, 0x71);
			w64(r, pt[l], e & ~VTD_FSPTE_US);
			FAULTS(r, NOP, ia, HW_READ, 0x81);
			res = ask(r, RIG_RID, 1, ia, HW_READ, HW_PRIV);
			assert_int_equal(res.kind, HW_OK);
			FAULTS(r, 1, ia, HW_READ, 0x81); /* a hit for one privilege is none for the other */
			w64(r, pt[l], e & ~VTD_FSPTE_RW);
			flush(r);
			FAULTS(r, NOP, ia, HW_WRITE, 0x85);
			GOES(r, NOP, ia, HW_READ, data);
			FAULTS(r, NOP, ia, HW_WRITE, 0x85);
			res = ask(r, RIG_RID, 1, ia, HW_WRITE, HW_PRIV); /* WPE clear */
			assert_int_equal(res.kind, HW_OK);
			w64(r, pt[l], e | BIT(11) | BIT(9) | BITS(62, 52) | VTD_FSPTE_XD); /* ignored */
			flush(r);
			GOES(r, NOP, ia, HW_READ, data);
			flush(r);
			if (l >= 4) {
				w64(r, pt[l], e | BIT(7));
				FAULTS(r, NOP, ia, HW_READ, 0x72);
			} else if (l > 1) {
				w64(r, pt[l], RIG_BASE | BIT(7) | BIT(13) | FS_U_RW);
				FAULTS(r, NOP, ia, HW_READ, 0x72);
				w64(r, pt[l], RIG_BASE | BIT(7) | BIT(12) | FS_U_RW); /* PAT */
				GOES(r, NOP, ia, HW_READ, RIG_BASE + (ia & (BIT(3 + 9 * l) - 1)));
				flush(r);
			}
			if (l > 1) {
				w64(r, pt[l], UINT64_C(0x3f00000000) | FS_U_RW | VTD_FSPTE_A);
				FAULTS(r, NOP, ia, HW_READ, 0x70);
			}
			w64(r, pt[l], e);
			flush(r);
		}
		w64(r, pt[1], 0xfee01000 | FS_U_RW);
		FAULTS(r, NOP, ia, HW_READ, 0x87);
		w64(r, pt[1], data | FS_U_RW);
		/* WPE */
		w64(r, pasid_at(r, 1) + 16, r64(r, pasid_at(r, 1) + 16) | VTD_PASID_2_WPE | VTD_PASID_2_EAFE);
		w64(r, pt[1], data | (FS_U_RW & ~VTD_FSPTE_RW));
		flush(r);
		res = ask(r, RIG_RID, 1, ia, HW_WRITE, HW_PRIV);
		assert_int_equal(res.fault.reason, 0x85);
		res = ask(r, RIG_RID, 1, ia, HW_READ, HW_PRIV);
		assert_int_equal(res.kind, HW_OK);
		assert_int_equal(res.perm, HW_READ);
		assert_true(r64(r, pt[1]) & VTD_FSPTE_EA);
		/* page walks that do not snoop cannot set A */
		w64(r, pasid_at(r, 0) + 8, 5);
		w64(r, pt[1], data | FS_U_RW);
		flush(r);
		FAULTS(r, NOP, ia, HW_READ, 0x90);
		w64(r, pt[1], data | FS_U_RW | VTD_FSPTE_A);
		GOES(r, NOP, ia, HW_READ, data);
		FAULTS(r, NOP, ia, HW_WRITE, 0x90);
		/* root */
		w64(r, pasid_at(r, 0) + 16, UINT64_C(0x3f00000000) | (levels == 5 ? 1 << 2 : 0));
		flush(r);
		FAULTS(r, NOP, ia, HW_READ, 0x73);
	}
	done(r);
}

static void test_second_stage(void **state)
{
	struct rig *r = rig_scalable(NULL);
	uint64_t root = rig_page(r), data = rig_page(r), ia = VA, pt[5], e;
	uint64_t q0 = PGTT(VTD_PGTT_SS) | AW(VTD_AW_48) | root;
	unsigned int l;
	struct hw_result res;

	(void)state;
	sm_pasid(r, 0, q0, 5 | VTD_PASID_1_PWSNP, 0);
	FAULTS(r, NOP, ia, HW_READ, 0x79);
	FAULTS(r, NOP, BIT(48), HW_READ, 0x84);
	ss_map(r, root, 4, 1, ia, data | SS_RW);
	GOES(r, NOP, ia, HW_WRITE, data);
	for (l = 1; l <= 4; l++)
		pt[l] = entry_at(r, root, 4, l, ia, 0, 0);
	assert_int_equal(r64(r, pt[1]), data | SS_RW); /* no A/D without SSADE */
	for (l = 1; l <= 4; l++) {
		e = r64(r, pt[l]);
		w64(r, pt[l], e & ~1ul);
		flush(r);
		FAULTS(r, NOP, ia, HW_READ, 0x86);
		w64(r, pt[l], e & ~2ul);
		flush(r);
		FAULTS(r, NOP, ia, HW_WRITE, 0x85);
		w64(r, pt[l], e | BIT(62));
		flush(r);
		FAULTS(r, NOP, ia, HW_READ, 0x7a);
		w64(r, pt[l], 0);
		flush(r);
		res = ask(r, RIG_RID, NOP, ia, HW_READ, 0);
		assert_int_equal(res.fault.reason, 0x79);
		assert_int_equal(res.fault.stage, 2);
		assert_true(res.fault.gpa_valid && res.fault.gpa.v == ia);
		if (l > 1) {
			w64(r, pt[l], UINT64_C(0x3f00000000) | SS_RW);
			flush(r);
			FAULTS(r, NOP, ia, HW_READ, 0x78);
		}
		w64(r, pt[l], e);
		flush(r);
	}
	/* R in one entry, W in another: nothing is granted */
	w64(r, pt[2], r64(r, pt[2]) & ~1ul);
	w64(r, pt[1], r64(r, pt[1]) & ~2ul);
	flush(r);
	FAULTS(r, NOP, ia, HW_READ, 0x79);
	w64(r, pt[2], r64(r, pt[2]) | 3);
	w64(r, pt[1], r64(r, pt[1]) | 3);
	/* SSADE */
	w64(r, pasid_at(r, 0), q0 | VTD_PASID_0_SSADE);
	flush(r);
	GOES(r, NOP, ia, HW_READ, data);
	for (l = 1; l <= 4; l++)
		assert_int_equal(r64(r, pt[l]) & (BIT(8) | BIT(9)), BIT(8));
	GOES(r, NOP, ia, HW_WRITE, data);
	assert_int_equal(r64(r, pt[1]) & (BIT(8) | BIT(9)), BIT(8) | BIT(9));
	assert_int_equal(r64(r, pt[2]) & BIT(9), 0);
	w64(r, pt[1], data | SS_RW);
	w64(r, pasid_at(r, 0) + 8, 5);
	flush(r);
	FAULTS(r, NOP, ia, HW_READ, 0x7c);
	w64(r, pasid_at(r, 0), PGTT(VTD_PGTT_SS) | AW(VTD_AW_48) | UINT64_C(0x3f00000000));
	flush(r);
	FAULTS(r, NOP, ia, HW_READ, 0x7b);
	done(r);
}

/* The second-stage entry of a page of ours. */
static uint64_t ss_of(struct rig *r, uint64_t ss, uint64_t pa)
{
	return entry_at(r, ss, 4, 1, pa + RIG_GPA, 0, 0);
}

static void test_nested(void **state)
{
	struct rig *r = rig_scalable(NULL);
	uint64_t ss = ss_all(r, 4), root = rig_page(r), data = rig_page(r), ia = VA, pt[5], page[5], e, q0;
	unsigned int l;
	struct hw_result res;

	(void)state;
	q0 = PGTT(VTD_PGTT_NESTED) | AW(VTD_AW_48) | ss;
	sm_pasid(r, 0, q0, 5 | VTD_PASID_1_PWSNP, root + RIG_GPA);
	fs_map(r, root, 4, 1, ia, (data + RIG_GPA) | FS_U_RW, RIG_GPA);
	for (l = 1; l <= 4; l++) {
		pt[l] = entry_at(r, root, 4, l, ia, 0, RIG_GPA);
		page[l] = pt[l] & ~0xffful;
	}
	res = ask(r, RIG_RID, NOP, ia + 0x18, HW_READ, 0);
	assert_int_equal(res.kind, HW_OK);
	assert_int_equal(res.pa.v, data + 0x18);
	assert_int_equal(res.lg2, 12);
	assert_int_equal(res.perm, HW_READ | HW_WRITE);
	for (l = 1; l <= 4; l++)
		assert_true(r64(r, pt[l]) & VTD_FSPTE_A);
	GOES(r, NOP, ia, HW_WRITE, data);
	assert_true(r64(r, pt[1]) & VTD_FSPTE_D);
	/* each table's page in the second stage */
	for (l = 1; l <= 4; l++) {
		uint64_t at = ss_of(r, ss, page[l]);

		e = r64(r, at);
		w64(r, at, 0);
		flush(r);
		res = ask(r, RIG_RID, NOP, ia, HW_READ, 0);
		assert_int_equal(res.fault.reason, 0x79);
		assert_int_equal(res.fault.stage, 2);
		assert_int_equal(res.fault.gpa.v & ~0xffful, page[l] + RIG_GPA);
		w64(r, at, e & ~1ul);
		flush(r);
		FAULTS(r, NOP, ia, HW_READ, l == 4 ? 0x75 : 0x76);
		w64(r, at, e & ~2ul); /* A is set already: nothing to write */
		flush(r);
		GOES(r, NOP, ia, HW_READ, data);
		w64(r, pt[l], r64(r, pt[l]) & ~VTD_FSPTE_A);
		flush(r);
		FAULTS(r, NOP, ia, HW_READ, 0x77);
		w64(r, at, e);
		flush(r); /* the lack of W stays cached until then */
		GOES(r, NOP, ia, HW_READ, data);
		flush(r);
	}
	/* the page itself */
	w64(r, ss_of(r, ss, data), data | 1);
	flush(r);
	FAULTS(r, NOP, ia, HW_WRITE, 0x85);
	GOES(r, NOP, ia, HW_READ, data);
	w64(r, ss_of(r, ss, data), data | 2);
	flush(r);
	FAULTS(r, NOP, ia, HW_READ, 0x86);
	w64(r, pt[1], (data + RIG_GPA) | FS_U_RW);
	GOES(r, NOP, ia, HW_WRITE, data);
	w64(r, ss_of(r, ss, data), 0);
	w64(r, pt[1], (data + RIG_GPA) | FS_U_RW);
	flush(r);
	FAULTS(r, NOP, ia, HW_WRITE, 0x79);
	assert_false(r64(r, pt[1]) & VTD_FSPTE_D); /* not written, not dirty */
	w64(r, ss_of(r, ss, data), data | SS_RW);
	for (l = 1; l <= 4; l++) { /* addresses that the second stage cannot take */
		e = r64(r, pt[l]);
		w64(r, pt[l], BIT(48) | FS_U_RW | VTD_FSPTE_A);
		flush(r);
		FAULTS(r, NOP, ia, HW_READ, 0x74);
		w64(r, pt[l], e);
		flush(r);
	}
	for (l = 2; l <= 4; l++) { /* rights of upper second-stage entries, which tables and page share */
		uint64_t at = entry_at(r, ss, 4, l, data + RIG_GPA, 0, 0);

		GOES(r, NOP, ia, HW_READ, data);
		e = r64(r, at);
		w64(r, at, e & ~2ul);
		flush(r);
		FAULTS(r, NOP, ia, HW_WRITE, 0x85);
		GOES(r, NOP, ia, HW_READ, data);
		w64(r, at, e);
		flush(r);
	}
	/* second-stage A and D: table accesses count as writes */
	w64(r, pasid_at(r, 0), q0 | VTD_PASID_0_SSADE);
	flush(r);
	GOES(r, NOP, ia, HW_READ, data);
	assert_int_equal(r64(r, ss_of(r, ss, page[2])) & (BIT(8) | BIT(9)), BIT(8) | BIT(9));
	assert_int_equal(r64(r, ss_of(r, ss, data)) & (BIT(8) | BIT(9)), BIT(8));
	GOES(r, NOP, ia, HW_WRITE, data);
	assert_int_equal(r64(r, ss_of(r, ss, data)) & (BIT(8) | BIT(9)), BIT(8) | BIT(9));
	/* sizes: the smaller stage wins */
	w64(r, pt[2], (RIG_BASE + RIG_GPA) | BIT(7) | FS_U_RW);
	flush(r);
	res = ask(r, RIG_RID, NOP, ia, HW_READ, 0);
	assert_int_equal(res.kind, HW_OK);
	assert_int_equal(res.lg2, 12);
	assert_int_equal(res.pa.v, RIG_BASE + (ia & 0x1fffff));
	done(r);
}

struct seen {
	unsigned int n, stage[3];
	char names[1024];
};
static void on_step(void *opaque, const struct hw_step *s)
{
	struct seen *seen = opaque;

	seen->n++;
	seen->stage[s->stage]++;
	strcat(seen->names, s->name);
	strcat(seen->names, ",");
	assert_true(s->fetched && s->fields[0] && strchr(s->fields, '>'));
}

static void test_walk_op(void **state)
{
	struct rig *r = rig_scalable(NULL);
	uint64_t ss = ss_all(r, 4), root = rig_page(r), data = rig_page(r), misses;
	struct hw_request req = {.addr = VA, .pasid = NOP, .rid = RIG_RID, .access = HW_WRITE};
	struct hw_result res;
	struct seen seen = {0};

	(void)state;
	sm_pasid(r, 0, PGTT(VTD_PGTT_NESTED) | AW(VTD_AW_48) | ss, 5 | VTD_PASID_1_PWSNP, root + RIG_GPA);
	fs_map(r, root, 4, 1, VA, (data + RIG_GPA) | FS_U_RW, RIG_GPA);
	misses = nb_trace_count(r->tr, NB_EV_hw_tlb_miss);
	r->hw->ops->walk(r->hw, &req, on_step, &seen, &res);
	assert_int_equal(res.kind, HW_OK);
	assert_int_equal(res.pa.v, data);
	assert_int_equal(seen.stage[0], 4);
	assert_int_equal(seen.stage[1], 4);
	assert_int_equal(seen.stage[2], 20);
	assert_non_null(strstr(seen.names, "FS-PML4E,SS-PML4E,SS-PDPE,SS-PDE,SS-PTE,FS-PDPE,"));
	/* nothing changed, nothing cached */
	assert_false(r64(r, entry_at(r, root, 4, 1, VA, 0, RIG_GPA)) & (VTD_FSPTE_A | VTD_FSPTE_D));
	assert_int_equal(nb_trace_count(r->tr, NB_EV_hw_tlb_miss), misses);
	req.flags = HW_OBSERVE;
	hw_translate(r->hw, &req, &res);
	assert_int_equal(res.pa.v, data);
	assert_false(r64(r, entry_at(r, root, 4, 1, VA, 0, RIG_GPA)) & (VTD_FSPTE_A | VTD_FSPTE_D));
	req.addr = 0;
	r->hw->ops->walk(r->hw, &req, on_step, &seen, &res);
	assert_int_equal(res.fault.reason, 0x71);
	assert_int_equal(get32(r, VTD_REG_FSTS), 0);
	done(r);
}

static void test_dma(void **state)
{
	struct rig *r = rig_scalable(NULL);
	uint64_t root = rig_page(r), a = rig_page(r), gap = rig_page(r), b = rig_page(r);
	char out[6000], in[6000];
	size_t i;

	(void)state;
	(void)gap;
	for (i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 7);
	sm_pasid(r, 0, PGTT(VTD_PGTT_SS) | AW(VTD_AW_48) | root, 5, 0);
	ss_map(r, root, 4, 1, VA, a | SS_RW);
	ss_map(r, root, 4, 1, VA + 4096, b | SS_RW);
	assert_int_equal(hw_dma_write(r->hw, RIG_RID, NOP, VA + 100, out, sizeof(out)), 0);
	assert_memory_equal(r->buf + (a - RIG_BASE) + 100, out, 3996);
	assert_memory_equal(r->buf + (b - RIG_BASE), out + 3996, 6000 - 3996);
	assert_int_equal(hw_dma_read(r->hw, RIG_RID, NOP, VA + 100, in, sizeof(in)), 0);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(nb_trace_count(r->tr, NB_EV_hw_dma_write), 6000);
	/* a fault in the third page: what came before has moved, the rest of the buffer is untouched */
	memset(in, 0x55, sizeof(in));
	assert_int_equal(hw_dma_read(r->hw, RIG_RID, NOP, VA + 8192 - 100, in, 200), -14);
	assert_int_equal(in[100], 0x55);
	assert_int_not_equal(get32(r, VTD_REG_FSTS), 0);
	/* no memory behind a good translation */
	ss_map(r, root, 4, 1, VA + 0x10000, UINT64_C(0x3f00000000) | SS_RW);
	assert_int_equal(hw_dma_read(r->hw, RIG_RID, NOP, VA + 0x10000, in, 8), -14);
	assert_int_equal(nb_trace_count(r->tr, NB_EV_hw_dma_bad_pa), 1);
	assert_int_equal(hw_dma_write(r->hw, RIG_RID, NOP, 0xfee00000, out, 4), 0);
	assert_int_equal(nb_trace_count(r->tr, NB_EV_hw_dma_irq), 1);
	assert_int_equal(nb_trace_count(r->tr, NB_EV_hw_intr), 1);
	/* no message: not one aligned word */
	assert_int_equal(hw_dma_write(r->hw, RIG_RID, NOP, 0xfee00000, out, 8), -14);
	assert_int_equal(hw_dma_write(r->hw, RIG_RID, NOP, 0xfee00000, out, 2), -14);
	assert_int_equal(hw_dma_write(r->hw, RIG_RID, NOP, 0xfee00002, out, 4), -14);
	assert_int_equal(nb_trace_count(r->tr, NB_EV_hw_dma_irq), 4);
	assert_int_equal(nb_trace_count(r->tr, NB_EV_hw_intr), 1);
	assert_int_equal(hw_dma_write(r->hw, RIG_RID, NOP, UINT64_MAX, out, 2), -14);
	assert_int_equal(hw_dma_read(r->hw, RIG_RID, NOP, 0, in, 0), 0);
	done(r);
}

/* FPD in any of the three entries silences qualified faults, and only those. */
static void test_fpd(void **state)
{
	struct rig *r = rig_scalable(NULL);
	uint64_t ctx = (r64(r, r->root + 16) & BITS(51, 12)) + (RIG_RID & 0x7f) * 32u, q0 = r64(r, ctx);
	struct hw_result res;
	unsigned int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		w64(r, ctx, q0 | (i == 1 ? 2 : 0));
		w64(r, r->dir, r->table | 1 | (i == 2 ? 2 : 0));
		sm_pasid(r, 0, i == 3 ? 2 : 0, 0, 0);
		flush(r);
		faults_clear(r);
		res = ask(r, RIG_RID, NOP, VA, HW_READ, 0);
		assert_int_equal(res.fault.reason, 0x59);
		assert_int_equal(res.fault.recorded, i == 0);
		assert_int_equal(res.fault.record_len, i == 0 ? 16 : 0);
		assert_int_equal(get32(r, VTD_REG_FSTS) & 2, i == 0 ? 2 : 0);
	}
	for (i = 0; i < 4; i++) { /* and of everything that follows */
		w64(r, ctx, q0 | (i == 1 ? 2 : 0));
		w64(r, r->dir, r->table | 1 | (i == 2 ? 2 : 0));
		sm_pasid(r, 0, PGTT(VTD_PGTT_FS) | (i == 3 ? 2 : 0), 0, rig_page(r));
		flush(r);
		res = ask(r, RIG_RID, NOP, VA, HW_READ, 0);
		assert_int_equal(res.fault.reason, 0x71);
		assert_int_equal(res.fault.record_len, i == 0 ? 16 : 0);
		res = ask(r, RIG_RID, NOP, BIT(60), HW_READ, 0);
		assert_int_equal(res.fault.reason, 0x80);
		assert_int_equal(res.fault.record_len, i == 0 ? 16 : 0);
	}
	w64(r, ctx, 2); /* not present, FPD */
	flush(r);
	res = ask(r, RIG_RID, NOP, VA, HW_READ, 0);
	assert_int_equal(res.fault.reason, 0x41);
	assert_false(res.fault.recorded);
	w64(r, ctx, (q0 & 0xfff) | 2 | UINT64_C(0x3f00000000));
	flush(r);
	res = ask(r, RIG_RID, NOP, VA, HW_READ, 0);
	assert_int_equal(res.fault.reason, 0x50); /* not qualified */
	assert_true(res.fault.recorded);
	done(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_off_and_interrupts), cmocka_unit_test(test_modes),
		cmocka_unit_test(test_legacy),		   cmocka_unit_test(test_scalable_config),
		cmocka_unit_test(test_caps_make_reserved), cmocka_unit_test(test_first_stage),
		cmocka_unit_test(test_second_stage),	   cmocka_unit_test(test_nested),
		cmocka_unit_test(test_walk_op),		   cmocka_unit_test(test_dma),
		cmocka_unit_test(test_fpd),		   cmocka_unit_test(test_caps_in_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
