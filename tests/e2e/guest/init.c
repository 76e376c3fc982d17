/* SPDX-License-Identifier: BSD-3-Clause */
/* The first and only process of the test guest: sets the stage, runs the scenario, powers off. */

#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "guest.h"

static const struct scenario {
	const char *name;
	void (*run)(void);
} scenarios[] = {
	{"nvme", scenario_nvme},       {"nvme-load", scenario_nvme_load},
	{"perf", scenario_perf},       {"hotplug", scenario_hotplug},
	{"net", scenario_net},         {"idle", scenario_idle},
	{"dmatest", scenario_dmatest}, {"pasid", scenario_pasid},
	{"own-iommu", scenario_own_iommu},
	{"smmu", scenario_smmu},       {"smmu-disk", scenario_smmu_disk},
};

static void mount_kernel_fs(void)
{
	static const struct {
		const char *type, *where;
	} list[] = {
		{"devtmpfs", "/dev"},
		{"proc", "/proc"},
		{"sysfs", "/sys"},
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		mkdir(list[i].where, 0755);
		/* A failure shows at the first use; devtmpfs may be there already. */
		mount(list[i].type, list[i].where, list[i].type, 0, NULL);
	}
}

int main(void)
{
	struct utsname uts;

	mount_kernel_fs();
	report_init();
	report("init", "start");
	params_init();
	watchdog_start(param_uint("watchdog", 120));

	uname(&uts);
	report("guest_kernel", "%s", uts.release);
	report("boot_seconds", "%.2f", now());

	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		if (strcmp(scenarios[i].name, param_scenario()) == 0) {
			scenarios[i].run();
			finish();
		}
	}
	fail("unknown scenario '%s'", param_scenario());
}
