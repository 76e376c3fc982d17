/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pages for tables, rings and entries.
 *
 * Memory comes in arenas; pages are cut off the newest arena and go back to a free list per order.
 * A page from a fresh arena is zero already; one from a list is cleared when it is given out again.
 */
#include "mem/mem.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "mem/lag.h"

#define PAGE_LG2    12
#define ORDERS	    10 /* up to 2 MiB */
#define ARENA_FIRST (256u << 10)
#define ARENA_NEXT  (2u << 20)

struct arena {
	struct arena *next;
	char *base;
	size_t size;
};

struct mem_pool {
	pthread_mutex_t lock; /* everything below */
	uint64_t bias;	      /* process address = pa + bias */
	struct arena *arenas;
	char *cut, *end;      /* rest of the newest arena */
	void *free[ORDERS];   /* linked through the first word */
	uint64_t used;
	bool fixed;	      /* a region of somebody else's: no new arenas */
	struct mem_lag *lag;  /* told of every page that is handed out; may be null */
};

static struct mem_pool *pool_new(void)
{
	struct mem_pool *p = nb_zalloc(sizeof(*p));

	if (p)
		pthread_mutex_init(&p->lock, NULL);
	return p;
}

struct mem_pool *mem_pool_new(struct mem *m)
{
	struct mem_pool *p = pool_new();

	if (p)
		p->bias = m->bias;
	return p;
}

struct mem_pool *mem_pool_new_at(struct mem *m, hpa_t pa, uint64_t len)
{
	struct mem_pool *p;

	assert(nb_aligned(pa.v | len, 1u << PAGE_LG2) && len && mem_inline(m, pa.v, len - 1));
	p = pool_new();
	if (!p)
		return NULL;
	p->fixed = true;
	p->bias = m->bias;
	p->cut = mem_ptr_(m, pa.v);
	p->end = p->cut + len;
	memset(p->cut, 0, len);
	return p;
}

void mem_pool_free(struct mem_pool *p)
{
	struct arena *a, *next;

	if (!p)
		return;
	assert(p->used == 0);
	for (a = p->arenas; a; a = next) {
		next = a->next;
		munmap(a->base, a->size);
		nb_free(a);
	}
	pthread_mutex_destroy(&p->lock);
	nb_free(p);
}

/* Arenas are aligned to their size, so that every order finds its alignment inside. */
static bool arena_add(struct mem_pool *p)
{
	size_t size = p->arenas ? ARENA_NEXT : ARENA_FIRST;
	struct arena *a = nb_zalloc(sizeof(*a));
	char *raw, *base;

	if (!a)
		return false;
	raw = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (raw == MAP_FAILED) {
		nb_free(a);
		return false;
	}
	base = (char *)(((uintptr_t)raw + size - 1) & ~(uintptr_t)(size - 1));
	if (base > raw)
		munmap(raw, (size_t)(base - raw));
	if (base + size < raw + 2 * size)
		munmap(base + size, (size_t)(raw + size - base));
	*a = (struct arena){p->arenas, base, size};
	p->arenas = a;
	p->cut = base;
	p->end = base + size;
	return true;
}

/* Put the page-sized pieces of [from, to) on the free lists, largest naturally aligned piece first. */
static void give_back(struct mem_pool *p, char *from, char *to)
{
	while (from < to) {
		unsigned int order = 0;

		while (order + 1 < ORDERS && nb_aligned((uintptr_t)from, (uint64_t)2 << (PAGE_LG2 + order)) &&
		       from + ((size_t)2 << (PAGE_LG2 + order)) <= to)
			order++;
		*(void **)(void *)from = p->free[order];
		p->free[order] = from;
		from += (size_t)1 << (PAGE_LG2 + order);
	}
}

static void *cut_page(struct mem_pool *p, unsigned int order)
{
	size_t size = (size_t)1 << (PAGE_LG2 + order);
	char *at = (char *)(((uintptr_t)p->cut + size - 1) & ~(uintptr_t)(size - 1));

	if (!p->cut || at > p->end || size > (size_t)(p->end - at))
		return NULL;
	give_back(p, p->cut, at);
	p->cut = at + size;
	return at;
}

static void *page_alloc(struct mem_pool *p, unsigned int order, hpa_t *pa, bool zeroed)
{
	bool clear = false;
	void *page;

	assert(order < ORDERS);
	if (nb_should_fail())
		return NULL;
	pthread_mutex_lock(&p->lock);
	page = p->free[order];
	if (page) {
		p->free[order] = *(void **)page;
		clear = zeroed;
	} else {
		page = cut_page(p, order);
		/* An order larger than the small first arena wants the second try. */
		while (!page && !p->fixed) {
			if (p->cut)
				give_back(p, p->cut, p->end);
			p->cut = p->end = NULL;
			if (!arena_add(p))
				break;
			page = cut_page(p, order);
		}
	}
	if (page && unlikely(p->lag) && !mem_lag_page_given(p->lag, mem_page_pa(p, page), order)) {
		*(void **)page = p->free[order];
		p->free[order] = page;
		page = NULL;
	}
	if (page)
		p->used += (uint64_t)1 << (PAGE_LG2 + order);
	pthread_mutex_unlock(&p->lock);
	if (!page)
		return NULL;
	if (clear)
		memset(page, 0, (size_t)1 << (PAGE_LG2 + order));
	if (pa)
		*pa = mem_page_pa(p, page);
	return page;
}

void *mem_page_alloc(struct mem_pool *p, unsigned int order, hpa_t *pa)
{
	return page_alloc(p, order, pa, true);
}

void *mem_page_alloc_raw(struct mem_pool *p, unsigned int order, hpa_t *pa)
{
	return page_alloc(p, order, pa, false);
}

void mem_page_free(struct mem_pool *p, void *page, unsigned int order)
{
	if (!page)
		return;
	assert(order < ORDERS);
	pthread_mutex_lock(&p->lock);
	*(void **)page = p->free[order];
	p->free[order] = page;
	p->used -= (uint64_t)1 << (PAGE_LG2 + order);
	pthread_mutex_unlock(&p->lock);
}

void *mem_page_ptr(const struct mem_pool *p, hpa_t pa)
{
	return (void *)(uintptr_t)(pa.v + p->bias);
}

hpa_t mem_page_pa(const struct mem_pool *p, const void *ptr)
{
	return hpa((uint64_t)(uintptr_t)ptr - p->bias);
}

uint64_t mem_pool_used(const struct mem_pool *p)
{
	struct mem_pool *q = (struct mem_pool *)p;
	uint64_t used;

	pthread_mutex_lock(&q->lock);
	used = q->used;
	pthread_mutex_unlock(&q->lock);
	return used;
}

void mem_pool_set_lag(struct mem_pool *p, struct mem_lag *lag)
{
	pthread_mutex_lock(&p->lock);
	p->lag = lag;
	pthread_mutex_unlock(&p->lock);
}
