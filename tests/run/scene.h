/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest with a first-stage table and no page in it, and dmatest behind: page requests from the device to the queue and back.
 *
 * Everything goes through struct nb_kernel, so that the same scene plays on libnestbox in process and, in a program under the preload
 * library, on libc. Whoever includes this defines SCENE_CHECK(condition) first.
 */
#ifndef NB_TESTS_SCENE_H
#define NB_TESTS_SCENE_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "dev/dmatest_regs.h"
#include "uapi/iommufd.h"
#include "uapi/kernel.h"
#include "uapi/vfio.h"

#define SCENE_GPA	UINT64_C(0x10000000) /* where the guest's memory is in its own eyes */
#define SCENE_IOVA	UINT64_C(0x7f1234400000) /* what its first-stage table translates: 512 pages from here */
#define SCENE_PAGES	128u
#define SCENE_DATA	8u /* the first page that is no table */
#define SCENE_PASID	77u
#define SCENE_NO_PASID	UINT32_MAX
#define SCENE_CONFIG	(UINT64_C(7) << 40)
#define SCENE_BAR(n)	((uint64_t)(n) << 40)
#define SCENE_ENGINE	1u /* dmatest behind the first unit of every built-in host */

struct scene {
	const struct nb_kernel *k;
	int iommu, dev, queue;
	uint32_t ioas, parent, fault_id, hwpt, dev_id, pasid;
	uint8_t *guest; /* SCENE_PAGES pages at SCENE_GPA */
};

static inline long scene_ioctl(struct scene *s, int fd, unsigned long cmd, void *arg)
{
	return s->k->ioctl(s->k->opaque, fd, cmd, arg);
}

static inline uint64_t *scene_table(struct scene *s, unsigned int page)
{
	return (uint64_t *)(void *)(s->guest + 4096 * page);
}

/* Page n of the 512 is guest page `page`, or not present: 0. P, R/W, U/S, A, D. */
static inline void scene_leaf(struct scene *s, unsigned int n, unsigned int page)
{
	__atomic_store_n(&scene_table(s, 3)[n], page ? (SCENE_GPA + 4096 * page) | 0x67 : 0, __ATOMIC_RELEASE);
}

static inline void scene_tables(struct scene *s)
{
	scene_table(s, 0)[SCENE_IOVA >> 39 & 511] = (SCENE_GPA + 4096) | 0x67;
	scene_table(s, 1)[SCENE_IOVA >> 30 & 511] = (SCENE_GPA + 2 * 4096) | 0x67;
	scene_table(s, 2)[SCENE_IOVA >> 21 & 511] = (SCENE_GPA + 3 * 4096) | 0x67;
}

static inline void scene_destroy(struct scene *s, uint32_t id)
{
	struct iommu_destroy d = {.size = sizeof(d), .id = id};

	SCENE_CHECK(scene_ioctl(s, s->iommu, IOMMU_DESTROY, &d) == 0);
}

static inline void scene_attach(struct scene *s, uint32_t pt_id)
{
	struct vfio_device_attach_iommufd_pt a = {.argsz = sizeof(a), .pt_id = pt_id};

	if (s->pasid != SCENE_NO_PASID) {
		a.flags = VFIO_DEVICE_ATTACH_PASID;
		a.pasid = s->pasid;
	}
	SCENE_CHECK(scene_ioctl(s, s->dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &a) == 0);
}

static inline void scene_detach(struct scene *s)
{
	struct vfio_device_detach_iommufd_pt d = {.argsz = sizeof(d)};

	if (s->pasid != SCENE_NO_PASID) {
		d.flags = VFIO_DEVICE_DETACH_PASID;
		d.pasid = s->pasid;
	}
	SCENE_CHECK(scene_ioctl(s, s->dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &d) == 0);
}

static inline void scene_put32(struct scene *s, unsigned int reg, uint32_t v)
{
	SCENE_CHECK(s->k->pwrite(s->k->opaque, s->dev, &v, 4, SCENE_BAR(0) + reg) == 4);
}

static inline void scene_put64(struct scene *s, unsigned int reg, uint64_t v)
{
	SCENE_CHECK(s->k->pwrite(s->k->opaque, s->dev, &v, 8, SCENE_BAR(0) + reg) == 8);
}

static inline uint32_t scene_get32(struct scene *s, unsigned int reg)
{
	uint32_t v = 0;

	SCENE_CHECK(s->k->pread(s->k->opaque, s->dev, &v, 4, SCENE_BAR(0) + reg) == 4);
	return v;
}

static inline uint64_t scene_get64(struct scene *s, unsigned int reg)
{
	uint64_t v = 0;

	SCENE_CHECK(s->k->pread(s->k->opaque, s->dev, &v, 8, SCENE_BAR(0) + reg) == 8);
	return v;
}

/* The device and its address space; nothing is attached yet. */
static inline void scene_open(struct scene *s, const struct nb_kernel *k)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct iommu_ioas_map map = {.size = sizeof(map)};
	uint16_t command = 6; /* memory, bus master */
	char path[64];

	*s = (struct scene){.k = k, .queue = -1, .pasid = SCENE_NO_PASID};
	s->iommu = k->open(k->opaque, "/dev/iommu", O_RDWR | O_CLOEXEC);
	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", SCENE_ENGINE);
	s->dev = k->open(k->opaque, path, O_RDWR | O_CLOEXEC);
	SCENE_CHECK(s->iommu >= 0 && s->dev >= 0);
	bind.iommufd = s->iommu;
	SCENE_CHECK(scene_ioctl(s, s->dev, VFIO_DEVICE_BIND_IOMMUFD, &bind) == 0);
	s->dev_id = bind.out_devid;
	SCENE_CHECK(scene_ioctl(s, s->iommu, IOMMU_IOAS_ALLOC, &alloc) == 0);
	s->ioas = alloc.out_ioas_id;
	s->guest = mmap(NULL, SCENE_PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	SCENE_CHECK(s->guest != MAP_FAILED);
	scene_tables(s);
	map.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE;
	map.ioas_id = s->ioas;
	map.user_va = (uintptr_t)s->guest;
	map.length = SCENE_PAGES * 4096;
	map.iova = SCENE_GPA;
	SCENE_CHECK(scene_ioctl(s, s->iommu, IOMMU_IOAS_MAP, &map) == 0);
	SCENE_CHECK(k->pwrite(k->opaque, s->dev, &command, 2, SCENE_CONFIG + 4) == 2);
}

static inline uint32_t scene_hwpt(struct scene *s, uint32_t pt_id, uint32_t flags, uint32_t fault_id)
{
	struct iommu_hwpt_vtd_s1 s1 = {.pgtbl_addr = SCENE_GPA, .addr_width = 48};
	struct iommu_hwpt_alloc a = {.size = sizeof(a), .flags = flags, .dev_id = s->dev_id, .pt_id = pt_id};

	if (fault_id) {
		a.flags |= IOMMU_HWPT_FAULT_ID_VALID;
		a.fault_id = fault_id;
	}
	if (!(flags & IOMMU_HWPT_ALLOC_NEST_PARENT)) {
		a.data_type = IOMMU_HWPT_DATA_VTD_S1;
		a.data_len = sizeof(s1);
		a.data_uptr = (uintptr_t)&s1;
	}
	SCENE_CHECK(scene_ioctl(s, s->iommu, IOMMU_HWPT_ALLOC, &a) == 0);
	return a.out_hwpt_id;
}

static inline void scene_queue(struct scene *s)
{
	struct iommu_fault_alloc f = {.size = sizeof(f)};

	SCENE_CHECK(scene_ioctl(s, s->iommu, IOMMU_FAULT_QUEUE_ALLOC, &f) == 0);
	s->fault_id = f.out_fault_id;
	s->queue = (int)f.out_fault_fd;
}

/* A nested table with a fault queue, attached: to the function's plain requests or to a PASID. */
static inline void scene_up(struct scene *s, const struct nb_kernel *k, uint32_t pasid)
{
	uint32_t flags = pasid == SCENE_NO_PASID ? 0 : IOMMU_HWPT_ALLOC_PASID;

	scene_open(s, k);
	scene_queue(s);
	s->parent = scene_hwpt(s, s->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT | flags, 0);
	if (pasid != SCENE_NO_PASID) /* a PASID needs something under the function's plain requests */
		scene_attach(s, s->parent);
	s->pasid = pasid;
	s->hwpt = scene_hwpt(s, s->parent, flags, s->fault_id);
	scene_attach(s, s->hwpt);
	scene_put32(s, DMATEST_CONTROL, DMATEST_CONTROL_ATS | DMATEST_CONTROL_PRI);
	scene_put32(s, DMATEST_PASID, pasid == SCENE_NO_PASID ? 0 : DMATEST_PASID_EN | pasid);
}

static inline void scene_close(struct scene *s)
{
	if (s->queue >= 0)
		SCENE_CHECK(s->k->close(s->k->opaque, s->queue) == 0);
	if (s->dev >= 0)
		SCENE_CHECK(s->k->close(s->k->opaque, s->dev) == 0);
	if (s->iommu >= 0)
		SCENE_CHECK(s->k->close(s->k->opaque, s->iommu) == 0);
	munmap(s->guest, SCENE_PAGES * 4096);
}

/* Start a command; its status. */
static inline uint32_t scene_run(struct scene *s, uint32_t cmd, uint64_t src, uint64_t dst, uint64_t len)
{
	scene_put64(s, DMATEST_SRC, src);
	scene_put64(s, DMATEST_DST, dst);
	scene_put64(s, DMATEST_LENGTH, len);
	scene_put32(s, DMATEST_COMMAND, cmd);
	return scene_get32(s, DMATEST_STATUS);
}

/* One record; false: none is there. */
static inline bool scene_fault(struct scene *s, struct iommu_hwpt_pgfault *f)
{
	ssize_t n = s->k->read(s->k->opaque, s->queue, f, sizeof(*f));

	SCENE_CHECK(n == 0 || n == (ssize_t)sizeof(*f));
	return n != 0;
}

static inline void scene_answer(struct scene *s, uint32_t cookie, uint32_t code)
{
	struct iommu_hwpt_page_response r = {.cookie = cookie, .code = code};

	SCENE_CHECK(s->k->write(s->k->opaque, s->queue, &r, sizeof(r)) == (ssize_t)sizeof(r));
}

static inline bool scene_filled(const struct scene *s, unsigned int page, uint8_t byte)
{
	for (unsigned int i = 0; i < 4096; i++)
		if (s->guest[4096 * page + i] != byte)
			return false;
	return true;
}

static inline void scene_expect(struct scene *s, const struct iommu_hwpt_pgfault *f, uint64_t addr, uint32_t perm)
{
	SCENE_CHECK(f->addr == addr && f->perm == perm && f->dev_id == s->dev_id);
	SCENE_CHECK(f->flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE);
	SCENE_CHECK(((f->flags & IOMMU_PGFAULT_FLAGS_PASID_VALID) != 0) == (s->pasid != SCENE_NO_PASID));
	SCENE_CHECK(f->pasid == (s->pasid == SCENE_NO_PASID ? 0 : s->pasid));
	SCENE_CHECK(f->grpid == (scene_get32(s, DMATEST_WAIT) & DMATEST_WAIT_GROUP));
}

/* Eight pages written that are not there: asked for one by one, mapped, answered, and the data is right. */
static inline void scene_demand_paging(struct scene *s)
{
	struct iommu_hwpt_pgfault f;

	scene_put64(s, DMATEST_PATTERN, UINT64_C(0x5a5a5a5a5a5a5a5a));
	SCENE_CHECK(scene_run(s, DMATEST_CMD_FILL, 0, SCENE_IOVA, 8 * 4096) == DMATEST_STATUS_WAITING);
	for (unsigned int i = 0; i < 8; i++) {
		SCENE_CHECK(scene_get32(s, DMATEST_STATUS) == DMATEST_STATUS_WAITING);
		SCENE_CHECK(scene_get64(s, DMATEST_DONE) == i * 4096);
		SCENE_CHECK(scene_fault(s, &f));
		scene_expect(s, &f, SCENE_IOVA + i * 4096, IOMMU_PGFAULT_PERM_WRITE);
		SCENE_CHECK(!scene_fault(s, &(struct iommu_hwpt_pgfault){0}));
		scene_leaf(s, i, SCENE_DATA + 2 * i);
		scene_answer(s, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS);
	}
	SCENE_CHECK(scene_get32(s, DMATEST_STATUS) == DMATEST_STATUS_DONE);
	for (unsigned int i = 0; i < 8; i++) {
		SCENE_CHECK(scene_filled(s, SCENE_DATA + 2 * i, 0x5a));
		SCENE_CHECK(scene_filled(s, SCENE_DATA + 2 * i + 1, 0));
	}
}

/* The guest takes a page away: the device-TLB forgets, the next access asks again. */
static inline void scene_take_away(struct scene *s, unsigned int n)
{
	struct iommu_hwpt_vtd_s1_invalidate e = {.addr = SCENE_IOVA + 4096 * n, .npages = 1};
	struct iommu_hwpt_invalidate inv = {.size = sizeof(inv),
					    .hwpt_id = s->hwpt,
					    .data_uptr = (uintptr_t)&e,
					    .data_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
					    .entry_len = sizeof(e),
					    .entry_num = 1};

	scene_leaf(s, n, 0);
	SCENE_CHECK(scene_ioctl(s, s->iommu, IOMMU_HWPT_INVALIDATE, &inv) == 0);
}

#endif
