/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `nestbox translate` as a whole against a naive walker: what the vendors' tests share.
 *
 *	translate_x NESTBOX [--seed N] [--images N] [--requests N] [--keep]
 *
 * For each image the vendor builds random functions and their tables; the image goes into three files, a third of the images with
 * damaged entries, a third where nothing is refused. Random requests, with a flush now and then, go to the command, and every line that it
 * writes must be the one that the naive walker's answer makes. Afterwards the image that the command wrote must be the walker's.
 *
 * No number in a vendor's test comes from src/spec, nor from the model.
 */
#ifndef NB_TESTS_TRANSLATE_RIG_H
#define NB_TESTS_TRANSLATE_RIG_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef uint64_t u64;

#define BASE   UINT64_C(0x12340000000)
#define NPAGES 2048u
#define LEN    (NPAGES * 4096u)

struct image {
	u64 rng;
	uint8_t *ram;	   /* of [BASE, BASE + LEN) */
	unsigned int used; /* pages */
	bool clean;	   /* nothing is refused, so what walks leave in memory is certain */
	char dir[200];
};

u64 rnd(struct image *im, u64 n);
u64 rnd64(struct image *im);
bool chance(struct image *im, unsigned int one_in);
u64 low(unsigned int n);
u64 get(const struct image *im, u64 pa);
void put(struct image *im, u64 pa, u64 v);
/* 2^lg2 bytes aligned to themselves. 0: the image is full. */
u64 new_room(struct image *im, unsigned int lg2);
u64 new_page(struct image *im);

enum { TRANSLATIONS, FAULTS, OTHERS, NCOUNTS }; /* of answers; OTHERS: also counted before, and the image is then less certain */

struct rig_ops {
	const char *model;
	struct image *im;
	void *world;
	/* im is empty and has its random numbers. */
	void (*build)(void *world);
	void (*damage)(void *world);
	void (*registers)(const void *world, FILE *f); /* "registers" and "caps" of the configuration, without the last comma */
	unsigned int most;			       /* requests at once */
	void (*request)(void *world, unsigned int i, FILE *f);
	/* Has the naive walker answer request i, and compares. False: said why. */
	bool (*check)(void *world, const char *line, unsigned int i, u64 counts[NCOUNTS]);
	/*
	 * What walks change in entries; while something was refused hardware may have changed more of it than the walker. adds: bits are
	 * only ever set, and what the walker set is set.
	 */
	u64 marks;
	bool adds;
};

int rig_main(int argc, char **argv, const struct rig_ops *ops);

#endif
