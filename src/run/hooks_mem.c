/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hooks of functions that change the address space, and of those that change how faults are handled.
 *
 * Memory goes only after every translation to it has gone. The check is one load while there is no machine.
 */
#undef _FILE_OFFSET_BITS
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "run/hook.h"
#include "run/next.h"
#include "run/signals.h"
#include "run/sys.h"
#include "run/vhost.h"

#define PAGE 4096u

static bool aligned(const void *p)
{
	return ((uintptr_t)p & (PAGE - 1)) == 0;
}

static size_t whole_pages(size_t len)
{
	return (len + PAGE - 1) & ~(size_t)(PAGE - 1);
}

/* Revoke whole pages, errno kept. Nothing for what the kernel will refuse. */
static void going(const void *p, size_t len)
{
	int saved = errno;

	if (!aligned(p) || len == 0 || len > SIZE_MAX - (PAGE - 1))
		return;
	vhost_revoke(p, whole_pages(len));
	errno = saved;
}

static void *pass_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	if (next.mmap)
		return next.mmap(addr, len, prot, flags, fd, off);
	return (void *)sys_ret(sys6(SYS_mmap, (uintptr_t)addr, len, (unsigned int)prot, (unsigned int)flags,
				    (unsigned int)fd, (uint64_t)off));
}

HOOK(void *, mmap, (void *addr, size_t len, int prot, int flags, int fd, off_t off))
{
	struct run_file *f = NULL;
	struct iommufd_mapping *mapping = NULL;
	int map_fd, err, saved = errno;
	uint64_t map_off;
	void *p;

	if (!(flags & MAP_ANONYMOUS) && fdtable_busy() && run_self.depth == 0 && fd_mark_get(fd) < FD_FOREIGN)
		f = file_get(fd);
	if (f) {
		err = off < 0 ? -EINVAL : vhost_mmap(f, fd, (uint64_t)off, len, prot, flags, &map_fd, &map_off, &mapping);
		if (err) {
			file_put(f);
			sys_ret(err);
			return MAP_FAILED;
		}
		fd = map_fd;
		off = (off_t)map_off;
	}
	if (flags & MAP_FIXED)
		going(addr, len);
	errno = saved;
	p = pass_mmap(addr, len, prot, flags, fd, off);
	saved = errno;
	if (mapping)
		vhost_mapped(mapping, p == MAP_FAILED ? NULL : p);
	if (f)
		file_put(f);
	errno = saved;
	return p;
}
HOOK_ALIAS(mmap64, mmap)

HOOK(int, munmap, (void *addr, size_t len))
{
	going(addr, len);
	return PASS(munmap, (addr, len), sys2(SYS_munmap, (uintptr_t)addr, len));
}

HOOK(void *, mremap, (void *addr, size_t old_len, size_t len, int flags, ...))
{
	va_list ap;
	void *to;
	long r;

	va_start(ap, flags);
	to = flags & (int)(MREMAP_FIXED | MREMAP_DONTUNMAP) ? va_arg(ap, void *) : NULL;
	va_end(ap);
	/* Growing in place, or to the same size, takes nothing away. */
	if (!(flags & (int)(MREMAP_FIXED | MREMAP_DONTUNMAP)) && len >= old_len) {
		r = sys5(SYS_mremap, (uintptr_t)addr, old_len, len, 0, 0);
		if (r >= 0 || r < -4095)
			return (void *)r;
		if (!(flags & MREMAP_MAYMOVE))
			return (void *)sys_ret(r);
	}
	if (!(flags & (int)(MREMAP_FIXED | MREMAP_DONTUNMAP)) && len < old_len && aligned(addr))
		going((char *)addr + whole_pages(len), whole_pages(old_len) - whole_pages(len));
	else
		going(addr, old_len);
	if (flags & MREMAP_FIXED)
		going(to, len);
	return (void *)sys_ret(
		sys5(SYS_mremap, (uintptr_t)addr, old_len, len, (unsigned int)flags, (uintptr_t)to));
}

HOOK(int, sigaction, (int sig, const struct sigaction *act, struct sigaction *old))
{
	return signals_sigaction(sig, act, old);
}

static sighandler_t set_handler(int sig, sighandler_t handler, int flags)
{
	struct sigaction act = {.sa_handler = handler, .sa_flags = flags}, old;

	sigemptyset(&act.sa_mask);
	return hook_sigaction(sig, &act, &old) ? SIG_ERR : old.sa_handler;
}

/* libc's signal() goes to the kernel by a way that we do not see. */
static bool is_fault(int sig, sighandler_t handler)
{
	return (sig == SIGSEGV || sig == SIGBUS) && handler != SIG_ERR;
}

HOOK(sighandler_t, signal, (int sig, sighandler_t handler))
{
	return is_fault(sig, handler) ? set_handler(sig, handler, SA_RESTART) : NEXT(signal)(sig, handler);
}
HOOK_ALIAS(bsd_signal, signal)
HOOK_ALIAS(ssignal, signal)

HOOK(sighandler_t, sysv_signal, (int sig, sighandler_t handler))
{
	return is_fault(sig, handler) ? set_handler(sig, handler, (int)SA_RESETHAND | SA_NODEFER) :
					NEXT(sysv_signal)(sig, handler);
}
HOOK_ALIAS(__sysv_signal, sysv_signal)

HOOK(int, sigprocmask, (int how, const sigset_t *set, sigset_t *old))
{
	return signals_mask(NEXT(sigprocmask), how, set, old);
}

HOOK(int, pthread_sigmask, (int how, const sigset_t *set, sigset_t *old))
{
	return signals_mask(NEXT(pthread_sigmask), how, set, old);
}

__attribute__((constructor)) static void run_constructor(void)
{
	next_init();
	vhost_init();
}
