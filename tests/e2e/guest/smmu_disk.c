/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * smmu-disk: the guest kernel's SMMUv3 driver at work. First nvme, with its parameters. Then the dmatest function, for which nothing is
 * mapped, is made to read somewhere: the kernel must be told, for that function and that address.
 */

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>

#include "engine.h"
#include "guest.h"
#include "vfio.h"

enum { KLOG_READ_ALL = 3 }; /* syslog(2) */

#define NOWHERE UINT64_C(0x12345678000)

/* The driver prints a record as a line "event 0xNN received:" and its four words, the third being the address. */
static int kernel_was_told(const char *address)
{
	static char log[1 << 18];
	int n = klogctl(KLOG_READ_ALL, log, sizeof(log) - 1);
	const char *event;

	log[n > 0 ? n : 0] = '\0';
	event = strstr(log, "event 0x10 received");
	return event && strstr(event, address) != NULL;
}

void scenario_smmu_disk(void)
{
	double limit = now() + PATIENCE;
	struct engine e;
	char pci[16], path[PATH_MAX], address[32];

	scenario_nvme();
	engine_find(pci, sizeof(pci));
	vfio_bind(pci); /* which maps nothing; before the first driver comes the kernel gives a function no tables */
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver/unbind", pci);
	write_text(path, pci);
	engine_open(&e, pci);
	snprintf(address, sizeof(address), "0x%016llx", (unsigned long long)NOWHERE);
	if (kernel_was_told(address))
		fail("an event before there was a reason for one");
	engine_expect(&e, DMATEST_ERROR_SRC_DMA, "nowhere", DMATEST_CMD_CHECKSUM, NOWHERE, 0, 64);
	while (!kernel_was_told(address)) {
		if (now() > limit)
			fail("the kernel's driver printed no event for %s", address);
		sleep_ms(10);
	}
	report("kernel_event", "ok");
}
