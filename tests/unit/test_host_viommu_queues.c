/* SPDX-License-Identifier: BSD-3-Clause */
/* Hardware queues, whose memory must stay where it is, and pages of a vIOMMU that are mapped. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "host_fake_viommu.h"

#define AT UINT64_C(0x100000)

static char *memory(unsigned int pages)
{
	char *m = mmap(NULL, pages * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(m != MAP_FAILED);
	return m;
}

static void alloc_errors(void **state)
{
	struct rig *r = rig_of(state);
	struct vm vm = vm_new(r, QUEUED);
	struct iommu_hw_queue_alloc a = {.size = sizeof(a), .flags = 1};
	char *m = memory(4);
	uint32_t id, plain;

	assert_int_equal(rig_ioctl(r, IOMMU_HW_QUEUE_ALLOC, &a), -EOPNOTSUPP);
	a.flags = 0;
	assert_int_equal(rig_ioctl(r, IOMMU_HW_QUEUE_ALLOC, &a), -EOPNOTSUPP); /* no type, before the length */
	assert_int_equal(hwq_try(r, 77, 0, AT, 0, &id), -EINVAL);
	assert_int_equal(hwq_try(r, 77, 0, UINT64_MAX, 2, &id), -EOVERFLOW);
	assert_int_equal(hwq_try(r, 77, 0, UINT64_MAX, 1, &id), -ENOENT);
	assert_int_equal(hwq_try(r, vm.parent, 0, AT, PG, &id), -ENOENT);
	plain = viommu(r, 0, PLAIN, vm.parent);
	assert_int_equal(hwq_try(r, plain, 0, AT, PG, &id), -EOPNOTSUPP);
	a = (struct iommu_hw_queue_alloc){.size = sizeof(a), .viommu_id = vm.v, .type = 2, .length = PG};
	assert_int_equal(rig_ioctl(r, IOMMU_HW_QUEUE_ALLOC, &a), -EOPNOTSUPP); /* another type */
	/* The length, rounded to pages, wraps; or is more than Linux could list. */
	assert_int_equal(hwq_try(r, vm.v, 0, 0, UINT64_MAX, &id), -ERANGE);
	assert_int_equal(hwq_try(r, vm.v, 0, 1, UINT64_MAX - 1, &id), -ERANGE);
	assert_int_equal(hwq_try(r, vm.v, 0, 0, UINT64_C(1) << 40, &id), -ENOMEM);
	assert_int_equal(hwq_try(r, vm.v, 0, 0, UINT64_C(1) << 39, &id), -ENOENT);
	/* What the driver says comes last, and leaves nothing locked. */
	assert_int_equal(rig_map_at(r, vm.ioas, m, 4 * PG, AT), 0);
	fv.hwq_err = -EINVAL;
	assert_int_equal(hwq_try(r, vm.v, 0, AT, PG, &id), -EINVAL);
	fv.hwq_err = 0;
	assert_int_equal(hwq_try(r, vm.v, FAKE_QUEUES, AT, PG, &id), -EINVAL);
	assert_int_equal(rig_unmap(r, vm.ioas, AT, 4 * PG, NULL), 0);
	/* Neither ids. */
	assert_int_equal(viommu(r, 0, PLAIN, vm.parent), plain + 1);
	munmap(m, 4 * PG);
}

static void pins(void **state)
{
	struct rig *r = rig_of(state);
	struct vm vm = vm_new(r, QUEUED);
	char *m = memory(16);
	uint64_t wo = AT + 8 * PG, done;
	uint32_t q, id;

	/* Four pages in two areas that are one piece of memory, a hole, and two that are not. */
	assert_int_equal(rig_map_at(r, vm.ioas, m, 2 * PG, AT), 0);
	assert_int_equal(rig_map_at(r, vm.ioas, m + 2 * PG, 2 * PG, AT + 2 * PG), 0);
	assert_int_equal(rig_map_at(r, vm.ioas, m + 8 * PG, PG, AT + 5 * PG), 0);
	assert_int_equal(rig_map_at(r, vm.ioas, m + 10 * PG, PG, AT + 6 * PG), 0);
	assert_int_equal(rig_map(r, vm.ioas, FIXED | IOMMU_IOAS_MAP_WRITEABLE, m + 12 * PG, PG, &wo), 0);
	assert_int_equal(hwq_try(r, vm.v, 0, AT + 4 * PG, PG, &id), -ENOENT);
	assert_int_equal(hwq_try(r, vm.v, 0, AT, 4 * PG + 1, &id), -ENOENT); /* by a byte */
	assert_int_equal(hwq_try(r, vm.v, 0, AT - 1, 2, &id), -ENOENT);
	assert_int_equal(hwq_try(r, vm.v, 0, wo, 64, &id), -EPERM);
	assert_int_equal(hwq_try(r, vm.v, 0, AT + 5 * PG, 2 * PG, &id), -EFAULT);
	assert_int_equal(hwq_try(r, vm.v, 0, AT + 6 * PG - 1, 2, &id), -EFAULT); /* whole pages are looked at */
	assert_int_equal(hwq_try(r, vm.v, 0, AT + 5 * PG, 3 * PG, &id), -ENOENT); /* the hole is found before that */
	/* All that was refused holds nothing. */
	assert_int_equal(rig_unmap(r, vm.ioas, AT + 5 * PG, 2 * PG, &done), 0);
	/* Not aligned to anything, over the border of two areas. */
	q = hwq(r, vm.v, 0, AT + PG + 0x20, 2 * PG);
	assert_int_equal(fv.last_queue.base.v, (uintptr_t)m + PG + 0x20);
	assert_int_equal(fv.last_queue.iova, AT + PG + 0x20);
	assert_int_equal(fv.last_queue.length, 2 * PG);
	assert_int_equal(fv.last_queue.type, IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV);
	/* What it covers stays: also where the call would cut it. The rest does not. */
	assert_int_equal(rig_unmap(r, vm.ioas, AT, 4 * PG, &done), -EBUSY);
	assert_int_equal(rig_unmap(r, vm.ioas, AT + 2 * PG, 2 * PG, &done), -EBUSY);
	assert_int_equal(rig_unmap(r, vm.ioas, AT + PG, PG, &done), -EBUSY);
	assert_int_equal(rig_unmap(r, vm.ioas, AT - PG, 2 * PG, &done), -EBUSY);
	assert_int_equal(rig_unmap(r, vm.ioas, 0, UINT64_MAX, &done), -EBUSY);
	assert_int_equal(rig_unmap(r, vm.ioas, wo, PG, &done), 0);
	/* A copy is not what was locked. */
	{
		uint32_t other = rig_ioas(r);
		struct iommu_ioas_copy c = {.size = sizeof(c),
					    .flags = FIXED | RW,
					    .dst_ioas_id = other,
					    .src_ioas_id = vm.ioas,
					    .length = 4 * PG,
					    .dst_iova = AT,
					    .src_iova = AT};

		assert_int_equal(rig_ioctl(r, IOMMU_IOAS_COPY, &c), 0);
		assert_int_equal(rig_unmap(r, other, AT, 4 * PG, NULL), 0);
	}
	assert_int_equal(rig_destroy(r, vm.v), -EBUSY);
	assert_int_equal(rig_destroy(r, q), 0);
	assert_int_equal(rig_unmap(r, vm.ioas, AT, 4 * PG, &done), 0);
	assert_int_equal(done, 4 * PG);
	munmap(m, 16 * PG);
}

/* Unmapping goes up to what is locked and no further, as to a cut. */
static void unmap_before(void **state)
{
	struct rig *r = rig_of(state);
	struct vm vm = vm_new(r, QUEUED);
	char *m = memory(4);
	uint64_t done = 77;
	uint32_t q;

	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(rig_map_at(r, vm.ioas, m + i * PG, PG, AT + i * PG), 0);
	q = hwq(r, vm.v, 0, AT + 2 * PG, PG);
	assert_int_equal(rig_unmap(r, vm.ioas, AT, 4 * PG, &done), -EBUSY);
	assert_int_equal(done, 4 * PG); /* as it was given */
	assert_int_equal(rig_unmap(r, vm.ioas, AT, 2 * PG, &done), -ENOENT);
	assert_int_equal(rig_unmap(r, vm.ioas, AT + 3 * PG, PG, &done), 0);
	assert_int_equal(rig_destroy(r, q), 0);
	assert_int_equal(rig_unmap(r, vm.ioas, AT + 2 * PG, PG, &done), 0);
	munmap(m, 4 * PG);
}

/* Memory that the process has taken away is not there to be pinned. */
static void dead_memory(void **state)
{
	struct rig *r = rig_of(state);
	struct vm vm = vm_new(r, QUEUED);
	char *m = memory(4);
	uint32_t id;

	assert_int_equal(rig_map_at(r, vm.ioas, m, 4 * PG, AT), 0);
	host_revoke(r->host, (uintptr_t)m + 2 * PG, PG);
	assert_int_equal(hwq_try(r, vm.v, 0, AT + PG, 2 * PG, &id), -EFAULT);
	assert_int_equal(hwq_try(r, vm.v, 0, AT + 3 * PG - 1, 2, &id), -EFAULT);
	id = hwq(r, vm.v, 0, AT, 2 * PG);
	assert_int_equal(rig_destroy(r, id), 0);
	id = hwq(r, vm.v, 0, AT + 3 * PG, PG);
	assert_int_equal(rig_destroy(r, id), 0);
	assert_int_equal(rig_unmap(r, vm.ioas, AT, 4 * PG, NULL), 0);
	munmap(m, 4 * PG);
}

/* While there is an access, areas are made of whole pages. */
static void sub_pages(void **state)
{
	struct rig *r = rig_of(state);
	struct iommu_ioas_iova_ranges g = {.size = sizeof(g)};
	char *m = memory(4);
	struct vm vm;
	uint32_t id;

	r->unit.pgsizes = 2048 | BIT(21);
	vm = vm_new(r, QUEUED);
	g.ioas_id = vm.ioas;
	assert_int_equal(rig_map_at(r, vm.ioas, m, 2 * PG, AT), 0);
	assert_int_equal(rig_map_at(r, vm.ioas, m + 2 * PG, 2048, AT + 2 * PG), 0);
	assert_int_equal(hwq_try(r, vm.v, 0, AT, PG, &id), -EADDRINUSE);
	assert_int_equal(rig_unmap(r, vm.ioas, AT + 2 * PG, 2048, NULL), 0);
	assert_int_equal(hwq_try(r, vm.v, 0, AT, 3 * PG, &id), -ENOENT); /* an access that did not come to be wants nothing */
	assert_int_equal(rig_ioctl(r, IOMMU_IOAS_IOVA_RANGES, &g), -EMSGSIZE);
	assert_int_equal(g.out_iova_alignment, 2048);
	id = hwq(r, vm.v, 0, AT, PG);
	g.num_iovas = 0;
	assert_int_equal(rig_ioctl(r, IOMMU_IOAS_IOVA_RANGES, &g), -EMSGSIZE);
	assert_int_equal(g.out_iova_alignment, PG);
	assert_int_equal(rig_map_at(r, vm.ioas, m + 2 * PG, 2048, AT + 2 * PG), -EINVAL);
	assert_int_equal(rig_destroy(r, id), 0);
	assert_int_equal(rig_map_at(r, vm.ioas, m + 2 * PG, 2048, AT + 2 * PG), 0);
	munmap(m, 4 * PG);
}

static void order(void **state)
{
	struct rig *r = rig_of(state);
	struct vm vm = vm_new(r, QUEUED);
	char *m = memory(4);
	uint32_t q0, q1, q2, id;

	assert_int_equal(rig_map_at(r, vm.ioas, m, 4 * PG, AT), 0);
	assert_int_equal(hwq_try(r, vm.v, 1, AT, PG, &id), -EIO);
	q0 = hwq(r, vm.v, 0, AT, PG);
	/* The access beside it has an id too, and is good for nothing. */
	assert_int_equal(rig_destroy(r, q0 + 1), -EBUSY);
	assert_int_equal(rig_hwpt_try(r, 0, q0 + 1, 0, &id), -EINVAL);
	assert_int_equal(hwq_try(r, vm.v, 0, AT, PG, &id), -EEXIST);
	q1 = hwq(r, vm.v, 1, AT, PG); /* the same memory: it is locked twice */
	assert_int_equal(q1, q0 + 2);
	q2 = hwq(r, vm.v, 2, AT + PG, PG);
	assert_int_equal(rig_destroy(r, q0), -EBUSY);
	assert_int_equal(rig_destroy(r, q1), -EBUSY);
	assert_int_equal(rig_destroy(r, q2), 0);
	assert_int_equal(rig_destroy(r, q1), 0);
	assert_int_equal(rig_unmap(r, vm.ioas, AT, 4 * PG, NULL), -EBUSY); /* q0 still */
	assert_int_equal(hwq(r, vm.v, 1, AT, PG), q1); /* and both ids are free again */
	assert_int_equal(rig_destroy(r, q1), 0);
	assert_int_equal(rig_destroy(r, q0), 0);
	assert_int_equal(rig_destroy(r, q0), -ENOENT);
	assert_int_equal(rig_destroy(r, vm.v), 0);
	munmap(m, 4 * PG);
}

/* mmap */

static uint64_t offset_of(struct rig *r, uint32_t parent, uint32_t *v)
{
	struct iommu_viommu_tegra241_cmdqv out = {0};
	struct iommu_viommu_alloc a = {.size = sizeof(a),
				       .type = QUEUED,
				       .dev_id = r->devid[0],
				       .hwpt_id = parent,
				       .data_len = sizeof(out),
				       .data_uptr = (uintptr_t)&out};

	assert_int_equal(rig_ioctl(r, IOMMU_VIOMMU_ALLOC, &a), 0);
	assert_int_equal(out.out_vintf_mmap_length, FAKE_REG_SIZE);
	*v = a.out_viommu_id;
	return out.out_vintf_mmap_offset;
}

static int map_try(struct rig *r, uint64_t off, size_t len, int prot, int flags, struct iommufd_mapping **m)
{
	uint64_t fd_off;
	int fd;

	return iommufd_mmap(r->fd, off, len, prot, flags, &fd, &fd_off, m);
}

static struct rig *in_rig;

static void map_early(struct drv_viommu *v, uint64_t off)
{
	struct iommufd_mapping *m;

	(void)v;
	assert_int_equal(off, PG);
	assert_int_equal(map_try(in_rig, off, FAKE_REG_SIZE, PROT_READ, MAP_SHARED, &m), -ENXIO);
}

/* A region is there when its vIOMMU is, not earlier. */
static void not_yet(void **state)
{
	struct rig *r = in_rig = rig_of(state);
	struct iommufd_mapping *m;

	fv.in_init = map_early;
	vm_new(r, QUEUED);
	assert_int_equal(map_try(r, PG, FAKE_REG_SIZE, PROT_READ, MAP_SHARED, &m), 0);
	iommufd_mapped(m, 0);
}

static void offsets(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t v[3], parent, v4;

	rig_bind(r, 0);
	parent = rig_hwpt(r, 0, rig_ioas(r), IOMMU_HWPT_ALLOC_NEST_PARENT);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(offset_of(r, parent, &v[i]), PG + i * FAKE_REG_SIZE);
	/* The lowest gap that fits. */
	assert_int_equal(rig_destroy(r, v[1]), 0);
	assert_int_equal(offset_of(r, parent, &v4), PG + FAKE_REG_SIZE);
	assert_int_equal(rig_destroy(r, v[0]), 0);
	assert_int_equal(rig_destroy(r, v4), 0);
	assert_int_equal(offset_of(r, parent, &v4), PG);
	/* A vIOMMU that failed has no offset. */
	fv.init_err = -ENOSPC;
	assert_int_equal(viommu_try(r, 0, QUEUED, parent, &v[0]), -ENOSPC);
	fv.init_err = 0;
	assert_int_equal(offset_of(r, parent, &v[0]), PG + FAKE_REG_SIZE);
}

static void mmap_errors(void **state)
{
	struct rig *r = rig_of(state);
	struct vm vm = vm_new(r, QUEUED);
	const int rw = PROT_READ | PROT_WRITE;
	struct iommufd_mapping *m;
	uint64_t fd_off;
	int fd;

	assert_int_equal(map_try(r, PG, FAKE_REG_SIZE - 1, rw, MAP_SHARED, &m), -EINVAL);
	assert_int_equal(map_try(r, PG, 0, rw, MAP_SHARED, &m), -EINVAL);
	assert_int_equal(map_try(r, PG + 1, FAKE_REG_SIZE, rw, MAP_SHARED, &m), -EINVAL);
	assert_int_equal(map_try(r, 77 * PG, PG, rw | PROT_EXEC, MAP_PRIVATE, &m), -EINVAL);
	assert_int_equal(map_try(r, 77 * PG, PG, rw | PROT_EXEC, MAP_SHARED, &m), -EPERM);
	assert_int_equal(map_try(r, 0, FAKE_REG_SIZE, rw, MAP_SHARED, &m), -ENXIO);
	assert_int_equal(map_try(r, PG, PG, rw, MAP_SHARED, &m), -ENXIO); /* a part of it */
	assert_int_equal(map_try(r, 2 * PG, FAKE_REG_SIZE - PG, rw, MAP_SHARED, &m), -ENXIO);
	assert_int_equal(map_try(r, PG, FAKE_REG_SIZE + PG, rw, MAP_SHARED, &m), -ENXIO);
	assert_int_equal(iommufd_mmap(r->fd2, PG, FAKE_REG_SIZE, rw, MAP_SHARED, &fd, &fd_off, &m), -ENXIO); /* another context */
	nb_fail_nth_arm(1);
	assert_int_equal(map_try(r, PG, FAKE_REG_SIZE, rw, MAP_SHARED, &m), -ENOMEM);
	nb_fail_nth_arm(0);
	/* All that failed holds nothing, and so does a mapping that the system refused. */
	assert_int_equal(map_try(r, PG, FAKE_REG_SIZE, rw, MAP_SHARED, &m), 0);
	assert_int_equal(rig_destroy(r, vm.v), -EBUSY);
	iommufd_mapped(m, 0);
	assert_int_equal(rig_destroy(r, vm.v), 0);
	assert_int_equal(map_try(r, PG, FAKE_REG_SIZE, rw, MAP_SHARED, &m), -ENXIO);
}

static uint64_t map(struct rig *r, uint64_t off)
{
	struct iommufd_mapping *m;
	uint64_t fd_off;
	void *p;
	int fd;

	assert_int_equal(iommufd_mmap(r->fd, off, FAKE_REG_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, &fd, &fd_off, &m), 0);
	p = mmap(NULL, FAKE_REG_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)fd_off);
	assert_true(p != MAP_FAILED);
	iommufd_mapped(m, (uintptr_t)p);
	return (uintptr_t)p;
}

static void unmap(struct rig *r, uint64_t va, uint64_t len)
{
	host_revoke(r->host, va, len);
	munmap((void *)(uintptr_t)va, len);
}

static void mappings(void **state)
{
	struct rig *r = rig_of(state);
	struct vm vm = vm_new(r, QUEUED);
	uint32_t word = 0xabcd, got, v2;
	uint64_t a, b, c;

	/* It is the register page of this vIOMMU. */
	a = map(r, PG);
	*(volatile uint32_t *)(uintptr_t)(a + 8) = word;
	assert_int_equal(pread(r->pages_fd, &got, 4, (off_t)(FAKE_REG + 8)), 4);
	assert_int_equal(got, word);
	c = offset_of(r, vm.parent, &v2);
	assert_int_equal(c, PG + FAKE_REG_SIZE);
	c = map(r, c);
	*(volatile uint32_t *)(uintptr_t)c = word;
	assert_int_equal(pread(r->pages_fd, &got, 4, (off_t)(FAKE_REG + FAKE_REG_SIZE)), 4);
	assert_int_equal(got, word);
	/* Held once per mapping, until the last page of it is gone. */
	b = map(r, PG);
	assert_int_equal(rig_destroy(r, vm.v), -EBUSY);
	unmap(r, a, FAKE_REG_SIZE);
	assert_int_equal(rig_destroy(r, vm.v), -EBUSY);
	unmap(r, b + PG, FAKE_REG_SIZE - 2 * PG);
	unmap(r, b + 2 * PG, PG); /* a second time counts nothing */
	assert_int_equal(rig_destroy(r, vm.v), -EBUSY);
	unmap(r, b + FAKE_REG_SIZE - PG, PG);
	assert_int_equal(rig_destroy(r, vm.v), -EBUSY);
	host_revoke(r->host, b - PG, PG); /* next door */
	host_revoke(r->host, b + PG, 1);
	assert_int_equal(rig_destroy(r, vm.v), -EBUSY);
	host_revoke(r->host, b, 1); /* a byte is a page */
	munmap((void *)(uintptr_t)b, PG);
	assert_int_equal(rig_destroy(r, vm.v), 0);
	assert_int_equal(rig_destroy(r, v2), -EBUSY);
	unmap(r, c, FAKE_REG_SIZE);
	assert_int_equal(rig_destroy(r, v2), 0);
}

/* Everything is closed but the mapping: it holds the context. */
static void outlives(void **state)
{
	struct rig *r = rig_of(state);
	struct iommufd_file *fd = r->fd;
	uint64_t a;

	vm_new(r, QUEUED);
	a = map(r, PG);
	r->fd = NULL;
	iommufd_close(fd);
	vfio_close(r->vf[0]);
	r->vf[0] = NULL;
	assert_int_equal(fv.viommus, 1);
	assert_int_equal(r->unit.domains, 1);
	unmap(r, a, FAKE_REG_SIZE);
	assert_int_equal(fv.viommus, 0);
	assert_int_equal(r->unit.domains, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, v_setup, v_teardown)
	const struct CMUnitTest tests[] = {
		T(alloc_errors), T(pins),    T(unmap_before), T(dead_memory), T(sub_pages),
		T(order),	 T(not_yet), T(offsets), T(mmap_errors),  T(mappings),    T(outlives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
