/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/diag.h"

#include <stdarg.h>
#include <stdio.h>

int nb_fail(struct nb_diag *diag, int err, const char *fmt, ...)
{
	if (diag) {
		va_list ap;

		va_start(ap, fmt);
		vsnprintf(diag->msg, sizeof(diag->msg), fmt, ap);
		va_end(ap);
	}
	return err;
}
