/* SPDX-License-Identifier: BSD-3-Clause */
/* User pointers: addresses of this process that a caller made up. Every use is one of these. */
#ifndef NB_HOST_USER_H
#define NB_HOST_USER_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "mem/guard.h"

#define HOST_PAGE_SIZE 4096u

static inline void *user_ptr(uint64_t uptr)
{
	return (void *)(uintptr_t)uptr;
}

static inline int user_read(void *dst, uint64_t uptr, size_t len)
{
	return guard_copy(dst, user_ptr(uptr), len) ? -EFAULT : 0;
}

static inline int user_write(uint64_t uptr, const void *src, size_t len)
{
	return guard_copy(user_ptr(uptr), src, len) ? -EFAULT : 0;
}

/* 0 when [uptr, uptr + len) is all zero, -E2BIG when it is not, -EFAULT. */
int user_check_zero(uint64_t uptr, uint64_t len);
/*
 * Copy a size-prefixed struct: what the caller does not have reads as zero, what we do not know must be zero (-E2BIG).
 */
int user_read_struct(void *dst, size_t size, uint64_t uptr, uint64_t user_size);

#endif
