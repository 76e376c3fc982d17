/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The waist: the few system calls through which everything above reaches iommufd and VFIO.
 *
 * Either libc (the real kernel) or the software host of this library. Results follow the system calls' C
 * wrappers but for the error: negative errno instead of -1 and errno.
 */
#ifndef NB_UAPI_KERNEL_H
#define NB_UAPI_KERNEL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct nb_kernel {
	void *opaque;
	int (*open)(void *opaque, const char *path, int flags);
	int (*close)(void *opaque, int fd);
	long (*ioctl)(void *opaque, int fd, unsigned long cmd, void *arg);
	ssize_t (*read)(void *opaque, int fd, void *buf, size_t len);
	ssize_t (*write)(void *opaque, int fd, const void *buf, size_t len);
	ssize_t (*pread)(void *opaque, int fd, void *buf, size_t len, uint64_t off);
	ssize_t (*pwrite)(void *opaque, int fd, const void *buf, size_t len, uint64_t off);
	void *(*mmap)(void *opaque, void *addr, size_t len, int prot, int flags, int fd, uint64_t off, int *err);
};

/* The real one: every member is the system call of the same name. */
extern const struct nb_kernel nb_kernel_linux;

#endif
