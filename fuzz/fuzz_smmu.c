/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer: hostile software in front of an SMMUv3, and hostile devices behind it.
 *
 * The input is a script: register writes, words written into the memory that holds all structures, commands with mostly
 * sensible fields, DMA, ATS and page requests, walks. One input in four has a second thread that repeats a few stores into the
 * tables meanwhile. Beside what the sanitizers see: a command queue is empty or stopped with a code of the manual, an observation
 * changes nothing, completions are well-formed; and at the end, after software has set all registers again and invalidated
 * everything, what the caches say is what memory says.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "smmu.h"
#include "target.h"

#define MAX_STORES 8u
#define SETTLES	   6
#define ASKS	   120u

struct scribbler {
	struct fz_smmu *z;
	unsigned int n;
	struct {
		unsigned int page, word;
		uint64_t v;
	} s[MAX_STORES];
	atomic_bool stop;
};

static void *scribble(void *opaque)
{
	struct scribbler *w = opaque;
	unsigned int i;

	do {
		for (i = 0; i < w->n; i++) {
			uint64_t old = sz_get(w->z, w->s[i].page, w->s[i].word);

			sz_put(w->z, w->s[i].page, w->s[i].word, w->s[i].v);
			sz_put(w->z, w->s[i].page, w->s[i].word, old);
		}
	} while (!atomic_load_explicit(&w->stop, memory_order_relaxed));
	return NULL;
}

/* A place that a walk looks at. */
static void place(struct input *in, unsigned int *page, unsigned int *word)
{
	static const struct {
		uint8_t page, base, n;
	} at[] = {
		{SZ_STRTAB, 8 * SZ_SID, 4}, {SZ_STRTAB, 0, 88}, {SZ_L1STD, 0, 1}, {SZ_CD, 0, 64}, {SZ_L1CD, 0, 1}, {SZ_S1, 0, 1},
		{SZ_S1 + 1, 1, 1}, {SZ_S1 + 2, 0, SZ_PAGES}, {SZ_S2, 0, 1}, {SZ_S2 + 1, 0, 1}, {SZ_S1_64K, 0, 2},
	};
	unsigned int k = (unsigned int)take(in, 1), i = k % (ARRAY_SIZE(at) + 1), n = (unsigned int)take(in, 1);

	if (i == ARRAY_SIZE(at)) {
		*page = SZ_S2 + 2;
		*word = 256 + n % SZ_PAGES;
	} else {
		*page = at[i].page;
		*word = at[i].base + n % at[i].n;
	}
}

static uint64_t value(struct fz_smmu *z, struct input *in, unsigned int page, unsigned int word)
{
	unsigned int how = (unsigned int)take(in, 1);

	switch (how & 3) {
	case 0: /* anything */
		return take(in, 8);
	case 1: /* one bit */
		return sz_get(z, page, word) ^ UINT64_C(1) << (take(in, 1) & 63);
	case 2: /* another page, the rest as it is */
		return (sz_get(z, page, word) & ~BITS(47, 12)) | sz_at((how >> 2) % (SZ_PAGES + 2));
	default:
		return how & 4 ? sz_at(how >> 3) | (take(in, 2) & 0xfff) : 0;
	}
}

static uint64_t address(struct input *in)
{
	uint8_t kind = (uint8_t)take(in, 1);
	uint64_t low = take(in, 2);

	switch (kind & 7) {
	case 0:
		return take(in, 8);
	case 1:
		return SZ_BASE + low * 4;
	case 2:
		return ~UINT64_C(0) - low;
	case 3: /* the upper half */
		return ~(BIT(39) - 1) + SZ_VA + low * 3;
	default:
		return SZ_VA + low * 3;
	}
}

/* ---- commands ---- */

static void put_command(struct fz_smmu *z, uint64_t q0, uint64_t q1)
{
	unsigned int slot = z->prod & (unsigned int)nb_low_mask(SZ_CMDQ_LG2);

	sz_put(z, SZ_CMDQ, 2 * slot, q0);
	sz_put(z, SZ_CMDQ, 2 * slot + 1, q1);
	z->prod = (z->prod + 1) & (uint32_t)nb_low_mask(SZ_CMDQ_LG2 + 1);
}

/* Mostly what a driver would send. */
static void command(struct fz_smmu *z, struct input *in)
{
	static const uint8_t ops[] = {
		SMMU_CMD_CFGI_STE, SMMU_CMD_CFGI_STE_RANGE, SMMU_CMD_CFGI_CD, SMMU_CMD_CFGI_CD_ALL, SMMU_CMD_TLBI_NH_ALL,
		SMMU_CMD_TLBI_NH_ASID, SMMU_CMD_TLBI_NH_VA, SMMU_CMD_TLBI_NH_VAA, SMMU_CMD_TLBI_EL2_ALL, SMMU_CMD_TLBI_EL2_ASID,
		SMMU_CMD_TLBI_EL2_VA, SMMU_CMD_TLBI_EL2_VAA, SMMU_CMD_TLBI_S12_VMALL, SMMU_CMD_TLBI_S2_IPA, SMMU_CMD_TLBI_NSNH_ALL,
		SMMU_CMD_ATC_INV, SMMU_CMD_PRI_RESP, SMMU_CMD_RESUME, SMMU_CMD_STALL_TERM, SMMU_CMD_SYNC, SMMU_CMD_SYNC,
		SMMU_CMD_PREFETCH_CONFIG, SMMU_CMD_PREFETCH_ADDR,
	};
	unsigned int k = (unsigned int)take(in, 1), a = (unsigned int)take(in, 1), b = (unsigned int)take(in, 1);
	uint64_t q0 = ops[k % ARRAY_SIZE(ops)], q1 = 0;

	if (k >= 230) { /* or nonsense */
		put_command(z, take(in, 8), take(in, 8));
		return;
	}
	switch (q0) {
	case SMMU_CMD_CFGI_STE:
	case SMMU_CMD_CFGI_STE_RANGE:
	case SMMU_CMD_CFGI_CD:
	case SMMU_CMD_CFGI_CD_ALL:
	case SMMU_CMD_STALL_TERM:
		q0 |= FIELD(SMMU_CMD_0_SID, a & 15) | FIELD(SMMU_CMD_0_SSID, a >> 4 & 7);
		q1 = b & 31;
		break;
	case SMMU_CMD_ATC_INV:
	case SMMU_CMD_PRI_RESP:
		q0 |= FIELD(SMMU_CMD_0_SID, a & 15) | FIELD(SMMU_CMD_0_SSID, a >> 4 & 7) | (a & 128 ? SMMU_CMD_0_SSV : 0);
		q1 = q0 & 1 ? FIELD(SMMU_CMD_PRI_1_RESP, b & 3) | (b >> 2) : SZ_VA | (b & 63);
		break;
	case SMMU_CMD_RESUME:
		q0 |= FIELD(SMMU_CMD_0_SID, SZ_SID) | ((a & 3) * SMMU_CMD_RESUME_0_AC);
		q1 = take(in, 2);
		break;
	case SMMU_CMD_SYNC:
		q0 |= FIELD(SMMU_CMD_SYNC_0_CS, a & 3) | FIELD(SMMU_CMD_SYNC_0_MSIDATA, b);
		q1 = sz_at(SZ_DATA) + (b & 0x7f) * 4;
		break;
	default:
		q0 |= FIELD(SMMU_CMD_TLBI_0_VMID, a & 3) | FIELD(SMMU_CMD_TLBI_0_ASID, 4 + (a >> 2 & 7)) | FIELD(SMMU_CMD_TLBI_0_NUM, b & 31) |
		      FIELD(SMMU_CMD_TLBI_0_SCALE, a >> 5);
		q1 = ((b & 32 ? SZ_VA : SZ_BASE) + (take(in, 1) << 12)) | FIELD(SMMU_CMD_TLBI_1_TG, b >> 6) | (take(in, 1) & 0x381);
	}
	put_command(z, q0, q1);
}

/* Empty, off, or stopped at something with a code of 7.1. */
static void check_queue(struct fz_smmu *z)
{
	uint32_t prod = sz_read(z, SMMU_REG_CMDQ_PROD), cons = sz_read(z, SMMU_REG_CMDQ_CONS), err;
	uint32_t lg2 = sz_read(z, SMMU_REG_CMDQ_BASE) & 31, lap;

	lg2 = lg2 < z->caps.cmdq_lg2 ? lg2 : z->caps.cmdq_lg2;
	lap = (uint32_t)nb_low_mask(lg2 + 1);
	if (!(sz_read(z, SMMU_REG_CR0ACK) & SMMU_CR0_CMDQEN))
		return;
	err = (uint32_t)FIELD_GET(SMMU_CMDQ_CONS_ERR, cons);
	if ((sz_read(z, SMMU_REG_GERROR) ^ sz_read(z, SMMU_REG_GERRORN)) & SMMU_GERROR_CMDQ_ERR)
		check(err >= SMMU_CERROR_ILL && err <= SMMU_CERROR_ATC_INV_SYNC);
	else
		check(((prod ^ cons) & lap) == 0);
}

static void ring(struct fz_smmu *z)
{
	sz_reg(z, SMMU_REG_CMDQ_PROD, 4, z->prod);
	check_queue(z);
}

/* ---- requests ---- */

static void on_step(void *opaque, const struct hw_step *step)
{
	unsigned int *n = opaque;

	check(++*n < 200 && step->nwords <= 8 && memchr(step->fields, 0, sizeof(step->fields)));
}

static void walk(struct fz_smmu *z, struct hw_request *req, bool alone)
{
	static uint8_t before[SZ_LEN];
	struct hw_result res;
	unsigned int n = 0;

	if (alone)
		memcpy(before, z->ram, SZ_LEN);
	req->flags |= HW_OBSERVE;
	z->hw->ops->walk(z->hw, req, on_step, &n, &res);
	check(!alone || memcmp(before, z->ram, SZ_LEN) == 0);
}

static void ats(struct fz_smmu *z, struct hw_request *req)
{
	struct hw_ats_completion c;
	struct hw_result res;

	memset(&c, 0xee, sizeof(c));
	nb_rcu_read_lock();
	z->hw->ops->ats_request(z->hw, req, &c);
	nb_rcu_read_unlock();
	check(c.status <= HW_ATS_CA);
	if (c.status != HW_ATS_OK || !c.perm)
		return;
	check(c.lg2 >= 12 && c.lg2 <= 64 && (c.pa.v & nb_low_mask(c.lg2)) == 0);
	req->addr = c.pa.v | (req->addr & 4095);
	req->flags |= HW_TRANSLATED;
	hw_translate(z->hw, req, &res);
	check(res.kind == HW_OK || res.kind == HW_FAULT);
}

static void request(struct fz_smmu *z, struct input *in, uint8_t op, bool alone)
{
	struct hw_request req = {.rid = op & 0x80 ? (uint16_t)take(in, op & 0x40 ? 2 : 1) : SZ_SID, .pasid = NB_NO_PASID};
	unsigned int n, what = (unsigned int)take(in, 1);
	struct hw_page_request pr;
	struct hw_result res;
	uint8_t buf[8192];

	if (op & 16)
		req.pasid = op & 32 ? (uint32_t)take(in, 3) & NB_PASID_MAX : what >> 4 & 7;
	req.addr = address(in);
	n = ((unsigned int)take(in, 2) & 0x1fff) + 1;
	n = n < sizeof(buf) ? n : sizeof(buf);
	req.access = (uint8_t)(what >> 1 & 7);
	req.flags = what & 128 ? HW_PRIV : 0;
	memset(buf, 0, n); /* what is written over structures is not valid */
	switch (op & 15) {
	case 10:
		(void)hw_dma_write(z->hw, req.rid, req.pasid, req.addr, buf, n);
		break;
	case 11:
		(void)hw_dma_read(z->hw, req.rid, req.pasid, req.addr, buf, n);
		break;
	case 12:
		walk(z, &req, alone);
		break;
	case 13:
		pr = (struct hw_page_request){.addr = req.addr, .pasid = req.pasid, .rid = req.rid, .prgi = n & 511,
					      .access = what >> 1 & 7, .last = what & 1, .priv = what & 128};
		if (z->caps.pri && z->hw->ops->page_request)
			z->hw->ops->page_request(z->hw, &pr);
		break;
	case 14:
		if (z->caps.ats && z->hw->ops->ats_request)
			ats(z, &req);
		break;
	default:
		req.flags |= what & 1 ? HW_TRANSLATED : 0;
		hw_translate(z->hw, &req, &res);
		check(res.kind == HW_OK || res.kind == HW_FAULT);
		check(res.kind != HW_FAULT || res.fault.record_len == 0 || res.fault.record_len == 32);
	}
}

/* ---- the end ---- */

static void ask(unsigned int i, struct hw_request *req)
{
	static const uint64_t addr[6] = {SZ_BASE, SZ_BASE + 0x9000, SZ_VA, SZ_VA + 0x5000, SZ_VA + 0x6000, SZ_VA + 0x27000};
	unsigned int who = i / 12;

	*req = (struct hw_request){.addr = addr[i % 6], .access = i / 6 % 2 ? HW_WRITE : HW_READ,
				   .rid = (uint16_t)(who < 8 ? SZ_SID : who == 8 ? SZ_SID + 1 : 2), .pasid = who < 8 ? who : NB_NO_PASID};
}

/* Ask until asking changes nothing in memory. False: it does not come to that (tables that map themselves). */
static bool settle(struct fz_smmu *z)
{
	static uint8_t before[SZ_LEN];
	struct hw_request req;
	struct hw_result res;
	unsigned int i, k;

	/* No records or messages in memory meanwhile */
	sz_reg(z, SMMU_REG_IRQ_CTRL, 4, 0);
	sz_reg(z, SMMU_REG_CR0, 4, SMMU_CR0_SMMUEN | SMMU_CR0_CMDQEN);
	for (k = 0; k < SETTLES; k++) {
		memcpy(before, z->ram, SZ_LEN);
		smmu_drop_caches(z->hw);
		for (i = 0; i < ASKS; i++) {
			ask(i, &req);
			hw_translate(z->hw, &req, &res);
		}
		if (memcmp(before, z->ram, SZ_LEN) == 0)
			return true;
	}
	return false;
}

/* Everything, as software does it. */
static void invalidate_all(struct fz_smmu *z)
{
	put_command(z, SMMU_CMD_CFGI_STE_RANGE, SMMU_CFGI_RANGE_ALL);
	put_command(z, SMMU_CMD_TLBI_NSNH_ALL, 0);
	if (z->caps.hyp)
		put_command(z, SMMU_CMD_TLBI_EL2_ALL, 0);
	put_command(z, SMMU_CMD_SYNC, 0);
	sz_reg(z, SMMU_REG_CMDQ_PROD, 4, z->prod);
	/* CMD_SYNC also tells of an ATC that did not answer before. */
	if (FIELD_GET(SMMU_CMDQ_CONS_ERR, sz_read(z, SMMU_REG_CMDQ_CONS)) == SMMU_CERROR_ATC_INV_SYNC)
		sz_reg(z, SMMU_REG_GERRORN, 4, sz_read(z, SMMU_REG_GERROR));
	check((sz_read(z, SMMU_REG_CMDQ_CONS) & SMMU_Q_IDX) == z->prod);
	check(((sz_read(z, SMMU_REG_GERROR) ^ sz_read(z, SMMU_REG_GERRORN)) & SMMU_GERROR_CMDQ_ERR) == 0);
}

/* To observe sets no flags, so it does not see that they cannot be set. */
static bool same(const struct hw_result *want, const struct hw_result *got)
{
	if (got->kind == HW_FAULT && want->kind != HW_FAULT)
		return true;
	return got->kind == want->kind && (got->kind != HW_OK || got->pa.v == want->pa.v);
}

static void agrees_with_memory(struct fz_smmu *z)
{
	struct hw_result want, got;
	struct hw_request req;
	unsigned int i;

	invalidate_all(z);
	for (i = 0; i < ASKS; i++) {
		ask(i, &req);
		req.flags = HW_OBSERVE;
		hw_translate(z->hw, &req, &want);
		req.flags = 0;
		hw_translate(z->hw, &req, &got);
		if (same(&want, &got))
			continue;
		/* Damaged tables may contradict each other: what is global, contiguous, whose an ASID is. But each for itself is right. */
		invalidate_all(z);
		req.flags = HW_OBSERVE;
		hw_translate(z->hw, &req, &want);
		req.flags = 0;
		hw_translate(z->hw, &req, &got);
		check(same(&want, &got));
	}
}

static void operation(struct fz_smmu *z, struct input *in, bool alone)
{
	uint8_t op = (uint8_t)take(in, 1);
	unsigned int n, page, word;
	uint64_t v;

	switch (op & 15) {
	case 0: /* any register */
		v = take(in, 2);
		v = (v & 0x8000 ? SMMU_PAGE1 : 0) | (v & 0xfc);
		sz_reg(z, v, op & 16 ? 8 : 4, take(in, op & 32 ? 1 : 8));
		break;
	case 1:
		v = take(in, 3);
		(void)z->hw->ops->mmio_read(z->hw, v & 0x3ffff, 1u << (op >> 4 & 3));
		sz_reg(z, v & 0x3ffff, 1u << (op >> 4 & 3), take(in, 4));
		break;
	case 2: /* any word */
		page = (unsigned int)take(in, 1);
		sz_put(z, page, (unsigned int)take(in, 2), take(in, 8));
		break;
	case 3: /* one that is looked at */
	case 4:
		place(in, &page, &word);
		sz_put(z, page, word, value(z, in, page, word));
		break;
	case 5:
	case 6:
		for (n = 0; n <= (op >> 4 & 3); n++)
			command(z, in);
		ring(z);
		break;
	case 7: /* what software does about queues */
		sz_reg(z, SMMU_REG_EVENTQ_CONS, 4, op & 16 ? sz_read(z, SMMU_REG_EVENTQ_PROD) : take(in, 4));
		sz_reg(z, SMMU_REG_PRIQ_CONS, 4, op & 32 ? sz_read(z, SMMU_REG_PRIQ_PROD) : take(in, 4));
		break;
	case 8:
		sz_reg(z, SMMU_REG_CMDQ_PROD, 4, take(in, 2));
		check_queue(z);
		break;
	case 9: /* start over after an error */
		if (op & 16)
			z->hw->ops->reset(z->hw);
		if (op & 32)
			smmu_drop_caches(z->hw);
		if (op & 64)
			(void)smmu_inject_atc_timeout(z->hw, SZ_SID);
		else
			sz_enable(z);
		break;
	default:
		request(z, in, op, alone);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct scribbler w = {.n = 0};
	struct fz_smmu z;
	unsigned int ops;
	pthread_t t;

	ops = (unsigned int)take(&in, 1);
	if (!sz_up(&z, take(&in, 3)))
		return 0;
	w.z = &z;
	if (ops & 1 && ops & 2) {
		for (w.n = 0; w.n < 1 + (ops >> 2) % MAX_STORES; w.n++) {
			place(&in, &w.s[w.n].page, &w.s[w.n].word);
			w.s[w.n].v = value(&z, &in, w.s[w.n].page, w.s[w.n].word);
		}
	}
	atomic_init(&w.stop, false);
	if (w.n && pthread_create(&t, NULL, scribble, &w))
		abort();
	for (ops = 0; in.left && ops < 200; ops++)
		operation(&z, &in, w.n == 0);
	atomic_store_explicit(&w.stop, true, memory_order_relaxed);
	if (w.n)
		pthread_join(t, NULL);
	sz_enable(&z);
	if (settle(&z)) {
		/* What was learned while settling is stale after this. */
		sz_put(&z, SZ_S1 + 2, 5, sz_at(6) | SMMU_PTE_AF | SMMU_PTE_AP1 | 3);
		sz_put(&z, SZ_S2 + 2, 256 + 9, sz_at(11) | SMMU_S2PTE_AF | SMMU_S2PTE_R | SMMU_S2PTE_W | 0x3c | 3);
		agrees_with_memory(&z);
	}
	sz_down(&z);
	return 0;
}
