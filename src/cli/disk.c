/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REFUSE(f, diag, err, path, why)                                                                       \
	nb_fail(diag, err, "function %04x:%02x:%02x.%x: %s: %s", (f)->segment, (f)->rid >> 8, (f)->rid >> 3 & 31,   \
		(f)->rid & 7, path, why)

static int make_absolute(const struct nb_desc_function *f, char value[224], struct nb_diag *diag)
{
	char cwd[PATH_MAX], path[224];

	if (value[0] == '/')
		return 0;
	if (!getcwd(cwd, sizeof(cwd)))
		return REFUSE(f, diag, -errno, value, strerror(errno));
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", cwd, value) >= sizeof(path))
		return REFUSE(f, diag, -ENAMETOOLONG, value, "its absolute path is longer than 223 characters");
	memcpy(value, path, sizeof(path));
	return 0;
}

static int check_file(const struct nb_desc_function *f, const char *path, bool may_make, struct nb_diag *diag)
{
	struct stat st;

	if (stat(path, &st)) {
		char dir[224];

		if (errno == ENOENT && may_make) {
			/* The path is absolute. */
			snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path) + 1, path);
			if (access(dir, W_OK | X_OK) == 0)
				return 0;
		}
		return REFUSE(f, diag, -errno, path, strerror(errno));
	}
	if (S_ISDIR(st.st_mode))
		return REFUSE(f, diag, -EISDIR, path, strerror(EISDIR));
	/* Writable or not is the model's business: it has a "readonly". */
	return access(path, R_OK) ? REFUSE(f, diag, -errno, path, strerror(errno)) : 0;
}

static const char *option(const struct nb_desc_function *f, const char *key)
{
	unsigned int i;

	for (i = 0; i < f->noptions; i++)
		if (strcmp(f->option[i].key, key) == 0)
			return f->option[i].value;
	return NULL;
}

/* Two disks on one file would write over each other. Links to one file under two names are the user's own doing. */
static int check_shared(const struct nb_desc *d, uint32_t n, struct nb_diag *diag)
{
	const struct nb_desc_function *f = &d->function[n];
	const char *file = option(f, "file");
	uint32_t i;

	for (i = 0; i < n; i++) {
		const char *other = option(&d->function[i], "file");

		if (other && strcmp(other, file) == 0 && !(option(f, "readonly") && option(&d->function[i], "readonly")))
			return REFUSE(f, diag, -EBUSY, file, "another function has this file");
	}
	return 0;
}

int disk_files(struct nb_desc *d, struct nb_diag *diag)
{
	uint32_t i;
	unsigned int j;

	for (i = 0; i < d->nfunctions; i++) {
		struct nb_desc_function *f = &d->function[i];
		struct nb_desc_option *file = NULL;
		bool sized = false;
		int err;

		for (j = 0; j < f->noptions; j++) {
			if (strcmp(f->option[j].key, "file") == 0)
				file = &f->option[j];
			sized |= strcmp(f->option[j].key, "size") == 0;
		}
		if (!file)
			continue;
		err = make_absolute(f, file->value, diag);
		if (!err)
			err = check_file(f, file->value, sized, diag);
		if (!err)
			err = check_shared(d, i, diag);
		if (err)
			return err;
	}
	return 0;
}
