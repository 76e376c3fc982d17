/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bring an SMMU up through its registers (IHI 0070 chapter 6; the order is that of Linux's arm-smmu-v3).
 *
 * Afterwards: the command queue runs, every StreamID within reach aborts, translation is on. So every device is blocked until
 * it is probed and attached. Every handshake is bounded; a unit that does not answer is refused.
 */
#include "drv/smmuv3/smmu.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "drv/common.h"
#include "uapi/iommufd.h"

/* Where Linux maps interrupt doorbells for devices, in their own addresses: fixed. */
#define SW_MSI_FIRST 0x8000000u
#define SW_MSI_LAST  0x80fffffu

/* Accesses of the unit itself: write-back, read-allocate, inner shareable. */
#define CR1_VALUE                                                                                              \
	(FIELD_C(SMMU_CR1_QUEUE_IC, 1) | FIELD_C(SMMU_CR1_QUEUE_OC, 1) | FIELD_C(SMMU_CR1_QUEUE_SH, 3) |        \
	 FIELD_C(SMMU_CR1_TABLE_IC, 1) | FIELD_C(SMMU_CR1_TABLE_OC, 1) | FIELD_C(SMMU_CR1_TABLE_SH, 3))
#define MEMATTR_DEVICE_NGNRE 1
/* A CMDQ smaller than that would not take what is sent at once. */
#define CMDQS_MIN DSMMU_CMDQ_LG2_MIN

uint32_t dsmmu_read32(const struct dsmmu *u, uint64_t off)
{
	return (uint32_t)u->base.cfg.mmio.read(u->base.cfg.mmio.opaque, off, 4);
}

void dsmmu_write32(const struct dsmmu *u, uint64_t off, uint32_t v)
{
	u->base.cfg.mmio.write(u->base.cfg.mmio.opaque, off, 4, v);
}

void dsmmu_write64(const struct dsmmu *u, uint64_t off, uint64_t v)
{
	u->base.cfg.mmio.write(u->base.cfg.mmio.opaque, off, 8, v);
}

void dsmmu_flush(const struct dsmmu *u, const void *p, size_t len)
{
	if (!u->coherent && u->base.cfg.flush)
		u->base.cfg.flush(u->base.cfg.flush_opaque, p, len);
}

/* ---- handshakes ---- */

static int wait_reg(const struct dsmmu *u, uint64_t off, uint32_t mask, uint32_t want)
{
	uint64_t until = 0;

	while ((dsmmu_read32(u, off) & mask) != want) {
		if (until == 0)
			until = drv_now_ms() + DSMMU_TIMEOUT_MS;
		else if (drv_now_ms() > until)
			return -EIO;
		nb_cpu_relax();
	}
	return 0;
}

static int write_acked(const struct dsmmu *u, uint64_t off, uint64_t ack, uint32_t v)
{
	dsmmu_write32(u, off, v);
	return wait_reg(u, ack, UINT32_MAX, v);
}

static int write_cr0(const struct dsmmu *u, uint32_t v)
{
	return write_acked(u, SMMU_REG_CR0, SMMU_REG_CR0ACK, v);
}

/* What the unit does with transactions while it is off: abort them. 6.3.14. */
static int abort_when_off(const struct dsmmu *u)
{
	if (wait_reg(u, SMMU_REG_GBPA, SMMU_GBPA_UPDATE, 0))
		return -EIO;
	dsmmu_write32(u, SMMU_REG_GBPA, dsmmu_read32(u, SMMU_REG_GBPA) | (uint32_t)(SMMU_GBPA_ABORT | SMMU_GBPA_UPDATE));
	return wait_reg(u, SMMU_REG_GBPA, SMMU_GBPA_UPDATE, 0);
}

void dsmmu_unit_died(struct dsmmu *u)
{
	if (atomic_exchange(&u->base.dead, true))
		return;
	abort_when_off(u);
	write_cr0(u, 0);
}

/* ---- ids, kept pages ---- */

/* 0 is nobody's: it tags what the host translates without stage 2, and is no ASID. */
static int ids_init(struct dsmmu *u, struct drv_ids *ids, bool bits16)
{
	return drv_ids_init(ids, &u->lock, bits16 ? 65536 : 256, BIT(0));
}

void dsmmu_keep_pages(struct dsmmu *u, struct pt_gather *g)
{
	pthread_mutex_lock(&u->lock);
	drv_pages_keep(&u->kept, g);
	pthread_mutex_unlock(&u->lock);
}

/* ---- features ---- */

/* All tables have one granule: the page size of the host (4 KiB) if the unit has it, else the smallest that it has. */
static uint8_t granule_of(uint32_t idr5)
{
	return idr5 & SMMU_IDR5_GRAN4K ? 12 : idr5 & SMMU_IDR5_GRAN16K ? 14 : idr5 & SMMU_IDR5_GRAN64K ? 16 : 0;
}

static int read_features(struct dsmmu *u, struct nb_diag *diag)
{
	static const uint8_t oas[] = { 32, 36, 40, 42, 44, 48, 52, 52 };
	uint32_t i, idr0, idr1, ttendian, stall;

	for (i = 0; i < 6; i++)
		u->idr[i] = dsmmu_read32(u, SMMU_REG_IDR0 + 4 * i);
	u->iidr = dsmmu_read32(u, SMMU_REG_IIDR);
	u->aidr = dsmmu_read32(u, SMMU_REG_AIDR);
	idr0 = u->idr[0];
	idr1 = u->idr[1];
	if (idr0 == UINT32_MAX && idr1 == UINT32_MAX)
		return nb_fail(diag, -ENODEV, "no SMMU answers at this address");
	u->s2 = idr0 & SMMU_IDR0_S2P;
	u->s1 = idr0 & SMMU_IDR0_S1P;
	if (!u->s1 && !u->s2)
		return nb_fail(diag, -ENXIO, "the SMMU has no translation (IDR0.S1P, S2P)");
	if (!(FIELD_GET(SMMU_IDR0_TTF, idr0) & SMMU_TTF_AA64))
		return nb_fail(diag, -ENXIO, "the SMMU has no VMSAv8-64 tables (IDR0.TTF)");
	ttendian = (uint32_t)FIELD_GET(SMMU_IDR0_TTENDIAN, idr0);
	if (ttendian != SMMU_TTENDIAN_MIXED && ttendian != SMMU_TTENDIAN_LITTLE)
		return nb_fail(diag, -ENXIO, "the SMMU reads no little-endian tables (IDR0.TTENDIAN)");
	if (idr1 & (SMMU_IDR1_REL | SMMU_IDR1_QUEUES_PRESET | SMMU_IDR1_TABLES_PRESET))
		return nb_fail(diag, -ENXIO, "the SMMU's tables or queues lie in places of its own (IDR1)");
	if (FIELD_GET(SMMU_IDR1_CMDQS, idr1) < CMDQS_MIN)
		return nb_fail(diag, -ENXIO, "the SMMU's command queue is smaller than %u (IDR1.CMDQS)", 1u << CMDQS_MIN);
	u->granule = granule_of(u->idr[5]);
	if (!u->granule)
		return nb_fail(diag, -ENXIO, "the SMMU has no granule (IDR5)");
	u->oas = oas[FIELD_GET(SMMU_IDR5_OAS, u->idr[5])];

	u->nesting = u->s1 && u->s2;
	u->coherent = idr0 & SMMU_IDR0_COHACC;
	u->e2h = idr0 & SMMU_IDR0_HYP;
	u->ats = idr0 & SMMU_IDR0_ATS;
	u->pri = idr0 & SMMU_IDR0_PRI;
	u->st_2level = FIELD_GET(SMMU_IDR0_ST_LEVEL, idr0) == SMMU_ST_2LEVEL;
	u->cd_2level = idr0 & SMMU_IDR0_CD2L;
	u->dirty = u->coherent && u->s1 && FIELD_GET(SMMU_IDR0_HTTU, idr0) >= SMMU_HTTU_AD;
	stall = (uint32_t)FIELD_GET(SMMU_IDR0_STALL_MODEL, idr0);
	u->stall_always = stall == SMMU_STALL_ALWAYS;
	u->stall = stall == SMMU_STALL_BOTH || u->stall_always;
	u->sid_bits = (uint8_t)FIELD_GET(SMMU_IDR1_SIDSIZE, idr1);
	u->ssid_bits = (uint8_t)FIELD_GET(SMMU_IDR1_SSIDSIZE, idr1);
	if (!u->cd_2level && u->ssid_bits > DSMMU_CD_SPLIT)
		u->ssid_bits = DSMMU_CD_SPLIT;
	u->shcfg = idr1 & SMMU_IDR1_ATTR_TYPES_OVR;
	u->fwb = u->idr[3] & SMMU_IDR3_FWB;
	u->ril = u->idr[3] & SMMU_IDR3_RIL;
	return 0;
}

/* ---- up and down ---- */

static int start_queue(struct dsmmu *u, uint32_t *cr0, struct nb_diag *diag)
{
	int err = dsmmu_queue_init(u, diag);

	if (err)
		return err;
	*cr0 |= SMMU_CR0_CMDQEN;
	if (write_cr0(u, *cr0))
		return nb_fail(diag, -EIO, "the SMMU does not enable its command queue");
	/* Whatever earlier software left cached. */
	dsmmu_queue_begin(u);
	dsmmu_queue_push(u, dsmmu_cmd_cfgi_all());
	dsmmu_queue_sync(u);
	if (u->e2h)
		dsmmu_queue_push(u, dsmmu_cmd_tlbi(SMMU_CMD_TLBI_EL2_ALL, 0, 0));
	dsmmu_queue_sync(u);
	dsmmu_queue_push(u, dsmmu_cmd_tlbi(SMMU_CMD_TLBI_NSNH_ALL, 0, 0));
	err = dsmmu_queue_end(u);
	return err ? nb_fail(diag, err, "the SMMU does not execute commands") : 0;
}

static void start_outq(struct dsmmu *u, struct dsmmu_outq *q, uint64_t base, uint64_t prod, uint64_t cons)
{
	dsmmu_write64(u, base, q->pa.v | SMMU_Q_BASE_RWA | FIELD(SMMU_Q_BASE_LOG2SIZE, q->lg2));
	dsmmu_write32(u, prod, 0);
	dsmmu_write32(u, cons, 0);
}

static void set_msi(struct dsmmu *u, uint64_t cfg0, uint64_t cfg1, uint32_t data)
{
	bool msi = u->idr[0] & SMMU_IDR0_MSI;

	dsmmu_write64(u, cfg0, msi ? u->base.cfg.msi_addr & SMMU_IRQ_CFG0_ADDR : 0);
	dsmmu_write32(u, cfg1, msi ? data : 0);
	dsmmu_write32(u, cfg1 + 4, msi ? (uint32_t)FIELD_C(SMMU_IRQ_CFG2_MEMATTR, MEMATTR_DEVICE_NGNRE) : 0);
}

/* Events and page requests share a message: both may lead to calls of the core. */
static int start_interrupts(struct dsmmu *u)
{
	uint32_t data = u->base.cfg.msi_data, on = SMMU_IRQ_CTRL_GERROR | SMMU_IRQ_CTRL_EVENTQ;

	if (write_acked(u, SMMU_REG_IRQ_CTRL, SMMU_REG_IRQ_CTRLACK, 0))
		return -EIO;
	set_msi(u, SMMU_REG_GERROR_IRQ_CFG0, SMMU_REG_GERROR_IRQ_CFG1, data);
	set_msi(u, SMMU_REG_EVENTQ_IRQ_CFG0, SMMU_REG_EVENTQ_IRQ_CFG1, data + DRV_MSI_PAGE_REQUEST);
	if (u->pri) {
		set_msi(u, SMMU_REG_PRIQ_IRQ_CFG0, SMMU_REG_PRIQ_IRQ_CFG1, data + DRV_MSI_PAGE_REQUEST);
		on |= SMMU_IRQ_CTRL_PRIQ;
	}
	return write_acked(u, SMMU_REG_IRQ_CTRL, SMMU_REG_IRQ_CTRLACK, on);
}

static int bring_up(struct dsmmu *u, struct nb_diag *diag)
{
	uint32_t cr0 = 0;
	int err;

	if ((dsmmu_read32(u, SMMU_REG_CR0) & SMMU_CR0_SMMUEN) && abort_when_off(u))
		return nb_fail(diag, -EIO, "the SMMU does not take GBPA.ABORT");
	if (write_cr0(u, 0))
		return nb_fail(diag, -EIO, "the SMMU does not stop (CR0ACK %#" PRIx32 ")", dsmmu_read32(u, SMMU_REG_CR0ACK));
	dsmmu_write32(u, SMMU_REG_CR1, (uint32_t)CR1_VALUE);
	dsmmu_write32(u, SMMU_REG_CR2, (uint32_t)(SMMU_CR2_PTM | SMMU_CR2_RECINVSID | (u->e2h ? SMMU_CR2_E2H : 0)));
	err = dsmmu_strtab_init(u, diag);
	if (err)
		return err;
	/* An error from before is not ours. */
	u->gerrorn = dsmmu_read32(u, SMMU_REG_GERROR);
	dsmmu_write32(u, SMMU_REG_GERRORN, u->gerrorn);
	err = start_queue(u, &cr0, diag);
	if (err)
		return err;
	err = dsmmu_evt_init(u, diag);
	if (err)
		return err;
	start_outq(u, &u->evt.evtq, SMMU_REG_EVENTQ_BASE, SMMU_REG_EVENTQ_PROD, SMMU_REG_EVENTQ_CONS);
	cr0 |= SMMU_CR0_EVENTQEN;
	if (write_cr0(u, cr0))
		return nb_fail(diag, -EIO, "the SMMU does not enable its event queue");
	if (u->pri) {
		start_outq(u, &u->evt.priq, SMMU_REG_PRIQ_BASE, SMMU_REG_PRIQ_PROD, SMMU_REG_PRIQ_CONS);
		cr0 |= SMMU_CR0_PRIQEN;
		if (write_cr0(u, cr0))
			return nb_fail(diag, -EIO, "the SMMU does not enable its PRI queue");
	}
	if (u->ats) {
		cr0 |= SMMU_CR0_ATSCHK;
		if (write_cr0(u, cr0))
			return nb_fail(diag, -EIO, "the SMMU does not check translated requests (CR0.ATSCHK)");
	}
	if (start_interrupts(u))
		return nb_fail(diag, -EIO, "the SMMU does not enable its interrupts");
	err = dsmmu_cmdqv_init(u, diag);
	if (err)
		return err;
	if (write_cr0(u, cr0 | SMMU_CR0_SMMUEN))
		return nb_fail(diag, -EIO, "the SMMU does not enable translation");
	return 0;
}

static void turn_off(struct dsmmu *u)
{
	write_acked(u, SMMU_REG_IRQ_CTRL, SMMU_REG_IRQ_CTRLACK, 0);
	abort_when_off(u);
	write_cr0(u, 0);
}

/* Nothing of the driver's may be in use by hardware any more, or never was. */
static void unit_free(struct dsmmu *u)
{
	dsmmu_cmdqv_fini(u);
	drv_pages_free(&u->kept, u->base.cfg.pool, u->granule ? u->granule - 12u : 0);
	dsmmu_evt_fini(u);
	dsmmu_queue_fini(u);
	dsmmu_strtab_fini(u);
	if (u->identity)
		dsmmu_domain_delete(u->identity);
	nb_free(u->ats_off);
	drv_ids_fini(&u->asids);
	drv_ids_fini(&u->vmids);
	pthread_mutex_destroy(&u->lock);
	pthread_mutex_destroy(&u->gerror_lock);
	nb_free(u);
}

static void identity_free(struct drv_domain *d)
{
	(void)d; /* the unit's: lives as long */
}

static const struct drv_domain_ops identity_ops = {
	.free = identity_free,
};

static int dsmmu_probe(const struct drv_iommu_cfg *cfg, struct drv_iommu **out, struct nb_diag *diag)
{
	struct dsmmu *u = nb_zalloc(sizeof(*u));
	unsigned int i;
	int err;

	if (!u)
		return nb_fail(diag, -ENOMEM, "no memory for the unit");
	u->base.ops = &drv_smmuv3_ops;
	u->base.cfg = *cfg;
	pthread_mutex_init(&u->lock, NULL);
	pthread_mutex_init(&u->gerror_lock, NULL);
	pthread_mutex_init(&u->queue.lock, NULL);
	pthread_mutex_init(&u->evt.lock, NULL);
	for (i = 0; i < ARRAY_SIZE(u->evt.devs); i++)
		nb_list_init(&u->evt.devs[i]);
	atomic_store(&u->next_id, 1);
	err = read_features(u, diag);
	if (err)
		goto out_free;
	u->identity = dsmmu_domain_new(u, DSMMU_IDENTITY, &identity_ops);
	if (u->ats)
		u->ats_off = nb_calloc(65536 / 64, sizeof(*u->ats_off));
	if (!u->identity || (u->ats && !u->ats_off) || ids_init(u, &u->asids, u->idr[0] & SMMU_IDR0_ASID16) ||
	    ids_init(u, &u->vmids, u->idr[0] & SMMU_IDR0_VMID16)) {
		err = nb_fail(diag, -ENOMEM, "no memory for the unit's tables");
		goto out_free;
	}
	u->identity->base.type = DRV_DOMAIN_IDENTITY;
	err = bring_up(u, diag);
	if (err) {
		turn_off(u);
		goto out_free;
	}
	*out = &u->base;
	return 0;
out_free:
	unit_free(u);
	return err;
}

static void dsmmu_remove(struct drv_iommu *iommu)
{
	struct dsmmu *u = dsmmu_of(iommu);

	turn_off(u);
	unit_free(u);
}

/* ---- what it is ---- */

static int dsmmu_hw_info(struct drv_iommu *iommu, uint32_t type, void *buf, uint32_t *len)
{
	struct dsmmu *u = dsmmu_of(iommu);
	struct iommu_hw_info_arm_smmuv3 info = { .iidr = u->iidr, .aidr = u->aidr };

	if (type == IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV)
		return dsmmu_cmdqv_hw_info(u, buf, len);
	if (type != IOMMU_HW_INFO_TYPE_DEFAULT && type != IOMMU_HW_INFO_TYPE_ARM_SMMUV3)
		return -EOPNOTSUPP;
	memcpy(info.idr, u->idr, sizeof(info.idr));
	memcpy(buf, &info, *len < sizeof(info) ? *len : sizeof(info));
	*len = sizeof(info);
	return 0;
}

static bool dsmmu_capable(struct drv_dev *dev, enum drv_cap cap)
{
	struct dsmmu *u = dsmmu_of(dev->iommu);

	switch (cap) {
	case DRV_CAP_CACHE_COHERENCY:
		return u->coherent;
	case DRV_CAP_DIRTY_TRACKING:
		return u->dirty;
	case DRV_CAP_ENFORCE_COHERENCY:
		return dev->always_snoops;
	case DRV_CAP_ATS:
		return dev->ats && u->ats;
	case DRV_CAP_NESTING:
		return dsmmu_can_nest(dev);
	case DRV_CAP_ISOLATED_MSI: /* the interrupt controller's business, not ours */
	case DRV_CAP_PASID_EXEC: /* properties of the function's PASID capability, which we are not told */
	case DRV_CAP_PASID_PRIV:
		break;
	}
	return false;
}

/* In Linux's order: the window for messages first, then what firmware says (RMR nodes of the IORT). */
static unsigned int dsmmu_resv_regions(struct drv_dev *dev, struct drv_resv *r, unsigned int max)
{
	unsigned int n = 0, i;

	if (n < max)
		r[n++] = (struct drv_resv){ SW_MSI_FIRST, SW_MSI_LAST, DRV_RESV_SW_MSI };
	for (i = 0; i < dev->nfw_resv && n < max; i++)
		r[n++] = dev->fw_resv[i];
	return n;
}

static struct drv_domain *dsmmu_identity_domain(struct drv_iommu *iommu)
{
	return &dsmmu_of(iommu)->identity->base;
}

/* Nested domains come from vIOMMUs only: they need the guest's name of the device. */
const struct drv_ops drv_smmuv3_ops = {
	.vendor = "smmuv3",
	.hw_info_type = IOMMU_HW_INFO_TYPE_ARM_SMMUV3,
	.probe = dsmmu_probe,
	.remove = dsmmu_remove,
	.irq = dsmmu_irq,
	.hw_info = dsmmu_hw_info,
	.capable = dsmmu_capable,
	.resv_regions = dsmmu_resv_regions,
	.probe_device = dsmmu_probe_device,
	.release_device = dsmmu_release_device,
	.domain_alloc_paging = dsmmu_alloc_paging,
	.viommu_size = dsmmu_viommu_size,
	.viommu_init = dsmmu_viommu_init,
	.user_pasid_table = true,
	.identity_domain = dsmmu_identity_domain,
	.attach = dsmmu_attach,
	.block = dsmmu_block,
	.page_response = dsmmu_page_response,
};
