/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A CMDQ-V under the preload library, with nothing but libc: a VMM's child process that maps the page and is served by a thread that it did not make;
 * forks beside it; and a program that goes into the background with all of it.
 */
#include "prog.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "real.h"

#define SCENE_CHECK(c) CHECK(c)
#include "scene_cmdqv.h"

/* Everything in a child of a process that has used nothing: as under a launcher. Its signals are its own, the descriptors that it gets as low as ever. */
void cmdqv(void)
{
	struct scene_cmdqv g;
	struct scene s;
	sigset_t set;
	int low;
	pid_t pid = fork();

	if (pid) {
		wait_for(pid, 0);
		return;
	}
	scene_open(&s, &c_library);
	vcmdq_up(&g, &s);
	low = open("/dev/null", O_RDONLY | O_CLOEXEC);
	CHECK(low >= 0 && low < 16);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0 && kill(getpid(), SIGUSR1) == 0); /* not to a thread of the library's */
	vcmdq_scene(&g);
	CHECK(sigpending(&set) == 0 && sigismember(&set, SIGUSR1) == 1);
	/* A queue in memory that goes away: an error, and no crash. */
	CHECK(munmap(s.guest + 4096 * VCMDQ_PAGE, 4096) == 0);
	vcmdq_put(&g, 0, VCMDQ_PROD, (g.prod[0] + 1) & 511);
	vcmdq_wait(&g, 0, VCMDQ_GERROR, 1);
	CHECK(vcmdq_get(&g, 0, VCMDQ_CONS) == (2u << 24 | g.prod[0]));
	CHECK(munmap((void *)(uintptr_t)g.page, g.length) == 0);
	CHECK(close(s.dev) == 0 && close(s.iommu) == 0);
	_exit(0);
}

struct guest {
	struct scene_cmdqv g;
	_Atomic bool stop;
	_Atomic unsigned int n;
};

static void *invalidate(void *arg)
{
	struct guest *g = arg;

	while (!atomic_load(&g->stop)) {
		vcmdq_tlbi_va(&g->g, 0, SCENE_IOVA);
		vcmdq_sync(&g->g, 0);
		vcmdq_done(&g->g, 0);
		atomic_fetch_add(&g->n, 1);
	}
	return NULL;
}

/* The children have a copy that nobody serves; the parent's goes on as though nothing were. A child may have a virtual host of its own. */
void cmdqv_forks(void)
{
	struct guest g = {.stop = false};
	pthread_t thread;
	struct scene s;
	unsigned int n;

	scene_open(&s, &c_library);
	vcmdq_up(&g.g, &s);
	CHECK(pthread_create(&thread, NULL, invalidate, &g) == 0);
	for (unsigned int i = 0; i < 40; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			if (i % 8 == 0) { /* the device is the parent's */
				int iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
				struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};

				CHECK(iommu >= 0 && ioctl(iommu, IOMMU_IOAS_ALLOC, &alloc) == 0);
			}
			_exit(0);
		}
		wait_for(pid, 0);
		n = atomic_load(&g.n);
		while (atomic_load(&g.n) == n)
			sched_yield();
	}
	atomic_store(&g.stop, true);
	pthread_join(thread, NULL);
	vcmdq_scene(&g.g);
	scene_detach(&s);
	CHECK(munmap((void *)(uintptr_t)g.g.page, g.g.length) == 0);
	scene_close(&s);
}

void cmdqv_daemon(void)
{
	int done[2];
	char byte = 0;
	pid_t pid;

	CHECK(pipe(done) == 0);
	pid = fork(); /* so that the case can wait for the daemon */
	if (pid == 0) {
		struct vfio_device_info info = {.argsz = sizeof(info)};
		struct scene_cmdqv g;
		struct scene s;

		scene_open(&s, &c_library);
		vcmdq_up(&g, &s);
		vcmdq_scene(&g);
		CHECK(daemon(0, 1) == 0);
		CHECK(ioctl(s.dev, VFIO_DEVICE_GET_INFO, &info) == 0); /* ours from here on */
		vcmdq_scene(&g);
		CHECK(write(done[1], "d", 1) == 1);
		_exit(0);
	}
	CHECK(close(done[1]) == 0);
	wait_for(pid, 0);
	CHECK(read(done[0], &byte, 1) == 1 && byte == 'd');
}
