/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Out of memory at every place: each call of a virtual host replayed with its n-th allocation failing, until it passes.
 *
 *	fail_nth [CASE] [--conf NAME]
 *
 * After each failure: the call said so with an errno (or did without); every device gets to where it got before, through caches and by memory; and
 * the same call, made again with nothing failing, works. At the end of a case everything is closed and not one allocation and
 * not one page may be left. Creating a host and the whole of `nestbox demo` are cases too.
 *
 * Allocations are counted at the link: --wrap puts the functions below around base/alloc.h and the page pool.
 */
#include "fail_nth.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/cli.h"
#include "machine/desc_yaml.h"

static struct {
	char what[64];
	unsigned int failures;
	uint64_t injected, calls;
	char absent[512]; /* what this configuration has not */
} now;

static void fail(struct scene *s, const char *why, long a, long b)
{
	if (now.failures++ < 12)
		printf("FAILED: %s, %s: %s (%ld, %ld)\n", s->conf ? s->conf->name : "-", now.what, why, a, b);
}

static void must(struct scene *s, long err, const char *what)
{
	if (err < 0) {
		printf("%s: setting up %s: %s returned %ld\n", s->conf->name, now.what, what, err);
		exit(1);
	}
}

static bool capable(struct scene *s, enum drv_cap cap)
{
	struct iommu_hw_info a = {.size = sizeof(a), .dev_id = s->devid[0]};
	uint32_t id;

	if (cap == DRV_CAP_NESTING) {
		bool can = do_hwpt_flags(s, s->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0, &id) == 0;

		if (can)
			do_destroy(s, id);
		return can;
	}
	return do_io(s, s->iommufd, IOMMU_GET_HW_INFO, &a) == 0 && (a.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING);
}

/* A guest's table at the beginning of the memory: VA leads to IOVA + 16 pages + `shift` pages. */
static uint64_t guest_tables(struct scene *s, unsigned int at, unsigned int shift)
{
	uint64_t *t = (uint64_t *)(void *)(s->mem + at * PAGE), gpa = IOVA + at * PAGE;
	unsigned int i;

	t[VA >> 39 & 511] = s->v->s1_node(&s->g, gpa + PAGE);
	t[512 + (VA >> 30 & 511)] = s->v->s1_node(&s->g, gpa + 2 * PAGE);
	t[1024 + (VA >> 21 & 511)] = s->v->s1_node(&s->g, gpa + 3 * PAGE);
	for (i = 0; i < 16; i++)
		t[1536 + i] = s->v->s1_leaf(&s->g, IOVA + (16 + shift + i) * PAGE, HW_READ | HW_WRITE);
	return gpa;
}

/* Device 0, 1: hwpt; 2: nothing; 3: an address space of its own. */
static void scene_up(struct scene *s, const struct vendor *v, const struct vendor_conf *conf, struct nb_host *host, uint8_t *mem)
{
	char path[64];
	unsigned int i;

	memset(s, 0, sizeof(*s));
	s->v = v;
	s->conf = conf;
	s->host = host;
	s->mem = mem;
	s->fd = -1;
	conf->make(&s->desc);
	v->guest(conf, &s->desc, &s->g);
	s->nests_by_pasid = !v->drv->user_pasid_table;
	memset(mem, 0, BASE_PAGES * PAGE);
	s->iommufd = nb_host_open(host, "/dev/iommu", O_RDWR);
	must(s, s->iommufd, "open");
	s->ndevs = s->desc.nfunctions < NDEVS ? s->desc.nfunctions : NDEVS;
	for (i = 0; i < s->ndevs; i++) {
		/* The test engines first: they have PASIDs. */
		snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", i ^ 1u);
		s->dev[i] = nb_host_open(host, path, O_RDWR);
		must(s, s->dev[i], path);
		if (i == 2)
			continue; /* for the case "bind" */
		must(s, do_bind(s, i), "BIND");
	}
	must(s, do_ioas_alloc(s, &s->ioas), "IOAS_ALLOC");
	must(s, do_ioas_alloc(s, &s->ioas2), "IOAS_ALLOC");
	must(s, do_map(s, s->ioas, mem, IOVA, BASE_PAGES / 2 * PAGE), "map");
	s->pasid_flag = IOMMU_HWPT_ALLOC_PASID;
	if (do_hwpt_flags(s, s->ioas, 0, 0, &s->hwpt)) {
		s->pasid_flag = 0;
		must(s, do_hwpt_flags(s, s->ioas, 0, 0, &s->hwpt), "HWPT_ALLOC");
	}
	s->can_nest = capable(s, DRV_CAP_NESTING);
	s->can_dirty = capable(s, DRV_CAP_DIRTY_TRACKING);
	s->binds_msi = s->can_nest && do_unbind_msi(s) == -ENOENT; /* else there is no such call */
	if (s->can_nest) {
		must(s, do_hwpt_flags(s, s->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0, &s->parent), "parent");
		must(s, do_hwpt_flags(s, s->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0, &s->parent_b), "parent");
		if (v->viommu_type) {
			must(s, do_viommu(s, s->parent, &s->viommu), "VIOMMU_ALLOC");
			must(s, do_viommu(s, s->parent_b, &s->viommu_b), "VIOMMU_ALLOC");
			must(s, do_vdevice(s, 0, s->viommu, &s->vdev[0]), "VDEVICE_ALLOC");
			must(s, do_vdevice(s, 1, s->viommu, &s->vdev[1]), "VDEVICE_ALLOC");
		}
		must(s, do_hwpt_nested(s, s->parent, guest_tables(s, 0, 0), &s->nested), "nested");
		must(s, do_hwpt_nested(s, v->viommu_type ? s->parent : s->parent_b, guest_tables(s, 4, 1), &s->nested_b), "nested");
	}
	if (s->can_dirty)
		must(s, do_hwpt_flags(s, s->ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 0, &s->dirty), "dirty");
	must(s, do_attach(s, 0, NB_NO_PASID, s->hwpt), "attach");
	must(s, do_attach(s, 1, NB_NO_PASID, s->hwpt), "attach");
	must(s, do_attach(s, 3, NB_NO_PASID, s->ioas2), "attach");
	s->can_pasid = do_attach(s, 0, 5, s->hwpt) == 0;
	if (!s->nests_by_pasid && s->can_pasid)
		must(s, do_detach(s, 0, 5), "detach"); /* it would keep the function from guests */
}

/* ---- where do the devices get to? ---- */

#define NSEEN 96

static unsigned int see(struct scene *s, uint64_t seen[NSEEN])
{
	static const uint64_t at[] = {IOVA, IOVA + 17 * PAGE, VA + PAGE, VA + 300 * PAGE, IOVA + M2, IOVA + 3 * M2};
	static const uint32_t pasid[] = {NB_NO_PASID, 5, PASID};
	struct machine *m = nb_host_machine(s->host);
	unsigned int d, p, a, n = 0, through;

	for (d = 0; d < s->ndevs; d++) {
		uint16_t rid = s->desc.function[d].rid;
		struct hw_iommu *hw = machine_iommu_of(m, 0, rid);

		for (p = 0; p < 3; p++)
			for (a = 0; a < ARRAY_SIZE(at) && n < NSEEN; a++) {
				struct hw_request req = {.addr = at[a], .pasid = pasid[p], .rid = rid, .access = HW_READ};
				struct hw_result res[2];

				hw_translate(hw, &req, &res[0]);
				req.flags = HW_OBSERVE;
				hw->ops->walk(hw, &req, NULL, NULL, &res[1]);
				for (through = 0; through < 2; through++)
					if (res[through].kind != res[1].kind ||
					    (res[1].kind == HW_OK && res[through].pa.v != res[1].pa.v))
						fail(s, "caches and memory differ", d, a);
				/* Why it is refused may change: a table that was made for an attach stays. */
				seen[n++] = res[1].kind == HW_OK ? res[1].pa.v : BIT(63);
			}
	}
	return n;
}

static bool seen_as_before(struct scene *s, const uint64_t before[NSEEN])
{
	uint64_t seen[NSEEN];
	unsigned int n = see(s, seen), i;

	for (i = 0; i < n; i++)
		if (seen[i] != before[i])
			return false;
	return true;
}

#define N_MAX 2000u

/* The description goes through a file, as a user's does. */
static char yaml[64];

static void write_desc(const struct vendor_conf *conf)
{
	static struct nb_desc desc;
	int fd;
	FILE *f;

	snprintf(yaml, sizeof(yaml), "/tmp/fail_nth-XXXXXX.yaml");
	fd = mkstemps(yaml, 5);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f)
		exit(1);
	conf->make(&desc);
	desc_yaml_write(&desc, f);
	fclose(f);
}

static struct nb_host *make_host(const struct vendor_conf *conf, bool may_fail)
{
	struct nb_host *host = NULL;
	char why[256] = "";

	if (nb_host_create(yaml, NULL, &host, why, sizeof(why)) == 0)
		return host;
	if (!may_fail) {
		printf("%s: no host: %s\n", conf->name, why);
		exit(1);
	}
	return NULL;
}

static void absent(void)
{
	size_t n = strlen(now.absent);

	now.calls--;
	snprintf(now.absent + n, sizeof(now.absent) - n, "%s%s", n ? ", " : "; opted out, not here: ", now.what);
}

static void run_call(struct scene *s, const struct call *c)
{
	uint64_t before[NSEEN];
	unsigned long n;
	long err;

	snprintf(now.what, sizeof(now.what), "%s", c->name);
	now.calls++;
	if (c->prepare(s) == 1) {
		absent();
		return;
	}
	see(s, before);
	for (n = 1; n < N_MAX; n++) {
		bool fired;

		nb_fail_nth_arm(n);
		err = c->call(s);
		fired = nb_fail_nth_fired();
		now.injected += fired;
		if (err == 1) {
			absent();
			return;
		}
		if (err == 0) {
			if (c->back(s))
				fail(s, "what worked cannot be undone", (long)n, 0);
		} else if (!fired) {
			fail(s, "refused with all the memory there is", (long)n, err);
			return;
		} else if (err != -ENOMEM && err != -EMFILE && !(err == -EIO && silicon_may_fail(c))) { /* descriptors are duplicated: that can fail, too */
			fail(s, "out of memory, but another error", (long)n, err);
		}
		if (!seen_as_before(s, before))
			fail(s, "a device does not get to where it got before", (long)n, err);
		if (!fired)
			return;
	}
	fail(s, "never done", (long)n, 0);
}

static void nothing_left(struct scene *s, long was, long pages_was)
{
	if (live != was || pages_live != pages_was)
		fail(s, "left behind: allocations, pages", live - was, pages_live - pages_was);
}

static void whole_host(const struct vendor *v, const struct vendor_conf *conf)
{
	struct scene s = {.v = v, .conf = conf};
	long was = live, pages_was = pages_live;
	unsigned long n;

	snprintf(now.what, sizeof(now.what), "creation of a host");
	now.calls++;
	for (n = 1; n < N_MAX; n++) {
		struct nb_host *host;
		bool fired;

		nb_fail_nth_arm(n);
		host = make_host(conf, true);
		fired = nb_fail_nth_fired();
		now.injected += fired;
		nb_host_destroy(host);
		nothing_left(&s, was, pages_was);
		if (!fired) {
			if (!host)
				fail(&s, "refused with all the memory there is", (long)n, 0);
			return;
		}
	}
	fail(&s, "never done", 0, 0);
}

int cli_fail(int status, const char *fmt, ...) /* the command's own says it on stderr */
{
	(void)fmt;
	return status;
}

/* stdout goes nowhere meanwhile. Its exit status is about its claims. */
static void whole_demo(const char *on)
{
	struct scene s = {.conf = NULL};
	char *argv[] = {(char *)(uintptr_t)"demo", (char *)(uintptr_t)"--host", (char *)(uintptr_t)on, NULL};
	int out = dup(1), err = dup(2), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	unsigned long n;
	long was, pages_was;
	bool ended = false;

	snprintf(now.what, sizeof(now.what), "nestbox demo --host %s", on);
	now.calls++;
	fflush(stdout);
	dup2(null, 1);
	dup2(null, 2);
	cmd_demo(3, argv);
	was = live;
	pages_was = pages_live;
	for (n = 1; n < 20 * N_MAX; n++) {
		bool fired;
		int r;

		nb_fail_nth_arm(n);
		r = cmd_demo(3, argv);
		fired = nb_fail_nth_fired();
		fflush(stdout);
		now.injected += fired;
		if (live != was || pages_live != pages_was)
			break;
		if (!fired) {
			ended = r == 0;
			break;
		}
	}
	dup2(out, 1);
	dup2(err, 2);
	close(out);
	close(err);
	close(null);
	nothing_left(&s, was, pages_was);
	if (!ended)
		fail(&s, "never came out as it must", (long)n, 0);
}

int main(int argc, char **argv)
{
	static const char *const demo_hosts[] = {"spr", "grace"};
	const struct vendor *const *v;
	const char *only = NULL, *only_conf = NULL;
	uint8_t *mem;
	unsigned int i, k;
	int a;

	for (a = 1; a < argc; a++) {
		if (strcmp(argv[a], "--conf") == 0 && a + 1 < argc)
			only_conf = argv[++a];
		else
			only = argv[a];
	}
	mem = mmap(NULL, BASE_PAGES * PAGE + M2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return 1;
	mem = (uint8_t *)(((uintptr_t)mem + M2 - 1) & ~(uintptr_t)(M2 - 1));
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (v = vendors; *v; v++) {
		for (i = 0; i < (*v)->nconfs; i++) {
			const struct vendor_conf *conf = &(*v)->conf[i];
			unsigned int failures = now.failures;

			if (only_conf && strcmp(only_conf, conf->name) != 0)
				continue;
			if (conf->no_host || conf->guest_page_lg2) /* the guest's pages change nothing here */
				continue;
			now.injected = now.calls = 0;
			now.absent[0] = 0;
			write_desc(conf);
			if (!only || strcmp(only, "host") == 0)
				whole_host(*v, conf);
			for (k = 0; k < ncalls; k++) {
				struct scene s;
				struct nb_host *host;
				long was = live, pages_was = pages_live;

				if (only && strcmp(only, calls[k].name) != 0)
					continue;
				snprintf(now.what, sizeof(now.what), "%s", calls[k].name);
				memset(&s, 0, sizeof(s));
				host = make_host(conf, false);
				scene_up(&s, *v, conf, host, mem);
				run_call(&s, &calls[k]);
				nb_host_destroy(host);
				nothing_left(&s, was, pages_was);
				if (calls[k].prepare == prepare_eventfd)
					close(s.fd);
			}
			unlink(yaml);
			printf("%s/%-20s %s: %" PRIu64 " calls, %" PRIu64 " failures ordered%s\n", (*v)->name, conf->name,
			       now.failures == failures ? "ok" : "FAILED", now.calls, now.injected, now.absent);
		}
	}
	for (i = 0; (!only || strcmp(only, "demo") == 0) && !only_conf && i < ARRAY_SIZE(demo_hosts); i++) {
		now.injected = 0;
		whole_demo(demo_hosts[i]);
		printf("nestbox demo --host %s: %" PRIu64 " failures ordered\n", demo_hosts[i], now.injected);
	}
	return now.failures ? 1 : 0;
}
