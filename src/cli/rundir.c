/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Making, reading and removing the run directory.
 *
 * A launcher that is killed outright cannot remove its directory. It holds a lock in it, which ends with it, and the next launcher
 * of the same user removes what it finds unlocked.
 */
#include "cli/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "machine/machine.h"
#include "run/rundir.h"

#define LOCK_NAME "launcher"
#define YOUNG_SECONDS 60 /* a launcher takes its lock long before that */
#define MAX_DEPTH 16	 /* our own tree is 8 deep */

const char *rundir_parent(void)
{
	const char *dir = getenv("TMPDIR");

	return dir && dir[0] == '/' ? dir : "/tmp";
}

/* Remove an entry and all below it, never through a symbolic link. What cannot be removed stays. */
static void remove_at(int parent, const char *name, unsigned int depth)
{
	struct dirent *e;
	DIR *d;
	int fd;

	if (unlinkat(parent, name, 0) == 0 || (errno != EISDIR && errno != EPERM) || depth > MAX_DEPTH)
		return;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			remove_at(fd, e->d_name, depth + 1);
	closedir(d);
	unlinkat(parent, name, AT_REMOVEDIR);
}

/* Directories of launchers that were killed. */
static void remove_left_over(const char *parent)
{
	DIR *d = opendir(parent);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char lock[PATH_MAX];
		struct stat st;
		int fd;

		if (strncmp(e->d_name, RUNDIR_PREFIX, strlen(RUNDIR_PREFIX)) != 0 ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISDIR(st.st_mode) ||
		    st.st_uid != geteuid() || time(NULL) - st.st_mtime < YOUNG_SECONDS)
			continue;
		snprintf(lock, sizeof(lock), "%s/" LOCK_NAME, e->d_name);
		fd = openat(dirfd(d), lock, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB)) {
			close(fd); /* its launcher lives */
			continue;
		}
		remove_at(dirfd(d), e->d_name, 0);
		if (fd >= 0)
			close(fd);
	}
	if (d)
		closedir(d);
}

static int write_file(const char *dir, const char *name, const void *data, size_t len, struct nb_diag *diag)
{
	char path[PATH_MAX];
	int fd, err = 0;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
		return nb_fail(diag, -ENAMETOOLONG, "%s: %s", dir, strerror(ENAMETOOLONG));
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, data, len) != (ssize_t)len) {
		err = errno ? -errno : -EIO;
		nb_fail(diag, err, "cannot write %s: %s", path, strerror(-err));
	}
	if (fd >= 0)
		close(fd);
	return err;
}

static int take_lock(struct rundir *r, struct nb_diag *diag)
{
	char path[PATH_MAX];
	int err = write_file(r->path, LOCK_NAME, "", 0, diag);

	if (err)
		return err;
	snprintf(path, sizeof(path), "%.*s/" LOCK_NAME, (int)(sizeof(path) - sizeof(LOCK_NAME) - 1), r->path);
	r->lock = open(path, O_RDONLY | O_CLOEXEC);
	if (r->lock < 0 || flock(r->lock, LOCK_EX | LOCK_NB))
		return nb_fail(diag, -errno, "cannot lock %s: %s", path, strerror(errno));
	return 0;
}

static int fill(struct rundir *r, const struct nb_desc *d, struct nb_diag *diag)
{
	struct nb_counters *zero = nb_aligned_zalloc(64, sizeof(*zero));
	int err = zero ? take_lock(r, diag) : nb_fail(diag, -ENOMEM, "out of memory");

	if (!err)
		err = write_file(r->path, NB_RUN_HOST, d, sizeof(*d), diag);
	if (!err)
		err = write_file(r->path, NB_RUN_COUNTERS, zero, sizeof(*zero), diag);
	if (!err)
		err = machine_make_tree(d, r->path, NB_RUN_VFIO_MAJOR, diag);
	nb_free(zero);
	return err;
}

int rundir_make(struct rundir *r, const struct nb_desc *d, struct nb_diag *diag)
{
	char made[PATH_MAX];
	int err;

	r->path[0] = 0;
	r->lock = -1;
	remove_left_over(rundir_parent());
	if ((size_t)snprintf(made, sizeof(made), "%s/" RUNDIR_PREFIX "XXXXXX", rundir_parent()) >= sizeof(made) ||
	    !mkdtemp(made) || !realpath(made, r->path)) {
		err = -errno;
		return nb_fail(diag, err, "cannot make a directory in %s: %s", rundir_parent(), strerror(-err));
	}
	err = fill(r, d, diag);
	if (err)
		rundir_remove(r);
	return err;
}

void rundir_remove(struct rundir *r)
{
	if (r->path[0])
		remove_at(AT_FDCWD, r->path, 0);
	r->path[0] = 0;
	if (r->lock >= 0)
		close(r->lock);
	r->lock = -1;
}

int rundir_counters(const struct rundir *r, uint64_t sum[NB_EV_COUNT])
{
	struct nb_counters *block = nb_aligned_zalloc(64, sizeof(*block));
	char path[PATH_MAX];
	enum nb_event ev;
	int fd, err = 0;
	off_t at;

	memset(sum, 0, NB_EV_COUNT * sizeof(*sum));
	if (!block)
		return -ENOMEM;
	snprintf(path, sizeof(path), "%.*s/" NB_RUN_COUNTERS, (int)(sizeof(path) - sizeof(NB_RUN_COUNTERS) - 1), r->path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		err = -errno;
	for (at = 0; !err && pread(fd, block, sizeof(*block), at) == (ssize_t)sizeof(*block); at += (off_t)sizeof(*block))
		for (ev = 0; ev < NB_EV_COUNT; ev++)
			sum[ev] += nb_counters_sum(block, ev);
	if (fd >= 0)
		close(fd);
	nb_free(block);
	return err;
}
