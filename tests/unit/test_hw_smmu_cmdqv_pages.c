/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The CMDQ-V's pages that nothing traps, and the thread that looks after them.
 */
#include "hw_cmdqv_rig.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#include "base/alloc.h"

/* ---- pages that nothing traps ---- */

static volatile uint32_t *page_of(struct rig *r, unsigned int v)
{
	uint64_t off;
	void *p;
	int fd;

	assert_int_equal(r->hw->ops->register_memory(r->hw, LVCMDQ0(v, 0), 0x10000, &fd, &off), 0);
	p = mmap(NULL, 0x10000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)off);
	assert_true(p != MAP_FAILED);
	return p;
}
static uint32_t page_get(volatile uint32_t *page, unsigned int reg)
{
	return __atomic_load_n(&page[reg / 4], __ATOMIC_ACQUIRE);
}
static void page_put(volatile uint32_t *page, unsigned int reg, uint32_t v)
{
	__atomic_store_n(&page[reg / 4], v, __ATOMIC_RELEASE);
}
static void page_wait(volatile uint32_t *page, unsigned int reg, uint32_t want)
{
	time_t end = time(NULL) + 20;

	while (page_get(page, reg) != want) {
		if (time(NULL) > end)
			fail_msg("register %#x is %#x, not %#x", reg, page_get(page, reg), want);
		sched_yield();
	}
}

/* VCMDQ 3 is LVCMDQ 0 of VINTF 1, of a guest that has enabled it in its page. */
static volatile uint32_t *guest(struct rig *r, struct queue *q)
{
	volatile uint32_t *p = page_of(r, 1);

	vintf(r, 1, RIG_VMID, false);
	give(r, q, 3, 1, 0);
	page_put(p, CONFIG, 1);
	page_wait(p, STATUS, 1);
	return p;
}

static void which_pages(void **state)
{
	static const struct {
		uint64_t off, len;
	} no[] = {{BLOCK, 0x10000}, {BLOCK + 0x10000, 0x10000}, {BLOCK + 0x20000, 0x10000}, {LVCMDQ1(1, 0), 0x10000}, {LVCMDQ0(1, 0), 0x20000},
		  {LVCMDQ0(1, 0), 0x1000}, {LVCMDQ0(1, 0) + 0x1000, 0x1000}, {LVCMDQ0(4, 0), 0x10000}, {0, 0x10000}, {UINT64_MAX, 0x10000},
		  {LVCMDQ0(0, 0) - 0x20000, 0x10000}};
	struct rig r, plain;
	uint64_t off;
	int fd;

	(void)state;
	new(&r);
	for (unsigned int i = 0; i < ARRAY_SIZE(no); i++)
		assert_int_equal(r.hw->ops->register_memory(r.hw, no[i].off, no[i].len, &fd, &off), -EINVAL);
	for (unsigned int v = 0; v < 4; v++)
		assert_int_equal(r.hw->ops->register_memory(r.hw, LVCMDQ0(v, 0), 0x10000, &fd, &off), 0);
	rig_free(&r);
	rig_new(&plain);
	assert_int_equal(plain.hw->ops->register_memory(plain.hw, LVCMDQ0(0, 0), 0x10000, &fd, &off), -EINVAL);
	rig_free(&plain);
}

static void by_the_thread(void **state)
{
	const uint64_t va = 0x12 | RIG_ASID << 48;
	volatile uint32_t *p, *other;
	struct queue q;
	uint64_t page;
	struct rig r;

	(void)state;
	new(&r);
	page = rig_nested(&r);
	p = page_of(&r, 1);
	other = page_of(&r, 2);
	vintf(&r, 1, RIG_VMID, false);
	page_put(p, 0x1000, 0x5a5a5a5a); /* nobody's */
	give(&r, &q, 3, 1, 0);
	page_put(p, CONFIG, 1);
	page_wait(p, STATUS, 1);
	for (unsigned int i = 0; i < 200; i++) {
		cache_again(&r, page);
		put(&r, &q, va, RIG_VA | 1);
		put(&r, &q, 0x46, 0);
		page_put(p, PROD, q.prod);
		page_wait(p, CONS, q.prod);
		assert_false(cached(&r));
	}
	/* An error is seen in the page and ends there. */
	put(&r, &q, 0x10, 0);
	page_put(p, PROD, q.prod);
	page_wait(p, GERROR, 1);
	assert_int_equal(page_get(p, CONS), 1u << 24 | ((q.prod - 1) & 31));
	w64(&r, q.base + 16 * ((q.prod - 1) & 15), 0x46);
	page_put(p, GERRORN, 1);
	page_wait(p, CONS, 1u << 24 | q.prod);
	/* What hardware owns stays its own, whatever is written over it. */
	page_put(p, STATUS, 0);
	page_put(p, GERROR, 0);
	page_put(p, CONS, 0x1234);
	assert_int_equal(get32(&r, LVCMDQ0(1, 0) + STATUS), 1);
	assert_int_equal(get32(&r, LVCMDQ0(1, 0) + GERROR), 1);
	assert_int_equal(get32(&r, LVCMDQ0(1, 0) + CONS), 1u << 24 | q.prod);
	put(&r, &q, 0x46, 0);
	page_put(p, PROD, q.prod);
	page_wait(p, CONS, 1u << 24 | q.prod);
	/* The kernel stops it; the guest starts it again; the kernel takes it away. Then the page is a page. */
	reg32(&r, VCMDQ0(3) + CONFIG, 0);
	assert_int_equal(get32(&r, VCMDQ0(3) + STATUS), 0);
	page_put(p, CONFIG, 1);
	page_wait(p, STATUS, 1);
	reg32(&r, ALLOC(3), 0);
	assert_int_equal(page_get(p, STATUS) | page_get(p, CONFIG) | page_get(p, PROD) | page_get(p, CONS), 0);
	page_put(p, CONFIG, 1);
	page_put(p, PROD, 7);
	give(&r, &q, 3, 1, 0); /* the next owner's begins as it should, not as the page says */
	assert_int_equal(get32(&r, LVCMDQ0(1, 0) + CONFIG) | get32(&r, LVCMDQ0(1, 0) + PROD), 0);
	assert_int_equal(page_get(p, 0x1000), 0x5a5a5a5a);
	assert_int_equal(page_get(other, CONFIG), 0);
	munmap((void *)(uintptr_t)p, 0x10000);
	munmap((void *)(uintptr_t)other, 0x10000);
	rig_free(&r);
}

/* The kernel turns a VINTF off and on: queues come back by themselves. Nothing else that is in its page does, as the next guest would read it. */
static void off_and_on(void **state)
{
	static const unsigned int left[] = {24, 0x7c, 0x80, 0x3ffc, 0x4000, 0xfffc};
	volatile uint32_t *p;
	struct queue q;
	struct rig r;

	(void)state;
	new(&r);
	p = guest(&r, &q);
	for (unsigned int i = 0; i < ARRAY_SIZE(left); i++)
		page_put(p, left[i], 0x5a5a5a5a);
	reg32(&r, VINTF(1), RIG_VMID << 1);
	assert_int_equal(page_get(p, STATUS), 0);
	vintf(&r, 1, RIG_VMID, false);
	page_wait(p, STATUS, 1);
	for (unsigned int i = 0; i < ARRAY_SIZE(left); i++)
		assert_int_equal(page_get(p, left[i]), 0);
	assert_int_equal(page_get(p, CONFIG), 1);
	put(&r, &q, 0x46, 0);
	page_put(p, PROD, q.prod);
	page_wait(p, CONS, q.prod);
	munmap((void *)(uintptr_t)p, 0x10000);
	rig_free(&r);
}

/* Without a thread nobody would look at the queue: it is not given. */
static void no_thread(void **state)
{
	volatile uint32_t *p;
	struct queue q;
	struct rig r;

	(void)state;
	new(&r);
	p = page_of(&r, 1);
	vintf(&r, 1, 1, false);
	nb_fail_nth_arm(1);
	reg32(&r, ALLOC(3), 1 | 1 << 15);
	assert_true(nb_fail_nth_fired());
	assert_int_equal(get32(&r, ALLOC(3)) & 1, 0);
	assert_int_equal(get32(&r, LVCMDQ0(1, 0) + STATUS), 0);
	/* One from before: the VINTF is not enabled. */
	reg32(&r, VINTF(1), 0);
	give(&r, &q, 3, 1, 0);
	nb_fail_nth_arm(1);
	reg32(&r, VINTF(1), 3);
	assert_true(nb_fail_nth_fired());
	assert_int_equal(get32(&r, VINTF(1) + 4), 0);
	vintf(&r, 1, 1, false);
	page_put(p, CONFIG, 1);
	page_wait(p, STATUS, 1);
	munmap((void *)(uintptr_t)p, 0x10000);
	rig_free(&r);
}

/* Held back it does nothing; then it makes up for it. As around a fork. */
static void held(void **state)
{
	volatile uint32_t *p;
	struct queue q;
	struct rig r;

	(void)state;
	new(&r);
	p = page_of(&r, 1);
	r.hw->ops->threads(r.hw, HW_THREADS_HOLD); /* there is none yet */
	vintf(&r, 1, 1, false);
	give(&r, &q, 0, 1, 0);
	page_put(p, CONFIG, 1);
	for (unsigned int i = 0; i < 3; i++) {
		r.hw->ops->threads(r.hw, HW_THREADS_GO);
		page_wait(p, STATUS, 1);
		put(&r, &q, 0x46, 0);
		page_put(p, PROD, q.prod);
		page_wait(p, CONS, q.prod);
		r.hw->ops->threads(r.hw, HW_THREADS_HOLD);
		r.hw->ops->threads(r.hw, HW_THREADS_HOLD);
		put(&r, &q, 0x46, 0);
		page_put(p, PROD, q.prod);
		r.hw->ops->threads(r.hw, HW_THREADS_GO);
		for (unsigned int n = 0; n < 1000; n++)
			sched_yield();
		assert_int_equal(page_get(p, CONS), (q.prod - 1) & 31);
		/* The kernel's own accesses are served all the same. */
		reg32(&r, LVCMDQ0(1, 0) + PROD, q.prod);
		assert_int_equal(page_get(p, CONS), q.prod);
	}
	munmap((void *)(uintptr_t)p, 0x10000);
	rig_free(&r); /* while held */
}

/* ---- what a CMD_SYNC in a page promises ---- */

/* Functions whose accesses take their time after the translation. */
struct slow_dma {
	struct rig *r;
	volatile uint32_t *page;
	_Atomic uint32_t synced; /* CONS when the translation must be out of use; UINT32_MAX: it is not asked for */
	_Atomic unsigned int translated, late;
	_Atomic bool stop;
};

static void *slow_dma(void *arg)
{
	struct slow_dma *d = arg;

	while (!atomic_load(&d->stop)) {
		nb_rcu_read_lock();
		if (go(d->r, RIG_VA, HW_WRITE).kind == HW_OK) {
			atomic_fetch_add(&d->translated, 1);
			for (unsigned int i = 0; i < 50; i++) {
				if (page_get(d->page, CONS) == atomic_load(&d->synced))
					atomic_fetch_add(&d->late, 1);
				sched_yield();
			}
		}
		nb_rcu_read_unlock();
	}
	return NULL;
}

static void synced(void **state)
{
	const uint64_t va = 0x12 | RIG_ASID << 48;
	struct slow_dma d = {.stop = false};
	volatile uint32_t *p;
	struct queue q;
	uint64_t page;
	pthread_t t[2];
	struct rig r;

	(void)state;
	new(&r);
	page = rig_nested(&r);
	p = guest(&r, &q);
	d.r = &r;
	d.page = p;
	atomic_store(&d.synced, UINT32_MAX);
	for (unsigned int i = 0; i < ARRAY_SIZE(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, slow_dma, &d), 0);
	for (unsigned int round = 0; round < 100; round++) {
		unsigned int n = atomic_load(&d.translated);

		atomic_store(&d.synced, UINT32_MAX);
		rig_map(&r, r.s1root, RIG_VA, (page + RIG_IPA) | S1_RW, RIG_IPA);
		while (atomic_load(&d.translated) == n)
			sched_yield();
		rig_map(&r, r.s1root, RIG_VA, 0, RIG_IPA);
		put(&r, &q, va, RIG_VA | 1);
		if (round & 1) { /* not in one batch with its CMD_SYNC */
			page_put(p, PROD, q.prod);
			page_wait(p, CONS, q.prod);
		}
		put(&r, &q, 0x46, 0);
		atomic_store(&d.synced, q.prod);
		page_put(p, PROD, q.prod);
		page_wait(p, CONS, q.prod);
	}
	atomic_store(&d.stop, true);
	for (unsigned int i = 0; i < ARRAY_SIZE(t); i++)
		pthread_join(t[i], NULL);
	assert_int_equal(atomic_load(&d.late), 0);
	munmap((void *)(uintptr_t)p, 0x10000);
	rig_free(&r);
}

/* ---- a guest that writes anything anywhere, in pieces of any size ---- */

struct scribbler {
	volatile uint8_t *page;
	uint8_t *queue;
	_Atomic bool stop;
	uint64_t seed;
};

static uint64_t next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	return *s ^= *s << 17;
}

static void *scribble(void *arg)
{
	struct scribbler *s = arg;

	while (!atomic_load(&s->stop)) {
		uint64_t x = next_random(&s->seed), v = next_random(&s->seed);
		volatile uint8_t *at = s->page + (x & 0xff);

		switch (x >> 8 & 3) {
		case 0:
			__atomic_store_n(at, (uint8_t)v, __ATOMIC_RELAXED);
			break;
		case 1:
			__atomic_store_n((volatile uint16_t *)(volatile void *)(s->page + (x & 0xfe)), (uint16_t)v, __ATOMIC_RELAXED);
			break;
		case 2:
			__atomic_store_n((volatile uint32_t *)(volatile void *)(s->page + (x & 0xfc)), (uint32_t)v, __ATOMIC_RELAXED);
			break;
		default: /* likely to do something */
			__atomic_store_n((volatile uint32_t *)(volatile void *)(s->page + (x & 0x80) + 8), 1, __ATOMIC_RELAXED);
			__atomic_store_n((volatile uint32_t *)(volatile void *)(s->page + (x & 0x80) + 20), (uint32_t)(v & 1), __ATOMIC_RELAXED);
			__atomic_store_n((volatile uint32_t *)(volatile void *)(s->page + (x & 0x80) + 4), (uint32_t)(v >> 8), __ATOMIC_RELAXED);
			break;
		}
		__atomic_store_n((uint64_t *)(void *)(s->queue + (v >> 32 & 0xff8)), x & 1 ? 0x46 : v, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void quiet_msi(void *opaque, uint64_t addr, uint32_t data)
{
	(void)opaque;
	(void)addr;
	(void)data;
}

static void hostile(void **state)
{
	struct scribbler s = {.seed = 0x1234567};
	struct queue q[2], hyp;
	volatile uint32_t *p;
	pthread_t t;
	struct rig r;

	(void)state;
	new(&r);
	r.hw->msi = quiet_msi;
	rig_nested(&r);
	vintf(&r, 0, 0, true);
	give(&r, &hyp, 7, 0, 0);
	enable(&r, &hyp);
	vintf(&r, 1, 1, false);
	give(&r, &q[0], 0, 1, 0);
	give(&r, &q[1], 1, 1, 1);
	p = page_of(&r, 1);
	s.page = (volatile uint8_t *)p;
	s.queue = r.buf + (q[0].base - RIG_BASE);
	assert_int_equal(pthread_create(&t, NULL, scribble, &s), 0);
	for (unsigned int i = 0; i < 300; i++) {
		/* The host's queues and another's translations are not hurt. */
		assert_true(send(&r, &hyp, 0x46, 0));
		assert_int_equal(go(&r, RIG_VA, HW_READ).kind, HW_OK);
		if (i % 10 == 9) {
			reg32(&r, VCMDQ0(1) + CONFIG, 0);
			reg32(&r, ALLOC(1), 0);
			assert_int_equal(get32(&r, VCMDQ0(1) + STATUS) | get32(&r, VCMDQ0(1) + CONFIG), 0);
			give(&r, &q[1], 1, 1, 1);
			r.next = q[1].base + 0x1000;
		}
	}
	/* Taken away under its hands: after that its memory is read no more. */
	reg32(&r, ALLOC(1), 0);
	reg32(&r, ALLOC(0), 0);
	reg32(&r, VINTF(1), 0);
	atomic_store(&s.stop, true);
	pthread_join(t, NULL);
	assert_int_equal(get32(&r, BLOCK + 0x14), 0);
	assert_int_equal(get32(&r, 0x60), 0);
	munmap((void *)(uintptr_t)p, 0x10000);
	rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(which_pages),
		cmocka_unit_test(by_the_thread),
		cmocka_unit_test(off_and_on),
		cmocka_unit_test(no_thread),
		cmocka_unit_test(held),
		cmocka_unit_test(synced),
		cmocka_unit_test(hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
