/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nvme: on every disk, write `mib` MiB through the page cache, flush, drop the caches, read back, compare
 * checksums. Parameters: mib (64), disks (1) to wait for, seed.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "guest.h"

#define CHUNK (1u << 20)

static void report_group_type(const struct disk *disk)
{
	char path[PATH_MAX], type[32];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group/type", disk->pci);
	report("iommu_group_type", "%s", read_text(path, type, sizeof(type)) == 0 ? type : "none");
}

static uint64_t write_disk(int fd, unsigned char *buf, unsigned int mib, uint64_t seed)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < mib; i++) {
		pattern_fill(buf, CHUNK, seed + i);
		sum = checksum(sum, buf, CHUNK);
		if (pwrite(fd, buf, CHUNK, (off_t)i * CHUNK) != CHUNK)
			fail("writing MiB %u: %s", i, strerror(errno));
	}
	if (fsync(fd) < 0)
		fail("fsync: %s", strerror(errno));
	return sum;
}

static uint64_t read_disk(int fd, unsigned char *buf, unsigned int mib)
{
	uint64_t sum = 0;

	if (ioctl(fd, BLKFLSBUF, 0) < 0)
		fail("BLKFLSBUF: %s", strerror(errno));
	write_text("/proc/sys/vm/drop_caches", "3");
	for (unsigned int i = 0; i < mib; i++) {
		if (pread(fd, buf, CHUNK, (off_t)i * CHUNK) != CHUNK)
			fail("reading MiB %u: %s", i, strerror(errno));
		sum = checksum(sum, buf, CHUNK);
	}
	return sum;
}

void scenario_nvme(void)
{
	unsigned int mib = param_uint("mib", 64);
	uint64_t seed = param_uint("seed", 1);
	unsigned char *buf = io_buffer(CHUNK);
	struct disk disks[DISKS_MAX];
	unsigned int count = disks_wait(disks, param_uint("disks", 1));
	int ok = 1;

	for (unsigned int i = 0; i < count; i++) {
		const struct disk *disk = &disks[i];
		int fd = disk_open(disk, O_RDWR);
		uint64_t wrote, read_back;
		double start = now();

		report("disk", "%s pci=%s bytes=%" PRIu64, disk->name, disk->pci, disk->bytes);
		report_group_type(disk);
		wrote = write_disk(fd, buf, mib, mix64(seed + i));
		report("written_checksum", "%016" PRIx64, wrote);
		read_back = read_disk(fd, buf, mib);
		report("read_checksum", "%016" PRIx64, read_back);
		report("io_seconds", "%.2f", now() - start);
		ok &= wrote == read_back;
		close(fd);
	}
	report("checksum_ok", "%d", ok);
	if (!ok)
		fail("what was read is not what was written");
}
