/* SPDX-License-Identifier: BSD-3-Clause */
/* Device files: binding to a context, attaching to tables, and the dispatch of everything else. */
#include "host/vfio.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "host/host_priv.h"

int vfio_open(struct host *h, unsigned int n, struct vfio_file **out)
{
	struct vfio_file *file;

	if (n >= h->nfn)
		return -ENOENT;
	file = nb_zalloc(sizeof(*file));
	if (!file)
		return -ENOMEM;
	file->host = h;
	file->f = h->fn[n];
	*out = file;
	return 0;
}

void vfio_close(struct vfio_file *file)
{
	struct host_function *f = file->f;

	if (atomic_load_explicit(&file->bound, memory_order_acquire)) {
		struct idev *dev;

		pthread_mutex_lock(&f->lock);
		dev = f->dev;
		vfio_irq_close_locked(f);
		vfio_config_reset_locked(f); /* stops what it was doing: bus master goes off */
		f->dev = NULL;
		pthread_mutex_unlock(&f->lock);
		idev_unbind(dev);
		/* Only now may somebody else bind. */
		pthread_mutex_lock(&f->lock);
		f->opener = NULL;
		pthread_mutex_unlock(&f->lock);
	}
	nb_free(file);
	host_settle(f->host);
}

static int bind_locked(struct vfio_file *file, struct ictx *ctx, struct idev **out, struct nb_diag *diag)
{
	struct host_function *f = file->f;
	int err;

	if (f->opener)
		return nb_fail(diag, -EINVAL, "the device is bound by somebody else");
	err = idev_bind(ctx, f, out, diag);
	if (err)
		return err;
	vfio_config_reset_locked(f);
	vfio_config_open_locked(f);
	f->dev = *out;
	f->opener = file;
	return 0;
}

static long vfio_bind(struct vfio_file *file, uint64_t uarg, struct nb_diag *diag)
{
	const uint32_t minsz = offsetof(struct vfio_device_bind_iommufd, token_uuid_ptr);
	struct host_function *f = file->f;
	struct vfio_device_bind_iommufd c;
	struct iommufd_file *iommufd;
	struct idev *dev = NULL;
	uint32_t argsz;
	int err;

	if (user_read(&argsz, uarg, sizeof(argsz)))
		return -EFAULT;
	if (argsz < minsz)
		return nb_fail(diag, -EINVAL, "argsz %" PRIu32 " is less than %" PRIu32, argsz, minsz);
	err = user_read_struct(&c, sizeof(c), uarg, argsz);
	if (err)
		return err;
	if (c.flags & ~(uint32_t)VFIO_DEVICE_BIND_FLAG_TOKEN || c.iommufd < 0)
		return nb_fail(diag, -EINVAL, "unknown flags, or descriptor %" PRId32, c.iommufd);
	if (atomic_load_explicit(&file->bound, memory_order_acquire))
		return nb_fail(diag, -EINVAL, "this file is bound already");
	err = file->host->cfg.resolve_iommufd(file->host->cfg.opaque, c.iommufd, &iommufd);
	if (err)
		return nb_fail(diag, err, "descriptor %" PRId32 " is no iommufd", c.iommufd);
	if (c.flags & VFIO_DEVICE_BIND_FLAG_TOKEN) {
		uint8_t uuid[16];

		if (user_read(uuid, c.token_uuid_ptr, sizeof(uuid)))
			return -EFAULT;
		return nb_fail(diag, -EINVAL, "the function is not virtual and takes no token");
	}
	pthread_mutex_lock(&f->lock);
	err = bind_locked(file, iommufd->ctx, &dev, diag);
	pthread_mutex_unlock(&f->lock);
	if (err)
		return err;
	c.out_devid = dev->obj.id;
	if (user_write(uarg + offsetof(struct vfio_device_bind_iommufd, out_devid), &c.out_devid, sizeof(c.out_devid))) {
		pthread_mutex_lock(&f->lock);
		f->dev = NULL;
		pthread_mutex_unlock(&f->lock);
		idev_unbind(dev);
		pthread_mutex_lock(&f->lock);
		f->opener = NULL; /* only then may somebody else bind it */
		pthread_mutex_unlock(&f->lock);
		return -EFAULT;
	}
	atomic_store_explicit(&file->bound, true, memory_order_release); /* pairs with the loads before any use */
	return 0;
}

/* The struct up to `min`, and up to `pasid_end` when the PASID flag is set. */
static int read_pt_struct(void *dst, uint64_t uarg, uint32_t min, uint32_t pasid_end, struct nb_diag *diag)
{
	uint32_t head[2];

	if (user_read(dst, uarg, min))
		return -EFAULT;
	memcpy(head, dst, sizeof(head));
	if (head[0] < min || head[1] & ~(uint32_t)VFIO_DEVICE_ATTACH_PASID)
		return nb_fail(diag, -EINVAL, "argsz %" PRIu32 " flags %#" PRIx32, head[0], head[1]);
	if (!(head[1] & VFIO_DEVICE_ATTACH_PASID))
		return 0;
	if (head[0] < pasid_end)
		return nb_fail(diag, -EINVAL, "argsz %" PRIu32 " has no room for the PASID", head[0]);
	return user_read((char *)dst + min, uarg + min, pasid_end - min);
}

/* PASID 0 is how Linux spells "requests without PASID". What is too wide is one that nobody has, and never our own word for "none". */
static uint32_t pasid_of(uint32_t flags, uint32_t pasid)
{
	if (!(flags & VFIO_DEVICE_ATTACH_PASID) || pasid == 0)
		return NB_NO_PASID;
	return pasid > NB_PASID_MAX ? NB_PASID_MAX + 1 : pasid;
}

static long vfio_attach(struct host_function *f, uint64_t uarg, struct nb_diag *diag)
{
	struct vfio_device_attach_iommufd_pt c = {0};
	uint32_t pasid;
	int err = read_pt_struct(&c, uarg, offsetof(struct vfio_device_attach_iommufd_pt, pasid), sizeof(c), diag);

	if (err)
		return err;
	pasid = pasid_of(c.flags, c.pasid);
	if (pasid != NB_NO_PASID && pasid > NB_PASID_MAX)
		return nb_fail(diag, -EINVAL, "PASID %#" PRIx32 " is wider than 20 bits", c.pasid);
	pthread_mutex_lock(&f->lock);
	/* A second attach is a replace. */
	err = idev_attach(f->dev, pasid, &c.pt_id, idev_is_attached(f->dev, pasid), diag);
	if (!err && user_write(uarg + offsetof(struct vfio_device_attach_iommufd_pt, pt_id), &c.pt_id, sizeof(c.pt_id))) {
		idev_detach(f->dev, pasid);
		err = -EFAULT;
	}
	pthread_mutex_unlock(&f->lock);
	return err;
}

static long vfio_detach(struct host_function *f, uint64_t uarg, struct nb_diag *diag)
{
	struct vfio_device_detach_iommufd_pt c = {0};
	int err = read_pt_struct(&c, uarg, offsetof(struct vfio_device_detach_iommufd_pt, pasid), sizeof(c), diag);

	if (err)
		return err;
	pthread_mutex_lock(&f->lock);
	idev_detach(f->dev, pasid_of(c.flags, c.pasid));
	pthread_mutex_unlock(&f->lock);
	return 0;
}

static long vfio_info(struct host_function *f, uint64_t uarg)
{
	const uint32_t minsz = offsetof(struct vfio_device_info, cap_offset);
	struct vfio_device_info c = {0};

	if (user_read(&c, uarg, minsz))
		return -EFAULT;
	if (c.argsz < minsz)
		return -EINVAL;
	c.flags = VFIO_DEVICE_FLAGS_PCI | (f->caps.flr ? VFIO_DEVICE_FLAGS_RESET : 0);
	c.num_regions = VFIO_PCI_NUM_REGIONS;
	c.num_irqs = VFIO_PCI_NUM_IRQS;
	return user_write(uarg, &c, c.argsz < sizeof(c) ? minsz : sizeof(c));
}

/* No feature is offered yet; callers probe and take -ENOTTY for "no". */
static long vfio_feature(uint64_t uarg, struct nb_diag *diag)
{
	const uint32_t ops = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET;
	struct vfio_device_feature c;

	if (user_read(&c, uarg, sizeof(c)))
		return -EFAULT;
	if (c.argsz < sizeof(c) || c.flags & ~(ops | VFIO_DEVICE_FEATURE_MASK | VFIO_DEVICE_FEATURE_PROBE))
		return nb_fail(diag, -EINVAL, "argsz %" PRIu32 " flags %#" PRIx32, c.argsz, c.flags);
	if (!(c.flags & VFIO_DEVICE_FEATURE_PROBE) && (c.flags & ops) == ops)
		return nb_fail(diag, -EINVAL, "get and set at once");
	/* 12 has an answer of its own even where there is no migration at all. */
	return (c.flags & VFIO_DEVICE_FEATURE_MASK) == 12 ? -EINVAL : -ENOTTY;
}

static const char *call_name(unsigned int cmd)
{
	switch (cmd) {
	case VFIO_DEVICE_BIND_IOMMUFD:
		return "VFIO_DEVICE_BIND_IOMMUFD";
	case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
		return "VFIO_DEVICE_ATTACH_IOMMUFD_PT";
	case VFIO_DEVICE_DETACH_IOMMUFD_PT:
		return "VFIO_DEVICE_DETACH_IOMMUFD_PT";
	case VFIO_DEVICE_SET_IRQS:
		return "VFIO_DEVICE_SET_IRQS";
	case VFIO_DEVICE_PCI_HOT_RESET:
		return "VFIO_DEVICE_PCI_HOT_RESET";
	default:
		return "VFIO ioctl";
	}
}

static long dispatch(struct vfio_file *file, unsigned int cmd, uint64_t uarg, struct nb_diag *diag)
{
	struct host_function *f = file->f;

	if (cmd == VFIO_DEVICE_BIND_IOMMUFD)
		return vfio_bind(file, uarg, diag);
	if (!atomic_load_explicit(&file->bound, memory_order_acquire))
		return nb_fail(diag, -EINVAL, "the device is not bound to an iommufd");
	switch (cmd) {
	case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
		return vfio_attach(f, uarg, diag);
	case VFIO_DEVICE_DETACH_IOMMUFD_PT:
		return vfio_detach(f, uarg, diag);
	case VFIO_DEVICE_GET_INFO:
		return vfio_info(f, uarg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return vfio_region_info(f, uarg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return vfio_irq_info(f, uarg);
	case VFIO_DEVICE_SET_IRQS:
		return vfio_set_irqs(f, uarg, diag);
	case VFIO_DEVICE_RESET:
		return vfio_reset(f);
	case VFIO_DEVICE_GET_PCI_HOT_RESET_INFO:
		return vfio_hot_reset_info(f, uarg);
	case VFIO_DEVICE_PCI_HOT_RESET:
		return vfio_hot_reset(f, uarg, diag);
	case VFIO_DEVICE_FEATURE:
		return vfio_feature(uarg, diag);
	default:
		return -ENOTTY;
	}
}

long vfio_ioctl(struct vfio_file *file, unsigned int cmd, uint64_t uarg)
{
	struct nb_trace *tr = file->host->cfg.tr;
	struct nb_diag diag;
	long r;

	diag.msg[0] = '\0';
	r = dispatch(file, cmd, uarg, &diag);
	if (r < 0) {
		NB_TRACE(tr, host_ioctl_failed, cmd, -r);
		host_log_refusal(file->host, call_name(cmd), (int)r, &diag);
	}
	NB_TRACE(tr, host_ioctl, cmd, r);
	host_settle(file->host);
	return r;
}

ssize_t vfio_pread(struct vfio_file *file, void *ubuf, size_t len, uint64_t off)
{
	if (!atomic_load_explicit(&file->bound, memory_order_acquire))
		return -EINVAL;
	return vfio_region_rw(file->f, (uintptr_t)ubuf, len, off, false);
}

ssize_t vfio_pwrite(struct vfio_file *file, const void *ubuf, size_t len, uint64_t off)
{
	ssize_t r;

	if (!atomic_load_explicit(&file->bound, memory_order_acquire))
		return -EINVAL;
	r = vfio_region_rw(file->f, (uintptr_t)ubuf, len, off, true);
	host_settle(file->host); /* a reset, or a doorbell */
	return r;
}
