/* SPDX-License-Identifier: BSD-3-Clause */
/* Writing ACPI tables byte by byte: what acpi_dmar.c and acpi_iort.c share. */
#ifndef NB_MACHINE_ACPI_PUT_H
#define NB_MACHINE_ACPI_PUT_H

#include "machine/acpi.h"

struct table {
	uint8_t *buf; /* ACPI_MAX */
	size_t len;
	size_t open; /* the structure that is being written */
};

/* The lowest n bytes of v, at the end; or at an offset that was written already. */
void acpi_put(struct table *t, uint64_t v, unsigned int n);
void acpi_put_at(struct table *t, size_t at, uint64_t v, unsigned int n);
/* ACPI 5.2.6, and zeros up to `size`; length and checksum come with acpi_finish(). */
void acpi_header(struct table *t, const char *signature, unsigned int revision, const char *host, size_t size);
size_t acpi_finish(struct table *t);

/* The first unit of its segment? */
bool acpi_leads(const struct nb_desc *d, uint32_t unit);
/* Do units (of a segment) and functions have ATS? */
bool acpi_unit_ats(const struct nb_desc *d, uint32_t unit);
bool acpi_function_ats(const struct nb_desc *d, const struct nb_desc_function *f);
/* One structure for a range, with all functions of its segment that have it: is this function the first of them? */
bool acpi_first_with(const struct nb_desc *d, uint32_t function, const struct nb_desc_rmrr *r);
bool acpi_has_range(const struct nb_desc_function *f, uint16_t segment, const struct nb_desc_rmrr *r);

/* By vendor. */
size_t acpi_dmar(const struct nb_desc *d, uint8_t out[ACPI_MAX]);
size_t acpi_iort(const struct nb_desc *d, uint8_t out[ACPI_MAX]);

#endif
