/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Open files of the virtual host in this process, found by descriptor.
 *
 * A descriptor is only a number. What it means is asked of the kernel at each use (fstat), so copies made
 * by dup, fcntl, SCM_RIGHTS or exec need no hook and a number that was reused cannot be mistaken. A byte
 * per number remembers what need not be asked again: that a number is not ours.
 *
 * State (an iommufd context, a VFIO file) is made at the first use and belongs to the process that used it:
 *
 *   nobody's --use--> this process's --last descriptor closed--> nobody's
 *      ^                    | fork
 *      |              the child has a copy of the state: refused while the parent lives; when it is gone, and had not used
 *      |              the file since the fork, the child goes on with the copy (daemon(3))
 *      +-- owner died without us having a copy (launcher exited, exec)
 *
 * Locks: table_lock (list, references) is a leaf. claim_lock (owner, state, device locks) is held over the making of state, so calls
 * into the host are made under it; the host never calls back while it holds a lock of its own. Order: claim_lock, table_lock.
 */
#ifndef NB_RUN_FDTABLE_H
#define NB_RUN_FDTABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "run/node.h"

/* What is known about a descriptor number. */
enum fd_mark {
	FD_UNKNOWN,
	FD_OURS,     /* was a node when last looked at; always verified */
	FD_FOREIGN,  /* is none, until it is closed */
	FD_INTERNAL, /* of this library: the program cannot close it */
};
#define FD_MARKS 65536u

struct run_file {
	/* Set before publish. */
	enum node_kind kind;
	unsigned int index;
	uint64_t dev, ino;
	struct node_page *page;
	/* table_lock */
	struct run_file *next;
	unsigned int refs; /* one for the table while it is listed */
	bool listed, seen;
	/* Copies sent by SCM_RIGHTS and not seen to arrive: the file may be in flight with no descriptor open. */
	_Atomic int in_flight;
	/* claim_lock; obj and owner are also read without it by users of the file */
	void *_Atomic obj;	/* struct iommufd_file, vfio_file or queue_file */
	_Atomic uint64_t owner; /* owner_self() of the process that obj was made or taken over in */
	const void *host;	/* the machine that obj is part of: see state_ops */
	int fd;			/* number at its first use, for messages */
	uint64_t uses;		/* page->uses as of the last fork */
	bool told;		/* the refusal was reported */
	bool locked;		/* holds the device lock */
	_Atomic unsigned int epoch; /* of forks, at the last use */
};

/* Where the state comes from: vhost.c, or a test. All are called under claim_lock but close(). */
struct state_ops {
	/* Once, before the first file is entered. */
	void (*first)(void);
	/* The machine to make state in, made if need be, in *host. */
	int (*host)(const void **host);
	/* Continue with a machine that was copied by fork from a process that is no more. False: it cannot be used. */
	bool (*adopt)(const void *host);
	int (*open)(const struct run_file *f, void **obj);
	void (*close)(struct run_file *f, void *obj);
	/* One line, without a newline, for the person at the terminal. `fd` as the program named it. */
	void (*refused)(const struct run_file *f, int fd, unsigned int pid, const char *why);
	void (*opened)(const struct run_file *f);
};

/* Once per process, before any other call. `id`: descriptors of other runs are not ours. */
void fdtable_init(const struct node_id *id, const struct state_ops *ops);

/* False while this process has met no descriptor of the virtual host: hooks can stop right there. */
bool fdtable_busy(void);

enum fd_mark fd_mark_get(int fd);
void fd_mark_set(int fd, enum fd_mark mark);

/*
 * Is this a vfork's child? It has our memory, this table too, but descriptors of its own: what it closes stays open here.
 */
bool fdtable_elsewhere(void);

/* A new descriptor for a node; -errno. */
int file_open_node(enum node_kind kind, unsigned int index, int flags);

/*
 * A new descriptor for state that is there already, a queue's (of page requests or events): entered under its inode with this process as the owner. *peer gets
 * the other end, for whoever makes it readable. The number, or -errno. file_retract(): it never was: closes the number and waits for
 * those who use it all the same. False: its last descriptor went already, and state_ops.close() has been or will be called.
 */
int file_open_queue(void *obj, const void *host, int *peer);
bool file_retract(int fd, const void *obj);

/* The file behind a descriptor, with a reference; null: not ours. Leaves errno alone. */
struct run_file *file_get(int fd);
void file_put(struct run_file *f);

/*
 * The state of a file, made or taken over if need be. Good until file_put(). 0; -EPERM: another process uses it; or
 * what the making gave.
 */
int file_use(struct run_file *f, int fd, void **obj);

/* Did fstat speak of a node? For the hooks of the stat family; adopts nothing. */
bool file_identify(int fd, const struct stat *st, enum node_kind *kind, unsigned int *index);

/* A descriptor of f, which the caller has a reference to, was closed: let go of the state if that was the last. */
void file_closed(struct run_file *f);
/* Let go of all files whose descriptors went away unnoticed (exec closes, stdio, closefrom). */
void fdtable_sweep(void);

/* Around fork. */
void fdtable_fork_prepare(void);
void fdtable_fork_parent(void);
void fdtable_fork_child(void);

/* claim_lock, for the rest of this room. */
void claim_lock(void);
void claim_unlock(void);

#endif
