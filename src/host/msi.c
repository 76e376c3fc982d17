/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/msi.h"

#include <errno.h>
#include <inttypes.h>

#include "base/alloc.h"
#include "host/host_priv.h"
#include "host/msi_table.h"
#include "host/vfio.h"

/*
 * Places in windows, given out for good: a number for each pair of window and doorbell, the bit in hwpt->msi_present and
 * group->msi_required.
 */
struct msi_table {
	unsigned int n;
	struct msi_place {
		uint64_t window, doorbell; /* its page */
		uint64_t iova;
	} place[MSI_DOORBELLS];
};

bool msi_range_of(struct drv_dev *dev, enum drv_resv_type type, struct drv_resv *out)
{
	struct drv_resv r[16];
	unsigned int n = dev->iommu->ops->resv_regions ? dev->iommu->ops->resv_regions(dev, r, ARRAY_SIZE(r)) : 0;

	for (unsigned int i = 0; i < n; i++) {
		if (r[i].type == type) {
			*out = r[i];
			return true;
		}
	}
	return false;
}

/* The place of f's doorbell in a window, maybe a new one. Under msi_lock. */
static int place_of(struct ictx *c, const struct host_function *f, const struct drv_resv *window, unsigned int *number,
		    struct nb_diag *diag)
{
	uint64_t doorbell = nb_align_down(f->doorbell->addr, HOST_PAGE_SIZE), at = window->first;
	struct msi_table *t = c->msi;

	if (!t) {
		t = nb_zalloc(sizeof(*t));
		if (!t)
			return -ENOMEM;
		c->msi = t;
	}
	for (unsigned int i = 0; i < t->n; i++) {
		if (t->place[i].window != window->first)
			continue;
		if (t->place[i].doorbell == doorbell) {
			*number = i;
			return 0;
		}
		at = t->place[i].iova + HOST_PAGE_SIZE;
	}
	if (t->n == MSI_DOORBELLS || at > window->last || window->last - at < HOST_PAGE_SIZE - 1)
		return nb_fail(diag, -EOVERFLOW, "the context has %u doorbells already", t->n);
	t->place[t->n] = (struct msi_place){window->first, doorbell, at};
	*number = t->n++;
	return 0;
}

bool msi_window_uses(const struct hwpt *p, uint64_t first, uint64_t last)
{
	for (uint64_t left = p->msi_present; left; left &= left - 1) {
		const struct msi_place *at = &p->obj.ctx->msi->place[__builtin_ctzll(left)];

		if (at->iova <= last && first <= at->iova + (HOST_PAGE_SIZE - 1))
			return true;
	}
	return false;
}

/* p shows a doorbell in its place. Under msi_lock. */
static int install(struct hwpt *p, unsigned int number, struct nb_diag *diag)
{
	const struct msi_place *at = &p->obj.ctx->msi->place[number];
	struct msi_guest_page *page;
	int err;

	if (p->msi_present & BIT(number))
		return 0;
	nb_list_for_each(page, &p->msi_guest, link) {
		if (page->gdb <= at->iova + (HOST_PAGE_SIZE - 1) && at->iova <= page->gdb + (page->len - 1))
			return nb_fail(diag, -EADDRINUSE, "%#" PRIx64 " is a guest's doorbell", at->iova);
	}
	/* Reserved by whoever is attached. Linux's permissions; leaves of the host's own stage 1 could not do without reading. */
	err = ioas_show_page(p->ioas, p, at->iova, hpa(at->doorbell), HOST_PAGE_SIZE, PT_READ | PT_WRITE | PT_DEVICE, NULL, diag);
	if (err)
		return err;
	p->msi_present |= BIT(number);
	NB_TRACE(p->obj.ctx->host->cfg.tr, host_msi_map, p->obj.id, at->iova, at->doorbell);
	return 0;
}

/* One group less that needs any. Under msi_lock. */
static void put_user(struct hwpt *p)
{
	if (--p->msi_users)
		return;
	for (uint64_t left = p->msi_present; left; left &= left - 1) {
		const struct msi_place *at = &p->obj.ctx->msi->place[__builtin_ctzll(left)];

		ioas_hide_page(p->ioas, p, at->iova, HOST_PAGE_SIZE, NULL);
		NB_TRACE(p->obj.ctx->host->cfg.tr, host_msi_unmap, p->obj.id, at->iova);
	}
	p->msi_present = 0;
}

/* ---- what is attached changes ---- */

/* Messages that a guest bound are of no use elsewhere, and the other way round: a clear no now, instead of interrupts that get lost. */
static int check_way(const struct host_group *g, const struct hwpt *h, struct nb_diag *diag)
{
	const struct host_function *f;

	nb_list_for_each(f, &g->functions, group_link) {
		if (!f->guest_msi || !f->msi.live)
			continue;
		if (f->msi.guest != hwpt_is_nested(h))
			return nb_fail(diag, -EBUSY, "interrupts of %04x are set up for %s nested table", f->rid,
				       f->msi.guest ? "a" : "no");
		if (f->msi.guest && !f->msi.bound) {
			NB_TRACE(h->obj.ctx->host->cfg.tr, host_msi_unbound, f->rid, h->obj.id);
			return nb_fail(diag, -ENOENT, "interrupts of %04x are set up and it has no guest-MSI binding", f->rid);
		}
	}
	return 0;
}

int msi_begin_locked(struct host_group *g, struct hwpt *h, struct nb_diag *diag)
{
	struct hwpt *p = msi_paging(h);
	struct host_function *f;
	int err = check_way(g, h, diag);

	if (err)
		return err;
	pthread_mutex_lock(&h->obj.ctx->msi_lock);
	p->msi_users++;
	for (uint64_t left = g->msi_required; left && !err; left &= left - 1)
		err = install(p, (unsigned int)__builtin_ctzll(left), diag);
	nb_list_for_each(f, &g->functions, group_link) {
		if (!err && f->msi.live && f->msi.guest)
			err = msi_guest_get(p, f, &f->msi.next, diag);
	}
	pthread_mutex_unlock(&h->obj.ctx->msi_lock);
	if (err)
		msi_abort_locked(g, h);
	return err;
}

void msi_abort_locked(struct host_group *g, struct hwpt *h)
{
	struct host_function *f;

	pthread_mutex_lock(&h->obj.ctx->msi_lock);
	nb_list_for_each(f, &g->functions, group_link)
		msi_guest_put(&f->msi.next);
	put_user(msi_paging(h));
	pthread_mutex_unlock(&h->obj.ctx->msi_lock);
}

void msi_commit_locked(struct host_group *g, struct hwpt *h, struct hwpt *was)
{
	struct host_function *f;

	pthread_mutex_lock(&h->obj.ctx->msi_lock);
	nb_list_for_each(f, &g->functions, group_link) {
		msi_guest_put(&f->msi.page);
		f->msi.page = f->msi.next;
		f->msi.next = NULL;
	}
	if (was)
		put_user(msi_paging(was));
	pthread_mutex_unlock(&h->obj.ctx->msi_lock);
}

void msi_release_locked(struct host_group *g, struct hwpt *h)
{
	struct host_function *f;

	pthread_mutex_lock(&h->obj.ctx->msi_lock);
	nb_list_for_each(f, &g->functions, group_link)
		msi_guest_put(&f->msi.page);
	put_user(msi_paging(h));
	pthread_mutex_unlock(&h->obj.ctx->msi_lock);
}

/* ---- messages ---- */

static int by_window(struct host_function *f, struct hwpt *h, struct nb_diag *diag)
{
	struct ictx *c = h->obj.ctx;
	unsigned int number = 0;
	struct drv_resv window;
	int err;

	f->msi.addr = f->doorbell->addr;
	if (!msi_range_of(f->drv, DRV_RESV_SW_MSI, &window))
		return 0;
	pthread_mutex_lock(&c->msi_lock);
	err = place_of(c, f, &window, &number, diag);
	if (!err)
		err = install(msi_paging(h), number, diag);
	if (!err) {
		f->group->msi_required |= BIT(number);
		f->msi.addr = c->msi->place[number].iova | f->doorbell->addr % HOST_PAGE_SIZE;
	}
	pthread_mutex_unlock(&c->msi_lock);
	return err;
}

static int by_guest(struct host_function *f, struct hwpt *h, struct nb_diag *diag)
{
	int err = 0;

	if (!f->msi.bound) {
		NB_TRACE(f->host->cfg.tr, host_msi_unbound, f->rid, h->obj.id);
		return nb_fail(diag, -ENOENT, "%04x is attached to a nested table and has no guest-MSI binding", f->rid);
	}
	pthread_mutex_lock(&h->obj.ctx->msi_lock);
	if (!f->msi.page)
		err = msi_guest_get(msi_paging(h), f, &f->msi.page, diag);
	pthread_mutex_unlock(&h->obj.ctx->msi_lock);
	if (!err)
		f->msi.addr = msi_guest_addr(f);
	return err;
}

int msi_add(struct host_function *f, enum dev_irq kind, struct nb_diag *diag)
{
	struct host_group *g = f->group;
	struct hwpt *h;
	bool guest;
	int err = 0;

	pthread_mutex_lock(&g->lock);
	h = group_hwpt_locked(g);
	guest = f->guest_msi && h && hwpt_is_nested(h);
	if (f->msi.live && guest != f->msi.guest)
		err = nb_fail(diag, -EBUSY, "what %04x is attached to changed meanwhile", f->rid);
	else if (h)
		err = guest ? by_guest(f, h, diag) : by_window(f, h, diag);
	else
		f->msi.addr = f->doorbell->addr;
	if (!err) {
		f->msi.live++;
		f->msi.kind = kind;
		f->msi.guest = guest;
	}
	pthread_mutex_unlock(&g->lock);
	return err;
}

void msi_remove(struct host_function *f)
{
	pthread_mutex_lock(&f->group->lock);
	f->msi.live--;
	pthread_mutex_unlock(&f->group->lock);
}

int msi_program(struct host_function *f, unsigned int vector, uint32_t data)
{
	int err;

	pthread_mutex_lock(&f->group->lock);
	err = dev_irq_message(f->fn, f->msi.kind, vector, f->msi.addr, data);
	pthread_mutex_unlock(&f->group->lock);
	return err;
}
