/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many threads at one context: mapping, copying, allocating and destroying tables, attaching, resetting, interrupts and revocations,
 * with DMA beside it. What a single call answers depends on who came first; in the end nothing is left, nobody hangs, and the memory of
 * a thread never shows what another one's mapping held. Meant for ThreadSanitizer most of all.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../conform/rig.c"

#define PG     UINT64_C(0x1000)
#define RW     (HW_READ | HW_WRITE)
#define ROUNDS 1500

struct shared {
	struct rig r;
	uint32_t ioas[2];
	uint64_t *mem; /* 64 pages */
	_Atomic unsigned int errors, done, mapped, attached, revoked;
	_Atomic bool stop;
};

struct worker {
	struct shared *s;
	unsigned int n;
	pthread_t thread;
};

static void expect(struct shared *s, bool ok, const char *what)
{
	if (!ok && atomic_fetch_add(&s->errors, 1) < 10)
		print_error("%s\n", what);
}

/* Each has IOVAs of its own in both spaces: no call of these may fail. */
static void *mapper(void *arg)
{
	struct worker *w = arg;
	struct shared *s = w->s;
	uint64_t base = 0x100000000 * (w->n + 1), n;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint32_t a = s->ioas[i & 1], b = s->ioas[i >> 1 & 1];
		struct iommu_ioas_copy c = {sizeof(c), IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE, b, a, 2 * PG,
					    base + 0x100000, base + PG};
		uint64_t iova = 0;

		expect(s, rig_map(&s->r, a, s->mem + w->n * 8 * 512, base, 4 * PG, RW) == 0, "map");
		expect(s, ioctl_iommu(&s->r, IOMMU_IOAS_COPY, &c) == 0, "copy");
		expect(s, rig_map_any(&s->r, a, s->mem, PG, RW, &iova) == 0 && iova, "automatic");
		expect(s, rig_unmap(&s->r, a, base, 4 * PG, &n) == 0 && n == 4 * PG, "unmap");
		expect(s, rig_unmap(&s->r, b, base + 0x100000, 2 * PG, &n) == 0 && n == 2 * PG, "unmap of the copy");
		expect(s, rig_unmap(&s->r, a, iova, PG, &n) == 0 && n == PG, "unmap of the automatic one");
		atomic_fetch_add(&s->mapped, 1);
	}
	return NULL;
}

/* Several fight over the same device: the answer is one of the lawful ones. */
static void *attacher(void *arg)
{
	struct worker *w = arg;
	struct shared *s = w->s;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint32_t h = 0, dev = w->n & 1 ? 1 : 3;
		long err = rig_hwpt(&s->r, dev, s->ioas[i & 1], i % 3 ? 0 : IOMMU_HWPT_ALLOC_NEST_PARENT, &h);

		expect(s, err == 0, "hwpt");
		if (err)
			continue;
		err = rig_attach(&s->r, dev, NB_NO_PASID, i % 5 ? h : s->ioas[0]);
		expect(s, err == 0 || err == -EBUSY || err == -EADDRINUSE, "attach");
		atomic_fetch_add(&s->attached, err == 0);
		if (i % 7 == 0)
			expect(s, vfio_ioctl(s->r.dev[dev].vfio, VFIO_DEVICE_RESET, 0) == 0, "reset");
		expect(s, rig_detach(&s->r, dev, NB_NO_PASID) == 0, "detach");
		while ((err = rig_destroy(&s->r, h)) == -EBUSY) /* somebody else's attach of this moment */
			rig_detach(&s->r, dev, NB_NO_PASID);
		expect(s, err == 0, "destroy");
	}
	return NULL;
}

static void *dma(void *arg)
{
	struct worker *w = arg;
	struct shared *s = w->s;
	uint64_t v, i = 0;

	while (!atomic_load(&s->stop)) {
		(void)rig_write(&s->r, 1, NB_NO_PASID, 0x100000000 * (i % 4 + 1) + i % 5 * PG, &i, 8);
		(void)rig_read(&s->r, 3, NB_NO_PASID, 0x100000000 * (i % 4 + 1) + i % 5 * PG, &v, 8);
		i++;
	}
	return NULL;
}

/* The process's own coming and going of memory. */
static void *revoker(void *arg)
{
	struct worker *w = arg;
	struct shared *s = w->s;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint64_t *m = mmap(NULL, 4 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		uint64_t base = 0x900000000, n;

		expect(s, rig_map(&s->r, s->ioas[0], m, base, 4 * PG, RW) == 0, "map");
		host_revoke(machine_host(s->r.m), (uintptr_t)m + PG, 2 * PG);
		host_revoke(machine_host(s->r.m), (uintptr_t)m, 4 * PG); /* before it goes: then nobody misses it */
		munmap(m, 4 * PG);
		expect(s, rig_unmap(&s->r, s->ioas[0], base, 4 * PG, &n) == 0 && n == 4 * PG, "unmap of revoked");
		atomic_fetch_add(&s->revoked, 1);
	}
	return NULL;
}

static void *interrupter(void *arg)
{
	struct worker *w = arg;
	struct shared *s = w->s;
	struct vfio_file *f = s->r.dev[1].vfio;
	int efd = eventfd(0, EFD_NONBLOCK);
	struct {
		uint32_t h[5];
		int32_t fd;
	} on = {{24, 4 | 32, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1}, efd}, off = {{20, 1 | 32, VFIO_PCI_MSIX_IRQ_INDEX, 0, 0}, 0};

	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint32_t v = 1;
		uint16_t cmd = 6;

		expect(s, vfio_ioctl(f, VFIO_DEVICE_SET_IRQS, (uintptr_t)&on) == 0, "MSI-X on");
		(void)vfio_pwrite(f, &cmd, 2, (UINT64_C(7) << 40) + 4);
		(void)vfio_pwrite(f, &v, 4, 0x34); /* interrupt enable */
		v = 0;
		(void)vfio_pwrite(f, &v, 4, 0x38); /* NOP */
		expect(s, vfio_pread(f, &v, 4, UINT64_C(7) << 40) == 4, "config");
		expect(s, vfio_ioctl(f, VFIO_DEVICE_SET_IRQS, (uintptr_t)&off) == 0, "MSI-X off");
	}
	close(efd);
	return NULL;
}

/* Ids that come and go, looked up by everybody. */
static void *lookups(void *arg)
{
	struct worker *w = arg;
	struct shared *s = w->s;

	for (unsigned int i = 0; i < 4 * ROUNDS; i++) {
		uint32_t id = 0;
		long err;

		expect(s, rig_ioas(&s->r, &id) == 0, "ioas");
		err = rig_destroy(&s->r, (id + i % 3) % 64 + 1); /* anybody's: the two shared ones are in use */
		expect(s, err == 0 || err == -ENOENT || err == -EBUSY, "destroy of anything");
		err = rig_destroy(&s->r, id);
		expect(s, err == 0 || err == -ENOENT || err == -EBUSY, "destroy");
	}
	return NULL;
}

static void all_at_once(void **state)
{
	static void *(*const what[])(void *) = {mapper, mapper, mapper, attacher, attacher, revoker, interrupter, dma};
	struct worker w[ARRAY_SIZE(what)];
	struct shared s = {.mem = mmap(NULL, 64 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)};
	uint32_t keep[2] = {0};

	(void)state;
	assert_true(rig_up(&s.r, nb_desc_find("spr-fixed")));
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(rig_ioas(&s.r, &s.ioas[i]), 0);
		assert_int_equal(rig_hwpt(&s.r, 0, s.ioas[i], 0, &keep[i]), 0);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(what); i++) {
		w[i] = (struct worker){.s = &s, .n = i};
		assert_int_equal(pthread_create(&w[i].thread, NULL, what[i], &w[i]), 0);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(what) - 1; i++)
		pthread_join(w[i].thread, NULL);
	atomic_store(&s.stop, true);
	pthread_join(w[ARRAY_SIZE(what) - 1].thread, NULL);
	assert_int_equal(s.errors, 0);
	assert_int_equal(s.mapped, 3 * ROUNDS);
	assert_int_equal(s.revoked, ROUNDS);
	assert_true(s.attached > 0);
	/* nothing holds anything any more */
	rig_detach(&s.r, 1, NB_NO_PASID);
	rig_detach(&s.r, 3, NB_NO_PASID);
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t n = 1;

		assert_int_equal(rig_unmap(&s.r, s.ioas[i], 0, UINT64_MAX, &n), 0);
		assert_int_equal(n, 0);
		assert_int_equal(rig_destroy(&s.r, keep[i]), 0);
		assert_int_equal(rig_destroy(&s.r, s.ioas[i]), 0);
	}
	rig_down(&s.r);
	munmap(s.mem, 64 * PG);
}

static void ids(void **state)
{
	struct worker w[4];
	struct shared s = {.mem = NULL};
	uint32_t keep = 0, id = 0;

	(void)state;
	assert_true(rig_up(&s.r, nb_desc_find("spr")));
	assert_int_equal(rig_ioas(&s.r, &s.ioas[0]), 0);
	assert_int_equal(rig_hwpt(&s.r, 0, s.ioas[0], 0, &keep), 0);
	assert_int_equal(rig_attach(&s.r, 0, NB_NO_PASID, keep), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(w); i++) {
		w[i] = (struct worker){.s = &s, .n = i};
		assert_int_equal(pthread_create(&w[i].thread, NULL, lookups, &w[i]), 0);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(w); i++)
		pthread_join(w[i].thread, NULL);
	assert_int_equal(s.errors, 0);
	assert_int_equal(rig_destroy(&s.r, keep), -EBUSY); /* what was in use is still there */
	/* ids are dense again: at most what two failed destroys at once left over */
	for (unsigned int i = 1; i < 64; i++)
		(void)rig_destroy(&s.r, i);
	assert_int_equal(rig_ioas(&s.r, &id), 0);
	assert_true(id < 16);
	rig_down(&s.r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_at_once),
		cmocka_unit_test(ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
