/* SPDX-License-Identifier: BSD-3-Clause */
#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "uapi/iommufd.h"
#include "uapi/vfio.h"

#define RIG_FD 7

static int resolve(void *opaque, int fd, struct iommufd_file **out)
{
	struct rig *r = opaque;

	if (fd != RIG_FD)
		return -EBADF;
	*out = r->iommufd;
	return 0;
}

static int queue_fd(void *opaque, struct queue_file *f, enum host_queue_kind kind, int *fd)
{
	struct rig *r = opaque;
	int i;

	(void)kind;
	for (i = 0; i < RIG_QUEUES && r->queue[i]; i++)
		;
	if (i == RIG_QUEUES)
		return -EMFILE;
	r->queue[i] = f;
	*fd = i;
	return 0;
}

static void queue_fd_abort(void *opaque, struct queue_file *f, int fd)
{
	struct rig *r = opaque;

	(void)f;
	r->queue[fd] = NULL;
}

static void queue_ready(void *opaque, struct queue_file *f, bool ready)
{
	(void)opaque;
	(void)f;
	(void)ready;
}

static long ioctl_iommu(struct rig *r, unsigned int cmd, void *arg)
{
	return iommufd_ioctl(r->iommufd, cmd, (uintptr_t)arg);
}

bool rig_up(struct rig *r, const struct nb_desc *desc)
{
	struct machine_cfg cfg = {.desc = desc, .resolve_iommufd = resolve, .opaque = r, .queue_fd = queue_fd,
				  .queue_fd_abort = queue_fd_abort, .queue_ready = queue_ready};
	struct nb_diag why = {""};
	unsigned int i;
	long err;

	memset(r, 0, sizeof(*r));
	err = machine_create(&cfg, &r->m, &why);
	if (err) {
		fprintf(stderr, "rig: no machine: %s\n", why.msg);
		return false;
	}
	err = iommufd_open(machine_host(r->m), &r->iommufd);
	r->ndevs = desc->nfunctions < RIG_DEVS ? desc->nfunctions : RIG_DEVS;
	for (i = 0; i < r->ndevs && !err; i++) {
		struct rig_dev *d = &r->dev[i];
		struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = RIG_FD};
		int n = machine_vfio_index(r->m, desc->function[i].segment, desc->function[i].rid);

		d->rid = desc->function[i].rid;
		d->hw = machine_iommu_of(r->m, desc->function[i].segment, d->rid);
		err = n < 0 ? n : vfio_open(machine_host(r->m), (unsigned int)n, &d->vfio);
		if (!err)
			err = vfio_ioctl(d->vfio, VFIO_DEVICE_BIND_IOMMUFD, (uintptr_t)&bind);
		d->id = bind.out_devid;
	}
	if (err) {
		fprintf(stderr, "rig: function %u cannot be opened and bound: %s\n", i ? i - 1 : 0, strerror((int)-err));
		rig_down(r);
		return false;
	}
	return true;
}

void rig_down(struct rig *r)
{
	unsigned int i;

	for (i = 0; i < RIG_QUEUES; i++)
		rig_queue_close(r, i);
	for (i = 0; i < r->ndevs; i++)
		if (r->dev[i].vfio)
			vfio_close(r->dev[i].vfio);
	if (r->iommufd)
		iommufd_close(r->iommufd);
	machine_destroy(r->m);
	memset(r, 0, sizeof(*r));
}

long rig_destroy(struct rig *r, uint32_t id)
{
	struct iommu_destroy a = {.size = sizeof(a), .id = id};

	return ioctl_iommu(r, IOMMU_DESTROY, &a);
}

long rig_ioas(struct rig *r, uint32_t *ioas)
{
	struct iommu_ioas_alloc a = {.size = sizeof(a)};
	long err = ioctl_iommu(r, IOMMU_IOAS_ALLOC, &a);

	if (!err)
		*ioas = a.out_ioas_id;
	return err;
}

static uint32_t map_flags(unsigned int prot)
{
	return (prot & HW_READ ? IOMMU_IOAS_MAP_READABLE : 0u) | (prot & HW_WRITE ? IOMMU_IOAS_MAP_WRITEABLE : 0u);
}

long rig_map(struct rig *r, uint32_t ioas, const void *va, uint64_t iova, uint64_t len, unsigned int prot)
{
	struct iommu_ioas_map a = {.size = sizeof(a), .flags = IOMMU_IOAS_MAP_FIXED_IOVA | map_flags(prot),
				   .ioas_id = ioas, .user_va = (uintptr_t)va, .length = len, .iova = iova};

	return ioctl_iommu(r, IOMMU_IOAS_MAP, &a);
}

long rig_map_any(struct rig *r, uint32_t ioas, const void *va, uint64_t len, unsigned int prot, uint64_t *iova)
{
	struct iommu_ioas_map a = {.size = sizeof(a), .flags = map_flags(prot), .ioas_id = ioas,
				   .user_va = (uintptr_t)va, .length = len};
	long err = ioctl_iommu(r, IOMMU_IOAS_MAP, &a);

	if (!err)
		*iova = a.iova;
	return err;
}

long rig_unmap(struct rig *r, uint32_t ioas, uint64_t iova, uint64_t len, uint64_t *unmapped)
{
	struct iommu_ioas_unmap a = {.size = sizeof(a), .ioas_id = ioas, .iova = iova, .length = len};
	long err = ioctl_iommu(r, IOMMU_IOAS_UNMAP, &a);

	if (unmapped)
		*unmapped = err ? 0 : a.length;
	return err;
}

long rig_copy(struct rig *r, uint32_t dst, uint64_t dst_iova, uint32_t src, uint64_t src_iova, uint64_t len, unsigned int prot)
{
	struct iommu_ioas_copy a = {.size = sizeof(a), .flags = IOMMU_IOAS_MAP_FIXED_IOVA | map_flags(prot), .dst_ioas_id = dst,
				    .src_ioas_id = src, .length = len, .dst_iova = dst_iova, .src_iova = src_iova};

	return ioctl_iommu(r, IOMMU_IOAS_COPY, &a);
}

long rig_hwpt(struct rig *r, unsigned int dev, uint32_t pt_id, uint32_t flags, uint32_t *hwpt)
{
	struct iommu_hwpt_alloc a = {.size = sizeof(a), .flags = flags, .dev_id = r->dev[dev].id, .pt_id = pt_id};
	long err = ioctl_iommu(r, IOMMU_HWPT_ALLOC, &a);

	if (!err)
		*hwpt = a.out_hwpt_id;
	return err;
}

long rig_hwpt_fault_blob(struct rig *r, unsigned int dev, uint32_t parent, uint32_t flags, uint32_t fault, uint32_t type,
			 const void *blob, uint32_t len, uint32_t *hwpt)
{
	struct iommu_hwpt_alloc a = {.size = sizeof(a), .flags = flags, .dev_id = r->dev[dev].id, .pt_id = parent, .fault_id = fault,
				     .data_type = type, .data_len = len, .data_uptr = (uintptr_t)blob};
	long err = ioctl_iommu(r, IOMMU_HWPT_ALLOC, &a);

	if (!err)
		*hwpt = a.out_hwpt_id;
	return err;
}

long rig_hwpt_blob(struct rig *r, unsigned int dev, uint32_t parent, uint32_t flags, uint32_t type, const void *blob,
		   uint32_t len, uint32_t *hwpt)
{
	return rig_hwpt_fault_blob(r, dev, parent, flags, 0, type, blob, len, hwpt);
}

long rig_invalidate_blob(struct rig *r, uint32_t hwpt, uint32_t type, const void *blob, uint32_t len)
{
	struct iommu_hwpt_invalidate a = {.size = sizeof(a), .hwpt_id = hwpt, .data_uptr = (uintptr_t)blob, .data_type = type,
					  .entry_len = len, .entry_num = 1};

	return ioctl_iommu(r, IOMMU_HWPT_INVALIDATE, &a);
}

long rig_hwpt_nested(struct rig *r, unsigned int dev, uint32_t parent, uint32_t flags, uint64_t s1_root, uint32_t width,
		     uint64_t s1_flags, uint32_t *hwpt)
{
	struct iommu_hwpt_vtd_s1 s1 = {.flags = s1_flags, .pgtbl_addr = s1_root, .addr_width = width};

	return rig_hwpt_blob(r, dev, parent, flags, IOMMU_HWPT_DATA_VTD_S1, &s1, sizeof(s1), hwpt);
}

long rig_attach(struct rig *r, unsigned int dev, uint32_t pasid, uint32_t pt_id)
{
	struct vfio_device_attach_iommufd_pt a = {.argsz = sizeof(a), .pt_id = pt_id};

	if (pasid != NB_NO_PASID) {
		a.flags = VFIO_DEVICE_ATTACH_PASID;
		a.pasid = pasid;
	}
	return vfio_ioctl(r->dev[dev].vfio, VFIO_DEVICE_ATTACH_IOMMUFD_PT, (uintptr_t)&a);
}

long rig_detach(struct rig *r, unsigned int dev, uint32_t pasid)
{
	struct vfio_device_detach_iommufd_pt a = {.argsz = sizeof(a)};

	if (pasid != NB_NO_PASID) {
		a.flags = VFIO_DEVICE_DETACH_PASID;
		a.pasid = pasid;
	}
	return vfio_ioctl(r->dev[dev].vfio, VFIO_DEVICE_DETACH_IOMMUFD_PT, (uintptr_t)&a);
}

long rig_invalidate(struct rig *r, uint32_t hwpt, uint64_t addr, uint64_t npages, bool leaf)
{
	struct iommu_hwpt_vtd_s1_invalidate inv = {.addr = addr, .npages = npages,
						   .flags = leaf ? IOMMU_VTD_INV_FLAGS_LEAF : 0u};

	return rig_invalidate_blob(r, hwpt, IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, &inv, sizeof(inv));
}

long rig_viommu(struct rig *r, unsigned int dev, uint32_t parent, uint32_t type, uint32_t *viommu)
{
	struct iommu_viommu_alloc a = {.size = sizeof(a), .type = type, .dev_id = r->dev[dev].id, .hwpt_id = parent};
	long err = ioctl_iommu(r, IOMMU_VIOMMU_ALLOC, &a);

	if (!err)
		*viommu = a.out_viommu_id;
	return err;
}

long rig_vdevice(struct rig *r, uint32_t viommu, unsigned int dev, uint64_t virt_id, uint32_t *vdevice)
{
	struct iommu_vdevice_alloc a = {.size = sizeof(a), .viommu_id = viommu, .dev_id = r->dev[dev].id, .virt_id = virt_id};
	long err = ioctl_iommu(r, IOMMU_VDEVICE_ALLOC, &a);

	if (!err)
		*vdevice = a.out_vdevice_id;
	return err;
}

long rig_veventq(struct rig *r, uint32_t viommu, uint32_t type, uint32_t depth, uint32_t *veventq, unsigned int *queue)
{
	struct iommu_veventq_alloc a = {.size = sizeof(a), .viommu_id = viommu, .type = type, .veventq_depth = depth};
	long err = ioctl_iommu(r, IOMMU_VEVENTQ_ALLOC, &a);

	if (!err) {
		*veventq = a.out_veventq_id;
		*queue = a.out_veventq_fd;
	}
	return err;
}

ssize_t rig_queue_read(struct rig *r, unsigned int queue, void *buf, size_t len)
{
	return host_queue_read(r->queue[queue], buf, len, 0);
}

long rig_fault_queue(struct rig *r, uint32_t *fault, unsigned int *queue)
{
	struct iommu_fault_alloc a = {.size = sizeof(a)};
	long err = ioctl_iommu(r, IOMMU_FAULT_QUEUE_ALLOC, &a);

	if (!err) {
		*fault = a.out_fault_id;
		*queue = a.out_fault_fd;
	}
	return err;
}

ssize_t rig_queue_write(struct rig *r, unsigned int queue, const void *buf, size_t len)
{
	return host_queue_write(r->queue[queue], buf, len, 0);
}

void rig_queue_close(struct rig *r, unsigned int queue)
{
	struct queue_file *f = r->queue[queue];

	r->queue[queue] = NULL;
	if (f)
		host_queue_close(f);
}

long rig_viommu_invalidate(struct rig *r, uint32_t viommu, uint32_t type, const void *entries, uint32_t len, uint32_t n,
			   uint32_t *done)
{
	struct iommu_hwpt_invalidate a = {.size = sizeof(a), .hwpt_id = viommu, .data_uptr = (uintptr_t)entries, .data_type = type,
					  .entry_len = len, .entry_num = n};
	long err = ioctl_iommu(r, IOMMU_HWPT_INVALIDATE, &a);

	*done = a.entry_num;
	return err;
}

long rig_dirty_tracking(struct rig *r, uint32_t hwpt, bool on)
{
	struct iommu_hwpt_set_dirty_tracking a = {.size = sizeof(a), .hwpt_id = hwpt,
						  .flags = on ? IOMMU_HWPT_DIRTY_TRACKING_ENABLE : 0u};

	return ioctl_iommu(r, IOMMU_HWPT_SET_DIRTY_TRACKING, &a);
}

long rig_dirty_bitmap(struct rig *r, uint32_t hwpt, uint64_t iova, uint64_t len, uint64_t page_size, uint64_t *bits, bool keep)
{
	struct iommu_hwpt_get_dirty_bitmap a = {.size = sizeof(a), .hwpt_id = hwpt, .iova = iova, .length = len,
						.page_size = page_size, .data = (uintptr_t)bits,
						.flags = keep ? IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR : 0u};

	return ioctl_iommu(r, IOMMU_HWPT_GET_DIRTY_BITMAP, &a);
}

int rig_read(struct rig *r, unsigned int dev, uint32_t pasid, uint64_t iova, void *buf, size_t len)
{
	return hw_dma_read(r->dev[dev].hw, r->dev[dev].rid, pasid, iova, buf, len);
}

int rig_write(struct rig *r, unsigned int dev, uint32_t pasid, uint64_t iova, const void *buf, size_t len)
{
	return hw_dma_write(r->dev[dev].hw, r->dev[dev].rid, pasid, iova, buf, len);
}
