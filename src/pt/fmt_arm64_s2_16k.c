/* SPDX-License-Identifier: BSD-3-Clause */
/* VMSAv8-64 stage 2, 16 KiB granule. */
#define FMT_PAGE_LG2 14
#define ARM64_STAGE  2
#define ARM64_FMT    pt_fmt_arm64_s2_16k
#define ARM64_NAME   "arm64-s2-16k"
#include "pt/fmt_arm64.h"
