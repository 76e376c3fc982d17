/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The VMM of `nestbox demo`: it speaks to the host through the waist only, as QEMU does, and assigns one test engine to the
 * guest with nested translation.
 */
#ifndef NB_CLI_DEMO_VM_H
#define NB_CLI_DEMO_VM_H

#include "cli/demo_guest.h"
#include "machine/api.h"

/* Where the guest's driver put its two buffers: device addresses, far apart so that little of the tables is shared. */
#define DEMO_SRC   UINT64_C(0x550000000000)
#define DEMO_DST   UINT64_C(0x2a8040000000)
#define DEMO_PAGES 16u

struct demo_vm;

/* What differs between hosts: how the guest's table is nested, and how the hardware is told of changes. demo_nest.c */
struct demo_nest {
	uint32_t hw_info;		  /* IOMMU_HW_INFO_TYPE_* */
	const struct guest_format *fmt;
	const char *how;		  /* a sentence for the story */
	bool page_requests;		  /* its driver takes those of devices with PRI */
	int (*nest)(struct demo_vm *vm, struct nb_diag *diag); /* sets vm->nested */
	int (*invalidate)(struct demo_vm *vm, uint64_t addr, uint64_t pages);
};
/* Null: no host of this kind can be nested on. */
const struct demo_nest *demo_nest_find(uint32_t hw_info);

struct demo_vm {
	const struct demo_nest *kind;
	struct nb_host *host;
	const struct nb_kernel *k;
	struct guest guest;
	uint16_t segment, rid; /* the test engine */
	int iommufd, device, log[2];
	uint32_t devid, ioas, parent, nested;
	uint32_t viommu; /* SMMUv3 */
	uint32_t fault_queue; /* of what is nested from now on; 0: none */
	uint64_t bar0; /* offset of the registers in the device file */
	gpa_t src[DEMO_PAGES], dst[DEMO_PAGES];
};

/* Everything up to the first DMA. 0 or -errno with the reason; demo_vm_stop() is due in either case. */
int demo_vm_start(struct demo_vm *vm, const char *host, struct nb_diag *diag);
void demo_vm_stop(struct demo_vm *vm);

/* Nest the guest's table (anew) and attach the device to it. 0 or -errno; what was attached before stays then. */
int demo_vm_nest(struct demo_vm *vm, struct nb_diag *diag);
/* The engine's registers. Read: all ones when it failed. */
int demo_vm_write(struct demo_vm *vm, uint64_t reg, uint64_t v, size_t size);
uint64_t demo_vm_read(struct demo_vm *vm, uint64_t reg, size_t size);
/* Run a DMATEST_CMD_*; returns DMATEST_ERROR_*, or a negative errno. */
int demo_vm_dma(struct demo_vm *vm, uint32_t cmd, uint64_t src, uint64_t dst, uint64_t len, uint64_t pattern);
/* Where the engine's last request was aborted. */
uint64_t demo_vm_error_addr(struct demo_vm *vm);
/* Tell the hardware that the guest's entries for these pages changed. */
int demo_vm_invalidate(struct demo_vm *vm, uint64_t addr, uint64_t pages);
/* One ioctl to the host. 0 or -errno. */
long demo_vm_ioctl(struct demo_vm *vm, int fd, unsigned long cmd, void *arg);
/* "the host refused to ...": the errno. */
int demo_vm_refused(struct nb_diag *diag, long err, const char *what);
/* What the host logged since the last call, at most size - 1 bytes. */
void demo_vm_log(struct demo_vm *vm, char *buf, size_t size);

#endif
