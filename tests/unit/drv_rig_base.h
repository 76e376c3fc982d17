/* SPDX-License-Identifier: BSD-3-Clause */
/* What the benches of both drivers are made of: the first half. The second needs the vendor's struct rig: drv_rig_fns.h. */
#ifndef NB_TESTS_DRV_RIG_BASE_H
#define NB_TESTS_DRV_RIG_BASE_H

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/trace.h"
#include "drv/drv.h"
#include "hw/atc.h"
#include "uapi/iommufd.h"

#define K4 UINT64_C(0x1000)
#define M2 UINT64_C(0x200000)
#define G1 UINT64_C(0x40000000)
#define RW (PT_READ | PT_WRITE)

#define NUNITS 2
#define NDEVS  3		/* 0 and 1 behind unit 0, 2 behind unit 1 */
#define FAULT  BIT(63)		/* rig_go(): refused, the reason in the low bits */

enum rig_answer { RIG_TAKE, RIG_REFUSE, RIG_ANSWER, RIG_FAIL };

#define OK(r, call)                                                                                          \
	do {                                                                                                  \
		int err_ = (call);                                                                            \
		if (err_)                                                                                     \
			fail_msg("%s:%d: %s: %s (%s)", __FILE__, __LINE__, #call, strerror(-err_), (r)->diag.msg); \
	} while (0)

#endif
