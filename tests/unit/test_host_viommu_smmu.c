/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vIOMMUs on the real driver and the real hardware model: what a guest of an SMMU does with the calls, and what its device can reach. What the
 * other tests of vIOMMUs check by looking into a pretended driver is checked here by DMA and by what is read from the event queue.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "hw/hw.h"
#include "machine/api.h"
#include "nestbox/nestbox.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

#define PG   UINT64_C(0x1000)
#define DISK 0 /* functions behind one SMMU; the test engine is the one that does DMA where one is enough */
#define TEST 1
#define RAM  (16 * PG)
#define CD   (2 * PG) /* GPA of a context descriptor */
#define VSID UINT64_C(0x42)

#define OK(call) assert_int_equal((call), 0)

/* Of libnestbox, because event queues have descriptors there. */
struct vm {
	struct nb_host *h;
	unsigned int fn;
	int fd, vfio;
	uint8_t *ram;
	uint32_t dev, ioas, parent, viommu, queue_id;
	int queue;
};

static long ioc(struct vm *m, unsigned int cmd, void *arg)
{
	return nb_host_ioctl(m->h, m->fd, cmd, arg);
}

/* On the host of another, or null. */
static void vm_up(struct vm *m, const struct vm *other, unsigned int fn)
{
	struct vfio_device_bind_iommufd b = {.argsz = sizeof(b)};
	struct iommu_ioas_alloc s = {.size = sizeof(s)};
	struct iommu_ioas_map map = {.size = sizeof(map), .flags = 7, .length = RAM};
	struct iommu_hwpt_alloc p = {.size = sizeof(p), .flags = IOMMU_HWPT_ALLOC_NEST_PARENT};
	struct iommu_viommu_alloc v = {.size = sizeof(v), .type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3};
	struct iommu_veventq_alloc q = {.size = sizeof(q), .type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, .veventq_depth = 2};
	char why[256], path[64];

	*m = (struct vm){.fn = fn, .h = other ? other->h : NULL};
	if (!m->h && nb_host_create("smmu-basic", NULL, &m->h, why, sizeof(why)))
		fail_msg("%s", why);
	m->fd = nb_host_open(m->h, "/dev/iommu", 2);
	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", fn);
	m->vfio = nb_host_open(m->h, path, 2);
	b.iommufd = m->fd;
	OK(nb_host_ioctl(m->h, m->vfio, VFIO_DEVICE_BIND_IOMMUFD, &b));
	m->dev = b.out_devid;
	OK(ioc(m, IOMMU_IOAS_ALLOC, &s));
	m->ioas = map.ioas_id = p.pt_id = s.out_ioas_id;
	m->ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(m->ram != MAP_FAILED);
	map.user_va = (uintptr_t)m->ram;
	OK(ioc(m, IOMMU_IOAS_MAP, &map));
	p.dev_id = v.dev_id = m->dev;
	OK(ioc(m, IOMMU_HWPT_ALLOC, &p));
	m->parent = v.hwpt_id = p.out_hwpt_id;
	OK(ioc(m, IOMMU_VIOMMU_ALLOC, &v));
	m->viommu = q.viommu_id = v.out_viommu_id;
	OK(ioc(m, IOMMU_VEVENTQ_ALLOC, &q));
	m->queue_id = q.out_veventq_id;
	m->queue = (int)q.out_veventq_fd;
}

static void vm_down(struct vm *m)
{
	nb_host_destroy(m->h);
	munmap(m->ram, RAM);
}

static long nested_try(struct vm *m, uint64_t w0, uint64_t w1, uint32_t *id)
{
	struct iommu_hwpt_arm_smmuv3 ste = {{w0, w1}};
	struct iommu_hwpt_alloc a = {.size = sizeof(a),
				     .dev_id = m->dev,
				     .pt_id = m->viommu,
				     .data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
				     .data_len = sizeof(ste),
				     .data_uptr = (uintptr_t)&ste};
	long err = ioc(m, IOMMU_HWPT_ALLOC, &a);

	*id = a.out_hwpt_id;
	return err;
}

static long attach(struct vm *m, uint32_t pt)
{
	struct vfio_device_attach_iommufd_pt a = {.argsz = sizeof(a), .pt_id = pt};

	return nb_host_ioctl(m->h, m->vfio, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &a);
}

static int dma(struct vm *m, uint64_t addr, void *buf, size_t len)
{
	const struct nb_desc *d = nb_desc_find("smmu-basic");
	struct machine *machine = nb_host_machine(m->h);

	return hw_dma_read(machine_iommu_of(machine, d->function[m->fn].segment, d->function[m->fn].rid), d->function[m->fn].rid,
			   NB_NO_PASID, addr, buf, len);
}

static long invalidate(struct vm *m, uint64_t lo, uint64_t hi)
{
	uint64_t cmd[2] = {lo, hi};
	struct iommu_hwpt_invalidate i = {.size = sizeof(i),
					  .hwpt_id = m->viommu,
					  .data_uptr = (uintptr_t)cmd,
					  .data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
					  .entry_len = sizeof(cmd),
					  .entry_num = 1};

	return ioc(m, IOMMU_HWPT_INVALIDATE, &i);
}

#define STE_S1	   (1 | 5 << 1) /* V, Config: stage 1 */
#define STE_BYPASS (1 | 4 << 1)

static void guest(void **state)
{
	struct iommu_vdevice_alloc d = {.size = sizeof(d), .virt_id = VSID};
	struct {
		struct iommufd_vevent_header h;
		struct iommu_vevent_arm_smmuv3 e;
	} ev[3];
	struct iommu_destroy gone = {.size = sizeof(gone)};
	struct pollfd p = {.events = POLLIN};
	uint32_t bypass, s1, id;
	uint64_t v = 0;
	struct vm m;

	(void)state;
	vm_up(&m, NULL, TEST);
	p.fd = nb_host_poll_fd(m.h, m.queue);
	assert_int_equal(nested_try(&m, STE_S1, BIT(63), &id), -EIO); /* a bit that is the host's */
	OK(nested_try(&m, STE_BYPASS, 0, &bypass));
	OK(nested_try(&m, STE_S1 | CD, 0, &s1));
	assert_int_equal(attach(&m, s1), -ENOENT); /* no name for it */
	d.viommu_id = m.viommu;
	d.dev_id = m.dev;
	OK(ioc(&m, IOMMU_VDEVICE_ALLOC, &d));
	/* The guest bypasses: it sees its own memory. */
	OK(attach(&m, bypass));
	m.ram[5 * PG] = 0xab;
	OK(dma(&m, 5 * PG, &v, 1));
	assert_int_equal(v, 0xab);
	assert_int_equal(dma(&m, RAM, &v, 1), -EFAULT);
	assert_int_equal(nb_host_read(m.h, m.queue, ev, sizeof(ev)), 0); /* stage 2 is the host's business */
	/* A descriptor that is none: the guest is told, under its own name for the device. */
	OK(attach(&m, s1));
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(dma(&m, 0x1000, &v, 1), -EFAULT);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(nb_host_write(m.h, m.queue, ev, 8), -EINVAL);
	assert_int_equal(nb_host_read(m.h, m.queue, ev, sizeof(ev)), 40);
	assert_int_equal(ev[0].h.flags, 0);
	assert_int_equal(ev[0].h.sequence, 0);
	assert_int_equal(ev[0].e.evt[0] & 0xff, 0x0a); /* C_BAD_CD */
	assert_int_equal(ev[0].e.evt[0] >> 32, VSID);
	assert_int_equal(poll(&p, 1, 0), 0);
	/* Nobody reads: what does not fit is lost, and said. */
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(dma(&m, 0x1000, &v, 1), -EFAULT);
	assert_int_equal(nb_host_read(m.h, m.queue, ev, sizeof(ev)), 88);
	assert_int_equal(ev[1].h.sequence, 2);
	assert_int_equal(ev[2].h.flags, IOMMU_VEVENTQ_FLAG_LOST_EVENTS);
	assert_int_equal(ev[2].h.sequence, 5);
	/* Its commands: CFGI_CD_ALL by its own name, then one for nobody's, then one that is the host's (CFGI_ALL). */
	OK(invalidate(&m, 0x06 | VSID << 32, 1));
	assert_int_equal(invalidate(&m, 0x06 | (VSID + 1) << 32, 1), -EIO);
	assert_int_equal(invalidate(&m, 0x04, 31), -EIO);
	/* The name goes: nobody to tell. */
	gone.id = d.out_vdevice_id;
	OK(ioc(&m, IOMMU_DESTROY, &gone));
	assert_int_equal(dma(&m, 0x1000, &v, 1), -EFAULT);
	assert_int_equal(nb_host_read(m.h, m.queue, ev, sizeof(ev)), 0);
	/* Back under its own tables' parent alone. */
	OK(attach(&m, m.parent));
	OK(dma(&m, 5 * PG, &v, 1));
	gone.id = m.viommu;
	assert_int_equal(ioc(&m, IOMMU_DESTROY, &gone), -EBUSY);
	vm_down(&m);
}

static long name(struct vm *m, uint32_t dev, uint64_t vsid, uint32_t *id)
{
	struct iommu_vdevice_alloc d = {.size = sizeof(d), .viommu_id = m->viommu, .dev_id = dev, .virt_id = vsid};
	long err = ioc(m, IOMMU_VDEVICE_ALLOC, &d);

	*id = d.out_vdevice_id;
	return err;
}

struct record {
	struct iommufd_vevent_header h;
	struct iommu_vevent_arm_smmuv3 e;
};

static long destroy(struct vm *m, uint32_t id)
{
	struct iommu_destroy gone = {.size = sizeof(gone), .id = id};

	return ioc(m, IOMMU_DESTROY, &gone);
}

/* An STE of the guest's with a bit that is the host's, bit by bit: refused, and what is attached stays what it is. */
static void host_bits(void **state)
{
	/* V, Config, S1Fmt, S1ContextPtr, S1CDMax; S1DSS, CIR, COR, CSH, S1STALLD, EATS 1 (IHI 0070 G.b, 5.2) */
	const uint64_t may[2] = {UINT64_C(0xf80fffffffffffff), 0x180000ff};
	unsigned int word, bit, refused = 0;
	uint32_t bypass, id;
	uint64_t v = 0;
	struct vm m;

	(void)state;
	vm_up(&m, NULL, TEST);
	OK(nested_try(&m, STE_BYPASS, 0, &bypass));
	OK(attach(&m, bypass));
	m.ram[3 * PG] = 0x5a;
	for (word = 0; word < 2; word++) {
		for (bit = word ? 0 : 4; bit < 64; bit++) {
			long err = nested_try(&m, STE_S1 | (word ? 0 : BIT(bit)), word ? BIT(bit) : 0, &id);

			assert_int_equal(err, may[word] >> bit & 1 ? 0 : -EIO);
			refused += err != 0;
			if (!err)
				OK(destroy(&m, id));
		}
	}
	assert_int_equal(refused, 7 + 54);
	OK(dma(&m, 3 * PG, &v, 1));
	assert_int_equal(v, 0x5a);
	vm_down(&m);
}

/* A name that is taken, in one vIOMMU; the first has it, and goes on having it. */
static void name_twice(void **state)
{
	struct vfio_device_bind_iommufd b = {.argsz = sizeof(b)};
	uint32_t s1, first, second;
	struct record ev[2];
	uint64_t v = 0;
	struct vm m;
	int vfio;

	(void)state;
	vm_up(&m, NULL, TEST);
	vfio = nb_host_open(m.h, "/dev/vfio/devices/vfio0", 2);
	b.iommufd = m.fd;
	OK(nb_host_ioctl(m.h, vfio, VFIO_DEVICE_BIND_IOMMUFD, &b));
	OK(name(&m, m.dev, VSID, &first));
	assert_int_equal(name(&m, b.out_devid, VSID, &second), -EEXIST);
	assert_int_equal(name(&m, m.dev, VSID + 1, &second), -EEXIST); /* nor has a device two */
	OK(nested_try(&m, STE_S1 | CD, 0, &s1));
	OK(attach(&m, s1));
	assert_int_equal(dma(&m, 0x1000, &v, 1), -EFAULT);
	assert_int_equal(nb_host_read(m.h, m.queue, ev, sizeof(ev)), 40);
	assert_int_equal(ev[0].e.evt[0] >> 32, VSID);
	OK(invalidate(&m, 0x06 | VSID << 32, 1));
	assert_int_equal(invalidate(&m, 0x06 | (VSID + 1) << 32, 1), -EIO);
	/* It is free again when its first owner is gone. */
	OK(attach(&m, m.parent));
	OK(destroy(&m, first));
	OK(name(&m, b.out_devid, VSID, &second));
	vm_down(&m);
}

/*
 * A guest that faults and never reads: it costs the host no more memory than its queue has, and the events of another guest
 * behind the same SMMU, which shares the SMMU's queue with it, come all and in order.
 */
static void flood(void **state)
{
	struct record ev[3];
	struct vm bad, good;
	uint32_t s1[2], id;
	uint64_t v = 0;
	unsigned int i;

	(void)state;
	vm_up(&bad, NULL, TEST);
	vm_up(&good, &bad, DISK);
	OK(name(&bad, bad.dev, VSID, &id));
	OK(name(&good, good.dev, 7, &id));
	OK(nested_try(&bad, STE_S1 | CD, 0, &s1[0]));
	OK(nested_try(&good, STE_S1 | CD, 0, &s1[1]));
	OK(attach(&bad, s1[0]));
	OK(attach(&good, s1[1]));
	for (i = 0; i < 3000; i++) {
		assert_int_equal(dma(&bad, 0x1000, &v, 1), -EFAULT);
		if (i % 1000 != 500)
			continue;
		assert_int_equal(dma(&good, i, &v, 1), -EFAULT);
		assert_int_equal(nb_host_read(good.h, good.queue, ev, sizeof(ev)), 40);
		assert_int_equal(ev[0].h.flags, 0);
		assert_int_equal(ev[0].h.sequence, i / 1000);
		assert_int_equal(ev[0].e.evt[0] >> 32, 7);
	}
	/* Two are kept, the rest is one header with the number of the last. */
	assert_int_equal(nb_host_read(bad.h, bad.queue, ev, sizeof(ev)), 88);
	assert_int_equal(ev[0].h.sequence, 0);
	assert_int_equal(ev[1].h.sequence, 1);
	assert_int_equal(ev[2].h.flags, IOMMU_VEVENTQ_FLAG_LOST_EVENTS);
	assert_int_equal(ev[2].h.sequence, 2999);
	assert_int_equal(nb_host_read(bad.h, bad.queue, ev, sizeof(ev)), 0);
	/* And it is as good as before. */
	assert_int_equal(dma(&bad, 0x1000, &v, 1), -EFAULT);
	assert_int_equal(nb_host_read(bad.h, bad.queue, ev, sizeof(ev)), 40);
	assert_int_equal(ev[0].h.sequence, 3000);
	munmap(good.ram, RAM);
	vm_down(&bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guest),
		cmocka_unit_test(host_bits),
		cmocka_unit_test(name_twice),
		cmocka_unit_test(flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
