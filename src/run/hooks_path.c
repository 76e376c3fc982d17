/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hooks of functions that take a path.
 */
#undef _FILE_OFFSET_BITS
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "run/hook.h"
#include "run/next.h"
#include "run/path.h"
#include "run/sys.h"
#include "run/vhost.h"

/* Is this path, relative to dirfd, the virtual host's? Keeps errno. */
static bool ours_at(int dirfd, const char *path, struct path *p)
{
	if (!run_active() || !path)
		return false;
	if (path_maybe(path))
		path_classify(run_dir, path, p);
	else if (path_maybe_at(path))
		path_classify_at(run_dir, dirfd, path, p);
	else
		return false;
	return p->kind != PATH_FOREIGN;
}

static bool ours(const char *path, struct path *p)
{
	return ours_at(AT_FDCWD, path, p);
}

static bool is_node(const struct path *p)
{
	return p->kind == PATH_IOMMU || p->kind == PATH_VFIO;
}

static enum node_kind kind_of(const struct path *p)
{
	return p->kind == PATH_IOMMU ? NODE_IOMMU : NODE_VFIO;
}

/* A shared directory as its files are named: the machine's name still works, so only listing needs more. */
static const char *name_of(const char *path, const struct path *p)
{
	return p->kind == PATH_SHARED ? path : p->real;
}

static int open_node(const struct path *p, int flags)
{
	if (flags & O_PATH)
		return (int)sys_ret(sys_open(p->real, flags & ~O_CREAT));
	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return (int)sys_ret(-EEXIST);
	if (flags & O_DIRECTORY)
		return (int)sys_ret(-ENOTDIR);
	return (int)sys_ret(file_open_node(kind_of(p), p->index, flags));
}

static int pass_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	int fd = PASS(openat, (dirfd, path, flags, mode),
		      sys4(SYS_openat, (unsigned int)dirfd, (uintptr_t)path, (unsigned int)flags, mode));

	/* What the rooms below open is theirs; a new number of the program means nothing yet. */
	if (fd >= 0)
		fd_mark_set(fd, run_self.depth ? FD_INTERNAL : FD_UNKNOWN);
	return fd;
}

static int do_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	struct path p;

	if (!ours_at(dirfd, path, &p))
		return pass_openat(dirfd, path, flags, mode);
	if (is_node(&p))
		return open_node(&p, flags);
	if (p.kind == PATH_SHARED && path_merge(run_dir, path, &p))
		return pass_openat(dirfd, path, flags, mode);
	return pass_openat(AT_FDCWD, p.real, flags & ~O_CREAT, mode);
}

static mode_t mode_of(int flags, va_list ap)
{
	return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(ap, mode_t) : 0;
}

HOOK(int, open, (const char *path, int flags, ...))
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return do_openat(AT_FDCWD, path, flags, mode);
}
HOOK_ALIAS(open64, open)

HOOK(int, openat, (int dirfd, const char *path, int flags, ...))
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return do_openat(dirfd, path, flags, mode);
}
HOOK_ALIAS(openat64, openat)

/* Fortified: the compiler has seen that there is no mode. libc aborts when one would be needed; the kernel sees 0. */
HOOK(int, __open_2, (const char *path, int flags))
{
	return do_openat(AT_FDCWD, path, flags, 0);
}
HOOK_ALIAS(__open64_2, __open_2)

HOOK(int, __openat_2, (int dirfd, const char *path, int flags))
{
	return do_openat(dirfd, path, flags, 0);
}
HOOK_ALIAS(__openat64_2, __openat_2)

HOOK(FILE *, fopen, (const char *path, const char *mode))
{
	struct path p;
	FILE *file;
	int fd;

	if (!ours(path, &p))
		return NEXT(fopen)(path, mode);
	if (!is_node(&p))
		return NEXT(fopen)(name_of(path, &p), mode);
	fd = open_node(&p, O_RDWR | (strchr(mode, 'e') ? O_CLOEXEC : 0));
	if (fd < 0)
		return NULL;
	file = fdopen(fd, mode);
	if (!file)
		sys_close(fd);
	return file;
}
HOOK_ALIAS(fopen64, fopen)

HOOK(DIR *, opendir, (const char *path))
{
	struct path p;

	if (!ours(path, &p) || (p.kind == PATH_SHARED && path_merge(run_dir, path, &p)))
		return NEXT(opendir)(path);
	return NEXT(opendir)(p.real);
}

HOOK(int, scandir,
     (const char *path, struct dirent ***list, int (*filter)(const struct dirent *),
      int (*compare)(const struct dirent **, const struct dirent **)))
{
	struct path p;

	if (!ours(path, &p) || (p.kind == PATH_SHARED && path_merge(run_dir, path, &p)))
		return NEXT(scandir)(path, list, filter, compare);
	return NEXT(scandir)(p.real, list, filter, compare);
}
HOOK_ALIAS(scandir64, scandir)

HOOK(int, access, (const char *path, int mode))
{
	struct path p;
	const char *name = ours(path, &p) ? name_of(path, &p) : path;

	return PASS(access, (name, mode), sys2(SYS_access, (uintptr_t)name, (unsigned int)mode));
}

HOOK(int, faccessat, (int dirfd, const char *path, int mode, int flags))
{
	struct path p;
	const char *name = ours_at(dirfd, path, &p) ? name_of(path, &p) : path;

	return PASS(faccessat, (dirfd, name, mode, flags),
		    sys3(SYS_faccessat, (unsigned int)dirfd, (uintptr_t)name, (unsigned int)mode));
}

static int raw_stat(int dirfd, const char *path, struct stat *st, int flags)
{
	return (int)sys4(SYS_newfstatat, (unsigned int)dirfd, (uintptr_t)path, (uintptr_t)st, (unsigned int)flags);
}

HOOK(int, stat, (const char *path, struct stat *st))
{
	struct path p;
	bool mine = ours(path, &p);
	const char *name = mine ? name_of(path, &p) : path;
	int r = PASS(stat, (name, st), raw_stat(AT_FDCWD, name, st, 0));

	if (mine && !r && is_node(&p))
		node_fake_stat(kind_of(&p), p.index, st);
	return r;
}
HOOK_ALIAS(stat64, stat)

HOOK(int, lstat, (const char *path, struct stat *st))
{
	struct path p;
	bool mine = ours(path, &p);
	const char *name = mine ? name_of(path, &p) : path;
	int r = PASS(lstat, (name, st), raw_stat(AT_FDCWD, name, st, AT_SYMLINK_NOFOLLOW));

	if (mine && !r && is_node(&p))
		node_fake_stat(kind_of(&p), p.index, st);
	return r;
}
HOOK_ALIAS(lstat64, lstat)

/* fstat() of a descriptor that was not opened here too: one that was inherited must look right before its first use. */
static void fake_fd_stat(int fd, struct stat *st)
{
	enum node_kind kind;
	unsigned int index;

	if (run_active() && file_identify(fd, st, &kind, &index))
		node_fake_stat(kind, index, st);
}

HOOK(int, fstat, (int fd, struct stat *st))
{
	int r = PASS(fstat, (fd, st), sys_fstat(fd, st));

	if (!r)
		fake_fd_stat(fd, st);
	return r;
}
HOOK_ALIAS(fstat64, fstat)

HOOK(int, fstatat, (int dirfd, const char *path, struct stat *st, int flags))
{
	struct path p;
	bool mine = ours_at(dirfd, path, &p);
	const char *name = mine ? name_of(path, &p) : path;
	int r = PASS(fstatat, (dirfd, name, st, flags), raw_stat(dirfd, name, st, flags));

	if (r)
		return r;
	if (mine && is_node(&p))
		node_fake_stat(kind_of(&p), p.index, st);
	else if ((flags & AT_EMPTY_PATH) && (!path || !*path))
		fake_fd_stat(dirfd, st);
	return r;
}
HOOK_ALIAS(fstatat64, fstatat)

/* What programs built before glibc 2.33 call. */
HOOK(int, __xstat, (int version, const char *path, struct stat *st))
{
	(void)version;
	return hook_stat(path, st);
}
HOOK_ALIAS(__xstat64, __xstat)

HOOK(int, __lxstat, (int version, const char *path, struct stat *st))
{
	(void)version;
	return hook_lstat(path, st);
}
HOOK_ALIAS(__lxstat64, __lxstat)

HOOK(int, __fxstat, (int version, int fd, struct stat *st))
{
	(void)version;
	return hook_fstat(fd, st);
}
HOOK_ALIAS(__fxstat64, __fxstat)

HOOK(int, __fxstatat, (int version, int dirfd, const char *path, struct stat *st, int flags))
{
	(void)version;
	return hook_fstatat(dirfd, path, st, flags);
}
HOOK_ALIAS(__fxstatat64, __fxstatat)

static void fake_statx(enum node_kind kind, unsigned int index, struct statx *sx)
{
	bool typeless = kind == NODE_QUEUE; /* see node_fake_stat() */

	sx->stx_mode = (uint16_t)(typeless ? 0600u : S_IFCHR | (sx->stx_mode & 0666u));
	sx->stx_rdev_major = typeless ? 0 : node_major(kind);
	sx->stx_rdev_minor = typeless ? 0 : node_minor(kind, index);
	sx->stx_nlink = 1;
	sx->stx_size = 0;
	sx->stx_blocks = 0;
}

HOOK(int, statx, (int dirfd, const char *path, int flags, unsigned int mask, struct statx *sx))
{
	struct path p;
	bool mine = ours_at(dirfd, path, &p);
	const char *name = mine ? name_of(path, &p) : path;
	int r = PASS(statx, (dirfd, name, flags, mask, sx),
		     sys5(SYS_statx, (unsigned int)dirfd, (uintptr_t)name, (unsigned int)flags, mask, (uintptr_t)sx));
	struct stat st;
	enum node_kind kind;
	unsigned int index;

	if (r)
		return r;
	if (mine && is_node(&p))
		fake_statx(kind_of(&p), p.index, sx);
	else if ((flags & AT_EMPTY_PATH) && (!path || !*path) && run_active() && sys_fstat(dirfd, &st) == 0 &&
		 file_identify(dirfd, &st, &kind, &index))
		fake_statx(kind, index, sx);
	return r;
}

/* A link of the tree that leads out of it by an absolute name names a path as the program knows it. */
static ssize_t undo_link(char *buf, ssize_t n)
{
	return n > 0 && run_active() ? (ssize_t)path_undo(run_dir, buf, (size_t)n) : n;
}

HOOK(ssize_t, readlink, (const char *path, char *buf, size_t size))
{
	struct path p;
	const char *name = ours(path, &p) ? name_of(path, &p) : path;

	return undo_link(buf, PASS(readlink, (name, buf, size),
				   sys3(SYS_readlink, (uintptr_t)name, (uintptr_t)buf, size)));
}

HOOK(ssize_t, readlinkat, (int dirfd, const char *path, char *buf, size_t size))
{
	struct path p;
	const char *name = ours_at(dirfd, path, &p) ? name_of(path, &p) : path;

	return undo_link(buf, PASS(readlinkat, (dirfd, name, buf, size),
				   sys4(SYS_readlinkat, (unsigned int)dirfd, (uintptr_t)name, (uintptr_t)buf, size)));
}

void __chk_fail(void) __attribute__((noreturn)); /* libc's verdict on a buffer that is too small */

HOOK(ssize_t, __readlink_chk, (const char *path, char *buf, size_t size, size_t room))
{
	if (room < size)
		__chk_fail();
	return hook_readlink(path, buf, size);
}

HOOK(ssize_t, __readlinkat_chk, (int dirfd, const char *path, char *buf, size_t size, size_t room))
{
	if (room < size)
		__chk_fail();
	return hook_readlinkat(dirfd, path, buf, size);
}

HOOK(char *, realpath, (const char *path, char *resolved))
{
	struct path p;
	char *r;
	size_t len;

	if (!ours(path, &p))
		return NEXT(realpath)(path, resolved);
	r = NEXT(realpath)(name_of(path, &p), resolved);
	if (r) {
		len = path_undo(run_dir, r, strlen(r));
		r[len] = 0;
	}
	return r;
}

HOOK(char *, __realpath_chk, (const char *path, char *resolved, size_t room))
{
	if (room < PATH_MAX)
		__chk_fail();
	return hook_realpath(path, resolved);
}

HOOK(char *, canonicalize_file_name, (const char *path))
{
	return hook_realpath(path, NULL);
}

/* ls(1) asks for these of every file that it lists. */
#define HOOK_GETXATTR(name)                                                                                   \
	HOOK(ssize_t, name, (const char *path, const char *attr, void *value, size_t size))                   \
	{                                                                                                     \
		struct path p;                                                                                \
		return NEXT(name)(ours(path, &p) ? name_of(path, &p) : path, attr, value, size);              \
	}
HOOK_GETXATTR(getxattr)
HOOK_GETXATTR(lgetxattr)

#define HOOK_LISTXATTR(name)                                                                                  \
	HOOK(ssize_t, name, (const char *path, char *list, size_t size))                                      \
	{                                                                                                     \
		struct path p;                                                                                \
		return NEXT(name)(ours(path, &p) ? name_of(path, &p) : path, list, size);                     \
	}
HOOK_LISTXATTR(listxattr)
HOOK_LISTXATTR(llistxattr)
