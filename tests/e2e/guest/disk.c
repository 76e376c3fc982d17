/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest's NVMe disks, known by the PCI address of their controller. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

static int by_pci(const void *a, const void *b)
{
	const struct disk *x = a, *y = b;

	return strcmp(x->pci, y->pci);
}

/* Disks come and go while we look: one that cannot be read in full is not there. */
static int disk_read(struct disk *disk, const char *name)
{
	char path[PATH_MAX], target[PATH_MAX], text[32];
	const char *last;

	snprintf(disk->name, sizeof(disk->name), "%.31s", name);
	snprintf(path, sizeof(path), "/sys/block/%.31s/device/device", name);
	if (!realpath(path, target))
		return -1;
	last = strrchr(target, '/');
	snprintf(disk->pci, sizeof(disk->pci), "%.15s", last + 1);
	snprintf(path, sizeof(path), "/sys/block/%.31s/size", name);
	if (read_text(path, text, sizeof(text)) < 0)
		return -1;
	disk->bytes = strtoull(text, NULL, 10) * SECTOR;
	return disk->bytes ? 0 : -1;
}

unsigned int disks_list(struct disk *disks)
{
	unsigned int count = 0;
	struct dirent *entry;
	DIR *dir = opendir("/sys/block");

	if (!dir)
		fail("/sys/block: %s", strerror(errno));
	while (count < DISKS_MAX && (entry = readdir(dir)) != NULL) {
		if (strncmp(entry->d_name, "nvme", 4) == 0 && disk_read(&disks[count], entry->d_name) == 0)
			count++;
	}
	closedir(dir);
	qsort(disks, count, sizeof(disks[0]), by_pci);
	return count;
}

/* The driver probes its controllers in the background. */
unsigned int disks_wait(struct disk *disks, unsigned int count)
{
	double limit = now() + 30;
	unsigned int found;

	while ((found = disks_list(disks)) < count) {
		if (now() > limit)
			fail("%u NVMe disks found, %u expected", found, count);
		sleep_ms(10);
	}
	return found;
}

void disk_wait_at(struct disk *disk, const char *pci)
{
	struct disk disks[DISKS_MAX];
	double limit = now() + 30;

	while (now() < limit) {
		unsigned int count = disks_list(disks);

		for (unsigned int i = 0; i < count; i++) {
			if (strcmp(disks[i].pci, pci) == 0) {
				*disk = disks[i];
				return;
			}
		}
		sleep_ms(10);
	}
	fail("no NVMe disk at %s", pci);
}

int disk_open(const struct disk *disk, int flags)
{
	char path[64];
	double limit = now() + 10;
	int fd;

	snprintf(path, sizeof(path), "/dev/%s", disk->name);
	/* Between sysfs showing a new disk and the disk being open to all lie its node and its capacity. */
	while ((fd = open(path, flags | O_CLOEXEC)) < 0 && (errno == ENOENT || errno == ENXIO) && now() < limit)
		sleep_ms(5);
	if (fd < 0)
		fail("%s: %s", path, strerror(errno));
	return fd;
}

void *io_buffer(size_t size)
{
	void *buf = NULL;

	if (posix_memalign(&buf, 4096, size) != 0)
		fail("out of memory");
	memset(buf, 0, size);
	return buf;
}
