/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * QEMU plugs devices in the order of its command line. A vfio-pci device that comes before its vIOMMU never hears of it: no
 * message, no nesting.
 *
 * intel-iommu is everyone's vIOMMU. An arm-smmuv3 is that of one root bus, so there may be several, and devices behind none:
 * which one a device has is found by going up from its bus. What cannot be followed is taken for a root bus.
 */
#include "cli/qemu_devices.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define HOPS_MAX 32 /* bridges above each other; the arguments may also name a circle */

typedef char name_buf[64];

static bool is_json(const char *arg)
{
	return arg[0] == '{';
}

/* The value of a property in "driver,key=value,..." or JSON; false: not there, or too long. */
static bool property(const char *arg, const char *key, name_buf value)
{
	char want[32];
	const char *p;
	size_t n;

	if (is_json(arg)) {
		snprintf(want, sizeof(want), "\"%s\"", key);
		p = strstr(arg, want);
		if (!p)
			return false;
		p += strlen(want);
		p += strspn(p, " \t\n:\"");
		n = strcspn(p, "\",} \t\n");
	} else {
		snprintf(want, sizeof(want), ",%s=", key);
		p = strstr(arg, want);
		if (!p)
			return false;
		p += strlen(want);
		n = strcspn(p, ",");
	}
	return (size_t)snprintf(value, sizeof(name_buf), "%.*s", (int)n, p) < sizeof(name_buf);
}

static bool is_on(const char *arg, const char *key)
{
	name_buf v;

	return property(arg, key, v) && (!strcmp(v, "on") || !strcmp(v, "true") || !strcmp(v, "yes") || !strcmp(v, "y"));
}

/* Does the argument ("vfio-pci,host=...", "driver=vfio-pci,...", or JSON) name this driver? */
static bool names_driver(const char *arg, const char *driver)
{
	size_t n = strlen(driver);
	name_buf v;

	if (is_json(arg))
		return property(arg, "driver", v) && strcmp(v, driver) == 0;
	if (strncmp(arg, "driver=", 7) == 0)
		arg += 7;
	return strncmp(arg, driver, n) == 0 && (arg[n] == 0 || arg[n] == ',');
}

/* The argument of the first -device option in what is left of the command line, or null; *argv stands behind it then. */
static const char *next_device(char *const **argv)
{
	while (**argv && (*argv)[1]) {
		const char *option = *(*argv)++;

		if (strcmp(option, "-device") == 0 || strcmp(option, "--device") == 0)
			return *(*argv)++;
	}
	return NULL;
}

static const char *find_id(char *const argv[], const char *id)
{
	const char *d;
	name_buf v;

	while ((d = next_device(&argv)) != NULL)
		if (property(d, "id", v) && strcmp(v, id) == 0)
			return d;
	return NULL;
}

static void root_bus(char *const argv[], const char *device, name_buf bus)
{
	unsigned int hops;

	for (hops = 0; hops < HOPS_MAX && device; hops++) {
		if (!property(device, "bus", bus))
			snprintf(bus, sizeof(name_buf), "pcie.0");
		device = find_id(argv, bus);
		if (device && (names_driver(device, "pxb-pcie") || names_driver(device, "pxb")))
			return; /* the bus below it has its name and is a root */
	}
}

static bool is_accelerated(const char *d)
{
	return names_driver(d, "arm-smmuv3") && is_on(d, "accel");
}

static bool is_nesting_vtd(const char *d)
{
	return names_driver(d, "intel-iommu") && (is_on(d, "fsts") || is_on(d, "x-flts"));
}

/* `rest`: the command line behind the device. */
static void look_behind_smmu(char *const argv[], char *const rest[], const char *device, struct qemu_devices *q)
{
	name_buf bus, primary;
	const char *d;
	bool after;

	root_bus(argv, device, bus);
	while ((d = next_device(&argv)) != NULL) {
		if (!is_accelerated(d) || !property(d, "primary-bus", primary) || strcmp(primary, bus) != 0)
			continue;
		after = argv > rest;
		if (after)
			q->viommu_after = "arm-smmuv3";
		return;
	}
	q->outside++;
}

struct qemu_devices qemu_devices_look(char *const argv[])
{
	struct qemu_devices q = {false, NULL, 0};
	bool assigned = false, smmus = false;
	char *const *rest = ++argv;
	const char *d;

	while ((d = next_device(&rest)) != NULL) {
		assigned |= names_driver(d, "vfio-pci");
		if (names_driver(d, "intel-iommu") && assigned)
			q.viommu_after = "intel-iommu";
		smmus |= is_accelerated(d);
		q.asks_nesting |= is_nesting_vtd(d) || is_accelerated(d);
	}
	for (rest = argv; smmus && (d = next_device(&rest)) != NULL;)
		if (names_driver(d, "vfio-pci"))
			look_behind_smmu(argv, rest, d, &q);
	return q;
}
