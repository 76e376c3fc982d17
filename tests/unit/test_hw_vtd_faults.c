/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every fault condition of the manual's tables (7.1.3 and 5.1.4.1, D51397 revision 5.10, and what 4.1 has for execute requests)
 * that a unit without posted interrupts, host permission tables and PASIDs in translated requests can meet, provoked
 * on its own: with FPD clear it is recorded; with FPD set in every entry that has the bit it is recorded only when the table calls it
 * unqualified.
 */
#include "hw_vtd_rig.h"

#include <stdio.h>
#include <sys/mman.h>

#define NOP	NB_NO_PASID
#define VA	UINT64_C(0x123456789000)
#define LIA	UINT64_C(0x2345678000)
#define NOWHERE UINT64_C(0x3f00000000)
#define RO_AT	UINT64_C(0x80000000) /* a page that cannot be written */

/* What has to be there for the condition: which kind of translation, by which kind of request. */
enum base { LEGACY, SM_FS, SM_SS, SM_NESTED, SM_PT, INTR };

static const struct cond {
	const char *name;
	uint8_t code;
	bool qualified;
	enum base base;
	const char *how;
} conds[] = {
	{"LRT.1", 0x08, false, LEGACY, "root table not in memory"},
	{"LRT.2", 0x01, false, LEGACY, "root entry not present"},
	{"LRT.3", 0x0a, false, LEGACY, "reserved bit in the root entry"},
	{"LCT.1", 0x09, false, LEGACY, "context table not in memory"},
	{"LCT.2", 0x02, true, LEGACY, "context entry not present"},
	{"LCT.3", 0x0b, true, LEGACY, "reserved bit in the context entry"},
	{"LCT.4", 0x03, true, LEGACY, "AW of the context entry not supported"},
	{"LCT.5", 0x0d, true, LEGACY, "translated request, TT 0"},
	{"LGN.1", 0x04, true, LEGACY, "address beyond AW"},
	{"LGN.2", 0x05, true, LEGACY, "write, W = 0"},
	{"LGN.3", 0x06, true, LEGACY, "read, R = 0"},
	{"LGN.4", 0x0e, true, LEGACY, "output in the interrupt range"},
	{"LSS.1", 0x07, true, LEGACY, "second-stage table not in memory"},
	{"LSS.2", 0x0c, true, LEGACY, "reserved bit in a second-stage entry"},
	{"RTA.1", 0x30, false, LEGACY, "TTM reserved"},
	{"RTA.2", 0x31, false, LEGACY, "request with PASID in legacy mode"},
	{"RTA.3", 0x32, false, LEGACY, "page request in legacy mode"},
	{"RTA.4", 0x33, false, LEGACY, "abort-DMA mode"},
	{"SRT.1", 0x38, false, SM_FS, "root table not in memory"},
	{"SRT.2", 0x39, false, SM_FS, "half of the root entry not present"},
	{"SRT.3", 0x3a, false, SM_FS, "reserved bit in the root entry"},
	{"SCT.1", 0x40, false, SM_FS, "context table not in memory"},
	{"SCT.2", 0x41, true, SM_FS, "context entry not present"},
	{"SCT.3", 0x42, true, SM_FS, "reserved bit in the context entry"},
	{"SCT.4", 0x43, true, SM_FS, "RID_PASID beyond PDTS"},
	{"SCT.5", 0x44, true, SM_FS, "translated request, DTE 0"},
	{"SCT.6", 0x45, true, SM_FS, "request with PASID, PASIDE 0"},
	{"SCT.7", 0x46, true, SM_FS, "PASID beyond PDTS"},
	{"SCT.8", 0x47, true, SM_FS, "page request, PRE 0"},
	{"SCT.9", 0x48, true, SM_FS, "PASID of the request is RID_PASID"},
	{"SPD.1", 0x50, false, SM_FS, "PASID directory not in memory"},
	{"SPD.2", 0x51, true, SM_FS, "PASID directory entry not present"},
	{"SPD.3", 0x52, true, SM_FS, "reserved bit in the PASID directory entry"},
	{"SPT.1", 0x58, false, SM_FS, "PASID table not in memory"},
	{"SPT.2", 0x59, true, SM_FS, "PASID entry not present"},
	{"SPT.3", 0x5a, true, SM_FS, "reserved bit in the PASID entry"},
	{"SPT.4", 0x5b, true, SM_FS, "PGTT reserved"},
	{"SPT.5", 0x5c, true, SM_FS, "execute request, ERE 0"},
	{"SPT.6", 0x5d, true, SM_FS, "supervisor request, SRE 0"},
	{"SFS.1", 0x70, true, SM_FS, "first-stage table not in memory"},
	{"SFS.2", 0x71, true, SM_FS, "first-stage entry not present"},
	{"SFS.3", 0x72, true, SM_FS, "reserved bit in a first-stage entry"},
	{"SFS.4", 0x73, true, SM_FS, "first first-stage table not in memory"},
	{"SFS.5", 0x74, true, SM_NESTED, "address in a first-stage entry beyond AW"},
	{"SFS.6", 0x75, true, SM_NESTED, "first first-stage table not readable in the second stage"},
	{"SFS.7", 0x76, true, SM_NESTED, "first-stage table not readable in the second stage"},
	{"SFS.8", 0x77, true, SM_NESTED, "accessed bit due in a page that is read-only in the second stage"},
	{"SFS.9", 0x90, true, SM_FS, "accessed bit due, PWSNP 0"},
	{"SFS.10", 0x91, true, SM_FS, "accessed bit due in memory that does not take it"},
	{"SSS.1", 0x78, true, SM_SS, "second-stage table not in memory"},
	{"SSS.2", 0x79, true, SM_SS, "R = W = 0"},
	{"SSS.3", 0x7a, true, SM_SS, "reserved bit in a second-stage entry"},
	{"SSS.4", 0x7b, true, SM_SS, "first second-stage table not in memory"},
	{"SSS.5", 0x7c, true, SM_SS, "accessed bit due, PWSNP 0"},
	{"SSS.6", 0x7d, true, SM_SS, "accessed bit due in memory that does not take it"},
	{"SGN.1", 0x80, true, SM_FS, "address not canonical"},
	{"SGN.2", 0x81, true, SM_FS, "user request, U/S = 0"},
	{"SGN.3", 0x82, true, SM_FS, "execute request, XD"},
	{"SGN.4", 0x83, true, SM_PT, "address beyond HAW"},
	{"SGN.5", 0x84, true, SM_SS, "address beyond AW"},
	{"SGN.6", 0x85, true, SM_SS, "write, W = 0"},
	{"SGN.7", 0x86, true, SM_SS, "read, R = 0"},
	{"SGN.8", 0x87, true, SM_FS, "output in the interrupt range"},
	{"SGN.10", 0x89, true, SM_FS, "PASID beyond PSS"},
	{"IR 20h", 0x20, false, INTR, "reserved bits of the message"},
	{"IR 21h", 0x21, false, INTR, "index beyond the table"},
	{"IR 22h", 0x22, true, INTR, "entry not present"},
	{"IR 23h", 0x23, false, INTR, "table not in memory"},
	{"IR 24h", 0x24, true, INTR, "reserved bit in an entry"},
	{"IR 25h", 0x25, false, INTR, "compatibility format blocked"},
	{"IR 26h", 0x26, true, INTR, "source-id"},
	{"IR 29h", 0x29, false, LEGACY, "read in the interrupt range"},
};

struct scene {
	struct rig r;
	enum base base;
	uint64_t fpd;	     /* BIT(1) or 0 */
	uint64_t root_e, ctx, fs[5], ss[5], data;
	uint64_t fs_root, ss_root;
	uint64_t sctx_q0, sctx_q1, q0, q1, q2;
	uint8_t *ro;
	struct hw_request req;
	struct hw_page_request preq;
	bool page_request, message;
	uint64_t msg_addr;
	uint32_t msg_data;
};

static void map_fs(struct scene *s, uint64_t add)
{
	unsigned int l;

	for (l = 4; l >= 1; l--)
		s->fs[l] = entry_at(&s->r, s->fs_root, 4, l, VA, FS_U_RW, add);
	w64(&s->r, s->fs[1], (s->data + add) | FS_U_RW);
}

static void map_ss(struct scene *s)
{
	unsigned int l;

	s->ss_root = rig_page(&s->r);
	for (l = 4; l >= 1; l--)
		s->ss[l] = entry_at(&s->r, s->ss_root, 4, l, LIA, SS_RW, 0);
	w64(&s->r, s->ss[1], s->data | SS_RW);
}

static void scene_new(struct scene *s, enum base base, unsigned int code, bool fpd)
{
	struct rig *r = &s->r;
	struct vtd_caps c;

	memset(s, 0, sizeof(*s));
	vtd_caps_all(&c);
	c.haw = code == 0x74 ? 52 : 46; /* else such an address has reserved bits */
	c.pasid_bits = 16;
	c.exec_request = true;
	rig_new_caps(r, &c);
	s->base = base;
	s->fpd = fpd ? BIT(1) : 0;
	s->data = rig_page(r);
	s->root_e = r->root + (RIG_RID >> 8) * 16u;
	s->req = (struct hw_request){.addr = VA, .pasid = 1, .rid = RIG_RID, .access = HW_READ};
	s->ro = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(s->ro, MAP_FAILED);
	assert_int_equal(mem_add_region(&r->mem, hpa(RO_AT), s->ro, 4096), 0);
	if (base == INTR)
		return;
	if (base == LEGACY) {
		map_ss(s);
		w64(r, s->root_e, rig_page(r) | 1);
		s->ctx = (r64(r, s->root_e) & BITS(51, 12)) + (RIG_RID & 0xff) * 16;
		w64(r, s->ctx + 8, 5 << 8 | VTD_AW_48);
		w64(r, s->ctx, s->ss_root | s->fpd | 1);
		s->req.pasid = NOP;
		s->req.addr = LIA;
		return;
	}
	s->sctx_q0 = VTD_SCTX_0_PASIDE | s->fpd;
	s->q1 = 5 | VTD_PASID_1_PWSNP;
	s->q0 = PGTT(base == SM_FS ? VTD_PGTT_FS : base == SM_SS ? VTD_PGTT_SS : base == SM_PT ? VTD_PGTT_PT : VTD_PGTT_NESTED) | s->fpd;
	if (base == SM_FS || base == SM_NESTED) {
		s->fs_root = rig_page(r);
		map_fs(s, base == SM_NESTED ? RIG_GPA : 0);
		s->q2 = s->fs_root + (base == SM_NESTED ? RIG_GPA : 0);
	}
	if (base == SM_SS) {
		map_ss(s);
		s->q0 |= s->ss_root | AW(VTD_AW_48);
		s->req.addr = LIA;
	} else if (base == SM_NESTED) {
		s->ss_root = ss_all(r, 4);
		s->q0 |= s->ss_root | AW(VTD_AW_48);
	}
}

static void nested_page(struct scene *s, uint64_t page, uint64_t e)
{
	ss_map(&s->r, s->ss_root, 4, 1, (page & ~UINT64_C(0xfff)) + RIG_GPA, e);
}

/* What is wrong: returns the translation table mode. */
static unsigned int spoil(struct scene *s, unsigned int code)
{
	struct rig *r = &s->r;
	uint64_t e1 = s->base == INTR ? 0 : s->base == LEGACY || s->base == SM_SS ? r64(r, s->ss[1]) : s->base == SM_PT ? 0 : r64(r, s->fs[1]);

	switch (code) {
	case 0x08: case 0x38: r->root = NOWHERE; break;
	case 0x01: w64(r, s->root_e, r64(r, s->root_e) & ~1ul); break;
	case 0x0a: w64(r, s->root_e, r64(r, s->root_e) | 2); break;
	case 0x09: w64(r, s->root_e, NOWHERE | 1); break;
	case 0x02: w64(r, s->ctx, r64(r, s->ctx) & ~1ul); break;
	case 0x0b: w64(r, s->ctx, r64(r, s->ctx) | BIT(4)); break;
	case 0x03: w64(r, s->ctx + 8, 5 << 8); break;
	case 0x0d: s->req.flags = HW_TRANSLATED; break;
	case 0x04: case 0x84: s->req.addr = BIT(48); break;
	case 0x05: w64(r, s->ss[1], e1 & ~2ul); s->req.access = HW_WRITE; break;
	case 0x06: w64(r, s->ss[1], e1 & ~1ul); break;
	case 0x0e: w64(r, s->ss[1], UINT64_C(0xfee00000) | SS_RW); break;
	case 0x07: case 0x78: w64(r, s->ss[2], NOWHERE | SS_RW); break;
	case 0x0c: case 0x7a: w64(r, s->ss[1], e1 | BIT(46)); break;
	case 0x29: s->req.addr = 0xfee00000; break;
	case 0x30: return VTD_TTM_RESERVED;
	case 0x31: s->req.pasid = 1; break;
	case 0x32: s->page_request = true; break;
	case 0x33: return VTD_TTM_ABORT;
	case 0x39: break; /* see below: structures are made later */
	case 0x5a: s->q1 |= BIT(16); break;
	case 0x5b: s->q0 &= ~BITS(8, 6); break;
	case 0x59: s->q0 &= ~1ul; break;
	case 0x5c: s->req.access = HW_READ | HW_EXEC; break;
	case 0x5d: s->req.flags = HW_PRIV; break;
	case 0x70: w64(r, s->fs[2], NOWHERE | FS_U_RW | VTD_FSPTE_A); break;
	case 0x71: w64(r, s->fs[1], 0); break;
	case 0x72: w64(r, s->fs[1], e1 | BIT(46)); break;
	case 0x73: s->q2 = NOWHERE; break;
	case 0x74: w64(r, s->fs[1], BIT(48) | FS_U_RW); break;
	case 0x75: nested_page(s, s->fs_root, (s->fs_root & ~UINT64_C(0xfff)) | VTD_SSPTE_W); break;
	case 0x76: nested_page(s, s->fs[1], (s->fs[1] & ~UINT64_C(0xfff)) | VTD_SSPTE_W); break;
	case 0x77: nested_page(s, s->fs[1], (s->fs[1] & ~UINT64_C(0xfff)) | VTD_SSPTE_R); break;
	case 0x90: s->q1 &= ~VTD_PASID_1_PWSNP; break;
	case 0x91:
		memcpy(s->ro + (s->fs[1] & 0xfff), &e1, 8);
		w64(r, s->fs[2], RO_AT | FS_U_RW | VTD_FSPTE_A);
		break;
	case 0x79: w64(r, s->ss[1], e1 & ~3ul); break;
	case 0x7b: s->q0 = (s->q0 & 0xfff) | NOWHERE; break;
	case 0x7c: s->q0 |= VTD_PASID_0_SSADE; s->q1 &= ~VTD_PASID_1_PWSNP; break;
	case 0x7d:
		s->q0 |= VTD_PASID_0_SSADE;
		memcpy(s->ro + (s->ss[1] & 0xfff), &e1, 8);
		w64(r, s->ss[2], RO_AT | SS_RW);
		break;
	case 0x80: s->req.addr = BIT(47); break;
	case 0x81: w64(r, s->fs[1], e1 & ~4ul); break;
	case 0x82: w64(r, s->fs[1], e1 | BIT(63)); s->q2 |= VTD_PASID_2_ERE | VTD_PASID_2_NXE; s->req.access = HW_READ | HW_EXEC; break;
	case 0x83: s->req.addr = BIT(46); break;
	case 0x85: w64(r, s->ss[1], e1 & ~2ul); s->req.access = HW_WRITE; break;
	case 0x86: w64(r, s->ss[1], e1 & ~1ul); break;
	case 0x87: w64(r, s->fs[1], UINT64_C(0xfee00000) | FS_U_RW); break;
	case 0x89: s->req.pasid = 0x10000; break;
	case 0x43: s->sctx_q1 = BIT(13); break;
	case 0x44: s->req.flags = HW_TRANSLATED; s->req.pasid = NOP; break;
	case 0x45: s->sctx_q0 &= ~VTD_SCTX_0_PASIDE; break;
	case 0x46: s->req.pasid = 8192; break;
	case 0x47: s->page_request = true; break;
	case 0x48: s->sctx_q1 = 1; break;
	default: break;
	}
	return s->base == LEGACY ? VTD_TTM_LEGACY : VTD_TTM_SCALABLE;
}

/* What lies in the structures that sm_device() made. */
static void spoil_structures(struct scene *s, unsigned int code)
{
	struct rig *r = &s->r;
	uint64_t ctx = (r64(r, s->root_e) & BITS(51, 12)) + (RIG_RID & 0x7f) * 32u;

	w64(r, r->dir, r64(r, r->dir) | s->fpd);
	switch (code) {
	case 0x39: w64(r, s->root_e, r64(r, s->root_e) & ~1ul); break;
	case 0x3a: w64(r, s->root_e, r64(r, s->root_e) | 2); break;
	case 0x40: w64(r, s->root_e, NOWHERE | 1); break;
	case 0x41: w64(r, ctx, r64(r, ctx) & ~1ul); break;
	case 0x42: w64(r, ctx, r64(r, ctx) | BIT(5)); break;
	case 0x50: w64(r, ctx, NOWHERE | VTD_SCTX_0_PASIDE | s->fpd | 1); break;
	case 0x51: w64(r, r->dir, s->fpd); break;
	case 0x52: w64(r, r->dir, r64(r, r->dir) | 4); break;
	case 0x58: w64(r, r->dir, NOWHERE | s->fpd | 1); break;
	default: break;
	}
}

static void intr(struct scene *s, unsigned int code)
{
	struct rig *r = &s->r;
	uint64_t table = rig_page(r), at = code == 0x23 ? NOWHERE : table;

	w64(r, table + 16, s->fpd | (code == 0x22 ? 0 : 1) | (code == 0x24 ? BIT(12) : 0));
	w64(r, table + 24, code == 0x26 ? 0x40001 : 0);
	reg64(r, VTD_REG_IRTA, at);
	gcmd(r, VTD_GCMD_SIRTP, 0);
	gcmd(r, VTD_GCMD_IRE, 0);
	s->message = true;
	s->msg_addr = code == 0x25 ? 0xfee00000 : code == 0x21 ? 0xfee00050 : code == 0x20 ? 0xfee00038 : 0xfee00030;
	s->msg_data = code == 0x20 ? 0x10000 : 0;
}

/* Do it, and say whether a record came of it. */
static bool provoke(const struct cond *k, bool fpd)
{
	struct scene *s = calloc(1, sizeof(*s));
	unsigned int ttm, reason;
	struct hw_irq irq;
	bool recorded;
	uint64_t rec;

	assert_non_null(s);
	scene_new(s, k->base, k->code, fpd);
	if (k->base == INTR) {
		intr(s, k->code);
		assert_int_equal(s->r.hw->ops->interrupt(s->r.hw, RIG_RID, s->msg_addr, s->msg_data, &irq), -14);
	} else {
		uint64_t root = s->r.root;

		ttm = spoil(s, k->code);
		if (k->base != LEGACY) {
			uint64_t spoiled = s->r.root;

			s->r.root = root;
			sm_device(&s->r, RIG_RID, s->sctx_q0, s->sctx_q1);
			sm_pasid(&s->r, 1, s->q0, s->q1, s->q2);
			spoil_structures(s, k->code);
			s->r.root = spoiled;
		}
		assert_int_equal(mprotect(s->ro, 4096, PROT_READ), 0);
		reg64(&s->r, VTD_REG_RTADDR, s->r.root | (uint64_t)ttm << 10);
		gcmd(&s->r, VTD_GCMD_SRTP, 0);
		gcmd(&s->r, VTD_GCMD_TE, 0);
		if (s->page_request) {
			s->preq = (struct hw_page_request){.addr = VA, .pasid = NOP, .rid = RIG_RID, .access = HW_READ, .last = true};
			s->r.hw->ops->page_request(s->r.hw, &s->preq);
		} else {
			struct hw_result res;

			hw_translate(s->r.hw, &s->req, &res);
			if (res.kind != HW_FAULT || res.fault.reason != k->code)
				fail_msg("%s (%s), FPD %d: kind %d, reason %#x instead of %#x", k->name, k->how, fpd, (int)res.kind,
					 res.kind == HW_FAULT ? res.fault.reason : 0u, (unsigned int)k->code);
			assert_int_equal(res.fault.recorded, get32(&s->r, VTD_REG_FSTS) >> 1 & 1);
		}
	}
	recorded = get32(&s->r, VTD_REG_FSTS) & VTD_FSTS_PPF;
	if (recorded) {
		rec = get64(&s->r, VTD_FRCD_AT + 8);
		reason = (unsigned int)(rec >> 32 & 0xff);
		if (reason != k->code || (rec & 0xffff) != RIG_RID || !(rec >> 63))
			fail_msg("%s (%s): recorded %#llx", k->name, k->how, (unsigned long long)rec);
	}
	munmap(s->ro, 4096);
	rig_free(&s->r);
	free(s);
	return recorded;
}

static void test_conditions(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(conds); i++) {
		if (!provoke(&conds[i], false))
			fail_msg("%s (%s): not recorded", conds[i].name, conds[i].how);
		if (provoke(&conds[i], true) == conds[i].qualified)
			fail_msg("%s (%s): with FPD %s", conds[i].name, conds[i].how,
				 conds[i].qualified ? "recorded, though it is qualified" : "not recorded, though it is unqualified");
	}
}

/* The same scene without anything wrong translates: what the rows provoke is what they spoil. */
static void test_good(void **state)
{
	static const enum base bases[] = {LEGACY, SM_FS, SM_SS, SM_NESTED, SM_PT};
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bases); i++) {
		struct scene *s = calloc(1, sizeof(*s));
		struct hw_result res;

		assert_non_null(s);
		scene_new(s, bases[i], 0, true);
		(void)spoil(s, 0);
		if (bases[i] != LEGACY) {
			sm_device(&s->r, RIG_RID, s->sctx_q0, s->sctx_q1);
			sm_pasid(&s->r, 1, s->q0, s->q1, s->q2);
			spoil_structures(s, 0);
		}
		rig_on(&s->r, bases[i] == LEGACY ? VTD_TTM_LEGACY : VTD_TTM_SCALABLE);
		hw_translate(s->r.hw, &s->req, &res);
		if (res.kind != HW_OK)
			fail_msg("base %u: reason %#x", i, res.fault.reason);
		munmap(s->ro, 4096);
		rig_free(&s->r);
		free(s);
	}
}

/* Every code that the header has is a row: a new one must come with its provocation. */
static void test_complete(void **state)
{
	const char *path = NB_SOURCE_ROOT "/src/spec/vtd/faults.h";
	FILE *f = fopen(path, "r");
	unsigned int n = 0;
	char line[256];

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		char *at = strstr(line, "VTD_FR_"), *eq;
		unsigned int i, code;

		if (!at || !(eq = strstr(at, " = 0x")))
			continue;
		code = (unsigned int)strtoul(eq + 3, NULL, 16);
		for (i = 0; i < ARRAY_SIZE(conds) && conds[i].code != code; i++)
			;
		if (i == ARRAY_SIZE(conds))
			fail_msg("no row provokes %#x: %s", code, line);
		n++;
	}
	fclose(f);
	assert_true(n >= 60);
	assert_true(n <= ARRAY_SIZE(conds));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
