/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bus for unit tests of functions: DMA goes to a plain buffer at BUS_BASE, interrupts are counted.
 * The n-th DMA call can be made to fail, wholly or after half of its bytes.
 */
#ifndef NB_TEST_DEV_BUS_H
#define NB_TEST_DEV_BUS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "dev/dev.h"
#include "mem/guard.h"

#define BUS_BASE UINT64_C(0x100000)
#define BUS_LEN	 (UINT64_C(16) << 20)

struct bus {
	uint8_t *mem;
	unsigned long calls, fail_at; /* fail_at: 1 = the first call from now on; 0 = none */
	bool fail_half;
	uint32_t pasid;		      /* of the last call */
	uint64_t last_addr;
	unsigned int msix[64], msi[32], intx_edges;
	bool intx;
	struct dev_fn *fn;
};

static inline bool bus_refuses(struct bus *b, uint32_t pasid, uint64_t addr, size_t len)
{
	b->pasid = pasid;
	b->last_addr = addr;
	assert_true(len > 0);
	b->calls++;
	return b->calls == b->fail_at;
}

static inline bool bus_outside(uint64_t addr, size_t len)
{
	return addr < BUS_BASE || len > BUS_LEN || addr - BUS_BASE > BUS_LEN - len;
}

static inline int bus_read(void *opaque, uint32_t pasid, uint64_t addr, void *buf, size_t len)
{
	struct bus *b = opaque;
	bool refuse = bus_refuses(b, pasid, addr, len);

	if (bus_outside(addr, len))
		return -EFAULT;
	if (refuse) {
		if (b->fail_half && guard_copy(buf, b->mem + (addr - BUS_BASE), len / 2))
			return -EFAULT;
		return -EFAULT;
	}
	return guard_copy(buf, b->mem + (addr - BUS_BASE), len) ? -EFAULT : 0;
}

static inline int bus_write(void *opaque, uint32_t pasid, uint64_t addr, const void *buf, size_t len)
{
	struct bus *b = opaque;
	bool refuse = bus_refuses(b, pasid, addr, len);

	if (bus_outside(addr, len))
		return -EFAULT;
	if (refuse) {
		if (b->fail_half && guard_copy(b->mem + (addr - BUS_BASE), buf, len / 2))
			return -EFAULT;
		return -EFAULT;
	}
	return guard_copy(b->mem + (addr - BUS_BASE), buf, len) ? -EFAULT : 0;
}

static inline void bus_irq(void *opaque, enum dev_irq kind, unsigned int vector, bool level)
{
	struct bus *b = opaque;

	switch (kind) {
	case DEV_IRQ_MSIX:
		assert_true(level && vector < 64);
		b->msix[vector]++;
		break;
	case DEV_IRQ_MSI:
		assert_true(level && vector < 32);
		b->msi[vector]++;
		break;
	case DEV_IRQ_INTX:
		assert_true(level != b->intx); /* changes only */
		b->intx = level;
		b->intx_edges++;
		/* What a host does here: look at the function. It holds no lock then. */
		(void)dev_intx_pending(b->fn);
		break;
	}
}

/* `more`: what else the bus can do; opaque is the struct bus. May be null. */
static inline struct bus *bus_new_with(const char *model, const struct dev_option *opt, unsigned int nopts,
				       const struct dev_bus *more)
{
	struct bus *b = calloc(1, sizeof(*b));
	struct dev_bus db = more ? *more : (struct dev_bus){0};
	struct nb_diag diag = {""};

	db.opaque = b;
	db.dma_read = bus_read;
	db.dma_write = bus_write;
	db.irq = bus_irq;

	assert_non_null(b);
	assert_int_equal(guard_init(), 0);
	b->mem = calloc(1, BUS_LEN);
	assert_non_null(b->mem);
	if (dev_model_find(model)->create(opt, nopts, &db, NULL, &b->fn, &diag))
		fail_msg("%s", diag.msg);
	return b;
}

static inline struct bus *bus_new(const char *model, const struct dev_option *opt, unsigned int nopts)
{
	return bus_new_with(model, opt, nopts, NULL);
}

static inline void bus_free(struct bus *b)
{
	dev_destroy(b->fn);
	free(b->mem);
	free(b);
}

static inline uint8_t *bus_at(struct bus *b, uint64_t addr)
{
	assert_true(!bus_outside(addr, 1));
	return b->mem + (addr - BUS_BASE);
}

static inline uint32_t cfg_r(struct bus *b, uint32_t off, uint32_t len)
{
	uint32_t v = 0;

	dev_config_read(b->fn, off, &v, len);
	return v;
}
static inline void cfg_w(struct bus *b, uint32_t off, uint32_t len, uint32_t v)
{
	dev_config_write(b->fn, off, &v, len);
}

/* Memory decode, bus master. */
static inline void bus_turn_on(struct bus *b)
{
	cfg_w(b, 4, 2, 6);
}

static inline uint32_t r32(struct bus *b, uint64_t off)
{
	return (uint32_t)dev_bar_read(b->fn, 0, off, 4);
}
static inline uint64_t r64(struct bus *b, uint64_t off)
{
	return dev_bar_read(b->fn, 0, off, 8);
}
static inline void w32(struct bus *b, uint64_t off, uint32_t v)
{
	dev_bar_write(b->fn, 0, off, 4, v);
}
static inline void w64(struct bus *b, uint64_t off, uint64_t v)
{
	dev_bar_write(b->fn, 0, off, 8, v);
}

/* Offset of a capability (below 0x100) or an extended one, by walking the list as software does; 0: absent. */
static inline uint32_t cap_find(struct bus *b, uint32_t id)
{
	uint32_t at = cfg_r(b, 0x34, 1), hops = 0;

	for (; at && hops < 48; at = cfg_r(b, at + 1, 1), hops++) {
		if (cfg_r(b, at, 1) == id)
			return at;
	}
	assert_true(hops < 48);
	return 0;
}
static inline uint32_t ext_find(struct bus *b, uint32_t id)
{
	uint32_t at = 0x100, hops = 0;

	for (; at && hops < 200; at = cfg_r(b, at, 4) >> 20, hops++) {
		if ((cfg_r(b, at, 4) & 0xffff) == id)
			return at;
	}
	assert_true(hops < 200);
	return 0;
}

#endif
