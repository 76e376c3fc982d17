/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every store of every transition, and a device behind each.
 *
 *	update [--vendor NAME] [--conf NAME] [--from NAME] [--to NAME] [--verbose]
 *
 * The driver changes what is in force for a requester: every ordered pair of the subjects below, for plain requests and for
 * PASIDs, and changes in place (tracking on, a page mapped, a large page split). Behind every single store that
 * it makes to any of its pages, the device asks: what does memory say, and what do caches and memory say together? The answer
 * is the old translation, or the new one, or a fault where the vendor's architecture makes the transition disruptive; once it was
 * refused the old one never comes back, once it was new it stays new. Requesters that the transition is not about
 * (another PASID of the function, functions that share the old and the new domain) get to where they always get.
 *
 * On units whose walks do not snoop the same is asked with each line reaching hardware at once, at random, and only when flushed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stores.h"
#include "update.h"

const char *const lines_name[] = {"at once", "at random", "when flushed"};

static bool verbose;

void fail(struct test *t, const char *fmt, const char *who, uint64_t got, const struct asked *a)
{
	if (t->failures++ < 10)
		fprintf(stderr, "FAILED: %s/%s: %s: device %u PASID %d %s: got %#" PRIx64 ", old %#" PRIx64 ", new %#" PRIx64 " (%s)\n",
			t->b.vendor->name, t->b.conf->name, t->what, a->dev, (int)a->pasid, who, got, a->old, a->new, fmt);
}

bool same(uint64_t got, uint64_t want)
{
	return got == want || (got & want & BENCH_FAULT); /* a fault's reason may be one or the other */
}

static void judge(struct test *t, struct asked *a, unsigned int through, uint64_t got)
{
	static const char *const who[2] = {"by memory", "through caches"};
	unsigned int *stage = &a->stage[through];

	t->asked_total++;
	if (same(got, a->new) && (*stage == 2 || !same(a->old, a->new)))
		*stage = 2;
	else if (same(got, a->old) && *stage == 0)
		;
	else if ((got & BENCH_FAULT) && a->may_fault && *stage <= 1)
		*stage = 1;
	else if (same(a->old, a->new) && same(got, a->new) && *stage <= 1)
		*stage = 2;
	else
		fail(t, *stage == 2 ? "not the new translation any more" : *stage ? "the old one came back" :
		     got & BENCH_FAULT ? "a fault in a transition without faults" : "neither old nor new", who[through], got, a);
	if (*stage == 1)
		t->refused++;
}

uint64_t interrupt(struct test *t)
{
	struct hw_iommu *hw = t->b.unit[0].hw;
	struct hw_irq irq = {0};

	if (hw->ops->interrupt(hw, t->b.dev[0].rid, t->msg.addr, t->msg.data, &irq))
		return BENCH_FAULT;
	return (uint64_t)irq.dest << 8 | irq.vector;
}

static void look(struct test *t)
{
	unsigned int i;

	t->b.hold = true;
	for (i = 0; i < t->nask; i++) {
		struct asked *a = &t->ask[i];

		judge(t, a, 0, bench_look(&t->b, a->dev, a->pasid, a->addr, HW_READ));
		if (t->hot)
			judge(t, a, 1, bench_go(&t->b, a->dev, a->pasid, a->addr, HW_READ));
	}
	if (t->irq.addr)
		judge(t, &t->irq, 1, interrupt(t));
	t->b.hold = false;
}

/*
 * Hardware may have some words of the line as they were when it was last told of a change, and the others as they are now. That changes no
 * judgement of what came when, but it is the old translation, the new one, or a fault where that may be.
 */
static void look_torn(struct test *t, size_t off, const void *was)
{
	uint64_t *line = (uint64_t *)(void *)(t->b.pool_cpu + off), now[8];
	unsigned int i, k, n = 0, word[8], mix;

	for (k = 0; k < t->nlines && t->line[k].off != off; k++)
		;
	if (k == ARRAY_SIZE(t->line))
		return;
	if (k == t->nlines) {
		t->line[k].off = off;
		memcpy(t->line[k].was, was, BENCH_LINE);
		t->nlines++;
	}
	memcpy(now, line, BENCH_LINE);
	for (i = 0; i < 8; i++)
		if (now[i] != t->line[k].was[i])
			word[n++] = i;
	if (n > 4) /* a table that is filled; entries of configuration change fewer at a time */
		return;
	for (mix = 1; n > 1 && mix < (1u << n) - 1; mix++) {
		for (i = 0; i < n; i++)
			line[word[i]] = mix >> i & 1 ? now[word[i]] : t->line[k].was[word[i]];
		for (i = 0; i < t->nask; i++) {
			struct asked *a = &t->ask[i];
			uint64_t got = bench_look(&t->b, a->dev, a->pasid, a->addr, HW_READ);

			if (!same(got, a->old) && !same(got, a->new) && !((got & BENCH_FAULT) && a->may_fault))
				fail(t, "some words as they were, others as they are", "by memory", got, a);
		}
	}
	memcpy(line, now, BENCH_LINE);
}

/* ---- what calls us ---- */

static void stored(void *opaque, size_t off, const void *was)
{
	struct test *t = opaque;
	uint64_t r;

	t->stores++;
	if (t->hot && t->b.vendor->torn && t->b.pool_hw == t->b.pool_cpu)
		look_torn(t, off, was);
	if (t->b.pool_hw != t->b.pool_cpu) {
		t->seed ^= t->seed << 13;
		t->seed ^= t->seed >> 7;
		t->seed ^= t->seed << 17;
		r = t->seed >> 8;
		if (t->lines == WHEN_FLUSHED || (t->lines == AT_RANDOM && (r & 1)))
			return; /* hardware has seen nothing */
		bench_evict(&t->b, off);
	}
	look(t);
}

static void leave_driver(void *opaque)
{
	(void)opaque;
	stores_pause();
}

static void enter_driver(void *opaque)
{
	struct test *t = opaque;

	t->nlines = 0;
	if (t->inside)
		look(t); /* the unit did what it was told, in part or whole */
	stores_resume();
}

static void line_came(void *opaque, size_t off)
{
	struct test *t = opaque;

	(void)off;
	stores_pause(); /* the unit may write a record of what it refuses */
	if (t->inside)
		look(t);
	stores_resume();
}

/*
 * --wrap: the allocator clears a page byte by byte before the driver has it. That is one event here: if hardware could still
 * reach the page, it shows just as well at the end.
 */
void *__real_mem_page_alloc(struct mem_pool *p, unsigned int order, hpa_t *pa);
void *__wrap_mem_page_alloc(struct mem_pool *p, unsigned int order, hpa_t *pa);

static struct test *running;

void *__wrap_mem_page_alloc(struct mem_pool *p, unsigned int order, hpa_t *pa)
{
	void *page;

	stores_pause();
	page = __real_mem_page_alloc(p, order, pa);
	if (running && running->inside)
		look(running);
	stores_resume();
	return page;
}

/* ---- one transition ---- */

void asked(struct test *t, unsigned int dev, uint32_t pasid, uint64_t addr, uint64_t old, uint64_t new, bool may_fault)
{
	t->ask[t->nask++] = (struct asked){.dev = dev, .pasid = pasid, .addr = addr, .old = old, .new = new, .may_fault = may_fault};
}

void begin(struct test *t)
{
	t->transitions++;
	t->nlines = 0;
	look(t); /* hot: what is in force now is cached */
	t->inside = true;
	running = t;
	stores_on();
}

void finish(struct test *t)
{
	stores_off();
	t->inside = false;
	running = NULL;
	bench_interrupts(&t->b);
}

void end(struct test *t, unsigned int dev, uint32_t pasid, uint64_t y, uint64_t y_new)
{
	unsigned int i;
	uint64_t got;

	finish(t);
	for (i = 0; i < t->nask; i++) {
		struct asked *a = &t->ask[i];

		got = bench_go(&t->b, a->dev, a->pasid, a->addr, HW_READ);
		if (!same(got, a->new))
			fail(t, "after it", "through caches", got, a);
		got = bench_look(&t->b, a->dev, a->pasid, a->addr, HW_READ);
		if (!same(got, a->new))
			fail(t, "after it", "by memory", got, a);
		got = bench_go(&t->b, a->dev, a->pasid, a->addr, HW_WRITE);
		if (!same(got, a->new))
			fail(t, "after it, writing", "through caches", got, a);
		if (!bench_agrees(&t->b, a->dev, a->pasid, a->addr, &got))
			fail(t, "hardware does not see there what was written", "entry at", got, a);
	}
	got = bench_go(&t->b, dev, pasid, y, HW_READ);
	if (!same(got, y_new)) {
		struct asked a = {.dev = dev, .pasid = pasid, .addr = y, .new = y_new};

		fail(t, "a translation that was cached before", "at Y", got, &a);
	}
	t->nask = 0;
}

bool can_attach(struct test *t, unsigned int dev, uint32_t pasid, const struct subject *s)
{
	return bench_attach(&t->b, dev, pasid, s->d) == 0;
}

/* Attach another requester of the function, if it can be there in both states; the function is left in state `from`. */
static bool stands_by(struct test *t, uint32_t pasid, uint32_t by, const struct subject *from, const struct subject *to)
{
	if (bench_attach(&t->b, 0, by, t->by))
		return false;
	if (can_attach(t, 0, pasid, to) && can_attach(t, 0, pasid, from))
		return true;
	bench_attach(&t->b, 0, by, NULL);
	can_attach(t, 0, pasid, from);
	return false;
}

/* False: this pair does not exist here (the driver refuses one of the two for this requester). */
static bool replace(struct test *t, uint32_t pasid, const struct subject *from, const struct subject *to)
{
	const bool disruptive = from->kind != V_BLOCKED && to->kind != V_BLOCKED &&
				!t->b.vendor->hitless(from->kind, to->kind, from->on == to->on);
	const uint32_t by = t->b.dev[0].max_pasids ? (pasid == NB_NO_PASID ? PASID_BY : NB_NO_PASID) : 0;
	bool exists = can_attach(t, 0, pasid, to) && can_attach(t, 0, pasid, from);

	if (exists) {
		bool shares = can_attach(t, 1, NB_NO_PASID, from), shared = can_attach(t, 2, NB_NO_PASID, to);

		snprintf(t->what, sizeof(t->what), "%s -> %s for %s %u, %s, lines seen %s", from->name, to->name,
			 pasid == NB_NO_PASID ? "the RID," : "PASID", pasid == NB_NO_PASID ? 0 : pasid,
			 t->hot ? "asking all the time" : "cold", lines_name[t->lines]);
		if (verbose)
			printf("%s\n", t->what);
		asked(t, 0, pasid, X, from->x, to->x, disruptive);
		if (pasid == NB_NO_PASID && t->b.vendor->drv->user_pasid_table && t->b.dev[0].max_pasids)
			asked(t, 0, V_GUEST_PASID, X, from->guest_x, to->guest_x, disruptive);
		if (by && stands_by(t, pasid, by, from, to))
			asked(t, 0, by, X, FAR, FAR, false);
		if (shares)
			asked(t, 1, NB_NO_PASID, X, from->x, from->x, false);
		if (shared)
			asked(t, 2, NB_NO_PASID, X, to->x, to->x, false);
		bench_go(&t->b, 0, pasid, Y, HW_READ);
		begin(t);
		if (bench_attach(&t->b, 0, pasid, to->d)) {
			printf("%s: refused: %s\n", t->what, t->b.diag.msg);
			t->failures++;
		}
		end(t, 0, pasid, Y, to->y);
	}
	bench_attach(&t->b, 0, NB_NO_PASID, NULL);
	if (t->b.dev[0].max_pasids) {
		bench_attach(&t->b, 0, pasid, NULL);
		bench_attach(&t->b, 0, PASID_BY, NULL);
	}
	bench_attach(&t->b, 1, NB_NO_PASID, NULL);
	bench_attach(&t->b, 2, NB_NO_PASID, NULL);
	return exists;
}

/* ---- changes in place: none is disruptive ---- */

static void same_for(struct test *t, uint64_t addr, uint64_t to)
{
	asked(t, 0, NB_NO_PASID, addr, to, to, false);
}

static void in_place(struct test *t, const struct subject *s)
{
	struct drv_domain *d = s->d;
	const uint64_t above = d ? d->pgsizes & (d->pgsizes - 1) : 0, large = above & -above; /* the next size of leaves */
	const uint64_t big = 64 * G1 + (X & ~(large - 1)), far = FAR + (UINT64_C(7) << 30);
	const uint64_t none = BENCH_FAULT;

	if (!d || d->type != DRV_DOMAIN_PAGING || bench_attach(&t->b, 0, NB_NO_PASID, d))
		return;
#define STEP(text, call)                                                                                      \
	do {                                                                                                   \
		int err_;                                                                                      \
		snprintf(t->what, sizeof(t->what), "%s: %s, %s, lines seen %s", s->name, text,                  \
			 t->hot ? "asking all the time" : "cold", lines_name[t->lines]);                        \
		if (verbose)                                                                                   \
			printf("%s\n", t->what);                                                               \
		bench_go(&t->b, 0, NB_NO_PASID, Y, HW_READ);                                                   \
		begin(t);                                                                                      \
		err_ = (call);                                                                                 \
		if (err_) {                                                                                    \
			printf("%s: %d %s\n", t->what, err_, t->b.diag.msg);                                     \
			t->failures++;                                                                         \
		}                                                                                              \
		end(t, 0, NB_NO_PASID, Y, s->y);                                                               \
	} while (0)

	same_for(t, X, s->x);
	asked(t, 0, NB_NO_PASID, X + P, none, far, false);
	STEP("a page appears beside", bench_map(&t->b, d, X + P, far, P));
	same_for(t, X, s->x);
	asked(t, 0, NB_NO_PASID, X + P, far, none, false);
	STEP("a page goes beside", bench_unmap(d, X + P, P));
	same_for(t, X, s->x);
	asked(t, 0, NB_NO_PASID, big + 5 * P, none, far + 5 * P, false);
	STEP("a large page appears", bench_map(&t->b, d, big, far, large));
	same_for(t, big, far);
	same_for(t, big + 300 * P, far + 300 * P);
	same_for(t, big + large - P, far + large - P);
	asked(t, 0, NB_NO_PASID, big + 5 * P, far + 5 * P, none, false);
	STEP("a large page is split", bench_unmap(d, big + 5 * P, P));
	same_for(t, X, s->x);
	asked(t, 0, NB_NO_PASID, big, far, none, false);
	asked(t, 0, NB_NO_PASID, big + 300 * P, far + 300 * P, none, false);
	STEP("what is left of a large page goes, with its table", bench_unmap(d, big, large));
	asked(t, 0, NB_NO_PASID, big + 3 * P, none, far, false);
	STEP("a page appears where a large page was", bench_map(&t->b, d, big + 3 * P, far, P));
	asked(t, 0, NB_NO_PASID, big + 3 * P, far, none, false);
	STEP("and goes", bench_unmap(d, big, large));
	if (d->pgsizes & G1) {
		const uint64_t huge = 40 * G1, page = huge + 300 * M2 + 7 * P;

		asked(t, 0, NB_NO_PASID, page, none, far + (page - huge), false);
		STEP("a page of 1 GiB appears", bench_map(&t->b, d, huge, far, G1));
		same_for(t, huge, far);
		same_for(t, huge + 300 * M2, far + 300 * M2);
		same_for(t, huge + G1 - P, far + G1 - P);
		asked(t, 0, NB_NO_PASID, page, far + (page - huge), none, false);
		STEP("a page of 1 GiB is split", bench_unmap(d, page, P));
		asked(t, 0, NB_NO_PASID, huge, far, none, false);
		asked(t, 0, NB_NO_PASID, huge + G1 - P, far + G1 - P, none, false);
		STEP("what is left of it goes", bench_unmap(d, huge, G1));
	}
	if (d->ops->set_dirty_tracking && (d->flags & DRV_ALLOC_DIRTY)) {
		bool on = strstr(s->name, "tracked") != NULL;

		same_for(t, X, s->x);
		STEP("tracking switched", d->ops->set_dirty_tracking(d, !on, &t->b.diag));
		same_for(t, X, s->x);
		STEP("tracking switched back", d->ops->set_dirty_tracking(d, on, &t->b.diag));
	}
	bench_attach(&t->b, 0, NB_NO_PASID, NULL);
}

/* Snooping enforced: last, as it cannot be taken back. */
static void enforce(struct test *t, const struct subject *s)
{
	struct drv_domain *d = s->d;

	if (!d || d->type != DRV_DOMAIN_PAGING || !d->ops->enforce_cache_coherency || bench_attach(&t->b, 0, NB_NO_PASID, d))
		return;
	same_for(t, X, s->x);
	STEP("snooping enforced", (d->ops->enforce_cache_coherency(d), 0));
	bench_attach(&t->b, 0, NB_NO_PASID, NULL);
}

/* ---- the first PASID ---- */

/* A function that had none until now: what its PASIDs need appears beside what its plain requests use, which does not notice. */
static void first_pasid(struct test *t, const struct subject *s, const struct subject *to)
{
	const struct drv_ops *drv = t->b.vendor->drv;
	static const struct {
		uint32_t pasid;
		bool goes;
	} step[] = {{PASID_A, false}, {PASID_B, false}, {PASID_A, true}, {PASID_B, true}};
	bool exists = can_attach(t, 0, NB_NO_PASID, s) && can_attach(t, 0, PASID_A, to);
	unsigned int i;

	drv->release_device(&t->b.dev[0]);
	if (drv->probe_device(&t->b.dev[0], &t->b.diag))
		exit(1);
	if (!exists)
		return;
	can_attach(t, 0, NB_NO_PASID, s);
	for (i = 0; i < ARRAY_SIZE(step); i++) {
		const bool going = step[i].goes;
		const uint32_t pasid = step[i].pasid;

		snprintf(t->what, sizeof(t->what), "%s: %s PASID %u %s %s, %s, lines seen %s", s->name, i % 3 ? "another" : "the only",
			 pasid, going ? "leaves" : "is attached to", to->name, t->hot ? "asking all the time" : "cold",
			 lines_name[t->lines]);
		if (verbose)
			printf("%s\n", t->what);
		same_for(t, X, s->x);
		asked(t, 0, pasid, X, going ? to->x : BENCH_FAULT, going ? BENCH_FAULT : to->x, false);
		bench_go(&t->b, 0, NB_NO_PASID, Y, HW_READ);
		begin(t);
		if (bench_attach(&t->b, 0, pasid, going ? NULL : to->d)) {
			printf("%s: refused: %s\n", t->what, t->b.diag.msg);
			t->failures++;
		}
		end(t, 0, NB_NO_PASID, Y, s->y);
	}
	bench_attach(&t->b, 0, NB_NO_PASID, NULL);
}

/* ---- subjects ---- */

static void add(struct test *t, const char *name, enum vendor_kind kind, struct drv_domain *d, uint64_t x, uint64_t y)
{
	assert(t->n < NSUBJECTS);
	t->s[t->n++] = (struct subject){name, kind, d, d && d->parent ? d->parent : d, x, y, BENCH_FAULT};
}

static struct drv_domain *paging(struct test *t, uint32_t flags, uint64_t to)
{
	struct drv_domain *d = NULL;

	if (t->b.vendor->drv->domain_alloc_paging(&t->b.dev[0], flags, &d, &t->b.diag))
		return NULL;
	if (bench_map(&t->b, d, X, to, P) || bench_map(&t->b, d, Y, to + 2 * P, P))
		abort();
	return d;
}

/* GPA 0 upward is the guest's RAM; [1 GiB, 32 GiB) is FAR + 64 GiB * (which + 1) + GPA. */
static struct drv_domain *parent(struct test *t, uint32_t flags, unsigned int which)
{
	uint64_t to = FAR + (UINT64_C(64) << 30) * (which + 1);
	struct drv_domain *d = paging(t, DRV_ALLOC_NEST_PARENT | flags, to);

	if (d && (bench_map(&t->b, d, 0, BENCH_RAM_PA, BENCH_RAM_LEN) || bench_map(&t->b, d, G1, to + G1, 31 * G1)))
		abort();
	return d;
}

static void nested(struct test *t, const char *name, unsigned int par, enum vendor_s1 how, uint64_t gpa)
{
	static const enum vendor_kind kind[] = {[V_S1_TABLE] = V_NESTED, [V_S1_BYPASS] = V_PARENT, [V_S1_ABORT] = V_BLOCKED,
						[V_S1_PASID_BYPASS] = V_NESTED_OTHER, [V_S1_PASID_ABORT] = V_NESTED_OTHER};
	const uint64_t plain = FAR + (UINT64_C(64) << 30) * (par + 1), to = plain + gpa;
	uint64_t root, x = to;
	struct drv_domain *d;

	if (!t->parent[par])
		return;
	root = bench_guest_page(&t->b);
	bench_guest_map(&t->b, root, X, gpa, HW_READ | HW_WRITE);
	bench_guest_map(&t->b, root, Y, gpa + 2 * P, HW_READ | HW_WRITE);
	if (bench_nested(&t->b, 0, t->parent[par], how, root, &d))
		abort();
	if (!d)
		return;
	if (how == V_S1_BYPASS || how == V_S1_PASID_BYPASS)
		x = plain;
	else if (how == V_S1_ABORT || how == V_S1_PASID_ABORT)
		x = BENCH_FAULT;
	add(t, name, kind[how], d, x, x == BENCH_FAULT ? x : x + 2 * P);
	if (how != V_S1_BYPASS && how != V_S1_ABORT && t->b.vendor->drv->user_pasid_table && t->b.dev[0].max_pasids)
		t->s[t->n - 1].guest_x = to;
}

static void subjects(struct test *t)
{
	struct drv_domain *d;
	unsigned int i;

	t->by = paging(t, 0, FAR);
	add(t, "blocked", V_BLOCKED, NULL, BENCH_FAULT, BENCH_FAULT);
	add(t, "identity", V_IDENTITY, t->b.vendor->drv->identity_domain(t->b.dev[0].iommu), X, Y);
	for (i = 0; i < 2; i++)
		add(t, i ? "paging B" : "paging A", V_PAGING, paging(t, 0, FAR + G1 * (i + 1)), FAR + G1 * (i + 1),
		    FAR + G1 * (i + 1) + 2 * P);
	for (i = 0; i < 2; i++) {
		uint64_t to = FAR + G1 * (i + 4);

		d = paging(t, DRV_ALLOC_DIRTY, to);
		if (d && i && d->ops->set_dirty_tracking(d, true, &t->b.diag))
			abort();
		if (d)
			add(t, i ? "tracked paging" : "trackable paging", V_PAGING, d, to, to + 2 * P);
	}
	for (i = 0; i < 3; i++) {
		uint64_t to = FAR + (UINT64_C(64) << 30) * (i + 1);

		t->parent[i] = parent(t, i == 2 ? DRV_ALLOC_DIRTY : 0, i);
		if (i == 2 && t->parent[i] && t->parent[i]->ops->set_dirty_tracking(t->parent[i], true, &t->b.diag))
			abort();
		if (t->parent[i] && i < 2)
			add(t, i ? "parent B" : "parent A", V_PAGING, t->parent[i], to, to + 2 * P);
	}
	nested(t, "nested A1", 0, V_S1_TABLE, 2 * G1);
	nested(t, "nested A2", 0, V_S1_TABLE, 3 * G1);
	nested(t, "nested B", 1, V_S1_TABLE, 2 * G1);
	nested(t, "nested, tracked parent", 2, V_S1_TABLE, 2 * G1);
	nested(t, "nested A, bypass", 0, V_S1_BYPASS, 0);
	nested(t, "nested A, abort", 0, V_S1_ABORT, 0);
	nested(t, "nested A, plain requests bypass", 0, V_S1_PASID_BYPASS, 4 * G1);
	nested(t, "nested A, plain requests abort", 0, V_S1_PASID_ABORT, 5 * G1);
}

static void free_domains(struct test *t)
{
	unsigned int i;

	for (i = t->n; i-- > 0;)
		if (t->s[i].d && t->s[i].kind != V_IDENTITY && t->s[i].d != t->parent[0] && t->s[i].d != t->parent[1])
			t->s[i].d->ops->free(t->s[i].d);
	bench_viommus_down(&t->b);
	for (i = 0; i < 3; i++)
		if (t->parent[i])
			t->parent[i]->ops->free(t->parent[i]);
	t->by->ops->free(t->by);
}

/* ---- all of it ---- */

static bool chosen(const char *want, const char *name)
{
	return !want || strcmp(want, name) == 0;
}

static bool run(const struct vendor *v, const struct vendor_conf *conf, const char *want_from, const char *want_to)
{
	static struct test t;
	unsigned int i, k, m, p, npasids;
	uint64_t none = 0;
	bool ok;

	memset(&t, 0, sizeof(t));
	t.seed = 88172645463325252u;
	if (bench_up(&t.b, v, conf)) {
		printf("%s/%s: does not come up: %s\n", v->name, conf->name, t.b.diag.msg);
		return false;
	}
	if (conf->guest_page_lg2 > conf->page_lg2) {
		printf("%s/%-20s opted out: the guest's tables are none of the driver's\n", v->name, conf->name);
		bench_down(&t.b);
		return true;
	}
	stores_init(t.b.pool_cpu, BENCH_POOL_LEN, stored, &t);
	t.b.leave = leave_driver;
	t.b.enter = enter_driver;
	t.b.line = line_came;
	t.b.opaque = &t;
	subjects(&t);
	npasids = t.b.dev[0].max_pasids > PASID_B ? 3 : 1;
	for (m = 0; m < (t.b.pool_hw != t.b.pool_cpu ? 4u : 2u); m++) {
		static const uint32_t pasid[3] = {NB_NO_PASID, PASID_A, PASID_B};

		/* Coherent: cold, hot. Else: hot at once, hot at random, cold and hot when flushed. */
		t.hot = t.b.pool_hw != t.b.pool_cpu ? m != 2 : m == 1;
		t.lines = t.b.pool_hw != t.b.pool_cpu && m < 2 ? (enum lines)m : WHEN_FLUSHED;
		for (p = 0; p < (t.hot ? npasids : 1); p++)
			for (i = 0; i < t.n; i++)
				for (k = 0; k < t.n; k++)
					if (chosen(want_from, t.s[i].name) && chosen(want_to, t.s[k].name))
						none += !replace(&t, pasid[p], &t.s[i], &t.s[k]);
		for (i = 0; i < t.n; i++)
			if (t.hot && t.lines != AT_RANDOM && chosen(want_from, t.s[i].name) && !want_to)
				in_place(&t, &t.s[i]);
		for (i = 0; npasids > 1 && t.hot && t.lines != AT_RANDOM && i < t.n; i++)
			for (k = 1; k < t.n; k++) /* one of a kind */
				if (t.s[k].kind != t.s[k - 1].kind && chosen(want_from, t.s[i].name) && chosen(want_to, t.s[k].name))
					first_pasid(&t, &t.s[i], &t.s[k]);
		for (i = 0; i < t.n; i++)
			if (chosen(want_from, t.s[i].name) && !want_to)
				release(&t, &t.s[i]);
		if (!want_from && !want_to)
			interrupts(&t);
	}
	for (i = 0; i < t.n; i++)
		if (chosen(want_from, t.s[i].name) && !want_to)
			enforce(&t, &t.s[i]);
	for (i = 1; i < t.n; i++)
		if (chosen(want_from, t.s[i].name) && !want_to)
			silent(&t, &t.s[i]);
	stores_fini();
	free_domains(&t);
	t.b.leave = t.b.enter = NULL;
	t.b.line = NULL;
	bench_down(&t.b);
	ok = t.failures == 0 && t.stores > t.transitions && t.transitions > 0;
	printf("%s/%-20s %s: %u subjects, %" PRIu64 " transitions, %" PRIu64 " stores, %" PRIu64 " answers (%" PRIu64
	       " refused where that is allowed); %" PRIu64 " pairs do not exist here%s\n",
	       v->name, conf->name, ok ? "ok" : "FAILED", t.n, t.transitions, t.stores, t.asked_total, t.refused, none,
	       npasids == 1 ? "; no PASIDs" : "");
	if (!ok)
		printf("again: update --vendor %s --conf %s --verbose\n", v->name, conf->name);
	return ok;
}

int main(int argc, char **argv)
{
	const char *vendor = NULL, *conf = NULL, *from = NULL, *to = NULL;
	const struct vendor *const *v;
	bool ok = true;
	unsigned int i;
	int a;

	if (stores_cannot()) {
		printf("%s\n", stores_cannot());
		return 77;
	}
	for (a = 1; a < argc; a++) {
		if (strcmp(argv[a], "--verbose") == 0)
			verbose = true;
		else if (a + 1 == argc)
			return 2;
		else if (strcmp(argv[a], "--vendor") == 0)
			vendor = argv[++a];
		else if (strcmp(argv[a], "--conf") == 0)
			conf = argv[++a];
		else if (strcmp(argv[a], "--from") == 0)
			from = argv[++a];
		else if (strcmp(argv[a], "--to") == 0)
			to = argv[++a];
		else
			return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (v = vendors; *v; v++)
		for (i = 0; chosen(vendor, (*v)->name) && i < (*v)->nconfs; i++)
			if (chosen(conf, (*v)->conf[i].name))
				ok &= run(*v, &(*v)->conf[i], from, to);
	return ok ? 0 : 1;
}
