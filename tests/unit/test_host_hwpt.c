/* SPDX-License-Identifier: BSD-3-Clause */
/* Page tables as objects, devices, groups, PASIDs, dirty tracking, GET_HW_INFO. Errors are those of the uAPI sheet, in its order. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/mman.h>

#include "host/vfio.h"
#include "host_rig.h"

#define NEST  IOMMU_HWPT_ALLOC_NEST_PARENT
#define DIRTY IOMMU_HWPT_ALLOC_DIRTY_TRACKING
#define FAULT IOMMU_HWPT_FAULT_ID_VALID
#define PASID IOMMU_HWPT_ALLOC_PASID

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

static void alloc_errors(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t s = rig_ioas(r), plain, parent, nested, dev, none = 0x1000;
	struct iommu_hwpt_vtd_s1 s1 = {.addr_width = 48};

	rig_bind(r, 0);
	dev = r->devid[0];
	plain = rig_hwpt(r, 0, s, 0);
	parent = rig_hwpt(r, 0, s, NEST);
	assert_int_equal(rig_nested_try(r, 0, parent, 0, &nested), 0);
	{
		const struct {
			uint32_t flags, dev, pt, reserved, type, len, fault;
			long want;
		} t[] = {
			{0, dev, s, 1, 0, 0, 0, -EOPNOTSUPP},
			{0, none, s, 1, 0, 0, 0, -EOPNOTSUPP}, /* order */
			{0, none, s, 0, 0, 24, 0, -EINVAL},
			{0, none, s, 0, 1, 0, 0, -EINVAL},
			{0, none, s, 0, 0, 0, 0, -ENOENT},
			{0, s, s, 0, 0, 0, 0, -ENOENT}, /* an id of another type */
			{0, dev, none, 0, 0, 0, 0, -EINVAL}, /* the one id where a wrong one is EINVAL */
			{0, dev, dev, 0, 0, 0, 0, -EINVAL},
			{0, dev, nested, 0, 1, 24, 0, -EINVAL},
			{16, dev, s, 0, 0, 0, 0, -EOPNOTSUPP},
			{0, dev, s, 0, 1, 24, 0, -EOPNOTSUPP}, /* user data for a paging one */
			{FAULT | NEST, dev, s, 0, 0, 0, 0, -EOPNOTSUPP},
			{FAULT, dev, s, 0, 0, 0, none, -ENOENT},
			{FAULT, dev, s, 0, 0, 0, s, -ENOENT},
			{0, dev, parent, 0, 0, 0, 0, -EOPNOTSUPP}, /* nested without data */
			{NEST, dev, parent, 0, 1, 24, 0, -EOPNOTSUPP},
			{DIRTY, dev, parent, 0, 1, 24, 0, -EOPNOTSUPP},
			{0, dev, plain, 0, 1, 24, 0, -EINVAL},
			{FAULT, dev, parent, 0, 1, 24, none, -ENOENT},
			{0, dev, parent, 0, 1, 23, 0, -EINVAL},
			{0, dev, parent, 0, 2, 16, 0, -EOPNOTSUPP}, /* the driver's word */
			{PASID, dev, parent, 0, 1, 24, 0, 0},
			{PASID | NEST | DIRTY, dev, s, 0, 0, 0, 0, 0},
		};
		int domains = r->unit.domains;

		for (unsigned int i = 0; i < ARRAY_SIZE(t); i++) {
			struct iommu_hwpt_alloc a = {.size = sizeof(a),
						     .flags = t[i].flags,
						     .dev_id = t[i].dev,
						     .pt_id = t[i].pt,
						     .__reserved = t[i].reserved,
						     .data_type = t[i].type,
						     .data_len = t[i].len,
						     .data_uptr = (uintptr_t)&s1,
						     .fault_id = t[i].fault};
			long err = rig_ioctl(r, IOMMU_HWPT_ALLOC, &a);

			if (err != t[i].want)
				fail_msg("row %u: %ld, not %ld (%s)", i, err, t[i].want, r->log);
		}
		assert_int_equal(r->unit.domains, domains + 2); /* refusals left nothing */
	}
	r->unit.no_caps = 1u << DRV_CAP_DIRTY_TRACKING;
	assert_int_equal(rig_hwpt_try(r, 0, s, DIRTY, &none), -EOPNOTSUPP);
	r->unit.no_caps = 0;
	/* users: who holds whom */
	assert_int_equal(rig_destroy(r, s), -EBUSY);
	assert_int_equal(rig_destroy(r, parent), -EBUSY);
	assert_int_equal(rig_destroy(r, dev), -EBUSY);
	assert_int_equal(rig_attach(r, 0, nested), 0);
	assert_int_equal(rig_destroy(r, nested), -EBUSY);
	assert_int_equal(rig_detach(r, 0), 0);
	assert_int_equal(rig_destroy(r, nested), 0);
	assert_int_equal(rig_destroy(r, plain), 0);
	/* the oldest struct is enough */
	{
		struct iommu_hwpt_alloc a = {.size = 24, .dev_id = dev, .pt_id = s, .fault_id = 99};

		assert_int_equal(rig_ioctl(r, IOMMU_HWPT_ALLOC, &a), 0);
		assert_int_equal(rig_destroy(r, a.out_hwpt_id), 0);
	}
	assert_true(nb_trace_count(r->tr, NB_EV_host_hwpt_nested) >= 2);
}

/* A new domain shows what is mapped, or there is no new domain. */
static void fill(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t s = rig_ioas(r), h;

	rig_bind(r, 0);
	assert_int_equal(rig_map_at(r, s, buf, 4 * PG, 0x10000), 0);
	assert_int_equal(rig_map_at(r, s, (void *)0x1000, PG, 0x20000), 0);
	assert_int_equal(rig_hwpt_try(r, 0, s, 0, &h), -EFAULT);
	assert_int_equal(rig_attach(r, 0, s), -EFAULT);
	assert_null(rig_attached[RID(0)]);
	assert_int_equal(r->unit.domains, 0);
	assert_int_equal(rig_unmap(r, s, 0x20000, PG, NULL), 0);
	assert_int_equal(rig_map_at(r, s, buf + 1, 1, 0x20001), 0);
	assert_int_equal(rig_hwpt_try(r, 0, s, 0, &h), -EADDRINUSE);
	assert_int_equal(rig_unmap(r, s, 0x20001, 1, NULL), 0);
	assert_int_equal(rig_map_at(r, s, buf, PG, BIT(48) - PG), 0);
	assert_int_equal(rig_map_at(r, s, buf, PG, BIT(48)), 0);
	assert_int_equal(rig_hwpt_try(r, 0, s, 0, &h), -EADDRINUSE); /* beyond the aperture */
	assert_int_equal(rig_unmap(r, s, BIT(48), PG, NULL), 0);
	r->unit.pgsizes = BIT(21);
	assert_int_equal(rig_hwpt_try(r, 0, s, 0, &h), -EINVAL); /* no page that small */
	r->unit.pgsizes = PG;
	assert_int_equal(rig_attach(r, 0, s), 0);
	assert_int_equal(rig_pa(0, 0x13000), (uintptr_t)buf + 3 * PG);
	assert_int_equal(rig_pa(0, BIT(48) - 1), (uintptr_t)buf + PG - 1);
	assert_int_equal(rig_detach(r, 0), 0);
	assert_int_equal(r->unit.domains, 0);
	/* the aperture's reservation went with it */
	assert_int_equal(rig_map_at(r, s, buf, PG, BIT(48)), 0);
}

static void automatic(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t s = rig_ioas(r), s2 = rig_ioas(r), own, h;
	struct vfio_device_attach_iommufd_pt a = {.argsz = sizeof(a), .pt_id = s};
	struct drv_domain *d;

	rig_bind(r, 0);
	rig_bind(r, 1);
	own = rig_hwpt(r, 0, s, 0);
	assert_int_equal(vfio_ioctl(r->vf[0], VFIO_DEVICE_ATTACH_IOMMUFD_PT, (uintptr_t)&a), 0);
	assert_int_not_equal(a.pt_id, s);
	assert_int_not_equal(a.pt_id, own); /* ones made by hand are never chosen */
	d = rig_attached[RID(0)];
	assert_int_equal(rig_attach(r, 1, s), 0);
	assert_ptr_equal(rig_attached[RID(1)], d); /* shared */
	assert_int_equal(rig_nested_try(r, 0, a.pt_id, 0, &h), -EINVAL); /* never a parent */
	assert_int_equal(rig_destroy(r, a.pt_id), -EBUSY);
	assert_int_equal(rig_detach(r, 0), 0);
	assert_int_equal(r->unit.domains, 2);
	assert_int_equal(rig_detach(r, 1), 0);
	assert_int_equal(r->unit.domains, 1); /* gone with the last */
	assert_int_equal(rig_destroy(r, a.pt_id), -ENOENT);
	/* incompatible ones are passed by, other errors stop */
	assert_int_equal(rig_attach(r, 0, s), 0);
	r->unit.attach_err = -EINVAL;
	assert_int_equal(rig_attach(r, 1, s), -EINVAL);
	assert_int_equal(r->unit.domains, 2);
	r->unit.attach_err = -ENOMEM;
	assert_int_equal(rig_attach(r, 1, s), -ENOMEM);
	assert_int_equal(rig_attach(r, 0, s2), -ENOMEM); /* replace, made for nothing */
	assert_int_equal(r->unit.domains, 2);
	r->unit.attach_err = 0;
	/* replace by another space: the old automatic one goes */
	assert_int_equal(rig_attach(r, 0, s2), 0);
	assert_int_equal(r->unit.domains, 2);
	assert_int_equal(rig_detach(r, 0), 0);
	assert_int_equal(rig_destroy(r, s2), 0);
	/* an attach fails in the fill after the device was attached */
	assert_int_equal(rig_destroy(r, own), 0);
	assert_int_equal(rig_map_at(r, s, buf, PG, 0x10000), 0);
	r->unit.map_err = -ENOMEM;
	assert_int_equal(rig_attach(r, 0, s), -ENOMEM);
	r->unit.map_err = 0;
	assert_null(rig_attached[RID(0)]);
	assert_int_equal(r->unit.domains, 0);
	assert_int_equal(rig_destroy(r, s), 0);
}

static void bind(void **state)
{
	struct rig *r = rig_of(state);
	struct {
		struct vfio_device_bind_iommufd b;
		uint32_t tail[2];
	} a = {.b = {.argsz = 24, .iommufd = 10}};
	struct vfio_file *f, *g;
	uint64_t p = (uintptr_t)&a;
	uint8_t x[64] = {0};

	assert_int_equal(vfio_open(r->host, NFN, &f), -ENOENT);
	assert_int_equal(vfio_open(r->host, 0, &f), 0);
	assert_int_equal(vfio_ioctl(f, VFIO_DEVICE_GET_INFO, p), -EINVAL); /* before bind nothing works */
	assert_int_equal(vfio_ioctl(f, 0x1234, p), -EINVAL);
	assert_int_equal(vfio_pread(f, x, 4, UINT64_C(7) << 40), -EINVAL);
	assert_int_equal(vfio_pwrite(f, x, 4, UINT64_C(7) << 40), -EINVAL);
	assert_int_equal(vfio_ioctl(f, VFIO_DEVICE_BIND_IOMMUFD, 4), -EFAULT);
	a.b.argsz = 15;
	assert_int_equal(vfio_ioctl(f, VFIO_DEVICE_BIND_IOMMUFD, p), -EINVAL);
	a.b.argsz = sizeof(a);
	a.tail[1] = 1;
	assert_int_equal(vfio_ioctl(f, VFIO_DEVICE_BIND_IOMMUFD, p), -E2BIG);
	a.tail[1] = 0;
	a.b.flags = 2;
	assert_int_equal(vfio_ioctl(f, VFIO_DEVICE_BIND_IOMMUFD, p), -EINVAL);
	a.b.flags = 1;
	a.b.token_uuid_ptr = 8;
	assert_int_equal(vfio_ioctl(f, VFIO_DEVICE_BIND_IOMMUFD, p), -EFAULT);
	a.b.token_uuid_ptr = (uintptr_t)x;
	assert_int_equal(vfio_ioctl(f, VFIO_DEVICE_BIND_IOMMUFD, p), -EINVAL);
	a.b.flags = 0;
	a.b.iommufd = -1;
	assert_int_equal(vfio_ioctl(f, VFIO_DEVICE_BIND_IOMMUFD, p), -EINVAL);
	a.b.iommufd = 99;
	assert_int_equal(vfio_ioctl(f, VFIO_DEVICE_BIND_IOMMUFD, p), -EBADF);
	a.b.iommufd = 12;
	assert_int_equal(vfio_ioctl(f, VFIO_DEVICE_BIND_IOMMUFD, p), -EBADFD);
	a.b.iommufd = 10;
	r->unit.no_caps = 1u << DRV_CAP_CACHE_COHERENCY;
	assert_int_equal(vfio_ioctl(f, VFIO_DEVICE_BIND_IOMMUFD, p), -EINVAL);
	r->unit.no_caps = 0;
	a.b.argsz = 16; /* the oldest struct */
	assert_int_equal(vfio_ioctl(f, VFIO_DEVICE_BIND_IOMMUFD, p), 0);
	assert_int_equal(a.b.out_devid, 1);
	assert_int_equal(vfio_ioctl(f, VFIO_DEVICE_BIND_IOMMUFD, p), -EINVAL);
	assert_int_equal(vfio_open(r->host, 0, &g), 0);
	assert_int_equal(vfio_ioctl(g, VFIO_DEVICE_BIND_IOMMUFD, p), -EINVAL); /* opened by somebody else */
	vfio_close(f);
	assert_int_equal(vfio_ioctl(g, VFIO_DEVICE_BIND_IOMMUFD, p), 0);
	vfio_close(g);
	/* a group belongs to one context */
	rig_bind(r, 1);
	assert_int_equal(vfio_open(r->host, 2, &f), 0);
	a.b.iommufd = 11;
	assert_int_equal(vfio_ioctl(f, VFIO_DEVICE_BIND_IOMMUFD, p), -EPERM);
	a.b.iommufd = 10;
	assert_int_equal(vfio_ioctl(f, VFIO_DEVICE_BIND_IOMMUFD, p), 0);
	vfio_close(f);
	vfio_close(r->vf[1]);
	r->vf[1] = NULL;
	assert_int_equal(vfio_open(r->host, 2, &f), 0);
	a.b.iommufd = 11;
	assert_int_equal(vfio_ioctl(f, VFIO_DEVICE_BIND_IOMMUFD, p), 0);
	vfio_close(f);
	/* an answer that cannot be delivered: not bound */
	{
		struct vfio_device_bind_iommufd *ro =
			mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		*ro = (struct vfio_device_bind_iommufd){.argsz = 24, .iommufd = 10};
		mprotect(ro, 4096, PROT_READ);
		assert_int_equal(vfio_open(r->host, 2, &f), 0);
		assert_int_equal(vfio_ioctl(f, VFIO_DEVICE_BIND_IOMMUFD, (uintptr_t)ro), -EFAULT);
		assert_int_equal(vfio_ioctl(f, VFIO_DEVICE_BIND_IOMMUFD, p), 0);
		vfio_close(f);
		munmap(ro, 4096);
	}
	/* the context outlives its file while a device is bound */
	{
		uint32_t s = rig_ioas(r);

		rig_bind(r, 0);
		assert_int_equal(rig_attach(r, 0, rig_hwpt(r, 0, s, 0)), 0);
		iommufd_close(r->fd);
		r->fd = NULL;
		assert_int_equal(r->unit.domains, 1);
		assert_int_equal(rig_detach(r, 0), 0);
		assert_int_equal(rig_attach(r, 0, s), 0);
	}
}

static void attach_errors(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t s = rig_ioas(r), h, h2;
	struct vfio_device_attach_iommufd_pt a = {.argsz = 11};
	struct vfio_device_detach_iommufd_pt d = {.argsz = 7};

	rig_bind(r, 0);
	h = rig_hwpt(r, 0, s, 0);
	h2 = rig_hwpt(r, 0, s, 0);
	assert_int_equal(vfio_ioctl(r->vf[0], VFIO_DEVICE_ATTACH_IOMMUFD_PT, 8), -EFAULT);
	assert_int_equal(vfio_ioctl(r->vf[0], VFIO_DEVICE_ATTACH_IOMMUFD_PT, (uintptr_t)&a), -EINVAL);
	a = (struct vfio_device_attach_iommufd_pt){12, 2, h, 0};
	assert_int_equal(vfio_ioctl(r->vf[0], VFIO_DEVICE_ATTACH_IOMMUFD_PT, (uintptr_t)&a), -EINVAL);
	a.flags = 1;
	assert_int_equal(vfio_ioctl(r->vf[0], VFIO_DEVICE_ATTACH_IOMMUFD_PT, (uintptr_t)&a), -EINVAL);
	assert_int_equal(vfio_ioctl(r->vf[0], VFIO_DEVICE_DETACH_IOMMUFD_PT, (uintptr_t)&d), -EINVAL);
	d = (struct vfio_device_detach_iommufd_pt){8, 1, 0};
	assert_int_equal(vfio_ioctl(r->vf[0], VFIO_DEVICE_DETACH_IOMMUFD_PT, (uintptr_t)&d), -EINVAL);
	assert_int_equal(rig_attach(r, 0, 0), -ENOENT);
	assert_int_equal(rig_attach(r, 0, 999), -ENOENT);
	assert_int_equal(rig_attach(r, 0, r->devid[0]), -EINVAL);
	assert_int_equal(rig_detach(r, 0), 0); /* never fails */
	assert_int_equal(rig_attach(r, 0, h), 0);
	assert_int_equal(rig_attach(r, 0, h), 0); /* replace by the same */
	r->unit.attach_err = -EINVAL;
	assert_int_equal(rig_attach(r, 0, h2), -EINVAL); /* the old one stays */
	r->unit.attach_err = 0;
	assert_ptr_not_equal(rig_attached[RID(0)], NULL);
	assert_int_equal(rig_destroy(r, h2), 0);
	assert_int_equal(rig_destroy(r, h), -EBUSY);
	/* two kinds of MSI window at once */
	r->unit.resv[1] = (struct drv_resv){0x8000000, 0x80fffff, DRV_RESV_SW_MSI};
	r->unit.nresv = 2;
	assert_int_equal(rig_detach(r, 0), 0);
	assert_int_equal(rig_attach(r, 0, h), -EINVAL);
	r->unit.resv[0].type = DRV_RESV_DIRECT_RELAXABLE; /* and this one is not reserved */
	assert_int_equal(rig_attach(r, 0, h), 0);
	assert_int_equal(rig_map_at(r, s, buf, PG, 0xfee00000), 0);
	assert_int_equal(rig_map_at(r, s, buf, PG, 0x8000000), -EINVAL);
}

static void groups(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t s = rig_ioas(r), s2 = rig_ioas(r), h, h2, n;
	struct drv_domain *d;

	/* 1 and 2 are one group: both functions are programmed by the first attach */
	rig_bind(r, 1);
	h = rig_hwpt(r, 1, s, 0);
	assert_int_equal(rig_attach(r, 1, h), 0);
	d = rig_attached[RID(1)];
	assert_ptr_equal(rig_attached[RID(2)], d);
	rig_bind(r, 2);
	h2 = rig_hwpt(r, 2, s2, 0);
	assert_int_equal(rig_attach(r, 2, h2), -EINVAL); /* must be the same */
	n = r->unit.attaches;
	assert_int_equal(rig_attach(r, 2, h), 0);
	assert_int_equal(r->unit.attaches, n); /* once per group */
	/* replacing on one replaces all; the reservation moves with it */
	r->unit.attach_err = -ENOMEM;
	r->unit.attach_err_rid = RID(2);
	assert_int_equal(rig_attach(r, 1, h2), -ENOMEM);
	assert_ptr_equal(rig_attached[RID(1)], d); /* the first was put back */
	r->unit.attach_err = 0;
	assert_int_equal(rig_map_at(r, s2, buf, PG, 0xfee00000), 0); /* not reserved there */
	assert_int_equal(rig_attach(r, 1, h2), -EADDRINUSE);
	assert_int_equal(rig_unmap(r, s2, 0xfee00000, PG, NULL), 0);
	assert_int_equal(rig_attach(r, 1, h2), 0);
	assert_ptr_not_equal(rig_attached[RID(1)], d);
	assert_ptr_equal(rig_attached[RID(1)], rig_attached[RID(2)]);
	assert_int_equal(rig_destroy(r, h), 0);
	assert_int_equal(rig_map_at(r, s, buf, PG, 0xfee00000), 0); /* free again */
	assert_int_equal(rig_map_at(r, s2, buf, PG, 0xfee00000), -EINVAL);
	/* the last to detach blocks */
	assert_int_equal(rig_detach(r, 1), 0);
	assert_ptr_not_equal(rig_attached[RID(1)], NULL);
	assert_int_equal(rig_destroy(r, h2), -EBUSY);
	vfio_close(r->vf[2]); /* closing detaches */
	r->vf[2] = NULL;
	assert_null(rig_attached[RID(1)]);
	assert_null(rig_attached[RID(2)]);
	assert_int_equal(rig_destroy(r, h2), 0);
}

static void pasids(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t s = rig_ioas(r), plain, fit, fit2, parent, nested;

	rig_bind(r, 0);
	plain = rig_hwpt(r, 0, s, 0);
	fit = rig_hwpt(r, 0, s, PASID);
	fit2 = rig_hwpt(r, 0, s, PASID);
	parent = rig_hwpt(r, 0, s, NEST | PASID);
	assert_int_equal(rig_nested_try(r, 0, parent, PASID, &nested), 0);
	assert_int_equal(rig_attach_pasid(r, 0, plain, 5), -EINVAL);
	assert_int_equal(rig_attach_pasid(r, 0, s, 5), -EINVAL); /* automatic ones are not fit */
	assert_int_equal(r->unit.domains, 5);
	assert_int_equal(rig_attach_pasid(r, 0, fit, 1u << 20), -EINVAL);
	assert_int_equal(rig_attach_pasid(r, 0, fit, UINT32_MAX), -EINVAL);
	r->dev[0].max_pasids = 4;
	assert_int_equal(rig_attach_pasid(r, 0, fit, 5), -EINVAL);
	r->dev[0].max_pasids = 1u << 20;
	/* the RID may stay blocked */
	assert_int_equal(rig_attach_pasid(r, 0, fit, 5), 0);
	assert_null(rig_attached[RID(0)]);
	assert_non_null(rig_pasid5[RID(0)]);
	assert_int_equal(rig_attach(r, 0, plain), -EINVAL); /* not while a PASID is in use */
	assert_int_equal(rig_attach(r, 0, fit), 0);
	assert_int_equal(rig_attach(r, 0, plain), -EINVAL);
	assert_int_equal(rig_attach_pasid(r, 0, nested, 5), 0); /* replace */
	assert_int_equal(rig_pasid5[RID(0)]->type, DRV_DOMAIN_NESTED);
	assert_int_equal(rig_destroy(r, nested), -EBUSY);
	/* PASIDs reserve nothing, and are detached one by one */
	assert_int_equal(rig_attach_pasid(r, 0, fit2, 9), 0);
	assert_int_equal(rig_detach(r, 0), 0);
	assert_int_equal(rig_map_at(r, s, buf, PG, 0xfee00000), 0);
	assert_int_equal(rig_detach_pasid(r, 0, 7), 0);
	assert_int_equal(rig_detach_pasid(r, 0, 5), 0);
	assert_null(rig_pasid5[RID(0)]);
	assert_int_equal(rig_destroy(r, nested), 0);
	assert_int_equal(rig_destroy(r, fit2), -EBUSY);
	assert_int_equal(rig_attach_pasid(r, 0, fit, UINT32_MAX), -EINVAL); /* not the RID */
	/* PASID 0 is the RID */
	assert_int_equal(rig_unmap(r, s, 0xfee00000, PG, NULL), 0);
	assert_int_equal(rig_attach_pasid(r, 0, fit, 0), 0);
	assert_non_null(rig_attached[RID(0)]);
	assert_int_equal(rig_detach_pasid(r, 0, UINT32_MAX), 0);
	assert_non_null(rig_attached[RID(0)]);
	assert_int_equal(rig_detach_pasid(r, 0, 0), 0);
	assert_null(rig_attached[RID(0)]);
	/* attached to an unfit RID table: no PASIDs */
	assert_int_equal(rig_detach_pasid(r, 0, 9), 0);
	assert_int_equal(rig_attach(r, 0, plain), 0);
	assert_int_equal(rig_attach_pasid(r, 0, fit, 5), -EINVAL);
	/* a function without PASIDs in a group is passed by, as Linux does */
	rig_bind(r, 1);
	r->dev[2].max_pasids = 0;
	assert_int_equal(rig_attach_pasid(r, 1, fit, 5), 0);
	assert_non_null(rig_pasid5[RID(1)]);
	assert_null(rig_pasid5[RID(2)]);
}

/* While functions of a group are being reset it is parked, and nothing can be attached until the last is through. */
static void reset_interlock(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t s = rig_ioas(r), h, h2, p;
	struct host_group *g;

	rig_bind(r, 1);
	g = r->hf[1]->group;
	h = rig_hwpt(r, 1, s, PASID);
	h2 = rig_hwpt(r, 1, s, PASID);
	p = rig_hwpt(r, 1, s, PASID);
	assert_int_equal(rig_attach(r, 1, h), 0);
	assert_int_equal(rig_attach_pasid(r, 1, p, 5), 0);
	group_reset_begin(g);
	group_reset_begin(g);
	for (unsigned int i = 1; i <= 2; i++) {
		assert_null(rig_attached[RID(i)]);
		assert_null(rig_pasid5[RID(i)]);
	}
	assert_int_equal(rig_attach(r, 1, h2), -EBUSY);
	assert_int_equal(rig_attach(r, 1, s), -EBUSY);
	assert_int_equal(rig_attach_pasid(r, 1, p, 6), -EBUSY);
	assert_int_equal(rig_detach_pasid(r, 1, 5), 0); /* detaching is always possible */
	group_reset_end(g);
	assert_int_equal(rig_attach(r, 1, h2), -EBUSY);
	assert_null(rig_attached[RID(1)]);
	group_reset_end(g);
	assert_non_null(rig_attached[RID(1)]);
	assert_ptr_equal(rig_attached[RID(1)], rig_attached[RID(2)]);
	assert_null(rig_pasid5[RID(1)]);
	assert_int_equal(rig_attach(r, 1, h2), 0);
	/* without a translation cache nothing is parked */
	r->dev[1].ats = r->dev[2].ats = false;
	group_reset_begin(g);
	assert_non_null(rig_attached[RID(1)]);
	group_reset_end(g);
}

static void unnested(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t s = rig_ioas(r), nested, parent;

	rig_bind(r, 0);
	parent = rig_hwpt(r, 0, s, NEST);
	assert_int_equal(rig_attach(r, 0, parent), 0);
	assert_int_equal(nb_trace_count(r->tr, NB_EV_host_attach_unnested), 0); /* a parent may become one */
	assert_int_equal(rig_nested_try(r, 0, parent, 0, &nested), 0);
	assert_int_equal(rig_attach(r, 0, nested), 0);
	assert_int_equal(rig_attach(r, 0, rig_hwpt(r, 0, s, 0)), 0);
	assert_int_equal(nb_trace_count(r->tr, NB_EV_host_attach_unnested), 0);
	rig_bind(r, 1);
	r->unit.no_caps = 1u << DRV_CAP_NESTING;
	assert_int_equal(rig_attach(r, 1, rig_hwpt(r, 1, s, 0)), 0);
	assert_int_equal(nb_trace_count(r->tr, NB_EV_host_attach_unnested), 0);
	r->unit.no_caps = 0;
	assert_int_equal(rig_attach(r, 1, rig_hwpt(r, 1, s, DIRTY)), 0);
	assert_int_equal(rig_attach(r, 1, rig_hwpt(r, 1, s, DIRTY)), 0);
	assert_int_equal(nb_trace_count(r->tr, NB_EV_host_attach_unnested), 1); /* told once */
}

static void hw_info(void **state)
{
	struct rig *r = rig_of(state);
	uint8_t out[64];
	struct iommu_hw_info q = {.size = sizeof(q), .data_len = 64, .data_uptr = (uintptr_t)out, .in_data_type = 77};

	rig_bind(r, 0);
	q.dev_id = r->devid[0];
	r->dev[0].max_pasids = 1u << 18;
	memset(out, 0xcc, sizeof(out));
	assert_int_equal(rig_ioctl(r, IOMMU_GET_HW_INFO, &q), 0); /* the type is ignored without the flag */
	assert_int_equal(q.data_len, 24);
	assert_int_equal(q.out_data_type, IOMMU_HW_INFO_TYPE_INTEL_VTD);
	assert_int_equal(q.out_max_pasid_log2, 18);
	assert_int_equal(q.out_capabilities, 7);
	assert_int_equal(out[23], 0xab);
	for (unsigned int i = 24; i < 64; i++)
		assert_int_equal(out[i], 0); /* the rest is cleared */
	r->unit.no_caps = 1u << DRV_CAP_ATS | 1u << DRV_CAP_DIRTY_TRACKING | 1u << DRV_CAP_PASID_EXEC;
	memset(out, 0xcc, sizeof(out));
	q.data_len = 4;
	q.in_data_type = 0;
	assert_int_equal(rig_ioctl(r, IOMMU_GET_HW_INFO, &q), 0);
	assert_int_equal(q.data_len, 24); /* more than there was room for */
	assert_int_equal(out[4], 0xcc);
	assert_int_equal(q.out_capabilities, 4 | 8);
	q.data_len = 0;
	q.data_uptr = 0;
	assert_int_equal(rig_ioctl(r, IOMMU_GET_HW_INFO, &q), 0);
	q.data_len = 64;
	q.data_uptr = 8;
	assert_int_equal(rig_ioctl(r, IOMMU_GET_HW_INFO, &q), -EFAULT);
	q.data_len = UINT32_MAX; /* the fill runs into what is not there */
	q.data_uptr = (uintptr_t)buf;
	assert_int_equal(rig_ioctl(r, IOMMU_GET_HW_INFO, &q), -EFAULT);
	q.data_len = 64;
	q.data_uptr = (uintptr_t)out;
	q.flags = 2;
	assert_int_equal(rig_ioctl(r, IOMMU_GET_HW_INFO, &q), -EOPNOTSUPP);
	q.flags = 1;
	q.in_data_type = 3;
	assert_int_equal(rig_ioctl(r, IOMMU_GET_HW_INFO, &q), -EOPNOTSUPP);
	q.in_data_type = 1;
	assert_int_equal(rig_ioctl(r, IOMMU_GET_HW_INFO, &q), 0);
	q.__reserved[2] = 1;
	assert_int_equal(rig_ioctl(r, IOMMU_GET_HW_INFO, &q), -EOPNOTSUPP);
	q.__reserved[2] = 0;
	q.dev_id = 99;
	assert_int_equal(rig_ioctl(r, IOMMU_GET_HW_INFO, &q), -ENOENT);
}

static void invalidate(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t s = rig_ioas(r), parent, nested;
	struct iommu_hwpt_vtd_s1_invalidate e[3] = {{0}};
	struct iommu_hwpt_invalidate v;

	rig_bind(r, 0);
	parent = rig_hwpt(r, 0, s, NEST);
	assert_int_equal(rig_nested_try(r, 0, parent, 0, &nested), 0);
	{
		const struct {
			uint32_t id, type, len, num, reserved;
			uint64_t uptr;
			long want;
			uint32_t done;
		} t[] = {
			{nested, 0, 24, 1, 1, (uintptr_t)e, -EOPNOTSUPP, 0},
			{99, 0, 24, 1, 1, 0, -EOPNOTSUPP, 0},
			{99, 0, 24, 1, 0, 0, -EINVAL, 0},
			{99, 0, 0, 1, 0, (uintptr_t)e, -EINVAL, 0},
			{99, 0, 4097, 1, 0, (uintptr_t)e, -EINVAL, 0},
			{99, 0, 24, (1u << 19) + 1, 0, (uintptr_t)e, -EINVAL, 0},
			{99, 0, 24, 1, 0, (uintptr_t)e, -ENOENT, 0},
			{parent, 0, 24, 1, 0, (uintptr_t)e, -EINVAL, 0},
			{s, 0, 24, 1, 0, (uintptr_t)e, -EINVAL, 0},
			{nested, 1, 24, 1, 0, (uintptr_t)e, -EINVAL, 0},
			{nested, 0, 0, 0, 0, 0, 0, 0}, /* probe */
			{nested, 1, 0, 0, 0, 0, -EINVAL, 0},
			{nested, 0, 24, 2, 0, (uintptr_t)e, 0, 2},
			{nested, 0, 24, 3, 0, (uintptr_t)e, -EOPNOTSUPP, 2}, /* as far as it came */
		};

		for (unsigned int i = 0; i < ARRAY_SIZE(t); i++) {
			long err;

			v = (struct iommu_hwpt_invalidate){sizeof(v),  t[i].id,	 t[i].uptr,    t[i].type,
							   t[i].len, t[i].num, t[i].reserved};
			err = rig_ioctl(r, IOMMU_HWPT_INVALIDATE, &v);
			if (err != t[i].want || v.entry_num != t[i].done)
				fail_msg("row %u: %ld (%u done), not %ld (%s)", i, err, v.entry_num, t[i].want, r->log);
		}
	}
	assert_int_equal(nb_trace_count(r->tr, NB_EV_host_hwpt_invalidate), 4);
}

static long dirty(struct rig *r, uint32_t h, uint32_t flags, uint64_t iova, uint64_t len, uint64_t page, void *bits)
{
	struct iommu_hwpt_get_dirty_bitmap q = {sizeof(q), h, flags, 0, iova, len, page, (uintptr_t)bits};

	return rig_ioctl(r, IOMMU_HWPT_GET_DIRTY_BITMAP, &q);
}

static void dirty_tracking(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t s = rig_ioas(r), plain, h, nested;
	struct iommu_hwpt_set_dirty_tracking t = {.size = sizeof(t)};
	struct fake_domain *d;
	uint8_t bits[16] = {0};

	rig_bind(r, 0);
	plain = rig_hwpt(r, 0, s, 0);
	h = rig_hwpt(r, 0, s, DIRTY | NEST);
	assert_int_equal(rig_nested_try(r, 0, h, 0, &nested), 0);
	assert_int_equal(rig_attach(r, 0, h), 0);
	d = fake(rig_attached[RID(0)]);
	assert_int_equal(rig_map_at(r, s, buf, 16 * PG, 0x100000), 0);
	assert_int_equal(rig_map_at(r, s, buf + 16 * PG, 16 * PG, 0x110000), 0);
	assert_int_equal(rig_map_at(r, s, buf, PG, 0x200000), 0);

	t.flags = 2;
	assert_int_equal(rig_ioctl(r, IOMMU_HWPT_SET_DIRTY_TRACKING, &t), -EOPNOTSUPP);
	t.flags = 1;
	t.hwpt_id = 99;
	assert_int_equal(rig_ioctl(r, IOMMU_HWPT_SET_DIRTY_TRACKING, &t), -ENOENT);
	t.hwpt_id = nested;
	assert_int_equal(rig_ioctl(r, IOMMU_HWPT_SET_DIRTY_TRACKING, &t), -ENOENT);
	t.hwpt_id = plain;
	assert_int_equal(rig_ioctl(r, IOMMU_HWPT_SET_DIRTY_TRACKING, &t), -EOPNOTSUPP);
	t.hwpt_id = h;
	t.__reserved = 5; /* not looked at */
	d->dirty_ia[d->ndirty++] = 0x101000;
	assert_int_equal(rig_ioctl(r, IOMMU_HWPT_SET_DIRTY_TRACKING, &t), 0);
	assert_true(d->tracking);
	assert_int_equal(d->cleared, 1); /* begins clean */
	assert_false(d->unsynced);
	d->ndirty = 0;

	assert_int_equal(dirty(r, h, 2, 0x100000, PG, PG, bits), -EOPNOTSUPP);
	assert_int_equal(dirty(r, 99, 0, 0x100000, PG, PG, bits), -ENOENT);
	assert_int_equal(dirty(r, h, 0, UINT64_MAX, 2, PG, bits), -EOVERFLOW);
	assert_int_equal(dirty(r, h, 0, 0x100000, PG, 0, bits), -EINVAL);
	assert_int_equal(dirty(r, h, 0, 0x100000, PG, 2 * PG, bits), -EINVAL);
	assert_int_equal(dirty(r, h, 0, 0x100800, PG, 0x800, bits), -EINVAL); /* alignment of the space */
	assert_int_equal(dirty(r, plain, 0, 0x100800, PG, 0x800, bits), -EINVAL); /* before the support */
	assert_int_equal(dirty(r, plain, 0, 0x100000, PG, PG, bits), -EOPNOTSUPP);

	/* bits count from the asked IOVA, across areas; only ever set */
	d->dirty_ia[0] = 0x101000;
	d->dirty_ia[1] = 0x110000;
	d->dirty_ia[2] = 0x11f000;
	d->dirty_ia[3] = 0x200000;
	d->ndirty = 4;
	bits[3] = 0x40;
	assert_int_equal(dirty(r, h, 1, 0x101000, 0x1f000, PG, bits), 0);
	assert_int_equal(bits[0], 1);
	assert_int_equal(bits[1], 0x80);
	assert_int_equal(bits[3], 0x40 | 0x40);
	assert_int_equal(d->cleared, 1); /* as asked: not cleared */
	/* a page is many bits, or several pages are one */
	memset(bits, 0, sizeof(bits));
	assert_int_equal(dirty(r, h, 0, 0x101000, PG, 0x100, bits), 0);
	assert_int_equal(bits[0], 0xff);
	assert_int_equal(bits[1], 0xff);
	assert_int_equal(bits[2], 0);
	assert_int_equal(d->cleared, 2);
	assert_false(d->unsynced);
	memset(bits, 0, sizeof(bits));
	assert_int_equal(dirty(r, h, 0, 0x100000, 0x20000, 4 * PG, bits), 0);
	assert_int_equal(bits[0], 0x91);
	/* the first hole ends the walk in silence, and so does a bitmap that is not there */
	memset(bits, 0, sizeof(bits));
	assert_int_equal(dirty(r, h, 1, 0x11f000, 0x200000 - 0x11f000 + PG, PG, bits), 0);
	assert_int_equal(bits[0], 1);
	assert_int_equal(dirty(r, h, 1, 0x0, 0x101000, PG, bits), 0);
	assert_int_equal(dirty(r, h, 1, 0x101000, PG, PG, (void *)8), 0);
	t.flags = 0;
	assert_int_equal(rig_ioctl(r, IOMMU_HWPT_SET_DIRTY_TRACKING, &t), 0);
	assert_false(d->tracking);
}

/* A unit without vIOMMUs refuses them and all that stands on them, as Linux does. */
static void no_viommus(void **state)
{
	struct rig *r = rig_of(state);
	struct iommu_viommu_alloc v = {.size = sizeof(v), .type = 1};
	struct iommu_vdevice_alloc d = {.size = sizeof(d)};
	struct iommu_veventq_alloc e = {.size = sizeof(e), .type = 1, .veventq_depth = 1};
	struct iommu_hw_queue_alloc q = {.size = sizeof(q), .type = 1, .length = 1};

	rig_bind(r, 0);
	v.dev_id = 99;
	assert_int_equal(rig_ioctl(r, IOMMU_VIOMMU_ALLOC, &v), -ENOENT);
	v.type = 0;
	assert_int_equal(rig_ioctl(r, IOMMU_VIOMMU_ALLOC, &v), -EOPNOTSUPP);
	v.type = 1;
	v.dev_id = r->devid[0];
	assert_int_equal(rig_ioctl(r, IOMMU_VIOMMU_ALLOC, &v), -EOPNOTSUPP);
	assert_int_equal(rig_ioctl(r, IOMMU_VDEVICE_ALLOC, &d), -ENOENT);
	assert_int_equal(rig_ioctl(r, IOMMU_VEVENTQ_ALLOC, &e), -ENOENT);
	e.veventq_depth = 0;
	assert_int_equal(rig_ioctl(r, IOMMU_VEVENTQ_ALLOC, &e), -EINVAL);
	e.type = 0;
	assert_int_equal(rig_ioctl(r, IOMMU_VEVENTQ_ALLOC, &e), -EOPNOTSUPP);
	assert_int_equal(rig_ioctl(r, IOMMU_HW_QUEUE_ALLOC, &q), -ENOENT);
	q.nesting_parent_iova = UINT64_MAX;
	q.length = 2;
	assert_int_equal(rig_ioctl(r, IOMMU_HW_QUEUE_ALLOC, &q), -EOVERFLOW);
	q.length = 0;
	assert_int_equal(rig_ioctl(r, IOMMU_HW_QUEUE_ALLOC, &q), -EINVAL);
	q.flags = 1;
	assert_int_equal(rig_ioctl(r, IOMMU_HW_QUEUE_ALLOC, &q), -EOPNOTSUPP);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(alloc_errors), T(fill),    T(automatic), T(bind),	  T(attach_errors),  T(groups),
		T(pasids),	 T(reset_interlock), T(unnested), T(hw_info),   T(invalidate), T(dirty_tracking), T(no_viommus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
