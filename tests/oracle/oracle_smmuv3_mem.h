/* SPDX-License-Identifier: BSD-3-Clause */
/* Where things lie in the memory of an SMMUv3 case; for oracle_smmuv3.c and oracle_smmuv3_build.c. */
#ifndef NB_TESTS_ORACLE_SMMUV3_MEM_H
#define NB_TESTS_ORACLE_SMMUV3_MEM_H

#include <errno.h>

#include "oracle_smmuv3.h"

#define RAM	   UINT64_C(0x40000000) /* ORACLE_RAM bytes */
#define RING	   UINT64_C(0x40100000)
#define RING_LG2   10u /* more than a batch needs */
#define EVENTS	   UINT64_C(0x40110000)
#define EVENTS_LG2 8u /* likewise */
#define ARENA	   UINT64_C(0x44000000)
#define ARENA_LEN  UINT64_C(0x200000) /* of each case */

/* oracle.vend */
enum { V_REGS, V_TAIL, V_RUNG, V_EVENT, V_CR2, V_GBPA, V_GERRORN, V_ALIVE_AT, V_ALIVE, V_COMMANDS };

/* The rings and all structures are not for landing on. */
static inline bool smmu_taken(uint64_t pa)
{
	return (pa >= RING && pa < RING + 0x20000) || (pa >= ARENA && pa < ARENA + ORACLE_BATCH * ARENA_LEN);
}

/*
 * Memory that is not the same in QEMU and in ours: below RAM the board's flash and devices, from 256 GiB its second windows, in
 * the second half of the first TiB PCI memory, which answers with ones.
 */
static inline bool smmu_outside(uint64_t pa)
{
	return pa < RAM || pa >> 30 == 0x100 || (pa >> 39) == 1;
}

void smmu_build(struct oracle *o, const struct oracle_case *c, struct oracle_built *b);

#endif
