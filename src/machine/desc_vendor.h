/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a description says of a unit is the vendor's affair: one row of this table for each, in a file of its own (desc_vtd.c,
 * desc_smmuv3.c). Reader, writer, checks and ACPI ask the row and name no vendor.
 *
 * A vendor's "part" is its structure in struct nb_desc_iommu.
 */
#ifndef NB_MACHINE_DESC_VENDOR_H
#define NB_MACHINE_DESC_VENDOR_H

#include <stddef.h>

#include "machine/desc.h"

enum desc_key_kind {
	DESC_KEY_NUMBER,   /* uint8_t */
	DESC_KEY_NUMBER32, /* uint32_t */
	DESC_KEY_BOOL,
	DESC_KEY_EITHER,   /* one of two numbers, kept as a bool "is the second" */
	DESC_KEY_WORD,	   /* uint8_t: index of one of the words */
};

#define DESC_KEY_WORDS 4

/* A capability, by its name in YAML. */
struct desc_key {
	const char *name;
	enum desc_key_kind kind;
	size_t offset; /* in the part */
	const char *brief;
	uint8_t either[2];
	const char *words[DESC_KEY_WORDS]; /* the first null one ends them */
};

struct desc_erratum {
	uint32_t number;
	size_t offset; /* of its bool */
};

#define DESC_MAX_KEYS 63

struct desc_vendor {
	enum nb_desc_vendor id;
	const char *name;	/* in YAML */
	const char *title;	/* in a sentence */
	size_t size;		/* of the part */
	const struct desc_key *keys;	   /* ends with a null name; at most DESC_MAX_KEYS */
	const struct desc_erratum *errata; /* ends with number 0 */
	const struct nb_desc *standard;	   /* a unit of which nothing is said is as the first one here */
	/*
	 * Values in range, nothing without what it stands on, and the model has it. Switches are 0 or 1 already. The reason names the keys
	 * that it is about as the file does: the reader finds the line by them.
	 */
	int (*check)(const void *part, struct nb_diag *diag);
	uint32_t rmrr_align; /* of reserved memory */
	unsigned int (*address_bits)(const void *part); /* width of a physical address */
	bool (*device_tlb)(const void *part);		/* functions may use ATS */
};

extern const struct desc_vendor desc_vendor_vtd, desc_vendor_smmuv3;

/* Null: there is none. */
const struct desc_vendor *desc_vendor_of(const struct nb_desc_iommu *u);
const struct desc_vendor *desc_vendor_find(const char *name);
/* "vtd, smmuv3" */
void desc_vendor_names(char *buf, size_t size);

/* Members of a union. */
static inline const void *desc_part(const struct nb_desc_iommu *u)
{
	return &u->vtd;
}
static inline void *desc_part_rw(struct nb_desc_iommu *u)
{
	return &u->vtd;
}

/* Built-in hosts that vendors name as their standard. */
extern const struct nb_desc desc_spr_fixed, desc_grace;

#endif
