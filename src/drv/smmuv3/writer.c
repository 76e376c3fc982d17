/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One writer for STEs and CDs (IHI 0070 3.21.3).
 *
 * Hardware reads an entry word by word, whenever it likes, and keeps what it read until it is told to forget. So at any time it may
 * use any word as it was at the last sync, or as it is now. A change is safe when only bits move that it does not look at, or when all
 * that it looks at and that moves lies in one word, which is stored at once. What is neither goes through an invalid entry.
 */
#include "drv/smmuv3/entries.h"

/* Stores what differs in the words of `mask`; true if anything did. */
static bool store_words(le64_t live[DSMMU_ENTRY_WORDS], const struct dsmmu_entry *e, unsigned int mask)
{
	bool changed = false;
	unsigned int i;

	for (i = 0; i < DSMMU_ENTRY_WORDS; i++) {
		le64_t v = le64(e->q[i]);

		if (!(mask & 1u << i) || __atomic_load_n(&live[i].le, __ATOMIC_RELAXED) == v.le)
			continue;
		__atomic_store_n(&live[i].le, v.le, __ATOMIC_RELEASE);
		changed = true;
	}
	return changed;
}

static void phase(le64_t live[DSMMU_ENTRY_WORDS], const struct dsmmu_entry *e, unsigned int mask, const struct dsmmu_writer *w)
{
	if (store_words(live, e, mask))
		w->sync(w->opaque);
}

/*
 * The entry with everything changed that hardware does not look at now, and the safe bits that both ends look at; returns the words
 * in which something that `to` looks at is still to change.
 */
static unsigned int first_step(const struct dsmmu_entry *from, const struct dsmmu_entry *to, const struct dsmmu_writer *w,
			       struct dsmmu_entry *step)
{
	struct dsmmu_entry used_from, used_to, safe = { { 0 } };
	unsigned int critical = 0, i;

	w->used(from, &used_from);
	w->used(to, &used_to);
	if (w->safe)
		w->safe(from, to, &safe);
	for (i = 0; i < DSMMU_ENTRY_WORDS; i++) {
		uint64_t keep = used_from.q[i] & ~(safe.q[i] & used_to.q[i]);

		assert((to->q[i] & ~used_to.q[i]) == 0);
		step->q[i] = (from->q[i] & keep) | (to->q[i] & ~keep);
		if ((step->q[i] & used_to.q[i]) != to->q[i])
			critical |= 1u << i;
	}
	return critical;
}

bool dsmmu_entry_write(le64_t live[DSMMU_ENTRY_WORDS], const struct dsmmu_entry *to, const struct dsmmu_writer *w)
{
	const unsigned int all = (1u << DSMMU_ENTRY_WORDS) - 1;
	struct dsmmu_entry from, step, none = { { 0 } };
	unsigned int critical, i;

	for (i = 0; i < DSMMU_ENTRY_WORDS; i++)
		from.q[i] = cpu64((le64_t){ __atomic_load_n(&live[i].le, __ATOMIC_RELAXED) });
	critical = first_step(&from, to, w, &step);
	if (critical == 0) {
		phase(live, to, all, w);
		return true;
	}
	if ((critical & (critical - 1)) == 0) {
		phase(live, &step, all & ~critical, w);
		phase(live, to, critical, w);
		phase(live, to, all & ~critical, w);
		return true;
	}
	_Static_assert(SMMU_STE_0_V == BIT(0) && SMMU_CD_0_V == BIT(31), "V is in word 0 of both");
	phase(live, &none, 1, w);
	phase(live, to, all & ~1u, w);
	phase(live, to, 1, w);
	return false;
}

/* MEV at any time; EATS between abort and full ATS, unless split-stage ATS or a stage 2 that stalls makes the other value illegal. */
void dsmmu_ste_safe(const struct dsmmu_entry *from, const struct dsmmu_entry *to, struct dsmmu_entry *safe)
{
	const uint64_t split = FIELD_C(SMMU_STE_1_EATS, SMMU_EATS_SPLIT), full = FIELD_C(SMMU_STE_1_EATS, SMMU_EATS_FULL);

	*safe = (struct dsmmu_entry){ { 0 } };
	safe->q[1] = SMMU_STE_1_MEV;
	if (!((from->q[1] | to->q[1]) & split) && !((from->q[2] | to->q[2]) & SMMU_STE_2_S2S))
		safe->q[1] |= full;
}
