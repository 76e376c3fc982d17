/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fault records (VT-d 7.2.1, 11.4.7.6): read, report, clear.
 *
 * The interrupt may come on any thread, also on one that is inside this driver, since
 * a register write may be what makes the unit send it. So nothing here waits for a
 * lock: whoever comes while the records are being read leaves a mark and goes, and the reader looks again.
 *
 * Queue errors (IQE, ITE, ICE) raise the same interrupt; they belong to the submitter that
 * waits in queue.c and are left to it.
 */
#include "drv/vtd/vtd.h"

#define MAX_ROUNDS 256

static void read_record(struct vtd_unit *u, uint64_t off)
{
	uint64_t lo = dvtd_read64(u, off), hi = dvtd_read64(u, off + 8);
	uint32_t pasid = hi & VTD_FRCD_1_PP ? (uint32_t)FIELD_GET(VTD_FRCD_1_PV, hi) : NB_NO_PASID;

	if (!(hi & VTD_FRCD_1_F))
		return;
	NB_TRACE(u->base.cfg.tr, drv_fault, FIELD_GET(VTD_FRCD_1_SID, hi), pasid, lo & VTD_FRCD_0_FI,
		 FIELD_GET(VTD_FRCD_1_FR, hi));
	dvtd_write32(u, off + 12, (uint32_t)(VTD_FRCD_1_F >> 32)); /* the record is free again */
}

/*
 * Until no record is left: while one is, the unit sends no further interrupt, and a fault may be
 * logged behind the place where we read. A device that faults without end must not keep this thread
 * for ever, so each round is taken from *rounds; what is left behind when there are no more is read
 * at the next interrupt or submission. Fault lock.
 */
static void read_records(struct vtd_unit *u, uint32_t *rounds)
{
	uint64_t base = 16 * FIELD_GET(VTD_CAP_FRO, u->cap);
	uint32_t n = (uint32_t)FIELD_GET(VTD_CAP_NFR, u->cap) + 1, fsts, i;

	for (; *rounds; --*rounds) {
		uint32_t first;

		fsts = dvtd_read32(u, VTD_REG_FSTS);
		first = (uint32_t)FIELD_GET(VTD_FSTS_FRI, fsts);
		if (fsts & VTD_FSTS_PPF)
			for (i = 0; i < n; i++) /* in the order in which they were logged */
				read_record(u, base + (uint64_t)((first + i) % n) * VTD_FRCD_SIZE);
		if (fsts & VTD_FSTS_PFO)
			dvtd_write32(u, VTD_REG_FSTS, VTD_FSTS_PFO);
		if (!(fsts & (VTD_FSTS_PPF | VTD_FSTS_PFO)))
			return;
	}
	atomic_store(&u->faults_left, true);
}

void dvtd_read_leftover_faults(struct vtd_unit *u)
{
	if (atomic_exchange(&u->faults_left, false))
		dvtd_irq(&u->base, u->base.cfg.msi_data);
}

void dvtd_irq(struct drv_iommu *iommu, uint32_t data)
{
	struct vtd_unit *u = dvtd_unit(iommu);
	uint32_t rounds = MAX_ROUNDS;

	if (data == iommu->cfg.msi_data + DRV_MSI_PAGE_REQUEST)
		dvtd_prq_irq(u);
	if (data != iommu->cfg.msi_data)
		return;
	atomic_store(&u->fault_pending, true);
	/* Whoever holds the lock sees the mark after it has dropped it; then there is nothing left for us. */
	while (rounds && atomic_load(&u->fault_pending) && pthread_mutex_trylock(&u->fault_lock) == 0) {
		atomic_store(&u->fault_pending, false);
		read_records(u, &rounds);
		pthread_mutex_unlock(&u->fault_lock);
	}
}
