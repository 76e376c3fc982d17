/* SPDX-License-Identifier: BSD-3-Clause */
/* vIOMMUs and vDEVICEs: who is refused, who refers to whom, what is left when a device goes. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "host/object.h"
#include "host_fake_viommu.h"
#include "test_host_fault.h"

static void alloc_errors(void **state)
{
	struct rig *r = rig_of(state);
	struct iommu_viommu_alloc a = {.size = sizeof(a), .type = PLAIN};
	uint32_t ioas, parent, plain, id, v;

	rig_bind(r, 0);
	ioas = rig_ioas(r);
	parent = rig_hwpt(r, 0, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	plain = rig_hwpt(r, 0, ioas, 0);
	a.flags = 1;
	assert_int_equal(rig_ioctl(r, IOMMU_VIOMMU_ALLOC, &a), -EOPNOTSUPP);
	a.flags = 0;
	a.type = 0;
	assert_int_equal(rig_ioctl(r, IOMMU_VIOMMU_ALLOC, &a), -EOPNOTSUPP);
	a.type = 99;
	a.dev_id = 77;
	assert_int_equal(rig_ioctl(r, IOMMU_VIOMMU_ALLOC, &a), -ENOENT);
	a.dev_id = ioas;
	assert_int_equal(rig_ioctl(r, IOMMU_VIOMMU_ALLOC, &a), -ENOENT);
	a.dev_id = r->devid[0];
	assert_int_equal(rig_ioctl(r, IOMMU_VIOMMU_ALLOC, &a), -EOPNOTSUPP); /* the type, before the HWPT */
	assert_int_equal(viommu_try(r, 0, PLAIN, 77, &id), -ENOENT);
	assert_int_equal(viommu_try(r, 0, PLAIN, ioas, &id), -ENOENT);
	assert_int_equal(viommu_try(r, 0, PLAIN, plain, &id), -EINVAL);
	/* What the driver says. */
	a = (struct iommu_viommu_alloc){.size = sizeof(a), .type = QUEUED, .dev_id = r->devid[0], .hwpt_id = parent};
	assert_int_equal(rig_ioctl(r, IOMMU_VIOMMU_ALLOC, &a), -EINVAL); /* no data */
	a.data_len = 16;
	a.data_uptr = 8;
	assert_int_equal(rig_ioctl(r, IOMMU_VIOMMU_ALLOC, &a), -EFAULT);
	fv.init_err = -ENOSPC;
	assert_int_equal(viommu_try(r, 0, QUEUED, parent, &id), -ENOSPC);
	assert_non_null(strstr(r->log, "IOMMU_VIOMMU_ALLOC: ENOSPC: as ordered"));
	fv.init_err = 0;
	assert_int_equal(fv.viommus, 0);
	/* Nothing stayed, ids included; __reserved is not looked at. */
	a = (struct iommu_viommu_alloc){
		.size = sizeof(a), .type = PLAIN, .dev_id = r->devid[0], .hwpt_id = parent, .__reserved = 1};
	assert_int_equal(rig_ioctl(r, IOMMU_VIOMMU_ALLOC, &a), 0);
	assert_int_equal(a.out_viommu_id, plain + 1);
	v = a.out_viommu_id;
	/* The first kernel's struct ends behind the id. */
	a.size = 24;
	assert_int_equal(rig_ioctl(r, IOMMU_VIOMMU_ALLOC, &a), 0);
	assert_int_equal(rig_destroy(r, a.out_viommu_id), 0);
	assert_int_equal(rig_destroy(r, parent), -EBUSY);
	assert_int_equal(rig_destroy(r, v), 0);
	assert_int_equal(rig_destroy(r, parent), 0);
	assert_int_equal(fv.viommus, 0);
}

/* Copying the result out fails: the driver has nothing left, and the id is free. */
static void answer_lost(void **state)
{
	struct rig *r = rig_of(state);
	char *m = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vm vm = vm_new(r, PLAIN);
	struct iommu_viommu_alloc a = {.size = sizeof(a), .type = PLAIN, .dev_id = r->devid[0], .hwpt_id = vm.parent};
	struct iommu_vdevice_alloc d = {.size = sizeof(d), .viommu_id = vm.v, .dev_id = r->devid[0]};
	uint32_t id;

	assert_true(m != MAP_FAILED);
	memcpy(m, &a, sizeof(a));
	memcpy(m + PG, &d, sizeof(d));
	assert_int_equal(mprotect(m, 2 * PG, PROT_READ), 0);
	assert_int_equal(rig_ioctl(r, IOMMU_VIOMMU_ALLOC, m), -EFAULT);
	assert_int_equal(fv.viommus, 1);
	assert_int_equal(rig_ioctl(r, IOMMU_VDEVICE_ALLOC, m + PG), -EFAULT);
	assert_int_equal(fv.vdev_inits, 1);
	assert_int_equal(fv.vdevices, 0);
	id = vdevice(r, vm.v, 0, 0);
	assert_int_equal(id, vm.v + 1);
	munmap(m, 2 * PG);
}

/* Tables from a vIOMMU: where Linux looks at what. */
static void nested(void **state)
{
	struct rig *r = rig_of(state);
	struct vm vm = vm_new(r, PLAIN);
	struct fake_unit other = {.base.ops = &fake_v_ops, .pgsizes = PG, .aperture_last = BIT(48) - 1};
	struct iommu_hwpt_alloc a = {.size = sizeof(a), .dev_id = r->devid[0], .pt_id = vm.v};
	uint32_t n, id, fault, bare;
	unsigned int q;

	pthread_mutex_init(&other.lock, NULL);
	/* A table over the parent itself is not to be had here, and no vIOMMU over what is none. */
	assert_int_equal(rig_nested_try(r, 0, vm.parent, 0, &id), -EOPNOTSUPP);
	assert_int_equal(vnested_try(r, 0, vm.v, IOMMU_HWPT_ALLOC_NEST_PARENT, 0, &id), -EOPNOTSUPP);
	assert_int_equal(vnested_try(r, 0, vm.v, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 0, &id), -EOPNOTSUPP);
	assert_int_equal(vnested_try(r, 0, vm.v, IOMMU_HWPT_ALLOC_PASID, 0, &id), -EOPNOTSUPP); /* the driver's */
	assert_int_equal(rig_ioctl(r, IOMMU_HWPT_ALLOC, &a), -EOPNOTSUPP); /* no data */
	a.data_type = IOMMU_HWPT_DATA_VTD_S1;
	assert_int_equal(rig_ioctl(r, IOMMU_HWPT_ALLOC, &a), -EINVAL); /* type without data */
	bare = viommu(r, 0, 3, vm.parent);
	assert_int_equal(vnested_try(r, 0, bare, 0, 0, &id), -EOPNOTSUPP);
	/* The device's unit first, then the flags. */
	rig_bind(r, 1);
	r->dev[1].iommu = &other.base;
	assert_int_equal(vnested_try(r, 1, vm.v, 0xf0, 0, &id), -EINVAL);
	assert_int_equal(viommu_try(r, 1, PLAIN, vm.parent, &id), -EINVAL); /* the driver's: another unit's parent */
	r->dev[1].iommu = &r->unit.base;
	/* The fault queue comes last. */
	assert_int_equal(vnested_try(r, 0, vm.v, IOMMU_HWPT_FAULT_ID_VALID, 77, &id), -ENOENT);
	assert_int_equal(r->unit.domains, 1);
	fault = rig_fault(r, &q);
	assert_int_equal(vnested_try(r, 0, vm.v, IOMMU_HWPT_FAULT_ID_VALID, fault, &id), 0);
	assert_int_equal(rig_destroy(r, fault), -EBUSY);
	n = vnested(r, 0, vm.v);
	assert_int_equal(vnested_try(r, 0, n, 0, 0, &id), -EINVAL); /* a nested one is no parent */
	/* They refer to the vIOMMU, and that to the parent. */
	assert_int_equal(rig_destroy(r, vm.v), -EBUSY);
	assert_int_equal(rig_attach(r, 0, vm.v), -EINVAL);
	assert_int_equal(rig_attach(r, 0, n), -ENOENT); /* the driver's: no vDEVICE */
	id = vdevice(r, vm.v, 0, 0x10);
	assert_int_equal(rig_attach(r, 0, n), 0);
	assert_ptr_equal(rig_attached[RID(0)]->viommu, drv_of(0));
	/* A vDEVICE may go while its device is attached. */
	assert_int_equal(rig_destroy(r, id), 0);
	assert_int_equal(rig_destroy(r, n), -EBUSY);
	assert_int_equal(rig_detach(r, 0), 0);
	assert_int_equal(rig_destroy(r, n), 0);
	assert_int_equal(rig_destroy(r, vm.v), -EBUSY);
	assert_int_equal(rig_destroy(r, n - 1), 0); /* the one with the fault queue */
	assert_int_equal(rig_destroy(r, vm.v), 0);
	assert_int_equal(rig_destroy(r, bare), 0);
	assert_int_equal(rig_destroy(r, vm.parent), 0);
	assert_int_equal(r->unit.domains, 0);
	assert_int_equal(nb_trace_count(r->tr, NB_EV_host_attach_unnested), 0);
	pthread_mutex_destroy(&other.lock);
}

/* A VMM that meant to nest attaches a plain table: said here as well, where nesting goes by vIOMMUs. */
static void unnested(void **state)
{
	struct rig *r = rig_of(state);

	rig_bind(r, 0);
	assert_int_equal(rig_attach(r, 0, rig_hwpt(r, 0, rig_ioas(r), 0)), 0);
	assert_int_equal(nb_trace_count(r->tr, NB_EV_host_attach_unnested), 1);
}

static void invalidate(void **state)
{
	struct rig *r = rig_of(state);
	struct vm vm = vm_new(r, PLAIN);
	uint64_t cmd[4][2] = {{0}};
	struct iommu_hwpt_invalidate i = {.size = sizeof(i),
					  .hwpt_id = vm.v,
					  .data_uptr = (uintptr_t)cmd,
					  .data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
					  .entry_len = 16,
					  .entry_num = 2};

	assert_int_equal(rig_ioctl(r, IOMMU_HWPT_INVALIDATE, &i), 0);
	assert_int_equal(i.entry_num, 2);
	i.entry_num = 4;
	assert_int_equal(rig_ioctl(r, IOMMU_HWPT_INVALIDATE, &i), -EIO);
	assert_int_equal(i.entry_num, 2);
	assert_int_equal(fv.invalidated, 4);
	i.entry_num = 0;
	assert_int_equal(rig_ioctl(r, IOMMU_HWPT_INVALIDATE, &i), -EINVAL); /* the driver's, for a probe */
	i.entry_num = 1;
	i.data_type = 0;
	assert_int_equal(rig_ioctl(r, IOMMU_HWPT_INVALIDATE, &i), -EINVAL);
	assert_int_equal(i.entry_num, 0);
	i.entry_num = 1;
	i.hwpt_id = viommu(r, 0, 3, vm.parent);
	assert_int_equal(rig_ioctl(r, IOMMU_HWPT_INVALIDATE, &i), -EOPNOTSUPP); /* it takes none */
	assert_int_equal(i.entry_num, 0);
	i.entry_num = 1;
	i.hwpt_id = vdevice(r, vm.v, 0, 1);
	assert_int_equal(rig_ioctl(r, IOMMU_HWPT_INVALIDATE, &i), -EINVAL); /* another type */
	assert_int_equal(i.entry_num, 0);
	i.entry_num = 1;
	i.hwpt_id = vm.parent;
	assert_int_equal(rig_ioctl(r, IOMMU_HWPT_INVALIDATE, &i), -EINVAL);
	i.entry_num = 1;
	i.hwpt_id = 77;
	assert_int_equal(rig_ioctl(r, IOMMU_HWPT_INVALIDATE, &i), -ENOENT);
	i.entry_num = 1;
	i.hwpt_id = vm.v;
	i.entry_len = 4097;
	assert_int_equal(rig_ioctl(r, IOMMU_HWPT_INVALIDATE, &i), -EINVAL);
}

static void vdevices(void **state)
{
	struct rig *r = rig_of(state);
	struct vm vm = vm_new(r, PLAIN);
	struct fake_unit other = {.base.ops = &fake_v_ops, .pgsizes = PG, .aperture_last = BIT(48) - 1};
	uint32_t id, d0, d1, v2, bare;

	assert_int_equal(vdevice_try(r, 77, r->devid[0], 1, &id), -ENOENT);
	assert_int_equal(vdevice_try(r, vm.parent, r->devid[0], 1, &id), -ENOENT);
	assert_int_equal(vdevice_try(r, vm.v, 77, 1, &id), -ENOENT);
	assert_int_equal(vdevice_try(r, vm.v, vm.v, 1, &id), -ENOENT);
	rig_bind(r, 1);
	r->dev[1].iommu = &other.base;
	assert_int_equal(vdevice_try(r, vm.v, r->devid[1], 1, &id), -EINVAL);
	r->dev[1].iommu = &r->unit.base;
	fv.vdev_err = -EOPNOTSUPP;
	assert_int_equal(vdevice_try(r, vm.v, r->devid[0], 1, &id), -EOPNOTSUPP);
	fv.vdev_err = 0;
	d0 = vdevice(r, vm.v, 0, 1);
	assert_int_equal(fv.of[RID(0)]->base.virt_id, 1);
	assert_int_equal(fv.of[RID(0)]->mark, 0x5eed); /* as large as the driver said */
	assert_int_equal(vdevice_try(r, vm.v, r->devid[0], 2, &id), -EEXIST); /* it has one */
	assert_int_equal(vdevice_try(r, vm.v, r->devid[1], 1, &id), -EEXIST); /* the name is taken */
	assert_int_equal(fv.vdev_inits, 2);
	/* Names are a vIOMMU's own, all 64 bits of them; a device has one vDEVICE, in whichever. */
	v2 = viommu(r, 0, PLAIN, vm.parent);
	assert_int_equal(vdevice_try(r, v2, r->devid[0], 1, &id), -EEXIST);
	d1 = vdevice(r, v2, 1, 1);
	assert_int_equal(rig_destroy(r, d1), 0);
	d1 = vdevice(r, vm.v, 1, UINT64_MAX);
	assert_int_equal(fv.of[RID(1)]->base.virt_id, UINT64_MAX);
	assert_int_equal(rig_destroy(r, vm.v), -EBUSY);
	assert_int_equal(rig_destroy(r, r->devid[0]), -EBUSY);
	assert_int_equal(rig_destroy(r, d0), 0);
	assert_int_equal(rig_destroy(r, d0), -ENOENT);
	/* Gone without a trace: name, device and id can be had again. */
	assert_int_equal(vdevice(r, vm.v, 0, 1), d0);
	assert_int_equal(rig_destroy(r, d1), 0);
	assert_int_equal(rig_destroy(r, d0), 0);
	assert_int_equal(rig_destroy(r, vm.v), 0);
	/* A vIOMMU with no operations on vDEVICEs has them all the same. */
	bare = viommu(r, 0, 3, vm.parent);
	assert_int_equal(vdevice_try(r, bare, r->devid[0], 1, &id), 0);
	assert_int_equal(rig_destroy(r, id), 0);
	assert_int_equal(fv.vdevices, 0);
}

static void unbind(struct rig *r, unsigned int i)
{
	vfio_close(r->vf[i]);
	r->vf[i] = NULL;
}

static void tombstones(void **state)
{
	struct rig *r = rig_of(state);
	struct vm vm = vm_new(r, PLAIN);
	uint32_t d0, n, dev0 = r->devid[0], id;

	d0 = vdevice(r, vm.v, 0, 7);
	n = vnested(r, 0, vm.v);
	assert_int_equal(rig_attach(r, 0, n), 0);
	unbind(r, 0);
	assert_int_equal(fv.vdevices, 0);
	assert_null(rig_attached[RID(0)]);
	/* The id is nobody's. */
	assert_int_equal(rig_destroy(r, d0), -ENOENT);
	rig_bind(r, 0);
	assert_int_equal(r->devid[0], dev0); /* that of the device is free again */
	assert_int_equal(vdevice_try(r, vm.v, d0, 7, &id), -ENOENT);
	assert_int_equal(viommu(r, 0, PLAIN, vm.parent), n + 1);
	/* The name is free; the new one gets another id. */
	assert_int_equal(vdevice(r, vm.v, 0, 7), n + 2);
	assert_int_equal(rig_destroy(r, n + 2), 0);
	assert_int_equal(rig_destroy(r, n + 1), 0);
	assert_int_equal(rig_destroy(r, n), 0);
	/* The vIOMMU does not remember it. */
	assert_int_equal(rig_destroy(r, vm.v), 0);
	assert_int_equal(rig_destroy(r, vm.parent), 0);
	assert_int_equal(rig_destroy(r, vm.ioas), 0);
	unbind(r, 0);
	/* A tombstone is the context's only object, and it is one. (Asked of those who may ask.) */
	assert_int_equal(r->fd->ctx->count, 1);
	rig_ioas(r);
	for (uint32_t i = 2; i < d0; i++)
		rig_ioas(r);
	assert_int_equal(rig_ioas(r), d0 + 1);
}

/* The context goes with everything in it, in whatever order the ids are. */
static void release(void **state)
{
	struct rig *r = rig_of(state);
	struct vm vm = vm_new(r, QUEUED);
	char *m = mmap(NULL, 4 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iommu_veventq_alloc e = {.size = sizeof(e), .viommu_id = vm.v, .type = 1, .veventq_depth = 4};
	struct iommufd_file *fd = r->fd;
	uint32_t n;

	assert_int_equal(rig_map_at(r, vm.ioas, m, 4 * PG, 0x10000), 0);
	hwq(r, vm.v, 0, 0x10000, PG);
	hwq(r, vm.v, 1, 0x11000, PG);
	hwq(r, vm.v, 2, 0x12000, PG);
	vdevice(r, vm.v, 0, 1);
	n = vnested(r, 0, vm.v);
	assert_int_equal(rig_ioctl(r, IOMMU_VEVENTQ_ALLOC, &e), 0);
	assert_int_equal(rig_attach(r, 0, n), 0);
	r->fd = NULL;
	iommufd_close(fd);
	assert_int_equal(fv.viommus, 1); /* the device holds the context, and so does the event queue's descriptor */
	unbind(r, 0);
	assert_int_equal(fv.viommus, 1);
	assert_int_equal(fv.vdevices, 0);
	rig_fault_close(r, 0);
	assert_int_equal(fv.viommus, 0);
	assert_int_equal(fv.queues, 0);
	assert_int_equal(r->unit.domains, 0);
	munmap(m, 4 * PG);
}

/* Where PASIDs are the guest's: page requests with one that nothing is attached to. */
static void user_pasids(void **state)
{
	struct rig *r = rig_of(state);
	struct vm vm = vm_new(r, PLAIN);
	struct iommu_hwpt_pgfault f[4];
	uint32_t fault, n, plain;
	unsigned int q;

	fault = rig_fault(r, &q);
	assert_int_equal(vnested_try(r, 0, vm.v, IOMMU_HWPT_FAULT_ID_VALID, fault, &n), 0);
	plain = rig_hwpt_fault(r, 0, vm.ioas, 0, false, fault);
	vdevice(r, vm.v, 0, 1);
	assert_int_equal(rig_attach(r, 0, n), 0);
	/* Early ones too, and the answer goes to the PASID that asked. */
	assert_int_equal(report(r, 0, 9, 3, 0x1000, false), 0);
	assert_int_equal(report(r, 0, 9, 3, 0x2000, true), 0);
	assert_int_equal(rd(r, q, f, 4), 2 * REC);
	assert_int_equal(f[1].pasid, 9);
	assert_int_equal(f[1].flags, IOMMU_PGFAULT_FLAGS_PASID_VALID | IOMMU_PGFAULT_FLAGS_LAST_PAGE);
	assert_int_equal(answer(r, q, f[1].cookie, 0), 8);
	answered(r, 0, 9, 3, DRV_PAGE_SUCCESS);
	/* The end of the attachment is the end of them all: queued, delivered and parked. */
	assert_int_equal(report(r, 0, 9, 4, 0x1000, true), 0);
	assert_int_equal(report(r, 0, 10, 5, 0x1000, false), 0);
	assert_int_equal(rig_attach(r, 0, plain), 0);
	answered(r, 0, 9, 4, DRV_PAGE_INVALID);
	/* A table that is not nested has no such PASIDs. */
	assert_int_equal(report(r, 0, 10, 6, 0x2000, true), -ENODEV);
	assert_int_equal(report(r, 0, NB_NO_PASID, 5, 0x2000, true), 0);
	assert_int_equal(rig_attach(r, 0, n), 0);
	answered(r, 0, NB_NO_PASID, 5, DRV_PAGE_INVALID);
	/* What was parked then is not part of what comes now. */
	assert_int_equal(report(r, 0, 10, 5, 0x3000, true), 0);
	assert_int_equal(rd(r, q, f, 4), REC);
	assert_int_equal(rig_detach(r, 0), 0);
	answered(r, 0, 10, 5, DRV_PAGE_INVALID);
}

/* GET_HW_INFO with a type of the caller's. */
static void hw_info(void **state)
{
	struct rig *r = rig_of(state);
	uint8_t buf[32];
	struct iommu_hw_info i = {.size = sizeof(i), .data_len = sizeof(buf), .data_uptr = (uintptr_t)buf};

	rig_bind(r, 0);
	i.dev_id = r->devid[0];
	i.flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE;
	i.in_data_type = IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV;
	memset(buf, 0xff, sizeof(buf));
	assert_int_equal(rig_ioctl(r, IOMMU_GET_HW_INFO, &i), 0);
	assert_int_equal(i.out_data_type, IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV);
	assert_int_equal(i.data_len, 8);
	assert_true(buf[7] == 0xcd && buf[8] == 0 && buf[31] == 0);
	/* Without the flag the type is not looked at. */
	i.flags = 0;
	i.in_data_type = 99;
	i.data_len = sizeof(buf);
	assert_int_equal(rig_ioctl(r, IOMMU_GET_HW_INFO, &i), 0);
	assert_int_equal(i.out_data_type, IOMMU_HW_INFO_TYPE_INTEL_VTD);
	assert_int_equal(i.data_len, 24);
	i.flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE;
	i.in_data_type = IOMMU_HW_INFO_TYPE_AMD;
	assert_int_equal(rig_ioctl(r, IOMMU_GET_HW_INFO, &i), -EOPNOTSUPP);
	i.in_data_type = IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV;
	i.data_uptr = 8;
	assert_int_equal(rig_ioctl(r, IOMMU_GET_HW_INFO, &i), -EFAULT);
	i.flags = 2;
	assert_int_equal(rig_ioctl(r, IOMMU_GET_HW_INFO, &i), -EOPNOTSUPP);
}

/* Everything once; gives up at the first that fails. */
static void scenario(struct rig *r, char *m)
{
	struct vfio_device_bind_iommufd b = {.argsz = sizeof(b), .iommufd = 10};
	struct iommu_ioas_alloc s = {.size = sizeof(s)};
	struct iommu_veventq_alloc e = {.size = sizeof(e), .type = 1, .veventq_depth = 2};
	struct iommufd_mapping *map;
	uint32_t parent, v, d, n, q0, q1;
	uint64_t iova = 0x10000, fd_off;
	char rec[64];
	int fd;

	if (vfio_open(r->host, 0, &r->vf[0]) || vfio_ioctl(r->vf[0], VFIO_DEVICE_BIND_IOMMUFD, (uintptr_t)&b))
		return;
	r->devid[0] = b.out_devid;
	if (rig_ioctl(r, IOMMU_IOAS_ALLOC, &s) || rig_hwpt_try(r, 0, s.out_ioas_id, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent) ||
	    rig_map(r, s.out_ioas_id, FIXED | RW, m, 4 * PG, &iova) || viommu_try(r, 0, QUEUED, parent, &v))
		return;
	if (vdevice_try(r, v, r->devid[0], 1, &d) || vnested_try(r, 0, v, 0, 0, &n) || rig_attach(r, 0, n))
		return;
	e.viommu_id = v;
	if (rig_ioctl(r, IOMMU_VEVENTQ_ALLOC, &e))
		return;
	for (unsigned int i = 0; i < 4; i++) { /* lost for want of memory is lost all the same */
		int err = drv_of(0)->report_event(drv_of(0), 1, &i, sizeof(i));

		assert_true(err == 0 || err == -ENOMEM);
	}
	assert_true(host_queue_read(r->fault[0], rec, sizeof(rec), 0) >= 8);
	if (hwq_try(r, v, 0, 0x10000, PG, &q0) || hwq_try(r, v, 1, 0x11000, PG, &q1))
		return;
	assert_int_equal(rig_unmap(r, s.out_ioas_id, 0x10000, 4 * PG, NULL), -EBUSY);
	if (iommufd_mmap(r->fd, PG, FAKE_REG_SIZE, PROT_READ, MAP_SHARED, &fd, &fd_off, &map))
		return;
	iommufd_mapped(map, 0x10000000);
	host_revoke(r->host, 0x10000000, FAKE_REG_SIZE);
	assert_int_equal(rig_destroy(r, q1), 0);
	assert_int_equal(rig_destroy(r, q0), 0);
}

static void fail_nth(void **state)
{
	char *m = mmap(NULL, 4 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned int n;

	(void)state;
	assert_int_equal(guard_init(), 0);
	for (n = 1; n < 1000; n++) {
		struct rig *r = rig_new_viommu();
		bool failed;

		nb_fail_nth_arm(n);
		scenario(r, m);
		failed = nb_fail_nth_fired();
		nb_fail_nth_arm(0);
		v_free(r);
		if (!failed)
			break;
	}
	assert_in_range(n, 20, 200);
	munmap(m, 4 * PG);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, v_setup, v_teardown)
	const struct CMUnitTest tests[] = {
		T(alloc_errors), T(answer_lost), T(nested),	 T(unnested), T(invalidate), T(vdevices),
		T(tombstones),	 T(release),	 T(user_pasids), T(hw_info),  cmocka_unit_test(fail_nth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
