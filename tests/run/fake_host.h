/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A virtual host of a few lines, so that the preload library can be tested alone.
 *
 * Two vfio devices; their files and the iommufd's do what the numbers below say, and remember enough to tell one from another.
 */
#ifndef NB_TESTS_RUN_FAKE_HOST_H
#define NB_TESTS_RUN_FAKE_HOST_H

#include <stdint.h>

enum {
	FAKE_SET = 0x3be0,	/* any file: remember the argument */
	FAKE_GET = 0x3be1,	/* any file: the number remembered, 0 at first */
	FAKE_LOAD = 0x3be2,	/* any file: guarded load of 8 bytes at the argument: 0 or -EFAULT */
	FAKE_OPEN = 0x3be3,	/* any file: how many files the machine has open */
	FAKE_WATCH = 0x3be4,	/* iommufd: watch the page at the argument, dead: see FAKE_DEAD */
	FAKE_DEAD = 0x3be5,	/* iommufd: was the watched page revoked? */
	FAKE_SLEEP = 0x3be6,	/* any file: argument milliseconds */
	FAKE_REVOKED = 0x3be7,	/* any file: how often host_revoke() was called */
	FAKE_FAULT = 0x3be9,	/* iommufd: a queue of the kind that arg says; its descriptor. It gives back what is written to it */
	FAKE_ABORT = 0x3bea,	/* iommufd: the same, but the call fails in the end: -EFAULT */
	FAKE_MAPPED = 0x3beb,	/* iommufd: how many of its mappings there are */
	FAKE_BIND = 0x3b76,	/* vfio: as the real one */
	FAKE_FILL = 0x3be8,	/* any file: allocate and free the argument's bytes, and map and unmap them */
};

#define FAKE_DEVICES  2
#define FAKE_BAR_SIZE 0x4000u
#define FAKE_PAGES	  0x1000u /* where the iommufd has two pages to map */
#define FAKE_BAR0     UINT64_C(0)		/* registers: read back what was written */
#define FAKE_BAR2     (UINT64_C(2) << 40)	/* memory that can be mapped */

#endif
