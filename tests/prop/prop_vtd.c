/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The whole stack against a list of pages: random life of two IOASs, their domains, nested domains with guest
 * tables, attachments by function and PASID, and DMA of all sizes.
 *
 *	prop_vtd [--seed N] [--runs N] [--steps N] [--host NAME]
 *
 * NAME: a built-in host or one of tests/conform/vendor_vtd.c's
 *
 * The rule. What the host was told by an ioctl that returned holds at once: DMA must follow it exactly. What the guest
 * writes into its own tables holds, for what is present there, after the invalidation: until then DMA may see what was there
 * at any time since the last one (but never "not present", which is not cached without caching mode).
 *
 * Every page of memory is filled with words that name their own place, so what a read returns says where it went; a write is
 * looked for in all places where it may land, and put right again; at the end all memory must be as it was.
 *
 * A step is a number that seeds its own choices, so any subset of a failing run is a run: the failure is cut down to few steps
 * before it is printed.
 */
#include "prop_vtd.h"

#include <sys/mman.h>

#include "vendor.h"

/* ---- the oracle ---- */

const struct area *area_at(const struct ioas *s, uint64_t iova)
{
	unsigned int i;

	for (i = 0; i < s->n; i++)
		if (iova - s->area[i].iova < s->area[i].len)
			return &s->area[i];
	return NULL;
}

static int through_ioas(const struct ioas *s, uint64_t iova, unsigned int access, bool write_implies_read)
{
	const struct area *a = area_at(s, iova);
	unsigned int prot;

	if (!a)
		return FAULT;
	prot = a->prot;
	if (write_implies_read)
		prot |= HW_READ;
	if ((prot & access) != access)
		return FAULT;
	/* DMA into the tables themselves is not played with */
	return a->tables ? FAULT : (int)(a->page + ((iova - a->iova) >> 12));
}

static int through_entry(const struct ioas *s, const struct entry *e, unsigned int access)
{
	if ((e->prot & access) != access || !area_at(s, TABLE_GPA))
		return FAULT;
	return through_ioas(s, e->gpa, access, false);
}

static bool find_window(uint64_t va, unsigned int *win, unsigned int *page)
{
	unsigned int i;

	for (i = 0; i < NWINDOWS; i++) {
		if (va - va_window[i] < WPAGES * PAGE) {
			*win = i;
			*page = (unsigned int)((va - va_window[i]) >> 12);
			return true;
		}
	}
	return false;
}

/* All that may happen to an access; the first one is what holds after invalidation. Returns how many. */
unsigned int outcomes(struct world *w, unsigned int dev, unsigned int p, uint64_t va, unsigned int access,
			     int out[NOLD + 1])
{
	int at = w->att[dev][p];
	struct hwpt *h;
	unsigned int win, page, i, n = 0;

	out[0] = FAULT;
	if (at < 0)
		return 1;
	if (at >= NHWPTS) {
		out[0] = through_ioas(&w->ioas[at - NHWPTS], va, access, !w->legacy);
		return 1;
	}
	h = &w->hwpt[at];
	if (h->kind != NESTED) {
		out[0] = through_ioas(&w->ioas[h->ioas], va, access, h->kind == FS_PAGING);
		return 1;
	}
	if (!find_window(va, &win, &page))
		return 1;
	out[n++] = through_entry(&w->ioas[h->ioas], &w->space[h->space].now[win][page], access);
	for (i = 0; i < h->old[win][page].n; i++)
		out[n++] = through_entry(&w->ioas[h->ioas], &h->old[win][page].e[i], access);
	return n;
}

/* ---- steps: DMA ---- */

static uint64_t pick_addr(struct world *w, unsigned int dev, unsigned int p)
{
	int at = w->att[dev][p];
	uint64_t room, page = rnd(w, 3) ? rnd(w, 26) : rnd(w, WPAGES + 2), base;

	if (at >= 0 && at < NHWPTS && w->hwpt[at].kind == NESTED) {
		unsigned int win = (unsigned int)rnd(w, NWINDOWS), i;
		const struct hwpt *h = &w->hwpt[at];

		base = va_window[win];
		for (i = 0; i < 8; i++) { /* somewhere where there is or was something */
			page = rnd(w, i < 6 ? 28 : WPAGES);
			if (w->space[h->space].now[win][page].prot || h->old[win][page].n)
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
	int seen[3 * (NOLD + 1)];
	unsigned int n = 0, i, here;
	uint64_t at;

	for (at = va & ~(uint64_t)(PAGE - 1); at < va + len && n + NOLD < ARRAY_SIZE(seen); at += PAGE) {
		here = outcomes(w, dev, p, at, HW_WRITE, seen + n);
		for (i = n; i < n + here; i++)
			if (seen[i] != FAULT && one_of(seen[i], seen, n))
				return true;
		n += here;
	}
	return false;
}

/* For the dirty bitmaps: whose page is that now? Through guest tables there may be several candidates. */
static void note_write(struct world *w, unsigned int dev, unsigned int p, uint64_t va, int landed, const int *o, unsigned int n)
{
	int at = w->att[dev][p];
	unsigned int i, win, page, same = 0;
	struct hwpt *h;

	if (at < 0 || at >= NHWPTS)
		return;
	h = &w->hwpt[at];
	if (h->kind != NESTED) {
		wrote(h, va, true);
		return;
	}
	if (!find_window(va, &win, &page))
		return;
	for (i = 0; i < n; i++)
		same += o[i] == landed;
	for (i = 0; i < n; i++) {
		const struct entry *e = i ? &h->old[win][page].e[i - 1] : &w->space[h->space].now[win][page];

		if (o[i] == landed)
			wrote(&w->hwpt[h->parent], e->gpa, same == 1);
	}
}

void do_access(struct world *w)
{
	unsigned int dev = (unsigned int)rnd(w, w->rig.ndevs);
	unsigned int p = has_pasids(w, dev) ? (unsigned int)rnd(w, NPASIDS) : 0, n, i, off, slot;
	bool write = rnd(w, 2);
	uint64_t buf[3 * PAGE / 8], va, at, done;
	size_t len;
	int err, o[NOLD + 1];

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
	if (write && aliases(w, dev, p, va, len))
		len = 8;
	for (i = 0; i < len / 8; i++)
		buf[i] = write ? UINT64_C(0xdd) << 56 | ++w->mark : UINT64_MAX;
	err = write ? rig_write(&w->rig, dev, pasids[p], va, buf, len) : rig_read(&w->rig, dev, pasids[p], va, buf, len);
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
				if (o[i] != FAULT && w->data[(size_t)o[i] * (PAGE / 8) + word] == buf[done / 8])
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
			w->nested += w->att[dev][p] < NHWPTS && w->hwpt[w->att[dev][p]].kind == NESTED;
			w->stale += landed != o[0];
			w->recent[slot].dev = dev;
			w->recent[slot].p = p;
			w->recent[slot].va = at & ~(uint64_t)(PAGE - 1);
			if (!one_of(landed, o, n))
				FAIL(w, "%s of device %u pasid %d at %#" PRIx64 " went to page %d, expected %d (of %u)",
				     write ? "write" : "read", dev, (int)pasids[p], at, landed, o[0], n);
		} else {
			w->faults++;
			if (!one_of(FAULT, o, n))
				FAIL(w, "%s of device %u pasid %d at %#" PRIx64 " faulted, expected page %d (of %u)%s",
				     write ? "write" : "read", dev, (int)pasids[p], at, o[0], n,
				     err ? "" : "; and returned success");
			if (!err)
				FAIL(w, "a DMA at %#" PRIx64 " went nowhere and returned success", at);
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
	switch (rnd(w, 40)) {
	case 0 ... 3:
		do_map(w);
		break;
	case 4 ... 5:
		do_unmap(w);
		break;
	case 8:
		map_tables(w, (unsigned int)rnd(w, NIOAS));
		break;
	case 6:
	case 9:
		do_alloc(w);
		break;
	case 10:
		if (rnd(w, 3) == 0)
			do_destroy(w);
		break;
	case 7:
	case 11 ... 12:
		do_attach(w);
		break;
	case 13:
		if (rnd(w, 3) == 0)
			do_detach(w);
		break;
	case 14 ... 17:
		do_guest(w);
		break;
	case 18 ... 20:
		do_invalidate(w);
		break;
	case 21:
		do_dirty(w);
		break;
	default:
		do_access(w);
	}
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

static bool begin(struct world *w, const struct nb_desc *desc)
{
	unsigned int i, k, win;

	if (!rig_up(&w->rig, desc))
		return false;
	memset(w->tables, 0, (size_t)NSPACES * SPACE_PAGES * PAGE);
	memset(w->att, 0xff, sizeof(w->att));
	memset(w->space, 0, sizeof(w->space));
	memset(w->hwpt, 0, sizeof(w->hwpt));
	memset(w->recent, 0, sizeof(w->recent));
	w->failed[0] = '\0';
	for (k = 0; k < NSPACES; k++) {
		struct space *s = &w->space[k];

		s->tables = w->tables + (size_t)k * SPACE_PAGES * (PAGE / 8);
		s->gpa = TABLE_GPA + (uint64_t)k * SPACE_PAGES * PAGE;
		for (win = 0; win < NWINDOWS; win++) {
			unsigned int pdpt = 1 + win * (2 + PTS);
			uint64_t node = w->preset ? 0x27 : 7;

			table_page(s, 0)[va_window[win] >> 39 & 511] = table_gpa(s, pdpt) | node;
			table_page(s, pdpt)[va_window[win] >> 30 & 511] = table_gpa(s, pdpt + 1) | node;
		}
	}
	for (i = 0; i < NIOAS; i++) {
		w->ioas[i].n = 0;
		if (rig_ioas(&w->rig, &w->ioas[i].id))
			return false;
		map_tables(w, i);
	}
	/* Something to nest on from the start. */
	w->rng = 1;
	for (i = 0; i < NIOAS; i++)
		alloc_hwpt(w, w->legacy ? SS_PAGING : PARENT, i);
	for (i = 0; i < NSPACES && !w->legacy; i++)
		alloc_hwpt(w, NESTED, 0);
	return !w->failed[0];
}

static void finish(struct world *w)
{
	unsigned int i;

	check_data(w);
	for (i = 0; i < NHWPTS; i++)
		if (w->hwpt[i].kind != FREE)
			free_old(&w->hwpt[i]);
	rig_down(&w->rig);
}

/* Runs the steps that are kept. True: as it should be. */
static bool run(struct world *w, const struct nb_desc *desc, const uint64_t *seed, const bool *keep, unsigned int n)
{
	unsigned int i;

	fill_data(w);
	if (!begin(w, desc)) {
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
static void shrink(struct world *w, const struct nb_desc *desc, const uint64_t *seed, bool *keep, unsigned int n)
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
			if (any && run(w, desc, seed, keep, n))
				memcpy(keep, saved, sizeof(saved));
		}
	}
}

int main(int argc, char **argv)
{
	uint64_t seed = 1, runs = 80, steps = 4000, r, seeds[MAX_STEPS];
	static struct nb_desc made;
	const struct nb_desc *desc = nb_desc_find("spr-fixed");
	const char *host = "spr-fixed";
	static struct world w;
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
	if (nb_desc_find(host)) {
		desc = nb_desc_find(host);
	} else {
		for (r = 0; r < vendor_vtd.nconfs && strcmp(vendor_vtd.conf[r].name, host) != 0; r++)
			;
		if (r == vendor_vtd.nconfs)
			return 2;
		vendor_vtd.conf[r].make(&made);
		desc = &made;
	}
	if (steps > MAX_STEPS)
		return 2;
	w.legacy = !desc->iommu[0].vtd.scalable;
	w.erratum = desc->iommu[0].vtd.erratum_772415;
	w.preset = !desc->iommu[0].vtd.coherent;
	w.tracks = desc->iommu[0].vtd.ss_dirty && desc->iommu[0].vtd.coherent;
	w.data = mmap(NULL, (NPAGES + WPAGES) * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	w.tables = aligned_alloc(PAGE, (size_t)NSPACES * SPACE_PAGES * PAGE);
	if (w.data == MAP_FAILED || !w.tables)
		return 1;
	/* aligned for large pages */
	w.data = (uint64_t *)(((uintptr_t)w.data + WPAGES * PAGE - 1) & ~((uintptr_t)WPAGES * PAGE - 1));
	printf("seeds %" PRIu64 " to %" PRIu64 ", %" PRIu64 " steps each\n", seed, seed + runs - 1, steps);
	for (r = seed; r < seed + runs; r++) {
		unsigned int i;

		for (i = 0; i < steps; i++) {
			seeds[i] = r * 1000003 + i;
			keep[i] = true;
		}
		if (run(&w, desc, seeds, keep, (unsigned int)steps))
			continue;
		printf("FAILED: %s\n", w.failed);
		shrink(&w, desc, seeds, keep, (unsigned int)steps);
		printf("the steps that are left:\n");
		w.verbose = true;
		run(&w, desc, seeds, keep, (unsigned int)steps);
		printf("FAILED: %s\nagain with: prop_vtd --host %s --seed %" PRIu64 " --runs 1 --steps %" PRIu64 "\n", w.failed, host, r,
		       steps);
		return 1;
	}
	printf("%" PRIu64 " pages read, %" PRIu64 " written, %" PRIu64 " of them nested, %" PRIu64 " through what was not yet "
	       "invalidated, %" PRIu64 " faults; %" PRIu64 " dirty bitmaps with %" PRIu64 " bits\n",
	       w.reads, w.writes, w.nested, w.stale, w.faults, w.bitmaps, w.dirty_pages);
	/* A run that hardly ever translates would prove nothing; nor one whose caches forget. */
	if (runs * steps < 10000)
		return 0;
	if (w.tracks && (w.bitmaps == 0 || w.dirty_pages == 0))
		return 1;
	return w.reads + w.writes < runs * steps / 20 || w.faults == 0 ||
	       (!w.legacy && (w.nested < runs * steps / 60 || w.stale == 0));
}
