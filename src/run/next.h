/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The functions that we stand in front of: libc's, or those of the next preloaded library.
 *
 * Looked up once, by the constructor. Earlier, and inside the lookup itself, a hook sees null and makes the system call instead, or,
 * where there is none (realpath, opendir, stdio), asks for the lookup there and then.
 */
#ifndef NB_RUN_NEXT_H
#define NB_RUN_NEXT_H

#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

/* X(result, name, parameters) */
#define NEXT_FUNCTIONS(X)                                                                                    \
	X(int, open, (const char *, int, ...))                                                                \
	X(int, openat, (int, const char *, int, ...))                                                         \
	X(int, close, (int))                                                                                  \
	X(ssize_t, read, (int, void *, size_t))                                                               \
	X(ssize_t, write, (int, const void *, size_t))                                                        \
	X(ssize_t, pread, (int, void *, size_t, off_t))                                                       \
	X(ssize_t, pwrite, (int, const void *, size_t, off_t))                                                \
	X(ssize_t, readv, (int, const struct iovec *, int))                                                   \
	X(ssize_t, writev, (int, const struct iovec *, int))                                                  \
	X(ssize_t, preadv, (int, const struct iovec *, int, off_t))                                           \
	X(ssize_t, pwritev, (int, const struct iovec *, int, off_t))                                          \
	X(int, ioctl, (int, unsigned long, ...))                                                              \
	X(ssize_t, recvmsg, (int, struct msghdr *, int))                                                      \
	X(ssize_t, sendmsg, (int, const struct msghdr *, int))                                                \
	X(int, memfd_create, (const char *, unsigned int))                                                    \
	X(int, dup, (int))                                                                                    \
	X(int, fcntl, (int, int, ...))                                                                        \
	X(int, dup2, (int, int))                                                                              \
	X(int, dup3, (int, int, int))                                                                         \
	X(int, close_range, (unsigned int, unsigned int, int))                                                \
	X(void, closefrom, (int))                                                                             \
	X(void *, mmap, (void *, size_t, int, int, int, off_t))                                               \
	X(int, munmap, (void *, size_t))                                                                      \
	X(int, stat, (const char *, struct stat *))                                                           \
	X(int, lstat, (const char *, struct stat *))                                                          \
	X(int, fstat, (int, struct stat *))                                                                   \
	X(int, fstatat, (int, const char *, struct stat *, int))                                              \
	X(int, statx, (int, const char *, int, unsigned int, struct statx *))                                 \
	X(int, access, (const char *, int))                                                                   \
	X(int, faccessat, (int, const char *, int, int))                                                      \
	X(ssize_t, readlink, (const char *, char *, size_t))                                                  \
	X(ssize_t, readlinkat, (int, const char *, char *, size_t))                                           \
	X(ssize_t, getxattr, (const char *, const char *, void *, size_t))                                    \
	X(ssize_t, lgetxattr, (const char *, const char *, void *, size_t))                                   \
	X(ssize_t, listxattr, (const char *, char *, size_t))                                                 \
	X(ssize_t, llistxattr, (const char *, char *, size_t))                                                \
	X(char *, realpath, (const char *, char *))                                                           \
	X(DIR *, opendir, (const char *))                                                                     \
	X(FILE *, fopen, (const char *, const char *))                                                        \
	X(int, scandir, (const char *, struct dirent ***, int (*)(const struct dirent *),                     \
			 int (*)(const struct dirent **, const struct dirent **)))                            \
	X(int, sigaction, (int, const struct sigaction *, struct sigaction *))                                \
	X(sighandler_t, signal, (int, sighandler_t))                                                          \
	X(sighandler_t, sysv_signal, (int, sighandler_t))                                                     \
	X(int, sigprocmask, (int, const sigset_t *, sigset_t *))                                              \
	X(int, pthread_sigmask, (int, const sigset_t *, sigset_t *))

struct next_table {
#define X(res, name, params) res(*name) params;
	NEXT_FUNCTIONS(X)
#undef X
};

extern struct next_table next;

/* Fill the table in. Functions that libc does not have stay null. */
void next_init(void);

/* For functions without a system call of their own. */
#define NEXT(name) (next.name ? next.name : (next_init(), next.name))

#endif
