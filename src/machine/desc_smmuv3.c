/* SPDX-License-Identifier: BSD-3-Clause */
/* SMMUv3 units in descriptions: their keys, what goes together, and from there to the model's capability structure. */
#include "machine/desc_smmuv3.h"

#include <errno.h>

#include "base/bits.h"
#include "base/diag.h"
#include "machine/desc_vendor.h"
#include "spec/smmuv3/iort.h"
#include "spec/smmuv3/regs.h"

/* Indices of the words are what ID registers hold: IHI 0070, IDR0.HTTU and IDR0.STALL_MODEL. */
_Static_assert(SMMU_HTTU_NONE == 0 && SMMU_HTTU_A == 1 && SMMU_HTTU_AD == 2, "");
_Static_assert(SMMU_STALL_BOTH == 0 && SMMU_STALL_NEVER == 1 && SMMU_STALL_ALWAYS == 2, "");

#define EITHER(a, b) {a, b}, {NULL}
#define WORDS(...)   {0, 0}, {__VA_ARGS__}
#define PLAIN	     {0, 0}, {NULL}

/* X(key, kind, member, what it is, EITHER or WORDS or PLAIN) */
#define SMMU_KEYS(X)                                                                                                      \
	X("stage-1", BOOL, s1, "stage 1 translation", PLAIN)                                                              \
	X("stage-2", BOOL, s2, "stage 2 translation; with stage 1: nested", PLAIN)                                        \
	X("oas", NUMBER, oas, "output address size: 48 or 52", PLAIN)                                                     \
	X("va-bits", EITHER, vax52, "virtual address size: 48 or 52", EITHER(48, 52))                                     \
	X("granule-4k", BOOL, gran4k, "4 KiB granule", PLAIN)                                                             \
	X("granule-16k", BOOL, gran16k, "16 KiB granule", PLAIN)                                                          \
	X("granule-64k", BOOL, gran64k, "64 KiB granule", PLAIN)                                                          \
	X("ds", BOOL, ds, "52-bit addresses with 4 and 16 KiB granules", PLAIN)                                           \
	X("asid16", BOOL, asid16, "16-bit ASIDs, else 8", PLAIN)                                                          \
	X("vmid16", BOOL, vmid16, "16-bit VMIDs, else 8", PLAIN)                                                          \
	X("sid-bits", NUMBER, sid_bits, "width of a StreamID", PLAIN)                                                     \
	X("ssid-bits", NUMBER, ssid_bits, "width of a SubstreamID (PASID), 0: none", PLAIN)                               \
	X("stream-2level", BOOL, st_2level, "stream tables of two levels", PLAIN)                                         \
	X("cd-2level", BOOL, cd_2level, "context descriptor tables of two levels", PLAIN)                                 \
	X("httu", WORD, httu, "what walks update: none, access flag, access and dirty", WORDS("none", "access", "dirty")) \
	X("ats", BOOL, ats, "device TLBs (ATS)", PLAIN)                                                                   \
	X("ns1ats", BOOL, ns1ats, "no split-stage ATS", PLAIN)                                                            \
	X("ats-rec-err", BOOL, ats_rec_err, "configuration errors of ATS requests are recorded", PLAIN)                   \
	X("pasidtt", BOOL, pasidtt, "translated requests may carry a PASID", PLAIN)                                       \
	X("pri", BOOL, pri, "a queue of page requests (PRI)", PLAIN)                                                      \
	X("pps", BOOL, pps, "automatic page responses carry the PASID of the request", PLAIN)                             \
	X("stall-model", WORD, stall_model, "faults can wait for software: optional, none, forced",                       \
	  WORDS("optional", "none", "forced"))                                                                            \
	X("stalls", NUMBER, stall_max, "transactions that can wait at once, 0: as many as the model has", PLAIN)          \
	X("term-model", BOOL, no_term_model, "faults always abort, never read as zero", PLAIN)                            \
	X("cmdq-bits", NUMBER, cmdq_bits, "log2 of the longest command queue", PLAIN)                                     \
	X("evtq-bits", NUMBER, evtq_bits, "log2 of the longest event queue", PLAIN)                                       \
	X("priq-bits", NUMBER, priq_bits, "log2 of the longest queue of page requests", PLAIN)                            \
	X("ril", BOOL, ril, "range invalidation and level hints", PLAIN)                                                  \
	X("vmw", BOOL, vmw, "VMID wildcards", PLAIN)                                                                      \
	X("bbml", NUMBER, bbml, "break-before-make level, 0 to 2", PLAIN)                                                 \
	X("coherent", BOOL, coherent, "table walks snoop the caches", PLAIN)                                              \
	X("hyp", BOOL, hyp, "EL2 and E2H streams", PLAIN)                                                                 \
	X("msi", BOOL, msi, "interrupts as messages", PLAIN)                                                              \
	X("sev", BOOL, sev, "wake-up events", PLAIN)                                                                      \
	X("had", BOOL, had, "hierarchical permissions can be disabled", PLAIN)                                            \
	X("stt", BOOL, stt, "small translation tables", PLAIN)                                                            \
	X("fwb", BOOL, fwb, "stage 2 decides memory types", PLAIN)                                                        \
	X("xnx", BOOL, xnx, "stage 2 execute permission by privilege", PLAIN)                                             \
	X("e0pd", BOOL, e0pd, "E0PD: unprivileged requests to half of the addresses refused", PLAIN)                      \
	X("epan", BOOL, epan, "EPAN: PAN for executable pages", PLAIN)                                                    \
	X("attr-override", BOOL, attr_ovr, "streams can override attributes", PLAIN)                                      \
	X("big-endian", BOOL, big_endian, "tables of either endianness", PLAIN)                                           \
	X("ptwnnc", BOOL, ptwnnc, "walks never read device memory", PLAIN)                                                \
	X("ecmdq", BOOL, ecmdq, "a page of more command queues (ECMDQ)", PLAIN)                                           \
	X("cmdqv", BOOL, cmdqv, "command queues for guests (Tegra241 CMDQV)", PLAIN)                                      \
	X("guest-msi", BOOL, guest_msi, "guests may bind messages to their own doorbells: an extension of nestbox's", PLAIN) \
	X("minor", NUMBER, minor, "minor revision, 0: the first that has all of this", PLAIN)                             \
	X("iidr", NUMBER32, iidr, "implementer, product and revision, as in IIDR", PLAIN)

static const struct desc_key keys[] = {
#define X(key, k, member, text, ...) {key, DESC_KEY_##k, offsetof(struct nb_desc_smmuv3, member), text, __VA_ARGS__},
	SMMU_KEYS(X)
#undef X
	{NULL, DESC_KEY_NUMBER, 0, NULL, PLAIN},
};
_Static_assert(ARRAY_SIZE(keys) - 1 <= DESC_MAX_KEYS, "");

/* As many VINTFs, VCMDQs and slots as its registers have room for; of ECMDQs a page that is not crowded. */
#define CMDQV_VINTFS_LG2 6
#define CMDQV_VCMDQS_LG2 7
#define CMDQV_SIDS_LG2	 4
#define ECMDQ_QUEUES_LG2 5

static const struct desc_erratum errata[] = {{0, 0}};

void desc_smmuv3_caps(const struct nb_desc_smmuv3 *s, struct smmu_caps *out)
{
	*out = (struct smmu_caps){
		.oas = s->oas,
		.sid_bits = s->sid_bits,
		.ssid_bits = s->ssid_bits,
		.cmdq_lg2 = s->cmdq_bits,
		.evtq_lg2 = s->evtq_bits,
		.priq_lg2 = s->priq_bits,
		.httu = s->httu,
		.stall_model = s->stall_model,
		.s1 = s->s1,
		.s2 = s->s2,
		.asid16 = s->asid16,
		.vmid16 = s->vmid16,
		.gran4k = s->gran4k,
		.gran16k = s->gran16k,
		.gran64k = s->gran64k,
		.vax52 = s->vax52,
		.ds = s->ds,
		.st_2level = s->st_2level,
		.cd_2level = s->cd_2level,
		.ats = s->ats,
		.pri = s->pri,
		.hyp = s->hyp,
		.msi = s->msi,
		.sev = s->sev,
		.coherent = s->coherent,
		.ril = s->ril,
		.had = s->had,
		.stt = s->stt,
		.fwb = s->fwb,
		.xnx = s->xnx,
		.e0pd = s->e0pd,
		.epan = s->epan,
		.attr_ovr = s->attr_ovr,
		.minor = s->minor,
		.bbml = s->bbml,
		.stall_max = s->stall_max,
		.no_term_model = s->no_term_model,
		.ns1ats = s->ns1ats,
		.big_endian = s->big_endian,
		.vmw = s->vmw,
		.pps = s->pps,
		.ats_rec_err = s->ats_rec_err,
		.pasidtt = s->pasidtt,
		.ptwnnc = s->ptwnnc,
		.iidr = s->iidr,
		.ecmdq = s->ecmdq,
		.ecmdq_queues_lg2 = s->ecmdq ? ECMDQ_QUEUES_LG2 : 0,
		.cmdqv = s->cmdqv,
		.cmdqv_vintfs_lg2 = s->cmdqv ? CMDQV_VINTFS_LG2 : 0,
		.cmdqv_vcmdqs_lg2 = s->cmdqv ? CMDQV_VCMDQS_LG2 : 0,
		.cmdqv_sids_lg2 = s->cmdqv ? CMDQV_SIDS_LG2 : 0,
	};
}

/* Which capability presupposes which, in the words of the description. */
static int check_rules(const struct nb_desc_smmuv3 *s, struct nb_diag *diag)
{
	const struct {
		bool has, needs;
		const char *why;
	} rules[] = {
		{true, s->s1 || s->s2, "a unit needs stage-1 or stage-2"},
		{true, s->gran4k || s->gran16k || s->gran64k, "a unit needs granule-4k, granule-16k or granule-64k"},
		{s->asid16, s->s1, "asid16 needs stage-1"},
		{s->ssid_bits != 0, s->s1, "ssid-bits needs stage-1"},
		{s->hyp, s->s1, "hyp needs stage-1"},
		{s->e0pd || s->epan, s->s1, "e0pd and epan need stage-1"},
		{s->vmid16, s->s2, "vmid16 needs stage-2"},
		{s->vmw, s->s2, "vmw needs stage-2"},
		{s->fwb || s->xnx, s->s2, "fwb and xnx need stage-2"},
		{s->cd_2level, s->ssid_bits != 0, "cd-2level needs ssid-bits"},
		{s->ds, s->gran4k || s->gran16k, "ds needs granule-4k or granule-16k"},
		{s->pri, s->ats, "pri needs ats"},
		{s->pps, s->pri, "pps needs pri"},
		{s->ns1ats || s->ats_rec_err || s->pasidtt, s->ats, "ns1ats, ats-rec-err and pasidtt need ats"},
		{s->ns1ats, s->s1 && s->s2, "ns1ats needs stage-1 and stage-2"},
		{s->httu != SMMU_HTTU_NONE, s->coherent, "httu needs coherent"},
		{s->guest_msi, s->s1 && s->s2, "guest-msi needs stage-1 and stage-2"},
		{s->cmdqv, s->s1 && s->s2, "cmdqv needs stage-1 and stage-2"},
		{s->ecmdq, s->coherent && s->msi, "ecmdq needs coherent and msi"},
		{s->stall_max != 0, s->stall_model != SMMU_STALL_NEVER, "stalls needs a stall-model other than none"},
		{s->hyp, s->s2, "hyp needs stage-2"}, /* IDR0.Hyp is reserved otherwise */
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rules); i++)
		if (rules[i].has && !rules[i].needs)
			return nb_fail(diag, -EINVAL, "%s", rules[i].why);
	return 0;
}

static int check_range(const char *key, unsigned int v, unsigned int least, unsigned int most, struct nb_diag *diag)
{
	if (v >= least && v <= most)
		return 0;
	return nb_fail(diag, -EINVAL, "%s is %u, must be %u to %u", key, v, least, most);
}

static int check(const void *part, struct nb_diag *diag)
{
	const struct nb_desc_smmuv3 *s = part;
	struct smmu_caps caps;
	int err;

	/* The virtual host's physical addresses are those of a process, and these have 47 bits. */
	if (s->oas != 48 && s->oas != 52)
		return nb_fail(diag, -EINVAL, "oas is %u, must be 48 or 52", s->oas);
	err = check_range("sid-bits", s->sid_bits, 0, 32, diag);
	if (!err)
		err = check_range("ssid-bits", s->ssid_bits, 0, 20, diag);
	/* Linux's driver, and ours, sends 64 commands at a time. */
	if (!err)
		err = check_range("cmdq-bits", s->cmdq_bits, 7, SMMU_QS_MAX, diag);
	if (!err)
		err = check_range("evtq-bits", s->evtq_bits, 0, SMMU_QS_MAX, diag);
	if (!err)
		err = check_range("priq-bits", s->priq_bits, 0, SMMU_QS_MAX, diag);
	if (!err)
		err = check_range("bbml", s->bbml, 0, 2, diag);
	if (!err)
		err = check_range("minor", s->minor, 0, 15, diag);
	if (!err)
		err = check_range("stalls", s->stall_max, 0, SMMU_STALLS, diag);
	/* Words are in range when they come from YAML, but not when bytes do. */
	if (!err && (s->httu > SMMU_HTTU_AD || s->stall_model > SMMU_STALL_ALWAYS))
		err = nb_fail(diag, -EINVAL, "the description is damaged: httu or stall-model has no such value");
	if (!err)
		err = check_rules(s, diag);
	if (err)
		return err;
	/* The model has the last word, so that what passes here can be built. */
	desc_smmuv3_caps(s, &caps);
	return smmu_caps_check(&caps, diag);
}

static unsigned int address_bits(const void *part)
{
	const struct nb_desc_smmuv3 *s = part;

	return s->oas;
}

static bool device_tlb(const void *part)
{
	const struct nb_desc_smmuv3 *s = part;

	return s->ats;
}

const struct desc_vendor desc_vendor_smmuv3 = {
	.id = NB_DESC_SMMUV3,
	.name = "smmuv3",
	.title = "an SMMUv3",
	.size = sizeof(struct nb_desc_smmuv3),
	.keys = keys,
	.errata = errata,
	.standard = &desc_grace,
	.check = check,
	.rmrr_align = SMMU_IORT_RMR_ALIGN,
	.address_bits = address_bits,
	.device_tlb = device_tlb,
};
