/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a table format gives to the engine, and what the engine gives to pt.c.
 *
 * A format is one source file: it defines the constants and small inline
 * functions listed in pt/engine.h and includes that header, which turns them
 * into the operations below, specialised for the format. So the inner loop over
 * the entries of a table contains no call.
 *
 * What every format must guarantee: a word whose low 12 bits are 0 is a
 * non-present entry. pt.c links table pages that wait for an invalidation
 * through their first word, while hardware may still read them.
 */
#ifndef NB_PT_FMT_H
#define NB_PT_FMT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bits.h"
#include "pt/pt.h"

/* One call of the engine: what stays the same from table to table. */
struct pt_op {
	struct pt *pt;
	struct pt_gather *g;
	uint64_t delta;	 /* map: output minus input address, modulo 2^64 */
	uint64_t attr;	 /* map: the format's bits for `prot` */
	uint64_t stop;	 /* map: first input address that was not mapped, when it failed */
	uint64_t count;	 /* unmap: bytes that were mapped; dirty: leaves */
	bool counting;	 /* unmap: the caller wants `count`, so leaf tables are scanned */
	bool clear;	 /* dirty */
	pt_dirty_fn *fn; /* dirty */
	void *fn_opaque;
};

struct pt_fmt {
	const char *name;
	uint8_t min_levels, max_levels;
	uint8_t page_lg2;   /* size of the smallest leaf and of a table */
	uint8_t index_lg2;  /* log2 of the entries in a table */
	uint8_t max_concat_lg2; /* root tables side by side, at most */
	uint8_t oa_lg2;	    /* width of output addresses */
	bool sign_extended; /* input addresses repeat their top bit */
	bool has_dirty;
	uint64_t pgsizes;

	/* False: the format cannot express this access (a leaf would not be present). */
	bool (*prot_ok)(unsigned int prot);
	uint64_t (*attr)(unsigned int prot);
	/* Arguments are checked by pt.c; first and last are inclusive. */
	int (*map)(struct pt_op *op, uint64_t first, uint64_t last);
	int (*unmap)(struct pt_op *op, uint64_t first, uint64_t last);
	void (*dirty)(struct pt_op *op, uint64_t first, uint64_t last);
	int (*lookup)(const struct pt *pt, uint64_t ia, struct pt_leaf *leaf);
	/* Give back what hangs below a table, at once: no hardware knows it. */
	void (*free_below)(struct pt *pt, uint64_t *table, unsigned int level);
};

/* Entries are little-endian words that hardware reads and, for A and D, writes at any time. */
static inline uint64_t pt_load(const uint64_t *slot)
{
	return NB_SWAP64(__atomic_load_n(slot, __ATOMIC_RELAXED));
}

/* Pairs with the release in pt_publish(): the table behind the entry is complete. */
static inline uint64_t pt_load_acquire(const uint64_t *slot)
{
	return NB_SWAP64(__atomic_load_n(slot, __ATOMIC_ACQUIRE));
}

static inline void pt_store(uint64_t *slot, uint64_t e)
{
	__atomic_store_n(slot, NB_SWAP64(e), __ATOMIC_RELAXED);
}

static inline void pt_publish(uint64_t *slot, uint64_t e)
{
	__atomic_store_n(slot, NB_SWAP64(e), __ATOMIC_RELEASE);
}

/* *expected gets what was there on failure. */
static inline bool pt_cas(uint64_t *slot, uint64_t *expected, uint64_t desired)
{
	uint64_t was = NB_SWAP64(*expected);
	bool done = __atomic_compare_exchange_n(slot, &was, NB_SWAP64(desired), false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE);

	*expected = NB_SWAP64(was);
	return done;
}

static inline void pt_flush(const struct pt *pt, const void *p, size_t len)
{
	if (pt->flush)
		pt->flush(pt->flush_opaque, p, len);
}

/* Table pages: counted in pt->npages from here until they are freed or gathered. */
uint64_t *pt_table_new(struct pt *pt, hpa_t *pa);
uint64_t *pt_table_new_raw(struct pt *pt, hpa_t *pa); /* contents undefined: every entry will be written */
void pt_table_free(struct pt *pt, uint64_t *table);
void pt_table_gather(struct pt *pt, uint64_t *table, struct pt_gather *g);

#endif
