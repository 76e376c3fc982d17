/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NB_TESTS_RUN_REAL_H
#define NB_TESTS_RUN_REAL_H

/* real_fault.c */
void faults(void);
void fault_thread(void);
void fault_exit(void);

#endif
