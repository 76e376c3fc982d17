/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IOMMU_IOAS_COPY: the pages of some areas, mapped once more. The source range may begin and end inside areas and span several that
 * touch; each gives one area of the copy.
 */
#include <errno.h>
#include <inttypes.h>

#include "base/alloc.h"
#include "host/host_priv.h"
#include "host/ioas.h"
#include "host/user.h"

/* The new areas, linked through n.up until they are installed. */
struct copy {
	struct area_node *head, **tail;
};

static void drop(struct copy *c)
{
	struct area_node *n;

	while ((n = c->head) != NULL) {
		c->head = n->up;
		ioas_area_free(area_of(n));
	}
}

static int collect_locked(struct ioas *src, uint64_t first, uint64_t last, const struct ioas_map_args *m,
			  struct copy *c, struct nb_diag *diag)
{
	uint64_t at = first;

	for (;;) {
		struct area_node *n = area_tree_find(&src->areas, at, at);
		struct area *from, *a;
		uint64_t end, skip;

		if (!n)
			return nb_fail(diag, -ENOENT, "nothing is mapped at source IOVA %#" PRIx64, at);
		from = area_of(n);
		end = n->last < last ? n->last : last;
		skip = at - n->first;
		if (m->write && !from->pages->writable)
			return nb_fail(diag, -EPERM, "what is mapped at %#" PRIx64 " was mapped read-only", at);
		a = nb_zalloc(sizeof(*a));
		if (!a)
			return -ENOMEM;
		ioas_area_init(a, from->pages, from->off + skip, m);
		pages_ref(from->pages);
		a->n.last = end - at; /* length - 1, until it has a place */
		if (from->dead_first <= from->dead_last && from->dead_last >= skip && from->dead_first <= skip + (end - at)) {
			a->dead_first = from->dead_first > skip ? from->dead_first - skip : 0;
			a->dead_last = from->dead_last - skip < end - at ? from->dead_last - skip : end - at;
		}
		a->n.up = NULL;
		*c->tail = &a->n;
		c->tail = &a->n.up;
		if (end == last)
			return 0;
		at = end + 1;
	}
}

int ioas_copy(struct ioas *dst, struct ioas_map_args *m, struct ioas *src, uint64_t src_iova, struct nb_diag *diag)
{
	struct copy c = {.head = NULL, .tail = &c.head};
	struct ioas_map_args at = *m;
	struct area_node *n;
	uint64_t next;
	int err;

	if (m->length == 0)
		return nb_fail(diag, -EINVAL, "length is 0");
	if (src_iova > UINT64_MAX - (m->length - 1))
		return nb_fail(diag, -EOVERFLOW, "source IOVA %#" PRIx64 " length %#" PRIx64 " wraps", src_iova,
			       m->length);
	/* Between the two locks the pages are in no index: a revocation would miss them. */
	host_revoke_lock(dst->obj.ctx->host);
	pthread_mutex_lock(&src->lock);
	err = collect_locked(src, src_iova, src_iova + (m->length - 1), m, &c, diag);
	pthread_mutex_unlock(&src->lock);
	if (err)
		goto out;

	pthread_mutex_lock(&dst->lock);
	err = ioas_place_locked(dst, &at, area_of(c.head)->pages->start + area_of(c.head)->off, diag);
	next = at.iova;
	while (!err && (n = c.head) != NULL) {
		struct area_node *rest = n->up;
		uint64_t len = n->last + 1;

		if (((area_of(n)->pages->start + area_of(n)->off) % HOST_PAGE_SIZE | len) & (dst->alignment - 1))
			err = nb_fail(diag, -EINVAL, "a piece of the source is not aligned to %#" PRIx64, dst->alignment);
		else
			err = ioas_area_install_locked(dst, area_of(n), next, len, diag);
		if (err) {
			n->last = len - 1;
			n->up = rest;
			break;
		}
		next += len;
		c.head = rest;
	}
	if (err && next != at.iova) {
		/* Take back what was installed: [at.iova, next). */
		struct area_node *done;

		ioas_zap_locked(dst, at.iova, next - 1, NULL);
		while ((done = area_tree_find(&dst->areas, at.iova, next - 1)) != NULL) {
			ioas_area_unlink_locked(dst, area_of(done));
			ioas_area_free(area_of(done));
		}
	}
	pthread_mutex_unlock(&dst->lock);
	if (!err)
		m->iova = at.iova;
out:
	drop(&c);
	host_revoke_unlock(dst->obj.ctx->host);
	return err;
}
