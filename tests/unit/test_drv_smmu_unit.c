/* SPDX-License-Identifier: BSD-3-Clause */
/* SMMUv3 driver: bringing units of all kinds up and down, what it says of them, units that do not answer. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "drv_smmu_rig.h"
#include "spec/smmuv3/ste.h"

static uint32_t reg(struct rig *r, unsigned int unit, uint64_t off)
{
	return (uint32_t)rig_mmio_read(&r->unit[unit], off, 4);
}

static void comes_up(void **state)
{
	struct rig r;
	struct drv_resv resv[2];
	struct iommu_hw_info_arm_smmuv3 info;
	uint32_t len = sizeof(info);

	(void)state;
	rig_up(&r);
	/* 6.3.9: SMMUEN, PRIQEN, EVENTQEN, CMDQEN, ATSCHK */
	assert_int_equal(reg(&r, 0, 0x20), 0x1f);
	assert_int_equal(reg(&r, 0, 0x24), 0x1f);
	assert_int_equal(reg(&r, 0, 0x28), 0xd75);
	assert_int_equal(reg(&r, 0, 0x2c) & ~4u, 2); /* RECINVSID; PTM reads as 0 in units without broadcast maintenance */
	assert_int_equal(reg(&r, 0, 0x54), 7);
	assert_int_equal(reg(&r, 0, 0x88), 0x10000 | 8 << 6 | 16); /* two levels, split 8, 16 bits */
	assert_int_equal(reg(&r, 0, 0x68), MSI_ADDR);
	assert_int_equal(reg(&r, 0, 0x70), 0x40);
	assert_int_equal(reg(&r, 1, 0xb8), 0x141);
	assert_int_equal(reg(&r, 1, 0xd8), 0x141);
	GO(&r, 0, NB_NO_PASID, 0x1000, FAULT);

	assert_int_equal(drv_smmuv3_ops.resv_regions(&r.dev[0], resv, 2), 1);
	assert_int_equal(resv[0].first, 0x8000000);
	assert_int_equal(resv[0].last, 0x80fffff);
	assert_int_equal(resv[0].type, DRV_RESV_SW_MSI);
	assert_int_equal(drv_smmuv3_ops.resv_regions(&r.dev[0], resv, 0), 0);

	assert_int_equal(drv_smmuv3_ops.hw_info(r.unit[0].drv, IOMMU_HW_INFO_TYPE_ARM_SMMUV3, &info, &len), 0);
	assert_int_equal(len, 40);
	assert_int_equal(info.idr[0], reg(&r, 0, 0));
	assert_int_equal(info.idr[5], reg(&r, 0, 0x14));
	assert_int_equal(info.aidr, reg(&r, 0, 0x1c));
	len = sizeof(info);
	assert_int_equal(drv_smmuv3_ops.hw_info(r.unit[0].drv, IOMMU_HW_INFO_TYPE_INTEL_VTD, &info, &len), -EOPNOTSUPP);
	rig_down(&r);
}

static void e2h(void **state)
{
	struct smmu_caps c;
	struct rig r;

	(void)state;
	rig_caps(&c);
	c.hyp = true;
	rig_up2(&r, &c, &c, 0);
	assert_int_equal(reg(&r, 0, 0x2c) & ~4u, 3);
	assert_true(sent(&r.unit[0], 0, SMMU_CMD_TLBI_EL2_ALL, NULL, NULL) == 1);
	assert_true(sent(&r.unit[0], 0, SMMU_CMD_TLBI_NSNH_ALL, NULL, NULL) == 1);
	rig_down(&r);
}

/* Small and odd units: each comes up, blocks, passes, translates, goes down with all its memory. */
static void many_units(void **state)
{
	struct smmu_caps c;
	unsigned int i;

	(void)state;
	for (i = 0; i < 19; i++) {
		struct drv_domain *d;
		struct rig r;

		rig_caps(&c);
		switch (i) {
		case 0: c.st_2level = false; break; /* linear, as far as memory goes */
		case 1: c.st_2level = false; c.sid_bits = 10; break;
		case 2: c.sid_bits = 12; break;
		case 3: c.s2 = false; c.vmid16 = false; c.fwb = c.xnx = c.vmw = false; break;
		case 4:
			c.s1 = c.cd_2level = c.asid16 = c.ats = c.pri = c.pps = c.pasidtt = c.had = c.e0pd = c.epan =
				c.ats_rec_err = false;
			c.ssid_bits = 0;
			break;
		case 5: c.asid16 = c.vmid16 = false; break;
		case 6: c.cd_2level = false; break;
		case 7: c.gran4k = false; break;
		case 8: c.gran4k = c.gran16k = c.ds = false; break;
		case 9: c.oas = 40; c.ds = false; break;
		case 10: c.ril = false; break;
		case 11: c.msi = false; break;
		case 12: c.pri = c.pps = false; break;
		case 13: c.evtq_lg2 = c.priq_lg2 = 0; break;
		case 14: c.gran4k = c.gran16k = c.ds = false; c.oas = 52; break;
		case 15: c.oas = 36; break;
		case 16: c.stall_model = SMMU_STALL_NEVER; break;
		case 17: c.coherent = false; c.httu = SMMU_HTTU_NONE; break;
		case 18: c.attr_ovr = false; break;
		}
		rig_up2(&r, &c, &c, 0);
		GO(&r, 0, NB_NO_PASID, 0x123000, FAULT);
		OK(&r, attach(&r, 0, NB_NO_PASID, identity(&r, 0)));
		GO(&r, 0, NB_NO_PASID, 0x123000, 0x123000);
		d = paging(&r, 0, 0);
		OK(&r, map(&r, d, 0x400000000, 0x70000000, 0x400000, RW));
		OK(&r, attach(&r, 0, NB_NO_PASID, d));
		OK(&r, attach(&r, 2, NB_NO_PASID, d));
		GO(&r, 0, NB_NO_PASID, 0x400123456, 0x70123456);
		GO(&r, 2, NB_NO_PASID, 0x4003fffff, 0x703fffff);
		GO(&r, 0, NB_NO_PASID, 0x400400000, FAULT | SMMU_EVT_TRANSLATION);
		unmap(&r, d, 0x400000000, 0x400000);
		GO(&r, 0, NB_NO_PASID, 0x400123456, FAULT | SMMU_EVT_TRANSLATION);
		GO(&r, 2, NB_NO_PASID, 0x4003fffff, FAULT | SMMU_EVT_TRANSLATION);
		block(&r, 0, NB_NO_PASID);
		block(&r, 2, NB_NO_PASID);
		GO(&r, 0, NB_NO_PASID, 0x123000, FAULT);
		d->ops->free(d);
		if (c.s1 && c.s2) {
			d = paging(&r, 0, DRV_ALLOC_NEST_PARENT);
			OK(&r, map(&r, d, 0xfffff0000, 0x70000000, 0x10000, RW));
			OK(&r, attach(&r, 0, NB_NO_PASID, d));
			GO(&r, 0, NB_NO_PASID, 0xfffff1234, 0x70001234);
			GO(&r, 0, NB_NO_PASID, 0xffffe1234, FAULT | SMMU_EVT_TRANSLATION);
			block(&r, 0, NB_NO_PASID);
			d->ops->free(d);
		}
		rig_down(&r);
	}
}

/*
 * Units whose accesses do not snoop: whatever the driver writes for them it writes back, or they would read ones. Both stream tables,
 * a two-level and a linear CD table, tables of both stages, a guest's stage 1; with a device that never rests.
 */
static void walks_that_do_not_snoop(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		struct drv_domain *d, *p, *n;
		struct drv_viommu *v;
		struct drv_vdevice *vd;
		uint64_t root, cd, page;
		struct smmu_caps c;
		struct rig r;

		rig_caps(&c);
		c.coherent = false;
		c.httu = SMMU_HTTU_NONE;
		c.st_2level = i & 1;
		c.sid_bits = i & 1 ? 16 : 10;
		c.cd_2level = i & 2;
		rig_up2(&r, &c, &c, 0);
		d = paging(&r, 0, DRV_ALLOC_PASID);
		OK(&r, map(&r, d, G1, 0x70000000, K4, RW));
		OK(&r, attach(&r, 0, NB_NO_PASID, d));
		OK(&r, attach(&r, 0, i & 2 ? 0xabc : 0x1bc, d));
		GO(&r, 0, NB_NO_PASID, G1, 0x70000000);
		GO(&r, 0, i & 2 ? 0xabc : 0x1bc, G1, 0x70000000);
		/* Neighbours of what was written are zeros, not ones. */
		GO(&r, 0, 0x1bd, G1, FAULT | SMMU_EVT_BAD_CD);
		if (i & 2)
			GO(&r, 0, 0x5bd, G1, FAULT | SMMU_EVT_BAD_SUBSTREAMID);
		GO(&r, 0, NB_NO_PASID, G1 + K4, FAULT | SMMU_EVT_TRANSLATION);
		GO(&r, 0, NB_NO_PASID, 3 * G1, FAULT | SMMU_EVT_TRANSLATION);
		GO(&r, 0, NB_NO_PASID, BIT(46), FAULT | SMMU_EVT_TRANSLATION);
		{ /* StreamIDs that nobody asked for: they abort, in silence */
			struct hw_request req = {.addr = G1, .pasid = NB_NO_PASID, .rid = 0x10f, .access = HW_READ};
			struct hw_result res;

			hw_translate(r.unit[0].hw, &req, &res);
			assert_int_equal(res.kind, HW_FAULT);
			assert_int_equal(res.fault.reason, 0);
		}
		r.busy_addr = G1;
		r.busy_pasid = NB_NO_PASID;
		r.busy_ok[0] = 0x70000000;
		OK(&r, map(&r, d, 2 * G1, 0x80000000, M2, RW));
		GO(&r, 0, NB_NO_PASID, 2 * G1 + M2 - 1, 0x80000000 + M2 - 1);
		unmap(&r, d, 2 * G1 + K4, K4); /* a leaf becomes a table */
		GO(&r, 0, NB_NO_PASID, 2 * G1 + K4, FAULT | SMMU_EVT_TRANSLATION);
		GO(&r, 0, NB_NO_PASID, 2 * G1 + 2 * K4, 0x80000000 + 2 * K4);
		unmap(&r, d, 2 * G1, M2);
		OK(&r, map(&r, d, 2 * G1, 0x90000000, K4, RW));
		GO(&r, 0, NB_NO_PASID, 2 * G1, 0x90000000);
		r.busy_addr = 0;
		block(&r, 0, i & 2 ? 0xabc : 0x1bc);
		GO(&r, 0, i & 2 ? 0xabc : 0x1bc, G1, FAULT);
		block(&r, 0, NB_NO_PASID);
		GO(&r, 0, NB_NO_PASID, G1, FAULT);
		d->ops->free(d);

		p = parent(&r, 0);
		v = viommu(&r, 0, p);
		vd = vdevice(&r, v, 0, 5);
		root = guest_page(&r);
		cd = guest_page(&r);
		page = guest_page(&r);
		guest_map(&r, root, 0x12345000, page);
		guest_cd(&r, cd, root, 3);
		n = nested(&r, v, cd);
		OK(&r, attach(&r, 0, NB_NO_PASID, n));
		GO(&r, 0, NB_NO_PASID, 0x12345000, (uint64_t)(uintptr_t)r.ram + page);
		block(&r, 0, NB_NO_PASID);
		n->ops->free(n);
		vdevice_free(vd);
		viommu_free(v);
		p->ops->free(p);
		assert_int_equal(nb_trace_count(r.tr, NB_EV_drv_queue_error), 0);
		rig_down(&r);
	}
}

/* A device that asks before anybody knows it: the unit caches that nothing is there, and has to be told. */
static void early_device(void **state)
{
	struct hw_request req = {.addr = 0x7000, .pasid = NB_NO_PASID, .rid = 0x900, .access = HW_READ};
	struct hw_result res;
	struct drv_dev dev;
	struct rig r;

	(void)state;
	rig_up(&r);
	hw_translate(r.unit[0].hw, &req, &res);
	assert_int_equal(res.kind, HW_FAULT);
	assert_int_equal(res.fault.reason, SMMU_EVT_BAD_STREAMID);
	dev = (struct drv_dev){.iommu = r.unit[0].drv, .rid = 0x900};
	OK(&r, drv_smmuv3_ops.probe_device(&dev, &r.diag));
	hw_translate(r.unit[0].hw, &req, &res); /* aborted, without an event */
	assert_int_equal(res.kind, HW_FAULT);
	OK(&r, drv_smmuv3_ops.attach(&dev, NB_NO_PASID, identity(&r, 0), &r.diag));
	hw_translate(r.unit[0].hw, &req, &res);
	assert_int_equal(res.kind, HW_OK);
	drv_smmuv3_ops.release_device(&dev);
	rig_down(&r);
}

/* A StreamID beyond the table is refused at probe. */
static void beyond_the_table(void **state)
{
	struct smmu_caps c;
	struct drv_dev dev;
	struct rig r;

	(void)state;
	rig_caps(&c);
	c.sid_bits = 10;
	rig_up2(&r, &c, &c, 0);
	dev = r.dev[0];
	dev.rid = 0x400;
	assert_int_equal(drv_smmuv3_ops.probe_device(&dev, &r.diag), -ERANGE);
	dev.rid = r.dev[1].rid;
	assert_int_equal(drv_smmuv3_ops.probe_device(&dev, &r.diag), -EBUSY);
	rig_down(&r);
}

static uint64_t fake_off, fake_and, fake_or;

static uint64_t fake_read(void *opaque, uint64_t off, unsigned int size)
{
	uint64_t v = rig_mmio_read(opaque, off, size);

	return off == fake_off ? (v & fake_and) | fake_or : v;
}

static int probe_faked(struct rig *r, uint64_t off, uint64_t and, uint64_t or)
{
	struct rig_unit *u = &r->unit[0];
	struct drv_iommu_cfg cfg = {.mem = &r->mem, .pool = r->pool, .tr = r->tr, .msi_addr = MSI_ADDR, .msi_data = 0x40,
				    .mmio = {u, fake_read, rig_mmio_write}};
	struct drv_iommu *drv = NULL;
	int err;

	fake_off = off;
	fake_and = and;
	fake_or = or;
	u->prod = 0;
	r->diag.msg[0] = 0;
	err = drv_smmuv3_ops.probe(&cfg, &drv, &r->diag);
	if (err == 0)
		drv_smmuv3_ops.remove(drv);
	else
		assert_true(r->diag.msg[0]);
	assert_int_equal(mem_pool_used(r->pool), 0);
	return err;
}

/* A unit that has somebody else's configuration cached: 3.21.1, what was there before is forgotten before the new table counts. */
static void left_behind(void **state)
{
	const uint16_t rid = 0x42;
	const struct hw_request req = {.addr = 0x7000, .pasid = NB_NO_PASID, .rid = rid, .access = HW_READ};
	struct drv_iommu_cfg cfg;
	struct hw_result res;
	struct smmu_caps c;
	struct drv_dev dev;
	struct rig_unit *u;
	struct rig r;

	(void)state;
	rig_memory(&r, false);
	rig_caps(&c);
	c.st_2level = false; /* or each device's second level would be announced */
	c.sid_bits = 8;
	u = &r.unit[0];
	OK(&r, rig_try_unit(&r, 0, &c));
	drv_smmuv3_ops.remove(u->drv);
	((uint64_t *)(void *)r.ram)[rid * 8] = SMMU_STE_0_V | FIELD_C(SMMU_STE_0_CONFIG, SMMU_STE_CONFIG_BYPASS);
	rig_mmio_write(u, SMMU_REG_STRTAB_BASE, 8, (uintptr_t)r.ram);
	rig_mmio_write(u, SMMU_REG_STRTAB_BASE_CFG, 4, 8);
	rig_mmio_write(u, SMMU_REG_CR0, 4, SMMU_CR0_SMMUEN);
	hw_translate(u->hw, &req, &res);
	assert_int_equal(res.kind, HW_OK);
	rig_mmio_write(u, SMMU_REG_CR0, 4, 0);
	u->prod = 0;
	cfg = (struct drv_iommu_cfg){.mem = &r.mem, .pool = r.pool, .tr = r.tr, .msi_addr = MSI_ADDR, .msi_data = 0x40,
				     .mmio = {u, rig_mmio_read, rig_mmio_write}};
	OK(&r, drv_smmuv3_ops.probe(&cfg, &u->drv, &r.diag));
	dev = (struct drv_dev){.iommu = u->drv, .rid = rid};
	OK(&r, drv_smmuv3_ops.probe_device(&dev, &r.diag));
	hw_translate(u->hw, &req, &res);
	assert_int_equal(res.kind, HW_FAULT);
	drv_smmuv3_ops.release_device(&dev);
	drv_smmuv3_ops.remove(u->drv);
	u->hw->ops->destroy(u->hw);
	mem_pool_free(r.pool);
	mem_fini(&r.mem);
	nb_trace_free(r.tr);
	free(r.ram);
}

static void refused(void **state)
{
	const uint64_t keep = UINT32_MAX;
	struct smmu_caps c;
	struct rig r;

	(void)state;
	rig_caps(&c);
	rig_memory(&r, false);
	r.unit[0].rig = &r;
	OK(&r, smmu_create(&c, &r.mem, r.tr, &r.unit[0].hw, &r.diag));
	assert_int_equal(probe_faked(&r, 0x1000, keep, 0), 0);
	assert_int_equal(probe_faked(&r, 0x00, ~UINT64_C(3), 0), -ENXIO);	 /* neither stage */
	assert_int_equal(probe_faked(&r, 0x00, ~BITS(3, 2), 4), -ENXIO);	 /* AArch32 tables only */
	assert_int_equal(probe_faked(&r, 0x00, keep, 3 << 21), -ENXIO);		 /* big-endian only */
	assert_int_equal(probe_faked(&r, 0x04, keep, BIT(28)), -ENXIO);
	assert_int_equal(probe_faked(&r, 0x04, keep, BIT(29)), -ENXIO);
	assert_int_equal(probe_faked(&r, 0x04, keep, BIT(30)), -ENXIO);
	assert_int_equal(probe_faked(&r, 0x04, ~BITS(25, 21), 6 << 21), -ENXIO); /* 64 commands */
	assert_int_equal(probe_faked(&r, 0x04, ~BITS(25, 21), 7 << 21), 0);
	assert_int_equal(probe_faked(&r, 0x14, ~BITS(6, 4), 0), -ENXIO);	 /* no granule */
	/* Handshakes that never end: a second each. */
	assert_int_equal(probe_faked(&r, 0x24, 0, 0), -EIO);		   /* CR0ACK stays 0 */
	assert_int_equal(probe_faked(&r, 0x54, 0, 0), -EIO);		   /* IRQ_CTRLACK */
	assert_int_equal(probe_faked(&r, 0x9c, 0, 0x55), -EIO);		   /* CMDQ_CONS */
	assert_int_equal(probe_faked(&r, 0x1000, keep, 0), 0);
	r.unit[0].hw->ops->destroy(r.unit[0].hw);
	mem_pool_free(r.pool);
	mem_fini(&r.mem);
	nb_trace_free(r.tr);
	free(r.ram);
}

/* Every allocation of a probe fails once, and leaves nothing behind. */
static void no_memory(void **state)
{
	struct smmu_caps c;
	struct rig r;
	struct rig_unit *u = &r.unit[0];
	struct drv_iommu_cfg cfg = {.mem = &r.mem, .msi_addr = MSI_ADDR, .msi_data = 0x40,
				    .mmio = {u, rig_mmio_read, rig_mmio_write}};
	struct drv_dev dev;
	unsigned long n;
	int err = -ENOMEM;

	(void)state;
	rig_caps(&c);
	rig_memory(&r, false);
	u->rig = &r;
	cfg.pool = r.pool;
	OK(&r, smmu_create(&c, &r.mem, r.tr, &u->hw, &r.diag));
	for (n = 1; err; n++) {
		u->prod = 0;
		nb_fail_nth_arm(n);
		err = drv_smmuv3_ops.probe(&cfg, &u->drv, &r.diag);
		nb_fail_nth_arm(0);
		assert_true((err == 0 || err == -ENOMEM) && n < 50);
		assert_true(!err || mem_pool_used(r.pool) == 0);
	}
	assert_true(n > 8);
	dev = (struct drv_dev){.iommu = u->drv, .rid = 0x1234, .max_pasids = 16};
	for (n = 1, err = -ENOMEM; err; n++) {
		nb_fail_nth_arm(n);
		err = drv_smmuv3_ops.probe_device(&dev, &r.diag);
		nb_fail_nth_arm(0);
		assert_true((err == 0 || err == -ENOMEM) && n < 50);
	}
	drv_smmuv3_ops.release_device(&dev);
	drv_smmuv3_ops.remove(u->drv);
	assert_int_equal(mem_pool_used(r.pool), 0);
	u->hw->ops->destroy(u->hw);
	mem_pool_free(r.pool);
	mem_fini(&r.mem);
	nb_trace_free(r.tr);
	free(r.ram);
}

/* The unit stops: it is made to abort, and whoever asks is refused. */
static void dies(void **state)
{
	struct drv_domain *d;
	struct rig r;

	(void)state;
	rig_up(&r);
	d = paging(&r, 0, 0);
	OK(&r, map(&r, d, 0, 0x10000000, 4 * M2, RW));
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	GO(&r, 0, NB_NO_PASID, K4, 0x10001000);
	r.unit[0].deaf = true;
	unmap(&r, d, 0, 2 * M2);
	assert_true(r.unit[0].drv->dead);
	assert_int_equal(reg(&r, 0, 0x20) & 1, 0);
	GO(&r, 0, NB_NO_PASID, 3 * M2, FAULT);
	assert_int_equal(attach(&r, 1, NB_NO_PASID, d), -EIO);
	OK(&r, attach(&r, 2, NB_NO_PASID, d));
	GO(&r, 2, NB_NO_PASID, 3 * M2, 0x10000000 + 3 * M2);
	block(&r, 0, NB_NO_PASID);
	block(&r, 2, NB_NO_PASID);
	d->ops->free(d);
	rig_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_up), cmocka_unit_test(e2h), cmocka_unit_test(many_units), cmocka_unit_test(walks_that_do_not_snoop), cmocka_unit_test(early_device),
		cmocka_unit_test(beyond_the_table), cmocka_unit_test(left_behind), cmocka_unit_test(refused), cmocka_unit_test(no_memory), cmocka_unit_test(dies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
