/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The I/O Remapping Table (IORT), by which firmware tells which SMMUs there are, whose requests go through which, and where messages go.
 *
 * Arm "I/O Remapping Table", platform design document DEN 0049, issue E.e, chapter 3 (CANWBS: issue E.f). Numbers are little-endian
 * and nothing is aligned, so what is here are offsets and lengths. A node begins with a header that all types share; references to nodes are
 * offsets from the start of the table, references inside a node from the node's start.
 */
#ifndef NB_SPEC_SMMUV3_IORT_H
#define NB_SPEC_SMMUV3_IORT_H

#include "base/bits.h"

/* 3.1, behind the header that all ACPI tables share (ACPI 5.2.6) */
enum {
	SMMU_IORT_NNODES = 36,	/* 32 bits */
	SMMU_IORT_NODES = 40,	/* 32 bits: offset of the first */
	SMMU_IORT_SIZE = 48,	/* 44..47 are reserved */
	SMMU_IORT_REVISION = 6, /* of issue E.e */
};

/* 3.1.1: type (8), length (16), revision (8), identifier (32), number of ID mappings (32), reference to them (32) */
enum {
	SMMU_IORT_NODE_TYPE = 0,
	SMMU_IORT_NODE_LENGTH = 1,
	SMMU_IORT_NODE_REVISION = 3,
	SMMU_IORT_NODE_ID = 4,
	SMMU_IORT_NODE_NMAPS = 8,
	SMMU_IORT_NODE_MAPS = 12,
	SMMU_IORT_NODE_SIZE = 16,
};
enum {
	SMMU_IORT_ITS = 0,
	SMMU_IORT_NAMED = 1,
	SMMU_IORT_ROOT_COMPLEX = 2,
	SMMU_IORT_SMMUV3 = 4,
	SMMU_IORT_PMCG = 5,
	SMMU_IORT_RMR = 6,
};
enum { /* revisions of the nodes in issue E.e */
	SMMU_IORT_ITS_REVISION = 1,
	SMMU_IORT_ROOT_COMPLEX_REVISION = 4,
	SMMU_IORT_SMMUV3_REVISION = 5,
	SMMU_IORT_RMR_REVISION = 3,
};

/* ID mapping: input base, number of IDs minus one, output base, output node, flags; 32 bits each */
enum { SMMU_IORT_MAP_SIZE = 20 };
#define SMMU_IORT_MAP_SINGLE BIT(0) /* one output ID, whatever comes in */

/* ITS group: number of ITSs (32), their ids (32 each) */
enum { SMMU_IORT_ITS_SIZE = 20 }; /* without ids */

/*
 * Root complex: memory access properties (cache coherent (32), allocation hints (8), reserved (16), flags (8)), ATS attribute (32),
 * PCI segment (32), address size limit (8), PASID capabilities (16), reserved (8), flags (32)
 */
enum { SMMU_IORT_ROOT_COMPLEX_SIZE = 40 };
#define SMMU_IORT_COHERENT	 BIT(0) /* cache coherent */
#define SMMU_IORT_MEM_CPM	 BIT(0) /* coherent path to memory */
#define SMMU_IORT_MEM_DACS	 BIT(1) /* the device's attributes say that it is cacheable and shareable */
#define SMMU_IORT_MEM_CANWBS	 BIT(2) /* and nothing can make its accesses other than that */
#define SMMU_IORT_ATS_SUPPORTED	 BIT(0)
#define SMMU_IORT_PRI_SUPPORTED	 BIT(1)
#define SMMU_IORT_PASID_FORWARD	 BIT(2)
#define SMMU_IORT_PASID_WIDTH	 BITS(4, 0) /* PASID capabilities */

/*
 * SMMUv3: base (64), flags (32), reserved (32), VATOS base (64), model (32), GSIVs of events, page requests, global errors and
 * CMD_SYNC (32 each), proximity domain (32), index of the mapping of its own messages (32)
 */
enum { SMMU_IORT_SMMUV3_SIZE = 68 };
#define SMMU_IORT_SMMUV3_COHACC	  BIT(0)     /* whatever IDR0 says */
#define SMMU_IORT_SMMUV3_HTTU	  BITS(2, 1) /* likewise */
#define SMMU_IORT_SMMUV3_PXM	  BIT(3)     /* the proximity domain is valid */
#define SMMU_IORT_SMMUV3_DEVICEID BIT(4)     /* the mapping index is */
enum { SMMU_IORT_SMMUV3_GENERIC = 0 };

/* Reserved memory: flags (32), number of ranges (32), reference to them (32) */
enum { SMMU_IORT_RMR_SIZE = 28 };
#define SMMU_IORT_RMR_REMAP	 BIT(0) /* it may be mapped elsewhere */
#define SMMU_IORT_RMR_PRIVILEGED BIT(1)
#define SMMU_IORT_RMR_ATTR	 BITS(9, 2)
enum { SMMU_IORT_RMR_ATTR_NORMAL_WB = 5 }; /* inner and outer write-back, inner shareable */
/* A range: base (64), length (64), multiples of 64 KiB; reserved (32) */
enum { SMMU_IORT_RMR_RANGE_SIZE = 20, SMMU_IORT_RMR_ALIGN = 65536 };

#endif
