/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/ioas.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

#include "base/alloc.h"
#include "host/host_priv.h"
#include "host/hwpt.h"
#include "host/user.h"

#define AUTO_ALIGN_MAX (UINT64_C(2) << 20)

int ioas_alloc(struct ictx *c, struct ioas **out)
{
	struct ioas *s = nb_zalloc(sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	err = iova_space_init(&s->space);
	if (err)
		goto out_free;
	err = object_reserve(c, &s->obj, OBJ_IOAS);
	if (err)
		goto out_space;
	pthread_mutex_init(&s->mutex, NULL);
	pthread_mutex_init(&s->lock, NULL);
	va_index_init(&s->va);
	nb_list_init(&s->hwpts);
	s->alignment = 1;
	s->huge_pages = true;
	host_add_ioas(c->host, s);
	*out = s;
	return 0;

out_space:
	iova_space_fini(&s->space);
out_free:
	nb_free(s);
	return err;
}

void ioas_area_free(struct area *a)
{
	struct pages *p = a->pages;

	/* An area that carries its pages goes with them. */
	if (p->home != a)
		nb_free(a);
	pages_put(p);
}

void ioas_area_unlink_locked(struct ioas *s, struct area *a)
{
	if (a->indexed)
		va_index_del(&s->va, &a->va);
	a->indexed = false;
	area_tree_erase(&s->areas, &a->n);
	s->nareas--;
}

void ioas_free(struct ioas *s)
{
	struct area_node *n;

	assert(s->nshown == 0 && nb_list_empty(&s->hwpts));
	host_remove_ioas(s->obj.ctx->host, s);
	while ((n = s->areas.root) != NULL) {
		ioas_area_unlink_locked(s, area_of(n));
		ioas_area_free(area_of(n));
	}
	va_index_fini(&s->va);
	iova_space_fini(&s->space);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->mutex);
	nb_free(s);
}

/* The process address of the area is needed for the first time: look it up and let revocations find it. */
static int area_resolve_locked(struct ioas *s, struct area *a, struct nb_diag *diag)
{
	uint64_t va;
	int err;

	if (a->indexed)
		return 0;
	err = pages_va(a->pages, a->off, &va, diag);
	if (err)
		return err;
	a->va.first = va;
	a->va.last = va + (area_len(a) - 1);
	va_index_add(&s->va, &a->va);
	a->indexed = true;
	host_widen_va(s->obj.ctx->host, a->va.first, a->va.last);
	return 0;
}

/* Bytes [first, last] of the area into one domain. */
static int fill_part(struct ioas *s, struct hwpt *h, const struct area *a, uint64_t first, uint64_t last,
		     struct nb_diag *diag)
{
	struct drv_domain *d = h->dom;
	uint64_t step = s->huge_pages ? last - first + 1 : HOST_PAGE_SIZE;
	uint64_t at = first;
	int err = 0;

	while (!err && last - at >= step - 1) {
		err = d->ops->map(d, a->n.first + at, hpa(a->va.first + at), step, a->prot, diag);
		if (last - at == step - 1)
			break;
		at += step;
	}
	if (err && at > first) {
		struct drv_gather g = {0};

		(void)d->ops->unmap(d, a->n.first + first, at - first, &g);
		d->ops->iotlb_sync(d, &g);
	}
	return err;
}

/* All of the area that lives into one domain; on failure none of it. */
static int fill_area_locked(struct ioas *s, struct hwpt *h, struct area *a, bool check, struct nb_diag *diag)
{
	uint64_t last = area_len(a) - 1;
	bool head, tail;
	int err = area_resolve_locked(s, a, diag);

	if (err)
		return err;
	if (likely(a->dead_first > a->dead_last)) {
		if (check)
			err = pages_check(a->pages, a->va.first, last + 1, diag);
		return err ? err : fill_part(s, h, a, 0, last, diag);
	}
	head = a->dead_first > 0;
	tail = a->dead_last < last;
	if (check && head)
		err = pages_check(a->pages, a->va.first, a->dead_first, diag);
	if (!err && check && tail)
		err = pages_check(a->pages, a->va.first + a->dead_last + 1, last - a->dead_last, diag);
	if (!err && head)
		err = fill_part(s, h, a, 0, a->dead_first - 1, diag);
	if (!err && tail) {
		err = fill_part(s, h, a, a->dead_last + 1, last, diag);
		if (err && head) {
			struct drv_gather g = {0};

			(void)h->dom->ops->unmap(h->dom, a->n.first, a->dead_first, &g);
			h->dom->ops->iotlb_sync(h->dom, &g);
		}
	}
	return err;
}

/* [first, last] of IOVA out of every domain up to, not including, `stop` (null: all). Then nobody can reach it. */
void ioas_zap_locked(struct ioas *s, uint64_t first, uint64_t last, const struct hwpt *stop)
{
	struct hwpt *h;

	nb_list_for_each(h, &s->hwpts, ioas_link) {
		struct drv_gather g = {0};

		if (h == stop)
			return;
		/* Leaves never span two areas, so nothing has to be split and this cannot fail. */
		(void)h->dom->ops->unmap(h->dom, first, last - first + 1, &g);
		h->dom->ops->iotlb_sync(h->dom, &g);
	}
}

static int fill_all_locked(struct ioas *s, struct area *a, struct nb_diag *diag)
{
	struct hwpt *h;
	bool check = true;

	nb_list_for_each(h, &s->hwpts, ioas_link) {
		int err = fill_area_locked(s, h, a, check, diag);

		if (unlikely(err)) {
			ioas_zap_locked(s, a->n.first, a->n.last, h);
			return err;
		}
		check = false;
	}
	return 0;
}

/* Linux's rule for IOVAs of its own choice; addr is the source address (uAPI sheet 3.4.1). */
static int auto_iova_locked(struct ioas *s, uint64_t addr, uint64_t len, uint64_t *out, struct nb_diag *diag)
{
	uint64_t align, sub = addr % HOST_PAGE_SIZE;

	if (len == 0 || len >= UINT64_MAX / 2)
		return nb_fail(diag, -EOVERFLOW, "length %#" PRIx64 " fits nowhere", len);
	align = len == 1 ? 1 : BIT(nb_ilog2(len - 1) + 1);
	if (addr && FIELD_LSB(addr) < align)
		align = FIELD_LSB(addr);
	if (align > AUTO_ALIGN_MAX)
		align = AUTO_ALIGN_MAX;
	if (align < s->alignment)
		return nb_fail(diag, -EINVAL, "address %#" PRIx64 " is aligned to less than %#" PRIx64, addr,
			       s->alignment);
	for (size_t i = 0; i < s->space.nusable; i++) {
		uint64_t first = s->space.usable[i].first, last = s->space.usable[i].last;

		if (first < HOST_PAGE_SIZE)
			first = HOST_PAGE_SIZE;
		if (last > UINT64_MAX - HOST_PAGE_SIZE)
			last = UINT64_MAX - HOST_PAGE_SIZE;
		if (first <= last && area_tree_fit(&s->areas, first, last, len, align, sub, out))
			return 0;
	}
	return nb_fail(diag, -ENOSPC, "no room for %#" PRIx64 " bytes", len);
}

/* Choose or check where a mapping of length m->length goes. */
int ioas_place_locked(struct ioas *s, struct ioas_map_args *m, uint64_t addr, struct nb_diag *diag)
{
	uint64_t mask = s->alignment - 1;
	int err;

	if (m->length & mask)
		return nb_fail(diag, -EINVAL, "length %#" PRIx64 " is not a multiple of %#" PRIx64, m->length,
			       s->alignment);
	if (!m->fixed) {
		uint64_t at;

		err = auto_iova_locked(s, addr, m->length, &at, diag);
		if (err)
			return err;
		m->iova = at;
	} else {
		if (m->iova & mask)
			return nb_fail(diag, -EINVAL, "IOVA %#" PRIx64 " is not a multiple of %#" PRIx64, m->iova,
				       s->alignment);
		if (m->iova > UINT64_MAX - (m->length - 1))
			return nb_fail(diag, -EOVERFLOW, "IOVA %#" PRIx64 " length %#" PRIx64 " wraps", m->iova,
				       m->length);
		if (iova_space_is_reserved(&s->space, m->iova, m->iova + (m->length - 1)))
			return nb_fail(diag, -EINVAL, "IOVA %#" PRIx64 " length %#" PRIx64 " hits a reserved range",
				       m->iova, m->length);
		/* "There already" comes before "misaligned", but else inserting finds it out for less. */
		if (unlikely(addr % HOST_PAGE_SIZE & mask) &&
		    area_tree_find(&s->areas, m->iova, m->iova + (m->length - 1)))
			return nb_fail(diag, -EEXIST, "IOVA %#" PRIx64 " length %#" PRIx64 " is mapped already",
				       m->iova, m->length);
	}
	if (addr % HOST_PAGE_SIZE & mask)
		return nb_fail(diag, -EINVAL, "address %#" PRIx64 " is not a multiple of %#" PRIx64, addr, s->alignment);
	return 0;
}

void ioas_area_init(struct area *a, struct pages *p, uint64_t off, const struct ioas_map_args *m)
{
	a->pages = p;
	a->off = off;
	a->dead_first = 1;
	a->dead_last = 0;
	a->prot = (uint8_t)((m->read ? PT_READ : 0) | (m->write ? PT_WRITE : 0));
}

/* Put an area into the space and into every domain. Its place was checked. On failure it is as before. */
int ioas_area_install_locked(struct ioas *s, struct area *a, uint64_t first, uint64_t len, struct nb_diag *diag)
{
	int err;

	a->n.first = first;
	a->n.last = first + (len - 1);
	if (!area_tree_insert(&s->areas, &a->n))
		return nb_fail(diag, -EEXIST, "IOVA %#" PRIx64 " length %#" PRIx64 " is mapped already", first, len);
	s->nareas++;
	/* Memory of the process is known by its address at once; a file only when it is mapped. */
	err = a->pages->file && nb_list_empty(&s->hwpts) ? 0 : area_resolve_locked(s, a, diag);
	if (!err)
		err = fill_all_locked(s, a, diag);
	if (err)
		ioas_area_unlink_locked(s, a);
	return err;
}

/* home->pages is initialised; takes it over, also on failure. */
static int map_home(struct ioas *s, struct ioas_map_args *m, struct area_home *home, struct nb_diag *diag)
{
	struct ioas_map_args at = *m;
	int err;

	ioas_area_init(&home->area, &home->pages, 0, m);
	pthread_mutex_lock(&s->lock);
	err = ioas_place_locked(s, &at, home->pages.start, diag);
	if (!err)
		err = ioas_area_install_locked(s, &home->area, at.iova, at.length, diag);
	pthread_mutex_unlock(&s->lock);
	if (err) {
		ioas_area_free(&home->area);
		return err;
	}
	m->iova = at.iova;
	return 0;
}

int ioas_map_user(struct ioas *s, struct ioas_map_args *m, uint64_t user_va, struct nb_diag *diag)
{
	struct area_home *home;

	if (user_va + m->length < user_va)
		return nb_fail(diag, -EOVERFLOW, "address %#" PRIx64 " length %#" PRIx64 " wraps", user_va, m->length);
	if (m->length == 0)
		return nb_fail(diag, -EINVAL, "length is 0");
	home = nb_zalloc(sizeof(*home));
	if (!home)
		return -ENOMEM;
	pages_init_user(&home->pages, home, user_va, m->length, m->write);
	return map_home(s, m, home, diag);
}

int ioas_map_file(struct ioas *s, struct ioas_map_args *m, int fd, uint64_t start, struct nb_diag *diag)
{
	const struct host_cfg *cfg;
	struct area_home *home;
	int err;

	if (m->length == 0)
		return nb_fail(diag, -EINVAL, "length is 0");
	if (start > UINT64_MAX - (m->length - 1))
		return nb_fail(diag, -EOVERFLOW, "offset %#" PRIx64 " length %#" PRIx64 " wraps", start, m->length);
	home = nb_zalloc(sizeof(*home));
	if (!home)
		return -ENOMEM;
	err = pages_init_file(&home->pages, home, fd, start, m->length, m->write, diag);
	if (err) {
		nb_free(home);
		return err;
	}
	cfg = &s->obj.ctx->host->cfg;
	/* Our own duplicate is asked about: the caller's number may be something else by now. */
	home->pages.file->node = cfg->is_node && cfg->is_node(cfg->opaque, home->pages.file->fd);
	return map_home(s, m, home, diag);
}

int ioas_unmap(struct ioas *s, uint64_t first, uint64_t last, uint64_t *unmapped, struct nb_diag *diag)
{
	uint64_t low = UINT64_MAX, high = 0, bytes = 0;
	struct area_node *gone = NULL, *n, *next;
	int err = 0;

	pthread_mutex_lock(&s->lock);
	for (n = area_tree_find(&s->areas, first, last); n && n->first <= last; n = next) {
		if (area_of(n)->locks) {
			err = nb_fail(diag, -EBUSY, "the area at %#" PRIx64 " is used by a hardware queue", n->first);
			break;
		}
		if (n->first < first || n->last > last) {
			err = nb_fail(diag, -ENOENT,
				      "[%#" PRIx64 ", %#" PRIx64 "] cuts the area [%#" PRIx64 ", %#" PRIx64 "]", first,
				      last, n->first, n->last);
			break;
		}
		next = n->last < last ? area_tree_next(n) : NULL;
		ioas_area_unlink_locked(s, area_of(n));
		bytes += n->last - n->first + 1;
		low = n->first < low ? n->first : low;
		high = n->last;
		n->up = gone;
		gone = n;
	}
	/* Only then may the memory be used for something else. At once, unless what lies between is not ours to unmap. */
	if (gone && !s->nshown)
		ioas_zap_locked(s, low, high, NULL);
	for (n = s->nshown ? gone : NULL; n; n = n->up) { /* from the last to the first, neighbours together */
		for (high = n->last; n->up && n->up->last + 1 == n->first;)
			n = n->up;
		ioas_zap_locked(s, n->first, high, NULL);
	}
	pthread_mutex_unlock(&s->lock);
	while ((n = gone) != NULL) {
		gone = n->up;
		ioas_area_free(area_of(n));
	}
	*unmapped = bytes;
	return err;
}

static void set_alignment_locked(struct ioas *s)
{
	struct hwpt *h;

	s->alignment = s->huge_pages && !s->naccesses ? 1 : HOST_PAGE_SIZE;
	nb_list_for_each(h, &s->hwpts, ioas_link) {
		uint64_t page = FIELD_LSB(h->dom->pgsizes);

		if (page > s->alignment)
			s->alignment = page;
	}
}

static bool areas_aligned_locked(const struct ioas *s, uint64_t alignment)
{
	struct area_node *n;

	for (n = area_tree_first(&s->areas); n; n = area_tree_next(n)) {
		const struct area *a = area_of(n);

		if ((n->first | area_len(a) | ((a->pages->start + a->off) % HOST_PAGE_SIZE)) & (alignment - 1))
			return false;
	}
	return true;
}

static int reserve_locked(struct ioas *s, uint64_t first, uint64_t last, const void *owner, struct nb_diag *diag)
{
	int err = -EADDRINUSE;

	if (!area_tree_find(&s->areas, first, last))
		err = iova_space_reserve(&s->space, first, last, owner);
	if (err == -EADDRINUSE)
		return nb_fail(diag, err, "[%#" PRIx64 ", %#" PRIx64 "] must be reserved but is mapped or allowed",
			       first, last);
	return err;
}

int ioas_add_hwpt(struct ioas *s, struct hwpt *h, struct nb_diag *diag)
{
	const struct drv_domain *d = h->dom;
	uint64_t page = FIELD_LSB(d->pgsizes);
	struct area_node *n;
	int err = 0;

	pthread_mutex_lock(&s->lock);
	if (page > HOST_PAGE_SIZE)
		err = nb_fail(diag, -EINVAL, "the IOMMU's smallest page is %#" PRIx64, page);
	else if (page > s->alignment && !areas_aligned_locked(s, page))
		err = nb_fail(diag, -EADDRINUSE, "an area is not aligned to %#" PRIx64, page);
	if (!err && d->aperture_first)
		err = reserve_locked(s, 0, d->aperture_first - 1, d, diag);
	if (!err && d->aperture_last != UINT64_MAX)
		err = reserve_locked(s, d->aperture_last + 1, UINT64_MAX, d, diag);
	for (n = area_tree_first(&s->areas); !err && n; n = area_tree_next(n))
		err = fill_area_locked(s, h, area_of(n), true, diag);
	if (err) {
		/* The domain is thrown away, with what was filled in. */
		iova_space_unreserve(&s->space, d);
	} else {
		nb_list_add_tail(&s->hwpts, &h->ioas_link);
		set_alignment_locked(s);
	}
	pthread_mutex_unlock(&s->lock);
	return err;
}

void ioas_remove_hwpt(struct ioas *s, struct hwpt *h)
{
	pthread_mutex_lock(&s->lock);
	nb_list_del(&h->ioas_link);
	iova_space_unreserve(&s->space, h->dom);
	set_alignment_locked(s);
	pthread_mutex_unlock(&s->lock);
}

int ioas_add_access_locked(struct ioas *s, struct nb_diag *diag)
{
	if (s->alignment < HOST_PAGE_SIZE && !areas_aligned_locked(s, HOST_PAGE_SIZE))
		return nb_fail(diag, -EADDRINUSE, "an area is not aligned to pages");
	s->naccesses++;
	set_alignment_locked(s);
	return 0;
}

void ioas_remove_access_locked(struct ioas *s)
{
	s->naccesses--;
	set_alignment_locked(s);
}

int ioas_reserve_device(struct ioas *s, struct drv_dev *dev, const void *owner, struct nb_diag *diag)
{
	struct drv_resv r[16];
	unsigned int n = 0;
	bool sw_msi = false, hw_msi = false;
	int err = 0;

	if (dev->iommu->ops->resv_regions)
		n = dev->iommu->ops->resv_regions(dev, r, ARRAY_SIZE(r));
	pthread_mutex_lock(&s->lock);
	for (unsigned int i = 0; i < n && !err; i++) {
		if (r[i].type == DRV_RESV_DIRECT_RELAXABLE)
			continue;
		sw_msi |= r[i].type == DRV_RESV_SW_MSI;
		hw_msi |= r[i].type == DRV_RESV_MSI;
		err = reserve_locked(s, r[i].first, r[i].last, owner, diag);
	}
	if (!err && sw_msi && hw_msi)
		err = nb_fail(diag, -EINVAL, "the device has both a software and a hardware MSI window");
	if (err)
		iova_space_unreserve(&s->space, owner);
	pthread_mutex_unlock(&s->lock);
	return err;
}

void ioas_unreserve(struct ioas *s, const void *owner)
{
	pthread_mutex_lock(&s->lock);
	iova_space_unreserve(&s->space, owner);
	pthread_mutex_unlock(&s->lock);
}

int ioas_show_page(struct ioas *s, struct hwpt *h, uint64_t iova, hpa_t pa, uint64_t len, unsigned int prot, const void *owner,
		   struct nb_diag *diag)
{
	int err = 0;

	pthread_mutex_lock(&s->lock);
	if (owner)
		err = reserve_locked(s, iova, iova + (len - 1), owner, diag);
	if (!err) {
		err = h->dom->ops->map(h->dom, iova, pa, len, prot, diag);
		if (!err)
			s->nshown++;
		else if (owner)
			iova_space_unreserve(&s->space, owner);
	}
	pthread_mutex_unlock(&s->lock);
	return err;
}

void ioas_hide_page(struct ioas *s, struct hwpt *h, uint64_t iova, uint64_t len, const void *owner)
{
	struct drv_gather g = {0};

	pthread_mutex_lock(&s->lock);
	(void)h->dom->ops->unmap(h->dom, iova, len, &g); /* one leaf, mapped alone: nothing is split */
	h->dom->ops->iotlb_sync(h->dom, &g);
	s->nshown--;
	if (owner)
		iova_space_unreserve(&s->space, owner);
	pthread_mutex_unlock(&s->lock);
}

int ioas_set_huge_pages(struct ioas *s, bool on, struct nb_diag *diag)
{
	int err = 0;

	pthread_mutex_lock(&s->lock);
	if (on == s->huge_pages)
		goto out;
	if (!on && s->nareas && !nb_list_empty(&s->hwpts))
		err = nb_fail(diag, -EINVAL, "there are domains and areas already");
	else if (!on && !areas_aligned_locked(s, HOST_PAGE_SIZE))
		err = nb_fail(diag, -EADDRINUSE, "an area is not aligned to pages");
	if (!err) {
		s->huge_pages = on;
		set_alignment_locked(s);
	}
out:
	pthread_mutex_unlock(&s->lock);
	return err;
}
