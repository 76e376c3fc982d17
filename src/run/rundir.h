/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The run directory: what the launcher (`nestbox run`) and the preloaded library agree on.
 *
 * The launcher makes it (mode 0700, in $TMPDIR or /tmp, its name as realpath(3) gives it), fills in what is marked L
 * below, sets the environment and starts the program. The library adds what is marked P, in every process of
 * the program that uses the virtual host. When the program has ended the launcher reads
 * the counters and removes the directory with all that is in it.
 *
 *   host.bin          L  one struct nb_desc (machine/desc.h), checked with nb_desc_check()
 *   counters          L  one zeroed struct nb_counters (base/trace.h): the block of the first process.
 *                     P  Every further process appends a block of its own, since a block's slots belong to one
 *                        process. The totals are the sum over all whole blocks of the file.
 *   sys/ dev/         L  machine_make_tree(desc, <dir>, NB_RUN_VFIO_MAJOR)
 *   claims/           P  counters.<n>: who has which block; devices: a lock byte per vfio device
 *   merged/           P  directories that show the machine's own entries beside the virtual ones
 *   control.<pid>     P  Unix stream socket of a process that has a machine (protocol: control.c)
 */
#ifndef NB_RUN_RUNDIR_H
#define NB_RUN_RUNDIR_H

/* Environment of the program. */
#define NB_RUN_ENV_DIR	"NESTBOX_RUN" /* the run directory, absolute */
#define NB_RUN_ENV_LOG	"NESTBOX_LOG" /* patterns of nb_trace_log(); set and not empty also shows refused calls */

#define NB_RUN_LIBRARY "libnestbox-run.so" /* goes first in LD_PRELOAD */

/* Names in the run directory. */
#define NB_RUN_HOST	"host.bin"
#define NB_RUN_COUNTERS "counters"
#define NB_RUN_SYS	"sys"
#define NB_RUN_DEV	"dev"
#define NB_RUN_CLAIMS	"claims"
#define NB_RUN_MERGED	"merged"
#define NB_RUN_CONTROL	"control." /* followed by the pid in decimal */

/*
 * Device numbers. vfio<N> is NB_RUN_VFIO_MAJOR:N, in sysfs ("dev") as well as in what fstat says; Linux takes both majors from
 * the same dynamic range. /dev/iommu is a misc device.
 */
#define NB_RUN_VFIO_MAJOR  511
#define NB_RUN_IOMMU_MAJOR 10
#define NB_RUN_IOMMU_MINOR 262

#endif
