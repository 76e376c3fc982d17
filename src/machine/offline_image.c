/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files as physical memory.
 *
 * A file is mapped private, so a crash dump of any size costs nothing but the pages that walks touch, and
 * what the model writes stays with us. A word of memory must have the alignment of its physical address, or the model's
 * compare-and-exchange would not be atomic: a region that does not begin at a page is read into memory instead, which is bounded.
 */
#include "machine/offline_image.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

#define PAGE 4096u
#define MAX_READ (UINT64_C(1) << 30) /* of a file that cannot be mapped in place */
#define PIECE (1u << 20)

static int read_whole(int fd, char *to, uint64_t len)
{
	uint64_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, to + done, len - done > PIECE ? PIECE : (size_t)(len - done), (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO; /* it became shorter */
		done += (uint64_t)n;
	}
	return 0;
}

static int map_file(struct offline_file *f, int fd, uint64_t base, const char *path, struct nb_diag *diag)
{
	uint64_t in = base % PAGE;
	int err = 0, fds = fd, flags = MAP_PRIVATE | MAP_NORESERVE;
	void *p;

	if (in && f->len > MAX_READ)
		return nb_fail(diag, -EINVAL, "%s is larger than 1 GiB, so its base must be a multiple of 4096", path);
	if (in) {
		fds = -1;
		flags |= MAP_ANONYMOUS;
	}
	if (f->len > SIZE_MAX - in)
		return nb_fail(diag, -EFBIG, "%s: %s", path, strerror(EFBIG));
	p = mmap(NULL, (size_t)(f->len + in), PROT_READ | PROT_WRITE, flags, fds, 0);
	if (p == MAP_FAILED) {
		err = -errno;
		return nb_fail(diag, err, "%s cannot be mapped: %s", path, strerror(-err));
	}
	f->map = p;
	f->map_len = (size_t)(f->len + in);
	f->data = (char *)p + in;
	if (in)
		err = read_whole(fd, f->data, f->len);
	return err ? nb_fail(diag, err, "%s: %s", path, strerror(-err)) : 0;
}

static int load_region(struct offline_image *im, struct offline_file *f, const struct offline_region *r,
		       struct nb_diag *diag)
{
	const char *slash = strrchr(r->file, '/'), *name = slash ? slash + 1 : r->file;
	struct stat st;
	int err, fd;

	/* Not to wait for the writer of a FIFO. */
	fd = open(r->file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		err = -errno;
		return nb_fail(diag, err, "%s: %s", r->file, strerror(-err));
	}
	if (fstat(fd, &st)) {
		err = -errno;
		nb_fail(diag, err, "%s: %s", r->file, strerror(-err));
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		err = nb_fail(diag, -EINVAL, "%s is not a regular file", r->file);
		goto out;
	}
	if (st.st_size <= 0) {
		err = nb_fail(diag, -EINVAL, "%s is empty", r->file);
		goto out;
	}
	f->len = (uint64_t)st.st_size;
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	if (f->len - 1 > UINT64_MAX - r->base) {
		err = nb_fail(diag, -EINVAL, "%s has %" PRIu64 " bytes, which from %#" PRIx64 " on go beyond 2^64", r->file,
			      f->len, r->base);
		goto out;
	}
	err = map_file(f, fd, r->base, r->file, diag);
	if (err)
		goto out;
	f->name = nb_zalloc(strlen(name) + 1);
	if (!f->name) {
		err = nb_fail(diag, -ENOMEM, "out of memory");
		goto out;
	}
	memcpy(f->name, name, strlen(name));
	err = mem_add_region(&im->mem, hpa(r->base), f->data, f->len);
	if (err == -EINVAL)
		nb_fail(diag, err, "%s, from %#" PRIx64 " to %#" PRIx64 ", overlaps a region before it", r->file, r->base,
			r->base + (f->len - 1));
	else if (err)
		nb_fail(diag, err, "out of memory");
out:
	close(fd);
	return err;
}

int offline_image_load(struct offline_image *im, const struct offline_region *r, size_t n, size_t *item,
		       struct nb_diag *diag)
{
	size_t i;
	int err;

	memset(im, 0, sizeof(*im));
	*item = n;
	if (n > OFFLINE_MAX_REGIONS)
		return nb_fail(diag, -EINVAL, "there may be at most %d regions of memory", OFFLINE_MAX_REGIONS);
	if (mem_init_regions(&im->mem))
		return nb_fail(diag, -ENOMEM, "out of memory");
	im->file = nb_calloc(n ? n : 1, sizeof(*im->file));
	if (!im->file) {
		offline_image_drop(im);
		return nb_fail(diag, -ENOMEM, "out of memory");
	}
	for (i = 0; i < n; i++) {
		im->n = i + 1;
		err = load_region(im, &im->file[i], &r[i], diag);
		if (err) {
			*item = i;
			offline_image_drop(im);
			return err;
		}
	}
	return 0;
}

void offline_image_drop(struct offline_image *im)
{
	size_t i;

	for (i = 0; i < im->n; i++) {
		if (im->file[i].map)
			munmap(im->file[i].map, im->file[i].map_len);
		nb_free(im->file[i].name);
	}
	nb_free(im->file);
	if (im->mem.slow)
		mem_fini(&im->mem);
	memset(im, 0, sizeof(*im));
}

static int by_name(const void *a, const void *b)
{
	const struct offline_file *const *x = a, *const *y = b;
	int c = strcmp((*x)->name, (*y)->name);

	return c ? c : (*x > *y) - (*x < *y);
}

int offline_image_names(const struct offline_image *im, size_t *item, struct nb_diag *diag)
{
	const struct offline_file **sorted = nb_calloc(im->n ? im->n : 1, sizeof(const struct offline_file *));
	size_t i;
	int err = 0;

	*item = im->n;
	if (!sorted)
		return nb_fail(diag, -ENOMEM, "out of memory");
	for (i = 0; i < im->n; i++)
		sorted[i] = &im->file[i];
	qsort(sorted, im->n, sizeof(const struct offline_file *), by_name);
	for (i = 1; i < im->n && !err; i++) {
		if (strcmp(sorted[i - 1]->name, sorted[i]->name) != 0)
			continue;
		*item = (size_t)(sorted[i] - im->file);
		err = nb_fail(diag, -EEXIST, "two regions come from files called %s, and one folder has room for one",
			      sorted[i]->name);
	}
	nb_free(sorted);
	return err;
}

static int write_whole(int fd, const char *from, uint64_t len)
{
	uint64_t done = 0;

	while (done < len) {
		ssize_t n = write(fd, from + done, len - done > PIECE ? PIECE : (size_t)(len - done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno; /* EFAULT: the file that was mapped became shorter */
		done += (uint64_t)n;
	}
	return 0;
}

static int save_file(const struct offline_file *f, const char *dir, struct nb_diag *diag)
{
	char path[PATH_MAX], temp[PATH_MAX];
	mode_t mask;
	int fd, err;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, f->name) >= sizeof(path) ||
	    (size_t)snprintf(temp, sizeof(temp), "%s/.nestbox-XXXXXX", dir) >= sizeof(temp))
		return nb_fail(diag, -ENAMETOOLONG, "%s/%s: %s", dir, f->name, strerror(ENAMETOOLONG));
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0) {
		err = -errno;
		return nb_fail(diag, err, "%s: no file can be made there: %s", dir, strerror(-err));
	}
	err = write_whole(fd, f->data, f->len);
	mask = umask(0);
	umask(mask);
	if (!err && fchmod(fd, 0666 & ~mask))
		err = -errno;
	if (close(fd) && !err)
		err = -errno;
	if (!err && rename(temp, path))
		err = -errno;
	if (!err)
		return 0;
	unlink(temp);
	return nb_fail(diag, err, "%s: %s", path, strerror(-err));
}

int offline_image_save(const struct offline_image *im, const char *dir, struct nb_diag *diag)
{
	size_t i;
	int err;

	if (mkdir(dir, 0777) && errno != EEXIST) {
		err = -errno;
		return nb_fail(diag, err, "%s: %s", dir, strerror(-err));
	}
	for (i = 0; i < im->n; i++) {
		err = save_file(&im->file[i], dir, diag);
		if (err)
			return err;
	}
	return 0;
}
