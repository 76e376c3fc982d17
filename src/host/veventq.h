/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Events that a vIOMMU has for its guest, one queue per type, read through a file.
 *
 * Every event has the next sequence number, also one that finds the queue full and is lost. A loss shows as a gap in the numbers; only where nothing
 * comes after it, a header that says so stands at the end of the queue, with the number of the last event that was lost.
 */
#ifndef NB_HOST_VEVENTQ_H
#define NB_HOST_VEVENTQ_H

#include "host/queue_file.h"
#include "drv/drv.h"
#include "uapi/iommufd.h"

struct viommu;

struct vevent {
	struct nb_list link;
	struct iommufd_vevent_header header;
	size_t len; /* of the payload, which follows */
};

struct veventq {
	struct queue_file q;   /* OBJ_VEVENTQ; q.open is under viommu->event_lock, as is what follows */
	struct viommu *viommu; /* a reference; set before publish, and so are type and depth */
	struct nb_list link;   /* viommu->veventqs */
	uint32_t type, depth;
	/*
	 * struct vevent.link. Only readers take out what has a payload, and those exclude each other (q.io): what is at the front stays there while
	 * it is copied out without the lock.
	 */
	struct nb_list pending;
	struct vevent lost;    /* the header that says so; at the end of `pending`, or not in it */
	bool lost_pending;
	uint32_t nevents;      /* with payload */
	uint32_t sequence;     /* of the next one */
};

static inline struct veventq *veventq_of(struct object *obj)
{
	return container_of(obj, struct veventq, q.obj);
}

/* drv_viommu.report_event */
int viommu_report_event(struct drv_viommu *drv, uint32_t type, const void *data, size_t len);

void veventq_free(struct veventq *q); /* object.c's */

#endif
