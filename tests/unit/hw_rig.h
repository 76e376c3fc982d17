/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Words of memory and registers, for the tests of all models: included by a vendor's header that has defined struct rig, with
 * mem and hw in it.
 */
#ifndef NB_TESTS_HW_RIG_H
#define NB_TESTS_HW_RIG_H

static inline void w64(struct rig *r, uint64_t pa, uint64_t v)
{
	assert_int_equal(mem_store64(&r->mem, hpa(pa), v), 0);
}
static inline uint64_t r64(struct rig *r, uint64_t pa)
{
	uint64_t v = 0;

	assert_int_equal(mem_load64(&r->mem, hpa(pa), &v), 0);
	return v;
}
static inline void reg32(struct rig *r, uint64_t off, uint32_t v)
{
	r->hw->ops->mmio_write(r->hw, off, 4, v);
}
static inline void reg64(struct rig *r, uint64_t off, uint64_t v)
{
	r->hw->ops->mmio_write(r->hw, off, 8, v);
}
static inline uint32_t get32(struct rig *r, uint64_t off)
{
	return (uint32_t)r->hw->ops->mmio_read(r->hw, off, 4);
}
static inline uint64_t get64(struct rig *r, uint64_t off)
{
	return r->hw->ops->mmio_read(r->hw, off, 8);
}

#endif
