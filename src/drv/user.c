/* SPDX-License-Identifier: BSD-3-Clause */
/* Blobs of the caller's, copied once into the kernel's own memory. */
#include "drv/drv.h"

#include <errno.h>
#include <string.h>

#include "mem/guard.h"

int drv_copy_user_data(void *dst, size_t size, size_t min_len, uint32_t type, const struct drv_user_data *data)
{
	if (data->type != type || data->len < min_len || data->len > size)
		return -EINVAL;
	memset(dst, 0, size);
	return guard_copy(dst, (const void *)(uintptr_t)data->uptr, data->len) ? -EFAULT : 0;
}
