/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Promises under fire: DMA from several functions never stops while mappings, guest tables and attachments change.
 *
 *	conform_dma [--ms N] [--conf NAME]    how long, per scenario; on which host (a configuration of a vendor; names are unique)
 *
 * The promise: when the call that takes memory away from a device has returned, no write of the device lands there and no read
 * of it sees what is put there. Whoever takes a page away fills it with a stamp that stands for a secret, waits a moment
 * and looks whether every byte is still there; every DMA read looks for the secret. Calls that take memory away: IOAS_UNMAP
 * (first-stage, second-stage and nested domains over one address space), the guest's own unmap with
 * HWPT_INVALIDATE, detach (of a function and of one PASID), and replacing a nested domain by another. Where dirty pages are tracked somebody
 * switches that on and off, and a write that was made while it was on must be in the bitmap.
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
#include "nest.h"
#include "rig.h"
#include "uapi/iommufd.h"
#include "vendor.h"

#define PAGE   4096u
#define SLOTS  48u  /* pages of each kind */
#define WORDS  (PAGE / 8)
#define SECRET UINT64_C(0x5ec7e75ec7e75ec7)
#define JUNK   UINT64_C(0xdddddddddddddddd)

#define IOVA_A UINT64_C(0x40000000) /* pages that the host maps and unmaps */
#define IOVA_B UINT64_C(0x50000000) /* pages that the guest maps and unmaps */
#define IOVA_C UINT64_C(0x60000000) /* pages of the function that comes and goes */
#define IOVA_D UINT64_C(0x68000000) /* pages of the PASID that comes and goes */
#define IOVA_T UINT64_C(0x70000000) /* the guests' tables */
#define VA_A   UINT64_C(0x600000000000)
#define VA_B   (VA_A + (2u << 20))
#define VA_C   (VA_A + (4u << 20))
#define VA_D   (VA_A + (6u << 20))

/* Roles; two are played on unit 0 and two on unit 1. */
enum { FIRST_STAGE, NESTED, COMES_AND_GOES, SECOND_STAGE, NROLES };
#define PASID 70u /* comes and goes by itself: of NESTED, or of FIRST_STAGE where PASIDs under a nested domain are the guest's */

enum { HOST, GUEST, DETACH, BY_PASID, TRACKING, NACTORS };

struct test {
	struct rig rig;
	const struct vendor *v;
	struct vendor_guest g;
	unsigned int dev[NROLES]; /* functions of the description */
	bool nests_by_pasid;
	uint64_t *a, *b, *c, *d, *t; /* SLOTS pages each; t: tables */
	uint32_t ioas, fs, parent, nothing; /* the last: an address space with nothing in it */
	struct nest nest;
	struct nest_vdevs vdevs;
	struct nested nested, nested_c[2];
	bool tracks;
	unsigned int tracked_dev;
	uint32_t tracked;
	_Atomic bool stop;
	_Atomic unsigned int failures;
	_Atomic uint64_t reads, writes, refused, rounds[NACTORS];
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
		uint32_t pasid;
		uint64_t addr;
	} aim[] = {
		{FIRST_STAGE, NB_NO_PASID, IOVA_A},    {SECOND_STAGE, NB_NO_PASID, IOVA_A}, {NESTED, NB_NO_PASID, VA_A},
		{NESTED, NB_NO_PASID, VA_B},	       {NESTED, NB_NO_PASID, VA_B},	    {COMES_AND_GOES, NB_NO_PASID, VA_C},
		{COMES_AND_GOES, NB_NO_PASID, IOVA_C}, {COMES_AND_GOES, NB_NO_PASID, VA_C}, {NESTED, PASID, VA_D},
		{NESTED, PASID, IOVA_D},	       {FIRST_STAGE, PASID, IOVA_D},	    {NESTED, V_GUEST_PASID, VA_B},
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
			err = rig_write(&t->rig, t->dev[aim[which].dev], aim[which].pasid, addr, buf, words * 8);
			atomic_fetch_add_explicit(err ? &t->refused : &t->writes, 1, memory_order_relaxed);
		} else {
			memset(buf, 0, words * 8);
			err = rig_read(&t->rig, t->dev[aim[which].dev], aim[which].pasid, addr, buf, words * 8);
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
		atomic_fetch_add(&t->rounds[HOST], 1);
	}
	return NULL;
}

/* Guest tables of 4 levels: t[0] to t[2] the upper ones, t[3], t[4], t[5], t[6] the last of VA_A to VA_D; then the domain's own page. */
#define TABLES 8u
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
			must(t, nest_invalidate(&t->nested, VA_B, 512, false), "invalidate");
			check_pages(t, t->b, 0, SLOTS, r, "DMA wrote to a page whose table the guest had taken away");
			guest_store(pde, t->v->s1_node(&t->g, old & BITS(47, 12)));
		} else {
			for (k = i; k < i + n; k++)
				guest_store(&table(t, 4)[k], 0);
			must(t, nest_invalidate(&t->nested, VA_B + i * PAGE, n, r >> 33 & 1), "invalidate");
			check_pages(t, t->b, i, n, r, "DMA wrote to a page that the guest had unmapped");
			for (k = i; k < i + n; k++)
				guest_store(&table(t, 4)[k], t->v->s1_leaf(&t->g, IOVA_B + k * PAGE, HW_READ | HW_WRITE));
		}
		atomic_fetch_add(&t->rounds[GUEST], 1);
	}
	return NULL;
}

static void *comes_and_goes(void *arg)
{
	struct test *t = arg;
	const unsigned int dev = t->dev[COMES_AND_GOES];
	uint64_t seed = 5, r;

	while (!atomic_load_explicit(&t->stop, memory_order_relaxed)) {
		r = rnd(&seed);
		must(t, r & 1 ? nest_attach(&t->vdevs, &t->nested_c[r >> 1 & 1], dev, NB_NO_PASID) :
				rig_attach(&t->rig, dev, NB_NO_PASID, r & 2 ? t->parent : t->fs), "attach");
		moment(r >> 8);
		if (r >> 40 & 1) /* replaced by an address space in which nothing of c is mapped */
			must(t, nest_attach(&t->vdevs, &t->nested, dev, NB_NO_PASID), "replace");
		else
			must(t, rig_detach(&t->rig, dev, NB_NO_PASID), "detach");
		check_pages(t, t->c, 0, SLOTS, r, "DMA wrote to a page of a domain that the function had been detached from");
		atomic_fetch_add(&t->rounds[DETACH], 1);
	}
	return NULL;
}

/* One PASID of a function whose plain requests go on; the last table of PASID entries that it needs stays. */
static void *pasid_comes_and_goes(void *arg)
{
	struct test *t = arg;
	const unsigned int dev = t->dev[t->nests_by_pasid ? NESTED : FIRST_STAGE];
	uint64_t seed = 9, r;

	while (!atomic_load_explicit(&t->stop, memory_order_relaxed)) {
		r = rnd(&seed);
		if (t->nests_by_pasid && (r & 1))
			must(t, nest_attach(&t->vdevs, &t->nested_c[r >> 1 & 1], dev, PASID), "attach a PASID");
		else
			must(t, rig_attach(&t->rig, dev, PASID, t->nests_by_pasid && (r & 2) ? t->parent : t->fs), "attach a PASID");
		moment(r >> 8);
		if (!(r >> 40 & 1))
			must(t, rig_detach(&t->rig, dev, PASID), "detach a PASID");
		else if (t->nests_by_pasid)
			must(t, nest_attach(&t->vdevs, &t->nested, dev, PASID), "replace for a PASID");
		else
			must(t, rig_attach(&t->rig, dev, PASID, t->nothing), "replace for a PASID");
		check_pages(t, t->d, 0, SLOTS, r, "DMA wrote to a page of a domain that the PASID had been detached from");
		atomic_fetch_add(&t->rounds[BY_PASID], 1);
	}
	return NULL;
}

/* Page 0 of b is mapped all the time, and everybody writes everywhere; so does this one, and looks. */
static void *tracks_dirty(void *arg)
{
	struct test *t = arg;
	uint64_t seed = 21, word = JUNK, bit;

	while (!atomic_load_explicit(&t->stop, memory_order_relaxed)) {
		uint64_t r = rnd(&seed), iova = IOVA_T + (2 * TABLES + r % 8) * PAGE;

		must(t, rig_dirty_tracking(&t->rig, t->tracked, true), "tracking on");
		if (rig_write(&t->rig, t->tracked_dev, NB_NO_PASID, iova, &word, sizeof(word)))
			fail(t, "a write to memory that is mapped was refused", 0);
		bit = 0;
		must(t, rig_dirty_bitmap(&t->rig, t->tracked, iova, PAGE, PAGE, &bit, false), "dirty bitmap");
		if (!(bit & 1))
			fail(t, "a page was written while tracking was on, and is not dirty", (unsigned int)(r % 8));
		if (rig_write(&t->rig, t->tracked_dev, NB_NO_PASID, iova, &word, sizeof(word)))
			fail(t, "a write to memory that is mapped was refused", 0);
		bit = 0;
		must(t, rig_dirty_bitmap(&t->rig, t->tracked, iova, PAGE, PAGE, &bit, true), "dirty bitmap");
		if (!(bit & 1))
			fail(t, "a page was written after its bit was cleared, and is not dirty", (unsigned int)(r % 8));
		moment(r >> 20);
		must(t, rig_dirty_tracking(&t->rig, t->tracked, false), "tracking off");
		atomic_fetch_add(&t->rounds[TRACKING], 1);
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
 * Tables at `first`, all with VA_A and VA_B; VA_C and VA_D only in those whose user may come and go. Entries carry no marks of use where
 * hardware can set them.
 */
static uint64_t guest_tables(struct test *t, unsigned int first, bool with_c)
{
	static const uint64_t to[4] = {IOVA_A, IOVA_B, IOVA_C, IOVA_D};
	uint64_t gpa = IOVA_T + first * PAGE;
	unsigned int i, k;

	table(t, first)[VA_A >> 39 & 511] = t->v->s1_node(&t->g, gpa + PAGE);
	table(t, first + 1)[VA_A >> 30 & 511] = t->v->s1_node(&t->g, gpa + 2 * PAGE);
	for (k = with_c ? 2 : 0; k < (with_c ? 4u : 2u); k++) {
		table(t, first + 2)[(VA_A >> 21 & 511) + k] = t->v->s1_node(&t->g, gpa + (3 + k) * PAGE);
		for (i = 0; i < SLOTS; i++)
			table(t, first + 3 + k)[i] = t->v->s1_leaf(&t->g, to[k] + i * PAGE, HW_READ | HW_WRITE);
	}
	return gpa;
}

static void guest_domain(struct test *t, uint64_t root, uint32_t flags, struct nested *out)
{
	uint64_t config = root + 7 * PAGE;

	if (!nest_table(&t->nest, V_S1_TABLE, root, table(t, (unsigned int)((config - IOVA_T) / PAGE)), config, flags, out))
		fail(t, "no such guest", 0);
}

static void build(struct test *t, const struct vendor *v, const struct vendor_conf *conf)
{
	static struct nb_desc desc;
	uint32_t parent = IOMMU_HWPT_ALLOC_NEST_PARENT, plain_flags = IOMMU_HWPT_ALLOC_PASID, none;
	uint64_t plain, with_c;
	unsigned int i;

	memset(t, 0, sizeof(*t));
	t->v = v;
	conf->make(&desc);
	v->guest(conf, &desc, &t->g);
	t->nests_by_pasid = !v->drv->user_pasid_table;
	for (i = 0; i < NROLES; i++)
		t->dev[i] = i;
	if (!t->nests_by_pasid) { /* the function with PASIDs is the one under the host's own first stage */
		t->dev[FIRST_STAGE] = NESTED;
		t->dev[NESTED] = FIRST_STAGE;
	}
	t->a = pages(SLOTS);
	t->b = pages(SLOTS);
	t->c = pages(SLOTS);
	t->d = pages(SLOTS);
	t->t = pages(24);
	if (!rig_up(&t->rig, &desc))
		exit(1);
	plain = guest_tables(t, 0, false);
	with_c = guest_tables(t, TABLES, true);
	must(t, rig_ioas(&t->rig, &t->ioas), "IOAS_ALLOC");
	must(t, rig_map(&t->rig, t->ioas, t->t, IOVA_T, 24 * PAGE, HW_READ | HW_WRITE), "map");
	must(t, rig_map(&t->rig, t->ioas, t->b, IOVA_B, SLOTS * PAGE, HW_READ | HW_WRITE), "map");
	must(t, rig_map(&t->rig, t->ioas, t->c, IOVA_C, SLOTS * PAGE, HW_READ | HW_WRITE), "map");
	must(t, rig_map(&t->rig, t->ioas, t->d, IOVA_D, SLOTS * PAGE, HW_READ | HW_WRITE), "map");
	must(t, rig_ioas(&t->rig, &none), "IOAS_ALLOC");
	must(t, rig_hwpt(&t->rig, t->dev[FIRST_STAGE], none, IOMMU_HWPT_ALLOC_PASID, &t->nothing), "HWPT_ALLOC");
	/* Who can track dirty pages: parents, or first stages of the host. */
	t->tracks = true;
	if (t->nests_by_pasid)
		parent |= IOMMU_HWPT_ALLOC_PASID;
	if (rig_hwpt(&t->rig, t->dev[NESTED], t->ioas, parent | IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &t->parent) == 0) {
		t->tracked = t->parent;
		t->tracked_dev = t->dev[SECOND_STAGE];
	} else {
		must(t, rig_hwpt(&t->rig, t->dev[NESTED], t->ioas, parent, &t->parent), "HWPT_ALLOC");
		if (t->nests_by_pasid)
			t->tracks = false;
		else
			plain_flags |= IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	}
	if (rig_hwpt(&t->rig, t->dev[FIRST_STAGE], t->ioas, plain_flags, &t->fs)) {
		t->tracks = false;
		must(t, rig_hwpt(&t->rig, t->dev[FIRST_STAGE], t->ioas, IOMMU_HWPT_ALLOC_PASID, &t->fs), "HWPT_ALLOC");
	} else if (t->tracks && !t->tracked) {
		t->tracked = t->fs;
		t->tracked_dev = t->dev[FIRST_STAGE];
	}
	nest_init(&t->nest, &t->rig, v, &t->g, t->parent);
	guest_domain(t, plain, t->nests_by_pasid ? IOMMU_HWPT_ALLOC_PASID : 0, &t->nested);
	for (i = 0; i < 2; i++)
		guest_domain(t, with_c, t->nests_by_pasid ? IOMMU_HWPT_ALLOC_PASID : 0, &t->nested_c[i]);
	/* Before there are threads: all that is made at a first use. */
	for (i = 0; i < NROLES; i++) {
		must(t, nest_hwpt(&t->nested, t->dev[i], &none), "nested HWPT_ALLOC");
		must(t, nest_hwpt(&t->nested_c[0], t->dev[i], &none), "nested HWPT_ALLOC");
		must(t, nest_hwpt(&t->nested_c[1], t->dev[i], &none), "nested HWPT_ALLOC");
	}
	must(t, rig_attach(&t->rig, t->dev[FIRST_STAGE], NB_NO_PASID, t->fs), "attach");
	must(t, nest_attach(&t->vdevs, &t->nested, t->dev[NESTED], NB_NO_PASID), "attach");
	must(t, rig_attach(&t->rig, t->dev[SECOND_STAGE], NB_NO_PASID, t->parent), "attach");
}

static void take_down(struct test *t)
{
	rig_down(&t->rig);
	munmap(t->a, SLOTS * PAGE);
	munmap(t->b, SLOTS * PAGE);
	munmap(t->c, SLOTS * PAGE);
	munmap(t->d, SLOTS * PAGE);
	munmap(t->t, 24 * PAGE);
}

typedef void *actor_fn(void *);

static bool scenario(const char *name, const struct vendor *v, const struct vendor_conf *conf, unsigned int ms, unsigned int which)
{
	static actor_fn *const actors[NACTORS] = {host_unmaps, guest_unmaps, comes_and_goes, pasid_comes_and_goes, tracks_dirty};
	static struct test t;
	struct requester req[2];
	pthread_t th[2 + NACTORS];
	struct timespec ts = {ms / 1000, (long)(ms % 1000) * 1000000};
	unsigned int i, n = 0;
	bool idle = false;

	build(&t, v, conf);
	if (!t.tracks)
		which &= ~(1u << TRACKING);
	for (i = 0; i < 2; i++) {
		req[i] = (struct requester){.t = &t, .seed = 1000003 * (i + 1)};
		if (pthread_create(&th[n++], NULL, requester, &req[i]))
			exit(1);
	}
	for (i = 0; i < NACTORS; i++)
		if ((which >> i & 1) && pthread_create(&th[n++], NULL, actors[i], &t))
			exit(1);
	nanosleep(&ts, NULL);
	atomic_store(&t.stop, true);
	while (n-- > 0)
		pthread_join(th[n], NULL);
	for (i = 0; i < NACTORS; i++)
		idle |= (which >> i & 1) && t.rounds[i] == 0;
	printf("%-8s %s: %" PRIu64 " reads, %" PRIu64 " writes, %" PRIu64 " refused; taken away by the host %" PRIu64
	       ", the guest %" PRIu64 ", detach %" PRIu64 ", of a PASID %" PRIu64 ", tracking switched %" PRIu64 " times\n",
	       name, t.failures ? "FAILED" : idle ? "IDLE" : "ok", t.reads, t.writes, t.refused, t.rounds[HOST], t.rounds[GUEST],
	       t.rounds[DETACH], t.rounds[BY_PASID], t.rounds[TRACKING]);
	take_down(&t);
	/* Where nothing happened nothing was shown. */
	return !t.failures && !idle && t.reads && t.writes;
}

static const struct vendor *find(const char *name, const struct vendor_conf **conf)
{
	const struct vendor *const *v;
	unsigned int i;

	for (v = vendors; *v; v++)
		for (i = 0; i < (*v)->nconfs; i++)
			if (strcmp((*v)->conf[i].name, name) == 0) {
				*conf = &(*v)->conf[i];
				return *v;
			}
	return NULL;
}

int main(int argc, char **argv)
{
	const struct vendor_conf *conf;
	const struct vendor *v;
	const char *name = "spr-fixed";
	unsigned int ms = 600;
	bool ok = true;
	int a;

	for (a = 1; a + 1 < argc; a += 2) {
		if (strcmp(argv[a], "--ms") == 0)
			ms = (unsigned int)atoi(argv[a + 1]);
		else if (strcmp(argv[a], "--conf") == 0)
			name = argv[a + 1];
		else
			return 2;
	}
	v = find(name, &conf);
	if (!v)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	ok &= scenario("unmap", v, conf, ms, 1u << HOST);
	ok &= scenario("guest", v, conf, ms, 1u << GUEST);
	ok &= scenario("detach", v, conf, ms, 1u << DETACH);
	ok &= scenario("PASID", v, conf, ms, 1u << BY_PASID);
	ok &= scenario("tracking", v, conf, ms, 1u << TRACKING | 1u << HOST);
	ok &= scenario("all", v, conf, 2 * ms, (1u << NACTORS) - 1);
	return ok ? 0 : 1;
}
