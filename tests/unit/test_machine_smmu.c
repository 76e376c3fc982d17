/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hosts with SMMUs through the whole machine: addresses that the kernel maps, one address space behind three units, faults, dirty pages,
 * events to a guest, and transactions that stall until the program has mapped what was missing.
 *
 * Numbers of IHI 0070 by hand.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "machine/api.h"

#define SCENE_CHECK(c) assert_true(c)
#include "../run/scene.h"

#define IOVA UINT64_C(0x7f1234000000)
#define PAT  UINT64_C(0x1122334455667788)

struct world {
	struct nb_host *h;
	struct scene s;
};

static uint64_t count(struct world *w, const char *event)
{
	uint64_t n;

	assert_int_equal(nb_host_counter(w->h, event, &n), 0);
	return n;
}

static void up(struct world *w, const char *host)
{
	char why[256] = "";

	if (nb_host_create(host, NULL, &w->h, why, sizeof(why)))
		fail_msg("%s", why);
	scene_open(&w->s, nb_host_kernel(w->h));
}

static void down(struct world *w)
{
	scene_close(&w->s);
	nb_host_destroy(w->h);
}

/* Guest page `page` of the scene's memory, and as many behind it, at an IOVA of the address space. */
static void map_at(struct world *w, uint64_t iova, unsigned int page, unsigned int n)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = w->s.ioas,
		.user_va = (uintptr_t)(w->s.guest + 4096 * page),
		.length = 4096 * n,
		.iova = iova,
	};

	assert_int_equal(scene_ioctl(&w->s, w->s.iommu, IOMMU_IOAS_MAP, &map), 0);
}

static void unmap_at(struct world *w, uint64_t iova, unsigned int n)
{
	struct iommu_ioas_unmap unmap = {.size = sizeof(unmap), .ioas_id = w->s.ioas, .iova = iova, .length = 4096 * n};

	assert_int_equal(scene_ioctl(&w->s, w->s.iommu, IOMMU_IOAS_UNMAP, &unmap), 0);
	assert_int_equal(unmap.length, 4096 * n);
}

static bool holds(const struct world *w, unsigned int page, uint64_t pattern)
{
	uint64_t v;

	for (unsigned int i = 0; i < 4096; i += 8) {
		memcpy(&v, w->s.guest + 4096 * page + i, 8);
		if (v != pattern)
			return false;
	}
	return true;
}

/* The same program's view of an address space, whatever is below. */
static void attach_map_dma_fault(void **state)
{
	static const char *const hosts[] = {"grace", "smmu-basic"};

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		struct world w;

		up(&w, hosts[i]);
		scene_put64(&w.s, DMATEST_PATTERN, PAT);
		for (unsigned int p = 0; p < 4; p++)
			map_at(&w, IOVA + p * 4096, 20 + p, 1);
		/* Nothing is attached: an STE that says abort, and no event. */
		assert_int_equal(scene_run(&w.s, DMATEST_CMD_FILL, 0, IOVA, 4096), DMATEST_STATUS_ERROR);
		assert_int_equal(count(&w, "drv.fault"), 0);
		scene_attach(&w.s, w.s.ioas);
		assert_int_equal(scene_run(&w.s, DMATEST_CMD_FILL, 0, IOVA, 4 * 4096), DMATEST_STATUS_DONE);
		for (unsigned int p = 20; p < 24; p++)
			assert_true(holds(&w, p, PAT));
		assert_true(holds(&w, 24, 0));
		/* A page that goes while it is in the TLB is gone; its neighbours are not. */
		unmap_at(&w, IOVA + 4096, 1);
		assert_int_equal(scene_run(&w.s, DMATEST_CMD_CHECKSUM, IOVA + 4096, 0, 8), DMATEST_STATUS_ERROR);
		assert_int_equal(scene_get64(&w.s, DMATEST_ERROR_ADDR), IOVA + 4096);
		assert_int_equal(count(&w, "hw.fault"), count(&w, "drv.fault") + 1); /* the silent one */
		assert_int_equal(count(&w, "drv.fault"), 1);
		assert_int_equal(scene_run(&w.s, DMATEST_CMD_CHECKSUM, IOVA + 2 * 4096, 0, 4096), DMATEST_STATUS_DONE);
		scene_detach(&w.s);
		assert_int_equal(scene_run(&w.s, DMATEST_CMD_CHECKSUM, IOVA, 0, 8), DMATEST_STATUS_ERROR);
		down(&w);
	}
}

/* Functions behind each of the three SMMUs in one address space: what is mapped is there for all, and what goes, goes for all. */
static void three_units(void **state)
{
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach)};
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	struct scene other[2];
	struct world w;
	char path[64];

	(void)state;
	up(&w, "grace");
	scene_attach(&w.s, w.s.ioas);
	for (unsigned int i = 0; i < 2; i++) {
		struct scene *s = &other[i];
		uint16_t command = 6;

		*s = w.s;
		snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", 3 + 2 * i);
		s->dev = s->k->open(s->k->opaque, path, O_RDWR);
		bind.iommufd = s->iommu;
		assert_int_equal(scene_ioctl(s, s->dev, VFIO_DEVICE_BIND_IOMMUFD, &bind), 0);
		attach.pt_id = w.s.ioas;
		assert_int_equal(scene_ioctl(s, s->dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), 0);
		assert_int_equal(s->k->pwrite(s->k->opaque, s->dev, &command, 2, SCENE_CONFIG + 4), 2);
	}
	map_at(&w, IOVA, 20, 3);
	for (unsigned int i = 0; i < 3; i++) {
		struct scene *s = i ? &other[i - 1] : &w.s;

		scene_put64(s, DMATEST_PATTERN, PAT + i);
		assert_int_equal(scene_run(s, DMATEST_CMD_FILL, 0, IOVA + i * 4096, 4096), DMATEST_STATUS_DONE);
		assert_true(holds(&w, 20 + i, PAT + i));
		assert_int_equal(scene_run(s, DMATEST_CMD_CHECKSUM, IOVA, 0, 3 * 4096), DMATEST_STATUS_DONE);
	}
	unmap_at(&w, IOVA, 3);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(scene_run(i ? &other[i - 1] : &w.s, DMATEST_CMD_CHECKSUM, IOVA, 0, 8), DMATEST_STATUS_ERROR);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(w.s.k->close(w.s.k->opaque, other[i].dev), 0);
	down(&w);
}

static void dirty_pages(void **state)
{
	struct iommu_hwpt_alloc alloc = {.size = sizeof(alloc), .flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING};
	struct iommu_hwpt_set_dirty_tracking set = {.size = sizeof(set), .flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE};
	uint64_t bits = 0;
	struct iommu_hwpt_get_dirty_bitmap get = {
		.size = sizeof(get), .iova = IOVA, .length = 16 * 4096, .page_size = 4096, .data = (uintptr_t)&bits};
	struct world w;

	(void)state;
	up(&w, "grace");
	map_at(&w, IOVA, 20, 16);
	alloc.dev_id = w.s.dev_id;
	alloc.pt_id = w.s.ioas;
	assert_int_equal(scene_ioctl(&w.s, w.s.iommu, IOMMU_HWPT_ALLOC, &alloc), 0);
	scene_attach(&w.s, alloc.out_hwpt_id);
	set.hwpt_id = get.hwpt_id = alloc.out_hwpt_id;
	assert_int_equal(scene_ioctl(&w.s, w.s.iommu, IOMMU_HWPT_SET_DIRTY_TRACKING, &set), 0);
	assert_int_equal(scene_run(&w.s, DMATEST_CMD_FILL, 0, IOVA + 3 * 4096, 2 * 4096), DMATEST_STATUS_DONE);
	assert_int_equal(scene_run(&w.s, DMATEST_CMD_CHECKSUM, IOVA, 0, 16 * 4096), DMATEST_STATUS_DONE);
	assert_int_equal(scene_ioctl(&w.s, w.s.iommu, IOMMU_HWPT_GET_DIRTY_BITMAP, &get), 0);
	assert_int_equal(bits, 3 << 3);
	bits = 0;
	assert_int_equal(scene_ioctl(&w.s, w.s.iommu, IOMMU_HWPT_GET_DIRTY_BITMAP, &get), 0);
	assert_int_equal(bits, 0);
	/* The TLB was told that they are clean again. */
	assert_int_equal(scene_run(&w.s, DMATEST_CMD_FILL, 0, IOVA + 4 * 4096, 8), DMATEST_STATUS_DONE);
	assert_int_equal(scene_ioctl(&w.s, w.s.iommu, IOMMU_HWPT_GET_DIRTY_BITMAP, &get), 0);
	assert_int_equal(bits, 1 << 4);
	scene_detach(&w.s);
	down(&w);
}

/* ---- a guest with its own stage 1 ---- */

struct guest {
	uint32_t viommu, eventq;
	int events;
};

/* One CD at page 4, tables at pages 0 to 3 (scene_tables() made entries that are tables here, too: bits 1:0 are 0b11). */
static void nest(struct world *w, struct guest *g)
{
	struct iommu_hwpt_alloc alloc = {.size = sizeof(alloc), .flags = IOMMU_HWPT_ALLOC_NEST_PARENT};
	struct iommu_viommu_alloc viommu = {.size = sizeof(viommu), .type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3};
	struct iommu_vdevice_alloc vdevice = {.size = sizeof(vdevice), .virt_id = 0xabc};
	struct iommu_veventq_alloc eventq = {.size = sizeof(eventq), .type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, .veventq_depth = 8};
	struct iommu_hwpt_arm_smmuv3 ste;
	uint64_t *cd = scene_table(&w->s, 4);

	alloc.dev_id = viommu.dev_id = vdevice.dev_id = w->s.dev_id;
	alloc.pt_id = w->s.ioas;
	assert_int_equal(scene_ioctl(&w->s, w->s.iommu, IOMMU_HWPT_ALLOC, &alloc), 0);
	viommu.hwpt_id = alloc.out_hwpt_id;
	assert_int_equal(scene_ioctl(&w->s, w->s.iommu, IOMMU_VIOMMU_ALLOC, &viommu), 0);
	g->viommu = vdevice.viommu_id = eventq.viommu_id = viommu.out_viommu_id;
	assert_int_equal(scene_ioctl(&w->s, w->s.iommu, IOMMU_VDEVICE_ALLOC, &vdevice), 0);
	assert_int_equal(scene_ioctl(&w->s, w->s.iommu, IOMMU_VEVENTQ_ALLOC, &eventq), 0);
	g->events = (int)eventq.out_veventq_fd;
	cd[1] = SCENE_GPA;
	cd[3] = 0xff;
	/* T0SZ 16, EPD1, V, IPS 48 bits, AA64, R, A, ASID 9 */
	cd[0] = 16 | 1u << 30 | UINT64_C(1) << 31 | UINT64_C(5) << 32 | UINT64_C(1) << 41 | UINT64_C(3) << 45 | UINT64_C(9) << 48;
	ste.ste[0] = 1 | 5 << 1 | (SCENE_GPA + 4 * 4096);
	ste.ste[1] = 0;
	alloc.flags = 0;
	alloc.pt_id = g->viommu;
	alloc.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3;
	alloc.data_len = sizeof(ste);
	alloc.data_uptr = (uintptr_t)&ste;
	assert_int_equal(scene_ioctl(&w->s, w->s.iommu, IOMMU_HWPT_ALLOC, &alloc), 0);
	scene_attach(&w->s, alloc.out_hwpt_id);
}

/* A page, level 3: AP for all, AF, nG, inner shareable. */
static void leaf(struct world *w, unsigned int n, unsigned int page)
{
	__atomic_store_n(&scene_table(&w->s, 3)[n], page ? (SCENE_GPA + 4096 * page) | 0xf43 : 0, __ATOMIC_RELEASE);
}

static void guest_events(void **state)
{
	struct {
		struct iommufd_vevent_header h;
		struct iommu_vevent_arm_smmuv3 e;
	} ev;
	struct iommu_viommu_arm_smmuv3_invalidate cmd = {{0x12 | UINT64_C(9) << 48, (SCENE_IOVA + 4096) | 1}}; /* CMD_TLBI_NH_VA */
	struct iommu_hwpt_invalidate inv = {.size = sizeof(inv), .data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
					    .entry_len = sizeof(cmd), .entry_num = 1, .data_uptr = (uintptr_t)&cmd};
	struct guest g;
	struct world w;

	(void)state;
	up(&w, "grace");
	nest(&w, &g);
	leaf(&w, 1, SCENE_DATA + 1);
	scene_put64(&w.s, DMATEST_PATTERN, PAT);
	assert_int_equal(scene_run(&w.s, DMATEST_CMD_FILL, 0, SCENE_IOVA + 4096, 4096), DMATEST_STATUS_DONE);
	assert_true(holds(&w, SCENE_DATA + 1, PAT));
	leaf(&w, 1, 0);
	assert_int_equal(scene_run(&w.s, DMATEST_CMD_CHECKSUM, SCENE_IOVA + 4096, 0, 4096), DMATEST_STATUS_DONE);
	inv.hwpt_id = g.viommu;
	assert_int_equal(scene_ioctl(&w.s, w.s.iommu, IOMMU_HWPT_INVALIDATE, &inv), 0);
	assert_int_equal(w.s.k->read(w.s.k->opaque, g.events, &ev, sizeof(ev)), 0);
	assert_int_equal(scene_run(&w.s, DMATEST_CMD_CHECKSUM, SCENE_IOVA + 4096, 0, 4096), DMATEST_STATUS_ERROR);
	assert_int_equal(w.s.k->read(w.s.k->opaque, g.events, &ev, sizeof(ev)), sizeof(ev));
	assert_int_equal(ev.h.flags, 0);
	assert_int_equal(ev.e.evt[0], 0x10 | UINT64_C(0xabc) << 32); /* F_TRANSLATION, the guest's own StreamID */
	assert_int_equal(ev.e.evt[1], UINT64_C(1) << 35 | UINT64_C(2) << 40); /* RnW, class IN */
	assert_int_equal(ev.e.evt[2], SCENE_IOVA + 4096);
	assert_int_equal(count(&w, "drv.fault"), 0); /* not the host's business */
	/* What stage 2 refuses is. */
	leaf(&w, 2, SCENE_PAGES + 5);
	assert_int_equal(scene_run(&w.s, DMATEST_CMD_CHECKSUM, SCENE_IOVA + 2 * 4096, 0, 8), DMATEST_STATUS_ERROR);
	assert_int_equal(w.s.k->read(w.s.k->opaque, g.events, &ev, sizeof(ev)), 0);
	assert_int_equal(count(&w, "drv.fault"), 1);
	scene_detach(&w.s);
	assert_int_equal(w.s.k->close(w.s.k->opaque, g.events), 0);
	down(&w);
}

/* ---- stalls ---- */

static const char stalling[] = "name: stalling\n"
			       "iommus:\n"
			       "  - {name: smmu0, vendor: smmuv3, capabilities: {stall-model: %s, stalls: 2}}\n"
			       "functions:\n"
			       "  - {address: '01:00.0', iommu: smmu0, model: nvme}\n"
			       "  - {address: '02:00.0', iommu: smmu0, model: dmatest, options: {stall: %s, ats: off}}\n";

static void up_stalling(struct world *w, const char *model, const char *function)
{
	char path[] = "/tmp/nbstallXXXXXX.yaml";
	int fd = mkstemps(path, 5);

	assert_true(fd >= 0);
	assert_true(dprintf(fd, stalling, model, function) > 0);
	close(fd);
	up(w, path);
	unlink(path);
}

/* An address space whose faults come to the program. */
static uint32_t fault_hwpt(struct world *w)
{
	struct iommu_hwpt_alloc alloc = {.size = sizeof(alloc), .flags = IOMMU_HWPT_FAULT_ID_VALID};

	scene_queue(&w->s);
	alloc.dev_id = w->s.dev_id;
	alloc.pt_id = w->s.ioas;
	alloc.fault_id = w->s.fault_id;
	assert_int_equal(scene_ioctl(&w->s, w->s.iommu, IOMMU_HWPT_ALLOC, &alloc), 0);
	return alloc.out_hwpt_id;
}

static void stalled_until_mapped(void **state)
{
	static const char *const models[] = {"optional", "forced"};

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		struct iommu_hwpt_pgfault f;
		struct world w;

		up_stalling(&w, models[i], "on");
		assert_true(scene_get32(&w.s, DMATEST_FEATURES) & DMATEST_FEATURE_STALL);
		scene_attach(&w.s, fault_hwpt(&w));
		scene_put64(&w.s, DMATEST_PATTERN, PAT);
		assert_int_equal(scene_run(&w.s, DMATEST_CMD_FILL, 0, IOVA, 3 * 4096), DMATEST_STATUS_WAITING);
		for (unsigned int p = 0; p < 3; p++) {
			assert_int_equal(scene_get32(&w.s, DMATEST_STATUS), DMATEST_STATUS_WAITING);
			assert_int_equal(scene_get64(&w.s, DMATEST_ERROR_ADDR), IOVA + 4096 * p);
			assert_int_equal(scene_get64(&w.s, DMATEST_DONE), 4096 * p);
			assert_int_equal(scene_get32(&w.s, DMATEST_WAIT), 0);
			assert_true(scene_fault(&w.s, &f));
			assert_int_equal(f.addr, IOVA + 4096 * p);
			assert_int_equal(f.perm, IOMMU_PGFAULT_PERM_WRITE);
			assert_int_equal(f.flags, IOMMU_PGFAULT_FLAGS_LAST_PAGE);
			assert_false(scene_fault(&w.s, &(struct iommu_hwpt_pgfault){0}));
			map_at(&w, IOVA + 4096 * p, 30 + p, 1);
			scene_answer(&w.s, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS);
		}
		assert_int_equal(scene_get32(&w.s, DMATEST_STATUS), DMATEST_STATUS_DONE);
		for (unsigned int p = 0; p < 3; p++)
			assert_true(holds(&w, 30 + p, PAT));
		assert_int_equal(count(&w, "drv.fault"), 0);
		/* An answer that lies: the same again, as often as it is told. */
		assert_int_equal(scene_run(&w.s, DMATEST_CMD_CHECKSUM, IOVA + 5 * 4096, 0, 8), DMATEST_STATUS_WAITING);
		for (unsigned int n = 0; n < 20; n++) {
			assert_true(scene_fault(&w.s, &f));
			assert_int_equal(f.perm, IOMMU_PGFAULT_PERM_READ);
			scene_answer(&w.s, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS);
			assert_int_equal(scene_get32(&w.s, DMATEST_STATUS), DMATEST_STATUS_WAITING);
		}
		assert_true(scene_fault(&w.s, &f));
		scene_answer(&w.s, f.cookie, IOMMUFD_PAGE_RESP_INVALID);
		assert_int_equal(scene_get32(&w.s, DMATEST_STATUS), DMATEST_STATUS_ERROR);
		assert_int_equal(scene_get32(&w.s, DMATEST_ERROR), DMATEST_ERROR_SRC_DMA);
		assert_int_equal(scene_get64(&w.s, DMATEST_ERROR_ADDR), IOVA + 5 * 4096);
		scene_detach(&w.s);
		down(&w);
	}
}

/* However the wait ends, the function does not wait for ever, and what is answered later is nobody's. */
static void stalls_end(void **state)
{
	enum { DETACH, CLOSE, RESET, ABORT, NWAYS };

	(void)state;
	for (unsigned int way = 0; way < NWAYS; way++) {
		struct iommu_hwpt_pgfault f;
		struct world w;
		uint16_t command = 6;

		up_stalling(&w, "optional", "on");
		scene_attach(&w.s, fault_hwpt(&w));
		assert_int_equal(scene_run(&w.s, DMATEST_CMD_FILL, 0, IOVA, 8), DMATEST_STATUS_WAITING);
		assert_true(scene_fault(&w.s, &f));
		switch (way) {
		case DETACH:
			scene_detach(&w.s);
			assert_int_equal(scene_get32(&w.s, DMATEST_ERROR), DMATEST_ERROR_DST_DMA);
			break;
		case CLOSE:
			assert_int_equal(w.s.k->close(w.s.k->opaque, w.s.dev), 0);
			w.s.dev = -1;
			break;
		case RESET:
			assert_int_equal(scene_ioctl(&w.s, w.s.dev, VFIO_DEVICE_RESET, NULL), 0);
			assert_int_equal(w.s.k->pwrite(w.s.k->opaque, w.s.dev, &command, 2, SCENE_CONFIG + 4), 2);
			assert_int_equal(scene_get32(&w.s, DMATEST_STATUS), DMATEST_STATUS_IDLE);
			scene_answer(&w.s, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS);
			assert_int_equal(scene_get32(&w.s, DMATEST_STATUS), DMATEST_STATUS_IDLE);
			break;
		default:
			scene_put32(&w.s, DMATEST_COMMAND, DMATEST_CMD_ABORT);
			assert_int_equal(scene_get32(&w.s, DMATEST_ERROR), DMATEST_ERROR_ABORTED);
			scene_answer(&w.s, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS);
			assert_int_equal(scene_get32(&w.s, DMATEST_ERROR), DMATEST_ERROR_ABORTED);
			break;
		}
		down(&w);
	}
}

/* A message that nothing maps waits like any other write. Here it was set up while nothing translated, so the doorbell's own address is in it. */
static void stalled_message(void **state)
{
	int32_t irq[9] = {sizeof(irq), VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_PCI_MSIX_IRQ_INDEX, 0, 4, -1, -1, -1, -1};
	struct iommu_hwpt_pgfault f;
	struct world w;

	(void)state;
	up_stalling(&w, "optional", "on");
	assert_int_equal(scene_ioctl(&w.s, w.s.dev, VFIO_DEVICE_SET_IRQS, irq), 0);
	scene_attach(&w.s, fault_hwpt(&w));
	scene_put32(&w.s, DMATEST_CONTROL, DMATEST_CONTROL_INT_EN | 3 << 8);
	scene_put32(&w.s, DMATEST_COMMAND, DMATEST_CMD_NOP);
	assert_true(scene_fault(&w.s, &f));
	assert_int_equal(f.perm, IOMMU_PGFAULT_PERM_WRITE);
	scene_answer(&w.s, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS); /* a lie: once more */
	assert_true(scene_fault(&w.s, &f));
	map_at(&w, f.addr & ~UINT64_C(0xfff), 30, 1);
	scene_answer(&w.s, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS);
	assert_false(scene_fault(&w.s, &f));
	assert_int_equal(*(volatile uint32_t *)(w.s.guest + 30 * 4096 + 0x40), 3);
	/* One that may not go on is lost. */
	unmap_at(&w, f.addr & ~UINT64_C(0xfff), 1);
	scene_put32(&w.s, DMATEST_CONTROL, DMATEST_CONTROL_INT_EN | 2 << 8);
	scene_put32(&w.s, DMATEST_COMMAND, DMATEST_CMD_NOP);
	assert_true(scene_fault(&w.s, &f));
	map_at(&w, f.addr & ~UINT64_C(0xfff), 30, 1);
	scene_answer(&w.s, f.cookie, IOMMUFD_PAGE_RESP_INVALID);
	assert_int_equal(*(volatile uint32_t *)(w.s.guest + 30 * 4096 + 0x40), 3);
	/* With one that waits, everything can go. */
	unmap_at(&w, f.addr & ~UINT64_C(0xfff), 1);
	scene_put32(&w.s, DMATEST_COMMAND, DMATEST_CMD_NOP);
	assert_true(scene_fault(&w.s, &f));
	down(&w);
}

/* Who cannot wait is aborted, and so is who could, if nobody listens. */
static void no_stall(void **state)
{
	struct world w;

	(void)state;
	up_stalling(&w, "optional", "off");
	scene_attach(&w.s, w.s.ioas);
	assert_int_equal(scene_run(&w.s, DMATEST_CMD_FILL, 0, IOVA, 8), DMATEST_STATUS_ERROR);
	assert_int_equal(count(&w, "drv.fault"), 1);
	down(&w);
	up_stalling(&w, "optional", "on");
	scene_attach(&w.s, w.s.ioas);
	assert_int_equal(scene_run(&w.s, DMATEST_CMD_FILL, 0, IOVA, 8), DMATEST_STATUS_ERROR);
	assert_int_equal(scene_get32(&w.s, DMATEST_ERROR), DMATEST_ERROR_DST_DMA);
	down(&w);
}

/* MSI and MSI-X: one message for each, to the vector's own descriptor. */
static void messages(void **state)
{
	(void)state;
	for (unsigned int index = VFIO_PCI_MSI_IRQ_INDEX; index <= VFIO_PCI_MSIX_IRQ_INDEX; index++) {
		int32_t irq[9] = {sizeof(irq), VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, (int32_t)index, 0, 4};
		struct world w;
		uint64_t n;

		up(&w, "grace");
		scene_attach(&w.s, w.s.ioas);
		for (unsigned int v = 0; v < 4; v++)
			irq[5 + v] = eventfd(0, EFD_NONBLOCK);
		assert_int_equal(scene_ioctl(&w.s, w.s.dev, VFIO_DEVICE_SET_IRQS, irq), 0);
		for (unsigned int v = 0; v < 4; v++) {
			scene_put32(&w.s, DMATEST_CONTROL, DMATEST_CONTROL_INT_EN | v << 8);
			scene_put32(&w.s, DMATEST_COMMAND, DMATEST_CMD_NOP);
			for (unsigned int j = 0; j < 4; j++)
				assert_int_equal(read(irq[5 + j], &n, sizeof(n)), j == v ? (ssize_t)sizeof(n) : -1);
		}
		for (unsigned int v = 0; v < 4; v++)
			close(irq[5 + v]);
		down(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attach_map_dma_fault),
		cmocka_unit_test(three_units),
		cmocka_unit_test(dirty_pages),
		cmocka_unit_test(guest_events),
		cmocka_unit_test(stalled_until_mapped),
		cmocka_unit_test(stalls_end),
		cmocka_unit_test(stalled_message),
		cmocka_unit_test(no_stall),
		cmocka_unit_test(messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
