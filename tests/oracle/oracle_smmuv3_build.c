/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SMMUv3: the structures of a case in memory.
 *
 * ARENA_LEN bytes each: stream table, CD, stage 1 tables at 64 KiB from each other, stage 2 tables one granule from each other,
 * and in the upper half the start table of stage 2, which may be 16 of them in a row.
 *
 * Under nesting the CD, the stage 1 tables and the page lie in three different pieces of intermediate space, each a multiple of 1 GiB, in
 * each of which the low 30 bits are those of the memory behind it.
 */
#include "oracle_smmuv3_mem.h"

#define STRTAB	  UINT64_C(0x0)
#define L2STRTAB  UINT64_C(0x10000)
#define CDS	  UINT64_C(0x20000)
#define S1_TABLES UINT64_C(0x40000)
#define S2_TABLES UINT64_C(0x80000)
#define S2_START  UINT64_C(0x100000)
#define S2_MOST	  32

struct s2_node { /* a stage 2 descriptor that exists */
	uint64_t at, next; /* next: 0: a leaf */
};

struct place {
	struct oracle *o;
	const struct oracle_case *c;
	struct oracle_built *b;
	struct smmu_plan p;
	uint64_t arena;
	uint64_t cd_ipa, tt_ipa, page_ipa; /* of each piece, without the low 30 bits */
	uint64_t s2_next;
	unsigned int nnodes;
	struct s2_node node[S2_MOST];
};

/* ---- what the numbers mean; shrinking and --replay may bring any ---- */

static unsigned int granule(uint64_t n)
{
	return n == SMMU_TG_16K ? 14 : n == SMMU_TG_64K ? 16 : 12;
}

static unsigned int clamp(uint64_t n, unsigned int least, unsigned int most)
{
	return n < least ? least : n > most ? most : (unsigned int)n;
}

/* DDI 0487 D8.2.8 to D8.2.10, without tables of more than 48 bits. */
static unsigned int start_level(unsigned int tg, unsigned int ia)
{
	unsigned int level = 3;

	while (level > 0 && ia > smmu_lsb(tg, level) + tg - 3)
		level--;
	return level;
}

/* The highest level with leaves: 4 KiB 1, others 2. */
static unsigned int leaf_level(uint64_t n, unsigned int tg, unsigned int start)
{
	unsigned int l = clamp(n, tg == 12 ? 1 : 2, 3);

	return l < start ? start : l;
}

void smmu_plan(const struct oracle_unit *u, const struct oracle_case *c, struct smmu_plan *p)
{
	unsigned int kind = (unsigned int)c->f[F_KIND] & 7, concat;

	(void)u;
	p->kind = kind;
	p->s1 = (kind & SMMU_STE_CONFIG_S1) == SMMU_STE_CONFIG_S1;
	p->s2 = (kind & SMMU_STE_CONFIG_S2) == SMMU_STE_CONFIG_S2;
	p->tg1 = granule(c->f[F_TG]);
	p->ia1 = clamp(c->f[F_S1IA], 25, 48);
	p->start1 = start_level(p->tg1, p->ia1);
	p->leaf1 = leaf_level(c->f[F_S1LEAF], p->tg1, p->start1);
	p->tg2 = granule(c->f[F_S2TG]);
	p->ia2 = clamp(c->f[F_S2IA], p->s1 ? 33 : 25, SMMU_ORACLE_OAS);
	p->start2 = start_level(p->tg2, p->ia2);
	/* D8.2: up to 16 tables in a row in place of one above them */
	concat = p->start2 < 3 ? p->ia2 - smmu_lsb(p->tg2, p->start2) : 9;
	/* A start at level 3 of 4 KiB has no SL0 without small tables. */
	if (c->f[F_S2DOWN] && concat <= 4 && p->tg2 + concat <= 20 && !(p->tg2 == 12 && p->start2 == 2))
		p->start2++;
	p->leaf2 = leaf_level(c->f[F_S2LEAF], p->tg2, p->start2);
	p->inner = leaf_level(c->f[F_INNER], p->tg2, p->start2);
}

/* ---- words ---- */

static void word(struct oracle_built *b, unsigned int what, uint64_t pa, uint64_t val)
{
	struct oracle_word *w = &b->word[b->nwords++];

	assert(b->nwords <= ORACLE_WORDS);
	w->pa = pa;
	w->val = val;
	w->what = (uint8_t)what;
}

/*
 * An entry with a physical address in it. Not done is damage that leads to memory that is not the same for both, or to structures of
 * another case: a filter would not know what QEMU reads there.
 */
static uint64_t entry(const struct place *p, uint64_t v, uint64_t damage)
{
	uint64_t to = (v ^ damage) & BITS(47, 12);
	bool own = to >= p->arena && to < p->arena + ARENA_LEN;

	return (smmu_taken(to) && !own) || smmu_outside(to) ? v ^ (damage & ~BITS(55, 12)) : v ^ damage;
}

static void command(struct place *p, uint64_t q0, uint64_t q1)
{
	uint64_t *tail = &p->o->vend[V_TAIL], at = RING + (*tail & (BIT(RING_LG2) - 1)) * 16;

	word(p->b, W_CMD, at, q0);
	word(p->b, W_CMD, at + 8, q1);
	*tail = (*tail + 1) & (BIT(RING_LG2 + 1) - 1);
}

/* ---- addresses ---- */

/*
 * Three different pieces of n, at least 8 under nesting. Those of structures are not where there is no memory of ours: a damaged
 * Config takes them for physical addresses.
 */
static void choose_ipas(struct place *p)
{
	uint64_t n = p->p.ia2 > 33 ? BIT(p->p.ia2 - 30) : 8, a = p->c->f[F_IPA], x = (a & 0xffff) % n, y, z;

	for (y = (a >> 16 & 0xffff) % n; y == x || smmu_outside(y << 30); y = (y + 1) % n)
		;
	for (z = (a >> 32 & 0xffff) % n; z == x || z == y || smmu_outside(z << 30); z = (z + 1) % n)
		;
	p->page_ipa = x << 30;
	p->cd_ipa = y << 30;
	p->tt_ipa = z << 30;
}

static void choose_addresses(struct place *p)
{
	const struct oracle_case *c = p->c;
	const struct smmu_plan *m = &p->p;
	/* Every case of a batch has a word of its own in a page. */
	uint64_t in_page = p->b->slot * 16u | (c->f[F_IOVA] & 0xc), land = (c->f[F_LAND] & ~UINT64_C(4095)) | in_page;
	uint64_t ipa = land, va = land, low;
	bool half = c->f[F_HALF] & 1;

	if (m->s2) {
		low = nb_low_mask(smmu_lsb(m->tg2, m->leaf2));
		if (m->s1)
			ipa = p->page_ipa | (c->f[F_IPA] >> 16 & nb_low_mask(30) & ~low) | (land & low);
		else
			ipa = (c->f[F_IOVA] & nb_low_mask(m->ia2) & ~low) | (land & low);
		va = ipa;
	}
	if (m->s1) {
		low = nb_low_mask(smmu_lsb(m->tg1, m->leaf1));
		va = (c->f[F_IOVA] & nb_low_mask(m->ia1) & ~low) | (ipa & low & nb_low_mask(m->ia1));
		if (half)
			va |= ~nb_low_mask(m->ia1);
		if (c->f[F_TBI] >> half & 1)
			va = (va & nb_low_mask(56)) | (c->f[F_TOP] & 0xff) << 56;
	}
	if (c->f[F_RAW])
		va = (c->f[F_IOVA] & ~UINT64_C(4095)) | in_page;
	p->b->iova = va;
	p->b->vend[B_IPA] = ipa;
	p->b->target = m->s1 || m->s2 ? land : va;
}

/* ---- stage 2 ---- */

static struct s2_node *find(struct place *p, uint64_t at)
{
	unsigned int i;

	for (i = 0; i < p->nnodes; i++)
		if (p->node[i].at == at)
			return &p->node[i];
	return NULL;
}

static uint64_t s2_leaf(const struct smmu_plan *m, unsigned int level, uint64_t pa, uint64_t ap)
{
	return (pa & ~nb_low_mask(smmu_lsb(m->tg2, level))) | (level == 3 ? 3 : 1) | BITS(5, 2) | ap << 6 | SMMU_S2PTE_SH | SMMU_S2PTE_AF;
}

/* `what`: of the leaf; upper levels are W_S2 or W_S2_INNER + level. */
static void s2_map(struct place *p, uint64_t ipa, uint64_t pa, unsigned int leaf, unsigned int what, uint64_t ap, uint64_t damage)
{
	const struct smmu_plan *m = &p->p;
	uint64_t table = p->arena + S2_START, at, e;
	bool path = what >= W_S2 && what < W_S2 + 4;
	struct s2_node *n;
	unsigned int l;

	for (l = m->start2;; l++) {
		uint64_t index = ipa >> smmu_lsb(m->tg2, l);

		if (l != m->start2)
			index &= nb_low_mask(m->tg2 - 3);
		at = table + 8 * index;
		n = find(p, at);
		if (n && !n->next)
			return;
		if (!n) {
			assert(p->nnodes < S2_MOST);
			n = &p->node[p->nnodes++];
			n->at = at;
			n->next = 0;
			if (l == leaf) {
				e = s2_leaf(m, l, pa, ap);
				word(p->b, what, at, entry(p, e, damage ^ (path ? p->c->f[F_T0_X + l] : 0)));
				return;
			}
			n->next = p->s2_next;
			p->s2_next += BIT(m->tg2);
			e = n->next | 3;
			word(p->b, path ? W_S2 + l : W_S2_INNER + l, at, path ? entry(p, e, p->c->f[F_T0_X + l]) : e);
		}
		table = n->next;
	}
}

/* A structure of stage 1 at pa: what its writer calls the place, which is mapped if that is needed. */
static uint64_t inner(struct place *p, uint64_t piece, uint64_t pa, unsigned int what, uint64_t damage)
{
	uint64_t ipa = piece | (pa & nb_low_mask(30));

	if (!p->p.s2)
		return pa;
	s2_map(p, ipa, pa, p->p.inner, what, 3, damage);
	return ipa;
}

/* ---- stage 1 ---- */

/* QEMU ends itself over an IPS of 52 bits, which counts as its own 44, and over the reserved one. */
static uint64_t small_ips(uint64_t q0)
{
	return FIELD_GET(SMMU_CD_0_IPS, q0) > SMMU_OAS_48 ? q0 ^ FIELD_C(SMMU_CD_0_IPS, 4) : q0;
}

static void cd_words(struct place *p, uint64_t at, uint64_t ttb)
{
	const struct oracle_case *c = p->c;
	const struct smmu_plan *m = &p->p;
	static const uint8_t tg1[3] = {SMMU_TG1_4K, SMMU_TG1_64K, SMMU_TG1_16K};
	bool half = c->f[F_HALF] & 1;
	uint64_t tg = m->tg1 == 16 ? SMMU_TG_64K : m->tg1 == 14 ? SMMU_TG_16K : SMMU_TG_4K, q0, other = c->f[F_OTHER];
	unsigned int i;

	q0 = SMMU_CD_0_V | SMMU_CD_0_AA64 | SMMU_CD_0_R | SMMU_CD_0_A | FIELD(SMMU_CD_0_IPS, c->f[F_IPS] & 7) |
	     FIELD(SMMU_CD_0_ASID, c->f[F_ASID] & 0xffff) | FIELD(SMMU_CD_0_TBI0, c->f[F_TBI] & 1) |
	     FIELD(SMMU_CD_0_TBI1, c->f[F_TBI] >> 1 & 1);
	if (half)
		q0 |= FIELD(SMMU_CD_0_T1SZ, 64 - m->ia1) | FIELD(SMMU_CD_0_TG1, tg1[tg]) |
		      FIELD(SMMU_CD_0_T0SZ, 16 + (other & 15)) | FIELD(SMMU_CD_0_TG0, (other >> 4 & 0xff) % 3);
	else
		q0 |= FIELD(SMMU_CD_0_T0SZ, 64 - m->ia1) | FIELD(SMMU_CD_0_TG0, tg) |
		      FIELD(SMMU_CD_0_T1SZ, 16 + (other & 15)) | FIELD(SMMU_CD_0_TG1, 1 + (other >> 4 & 0xff) % 3);
	if (c->f[F_EPD])
		q0 |= half ? SMMU_CD_0_EPD0 : SMMU_CD_0_EPD1;
	q0 ^= c->f[F_CD0_X];
	word(p->b, W_CD, at, small_ips(q0));
	for (i = 1; i <= 2; i++) {
		bool mine = (i == 2) == half;
		/* The other half begins in memory that is there and empty, or it is one with ours. */
		uint64_t e = (mine ? ttb : other & 0x1000 ? 0 : ttb) | (c->f[F_HAD] >> (i - 1) & 1) << 1, x = c->f[F_CD0_X + i];

		if (!m->s2 && !mine) {
			x &= ~BITS(51, 4);
			e |= other & 0x1000 ? RAM : 0;
		}
		word(p->b, W_CD + i, at + 8 * i, m->s2 ? e ^ x : entry(p, e, x));
	}
	word(p->b, W_CD + 3, at + 24, c->f[F_CD3_X]);
}

static void stage1(struct place *p)
{
	const struct oracle_case *c = p->c;
	const struct smmu_plan *m = &p->p;
	uint64_t cd = p->arena + CDS + (c->f[F_IPA] >> 48 & 0xff) * 64, table = p->arena + S1_TABLES, here, ttb = 0, to, e, at;
	uint64_t va = p->b->iova, cd_at;
	unsigned int l, n = 0;

	/* As the walk will see it; a raw address is not on its way. */
	if (c->f[F_RAW])
		va = p->b->vend[B_IPA];
	for (l = m->start1; l <= m->leaf1; l++, n++) {
		uint64_t index = (va & nb_low_mask(m->ia1)) >> smmu_lsb(m->tg1, l);

		if (l != m->start1)
			index &= nb_low_mask(m->tg1 - 3);
		at = table + 8 * index;
		if (m->s2)
			(void)inner(p, p->tt_ipa, at, n == c->f[F_TTLEAF] ? W_S2_TT : W_S2_INNER + 3,
				    n == c->f[F_TTLEAF] ? c->f[F_TTLEAF_X] : 0);
		/* A table may take more than one page of stage 2; its begin is there, too. */
		here = inner(p, p->tt_ipa, table, W_S2_INNER + 3, 0);
		if (n == 0)
			ttb = here;
		if (l == m->leaf1) {
			to = m->s2 ? p->b->vend[B_IPA] : c->f[F_LAND];
			e = (to & ~nb_low_mask(smmu_lsb(m->tg1, l))) | (l == 3 ? 3 : 1) | SMMU_PTE_AF | SMMU_PTE_SH |
			    (c->f[F_R] & 3) << 6;
		} else {
			table += 0x10000;
			e = (m->s2 ? p->tt_ipa | (table & nb_low_mask(30)) : table) | 3;
		}
		word(p->b, W_S1 + l, at, m->s2 ? e ^ c->f[F_E0_X + l] : entry(p, e, c->f[F_E0_X + l]));
	}
	cd_at = inner(p, p->cd_ipa, cd, W_S2_CD, c->f[F_CDLEAF_X]);
	cd_words(p, cd, ttb);
	p->b->vend[B_LEAF_PA] = cd_at; /* for the STE; see smmu_build() */
}

/* ---- streams ---- */

static uint64_t ste2(const struct place *p)
{
	const struct smmu_plan *m = &p->p;
	uint64_t sl0 = m->tg2 == 12 ? 2 - (m->start2 < 2 ? m->start2 : 2) : 3 - m->start2;
	uint64_t tg = m->tg2 == 16 ? SMMU_TG_64K : m->tg2 == 14 ? SMMU_TG_16K : SMMU_TG_4K;

	return FIELD(SMMU_STE_2_S2VMID, p->c->f[F_VMID] & 0xffff) | FIELD(SMMU_STE_2_S2T0SZ, 64 - m->ia2) |
	       FIELD(SMMU_STE_2_S2SL0, sl0) | FIELD(SMMU_STE_2_S2TG, tg) | FIELD(SMMU_STE_2_S2PS, p->c->f[F_S2PS] & 7) |
	       SMMU_STE_2_S2AA64 | SMMU_STE_2_S2R;
}

static void streams(struct place *p, uint64_t ctx)
{
	const struct oracle_case *c = p->c;
	unsigned int rid = smmu_rid(c), i;
	uint64_t log2size = c->f[F_LOG2SIZE] & 63, size, at = p->arena + STRTAB + rid * 64ul, cfg, x, e;

	/* A table of that size begins at a multiple of it; not where memory is another for each. */
	size = p->o->unit->flags & U_2LEVEL ? 3 : 6;
	if (log2size + size > 21)
		log2size = log2size % 10 + (size == 3 ? 7 : 4);
	cfg = log2size;
	if (p->o->unit->flags & U_2LEVEL) {
		unsigned int split = c->f[F_SPLIT] == 10 ? 10 : c->f[F_SPLIT] == 8 ? 8 : 6;

		cfg |= FIELD_C(SMMU_STRTAB_BASE_CFG_FMT, SMMU_STRTAB_2LEVEL) | FIELD(SMMU_STRTAB_BASE_CFG_SPLIT, c->f[F_SPLIT] & 31);
		e = (p->arena + L2STRTAB) | (c->f[F_SPAN] & 31);
		at = p->arena + L2STRTAB + (rid & nb_low_mask(split)) * 64;
		word(p->b, W_L1STD, p->arena + STRTAB + (rid >> split) * 8, entry(p, e, c->f[F_L1STD_X]));
	}
	x = c->f[F_STRTAB_X] & BITS(SMMU_ORACLE_OAS - 1, 6);
	/* Small bits count nothing where the table is aligned to more; others lead elsewhere. */
	p->b->vend[B_STRTAB] = (entry(p, p->arena + STRTAB, x & ~nb_low_mask(12)) ^ (x & nb_low_mask(12))) | (c->f[F_STRTAB_X] & BIT(62));
	p->b->vend[B_STRTAB_CFG] = cfg;
	e = SMMU_STE_0_V | FIELD(SMMU_STE_0_CONFIG, p->p.kind) | ctx;
	x = c->f[F_STE0_X];
	word(p->b, W_STE, at, p->p.s1 && p->p.s2 ? e ^ x : entry(p, e, x));
	word(p->b, W_STE + 1, at + 8, FIELD_C(SMMU_STE_1_SHCFG, SMMU_SHCFG_INCOMING) ^ c->f[F_STE1_X]);
	/* QEMU ends itself over 32-bit tables. */
	word(p->b, W_STE + 2, at + 16, (ste2(p) ^ c->f[F_STE2_X]) | SMMU_STE_2_S2AA64);
	word(p->b, W_STE + 3, at + 24, entry(p, p->arena + S2_START, c->f[F_STE3_X]));
	for (i = 4; i < 8; i++)
		word(p->b, W_STE + i, at + 8 * i, i == 4 ? c->f[F_STE4_X] : 0);
}

/* ---- commands ---- */

/* Operands of a range (4.4.1.1) that has the page in it. */
static uint64_t range(const struct place *p, unsigned int tg, unsigned int level, uint64_t addr, uint64_t *q0)
{
	const struct oracle_case *c = p->c;
	uint64_t num = c->f[F_AGAIN_NUM] & 31, scale = c->f[F_AGAIN_SCALE] % 12, pages, back, ttl = c->f[F_AGAIN_TTL] & 1 ? level : 0;

	addr &= ~nb_low_mask(12);
	if (!(c->f[F_AGAIN_TG] & 1))
		return addr;
	if (!num && !scale && !ttl) /* a reserved combination */
		num = 1;
	pages = (num + 1) << scale;
	addr &= ~nb_low_mask(tg);
	/* It begins up to so many pages before, and does not pass 0. */
	back = c->f[F_AGAIN_BEFORE] % pages;
	if (back > (addr & nb_low_mask(40)) >> tg)
		back = 0;
	*q0 |= FIELD(SMMU_CMD_TLBI_0_NUM, num) | FIELD(SMMU_CMD_TLBI_0_SCALE, scale);
	return (addr - (back << tg)) | FIELD(SMMU_CMD_TLBI_1_TG, (tg - 10) / 2) | FIELD(SMMU_CMD_TLBI_1_TTL, ttl);
}

/* A word of STE or CD was changed: the least that makes it count, and nothing of before. */
static void invalidate_config(struct place *p, bool cd)
{
	uint64_t sid = FIELD(SMMU_CMD_0_SID, smmu_rid(p->c)), n = p->c->f[F_AGAIN_NUM];

	if (cd)
		command(p, (n & 1 ? SMMU_CMD_CFGI_CD : SMMU_CMD_CFGI_CD_ALL) | sid, p->c->f[F_AGAIN_LEAF] & n & 1);
	else if (n & 1)
		command(p, SMMU_CMD_CFGI_STE | sid, p->c->f[F_AGAIN_LEAF] & 1);
	else
		command(p, SMMU_CMD_CFGI_STE_RANGE | sid, n % 31);
	command(p, SMMU_CMD_TLBI_NSNH_ALL, 0);
}

/* The least that the manual asks for when one leaf was changed, or more (4.4). */
static void invalidate_leaf(struct place *p, bool s2)
{
	const struct oracle_case *c = p->c;
	const struct smmu_plan *m = &p->p;
	uint64_t vmid = FIELD_GET(SMMU_STE_2_S2VMID, smmu_word(p->b, W_STE + 2)), how = c->f[F_AGAIN], leaf = c->f[F_AGAIN_LEAF] & 1;
	uint64_t asid = FIELD_GET(SMMU_CD_0_ASID, smmu_word(p->b, W_CD)), q0, q1;
	bool global = !((p->b->vend[B_LEAF] ^ c->f[F_AGAIN_X]) & SMMU_PTE_NG);

	/* VA finds global entries whatever the ASID, ASID does not find them. */
	asid = FIELD(SMMU_CMD_TLBI_0_ASID, asid ^ (global && how == AGAIN_VA && c->f[F_AGAIN_BEFORE] & 1));
	if (how == AGAIN_ASID && global)
		how = AGAIN_VAA;
	q0 = p->o->unit->flags & U_S1 ? 0 : FIELD(SMMU_CMD_TLBI_0_VMID, vmid); /* reserved without stage 2 */
	/* Commands of a stage that is not there are illegal. A range is in units of the right granule. */
	if (c->f[F_RAW] || c->f[F_STE2_X] & (SMMU_STE_2_S2TG | SMMU_STE_2_S2T0SZ | SMMU_STE_2_S2SL0) ||
	    c->f[F_CD0_X] & (SMMU_CD_0_TG0 | SMMU_CD_0_TG1 | SMMU_CD_0_T0SZ | SMMU_CD_0_T1SZ) || (p->o->unit->flags & U_S1 && s2) || (p->o->unit->flags & U_S2 && m->s1))
		how = AGAIN_ALL;
	switch (how) {
	case AGAIN_VM:
		command(p, q0 | (s2 ? SMMU_CMD_TLBI_S12_VMALL : SMMU_CMD_TLBI_NH_ALL), 0);
		break;
	case AGAIN_ASID:
	case AGAIN_VA:
	case AGAIN_VAA:
		if (s2) {
			q0 |= SMMU_CMD_TLBI_S2_IPA;
			q1 = range(p, m->tg2, m->leaf2, p->b->vend[B_IPA], &q0);
			command(p, q0, (q1 & (SMMU_CMD_TLBI_1_IPA | SMMU_CMD_TLBI_1_TG | SMMU_CMD_TLBI_1_TTL)) | leaf);
			if (m->s1) /* what was made of both stages */
				command(p, FIELD(SMMU_CMD_TLBI_0_VMID, vmid) | SMMU_CMD_TLBI_NH_ALL, 0);
		} else if (how == AGAIN_ASID) {
			command(p, q0 | asid | SMMU_CMD_TLBI_NH_ASID, 0);
		} else {
			q0 |= how == AGAIN_VA ? asid | SMMU_CMD_TLBI_NH_VA : SMMU_CMD_TLBI_NH_VAA;
			q1 = range(p, m->tg1, m->leaf1, p->b->iova, &q0);
			command(p, q0, q1 | leaf);
		}
		break;
	default:
		command(p, SMMU_CMD_TLBI_NSNH_ALL, 0);
	}
}

/*
 * A command that may be illegal, but not one that is and that QEMU takes in silence: its queue would go on where ours stops. These are
 * the commands of EL2, EL3, ATS, PRI and stalls, PREFETCH with SSec, SYNC with a reserved CS, CFGI_CD without
 * stage 1, and ranges of no size.
 */
static uint64_t questionable(const struct oracle_unit *u, uint64_t q0)
{
	static const uint8_t silent[] = {SMMU_CMD_TLBI_EL3_ALL, SMMU_CMD_TLBI_EL3_VA, SMMU_CMD_TLBI_EL2_ALL, SMMU_CMD_TLBI_EL2_ASID,
					 SMMU_CMD_TLBI_EL2_VA, SMMU_CMD_TLBI_EL2_VAA, SMMU_CMD_ATC_INV, SMMU_CMD_PRI_RESP,
					 SMMU_CMD_RESUME, SMMU_CMD_STALL_TERM};
	int op = (int)(q0 & SMMU_CMD_0_OP);

	if (memchr(silent, op, sizeof(silent)))
		return q0 & ~SMMU_CMD_0_OP;
	if (op == SMMU_CMD_TLBI_NH_VA || op == SMMU_CMD_TLBI_NH_VAA || op == SMMU_CMD_TLBI_S2_IPA)
		return q0 | FIELD_C(SMMU_CMD_TLBI_0_NUM, 1);
	if (op == SMMU_CMD_SYNC && FIELD_GET(SMMU_CMD_SYNC_0_CS, q0) == 3)
		return q0 & ~SMMU_CMD_SYNC_0_CS;
	if (u->flags & U_S2 && (op == SMMU_CMD_CFGI_CD || op == SMMU_CMD_CFGI_CD_ALL))
		return q0 & ~SMMU_CMD_0_OP;
	return op == SMMU_CMD_PREFETCH_CONFIG || op == SMMU_CMD_PREFETCH_ADDR ? q0 & ~SMMU_CMD_0_SSEC : q0;
}

/* ---- the whole ---- */

void smmu_build(struct oracle *o, const struct oracle_case *c, struct oracle_built *b)
{
	struct place p = {.o = o, .c = c, .b = b, .arena = ARENA + b->slot * ARENA_LEN};
	const struct smmu_plan *m = &p.p;
	uint64_t ctx = p.arena + CDS; /* also where nothing should look */
	unsigned int i, what;
	bool s2;

	smmu_plan(o->unit, c, &p.p);
	p.s2_next = p.arena + S2_TABLES;
	choose_ipas(&p);
	choose_addresses(&p);
	if (m->s2)
		s2_map(&p, b->vend[B_IPA], c->f[F_LAND] & ~UINT64_C(4095), m->leaf2, W_S2 + m->leaf2, c->f[F_R] >> 2 & 3, 0);
	if (m->s1) {
		stage1(&p);
		ctx = b->vend[B_LEAF_PA];
	}
	streams(&p, ctx);

	if (c->f[F_CMD0]) {
		command(&p, questionable(o->unit, c->f[F_CMD0]), c->f[F_CMD1]);
		b->vend[B_CMD_TAIL] = o->vend[V_TAIL] | BIT(32);
		b->vend[B_CMD_PA] = b->word[b->nwords - 2].pa;
	}
	command(&p, SMMU_CMD_CFGI_STE_RANGE, SMMU_CFGI_RANGE_ALL);
	command(&p, SMMU_CMD_TLBI_NSNH_ALL, 0);
	command(&p, SMMU_CMD_SYNC, 0);
	b->vend[B_TAIL] = o->vend[V_TAIL];

	s2 = m->s2 && (!m->s1 || c->f[F_AGAIN_S2]);
	what = s2 ? W_S2 + m->leaf2 : W_S1 + m->leaf1;
	if (c->f[F_AGAIN] == AGAIN_CFGI)
		what = m->s1 && c->f[F_AGAIN_TG] & 1 && !(o->unit->flags & U_S2) ? W_CD : W_STE;
	b->vend[B_LEAF_PA] = 0;
	for (i = 0; i < b->nwords; i++) {
		if (b->word[i].what == what) {
			b->vend[B_LEAF] = b->word[i].val ^ c->f[F_AGAIN_X];
			if (what == W_CD)
				b->vend[B_LEAF] = small_ips(b->vend[B_LEAF]);
			b->vend[B_LEAF_PA] = b->word[i].pa;
		}
	}
	if (!c->f[F_AGAIN] || !b->vend[B_LEAF_PA] || !smmu_writes(c))
		return;
	if (c->f[F_AGAIN] == AGAIN_CFGI)
		invalidate_config(&p, what == W_CD);
	else
		invalidate_leaf(&p, s2);
	command(&p, SMMU_CMD_SYNC, 0);
	b->vend[B_AGAIN_TAIL] = o->vend[V_TAIL] | BIT(32);
}
