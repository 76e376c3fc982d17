/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How the demo's VMM nests the guest's table on the host's, for each kind of IOMMU.
 *
 *   VT-d     the nested HWPT names the first-stage table; invalidations name pages
 *   SMMUv3   the nested HWPT is a vIOMMU's and names the guest's table of context descriptors; invalidations are the guest's own commands
 */
#include "cli/demo_vm.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "uapi/iommufd.h"

static int alloc_nested(struct demo_vm *vm, uint32_t on, uint32_t type, void *data, uint32_t len, struct nb_diag *diag)
{
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.flags = vm->fault_queue ? (uint32_t)IOMMU_HWPT_FAULT_ID_VALID : 0,
		.fault_id = vm->fault_queue,
		.dev_id = vm->devid,
		.pt_id = on,
		.data_type = type,
		.data_len = len,
		.data_uptr = (uintptr_t)data,
	};
	long r = demo_vm_ioctl(vm, vm->iommufd, IOMMU_HWPT_ALLOC, &hwpt);

	if (r)
		return demo_vm_refused(diag, r, "nest the guest's table on it");
	vm->nested = hwpt.out_hwpt_id;
	return 0;
}

/* ---- VT-d ---- */

static int vtd_nest(struct demo_vm *vm, struct nb_diag *diag)
{
	struct iommu_hwpt_vtd_s1 s1 = {.pgtbl_addr = vm->guest.root.v, .addr_width = 48};

	return alloc_nested(vm, vm->parent, IOMMU_HWPT_DATA_VTD_S1, &s1, sizeof(s1), diag);
}

static int vtd_invalidate(struct demo_vm *vm, uint64_t addr, uint64_t pages)
{
	struct iommu_hwpt_vtd_s1_invalidate range = {.addr = addr, .npages = pages};
	struct iommu_hwpt_invalidate inv = {
		.size = sizeof(inv),
		.hwpt_id = vm->nested,
		.data_uptr = (uintptr_t)&range,
		.data_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
		.entry_len = sizeof(range),
		.entry_num = 1,
	};

	return (int)demo_vm_ioctl(vm, vm->iommufd, IOMMU_HWPT_INVALIDATE, &inv);
}

/* ---- SMMUv3: IHI 0070, by its bit numbers ---- */

#define VSID 0x42u /* what the guest calls the device */
#define ASID 7u
#define MAX_COMMANDS 16u

/* 5.4: a table of one context descriptor. 48 bits in, 48 bits out, TTB1 off, faults recorded and aborted. */
static int smmu_make_cd(struct demo_vm *vm, gpa_t *at, struct nb_diag *diag)
{
	int err = guest_alloc(&vm->guest, at);
	le64_t *cd;

	if (err)
		return nb_fail(diag, err, "the guest's memory is too small");
	cd = guest_ptr(&vm->guest, *at);
	cd[1] = le64(vm->guest.root.v);	     /* TTB0 */
	cd[3] = le64(0xff);		     /* MAIR: attribute 0 is normal memory, write-back */
	cd[0] = le64(16 |		     /* T0SZ */
		     BIT(30) |		     /* EPD1 */
		     BIT(31) |		     /* V */
		     UINT64_C(5) << 32 |     /* IPS */
		     BIT(41) |		     /* AA64 */
		     BIT(45) | BIT(46) |     /* R, A */
		     (uint64_t)ASID << 48);
	return 0;
}

static int smmu_nest(struct demo_vm *vm, struct nb_diag *diag)
{
	struct iommu_viommu_alloc viommu = {
		.size = sizeof(viommu),
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		.dev_id = vm->devid,
		.hwpt_id = vm->parent,
	};
	struct iommu_vdevice_alloc vdevice = {.size = sizeof(vdevice), .dev_id = vm->devid, .virt_id = VSID};
	struct iommu_hwpt_arm_smmuv3 ste;
	gpa_t cd = gpa(0);
	long r;
	int err;

	r = demo_vm_ioctl(vm, vm->iommufd, IOMMU_VIOMMU_ALLOC, &viommu);
	if (r)
		return demo_vm_refused(diag, r, "make a vIOMMU on it");
	vm->viommu = vdevice.viommu_id = viommu.out_viommu_id;
	r = demo_vm_ioctl(vm, vm->iommufd, IOMMU_VDEVICE_ALLOC, &vdevice);
	if (r)
		return demo_vm_refused(diag, r, "give the device its name in the guest");
	err = smmu_make_cd(vm, &cd, diag);
	if (err)
		return err;
	ste.ste[0] = le64(BIT(0) | 5u << 1 | cd.v).le; /* V, Config: stage 1, S1ContextPtr */
	ste.ste[1] = 0;
	return alloc_nested(vm, vm->viommu, IOMMU_HWPT_DATA_ARM_SMMUV3, &ste, sizeof(ste), diag);
}

/* 4.4: CMD_TLBI_NH_VA, one a page, of leaves only. The VMID is the host's affair. */
static int smmu_invalidate(struct demo_vm *vm, uint64_t addr, uint64_t pages)
{
	struct iommu_viommu_arm_smmuv3_invalidate cmd[MAX_COMMANDS];
	struct iommu_hwpt_invalidate inv = {
		.size = sizeof(inv),
		.hwpt_id = vm->viommu,
		.data_uptr = (uintptr_t)cmd,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.entry_len = sizeof(cmd[0]),
		.entry_num = (uint32_t)pages,
	};
	uint64_t i;

	if (pages > MAX_COMMANDS)
		return -EINVAL;
	for (i = 0; i < pages; i++) {
		cmd[i].cmd[0] = le64(0x12 | (uint64_t)ASID << 48).le;
		cmd[i].cmd[1] = le64((addr + i * GUEST_PAGE) | 1).le;
	}
	return (int)demo_vm_ioctl(vm, vm->iommufd, IOMMU_HWPT_INVALIDATE, &inv);
}

static const struct demo_nest kinds[] = {
	{
		.hw_info = IOMMU_HW_INFO_TYPE_INTEL_VTD,
		.fmt = &guest_x86_64,
		.how = "was nested on the host's by IOMMU_HWPT_ALLOC",
		.page_requests = true,
		.nest = vtd_nest,
		.invalidate = vtd_invalidate,
	},
	{
		.hw_info = IOMMU_HW_INFO_TYPE_ARM_SMMUV3,
		.fmt = &guest_arm64,
		.how = "and its context descriptor were nested on the host's by IOMMU_VIOMMU_ALLOC and IOMMU_HWPT_ALLOC",
		.nest = smmu_nest,
		.invalidate = smmu_invalidate,
	},
};

const struct demo_nest *demo_nest_find(uint32_t hw_info)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].hw_info == hw_info)
			return &kinds[i];
	return NULL;
}
