/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * System calls of our own.
 *
 * The virtual host interposes munmap(), close() and their kin in the process that it lives in, and revokes mappings there. This room
 * calls the kernel while it holds the very locks that a revocation takes, so it goes around the interposed
 * symbols. Results are negative errno.
 *
 * Descriptors are the exception: they are made and closed by libc's names, so that the virtual host sees them and keeps them where
 * the program neither expects nor closes them.
 */
#ifndef NB_HOST_SYS_H
#define NB_HOST_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/alloc.h"

static inline long sys_result(long r)
{
	return r < 0 ? -errno : r;
}

/* The caller's errno is the caller's: ours are calls inside calls. */
#define SYS(...)                                                                                              \
	({                                                                                                    \
		int errno_ = errno;                                                                           \
		long result_ = sys_result(syscall(__VA_ARGS__));                                              \
		errno = errno_;                                                                               \
		result_;                                                                                      \
	})

static inline int sys_dupfd(int fd)
{
	int errno_ = errno, own;

	if (nb_should_fail())
		return -EMFILE;
	own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	own = own < 0 ? -errno : own;
	errno = errno_;
	return own;
}

static inline void sys_close(int fd)
{
	int errno_ = errno;

	(void)close(fd);
	errno = errno_;
}

static inline int sys_fstat(int fd, struct stat *st)
{
	int errno_ = errno;
	int r = fstat(fd, st) ? -errno : 0;

	errno = errno_;
	return r;
}

static inline int sys_fstatfs(int fd, struct statfs *st)
{
	return (int)SYS(SYS_fstatfs, fd, st);
}

static inline long sys_readlink(const char *path, char *buf, size_t len)
{
	return SYS(SYS_readlinkat, AT_FDCWD, path, buf, len);
}

/* Map a file, shared. The address, or negative errno (no address is that high). */
static inline int64_t sys_mmap_file(size_t len, int prot, int fd, uint64_t off)
{
	if (nb_should_fail())
		return -ENOMEM;
	return SYS(SYS_mmap, NULL, len, prot, MAP_SHARED, fd, off);
}

static inline void sys_munmap(uint64_t va, size_t len)
{
	(void)SYS(SYS_munmap, va, len);
}

/* 0, or -ENOMEM when some page of the range is not mapped. Walks the list of mappings, not the pages. */
static inline int sys_check_mapped(uint64_t va, uint64_t len)
{
	return (int)SYS(SYS_msync, va, len, MS_ASYNC);
}

/* Add one to an eventfd; false when that would block or the descriptor is no more. */
static inline int sys_event_signal(int fd)
{
	uint64_t one = 1;
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	struct timespec now = {0};

	if (SYS(SYS_ppoll, &p, 1, &now, NULL, 0) != 1 || !(p.revents & POLLOUT))
		return -EAGAIN;
	return SYS(SYS_write, fd, &one, sizeof(one)) == sizeof(one) ? 0 : -EAGAIN;
}

#endif
