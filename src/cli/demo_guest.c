/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Written from the Intel SDM, volume 3, 4.5 (4-level paging) and DDI 0487, D8.3, on purpose without the library's own page-table engine:
 * the demo's tables and the walker shall have nothing in common but the manual.
 */
#include "cli/demo_guest.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bits.h"

/* Requests without PASID are user requests to either vendor. */
const struct guest_format guest_x86_64 = {
	.present = BIT(0),		 /* P */
	.table = BIT(1) | BIT(2) | BIT(5), /* R/W, U/S, A */
	.page = BIT(2) | BIT(5) | BIT(6), /* U/S, A, D: a unit whose walks do not snoop cannot set them (VT-d, 3.10) */
	.writable = BIT(1),
	.addr = BITS(51, 12),
};
const struct guest_format guest_arm64 = {
	.present = BIT(0) | BIT(1),	 /* valid; table, or page on level 3 */
	.page = BIT(6) | BIT(10) | BIT(11) | BITS(9, 8), /* AP[1], AF, nG, SH: inner */
	.read_only = BIT(7),		 /* AP[2] */
	.addr = BITS(47, 12),
};

#define LEVELS 4

int guest_create(struct guest *g, uint64_t size, struct nb_diag *diag)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err;

	if (p == MAP_FAILED) {
		err = -errno;
		return nb_fail(diag, err, "no memory for the guest: %s", strerror(-err));
	}
	*g = (struct guest){.ram = p, .size = size, .next = GUEST_PAGE};
	err = guest_alloc(g, &g->root);
	if (err)
		guest_destroy(g);
	return err;
}

void guest_destroy(struct guest *g)
{
	if (g->ram)
		munmap(g->ram, g->size);
	g->ram = NULL;
}

int guest_alloc(struct guest *g, gpa_t *out)
{
	if (g->next + GUEST_PAGE > g->size)
		return -ENOMEM;
	*out = gpa(g->next);
	g->next += GUEST_PAGE;
	return 0;
}

void *guest_ptr(const struct guest *g, gpa_t at)
{
	return g->ram + at.v;
}

/* The leaf entry of an address, with tables made on the way when `make`. Null: no table, or no memory for one. */
static _Atomic uint64_t *leaf_of(struct guest *g, iova_t at, bool make)
{
	_Atomic uint64_t *table = guest_ptr(g, g->root);
	unsigned int level;

	for (level = LEVELS - 1; level > 0; level--) {
		_Atomic uint64_t *e = &table[at.v >> (12 + 9 * level) & 511];
		uint64_t v = atomic_load_explicit(e, memory_order_relaxed);

		if ((v & g->fmt->present) != g->fmt->present) {
			gpa_t page;

			if (!make || guest_alloc(g, &page))
				return NULL;
			v = page.v | g->fmt->present | g->fmt->table;
			atomic_store_explicit(e, v, memory_order_release);
		}
		table = guest_ptr(g, gpa(v & g->fmt->addr));
	}
	return &table[at.v >> 12 & 511];
}

int guest_map(struct guest *g, iova_t at, gpa_t page, bool writable)
{
	_Atomic uint64_t *e = leaf_of(g, at, true);

	if (!e)
		return -ENOMEM;
	atomic_store_explicit(e, page.v | g->fmt->present | g->fmt->page | (writable ? g->fmt->writable : g->fmt->read_only),
			      memory_order_release);
	return 0;
}

void guest_unmap(struct guest *g, iova_t at)
{
	_Atomic uint64_t *e = leaf_of(g, at, false);

	if (e)
		atomic_store_explicit(e, 0, memory_order_release);
}
