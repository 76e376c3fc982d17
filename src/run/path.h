/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which paths are the virtual host's.
 *
 * The run directory holds real files for all of them, under sys/ and dev/, so a path of ours is
 * rewritten and libc does the rest; relative links inside the tree stay inside it. Three kinds of places:
 *
 *  - our own: below a directory of which the virtual host has entries (PCI devices, groups, IOMMUs, vfio). An entry that is in the
 *    tree is the virtual host's; any other is the machine's and stays visible;
 *  - shared: such a directory itself. It is the machine's unless it is listed, which shows both;
 *  - everything else below /sys: the machine's if it is there, the tree's otherwise (a machine without /sys).
 *
 * ".." is never resolved here: the kernel does that, in the tree or outside it. Nothing here allocates, and nothing but system calls is used.
 */
#ifndef NB_RUN_PATH_H
#define NB_RUN_PATH_H

#include <stdbool.h>
#include <stddef.h>

#define PATH_SIZE 4096 /* PATH_MAX */

enum path_kind {
	PATH_FOREIGN, /* not ours: use the path as it was given */
	PATH_TREE,    /* a file in the tree: `real` */
	PATH_SHARED,  /* in both; `real` is the one in the tree */
	PATH_IOMMU,   /* /dev/iommu; `real` is the file that stands for it */
	PATH_VFIO,    /* /dev/vfio/devices/vfio<index>; likewise */
};

struct path {
	enum path_kind kind;
	unsigned int index;
	char real[PATH_SIZE];
};

/* Quick and exact "no" for nearly every path: call this first. */
bool path_maybe(const char *path);
/* Could this, relative to a directory of devices or of sysfs, be ours? */
bool path_maybe_at(const char *path);

/*
 * Classify an absolute path. `dir` is the run directory, without a slash at its end. The result is PATH_FOREIGN when anything is
 * not as expected: too long, not there.
 */
void path_classify(const char *dir, const char *path, struct path *out);
/*
 * The same for a path relative to an open directory (or AT_FDCWD); looks the directory up in /proc. When that is a
 * directory of the tree the result is what the corresponding absolute path would give.
 */
void path_classify_at(const char *dir, int dirfd, const char *path, struct path *out);

/*
 * The way back: a name inside the tree becomes the one that the program knows, in place. `len` without the terminator; returns
 * the new length. Names elsewhere stay as they are.
 */
size_t path_undo(const char *dir, char *name, size_t len);

/* A directory under the run directory that lists both sides of a shared one. 0 and its name in p->real, or -errno. */
int path_merge(const char *dir, const char *path, struct path *p);

#endif
