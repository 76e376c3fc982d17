/* SPDX-License-Identifier: BSD-3-Clause */
/* Configuration space, capabilities, reset and interrupts, seen through dmatest (and the NVMe's identity). */
#include "test_dev_bus.h"

#include <pthread.h>

#include "base/alloc.h"
#include "dev/dmatest_regs.h"

static int setup(void **state)
{
	*state = bus_new("dmatest", NULL, 0);
	return 0;
}
static int teardown(void **state)
{
	bus_free(*state);
	return 0;
}

static void nop_with_irq(struct bus *b, uint32_t vector)
{
	w32(b, DMATEST_CONTROL, DMATEST_CONTROL_INT_EN | vector << 8);
	w32(b, DMATEST_COMMAND, DMATEST_CMD_NOP);
}

static void test_identity(void **state)
{
	struct bus *b = *state, *n = bus_new("nvme", (struct dev_option[]){{"size", "1MiB"}}, 1);

	assert_int_equal(cfg_r(b, 0, 4), 0x6e621234);
	assert_int_equal(cfg_r(b, 8, 4) >> 8, 0x088000);
	assert_int_equal(cfg_r(b, 0x0e, 1), 0); /* header type */
	assert_int_equal(cfg_r(n, 0, 4), 0x6e761234);
	assert_int_equal(cfg_r(n, 8, 4) >> 8, 0x010802);
	assert_int_equal(cfg_r(n, 0x3d, 1), 1);
	bus_free(n);
}

static void test_capabilities(void **state)
{
	struct bus *b = *state;
	struct dev_caps c;
	uint32_t at;

	assert_true(cfg_r(b, 6, 2) & 0x10);
	at = cap_find(b, 0x05);
	assert_true(at);
	assert_int_equal(cfg_r(b, at + 2, 2), 0x0184); /* 4 capable, 64-bit, masks */
	at = cap_find(b, 0x11);
	assert_true(at);
	assert_int_equal(cfg_r(b, at + 2, 2), 3); /* size minus one */
	assert_int_equal(cfg_r(b, at + 4, 4), 4); /* BAR 4, offset 0 */
	assert_int_equal(cfg_r(b, at + 8, 4), 0x1004);
	at = cap_find(b, 0x10);
	assert_true(at);
	assert_int_equal(cfg_r(b, at + 2, 2), 2);	/* version 2, endpoint */
	assert_true(cfg_r(b, at + 4, 4) & 1u << 28);	/* FLR */
	at = cap_find(b, 0x01);
	assert_true(at);
	assert_true(ext_find(b, 0x0f));
	at = ext_find(b, 0x1b);
	assert_true(at);
	assert_int_equal(cfg_r(b, at + 4, 2), 20 << 8);
	at = ext_find(b, 0x13);
	assert_true(at);
	assert_int_equal(cfg_r(b, at + 4, 4), 0x81000000); /* off, stopped, responses carry the PASID */
	assert_int_equal(cfg_r(b, at + 8, 4), 512);

	dev_caps(b->fn, &c);
	assert_true(c.pcie && c.flr && c.intx && c.ats && c.pri);
	assert_int_equal(c.msi_vectors, 4);
	assert_int_equal(c.msix_vectors, 4);
	assert_int_equal(c.msix_bar, 4);
	assert_int_equal(c.msix_table_off, 0);
	assert_int_equal(c.msix_table_len, 64);
	assert_int_equal(c.max_pasids, 1 << 20);
}

static void test_bar_sizing(void **state)
{
	struct bus *b = *state;
	struct dev_bar bar;

	for (uint32_t i = 0; i < 6; i++)
		cfg_w(b, 0x10 + 4 * i, 4, 0xffffffff);
	cfg_w(b, 0x30, 4, 0xfffff800);
	assert_int_equal(cfg_r(b, 0x10, 4), 0xfffff000);
	assert_int_equal(cfg_r(b, 0x14, 4), 0);
	assert_int_equal(cfg_r(b, 0x18, 4), 0xffff000c); /* 64-bit, prefetchable */
	assert_int_equal(cfg_r(b, 0x1c, 4), 0xffffffff);
	assert_int_equal(cfg_r(b, 0x20, 4), 0xffffe000);
	assert_int_equal(cfg_r(b, 0x24, 4), 0);
	assert_int_equal(cfg_r(b, 0x30, 4), 0); /* no ROM */
	dev_bar_info(b->fn, 2, &bar);
	assert_true(bar.mmap && bar.mem_fd >= 0 && bar.size == 65536 && bar.is64);
	dev_bar_info(b->fn, 0, &bar);
	assert_true(!bar.mmap && bar.mem_fd == -1 && bar.size == 4096);
	dev_bar_info(b->fn, 1, &bar);
	assert_int_equal(bar.size, 0);
	dev_bar_info(b->fn, 6, &bar);
	assert_int_equal(bar.size, 0);
}

static void test_write_masks(void **state)
{
	struct bus *b = *state;
	uint8_t before[4096], after[4096], ones[4096], edge[8];
	uint32_t pcie = cap_find(b, 0x10), pm = cap_find(b, 1);

	dev_config_read(b->fn, 0, before, 4096);
	memset(ones, 0xff, sizeof(ones));
	ones[pcie + 9] = 0x7f; /* all but the bit that starts a reset */
	ones[pm + 4] = 0xfc;   /* and the one that powers down */
	dev_config_write(b->fn, 0, ones, 4096);
	dev_config_read(b->fn, 0, after, 4096);
	assert_memory_equal(before, after, 4);
	assert_int_equal(cfg_r(b, 4, 2), 0x0546);
	assert_memory_equal(before + 6, after + 6, 6);
	assert_memory_equal(before + 0x2c, after + 0x2c, 16);
	assert_int_equal(after[0x3c], 0xff);
	assert_int_equal(after[0x3d], 1);
	assert_int_equal(cfg_r(b, pcie + 4, 4), 0x10008021);
	assert_memory_equal(before + 0x800, after + 0x800, 0x800);

	/* outside: ones, and nothing is written */
	dev_config_read(b->fn, 4092, edge, 8);
	assert_memory_equal(edge + 4, "\xff\xff\xff\xff", 4);
	dev_config_write(b->fn, 4092, ones, 8);
	dev_config_write(b->fn, 5000, ones, 8);
	dev_config_write(b->fn, UINT32_MAX, ones, 8);
	dev_config_read(b->fn, UINT32_MAX, edge, 8);
	assert_memory_equal(edge, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
}

static void test_decode_and_power(void **state)
{
	struct bus *b = *state;
	uint32_t pm = cap_find(b, 1);

	assert_int_equal(r32(b, DMATEST_ID), 0xffffffff); /* no memory decode */
	w64(b, DMATEST_SCRATCH, 5);
	bus_turn_on(b);
	assert_int_equal(r32(b, DMATEST_ID), DMATEST_ID_VALUE);
	assert_int_equal(r64(b, DMATEST_SCRATCH), 0);
	cfg_w(b, pm + 4, 2, 3);
	assert_int_equal(r32(b, DMATEST_ID), 0xffffffff);
	cfg_w(b, pm + 4, 2, 1); /* no such state: nothing changes */
	assert_int_equal(cfg_r(b, pm + 4, 2) & 3, 3);
	cfg_w(b, pm + 4, 2, 0);
	assert_int_equal(r32(b, DMATEST_ID), DMATEST_ID_VALUE);
}

static void test_odd_bar_access(void **state)
{
	struct bus *b = *state;

	bus_turn_on(b);
	w64(b, DMATEST_SCRATCH, UINT64_C(0x1122334455667788));
	dev_bar_write(b->fn, 0, DMATEST_SCRATCH, 1, 0);
	dev_bar_write(b->fn, 0, DMATEST_SCRATCH, 2, 0);
	dev_bar_write(b->fn, 0, DMATEST_SCRATCH, 3, 0);
	dev_bar_write(b->fn, 0, DMATEST_SCRATCH + 4, 8, 0); /* not aligned */
	dev_bar_write(b->fn, 0, 4096, 8, 0);
	dev_bar_write(b->fn, 6, 0, 8, 0);
	assert_int_equal(r64(b, DMATEST_SCRATCH), UINT64_C(0x1122334455667788));
	assert_int_equal(dev_bar_read(b->fn, 0, DMATEST_SCRATCH + 6, 1), 0x22);
	assert_int_equal(dev_bar_read(b->fn, 0, DMATEST_SCRATCH + 2, 2), 0x5566);
	assert_int_equal(r32(b, DMATEST_SCRATCH + 4), 0x11223344);
	w32(b, DMATEST_SCRATCH + 4, 0xaabbccdd);
	assert_int_equal(r64(b, DMATEST_SCRATCH), UINT64_C(0xaabbccdd55667788));
	assert_int_equal(dev_bar_read(b->fn, 0, 4096, 4), 0xffffffff);
	assert_int_equal(dev_bar_read(b->fn, 9, 0, 4), 0xffffffff);
	assert_int_equal(dev_bar_read(b->fn, 2, 65532, 8), UINT64_MAX);
	dev_bar_write(b->fn, 2, 65528, 8, 77);
	assert_int_equal(dev_bar_read(b->fn, 2, 65528, 8), 77);
}

static void test_msix(void **state)
{
	struct bus *b = *state;
	uint32_t msix = cap_find(b, 0x11);

	bus_turn_on(b);
	assert_int_equal(dev_bar_read(b->fn, 4, 12, 4), 1); /* masked after reset */
	dev_bar_write(b->fn, 4, 16, 8, UINT64_C(0x1fee00003));
	assert_int_equal(dev_bar_read(b->fn, 4, 16, 8), UINT64_C(0x1fee00000));
	dev_bar_write(b->fn, 4, 24, 4, 0x4321);
	dev_bar_write(b->fn, 4, 24, 2, 0xffff); /* undefined size: nothing */
	assert_int_equal(dev_bar_read(b->fn, 4, 24, 4), 0x4321);
	dev_bar_write(b->fn, 4, 0x7f0, 4, 1); /* past the table */

	cfg_w(b, msix + 2, 2, 0x8000);
	nop_with_irq(b, 1);
	assert_int_equal(b->msix[1], 0);
	assert_int_equal(dev_bar_read(b->fn, 4, 0x1000, 8), 2); /* pending */
	nop_with_irq(b, 1);
	dev_bar_write(b->fn, 4, 28, 4, 0); /* unmask: one message for both */
	assert_int_equal(b->msix[1], 1);
	assert_int_equal(dev_bar_read(b->fn, 4, 0x1000, 8), 0);
	nop_with_irq(b, 1);
	assert_int_equal(b->msix[1], 2);

	cfg_w(b, msix + 2, 2, 0xc000); /* function mask */
	nop_with_irq(b, 1);
	assert_int_equal(b->msix[1], 2);
	cfg_w(b, msix + 2, 2, 0x8000);
	assert_int_equal(b->msix[1], 3);

	cfg_w(b, 4, 2, 2); /* no bus master: messages wait */
	nop_with_irq(b, 1);
	assert_int_equal(b->msix[1], 3);
	cfg_w(b, 4, 2, 6);
	assert_int_equal(b->msix[1], 4);
	assert_false(b->intx);
	assert_int_equal(b->intx_edges, 0);

	/* turned off with something pending: forgotten */
	cfg_w(b, msix + 2, 2, 0xc000);
	nop_with_irq(b, 1);
	w32(b, DMATEST_INT, 1);
	cfg_w(b, msix + 2, 2, 0);
	cfg_w(b, msix + 2, 2, 0x8000);
	assert_int_equal(b->msix[1], 4);
}

static void test_msi(void **state)
{
	struct bus *b = *state;
	uint32_t msi = cap_find(b, 0x05);

	bus_turn_on(b);
	cfg_w(b, msi + 2, 2, 1 | 2 << 4); /* enable, four messages */
	nop_with_irq(b, 3);
	assert_int_equal(b->msi[3], 1);
	cfg_w(b, msi + 0x10, 4, 1u << 3);
	nop_with_irq(b, 3);
	assert_int_equal(b->msi[3], 1);
	assert_int_equal(cfg_r(b, msi + 0x14, 4), 1u << 3);
	cfg_w(b, msi + 0x10, 4, 0);
	assert_int_equal(b->msi[3], 2);
	assert_int_equal(cfg_r(b, msi + 0x14, 4), 0);
	cfg_w(b, msi + 2, 2, 1); /* one message: all share it */
	nop_with_irq(b, 3);
	assert_int_equal(b->msi[0], 1);
	cfg_w(b, msi + 2, 2, 1 | 7 << 4); /* more than there are (a reserved encoding) */
	nop_with_irq(b, 3);
	assert_int_equal(b->msi[3], 3);
	assert_int_equal(b->intx_edges, 0);
}

static void test_intx(void **state)
{
	struct bus *b = *state;

	bus_turn_on(b);
	nop_with_irq(b, 0);
	assert_true(b->intx);
	assert_true(dev_intx_pending(b->fn));
	assert_true(cfg_r(b, 6, 2) & 8);
	cfg_w(b, 4, 2, 6 | 0x400); /* disabled: the line falls, the status stays */
	assert_false(b->intx);
	assert_false(dev_intx_pending(b->fn));
	assert_true(cfg_r(b, 6, 2) & 8);
	cfg_w(b, 4, 2, 6);
	assert_true(b->intx);
	w32(b, DMATEST_INT, 1);
	assert_false(b->intx);
	assert_int_equal(cfg_r(b, 6, 2) & 8, 0);

	/* A message capability takes over and hands back. */
	nop_with_irq(b, 0);
	assert_true(b->intx);
	assert_int_equal(dev_irq_enable(b->fn, DEV_IRQ_MSIX, 4), 0);
	assert_false(b->intx);
	assert_int_equal(dev_irq_enable(b->fn, DEV_IRQ_MSIX, 0), 0);
	assert_true(b->intx);
	dev_reset(b->fn);
	assert_false(b->intx);
}

/* The level changes while the bus is still being told: nobody may overtake, and the last word is the last level. */
static void *clear_interrupt(void *b)
{
	w32(b, DMATEST_INT, 1);
	return NULL;
}

static unsigned int telling, told[2];

static void slow_irq(void *opaque, enum dev_irq kind, unsigned int vector, bool level)
{
	pthread_t t;

	(void)kind;
	(void)vector;
	assert_int_equal(telling++, 0);
	told[level]++;
	if (level) {
		assert_int_equal(pthread_create(&t, NULL, clear_interrupt, opaque), 0);
		assert_int_equal(pthread_join(t, NULL), 0);
	}
	telling--;
}

static void test_intx_order(void **state)
{
	struct bus b = {0};
	struct dev_bus db = {.opaque = &b, .dma_read = bus_read, .dma_write = bus_write, .irq = slow_irq};

	(void)state;
	assert_int_equal(dev_model_find("dmatest")->create(NULL, 0, &db, NULL, &b.fn, NULL), 0);
	bus_turn_on(&b);
	nop_with_irq(&b, 0);
	assert_int_equal(told[1], 1);
	assert_int_equal(told[0], 1);
	assert_false(dev_intx_pending(b.fn));
	dev_destroy(b.fn);
}

static void test_irq_enable(void **state)
{
	struct bus *b = *state;

	assert_int_equal(dev_irq_enable(b->fn, DEV_IRQ_MSIX, 5), -EINVAL);
	assert_int_equal(dev_irq_enable(b->fn, DEV_IRQ_MSI, 5), -EINVAL);
	assert_int_equal(dev_irq_enable(b->fn, DEV_IRQ_INTX, 2), -EINVAL);
	bus_turn_on(b);
	assert_int_equal(dev_irq_enable(b->fn, DEV_IRQ_MSIX, 3), 0);
	nop_with_irq(b, 2);
	nop_with_irq(b, 3); /* not enabled: masked */
	assert_int_equal(b->msix[2], 1);
	assert_int_equal(b->msix[3], 0);
	assert_int_equal(dev_irq_enable(b->fn, DEV_IRQ_MSIX, 0), 0);
	assert_int_equal(dev_irq_enable(b->fn, DEV_IRQ_MSI, 3), 0);
	nop_with_irq(b, 2);
	assert_int_equal(b->msi[2], 1);
	assert_int_equal(dev_irq_enable(b->fn, DEV_IRQ_MSI, 0), 0);
	w32(b, DMATEST_INT, 1);
	assert_int_equal(dev_irq_enable(b->fn, DEV_IRQ_INTX, 0), 0);
	nop_with_irq(b, 0);
	assert_false(b->intx);
	assert_int_equal(dev_irq_enable(b->fn, DEV_IRQ_INTX, 1), 0);
	assert_true(b->intx);
}

static void test_flr(void **state)
{
	struct bus *b = *state;
	uint32_t pcie = cap_find(b, 0x10), msix = cap_find(b, 0x11);

	bus_turn_on(b);
	assert_int_equal(dev_irq_enable(b->fn, DEV_IRQ_MSIX, 4), 0);
	cfg_w(b, 0x18, 4, 0xfe000000);
	w64(b, DMATEST_SCRATCH, 99);
	dev_bar_write(b->fn, 2, 0, 8, 1234);
	nop_with_irq(b, 1);
	cfg_w(b, pcie + 8, 2, 0x8000 | 0x2810);
	assert_int_equal(cfg_r(b, 4, 2), 0);
	assert_int_equal(cfg_r(b, 0x18, 4), 0xc);
	assert_int_equal(cfg_r(b, msix + 2, 2), 3);
	assert_int_equal(cfg_r(b, pcie + 8, 2), 0x2810); /* the bit reads 0 */
	bus_turn_on(b);
	assert_int_equal(r64(b, DMATEST_SCRATCH), 0);
	assert_int_equal(r64(b, DMATEST_COUNT), 0);
	assert_int_equal(dev_bar_read(b->fn, 4, 12, 4), 1);
	assert_int_equal(dev_bar_read(b->fn, 2, 0, 8), 1234); /* storage stays */
}

static void test_options(void **state)
{
	static const struct {
		const char *key, *value;
		bool ok;
	} cases[] = {
		{"size", "64MiB", true}, {"size", "1 GiB", true}, {"size", "4096", true}, {"size", "0x10000", true},
		{"size", "0", false}, {"size", "-1", false}, {"size", "1XiB", false}, {"size", "", false},
		{"size", "99999999999999999999", false}, {"size", "20TiB", false}, {"size", "18014398509481984KiB", false},
		{"size", "4097", false}, {"lba", "512", true}, {"lba", "4096", true}, {"lba", "1024", false},
		{"queues", "1", true}, {"queues", "63", true}, {"queues", "64", false}, {"queues", "0", false},
		{"serial", "ABC", true}, {"serial", "", false}, {"serial", "a b", false},
		{"serial", "123456789012345678901", false}, {"readonly", "on", true}, {"readonly", "maybe", false},
		{"irq-delay", "20", true}, {"irq-delay", "1001", false},
		{"file", "/nonexistent/x", true}, {"file", "", false}, {"color", "red", false},
	};
	const struct dev_model *m = dev_model_find("nvme");
	struct dev_option twice[] = {{"lba", "512"}, {"lba", "512"}};
	struct nb_diag diag;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dev_option o = {cases[i].key, cases[i].value};
		int err = dev_check_options(m, &o, 1, &diag);

		if (err != (cases[i].ok ? 0 : -EINVAL))
			fail_msg("%s=%s: %d", o.key, o.value, err);
		if (err && !strstr(diag.msg, o.key))
			fail_msg("%s=%s: the reason does not name the option: %s", o.key, o.value, diag.msg);
	}
	assert_int_equal(dev_check_options(m, twice, 2, &diag), -EINVAL);
	assert_int_equal(dev_check_options(dev_model_find("dmatest"), twice, 1, &diag), -EINVAL);
	assert_null(dev_model_find("e1000"));
	assert_null(dev_model_find(NULL));
}

/* Creation with every allocation failing in turn leaves nothing behind (the leak sanitizer looks). */
static void test_create_fails(void **state)
{
	static const char *const models[] = {"dmatest", "nvme"};
	static const struct dev_option delay = {"irq-delay", "5"};
	struct dev_bus db = {0};
	struct nb_diag diag;

	(void)state;
	for (int m = 0; m < 2; m++) {
		unsigned int failures = 0;

		for (unsigned long n = 1; n < 50; n++) {
			struct dev_fn *fn = NULL;
			int err;

			nb_fail_nth_arm(n);
			err = dev_model_find(models[m])->create(&delay, m, &db, NULL, &fn, &diag);
			if (!nb_fail_nth_fired()) {
				assert_int_equal(err, 0);
				dev_destroy(fn);
				break;
			}
			failures++;
			assert_int_equal(err, -ENOMEM);
			assert_null(fn);
		}
		assert_true(failures >= 2);
	}
	dev_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
		cmocka_unit_test_setup_teardown(test_capabilities, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bar_sizing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_masks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_decode_and_power, setup, teardown),
		cmocka_unit_test_setup_teardown(test_odd_bar_access, setup, teardown),
		cmocka_unit_test_setup_teardown(test_msix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_msi, setup, teardown),
		cmocka_unit_test_setup_teardown(test_intx, setup, teardown),
		cmocka_unit_test_setup_teardown(test_irq_enable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flr, setup, teardown),
		cmocka_unit_test(test_intx_order),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_create_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
