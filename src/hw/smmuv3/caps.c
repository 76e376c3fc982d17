/* SPDX-License-Identifier: BSD-3-Clause */
#include "hw/smmuv3/caps.h"

#include <errno.h>

#include "base/bits.h"
#include "spec/smmuv3/regs.h"

static const uint8_t oas_bits[] = {32, 36, 40, 42, 44, 48, 52};

void smmu_caps_all(struct smmu_caps *c)
{
	*c = (struct smmu_caps){
		.oas = 52,
		.sid_bits = 16,
		.ssid_bits = 20,
		.cmdq_lg2 = 19,
		.evtq_lg2 = 19,
		.priq_lg2 = 19,
		.httu = SMMU_HTTU_AD,
		.stall_model = SMMU_STALL_BOTH,
		.s1 = true,
		.s2 = true,
		.asid16 = true,
		.vmid16 = true,
		.gran4k = true,
		.gran16k = true,
		.gran64k = true,
		.vax52 = true,
		.ds = true,
		.st_2level = true,
		.cd_2level = true,
		.ats = true,
		.pri = true,
		.hyp = true,
		.msi = true,
		.sev = true,
		.coherent = true,
		.ril = true,
		.had = true,
		.stt = true,
		.fwb = true,
		.xnx = true,
		.e0pd = true,
		.epan = true,
		.attr_ovr = true,
		.bbml = 2,
		.vmw = true,
		.ats_rec_err = true,
	};
}

/* 3.2 and the field descriptions of 6.3: the first minor revision that has all of it. */
static uint8_t minor_of(const struct smmu_caps *c)
{
	if (c->minor)
		return c->minor;
	if (c->ds || c->epan || c->pasidtt || c->ats_rec_err || c->ecmdq)
		return 3;
	return c->ril || c->fwb || c->stt || c->e0pd || c->bbml ? 2 : 1;
}

int smmu_caps_check(const struct smmu_caps *c, struct nb_diag *diag)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(oas_bits) && oas_bits[i] != c->oas; i++)
		;
	if (i == ARRAY_SIZE(oas_bits))
		return nb_fail(diag, -EINVAL, "SMMUv3: output addresses of %u bits (32, 36, 40, 42, 44, 48, 52 exist)", c->oas);
	if (c->sid_bits > 32)
		return nb_fail(diag, -EINVAL, "SMMUv3: StreamIDs of %u bits (32 is the most)", c->sid_bits);
	if (c->ssid_bits > 20)
		return nb_fail(diag, -EINVAL, "SMMUv3: SubstreamIDs of %u bits (20 is the most)", c->ssid_bits);
	if (c->cmdq_lg2 > SMMU_QS_MAX || c->evtq_lg2 > SMMU_QS_MAX || c->priq_lg2 > SMMU_QS_MAX)
		return nb_fail(diag, -EINVAL, "SMMUv3: a queue of more than 2^%u entries", SMMU_QS_MAX);
	if (c->httu > SMMU_HTTU_AD)
		return nb_fail(diag, -EINVAL, "SMMUv3: HTTU %u (0 to 2 are modelled)", c->httu);
	if (c->stall_model > SMMU_STALL_ALWAYS)
		return nb_fail(diag, -EINVAL, "SMMUv3: STALL_MODEL %u is reserved", c->stall_model);
	if (c->bbml > 2)
		return nb_fail(diag, -EINVAL, "SMMUv3: BBML %u is reserved", c->bbml);
	if (c->minor > 15)
		return nb_fail(diag, -EINVAL, "SMMUv3: minor revision %u", c->minor);
	if (!c->s1 && !c->s2)
		return nb_fail(diag, -EINVAL, "SMMUv3: neither stage is there");
	if (!c->gran4k && !c->gran16k && !c->gran64k)
		return nb_fail(diag, -EINVAL, "SMMUv3: no translation granule");
	if (!c->s1 && (c->hyp || c->ssid_bits || c->cd_2level))
		return nb_fail(diag, -EINVAL, "SMMUv3: a feature of stage 1 without stage 1");
	if (!c->s2 && (c->fwb || c->xnx || c->vmid16 || c->vmw || c->hyp))
		return nb_fail(diag, -EINVAL, "SMMUv3: a feature of stage 2 without stage 2");
	if (!c->ssid_bits && c->cd_2level)
		return nb_fail(diag, -EINVAL, "SMMUv3: two-level CD tables without SubstreamIDs");
	if (c->ds && !c->gran4k && !c->gran16k)
		return nb_fail(diag, -EINVAL, "SMMUv3: DS without a 4 or 16 KiB granule");
	if (c->pri && !c->ats)
		return nb_fail(diag, -EINVAL, "SMMUv3: page requests without ATS");
	if (c->ns1ats && !(c->ats && c->s1 && c->s2))
		return nb_fail(diag, -EINVAL, "SMMUv3: NS1ATS without ATS and both stages");
	if ((c->ats_rec_err || c->pasidtt) && !c->ats)
		return nb_fail(diag, -EINVAL, "SMMUv3: a feature of ATS without ATS");
	if (c->stall_max > SMMU_STALLS)
		return nb_fail(diag, -EINVAL, "SMMUv3: %u stalled transactions (%u is the most)", c->stall_max, SMMU_STALLS);
	if (c->httu && !c->coherent)
		return nb_fail(diag, -EINVAL, "SMMUv3: updates of access flag and dirty state need coherent walks");
	if (c->ecmdq && !(c->coherent && c->msi))
		return nb_fail(diag, -EINVAL, "SMMUv3: ECMDQ without coherent accesses and MSIs");
	if (c->ecmdq_pages_lg2 > 8 || c->ecmdq_queues_lg2 > 8)
		return nb_fail(diag, -EINVAL, "SMMUv3: more than 2^8 control pages of 2^8 command queues");
	if (c->cmdqv && !(c->s1 && c->s2))
		return nb_fail(diag, -EINVAL, "SMMUv3: a CMDQ-V without both stages");
	if (c->cmdqv_vintfs_lg2 > 6 || c->cmdqv_vcmdqs_lg2 > 7 || c->cmdqv_sids_lg2 > 4)
		return nb_fail(diag, -EINVAL, "CMDQ-V: more than 2^6 VINTFs, 2^7 VCMDQs or 2^4 StreamIDs of a VINTF");
	if (c->cmdqv_vintfs_lg2 > c->cmdqv_vcmdqs_lg2)
		return nb_fail(diag, -EINVAL, "CMDQ-V: more VINTFs than VCMDQs");
	return 0;
}

void smmu_caps_regs(const struct smmu_caps *c, struct smmu_idregs *out)
{
	unsigned int oas = 0;
	uint64_t r;

	while (oas + 1 < ARRAY_SIZE(oas_bits) && oas_bits[oas] != c->oas)
		oas++;
	r = (c->s2 ? SMMU_IDR0_S2P : 0) | (c->s1 ? SMMU_IDR0_S1P : 0) | FIELD_C(SMMU_IDR0_TTF, SMMU_TTF_AA64) |
	    (c->coherent ? SMMU_IDR0_COHACC : 0) | FIELD(SMMU_IDR0_HTTU, c->httu) | (c->hyp ? SMMU_IDR0_HYP : 0) |
	    (c->ats ? SMMU_IDR0_ATS : 0) | (c->ns1ats ? SMMU_IDR0_NS1ATS : 0) | (c->asid16 ? SMMU_IDR0_ASID16 : 0) |
	    (c->msi ? SMMU_IDR0_MSI : 0) | (c->sev ? SMMU_IDR0_SEV : 0) | (c->pri ? SMMU_IDR0_PRI : 0) |
	    (c->vmw ? SMMU_IDR0_VMW : 0) | (c->vmid16 ? SMMU_IDR0_VMID16 : 0) | (c->cd_2level ? SMMU_IDR0_CD2L : 0) |
	    FIELD(SMMU_IDR0_TTENDIAN, c->big_endian ? SMMU_TTENDIAN_MIXED : SMMU_TTENDIAN_LITTLE) |
	    (c->ats_rec_err ? SMMU_IDR0_ATSRECERR : 0) | FIELD(SMMU_IDR0_STALL_MODEL, c->stall_model) |
	    (c->no_term_model ? SMMU_IDR0_TERM_MODEL : 0) |
	    FIELD(SMMU_IDR0_ST_LEVEL, c->st_2level ? SMMU_ST_2LEVEL : SMMU_ST_LINEAR);
	out->idr0 = (uint32_t)r;
	r = FIELD(SMMU_IDR1_SIDSIZE, c->sid_bits) | FIELD(SMMU_IDR1_SSIDSIZE, c->ssid_bits) |
	    FIELD(SMMU_IDR1_PRIQS, c->pri ? c->priq_lg2 : 0) | FIELD(SMMU_IDR1_EVENTQS, c->evtq_lg2) |
	    FIELD(SMMU_IDR1_CMDQS, c->cmdq_lg2) | (c->attr_ovr ? SMMU_IDR1_ATTR_PERMS_OVR | SMMU_IDR1_ATTR_TYPES_OVR : 0) |
	    (c->ecmdq ? SMMU_IDR1_ECMDQ : 0);
	out->idr1 = (uint32_t)r;
	out->idr2 = 0;
	r = (c->had ? SMMU_IDR3_HAD : 0) | (c->xnx ? SMMU_IDR3_XNX : 0) | (c->pps ? SMMU_IDR3_PPS : 0) |
	    (c->fwb ? SMMU_IDR3_FWB : 0) | (c->stt ? SMMU_IDR3_STT : 0) | (c->ril ? SMMU_IDR3_RIL : 0) |
	    FIELD(SMMU_IDR3_BBML, c->bbml) | (c->e0pd ? SMMU_IDR3_E0PD : 0) | (c->ptwnnc ? SMMU_IDR3_PTWNNC : 0) |
	    (c->pasidtt ? SMMU_IDR3_PASIDTT : 0) | (c->epan ? SMMU_IDR3_EPAN : 0);
	out->idr3 = (uint32_t)r;
	out->idr4 = 0;
	r = FIELD(SMMU_IDR5_OAS, oas) | (c->gran4k ? SMMU_IDR5_GRAN4K : 0) | (c->gran16k ? SMMU_IDR5_GRAN16K : 0) |
	    (c->gran64k ? SMMU_IDR5_GRAN64K : 0) | (c->ds ? SMMU_IDR5_DS : 0) |
	    FIELD(SMMU_IDR5_VAX, c->vax52 ? SMMU_VAX_52 : SMMU_VAX_48) |
	    FIELD(SMMU_IDR5_STALL_MAX, c->stall_model == SMMU_STALL_NEVER ? 0 : c->stall_max ? c->stall_max : SMMU_STALLS);
	out->idr5 = (uint32_t)r;
	r = c->ecmdq ? FIELD(SMMU_IDR6_LOG2NUMQ, c->ecmdq_queues_lg2) | FIELD(SMMU_IDR6_LOG2NUMP, c->ecmdq_pages_lg2) : 0;
	out->idr6 = (uint32_t)r;
	out->iidr = c->iidr ? c->iidr : SMMU_IIDR;
	out->aidr = (uint32_t)FIELD(SMMU_AIDR_MINOR, minor_of(c));
}

void smmu_caps_from_regs(const struct smmu_idregs *r, struct smmu_caps *out)
{
	uint64_t oas = FIELD_GET(SMMU_IDR5_OAS, r->idr5), httu = FIELD_GET(SMMU_IDR0_HTTU, r->idr0);
	uint64_t ssid = FIELD_GET(SMMU_IDR1_SSIDSIZE, r->idr1), sid = FIELD_GET(SMMU_IDR1_SIDSIZE, r->idr1);
	uint64_t stalls = FIELD_GET(SMMU_IDR5_STALL_MAX, r->idr5), minor = FIELD_GET(SMMU_AIDR_MINOR, r->aidr);
	uint64_t endian = FIELD_GET(SMMU_IDR0_TTENDIAN, r->idr0), model = FIELD_GET(SMMU_IDR0_STALL_MODEL, r->idr0);
	uint64_t cmdqs = FIELD_GET(SMMU_IDR1_CMDQS, r->idr1), evtqs = FIELD_GET(SMMU_IDR1_EVENTQS, r->idr1);
	uint64_t priqs = FIELD_GET(SMMU_IDR1_PRIQS, r->idr1), bbml = FIELD_GET(SMMU_IDR3_BBML, r->idr3);
	bool s1 = r->idr0 & SMMU_IDR0_S1P, s2 = r->idr0 & SMMU_IDR0_S2P, ats = r->idr0 & SMMU_IDR0_ATS;

	if (!s1)
		ssid = 0;
	*out = (struct smmu_caps){
		.oas = oas_bits[oas < ARRAY_SIZE(oas_bits) ? oas : ARRAY_SIZE(oas_bits) - 1],
		.sid_bits = (uint8_t)(sid > 32 ? 32 : sid),
		.ssid_bits = (uint8_t)(ssid > 20 ? 20 : ssid),
		.cmdq_lg2 = (uint8_t)(cmdqs > SMMU_QS_MAX ? SMMU_QS_MAX : cmdqs),
		.evtq_lg2 = (uint8_t)(evtqs > SMMU_QS_MAX ? SMMU_QS_MAX : evtqs),
		.priq_lg2 = (uint8_t)(priqs > SMMU_QS_MAX ? SMMU_QS_MAX : priqs),
		.httu = (uint8_t)(!(r->idr0 & SMMU_IDR0_COHACC) ? 0 : httu > SMMU_HTTU_AD ? SMMU_HTTU_AD : httu),
		.stall_model = (uint8_t)(model > SMMU_STALL_ALWAYS ? SMMU_STALL_NEVER : model),
		.s1 = s1,
		.s2 = s2,
		.asid16 = r->idr0 & SMMU_IDR0_ASID16,
		.vmid16 = s2 && (r->idr0 & SMMU_IDR0_VMID16),
		.gran4k = r->idr5 & SMMU_IDR5_GRAN4K,
		.gran16k = r->idr5 & SMMU_IDR5_GRAN16K,
		.gran64k = r->idr5 & SMMU_IDR5_GRAN64K,
		.vax52 = FIELD_GET(SMMU_IDR5_VAX, r->idr5) != SMMU_VAX_48,
		.ds = (r->idr5 & SMMU_IDR5_DS) && (r->idr5 & (SMMU_IDR5_GRAN4K | SMMU_IDR5_GRAN16K)),
		.st_2level = FIELD_GET(SMMU_IDR0_ST_LEVEL, r->idr0) != SMMU_ST_LINEAR,
		.cd_2level = ssid && (r->idr0 & SMMU_IDR0_CD2L),
		.ats = ats,
		.pri = ats && (r->idr0 & SMMU_IDR0_PRI),
		.hyp = s1 && s2 && (r->idr0 & SMMU_IDR0_HYP),
		.msi = r->idr0 & SMMU_IDR0_MSI,
		.sev = r->idr0 & SMMU_IDR0_SEV,
		.coherent = r->idr0 & SMMU_IDR0_COHACC,
		.ril = r->idr3 & SMMU_IDR3_RIL,
		.had = r->idr3 & SMMU_IDR3_HAD,
		.stt = r->idr3 & SMMU_IDR3_STT,
		.fwb = s2 && (r->idr3 & SMMU_IDR3_FWB),
		.xnx = s2 && (r->idr3 & SMMU_IDR3_XNX),
		.e0pd = r->idr3 & SMMU_IDR3_E0PD,
		.epan = r->idr3 & SMMU_IDR3_EPAN,
		.attr_ovr = r->idr1 & SMMU_IDR1_ATTR_PERMS_OVR,
		.minor = (uint8_t)(minor ? minor : 1),
		.bbml = (uint8_t)(bbml > 2 ? 2 : bbml),
		.stall_max = (uint8_t)(stalls > SMMU_STALLS ? SMMU_STALLS : stalls),
		.no_term_model = r->idr0 & SMMU_IDR0_TERM_MODEL,
		.ns1ats = ats && s1 && s2 && (r->idr0 & SMMU_IDR0_NS1ATS),
		.big_endian = endian != SMMU_TTENDIAN_LITTLE && endian != 1,
		.vmw = s2 && (r->idr0 & SMMU_IDR0_VMW),
		.pps = r->idr3 & SMMU_IDR3_PPS,
		.ats_rec_err = ats && (r->idr0 & SMMU_IDR0_ATSRECERR),
		.pasidtt = ats && (r->idr3 & SMMU_IDR3_PASIDTT),
		.ptwnnc = r->idr3 & SMMU_IDR3_PTWNNC,
		.iidr = r->iidr,
	};
}
