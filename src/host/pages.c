/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/pages.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "host/sys.h"
#include "host/user.h"

#define SHMEM_MAGIC  0x01021994
#define HUGETLB_MAGIC 0x958458f6
#define DMABUF_MAGIC 0x444d4142

#define TOUCH_ALL_PAGES	   64
#define SAMPLE_STRIDE	   (UINT64_C(2) << 20)
#define SAMPLES_READ	   1024u
#define SAMPLES_WRITTEN	   8u

static void init(struct pages *p, void *home, uint64_t start, uint64_t len, bool writable)
{
	atomic_init(&p->refs, 1);
	p->home = home;
	p->start = start;
	p->len = len;
	p->writable = writable;
	p->file = NULL;
}

void pages_init_user(struct pages *p, void *home, uint64_t va, uint64_t len, bool writable)
{
	init(p, home, va, len, writable);
}

int pages_init_file(struct pages *p, void *home, int fd, uint64_t start, uint64_t len, bool writable,
		    struct nb_diag *diag)
{
	struct pages_file *f;
	struct statfs fs;
	int own = sys_dupfd(fd);

	if (own < 0)
		return nb_fail(diag, own, "file descriptor %d cannot be used", fd);
	if (sys_fstatfs(own, &fs) == 0 && (uint32_t)fs.f_type == DMABUF_MAGIC) {
		sys_close(own);
		return nb_fail(diag, -EOPNOTSUPP, "descriptor %d is a dma-buf; only memory files can be mapped here", fd);
	}
	f = nb_zalloc(sizeof(*f));
	if (!f) {
		sys_close(own);
		return -ENOMEM;
	}
	pthread_mutex_init(&f->lock, NULL);
	f->fd = own;
	init(p, home, start, len, writable);
	p->file = f;
	return 0;
}

void pages_put(struct pages *p)
{
	struct pages_file *f = p->file;

	if (atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (f) {
		if (f->map_len)
			sys_munmap(f->map_va, f->map_len);
		if (f->fd >= 0)
			sys_close(f->fd);
		pthread_mutex_destroy(&f->lock);
		nb_free(f);
	}
	nb_free(p->home);
}

/* The first pin of a file: only memory files have pages that can be held, and only within their size. */
static int map_file_locked(const struct pages *p, struct pages_file *f, struct nb_diag *diag)
{
	uint64_t gran = HOST_PAGE_SIZE, first, last;
	struct statfs fs;
	struct stat st;
	int64_t va;
	int err;

	if (f->node)
		return nb_fail(diag, -EINVAL, "the file is a device node");
	err = sys_fstatfs(f->fd, &fs);
	if (!err)
		err = sys_fstat(f->fd, &st);
	if (err)
		return err;
	if ((uint32_t)fs.f_type == HUGETLB_MAGIC)
		gran = (uint64_t)fs.f_bsize;
	else if ((uint32_t)fs.f_type != SHMEM_MAGIC)
		return nb_fail(diag, -EINVAL, "the file is not in memory (memfd, shmem or hugetlbfs)");
	if (st.st_size < 0 || p->start + (p->len - 1) >= (uint64_t)st.st_size)
		return nb_fail(diag, -EINVAL, "offset %#" PRIx64 " length %#" PRIx64 " is beyond the end of the file",
			       p->start, p->len);
	first = nb_align_down(p->start, gran);
	last = nb_align_down(p->start + (p->len - 1), gran) + (gran - 1);
	va = sys_mmap_file(last - first + 1, p->writable ? PROT_READ | PROT_WRITE : PROT_READ, f->fd, first);
	if (va < 0)
		return nb_fail(diag, va == -ENOMEM ? -ENOMEM : -EINVAL, "cannot map the file: %s", strerror((int)-va));
	f->map_va = (uint64_t)va;
	f->map_len = last - first + 1;
	f->lead = p->start - first;
	sys_close(f->fd);
	f->fd = -1;
	return 0;
}

int pages_va(struct pages *p, uint64_t off, uint64_t *va, struct nb_diag *diag)
{
	struct pages_file *f = p->file;
	int err = 0;

	if (!f) {
		*va = p->start + off;
		return 0;
	}
	pthread_mutex_lock(&f->lock);
	if (!f->map_len)
		err = map_file_locked(p, f, diag);
	if (!err)
		*va = f->map_va + f->lead + off;
	pthread_mutex_unlock(&f->lock);
	return err;
}

static bool touch(bool write, uint64_t va)
{
	uint8_t byte;

	return write ? guard_touch_write(user_ptr(va)) : guard_load8(user_ptr(va), &byte);
}

static int missing(struct nb_diag *diag, const struct pages *p, uint64_t va)
{
	return nb_fail(diag, -EFAULT, "no %smemory at %#" PRIx64, p->writable ? "writable " : "", va);
}

int pages_check(const struct pages *p, uint64_t va, uint64_t len, struct nb_diag *diag)
{
	uint64_t first = nb_align_down(va, HOST_PAGE_SIZE);
	uint64_t last = nb_align_down(va + (len - 1), HOST_PAGE_SIZE);
	uint64_t npages = (last - first) / HOST_PAGE_SIZE + 1, step, end;

	if (npages <= TOUCH_ALL_PAGES) {
		for (uint64_t at = first; at <= last; at += HOST_PAGE_SIZE) {
			if (!touch(p->writable, at))
				return missing(diag, p, at);
		}
		return 0;
	}
	if (sys_check_mapped(first, npages * HOST_PAGE_SIZE))
		return nb_fail(diag, -EFAULT, "there is a hole in the memory at %#" PRIx64 " length %#" PRIx64, va, len);
	end = last - first;
	step = end / SAMPLES_READ > SAMPLE_STRIDE ? end / SAMPLES_READ : SAMPLE_STRIDE;
	for (uint64_t off = 0; off <= end; off += step) {
		if (!touch(false, first + off))
			return missing(diag, p, first + off);
	}
	if (!p->writable)
		return 0;
	step = end / SAMPLES_WRITTEN;
	for (unsigned int i = 0; i <= SAMPLES_WRITTEN; i++) {
		uint64_t at = nb_align_down(first + step * i, HOST_PAGE_SIZE);

		if (!touch(true, at))
			return missing(diag, p, at);
	}
	return 0;
}
