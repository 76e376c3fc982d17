/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/ioctl.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

#include "host/host_priv.h"
#include "host/msi.h"
#include "host/queue_file.h"
#include "uapi/iommufd.h"
#include "uapi/nestbox.h"

static int ioctl_destroy(struct ucmd *u)
{
	const struct iommu_destroy *c = u->cmd;
	int err = object_destroy_id(u->ctx, c->id);

	if (err == -EBUSY)
		return nb_fail(&u->diag, err, "object %" PRIu32 " is in use", c->id);
	if (err)
		return nb_fail(&u->diag, err, "there is no object %" PRIu32, c->id);
	return 0;
}

enum respond { NO_OUT, OUT };

union any_cmd {
	struct iommu_destroy destroy;
	struct iommu_hwpt_alloc hwpt_alloc;
	struct iommu_hwpt_get_dirty_bitmap dirty;
	struct iommu_hw_info hw_info;
	struct nestbox_guest_msi_bind guest_msi_bind;
	uint64_t words[8];
};

#define CMD_FROM(base, number, type, last, out, fn)                                                          \
	[(number) - (base)] = {#number, number, sizeof(struct type),                                          \
			       offsetof(struct type, last) + sizeof(((struct type *)0)->last), out, fn}
#define CMD(number, type, last, out, fn) CMD_FROM(IOMMU_DESTROY, number, type, last, out, fn)

static const struct cmd {
	const char *name;
	unsigned int number;
	uint32_t size, min_size; /* ours, and that of the first kernel that had the call */
	enum respond out;
	int (*fn)(struct ucmd *u);
} cmds[] = {
	CMD(IOMMU_DESTROY, iommu_destroy, id, NO_OUT, ioctl_destroy),
	CMD(IOMMU_IOAS_ALLOC, iommu_ioas_alloc, out_ioas_id, OUT, ioctl_ioas_alloc),
	CMD(IOMMU_IOAS_ALLOW_IOVAS, iommu_ioas_allow_iovas, allowed_iovas, NO_OUT, ioctl_ioas_allow_iovas),
	CMD(IOMMU_IOAS_COPY, iommu_ioas_copy, src_iova, OUT, ioctl_ioas_copy),
	CMD(IOMMU_IOAS_IOVA_RANGES, iommu_ioas_iova_ranges, out_iova_alignment, OUT, ioctl_ioas_iova_ranges),
	CMD(IOMMU_IOAS_MAP, iommu_ioas_map, iova, OUT, ioctl_ioas_map),
	CMD(IOMMU_IOAS_UNMAP, iommu_ioas_unmap, length, OUT, ioctl_ioas_unmap),
	CMD(IOMMU_OPTION, iommu_option, val64, NO_OUT, ioctl_option),
	CMD(IOMMU_VFIO_IOAS, iommu_vfio_ioas, __reserved, NO_OUT, ioctl_vfio_ioas),
	CMD(IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, __reserved, OUT, ioctl_hwpt_alloc),
	CMD(IOMMU_GET_HW_INFO, iommu_hw_info, __reserved, OUT, ioctl_get_hw_info),
	CMD(IOMMU_HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking, __reserved, NO_OUT, ioctl_hwpt_set_dirty),
	CMD(IOMMU_HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap, data, NO_OUT, ioctl_hwpt_get_dirty),
	CMD(IOMMU_HWPT_INVALIDATE, iommu_hwpt_invalidate, __reserved, OUT, ioctl_hwpt_invalidate),
	CMD(IOMMU_FAULT_QUEUE_ALLOC, iommu_fault_alloc, out_fault_fd, OUT, ioctl_fault_alloc),
	CMD(IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file, iova, OUT, ioctl_ioas_map_file),
	CMD(IOMMU_VIOMMU_ALLOC, iommu_viommu_alloc, out_viommu_id, OUT, ioctl_viommu_alloc),
	CMD(IOMMU_VDEVICE_ALLOC, iommu_vdevice_alloc, virt_id, OUT, ioctl_vdevice_alloc),
	/* IOMMU_IOAS_CHANGE_PROCESS: not offered; callers probe it and take -ENOTTY for "old kernel" */
	CMD(IOMMU_VEVENTQ_ALLOC, iommu_veventq_alloc, out_veventq_fd, OUT, ioctl_veventq_alloc),
	CMD(IOMMU_HW_QUEUE_ALLOC, iommu_hw_queue_alloc, length, OUT, ioctl_hw_queue_alloc),
};

/* Not Linux's: offered where the host's description says so. */
static const struct cmd own_cmds[] = {
	CMD_FROM(NESTBOX_GUEST_MSI_BIND, NESTBOX_GUEST_MSI_BIND, nestbox_guest_msi_bind, granule, NO_OUT, ioctl_guest_msi_bind),
	CMD_FROM(NESTBOX_GUEST_MSI_BIND, NESTBOX_GUEST_MSI_UNBIND, nestbox_guest_msi_unbind, __reserved, NO_OUT, ioctl_guest_msi_unbind),
};

/* By the number's last byte, as in Linux; null: none of these. */
static const struct cmd *find(const struct host *h, unsigned int cmd)
{
	unsigned int nr = (cmd & 0xff) - (IOMMU_DESTROY & 0xff), own = cmd - NESTBOX_GUEST_MSI_BIND;

	if (nr < ARRAY_SIZE(cmds))
		return &cmds[nr];
	return h->guest_msi && own < ARRAY_SIZE(own_cmds) ? &own_cmds[own] : NULL;
}

static int dispatch(struct ictx *ctx, const struct cmd *cmd, uint64_t uarg, uint32_t user_size, struct ucmd *u)
{
	union any_cmd buf;
	int err;

	assert(cmd->size <= sizeof(buf));
	if (user_size < cmd->min_size)
		return nb_fail(&u->diag, -EINVAL, "size %" PRIu32 " is less than %" PRIu32, user_size, cmd->min_size);
	err = user_read_struct(&buf, cmd->size, uarg, user_size);
	if (err)
		return nb_fail(&u->diag, err, err == -E2BIG ? "fields beyond byte %" PRIu32 " are not known here"
							    : "the struct of %" PRIu32 " bytes is not there",
			       cmd->size);
	u->ctx = ctx;
	u->uptr = uarg;
	u->cmd = &buf;
	u->made = NULL;
	u->respond_anyway = false;
	err = cmd->fn(u);
	if (cmd->out == OUT && (!err || u->respond_anyway) &&
	    user_write(uarg, &buf, user_size < cmd->size ? user_size : cmd->size))
		err = -EFAULT;
	if (u->made && err && (u->made->type == OBJ_FAULT || u->made->type == OBJ_VEVENTQ))
		queue_file_abort(queue_file_of(u->made));
	if (u->made && err)
		object_abort(u->made);
	else if (u->made)
		object_publish(u->made);
	return err;
}

long iommufd_ioctl(struct iommufd_file *f, unsigned int cmd, uint64_t uarg)
{
	struct ictx *ctx = f->ctx;
	struct host *h = ctx->host;
	const struct cmd *entry = find(h, cmd);
	uint32_t user_size;
	struct ucmd u;
	int err;

	if (!entry)
		return vfio_compat_ioctl(ctx, cmd, uarg);
	u.diag.msg[0] = '\0';
	if (!guard_load32(user_ptr(uarg), &user_size))
		err = -EFAULT; /* before the number is looked at: Linux's order */
	else if (entry->number != cmd)
		err = -ENOTTY;
	else
		err = dispatch(ctx, entry, uarg, user_size, &u);
	if (unlikely(err)) {
		NB_TRACE(h->cfg.tr, host_ioctl_failed, cmd, -err);
		host_log_refusal(h, entry->name, err, &u.diag);
	}
	NB_TRACE(h->cfg.tr, host_ioctl, cmd, (int64_t)err);
	host_settle(h);
	return err;
}
