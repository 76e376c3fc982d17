/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/access.h"

#include <errno.h>
#include <inttypes.h>

#include "base/alloc.h"
#include "host/user.h"

static void unlock_areas_locked(struct ioas *s, uint64_t first, uint64_t last)
{
	struct area_node *n;

	for (n = area_tree_find(&s->areas, first, last); n && n->first <= last; n = area_tree_next(n))
		area_of(n)->locks--;
}

static bool is_dead(const struct area *a, uint64_t first, uint64_t last)
{
	uint64_t from = first - a->n.first, to = last - a->n.first;

	return a->dead_first <= a->dead_last && from <= a->dead_last && to >= a->dead_first;
}

/* Lock the areas of [first, last] one after the other; whether they are one piece of memory is asked last, as in Linux. */
static int lock_areas_locked(struct ioas *s, uint64_t first, uint64_t last, uint64_t *va, struct nb_diag *diag)
{
	uint64_t at = first, next_va = 0;
	bool whole = true, all = false;
	int err = 0;

	for (;;) {
		struct area_node *n = area_tree_find(&s->areas, at, at);
		struct area *a = n ? area_of(n) : NULL;
		uint64_t here, end;

		if (!a) {
			err = nb_fail(diag, -ENOENT, "nothing is mapped at IOVA %#" PRIx64, at);
			break;
		}
		if (!(a->prot & PT_READ)) {
			err = nb_fail(diag, -EPERM, "what is mapped at IOVA %#" PRIx64 " cannot be read", at);
			break;
		}
		/* It is in a domain, so its address is known. */
		here = a->va.first + (at - n->first);
		end = n->last < last ? n->last : last;
		if (at == first)
			*va = here;
		else if (here != next_va)
			whole = false;
		if (is_dead(a, at, end))
			whole = false;
		a->locks++;
		next_va = here + (end - at) + 1;
		if (end == last) {
			if (whole)
				return 0;
			err = nb_fail(diag, -EFAULT, "the memory at IOVA %#" PRIx64 " is not in one piece", first);
			all = true;
			break;
		}
		at = end + 1;
	}
	if (all || at > first)
		unlock_areas_locked(s, first, all ? last : at - 1);
	return err;
}

int access_create(struct ictx *c, struct ioas *s, uint64_t iova, uint64_t len, hpa_t *pa, struct ioas_access **out,
		  struct nb_diag *diag)
{
	uint64_t lead = iova % HOST_PAGE_SIZE, first = iova - lead, va = 0, npages;
	struct ioas_access *a;
	int err;

	if (len > UINT64_MAX - lead || len + lead > UINT64_MAX - (HOST_PAGE_SIZE - 1))
		return nb_fail(diag, -ERANGE, "length %#" PRIx64 " wraps", len);
	npages = (len + lead + (HOST_PAGE_SIZE - 1)) / HOST_PAGE_SIZE;
	/* Linux makes a list of the pages and has no memory for a longer one. */
	if (npages > INT32_MAX / sizeof(void *))
		return nb_fail(diag, -ENOMEM, "length %#" PRIx64 " is too much", len);
	a = nb_zalloc(sizeof(*a));
	if (!a)
		return -ENOMEM;
	err = object_reserve(c, &a->obj, OBJ_ACCESS);
	if (err)
		goto out_free;
	a->ioas = s;
	a->first = first;
	a->last = first + (npages * HOST_PAGE_SIZE - 1);
	pthread_mutex_lock(&s->lock);
	err = ioas_add_access_locked(s, diag);
	if (!err) {
		err = lock_areas_locked(s, a->first, a->last, &va, diag);
		if (err)
			ioas_remove_access_locked(s);
	}
	pthread_mutex_unlock(&s->lock);
	if (err)
		goto out_unreserve;
	object_ref(&s->obj);
	object_ref(&a->obj); /* the maker's */
	object_publish(&a->obj);
	*pa = hpa(va + lead);
	*out = a;
	return 0;

out_unreserve:
	object_unreserve(&a->obj);
out_free:
	nb_free(a);
	return err;
}

void access_destroy(struct ioas_access *a)
{
	object_destroy_wait(&a->obj, 1);
}

void access_free(struct ioas_access *a)
{
	struct ioas *s = a->ioas;

	pthread_mutex_lock(&s->lock);
	unlock_areas_locked(s, a->first, a->last);
	ioas_remove_access_locked(s);
	pthread_mutex_unlock(&s->lock);
	object_put(&s->obj);
	nb_free(a);
}
