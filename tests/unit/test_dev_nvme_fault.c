/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The NVMe controller when DMA is refused, and when many threads use it at once.
 *
 * Each scenario is replayed with the n-th DMA call failing (wholly, or after half of its bytes) for n = 1, 2, ...
 * until nothing fails. After each failure: the right status or CSTS.CFS, no byte changed that had not arrived,
 * and after a reset everything works.
 */
#include "test_dev_nvme.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define PAGES 40 /* long enough for a list */
#define LEN   (PAGES * 4096)
#define LBA   64

static uint8_t old_data[LEN], new_data[LEN], got[LEN];

static uint64_t page(uint64_t p)
{
	return DATA + 8192 * p; /* no two are neighbours: one transaction each */
}

static struct cmd big(bool write)
{
	return drv_rw(write, LBA, LEN / 512, page(0), LIST);
}

static void fill_pages(struct bus *b, const uint8_t *data)
{
	for (uint64_t p = 0; p < PAGES; p++)
		memcpy(bus_at(b, page(p)), data + 4096 * p, 4096);
}
static void gather_pages(struct bus *b, uint8_t *data)
{
	for (uint64_t p = 0; p < PAGES; p++)
		memcpy(data + 4096 * p, bus_at(b, page(p)), 4096);
}

static void restart(struct drv *d)
{
	drv_enable(d);
	assert_int_equal(drv_create_cq(d, 1, Q_ENTRIES, 1), 0);
	assert_int_equal(drv_create_sq(d, 1, Q_ENTRIES, 1), 0);
}

static void check_each_byte(uint64_t arrived)
{
	for (uint64_t i = 0; i < LEN; i++) {
		if (got[i] != (i < arrived ? new_data[i] : old_data[i]))
			fail_msg("byte %#lx is wrong, %#lx had arrived", (unsigned long)i, (unsigned long)arrived);
	}
}

/* One command on queue 1 with the n-th DMA call refused. Returns false when nothing was refused. */
static bool one(struct drv *d, bool write, unsigned long n, bool half)
{
	struct bus *b = d->b;
	struct cmd c = big(true);
	unsigned long calls;
	uint64_t arrived;
	struct cqe e;
	bool any;

	for (uint64_t p = 1; p < PAGES; p++)
		put64(bus_at(b, LIST + 8 * (p - 1)), page(p));
	fill_pages(b, write ? old_data : new_data);
	assert_int_equal(drv_do(d, 1, &c, NULL), 0);
	fill_pages(b, write ? new_data : old_data);

	c = big(write);
	drv_queue(d, 1, &c);
	b->calls = 0;
	b->fail_at = n;
	b->fail_half = half;
	drv_ring(d, 1);
	calls = b->calls;
	b->fail_at = 0;
	any = drv_poll(d, 1, &e, true);
	/* 1: entry, 2: list, 3 ... PAGES + 2: data, PAGES + 3: completion */
	arrived = n <= 2 ? 0 : (n - 3) * 4096 + (half ? 2048 : 0);
	if (n > PAGES + 2)
		arrived = LEN;
	assert_int_equal(calls, n == 1 ? 1 : n <= PAGES + 2 ? n + 1 : PAGES + 3);
	if (n == 1 || n == PAGES + 3) { /* a queue is not there: fatal */
		if (!(half && n == PAGES + 3)) /* (half a completion has no phase tag) */
			assert_false(any);
		assert_true(r32(b, 0x1c) & 2);
		b->calls = 0;
		drv_ring(d, 1);
		assert_int_equal(b->calls, 0); /* nothing runs any more */
		if (n == 1)
			arrived = 0;
		restart(d);
	} else {
		assert_true(any);
		assert_int_equal(r32(b, 0x1c), 1);
		assert_int_equal(e.status >> 1, n <= PAGES + 2 ? 4 : 0);
	}
	if (write) {
		fill_pages(b, old_data);
		c = big(false);
		assert_int_equal(drv_do(d, 1, &c, NULL), 0);
	}
	gather_pages(b, got);
	check_each_byte(arrived);
	return n <= PAGES + 3;
}

static void test_every_dma_call(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < LEN; i++) {
		old_data[i] = (uint8_t)(1 + i * 3 + (i >> 8));
		new_data[i] = (uint8_t)(old_data[i] + 1 + (i >> 12));
	}
	for (int variant = 0; variant < 4; variant++) {
		struct drv *d = drv_new();
		unsigned long n = 1;

		while (one(d, variant & 1, n, variant & 2))
			n++;
		assert_int_equal(n, PAGES + 4);
		drv_free(d);
	}
}

/* Probing with the n-th call refused: an error status or a fatal state, and a second try that works. */
static void test_probe_faults(void **state)
{
	static const struct cmd cmds[] = {
		{.opcode = 6, .prp1 = DATA, .cdw10 = 1}, {.opcode = 6, .nsid = 1, .prp1 = DATA},
		{.opcode = 2, .prp1 = DATA, .cdw10 = 0x007f0002}, {.opcode = 10, .cdw10 = 7},
	};
	struct drv *d = drv_new();

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		for (unsigned long n = 1; n < 5; n++) {
			unsigned long last = i == 3 ? 2 : 3; /* the completion */
			struct cqe e;
			bool any;

			drv_queue(d, 0, &cmds[i]);
			d->b->calls = 0;
			d->b->fail_at = n;
			drv_ring(d, 0);
			d->b->fail_at = 0;
			any = drv_poll(d, 0, &e, true);
			if (n == 1 || n == last) {
				assert_false(any);
				assert_true(r32(d->b, 0x1c) & 2);
				restart(d);
			} else {
				assert_true(any);
				assert_int_equal(e.status >> 1, n < last ? 4 : 0);
			}
		}
	}
	drv_free(d);
}

/* A refused command among others: its neighbours are not harmed. */
static void test_neighbours(void **state)
{
	struct drv *d = drv_new();
	struct cqe e;

	(void)state;
	for (unsigned int i = 0; i < 20; i++) {
		struct cmd c = drv_rw(true, i, 1, i % 3 == 1 ? BUS_BASE + BUS_LEN + 4096 : DATA + 512 * i, 0);

		memset(bus_at(d->b, DATA + 512 * i), (int)i + 1, 512);
		drv_queue(d, 1, &c);
	}
	drv_ring(d, 1);
	for (unsigned int i = 0; i < 20; i++) {
		assert_true(drv_poll(d, 1, &e, true));
		assert_int_equal(e.status >> 1, i % 3 == 1 ? 4 : 0);
	}
	for (unsigned int i = 0; i < 20; i++) {
		struct cmd c = drv_rw(false, i, 1, DATA + 0x10000, 0);

		assert_int_equal(drv_do(d, 1, &c, NULL), 0);
		for (int k = 0; k < 512; k++)
			assert_int_equal(bus_at(d->b, DATA + 0x10000)[k], i % 3 == 1 ? 0 : i + 1);
	}
	cfg_w(d->b, 4, 2, 2); /* bus master off: the entry cannot be fetched */
	drv_queue(d, 1, &(struct cmd){.opcode = 0, .nsid = 1});
	drv_ring(d, 1);
	assert_int_equal(r32(d->b, 0x1c), 3);
	drv_free(d);
}

/* Threads: two write and read on queues of their own, one meddles with the admin queue, one resets now and then. */
struct job {
	struct bus *b;
	unsigned int q;
	_Atomic bool *stop;
	unsigned long done;
};

static int mt_read(void *opaque, uint32_t pasid, uint64_t addr, void *buf, size_t len)
{
	struct bus *b = opaque;

	(void)pasid;
	if (bus_outside(addr, len))
		return -EFAULT;
	memcpy(buf, b->mem + (addr - BUS_BASE), len);
	return 0;
}
static int mt_write(void *opaque, uint32_t pasid, uint64_t addr, const void *buf, size_t len)
{
	struct bus *b = opaque;

	(void)pasid;
	if (bus_outside(addr, len))
		return -EFAULT;
	memcpy(b->mem + (addr - BUS_BASE), buf, len);
	return 0;
}
static _Atomic unsigned long mt_irqs;
static void mt_irq(void *opaque, enum dev_irq kind, unsigned int vector, bool level)
{
	(void)opaque;
	(void)kind;
	(void)vector;
	(void)level;
	atomic_fetch_add(&mt_irqs, 1);
}

static void *mt_io(void *arg)
{
	struct job *j = arg;
	struct drv d = {.b = j->b};
	uint64_t buf = DATA + 0x10000ull * j->q;

	drv_queue_reset(&d, j->q, Q_ENTRIES);
	for (uint32_t i = 0; !atomic_load(j->stop); i++) {
		struct cmd w = drv_rw(true, 1000 * j->q + i % 64, 1, buf, 0);
		struct cmd r = drv_rw(false, 1000 * j->q + i % 64, 1, buf + 4096, 0);

		memset(bus_at(j->b, buf), (int)(i + j->q), 512);
		assert_int_equal(drv_do(&d, j->q, &w, NULL), 0);
		assert_int_equal(drv_do(&d, j->q, &r, NULL), 0);
		assert_memory_equal(bus_at(j->b, buf), bus_at(j->b, buf + 4096), 512);
		j->done++;
	}
	return NULL;
}

static void *mt_meddle(void *arg)
{
	struct job *j = arg;

	while (!atomic_load(j->stop)) {
		w32(j->b, 0x1000 + 8 * 40, 1); /* no such queue: an event each time */
		(void)r64(j->b, 0x1c);
		w32(j->b, 0x100c + 8 * 2, 0xffff);
		cfg_w(j->b, 4, 2, 6 | 0x400);
		dev_bar_write(j->b->fn, 4, 12, 4, j->done & 1);
		j->done++;
		usleep(20); /* a writer that never rests would leave no room, and prove nothing */
	}
	return NULL;
}

static const struct dev_option mt_size = {"size", NSBYTES_STR};

/* A bus without the counters that a single thread may keep. */
static struct bus *mt_bus(const struct dev_option *opt, unsigned int nopts)
{
	struct bus *b = calloc(1, sizeof(*b));
	struct dev_bus db = {.opaque = b, .dma_read = mt_read, .dma_write = mt_write, .irq = mt_irq};

	assert_non_null(b);
	assert_int_equal(guard_init(), 0);
	b->mem = calloc(1, BUS_LEN);
	assert_non_null(b->mem);
	assert_int_equal(dev_model_find("nvme")->create(opt, nopts, &db, NULL, &b->fn, NULL), 0);
	bus_turn_on(b);
	return b;
}

static void test_threads(void **state)
{
	struct bus *b = mt_bus(&mt_size, 1);
	struct drv d = {.b = b};
	_Atomic bool stop = false;
	struct job job[3] = {{b, 1, &stop, 0}, {b, 2, &stop, 0}, {b, 0, &stop, 0}};
	pthread_t t[3];

	(void)state;
	assert_int_equal(dev_irq_enable(b->fn, DEV_IRQ_MSIX, 9), 0);
	drv_enable(&d);
	for (unsigned int q = 1; q < 3; q++) {
		assert_int_equal(drv_create_cq(&d, q, Q_ENTRIES, q), 0);
		assert_int_equal(drv_create_sq(&d, q, Q_ENTRIES, q), 0);
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&t[i], NULL, i == 2 ? mt_meddle : mt_io, &job[i]), 0);
	for (int i = 0; i < 300; i++)
		assert_int_equal(drv_sc(&d, 0, &(struct cmd){.opcode = i & 1 ? 6 : 2, .prp1 = DATA, .cdw10 = 0x000f0001}), 0);
	usleep(200000);
	atomic_store(&stop, true);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	for (int i = 0; i < 3; i++)
		assert_true(job[i].done > 10);
	assert_true(atomic_load(&mt_irqs) > 40);
	bus_free(b);
}

/* Interrupts held back: all arrive, fewer than there are commands, and nothing is left behind at the end. */
static void test_irq_delay(void **state)
{
	struct dev_option opt[] = {{"size", NSBYTES_STR}, {"irq-delay", "1000"}};
	struct drv d = {.b = mt_bus(opt, 2)};
	unsigned long before;

	(void)state;
	assert_int_equal(dev_irq_enable(d.b->fn, DEV_IRQ_MSIX, 9), 0);
	restart(&d);
	before = atomic_load(&mt_irqs); /* the admin queue's come at once */
	assert_true(before >= 2);
	for (int burst = 0; burst < 5; burst++) {
		unsigned long seen = atomic_load(&mt_irqs);

		for (int i = 0; i < 10; i++) {
			struct cmd c = drv_rw(false, 0, 1, DATA, 0);

			assert_int_equal(drv_do(&d, 1, &c, NULL), 0);
		}
		for (int ms = 0; atomic_load(&mt_irqs) == seen && ms < 5000; ms++)
			usleep(1000);
		assert_true(atomic_load(&mt_irqs) > seen);
	}
	usleep(10000);
	assert_true(atomic_load(&mt_irqs) - before < 40);
	bus_free(d.b); /* with the thread asleep, and once more with it holding something */
	d.b = mt_bus(opt, 2);
	assert_int_equal(dev_irq_enable(d.b->fn, DEV_IRQ_MSIX, 9), 0);
	restart(&d);
	drv_queue(&d, 1, &(struct cmd){.opcode = 0, .nsid = 1});
	drv_ring(&d, 1);
	bus_free(d.b);
}

/* Resets while doorbells ring: no hang, no crash, and it works afterwards. */
static void *mt_hammer(void *arg)
{
	struct job *j = arg;

	for (uint32_t i = 0; !atomic_load(j->stop); i++) {
		w32(j->b, 0x1000 + 4 * (i % 8), i % 32);
		j->done++;
	}
	return NULL;
}

static void test_reset_under_fire(void **state)
{
	struct drv d = {.b = mt_bus(&mt_size, 1)};
	_Atomic bool stop = false;
	struct job job[2] = {{d.b, 0, &stop, 0}, {d.b, 1, &stop, 0}};
	struct cmd c = drv_rw(false, 0, 1, DATA, 0);
	pthread_t t[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, mt_hammer, &job[i]), 0);
	for (int i = 0; i < 200; i++) {
		dev_reset(d.b->fn);
		bus_turn_on(d.b);
		w32(d.b, 0x24, 0x001f001f);
		w64(d.b, 0x28, SQ_AT(0));
		w64(d.b, 0x30, CQ_AT(0));
		w32(d.b, 0x14, 0x00460001);
		usleep(100);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	dev_reset(d.b->fn);
	bus_turn_on(d.b);
	restart(&d);
	assert_int_equal(drv_do(&d, 1, &c, NULL), 0);
	assert_true(job[0].done && job[1].done);
	bus_free(d.b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_dma_call),
		cmocka_unit_test(test_probe_faults),
		cmocka_unit_test(test_neighbours),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_irq_delay),
		cmocka_unit_test(test_reset_under_fire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
