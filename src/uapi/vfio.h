/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The wire format of VFIO device files, as far as PCI functions behind iommufd need it.
 *
 * Names, sizes and offsets are Linux's; tests/unit/test_uapi_layout.c holds them against the system's header. A
 * translation unit includes either this file or <linux/vfio.h>. Every struct begins with argsz, the room that the caller has.
 */
#ifndef NB_UAPI_VFIO_H
#define NB_UAPI_VFIO_H

#include <stdint.h>

enum {
	/* on an iommufd context that plays the old container */
	VFIO_GET_API_VERSION = 0x3b64,
	VFIO_CHECK_EXTENSION = 0x3b65,
	VFIO_SET_IOMMU = 0x3b66,
	VFIO_IOMMU_GET_INFO = 0x3b70,
	VFIO_IOMMU_MAP_DMA = 0x3b71,
	VFIO_IOMMU_UNMAP_DMA = 0x3b72,
	/* on a device; 0x70 and 0x71 mean other things there */
	VFIO_DEVICE_GET_INFO = 0x3b6b,
	VFIO_DEVICE_GET_REGION_INFO = 0x3b6c,
	VFIO_DEVICE_GET_IRQ_INFO = 0x3b6d,
	VFIO_DEVICE_SET_IRQS = 0x3b6e,
	VFIO_DEVICE_RESET = 0x3b6f,
	VFIO_DEVICE_GET_PCI_HOT_RESET_INFO = 0x3b70,
	VFIO_DEVICE_PCI_HOT_RESET = 0x3b71,
	VFIO_DEVICE_IOEVENTFD = 0x3b74,
	VFIO_DEVICE_FEATURE = 0x3b75,
	VFIO_DEVICE_BIND_IOMMUFD = 0x3b76,
	VFIO_DEVICE_ATTACH_IOMMUFD_PT = 0x3b77,
	VFIO_DEVICE_DETACH_IOMMUFD_PT = 0x3b78,
};

enum { VFIO_DEVICE_BIND_FLAG_TOKEN = 1 };

struct vfio_device_bind_iommufd {
	uint32_t argsz;
	uint32_t flags;
	int32_t iommufd;
	uint32_t out_devid;
	uint64_t token_uuid_ptr;
};

enum { VFIO_DEVICE_ATTACH_PASID = 1, VFIO_DEVICE_DETACH_PASID = 1 };

struct vfio_device_attach_iommufd_pt {
	uint32_t argsz;
	uint32_t flags;
	uint32_t pt_id; /* in: IOAS or HWPT; out: the HWPT */
	uint32_t pasid;
};

struct vfio_device_detach_iommufd_pt {
	uint32_t argsz;
	uint32_t flags;
	uint32_t pasid;
};

enum { VFIO_DEVICE_FLAGS_RESET = 1, VFIO_DEVICE_FLAGS_PCI = 2, VFIO_DEVICE_FLAGS_CAPS = 0x80 };

struct vfio_device_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t num_regions;
	uint32_t num_irqs;
	uint32_t cap_offset;
	uint32_t pad;
};

enum {
	VFIO_PCI_BAR0_REGION_INDEX = 0,
	VFIO_PCI_BAR5_REGION_INDEX = 5,
	VFIO_PCI_ROM_REGION_INDEX = 6,
	VFIO_PCI_CONFIG_REGION_INDEX = 7,
	VFIO_PCI_VGA_REGION_INDEX = 8,
	VFIO_PCI_NUM_REGIONS = 9,
};

enum {
	VFIO_REGION_INFO_FLAG_READ = 1,
	VFIO_REGION_INFO_FLAG_WRITE = 2,
	VFIO_REGION_INFO_FLAG_MMAP = 4,
	VFIO_REGION_INFO_FLAG_CAPS = 8,
};

struct vfio_region_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t cap_offset;
	uint64_t size;
	uint64_t offset;
};

struct vfio_info_cap_header {
	uint16_t id;
	uint16_t version;
	uint32_t next; /* from the start of the struct; 0 ends */
};

enum { VFIO_REGION_INFO_CAP_MSIX_MAPPABLE = 3 };

enum {
	VFIO_PCI_INTX_IRQ_INDEX = 0,
	VFIO_PCI_MSI_IRQ_INDEX = 1,
	VFIO_PCI_MSIX_IRQ_INDEX = 2,
	VFIO_PCI_ERR_IRQ_INDEX = 3,
	VFIO_PCI_REQ_IRQ_INDEX = 4,
	VFIO_PCI_NUM_IRQS = 5,
};

enum {
	VFIO_IRQ_INFO_EVENTFD = 1,
	VFIO_IRQ_INFO_MASKABLE = 2,
	VFIO_IRQ_INFO_AUTOMASKED = 4,
	VFIO_IRQ_INFO_NORESIZE = 8,
};

struct vfio_irq_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t count;
};

enum {
	VFIO_IRQ_SET_DATA_NONE = 1,
	VFIO_IRQ_SET_DATA_BOOL = 2,
	VFIO_IRQ_SET_DATA_EVENTFD = 4,
	VFIO_IRQ_SET_ACTION_MASK = 8,
	VFIO_IRQ_SET_ACTION_UNMASK = 16,
	VFIO_IRQ_SET_ACTION_TRIGGER = 32,
	VFIO_IRQ_SET_DATA_TYPE_MASK = 7,
	VFIO_IRQ_SET_ACTION_TYPE_MASK = 56,
};

struct vfio_irq_set {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t start;
	uint32_t count;
	uint8_t data[];
};

enum {
	VFIO_PCI_HOT_RESET_FLAG_DEV_ID = 1,
	VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED = 2,
};
#define VFIO_PCI_DEVID_OWNED	 0
#define VFIO_PCI_DEVID_NOT_OWNED (-1)

struct vfio_pci_dependent_device {
	union {
		uint32_t group_id;
		uint32_t devid;
	};
	uint16_t segment;
	uint8_t bus;
	uint8_t devfn;
};

struct vfio_pci_hot_reset_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t count;
	struct vfio_pci_dependent_device devices[];
};

struct vfio_pci_hot_reset {
	uint32_t argsz;
	uint32_t flags;
	uint32_t count;
	int32_t group_fds[];
};

enum {
	VFIO_DEVICE_FEATURE_MASK = 0xffff,
	VFIO_DEVICE_FEATURE_GET = 1 << 16,
	VFIO_DEVICE_FEATURE_SET = 1 << 17,
	VFIO_DEVICE_FEATURE_PROBE = 1 << 18,
};

enum {
	VFIO_DEVICE_FEATURE_PCI_VF_TOKEN = 0,
	VFIO_DEVICE_FEATURE_MIGRATION = 1,
	VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE = 2,
	VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY = 3,
	VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP = 4,
	VFIO_DEVICE_FEATURE_LOW_POWER_EXIT = 5,
	VFIO_DEVICE_FEATURE_DMA_LOGGING_START = 6,
	VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP = 7,
	VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT = 8,
	VFIO_DEVICE_FEATURE_MIG_DATA_SIZE = 9,
	VFIO_DEVICE_FEATURE_BUS_MASTER = 10,
	VFIO_DEVICE_FEATURE_DMA_BUF = 11,
};

struct vfio_device_feature {
	uint32_t argsz;
	uint32_t flags;
	uint8_t data[];
};

/* VFIO_CHECK_EXTENSION */
enum { VFIO_API_VERSION = 0, VFIO_TYPE1_IOMMU = 1, VFIO_TYPE1v2_IOMMU = 3, VFIO_DMA_CC_IOMMU = 4, VFIO_UNMAP_ALL = 9 };

#endif
