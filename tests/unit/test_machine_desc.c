/* SPDX-License-Identifier: BSD-3-Clause */
/* Host descriptions: the built-in ones, each refusal of nb_desc_check(), and damaged bytes. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "hw/vtd/caps.h"
#include "machine/desc.h"
#include "machine/desc_vtd.h"

static struct nb_desc *copy_of(const char *name)
{
	struct nb_desc *d = nb_zalloc(sizeof(*d));

	assert_non_null(d);
	assert_non_null(nb_desc_find(name));
	*d = *nb_desc_find(name);
	return d;
}

static void built_in(void **state)
{
	const struct nb_desc *const *p;
	struct nb_diag why;
	char what[32];

	(void)state;
	assert_string_equal(nb_desc_builtin[0]->name, "spr");
	for (p = nb_desc_builtin; *p; p++) {
		assert_int_equal(nb_desc_check(*p, what, &why), 0);
		assert_string_equal(what, "");
		assert_ptr_equal(nb_desc_find((*p)->name), *p);
		assert_int_equal((*p)->niommus, 2);
		assert_int_equal((*p)->nfunctions, 4);
	}
	assert_null(nb_desc_find("sp"));
	assert_null(nb_desc_find(""));
}

/* What the manual of the part says, read off the registers that come out: VT-d 10.4.2 and 10.4.3 by hand. */
static void spr_registers(void **state)
{
	struct vtd_caps caps;
	uint64_t cap, ecap;

	(void)state;
	desc_vtd_caps(&nb_desc_find("spr")->iommu[0].vtd, &caps);
	cap = vtd_caps_cap(&caps);
	ecap = vtd_caps_ecap(&caps);
	assert_int_equal(cap & 7, 6);			/* ND: 2^(4 + 2 * 6) domain ids */
	assert_int_equal(cap >> 5 & 3, 3);		/* PLMR, PHMR */
	assert_int_equal(cap >> 7 & 1, 0);		/* CM */
	assert_int_equal(cap >> 8 & 31, 0xe);		/* SAGAW: 3, 4 and 5 levels */
	assert_int_equal(cap >> 16 & 63, 56);		/* MGAW - 1 */
	assert_int_equal(cap >> 34 & 15, 3);		/* 2 MiB and 1 GiB */
	assert_int_equal(cap >> 40 & 255, 7);		/* NFR - 1 */
	assert_int_equal(cap >> 56 & 1, 1);		/* FS1GP */
	assert_int_equal(cap >> 60 & 1, 1);		/* FS5LP */
	assert_int_equal(ecap & 3, 3);			/* C, QI */
	assert_int_equal(ecap >> 2 & 7, 7);		/* DT, IR, EIM */
	assert_int_equal(ecap >> 29 & 1, 1);		/* PRS */
	assert_int_equal(ecap >> 42 & 1, 1);		/* PDS */
	assert_int_equal(ecap >> 26 & 1, 1);		/* NEST */
	assert_int_equal(ecap >> 35 & 31, 19);		/* PSS: 20 bits */
	assert_int_equal(ecap >> 40 & 1, 1);		/* PASID */
	assert_int_equal(ecap >> 43 & 1, 1);		/* SMTS */
	assert_int_equal(ecap >> 45 & 15, 15);		/* SSADS, SSTS, FSTS, SMPWCS */
	desc_vtd_caps(&nb_desc_find("legacy")->iommu[0].vtd, &caps);
	ecap = vtd_caps_ecap(&caps);
	assert_int_equal(ecap >> 26 & 1, 0);
	assert_int_equal(ecap >> 43 & 1, 0);
	assert_int_equal(ecap >> 46 & 3, 0);
	assert_int_equal(ecap >> 2 & 7, 3); /* no EIM */
	desc_vtd_caps(&nb_desc_find("incoherent")->iommu[0].vtd, &caps);
	ecap = vtd_caps_ecap(&caps);
	assert_int_equal(ecap & 1, 0);
	assert_int_equal(ecap >> 48 & 1, 0); /* SMPWCS */
	assert_true(nb_desc_find("spr")->iommu[1].vtd.erratum_772415);
	assert_false(nb_desc_find("spr-fixed")->iommu[1].vtd.erratum_772415);
}

#define REFUSE(name, change, item, words)                                                                     \
	static void name(struct nb_desc *d) { change; }                                                       \
	static const struct refusal name##_case = {name, item, words};
struct refusal {
	void (*change)(struct nb_desc *d);
	const char *what, *words;
};

REFUSE(magic, d->magic++, "", "not a host description")
REFUSE(size, d->size--, "", "not a host description")
REFUSE(name_empty, d->name[0] = 0, "", "name")
REFUSE(name_endless, memset(d->name, 'a', sizeof(d->name)), "", "name")
REFUSE(name_slash, d->name[1] = '/', "", "name")
REFUSE(title_endless, memset(d->title, 'a', sizeof(d->title)), "", "name")
REFUSE(no_iommus, d->niommus = 0, "", "IOMMUs")
REFUSE(many_iommus, d->niommus = 9, "", "IOMMUs")
REFUSE(many_functions, d->nfunctions = 65, "", "functions")
REFUSE(same_name, strcpy(d->iommu[1].name, "dmar0"), "iommus[1]", "dmar0")
REFUSE(vendor, d->iommu[1].vendor = 2, "iommus[1]", "vendor")
REFUSE(segment, d->iommu[0].segment = 65536, "iommus[0]", "65536")
REFUSE(iommu_name_endless, memset(d->iommu[0].name, 'a', 32), "iommus[0]", "name")
REFUSE(bad_bool, memset(&d->iommu[1].vtd.nested, 2, 1), "iommus[1]", "damaged")
REFUSE(bad_last_bool, memset(&d->iommu[0].vtd.erratum_772415, 255, 1), "iommus[0]", "damaged")
REFUSE(haw, d->iommu[1].vtd.haw = 46, "iommus[1]", "haw")
REFUSE(levels, d->iommu[1].vtd.levels5 = false, "iommus[1]", "mgaw 57")
REFUSE(prq_without_ats, (d->iommu[1].vtd.device_tlb = false), "iommus[1]", "page-requests needs device-tlb")
REFUSE(x2apic_alone, (d->iommu[1].vtd.intr_remap = false), "iommus[1]", "x2apic needs interrupt-remapping")
REFUSE(bad_new_bool, memset(&d->iommu[1].vtd.pmr_high, 2, 1), "iommus[1]", "damaged")
REFUSE(erratum, (d->iommu[1].vtd.nested = false), "iommus[1]", "772415")
REFUSE(iommu_index, d->function[2].iommu = 2, "functions[2]", "IOMMU")
REFUSE(function_segment, d->function[3].segment = 1, "functions[3]", "segment")
REFUSE(same_address, d->function[3].rid = 0x0100, "functions[3]", "0000:01:00.0")
REFUSE(group, d->function[3].group = 0, "functions[3]", "group 0")
REFUSE(model, strcpy(d->function[1].model, "none"), "functions[1]", "none")
REFUSE(model_endless, memset(d->function[1].model, 'n', 32), "functions[1]", "damaged")
REFUSE(options, d->function[0].noptions = 9, "functions[0]", "options")
REFUSE(option_empty, d->function[0].noptions = 1, "functions[0]", "option")
REFUSE(option_unknown, (d->function[1].noptions = 1, strcpy(d->function[1].option[0].key, "x")), "functions[1]", "x")

static void refusals(void **state)
{
	static const struct refusal *const all[] = {
		&magic_case, &size_case, &name_empty_case, &name_endless_case, &name_slash_case, &title_endless_case,
		&no_iommus_case, &many_iommus_case, &many_functions_case, &same_name_case, &vendor_case, &segment_case,
		&iommu_name_endless_case, &bad_bool_case, &bad_last_bool_case, &haw_case, &levels_case, &erratum_case,
		&prq_without_ats_case, &x2apic_alone_case, &bad_new_bool_case,
		&iommu_index_case, &function_segment_case, &same_address_case, &group_case, &model_case,
		&model_endless_case, &options_case, &option_empty_case, &option_unknown_case,
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct nb_desc *d = copy_of("spr");
		struct nb_diag why = {""};
		char what[32];

		all[i]->change(d);
		assert_int_equal(nb_desc_check(d, what, &why), -EINVAL);
		assert_string_equal(what, all[i]->what);
		if (!strstr(why.msg, all[i]->words))
			fail_msg("\"%s\" does not say \"%s\"", why.msg, all[i]->words);
		assert_int_equal(nb_desc_check(d, NULL, NULL), -EINVAL);
		nb_free(d);
	}
}

/* Bytes from a file: any of them may be anything. What passes must survive what a reader does with it. */
static void damaged_bytes(void **state)
{
	struct nb_desc *d = copy_of("spr");
	unsigned int seed = 1, round, passed = 0;

	(void)state;
	for (round = 0; round < 6000; round++) {
		unsigned int flips = 1 + rand_r(&seed) % 3, i;
		uint32_t f;

		*d = *nb_desc_find("spr");
		for (i = 0; i < flips; i++) {
			/* Mostly where the contents are: the head, the units, the first functions. */
			size_t at = (size_t)rand_r(&seed) % (round % 4 ? offsetof(struct nb_desc, function[5]) : sizeof(*d));

			((uint8_t *)d)[at] = (uint8_t)rand_r(&seed);
		}
		if (nb_desc_check(d, NULL, NULL))
			continue;
		passed++;
		for (f = 0; f < d->nfunctions; f++)
			assert_true(d->function[f].iommu < d->niommus);
		for (f = 0; f < d->niommus; f++) {
			struct vtd_caps caps;

			desc_vtd_caps(&d->iommu[f].vtd, &caps);
			assert_int_equal(vtd_caps_check(&caps, NULL), 0);
		}
	}
	assert_true(passed > 30 && passed < round);
	nb_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(built_in),
		cmocka_unit_test(spr_registers),
		cmocka_unit_test(refusals),
		cmocka_unit_test(damaged_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
