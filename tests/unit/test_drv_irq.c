/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * drv/vtd on the real model: interrupt messages of functions, mapped by the driver and remapped by the unit.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "drv_rig.h"

#define ENTRIES 4096u

static int irq_map(struct rig *r, unsigned int dev, unsigned int n, const struct drv_irq_target *to, uint32_t *handle,
		   struct drv_msi *msg)
{
	return drv_vtd_ops.irq_map(&r->dev[dev], n, to, handle, msg, &r->diag);
}

static int send(struct rig *r, unsigned int dev, uint64_t addr, uint32_t data)
{
	return hw_interrupt(r->unit[dev == 2].hw, r->dev[dev].rid, addr, data);
}

static void one_message(void **state)
{
	struct drv_irq_target to = {.dest = 0x12345678, .vector = 0x41};
	uint32_t h = 99, h2 = 99;
	struct drv_msi msg, msg2;
	struct rig r;

	(void)state;
	rig_up(&r);
	assert_true(drv_vtd_ops.capable(&r.dev[0], DRV_CAP_ISOLATED_MSI));
	OK(&r, irq_map(&r, 0, 1, &to, &h, &msg));
	assert_int_equal(msg.addr & 0xfff00018, 0xfee00010); /* remappable, no sub-handle */
	assert_int_equal(msg.data, 0);
	OK(&r, send(&r, 0, msg.addr, msg.data));
	assert_int_equal(r.nirqs, 1);
	assert_int_equal(r.irq.dest, 0x12345678);
	assert_int_equal(r.irq.vector, 0x41);
	assert_false(r.irq.logical || r.irq.level || r.irq.hint || r.irq.delivery);
	/* Nobody else may send it; the old format is refused. */
	assert_int_equal(send(&r, 1, msg.addr, msg.data), -EFAULT);
	assert_int_equal(send(&r, 0, 0xfee01000, 0x41), -EFAULT);
	assert_int_equal(send(&r, 0, msg.addr + 32, 0), -EFAULT); /* the next entry */
	assert_int_equal(r.nirqs, 1);

	/* The entry that is given back and taken again leads to the new place: nothing of it is cached. */
	drv_vtd_ops.irq_unmap(&r.dev[0], h, 1);
	assert_int_equal(send(&r, 0, msg.addr, msg.data), -EFAULT);
	to = (struct drv_irq_target){.dest = 3, .vector = 0x52};
	OK(&r, irq_map(&r, 0, 1, &to, &h2, &msg2));
	assert_int_equal(h2, h);
	OK(&r, send(&r, 0, msg2.addr, msg2.data));
	assert_int_equal(r.irq.dest, 3);
	assert_int_equal(r.irq.vector, 0x52);
	drv_vtd_ops.irq_unmap(&r.dev[0], h, 1);
	OK(&r, irq_map(&r, 1, 1, &to, &h2, &msg2)); /* another function's now */
	assert_int_equal(h2, h);
	assert_int_equal(send(&r, 0, msg2.addr, msg2.data), -EFAULT);
	OK(&r, send(&r, 1, msg2.addr, msg2.data));
	drv_vtd_ops.irq_unmap(&r.dev[1], h2, 1);
	rig_down(&r);
}

static void several_messages(void **state)
{
	struct drv_irq_target to[32];
	uint32_t first, h, i;
	struct drv_msi msg;
	struct rig r;

	(void)state;
	rig_up(&r);
	for (i = 0; i < 32; i++)
		to[i] = (struct drv_irq_target){.dest = 100 + i, .vector = (uint8_t)(0x30 + i)};
	OK(&r, irq_map(&r, 0, 1, to, &first, &msg));
	OK(&r, irq_map(&r, 0, 32, to, &h, &msg));
	assert_int_equal(h % 32, 0);
	assert_int_equal(msg.data, 0);
	assert_int_equal(msg.addr & 0x18, 0x18); /* sub-handle valid */
	for (i = 0; i < 32; i++) {
		OK(&r, send(&r, 0, msg.addr, msg.data | i));
		assert_int_equal(r.irq.dest, 100 + i);
		assert_int_equal(r.irq.vector, 0x30 + i);
	}
	assert_int_equal(send(&r, 0, msg.addr, 32), -EFAULT);
	drv_vtd_ops.irq_unmap(&r.dev[0], h, 32);
	for (i = 0; i < 32; i++)
		assert_int_equal(send(&r, 0, msg.addr, i), -EFAULT);
	drv_vtd_ops.irq_unmap(&r.dev[0], first, 1);
	rig_down(&r);
}

/* Every entry can be had, once, and again when it was given back. */
static void all_entries(void **state)
{
	struct drv_irq_target to[256] = {{.vector = 0x20}};
	struct drv_msi msg, last;
	uint32_t h[ENTRIES / 64], x, i, round;
	struct rig r;

	(void)state;
	rig_up(&r);
	for (round = 0; round < 2; round++) {
		for (i = 0; i < ENTRIES / 64; i++) {
			OK(&r, irq_map(&r, 0, 64, to, &h[i], &last));
			assert_true(h[i] % 64 == 0 && (i == 0 || h[i] > h[i - 1]));
		}
		assert_int_equal(h[i - 1], ENTRIES - 64);
		assert_int_equal(irq_map(&r, 0, 1, to, &x, &msg), -ENOSPC);
		OK(&r, send(&r, 0, last.addr, 0));
		drv_vtd_ops.irq_unmap(&r.dev[0], h[1], 64);
		drv_vtd_ops.irq_unmap(&r.dev[0], h[3], 64);
		assert_int_equal(irq_map(&r, 0, 128, to, &x, &msg), -ENOSPC); /* room, but not together */
		drv_vtd_ops.irq_unmap(&r.dev[0], h[2], 64);
		OK(&r, irq_map(&r, 0, 128, to, &x, &msg));
		assert_int_equal(x, 128);
		drv_vtd_ops.irq_unmap(&r.dev[0], x, 128);
		for (i = 0; i < ENTRIES / 64; i++)
			if (i < 1 || i > 3)
				drv_vtd_ops.irq_unmap(&r.dev[0], h[i], 64);
	}
	assert_int_equal(irq_map(&r, 0, 3, to, &x, &msg), -EINVAL);
	assert_int_equal(irq_map(&r, 0, 0, to, &x, &msg), -EINVAL);
	assert_int_equal(irq_map(&r, 0, 2 * ENTRIES, to, &x, &msg), -EINVAL);
	rig_down(&r);
}

static void other_units(void **state)
{
	struct drv_irq_target to = {.dest = 0x100, .vector = 0x66};
	struct vtd_caps none, xapic;
	struct drv_msi msg;
	uint32_t h;
	struct rig r;

	(void)state;
	vtd_caps_all(&none);
	xapic = none;
	none.intr_remap = none.x2apic = none.esirtps = false;
	xapic.x2apic = false;
	rig_up2(&r, &none, &xapic, 0);
	assert_false(drv_vtd_ops.capable(&r.dev[0], DRV_CAP_ISOLATED_MSI));
	assert_int_equal(irq_map(&r, 0, 1, &to, &h, &msg), -EOPNOTSUPP);
	assert_int_equal(irq_map(&r, 2, 1, &to, &h, &msg), -EINVAL); /* 8 bits */
	to.dest = 0xfe;
	OK(&r, irq_map(&r, 2, 1, &to, &h, &msg));
	OK(&r, send(&r, 2, msg.addr, 0));
	assert_int_equal(r.irq.dest, 0xfe);
	assert_int_equal(r.irq.vector, 0x66);
	drv_vtd_ops.irq_unmap(&r.dev[2], h, 1);
	rig_down(&r);
}

/* A unit that does not snoop sees what was written back, and nothing else. */
static void without_snooping(void **state)
{
	struct drv_irq_target to[2] = {{.dest = 9, .vector = 0x71}, {.dest = 10, .vector = 0x72}};
	struct drv_msi msg;
	struct vtd_caps c;
	uint32_t h, i;
	struct rig r;

	(void)state;
	vtd_caps_all(&c);
	c.ss_dirty = c.ext_access = c.coherent = c.page_requests = false;
	rig_memory(&r, true);
	for (i = 0; i < SPLIT_LEN; i += 16) { /* where nothing was written back lies an entry that takes any message */
		static const uint64_t entry[2] = {0x1 | 0x99 << 16, 0};

		memcpy(r.hw_side + i, entry, 16);
	}
	rig_unit_up(&r, 0, &c, 0);
	rig_unit_up(&r, 1, &c, 0);
	rig_devices(&r);
	for (i = 0; i < 3; i++) {
		to[1].dest = 10 + i;
		OK(&r, irq_map(&r, 0, 2, to, &h, &msg));
		OK(&r, send(&r, 0, msg.addr, 1));
		assert_int_equal(r.irq.dest, 10 + i);
		assert_int_equal(hw_interrupt(r.unit[0].hw, r.dev[0].rid, msg.addr + 64, 0), -EFAULT);
		r.busy_msi = msg.addr; /* cached again between any two steps */
		drv_vtd_ops.irq_unmap(&r.dev[0], h, 2);
		r.busy_msi = 0;
		assert_int_equal(send(&r, 0, msg.addr, 0), -EFAULT);
		assert_int_equal(send(&r, 0, msg.addr, 1), -EFAULT);
	}
	rig_down(&r);
}

/* An entry whose invalidation fails is nobody's any more; remapping ends with the driver. */
static void dead_and_gone(void **state)
{
	struct drv_irq_target to = {.dest = 1, .vector = 0x80};
	struct drv_msi msg;
	struct hw_iommu *hw;
	uint32_t h, x;
	struct rig r;

	(void)state;
	rig_up(&r);
	OK(&r, irq_map(&r, 2, 1, &to, &h, &msg));
	r.unit[1].deaf = true;
	drv_vtd_ops.irq_unmap(&r.dev[2], h, 1);
	assert_true(r.unit[1].drv->dead);
	assert_int_equal(irq_map(&r, 2, 1, &to, &x, &msg), -EIO);
	drv_vtd_ops.release_device(&r.dev[2]);
	drv_vtd_ops.remove(r.unit[1].drv);
	hw = r.unit[1].hw;
	assert_int_equal(hw->ops->mmio_read(hw, 0x1c, 4) & (BIT(31) | BIT(26) | BIT(25)), 0);
	r.unit[1].drv = NULL;
	hw->ops->destroy(hw);
	r.unit[1].deaf = false;
	rig_unit_up(&r, 1, &r.unit[1].caps, 0);
	r.dev[2].iommu = r.unit[1].drv;
	OK(&r, drv_vtd_ops.probe_device(&r.dev[2], &r.diag));
	rig_down(&r);
}

/* What earlier software left in the unit: entries, cached ones too, and the old message format allowed. */
static void taken_over(void **state)
{
	struct drv_irq_target to = {.dest = 1, .vector = 0x80};
	struct drv_iommu *old;
	struct drv_msi msg;
	struct vtd_caps c;
	struct rig r;
	uint32_t h;

	(void)state;
	vtd_caps_all(&c);
	c.esirtps = false;
	rig_up2(&r, &c, &c, 0);
	OK(&r, irq_map(&r, 0, 1, &to, &h, &msg));
	OK(&r, send(&r, 0, msg.addr, 0));
	rig_mmio_write(&r.unit[0], 0x18, 4, BIT(31) | BIT(26) | BIT(25) | BIT(23)); /* CFI */
	assert_true(rig_mmio_read(&r.unit[0], 0x1c, 4) & BIT(23));
	old = r.unit[0].drv;
	OK(&r, drv_vtd_ops.probe(&old->cfg, &r.unit[0].drv, &r.diag));
	assert_int_equal(send(&r, 0, msg.addr, 0), -EFAULT);
	assert_int_equal(rig_mmio_read(&r.unit[0], 0x1c, 4) & (BIT(25) | BIT(23)), BIT(25));
	drv_vtd_ops.remove(r.unit[0].drv);
	/* The old driver never learned of it: it gets its unit back. */
	r.unit[0].drv = NULL;
	r.unit[0].deaf = true; /* its queue is not the unit's any more, and dies at once */
	drv_vtd_ops.irq_unmap(&r.dev[0], h, 1);
	r.unit[0].drv = old;
	r.unit[0].deaf = false;
	rig_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_message), cmocka_unit_test(several_messages), cmocka_unit_test(all_entries),
		cmocka_unit_test(other_units), cmocka_unit_test(without_snooping), cmocka_unit_test(dead_and_gone),
		cmocka_unit_test(taken_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
