/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of the demo's story share. A part prints its heading and its claims; one that this host has nothing for says so
 * and claims nothing.
 */
#ifndef NB_CLI_DEMO_H
#define NB_CLI_DEMO_H

#include "cli/demo_vm.h"

struct story {
	struct demo_vm vm;
	unsigned int wrong;
};

/* One claim and whether it held. */
void claim(struct story *s, bool held, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Every byte of the guest pages first to end - 1 is the pattern's. */
bool holds_pattern(const struct demo_vm *vm, const gpa_t *page, uint64_t pattern, unsigned int first, unsigned int end);
/* How often a trace event was seen, over all of the host. */
uint64_t demo_counter(struct demo_vm *vm, const char *event);
void show_indented(const char *text);

/* demo_fault.c: the guest maps a page when the device asks for it. `page` of the destination is not mapped. */
void demo_page_fault(struct story *s, unsigned int page);
/* demo_irq.c: the device sends interrupt messages that are not its own. */
void demo_forged_interrupts(struct story *s);

#endif
