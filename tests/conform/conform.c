/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every vendor must do, on every configuration: attachments in every order, by ioctl; and where DMA gets to.
 *
 *	conform [BODY] [--vendor NAME] [--conf NAME]
 *
 * A body is one story told to a whole virtual host. It asks for what it needs and opts out where the host has it not; the last
 * line of each configuration says which bodies did, and why.
 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "nest.h"
#include "rig.h"
#include "uapi/iommufd.h"
#include "vendor.h"

#define PAGE_MAX 65536u
#define NPAGES 64u
/* Pages are the guest's, whatever the host's are. */
#define PAGE  (1u << s->g.page_lg2)
#define WORDS (PAGE / 8)
#define IOVA  UINT64_C(0x40000000) /* of page 0 in every address space */
#define VA    UINT64_C(0x600000000000)
#define PASID 5u
#define EBUSY_ (-16)

/* Pages: 0..15 and 16..31 the tables of guests A and B; the others data. Word 0 of a data page says which it is. */
#define DATA 32u

struct scene {
	const struct vendor *v;
	const struct vendor_conf *conf;
	struct nb_desc desc;
	struct rig rig;
	uint64_t *mem[2]; /* two sets of pages, one for each address space */
	struct vendor_guest g;
	uint32_t ioas[2], parent[2];
	struct nest nest[2];	   /* over the parents */
	struct nest_vdevs vdevs;
	unsigned int engine, other, far; /* a function with PASIDs, one beside it, one behind another unit */
	bool nests, pasids;
	bool nests_by_pasid;	   /* PASIDs can be attached to parents and what is over them; else they are the guest's */
	const char *body, *opted_out; /* the latter: what is missing, null if the body ran */
	unsigned int failures;
};

#define CHECK(s, cond)                                                                                         \
	do {                                                                                                   \
		if (!(cond) && (s)->failures++ < 10)                                                           \
			printf("FAILED: %s/%s: %s: line %d: %s\n", (s)->v->name, (s)->conf->name, (s)->body, __LINE__, #cond); \
	} while (0)

static uint64_t mark(unsigned int set, unsigned int page)
{
	return UINT64_C(0xc0ffee) << 16 | set << 8 | page;
}

/* What a read of this address gives: a page's mark; 0: refused. */
static uint64_t get(struct scene *s, unsigned int dev, uint32_t pasid, uint64_t addr)
{
	uint64_t v = 0;

	return rig_read(&s->rig, dev, pasid, addr, &v, sizeof(v)) ? 0 : v;
}

/* Guest `g` maps VA + i pages to its data page (shift + i), in tables at its own place of set `set`. Returns the root. */
static uint64_t guest(struct scene *s, unsigned int set, unsigned int g, unsigned int shift)
{
	uint64_t *t = s->mem[set] + (size_t)g * 16 * WORDS, gpa = IOVA + g * 16 * PAGE;
	const unsigned int index_lg2 = s->g.page_lg2 - 3u;
	unsigned int i;

	memset(t, 0, 5 * PAGE);
	for (i = 0; i + 1u < s->g.levels; i++) {
		uint64_t slot = VA >> (s->g.page_lg2 + index_lg2 * (s->g.levels - 1u - i)) & (WORDS - 1);

		t[i * WORDS + slot] = s->v->s1_node(&s->g, gpa + (i + 1) * PAGE);
	}
	for (i = 0; i < 8; i++)
		t[(s->g.levels - 1u) * WORDS + i] = s->v->s1_leaf(&s->g, IOVA + (DATA + shift + i) * PAGE, HW_READ | HW_WRITE);
	return gpa;
}

static uint32_t pasid_flag(const struct scene *s)
{
	return s->pasids ? IOMMU_HWPT_ALLOC_PASID : 0u;
}

static uint32_t paging(struct scene *s, unsigned int dev, unsigned int set)
{
	uint32_t id = 0;

	CHECK(s, rig_hwpt(&s->rig, dev, s->ioas[set], pasid_flag(s), &id) == 0);
	return id;
}

/* Behind its tables, of which there are 4 at most, a guest has a page for what else its IOMMU reads. */
static struct nested nested(struct scene *s, unsigned int dev, unsigned int set, uint64_t root)
{
	uint64_t config = root + 4 * PAGE;
	struct nested n;
	uint32_t id;

	CHECK(s, nest_table(&s->nest[set], V_S1_TABLE, root, s->mem[set] + (config - IOVA) / 8, config,
			    s->nests_by_pasid ? pasid_flag(s) : 0, &n));
	CHECK(s, nest_hwpt(&n, dev, &id) == 0);
	return n;
}

static void invalidate(struct scene *s, struct nested *n, uint64_t va, uint64_t npages)
{
	CHECK(s, nest_invalidate(n, va, npages, false) == 0);
}

static void attach_nested(struct scene *s, unsigned int dev, uint32_t pasid, struct nested *n)
{
	CHECK(s, nest_attach(&s->vdevs, n, dev, pasid) == 0);
}

static void attach(struct scene *s, unsigned int dev, uint32_t pasid, uint32_t id)
{
	CHECK(s, rig_attach(&s->rig, dev, pasid, id) == 0);
}

static void detach(struct scene *s, unsigned int dev, uint32_t pasid)
{
	CHECK(s, rig_detach(&s->rig, dev, pasid) == 0);
}

static bool needs(struct scene *s, bool has, const char *what)
{
	if (!has)
		s->opted_out = what;
	return has;
}

/* ---- bodies ---- */

static void parent_never_attached(struct scene *s)
{
	struct nested n;

	if (!needs(s, s->nests, "no nesting"))
		return;
	n = nested(s, s->engine, 0, guest(s, 0, 0, 0));
	attach_nested(s, s->engine, NB_NO_PASID, &n);
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA + PAGE) == mark(0, DATA + 1));
	CHECK(s, get(s, s->engine, NB_NO_PASID, IOVA + DATA * PAGE) == 0); /* a GPA is no VA */
	/* What the host takes from the parent is gone for the child, though nobody is attached to the parent. */
	CHECK(s, rig_unmap(&s->rig, s->ioas[0], IOVA, NPAGES * PAGE, NULL) == 0);
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA + PAGE) == 0);
	CHECK(s, rig_map(&s->rig, s->ioas[0], s->mem[0], IOVA, NPAGES * PAGE, HW_READ | HW_WRITE) == 0);
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA + PAGE) == mark(0, DATA + 1));
	CHECK(s, nest_destroy(&n) == EBUSY_);
	CHECK(s, rig_destroy(&s->rig, s->parent[0]) == EBUSY_);
	detach(s, s->engine, NB_NO_PASID);
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA + PAGE) == 0);
	CHECK(s, nest_destroy(&n) == 0);
}

static void two_parents(struct scene *s)
{
	struct nested a, b;

	if (!needs(s, s->nests, "no nesting"))
		return;
	/* The same guest addresses in two address spaces: only the parent tells them apart. */
	a = nested(s, s->engine, 0, guest(s, 0, 0, 0));
	b = nested(s, s->engine, 1, guest(s, 1, 0, 0));
	attach_nested(s, s->engine, NB_NO_PASID, &a);
	attach_nested(s, s->other, NB_NO_PASID, &b);
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA) == mark(0, DATA));
	CHECK(s, get(s, s->other, NB_NO_PASID, VA) == mark(1, DATA));
	CHECK(s, rig_unmap(&s->rig, s->ioas[0], IOVA, NPAGES * PAGE, NULL) == 0);
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA) == 0);
	CHECK(s, get(s, s->other, NB_NO_PASID, VA) == mark(1, DATA));
	CHECK(s, rig_map(&s->rig, s->ioas[0], s->mem[0], IOVA, NPAGES * PAGE, HW_READ | HW_WRITE) == 0);
	attach_nested(s, s->engine, NB_NO_PASID, &b);
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA) == mark(1, DATA));
	attach_nested(s, s->other, NB_NO_PASID, &a);
	CHECK(s, get(s, s->other, NB_NO_PASID, VA) == mark(0, DATA));
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA) == mark(1, DATA));
	/* Behind another unit as well. */
	attach_nested(s, s->far, NB_NO_PASID, &a);
	CHECK(s, get(s, s->far, NB_NO_PASID, VA) == mark(0, DATA));
	CHECK(s, rig_unmap(&s->rig, s->ioas[1], IOVA, NPAGES * PAGE, NULL) == 0);
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA) == 0);
	CHECK(s, get(s, s->far, NB_NO_PASID, VA) == mark(0, DATA));
}

static void child_before_parent(struct scene *s)
{
	struct nested n;

	if (!needs(s, s->nests, "no nesting"))
		return;
	n = nested(s, s->engine, 0, guest(s, 0, 0, 0));
	attach_nested(s, s->engine, NB_NO_PASID, &n);
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA) == mark(0, DATA));
	attach(s, s->other, NB_NO_PASID, s->parent[0]);
	CHECK(s, get(s, s->other, NB_NO_PASID, IOVA + DATA * PAGE) == mark(0, DATA));
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA) == mark(0, DATA));
	attach_nested(s, s->far, NB_NO_PASID, &n);
	/* The parent goes first; the child stays. */
	detach(s, s->other, NB_NO_PASID);
	CHECK(s, get(s, s->other, NB_NO_PASID, IOVA + DATA * PAGE) == 0);
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA) == mark(0, DATA));
	attach(s, s->other, NB_NO_PASID, s->parent[0]);
	CHECK(s, rig_unmap(&s->rig, s->ioas[0], IOVA, NPAGES * PAGE, NULL) == 0);
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA) == 0);
	CHECK(s, get(s, s->far, NB_NO_PASID, VA) == 0);
	CHECK(s, get(s, s->other, NB_NO_PASID, IOVA + DATA * PAGE) == 0);
	CHECK(s, rig_map(&s->rig, s->ioas[0], s->mem[0], IOVA, NPAGES * PAGE, HW_READ | HW_WRITE) == 0);
	detach(s, s->engine, NB_NO_PASID); /* now the child first */
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA) == 0);
	CHECK(s, get(s, s->far, NB_NO_PASID, VA) == mark(0, DATA));
	CHECK(s, get(s, s->other, NB_NO_PASID, IOVA + DATA * PAGE) == mark(0, DATA));
}

struct state { /* neither: detached */
	uint32_t id;
	struct nested *n;
	uint64_t addr, want;
	uint64_t guest_want; /* at VA for the guest's PASID */
};

static bool attached(const struct state *st)
{
	return st->id || st->n;
}

static void enter_state(struct scene *s, unsigned int dev, uint32_t pasid, const struct state *st)
{
	if (st->n)
		attach_nested(s, dev, pasid, st->n);
	else
		attach(s, dev, pasid, st->id);
}

static void in_state(struct scene *s, unsigned int dev, uint32_t pasid, const struct state *st, unsigned int n, unsigned int now)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		uint64_t got = get(s, dev, pasid, st[i].addr), want = 0;

		if (attached(&st[now]) && st[i].addr == st[now].addr)
			want = st[now].want;
		CHECK(s, got == want);
	}
	if (s->pasids && !s->nests_by_pasid && pasid == NB_NO_PASID)
		CHECK(s, get(s, dev, V_GUEST_PASID, VA) == st[now].guest_want);
}

static void replace_every_direction(struct scene *s)
{
	struct state st[10] = {{.addr = IOVA + DATA * PAGE}};
	struct nested in[5];
	unsigned int n = 1, k = 0, a, b, p;
	uint32_t pasid[2] = {NB_NO_PASID, PASID};

	st[n++] = (struct state){.id = paging(s, s->engine, 0), .addr = IOVA + DATA * PAGE, .want = mark(0, DATA)};
	st[n++] = (struct state){.id = paging(s, s->engine, 1), .addr = IOVA + DATA * PAGE, .want = mark(1, DATA)};
	if (s->nests) {
		const bool guest_pasids = s->pasids && !s->nests_by_pasid;
		const struct {
			unsigned int set, guest, shift;
		} tables[3] = {{0, 0, 0}, {0, 1, 3}, {1, 0, 0}};

		for (a = 0; a < 2; a++)
			st[n++] = (struct state){.id = s->parent[a], .addr = IOVA + DATA * PAGE, .want = mark(a, DATA)};
		for (a = 0; a < 3; a++) {
			uint64_t want = mark(tables[a].set, DATA + tables[a].shift);

			in[k] = nested(s, s->engine, tables[a].set, guest(s, tables[a].set, tables[a].guest, tables[a].shift));
			st[n++] = (struct state){.n = &in[k++], .addr = VA, .want = want, .guest_want = guest_pasids ? want : 0};
		}
		/* A guest that has no stage 1 for its plain requests: those are its GPAs. */
		if (nest_table(&s->nest[0], V_S1_BYPASS, 0, NULL, 0, 0, &in[k]))
			st[n++] = (struct state){.n = &in[k++], .addr = IOVA + DATA * PAGE, .want = mark(0, DATA)};
		if (guest_pasids && nest_table(&s->nest[1], V_S1_PASID_BYPASS, IOVA, s->mem[1] + 5 * WORDS, IOVA + 5 * PAGE, 0, &in[k]))
			st[n++] = (struct state){.n = &in[k++], .addr = IOVA + DATA * PAGE, .want = mark(1, DATA),
						 .guest_want = mark(1, DATA)};
	}
	for (p = 0; p < (s->pasids ? 2u : 1u); p++) {
		if (p && !s->nests_by_pasid)
			n = 3;
		for (a = 0; a < n; a++)
			for (b = 0; b < n; b++) {
				if (attached(&st[a]))
					enter_state(s, s->engine, pasid[p], &st[a]);
				in_state(s, s->engine, pasid[p], st, n, a);
				if (attached(&st[b]))
					enter_state(s, s->engine, pasid[p], &st[b]);
				else if (attached(&st[a]))
					detach(s, s->engine, pasid[p]);
				in_state(s, s->engine, pasid[p], st, n, b);
				if (attached(&st[b]))
					detach(s, s->engine, pasid[p]);
				in_state(s, s->engine, pasid[p], st, n, 0);
			}
		if (s->pasids) /* a function that uses PASIDs has its plain requests attached as well */
			attach(s, s->engine, NB_NO_PASID, st[1].id);
	}
}

static void one_domain_everywhere(struct scene *s)
{
	uint32_t d = paging(s, s->engine, 0);
	unsigned int i;

	for (i = 0; i < s->rig.ndevs; i++)
		attach(s, i, NB_NO_PASID, d);
	if (s->pasids)
		attach(s, s->engine, PASID, d);
	for (i = 0; i < s->rig.ndevs; i++)
		CHECK(s, get(s, i, NB_NO_PASID, IOVA + 40 * PAGE) == mark(0, 40));
	CHECK(s, !s->pasids || get(s, s->engine, PASID, IOVA + 40 * PAGE) == mark(0, 40));
	CHECK(s, rig_unmap(&s->rig, s->ioas[0], IOVA, NPAGES * PAGE, NULL) == 0);
	for (i = 0; i < s->rig.ndevs; i++)
		CHECK(s, get(s, i, NB_NO_PASID, IOVA + 40 * PAGE) == 0);
	CHECK(s, !s->pasids || get(s, s->engine, PASID, IOVA + 40 * PAGE) == 0);
	CHECK(s, rig_destroy(&s->rig, d) == EBUSY_);
}

static void guest_invalidates(struct scene *s)
{
	uint64_t *leaf;
	struct nested n;

	if (!needs(s, s->nests, "no nesting"))
		return;
	n = nested(s, s->engine, 0, guest(s, 0, 0, 0));
	leaf = s->mem[0] + (s->g.levels - 1u) * WORDS;
	attach_nested(s, s->engine, NB_NO_PASID, &n);
	attach_nested(s, s->far, NB_NO_PASID, &n);
	if (s->pasids && s->nests_by_pasid)
		attach_nested(s, s->engine, PASID, &n);
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA + PAGE) == mark(0, DATA + 1));
	CHECK(s, get(s, s->far, NB_NO_PASID, VA + PAGE) == mark(0, DATA + 1));
	CHECK(s, !s->pasids || get(s, s->engine, PASID, VA + PAGE) == mark(0, DATA + 1));
	__atomic_store_n(&leaf[1], s->v->s1_leaf(&s->g, IOVA + (DATA + 9) * PAGE, HW_READ), __ATOMIC_RELEASE);
	invalidate(s, &n, VA + PAGE, 1);
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA + PAGE) == mark(0, DATA + 9));
	CHECK(s, get(s, s->far, NB_NO_PASID, VA + PAGE) == mark(0, DATA + 9));
	CHECK(s, !s->pasids || get(s, s->engine, PASID, VA + PAGE) == mark(0, DATA + 9));
	__atomic_store_n(&leaf[1], 0, __ATOMIC_RELEASE);
	invalidate(s, &n, 0, UINT64_MAX);
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA + PAGE) == 0);
	CHECK(s, get(s, s->far, NB_NO_PASID, VA + PAGE) == 0);
}

/* ---- faults that are the guest's ---- */

#define HOLE (VA + 7 * PAGE)

struct event { /* as it is read from the queue */
	struct iommufd_vevent_header header;
	uint64_t payload[4];
};

static void is_event(struct scene *s, unsigned int queue, uint32_t seq, unsigned int dev, uint64_t addr)
{
	struct event e = {.header = {.sequence = UINT32_MAX}};
	uint64_t virt_id, at;

	CHECK(s, rig_queue_read(&s->rig, queue, &e, sizeof(e)) == sizeof(e));
	s->v->event(e.payload, &virt_id, &at);
	CHECK(s, e.header.sequence == seq && e.header.flags == 0);
	CHECK(s, virt_id == NEST_VIRT_ID(dev) && at == addr);
}

static void fault_as_event(struct scene *s, struct nested *n)
{
	unsigned int queue = 0;
	struct event e;
	uint32_t id;

	CHECK(s, rig_veventq(&s->rig, nest_viommu(&s->nest[0], s->engine, NULL), s->v->veventq_type, 8, &id, &queue) == 0);
	attach_nested(s, s->engine, NB_NO_PASID, n);
	attach_nested(s, s->other, NB_NO_PASID, n);
	CHECK(s, rig_queue_read(&s->rig, queue, &e, sizeof(e)) <= 0);
	CHECK(s, get(s, s->engine, NB_NO_PASID, HOLE) == 0);
	is_event(s, queue, 0, s->engine, HOLE);
	CHECK(s, get(s, s->other, NB_NO_PASID, HOLE + 8) == 0);
	CHECK(s, get(s, s->engine, NB_NO_PASID, HOLE + 16) == 0);
	is_event(s, queue, 1, s->other, HOLE + 8);
	is_event(s, queue, 2, s->engine, HOLE + 16);
	/* What the host took from the parent is none of the guest's business. */
	CHECK(s, rig_unmap(&s->rig, s->ioas[0], IOVA, NPAGES * PAGE, NULL) == 0);
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA) == 0);
	CHECK(s, rig_map(&s->rig, s->ioas[0], s->mem[0], IOVA, NPAGES * PAGE, HW_READ | HW_WRITE) == 0);
	CHECK(s, rig_queue_read(&s->rig, queue, &e, sizeof(e)) <= 0);
	/* Nor is what happens to a function that has left. */
	detach(s, s->other, NB_NO_PASID);
	CHECK(s, get(s, s->other, NB_NO_PASID, HOLE) == 0);
	CHECK(s, rig_queue_read(&s->rig, queue, &e, sizeof(e)) <= 0);
}

static void fault_as_request(struct scene *s, struct nested *n)
{
	struct iommu_hwpt_pgfault f = {0};
	struct iommu_hwpt_page_response answer = {.code = IOMMUFD_PAGE_RESP_SUCCESS};
	unsigned int queue = 0;

	CHECK(s, rig_fault_queue(&s->rig, &n->fault, &queue) == 0);
	n->flags |= IOMMU_HWPT_FAULT_ID_VALID;
	attach_nested(s, s->engine, NB_NO_PASID, n);
	CHECK(s, rig_queue_read(&s->rig, queue, &f, sizeof(f)) <= 0);
	CHECK(s, s->v->ask_page(&s->desc, s->rig.dev[s->engine].hw, s->rig.dev[s->engine].rid, HOLE));
	CHECK(s, rig_queue_read(&s->rig, queue, &f, sizeof(f)) == sizeof(f));
	CHECK(s, f.addr == HOLE && f.dev_id == s->rig.dev[s->engine].id && f.perm == IOMMU_PGFAULT_PERM_READ);
	answer.cookie = f.cookie;
	CHECK(s, rig_queue_write(&s->rig, queue, &answer, sizeof(answer)) == sizeof(answer));
	CHECK(s, rig_queue_write(&s->rig, queue, &answer, sizeof(answer)) < 0); /* once is enough */
	CHECK(s, rig_queue_read(&s->rig, queue, &f, sizeof(f)) <= 0);
}

/* A guest address that faults: the guest hears of it, maps the page, and the function gets there. */
static void fault_reaches_guest(struct scene *s)
{
	uint64_t *leaf;
	struct nested n;

	if (!needs(s, s->nests, "no nesting"))
		return;
	n = nested(s, s->engine, 0, guest(s, 0, 0, 0));
	leaf = s->mem[0] + (s->g.levels - 1u) * WORDS;
	leaf[7] = 0;
	if (s->v->faults_wait(&s->desc)) {
		CHECK(s, nest_destroy(&n) == 0); /* made anew, with a queue */
		fault_as_request(s, &n);
	} else if (needs(s, s->v->veventq_type, "no page requests")) {
		fault_as_event(s, &n);
	}
	if (s->opted_out)
		return;
	__atomic_store_n(&leaf[7], s->v->s1_leaf(&s->g, IOVA + (DATA + 7) * PAGE, HW_READ), __ATOMIC_RELEASE);
	invalidate(s, &n, HOLE, 1);
	CHECK(s, get(s, s->engine, NB_NO_PASID, HOLE) == mark(0, DATA + 7));
}

/* ---- detach with DMA running ---- */

struct hammer {
	struct scene *s;
	uint64_t addr;
	_Atomic bool stop;
	_Atomic uint64_t went, refused;
};

static void *hammer(void *arg)
{
	struct hammer *h = arg;

	while (!atomic_load_explicit(&h->stop, memory_order_relaxed)) {
		/* Adds nothing to what is there but proves that it may write: the same value back. */
		uint64_t v = 0;
		bool ok = rig_read(&h->s->rig, h->s->engine, NB_NO_PASID, h->addr, &v, 8) == 0;

		if (ok)
			ok = rig_write(&h->s->rig, h->s->engine, NB_NO_PASID, h->addr + 8, &v, 8) == 0;
		atomic_fetch_add_explicit(ok ? &h->went : &h->refused, 1, memory_order_relaxed);
	}
	return NULL;
}

static void wait_for(_Atomic uint64_t *n, uint64_t more)
{
	uint64_t was = atomic_load(n);

	while (atomic_load(n) < was + more)
		sched_yield();
}

static void detach_under_fire(struct scene *s)
{
	struct hammer h = {.s = s};
	struct state d[2] = {{.id = paging(s, s->engine, 0)}};
	struct nested n;
	pthread_t th;
	unsigned int i;

	if (s->nests) {
		n = nested(s, s->engine, 0, guest(s, 0, 0, 0));
		d[1].n = &n;
	} else {
		d[1].id = paging(s, s->engine, 0);
	}
	for (i = 0; i < 20; i++) {
		uint64_t *page = s->mem[0] + (size_t)DATA * WORDS;
		unsigned int which = i & 1;

		h.addr = which && s->nests ? VA : IOVA + DATA * PAGE;
		atomic_store(&h.stop, false);
		enter_state(s, s->engine, NB_NO_PASID, &d[which]);
		if (pthread_create(&th, NULL, hammer, &h))
			exit(1);
		wait_for(&h.went, 50);
		detach(s, s->engine, NB_NO_PASID);
		__atomic_store_n(&page[1], UINT64_C(0xdeadbeef), __ATOMIC_SEQ_CST);
		wait_for(&h.refused, 50);
		CHECK(s, __atomic_load_n(&page[1], __ATOMIC_SEQ_CST) == UINT64_C(0xdeadbeef));
		enter_state(s, s->engine, NB_NO_PASID, &d[which]);
		wait_for(&h.went, 20);
		atomic_store(&h.stop, true);
		pthread_join(th, NULL);
		detach(s, s->engine, NB_NO_PASID);
	}
}

/* Closing the device file is a detach, too; the context's file goes last or first. */
static void close_while_attached(struct scene *s)
{
	uint32_t d = paging(s, s->engine, 0);

	attach(s, s->engine, NB_NO_PASID, d);
	attach(s, s->other, NB_NO_PASID, d);
	CHECK(s, get(s, s->engine, NB_NO_PASID, IOVA + DATA * PAGE) == mark(0, DATA));
	vfio_close(s->rig.dev[s->engine].vfio);
	s->rig.dev[s->engine].vfio = NULL;
	CHECK(s, get(s, s->engine, NB_NO_PASID, IOVA + DATA * PAGE) == 0);
	CHECK(s, get(s, s->other, NB_NO_PASID, IOVA + DATA * PAGE) == mark(0, DATA));
	iommufd_close(s->rig.iommufd);
	s->rig.iommufd = NULL;
	CHECK(s, get(s, s->other, NB_NO_PASID, IOVA + DATA * PAGE) == mark(0, DATA));
}

static const struct {
	const char *name;
	void (*run)(struct scene *s);
} bodies[] = {
	{"parent-never-attached", parent_never_attached},
	{"two-parents", two_parents},
	{"child-before-parent", child_before_parent},
	{"replace-every-direction", replace_every_direction},
	{"one-domain-everywhere", one_domain_everywhere},
	{"guest-invalidates", guest_invalidates},
	{"fault-reaches-guest", fault_reaches_guest},
	{"detach-under-fire", detach_under_fire},
	{"close-while-attached", close_while_attached},
};

/* ---- */

static bool up(struct scene *s)
{
	unsigned int set, i, same = 0;
	uint32_t id;

	s->conf->make(&s->desc);
	s->v->guest(s->conf, &s->desc, &s->g);
	for (set = 0; set < 2; set++)
		for (i = 0; i < NPAGES; i++) {
			memset(s->mem[set] + (size_t)i * WORDS, 0, PAGE);
			s->mem[set][(size_t)i * WORDS] = mark(set, i);
		}
	if (!rig_up(&s->rig, &s->desc))
		return false;
	/* Of the description: a test engine first, its neighbour, and one behind another unit. */
	s->engine = s->other = s->far = UINT32_MAX;
	for (i = 0; i < s->rig.ndevs; i++) {
		const struct nb_desc_function *f = &s->desc.function[i];

		if (strcmp(f->model, "dmatest") == 0 && s->engine == UINT32_MAX)
			s->engine = i;
	}
	if (s->engine == UINT32_MAX)
		s->engine = 0;
	for (i = 0; i < s->rig.ndevs; i++) {
		same = s->desc.function[i].iommu == s->desc.function[s->engine].iommu;
		if (i != s->engine && same)
			s->other = i;
		else if (!same)
			s->far = i;
	}
	if (s->other == UINT32_MAX || s->far == UINT32_MAX)
		return false;
	for (set = 0; set < 2; set++)
		if (rig_ioas(&s->rig, &s->ioas[set]) ||
		    rig_map(&s->rig, s->ioas[set], s->mem[set], IOVA, NPAGES * PAGE, HW_READ | HW_WRITE))
			return false;
	/* As in Linux, attaching a PASID of a function that has none succeeds and does nothing. */
	if (rig_hwpt(&s->rig, s->engine, s->ioas[0], IOMMU_HWPT_ALLOC_PASID, &id) == 0) {
		if (rig_attach(&s->rig, s->engine, PASID, id) == 0) {
			s->pasids = get(s, s->engine, PASID, IOVA + DATA * PAGE) == mark(0, DATA);
			rig_detach(&s->rig, s->engine, PASID);
		}
		rig_destroy(&s->rig, id);
	}
	s->nests = true;
	s->nests_by_pasid = !s->v->drv->user_pasid_table;
	for (set = 0; set < 2; set++) {
		uint32_t flags = IOMMU_HWPT_ALLOC_NEST_PARENT | (s->nests_by_pasid ? pasid_flag(s) : 0);

		if (rig_hwpt(&s->rig, s->engine, s->ioas[set], flags, &s->parent[set]))
			s->nests = false;
		else
			nest_init(&s->nest[set], &s->rig, s->v, &s->g, s->parent[set]);
	}
	return true;
}

int main(int argc, char **argv)
{
	const char *body = NULL, *vendor = NULL, *conf = NULL;
	const struct vendor *const *v;
	unsigned int i, k, failures = 0;
	uint64_t *mem[2];
	int a;

	for (a = 1; a < argc; a++) {
		if (a + 1 < argc && strcmp(argv[a], "--vendor") == 0)
			vendor = argv[++a];
		else if (a + 1 < argc && strcmp(argv[a], "--conf") == 0)
			conf = argv[++a];
		else
			body = argv[a];
	}
	for (i = 0; i < 2; i++) {
		void *p = mmap(NULL, (NPAGES + 1) * PAGE_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return 1;
		mem[i] = (uint64_t *)(((uintptr_t)p + PAGE_MAX - 1) & ~(uintptr_t)(PAGE_MAX - 1));
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (v = vendors; *v; v++) {
		if (vendor && strcmp(vendor, (*v)->name) != 0)
			continue;
		for (i = 0; i < (*v)->nconfs; i++) {
			unsigned int bad = 0, ran = 0;
			char out[600] = "";

			if (conf && strcmp(conf, (*v)->conf[i].name) != 0)
				continue;
			if ((*v)->conf[i].no_host) {
				printf("%s/%-24s opted out: %s\n", (*v)->name, (*v)->conf[i].name, (*v)->conf[i].no_host);
				continue;
			}
			for (k = 0; k < ARRAY_SIZE(bodies); k++) {
				struct scene s = {.v = *v, .conf = &(*v)->conf[i], .mem = {mem[0], mem[1]}, .body = bodies[k].name};
				size_t n = strlen(out);

				if (body && strcmp(body, bodies[k].name) != 0)
					continue;
				if (!up(&s)) {
					printf("FAILED: %s/%s: the host cannot be built\n", (*v)->name, s.conf->name);
					return 1;
				}
				bodies[k].run(&s);
				rig_down(&s.rig);
				bad += s.failures;
				if (s.opted_out)
					snprintf(out + n, sizeof(out) - n, "%s%s (%s)", n ? ", " : "; opted out: ", bodies[k].name,
						 s.opted_out);
				else
					ran++;
			}
			printf("%s/%-24s %s: %u bodies%s\n", (*v)->name, (*v)->conf[i].name, bad ? "FAILED" : "ok", ran, out);
			failures += bad;
		}
	}
	return failures ? 1 : 0;
}
