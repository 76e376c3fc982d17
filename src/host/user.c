/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/user.h"

#include <string.h>

#include "drv/drv.h"

int user_check_zero(uint64_t uptr, uint64_t len)
{
	while (len) {
		uint64_t buf[64];
		size_t n = len < sizeof(buf) ? (size_t)len : sizeof(buf);
		uint64_t any = 0;

		memset(buf, 0, sizeof(buf));
		if (user_read(buf, uptr, n))
			return -EFAULT;
		for (unsigned int i = 0; i < sizeof(buf) / sizeof(buf[0]); i++)
			any |= buf[i];
		if (any)
			return -E2BIG;
		uptr += n;
		len -= n;
	}
	return 0;
}

int user_read_struct(void *dst, size_t size, uint64_t uptr, uint64_t user_size)
{
	size_t n = user_size < size ? (size_t)user_size : size;

	if (user_size > size) {
		int err = user_check_zero(uptr + size, user_size - size);

		if (err)
			return err;
	}
	memset((char *)dst + n, 0, size - n);
	return user_read(dst, uptr, n);
}
