/* SPDX-License-Identifier: BSD-3-Clause */
#include "run/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "run/rundir.h"
#include "run/sys.h"

/* Directories of which the virtual host has entries; the machine may have some too. */
static const char *const own_dirs[] = {
	"/sys/bus/pci/devices", "/sys/bus/pci/drivers/vfio-pci", "/sys/class/iommu",  "/sys/class/vfio-dev",
	"/sys/dev/char",	"/sys/kernel/iommu_groups",	 "/dev/vfio/devices", "/dev/vfio",
};

#define IOMMU_NODE "/dev/iommu"
#define VFIO_NODES "/dev/vfio/devices/vfio"
#define CHAR_NODES "/dev/char/"
#define MAX_INDEX  9999

/* Text put together in a buffer of fixed size; `bad` once it did not fit. */
struct text {
	char *at;
	size_t len, size;
	bool bad;
};

static void put(struct text *t, const char *s, size_t n)
{
	if (t->bad || n >= t->size - t->len) {
		t->bad = true;
		return;
	}
	memcpy(t->at + t->len, s, n);
	t->at[t->len += n] = 0;
}

static void put_str(struct text *t, const char *s)
{
	put(t, s, strlen(s));
}

static void put_number(struct text *t, unsigned int n)
{
	char digits[10], *p = digits + sizeof(digits);

	do
		*--p = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	put(t, p, (size_t)(digits + sizeof(digits) - p));
}

/* Past slashes and "." components. */
static const char *skip_empty(const char *p)
{
	for (;;) {
		if (*p == '/')
			p++;
		else if (p[0] == '.' && (p[1] == '/' || p[1] == 0))
			p++;
		else
			return p;
	}
}

bool path_maybe(const char *path)
{
	const char *p;

	if (!path || *path != '/')
		return false;
	p = skip_empty(path);
	return (strncmp(p, "sys", 3) == 0 || strncmp(p, "dev", 3) == 0) && (p[3] == '/' || p[3] == 0);
}

bool path_maybe_at(const char *path)
{
	const char *last;

	if (!path || !*path || *path == '/')
		return false;
	last = strrchr(path, '/');
	last = last ? last + 1 : path;
	return strncmp(last, "vfio", 4) == 0 || strcmp(last, "iommu") == 0;
}

/* One slash between components, none at the end, no ".". */
static bool normalize(const char *path, char *out, size_t size)
{
	struct text t = {.at = out, .size = size};
	const char *p = path;

	out[0] = 0;
	while (*(p = skip_empty(p))) {
		size_t n = strcspn(p, "/");

		put(&t, "/", 1);
		put(&t, p, n);
		p += n;
	}
	return !t.bad && t.len != 0;
}

static bool exists(const char *path)
{
	struct stat st;

	return sys4(SYS_newfstatat, (unsigned int)AT_FDCWD, (uintptr_t)path, (uintptr_t)&st, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool number(const char *s, unsigned int *n)
{
	unsigned int v = 0;

	if (!*s || (*s == '0' && s[1]))
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || v > MAX_INDEX)
			return false;
		v = v * 10 + (unsigned int)(*s - '0');
	}
	*n = v;
	return v <= MAX_INDEX;
}

/* The vfio node that a path names, by name or by device number. */
static bool vfio_node(const char *name, unsigned int *index)
{
	char major[16] = "";
	struct text t = {.at = major, .size = sizeof(major)};

	if (strncmp(name, VFIO_NODES, sizeof(VFIO_NODES) - 1) == 0)
		return number(name + sizeof(VFIO_NODES) - 1, index);
	if (strncmp(name, CHAR_NODES, sizeof(CHAR_NODES) - 1) != 0)
		return false;
	name += sizeof(CHAR_NODES) - 1;
	put_number(&t, NB_RUN_VFIO_MAJOR);
	put_str(&t, ":");
	return strncmp(name, major, t.len) == 0 && number(name + t.len, index);
}

/* 0 neither, 1 the directory itself, 2 something in it */
static int in_own_dir(const char *name)
{
	int in = 0;
	size_t i, n;

	for (i = 0; i < sizeof(own_dirs) / sizeof(own_dirs[0]); i++) {
		n = strlen(own_dirs[i]);
		if (strncmp(name, own_dirs[i], n) != 0)
			continue;
		if (name[n] == 0)
			return 1;
		if (name[n] == '/')
			in = 2;
	}
	return in;
}

static void classify(const char *dir, const char *name, struct path *out)
{
	struct text t = {.at = out->real, .size = sizeof(out->real)};
	int in;

	out->index = 0;
	put_str(&t, dir);
	if (vfio_node(name, &out->index)) {
		put_str(&t, VFIO_NODES);
		put_number(&t, out->index);
		if (!t.bad && exists(out->real))
			out->kind = PATH_VFIO;
		return;
	}
	put_str(&t, name);
	if (t.bad || !exists(out->real))
		return;
	if (strcmp(name, IOMMU_NODE) == 0) {
		out->kind = PATH_IOMMU;
		return;
	}
	in = in_own_dir(name);
	if (in == 2)
		out->kind = PATH_TREE;
	else if (!exists(name))
		out->kind = PATH_TREE;
	else if (in == 1)
		out->kind = PATH_SHARED;
}

void path_classify(const char *dir, const char *path, struct path *out)
{
	char name[PATH_SIZE];
	size_t len = strnlen(path, sizeof(name));

	out->kind = PATH_FOREIGN;
	if (len >= sizeof(name) || !path_maybe(path) || !normalize(path, name, sizeof(name)))
		return;
	if (strncmp(name, "/sys", 4) != 0 && strcmp(name, IOMMU_NODE) != 0 && strncmp(name, "/dev/vfio", 9) != 0 &&
	    strncmp(name, CHAR_NODES, sizeof(CHAR_NODES) - 1) != 0)
		return;
	classify(dir, name, out);
	/* "file/" is a directory or an error: the kernel's to say. */
	if (path[len - 1] == '/' && out->kind != PATH_FOREIGN) {
		struct text t = {.at = out->real, .size = sizeof(out->real), .len = strlen(out->real)};

		if (out->kind != PATH_SHARED)
			out->kind = PATH_TREE;
		put_str(&t, "/");
		if (t.bad)
			out->kind = PATH_FOREIGN;
	}
}

size_t path_undo(const char *dir, char *name, size_t len)
{
	static const char merged[] = "/" NB_RUN_MERGED "/";
	size_t n = strlen(dir), i;

	if (len < n + 4 || memcmp(name, dir, n) != 0)
		return len;
	if (memcmp(name + n, "/sys", 4) == 0 || memcmp(name + n, "/dev", 4) == 0) {
		if (len > n + 4 && name[n + 4] != '/')
			return len;
	} else if (len > n + sizeof(merged) - 1 && memcmp(name + n, merged, sizeof(merged) - 1) == 0) {
		/* path_merge() writes the directory's own name with ! for / */
		n += sizeof(merged) - 1;
		for (i = n; i < len && name[i] != '/'; i++)
			if (name[i] == '!')
				name[i] = '/';
	} else {
		return len;
	}
	memmove(name, name + n, len - n);
	return len - n;
}

void path_classify_at(const char *dir, int dirfd, const char *path, struct path *out)
{
	char link[64] = "", name[PATH_SIZE];
	struct text t = {.at = link, .size = sizeof(link)};
	long n;

	out->kind = PATH_FOREIGN;
	if (!path)
		return;
	if (*path == '/') {
		path_classify(dir, path, out);
		return;
	}
	put_str(&t, "/proc/self/");
	if (dirfd == AT_FDCWD) {
		put_str(&t, "cwd");
	} else if (dirfd >= 0) {
		put_str(&t, "fd/");
		put_number(&t, (unsigned int)dirfd);
	} else {
		return;
	}
	n = sys3(SYS_readlink, (uintptr_t)link, (uintptr_t)name, sizeof(name) - 1);
	if (n <= 0 || n >= (long)sizeof(name) - 1 || name[0] != '/')
		return;
	n = (long)path_undo(dir, name, (size_t)n);
	t = (struct text){.at = name, .size = sizeof(name), .len = (size_t)n};
	put_str(&t, "/");
	put_str(&t, path);
	if (!t.bad)
		path_classify(dir, name, out);
}

/* A link in `into` for each entry of `from`, unless there is one by that name. */
static int link_all(int into, const char *from)
{
	char buf[4096] __attribute__((aligned(8))), target[PATH_SIZE];
	int fd = sys_open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long n, at;

	if (fd < 0)
		return fd;
	while ((n = sys3(SYS_getdents64, (unsigned int)fd, (uintptr_t)buf, sizeof(buf))) > 0) {
		for (at = 0; at < n;) {
			const struct sys_dirent *d = (const void *)(buf + at);
			struct text t = {.at = target, .size = sizeof(target)};

			at += d->reclen;
			if (strcmp(d->name, ".") == 0 || strcmp(d->name, "..") == 0)
				continue;
			put_str(&t, from);
			put_str(&t, "/");
			put_str(&t, d->name);
			if (!t.bad)
				sys3(SYS_symlinkat, (uintptr_t)target, (unsigned int)into, (uintptr_t)d->name);
		}
	}
	sys_close(fd);
	return (int)n;
}

int path_merge(const char *dir, const char *path, struct path *p)
{
	char name[PATH_SIZE];
	char tree[PATH_SIZE];
	struct text t = {.at = p->real, .size = sizeof(p->real)}, tt = {.at = tree, .size = sizeof(tree)};
	size_t i, n;
	int fd, err;

	if (strnlen(path, sizeof(name)) >= sizeof(name) || !normalize(path, name, sizeof(name)))
		return -ENAMETOOLONG;
	put_str(&tt, dir);
	put_str(&tt, name);
	put_str(&t, dir);
	put_str(&t, "/" NB_RUN_MERGED);
	if (!t.bad)
		sys2(SYS_mkdir, (uintptr_t)p->real, 0700);
	put_str(&t, "/");
	n = t.len;
	put_str(&t, name);
	if (t.bad || tt.bad)
		return -ENAMETOOLONG;
	for (i = n; i < t.len; i++)
		if (p->real[i] == '/')
			p->real[i] = '!';
	err = (int)sys2(SYS_mkdir, (uintptr_t)p->real, 0700);
	if (err && err != -EEXIST)
		return err;
	fd = sys_open(p->real, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fd;
	err = link_all(fd, tree); /* first: ours win */
	if (!err)
		err = link_all(fd, name);
	sys_close(fd);
	return err;
}
