/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vIOMMUs from all sides at once: two devices that come and go while vDEVICEs are made and destroyed for them, events reported while queues for
 * them are made, read and closed, hardware queues that build on each other, mappings, and a vIOMMU that somebody tries to destroy all the
 * time. Nothing is left in the end. Meant for ThreadSanitizer most of all.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sched.h>

#include "host_fake_viommu.h"

#define ROUNDS 1500u
#define AT     UINT64_C(0x100000)

static struct rig *R;
static struct vm VM;
static _Atomic unsigned int errors, made, tombs, events, read_events, queues, mapped;
static _Atomic bool stop;
#define ENOUGH 10 /* who is done before the others have begun goes on until there was something to meet */
static struct drv_viommu *DRV; /* of VM.v, which somebody holds all the time */

static void expect(bool ok, const char *what)
{
	if (!ok && atomic_fetch_add(&errors, 1) < 10)
		print_error("%s\n", what);
}

static bool one_of(long err, long a, long b, long c)
{
	return err == a || err == b || err == c;
}

/* Binds and unbinds function 1; ids of devices and vDEVICEs are guessed by the others. */
static void *binder(void *arg)
{
	(void)arg;
	for (unsigned int k = 0; k < ROUNDS || made <= ENOUGH || tombs <= ENOUGH; k++) {
		struct vfio_device_bind_iommufd b = {.argsz = sizeof(b), .iommufd = 10};
		struct vfio_file *f;
		uint32_t id = 0;
		long err;

		expect(vfio_open(R->host, 1, &f) == 0, "open");
		expect(vfio_ioctl(f, VFIO_DEVICE_BIND_IOMMUFD, (uintptr_t)&b) == 0, "bind");
		if (k % 3)
			sched_yield();
		err = vdevice_try(R, VM.v, b.out_devid, 100 + k % 2, &id);
		expect(one_of(err, 0, -EEXIST, -EEXIST), "vdevice of our own");
		atomic_fetch_add(&made, err == 0);
		if (k % 2 && !err) {
			err = rig_destroy(R, id);
			expect(one_of(err, 0, -EBUSY, -ENOENT), "destroy of our own");
		} else {
			atomic_fetch_add(&tombs, !err);
		}
		vfio_close(f);
		expect(fv.of[RID(1)] == NULL, "a vDEVICE without a device");
	}
	return NULL;
}

/* Gives names to whatever device there is, and destroys whatever vDEVICE there is. */
static void *namer(void *arg)
{
	uint32_t seed = *(uint32_t *)arg, id;

	while (!atomic_load(&stop)) {
		long err;

		seed = seed * 1103515245 + 12345;
		err = vdevice_try(R, VM.v, seed >> 8 & 15, 100 + (seed >> 20 & 1), &id);
		expect(one_of(err, 0, -EEXIST, -ENOENT), "vdevice of others");
		atomic_fetch_add(&made, err == 0);
		if (!err && seed & 1 << 24) {
			err = rig_destroy(R, id);
			expect(one_of(err, 0, -EBUSY, -ENOENT), "destroy of others");
		}
	}
	return NULL;
}

static void *reporter(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		uint64_t e[4] = {atomic_load(&events)};
		int err = DRV->report_event(DRV, 1, e, sizeof(e));

		expect(one_of(err, 0, -EOPNOTSUPP, 0), "report");
		atomic_fetch_add(&events, err == 0);
	}
	return NULL;
}

static void *listener(void *arg)
{
	(void)arg;
	for (unsigned int k = 0; k < ROUNDS / 4 || read_events <= ENOUGH; k++) {
		struct iommu_veventq_alloc a = {.size = sizeof(a), .viommu_id = VM.v, .type = 1, .veventq_depth = 1 + k % 5};
		uint8_t buf[400];
		uint32_t next = 0;
		unsigned int q;

		expect(rig_ioctl(R, IOMMU_VEVENTQ_ALLOC, &a) == 0, "event queue");
		q = a.out_veventq_fd - RIG_FAULT_FD;
		expect(rig_ioctl(R, IOMMU_VEVENTQ_ALLOC, &a) == -EEXIST, "a second event queue");
		for (unsigned int i = 0; i < 20; i++) {
			ssize_t n = host_queue_read(R->fault[q], buf, sizeof(buf), 0);

			expect(n >= 0, "read");
			for (ssize_t at = 0; at < n;) {
				struct iommufd_vevent_header h;

				memcpy(&h, buf + at, sizeof(h));
				expect(h.sequence >= next, "numbers go up");
				next = h.sequence + (h.flags == 0);
				at += h.flags ? 8 : 40;
				atomic_fetch_add(&read_events, 1);
			}
			n = host_queue_read(R->fault[q], (void *)8, 100, 0);
			expect(one_of(n, 0, -EFAULT, -EFAULT), "read to nowhere");
			if (i % 4 == 0)
				sched_yield();
		}
		rig_fault_close(R, q);
		expect(rig_destroy(R, a.out_veventq_id) == 0, "destroy of an event queue");
	}
	return NULL;
}

/* Two threads on the same indices. */
static void *queuer(void *arg)
{
	(void)arg;
	for (unsigned int k = 0; k < ROUNDS || queues <= ENOUGH; k++) {
		uint32_t id, index = k % 3;
		long err = hwq_try(R, VM.v, index, AT + index * PG, PG, &id);

		expect(one_of(err, 0, -EEXIST, -EIO), "hardware queue");
		if (err)
			continue;
		atomic_fetch_add(&queues, 1);
		err = rig_unmap(R, VM.ioas, AT, 4 * PG, NULL);
		expect(err == -EBUSY, "unmapped under a queue");
		if (k % 4 == 0)
			sched_yield();
		while ((err = rig_destroy(R, id)) == -EBUSY) /* something stands on it, or looks at it */
			sched_yield();
		expect(err == 0, "destroy of a hardware queue");
	}
	return NULL;
}

static void *mapper(void *arg)
{
	uint64_t va = *(uint64_t *)arg;

	for (unsigned int k = 0; k < ROUNDS; k++) {
		struct iommufd_mapping *m;
		uint64_t fd_off;
		int fd, err = iommufd_mmap(R->fd, PG, FAKE_REG_SIZE, PROT_READ, MAP_SHARED, &fd, &fd_off, &m);

		expect(err == 0, "mmap");
		if (err)
			continue;
		atomic_fetch_add(&mapped, 1);
		iommufd_mapped(m, k % 7 ? va : 0);
		if (k % 7) {
			host_revoke(R->host, va, 3 * PG);
			expect(rig_destroy(R, VM.v) == -EBUSY, "destroyed while mapped");
			host_revoke(R->host, va, FAKE_REG_SIZE);
		}
	}
	return NULL;
}

static void all_at_once(void **state)
{
	uint32_t seed[2] = {1, 2};
	uint64_t va[2] = {UINT64_C(1) << 44, UINT64_C(1) << 45}; /* nobody looks there */
	pthread_t t[16];
	unsigned int n = 0, first_endless;
	char *m = mmap(NULL, 4 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	R = rig_of(state);
	R->quiet = true;
	VM = vm_new(R, QUEUED);
	vdevice(R, VM.v, 0, 1); /* holds the vIOMMU */
	DRV = drv_of(0);
	assert_int_equal(rig_map_at(R, VM.ioas, m, 4 * PG, AT), 0);
	assert_int_equal(pthread_create(&t[n++], NULL, binder, NULL), 0);
	assert_int_equal(pthread_create(&t[n++], NULL, listener, NULL), 0);
	assert_int_equal(pthread_create(&t[n++], NULL, queuer, NULL), 0);
	assert_int_equal(pthread_create(&t[n++], NULL, queuer, NULL), 0);
	assert_int_equal(pthread_create(&t[n++], NULL, mapper, &va[0]), 0);
	assert_int_equal(pthread_create(&t[n++], NULL, mapper, &va[1]), 0);
	first_endless = n;
	assert_int_equal(pthread_create(&t[n++], NULL, namer, &seed[0]), 0);
	assert_int_equal(pthread_create(&t[n++], NULL, namer, &seed[1]), 0);
	assert_int_equal(pthread_create(&t[n++], NULL, reporter, NULL), 0);
	for (unsigned int i = 0; i < n; i++) {
		if (i == first_endless)
			atomic_store(&stop, true);
		pthread_join(t[i], NULL);
	}
	assert_int_equal(errors, 0);
	assert_int_equal(fv.queues, 0);
	assert_int_equal(fv.vdevices, 1);
	assert_int_equal(rig_unmap(R, VM.ioas, AT, 4 * PG, NULL), 0);
	assert_true(mapped > ROUNDS);
	munmap(m, 4 * PG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(all_at_once, v_setup, v_teardown)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
