/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bit fields of registers and table entries as masks.
 *
 * A mask carries position and width, so there is one name per field and no
 * shift or width twin that could disagree with it. Constants that do not fit
 * their field do not compile; run-time values that do not fit are our bug and
 * stop the program, they are never cut in silence.
 */
#ifndef NB_BASE_BITS_H
#define NB_BASE_BITS_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BIT(n)		  (UINT64_C(1) << (n))
#define BITS(hi, lo)	  ((UINT64_MAX >> (63 - (hi))) & (UINT64_MAX << (lo)))
#define FIELD_LSB(m)	  ((m) & (~(m) + 1))
#define FIELD_MAX(m)	  ((m) / FIELD_LSB(m))
#define CT_CHECK(c, msg)  (0 * sizeof(struct { _Static_assert(c, msg); int x; }))
#define FIELD_MASK(m)	  ((m) + CT_CHECK((m) != 0 && (FIELD_MAX(m) & (FIELD_MAX(m) + 1)) == 0, \
					  "mask is not one run of bits"))
#define FIELD_GET(m, reg) (((reg) & FIELD_MASK(m)) / FIELD_LSB(m))
/* Constant value: one too large for its field does not compile. */
#define FIELD_C(m, v)	  ((uint64_t)(v) * FIELD_LSB(m) + \
			   CT_CHECK((uint64_t)(v) <= FIELD_MAX(FIELD_MASK(m)), "value exceeds field"))
/* Run-time value. */
#define FIELD(m, v)	  nb_field_put(FIELD_MASK(m), (v))

static inline uint64_t nb_field_put(uint64_t mask, uint64_t v)
{
	assert(v <= FIELD_MAX(mask));
	return v * FIELD_LSB(mask);
}

/* Bits [0, n) set; n may be 64. */
static inline uint64_t nb_low_mask(unsigned int n)
{
	return n >= 64 ? UINT64_MAX : BIT(n) - 1;
}

static inline uint64_t nb_align_down(uint64_t v, uint64_t a)
{
	return v & ~(a - 1);
}

static inline bool nb_aligned(uint64_t v, uint64_t a)
{
	return (v & (a - 1)) == 0;
}

/* floor(log2(v)); v must not be 0. */
static inline unsigned int nb_ilog2(uint64_t v)
{
	return 63u - (unsigned int)__builtin_clzll(v);
}

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) \
	((type *)(void *)((char *)(ptr) - offsetof(type, member)))

/* Little-endian in memory; arithmetic on it does not compile. */
typedef struct {
	uint64_t le;
} le64_t;
typedef struct {
	uint32_t le;
} le32_t;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NB_SWAP64(v) (v)
#define NB_SWAP32(v) (v)
#else
#define NB_SWAP64(v) __builtin_bswap64(v)
#define NB_SWAP32(v) __builtin_bswap32(v)
#endif

static inline le64_t le64(uint64_t v)
{
	return (le64_t){NB_SWAP64(v)};
}
static inline uint64_t cpu64(le64_t v)
{
	return NB_SWAP64(v.le);
}
static inline uint32_t cpu32(le32_t v)
{
	return NB_SWAP32(v.le);
}

#endif
