/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Page tables as software builds them: one engine, a format per table layout.
 *
 * Inside a table, input and output are plain `ia` and `oa`; whoever owns the
 * table gives them meaning. Levels count from the leaf: level 0 maps the smallest page.
 *
 * Hardware walks these tables while we change them: an entry appears with one
 * 64-bit release store, after the table it points to is complete; a table that
 * is no longer reachable is handed to the gather and freed only by
 * pt_gather_free(), which the owner calls after its invalidation has completed.
 *
 * Locking: the caller serialises map, unmap and dirty reads of one table, except that calls on
 * disjoint, table-aligned ranges are not assumed safe either. pt_lookup() may run beside them in an
 * RCU section.
 */
#ifndef NB_PT_PT_H
#define NB_PT_PT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mem/mem.h"

enum {
	PT_READ = 1,
	PT_WRITE = 2,
	PT_EXEC = 4,
	PT_SNOOP = 8, /* force snoop, where the format has it */
	PT_DEVICE = 16, /* device memory, where the format has memory types */
	PT_TRACK = 32, /* writes make the leaf dirty, where the format can leave that out; it starts dirty if writable */
};

struct pt_fmt; /* pt/fmt.h: entry encode and decode, sizes, canonical rules */
extern const struct pt_fmt pt_fmt_vtdss;  /* VT-d second-stage, 3 to 5 levels */
extern const struct pt_fmt pt_fmt_x86_64; /* x86-64, as VT-d first-stage and AMD v2: 4 or 5 levels */
/* VMSAv8-64 stage 1 (lower range) and stage 2, by granule: 2 to 4 levels, stage 2 with up to 16 start tables. */
extern const struct pt_fmt pt_fmt_arm64_s1_4k, pt_fmt_arm64_s1_16k, pt_fmt_arm64_s1_64k;
extern const struct pt_fmt pt_fmt_arm64_s2_4k, pt_fmt_arm64_s2_16k, pt_fmt_arm64_s2_64k;

struct pt {
	const struct pt_fmt *fmt;
	struct mem_pool *pool;
	/* Makes entries visible to a hardware walker that does not snoop: null when it does. */
	void (*flush)(void *opaque, const void *ptr, size_t len);
	void *flush_opaque;
	uint64_t pgsizes;    /* bitmap of leaf sizes, subset of the format's */
	uint8_t levels;
	uint8_t concat_lg2;  /* log2 of the root tables side by side, where the format has that; else 0 */
	uint8_t ia_lg2;	     /* width of input addresses; 0: all that the levels give. pt_init() sets it */
	uint8_t oa_lg2;	     /* width of output addresses; 0: the format's. pt_init() sets it */
	void *root;
	uint64_t npages;     /* table pages in use, root included */
};

/* Table pages waiting for an invalidation, linked through themselves: gathering needs no memory. */
struct pt_gather {
	void *pages;
	uint64_t npages;
};

/* 0, -EINVAL (levels, widths or sizes the format has not), -ENOMEM. Set what is above the root before, the rest to 0. */
int pt_init(struct pt *pt, const struct pt_fmt *fmt);
void pt_fini(struct pt *pt); /* no hardware may walk it any more */
hpa_t pt_root(const struct pt *pt);
/* Largest input address plus one is 2^n, sign extension aside. */
unsigned int pt_ia_lg2(const struct pt *pt);

/*
 * Map [ia, ia + len) to [oa, oa + len), with the largest leaves that alignment and pgsizes allow. ia,
 * oa, len are multiples of the smallest page. Nothing may be mapped there. An empty table found where
 * a large leaf fits goes to the gather. Errors leave nothing mapped: -EINVAL alignment, -ERANGE
 * outside the table or oa too wide, -EADDRINUSE, -ENOMEM.
 */
int pt_map(struct pt *pt, uint64_t ia, uint64_t oa, uint64_t len, unsigned int prot, struct pt_gather *g);

/*
 * Unmap what lies wholly in [ia, ia + len); holes are skipped; whole tables that become empty go to
 * the gather. A leaf that is cut by the range's end is split (new tables; on -ENOMEM nothing was
 * changed from there on). *unmapped (may be null) gets the number of bytes that were mapped. 0,
 * -EINVAL, -ENOMEM.
 */
int pt_unmap(struct pt *pt, uint64_t ia, uint64_t len, uint64_t *unmapped, struct pt_gather *g);

void pt_gather_free(struct pt *pt, struct pt_gather *g);

struct pt_leaf {
	uint64_t oa;	 /* of the requested ia */
	uint8_t lg2;	 /* leaf size */
	unsigned int prot;
	bool dirty;
};
/* 0 or -ENOENT. */
int pt_lookup(const struct pt *pt, uint64_t ia, struct pt_leaf *leaf);

/*
 * For each dirty leaf in [ia, ia + len): report its range (clipped), and clear the bit when `clear`.
 * Returns the number of dirty leaves. Formats without a dirty bit: -EOPNOTSUPP.
 */
typedef void pt_dirty_fn(void *opaque, uint64_t ia, uint64_t len);
int64_t pt_read_dirty(struct pt *pt, uint64_t ia, uint64_t len, bool clear, pt_dirty_fn *fn, void *opaque);

#endif
