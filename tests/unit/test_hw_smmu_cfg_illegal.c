/* SPDX-License-Identifier: BSD-3-Clause */
/* SMMUv3 entries that are ILLEGAL, condition by condition: IHI 0070 5.2.2 for the STE, 5.4.2 for the CD, in their order. */
#include "hw_smmu_rig.h"

#define BAD_STE (UINT64_C(0x04) | (uint64_t)RIG_SID << 32)
#define BAD_CD	(UINT64_C(0x0a) | (uint64_t)RIG_SID << 32)

enum cap { ALL, NO_S1, NO_S2, NO_ATS, NS1ATS, NO_HYP, NO_STALL, ONLY_STALL, NO_HTTU, ONLY_AF, NO_16K, NO_STT, OAS40, OAS48, VMID8, SSID4,
	   NO_CD2L, NO_SSID, NO_DS, ASID8, NO_TERM, MIXED_ENDIAN, NO_VAX, NO_OVR };

static void caps_of(struct smmu_caps *c, enum cap cap)
{
	smmu_caps_all(c);
	switch (cap) {
	case NO_S1:
		c->s1 = c->hyp = c->cd_2level = false;
		c->ssid_bits = 0;
		break;
	case NO_S2:
		c->s2 = c->hyp = c->fwb = c->xnx = c->vmid16 = c->vmw = false;
		break;
	case NO_ATS:
		c->ats = c->pri = c->ats_rec_err = false;
		break;
	case NS1ATS:
		c->ns1ats = true;
		break;
	case NO_HYP:
		c->hyp = false;
		break;
	case NO_STALL:
		c->stall_model = 1;
		break;
	case ONLY_STALL:
		c->stall_model = 2;
		break;
	case NO_HTTU:
		c->httu = 0;
		break;
	case ONLY_AF:
		c->httu = 1;
		break;
	case NO_16K:
		c->gran16k = false;
		break;
	case NO_STT:
		c->stt = false;
		break;
	case OAS40:
		c->oas = 40;
		break;
	case OAS48:
		c->oas = 48;
		break;
	case VMID8:
		c->vmid16 = false;
		break;
	case SSID4:
		c->ssid_bits = 4;
		break;
	case NO_CD2L:
		c->cd_2level = false;
		break;
	case NO_SSID:
		c->cd_2level = false;
		c->ssid_bits = 0;
		break;
	case NO_DS:
		c->ds = false;
		break;
	case ASID8:
		c->asid16 = false;
		break;
	case NO_TERM:
		c->no_term_model = true;
		break;
	case MIXED_ENDIAN:
		c->big_endian = true;
		break;
	case NO_VAX:
		c->vax52 = false;
		break;
	case NO_OVR:
		c->attr_ovr = false;
		break;
	case ALL:
		break;
	}
}

/* Change `bits` of word `word` of a legal entry to `value`; is it still legal? */
struct change {
	const char *what;
	enum cap cap;
	uint8_t config; /* of the STE: 5, 6, 7, or 4 */
	uint8_t word;
	uint64_t bits, value;
	bool legal;
	uint8_t word2; /* a second change */
	uint64_t bits2, value2;
};

#define B(hi, lo) BITS(hi, lo)
#define V(hi, lo, v) BITS(hi, lo), (uint64_t)(v) << (lo)

static const struct change ste_changes[] = {
	{"as it is", ALL, 5, 0, V(0, 0, 1), true, 0, 0, 0},
	{"as it is", ALL, 6, 0, V(0, 0, 1), true, 0, 0, 0},
	{"as it is", ALL, 7, 0, V(0, 0, 1), true, 0, 0, 0},
	{"as it is", ALL, 4, 0, V(0, 0, 1), true, 0, 0, 0},
	{"V", ALL, 7, 0, V(0, 0, 0), false, 0, 0, 0},
	{"stage 1 not there", NO_S1, 5, 0, V(0, 0, 1), false, 0, 0, 0},
	{"stage 1 not there, nested", NO_S1, 7, 0, V(0, 0, 1), false, 0, 0, 0},
	{"stage 1 not there, stage 2", NO_S1, 6, 0, V(0, 0, 1), true, 0, 0, 0},
	{"stage 2 not there", NO_S2, 6, 0, V(0, 0, 1), false, 0, 0, 0},
	{"stage 2 not there, nested", NO_S2, 7, 0, V(0, 0, 1), false, 0, 0, 0},
	{"stage 2 not there, stage 1", NO_S2, 5, 0, V(0, 0, 1), true, 0, 0, 0},
	/* EATS */
	{"split-stage, nested", ALL, 7, 1, V(29, 28, 2), true, 0, 0, 0},
	{"split-stage, stage 1", ALL, 5, 1, V(29, 28, 2), false, 0, 0, 0},
	{"split-stage, stage 2", ALL, 6, 1, V(29, 28, 2), false, 0, 0, 0},
	{"split-stage, bypass", ALL, 4, 1, V(29, 28, 2), true, 0, 0, 0},
	{"split-stage, stalls", ALL, 7, 1, V(29, 28, 2), false, 2, V(57, 57, 1)},
	{"split-stage with NS1ATS", NS1ATS, 7, 1, V(29, 28, 2), false, 0, 0, 0},
	{"split-stage without ATS", NO_ATS, 5, 1, V(29, 28, 2), true, 0, 0, 0},
	{"full ATS, stage 2 stalls", ALL, 6, 1, V(29, 28, 1), false, 2, V(57, 57, 1)},
	{"full ATS, S2S with stage 1 alone", ALL, 5, 1, V(29, 28, 1), true, 2, V(57, 57, 1)},
	{"EATS 3", ALL, 7, 1, V(29, 28, 3), true, 2, V(57, 57, 1)},
	/* STRW */
	{"STRW 1", ALL, 5, 1, V(31, 30, 1), false, 0, 0, 0},
	{"STRW 2", ALL, 5, 1, V(31, 30, 2), true, 0, 0, 0},
	{"STRW 3", ALL, 5, 1, V(31, 30, 3), false, 0, 0, 0},
	{"STRW 3, nested", ALL, 7, 1, V(31, 30, 3), true, 0, 0, 0},
	{"STRW 1, bypass", ALL, 4, 1, V(31, 30, 1), true, 0, 0, 0},
	{"STRW 1 without Hyp", NO_HYP, 5, 1, V(31, 30, 1), true, 0, 0, 0},
	/* stage 1 */
	{"S1STALLD", ALL, 5, 1, V(27, 27, 1), true, 0, 0, 0},
	{"S1STALLD without the stall model", NO_STALL, 5, 1, V(27, 27, 1), false, 0, 0, 0},
	{"S1STALLD without the stall model, stage 2", NO_STALL, 6, 1, V(27, 27, 1), true, 0, 0, 0},
	{"S1CDMax 4 of 4", SSID4, 5, 0, V(63, 59, 4), true, 1, V(1, 0, 2)},
	{"S1CDMax 5 of 4", SSID4, 5, 0, V(63, 59, 5), false, 1, V(1, 0, 2)},
	{"S1CDMax 31", ALL, 5, 0, V(63, 59, 31), false, 1, V(1, 0, 2)},
	{"S1CDMax 31 without SubstreamIDs", NO_SSID, 5, 0, V(63, 59, 31), true, 0, 0, 0},
	{"S1CDMax 31, stage 2", ALL, 6, 0, V(63, 59, 31), true, 0, 0, 0},
	{"S1Fmt 1 without CD2L, one CD", NO_CD2L, 5, 0, V(5, 4, 1), true, 0, 0, 0},
	{"S1Fmt 1 without CD2L", NO_CD2L, 5, 0, B(63, 59) | B(5, 4), UINT64_C(1) << 59 | 0x10, false, 1, V(1, 0, 2)},
	{"S1Fmt 2 without CD2L", NO_CD2L, 5, 0, B(63, 59) | B(5, 4), UINT64_C(1) << 59 | 0x20, false, 1, V(1, 0, 2)},
	{"S1Fmt 3 without CD2L", NO_CD2L, 5, 0, B(63, 59) | B(5, 4), UINT64_C(1) << 59 | 0x30, true, 1, V(1, 0, 2)},
	{"S1ContextPtr wider than OAS", OAS40, 5, 0, V(40, 40, 1), false, 0, 0, 0},
	{"S1ContextPtr wider than IAS", OAS40, 7, 0, V(40, 40, 1), false, 0, 0, 0},
	{"S1ContextPtr, stage 2", OAS40, 6, 0, V(40, 40, 1), true, 0, 0, 0},
	/* stage 2 */
	{"S2S", ALL, 6, 2, V(57, 57, 1), true, 0, 0, 0},
	{"S2S without the stall model", NO_STALL, 6, 2, V(57, 57, 1), false, 0, 0, 0},
	{"S2S without the stall model, stage 1", NO_STALL, 5, 2, V(57, 57, 1), true, 0, 0, 0},
	{"no S2S with stall alone", ONLY_STALL, 6, 2, V(57, 57, 0), false, 0, 0, 0},
	{"S2S with stall alone", ONLY_STALL, 6, 2, V(57, 57, 1), true, 0, 0, 0},
	{"S2AA64 0", ALL, 6, 2, V(51, 51, 0), false, 0, 0, 0},
	{"S2AA64 0, stage 1", ALL, 5, 2, V(51, 51, 0), true, 0, 0, 0},
	{"S2HA", ALL, 6, 2, V(56, 56, 1), true, 0, 0, 0},
	{"S2HA without HTTU", NO_HTTU, 6, 2, V(56, 56, 1), false, 0, 0, 0},
	{"S2HD without HTTU", NO_HTTU, 6, 2, V(55, 55, 1), false, 0, 0, 0},
	{"S2HA with HTTU 1", ONLY_AF, 6, 2, V(56, 56, 1), true, 0, 0, 0},
	{"S2HD with HTTU 1", ONLY_AF, 6, 2, V(56, 55, 3), false, 0, 0, 0},
	{"S2HD alone", ALL, 6, 2, V(55, 55, 1), true, 0, 0, 0},
	{"S2TG 3", ALL, 6, 2, V(47, 46, 3), false, 0, 0, 0},
	{"S2TG 3, stage 1", ALL, 5, 2, V(47, 46, 3), true, 0, 0, 0},
	/* 16 KiB: 40 bits are level 1 (11 + 4 - more) or 2 (one more than 36: concatenated) */
	{"16 KiB", ALL, 6, 2, B(47, 46) | B(39, 38), UINT64_C(2) << 46 | UINT64_C(1) << 38, true, 0, 0, 0},
	{"16 KiB not there", NO_16K, 6, 2, B(47, 46) | B(39, 38), UINT64_C(2) << 46 | UINT64_C(1) << 38, false, 0, 0, 0},
	{"64 KiB", ALL, 6, 2, B(47, 46) | B(39, 38), UINT64_C(1) << 46 | UINT64_C(1) << 38, true, 0, 0, 0},
	{"S2TTB beyond S2PS", ALL, 6, 2, V(50, 48, 2), false, 3, V(40, 40, 1)},
	{"S2TTB beyond OAS", OAS40, 6, 3, V(40, 40, 1), false, 0, 0, 0},
	{"S2TTB beyond 48 bits", ALL, 6, 2, V(50, 48, 6), false, 3, V(48, 48, 1)},
	{"S2TTB beyond 48 bits with S2DS", ALL, 6, 2, V(50, 48, 6), true, 3, B(48, 48) | B(3, 3), BIT(48) | BIT(3)},
	{"S2TTB beyond 48 bits with S2DS, not there", NO_DS, 6, 2, V(50, 48, 6), false, 3, B(48, 48) | B(3, 3), BIT(48) | BIT(3)},
	{"S2TTB beyond, stage 1", OAS40, 5, 3, V(40, 40, 1), true, 0, 0, 0},
	/* 48 bits at level 0 */
	{"S2T0SZ 16", ALL, 6, 2, B(39, 32), UINT64_C(2) << 38 | UINT64_C(16) << 32, true, 0, 0, 0},
	{"S2T0SZ 15", ALL, 6, 2, B(39, 32), UINT64_C(2) << 38 | UINT64_C(15) << 32, false, 0, 0, 0},
	{"S2T0SZ 16 with OAS 40", OAS40, 6, 2, B(39, 32), UINT64_C(2) << 38 | UINT64_C(16) << 32, false, 0, 0, 0},
	{"S2T0SZ 24 with OAS 40", OAS40, 6, 2, B(39, 32), UINT64_C(1) << 38 | UINT64_C(24) << 32, true, 0, 0, 0},
	{"S2T0SZ 23 with OAS 40", OAS40, 6, 2, B(39, 32), UINT64_C(1) << 38 | UINT64_C(23) << 32, false, 0, 0, 0},
	{"S2T0SZ 39", NO_STT, 6, 2, B(39, 32), UINT64_C(39) << 32, true, 0, 0, 0},
	{"S2T0SZ 40 without STT", NO_STT, 6, 2, B(39, 32), UINT64_C(40) << 32, false, 0, 0, 0},
	{"S2T0SZ 40", ALL, 6, 2, B(39, 32), UINT64_C(40) << 32, true, 0, 0, 0},
	{"S2T0SZ 48 at level 3", ALL, 6, 2, B(39, 32), UINT64_C(3) << 38 | UINT64_C(48) << 32, true, 0, 0, 0},
	{"level 3 without STT", NO_STT, 6, 2, B(39, 32), UINT64_C(3) << 38 | UINT64_C(39) << 32, false, 0, 0, 0},
	{"S2T0SZ 49", ALL, 6, 2, B(39, 32), UINT64_C(3) << 38 | UINT64_C(49) << 32, false, 0, 0, 0},
	{"S2T0SZ 63", ALL, 6, 2, B(39, 32), UINT64_C(3) << 38 | UINT64_C(63) << 32, false, 0, 0, 0},
	{"64 KiB S2T0SZ 47", ALL, 6, 2, B(47, 46) | B(39, 32), UINT64_C(1) << 46 | UINT64_C(47) << 32, true, 0, 0, 0},
	{"64 KiB S2T0SZ 48", ALL, 6, 2, B(47, 46) | B(39, 32), UINT64_C(1) << 46 | UINT64_C(48) << 32, false, 0, 0, 0},
	/* start level against size: 4 KiB at level 1 takes 31 to 43 bits */
	{"30 bits at level 1", ALL, 6, 2, B(37, 32), UINT64_C(34) << 32, false, 0, 0, 0},
	{"31 bits at level 1", ALL, 6, 2, B(37, 32), UINT64_C(33) << 32, true, 0, 0, 0},
	{"43 bits at level 1", ALL, 6, 2, B(37, 32), UINT64_C(21) << 32, true, 0, 0, 0},
	{"44 bits at level 1", ALL, 6, 2, B(37, 32), UINT64_C(20) << 32, false, 0, 0, 0},
	{"40 bits at level 2", ALL, 6, 2, V(39, 38, 0), false, 0, 0, 0},
	{"40 bits at level 0", ALL, 6, 2, V(39, 38, 2), true, 0, 0, 0},
	{"39 bits at level 0", ALL, 6, 2, B(39, 32), UINT64_C(2) << 38 | UINT64_C(25) << 32, false, 0, 0, 0},
	{"40 bits at level 0 with OAS 40", OAS40, 6, 2, V(39, 38, 2), false, 0, 0, 0},
	{"16 KiB level 0", ALL, 6, 2, B(47, 46) | B(39, 32), UINT64_C(2) << 46 | UINT64_C(3) << 38 | UINT64_C(16) << 32, false, 0, 0, 0},
	{"16 KiB level 0 with S2DS", ALL, 6, 2, B(47, 46) | B(39, 32), UINT64_C(2) << 46 | UINT64_C(3) << 38 | UINT64_C(16) << 32, true,
	 3, V(3, 3, 1)},
	{"64 KiB SL0 3", ALL, 6, 2, B(47, 46) | B(39, 38), UINT64_C(1) << 46 | UINT64_C(3) << 38, false, 0, 0, 0},
	{"4 KiB level -1 with S2DS", ALL, 6, 2, B(50, 48) | B(39, 32), UINT64_C(6) << 48 | UINT64_C(12) << 32, true, 3, V(3, 2, 3)},
	{"4 KiB SL2 and SL0", ALL, 6, 2, B(50, 48) | B(39, 32), UINT64_C(6) << 48 | UINT64_C(1) << 38 | UINT64_C(12) << 32, false, 3,
	 V(3, 2, 3)},
	{"52 bits with OAS 48", OAS48, 6, 2, B(50, 48) | B(39, 32), UINT64_C(6) << 48 | UINT64_C(12) << 32, false, 3, V(3, 2, 3)},
	{"S2SL0_2 without S2DS", ALL, 6, 3, V(2, 2, 1), true, 0, 0, 0},
	{"64 KiB, 52 bits", ALL, 6, 2, B(50, 46) | B(39, 32), UINT64_C(1) << 46 | UINT64_C(6) << 48 | UINT64_C(2) << 38 | UINT64_C(12) << 32, true,
	 0, 0, 0},
	{"big endian", ALL, 6, 2, V(52, 52, 1), false, 0, 0, 0},
	{"big endian where there is", MIXED_ENDIAN, 6, 2, V(52, 52, 1), true, 0, 0, 0},
	{"VMID above 8 bits, stage 2", VMID8, 6, 2, V(15, 0, 0x100), false, 0, 0, 0},
	{"VMID above 8 bits, stage 1", VMID8, 5, 2, V(15, 0, 0x100), false, 0, 0, 0},
	{"VMID 255", VMID8, 6, 2, V(15, 0, 0xff), true, 0, 0, 0},
	{"VMID above 8 bits, EL2", VMID8, 5, 2, V(15, 0, 0x100), true, 1, V(31, 30, 2)},
	{"VMID above 8 bits, bypass", VMID8, 4, 2, V(15, 0, 0x100), true, 0, 0, 0},
	{"VMID above 8 bits, no stage 2", NO_S2, 5, 2, V(15, 0, 0x100), true, 0, 0, 0},
	{"S2FWB", ALL, 6, 1, V(25, 25, 1), true, 0, 0, 0},
	{"fields of what is not there", ALL, 7, 1, B(26, 24) | B(11, 8), BIT(26) | BIT(24) | B(11, 8), true, 2, B(61, 59), B(61, 59)},
};

static void change(struct rig *r, uint64_t at, const struct change *c)
{
	w64(r, at + 8u * c->word, (r64(r, at + 8u * c->word) & ~c->bits) | c->value);
	if (c->bits2)
		w64(r, at + 8u * c->word2, (r64(r, at + 8u * c->word2) & ~c->bits2) | c->value2);
}

static void illegal_stes(void **state)
{
	unsigned int bad = 0;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(ste_changes); i++) {
		const struct change *c = &ste_changes[i];
		uint64_t root2, rec[4] = {0};
		struct smmu_caps caps;
		struct hw_result res;
		unsigned int n;
		struct rig r;

		caps_of(&caps, c->cap);
		rig_new_caps(&r, &caps);
		rig_start(&r);
		r.cd = rig_page(&r);
		root2 = rig_alloc(&r, 17);
		ste(&r, RIG_SID, STE_V | (uint64_t)c->config << 1 | r.cd, 0, STE2_S2 | 3 | (c->cap == ONLY_STALL ? BIT(57) : 0), root2);
		change(&r, r.strtab + RIG_SID * 64, c);
		res = go(&r, 0x1000, HW_READ);
		n = events(&r);
		if (n)
			event_get(&r, rec);
		if (c->legal ? res.kind == HW_FAULT && res.fault.reason == 0x04 :
			       res.kind != HW_FAULT || res.fault.reason != 0x04 || n != 1 || rec[0] != BAD_STE || rec[1] || rec[2] || rec[3]) {
			print_error("STE %u, Config %u, %s: kind %d reason %#x\n", (unsigned int)i, c->config, c->what, res.kind,
				    res.kind == HW_FAULT ? res.fault.reason : 0);
			bad++;
		}
		rig_free(&r);
	}
	assert_int_equal(bad, 0);
}

#define NESTED 7
static const struct change cd_changes[] = {
	{"as it is", ALL, 5, 0, V(31, 31, 1), true, 0, 0, 0},
	{"as it is", ALL, 7, 0, V(31, 31, 1), true, 0, 0, 0},
	{"V", ALL, 5, 0, V(31, 31, 0), false, 0, 0, 0},
	{"S", ALL, 5, 0, V(44, 44, 1), true, 0, 0, 0},
	{"S without the stall model", NO_STALL, 5, 0, V(44, 44, 1), false, 0, 0, 0},
	{"no S with stall alone", ONLY_STALL, 5, 0, V(44, 44, 0), false, 0, 0, 0},
	{"S with stall alone", ONLY_STALL, 5, 0, V(44, 44, 1), true, 0, 0, 0},
	{"A 0", ALL, 5, 0, V(46, 46, 0), true, 0, 0, 0},
	{"A 0 with TERM_MODEL", NO_TERM, 5, 0, V(46, 46, 0), false, 0, 0, 0},
	{"big endian", ALL, 5, 0, V(15, 15, 1), false, 0, 0, 0},
	{"big endian, no table", ALL, 5, 0, V(15, 14, 3), true, 0, 0, 0},
	{"big endian where there is", MIXED_ENDIAN, 5, 0, V(15, 15, 1), true, 0, 0, 0},
	{"AA64 0", ALL, 5, 0, V(41, 41, 0), false, 0, 0, 0},
	{"HA without HTTU", NO_HTTU, 5, 0, V(43, 43, 1), false, 0, 0, 0},
	{"HD without HTTU", NO_HTTU, 5, 0, V(42, 42, 1), false, 0, 0, 0},
	{"HA with HTTU 1", ONLY_AF, 5, 0, V(43, 43, 1), true, 0, 0, 0},
	{"HD with HTTU 1", ONLY_AF, 5, 0, V(43, 42, 3), false, 0, 0, 0},
	{"HA and HD", ALL, 5, 0, V(43, 42, 3), true, 0, 0, 0},
	{"HD alone", ALL, 5, 0, V(42, 42, 1), true, 0, 0, 0},
	{"ASID above 8 bits", ASID8, 5, 0, V(63, 48, 0x100), false, 0, 0, 0},
	{"ASID 255", ASID8, 5, 0, V(63, 48, 0xff), true, 0, 0, 0},
	{"T0SZ 39", NO_STT, 5, 0, V(5, 0, 39), true, 0, 0, 0},
	{"T0SZ 40 without STT", NO_STT, 5, 0, V(5, 0, 40), false, 0, 0, 0},
	{"T0SZ 48", ALL, 5, 0, V(5, 0, 48), true, 0, 0, 0},
	{"T0SZ 49", ALL, 5, 0, V(5, 0, 49), false, 0, 0, 0},
	{"T0SZ 49 with EPD0", ALL, 5, 0, B(14, 14) | B(5, 0), BIT(14) | 49, true, 0, 0, 0},
	{"64 KiB T0SZ 47", ALL, 5, 0, V(7, 0, 0x40 | 47), true, 0, 0, 0},
	{"64 KiB T0SZ 48", ALL, 5, 0, V(7, 0, 0x40 | 48), false, 0, 0, 0},
	{"T0SZ 16", ALL, 5, 0, V(5, 0, 16), true, 0, 0, 0},
	{"T0SZ 15", ALL, 5, 0, V(5, 0, 15), false, 0, 0, 0},
	{"T0SZ 12 with DS", ALL, 5, 0, V(5, 0, 12), true, 2, V(58, 58, 1)},
	{"T0SZ 11 with DS", ALL, 5, 0, V(5, 0, 11), false, 2, V(58, 58, 1)},
	{"T0SZ 12 with DS, not there", NO_DS, 5, 0, V(5, 0, 12), false, 2, V(58, 58, 1)},
	{"T0SZ 12 with DS, 48-bit VAs", NO_VAX, 5, 0, V(5, 0, 12), false, 2, V(58, 58, 1)},
	{"64 KiB T0SZ 12", ALL, 5, 0, V(7, 0, 0x40 | 12), true, 0, 0, 0},
	{"64 KiB T0SZ 12, 48-bit VAs", NO_VAX, 5, 0, V(7, 0, 0x40 | 12), false, 0, 0, 0},
	{"T0SZ 0", ALL, 5, 0, V(5, 0, 0), false, 0, 0, 0},
	{"TG0 3", ALL, 5, 0, V(7, 6, 3), false, 0, 0, 0},
	{"TG0 3 with EPD0", ALL, 5, 0, B(14, 14) | B(7, 6), BIT(14) | 0xc0, true, 0, 0, 0},
	{"TG0 16 KiB", ALL, 5, 0, V(7, 6, 2), true, 0, 0, 0},
	{"TG0 16 KiB, not there", NO_16K, 5, 0, V(7, 6, 2), false, 0, 0, 0},
	{"TTB0 beyond IPS", ALL, 5, 0, V(34, 32, 2), false, 1, V(40, 40, 1)},
	{"TTB0 beyond OAS", OAS40, 5, 1, V(40, 40, 1), false, 0, 0, 0},
	{"TTB0 beyond OAS with EPD0", OAS40, 5, 0, V(14, 14, 1), true, 1, V(40, 40, 1)},
	{"TTB0 beyond 48 bits", ALL, 5, 0, V(34, 32, 6), false, 1, V(48, 48, 1)},
	{"TTB0 beyond 48 bits, 64 KiB", ALL, 5, 0, B(34, 32) | B(7, 6), UINT64_C(6) << 32 | 0x40, true, 1, V(48, 48, 1)},
	/* TTB1 counts where EPD1 is clear, and never in EL2 */
	{"EPD1 clear, TG1 0", ALL, 5, 0, V(30, 30, 0), false, 0, 0, 0},
	{"TG1 4 KiB", ALL, 5, 0, V(30, 16, 0x80 | 25), true, 0, 0, 0},
	{"TG1 16 KiB", ALL, 5, 0, V(30, 16, 0x40 | 25), true, 0, 0, 0},
	{"TG1 16 KiB, not there", NO_16K, 5, 0, V(30, 16, 0x40 | 25), false, 0, 0, 0},
	{"TG1 64 KiB", ALL, 5, 0, V(30, 16, 0xc0 | 25), true, 0, 0, 0},
	{"T1SZ 15", ALL, 5, 0, V(30, 16, 0x80 | 15), false, 0, 0, 0},
	{"T1SZ 49", ALL, 5, 0, V(30, 16, 0x80 | 49), false, 0, 0, 0},
	{"TTB1 beyond IPS", ALL, 5, 0, B(34, 32) | B(30, 16), UINT64_C(2) << 32 | UINT64_C(0x99) << 16, false, 2, V(40, 40, 1)},
	{"reserved and unused fields", ALL, 5, 4, UINT64_MAX, UINT64_MAX, true, 7, UINT64_MAX, UINT64_MAX},
};

static void illegal_cds(void **state)
{
	unsigned int bad = 0, el2;
	size_t i;

	(void)state;
	for (i = 0; i < 2 * ARRAY_SIZE(cd_changes); i++) {
		const struct change *c = &cd_changes[i / 2];
		struct smmu_caps caps;
		struct hw_result res;
		uint64_t rec[4] = {0};
		unsigned int n;
		bool legal = c->legal;
		struct rig r;

		/* In EL2 there is no EPD and no ASID, and nothing of TTB1. */
		el2 = i & 1;
		if (el2) {
			if (c->config == NESTED || c->cap == ASID8)
				continue;
			if (c->word == 0 && (c->bits & BIT(30)))
				legal = true;
			if (c->word == 0 && (c->bits & c->value & BIT(14)))
				legal = false;
		}
		caps_of(&caps, c->cap);
		rig_new_caps(&r, &caps);
		rig_start(&r);
		if (c->config == NESTED)
			rig_nested(&r);
		else
			rig_s1(&r);
		if (c->cap == ONLY_STALL)
			w64(&r, r.cd, CD0 | BIT(44));
		if (c->cap == ASID8)
			w64(&r, r.cd, CD0 & ~B(63, 48));
		if (el2)
			w64(&r, r.strtab + RIG_SID * 64 + 8, UINT64_C(2) << 30);
		change(&r, r.cd, c);
		res = go(&r, RIG_VA, HW_READ);
		n = events(&r);
		if (n)
			event_get(&r, rec);
		if (legal ? res.kind == HW_FAULT && res.fault.reason == 0x0a :
			    res.kind != HW_FAULT || res.fault.reason != 0x0a || n != 1 || rec[0] != BAD_CD || rec[1] || rec[2] || rec[3]) {
			print_error("CD %u, Config %u%s, %s: kind %d reason %#x\n", (unsigned int)(i / 2), c->config, el2 ? ", EL2" : "", c->what,
				    res.kind, res.kind == HW_FAULT ? res.fault.reason : 0);
			bad++;
		}
		rig_free(&r);
	}
	assert_int_equal(bad, 0);
}

/* CD.S against STE.S1STALLD. */
static void stall_disabled(void **state)
{
	struct rig r;

	(void)state;
	rig_new(&r);
	rig_s1(&r);
	w64(&r, r.cd, CD0 | BIT(44));
	w64(&r, r.strtab + RIG_SID * 64 + 8, BIT(27));
	faults(go(&r, RIG_VA, HW_READ), 0x0a);
	rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(illegal_stes),
		cmocka_unit_test(illegal_cds),
		cmocka_unit_test(stall_disabled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
