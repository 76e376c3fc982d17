/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside of a machine: shared by machine.c, which builds it, and wires.c, which carries what passes between its rooms. */
#ifndef NB_MACHINE_BOARD_H
#define NB_MACHINE_BOARD_H

#include <stdatomic.h>

#include "drv/drv.h"
#include "hw/atc.h"
#include "hw/gic_its.h"
#include "machine/inbox.h"
#include "machine/machine.h"
#include "machine/own_iommu.h"
#include "mem/lag.h"

/*
 * Where the units send their own messages: a vector each and one more for page requests. VT-d has an address range for that. To an
 * SMMU a message is a write like any other, and memory is the process's: so the doorbell is a frame of the process where nothing is. That of
 * functions is the same, and takes theirs by DeviceID and EventID: doorbell.c.
 */
#define UNIT_MSI_ADDR UINT64_C(0xfee00000)
#define UNIT_MSI_DATA 0x4000u

struct unit {
	struct machine *m;
	struct hw_iommu *hw;
	_Atomic(struct drv_iommu *) drv;
	uint64_t msi_addr;
	uint32_t msi_data;
	bool companion;		 /* a block of registers beside it interrupts by a wire: */
	uint32_t companion_wire; /* hw->msi with address 0 and this */
	bool guest_msi; /* guests may bind messages of functions behind it */
};

struct function {
	struct unit *unit;
	const struct nb_desc_function *desc;
	struct dev_fn *fn;
	struct drv_dev dev;
	struct drv_resv fw_resv[NB_DESC_MAX_RMRRS];
	_Atomic(struct host_function *) host; /* null until plugged in: interrupts before that are dropped */
	struct hw_client client;
	struct inbox inbox;
	struct own_iommu *own;	  /* that it brings; null: none */
	struct own_iommu *behind; /* through which its DMA goes first: own, or another's; null: none */
	uint16_t stream;	  /* its StreamID there */
	struct hw_atc *atc; /* null: no ATS capability */
	struct host_doorbell doorbell; /* of its unit's kind: addr 0 if messages are no writes to memory there */
	pthread_mutex_t ats_lock; /* orders what atc is told of the function's switch; the function and the model are called under it */
};

struct machine {
	struct nb_desc desc;
	struct machine_cfg cfg; /* desc is not used */
	struct mem mem;
	struct mem_pool *pool;
	struct mem_lag *lag; /* null: all units snoop */
	void *doorbell;	     /* ITS_FRAME_SIZE, mapped without access; null: no unit needs one */
	struct gic_its *its; /* who takes functions' messages there */
	struct nb_trace *tr;
	struct host *host;
	struct unit unit[NB_DESC_MAX_IOMMUS];
	struct function function[NB_DESC_MAX_FUNCTIONS];
	_Atomic unsigned int waiting; /* answers in inboxes; counted before they are there and until they are handed over */
};

/* What is the vendor's about a unit: unit_vtd.c, unit_smmuv3.c. */
struct unit_vendor {
	enum nb_desc_vendor id;
	const struct drv_ops *drv;
	bool doorbell; /* messages are writes to memory */
	bool (*lags)(const struct nb_desc_iommu *d); /* its walks look past the CPU's caches */
	/* Make u->hw, unwired, and say in *cfg what the driver has to know about it. */
	int (*create)(struct unit *u, const struct nb_desc_iommu *d, struct drv_iommu_cfg *cfg, struct nb_diag *diag);
};
extern const struct unit_vendor unit_vtd, unit_smmuv3;

/* Of a unit: its driver's way to it, and its own ways out. */
struct drv_mmio wires_mmio(struct unit *u);
void wires_unit(struct unit *u);
void wires_flush(void *opaque, const void *p, size_t len); /* drv_iommu_cfg.flush, opaque is the unit */

/* Of a function. */
struct dev_bus wires_bus(struct function *f);
extern const struct drv_fn_ops wires_fn_ops;
int wires_function(struct function *f, const struct dev_caps *caps); /* 0 or -ENOMEM */
void wires_function_fini(struct function *f);

/* doorbell.c. Once for the machine, before units; then for each unit and each function of one that has messages as writes to memory. */
int doorbell_create(struct machine *m);
void doorbell_destroy(struct machine *m);
uint64_t doorbell_addr(const struct machine *m); /* that messages are written to */
void doorbell_unit(struct unit *u, uint16_t segment);
int doorbell_function(struct function *f, const struct dev_caps *caps); /* 0 or -ENOMEM */

/* host_cfg.settle, opaque is the machine. */
void wires_settle(void *opaque);

#endif
