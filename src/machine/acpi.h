/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ACPI table in which a machine's firmware would describe its VT-d units: DMAR.
 *
 * One DRHD for each unit, with the functions behind it named one by one; an RMRR for each range of memory that functions have reserved; an
 * ATSR for each segment whose units all have device-TLB support; a SATC for each segment with functions that have a device-TLB. All
 * functions of a virtual host sit on root buses: there are no bridges and no ports, so a path has one hop.
 */
#ifndef NB_MACHINE_ACPI_H
#define NB_MACHINE_ACPI_H

#include <stddef.h>
#include <stdint.h>

#include "machine/desc.h"

/* The registers of unit n are at ACPI_DMAR_UNIT_BASE + n * ACPI_DMAR_UNIT_STEP, in the order of the description. */
#define ACPI_DMAR_UNIT_BASE UINT64_C(0xfed90000)
#define ACPI_DMAR_UNIT_STEP UINT64_C(0x1000)

/* Every list full, every function named in each. */
#define ACPI_DMAR_MAX                                                                                         \
	(48 + NB_DESC_MAX_IOMMUS * (16 + 8 + 8) +                                                             \
	 NB_DESC_MAX_FUNCTIONS * (8 + 8 + NB_DESC_MAX_RMRRS * (24 + 8)))

/* The table of a checked description; returns its length. */
size_t acpi_dmar(const struct nb_desc *d, uint8_t out[ACPI_DMAR_MAX]);

#endif
