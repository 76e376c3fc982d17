/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An I/O address space: areas of IOVA that map pages, and the domains that must all show the same.
 *
 * A domain is in the list from the creation of its HWPT to its destruction, so a mapping made once is in all of
 * them. Linux calls this an io_pagetable.
 *
 * Locking: `mutex` keeps the list of HWPTs still while an automatic one is chosen or made; `lock` protects all else and
 * serialises map, unmap and dirty reads of every domain in the list. The list itself changes only with both held.
 */
#ifndef NB_HOST_IOAS_H
#define NB_HOST_IOAS_H

#include <pthread.h>

#include "base/bits.h"
#include "base/list.h"
#include "drv/drv.h"
#include "host/area_tree.h"
#include "host/iova_space.h"
#include "host/object.h"
#include "host/pages.h"
#include "host/va_index.h"

struct hwpt;

struct ioas {
	struct object obj;
	pthread_mutex_t mutex;
	pthread_mutex_t lock;
	struct area_tree areas;
	struct va_index va;
	struct iova_space space;
	struct nb_list hwpts;	 /* struct hwpt.ioas_link: its domain shows our areas */
	uint64_t alignment;	 /* of IOVAs, lengths and sub-page offsets; power of two */
	uint64_t nareas;
	bool huge_pages;	 /* IOMMU_OPTION_HUGE_PAGES */
	unsigned int naccesses;	 /* access.c's; they want areas of whole pages */
	unsigned int nshown;	 /* pages of ioas_show_page() in some domain, maybe between areas */
	struct nb_list host_link; /* host->ioas_list, under host->revoke_lock */
};

/*
 * One mapping. Areas that are no copies carry their pages in the same allocation (struct area_home).
 */
struct area {
	struct area_node n;
	struct va_link va;	/* in ioas->va when indexed */
	struct pages *pages;
	uint64_t off;		/* in pages, of the first byte */
	/* Offsets in the area whose memory was revoked; first > last: none. Later domains do not get them. */
	uint64_t dead_first, dead_last;
	uint8_t prot;		/* PT_READ, PT_WRITE */
	bool indexed;		/* its process address is known and it is in ioas->va */
	uint32_t locks;		/* accesses that cover it: it cannot be unmapped */
};

struct area_home {
	struct area area;
	struct pages pages;
};

static inline struct ioas *ioas_of(struct object *obj)
{
	return container_of(obj, struct ioas, obj);
}
static inline struct area *area_of(struct area_node *n)
{
	return container_of(n, struct area, n);
}
static inline uint64_t area_len(const struct area *a)
{
	return a->n.last - a->n.first + 1;
}

/* A new space with a reserved id, empty; on failure nothing. */
int ioas_alloc(struct ictx *c, struct ioas **out);
void ioas_free(struct ioas *s); /* no HWPT refers to it */
static inline struct ioas *ioas_get(struct ictx *c, uint32_t id)
{
	struct object *obj = object_get(c, id, OBJ_IOAS);

	return obj ? ioas_of(obj) : NULL;
}

/* What a map call asks for, whatever the pages are. */
struct ioas_map_args {
	bool fixed, read, write;
	uint64_t iova; /* in if fixed; out */
	uint64_t length;
};
int ioas_map_user(struct ioas *s, struct ioas_map_args *m, uint64_t user_va, struct nb_diag *diag);
int ioas_map_file(struct ioas *s, struct ioas_map_args *m, int fd, uint64_t start, struct nb_diag *diag);
int ioas_copy(struct ioas *dst, struct ioas_map_args *m, struct ioas *src, uint64_t src_iova, struct nb_diag *diag);
/* -ENOENT: an area is cut, -EBUSY: it is locked; what lies before it is gone. *unmapped counts bytes of areas. */
int ioas_unmap(struct ioas *s, uint64_t first, uint64_t last, uint64_t *unmapped, struct nb_diag *diag);

/*
 * The steps of a mapping, for copies; all but the first and the last with s->lock held. place: choose or check m->iova for a
 * source at address addr. install: into the tree and every domain; on failure the space is as before. unlink: out of the tree
 * only. zap: [first, last] out of every domain up to, not including, stop (null: all), and nobody can reach it any more.
 */
void ioas_area_init(struct area *a, struct pages *p, uint64_t off, const struct ioas_map_args *m);
int ioas_place_locked(struct ioas *s, struct ioas_map_args *m, uint64_t addr, struct nb_diag *diag);
int ioas_area_install_locked(struct ioas *s, struct area *a, uint64_t first, uint64_t len, struct nb_diag *diag);
void ioas_area_unlink_locked(struct ioas *s, struct area *a);
void ioas_zap_locked(struct ioas *s, uint64_t first, uint64_t last, const struct hwpt *stop);
void ioas_area_free(struct area *a);

/* HWPTs of this space: with s->mutex held. Adding fills the domain with all areas. */
int ioas_add_hwpt(struct ioas *s, struct hwpt *h, struct nb_diag *diag);
void ioas_remove_hwpt(struct ioas *s, struct hwpt *h);

/* Reserve the regions of a device that is about to be attached. -EADDRINUSE, -EINVAL, -ENOMEM. */
int ioas_reserve_device(struct ioas *s, struct drv_dev *dev, const void *owner, struct nb_diag *diag);
void ioas_unreserve(struct ioas *s, const void *owner);
/*
 * A page that is no area's in one domain of the space, over a range that is reserved. Not null: owner reserves it first, and unreserves it
 * on failure and at the end. Errors as above, and the driver's.
 */
int ioas_show_page(struct ioas *s, struct hwpt *h, uint64_t iova, hpa_t pa, uint64_t len, unsigned int prot, const void *owner,
		   struct nb_diag *diag);
void ioas_hide_page(struct ioas *s, struct hwpt *h, uint64_t iova, uint64_t len, const void *owner);

/* One more access, one less. -EADDRINUSE: an area is not made of whole pages. */
int ioas_add_access_locked(struct ioas *s, struct nb_diag *diag);
void ioas_remove_access_locked(struct ioas *s);

/* IOMMU_OPTION_HUGE_PAGES. */
int ioas_set_huge_pages(struct ioas *s, bool on, struct nb_diag *diag);

/* Memory [va_first, va_last] of the process goes: stop translating it. Returns the number of areas hit. */
unsigned int ioas_revoke(struct ioas *s, uint64_t va_first, uint64_t va_last);

#endif
