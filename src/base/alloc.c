/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Thread-local: a test arms its own thread and leaves the others alone. */
static __thread unsigned long fail_countdown;
static __thread bool fail_fired;

void nb_fail_nth_arm(unsigned long n)
{
	fail_countdown = n;
	fail_fired = false;
}

bool nb_fail_nth_fired(void)
{
	bool fired = fail_fired;

	nb_fail_nth_arm(0);
	return fired;
}

bool nb_should_fail(void)
{
	if (__builtin_expect(fail_countdown == 0, 1))
		return false;
	if (--fail_countdown != 0)
		return false;
	fail_fired = true;
	return true;
}

void *nb_zalloc(size_t size)
{
	return nb_should_fail() ? NULL : calloc(1, size);
}

void *nb_calloc(size_t n, size_t size)
{
	return nb_should_fail() ? NULL : calloc(n, size);
}

void *nb_realloc(void *p, size_t n, size_t size)
{
	return nb_should_fail() ? NULL : reallocarray(p, n, size);
}

void *nb_aligned_zalloc(size_t align, size_t size)
{
	void *p = NULL;

	if (nb_should_fail() || posix_memalign(&p, align, size))
		return NULL;
	memset(p, 0, size);
	return p;
}

void nb_free(void *p)
{
	free(p);
}
