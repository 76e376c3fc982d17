/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VT-d: the structures of a case in memory, our model and QEMU's intel-iommu run over them.
 *
 * Each case has pages of its own and moves the root table pointer to them (SRTP, which invalidates everything: CAP.ESRTPS is
 * set in QEMU), so that a batch of cases needs one round trip. Faults are read from the one recording register after each access.
 *
 * Devices: iommu-testdev (writes 4 bytes at once, and tells whether they landed where we say) at 00:03.0 and, for the upper
 * half of a scalable root entry, at 00:13.0; edu at 00:04.0 reads, and writes back what it read next to it.
 */
#include "oracle_vtd.h"

#include <errno.h>
#include <inttypes.h>

#include "hw/vtd/vtd.h"

#define REGS	  UINT64_C(0xfed90000)
#define RING	  UINT64_C(0x2000000)
#define RING_QS	  2 /* 16 KiB: more than a batch needs */
#define RING_LEN  (UINT64_C(4096) << RING_QS)
#define STATUS	  UINT64_C(0x2008000)
#define ARENA	  UINT64_C(0x3000000) /* two bits set: no flip of one leads into the first MiB */
#define ARENA_LEN UINT64_C(0x10000)
#define BAR_LOW	  UINT64_C(0xe0000000)
#define BAR_HIGH  UINT64_C(0xe0001000)
#define BAR_EDU	  UINT64_C(0xe0100000)
#define GCMD_RUN  ((uint32_t)(VTD_GCMD_TE | VTD_GCMD_QIE))
#define MAGIC	  0x12345678u /* what iommu-testdev writes */
#define EDU_BUF	  UINT64_C(0x40000)
#define EDU_TIMER UINT64_C(100000001)
#define BACK	  UINT64_C(0x800) /* edu writes back so far from where it read */

enum { V_FRO_OURS, V_FRO_THEIRS, V_TAIL, V_RUNG, V_MGAW, V_ALIVE_AT };

enum { P_ROOT, P_CTX, P_PDIR, P_PTAB, P_TABLES };

static const unsigned int devfn[DEV_COUNT] = {0x18, 0x98, 0x20, 0x20};

uint16_t vtd_rid(const struct oracle_case *c)
{
	return (uint16_t)devfn[c->f[F_DEV] % DEV_COUNT];
}

/* ---- setting up ---- */

static void reg(struct oracle *o, unsigned int size, uint64_t off, uint64_t v)
{
	o->hw->ops->mmio_write(o->hw, off, size, v);
}

static uint64_t fro(uint64_t cap)
{
	return FIELD_GET(VTD_CAP_FRO, cap) * 16;
}

static int start(struct oracle *o, struct nb_diag *diag)
{
	uint64_t ring = RING | RING_QS | (o->unit->flags & (U_SM | U_FS) ? VTD_IQA_DW : 0);
	struct vtd_caps caps;
	uint64_t cap, ecap;
	size_t at;
	int err;

	qtest_pci_enable(o->q, devfn[DEV_WRITE], (uint32_t)BAR_LOW);
	qtest_pci_enable(o->q, devfn[DEV_WRITE_UPPER], (uint32_t)BAR_HIGH);
	qtest_pci_enable(o->q, devfn[DEV_READ], (uint32_t)BAR_EDU);
	qtest_write(o->q, 4, BAR_LOW + 0x0c, 4);
	qtest_write(o->q, 4, BAR_LOW + 0x18, 2);
	qtest_write(o->q, 4, BAR_HIGH + 0x0c, 4);
	qtest_write(o->q, 4, BAR_HIGH + 0x18, 2);
	at = qtest_read(o->q, 8, REGS + VTD_REG_CAP);
	qtest_read(o->q, 8, REGS + VTD_REG_ECAP);
	qtest_write(o->q, 8, REGS + VTD_REG_IQT, 0);
	qtest_write(o->q, 8, REGS + VTD_REG_IQA, ring);
	qtest_write(o->q, 4, REGS + VTD_REG_GCMD, VTD_GCMD_SRTP);
	qtest_write(o->q, 4, REGS + VTD_REG_GCMD, VTD_GCMD_QIE);
	qtest_write(o->q, 4, REGS + VTD_REG_GCMD, GCMD_RUN);
	err = qtest_flush(o->q, diag);
	if (err)
		return err;
	cap = qtest_answer(o->q, at);
	ecap = qtest_answer(o->q, at + 1);
	o->vend[V_FRO_THEIRS] = fro(cap);
	o->vend[V_MGAW] = FIELD_GET(VTD_CAP_MGAW, cap) + 1;
	o->vend[V_TAIL] = 0;

	vtd_caps_from_regs(cap, ecap, (uint8_t)o->vend[V_MGAW], &caps);
	/* QEMU advertises no coherent walks in scalable mode (SMPWC) and sets accessed bits all the same: so shall we. */
	caps.coherent |= (o->unit->flags & U_FS) != 0;
	/* Its first stage reads AW of the PASID entry, which is reserved where there is no second stage. */
	caps.second_stage |= (o->unit->flags & U_FS) != 0;
	err = vtd_create(&caps, &o->mem, NULL, &o->hw, diag);
	if (err)
		return err;
	o->vend[V_FRO_OURS] = fro(o->hw->ops->mmio_read(o->hw, VTD_REG_CAP, 8));
	reg(o, 8, VTD_REG_IQT, 0);
	reg(o, 8, VTD_REG_IQA, ring);
	reg(o, 4, VTD_REG_GCMD, VTD_GCMD_SRTP);
	reg(o, 4, VTD_REG_GCMD, VTD_GCMD_QIE);
	reg(o, 4, VTD_REG_GCMD, GCMD_RUN);
	return 0;
}

/* ---- building ---- */

/* The rings and all structures are not for landing on. */
static bool taken(uint64_t pa)
{
	return (pa >= RING && pa < RING + 0x10000) || (pa >= ARENA && pa < ARENA + ORACLE_BATCH * ARENA_LEN);
}

/* Memory that is not the same in QEMU and in ours: the first MiB of a PC, and devices below 4 GiB. */
static bool outside(uint64_t pa)
{
	return pa < 0x100000 || (pa >= 0x80000000 && pa < UINT64_C(0x100000000));
}

static void word(struct oracle_built *b, unsigned int what, uint64_t pa, uint64_t val)
{
	struct oracle_word *w = &b->word[b->nwords++];

	assert(b->nwords <= ORACLE_WORDS);
	w->pa = pa;
	w->val = val;
	w->what = (uint8_t)what;
}

/*
 * An entry with an address in it. Not done is damage that leads to memory that is not the same for both, to structures of another case
 * of the batch, or from tables back to what is before them: a filter would not know what QEMU reads there.
 */
static uint64_t entry_to(const struct oracle_built *b, unsigned int lowest, uint64_t v, uint64_t damage)
{
	uint64_t to = (v ^ damage) & BITS(47, 12), own = ARENA + b->slot * ARENA_LEN;
	bool foreign = taken(to) && (to < own + lowest * 4096 || to >= own + ARENA_LEN);

	return foreign || (outside(to) && to >> 20 != 0xfee) ? v ^ (damage & ~BITS(47, 12)) : v ^ damage;
}

static uint64_t entry(const struct oracle_built *b, uint64_t v, uint64_t damage)
{
	return entry_to(b, P_ROOT, v, damage);
}

/* One that leads to tables. */
static uint64_t table_entry(const struct oracle_built *b, uint64_t v, uint64_t damage)
{
	return entry_to(b, P_TABLES, v, damage);
}

static unsigned int root_level(const struct oracle_unit *u, const struct oracle_case *c)
{
	uint64_t aw = c->f[F_AW];

	if (vtd_scalable(c) && (u->flags & U_FS))
		return c->f[F_FSPM] == VTD_FSPM_5 ? 5 : 4;
	return aw >= VTD_AW_39 && aw <= VTD_AW_57 ? (unsigned int)aw + 2 : 4;
}

/* Shrinking and --replay may bring any number. */
static unsigned int leaf_level(const struct oracle_case *c)
{
	return c->f[F_LEAF] == 2 || c->f[F_LEAF] == 3 ? (unsigned int)c->f[F_LEAF] : 1;
}

static bool passes(const struct oracle_case *c)
{
	return vtd_scalable(c) ? c->f[F_PGTT] == VTD_PGTT_PT : c->f[F_TT] == VTD_TT_PASS_THROUGH;
}

static void addresses(struct oracle *o, const struct oracle_case *c, struct oracle_built *b)
{
	bool fs = vtd_scalable(c) && (o->unit->flags & U_FS);
	unsigned int leaf = leaf_level(c), width = 9 * root_level(o->unit, c) + 12;
	uint64_t in_page = nb_low_mask(3 + 9 * leaf), iova = c->f[F_IOVA] & ~UINT64_C(4095), land = c->f[F_LAND];

	if (!c->f[F_RAW]) {
		if (passes(c)) {
			iova = land;
		} else if (fs) {
			iova &= nb_low_mask(width);
			if (iova >> (width - 1))
				iova |= ~nb_low_mask(width);
		} else {
			iova &= nb_low_mask(width < o->vend[V_MGAW] ? width : (unsigned int)o->vend[V_MGAW]);
		}
	}
	/* Bit 27: a 1 GiB page made by damage maps to where nothing else is. */
	if (!passes(c))
		iova = ((iova | BIT(27)) & ~in_page) | (land & in_page);
	/* Every case of a batch has a word of its own in a page. */
	b->iova = iova | b->slot * 16u | (c->f[F_IOVA] & 0xc);
	b->target = passes(c) ? b->iova : (land & ~in_page) | (b->iova & in_page);
	if (outside(b->target) && b->target >> 20 != 0xfee)
		b->iova |= BIT(27);
	b->target = passes(c) ? b->iova : (land & ~in_page) | (b->iova & in_page);
}

/* Returns where the leaf is, among the words. */
static unsigned int tables(const struct oracle_unit *u, const struct oracle_case *c, struct oracle_built *b, uint64_t pages)
{
	unsigned int root = root_level(u, c), leaf = leaf_level(c), l;

	for (l = root; l >= leaf; l--) {
		uint64_t table = pages + (P_TABLES + root - l) * 4096;
		uint64_t to = l > leaf ? table + 4096 : c->f[F_LAND] & ~nb_low_mask(3 + 9 * leaf);
		uint64_t ps = l == leaf && l > 1 ? VTD_SSPTE_PS : 0; /* the same bit in both stages */

		word(b, W_LEVEL + l, table + (b->iova >> (3 + 9 * l) & 511) * 8,
		     table_entry(b, to | ps | c->f[F_R1 + l - 1], c->f[F_E1_X + l - 1]));
	}
	return b->nwords - 1;
}

static void descriptor(struct oracle *o, struct oracle_built *b, uint64_t q0, uint64_t q1)
{
	word(b, W_DESC, RING + o->vend[V_TAIL], q0);
	word(b, W_DESC, RING + o->vend[V_TAIL] + 8, q1);
	o->vend[V_TAIL] = (o->vend[V_TAIL] + (o->unit->flags & (U_SM | U_FS) ? 32 : 16)) % RING_LEN;
}

static void wait_descriptor(struct oracle *o, struct oracle_built *b, uint64_t status)
{
	o->magic++;
	descriptor(o, b, VTD_INV_WAIT | VTD_INV_WAIT_0_SW | (o->magic & 0xffffffff) << 32, status);
	word(b, W_STATUS, status, 0);
}

/* The least that the manual asks for when one leaf was changed, or more (6.5.2.3, 6.5.2.4). */
static void invalidate_leaf(struct oracle *o, const struct oracle_case *c, struct oracle_built *b)
{
	bool fs = vtd_stage(c, b) == 1;
	uint64_t did = vtd_scalable(c) ? FIELD_GET(VTD_PASID_1_DID, vtd_word(b, W_PASID + 1)) :
					 FIELD_GET(VTD_CTX_1_DID, vtd_word(b, W_CTX + 1));
	uint64_t am = c->f[F_AGAIN_AM] % 10, page = (b->iova & ~nb_low_mask((unsigned int)(12 + am))) | am | (c->f[F_AGAIN_IH] & 1) << 6;

	if (c->f[F_AGAIN] == AGAIN_PAGE)
		descriptor(o, b, (fs ? VTD_INV_PIOTLB | VTD_INV_PIOTLB_PAGE << 4 : VTD_INV_IOTLB | VTD_INV_IOTLB_PAGE << 4) | did << 16,
			   page);
	else if (c->f[F_AGAIN] == AGAIN_DOMAIN)
		descriptor(o, b, (fs ? VTD_INV_PIOTLB | VTD_INV_PIOTLB_PASID << 4 : VTD_INV_IOTLB | VTD_INV_IOTLB_DOMAIN << 4) | did << 16,
			   0);
	else
		descriptor(o, b, VTD_INV_IOTLB | VTD_INV_IOTLB_GLOBAL << 4, 0);
	wait_descriptor(o, b, STATUS + 8 * (ORACLE_BATCH + b->slot));
	b->vend[B_AGAIN_TAIL] = o->vend[V_TAIL] | 1;
}

static void build(struct oracle *o, const struct oracle_case *c, struct oracle_built *b)
{
	uint64_t pages = ARENA + b->slot * ARENA_LEN, ctx = pages + P_CTX * 4096, root = pages + P_TABLES * 4096;
	unsigned int rid = vtd_rid(c), i, leaf;

	if (b->slot == 0) /* descriptors at the end of the last batch that nobody asked for are gone */
		o->vend[V_TAIL] = o->vend[V_RUNG];
	addresses(o, c, b);
	/* 11.4.5: bits above the host address width need not be there. */
	b->vend[B_RTADDR] = entry(b, pages, c->f[F_RTA_X] & BITS(o->vend[V_MGAW] - 1, 12)) | (c->f[F_TTM] & 3) << 10;
	if (vtd_scalable(c)) {
		bool upper = rid & 0x80, fs = o->unit->flags & U_FS;
		uint64_t types = c->f[F_PGTT] << 6 | c->f[F_AW] << 2 | 1;

		word(b, W_ROOT, pages + (upper ? 8 : 0), entry(b, ctx | 1, c->f[F_ROOT_X]));
		word(b, W_ROOT_OTHER, pages + (upper ? 0 : 8), c->f[F_ROOT_OTHER]);
		ctx += (rid & 0x7f) * 32;
		word(b, W_CTX, ctx, entry(b, (pages + P_PDIR * 4096) | 1 | c->f[F_PDTS] << 9, c->f[F_CTX0_X]));
		for (i = 1; i < 4; i++)
			word(b, W_CTX + i, ctx + 8 * i, c->f[F_CTX0_X + i]);
		word(b, W_PDIR, pages + P_PDIR * 4096, entry(b, (pages + P_PTAB * 4096) | 1, c->f[F_PDIR_X]));
		word(b, W_PASID, pages + P_PTAB * 4096, fs ? (types ^ c->f[F_P0_X]) : table_entry(b, root | types, c->f[F_P0_X]));
		word(b, W_PASID + 1, pages + P_PTAB * 4096 + 8, (c->f[F_DID] | (fs ? VTD_PASID_1_PWSNP : 0)) ^ c->f[F_P1_X]);
		word(b, W_PASID + 2, pages + P_PTAB * 4096 + 16, fs ? table_entry(b, root | c->f[F_FSPM] << 2, c->f[F_P2_X]) : c->f[F_P2_X]);
		for (i = 3; i < 8; i++)
			word(b, W_PASID + i, pages + P_PTAB * 4096 + 8 * i, c->f[F_P0_X + i]);
	} else {
		word(b, W_ROOT, pages, entry(b, ctx | 1, c->f[F_ROOT_X]));
		word(b, W_ROOT_OTHER, pages + 8, c->f[F_ROOT_OTHER]);
		ctx += rid * 16;
		word(b, W_CTX, ctx, table_entry(b, root | c->f[F_TT] << 2 | 1, c->f[F_CTX0_X]));
		word(b, W_CTX + 1, ctx + 8, (c->f[F_DID] << 8 | c->f[F_AW]) ^ c->f[F_CTX1_X]);
	}
	leaf = tables(o->unit, c, b, pages);
	b->vend[B_LEAF] = b->word[leaf].val ^ c->f[F_AGAIN_X];
	b->vend[B_LEAF_PA] = b->word[leaf].pa;
	if (c->f[F_TTM] > (o->unit->flags & (U_SM | U_FS) ? VTD_TTM_SCALABLE : VTD_TTM_LEGACY))
		return; /* the queue would stop */
	if (c->f[F_INVAL]) {
		descriptor(o, b, VTD_INV_CC | VTD_INV_CC_GLOBAL << 4, 0);
		if (vtd_scalable(c))
			descriptor(o, b, VTD_INV_PC | VTD_INV_PC_GLOBAL << 4, 0);
		descriptor(o, b, VTD_INV_IOTLB | VTD_INV_IOTLB_GLOBAL << 4, 0);
		wait_descriptor(o, b, STATUS + 8 * b->slot);
		b->vend[B_TAIL] = o->vend[V_TAIL] | 1;
	}
	if (c->f[F_AGAIN] && c->f[F_DEV] < DEV_READ)
		invalidate_leaf(o, c, b);
}

/* ---- our side ---- */

/* What lies at the target before a read: unlike any other. */
static uint32_t datum(const struct oracle_built *b)
{
	return 0xa5000000u | b->slot << 12 | ((unsigned int)b->iova & 0xfff);
}

static void our_tail(struct oracle *o, uint64_t tail)
{
	o->vend[V_RUNG] = tail & ~UINT64_C(1);
	reg(o, 8, VTD_REG_IQT, o->vend[V_RUNG]);
}

static void our_step(struct oracle *o, struct oracle_built *b, uint16_t rid, uint64_t iova, bool write, uint32_t value)
{
	struct hw_request req = {.addr = iova, .pasid = NB_NO_PASID, .rid = rid, .access = write ? HW_WRITE : HW_READ};
	uint64_t off = o->vend[V_FRO_OURS];
	struct oracle_step *s = &b->ours.step[b->ours.n++];
	struct hw_result res;

	hw_translate(o->hw, &req, &res);
	s->record[0] = o->hw->ops->mmio_read(o->hw, off, 8);
	s->record[1] = o->hw->ops->mmio_read(o->hw, off + 8, 8);
	if (s->record[1] & VTD_FRCD_1_F) {
		reg(o, 4, off + 12, (uint32_t)(VTD_FRCD_1_F >> 32));
		s->outcome = ORACLE_FAULT;
		s->reason = (uint16_t)FIELD_GET(VTD_FRCD_1_FR, s->record[1]);
		return;
	}
	if (res.kind == HW_FAULT) {
		s->reason = res.fault.reason;
		s->silent = true;
	}
	s->pa = res.kind == HW_FAULT ? 0 : res.pa.v;
	if (res.kind == HW_OK && (outside(s->pa) || taken(s->pa))) {
		b->skip = true;
		return;
	}
	if (!write) {
		s->outcome = ORACLE_UNSEEN;
		if (res.kind == HW_OK) {
			value = datum(b);
			(void)mem_store32(&o->mem, res.pa, value);
			(void)hw_dma_read(o->hw, rid, NB_NO_PASID, iova, &value, 4);
		}
	} else if (res.kind == HW_OK && hw_dma_write(o->hw, rid, NB_NO_PASID, iova, &value, 4) == 0) {
		s->outcome = ORACLE_LANDED;
	}
}

static void ours(struct oracle *o, const struct oracle_case *c, struct oracle_built *b)
{
	uint16_t rid = vtd_rid(c);

	reg(o, 8, VTD_REG_RTADDR, b->vend[B_RTADDR]);
	reg(o, 4, VTD_REG_GCMD, GCMD_RUN | (uint32_t)VTD_GCMD_SRTP);
	if (b->vend[B_TAIL])
		our_tail(o, b->vend[B_TAIL]);
	if (c->f[F_DEV] < DEV_READ) {
		our_step(o, b, rid, b->iova, true, MAGIC);
		if (!b->vend[B_AGAIN_TAIL])
			return;
		/* The queue moves on in any case: what is in it may be wrong in the next case's mode. */
		(void)mem_store64(&o->mem, hpa(b->vend[B_LEAF_PA]), b->vend[B_LEAF]);
		our_tail(o, b->vend[B_AGAIN_TAIL]);
		if (b->ours.step[0].outcome == ORACLE_LANDED)
			our_step(o, b, rid, b->iova, true, MAGIC);
		return;
	}
	our_step(o, b, rid, b->iova, false, 0);
	/* What was not read cannot be told from what was there before. */
	if (c->f[F_DEV] == DEV_READ_WRITE && !b->skip && b->ours.step[0].outcome == ORACLE_UNSEEN && !b->ours.step[0].silent)
		our_step(o, b, rid, b->iova ^ BACK, true, datum(b));
}

/* ---- QEMU's side ---- */

/* 3 answers: record, low and high; then it is cleared. */
static void ask_record(struct oracle *o)
{
	uint64_t at = REGS + o->vend[V_FRO_THEIRS];

	qtest_read(o->q, 8, at);
	qtest_read(o->q, 8, at + 8);
	qtest_write(o->q, 8, at + 8, VTD_FRCD_1_F);
}

static void ask_edu(struct oracle *o, uint64_t from, uint64_t to, uint64_t command)
{
	qtest_write(o->q, 8, BAR_EDU + 0x80, from);
	qtest_write(o->q, 8, BAR_EDU + 0x88, to);
	qtest_write(o->q, 8, BAR_EDU + 0x90, 4);
	qtest_write(o->q, 8, BAR_EDU + 0x98, command);
	qtest_clock_step(o->q, EDU_TIMER);
}

/* Index of the result; the record follows. */
static size_t ask_testdev(struct oracle *o, uint64_t bar, uint64_t iova, uint64_t pa)
{
	size_t at;

	qtest_write(o->q, 4, bar + 0x04, iova & 0xffffffff);
	qtest_write(o->q, 4, bar + 0x08, iova >> 32);
	qtest_write(o->q, 4, bar + 0x1c, pa & 0xffffffff);
	qtest_write(o->q, 4, bar + 0x20, pa >> 32);
	qtest_write(o->q, 4, bar + 0x14, 1);
	qtest_read(o->q, 4, bar);
	at = qtest_read(o->q, 4, bar + 0x10);
	ask_record(o);
	return at;
}

static void ask(struct oracle *o, const struct oracle_case *c, struct oracle_built *b)
{
	uint64_t bar = c->f[F_DEV] == DEV_WRITE ? BAR_LOW : BAR_HIGH, pa = b->ours.step[0].pa;

	if (!pa)
		pa = b->target;
	qtest_write(o->q, 8, REGS + VTD_REG_RTADDR, b->vend[B_RTADDR]);
	qtest_write(o->q, 4, REGS + VTD_REG_GCMD, GCMD_RUN | (uint32_t)VTD_GCMD_SRTP);
	b->at = 0;
	if (b->vend[B_TAIL])
		qtest_write(o->q, 8, REGS + VTD_REG_IQT, b->vend[B_TAIL] & ~UINT64_C(1));
	if (c->f[F_DEV] < DEV_READ) {
		if (!b->skip)
			b->at = ask_testdev(o, bar, b->iova, pa);
		if (b->vend[B_AGAIN_TAIL]) {
			qtest_write(o->q, 8, b->vend[B_LEAF_PA], b->vend[B_LEAF]);
			qtest_write(o->q, 8, REGS + VTD_REG_IQT, b->vend[B_AGAIN_TAIL] & ~UINT64_C(1));
		}
		if (!b->skip && b->ours.n == 2) {
			b->at2 = ask_testdev(o, bar, b->iova, b->ours.step[1].pa ? b->ours.step[1].pa : b->target);
		}
	} else if (!b->skip) {
		if (pa >> 20 != 0xfee && pa < ORACLE_RAM)
			qtest_write(o->q, 4, pa, datum(b));
		ask_edu(o, b->iova, EDU_BUF, 1);
		b->at = qtest_read(o->q, 4, REGS + VTD_REG_FSTS);
		ask_record(o);
		if (b->ours.n == 2) {
			ask_edu(o, EDU_BUF, b->iova ^ BACK, 3);
			ask_record(o);
		}
	}
	o->vend[V_ALIVE_AT] = qtest_read(o->q, 4, REGS + VTD_REG_FSTS);
}

static void their_record(struct oracle *o, struct oracle_step *s, size_t at)
{
	s->record[0] = qtest_answer(o->q, at);
	s->record[1] = qtest_answer(o->q, at + 1);
	s->reason = (uint16_t)FIELD_GET(VTD_FRCD_1_FR, s->record[1]);
}

static void their_write(struct oracle *o, struct oracle_step *s, const struct oracle_step *ours, uint64_t target, size_t at)
{
	uint64_t pa = ours->pa ? ours->pa : target;

	their_record(o, s, at + 1);
	if (s->record[1] & VTD_FRCD_1_F) {
		s->outcome = ORACLE_FAULT;
	} else if (qtest_answer(o->q, at) == 0 && oracle_get32(o, o->theirs, pa) == MAGIC) {
		s->outcome = ORACLE_LANDED;
		s->pa = pa;
	}
}

static void theirs(struct oracle *o, const struct oracle_case *c, struct oracle_built *b)
{
	struct oracle_step *s = b->theirs.step;
	uint64_t pa;

	b->theirs.n = b->ours.n;
	if (b->skip)
		return;
	if (c->f[F_DEV] < DEV_READ) {
		their_write(o, s, &b->ours.step[0], b->target, b->at);
		if (b->ours.n == 2)
			their_write(o, s + 1, &b->ours.step[1], b->target, b->at2);
		return;
	}
	their_record(o, s, b->at + 1);
	s->outcome = s->record[1] & VTD_FRCD_1_F ? ORACLE_FAULT : ORACLE_UNSEEN;
	if (b->ours.n != 2)
		return;
	s++;
	their_record(o, s, b->at + 9);
	pa = b->ours.step[1].pa ? b->ours.step[1].pa : b->target ^ BACK;
	if (s->record[1] & VTD_FRCD_1_F) {
		s->outcome = ORACLE_FAULT;
	} else if (oracle_get32(o, o->theirs, pa) == datum(b)) {
		s->outcome = ORACLE_LANDED;
		s->pa = pa;
	}
}

static const char *alive(struct oracle *o)
{
	uint64_t bad = VTD_FSTS_IQE | VTD_FSTS_ICE | VTD_FSTS_ITE;

	if (o->hw->ops->mmio_read(o->hw, VTD_REG_FSTS, 4) & bad)
		return "our invalidation queue has stopped";
	return qtest_answer(o->q, o->vend[V_ALIVE_AT]) & bad ? "QEMU's invalidation queue has stopped" : NULL;
}

static bool same_record(const struct oracle_step *a, const struct oracle_step *b)
{
	return a->record[0] == b->record[0] && a->record[1] == b->record[1];
}

/* ---- units ---- */

#define MACHINE	"-machine", "q35,accel=qtest,memory-backend=ram0"
#define DEVICES "-device", "iommu-testdev,addr=03.0", "-device", "iommu-testdev,addr=13.0", "-device", \
		"edu,dma_mask=0xffffffffffffffff,addr=04.0"
#define UNIT(options) (const char *const[]){MACHINE, "-device", "intel-iommu,intremap=off" options, DEVICES, NULL}

static const struct oracle_unit units[] = {
	{"legacy", UNIT(""), 0},
	{"legacy-39-sc-dt", UNIT(",aw-bits=39,snoop-control=on,device-iotlb=on"), U_AW39 | U_SC | U_DT},
	{"ss", UNIT(",scalable-mode=on"), U_SM},
	{"ss-39-sc-dt", UNIT(",scalable-mode=on,aw-bits=39,snoop-control=on,device-iotlb=on"), U_SM | U_AW39 | U_SC | U_DT},
	{"fs", UNIT(",scalable-mode=on,fsts=on"), U_FS},
	{"fs-no1g", UNIT(",scalable-mode=on,fsts=on,fs1gp=off"), U_FS | U_NO1G},
	{NULL, NULL, 0},
};

const struct oracle_vendor oracle_vtd = {
	.name = "vtd",
	.program = "qemu-system-x86_64",
	.units = units,
	.fields = vtd_fields,
	.filters = vtd_known,
	.plain = vtd_plain,
	.random = vtd_random,
	.start = start,
	.build = build,
	.ours = ours,
	.ask = ask,
	.theirs = theirs,
	.alive = alive,
	.same_record = same_record,
	.print = vtd_print,
	.print_step = vtd_print_step,
};
