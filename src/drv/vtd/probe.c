/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bring a remapping unit up through its registers (VT-d 11.4; the order is that of Linux's intel_iommu).
 *
 * Afterwards: the queue runs, the root table is empty, translation is on. So every device is blocked until
 * it is probed and attached. Every wait is bounded; a unit that does not answer is refused.
 */
#include "drv/vtd/vtd.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "drv/common.h"
#include "uapi/iommufd.h"

#define MSI_WINDOW_FIRST 0xfee00000u
#define MSI_WINDOW_LAST	 0xfeefffffu

uint32_t dvtd_read32(const struct vtd_unit *u, uint64_t off)
{
	return (uint32_t)u->base.cfg.mmio.read(u->base.cfg.mmio.opaque, off, 4);
}

uint64_t dvtd_read64(const struct vtd_unit *u, uint64_t off)
{
	return u->base.cfg.mmio.read(u->base.cfg.mmio.opaque, off, 8);
}

void dvtd_write32(const struct vtd_unit *u, uint64_t off, uint32_t v)
{
	u->base.cfg.mmio.write(u->base.cfg.mmio.opaque, off, 4, v);
}

void dvtd_write64(const struct vtd_unit *u, uint64_t off, uint64_t v)
{
	u->base.cfg.mmio.write(u->base.cfg.mmio.opaque, off, 8, v);
}

void dvtd_flush(const struct vtd_unit *u, const void *p, size_t len)
{
	if (!u->coherent && u->base.cfg.flush)
		u->base.cfg.flush(u->base.cfg.flush_opaque, p, len);
}

static int wait_status(const struct vtd_unit *u, uint32_t mask, uint32_t want)
{
	uint64_t until = 0;

	while ((dvtd_read32(u, VTD_REG_GSTS) & mask) != want) {
		if (until == 0)
			until = drv_now_ms() + VTD_TIMEOUT_MS;
		else if (drv_now_ms() > until)
			return -EIO;
		nb_cpu_relax();
	}
	return 0;
}

int dvtd_set_state(struct vtd_unit *u, uint32_t bit, bool on)
{
	u->gcmd = on ? u->gcmd | bit : u->gcmd & ~bit;
	dvtd_write32(u, VTD_REG_GCMD, u->gcmd);
	return wait_status(u, bit, on ? bit : 0);
}

/* Commands that are no state: GSTS repeats the bit when it is done. */
int dvtd_command(struct vtd_unit *u, uint32_t bit)
{
	dvtd_write32(u, VTD_REG_GCMD, u->gcmd | bit);
	return wait_status(u, bit, bit);
}

void dvtd_flush_write_buffer(struct vtd_unit *u)
{
	if (!(u->cap & VTD_CAP_RWBF))
		return;
	pthread_mutex_lock(&u->lock);
	dvtd_write32(u, VTD_REG_GCMD, u->gcmd | VTD_GCMD_WBF);
	wait_status(u, VTD_GSTS_WBFS, 0);
	pthread_mutex_unlock(&u->lock);
}

/* CAP and ECAP into what the rest of the driver asks. */
static int read_capabilities(struct vtd_unit *u, struct nb_diag *diag)
{
	uint64_t sagaw, nd;

	u->cap = dvtd_read64(u, VTD_REG_CAP);
	u->ecap = dvtd_read64(u, VTD_REG_ECAP);
	if (u->cap == UINT64_MAX && u->ecap == UINT64_MAX)
		return nb_fail(diag, -ENODEV, "no remapping unit answers at this address");
	if (!(u->ecap & VTD_ECAP_QI))
		return nb_fail(diag, -ENODEV, "the unit has no queued invalidation");
	u->scalable = (u->ecap & VTD_ECAP_SMTS) && (u->ecap & (VTD_ECAP_SSTS | VTD_ECAP_FSTS));
	u->coherent = (u->ecap & VTD_ECAP_C) != 0;
	u->walk_coherent = u->scalable ? (u->ecap & VTD_ECAP_SMPWC) != 0 : u->coherent;

	sagaw = u->cap & (VTD_CAP_SAGAW_3 | VTD_CAP_SAGAW_4 | VTD_CAP_SAGAW_5);
	if (u->scalable && !(u->ecap & VTD_ECAP_SSTS))
		u->agaw = 0; /* 9.6: without a second stage AW is reserved. Linux 7.2 writes a width all the same. */
	else if (sagaw)
		u->agaw = (uint8_t)(nb_ilog2(sagaw) - nb_ilog2(VTD_CAP_SAGAW_3) + VTD_AW_39);
	else
		return nb_fail(diag, -ENODEV, "the unit supports no second-stage width (CAP.SAGAW)");

	nd = FIELD_GET(VTD_CAP_ND, u->cap);
	if (nd > 6)
		return nb_fail(diag, -ENODEV, "CAP.ND holds the reserved value 7");
	u->ndids = 1u << (4 + 2 * nd);
	return 0;
}

/* A unit that some earlier software left running. */
static int quiesce(struct vtd_unit *u)
{
	u->gcmd = dvtd_read32(u, VTD_REG_GSTS) & (VTD_GSTS_TES | VTD_GSTS_QIES | VTD_GSTS_IRES | VTD_GSTS_CFIS);
	if ((u->gcmd & VTD_GCMD_TE) && dvtd_set_state(u, VTD_GCMD_TE, false))
		return -EIO;
	if ((u->gcmd & VTD_GCMD_IRE) && dvtd_set_state(u, VTD_GCMD_IRE, false))
		return -EIO;
	if ((u->gcmd & VTD_GCMD_CFI) && dvtd_set_state(u, VTD_GCMD_CFI, false))
		return -EIO;
	if ((u->gcmd & VTD_GCMD_QIE) && dvtd_set_state(u, VTD_GCMD_QIE, false))
		return -EIO;
	dvtd_write32(u, VTD_REG_FSTS, VTD_FSTS_PFO | VTD_FSTS_IQE | VTD_FSTS_ICE | VTD_FSTS_ITE);
	return 0;
}

static int set_root(struct vtd_unit *u)
{
	uint32_t ttm = u->scalable ? VTD_TTM_SCALABLE : VTD_TTM_LEGACY;

	dvtd_write64(u, VTD_REG_RTADDR, u->root_pa.v | FIELD(VTD_RTADDR_TTM, ttm));
	if (dvtd_command(u, VTD_GCMD_SRTP))
		return -EIO;
	if (u->cap & VTD_CAP_ESRTPS)
		return 0;
	/* 6.6: everything that hangs below the old root may be cached. */
	dvtd_queue_begin(u);
	dvtd_queue_push(u, dvtd_desc_context(VTD_INV_CC_GLOBAL, 0, 0));
	if (u->scalable)
		dvtd_queue_push(u, dvtd_desc_pasid_cache(VTD_INV_PC_GLOBAL, 0, 0));
	dvtd_queue_push(u, dvtd_desc_iotlb(u, VTD_INV_IOTLB_GLOBAL, 0, 0, 0, false));
	return dvtd_queue_end(u);
}

static void set_fault_event(struct vtd_unit *u)
{
	dvtd_write32(u, VTD_REG_FEDATA, u->base.cfg.msi_data);
	dvtd_write32(u, VTD_REG_FEADDR, (uint32_t)u->base.cfg.msi_addr);
	dvtd_write32(u, VTD_REG_FEUADDR, (uint32_t)(u->base.cfg.msi_addr >> 32));
	dvtd_write32(u, VTD_REG_FECTL, 0); /* unmasked */
}

static void disable_protected_memory(struct vtd_unit *u)
{
	uint64_t until = drv_now_ms() + VTD_TIMEOUT_MS;

	if (!(u->cap & (VTD_CAP_PLMR | VTD_CAP_PHMR)))
		return;
	dvtd_write32(u, VTD_REG_PMEN, dvtd_read32(u, VTD_REG_PMEN) & ~(uint32_t)VTD_PMEN_EPM);
	while ((dvtd_read32(u, VTD_REG_PMEN) & VTD_PMEN_PRS) && drv_now_ms() <= until)
		nb_cpu_relax();
}

void dvtd_unit_died(struct vtd_unit *u)
{
	if (atomic_exchange(&u->base.dead, true))
		return;
	if (!(u->ecap & VTD_ECAP_ADMS))
		return;
	pthread_mutex_lock(&u->lock);
	dvtd_write64(u, VTD_REG_RTADDR, u->root_pa.v | FIELD_C(VTD_RTADDR_TTM, VTD_TTM_ABORT));
	dvtd_command(u, VTD_GCMD_SRTP);
	pthread_mutex_unlock(&u->lock);
}

void dvtd_keep_pages(struct vtd_unit *u, struct pt_gather *g)
{
	pthread_mutex_lock(&u->lock);
	drv_pages_keep(&u->kept, g);
	pthread_mutex_unlock(&u->lock);
}

/* Nothing of the driver's may be in use by hardware any more, or never was. */
static void unit_free(struct vtd_unit *u)
{
	drv_pages_free(&u->kept, u->base.cfg.pool, 0);
	dvtd_prq_fini(u);
	dvtd_irt_fini(u);
	nb_free(u->ats_off);
	dvtd_queue_fini(u);
	if (u->identity)
		dvtd_domain_delete(u->identity);
	mem_page_free(u->base.cfg.pool, u->root, 0);
	drv_ids_fini(&u->dids);
	pthread_mutex_destroy(&u->lock);
	pthread_mutex_destroy(&u->fault_lock);
	nb_free(u);
}

static void turn_off(struct vtd_unit *u)
{
	dvtd_write32(u, VTD_REG_FECTL, VTD_ECTL_IM);
	dvtd_set_state(u, VTD_GCMD_TE, false);
	dvtd_prq_stop(u);
	if (u->gcmd & VTD_GCMD_IRE)
		dvtd_set_state(u, VTD_GCMD_IRE, false);
	dvtd_set_state(u, VTD_GCMD_QIE, false);
}

static void identity_free(struct drv_domain *d)
{
	(void)d; /* the unit's: lives as long */
}

static const struct drv_domain_ops identity_ops = {
	.free = identity_free,
};

static int dvtd_probe(const struct drv_iommu_cfg *cfg, struct drv_iommu **out, struct nb_diag *diag)
{
	struct vtd_unit *u = nb_zalloc(sizeof(*u));
	int err;

	if (!u)
		return nb_fail(diag, -ENOMEM, "no memory for the unit");
	u->base.ops = &drv_vtd_ops;
	u->base.cfg = *cfg;
	pthread_mutex_init(&u->lock, NULL);
	pthread_mutex_init(&u->fault_lock, NULL);
	pthread_mutex_init(&u->prq.lock, NULL);
	pthread_mutex_init(&u->irt.lock, NULL);
	atomic_store(&u->next_id, 1);
	err = read_capabilities(u, diag);
	if (!err)
		err = dvtd_prq_init(u, diag);
	if (err)
		goto out_free;

	err = -ENOMEM;
	u->root = mem_page_alloc(cfg->pool, 0, &u->root_pa);
	u->identity = dvtd_domain_new(u, VTD_IDENTITY, &identity_ops);
	if (u->ecap & VTD_ECAP_DT)
		u->ats_off = nb_calloc(65536 / 64, sizeof(*u->ats_off));
	if (drv_ids_init(&u->dids, &u->lock, u->ndids, BIT(0) | BIT(VTD_DID_PASS_THROUGH)) || !u->root || !u->identity || ((u->ecap & VTD_ECAP_DT) && !u->ats_off)) {
		nb_fail(diag, err, "no memory for the unit's tables");
		goto out_free;
	}
	u->identity->base.type = DRV_DOMAIN_IDENTITY;
	dvtd_flush(u, u->root, 4096);

	err = quiesce(u);
	if (err) {
		nb_fail(diag, err, "the unit does not stop (GSTS %#" PRIx32 ")", dvtd_read32(u, VTD_REG_GSTS));
		goto out_free;
	}
	err = dvtd_queue_init(u, diag);
	if (err)
		goto out_off;
	err = dvtd_irt_init(u, diag);
	if (err)
		goto out_off;
	err = set_root(u);
	if (err) {
		nb_fail(diag, err, "the unit does not take its root table");
		goto out_off;
	}
	dvtd_flush_write_buffer(u);
	dvtd_prq_start(u);
	set_fault_event(u);
	err = dvtd_set_state(u, VTD_GCMD_TE, true);
	if (err) {
		nb_fail(diag, err, "the unit does not enable translation");
		goto out_off;
	}
	disable_protected_memory(u);
	*out = &u->base;
	return 0;
out_off:
	turn_off(u);
out_free:
	unit_free(u);
	return err;
}

static void dvtd_remove(struct drv_iommu *iommu)
{
	struct vtd_unit *u = dvtd_unit(iommu);
	unsigned int i, half;

	turn_off(u);
	/* Context tables stay for the unit's life: buses are few. */
	for (i = 0; i < 256; i++) {
		for (half = 0; half < 2; half++) {
			uint64_t e = cpu64(u->root[i].q[half]);

			if (e & VTD_ROOT_0_P)
				mem_page_free(u->base.cfg.pool,
					      mem_page_ptr(u->base.cfg.pool, hpa(e & VTD_ROOT_0_CTP)), 0);
		}
	}
	unit_free(u);
}

static int dvtd_hw_info(struct drv_iommu *iommu, uint32_t type, void *buf, uint32_t *len)
{
	struct vtd_unit *u = dvtd_unit(iommu);
	struct iommu_hw_info_vtd info = {
		.flags = iommu->cfg.errata & DRV_ERRATUM_VTD_772415 ? IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17 : 0,
		.cap_reg = u->cap,
		.ecap_reg = u->ecap,
	};

	if (type != IOMMU_HW_INFO_TYPE_DEFAULT && type != IOMMU_HW_INFO_TYPE_INTEL_VTD)
		return -EOPNOTSUPP;
	memcpy(buf, &info, *len < sizeof(info) ? *len : sizeof(info));
	*len = sizeof(info);
	return 0;
}

static bool dvtd_capable(struct drv_dev *dev, enum drv_cap cap)
{
	struct vtd_unit *u = dvtd_unit(dev->iommu);

	switch (cap) {
	case DRV_CAP_CACHE_COHERENCY:
		return true; /* device accesses snoop by the request's attribute */
	case DRV_CAP_DIRTY_TRACKING:
		return dvtd_can_dirty(u);
	case DRV_CAP_ENFORCE_COHERENCY:
		return (u->ecap & VTD_ECAP_SC) != 0;
	case DRV_CAP_ATS:
		return dev->ats && (u->ecap & VTD_ECAP_DT);
	case DRV_CAP_NESTING:
		return dvtd_can_nest(u);
	case DRV_CAP_ISOLATED_MSI:
		return u->irt.entries != NULL;
	case DRV_CAP_PASID_EXEC: /* properties of the function's PASID capability, which we are not told */
	case DRV_CAP_PASID_PRIV:
		break;
	}
	return false;
}

static unsigned int dvtd_resv_regions(struct drv_dev *dev, struct drv_resv *r, unsigned int max)
{
	unsigned int n;

	for (n = 0; n < dev->nfw_resv && n < max; n++)
		r[n] = dev->fw_resv[n];
	/* Writes there are interrupt messages, whatever the tables say. */
	if (n < max)
		r[n++] = (struct drv_resv){ MSI_WINDOW_FIRST, MSI_WINDOW_LAST, DRV_RESV_MSI };
	return n;
}

static struct drv_domain *dvtd_identity_domain(struct drv_iommu *iommu)
{
	return &dvtd_unit(iommu)->identity->base;
}

const struct drv_ops drv_vtd_ops = {
	.vendor = "vtd",
	.hw_info_type = IOMMU_HW_INFO_TYPE_INTEL_VTD,
	.probe = dvtd_probe,
	.remove = dvtd_remove,
	.irq = dvtd_irq,
	.hw_info = dvtd_hw_info,
	.capable = dvtd_capable,
	.resv_regions = dvtd_resv_regions,
	.probe_device = dvtd_probe_device,
	.release_device = dvtd_release_device,
	.domain_alloc_paging = dvtd_alloc_paging,
	.domain_alloc_nested = dvtd_alloc_nested,
	.identity_domain = dvtd_identity_domain,
	.attach = dvtd_attach,
	.block = dvtd_block,
	.page_response = dvtd_page_response,
	.irq_map = dvtd_irq_map,
	.irq_unmap = dvtd_irq_unmap,
};
