/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * System calls without libc.
 *
 * Hooks run before constructors and inside allocators, where no libc function that may be interposed, allocate or
 * touch errno can be used. Results are the kernel's: negative errno on failure; errno is left alone.
 */
#ifndef NB_RUN_SYS_H
#define NB_RUN_SYS_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#if !defined(__x86_64__)
#error "raw system calls are written for x86-64"
#endif

static inline long sys6(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	register uint64_t r10 __asm__("r10") = d;
	register uint64_t r8 __asm__("r8") = e;
	register uint64_t r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

#define SYS_ARG(x) ((uint64_t)(x))
#define sys0(nr)		  sys6(nr, 0, 0, 0, 0, 0, 0)
#define sys1(nr, a)		  sys6(nr, SYS_ARG(a), 0, 0, 0, 0, 0)
#define sys2(nr, a, b)		  sys6(nr, SYS_ARG(a), SYS_ARG(b), 0, 0, 0, 0)
#define sys3(nr, a, b, c)	  sys6(nr, SYS_ARG(a), SYS_ARG(b), SYS_ARG(c), 0, 0, 0)
#define sys4(nr, a, b, c, d)	  sys6(nr, SYS_ARG(a), SYS_ARG(b), SYS_ARG(c), SYS_ARG(d), 0, 0)
#define sys5(nr, a, b, c, d, e)	  sys6(nr, SYS_ARG(a), SYS_ARG(b), SYS_ARG(c), SYS_ARG(d), SYS_ARG(e), 0)

/* The end of a hook: what a libc wrapper makes of a system call's result. */
static inline long sys_ret(long r)
{
	if (r < 0 && r >= -4095) {
		errno = (int)-r;
		return -1;
	}
	return r;
}

static inline int sys_close(int fd)
{
	return (int)sys1(SYS_close, (unsigned int)fd);
}

struct sys_dirent { /* what getdents64(2) fills a buffer with */
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

/* struct stat is the kernel's on this machine. */
static inline int sys_fstat(int fd, struct stat *st)
{
	return (int)sys2(SYS_fstat, (unsigned int)fd, (uintptr_t)st);
}

static inline int sys_open(const char *path, int flags)
{
	return (int)sys4(SYS_openat, (unsigned int)-100 /* AT_FDCWD */, (uintptr_t)path, (unsigned int)flags, 0600);
}

#endif
