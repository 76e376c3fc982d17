/* SPDX-License-Identifier: BSD-3-Clause */
/* What QEMU's -device arguments say about nesting. */
#ifndef NB_CLI_QEMU_DEVICES_H
#define NB_CLI_QEMU_DEVICES_H

#include <stdbool.h>

struct qemu_devices {
	bool asks_nesting;	  /* there is a vIOMMU that nests */
	const char *viommu_after; /* the driver of a vIOMMU that comes after an assigned device that is its own, or null */
	unsigned int outside;	  /* assigned devices behind no vIOMMU, where others are: nobody asked nesting for them */
};

struct qemu_devices qemu_devices_look(char *const argv[]);

#endif
