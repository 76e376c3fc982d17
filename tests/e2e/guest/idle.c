/* SPDX-License-Identifier: BSD-3-Clause */
/* idle: say so and wait for the host to act, for `secs` (60) at most. */

#include "guest.h"

void scenario_idle(void)
{
	report("ready", "1");
	sleep_ms(param_uint("secs", 60) * 1000);
}
