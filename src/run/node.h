/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a descriptor of the virtual host is made of.
 *
 * A memfd of its own per open(2). Its one page says what it is, so a descriptor means the same under any number, in any
 * process, however it got there (dup, fork, exec, SCM_RIGHTS), and an open, unused one carries no state. The kernel's
 * reference counts are real; (st_dev, st_ino) names the open file.
 *
 * Every process that has the descriptor could write the page; what is used of it is checked.
 */
#ifndef NB_RUN_NODE_H
#define NB_RUN_NODE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#define NODE_MAGIC UINT64_C(0x31786f627473656e) /* "nestbox1" */
#define NODE_SIZE  4096u
#define NODE_MODE  (S_IFREG | 0660) /* what no other memfd of that size is likely to have */

/* NODE_QUEUE is no node of a file system: see node_queue_create(). */
enum node_kind { NODE_IOMMU = 1, NODE_VFIO = 2, NODE_QUEUE = 3 };

struct node_id { /* one run of the launcher: identity of its host.bin */
	uint64_t dev, ino, ctime_ns;
};

struct node_page {
	uint64_t magic;
	uint32_t kind, index;
	struct node_id id;
	/* Which process has the state (owner.h), 0 nobody. Taken by compare-exchange. */
	_Atomic uint64_t owner;
	/* Moves when the owner uses the file for the first time after it forked: a child's copy is out of date then. */
	_Atomic uint64_t uses;
};
_Static_assert(sizeof(struct node_page) <= NODE_SIZE, "one page");

/* Cheap test of what fstat said; true for ours and hardly anything else. */
static inline bool node_shape(const struct stat *st)
{
	return st->st_nlink == 0 && st->st_size == NODE_SIZE && st->st_mode == NODE_MODE;
}

/* A new descriptor, or -errno. flags: those of open(2) that matter, O_CLOEXEC and O_NONBLOCK. */
int node_create(const struct node_id *id, enum node_kind kind, unsigned int index, int flags);
/* Is fd, whose shape fits, a node of this run? Says which. */
bool node_read(int fd, const struct node_id *id, enum node_kind *kind, unsigned int *index);
/* Its page, shared with every other holder; null if it cannot be had. Unmapped with node_unmap(). */
struct node_page *node_map(int fd);
void node_unmap(struct node_page *p);
/*
 * A queue's descriptor has to be one that poll and epoll understand: one end of a pair of sockets, readable while there is a byte
 * from the other end in it. It has an inode of its own like the rest, and a name in the abstract name space by which other processes of
 * this run know it. Its state cannot be made anew, so its page is memory that fork's children share and nobody else has.
 */
int node_queue_create(const struct node_id *id, uint64_t owner, int *user, int *peer); /* 0 or -errno; close-on-exec */
/* Is fd, a socket, the user's end of such a pair? Says which process made it. */
bool node_queue_read(int fd, const struct node_id *id, uint64_t *owner);
struct node_page *node_page_new(uint64_t owner); /* null: no memory. Unmapped with node_unmap(). */

/* What fstat is to say of a node. */
void node_fake_stat(enum node_kind kind, unsigned int index, struct stat *st);
unsigned int node_major(enum node_kind kind);
unsigned int node_minor(enum node_kind kind, unsigned int index);

#endif
