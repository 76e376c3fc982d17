/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest that does what it likes with the SMMUv3 on its function's board: any value into any register, tables and commands that change while they are
 * read, resets and memory that goes away in the middle of DMA. Afterwards the unit works, and nothing outside the guest's memory was written.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>

#include "own_rig.h"

#define REGISTER_WRITES 1200 /* and as many of the function's commands, at least: */
#define COMMANDS	300

struct hostile {
	struct world w;
	uint8_t *beside; /* memory of the VMM that the guest does not have */
};

/* SplitMix64. */
static uint64_t next(uint64_t *seed)
{
	uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* Half of the values could be meant: an address in the guest's memory, with low bits that say something. */
static uint64_t value(struct hostile *t, uint64_t *seed)
{
	uint64_t r = next(seed);

	switch (r & 7) {
	case 0:
		return next(seed);
	case 1:
		return (uintptr_t)t->beside;
	case 2:
		return next(seed) & 0x1f;
	case 3:
		return UINT64_MAX;
	default:
		return GPA(r >> 8 & 127) | (r >> 16 & 0x7f) | (r >> 32 & 3) << 54;
	}
}

static void *scribble(void *opaque)
{
	static const uint8_t pages[] = {CMDQ, STRTAB, STES, OTHER_STES, CDS, OTHER_ROOT, OTHER_ROOT + 1, OTHER_ROOT + 2, EVTQ};
	static const uint8_t op[] = {0x01, 0x03, 0x04, 0x05, 0x06, 0x10, 0x11, 0x12, 0x13, 0x20, 0x28, 0x2a, 0x30, 0x40, 0x44, 0x46, 0xff};
	struct hostile *t = opaque;
	uint64_t seed = 2;

	while (!atomic_load(&t->w.stop)) {
		uint64_t r = next(&seed), *page = scene_table(&t->w.s, pages[r % sizeof(pages)]);
		uint64_t v = r % sizeof(pages) || (r >> 8 & 1) ? value(t, &seed) : (next(&seed) & ~UINT64_C(0xff)) | op[(r >> 9) % sizeof(op)];

		__atomic_store_n(&page[r >> 16 & 511], v, __ATOMIC_RELAXED);
		if (r >> 60 == 0)
			sched_yield(); /* with few processors: the tables are not rubbish all the time */
	}
	return NULL;
}

static void *engine(void *opaque)
{
	struct hostile *t = opaque;
	uint64_t seed = 3;

	while (!atomic_load(&t->w.stop)) {
		uint64_t r = next(&seed);

		(void)scene_run(&t->w.other, r & 1 ? DMATEST_CMD_FILL : DMATEST_CMD_COPY, value(t, &seed), r & 6 ? VA : value(t, &seed), 1 + (r >> 8 & 0x3fff));
		atomic_fetch_add(&t->w.done, 1);
	}
	return NULL;
}

/* The VMM takes the guest's memory from under all of it and gives it back. */
static void *balloon(void *opaque)
{
	struct hostile *t = opaque;
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap), .ioas_id = t->w.s.ioas, .iova = SCENE_GPA, .length = SCENE_PAGES * 4096};
	struct iommu_ioas_map map = {.size = sizeof(map),
				     .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE,
				     .ioas_id = t->w.s.ioas,
				     .user_va = (uintptr_t)t->w.s.guest,
				     .length = SCENE_PAGES * 4096,
				     .iova = SCENE_GPA};

	for (unsigned long was = 0; !atomic_load(&t->w.stop); was = atomic_load(&t->w.done)) {
		assert_int_equal(scene_ioctl(&t->w.s, t->w.s.iommu, IOMMU_IOAS_UNMAP, &unmap), 0);
		assert_int_equal(scene_ioctl(&t->w.s, t->w.s.iommu, IOMMU_IOAS_MAP, &map), 0);
		while (!atomic_load(&t->w.stop) && atomic_load(&t->w.done) < was + 20)
			sched_yield();
	}
	return NULL;
}

/* As its driver would; it does not look what comes of it. */
static void switch_on(struct hostile *t)
{
	store(&scene_table(&t->w.s, STRTAB)[OTHER_SID >> 6], GPA(OTHER_STES) | 7);
	stream_tables(&t->w, OTHER_SID, OTHER_ROOT, DATA, RW_NEVER_USED);
	put(&t->w, CR0, 0);
	put64(&t->w, STRTAB_BASE, GPA(STRTAB));
	put(&t->w, STRTAB_BASE_CFG, 1 << 16 | 6 << 6 | 16);
	put64(&t->w, CMDQ_BASE, GPA(CMDQ) | 8);
	put64(&t->w, EVENTQ_BASE, GPA(EVTQ) | 7);
	put(&t->w, IRQ_CTRL, 5);
	put(&t->w, CR0, 0xd);
}

/* A register that there is, or any address. */
static void write_register(struct hostile *t, uint64_t *seed)
{
	static const uint32_t known[] = {CR0, CR1, 0x2c, 0x44, IRQ_CTRL, GERRORN, 0x68, STRTAB_BASE, STRTAB_BASE_CFG, CMDQ_BASE, CMDQ_PROD,
					 CMDQ_PROD, CMDQ_PROD, CMDQ_CONS, EVENTQ_BASE, EVENTQ_PROD, EVENTQ_CONS, EVENTQ_CONS};
	uint64_t r = next(seed);
	uint32_t off = (r & 31) ? known[(r >> 8) % (sizeof(known) / sizeof(known[0]))] : (uint32_t)(r >> 16) & 0x1fffc;

	if (off == STRTAB_BASE || off == CMDQ_BASE || off == EVENTQ_BASE)
		put64(&t->w, off, value(t, seed));
	else
		put(&t->w, off, (uint32_t)value(t, seed));
	(void)get(&t->w, (uint32_t)next(seed) & 0x1fffc);
	if (r & UINT64_C(1) << 40)
		put(&t->w, GERRORN, get(&t->w, GERROR));
}

static void reset(struct world *w)
{
	uint16_t memory_and_master = 6;

	assert_int_equal(scene_ioctl(&w->s, w->s.dev, VFIO_DEVICE_RESET, NULL), 0);
	assert_int_equal(w->s.k->pwrite(w->s.k->opaque, w->s.dev, &memory_and_master, 2, SCENE_CONFIG + 4), 2);
}

static void hostile_guest(const char *unit)
{
	void *(*const body[])(void *) = {scribble, engine, balloon};
	pthread_t thread[3];
	struct hostile t;
	uint64_t seed = 1;

	t.beside = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(t.beside != MAP_FAILED);
	up_behind(&t.w, unit);
	intx_on(&t.w);
	bring_up(&t.w);
	stream(&t.w, OTHER_SID, OTHER_ROOT, DATA, RW);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, body[i], &t), 0);
	for (unsigned int i = 0; i < REGISTER_WRITES || atomic_load(&t.w.done) < COMMANDS; i++) {
		write_register(&t, &seed);
		sched_yield();
		if (i % 128 == 0)
			reset(&t.w);
		if (i % 8 == 0)
			switch_on(&t);
		if (i % 64 == 0)
			unmask(&t.w);
	}
	atomic_store(&t.w.stop, true);
	for (unsigned int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	for (unsigned int i = 0; i < 4096; i++)
		assert_int_equal(t.beside[i], 0);
	/* It was not all refused at the door. */
	assert_true(count(&t.w, "own.fetch") && count(&t.w, "own.irq") && count(&t.w, "own.cmd-tlb") && count(&t.w, "own.refused"));

	reset(&t.w);
	memset(t.w.s.guest, 0, SCENE_PAGES * 4096);
	t.w.prod = 0;
	bring_up(&t.w);
	stream(&t.w, OTHER_SID, OTHER_ROOT, DATA, RW);
	assert_int_equal(fill(&t.w.other, VA), DMATEST_STATUS_DONE);
	assert_true(holds(&t.w, DATA, ~PAT));
	down(&t.w);
	munmap(t.beside, 4096);
}

static void behind_vtd(void **state)
{
	(void)state;
	hostile_guest(VTD);
}

static void behind_smmu(void **state)
{
	(void)state;
	hostile_guest(SMMU);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(behind_vtd), cmocka_unit_test(behind_smmu)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
