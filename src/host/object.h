/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommufd contexts and the objects in them.
 *
 * An object has an id that is reserved when the object is made and answers only after object_publish(), the last
 * step of the call that makes it: nothing fails after publishing. `users` counts 1 for the table, 1 for each
 * object that refers to it and 1 for each call that is using it. Destroying by id needs exactly 1: -EBUSY otherwise, at once.
 * The objects of a context that has no file, no bound device and no mapping left go leaf first. An object may leave a tombstone: its id
 * is no object's any more, and nobody gets it again.
 *
 * Locking: ctx->lock protects the table and is a leaf; see docs/locking.md. users may be raised by whoever holds a
 * reference already, and under ctx->lock by a lookup; it falls to 0 only under ctx->lock.
 */
#ifndef NB_HOST_OBJECT_H
#define NB_HOST_OBJECT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"
#include "base/list.h"

enum object_type { OBJ_NONE, OBJ_DEVICE, OBJ_HWPT_PAGING, OBJ_HWPT_NESTED, OBJ_IOAS, OBJ_ACCESS, OBJ_FAULT, OBJ_VIOMMU, OBJ_VDEVICE,
	OBJ_VEVENTQ, OBJ_HW_QUEUE, OBJ_ANY };

struct host;
struct ictx;
struct msi_table;

struct object {
	struct ictx *ctx;
	_Atomic uint32_t users;
	uint32_t id;
	enum object_type type;
};

/* A context: one per open of the node, plus a reference per bound device. */
struct ictx {
	struct host *host;
	_Atomic uint32_t refs;
	pthread_mutex_t lock;
	/* Under lock: slot[id]: null free, OBJ_RESERVED (not visible), OBJ_TOMBSTONE, or the object. Slot 0 is never used. */
	struct object **slot;
	uint32_t nslots, lowest_free;
	uint32_t count;			/* ids in use, reserved ones and tombstones included */
	struct nb_list regions;		/* struct mmap_region.link, by offset, under lock */
	pthread_mutex_t vdev_lock;	/* vdevices: vdevice.c */
	pthread_mutex_t msi_lock;	/* doorbells in page tables: msi.h */
	struct msi_table *msi;		/* under it; made when the first doorbell is needed, goes with the context */
	struct object *compat_ioas;	/* what the old container calls use, or null; no reference */
	bool account_process;		/* IOMMU_OPTION_RLIMIT_MODE; remembered, nothing is accounted */
};

struct iommufd_file {
	struct ictx *ctx;
};

int ictx_create(struct host *h, struct ictx **out);
static inline void ictx_ref(struct ictx *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
}
void ictx_put(struct ictx *c);

/* Give obj the lowest free id, invisible. -ENOMEM, -ENOSPC. */
int object_reserve(struct ictx *c, struct object *obj, enum object_type type);
void object_publish(struct object *obj);
/* Undo object_reserve(); the memory is the caller's. */
void object_unreserve(struct object *obj);
/* Undo everything for an object that was built but never published. */
void object_abort(struct object *obj);

/* A use of the object with this id; null: no such id, not visible, or (type != OBJ_ANY) another type. */
struct object *object_get(struct ictx *c, uint32_t id, enum object_type type);
/* The same for an object known by pointer that may be dying: false then. */
bool object_get_live(struct object *obj);
static inline void object_ref(struct object *obj)
{
	atomic_fetch_add_explicit(&obj->users, 1, memory_order_relaxed);
}
static inline void object_put(struct object *obj)
{
	/* Release: pairs with the acquire of the destroyer's compare-exchange. */
	atomic_fetch_sub_explicit(&obj->users, 1, memory_order_release);
}

/* IOMMU_DESTROY. -ENOENT, -EBUSY. */
int object_destroy_id(struct ictx *c, uint32_t id);
/* Drop a use, and the object itself when nobody else has one. */
void object_put_and_try_destroy(struct object *obj);
/* Take the object away from lookups and wait until only the table's and `own` further references are left; then free it. */
void object_destroy_wait(struct object *obj, uint32_t own);
/* The same, of an object that somebody may be destroying by id (the caller's use keeps it); its id is not given out again. */
void object_tombstone(struct object *obj, uint32_t own);
/* Is it published? With ctx->lock held. */
bool object_is_live_locked(const struct object *obj);

#endif
