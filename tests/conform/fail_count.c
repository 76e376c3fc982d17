/* SPDX-License-Identifier: BSD-3-Clause */
/* Every allocation of the library is counted on its way: --wrap, see meson.build. */
#include "fail_nth.h"

#include "base/alloc.h"

_Atomic long live, pages_live;

void *__real_nb_zalloc(size_t size);
void *__real_nb_calloc(size_t n, size_t size);
void *__real_nb_realloc(void *p, size_t n, size_t size);
void *__real_nb_aligned_zalloc(size_t align, size_t size);
void __real_nb_free(void *p);
void *__real_mem_page_alloc(struct mem_pool *p, unsigned int order, hpa_t *pa);
void *__real_mem_page_alloc_raw(struct mem_pool *p, unsigned int order, hpa_t *pa);
void __real_mem_page_free(struct mem_pool *p, void *ptr, unsigned int order);
void *__wrap_nb_zalloc(size_t size);
void *__wrap_nb_calloc(size_t n, size_t size);
void *__wrap_nb_realloc(void *p, size_t n, size_t size);
void *__wrap_nb_aligned_zalloc(size_t align, size_t size);
void __wrap_nb_free(void *p);
void *__wrap_mem_page_alloc(struct mem_pool *p, unsigned int order, hpa_t *pa);
void *__wrap_mem_page_alloc_raw(struct mem_pool *p, unsigned int order, hpa_t *pa);
void __wrap_mem_page_free(struct mem_pool *p, void *ptr, unsigned int order);

static void *count(void *p)
{
	if (p)
		atomic_fetch_add(&live, 1);
	return p;
}

void *__wrap_nb_zalloc(size_t size)
{
	return count(__real_nb_zalloc(size));
}
void *__wrap_nb_calloc(size_t n, size_t size)
{
	return count(__real_nb_calloc(n, size));
}
void *__wrap_nb_realloc(void *p, size_t n, size_t size)
{
	void *q = __real_nb_realloc(p, n, size);

	return p ? q : count(q);
}
void *__wrap_nb_aligned_zalloc(size_t align, size_t size)
{
	return count(__real_nb_aligned_zalloc(align, size));
}
void __wrap_nb_free(void *p)
{
	if (p)
		atomic_fetch_sub(&live, 1);
	__real_nb_free(p);
}
void *__wrap_mem_page_alloc(struct mem_pool *p, unsigned int order, hpa_t *pa)
{
	void *page = __real_mem_page_alloc(p, order, pa);

	if (page)
		atomic_fetch_add(&pages_live, 1);
	return page;
}
void *__wrap_mem_page_alloc_raw(struct mem_pool *p, unsigned int order, hpa_t *pa)
{
	void *page = __real_mem_page_alloc_raw(p, order, pa);

	if (page)
		atomic_fetch_add(&pages_live, 1);
	return page;
}
void __wrap_mem_page_free(struct mem_pool *p, void *ptr, unsigned int order)
{
	if (ptr)
		atomic_fetch_sub(&pages_live, 1);
	__real_mem_page_free(p, ptr, order);
}
