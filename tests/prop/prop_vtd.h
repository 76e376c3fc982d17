/* SPDX-License-Identifier: BSD-3-Clause */
/* What prop_vtd's parts share: the world as the test believes it to be. */
#ifndef NB_TESTS_PROP_VTD_H
#define NB_TESTS_PROP_VTD_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "rig.h"
#include "uapi/iommufd.h"

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
#define SPACE_PAGES (1 + NWINDOWS * (2 + PTS))
#define NPASIDS	   4
#define NRECENT	   12
#define MAX_STEPS  4000
#define NIOVA_WINDOWS 5u

static const uint32_t pasids[NPASIDS] = {NB_NO_PASID, 1, 5, 77};
static const uint64_t iova_window[NIOVA_WINDOWS] = {0x200000, 0x3fe00000, 0x40000000, UINT64_C(0x1000000000), UINT64_C(0x123456600000)};
static const uint64_t va_window[NWINDOWS] = {0x200000, UINT64_C(0x7fffffe00000), UINT64_C(0xffff800000000000),
					     UINT64_C(0x123440000000)};

struct area {
	uint64_t iova, len;
	uint32_t page; /* of data; or of the guest's tables when `tables` */
	uint8_t prot;
	bool tables;
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
	uint64_t *tables; /* SPACE_PAGES pages, at gpa */
	uint64_t gpa;
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

struct hwpt {
	enum kind kind;
	uint32_t id;
	unsigned int ioas, space, parent, users;
	bool structure; /* entries above the last level changed since the last full invalidation */
	struct old (*old)[WPAGES]; /* nested: per window */
	struct dirty *dirty;	   /* of a domain that can track; null: it cannot */
};

struct world {
	uint64_t rng;
	struct rig rig;
	uint64_t *data;
	uint64_t *tables;
	struct ioas ioas[NIOAS];
	struct space space[NSPACES];
	struct hwpt hwpt[NHWPTS];
	int att[RIG_DEVS][NPASIDS]; /* hwpt, NHWPTS + ioas, or -1 */
	uint64_t mark;
	struct {
		unsigned int dev, p;
		uint64_t va;
	} recent[NRECENT]; /* places where a DMA went before: where stale entries would be */
	bool verbose, legacy; /* legacy: a host whose units neither nest nor know PASIDs */
	bool erratum;	      /* 772415: a nesting parent takes no read-only mapping */
	bool preset;	      /* walks do not snoop, so they set no accessed and dirty bits: the guest does */
	bool tracks;	      /* dirty pages of second stages */
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

/* Outcome of an access to one page: a page of data, or a fault. */
#define FAULT (-1)

/* prop_vtd.c */
const struct area *area_at(const struct ioas *s, uint64_t iova);
unsigned int outcomes(struct world *w, unsigned int dev, unsigned int p, uint64_t va, unsigned int access,
		      int out[NOLD + 1]);
void do_access(struct world *w);

/* prop_vtd_host.c: ioctls */
uint64_t pick_iova(struct world *w, uint64_t *room);
void map_tables(struct world *w, unsigned int k);
void alloc_hwpt(struct world *w, enum kind kind, unsigned int ioas);
void free_old(struct hwpt *h);
bool has_pasids(const struct world *w, unsigned int dev);
void do_map(struct world *w);
void do_unmap(struct world *w);
void do_alloc(struct world *w);
void do_destroy(struct world *w);
void do_attach(struct world *w);
void do_detach(struct world *w);

/* prop_vtd_dirty.c */
void do_dirty(struct world *w);
/* A DMA through h (or a nested domain over it) wrote to the page of this IOVA: surely, or perhaps. */
void wrote(struct hwpt *h, uint64_t iova, bool surely);
/* Whatever is mapped at this IOVA now is new: not dirty. */
void fresh(struct world *w, unsigned int ioas, uint64_t iova, uint64_t len);

/* prop_vtd_guest.c: the guest's tables and its invalidations */
uint64_t *table_page(const struct space *s, unsigned int i);
uint64_t table_gpa(const struct space *s, unsigned int i);
void do_invalidate(struct world *w);
void do_guest(struct world *w);

#endif
