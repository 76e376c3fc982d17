/* SPDX-License-Identifier: BSD-3-Clause */
/* iommufd files: dispatch, objects, address spaces, options. Errors are those of the uAPI sheet, in its order. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host_rig.h"

#define MAX UINT64_MAX
static uint8_t buf[64 * 4096] __attribute__((aligned(4096)));

static int setup(void **state)
{
	*state = rig_new();
	return 0;
}
static int teardown(void **state)
{
	rig_free(*state);
	return 0;
}

static void dispatch(void **state)
{
	struct rig *r = rig_of(state);
	struct {
		struct iommu_ioas_alloc c;
		uint8_t tail[300];
	} a = {.c.size = 12};
	uint32_t words[16] = {0};

	/* numbers: EFAULT before ENOTTY, holes, direction bits */
	assert_int_equal(iommufd_ioctl(r->fd, IOMMU_DESTROY, 8), -EFAULT);
	assert_int_equal(iommufd_ioctl(r->fd, 0x80 | 0x3c00, 8), -EFAULT);
	words[0] = 64;
	assert_int_equal(rig_ioctl(r, 0x3c80, words), -ENOTTY);
	assert_int_equal(rig_ioctl(r, 0x80003b80, words), -ENOTTY);
	assert_int_equal(rig_ioctl(r, 0x3b7f, words), -ENOTTY);
	assert_int_equal(rig_ioctl(r, 0x3b95, words), -ENOTTY);
	assert_int_equal(rig_ioctl(r, IOMMU_IOAS_CHANGE_PROCESS, words), -ENOTTY);
	/* sizes */
	a.c.size = 11;
	assert_int_equal(rig_ioctl(r, IOMMU_IOAS_ALLOC, &a), -EINVAL);
	a.c.size = sizeof(a);
	a.tail[299] = 1;
	assert_int_equal(rig_ioctl(r, IOMMU_IOAS_ALLOC, &a), -E2BIG);
	a.tail[299] = 0;
	assert_int_equal(rig_ioctl(r, IOMMU_IOAS_ALLOC, &a), 0);
	assert_int_equal(a.c.out_ioas_id, 1); /* the first id, and the failures left none behind */
	a.c.size = UINT32_MAX; /* runs off the end of the stack: absent or not zero, and no crash */
	assert_true(rig_ioctl(r, IOMMU_IOAS_ALLOC, &a) < 0);
	a.c.size = 12;
	a.c.flags = 1;
	assert_int_equal(rig_ioctl(r, IOMMU_IOAS_ALLOC, &a), -EOPNOTSUPP);
	a.c.flags = 0;
	assert_int_equal(rig_ioctl(r, IOMMU_IOAS_ALLOC, &a), 0);
	assert_int_equal(a.c.out_ioas_id, 2);
	assert_string_equal(a.tail[0] ? "written past the size" : "", "");
	/* min sizes of every call: one less is EINVAL */
	{
		static const struct {
			unsigned int cmd, min;
		} t[] = {{IOMMU_DESTROY, 8},	      {IOMMU_IOAS_ALLOC, 12},	{IOMMU_IOAS_ALLOW_IOVAS, 24},
			 {IOMMU_IOAS_COPY, 40},	      {IOMMU_IOAS_IOVA_RANGES, 32}, {IOMMU_IOAS_MAP, 40},
			 {IOMMU_IOAS_UNMAP, 24},      {IOMMU_OPTION, 24},	{IOMMU_VFIO_IOAS, 12},
			 {IOMMU_HWPT_ALLOC, 24},      {IOMMU_GET_HW_INFO, 32},	{IOMMU_HWPT_SET_DIRTY_TRACKING, 16},
			 {IOMMU_HWPT_GET_DIRTY_BITMAP, 48}, {IOMMU_HWPT_INVALIDATE, 32}, {IOMMU_FAULT_QUEUE_ALLOC, 16},
			 {IOMMU_IOAS_MAP_FILE, 40},   {IOMMU_VIOMMU_ALLOC, 24}, {IOMMU_VDEVICE_ALLOC, 24},
			 {IOMMU_VEVENTQ_ALLOC, 28},   {IOMMU_HW_QUEUE_ALLOC, 40}};

		for (unsigned int i = 0; i < ARRAY_SIZE(t); i++) {
			uint32_t *edge = (uint32_t *)(void *)(buf + 4096);
			long err;

			memset(words, 0, sizeof(words));
			words[0] = t[i].min - 1;
			assert_int_equal(rig_ioctl(r, t[i].cmd, words), -EINVAL);
			/* the minimum is enough, and nothing beyond it is read or written */
			mprotect(buf + 4096, 4096, PROT_NONE);
			edge = (uint32_t *)(void *)(buf + 4096 - nb_align_down(t[i].min + 3, 4));
			memset(edge, 0, t[i].min);
			edge[0] = t[i].min;
			err = rig_ioctl(r, t[i].cmd, edge);
			mprotect(buf + 4096, 4096, PROT_READ | PROT_WRITE);
			if (err == -EFAULT || (err == -EINVAL && t[i].cmd != IOMMU_IOAS_COPY &&
					       t[i].cmd != IOMMU_IOAS_MAP && t[i].cmd != IOMMU_IOAS_MAP_FILE &&
					       t[i].cmd != IOMMU_HW_QUEUE_ALLOC && t[i].cmd != IOMMU_VEVENTQ_ALLOC))
				fail_msg("%#x with its least size gives %ld", t[i].cmd, err);
		}
	}
	assert_int_equal(nb_trace_count(r->tr, NB_EV_host_ioctl_failed) > 20, 1);
}

static void objects(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t id[40];
	struct iommu_ioas_alloc *ro;

	for (unsigned int i = 0; i < 40; i++) {
		id[i] = rig_ioas(r);
		assert_int_equal(id[i], i + 1);
	}
	assert_int_equal(rig_destroy(r, 0), -ENOENT);
	assert_int_equal(rig_destroy(r, 41), -ENOENT);
	assert_int_equal(rig_destroy(r, UINT32_MAX), -ENOENT);
	assert_int_equal(rig_destroy(r, 0x80000000u), -ENOENT);
	assert_int_equal(rig_destroy(r, 7), 0);
	assert_int_equal(rig_destroy(r, 3), 0);
	assert_int_equal(rig_destroy(r, 3), -ENOENT);
	assert_int_equal(rig_ioas(r), 3); /* the lowest first */
	assert_int_equal(rig_ioas(r), 7);
	assert_int_equal(rig_ioas(r), 41);
	/* the answer cannot be delivered: nothing is left */
	ro = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ro->size = 12;
	mprotect(ro, 4096, PROT_READ);
	assert_int_equal(rig_ioctl(r, IOMMU_IOAS_ALLOC, ro), -EFAULT);
	munmap(ro, 4096);
	assert_int_equal(rig_ioas(r), 42);
	/* contexts are apart */
	assert_int_equal(iommufd_ioctl(r->fd2, IOMMU_DESTROY,
				       (uintptr_t) & (struct iommu_destroy){.size = 8, .id = 1}),
			 -ENOENT);
}

static void map_errors(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t s = rig_ioas(r), no = s + 1;
	uint64_t va = (uintptr_t)buf;
	const struct {
		uint32_t flags, ioas, reserved;
		uint64_t va, len, iova;
		long want;
	} t[] = {
		{0x8 | FIXED | RW, s, 0, va, PG, PG, -EOPNOTSUPP},
		{FIXED | RW, s, 1, va, PG, PG, -EOPNOTSUPP},
		{0x8 | FIXED | RW, s, 0, va, MAX, PG, -EOPNOTSUPP}, /* order */
		{FIXED | RW, s, 0, va, MAX, PG, -EOVERFLOW},
		{RW, s, 0, va, PG, MAX, -EOVERFLOW}, /* also when the IOVA is not asked for */
		{FIXED, s, 0, va, MAX, PG, -EOVERFLOW},
		{FIXED, s, 0, va, PG, PG, -EINVAL},
		{FIXED, no, 0, va, PG, PG, -EINVAL}, /* before the id */
		{FIXED | RW, no, 0, va, PG, PG, -ENOENT},
		{FIXED | RW, 0, 0, va, PG, PG, -ENOENT},
		{FIXED | RW, s, 0, MAX - 10, PG, PG, -EOVERFLOW},
		{FIXED | RW, s, 0, va, 0, PG, -EINVAL},
		{FIXED | RW, s, 0, va, PG, MAX - 10, -EOVERFLOW},
		{FIXED | RW, s, 0, va, PG, 0x10000, 0},
		{FIXED | RW, s, 0, va, PG, 0x10000, -EEXIST},
		{FIXED | RW, s, 0, va, 2 * PG, 0x10000 - PG, -EEXIST},
		{FIXED | RW, s, 0, va, 1, 0x10fff, -EEXIST},
		{FIXED | RW, s, 0, va + 3, 5, 0x30001, 0}, /* no domain: alignment 1 */
		{RW, s, 0, va, MAX / 2, 0, -EOVERFLOW},
		{FIXED | RW, s, 0, 0x1000, PG, 0x40000, 0}, /* no domain: nothing looks at the memory */
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(t); i++) {
		struct iommu_ioas_map m = {sizeof(m), t[i].flags, t[i].ioas, t[i].reserved, t[i].va, t[i].len, t[i].iova};
		long err = rig_ioctl(r, IOMMU_IOAS_MAP, &m);

		if (err != t[i].want)
			fail_msg("row %u: %ld, not %ld (%s)", i, err, t[i].want, r->log);
	}
	assert_int_equal(rig_unmap(r, s, 0, MAX, NULL), 0);

	/* With a domain pages must be there, and aligned. */
	rig_bind(r, 0);
	assert_int_equal(rig_attach(r, 0, rig_hwpt(r, 0, s, 0)), 0);
	{
		const struct {
			uint32_t flags;
			uint64_t va, len, iova;
			long want;
		} d[] = {
			{FIXED | RW, va, PG + 1, PG, -EINVAL},
			{FIXED | RW, va, PG, 0x1001, -EINVAL},
			{FIXED | RW, va + 8, PG, PG, -EINVAL},
			{FIXED | RW, va, PG, 0xfee00000, -EINVAL},	      /* reserved by the device */
			{FIXED | RW, va, PG, 0xfedff000, 0},
			{FIXED | RW, va, 2 * PG, 0xfeeff000, -EINVAL},
			{FIXED | RW, va, PG, BIT(48), -EINVAL}, /* beyond the aperture */
			{FIXED | RW, 0x1000, PG, PG, -EFAULT},
			{FIXED | RW, BIT(63), PG, PG, -EFAULT},
			{FIXED | RW, MAX - 2 * PG + 1, PG, PG, -EFAULT},
			{FIXED | RW, va, PG, PG, 0},
			{FIXED | RW, va, PG, PG, -EEXIST},
			{FIXED | RW, 0x1000, PG, PG, -EEXIST}, /* order */
			{RW, va + 8, PG, 0, -EINVAL},
		};

		for (unsigned int i = 0; i < ARRAY_SIZE(d); i++) {
			uint64_t iova = d[i].iova;
			long err = rig_map(r, s, d[i].flags, (void *)(uintptr_t)d[i].va, d[i].len, &iova);

			if (err != d[i].want)
				fail_msg("with domain, row %u: %ld, not %ld (%s)", i, err, d[i].want, r->log);
		}
		assert_int_equal(rig_pa(0, PG + 5), va + 5);
		assert_int_equal(fake(rig_attached[RID(0)])->n, 2); /* nothing of what failed */
	}
	/* a read-only mapping of read-only memory is fine, a writable one is not */
	{
		void *ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		uint64_t iova = 0x200000;

		assert_int_equal(rig_map(r, s, FIXED | IOMMU_IOAS_MAP_READABLE, ro, PG, &iova), 0);
		assert_int_equal(fake(rig_attached[RID(0)])->map[2].prot, PT_READ);
		iova = 0x300000;
		assert_int_equal(rig_map(r, s, FIXED | RW, ro, PG, &iova), -EFAULT);
		munmap(ro, 4096);
	}
	/* large: a hole in the middle is found though not every page is touched */
	{
		uint8_t *big = mmap(NULL, 4096 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
				    0);

		assert_int_equal(rig_map_at(r, s, big, 4096 * 4096, 0x10000000), 0);
		assert_int_equal(fake(rig_attached[RID(0)])->map[3].len, 4096 * 4096); /* one call */
		munmap(big + 4096 * 1777, 4096);
		assert_int_equal(rig_map_at(r, s, big, 4096 * 4096, 0x20000000), -EFAULT);
		munmap(big, 4096 * 4096);
		assert_int_equal(rig_unmap(r, s, 0x10000000, 4096 * 4096, NULL), 0);
		assert_int_equal(rig_unmap(r, s, 0x200000, PG, NULL), 0);
	}
	/* the driver's own refusal, and a second domain's: the first is taken back */
	r->unit.map_err = -ERANGE;
	assert_int_equal(rig_map_at(r, s, buf, PG, 0x400000), -ERANGE);
	assert_int_equal(rig_pa(0, 0x400000), 0);
	r->unit.map_err = 0;
	{
		uint32_t second = rig_hwpt(r, 0, s, 0);

		r->unit.map_err = -ENOMEM;
		r->unit.map_err_after = 1;
		assert_int_equal(rig_map_at(r, s, buf, PG, 0x400000), -ENOMEM);
		assert_int_equal(rig_pa(0, 0x400000), 0);
		r->unit.map_err = 0;
		assert_int_equal(rig_map_at(r, s, buf, PG, 0x400000), 0);
		assert_int_equal(rig_destroy(r, second), 0);
	}
}

static void automatic_iova(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t s = rig_ioas(r);
	struct iommu_iova_range allow[] = {{0x100000, 0x1fffff}, {0x40000000, 0x4fffffff}};
	struct iommu_ioas_allow_iovas al = {sizeof(al), s, 1, 0, (uintptr_t)allow};
	uint8_t *area = mmap(NULL, 10 << 20, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *v2m = (uint8_t *)(((uintptr_t)area + (2 << 20) - 1) & ~(uintptr_t)((2 << 20) - 1));
	uint64_t at = 0;

	assert_ptr_not_equal(area, MAP_FAILED);
	assert_int_equal(rig_map(r, s, RW, v2m, PG, &at), 0);
	assert_int_equal(at, PG); /* never 0 */
	assert_int_equal(rig_map(r, s, RW, v2m, 3 * PG, &at), 0);
	assert_int_equal(at, 4 * PG); /* to a power of two */
	assert_int_equal(rig_map(r, s, RW, v2m + PG, 3 * PG, &at), 0);
	assert_int_equal(at, 7 * PG); /* less for a source that is less aligned */
	assert_int_equal(rig_map(r, s, RW, v2m, 4 << 20, &at), 0);
	assert_int_equal(at, 2 << 20); /* at most 2 MiB */
	assert_int_equal(rig_map(r, s, RW, v2m + 0x234, 0x10, &at), 0);
	assert_int_equal(at % PG, 0x234); /* the sub-page offset is the source's */
	assert_int_equal(rig_unmap(r, s, 4 * PG, 3 * PG, NULL), 0);
	assert_int_equal(rig_map(r, s, RW, v2m, PG, &at), 0);
	assert_int_equal(at, 3 * PG); /* first fit; 2 * PG was taken by the sub-page one */
	/* allowed ranges bind the allocator only */
	assert_int_equal(rig_ioctl(r, IOMMU_IOAS_ALLOW_IOVAS, &al), 0);
	assert_int_equal(rig_map(r, s, RW, v2m, PG, &at), 0);
	assert_int_equal(at, 0x100000);
	assert_int_equal(rig_map(r, s, RW, v2m, 2 << 20, &at), -ENOSPC);
	al.num_iovas = 2;
	assert_int_equal(rig_ioctl(r, IOMMU_IOAS_ALLOW_IOVAS, &al), 0);
	assert_int_equal(rig_map(r, s, RW, v2m, 2 << 20, &at), 0);
	assert_int_equal(at, 0x40000000);
	assert_int_equal(rig_map_at(r, s, v2m, PG, 0x900000), 0); /* fixed ones may lie elsewhere */
	munmap(area, 10 << 20);
}

static void allow_and_ranges(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t s = rig_ioas(r);
	struct iommu_iova_range w[4] = {{0x100000, 0x1fffff}, {5, 5}};
	struct iommu_ioas_allow_iovas al = {sizeof(al), s, 2, 0, (uintptr_t)w};
	struct iommu_ioas_iova_ranges q = {.size = sizeof(q), .ioas_id = s, .num_iovas = 4, .allowed_iovas = (uintptr_t)w};
	uint32_t h;

	assert_int_equal(rig_ioctl(r, IOMMU_IOAS_ALLOW_IOVAS, &al), -EINVAL); /* one byte */
	w[1] = (struct iommu_iova_range){0x180000, 0x280000};
	assert_int_equal(rig_ioctl(r, IOMMU_IOAS_ALLOW_IOVAS, &al), -EINVAL); /* overlap */
	al.allowed_iovas = 8;
	assert_int_equal(rig_ioctl(r, IOMMU_IOAS_ALLOW_IOVAS, &al), -EFAULT);
	al.num_iovas = UINT32_MAX; /* bounded by the memory that is there */
	al.allowed_iovas = (uintptr_t)buf + sizeof(buf) - 64;
	assert_true(rig_ioctl(r, IOMMU_IOAS_ALLOW_IOVAS, &al) < 0);
	al = (struct iommu_ioas_allow_iovas){sizeof(al), s, 0, 1, 0};
	assert_int_equal(rig_ioctl(r, IOMMU_IOAS_ALLOW_IOVAS, &al), -EOPNOTSUPP);
	al = (struct iommu_ioas_allow_iovas){sizeof(al), 99, 0, 0, 0};
	assert_int_equal(rig_ioctl(r, IOMMU_IOAS_ALLOW_IOVAS, &al), -ENOENT);

	/* ranges: everything, then what a domain and a device leave */
	assert_int_equal(rig_ioctl(r, IOMMU_IOAS_IOVA_RANGES, &q), 0);
	assert_int_equal(q.num_iovas, 1);
	assert_int_equal(q.out_iova_alignment, 1);
	assert_int_equal(w[0].start, 0);
	assert_int_equal(w[0].last, MAX);
	rig_bind(r, 0);
	h = rig_hwpt(r, 0, s, 0);
	assert_int_equal(rig_attach(r, 0, h), 0);
	q.num_iovas = 0;
	q.allowed_iovas = 0;
	assert_int_equal(rig_ioctl(r, IOMMU_IOAS_IOVA_RANGES, &q), -EMSGSIZE);
	assert_int_equal(q.num_iovas, 2); /* written although it failed */
	assert_int_equal(q.out_iova_alignment, PG);
	q.num_iovas = 1;
	q.allowed_iovas = (uintptr_t)w;
	memset(w, 0, sizeof(w));
	assert_int_equal(rig_ioctl(r, IOMMU_IOAS_IOVA_RANGES, &q), -EMSGSIZE);
	assert_int_equal(w[0].last, 0xfedfffff); /* as many as fit */
	assert_int_equal(w[1].last, 0);
	q.num_iovas = 2;
	assert_int_equal(rig_ioctl(r, IOMMU_IOAS_IOVA_RANGES, &q), 0);
	assert_int_equal(w[1].start, 0xfef00000);
	assert_int_equal(w[1].last, BIT(48) - 1);
	q.allowed_iovas = 8;
	assert_int_equal(rig_ioctl(r, IOMMU_IOAS_IOVA_RANGES, &q), -EFAULT);
	q.__reserved = 1;
	assert_int_equal(rig_ioctl(r, IOMMU_IOAS_IOVA_RANGES, &q), -EOPNOTSUPP);
	/* allowed against reserved, both ways */
	w[0] = (struct iommu_iova_range){0xfee00000, 0xfee00fff};
	al = (struct iommu_ioas_allow_iovas){sizeof(al), s, 1, 0, (uintptr_t)w};
	assert_int_equal(rig_ioctl(r, IOMMU_IOAS_ALLOW_IOVAS, &al), -EADDRINUSE);
	assert_int_equal(rig_detach(r, 0), 0);
	assert_int_equal(rig_ioctl(r, IOMMU_IOAS_ALLOW_IOVAS, &al), 0);
	assert_int_equal(rig_attach(r, 0, h), -EADDRINUSE);
	assert_null(rig_attached[RID(0)]);
	al.num_iovas = 0;
	assert_int_equal(rig_ioctl(r, IOMMU_IOAS_ALLOW_IOVAS, &al), 0);
	/* mapped against reserved */
	assert_int_equal(rig_map_at(r, s, buf, PG, 0xfeefe000), 0);
	assert_int_equal(rig_attach(r, 0, h), -EADDRINUSE);
	assert_int_equal(rig_unmap(r, s, 0xfeefe000, PG, NULL), 0);
	assert_int_equal(rig_attach(r, 0, h), 0);
}

static void unmap(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t s = rig_ioas(r);
	uint64_t n = 0;

	rig_bind(r, 0);
	assert_int_equal(rig_attach(r, 0, rig_hwpt(r, 0, s, 0)), 0);
	assert_int_equal(rig_unmap(r, s, 0, MAX, &n), 0); /* everything of nothing */
	assert_int_equal(n, 0);
	for (unsigned int i = 0; i < 6; i++)
		assert_int_equal(rig_map_at(r, s, buf + i * PG, i == 5 ? 2 * PG : PG, (i + 1) * 0x10000), 0);
	assert_int_equal(rig_unmap(r, 77, 0, PG, NULL), -ENOENT);
	assert_int_equal(rig_unmap(r, s, MAX, PG, NULL), -EOVERFLOW);
	assert_int_equal(rig_unmap(r, s, PG, MAX, NULL), -EOVERFLOW);
	assert_int_equal(rig_unmap(r, s, PG, 0, NULL), -EINVAL);
	assert_int_equal(rig_unmap(r, s, MAX - 1, 3, NULL), -EOVERFLOW);
	assert_int_equal(rig_unmap(r, s, 0x5000, PG, NULL), -ENOENT);
	assert_int_equal(rig_unmap(r, s, 0x10000, PG, &n), 0);
	assert_int_equal(n, PG);
	assert_int_equal(rig_pa(0, 0x10000), 0);
	/* holes are skipped and not counted */
	assert_int_equal(rig_unmap(r, s, 0x18000, 0x20000, &n), 0);
	assert_int_equal(n, 2 * PG);
	/* a cut area: what is before it is gone, the length is not written back */
	n = 0;
	assert_int_equal(rig_unmap(r, s, 0x38000, 0x60000 - 0x38000 + PG, &n), -ENOENT);
	assert_int_equal(n, 0x60000 - 0x38000 + PG);
	assert_int_equal(rig_pa(0, 0x40000), 0);
	assert_int_equal(rig_pa(0, 0x50000), 0);
	assert_int_equal(rig_pa(0, 0x61000), (uintptr_t)buf + 6 * PG);
	assert_int_equal(rig_unmap(r, s, 0x61000, PG, NULL), -ENOENT);
	assert_int_equal(rig_unmap(r, s, 0, MAX, &n), 0);
	assert_int_equal(n, 2 * PG);
	assert_int_equal(fake(rig_attached[RID(0)])->n, 0);
}

static long copy(struct rig *r, uint32_t flags, uint32_t dst, uint32_t src, uint64_t len, uint64_t *dst_iova,
		 uint64_t src_iova)
{
	struct iommu_ioas_copy c = {sizeof(c), flags, dst, src, len, *dst_iova, src_iova};
	long err = rig_ioctl(r, IOMMU_IOAS_COPY, &c);

	if (!err)
		*dst_iova = c.dst_iova;
	return err;
}

static void copies(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t a = rig_ioas(r), b = rig_ioas(r);
	uint64_t at = 0x800000, ro = 0x70000;

	rig_bind(r, 0);
	assert_int_equal(rig_attach(r, 0, rig_hwpt(r, 0, b, 0)), 0);
	/* three areas that touch, then a gap, then a read-only one */
	assert_int_equal(rig_map_at(r, a, buf, 2 * PG, 0x10000), 0);
	assert_int_equal(rig_map_at(r, a, buf + 8 * PG, PG, 0x12000), 0);
	assert_int_equal(rig_map_at(r, a, buf + 4 * PG, 3 * PG, 0x13000), 0);
	assert_int_equal(rig_map(r, a, FIXED | IOMMU_IOAS_MAP_READABLE, buf, PG, &ro), 0);

	assert_int_equal(copy(r, 8 | FIXED | RW, b, a, PG, &at, 0x10000), -EOPNOTSUPP);
	assert_int_equal(copy(r, FIXED | RW, b, a, MAX, &at, 0x10000), -EOVERFLOW);
	assert_int_equal(copy(r, FIXED | RW, b, a, PG, &at, MAX), -EOVERFLOW);
	assert_int_equal(copy(r, FIXED, b, a, PG, &at, 0x10000), -EINVAL);
	assert_int_equal(copy(r, FIXED | RW, b, 55, PG, &at, 0x10000), -ENOENT);
	assert_int_equal(copy(r, FIXED | RW, 55, a, PG, &at, 0x10000), -ENOENT);
	assert_int_equal(copy(r, FIXED | RW, b, a, 0, &at, 0x10000), -EINVAL);
	assert_int_equal(copy(r, FIXED | RW, b, a, PG, &at, 0x9000), -ENOENT);
	assert_int_equal(copy(r, FIXED | RW, b, a, 0x7000, &at, 0x10000), -ENOENT); /* a gap at the end */
	assert_int_equal(copy(r, FIXED | RW, b, a, PG, &at, 0x70000), -EPERM);
	assert_int_equal(copy(r, FIXED | IOMMU_IOAS_MAP_READABLE, b, a, PG, &at, 0x70000), 0);
	assert_int_equal(copy(r, FIXED | RW, b, a, PG, &at, 0x10000), -EEXIST);
	at = 0x900800;
	assert_int_equal(copy(r, FIXED | RW, b, a, PG, &at, 0x10000), -EINVAL);
	at = 0x900000;
	assert_int_equal(copy(r, FIXED | RW, b, a, PG, &at, 0x10800), -EINVAL); /* sub-page piece */
	at = 0xfee00000;
	assert_int_equal(copy(r, FIXED | RW, b, a, PG, &at, 0x10000), -EINVAL);
	assert_int_equal(fake(rig_attached[RID(0)])->n, 1);

	/* from the middle of the first to the middle of the last */
	at = 0x900000;
	assert_int_equal(copy(r, FIXED | RW, b, a, 0x4000, &at, 0x11000), 0);
	assert_int_equal(rig_unmap(r, a, 0, MAX, NULL), 0); /* the copy lives on */
	assert_int_equal(rig_pa(0, 0x900000), (uintptr_t)buf + PG);
	assert_int_equal(rig_pa(0, 0x901000), (uintptr_t)buf + 8 * PG);
	assert_int_equal(rig_pa(0, 0x902000), (uintptr_t)buf + 4 * PG);
	assert_int_equal(rig_pa(0, 0x903000), (uintptr_t)buf + 5 * PG);
	assert_int_equal(rig_pa(0, 0x904000), 0);
	/* within one space, at an address of its choice */
	assert_int_equal(copy(r, RW, b, b, 0x2000, &at, 0x901000), 0);
	assert_int_equal(rig_pa(0, at), (uintptr_t)buf + 8 * PG);
	assert_int_equal(rig_pa(0, at + PG), (uintptr_t)buf + 4 * PG);
	/* one piece fails in the driver: all are taken back */
	r->unit.map_err = -ENOMEM;
	r->unit.map_err_after = 2;
	at = 0xa00000;
	assert_int_equal(copy(r, FIXED | RW, b, b, 0x4000, &at, 0x900000), -ENOMEM);
	r->unit.map_err = 0;
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(rig_pa(0, 0xa00000 + i * PG), 0);
	assert_int_equal(copy(r, FIXED | RW, b, b, 0x4000, &at, 0x900000), 0);
}

static long map_file(struct rig *r, uint32_t s, uint32_t flags, int fd, uint64_t start, uint64_t len, uint64_t iova)
{
	struct iommu_ioas_map_file m = {sizeof(m), flags, s, fd, start, len, iova};

	return rig_ioctl(r, IOMMU_IOAS_MAP_FILE, &m);
}

static void files(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t s = rig_ioas(r), h;
	int mfd = memfd_create("x", MFD_CLOEXEC), null = open("/dev/null", O_RDWR | O_CLOEXEC);
	uint8_t *mine;

	assert_int_equal(ftruncate(mfd, 16 * 4096), 0);
	mine = mmap(NULL, 16 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, mfd, 0);
	mine[5 * 4096] = 42;
	assert_int_equal(map_file(r, s, 8, mfd, 0, PG, PG), -EOPNOTSUPP);
	assert_int_equal(map_file(r, s, FIXED | RW, mfd, 0, MAX, PG), -EOVERFLOW);
	assert_int_equal(map_file(r, s, FIXED | RW, mfd, 0, 0, PG), -EINVAL);
	assert_int_equal(map_file(r, s, FIXED | RW, mfd, MAX - 5, PG, PG), -EOVERFLOW);
	assert_int_equal(map_file(r, s, FIXED | RW, -1, 0, PG, PG), -EBADF);
	assert_int_equal(map_file(r, s, FIXED | RW, 999, 0, PG, PG), -EBADF);
	assert_int_equal(map_file(r, 99, FIXED | RW, 999, 0, PG, PG), -ENOENT);
	/* a wrong file, or beyond the end: found when pages are wanted */
	assert_int_equal(map_file(r, s, FIXED | RW, null, 0, PG, 0x10000), 0);
	assert_int_equal(map_file(r, s, FIXED | RW, mfd, 12 * PG, 8 * PG, 0x20000), 0);
	rig_bind(r, 0);
	assert_int_equal(rig_hwpt_try(r, 0, s, 0, &h), -EINVAL);
	assert_int_equal(rig_unmap(r, s, 0x10000, PG, NULL), 0);
	assert_int_equal(rig_hwpt_try(r, 0, s, 0, &h), -EINVAL);
	assert_int_equal(rig_unmap(r, s, 0x20000, 8 * PG, NULL), 0);
	assert_int_equal(map_file(r, s, FIXED | RW, mfd, 5 * PG, 2 * PG, 0x10000), 0);
	h = rig_hwpt(r, 0, s, 0);
	assert_int_equal(rig_attach(r, 0, h), 0);
	assert_int_equal(map_file(r, s, FIXED | RW, null, 0, PG, 0x40000), -EINVAL);
	assert_int_equal(map_file(r, s, FIXED | RW, mfd, 16 * PG, PG, 0x40000), -EINVAL);
	assert_int_equal(map_file(r, s, FIXED | RW, mfd, 5 * PG, PG, 0x40000), 0);
	/* what a device node of ours is made of is no memory to map */
	{
		int node = memfd_create("n", MFD_CLOEXEC);
		struct stat st;

		assert_int_equal(ftruncate(node, 4096) | fstat(node, &st), 0);
		r->node_ino = st.st_ino;
		assert_int_equal(map_file(r, s, FIXED | RW, node, 0, PG, 0x50000), -EINVAL);
		r->node_ino = 0;
		assert_int_equal(map_file(r, s, FIXED | RW, node, 0, PG, 0x50000), 0);
		close(node);
	}
	close(mfd); /* ours is another one */
	assert_int_equal(*(uint8_t *)(uintptr_t)rig_pa(0, 0x10000), 42);
	*(uint8_t *)(uintptr_t)rig_pa(0, 0x40000) = 43;
	assert_int_equal(mine[5 * 4096], 43);
	close(null);
	munmap(mine, 16 * 4096);
}

static long option(struct rig *r, uint32_t id, uint16_t op, uint32_t obj, uint64_t *val)
{
	struct iommu_option o = {sizeof(o), id, op, 0, obj, *val};
	long err = rig_ioctl(r, IOMMU_OPTION, &o);

	*val = o.val64;
	return err;
}

static bool may_raise_limits(void)
{
	unsigned long long eff = 0;
	char line[128];
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "CapEff: %llx", &eff);
	if (f)
		fclose(f);
	return eff >> 24 & 1; /* CAP_SYS_RESOURCE */
}

static void options(void **state)
{
	struct rig *r = rig_of(state);
	struct iommu_option bad = {sizeof(bad), 1, 1, 1, 0, 0};
	uint64_t v = 7;
	uint32_t s, h;

	assert_int_equal(rig_ioctl(r, IOMMU_OPTION, &bad), -EOPNOTSUPP);
	assert_int_equal(option(r, 9, 0, 0, &v), -EOPNOTSUPP);
	assert_int_equal(option(r, 0, 5, 0, &v), -EOPNOTSUPP);
	assert_int_equal(option(r, 0, 1, 5, &v), -EOPNOTSUPP);
	assert_int_equal(option(r, 0, 1, 0, &v), 0);
	assert_int_equal(v, 0);
	if (may_raise_limits()) {
		v = 2;
		assert_int_equal(option(r, 0, 0, 0, &v), -EINVAL);
		v = 1;
		assert_int_equal(option(r, 0, 0, 0, &v), 0);
		v = 0;
		assert_int_equal(option(r, 0, 1, 0, &v), 0);
		assert_int_equal(v, 1);
	}
	s = rig_ioas(r);
	v = 0;
	assert_int_equal(option(r, 0, 0, 0, &v), may_raise_limits() ? -EBUSY : -EPERM);
	assert_int_equal(option(r, 1, 1, s + 1, &v), -ENOENT);
	assert_int_equal(option(r, 1, 1, s, &v), 0);
	assert_int_equal(v, 1);
	v = 2;
	assert_int_equal(option(r, 1, 0, s, &v), -EINVAL);
	assert_int_equal(option(r, 1, 3, s, &v), -EOPNOTSUPP);
	assert_int_equal(rig_map_at(r, s, buf + 1, 1, 1), 0);
	v = 0;
	assert_int_equal(option(r, 1, 0, s, &v), -EADDRINUSE);
	assert_int_equal(rig_unmap(r, s, 1, 1, NULL), 0);
	assert_int_equal(option(r, 1, 0, s, &v), 0);
	assert_int_equal(option(r, 1, 0, s, &v), 0); /* again */
	rig_bind(r, 0);
	h = rig_hwpt(r, 0, s, 0);
	assert_int_equal(rig_attach(r, 0, h), 0);
	assert_int_equal(rig_map_at(r, s, buf, 8 * PG, 0x200000), 0);
	assert_int_equal(fake(rig_attached[RID(0)])->n, 8); /* page by page */
	/* one page of eight fails: the others are taken back */
	r->unit.map_err = -ENOMEM;
	r->unit.map_err_after = 5;
	assert_int_equal(rig_map_at(r, s, buf, 8 * PG, 0x400000), -ENOMEM);
	r->unit.map_err = 0;
	assert_int_equal(fake(rig_attached[RID(0)])->n, 8);
	v = 1;
	assert_int_equal(option(r, 1, 0, s, &v), 0);
	v = 0;
	assert_int_equal(option(r, 1, 0, s, &v), -EINVAL); /* domains and areas */
}

static void container(void **state)
{
	struct rig *r = rig_of(state);
	struct iommu_vfio_ioas c = {.size = sizeof(c)};
	uint32_t s = rig_ioas(r), words[8] = {32};

	assert_int_equal(rig_ioctl(r, IOMMU_VFIO_IOAS, &c), -ENODEV);
	c.op = 7;
	assert_int_equal(rig_ioctl(r, IOMMU_VFIO_IOAS, &c), -EOPNOTSUPP);
	c.op = IOMMU_VFIO_IOAS_SET;
	c.ioas_id = s + 9;
	assert_int_equal(rig_ioctl(r, IOMMU_VFIO_IOAS, &c), -ENOENT);
	assert_int_equal(iommufd_ioctl(r->fd, VFIO_GET_API_VERSION, 0), 0);
	assert_int_equal(iommufd_ioctl(r->fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU), 1);
	assert_int_equal(iommufd_ioctl(r->fd, VFIO_CHECK_EXTENSION, 6), 0);
	assert_int_equal(iommufd_ioctl(r->fd, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU), -ENODEV);
	assert_int_equal(iommufd_ioctl(r->fd, VFIO_SET_IOMMU, 99), -EINVAL);
	assert_int_equal(iommufd_ioctl(r->fd, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), -ENODEV);
	assert_int_equal(rig_ioctl(r, VFIO_IOMMU_MAP_DMA, words), -ENODEV);
	words[0] = 31;
	assert_int_equal(rig_ioctl(r, VFIO_IOMMU_MAP_DMA, words), -EINVAL);
	assert_int_equal(iommufd_ioctl(r->fd, VFIO_IOMMU_MAP_DMA, 4), -EFAULT);
	c.ioas_id = s;
	assert_int_equal(rig_ioctl(r, IOMMU_VFIO_IOAS, &c), 0);
	c.op = IOMMU_VFIO_IOAS_GET;
	c.ioas_id = 0;
	assert_int_equal(rig_ioctl(r, IOMMU_VFIO_IOAS, &c), 0);
	assert_int_equal(c.ioas_id, s);
	assert_int_equal(rig_destroy(r, s), 0); /* takes the pointer with it */
	assert_int_equal(rig_ioctl(r, IOMMU_VFIO_IOAS, &c), -ENODEV);
}

static void revocation(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t a = rig_ioas(r), b = rig_ioas(r), h;
	uint8_t *m = mmap(NULL, 64 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t va = (uintptr_t)m, at = 0x500000;

	rig_bind(r, 0);
	rig_bind(r, 1);
	h = rig_hwpt(r, 0, a, 0);
	assert_int_equal(rig_attach(r, 0, h), 0);
	assert_int_equal(rig_attach(r, 1, rig_hwpt(r, 1, b, 0)), 0);
	assert_int_equal(rig_map_at(r, a, m, 64 * PG, 0x100000), 0);
	assert_int_equal(rig_map_at(r, b, m, 16 * PG, 0x200000), 0);
	assert_int_equal(rig_map_at(r, b, buf, PG, 0x300000), 0);
	host_revoke(r->host, va + 64 * PG, PG); /* next door */
	host_revoke(r->host, 0, 0);
	host_revoke(r->host, 1, PG);
	assert_int_equal(nb_trace_count(r->tr, NB_EV_host_revoke), 0);
	assert_int_equal(rig_pa(0, 0x100000 + 63 * PG), va + 63 * PG);
	/* two pages in both spaces, at a sub-page offset: whole pages go */
	host_revoke(r->host, va + 4 * PG + 7, PG);
	assert_int_equal(nb_trace_count(r->tr, NB_EV_host_revoke), 1);
	for (unsigned int i = 0; i < 16; i++) {
		uint64_t want = i == 4 || i == 5 ? 0 : va + i * PG;

		assert_int_equal(rig_pa(0, 0x100000 + i * PG), want);
		assert_int_equal(rig_pa(1, 0x200000 + i * PG), want);
	}
	assert_int_equal(rig_pa(1, 0x300000), (uintptr_t)buf);
	/* what is put there afterwards is not seen: by new domains, by copies */
	munmap(m + 4 * 4096, 2 * 4096);
	assert_int_equal(rig_attach(r, 0, rig_hwpt(r, 0, a, 0)), 0);
	assert_int_equal(rig_pa(0, 0x100000 + 3 * PG), va + 3 * PG);
	assert_int_equal(rig_pa(0, 0x100000 + 4 * PG), 0);
	assert_int_equal(rig_pa(0, 0x100000 + 6 * PG), va + 6 * PG);
	assert_int_equal(copy(r, FIXED | RW, b, a, 4 * PG, &at, 0x100000 + 3 * PG), 0);
	assert_int_equal(rig_pa(1, 0x500000), va + 3 * PG);
	assert_int_equal(rig_pa(1, 0x501000), 0);
	assert_int_equal(rig_pa(1, 0x502000), 0);
	assert_int_equal(rig_pa(1, 0x503000), va + 6 * PG);
	/* a second time, further up: one dead range */
	host_revoke(r->host, va + 8 * PG, PG);
	assert_int_equal(rig_pa(0, 0x100000 + 6 * PG), 0);
	assert_int_equal(rig_pa(0, 0x100000 + 9 * PG), va + 9 * PG);
	/* all of it, and the areas can still be unmapped */
	host_revoke(r->host, 0x1000, UINT64_MAX - 0x2000);
	assert_int_equal(fake(rig_attached[RID(0)])->n, 0);
	assert_int_equal(fake(rig_attached[RID(1)])->n, 0);
	assert_int_equal(rig_unmap(r, a, 0x100000, 64 * PG, &at), 0);
	assert_int_equal(at, 64 * PG);
	munmap(m, 64 * 4096);
	(void)h;
}

/* Before any table is there IOVAs may have any alignment; what is gone is whole pages all the same, or no table could be filled. */
static void revocation_before_any_table(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t a = rig_ioas(r);
	uint8_t *m = mmap(NULL, 8 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t va = (uintptr_t)m;

	rig_bind(r, 0);
	assert_int_equal(rig_map_at(r, a, m, 8 * PG, 0x100000), 0);
	host_revoke(r->host, va + 2 * PG + 7, 100);
	host_revoke(r->host, va + 3 * PG - 1, 2);
	assert_int_equal(rig_attach(r, 0, rig_hwpt(r, 0, a, 0)), 0);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(rig_pa(0, 0x100000 + i * PG), i == 2 || i == 3 ? 0 : va + i * PG);
	munmap(m, 8 * 4096);
}

/* Everything above once more in small, with each allocation failing: right errno, nothing left, and it works afterwards. */
static void every_allocation_fails_once(void **state)
{
	struct rig *r = rig_of(state);
	unsigned long n;
	uint32_t keep = rig_ioas(r);

	rig_bind(r, 0);
	assert_int_equal(rig_map_at(r, keep, buf, PG, 0x10000), 0);
	for (n = 1; n < 200; n++) {
		struct iommu_ioas_alloc al = {.size = sizeof(al)};
		struct iommu_iova_range w[] = {{0x100000, 0x1fffff}};
		uint64_t at = 0x20000, cp = 0x30000;
		uint32_t h = 0;
		long err;

		nb_fail_nth_arm(n);
		err = rig_ioctl(r, IOMMU_IOAS_ALLOC, &al);
		if (!err) {
			struct iommu_ioas_allow_iovas aw = {sizeof(aw), al.out_ioas_id, 1, 0, (uintptr_t)w};

			err = rig_map(r, al.out_ioas_id, RW | FIXED, buf, PG, &at);
			if (!err)
				err = copy(r, FIXED | RW, al.out_ioas_id, keep, PG, &cp, 0x10000);
			if (!err)
				err = rig_ioctl(r, IOMMU_IOAS_ALLOW_IOVAS, &aw);
			if (!err)
				err = rig_hwpt_try(r, 0, al.out_ioas_id, 0, &h);
			if (!err)
				err = rig_attach(r, 0, h);
			if (!err)
				err = rig_attach(r, 0, al.out_ioas_id); /* replace, by an automatic one */
			if (!err)
				err = rig_detach(r, 0);
			else
				(void)rig_detach(r, 0);
			if (h)
				assert_int_equal(rig_destroy(r, h), 0);
			assert_int_equal(r->unit.domains, 0);
			assert_int_equal(rig_destroy(r, al.out_ioas_id), 0);
		}
		if (!nb_fail_nth_fired()) {
			assert_int_equal(err, 0);
			break;
		}
		assert_int_equal(err, -ENOMEM);
	}
	assert_in_range(n, 12, 199);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(dispatch), T(objects),   T(map_errors), T(automatic_iova), T(allow_and_ranges),
		T(unmap),    T(copies),	   T(files),	  T(options),	     T(container),
		T(revocation),
		T(revocation_before_any_table),   T(every_allocation_fails_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
