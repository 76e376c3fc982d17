/* SPDX-License-Identifier: BSD-3-Clause */
/* Every struct, field and number of src/uapi/{iommufd,vfio}.h: S(struct) F(struct, field) C(constant). Keep it complete. */
#define UAPI_IOMMUFD(S, F, C) \
	S(iommu_destroy) F(iommu_destroy, size) F(iommu_destroy, id) S(iommu_ioas_alloc) \
	F(iommu_ioas_alloc, size) F(iommu_ioas_alloc, flags) F(iommu_ioas_alloc, out_ioas_id) \
	S(iommu_iova_range) F(iommu_iova_range, start) F(iommu_iova_range, last) S(iommu_ioas_iova_ranges) \
	F(iommu_ioas_iova_ranges, size) F(iommu_ioas_iova_ranges, ioas_id) \
	F(iommu_ioas_iova_ranges, num_iovas) F(iommu_ioas_iova_ranges, __reserved) \
	F(iommu_ioas_iova_ranges, allowed_iovas) F(iommu_ioas_iova_ranges, out_iova_alignment) \
	S(iommu_ioas_allow_iovas) F(iommu_ioas_allow_iovas, size) F(iommu_ioas_allow_iovas, ioas_id) \
	F(iommu_ioas_allow_iovas, num_iovas) F(iommu_ioas_allow_iovas, __reserved) \
	F(iommu_ioas_allow_iovas, allowed_iovas) S(iommu_ioas_map) F(iommu_ioas_map, size) \
	F(iommu_ioas_map, flags) F(iommu_ioas_map, ioas_id) F(iommu_ioas_map, __reserved) \
	F(iommu_ioas_map, user_va) F(iommu_ioas_map, length) F(iommu_ioas_map, iova) \
	S(iommu_ioas_map_file) F(iommu_ioas_map_file, size) F(iommu_ioas_map_file, flags) \
	F(iommu_ioas_map_file, ioas_id) F(iommu_ioas_map_file, fd) F(iommu_ioas_map_file, start) \
	F(iommu_ioas_map_file, length) F(iommu_ioas_map_file, iova) S(iommu_ioas_copy) \
	F(iommu_ioas_copy, size) F(iommu_ioas_copy, flags) F(iommu_ioas_copy, dst_ioas_id) \
	F(iommu_ioas_copy, src_ioas_id) F(iommu_ioas_copy, length) F(iommu_ioas_copy, dst_iova) \
	F(iommu_ioas_copy, src_iova) S(iommu_ioas_unmap) F(iommu_ioas_unmap, size) \
	F(iommu_ioas_unmap, ioas_id) F(iommu_ioas_unmap, iova) F(iommu_ioas_unmap, length) S(iommu_option) \
	F(iommu_option, size) F(iommu_option, option_id) F(iommu_option, op) F(iommu_option, __reserved) \
	F(iommu_option, object_id) F(iommu_option, val64) S(iommu_vfio_ioas) F(iommu_vfio_ioas, size) \
	F(iommu_vfio_ioas, ioas_id) F(iommu_vfio_ioas, op) F(iommu_vfio_ioas, __reserved) \
	S(iommu_hwpt_vtd_s1) F(iommu_hwpt_vtd_s1, flags) F(iommu_hwpt_vtd_s1, pgtbl_addr) \
	F(iommu_hwpt_vtd_s1, addr_width) F(iommu_hwpt_vtd_s1, __reserved) S(iommu_hwpt_arm_smmuv3) \
	F(iommu_hwpt_arm_smmuv3, ste) S(iommu_hwpt_amd_guest) F(iommu_hwpt_amd_guest, dte) \
	S(iommu_hwpt_alloc) F(iommu_hwpt_alloc, size) F(iommu_hwpt_alloc, flags) \
	F(iommu_hwpt_alloc, dev_id) F(iommu_hwpt_alloc, pt_id) F(iommu_hwpt_alloc, out_hwpt_id) \
	F(iommu_hwpt_alloc, __reserved) F(iommu_hwpt_alloc, data_type) F(iommu_hwpt_alloc, data_len) \
	F(iommu_hwpt_alloc, data_uptr) F(iommu_hwpt_alloc, fault_id) F(iommu_hwpt_alloc, __reserved2) \
	S(iommu_hw_info_vtd) F(iommu_hw_info_vtd, flags) F(iommu_hw_info_vtd, __reserved) \
	F(iommu_hw_info_vtd, cap_reg) F(iommu_hw_info_vtd, ecap_reg) S(iommu_hw_info_arm_smmuv3) \
	F(iommu_hw_info_arm_smmuv3, flags) F(iommu_hw_info_arm_smmuv3, __reserved) \
	F(iommu_hw_info_arm_smmuv3, idr) F(iommu_hw_info_arm_smmuv3, iidr) \
	F(iommu_hw_info_arm_smmuv3, aidr) S(iommu_hw_info_tegra241_cmdqv) \
	F(iommu_hw_info_tegra241_cmdqv, flags) F(iommu_hw_info_tegra241_cmdqv, version) \
	F(iommu_hw_info_tegra241_cmdqv, log2vcmdqs) F(iommu_hw_info_tegra241_cmdqv, log2vsids) \
	F(iommu_hw_info_tegra241_cmdqv, __reserved) S(iommu_hw_info_amd) F(iommu_hw_info_amd, efr) \
	F(iommu_hw_info_amd, efr2) S(iommu_hw_info) F(iommu_hw_info, size) F(iommu_hw_info, flags) \
	F(iommu_hw_info, dev_id) F(iommu_hw_info, data_len) F(iommu_hw_info, data_uptr) \
	F(iommu_hw_info, in_data_type) F(iommu_hw_info, out_data_type) \
	F(iommu_hw_info, out_max_pasid_log2) F(iommu_hw_info, __reserved) \
	F(iommu_hw_info, out_capabilities) S(iommu_hwpt_set_dirty_tracking) \
	F(iommu_hwpt_set_dirty_tracking, size) F(iommu_hwpt_set_dirty_tracking, flags) \
	F(iommu_hwpt_set_dirty_tracking, hwpt_id) F(iommu_hwpt_set_dirty_tracking, __reserved) \
	S(iommu_hwpt_get_dirty_bitmap) F(iommu_hwpt_get_dirty_bitmap, size) \
	F(iommu_hwpt_get_dirty_bitmap, hwpt_id) F(iommu_hwpt_get_dirty_bitmap, flags) \
	F(iommu_hwpt_get_dirty_bitmap, __reserved) F(iommu_hwpt_get_dirty_bitmap, iova) \
	F(iommu_hwpt_get_dirty_bitmap, length) F(iommu_hwpt_get_dirty_bitmap, page_size) \
	F(iommu_hwpt_get_dirty_bitmap, data) S(iommu_hwpt_vtd_s1_invalidate) \
	F(iommu_hwpt_vtd_s1_invalidate, addr) F(iommu_hwpt_vtd_s1_invalidate, npages) \
	F(iommu_hwpt_vtd_s1_invalidate, flags) F(iommu_hwpt_vtd_s1_invalidate, __reserved) \
	S(iommu_viommu_arm_smmuv3_invalidate) F(iommu_viommu_arm_smmuv3_invalidate, cmd) \
	S(iommu_hwpt_invalidate) F(iommu_hwpt_invalidate, size) F(iommu_hwpt_invalidate, hwpt_id) \
	F(iommu_hwpt_invalidate, data_uptr) F(iommu_hwpt_invalidate, data_type) \
	F(iommu_hwpt_invalidate, entry_len) F(iommu_hwpt_invalidate, entry_num) \
	F(iommu_hwpt_invalidate, __reserved) S(iommu_hwpt_pgfault) F(iommu_hwpt_pgfault, flags) \
	F(iommu_hwpt_pgfault, dev_id) F(iommu_hwpt_pgfault, pasid) F(iommu_hwpt_pgfault, grpid) \
	F(iommu_hwpt_pgfault, perm) F(iommu_hwpt_pgfault, __reserved) F(iommu_hwpt_pgfault, addr) \
	F(iommu_hwpt_pgfault, length) F(iommu_hwpt_pgfault, cookie) S(iommu_hwpt_page_response) \
	F(iommu_hwpt_page_response, cookie) F(iommu_hwpt_page_response, code) S(iommu_fault_alloc) \
	F(iommu_fault_alloc, size) F(iommu_fault_alloc, flags) F(iommu_fault_alloc, out_fault_id) \
	F(iommu_fault_alloc, out_fault_fd) S(iommu_viommu_alloc) F(iommu_viommu_alloc, size) \
	F(iommu_viommu_alloc, flags) F(iommu_viommu_alloc, type) F(iommu_viommu_alloc, dev_id) \
	F(iommu_viommu_alloc, hwpt_id) F(iommu_viommu_alloc, out_viommu_id) \
	F(iommu_viommu_alloc, data_len) F(iommu_viommu_alloc, __reserved) F(iommu_viommu_alloc, data_uptr) \
	S(iommu_vdevice_alloc) F(iommu_vdevice_alloc, size) F(iommu_vdevice_alloc, viommu_id) \
	F(iommu_vdevice_alloc, dev_id) F(iommu_vdevice_alloc, out_vdevice_id) \
	F(iommu_vdevice_alloc, virt_id) S(iommu_ioas_change_process) F(iommu_ioas_change_process, size) \
	F(iommu_ioas_change_process, __reserved) S(iommu_veventq_alloc) F(iommu_veventq_alloc, size) \
	F(iommu_veventq_alloc, flags) F(iommu_veventq_alloc, viommu_id) F(iommu_veventq_alloc, type) \
	F(iommu_veventq_alloc, veventq_depth) F(iommu_veventq_alloc, out_veventq_id) \
	F(iommu_veventq_alloc, out_veventq_fd) F(iommu_veventq_alloc, __reserved) S(iommu_hw_queue_alloc) \
	F(iommu_hw_queue_alloc, size) F(iommu_hw_queue_alloc, flags) F(iommu_hw_queue_alloc, viommu_id) \
	F(iommu_hw_queue_alloc, type) F(iommu_hw_queue_alloc, index) \
	F(iommu_hw_queue_alloc, out_hw_queue_id) F(iommu_hw_queue_alloc, nesting_parent_iova) \
	F(iommu_hw_queue_alloc, length) C(IOMMU_DESTROY) C(IOMMU_IOAS_ALLOC) C(IOMMU_IOAS_ALLOW_IOVAS) \
	C(IOMMU_IOAS_COPY) C(IOMMU_IOAS_IOVA_RANGES) C(IOMMU_IOAS_MAP) C(IOMMU_IOAS_UNMAP) C(IOMMU_OPTION) \
	C(IOMMU_VFIO_IOAS) C(IOMMU_HWPT_ALLOC) C(IOMMU_GET_HW_INFO) C(IOMMU_HWPT_SET_DIRTY_TRACKING) \
	C(IOMMU_HWPT_GET_DIRTY_BITMAP) C(IOMMU_HWPT_INVALIDATE) C(IOMMU_FAULT_QUEUE_ALLOC) \
	C(IOMMU_IOAS_MAP_FILE) C(IOMMU_VIOMMU_ALLOC) C(IOMMU_VDEVICE_ALLOC) C(IOMMU_IOAS_CHANGE_PROCESS) \
	C(IOMMU_VEVENTQ_ALLOC) C(IOMMU_HW_QUEUE_ALLOC) C(IOMMU_IOAS_MAP_FIXED_IOVA) \
	C(IOMMU_IOAS_MAP_WRITEABLE) C(IOMMU_IOAS_MAP_READABLE) C(IOMMU_OPTION_RLIMIT_MODE) \
	C(IOMMU_OPTION_HUGE_PAGES) C(IOMMU_OPTION_OP_SET) C(IOMMU_OPTION_OP_GET) C(IOMMU_VFIO_IOAS_GET) \
	C(IOMMU_VFIO_IOAS_SET) C(IOMMU_VFIO_IOAS_CLEAR) C(IOMMU_HWPT_ALLOC_NEST_PARENT) \
	C(IOMMU_HWPT_ALLOC_DIRTY_TRACKING) C(IOMMU_HWPT_FAULT_ID_VALID) C(IOMMU_HWPT_ALLOC_PASID) \
	C(IOMMU_HWPT_DATA_NONE) C(IOMMU_HWPT_DATA_VTD_S1) C(IOMMU_HWPT_DATA_ARM_SMMUV3) \
	C(IOMMU_HWPT_DATA_AMD_GUEST) C(IOMMU_VTD_S1_SRE) C(IOMMU_VTD_S1_EAFE) C(IOMMU_VTD_S1_WPE) \
	C(IOMMU_HW_INFO_FLAG_INPUT_TYPE) C(IOMMU_HW_INFO_TYPE_NONE) C(IOMMU_HW_INFO_TYPE_DEFAULT) \
	C(IOMMU_HW_INFO_TYPE_INTEL_VTD) C(IOMMU_HW_INFO_TYPE_ARM_SMMUV3) \
	C(IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV) C(IOMMU_HW_INFO_TYPE_AMD) \
	C(IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17) C(IOMMU_HW_CAP_DIRTY_TRACKING) \
	C(IOMMU_HW_CAP_PCI_PASID_EXEC) C(IOMMU_HW_CAP_PCI_PASID_PRIV) \
	C(IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED) C(IOMMU_HWPT_DIRTY_TRACKING_ENABLE) \
	C(IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR) C(IOMMU_HWPT_INVALIDATE_DATA_VTD_S1) \
	C(IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3) C(IOMMU_VTD_INV_FLAGS_LEAF) \
	C(IOMMU_PGFAULT_FLAGS_PASID_VALID) C(IOMMU_PGFAULT_FLAGS_LAST_PAGE) C(IOMMU_PGFAULT_PERM_READ) \
	C(IOMMU_PGFAULT_PERM_WRITE) C(IOMMU_PGFAULT_PERM_EXEC) C(IOMMU_PGFAULT_PERM_PRIV) \
	C(IOMMUFD_PAGE_RESP_SUCCESS) C(IOMMUFD_PAGE_RESP_INVALID) C(IOMMU_VIOMMU_TYPE_DEFAULT) \
	C(IOMMU_VIOMMU_TYPE_ARM_SMMUV3) C(IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV) \
	S(iommu_vevent_arm_smmuv3) F(iommu_vevent_arm_smmuv3, evt) C(IOMMU_VEVENTQ_TYPE_DEFAULT) \
	C(IOMMU_VEVENTQ_TYPE_ARM_SMMUV3) C(IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV) \
	C(IOMMU_HW_QUEUE_TYPE_DEFAULT) C(IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV) S(iommufd_vevent_header) \
	F(iommufd_vevent_header, flags) F(iommufd_vevent_header, sequence) C(IOMMU_VEVENTQ_FLAG_LOST_EVENTS) \
	S(iommu_vevent_tegra241_cmdqv) F(iommu_vevent_tegra241_cmdqv, lvcmdq_err_map) S(iommu_viommu_tegra241_cmdqv) \
	F(iommu_viommu_tegra241_cmdqv, out_vintf_mmap_offset) F(iommu_viommu_tegra241_cmdqv, out_vintf_mmap_length)

#define UAPI_VFIO(S, F, C) \
	S(vfio_device_bind_iommufd) F(vfio_device_bind_iommufd, argsz) F(vfio_device_bind_iommufd, flags) \
	F(vfio_device_bind_iommufd, iommufd) F(vfio_device_bind_iommufd, out_devid) \
	F(vfio_device_bind_iommufd, token_uuid_ptr) S(vfio_device_attach_iommufd_pt) \
	F(vfio_device_attach_iommufd_pt, argsz) F(vfio_device_attach_iommufd_pt, flags) \
	F(vfio_device_attach_iommufd_pt, pt_id) F(vfio_device_attach_iommufd_pt, pasid) \
	S(vfio_device_detach_iommufd_pt) F(vfio_device_detach_iommufd_pt, argsz) \
	F(vfio_device_detach_iommufd_pt, flags) F(vfio_device_detach_iommufd_pt, pasid) \
	S(vfio_device_info) F(vfio_device_info, argsz) F(vfio_device_info, flags) \
	F(vfio_device_info, num_regions) F(vfio_device_info, num_irqs) F(vfio_device_info, cap_offset) \
	F(vfio_device_info, pad) S(vfio_region_info) F(vfio_region_info, argsz) F(vfio_region_info, flags) \
	F(vfio_region_info, index) F(vfio_region_info, cap_offset) F(vfio_region_info, size) \
	F(vfio_region_info, offset) S(vfio_info_cap_header) F(vfio_info_cap_header, id) \
	F(vfio_info_cap_header, version) F(vfio_info_cap_header, next) S(vfio_irq_info) \
	F(vfio_irq_info, argsz) F(vfio_irq_info, flags) F(vfio_irq_info, index) F(vfio_irq_info, count) \
	S(vfio_irq_set) F(vfio_irq_set, argsz) F(vfio_irq_set, flags) F(vfio_irq_set, index) \
	F(vfio_irq_set, start) F(vfio_irq_set, count) F(vfio_irq_set, data) S(vfio_pci_dependent_device) \
	F(vfio_pci_dependent_device, group_id) F(vfio_pci_dependent_device, devid) \
	F(vfio_pci_dependent_device, segment) F(vfio_pci_dependent_device, bus) \
	F(vfio_pci_dependent_device, devfn) S(vfio_pci_hot_reset_info) F(vfio_pci_hot_reset_info, argsz) \
	F(vfio_pci_hot_reset_info, flags) F(vfio_pci_hot_reset_info, count) \
	F(vfio_pci_hot_reset_info, devices) S(vfio_pci_hot_reset) F(vfio_pci_hot_reset, argsz) \
	F(vfio_pci_hot_reset, flags) F(vfio_pci_hot_reset, count) F(vfio_pci_hot_reset, group_fds) \
	S(vfio_device_feature) F(vfio_device_feature, argsz) F(vfio_device_feature, flags) \
	F(vfio_device_feature, data) C(VFIO_GET_API_VERSION) C(VFIO_CHECK_EXTENSION) C(VFIO_SET_IOMMU) \
	C(VFIO_IOMMU_GET_INFO) C(VFIO_IOMMU_MAP_DMA) C(VFIO_IOMMU_UNMAP_DMA) C(VFIO_DEVICE_GET_INFO) \
	C(VFIO_DEVICE_GET_REGION_INFO) C(VFIO_DEVICE_GET_IRQ_INFO) C(VFIO_DEVICE_SET_IRQS) \
	C(VFIO_DEVICE_RESET) C(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO) C(VFIO_DEVICE_PCI_HOT_RESET) \
	C(VFIO_DEVICE_IOEVENTFD) C(VFIO_DEVICE_FEATURE) C(VFIO_DEVICE_BIND_IOMMUFD) \
	C(VFIO_DEVICE_ATTACH_IOMMUFD_PT) C(VFIO_DEVICE_DETACH_IOMMUFD_PT) C(VFIO_DEVICE_BIND_FLAG_TOKEN) \
	C(VFIO_DEVICE_ATTACH_PASID) C(VFIO_DEVICE_DETACH_PASID) C(VFIO_DEVICE_FLAGS_RESET) \
	C(VFIO_DEVICE_FLAGS_PCI) C(VFIO_DEVICE_FLAGS_CAPS) C(VFIO_PCI_BAR0_REGION_INDEX) \
	C(VFIO_PCI_BAR5_REGION_INDEX) C(VFIO_PCI_ROM_REGION_INDEX) C(VFIO_PCI_CONFIG_REGION_INDEX) \
	C(VFIO_PCI_VGA_REGION_INDEX) C(VFIO_PCI_NUM_REGIONS) C(VFIO_REGION_INFO_FLAG_READ) \
	C(VFIO_REGION_INFO_FLAG_WRITE) C(VFIO_REGION_INFO_FLAG_MMAP) C(VFIO_REGION_INFO_FLAG_CAPS) \
	C(VFIO_REGION_INFO_CAP_MSIX_MAPPABLE) C(VFIO_PCI_INTX_IRQ_INDEX) C(VFIO_PCI_MSI_IRQ_INDEX) \
	C(VFIO_PCI_MSIX_IRQ_INDEX) C(VFIO_PCI_ERR_IRQ_INDEX) C(VFIO_PCI_REQ_IRQ_INDEX) \
	C(VFIO_PCI_NUM_IRQS) C(VFIO_IRQ_INFO_EVENTFD) C(VFIO_IRQ_INFO_MASKABLE) \
	C(VFIO_IRQ_INFO_AUTOMASKED) C(VFIO_IRQ_INFO_NORESIZE) C(VFIO_IRQ_SET_DATA_NONE) \
	C(VFIO_IRQ_SET_DATA_BOOL) C(VFIO_IRQ_SET_DATA_EVENTFD) C(VFIO_IRQ_SET_ACTION_MASK) \
	C(VFIO_IRQ_SET_ACTION_UNMASK) C(VFIO_IRQ_SET_ACTION_TRIGGER) C(VFIO_IRQ_SET_DATA_TYPE_MASK) \
	C(VFIO_IRQ_SET_ACTION_TYPE_MASK) C(VFIO_PCI_HOT_RESET_FLAG_DEV_ID) \
	C(VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED) C(VFIO_DEVICE_FEATURE_MASK) C(VFIO_DEVICE_FEATURE_GET) \
	C(VFIO_DEVICE_FEATURE_SET) C(VFIO_DEVICE_FEATURE_PROBE) C(VFIO_DEVICE_FEATURE_PCI_VF_TOKEN) \
	C(VFIO_DEVICE_FEATURE_MIGRATION) C(VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE) \
	C(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY) C(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP) \
	C(VFIO_DEVICE_FEATURE_LOW_POWER_EXIT) C(VFIO_DEVICE_FEATURE_DMA_LOGGING_START) \
	C(VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP) C(VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT) \
	C(VFIO_DEVICE_FEATURE_MIG_DATA_SIZE) C(VFIO_DEVICE_FEATURE_BUS_MASTER) \
	C(VFIO_DEVICE_FEATURE_DMA_BUF) C(VFIO_API_VERSION) C(VFIO_TYPE1_IOMMU) C(VFIO_TYPE1v2_IOMMU) \
	C(VFIO_DMA_CC_IOMMU) C(VFIO_UNMAP_ALL) C(VFIO_PCI_DEVID_OWNED) C(VFIO_PCI_DEVID_NOT_OWNED)
