/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hooks of functions that take a descriptor.
 *
 * As long as the process has met no node of the virtual host all of them pass on after one load. Later a
 * number whose meaning is not known is looked at once; FD_FOREIGN is remembered until it is closed.
 */
#undef _FILE_OFFSET_BITS
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mem/guard.h"
#include "run/hook.h"
#include "run/next.h"
#include "run/sys.h"
#include "run/vhost.h"

#define MAX_RW 0x7ffff000u /* what one read(2) moves at most */

/* The file if fd is a node. errno is kept. */
static struct run_file *ours(int fd)
{
	if (!fdtable_busy() || run_self.depth || fd_mark_get(fd) >= FD_FOREIGN)
		return NULL;
	return file_get(fd);
}

static long done(struct run_file *f, long r)
{
	int saved = errno;

	file_put(f);
	errno = saved;
	return sys_ret(r);
}

/* iommufd's and VFIO's commands share a magic; whatever carries it is looked at, so that a descriptor is found however it came. */
#define IOCTL_MAGIC 0x3b

HOOK(int, ioctl, (int fd, unsigned long request, ...))
{
	struct run_file *f = NULL;
	int saved;
	va_list ap;
	void *arg;
	long r;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (__builtin_expect((request >> 8 & 0xff) == IOCTL_MAGIC, 0) && run_active() &&
	    fd_mark_get(fd) != FD_INTERNAL)
		f = file_get(fd);
	if (!f)
		return PASS(ioctl, (fd, request, arg), sys3(SYS_ioctl, (unsigned int)fd, request, (uintptr_t)arg));
	saved = errno;
	r = vhost_ioctl(f, fd, (unsigned int)request, (uint64_t)(uintptr_t)arg);
	errno = saved;
	return (int)done(f, r);
}

/* One transfer at an offset, or at the descriptor's position (off < 0), which is kept where the kernel keeps it. */
static long transfer(struct run_file *f, int fd, void *buf, size_t len, off_t off, bool write)
{
	bool at_position = off < 0;
	int saved = errno;
	long r;

	if (len > MAX_RW)
		len = MAX_RW;
	if (f->kind == NODE_QUEUE) { /* a stream: no position, and none may be given */
		if (!at_position)
			return -ESPIPE;
		r = write ? vhost_pwrite(f, fd, buf, len, 0) : vhost_pread(f, fd, buf, len, 0);
		errno = saved;
		return r;
	}
	if (at_position) {
		off = sys3(SYS_lseek, (unsigned int)fd, 0, SEEK_CUR);
		if (off < 0)
			return off;
	}
	r = write ? vhost_pwrite(f, fd, buf, len, (uint64_t)off) : vhost_pread(f, fd, buf, len, (uint64_t)off);
	if (at_position && r > 0)
		sys3(SYS_lseek, (unsigned int)fd, (uint64_t)(off + r), SEEK_SET);
	errno = saved;
	return r;
}

/* The segments of a vector one after the other, until one comes short. */
static long transfer_vector(struct run_file *f, int fd, const struct iovec *iov, int n, off_t off, bool write)
{
	long sum = 0, r = 0;
	int i;

	if (n < 0 || n > IOV_MAX)
		return -EINVAL;
	/* Makes the machine if there is none: guarded access needs it. */
	if (f->kind != NODE_QUEUE || off >= 0)
		r = transfer(f, fd, NULL, 0, off, write);
	for (i = 0; i < n && r >= 0; i++) {
		struct iovec v;

		if (guard_copy(&v, iov + i, sizeof(v)))
			return sum ? sum : -EFAULT;
		r = transfer(f, fd, v.iov_base, v.iov_len, off < 0 ? off : off + sum, write);
		if (r > 0)
			sum += r;
		if (r >= 0 && (size_t)r < v.iov_len)
			break;
	}
	return sum || r >= 0 ? sum : r;
}

HOOK(ssize_t, read, (int fd, void *buf, size_t len))
{
	struct run_file *f = ours(fd);

	if (!f)
		return PASS(read, (fd, buf, len), sys3(SYS_read, (unsigned int)fd, (uintptr_t)buf, len));
	return done(f, transfer(f, fd, buf, len, -1, false));
}

HOOK(ssize_t, write, (int fd, const void *buf, size_t len))
{
	struct run_file *f = ours(fd);

	if (!f)
		return PASS(write, (fd, buf, len), sys3(SYS_write, (unsigned int)fd, (uintptr_t)buf, len));
	return done(f, transfer(f, fd, (void *)(uintptr_t)buf, len, -1, true));
}

HOOK(ssize_t, pread, (int fd, void *buf, size_t len, off_t off))
{
	struct run_file *f = ours(fd);

	if (!f)
		return PASS(pread, (fd, buf, len, off),
			    sys4(SYS_pread64, (unsigned int)fd, (uintptr_t)buf, len, (uint64_t)off));
	return done(f, off < 0 ? -EINVAL : transfer(f, fd, buf, len, off, false));
}
HOOK_ALIAS(pread64, pread)

HOOK(ssize_t, pwrite, (int fd, const void *buf, size_t len, off_t off))
{
	struct run_file *f = ours(fd);

	if (!f)
		return PASS(pwrite, (fd, buf, len, off),
			    sys4(SYS_pwrite64, (unsigned int)fd, (uintptr_t)buf, len, (uint64_t)off));
	return done(f, off < 0 ? -EINVAL : transfer(f, fd, (void *)(uintptr_t)buf, len, off, true));
}
HOOK_ALIAS(pwrite64, pwrite)

void __chk_fail(void) __attribute__((noreturn));

HOOK(ssize_t, __read_chk, (int fd, void *buf, size_t len, size_t room))
{
	if (len > room)
		__chk_fail();
	return hook_read(fd, buf, len);
}

HOOK(ssize_t, __pread_chk, (int fd, void *buf, size_t len, off_t off, size_t room))
{
	if (len > room)
		__chk_fail();
	return hook_pread(fd, buf, len, off);
}
HOOK_ALIAS(__pread64_chk, __pread_chk)

HOOK(ssize_t, readv, (int fd, const struct iovec *iov, int n))
{
	struct run_file *f = ours(fd);

	if (!f)
		return PASS(readv, (fd, iov, n), sys3(SYS_readv, (unsigned int)fd, (uintptr_t)iov, (unsigned int)n));
	return done(f, transfer_vector(f, fd, iov, n, -1, false));
}

HOOK(ssize_t, writev, (int fd, const struct iovec *iov, int n))
{
	struct run_file *f = ours(fd);

	if (!f)
		return PASS(writev, (fd, iov, n), sys3(SYS_writev, (unsigned int)fd, (uintptr_t)iov, (unsigned int)n));
	return done(f, transfer_vector(f, fd, iov, n, -1, true));
}

/* The kernel takes the offset in two halves and on 64-bit machines ignores the upper one. */
HOOK(ssize_t, preadv, (int fd, const struct iovec *iov, int n, off_t off))
{
	struct run_file *f = ours(fd);

	if (!f)
		return PASS(preadv, (fd, iov, n, off),
			    sys5(SYS_preadv, (unsigned int)fd, (uintptr_t)iov, (unsigned int)n, (uint64_t)off, 0));
	return done(f, off < 0 ? -EINVAL : transfer_vector(f, fd, iov, n, off, false));
}
HOOK_ALIAS(preadv64, preadv)

HOOK(ssize_t, pwritev, (int fd, const struct iovec *iov, int n, off_t off))
{
	struct run_file *f = ours(fd);

	if (!f)
		return PASS(pwritev, (fd, iov, n, off),
			    sys5(SYS_pwritev, (unsigned int)fd, (uintptr_t)iov, (unsigned int)n, (uint64_t)off, 0));
	return done(f, off < 0 ? -EINVAL : transfer_vector(f, fd, iov, n, off, true));
}
HOOK_ALIAS(pwritev64, pwritev)

/*
 * Before a number is closed or given another meaning: -EBADF when it is ours to keep, else 0 with *f the file that may lose its last
 * descriptor. The mark goes first, since the number may be somebody else's the moment after.
 */
static int before_close(int fd, struct run_file **f)
{
	*f = NULL;
	if (run_self.depth == 0) {
		enum fd_mark mark = fd_mark_get(fd);

		if (mark == FD_INTERNAL)
			return -EBADF;
		if (mark == FD_OURS) {
			if (fdtable_elsewhere())
				return 0;
			*f = ours(fd);
		}
	}
	fd_mark_set(fd, FD_UNKNOWN);
	return 0;
}

static void after_close(struct run_file *f)
{
	int saved = errno;

	if (f)
		file_closed(f);
	errno = saved;
}

HOOK(int, close, (int fd))
{
	struct run_file *f;
	int r = before_close(fd, &f);

	if (r)
		return (int)sys_ret(r);
	r = PASS(close, (fd), sys_close(fd));
	after_close(f);
	return r;
}

/* A new number: what was remembered of it, if its close went by unseen, is void. */
static int new_number(int fd)
{
	if (fd >= 0 && fd_mark_get(fd) == FD_FOREIGN)
		fd_mark_set(fd, FD_UNKNOWN);
	return fd;
}

/* What the rooms below make for themselves: where the program neither expects nor closes it. */
static int keep(int fd)
{
	int high = fd < 0 || run_self.depth == 0 ? -1 : run_keep_fd(fd);

	if (high < 0)
		return new_number(fd);
	sys_close(fd);
	return high;
}

HOOK(int, memfd_create, (const char *name, unsigned int flags))
{
	return keep(PASS(memfd_create, (name, flags), sys2(SYS_memfd_create, (uintptr_t)name, flags)));
}

HOOK(int, dup, (int fd))
{
	return keep(PASS(dup, (fd), sys1(SYS_dup, (unsigned int)fd)));
}

HOOK(int, fcntl, (int fd, int cmd, ...))
{
	va_list ap;
	void *arg;
	int r;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	r = PASS(fcntl, (fd, cmd, arg), sys3(SYS_fcntl, (unsigned int)fd, (unsigned int)cmd, (uintptr_t)arg));
	return cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC ? keep(r) : r;
}
HOOK_ALIAS(fcntl64, fcntl)

HOOK(int, dup2, (int fd, int to))
{
	struct run_file *f = NULL;
	int r = fd == to ? 0 : before_close(to, &f);

	if (r)
		return (int)sys_ret(-EBUSY);
	r = PASS(dup2, (fd, to), sys2(SYS_dup2, (unsigned int)fd, (unsigned int)to));
	after_close(f);
	return r;
}

HOOK(int, dup3, (int fd, int to, int flags))
{
	struct run_file *f = NULL;
	int r = fd == to ? 0 : before_close(to, &f);

	if (r)
		return (int)sys_ret(-EBUSY);
	r = PASS(dup3, (fd, to, flags), sys3(SYS_dup3, (unsigned int)fd, (unsigned int)to, (unsigned int)flags));
	after_close(f);
	return r;
}

/* Around our own descriptors. */
static int close_span(unsigned int first, unsigned int last, int flags)
{
	long r = 0;

	if (first <= last)
		r = PASS(close_range, (first, last, flags), sys3(SYS_close_range, first, last, (unsigned int)flags));
	return (int)r;
}

HOOK(int, close_range, (unsigned int first, unsigned int last, int flags))
{
	unsigned int fd, from = first, end = last < FD_MARKS - 1 ? last : FD_MARKS - 1;
	int r = 0;

	if (!fdtable_busy() || run_self.depth || first > last || fdtable_elsewhere())
		return PASS(close_range, (first, last, flags),
			    sys3(SYS_close_range, first, last, (unsigned int)flags));
	for (fd = first; fd <= end && !r; fd++) {
		if (fd_mark_get((int)fd) == FD_INTERNAL) {
			if (fd > from)
				r = close_span(from, fd - 1, flags);
			from = fd + 1;
		} else if (!(flags & (int)CLOSE_RANGE_CLOEXEC)) {
			fd_mark_set((int)fd, FD_UNKNOWN);
		}
	}
	if (!r && from <= last && from >= first)
		r = close_span(from, last, flags);
	fdtable_sweep();
	return r;
}

HOOK(void, closefrom, (int first))
{
	int saved = errno;

	if (!fdtable_busy()) {
		NEXT(closefrom)(first);
		return;
	}
	hook_close_range(first < 0 ? 0 : (unsigned int)first, UINT_MAX, 0);
	errno = saved;
}

/* Call fn for each of our files whose descriptors a message carries. */
static void each_passed(const struct msghdr *msg, int delta)
{
	const struct cmsghdr *c;
	struct msghdr m = *msg;

	for (c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, (struct cmsghdr *)(uintptr_t)c)) {
		size_t i, n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len < CMSG_LEN(0))
			continue;
		/* A program may claim any length; the kernel will tell it so. */
		n = (size_t)((const char *)m.msg_control + m.msg_controllen - (const char *)CMSG_DATA(c));
		if (n > c->cmsg_len - CMSG_LEN(0))
			n = c->cmsg_len - CMSG_LEN(0);
		n /= sizeof(int);
		for (i = 0; i < n; i++) {
			struct run_file *f;
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (delta < 0) /* a new number */
				fd_mark_set(fd, FD_UNKNOWN);
			f = ours(fd);
			if (!f)
				continue;
			if (delta > 0 || atomic_load(&f->in_flight) > 0)
				atomic_fetch_add(&f->in_flight, delta);
			file_put(f);
		}
	}
}

static bool carries(const struct msghdr *msg)
{
	return __builtin_expect(fdtable_busy(), 0) && run_self.depth == 0 && msg && msg->msg_control &&
	       msg->msg_controllen >= sizeof(struct cmsghdr);
}

/* A descriptor under way in a message keeps its file open even when no number is left. */
HOOK(ssize_t, sendmsg, (int fd, const struct msghdr *msg, int flags))
{
	bool passing = carries(msg);
	ssize_t r;

	if (passing)
		each_passed(msg, 1);
	r = PASS(sendmsg, (fd, msg, flags), sys3(SYS_sendmsg, (unsigned int)fd, (uintptr_t)msg, (unsigned int)flags));
	if (passing && r < 0) {
		int saved = errno;

		each_passed(msg, -1);
		errno = saved;
	}
	return r;
}

HOOK(ssize_t, recvmsg, (int fd, struct msghdr *msg, int flags))
{
	ssize_t r = PASS(recvmsg, (fd, msg, flags),
			 sys3(SYS_recvmsg, (unsigned int)fd, (uintptr_t)msg, (unsigned int)flags));

	if (r >= 0 && carries(msg)) {
		int saved = errno;

		each_passed(msg, -1);
		errno = saved;
	}
	return r;
}
