/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupt messages that are DMA, on a host with SMMUs: a device writes its messages through the unit, and they arrive at the eventfd through
 * one stage or two. What has to be mapped for that, by the host in its window, by the guest one to one, or by binding; what is left out loses
 * messages, seen; and nobody raises another's interrupts.
 *
 * Numbers of IHI 0070 and IHI 0069 by hand.
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
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "machine/api.h"
#include "uapi/nestbox.h"

#define SCENE_CHECK(c) assert_true(c)
#include "../run/scene.h"

#define OK(c)	   assert_int_equal((c), 0)
#define WINDOW	   UINT64_C(0x8000000)
#define TRANSLATER (WINDOW + 0x40)
#define GDB	   UINT64_C(0x8090000) /* where QEMU's board has its own, in the window and beyond its 64 places */
#define WINDOW_L2  5u /* guest pages: the tables that lead to the window */
#define WINDOW_L3  6u
#define VECTORS	   4u

struct world {
	struct nb_host *h;
	struct scene s;
	uint32_t viommu, nested;
	int events;
	int32_t fd[VECTORS];
};

static uint64_t count(struct world *w, const char *event)
{
	uint64_t n;

	OK(nb_host_counter(w->h, event, &n));
	return n;
}

static void up(struct world *w, const char *host)
{
	char why[256] = "";

	*w = (struct world){.events = -1};
	if (nb_host_create(host, NULL, &w->h, why, sizeof(why)))
		fail_msg("%s", why);
	scene_open(&w->s, nb_host_kernel(w->h));
	for (unsigned int v = 0; v < VECTORS; v++)
		w->fd[v] = eventfd(0, EFD_NONBLOCK);
}

static void up_described(struct world *w, const char *yaml)
{
	char path[] = "/tmp/nbmsiXXXXXX.yaml";
	int fd = mkstemps(path, 5);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, yaml, strlen(yaml)), strlen(yaml));
	close(fd);
	up(w, path);
	unlink(path);
}

/* A unit that lets guests bind, with two engines behind it. */
static void up_binding(struct world *w)
{
	up_described(w, "name: binding\n"
			"iommus:\n"
			"  - {name: smmu0, vendor: smmuv3, capabilities: {guest-msi: true}}\n"
			"functions:\n"
			"  - {address: '01:00.0', iommu: smmu0, model: dmatest}\n"
			"  - {address: '02:00.0', iommu: smmu0, model: dmatest}\n");
}

static void down(struct world *w)
{
	if (w->events >= 0)
		OK(w->s.k->close(w->s.k->opaque, w->events));
	scene_close(&w->s);
	nb_host_destroy(w->h);
	for (unsigned int v = 0; v < VECTORS; v++)
		close(w->fd[v]);
}

/* ---- interrupts ---- */

static long set_irqs(struct world *w, int dev, const int32_t *fd, unsigned int n)
{
	int32_t irq[5 + VECTORS] = {(int32_t)(20 + 4 * n),
				    (n ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE) | VFIO_IRQ_SET_ACTION_TRIGGER,
				    VFIO_PCI_MSIX_IRQ_INDEX, 0, (int32_t)n};

	for (unsigned int v = 0; v < n; v++)
		irq[5 + v] = fd[v];
	return scene_ioctl(&w->s, dev, VFIO_DEVICE_SET_IRQS, irq);
}

static uint64_t came(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

/* The engine interrupts; did it come to that vector's descriptor and to no other? */
static bool arrives(struct world *w, unsigned int v)
{
	bool right = true;

	scene_put32(&w->s, DMATEST_CONTROL, DMATEST_CONTROL_INT_EN | v << 8);
	scene_put32(&w->s, DMATEST_COMMAND, DMATEST_CMD_NOP);
	scene_put32(&w->s, DMATEST_CONTROL, 0);
	for (unsigned int i = 0; i < VECTORS; i++)
		right = (came(w->fd[i]) == (i == v)) && right;
	return right;
}

static bool all_arrive(struct world *w)
{
	bool all = true;

	for (unsigned int v = 0; v < VECTORS; v++)
		all = arrives(w, v) && all;
	return all;
}

/* The engine writes a message by itself. */
static uint32_t forge(struct world *w, uint64_t addr, uint64_t data, unsigned int len)
{
	scene_put64(&w->s, DMATEST_PATTERN, data);
	return scene_run(&w->s, DMATEST_CMD_FILL, 0, addr, len);
}

static long bind_msi(struct world *w, unsigned int page, uint64_t gdb)
{
	struct nestbox_guest_msi_bind b = {
		.size = sizeof(b), .dev_id = w->s.dev_id, .giova = SCENE_IOVA + page * 4096, .gdb = gdb, .granule = 4096};

	return scene_ioctl(&w->s, w->s.iommu, NESTBOX_GUEST_MSI_BIND, &b);
}

/* ---- the guest ---- */

static uint32_t alloc_hwpt(struct world *w, uint32_t on, uint32_t flags)
{
	struct iommu_hwpt_alloc alloc = {.size = sizeof(alloc), .flags = flags, .dev_id = w->s.dev_id, .pt_id = on};

	OK(scene_ioctl(&w->s, w->s.iommu, IOMMU_HWPT_ALLOC, &alloc));
	return alloc.out_hwpt_id;
}

/* A stage 1 of the guest on a new parent; the STE's Config is 5 (stage 1) or 4 (bypass). */
static uint32_t alloc_nested(struct world *w, uint32_t config)
{
	struct iommu_hwpt_arm_smmuv3 ste = {{1 | config << 1 | (SCENE_GPA + 4 * 4096), 0}};
	struct iommu_hwpt_alloc alloc = {.size = sizeof(alloc),
					 .dev_id = w->s.dev_id,
					 .pt_id = w->viommu,
					 .data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
					 .data_len = sizeof(ste),
					 .data_uptr = (uintptr_t)&ste};

	if (config == 4)
		ste.ste[0] = 1 | config << 1;
	OK(scene_ioctl(&w->s, w->s.iommu, IOMMU_HWPT_ALLOC, &alloc));
	return alloc.out_hwpt_id;
}

static void make_guest(struct world *w)
{
	struct iommu_viommu_alloc viommu = {.size = sizeof(viommu), .type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3, .dev_id = w->s.dev_id};
	struct iommu_vdevice_alloc vdevice = {.size = sizeof(vdevice), .virt_id = 0xabc, .dev_id = w->s.dev_id};
	struct iommu_veventq_alloc eventq = {.size = sizeof(eventq), .type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, .veventq_depth = 16};
	uint64_t *cd = scene_table(&w->s, 4);

	w->s.parent = viommu.hwpt_id = alloc_hwpt(w, w->s.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	OK(scene_ioctl(&w->s, w->s.iommu, IOMMU_VIOMMU_ALLOC, &viommu));
	w->viommu = vdevice.viommu_id = eventq.viommu_id = viommu.out_viommu_id;
	OK(scene_ioctl(&w->s, w->s.iommu, IOMMU_VDEVICE_ALLOC, &vdevice));
	OK(scene_ioctl(&w->s, w->s.iommu, IOMMU_VEVENTQ_ALLOC, &eventq));
	w->events = (int)eventq.out_veventq_fd;
	cd[1] = SCENE_GPA;
	cd[3] = 0xff;
	/* T0SZ 16, EPD1, V, IPS 48 bits, AA64, R, A, ASID 9 */
	cd[0] = 16 | 1u << 30 | UINT64_C(1) << 31 | UINT64_C(5) << 32 | UINT64_C(1) << 41 | UINT64_C(3) << 45 | UINT64_C(9) << 48;
	/* Towards the window, from the root in page 0: index 0, then 0, then 64. */
	scene_table(&w->s, 0)[0] = (SCENE_GPA + 7 * 4096) | 3;
	scene_table(&w->s, 7)[0] = (SCENE_GPA + WINDOW_L2 * 4096) | 3;
	scene_table(&w->s, WINDOW_L2)[WINDOW >> 21 & 511] = (SCENE_GPA + WINDOW_L3 * 4096) | 3;
	w->nested = alloc_nested(w, 5);
}

static void tlbi(struct world *w, uint64_t addr)
{
	struct iommu_viommu_arm_smmuv3_invalidate cmd = {{0x12 | UINT64_C(9) << 48, addr | 1}}; /* CMD_TLBI_NH_VA */
	struct iommu_hwpt_invalidate inv = {.size = sizeof(inv),
					    .hwpt_id = w->viommu,
					    .data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
					    .entry_len = sizeof(cmd),
					    .entry_num = 1,
					    .data_uptr = (uintptr_t)&cmd};

	OK(scene_ioctl(&w->s, w->s.iommu, IOMMU_HWPT_INVALIDATE, &inv));
}

/* Level 3: AP for all, AF, nG, inner shareable. */
static void guest_window(struct world *w, bool on)
{
	scene_table(&w->s, WINDOW_L3)[0] = on ? WINDOW | 0xf43 : 0;
	if (!on)
		tlbi(w, WINDOW);
}

static void guest_page(struct world *w, unsigned int n, uint64_t to)
{
	__atomic_store_n(&scene_table(&w->s, 3)[n], to ? to | 0xf43 : 0, __ATOMIC_RELEASE);
	if (!to)
		tlbi(w, SCENE_IOVA + n * 4096);
}

/* One event of the guest's, F_TRANSLATION of a write at addr by stage 1; and no more. */
static bool guest_faulted(struct world *w, uint64_t addr)
{
	struct {
		struct iommufd_vevent_header h;
		struct iommu_vevent_arm_smmuv3 e;
	} ev;

	if (w->s.k->read(w->s.k->opaque, w->events, &ev, sizeof(ev)) != sizeof(ev))
		return false;
	return (ev.e.evt[0] & 0xff) == 0x10 && !(ev.e.evt[1] >> 35 & 1) && ev.e.evt[2] == addr &&
	       w->s.k->read(w->s.k->opaque, w->events, &ev, sizeof(ev)) == 0;
}

/* ---- the kernel's window ---- */

static void through_both_stages(void **state)
{
	struct world w;

	(void)state;
	up(&w, "grace");
	make_guest(&w);
	guest_window(&w, true);
	scene_attach(&w.s, w.nested);
	OK(set_irqs(&w, w.s.dev, w.fd, VECTORS));
	assert_true(all_arrive(&w));
	assert_int_equal(count(&w, "hw.its-message"), VECTORS);
	assert_int_equal(count(&w, "host.msi-map"), 1);
	/* Without the guest's own mapping it does not arrive, and the guest is told why. */
	guest_window(&w, false);
	assert_false(arrives(&w, 1));
	assert_true(guest_faulted(&w, TRANSLATER));
	assert_int_equal(count(&w, "drv.fault"), 0);
	guest_window(&w, true);
	assert_true(all_arrive(&w));
	/* A reset leaves the host's programming, and the page that it is about. */
	OK(scene_ioctl(&w.s, w.s.dev, VFIO_DEVICE_RESET, NULL));
	OK(w.s.k->pwrite(w.s.k->opaque, w.s.dev, &(uint16_t){6}, 2, SCENE_CONFIG + 4) != 2);
	assert_true(all_arrive(&w));
	OK(set_irqs(&w, w.s.dev, NULL, 0));
	assert_int_equal(forge(&w, TRANSLATER, 0, 4), DMATEST_STATUS_DONE);
	assert_int_equal(count(&w, "hw.its-no-event"), 1);
	assert_int_equal(came(w.fd[0]), 0);
	down(&w);
}

/* Live interrupts from table to table: stage 1 of the host, a parent, the guest's on it, its bypass, and again. Blocked, they fault. */
static void tables_change(void **state)
{
	uint32_t plain, bypass;
	struct world w;

	(void)state;
	up(&w, "grace");
	make_guest(&w);
	guest_window(&w, true);
	bypass = alloc_nested(&w, 4);
	plain = alloc_hwpt(&w, w.s.ioas, 0);
	scene_attach(&w.s, plain);
	OK(set_irqs(&w, w.s.dev, w.fd, VECTORS));
	assert_true(all_arrive(&w));
	for (unsigned int i = 0; i < 2; i++) {
		scene_attach(&w.s, w.s.parent);
		assert_true(all_arrive(&w));
		scene_attach(&w.s, w.nested);
		assert_true(all_arrive(&w));
		scene_attach(&w.s, bypass);
		assert_true(all_arrive(&w));
		scene_attach(&w.s, w.s.ioas);
		assert_true(all_arrive(&w));
		scene_detach(&w.s);
		assert_false(arrives(&w, 0));
		scene_attach(&w.s, plain);
		assert_true(all_arrive(&w));
	}
	assert_int_equal(count(&w, "hw.fault"), 2);
	assert_int_equal(count(&w, "host.msi-map"), count(&w, "host.msi-unmap") + 1);
	scene_detach(&w.s);
	scene_destroy(&w.s, plain);
	scene_destroy(&w.s, bypass);
	scene_destroy(&w.s, w.nested);
	assert_int_equal(count(&w, "host.msi-map"), count(&w, "host.msi-unmap"));
	/* What is set up while DMA is blocked names the doorbell itself, as in Linux, and no table leads there. */
	OK(set_irqs(&w, w.s.dev, NULL, 0));
	OK(set_irqs(&w, w.s.dev, w.fd, VECTORS));
	assert_false(arrives(&w, 0));
	scene_attach(&w.s, w.s.ioas);
	assert_false(arrives(&w, 0));
	assert_int_equal(count(&w, "hw.fault"), 4);
	down(&w);
}

static long map_page(struct world *w, uint64_t iova)
{
	struct iommu_ioas_map map = {.size = sizeof(map),
				     .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE,
				     .ioas_id = w->s.ioas,
				     .user_va = (uintptr_t)w->s.guest,
				     .length = 4096,
				     .iova = iova};

	return scene_ioctl(&w->s, w->s.iommu, IOMMU_IOAS_MAP, &map);
}

/* The window is nobody's while something is attached, and anybody's else. */
static void window_is_reserved(void **state)
{
	struct iommu_iova_range r[16];
	struct iommu_ioas_iova_ranges g = {.size = sizeof(g), .num_iovas = 16, .allowed_iovas = (uintptr_t)r};
	struct iommu_ioas_unmap unmap = {.size = sizeof(unmap), .length = UINT64_MAX};
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach)};
	struct world w;

	(void)state;
	up(&w, "smmu-basic");
	g.ioas_id = unmap.ioas_id = attach.pt_id = w.s.ioas;
	scene_attach(&w.s, w.s.ioas);
	OK(set_irqs(&w, w.s.dev, w.fd, VECTORS));
	OK(scene_ioctl(&w.s, w.s.iommu, IOMMU_IOAS_IOVA_RANGES, &g));
	assert_int_equal(g.num_iovas, 2);
	assert_true(r[0].start == 0 && r[0].last == 0x7ffffff && r[1].start == 0x8100000);
	assert_int_equal(map_page(&w, WINDOW), -EINVAL);
	assert_int_equal(map_page(&w, WINDOW + 0xff000), -EINVAL);
	OK(map_page(&w, WINDOW - 4096));
	OK(scene_ioctl(&w.s, w.s.iommu, IOMMU_IOAS_UNMAP, &unmap));
	assert_true(all_arrive(&w));
	/* A function cannot read what is there. */
	assert_int_equal(scene_run(&w.s, DMATEST_CMD_CHECKSUM, TRANSLATER, 0, 4), DMATEST_STATUS_ERROR);
	scene_detach(&w.s);
	OK(map_page(&w, WINDOW));
	assert_int_equal(scene_ioctl(&w.s, w.s.dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), -EADDRINUSE);
	down(&w);
}

/* Two functions behind one unit in one address space: either can write to the doorbell, and raises its own interrupts. */
static void forged(void **state)
{
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach)};
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	int32_t other[VECTORS];
	struct world w;
	int victim;

	(void)state;
	up(&w, "grace");
	scene_attach(&w.s, w.s.ioas);
	OK(set_irqs(&w, w.s.dev, w.fd, 2));
	victim = w.s.k->open(w.s.k->opaque, "/dev/vfio/devices/vfio0", O_RDWR);
	assert_true(victim >= 0);
	bind.iommufd = w.s.iommu;
	OK(scene_ioctl(&w.s, victim, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	attach.pt_id = w.s.ioas;
	OK(scene_ioctl(&w.s, victim, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	for (unsigned int v = 0; v < VECTORS; v++)
		other[v] = eventfd(0, EFD_NONBLOCK);
	OK(set_irqs(&w, victim, other, VECTORS));
	for (uint64_t event = 0; event < 64; event++)
		assert_int_equal(forge(&w, TRANSLATER, event, 4), DMATEST_STATUS_DONE);
	assert_true(came(w.fd[0]) == 1 && came(w.fd[1]) == 1);
	for (unsigned int v = 0; v < VECTORS; v++)
		assert_int_equal(came(other[v]), 0);
	assert_int_equal(count(&w, "hw.its-no-event"), 64 - DMATEST_VECTORS); /* all of MSI-X are set up */
	assert_int_equal(count(&w, "hw.its-message"), DMATEST_VECTORS);
	assert_int_equal(count(&w, "hw.fault"), 0);
	/* Not what a message is. The rest of the frame has nothing, and beyond it nothing is mapped. */
	assert_int_equal(forge(&w, TRANSLATER, 0, 8), DMATEST_STATUS_DONE);
	assert_int_equal(forge(&w, TRANSLATER, 0, 2), DMATEST_STATUS_DONE);
	assert_int_equal(forge(&w, TRANSLATER + 2, 0, 4), DMATEST_STATUS_DONE);
	assert_int_equal(forge(&w, TRANSLATER + 4, 0, 4), DMATEST_STATUS_DONE);
	assert_int_equal(forge(&w, WINDOW, 0, 4096), DMATEST_STATUS_DONE);
	assert_int_equal(count(&w, "hw.its-bad-write"), 5);
	assert_int_equal(forge(&w, WINDOW + 4096 + 0x40, 0, 4), DMATEST_STATUS_ERROR);
	assert_int_equal(came(w.fd[0]) + came(w.fd[1]), 0);
	assert_int_equal(count(&w, "hw.its-message"), DMATEST_VECTORS);
	for (unsigned int v = 0; v < VECTORS; v++)
		close(other[v]);
	OK(w.s.k->close(w.s.k->opaque, victim));
	down(&w);
}

/* Functions of one number in two segments are two devices to the doorbell. Only the other one's unit lets guests bind. */
static void segments(void **state)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	int32_t other = eventfd(0, EFD_NONBLOCK);
	struct world w;
	int twin;

	(void)state;
	up_described(&w, "name: twins\n"
			 "iommus:\n"
			 "  - {name: smmu0, vendor: smmuv3, capabilities: {guest-msi: true}}\n"
			 "  - {name: smmu1, vendor: smmuv3, segment: 1}\n"
			 "functions:\n"
			 "  - {address: '0000:02:00.0', iommu: smmu0, model: dmatest}\n"
			 "  - {address: '0001:02:00.0', iommu: smmu1, model: dmatest}\n");
	twin = w.s.k->open(w.s.k->opaque, "/dev/vfio/devices/vfio0", O_RDWR);
	bind.iommufd = w.s.iommu;
	OK(scene_ioctl(&w.s, twin, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	OK(set_irqs(&w, twin, &other, 1));
	scene_attach(&w.s, w.s.ioas);
	OK(set_irqs(&w, w.s.dev, w.fd, VECTORS));
	assert_true(all_arrive(&w));
	assert_int_equal(came(other), 0);
	assert_int_equal(bind_msi(&w, 9, GDB), -EOPNOTSUPP);
	OK(w.s.k->close(w.s.k->opaque, twin));
	close(other);
	down(&w);
}

/* The device's own TLB leads there as well. */
static void through_ats(void **state)
{
	struct world w;

	(void)state;
	up(&w, "grace");
	scene_attach(&w.s, w.s.ioas);
	OK(set_irqs(&w, w.s.dev, w.fd, VECTORS));
	scene_put32(&w.s, DMATEST_CONTROL, DMATEST_CONTROL_ATS);
	for (unsigned int i = 0; i < 2; i++) /* a miss and a hit */
		assert_int_equal(forge(&w, TRANSLATER, 2, 4), DMATEST_STATUS_DONE);
	assert_int_equal(came(w.fd[2]), 2);
	assert_true(count(&w, "hw.ats-request") > 0);
	assert_true(all_arrive(&w));
	down(&w);
}

/* ---- bindings ---- */

static long unbind_msi(struct world *w)
{
	struct nestbox_guest_msi_unbind u = {.size = sizeof(u), .dev_id = w->s.dev_id};

	return scene_ioctl(&w->s, w->s.iommu, NESTBOX_GUEST_MSI_UNBIND, &u);
}

static void bound(void **state)
{
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach)};
	const uint64_t at = SCENE_IOVA + 9 * 4096;
	struct world w;

	(void)state;
	up_binding(&w);
	make_guest(&w);
	guest_window(&w, true); /* is of no use here */
	guest_page(&w, 9, GDB);
	scene_attach(&w.s, w.nested);
	assert_int_equal(set_irqs(&w, w.s.dev, w.fd, VECTORS), -ENOENT);
	assert_int_equal(count(&w, "host.msi-unbound"), 1);
	OK(bind_msi(&w, 9, GDB));
	assert_int_equal(count(&w, "host.msi-map"), 0);
	assert_int_equal(forge(&w, at + 0x40, 0, 4), DMATEST_STATUS_ERROR); /* not before its first use */
	OK(set_irqs(&w, w.s.dev, w.fd, VECTORS));
	assert_true(all_arrive(&w));
	assert_int_equal(count(&w, "host.msi-map"), 1);
	/* Write-only: stage 2 refuses a read before anybody looks for memory. */
	assert_int_equal(count(&w, "hw.dma-bad-pa"), 0);
	assert_int_equal(scene_run(&w.s, DMATEST_CMD_CHECKSUM, at + 0x40, 0, 4), DMATEST_STATUS_ERROR);
	assert_int_equal(count(&w, "hw.dma-bad-pa"), 0);
	assert_int_equal(count(&w, "drv.fault"), 2);
	/* The window is not shown. */
	assert_int_equal(forge(&w, TRANSLATER, 0, 4), DMATEST_STATUS_ERROR);
	/* The guest's own table decides, as for any address. */
	guest_page(&w, 9, 0);
	assert_false(arrives(&w, 0));
	assert_true(guest_faulted(&w, at + 0x40));
	guest_page(&w, 9, GDB);
	assert_true(all_arrive(&w));
	/* Unbound, and the TLBs know: nothing comes, and stage 2 says so to the host. */
	OK(unbind_msi(&w));
	assert_int_equal(count(&w, "drv.fault"), 3);
	assert_false(arrives(&w, 3));
	assert_int_equal(count(&w, "drv.fault"), 4);
	assert_int_equal(count(&w, "host.msi-unmap"), 1);
	OK(bind_msi(&w, 9, GDB));
	assert_true(all_arrive(&w));
	/* Another way while interrupts are set up is refused; down and up again it works. */
	attach.pt_id = w.s.parent;
	assert_int_equal(scene_ioctl(&w.s, w.s.dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), -EBUSY);
	assert_true(all_arrive(&w));
	OK(set_irqs(&w, w.s.dev, NULL, 0));
	scene_attach(&w.s, w.s.parent);
	OK(set_irqs(&w, w.s.dev, w.fd, VECTORS));
	assert_true(all_arrive(&w));
	assert_int_equal(count(&w, "hw.its-no-event"), 0);
	down(&w);
}

/* On hosts that do not say so, and on those of another vendor, there is no such call. */
static void not_offered(void **state)
{
	static const char *const hosts[] = {"grace", "spr"};

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		struct world w;

		up(&w, hosts[i]);
		assert_int_equal(bind_msi(&w, 9, GDB), -ENOTTY);
		assert_int_equal(unbind_msi(&w), -ENOTTY);
		down(&w);
	}
}

/* ---- threads ---- */

struct storm {
	struct world *w;
	unsigned int n, way;
	_Atomic bool done;
};

/* Changes of what messages go through, as long as they fly. None of them may lose one. */
static void *change(void *arg)
{
	struct storm *s = arg;
	struct world *w = s->w;

	for (unsigned int i = 0; !atomic_load(&s->done); i++) {
		if (s->way == 0)
			OK(bind_msi(w, 9 + i % 2, GDB + i % 2 * 4096));
		else
			scene_attach(&w->s, i % 2 ? w->nested : w->s.parent);
	}
	return NULL;
}

static void in_flight(void **state)
{
	(void)state;
	for (unsigned int way = 0; way < 2; way++) {
		struct storm s = {.n = 3000, .way = way};
		struct world w;
		pthread_t t;

		if (way == 0)
			up_binding(&w);
		else
			up(&w, "smmu-basic");
		s.w = &w;
		make_guest(&w);
		guest_window(&w, true);
		guest_page(&w, 9, GDB);
		guest_page(&w, 10, GDB + 4096);
		scene_attach(&w.s, w.nested);
		if (way == 0)
			OK(bind_msi(&w, 9, GDB));
		OK(set_irqs(&w, w.s.dev, w.fd, VECTORS));
		scene_put32(&w.s, DMATEST_CONTROL, DMATEST_CONTROL_INT_EN | 1 << 8);
		OK(pthread_create(&t, NULL, change, &s));
		for (unsigned int i = 0; i < s.n; i++)
			scene_put32(&w.s, DMATEST_COMMAND, DMATEST_CMD_NOP);
		atomic_store(&s.done, true);
		pthread_join(t, NULL);
		assert_int_equal(came(w.fd[1]), s.n);
		assert_int_equal(count(&w, "hw.fault"), 0);
		assert_int_equal(count(&w, "hw.its-message"), s.n);
		down(&w);
	}
}

/* Bound and unbound while they fly: whatever does not come is a fault, and after unbinding nothing comes. */
static void *send(void *arg)
{
	struct storm *s = arg;

	while (!atomic_load(&s->done))
		scene_put32(&s->w->s, DMATEST_COMMAND, DMATEST_CMD_NOP);
	return NULL;
}

static void unbound_in_flight(void **state)
{
	struct storm s = {0};
	struct world w;
	pthread_t t;
	uint64_t n;

	(void)state;
	up_binding(&w);
	s.w = &w;
	make_guest(&w);
	guest_page(&w, 9, GDB);
	scene_attach(&w.s, w.nested);
	OK(bind_msi(&w, 9, GDB));
	OK(set_irqs(&w, w.s.dev, w.fd, VECTORS));
	scene_put32(&w.s, DMATEST_CONTROL, DMATEST_CONTROL_INT_EN);
	OK(pthread_create(&t, NULL, send, &s));
	for (unsigned int i = 0; i < 100; i++) {
		uint64_t before;

		before = count(&w, "hw.its-message");
		while (count(&w, "hw.its-message") == before)
			sched_yield();
		OK(unbind_msi(&w));
		n = count(&w, "hw.its-message");
		before = count(&w, "hw.fault");
		while (count(&w, "hw.fault") == before)
			sched_yield();
		assert_int_equal(count(&w, "hw.its-message"), n);
		OK(bind_msi(&w, 9, GDB));
	}
	atomic_store(&s.done, true);
	pthread_join(t, NULL);
	assert_int_equal(came(w.fd[0]), count(&w, "hw.its-message"));
	down(&w);
}

/* Everything at once, and whatever each of it says to that. In the end nothing is left, and from there it works. */
static void *attach_about(void *arg)
{
	struct storm *s = arg;
	struct scene *sc = &s->w->s;

	for (unsigned int i = 0; i < s->n; i++) {
		struct vfio_device_attach_iommufd_pt a = {.argsz = sizeof(a), .pt_id = i % 3 ? s->w->nested : sc->parent};
		struct vfio_device_detach_iommufd_pt d = {.argsz = sizeof(d)};

		(void)scene_ioctl(sc, sc->dev, i % 4 < 3 ? VFIO_DEVICE_ATTACH_IOMMUFD_PT : VFIO_DEVICE_DETACH_IOMMUFD_PT,
				  i % 4 < 3 ? (void *)&a : (void *)&d);
	}
	return NULL;
}

static void *bind_about(void *arg)
{
	struct storm *s = arg;

	for (unsigned int i = 0; i < s->n; i++)
		(void)(i % 3 < 2 ? bind_msi(s->w, 9 + i % 2, GDB + i % 2 * 4096) : unbind_msi(s->w));
	return NULL;
}

static void *irqs_about(void *arg)
{
	struct storm *s = arg;

	for (unsigned int i = 0; i < s->n; i++) {
		(void)set_irqs(s->w, s->w->s.dev, s->w->fd, VECTORS);
		if (i % 8 == 0)
			(void)scene_ioctl(&s->w->s, s->w->s.dev, VFIO_DEVICE_RESET, NULL);
		scene_put32(&s->w->s, DMATEST_CONTROL, DMATEST_CONTROL_INT_EN);
		(void)set_irqs(s->w, s->w->s.dev, NULL, 0);
	}
	return NULL;
}

static void all_at_once(void **state)
{
	void *(*const what[])(void *) = {attach_about, bind_about, irqs_about};
	struct storm s = {.n = 200}, sending = {0};
	uint16_t command = 6;
	pthread_t t[4];
	struct world w;

	(void)state;
	up_binding(&w);
	s.w = sending.w = &w;
	make_guest(&w);
	guest_window(&w, true);
	guest_page(&w, 9, GDB);
	guest_page(&w, 10, GDB + 4096);
	scene_put32(&w.s, DMATEST_CONTROL, DMATEST_CONTROL_INT_EN);
	OK(pthread_create(&t[3], NULL, send, &sending));
	for (unsigned int i = 0; i < 3; i++)
		OK(pthread_create(&t[i], NULL, what[i], &s));
	for (unsigned int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	atomic_store(&sending.done, true);
	pthread_join(t[3], NULL);
	assert_int_equal(w.s.k->pwrite(w.s.k->opaque, w.s.dev, &command, 2, SCENE_CONFIG + 4), 2);
	scene_put32(&w.s, DMATEST_CONTROL, 0);
	for (unsigned int v = 0; v < VECTORS; v++)
		(void)came(w.fd[v]);
	scene_detach(&w.s);
	assert_int_equal(count(&w, "host.msi-map"), count(&w, "host.msi-unmap"));
	scene_attach(&w.s, w.nested);
	OK(bind_msi(&w, 9, GDB));
	OK(set_irqs(&w, w.s.dev, w.fd, VECTORS));
	assert_true(all_arrive(&w));
	OK(set_irqs(&w, w.s.dev, NULL, 0));
	scene_attach(&w.s, w.s.parent);
	OK(set_irqs(&w, w.s.dev, w.fd, VECTORS));
	assert_true(all_arrive(&w));
	down(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(through_both_stages),
		cmocka_unit_test(tables_change),
		cmocka_unit_test(window_is_reserved),
		cmocka_unit_test(forged),
		cmocka_unit_test(segments),
		cmocka_unit_test(through_ats),
		cmocka_unit_test(bound),
		cmocka_unit_test(not_offered),
		cmocka_unit_test(in_flight),
		cmocka_unit_test(unbound_in_flight),
		cmocka_unit_test(all_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
