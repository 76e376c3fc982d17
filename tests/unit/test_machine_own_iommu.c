/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A function that brings an SMMUv3 of its own, driven as a guest's kernel does: through BAR 5 and tables in the guest's memory, by a program
 * that has the function through VFIO. Numbers of IHI 0070 by hand.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "machine/api.h"

#define SCENE_CHECK(c) assert_true(c)
#include "../run/scene.h"

#define PAT UINT64_C(0x1122334455667788)
#define VA  UINT64_C(0x12345000)
#define SID	  0x1234u
#define OTHER_SID 0x0300u /* that of the function behind, which has no option for it: its own address */

/* Pages of the guest's memory. */
enum { CMDQ = 16, EVTQ, STRTAB, STRTAB2, STES, OTHER_STES, CDS, ROOT = 24, OTHER_ROOT = 28, DATA = 40 };
#define GPA(page) (SCENE_GPA + 4096 * (uint64_t)(page))

/* Registers: 6.3, page 1 from 0x10000. */
enum { IDR0 = 0x0, IDR1 = 0x4, CR0 = 0x20, CR0ACK = 0x24, CR1 = 0x28, IRQ_CTRL = 0x50, IRQ_CTRLACK = 0x54, GERROR = 0x60, GERRORN = 0x64,
       STRTAB_BASE = 0x80, STRTAB_BASE_CFG = 0x88, CMDQ_BASE = 0x90, CMDQ_PROD = 0x98, CMDQ_CONS = 0x9c, EVENTQ_BASE = 0xa0,
       EVENTQ_PROD = 0x100a8, EVENTQ_CONS = 0x100ac };

struct world {
	struct nb_host *h;
	struct scene s, other;
	uint32_t prod; /* of the command queue */
	int intx;
	_Atomic bool stop;
	_Atomic unsigned long done; /* fills */
};

static uint64_t count(struct world *w, const char *event)
{
	uint64_t n;

	assert_int_equal(nb_host_counter(w->h, event, &n), 0);
	return n;
}

static uint32_t get(struct world *w, uint64_t reg)
{
	uint32_t v = 0;

	assert_int_equal(w->s.k->pread(w->s.k->opaque, w->s.dev, &v, 4, SCENE_BAR(5) + reg), 4);
	return v;
}

static void put(struct world *w, uint64_t reg, uint32_t v)
{
	assert_int_equal(w->s.k->pwrite(w->s.k->opaque, w->s.dev, &v, 4, SCENE_BAR(5) + reg), 4);
}

static void put64(struct world *w, uint64_t reg, uint64_t v)
{
	assert_int_equal(w->s.k->pwrite(w->s.k->opaque, w->s.dev, &v, 8, SCENE_BAR(5) + reg), 8);
}

/* What the host's unit is. */
#define VTD  "like: spr"
#define SMMU "vendor: smmuv3"

/* A host from this text; the reason if there is none. */
static int make(struct world *w, const char *unit, const char *functions, char why[256])
{
	char path[] = "/tmp/nb-own-XXXXXX.yaml";
	int fd = mkstemps(path, 5), err;

	assert_true(fd >= 0);
	assert_true(dprintf(fd, "name: t\niommus:\n  - name: u\n    %s\nfunctions:\n%s", unit, functions) > 0);
	close(fd);
	err = nb_host_create(path, NULL, &w->h, why, 256);
	unlink(path);
	return err;
}

#define DISK "  - {address: 0000:01:00.0, iommu: u, model: nvme, group: 9}\n"
#define ENGINE(options) "  - {address: 0000:02:00.0, iommu: u, model: dmatest, group: 1, options: {" options "}}\n"
#define SECOND(options) "  - {address: 0000:03:00.0, iommu: u, model: dmatest, group: 1, options: {" options "}}\n"
#define BRINGS "ats: off, own-iommu: smmuv3, own-stream: 0x1234"
#define BEHIND "ats: off, behind: 0000:02:00.0"

static void intx_on(struct world *w)
{
	char buf[sizeof(struct vfio_irq_set) + 4];
	struct vfio_irq_set set = {.argsz = sizeof(buf), .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, .count = 1};

	w->intx = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	memcpy(buf, &set, sizeof(set));
	memcpy(buf + sizeof(set), &w->intx, 4);
	assert_int_equal(scene_ioctl(&w->s, w->s.dev, VFIO_DEVICE_SET_IRQS, buf), 0);
}

/* Has the line risen since? VFIO masks it then. */
static bool rose(struct world *w)
{
	uint64_t n;

	return read(w->intx, &n, sizeof(n)) == sizeof(n);
}

static void unmask(struct world *w)
{
	struct vfio_irq_set set = {.argsz = sizeof(set), .flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, .count = 1};

	assert_int_equal(scene_ioctl(&w->s, w->s.dev, VFIO_DEVICE_SET_IRQS, &set), 0);
}

static void up_behind(struct world *w, const char *unit)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	uint16_t command = 6;
	char why[256] = "";

	*w = (struct world){.intx = -1};
	if (make(w, unit, DISK ENGINE(BRINGS) SECOND(BEHIND), why))
		fail_msg("%s", why);
	scene_open(&w->s, nb_host_kernel(w->h));
	w->other = w->s;
	w->other.dev = w->s.k->open(w->s.k->opaque, "/dev/vfio/devices/vfio2", O_RDWR);
	bind.iommufd = w->s.iommu;
	assert_int_equal(scene_ioctl(&w->other, w->other.dev, VFIO_DEVICE_BIND_IOMMUFD, &bind), 0);
	assert_int_equal(w->s.k->pwrite(w->s.k->opaque, w->other.dev, &command, 2, SCENE_CONFIG + 4), 2);
	scene_attach(&w->s, w->s.ioas);
	scene_attach(&w->other, w->s.ioas);
	scene_put64(&w->s, DMATEST_PATTERN, PAT);
	scene_put64(&w->other, DMATEST_PATTERN, ~PAT);
	memset(w->s.guest, 0, SCENE_PAGES * 4096);
}

static void up(struct world *w)
{
	up_behind(w, VTD);
}

static void down(struct world *w)
{
	assert_int_equal(w->s.k->close(w->s.k->opaque, w->other.dev), 0);
	if (w->intx >= 0)
		close(w->intx);
	scene_close(&w->s);
	nb_host_destroy(w->h);
}

static bool holds(struct world *w, unsigned int page, uint64_t pattern)
{
	for (unsigned int i = 0; i < 512; i++)
		if (scene_table(&w->s, page)[i] != pattern)
			return false;
	return true;
}

static void command(struct world *w, uint64_t lo, uint64_t hi)
{
	uint64_t *slot = scene_table(&w->s, CMDQ) + 2 * (w->prod & 255);

	slot[0] = lo;
	slot[1] = hi;
	w->prod = (w->prod + 1) & 511;
	put(w, CMDQ_PROD, w->prod);
}

static void sync_(struct world *w)
{
	command(w, 0x46, 0);
	assert_int_equal(get(w, CMDQ_CONS), w->prod);
}

static void cr0(struct world *w, uint32_t v)
{
	put(w, CR0, v);
	assert_int_equal(get(w, CR0ACK), v);
}

/* A stream table of two levels, 64 entries each; queues of 256 commands and 128 events. Streams are invalid. */
static void bring_up(struct world *w)
{
	cr0(w, 0);
	put(w, CR1, 0xd75);
	put64(w, STRTAB_BASE, GPA(STRTAB) | UINT64_C(1) << 62);
	put(w, STRTAB_BASE_CFG, 1 << 16 | 6 << 6 | 16);
	scene_table(&w->s, STRTAB)[SID >> 6] = GPA(STES) | 7;
	scene_table(&w->s, STRTAB)[OTHER_SID >> 6] = GPA(OTHER_STES) | 7;
	put64(w, CMDQ_BASE, GPA(CMDQ) | 8);
	put(w, CMDQ_PROD, 0);
	put(w, CMDQ_CONS, 0);
	cr0(w, 8);
	command(w, 0x04, 31); /* CFGI_ALL */
	command(w, 0x30, 0);  /* TLBI_NSNH_ALL */
	sync_(w);
	put64(w, EVENTQ_BASE, GPA(EVTQ) | 7);
	put(w, EVENTQ_PROD, 0);
	put(w, EVENTQ_CONS, 0);
	cr0(w, 0xc);
	put(w, IRQ_CTRL, 5);
	assert_int_equal(get(w, IRQ_CTRLACK), 5);
	cr0(w, 0xd);
}

/* Stage 1 with one context: 39 bits, 4 KiB pages, access flag by hardware, ASID 5 or 6. VA leads to `page`. */
static void stream(struct world *w, unsigned int sid, unsigned int root, unsigned int page, uint64_t attr)
{
	uint64_t *ste = scene_table(&w->s, sid == SID ? STES : OTHER_STES) + 8 * (sid & 63);
	uint64_t *cd = scene_table(&w->s, CDS) + 8 * (sid == SID);

	scene_table(&w->s, root)[VA >> 30 & 511] = GPA(root + 1) | 3;
	scene_table(&w->s, root + 1)[VA >> 21 & 511] = GPA(root + 2) | 3;
	scene_table(&w->s, root + 2)[VA >> 12 & 511] = page ? GPA(page) | attr : 0;
	cd[1] = GPA(root);
	cd[0] = 25 | UINT64_C(1) << 30 | UINT64_C(1) << 31 | UINT64_C(5) << 32 | UINT64_C(1) << 41 | UINT64_C(1) << 43 | UINT64_C(3) << 45 |
		(UINT64_C(5) + (sid != SID)) << 48;
	ste[1] = UINT64_C(1) << 44;
	ste[0] = (GPA(CDS) + 64 * (sid == SID)) | 0xb;
	command(w, (uint64_t)sid << 32 | 3, 1); /* CFGI_STE */
	sync_(w);
}
#define RW  UINT64_C(0xc43)
#define RW_NEVER_USED UINT64_C(0x843) /* access flag clear */

static uint32_t fill(struct scene *s, uint64_t addr)
{
	return scene_run(s, DMATEST_CMD_FILL, 0, addr, 4096);
}

/* The oldest event that is not read; type, StreamID and address. */
static void expect_event(struct world *w, unsigned int type, unsigned int sid, uint64_t addr)
{
	uint32_t cons = get(w, EVENTQ_CONS);
	uint64_t *e = scene_table(&w->s, EVTQ) + 4 * (cons & 127);

	assert_int_not_equal(get(w, EVENTQ_PROD), cons);
	assert_int_equal(e[0] & 0xff, type);
	assert_int_equal(e[0] >> 32, sid);
	if (addr)
		assert_int_equal(e[2], addr);
	put(w, EVENTQ_CONS, (cons + 1) & 255);
}

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
	stream(&w, SID, ROOT, DATA, RW);
	assert_int_equal(fill(&w.s, VA + 4096), DMATEST_STATUS_ERROR);
	assert_int_equal(get(&w, EVENTQ_PROD), 1);
	assert_int_equal(scene_ioctl(&w.other, w.other.dev, VFIO_DEVICE_RESET, NULL), 0); /* not its */
	assert_int_equal(get(&w, CR0ACK), 0xd);
	assert_int_equal(scene_ioctl(&w.s, w.s.dev, VFIO_DEVICE_RESET, NULL), 0);
	assert_int_equal(get(&w, CR0ACK), 0);
	assert_int_equal(get(&w, EVENTQ_PROD), 0);
	assert_int_equal(get(&w, IRQ_CTRL), 0);
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
		cmocka_unit_test(from_reset_to_translation), cmocka_unit_test(invalidation), cmocka_unit_test(two_streams),
		cmocka_unit_test(interrupts), cmocka_unit_test(the_host_has_the_last_word), cmocka_unit_test(memory_goes_away),
		cmocka_unit_test(reset), cmocka_unit_test(a_page_that_is_taken_away_is_quiet), cmocka_unit_test(odd_accesses), cmocka_unit_test(descriptions),
		cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
