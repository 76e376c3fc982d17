/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Verified load on a disk. Each thread owns one region and remembers for each of its sectors the generation
 * it wrote last; a sector's content follows from its number and generation, so whatever is read is compared
 * in full, and stale, misplaced and torn data are told apart from good data.
 *
 * Transfers are O_DIRECT, 512 B to 128 KiB, at any sector and at any dword of memory, so that the lists of
 * pages handed to the controller take every shape.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "guest.h"

#define SECTORS_MAX 256u  /* of one transfer: 128 KiB */
#define REGION      8192u /* sectors of a thread: 4 MiB */
#define THREADS_MAX 16u
#define ERASED      0u /* generation of a sector that reads as zeroes */

struct worker {
	struct load *load;
	pthread_t thread;
	uint64_t rng;
	uint64_t first; /* sector */
	uint32_t *gens;
	unsigned char *buf, *want; /* a transfer plus a page, for odd starts; a sector */
	struct load_stats stats;
};

struct load {
	char name[32];
	int fd;
	unsigned int threads;
	atomic_bool stop;
	struct worker workers[THREADS_MAX];
};

static void sector_fill(void *buf, uint64_t sector, uint32_t gen)
{
	if (gen == ERASED)
		memset(buf, 0, SECTOR);
	else
		pattern_fill(buf, SECTOR, (sector << 32) + gen);
}

/* A disk that went away says EIO, ENXIO or ENODEV; the scenarios decide whether it may. */
static void io_failed(struct worker *w, const char *what, uint64_t sector, uint32_t count)
{
	w->stats.errors++;
	if (w->stats.errors == 1)
		report("io_error", "%s: %s of %u sectors at %" PRIu64 ": %s", w->load->name, what, count,
		       sector, strerror(errno));
}

static void do_write(struct worker *w, uint32_t at, uint32_t count, unsigned char *buf)
{
	uint64_t sector = w->first + at;
	ssize_t bytes = (ssize_t)count * SECTOR;

	for (uint32_t i = 0; i < count; i++)
		sector_fill(buf + i * SECTOR, sector + i, ++w->gens[at + i]);
	if (pwrite(w->load->fd, buf, (size_t)bytes, (off_t)(sector * SECTOR)) != bytes)
		io_failed(w, "write", sector, count);
}

static void do_read(struct worker *w, uint32_t at, uint32_t count, unsigned char *buf)
{
	uint64_t sector = w->first + at;
	ssize_t bytes = (ssize_t)count * SECTOR;

	if (pread(w->load->fd, buf, (size_t)bytes, (off_t)(sector * SECTOR)) != bytes) {
		io_failed(w, "read", sector, count);
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		sector_fill(w->want, sector + i, w->gens[at + i]);
		if (memcmp(w->want, buf + i * SECTOR, SECTOR) != 0) {
			errno = EBADMSG;
			io_failed(w, "compare", sector + i, 1);
			return;
		}
	}
}

static void do_erase(struct worker *w, uint32_t at, uint32_t count)
{
	uint64_t range[2] = {(w->first + at) * SECTOR, (uint64_t)count * SECTOR};

	if (ioctl(w->load->fd, BLKZEROOUT, range) < 0)
		io_failed(w, "write zeroes", w->first + at, count);
	memset(w->gens + at, 0, count * sizeof(w->gens[0]));
}

static void one_op(struct worker *w)
{
	uint64_t dice = rng_next(&w->rng);
	/* Sizes evenly by power of two, so that small ones are not rare. */
	uint32_t top = 1u << (dice % 9);
	uint32_t count = 1 + (uint32_t)(dice >> 8) % top;
	uint32_t at = (uint32_t)(dice >> 24) % (REGION - count);
	unsigned char *buf = w->buf + ((dice >> 48) % 1024) * 4;
	unsigned int kind = (unsigned int)(dice >> 58);

	if (kind == 0)
		do_erase(w, at, count);
	else if (kind == 1)
		fsync(w->load->fd);
	else if (kind < 32)
		do_write(w, at, count, buf);
	else
		do_read(w, at, count, buf);
	w->stats.ops++;
	w->stats.bytes += (uint64_t)count * SECTOR;
}

static void worker_init(struct worker *w, struct load *load, unsigned int index, uint64_t seed)
{
	w->load = load;
	w->rng = mix64(seed + index);
	w->first = (uint64_t)index * REGION;
	w->gens = io_buffer(REGION * sizeof(w->gens[0]));
	w->buf = io_buffer(SECTORS_MAX * SECTOR + 4096);
	w->want = io_buffer(SECTOR);
	do_erase(w, 0, REGION);
}

static void *worker_run(void *arg)
{
	struct worker *w = arg;

	/* The flag carries no data: the join orders everything else. */
	while (!atomic_load_explicit(&w->load->stop, memory_order_relaxed))
		one_op(w);
	return NULL;
}

static struct load *load_open(const struct disk *disk, unsigned int threads, uint64_t seed)
{
	struct load *load = calloc(1, sizeof(*load));

	if (!load || threads > THREADS_MAX || disk->bytes < (uint64_t)threads * REGION * SECTOR)
		fail("%s is too small for %u threads", disk->name, threads);
	memcpy(load->name, disk->name, sizeof(load->name));
	load->fd = disk_open(disk, O_RDWR | O_DIRECT);
	load->threads = threads;
	for (unsigned int i = 0; i < threads; i++)
		worker_init(&load->workers[i], load, i, seed);
	return load;
}

static void load_close(struct load *load, struct load_stats *stats)
{
	*stats = (struct load_stats){0};
	for (unsigned int i = 0; i < load->threads; i++) {
		struct worker *w = &load->workers[i];

		stats->ops += w->stats.ops;
		stats->bytes += w->stats.bytes;
		stats->errors += w->stats.errors;
		free(w->gens);
		free(w->buf);
		free(w->want);
	}
	close(load->fd);
	free(load);
}

struct load *load_start(const struct disk *disk, unsigned int threads, uint64_t seed)
{
	struct load *load = load_open(disk, threads, seed);

	for (unsigned int i = 0; i < threads; i++) {
		struct worker *w = &load->workers[i];

		if (pthread_create(&w->thread, NULL, worker_run, w) != 0)
			fail("cannot start a thread");
	}
	return load;
}

void load_stop(struct load *load, struct load_stats *stats)
{
	atomic_store_explicit(&load->stop, true, memory_order_relaxed);
	for (unsigned int i = 0; i < load->threads; i++)
		pthread_join(load->workers[i].thread, NULL);
	load_close(load, stats);
}

uint64_t load_check_once(const struct disk *disk, unsigned int ops, uint64_t seed)
{
	struct load *load = load_open(disk, 1, seed);
	struct load_stats stats;

	while (ops-- > 0)
		one_op(&load->workers[0]);
	load_close(load, &stats);
	return stats.errors;
}

/* nvme-load: parameters secs (5), threads (4), disks (1). Every disk is loaded at the same time. */
void scenario_nvme_load(void)
{
	unsigned int secs = param_uint("secs", 5);
	struct disk disks[DISKS_MAX];
	unsigned int count = disks_wait(disks, param_uint("disks", 1));
	struct load *loads[DISKS_MAX];
	uint64_t errors = 0;

	for (unsigned int i = 0; i < count; i++)
		loads[i] = load_start(&disks[i], param_uint("threads", 4), i);
	report("load", "running");
	sleep_ms(secs * 1000);
	for (unsigned int i = 0; i < count; i++) {
		struct load_stats stats;

		load_stop(loads[i], &stats);
		report("load_stats", "%s ops=%" PRIu64 " bytes=%" PRIu64 " errors=%" PRIu64, disks[i].pci,
		       stats.ops, stats.bytes, stats.errors);
		if (stats.ops == 0)
			fail("%s did nothing", disks[i].name);
		errors += stats.errors;
	}
	report("checksum_ok", "%d", errors == 0);
	if (errors)
		fail("%" PRIu64 " errors under load", errors);
}
