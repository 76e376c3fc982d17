/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer: tables that change under the walk.
 *
 * One thread writes words of the input into the tables, over and over and in all places; the other does DMA, ATS and page
 * requests and invalidations meanwhile. Nothing may come of it but translations and faults. When the writer has stopped and all is
 * invalidated, what the caches say is what memory says.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "target.h"
#include "vtd.h"

#define MAX_STORES 64u

struct store {
	uint8_t page;
	uint16_t word;
	uint64_t v;
};

struct scribbler {
	struct fz_vtd *z;
	struct store s[MAX_STORES];
	unsigned int n;
	atomic_bool stop;
};

static const uint8_t pages[] = {
	FZ_ROOT, FZ_CTX, FZ_DIR, FZ_TAB, FZ_FSP, FZ_FSP + 1, FZ_FSP + 2, FZ_FSP + 3, FZ_SSP, FZ_SSP + 1, FZ_SSP + 2, FZ_SS_LOW,
	FZ_IRT, FZ_PRQ, FZ_RING, FZ_DATA,
};
/* Words of each that a walk looks at. */
static const uint16_t words[][4] = {
	{0, 1, 0, 0}, {32, 33, 16, 17}, {0, 0, 0, 1}, {0, 1, 2, 8}, {0, 0, 1, 0}, {0, 0, 1, 0}, {1, 0, 1, 2}, {0, 5, 7, 39},
	{0, 0, 1, 0}, {0, 0, 1, 0}, {0, 0, 1, 0}, {256, 261, 265, 295}, {0, 1, 2, 3}, {0, 1, 2, 3}, {0, 1, 4, 8}, {0, 1, 2, 3},
};
_Static_assert(ARRAY_SIZE(pages) == ARRAY_SIZE(words), "");

static void *scribble(void *opaque)
{
	struct scribbler *w = opaque;
	unsigned int i;

	do {
		for (i = 0; i < w->n; i++) {
			uint64_t old = fz_get(w->z, w->s[i].page, w->s[i].word);

			fz_put(w->z, w->s[i].page, w->s[i].word, w->s[i].v);
			if (i & 1)
				fz_put(w->z, w->s[i].page, w->s[i].word, old);
		}
	} while (!atomic_load_explicit(&w->stop, memory_order_relaxed));
	return NULL;
}

static void read_stores(struct scribbler *w, struct input *in, unsigned int n)
{
	while (n-- > 0) {
		uint8_t k = (uint8_t)take(in, 1), how = (uint8_t)take(in, 1);
		unsigned int p = k % ARRAY_SIZE(pages);
		struct store *s = &w->s[w->n++];

		s->page = pages[p];
		s->word = words[p][k >> 6];
		switch (how & 3) {
		case 0: /* anything */
			s->v = take(in, 8);
			break;
		case 1: /* one bit */
			s->v = fz_get(w->z, s->page, s->word) ^ UINT64_C(1) << (take(in, 1) & 63);
			break;
		case 2: /* another page */
			s->v = fz_at(how >> 2 & 31) | (take(in, 2) & 0xfff);
			break;
		default:
			s->v = 0;
		}
	}
}

static void invalidate(struct fz_vtd *z, unsigned int *tail, uint64_t lo)
{
	const uint64_t d[4] = {lo, 0, 0, 0};
	unsigned int i, bytes = z->legacy ? 16 : 32;

	for (i = 0; i < bytes / 8; i++)
		check(mem_store64(&z->mem, hpa(fz_at(FZ_RING) + *tail + 8 * i), d[i]) == 0);
	*tail = (*tail + bytes) % 8192;
	fz_reg(z, 0x88, 8, *tail);
	fz_reg(z, 0x34, 4, 0x71); /* the ring is scribbled on, too */
}

static void use(struct fz_vtd *z, struct input *in, unsigned int *tail)
{
	uint8_t op = (uint8_t)take(in, 1), buf[4096] = {0};
	struct hw_request req = {.addr = fz_address(in), .rid = FZ_RID, .access = op & 0x40 ? HW_WRITE : HW_READ,
				 .pasid = op & 0x80 ? NB_NO_PASID : op >> 3 & 7};
	struct hw_ats_completion c;
	struct hw_result res;
	unsigned int n;

	switch (op & 7) {
	case 0:
		invalidate(z, tail, take(in, 1) & 1 ? 0x11 : 0x12);
		break;
	case 1:
		vtd_drop_caches(z->hw);
		break;
	case 2:
		(void)hw_interrupt(z->hw, FZ_RID, UINT64_C(0xfee00010) | (uint64_t)(op >> 3) << 5, 0);
		break;
	case 3:
		if (z->hw->ops->ats_request) {
			nb_rcu_read_lock();
			z->hw->ops->ats_request(z->hw, &req, &c);
			nb_rcu_read_unlock();
		}
		break;
	case 4:
		if (req.access & HW_WRITE)
			(void)hw_dma_write(z->hw, FZ_RID, req.pasid, req.addr, buf, take(in, 1) * 16 + 1);
		else
			(void)hw_dma_read(z->hw, FZ_RID, req.pasid, req.addr, buf, take(in, 1) * 16 + 1);
		break;
	default:
		for (n = 0; n < 8; n++) {
			req.addr += n << 12;
			hw_translate(z->hw, &req, &res);
			check(res.kind == HW_OK || res.kind == HW_FAULT || res.kind == HW_INTERRUPT);
			check(res.kind != HW_FAULT || res.fault.reason != 0 || res.fault.record_len == 0);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct scribbler w = {.n = 0};
	unsigned int tail = 0, i;
	struct fz_vtd z;
	pthread_t t;

	if (!fz_up(&z, take(&in, 3)))
		return 0;
	w.z = &z;
	read_stores(&w, &in, 1 + (unsigned int)take(&in, 1) % MAX_STORES);
	atomic_init(&w.stop, false);
	if (pthread_create(&t, NULL, scribble, &w))
		abort();
	for (i = 0; in.left && i < 200; i++)
		use(&z, &in, &tail);
	atomic_store_explicit(&w.stop, true, memory_order_relaxed);
	pthread_join(t, NULL);
	if (fz_settle(&z, FZ_RID)) {
		vtd_drop_caches(z.hw);
		fz_agrees_with_memory(&z, FZ_RID);
	}
	fz_down(&z);
	return 0;
}
