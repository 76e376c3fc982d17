/* SPDX-License-Identifier: BSD-3-Clause */
#include "run/queue.h"

#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/trace.h"
#include "machine/machine.h"
#include "run/sys.h"
#include "run/vhost.h"

struct queue_fd {
	struct queue_fd *next;
	struct queue_file *file;
	int own, peer; /* our copy of the program's end; the other end */
	bool ready;
};

/* The process's descriptors, like the table in fdtable.c. */
static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static struct queue_fd *queues;

static struct queue_fd **find_locked(const struct queue_file *file)
{
	struct queue_fd **link = &queues;

	while (*link && (*link)->file != file)
		link = &(*link)->next;
	return link;
}

static void close_own(int fd)
{
	fd_mark_set(fd, FD_UNKNOWN);
	sys_close(fd);
}

static void drop(struct queue_fd *q)
{
	close_own(q->own);
	close_own(q->peer);
	nb_free(q);
}

/* Takes the lock itself; null: not there. */
static struct queue_fd *unlink_queue(const struct queue_file *file)
{
	struct queue_fd **link, *q;

	pthread_mutex_lock(&queue_lock);
	link = find_locked(file);
	q = *link;
	if (q)
		*link = q->next;
	pthread_mutex_unlock(&queue_lock);
	return q;
}

/* With the least of room in it, one write that does not fit any more is soon there; nobody reads at the other end. */
static void stuff(int fd)
{
	static const char zero[1024];
	int room = 0;

	sys5(SYS_setsockopt, (unsigned int)fd, SOL_SOCKET, SO_SNDBUF, (uintptr_t)&room, sizeof(room));
	while (sys6(SYS_sendto, (unsigned int)fd, (uintptr_t)zero, sizeof(zero), MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0) > 0)
		;
}

int queue_fd_open(void *opaque, struct queue_file *file, enum host_queue_kind kind, int *fd)
{
	struct queue_fd *q = nb_zalloc(sizeof(*q));
	int user, peer, err;

	(void)opaque;
	if (!q)
		return -ENOMEM;
	user = file_open_queue(file, atomic_load(&vhost_machine), &peer);
	if (user < 0) {
		nb_free(q);
		return user;
	}
	if (kind == HOST_QUEUE_EVENT)
		stuff(user);
	q->file = file;
	q->own = run_keep_fd(user);
	q->peer = run_keep_fd(peer);
	sys_close(peer);
	if (q->own < 0 || q->peer < 0) {
		err = q->own < 0 ? q->own : q->peer;
		if (q->own >= 0)
			close_own(q->own);
		if (q->peer >= 0)
			close_own(q->peer);
		nb_free(q);
		file_retract(user, file);
		return err;
	}
	pthread_mutex_lock(&queue_lock);
	q->next = queues;
	queues = q;
	pthread_mutex_unlock(&queue_lock);
	NB_TRACE(machine_trace(atomic_load(&vhost_machine)), run_open, user, NODE_QUEUE);
	*fd = user;
	return 0;
}

/*
 * The program was not told the number. If a thread of it guessed it and closed it, that one calls queue_fd_close(), which
 * finds the queue taken; the host keeps it until we return, so wait for that.
 */
void queue_fd_abort(void *opaque, struct queue_file *file, int fd)
{
	bool gone;

	(void)opaque;
	if (file_retract(fd, file)) {
		drop(unlink_queue(file));
		return;
	}
	do {
		sched_yield();
		pthread_mutex_lock(&queue_lock);
		gone = !*find_locked(file);
		pthread_mutex_unlock(&queue_lock);
	} while (!gone);
}

void queue_fd_ready(void *opaque, struct queue_file *file, bool ready)
{
	struct queue_fd *q;
	char byte = 0;

	(void)opaque;
	pthread_mutex_lock(&queue_lock);
	q = *find_locked(file);
	if (q && q->ready != ready) {
		q->ready = ready;
		if (ready)
			sys6(SYS_sendto, (unsigned int)q->peer, (uintptr_t)&byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0);
		else
			sys6(SYS_recvfrom, (unsigned int)q->own, (uintptr_t)&byte, 1, MSG_DONTWAIT, 0, 0);
	}
	pthread_mutex_unlock(&queue_lock);
}

void queue_fd_close(struct queue_file *file)
{
	host_queue_close(file);
	drop(unlink_queue(file));
}
