/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/veventq.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "host/host_priv.h"
#include "host/ioctl.h"
#include "host/viommu.h"

#define DEPTH_MAX    (1u << 19)
#define SEQUENCE_MAX 0x7fffffffu

static struct veventq *find_locked(struct viommu *v, uint32_t type)
{
	struct veventq *q;

	nb_list_for_each(q, &v->veventqs, link) {
		if (q->type == type)
			return q;
	}
	return NULL;
}

static void *payload(struct vevent *e)
{
	return e + 1;
}

/* Reports */

static void lost_remove_locked(struct veventq *q)
{
	if (q->lost_pending)
		nb_list_del(&q->lost.link);
	q->lost_pending = false;
}

static struct vevent *event_new_locked(const struct veventq *q, const void *data, size_t len)
{
	struct vevent *e = q->nevents < q->depth ? nb_zalloc(sizeof(*e) + len) : NULL;

	if (!e)
		return NULL;
	e->header.flags = 0;
	e->len = len;
	memcpy(payload(e), data, len);
	return e;
}

int viommu_report_event(struct drv_viommu *drv, uint32_t type, const void *data, size_t len)
{
	struct viommu *v = drv->core;
	struct nb_trace *tr = v->obj.ctx->host->cfg.tr;
	struct veventq *q;
	struct vevent *e;
	bool empty;
	int err;

	pthread_mutex_lock(&v->event_lock);
	q = find_locked(v, type);
	if (!q) {
		pthread_mutex_unlock(&v->event_lock);
		return -EOPNOTSUPP;
	}
	empty = nb_list_empty(&q->pending);
	e = event_new_locked(q, data, len);
	lost_remove_locked(q);
	if (e) {
		q->nevents++;
		NB_TRACE(tr, host_vevent, q->q.obj.id, q->sequence);
	} else {
		e = &q->lost;
		q->lost_pending = true;
		NB_TRACE(tr, host_vevent_lost, q->q.obj.id, q->sequence);
	}
	err = e == &q->lost && q->nevents < q->depth ? -ENOMEM : 0;
	e->header.sequence = q->sequence;
	q->sequence = q->sequence == SEQUENCE_MAX ? 0 : q->sequence + 1;
	nb_list_add_tail(&q->pending, &e->link);
	if (empty)
		queue_file_tell_locked(&q->q, true);
	pthread_mutex_unlock(&v->event_lock);
	return err;
}

/* Reading */

/* What was at the front as `e` with header `h` is with the user. */
static void delivered_locked(struct veventq *q, struct vevent *e, const struct iommufd_vevent_header *h)
{
	if (e != &q->lost) {
		nb_list_del(&e->link);
		q->nevents--;
	} else if (q->lost_pending && e->header.sequence == h->sequence) {
		lost_remove_locked(q); /* else it moved on, or went, while we were copying */
	}
	if (nb_list_empty(&q->pending))
		queue_file_tell_locked(&q->q, false);
}

/* One record; *got is 0 when there is none. */
static int read_one(struct veventq *q, uint64_t uptr, size_t room, size_t *got)
{
	pthread_mutex_t *lock = &q->viommu->event_lock;
	struct iommufd_vevent_header h = {0};
	struct vevent *e = NULL;
	size_t len = 0;
	int err;

	*got = 0;
	pthread_mutex_lock(lock);
	if (!nb_list_empty(&q->pending)) {
		e = nb_list_entry(q->pending.next, struct vevent, link);
		h = e->header;
		len = e->len;
	}
	pthread_mutex_unlock(lock);
	if (!e)
		return 0;
	if (room < sizeof(h) || room - sizeof(h) < len)
		return -EINVAL;
	err = user_write(uptr, &h, sizeof(h));
	if (!err && len)
		err = user_write(uptr + sizeof(h), payload(e), len);
	if (err)
		return err; /* it stays */
	pthread_mutex_lock(lock);
	delivered_locked(q, e, &h);
	pthread_mutex_unlock(lock);
	if (e != &q->lost)
		nb_free(e);
	*got = sizeof(h) + len;
	return 0;
}

/* Whole records only: a buffer that ends in the middle of memory counts those before. */
static ssize_t veventq_read(struct queue_file *file, uint64_t uptr, size_t len, uint64_t off)
{
	struct veventq *q = veventq_of(&file->obj);
	size_t done = 0, got = 1;
	int err = 0;

	if (off)
		return -ESPIPE;
	if (len < sizeof(struct iommufd_vevent_header))
		return -EINVAL;
	pthread_mutex_lock(&file->io);
	while (!err && got) {
		err = read_one(q, uptr + done, len - done, &got);
		done += got;
	}
	pthread_mutex_unlock(&file->io);
	return done ? (ssize_t)done : err;
}

static void veventq_shut(struct queue_file *file)
{
	struct viommu *v = veventq_of(&file->obj)->viommu;

	pthread_mutex_lock(&v->event_lock);
	file->open = false;
	pthread_mutex_unlock(&v->event_lock);
}

static const struct queue_file_ops veventq_ops = {
	.kind = HOST_QUEUE_EVENT,
	.read = veventq_read,
	.shut = veventq_shut,
};

/* Birth and death */

static bool is_taken(struct viommu *v, uint32_t type)
{
	bool taken;

	pthread_mutex_lock(&v->event_lock);
	taken = find_locked(v, type);
	pthread_mutex_unlock(&v->event_lock);
	return taken;
}

static bool take_type(struct viommu *v, struct veventq *q)
{
	bool taken;

	pthread_mutex_lock(&v->event_lock);
	taken = find_locked(v, q->type);
	if (!taken)
		nb_list_add_tail(&v->veventqs, &q->link);
	pthread_mutex_unlock(&v->event_lock);
	return !taken;
}

static int alloc_from(struct ucmd *u, struct iommu_veventq_alloc *c, struct viommu *v)
{
	struct veventq *q;
	int err;

	if (is_taken(v, c->type))
		return nb_fail(&u->diag, -EEXIST, "vIOMMU %" PRIu32 " has an event queue of type %" PRIu32 " already", c->viommu_id,
			       c->type);
	q = nb_zalloc(sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->viommu = v;
	q->type = c->type;
	q->depth = c->veventq_depth;
	q->lost.header.flags = IOMMU_VEVENTQ_FLAG_LOST_EVENTS;
	nb_list_init(&q->pending);
	/* The type is taken with the last step: an event before that has no queue. */
	err = queue_file_init(u->ctx, &q->q, OBJ_VEVENTQ, &veventq_ops, &u->diag);
	if (err) {
		nb_free(q);
		return err;
	}
	if (!take_type(v, q)) { /* another thread was faster */
		queue_file_abort(&q->q);
		object_unreserve(&q->q.obj);
		queue_file_fini(&q->q);
		nb_free(q);
		return -EEXIST;
	}
	object_ref(&v->obj);
	c->out_veventq_id = q->q.obj.id;
	c->out_veventq_fd = (uint32_t)q->q.fd;
	u->made = &q->q.obj;
	return 0;
}

int ioctl_veventq_alloc(struct ucmd *u)
{
	struct iommu_veventq_alloc *c = u->cmd;
	struct viommu *v;
	int err;

	if (c->flags || c->__reserved || c->type == IOMMU_VEVENTQ_TYPE_DEFAULT)
		return nb_fail(&u->diag, -EOPNOTSUPP, "unknown flags, a reserved field is not 0, or no type");
	if (!c->veventq_depth || c->veventq_depth > DEPTH_MAX)
		return nb_fail(&u->diag, -EINVAL, "depth %" PRIu32, c->veventq_depth);
	v = viommu_get(u->ctx, c->viommu_id);
	if (!v)
		return nb_fail(&u->diag, -ENOENT, "there is no vIOMMU %" PRIu32, c->viommu_id);
	err = alloc_from(u, c, v);
	object_put(&v->obj);
	return err;
}

void veventq_free(struct veventq *q)
{
	struct viommu *v = q->viommu;
	struct vevent *e, *next;

	pthread_mutex_lock(&v->event_lock);
	nb_list_del(&q->link);
	pthread_mutex_unlock(&v->event_lock);
	lost_remove_locked(q); /* nobody else knows it */
	nb_list_for_each_safe(e, next, &q->pending, link)
		nb_free(e);
	object_put(&v->obj);
	queue_file_fini(&q->q);
	nb_free(q);
}
