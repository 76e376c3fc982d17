/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupt remapping (chapter 5): from an interrupt message to the interrupt that the entry describes, or to a fault.
 *
 * The interrupt entry cache has one slot per index (modulo its size) and holds decoded entries: what was checked when the entry
 * was read is not checked again, as on hardware, but for the source. Only entries of messages without fault are kept, with caching
 * mode too. It is emptied by interrupt entry cache descriptors, with ESIRTPS by SIRTP and by switching remapping off, and by
 * nothing else.
 * Readers take no lock: a count per slot tells that it was being written. A fill loses to an invalidation as in tlb.h:
 * seq moves when one begins and when it ends.
 *
 * Choices where the manual leaves room: without subhandle the data are not looked at (5.1.3); reserved encodings of the
 * delivery mode are passed on; a message that faults before its index is known records index 0, and an index beyond 16 bits its
 * low 16 bits.
 */
#include "hw/vtd/model.h"

#include <errno.h>

#include "base/alloc.h"

#define IEC_SLOTS 4096u

/* Decoded, word 0: destination in 63:32 and the rest as below; word 1: who may use it. */
#define E0_VECTOR   BITS(7, 0)
#define E0_DELIVERY BITS(10, 8)
#define E0_LOGICAL  BIT(11)
#define E0_HINT	    BIT(12)
#define E0_LEVEL    BIT(13)
#define E0_FPD	    BIT(14)
#define E0_DEST	    BITS(63, 32)
#define E1_SID	    BITS(15, 0)
#define E1_MASK	    BITS(31, 16) /* bits of the source-id that must agree with SID */
#define E1_BUS	    BIT(32)	 /* SID is a range of busses: first << 8 | last */

struct slot {
	_Atomic uint32_t seq; /* odd: being written */
	_Atomic uint32_t key; /* index + 1; 0: empty */
	_Atomic uint64_t e0, e1;
} __attribute__((aligned(32)));

struct vtd_iec {
	_Atomic uint64_t seq; /* invalidations; written under the lock */
	struct hw_spin lock; /* slots */
	struct slot slot[IEC_SLOTS];
};

int vtd_ir_init(struct vtd *v)
{
	if (!v->caps.intr_remap)
		return 0;
	v->iec = nb_aligned_zalloc(64, sizeof(*v->iec));
	return v->iec ? 0 : -ENOMEM;
}

void vtd_ir_fini(struct vtd *v)
{
	nb_free(v->iec);
}

/* ---- interrupt entry cache ---- */

static inline bool iec_find(struct vtd_iec *c, uint32_t index, uint64_t e[2])
{
	struct slot *s = &c->slot[index % IEC_SLOTS];
	uint32_t seq = atomic_load_explicit(&s->seq, memory_order_acquire);
	uint32_t key = atomic_load_explicit(&s->key, memory_order_acquire);

	e[0] = atomic_load_explicit(&s->e0, memory_order_acquire);
	e[1] = atomic_load_explicit(&s->e1, memory_order_acquire);
	/* Pairs with slot_put(). */
	return likely(key == index + 1 && !(seq & 1) && atomic_load_explicit(&s->seq, memory_order_relaxed) == seq);
}

static void slot_put_locked(struct slot *s, uint32_t key, uint64_t e0, uint64_t e1)
{
	uint32_t seq = atomic_load_explicit(&s->seq, memory_order_relaxed);

	atomic_store_explicit(&s->seq, seq + 1, memory_order_relaxed);
	atomic_store_explicit(&s->key, key, memory_order_release);
	atomic_store_explicit(&s->e0, e0, memory_order_release);
	atomic_store_explicit(&s->e1, e1, memory_order_release);
	atomic_store_explicit(&s->seq, seq + 2, memory_order_release);
}

static void iec_fill(struct vtd_iec *c, uint32_t index, const uint64_t e[2], uint64_t seq)
{
	hw_spin_lock(&c->lock);
	if (atomic_load_explicit(&c->seq, memory_order_relaxed) == seq)
		slot_put_locked(&c->slot[index % IEC_SLOTS], index + 1, e[0], e[1]);
	hw_spin_unlock(&c->lock);
}

static void slot_drop_locked(struct slot *s, uint32_t first, uint32_t last)
{
	uint32_t key = atomic_load_explicit(&s->key, memory_order_relaxed);

	if (key && key - 1 >= first && key - 1 <= last)
		slot_put_locked(s, 0, 0, 0);
}

void vtd_iec_invalidate(struct vtd *v, uint32_t first, uint32_t last)
{
	struct vtd_iec *c = v->iec;
	uint32_t i;

	hw_spin_lock(&c->lock);
	/* Release: who reads the new count reads the table at least as new as this invalidation. */
	atomic_fetch_add_explicit(&c->seq, 1, memory_order_acq_rel);
	if (last - first >= IEC_SLOTS) {
		for (i = 0; i < IEC_SLOTS; i++)
			slot_drop_locked(&c->slot[i], first, last);
	} else {
		for (i = first; i <= last; i++)
			slot_drop_locked(&c->slot[i % IEC_SLOTS], first, last);
	}
	atomic_fetch_add_explicit(&c->seq, 1, memory_order_acq_rel);
	hw_spin_unlock(&c->lock);
}

/* ---- entries, 9.9 ---- */

/* Who may use the entry. A reserved SVT lets everybody through: what() has more to say. */
static uint64_t who(uint64_t hi)
{
	static const uint16_t mask[4] = {0xffff, 0xfffb, 0xfff9, 0xfff8};
	uint64_t e1 = FIELD(E1_SID, FIELD_GET(VTD_IRTE_1_SID, hi));

	switch (FIELD_GET(VTD_IRTE_1_SVT, hi)) {
	case VTD_SVT_SID:
		return e1 | FIELD(E1_MASK, mask[FIELD_GET(VTD_IRTE_1_SQ, hi)]);
	case VTD_SVT_BUS:
		return e1 | E1_BUS;
	default:
		return e1;
	}
}

/* What it becomes. False: invalid programming. */
static bool what(uint64_t lo, uint64_t hi, bool eime, uint64_t e[2])
{
	uint64_t rsvd = BITS(14, 12) | BITS(31, 24) | VTD_IRTE_0_IM | (eime ? 0 : VTD_IRTE_0_DST & ~VTD_IRTE_0_DST8), dest;

	if ((lo & rsvd) || (hi & BITS(63, 20)) || FIELD_GET(VTD_IRTE_1_SVT, hi) > VTD_SVT_BUS)
		return false;
	dest = eime ? FIELD_GET(VTD_IRTE_0_DST, lo) : FIELD_GET(VTD_IRTE_0_DST8, lo);
	e[0] = FIELD(E0_DEST, dest) | FIELD(E0_VECTOR, FIELD_GET(VTD_IRTE_0_V, lo)) |
	       FIELD(E0_DELIVERY, FIELD_GET(VTD_IRTE_0_DLM, lo)) | (lo & VTD_IRTE_0_DM ? E0_LOGICAL : 0) |
	       (lo & VTD_IRTE_0_RH ? E0_HINT : 0) | (lo & VTD_IRTE_0_TM ? E0_LEVEL : 0) |
	       (lo & VTD_IRTE_0_FPD ? E0_FPD : 0);
	return true;
}

static inline bool source_ok(uint64_t e1, uint16_t rid)
{
	if (likely(!(e1 & E1_BUS)))
		return !((rid ^ e1) & (e1 >> 16) & 0xffff);
	return rid >> 8 >= (e1 >> 8 & 0xff) && (unsigned int)(rid >> 8) <= (e1 & 0xff);
}

/* ---- messages, 5.1 ---- */

struct refusal {
	unsigned int reason;
	uint32_t index;
	bool silent;
};

static inline bool refuse(struct refusal *r, unsigned int reason, uint32_t index, bool silent)
{
	*r = (struct refusal){reason, index, silent};
	return false;
}

/* Inside a read section. False: *r says why not. */
static inline bool remap(struct vtd *v, uint16_t rid, uint64_t addr, uint32_t data, struct hw_irq *out, struct refusal *r)
{
	uint64_t irta = atomic_load_explicit(&v->irta_now, memory_order_acquire), e[2], irte[2], pa, seq;
	uint32_t index = (uint32_t)((addr & VTD_MSI_ADDR_HANDLE) >> 5 | (addr & VTD_MSI_ADDR_HANDLE15) << 13);
	bool silent;

	if (addr & VTD_MSI_ADDR_SHV) {
		if (unlikely(data & VTD_MSI_DATA_RSVD))
			return refuse(r, VTD_FR_IR_RSVD, 0, false);
		index += data;
	}
	if (unlikely(index >> (FIELD_GET(VTD_IRTA_S, irta) + 1) != 0))
		return refuse(r, VTD_FR_IR_INDEX, index & 0xffff, false);
	if (unlikely(!iec_find(v->iec, index, e))) {
		seq = atomic_load_explicit(&v->iec->seq, memory_order_acquire);
		pa = (irta & VTD_IRTA_IRTA) + index * 16ul;
		if (pa >> v->caps.haw != 0) /* the same condition: an entry where there can be none */
			return refuse(r, VTD_FR_IR_INDEX, index, false);
		if (vtd_load128(v, v->cfg_lag, pa, irte))
			return refuse(r, VTD_FR_IRTE_FETCH, index, false);
		/* In this order: 5.1.4. */
		silent = irte[0] & VTD_IRTE_0_FPD;
		e[1] = who(irte[1]);
		if (!(irte[0] & VTD_IRTE_0_P))
			return refuse(r, VTD_FR_IRTE_NP, index, silent);
		if (!source_ok(e[1], rid))
			return refuse(r, VTD_FR_IR_SID, index, silent);
		if (!what(irte[0], irte[1], irta & VTD_IRTA_EIME, e))
			return refuse(r, VTD_FR_IRTE_RSVD, index, silent);
		iec_fill(v->iec, index, e, seq);
	} else if (unlikely(!source_ok(e[1], rid))) {
		return refuse(r, VTD_FR_IR_SID, index, e[0] & E0_FPD);
	}
	*out = (struct hw_irq){.dest = (uint32_t)(e[0] >> 32),
			       .vector = (uint8_t)(e[0] & E0_VECTOR),
			       .delivery = (uint8_t)FIELD_GET(E0_DELIVERY, e[0]),
			       .logical = e[0] & E0_LOGICAL,
			       .level = e[0] & E0_LEVEL,
			       .hint = e[0] & E0_HINT};
	return true;
}

static void compatibility(uint64_t addr, uint32_t data, struct hw_irq *out)
{
	*out = (struct hw_irq){.dest = (uint32_t)FIELD_GET(VTD_CMSI_ADDR_DEST, addr),
			       .vector = (uint8_t)FIELD_GET(VTD_CMSI_DATA_V, data),
			       .delivery = (uint8_t)FIELD_GET(VTD_CMSI_DATA_DLM, data),
			       .logical = addr & VTD_CMSI_ADDR_DM,
			       .level = data & VTD_CMSI_DATA_TM,
			       .hint = addr & VTD_CMSI_ADDR_RH};
}

/* 7.2: the index in place of the address; type, address type and PASID say nothing. */
static __attribute__((cold, noinline)) int blocked(struct vtd *v, uint16_t rid, uint64_t addr, uint32_t data,
						   const struct refusal *r)
{
	struct hw_request req = {.addr = addr, .pasid = NB_NO_PASID, .rid = rid, .access = HW_WRITE};
	struct hw_result res = {.kind = HW_FAULT};

	NB_TRACE(v->hw.tr, hw_intr_blocked, rid, addr, data, r->reason);
	res.fault.reason = (uint16_t)r->reason;
	if (!r->silent) {
		res.fault.record[0] = FIELD(VTD_FRCD_0_II, r->index);
		res.fault.record[1] = FIELD(VTD_FRCD_1_SID, rid) | FIELD(VTD_FRCD_1_FR, r->reason) | VTD_FRCD_1_F;
		res.fault.record_len = 16;
	}
	vtd_report(&v->hw, &req, &res);
	return -EFAULT;
}

int vtd_interrupt(struct hw_iommu *hw, uint16_t rid, uint64_t addr, uint32_t data, struct hw_irq *out)
{
	struct vtd *v = to_vtd(hw);
	struct refusal r = {0};
	uint32_t mode;
	bool ok = true;

	nb_rcu_read_lock();
	mode = atomic_load_explicit(&v->mode, memory_order_acquire);
	if (!(mode & VTD_MODE_IRE))
		compatibility(addr, data, out);
	else if (likely(addr & VTD_MSI_ADDR_FORMAT))
		ok = remap(v, rid, addr, data, out, &r);
	else if ((mode & VTD_MODE_CFI) && !(atomic_load_explicit(&v->irta_now, memory_order_acquire) & VTD_IRTA_EIME))
		compatibility(addr, data, out);
	else
		ok = refuse(&r, VTD_FR_IR_COMPAT, 0, false);
	nb_rcu_read_unlock();
	return likely(ok) ? 0 : blocked(v, rid, addr, data, &r);
}
