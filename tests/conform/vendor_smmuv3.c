/* SPDX-License-Identifier: BSD-3-Clause */
/* SMMUv3 for the proof harness: configurations, a guest's stage 1 with its CDs, and what is declared disruptive. */
#include <errno.h>
#include <string.h>

#include "hw/smmuv3/smmu.h"
#include "machine/desc_smmuv3.h"
#include "spec/smmuv3/cd.h"
#include "spec/smmuv3/cmds.h"
#include "spec/smmuv3/events.h"
#include "spec/smmuv3/regs.h"
#include "spec/smmuv3/ste.h"
#include "uapi/iommufd.h"
#include "vendor.h"

#define EACH_UNIT(d, field, value)                                                                            \
	do {                                                                                                   \
		uint32_t i_;                                                                                   \
		for (i_ = 0; i_ < (d)->niommus; i_++)                                                          \
			(d)->iommu[i_].smmuv3.field = (value);                                                 \
	} while (0)

static void grace(struct nb_desc *d)
{
	*d = *nb_desc_find("grace");
}
/* Two of its units are enough for what follows; functions keep clear of the StreamIDs beyond 15 bits. */
static void board(struct nb_desc *d)
{
	grace(d);
	d->niommus = 2;
	d->nfunctions = 4;
}
static void one_stage(struct nb_desc *d)
{
	board(d);
	EACH_UNIT(d, cmdqv, false);
	EACH_UNIT(d, hyp, false);
}
static void basic(struct nb_desc *d)
{
	const struct nb_desc_smmuv3 *unit = &nb_desc_find("smmu-basic")->iommu[0].smmuv3;
	uint32_t i;

	board(d);
	for (i = 0; i < d->niommus; i++)
		d->iommu[i].smmuv3 = *unit;
}
static void stage1_only(struct nb_desc *d)
{
	one_stage(d);
	EACH_UNIT(d, s2, false);
	EACH_UNIT(d, vmid16, false);
	EACH_UNIT(d, xnx, false);
}
static void stage2_only(struct nb_desc *d)
{
	one_stage(d);
	EACH_UNIT(d, s1, false);
	EACH_UNIT(d, asid16, false);
	EACH_UNIT(d, ssid_bits, 0);
	EACH_UNIT(d, cd_2level, false);
}
static void granule_16k(struct nb_desc *d)
{
	board(d);
	EACH_UNIT(d, gran4k, false);
	EACH_UNIT(d, gran64k, false);
}
static void granule_64k(struct nb_desc *d)
{
	board(d);
	EACH_UNIT(d, gran4k, false);
	EACH_UNIT(d, gran16k, false);
	EACH_UNIT(d, ds, false);
}
static void linear(struct nb_desc *d)
{
	board(d);
	EACH_UNIT(d, st_2level, false);
	EACH_UNIT(d, cd_2level, false);
	EACH_UNIT(d, guest_msi, true);
}
static void ids8(struct nb_desc *d)
{
	board(d);
	EACH_UNIT(d, asid16, false);
	EACH_UNIT(d, vmid16, false);
}
static void no_ril(struct nb_desc *d)
{
	board(d);
	EACH_UNIT(d, ril, false);
}
static void no_httu(struct nb_desc *d)
{
	board(d);
	EACH_UNIT(d, httu, SMMU_HTTU_NONE);
}
static void no_ats(struct nb_desc *d)
{
	board(d);
	EACH_UNIT(d, ats, false);
}
static void noncoherent(struct nb_desc *d)
{
	no_httu(d);
	EACH_UNIT(d, coherent, false);
}
static void el1(struct nb_desc *d)
{
	board(d);
	EACH_UNIT(d, hyp, false);
}
static void fwb(struct nb_desc *d)
{
	board(d);
	EACH_UNIT(d, fwb, true);
}
static void no_stall(struct nb_desc *d)
{
	board(d);
	EACH_UNIT(d, stall_model, SMMU_STALL_NEVER);
}
static void stall_forced(struct nb_desc *d)
{
	board(d);
	EACH_UNIT(d, stall_model, SMMU_STALL_ALWAYS);
}
/* The second unit has less, and domains that were made for the first serve it. */
static void mixed(struct nb_desc *d)
{
	board(d);
	d->iommu[1].smmuv3.ril = false;
	d->iommu[1].smmuv3.hyp = false;
	d->iommu[1].smmuv3.asid16 = d->iommu[1].smmuv3.vmid16 = false;
	d->iommu[1].smmuv3.stall_model = SMMU_STALL_NEVER;
}

#define NO_4K "its smallest page is larger than the host's"
#define NO_COHERENCY "VFIO binds no device whose DMA does not snoop"

static const struct vendor_conf conf[] = {
	{.name = "grace", .make = grace},
	{.name = "smmu-basic", .make = basic},
	{.name = "stage-1-only", .make = stage1_only},
	{.name = "stage-2-only", .make = stage2_only},
	{.name = "16k", .make = granule_16k, .page_lg2 = 14, .guest_page_lg2 = 14, .no_host = NO_4K},
	{.name = "64k", .make = granule_64k, .page_lg2 = 16, .guest_page_lg2 = 16, .no_host = NO_4K},
	{.name = "guest-16k", .make = board, .guest_page_lg2 = 14},
	{.name = "guest-64k", .make = board, .guest_page_lg2 = 16},
	{.name = "linear", .make = linear},
	{.name = "8-bit-ids", .make = ids8},
	{.name = "no-ril", .make = no_ril},
	{.name = "no-httu", .make = no_httu},
	{.name = "smmu-no-ats", .make = no_ats},
	{.name = "smmu-non-coherent", .make = noncoherent, .noncoherent = 3, .no_host = NO_COHERENCY},
	{.name = "el1", .make = el1},
	{.name = "fwb", .make = fwb},
	{.name = "no-stall", .make = no_stall},
	{.name = "stall-forced", .make = stall_forced},
	{.name = "smmu-mixed", .make = mixed},
};

static int boot(const struct nb_desc *d, unsigned int iommu, struct mem *mem, struct nb_trace *tr, struct hw_iommu **hw,
		uint32_t *errata, struct nb_diag *diag)
{
	struct smmu_caps caps;

	desc_smmuv3_caps(&d->iommu[iommu].smmuv3, &caps);
	*errata = 0;
	return smmu_create(&caps, mem, tr, hw, diag);
}

/* ---- a guest ---- */

static const struct nb_desc_smmuv3 *unit(const struct vendor_guest *g)
{
	return &g->desc->iommu[0].smmuv3;
}

static void guest(const struct vendor_conf *c, const struct nb_desc *d, struct vendor_guest *out)
{
	*out = (struct vendor_guest){.desc = d, .page_lg2 = c->guest_page_lg2 ? c->guest_page_lg2 : 12};
	out->levels = out->page_lg2 == 16 ? 3 : 4;
	out->updates = d->iommu[0].smmuv3.httu == SMMU_HTTU_AD;
}

/* DDI 0487 D8.3: a table descriptor. */
static uint64_t s1_node(const struct vendor_guest *g, uint64_t gpa)
{
	(void)g;
	return gpa | 3;
}

#define PTE_PAGE     3u
#define PTE_ATTR_WB  FIELD_C(BITS(4, 2), 1) /* MAIR index */
#define PTE_USER     BIT(6)
#define PTE_RO	     BIT(7)
#define PTE_SH_INNER FIELD_C(BITS(9, 8), 3)
#define PTE_AF	     BIT(10)
#define PTE_NG	     BIT(11)
#define PTE_DBM	     BIT(51)

static uint64_t s1_leaf(const struct vendor_guest *g, uint64_t gpa, unsigned int prot)
{
	uint64_t pte = gpa | PTE_PAGE | PTE_ATTR_WB | PTE_USER | PTE_SH_INNER | PTE_NG;

	if (g->updates) /* writable is what is clean and may become dirty */
		return pte | PTE_RO | (prot & HW_WRITE ? PTE_DBM : 0);
	return pte | PTE_AF | (prot & HW_WRITE ? 0 : PTE_RO);
}

/* One per table: page numbers differ in their low bits wherever the harness puts roots. */
static uint64_t asid_of(const struct vendor_guest *g, uint64_t root)
{
	return root >> g->page_lg2 & 0xff;
}

#define WB_WA	 1u
#define SH_INNER 3u
#define MAIR	 UINT64_C(0xff00) /* index 1: write-back */
#define CDMAX	 6u

static void put_cd(const struct vendor_guest *g, uint64_t root, le64_t *cd)
{
	static const uint8_t tg[] = {[12] = SMMU_TG_4K, [14] = SMMU_TG_16K, [16] = SMMU_TG_64K};

	cd[1] = le64(root);
	cd[3] = le64(MAIR);
	cd[0] = le64(FIELD_C(SMMU_CD_0_T0SZ, 16) | FIELD(SMMU_CD_0_TG0, tg[g->page_lg2]) | FIELD_C(SMMU_CD_0_IR0, WB_WA) |
		     FIELD_C(SMMU_CD_0_OR0, WB_WA) | FIELD_C(SMMU_CD_0_SH0, SH_INNER) | SMMU_CD_0_EPD1 | SMMU_CD_0_V |
		     FIELD_C(SMMU_CD_0_IPS, SMMU_OAS_48) | SMMU_CD_0_AA64 |
		     (g->updates ? SMMU_CD_0_HA | SMMU_CD_0_HD : 0) |
		     (unit(g)->stall_model == SMMU_STALL_ALWAYS ? SMMU_CD_0_S : 0) | SMMU_CD_0_R | SMMU_CD_0_A |
		     SMMU_CD_0_ASET | FIELD(SMMU_CD_0_ASID, asid_of(g, root)));
}

static bool s1_blob(const struct vendor_guest *g, enum vendor_s1 how, uint64_t root, void *page, uint64_t page_gpa,
		    struct vendor_blob *out)
{
	bool ssids = unit(g)->ssid_bits >= CDMAX;
	uint64_t dss = how == V_S1_PASID_BYPASS ? SMMU_S1DSS_BYPASS : how == V_S1_PASID_ABORT ? SMMU_S1DSS_TERMINATE :
												SMMU_S1DSS_SSID0;
	uint64_t w0 = SMMU_STE_0_V, w1 = 0;
	le64_t *cds = page;
	struct iommu_hwpt_arm_smmuv3 ste;

	if (how == V_S1_BYPASS) {
		w0 |= FIELD_C(SMMU_STE_0_CONFIG, SMMU_STE_CONFIG_BYPASS);
	} else if (how != V_S1_ABORT) {
		if (how != V_S1_TABLE && !ssids)
			return false;
		put_cd(g, root, cds);
		if (ssids)
			put_cd(g, root, cds + 8 * V_GUEST_PASID);
		w0 |= FIELD_C(SMMU_STE_0_CONFIG, SMMU_STE_CONFIG_S1) | page_gpa | FIELD(SMMU_STE_0_S1CDMAX, ssids ? CDMAX : 0);
		w1 = FIELD(SMMU_STE_1_S1DSS, ssids ? dss : 0) | FIELD_C(SMMU_STE_1_S1CIR, WB_WA) |
		     FIELD_C(SMMU_STE_1_S1COR, WB_WA) | FIELD_C(SMMU_STE_1_S1CSH, SH_INNER) |
		     FIELD(SMMU_STE_1_EATS, unit(g)->ats ? SMMU_EATS_FULL : SMMU_EATS_ABORT);
	}
	ste.ste[0] = le64(w0).le;
	ste.ste[1] = le64(w1).le;
	out->type = IOMMU_HWPT_DATA_ARM_SMMUV3;
	out->len = sizeof(ste);
	out->n = 1;
	memcpy(out->bytes, &ste, sizeof(ste));
	return true;
}

static void add_cmd(struct vendor_blob *out, uint64_t lo, uint64_t hi)
{
	const struct iommu_viommu_arm_smmuv3_invalidate cmd = {{le64(lo).le, le64(hi).le}};

	memcpy(out->bytes + out->n++ * sizeof(cmd), &cmd, sizeof(cmd));
}

/* The VMID is the host's to put in. 4.4.1.1: with TG, (NUM + 1) * 2^SCALE pages; all of NUM, SCALE and TTL 0 is reserved. */
static void inv_blob(const struct vendor_guest *g, uint64_t root, uint64_t va, uint64_t npages, bool leaf,
		     struct vendor_blob *out)
{
	const uint64_t asid = FIELD(SMMU_CMD_TLBI_0_ASID, asid_of(g, root));
	const uint64_t each = sizeof(out->bytes) / sizeof(struct smmu_cmd);
	uint64_t hi = leaf ? SMMU_CMD_TLBI_1_LEAF : 0, num = npages, i;
	unsigned int scale = 0;

	out->type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3;
	out->len = sizeof(struct smmu_cmd);
	out->n = 0;
	if (npages == UINT64_MAX || (!unit(g)->ril && npages > each)) {
		add_cmd(out, asid | FIELD_C(SMMU_CMD_0_OP, SMMU_CMD_TLBI_NH_ASID), 0);
		return;
	}
	if (!unit(g)->ril) {
		for (i = 0; i < npages; i++)
			add_cmd(out, asid | FIELD_C(SMMU_CMD_0_OP, SMMU_CMD_TLBI_NH_VA), hi | (va + (i << g->page_lg2)));
		return;
	}
	for (; num > 32; num = (num + 1) / 2)
		scale++;
	if (num == 1 && !leaf)
		num = 2;
	hi |= FIELD(SMMU_CMD_TLBI_1_TG, (g->page_lg2 - 10u) / 2) | (leaf ? FIELD_C(SMMU_CMD_TLBI_1_TTL, 3) : 0);
	add_cmd(out, asid | FIELD_C(SMMU_CMD_0_OP, SMMU_CMD_TLBI_NH_VA) | FIELD(SMMU_CMD_TLBI_0_NUM, num - 1) |
			     FIELD(SMMU_CMD_TLBI_0_SCALE, scale), hi | va);
}

static void event(const uint64_t payload[4], uint64_t *virt_id, uint64_t *addr)
{
	*virt_id = FIELD_GET(SMMU_EVT_0_SID, cpu64((le64_t){payload[0]}));
	*addr = cpu64((le64_t){payload[2]});
}

static bool faults_wait(const struct nb_desc *d)
{
	return d->iommu[0].smmuv3.stall_model == SMMU_STALL_ALWAYS;
}

/* Where everything stalls, whatever goes to an address that faults. */
static bool ask_page(const struct nb_desc *d, struct hw_iommu *hw, uint16_t rid, uint64_t addr)
{
	uint64_t v;

	return faults_wait(d) && hw_dma_read(hw, rid, NB_NO_PASID, addr, &v, sizeof(v)) == -EAGAIN;
}

/*
 * 3.21.3: what hardware looks at may change at once in one word of an entry only. Config with the guest's S1ContextPtr is one (identity
 * to and from everything, a parent and its guests); another stage 2 or stage 1 is more; so is another CD table with another S1DSS.
 */
static bool hitless(enum vendor_kind from, enum vendor_kind to, bool same)
{
	if (from == V_IDENTITY || to == V_IDENTITY)
		return true;
	if (from == V_PAGING || to == V_PAGING)
		return from == to && same;
	return same && (from == to ? from != V_NESTED_OTHER : from == V_PARENT || to == V_PARENT);
}

const struct vendor vendor_smmuv3 = {
	.name = "smmuv3",
	.conf = conf,
	.nconfs = ARRAY_SIZE(conf),
	.drv = &drv_smmuv3_ops,
	.boot = boot,
	.guest = guest,
	.s1_node = s1_node,
	.s1_leaf = s1_leaf,
	.s1_blob = s1_blob,
	.inv_blob = inv_blob,
	.viommu_type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
	.veventq_type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
	.event = event,
	.faults_wait = faults_wait,
	.ask_page = ask_page,
	.torn = true, /* 3.21.3 */
	.hitless = hitless,
};
