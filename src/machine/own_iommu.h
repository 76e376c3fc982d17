/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A function that brings an IOMMU of its own, and others that are behind it: options own-iommu and behind of a description.
 *
 *   engine --DMA--> own unit --its tables--> the host's unit --> mem        guest's kernel --BAR 5--> own unit's registers
 *
 * The register file is a BAR of the function, so a guest that the function is assigned to can run its kernel's own driver on it: the
 * DMA of the functions behind it goes through the tables which that driver writes, and what comes out is translated by the host's unit like any
 * DMA of the function. So do the unit's own accesses (tables, queues), in the name of the function that brings it: its physical addresses are the function's bus addresses, which are guest-physical
 * ones in a VM that maps its memory one to one. Interrupts of the unit are wires and share the function's INTx, as a level: something is in
 * the event queue, or an error is active, and its interrupt is enabled.
 *
 * A reset of the function resets the unit. Bus master of the function is the engine's: the unit reads and writes without. Interrupt messages of the
 * function do not pass its unit: under VFIO they are the host's and not the guest's. There is no ATS, no page request and no stall.
 *
 * Locks: irq_lock orders what is told of the level; the unit's registers are read, and dev_board_intx() is called, under it. The unit's own locks
 * (hw room) may be held when the host's unit translates, never the other way round; faults which that finds are put aside and reported
 * when none is.
 */
#ifndef NB_MACHINE_OWN_IOMMU_H
#define NB_MACHINE_OWN_IOMMU_H

#include <stdbool.h>

#include "base/diag.h"
#include "dev/dev.h"
#include "machine/desc.h"

struct function;
struct machine;
struct own_iommu;

/* A function's options, but for the board's. Returns their number. */
unsigned int own_iommu_options(const struct nb_desc_function *d, struct dev_option opt[NB_DESC_MAX_OPTIONS]);
/* Are the board's options of function i, whose other options are good, ones that can be built? 0 or -EINVAL. Earlier functions were checked. */
int own_iommu_check(const struct nb_desc *d, uint32_t i, struct nb_diag *diag);
/* Size of the register file: for who shows the function's BARs without a machine. 0: it brings no unit. */
uint64_t own_iommu_size(const struct nb_desc_function *d);

/* All units of a machine whose functions know theirs, before the models are made: function.own and .behind. 0, -ENOMEM. */
int own_iommus_create(struct machine *m, struct nb_diag *diag);
/* After all functions are gone. Null is fine. */
void own_iommu_destroy(struct own_iommu *own);
/* Put it between the function and its bus. */
void own_iommu_bus(struct function *f, struct dev_bus *bus);
/* Part of wires_settle(): without locks. */
void own_iommu_settle(struct own_iommu *own);

#endif
