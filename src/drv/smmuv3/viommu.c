/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vIOMMUs: the VMID of a nesting parent on one SMMU, the guest's names of devices, and the guest's commands.
 *
 * A guest's commands name its own StreamIDs and a VMID of its own; both are replaced, and only commands that can reach nothing but
 * the guest's caches are taken. The rest of a command goes to the unit as it is: what the unit refuses does nothing.
 */
#include "drv/smmuv3/smmu.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "mem/guard.h"
#include "uapi/iommufd.h"

/* Commands copied onto the stack; more take memory, up to what Linux's kernel memory can. */
#define BLOCK	 512u
#define MAX_CMDS (1u << 18)

struct vcmd {
	uint64_t w[2];
};
_Static_assert(sizeof(struct vcmd) == sizeof(struct iommu_viommu_arm_smmuv3_invalidate), "a command");

/* ---- vDEVICEs ---- */

static struct nb_list *bucket(struct dsmmu_viommu *v, uint32_t vsid)
{
	return &v->vdevs[(vsid ^ vsid >> 6) & (ARRAY_SIZE(v->vdevs) - 1)];
}

struct dsmmu_vdevice *dsmmu_vdevice_find(struct dsmmu_viommu *v, uint32_t vsid)
{
	struct dsmmu_vdevice *vd;

	nb_list_for_each(vd, bucket(v, vsid), link)
		if (vd->vsid == vsid)
			return vd;
	return NULL;
}

int dsmmu_vdevice_init(struct drv_vdevice *base, struct nb_diag *diag)
{
	struct dsmmu_vdevice *vd = container_of(base, struct dsmmu_vdevice, base);
	struct dsmmu_viommu *v = dsmmu_viommu(base->viommu);

	if (base->virt_id > UINT32_MAX)
		return nb_fail(diag, -EINVAL, "virtual StreamID %#" PRIx64 " has more than 32 bits", base->virt_id);
	vd->vsid = (uint32_t)base->virt_id;
	pthread_mutex_lock(&v->lock);
	nb_list_add_tail(bucket(v, vd->vsid), &vd->link);
	pthread_mutex_unlock(&v->lock);
	return 0;
}

void dsmmu_vdevice_destroy(struct drv_vdevice *base)
{
	struct dsmmu_vdevice *vd = container_of(base, struct dsmmu_vdevice, base);
	struct dsmmu_viommu *v = dsmmu_viommu(base->viommu);

	pthread_mutex_lock(&v->lock);
	nb_list_del(&vd->link);
	dsmmu_evt_unroute(base->dev->priv, v); /* under the lock: an attach that found it has routed already, or finds nothing */
	pthread_mutex_unlock(&v->lock);
}

int dsmmu_viommu_route(struct dsmmu_viommu *v, struct dsmmu_dev *sdev)
{
	struct dsmmu_vdevice *vd;
	int err = -ENOENT;
	unsigned int b;

	pthread_mutex_lock(&v->lock);
	for (b = 0; b < ARRAY_SIZE(v->vdevs); b++) {
		nb_list_for_each(vd, &v->vdevs[b], link) {
			if (vd->base.dev == sdev->dev) {
				dsmmu_evt_route(sdev, v, vd->vsid);
				err = 0;
			}
		}
	}
	pthread_mutex_unlock(&v->lock);
	return err;
}

/* ---- the guest's commands ---- */

/* 0: *c is what to send. -EIO: not the guest's to send. Viommu lock. */
static inline int translate(struct dsmmu_viommu *v, struct dsmmu_cmd *c, struct dsmmu_vdevice **last)
{
	const uint64_t vmid = FIELD(SMMU_CMD_TLBI_0_VMID, v->vmid);
	struct dsmmu_vdevice *vd = *last;
	uint32_t vsid;

	switch (FIELD_GET(SMMU_CMD_0_OP, c->lo)) {
	case SMMU_CMD_TLBI_NSNH_ALL: /* everything that the guest sees */
		*c = dsmmu_cmd_tlbi(SMMU_CMD_TLBI_NH_ALL, v->vmid, 0);
		return 0;
	case SMMU_CMD_TLBI_NH_VA:
	case SMMU_CMD_TLBI_NH_VAA:
	case SMMU_CMD_TLBI_NH_ALL:
	case SMMU_CMD_TLBI_NH_ASID:
		c->lo = (c->lo & ~SMMU_CMD_TLBI_0_VMID) | vmid;
		return 0;
	case SMMU_CMD_ATC_INV:
	case SMMU_CMD_CFGI_CD:
	case SMMU_CMD_CFGI_CD_ALL:
		vsid = (uint32_t)FIELD_GET(SMMU_CMD_0_SID, c->lo);
		if (!vd || vd->vsid != vsid) {
			vd = dsmmu_vdevice_find(v, vsid);
			if (!vd)
				return -EIO;
			*last = vd;
		}
		c->lo = (c->lo & ~SMMU_CMD_0_SID) | FIELD(SMMU_CMD_0_SID, vd->base.dev->rid);
		return 0;
	default:
		return -EIO;
	}
}

static bool is_atc(uint64_t lo)
{
	return FIELD_GET(SMMU_CMD_0_OP, lo) == SMMU_CMD_ATC_INV;
}

/* Why translate() refused it. */
static void explain(const struct vcmd *cmd, uint32_t i, struct nb_diag *diag)
{
	uint64_t lo = cpu64((le64_t){ cmd->w[0] }), op = FIELD_GET(SMMU_CMD_0_OP, lo);

	switch (op) {
	case SMMU_CMD_ATC_INV:
	case SMMU_CMD_CFGI_CD:
	case SMMU_CMD_CFGI_CD_ALL:
		nb_fail(diag, -EIO, "command %" PRIu32 " of the guest, opcode %#" PRIx64 ", is for StreamID %#" PRIx64
			", which is that of no vDEVICE", i, op, FIELD_GET(SMMU_CMD_0_SID, lo));
		break;
	default:
		nb_fail(diag, -EIO, "command %" PRIu32 " of the guest, opcode %#" PRIx64 ", is none that a guest may send", i, op);
	}
}

/*
 * Run commands until one is refused; *done says how many were sent. Between invalidations of translations and of ATCs the guest had a
 * CMD_SYNC, which does not come here: one is put there again.
 */
static int run(struct dsmmu_viommu *v, const struct vcmd *cmd, uint32_t n, uint32_t *done, struct nb_diag *diag)
{
	struct dsmmu *u = dsmmu_of(v->base.iommu);
	struct dsmmu_vdevice *last = NULL;
	bool atc = false;
	uint32_t i;
	int err = 0, sent;

	pthread_mutex_lock(&v->lock);
	dsmmu_queue_begin(u);
	u->queue.guest = true;
	for (i = 0; i < n; i++) {
		struct dsmmu_cmd c = { cpu64((le64_t){ cmd[i].w[0] }), cpu64((le64_t){ cmd[i].w[1] }) };

		err = translate(v, &c, &last);
		if (unlikely(err))
			break;
		if (unlikely(is_atc(c.lo))) {
			if (!atc)
				dsmmu_queue_sync(u);
			atc = true;
			if (dsmmu_ats_is_off(u, (uint16_t)FIELD_GET(SMMU_CMD_0_SID, c.lo)))
				continue;
		} else {
			atc = false;
		}
		dsmmu_queue_push(u, c);
	}
	sent = dsmmu_queue_end(u);
	pthread_mutex_unlock(&v->lock);
	*done = i;
	if (sent == -EIO) {
		*done = 0;
		return nb_fail(diag, -EIO, "the SMMU does not answer any more");
	}
	if (err)
		explain(&cmd[i], i, diag);
	return err;
}

/* Entries of any size: what is missing reads as 0, what is more must be 0. 0, -EFAULT, -E2BIG. */
static int copy_cmds(struct vcmd *cmd, const struct drv_user_array *a)
{
	const size_t size = sizeof(*cmd);
	uint32_t i, k;

	if (a->entry_len == size)
		return guard_copy(cmd, (const void *)(uintptr_t)a->uptr, a->entry_num * size) ? -EFAULT : 0;
	for (i = 0; i < a->entry_num; i++) {
		const uint8_t *from = (const uint8_t *)(uintptr_t)a->uptr + (size_t)i * a->entry_len;

		memset(&cmd[i], 0, size);
		if (guard_copy(&cmd[i], from, a->entry_len < size ? a->entry_len : size))
			return -EFAULT;
		for (k = (uint32_t)size; k < a->entry_len; k++) {
			uint8_t byte;

			if (!guard_load8(from + k, &byte))
				return -EFAULT;
			if (byte)
				return -E2BIG;
		}
	}
	return 0;
}

static void trace_cmds(struct nb_trace *tr, const struct vcmd *cmd, uint32_t n)
{
	uint32_t i;

	if (n == 0)
		return;
	if (nb_trace_logged(tr, NB_EV_drv_inv_cmd))
		for (i = 0; i < n; i++)
			NB_TRACE(tr, drv_inv_cmd, cpu64((le64_t){ cmd[i].w[0] }), cpu64((le64_t){ cmd[i].w[1] }));
	else
		NB_TRACE_N(tr, drv_inv_cmd, n, cpu64((le64_t){ cmd[0].w[0] }), cpu64((le64_t){ cmd[0].w[1] }), 0, 0);
}

int dsmmu_cache_invalidate(struct drv_viommu *viommu, struct drv_user_array *a, struct nb_diag *diag)
{
	struct dsmmu_viommu *v = dsmmu_viommu(viommu);
	struct vcmd block[BLOCK], *cmd = block;
	uint32_t n = a->entry_num, done = 0;
	struct drv_user_array in = *a;
	int err;

	a->entry_num = 0;
	if (n > MAX_CMDS) /* before anything else is looked at, as in Linux */
		return nb_fail(diag, -ENOMEM, "no memory for %" PRIu32 " commands", n);
	if (a->type != IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3)
		return nb_fail(diag, -EINVAL, "invalidation data type %u is not the SMMU's", a->type);
	if (n == 0 || in.entry_len == 0)
		return nb_fail(diag, -EINVAL, "no commands");
	if (n > BLOCK) {
		cmd = nb_calloc(n, sizeof(*cmd));
		if (!cmd)
			return nb_fail(diag, -ENOMEM, "no memory for %" PRIu32 " commands", n);
	}
	err = copy_cmds(cmd, &in);
	if (err)
		nb_fail(diag, err, "the commands cannot be read, or are longer than %zu bytes", sizeof(*cmd));
	else
		err = run(v, cmd, n, &done, diag);
	trace_cmds(viommu->iommu->cfg.tr, cmd, done);
	a->entry_num = done;
	if (cmd != block)
		nb_free(cmd);
	return err;
}

/* ---- life ---- */

void dsmmu_viommu_fini(struct drv_viommu *viommu)
{
	struct dsmmu_viommu *v = dsmmu_viommu(viommu);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(v->vdevs); i++)
		assert(nb_list_empty(&v->vdevs[i]));
	dsmmu_id_put(dsmmu_domain(viommu->parent), dsmmu_of(viommu->iommu));
	pthread_mutex_destroy(&v->lock);
}

static const struct drv_viommu_ops viommu_ops = {
	.destroy = dsmmu_viommu_fini,
	.domain_alloc_nested = dsmmu_alloc_nested,
	.cache_invalidate = dsmmu_cache_invalidate,
	.vdevice_size = sizeof(struct dsmmu_vdevice),
	.vdevice_init = dsmmu_vdevice_init,
	.vdevice_destroy = dsmmu_vdevice_destroy,
};

/* A guest that says what is cacheable must not get past what the host relies on: either devices snoop anyway, or stage 2 decides. */
bool dsmmu_can_nest(const struct drv_dev *dev)
{
	const struct dsmmu *u = dsmmu_of(dev->iommu);

	return u->nesting && (dev->always_snoops || u->fwb);
}

size_t dsmmu_viommu_size(struct drv_dev *dev, uint32_t type)
{
	if (type == IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV)
		return dsmmu_cmdqv_viommu_size(dev);
	return type == IOMMU_VIOMMU_TYPE_ARM_SMMUV3 && dsmmu_can_nest(dev) ? sizeof(struct dsmmu_viommu) : 0;
}

int dsmmu_viommu_init(struct drv_viommu *viommu, const struct drv_user_data *data, struct nb_diag *diag)
{
	struct dsmmu_viommu *v = dsmmu_viommu(viommu);
	struct dsmmu *u = dsmmu_of(viommu->iommu);
	unsigned int i;
	int err;

	if (!dsmmu_is_nest_parent(viommu->parent))
		return nb_fail(diag, -EINVAL, "the parent is not a stage 2 that was made for nesting");
	err = dsmmu_paging_compatible(dsmmu_domain(viommu->parent), u, NULL, diag);
	if (err)
		return err;
	err = dsmmu_id_get(dsmmu_domain(viommu->parent), u, &v->vmid);
	if (err)
		return nb_fail(diag, err, err == -ENOSPC ? "the SMMU has no VMID left" : "no memory");
	pthread_mutex_init(&v->lock, NULL);
	for (i = 0; i < ARRAY_SIZE(v->vdevs); i++)
		nb_list_init(&v->vdevs[i]);
	viommu->ops = &viommu_ops; /* takes no data, and Linux does not look */
	if (viommu->type == IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV)
		err = dsmmu_cmdqv_viommu_init(viommu, data, diag);
	if (err)
		dsmmu_viommu_fini(viommu);
	return err;
}
