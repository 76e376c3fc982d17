/* SPDX-License-Identifier: BSD-3-Clause */
#undef _FILE_OFFSET_BITS /* the plain names, not those that the compiler would rename */
#include "run/next.h"

#include <dlfcn.h>
#include <string.h>

struct next_table next;

void next_init(void)
{
	void *sym;

	/* Through memcpy: C has no conversion from a data pointer to a function. */
#define X(res, name, params)                                                                                 \
	sym = dlsym(RTLD_NEXT, #name);                                                                        \
	memcpy(&next.name, &sym, sizeof(sym));
	NEXT_FUNCTIONS(X)
#undef X
}
