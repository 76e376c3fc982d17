/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NB_TESTS_RUN_REAL_H
#define NB_TESTS_RUN_REAL_H

/* real_fault.c */
void faults(void);
void fault_thread(void);
void fault_exit(void);
/* libc, for scene.h */
extern const struct nb_kernel c_library;

/* real_cmdqv.c, on host grace */
void cmdqv(void);
void cmdqv_forks(void);
void cmdqv_daemon(void);

#endif
