/* SPDX-License-Identifier: BSD-3-Clause */
/* A function that brings an SMMUv3 of its own: translation, interrupts, who has the last word, reset, descriptions. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "base/alloc.h"
#include "own_rig.h"

static void reset_to_translation(const char *unit)
{
	struct vfio_region_info info = {.argsz = sizeof(info), .index = 5};
	struct world w;

	up_behind(&w, unit);
	assert_int_equal(scene_ioctl(&w.s, w.s.dev, VFIO_DEVICE_GET_REGION_INFO, &info), 0);
	assert_int_equal(info.size, 0x20000);
	assert_int_equal(info.flags, VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE); /* a VMM traps each access */
	info.index = 5;
	assert_int_equal(scene_ioctl(&w.other, w.other.dev, VFIO_DEVICE_GET_REGION_INFO, &info), 0);
	assert_int_equal(info.size, 0);

	/* Both stages, two-level tables, coherent; 16 bits of StreamID. Until it is enabled nothing is translated. */
	assert_int_equal(get(&w, IDR0) & 3, 3);
	assert_int_equal(get(&w, IDR0) >> 27 & 3, 1);
	assert_int_equal(get(&w, IDR0) >> 10 & 1, 0); /* no ATS */
	assert_int_equal(get(&w, IDR1) & 0x3f, 16);
	assert_int_equal(fill(&w.s, GPA(DATA)), DMATEST_STATUS_DONE);
	assert_true(holds(&w, DATA, PAT));

	bring_up(&w);
	assert_int_equal(fill(&w.s, VA), DMATEST_STATUS_ERROR);
	expect_event(&w, 0x04, SID, 0); /* C_BAD_STE */
	stream(&w, SID, ROOT, DATA + 1, RW);
	assert_int_equal(fill(&w.s, VA), DMATEST_STATUS_DONE);
	assert_true(holds(&w, DATA + 1, PAT));
	assert_int_equal(fill(&w.s, GPA(DATA + 2)), DMATEST_STATUS_ERROR);
	expect_event(&w, 0x10, SID, GPA(DATA + 2)); /* F_TRANSLATION */
	assert_true(holds(&w, DATA + 2, 0));

	assert_int_equal(count(&w, "own.cmd-config"), 2);
	assert_int_equal(count(&w, "own.cmd-tlb"), 1);
	assert_int_equal(count(&w, "own.cmd-sync"), 2);
	assert_true(count(&w, "own.fetch") > 0);
	assert_int_equal(count(&w, "own.refused"), 2);
	assert_int_equal(count(&w, "hw.fault"), 0); /* the host has seen nothing of it */
	assert_int_equal(count(&w, "hw.dma-write"), 2 * 4096);
	down(&w);
}

static void from_reset_to_translation(void **state)
{
	(void)state;
	reset_to_translation(VTD);
	reset_to_translation(SMMU);
}

static void invalidation(void **state)
{
	struct world w;

	(void)state;
	up(&w);
	bring_up(&w);
	stream(&w, SID, ROOT, DATA, RW_NEVER_USED);
	assert_int_equal(fill(&w.s, VA), DMATEST_STATUS_DONE);
	assert_int_equal(scene_table(&w.s, ROOT + 2)[VA >> 12 & 511], GPA(DATA) | RW); /* the walk has set it */
	/* What is not invalidated is kept; what is, is not. */
	scene_table(&w.s, ROOT + 2)[VA >> 12 & 511] = GPA(DATA + 1) | RW;
	scene_put64(&w.s, DMATEST_PATTERN, 7);
	assert_int_equal(fill(&w.s, VA), DMATEST_STATUS_DONE);
	assert_true(holds(&w, DATA, 7));
	command(&w, UINT64_C(5) << 48 | 0x12, VA | 1); /* TLBI_NH_VA, leaf */
	sync_(&w);
	assert_int_equal(fill(&w.s, VA), DMATEST_STATUS_DONE);
	assert_true(holds(&w, DATA + 1, 7));
	down(&w);
}

/* CD.A clear: what faults reads as zero and is not written, and nobody but the event queue hears of it. */
static void read_as_zero(void **state)
{
	struct world w;

	(void)state;
	up(&w);
	bring_up(&w);
	stream(&w, SID, ROOT, DATA, RW);
	scene_table(&w.s, CDS)[8] &= ~(UINT64_C(1) << 46);
	command(&w, (uint64_t)SID << 32 | 5, 1); /* CFGI_CD */
	sync_(&w);
	memset(w.s.guest + 4096 * DATA, 0xff, 4096);
	assert_int_equal(scene_run(&w.s, DMATEST_CMD_COPY, VA + 4096, VA, 4096), DMATEST_STATUS_DONE);
	assert_true(holds(&w, DATA, 0));
	assert_int_equal(fill(&w.s, VA + 4096), DMATEST_STATUS_DONE);
	expect_event(&w, 0x10, SID, VA + 4096);
	expect_event(&w, 0x10, SID, VA + 4096);
	assert_int_equal(count(&w, "own.refused"), 0);
	down(&w);
}

/* The second function has a stream and a table of its own, and no registers; its faults are the unit's to tell, on the first one's line. */
static void two_streams(void **state)
{
	struct world w;

	(void)state;
	up(&w);
	bring_up(&w);
	intx_on(&w);
	stream(&w, SID, ROOT, DATA, RW);
	stream(&w, OTHER_SID, OTHER_ROOT, DATA + 1, RW);
	assert_int_equal(fill(&w.s, VA), DMATEST_STATUS_DONE);
	assert_int_equal(fill(&w.other, VA), DMATEST_STATUS_DONE);
	assert_true(holds(&w, DATA, PAT));
	assert_true(holds(&w, DATA + 1, ~PAT));
	assert_false(rose(&w));
	assert_int_equal(fill(&w.other, VA + 4096), DMATEST_STATUS_ERROR);
	assert_true(rose(&w));
	expect_event(&w, 0x10, OTHER_SID, VA + 4096);
	unmask(&w);
	assert_false(rose(&w));
	down(&w);
}

/* A level: it stays until the queue is empty, and what comes while VFIO masks it is told at the unmask. */
static void interrupts(void **state)
{
	struct world w;

	(void)state;
	up(&w);
	bring_up(&w);
	intx_on(&w);
	stream(&w, SID, ROOT, 0, 0);
	assert_int_equal(fill(&w.s, VA), DMATEST_STATUS_ERROR);
	assert_true(rose(&w));
	assert_int_equal(fill(&w.s, VA), DMATEST_STATUS_ERROR);
	assert_false(rose(&w));
	expect_event(&w, 0x10, SID, VA);
	unmask(&w);
	assert_true(rose(&w)); /* one is left */
	expect_event(&w, 0x10, SID, VA);
	unmask(&w);
	assert_false(rose(&w));

	put(&w, IRQ_CTRL, 0);
	assert_int_equal(fill(&w.s, VA), DMATEST_STATUS_ERROR);
	sync_(&w);
	assert_false(rose(&w));
	put(&w, IRQ_CTRL, 5);
	assert_true(rose(&w)); /* still there */
	expect_event(&w, 0x10, SID, VA);
	unmask(&w);

	/* An illegal command: GERROR.CMDQ_ERR. */
	command(&w, 0xff, 0);
	assert_true(rose(&w));
	assert_int_equal(get(&w, GERROR) ^ get(&w, GERRORN), 1);
	assert_int_equal(get(&w, CMDQ_CONS) >> 24, 1); /* CERROR_ILL */
	scene_table(&w.s, CMDQ)[2 * (get(&w, CMDQ_CONS) & 255)] = 0x46; /* as drivers do: a CMD_SYNC in its place */
	put(&w, GERRORN, get(&w, GERROR));
	assert_int_equal(get(&w, CMDQ_CONS) & 0xffffff, w.prod);
	unmask(&w);
	assert_false(rose(&w));
	down(&w);
}

/* Where the guest's table leads to what the VMM has not mapped, the host's unit refuses: data, tables and commands. */
static void last_word(const char *unit)
{
	struct world w;

	up_behind(&w, unit);
	bring_up(&w);
	stream(&w, SID, ROOT, SCENE_PAGES, RW);
	assert_int_equal(fill(&w.s, VA), DMATEST_STATUS_ERROR);
	assert_int_equal(count(&w, "hw.fault"), 1);
	assert_int_equal(count(&w, "drv.fault"), 1);
	assert_int_equal(get(&w, EVENTQ_PROD), 0); /* the unit had no objection */

	scene_table(&w.s, ROOT)[VA >> 30 & 511] = GPA(SCENE_PAGES) | 3;
	command(&w, 0x30, 0);
	sync_(&w);
	assert_int_equal(fill(&w.s, VA), DMATEST_STATUS_ERROR);
	assert_int_equal(count(&w, "drv.fault"), 2);
	expect_event(&w, 0x0b, SID, VA); /* F_WALK_EABT */

	cr0(&w, 0);
	put64(&w, CMDQ_BASE, GPA(SCENE_PAGES) | 8);
	put(&w, CMDQ_CONS, 0);
	put(&w, CMDQ_PROD, 1);
	cr0(&w, 8);
	assert_int_equal(get(&w, CMDQ_CONS) >> 24, 2); /* CERROR_ABT */
	assert_int_equal(get(&w, GERROR) ^ get(&w, GERRORN), 1);
	assert_int_equal(count(&w, "drv.fault"), 3);
	down(&w);
}

static void the_host_has_the_last_word(void **state)
{
	(void)state;
	last_word(VTD);
	last_word(SMMU);
}

/* The VMM takes guest memory away: what the unit has cached is a guest address and helps nobody. */
static void memory_goes_away(void **state)
{
	struct iommu_ioas_unmap unmap = {.size = sizeof(unmap), .iova = GPA(DATA), .length = 4096};
	struct iommu_ioas_unmap all = {.size = sizeof(all), .iova = SCENE_GPA, .length = SCENE_PAGES * 4096};
	struct world w;

	(void)state;
	up(&w);
	bring_up(&w);
	stream(&w, SID, ROOT, DATA, RW);
	assert_int_equal(fill(&w.s, VA), DMATEST_STATUS_DONE);
	unmap.ioas_id = all.ioas_id = w.s.ioas;
	assert_int_equal(scene_ioctl(&w.s, w.s.iommu, IOMMU_IOAS_UNMAP, &unmap), -ENOENT); /* not a whole area */
	assert_int_equal(scene_ioctl(&w.s, w.s.iommu, IOMMU_IOAS_UNMAP, &all), 0);
	memset(w.s.guest + 4096 * DATA, 0, 4096);
	assert_int_equal(fill(&w.s, VA), DMATEST_STATUS_ERROR);
	assert_true(holds(&w, DATA, 0));
	assert_true(count(&w, "drv.fault") > 0);
	down(&w);
}

static void reset(void **state)
{
	struct world w;

	(void)state;
	up(&w);
	bring_up(&w);
	intx_on(&w);
	stream(&w, SID, ROOT, DATA, RW);
	assert_int_equal(fill(&w.s, VA + 4096), DMATEST_STATUS_ERROR);
	assert_int_equal(get(&w, EVENTQ_PROD), 1);
	assert_true(rose(&w));
	assert_int_equal(scene_ioctl(&w.other, w.other.dev, VFIO_DEVICE_RESET, NULL), 0); /* not its */
	assert_int_equal(get(&w, CR0ACK), 0xd);
	assert_int_equal(scene_ioctl(&w.s, w.s.dev, VFIO_DEVICE_RESET, NULL), 0);
	assert_int_equal(get(&w, CR0ACK), 0);
	assert_int_equal(get(&w, EVENTQ_PROD), 0);
	assert_int_equal(get(&w, IRQ_CTRL), 0);
	unmask(&w);
	assert_false(rose(&w)); /* the line fell with the queue that it was up for */
	down(&w);
}

static void *writer(void *opaque)
{
	struct world *w = opaque;

	while (!atomic_load(&w->stop)) {
		if (fill(&w->other, VA) == DMATEST_STATUS_DONE)
			atomic_fetch_add(&w->done, 1);
	}
	return NULL;
}

/*
 * The guest gives one page for another while a function writes: when CMD_SYNC is done, nothing is under way to the old one, although what
 * the unit translated is on its way through the host's.
 */
static void a_page_that_is_taken_away_is_quiet(void **state)
{
	unsigned int page = DATA, old;
	pthread_t thread;
	struct world w;

	(void)state;
	up(&w);
	bring_up(&w);
	stream(&w, OTHER_SID, OTHER_ROOT, page, RW);
	assert_int_equal(pthread_create(&thread, NULL, writer, &w), 0);
	while (!atomic_load(&w.done))
		sched_yield();
	for (unsigned int i = 0; i < 100; i++) {
		old = page;
		page ^= 1;
		__atomic_store_n(&scene_table(&w.s, OTHER_ROOT + 2)[VA >> 12 & 511], GPA(page) | RW, __ATOMIC_RELEASE);
		command(&w, UINT64_C(6) << 48 | 0x12, VA | 1);
		sync_(&w);
		memset(w.s.guest + 4096 * old, 0x5a, 4096);
		for (unsigned long was = atomic_load(&w.done); atomic_load(&w.done) < was + 2;)
			sched_yield();
		assert_true(holds(&w, old, UINT64_C(0x5a5a5a5a5a5a5a5a)));
	}
	atomic_store(&w.stop, true);
	pthread_join(thread, NULL);
	assert_true(holds(&w, page, ~PAT));
	assert_int_equal(count(&w, "own.refused"), 0);
	down(&w);
}

/* Registers are there as long as the guest decodes them; sizes that they do not have do nothing. */
static void odd_accesses(void **state)
{
	uint16_t off = 0, on = 6, half = 0xffff;
	struct world w;
	uint32_t v;

	(void)state;
	up(&w);
	bring_up(&w);
	assert_int_equal(w.s.k->pwrite(w.s.k->opaque, w.s.dev, &half, 2, SCENE_BAR(5) + CR0), 2);
	assert_int_equal(get(&w, CR0), 0xd);
	assert_int_equal(w.s.k->pread(w.s.k->opaque, w.s.dev, &v, 4, SCENE_BAR(5) + 0x20000), -EINVAL);
	assert_int_equal(w.s.k->pwrite(w.s.k->opaque, w.s.dev, &off, 2, SCENE_CONFIG + 4), 2);
	assert_int_equal(w.s.k->pread(w.s.k->opaque, w.s.dev, &v, 4, SCENE_BAR(5) + CR0), -EIO);
	assert_int_equal(w.s.k->pwrite(w.s.k->opaque, w.s.dev, &on, 2, SCENE_CONFIG + 4), 2);
	assert_int_equal(get(&w, CR0), 0xd);
	down(&w);
}

static void descriptions(void **state)
{
	static const struct {
		const char *functions, *why;
	} bad[] = {
		{ENGINE("ats: off, own-iommu: vtd"), "is no unit that a function can bring"},
		{ENGINE("own-iommu: smmuv3"), "ats: off"},
		{ENGINE("ats: off, own-stream: 5"), "own-stream needs"},
		{ENGINE("ats: off, own-iommu: smmuv3, own-stream: 65536"), "0 to 65535"},
		{ENGINE("ats: off, own-iommu: smmuv3, own-stream: -1"), "0 to 65535"},
		{ENGINE("ats: off, own-iommu: smmuv3, behind: 0000:02:00.0"), "behind one unit"},
		{ENGINE(BEHIND), "no function before this one"},
		{SECOND(BEHIND) ENGINE(BRINGS), "no function before this one"},
		{ENGINE(BRINGS) SECOND("behind: 0000:02:00.0"), "ats: off"},
		{ENGINE(BRINGS) SECOND(BEHIND ", own-stream: 0x1234"), "StreamID 0x1234"},
		{ENGINE(BRINGS) "  - {address: 0000:04:00.0, iommu: u, model: nvme, group: 2, options: {behind: 0000:02:00.0}}\n", "one group"},
	};
	struct world w;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char why[256] = "";

		assert_int_equal(make(&w, VTD, bad[i].functions, why), -EINVAL);
		if (!strstr(why, bad[i].why))
			fail_msg("%zu: \"%s\" instead of \"%s\"", i, why, bad[i].why);
	}
}

/* Each allocation fails once: no host, nothing left behind (the address sanitizer sees to that). */
static void out_of_memory(void **state)
{
	struct world w;
	int err;

	(void)state;
	for (unsigned long n = 1;; n++) {
		char why[256] = "";
		bool fired;

		nb_fail_nth_arm(n);
		err = make(&w, SMMU, ENGINE(BRINGS) SECOND(BEHIND), why);
		fired = nb_fail_nth_fired();
		if (!err)
			nb_host_destroy(w.h);
		else
			assert_true(why[0]);
		if (!fired)
			break;
	}
	assert_int_equal(err, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_reset_to_translation), cmocka_unit_test(invalidation), cmocka_unit_test(read_as_zero), cmocka_unit_test(two_streams),
		cmocka_unit_test(interrupts), cmocka_unit_test(the_host_has_the_last_word), cmocka_unit_test(memory_goes_away),
		cmocka_unit_test(reset), cmocka_unit_test(a_page_that_is_taken_away_is_quiet), cmocka_unit_test(odd_accesses), cmocka_unit_test(descriptions),
		cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
