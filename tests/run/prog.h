/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Programs that run under the preload library, as strangers: nothing but libc is used. One case a process.
 */
#ifndef NB_TESTS_RUN_PROG_H
#define NB_TESTS_RUN_PROG_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_host.h"

#define CHECK(c) check((c), #c, __FILE__, __LINE__)
#define CHECK_ERR(call, err)                                                                                  \
	do {                                                                                                  \
		errno = 0;                                                                                    \
		CHECK((call) == -1);                                                                          \
		CHECK(errno == (err));                                                                        \
	} while (0)

static inline void check(bool ok, const char *what, const char *file, int line)
{
	if (ok)
		return;
	fprintf(stderr, "%s:%d: %s is false (errno %d, %s)\n", file, line, what, errno, strerror(errno));
	_exit(1);
}

struct prog_case {
	const char *name;
	void (*run)(void);
};
extern const struct prog_case fd_cases[], process_cases[], memory_cases[], path_cases[], fault_cases[];

/* The program's own name, to execute itself: `prog CASE ARG...` with prog_argc counting from the name of the case. */
extern int prog_argc;
extern char **prog_argv;

/* Vectors for bind(): device and iommufd as the kernel's struct has them. */
int do_bind(int device, int iommufd);
int open_iommu(void);
int open_device(unsigned int n);
/* Wait for a child; its exit status must be `want`. */
void wait_for(pid_t pid, int want);

#endif
