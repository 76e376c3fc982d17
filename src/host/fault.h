/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * I/O page faults on their way to the user and back.
 *
 * A driver reports page requests of a function one by one. Those of one group (same function, PASID and group number) are parked with the
 * function until the last one comes; then the group goes, whole, to the queue of the HWPT that (group of functions, PASID) is attached
 * to. That connection is a route: it stands in its attachment (struct attach) and is there only while the HWPT has a fault queue. A reader of
 * the queue's file gets the group under a cookie, and whoever writes the cookie back answers it. What is left when the route goes is answered
 * for the user: invalid. Where the PASIDs of a nested table are the guest's (drv_ops.user_pasid_table), requests with a PASID that has no route go the way
 * of those without one.
 *
 * There is no timeout: as in Linux, a group waits until it is answered or its attachment goes.
 *
 * A group number belongs to one PASID here. Linux looks at the number alone; a function that spreads a group over PASIDs would have one user
 * table's addresses in the other one's record.
 *
 * Locking: reports come on any thread, also beside a detach that waits for them in the driver, so they take host->fault_lock and nothing else.
 * It protects everything below but what says otherwise, is a leaf, and is not held while a driver or a user's memory is touched. queue_file.io
 * serialises readers and writers of one queue and is taken before it.
 */
#ifndef NB_HOST_FAULT_H
#define NB_HOST_FAULT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/bits.h"
#include "base/list.h"
#include "drv/drv.h"
#include "host/queue_file.h"

struct host_function;
struct host_group;

/*
 * Requests that the host keeps for one function, parked, queued or unanswered: what the request queue of a unit holds under Linux.
 * A group beyond that is refused.
 */
#define FAULT_MAX_PER_FUNCTION 2048u

#define FAULT_BUCKETS 32u

struct fault_file {
	struct queue_file q;	  /* OBJ_FAULT; q.open is under host->fault_lock */
	struct nb_list pending;	  /* struct fault_group.link, in order of arrival */
	struct nb_list delivered; /* read, not answered */
	struct fault_group **cookie; /* delivered groups by cookie; 0 is none's */
	uint32_t ncookies, lowest_free;
};

struct fault_route {
	struct nb_list link;	  /* host_group.routes */
	uint32_t pasid;
	uint32_t dev_id;	  /* for functions of the group that nobody has bound */
	struct fault_file *queue; /* null: not in the list */
	bool nested;		  /* the attachment is to a nested table; set with queue */
};

struct fault_group {
	struct nb_list link; /* function's parked ones, or the queue's pending or delivered */
	struct host_function *fn;
	struct fault_route *route; /* null while parked */
	uint32_t pasid, grpid;
	uint32_t cookie; /* 0: not delivered */
	unsigned int nearly, room;
	struct drv_page_request *early; /* those before the last, as they came */
	struct drv_page_request last;
};

/* Of a function: embedded in struct host_function. */
struct fault_source {
	struct nb_list parked[FAULT_BUCKETS]; /* struct fault_group.link */
	unsigned int kept;		      /* requests, see FAULT_MAX_PER_FUNCTION */
	uint32_t dev_id;		      /* as its owner knows it; 0: nobody has bound it */
};

static inline struct fault_file *fault_of(struct object *obj)
{
	return container_of(obj, struct fault_file, q.obj);
}
static inline unsigned int fault_bucket(uint32_t pasid, uint32_t grpid)
{
	return (pasid ^ grpid) % FAULT_BUCKETS;
}

void fault_source_init(struct host_function *f);
void fault_source_fini(struct host_function *f); /* its driver is gone */
void fault_source_set_dev(struct host_function *f, uint32_t dev_id);
/* Requests whose last one will not come: the functions of g have been blocked. */
void fault_forget_parked(struct host_group *g);

/* drv_dev.report_fault and discard_partial */
int fault_report(struct drv_dev *dev, const struct drv_page_request *pr);
void fault_discard_partial(struct drv_dev *dev);

/*
 * The route of (g, route->pasid) shall lead to `queue` of a (nested) table, or nowhere (null); groups that took the old one are answered. Called with
 * g->lock, without fault_lock: when nothing can come any more for the old queue, and before something can for the new one where there was none.
 */
void fault_route_set(struct host_group *g, struct fault_route *route, struct fault_file *queue, bool nested);
void fault_route_set_dev(struct host_group *g, struct fault_route *route, uint32_t dev_id);

/* Answer and free, with fault_lock not held and the group in no list. */
void fault_answer(struct fault_group *g, enum drv_page_code code);

/* Tell whoever polls; with fault_lock. */
void fault_tell_locked(struct fault_file *f);
/* Take a delivered group's cookie away; take a group out of its list and of its function's account; with fault_lock. */
void fault_drop_cookie_locked(struct fault_group *g);
void fault_unlink_locked(struct fault_group *g);

void fault_free(struct fault_file *f); /* object.c's */

#endif
