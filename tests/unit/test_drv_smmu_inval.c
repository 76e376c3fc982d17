/* SPDX-License-Identifier: BSD-3-Clause */
/* SMMUv3 driver: what is unmapped cannot be reached when iotlb_sync() returns, whatever the unit can; and no more commands than needed. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "drv_smmu_rig.h"

#define PA UINT64_C(0x100000000)

/* TLBI fields, from 4.4.1 by hand. */
#define NUM(lo)	  ((lo) >> 12 & 31)
#define SCALE(lo) ((lo) >> 20 & 31)
#define LEAF(hi)  ((hi) & 1)
#define TTL(hi)	  ((hi) >> 8 & 3)
#define TG(hi)	  ((hi) >> 10 & 3)

static uint32_t rnd(uint64_t *s, uint32_t below)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return (uint32_t)((*s * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % below;
}

struct conf {
	const char *name;
	bool ril, e2h;
	uint32_t flags;
	uint8_t granule;
};

static const struct conf confs[] = {
	{"stage 1", true, false, 0, 12},
	{"stage 1, no ranges", false, false, 0, 12},
	{"stage 1, EL2", true, true, 0, 12},
	{"stage 1, EL2, no ranges", false, true, 0, 12},
	{"stage 2", true, false, DRV_ALLOC_NEST_PARENT, 12},
	{"stage 2, no ranges", false, false, DRV_ALLOC_NEST_PARENT, 12},
	{"stage 1, 16 KiB", true, false, 0, 14},
	{"stage 2, 16 KiB", true, false, DRV_ALLOC_NEST_PARENT, 14},
	{"stage 1, 64 KiB", true, false, 0, 16},
	{"stage 2, 64 KiB", false, false, DRV_ALLOC_NEST_PARENT, 16},
};

static void conf_caps(const struct conf *f, struct smmu_caps *c)
{
	rig_caps(c);
	c->ril = f->ril;
	c->hyp = f->e2h;
	c->gran4k = f->granule == 12;
	c->gran16k = f->granule <= 14;
	c->ds = c->ds && f->granule < 16;
}

#define WINDOW 1400 /* pages: more than two tables' worth with 4 KiB */

/* Random maps and unmaps on a window that is always all in the TLB; both units. */
static void nothing_stale(void **state)
{
	unsigned int k;

	(void)state;
	for (k = 0; k < ARRAY_SIZE(confs); k++) {
		static uint64_t at[WINDOW]; /* 0: nothing */
		uint64_t seed = 0x9e3779b97f4a7c15 + k, page = UINT64_C(1) << confs[k].granule, base = 3 * G1 - 700 * page;
		struct drv_domain *d;
		struct smmu_caps c;
		struct rig r;
		unsigned int op, i;

		memset(at, 0, sizeof(at));
		conf_caps(&confs[k], &c);
		rig_up2(&r, &c, &c, 0);
		d = paging(&r, 0, confs[k].flags);
		OK(&r, attach(&r, 0, NB_NO_PASID, d));
		OK(&r, attach(&r, 2, NB_NO_PASID, d));
		for (op = 0; op < 120; op++) {
			unsigned int first = rnd(&seed, WINDOW), n = 1 + rnd(&seed, rnd(&seed, 2) ? 40 : 1000);
			uint64_t pa = PA + (uint64_t)rnd(&seed, 1000) * 0x4000000 + (rnd(&seed, 2) ? base + first * page : 0) % G1;

			if (n > WINDOW - first)
				n = WINDOW - first;
			unmap(&r, d, base + first * page, n * page);
			memset(&at[first], 0, n * sizeof(at[0]));
			if (rnd(&seed, 3)) {
				pa &= ~(page - 1);
				OK(&r, map(&r, d, base + first * page, pa, n * page, RW));
				for (i = 0; i < n; i++)
					at[first + i] = pa + i * page;
			}
			for (i = 0; i < WINDOW; i++) {
				unsigned int dev = i & 1 ? 2 : 0;
				uint64_t got = go(&r, dev, NB_NO_PASID, base + i * page + 8);

				if (got != (at[i] ? at[i] + 8 : FAULT | SMMU_EVT_TRANSLATION))
					fail_msg("%s: op %u page %u: device %u got to %#lx, not %#lx", confs[k].name, op, i, dev,
						 (unsigned long)got, (unsigned long)at[i]);
			}
		}
		block(&r, 0, NB_NO_PASID);
		block(&r, 2, NB_NO_PASID);
		d->ops->free(d);
		rig_down(&r);
	}
}

/* Which commands. */
static void shapes(void **state)
{
	struct smmu_caps c;
	struct rig r;
	struct rig_unit *u = &r.unit[0];
	struct drv_domain *d;
	uint64_t lo = 0, hi = 0;
	unsigned int at;

	(void)state;
	rig_caps(&c);
	rig_up2(&r, &c, &c, 0);
	d = paging(&r, 0, 0);
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
#define UNMAP(ia, len) do { at = u->ncmds; unmap(&r, d, ia, len); } while (0)
	/* Nothing to tell when something appears. */
	at = u->ncmds;
	OK(&r, map(&r, d, 0, PA, 4 * G1, RW));
	OK(&r, map(&r, d, 5 * G1, PA, 3 * M2, RW));
	OK(&r, map(&r, d, 6 * G1, PA + K4, 2000 * K4, RW));
	assert_int_equal(u->ncmds, at);
	/* One page: the last level, which the unit may know. */
	UNMAP(6 * G1, K4);
	assert_int_equal(sent(u, at, SMMU_CMD_TLBI_NH_VA, &lo, &hi), 1);
	assert_int_equal(u->ncmds - at, 2);
	assert_true(NUM(lo) == 0 && SCALE(lo) == 0 && LEAF(hi) == 1 && TTL(hi) == 3 && TG(hi) == 1);
	assert_int_equal(hi & ~UINT64_C(0xfff), 6 * G1);
	assert_int_equal(lo >> 48, 1);	     /* ASID */
	assert_int_equal(lo >> 32 & 0xffff, 0); /* VMID */
	/* 33 pages: 2^0 times 1, then 2^5 times 1. */
	UNMAP(6 * G1 + K4, 33 * K4);
	assert_int_equal(sent(u, at, SMMU_CMD_TLBI_NH_VA, &lo, &hi), 2);
	assert_true(NUM(lo) == 0 && SCALE(lo) == 5 && LEAF(hi) == 1 && TTL(hi) == 3);
	assert_int_equal(hi & ~UINT64_C(0xfff), 6 * G1 + 2 * K4);
	/* A large leaf: of unknown level, and one page of that may not be said. */
	UNMAP(5 * G1, M2);
	assert_int_equal(sent(u, at, SMMU_CMD_TLBI_NH_VA, &lo, &hi), 1);
	assert_true(NUM(lo) == 0 && SCALE(lo) == 9 && LEAF(hi) == 1 && TTL(hi) == 0);
	/* A leaf that is cut: its whole size must go, by an address in it. */
	UNMAP(5 * G1 + M2, K4);
	assert_int_equal(sent(u, at, SMMU_CMD_TLBI_NH_VA, &lo, &hi), 1);
	assert_true(LEAF(hi) == 1 && TTL(hi) == 0 && (NUM(lo) | SCALE(lo)) != 0);
	/* A table goes. */
	UNMAP(6 * G1 + 512 * K4, 512 * K4);
	assert_int_equal(sent(u, at, SMMU_CMD_TLBI_NH_VA, &lo, &hi), 1);
	assert_true(LEAF(hi) == 0 && TTL(hi) == 0 && NUM(lo) == 0 && SCALE(lo) == 9);
	/* Everything. */
	UNMAP(0, UINT64_C(1) << 48);
	assert_int_equal(sent(u, at, SMMU_CMD_TLBI_NH_ASID, &lo, &hi), 1);
	assert_int_equal(u->ncmds - at, 2);
	block(&r, 0, NB_NO_PASID);
	at = u->ncmds;
	OK(&r, map(&r, d, 0, PA, K4, RW));
	UNMAP(0, K4); /* nobody is attached */
	assert_int_equal(u->ncmds, at);
	d->ops->free(d);
	rig_down(&r);

	/* Without range commands: page by page, up to a table. */
	c.ril = false;
	rig_up2(&r, &c, &c, 0);
	d = paging(&r, 0, DRV_ALLOC_NEST_PARENT);
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	OK(&r, map(&r, d, 0, PA + K4, 4096 * K4, RW));
	UNMAP(0, 511 * K4);
	{
		unsigned int n = u->ncmds - at, syncs = n - 511;

		assert_true(n <= 256 || syncs <= 6); /* the log keeps the last 256 */
		at = u->ncmds - 200;
		assert_true(sent(u, at, SMMU_CMD_TLBI_S2_IPA, &lo, &hi) >= 195);
		assert_int_equal(hi & ~UINT64_C(0xfff), 510 * K4);
		assert_true(TG(hi) == 0 && TTL(hi) == 0 && NUM(lo) == 0 && SCALE(lo) == 0);
		assert_int_equal(lo >> 32 & 0xffff, 1);
	}
	UNMAP(512 * K4, 512 * K4);
	assert_int_equal(sent(u, at, SMMU_CMD_TLBI_S12_VMALL, &lo, &hi), 1);
	assert_int_equal(u->ncmds - at, 2);
	block(&r, 0, NB_NO_PASID);
	d->ops->free(d);
	rig_down(&r);
}

/* A range and its number of commands: what NUM and SCALE say is what was meant, to the page. */
static void encoding(void **state)
{
	struct rig r;
	struct drv_domain *d;
	unsigned int n;

	(void)state;
	rig_up(&r);
	d = paging(&r, 0, 0);
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	for (n = 1; n < 3000; n = n < 70 ? n + 1 : n * 3 / 2) {
		struct rig_unit *u = &r.unit[0];
		unsigned int at = u->ncmds, i;
		uint64_t next = 9 * G1;

		unmap(&r, d, 9 * G1, n * K4); /* nothing is there: that does not matter */
		for (i = at; i != u->ncmds; i++) {
			uint64_t lo = u->cmd[i % 256].lo, hi = u->cmd[i % 256].hi;

			if ((lo & 0xff) != SMMU_CMD_TLBI_NH_VA)
				continue;
			assert_int_equal(hi & ~UINT64_C(0xfff), next);
			assert_true(NUM(lo) || SCALE(lo) || TTL(hi));
			next += ((NUM(lo) + 1) << SCALE(lo)) * K4;
		}
		assert_true(next == 9 * G1 + n * K4 || next == 9 * G1 + (n + 1) * K4);
	}
	block(&r, 0, NB_NO_PASID);
	d->ops->free(d);
	rig_down(&r);
}

static void count(void *opaque, uint64_t ia, uint64_t len)
{
	unsigned int *n = opaque;

	(void)ia;
	(void)len;
	++*n;
}

/* HTTU: a write is seen once, and again after it was cleared and told. */
static void dirty(void **state)
{
	struct drv_gather g = {0};
	struct drv_domain *d;
	struct rig r;
	unsigned int i;

	(void)state;
	rig_up(&r);
	assert_true(drv_smmuv3_ops.capable(&r.dev[0], DRV_CAP_DIRTY_TRACKING));
	d = paging(&r, 0, DRV_ALLOC_DIRTY);
	OK(&r, map(&r, d, 0, PA, 64 * K4, RW));
	OK(&r, map(&r, d, M2, PA, M2, RW));
	OK(&r, map(&r, d, 2 * M2, PA, K4, PT_READ));
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	OK(&r, d->ops->set_dirty_tracking(d, true, &r.diag));
#define DIRTY(ia, len, no_clear, n)                                                                      \
	do {                                                                                             \
		unsigned int seen_ = 0;                                                                  \
		OK(&r, d->ops->read_and_clear_dirty(d, ia, len, no_clear, count, &seen_, &g));           \
		d->ops->iotlb_sync(d, &g);                                                               \
		assert_int_equal(seen_, n);                                                              \
	} while (0)
	DIRTY(0, 4 * M2, false, 65); /* a fresh mapping starts so */
	DIRTY(0, 4 * M2, false, 0);
	for (i = 0; i < 3; i++) {
		assert_int_equal(rig_go(&r, 0, NB_NO_PASID, 5 * K4, HW_READ), PA + 5 * K4);
		DIRTY(0, 4 * M2, true, 0);
		assert_int_equal(rig_go(&r, 0, NB_NO_PASID, 5 * K4, HW_WRITE), PA + 5 * K4);
		assert_int_equal(rig_go(&r, 0, NB_NO_PASID, M2 + 7 * K4, HW_WRITE), PA + 7 * K4);
		DIRTY(0, 4 * M2, true, 2);
		DIRTY(0, M2, false, 1);
		DIRTY(M2 + 9 * K4, K4, false, 1); /* a part of a large leaf cleans it all */
		DIRTY(0, 4 * M2, false, 0);
	}
	assert_true(rig_go(&r, 0, NB_NO_PASID, 2 * M2, HW_WRITE) & FAULT);
	block(&r, 0, NB_NO_PASID);
	d->ops->free(d);
	d = paging(&r, 0, 0);
	assert_null(d->ops->set_dirty_tracking);
	d->ops->free(d);
	rig_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_stale), cmocka_unit_test(shapes), cmocka_unit_test(encoding), cmocka_unit_test(dirty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
