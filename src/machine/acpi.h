/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ACPI table in which a machine's firmware would describe its IOMMUs: DMAR for VT-d units, IORT for SMMUs.
 */
#ifndef NB_MACHINE_ACPI_H
#define NB_MACHINE_ACPI_H

#include <stddef.h>
#include <stdint.h>

#include "machine/desc.h"

/* The registers of unit n are at ..._UNIT_BASE + n * ..._UNIT_STEP, in the order of the description. */
#define ACPI_DMAR_UNIT_BASE UINT64_C(0xfed90000)
#define ACPI_DMAR_UNIT_STEP UINT64_C(0x1000)
#define ACPI_IORT_UNIT_BASE UINT64_C(0x11000000)
#define ACPI_IORT_UNIT_STEP UINT64_C(0x1000000)

#define ACPI_MAX 32768

/* The table of a checked description; returns its length. */
size_t acpi_table(const struct nb_desc *d, uint8_t out[ACPI_MAX]);

#endif
