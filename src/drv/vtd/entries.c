/* SPDX-License-Identifier: BSD-3-Clause */
/* VT-d 9.3 to 9.6: context and PASID entries, made and published. */
#include "drv/vtd/entries.h"

#include <string.h>

static void store_word(le64_t *slot, le64_t v, int order)
{
	__atomic_store_n(&slot->le, v.le, order);
}

/*
 * Words n-1..1, then word 0, which carries P, with release. Hardware fetches an entry in pieces: a
 * present word 0 must never be seen beside an older word.
 */
static void publish_words(le64_t *live, const le64_t *e, unsigned int n)
{
	while (--n > 0)
		store_word(&live[n], e[n], __ATOMIC_RELAXED);
	store_word(&live[0], e[0], __ATOMIC_RELEASE);
}

/* Word 0 goes first: it is the one that says that the others mean something. */
static void zero_words(le64_t *live, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		store_word(&live[i], le64(0), __ATOMIC_RELAXED);
}

static void clear_bits(le64_t *slot, uint64_t bits)
{
	__atomic_fetch_and(&slot->le, ~le64(bits).le, __ATOMIC_ACQ_REL);
}

static void set_bits(le64_t *slot, uint64_t bits)
{
	__atomic_fetch_or(&slot->le, le64(bits).le, __ATOMIC_ACQ_REL);
}

/* ---- PASID entries ---- */

void dvtd_pasid_used(const struct vtd_pasid_entry *e, struct vtd_pasid_entry *used)
{
	static const uint64_t common_0 = VTD_PASID_0_P | VTD_PASID_0_FPD | VTD_PASID_0_AW | VTD_PASID_0_PGTT;
	static const uint64_t common_1 = VTD_PASID_1_DID | VTD_PASID_1_PWSNP | VTD_PASID_1_PGSNP;
	static const uint64_t ss_0 = VTD_PASID_0_SSADE | VTD_PASID_0_SSPTPTR;
	static const uint64_t fs_2 = VTD_PASID_2_SRE | VTD_PASID_2_FSPM | VTD_PASID_2_WPE | VTD_PASID_2_EAFE |
				     VTD_PASID_2_FSPTPTR;
	uint64_t q0 = cpu64(e->q[0]);

	memset(used, 0, sizeof(*used));
	if (!(q0 & VTD_PASID_0_P)) {
		used->q[0] = le64(VTD_PASID_0_P | VTD_PASID_0_FPD);
		return;
	}
	used->q[0] = le64(common_0);
	used->q[1] = le64(common_1);
	switch (FIELD_GET(VTD_PASID_0_PGTT, q0)) {
	case VTD_PGTT_FS:
		used->q[2] = le64(fs_2);
		break;
	case VTD_PGTT_SS:
		used->q[0] = le64(common_0 | ss_0);
		break;
	case VTD_PGTT_NESTED:
		used->q[0] = le64(common_0 | ss_0);
		used->q[2] = le64(fs_2);
		break;
	default:
		break;
	}
}

static void check_used(const struct vtd_pasid_entry *e)
{
	struct vtd_pasid_entry used;
	unsigned int i;

	dvtd_pasid_used(e, &used);
	for (i = 0; i < ARRAY_SIZE(e->q); i++)
		assert((e->q[i].le & ~used.q[i].le) == 0);
}

static uint64_t word1(const struct vtd_pasid_common *c)
{
	return FIELD(VTD_PASID_1_DID, c->did) | (c->page_walk_snoop ? VTD_PASID_1_PWSNP : 0) |
	       (c->force_snoop ? VTD_PASID_1_PGSNP : 0);
}

/* WPE has a meaning for supervisor requests only, so it is carried with SRE only. */
static uint64_t fs_word2(const struct vtd_fs_args *fs)
{
	return FIELD(VTD_PASID_2_FSPM, fs->levels5 ? VTD_FSPM_5 : VTD_FSPM_4) | (fs->root & VTD_PASID_2_FSPTPTR) |
	       (fs->sre ? VTD_PASID_2_SRE | (fs->wpe ? VTD_PASID_2_WPE : 0) : 0) |
	       (fs->eafe ? VTD_PASID_2_EAFE : 0);
}

static uint64_t ss_word0(const struct vtd_ss_args *ss)
{
	assert((ss->root.v & ~VTD_PASID_0_SSPTPTR) == 0);
	return FIELD(VTD_PASID_0_AW, ss->aw) | ss->root.v | (ss->dirty ? VTD_PASID_0_SSADE : 0);
}

void dvtd_pasid_make_fs(struct vtd_pasid_entry *out, const struct vtd_pasid_common *c, const struct vtd_fs_args *fs,
		       uint8_t agaw)
{
	assert((fs->root & ~VTD_PASID_2_FSPTPTR) == 0 && !fs->sre && !fs->eafe);
	*out = (struct vtd_pasid_entry){ .q = {
		[0] = le64(VTD_PASID_0_P | FIELD_C(VTD_PASID_0_PGTT, VTD_PGTT_FS) | FIELD(VTD_PASID_0_AW, agaw)),
		[1] = le64(word1(c)),
		[2] = le64(fs_word2(fs)),
	} };
	check_used(out);
}

void dvtd_pasid_make_ss(struct vtd_pasid_entry *out, const struct vtd_pasid_common *c, const struct vtd_ss_args *ss)
{
	*out = (struct vtd_pasid_entry){ .q = {
		[0] = le64(VTD_PASID_0_P | FIELD_C(VTD_PASID_0_PGTT, VTD_PGTT_SS) | ss_word0(ss)),
		[1] = le64(word1(c)),
	} };
	check_used(out);
}

void dvtd_pasid_make_nested(struct vtd_pasid_entry *out, const struct vtd_pasid_common *c, const struct vtd_fs_args *fs,
			   const struct vtd_ss_args *ss)
{
	*out = (struct vtd_pasid_entry){ .q = {
		[0] = le64(VTD_PASID_0_P | FIELD_C(VTD_PASID_0_PGTT, VTD_PGTT_NESTED) | ss_word0(ss)),
		[1] = le64(word1(c)),
		[2] = le64(fs_word2(fs)),
	} };
	check_used(out);
}

void dvtd_pasid_make_pass_through(struct vtd_pasid_entry *out, const struct vtd_pasid_common *c, uint8_t agaw)
{
	*out = (struct vtd_pasid_entry){ .q = {
		[0] = le64(VTD_PASID_0_P | FIELD_C(VTD_PASID_0_PGTT, VTD_PGTT_PT) | FIELD(VTD_PASID_0_AW, agaw)),
		[1] = le64(word1(c)),
	} };
	check_used(out);
}

void dvtd_pasid_publish(struct vtd_pasid_entry *live, const struct vtd_pasid_entry *e)
{
	assert(!(cpu64(live->q[0]) & VTD_PASID_0_P));
	publish_words(live->q, e->q, ARRAY_SIZE(e->q));
}

void dvtd_pasid_unpublish(struct vtd_pasid_entry *live)
{
	clear_bits(&live->q[0], VTD_PASID_0_P);
}

void dvtd_pasid_zero(struct vtd_pasid_entry *live)
{
	zero_words(live->q, ARRAY_SIZE(live->q));
}

void dvtd_pasid_set_ssade(struct vtd_pasid_entry *live, bool on)
{
	if (on)
		set_bits(&live->q[0], VTD_PASID_0_SSADE);
	else
		clear_bits(&live->q[0], VTD_PASID_0_SSADE);
}

void dvtd_pasid_set_pgsnp(struct vtd_pasid_entry *live)
{
	set_bits(&live->q[1], VTD_PASID_1_PGSNP);
}

/* ---- context entries ---- */

void dvtd_ctx_make_ss(struct vtd_ctx_entry *out, uint16_t did, const struct vtd_ss_args *ss, bool device_tlb)
{
	assert((ss->root.v & ~VTD_CTX_0_SSPTPTR) == 0);
	*out = (struct vtd_ctx_entry){ .q = {
		[0] = le64(VTD_CTX_0_P | ss->root.v |
			   FIELD(VTD_CTX_0_TT, device_tlb ? VTD_TT_DEVICE_TLB : VTD_TT_UNTRANSLATED)),
		[1] = le64(FIELD(VTD_CTX_1_AW, ss->aw) | FIELD(VTD_CTX_1_DID, did)),
	} };
}

void dvtd_ctx_make_pass_through(struct vtd_ctx_entry *out, uint16_t did, uint8_t agaw)
{
	*out = (struct vtd_ctx_entry){ .q = {
		[0] = le64(VTD_CTX_0_P | FIELD_C(VTD_CTX_0_TT, VTD_TT_PASS_THROUGH)),
		[1] = le64(FIELD(VTD_CTX_1_AW, agaw) | FIELD(VTD_CTX_1_DID, did)),
	} };
}

void dvtd_ctx_publish(struct vtd_ctx_entry *live, const struct vtd_ctx_entry *e)
{
	assert(!(cpu64(live->q[0]) & VTD_CTX_0_P));
	publish_words(live->q, e->q, ARRAY_SIZE(e->q));
}

void dvtd_ctx_unpublish(struct vtd_ctx_entry *live)
{
	clear_bits(&live->q[0], VTD_CTX_0_P);
}

void dvtd_ctx_zero(struct vtd_ctx_entry *live)
{
	zero_words(live->q, ARRAY_SIZE(live->q));
}

/* RID_PASID stays 0: plain requests use PASID 0 (word 1). */
void dvtd_sctx_make(struct vtd_sctx_entry *out, const struct vtd_sctx_args *a)
{
	assert(a->dir_entries >= 128 && (a->dir_entries & (a->dir_entries - 1)) == 0);
	assert((a->dir.v & ~VTD_SCTX_0_PASIDDIRPTR) == 0 && (a->device_tlb || !a->page_requests));
	*out = (struct vtd_sctx_entry){ .q = {
		[0] = le64(VTD_SCTX_0_P | (a->device_tlb ? VTD_SCTX_0_DTE : 0) | (a->pasids ? VTD_SCTX_0_PASIDE : 0) |
			   (a->page_requests ? VTD_SCTX_0_PRE : 0) |
			   FIELD(VTD_SCTX_0_PDTS, nb_ilog2(a->dir_entries) - 7) | a->dir.v),
	} };
}

void dvtd_sctx_publish(struct vtd_sctx_entry *live, const struct vtd_sctx_entry *e)
{
	assert(!(cpu64(live->q[0]) & VTD_SCTX_0_P));
	publish_words(live->q, e->q, ARRAY_SIZE(e->q));
}

void dvtd_sctx_unpublish(struct vtd_sctx_entry *live)
{
	clear_bits(&live->q[0], VTD_SCTX_0_P);
}

void dvtd_sctx_zero(struct vtd_sctx_entry *live)
{
	zero_words(live->q, ARRAY_SIZE(live->q));
}
