/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A second VT-d walker, as slow and as plain as it can be: no cache, no masks of ours, every number from the manual.
 *
 * It exists to disagree with src/hw/vtd. It reads a flat image of memory and applies A and D bits to it, so the
 * images of both can be compared afterwards.
 */
#ifndef NB_TESTS_NAIVE_VTD_H
#define NB_TESTS_NAIVE_VTD_H

#include <stdbool.h>
#include <stdint.h>

struct naive_vtd {
	uint8_t *image;		/* of [base, base + len) */
	uint64_t base, len;
	uint64_t rtaddr;
	/* capabilities that decide about walks */
	unsigned int haw, mgaw, pasid_bits;
	bool has5, fs, ss, nest, pt, fs1g, ss2m, ss1g, sc, ssad, eaf, srs, ers, dt, rps;
	bool prs;		/* page requests: else SCTX.PRE is reserved */
	bool rprivs;		/* RID_PRIV */
};

struct naive_req {
	uint64_t addr;
	bool with_pasid, priv, write; /* else a read */
	bool exec;		/* a read that wants to execute; only with a PASID */
	uint32_t pasid;
	uint16_t rid;
};

struct naive_res {
	int fault;		/* reason, or 0 */
	int maybe;		/* another reason that hardware may give instead of `fault`, or 0 */
	int stage;		/* that refused; 0: neither */
	uint64_t ipa;		/* stage 2: the address that it refused */
	uint64_t pa;
	unsigned int lg2;	/* 0: nobody says */
	bool r, w;		/* what the requester may do there */
	bool silent;		/* the fault is not recorded (FPD) */
	unsigned int nwords;	/* addresses of the words that the walk read, in order */
	uint64_t word[64];
};

void naive_translate(struct naive_vtd *n, const struct naive_req *q, struct naive_res *res);

#endif
