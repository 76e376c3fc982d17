/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The virtual host of this process: the machine, made at the first use of a descriptor, and the calls into it.
 *
 * Every call into the rooms below goes through vhost_enter()/vhost_leave(). Between them the thread's own calls of
 * open, munmap and the like, which come back to our hooks, are passed on untouched: nothing recurses and no lock is taken twice.
 */
#ifndef NB_RUN_VHOST_H
#define NB_RUN_VHOST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "run/fdtable.h"
#include "run/signals.h"

struct iommufd_mapping;
struct machine;
struct nb_diag;

struct run_thread {
	unsigned int depth; /* calls into the virtual host under way */
	/* The iommufd that BIND, on its way in, names: resolved before the host takes its locks. */
	int bind_fd;
	int bind_error;
	void *bind_file;
	struct machine *held; /* by this thread's fork, while it is under way */
};
extern __thread struct run_thread run_self __attribute__((tls_model("initial-exec")));

/* Set by the constructor; empty: not under `nestbox run`, every hook passes on. Absolute, no slash at the end. */
extern char run_dir[];

static inline bool run_active(void)
{
	return run_dir[0] != 0 && run_self.depth == 0;
}

void vhost_enter(void);
void vhost_leave(void);

/* From the constructor: read the environment. */
void vhost_init(void);

/* Calls on open files, results as the host's: >= 0 or -errno. `fd` only for messages. */
long vhost_ioctl(struct run_file *f, int fd, unsigned int cmd, uint64_t arg);
ssize_t vhost_pread(struct run_file *f, int fd, void *buf, size_t len, uint64_t off);
ssize_t vhost_pwrite(struct run_file *f, int fd, const void *buf, size_t len, uint64_t off);
/* What to map. *m, unless null: vhost_mapped() wants to know where it was mapped; null: it was not. */
int vhost_mmap(struct run_file *f, int fd, uint64_t off, size_t len, int prot, int flags, int *map_fd,
	       uint64_t *map_off, struct iommufd_mapping **m);
void vhost_mapped(struct iommufd_mapping *m, const void *va);

/* Memory [va, va + len) is about to go or to be replaced. Nearly free while there is no machine. */
void vhost_revoke_slow(uint64_t va, uint64_t len);
extern _Atomic(struct machine *) vhost_machine;
static inline void vhost_revoke(const void *va, size_t len)
{
	if (__builtin_expect(atomic_load_explicit(&vhost_machine, memory_order_acquire) != NULL, 0) &&
	    run_self.depth == 0)
		vhost_revoke_slow((uint64_t)(uintptr_t)va, len);
}

/* One line to the program's stderr, prefixed. */
void run_say(const char *fmt, ...) __attribute__((format(printf, 1, 2), cold));
/* Move a descriptor of our own out of the program's way and keep the program from closing it. The new number or -errno. */
int run_keep_fd(int fd);

/* control.c. Start to listen in directory `dir`. 0 or -errno; the library does without it. */
int control_start(struct machine *m, const char *dir);
/* In a fork's child: forget the parent's socket. */
void control_forget(void);
/* Answer one request line (no newline). The text's length; at most size - 1 bytes are in buf. */
size_t control_answer(struct machine *m, const char *line, char *buf, size_t size);

#endif
