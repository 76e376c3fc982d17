/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/device.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

#include "base/alloc.h"
#include "host/host_priv.h"
#include "host/hwpt.h"
#include "host/msi.h"
#include "host/vfio.h"
#include "host/viommu.h"

/*
 * Linux refuses to bind where messages are not checked by source, unless it was told that this is all right (allow_unsafe_interrupts).
 * Hosts without remapping would be of no use, so here it is always all right, and said once.
 */
static void tell_unsafe_msi(struct host *h)
{
	static const struct nb_diag why = {
		"interrupt messages are not checked by source here (no remapping); bound as with allow_unsafe_interrupts=1"};

	if (!atomic_exchange_explicit(&h->told_unsafe_msi, true, memory_order_relaxed))
		host_log_note(h, "VFIO_DEVICE_BIND_IOMMUFD", &why);
}

int idev_bind(struct ictx *c, struct host_function *fn, struct idev **out, struct nb_diag *diag)
{
	struct host_group *g = fn->group;
	const struct drv_ops *ops = fn->drv->iommu->ops;
	struct idev *dev;
	int err;

	if (!ops->capable(fn->drv, DRV_CAP_CACHE_COHERENCY))
		return nb_fail(diag, -EINVAL, "the IOMMU of %04x cannot keep DMA coherent with the caches", fn->drv->rid);
	if (!fn->doorbell && !ops->capable(fn->drv, DRV_CAP_ISOLATED_MSI))
		tell_unsafe_msi(c->host);
	dev = nb_zalloc(sizeof(*dev));
	if (!dev)
		return -ENOMEM;
	err = object_reserve(c, &dev->obj, OBJ_DEVICE);
	if (err) {
		nb_free(dev);
		return err;
	}
	pthread_mutex_lock(&g->lock);
	if (g->owner && g->owner != c) {
		pthread_mutex_unlock(&g->lock);
		object_unreserve(&dev->obj);
		nb_free(dev);
		return nb_fail(diag, -EPERM, "group %" PRIu32 " is used by another iommufd context", g->id);
	}
	g->owner = c;
	g->nbound++;
	pthread_mutex_unlock(&g->lock);
	fault_source_set_dev(fn, dev->obj.id);
	dev->fn = fn;
	dev->drv = fn->drv;
	dev->group = g;
	dev->enforce_cc = ops->capable(fn->drv, DRV_CAP_ENFORCE_COHERENCY);
	object_ref(&dev->obj); /* the caller's: DESTROY of a bound device is -EBUSY */
	ictx_ref(c);
	object_publish(&dev->obj);
	*out = dev;
	return 0;
}

void idev_unbind(struct idev *dev)
{
	struct ictx *c = dev->obj.ctx;
	struct host_group *g = dev->group;

	idev_detach_all(dev);
	vdevice_remove(dev);
	fault_source_set_dev(dev->fn, 0);
	pthread_mutex_lock(&g->lock);
	msi_forget_locked(dev);
	if (--g->nbound == 0) {
		g->owner = NULL;
		g->msi_required = 0; /* numbers of a table that was the owner's */
	}
	pthread_mutex_unlock(&g->lock);
	object_destroy_wait(&dev->obj, 1);
	ictx_put(c);
}

void idev_free(struct idev *dev)
{
	nb_free(dev);
}

bool idev_can_nest(const struct idev *dev)
{
	const struct drv_ops *ops = dev->drv->iommu->ops;

	return (ops->domain_alloc_nested || ops->viommu_size) && ops->capable(dev->drv, DRV_CAP_NESTING);
}

static struct attach *find_attach_locked(struct host_group *g, uint32_t pasid)
{
	struct attach *a;

	nb_list_for_each(a, &g->attaches, link) {
		if (a->pasid == pasid)
			return a;
	}
	return NULL;
}

struct hwpt *group_hwpt_locked(struct host_group *g)
{
	struct attach *a = find_attach_locked(g, NB_NO_PASID);

	return a ? a->hwpt : NULL;
}

static struct attach_dev *find_dev(struct attach *a, const struct idev *dev)
{
	struct attach_dev *d;

	if (!a)
		return NULL;
	nb_list_for_each(d, &a->devs, link) {
		if (d->dev == dev)
			return d;
	}
	return NULL;
}

/* PASIDs are programmed only where the function has them; Linux lets the others pass. */
static bool has_pasid(const struct host_function *f, uint32_t pasid)
{
	return pasid == NB_NO_PASID || f->drv->max_pasids > 0;
}

/* Every function of the group to h; on failure back to `old` (null: blocked). */
static int program_locked(struct host_group *g, uint32_t pasid, const struct hwpt *h, const struct hwpt *old,
			  struct nb_diag *diag)
{
	struct host_function *f, *bad = NULL;
	int err = 0;

	nb_list_for_each(f, &g->functions, group_link) {
		if (pasid != NB_NO_PASID && f->drv->max_pasids && pasid >= f->drv->max_pasids)
			return nb_fail(diag, -EINVAL, "PASID %" PRIu32 " of %04x is beyond its %" PRIu32, pasid,
				       f->drv->rid, f->drv->max_pasids);
	}
	nb_list_for_each(f, &g->functions, group_link) {
		if (!has_pasid(f, pasid))
			continue;
		err = f->drv->iommu->ops->attach(f->drv, pasid, h->dom, diag);
		if (err) {
			bad = f;
			break;
		}
	}
	if (!err)
		return 0;
	nb_list_for_each(f, &g->functions, group_link) {
		if (f == bad)
			break;
		if (!has_pasid(f, pasid))
			continue;
		/* It was attached to `old` a moment ago; if that cannot be had back, no DMA is better than wrong DMA. */
		if (!old || f->drv->iommu->ops->attach(f->drv, pasid, old->dom, NULL))
			f->drv->iommu->ops->block(f->drv, pasid);
	}
	return err;
}

static void block_locked(struct host_group *g, uint32_t pasid)
{
	struct host_function *f;

	nb_list_for_each(f, &g->functions, group_link) {
		if (has_pasid(f, pasid))
			f->drv->iommu->ops->block(f->drv, pasid);
	}
}

/* HWPTs of requests with and without PASID must all be fit for PASIDs as soon as there is one. */
static int check_pasid_compat_locked(struct host_group *g, uint32_t pasid, const struct hwpt *h, struct nb_diag *diag)
{
	struct attach *a;

	if (pasid != NB_NO_PASID) {
		if (!h->pasid_compat)
			return nb_fail(diag, -EINVAL, "HWPT %" PRIu32 " was allocated without the PASID flag", h->obj.id);
		a = find_attach_locked(g, NB_NO_PASID);
		if (a && !a->hwpt->pasid_compat)
			return nb_fail(diag, -EINVAL,
				       "HWPT %" PRIu32 " of the requests without PASID was allocated without the PASID flag",
				       a->hwpt->obj.id);
		return 0;
	}
	if (h->pasid_compat)
		return 0;
	nb_list_for_each(a, &g->attaches, link) {
		if (a->pasid != NB_NO_PASID)
			return nb_fail(diag, -EINVAL,
				       "PASID %" PRIu32 " is attached and HWPT %" PRIu32 " was allocated without the PASID flag",
				       a->pasid, h->obj.id);
	}
	return 0;
}

static void note_attach_locked(struct idev *dev, uint32_t pasid, const struct hwpt *h)
{
	struct nb_trace *tr = dev->obj.ctx->host->cfg.tr;

	NB_TRACE(tr, host_attach, dev->obj.id, pasid, h->obj.id);
	if (hwpt_is_nested(h)) {
		dev->nested_seen = true;
	} else if (pasid == NB_NO_PASID && !h->nest_parent && !dev->nested_seen && !dev->unnested_told &&
		   idev_can_nest(dev)) {
		dev->unnested_told = true;
		NB_TRACE(tr, host_attach_unnested, dev->obj.id, h->obj.id);
	}
}

static int attach_locked(struct idev *dev, uint32_t pasid, struct hwpt *h, struct nb_diag *diag)
{
	struct host_group *g = dev->group;
	struct attach *a = find_attach_locked(g, pasid), *fresh = NULL;
	struct attach_dev *d;
	int err;

	if (a && a->hwpt != h)
		return nb_fail(diag, -EINVAL, "the group is attached to HWPT %" PRIu32 " already", a->hwpt->obj.id);
	if (find_dev(a, dev))
		return nb_fail(diag, -EBUSY, "device %" PRIu32 " is attached already", dev->obj.id);
	d = nb_zalloc(sizeof(*d));
	if (!d)
		return -ENOMEM;
	if (!a) {
		fresh = nb_zalloc(sizeof(*fresh));
		if (!fresh) {
			err = -ENOMEM;
			goto out_free;
		}
	}
	if (pasid == NB_NO_PASID) {
		err = ioas_reserve_device(h->ioas, dev->drv, dev, diag);
		if (err)
			goto out_free;
	}
	if (fresh && pasid == NB_NO_PASID) {
		err = msi_begin_locked(g, h, diag);
		if (err)
			goto out_unreserve;
	}
	if (fresh) {
		fresh->pasid = fresh->route.pasid = pasid;
		fresh->hwpt = h;
		fresh->route.dev_id = dev->obj.id;
		fault_route_set(g, &fresh->route, h->fault, hwpt_is_nested(h));
		err = program_locked(g, pasid, h, NULL, diag);
		if (err) {
			fault_route_set(g, &fresh->route, NULL, false);
			goto out_abort_msi;
		}
		if (pasid == NB_NO_PASID)
			msi_commit_locked(g, h, NULL);
		nb_list_init(&fresh->devs);
		nb_list_add_tail(&g->attaches, &fresh->link);
		a = fresh;
	}
	d->dev = dev;
	nb_list_add_tail(&a->devs, &d->link);
	object_ref(&dev->obj);
	object_ref(&h->obj);
	return 0;

out_abort_msi:
	if (pasid == NB_NO_PASID)
		msi_abort_locked(g, h);
out_unreserve:
	if (pasid == NB_NO_PASID)
		ioas_unreserve(h->ioas, dev);
out_free:
	nb_free(fresh);
	nb_free(d);
	return err;
}

/* *old gets the HWPT that was replaced, with the references of *nold devices on it; null when nothing changed. */
static int replace_locked(struct idev *dev, uint32_t pasid, struct hwpt *h, struct hwpt **old, unsigned int *nold,
			  struct nb_diag *diag)
{
	struct host_group *g = dev->group;
	struct attach *a = find_attach_locked(g, pasid);
	struct attach_dev *d, *undo;
	struct hwpt *was;
	bool move;
	int err = 0;

	if (!find_dev(a, dev))
		return nb_fail(diag, -EINVAL, "device %" PRIu32 " is not attached", dev->obj.id);
	was = a->hwpt;
	if (was == h)
		return 0;
	move = pasid == NB_NO_PASID && was->ioas != h->ioas;
	if (move) {
		nb_list_for_each(d, &a->devs, link) {
			err = ioas_reserve_device(h->ioas, d->dev->drv, d->dev, diag);
			if (err)
				goto out_unreserve;
		}
		d = NULL;
	}
	/* Messages go through either table while the functions change over. */
	if (pasid == NB_NO_PASID) {
		err = msi_begin_locked(g, h, diag);
		if (err) {
			d = NULL;
			goto out_unreserve;
		}
	}
	/*
	 * While the functions change over, requests are still the old HWPT's, where that takes any; what it took is answered then, and
	 * so are those that the new table made early.
	 */
	if (!was->fault)
		fault_route_set(g, &a->route, h->fault, hwpt_is_nested(h));
	err = program_locked(g, pasid, h, was, diag);
	if (err) {
		d = NULL;
		if (!was->fault)
			fault_route_set(g, &a->route, NULL, false);
		if (pasid == NB_NO_PASID)
			msi_abort_locked(g, h);
		goto out_unreserve;
	}
	if (pasid == NB_NO_PASID)
		msi_commit_locked(g, h, was);
	if (was->fault)
		fault_route_set(g, &a->route, h->fault, hwpt_is_nested(h));
	a->hwpt = h;
	nb_list_for_each(d, &a->devs, link) {
		if (move)
			ioas_unreserve(was->ioas, d->dev);
		object_ref(&h->obj);
		++*nold;
	}
	*old = was;
	return 0;

out_unreserve:
	if (move) {
		nb_list_for_each(undo, &a->devs, link) {
			if (undo == d)
				break;
			ioas_unreserve(h->ioas, undo->dev);
		}
	}
	return err;
}

struct displaced {
	struct hwpt *hwpt;
	unsigned int refs;
};

static int attach_hwpt(struct idev *dev, uint32_t pasid, struct hwpt *h, bool replace, struct displaced *old,
		       struct nb_diag *diag)
{
	struct host_group *g = dev->group;
	int err;

	pthread_mutex_lock(&g->lock);
	if (g->resetting)
		err = nb_fail(diag, -EBUSY, "group %" PRIu32 " is being reset", g->id);
	else
		err = check_pasid_compat_locked(g, pasid, h, diag);
	if (!err)
		err = replace ? replace_locked(dev, pasid, h, &old->hwpt, &old->refs, diag)
			      : attach_locked(dev, pasid, h, diag);
	if (!err)
		note_attach_locked(dev, pasid, h);
	pthread_mutex_unlock(&g->lock);
	return err;
}

/* Without any lock: an automatic HWPT may go, and that takes the mutex of its address space. */
static void put_displaced(struct displaced *old)
{
	for (; old->refs > 1; old->refs--)
		object_put(&old->hwpt->obj);
	if (!old->hwpt)
		return;
	if (old->hwpt->automatic)
		object_put_and_try_destroy(&old->hwpt->obj);
	else
		object_put(&old->hwpt->obj);
}

static bool detach_one(struct idev *dev, uint32_t pasid);

/* Try the automatic HWPTs in the order of their making: -EINVAL means "not this one". Then make one. */
static int attach_ioas(struct idev *dev, uint32_t pasid, struct ioas *s, bool replace, uint32_t *pt_id,
		       struct displaced *old, struct nb_diag *diag)
{
	struct hwpt *h, *doomed = NULL;
	bool attached = false;
	int err;

	pthread_mutex_lock(&s->mutex);
	nb_list_for_each(h, &s->hwpts, ioas_link) {
		if (!h->automatic || !object_get_live(&h->obj))
			continue;
		err = attach_hwpt(dev, pasid, h, replace, old, diag);
		if (!err)
			*pt_id = h->obj.id;
		object_put(&h->obj);
		if (err != -EINVAL)
			goto out;
	}
	err = hwpt_alloc_paging(s->obj.ctx, s, dev, 0, &h, diag);
	if (err)
		goto out;
	h->automatic = true;
	doomed = h;
	/* A first attachment comes before the fill: some IOMMUs want to see a device first. */
	if (!replace) {
		err = attach_hwpt(dev, pasid, h, false, old, diag);
		attached = !err;
	}
	if (!err)
		err = hwpt_fill(h, diag);
	if (!err && replace)
		err = attach_hwpt(dev, pasid, h, true, old, diag);
	if (!err) {
		*pt_id = h->obj.id;
		object_publish(&h->obj);
		doomed = NULL;
	}
out:
	pthread_mutex_unlock(&s->mutex);
	if (doomed) {
		if (attached)
			(void)detach_one(dev, pasid);
		object_abort(&doomed->obj);
	}
	return err;
}

int idev_attach(struct idev *dev, uint32_t pasid, uint32_t *pt_id, bool replace, struct nb_diag *diag)
{
	struct object *obj = object_get(dev->obj.ctx, *pt_id, OBJ_ANY);
	struct displaced old = {0};
	int err;

	if (!obj)
		return nb_fail(diag, -ENOENT, "there is no object %" PRIu32, *pt_id);
	switch (obj->type) {
	case OBJ_HWPT_PAGING:
	case OBJ_HWPT_NESTED:
		err = attach_hwpt(dev, pasid, hwpt_of(obj), replace, &old, diag);
		break;
	case OBJ_IOAS:
		err = attach_ioas(dev, pasid, ioas_of(obj), replace, pt_id, &old, diag);
		break;
	default:
		err = nb_fail(diag, -EINVAL, "object %" PRIu32 " is nothing to attach to", *pt_id);
		break;
	}
	object_put(obj);
	put_displaced(&old);
	return err;
}

/* True: it was attached, and the HWPT of `dev` for this PASID has lost its references. */
static bool detach_one(struct idev *dev, uint32_t pasid)
{
	struct host_group *g = dev->group;
	struct displaced old = {0};
	struct attach_dev *d;
	struct attach *a;

	pthread_mutex_lock(&g->lock);
	a = find_attach_locked(g, pasid);
	d = find_dev(a, dev);
	if (!d) {
		pthread_mutex_unlock(&g->lock);
		return false;
	}
	old = (struct displaced){a->hwpt, 1};
	nb_list_del(&d->link);
	if (nb_list_empty(&a->devs)) {
		block_locked(g, pasid);
		fault_route_set(g, &a->route, NULL, false);
		if (pasid == NB_NO_PASID)
			msi_release_locked(g, old.hwpt);
		nb_list_del(&a->link);
		nb_free(a);
	} else {
		fault_route_set_dev(g, &a->route, nb_list_entry(a->devs.next, struct attach_dev, link)->dev->obj.id);
	}
	if (pasid == NB_NO_PASID)
		ioas_unreserve(old.hwpt->ioas, dev);
	NB_TRACE(dev->obj.ctx->host->cfg.tr, host_detach, dev->obj.id, pasid);
	pthread_mutex_unlock(&g->lock);
	nb_free(d);
	object_put(&dev->obj);
	put_displaced(&old);
	return true;
}

void idev_detach(struct idev *dev, uint32_t pasid)
{
	(void)detach_one(dev, pasid);
}

bool idev_is_attached(struct idev *dev, uint32_t pasid)
{
	struct host_group *g = dev->group;
	bool is;

	pthread_mutex_lock(&g->lock);
	is = find_dev(find_attach_locked(g, pasid), dev) != NULL;
	pthread_mutex_unlock(&g->lock);
	return is;
}

void idev_detach_all(struct idev *dev)
{
	struct host_group *g = dev->group;
	bool again = true;

	while (again) {
		uint32_t pasid = NB_NO_PASID;
		struct attach *a;

		again = false;
		pthread_mutex_lock(&g->lock);
		nb_list_for_each(a, &g->attaches, link) {
			if (find_dev(a, dev)) {
				pasid = a->pasid;
				again = true;
				break;
			}
		}
		pthread_mutex_unlock(&g->lock);
		if (again)
			idev_detach(dev, pasid);
	}
}

/* Only functions with a translation cache of their own must be kept from using it over a reset. */
static bool parks(const struct host_group *g)
{
	struct host_function *f;

	nb_list_for_each(f, &g->functions, group_link) {
		if (f->drv->ats)
			return true;
	}
	return false;
}

void group_reset_begin(struct host_group *g)
{
	struct attach *a;

	pthread_mutex_lock(&g->lock);
	if (parks(g) && g->resetting++ == 0) {
		nb_list_for_each(a, &g->attaches, link)
			block_locked(g, a->pasid);
		fault_forget_parked(g);
	}
	pthread_mutex_unlock(&g->lock);
}

void group_reset_end(struct host_group *g)
{
	struct attach *a;

	pthread_mutex_lock(&g->lock);
	if (parks(g) && --g->resetting == 0) {
		/* What fails stays blocked: no DMA is better than wrong DMA. */
		nb_list_for_each(a, &g->attaches, link)
			(void)program_locked(g, a->pasid, a->hwpt, NULL, NULL);
	}
	pthread_mutex_unlock(&g->lock);
}
