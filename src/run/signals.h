/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SIGSEGV and SIGBUS shared with the program.
 *
 * Guarded access (mem/guard.h) needs the handlers of both signals and that threads which reach the virtual host do not block
 * them. The program goes on to see what it asked for: its handlers are called for what is not ours, and
 * its masks read back as it set them.
 */
#ifndef NB_RUN_SIGNALS_H
#define NB_RUN_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/* The handlers are ours from now on, or will be once guard_init() has run. */
void signals_take(void);
/* This thread is about to make an access: unblock both signals, unless that was done before. */
void signals_unblock(void);

int signals_sigaction(int sig, const struct sigaction *act, struct sigaction *old);
/* `next` is sigprocmask or pthread_sigmask; so is the result. */
int signals_mask(int (*next)(int, const sigset_t *, sigset_t *), int how, const sigset_t *set, sigset_t *old);

#endif
