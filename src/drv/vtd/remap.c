/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupt remapping (VT-d 5.1): the table, and messages of functions through it.
 *
 * Every message names an entry; an entry takes messages of one source-id only (SVT = 01, SQ = 00). Messages in the old
 * format are refused: CFI stays clear. An entry is written once, from absent to present, by whoever has its bit in the
 * map, and is invalidated before the bit is given back.
 */
#include "drv/vtd/vtd.h"

#include <errno.h>
#include <inttypes.h>

/* The place of n naturally aligned entries, taken; -1: there is none. */
static int64_t take(struct vtd_irt *t, unsigned int n)
{
	int64_t found = -1;
	uint32_t i;

	pthread_mutex_lock(&t->lock);
	for (i = 0; i < VTD_IRT_ENTRIES && found < 0; i += n < 64 ? n : 64) {
		uint64_t bits = n < 64 ? nb_low_mask(n) << (i & 63) : UINT64_MAX;
		uint32_t words = n < 64 ? 1 : n / 64, k, free_words = 0;

		if (i % n != 0)
			continue;
		for (k = 0; k < words; k++)
			free_words += (t->used[i / 64 + k] & bits) == 0;
		if (free_words < words)
			continue;
		for (k = 0; k < words; k++)
			t->used[i / 64 + k] |= bits;
		found = i;
	}
	pthread_mutex_unlock(&t->lock);
	return found;
}

static void give_back(struct vtd_irt *t, uint32_t at, unsigned int n)
{
	uint32_t i;

	pthread_mutex_lock(&t->lock);
	for (i = at; i < at + n; i++) {
		assert(t->used[i / 64] & BIT(i & 63));
		t->used[i / 64] &= ~BIT(i & 63);
	}
	pthread_mutex_unlock(&t->lock);
}

/* Physical destination, fixed delivery, edge: what MSI is. */
static struct vtd_irte make_irte(const struct vtd_irt *t, uint16_t rid, const struct drv_irq_target *to)
{
	return (struct vtd_irte){ .q = {
		[0] = le64(VTD_IRTE_0_P | FIELD(VTD_IRTE_0_V, to->vector) |
			   (t->x2apic ? FIELD(VTD_IRTE_0_DST, to->dest) : FIELD(VTD_IRTE_0_DST8, to->dest))),
		[1] = le64(FIELD(VTD_IRTE_1_SID, rid) | FIELD_C(VTD_IRTE_1_SVT, VTD_SVT_SID)),
	} };
}

/* The word with P last: the unit may fetch the entry in two pieces. */
static void publish(struct vtd_irte *live, const struct vtd_irte *e)
{
	assert(!(cpu64(live->q[0]) & VTD_IRTE_0_P));
	__atomic_store_n(&live->q[1].le, e->q[1].le, __ATOMIC_RELAXED);
	__atomic_store_n(&live->q[0].le, e->q[0].le, __ATOMIC_RELEASE);
}

/* 6.5.2.8: the mask may not be larger than ECAP.MHMV; n is a power of two, at its natural place. 0 or -EIO, -EINVAL. */
static int invalidate(struct vtd_unit *u, uint32_t at, unsigned int n)
{
	unsigned int lg2 = (unsigned int)nb_ilog2(n), most = (unsigned int)FIELD_GET(VTD_ECAP_MHMV, u->ecap);
	uint32_t step, i;

	if (lg2 > most)
		lg2 = most;
	step = 1u << lg2;
	dvtd_queue_begin(u);
	for (i = 0; i < n; i += step)
		dvtd_queue_push(u, dvtd_desc_irte(at + i, lg2));
	return dvtd_queue_end(u);
}

static struct drv_msi message(uint32_t at, unsigned int n)
{
	return (struct drv_msi){
		.addr = VTD_MSI_FIRST | VTD_MSI_ADDR_FORMAT | FIELD(VTD_MSI_ADDR_HANDLE, at & 0x7fff) |
			(at >> 15 ? VTD_MSI_ADDR_HANDLE15 : 0) | (n > 1 ? VTD_MSI_ADDR_SHV : 0),
		.data = 0, /* with SHV the function adds the number of the message: the sub-handle */
	};
}

int dvtd_irq_map(struct drv_dev *dev, unsigned int n, const struct drv_irq_target *target, uint32_t *handle,
		 struct drv_msi *msg, struct nb_diag *diag)
{
	struct vtd_unit *u = dvtd_unit(dev->iommu);
	struct vtd_irt *t = &u->irt;
	int64_t at;
	uint32_t i;
	int err;

	if (!t->entries)
		return nb_fail(diag, -EOPNOTSUPP, "the unit of function %04x does not remap interrupts", dev->rid);
	if (n == 0 || (n & (n - 1)) != 0 || n > VTD_IRT_ENTRIES)
		return nb_fail(diag, -EINVAL, "%u messages are no power of two that there is room for", n);
	for (i = 0; !t->x2apic && i < n; i++)
		if (target[i].dest > FIELD_MAX(VTD_IRTE_0_DST8))
			return nb_fail(diag, -EINVAL, "APIC id %#" PRIx32 ": the unit knows 8 bits (ECAP.EIM)", target[i].dest);
	at = take(t, n);
	if (at < 0)
		return nb_fail(diag, -ENOSPC, "the interrupt remapping table has no %u entries left", n);
	for (i = 0; i < n; i++) {
		struct vtd_irte e = make_irte(t, dev->rid, &target[i]);

		publish(&t->entries[at + i], &e);
	}
	dvtd_flush(u, &t->entries[at], n * sizeof(struct vtd_irte));
	/* 6.1: with CM the unit may have cached that nothing was there. */
	err = invalidate(u, (uint32_t)at, n);
	if (err) {
		dvtd_irq_unmap(dev, (uint32_t)at, n);
		return nb_fail(diag, -EIO, "the unit does not take interrupt entries of function %04x", dev->rid);
	}
	*handle = (uint32_t)at;
	*msg = message((uint32_t)at, n);
	NB_TRACE(u->base.cfg.tr, drv_irq_map, dev->rid, at, n, target[0].dest);
	return 0;
}

void dvtd_irq_unmap(struct drv_dev *dev, uint32_t handle, unsigned int n)
{
	struct vtd_unit *u = dvtd_unit(dev->iommu);
	struct vtd_irt *t = &u->irt;
	uint32_t i;

	assert(t->entries && n > 0 && handle < VTD_IRT_ENTRIES && n <= VTD_IRT_ENTRIES - handle);
	for (i = handle; i < handle + n; i++)
		__atomic_fetch_and(&t->entries[i].q[0].le, ~le64(VTD_IRTE_0_P).le, __ATOMIC_ACQ_REL);
	dvtd_flush(u, &t->entries[handle], n * sizeof(struct vtd_irte));
	NB_TRACE(u->base.cfg.tr, drv_irq_unmap, dev->rid, handle, n);
	if (invalidate(u, handle, n))
		return; /* the unit may go on using them: never given to anyone else */
	for (i = handle; i < handle + n; i++) {
		__atomic_store_n(&t->entries[i].q[0].le, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&t->entries[i].q[1].le, 0, __ATOMIC_RELAXED);
	}
	dvtd_flush(u, &t->entries[handle], n * sizeof(struct vtd_irte));
	give_back(t, handle, n);
}

/* ---- the unit ---- */

int dvtd_irt_init(struct vtd_unit *u, struct nb_diag *diag)
{
	struct vtd_irt *t = &u->irt;

	if (!(u->ecap & VTD_ECAP_IR))
		return 0;
	_Static_assert((VTD_IRT_ENTRIES & (VTD_IRT_ENTRIES - 1)) == 0 && VTD_IRT_ENTRIES <= 65536, "11.4.10, S");
	t->entries = mem_page_alloc(u->base.cfg.pool, VTD_IRT_ORDER, &t->pa);
	if (!t->entries)
		return nb_fail(diag, -ENOMEM, "no memory for the interrupt remapping table");
	dvtd_flush(u, t->entries, VTD_IRT_ENTRIES * sizeof(struct vtd_irte));
	t->x2apic = u->ecap & VTD_ECAP_EIM;
	dvtd_write64(u, VTD_REG_IRTA, t->pa.v | (t->x2apic ? VTD_IRTA_EIME : 0) |
					      FIELD(VTD_IRTA_S, nb_ilog2(VTD_IRT_ENTRIES) - 1));
	if (dvtd_command(u, VTD_GCMD_SIRTP))
		return nb_fail(diag, -EIO, "the unit does not take its interrupt remapping table");
	if (!(u->cap & VTD_CAP_ESIRTPS)) {
		dvtd_queue_begin(u);
		dvtd_queue_push(u, dvtd_desc_irte_global());
		if (dvtd_queue_end(u))
			return nb_fail(diag, -EIO, "the unit does not empty its interrupt entry cache");
	}
	if (dvtd_set_state(u, VTD_GCMD_IRE, true))
		return nb_fail(diag, -EIO, "the unit does not enable interrupt remapping");
	return 0;
}

void dvtd_irt_fini(struct vtd_unit *u)
{
	mem_page_free(u->base.cfg.pool, u->irt.entries, VTD_IRT_ORDER);
	pthread_mutex_destroy(&u->irt.lock);
}
