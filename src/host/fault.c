/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/fault.h"

#include <assert.h>
#include <errno.h>

#include "base/alloc.h"
#include "host/host_priv.h"
#include "host/vfio.h"

static struct host *host_of(const struct host_function *f)
{
	return f->host;
}

void fault_source_init(struct host_function *f)
{
	for (unsigned int i = 0; i < FAULT_BUCKETS; i++)
		nb_list_init(&f->fault.parked[i]);
}

static void group_free(struct fault_group *g)
{
	nb_free(g->early);
	nb_free(g);
}

void fault_unlink_locked(struct fault_group *g)
{
	nb_list_del(&g->link);
	g->fn->fault.kept -= g->nearly + (g->route ? 1 : 0);
}

static struct fault_route *own_route_locked(struct host_group *g, uint32_t pasid)
{
	struct fault_route *r;

	nb_list_for_each(r, &g->routes[pasid % FAULT_BUCKETS], link) {
		if (r->pasid == pasid)
			return r;
	}
	return NULL;
}

/*
 * A PASID that is attached to a table without a queue has no route either, and no claim to this one. But then the function's own table
 * has to be fit for PASIDs, which none of a unit whose PASIDs are the guest's is when it is nested.
 */
static struct fault_route *find_route_locked(struct host_function *f, uint32_t pasid)
{
	struct fault_route *r = own_route_locked(f->group, pasid);

	if (r || pasid == NB_NO_PASID || !f->drv->iommu->ops->user_pasid_table)
		return r;
	r = own_route_locked(f->group, NB_NO_PASID);
	return r && r->nested ? r : NULL;
}

/* What is parked for route r, or all (null). */
static void forget_parked_locked(struct host_function *f, const struct fault_route *r)
{
	for (unsigned int i = 0; i < FAULT_BUCKETS; i++) {
		struct fault_group *g, *next;

		nb_list_for_each_safe(g, next, &f->fault.parked[i], link) {
			if (r && find_route_locked(f, g->pasid) != r)
				continue;
			fault_unlink_locked(g);
			group_free(g);
		}
	}
}

void fault_source_fini(struct host_function *f)
{
	forget_parked_locked(f, NULL);
	assert(f->fault.kept == 0);
}

void fault_source_set_dev(struct host_function *f, uint32_t dev_id)
{
	pthread_mutex_lock(&host_of(f)->fault_lock);
	f->fault.dev_id = dev_id;
	pthread_mutex_unlock(&host_of(f)->fault_lock);
}

void fault_forget_parked(struct host_group *g)
{
	struct host_function *f;

	pthread_mutex_lock(&g->host->fault_lock);
	nb_list_for_each(f, &g->functions, group_link)
		forget_parked_locked(f, NULL);
	pthread_mutex_unlock(&g->host->fault_lock);
}

void fault_answer(struct fault_group *g, enum drv_page_code code)
{
	struct drv_dev *dev = g->fn->drv;
	const struct drv_page_response resp = {.pasid = g->pasid, .grpid = g->grpid, .code = code};

	if (dev->iommu->ops->page_response)
		dev->iommu->ops->page_response(dev, &resp);
	group_free(g);
}

void fault_tell_locked(struct fault_file *f)
{
	queue_file_tell_locked(&f->q, !nb_list_empty(&f->pending));
}

void fault_drop_cookie_locked(struct fault_group *g)
{
	struct fault_file *q = g->route->queue;

	assert(q->cookie[g->cookie] == g);
	q->cookie[g->cookie] = NULL;
	if (g->cookie < q->lowest_free)
		q->lowest_free = g->cookie;
	g->cookie = 0;
}

/* Reports */

static struct fault_group *find_parked_locked(struct host_function *f, uint32_t pasid, uint32_t grpid)
{
	struct fault_group *g;

	nb_list_for_each(g, &f->fault.parked[fault_bucket(pasid, grpid)], link) {
		if (g->pasid == pasid && g->grpid == grpid)
			return g;
	}
	return NULL;
}

static int append_early(struct fault_group *g, const struct drv_page_request *pr)
{
	if (g->nearly == g->room) {
		unsigned int room = g->room ? 2 * g->room : 4;
		struct drv_page_request *p = nb_realloc(g->early, room, sizeof(*p));

		if (!p)
			return -ENOMEM;
		g->early = p;
		g->room = room;
	}
	g->early[g->nearly++] = *pr;
	return 0;
}

/*
 * Nobody answers a request that is not its group's last, so one that cannot be kept is lost and its group arrives without it: the
 * device asks again for what is still missing.
 */
static int park_locked(struct host_function *f, const struct drv_page_request *pr)
{
	struct fault_group *g = find_parked_locked(f, pr->pasid, pr->grpid);
	bool fresh = !g;
	int err;

	if (!find_route_locked(f, pr->pasid))
		return -ENODEV;
	if (f->fault.kept >= FAULT_MAX_PER_FUNCTION)
		return -ENOSPC;
	if (fresh) {
		g = nb_zalloc(sizeof(*g));
		if (!g)
			return -ENOMEM;
		*g = (struct fault_group){.fn = f, .pasid = pr->pasid, .grpid = pr->grpid};
	}
	err = append_early(g, pr);
	if (!err) {
		f->fault.kept++;
		if (fresh)
			nb_list_add_tail(&f->fault.parked[fault_bucket(pr->pasid, pr->grpid)], &g->link);
	} else if (fresh) {
		group_free(g);
	}
	return err;
}

/* *fresh is used up when nothing was parked. */
static int deliver_locked(struct host_function *f, const struct drv_page_request *pr, struct fault_group **fresh)
{
	struct fault_route *route = find_route_locked(f, pr->pasid);
	struct fault_group *g = find_parked_locked(f, pr->pasid, pr->grpid);

	if (g)
		fault_unlink_locked(g);
	/* Refused whole. */
	if (!route || !*fresh || f->fault.kept + (g ? g->nearly : 0) >= FAULT_MAX_PER_FUNCTION) {
		if (g)
			group_free(g);
		return !route ? -ENODEV : !*fresh ? -ENOMEM : -ENOSPC;
	}
	if (!g) {
		g = *fresh;
		*fresh = NULL;
		*g = (struct fault_group){.fn = f, .pasid = pr->pasid, .grpid = pr->grpid};
	}
	g->last = *pr;
	g->route = route;
	f->fault.kept += g->nearly + 1;
	nb_list_add_tail(&route->queue->pending, &g->link);
	if (route->queue->pending.next == &g->link)
		fault_tell_locked(route->queue);
	NB_TRACE(host_of(f)->cfg.tr, host_fault, route->queue->q.obj.id, f->fault.dev_id, pr->pasid, pr->addr);
	return 0;
}

int fault_report(struct drv_dev *dev, const struct drv_page_request *pr)
{
	struct host_function *f = dev->core;
	struct host *h = host_of(f);
	struct fault_group *fresh = pr->last ? nb_zalloc(sizeof(*fresh)) : NULL;
	uint32_t dev_id;
	int err;

	pthread_mutex_lock(&h->fault_lock);
	dev_id = f->fault.dev_id;
	err = pr->last ? deliver_locked(f, pr, &fresh) : park_locked(f, pr);
	pthread_mutex_unlock(&h->fault_lock);
	nb_free(fresh);
	if (err)
		NB_TRACE(h->cfg.tr, host_fault_dropped, dev_id, pr->pasid, pr->addr);
	return err;
}

void fault_discard_partial(struct drv_dev *dev)
{
	struct host_function *f = dev->core;

	pthread_mutex_lock(&host_of(f)->fault_lock);
	forget_parked_locked(f, NULL);
	pthread_mutex_unlock(&host_of(f)->fault_lock);
}

/* Routes */

/* Everything that came over this route, into `out`. */
static void collect_locked(struct fault_route *r, struct nb_list *from, struct nb_list *out)
{
	struct fault_group *g, *next;

	nb_list_for_each_safe(g, next, from, link) {
		if (g->route != r)
			continue;
		if (g->cookie)
			fault_drop_cookie_locked(g);
		fault_unlink_locked(g);
		nb_list_add_tail(out, &g->link);
		NB_TRACE(host_of(g->fn)->cfg.tr, host_fault_dropped, g->fn->fault.dev_id, g->pasid, g->last.addr);
	}
}

void fault_route_set(struct host_group *g, struct fault_route *r, struct fault_file *queue, bool nested)
{
	struct host *h = g->host;
	struct fault_group *left, *next;
	struct host_function *f;
	struct nb_list out;

	if (!r->queue && !queue)
		return;
	nb_list_init(&out);
	pthread_mutex_lock(&h->fault_lock);
	if (r->queue) {
		bool had = !nb_list_empty(&r->queue->pending);

		collect_locked(r, &r->queue->pending, &out);
		collect_locked(r, &r->queue->delivered, &out);
		if (had && nb_list_empty(&r->queue->pending))
			fault_tell_locked(r->queue);
		nb_list_for_each(f, &g->functions, group_link)
			forget_parked_locked(f, r);
	}
	if (!r->queue)
		nb_list_add_tail(&g->routes[r->pasid % FAULT_BUCKETS], &r->link);
	else if (!queue)
		nb_list_del(&r->link);
	r->queue = queue;
	r->nested = nested;
	pthread_mutex_unlock(&h->fault_lock);
	nb_list_for_each_safe(left, next, &out, link)
		fault_answer(left, DRV_PAGE_INVALID);
}

void fault_route_set_dev(struct host_group *g, struct fault_route *r, uint32_t dev_id)
{
	pthread_mutex_lock(&g->host->fault_lock);
	r->dev_id = dev_id;
	pthread_mutex_unlock(&g->host->fault_lock);
}
