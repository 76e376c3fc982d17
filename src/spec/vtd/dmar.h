/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The DMA Remapping Reporting table (DMAR), by which firmware tells which units there are and what is behind each.
 *
 * Intel Virtualization Technology for Directed I/O, Architecture Specification, revision 5.10 (D51397-018),
 * chapter 8. Numbers are little-endian and nothing is aligned, so what is here are offsets and lengths. Structures follow each other in the order of
 * their types; each begins with type and length.
 */
#ifndef NB_SPEC_VTD_DMAR_H
#define NB_SPEC_VTD_DMAR_H

#include "base/bits.h"

/* The header that all ACPI tables share (ACPI 5.2.6), then 8.1 */
enum {
	VTD_DMAR_SIGNATURE = 0,	     /* "DMAR" */
	VTD_DMAR_LENGTH = 4,	     /* 32 bits: of the whole table */
	VTD_DMAR_REVISION = 8,	     /* 1 */
	VTD_DMAR_CHECKSUM = 9,	     /* all bytes of the table add up to 0 */
	VTD_DMAR_OEMID = 10,	     /* 6 characters */
	VTD_DMAR_OEM_TABLE_ID = 16,  /* 8 characters */
	VTD_DMAR_OEM_REVISION = 24,  /* 32 bits */
	VTD_DMAR_CREATOR_ID = 28,    /* 4 characters */
	VTD_DMAR_CREATOR_REVISION = 32, /* 32 bits */
	VTD_DMAR_HAW = 36,	     /* host address width minus one */
	VTD_DMAR_FLAGS = 37,
	VTD_DMAR_SIZE = 48,	     /* 38..47 are reserved */
};
#define VTD_DMAR_INTR_REMAP	BIT(0)
#define VTD_DMAR_X2APIC_OPT_OUT BIT(1)
#define VTD_DMAR_OPT_IN		BIT(2) /* DMA_CTRL_PLATFORM_OPT_IN_FLAG: the platform wants DMA blocked from the start */

/* 8.2 Types of remapping structures; 16 bits, and the length in 16 bits behind it */
enum {
	VTD_DMAR_DRHD = 0,
	VTD_DMAR_RMRR = 1,
	VTD_DMAR_ATSR = 2,
	VTD_DMAR_RHSA = 3,
	VTD_DMAR_ANDD = 4,
	VTD_DMAR_SATC = 5,
};

/* 8.3 Hardware unit: flags, size, segment (16), register base (64) */
#define VTD_DRHD_INCLUDE_PCI_ALL BIT(0)
/* 8.4 Reserved memory: reserved (16), segment (16), base (64), last byte (64) */
/* 8.5 Root ports with ATS: flags, reserved, segment (16) */
#define VTD_ATSR_ALL_PORTS	 BIT(0)
/* 8.8 Integrated functions with a device-TLB: flags, reserved, segment (16) */
#define VTD_SATC_ATC_REQUIRED	 BIT(0)
/* Length of each without its device scopes */
enum {
	VTD_DRHD_SIZE = 16,
	VTD_RMRR_SIZE = 24,
	VTD_ATSR_SIZE = 8,
	VTD_SATC_SIZE = 8,
};

/* 8.3.1 Device scope: type, length, flags, reserved, enumeration id, start bus, then (device, function) for each hop */
enum {
	VTD_SCOPE_ENDPOINT = 1,
	VTD_SCOPE_BRIDGE = 2,
	VTD_SCOPE_IOAPIC = 3,
	VTD_SCOPE_HPET = 4,
	VTD_SCOPE_NAMESPACE = 5,
	VTD_SCOPE_SIZE = 6, /* without the path */
	VTD_SCOPE_HOP = 2,
};

#endif
