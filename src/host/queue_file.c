/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/queue_file.h"

#include <errno.h>
#include <sched.h>

#include "host/host_priv.h"

static const struct host_cfg *cfg_of(const struct queue_file *q)
{
	return &q->obj.ctx->host->cfg;
}

int queue_file_init(struct ictx *c, struct queue_file *q, enum object_type type, const struct queue_file_ops *ops,
		    struct nb_diag *diag)
{
	const struct host_cfg *cfg = &c->host->cfg;
	int err;

	if (!cfg->queue_fd)
		return nb_fail(diag, -EOPNOTSUPP, "there are no descriptors for queues here");
	err = object_reserve(c, &q->obj, type);
	if (err)
		return err;
	pthread_mutex_init(&q->io, NULL);
	q->ops = ops;
	q->open = true;
	/* The descriptor's, before it is there: it may be closed at once. */
	object_ref(&q->obj);
	ictx_ref(c);
	atomic_init(&q->held, true);
	q->fd = -1;
	err = cfg->queue_fd(cfg->opaque, q, ops->kind, &q->fd);
	if (!err)
		return 0;
	ictx_put(c);
	pthread_mutex_destroy(&q->io);
	object_unreserve(&q->obj);
	return nb_fail(diag, err, "there is no descriptor for the queue");
}

static bool take_descriptor(struct queue_file *q)
{
	return atomic_exchange_explicit(&q->held, false, memory_order_acq_rel);
}

void queue_file_abort(struct queue_file *q)
{
	const struct host_cfg *cfg = cfg_of(q);

	if (!take_descriptor(q)) { /* somebody guessed the number and is closing it */
		while (atomic_load_explicit(&q->obj.users, memory_order_acquire) != 1)
			sched_yield();
		return;
	}
	if (cfg->queue_fd_abort)
		cfg->queue_fd_abort(cfg->opaque, q, q->fd);
	object_put(&q->obj);
	ictx_put(q->obj.ctx); /* not the last: the caller's file has one */
}

void queue_file_fini(struct queue_file *q)
{
	pthread_mutex_destroy(&q->io);
}

void queue_file_tell_locked(struct queue_file *q, bool ready)
{
	const struct host_cfg *cfg = cfg_of(q);

	if (q->open && cfg->queue_ready)
		cfg->queue_ready(cfg->opaque, q, ready);
}

ssize_t host_queue_read(struct queue_file *q, void *ubuf, size_t len, uint64_t off)
{
	return q->ops->read(q, (uintptr_t)ubuf, len, off);
}

ssize_t host_queue_write(struct queue_file *q, const void *ubuf, size_t len, uint64_t off)
{
	return q->ops->write ? q->ops->write(q, (uintptr_t)ubuf, len, off) : -EINVAL;
}

void host_queue_close(struct queue_file *q)
{
	struct ictx *c = q->obj.ctx;
	struct host *h = c->host;

	if (!take_descriptor(q))
		return;
	q->ops->shut(q);
	object_put(&q->obj);
	ictx_put(c);
	host_settle(h);
}
