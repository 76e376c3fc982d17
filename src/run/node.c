/* SPDX-License-Identifier: BSD-3-Clause */
#include "run/node.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "run/rundir.h"
#include "run/sys.h"

static bool same_id(const struct node_id *a, const struct node_id *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->ctime_ns == b->ctime_ns;
}

int node_create(const struct node_id *id, enum node_kind kind, unsigned int index, int flags)
{
	const struct node_page page = {.magic = NODE_MAGIC, .kind = kind, .index = index, .id = *id};
	const char *name = kind == NODE_IOMMU ? "nestbox-iommu" : "nestbox-vfio";
	int fd = (int)sys2(SYS_memfd_create, (uintptr_t)name,
			   MFD_ALLOW_SEALING | (flags & O_CLOEXEC ? MFD_CLOEXEC : 0));
	long r;

	if (fd < 0)
		return fd;
	r = sys2(SYS_ftruncate, (unsigned int)fd, NODE_SIZE);
	if (!r)
		r = sys4(SYS_pwrite64, (unsigned int)fd, (uintptr_t)&page, sizeof(page), 0);
	if (r >= 0)
		r = sys2(SYS_fchmod, (unsigned int)fd, NODE_MODE & 07777);
	/* A program that truncates its descriptor must not take the page away from under us. */
	if (!r)
		r = sys3(SYS_fcntl, (unsigned int)fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	if (!r && (flags & O_NONBLOCK))
		r = sys3(SYS_fcntl, (unsigned int)fd, F_SETFL, O_NONBLOCK);
	if (r < 0) {
		sys_close(fd);
		return (int)r;
	}
	return fd;
}

bool node_read(int fd, const struct node_id *id, enum node_kind *kind, unsigned int *index)
{
	struct node_page page;

	if (sys4(SYS_pread64, (unsigned int)fd, (uintptr_t)&page, sizeof(page), 0) != (long)sizeof(page))
		return false;
	if (page.magic != NODE_MAGIC || !same_id(&page.id, id) || (page.kind != NODE_IOMMU && page.kind != NODE_VFIO))
		return false;
	*kind = (enum node_kind)page.kind;
	*index = page.index;
	return true;
}

struct node_page *node_map(int fd)
{
	long p = sys6(SYS_mmap, 0, NODE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, (unsigned int)fd, 0);

	return p < 0 && p >= -4095 ? NULL : (struct node_page *)(uintptr_t)p;
}

void node_unmap(struct node_page *p)
{
	sys2(SYS_munmap, (uintptr_t)p, NODE_SIZE);
}

/* The part that all of a run's have in common; the owner's word and the socket's inode follow. */
static size_t queue_name(const struct node_id *id, char *buf, size_t size)
{
	return (size_t)snprintf(buf, size, "nestbox-fault/%" PRIx64 ".%" PRIx64 ".%" PRIx64 "/", id->dev, id->ino,
				id->ctime_ns);
}

int node_queue_create(const struct node_id *id, uint64_t owner, int *user, int *peer)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	const size_t room = sizeof(sa.sun_path) - 1;
	struct stat st;
	size_t len;
	int fd[2];
	long r = sys4(SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, (uintptr_t)fd);

	if (r)
		return (int)r;
	r = sys_fstat(fd[0], &st);
	if (!r) {
		len = queue_name(id, sa.sun_path + 1, room);
		len += (size_t)snprintf(sa.sun_path + 1 + len, room - len, "%" PRIx64 ".%" PRIx64, owner, (uint64_t)st.st_ino);
		/* Where names cannot be given, other processes take it for a socket; this one knows its inode. */
		(void)sys3(SYS_bind, (unsigned int)fd[0], (uintptr_t)&sa, offsetof(struct sockaddr_un, sun_path) + 1 + len);
		*user = fd[0];
		*peer = fd[1];
		return 0;
	}
	sys_close(fd[0]);
	sys_close(fd[1]);
	return (int)r;
}

bool node_queue_read(int fd, const struct node_id *id, uint64_t *owner)
{
	struct sockaddr_un sa = {.sun_family = AF_UNSPEC};
	uint32_t len = sizeof(sa) - 1; /* the last byte stays 0 */
	char want[sizeof(sa.sun_path)];
	size_t n;

	if (sys3(SYS_getsockname, (unsigned int)fd, (uintptr_t)&sa, (uintptr_t)&len) || sa.sun_family != AF_UNIX ||
	    sa.sun_path[0])
		return false;
	n = queue_name(id, want, sizeof(want));
	return memcmp(sa.sun_path + 1, want, n) == 0 && sscanf(sa.sun_path + 1 + n, "%" SCNx64 ".", owner) == 1;
}

struct node_page *node_page_new(uint64_t owner)
{
	long p = sys6(SYS_mmap, 0, NODE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, (uint64_t)-1, 0);
	struct node_page *page;

	if (p < 0 && p >= -4095)
		return NULL;
	page = (struct node_page *)(uintptr_t)p;
	page->owner = owner;
	return page;
}

unsigned int node_major(enum node_kind kind)
{
	return kind == NODE_IOMMU ? NB_RUN_IOMMU_MAJOR : NB_RUN_VFIO_MAJOR;
}

unsigned int node_minor(enum node_kind kind, unsigned int index)
{
	return kind == NODE_IOMMU ? NB_RUN_IOMMU_MINOR : index;
}

void node_fake_stat(enum node_kind kind, unsigned int index, struct stat *st)
{
	if (kind == NODE_QUEUE) { /* Linux: an inode without a type, that all such files share */
		st->st_mode = 0600;
		st->st_rdev = 0;
		st->st_nlink = 1;
		return;
	}
	st->st_mode = S_IFCHR | (st->st_mode & 0666);
	st->st_rdev = makedev(node_major(kind), node_minor(kind, index));
	st->st_nlink = 1;
	st->st_size = 0;
	st->st_blocks = 0;
}
