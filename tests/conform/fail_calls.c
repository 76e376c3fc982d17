/* SPDX-License-Identifier: BSD-3-Clause */
/* The calls that fail_nth tries: how to get there, the call, and the way back. */
#include "fail_nth.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "uapi/nestbox.h"

long do_io(struct scene *s, int fd, unsigned long cmd, void *arg)
{
	return nb_host_ioctl(s->host, fd, cmd, arg);
}

long do_ioas_alloc(struct scene *s, uint32_t *id)
{
	struct iommu_ioas_alloc a = {.size = sizeof(a)};
	long err = do_io(s, s->iommufd, IOMMU_IOAS_ALLOC, &a);

	if (!err)
		*id = a.out_ioas_id;
	return err;
}

long do_map(struct scene *s, uint32_t ioas, const void *va, uint64_t iova, uint64_t len)
{
	struct iommu_ioas_map a = {.size = sizeof(a), .ioas_id = ioas, .user_va = (uintptr_t)va, .length = len, .iova = iova,
				   .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE};

	return do_io(s, s->iommufd, IOMMU_IOAS_MAP, &a);
}

static long unmap(struct scene *s, uint32_t ioas, uint64_t iova, uint64_t len)
{
	struct iommu_ioas_unmap a = {.size = sizeof(a), .ioas_id = ioas, .iova = iova, .length = len};

	return do_io(s, s->iommufd, IOMMU_IOAS_UNMAP, &a);
}

long do_hwpt_flags(struct scene *s, uint32_t pt, uint32_t flags, uint32_t fault, uint32_t *id)
{
	/* What has PASIDs is no parent where a guest's PASIDs are its own. */
	uint32_t pasid = (flags & IOMMU_HWPT_ALLOC_NEST_PARENT) && !s->nests_by_pasid ? 0 : s->pasid_flag;
	struct iommu_hwpt_alloc a = {.size = sizeof(a), .flags = flags | pasid, .dev_id = s->devid[0], .pt_id = pt,
				    .fault_id = fault};
	long err = do_io(s, s->iommufd, IOMMU_HWPT_ALLOC, &a);

	if (!err)
		*id = a.out_hwpt_id;
	return err;
}

long do_viommu(struct scene *s, uint32_t parent, uint32_t *id)
{
	struct iommu_viommu_alloc a = {.size = sizeof(a), .type = s->v->viommu_type, .dev_id = s->devid[0], .hwpt_id = parent};
	long err = do_io(s, s->iommufd, IOMMU_VIOMMU_ALLOC, &a);

	if (!err)
		*id = a.out_viommu_id;
	return err;
}

long do_vdevice(struct scene *s, unsigned int dev, uint32_t viommu, uint32_t *id)
{
	struct iommu_vdevice_alloc a = {.size = sizeof(a), .viommu_id = viommu, .dev_id = s->devid[dev], .virt_id = 0x10 + dev};
	long err = do_io(s, s->iommufd, IOMMU_VDEVICE_ALLOC, &a);

	if (!err)
		*id = a.out_vdevice_id;
	return err;
}

/* Behind the 4 tables of which one is at root. Configuration pages lie behind those of all guests. */
#define CONFIG_PAGES 8u

long do_hwpt_nested(struct scene *s, uint32_t parent, uint64_t root, uint32_t *id)
{
	uint64_t config = root + CONFIG_PAGES * PAGE;
	struct vendor_blob blob;
	struct iommu_hwpt_alloc a;
	long err;

	if (!s->v->s1_blob(&s->g, V_S1_TABLE, root, s->mem + (config - IOVA), config, &blob))
		return -EOPNOTSUPP;
	a = (struct iommu_hwpt_alloc){.size = sizeof(a), .flags = s->nests_by_pasid ? s->pasid_flag : 0, .dev_id = s->devid[0],
				      .pt_id = parent, .data_type = blob.type, .data_len = blob.len,
				      .data_uptr = (uintptr_t)blob.bytes};
	if (s->v->viommu_type)
		a.pt_id = parent == s->parent_b ? s->viommu_b : s->viommu;
	err = do_io(s, s->iommufd, IOMMU_HWPT_ALLOC, &a);
	if (!err)
		*id = a.out_hwpt_id;
	return err;
}

long do_attach(struct scene *s, unsigned int dev, uint32_t pasid, uint32_t pt)
{
	struct vfio_device_attach_iommufd_pt a = {.argsz = sizeof(a), .pt_id = pt, .pasid = pasid == NB_NO_PASID ? 0 : pasid,
						  .flags = pasid == NB_NO_PASID ? 0u : VFIO_DEVICE_ATTACH_PASID};

	return do_io(s, s->dev[dev], VFIO_DEVICE_ATTACH_IOMMUFD_PT, &a);
}

long do_detach(struct scene *s, unsigned int dev, uint32_t pasid)
{
	struct vfio_device_detach_iommufd_pt a = {.argsz = sizeof(a), .pasid = pasid == NB_NO_PASID ? 0 : pasid,
						  .flags = pasid == NB_NO_PASID ? 0u : VFIO_DEVICE_DETACH_PASID};

	return do_io(s, s->dev[dev], VFIO_DEVICE_DETACH_IOMMUFD_PT, &a);
}

long do_destroy(struct scene *s, uint32_t id)
{
	struct iommu_destroy a = {.size = sizeof(a), .id = id};

	return do_io(s, s->iommufd, IOMMU_DESTROY, &a);
}

long do_bind(struct scene *s, unsigned int i)
{
	struct vfio_device_bind_iommufd b = {.argsz = sizeof(b), .iommufd = s->iommufd};
	long err = do_io(s, s->dev[i], VFIO_DEVICE_BIND_IOMMUFD, &b);

	if (!err)
		s->devid[i] = b.out_devid;
	return err;
}

/* ---- the calls ---- */

static long s_nested(struct scene *s);
static long c_fault_queue(struct scene *s);

static uint16_t rid_of(struct scene *s, unsigned int dev)
{
	return s->desc.function[dev ^ 1u].rid; /* as they are opened */
}

static long c_ioas(struct scene *s)
{
	return do_ioas_alloc(s, &s->out);
}
static long u_destroy(struct scene *s)
{
	return do_destroy(s, s->out);
}
static long c_map(struct scene *s)
{
	return do_map(s, s->ioas, s->mem + BASE_PAGES / 2 * PAGE, IOVA + 8 * M2 - 3 * PAGE, 7 * PAGE);
}
static long u_map(struct scene *s)
{
	return unmap(s, s->ioas, IOVA + 8 * M2 - 3 * PAGE, 7 * PAGE);
}
static long c_map_far(struct scene *s)
{
	return do_map(s, s->ioas, s->mem + BASE_PAGES / 2 * PAGE, UINT64_C(0x123456789000), M2);
}
static long u_map_far(struct scene *s)
{
	return unmap(s, s->ioas, UINT64_C(0x123456789000), M2);
}
static long c_unmap(struct scene *s)
{
	return unmap(s, s->ioas, IOVA, BASE_PAGES / 2 * PAGE);
}
static long u_unmap(struct scene *s)
{
	return do_map(s, s->ioas, s->mem, IOVA, BASE_PAGES / 2 * PAGE);
}
static long c_copy(struct scene *s)
{
	struct iommu_ioas_copy a = {.size = sizeof(a), .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
				    .dst_ioas_id = s->ioas2, .src_ioas_id = s->ioas, .length = 64 * PAGE,
				    .dst_iova = IOVA + 16 * M2, .src_iova = IOVA};

	return do_io(s, s->iommufd, IOMMU_IOAS_COPY, &a);
}
static long u_copy(struct scene *s)
{
	return unmap(s, s->ioas2, IOVA + 16 * M2, 64 * PAGE);
}
static long c_hwpt(struct scene *s)
{
	return do_hwpt_flags(s, s->ioas, 0, 0, &s->out);
}
static long c_parent(struct scene *s)
{
	return s->can_nest ? do_hwpt_flags(s, s->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0, &s->out) : 1;
}
static long c_hwpt_dirty(struct scene *s)
{
	return s->can_dirty ? do_hwpt_flags(s, s->ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 0, &s->out) : 1;
}
static long c_nested(struct scene *s)
{
	return s->can_nest ? do_hwpt_nested(s, s->parent, IOVA, &s->out) : 1;
}
static long c_viommu(struct scene *s)
{
	return s->viommu ? do_viommu(s, s->parent, &s->out) : 1;
}
static long c_vintf(struct scene *s)
{
	struct iommu_viommu_tegra241_cmdqv out;
	struct iommu_viommu_alloc a = {.size = sizeof(a), .type = IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV, .dev_id = s->devid[0],
				       .hwpt_id = s->parent, .data_len = sizeof(out), .data_uptr = (uintptr_t)&out};
	long err = s->viommu ? do_io(s, s->iommufd, IOMMU_VIOMMU_ALLOC, &a) : 1;

	if (!err)
		s->out = a.out_viommu_id;
	return err == -EOPNOTSUPP ? 1 : err;
}
static long s_hw_queue(struct scene *s)
{
	long err = c_vintf(s);

	s->viommu_b = err ? 0 : s->out; /* of no use here otherwise */
	return err == 1 ? 0 : err;
}
static long c_hw_queue(struct scene *s)
{
	/* A queue's memory is one piece: one page. */
	struct iommu_hw_queue_alloc a = {.size = sizeof(a), .viommu_id = s->viommu_b, .type = IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV,
					 .nesting_parent_iova = IOVA + 40 * PAGE, .length = PAGE};
	long err = s->viommu_b ? do_io(s, s->iommufd, IOMMU_HW_QUEUE_ALLOC, &a) : 1;

	if (!err)
		s->out = a.out_hw_queue_id;
	return err;
}
static long s_no_vdevice(struct scene *s)
{
	return s->viommu ? do_destroy(s, s->vdev[1]) : 0;
}
static long c_vdevice(struct scene *s)
{
	return s->viommu ? do_vdevice(s, 1, s->viommu, &s->out) : 1;
}
static long c_veventq(struct scene *s)
{
	struct iommu_veventq_alloc a = {.size = sizeof(a), .viommu_id = s->viommu, .type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
					.veventq_depth = 4};
	long err = s->viommu ? do_io(s, s->iommufd, IOMMU_VEVENTQ_ALLOC, &a) : 1;

	if (!err) {
		s->out = a.out_veventq_id;
		s->fd = (int)a.out_veventq_fd;
	}
	return err;
}
/*
 * Traffic. Nobody's call fails for lack of memory here: what there is no memory for is lost, and the guest, or the function, is told. The same
 * again gets through.
 */
#define HOLE (VA + 300 * PAGE)
static struct hw_iommu *unit_of(struct scene *s, unsigned int dev)
{
	return machine_iommu_of(nb_host_machine(s->host), 0, rid_of(s, dev));
}
static long s_event(struct scene *s)
{
	long err = s->viommu && !s->v->faults_wait(&s->desc) ? c_veventq(s) : 0;

	return err ? err : s_nested(s);
}
static long c_event(struct scene *s)
{
	struct {
		struct iommufd_vevent_header header;
		uint64_t payload[4];
	} e = {.header = {.flags = 0}};
	uint64_t v, virt_id, at;
	ssize_t n;

	if (!s->viommu || s->v->faults_wait(&s->desc))
		return 1;
	while (nb_host_read(s->host, s->fd, &e, sizeof(e)) > 0) /* of those who looked where the function gets to */
		;
	if (hw_dma_read(unit_of(s, 1), rid_of(s, 1), NB_NO_PASID, HOLE, &v, sizeof(v)) != -EFAULT)
		return -EIO;
	n = nb_host_read(s->host, s->fd, &e, sizeof(e));
	if (n == sizeof(e.header) && e.header.flags == IOMMU_VEVENTQ_FLAG_LOST_EVENTS)
		return nb_host_read(s->host, s->fd, &e, sizeof(e)) == 0 ? -ENOMEM : -EIO;
	if (n != sizeof(e) || e.header.flags)
		return -EIO;
	s->v->event(e.payload, &virt_id, &at);
	return at == HOLE && virt_id == 0x10 + 1 && nb_host_read(s->host, s->fd, &e, sizeof(e)) == 0 ? 0 : -EIO;
}
static long s_request(struct scene *s)
{
	struct vendor_blob blob;
	struct iommu_hwpt_alloc a;
	uint64_t config = IOVA + CONFIG_PAGES * PAGE;
	long err;

	if (!s->can_nest || !s->v->faults_wait(&s->desc))
		return 0;
	err = c_fault_queue(s);
	if (err)
		return err;
	if (!s->v->s1_blob(&s->g, V_S1_TABLE, IOVA, s->mem + (config - IOVA), config, &blob))
		return -EOPNOTSUPP;
	a = (struct iommu_hwpt_alloc){.size = sizeof(a), .flags = IOMMU_HWPT_FAULT_ID_VALID | (s->nests_by_pasid ? s->pasid_flag : 0),
				      .dev_id = s->devid[0], .pt_id = s->viommu ? s->viommu : s->parent, .data_type = blob.type,
				      .data_len = blob.len, .data_uptr = (uintptr_t)blob.bytes, .fault_id = s->out};
	err = do_io(s, s->iommufd, IOMMU_HWPT_ALLOC, &a);
	return err ? err : do_attach(s, 0, NB_NO_PASID, a.out_hwpt_id);
}
/* A request that there is no memory for is answered: the counter says so. */
static long c_request(struct scene *s)
{
	struct iommu_hwpt_page_response answer = {.code = IOMMUFD_PAGE_RESP_INVALID};
	struct iommu_hwpt_pgfault f;
	uint64_t before = 0, after = 0;
	bool no_memory = false;
	ssize_t n;

	if (!s->can_nest || !s->v->faults_wait(&s->desc))
		return 1;
	while ((n = nb_host_read(s->host, s->fd, &f, sizeof(f))) != 0) { /* as above */
		answer.cookie = f.cookie;
		no_memory |= n == -ENOMEM;
		if (n > 0)
			nb_host_write(s->host, s->fd, &answer, sizeof(answer));
	}
	nb_host_counter(s->host, "drv.page-response", &before);
	if (!s->v->ask_page(&s->desc, unit_of(s, 0), rid_of(s, 0), HOLE))
		return -EIO;
	n = nb_host_read(s->host, s->fd, &f, sizeof(f));
	if (n == -ENOMEM) { /* it waits to be read */
		no_memory = true;
		n = nb_host_read(s->host, s->fd, &f, sizeof(f));
	}
	answer.cookie = f.cookie;
	if (n && (n != sizeof(f) || f.addr != HOLE || nb_host_write(s->host, s->fd, &answer, sizeof(answer)) != sizeof(answer)))
		return -EIO;
	nb_host_counter(s->host, "drv.page-response", &after);
	if (after != before + 1 || nb_host_read(s->host, s->fd, &f, sizeof(f)) != 0)
		return -EIO;
	return n && !no_memory ? 0 : -ENOMEM;
}
/* So many commands that they do not fit where the driver keeps a few. */
static long c_many_invalidations(struct scene *s)
{
	static uint8_t cmds[200 * 16];
	struct vendor_blob blob;
	struct iommu_hwpt_invalidate a;
	unsigned int i;

	if (!s->viommu)
		return 1;
	s->v->inv_blob(&s->g, IOVA, VA, 1, true, &blob);
	for (i = 0; i < 200; i++)
		memcpy(cmds + i * blob.len, blob.bytes, blob.len);
	a = (struct iommu_hwpt_invalidate){.size = sizeof(a), .hwpt_id = s->viommu, .data_uptr = (uintptr_t)cmds,
					   .data_type = blob.type, .entry_len = blob.len, .entry_num = 200};
	return do_io(s, s->iommufd, IOMMU_HWPT_INVALIDATE, &a);
}
static long c_fault_queue(struct scene *s)
{
	struct iommu_fault_alloc a = {.size = sizeof(a)};
	long err = do_io(s, s->iommufd, IOMMU_FAULT_QUEUE_ALLOC, &a);

	if (!err) {
		s->out = a.out_fault_id;
		s->fd = (int)a.out_fault_fd;
	}
	return err == -EOPNOTSUPP ? 1 : err;
}
static long u_fault_queue(struct scene *s)
{
	nb_host_close(s->host, s->fd);
	return do_destroy(s, s->out);
}
static long c_hwpt_fault(struct scene *s)
{
	uint32_t queue = s->out, id;
	long err = do_hwpt_flags(s, s->ioas, IOMMU_HWPT_FAULT_ID_VALID, queue, &id);

	if (!err)
		s->ioas2 = id; /* remembered there for the way back */
	return err;
}
static long u_hwpt_fault(struct scene *s)
{
	return do_destroy(s, s->ioas2);
}
static long c_attach_again(struct scene *s)
{
	return do_attach(s, 1, NB_NO_PASID, s->ioas2); /* automatic HWPTs are for functions without PASIDs in use */
}
static long u_attach_again(struct scene *s)
{
	return do_attach(s, 1, NB_NO_PASID, s->hwpt);
}
static long c_replace_nested(struct scene *s)
{
	return s->can_nest ? do_attach(s, 0, NB_NO_PASID, s->nested) : 1;
}
static long c_replace_parent(struct scene *s)
{
	return s->can_nest ? do_attach(s, 0, NB_NO_PASID, s->parent) : 1;
}
static long c_replace_dirty(struct scene *s)
{
	return s->can_dirty ? do_attach(s, 0, NB_NO_PASID, s->dirty) : 1;
}
static long u_attach(struct scene *s)
{
	return do_attach(s, 0, NB_NO_PASID, s->hwpt);
}
static long c_nested_to_nested(struct scene *s)
{
	return s->can_nest ? do_attach(s, 1, NB_NO_PASID, s->nested_b) : 1;
}
static long s_nested(struct scene *s)
{
	return s->can_nest ? do_attach(s, 1, NB_NO_PASID, s->nested) : 0;
}
static long u_nested_to_nested(struct scene *s)
{
	return do_attach(s, 1, NB_NO_PASID, s->nested);
}
static long c_attach_pasid(struct scene *s)
{
	return s->can_pasid ? do_attach(s, 0, PASID, s->hwpt) : 1;
}
static long c_attach_pasid_nested(struct scene *s)
{
	return s->can_pasid && s->can_nest && s->nests_by_pasid ? do_attach(s, 0, PASID, s->nested) : 1;
}
static long u_attach_pasid(struct scene *s)
{
	return do_detach(s, 0, PASID);
}
static long c_detach(struct scene *s)
{
	return do_detach(s, 0, NB_NO_PASID);
}
static long c_dirty_on(struct scene *s)
{
	struct iommu_hwpt_set_dirty_tracking a = {.size = sizeof(a), .hwpt_id = s->dirty, .flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE};

	return s->can_dirty ? do_io(s, s->iommufd, IOMMU_HWPT_SET_DIRTY_TRACKING, &a) : 1;
}
static long s_dirty(struct scene *s)
{
	return s->can_dirty ? do_attach(s, 1, NB_NO_PASID, s->dirty) : 0;
}
static long u_dirty_on(struct scene *s)
{
	struct iommu_hwpt_set_dirty_tracking a = {.size = sizeof(a), .hwpt_id = s->dirty};

	return do_io(s, s->iommufd, IOMMU_HWPT_SET_DIRTY_TRACKING, &a);
}
static long c_bitmap(struct scene *s)
{
	static uint64_t bits[BASE_PAGES / 128];
	struct iommu_hwpt_get_dirty_bitmap a = {.size = sizeof(a), .hwpt_id = s->dirty, .iova = IOVA,
						.length = BASE_PAGES / 2 * PAGE, .page_size = PAGE, .data = (uintptr_t)bits};

	return s->can_dirty ? do_io(s, s->iommufd, IOMMU_HWPT_GET_DIRTY_BITMAP, &a) : 1;
}
static long nothing(struct scene *s)
{
	(void)s;
	return 0;
}
static long c_invalidate(struct scene *s)
{
	struct vendor_blob blob;
	struct iommu_hwpt_invalidate a;

	if (!s->can_nest)
		return 1;
	s->v->inv_blob(&s->g, IOVA, VA, 1, true, &blob);
	a = (struct iommu_hwpt_invalidate){.size = sizeof(a), .hwpt_id = s->viommu ? s->viommu : s->nested,
					   .data_uptr = (uintptr_t)blob.bytes, .data_type = blob.type, .entry_len = blob.len,
					   .entry_num = blob.n};
	return do_io(s, s->iommufd, IOMMU_HWPT_INVALIDATE, &a);
}
/* Where the guest has its doorbell: beyond the places of the kernel's window. */
#define GDB UINT64_C(0x8090000)
static long do_bind_msi(struct scene *s, uint64_t gdb)
{
	struct nestbox_guest_msi_bind a = {.size = sizeof(a), .dev_id = s->devid[0], .giova = VA, .gdb = gdb, .granule = PAGE};

	return do_io(s, s->iommufd, NESTBOX_GUEST_MSI_BIND, &a);
}
long do_unbind_msi(struct scene *s)
{
	struct nestbox_guest_msi_unbind a = {.size = sizeof(a), .dev_id = s->devid[0]};

	return do_io(s, s->iommufd, NESTBOX_GUEST_MSI_UNBIND, &a);
}
static long c_bind(struct scene *s)
{
	return do_bind(s, 2);
}
static long u_bind(struct scene *s)
{
	nb_host_close(s->host, s->dev[2]);
	s->dev[2] = nb_host_open(s->host, "/dev/vfio/devices/vfio3", O_RDWR);
	return s->dev[2] < 0 ? s->dev[2] : 0;
}
static long irqs(struct scene *s, unsigned int index, unsigned int n)
{
	struct {
		struct vfio_irq_set set;
		int32_t fd[4];
	} a = {.set = {.argsz = sizeof(a), .index = index, .count = n,
		       .flags = VFIO_IRQ_SET_ACTION_TRIGGER | (n ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE)}};
	unsigned int i;

	a.set.argsz = (uint32_t)(sizeof(a.set) + 4 * n);
	for (i = 0; i < 4; i++)
		a.fd[i] = s->fd;
	return do_io(s, s->dev[0], VFIO_DEVICE_SET_IRQS, &a);
}
long prepare_eventfd(struct scene *s)
{
	s->fd = eventfd(0, EFD_CLOEXEC);
	return s->fd;
}
static long c_msix(struct scene *s)
{
	return irqs(s, VFIO_PCI_MSIX_IRQ_INDEX, 3);
}
static long u_msix(struct scene *s)
{
	return irqs(s, VFIO_PCI_MSIX_IRQ_INDEX, 0);
}
static long c_msi(struct scene *s)
{
	return irqs(s, VFIO_PCI_MSI_IRQ_INDEX, 2);
}
static long u_msi(struct scene *s)
{
	return irqs(s, VFIO_PCI_MSI_IRQ_INDEX, 0);
}
static long c_intx(struct scene *s)
{
	return irqs(s, VFIO_PCI_INTX_IRQ_INDEX, 1);
}
static long u_intx(struct scene *s)
{
	return irqs(s, VFIO_PCI_INTX_IRQ_INDEX, 0);
}
static long c_first_message(struct scene *s)
{
	long err;

	prepare_eventfd(s);
	err = c_msix(s);
	close(s->fd); /* the host has its own */
	return err;
}
static long c_message_bound(struct scene *s)
{
	return s->binds_msi ? c_first_message(s) : 1;
}
static long u_message_bound(struct scene *s) /* as if none had been needed yet */
{
	return u_msix(s) || do_unbind_msi(s) ? -EIO : do_bind_msi(s, GDB);
}
static long s_bound(struct scene *s)
{
	long err = s->binds_msi ? do_attach(s, 0, NB_NO_PASID, s->nested) : 0;

	return !err && s->binds_msi ? do_bind_msi(s, GDB) : err;
}
static long s_message_bound(struct scene *s)
{
	long err = s_bound(s);

	return !err && s->binds_msi ? c_first_message(s) : err;
}
static long c_bind_anew(struct scene *s)
{
	return s->binds_msi ? do_bind_msi(s, GDB + M2) : 1;
}
static long u_bind_anew(struct scene *s)
{
	return do_bind_msi(s, GDB);
}
/* Where the kernel shows an Arm doorbell. */
static bool window_leads_on(struct scene *s)
{
	struct hw_request req = {.addr = 0x8000000, .pasid = NB_NO_PASID, .rid = rid_of(s, 0), .access = HW_WRITE};
	struct hw_result res;

	hw_translate(unit_of(s, 0), &req, &res);
	return res.kind == HW_OK;
}
static long s_live(struct scene *s)
{
	long err = c_first_message(s);

	s->window = window_leads_on(s);
	return err;
}
/* Whether it worked or not, messages get to where they got before. */
static long c_replace_live(struct scene *s)
{
	long err = c_replace_parent(s);

	return window_leads_on(s) == s->window ? err : -EIO;
}
/* Here it is the guest's to show the window. After an attach that failed, it is the host's. */
static long c_replace_nested_live(struct scene *s)
{
	long err = s->binds_msi ? 1 : c_replace_nested(s); /* where it binds, that would be another way for messages */

	return !err || window_leads_on(s) == s->window ? err : -EIO;
}
static long c_reset(struct scene *s)
{
	return do_io(s, s->dev[0], VFIO_DEVICE_RESET, NULL);
}
static long c_hot_reset(struct scene *s)
{
	struct vfio_pci_hot_reset a = {.argsz = sizeof(a)};

	return do_io(s, s->dev[0], VFIO_DEVICE_PCI_HOT_RESET, &a);
}
/* What cannot be attached again after a reset stays blocked, as in Linux; the user attaches again. */
static long u_reset(struct scene *s)
{
	long err = do_detach(s, 0, NB_NO_PASID);

	bool pasid = s->can_pasid && s->nests_by_pasid;

	if (!err && pasid)
		err = do_detach(s, 0, 5);
	if (!err)
		err = do_attach(s, 0, NB_NO_PASID, s->hwpt);
	return !err && pasid ? do_attach(s, 0, 5, s->hwpt) : err;
}
static long c_open(struct scene *s)
{
	s->fd = nb_host_open(s->host, "/dev/iommu", O_RDWR);
	return s->fd < 0 ? s->fd : 0;
}
static long u_open(struct scene *s)
{
	return nb_host_close(s->host, s->fd);
}

const struct call calls[] = {
	{"open /dev/iommu", nothing, c_open, u_open},
	{"IOAS_ALLOC", nothing, c_ioas, u_destroy},
	{"map beside what is mapped", nothing, c_map, u_map},
	{"map far away", nothing, c_map_far, u_map_far},
	{"unmap everything", nothing, c_unmap, u_unmap},
	{"IOAS_COPY", nothing, c_copy, u_copy},
	{"HWPT_ALLOC", nothing, c_hwpt, u_destroy},
	{"HWPT_ALLOC parent", nothing, c_parent, u_destroy},
	{"HWPT_ALLOC dirty", nothing, c_hwpt_dirty, u_destroy},
	{"HWPT_ALLOC nested", nothing, c_nested, u_destroy},
	{"VIOMMU_ALLOC", nothing, c_viommu, u_destroy},
	{"VDEVICE_ALLOC", s_no_vdevice, c_vdevice, u_destroy},
	{"VEVENTQ_ALLOC", nothing, c_veventq, u_fault_queue},
	{"many commands of the guest", s_nested, c_many_invalidations, nothing},
	{"VIOMMU_ALLOC with a VINTF", nothing, c_vintf, u_destroy},
	{"HW_QUEUE_ALLOC", s_hw_queue, c_hw_queue, u_destroy},
	{"an event for the guest", s_event, c_event, nothing},
	{"a page request", s_request, c_request, nothing},
	{"FAULT_QUEUE_ALLOC", nothing, c_fault_queue, u_fault_queue},
	{"HWPT_ALLOC with a fault queue", c_fault_queue, c_hwpt_fault, u_hwpt_fault},
	{"replace by an address space", nothing, c_attach_again, u_attach_again},
	{"replace by nested", nothing, c_replace_nested, u_attach},
	{"replace by its parent's kind", nothing, c_replace_parent, u_attach},
	{"replace by tracked", nothing, c_replace_dirty, u_attach},
	{"replace nested by nested", s_nested, c_nested_to_nested, u_nested_to_nested},
	{"attach a PASID", nothing, c_attach_pasid, u_attach_pasid},
	{"attach a PASID, nested", nothing, c_attach_pasid_nested, u_attach_pasid},
	{"detach", nothing, c_detach, u_attach},
	{"dirty tracking on", s_dirty, c_dirty_on, u_dirty_on},
	{"dirty bitmap", s_dirty, c_bitmap, nothing},
	{"HWPT_INVALIDATE", s_nested, c_invalidate, nothing},
	{"BIND", nothing, c_bind, u_bind},
	{"MSI-X", prepare_eventfd, c_msix, u_msix},
	{"MSI", prepare_eventfd, c_msi, u_msi},
	{"INTx", prepare_eventfd, c_intx, u_intx},
	{"replace under live messages", s_live, c_replace_live, u_attach},
	{"replace by nested under live messages", s_live, c_replace_nested_live, u_attach},
	{"MSI-X, bound by the guest", s_bound, c_message_bound, u_message_bound},
	{"bind live messages anew", s_message_bound, c_bind_anew, u_bind_anew},
	{"reset", nothing, c_reset, u_reset},
	{"hot reset", nothing, c_hot_reset, u_reset},
};

const unsigned int ncalls = ARRAY_SIZE(calls);

bool silicon_may_fail(const struct call *c)
{
	return c->call == c_hw_queue;
}
