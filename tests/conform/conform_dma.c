/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Promises under fire: DMA from several functions never stops while mappings, guest tables and attachments change.
 *
 *	conform_dma [--ms N]    how long, per scenario
 *
 * The promise: when the call that takes memory away from a device has returned, no write of the device lands there and no read
 * of it sees what is put there. Whoever takes a page away fills it with a stamp that stands for a secret, waits a moment
 * and looks whether every byte is still there; every DMA read looks for the secret. Calls that take memory away: IOAS_UNMAP
 * (first-stage, second-stage and nested domains over one address space), the guest's own unmap with
 * HWPT_INVALIDATE, detach, and replacing a nested domain by another.
 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/bits.h"
#include "rig.h"
#include "uapi/iommufd.h"

#define PAGE   4096u
#define SLOTS  48u  /* pages of each kind */
#define WORDS  (PAGE / 8)
#define SECRET UINT64_C(0x5ec7e75ec7e75ec7)
#define JUNK   UINT64_C(0xdddddddddddddddd)

#define IOVA_A UINT64_C(0x40000000) /* pages that the host maps and unmaps */
#define IOVA_B UINT64_C(0x50000000) /* pages that the guest maps and unmaps */
#define IOVA_C UINT64_C(0x60000000) /* pages of the function that comes and goes */
#define IOVA_T UINT64_C(0x70000000) /* the guests' tables */
#define VA_A   UINT64_C(0x600000000000)
#define VA_B   (VA_A + (2u << 20))
#define VA_C   (VA_A + (4u << 20))

/* Functions of the description, by index: on unit 0: 0, 1; on unit 1: 2, 3. */
enum { FIRST_STAGE, NESTED, COMES_AND_GOES, SECOND_STAGE };

struct test {
	struct rig rig;
	uint64_t *a, *b, *c, *t; /* SLOTS pages each; t: tables */
	uint32_t ioas, fs, parent, nested, nested_c[2];
	_Atomic bool stop;
	_Atomic unsigned int failures;
	_Atomic uint64_t reads, writes, refused, rounds[3];
};

static uint64_t rnd(uint64_t *s)
{
	*s ^= *s >> 12;
	*s ^= *s << 25;
	*s ^= *s >> 27;
	return *s * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

static void fail(struct test *t, const char *what, unsigned int page)
{
	if (atomic_fetch_add(&t->failures, 1) < 5)
		printf("FAILED: %s (page %u)\n", what, page);
	atomic_store(&t->stop, true);
}

/* ---- DMA ---- */

struct requester {
	struct test *t;
	uint64_t seed;
};

static void *requester(void *arg)
{
	static const struct {
		unsigned int dev;
		uint64_t addr;
	} aim[] = {
		{FIRST_STAGE, IOVA_A}, {SECOND_STAGE, IOVA_A}, {NESTED, VA_A}, {NESTED, VA_B}, {NESTED, VA_B},
		{COMES_AND_GOES, VA_C}, {COMES_AND_GOES, IOVA_C}, {COMES_AND_GOES, VA_C},
	};
	struct requester *me = arg;
	struct test *t = me->t;
	uint64_t buf[2 * WORDS], i;

	while (!atomic_load_explicit(&t->stop, memory_order_relaxed)) {
		uint64_t r = rnd(&me->seed), which = r % ARRAY_SIZE(aim);
		uint64_t addr = aim[which].addr + (r >> 8) % SLOTS * PAGE + (r >> 16) % WORDS * 8;
		size_t words = r >> 45 & 3 ? 1 + (r >> 32) % 8 : 1 + (r >> 32) % (2 * WORDS);
		int err;

		if (r >> 47 & 1) {
			for (i = 0; i < words; i++)
				buf[i] = JUNK;
			err = rig_write(&t->rig, aim[which].dev, NB_NO_PASID, addr, buf, words * 8);
			atomic_fetch_add_explicit(err ? &t->refused : &t->writes, 1, memory_order_relaxed);
		} else {
			memset(buf, 0, words * 8);
			err = rig_read(&t->rig, aim[which].dev, NB_NO_PASID, addr, buf, words * 8);
			atomic_fetch_add_explicit(err ? &t->refused : &t->reads, 1, memory_order_relaxed);
			for (i = 0; i < words; i++)
				if (buf[i] == SECRET)
					fail(t, "a DMA read saw what was put into memory that was taken away",
					     (unsigned int)(r >> 8) % SLOTS);
		}
	}
	return NULL;
}

/* ---- those who take away ---- */

static void put_secret(uint64_t *page)
{
	unsigned int i;

	for (i = 0; i < WORDS; i++)
		__atomic_store_n(&page[i], SECRET, __ATOMIC_RELAXED);
}

/* Is it all there? Then clear it: whoever gets the page back may see zeroes. */
static bool secret_kept(uint64_t *page)
{
	unsigned int i;
	bool kept = true;

	for (i = 0; i < WORDS; i++)
		kept &= __atomic_load_n(&page[i], __ATOMIC_RELAXED) == SECRET;
	for (i = 0; i < WORDS; i++)
		__atomic_store_n(&page[i], 0, __ATOMIC_RELAXED);
	return kept;
}

static void moment(uint64_t r)
{
	struct timespec ts = {0, (long)(r % 100000)};

	if (r & UINT64_C(1) << 40)
		sched_yield();
	else
		nanosleep(&ts, NULL);
}

static void check_pages(struct test *t, uint64_t *pages, unsigned int first, unsigned int n, uint64_t r, const char *what)
{
	unsigned int i;

	for (i = first; i < first + n; i++)
		put_secret(pages + i * WORDS);
	moment(r);
	for (i = first; i < first + n; i++)
		if (!secret_kept(pages + i * WORDS))
			fail(t, what, i);
}

static void must(struct test *t, long err, const char *what)
{
	if (err) {
		printf("%s returned %ld\n", what, err);
		fail(t, what, 0);
	}
}

/* The host: areas of 1 to 4 pages, unmapped and mapped again. */
static void *host_unmaps(void *arg)
{
	struct test *t = arg;
	uint64_t seed = 11, at[SLOTS / 4];
	unsigned int i, n[SLOTS / 4];

	for (i = 0; i < SLOTS / 4; i++) {
		at[i] = IOVA_A + i * 4 * PAGE;
		n[i] = 1 + i % 4;
		must(t, rig_map(&t->rig, t->ioas, t->a + i * 4 * WORDS, at[i], n[i] * PAGE, HW_READ | HW_WRITE), "map");
	}
	while (!atomic_load_explicit(&t->stop, memory_order_relaxed)) {
		uint64_t r = rnd(&seed), gone;

		i = (unsigned int)(r % (SLOTS / 4));
		must(t, rig_unmap(&t->rig, t->ioas, at[i], n[i] * PAGE, &gone), "unmap");
		check_pages(t, t->a, i * 4, n[i], r, "DMA wrote to a page that was unmapped from the address space");
		n[i] = 1 + (unsigned int)(r >> 20) % 4;
		must(t, rig_map(&t->rig, t->ioas, t->a + i * 4 * WORDS, at[i], n[i] * PAGE, HW_READ | HW_WRITE), "map");
		atomic_fetch_add(&t->rounds[0], 1);
	}
	return NULL;
}

/* Guest tables: t[0] PML4, t[1] PDPT, t[2] PD, t[3], t[4], t[5] the page tables of VA_A, VA_B, VA_C. */
static uint64_t *table(struct test *t, unsigned int i)
{
	return t->t + i * WORDS;
}

static void guest_store(uint64_t *slot, uint64_t v)
{
	__atomic_store_n(slot, v, __ATOMIC_RELEASE);
}

static void *guest_unmaps(void *arg)
{
	struct test *t = arg;
	uint64_t seed = 77;

	while (!atomic_load_explicit(&t->stop, memory_order_relaxed)) {
		uint64_t r = rnd(&seed);
		unsigned int i = (unsigned int)(r % SLOTS), n = 1 + (unsigned int)(r >> 12) % 3, k;

		if (i + n > SLOTS)
			n = SLOTS - i;
		if ((r >> 32) % 8 == 0) { /* the whole table */
			uint64_t *pde = &table(t, 2)[VA_B >> 21 & 511], old = *pde;

			guest_store(pde, 0);
			must(t, rig_invalidate(&t->rig, t->nested, VA_B, 512, false), "invalidate");
			check_pages(t, t->b, 0, SLOTS, r, "DMA wrote to a page whose table the guest had taken away");
			guest_store(pde, old & ~UINT64_C(0x20));
		} else {
			for (k = i; k < i + n; k++)
				guest_store(&table(t, 4)[k], 0);
			must(t, rig_invalidate(&t->rig, t->nested, VA_B + i * PAGE, n, r >> 33 & 1), "invalidate");
			check_pages(t, t->b, i, n, r, "DMA wrote to a page that the guest had unmapped");
			for (k = i; k < i + n; k++)
				guest_store(&table(t, 4)[k], (IOVA_B + k * PAGE) | 7);
		}
		atomic_fetch_add(&t->rounds[1], 1);
	}
	return NULL;
}

static void *comes_and_goes(void *arg)
{
	struct test *t = arg;
	uint64_t seed = 5, r;

	while (!atomic_load_explicit(&t->stop, memory_order_relaxed)) {
		r = rnd(&seed);
		must(t, rig_attach(&t->rig, COMES_AND_GOES, NB_NO_PASID, r & 1 ? t->nested_c[r >> 1 & 1] : r & 2 ? t->parent : t->fs),
		     "attach");
		moment(r >> 8);
		if (r >> 40 & 1) /* replaced by an address space in which nothing of c is mapped */
			must(t, rig_attach(&t->rig, COMES_AND_GOES, NB_NO_PASID, t->nested), "replace");
		else
			must(t, rig_detach(&t->rig, COMES_AND_GOES, NB_NO_PASID), "detach");
		check_pages(t, t->c, 0, SLOTS, r, "DMA wrote to a page of a domain that the function had been detached from");
		atomic_fetch_add(&t->rounds[2], 1);
	}
	return NULL;
}

/* ---- the scene ---- */

static uint64_t *pages(size_t n)
{
	void *p = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		exit(1);
	memset(p, 0, n * PAGE);
	return p;
}

/*
 * Tables at `first`, all with VA_A and VA_B; VA_C only in those whose user may come and go. Entries carry no A and D: hardware
 * sets them.
 */
static uint64_t guest_tables(struct test *t, unsigned int first, bool with_c)
{
	uint64_t gpa = IOVA_T + first * PAGE;
	unsigned int i, k;

	table(t, first)[VA_A >> 39 & 511] = (gpa + PAGE) | 7;
	table(t, first + 1)[VA_A >> 30 & 511] = (gpa + 2 * PAGE) | 7;
	for (k = 0; k < (with_c ? 3 : 2); k++) {
		static const uint64_t to[3] = {IOVA_A, IOVA_B, IOVA_C};

		if (with_c && k < 2)
			continue;
		table(t, first + 2)[(VA_A >> 21 & 511) + k] = (gpa + (3 + k) * PAGE) | 7;
		for (i = 0; i < SLOTS; i++)
			table(t, first + 3 + k)[i] = (to[k] + i * PAGE) | 7;
	}
	return gpa;
}

static void build(struct test *t)
{
	const uint32_t parent = IOMMU_HWPT_ALLOC_NEST_PARENT;
	uint64_t plain, with_c;
	unsigned int i;

	memset(t, 0, sizeof(*t));
	t->a = pages(SLOTS);
	t->b = pages(SLOTS);
	t->c = pages(SLOTS);
	t->t = pages(16);
	if (!rig_up(&t->rig, nb_desc_find("spr-fixed")))
		exit(1);
	plain = guest_tables(t, 0, false);
	with_c = guest_tables(t, 6, true);
	must(t, rig_ioas(&t->rig, &t->ioas), "IOAS_ALLOC");
	must(t, rig_map(&t->rig, t->ioas, t->t, IOVA_T, 16 * PAGE, HW_READ | HW_WRITE), "map");
	must(t, rig_map(&t->rig, t->ioas, t->b, IOVA_B, SLOTS * PAGE, HW_READ | HW_WRITE), "map");
	must(t, rig_map(&t->rig, t->ioas, t->c, IOVA_C, SLOTS * PAGE, HW_READ | HW_WRITE), "map");
	must(t, rig_hwpt(&t->rig, FIRST_STAGE, t->ioas, 0, &t->fs), "HWPT_ALLOC");
	must(t, rig_hwpt(&t->rig, NESTED, t->ioas, parent, &t->parent), "HWPT_ALLOC");
	must(t, rig_hwpt_nested(&t->rig, NESTED, t->parent, 0, plain, 48, 0, &t->nested), "nested HWPT_ALLOC");
	for (i = 0; i < 2; i++)
		must(t, rig_hwpt_nested(&t->rig, COMES_AND_GOES, t->parent, 0, with_c, 48, 0, &t->nested_c[i]),
		     "nested HWPT_ALLOC");
	must(t, rig_attach(&t->rig, FIRST_STAGE, NB_NO_PASID, t->fs), "attach");
	must(t, rig_attach(&t->rig, NESTED, NB_NO_PASID, t->nested), "attach");
	must(t, rig_attach(&t->rig, SECOND_STAGE, NB_NO_PASID, t->parent), "attach");
}

static void take_down(struct test *t)
{
	rig_down(&t->rig);
	munmap(t->a, SLOTS * PAGE);
	munmap(t->b, SLOTS * PAGE);
	munmap(t->c, SLOTS * PAGE);
	munmap(t->t, 16 * PAGE);
}

typedef void *actor_fn(void *);

static bool scenario(const char *name, unsigned int ms, const unsigned int *which, unsigned int n)
{
	static actor_fn *const actors[3] = {host_unmaps, guest_unmaps, comes_and_goes};
	static struct test t;
	struct requester req[2];
	pthread_t th[5];
	struct timespec ts = {ms / 1000, (long)(ms % 1000) * 1000000};
	unsigned int i;
	bool idle = false;

	build(&t);
	for (i = 0; i < 2; i++) {
		req[i] = (struct requester){.t = &t, .seed = 1000003 * (i + 1)};
		if (pthread_create(&th[i], NULL, requester, &req[i]))
			exit(1);
	}
	for (i = 0; i < n; i++)
		if (pthread_create(&th[2 + i], NULL, actors[which[i]], &t))
			exit(1);
	nanosleep(&ts, NULL);
	atomic_store(&t.stop, true);
	for (i = 0; i < 2 + n; i++)
		pthread_join(th[i], NULL);
	for (i = 0; i < n; i++)
		idle |= t.rounds[which[i]] == 0;
	printf("%-10s %s: %" PRIu64 " reads, %" PRIu64 " writes, %" PRIu64 " refused; taken away by the host %" PRIu64
	       ", the guest %" PRIu64 ", detach %" PRIu64 " times\n",
	       name, t.failures ? "FAILED" : "ok", t.reads, t.writes, t.refused, t.rounds[0], t.rounds[1], t.rounds[2]);
	take_down(&t);
	/* Where nothing happened nothing was shown. */
	return !t.failures && !idle && t.reads && t.writes;
}

int main(int argc, char **argv)
{
	static const unsigned int host[] = {0}, guest[] = {1}, detach[] = {2}, all[] = {0, 1, 2};
	unsigned int ms = argc == 3 && strcmp(argv[1], "--ms") == 0 ? (unsigned int)atoi(argv[2]) : 700;
	bool ok = true;

	ok &= scenario("unmap", ms, host, 1);
	ok &= scenario("guest", ms, guest, 1);
	ok &= scenario("detach", ms, detach, 1);
	ok &= scenario("all", 2 * ms, all, 3);
	return ok ? 0 : 1;
}
