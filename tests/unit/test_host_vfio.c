/* SPDX-License-Identifier: BSD-3-Clause */
/* Device files: information, regions, configuration space, interrupts, resets, on a dmatest function. Errors are the uAPI sheet's. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dev/dmatest_regs.h"
#include "host_rig.h"

#define REGION(i) ((uint64_t)(i) << 40)
#define CONFIG	  REGION(7)

static int setup(void **state)
{
	*state = rig_new();
	return 0;
}
static int setup_msi(void **state)
{
	*state = rig_new_msi(true);
	return 0;
}
static int teardown(void **state)
{
	rig_free(*state);
	return 0;
}

static long dev_ioctl(struct rig *r, unsigned int cmd, void *arg)
{
	return vfio_ioctl(r->vf[0], cmd, (uintptr_t)arg);
}

static uint32_t cfg(struct rig *r, uint32_t off, unsigned int n)
{
	uint32_t v = 0;

	assert_int_equal(vfio_pread(r->vf[0], &v, n, CONFIG + off), n);
	return v;
}
static void set_cfg(struct rig *r, uint32_t off, unsigned int n, uint32_t v)
{
	assert_int_equal(vfio_pwrite(r->vf[0], &v, n, CONFIG + off), n);
}
static uint32_t hw_cfg(struct rig *r, uint32_t off, unsigned int n)
{
	uint32_t v = 0;

	dev_config_read(r->fn[0], off, &v, n);
	return v;
}

static uint32_t find_cap(struct rig *r, uint8_t id)
{
	uint32_t at = cfg(r, 0x34, 1);

	while (at && cfg(r, at, 1) != id)
		at = cfg(r, at + 1, 1);
	return at;
}

static uint32_t find_ext(struct rig *r, uint16_t id)
{
	uint32_t at = 0x100;

	for (unsigned int n = 0; n < 64 && at; n++) {
		uint32_t h = cfg(r, at, 4);

		if ((h & 0xffff) == id)
			return at;
		at = h >> 20;
	}
	return 0;
}

static void reg(struct rig *r, uint32_t off, uint32_t v)
{
	assert_int_equal(vfio_pwrite(r->vf[0], &v, 4, off), 4);
}

/* One NOP that ends in an interrupt. */
static void interrupt(struct rig *r, unsigned int vector)
{
	reg(r, DMATEST_CONTROL, DMATEST_CONTROL_INT_EN | vector << 8);
	reg(r, DMATEST_COMMAND, DMATEST_CMD_NOP);
}

static uint64_t fired(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void info(void **state)
{
	struct rig *r = rig_of(state);
	struct vfio_device_info i = {.argsz = sizeof(i), .cap_offset = 7};
	struct vfio_region_info q = {.argsz = sizeof(q)};
	struct vfio_irq_info n = {.argsz = sizeof(n)};
	int fd;
	uint64_t off;

	rig_bind(r, 0);
	assert_int_equal(dev_ioctl(r, VFIO_DEVICE_GET_INFO, &i), 0);
	assert_int_equal(i.flags, VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET);
	assert_int_equal(i.num_regions, 9);
	assert_int_equal(i.num_irqs, 5);
	assert_int_equal(i.cap_offset, 0);
	i.argsz = 15;
	assert_int_equal(dev_ioctl(r, VFIO_DEVICE_GET_INFO, &i), -EINVAL);
	i.argsz = 16;
	i.cap_offset = 7;
	assert_int_equal(dev_ioctl(r, VFIO_DEVICE_GET_INFO, &i), 0);
	assert_int_equal(i.cap_offset, 7); /* not beyond argsz */
	assert_int_equal(vfio_ioctl(r->vf[0], VFIO_DEVICE_GET_INFO, 4), -EFAULT);
	assert_int_equal(dev_ioctl(r, 0x3bff, &i), -ENOTTY);
	assert_int_equal(dev_ioctl(r, VFIO_DEVICE_IOEVENTFD, &i), -ENOTTY);

	for (q.index = 0; q.index < 9; q.index++) {
		long err;

		q.argsz = sizeof(q);
		err = dev_ioctl(r, VFIO_DEVICE_GET_REGION_INFO, &q);
		assert_int_equal(err, q.index == 8 ? -EINVAL : 0);
		if (err)
			continue;
		assert_int_equal(q.offset, REGION(q.index));
		switch (q.index) {
		case DMATEST_BAR_REGS:
			assert_int_equal(q.size, DMATEST_BAR_REGS_SIZE);
			assert_int_equal(q.flags, 3);
			break;
		case DMATEST_BAR_LOCAL:
			assert_int_equal(q.size, DMATEST_BAR_LOCAL_SIZE);
			assert_int_equal(q.flags, 7);
			break;
		case DMATEST_BAR_MSIX:
			assert_int_equal(q.flags, 3);
			break;
		case 7:
			assert_int_equal(q.size, 4096);
			assert_int_equal(q.flags, 3);
			break;
		default:
			assert_int_equal(q.size, 0);
			assert_int_equal(q.flags, 0);
		}
	}
	assert_int_equal(dev_ioctl(r, VFIO_DEVICE_GET_REGION_INFO, &q), -EINVAL);
	q.argsz = 31;
	assert_int_equal(dev_ioctl(r, VFIO_DEVICE_GET_REGION_INFO, &q), -EINVAL);

	{
		static const struct {
			uint32_t count, flags;
		} want[] = {{1, 7}, {4, 9}, {4, 1}, {1, 9}, {1, 9}};

		for (n.index = 0; n.index < 5; n.index++) {
			assert_int_equal(dev_ioctl(r, VFIO_DEVICE_GET_IRQ_INFO, &n), 0);
			assert_int_equal(n.count, want[n.index].count);
			assert_int_equal(n.flags, want[n.index].flags);
		}
		assert_int_equal(dev_ioctl(r, VFIO_DEVICE_GET_IRQ_INFO, &n), -EINVAL);
		n.argsz = 15;
		n.index = 0;
		assert_int_equal(dev_ioctl(r, VFIO_DEVICE_GET_IRQ_INFO, &n), -EINVAL);
	}

	/* mmap: what may be mapped, and where it is */
	assert_int_equal(vfio_mmap(r->vf[0], REGION(2), 0x10000, PROT_READ, MAP_SHARED, &fd, &off), 0);
	assert_int_equal(vfio_mmap(r->vf[0], REGION(2) + 0x1000, 0xf000, PROT_READ, MAP_SHARED, &fd, &off), 0);
	assert_int_equal(vfio_mmap(r->vf[0], REGION(2), 0x11000, PROT_READ, MAP_SHARED, &fd, &off), -EINVAL);
	assert_int_equal(vfio_mmap(r->vf[0], REGION(2) + 0x1000, 0x10000, PROT_READ, MAP_SHARED, &fd, &off), -EINVAL);
	assert_int_equal(vfio_mmap(r->vf[0], REGION(2) + 0x10000, 1, PROT_READ, MAP_SHARED, &fd, &off), -EINVAL);
	assert_int_equal(vfio_mmap(r->vf[0], REGION(2), 0x1000, PROT_READ, MAP_PRIVATE, &fd, &off), -EINVAL);
	assert_int_equal(vfio_mmap(r->vf[0], REGION(0), 0x1000, PROT_READ, MAP_SHARED, &fd, &off), -EINVAL);
	assert_int_equal(vfio_mmap(r->vf[0], REGION(7), 0x1000, PROT_READ, MAP_SHARED, &fd, &off), -EINVAL);
	assert_int_equal(vfio_mmap(r->vf[0], REGION(99), 0x1000, PROT_READ, MAP_SHARED, &fd, &off), -EINVAL);
	{
		uint32_t v = 0x600df00d;
		uint8_t *p;

		assert_int_equal(vfio_mmap(r->vf[0], REGION(2) + 0x2000, 0x1000, PROT_READ, MAP_SHARED, &fd, &off), 0);
		p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)off);
		assert_int_equal(vfio_pwrite(r->vf[0], &v, 4, REGION(2) + 0x2010), 4);
		assert_memory_equal(p + 0x10, &v, 4); /* one memory, two ways in */
		munmap(p, 4096);
	}
}

static void regions(void **state)
{
	struct rig *r = rig_of(state);
	uint8_t b[64];
	uint64_t v64;
	uint32_t v;

	rig_bind(r, 0);
	assert_int_equal(vfio_pread(r->vf[0], &v, 4, DMATEST_ID), 4);
	assert_int_equal(v, DMATEST_ID_VALUE);
	v64 = UINT64_C(0x1122334455667788);
	assert_int_equal(vfio_pwrite(r->vf[0], &v64, 8, DMATEST_SCRATCH), 8);
	v64 = 0;
	assert_int_equal(vfio_pread(r->vf[0], &v64, 8, DMATEST_SCRATCH), 8);
	assert_int_equal(v64, UINT64_C(0x1122334455667788));
	assert_int_equal(vfio_pread(r->vf[0], b, 0, DMATEST_ID), 0);
	assert_int_equal(vfio_pread(r->vf[0], b, 16, 0x1000 - 8), 8); /* short at the end */
	assert_int_equal(vfio_pread(r->vf[0], b, 4, 0x1000), -EINVAL);
	assert_int_equal(vfio_pread(r->vf[0], b, 4, REGION(1)), -EINVAL);
	assert_int_equal(vfio_pread(r->vf[0], b, 4, REGION(6)), -EINVAL);
	assert_int_equal(vfio_pwrite(r->vf[0], b, 4, REGION(6)), -EINVAL);
	assert_int_equal(vfio_pread(r->vf[0], b, 4, REGION(8)), -EINVAL);
	assert_int_equal(vfio_pread(r->vf[0], b, 4, REGION(9)), -EINVAL);
	assert_int_equal(vfio_pread(r->vf[0], b, 4, UINT64_MAX), -EINVAL);
	assert_int_equal(vfio_pread(r->vf[0], (void *)8, 4, 0), -EFAULT);
	assert_int_equal(vfio_pwrite(r->vf[0], (void *)8, 4, 0), -EFAULT);
	/* the MSI-X table is the kernel's */
	memset(b, 0, sizeof(b));
	assert_int_equal(vfio_pread(r->vf[0], b, 64, REGION(DMATEST_BAR_MSIX)), 64);
	for (unsigned int i = 0; i < 64; i++)
		assert_int_equal(b[i], 0xff);
	memset(b, 0, sizeof(b));
	assert_int_equal(vfio_pwrite(r->vf[0], b, 64, REGION(DMATEST_BAR_MSIX)), 64);
	assert_int_equal(dev_bar_read(r->fn[0], DMATEST_BAR_MSIX, 12, 4) & 1, 1); /* still masked */
	/* memory decode off: no registers */
	set_cfg(r, 4, 2, 0);
	assert_int_equal(vfio_pread(r->vf[0], &v, 4, DMATEST_ID), -EIO);
	assert_int_equal(vfio_pwrite(r->vf[0], &v, 4, DMATEST_SCRATCH), -EIO);
	set_cfg(r, 4, 2, 2);
	assert_int_equal(vfio_pread(r->vf[0], &v, 4, DMATEST_ID), 4);
}

static void config(void **state)
{
	struct rig *r = rig_of(state);
	uint8_t all[4096];
	uint32_t at, pcie;

	rig_bind(r, 0);
	assert_int_equal(vfio_pread(r->vf[0], all, 4096, CONFIG), 4096);
	assert_int_equal(all[0] | all[1] << 8, DMATEST_PCI_VENDOR);
	assert_int_equal(vfio_pread(r->vf[0], all, 4, CONFIG + 4096), -EFAULT);
	assert_int_equal(vfio_pread(r->vf[0], all, 8, CONFIG + 4092), -EFAULT);
	assert_int_equal(vfio_pwrite(r->vf[0], all, 8, CONFIG + 4092), -EFAULT);
	assert_int_equal(vfio_pread(r->vf[0], (void *)8, 4, CONFIG), -EFAULT);
	/* base address registers are ours: sizing works, the function's stay */
	set_cfg(r, 0x10, 4, 0xffffffff);
	assert_int_equal(cfg(r, 0x10, 4) & 0xfffffff0, 0xfffff000);
	set_cfg(r, 0x10, 4, 0xfebf1234);
	assert_int_equal(cfg(r, 0x10, 4) & 0xfffffff0, 0xfebf1000);
	assert_int_equal(hw_cfg(r, 0x10, 4) & 0xfffffff0, 0);
	set_cfg(r, 0x12, 1, 0xaa); /* by bytes, too */
	assert_int_equal(cfg(r, 0x10, 4) & 0xfffffff0, 0xfeaa1000);
	set_cfg(r, 0x30, 4, 0xfffff800);
	assert_int_equal(cfg(r, 0x30, 4), 0); /* no ROM */
	set_cfg(r, 0x14, 4, 0xffffffff);
	assert_int_equal(cfg(r, 0x14, 4), 0); /* absent or an upper half of a small one */
	/* command: decode and INTx disable are ours, bus master is the function's */
	assert_int_equal(cfg(r, 4, 2), 2);
	set_cfg(r, 4, 2, 0x0407);
	assert_int_equal(cfg(r, 4, 2) & 0x0407, 0x0407);
	assert_int_equal(hw_cfg(r, 4, 2) & 0x0406, 0x0006);
	set_cfg(r, 4, 1, 0);
	assert_int_equal(hw_cfg(r, 4, 2) & 6, 2); /* it always decodes */
	assert_int_equal(cfg(r, 4, 2) & 0x407, 0x400);
	set_cfg(r, 4, 2, 2);
	set_cfg(r, 0, 4, 0);
	assert_int_equal(cfg(r, 0, 2), DMATEST_PCI_VENDOR);
	set_cfg(r, 0x3c, 1, 11);
	assert_int_equal(cfg(r, 0x3c, 1), 11);
	/* MSI: addresses are ours, and the enable bit needs SET_IRQS */
	at = find_cap(r, 5);
	assert_int_not_equal(at, 0);
	set_cfg(r, at + 4, 4, 0xfee00000);
	assert_int_equal(cfg(r, at + 4, 4), 0xfee00000);
	assert_int_equal(hw_cfg(r, at + 4, 4), 0);
	set_cfg(r, at + 2, 2, 1);
	assert_int_equal(cfg(r, at + 2, 2) & 1, 0);
	assert_int_equal(hw_cfg(r, at + 2, 2) & 1, 0);
	at = find_cap(r, 0x11);
	assert_int_not_equal(at, 0);
	set_cfg(r, at + 2, 2, 0x8000);
	assert_int_equal(hw_cfg(r, at + 2, 2) & 0x8000, 0);
	/* PASID is hidden; ATS and page requests are there, as the host has them, and not the owner's to change */
	assert_int_equal(find_ext(r, 0x1b), 0);
	at = find_ext(r, 0x0f);
	assert_int_not_equal(at, 0);
	assert_int_equal(cfg(r, at + 6, 2) & 0x8000, 0x8000);
	set_cfg(r, at + 6, 2, 0);
	assert_int_equal(hw_cfg(r, at + 6, 2) & 0x8000, 0x8000);
	at = find_ext(r, 0x13);
	assert_int_not_equal(at, 0);
	assert_int_equal(cfg(r, at + 4, 4), hw_cfg(r, at + 4, 4));
	assert_int_equal(cfg(r, at + 8, 4), hw_cfg(r, at + 8, 4));
	set_cfg(r, at + 4, 2, 1);
	set_cfg(r, at + 12, 4, 7);
	assert_int_equal(hw_cfg(r, at + 4, 2) & 1, 0);
	assert_int_equal(hw_cfg(r, at + 12, 4), 0);
	assert_int_equal(dev_feature_enable(r->fn[0], DEV_FEATURE_PRI, true, 32), 0);
	assert_int_equal(cfg(r, at + 4, 2), 1);
	assert_int_equal(cfg(r, at + 12, 4), 32);
	set_cfg(r, at + 4, 1, 0);
	set_cfg(r, at + 12, 2, 0);
	assert_int_equal(hw_cfg(r, at + 4, 2), 1);
	assert_int_equal(hw_cfg(r, at + 12, 4), 32);
	assert_int_equal(dev_feature_enable(r->fn[0], DEV_FEATURE_PRI, false, 0), 0);
	for (uint32_t i = 0x100; i < 4096; i += 4) { /* wherever the function has PASID: zeros, and no way to it */
		uint32_t h = hw_cfg(r, i, 4);

		if ((h & 0xffff) != 0x1b)
			continue;
		assert_int_equal(hw_cfg(r, i + 6, 2) & 1, 1); /* the host enabled it */
		assert_int_equal(cfg(r, i + 4, 4), 0);
		set_cfg(r, i + 6, 2, 0);
		assert_int_equal(hw_cfg(r, i + 6, 2) & 1, 1);
	}
	/* function-level reset through device control */
	pcie = find_cap(r, 0x10);
	assert_int_not_equal(pcie, 0);
	reg(r, DMATEST_SCRATCH, 77);
	set_cfg(r, 4, 2, 6);
	set_cfg(r, pcie + 8, 2, cfg(r, pcie + 8, 2) | 0x8000);
	assert_int_equal(nb_trace_count(r->tr, NB_EV_vfio_reset), 1);
	assert_int_equal(cfg(r, pcie + 8, 2) & 0x8000, 0);
	{
		uint32_t v = 1;

		assert_int_equal(vfio_pread(r->vf[0], &v, 4, DMATEST_SCRATCH), 4);
		assert_int_equal(v, 0);
	}
	assert_int_equal(hw_cfg(r, 4, 2) & 6, 6); /* restored */
}


static int never_enable(struct drv_dev *dev, enum drv_feature what, uint32_t arg)
{
	(void)dev, (void)what, (void)arg;
	return -ENODEV;
}
static void never_disable(struct drv_dev *dev, enum drv_feature what)
{
	(void)dev, (void)what;
}

/* Where a driver tells the function, what it told survives every reset that the host makes, and the host adds nothing. */
static void driver_features(void **state)
{
	static const struct drv_fn_ops ops = {never_enable, never_disable};
	struct rig *r = rig_of(state);
	uint32_t ats, pri;

	r->dev[0].fn_ops = &ops;
	rig_bind(r, 0);
	for (unsigned int i = 0; i < 3; i++)
		assert_false(dev_feature_enabled(r->fn[0], (enum dev_feature)i));
	ats = find_ext(r, 0x0f);
	pri = find_ext(r, 0x13);
	assert_int_equal(dev_feature_enable(r->fn[0], DEV_FEATURE_ATS, true, 14), 0);
	assert_int_equal(dev_feature_enable(r->fn[0], DEV_FEATURE_PRI, true, 0x12345), 0);
	for (unsigned int i = 0; i < 3; i++) {
		assert_false(dev_feature_enabled(r->fn[0], DEV_FEATURE_PASID));
		assert_int_equal(hw_cfg(r, ats + 6, 2), 0x8002);
		assert_int_equal(hw_cfg(r, pri + 4, 2), 1);
		assert_int_equal(hw_cfg(r, pri + 12, 4), 0x12345);
		if (i == 0) {
			assert_int_equal(dev_ioctl(r, VFIO_DEVICE_RESET, NULL), 0);
		} else if (i == 1) {
			vfio_close(r->vf[0]);
			rig_bind(r, 0);
		}
	}
	assert_int_equal(dev_feature_enable(r->fn[0], DEV_FEATURE_PASID, true, 0), 0);
	assert_int_equal(dev_feature_enable(r->fn[0], DEV_FEATURE_ATS, false, 0), 0);
	assert_int_equal(dev_ioctl(r, VFIO_DEVICE_RESET, NULL), 0);
	assert_true(dev_feature_enabled(r->fn[0], DEV_FEATURE_PASID));
	assert_false(dev_feature_enabled(r->fn[0], DEV_FEATURE_ATS));
}

static long set_irqs(struct rig *r, uint32_t flags, uint32_t index, uint32_t start, uint32_t count, const int32_t *fds)
{
	struct {
		uint32_t h[5];
		int32_t fd[8];
	} q = {{20, flags, index, start, count}, {0}};

	if (fds) {
		memcpy(q.fd, fds, count * 4);
		q.h[0] += count * 4;
	}
	return dev_ioctl(r, VFIO_DEVICE_SET_IRQS, &q);
}

#define EV   (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER)
#define NONE (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER)

static void irq_errors(void **state)
{
	struct rig *r = rig_of(state);
	int32_t efd = eventfd(0, EFD_NONBLOCK), null = open("/dev/null", O_RDWR), p[2];
	int32_t f4[4] = {efd, efd, efd, efd}, bad[4] = {efd, 9999, efd, efd}, m1[1] = {-1}, m2[1] = {-2};
	struct {
		uint32_t h[5];
	} q = {{19, NONE, 0, 0, 0}};

	assert_int_equal(pipe(p), 0);
	rig_bind(r, 0);
	assert_int_equal(dev_ioctl(r, VFIO_DEVICE_SET_IRQS, &q), -EINVAL);
	assert_int_equal(vfio_ioctl(r->vf[0], VFIO_DEVICE_SET_IRQS, 8), -EFAULT);
	{
		const struct {
			uint32_t flags, index, start, count;
			const int32_t *fds;
			long want;
		} t[] = {
			{NONE, 5, 0, 0, NULL, -EINVAL},
			{NONE, 0, 1, 0, NULL, -EINVAL},
			{NONE, 1, 0, 5, NULL, -EINVAL},
			{NONE, 1, 2, UINT32_MAX - 1, NULL, -EINVAL},
			{NONE, 1, UINT32_MAX, 1, NULL, -EINVAL},
			{VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0, 1, NULL, -EINVAL}, /* no data type */
			{3 | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0, 1, NULL, -EINVAL}, /* two */
			{NONE | 64, 0, 0, 1, NULL, -EINVAL},
			{EV, 0, 0, 1, NULL, -EINVAL}, /* too short */
			{VFIO_IRQ_SET_DATA_NONE, 0, 0, 1, NULL, -ENOTTY}, /* no action */
			{VFIO_IRQ_SET_DATA_NONE | 48, 0, 0, 1, NULL, -ENOTTY}, /* two */
			{VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK, 1, 0, 1, NULL, -ENOTTY},
			{VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, 2, 0, 1, NULL, -ENOTTY},
			{VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK, 4, 0, 1, NULL, -ENOTTY},
			{NONE, 0, 0, 0, NULL, -EINVAL}, /* not set up */
			{NONE, 0, 0, 1, NULL, -EINVAL},
			{NONE, 1, 0, 1, NULL, -EINVAL},
			{NONE, 2, 0, 0, NULL, -EINVAL},
			{VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK, 0, 0, 1, NULL, -EINVAL},
			{EV, 0, 0, 1, &null, -EINVAL}, /* no eventfd */
			{EV, 0, 0, 1, p, -EINVAL},
			{EV, 0, 0, 1, &bad[1], -EBADF},
			{EV, 0, 0, 1, m2, -EINVAL},
			{EV, 1, 0, 4, bad, -EBADF},
			{EV, 2, 0, 4, bad, -EBADF},
			{NONE, 3, 0, 0, NULL, -EINVAL},
			{EV, 3, 0, 0, &efd, -EINVAL},
			{EV, 3, 0, 1, &bad[1], -EBADF},
			{EV, 1, 0, 2, f4, 0},
			{EV, 1, 2, 2, f4, -EINVAL}, /* MSI is fixed at two now */
			{EV, 1, 1, 1, m1, 0},
			{EV, 2, 0, 2, f4, -EINVAL}, /* not while MSI is set up */
			{EV, 0, 0, 1, f4, -EINVAL},
			{NONE, 1, 0, 0, NULL, 0},
			{EV, 2, 0, 1, f4, 0},
			{EV, 2, 3, 1, f4, 0}, /* MSI-X may grow */
			{NONE, 2, 0, 0, NULL, 0},
			{EV, 0, 0, 1, f4, 0},
			{VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_MASK, 0, 0, 1, f4, -ENOTTY},
			{NONE, 0, 0, 0, NULL, 0},
		};

		for (unsigned int i = 0; i < ARRAY_SIZE(t); i++) {
			long err = set_irqs(r, t[i].flags, t[i].index, t[i].start, t[i].count, t[i].fds);

			if (err != t[i].want)
				fail_msg("row %u: %ld, not %ld (%s)", i, err, t[i].want, r->log);
		}
	}
	assert_int_equal(fired(efd), 0);
	close(efd);
	close(null);
	close(p[0]);
	close(p[1]);
}

static void messages(void **state)
{
	struct rig *r = rig_of(state);
	int32_t e[4], none[4] = {-1, -1, -1, -1};

	for (unsigned int i = 0; i < 4; i++)
		e[i] = eventfd(0, EFD_NONBLOCK);
	rig_bind(r, 0);
	set_cfg(r, 4, 2, 6); /* a message is a memory write: bus master */
	for (unsigned int index = 1; index <= 2; index++) {
		int32_t mine = dup(e[1]), pass[4] = {e[0], mine, e[2], e[3]};

		interrupt(r, 1); /* nobody listens */
		assert_int_equal(set_irqs(r, EV, index, 0, 4, pass), 0);
		close(mine); /* the host holds its own */
		assert_int_equal(fired(e[1]), 0);
		for (unsigned int v = 0; v < 4; v++) {
			interrupt(r, v);
			interrupt(r, v);
			for (unsigned int i = 0; i < 4; i++)
				assert_int_equal(fired(e[i]), i == v ? 2 : 0);
		}
		/* taken away: kept until there is a descriptor again */
		assert_int_equal(set_irqs(r, EV, index, 2, 1, none), 0);
		interrupt(r, 2);
		assert_int_equal(fired(e[2]), 0);
		assert_int_equal(set_irqs(r, EV, index, 2, 1, &e[2]), 0);
		assert_int_equal(fired(e[2]), 1);
		/* the caller's own trigger */
		assert_int_equal(set_irqs(r, NONE, index, 0, 2, NULL), 0);
		assert_int_equal(fired(e[0]), 1);
		assert_int_equal(fired(e[1]), 1);
		{
			struct {
				uint32_t h[5];
				uint8_t b[4];
			} q = {{24, VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER, index, 0, 4}, {0, 0, 1, 0}};

			assert_int_equal(dev_ioctl(r, VFIO_DEVICE_SET_IRQS, &q), 0);
			assert_int_equal(fired(e[0]) + fired(e[1]) + fired(e[3]), 0);
			assert_int_equal(fired(e[2]), 1);
		}
		/* a reset leaves messages set up, as the kernel restores them */
		assert_int_equal(dev_ioctl(r, VFIO_DEVICE_RESET, NULL), 0);
		interrupt(r, 3);
		assert_int_equal(fired(e[3]), 1);
		/* one descriptor of several is bad: all of the block are gone, the rest stay */
		{
			int32_t bad[2] = {e[0], 9999};

			assert_int_equal(set_irqs(r, EV, index, 0, 2, bad), -EBADF);
			interrupt(r, 3);
			assert_int_equal(fired(e[3]), 1);
			interrupt(r, 0);
			assert_int_equal(fired(e[0]), 0);
		}
		assert_int_equal(set_irqs(r, NONE, index, 0, 0, NULL), 0);
		interrupt(r, 3);
		assert_int_equal(fired(e[3]), 0);
	}
	/* an eventfd that is full is an interrupt lost, not a thread lost */
	{
		uint64_t full = UINT64_MAX - 1;
		int32_t blocking = eventfd(0, 0);

		assert_int_equal(write(blocking, &full, 8), 8);
		assert_int_equal(set_irqs(r, EV, 2, 0, 1, &blocking), 0);
		interrupt(r, 0);
		assert_true(nb_trace_count(r->tr, NB_EV_vfio_irq_lost) > 0);
		close(blocking);
	}
	for (unsigned int i = 0; i < 4; i++)
		close(e[i]);
}

static void intx(void **state)
{
	struct rig *r = rig_of(state);
	int32_t e = eventfd(0, EFD_NONBLOCK);
	const uint32_t unmask = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK;
	const uint32_t mask = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK;

	rig_bind(r, 0);
	assert_int_equal(set_irqs(r, EV, 0, 0, 1, &e), 0);
	interrupt(r, 0);
	assert_int_equal(fired(e), 1);
	assert_int_equal(cfg(r, 6, 2) & 8, 8); /* status says so */
	interrupt(r, 0);
	assert_int_equal(fired(e), 0); /* the line is up already */
	reg(r, DMATEST_INT, 1);
	interrupt(r, 0); /* down and up again */
	assert_int_equal(fired(e), 0); /* masked by its own firing */
	assert_int_equal(set_irqs(r, unmask, 0, 0, 1, NULL), 0);
	assert_int_equal(fired(e), 1); /* still asserted: again */
	reg(r, DMATEST_INT, 1);
	assert_int_equal(cfg(r, 6, 2) & 8, 0);
	assert_int_equal(set_irqs(r, unmask, 0, 0, 1, NULL), 0);
	assert_int_equal(fired(e), 0);
	/* by the caller's mask, and by its command register */
	assert_int_equal(set_irqs(r, mask, 0, 0, 1, NULL), 0);
	interrupt(r, 0);
	assert_int_equal(fired(e), 0);
	set_cfg(r, 4, 2, 0x0402);
	assert_int_equal(set_irqs(r, unmask, 0, 0, 1, NULL), 0);
	assert_int_equal(fired(e), 0);
	set_cfg(r, 4, 2, 2);
	assert_int_equal(fired(e), 1);
	/* a line that is up when the descriptor comes */
	assert_int_equal(set_irqs(r, NONE, 0, 0, 0, NULL), 0);
	assert_int_equal(set_irqs(r, EV, 0, 0, 1, &e), 0);
	assert_int_equal(fired(e), 1);
	/* error and request: the caller's trigger */
	assert_int_equal(set_irqs(r, EV, 4, 0, 1, &e), 0);
	assert_int_equal(set_irqs(r, NONE, 4, 0, 1, NULL), 0);
	assert_int_equal(fired(e), 1);
	assert_int_equal(set_irqs(r, NONE, 4, 0, 0, NULL), 0);
	assert_int_equal(set_irqs(r, NONE, 4, 0, 1, NULL), -EINVAL);
	close(e);
}

static void reset(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t s = rig_ioas(r), blocks;
	struct {
		struct vfio_pci_hot_reset_info h;
		struct vfio_pci_dependent_device d[4];
	} q = {.h.argsz = 11};
	struct vfio_pci_hot_reset hr = {.argsz = 12, .flags = 1};
	struct vfio_device_feature ft = {.argsz = 7};
	uint32_t v = 5;

	rig_bind(r, 0);
	assert_int_equal(rig_attach(r, 0, rig_hwpt(r, 0, s, 0)), 0);
	reg(r, DMATEST_SCRATCH, 5);
	set_cfg(r, 4, 2, 6);
	blocks = r->unit.blocks;
	assert_int_equal(dev_ioctl(r, VFIO_DEVICE_RESET, NULL), 0);
	assert_int_equal(vfio_pread(r->vf[0], &v, 4, DMATEST_SCRATCH), 4);
	assert_int_equal(v, 0);
	assert_int_equal(hw_cfg(r, 4, 2) & 6, 6);
	assert_int_equal(r->unit.blocks, blocks + 1); /* parked meanwhile: it has a translation cache */
	assert_non_null(rig_attached[RID(0)]);
	/* hot reset: each of our functions is alone on its bus */
	assert_int_equal(dev_ioctl(r, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &q), -EINVAL);
	q.h.argsz = 12;
	assert_int_equal(dev_ioctl(r, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &q), -ENOSPC);
	assert_int_equal(q.h.count, 1);
	q.h.argsz = sizeof(q);
	assert_int_equal(dev_ioctl(r, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &q), 0);
	assert_int_equal(q.h.flags, 3);
	assert_int_equal(q.d[0].devid, r->devid[0]);
	assert_int_equal(q.d[0].bus, 1);
	assert_int_equal(dev_ioctl(r, VFIO_DEVICE_PCI_HOT_RESET, &hr), -EINVAL);
	hr.flags = 0;
	hr.count = 1;
	assert_int_equal(dev_ioctl(r, VFIO_DEVICE_PCI_HOT_RESET, &hr), -EINVAL);
	hr.count = 0;
	reg(r, DMATEST_SCRATCH, 5);
	assert_int_equal(dev_ioctl(r, VFIO_DEVICE_PCI_HOT_RESET, &hr), 0);
	assert_int_equal(vfio_pread(r->vf[0], &v, 4, DMATEST_SCRATCH), 4);
	assert_int_equal(v, 0);
	/* features */
	assert_int_equal(dev_ioctl(r, VFIO_DEVICE_FEATURE, &ft), -EINVAL);
	ft.argsz = 8;
	ft.flags = 1u << 19;
	assert_int_equal(dev_ioctl(r, VFIO_DEVICE_FEATURE, &ft), -EINVAL);
	ft.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET | 1;
	assert_int_equal(dev_ioctl(r, VFIO_DEVICE_FEATURE, &ft), -EINVAL);
	ft.flags |= VFIO_DEVICE_FEATURE_PROBE;
	assert_int_equal(dev_ioctl(r, VFIO_DEVICE_FEATURE, &ft), -ENOTTY);
	ft.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF;
	assert_int_equal(dev_ioctl(r, VFIO_DEVICE_FEATURE, &ft), -ENOTTY);
	/* a new owner finds a function that was reset, with bus master off */
	reg(r, DMATEST_SCRATCH, 5);
	vfio_close(r->vf[0]);
	assert_null(rig_attached[RID(0)]);
	assert_int_equal(hw_cfg(r, 4, 2) & 4, 0);
	rig_bind(r, 0);
	assert_int_equal(cfg(r, 4, 2), 2);
	assert_int_equal(vfio_pread(r->vf[0], &v, 4, DMATEST_SCRATCH), 4);
	assert_int_equal(v, 0);
}

/* One more function on the bus of function 0, and another group. */
struct neighbour {
	struct drv_dev dev;
	struct dev_fn *fn;
	struct vfio_file *file;
};

static void add_neighbour(struct rig *r, struct neighbour *n)
{
	struct dev_bus bus = {.opaque = &rig_slots[0], .dma_read = rig_dma, .dma_write = rig_dma_w, .irq = rig_irq};
	struct host_function *hf;

	assert_int_equal(dev_model_find("dmatest")->create(NULL, 0, &bus, r->tr, &n->fn, NULL), 0);
	n->dev = (struct drv_dev){.iommu = &r->unit.base, .rid = RID(0) + 1};
	assert_int_equal(host_add_function(r->host,
					   &(struct host_function_cfg){
						   .rid = RID(0) + 1, .group = 9, .fn = n->fn, .dev = &n->dev},
					   &hf),
			 0);
}

static long bind_neighbour(struct rig *r, struct neighbour *n, int fd)
{
	struct vfio_device_bind_iommufd b = {.argsz = sizeof(b), .iommufd = fd};

	assert_int_equal(vfio_open(r->host, NFN, &n->file), 0);
	return vfio_ioctl(n->file, VFIO_DEVICE_BIND_IOMMUFD, (uintptr_t)&b);
}

static uint32_t neighbour_scratch(struct neighbour *n, bool set)
{
	uint32_t v = 77;

	if (set)
		assert_int_equal(vfio_pwrite(n->file, &v, 4, DMATEST_SCRATCH), 4);
	v = 0;
	assert_int_equal(vfio_pread(n->file, &v, 4, DMATEST_SCRATCH), 4);
	return v;
}

static _Atomic bool stop;

static void *hot_resets(void *arg)
{
	struct rig *r = arg;
	struct vfio_pci_hot_reset hr = {.argsz = 12};
	unsigned int n = 0;

	while (!atomic_load(&stop))
		n += dev_ioctl(r, VFIO_DEVICE_PCI_HOT_RESET, &hr) == 0;
	return (void *)(uintptr_t)n;
}

/* A reset of the bus is for whom all of it belongs to, and stays so until it is done. */
static void bus_reset(void **state)
{
	struct rig *r = rig_of(state);
	struct vfio_pci_hot_reset hr = {.argsz = 12};
	struct neighbour n = {0};
	pthread_t t;

	add_neighbour(r, &n);
	rig_bind(r, 0);
	assert_int_equal(dev_ioctl(r, VFIO_DEVICE_PCI_HOT_RESET, &hr), -EINVAL); /* nobody's */
	assert_int_equal(bind_neighbour(r, &n, 11), 0);
	assert_int_equal(neighbour_scratch(&n, true), 77);
	assert_int_equal(dev_ioctl(r, VFIO_DEVICE_PCI_HOT_RESET, &hr), -EINVAL); /* somebody else's */
	assert_int_equal(neighbour_scratch(&n, false), 77);
	vfio_close(n.file);
	assert_int_equal(bind_neighbour(r, &n, 10), 0);
	assert_int_equal(neighbour_scratch(&n, true), 77);
	assert_int_equal(dev_ioctl(r, VFIO_DEVICE_PCI_HOT_RESET, &hr), 0);
	assert_int_equal(neighbour_scratch(&n, false), 0);
	vfio_close(n.file);
	/* it changes hands while somebody tries to reset it */
	pthread_create(&t, NULL, hot_resets, r);
	for (unsigned int i = 0; i < 500; i++) {
		assert_int_equal(bind_neighbour(r, &n, i & 1 ? 10 : 11), 0);
		if (!(i & 1)) {
			assert_int_equal(neighbour_scratch(&n, true), 77);
			for (unsigned int k = 0; k < 20; k++)
				assert_int_equal(neighbour_scratch(&n, false), 77);
		}
		vfio_close(n.file);
	}
	atomic_store(&stop, true);
	pthread_join(t, NULL);
	vfio_close(r->vf[0]);
	r->vf[0] = NULL;
	rig_free(r);
	dev_destroy(n.fn);
	*state = rig_new();
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(info), T(regions), T(config), T(driver_features), T(irq_errors), T(messages), T(intx), T(reset), T(bus_reset),
		cmocka_unit_test_setup_teardown(messages, setup_msi, teardown), /* through a unit that remaps */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
