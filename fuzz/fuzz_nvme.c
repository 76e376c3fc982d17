/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer: a hostile guest at an NVMe function (or, by the first byte, at dmatest).
 *
 * The input is a script of operations on configuration space, BARs and guest memory. Guest memory is small and addresses
 * are folded into it most of the time, so that queues and lists made of the fuzzer's bytes are met often. DMA now and then fails.
 * Anything but returning is a bug: the sanitizers and the asserts of the model are the oracle, with two checks of our own:
 * an interrupt's vector exists, and one operation makes a bounded number of DMA calls.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dev/dev.h"
#include "mem/guard.h"
#include "input.h"
#include "target.h"

#define MEM_LEN	  (1u << 20)
#define CALLS_MAX (2u << 20) /* 63 queues of 1023 commands in one completion doorbell, 15 calls each, with room */

struct bus {
	uint8_t *mem;
	unsigned long calls;
	uint32_t fail_mask; /* every call whose number has these bits clear fails; 0: none */
};

static int dma(struct bus *b, uint64_t addr, size_t len)
{
	check(len > 0 && ++b->calls < CALLS_MAX);
	if (b->fail_mask && (b->calls & b->fail_mask) == 0)
		return -EFAULT;
	return addr >= MEM_LEN || len > MEM_LEN - addr ? -EFAULT : 0;
}

static int bus_read(void *opaque, uint32_t pasid, uint64_t addr, void *buf, size_t len)
{
	struct bus *b = opaque;

	(void)pasid;
	if (dma(b, addr, len))
		return -EFAULT;
	memcpy(buf, b->mem + addr, len);
	return 0;
}

static int bus_write(void *opaque, uint32_t pasid, uint64_t addr, const void *buf, size_t len)
{
	struct bus *b = opaque;

	(void)pasid;
	if (dma(b, addr, len))
		return -EFAULT;
	memcpy(b->mem + addr, buf, len);
	return 0;
}

static void bus_irq(void *opaque, enum dev_irq kind, unsigned int vector, bool level)
{
	(void)opaque;
	check(vector < (kind == DEV_IRQ_MSIX ? 4 : kind == DEV_IRQ_MSI ? 4 : 1));
	check(level || kind == DEV_IRQ_INTX);
}

/* The state that takes a fuzzer long to find by itself: an enabled controller with an admin queue at 0 and 0x1000. */
static void bring_up(struct dev_fn *fn)
{
	dev_config_write(fn, 4, &(uint16_t){6}, 2);
	(void)dev_irq_enable(fn, DEV_IRQ_MSIX, 3);
	dev_bar_write(fn, 0, 0x14, 4, 0);
	dev_bar_write(fn, 0, 0x24, 4, 0x003f003f);
	dev_bar_write(fn, 0, 0x28, 8, 0);
	dev_bar_write(fn, 0, 0x30, 8, 0x1000);
	dev_bar_write(fn, 0, 0x14, 4, 0x00460001);
}

/* Put an entry with mostly sensible fields at `slot` of the admin queue or of a queue at 0x2000 * q. */
static void put_command(struct bus *b, struct input *in)
{
	uint8_t *e = b->mem + 0x2000 * (take(in, 1) & 3) + 64 * (take(in, 1) & 63);
	uint32_t dw[16] = {0};

	dw[0] = (uint32_t)(take(in, 1) & 0x1f) | (uint32_t)take(in, 2) << 16;
	dw[1] = (uint32_t)take(in, 1) & 1;
	dw[6] = (uint32_t)(take(in, 1) << 12) | (uint32_t)take(in, 1) << 4;
	dw[8] = (uint32_t)(take(in, 1) << 12) | (uint32_t)take(in, 1) << 4;
	for (int i = 10; i < 14; i++)
		dw[i] = (uint32_t)take(in, 2) | (i < 12 ? (uint32_t)take(in, 1) << 16 : 0);
	memcpy(e, dw, sizeof(dw));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct dev_option opt[] = {{"size", "256KiB"}, {"queues", "3"}, {"serial", "F"}};
	struct input in = {data, size};
	struct bus b = {.mem = calloc(1, MEM_LEN)};
	struct dev_bus db = {.opaque = &b, .dma_read = bus_read, .dma_write = bus_write, .irq = bus_irq};
	bool nvme = (take(&in, 1) & 7) != 0;
	struct dev_fn *fn;
	uint8_t buf[64];

	if (!b.mem || dev_model_find(nvme ? "nvme" : "dmatest")->create(opt, nvme ? 3 : 0, &db, NULL, &fn, NULL))
		abort();
	bring_up(fn);
	for (unsigned int ops = 0; in.left && ops < 200; ops++) {
		uint8_t op = (uint8_t)take(&in, 1);

		b.calls = 0;
		switch (op & 0xf) {
		case 0: { /* configuration space, any bytes anywhere */
			uint32_t off = (uint32_t)take(&in, 2) & 0x1fff, len = op >> 4;

			memset(buf, 0, sizeof(buf));
			for (uint32_t i = 0; i < len; i++)
				buf[i] = (uint8_t)take(&in, 1);
			dev_config_write(fn, off, buf, len);
			dev_config_read(fn, off, buf, len);
			break;
		}
		case 1: { /* any register */
			uint64_t off = take(&in, 2);

			dev_bar_write(fn, op >> 4 & 7, off, 1u << (op >> 4 & 3), take(&in, 8));
			break;
		}
		case 2:
			(void)dev_bar_read(fn, op >> 4 & 7, take(&in, 2), 1u << (op >> 4 & 3));
			break;
		case 3:
		case 4:
		case 5:
		case 6:
		case 7: /* commands, then a doorbell */
			for (int i = 0; i < (op >> 4 & 3) + 1; i++)
				put_command(&b, &in);
			/* fall through */
		case 8:
		case 9:
		case 10:
			dev_bar_write(fn, 0, 0x1000 + 4 * (take(&in, 1) & 7), 4, take(&in, 1) & 0x3f);
			break;
		case 11: { /* guest memory */
			uint32_t at = (uint32_t)take(&in, 3) % (MEM_LEN - 8);
			uint64_t v = take(&in, 8);

			memcpy(b.mem + at, &v, 8);
			break;
		}
		case 12:
			b.fail_mask = op >> 4;
			break;
		case 13:
			(void)dev_irq_enable(fn, op >> 4 & 3 ? DEV_IRQ_MSIX : DEV_IRQ_MSI, op >> 6);
			break;
		case 14:
			if (op >> 4 & 1)
				dev_reset(fn);
			bring_up(fn);
			break;
		default:
			dev_bar_write(fn, 4, take(&in, 1) & ~3ull, 4, take(&in, 4));
			break;
		}
	}
	dev_destroy(fn);
	free(b.mem);
	return 0;
}
