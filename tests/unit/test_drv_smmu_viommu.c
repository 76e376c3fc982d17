/* SPDX-License-Identifier: BSD-3-Clause */
/* SMMUv3 driver: vIOMMUs: what a guest may set, nested translation, the guest's commands and events. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "drv_smmu_rig.h"

#define VA UINT64_C(0x7f0000005000)

/* A guest: one device, a CD, a table. */
struct guest {
	struct drv_domain *s2, *s1;
	struct drv_viommu *v;
	struct drv_vdevice *vd;
	uint64_t cd, root, page[4];	/* IPAs */
	unsigned int dev;
	uint32_t vsid;
};

static uint64_t host(struct rig *r, uint64_t ipa)
{
	return (uint64_t)(uintptr_t)r->ram + ipa;
}

/* s2 null: one of its own. */
static void guest_up(struct rig *r, struct guest *g, unsigned int dev, uint32_t vsid, struct drv_domain *s2)
{
	unsigned int i;

	memset(g, 0, sizeof(*g));
	if (r->ram_used == 0)
		guest_page(r); /* IPA 0 stays empty: guest_map() means "nothing" by it */
	g->dev = dev;
	g->vsid = vsid;
	g->s2 = s2 ? s2 : parent(r, dev);
	g->v = viommu(r, dev, g->s2);
	g->vd = vdevice(r, g->v, dev, vsid);
	g->cd = guest_page(r);
	g->root = guest_page(r);
	for (i = 0; i < 4; i++)
		g->page[i] = guest_page(r);
	guest_map(r, g->root, VA, g->page[0]);
	guest_cd(r, g->cd, g->root, 1);
	g->s1 = nested(r, g->v, g->cd);
}

static void guest_down(struct rig *r, struct guest *g, bool s2)
{
	block(r, g->dev, NB_NO_PASID);
	g->s1->ops->free(g->s1);
	if (g->vd)
		vdevice_free(g->vd);
	viommu_free(g->v);
	if (s2)
		g->s2->ops->free(g->s2);
}

/* Bit by bit. */
static void allowlist(void **state)
{
	/* 5.2: V, Config 5, S1Fmt 5:4, S1ContextPtr 51:6, S1CDMax 63:59; S1DSS, CIR, COR, CSH 7:0, S1STALLD 27, EATS 0 or 1 */
	const uint64_t ok0 = 0x1 | 0x30 | UINT64_C(0xfffffffffffc0) | UINT64_C(0xf800000000000000), ok1 = 0xff | BIT(27) | BIT(28);
	struct drv_domain *d = NULL;
	struct iommu_hwpt_arm_smmuv3 ste = {{0xb, 0}};
	struct drv_user_data data;
	struct guest g;
	struct rig r;
	unsigned int bit;
	char want[64];

	(void)state;
	rig_up(&r);
	guest_up(&r, &g, 0, 0x42, NULL);
	for (bit = 0; bit < 64; bit++) {
		int err = nested_raw(&r, g.v, 0xb ^ (bit > 3 ? BIT(bit) : 0), 0, &d);

		assert_int_equal(err, bit < 4 || (ok0 & BIT(bit)) ? 0 : -EIO);
		if (!err)
			d->ops->free(d);
		snprintf(want, sizeof(want), "bit %u of word 0", bit);
		assert_true(err == 0 || strstr(r.diag.msg, want));
		err = nested_raw(&r, g.v, 0xb, BIT(bit), &d);
		assert_int_equal(err, ok1 & BIT(bit) ? 0 : -EIO);
		if (!err)
			d->ops->free(d);
		snprintf(want, sizeof(want), "bit %u of word 1", bit);
		assert_true(err == 0 || bit == 29 || strstr(r.diag.msg, want));
	}
	for (bit = 0; bit < 8; bit++) {
		int err = nested_raw(&r, g.v, 1 | bit << 1, 0, &d);

		assert_int_equal(err, bit == 0 || bit == 4 || bit == 5 ? 0 : -EIO);
		if (!err)
			d->ops->free(d);
	}
	assert_int_equal(nested_raw(&r, g.v, 0xb, UINT64_C(3) << 28, &d), -EIO);
	/* Not valid: nothing counts. */
	OK(&r, nested_raw(&r, g.v, ~UINT64_C(1), UINT64_MAX, &d));
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	GO(&r, 0, NB_NO_PASID, VA, FAULT);
	block(&r, 0, NB_NO_PASID);
	d->ops->free(d);
	/* The blob. */
	data = (struct drv_user_data){IOMMU_HWPT_DATA_ARM_SMMUV3, 16, (uint64_t)(uintptr_t)&ste};
	assert_int_equal(g.v->ops->domain_alloc_nested(g.v, DRV_ALLOC_PASID, &data, &d, &r.diag), -EOPNOTSUPP);
	data.len = 8;
	assert_int_equal(g.v->ops->domain_alloc_nested(g.v, 0, &data, &d, &r.diag), -EINVAL);
	data.len = 24;
	assert_int_equal(g.v->ops->domain_alloc_nested(g.v, 0, &data, &d, &r.diag), -EINVAL);
	data.len = 16;
	data.type = IOMMU_HWPT_DATA_VTD_S1;
	assert_int_equal(g.v->ops->domain_alloc_nested(g.v, 0, &data, &d, &r.diag), -EINVAL);
	data.type = IOMMU_HWPT_DATA_ARM_SMMUV3;
	data.uptr = 16;
	assert_int_equal(g.v->ops->domain_alloc_nested(g.v, 0, &data, &d, &r.diag), -EFAULT);
	assert_null(drv_smmuv3_ops.domain_alloc_nested); /* never without a vIOMMU */
	guest_down(&r, &g, true);
	rig_down(&r);
}

/* Who may be attached to what, and where requests get to. */
static void nesting(void **state)
{
	struct drv_domain *bypass = NULL, *abort = NULL, *s1;
	struct smmu_caps c;
	struct guest g;
	struct rig r;
	unsigned int e2h;

	(void)state;
	for (e2h = 0; e2h < 2; e2h++) {
		rig_caps(&c);
		c.hyp = e2h;
		rig_up2(&r, &c, &c, 0);
		guest_up(&r, &g, 0, 0x42, NULL);
		OK(&r, nested_raw(&r, g.v, 0x9, 0, &bypass));
		OK(&r, nested_raw(&r, g.v, 0x1, 0, &abort));
		OK(&r, attach(&r, 0, NB_NO_PASID, g.s1));
		GO(&r, 0, NB_NO_PASID, VA + 0x123, host(&r, g.page[0]) + 0x123);
		GO(&r, 0, NB_NO_PASID, VA + K4, FAULT | SMMU_EVT_TRANSLATION);
		OK(&r, attach(&r, 0, NB_NO_PASID, bypass));
		GO(&r, 0, NB_NO_PASID, g.page[1] + 8, host(&r, g.page[1]) + 8);
		OK(&r, attach(&r, 0, NB_NO_PASID, abort));
		GO(&r, 0, NB_NO_PASID, g.page[1], FAULT);
		OK(&r, attach(&r, 0, NB_NO_PASID, g.s2));
		GO(&r, 0, NB_NO_PASID, g.page[1] + 8, host(&r, g.page[1]) + 8);
		/* No vDEVICE: no stage 1, and the old attachment stays. */
		assert_int_equal(attach(&r, 1, NB_NO_PASID, g.s1), -ENOENT);
		OK(&r, attach(&r, 1, NB_NO_PASID, bypass));
		GO(&r, 1, NB_NO_PASID, g.page[1], host(&r, g.page[1]));
		assert_int_equal(attach(&r, 1, NB_NO_PASID, g.s1), -ENOENT);
		GO(&r, 1, NB_NO_PASID, g.page[1], host(&r, g.page[1]));
		OK(&r, attach(&r, 1, NB_NO_PASID, abort));
		block(&r, 1, NB_NO_PASID);
		/* Another SMMU; PASIDs of the host. */
		assert_int_equal(attach(&r, 2, NB_NO_PASID, bypass), -EINVAL);
		s1 = paging(&r, 0, DRV_ALLOC_PASID);
		OK(&r, attach(&r, 1, 5, s1));
		assert_int_equal(attach(&r, 1, NB_NO_PASID, bypass), -EBUSY);
		/* What is said first, where several are wrong. */
		assert_int_equal(attach(&r, 1, NB_NO_PASID, g.s1), -EBUSY);
		OK(&r, attach(&r, 2, 5, s1));
		assert_int_equal(attach(&r, 2, NB_NO_PASID, g.s1), -EINVAL);
		block(&r, 2, 5);
		block(&r, 1, 5);
		OK(&r, attach(&r, 0, NB_NO_PASID, g.s1));
		assert_int_equal(attach(&r, 0, 5, s1), -EINVAL);
		assert_int_equal(attach(&r, 0, 5, g.s1), -EOPNOTSUPP);
		block(&r, 0, NB_NO_PASID);
		s1->ops->free(s1);
		bypass->ops->free(bypass);
		abort->ops->free(abort);
		guest_down(&r, &g, true);
		rig_down(&r);
	}
}

/* A guest that turns its stage 1 on and off, or moves its CD, notices no gap. */
static void hitless(void **state)
{
	struct drv_domain *moved, *dss = NULL;
	uint64_t ipa, cd2;
	struct guest g;
	struct rig r;
	unsigned int i;

	(void)state;
	rig_up(&r);
	guest_up(&r, &g, 0, 0x42, NULL);
	ipa = guest_page(&r);
	/* The same address in and out of stage 1, and a CD in another place that says the same. */
	guest_map(&r, g.root, ipa, g.page[2]);
	cd2 = guest_page(&r);
	guest_cd(&r, cd2, g.root, 1);
	moved = nested(&r, g.v, cd2);
	OK(&r, nested_raw(&r, g.v, cd2 | 0xb, 0x56, &dss));
	OK(&r, attach(&r, 0, NB_NO_PASID, g.s2));
	r.busy_addr = ipa;
	r.busy_pasid = NB_NO_PASID;
	r.busy_ok[0] = host(&r, ipa);
	r.busy_ok[1] = host(&r, g.page[2]);
	for (i = 0; i < 3; i++) {
		OK(&r, attach(&r, 0, NB_NO_PASID, g.s1));
		GO(&r, 0, NB_NO_PASID, ipa, host(&r, g.page[2]));
		OK(&r, attach(&r, 0, NB_NO_PASID, moved));
		GO(&r, 0, NB_NO_PASID, ipa, host(&r, g.page[2]));
		OK(&r, attach(&r, 0, NB_NO_PASID, g.s2));
		GO(&r, 0, NB_NO_PASID, ipa, host(&r, ipa));
	}
	assert_int_equal(r.busy_bad, 0);
	assert_true(r.busy_n > 20);
	OK(&r, attach(&r, 0, NB_NO_PASID, g.s1));
	OK(&r, attach(&r, 0, NB_NO_PASID, dss)); /* two words at once: a gap */
	assert_true(r.busy_bad > 0 && r.busy_got & FAULT);
	r.busy_addr = 0;
	r.busy_bad = 0;
	GO(&r, 0, NB_NO_PASID, ipa, host(&r, g.page[2]));
	block(&r, 0, NB_NO_PASID);
	moved->ops->free(moved);
	dss->ops->free(dss);
	guest_down(&r, &g, true);
	rig_down(&r);
}

/* What a guest changes is seen after its command, by each command that covers it; the VMID it names is not looked at. */
static void commands(void **state)
{
	/* op, ASID in 63:48, a VMID that is not ours; address */
	const uint64_t any = UINT64_C(0x7777) << 32, asid = UINT64_C(1) << 48;
	const struct { uint64_t lo, hi; bool covers; } cmds[] = {
		{SMMU_CMD_TLBI_NH_VA | any | asid, VA | 1, true},
		{SMMU_CMD_TLBI_NH_VA | any | asid, (VA + K4) | 1, false},
		{SMMU_CMD_TLBI_NH_VA | any | asid << 1, VA | 1, false},
		{SMMU_CMD_TLBI_NH_VA | any | asid | 1 << 12, VA | 1 << 10, true}, /* two pages of 4 KiB */
		{SMMU_CMD_TLBI_NH_VAA | any, VA, true},
		{SMMU_CMD_TLBI_NH_ASID | any | asid, 0, true},
		{SMMU_CMD_TLBI_NH_ASID | any | asid << 1, 0, false},
		{SMMU_CMD_TLBI_NH_ALL | any, 0, true},
		{SMMU_CMD_TLBI_NSNH_ALL, 0, true},
	};
	struct guest g, other;
	struct rig r;
	unsigned int i;

	(void)state;
	rig_up(&r);
	guest_up(&r, &g, 0, 0x42, NULL);
	guest_up(&r, &other, 1, 0x42, NULL); /* the same names, another guest */
	OK(&r, attach(&r, 0, NB_NO_PASID, g.s1));
	OK(&r, attach(&r, 1, NB_NO_PASID, other.s1));
	GO(&r, 0, NB_NO_PASID, VA, host(&r, g.page[0]));
	GO(&r, 1, NB_NO_PASID, VA, host(&r, other.page[0]));
	guest_map(&r, other.root, VA, other.page[1]);
	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		uint64_t was = host(&r, g.page[i & 1]), is = host(&r, g.page[!(i & 1)]);

		guest_map(&r, g.root, VA, g.page[i & 1]);
		OK(&r, invalidate(&r, g.v, SMMU_CMD_TLBI_NH_ALL, 0));
		GO(&r, 0, NB_NO_PASID, VA, was);
		guest_map(&r, g.root, VA, g.page[!(i & 1)]);
		GO(&r, 0, NB_NO_PASID, VA, was);
		OK(&r, invalidate(&r, g.v, cmds[i].lo, cmds[i].hi));
		if (go(&r, 0, NB_NO_PASID, VA) != (cmds[i].covers ? is : was))
			fail_msg("command %u: %#lx", i, (unsigned long)cmds[i].lo);
		GO(&r, 1, NB_NO_PASID, VA, host(&r, other.page[0])); /* the other guest has told nothing */
	}
	/* A CD: by the guest's name of the device. */
	guest_map(&r, other.page[3], VA, g.page[3]);
	guest_cd(&r, g.cd, other.page[3], 2);
	GO(&r, 0, NB_NO_PASID, VA, host(&r, g.page[1]));
	OK(&r, invalidate(&r, other.v, SMMU_CMD_CFGI_CD | UINT64_C(0x42) << 32, 1));
	GO(&r, 0, NB_NO_PASID, VA, host(&r, g.page[1])); /* that was the other's device */
	OK(&r, invalidate(&r, g.v, SMMU_CMD_CFGI_CD | UINT64_C(0x42) << 32, 1));
	GO(&r, 0, NB_NO_PASID, VA, host(&r, g.page[3]));
	guest_cd(&r, g.cd, g.root, 3);
	OK(&r, invalidate(&r, g.v, SMMU_CMD_CFGI_CD_ALL | UINT64_C(0x42) << 32, 0));
	GO(&r, 0, NB_NO_PASID, VA, host(&r, g.page[1]));
	guest_down(&r, &g, true);
	guest_down(&r, &other, true);
	rig_down(&r);
}

/* Commands that were carried out are events of their own, as the guest wrote them; one at a time only when somebody reads them. */
static void traced(void **state)
{
	const uint64_t three[3][2] = {
		{SMMU_CMD_TLBI_NH_ASID | UINT64_C(0x1234) << 48, 0x77}, {SMMU_CMD_TLBI_NH_ALL, 0}, {SMMU_CMD_SYNC, 0}};
	char text[512] = "", *line = text;
	uint32_t done = 0;
	struct guest g;
	struct rig r;
	int fd = memfd_create("log", MFD_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	rig_up(&r);
	guest_up(&r, &g, 0, 0x42, NULL);
	assert_int_equal(invalidate_n(&r, g.v, three, 3, &done), -EIO);
	assert_int_equal(nb_trace_count(r.tr, NB_EV_drv_inv_cmd), 2);
	assert_int_equal(nb_trace_log(r.tr, "drv.inv-*", fd, NULL), 0);
	assert_int_equal(invalidate_n(&r, g.v, three, 3, &done), -EIO);
	assert_int_equal(nb_trace_count(r.tr, NB_EV_drv_inv_cmd), 4);
	assert_int_equal(nb_trace_count(r.tr, NB_EV_drv_inv_user), 0); /* ranges: not the SMMU's */
	assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
	assert_non_null(line = strstr(line, "nestbox: drv.inv-cmd lo 1234000000000011 hi 77: "));
	assert_non_null(line = strstr(line, "\nnestbox: drv.inv-cmd lo 10 hi 0: "));
	assert_null(strstr(line + 2, "nestbox:"));
	assert_int_equal(nb_trace_log(r.tr, NULL, -1, NULL), 0);
	close(fd);
	guest_down(&r, &g, true);
	rig_down(&r);
}

/* What is none of the guest's business, how arrays are taken, what is counted. */
static void refused(void **state)
{
	static const unsigned int ops[] = {
		0, SMMU_CMD_PREFETCH_CONFIG, SMMU_CMD_PREFETCH_ADDR, SMMU_CMD_CFGI_STE, SMMU_CMD_CFGI_STE_RANGE,
		SMMU_CMD_CFGI_VMS_PIDM, SMMU_CMD_TLBI_EL3_ALL, SMMU_CMD_TLBI_EL2_ALL, SMMU_CMD_TLBI_EL2_ASID,
		SMMU_CMD_TLBI_EL2_VA, SMMU_CMD_TLBI_S12_VMALL, SMMU_CMD_TLBI_S2_IPA, SMMU_CMD_PRI_RESP, SMMU_CMD_RESUME,
		SMMU_CMD_STALL_TERM, SMMU_CMD_SYNC, 0xff};
	static const unsigned int named[] = {SMMU_CMD_CFGI_CD, SMMU_CMD_CFGI_CD_ALL, SMMU_CMD_ATC_INV};
	const uint64_t three[3][2] = {{SMMU_CMD_TLBI_NH_ALL, 0}, {SMMU_CMD_SYNC, 0}, {SMMU_CMD_TLBI_NH_ALL, 0}};
	char want[128];
	uint64_t many[600][3], *edge;
	struct drv_user_array a;
	uint32_t done = 0, i;
	struct guest g;
	struct rig r;
	struct rig_unit *u = &r.unit[0];
	unsigned int at;

	(void)state;
	rig_up(&r);
	guest_up(&r, &g, 0, 0x42, NULL);
	OK(&r, attach(&r, 0, NB_NO_PASID, g.s1));
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		at = u->ncmds;
		assert_int_equal(invalidate(&r, g.v, ops[i] | UINT64_C(0x42) << 32, 0), -EIO);
		snprintf(want, sizeof(want), "command 0 of the guest, opcode %#x, is none that a guest may send", ops[i]);
		assert_string_equal(r.diag.msg, want);
		assert_int_equal(u->ncmds, at);
	}
	for (i = 0; i < ARRAY_SIZE(named); i++) {
		assert_int_equal(invalidate(&r, g.v, named[i] | UINT64_C(0x43) << 32, 1), -EIO);
		snprintf(want, sizeof(want), "command 0 of the guest, opcode %#x, is for StreamID 0x43, which is that of no vDEVICE", named[i]);
		assert_string_equal(r.diag.msg, want);
	}
	assert_int_equal(invalidate(&r, g.v, SMMU_CMD_ATC_INV | UINT64_C(0x100) << 32, 0), -EIO); /* the physical name */
	/* What came before is done. */
	GO(&r, 0, NB_NO_PASID, VA, host(&r, g.page[0]));
	guest_map(&r, g.root, VA, g.page[1]);
	assert_int_equal(invalidate_n(&r, g.v, three, 3, &done), -EIO);
	assert_int_equal(done, 1);
	GO(&r, 0, NB_NO_PASID, VA, host(&r, g.page[1]));
	/* Arrays: nothing, another type, short entries, long ones. */
	assert_int_equal(invalidate_n(&r, g.v, three, 0, &done), -EINVAL);
	a = (struct drv_user_array){IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, 16, 1, (uint64_t)(uintptr_t)three};
	assert_int_equal(g.v->ops->cache_invalidate(g.v, &a, &r.diag), -EINVAL);
	assert_int_equal(a.entry_num, 0);
	for (i = 0; i < 600; i++) {
		many[i][0] = SMMU_CMD_TLBI_NH_ASID;
		many[i][1] = many[i][2] = 0;
	}
	many[599][0] = SMMU_CMD_TLBI_NH_ALL;
	a = (struct drv_user_array){IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, 24, 600, (uint64_t)(uintptr_t)many};
	guest_map(&r, g.root, VA, g.page[2]);
	OK(&r, g.v->ops->cache_invalidate(g.v, &a, &r.diag));
	assert_int_equal(a.entry_num, 600);
	GO(&r, 0, NB_NO_PASID, VA, host(&r, g.page[2]));
	many[500][2] = 1;
	a.entry_num = 600;
	assert_int_equal(g.v->ops->cache_invalidate(g.v, &a, &r.diag), -E2BIG);
	assert_int_equal(a.entry_num, 0);
	guest_map(&r, g.root, VA, g.page[3]);
	a = (struct drv_user_array){IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, 1, 1, (uint64_t)(uintptr_t)three};
	OK(&r, g.v->ops->cache_invalidate(g.v, &a, &r.diag));
	GO(&r, 0, NB_NO_PASID, VA, host(&r, g.page[3]));
	/* All or nothing is read. */
	edge = mmap(NULL, 2 * K4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(edge != MAP_FAILED && mprotect((char *)edge + K4, K4, PROT_NONE) == 0);
	edge[510] = SMMU_CMD_TLBI_NH_ALL;
	at = u->ncmds;
	assert_int_equal(invalidate_n(&r, g.v, (const uint64_t(*)[2])(const void *)&edge[510], 2, &done), -EFAULT);
	assert_int_equal(done, 0);
	assert_int_equal(u->ncmds, at);
	OK(&r, invalidate_n(&r, g.v, (const uint64_t(*)[2])(const void *)&edge[510], 1, &done));
	assert_int_equal(invalidate_n(&r, g.v, (const uint64_t(*)[2])(const void *)edge, (1u << 18) + 1, &done), -ENOMEM);
	a = (struct drv_user_array){IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, 16, (1u << 18) + 1, (uint64_t)(uintptr_t)edge};
	assert_int_equal(g.v->ops->cache_invalidate(g.v, &a, &r.diag), -ENOMEM); /* said before the type is looked at */
	assert_int_equal(done, 0);
	munmap(edge, 2 * K4);
	guest_down(&r, &g, true);
	rig_down(&r);
}

/* A command that the unit refuses does nothing, the rest is done, and nobody else pays for it. */
static void illegal(void **state)
{
	const uint64_t cmd[3][2] = {{SMMU_CMD_CFGI_CD | BIT(10) | UINT64_C(0x42) << 32, 0}, /* SSec */
				    {SMMU_CMD_TLBI_NH_VA | 3 << 20 | 2 << 12, VA},	    /* a range without TG */
				    {SMMU_CMD_TLBI_NH_ALL, 0}};
	uint32_t done = 0;
	struct guest g;
	struct rig r;
	struct rig_unit *u = &r.unit[0];
	unsigned int at;

	(void)state;
	rig_up(&r);
	guest_up(&r, &g, 0, 0x42, NULL);
	OK(&r, attach(&r, 0, NB_NO_PASID, g.s1));
	GO(&r, 0, NB_NO_PASID, VA, host(&r, g.page[0]));
	guest_map(&r, g.root, VA, g.page[1]);
	at = u->ncmds;
	OK(&r, invalidate_n(&r, g.v, cmd, 3, &done));
	assert_int_equal(done, 3);
	GO(&r, 0, NB_NO_PASID, VA, host(&r, g.page[1]));
	assert_int_equal(sent(u, at, SMMU_CMD_CFGI_STE_RANGE, NULL, NULL), 0);
	assert_int_equal(sent(u, at, SMMU_CMD_TLBI_NSNH_ALL, NULL, NULL), 0);
	assert_int_equal(rig_mmio_read(u, SMMU_REG_GERROR, 4), rig_mmio_read(u, SMMU_REG_GERRORN, 4));
	guest_down(&r, &g, true);
	rig_down(&r);
}

/* Exactly these commands since ncmds was `at`. */
static void sent_are(const struct rig_unit *u, unsigned int at, const uint8_t *ops)
{
	for (; *ops; ops++, at++) {
		assert_true(at != u->ncmds);
		assert_int_equal(u->cmd[at % 256].lo & 0xff, *ops);
	}
	assert_int_equal(at, u->ncmds);
}

/* What the host takes out of the parent no device of the guest reaches, by whatever way. One parent, two SMMUs. */
static void parent_unmap(void **state)
{
	struct drv_domain *bypass = NULL;
	struct guest g, far;
	struct smmu_caps c;
	struct rig r;
	struct rig_unit *u = &r.unit[0];
	unsigned int at;
	uint64_t v = 0;
	size_t n;

	(void)state;
	rig_caps(&c);
	rig_up2(&r, &c, &c, RIG_ATS);
	guest_up(&r, &g, 0, 0x42, NULL);
	guest_up(&r, &far, 2, 0x43, g.s2);
	OK(&r, nested_raw(&r, g.v, 0x9, 0, &bypass));
	g.s1->ops->free(g.s1);
	OK(&r, nested_raw(&r, g.v, g.cd | 0xb, BIT(28), &g.s1)); /* with ATS */
	OK(&r, attach(&r, 0, NB_NO_PASID, g.s1));
	OK(&r, attach(&r, 1, NB_NO_PASID, bypass));
	OK(&r, attach(&r, 2, NB_NO_PASID, far.s1));
	assert_true(r.fn[0].on[DRV_FEATURE_ATS] && r.fn[1].on[DRV_FEATURE_ATS] && !r.fn[2].on[DRV_FEATURE_ATS]);
	guest_map(&r, far.root, VA, g.page[0]);
	*guest_ptr(&r, g.page[0]) = 4711;
	GO(&r, 0, NB_NO_PASID, VA, host(&r, g.page[0]));
	GO(&r, 1, NB_NO_PASID, g.page[0], host(&r, g.page[0]));
	GO(&r, 2, NB_NO_PASID, VA, host(&r, g.page[0]));
	assert_int_equal(hw_atc_dma(r.fn[0].atc, NB_NO_PASID, VA, &v, 8, false, 0, &n), 0);
	assert_int_equal(v, 4711);
	assert_int_equal(hw_atc_dma(r.fn[1].atc, NB_NO_PASID, g.page[0], &v, 8, false, 0, &n), 0);
	at = u->ncmds;
	unmap(&r, g.s2, g.page[0], K4);
	/* Each is complete before what could be refilled from it is told. */
	sent_are(u, at, (const uint8_t[]){0x2a, 0x46, 0x10, 0x46, 0x40, 0x40, 0x46, 0});
	GO(&r, 0, NB_NO_PASID, VA, FAULT | SMMU_EVT_TRANSLATION);
	GO(&r, 1, NB_NO_PASID, g.page[0], FAULT | SMMU_EVT_TRANSLATION);
	GO(&r, 2, NB_NO_PASID, VA, FAULT | SMMU_EVT_TRANSLATION);
	assert_int_not_equal(hw_atc_dma(r.fn[0].atc, NB_NO_PASID, VA, &v, 8, false, 0, &n), 0);
	assert_int_not_equal(hw_atc_dma(r.fn[1].atc, NB_NO_PASID, g.page[0], &v, 8, false, 0, &n), 0);
	/* The guest's ATC_INV, by its name of the device. */
	guest_map(&r, g.root, VA, g.page[1]);
	*guest_ptr(&r, g.page[1]) = 1;
	*guest_ptr(&r, g.page[2]) = 2;
	OK(&r, invalidate(&r, g.v, SMMU_CMD_TLBI_NH_ALL, 0));
	assert_int_equal(hw_atc_dma(r.fn[0].atc, NB_NO_PASID, VA, &v, 8, false, 0, &n), 0);
	assert_int_equal(v, 1);
	guest_map(&r, g.root, VA, g.page[2]);
	{
		const uint64_t cmd[2][2] = {{SMMU_CMD_TLBI_NH_ALL, 0}, {SMMU_CMD_ATC_INV | UINT64_C(0x42) << 32, VA}};
		uint32_t done;

		at = u->ncmds;
		OK(&r, invalidate_n(&r, g.v, cmd, 2, &done));
		sent_are(u, at, (const uint8_t[]){0x10, 0x46, 0x40, 0x46, 0});
	}
	assert_int_equal(hw_atc_dma(r.fn[0].atc, NB_NO_PASID, VA, &v, 8, false, 0, &n), 0);
	assert_int_equal(v, 2);
	block(&r, 1, NB_NO_PASID);
	bypass->ops->free(bypass);
	guest_down(&r, &far, false);
	guest_down(&r, &g, true);
	rig_down(&r);
}

/* Which events a guest is told, under which name. */
static void events(void **state)
{
	struct drv_domain *plain, *again;
	struct guest g, g2;
	struct rig r;
	uint64_t *e;

	(void)state;
	rig_up(&r);
	guest_up(&r, &g, 0, 0x12345678, NULL);
	guest_up(&r, &g2, 0, 0x99, NULL); /* another guest, to which the device is given later */
	OK(&r, attach(&r, 0, NB_NO_PASID, g.s1));
	GO(&r, 0, NB_NO_PASID, VA + K4 + 8, FAULT | SMMU_EVT_TRANSLATION);
	assert_int_equal(r.nveng, 1);
	assert_ptr_equal(r.vevent[0].v, g.v);
	assert_int_equal(r.vevent[0].type, IOMMU_VEVENTQ_TYPE_ARM_SMMUV3);
	e = r.vevent[0].evt;
	assert_int_equal(e[0], UINT64_C(0x12345678) << 32 | 0x10);
	assert_int_equal(e[1] & ~BITS(41, 40), UINT64_C(1) << 35); /* a read, of stage 1 */
	assert_int_equal(e[2], VA + K4 + 8);
	/* An IPA that the host has not mapped: not the guest's fault. */
	guest_map(&r, g.root, VA + 2 * K4, RAM + K4);
	GO(&r, 0, NB_NO_PASID, VA + 2 * K4, FAULT | SMMU_EVT_TRANSLATION);
	assert_int_equal(r.nveng, 1);
	/* A CD that is nonsense. */
	guest_ptr(&r, g.cd)[0] = 0;
	OK(&r, invalidate(&r, g.v, SMMU_CMD_CFGI_CD | UINT64_C(0x12345678) << 32, 1));
	GO(&r, 0, NB_NO_PASID, VA, FAULT | SMMU_EVT_BAD_CD);
	assert_int_equal(r.nveng, 2);
	assert_int_equal(r.vevent[1].evt[0] & 0xff, 0x0a);
	/* Nobody listens: it is the host's log. */
	r.vevent_err = -EOPNOTSUPP;
	GO(&r, 0, NB_NO_PASID, VA, FAULT | SMMU_EVT_BAD_CD);
	r.vevent_err = 0;
	assert_int_equal(r.nveng, 2);
	guest_cd(&r, g.cd, g.root, 1);
	OK(&r, invalidate(&r, g.v, SMMU_CMD_CFGI_CD_ALL | UINT64_C(0x12345678) << 32, 0));
	/* An event that is still on its way when the device goes to another guest is not that guest's. */
	r.hold_msi = true;
	GO(&r, 0, NB_NO_PASID, VA + K4, FAULT | SMMU_EVT_TRANSLATION);
	r.hold_msi = false;
	OK(&r, attach(&r, 0, NB_NO_PASID, g2.s1));
	assert_true(r.nveng == 2 || r.vevent[2].v == g.v);
	r.nveng = 0;
	GO(&r, 0, NB_NO_PASID, VA + K4, FAULT | SMMU_EVT_TRANSLATION);
	assert_int_equal(r.nveng, 1);
	assert_ptr_equal(r.vevent[0].v, g2.v);
	assert_int_equal(r.vevent[0].evt[0] >> 32, 0x99);
	/* The same vIOMMU, another table: still told. */
	again = nested(&r, g2.v, g2.cd);
	OK(&r, attach(&r, 0, NB_NO_PASID, again));
	GO(&r, 0, NB_NO_PASID, VA + K4, FAULT | SMMU_EVT_TRANSLATION);
	assert_int_equal(r.nveng, 2);
	/* Its name goes: it stays attached, and is no longer told. */
	vdevice_free(g2.vd);
	g2.vd = NULL;
	GO(&r, 0, NB_NO_PASID, VA, host(&r, g2.page[0]));
	GO(&r, 0, NB_NO_PASID, VA + K4, FAULT | SMMU_EVT_TRANSLATION);
	assert_int_equal(r.nveng, 2);
	/* It gets a name while it is attached, as QEMU does it: the next attach in the same vIOMMU finds it. */
	g2.vd = vdevice(&r, g2.v, 0, 0x77);
	OK(&r, attach(&r, 0, NB_NO_PASID, g2.s1));
	GO(&r, 0, NB_NO_PASID, VA + K4, FAULT | SMMU_EVT_TRANSLATION);
	assert_int_equal(r.nveng, 3);
	assert_int_equal(r.vevent[2].evt[0] >> 32, 0x77);
	/* A table of the host's. */
	OK(&r, attach(&r, 0, NB_NO_PASID, g.s1));
	plain = paging(&r, 0, 0);
	OK(&r, attach(&r, 0, NB_NO_PASID, plain));
	GO(&r, 0, NB_NO_PASID, VA + K4, FAULT | SMMU_EVT_TRANSLATION);
	assert_int_equal(r.nveng, 3);
	block(&r, 0, NB_NO_PASID);
	again->ops->free(again);
	plain->ops->free(plain);
	guest_down(&r, &g2, true);
	guest_down(&r, &g, true);
	rig_down(&r);
}

/* Allocations that fail on the way to a nested device. */
static void no_memory(void **state)
{
	struct iommu_hwpt_arm_smmuv3 ste = {{0xb, 0}};
	struct drv_user_data data = {IOMMU_HWPT_DATA_ARM_SMMUV3, 16, (uint64_t)(uintptr_t)&ste};
	struct drv_domain *p, *d = NULL;
	struct drv_viommu *more[255];
	struct smmu_caps c;
	struct guest g;
	struct rig r;
	unsigned long n;
	unsigned int i;
	int err;

	(void)state;
	rig_caps(&c);
	c.vmid16 = false;
	rig_up2(&r, &c, &c, 0);
	guest_up(&r, &g, 0, 0x42, NULL);
	for (n = 1, err = -ENOMEM; err; n++) {
		nb_fail_nth_arm(n);
		err = g.v->ops->domain_alloc_nested(g.v, 0, &data, &d, &r.diag);
		nb_fail_nth_arm(0);
		assert_true(err == 0 || err == -ENOMEM);
	}
	d->ops->free(d);
	OK(&r, attach(&r, 0, NB_NO_PASID, g.s2));
	for (n = 1, err = -ENOMEM; err; n++) {
		nb_fail_nth_arm(n);
		err = attach(&r, 0, NB_NO_PASID, g.s1);
		nb_fail_nth_arm(0);
		assert_true(err == 0 || err == -ENOMEM);
		GO(&r, 0, NB_NO_PASID, err ? g.page[1] : VA, host(&r, g.page[err != 0]));
	}
	assert_true(n > 2);
	/* VMIDs run out: one of 256 is nobody's, one the guest's. */
	for (i = 0; i < 255; i++) {
		more[i] = calloc(1, drv_smmuv3_ops.viommu_size(&r.dev[0], IOMMU_VIOMMU_TYPE_ARM_SMMUV3));
		p = paging(&r, 0, DRV_ALLOC_NEST_PARENT);
		*more[i] = (struct drv_viommu){.iommu = r.dev[0].iommu, .parent = p, .type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3};
		assert_int_equal(drv_smmuv3_ops.viommu_init(more[i], NULL, &r.diag), i < 254 ? 0 : -ENOSPC);
	}
	for (i = 0; i < 255; i++) {
		p = more[i]->parent;
		if (i < 254)
			viommu_free(more[i]);
		else
			free(more[i]);
		p->ops->free(p);
	}
	p = paging(&r, 0, 0);
	{
		struct drv_viommu *v = calloc(1, drv_smmuv3_ops.viommu_size(&r.dev[0], IOMMU_VIOMMU_TYPE_ARM_SMMUV3));

		*v = (struct drv_viommu){.iommu = r.dev[0].iommu, .parent = p, .type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3};
		assert_int_equal(drv_smmuv3_ops.viommu_init(v, NULL, &r.diag), -EINVAL); /* no nesting parent */
		free(v);
	}
	p->ops->free(p);
	guest_down(&r, &g, true);
	rig_down(&r);
}

/* ---- threads ---- */

struct vcpu {
	struct guest *g;
	struct rig *r;
	_Atomic bool stop;
	unsigned int n;
};

/* A guest that changes its table and tells, and looks whether it was heard. */
static void *vcpu(void *opaque)
{
	struct vcpu *c = opaque;
	unsigned int i;

	for (i = 0; !atomic_load(&c->stop); i++) {
		const uint64_t cmd[2][2] = {{SMMU_CMD_TLBI_NH_VA | UINT64_C(1) << 48, VA | 1},
					    {SMMU_CMD_CFGI_CD | (uint64_t)c->g->vsid << 32, 1}};
		struct drv_user_array a = {IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, 16, 1 + (i & 1), (uint64_t)(uintptr_t)cmd};
		struct nb_diag diag;
		int err = c->g->v->ops->cache_invalidate(c->g->v, &a, &diag);

		if (err && !(err == -EIO && a.entry_num == 1))
			c->n++; /* the name may be gone, nothing else */
		(void)go(c->r, c->g->dev, NB_NO_PASID, VA + K4 * (i & 1));
	}
	return NULL;
}

static void threads(void **state)
{
	struct guest g[2];
	struct vcpu c[2];
	pthread_t t[2];
	struct rig r;
	unsigned int i;

	(void)state;
	rig_up(&r);
	for (i = 0; i < 2; i++) {
		guest_up(&r, &g[i], i, 0x42, NULL);
		OK(&r, attach(&r, i, NB_NO_PASID, g[i].s1));
		c[i] = (struct vcpu){.g = &g[i], .r = &r};
		assert_int_equal(pthread_create(&t[i], NULL, vcpu, &c[i]), 0);
	}
	for (i = 0; i < 200; i++) {
		struct guest *x = &g[i & 1];

		vdevice_free(x->vd);
		x->vd = NULL;
		if (i % 3 == 0)
			OK(&r, attach(&r, x->dev, NB_NO_PASID, x->s2));
		x->vd = vdevice(&r, x->v, x->dev, 0x42);
		OK(&r, attach(&r, x->dev, NB_NO_PASID, x->s1));
		unmap(&r, x->s2, x->page[1], K4);
		OK(&r, map(&r, x->s2, x->page[1], host(&r, x->page[1]), K4, RW));
	}
	for (i = 0; i < 2; i++) {
		atomic_store(&c[i].stop, true);
		pthread_join(t[i], NULL);
		assert_int_equal(c[i].n, 0);
		guest_down(&r, &g[i], true);
	}
	rig_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allowlist), cmocka_unit_test(nesting), cmocka_unit_test(hitless), cmocka_unit_test(commands),
		cmocka_unit_test(refused), cmocka_unit_test(traced), cmocka_unit_test(illegal), cmocka_unit_test(parent_unmap), cmocka_unit_test(events),
		cmocka_unit_test(no_memory), cmocka_unit_test(threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
