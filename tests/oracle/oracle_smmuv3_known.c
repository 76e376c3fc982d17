/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where QEMU's arm-smmuv3 is known to differ from the manual (IHI 0070 G.b, DDI 0487). A filter looks at what the case holds and
 * at both answers, and explains a difference only as a whole: first match wins.
 *
 * All were seen with 11.1.3.
 */
#include "oracle_smmuv3.h"

const struct oracle_filter smmu_known[] = {
	{NULL, NULL, NULL, NULL},
};
