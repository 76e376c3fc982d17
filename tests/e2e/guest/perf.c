/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * perf: 4 KiB random reads per second and 128 KiB sequential reads and writes in MB/s, on each disk in turn,
 * `rounds` times over, so that the disks compared share what the host does to the guest meanwhile. The middle
 * round is reported. Parameters: disk=PCI[;PCI...], rounds (3), ms (700) per measurement, depth (16).
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"

#define DEPTH_MAX   64u
#define ROUNDS_MAX  15u
#define SPAN_MAX    (UINT64_C(64) << 20) /* the part of the disk that is used */
#define RANDOM_SIZE 4096u
#define STREAM_SIZE (128u << 10)

enum test { RANDREAD, SEQREAD, SEQWRITE, TESTS };

static const struct {
	const char *key;
	uint16_t opcode;
	uint32_t size;
} tests[TESTS] = {
	[RANDREAD] = {"randread_iops", IOCB_CMD_PREAD, RANDOM_SIZE},
	[SEQREAD] = {"seqread_mbps", IOCB_CMD_PREAD, STREAM_SIZE},
	[SEQWRITE] = {"seqwrite_mbps", IOCB_CMD_PWRITE, STREAM_SIZE},
};

struct bench {
	aio_context_t aio;
	int fd;
	unsigned int depth;
	uint64_t blocks, next, rng;
	unsigned char *buf; /* one STREAM_SIZE slot for each request under way */
	struct iocb cbs[DEPTH_MAX];
};

static void submit(struct bench *b, enum test test, unsigned int slot)
{
	uint32_t size = tests[test].size;
	uint64_t block = test == RANDREAD ? rng_next(&b->rng) % b->blocks : b->next++ % b->blocks;
	struct iocb *cb = &b->cbs[slot], *list[1] = {cb};

	*cb = (struct iocb){
		.aio_data = slot,
		.aio_lio_opcode = tests[test].opcode,
		.aio_fildes = (uint32_t)b->fd,
		.aio_buf = (uintptr_t)(b->buf + (size_t)slot * STREAM_SIZE),
		.aio_nbytes = size,
		.aio_offset = (int64_t)(block * size),
	};
	if (syscall(SYS_io_submit, b->aio, 1, list) != 1)
		fail("io_submit: %s", strerror(errno));
}

static unsigned int reap(struct bench *b, struct io_event *events, uint32_t size)
{
	long n = syscall(SYS_io_getevents, b->aio, 1, b->depth, events, NULL);

	if (n <= 0)
		fail("io_getevents: %s", strerror(errno));
	for (long i = 0; i < n; i++) {
		if (events[i].res != (int64_t)size)
			fail("an I/O of %u bytes returned %lld", size, (long long)events[i].res);
	}
	return (unsigned int)n;
}

static double measure(struct bench *b, enum test test, unsigned int depth, double secs, uint64_t span)
{
	struct io_event events[DEPTH_MAX];
	uint32_t size = tests[test].size;
	double start, end;
	uint64_t done = 0;
	unsigned int n, inflight = 0;

	b->depth = depth;
	b->blocks = span / size;
	b->next = 0;
	start = now();
	end = start + secs;
	while (inflight < depth)
		submit(b, test, inflight++);
	while (inflight > 0) {
		n = reap(b, events, size);
		done += n;
		inflight -= n;
		for (unsigned int i = 0; i < n && now() < end; i++, inflight++)
			submit(b, test, (unsigned int)events[i].data);
	}
	return (double)done * (test == RANDREAD ? 1 : size / 1e6) / (now() - start);
}

static void bench_disk(const struct disk *disk, double *results)
{
	unsigned int depth = param_uint("depth", 16);
	double secs = param_uint("ms", 700) / 1e3;
	uint64_t span = disk->bytes < SPAN_MAX ? disk->bytes : SPAN_MAX;
	struct bench *b = calloc(1, sizeof(*b));

	if (!b || depth == 0 || depth > DEPTH_MAX)
		fail("perf: bad depth %u", depth);
	b->rng = 1;
	b->fd = disk_open(disk, O_RDWR | O_DIRECT);
	b->buf = io_buffer((size_t)depth * STREAM_SIZE);
	pattern_fill(b->buf, (size_t)depth * STREAM_SIZE, 1);
	if (syscall(SYS_io_setup, depth, &b->aio) < 0)
		fail("io_setup: %s", strerror(errno));

	results[SEQWRITE] = measure(b, SEQWRITE, depth < 4 ? depth : 4, secs, span);
	results[SEQREAD] = measure(b, SEQREAD, depth < 4 ? depth : 4, secs, span);
	results[RANDREAD] = measure(b, RANDREAD, depth, secs, span);

	syscall(SYS_io_destroy, b->aio);
	close(b->fd);
	free(b->buf);
	free(b);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void scenario_perf(void)
{
	static double results[DISKS_MAX][TESTS][ROUNDS_MAX];
	unsigned int rounds = param_uint("rounds", 3), count = 0;
	struct disk disks[DISKS_MAX];
	char names[256], *save;

	snprintf(names, sizeof(names), "%s", param("disk", ""));
	for (char *name = strtok_r(names, ";", &save); name && count < DISKS_MAX;
	     name = strtok_r(NULL, ";", &save))
		disk_wait_at(&disks[count++], name);
	if (count == 0 || rounds == 0 || rounds > ROUNDS_MAX)
		fail("perf: no disk=, or bad rounds %u", rounds);

	for (unsigned int round = 0; round < rounds; round++) {
		for (unsigned int i = 0; i < count; i++) {
			double now_measured[TESTS];

			bench_disk(&disks[i], now_measured);
			for (int t = 0; t < TESTS; t++)
				results[i][t][round] = now_measured[t];
		}
	}
	for (unsigned int i = 0; i < count; i++) {
		for (int t = 0; t < TESTS; t++) {
			char key[64];

			qsort(results[i][t], rounds, sizeof(double), by_value);
			snprintf(key, sizeof(key), "%s.%s", tests[t].key, disks[i].pci);
			report(key, "%.1f", results[i][t][rounds / 2]);
		}
	}
}
