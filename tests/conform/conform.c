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
#include "rig.h"
#include "uapi/iommufd.h"
#include "vendor.h"

#define PAGE  4096u
#define NPAGES 64u
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
	uint32_t ioas[2], parent[2];
	unsigned int engine, other, far; /* a function with PASIDs, one beside it, one behind another unit */
	bool nests, pasids;
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
	unsigned int i;

	memset(t, 0, 4 * PAGE);
	t[VA >> 39 & 511] = s->v->s1_node(gpa + PAGE);
	t[WORDS + (VA >> 30 & 511)] = s->v->s1_node(gpa + 2 * PAGE);
	t[2 * WORDS + (VA >> 21 & 511)] = s->v->s1_node(gpa + 3 * PAGE);
	for (i = 0; i < 8; i++)
		t[3 * WORDS + i] = s->v->s1_leaf(IOVA + (DATA + shift + i) * PAGE, HW_READ | HW_WRITE);
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

static uint32_t nested(struct scene *s, unsigned int dev, unsigned int set, uint64_t root)
{
	struct vendor_blob blob;
	uint32_t id = 0;

	s->v->s1_blob(root, &blob);
	CHECK(s, rig_hwpt_blob(&s->rig, dev, s->parent[set], pasid_flag(s), blob.type, blob.bytes, blob.len, &id) == 0);
	return id;
}

static void invalidate(struct scene *s, uint32_t hwpt, uint64_t va, uint64_t npages)
{
	struct vendor_blob blob;

	s->v->inv_blob(va, npages, false, &blob);
	CHECK(s, rig_invalidate_blob(&s->rig, hwpt, blob.type, blob.bytes, blob.len) == 0);
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
	uint32_t n;

	if (!needs(s, s->nests, "no nesting"))
		return;
	n = nested(s, s->engine, 0, guest(s, 0, 0, 0));
	attach(s, s->engine, NB_NO_PASID, n);
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA + PAGE) == mark(0, DATA + 1));
	CHECK(s, get(s, s->engine, NB_NO_PASID, IOVA + DATA * PAGE) == 0); /* a GPA is no VA */
	/* What the host takes from the parent is gone for the child, though nobody is attached to the parent. */
	CHECK(s, rig_unmap(&s->rig, s->ioas[0], IOVA, NPAGES * PAGE, NULL) == 0);
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA + PAGE) == 0);
	CHECK(s, rig_map(&s->rig, s->ioas[0], s->mem[0], IOVA, NPAGES * PAGE, HW_READ | HW_WRITE) == 0);
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA + PAGE) == mark(0, DATA + 1));
	CHECK(s, rig_destroy(&s->rig, n) == EBUSY_);
	CHECK(s, rig_destroy(&s->rig, s->parent[0]) == EBUSY_);
	detach(s, s->engine, NB_NO_PASID);
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA + PAGE) == 0);
	CHECK(s, rig_destroy(&s->rig, n) == 0);
}

static void two_parents(struct scene *s)
{
	uint32_t a, b;

	if (!needs(s, s->nests, "no nesting"))
		return;
	/* The same guest addresses in two address spaces: only the parent tells them apart. */
	a = nested(s, s->engine, 0, guest(s, 0, 0, 0));
	b = nested(s, s->engine, 1, guest(s, 1, 0, 0));
	attach(s, s->engine, NB_NO_PASID, a);
	attach(s, s->other, NB_NO_PASID, b);
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA) == mark(0, DATA));
	CHECK(s, get(s, s->other, NB_NO_PASID, VA) == mark(1, DATA));
	CHECK(s, rig_unmap(&s->rig, s->ioas[0], IOVA, NPAGES * PAGE, NULL) == 0);
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA) == 0);
	CHECK(s, get(s, s->other, NB_NO_PASID, VA) == mark(1, DATA));
	CHECK(s, rig_map(&s->rig, s->ioas[0], s->mem[0], IOVA, NPAGES * PAGE, HW_READ | HW_WRITE) == 0);
	attach(s, s->engine, NB_NO_PASID, b);
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA) == mark(1, DATA));
	attach(s, s->other, NB_NO_PASID, a);
	CHECK(s, get(s, s->other, NB_NO_PASID, VA) == mark(0, DATA));
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA) == mark(1, DATA));
	/* Behind another unit as well. */
	attach(s, s->far, NB_NO_PASID, a);
	CHECK(s, get(s, s->far, NB_NO_PASID, VA) == mark(0, DATA));
	CHECK(s, rig_unmap(&s->rig, s->ioas[1], IOVA, NPAGES * PAGE, NULL) == 0);
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA) == 0);
	CHECK(s, get(s, s->far, NB_NO_PASID, VA) == mark(0, DATA));
}

static void child_before_parent(struct scene *s)
{
	uint32_t n;

	if (!needs(s, s->nests, "no nesting"))
		return;
	n = nested(s, s->engine, 0, guest(s, 0, 0, 0));
	attach(s, s->engine, NB_NO_PASID, n);
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA) == mark(0, DATA));
	attach(s, s->other, NB_NO_PASID, s->parent[0]);
	CHECK(s, get(s, s->other, NB_NO_PASID, IOVA + DATA * PAGE) == mark(0, DATA));
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA) == mark(0, DATA));
	attach(s, s->far, NB_NO_PASID, n);
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

struct state {
	uint32_t id; /* 0: detached */
	uint64_t addr, want;
};

static void in_state(struct scene *s, unsigned int dev, uint32_t pasid, const struct state *st, unsigned int n, unsigned int now)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		uint64_t got = get(s, dev, pasid, st[i].addr), want = 0;

		if (st[now].id && st[i].addr == st[now].addr)
			want = st[now].want;
		CHECK(s, got == want);
	}
}

static void replace_every_direction(struct scene *s)
{
	struct state st[8];
	unsigned int n = 0, a, b, p;
	uint32_t pasid[2] = {NB_NO_PASID, PASID};

	st[n++] = (struct state){0, IOVA + DATA * PAGE, 0};
	st[n++] = (struct state){paging(s, s->engine, 0), IOVA + DATA * PAGE, mark(0, DATA)};
	st[n++] = (struct state){paging(s, s->engine, 1), IOVA + DATA * PAGE, mark(1, DATA)};
	if (s->nests) {
		st[n++] = (struct state){s->parent[0], IOVA + DATA * PAGE, mark(0, DATA)};
		st[n++] = (struct state){s->parent[1], IOVA + DATA * PAGE, mark(1, DATA)};
		st[n++] = (struct state){nested(s, s->engine, 0, guest(s, 0, 0, 0)), VA, mark(0, DATA)};
		st[n++] = (struct state){nested(s, s->engine, 0, guest(s, 0, 1, 3)), VA, mark(0, DATA + 3)};
		st[n++] = (struct state){nested(s, s->engine, 1, guest(s, 1, 0, 0)), VA, mark(1, DATA)};
	}
	for (p = 0; p < (s->pasids ? 2u : 1u); p++) {
		for (a = 0; a < n; a++)
			for (b = 0; b < n; b++) {
				if (st[a].id)
					attach(s, s->engine, pasid[p], st[a].id);
				in_state(s, s->engine, pasid[p], st, n, a);
				if (st[b].id)
					attach(s, s->engine, pasid[p], st[b].id);
				else if (st[a].id)
					detach(s, s->engine, pasid[p]);
				in_state(s, s->engine, pasid[p], st, n, b);
				if (st[b].id)
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
	uint32_t n;

	if (!needs(s, s->nests, "no nesting"))
		return;
	n = nested(s, s->engine, 0, guest(s, 0, 0, 0));
	leaf = s->mem[0] + 3 * WORDS;
	attach(s, s->engine, NB_NO_PASID, n);
	attach(s, s->far, NB_NO_PASID, n);
	if (s->pasids)
		attach(s, s->engine, PASID, n);
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA + PAGE) == mark(0, DATA + 1));
	CHECK(s, get(s, s->far, NB_NO_PASID, VA + PAGE) == mark(0, DATA + 1));
	CHECK(s, !s->pasids || get(s, s->engine, PASID, VA + PAGE) == mark(0, DATA + 1));
	__atomic_store_n(&leaf[1], s->v->s1_leaf(IOVA + (DATA + 9) * PAGE, HW_READ), __ATOMIC_RELEASE);
	invalidate(s, n, VA + PAGE, 1);
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA + PAGE) == mark(0, DATA + 9));
	CHECK(s, get(s, s->far, NB_NO_PASID, VA + PAGE) == mark(0, DATA + 9));
	CHECK(s, !s->pasids || get(s, s->engine, PASID, VA + PAGE) == mark(0, DATA + 9));
	__atomic_store_n(&leaf[1], 0, __ATOMIC_RELEASE);
	invalidate(s, n, 0, UINT64_MAX);
	CHECK(s, get(s, s->engine, NB_NO_PASID, VA + PAGE) == 0);
	CHECK(s, get(s, s->far, NB_NO_PASID, VA + PAGE) == 0);
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
	uint32_t d[2];
	pthread_t th;
	unsigned int i;

	d[0] = paging(s, s->engine, 0);
	d[1] = s->nests ? nested(s, s->engine, 0, guest(s, 0, 0, 0)) : paging(s, s->engine, 0);
	for (i = 0; i < 20; i++) {
		uint64_t *page = s->mem[0] + (size_t)DATA * WORDS;
		unsigned int which = i & 1;

		h.addr = which && s->nests ? VA : IOVA + DATA * PAGE;
		atomic_store(&h.stop, false);
		attach(s, s->engine, NB_NO_PASID, d[which]);
		if (pthread_create(&th, NULL, hammer, &h))
			exit(1);
		wait_for(&h.went, 50);
		detach(s, s->engine, NB_NO_PASID);
		__atomic_store_n(&page[1], UINT64_C(0xdeadbeef), __ATOMIC_SEQ_CST);
		wait_for(&h.refused, 50);
		CHECK(s, __atomic_load_n(&page[1], __ATOMIC_SEQ_CST) == UINT64_C(0xdeadbeef));
		attach(s, s->engine, NB_NO_PASID, d[which]);
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
	{"detach-under-fire", detach_under_fire},
	{"close-while-attached", close_while_attached},
};

/* ---- */

static bool up(struct scene *s)
{
	unsigned int set, i, same = 0;
	uint32_t id;

	for (set = 0; set < 2; set++)
		for (i = 0; i < NPAGES; i++) {
			memset(s->mem[set] + (size_t)i * WORDS, 0, PAGE);
			s->mem[set][(size_t)i * WORDS] = mark(set, i);
		}
	s->conf->make(&s->desc);
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
	for (set = 0; set < 2; set++)
		if (rig_hwpt(&s->rig, s->engine, s->ioas[set], IOMMU_HWPT_ALLOC_NEST_PARENT | pasid_flag(s), &s->parent[set]))
			s->nests = false;
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
		mem[i] = mmap(NULL, NPAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (mem[i] == MAP_FAILED)
			return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (v = vendors; *v; v++) {
		if (vendor && strcmp(vendor, (*v)->name) != 0)
			continue;
		for (i = 0; i < (*v)->nconfs; i++) {
			unsigned int bad = 0, ran = 0;
			char out[400] = "";

			if (conf && strcmp(conf, (*v)->conf[i].name) != 0)
				continue;
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
