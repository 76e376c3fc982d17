/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * STEs and CDs (IHI 0070 G.b, 5.2 and 5.4): made whole, from zero, from named arguments; written by one writer.
 *
 * make_ functions cannot fail. used() gives the bits that hardware looks at in an entry as it is configured; make_ asserts
 * that nothing else is set. Entries are words of the CPU here; only the writer knows that memory is little-endian.
 */
#ifndef NB_DRV_SMMUV3_ENTRIES_H
#define NB_DRV_SMMUV3_ENTRIES_H

#include "base/addr.h"
#include "spec/smmuv3/cd.h"
#include "spec/smmuv3/ste.h"

#define DSMMU_ENTRY_WORDS 8

struct dsmmu_entry {
	uint64_t q[DSMMU_ENTRY_WORDS];
};

/* Stage 1 of a stream: where its CDs are. */
struct dsmmu_s1_args {
	hpa_t cdtab;
	uint8_t fmt;	/* SMMU_S1FMT_* */
	uint8_t cdmax;	/* log2 of the CDs */
	uint8_t dss;	/* SMMU_S1DSS_* */
	bool el2;	/* E2H: the host's own stage 1 belongs to EL2 */
	bool no_stall;	/* the stream must not stall */
};

/* A table that the STE (stage 2) or the CD (stage 1) leads to. */
struct dsmmu_table_args {
	hpa_t root;
	uint8_t ia_bits;
	uint8_t tg;	/* SMMU_TG_* */
	uint8_t ps;	/* SMMU_OAS_* */
	bool coherent;	/* walks snoop */
};

struct dsmmu_s2_args {
	struct dsmmu_table_args t;
	uint8_t sl0;
	uint16_t vmid;
	bool fwb;
	bool stall;
};

/* What all kinds of STE share. */
struct dsmmu_ste_common {
	bool ats;
	bool shcfg;	/* IDR1.ATTR_TYPES_OVR: say that attributes are those of the request */
};

void dsmmu_ste_make_abort(struct dsmmu_entry *out);
void dsmmu_ste_make_bypass(struct dsmmu_entry *out, const struct dsmmu_ste_common *c);
void dsmmu_ste_make_s1(struct dsmmu_entry *out, const struct dsmmu_ste_common *c, const struct dsmmu_s1_args *s1);
void dsmmu_ste_make_s2(struct dsmmu_entry *out, const struct dsmmu_ste_common *c, const struct dsmmu_s2_args *s2);
/* vste: words 0 and 1 of the guest's, checked; its V, Config and EATS are not looked at. S1ContextPtr is an IPA. */
void dsmmu_ste_make_nested(struct dsmmu_entry *out, const struct dsmmu_ste_common *c, const struct dsmmu_s2_args *s2,
			   const uint64_t vste[2]);
void dsmmu_ste_used(const struct dsmmu_entry *e, struct dsmmu_entry *used);

struct dsmmu_cd_args {
	struct dsmmu_table_args t;
	uint16_t asid;
	bool dirty;	/* HA and HD */
	bool stall;
};
void dsmmu_cd_make_s1(struct dsmmu_entry *out, const struct dsmmu_cd_args *a);
void dsmmu_cd_used(const struct dsmmu_entry *e, struct dsmmu_entry *used);

/* ---- the writer ---- */

struct dsmmu_writer {
	void (*used)(const struct dsmmu_entry *e, struct dsmmu_entry *used);
	/* Bits that hardware may see change at any time, given both ends. Null: none. */
	void (*safe)(const struct dsmmu_entry *from, const struct dsmmu_entry *to, struct dsmmu_entry *safe);
	/* Make hardware look at the live entry again; returns when it has. */
	void (*sync)(void *opaque);
	void *opaque;
};
/*
 * Bring the live entry to what `to` says (5.2 "updates", 3.21.3). Between two calls of sync() only bits are changed that hardware does
 * not look at, before or after, or all that it looks at lies in one word; where that is not possible the entry is made
 * invalid first. When it returns hardware uses `to` and nothing else. True: it was never invalid in between.
 */
bool dsmmu_entry_write(le64_t live[DSMMU_ENTRY_WORDS], const struct dsmmu_entry *to, const struct dsmmu_writer *w);
void dsmmu_ste_safe(const struct dsmmu_entry *from, const struct dsmmu_entry *to, struct dsmmu_entry *safe);

#endif
