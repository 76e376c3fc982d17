/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * I/O page faults through the whole machine: dmatest, its device-TLB, the unit's queue, the driver, the core, the program, and back.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "machine/api.h"

#define SCENE_CHECK(c) assert_true(c)
#include "../run/scene.h"

struct world {
	struct nb_host *h;
	struct scene s;
};

static uint64_t count(struct world *w, const char *event)
{
	uint64_t n;

	assert_int_equal(nb_host_counter(w->h, event, &n), 0);
	return n;
}

static void up(struct world *w, const char *host, uint32_t pasid)
{
	char why[256] = "";

	if (nb_host_create(host, NULL, &w->h, why, sizeof(why)))
		fail_msg("%s", why);
	scene_up(&w->s, nb_host_kernel(w->h), pasid);
}

static void down(struct world *w)
{
	scene_close(&w->s);
	nb_host_destroy(w->h);
}

static const struct {
	const char *host;
	uint32_t pasid;
} places[] = {{"spr", SCENE_NO_PASID},	      {"spr", SCENE_PASID},	  {"spr-fixed", SCENE_NO_PASID},
	      {"incoherent", SCENE_NO_PASID}, {"incoherent", SCENE_PASID}};
#define NPLACES (sizeof(places) / sizeof(places[0]))

static void demand_paging(void **state)
{
	(void)state;
	for (size_t i = 0; i < NPLACES; i++) {
		struct iommu_hwpt_pgfault f;
		struct world w;

		up(&w, places[i].host, places[i].pasid);
		scene_demand_paging(&w.s);
		assert_int_equal(count(&w, "hw.page-request"), 8);
		assert_int_equal(count(&w, "hw.page-response"), 8);
		/* A device-TLB: what it knows, nobody is asked for; what is taken away, is. */
		assert_int_equal(scene_run(&w.s, DMATEST_CMD_FILL, 0, SCENE_IOVA, 8 * 4096), DMATEST_STATUS_DONE);
		assert_true(count(&w, "hw.ats-hit") >= 8);
		scene_take_away(&w.s, 3);
		assert_int_equal(scene_run(&w.s, DMATEST_CMD_CHECKSUM, SCENE_IOVA, 0, 8 * 4096), DMATEST_STATUS_WAITING);
		assert_true(scene_fault(&w.s, &f));
		scene_expect(&w.s, &f, SCENE_IOVA + 3 * 4096, IOMMU_PGFAULT_PERM_READ);
		scene_answer(&w.s, f.cookie, IOMMUFD_PAGE_RESP_INVALID);
		assert_int_equal(scene_get32(&w.s, DMATEST_ERROR), DMATEST_ERROR_INVALID);
		assert_int_equal(scene_get64(&w.s, DMATEST_ERROR_ADDR), SCENE_IOVA + 3 * 4096);
		assert_int_equal(scene_get64(&w.s, DMATEST_UNEXPECTED), 0);
		down(&w);
	}
}

/* The descriptor that poll understands. */
static void readiness(void **state)
{
	struct iommu_hwpt_pgfault f;
	struct pollfd p = {.events = POLLIN};
	struct world w;

	(void)state;
	up(&w, "spr", SCENE_NO_PASID);
	scene_run(&w.s, DMATEST_CMD_FILL, 0, SCENE_IOVA, 8);
	p.fd = nb_host_poll_fd(w.h, w.s.queue);
	assert_true(p.fd >= 0);
	assert_int_equal(nb_host_poll_fd(w.h, w.s.queue), p.fd);
	assert_int_equal(nb_host_poll_fd(w.h, w.s.dev), -EINVAL);
	assert_int_equal(poll(&p, 1, 0), 1); /* it was there before anybody asked */
	assert_true(scene_fault(&w.s, &f));
	assert_int_equal(poll(&p, 1, 0), 0);
	scene_answer(&w.s, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS); /* a lie: it asks again */
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_true(scene_fault(&w.s, &f));
	assert_int_equal(nb_host_pread(w.h, w.s.queue, &f, sizeof(f), 0), -ESPIPE);
	assert_int_equal(nb_host_ioctl(w.h, w.s.queue, 0, NULL), -ENOTTY);
	assert_int_equal(nb_host_read(w.h, w.s.dev, &f, sizeof(f)), -EINVAL);
	assert_int_equal(nb_host_write(w.h, w.s.iommu, &f, sizeof(f)), -EINVAL);
	down(&w);
}

/* Somebody who never pages anything in: the device gives up. */
static void answered_in_vain(void **state)
{
	struct iommu_hwpt_pgfault f;
	struct world w;
	unsigned int n = 0;

	(void)state;
	up(&w, "spr", SCENE_PASID);
	scene_run(&w.s, DMATEST_CMD_FILL, 0, SCENE_IOVA, 8);
	for (; scene_fault(&w.s, &f); n++)
		scene_answer(&w.s, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS);
	assert_int_equal(n, DMATEST_MAX_RETRIES);
	assert_int_equal(scene_get32(&w.s, DMATEST_ERROR), DMATEST_ERROR_RETRIES);
	down(&w);
}

/* Ways to end an attachment while the device waits for a page: it is always told, and never waits for ever. */
static void ends(void **state)
{
	enum { DETACH, REPLACE, CLOSE_DEVICE, RESET, CLOSE_QUEUE_THEN_DETACH, NWAYS };

	(void)state;
	for (size_t i = 0; i < 2 * NWAYS; i++) {
		unsigned int way = (unsigned int)i % NWAYS;
		bool delivered = i >= NWAYS;
		struct iommu_hwpt_pgfault f;
		struct world w;

		up(&w, "spr", way == RESET ? SCENE_NO_PASID : SCENE_PASID);
		assert_int_equal(scene_run(&w.s, DMATEST_CMD_FILL, 0, SCENE_IOVA, 8), DMATEST_STATUS_WAITING);
		if (delivered)
			assert_true(scene_fault(&w.s, &f));
		switch (way) {
		case DETACH:
			scene_detach(&w.s);
			break;
		case REPLACE:
			scene_attach(&w.s, w.s.parent);
			break;
		case RESET:
			assert_int_equal(scene_ioctl(&w.s, w.s.dev, VFIO_DEVICE_RESET, NULL), 0);
			break;
		case CLOSE_DEVICE:
			assert_int_equal(w.s.k->close(w.s.k->opaque, w.s.dev), 0);
			w.s.dev = -1;
			break;
		default:
			assert_int_equal(w.s.k->close(w.s.k->opaque, w.s.queue), 0);
			w.s.queue = -1;
			assert_int_equal(scene_get32(&w.s, DMATEST_STATUS), DMATEST_STATUS_WAITING);
			scene_detach(&w.s);
			break;
		}
		if (way == RESET) { /* what was asked is forgotten; an answer is nobody's */
			uint16_t command = 6;

			assert_int_equal(w.s.k->pwrite(w.s.k->opaque, w.s.dev, &command, 2, SCENE_CONFIG + 4), 2);
			assert_int_equal(scene_get32(&w.s, DMATEST_STATUS), DMATEST_STATUS_IDLE);
			if (delivered)
				scene_answer(&w.s, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS);
			assert_int_equal(scene_get32(&w.s, DMATEST_STATUS), DMATEST_STATUS_IDLE);
			/* and the function still asks for pages: the host has restored what the reset took */
			assert_int_equal(scene_get32(&w.s, DMATEST_FEATURES) & 0xa, 0xa);
		} else if (way != CLOSE_DEVICE) {
			assert_int_equal(scene_get32(&w.s, DMATEST_STATUS), DMATEST_STATUS_ERROR);
			assert_int_equal(scene_get32(&w.s, DMATEST_ERROR), DMATEST_ERROR_INVALID);
			if (delivered && w.s.queue >= 0) {
				struct iommu_hwpt_page_response r = {.cookie = f.cookie};

				assert_int_equal(w.s.k->write(w.s.k->opaque, w.s.queue, &r, sizeof(r)), -EINVAL);
			}
		}
		down(&w);
	}
}

/* Raw traffic: groups of several pages, storms, and requests that nobody wants. */
static void raw(void **state)
{
	struct iommu_hwpt_pgfault f[4];
	struct world w;
	ssize_t n;

	(void)state;
	up(&w, "spr", SCENE_PASID);
	scene_put32(&w.s, DMATEST_REQUEST, 5 | DMATEST_REQUEST_READ | DMATEST_REQUEST_WRITE | DMATEST_REQUEST_LAST);
	scene_run(&w.s, DMATEST_CMD_PAGE_REQUEST, SCENE_IOVA, 0, 3);
	n = w.s.k->read(w.s.k->opaque, w.s.queue, f, sizeof(f));
	assert_int_equal(n, 3 * sizeof(f[0]));
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(f[i].grpid, 5);
		assert_int_equal(f[i].addr, SCENE_IOVA + 4096 * i);
		assert_int_equal(f[i].perm, IOMMU_PGFAULT_PERM_READ | IOMMU_PGFAULT_PERM_WRITE);
		assert_int_equal(f[i].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE, i == 2 ? IOMMU_PGFAULT_FLAGS_LAST_PAGE : 0);
	}
	assert_int_equal(scene_get64(&w.s, DMATEST_RESPONSES), 0);
	scene_answer(&w.s, f[2].cookie, IOMMUFD_PAGE_RESP_SUCCESS);
	assert_int_equal(scene_get64(&w.s, DMATEST_RESPONSES), 1);
	assert_int_equal(scene_get64(&w.s, DMATEST_RESPONSE),
			 DMATEST_RESPONSE_HAS_PASID | (uint64_t)SCENE_PASID << 32 | 5);
	/* More than anybody keeps: each request still gets one answer in the end. */
	scene_put32(&w.s, DMATEST_REQUEST, DMATEST_REQUEST_READ | DMATEST_REQUEST_EACH);
	scene_run(&w.s, DMATEST_CMD_PAGE_REQUEST, SCENE_IOVA, 0, 20000);
	assert_int_equal(scene_get32(&w.s, DMATEST_STATUS), DMATEST_STATUS_DONE);
	while (scene_fault(&w.s, &f[0]))
		scene_answer(&w.s, f[0].cookie, IOMMUFD_PAGE_RESP_INVALID);
	assert_int_equal(scene_get64(&w.s, DMATEST_REQUESTS), 20003);
	assert_int_equal(scene_get64(&w.s, DMATEST_RESPONSES) + scene_get64(&w.s, DMATEST_UNEXPECTED), 20001);
	/* Requests without PASID are not what is attached: refused at once. */
	scene_put32(&w.s, DMATEST_PASID, 0);
	scene_put32(&w.s, DMATEST_REQUEST, 9 | DMATEST_REQUEST_READ | DMATEST_REQUEST_LAST);
	scene_run(&w.s, DMATEST_CMD_PAGE_REQUEST, SCENE_IOVA, 0, 1);
	assert_false(scene_fault(&w.s, &f[0]));
	assert_int_equal(scene_get64(&w.s, DMATEST_RESPONSE), 1 << 12 | 9);
	down(&w);
}

/* Translations and translated requests as a function makes them. */
static void ats(void **state)
{
	struct world w;

	(void)state;
	up(&w, "spr", SCENE_NO_PASID);
	scene_leaf(&w.s, 7, SCENE_DATA);
	w.s.guest[4096 * SCENE_DATA + 5] = 99;
	scene_put32(&w.s, DMATEST_REQUEST, DMATEST_REQUEST_READ | DMATEST_REQUEST_WRITE);
	assert_int_equal(scene_run(&w.s, DMATEST_CMD_TRANSLATE, SCENE_IOVA + 7 * 4096, 0, 0), DMATEST_STATUS_DONE);
	assert_int_equal(scene_get32(&w.s, DMATEST_RESULT) & 0xffff,
			 12 | DMATEST_RESULT_READ | DMATEST_RESULT_WRITE);
	assert_int_equal(scene_get64(&w.s, DMATEST_RESULT_ADDR), (uintptr_t)w.s.guest + 4096 * SCENE_DATA);
	assert_int_equal(scene_run(&w.s, DMATEST_CMD_TRANSLATE, SCENE_IOVA + 8 * 4096, 0, 0), DMATEST_STATUS_DONE);
	assert_int_equal(scene_get32(&w.s, DMATEST_RESULT) & 0x700, 0);
	assert_int_equal(scene_run(&w.s, DMATEST_CMD_COPY | DMATEST_CMD_SRC_TRANSLATED | DMATEST_CMD_DST_LOCAL,
				   (uintptr_t)w.s.guest + 4096 * SCENE_DATA, 0, 64),
			 DMATEST_STATUS_DONE);
	/* With nothing attached there is nothing to ask for, and what the device-TLB had is gone. */
	scene_run(&w.s, DMATEST_CMD_CHECKSUM, SCENE_IOVA + 7 * 4096, 0, 64);
	assert_int_equal(scene_get32(&w.s, DMATEST_ERROR), DMATEST_ERROR_NONE);
	scene_detach(&w.s);
	assert_int_equal(scene_get32(&w.s, DMATEST_FEATURES) & DMATEST_FEATURE_PRI_ON, 0);
	scene_run(&w.s, DMATEST_CMD_TRANSLATE, SCENE_IOVA + 7 * 4096, 0, 0);
	assert_int_equal(scene_get32(&w.s, DMATEST_RESULT) & 0x700, 0);
	scene_run(&w.s, DMATEST_CMD_CHECKSUM, SCENE_IOVA + 7 * 4096, 0, 64);
	assert_int_equal(scene_get32(&w.s, DMATEST_ERROR), DMATEST_ERROR_SRC_DMA);
	down(&w);
}

/* MSI-X and MSI of every function go through the unit, and arrive where the host programmed them to. */
static void messages(void **state)
{
	static const char *const hosts[] = {"spr", "legacy", "incoherent"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		for (unsigned int index = VFIO_PCI_MSI_IRQ_INDEX; index <= VFIO_PCI_MSIX_IRQ_INDEX; index++) {
			int32_t irq[9] = {sizeof(irq), VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
					  (int32_t)index, 0, 4};
			struct world w;
			char why[256];
			uint64_t n;

			assert_int_equal(nb_host_create(hosts[i], NULL, &w.h, why, sizeof(why)), 0);
			scene_open(&w.s, nb_host_kernel(w.h));
			for (unsigned int v = 0; v < 4; v++)
				irq[5 + v] = eventfd(0, EFD_NONBLOCK);
			assert_int_equal(scene_ioctl(&w.s, w.s.dev, VFIO_DEVICE_SET_IRQS, irq), 0);
			for (unsigned int v = 0; v < 4; v++) {
				scene_put32(&w.s, DMATEST_CONTROL, DMATEST_CONTROL_INT_EN | v << 8);
				scene_put32(&w.s, DMATEST_COMMAND, DMATEST_CMD_NOP);
				for (unsigned int j = 0; j < 4; j++) {
					ssize_t r = read(irq[5 + j], &n, sizeof(n));

					assert_int_equal(r, j == v ? (ssize_t)sizeof(n) : -1);
					if (j == v)
						assert_int_equal(n, 1);
				}
			}
			assert_int_equal(count(&w, "hw.intr"), 4);
			assert_true(count(&w, "drv.irq-map") > 0);
			assert_int_equal(count(&w, "vfio.irq"), 4);
			assert_int_equal(count(&w, "hw.intr-blocked"), 0);
			for (unsigned int v = 0; v < 4; v++)
				close(irq[5 + v]);
			down(&w);
		}
	}
}

/* A pager on a thread of its own; the device's commands on this one; the attachment comes and goes on a third. */
struct pager {
	struct world *w;
	_Atomic bool stop;
	_Atomic unsigned int commands;
	_Atomic unsigned int served;
};

static void *page_in(void *p)
{
	struct pager *g = p;
	struct scene *s = &g->w->s;
	struct iommu_hwpt_pgfault f;
	struct iommu_hwpt_page_response r;

	while (!g->stop) {
		if (s->k->read(s->k->opaque, s->queue, &f, sizeof(f)) != sizeof(f))
			continue;
		scene_leaf(s, (f.addr - SCENE_IOVA) / 4096 % 512, SCENE_DATA + (unsigned int)(f.addr / 4096 % 64));
		r = (struct iommu_hwpt_page_response){.cookie = f.cookie};
		(void)s->k->write(s->k->opaque, s->queue, &r, sizeof(r)); /* the attachment may be gone */
		g->served++;
	}
	return NULL;
}

static void *detach_and_attach(void *p)
{
	struct pager *g = p;
	struct scene *s = &g->w->s;

	while (!g->stop) {
		unsigned int n;

		/* A few commands each way, however the threads are scheduled. */
		scene_detach(s);
		for (n = g->commands; g->commands < n + 2 && !g->stop;)
			sched_yield();
		scene_attach(s, s->hwpt);
		for (n = g->commands; g->commands < n + 4 && !g->stop;)
			sched_yield();
	}
	return NULL;
}

static void at_once(void **state)
{
	struct world w;
	struct pager g = {.w = &w};
	pthread_t t[2];
	unsigned int i, done = 0;

	(void)state;
	up(&w, "spr", SCENE_PASID);
	pthread_create(&t[0], NULL, page_in, &g);
	pthread_create(&t[1], NULL, detach_and_attach, &g);
	for (i = 0; (i < 2000 || done < 100 || i - done < 100 || g.served < 100) && i < 1000000; i++) {
		uint32_t status = scene_run(&w.s, DMATEST_CMD_FILL, 0, SCENE_IOVA + i % 16 * 4096, 4 * 4096);
		unsigned int spins;

		for (spins = 0; status == DMATEST_STATUS_WAITING && spins < 5000000; spins++)
			status = (sched_yield(), scene_get32(&w.s, DMATEST_STATUS));
		assert_int_not_equal(status, DMATEST_STATUS_WAITING);
		done += status == DMATEST_STATUS_DONE;
		g.commands++;
		if (i % 4 == 0)
			for (unsigned int n = 0; n < 20; n++)
				scene_leaf(&w.s, n, 0);
	}
	g.stop = true;
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	assert_true(done >= 100 && i - done >= 100 && g.served >= 100);
	/* Each request had its one answer; of a few the function did not know any more, because the interface was reset meanwhile. */
	assert_int_equal(scene_get64(&w.s, DMATEST_REQUESTS),
			 scene_get64(&w.s, DMATEST_RESPONSES) + scene_get64(&w.s, DMATEST_UNEXPECTED));
	down(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(demand_paging), cmocka_unit_test(readiness), cmocka_unit_test(answered_in_vain),
		cmocka_unit_test(ends),		 cmocka_unit_test(raw),	      cmocka_unit_test(ats),
		cmocka_unit_test(messages),	 cmocka_unit_test(at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
