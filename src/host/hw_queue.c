/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IOMMU_HW_QUEUE_ALLOC: a queue of the guest's that the unit reads by itself.
 *
 * Queues may build on each other: the driver says which one has to stay, and the core keeps it with a reference. What the driver names may be
 * on its way out at that moment; queue_lock keeps it until we have looked, and the new queue is refused then.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>

#include "base/alloc.h"
#include "host/access.h"
#include "host/host_priv.h"
#include "host/hwpt.h"
#include "host/ioctl.h"
#include "host/viommu.h"
#include "uapi/iommufd.h"

static int hw_queue_new(struct ictx *c, size_t drv_size, struct hw_queue **out)
{
	struct hw_queue *q = nb_zalloc(sizeof(*q));
	int err = -ENOMEM;

	assert(drv_size >= sizeof(struct drv_hw_queue));
	if (!q)
		return err;
	q->drv = nb_zalloc(drv_size);
	if (q->drv)
		err = object_reserve(c, &q->obj, OBJ_HW_QUEUE);
	if (err) {
		nb_free(q->drv);
		nb_free(q);
		return err;
	}
	*out = q;
	return 0;
}

/* The queue that drv->after is; null: it is going. */
static struct hw_queue *hold_after_locked(struct viommu *v, const struct drv_hw_queue *after)
{
	struct hw_queue *q;

	nb_list_for_each(q, &v->hw_queues, link) {
		if (q->drv == after)
			return object_get_live(&q->obj) ? q : NULL;
	}
	assert(false && "a queue that the driver did not get from us");
	return NULL;
}

static int init_locked(struct hw_queue *q, struct nb_diag *diag)
{
	struct viommu *v = q->viommu;
	int err = v->drv->ops->hw_queue_init(q->drv, diag);

	if (err)
		return err;
	if (q->drv->after) {
		q->after = hold_after_locked(v, q->drv->after);
		if (!q->after) {
			v->drv->ops->hw_queue_destroy(q->drv);
			return nb_fail(diag, -EIO, "the queue that comes before it is being destroyed");
		}
	}
	nb_list_add_tail(&v->hw_queues, &q->link);
	return 0;
}

static int alloc_from(struct ucmd *u, struct iommu_hw_queue_alloc *c, struct viommu *v, size_t size)
{
	struct hw_queue *q;
	hpa_t base;
	int err = hw_queue_new(u->ctx, size, &q);

	if (err)
		return err;
	err = access_create(u->ctx, v->parent->ioas, c->nesting_parent_iova, c->length, &base, &q->access, &u->diag);
	if (err)
		goto out_free;
	q->viommu = v;
	q->drv->viommu = v->drv;
	q->drv->type = c->type;
	q->drv->index = c->index;
	q->drv->iova = c->nesting_parent_iova;
	q->drv->base = base;
	q->drv->length = c->length;
	pthread_mutex_lock(&v->queue_lock);
	err = init_locked(q, &u->diag);
	pthread_mutex_unlock(&v->queue_lock);
	if (err)
		goto out_access;
	object_ref(&v->obj);
	NB_TRACE(u->ctx->host->cfg.tr, host_hw_queue, q->obj.id, v->obj.id, c->index, c->length);
	c->out_hw_queue_id = q->obj.id;
	u->made = &q->obj;
	return 0;

out_access:
	access_destroy(q->access);
out_free:
	object_unreserve(&q->obj);
	nb_free(q->drv);
	nb_free(q);
	return err;
}

int ioctl_hw_queue_alloc(struct ucmd *u)
{
	struct iommu_hw_queue_alloc *c = u->cmd;
	const struct drv_viommu_ops *ops;
	struct viommu *v;
	size_t size;
	int err;

	if (c->flags || c->type == IOMMU_HW_QUEUE_TYPE_DEFAULT)
		return nb_fail(&u->diag, -EOPNOTSUPP, "unknown flags, or no type");
	if (!c->length)
		return nb_fail(&u->diag, -EINVAL, "length is 0");
	if (c->nesting_parent_iova > UINT64_MAX - (c->length - 1))
		return nb_fail(&u->diag, -EOVERFLOW, "IOVA %#" PRIx64 " length %#" PRIx64 " wraps",
			       c->nesting_parent_iova, c->length);
	v = viommu_get(u->ctx, c->viommu_id);
	if (!v)
		return nb_fail(&u->diag, -ENOENT, "there is no vIOMMU %" PRIu32, c->viommu_id);
	ops = v->drv->ops;
	size = ops->hw_queue_size && ops->hw_queue_init ? ops->hw_queue_size(v->drv, c->type) : 0;
	if (size)
		err = alloc_from(u, c, v, size);
	else
		err = nb_fail(&u->diag, -EOPNOTSUPP, "vIOMMU %" PRIu32 " has no hardware queues of type %" PRIu32, c->viommu_id,
			      c->type);
	object_put(&v->obj);
	return err;
}

void hw_queue_free(struct hw_queue *q)
{
	struct viommu *v = q->viommu;

	NB_TRACE(q->obj.ctx->host->cfg.tr, host_hw_queue_destroy, q->obj.id);
	pthread_mutex_lock(&v->queue_lock);
	v->drv->ops->hw_queue_destroy(q->drv);
	nb_list_del(&q->link);
	pthread_mutex_unlock(&v->queue_lock);
	access_destroy(q->access);
	if (q->after)
		object_put(&q->after->obj);
	object_put(&v->obj);
	nb_free(q->drv);
	nb_free(q);
}
