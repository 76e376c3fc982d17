/* SPDX-License-Identifier: BSD-3-Clause */
/* drv/vtd: entries by their bytes, written out from VT-d 9.3 to 9.6; order of the stores that publish them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "drv/vtd/entries.h"
#include "drv/vtd/vtd.h"

static void words(const le64_t *q, unsigned int n, uint64_t q0, uint64_t q1, uint64_t q2)
{
	unsigned int i;

	assert_int_equal(cpu64(q[0]), q0);
	assert_int_equal(cpu64(q[1]), q1);
	for (i = 2; i < n; i++)
		assert_int_equal(cpu64(q[i]), i == 2 ? q2 : 0);
}

static void pasid_entries(void **state)
{
	struct vtd_pasid_common c = {.did = 0x1234};
	struct vtd_fs_args fs = {.root = 0xabcdef000};
	struct vtd_ss_args ss = {.root = {0x777000}, .aw = 2};
	struct vtd_pasid_entry e;

	(void)state;
	dvtd_pasid_make_fs(&e, &c, &fs, 2);
	words(e.q, 8, 0x49, 0x1234, 0xabcdef000);
	c.page_walk_snoop = true;
	fs.levels5 = true;
	dvtd_pasid_make_fs(&e, &c, &fs, 3);
	words(e.q, 8, 0x4d, 0x801234, 0xabcdef004);
	c.force_snoop = true;
	dvtd_pasid_make_ss(&e, &c, &ss);
	words(e.q, 8, 0x777089, 0x1801234, 0);
	ss.dirty = true;
	ss.aw = 1;
	dvtd_pasid_make_ss(&e, &c, &ss);
	words(e.q, 8, 0x777285, 0x1801234, 0);
	fs.levels5 = false;
	fs.wpe = true; /* nothing without SRE */
	dvtd_pasid_make_nested(&e, &c, &fs, &ss);
	words(e.q, 8, 0x7772c5, 0x1801234, 0xabcdef000);
	fs.sre = fs.eafe = true;
	dvtd_pasid_make_nested(&e, &c, &fs, &ss);
	words(e.q, 8, 0x7772c5, 0x1801234, 0xabcdef091);
	c = (struct vtd_pasid_common){.did = 1};
	dvtd_pasid_make_pass_through(&e, &c, 2);
	words(e.q, 8, 0x109, 1, 0);
}

static void context_entries(void **state)
{
	struct vtd_ss_args ss = {.root = {0x777000}, .aw = 2};
	struct vtd_sctx_entry s;
	struct vtd_ctx_entry e;

	(void)state;
	dvtd_ctx_make_ss(&e, 0x1234, &ss, false);
	words(e.q, 2, 0x777001, 0x123402, 0);
	dvtd_ctx_make_ss(&e, 0x1234, &ss, true);
	words(e.q, 2, 0x777005, 0x123402, 0);
	dvtd_ctx_make_pass_through(&e, 1, 2);
	words(e.q, 2, 0x9, 0x102, 0);
	dvtd_sctx_make(&s, &(struct vtd_sctx_args){.dir = hpa(0x555000), .dir_entries = 512});
	words(s.q, 4, 0x555401, 0, 0);
	dvtd_sctx_make(&s, &(struct vtd_sctx_args){
		.dir = hpa(0x555000), .dir_entries = 16384, .device_tlb = true, .pasids = true});
	words(s.q, 4, 0x555e0d, 0, 0);
}

static void used_bits(void **state)
{
	struct vtd_pasid_entry e, used;

	(void)state;
	memset(&e, 0xff, sizeof(e));
	e.q[0] = le64(~UINT64_C(1));
	dvtd_pasid_used(&e, &used);
	words(used.q, 8, 3, 0, 0);
	e.q[0] = le64(1 | 1 << 6);
	dvtd_pasid_used(&e, &used);
	words(used.q, 8, 0x1df, 0x180ffff, ~UINT64_C(0xfff) | 0x9d);
	e.q[0] = le64(1 | 2 << 6);
	dvtd_pasid_used(&e, &used);
	words(used.q, 8, ~UINT64_C(0xfff) | 0x3df, 0x180ffff, 0);
}

static void life_of_an_entry(void **state)
{
	struct vtd_pasid_common c = {.did = 7};
	struct vtd_ss_args ss = {.root = {0x777000}, .aw = 2};
	struct vtd_pasid_entry e, live;

	(void)state;
	memset(&live, 0, sizeof(live));
	dvtd_pasid_make_ss(&e, &c, &ss);
	dvtd_pasid_publish(&live, &e);
	assert_memory_equal(&live, &e, sizeof(e));
	dvtd_pasid_set_ssade(&live, true);
	dvtd_pasid_set_pgsnp(&live);
	words(live.q, 8, 0x777289, 0x1000007, 0);
	dvtd_pasid_set_ssade(&live, false);
	dvtd_pasid_unpublish(&live);
	words(live.q, 8, 0x777088, 0x1000007, 0); /* the rest stays for walks under way */
	dvtd_pasid_zero(&live);
	words(live.q, 8, 0, 0, 0);
}

static void desc(struct vtd_desc d, uint64_t lo, uint64_t hi)
{
	assert_int_equal(d.lo, lo);
	assert_int_equal(d.hi, hi);
}

/* 6.5.2.5 to 6.5.2.9, 7.6.1: descriptors that this driver makes, word by word. */
static void descriptors(void **state)
{
	static struct vtd_unit u;

	(void)state;
	desc(dvtd_desc_devtlb(&u, 0xabcd, 0, 0x5000, 0), 0x0000abcd00000003, 0x5000);
	desc(dvtd_desc_devtlb(&u, 0xabcd, 0, 0x6000, 1), 0x0000abcd00000003, 0x6001);
	desc(dvtd_desc_devtlb(&u, 0xabcd, 0, 0x8000, 3), 0x0000abcd00000003, 0xb001);
	desc(dvtd_desc_devtlb(&u, 0xabcd, 0, 0, 52), 0x0000abcd00000003, 0x7ffffffffffff001);
	desc(dvtd_desc_devtlb(&u, 0xabcd, 0x54321, 0x8000, 3), 0x00054321abcd0008, 0xb800);
	u.ecap = BIT(41); /* DIT: the physical function, in two pieces */
	desc(dvtd_desc_devtlb(&u, 0xabcd, 0, 0x5000, 0), 0xabc0abcd0000d003, 0x5000);
	desc(dvtd_desc_devtlb(&u, 0xabcd, 0x54321, 0x5000, 0), 0xabc54321abcdd008, 0x5000);
	desc(dvtd_desc_fence(), 0x45, 0);
	desc(dvtd_desc_irte_global(), 0x4, 0);
	desc(dvtd_desc_irte(0x1230, 4), 0x0000123020000014, 0);
	desc(dvtd_desc_page_response(0xabcd, NB_NO_PASID, 0x1ff, 0), 0xabcd0009, 0xff8);
	desc(dvtd_desc_page_response(0xabcd, 0x54321, 1, 0xf), 0x00054321abcdf019, 0x8);
}

/* 9.4 with PRE */
static void page_requests_in_context(void **state)
{
	struct vtd_sctx_entry s;

	(void)state;
	dvtd_sctx_make(&s, &(struct vtd_sctx_args){
		.dir = hpa(0x555000), .dir_entries = 512, .device_tlb = true, .page_requests = true});
	words(s.q, 4, 0x555000 | 2 << 9 | 0x15, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pasid_entries),
		cmocka_unit_test(context_entries),
		cmocka_unit_test(used_bits),
		cmocka_unit_test(life_of_an_entry),
		cmocka_unit_test(descriptors), cmocka_unit_test(page_requests_in_context),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
