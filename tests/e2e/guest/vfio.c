/* SPDX-License-Identifier: BSD-3-Clause */
/* See vfio.h. The steps are those of the kernel's Documentation/driver-api/vfio.rst. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"
#include "vfio.h"

static int must_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fail("%s: %s", path, strerror(errno));
	return fd;
}

void vfio_bind(const char *pci)
{
	char path[PATH_MAX];

	module_load("vfio-pci");
	module_load("vfio_iommu_type1");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", pci);
	write_text(path, "vfio-pci");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver/unbind", pci);
	if (access(path, W_OK) == 0)
		write_text(path, pci);
	write_text("/sys/bus/pci/drivers_probe", pci);
}

static void open_group(struct vfio *v, const char *pci)
{
	struct vfio_group_status status = {.argsz = sizeof(status)};
	char path[PATH_MAX], group[PATH_MAX], node[64];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", pci);
	if (!realpath(path, group))
		fail("%s has no IOMMU group", pci);
	snprintf(node, sizeof(node), "/dev/vfio/%.32s", strrchr(group, '/') + 1);
	v->group = must_open(node);
	if (ioctl(v->group, VFIO_GROUP_GET_STATUS, &status) < 0 || !(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		fail("%s is not viable", node);
}

static void set_bus_master(struct vfio *v)
{
	struct vfio_region_info config = {.argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX};
	uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	if (ioctl(v->device, VFIO_DEVICE_GET_REGION_INFO, &config) < 0 ||
	    pwrite(v->device, &command, sizeof(command), (off_t)config.offset + PCI_COMMAND) != sizeof(command))
		fail("writing the command register: %s", strerror(errno));
}

void vfio_open(struct vfio *v, const char *pci)
{
	vfio_bind(pci);
	v->container = must_open("/dev/vfio/vfio");
	open_group(v, pci);
	if (ioctl(v->group, VFIO_GROUP_SET_CONTAINER, &v->container) < 0)
		fail("VFIO_GROUP_SET_CONTAINER: %s", strerror(errno));
	if (ioctl(v->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0)
		fail("VFIO_SET_IOMMU: %s", strerror(errno));
	v->device = ioctl(v->group, VFIO_GROUP_GET_DEVICE_FD, pci);
	if (v->device < 0)
		fail("VFIO_GROUP_GET_DEVICE_FD: %s", strerror(errno));
	set_bus_master(v);
}

void vfio_close(struct vfio *v)
{
	close(v->device);
	close(v->group);
	close(v->container);
}

void vfio_map(struct vfio *v, void *va, uint64_t iova, uint64_t size, int writable)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | (writable ? VFIO_DMA_MAP_FLAG_WRITE : 0),
		.vaddr = (uintptr_t)va,
		.iova = iova,
		.size = size,
	};

	if (ioctl(v->container, VFIO_IOMMU_MAP_DMA, &map) < 0)
		fail("VFIO_IOMMU_MAP_DMA at %#llx: %s", (unsigned long long)iova, strerror(errno));
}

void vfio_unmap(struct vfio *v, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_unmap unmap = {.argsz = sizeof(unmap), .iova = iova, .size = size};

	if (ioctl(v->container, VFIO_IOMMU_UNMAP_DMA, &unmap) < 0 || unmap.size != size)
		fail("VFIO_IOMMU_UNMAP_DMA at %#llx: %s", (unsigned long long)iova, strerror(errno));
}

volatile void *vfio_bar(struct vfio *v, unsigned int bar, size_t *size)
{
	struct vfio_region_info info = {.argsz = sizeof(info), .index = VFIO_PCI_BAR0_REGION_INDEX + bar};
	void *p;

	if (ioctl(v->device, VFIO_DEVICE_GET_REGION_INFO, &info) < 0 ||
	    !(info.flags & VFIO_REGION_INFO_FLAG_MMAP))
		fail("BAR %u cannot be mapped", bar);
	p = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, v->device, (off_t)info.offset);
	if (p == MAP_FAILED)
		fail("mapping BAR %u: %s", bar, strerror(errno));
	*size = info.size;
	return p;
}

int vfio_msix(struct vfio *v)
{
	char buf[sizeof(struct vfio_irq_set) + sizeof(int32_t)];
	struct vfio_irq_set set = {
		.argsz = sizeof(buf),
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = VFIO_PCI_MSIX_IRQ_INDEX,
		.count = 1,
	};
	int32_t fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	memcpy(buf, &set, sizeof(set));
	memcpy(buf + sizeof(set), &fd, sizeof(fd));
	if (fd < 0 || ioctl(v->device, VFIO_DEVICE_SET_IRQS, buf) < 0)
		fail("MSI-X: %s", strerror(errno));
	return fd;
}
