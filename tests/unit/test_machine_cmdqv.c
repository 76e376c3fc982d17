/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A CMDQ-V through the whole machine: vIOMMU, vDEVICE, hardware queue and mmap of the iommufd, then a guest that invalidates by itself.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "machine/api.h"

#define SCENE_CHECK(c) assert_true(c)
#include "../run/scene_cmdqv.h"

struct world {
	struct nb_host *h;
	struct scene s;
	struct scene_cmdqv g;
};

static uint64_t count(struct world *w, const char *event)
{
	uint64_t n;

	assert_int_equal(nb_host_counter(w->h, event, &n), 0);
	return n;
}

static void up(struct world *w)
{
	char why[256] = "";

	if (nb_host_create("grace", NULL, &w->h, why, sizeof(why)))
		fail_msg("%s", why);
	scene_open(&w->s, nb_host_kernel(w->h));
}

static void unmap_page(struct world *w)
{
	nb_host_revoke(w->h, (void *)(uintptr_t)w->g.page, w->g.length);
	assert_int_equal(munmap((void *)(uintptr_t)w->g.page, w->g.length), 0);
}

static void down(struct world *w)
{
	scene_close(&w->s);
	nb_host_destroy(w->h);
}

static void no_ioctl(void **state)
{
	uint64_t sent;
	struct world w;

	(void)state;
	up(&w);
	vcmdq_up(&w.g, &w.s);
	sent = count(&w, "host.ioctl");
	vcmdq_scene(&w.g);
	for (unsigned int i = 0; i < 300; i++) { /* round the queue */
		vcmdq_tlbi_va(&w.g, 0, SCENE_IOVA + 4096 * (i % 64));
		vcmdq_sync(&w.g, 0);
		if (i % 7 == 0)
			vcmdq_done(&w.g, 0);
		else if (i % 64 == 0)
			sched_yield();
	}
	vcmdq_done(&w.g, 0);
	assert_int_equal(vcmdq_get(&w.g, 0, VCMDQ_GERROR), 0);
	assert_int_equal(count(&w, "host.ioctl"), sent);
	scene_detach(&w.s);
	unmap_page(&w);
	down(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_ioctl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
