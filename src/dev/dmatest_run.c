/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a dmatest command moves data. Work is bounded by the maximal length; requests never cross a 4 KiB boundary, so the
 * address of an aborted one is exact.
 */
#include <errno.h>
#include <string.h>

#include "dev/dmatest.h"

#define CHUNK 4096

/* One side of a command: an address on the bus, or an offset in local memory. */
struct side {
	uint64_t addr;
	bool local, translated;
	uint32_t error; /* what an abort on this side is called */
};

static uint32_t side_check(const struct side *s, uint64_t length)
{
	if (s->local)
		return s->addr > DMATEST_BAR_LOCAL_SIZE || length > DMATEST_BAR_LOCAL_SIZE - s->addr ?
			       DMATEST_ERROR_LOCAL :
			       DMATEST_ERROR_NONE;
	return s->addr + (length - 1) < s->addr ? DMATEST_ERROR_LENGTH : DMATEST_ERROR_NONE;
}

static uint64_t to_boundary(const struct side *s, uint64_t off)
{
	return CHUNK - ((s->addr + off) & (CHUNK - 1));
}

/* At most what does not cross a 4 KiB boundary. */
static uint32_t transfer(struct dmatest *d, const struct side *s, uint64_t off, uint8_t *buf, size_t n, bool write)
{
	uint64_t addr = s->addr + off;
	size_t moved = 0;
	int err;

	if (s->local) {
		memcpy(write ? d->local + addr : buf, write ? buf : d->local + addr, n);
		return DMATEST_ERROR_NONE;
	}
	if (unlikely(d->stall.raz) && addr == d->stall.addr) {
		d->stall.raz = false;
		if (!write)
			memset(buf, 0, n);
		return DMATEST_ERROR_NONE;
	}
	if (s->translated)
		err = pci_dma_translated(&d->fn, d->job.pasid, addr, buf, n, write);
	else if ((d->job.control & DMATEST_CONTROL_ATS) && pci_ats_on(&d->fn))
		err = pci_dma_ats(&d->fn, d->job.pasid, addr, buf, n, write, &moved);
	else
		err = write ? pci_dma_write(&d->fn, d->job.pasid, addr, buf, n) :
			      pci_dma_read(&d->fn, d->job.pasid, addr, buf, n);
	if (likely(!err))
		return DMATEST_ERROR_NONE;
	d->error_addr = addr + moved;
	if (err == -EAGAIN) { /* of a piece that stalled nothing has moved */
		d->stall = (struct dmatest_stall){.on = true, .addr = addr, .error = s->error};
		return DMATEST_STALLED;
	}
	if (err != -ENOENT || !(d->job.control & DMATEST_CONTROL_PRI) || !pci_pri_on(&d->fn))
		return s->error;
	d->miss.addr = d->error_addr;
	d->miss.access = write ? DEV_WRITE : DEV_READ;
	return DMATEST_MISSING;
}

static uint64_t fnv1a(uint64_t h, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * DMATEST_FNV_PRIME;
	return h;
}

/* Byte i of the range is byte i mod 8 of the pattern; buf, of CHUNK bytes, begins with byte `off`. */
static void put_pattern(uint8_t *buf, size_t n, uint64_t pattern, uint64_t off)
{
	unsigned int turn = 8 * (off & 7);
	uint64_t word = turn ? pattern >> turn | pattern << (64 - turn) : pattern;

	for (size_t i = 0; i < n; i += sizeof(word)) /* CHUNK is a multiple of 8: the last word fits */
		memcpy(buf + i, &word, sizeof(word));
}

static uint32_t check(const struct dmatest_job *j, const struct side *src, const struct side *dst)
{
	uint32_t op = j->command & DMATEST_CMD_OPCODE, err;

	if (j->length == 0 || j->length > DMATEST_MAX_LENGTH)
		return DMATEST_ERROR_LENGTH;
	if (op != DMATEST_CMD_FILL && (err = side_check(src, j->length)) != 0)
		return err;
	return op != DMATEST_CMD_CHECKSUM ? side_check(dst, j->length) : DMATEST_ERROR_NONE;
}

/* The commands that move data. A piece whose translation is missing, or which stalled, is done again from its first byte. */
static uint32_t move_locked(struct dmatest *d)
{
	struct dmatest_job *j = &d->job;
	struct side src = {j->src, j->command & DMATEST_CMD_SRC_LOCAL, j->command & DMATEST_CMD_SRC_TRANSLATED,
			   DMATEST_ERROR_SRC_DMA};
	struct side dst = {j->dst, j->command & DMATEST_CMD_DST_LOCAL, j->command & DMATEST_CMD_DST_TRANSLATED,
			   DMATEST_ERROR_DST_DMA};
	uint32_t op = j->command & DMATEST_CMD_OPCODE, err = check(j, &src, &dst);
	bool uses_src = op != DMATEST_CMD_FILL, uses_dst = op != DMATEST_CMD_CHECKSUM;
	uint64_t length = j->length;
	uint8_t a[CHUNK], b[CHUNK];

	if (err)
		return err;
	while (d->done < length) {
		uint64_t off = d->done, n = length - off;

		if (uses_src && n > to_boundary(&src, off))
			n = to_boundary(&src, off);
		if (uses_dst && n > to_boundary(&dst, off))
			n = to_boundary(&dst, off);
		if (uses_src && (err = transfer(d, &src, off, a, n, false)) != 0)
			return err;
		switch (op) {
		case DMATEST_CMD_FILL:
			put_pattern(a, n, j->pattern, off);
			/* fall through */
		case DMATEST_CMD_COPY:
			if ((err = transfer(d, &dst, off, a, n, true)) != 0)
				return err;
			break;
		case DMATEST_CMD_COMPARE:
			if ((err = transfer(d, &dst, off, b, n, false)) != 0)
				return err;
			for (size_t i = 0; i < n; i++) {
				if (a[i] != b[i]) {
					d->done = d->mismatch = off + i;
					return DMATEST_ERROR_MISMATCH;
				}
			}
			break;
		default:
			j->checksum = fnv1a(j->checksum, a, n);
			break;
		}
		d->done += n;
		d->miss.tries = 0;
	}
	if (op == DMATEST_CMD_CHECKSUM)
		d->checksum = j->checksum;
	return DMATEST_ERROR_NONE;
}


uint32_t dmatest_advance_locked(struct dmatest *d)
{
	uint32_t op = d->job.command & DMATEST_CMD_OPCODE, flags = d->job.command & ~(uint32_t)DMATEST_CMD_OPCODE;

	if (op > DMATEST_CMD_FORGET ||
	    (flags & ~(uint32_t)(DMATEST_CMD_SRC_LOCAL | DMATEST_CMD_DST_LOCAL | DMATEST_CMD_SRC_TRANSLATED |
				 DMATEST_CMD_DST_TRANSLATED)))
		return DMATEST_ERROR_COMMAND;
	/* In BAR 2 or translated, but not both. */
	if (flags & flags >> 2 & (DMATEST_CMD_SRC_LOCAL | DMATEST_CMD_DST_LOCAL))
		return DMATEST_ERROR_COMMAND;
	switch (op) {
	case DMATEST_CMD_NOP:
		return DMATEST_ERROR_NONE;
	case DMATEST_CMD_PAGE_REQUEST: /* without flags it does not come here */
		return DMATEST_ERROR_COMMAND;
	case DMATEST_CMD_TRANSLATE:
		return dmatest_translate_locked(d);
	case DMATEST_CMD_FORGET:
		if (!d->fn.bus.ats_forget)
			return DMATEST_ERROR_ABSENT;
		d->fn.bus.ats_forget(d->fn.bus.opaque);
		return DMATEST_ERROR_NONE;
	default:
		return move_locked(d);
	}
}
