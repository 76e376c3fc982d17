/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fault queues from all sides at once: two functions that ask, a reader, a writer that also answers what is not there, a thread that attaches,
 * replaces and detaches, and one that makes and closes queues. Every group that the host took is answered once, by whomever. Meant for
 * ThreadSanitizer most of all.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sched.h>
#include <stdatomic.h>

#include "test_host_fault.h"

#define GROUPS 20000u
#define CALM	10u /* the last ones of each, when nobody attaches any more */
#define ROUNDS 1500u
#define RING   1024u

static struct rig *R;
static unsigned int queue[2]; /* places of two queues */
static _Atomic uint8_t answers[2][GROUPS];
static _Atomic bool stop;
static _Atomic unsigned int errors, taken, by_user;
static _Atomic uint32_t ring[RING]; /* queue << 31 | cookie, from the reader to the writer; 0: nothing */

static void expect(bool ok, const char *what)
{
	if (!ok && atomic_fetch_add(&errors, 1) < 10)
		print_error("%s\n", what);
}

static void count_answer(struct drv_dev *dev, const struct drv_page_response *resp)
{
	unsigned int i = dev->rid == RID(0) ? 0 : 1;

	expect(resp->grpid < GROUPS, "an answer to a group that is none");
	if (resp->grpid < GROUPS)
		atomic_fetch_add(&answers[i][resp->grpid], 1);
}

/* Group numbers count up, so each is used once. */
static void *asker(void *arg)
{
	unsigned int i = *(unsigned int *)arg;

	for (uint32_t n = 0; n < GROUPS - CALM; n++) {
		for (uint32_t k = 0; k < n % 3; k++)
			(void)report(R, i, NB_NO_PASID, n, 0x1000 * k, false);
		if (report(R, i, NB_NO_PASID, n, 0x1000 * 3, true) == 0)
			atomic_fetch_add(&taken, 1);
		else
			atomic_fetch_add(&answers[i][n], 1); /* the driver's own answer */
		if (n % 64 == 0)
			sched_yield();
	}
	return NULL;
}

static void *reader(void *arg)
{
	struct iommu_hwpt_pgfault f[16];
	unsigned int at = 0;

	(void)arg;
	while (!atomic_load(&stop)) {
		for (unsigned int q = 0; q < 2; q++) {
			ssize_t n = rd(R, queue[q], f, 16);

			expect(n >= 0 && n % (ssize_t)REC == 0, "read");
			for (ssize_t k = 0; k < n / (ssize_t)REC; k++) {
				if (f[k].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE)
					atomic_store(&ring[at++ % RING], f[k].cookie | q << 31);
			}
			/* with a buffer that is none: whatever was there is there again, or was answered meanwhile */
			n = host_queue_read(R->fault[queue[q]], (void *)8, 16 * REC, 0);
			expect(n == 0 || n == -EFAULT, "read to nowhere");
		}
	}
	return NULL;
}

static void *writer(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		for (unsigned int at = 0; at < RING; at++) {
			uint32_t v = atomic_exchange(&ring[at], 0);
			ssize_t n;

			if (!v)
				continue;
			n = answer(R, queue[v >> 31], v & 0x7fffffff, at & 1);
			expect(n == 8 || n == -EINVAL, "write");
			atomic_fetch_add(&by_user, n == 8);
		}
		expect(answer(R, queue[0], 1u << 20, 0) == -EINVAL, "write of a cookie that is none");
	}
	return NULL;
}

struct tables {
	uint32_t hwpt[2], plain; /* one for each queue */
};

static void *attacher(void *arg)
{
	const struct tables *t = arg;

	for (unsigned int k = 0; k < ROUNDS; k++) {
		unsigned int i = k & 1;

		expect(rig_attach(R, i, t->hwpt[k >> 1 & 1]) == 0, "attach");
		sched_yield();
		expect(rig_attach(R, i, k % 3 ? t->hwpt[k >> 2 & 1] : t->plain) == 0, "replace");
		sched_yield();
		if (k % 5 == 0)
			expect(vfio_ioctl(R->vf[i], VFIO_DEVICE_RESET, 0) == 0, "reset");
		if (k % 4 == 0)
			expect(rig_detach(R, i) == 0, "detach");
	}
	return NULL;
}

static void *closer(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		unsigned int q;
		uint32_t id = rig_fault(R, &q);
		struct iommu_hwpt_pgfault f;

		expect(rd(R, q, &f, 1) == 0, "read of an empty queue");
		expect(rig_destroy(R, id) == -EBUSY, "destroy of an open queue");
		rig_fault_close(R, q);
		expect(rig_destroy(R, id) == 0, "destroy");
	}
	return NULL;
}

static void all_at_once(void **state)
{
	static const unsigned int fn[2] = {0, 1};
	pthread_t ask[2], th[3], at;
	struct tables t;
	uint32_t ioas;

	(void)state;
	assert_int_equal(guard_init(), 0);
	R = rig_new();
	R->unit.in_response = count_answer;
	rig_bind(R, 0);
	rig_bind(R, 1);
	ioas = rig_ioas(R);
	for (unsigned int q = 0; q < 2; q++)
		t.hwpt[q] = rig_hwpt_fault(R, 0, ioas, 0, false, rig_fault(R, &queue[q]));
	t.plain = rig_hwpt(R, 0, ioas, 0);
	pthread_create(&th[0], NULL, reader, NULL);
	pthread_create(&th[1], NULL, writer, NULL);
	pthread_create(&th[2], NULL, closer, NULL);
	pthread_create(&at, NULL, attacher, &t);
	for (unsigned int i = 0; i < 2; i++)
		pthread_create(&ask[i], NULL, asker, (void *)(uintptr_t)&fn[i]);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(ask[i], NULL);
	pthread_join(at, NULL);
	/* now the user answers all of them */
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(rig_detach(R, i), 0); /* what the writer missed is answered with that */
		assert_int_equal(rig_attach(R, i, t.hwpt[i]), 0);
		for (uint32_t n = GROUPS - CALM; n < GROUPS; n++) {
			assert_int_equal(report(R, i, NB_NO_PASID, n, 0x1000, true), 0);
			atomic_fetch_add(&taken, 1);
		}
		for (uint32_t n = GROUPS - CALM; n < GROUPS; n++) {
			while (!answers[i][n])
				sched_yield();
		}
	}
	atomic_store(&stop, true);
	for (unsigned int i = 0; i < 3; i++)
		pthread_join(th[i], NULL);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(rig_detach(R, i), 0);
	for (unsigned int i = 0; i < 2; i++) {
		for (unsigned int n = 0; n < GROUPS; n++) {
			if (answers[i][n] != 1)
				fail_msg("group %u of function %u: %u answers", n, i, answers[i][n]);
		}
	}
	assert_int_equal(errors, 0);
	assert_int_equal(R->unit.nanswers, taken);
	assert_true(by_user >= 2 * CALM);
	rig_free(R);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(all_at_once)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
