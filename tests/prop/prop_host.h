/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A property test of the whole stack, for any vendor: random life of two IOASs, their domains, nested domains with guest tables,
 * attachments by function and PASID, and DMA of all sizes, against a list of pages. prop_vtd.c and prop_smmuv3.c are the vendors.
 *
 * The rule. What the host was told by an ioctl that returned holds at once: DMA must follow it exactly. What the guest
 * writes into its own tables holds, for what is present there, after the invalidation: until then DMA may see what was there
 * at any time since the last one (but never "not present", which translations are not cached of).
 *
 * Every page of memory is filled with words that name their own place, so what a read returns says where it went; a write is
 * looked for in all places where it may land, and put right again; at the end all memory must be as it was.
 *
 * A step is a number that seeds its own choices, so any subset of a failing run is a run: the failure is cut down to few steps
 * before it is printed.
 *
 * A page is 4 KiB whatever the granule of the tables; larger ones change several at once.
 */
#ifndef NB_TESTS_PROP_HOST_H
#define NB_TESTS_PROP_HOST_H

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "rig.h"
#include "uapi/iommufd.h"
#include "vendor.h"

#define PAGE	   4096u
#define NPAGES	   2048u /* of data, 8 MiB */
#define NAREAS	   256
#define NHWPTS	   10
#define NIOAS	   2
#define NSPACES	   3
#define NWINDOWS   4
#define WPAGES	   512u
#define NOLD	   4
#define PTS	   6 /* last-level tables of a window, used in turn */
#define TABLE_GPA  UINT64_C(0x100000000)
#define WINDOW_TABLE(win) (1 + (win) * (2 + PTS)) /* the first of a window: two on the way to the last level, PTS of that */
#define SPACE_TABLES (WINDOW_TABLE(NWINDOWS) + 1)  /* a root before them, and another behind */
#define MAX_SEEN   64
#define NPASIDS	   4
#define NRECENT	   12
#define MAX_OUTCOMES 24
#define MAX_STEPS  4000
#define NIOVA_WINDOWS 5u

static const uint32_t pasids[NPASIDS] = {NB_NO_PASID, 1, 5, 77};
static const uint64_t iova_window[NIOVA_WINDOWS] = {0x200000, 0x3fe00000, 0x40000000, UINT64_C(0x1000000000), UINT64_C(0x123456600000)};

struct area {
	uint64_t iova, len;
	uint32_t page; /* of data; or of the guest's tables when `tables` */
	uint8_t prot;
	bool tables, writable; /* writable: what was mapped first, and copied from then on, could be written to */
};

struct ioas {
	uint32_t id;
	struct area area[NAREAS];
	unsigned int n;
};

struct entry { /* of a guest's table */
	uint64_t gpa;
	uint8_t prot; /* 0: not present */
};

struct space { /* a guest's address space */
	struct entry now[NWINDOWS][WPAGES];
	enum { NONE, SMALL, LARGE } mode[NWINDOWS];
	unsigned int next_pt[NWINDOWS];
	uint64_t *tables; /* SPACE_TABLES tables of as many pages, at gpa */
	uint64_t gpa;
	unsigned int gran; /* pages of the smallest leaf; as large are the tables */
};

enum kind { FREE, FS_PAGING, SS_PAGING, PARENT, NESTED };

/* What a dirty bitmap must and may say, by page of the IOVA windows. A large page is dirty as a whole, so may is coarser. */
struct dirty {
	bool on;
	uint8_t must[NIOVA_WINDOWS][WPAGES], may[NIOVA_WINDOWS][WPAGES];
};

struct old {
	struct entry e[NOLD];
	uint8_t n;
};

/* A place where hardware may remember what was in a space. */
struct seen {
	unsigned int space;
	bool structure; /* entries above the last level changed since the last full invalidation */
	struct old (*old)[WPAGES]; /* per window */
};

struct hwpt {
	enum kind kind;
	uint32_t id;
	unsigned int ioas, parent, users;
	struct dirty *dirty; /* of a domain that can track; null: it cannot */
	struct seen seen;    /* of a nested one, if the vendor's caches are told by domain */
};

struct world;

/* Outcome of an access to one page: a page of data, or a fault (other numbers below 0 are the vendor's kinds of fault). */
#define FAULT (-1)

struct prop_vendor {
	const char *name, *host; /* of the program; what it runs on if not told */
	const struct vendor_conf *conf; /* hosts besides the built-in ones */
	unsigned int nconfs;
	const uint64_t *va_window; /* NWINDOWS, each in one table of the last level; aligned to themselves */
	unsigned int max_gran;
	size_t extra; /* bytes of guest memory behind its translation tables */

	bool (*host_is)(struct world *w); /* w->desc; the fields that say what it can. False: not a host of this vendor */
	bool (*begin)(struct world *w);	  /* a new host, with two empty IOASs that have the guest's tables */
	void (*end)(struct world *w);	  /* before the host goes */
	void (*step)(struct world *w);
	/* Are the counters such that the run proves something? */
	bool (*enough)(const struct world *w, uint64_t steps);

	/* A nested attachment: all that may happen (out[0]: what holds after invalidation), and the tables that it leads to (null: none) */
	unsigned int (*outcomes)(struct world *w, unsigned int dev, unsigned int p, uint64_t va, unsigned int access,
				 int out[MAX_OUTCOMES]);
	const struct seen *(*view)(struct world *w, unsigned int dev, unsigned int p);
	/* What a domain (null: an IOAS's own) lets through is not all that the area's protection says: a write implies a read. */
	bool (*read_implied)(const struct world *w, const struct hwpt *h);
	bool (*has_pasids)(const struct world *w, unsigned int dev);
	/* These may be null. Who makes the next access, mostly. */
	void (*pick)(struct world *w, unsigned int *dev, unsigned int *p);
	int (*dma)(struct world *w, unsigned int dev, unsigned int p, uint64_t va, uint64_t *buf, size_t len, bool write);
	void (*wrote)(struct world *w, unsigned int dev, unsigned int p, uint64_t va, int landed, const int *o, unsigned int n);
	/* A DMA ended at va for one of these outcomes. */
	void (*faulted)(struct world *w, unsigned int dev, unsigned int p, uint64_t va, bool write, int err, const int *o,
			unsigned int n);
	void (*destroyed)(struct world *w, struct hwpt *h); /* before it counts as free */
	/* An attachment changed, from `was` (as in world.att). */
	void (*attached)(struct world *w, unsigned int dev, unsigned int p, int was);
	/* 0, or the errno with which an attachment must be refused, or ANY_ERROR; null: none is */
	long (*attach_refused)(const struct world *w, unsigned int dev, unsigned int p, int at);

	/* Guest tables. Who may remember this space; and have one of them forget everything. */
	unsigned int (*seers)(struct world *w, unsigned int space, struct seen *out[MAX_SEEN]);
	void (*forget)(struct world *w, struct seen *s);
	/* Entries: of the table above the last level (table: which of PTS, or NO_TABLE), a leaf of 2 MiB there, one of the last level. */
	void (*put_node)(struct world *w, struct space *s, unsigned int win, unsigned int table);
	void (*put_large)(struct world *w, struct space *s, unsigned int win, uint64_t gpa, unsigned int prot);
	/* group: one of all leaves of the window, which map it as a whole (tables whose pages are larger than 4 KiB) */
	void (*put_leaf)(struct world *w, struct space *s, unsigned int table, unsigned int page, uint64_t gpa, unsigned int prot,
			 bool group);
};
#define NO_TABLE UINT_MAX
#define ANY_ERROR 1

struct world {
	uint64_t rng;
	const struct prop_vendor *vendor;
	void *own; /* the vendor's */
	const struct nb_desc *desc;
	uint64_t run; /* number of the run */
	struct rig rig;
	uint64_t *data;
	uint64_t *tables, *extra;
	size_t tables_len; /* of both, in bytes */
	struct ioas ioas[NIOAS];
	struct space space[NSPACES];
	struct hwpt hwpt[NHWPTS];
	int att[RIG_DEVS][NPASIDS]; /* hwpt, NHWPTS + ioas, or -1 */
	uint64_t mark;
	struct {
		unsigned int dev, p;
		uint64_t va;
	} recent[NRECENT]; /* places where a DMA went before: where stale entries would be */
	bool verbose;
	bool legacy;	      /* a host whose units neither nest nor know PASIDs */
	bool erratum;	      /* 772415: a nesting parent takes no read-only mapping */
	bool preset;	      /* walks do not snoop, so they set no accessed and dirty bits: the guest does */
	bool tracks;	      /* dirty pages of second stages (VT-d), of stage 1 (SMMUv3) */
	bool starts_dirty;    /* a page that is mapped for writing counts as dirty */
	char failed[400];
	uint64_t reads, writes, faults, nested, stale, bitmaps, dirty_pages;
};

static inline uint64_t rnd(struct world *w, uint64_t n)
{
	w->rng ^= w->rng >> 12;
	w->rng ^= w->rng << 25;
	w->rng ^= w->rng >> 27;
	return (w->rng * UINT64_C(0x2545f4914f6cdd1d) >> 16) % n;
}

#define FAIL(w, ...)                                                                                          \
	do {                                                                                                  \
		if (!(w)->failed[0])                                                                          \
			snprintf((w)->failed, sizeof((w)->failed), __VA_ARGS__);                              \
	} while (0)
#define SAY(w, ...)                                                                                           \
	do {                                                                                                  \
		if ((w)->verbose)                                                                             \
			printf("  " __VA_ARGS__);                                                             \
	} while (0)

static inline uint64_t stamp(uint32_t page, uint32_t word)
{
	return UINT64_C(0xa5) << 56 | (uint64_t)page << 12 | word * 8;
}

/* prop_host.c */
int prop_host_main(const struct prop_vendor *v, struct world *w, int argc, char **argv);
const struct area *area_at(const struct ioas *s, uint64_t iova);
/* Of an access to an IOVA; and, through an entry of a guest's table, to what it names. */
int through_ioas(const struct ioas *s, uint64_t iova, unsigned int access, bool read_implied);
int through_entry(const struct ioas *s, const struct entry *e, unsigned int access);
bool find_window(const struct world *w, uint64_t va, unsigned int *win, unsigned int *page);
unsigned int outcomes(struct world *w, unsigned int dev, unsigned int p, uint64_t va, unsigned int access,
		      int out[MAX_OUTCOMES]);
struct hwpt *hwpt_at(struct world *w, unsigned int dev, unsigned int p); /* null: none, or an IOAS's own */
bool is_nested(struct world *w, unsigned int dev, unsigned int p);
void do_access(struct world *w);

/* prop_host_ioctl.c */
uint64_t pick_iova(struct world *w, uint64_t *room);
void map_tables(struct world *w, unsigned int k);
/* A free place, or null; it is free until its kind is set. */
struct hwpt *free_hwpt(struct world *w, unsigned int ioas);
/* One of this kind, or null. */
struct hwpt *any_hwpt(struct world *w, enum kind kind);
bool has_read_only(const struct ioas *s);
void dirty_new(struct hwpt *h);
void do_map(struct world *w);
void do_unmap(struct world *w);
void do_destroy(struct world *w);
void destroy_hwpt(struct world *w, struct hwpt *h);
void do_copy(struct world *w);
void attach_to(struct world *w, unsigned int dev, unsigned int p, int at);
void do_attach(struct world *w);
void do_detach(struct world *w);

/* prop_host_dirty.c */
void do_dirty(struct world *w);
/* A DMA through h (or a nested domain over it) wrote to the page of this IOVA: surely, or perhaps. */
void wrote(struct hwpt *h, uint64_t iova, bool surely);
/* Whatever is mapped at this IOVA now is new: not written to yet. */
void fresh(struct world *w, unsigned int ioas, uint64_t iova, uint64_t len);

/* prop_host_guest.c: the guest's tables */
void seen_new(struct seen *s, unsigned int space);
void seen_free(struct seen *s);
void seen_clear(struct seen *s); /* everything was invalidated */
/* Hardware may remember e there; if no more fits, the vendor has it forget all. */
void seen_add(struct world *w, struct seen *s, unsigned int win, unsigned int page, const struct entry *e);
uint64_t *table_page(const struct space *s, unsigned int i);
uint64_t table_gpa(const struct space *s, unsigned int i);
void guest_store(uint64_t *slot, uint64_t v);
void do_guest(struct world *w);

#endif
