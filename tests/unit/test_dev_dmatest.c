/* SPDX-License-Identifier: BSD-3-Clause */
/* dmatest against its document, docs/dmatest.md. */
#include "test_dev_bus.h"

#include "dev/dmatest_regs.h"

#define A (BUS_BASE + 0x10000)
#define B (BUS_BASE + 0x30000)

static int setup(void **state)
{
	struct bus *b = bus_new("dmatest", NULL, 0);

	bus_turn_on(b);
	for (uint64_t i = 0; i < BUS_LEN; i++)
		b->mem[i] = (uint8_t)(i * 7 + (i >> 9));
	*state = b;
	return 0;
}
static int teardown(void **state)
{
	bus_free(*state);
	return 0;
}

static uint32_t run(struct bus *b, uint32_t cmd, uint64_t src, uint64_t dst, uint64_t len)
{
	w64(b, DMATEST_SRC, src);
	w64(b, DMATEST_DST, dst);
	w64(b, DMATEST_LENGTH, len);
	b->calls = 0;
	w32(b, DMATEST_COMMAND, cmd);
	assert_int_equal(r32(b, DMATEST_STATUS), r32(b, DMATEST_ERROR) ? DMATEST_STATUS_ERROR : DMATEST_STATUS_DONE);
	return r32(b, DMATEST_ERROR);
}

static void test_copy_shapes(void **state)
{
	static const uint64_t lens[] = {1, 7, 8, 4095, 4096, 4097, 8192, 65535, 100000};
	static const uint64_t offs[] = {0, 1, 4095, 2048};
	struct bus *b = *state;

	for (size_t l = 0; l < 9; l++) {
		for (size_t i = 0; i < 4; i++) {
			for (size_t j = 0; j < 4; j++) {
				uint64_t src = A + offs[i], dst = B + offs[j], len = lens[l];
				uint8_t before = 0x5a, after = 0xa5;

				bus_at(b, dst)[-1] = before;
				bus_at(b, dst)[len] = after;
				memset(bus_at(b, dst), 0, len);
				assert_int_equal(run(b, DMATEST_CMD_COPY, src, dst, len), 0);
				assert_int_equal(r64(b, DMATEST_DONE), len);
				if (src + len <= B)
					assert_memory_equal(bus_at(b, src), bus_at(b, dst), len);
				assert_int_equal(bus_at(b, dst)[-1], before);
				assert_int_equal(bus_at(b, dst)[len], after);
			}
		}
	}
	assert_int_equal(r64(b, DMATEST_COUNT), 9 * 16);
}

static void test_fill_compare_checksum(void **state)
{
	struct bus *b = *state;
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	w64(b, DMATEST_PATTERN, UINT64_C(0x0807060504030201));
	assert_int_equal(run(b, DMATEST_CMD_FILL, 0, A + 3, 5000), 0);
	for (uint64_t i = 0; i < 5000; i++)
		assert_int_equal(bus_at(b, A + 3)[i], i % 8 + 1);
	memcpy(bus_at(b, B + 9), bus_at(b, A + 3), 5000);
	assert_int_equal(run(b, DMATEST_CMD_COMPARE, A + 3, B + 9, 5000), 0);
	assert_int_equal(r64(b, DMATEST_DONE), 5000);
	bus_at(b, B + 9)[4321] ^= 1;
	assert_int_equal(run(b, DMATEST_CMD_COMPARE, A + 3, B + 9, 5000), DMATEST_ERROR_MISMATCH);
	assert_int_equal(r64(b, DMATEST_MISMATCH), 4321);
	assert_int_equal(r64(b, DMATEST_DONE), 4321);

	assert_int_equal(run(b, DMATEST_CMD_CHECKSUM, A + 3, 0, 5000), 0);
	for (uint64_t i = 0; i < 5000; i++)
		h = (h ^ (i % 8 + 1)) * UINT64_C(0x100000001b3);
	assert_int_equal(r64(b, DMATEST_CHECKSUM), h);
	assert_int_equal(r64(b, DMATEST_MISMATCH), 0);
}

static void test_local_memory(void **state)
{
	struct bus *b = *state;

	assert_int_equal(run(b, DMATEST_CMD_COPY | DMATEST_CMD_DST_LOCAL, A + 1, 0x8001, 0x7fff), 0);
	for (uint32_t i = 0; i < 0x7ff8; i += 8) {
		uint64_t v = dev_bar_read(b->fn, 2, 0x8000 + i, 8);

		if (i)
			assert_memory_equal(&v, bus_at(b, A + i), 8);
	}
	assert_int_equal(run(b, DMATEST_CMD_COMPARE | DMATEST_CMD_SRC_LOCAL, 0x8001, A + 1, 0x7fff), 0);
	assert_int_equal(run(b, DMATEST_CMD_COPY | DMATEST_CMD_DST_LOCAL, A, 0x8001, 0x8000), DMATEST_ERROR_LOCAL);
	assert_int_equal(run(b, DMATEST_CMD_COPY | DMATEST_CMD_SRC_LOCAL, 0x10000, A, 1), DMATEST_ERROR_LOCAL);
	assert_int_equal(run(b, DMATEST_CMD_COPY | DMATEST_CMD_SRC_LOCAL, UINT64_MAX, A, 2), DMATEST_ERROR_LOCAL);
	assert_int_equal(b->calls, 0);
}

static void test_refusals(void **state)
{
	struct bus *b = *state;

	assert_int_equal(run(b, DMATEST_CMD_COPY, A, B, 0), DMATEST_ERROR_LENGTH);
	assert_int_equal(run(b, DMATEST_CMD_COPY, A, B, DMATEST_MAX_LENGTH + 1), DMATEST_ERROR_LENGTH);
	assert_int_equal(run(b, DMATEST_CMD_COPY, A, B, UINT64_MAX), DMATEST_ERROR_LENGTH);
	assert_int_equal(run(b, DMATEST_CMD_COPY, UINT64_MAX - 3, B, 8), DMATEST_ERROR_LENGTH);
	assert_int_equal(run(b, DMATEST_CMD_COPY, A, UINT64_MAX - 3, 8), DMATEST_ERROR_LENGTH);
	assert_int_equal(run(b, 9, A, B, 8), DMATEST_ERROR_COMMAND);
	assert_int_equal(run(b, 0x1001, A, B, 8), DMATEST_ERROR_COMMAND);
	assert_int_equal(run(b, 0x80000001, A, B, 8), DMATEST_ERROR_COMMAND);
	assert_int_equal(b->calls, 0);
	assert_int_equal(run(b, DMATEST_CMD_NOP, 0, 0, 0), 0);
	assert_int_equal(r64(b, DMATEST_COUNT), 9);
	/* the last byte of the address space may be named: the bus refuses it, not we */
	assert_int_equal(run(b, DMATEST_CMD_COPY, UINT64_MAX - 7, B, 8), DMATEST_ERROR_SRC_DMA);
	assert_int_equal(r64(b, DMATEST_ERROR_ADDR), UINT64_MAX - 7);
}

static void test_aborts(void **state)
{
	struct bus *b = *state;
	uint8_t old[16];

	/* The page after the bus's memory does not exist. */
	assert_int_equal(run(b, DMATEST_CMD_COPY, A, BUS_BASE + BUS_LEN - 4096, 8192), DMATEST_ERROR_DST_DMA);
	assert_int_equal(r64(b, DMATEST_ERROR_ADDR), BUS_BASE + BUS_LEN);
	assert_int_equal(r64(b, DMATEST_DONE), 4096);
	assert_memory_equal(bus_at(b, A), bus_at(b, BUS_BASE + BUS_LEN - 4096), 4096);
	memcpy(old, bus_at(b, B + 4096), 16);
	assert_int_equal(run(b, DMATEST_CMD_COPY, BUS_BASE + BUS_LEN - 100, B, 8192), DMATEST_ERROR_SRC_DMA);
	assert_int_equal(r64(b, DMATEST_ERROR_ADDR), BUS_BASE + BUS_LEN);
	assert_int_equal(r64(b, DMATEST_DONE), 100);
	assert_memory_equal(old, bus_at(b, B + 4096), 16);
	assert_int_equal(run(b, DMATEST_CMD_COMPARE, A, BUS_BASE + BUS_LEN, 8), DMATEST_ERROR_DST_DMA);
	assert_int_equal(run(b, DMATEST_CMD_NOP, 0, 0, 0), 0);
	assert_int_equal(r64(b, DMATEST_ERROR_ADDR), 0);

	cfg_w(b, 4, 2, 2); /* no bus master */
	assert_int_equal(run(b, DMATEST_CMD_FILL, 0, A, 8), DMATEST_ERROR_DST_DMA);
	assert_int_equal(run(b, DMATEST_CMD_CHECKSUM, A, 0, 8), DMATEST_ERROR_SRC_DMA);
	assert_int_equal(b->calls, 0);
}

/* Every request of a copy refused in turn: what is done is exactly what came before it. */
static void test_abort_nth(void **state)
{
	struct bus *b = *state;
	uint64_t len = 20000, src = A + 100, dst = B + 3000;
	unsigned long n;

	for (n = 1;; n++) {
		uint64_t done;
		uint32_t err;

		memset(bus_at(b, dst), 0xee, len);
		b->fail_at = n;
		err = run(b, DMATEST_CMD_COPY, src, dst, len);
		b->fail_at = 0;
		done = r64(b, DMATEST_DONE);
		assert_memory_equal(bus_at(b, src), bus_at(b, dst), done);
		for (uint64_t i = done; i < len; i++)
			assert_int_equal(bus_at(b, dst)[i], 0xee);
		if (!err)
			break;
		assert_int_equal(err, n & 1 ? DMATEST_ERROR_SRC_DMA : DMATEST_ERROR_DST_DMA);
		assert_int_equal(r64(b, DMATEST_ERROR_ADDR), (n & 1 ? src : dst) + done);
		assert_int_equal(r64(b, DMATEST_ERROR_ADDR), b->last_addr);
	}
	assert_true(n > 10);
}

static void test_pasid(void **state)
{
	struct bus *b = *state;

	run(b, DMATEST_CMD_FILL, 0, A, 8);
	assert_int_equal(b->pasid, NB_NO_PASID);
	w32(b, DMATEST_PASID, 0xfff00000 | 0x12345);
	assert_int_equal(r32(b, DMATEST_PASID), DMATEST_PASID_EN | 0x12345);
	run(b, DMATEST_CMD_FILL, 0, A, 8);
	assert_int_equal(b->pasid, 0x12345);
	run(b, DMATEST_CMD_CHECKSUM, A, 0, 8);
	assert_int_equal(b->pasid, 0x12345);
	w32(b, DMATEST_PASID, 5); /* value without enable */
	run(b, DMATEST_CMD_FILL, 0, A, 8);
	assert_int_equal(b->pasid, NB_NO_PASID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_copy_shapes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fill_compare_checksum, setup, teardown),
		cmocka_unit_test_setup_teardown(test_local_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_aborts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_abort_nth, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pasid, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
