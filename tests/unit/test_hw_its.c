/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The doorbell: which writes are messages, whose they are, and what unmapping waits for. The unit is one that translates nothing, so that what
 * the requester writes to is what the doorbell sees.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "hw/gic_its.h"
#include "mem/guard.h"

#define RID 0x0108u
#define SEG 0x30000u /* segment 3 */

struct bench {
	struct hw_iommu hw;
	struct hw_ops ops;
	struct mem mem;
	struct gic_its *its;
	uint8_t *frame, *ram;
	_Atomic uint32_t last, n;
};

static void same_address(struct hw_iommu *hw, const struct hw_request *req, struct hw_result *res)
{
	(void)hw;
	*res = (struct hw_result){.kind = HW_OK, .lg2 = 12, .perm = HW_READ | HW_WRITE, .pa = hpa(req->addr)};
}

static void deliver(void *opaque, uint32_t lpi)
{
	struct bench *b = opaque;

	atomic_store(&b->last, lpi);
	atomic_fetch_add(&b->n, 1);
}

static void up(struct bench *b)
{
	*b = (struct bench){.ops.translate = same_address};
	assert_int_equal(guard_init(), 0);
	assert_int_equal(mem_init_process(&b->mem), 0);
	b->frame = mmap(NULL, ITS_FRAME_SIZE + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	b->ram = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(b->frame != MAP_FAILED && b->ram != MAP_FAILED);
	b->hw.ops = &b->ops;
	b->hw.mem = &b->mem;
	b->hw.tr = nb_trace_new(NULL);
	b->its = gic_its_new(b->hw.tr, deliver, b);
	assert_non_null(b->its);
	b->hw.doorbell = gic_its_doorbell(b->its, hpa((uintptr_t)b->frame));
	b->hw.doorbell_device = SEG;
	assert_int_equal(gic_its_add_device(b->its, SEG | RID, 4), 0);
	assert_int_equal(gic_its_add_device(b->its, RID, 32), 0);
}

static void down(struct bench *b)
{
	gic_its_free(b->its);
	nb_trace_free(b->hw.tr);
	mem_fini(&b->mem);
	munmap(b->frame, ITS_FRAME_SIZE + 4096);
	munmap(b->ram, 8192);
}

static int write_to(struct bench *b, uint16_t rid, uint64_t off, uint64_t v, size_t n)
{
	return hw_dma_write(&b->hw, rid, NB_NO_PASID, (uintptr_t)b->frame + off, &v, n);
}

static uint32_t came(struct bench *b)
{
	return atomic_exchange(&b->n, 0);
}

static void events(void **state)
{
	struct bench b;

	(void)state;
	up(&b);
	assert_int_equal(gic_its_add_device(b.its, RID, 1), -EEXIST);
	assert_int_equal(gic_its_map(b.its, SEG | RID, 4, 8200), -EINVAL); /* no such event, no such device, no LPI */
	assert_int_equal(gic_its_map(b.its, SEG | (RID + 1), 0, 8200), -EINVAL);
	assert_int_equal(gic_its_map(b.its, SEG | RID, 0, 8191), -EINVAL);
	assert_int_equal(gic_its_map(b.its, SEG | RID, 2, 9000), 0);
	assert_int_equal(gic_its_map(b.its, RID, 7, 9001), 0); /* the same function number in another segment */
	assert_int_equal(write_to(&b, RID, 0x40, 2, 4), 0);
	assert_true(came(&b) == 1 && b.last == 9000);
	/* Nobody's, another's, beyond: posted writes that nobody hears of. */
	for (uint64_t e = 0; e < 64; e++)
		if (e != 2)
			assert_int_equal(write_to(&b, RID, 0x40, e, 4), 0);
	assert_int_equal(write_to(&b, RID, 0x40, UINT32_MAX, 4), 0);
	assert_int_equal(write_to(&b, RID + 1, 0x40, 2, 4), 0);
	assert_int_equal(came(&b), 0);
	assert_int_equal(nb_trace_count(b.hw.tr, NB_EV_hw_its_no_event), 63 + 2);
	gic_its_unmap(b.its, SEG | RID, 0, 2);
	assert_int_equal(write_to(&b, RID, 0x40, 2, 4), 0);
	assert_int_equal(came(&b), 1);
	gic_its_unmap(b.its, SEG | RID, 1, UINT32_MAX);
	assert_int_equal(write_to(&b, RID, 0x40, 2, 4), 0);
	assert_int_equal(came(&b), 0);
	down(&b);
}

/* Anything but one aligned word at the register. What the write would have hit beside it is not memory either. */
static void wrong_writes(void **state)
{
	static const struct {
		uint64_t off;
		size_t n;
	} bad[] = {{0x40, 1}, {0x40, 2}, {0x40, 3}, {0x40, 5}, {0x40, 8}, {0x3c, 4}, {0x3c, 8}, {0x3e, 4}, {0x41, 4}, {0x42, 2}, {0x44, 4},
		   {0, 4}, {0xfffc, 4}, {0x1040, 4}, {0xf040, 4}};
	uint64_t v = 0;
	struct bench b;
	char page[4096] = {0};

	(void)state;
	up(&b);
	for (uint32_t e = 0; e < 4; e++)
		assert_int_equal(gic_its_map(b.its, SEG | RID, e, 8192 + e), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(write_to(&b, RID, bad[i].off, 0, bad[i].n), 0);
	assert_int_equal(hw_dma_write(&b.hw, RID, NB_NO_PASID, (uintptr_t)b.frame, page, sizeof(page)), 0);
	assert_int_equal(came(&b), 0);
	assert_int_equal(nb_trace_count(b.hw.tr, NB_EV_hw_its_bad_write), sizeof(bad) / sizeof(*bad) + 1);
	/* Nothing is read there, and outside nothing is a doorbell. */
	assert_int_equal(hw_dma_read(&b.hw, RID, NB_NO_PASID, (uintptr_t)b.frame + 0x40, &v, 4), -EFAULT);
	assert_int_equal(write_to(&b, RID, ITS_FRAME_SIZE, 0, 4), -EFAULT);
	b.hw.doorbell = NULL;
	assert_int_equal(write_to(&b, RID, 0x40, 0, 4), -EFAULT);
	assert_int_equal(came(&b), 0);
	assert_int_equal(hw_dma_write(&b.hw, RID, NB_NO_PASID, (uintptr_t)b.ram, page, sizeof(page)), 0);
	assert_int_equal(nb_trace_count(b.hw.tr, NB_EV_hw_dma_bad_pa), 3);
	down(&b);
}

/*
 * What a function sends as a message costs no fault in the process: a thread that has SIGSEGV blocked, which would be its end, can send them. To
 * memory it is a write, and elsewhere nothing.
 */
static void sent_without_a_fault(void **state)
{
	uint32_t event = 3, word;
	sigset_t segv, old;
	struct bench b;

	(void)state;
	up(&b);
	assert_int_equal(gic_its_map(b.its, SEG | RID, event, 9000), 0);
	sigemptyset(&segv);
	sigaddset(&segv, SIGSEGV);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &segv, &old), 0);
	assert_int_equal(hw_message(&b.hw, RID, (uintptr_t)b.frame + 0x40, event), 0);
	assert_int_equal(hw_message(&b.hw, RID, (uintptr_t)b.frame + 0x40, event + 1), 0);
	assert_int_equal(hw_message(&b.hw, RID, (uintptr_t)b.frame + ITS_FRAME_SIZE - 4, event), 0);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);
	assert_true(came(&b) == 1 && b.last == 9000);
	assert_int_equal(nb_trace_count(b.hw.tr, NB_EV_hw_its_no_event), 1);
	assert_int_equal(nb_trace_count(b.hw.tr, NB_EV_hw_its_bad_write), 1);
	assert_int_equal(hw_message(&b.hw, RID, (uintptr_t)b.ram + 8, 0x11223344), 0);
	memcpy(&word, b.ram + 8, sizeof(word));
	assert_int_equal(word, 0x11223344);
	assert_int_equal(nb_trace_count(b.hw.tr, NB_EV_hw_dma_write), 4 * sizeof(word));
	assert_int_equal(mprotect(b.ram, 8192, PROT_NONE), 0);
	assert_int_equal(hw_message(&b.hw, RID, (uintptr_t)b.ram + 8, 1), -EFAULT);
	assert_int_equal(came(&b), 0);
	down(&b);
}

/* ---- threads: a delivery that has begun is over when unmap returns ---- */

static struct {
	struct bench *b;
	_Atomic bool inside, started, returned, late;
} race;

static void deliver_slowly(void *opaque, uint32_t lpi)
{
	(void)opaque;
	(void)lpi;
	atomic_store(&race.inside, true);
	while (!atomic_load(&race.started))
		sched_yield();
	for (unsigned int i = 0; i < 200; i++)
		sched_yield(); /* time enough for one that does not wait */
	atomic_store(&race.late, atomic_load(&race.returned));
}

static void *send(void *arg)
{
	(void)arg;
	write_to(race.b, RID, 0x40, 1, 4);
	return NULL;
}

static void unmap_waits(void **state)
{
	struct bench b;
	pthread_t t;

	(void)state;
	up(&b);
	gic_its_free(b.its);
	b.its = gic_its_new(b.hw.tr, deliver_slowly, NULL);
	b.hw.doorbell = gic_its_doorbell(b.its, hpa((uintptr_t)b.frame));
	assert_int_equal(gic_its_add_device(b.its, SEG | RID, 4), 0);
	for (unsigned int i = 0; i < 20; i++) {
		race.b = &b;
		race.inside = race.started = race.returned = race.late = false;
		assert_int_equal(gic_its_map(b.its, SEG | RID, 1, 8192), 0);
		assert_int_equal(pthread_create(&t, NULL, send, NULL), 0);
		while (!atomic_load(&race.inside))
			sched_yield();
		atomic_store(&race.started, true);
		gic_its_unmap(b.its, SEG | RID, 1, 1);
		atomic_store(&race.returned, true);
		pthread_join(t, NULL);
		assert_false(race.late);
	}
	down(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events),
		cmocka_unit_test(wrong_writes),
		cmocka_unit_test(sent_without_a_fault),
		cmocka_unit_test(unmap_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
