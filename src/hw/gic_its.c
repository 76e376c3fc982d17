/* SPDX-License-Identifier: BSD-3-Clause */
#include "hw/gic_its.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"

#define BUCKETS 64u

/* What accept() hands to ring(): the passage it counted itself in, and the LPI. */
#define TOKEN_PASSAGE BIT(32)
#define TOKEN_LPI     BITS(31, 0)

struct its_device {
	struct its_device *next;
	uint32_t id, events;
	_Atomic uint32_t lpi[]; /* by EventID; 0: not mapped */
};

struct gic_its {
	struct nb_trace *tr;
	void (*deliver)(void *opaque, uint32_t lpi);
	void *opaque;
	struct hw_doorbell doorbell;
	struct nb_drain drain;	    /* from the look-up to the end of the delivery */
	pthread_mutex_t drain_lock; /* one waits at a time; a leaf */
	struct its_device *bucket[BUCKETS]; /* constant once there are messages */
};

static struct its_device **bucket_of(struct gic_its *its, uint32_t id)
{
	return &its->bucket[(id ^ id >> 3 ^ id >> 8 ^ id >> 16) % BUCKETS];
}

static struct its_device *find(struct gic_its *its, uint32_t id)
{
	struct its_device *d = *bucket_of(its, id);

	while (d && d->id != id)
		d = d->next;
	return d;
}

struct gic_its *gic_its_new(struct nb_trace *tr, void (*deliver)(void *opaque, uint32_t lpi), void *opaque)
{
	struct gic_its *its = nb_zalloc(sizeof(*its));

	if (!its)
		return NULL;
	its->tr = tr;
	its->deliver = deliver;
	its->opaque = opaque;
	pthread_mutex_init(&its->drain_lock, NULL);
	return its;
}

void gic_its_free(struct gic_its *its)
{
	unsigned int i;

	if (!its)
		return;
	for (i = 0; i < BUCKETS; i++) {
		struct its_device *d = its->bucket[i];

		while (d) {
			struct its_device *next = d->next;

			nb_free(d);
			d = next;
		}
	}
	pthread_mutex_destroy(&its->drain_lock);
	nb_free(its);
}

int gic_its_add_device(struct gic_its *its, uint32_t device, uint32_t events)
{
	struct its_device *d, **b = bucket_of(its, device);

	if (find(its, device))
		return -EEXIST;
	d = nb_zalloc(sizeof(*d) + events * sizeof(d->lpi[0]));
	if (!d)
		return -ENOMEM;
	d->id = device;
	d->events = events;
	d->next = *b;
	*b = d;
	return 0;
}

int gic_its_map(struct gic_its *its, uint32_t device, uint32_t event, uint32_t lpi)
{
	struct its_device *d = find(its, device);

	if (!d || event >= d->events || lpi < ITS_LPI_FIRST)
		return -EINVAL;
	atomic_store(&d->lpi[event], lpi);
	return 0;
}

void gic_its_unmap(struct gic_its *its, uint32_t device, uint32_t event, uint32_t n)
{
	struct its_device *d = find(its, device);
	uint32_t i;

	for (i = event; d && i < d->events && i - event < n; i++)
		atomic_store(&d->lpi[i], 0);
	pthread_mutex_lock(&its->drain_lock);
	nb_drain_wait(&its->drain);
	pthread_mutex_unlock(&its->drain_lock);
}

/* IHI 0069 lets 16 bits be written, too. No message of PCI is one, and here it is none either. */
static bool accept(void *opaque, uint32_t device, uint64_t off, const void *buf, size_t n, uint64_t *token)
{
	struct gic_its *its = opaque;
	uint32_t event, lpi = 0;
	unsigned int passage;
	struct its_device *d;
	le32_t data;

	if (off != ITS_TRANSLATER || n != sizeof(data)) {
		NB_TRACE(its->tr, hw_its_bad_write, device, off, n);
		return false;
	}
	memcpy(&data, buf, sizeof(data));
	event = cpu32(data);
	passage = nb_drain_enter(&its->drain);
	d = find(its, device);
	if (d && event < d->events)
		lpi = atomic_load(&d->lpi[event]);
	if (!lpi) {
		nb_drain_leave(&its->drain, passage);
		NB_TRACE(its->tr, hw_its_no_event, device, event);
		return false;
	}
	NB_TRACE(its->tr, hw_its_message, device, event, lpi);
	*token = (passage ? TOKEN_PASSAGE : 0) | FIELD(TOKEN_LPI, lpi);
	return true;
}

static void ring(void *opaque, uint64_t token)
{
	struct gic_its *its = opaque;

	its->deliver(its->opaque, (uint32_t)FIELD_GET(TOKEN_LPI, token));
	nb_drain_leave(&its->drain, token & TOKEN_PASSAGE ? 1 : 0);
}

const struct hw_doorbell *gic_its_doorbell(struct gic_its *its, hpa_t base)
{
	its->doorbell = (struct hw_doorbell){.base = base, .size = ITS_FRAME_SIZE, .opaque = its, .accept = accept, .ring = ring};
	return &its->doorbell;
}
