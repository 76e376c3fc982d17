/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Resets. What a kernel saves before and restores after: command register and device control, and the messages that are
 * set up. While a function with a translation cache is being reset its group is parked on the blocked domain.
 */
#include <errno.h>
#include <inttypes.h>

#include "base/alloc.h"
#include "host/host_priv.h"
#include "host/vfio.h"

void vfio_reset_locked(struct host_function *f)
{
	struct vfio_saved saved;

	group_reset_begin(f->group);
	vfio_config_save_locked(f, &saved);
	vfio_config_reset_locked(f);
	vfio_config_restore_locked(f, &saved);
	vfio_irq_restore_locked(f);
	group_reset_end(f->group);
	NB_TRACE(f->host->cfg.tr, vfio_reset, f->number);
}

long vfio_reset(struct host_function *f)
{
	if (!f->caps.flr)
		return -EINVAL;
	pthread_mutex_lock(&f->lock);
	vfio_reset_locked(f);
	pthread_mutex_unlock(&f->lock);
	return 0;
}

static bool on_bus(const struct host_function *f, const struct host_function *o)
{
	return o->segment == f->segment && o->rid >> 8 == f->rid >> 8;
}

/*
 * The id by which the caller's context knows a function that is reset with f: its device id, 0 when it is the context's because its group is,
 * or "not owned".
 */
static int32_t dependent_id_locked(struct ictx *ctx, struct host_function *o)
{
	int32_t id = VFIO_PCI_DEVID_NOT_OWNED;

	pthread_mutex_lock(&o->group->lock);
	if (o->group->owner == ctx)
		id = VFIO_PCI_DEVID_OWNED;
	pthread_mutex_unlock(&o->group->lock);
	if (o->dev && o->dev->obj.ctx == ctx)
		id = (int32_t)o->dev->obj.id;
	return id;
}

static struct ictx *context_of(struct host_function *f)
{
	struct ictx *ctx;

	pthread_mutex_lock(&f->lock);
	ctx = f->dev ? f->dev->obj.ctx : NULL; /* the caller's own binding keeps it */
	pthread_mutex_unlock(&f->lock);
	return ctx;
}

long vfio_hot_reset_info(struct host_function *f, uint64_t uarg)
{
	const uint32_t minsz = offsetof(struct vfio_pci_hot_reset_info, devices);
	struct vfio_pci_hot_reset_info c;
	struct ictx *ctx = context_of(f);
	uint32_t n = 0, room;

	if (user_read(&c, uarg, minsz))
		return -EFAULT;
	if (c.argsz < minsz)
		return -EINVAL;
	if (f->rid >> 8 == 0)
		return -ENODEV; /* on the root bus, and that cannot be reset */
	room = (c.argsz - minsz) / (uint32_t)sizeof(struct vfio_pci_dependent_device);
	c.flags = VFIO_PCI_HOT_RESET_FLAG_DEV_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	for (unsigned int i = 0; i < f->host->nfn; i++) {
		struct host_function *o = f->host->fn[i];
		struct vfio_pci_dependent_device d;
		int32_t id;

		if (!on_bus(f, o))
			continue;
		pthread_mutex_lock(&o->lock);
		id = dependent_id_locked(ctx, o);
		pthread_mutex_unlock(&o->lock);
		if (id == VFIO_PCI_DEVID_NOT_OWNED)
			c.flags &= ~(uint32_t)VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
		d = (struct vfio_pci_dependent_device){
			.devid = (uint32_t)id,
			.segment = o->segment,
			.bus = (uint8_t)(o->rid >> 8),
			.devfn = (uint8_t)o->rid,
		};
		if (n < room && user_write(uarg + minsz + n * sizeof(d), &d, sizeof(d)))
			return -EFAULT;
		n++;
	}
	c.count = n;
	if (n > room)
		c.flags = 0;
	if (user_write(uarg, &c, minsz))
		return -EFAULT;
	return n > room ? -ENOSPC : 0;
}

/*
 * All functions of f's bus, by number: the one place where several of these locks are held. Whom they belong to stays as it
 * is until all have been reset.
 */
static void bus_lock(struct host_function *f)
{
	for (unsigned int i = 0; i < f->host->nfn; i++) {
		if (on_bus(f, f->host->fn[i]))
			pthread_mutex_lock(&f->host->fn[i]->lock);
	}
}
static void bus_unlock(struct host_function *f)
{
	for (unsigned int i = 0; i < f->host->nfn; i++) {
		if (on_bus(f, f->host->fn[i]))
			pthread_mutex_unlock(&f->host->fn[i]->lock);
	}
}

static int bus_reset_locked(struct host_function *f, struct nb_diag *diag)
{
	struct ictx *ctx = f->dev ? f->dev->obj.ctx : NULL;

	for (unsigned int i = 0; i < f->host->nfn; i++) {
		struct host_function *o = f->host->fn[i];

		if (on_bus(f, o) && dependent_id_locked(ctx, o) == VFIO_PCI_DEVID_NOT_OWNED)
			return nb_fail(diag, -EINVAL, "%04x on the same bus belongs to somebody else", o->rid);
	}
	for (unsigned int i = 0; i < f->host->nfn; i++) {
		if (on_bus(f, f->host->fn[i]))
			vfio_reset_locked(f->host->fn[i]);
	}
	return 0;
}

long vfio_hot_reset(struct host_function *f, uint64_t uarg, struct nb_diag *diag)
{
	const uint32_t minsz = offsetof(struct vfio_pci_hot_reset, group_fds);
	struct vfio_pci_hot_reset c;
	int err;

	if (user_read(&c, uarg, minsz))
		return -EFAULT;
	if (c.argsz < minsz || c.flags)
		return nb_fail(diag, -EINVAL, "unknown flags, or argsz is too small");
	if (f->rid >> 8 == 0)
		return -ENODEV;
	if (c.count)
		return nb_fail(diag, -EINVAL, "a device opened by its own node takes no group descriptors");
	bus_lock(f);
	err = bus_reset_locked(f, diag);
	bus_unlock(f);
	return err;
}
