/* SPDX-License-Identifier: BSD-3-Clause */
#include "machine/inbox.h"

#include <errno.h>

#include "base/alloc.h"

int inbox_init(struct inbox *b)
{
	b->item = nb_calloc(INBOX_SIZE, sizeof(*b->item));
	if (!b->item)
		return -ENOMEM;
	pthread_mutex_init(&b->lock, NULL);
	return 0;
}

void inbox_fini(struct inbox *b)
{
	if (!b->item)
		return;
	pthread_mutex_destroy(&b->lock);
	nb_free(b->item);
}

bool inbox_put(struct inbox *b, const struct inbox_item *it)
{
	uint32_t n;
	bool room;

	if (!b->item)
		return false;
	pthread_mutex_lock(&b->lock);
	n = atomic_load_explicit(&b->n, memory_order_relaxed);
	room = n < INBOX_SIZE;
	if (room) {
		b->item[(b->first + n) % INBOX_SIZE] = *it;
		atomic_store_explicit(&b->n, n + 1, memory_order_release);
	}
	pthread_mutex_unlock(&b->lock);
	return room;
}

bool inbox_take(struct inbox *b, struct inbox_item *out)
{
	uint32_t n;

	if (!inbox_has(b))
		return false;
	pthread_mutex_lock(&b->lock);
	n = atomic_load_explicit(&b->n, memory_order_relaxed);
	if (n) {
		*out = b->item[b->first];
		b->first = (b->first + 1) % INBOX_SIZE;
		atomic_store_explicit(&b->n, n - 1, memory_order_release);
	}
	pthread_mutex_unlock(&b->lock);
	return n != 0;
}
