/* SPDX-License-Identifier: BSD-3-Clause */
#include "run/node.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

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
	st->st_mode = S_IFCHR | (st->st_mode & 0666);
	st->st_rdev = makedev(node_major(kind), node_minor(kind, index));
	st->st_nlink = 1;
	st->st_size = 0;
	st->st_blocks = 0;
}
