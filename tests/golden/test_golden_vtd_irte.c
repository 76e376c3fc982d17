/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every bit of an interrupt remapping table entry (9.9) and of the messages (5.1.2), flipped alone under the real model: a
 * reserved one to its exact fault (7.1.3, 20h to 26h), an ignored one to no change, a field's to what the field says.
 */
#include "../unit/hw_vtd_rig.h"

#include <stdio.h>

#define SAME 0xffffu
#define OTHER 0xfffeu /* delivered, differently */

struct span {
	uint8_t word, hi, lo;
	uint16_t want;
};

#define INDEX 37u

static void up(struct rig *r, uint64_t *irt, bool eime)
{
	struct vtd_caps c;

	vtd_caps_all(&c);
	c.intr_remap = c.x2apic = true;
	rig_new_caps(r, &c);
	rig_queue(r, true);
	*irt = rig_page(r);
	reg64(r, 0xb8, *irt | (eime ? 1u << 11 : 0) | 7); /* 256 entries */
	gcmd(r, 1u << 24, 0);				  /* SIRTP */
	gcmd(r, 1u << 25, 0);				  /* IRE */
	assert_true(get32(r, VTD_REG_GSTS) >> 25 & 1);
}

/* 0: delivered, in *out. Else the fault, out of the one record that was written. */
static unsigned int send(struct rig *r, uint64_t addr, uint32_t data, struct hw_irq *out)
{
	unsigned int i, reason = 0x100; /* refused and not recorded */
	int err;

	assert_true(inv(r, 4, 0)); /* interrupt entry cache, global */
	memset(out, 0, sizeof(*out));
	r->nmsi = 0;
	err = r->hw->ops->interrupt(r->hw, RIG_RID, addr, data, out);
	for (i = 0; i < r->caps.fault_records; i++) {
		uint64_t hi = get64(r, VTD_FRCD_AT + 16 * i + 8);

		if (hi >> 63)
			reason = hi >> 32 & 0xff;
	}
	faults_clear(r);
	assert_true(err == 0 || err == -14);
	return err ? reason : 0;
}

static uint16_t want_of(const struct span *span, unsigned int n, unsigned int word, unsigned int bit)
{
	unsigned int i;
	uint16_t want = 0;

	for (i = 0; i < n; i++)
		if (span[i].word == word && bit >= span[i].lo && bit <= span[i].hi) {
			assert_int_equal(want, 0);
			want = span[i].want;
		}
	if (!want)
		fail_msg("word %u bit %u is not described", word, bit);
	return want;
}

static bool as_wanted(unsigned int got, const struct hw_irq *irq, const struct hw_irq *was, uint16_t want)
{
	if (want == SAME)
		return got == 0 && memcmp(irq, was, sizeof(*irq)) == 0;
	if (want == OTHER)
		return got == 0 && memcmp(irq, was, sizeof(*irq)) != 0;
	return got == want;
}

static void flip_entry(const char *name, bool eime, uint64_t lo, uint64_t hi, const struct span *span, unsigned int n)
{
	unsigned int word, bit, bad = 0, got;
	struct hw_irq was, irq;
	uint64_t irt, at;
	struct rig r;

	up(&r, &irt, eime);
	for (word = 0; word < 2; word++) {
		for (bit = 0; bit < 64; bit++) {
			uint16_t want = want_of(span, n, word, bit);

			w64(&r, irt + 16 * INDEX + 8, hi);
			w64(&r, irt + 16 * INDEX, lo);
			assert_int_equal(send(&r, 0xfee00010 | INDEX << 5, 0, &was), 0);
			at = irt + 16 * INDEX + 8 * word;
			w64(&r, at, r64(&r, at) ^ BIT(bit));
			got = send(&r, 0xfee00010 | INDEX << 5, 0, &irq);
			if (!as_wanted(got, &irq, &was, want)) {
				print_error("%s: word %u bit %u: %#x, the manual says %#x\n", name, word, bit, got, want);
				bad++;
			}
		}
	}
	assert_int_equal(bad, 0);
	rig_free(&r);
}

#define SOURCE(sid)                                                                                            \
	{1, 15, 0, sid}, {1, 17, 16, SAME}, {1, 63, 20, 0x24}

static void entry_with_x2apic_ids(void **state)
{
	static const struct span span[] = {
		{0, 0, 0, 0x22},   /* P */
		{0, 1, 1, SAME},   /* FPD */
		{0, 7, 2, OTHER},   /* DM, RH, TM, DLM */
		{0, 11, 8, SAME},  /* AVAIL */
		{0, 14, 12, 0x24},
		{0, 15, 15, 0x24}, /* IM: posted, without CAP.PI */
		{0, 23, 16, OTHER}, /* V */
		{0, 31, 24, 0x24},
		{0, 63, 32, OTHER}, /* DST */
		SOURCE(0x26),
		{1, 18, 18, SAME}, /* SVT 00b: nothing is checked */
		{1, 19, 19, 0x24}, /* SVT 11b */
	};

	(void)state;
	flip_entry("EIME", true, 0x0000000300410001, 0x0000000000040000 | RIG_RID, span, ARRAY_SIZE(span));
}

static void entry_with_apic_ids(void **state)
{
	static const struct span span[] = {
		{0, 0, 0, 0x22}, {0, 1, 1, SAME}, {0, 7, 2, OTHER}, {0, 11, 8, SAME}, {0, 15, 12, 0x24}, {0, 23, 16, OTHER},
		{0, 39, 24, 0x24}, {0, 47, 40, OTHER}, {0, 63, 48, 0x24}, SOURCE(SAME),
		{1, 18, 18, 0x26}, /* from 00b to 01b: the source-id that lies there is another's */
		{1, 19, 19, SAME}, /* to 10b: busses 0 to 0x10, and ours is among them */
	};

	(void)state;
	flip_entry("no EIME", false, 0x0000030000410001, 0x0010, span, ARRAY_SIZE(span));
}

/* The message, 5.1.2.2: interrupt index = handle, plus subhandle with SHV. */
static void remappable_message(void **state)
{
	struct hw_irq was, irq;
	unsigned int bit, got, i;
	uint64_t irt;
	struct rig r;

	(void)state;
	up(&r, &irt, true);
	for (i = 0; i < 256; i++)
		w64(&r, irt + 16 * i, (uint64_t)i << 32 | i << 16 | 1);
	assert_int_equal(send(&r, 0xfee00010 | INDEX << 5, 0, &was), 0);
	assert_int_equal(was.dest, INDEX);
	for (bit = 2; bit < 20; bit++) {
		got = send(&r, (0xfee00010 | INDEX << 5) ^ BIT(bit), 0, &irq);
		if (bit == 2 || bit >= 13)
			assert_int_equal(got, 0x21); /* handle bits 15 and 14:8: beyond the table */
		else if (bit == 3)
			assert_int_equal(got, 0); /* SHV with subhandle 0 */
		else if (bit == 4)
			assert_int_equal(got, 0x25); /* compatibility format, blocked: CFI is off */
		else
			assert_int_equal(irq.dest, INDEX ^ 1u << (bit - 5));
	}
	/* Data: with SHV the upper half is reserved, without it nothing is looked at. */
	for (bit = 0; bit < 32; bit++) {
		got = send(&r, 0xfee00018 | INDEX << 5, 1u << bit, &irq);
		if (bit >= 16)
			assert_int_equal(got, 0x20);
		else if (INDEX + (1u << bit) > 255)
			assert_int_equal(got, 0x21);
		else
			assert_int_equal(irq.dest, INDEX + (1u << bit));
		assert_int_equal(send(&r, 0xfee00010 | INDEX << 5, 1u << bit, &irq), 0);
		assert_int_equal(irq.dest, INDEX);
	}
	rig_free(&r);
}

/* The table itself is not there. */
static void table_not_there(void **state)
{
	struct hw_irq irq;
	uint64_t irt;
	struct rig r;

	(void)state;
	up(&r, &irt, true);
	reg64(&r, 0xb8, 0x1000 | 1u << 11 | 7);
	gcmd(&r, 1u << 24, 0);
	assert_int_equal(send(&r, 0xfee00010, 0, &irq), 0x23);
	rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entry_with_x2apic_ids),
		cmocka_unit_test(entry_with_apic_ids),
		cmocka_unit_test(remappable_message),
		cmocka_unit_test(table_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
