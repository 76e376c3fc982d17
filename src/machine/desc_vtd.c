/* SPDX-License-Identifier: BSD-3-Clause */
/* VT-d units in descriptions: their keys, what goes together, and from there to the model's capability structure. */
#include "machine/desc_vtd.h"

#include <errno.h>

#include "base/bits.h"
#include "base/diag.h"
#include "machine/desc_vendor.h"

/* X(key, kind, member, what it is) */
#define VTD_KEYS(X)                                                                                           \
	X("haw", NUMBER, haw, "host address width")                                                           \
	X("mgaw", NUMBER, mgaw, "guest address width of the second stage: 39, 48 or 57")                      \
	X("levels", EITHER, levels5, "most levels of a table: 4 or 5")                                        \
	X("domain-bits", NUMBER, nd_lg2, "log2 of the number of domain ids")                                  \
	X("pasid-bits", NUMBER, pasid_bits, "width of a PASID, 0: none")                                      \
	X("scalable", BOOL, scalable, "scalable mode")                                                        \
	X("first-stage", BOOL, first_stage, "first-stage translation")                                        \
	X("second-stage", BOOL, second_stage, "second-stage translation")                                     \
	X("nested", BOOL, nested, "nested translation")                                                       \
	X("pass-through", BOOL, pass_through, "pass-through")                                                 \
	X("fs-1g", BOOL, fs_1g, "1 GiB pages in the first stage")                                             \
	X("ss-2m", BOOL, ss_2m, "2 MiB pages in the second stage")                                            \
	X("ss-1g", BOOL, ss_1g, "1 GiB pages in the second stage")                                            \
	X("coherent", BOOL, coherent, "table walks snoop the caches")                                         \
	X("snoop-control", BOOL, snoop_control, "snooping can be forced")                                     \
	X("ss-dirty", BOOL, ss_dirty, "accessed and dirty bits in the second stage")                          \
	X("ext-access", BOOL, ext_access, "extended-accessed bits in the first stage")                        \
	X("rid-pasid", BOOL, rid_pasid, "requests without PASID may use any PASID's entry")                   \
	X("supervisor", BOOL, supervisor, "supervisor requests")                                              \
	X("exec-request", BOOL, exec_request, "execute requests")                                             \
	X("device-tlb", BOOL, device_tlb, "device TLBs (ATS)")                                                \
	X("no-write-flag", BOOL, no_write_flag, "translation requests can say that nothing will be written")   \
	X("page-requests", BOOL, page_requests, "a queue of page requests (PRI)")                             \
	X("interrupt-remapping", BOOL, intr_remap, "interrupt remapping")                                     \
	X("x2apic", BOOL, x2apic, "interrupts to 32-bit APIC ids")                                            \
	X("protected-low", BOOL, pmr_low, "a protected memory region below 4 GiB")                            \
	X("protected-high", BOOL, pmr_high, "a protected memory region anywhere")                             \
	X("caching-mode", BOOL, caching_mode, "not-present entries may be cached")                            \
	X("write-buffer-flush", BOOL, write_buffer_flush, "writes to tables must be flushed")                 \
	X("fault-records", NUMBER, fault_records, "fault recording registers, 1 to 64")

static const struct desc_key keys[] = {
#define X(key, k, member, text) {key, DESC_KEY_##k, offsetof(struct nb_desc_vtd, member), text, {4, 5}, {NULL}},
	VTD_KEYS(X)
#undef X
	{NULL, DESC_KEY_NUMBER, 0, NULL, {0, 0}, {NULL}},
};

static const struct desc_erratum errata[] = {
	{772415, offsetof(struct nb_desc_vtd, erratum_772415)},
	{0, 0},
};

void desc_vtd_caps(const struct nb_desc_vtd *v, struct vtd_caps *out)
{
	*out = (struct vtd_caps){
		.haw = v->haw,
		.mgaw = v->mgaw,
		.nd_lg2 = v->nd_lg2,
		.pasid_bits = v->pasid_bits,
		.levels5 = v->levels5,
		.scalable = v->scalable,
		.first_stage = v->first_stage,
		/* ECAP's bit is about scalable mode; without it there is nothing but second-stage tables. */
		.second_stage = v->second_stage && v->scalable,
		.nested = v->nested,
		.pass_through = v->pass_through,
		.fs_1g = v->fs_1g,
		.ss_2m = v->ss_2m,
		.ss_1g = v->ss_1g,
		.coherent = v->coherent,
		.snoop_control = v->snoop_control,
		.ss_dirty = v->ss_dirty,
		.ext_access = v->ext_access,
		.supervisor = v->supervisor,
		.exec_request = v->exec_request,
		.device_tlb = v->device_tlb,
		.caching_mode = v->caching_mode,
		.write_buffer_flush = v->write_buffer_flush,
		.fault_records = v->fault_records,
		.page_requests = v->page_requests,
		/* These two say nothing where what they refine is off. */
		.no_write_flag = v->no_write_flag && v->device_tlb,
		.rid_pasid = v->rid_pasid && v->scalable,
		.intr_remap = v->intr_remap,
		.x2apic = v->x2apic,
		.pmr_low = v->pmr_low,
		.pmr_high = v->pmr_high,
	};
}

/* Which capability presupposes which, in the words of the description. */
static int check_vtd_rules(const struct nb_desc_vtd *v, struct nb_diag *diag)
{
	const struct {
		bool has, needs;
		const char *why;
	} rules[] = {
		{v->first_stage, v->scalable, "first-stage needs scalable mode"},
		{v->nested, v->scalable, "nested needs scalable mode"},
		{v->nested, v->first_stage, "nested needs first-stage"},
		{v->nested, v->second_stage, "nested needs second-stage"},
		{v->pasid_bits != 0, v->scalable, "pasid-bits needs scalable mode"},
		{v->ss_dirty, v->scalable, "ss-dirty needs scalable mode"},
		{v->ss_dirty, v->second_stage, "ss-dirty needs second-stage"},
		{v->ext_access, v->first_stage, "ext-access needs first-stage"},
		{v->supervisor, v->first_stage, "supervisor needs first-stage"},
		{v->exec_request, v->pasid_bits != 0, "exec-request needs pasid-bits"},
		{v->fs_1g, v->first_stage, "fs-1g needs first-stage"},
		{v->ss_2m || v->ss_1g, v->second_stage, "ss-2m and ss-1g need second-stage"},
		{v->ss_1g, v->ss_2m, "ss-1g needs ss-2m"},
		{v->mgaw == 57, v->levels5, "mgaw 57 needs levels 5"},
		{v->levels5, v->mgaw == 57, "levels 5 needs mgaw 57"},
		{!v->scalable, v->second_stage, "a unit without scalable mode needs second-stage"},
		{true, v->first_stage || v->second_stage, "a unit needs first-stage or second-stage"},
		{v->page_requests, v->device_tlb, "page-requests needs device-tlb"},
		{v->page_requests, v->scalable, "page-requests needs scalable mode"},
		{v->x2apic, v->intr_remap, "x2apic needs interrupt-remapping"},
		{v->erratum_772415, v->nested, "erratum 772415 needs nested"},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rules); i++)
		if (rules[i].has && !rules[i].needs)
			return nb_fail(diag, -EINVAL, "%s", rules[i].why);
	return 0;
}

/* VT-d 10.4.2, 10.4.3: what the fields can say. */
static int check(const void *part, struct nb_diag *diag)
{
	const struct nb_desc_vtd *v = part;
	struct vtd_caps caps;
	int err;

	/* The virtual host's physical addresses are those of a process, and these have 47 bits. */
	if (v->haw < 47 || v->haw > 52)
		return nb_fail(diag, -EINVAL, "haw is %u, must be 47 to 52", v->haw);
	if (v->mgaw != 39 && v->mgaw != 48 && v->mgaw != 57)
		return nb_fail(diag, -EINVAL, "mgaw is %u, must be 39, 48 or 57", v->mgaw);
	if (v->nd_lg2 < 4 || v->nd_lg2 > 16 || v->nd_lg2 % 2 != 0)
		return nb_fail(diag, -EINVAL, "domain-bits is %u, must be 4, 6, 8, 10, 12, 14 or 16", v->nd_lg2);
	if (v->pasid_bits > 20)
		return nb_fail(diag, -EINVAL, "pasid-bits is %u, must be 0 to 20", v->pasid_bits);
	if (v->fault_records < 1 || v->fault_records > 64)
		return nb_fail(diag, -EINVAL, "fault-records is %u, must be 1 to 64", v->fault_records);
	err = check_vtd_rules(v, diag);
	if (err)
		return err;
	/* The model has the last word, so that what passes here can be built. */
	desc_vtd_caps(v, &caps);
	return vtd_caps_check(&caps, diag);
}

static unsigned int address_bits(const void *part)
{
	const struct nb_desc_vtd *v = part;

	return v->haw;
}

static bool device_tlb(const void *part)
{
	const struct nb_desc_vtd *v = part;

	return v->device_tlb;
}

const struct desc_vendor desc_vendor_vtd = {
	.id = NB_DESC_VTD,
	.name = "vtd",
	.title = "a VT-d unit",
	.size = sizeof(struct nb_desc_vtd),
	.keys = keys,
	.errata = errata,
	.standard = &desc_spr_fixed,
	.check = check,
	.rmrr_align = 4096,
	.address_bits = address_bits,
	.device_tlb = device_tlb,
};
