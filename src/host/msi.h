/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupt messages that are translated like any other write (struct host_doorbell): what address a function is told to write to, and
 * the page tables that lead from there to the doorbell.
 *
 * Two ways. The kernel's own (Linux's SW_MSI): a window of IOVAs that the IOMMU's driver names, reserved in address spaces; a doorbell's
 * page gets a place in it, the same in all tables of a context, and a table shows it while something that uses it is attached. For
 * what is nested the table is the parent and the address one of the guest, whose own table has to show the window one to one.
 *
 * And, where the host's description wants it, the guest's way (uapi/nestbox.h): the function writes to the address that the guest's
 * own table translates to the guest's own doorbell, and the parent shows our doorbell in that one's place.
 *
 * With no table, or one without a window, a message goes to the doorbell's own address: it passes where nothing translates, and
 * faults where DMA is blocked.
 *
 * Locking: group->lock for a function's state (struct fn_msi) and for what is attached; below it ctx->msi_lock for doorbells in tables; below it
 * ioas->lock. Nothing of this is taken by a message on its way.
 */
#ifndef NB_HOST_MSI_H
#define NB_HOST_MSI_H

#include <stdint.h>

#include "base/diag.h"
#include "dev/dev.h"

struct host_function;
struct host_group;
struct hwpt;
struct idev;
struct msi_guest_page;
struct ucmd;

#define MSI_DOORBELLS 64u /* of a context, in windows */

/* The guest's doorbell as a function sees it (giova) and as the guest does (gdb): pages of `granule` bytes in the guest's table. */
struct msi_binding {
	uint64_t giova, gdb, granule;
};

/* Of a function. Under group->lock. */
struct fn_msi {
	unsigned int live; /* messages that are set up; all are written to addr */
	bool guest;	   /* the guest's way, that of all live ones */
	enum dev_irq kind;
	uint64_t addr;
	bool bound;
	struct msi_binding binding;
	struct msi_guest_page *page; /* the guest's way, as far as it is mapped: a reference */
	struct msi_guest_page *next; /* and in the table that an attach changes over to */
};

/*
 * Around a group's change to another table for requests without PASID. begin: h shows what the group's messages need, besides
 * what shows it now. Then commit (was: what it was attached to, or null), or abort. release: the group is not attached any more. All with group->lock
 * held. -EOVERFLOW, -EADDRINUSE, -EBUSY, -ENOENT, and what the driver says.
 */
int msi_begin_locked(struct host_group *g, struct hwpt *h, struct nb_diag *diag);
void msi_commit_locked(struct host_group *g, struct hwpt *h, struct hwpt *was);
void msi_abort_locked(struct host_group *g, struct hwpt *h);
void msi_release_locked(struct host_group *g, struct hwpt *h);

/* A message of f is set up: f->msi.addr says where it is written to, and that is shown. With f->lock held. Errors as above. */
int msi_add(struct host_function *f, enum dev_irq kind, struct nb_diag *diag);
void msi_remove(struct host_function *f);
/* Tell the function. With f->lock held. */
int msi_program(struct host_function *f, unsigned int vector, uint32_t data);

/* The device goes: so does its binding. With group->lock held, not attached any more. */
void msi_forget_locked(struct idev *dev);

int ioctl_guest_msi_bind(struct ucmd *u);
int ioctl_guest_msi_unbind(struct ucmd *u);

#endif
