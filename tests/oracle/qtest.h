/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A QEMU under accel=qtest: no guest code runs, its devices and registers are ours to work.
 *
 * Commands go over a pipe, one line each, and are answered one line each, in order. So they are collected and sent
 * together: qtest_add() many, qtest_flush() once, then read the answers by their index. The guest's RAM is memory
 * shared with QEMU: tables and rings cost no command.
 *
 * $NB_ORACLE_VERBOSE: QEMU's messages go to our stderr.
 *
 * QEMU does not exit when its pipe closes. It is killed by qtest_stop(), by exit(), and by the kernel if we die otherwise.
 */
#ifndef NB_TESTS_ORACLE_QTEST_H
#define NB_TESTS_ORACLE_QTEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

struct qtest;

/*
 * The program that scripts/setup cached, or the one in the folder $NB_ORACLE_QEMU. Null: there is none; *why (static text) says where it was
 * looked for.
 */
const char *qtest_find(const char *program, const char **why);

/* args: null-terminated, after the program's name; RAM, its size and the qtest channel are added. Null: *diag says why. */
struct qtest *qtest_start(const char *program, const char *const *args, uint64_t ram_size, struct nb_diag *diag);
void qtest_stop(struct qtest *q);

uint8_t *qtest_ram(struct qtest *q);
/* All of RAM is zero afterwards. */
void qtest_ram_clear(struct qtest *q);

/* Collect commands; each returns the index of its answer. */
size_t qtest_write(struct qtest *q, unsigned int size, uint64_t addr, uint64_t v);
size_t qtest_read(struct qtest *q, unsigned int size, uint64_t addr);
size_t qtest_out32(struct qtest *q, uint16_t port, uint32_t v);
size_t qtest_clock_step(struct qtest *q, uint64_t ns);
/* Send what was collected and wait for all answers. 0 or -EIO: QEMU went away or refused a command. */
int qtest_flush(struct qtest *q, struct nb_diag *diag);
/* Of the last flush; 0 for a command that answers nothing. */
uint64_t qtest_answer(const struct qtest *q, size_t index);

/* A conventional PCI function on bus 0, by the PC's ports: place BAR 0, let it decode and master. Collects only. */
void qtest_pci_enable(struct qtest *q, unsigned int devfn, uint32_t bar0);
/* The same for a function whose configuration space lies at `ecam`. */
void qtest_ecam_enable(struct qtest *q, uint64_t ecam, uint32_t bar0);

#endif
