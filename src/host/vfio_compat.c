/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The old container's calls on an iommufd file. The virtual host has no container node, so what is here is what a caller sees
 * who probes: version and extensions, the choice of the address space, and the refusals in Linux's order.
 */
#include <errno.h>
#include <inttypes.h>

#include "host/host_priv.h"
#include "host/hwpt.h"
#include "host/ioas.h"
#include "host/ioctl.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

int ioctl_vfio_ioas(struct ucmd *u)
{
	struct iommu_vfio_ioas *c = u->cmd;
	struct ictx *ctx = u->ctx;
	struct ioas *s;
	int err = 0;

	if (c->__reserved)
		return nb_fail(&u->diag, -EOPNOTSUPP, "a reserved field is not 0");
	switch (c->op) {
	case IOMMU_VFIO_IOAS_GET:
		pthread_mutex_lock(&ctx->lock);
		if (ctx->compat_ioas)
			c->ioas_id = ctx->compat_ioas->id;
		else
			err = nb_fail(&u->diag, -ENODEV, "no address space is set for the container's calls");
		pthread_mutex_unlock(&ctx->lock);
		return err ? err : user_write(u->uptr, c, sizeof(*c));
	case IOMMU_VFIO_IOAS_SET:
		s = ioas_get(ctx, c->ioas_id);
		if (!s)
			return nb_fail(&u->diag, -ENOENT, "there is no IOAS %" PRIu32, c->ioas_id);
		pthread_mutex_lock(&ctx->lock);
		ctx->compat_ioas = &s->obj;
		pthread_mutex_unlock(&ctx->lock);
		object_put(&s->obj);
		return 0;
	case IOMMU_VFIO_IOAS_CLEAR:
		pthread_mutex_lock(&ctx->lock);
		ctx->compat_ioas = NULL;
		pthread_mutex_unlock(&ctx->lock);
		return 0;
	default:
		return nb_fail(&u->diag, -EOPNOTSUPP, "unknown operation %u", c->op);
	}
}

static struct ioas *compat_get(struct ictx *ctx)
{
	struct object *obj;

	pthread_mutex_lock(&ctx->lock);
	obj = ctx->compat_ioas;
	if (obj)
		object_ref(obj);
	pthread_mutex_unlock(&ctx->lock);
	return obj ? ioas_of(obj) : NULL;
}

static int check_dma_cc(struct ictx *ctx)
{
	struct ioas *s = compat_get(ctx);
	struct hwpt *h;
	int all = 1;

	if (!s)
		return -ENODEV;
	pthread_mutex_lock(&s->lock);
	nb_list_for_each(h, &s->hwpts, ioas_link)
		all &= h->enforce_cc;
	pthread_mutex_unlock(&s->lock);
	object_put(&s->obj);
	return all;
}

static long compat(struct ictx *ctx, unsigned int cmd, uint64_t uarg)
{
	uint32_t argsz, min;
	struct ioas *s;

	switch (cmd) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		if (uarg == VFIO_DMA_CC_IOMMU)
			return check_dma_cc(ctx);
		return uarg == VFIO_TYPE1_IOMMU || uarg == VFIO_TYPE1v2_IOMMU || uarg == VFIO_UNMAP_ALL;
	case VFIO_SET_IOMMU:
		if (uarg != VFIO_TYPE1_IOMMU && uarg != VFIO_TYPE1v2_IOMMU)
			return -EINVAL;
		break;
	case VFIO_IOMMU_GET_INFO:
	case VFIO_IOMMU_MAP_DMA:
	case VFIO_IOMMU_UNMAP_DMA:
		min = cmd == VFIO_IOMMU_GET_INFO ? 16 : cmd == VFIO_IOMMU_MAP_DMA ? 32 : 24;
		if (user_read(&argsz, uarg, sizeof(argsz)))
			return -EFAULT;
		if (argsz < min)
			return -EINVAL;
		break;
	default:
		return -ENOTTY;
	}
	/* The rest wants the address space. With one, this host still has no container for it. */
	s = compat_get(ctx);
	if (!s)
		return -ENODEV;
	object_put(&s->obj);
	return -EOPNOTSUPP;
}

long vfio_compat_ioctl(struct ictx *ctx, unsigned int cmd, uint64_t uarg)
{
	long r = compat(ctx, cmd, uarg);

	if (r < 0)
		NB_TRACE(ctx->host->cfg.tr, host_ioctl_failed, cmd, -r);
	NB_TRACE(ctx->host->cfg.tr, host_ioctl, cmd, r);
	return r;
}
