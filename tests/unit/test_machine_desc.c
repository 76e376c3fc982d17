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
#include "hw/smmuv3/caps.h"
#include "machine/desc.h"
#include "machine/desc_smmuv3.h"
#include "machine/desc_vendor.h"
#include "machine/desc_vtd.h"

static struct nb_desc *copy_of(const struct nb_desc *from)
{
	struct nb_desc *d = nb_zalloc(sizeof(*d));

	assert_non_null(d);
	assert_non_null(from);
	*d = *from;
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
		assert_int_equal((*p)->nfunctions, 2 * (*p)->niommus); /* a disk and an engine behind each unit */
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

/* The same for the SMMUs: IHI 0070 6.3.1 to 6.3.6 by hand. */
static void grace_registers(void **state)
{
	struct smmu_idregs r;
	struct smmu_caps caps;
	struct nb_diag why;
	char what[32];

	(void)state;
	assert_int_equal(nb_desc_check(&desc_grace, what, &why), 0);
	assert_ptr_equal(nb_desc_find("grace"), &desc_grace);
	assert_int_equal(desc_grace.niommus, 3);
	desc_smmuv3_caps(&desc_grace.iommu[2].smmuv3, &caps);
	smmu_caps_regs(&caps, &r);
	assert_int_equal(r.idr0 & 3, 3);	   /* S1P, S2P */
	assert_int_equal(r.idr0 >> 2 & 3, 2);	   /* TTF */
	assert_int_equal(r.idr0 >> 4 & 1, 1);	   /* COHACC */
	assert_int_equal(r.idr0 >> 6 & 3, 2);	   /* HTTU */
	assert_int_equal(r.idr0 >> 10 & 1, 1);	   /* ATS */
	assert_int_equal(r.idr0 >> 12 & 1, 1);	   /* ASID16 */
	assert_int_equal(r.idr0 >> 16 & 1, 0);	   /* PRI */
	assert_int_equal(r.idr0 >> 18 & 3, 3);	   /* VMID16, CD2L */
	assert_int_equal(r.idr0 >> 27 & 3, 1);	   /* ST_LEVEL */
	assert_int_equal(r.idr1 & 63, 16);	   /* SIDSIZE */
	assert_int_equal(r.idr1 >> 6 & 31, 20);	   /* SSIDSIZE */
	assert_int_equal(r.idr1 >> 21 & 31, 19);   /* CMDQS */
	assert_int_equal(r.idr3 >> 10 & 1, 1);	   /* RIL */
	assert_int_equal(r.idr3 >> 11 & 3, 2);	   /* BBML */
	assert_int_equal(r.idr5 & 7, 6);	   /* OAS: 52 bits */
	assert_int_equal(r.idr5 >> 4 & 7, 7);	   /* granules */
	assert_int_equal(r.idr5 >> 10 & 3, 1);	   /* VAX: 52 bits */

	assert_int_equal(nb_desc_check(nb_desc_find("smmu-basic"), what, &why), 0);
	desc_smmuv3_caps(&nb_desc_find("smmu-basic")->iommu[0].smmuv3, &caps);
	smmu_caps_regs(&caps, &r);
	assert_int_equal(r.idr0 & 3, 3);
	assert_int_equal(r.idr0 >> 10 & 1, 0);
	assert_int_equal(r.idr0 >> 24 & 3, 1); /* STALL_MODEL */
	assert_int_equal(r.idr0 >> 27 & 3, 0);
	assert_int_equal(r.idr1 >> 6 & 31, 0);
	assert_int_equal(r.idr5 & 7, 5); /* 48 bits */
	assert_int_equal(r.idr5 >> 16, 0);
}

/* Each key is one member, no member has none, and every value that fits its key comes out of the capabilities again. */
static void every_member_has_a_key(void **state)
{
	static const struct {
		const struct desc_vendor *vendor;
		size_t size;
	} all[] = {{&desc_vendor_vtd, sizeof(struct nb_desc_vtd)}, {&desc_vendor_smmuv3, sizeof(struct nb_desc_smmuv3)}};
	size_t i, at;

	(void)state;
	for (i = 0; i < 2; i++) {
		uint8_t seen[128] = {0};
		const struct desc_erratum *e;
		const struct desc_key *k;

		assert_int_equal(all[i].vendor->size, all[i].size);
		assert_true(all[i].size <= sizeof(seen));
		for (k = all[i].vendor->keys; k->name; k++)
			for (at = 0; at < (k->kind == DESC_KEY_NUMBER32 ? 4 : 1); at++)
				assert_int_equal(seen[k->offset + at]++, 0);
		for (e = all[i].vendor->errata; e->number; e++)
			assert_int_equal(seen[e->offset]++, 0);
		/* Padding at the end alone. */
		for (at = 0; at < all[i].size && seen[at]; at++)
			;
		assert_true(all[i].size - at < 4);
		for (; at < all[i].size; at++)
			assert_int_equal(seen[at], 0);
	}
	/* Forgotten in desc_smmuv3_caps()? Each switch must show in the registers or in the capabilities. */
	for (at = 0; desc_vendor_smmuv3.keys[at].name; at++) {
		const struct desc_key *k = &desc_vendor_smmuv3.keys[at];
		struct nb_desc_smmuv3 s = {.oas = 48};
		struct smmu_caps a, b;

		if (strcmp(k->name, "guest-msi") == 0)
			continue; /* the host's */
		desc_smmuv3_caps(&s, &a);
		((uint8_t *)&s)[k->offset] ^= 1;
		desc_smmuv3_caps(&s, &b);
		if (memcmp(&a, &b, sizeof(a)) == 0)
			fail_msg("%s changes nothing", k->name);
	}
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
REFUSE(vendor, d->iommu[1].vendor = 3, "iommus[1]", "unknown vendor")
REFUSE(no_vendor, d->iommu[0].vendor = 0, "iommus[0]", "unknown vendor")
REFUSE(two_vendors, d->iommu[1] = desc_grace.iommu[1], "iommus[1]", "smmu1 is an SMMUv3")
REFUSE(segment, d->iommu[0].segment = 65536, "iommus[0]", "65536")
REFUSE(iommu_name_endless, memset(d->iommu[0].name, 'a', 32), "iommus[0]", "name")
REFUSE(bad_bool, memset(&d->iommu[1].vtd.nested, 2, 1), "iommus[1]", "damaged")
REFUSE(bad_last_bool, memset(&d->iommu[0].vtd.erratum_772415, 255, 1), "iommus[0]", "damaged")
REFUSE(haw, d->iommu[1].vtd.haw = 46, "iommus[1].capabilities", "haw")
REFUSE(levels, d->iommu[1].vtd.levels5 = false, "iommus[1].capabilities", "mgaw 57")
REFUSE(prq_without_ats, (d->iommu[1].vtd.device_tlb = false), "iommus[1].capabilities", "page-requests needs device-tlb")
REFUSE(x2apic_alone, (d->iommu[1].vtd.intr_remap = false), "iommus[1].capabilities", "x2apic needs interrupt-remapping")
REFUSE(bad_new_bool, memset(&d->iommu[1].vtd.pmr_high, 2, 1), "iommus[1]", "damaged")
REFUSE(erratum, (d->iommu[1].vtd.nested = false), "iommus[1].capabilities", "772415")
REFUSE(iommu_index, d->function[2].iommu = 2, "functions[2]", "IOMMU")
REFUSE(function_segment, d->function[3].segment = 1, "functions[3]", "segment")
REFUSE(same_address, d->function[3].rid = 0x0100, "functions[3]", "0000:01:00.0")
REFUSE(group, d->function[3].group = 0, "functions[3]", "group 0")
REFUSE(model, strcpy(d->function[1].model, "none"), "functions[1]", "none")
REFUSE(model_endless, memset(d->function[1].model, 'n', 32), "functions[1]", "damaged")
REFUSE(options, d->function[0].noptions = 9, "functions[0]", "options")
REFUSE(option_empty, d->function[0].noptions = 1, "functions[0]", "option")
REFUSE(option_unknown, (d->function[1].noptions = 1, strcpy(d->function[1].option[0].key, "x")), "functions[1]", "x")

REFUSE(s_oas, d->iommu[1].smmuv3.oas = 44, "iommus[1].capabilities", "oas is 44")
REFUSE(s_sid, d->iommu[1].smmuv3.sid_bits = 33, "iommus[1].capabilities", "sid-bits is 33")
REFUSE(s_ssid, d->iommu[1].smmuv3.ssid_bits = 21, "iommus[1].capabilities", "ssid-bits is 21")
REFUSE(s_cmdq, d->iommu[1].smmuv3.cmdq_bits = 6, "iommus[1].capabilities", "cmdq-bits is 6")
REFUSE(s_evtq, d->iommu[1].smmuv3.evtq_bits = 20, "iommus[1].capabilities", "evtq-bits is 20")
REFUSE(s_priq, d->iommu[1].smmuv3.priq_bits = 20, "iommus[1].capabilities", "priq-bits is 20")
REFUSE(s_bbml, d->iommu[1].smmuv3.bbml = 3, "iommus[1].capabilities", "bbml is 3")
REFUSE(s_minor, d->iommu[1].smmuv3.minor = 16, "iommus[1].capabilities", "minor is 16")
REFUSE(s_stalls, d->iommu[1].smmuv3.stall_max = 65, "iommus[1].capabilities", "stalls is 65")
REFUSE(s_httu, d->iommu[1].smmuv3.httu = 3, "iommus[1].capabilities", "damaged")
REFUSE(s_model, d->iommu[1].smmuv3.stall_model = 3, "iommus[1].capabilities", "damaged")
REFUSE(s_bool, memset(&d->iommu[1].smmuv3.cmdqv, 2, 1), "iommus[1]", "damaged")
REFUSE(s_either, memset(&d->iommu[1].smmuv3.vax52, 2, 1), "iommus[1]", "damaged")
REFUSE(s_stages, (d->iommu[1].smmuv3.s1 = d->iommu[1].smmuv3.s2 = false), "iommus[1].capabilities", "stage-1 or stage-2")
REFUSE(s_stage1, (d->iommu[1].smmuv3.s1 = false), "iommus[1].capabilities", "needs stage-1")
REFUSE(s_stage2, (d->iommu[1].smmuv3.s2 = false), "iommus[1].capabilities", "vmid16 needs stage-2")
REFUSE(s_cd2l, (d->iommu[1].smmuv3.ssid_bits = 0), "iommus[1].capabilities", "cd-2level needs ssid-bits")
REFUSE(s_pri, (d->iommu[1].smmuv3.pri = true, d->iommu[1].smmuv3.ats = false), "iommus[1].capabilities", "pri needs ats")
REFUSE(s_pps, (d->iommu[1].smmuv3.pps = true), "iommus[1].capabilities", "pps needs pri")
REFUSE(s_coherent, (d->iommu[1].smmuv3.coherent = false), "iommus[1].capabilities", "httu needs coherent")
REFUSE(s_ds, (d->iommu[1].smmuv3.gran4k = d->iommu[1].smmuv3.gran16k = false), "iommus[1].capabilities", "ds needs granule")
REFUSE(s_cmdqv, (d->iommu[1].smmuv3.s2 = d->iommu[1].smmuv3.vmid16 = d->iommu[1].smmuv3.xnx = false), "iommus[1].capabilities", "cmdqv needs")
REFUSE(s_ecmdq, (d->iommu[1].smmuv3.ecmdq = true, d->iommu[1].smmuv3.msi = false), "iommus[1].capabilities", "ecmdq needs")
REFUSE(s_rmrr, (d->function[4].nrmrrs = 1, d->function[4].rmrr[0] = (struct nb_desc_rmrr){1ull << 52, 65536}), "functions[4]",
       "52 bits")

REFUSE(s_rmrr_part, (d->function[4].nrmrrs = 1, d->function[4].rmrr[0] = (struct nb_desc_rmrr){4096, 65536}), "functions[4]",
       "multiples of 65536")

static void refuse_all(const struct nb_desc *good, const struct refusal *const *all, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		struct nb_desc *d = copy_of(good);
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

static void refusals_smmuv3(void **state)
{
	static const struct refusal *const all[] = {
		&s_oas_case, &s_sid_case, &s_ssid_case, &s_cmdq_case, &s_evtq_case, &s_priq_case, &s_bbml_case, &s_minor_case,
		&s_stalls_case, &s_httu_case, &s_model_case, &s_bool_case, &s_either_case, &s_stages_case, &s_stage1_case,
		&s_stage2_case, &s_cd2l_case, &s_pri_case, &s_pps_case, &s_coherent_case, &s_ds_case, &s_cmdqv_case, &s_ecmdq_case, &s_rmrr_case,
		&s_rmrr_part_case,
	};

	(void)state;
	refuse_all(&desc_grace, all, sizeof(all) / sizeof(all[0]));
}

static void refusals(void **state)
{
	static const struct refusal *const all[] = {
		&magic_case, &size_case, &name_empty_case, &name_endless_case, &name_slash_case, &title_endless_case,
		&no_iommus_case, &many_iommus_case, &many_functions_case, &same_name_case, &vendor_case, &no_vendor_case,
		&two_vendors_case, &segment_case,
		&iommu_name_endless_case, &bad_bool_case, &bad_last_bool_case, &haw_case, &levels_case, &erratum_case,
		&prq_without_ats_case, &x2apic_alone_case, &bad_new_bool_case,
		&iommu_index_case, &function_segment_case, &same_address_case, &group_case, &model_case,
		&model_endless_case, &options_case, &option_empty_case, &option_unknown_case,
	};

	(void)state;
	refuse_all(nb_desc_find("spr"), all, sizeof(all) / sizeof(all[0]));
}

/* Bytes from a file: any of them may be anything. What passes must survive what a reader does with it. */
static void damage(const struct nb_desc *good)
{
	struct nb_desc *d = copy_of(good);
	unsigned int seed = 1, round, passed = 0;

	for (round = 0; round < 6000; round++) {
		unsigned int flips = 1 + rand_r(&seed) % 3, i;
		uint32_t f;

		*d = *good;
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
			struct vtd_caps vtd;
			struct smmu_caps smmu;

			assert_true(d->iommu[f].vendor == NB_DESC_VTD || d->iommu[f].vendor == NB_DESC_SMMUV3);
			if (d->iommu[f].vendor == NB_DESC_VTD) {
				desc_vtd_caps(&d->iommu[f].vtd, &vtd);
				assert_int_equal(vtd_caps_check(&vtd, NULL), 0);
			} else {
				desc_smmuv3_caps(&d->iommu[f].smmuv3, &smmu);
				assert_int_equal(smmu_caps_check(&smmu, NULL), 0);
			}
		}
	}
	assert_true(passed > 30 && passed < round);
	nb_free(d);
}

static void damaged_bytes(void **state)
{
	(void)state;
	damage(nb_desc_find("spr"));
	damage(&desc_grace);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(built_in),
		cmocka_unit_test(spr_registers),
		cmocka_unit_test(grace_registers),
		cmocka_unit_test(every_member_has_a_key),
		cmocka_unit_test(refusals),
		cmocka_unit_test(refusals_smmuv3),
		cmocka_unit_test(damaged_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
