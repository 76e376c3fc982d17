/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The second copy of the driver's pages, in pieces of 2 MiB that are made when the pool first hands out a page there and
 * live as long as the view does: so loads need no lock and no read section.
 */
#include "mem/lag.h"

#include <stdatomic.h>
#include <sys/mman.h>

#include "base/alloc.h"

#define PIECE_LG2  21
#define PIECE_SIZE ((uint64_t)1 << PIECE_LG2)
#define PAGES	   512u
#define HASH	   256u

struct piece {
	struct piece *_Atomic next; /* set before publish */
	uint64_t no;		    /* pa >> PIECE_LG2 */
	_Atomic uint64_t *copy;
	_Atomic bool ours[PAGES];     /* the page lags */
	_Atomic uint64_t lines[PAGES]; /* of the page: which lines were written back */
};

struct mem_lag {
	struct mem *mem;
	struct mem_pool *pool;
	struct piece *_Atomic hash[HASH]; /* grows only; written under the pool's lock */
};

static struct piece *_Atomic *chain(const struct mem_lag *l, uint64_t no)
{
	return (struct piece *_Atomic *)&l->hash[(no ^ no >> 8) % HASH];
}

static struct piece *find(const struct mem_lag *l, uint64_t pa)
{
	uint64_t no = pa >> PIECE_LG2;
	struct piece *p = atomic_load_explicit(chain(l, no), memory_order_acquire);

	while (p && p->no != no)
		p = atomic_load_explicit(&p->next, memory_order_relaxed);
	return p;
}

static struct piece *make(struct mem_lag *l, uint64_t pa)
{
	struct piece *p = nb_zalloc(sizeof(*p));
	struct piece *_Atomic *c = chain(l, pa >> PIECE_LG2);
	void *copy;

	if (!p)
		return NULL;
	copy = nb_should_fail() ? MAP_FAILED : mmap(NULL, PIECE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (copy == MAP_FAILED) {
		nb_free(p);
		return NULL;
	}
	p->copy = copy;
	p->no = pa >> PIECE_LG2;
	atomic_store_explicit(&p->next, atomic_load_explicit(c, memory_order_relaxed), memory_order_relaxed);
	atomic_store_explicit(c, p, memory_order_release); /* pairs with find() */
	return p;
}

bool mem_lag_page_given(struct mem_lag *l, hpa_t pa, unsigned int order)
{
	uint64_t at, end = pa.v + (UINT64_C(4096) << order);

	for (at = pa.v; at < end; at += 4096) {
		struct piece *p = find(l, at);
		unsigned int page = (unsigned int)(at >> 12) % PAGES;

		if (!p)
			p = make(l, at);
		if (!p)
			return false;
		atomic_store_explicit(&p->lines[page], 0, memory_order_relaxed);
		atomic_store_explicit(&p->ours[page], true, memory_order_release);
	}
	return true;
}

int mem_lag_load64(const struct mem_lag *l, hpa_t pa, uint64_t *v)
{
	const struct piece *p = find(l, pa.v);
	unsigned int page = (unsigned int)(pa.v >> 12) % PAGES;

	if (!p || !atomic_load_explicit(&p->ours[page], memory_order_acquire))
		return mem_load64(l->mem, pa, v);
	/* Acquire, here and below: an agent reads in order what was written back in order. */
	if (atomic_load_explicit(&p->lines[page], memory_order_acquire) >> (pa.v >> 6 & 63) & 1)
		*v = atomic_load_explicit(&p->copy[pa.v % PIECE_SIZE / 8], memory_order_acquire);
	else
		*v = MEM_LAG_POISON;
	return 0;
}

static void line_written_back(struct mem_lag *l, uint64_t line)
{
	struct piece *p = find(l, line);
	unsigned int page = (unsigned int)(line >> 12) % PAGES, i;
	uint64_t word;

	if (!p || !atomic_load_explicit(&p->ours[page], memory_order_acquire))
		return;
	for (i = 0; i < 8; i++) {
		if (mem_load64(l->mem, hpa(line + 8 * i), &word))
			return;
		atomic_store_explicit(&p->copy[line % PIECE_SIZE / 8 + i], word, memory_order_release);
	}
	atomic_fetch_or_explicit(&p->lines[page], BIT(line >> 6 & 63), memory_order_release);
}

void mem_lag_written_back(struct mem_lag *l, hpa_t pa, size_t len)
{
	uint64_t line, last;

	if (!len)
		return;
	last = pa.v + (len - 1);
	for (line = pa.v & ~UINT64_C(63);; line += 64) {
		line_written_back(l, line);
		if (last - line < 64)
			break;
	}
}

struct mem_lag *mem_lag_new(struct mem *m, struct mem_pool *pool)
{
	struct mem_lag *l = nb_zalloc(sizeof(*l));

	if (!l)
		return NULL;
	l->mem = m;
	l->pool = pool;
	mem_pool_set_lag(pool, l);
	return l;
}

void mem_lag_free(struct mem_lag *l)
{
	unsigned int i;

	if (!l)
		return;
	mem_pool_set_lag(l->pool, NULL);
	for (i = 0; i < HASH; i++) {
		struct piece *p = atomic_load_explicit(&l->hash[i], memory_order_relaxed), *next;

		for (; p; p = next) {
			next = atomic_load_explicit(&p->next, memory_order_relaxed);
			munmap(p->copy, PIECE_SIZE);
			nb_free(p);
		}
	}
	nb_free(l);
}
