/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mkrun DIR: fill in a run directory for the fake host, as the launcher does for a real one (run/rundir.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/trace.h"
#include "fake_host.h"
#include "machine/desc.h"
#include "run/rundir.h"

static char dir[3072];

static void die(const char *what)
{
	fprintf(stderr, "mkrun: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void put(const char *name, const void *data, size_t len)
{
	char path[4096], *p;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (p = path + strlen(dir) + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		if (mkdir(path, 0755) && errno != EEXIST)
			die(path);
		*p = '/';
	}
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		die(path);
	close(fd);
}

static void put_link(const char *name, const char *target)
{
	char path[4096];

	put(name, "", 0); /* makes the directories */
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (unlink(path) || symlink(target, path))
		die(path);
}

int main(int argc, char **argv)
{
	static struct nb_counters counters;
	struct nb_desc desc = {.magic = NB_DESC_MAGIC, .size = sizeof(desc), .nfunctions = FAKE_DEVICES};
	char name[256], text[64], target[128];
	unsigned int i;

	if (argc != 2 || !realpath(argv[1], dir))
		die(argc == 2 ? argv[1] : "DIR");
	put(NB_RUN_HOST, &desc, sizeof(desc));
	put(NB_RUN_COUNTERS, &counters, sizeof(counters));
	put("dev/iommu", "", 0);
	for (i = 0; i < FAKE_DEVICES; i++) {
		snprintf(name, sizeof(name), "sys/bus/pci/devices/0000:%02x:00.0/vfio-dev/vfio%u/dev", i + 1, i);
		snprintf(text, sizeof(text), "%d:%u\n", NB_RUN_VFIO_MAJOR, i);
		put(name, text, strlen(text));
		snprintf(name, sizeof(name), "sys/bus/pci/devices/0000:%02x:00.0/subsystem", i + 1);
		put_link(name, "../../../pci");
		snprintf(name, sizeof(name), "sys/bus/pci/devices/0000:%02x:00.0/iommu_group", i + 1);
		snprintf(target, sizeof(target), "../../../../kernel/iommu_groups/%u", i);
		put_link(name, target);
		snprintf(name, sizeof(name), "sys/kernel/iommu_groups/%u/type", i);
		put(name, "DMA\n", 4);
		snprintf(name, sizeof(name), "dev/vfio/devices/vfio%u", i);
		put(name, "", 0);
	}
	return 0;
}
