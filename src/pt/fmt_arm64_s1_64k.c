/* SPDX-License-Identifier: BSD-3-Clause */
/* VMSAv8-64 stage 1, 64 KiB granule. */
#define FMT_PAGE_LG2 16
#define ARM64_STAGE  1
#define ARM64_FMT    pt_fmt_arm64_s1_64k
#define ARM64_NAME   "arm64-s1-64k"
#include "pt/fmt_arm64.h"
