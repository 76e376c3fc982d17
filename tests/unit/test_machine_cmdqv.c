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
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
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

/* ---- errors of Linux's ---- */

static long destroy(struct world *w, uint32_t id)
{
	struct iommu_destroy d = {.size = sizeof(d), .id = id};

	return scene_ioctl(&w->s, w->s.iommu, IOMMU_DESTROY, &d);
}

static void hw_info(void **state)
{
	struct iommu_hw_info_tegra241_cmdqv info = {0};
	struct iommu_hw_info i = {.size = sizeof(i), .flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE, .data_len = sizeof(info),
				  .data_uptr = (uintptr_t)&info, .in_data_type = IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV};
	struct world w;

	(void)state;
	up(&w);
	i.dev_id = w.s.dev_id;
	assert_int_equal(scene_ioctl(&w.s, w.s.iommu, IOMMU_GET_HW_INFO, &i), 0);
	assert_int_equal(i.out_data_type, 3);
	assert_int_equal(i.data_len, 8);
	assert_int_equal(info.flags, 0);
	assert_int_equal(info.version, 1);
	assert_int_equal(info.log2vcmdqs, 1);
	assert_int_equal(info.log2vsids, 4);
	down(&w);
}

static void queue_errnos(void **state)
{
	struct world w;

	(void)state;
	up(&w);
	vcmdq_up(&w.g, &w.s);
	vcmdq_alloc(&w.g, 2, 6, 4096, -EINVAL);
	vcmdq_alloc(&w.g, UINT32_MAX, 6, 4096, -EINVAL);
	vcmdq_alloc(&w.g, 0, 6, 4096, -EEXIST);
	vcmdq_alloc(&w.g, 1, 6, 16, -EINVAL);
	vcmdq_alloc(&w.g, 1, 6, 4080, -EINVAL);
	vcmdq_alloc(&w.g, 1, 6, UINT64_C(1) << 24, -ENOENT); /* more than is mapped there */
	/* Two pages whose physical address is not a multiple of two: which of these two it is, mmap decided. */
	vcmdq_alloc(&w.g, 1, (uintptr_t)w.s.guest & 4096 ? 8 : 9, 8192, -EINVAL);
	w.g.queue[1] = vcmdq_alloc(&w.g, 1, VCMDQ_PAGE + 1, 4096, 0);
	vcmdq_enable(&w.g, 1);
	vcmdq_sync(&w.g, 1);
	vcmdq_done(&w.g, 1);
	/* The later one holds the earlier one; the page and the queues hold the vIOMMU. */
	assert_int_equal(destroy(&w, w.g.queue[0]), -EBUSY);
	assert_int_equal(destroy(&w, w.g.viommu), -EBUSY);
	assert_int_equal(destroy(&w, w.g.queue[1]), 0);
	assert_int_equal(vcmdq_get(&w.g, 1, VCMDQ_STATUS), 0);
	vcmdq_sync(&w.g, 0); /* its neighbour goes on */
	vcmdq_done(&w.g, 0);
	assert_int_equal(destroy(&w, w.g.queue[0]), 0);
	assert_int_equal(vcmdq_get(&w.g, 0, VCMDQ_STATUS), 0);
	vcmdq_alloc(&w.g, 1, VCMDQ_PAGE + 1, 4096, -EIO);
	/* Again, and it begins anew. */
	w.g.queue[0] = vcmdq_alloc(&w.g, 0, VCMDQ_PAGE, 16u << VCMDQ_LG2, 0);
	vcmdq_enable(&w.g, 0);
	vcmdq_scene(&w.g);
	assert_int_equal(destroy(&w, w.g.queue[0]), 0);
	scene_detach(&w.s);
	assert_int_equal(destroy(&w, w.g.hwpt), 0);
	assert_int_equal(destroy(&w, w.g.vdevice), 0);
	assert_int_equal(destroy(&w, w.g.viommu), -EBUSY);
	unmap_page(&w);
	assert_int_equal(destroy(&w, w.g.viommu), 0);
	assert_int_equal(destroy(&w, w.g.parent), 0);
	down(&w);
}

static void viommu_errnos(void **state)
{
	struct iommu_viommu_tegra241_cmdqv out[64];
	struct iommu_viommu_alloc v = {.size = sizeof(v), .type = IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV};
	struct iommu_hwpt_alloc alloc = {.size = sizeof(alloc), .flags = IOMMU_HWPT_ALLOC_NEST_PARENT};
	struct iommu_vdevice_alloc vd = {.size = sizeof(vd)};
	uint32_t id[63];
	struct world w;

	(void)state;
	up(&w);
	v.dev_id = vd.dev_id = alloc.dev_id = w.s.dev_id;
	alloc.pt_id = w.s.ioas;
	assert_int_equal(scene_ioctl(&w.s, w.s.iommu, IOMMU_HWPT_ALLOC, &alloc), 0);
	v.hwpt_id = alloc.out_hwpt_id;
	assert_int_equal(scene_ioctl(&w.s, w.s.iommu, IOMMU_VIOMMU_ALLOC, &v), -EINVAL); /* no data */
	v.data_len = 8;
	v.data_uptr = (uintptr_t)&out[0];
	assert_int_equal(scene_ioctl(&w.s, w.s.iommu, IOMMU_VIOMMU_ALLOC, &v), -EINVAL);
	v.data_len = 24;
	assert_int_equal(scene_ioctl(&w.s, w.s.iommu, IOMMU_VIOMMU_ALLOC, &v), -EINVAL);
	v.data_len = 16;
	v.data_uptr = 16;
	assert_int_equal(scene_ioctl(&w.s, w.s.iommu, IOMMU_VIOMMU_ALLOC, &v), -EFAULT);
	/* Every VINTF but the host's, each with a page of its own. */
	for (unsigned int i = 0; i < 63; i++) {
		v.data_uptr = (uintptr_t)&out[i];
		assert_int_equal(scene_ioctl(&w.s, w.s.iommu, IOMMU_VIOMMU_ALLOC, &v), 0);
		id[i] = v.out_viommu_id;
		assert_int_equal(out[i].out_vintf_mmap_length, 65536);
		for (unsigned int j = 0; j < i; j++)
			assert_true(out[i].out_vintf_mmap_offset != out[j].out_vintf_mmap_offset);
	}
	v.data_uptr = (uintptr_t)&out[63];
	assert_int_equal(scene_ioctl(&w.s, w.s.iommu, IOMMU_VIOMMU_ALLOC, &v), -ENOSPC);
	assert_int_equal(destroy(&w, id[30]), 0);
	assert_int_equal(scene_ioctl(&w.s, w.s.iommu, IOMMU_VIOMMU_ALLOC, &v), 0);
	id[30] = vd.viommu_id = v.out_viommu_id;
	vd.virt_id = 1 << 20;
	assert_int_equal(scene_ioctl(&w.s, w.s.iommu, IOMMU_VDEVICE_ALLOC, &vd), -EINVAL);
	vd.virt_id = (1 << 20) - 1;
	for (unsigned int i = 0; i < 20; i++) { /* slots come back */
		assert_int_equal(scene_ioctl(&w.s, w.s.iommu, IOMMU_VDEVICE_ALLOC, &vd), 0);
		assert_int_equal(destroy(&w, vd.out_vdevice_id), 0);
	}
	for (unsigned int i = 0; i < 63; i++)
		assert_int_equal(destroy(&w, id[i]), 0);
	down(&w);
}

/* What the guest does wrong comes back to it: in the page, and by the queue of events. Commands that its queue does not take go by ioctl. */
static void guest_errors(void **state)
{
	struct iommu_veventq_alloc eventq = {.size = sizeof(eventq), .type = IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV, .veventq_depth = 8};
	struct iommu_viommu_arm_smmuv3_invalidate cmd = {{0x10, 0}}; /* CMD_TLBI_NH_ALL */
	struct iommu_hwpt_invalidate inv = {.size = sizeof(inv), .data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
					    .entry_len = sizeof(cmd), .entry_num = 1, .data_uptr = (uintptr_t)&cmd};
	struct {
		struct iommufd_vevent_header h;
		struct iommu_vevent_tegra241_cmdqv e;
	} ev;
	time_t end = time(NULL) + 20;
	struct world w;
	uint64_t *slot;
	uint32_t at;
	int fd;

	(void)state;
	up(&w);
	vcmdq_up(&w.g, &w.s);
	eventq.viommu_id = inv.hwpt_id = w.g.viommu;
	assert_int_equal(scene_ioctl(&w.s, w.s.iommu, IOMMU_VEVENTQ_ALLOC, &eventq), 0);
	fd = (int)eventq.out_veventq_fd;
	w.g.queue[1] = vcmdq_alloc(&w.g, 1, VCMDQ_PAGE + 1, 4096, 0);
	vcmdq_enable(&w.g, 1);
	vcmdq_sync(&w.g, 1);
	vcmdq_push(&w.g, 1, 0x40 | (uint64_t)VSID << 32, 52); /* its device's ATC, by its own name */
	vcmdq_sync(&w.g, 1);
	vcmdq_done(&w.g, 1);
	assert_int_equal(count(&w, "hw.ats-inval"), 1);
	at = w.g.prod[1];
	vcmdq_push(&w.g, 1, cmd.cmd[0], cmd.cmd[1]);
	vcmdq_sync(&w.g, 1);
	vcmdq_wait(&w.g, 1, VCMDQ_GERROR, 1);
	assert_int_equal(vcmdq_get(&w.g, 1, VCMDQ_CONS), 1u << 24 | at);
	/* The event is sent behind the register. */
	while (w.s.k->read(w.s.k->opaque, fd, &ev, sizeof(ev)) == 0)
		assert_true(time(NULL) <= end);
	assert_int_equal(ev.h.sequence, 0);
	assert_int_equal(ev.e.lvcmdq_err_map[0], 2);
	assert_int_equal(ev.e.lvcmdq_err_map[1], 0);
	vcmdq_sync(&w.g, 0); /* the other queue does not mind */
	vcmdq_done(&w.g, 0);
	assert_int_equal(scene_ioctl(&w.s, w.s.iommu, IOMMU_HWPT_INVALIDATE, &inv), 0);
	slot = scene_table(&w.s, VCMDQ_PAGE + 1) + 2 * at;
	__atomic_store_n(slot, 0x46, __ATOMIC_RELAXED);
	vcmdq_put(&w.g, 1, VCMDQ_GERRORN, 1);
	vcmdq_wait(&w.g, 1, VCMDQ_CONS, 1u << 24 | w.g.prod[1]);
	assert_int_equal(w.s.k->read(w.s.k->opaque, fd, &ev, sizeof(ev)), 0);
	/* A name that is no vDEVICE's. */
	vcmdq_push(&w.g, 1, 0x40 | (uint64_t)(VSID + 1) << 32, 52);
	vcmdq_sync(&w.g, 1);
	vcmdq_wait(&w.g, 1, VCMDQ_GERROR, 0);
	assert_int_equal(count(&w, "hw.ats-inval"), 1);
	assert_int_equal(w.s.k->close(w.s.k->opaque, fd), 0);
	scene_detach(&w.s);
	unmap_page(&w);
	down(&w);
}

/* Any failure of what an allocation needs, the unit's thread last: refused, and nothing stays of it. */
static void no_thread(void **state)
{
	struct iommu_hw_queue_alloc a = {.size = sizeof(a), .type = IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV, .length = 16u << VCMDQ_LG2,
					 .nesting_parent_iova = SCENE_GPA + 4096 * VCMDQ_PAGE};
	unsigned long n, no_thread = 0;
	struct world w;
	long err;

	(void)state;
	up(&w);
	vcmdq_guest(&w.g, &w.s);
	a.viommu_id = w.g.viommu;
	for (n = 1;; n++) {
		nb_fail_nth_arm(n);
		err = scene_ioctl(&w.s, w.s.iommu, IOMMU_HW_QUEUE_ALLOC, &a);
		if (!nb_fail_nth_fired())
			break;
		assert_true(err == -ENOMEM || err == -EIO);
		no_thread += err == -EIO;
		assert_int_equal(vcmdq_get(&w.g, 0, VCMDQ_STATUS), 0);
	}
	nb_fail_nth_arm(0);
	assert_int_equal(err, 0);
	assert_int_equal(no_thread, 1);
	vcmdq_enable(&w.g, 0);
	vcmdq_scene(&w.g);
	scene_detach(&w.s);
	unmap_page(&w);
	down(&w);
}

/* Two in one process have nothing in common, nor do two guests' VINTFs of the same number. */
static void two_hosts(void **state)
{
	struct world w[2];

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		up(&w[i]);
		vcmdq_up(&w[i].g, &w[i].s);
	}
	for (unsigned int i = 0; i < 20; i++)
		vcmdq_sync(&w[i % 2].g, 0);
	vcmdq_done(&w[0].g, 0);
	vcmdq_done(&w[1].g, 0);
	for (unsigned int i = 0; i < 2; i++) {
		vcmdq_scene(&w[1].g);
		if (i == 0)
			vcmdq_scene(&w[0].g);
		scene_detach(&w[i].s);
		unmap_page(&w[i]);
		down(&w[i]);
	}
}

/* ---- a name that goes while commands with it are executed ---- */

struct namer {
	struct scene_cmdqv *g;
	_Atomic bool stop;
	_Atomic unsigned int taken, refused;
};

static void *name_it(void *arg)
{
	struct namer *n = arg;

	while (!atomic_load(&n->stop)) {
		uint32_t error = vcmdq_get(n->g, 0, VCMDQ_GERROR);

		for (unsigned int i = 0; i < 20; i++)
			vcmdq_push(n->g, 0, 0x40 | (uint64_t)VSID << 32, 52);
		vcmdq_sync(n->g, 0);
		while ((vcmdq_get(n->g, 0, VCMDQ_CONS) & 0xfffff) != n->g->prod[0]) {
			if (vcmdq_get(n->g, 0, VCMDQ_GERROR) != error) { /* past all that, then */
				error = vcmdq_get(n->g, 0, VCMDQ_GERROR);
				for (unsigned int i = vcmdq_get(n->g, 0, VCMDQ_CONS); (i & 511) != n->g->prod[0]; i++)
					__atomic_store_n(scene_table(n->g->s, VCMDQ_PAGE) + 2 * (i & 255), 0x46, __ATOMIC_RELAXED);
				vcmdq_put(n->g, 0, VCMDQ_GERRORN, error);
				atomic_fetch_add(&n->refused, 1);
			}
			sched_yield();
		}
		atomic_fetch_add(&n->taken, 1);
	}
	return NULL;
}

static void name_goes(void **state)
{
	struct iommu_vdevice_alloc vd = {.size = sizeof(vd), .virt_id = VSID};
	struct namer n = {.stop = false};
	struct world w;
	pthread_t t;

	(void)state;
	up(&w);
	vcmdq_up(&w.g, &w.s);
	scene_detach(&w.s);
	assert_int_equal(destroy(&w, w.g.hwpt), 0);
	n.g = &w.g;
	vd.viommu_id = w.g.viommu;
	vd.dev_id = w.s.dev_id;
	vd.out_vdevice_id = w.g.vdevice;
	assert_int_equal(pthread_create(&t, NULL, name_it, &n), 0);
	for (unsigned int i = 0; i < 30; i++) {
		uint64_t sent = count(&w, "hw.ats-inval");
		unsigned int was;

		while (count(&w, "hw.ats-inval") == sent)
			sched_yield();
		assert_int_equal(destroy(&w, vd.out_vdevice_id), 0);
		/* From here on the function is not asked any more, whatever is in the queue. */
		sent = count(&w, "hw.ats-inval");
		was = atomic_load(&n.refused);
		do {
			sched_yield();
			assert_int_equal(count(&w, "hw.ats-inval"), sent);
		} while (atomic_load(&n.refused) == was);
		assert_int_equal(scene_ioctl(&w.s, w.s.iommu, IOMMU_VDEVICE_ALLOC, &vd), 0);
	}
	atomic_store(&n.stop, true);
	pthread_join(t, NULL);
	unmap_page(&w);
	down(&w);
}

/* All is left as it is: closing takes it down. */
static void left_behind(void **state)
{
	struct world w;

	(void)state;
	up(&w);
	vcmdq_up(&w.g, &w.s);
	vcmdq_scene(&w.g);
	unmap_page(&w);
	down(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_ioctl),
		cmocka_unit_test(hw_info),
		cmocka_unit_test(queue_errnos),
		cmocka_unit_test(viommu_errnos),
		cmocka_unit_test(guest_errors),
		cmocka_unit_test(no_thread),
		cmocka_unit_test(two_hosts),
		cmocka_unit_test(name_goes),
		cmocka_unit_test(left_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
