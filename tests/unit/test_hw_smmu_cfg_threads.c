/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SMMUv3 under threads: devices write while their translations, CDs and STEs change. After CMD_SYNC no write reaches a page
 * that was taken away; other threads fault, stall and read the queues meanwhile.
 */
#include "hw_smmu_rig.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#define SID64 ((uint64_t)RIG_SID << 32)
#define ROUNDS 400

struct share {
	struct rig *r;
	_Atomic bool end;
	_Atomic unsigned long done, refused, again;
};

static void *device(void *arg)
{
	struct share *s = arg;
	uint64_t x = 1;

	while (!atomic_load(&s->end)) {
		int err = hw_dma_write(s->r->hw, RIG_SID, NB_NO_PASID, RIG_VA + 8, &x, sizeof(x));

		atomic_fetch_add(err == 0 ? &s->done : err == -EAGAIN ? &s->again : &s->refused, 1);
		x++;
	}
	return NULL;
}

/* Another stream and another SubstreamID, whose configuration comes and goes with ours; page requests. */
static void *neighbour(void *arg)
{
	struct share *s = arg;
	struct hw_page_request pr = {.pasid = 3, .rid = RIG_SID + 1, .access = HW_READ, .last = true};
	struct hw_request req = {.addr = 0x1000, .pasid = NB_NO_PASID, .rid = RIG_SID + 1, .access = HW_READ};
	struct hw_result res;

	while (!atomic_load(&s->end)) {
		req.pasid = NB_NO_PASID;
		hw_translate(s->r->hw, &req, &res);
		req.pasid = 5;
		hw_translate(s->r->hw, &req, &res);
		s->r->hw->ops->page_request(s->r->hw, &pr);
	}
	return NULL;
}

/* event queue is emptied now and then, so that both ways are taken */
static void drain(struct rig *r)
{
	reg32(r, 0x100ac, get32(r, 0x100a8));
	reg32(r, 0x100cc, get32(r, 0x100c8));
	r->nmsi = 0;
}

static void quiet(void *opaque, uint64_t addr, uint32_t data)
{
	(void)opaque;
	(void)addr;
	(void)data;
}

static void no_stall_done(void *opaque, uint32_t pasid, uint64_t addr, bool all, enum hw_stall_end end)
{
	(void)opaque;
	(void)pasid;
	(void)addr;
	(void)all;
	(void)end;
}

/* `how`: 0 the page table, 1 the CD, 2 the STE, 3 all through stage 2. */
static void revoke(unsigned int how, bool stalls)
{
	struct share s = {.done = 0};
	uint64_t page, wanted[2];
	pthread_t th[3];
	unsigned int i;
	struct rig r;

	rig_new(&r);
	r.hw->msi = quiet;
	page = how == 3 ? rig_nested(&r) : rig_s1(&r);
	if (stalls) {
		w64(&r, r.cd, r64(&r, r.cd) | BIT(44));
		r.has_client = true;
		r.client.stall_done = no_stall_done;
	}
	ste(&r, RIG_SID + 1, STE_S1 | r.cd | UINT64_C(3) << 59, 2, RIG_VMID, 0);
	wanted[0] = r64(&r, r.cd);
	wanted[1] = r64(&r, r.strtab + RIG_SID * 64);
	s.r = &r;
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&th[i], NULL, device, &s), 0);
	assert_int_equal(pthread_create(&th[2], NULL, neighbour, &s), 0);
	for (i = 0; i < ROUNDS; i++) {
		unsigned long before = atomic_load(&s.done);
		unsigned int k;

		while (atomic_load(&s.done) == before && i < 20)
			;
		switch (how) {
		case 0:
			rig_map(&r, r.s1root, RIG_VA, 0, 0);
			cmd_put(&r, 0x12 | RIG_VMID << 32 | RIG_ASID << 48, RIG_VA | 1);
			break;
		case 1:
			w64(&r, r.cd, wanted[0] & ~BIT(31));
			cmd_put(&r, 0x05 | SID64, 1);
			break;
		case 2:
			w64(&r, r.strtab + RIG_SID * 64, 0);
			cmd_put(&r, 0x03 | SID64, 1);
			break;
		default:
			rig_map(&r, r.s2root, page + RIG_IPA, 0, 0);
			cmd_put(&r, 0x2a | RIG_VMID << 32, page + RIG_IPA);
			cmd_put(&r, 0x10 | RIG_VMID << 32, 0);
		}
		cmd_put(&r, 0x46, 0);
		assert_int_equal(cmd_go(&r), r.prod);
		/* Nobody writes there any more. */
		w64(&r, page + 8, 0);
		for (k = 0; k < 200; k++)
			assert_int_equal(r64(&r, page + 8), 0);
		if (i % 8 == 0)
			drain(&r);
		if (stalls && i % 8 == 4)
			assert_true(cmd(&r, 0x45 | SID64, 0));
		assert_int_equal(r64(&r, page + 8), 0);
		switch (how) {
		case 0:
			rig_map(&r, r.s1root, RIG_VA, page | S1_RW, 0);
			break;
		case 1:
			w64(&r, r.cd, wanted[0]);
			cmd_put(&r, 0x05 | SID64, 1);
			break;
		case 2:
			w64(&r, r.strtab + RIG_SID * 64, wanted[1]);
			cmd_put(&r, 0x03 | SID64, 1);
			break;
		default:
			rig_map(&r, r.s2root, page + RIG_IPA, page | S2_RW, 0);
		}
		cmd_put(&r, 0x04, 31);
		cmd_put(&r, 0x46, 0);
		assert_int_equal(cmd_go(&r), r.prod);
		if (i % 64 == 63)
			smmu_drop_caches(r.hw);
	}
	atomic_store(&s.end, true);
	for (i = 0; i < 3; i++)
		pthread_join(th[i], NULL);
	assert_true(atomic_load(&s.done) > 0);
	assert_int_equal(stalls, atomic_load(&s.again) > 0);
	rig_free(&r);
}

static void page_table(void **state)
{
	(void)state;
	revoke(0, false);
}
static void page_table_stalls(void **state)
{
	(void)state;
	revoke(0, true);
}
static void context_descriptor(void **state)
{
	(void)state;
	revoke(1, false);
}
static void stream_table(void **state)
{
	(void)state;
	revoke(2, false);
}
static void second_stage(void **state)
{
	(void)state;
	revoke(3, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(page_table),	cmocka_unit_test(page_table_stalls), cmocka_unit_test(context_descriptor),
		cmocka_unit_test(stream_table), cmocka_unit_test(second_stage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
