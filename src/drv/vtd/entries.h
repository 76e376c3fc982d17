/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VT-d entries: made whole, from zero, from named arguments; published in order.
 *
 * make_ functions cannot fail. used() gives the bits that hardware looks at in an entry of its kind;
 * make_ asserts that nothing else is set.
 */
#ifndef NB_DRV_VTD_ENTRIES_H
#define NB_DRV_VTD_ENTRIES_H

#include "base/addr.h"
#include "spec/vtd/entries.h"

struct vtd_fs_args {
	uint64_t root;	   /* FSPTPTR: HPA of our table, or the GPA that the guest gave */
	bool levels5;
	bool sre, wpe, eafe; /* nested only */
};

struct vtd_ss_args {
	hpa_t root;
	uint8_t aw;	   /* levels minus 2 */
	bool dirty;	   /* SSADE */
};

struct vtd_pasid_common {
	uint16_t did;
	bool page_walk_snoop; /* PWSNP */
	bool force_snoop;     /* PGSNP */
};

void dvtd_pasid_make_fs(struct vtd_pasid_entry *out, const struct vtd_pasid_common *c, const struct vtd_fs_args *fs,
		       uint8_t agaw);
void dvtd_pasid_make_ss(struct vtd_pasid_entry *out, const struct vtd_pasid_common *c, const struct vtd_ss_args *ss);
void dvtd_pasid_make_nested(struct vtd_pasid_entry *out, const struct vtd_pasid_common *c, const struct vtd_fs_args *fs,
			   const struct vtd_ss_args *ss);
void dvtd_pasid_make_pass_through(struct vtd_pasid_entry *out, const struct vtd_pasid_common *c, uint8_t agaw);
void dvtd_pasid_used(const struct vtd_pasid_entry *e, struct vtd_pasid_entry *used);

/* The entry must be non-present: every word but the first, then the first with P. */
void dvtd_pasid_publish(struct vtd_pasid_entry *live, const struct vtd_pasid_entry *e);
void dvtd_pasid_unpublish(struct vtd_pasid_entry *live); /* clears P; the rest stays for the walks under way */
void dvtd_pasid_zero(struct vtd_pasid_entry *live);	   /* after the invalidation */
/* Live changes that the architecture allows. */
void dvtd_pasid_set_ssade(struct vtd_pasid_entry *live, bool on);
void dvtd_pasid_set_pgsnp(struct vtd_pasid_entry *live);

/* Legacy mode. */
void dvtd_ctx_make_ss(struct vtd_ctx_entry *out, uint16_t did, const struct vtd_ss_args *ss, bool device_tlb);
void dvtd_ctx_make_pass_through(struct vtd_ctx_entry *out, uint16_t did, uint8_t agaw);
void dvtd_ctx_publish(struct vtd_ctx_entry *live, const struct vtd_ctx_entry *e);
void dvtd_ctx_unpublish(struct vtd_ctx_entry *live);
void dvtd_ctx_zero(struct vtd_ctx_entry *live);

/* Scalable mode: a context entry leads to a PASID directory. */
struct vtd_sctx_args {
	hpa_t dir;
	uint32_t dir_entries; /* a power of two, at least 128 */
	bool device_tlb, pasids;
	bool page_requests;   /* with device_tlb only */
};
void dvtd_sctx_make(struct vtd_sctx_entry *out, const struct vtd_sctx_args *a);
void dvtd_sctx_publish(struct vtd_sctx_entry *live, const struct vtd_sctx_entry *e);
void dvtd_sctx_unpublish(struct vtd_sctx_entry *live);
void dvtd_sctx_zero(struct vtd_sctx_entry *live);

#endif
