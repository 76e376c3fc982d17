/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hardware page tables: a driver's domain as an object.
 *
 * Paging ones show an address space and refer to it; nested ones have the user's own table for stage-1 and refer
 * to the paging one that is their stage-2. Automatic ones are made when a device is attached to an address space
 * and go with the last attachment.
 *
 * All fields but the link are set before the object is published.
 */
#ifndef NB_HOST_HWPT_H
#define NB_HOST_HWPT_H

#include "host/ioas.h"
#include "host/object.h"

struct fault_file;
struct idev;
struct viommu;

struct hwpt {
	struct object obj; /* OBJ_HWPT_PAGING or OBJ_HWPT_NESTED */
	struct drv_domain *dom;
	bool automatic, nest_parent, pasid_compat, dirty_tracking;
	bool enforce_cc;	  /* the domain forces snooping */
	bool added;		  /* in ioas->hwpts */
	struct ioas *ioas;	  /* of a paging one, or of the parent: where a device's regions are reserved */
	struct nb_list ioas_link; /* paging */
	struct hwpt *parent;	  /* nested; a reference, unless it is made from a vIOMMU, which has one */
	struct viommu *viommu;	  /* nested and made from it: a reference; else null */
	/* Paging, under ctx->msi_lock (msi.h): groups whose messages go through it; which doorbells it maps in the window, and the others. */
	unsigned int msi_users;
	uint64_t msi_present;
	struct nb_list msi_guest; /* struct msi_guest_page.link */
	struct fault_file *fault; /* page requests of what is attached go there; null: are refused */
};

static inline struct hwpt *hwpt_of(struct object *obj)
{
	return container_of(obj, struct hwpt, obj);
}
static inline bool hwpt_is_nested(const struct hwpt *h)
{
	return h->obj.type == OBJ_HWPT_NESTED;
}
static inline struct hwpt *hwpt_get_paging(struct ictx *c, uint32_t id)
{
	struct object *obj = object_get(c, id, OBJ_HWPT_PAGING);

	return obj ? hwpt_of(obj) : NULL;
}

/*
 * A paging HWPT for dev over s, with a reserved id. Its domain is empty until hwpt_fill(): some IOMMUs want to see a
 * device before. Both with s->mutex held; what was filled is freed with object_abort() and without it.
 */
int hwpt_alloc_paging(struct ictx *c, struct ioas *s, struct idev *dev, uint32_t flags, struct hwpt **out,
		      struct nb_diag *diag);
int hwpt_fill(struct hwpt *h, struct nb_diag *diag);
int hwpt_alloc_nested(struct ictx *c, struct hwpt *parent, struct idev *dev, uint32_t flags,
		      const struct drv_user_data *data, struct hwpt **out, struct nb_diag *diag);
/* The same over the parent of a vIOMMU, by the vIOMMU's own operations. */
int hwpt_alloc_nested_from(struct ictx *c, struct viommu *v, struct idev *dev, uint32_t flags,
			   const struct drv_user_data *data, struct hwpt **out, struct nb_diag *diag);
void hwpt_free(struct hwpt *h);

/* Dirty tracking (dirty.c). */
int hwpt_set_dirty_tracking(struct hwpt *h, bool on, struct nb_diag *diag);
int hwpt_read_dirty(struct hwpt *h, uint64_t iova, uint64_t length, uint64_t page_size, uint64_t uptr, bool no_clear,
		    struct nb_diag *diag);

#endif
