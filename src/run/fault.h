/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Descriptors of fault queues: host_cfg's callbacks, and what becomes of a queue when its last descriptor goes.
 *
 * The program's end of a socket pair is its descriptor; we keep a copy of it and the other end. The queue is readable exactly while a byte
 * lies in the pair: put in through the other end, taken out through our copy. Reading and writing never touch the socket.
 *
 * Locks: fault_lock (the list, the bytes) is a leaf; it is taken under locks of the host.
 */
#ifndef NB_RUN_FAULT_H
#define NB_RUN_FAULT_H

#include "host/host.h"

/* For struct machine_cfg. */
int fault_fd_open(void *opaque, struct fault_file *f, int *fd);
void fault_fd_abort(void *opaque, struct fault_file *f, int fd);
void fault_fd_ready(void *opaque, struct fault_file *f, bool ready);

/* The last descriptor went. Inside the virtual host. */
void fault_fd_close(struct fault_file *f);

#endif
