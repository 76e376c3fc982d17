/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/object.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "base/alloc.h"
#include "host/access.h"
#include "host/device.h"
#include "host/fault.h"
#include "host/hwpt.h"
#include "host/ioas.h"
#include "host/veventq.h"
#include "host/viommu.h"

#define ID_MAX 0x7fffffffu

/* Holds a slot whose object is still being built. Never dereferenced as an object. */
#define OBJ_RESERVED ((struct object *)(uintptr_t)1)
/* Holds a slot that stays empty. */
#define OBJ_TOMBSTONE ((struct object *)(uintptr_t)2)

static bool is_object(const struct object *obj)
{
	return obj && obj != OBJ_RESERVED && obj != OBJ_TOMBSTONE;
}

static void destroy_memory(struct object *obj)
{
	switch (obj->type) {
	case OBJ_IOAS:
		ioas_free(ioas_of(obj));
		break;
	case OBJ_HWPT_PAGING:
	case OBJ_HWPT_NESTED:
		hwpt_free(hwpt_of(obj));
		break;
	case OBJ_DEVICE:
		idev_free(idev_of(obj));
		break;
	case OBJ_FAULT:
		fault_free(fault_of(obj));
		break;
	case OBJ_ACCESS:
		access_free(access_of(obj));
		break;
	case OBJ_VIOMMU:
		viommu_free(viommu_of(obj));
		break;
	case OBJ_VDEVICE:
		vdevice_free(vdevice_of(obj));
		break;
	case OBJ_VEVENTQ:
		veventq_free(veventq_of(obj));
		break;
	case OBJ_HW_QUEUE:
		hw_queue_free(hw_queue_of(obj));
		break;
	case OBJ_NONE:
	case OBJ_ANY:
		assert(false && "object without a type");
	}
}

int ictx_create(struct host *h, struct ictx **out)
{
	struct ictx *c = nb_zalloc(sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->host = h;
	c->lowest_free = 1;
	atomic_init(&c->refs, 1);
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->vdev_lock, NULL);
	pthread_mutex_init(&c->msi_lock, NULL);
	nb_list_init(&c->regions);
	*out = c;
	return 0;
}

static void slot_clear_locked(struct ictx *c, uint32_t id)
{
	c->slot[id] = NULL;
	c->count--;
	if (id < c->lowest_free)
		c->lowest_free = id;
}

void ictx_put(struct ictx *c)
{
	bool again = true;

	if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
		return;
	/* Nobody can call any more. Leaf first: each round frees what nothing refers to. */
	while (again) {
		again = false;
		for (uint32_t id = 1; id < c->nslots; id++) {
			struct object *obj = c->slot[id];

			if (obj == OBJ_TOMBSTONE)
				slot_clear_locked(c, id);
			if (!is_object(obj) || atomic_load_explicit(&obj->users, memory_order_acquire) != 1)
				continue;
			slot_clear_locked(c, id);
			destroy_memory(obj);
			again = true;
		}
	}
	assert(c->count == 0 && nb_list_empty(&c->regions));
	pthread_mutex_destroy(&c->vdev_lock);
	pthread_mutex_destroy(&c->msi_lock);
	nb_free(c->msi);
	pthread_mutex_destroy(&c->lock);
	nb_free(c->slot);
	nb_free(c);
}

static int slots_grow_locked(struct ictx *c)
{
	uint32_t n = c->nslots ? c->nslots * 2 : 16;
	struct object **slot;

	if (c->nslots > ID_MAX / 2)
		return -ENOSPC;
	slot = nb_realloc(c->slot, n, sizeof(struct object *));
	if (!slot)
		return -ENOMEM;
	memset(slot + c->nslots, 0, (n - c->nslots) * sizeof(struct object *));
	c->slot = slot;
	c->nslots = n;
	return 0;
}

int object_reserve(struct ictx *c, struct object *obj, enum object_type type)
{
	uint32_t id;
	int err = 0;

	pthread_mutex_lock(&c->lock);
	for (id = c->lowest_free; id < c->nslots && c->slot[id]; id++)
		;
	if (id >= c->nslots)
		err = slots_grow_locked(c);
	if (!err) {
		c->slot[id] = OBJ_RESERVED;
		c->lowest_free = id + 1;
		c->count++;
		obj->ctx = c;
		obj->id = id;
		obj->type = type;
		atomic_init(&obj->users, 1);
	}
	pthread_mutex_unlock(&c->lock);
	return err;
}

void object_publish(struct object *obj)
{
	struct ictx *c = obj->ctx;

	pthread_mutex_lock(&c->lock);
	assert(c->slot[obj->id] == OBJ_RESERVED);
	c->slot[obj->id] = obj;
	pthread_mutex_unlock(&c->lock);
}

void object_unreserve(struct object *obj)
{
	struct ictx *c = obj->ctx;

	pthread_mutex_lock(&c->lock);
	assert(c->slot[obj->id] == OBJ_RESERVED);
	slot_clear_locked(c, obj->id);
	pthread_mutex_unlock(&c->lock);
}

void object_abort(struct object *obj)
{
	object_unreserve(obj);
	destroy_memory(obj);
}

static struct object *lookup_locked(struct ictx *c, uint32_t id)
{
	struct object *obj = id < c->nslots ? c->slot[id] : NULL;

	return is_object(obj) ? obj : NULL;
}

bool object_is_live_locked(const struct object *obj)
{
	return lookup_locked(obj->ctx, obj->id) == obj;
}

struct object *object_get(struct ictx *c, uint32_t id, enum object_type type)
{
	struct object *obj;

	pthread_mutex_lock(&c->lock);
	obj = lookup_locked(c, id);
	if (obj && type != OBJ_ANY && obj->type != type)
		obj = NULL;
	if (obj)
		object_ref(obj);
	pthread_mutex_unlock(&c->lock);
	return obj;
}

bool object_get_live(struct object *obj)
{
	struct ictx *c = obj->ctx;
	bool live;

	pthread_mutex_lock(&c->lock);
	live = object_is_live_locked(obj);
	if (live)
		object_ref(obj);
	pthread_mutex_unlock(&c->lock);
	return live;
}

/* Take obj out of the table if it has exactly `users` references. */
static bool unpublish_locked(struct object *obj, uint32_t users)
{
	struct ictx *c = obj->ctx;

	/* Acquire: pairs with the release in object_put(). */
	if (!atomic_compare_exchange_strong_explicit(&obj->users, &users, 0, memory_order_acquire,
						     memory_order_relaxed))
		return false;
	slot_clear_locked(c, obj->id);
	if (c->compat_ioas == obj)
		c->compat_ioas = NULL;
	return true;
}

int object_destroy_id(struct ictx *c, uint32_t id)
{
	struct object *obj;
	int err = 0;

	pthread_mutex_lock(&c->lock);
	obj = lookup_locked(c, id);
	if (!obj)
		err = -ENOENT;
	else if (!unpublish_locked(obj, 1))
		err = -EBUSY;
	pthread_mutex_unlock(&c->lock);
	if (!err)
		destroy_memory(obj);
	return err;
}

void object_put_and_try_destroy(struct object *obj)
{
	struct ictx *c = obj->ctx;
	bool gone;

	pthread_mutex_lock(&c->lock);
	object_put(obj);
	gone = c->slot[obj->id] == obj && unpublish_locked(obj, 1);
	pthread_mutex_unlock(&c->lock);
	if (gone)
		destroy_memory(obj);
}

/* What is left are calls that looked the id up and are on their way out. Keep the id busy until they are. */
static void unpublish_wait(struct object *obj, uint32_t own, bool tombstone)
{
	struct ictx *c = obj->ctx;
	bool gone = false;

	pthread_mutex_lock(&c->lock);
	c->slot[obj->id] = OBJ_RESERVED;
	while (!gone) {
		gone = unpublish_locked(obj, 1 + own);
		if (!gone) {
			pthread_mutex_unlock(&c->lock);
			sched_yield();
			pthread_mutex_lock(&c->lock);
		}
	}
	if (tombstone) { /* as it was, but for the object */
		c->slot[obj->id] = OBJ_TOMBSTONE;
		c->count++;
	}
	pthread_mutex_unlock(&c->lock);
	destroy_memory(obj);
}

void object_destroy_wait(struct object *obj, uint32_t own)
{
	unpublish_wait(obj, own, false);
}

void object_tombstone(struct object *obj, uint32_t own)
{
	unpublish_wait(obj, own, true);
}
