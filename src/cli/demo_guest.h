/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guest of `nestbox demo`: a memory and a driver in it that keeps I/O page tables of its own.
 *
 * It plays a kernel inside a virtual machine. All that it knows are guest addresses; its tables lie in its
 * memory and hold guest addresses, which is what makes a nested walk nested.
 */
#ifndef NB_CLI_DEMO_GUEST_H
#define NB_CLI_DEMO_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/diag.h"

#define GUEST_PAGE 4096u

/* Tables of 4 levels of 512 entries each, 48 bits: x86-64 and Arm agree on that, but not on the bits. */
struct guest_format {
	uint64_t present, table, page; /* of every entry; with it in one that leads to a table; in one of a page */
	uint64_t writable, read_only;  /* set in a page's accordingly */
	uint64_t addr;
};
extern const struct guest_format guest_x86_64, guest_arm64;

struct guest {
	uint8_t *ram; /* of this process; guest address 0 is its first byte */
	uint64_t size;
	uint64_t next; /* first page that was never given out */
	gpa_t root;    /* of the tables */
	const struct guest_format *fmt; /* set before the first guest_map() */
};

/* 0 or -errno with the reason. */
int guest_create(struct guest *g, uint64_t size, struct nb_diag *diag);
void guest_destroy(struct guest *g);

/* A zeroed page of guest memory. -ENOMEM. */
int guest_alloc(struct guest *g, gpa_t *out);
void *guest_ptr(const struct guest *g, gpa_t at);

/* Enter or clear one 4 KiB page in the guest's tables. Invalidating is the caller's business, as in any kernel. */
int guest_map(struct guest *g, iova_t at, gpa_t page, bool writable);
void guest_unmap(struct guest *g, iova_t at);

#endif
