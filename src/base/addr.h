/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses that do not mix, and the identities of a requester.
 *
 * IOVA goes into stage-1, GPA comes out of stage-1 and goes into stage-2, HPA
 * comes out of stage-2 and names memory. Each is a struct, so passing one for
 * another does not compile; `.v` is opened in table formats, in walks, in the
 * memory room and where a value is printed.
 */
#ifndef NB_BASE_ADDR_H
#define NB_BASE_ADDR_H

#include <stdint.h>

typedef struct {
	uint64_t v;
} iova_t; /* what the device put on the bus */
typedef struct {
	uint64_t v;
} gpa_t; /* out of stage-1, into stage-2 (Arm: IPA) */
typedef struct {
	uint64_t v;
} hpa_t; /* out of stage-2, into memory */

static inline iova_t iova(uint64_t v)
{
	return (iova_t){v};
}
static inline gpa_t gpa(uint64_t v)
{
	return (gpa_t){v};
}
static inline hpa_t hpa(uint64_t v)
{
	return (hpa_t){v};
}
static inline hpa_t hpa_add(hpa_t a, uint64_t off)
{
	return (hpa_t){a.v + off};
}

/* "The request carries no PASID"; every PASID is at most 20 bits wide. */
#define NB_NO_PASID UINT32_MAX
#define NB_PASID_MAX ((1u << 20) - 1)

#endif
