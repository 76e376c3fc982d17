/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who a process is, in one word, so that two can be told apart by compare-exchange.
 *
 * The pid alone is reused; with the start time it names one process. 0 is nobody. Processes must see each other's pids (the same pid
 * namespace). Without /proc the pid has to do.
 */
#ifndef NB_RUN_OWNER_H
#define NB_RUN_OWNER_H

#include <stdbool.h>
#include <stdint.h>

/* This process. Found out once; notices by itself that it is a fork's child. */
uint64_t owner_self(void);
/* The same if it is known already, else 0: as cheap as a load. In a fork's child 0 until owner_self(). */
uint64_t owner_known(void);

unsigned int owner_pid(uint64_t owner);
/* Does it still run? A process that has exited and waits to be reaped does not. */
bool owner_alive(uint64_t owner);

#endif
