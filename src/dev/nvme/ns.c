/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The namespace: bytes in a mapping, of a file or of memory that is not allocated before it is written.
 *
 * No descriptor stays open: a stranger's process may close any number it likes. What goes to the file goes through the
 * mapping, and msync(2) makes it durable as fdatasync(2) would. The file may be truncated under us or its
 * disk may be full, then a page of the mapping is not there: all access outside of this file is by DMA, which is guarded, and
 * here through mem/guard.h.
 */
#include "dev/nvme/nvme.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "mem/guard.h"

#define PAGE UINT64_C(4096)
/* Below this, punching a hole costs more than writing zeroes. */
#define HOLE_MIN (16 * PAGE)

static int open_file(const struct nvme_options *o, uint64_t *bytes, struct nb_diag *diag)
{
	int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (o->readonly ? O_RDONLY : O_RDWR);
	struct stat st;
	int fd, err;

	fd = open(o->file, o->size && !o->readonly ? flags | O_CREAT : flags, 0600);
	if (fd < 0)
		return nb_fail(diag, -errno, "nvme: file %s: %s", o->file, strerror(errno));
	if (fstat(fd, &st)) {
		err = nb_fail(diag, -errno, "nvme: file %s: %s", o->file, strerror(errno));
		goto out_close;
	}
	if (!S_ISREG(st.st_mode)) {
		err = nb_fail(diag, -EINVAL, "nvme: file %s is not a regular file", o->file);
		goto out_close;
	}
	if (o->size > (uint64_t)st.st_size) {
		if (o->readonly) {
			err = nb_fail(diag, -EINVAL, "nvme: file %s is shorter than size and readonly", o->file);
			goto out_close;
		}
		if (ftruncate(fd, (off_t)o->size)) {
			err = nb_fail(diag, -errno, "nvme: file %s cannot be made %" PRIu64 " bytes long: %s", o->file,
				      o->size, strerror(errno));
			goto out_close;
		}
	}
	*bytes = o->size ? o->size : (uint64_t)st.st_size;
	return fd;

out_close:
	close(fd);
	return err;
}

int nvme_ns_open(struct nvme_ns *ns, const struct nvme_options *o, struct nb_diag *diag)
{
	int prot = o->readonly ? PROT_READ : PROT_READ | PROT_WRITE, fd = -1, err = 0;
	uint64_t bytes = o->size;
	void *p = MAP_FAILED;

	if (o->file) {
		fd = open_file(o, &bytes, diag);
		if (fd < 0)
			return fd;
	}
	bytes = nb_align_down(bytes, o->lba);
	if (bytes == 0) {
		err = nb_fail(diag, -EINVAL, "nvme: file %s is empty; say its size", o->file);
		goto out_close;
	}
	errno = ENOMEM;
	if (!nb_should_fail())
		p = mmap(NULL, bytes, prot, MAP_SHARED | MAP_NORESERVE | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
	if (p == MAP_FAILED) {
		err = nb_fail(diag, -errno, "nvme: no address space for a namespace of %" PRIu64 " bytes: %s", bytes,
			      strerror(errno));
		goto out_close;
	}
	/* Advice only: whether it is taken changes nothing but speed and the size of core dumps. */
	(void)madvise(p, bytes, MADV_HUGEPAGE);
	(void)madvise(p, bytes, MADV_DONTDUMP);
	*ns = (struct nvme_ns){
		.base = p,
		.bytes = bytes,
		.nlbas = bytes / o->lba,
		.lba_lg2 = nb_ilog2(o->lba),
		.readonly = o->readonly,
		.file = fd >= 0,
	};

out_close:
	if (fd >= 0)
		close(fd);
	return err;
}

void nvme_ns_close(struct nvme_ns *ns)
{
	munmap(ns->base, ns->bytes);
}

int nvme_ns_flush(struct nvme_ns *ns)
{
	if (!ns->file || ns->readonly)
		return 0;
	return msync(ns->base, ns->bytes, MS_SYNC) ? -errno : 0;
}

static int fill_zero(struct nvme_ns *ns, uint64_t off, uint64_t len)
{
	return guard_fill(ns->base + off, 0, len) ? -EIO : 0;
}

/* Whole pages of a long range by a hole, the rest by hand. `advice`: where there can be no holes, leave the pages. */
static int zero_range(struct nvme_ns *ns, uint64_t off, uint64_t len, bool advice)
{
	uint64_t first = nb_align_down(off + PAGE - 1, PAGE), last = nb_align_down(off + len, PAGE);

	if (last < first || last - first < HOLE_MIN)
		return fill_zero(ns, off, len);
	if (madvise(ns->base + first, last - first, MADV_REMOVE))
		return advice ? 0 : fill_zero(ns, off, len);
	if (first > off && fill_zero(ns, off, first - off))
		return -EIO;
	if (off + len > last && fill_zero(ns, last, off + len - last))
		return -EIO;
	return 0;
}

int nvme_ns_zero(struct nvme_ns *ns, uint64_t off, uint64_t len)
{
	return zero_range(ns, off, len, false);
}

int nvme_ns_deallocate(struct nvme_ns *ns, uint64_t off, uint64_t len)
{
	return zero_range(ns, off, len, true);
}

int nvme_ns_get(struct nvme_ns *ns, uint64_t off, void *buf, size_t len)
{
	return guard_copy(buf, ns->base + off, len) ? -EIO : 0;
}
