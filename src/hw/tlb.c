/* SPDX-License-Identifier: BSD-3-Clause */
#include "hw/tlb.h"

#include "base/alloc.h"

bool hw_tables_new(struct hw_bucket **a, unsigned int a_lg2, struct hw_bucket **b, unsigned int b_lg2)
{
	*a = nb_aligned_zalloc(64, sizeof(**a) << a_lg2);
	*b = nb_aligned_zalloc(64, sizeof(**b) << b_lg2);
	if (*a && *b)
		return true;
	nb_free(*a);
	nb_free(*b);
	*a = *b = NULL;
	return false;
}

void hw_table_clear(struct hw_bucket *b, unsigned int lg2)
{
	size_t i;
	unsigned int way;

	for (i = 0; i < (size_t)1 << lg2; i++)
		for (way = 0; way < HW_WAYS; way++)
			if (atomic_load_explicit(&b[i].key[way], memory_order_relaxed))
				hw_bucket_erase(&b[i], way);
}
