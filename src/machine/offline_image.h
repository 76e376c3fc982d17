/* SPDX-License-Identifier: BSD-3-Clause */
/* Files as physical memory: the half of offline.h that knows nothing of IOMMUs. */
#ifndef NB_MACHINE_OFFLINE_IMAGE_H
#define NB_MACHINE_OFFLINE_IMAGE_H

#include "machine/offline.h"
#include "mem/mem.h"

struct offline_file {
	void *map;	 /* what to unmap */
	size_t map_len;
	char *data;	 /* the file's first byte */
	uint64_t len;
	char *name;	 /* the last part of its path */
	dev_t dev;
	ino_t ino;
};

struct offline_image {
	struct mem mem;
	struct offline_file *file;
	size_t n;
};

/* 0 or -errno; *item is the region that was refused, or n. */
int offline_image_load(struct offline_image *im, const struct offline_region *r, size_t n, size_t *item,
		       struct nb_diag *diag);
void offline_image_drop(struct offline_image *im);
int offline_image_names(const struct offline_image *im, size_t *item, struct nb_diag *diag);
int offline_image_save(const struct offline_image *im, const char *dir, struct nb_diag *diag);

#endif
