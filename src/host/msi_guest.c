/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest's way for messages: bindings, and doorbells of ours in the place of guests' (uapi/nestbox.h). */
#include <errno.h>
#include <inttypes.h>

#include "base/alloc.h"
#include "host/host_priv.h"
#include "host/ioctl.h"
#include "host/msi_table.h"
#include "host/vfio.h"
#include "uapi/nestbox.h"

/* On the wire the same everywhere: no holes. */
_Static_assert(sizeof(struct nestbox_guest_msi_bind) == 40 && offsetof(struct nestbox_guest_msi_bind, giova) == 16, "");
_Static_assert(sizeof(struct nestbox_guest_msi_unbind) == 16, "");

uint64_t msi_guest_addr(const struct host_function *f)
{
	return f->msi.binding.giova | f->doorbell->addr % HOST_PAGE_SIZE;
}

static int make_page(struct hwpt *p, const struct msi_binding *b, uint64_t doorbell, uint64_t len, struct msi_guest_page **out,
		     struct nb_diag *diag)
{
	struct msi_guest_page *page;
	int err;

	if (msi_window_uses(p, b->gdb, b->gdb + (len - 1)))
		return nb_fail(diag, -EADDRINUSE, "%#" PRIx64 " is a doorbell's place in the window", b->gdb);
	if (b->gdb < p->dom->aperture_first || b->gdb + (len - 1) > p->dom->aperture_last)
		return nb_fail(diag, -ERANGE, "the guest's doorbell %#" PRIx64 " is outside the table", b->gdb);
	page = nb_zalloc(sizeof(*page));
	if (!page)
		return -ENOMEM;
	*page = (struct msi_guest_page){.hwpt = p, .gdb = b->gdb, .doorbell = doorbell, .len = len, .refs = 1};
	/* Written to and nothing else. A stage 2 that cannot be read cannot be executed either. */
	err = ioas_show_page(p->ioas, p, b->gdb, hpa(doorbell), len, PT_WRITE | PT_DEVICE, page, diag);
	if (err) {
		nb_free(page);
		return err;
	}
	nb_list_add_tail(&p->msi_guest, &page->link);
	NB_TRACE(p->obj.ctx->host->cfg.tr, host_msi_map, p->obj.id, b->gdb, doorbell);
	*out = page;
	return 0;
}

int msi_guest_get(struct hwpt *p, const struct host_function *f, struct msi_guest_page **out, struct nb_diag *diag)
{
	const struct msi_binding *b = &f->msi.binding;
	uint64_t doorbell = nb_align_down(f->doorbell->addr, HOST_PAGE_SIZE), smallest = FIELD_LSB(p->dom->pgsizes);
	struct msi_guest_page *page;

	if (smallest > b->granule)
		return nb_fail(diag, -EINVAL, "the parent's pages of %#" PRIx64 " are larger than the guest's of %#" PRIx64, smallest,
			       b->granule);
	nb_list_for_each(page, &p->msi_guest, link) {
		if (page->gdb != b->gdb)
			continue;
		if (page->doorbell != doorbell)
			return nb_fail(diag, -EADDRINUSE, "%#" PRIx64 " stands for another doorbell", b->gdb);
		page->refs++;
		*out = page;
		return 0;
	}
	return make_page(p, b, doorbell, HOST_PAGE_SIZE, out, diag); /* no table has larger ones: ioas_add_hwpt() */
}

void msi_guest_put(struct msi_guest_page **at)
{
	struct msi_guest_page *page = *at;

	*at = NULL;
	if (!page || --page->refs)
		return;
	nb_list_del(&page->link);
	ioas_hide_page(page->hwpt->ioas, page->hwpt, page->gdb, page->len, page);
	NB_TRACE(page->hwpt->obj.ctx->host->cfg.tr, host_msi_unmap, page->hwpt->obj.id, page->gdb);
	nb_free(page);
}

static bool same(const struct msi_binding *a, const struct msi_binding *b)
{
	return a->giova == b->giova && a->gdb == b->gdb && a->granule == b->granule;
}

/*
 * Live messages change over: the new page is shown first, and the old one hidden when the function has sent its last message to it
 * (dev_irq_message() waits for that).
 */
static int bind_locked(struct idev *dev, const struct msi_binding *b, struct nb_diag *diag)
{
	struct host_function *f = dev->fn;
	struct hwpt *h = group_hwpt_locked(dev->group);
	const struct fn_msi was = f->msi;
	bool live = was.live && was.guest;
	struct msi_guest_page *old = was.page;
	int err = 0;

	if (was.bound && same(&was.binding, b))
		return 0;
	f->msi.bound = true;
	f->msi.binding = *b;
	f->msi.page = NULL;
	if (live && h)
		err = msi_guest_get(msi_paging(h), f, &f->msi.page, diag);
	if (err) {
		f->msi = was;
		return err;
	}
	if (live) {
		f->msi.addr = msi_guest_addr(f);
		for (unsigned int i = 0; i < f->msi.live; i++)
			(void)dev_irq_message(f->fn, f->msi.kind, i, f->msi.addr, i); /* the event is the number */
	}
	msi_guest_put(&old);
	NB_TRACE(dev->obj.ctx->host->cfg.tr, host_msi_bind, dev->obj.id, b->giova, b->gdb);
	return 0;
}

static void unbind_locked(struct idev *dev)
{
	struct fn_msi *m = &dev->fn->msi;

	m->bound = false;
	msi_guest_put(&m->page);
	NB_TRACE(dev->obj.ctx->host->cfg.tr, host_msi_unbind, dev->obj.id, m->binding.giova);
}

void msi_forget_locked(struct idev *dev)
{
	dev->unbound = true;
	if (!dev->fn->msi.bound)
		return;
	pthread_mutex_lock(&dev->obj.ctx->msi_lock);
	unbind_locked(dev);
	pthread_mutex_unlock(&dev->obj.ctx->msi_lock);
}

static int no_device(struct ucmd *u, uint32_t id)
{
	return nb_fail(&u->diag, -ENOENT, "there is no device %" PRIu32, id);
}

int ioctl_guest_msi_bind(struct ucmd *u)
{
	const struct nestbox_guest_msi_bind *c = u->cmd;
	const struct msi_binding b = {.giova = c->giova, .gdb = c->gdb, .granule = c->granule};
	struct drv_resv hardware;
	struct idev *dev;
	int err;

	if (c->flags || c->__reserved)
		return nb_fail(&u->diag, -EOPNOTSUPP, "unknown flags or a reserved field is not 0");
	if (c->granule < HOST_PAGE_SIZE || (c->granule & (c->granule - 1)) || !nb_aligned(c->giova | c->gdb, c->granule))
		return nb_fail(&u->diag, -EINVAL, "%#" PRIx64 " and %#" PRIx64 " are no pages of %#" PRIx64 ", or that is no size of one",
			       c->giova, c->gdb, c->granule);
	dev = idev_get(u->ctx, c->dev_id);
	if (!dev)
		return no_device(u, c->dev_id);
	pthread_mutex_lock(&dev->group->lock);
	pthread_mutex_lock(&u->ctx->msi_lock);
	if (dev->unbound)
		err = no_device(u, c->dev_id);
	else if (msi_range_of(dev->drv, DRV_RESV_MSI, &hardware))
		err = nb_fail(&u->diag, -EINVAL, "the IOMMU of device %" PRIu32 " has a range for messages in hardware", c->dev_id);
	else if (!dev->fn->guest_msi)
		err = nb_fail(&u->diag, -EOPNOTSUPP, "the unit of device %" PRIu32 " does not offer guest-MSI bindings", c->dev_id);
	else
		err = bind_locked(dev, &b, &u->diag);
	pthread_mutex_unlock(&u->ctx->msi_lock);
	pthread_mutex_unlock(&dev->group->lock);
	object_put(&dev->obj);
	return err;
}

int ioctl_guest_msi_unbind(struct ucmd *u)
{
	const struct nestbox_guest_msi_unbind *c = u->cmd;
	struct idev *dev;
	int err = 0;

	if (c->flags || c->__reserved)
		return nb_fail(&u->diag, -EOPNOTSUPP, "unknown flags or a reserved field is not 0");
	dev = idev_get(u->ctx, c->dev_id);
	if (!dev)
		return no_device(u, c->dev_id);
	pthread_mutex_lock(&dev->group->lock);
	pthread_mutex_lock(&u->ctx->msi_lock);
	if (!dev->fn->msi.bound)
		err = nb_fail(&u->diag, -ENOENT, "device %" PRIu32 " is not bound", c->dev_id);
	else
		unbind_locked(dev);
	pthread_mutex_unlock(&u->ctx->msi_lock);
	pthread_mutex_unlock(&dev->group->lock);
	object_put(&dev->obj);
	return err;
}
