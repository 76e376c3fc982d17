/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "host/device.h"
#include "host/ioctl.h"
#include "uapi/iommufd.h"

#define HW_INFO_MAX 256

static uint64_t capabilities(struct drv_dev *d)
{
	const struct drv_ops *ops = d->iommu->ops;
	uint64_t caps = 0;

	if (ops->capable(d, DRV_CAP_DIRTY_TRACKING))
		caps |= IOMMU_HW_CAP_DIRTY_TRACKING;
	if (d->max_pasids && ops->capable(d, DRV_CAP_PASID_EXEC))
		caps |= IOMMU_HW_CAP_PCI_PASID_EXEC;
	if (d->max_pasids && ops->capable(d, DRV_CAP_PASID_PRIV))
		caps |= IOMMU_HW_CAP_PCI_PASID_PRIV;
	if (!ops->capable(d, DRV_CAP_ATS))
		caps |= IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED;
	return caps;
}

int ioctl_get_hw_info(struct ucmd *u)
{
	struct iommu_hw_info *c = u->cmd;
	uint32_t type = IOMMU_HW_INFO_TYPE_DEFAULT, len = HW_INFO_MAX, copied;
	uint8_t buf[HW_INFO_MAX];
	const struct drv_ops *ops;
	struct idev *dev;
	int err = 0;

	if (c->flags & ~(uint32_t)IOMMU_HW_INFO_FLAG_INPUT_TYPE || c->__reserved[0] || c->__reserved[1] ||
	    c->__reserved[2])
		return nb_fail(&u->diag, -EOPNOTSUPP, "unknown flags or a reserved field is not 0");
	if (c->flags & IOMMU_HW_INFO_FLAG_INPUT_TYPE)
		type = c->in_data_type;
	dev = idev_get(u->ctx, c->dev_id);
	if (!dev)
		return nb_fail(&u->diag, -ENOENT, "there is no device %" PRIu32, c->dev_id);
	ops = dev->drv->iommu->ops;
	memset(buf, 0, sizeof(buf));
	if (ops->hw_info) {
		err = ops->hw_info(dev->drv->iommu, type, buf, &len);
		c->out_data_type = type == IOMMU_HW_INFO_TYPE_DEFAULT ? ops->hw_info_type : type;
	} else {
		len = 0;
		c->out_data_type = IOMMU_HW_INFO_TYPE_NONE;
	}
	if (err) {
		err = nb_fail(&u->diag, -EOPNOTSUPP, "this IOMMU has no information of type %" PRIu32, type);
		goto out;
	}
	if (len > HW_INFO_MAX)
		len = HW_INFO_MAX;
	copied = c->data_len < len ? c->data_len : len;
	err = user_write(c->data_uptr, buf, copied);
	if (!err && c->data_len > copied && guard_fill(user_ptr(c->data_uptr + copied), 0, c->data_len - copied))
		err = -EFAULT;
	if (err)
		goto out;
	c->data_len = len;
	c->out_max_pasid_log2 = dev->drv->max_pasids ? (uint8_t)nb_ilog2(dev->drv->max_pasids) : 0;
	c->out_capabilities = capabilities(dev->drv);
out:
	object_put(&dev->obj);
	return err;
}
