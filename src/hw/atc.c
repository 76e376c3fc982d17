/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device-TLB: a table of one entry a bucket, found by PASID, privilege, size and page; a sequence count per entry tells a
 * reader that it looked at a half-written one, which is then a miss.
 *
 * Sizes: a translation is kept as the largest of 4 KiB, 2 MiB and 1 GiB that it covers around the address. `sizes` says
 * which are in the table at all.
 *
 * A fill that races with an invalidation: the filler reads `inv_seq` before it asks the unit and keeps nothing if the
 * count has moved. `lock` is spun for by fillers, inside read sections too; who holds it waits for nobody.
 */
#include "hw/atc.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/rcu.h"
#include "hw/request.h"
#include "hw/tlb.h"

#define MAX_ENTRIES_LG2 16

/* Keys: the page, and below bit 12 what else tells translations apart. 0 is no key. */
#define KEY_VALID BIT(0)
#define KEY_SIZE  BITS(2, 1)
#define KEY_PRIV  BIT(3)
/* Values: the output page, HW_READ, HW_WRITE, HW_EXEC. */
#define VAL_ADDR  BITS(51, 12)

struct entry {
	_Atomic uint32_t seq; /* odd: being written */
	_Atomic uint32_t pasid;
	_Atomic uint64_t key, val;
	uint64_t pad;
};
_Static_assert(sizeof(struct entry) == 32, "two to a cache line");

struct hw_atc {
	struct hw_iommu *hw;
	struct entry *entry;
	uint16_t rid;
	uint8_t lg2; /* of the number of entries */
	_Atomic bool on;
	_Atomic uint32_t sizes;	  /* bit s: there was an entry of size s since all was forgotten; written under the lock */
	bool pasids;		  /* there was an entry of some PASID since; under the lock */
	_Atomic uint64_t inv_seq; /* as in hw/tlb.h; written under the lock */
	struct hw_spin lock __attribute__((aligned(64)));
};

enum { NSIZES = 3 };
#define SIZE_LG2(s) (12 + 9 * (s))

static inline uint64_t key_of(uint64_t addr, unsigned int size, unsigned int flags)
{
	return (addr & ~nb_low_mask(SIZE_LG2(size))) | KEY_VALID | (uint64_t)size << 1 | (flags & HW_PRIV ? KEY_PRIV : 0);
}

static inline struct entry *entry_of(struct hw_atc *a, uint64_t key, uint32_t pasid)
{
	return &a->entry[((key ^ (uint64_t)pasid << 44) * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - a->lg2)];
}

/* ---- lookup ---- */

/* Acquire loads keep the order count, key, value, count; their pairs are in put_locked(). */
static inline bool probe(struct entry *e, uint64_t key, uint32_t pasid, uint64_t *val)
{
	uint32_t s = atomic_load_explicit(&e->seq, memory_order_acquire);
	uint64_t k = atomic_load_explicit(&e->key, memory_order_acquire);
	uint32_t p = atomic_load_explicit(&e->pasid, memory_order_acquire);
	uint64_t v = atomic_load_explicit(&e->val, memory_order_acquire);

	if (k != key || p != pasid)
		return false;
	if (unlikely((s & 1) != 0 || atomic_load_explicit(&e->seq, memory_order_relaxed) != s))
		return false;
	*val = v;
	return true;
}

/* Inside a read section. True: *val, and *pa of the byte at addr. */
static inline bool lookup(struct hw_atc *a, uint32_t pasid, uint64_t addr, unsigned int flags, uint64_t *val, uint64_t *pa)
{
	uint32_t sizes = atomic_load_explicit(&a->sizes, memory_order_acquire);
	unsigned int s;

	for (s = 0; s < NSIZES; s++) {
		uint64_t key = key_of(addr, s, flags);

		if ((sizes >> s & 1) && probe(entry_of(a, key, pasid), key, pasid, val)) {
			*pa = (*val & VAL_ADDR) | (addr & nb_low_mask(SIZE_LG2(s)));
			return true;
		}
	}
	return false;
}

/* ---- changes ---- */

static void put_locked(struct entry *e, uint32_t pasid, uint64_t key, uint64_t val)
{
	uint32_t s = atomic_load_explicit(&e->seq, memory_order_relaxed);

	atomic_store_explicit(&e->seq, s + 1, memory_order_relaxed);
	atomic_store_explicit(&e->key, key, memory_order_release);
	atomic_store_explicit(&e->pasid, pasid, memory_order_release);
	atomic_store_explicit(&e->val, val, memory_order_release);
	atomic_store_explicit(&e->seq, s + 2, memory_order_release);
}

static void fill(struct hw_atc *a, uint64_t seq, uint32_t pasid, uint64_t addr, unsigned int flags,
		 const struct hw_ats_completion *c)
{
	unsigned int size = c->lg2 >= SIZE_LG2(2) ? 2 : c->lg2 >= SIZE_LG2(1) ? 1 : 0;
	uint64_t key = key_of(addr, size, flags), pa = c->pa.v | (addr & nb_low_mask(c->lg2));

	hw_spin_lock(&a->lock);
	if (atomic_load_explicit(&a->inv_seq, memory_order_relaxed) == seq &&
	    atomic_load_explicit(&a->on, memory_order_relaxed)) {
		put_locked(entry_of(a, key, pasid), pasid, key,
			   (pa & VAL_ADDR & ~nb_low_mask(SIZE_LG2(size))) | c->perm);
		atomic_fetch_or_explicit(&a->sizes, UINT32_C(1) << size, memory_order_release);
		a->pasids |= pasid != NB_NO_PASID;
	}
	hw_spin_unlock(&a->lock);
}

/* What lies in [first, last], of the requests that are meant. */
static void drop_locked(struct entry *e, uint32_t pasid, bool all_pasids, uint64_t first, uint64_t last)
{
	uint64_t key = atomic_load_explicit(&e->key, memory_order_relaxed);
	uint32_t p = atomic_load_explicit(&e->pasid, memory_order_relaxed);
	uint64_t from = key & ~UINT64_C(0xfff), to = from | nb_low_mask(SIZE_LG2((unsigned int)FIELD_GET(KEY_SIZE, key)));

	if (!key || from > last || to < first)
		return;
	if (p == pasid || (all_pasids && p != NB_NO_PASID))
		put_locked(e, 0, 0, 0);
}

/* A few pages of one address space: the places where they can be. */
static void drop_pages_locked(struct hw_atc *a, uint32_t pasid, uint64_t first, uint64_t last)
{
	uint32_t sizes = atomic_load_explicit(&a->sizes, memory_order_relaxed);
	unsigned int s;

	for (s = 0; s < NSIZES; s++) {
		uint64_t at = first & ~nb_low_mask(SIZE_LG2(s)), n = ((last - at) >> SIZE_LG2(s)) + 1;

		if (!(sizes >> s & 1))
			continue;
		for (; n; n--, at += BIT(SIZE_LG2(s))) {
			drop_locked(entry_of(a, key_of(at, s, 0), pasid), pasid, false, first, last);
			drop_locked(entry_of(a, key_of(at, s, HW_PRIV), pasid), pasid, false, first, last);
		}
	}
}

bool hw_atc_invalidate(void *atc, uint32_t pasid, bool all_pasids, uint64_t addr, unsigned int lg2)
{
	struct hw_atc *a = atc;
	uint64_t mask = nb_low_mask(lg2 < 64 ? lg2 : 64), first = addr & ~mask, last = first | mask;
	size_t i, n = (size_t)1 << a->lg2;

	hw_spin_lock(&a->lock);
	if (!a->pasids && pasid == NB_NO_PASID)
		all_pasids = false;
	if (!all_pasids && lg2 + 3u < a->lg2 + 12u) {
		drop_pages_locked(a, pasid, first, last);
	} else {
		for (i = 0; i < n; i++)
			drop_locked(&a->entry[i], pasid, all_pasids, first, last);
		if (lg2 >= 64 && pasid == NB_NO_PASID && (all_pasids || !a->pasids)) { /* all of them */
			atomic_store_explicit(&a->sizes, 0, memory_order_release);
			a->pasids = false;
		}
	}
	hw_inval_end(&a->lock, &a->inv_seq);
	return true;
}

void hw_atc_forget(struct hw_atc *a)
{
	hw_atc_invalidate(a, NB_NO_PASID, true, 0, 64);
}

/* ---- DMA ---- */

static void report(struct hw_atc *a, const struct hw_request *req, const struct hw_ats_completion *c)
{
	struct hw_result res = {.kind = HW_FAULT, .fault = c->fault};

	if (c->fault.record_len)
		a->hw->ops->report(a->hw, req, &res);
}

/* A unit that has no such thing takes the request for unsupported. Inside a read section. */
static void ask(struct hw_atc *a, const struct hw_request *req, struct hw_ats_completion *c)
{
	if (a->hw->ops->ats_request) {
		a->hw->ops->ats_request(a->hw, req, c);
		return;
	}
	memset(c, 0, sizeof(*c));
	c->status = HW_ATS_UR;
	c->lg2 = 12;
}

void hw_atc_ask(struct hw_atc *a, uint32_t pasid, uint64_t addr, unsigned int access, unsigned int flags,
		struct hw_ats_completion *c)
{
	struct hw_request req = {.addr = addr, .pasid = pasid, .rid = a->rid, .access = (uint8_t)access, .flags = flags & HW_PRIV};

	nb_rcu_read_lock();
	ask(a, &req, c);
	nb_rcu_read_unlock();
	report(a, &req, c);
}

static inline int copy(const struct mem *m, uint64_t pa, void *buf, size_t n, bool write)
{
	return write ? mem_copy_to(m, hpa(pa), buf, n) : mem_copy_from(m, buf, hpa(pa), n);
}

static int untranslated(struct hw_atc *a, uint32_t pasid, uint64_t addr, void *buf, size_t n, bool write)
{
	return write ? hw_dma_write(a->hw, a->rid, pasid, addr, buf, n) : hw_dma_read(a->hw, a->rid, pasid, addr, buf, n);
}

/* Within a page, and the unit's quick answer was no: ask it for the reason. Inside a read section; a fault is in *res. */
static bool translated(struct hw_atc *a, uint64_t pa, bool write, struct hw_request *req, struct hw_result *res)
{
	*req = (struct hw_request){.addr = pa, .pasid = NB_NO_PASID, .rid = a->rid,
				   .access = write ? HW_WRITE : HW_READ, .flags = HW_TRANSLATED};
	a->hw->ops->translate(a->hw, req, res);
	return res->kind == HW_OK;
}

/* The piece missed, or what is kept does not allow it. Translations for untranslated requests only are not kept: they are rare. */
static __attribute__((noinline)) int miss(struct hw_atc *a, uint32_t pasid, uint64_t addr, void *buf, size_t n, bool write,
					  unsigned int flags)
{
	struct hw_request req = {.addr = addr, .pasid = pasid, .rid = a->rid,
				 .access = write ? HW_READ | HW_WRITE : HW_READ, .flags = flags & HW_PRIV}, treq;
	uint64_t seq = atomic_load_explicit(&a->inv_seq, memory_order_acquire), pa;
	uint8_t need = write ? HW_WRITE : HW_READ;
	struct hw_result res = {.kind = HW_OK};
	struct hw_ats_completion c;
	int err = -EFAULT;

	nb_rcu_read_lock();
	/* Inside, so that hw_atc_enable() waits for whoever found it on. While it is off there is nothing to hit. */
	if (!atomic_load_explicit(&a->on, memory_order_acquire)) {
		nb_rcu_read_unlock();
		return untranslated(a, pasid, addr, buf, n, write);
	}
	ask(a, &req, &c);
	pa = c.pa.v | (addr & nb_low_mask(c.lg2));
	if (c.status == HW_ATS_OK && (c.perm & need) && !c.untranslated_only && translated(a, pa, write, &treq, &res))
		err = copy(a->hw->mem, pa, buf, n, write);
	if (unlikely(err && res.kind == HW_OK && c.status == HW_ATS_OK && (c.perm & need) && !c.untranslated_only))
		err = hw_no_memory(a->hw, a->rid, addr, hpa(pa), buf, n, write);
	else
		nb_rcu_read_unlock();

	report(a, &req, &c);
	if (c.status != HW_ATS_OK)
		return -EFAULT;
	if (c.perm && !c.untranslated_only)
		fill(a, seq, pasid, addr, flags, &c);
	if (!(c.perm & need))
		return -ENOENT;
	if (c.untranslated_only)
		return untranslated(a, pasid, addr, buf, n, write);
	if (res.kind == HW_FAULT)
		a->hw->ops->report(a->hw, &treq, &res);
	return err;
}

/* Within a page. */
static inline __attribute__((always_inline)) int one(struct hw_atc *a, uint32_t pasid, uint64_t addr, void *buf, size_t n,
						     bool write, unsigned int flags)
{
	bool (*ok)(struct hw_iommu *, uint16_t, uint64_t) = a->hw->ops->translated_ok;
	const uint64_t need = write ? HW_WRITE : HW_READ;
	struct hw_result res = {.kind = HW_OK};
	uint64_t val, pa;
	struct hw_request req;
	bool through;
	int err;

	nb_rcu_read_lock();
	if (unlikely(!lookup(a, pasid, addr, flags, &val, &pa) || !(val & need))) {
		nb_rcu_read_unlock();
		return miss(a, pasid, addr, buf, n, write, flags);
	}
	err = -EFAULT;
	through = likely(ok && ok(a->hw, a->rid, pa)) || translated(a, pa, write, &req, &res);
	if (likely(through))
		err = copy(a->hw->mem, pa, buf, n, write);
	if (unlikely(err && res.kind == HW_OK))
		return hw_no_memory(a->hw, a->rid, addr, hpa(pa), buf, n, write);
	nb_rcu_read_unlock();
	NB_TRACE(a->hw->tr, hw_ats_hit, a->rid, pasid, addr, pa);
	if (unlikely(err))
		a->hw->ops->report(a->hw, &req, &res);
	return err;
}

int hw_atc_dma(struct hw_atc *a, uint32_t pasid, uint64_t addr, void *buf, size_t len, bool write, unsigned int flags,
	       size_t *done)
{
	size_t at = 0, n;
	int err = 0;

	while (at < len) {
		uint64_t here = addr + at;

		n = 4096 - (size_t)(here & 4095);
		if (n > len - at)
			n = len - at;
		err = one(a, pasid, here, (char *)buf + at, n, write, flags);
		if (unlikely(err))
			break;
		at += n;
	}
	*done = at;
	return err;
}

int hw_atc_dma_translated(struct hw_atc *a, uint32_t pasid, uint64_t pa, void *buf, size_t len, bool write)
{
	struct hw_request req = {.pasid = pasid, .rid = a->rid, .access = write ? HW_WRITE : HW_READ, .flags = HW_TRANSLATED};
	struct hw_result res;
	size_t at, n;
	int err;

	for (at = 0; at < len; at += n) {
		req.addr = pa + at;
		n = 4096 - (size_t)(req.addr & 4095);
		if (n > len - at)
			n = len - at;
		err = -EFAULT;
		nb_rcu_read_lock();
		a->hw->ops->translate(a->hw, &req, &res);
		if (res.kind == HW_OK)
			err = copy(a->hw->mem, res.pa.v, (char *)buf + at, n, write);
		if (unlikely(err && res.kind == HW_OK))
			err = hw_no_memory(a->hw, a->rid, req.addr, res.pa, (char *)buf + at, n, write);
		else
			nb_rcu_read_unlock();
		if (res.kind == HW_FAULT)
			a->hw->ops->report(a->hw, &req, &res);
		if (err)
			return err;
	}
	return 0;
}

/* ---- life ---- */

struct hw_atc *hw_atc_new(struct hw_iommu *hw, uint16_t rid, unsigned int entries)
{
	struct hw_atc *a = nb_aligned_zalloc(64, sizeof(*a));
	unsigned int lg2 = 1;

	if (!a)
		return NULL;
	while (lg2 < MAX_ENTRIES_LG2 && BIT(lg2) < entries)
		lg2++;
	a->entry = nb_aligned_zalloc(64, sizeof(*a->entry) << lg2);
	if (!a->entry) {
		nb_free(a);
		return NULL;
	}
	a->hw = hw;
	a->rid = rid;
	a->lg2 = (uint8_t)lg2;
	hw_spin_unlock(&a->lock);
	return a;
}

void hw_atc_free(struct hw_atc *a)
{
	if (!a)
		return;
	nb_free(a->entry);
	nb_free(a);
}

void hw_atc_enable(struct hw_atc *a, bool on)
{
	hw_spin_lock(&a->lock);
	atomic_store_explicit(&a->on, on, memory_order_release);
	hw_spin_unlock(&a->lock);
	if (on)
		return;
	hw_atc_forget(a);
	nb_rcu_synchronize();
}

bool hw_atc_enabled(const struct hw_atc *a)
{
	return atomic_load_explicit(&a->on, memory_order_acquire);
}
