/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file of a fault queue: IOMMU_FAULT_QUEUE_ALLOC, reading groups, writing answers, closing.
 *
 * Closing the file answers nothing, as in Linux: what is queued waits for the end of its attachment.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "host/fault.h"
#include "host/host_priv.h"
#include "host/ioctl.h"
#include "host/vfio.h"
#include "uapi/iommufd.h"

/* Not in the header for users, and shown to them all the same: the flag of the kernel's own that Linux passes through. */
#define PGFAULT_FLAGS_NEEDS_PASID 4u

#define RECORD sizeof(struct iommu_hwpt_pgfault)

static struct host *host_of(const struct fault_file *f)
{
	return f->q.obj.ctx->host;
}

static const struct queue_file_ops fault_queue_ops;

int ioctl_fault_alloc(struct ucmd *u)
{
	struct iommu_fault_alloc *c = u->cmd;
	struct fault_file *f;
	int err;

	if (c->flags)
		return nb_fail(&u->diag, -EOPNOTSUPP, "unknown flags %#" PRIx32, c->flags);
	f = nb_zalloc(sizeof(*f));
	if (!f)
		return -ENOMEM;
	nb_list_init(&f->pending);
	nb_list_init(&f->delivered);
	f->lowest_free = 1;
	err = queue_file_init(u->ctx, &f->q, OBJ_FAULT, &fault_queue_ops, &u->diag);
	if (err) {
		nb_free(f);
		return err;
	}
	u->made = &f->q.obj;
	c->out_fault_id = f->q.obj.id;
	c->out_fault_fd = (uint32_t)f->q.fd;
	return 0;
}

static void fault_shut(struct queue_file *q)
{
	struct host *h = q->obj.ctx->host;

	pthread_mutex_lock(&h->fault_lock);
	q->open = false;
	pthread_mutex_unlock(&h->fault_lock);
}

void fault_free(struct fault_file *f)
{
	/* Routes hold HWPTs and those hold us. */
	assert(nb_list_empty(&f->pending) && nb_list_empty(&f->delivered));
	queue_file_fini(&f->q);
	nb_free(f->cookie);
	nb_free(f);
}

/* Reading */

/* The lowest free one, as Linux gives them. */
static int take_cookie_locked(struct fault_file *f, struct fault_group *g)
{
	uint32_t i;

	for (i = f->lowest_free; i < f->ncookies && f->cookie[i]; i++)
		;
	if (i >= f->ncookies) {
		uint32_t n = f->ncookies ? 2 * f->ncookies : 16;
		struct fault_group **p = nb_realloc(f->cookie, n, sizeof(struct fault_group *));

		if (!p)
			return -ENOMEM;
		memset(p + f->ncookies, 0, (n - f->ncookies) * sizeof(struct fault_group *));
		f->cookie = p;
		f->ncookies = n;
	}
	f->cookie[i] = g;
	f->lowest_free = i + 1;
	g->cookie = i;
	return 0;
}

static struct iommu_hwpt_pgfault record_of(const struct fault_group *g, const struct drv_page_request *pr)
{
	bool pasid = pr->pasid != NB_NO_PASID;

	return (struct iommu_hwpt_pgfault){
		.flags = (pasid ? (uint32_t)IOMMU_PGFAULT_FLAGS_PASID_VALID : 0) |
			 (pr->last ? (uint32_t)IOMMU_PGFAULT_FLAGS_LAST_PAGE : 0) |
			 (pr->needs_pasid ? PGFAULT_FLAGS_NEEDS_PASID : 0),
		.dev_id = g->fn->fault.dev_id ? g->fn->fault.dev_id : g->route->dev_id,
		.pasid = pasid ? pr->pasid : 0,
		.grpid = pr->grpid,
		.perm = pr->perm,
		.addr = pr->addr,
		.cookie = g->cookie,
	};
}

/*
 * The first group into records of our own, and delivered: the copy to the user is made without the lock. 0 with *n records;
 * *n = 0: nothing is there. -EINVAL: it needs more than `room`.
 */
struct taken {
	struct iommu_hwpt_pgfault few[8], *rec; /* rec: few, or allocated */
	unsigned int n;
	uint32_t cookie;
	struct fault_group *group; /* not ours to look into: it may be answered at any time */
};

static int take_locked(struct fault_file *f, size_t room, struct taken *t)
{
	struct fault_group *g;
	int err;

	t->n = 0;
	if (nb_list_empty(&f->pending))
		return 0;
	g = nb_list_entry(f->pending.next, struct fault_group, link);
	if (g->nearly + 1 > room)
		return -EINVAL;
	t->rec = g->nearly + 1 <= ARRAY_SIZE(t->few) ? t->few : nb_calloc(g->nearly + 1, sizeof(*t->rec));
	if (!t->rec)
		return -ENOMEM;
	err = take_cookie_locked(f, g);
	if (err) {
		if (t->rec != t->few)
			nb_free(t->rec);
		return err;
	}
	for (unsigned int i = 0; i < g->nearly; i++)
		t->rec[t->n++] = record_of(g, &g->early[i]);
	t->rec[t->n++] = record_of(g, &g->last);
	t->group = g;
	t->cookie = g->cookie;
	nb_list_del(&g->link);
	nb_list_add_tail(&f->delivered, &g->link);
	if (nb_list_empty(&f->pending))
		fault_tell_locked(f);
	return 0;
}

/* The user's buffer was bad: back to the front of the queue, if it has not been answered meanwhile. */
static void give_back_locked(struct fault_file *f, const struct taken *t)
{
	struct fault_group *g = f->cookie[t->cookie];

	/* Cookies are given out under f->io only, so one that is taken is still ours. */
	if (g != t->group)
		return;
	fault_drop_cookie_locked(g);
	nb_list_del(&g->link);
	nb_list_add_tail(f->pending.next, &g->link); /* before the first */
	fault_tell_locked(f);
}

static int read_one(struct fault_file *f, uint64_t uptr, size_t room, size_t *got)
{
	pthread_mutex_t *lock = &host_of(f)->fault_lock;
	struct taken t;
	int err;

	pthread_mutex_lock(lock);
	err = take_locked(f, room, &t);
	pthread_mutex_unlock(lock);
	*got = err ? 0 : t.n * RECORD;
	if (!*got)
		return err;
	err = user_write(uptr, t.rec, *got);
	if (err) {
		pthread_mutex_lock(lock);
		give_back_locked(f, &t);
		pthread_mutex_unlock(lock);
	}
	if (t.rec != t.few)
		nb_free(t.rec);
	return err;
}

static ssize_t fault_read(struct queue_file *q, uint64_t uptr, size_t len, uint64_t off)
{
	struct fault_file *f = fault_of(&q->obj);
	size_t done = 0, got = 1;
	int err = 0;

	if (off || len % RECORD)
		return -ESPIPE;
	pthread_mutex_lock(&q->io);
	while (!err && got) {
		err = read_one(f, uptr + done, (len - done) / RECORD, &got);
		if (!err)
			done += got;
	}
	pthread_mutex_unlock(&q->io);
	return done ? (ssize_t)done : err;
}

/* Writing */

static int answer_one(struct fault_file *f, uint64_t uptr)
{
	struct host *h = host_of(f);
	struct iommu_hwpt_page_response resp;
	struct fault_group *g = NULL;

	if (user_read(&resp, uptr, sizeof(resp)))
		return -EFAULT;
	if (resp.code != IOMMUFD_PAGE_RESP_SUCCESS && resp.code != IOMMUFD_PAGE_RESP_INVALID)
		return -EINVAL;
	pthread_mutex_lock(&h->fault_lock);
	if (resp.cookie < f->ncookies)
		g = f->cookie[resp.cookie];
	if (g) {
		fault_drop_cookie_locked(g);
		fault_unlink_locked(g);
	}
	pthread_mutex_unlock(&h->fault_lock);
	if (!g)
		return -EINVAL;
	NB_TRACE(h->cfg.tr, host_fault_response, f->q.obj.id, resp.cookie, resp.code);
	fault_answer(g, resp.code == IOMMUFD_PAGE_RESP_SUCCESS ? DRV_PAGE_SUCCESS : DRV_PAGE_INVALID);
	return 0;
}

static ssize_t fault_write(struct queue_file *q, uint64_t uptr, size_t len, uint64_t off)
{
	struct fault_file *f = fault_of(&q->obj);
	const size_t each = sizeof(struct iommu_hwpt_page_response);
	size_t done = 0;
	int err = 0;

	if (off || len % each)
		return -ESPIPE;
	pthread_mutex_lock(&q->io);
	while (!err && done < len) {
		err = answer_one(f, uptr + done);
		if (!err)
			done += each;
	}
	pthread_mutex_unlock(&q->io);
	host_settle(host_of(f));
	return done ? (ssize_t)done : err;
}

static const struct queue_file_ops fault_queue_ops = {
	.kind = HOST_QUEUE_FAULT,
	.read = fault_read,
	.write = fault_write,
	.shut = fault_shut,
};
