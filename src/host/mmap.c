/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/mmap.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "host/host_priv.h"
#include "host/user.h"

/* Somebody's mapping of a region. Fields are set before it is in the list, but for those under host->revoke_lock. */
struct iommufd_mapping {
	struct nb_list link; /* host->mappings, under host->revoke_lock */
	struct object *owner; /* a reference, and one on its context */
	uint64_t va, npages;
	/* Under host->revoke_lock: pages that are still there, a bit each, and how many. */
	uint64_t left;
	uint64_t there[];
};

int mmap_region_add(struct object *owner, uint64_t len, int fd, uint64_t fd_off, uint64_t *offset)
{
	struct ictx *c = owner->ctx;
	struct mmap_region *r;
	struct nb_list *l;
	uint64_t at = HOST_PAGE_SIZE;
	int err = 0;

	if (len == 0 || len % HOST_PAGE_SIZE)
		return -EINVAL;
	r = nb_zalloc(sizeof(*r));
	if (!r)
		return -ENOMEM;
	*r = (struct mmap_region){.owner = owner, .len = len, .fd = fd, .fd_off = fd_off};
	/* The lowest gap that is long enough, the first page left out: Linux's rule. */
	pthread_mutex_lock(&c->lock);
	for (l = c->regions.next; l != &c->regions; l = l->next) {
		const struct mmap_region *have = nb_list_entry(l, struct mmap_region, link);

		if (have->offset - at >= len)
			break;
		at = have->offset + have->len;
	}
	if (len > INT64_MAX - at) {
		err = -ENOSPC;
	} else {
		r->offset = at;
		nb_list_add_tail(l, &r->link); /* before l */
	}
	pthread_mutex_unlock(&c->lock);
	if (err)
		nb_free(r);
	else
		*offset = at;
	return err;
}

void mmap_region_remove_all(const struct object *owner)
{
	struct ictx *c = owner->ctx;
	struct mmap_region *r, *next;

	pthread_mutex_lock(&c->lock);
	nb_list_for_each_safe(r, next, &c->regions, link) {
		if (r->owner != owner)
			continue;
		nb_list_del(&r->link);
		nb_free(r);
	}
	pthread_mutex_unlock(&c->lock);
}

/* The region at exactly this place, with a reference on its owner. */
static int take_region(struct ictx *c, uint64_t off, uint64_t len, struct mmap_region *out)
{
	struct mmap_region *r;
	int err = -ENXIO;

	pthread_mutex_lock(&c->lock);
	nb_list_for_each(r, &c->regions, link) {
		if (r->offset != off || r->len != len || !object_is_live_locked(r->owner))
			continue;
		object_ref(r->owner);
		*out = *r;
		err = 0;
		break;
	}
	pthread_mutex_unlock(&c->lock);
	return err;
}

int iommufd_mmap(struct iommufd_file *f, uint64_t off, size_t len, int prot, int flags, int *fd, uint64_t *fd_off,
		 struct iommufd_mapping **out)
{
	struct ictx *c = f->ctx;
	struct iommufd_mapping *m;
	struct mmap_region r;
	uint64_t npages = len / HOST_PAGE_SIZE;
	int err;

	if (len == 0 || len % HOST_PAGE_SIZE || off % HOST_PAGE_SIZE || !(flags & MAP_SHARED))
		return -EINVAL;
	if (prot & PROT_EXEC)
		return -EPERM;
	err = take_region(c, off, len, &r);
	if (err)
		return err;
	m = nb_zalloc(sizeof(*m) + (npages + 63) / 64 * sizeof(m->there[0]));
	if (!m) {
		object_put(r.owner);
		return -ENOMEM;
	}
	m->owner = r.owner;
	m->npages = npages;
	ictx_ref(c);
	*fd = r.fd;
	*fd_off = r.fd_off;
	*out = m;
	return 0;
}

static void mapping_drop(struct iommufd_mapping *m)
{
	struct ictx *c = m->owner->ctx;

	object_put(m->owner);
	ictx_put(c);
	nb_free(m);
}

void iommufd_mapped(struct iommufd_mapping *m, uint64_t va)
{
	struct host *h = m->owner->ctx->host;

	if (!va) {
		mapping_drop(m);
		host_settle(h);
		return;
	}
	m->va = va;
	m->left = m->npages;
	for (uint64_t i = 0; i < m->npages; i++)
		m->there[i / 64] |= BIT(i % 64);
	pthread_mutex_lock(&h->revoke_lock);
	nb_list_add_tail(&h->mappings, &m->link);
	/* Taken back only when there is no address space any more, and this one's context has one. */
	host_widen_va(h, va, va + (m->npages * HOST_PAGE_SIZE - 1));
	pthread_mutex_unlock(&h->revoke_lock);
}

static void forget_pages_locked(struct iommufd_mapping *m, uint64_t va_first, uint64_t va_last)
{
	uint64_t end = m->va + (m->npages * HOST_PAGE_SIZE - 1), first, last;

	if (va_first > end || va_last < m->va)
		return;
	first = va_first > m->va ? (va_first - m->va) / HOST_PAGE_SIZE : 0;
	last = va_last < end ? (va_last - m->va) / HOST_PAGE_SIZE : m->npages - 1;
	for (uint64_t i = first; i <= last; i++) {
		if (m->there[i / 64] & BIT(i % 64)) {
			m->there[i / 64] &= ~BIT(i % 64);
			m->left--;
		}
	}
}

void mmap_revoke_locked(struct host *h, uint64_t va_first, uint64_t va_last, struct nb_list *gone)
{
	struct iommufd_mapping *m, *next;

	nb_list_for_each_safe(m, next, &h->mappings, link) {
		forget_pages_locked(m, va_first, va_last);
		if (m->left)
			continue;
		nb_list_del(&m->link);
		nb_list_add_tail(gone, &m->link);
	}
}

bool mmap_drop(struct nb_list *gone)
{
	struct iommufd_mapping *m, *next;
	bool any = false;

	nb_list_for_each_safe(m, next, gone, link) {
		mapping_drop(m);
		any = true;
	}
	return any;
}
