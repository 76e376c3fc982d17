/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A PCI function under vfio-pci: one device node, at most one opener that has bound it.
 *
 * Locking: `lock` serialises everything a caller asks of the function but register accesses; it is the outermost lock of this
 * room and is held while the function is called. irq.lock is a leaf that interrupts take, from any thread, so the function is
 * never called with it held.
 */
#ifndef NB_HOST_VFIO_H
#define NB_HOST_VFIO_H

#include <pthread.h>

#include "base/list.h"
#include "dev/dev.h"
#include "host/device.h"
#include "host/host.h"
#include "host/irq_vector.h"
#include "host/msi.h"
#include "host/user.h"
#include "uapi/vfio.h"

/* Which of the three ways to interrupt is set up. */
enum irq_mode { IRQ_MODE_NONE, IRQ_MODE_INTX, IRQ_MODE_MSI, IRQ_MODE_MSIX };

struct irq_vector {
	int fd;	      /* ours, or -1 */
	bool pending; /* a message came while there was no fd: the vector is masked, as it were */
};

struct vfio_irqs {
	pthread_mutex_t lock;
	enum irq_mode mode;
	struct irq_vector *vec; /* of the mode; INTx has one */
	unsigned int nvec;
	bool intx_masked;	/* by its own firing or by the caller, until unmasked */
	bool intx_disabled;	/* by bit 10 of the caller's command register */
	int err_fd, req_fd;	/* -1: none */
	/* Under the function's lock: what it sends and where that goes. MSI-X has one for each vector, MSI one for all. */
	struct irq_message *msg;
	unsigned int nmsg;
};

/*
 * Configuration space as its owner sees it: for each bit, virt says that our copy is read and written instead of
 * the function's register; bits outside `write` ignore writes.
 */
struct vfio_config {
	uint8_t virt[DEV_CONFIG_SIZE], write[DEV_CONFIG_SIZE], copy[DEV_CONFIG_SIZE];
	uint16_t msi, pcie, pm, pasid, ats, pri; /* offsets of capabilities, 0: absent */
	uint32_t size;			    /* 256 or 4096 */
};

struct host_function {
	struct host *host;
	unsigned int number; /* N of vfioN */
	uint16_t segment, rid;
	struct host_group *group;
	struct nb_list group_link;
	struct dev_fn *fn;
	struct drv_dev *drv;
	const struct host_doorbell *doorbell; /* of its messages; null: they are the driver's */
	bool guest_msi;			      /* guests may bind them */
	struct fn_msi msi;		      /* under group->lock: msi.h */
	struct dev_caps caps;
	struct dev_bar bar[DEV_NBARS];
	struct vfio_config *config; /* under lock */
	struct vfio_irqs irq;
	struct fault_source fault; /* under host->fault_lock */

	pthread_mutex_t lock;
	/* Under lock: */
	struct vfio_file *opener; /* who has bound it */
	struct idev *dev;
	_Atomic bool mem_enabled; /* memory decode as the owner set it; read without the lock */
};

struct vfio_file {
	struct host *host;
	struct host_function *f;
	_Atomic bool bound; /* release after bind; nothing but BIND works before */
};

/* vfio_config.c */
int vfio_config_create(struct host_function *f);
void vfio_config_open_locked(struct host_function *f);	/* as a new owner finds it */
ssize_t vfio_config_rw(struct host_function *f, uint64_t ubuf, size_t len, uint64_t pos, bool write);
/* dev_reset(), after which the capabilities that are the host's are switched on again as the driver had them. */
void vfio_config_reset_locked(struct host_function *f);
/* Around it: what else a kernel saves and restores. */
struct vfio_saved {
	uint16_t command, devctl, devctl2;
	uint8_t cache_line;
};
void vfio_config_save_locked(struct host_function *f, struct vfio_saved *s);
void vfio_config_restore_locked(struct host_function *f, const struct vfio_saved *s);

/* vfio_irq.c */
void vfio_irq_init(struct host_function *f);
void vfio_irq_fini(struct host_function *f);
unsigned int vfio_irq_count(const struct host_function *f, uint32_t index);
long vfio_irq_info(struct host_function *f, uint64_t uarg);
long vfio_set_irqs(struct host_function *f, uint64_t uarg, struct nb_diag *diag);
void vfio_irq_close_locked(struct host_function *f); /* take everything down */
void vfio_irq_restore_locked(struct host_function *f); /* after a reset of the function */
void vfio_irq_set_intx_disabled_locked(struct host_function *f, bool disabled);

/* vfio_region.c */
long vfio_region_info(struct host_function *f, uint64_t uarg);
ssize_t vfio_region_rw(struct host_function *f, uint64_t ubuf, size_t len, uint64_t off, bool write);

/* vfio_reset.c */
long vfio_reset(struct host_function *f);
void vfio_reset_locked(struct host_function *f);
long vfio_hot_reset_info(struct host_function *f, uint64_t uarg);
long vfio_hot_reset(struct host_function *f, uint64_t uarg, struct nb_diag *diag);

#define VFIO_OFFSET_LG2 40

#endif
