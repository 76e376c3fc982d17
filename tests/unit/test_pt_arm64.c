/* SPDX-License-Identifier: BSD-3-Clause */
/* pt: VMSAv8-64 descriptors bit by bit (DDI 0487 D8.3), start tables side by side, 52-bit addresses, limits. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "pt/pt.h"

#define K4   UINT64_C(0x1000)
#define M2   UINT64_C(0x200000)
#define G1   UINT64_C(0x40000000)
#define K16  UINT64_C(0x4000)
#define M32  UINT64_C(0x2000000)
#define K64  UINT64_C(0x10000)
#define M512 UINT64_C(0x20000000)
#define T4   UINT64_C(0x40000000000)
#define RW   (PT_READ | PT_WRITE)

struct rig {
	struct mem mem;
	struct mem_pool *pool;
	struct pt pt;
	struct pt_gather g;
};

static void rig_up(struct rig *r, const struct pt_fmt *fmt, uint8_t levels, uint8_t concat, uint64_t sizes)
{
	memset(r, 0, sizeof(*r));
	assert_int_equal(guard_init(), 0);
	assert_int_equal(mem_init_process(&r->mem), 0);
	r->pool = mem_pool_new(&r->mem);
	assert_non_null(r->pool);
	r->pt.pool = r->pool;
	r->pt.levels = levels;
	r->pt.concat_lg2 = concat;
	r->pt.pgsizes = sizes;
	assert_int_equal(pt_init(&r->pt, fmt), 0);
}

static void rig_down(struct rig *r)
{
	pt_gather_free(&r->pt, &r->g);
	pt_fini(&r->pt);
	mem_pool_free(r->pool);
	mem_fini(&r->mem);
}

static const uint64_t *next(uint64_t e)
{
	return (const uint64_t *)(uintptr_t)(e & UINT64_C(0xfffffffff000));
}

static void stage1_4k(void **state)
{
	const uint64_t *t;
	struct rig r;

	(void)state;
	rig_up(&r, &pt_fmt_arm64_s1_4k, 4, 0, K4 | M2 | G1);
	assert_int_equal(pt_ia_lg2(&r.pt), 48);
	assert_int_equal(pt_map(&r.pt, 0, 0x7000, K4, RW, &r.g), 0);
	assert_int_equal(pt_map(&r.pt, K4, 0x8000, K4, PT_READ, &r.g), 0);
	assert_int_equal(pt_map(&r.pt, 2 * K4, 0xfffffffff000, K4, RW | PT_TRACK, &r.g), 0);
	assert_int_equal(pt_map(&r.pt, 3 * K4, 0x9000, K4, RW | PT_DEVICE, &r.g), 0);
	assert_int_equal(pt_map(&r.pt, 4 * K4, 0xa000, K4, PT_WRITE, &r.g), 0);
	assert_int_equal(pt_map(&r.pt, M2, 4 * M2, M2, RW, &r.g), 0);
	assert_int_equal(pt_map(&r.pt, G1, 4 * G1, G1, PT_READ | PT_TRACK, &r.g), 0);
	t = r.pt.root;
	assert_int_equal(t[0] & 0xfff, 3); /* table descriptors: valid, table, nothing else */
	t = next(t[0]);
	assert_int_equal(t[0] >> 48, 0);
	/* block: valid; index 1, unprivileged, read-only, inner shareable, AF, nG */
	assert_int_equal(t[1], 4 * G1 + 0xfc5);
	t = next(t[0]);
	assert_int_equal(t[1], 4 * M2 + 0xf45);
	t = next(t[0]);
	assert_int_equal(t[0], 0x7000 + 0xf47);
	assert_int_equal(t[1], 0x8000 + 0xfc7);
	assert_int_equal(t[2], UINT64_C(0x8ffffffffff47)); /* DBM */
	assert_int_equal(t[3], 0x9000 + 0xf4b); /* index 2 */
	assert_int_equal(t[4], 0xa000 + 0xf47); /* cannot be write-only */
	rig_down(&r);
}

static void stage2_4k(void **state)
{
	const uint64_t *t;
	struct rig r;

	(void)state;
	rig_up(&r, &pt_fmt_arm64_s2_4k, 3, 1, K4 | M2 | G1); /* 40 bits: two start tables */
	assert_int_equal(pt_ia_lg2(&r.pt), 40);
	assert_int_equal(pt_root(&r.pt).v & 0x1fff, 0);
	assert_int_equal(pt_map(&r.pt, 0, 0x7000, K4, RW, &r.g), 0);
	assert_int_equal(pt_map(&r.pt, K4, 0x8000, K4, PT_READ, &r.g), 0);
	assert_int_equal(pt_map(&r.pt, 2 * K4, 0x9000, K4, PT_WRITE | PT_SNOOP, &r.g), 0);
	assert_int_equal(pt_map(&r.pt, 3 * K4, 0xa000, K4, RW | PT_DEVICE, &r.g), 0);
	assert_int_equal(pt_map(&r.pt, 4 * K4, 0xb000, K4, RW | PT_TRACK, &r.g), 0);
	assert_int_equal(pt_map(&r.pt, (UINT64_C(1) << 40) - G1, 5 * G1, G1, RW, &r.g), 0);
	/* Across the seam of the two tables. */
	assert_int_equal(pt_map(&r.pt, (UINT64_C(1) << 39) - M2, 6 * G1 - M2, 2 * M2, RW, &r.g), 0);
	assert_int_equal(pt_map(&r.pt, UINT64_C(1) << 40, 0, K4, RW, &r.g), -ERANGE);
	t = r.pt.root;
	assert_int_equal(t[0] & 0xfff, 3);
	assert_int_equal(t[1023], 5 * G1 + 0x7fd); /* the last entry of the second table */
	assert_int_equal(next(t[511])[511], 6 * G1 - M2 + 0x7fd);
	assert_int_equal(next(t[512])[0], 6 * G1 + 0x7fd);
	t = next(next(t[0])[0]);
	assert_int_equal(t[0], 0x7000 + 0x7ff); /* write-back 1111, read, write, inner, AF */
	assert_int_equal(t[1], 0x8000 + 0x77f);
	assert_int_equal(t[2], 0x9000 + 0x79b); /* 0110: forced write-back; write only */
	assert_int_equal(t[3], 0xa000 + 0x7c7); /* 0001: Device-nGnRE */
	assert_int_equal(t[4], UINT64_C(1) << 51 | (0xb000 + 0x7ff));
	rig_down(&r);
}

static void stage1_16k(void **state)
{
	const uint64_t *t;
	struct rig r;

	(void)state;
	rig_up(&r, &pt_fmt_arm64_s1_16k, 3, 0, K16 | M32);
	assert_int_equal(pt_ia_lg2(&r.pt), 47);
	assert_int_equal(pt_map(&r.pt, 3 * K16, 0xfffffffc0000, K16, RW, &r.g), 0);
	assert_int_equal(pt_map(&r.pt, 2047 * M32, 7 * M32, M32, RW, &r.g), 0);
	assert_int_equal(pt_map(&r.pt, K4, 0, K16, RW, &r.g), -EINVAL);
	t = next(((const uint64_t *)r.pt.root)[0]);
	assert_int_equal(t[2047], 7 * M32 + 0xf45);
	assert_int_equal(next(t[0])[3], UINT64_C(0xfffffffc0000) + 0xf47);
	rig_down(&r);
}

/* Address bits 51:48 in bits 15:12, also where a run of pages crosses a change of bit 48. */
static void bits_51_48(void **state)
{
	const uint64_t *t;
	struct pt_leaf leaf;
	struct rig r;

	(void)state;
	rig_up(&r, &pt_fmt_arm64_s1_64k, 3, 0, K64 | M512 | T4);
	assert_int_equal(pt_map(&r.pt, 0, UINT64_C(0xfffffffff0000), K64, RW, &r.g), 0);
	assert_int_equal(pt_map(&r.pt, T4, UINT64_C(0xabc0000000000), T4, RW, &r.g), 0);
	assert_int_equal(pt_map(&r.pt, M512, (UINT64_C(3) << 48) - 2 * K64, M512, RW, &r.g), 0);
	t = r.pt.root;
	assert_int_equal(t[1], UINT64_C(0xbc000000af45));
	t = next(t[0]);
	assert_int_equal(next(t[0])[0], UINT64_C(0xffffffffff47));
	t = next(t[1]);
	assert_int_equal(t[1], UINT64_C(0xffffffff2f47));
	assert_int_equal(t[2], 0x3f47);
	assert_int_equal(t[8191], UINT64_C(0x1ffd0000) + 0x3f47);
	assert_int_equal(pt_lookup(&r.pt, M512 + 5 * K64 + 0x1234, &leaf), 0);
	assert_int_equal(leaf.oa, (UINT64_C(3) << 48) + 3 * K64 + 0x1234);
	/* What fails behind the crossing leaves nothing before it. */
	assert_int_equal(pt_map(&r.pt, M512 - K64, (UINT64_C(3) << 48) - K64, 2 * K64, RW, &r.g), -EADDRINUSE);
	assert_int_equal(pt_lookup(&r.pt, M512 - K64, &leaf), -ENOENT);
	rig_down(&r);
}

static void limits(void **state)
{
	struct rig r;
	struct pt pt;

	(void)state;
	rig_up(&r, &pt_fmt_arm64_s2_16k, 2, 4, K16 | M32);
	assert_int_equal(pt_ia_lg2(&r.pt), 40);
	assert_int_equal(pt_root(&r.pt).v & (16 * K16 - 1), 0);
	assert_int_equal(pt_map(&r.pt, (UINT64_C(1) << 40) - M32, 0, M32, RW, &r.g), 0);
	assert_int_equal(((const uint64_t *)r.pt.root)[16 * 2048 - 1], 0x7fd);
	rig_down(&r);

	/* Narrower than the levels give, on either side. */
	rig_up(&r, &pt_fmt_arm64_s1_64k, 3, 0, K64 | M512);
	pt_fini(&r.pt);
	r.pt.ia_lg2 = 48;
	r.pt.oa_lg2 = 44;
	assert_int_equal(pt_init(&r.pt, &pt_fmt_arm64_s1_64k), 0);
	assert_int_equal(pt_map(&r.pt, (UINT64_C(1) << 48) - K64, (UINT64_C(1) << 44) - K64, K64, RW, &r.g), 0);
	assert_int_equal(pt_map(&r.pt, UINT64_C(1) << 48, 0, K64, RW, &r.g), -ERANGE);
	assert_int_equal(pt_map(&r.pt, 0, UINT64_C(1) << 44, K64, RW, &r.g), -ERANGE);

	pt = (struct pt){.pool = r.pool, .levels = 3, .concat_lg2 = 1, .pgsizes = K4};
	assert_int_equal(pt_init(&pt, &pt_fmt_arm64_s1_4k), -EINVAL); /* stage 1 has one start table */
	pt.concat_lg2 = 5;
	assert_int_equal(pt_init(&pt, &pt_fmt_arm64_s2_4k), -EINVAL);
	pt.concat_lg2 = 0;
	pt.ia_lg2 = 40;
	assert_int_equal(pt_init(&pt, &pt_fmt_arm64_s2_4k), -EINVAL);
	pt.ia_lg2 = 0;
	pt.oa_lg2 = 52;
	assert_int_equal(pt_init(&pt, &pt_fmt_arm64_s2_4k), -EINVAL);
	rig_down(&r);
}

struct seen {
	unsigned int n;
	uint64_t ia;
};

static void on_dirty(void *opaque, uint64_t ia, uint64_t len)
{
	struct seen *s = opaque;

	(void)len;
	s->n++;
	s->ia = ia;
}

static void dirty(void **state)
{
	static const struct pt_fmt *const fmts[] = {&pt_fmt_arm64_s1_4k, &pt_fmt_arm64_s2_4k};
	struct pt_leaf leaf;
	struct seen seen = {0};
	uint64_t *e;
	struct rig r;
	unsigned int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		memset(&seen, 0, sizeof(seen));
		rig_up(&r, fmts[i], 3, 0, K4);
		assert_int_equal(pt_map(&r.pt, 0, 0, 16 * K4, RW | PT_TRACK, &r.g), 0);
		assert_int_equal(pt_map(&r.pt, 16 * K4, 0, K4, PT_READ | PT_TRACK, &r.g), 0);
		assert_int_equal(pt_map(&r.pt, 17 * K4, 0, K4, RW, &r.g), 0);
		assert_int_equal(pt_read_dirty(&r.pt, 0, 32 * K4, true, NULL, NULL), 16); /* they start so */
		assert_int_equal(pt_read_dirty(&r.pt, 0, 32 * K4, true, NULL, NULL), 0);
		e = (uint64_t *)(uintptr_t)next(next(((uint64_t *)r.pt.root)[0])[0]);
		assert_int_equal(e[3] >> 51, 1);
		assert_int_equal(e[3] >> 7 & 1, i == 0); /* read-only for the walker, */
		assert_int_equal(pt_lookup(&r.pt, 3 * K4, &leaf), 0);
		assert_int_equal(leaf.prot & RW, RW);	 /* writable all the same */
		e[3] ^= 0x80;
		assert_int_equal(pt_read_dirty(&r.pt, 0, 32 * K4, false, on_dirty, &seen), 1);
		assert_int_equal(seen.n, 1);
		assert_int_equal(seen.ia, 3 * K4);
		assert_int_equal(pt_unmap(&r.pt, 0, 18 * K4, NULL, &r.g), 0);
		rig_down(&r);
	}
}

/* A block that is cut becomes pages, with the rights and the dirty state it had. */
static void split(void **state)
{
	const uint64_t *t;
	struct rig r;

	(void)state;
	rig_up(&r, &pt_fmt_arm64_s1_64k, 2, 0, K64 | M512);
	assert_int_equal(pt_map(&r.pt, 0, 3 * M512, M512, RW | PT_TRACK, &r.g), 0);
	assert_int_equal(pt_unmap(&r.pt, 0, K64, NULL, &r.g), 0);
	t = next(((const uint64_t *)r.pt.root)[0]);
	assert_int_equal(t[0], 0);
	assert_int_equal(t[1], UINT64_C(1) << 51 | (3 * M512 + K64 + 0xf47));
	assert_int_equal(t[8191], UINT64_C(1) << 51 | (4 * M512 - K64 + 0xf47));
	rig_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stage1_4k), cmocka_unit_test(stage2_4k), cmocka_unit_test(stage1_16k),
		cmocka_unit_test(bits_51_48), cmocka_unit_test(limits), cmocka_unit_test(dirty), cmocka_unit_test(split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
