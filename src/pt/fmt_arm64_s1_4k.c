/* SPDX-License-Identifier: BSD-3-Clause */
/* VMSAv8-64 stage 1, 4 KiB granule. */
#define FMT_PAGE_LG2 12
#define ARM64_STAGE  1
#define ARM64_FMT    pt_fmt_arm64_s1_4k
#define ARM64_NAME   "arm64-s1-4k"
#include "pt/fmt_arm64.h"
