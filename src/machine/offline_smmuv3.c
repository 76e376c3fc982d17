/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/bits.h"
#include "hw/smmuv3/smmu.h"
#include "machine/offline_model.h"
#include "spec/smmuv3/regs.h"

/*
 * Out of reset, but for CR2.RECINVSID, with which a StreamID that has no entry is recorded as other faults are; Linux sets it too.
 * Nobody can wait for software here, so no fault stalls where the architecture leaves the choice.
 */
static int smmu_start(struct offline *o, const uint64_t *const reg[OFFLINE_MAX_NAMES],
		      const uint64_t *const cap[OFFLINE_MAX_NAMES], struct nb_diag *diag)
{
	const struct hw_ops *ops;
	struct smmu_idregs id;
	struct smmu_caps caps;
	uint32_t *const idr[OFFLINE_MAX_NAMES] = {&id.idr0, &id.idr1, &id.idr3, &id.idr5};
	bool given = false;
	unsigned int i;
	int err;

	smmu_caps_all(&caps);
	smmu_caps_regs(&caps, &id);
	for (i = 0; i < OFFLINE_MAX_NAMES; i++)
		if (cap[i]) {
			*idr[i] = (uint32_t)*cap[i];
			given = true;
		}
	if (given)
		smmu_caps_from_regs(&id, &caps);
	err = smmu_create(&caps, &o->image.mem, NULL, &o->hw, diag);
	if (err)
		return err;
	ops = o->hw->ops;
	ops->mmio_write(o->hw, SMMU_REG_STRTAB_BASE, 8, *reg[0]);
	ops->mmio_write(o->hw, SMMU_REG_STRTAB_BASE_CFG, 4, *reg[1]);
	ops->mmio_write(o->hw, SMMU_REG_CR2, 4, SMMU_CR2_RECINVSID);
	ops->mmio_write(o->hw, SMMU_REG_CR0, 4, SMMU_CR0_SMMUEN);
	return 0;
}

const struct offline_model offline_smmuv3 = {
	.name = "smmuv3",
	.registers = {{"STRTAB_BASE", 64}, {"STRTAB_BASE_CFG", 32}},
	.caps = {{"IDR0", 32}, {"IDR1", 32}, {"IDR3", 32}, {"IDR5", 32}},
	.start = smmu_start,
	.flush = smmu_drop_caches,
};
