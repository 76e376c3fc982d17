/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The register file (11.4): what each register takes and gives, and the global command.
 *
 * Accesses of 1 to 8 bytes, naturally aligned; others read as zero and write nothing. Every access is cut into 32-bit
 * pieces with a mask of the bytes written; a 64-bit access to a 64-bit register acts once, when its last piece
 * is in. The model's own registers cannot be reached by DMA: an access inside a read section would deadlock
 * with the grace period that an invalidation waits for, so it reads as ones and writes nothing.
 */
#include "hw/vtd/model.h"

#include <stddef.h>
#include <string.h>

/*
 * Register-based invalidation exists up to major version 5, execute requests up to 7. From 2 on, protected memory is protected from
 * remapped requests too, and draining needs no asking; 6 and 8 would take away what software of today may use.
 */
#define VERSION (FIELD_C(VTD_VER_MAX, 5) | FIELD_C(VTD_VER_MIN, 0))

typedef void reg_fn(struct vtd *v, uint64_t old, struct vtd_msis *q);

struct reg {
	uint16_t off;
	uint16_t at;	   /* in struct vtd; 0: reads zero, unless `read` */
	uint8_t size;	   /* 4 or 8 */
	uint64_t rw;	   /* bits that software may change */
	uint64_t (*read)(const struct vtd *v);
	reg_fn *written;   /* after the bits are in */
	uint64_t acts;	   /* called when one of these bits lies in a byte that was written */
	bool (*has)(const struct vtd_caps *c); /* else reserved: reads zero, writes nothing; null: always there */
};

static uint64_t read_ver(const struct vtd *v)
{
	(void)v;
	return VERSION;
}
static uint64_t read_cap(const struct vtd *v)
{
	return v->cap;
}
static uint64_t read_ecap(const struct vtd *v)
{
	return v->ecap;
}
static uint64_t read_gsts(const struct vtd *v)
{
	return v->gsts;
}

/* ---- global command, 11.4.4.1 ---- */

static void set_root(struct vtd *v)
{
	uint32_t mode = atomic_load_explicit(&v->mode, memory_order_relaxed);
	uint32_t ttm = (uint32_t)FIELD_GET(VTD_RTADDR_TTM, v->rtaddr) << 1;

	v->gsts |= VTD_GSTS_RTPS;
	atomic_store_explicit(&v->root, v->rtaddr & VTD_RTADDR_RTA, memory_order_release);
	atomic_store_explicit(&v->mode, (mode & ~VTD_MODE_TTM) | ttm, memory_order_release);
	/* Without ESRTPS the caches stay; but an entry decoded for the other mode is not one that hardware could use. */
	if (v->caps.esrtps || ttm != (mode & VTD_MODE_TTM))
		vtd_invalidate_all(v);
}

/* The next fault record is the first one again when neither DMA nor interrupts are remapped (7.2.1). */
static void disabled(struct vtd *v)
{
	if (!(v->gsts & (VTD_GSTS_TES | VTD_GSTS_IRES)))
		vtd_event_disabled(v);
}

static void set_te(struct vtd *v, bool on)
{
	uint32_t mode = atomic_load_explicit(&v->mode, memory_order_relaxed);

	if (on == ((mode & VTD_MODE_TE) != 0))
		return;
	atomic_store_explicit(&v->mode, on ? mode | VTD_MODE_TE : mode & ~VTD_MODE_TE, memory_order_release);
	/* Requests in flight are drained either way; with SMTS, disabling invalidates all. */
	if (!on && v->caps.scalable)
		vtd_invalidate_all(v);
	else
		nb_rcu_synchronize();
	if (on) {
		v->gsts |= VTD_GSTS_TES;
	} else {
		v->gsts &= ~VTD_GSTS_TES;
		disabled(v);
	}
}

/* SIRTP. Without ESIRTPS the cached entries stay until software invalidates them. */
static void set_irta(struct vtd *v)
{
	v->gsts |= VTD_GSTS_IRTPS;
	atomic_store_explicit(&v->irta_now, v->irta, memory_order_release);
	if (v->caps.esirtps) {
		vtd_iec_invalidate(v, 0, VTD_IEC_LAST);
		nb_rcu_synchronize();
		hw_interrupt_drain(&v->hw);
	}
}

/* IRE and CFI: interrupt requests in flight are drained before the status says so. */
static void set_intr(struct vtd *v, uint64_t cmd, uint64_t bit, uint32_t mode_bit)
{
	uint32_t mode = atomic_load_explicit(&v->mode, memory_order_relaxed);

	if (((cmd ^ v->gsts) & bit) == 0)
		return;
	atomic_store_explicit(&v->mode, mode ^ mode_bit, memory_order_release);
	if (bit == VTD_GCMD_IRE && !(cmd & bit) && v->caps.esirtps) /* 11.4.4.1: with ESIRTPS, disabling invalidates */
		vtd_iec_invalidate(v, 0, VTD_IEC_LAST);
	nb_rcu_synchronize();
	hw_interrupt_drain(&v->hw);
	v->gsts ^= bit;
	disabled(v);
}

/*
 * GCMD keeps nothing. Software must change one field at a time and wait for the status; what more than one does is undefined, here
 * it is all of them, in the order in which software would need them.
 */
static void write_gcmd(struct vtd *v, uint64_t cmd, struct vtd_msis *q)
{
	if (cmd & VTD_GCMD_SRTP)
		set_root(v);
	if (!(cmd & VTD_GCMD_QIE)) {
		if (v->gsts & VTD_GSTS_QIES)
			v->iqh = 0;
		v->gsts &= ~VTD_GSTS_QIES;
	} else if (!(v->gsts & VTD_GSTS_QIES)) {
		v->gsts |= VTD_GSTS_QIES;
		vtd_queue_run(v, q);
	}
	if (v->caps.intr_remap) {
		if (cmd & VTD_GCMD_SIRTP)
			set_irta(v);
		set_intr(v, cmd, VTD_GCMD_CFI, VTD_MODE_CFI);
		set_intr(v, cmd, VTD_GCMD_IRE, VTD_MODE_IRE);
	}
	set_te(v, cmd & VTD_GCMD_TE);
	/* WBF completes at once and leaves WBFS clear. SFL and EAFL: there is no advanced fault log. */
}

/* ---- register-based invalidation, 11.4.6 ---- */

static bool legacy(const struct vtd *v)
{
	return (atomic_load_explicit(&v->mode, memory_order_relaxed) & VTD_MODE_TTM) >> 1 == VTD_TTM_LEGACY;
}

static void write_ccmd(struct vtd *v, uint64_t old, struct vtd_msis *q)
{
	uint64_t g = FIELD_GET(VTD_CCMD_CIRG, v->ccmd);

	(void)old;
	(void)q;
	if (!(v->ccmd & VTD_CCMD_ICC))
		return;
	v->ccmd &= ~(VTD_CCMD_ICC | VTD_CCMD_CAIG);
	if (!legacy(v) || g == 0 || (v->gsts & VTD_GSTS_QIES))
		return; /* CAIG 0: error */
	vtd_cc_invalidate(v, (unsigned int)g, (uint16_t)FIELD_GET(VTD_CCMD_DID, v->ccmd),
			  (uint16_t)FIELD_GET(VTD_CCMD_SID, v->ccmd), (unsigned int)FIELD_GET(VTD_CCMD_FM, v->ccmd));
	vtd_sync(v);
	v->ccmd |= nb_field_put(VTD_CCMD_CAIG, g);
}

static void write_iotlb(struct vtd *v, uint64_t old, struct vtd_msis *q)
{
	uint64_t g = FIELD_GET(VTD_IOTLB_IIRG, v->iotlb);
	unsigned int am = (unsigned int)FIELD_GET(VTD_IVA_AM, v->iva);

	(void)old;
	(void)q;
	if (!(v->iotlb & VTD_IOTLB_IVT))
		return;
	v->iotlb &= ~(VTD_IOTLB_IVT | VTD_IOTLB_IAIG);
	if (!legacy(v) || g == 0 || (v->gsts & VTD_GSTS_QIES) ||
	    (g == VTD_INV_IOTLB_PAGE && (v->caps.no_page_selective || am > vtd_caps_mamv(&v->caps))))
		return;
	vtd_iotlb_invalidate(v, (unsigned int)g, (uint16_t)FIELD_GET(VTD_IOTLB_DID, v->iotlb),
			     v->iva & VTD_IVA_ADDR, am, v->iva & VTD_IVA_IH);
	vtd_sync(v);
	v->iotlb |= nb_field_put(VTD_IOTLB_IAIG, g);
}

/* ---- queue and its completion event, 11.4.9 ---- */

static void write_iqt(struct vtd *v, uint64_t old, struct vtd_msis *q)
{
	(void)old;
	vtd_queue_run(v, q);
}

static void write_ics(struct vtd *v, uint64_t old, struct vtd_msis *q)
{
	(void)q;
	/* RW1C: the table let the written bit in. */
	v->ics = (uint32_t)(old & ~(uint64_t)v->ics & VTD_ICS_IWC);
	if (!v->ics)
		v->iectl &= ~(uint32_t)VTD_ECTL_IP;
}

static void write_iectl(struct vtd *v, uint64_t old, struct vtd_msis *q)
{
	(void)old;
	if (!(v->iectl & VTD_ECTL_IM) && (v->iectl & VTD_ECTL_IP)) {
		v->iectl &= ~(uint32_t)VTD_ECTL_IP;
		vtd_msi_queue(q, (uint64_t)v->ieuaddr << 32 | v->ieaddr, v->iedata);
	}
}

/* ---- interrupt remapping table and protected memory, 11.4.10, 11.4.8 ---- */

static bool has_ir(const struct vtd_caps *c)
{
	return c->intr_remap;
}
static bool has_pmr_low(const struct vtd_caps *c)
{
	return c->pmr_low;
}
static bool has_pmr_high(const struct vtd_caps *c)
{
	return c->pmr_high;
}
static bool has_pmr(const struct vtd_caps *c)
{
	return c->pmr_low || c->pmr_high;
}

static void write_irta(struct vtd *v, uint64_t old, struct vtd_msis *q)
{
	(void)old;
	(void)q;
	if (!v->caps.x2apic)
		v->irta &= ~VTD_IRTA_EIME;
}

static void write_pmen(struct vtd *v, uint64_t old, struct vtd_msis *q)
{
	(void)old;
	(void)q;
	vtd_pmr_update(v);
}

/*
 * Not here, and reserved: advanced fault log (CAP.AFL), MTRRs (ECAP.MTS), performance monitoring (ECAP.PMS), enhanced commands
 * (CAP.ECMDS), virtual commands (ECAP.VCS). Fault recording: event.c. Page requests: prq.c.
 */
#define AT(m) offsetof(struct vtd, m)
#define PMR_BITS(hi) BITS(hi, VTD_PMR_LG2)
static const struct reg regs[] = {
	{VTD_REG_VER, 0, 4, 0, read_ver, NULL, 0, NULL},
	{VTD_REG_CAP, 0, 8, 0, read_cap, NULL, 0, NULL},
	{VTD_REG_ECAP, 0, 8, 0, read_ecap, NULL, 0, NULL},
	{VTD_REG_GSTS, 0, 4, 0, read_gsts, NULL, 0, NULL},
	{VTD_REG_RTADDR, AT(rtaddr), 8, VTD_RTADDR_RTA | VTD_RTADDR_TTM, NULL, NULL, 0, NULL},
	{VTD_REG_CCMD, AT(ccmd), 8,
	 VTD_CCMD_ICC | VTD_CCMD_CIRG | VTD_CCMD_FM | VTD_CCMD_SID | VTD_CCMD_DID, NULL, write_ccmd, VTD_CCMD_ICC, NULL},
	{VTD_REG_IQH, AT(iqh), 8, 0, NULL, NULL, 0, NULL},
	{VTD_REG_IQT, AT(iqt), 8, VTD_IQT_QT, NULL, write_iqt, BITS(31, 0), NULL},
	{VTD_REG_IQA, AT(iqa), 8, VTD_IQA_IQA | VTD_IQA_DW | VTD_IQA_QS, NULL, NULL, 0, NULL},
	{VTD_REG_ICS, AT(ics), 4, VTD_ICS_IWC, NULL, write_ics, VTD_ICS_IWC, NULL},
	{VTD_REG_IECTL, AT(iectl), 4, VTD_ECTL_IM, NULL, write_iectl, VTD_ECTL_IM, NULL},
	{VTD_REG_IEDATA, AT(iedata), 4, VTD_EDATA_IMD, NULL, NULL, 0, NULL},
	{VTD_REG_IEADDR, AT(ieaddr), 4, VTD_EADDR_MA, NULL, NULL, 0, NULL},
	{VTD_REG_IEUADDR, AT(ieuaddr), 4, BITS(31, 0), NULL, NULL, 0, NULL},
	{VTD_IOTLB_AT + VTD_IVA_OFF, AT(iva), 8, VTD_IVA_ADDR | VTD_IVA_IH | VTD_IVA_AM, NULL, NULL, 0, NULL},
	{VTD_IOTLB_AT + VTD_IOTLB_OFF, AT(iotlb), 8,
	 VTD_IOTLB_IVT | VTD_IOTLB_IIRG | VTD_IOTLB_DR | VTD_IOTLB_DW | VTD_IOTLB_DID, NULL, write_iotlb,
	 VTD_IOTLB_IVT, NULL},
	{VTD_REG_IRTA, AT(irta), 8, VTD_IRTA_IRTA | VTD_IRTA_EIME | VTD_IRTA_S, NULL, write_irta, VTD_IRTA_EIME, has_ir},
	{VTD_REG_PMEN, AT(pmen), 4, VTD_PMEN_EPM, NULL, write_pmen, VTD_PMEN_EPM, has_pmr},
	{VTD_REG_PLMBASE, AT(plmbase), 4, PMR_BITS(31), NULL, NULL, 0, has_pmr_low},
	{VTD_REG_PLMLIMIT, AT(plmlimit), 4, PMR_BITS(31), NULL, NULL, 0, has_pmr_low},
	{VTD_REG_PHMBASE, AT(phmbase), 8, PMR_BITS(63), NULL, NULL, 0, has_pmr_high},
	{VTD_REG_PHMLIMIT, AT(phmlimit), 8, PMR_BITS(63), NULL, NULL, 0, has_pmr_high},
};

static const struct reg *reg_at(uint64_t off)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(regs); i++)
		if (off - regs[i].off < regs[i].size)
			return &regs[i];
	return NULL;
}

static uint64_t reg_get(const struct vtd *v, const struct reg *r)
{
	const char *p = (const char *)v + r->at;

	if (r->read)
		return r->read(v);
	return r->size == 8 ? *(const uint64_t *)(const void *)p : *(const uint32_t *)(const void *)p;
}

static void reg_set(struct vtd *v, const struct reg *r, uint64_t val)
{
	char *p = (char *)v + r->at;

	if (r->size == 8)
		*(uint64_t *)(void *)p = val;
	else
		*(uint32_t *)(void *)p = (uint32_t)val;
}

/* `mask` has the bytes that were written, as they lie in the register. */
static void reg_write(struct vtd *v, const struct reg *r, uint64_t val, uint64_t mask, struct vtd_msis *q)
{
	uint64_t old, now;

	if (!r->rw || (r->has && !r->has(&v->caps)))
		return;
	old = reg_get(v, r);
	now = (old & ~(r->rw & mask)) | (val & r->rw & mask);
	if (r->off == VTD_REG_ICS) /* RW1C: what was not written is a 0 */
		now = val & r->rw & mask;
	reg_set(v, r, now);
	if (r->written && (r->acts & mask))
		r->written(v, old, q);
}

static bool access_ok(uint64_t off, unsigned int size)
{
	return (size == 1 || size == 2 || size == 4 || size == 8) && off % size == 0 && off < VTD_MMIO_SIZE;
}

static uint32_t read32(struct vtd *v, uint64_t off)
{
	const struct reg *r = reg_at(off);

	if (vtd_event_owns(v, off))
		return vtd_event_read(v, off);
	if (vtd_prq_owns(v, off))
		return vtd_prq_read(v, off);
	return r ? (uint32_t)(reg_get(v, r) >> (off == r->off ? 0 : 32)) : 0;
}

uint64_t vtd_mmio_read(struct hw_iommu *hw, uint64_t off, unsigned int size)
{
	struct vtd *v = to_vtd(hw);
	uint64_t val;

	if (!access_ok(off, size))
		return 0;
	if (nb_rcu_in_section())
		return nb_low_mask(size * 8);
	pthread_mutex_lock(&v->mmio_lock);
	val = read32(v, off & ~3ul);
	if (size == 8)
		val |= (uint64_t)read32(v, off + 4) << 32;
	pthread_mutex_unlock(&v->mmio_lock);
	val = val >> (off % 4 * 8) & nb_low_mask(size * 8);
	NB_TRACE(hw->tr, hw_mmio_read, off, size, val);
	return val;
}

/* One 32-bit piece. */
static void write32(struct vtd *v, uint64_t off, uint32_t val, uint32_t mask, struct vtd_msis *q)
{
	const struct reg *r = reg_at(off);

	if (vtd_event_owns(v, off)) {
		if (vtd_event_write(v, off, val, mask, q))
			vtd_queue_run(v, q);
	} else if (vtd_prq_owns(v, off)) {
		vtd_prq_write(v, off, val, mask, q);
	} else if (off == VTD_REG_GCMD) {
		/* A command is a whole: bytes that were not written repeat the status. */
		write_gcmd(v, (val & mask) | (v->gsts & ~(uint64_t)mask & ~(VTD_GCMD_SRTP | VTD_GCMD_SIRTP | VTD_GCMD_WBF)), q);
	} else if (r) {
		unsigned int shift = off == r->off ? 0 : 32;

		reg_write(v, r, (uint64_t)val << shift, (uint64_t)mask << shift, q);
	}
}

void vtd_mmio_write(struct hw_iommu *hw, uint64_t off, unsigned int size, uint64_t val)
{
	struct vtd *v = to_vtd(hw);
	struct vtd_msis q = {.n = 0};
	const struct reg *r;

	if (!access_ok(off, size) || nb_rcu_in_section())
		return;
	NB_TRACE(hw->tr, hw_mmio_write, off, size, val);
	pthread_mutex_lock(&v->mmio_lock);
	r = reg_at(off);
	if (size == 8 && r && r->size == 8 && !vtd_event_owns(v, off)) {
		reg_write(v, r, val, UINT64_MAX, &q);
	} else if (size == 8) {
		write32(v, off, (uint32_t)val, UINT32_MAX, &q);
		write32(v, off + 4, (uint32_t)(val >> 32), UINT32_MAX, &q);
	} else {
		unsigned int shift = off % 4 * 8;

		write32(v, off & ~3ul, (uint32_t)(val << shift), (uint32_t)(nb_low_mask(size * 8) << shift), &q);
	}
	pthread_mutex_unlock(&v->mmio_lock);
	vtd_msi_send(v, &q);
}

void vtd_regs_reset(struct vtd *v)
{
	atomic_store_explicit(&v->mode, 0, memory_order_release);
	atomic_store_explicit(&v->root, 0, memory_order_release);
	atomic_store_explicit(&v->irta_now, 0, memory_order_release);
	v->gsts = v->rtaddr = v->ccmd = v->iotlb = v->iva = v->irta = 0;
	v->pmen = v->plmbase = v->plmlimit = 0;
	v->phmbase = v->phmlimit = 0;
	if (v->iec)
		vtd_iec_invalidate(v, 0, VTD_IEC_LAST);
	v->iqh = v->iqt = v->iqa = 0;
	v->ics = v->iedata = v->ieaddr = v->ieuaddr = 0;
	v->iectl = (uint32_t)VTD_ECTL_IM;
	v->inv_pending = v->intr_pending = false;
	v->lost_sid = -1;
}
