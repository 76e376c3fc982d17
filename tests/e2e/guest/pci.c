/* SPDX-License-Identifier: BSD-3-Clause */
/* PCI functions in sysfs. */

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "guest.h"

static unsigned long attribute(const char *pci, const char *name)
{
	char path[PATH_MAX], text[32];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.15s/%s", pci, name);
	return read_text(path, text, sizeof(text)) == 0 ? strtoul(text, NULL, 16) : ULONG_MAX;
}

int pci_find(unsigned int vendor, unsigned int device, char *pci, size_t size)
{
	DIR *dir = opendir("/sys/bus/pci/devices");
	struct dirent *entry;
	int found = -1;

	while (dir && found < 0 && (entry = readdir(dir)) != NULL) {
		if (attribute(entry->d_name, "vendor") == vendor &&
		    attribute(entry->d_name, "device") == device) {
			snprintf(pci, size, "%s", entry->d_name);
			found = 0;
		}
	}
	if (dir)
		closedir(dir);
	return found;
}
