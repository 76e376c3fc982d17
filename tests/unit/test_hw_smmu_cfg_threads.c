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

/* ---- an entry that is invalidated while it is being read ---- */

/*
 * The structures lie behind callbacks. When the last word of the one in question has been read, another thread invalidates it and it
 * changes: what was read belongs to the past and may serve the request, but not stay.
 */
#define SLOW UINT64_C(0x60000000)

struct slow {
	struct rig *r;
	uint64_t word[1024];
	uint64_t trip; /* offset; UINT64_MAX: none */
	uint64_t q0, q1;
};

static void *invalidate(void *arg)
{
	struct slow *s = arg;

	assert_true(cmd(s->r, s->q0, s->q1)); /* no CMD_SYNC: it would wait for the reader */
	return NULL;
}

static uint64_t slow_read(void *opaque, uint64_t off, unsigned int size)
{
	struct slow *s = opaque;
	uint64_t v = s->word[off / 8];
	pthread_t th;

	assert_int_equal(size, 8);
	if (off == s->trip) {
		s->trip = UINT64_MAX;
		assert_int_equal(pthread_create(&th, NULL, invalidate, s), 0);
		pthread_join(th, NULL);
	}
	return v;
}

static void slow_write(void *opaque, uint64_t off, unsigned int size, uint64_t v)
{
	(void)opaque;
	(void)off;
	(void)size;
	(void)v;
}

static const struct mem_mmio_ops slow_ops = {.read = slow_read, .write = slow_write};

/* Offsets: level 1 stream table at 0 (RIG_SID >> 6 is 4), STEs at 0x1000, level 1 CDs at 0x400, CDs at 0x800. */
enum { L1STD_AT = 4 * 8, STE_AT = 0x1000 + (RIG_SID & 63) * 64, L1CD_AT = 0x400, CD_AT = 0x800 };

static void caught_in_the_act(void **state)
{
	static const struct {
		const char *what;
		uint64_t trip, q0, q1;
		uint64_t at, was; /* what the entry was before: a fault */
	} t[] = {
		{"L1STD", L1STD_AT, 0x03 | SID64, 0, L1STD_AT, 0},
		{"STE", STE_AT + 56, 0x03 | SID64, 1, STE_AT, 0},
		{"L1CD", L1CD_AT, 0x05 | SID64, 0, L1CD_AT, 0},
		{"CD", CD_AT + 56, 0x05 | SID64, 1, CD_AT, 0},
		{"CD, by CFGI_ALL", CD_AT + 56, 0x04, 31, CD_AT, 0},
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		static struct slow s;
		uint64_t page, good;
		struct rig r;

		memset(&s, 0, sizeof(s));
		rig_new(&r);
		assert_int_equal(mem_add_mmio(&r.mem, hpa(SLOW), sizeof(s.word), &slow_ops, &s), 0);
		page = rig_s1(&r);
		s.r = &r;
		s.word[L1STD_AT / 8] = (SLOW + 0x1000) | 7;
		s.word[STE_AT / 8] = STE_S1 | (SLOW + L1CD_AT) | 0x10 | UINT64_C(7) << 59;
		s.word[STE_AT / 8 + 1] = 2; /* S1DSS: CD 0 */
		s.word[STE_AT / 8 + 2] = RIG_VMID;
		s.word[L1CD_AT / 8] = SLOW | 1; /* CDs of 4 KiB tables: CD 32 is at 0x800 */
		s.word[CD_AT / 8] = CD0;
		s.word[CD_AT / 8 + 1] = r.s1root;
		reg32(&r, 0x20, 0xe);
		reg64(&r, 0x80, SLOW);
		reg32(&r, 0x88, 16 | 6 << 6 | 1 << 16);
		reg32(&r, 0x20, 0xf);
		cfgi_all(&r);
		good = s.word[t[i].at / 8];
		s.word[t[i].at / 8] = t[i].was;
		s.trip = t[i].trip;
		s.q0 = t[i].q0 | ((t[i].q0 & 0xff) == 5 ? 32u << 12 : 0);
		s.q1 = t[i].q1;
		assert_int_equal(go_ssid(&r, 32, RIG_VA, HW_READ, 0).kind, HW_FAULT);
		assert_int_equal(s.trip, UINT64_MAX);
		s.word[t[i].at / 8] = good;
		/* Nothing was invalidated since, and yet it is the new one. */
		if (go_ssid(&r, 32, RIG_VA, HW_READ, 0).kind != HW_OK)
			print_error("%s\n", t[i].what);
		ok_at(go_ssid(&r, 32, RIG_VA, HW_READ, 0), page);
		rig_free(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(page_table),	cmocka_unit_test(page_table_stalls), cmocka_unit_test(context_descriptor),
		cmocka_unit_test(stream_table), cmocka_unit_test(second_stage), cmocka_unit_test(caught_in_the_act),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
