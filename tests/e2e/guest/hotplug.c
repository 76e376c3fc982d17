/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hotplug: verified load on the disk at PCI address `disk` all the while; any other disk may come and go (the
 * host drives that through QMP) and gets a short verified I/O each time it appears, before "appeared=N" tells
 * the host to go on. Ends after `times` disappearances. Parameters: disk, times (20), secs (60) at most.
 */

#include <inttypes.h>
#include <string.h>

#include "guest.h"

static int find_other(struct disk *other, const char *first)
{
	struct disk disks[DISKS_MAX];
	unsigned int count = disks_list(disks);

	for (unsigned int i = 0; i < count; i++) {
		if (strcmp(disks[i].pci, first) != 0) {
			*other = disks[i];
			return 1;
		}
	}
	return 0;
}

static void wait_other(struct disk *other, const char *first, int present, double limit)
{
	while (find_other(other, first) != present) {
		if (now() > limit)
			fail("the other disk did not %s", present ? "appear" : "go");
		sleep_ms(10);
	}
}

void scenario_hotplug(void)
{
	const char *first = param("disk", "");
	unsigned int times = param_uint("times", 20);
	double limit = now() + param_uint("secs", 60);
	struct disk disk, other;
	struct load_stats stats;
	struct load *load;

	disk_wait_at(&disk, first);
	load = load_start(&disk, 1, 1);
	report("load", "running");
	for (unsigned int n = 1; n <= times; n++) {
		wait_other(&other, first, 1, limit);
		if (load_check_once(&other, 40, n) != 0)
			fail("the other disk failed its check at appearance %u", n);
		report("appeared", "%u", n);
		wait_other(&other, first, 0, limit);
		report("gone", "%u", n);
	}
	load_stop(load, &stats);
	report("load_stats", "%s ops=%" PRIu64 " bytes=%" PRIu64 " errors=%" PRIu64, disk.pci, stats.ops,
	       stats.bytes, stats.errors);
	report("checksum_ok", "%d", stats.errors == 0);
	if (stats.errors || stats.ops == 0)
		fail("%" PRIu64 " errors in %" PRIu64 " operations", stats.errors, stats.ops);
}
