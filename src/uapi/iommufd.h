/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The wire format of iommufd, Linux 7.2: numbers, structs, values.
 *
 * Names, sizes and offsets are Linux's, so that a kernel reader is at home and so that
 * tests/unit/test_uapi_layout.c can hold every one of them against the system's own header. A translation unit includes
 * either this file or <linux/iommufd.h>, never both.
 *
 * How all calls behave: the first word is the size of the struct as the caller knows it. A shorter one (but not
 * shorter than the oldest) reads as if the rest were 0; a longer one is fine while the rest is 0. "out" marks what comes back.
 */
#ifndef NB_UAPI_IOMMUFD_H
#define NB_UAPI_IOMMUFD_H

#include <stdint.h>

/* Command numbers carry neither size nor direction: ';' << 8 | number. */
enum {
	IOMMU_DESTROY = 0x3b80,
	IOMMU_IOAS_ALLOC = 0x3b81,
	IOMMU_IOAS_ALLOW_IOVAS = 0x3b82,
	IOMMU_IOAS_COPY = 0x3b83,
	IOMMU_IOAS_IOVA_RANGES = 0x3b84,
	IOMMU_IOAS_MAP = 0x3b85,
	IOMMU_IOAS_UNMAP = 0x3b86,
	IOMMU_OPTION = 0x3b87,
	IOMMU_VFIO_IOAS = 0x3b88,
	IOMMU_HWPT_ALLOC = 0x3b89,
	IOMMU_GET_HW_INFO = 0x3b8a,
	IOMMU_HWPT_SET_DIRTY_TRACKING = 0x3b8b,
	IOMMU_HWPT_GET_DIRTY_BITMAP = 0x3b8c,
	IOMMU_HWPT_INVALIDATE = 0x3b8d,
	IOMMU_FAULT_QUEUE_ALLOC = 0x3b8e,
	IOMMU_IOAS_MAP_FILE = 0x3b8f,
	IOMMU_VIOMMU_ALLOC = 0x3b90,
	IOMMU_VDEVICE_ALLOC = 0x3b91,
	IOMMU_IOAS_CHANGE_PROCESS = 0x3b92,
	IOMMU_VEVENTQ_ALLOC = 0x3b93,
	IOMMU_HW_QUEUE_ALLOC = 0x3b94,
};

struct iommu_destroy {
	uint32_t size;
	uint32_t id;
};

struct iommu_ioas_alloc {
	uint32_t size;
	uint32_t flags; /* 0 */
	uint32_t out_ioas_id;
};

struct iommu_iova_range {
	uint64_t start;
	uint64_t last; /* inclusive */
};

struct iommu_ioas_iova_ranges {
	uint32_t size;
	uint32_t ioas_id;
	uint32_t num_iovas; /* in: room in the array; out: how many there are */
	uint32_t __reserved;
	uint64_t allowed_iovas; /* struct iommu_iova_range[] */
	uint64_t out_iova_alignment;
};

struct iommu_ioas_allow_iovas {
	uint32_t size;
	uint32_t ioas_id;
	uint32_t num_iovas;
	uint32_t __reserved;
	uint64_t allowed_iovas; /* struct iommu_iova_range[] */
};

enum { /* MAP, MAP_FILE, COPY */
	IOMMU_IOAS_MAP_FIXED_IOVA = 1,
	IOMMU_IOAS_MAP_WRITEABLE = 2,
	IOMMU_IOAS_MAP_READABLE = 4,
};

struct iommu_ioas_map {
	uint32_t size;
	uint32_t flags;
	uint32_t ioas_id;
	uint32_t __reserved;
	uint64_t user_va;
	uint64_t length;
	uint64_t iova; /* in when FIXED_IOVA; out */
};

struct iommu_ioas_map_file {
	uint32_t size;
	uint32_t flags;
	uint32_t ioas_id;
	int32_t fd;
	uint64_t start; /* byte offset in the file */
	uint64_t length;
	uint64_t iova;
};

struct iommu_ioas_copy {
	uint32_t size;
	uint32_t flags;
	uint32_t dst_ioas_id;
	uint32_t src_ioas_id;
	uint64_t length;
	uint64_t dst_iova;
	uint64_t src_iova;
};

struct iommu_ioas_unmap {
	uint32_t size;
	uint32_t ioas_id;
	uint64_t iova;
	uint64_t length; /* out: bytes that were mapped */
};

enum iommufd_option { IOMMU_OPTION_RLIMIT_MODE = 0, IOMMU_OPTION_HUGE_PAGES = 1 };
enum iommufd_option_ops { IOMMU_OPTION_OP_SET = 0, IOMMU_OPTION_OP_GET = 1 };

struct iommu_option {
	uint32_t size;
	uint32_t option_id;
	uint16_t op;
	uint16_t __reserved;
	uint32_t object_id;
	uint64_t val64;
};

enum iommufd_vfio_ioas_op { IOMMU_VFIO_IOAS_GET = 0, IOMMU_VFIO_IOAS_SET = 1, IOMMU_VFIO_IOAS_CLEAR = 2 };

struct iommu_vfio_ioas {
	uint32_t size;
	uint32_t ioas_id;
	uint16_t op;
	uint16_t __reserved;
};

enum iommufd_hwpt_alloc_flags {
	IOMMU_HWPT_ALLOC_NEST_PARENT = 1,
	IOMMU_HWPT_ALLOC_DIRTY_TRACKING = 2,
	IOMMU_HWPT_FAULT_ID_VALID = 4,
	IOMMU_HWPT_ALLOC_PASID = 8,
};

enum iommu_hwpt_data_type {
	IOMMU_HWPT_DATA_NONE = 0,
	IOMMU_HWPT_DATA_VTD_S1 = 1,
	IOMMU_HWPT_DATA_ARM_SMMUV3 = 2,
	IOMMU_HWPT_DATA_AMD_GUEST = 3,
};

enum iommu_hwpt_vtd_s1_flags {
	IOMMU_VTD_S1_SRE = 1, /* supervisor requests */
	IOMMU_VTD_S1_EAFE = 2, /* extended accessed flag */
	IOMMU_VTD_S1_WPE = 4, /* write protection for supervisor requests */
};

struct iommu_hwpt_vtd_s1 {
	uint64_t flags;
	uint64_t pgtbl_addr; /* GPA of the root */
	uint32_t addr_width;
	uint32_t __reserved;
};

struct iommu_hwpt_arm_smmuv3 {
	uint64_t ste[2]; /* little-endian */
};

struct iommu_hwpt_amd_guest {
	uint64_t dte[4];
};

struct iommu_hwpt_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t dev_id;
	uint32_t pt_id; /* IOAS, parent HWPT or vIOMMU */
	uint32_t out_hwpt_id;
	uint32_t __reserved;
	uint32_t data_type;
	uint32_t data_len;
	uint64_t data_uptr;
	uint32_t fault_id;
	uint32_t __reserved2;
};

enum iommu_hw_info_flags { IOMMU_HW_INFO_FLAG_INPUT_TYPE = 1 };

enum iommu_hw_info_type {
	IOMMU_HW_INFO_TYPE_NONE = 0,
	IOMMU_HW_INFO_TYPE_DEFAULT = 0,
	IOMMU_HW_INFO_TYPE_INTEL_VTD = 1,
	IOMMU_HW_INFO_TYPE_ARM_SMMUV3 = 2,
	IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV = 3,
	IOMMU_HW_INFO_TYPE_AMD = 4,
};

enum iommu_hw_info_vtd_flags { IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17 = 1 };

struct iommu_hw_info_vtd {
	uint32_t flags;
	uint32_t __reserved;
	uint64_t cap_reg;
	uint64_t ecap_reg;
};

struct iommu_hw_info_arm_smmuv3 {
	uint32_t flags;
	uint32_t __reserved;
	uint32_t idr[6];
	uint32_t iidr;
	uint32_t aidr;
};

struct iommu_hw_info_tegra241_cmdqv {
	uint32_t flags;
	uint8_t version;
	uint8_t log2vcmdqs;
	uint8_t log2vsids;
	uint8_t __reserved;
};

struct iommu_hw_info_amd {
	uint64_t efr;
	uint64_t efr2;
};

enum iommufd_hw_capabilities {
	IOMMU_HW_CAP_DIRTY_TRACKING = 1,
	IOMMU_HW_CAP_PCI_PASID_EXEC = 2,
	IOMMU_HW_CAP_PCI_PASID_PRIV = 4,
	IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED = 8,
};

struct iommu_hw_info {
	uint32_t size;
	uint32_t flags;
	uint32_t dev_id;
	uint32_t data_len; /* in: room; out: what the kernel has, which may be more */
	uint64_t data_uptr;
	union {
		uint32_t in_data_type;
		uint32_t out_data_type;
	};
	uint8_t out_max_pasid_log2;
	uint8_t __reserved[3];
	uint64_t out_capabilities;
};

enum iommufd_hwpt_set_dirty_tracking_flags { IOMMU_HWPT_DIRTY_TRACKING_ENABLE = 1 };

struct iommu_hwpt_set_dirty_tracking {
	uint32_t size;
	uint32_t flags;
	uint32_t hwpt_id;
	uint32_t __reserved;
};

enum iommufd_hwpt_get_dirty_bitmap_flags { IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR = 1 };

struct iommu_hwpt_get_dirty_bitmap {
	uint32_t size;
	uint32_t hwpt_id;
	uint32_t flags;
	uint32_t __reserved;
	uint64_t iova;
	uint64_t length;
	uint64_t page_size; /* of the bitmap: one bit each */
	uint64_t data;
};

enum iommu_hwpt_invalidate_data_type {
	IOMMU_HWPT_INVALIDATE_DATA_VTD_S1 = 0,
	IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3 = 1,
};

enum iommu_hwpt_vtd_s1_invalidate_flags { IOMMU_VTD_INV_FLAGS_LEAF = 1 };

struct iommu_hwpt_vtd_s1_invalidate {
	uint64_t addr;
	uint64_t npages; /* all ones with addr 0: everything */
	uint32_t flags;
	uint32_t __reserved;
};

struct iommu_viommu_arm_smmuv3_invalidate {
	uint64_t cmd[2]; /* little-endian */
};

struct iommu_hwpt_invalidate {
	uint32_t size;
	uint32_t hwpt_id;
	uint64_t data_uptr;
	uint32_t data_type;
	uint32_t entry_len;
	uint32_t entry_num; /* out: entries handled, also on error */
	uint32_t __reserved;
};

enum iommu_hwpt_pgfault_flags { IOMMU_PGFAULT_FLAGS_PASID_VALID = 1, IOMMU_PGFAULT_FLAGS_LAST_PAGE = 2 };

enum iommu_hwpt_pgfault_perm {
	IOMMU_PGFAULT_PERM_READ = 1,
	IOMMU_PGFAULT_PERM_WRITE = 2,
	IOMMU_PGFAULT_PERM_EXEC = 4,
	IOMMU_PGFAULT_PERM_PRIV = 8,
};

struct iommu_hwpt_pgfault {
	uint32_t flags;
	uint32_t dev_id;
	uint32_t pasid;
	uint32_t grpid;
	uint32_t perm;
	uint32_t __reserved;
	uint64_t addr;
	uint32_t length;
	uint32_t cookie;
};

enum iommufd_page_response_code { IOMMUFD_PAGE_RESP_SUCCESS = 0, IOMMUFD_PAGE_RESP_INVALID = 1 };

struct iommu_hwpt_page_response {
	uint32_t cookie;
	uint32_t code;
};

struct iommu_fault_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t out_fault_id;
	uint32_t out_fault_fd;
};

enum iommu_viommu_type {
	IOMMU_VIOMMU_TYPE_DEFAULT = 0,
	IOMMU_VIOMMU_TYPE_ARM_SMMUV3 = 1,
	IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV = 2,
};

struct iommu_viommu_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t type;
	uint32_t dev_id;
	uint32_t hwpt_id;
	uint32_t out_viommu_id;
	uint32_t data_len;
	uint32_t __reserved;
	uint64_t data_uptr;
};

/* All of it comes back. */
struct iommu_viommu_tegra241_cmdqv {
	uint64_t out_vintf_mmap_offset;
	uint64_t out_vintf_mmap_length;
};

struct iommu_vdevice_alloc {
	uint32_t size;
	uint32_t viommu_id;
	uint32_t dev_id;
	uint32_t out_vdevice_id;
	uint64_t virt_id;
};

enum iommu_veventq_type {
	IOMMU_VEVENTQ_TYPE_DEFAULT = 0,
	IOMMU_VEVENTQ_TYPE_ARM_SMMUV3 = 1,
	IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV = 2,
};

enum iommu_veventq_flag { IOMMU_VEVENTQ_FLAG_LOST_EVENTS = 1 };

/* Before every event that is read. */
struct iommufd_vevent_header {
	uint32_t flags;	   /* LOST_EVENTS: no event follows */
	uint32_t sequence; /* counts lost events too; after 0x7fffffff comes 0 */
};

/* Payload of an event, behind its header. */
struct iommu_vevent_arm_smmuv3 {
	uint64_t evt[4]; /* little-endian */
};

struct iommu_vevent_tegra241_cmdqv {
	uint64_t lvcmdq_err_map[2]; /* little-endian */
};

enum iommu_hw_queue_type { IOMMU_HW_QUEUE_TYPE_DEFAULT = 0, IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV = 1 };

struct iommu_ioas_change_process {
	uint32_t size;
	uint32_t __reserved;
};

struct iommu_veventq_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t viommu_id;
	uint32_t type;
	uint32_t veventq_depth;
	uint32_t out_veventq_id;
	uint32_t out_veventq_fd;
	uint32_t __reserved;
};

struct iommu_hw_queue_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t viommu_id;
	uint32_t type;
	uint32_t index;
	uint32_t out_hw_queue_id;
	uint64_t nesting_parent_iova;
	uint64_t length;
};

#endif
