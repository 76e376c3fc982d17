/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer: a hostile guest at a dmatest function, and a bus that answers as it likes.
 *
 * The input is a script of register accesses, commands with mostly sensible operands, switches of ATS, PRI and PASID, and page
 * responses: at once, late, twice, to nothing. DMA and translations fail now and then. Checked beside what the sanitizers see:
 * an interrupt's vector exists, what is put on the bus is well-formed, one access makes a bounded number of calls, and a command
 * that waits can be ended.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/bits.h"
#include "base/addr.h"
#include "dev/dev.h"
#include "dev/dmatest_regs.h"
#include "mem/guard.h"
#include "input.h"
#include "target.h"

#define MEM_LEN	  (1u << 16)
#define CALLS_MAX 2000000u

struct bus {
	struct dev_fn *fn;
	uint8_t *mem;
	unsigned long calls;
	uint8_t how; /* bits 3:0: how answers go wrong; 7:4: when */
	struct dev_page_request last;
	bool asked;
};

static bool fails(struct bus *b)
{
	check(++b->calls < CALLS_MAX);
	return (b->how & 1) && b->calls % (2u + (b->how >> 4)) == 0;
}

static bool inside(uint64_t addr, size_t len)
{
	check(len > 0);
	return addr < MEM_LEN && len <= MEM_LEN - addr;
}

static int on_read(void *opaque, uint32_t pasid, uint64_t addr, void *buf, size_t len)
{
	struct bus *b = opaque;

	check(pasid == NB_NO_PASID || pasid <= NB_PASID_MAX);
	if (fails(b) || !inside(addr, len))
		return -EFAULT;
	memcpy(buf, b->mem + addr, len);
	return 0;
}

static int on_write(void *opaque, uint32_t pasid, uint64_t addr, const void *buf, size_t len)
{
	struct bus *b = opaque;

	check(pasid == NB_NO_PASID || pasid <= NB_PASID_MAX);
	if (fails(b) || !inside(addr, len))
		return -EFAULT;
	memcpy(b->mem + addr, buf, len);
	return 0;
}

static void on_irq(void *opaque, enum dev_irq kind, unsigned int vector, bool level)
{
	(void)opaque;
	check(kind <= DEV_IRQ_MSIX && vector < DMATEST_VECTORS);
	check(kind != DEV_IRQ_INTX || vector == 0);
	(void)level;
}

static void on_ats(void *opaque, uint32_t pasid, uint64_t addr, unsigned int access, struct dev_ats *out)
{
	struct bus *b = opaque;

	(void)pasid;
	*out = (struct dev_ats){.ur = fails(b), .ca = b->how & 2, .lg2 = 12, .perm = (uint8_t)(access & 3), .pa = addr & ~UINT64_C(4095)};
}

static int on_translated(void *opaque, uint32_t pasid, uint64_t pa, void *buf, size_t len, bool write)
{
	return write ? on_write(opaque, pasid, pa, buf, len) : on_read(opaque, pasid, pa, buf, len);
}

static int on_dma_ats(void *opaque, uint32_t pasid, uint64_t addr, void *buf, size_t len, bool write, size_t *done)
{
	struct bus *b = opaque;
	int err;

	*done = 0;
	if ((b->how & 4) && b->calls % (2u + (b->how >> 4)) == 1) {
		b->calls++;
		*done = len / 2;
		if (inside(addr, len) && *done)
			(void)on_translated(b, pasid, addr, buf, *done, write);
		return -ENOENT;
	}
	err = on_translated(b, pasid, addr, buf, len, write);
	*done = err ? 0 : len;
	return err;
}

static void on_page_request(void *opaque, const struct dev_page_request *pr)
{
	struct bus *b = opaque;

	check(++b->calls < CALLS_MAX);
	check(pr->prgi < 512 && (pr->addr & 4095) == 0);
	b->last = *pr;
	b->asked = true;
	if (b->how & 8)
		return; /* later, or never */
	if (pr->last)
		dev_page_response(b->fn, pr->pasid, pr->prgi, b->how >> 4 & 1 ? 1 : 0);
}

static void on_forget(void *opaque)
{
	struct bus *b = opaque;

	b->calls++;
}

static void w32(struct bus *b, unsigned int off, uint64_t v)
{
	dev_bar_write(b->fn, 0, off, 4, v & 0xffffffff);
}
static void w64(struct bus *b, unsigned int off, uint64_t v)
{
	dev_bar_write(b->fn, 0, off, 8, v);
}
static uint32_t r32(struct bus *b, unsigned int off)
{
	return (uint32_t)dev_bar_read(b->fn, 0, off, 4);
}

/* Ones: memory space or power is off. */
static bool status_ok(struct bus *b)
{
	uint32_t v = r32(b, DMATEST_STATUS);

	return v <= DMATEST_STATUS_WAITING || v == UINT32_MAX;
}

/* Operands that mostly exist, a command that mostly does. */
static void command(struct bus *b, struct input *in)
{
	uint8_t op = (uint8_t)take(in, 1), more = (uint8_t)take(in, 1);

	w64(b, DMATEST_SRC, more & 1 ? take(in, 8) : take(in, 2));
	w64(b, DMATEST_DST, more & 2 ? take(in, 8) : take(in, 2));
	w64(b, DMATEST_LENGTH, more & 4 ? take(in, 3) : take(in, 1));
	w32(b, DMATEST_PASID, more & 8 ? take(in, 3) | DMATEST_PASID_EN : 0);
	w32(b, DMATEST_REQUEST, take(in, 3));
	w32(b, DMATEST_CONTROL, take(in, 2));
	w32(b, DMATEST_COMMAND, (op & 15) % 10 | (more & 0xf0u) << 4 | (op & 0x80 ? take(in, 4) : 0));
	check(status_ok(b));
}

static void respond(struct bus *b, struct input *in, uint8_t op)
{
	uint32_t pasid = b->last.pasid;
	unsigned int prgi = b->last.prgi;

	if (op & 16) {
		prgi = (unsigned int)take(in, 2) & 511;
		pasid = op & 32 ? (uint32_t)take(in, 3) & NB_PASID_MAX : NB_NO_PASID;
	} else if (!b->asked) {
		return;
	}
	dev_page_response(b->fn, pasid, prgi, (unsigned int)take(in, 1) & 15);
}

static void step(struct bus *b, struct input *in)
{
	uint8_t op = (uint8_t)take(in, 1), buf[16] = {0};
	struct dev_bar bar;
	unsigned int n;
	uint64_t off;

	b->calls = 0;
	switch (op & 15) {
	case 0:
	case 1: /* any register, aligned and inside, as the caller promises */
		n = op >> 4 & 1 ? 4 : 0;
		dev_bar_info(b->fn, n, &bar);
		off = bar.size ? take(in, 2) % bar.size & ~UINT64_C(7) : 0;
		if (!bar.size)
			break;
		(void)dev_bar_read(b->fn, n, off, 1u << (op >> 5 & 3));
		dev_bar_write(b->fn, n, off, 1u << (op >> 5 & 3), take(in, 8));
		break;
	case 2:
		n = (unsigned int)take(in, 2) & 0x1fff;
		for (off = 0; off < op >> 4; off++)
			buf[off] = (uint8_t)take(in, 1);
		dev_config_write(b->fn, n, buf, op >> 4);
		dev_config_read(b->fn, n, buf, op >> 4);
		break;
	case 3:
		(void)dev_feature_enable(b->fn, (enum dev_feature)((op >> 4) % 3), op & 0x80, (uint32_t)take(in, 2));
		break;
	case 4:
		(void)dev_irq_enable(b->fn, (enum dev_irq)((op >> 4) % 3), (unsigned int)take(in, 1) & 7);
		(void)dev_irq_message(b->fn, (enum dev_irq)((op >> 4) % 3), op >> 6, take(in, 4), (uint32_t)take(in, 2));
		break;
	case 5:
		b->how = (uint8_t)take(in, 1);
		break;
	case 6:
	case 7:
		respond(b, in, op);
		break;
	case 8:
		if (op & 16)
			dev_reset(b->fn);
		else
			w32(b, DMATEST_COMMAND, DMATEST_CMD_ABORT);
		break;
	default:
		command(b, in);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	uint8_t head = (uint8_t)take(&in, 1);
	struct bus b = {.mem = calloc(1, MEM_LEN)};
	const struct dev_bus bus = {
		.opaque = &b,
		.dma_read = on_read,
		.dma_write = on_write,
		.irq = on_irq,
		.ats_translate = head & 1 ? NULL : on_ats,
		.dma_translated = head & 1 ? NULL : on_translated,
		.dma_ats = head & 1 ? NULL : on_dma_ats,
		.page_request = head & 2 ? NULL : on_page_request,
		.ats_forget = head & 1 ? NULL : on_forget,
	};
	const struct dev_option opt = {head & 4 ? "pri" : "ats", head & 8 ? "off" : "on"};
	struct nb_diag diag = {""};
	unsigned int ops;

	if (!b.mem || dev_model_find("dmatest")->create(&opt, 1, &bus, NULL, &b.fn, &diag))
		abort();
	/* As VFIO leaves it: memory and bus mastering on, features on if the bus has them. */
	dev_config_write(b.fn, 4, (const uint8_t[]){6, 0}, 2);
	if (!(head & 16)) {
		(void)dev_feature_enable(b.fn, DEV_FEATURE_PASID, true, 0);
		(void)dev_feature_enable(b.fn, DEV_FEATURE_ATS, true, 0);
		(void)dev_feature_enable(b.fn, DEV_FEATURE_PRI, true, 32);
	}
	for (ops = 0; in.left && ops < 150; ops++)
		step(&b, &in);
	w32(&b, DMATEST_COMMAND, DMATEST_CMD_ABORT);
	check(r32(&b, DMATEST_STATUS) != DMATEST_STATUS_WAITING);
	dev_destroy(b.fn);
	free(b.mem);
	return 0;
}
