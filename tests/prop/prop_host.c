/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the host and the guests said so far decides what DMA may do; runs and their shrinking.
 *
 *	prop_<vendor> [--seed N] [--runs N] [--steps N] [--host NAME]
 *
 * NAME: a built-in host or one of the vendor's own
 */
#include "prop_host.h"

#include <sys/mman.h>

/* ---- the oracle ---- */

const struct area *area_at(const struct ioas *s, uint64_t iova)
{
	unsigned int i;

	for (i = 0; i < s->n; i++)
		if (iova - s->area[i].iova < s->area[i].len)
			return &s->area[i];
	return NULL;
}

int through_ioas(const struct ioas *s, uint64_t iova, unsigned int access, bool read_implied)
{
	const struct area *a = area_at(s, iova);
	unsigned int prot;

	if (!a)
		return FAULT;
	prot = a->prot;
	if (read_implied)
		prot |= HW_READ;
	if ((prot & access) != access)
		return FAULT;
	/* DMA into the tables themselves is not played with */
	return a->tables ? FAULT : (int)(a->page + ((iova - a->iova) >> 12));
}

int through_entry(const struct ioas *s, const struct entry *e, unsigned int access)
{
	if ((e->prot & access) != access || !area_at(s, TABLE_GPA))
		return FAULT;
	return through_ioas(s, e->gpa, access, false);
}

bool find_window(const struct world *w, uint64_t va, unsigned int *win, unsigned int *page)
{
	unsigned int i;

	for (i = 0; i < NWINDOWS; i++) {
		if (va - w->vendor->va_window[i] < WPAGES * PAGE) {
			*win = i;
			*page = (unsigned int)((va - w->vendor->va_window[i]) >> 12);
			return true;
		}
	}
	return false;
}

struct hwpt *hwpt_at(struct world *w, unsigned int dev, unsigned int p)
{
	int at = w->att[dev][p];

	return at >= 0 && at < NHWPTS ? &w->hwpt[at] : NULL;
}

bool is_nested(struct world *w, unsigned int dev, unsigned int p)
{
	const struct hwpt *h = hwpt_at(w, dev, p);

	return h ? h->kind == NESTED : w->vendor->view(w, dev, p) != NULL;
}

/* All that may happen to an access; the first one is what holds after invalidation. Returns how many. */
unsigned int outcomes(struct world *w, unsigned int dev, unsigned int p, uint64_t va, unsigned int access,
		      int out[MAX_OUTCOMES])
{
	const struct hwpt *h = hwpt_at(w, dev, p);
	int at = w->att[dev][p];

	if ((h && h->kind == NESTED) || at < 0)
		return w->vendor->outcomes(w, dev, p, va, access, out);
	out[0] = through_ioas(&w->ioas[h ? h->ioas : (unsigned int)at - NHWPTS], va, access, w->vendor->read_implied(w, h));
	return 1;
}

/* ---- steps: DMA ---- */

static uint64_t pick_addr(struct world *w, unsigned int dev, unsigned int p)
{
	const struct seen *seen = w->vendor->view(w, dev, p);
	int at = w->att[dev][p];
	uint64_t room, page = rnd(w, 3) ? rnd(w, 26) : rnd(w, WPAGES + 2), base;

	if (seen) {
		unsigned int win = (unsigned int)rnd(w, NWINDOWS), i;

		base = w->vendor->va_window[win];
		for (i = 0; i < 8; i++) { /* somewhere where there is or was something */
			page = rnd(w, i < 6 ? 28 : WPAGES);
			if (w->space[seen->space].now[win][page].prot || seen->old[win][page].n)
				return base + page * PAGE;
		}
	} else if (at >= 0 && rnd(w, 6)) {
		struct ioas *s = &w->ioas[at >= NHWPTS ? (unsigned int)at - NHWPTS : w->hwpt[at].ioas];
		const struct area *a = s->n ? &s->area[rnd(w, s->n)] : NULL;

		if (!a || a->tables)
			return pick_iova(w, &room);
		/* its edges above all */
		return rnd(w, 2) ? a->iova + rnd(w, a->len / PAGE) * PAGE
				 : a->iova + (rnd(w, 2) ? a->len : 0) - (rnd(w, 2) ? PAGE : 0);
	} else {
		return pick_iova(w, &room);
	}
	if (page > WPAGES)
		return base - PAGE;
	return base + page * PAGE;
}

static bool one_of(int v, const int *o, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (o[i] == v)
			return true;
	return false;
}

/* May two pages of this write meet in one page of data? Then the later would hide the earlier. */
static bool aliases(struct world *w, unsigned int dev, unsigned int p, uint64_t va, size_t len)
{
	int seen[3 * MAX_OUTCOMES];
	unsigned int n = 0, i, here;
	uint64_t at;

	for (at = va & ~(uint64_t)(PAGE - 1); at < va + len && n + MAX_OUTCOMES <= ARRAY_SIZE(seen); at += PAGE) {
		here = outcomes(w, dev, p, at, HW_WRITE, seen + n);
		for (i = n; i < n + here; i++)
			if (seen[i] >= 0 && one_of(seen[i], seen, n))
				return true;
		n += here;
	}
	return false;
}

static void note_write(struct world *w, unsigned int dev, unsigned int p, uint64_t va, int landed, const int *o, unsigned int n)
{
	struct hwpt *h = hwpt_at(w, dev, p);

	if (h && h->kind != NESTED)
		wrote(h, va, true);
	else if (h && w->vendor->wrote)
		w->vendor->wrote(w, dev, p, va, landed, o, n);
}

static int dma(struct world *w, unsigned int dev, unsigned int p, uint64_t va, uint64_t *buf, size_t len, bool write)
{
	if (w->vendor->dma)
		return w->vendor->dma(w, dev, p, va, buf, len, write);
	return write ? rig_write(&w->rig, dev, pasids[p], va, buf, len) : rig_read(&w->rig, dev, pasids[p], va, buf, len);
}

static bool any_fault(const int *o, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (o[i] < 0)
			return true;
	return false;
}

/* What hardware would find now, without its caches. */
static void show_walk(struct world *w, unsigned int dev, unsigned int p, uint64_t va, bool write)
{
	char text[8192];

	if (!w->verbose || !w->failed[0])
		return;
	machine_walk(w->rig.m, w->desc->function[dev].segment, w->rig.dev[dev].rid, pasids[p], va, write ? HW_WRITE : HW_READ, text,
		     sizeof(text));
	puts(text);
}

static void access_once(struct world *w, unsigned int *at_dev, unsigned int *at_p, uint64_t *at_va, bool *at_write);

void do_access(struct world *w)
{
	unsigned int dev = 0, p = 0;
	bool write = false;
	uint64_t va = 0;

	access_once(w, &dev, &p, &va, &write);
	show_walk(w, dev, p, va, write);
}

static void access_once(struct world *w, unsigned int *at_dev, unsigned int *at_p, uint64_t *at_va, bool *at_write)
{
	unsigned int dev = (unsigned int)rnd(w, w->rig.ndevs);
	unsigned int p = w->vendor->has_pasids(w, dev) ? (unsigned int)rnd(w, NPASIDS) : 0, n, i, off, slot;
	bool write = rnd(w, 2);
	uint64_t buf[3 * PAGE / 8], va, at, done;
	size_t len;
	int err, o[MAX_OUTCOMES];

	if (w->vendor->pick)
		w->vendor->pick(w, &dev, &p);
	i = (unsigned int)rnd(w, NRECENT);
	if (rnd(w, 2) && w->recent[i].va) {
		dev = w->recent[i].dev;
		p = w->recent[i].p;
		va = w->recent[i].va;
	} else {
		va = pick_addr(w, dev, p);
	}
	slot = i;
	off = rnd(w, 2) ? 0 : (unsigned int)rnd(w, PAGE / 8) * 8;
	len = rnd(w, 2) ? 8 : 8 + rnd(w, 2 * PAGE / 8) * 8;
	va += off;
	*at_dev = dev;
	*at_p = p;
	*at_va = va;
	*at_write = write;
	if (write && aliases(w, dev, p, va, len))
		len = 8;
	for (i = 0; i < len / 8; i++)
		buf[i] = write ? UINT64_C(0xdd) << 56 | ++w->mark : UINT64_MAX;
	err = dma(w, dev, p, va, buf, len, write);
	SAY(w, "%s device %u pasid %d at %#" PRIx64 " bytes %zu: %d\n", write ? "write" : "read", dev, (int)pasids[p], va, len,
	    err);
	for (at = va, done = 0; done < len;) {
		size_t chunk = PAGE - (at & (PAGE - 1));
		uint32_t word = (uint32_t)(at & (PAGE - 1)) / 8;
		int landed = FAULT;

		if (chunk > len - done)
			chunk = len - done;
		n = outcomes(w, dev, p, at, write ? HW_WRITE : HW_READ, o);
		if (write) {
			/* a write may be found in any place that was allowed, and is put right there */
			for (i = 0; i < n && landed == FAULT; i++)
				if (o[i] >= 0 && w->data[(size_t)o[i] * (PAGE / 8) + word] == buf[done / 8])
					landed = o[i];
			for (i = 0; landed != FAULT && i < chunk / 8; i++) {
				uint64_t *here = &w->data[(size_t)landed * (PAGE / 8) + word + i];

				if (*here != buf[done / 8 + i])
					FAIL(w, "a write at %#" PRIx64 " arrived in part", at);
				*here = stamp((uint32_t)landed, word + i);
			}
		} else if (buf[done / 8] != UINT64_MAX) {
			landed = (int)(buf[done / 8] >> 12 & 0xffffffff);
			for (i = 0; i < chunk / 8; i++)
				if (buf[done / 8 + i] != stamp((uint32_t)landed, word + i))
					FAIL(w, "a read at %#" PRIx64 " returned what lies nowhere: %#" PRIx64, at,
					     buf[done / 8 + i]);
		}
		if (landed != FAULT && write)
			note_write(w, dev, p, at, landed, o, n);
		if (landed != FAULT) {
			write ? w->writes++ : w->reads++;
			w->nested += is_nested(w, dev, p);
			w->stale += landed != o[0];
			w->recent[slot].dev = dev;
			w->recent[slot].p = p;
			w->recent[slot].va = at & ~(uint64_t)(PAGE - 1);
			if (!one_of(landed, o, n))
				FAIL(w, "%s of device %u pasid %d at %#" PRIx64 " went to page %d, expected %d (of %u)",
				     write ? "write" : "read", dev, (int)pasids[p], at, landed, o[0], n);
		} else {
			w->faults++;
			if (!any_fault(o, n))
				FAIL(w, "%s of device %u pasid %d at %#" PRIx64 " faulted, expected page %d (of %u)%s",
				     write ? "write" : "read", dev, (int)pasids[p], at, o[0], n,
				     err ? "" : "; and returned success");
			if (!err)
				FAIL(w, "a DMA at %#" PRIx64 " went nowhere and returned success", at);
			if (w->vendor->faulted)
				w->vendor->faulted(w, dev, p, at, write, err, o, n);
			return;
		}
		at += chunk;
		done += chunk;
	}
	if (err)
		FAIL(w, "a DMA at %#" PRIx64 " was done and returned %d", va, err);
}

/* ---- runs ---- */

static void step(struct world *w, uint64_t seed)
{
	w->rng = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	rnd(w, 2);
	w->vendor->step(w);
}

static void fill_data(struct world *w)
{
	uint32_t page, word;

	for (page = 0; page < NPAGES; page++)
		for (word = 0; word < PAGE / 8; word++)
			w->data[(size_t)page * (PAGE / 8) + word] = stamp(page, word);
}

static void check_data(struct world *w)
{
	uint32_t page, word;

	for (page = 0; page < NPAGES; page++)
		for (word = 0; word < PAGE / 8; word++)
			if (w->data[(size_t)page * (PAGE / 8) + word] != stamp(page, word)) {
				FAIL(w, "a DMA write landed in page %u where it had no business", page);
				return;
			}
}

static bool begin(struct world *w)
{
	unsigned int i;

	if (!rig_up(&w->rig, w->desc))
		return false;
	memset(w->tables, 0, w->tables_len);
	memset(w->att, 0xff, sizeof(w->att));
	memset(w->space, 0, sizeof(w->space));
	memset(w->hwpt, 0, sizeof(w->hwpt));
	memset(w->recent, 0, sizeof(w->recent));
	w->failed[0] = '\0';
	for (i = 0; i < NSPACES; i++) {
		const uint64_t off = (uint64_t)i * SPACE_TABLES * w->vendor->max_gran * PAGE;

		w->space[i].tables = w->tables + off / 8;
		w->space[i].gpa = TABLE_GPA + off;
		w->space[i].gran = 1;
	}
	for (i = 0; i < NIOAS; i++) {
		w->ioas[i].n = 0;
		if (rig_ioas(&w->rig, &w->ioas[i].id))
			return false;
		map_tables(w, i);
	}
	w->rng = 1;
	return w->vendor->begin(w) && !w->failed[0];
}

static void finish(struct world *w)
{
	unsigned int i;

	check_data(w);
	if (w->vendor->end)
		w->vendor->end(w);
	for (i = 0; i < NHWPTS; i++)
		if (w->hwpt[i].kind != FREE)
			destroy_hwpt(w, &w->hwpt[i]);
	rig_down(&w->rig);
}

/* Runs the steps that are kept. True: as it should be. */
static bool run(struct world *w, const uint64_t *seed, const bool *keep, unsigned int n)
{
	unsigned int i;

	fill_data(w);
	if (!begin(w)) {
		puts("the host cannot be built");
		exit(1);
	}
	for (i = 0; i < n && !w->failed[0]; i++)
		if (keep[i])
			step(w, seed[i]);
	finish(w);
	return !w->failed[0];
}

/* Drop as many steps as can go with the run still failing. */
static void shrink(struct world *w, const uint64_t *seed, bool *keep, unsigned int n)
{
	unsigned int size, at, i, rounds = 0;

	for (size = n / 2; size > 0; size = rounds < 2 && size == 1 ? (rounds++, 1) : size / 2) {
		for (at = 0; at < n; at += size) {
			bool saved[MAX_STEPS], any = false;

			memcpy(saved, keep, sizeof(saved));
			for (i = at; i < at + size && i < n; i++) {
				any |= keep[i];
				keep[i] = false;
			}
			if (any && run(w, seed, keep, n))
				memcpy(keep, saved, sizeof(saved));
		}
	}
}

static const struct nb_desc *find_host(const struct prop_vendor *v, const char *name, struct nb_desc *made)
{
	unsigned int i;

	if (nb_desc_find(name))
		return nb_desc_find(name);
	for (i = 0; i < v->nconfs; i++) {
		if (strcmp(v->conf[i].name, name) == 0) {
			v->conf[i].make(made);
			return made;
		}
	}
	return NULL;
}

int prop_host_main(const struct prop_vendor *v, struct world *w, int argc, char **argv)
{
	uint64_t seed = 1, runs = 80, steps = 4000, r, seeds[MAX_STEPS];
	const char *host = v->host;
	struct nb_desc made;
	bool keep[MAX_STEPS];
	int a;

	for (a = 1; a + 1 < argc; a += 2) {
		if (strcmp(argv[a], "--seed") == 0)
			seed = strtoull(argv[a + 1], NULL, 0);
		else if (strcmp(argv[a], "--runs") == 0)
			runs = strtoull(argv[a + 1], NULL, 0);
		else if (strcmp(argv[a], "--steps") == 0)
			steps = strtoull(argv[a + 1], NULL, 0);
		else if (strcmp(argv[a], "--host") == 0)
			host = argv[a + 1];
		else
			return 2;
	}
	w->vendor = v;
	w->desc = find_host(v, host, &made);
	if (!w->desc || steps > MAX_STEPS || !v->host_is(w))
		return 2;
	w->tables_len = (size_t)NSPACES * SPACE_TABLES * v->max_gran * PAGE;
	w->data = mmap(NULL, (NPAGES + WPAGES) * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	w->tables = aligned_alloc((size_t)v->max_gran * PAGE, w->tables_len + v->extra);
	if (w->data == MAP_FAILED || !w->tables)
		return 1;
	w->extra = w->tables + w->tables_len / 8;
	w->tables_len += v->extra;
	/* aligned for large pages */
	w->data = (uint64_t *)(((uintptr_t)w->data + WPAGES * PAGE - 1) & ~((uintptr_t)WPAGES * PAGE - 1));
	printf("seeds %" PRIu64 " to %" PRIu64 ", %" PRIu64 " steps each\n", seed, seed + runs - 1, steps);
	for (r = seed; r < seed + runs; r++) {
		unsigned int i;

		for (i = 0; i < steps; i++) {
			seeds[i] = r * 1000003 + i;
			keep[i] = true;
		}
		w->run = r;
		if (run(w, seeds, keep, (unsigned int)steps))
			continue;
		printf("FAILED: %s\n", w->failed);
		shrink(w, seeds, keep, (unsigned int)steps);
		printf("the steps that are left:\n");
		w->verbose = true;
		run(w, seeds, keep, (unsigned int)steps);
		printf("FAILED: %s\nagain with: %s --host %s --seed %" PRIu64 " --runs 1 --steps %" PRIu64 "\n", w->failed, v->name,
		       host, r, steps);
		return 1;
	}
	printf("%" PRIu64 " pages read, %" PRIu64 " written, %" PRIu64 " of them nested, %" PRIu64 " through what was not yet "
	       "invalidated, %" PRIu64 " faults; %" PRIu64 " dirty bitmaps with %" PRIu64 " bits\n",
	       w->reads, w->writes, w->nested, w->stale, w->faults, w->bitmaps, w->dirty_pages);
	/* A run that hardly ever translates would prove nothing; nor one whose caches forget. */
	if (runs * steps < 10000)
		return 0;
	if (w->tracks && (w->bitmaps == 0 || w->dirty_pages == 0))
		return 1;
	return w->reads + w->writes < runs * steps / 20 || w->faults == 0 || !v->enough(w, runs * steps);
}
