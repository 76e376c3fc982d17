/* SPDX-License-Identifier: BSD-3-Clause */
/* Regions beyond the first, MMIO ranges, copies that cross borders, and buses. */
#include "mem/mem.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"

/* Lowest and highest addresses that user memory can have; outside, nothing is asked of the processor. */
#define PROCESS_FIRST 0x1000u
#define PROCESS_LAST  ((UINT64_C(1) << 47) - 0x1001)

struct mem_range {
	uint64_t first, last, bias; /* bias: memory only */
	const struct mem_mmio_ops *ops; /* null: memory */
	void *opaque;
};

struct mem_slow {
	bool process;
	const struct mem_bus_ops *bus; /* null: the ranges below */
	void *bus_opaque;
	unsigned int n, cap;
	struct mem_range *range; /* sorted by first, disjoint */
};

static int mem_init(struct mem *m, bool process)
{
	*m = (struct mem){.first = 1, .span = 0}; /* nothing inline: span - last_off would wrap, and is checked */
	m->slow = nb_zalloc(sizeof(*m->slow));
	if (!m->slow)
		return -ENOMEM;
	m->slow->process = process;
	if (process) {
		m->first = PROCESS_FIRST;
		m->span = PROCESS_LAST - PROCESS_FIRST;
	}
	return 0;
}

int mem_init_process(struct mem *m)
{
	return mem_init(m, true);
}

int mem_init_regions(struct mem *m)
{
	return mem_init(m, false);
}

int mem_init_bus(struct mem *m, const struct mem_bus_ops *ops, void *opaque)
{
	int err = mem_init(m, false);

	if (err)
		return err;
	m->slow->bus = ops;
	m->slow->bus_opaque = opaque;
	return 0;
}

void mem_fini(struct mem *m)
{
	if (m->slow)
		nb_free(m->slow->range);
	nb_free(m->slow);
	*m = (struct mem){.first = 1};
}

static const struct mem_range *range_at(const struct mem *m, uint64_t pa)
{
	unsigned int lo = 0, hi = m->slow->n;

	while (lo < hi) {
		unsigned int mid = (lo + hi) / 2;
		const struct mem_range *r = &m->slow->range[mid];

		if (pa < r->first)
			hi = mid;
		else if (pa > r->last)
			lo = mid + 1;
		else
			return r;
	}
	return NULL;
}

static int add_range(struct mem *m, const struct mem_range *r)
{
	struct mem_slow *s = m->slow;
	unsigned int i;

	if (r->last < r->first)
		return -EINVAL;
	for (i = 0; i < s->n && s->range[i].first < r->first; i++)
		;
	if ((i < s->n && s->range[i].first <= r->last) || (i > 0 && s->range[i - 1].last >= r->first))
		return -EINVAL;
	if (s->n == s->cap) {
		unsigned int cap = s->cap ? 2 * s->cap : 8;
		struct mem_range *bigger = nb_realloc(s->range, cap, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		s->range = bigger;
		s->cap = cap;
	}
	memmove(&s->range[i + 1], &s->range[i], (s->n - i) * sizeof(*r));
	s->range[i] = *r;
	s->n++;
	return 0;
}

int mem_add_region(struct mem *m, hpa_t pa, void *buf, uint64_t len)
{
	struct mem_range r = {pa.v, pa.v + len - 1, (uintptr_t)buf - pa.v, NULL, NULL};
	int err;

	if (len == 0 || m->slow->process || m->slow->bus)
		return -EINVAL;
	err = add_range(m, &r);
	if (!err && m->span == 0) {
		m->first = r.first;
		m->span = r.last - r.first;
		m->bias = r.bias;
	}
	return err;
}

int mem_add_mmio(struct mem *m, hpa_t pa, uint64_t len, const struct mem_mmio_ops *ops, void *opaque)
{
	struct mem_range r = {pa.v, pa.v + len - 1, 0, ops, opaque};

	return len == 0 || m->slow->bus ? -EINVAL : add_range(m, &r);
}

static bool range_holds(const struct mem_range *r, uint64_t pa, uint64_t len)
{
	return r && len - 1 <= r->last - pa;
}

int mem_load64_slow(const struct mem *m, hpa_t pa, uint64_t *v)
{
	const struct mem_range *r = range_at(m, pa.v);

	if (m->slow->bus)
		return m->slow->bus->load64(m->slow->bus_opaque, pa, v);
	if (!range_holds(r, pa.v, 8))
		return -EFAULT;
	if (r->ops) {
		*v = r->ops->read(r->opaque, pa.v - r->first, 8);
		return 0;
	}
	return guard_load64((void *)(uintptr_t)(pa.v + r->bias), v) ? 0 : -EFAULT;
}

int mem_load128_slow(const struct mem *m, hpa_t pa, uint64_t v[2])
{
	const struct mem_range *r = range_at(m, pa.v);
	uint64_t lo, hi;

	if (range_holds(r, pa.v, 16) && !r->ops && !((pa.v + r->bias) & 15))
		return guard_load128((void *)(uintptr_t)(pa.v + r->bias), v) ? 0 : -EFAULT;
	if (mem_load64(m, pa, &lo) || mem_load64(m, hpa(pa.v + 8), &hi))
		return -EFAULT;
	v[0] = lo;
	v[1] = hi;
	return 0;
}

int mem_store64_slow(const struct mem *m, hpa_t pa, uint64_t v)
{
	const struct mem_range *r = range_at(m, pa.v);

	if (m->slow->bus)
		return m->slow->bus->copy_to(m->slow->bus_opaque, pa, &v, sizeof(v));
	if (!range_holds(r, pa.v, 8))
		return -EFAULT;
	if (r->ops) {
		r->ops->write(r->opaque, pa.v - r->first, 8, v);
		return 0;
	}
	return guard_store64((void *)(uintptr_t)(pa.v + r->bias), v) ? 0 : -EFAULT;
}

int mem_cas64_slow(const struct mem *m, hpa_t pa, uint64_t *expected, uint64_t desired)
{
	const struct mem_range *r = range_at(m, pa.v);
	int ret;

	if (m->slow->bus)
		return m->slow->bus->cas64(m->slow->bus_opaque, pa, expected, desired);
	/* A register is no place for a table: the bus refuses the locked access. */
	if (!range_holds(r, pa.v, 8) || r->ops)
		return -EFAULT;
	ret = guard_cas64((void *)(uintptr_t)(pa.v + r->bias), expected, desired);
	return ret < 0 ? -EFAULT : ret;
}

/* One naturally aligned access to registers per step, as a bridge would split the burst. */
static size_t mmio_step(uint64_t off, size_t len)
{
	size_t size = 8;

	while (size > len || off % size)
		size /= 2;
	return size;
}

static void mmio_read(const struct mem_range *r, uint64_t off, char *dst, size_t len)
{
	while (len) {
		size_t n = mmio_step(off, len);
		uint64_t v = r->ops->read(r->opaque, off, (unsigned int)n);

		memcpy(dst, &v, n);
		dst += n;
		off += n;
		len -= n;
	}
}

static void mmio_write(const struct mem_range *r, uint64_t off, const char *src, size_t len)
{
	while (len) {
		size_t n = mmio_step(off, len);
		uint64_t v = 0;

		memcpy(&v, src, n);
		r->ops->write(r->opaque, off, (unsigned int)n, v);
		src += n;
		off += n;
		len -= n;
	}
}

/* The range at pa and how much of len it covers; 0 when nothing is there. */
static size_t range_part(const struct mem *m, uint64_t pa, size_t len, const struct mem_range **r)
{
	*r = range_at(m, pa);
	if (!*r)
		return 0;
	return len - 1 > (*r)->last - pa ? (size_t)((*r)->last - pa + 1) : len;
}

int mem_copy_from(const struct mem *m, void *dst_, hpa_t pa, size_t len)
{
	char *dst = dst_;
	size_t n;

	if (len == 0)
		return 0;
	if (likely(mem_inline(m, pa.v, len - 1))) {
		size_t left = guard_copy(dst, mem_ptr_(m, pa.v), len);

		if (likely(left == 0))
			return 0;
		dst += len - left;
		pa = hpa_add(pa, len - left);
		len = left;
	}
	if (m->slow->bus)
		return m->slow->bus->copy_from(m->slow->bus_opaque, dst, pa, len);
	for (; len; len -= n, dst += n, pa = hpa_add(pa, n)) {
		const struct mem_range *r;

		n = range_part(m, pa.v, len, &r);
		if (n == 0)
			return -EFAULT;
		if (r->ops)
			mmio_read(r, pa.v - r->first, dst, n);
		else if (guard_copy(dst, (void *)(uintptr_t)(pa.v + r->bias), n))
			return -EFAULT;
	}
	return 0;
}

int mem_copy_to(const struct mem *m, hpa_t pa, const void *src_, size_t len)
{
	const char *src = src_;
	size_t n;

	if (len == 0)
		return 0;
	if (likely(mem_inline(m, pa.v, len - 1))) {
		size_t left = guard_copy(mem_ptr_(m, pa.v), src, len);

		if (likely(left == 0))
			return 0;
		src += len - left;
		pa = hpa_add(pa, len - left);
		len = left;
	}
	if (m->slow->bus)
		return m->slow->bus->copy_to(m->slow->bus_opaque, pa, src, len);
	for (; len; len -= n, src += n, pa = hpa_add(pa, n)) {
		const struct mem_range *r;

		n = range_part(m, pa.v, len, &r);
		if (n == 0)
			return -EFAULT;
		if (r->ops)
			mmio_write(r, pa.v - r->first, src, n);
		else if (guard_copy((void *)(uintptr_t)(pa.v + r->bias), src, n))
			return -EFAULT;
	}
	return 0;
}

int mem_load32(const struct mem *m, hpa_t pa, uint32_t *v)
{
	if (likely(mem_inline(m, pa.v, 3) && guard_load32(mem_ptr_(m, pa.v), v)))
		return 0;
	return mem_copy_from(m, v, pa, sizeof(*v));
}

int mem_store32(const struct mem *m, hpa_t pa, uint32_t v)
{
	if (likely(mem_inline(m, pa.v, 3) && guard_store32(mem_ptr_(m, pa.v), v)))
		return 0;
	return mem_copy_to(m, pa, &v, sizeof(v));
}
