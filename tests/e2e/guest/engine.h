/* SPDX-License-Identifier: BSD-3-Clause */
/* nestbox's dmatest function (docs/dmatest.md), whichever way its registers were mapped. */
#ifndef NB_GUEST_ENGINE_H
#define NB_GUEST_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "dmatest_regs.h"

struct engine {
	volatile unsigned char *regs;
};

void engine_find(char *pci, size_t size);
void engine_open(struct engine *e, const char *pci); /* registers through sysfs; bus master on */
void engine_init(struct engine *e, volatile void *regs);
uint32_t engine_read32(struct engine *e, unsigned int reg);
uint64_t engine_read64(struct engine *e, unsigned int reg);
void engine_write32(struct engine *e, unsigned int reg, uint32_t v);
void engine_write64(struct engine *e, unsigned int reg, uint64_t v);

/* Runs one command to its end; returns DMATEST_ERROR_*. */
uint32_t engine_run(struct engine *e, uint32_t command, uint64_t src, uint64_t dst, uint64_t length);
/* The same where only one outcome is right; `what` names the step. */
void engine_expect(struct engine *e, uint32_t error, const char *what, uint32_t command, uint64_t src,
		   uint64_t dst, uint64_t length);

#endif
