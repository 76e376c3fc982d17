/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Descriptors of queues (of page requests, of a vIOMMU's events): host_cfg's callbacks, and what becomes of a queue when its last descriptor goes.
 *
 * The program's end of a socket pair is its descriptor; we keep a copy of it and the other end. The queue is readable exactly while a byte
 * lies in the pair: put in through the other end, taken out through our copy. Reading and writing never touch the socket. A queue that takes
 * no writes has its end's own way out stuffed, so that poll never says POLLOUT.
 *
 * Locks: queue_lock (the list, the bytes) is a leaf; it is taken under locks of the host.
 */
#ifndef NB_RUN_QUEUE_H
#define NB_RUN_QUEUE_H

#include "host/host.h"

/* For struct machine_cfg. */
int queue_fd_open(void *opaque, struct queue_file *f, enum host_queue_kind kind, int *fd);
void queue_fd_abort(void *opaque, struct queue_file *f, int fd);
void queue_fd_ready(void *opaque, struct queue_file *f, bool ready);

/* The last descriptor went. Inside the virtual host. */
void queue_fd_close(struct queue_file *f);

#endif
