/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host's core on the real driver and the real hardware model: ioctls on one side, DMA on the other. What the other host tests check
 * by looking into a pretended driver is checked here by what a device can reach.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../conform/rig.c"
#include "base/alloc.h"
#include "dev/dmatest_regs.h"

#define PG   UINT64_C(0x1000)
#define RW   (HW_READ | HW_WRITE)
#define NVME 0
#define TEST 1 /* the test engine on unit 0 */
#define FAR  3 /* the one on unit 1 */
#define GUEST_LEN (64 * PG)

/* Guest memory at GPA 0: first its stage-1 tables, one page a level, then data. */
struct guest {
	uint64_t *ram;
	uint64_t used;
};

static uint64_t guest_table(struct guest *g)
{
	g->used += PG;
	return g->used - PG;
}

/* Four levels, x86 format: present, writable, user. */
static void guest_map(struct guest *g, uint64_t root, uint64_t va, uint64_t gpa)
{
	uint64_t at = root;

	for (unsigned int level = 3; level > 0; level--) {
		uint64_t *e = &g->ram[(at + (va >> (12 + 9 * level) & 0x1ff) * 8) / 8];

		if (!(*e & 1))
			*e = guest_table(g) | 7;
		at = *e & UINT64_C(0xffffffffff000);
	}
	g->ram[(at + (va >> 12 & 0x1ff) * 8) / 8] = gpa ? gpa | 7 : 0;
}

static void up(struct rig *r, const char *name)
{
	if (!rig_up(r, nb_desc_find(name)))
		fail_msg("no host %s", name);
}

#define OK(call) assert_int_equal((call), 0)

static void mapped_is_reached_unmapped_is_not(void **state)
{
	uint64_t *buf = mmap(NULL, 16 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), v = 0;
	struct rig r;
	uint32_t s = 0;

	(void)state;
	up(&r, "spr");
	OK(rig_ioas(&r, &s));
	OK(rig_map(&r, s, buf, 0x100000, 8 * PG, RW));
	OK(rig_map(&r, s, buf + 4096, 0x200000, PG, HW_READ));
	buf[512] = 0xfeed;
	assert_int_equal(rig_read(&r, TEST, NB_NO_PASID, 0x101000, &v, 8), -EFAULT); /* not attached */
	OK(rig_attach(&r, TEST, NB_NO_PASID, s));
	OK(rig_read(&r, TEST, NB_NO_PASID, 0x101000, &v, 8));
	assert_int_equal(v, 0xfeed);
	v = 0xbeef;
	OK(rig_write(&r, TEST, NB_NO_PASID, 0x107ff8, &v, 8));
	assert_int_equal(buf[8 * 512 - 1], 0xbeef);
	assert_int_equal(rig_write(&r, TEST, NB_NO_PASID, 0x107ffc, &v, 8), -EFAULT); /* runs off the end */
	assert_int_equal(rig_write(&r, TEST, NB_NO_PASID, 0x200000, &v, 8), -EFAULT); /* read-only */
	OK(rig_read(&r, TEST, NB_NO_PASID, 0x200000, &v, 8));
	assert_int_equal(rig_read(&r, NVME, NB_NO_PASID, 0x101000, &v, 8), -EFAULT); /* another function */
	/* a second function shares; one on the other unit, too */
	OK(rig_attach(&r, NVME, NB_NO_PASID, s));
	OK(rig_attach(&r, FAR, NB_NO_PASID, s));
	OK(rig_read(&r, FAR, NB_NO_PASID, 0x101000, &v, 8));
	assert_int_equal(v, 0xfeed);
	OK(rig_unmap(&r, s, 0x100000, 8 * PG, NULL));
	for (unsigned int d = 0; d <= 1; d++)
		assert_int_equal(rig_read(&r, d, NB_NO_PASID, 0x101000, &v, 8), -EFAULT);
	assert_int_equal(rig_read(&r, FAR, NB_NO_PASID, 0x101000, &v, 8), -EFAULT);
	OK(rig_read(&r, FAR, NB_NO_PASID, 0x200000, &v, 8));
	OK(rig_detach(&r, FAR, NB_NO_PASID));
	assert_int_equal(rig_read(&r, FAR, NB_NO_PASID, 0x200000, &v, 8), -EFAULT);
	/* mapped again elsewhere: the new memory is what is seen */
	OK(rig_map(&r, s, buf + 8 * 512, 0x100000, 8 * PG, RW));
	buf[9 * 512] = 0xcafe;
	OK(rig_read(&r, TEST, NB_NO_PASID, 0x101000, &v, 8));
	assert_int_equal(v, 0xcafe);
	rig_down(&r);
	munmap(buf, 16 * PG);
}

/* Memory that the process takes away: an error for the device, and never what was put there instead. */
static void revoked_is_not_reached(void **state)
{
	size_t len = 4 << 20;
	uint8_t *m = mmap(NULL, 2 * len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *buf = (uint8_t *)(((uintptr_t)m + len - 1) & ~(uintptr_t)(len - 1));
	struct rig r;
	uint64_t v = 1;
	uint32_t s = 0;

	(void)state;
	up(&r, "spr");
	OK(rig_ioas(&r, &s));
	OK(rig_attach(&r, TEST, NB_NO_PASID, s));
	OK(rig_map(&r, s, buf, 0x40000000, len, RW)); /* large pages, which the hole cuts */
	OK(rig_read(&r, TEST, NB_NO_PASID, 0x40000000 + 0x155000, &v, 8));
	host_revoke(machine_host(r.m), (uintptr_t)buf + 0x155000, PG);
	munmap(buf + 0x155000, PG);
	assert_ptr_equal(mmap(buf + 0x155000, PG, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
			 buf + 0x155000);
	v = 0xdead;
	assert_int_equal(rig_write(&r, TEST, NB_NO_PASID, 0x40000000 + 0x155000, &v, 8), -EFAULT);
	assert_int_equal(*(uint64_t *)(void *)(buf + 0x155000), 0);
	OK(rig_write(&r, TEST, NB_NO_PASID, 0x40000000 + 0x154000, &v, 8));
	OK(rig_write(&r, TEST, NB_NO_PASID, 0x40000000 + 0x156000, &v, 8));
	OK(rig_write(&r, TEST, NB_NO_PASID, 0x40000000 + len - 8, &v, 8));
	assert_int_equal(nb_trace_count(machine_trace(r.m), NB_EV_host_revoke), 1);
	/* gone without a word: no crash either */
	munmap(buf, PG);
	assert_int_equal(rig_write(&r, TEST, NB_NO_PASID, 0x40000000, &v, 8), -EFAULT);
	OK(rig_unmap(&r, s, 0, UINT64_MAX, &v));
	assert_int_equal(v, len);
	rig_down(&r);
	munmap(m, 2 * len);
}

/*
 * Two tables show the area, and there is memory to cut the large page of one of them only. Then all of it goes, from both: what
 * the area says of itself is all that a later revocation looks at.
 */
static void revoked_without_memory(void **state)
{
	size_t len = 4 << 20;
	uint8_t *m = mmap(NULL, 2 * len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *buf = (uint8_t *)(((uintptr_t)m + len - 1) & ~(uintptr_t)(len - 1));
	unsigned long n;

	(void)state;
	for (n = 1; n < 10; n++) {
		uint32_t s = 0, h[2] = {0};
		uint64_t v = 1;
		struct rig r;
		bool fired;

		up(&r, "spr");
		OK(rig_ioas(&r, &s));
		for (unsigned int i = 0; i < 2; i++) {
			OK(rig_hwpt(&r, i ? FAR : TEST, s, IOMMU_HWPT_ALLOC_NEST_PARENT, &h[i]));
			OK(rig_attach(&r, i ? FAR : TEST, NB_NO_PASID, h[i]));
		}
		OK(rig_map(&r, s, buf, 0x40000000, len, RW));
		nb_fail_nth_arm(n);
		host_revoke(machine_host(r.m), (uintptr_t)buf + 0x155000, PG);
		fired = nb_fail_nth_fired();
		host_revoke(machine_host(r.m), (uintptr_t)buf + 0x300000, PG);
		for (unsigned int i = 0; i < 2; i++) {
			assert_int_equal(rig_read(&r, i ? FAR : TEST, NB_NO_PASID, 0x40155000, &v, 8), -EFAULT);
			assert_int_equal(rig_read(&r, i ? FAR : TEST, NB_NO_PASID, 0x40300000, &v, 8), -EFAULT);
		}
		OK(rig_unmap(&r, s, 0, UINT64_MAX, &v));
		rig_down(&r);
		if (!fired)
			break;
	}
	assert_in_range(n, 3, 9); /* a cut in each of the tables */
	munmap(m, 2 * len);
}

static void nested(void **state)
{
	struct guest g = {.ram = mmap(NULL, GUEST_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)};
	uint64_t root = guest_table(&g), root2 = guest_table(&g), v = 0;
	uint32_t s = 0, parent = 0, h = 0, h2 = 0, other = 0;
	struct rig r;

	(void)state;
	up(&r, "spr");
	OK(rig_ioas(&r, &s));
	OK(rig_map(&r, s, g.ram, 0, GUEST_LEN, RW));
	OK(rig_hwpt(&r, TEST, s, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	guest_map(&g, root, 0x7000, 0x20000);
	guest_map(&g, root2, 0x7000, 0x21000);
	g.ram[0x20000 / 8] = 0x20;
	g.ram[0x21000 / 8] = 0x21;
	/* the parent was never attached: no order is assumed */
	OK(rig_hwpt_nested(&r, TEST, parent, 0, root, 48, 0, &h));
	OK(rig_hwpt_nested(&r, TEST, parent, 0, root2, 48, 0, &h2));
	OK(rig_attach(&r, TEST, NB_NO_PASID, h));
	OK(rig_read(&r, TEST, NB_NO_PASID, 0x7000, &v, 8));
	assert_int_equal(v, 0x20);
	OK(rig_attach(&r, TEST, NB_NO_PASID, h2)); /* replace */
	OK(rig_read(&r, TEST, NB_NO_PASID, 0x7000, &v, 8));
	assert_int_equal(v, 0x21);
	/* the guest changes its table: seen only after it says so */
	guest_map(&g, root2, 0x7000, 0x20000);
	OK(rig_read(&r, TEST, NB_NO_PASID, 0x7000, &v, 8));
	assert_int_equal(v, 0x21);
	OK(rig_invalidate(&r, h2, 0x7000, 1, true));
	OK(rig_read(&r, TEST, NB_NO_PASID, 0x7000, &v, 8));
	assert_int_equal(v, 0x20);
	guest_map(&g, root2, 0x7000, 0);
	OK(rig_invalidate(&r, h2, 0, UINT64_MAX, false));
	assert_int_equal(rig_read(&r, TEST, NB_NO_PASID, 0x7000, &v, 8), -EFAULT);
	/* the host takes stage-2 away under it */
	OK(rig_attach(&r, TEST, NB_NO_PASID, h));
	OK(rig_read(&r, TEST, NB_NO_PASID, 0x7000, &v, 8));
	OK(rig_unmap(&r, s, 0, GUEST_LEN, NULL));
	assert_int_equal(rig_read(&r, TEST, NB_NO_PASID, 0x7000, &v, 8), -EFAULT);
	OK(rig_map(&r, s, g.ram, 0, GUEST_LEN, RW));
	OK(rig_read(&r, TEST, NB_NO_PASID, 0x7000, &v, 8));
	/* one nested table on two functions of one unit */
	OK(rig_attach(&r, NVME, NB_NO_PASID, h));
	OK(rig_read(&r, NVME, NB_NO_PASID, 0x7000, &v, 8));
	assert_int_equal(rig_destroy(&r, parent), -EBUSY);
	OK(rig_detach(&r, NVME, NB_NO_PASID));
	/* with the parent itself attached, addresses are the guest's */
	OK(rig_attach(&r, TEST, NB_NO_PASID, parent));
	OK(rig_read(&r, TEST, NB_NO_PASID, 0x20000, &v, 8));
	assert_int_equal(v, 0x20);
	assert_int_equal(rig_hwpt_nested(&r, TEST, s, 0, root, 48, 0, &other), -EOPNOTSUPP); /* an IOAS takes no data */
	/* attach checks what alloc does not */
	OK(rig_hwpt_nested(&r, TEST, parent, 0, root, 47, 0, &other));
	assert_int_equal(rig_attach(&r, TEST, NB_NO_PASID, other), -EINVAL);
	OK(rig_read(&r, TEST, NB_NO_PASID, 0x20000, &v, 8)); /* the old attachment stands */
	assert_int_equal(nb_trace_count(machine_trace(r.m), NB_EV_host_hwpt_nested), 3);
	assert_int_equal(nb_trace_count(machine_trace(r.m), NB_EV_host_attach_unnested), 0);
	rig_down(&r); /* with everything still there */
	munmap(g.ram, GUEST_LEN);
}

static void erratum_refuses_read_only(void **state)
{
	uint64_t *buf = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), v;
	uint32_t s = 0, parent = 0, later = 0;
	struct rig r;

	(void)state;
	up(&r, "spr");
	OK(rig_ioas(&r, &s));
	OK(rig_hwpt(&r, TEST, s, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	assert_int_equal(rig_map(&r, s, buf, 0x1000, PG, HW_READ), -EINVAL);
	OK(rig_map(&r, s, buf, 0x1000, PG, RW)); /* nothing was left of the other */
	OK(rig_destroy(&r, parent));
	OK(rig_map(&r, s, buf, 0x2000, PG, HW_READ));
	assert_int_equal(rig_hwpt(&r, TEST, s, IOMMU_HWPT_ALLOC_NEST_PARENT, &later), -EINVAL); /* at the fill */
	OK(rig_attach(&r, TEST, NB_NO_PASID, s));
	OK(rig_read(&r, TEST, NB_NO_PASID, 0x2000, &v, 8));
	rig_down(&r);
	munmap(buf, PG);
}

static void pasids(void **state)
{
	uint64_t *buf = mmap(NULL, 4 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), v = 0;
	uint32_t a = 0, b = 0, ha = 0, hb = 0;
	struct rig r;

	(void)state;
	up(&r, "spr");
	OK(rig_ioas(&r, &a));
	OK(rig_ioas(&r, &b));
	buf[0] = 0xa;
	buf[512] = 0xb;
	OK(rig_map(&r, a, buf, 0x1000, PG, RW));
	OK(rig_map(&r, b, buf + 512, 0x1000, PG, RW));
	OK(rig_hwpt(&r, TEST, a, IOMMU_HWPT_ALLOC_PASID, &ha));
	OK(rig_hwpt(&r, TEST, b, IOMMU_HWPT_ALLOC_PASID, &hb));
	OK(rig_attach(&r, TEST, 5, hb));
	OK(rig_attach(&r, TEST, NB_NO_PASID, ha));
	OK(rig_read(&r, TEST, 5, 0x1000, &v, 8));
	assert_int_equal(v, 0xb);
	OK(rig_read(&r, TEST, NB_NO_PASID, 0x1000, &v, 8));
	assert_int_equal(v, 0xa);
	assert_int_equal(rig_read(&r, TEST, 6, 0x1000, &v, 8), -EFAULT);
	OK(rig_attach(&r, TEST, 5, ha));
	OK(rig_read(&r, TEST, 5, 0x1000, &v, 8));
	assert_int_equal(v, 0xa);
	OK(rig_detach(&r, TEST, NB_NO_PASID));
	OK(rig_read(&r, TEST, 5, 0x1000, &v, 8));
	assert_int_equal(rig_read(&r, TEST, NB_NO_PASID, 0x1000, &v, 8), -EFAULT);
	/* a reset keeps what is attached */
	OK(vfio_ioctl(r.dev[TEST].vfio, VFIO_DEVICE_RESET, 0));
	OK(rig_read(&r, TEST, 5, 0x1000, &v, 8));
	OK(rig_detach(&r, TEST, 5));
	assert_int_equal(rig_read(&r, TEST, 5, 0x1000, &v, 8), -EFAULT);
	rig_down(&r);
	munmap(buf, 4 * PG);
}

static void dirty(void **state)
{
	uint64_t *buf = mmap(NULL, 64 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), v = 1;
	struct iommu_hwpt_set_dirty_tracking t = {.size = sizeof(t), .flags = 1};
	uint8_t bits[8] = {0};
	struct iommu_hwpt_get_dirty_bitmap q = {.size = sizeof(q), .iova = 0x10000, .length = 64 * PG, .page_size = PG,
						.data = (uintptr_t)bits};
	uint32_t s = 0, h = 0;
	struct rig r;

	(void)state;
	up(&r, "spr");
	OK(rig_ioas(&r, &s));
	OK(rig_map(&r, s, buf, 0x10000, 64 * PG, RW));
	OK(rig_hwpt(&r, TEST, s, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &h));
	OK(rig_attach(&r, TEST, NB_NO_PASID, h));
	t.hwpt_id = q.hwpt_id = h;
	OK(ioctl_iommu(&r, IOMMU_HWPT_SET_DIRTY_TRACKING, &t));
	OK(rig_write(&r, TEST, NB_NO_PASID, 0x10000 + 3 * PG, &v, 8));
	OK(rig_write(&r, TEST, NB_NO_PASID, 0x10000 + 63 * PG, &v, 8));
	OK(rig_read(&r, TEST, NB_NO_PASID, 0x10000 + 9 * PG, &v, 8));
	OK(ioctl_iommu(&r, IOMMU_HWPT_GET_DIRTY_BITMAP, &q));
	assert_int_equal(bits[0], 8);
	assert_int_equal(bits[1], 0);
	assert_int_equal(bits[7], 0x80);
	/* cleared, and the next write is seen although the translation was cached */
	memset(bits, 0, sizeof(bits));
	OK(rig_write(&r, TEST, NB_NO_PASID, 0x10000 + 3 * PG, &v, 8));
	OK(ioctl_iommu(&r, IOMMU_HWPT_GET_DIRTY_BITMAP, &q));
	assert_int_equal(bits[0], 8);
	assert_int_equal(bits[7], 0);
	rig_down(&r);
	munmap(buf, 64 * PG);
}

static void tells_what_does_not_nest(void **state)
{
	uint32_t s = 0, h = 0;
	struct rig r;

	(void)state;
	up(&r, "spr");
	OK(rig_ioas(&r, &s));
	OK(rig_hwpt(&r, TEST, s, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &h));
	OK(rig_attach(&r, TEST, NB_NO_PASID, h));
	assert_int_equal(nb_trace_count(machine_trace(r.m), NB_EV_host_attach_unnested), 1);
	rig_down(&r);
	up(&r, "legacy");
	OK(rig_ioas(&r, &s));
	OK(rig_hwpt(&r, TEST, s, 0, &h));
	OK(rig_attach(&r, TEST, NB_NO_PASID, h));
	assert_int_equal(nb_trace_count(machine_trace(r.m), NB_EV_host_attach_unnested), 0);
	rig_down(&r);
}

/* The test engine's own DMA and interrupt, by its registers, as a driver in a guest would. */
static void engine(void **state)
{
	uint64_t *buf = mmap(NULL, 4 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), n = 0;
	struct {
		uint32_t h[5];
		int32_t fd;
	} irq = {{24, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_PCI_MSIX_IRQ_INDEX, 2, 1},
		 eventfd(0, EFD_NONBLOCK)};
	const struct {
		uint32_t off, v;
	} regs[] = {{DMATEST_SRC, 0x10000},	  {DMATEST_DST, 0x11000},	{DMATEST_LENGTH, 0x800},
		    {DMATEST_CONTROL, DMATEST_CONTROL_INT_EN | 2 << 8}, {DMATEST_COMMAND, DMATEST_CMD_COPY}};
	struct vfio_file *f;
	uint16_t cmd = 2;
	uint32_t s = 0, status;
	struct rig r;

	(void)state;
	up(&r, "spr");
	f = r.dev[TEST].vfio;
	OK(rig_ioas(&r, &s));
	OK(rig_map(&r, s, buf, 0x10000, 2 * PG, RW));
	OK(rig_attach(&r, TEST, NB_NO_PASID, s));
	OK(vfio_ioctl(f, VFIO_DEVICE_SET_IRQS, (uintptr_t)&irq));
	memset(buf, 0x5a, PG);
	for (unsigned int bm = 0; bm < 2; bm++, cmd |= 4) {
		assert_int_equal(vfio_pwrite(f, &cmd, 2, (UINT64_C(7) << 40) + 4), 2);
		for (unsigned int i = 0; i < ARRAY_SIZE(regs); i++)
			assert_int_equal(vfio_pwrite(f, &regs[i].v, 4, regs[i].off), 4);
		assert_int_equal(vfio_pread(f, &status, 4, DMATEST_STATUS), 4);
		/* without bus master neither data nor message goes out */
		assert_int_equal(status, bm ? DMATEST_STATUS_DONE : DMATEST_STATUS_ERROR);
		assert_int_equal(buf[512], bm ? UINT64_C(0x5a5a5a5a5a5a5a5a) : 0);
		assert_int_equal(buf[512 + 0x100], 0);
		if (!bm)
			assert_int_equal(read(irq.fd, &n, 8), -1);
	}
	assert_int_equal(read(irq.fd, &n, 8), 8);
	close(irq.fd);
	rig_down(&r);
	munmap(buf, 4 * PG);
}

/* A whole life of a nested device, each allocation failing once: -ENOMEM, nothing left, and no device reaches anything it should not. */
static void every_allocation_fails_once(void **state)
{
	struct guest g = {.ram = mmap(NULL, GUEST_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)};
	uint64_t root = guest_table(&g), v;
	unsigned long n;
	struct rig r;

	(void)state;
	guest_map(&g, root, 0x7000, 0x20000);
	up(&r, "spr");
	for (n = 1; n < 500; n++) {
		uint32_t s = 0, parent = 0, h = 0;
		bool fired;
		long err;

		nb_fail_nth_arm(n);
		err = rig_ioas(&r, &s);
		if (!err)
			err = rig_hwpt(&r, TEST, s, IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID, &parent);
		if (!err)
			err = rig_map(&r, s, g.ram, 0, GUEST_LEN, RW);
		if (!err)
			err = rig_attach(&r, TEST, NB_NO_PASID, parent);
		if (!err)
			err = rig_hwpt_nested(&r, TEST, parent, IOMMU_HWPT_ALLOC_PASID, root, 48, 0, &h);
		if (!err)
			err = rig_attach(&r, TEST, NB_NO_PASID, h);
		if (!err)
			err = rig_attach(&r, TEST, 77, h);
		if (!err)
			err = rig_unmap(&r, s, 0, UINT64_MAX, &v);
		fired = nb_fail_nth_fired();
		if (!err)
			assert_int_equal(rig_read(&r, TEST, NB_NO_PASID, 0x7000, &v, 8), -EFAULT);
		assert_true(err == 0 || (fired && err == -ENOMEM));
		OK(rig_detach(&r, TEST, 77));
		OK(rig_detach(&r, TEST, NB_NO_PASID));
		assert_int_equal(rig_read(&r, TEST, NB_NO_PASID, 0x20000, &v, 8), -EFAULT);
		if (h)
			OK(rig_destroy(&r, h));
		if (parent)
			OK(rig_destroy(&r, parent));
		if (s)
			OK(rig_destroy(&r, s));
		if (!fired)
			break;
	}
	assert_in_range(n, 15, 499);
	rig_down(&r);
	munmap(g.ram, GUEST_LEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mapped_is_reached_unmapped_is_not),
		cmocka_unit_test(revoked_is_not_reached),
		cmocka_unit_test(revoked_without_memory),
		cmocka_unit_test(nested),
		cmocka_unit_test(erratum_refuses_read_only),
		cmocka_unit_test(pasids),
		cmocka_unit_test(dirty),
		cmocka_unit_test(tells_what_does_not_nest),
		cmocka_unit_test(engine),
		cmocka_unit_test(every_allocation_fails_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
