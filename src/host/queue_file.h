/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Objects that a user reads through a descriptor of their own: fault queues (fault.h) and queues of a vIOMMU's events (veventq.h).
 *
 * The descriptor holds a reference on the object and one on the context, from before it is there until its last copy is closed, or until the call
 * that made it fails after all. Whoever makes `held` false drops them.
 *
 * Locking: `io` serialises reading and writing of one queue; the user's memory is touched under it. `open` is under the lock of the
 * queue's kind, the one that protects what is in it.
 */
#ifndef NB_HOST_QUEUE_FILE_H
#define NB_HOST_QUEUE_FILE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/bits.h"
#include "host/host.h"
#include "host/object.h"

struct queue_file_ops {
	enum host_queue_kind kind;
	/* Results as read(2)'s and write(2)'s; without locks. write null: -EINVAL. */
	ssize_t (*read)(struct queue_file *q, uint64_t uptr, size_t len, uint64_t off);
	ssize_t (*write)(struct queue_file *q, uint64_t uptr, size_t len, uint64_t off);
	/* Make `open` false: nobody wants to know any more. */
	void (*shut)(struct queue_file *q);
};

struct queue_file {
	struct object obj;
	const struct queue_file_ops *ops;
	int fd;		   /* for queue_file_abort() */
	_Atomic bool held; /* by a descriptor */
	bool open;	   /* somebody wants to know whether there is something to read */
	pthread_mutex_t io;
};

static inline struct queue_file *queue_file_of(struct object *obj)
{
	return container_of(obj, struct queue_file, obj);
}

/* An id and a descriptor for a queue that is ready to be read. On failure neither; the memory is the caller's. */
int queue_file_init(struct ictx *c, struct queue_file *q, enum object_type type, const struct queue_file_ops *ops,
		    struct nb_diag *diag);
/* The call that made the queue failed: the descriptor goes. Before object_abort(). */
void queue_file_abort(struct queue_file *q);
void queue_file_fini(struct queue_file *q); /* no descriptor, no id */

/* Tell whoever polls; with the lock that protects `open`. */
void queue_file_tell_locked(struct queue_file *q, bool ready);

#endif
