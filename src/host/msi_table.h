/* SPDX-License-Identifier: BSD-3-Clause */
/* Doorbells in page tables, as msi.c and msi_guest.c see them: all under ctx->msi_lock. */
#ifndef NB_HOST_MSI_TABLE_H
#define NB_HOST_MSI_TABLE_H

#include "base/list.h"
#include "host/hwpt.h"
#include "host/msi.h"

/* A doorbell of ours at a guest's, in a nesting parent. */
struct msi_guest_page {
	struct nb_list link; /* hwpt->msi_guest */
	struct hwpt *hwpt;
	uint64_t gdb, doorbell, len;
	unsigned int refs; /* functions that use it; more of one that changes over */
};

/* The table that the host writes, of what is attached. */
static inline struct hwpt *msi_paging(struct hwpt *h)
{
	return hwpt_is_nested(h) ? h->parent : h;
}

/* The first reserved range of that type that the driver names for dev. */
bool msi_range_of(struct drv_dev *dev, enum drv_resv_type type, struct drv_resv *out);

/* Is [first, last] used by a doorbell in p's window? */
bool msi_window_uses(const struct hwpt *p, uint64_t first, uint64_t last);

/* The page of a binding in p, shown from now on. */
int msi_guest_get(struct hwpt *p, const struct host_function *f, struct msi_guest_page **out, struct nb_diag *diag);
void msi_guest_put(struct msi_guest_page **page); /* may be null; is null then */
/* What f is told to write to under its binding. */
uint64_t msi_guest_addr(const struct host_function *f);

#endif
