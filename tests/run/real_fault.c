/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * I/O page faults and messages under the preload library, with nothing but libc: what scene.h plays, on system calls.
 */
#include "prog.h"

#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "real.h"

#define SCENE_CHECK(c) CHECK(c)
#include "scene.h"

static int c_open(void *opaque, const char *path, int flags)
{
	(void)opaque;
	return open(path, flags);
}
static int c_close(void *opaque, int fd)
{
	(void)opaque;
	return close(fd);
}
static long c_ioctl(void *opaque, int fd, unsigned long cmd, void *arg)
{
	(void)opaque;
	return ioctl(fd, cmd, arg);
}
static ssize_t c_read(void *opaque, int fd, void *buf, size_t len)
{
	(void)opaque;
	return read(fd, buf, len);
}
static ssize_t c_write(void *opaque, int fd, const void *buf, size_t len)
{
	(void)opaque;
	return write(fd, buf, len);
}
static ssize_t c_pread(void *opaque, int fd, void *buf, size_t len, uint64_t off)
{
	(void)opaque;
	return pread(fd, buf, len, (off_t)off);
}
static ssize_t c_pwrite(void *opaque, int fd, const void *buf, size_t len, uint64_t off)
{
	(void)opaque;
	return pwrite(fd, buf, len, (off_t)off);
}
static void *c_mmap(void *opaque, void *addr, size_t len, int prot, int flags, int fd, uint64_t off, int *err)
{
	void *p = mmap(addr, len, prot, flags, fd, (off_t)off);

	(void)opaque;
	if (p != MAP_FAILED)
		return p;
	*err = -errno;
	return NULL;
}
const struct nb_kernel c_library = {
	.open = c_open, .close = c_close, .ioctl = c_ioctl, .read = c_read, .write = c_write, .pread = c_pread, .pwrite = c_pwrite,
	.mmap = c_mmap};

static bool readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

void faults(void)
{
	static const uint32_t pasids[] = {SCENE_NO_PASID, SCENE_PASID};

	for (unsigned int i = 0; i < 2; i++) {
		struct iommu_hwpt_pgfault f;
		struct scene s;

		scene_up(&s, &c_library, pasids[i]);
		CHECK(!readable(s.queue));
		scene_demand_paging(&s);
		CHECK(!readable(s.queue));
		scene_take_away(&s, 2);
		CHECK(scene_run(&s, DMATEST_CMD_CHECKSUM, SCENE_IOVA, 0, 3 * 4096) == DMATEST_STATUS_WAITING);
		CHECK(readable(s.queue) && scene_fault(&s, &f) && !readable(s.queue));
		scene_expect(&s, &f, SCENE_IOVA + 2 * 4096, IOMMU_PGFAULT_PERM_READ);
		scene_answer(&s, f.cookie, IOMMUFD_PAGE_RESP_INVALID);
		CHECK(scene_get32(&s, DMATEST_ERROR) == DMATEST_ERROR_INVALID);
		/* Ends while the device waits: by detaching, and the descriptor first or last. */
		CHECK(scene_run(&s, DMATEST_CMD_FILL, 0, SCENE_IOVA + 9 * 4096, 8) == DMATEST_STATUS_WAITING);
		CHECK(readable(s.queue));
		if (i == 0) {
			CHECK(close(s.queue) == 0);
			s.queue = -1;
		}
		scene_detach(&s);
		CHECK(scene_get32(&s, DMATEST_ERROR) == DMATEST_ERROR_INVALID);
		CHECK(s.queue < 0 || !readable(s.queue));
		scene_close(&s);
	}
}

/* As a VMM does it: a thread that sleeps in epoll and pages in what is asked for. */
struct pager {
	struct scene *s;
	int stop; /* eventfd */
	unsigned int served;
};

static void *page_in(void *arg)
{
	struct pager *g = arg;
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = g->s->queue}, stop = {.events = EPOLLIN, .data.fd = g->stop};
	struct iommu_hwpt_pgfault f;

	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, g->s->queue, &ev) == 0 && epoll_ctl(ep, EPOLL_CTL_ADD, g->stop, &stop) == 0);
	for (;;) {
		CHECK(epoll_wait(ep, &ev, 1, 10000) == 1);
		if (ev.data.fd == g->stop)
			break;
		while (scene_fault(g->s, &f)) {
			unsigned int n = (unsigned int)((f.addr - SCENE_IOVA) / 4096);

			scene_leaf(g->s, n, SCENE_DATA + n % 64);
			scene_answer(g->s, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS);
			g->served++;
		}
	}
	close(ep);
	return NULL;
}

void fault_thread(void)
{
	struct pager g = {.stop = eventfd(0, EFD_CLOEXEC)};
	int32_t irq[6] = {sizeof(irq), VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			  VFIO_PCI_MSIX_IRQ_INDEX, 0, 1};
	struct scene s;
	pthread_t thread;
	uint64_t n;

	scene_up(&s, &c_library, SCENE_PASID);
	g.s = &s;
	irq[5] = eventfd(0, EFD_CLOEXEC);
	CHECK(ioctl(s.dev, VFIO_DEVICE_SET_IRQS, irq) == 0);
	CHECK(pthread_create(&thread, NULL, page_in, &g) == 0);
	scene_put32(&s, DMATEST_CONTROL, DMATEST_CONTROL_ATS | DMATEST_CONTROL_PRI | DMATEST_CONTROL_INT_EN);
	scene_put64(&s, DMATEST_PATTERN, UINT64_C(0x0101010101010101) * 0x3c);
	for (unsigned int round = 0; round < 20; round++) {
		scene_run(&s, DMATEST_CMD_FILL, 0, SCENE_IOVA, 64 * 4096);
		CHECK(read(irq[5], &n, sizeof(n)) == sizeof(n) && n == 1); /* sleeps until the command has ended */
		CHECK(scene_get32(&s, DMATEST_STATUS) == DMATEST_STATUS_DONE);
		for (unsigned int i = 0; i < 64; i++) {
			CHECK(scene_filled(&s, SCENE_DATA + i, 0x3c));
			memset(s.guest + 4096 * (SCENE_DATA + i), 0, 4096);
			scene_take_away(&s, i);
		}
	}
	n = 1;
	CHECK(write(g.stop, &n, sizeof(n)) == sizeof(n));
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(g.served == 20 * 64);
	scene_close(&s);
}

/* The process ends, or its last descriptors go, while the device waits: nothing hangs, and the next finds the device whole. */
void fault_exit(void)
{
	for (unsigned int way = 0; way < 3; way++) {
		pid_t pid = fork();

		if (pid == 0) {
			struct scene s;

			scene_up(&s, &c_library, SCENE_PASID);
			CHECK(scene_run(&s, DMATEST_CMD_FILL, 0, SCENE_IOVA, 8) == DMATEST_STATUS_WAITING);
			if (way == 1)
				scene_close(&s);
			if (way == 2)
				CHECK(close_range(3, ~0u, 0) == 0);
			if (way) {
				scene_up(&s, &c_library, SCENE_NO_PASID);
				scene_demand_paging(&s);
			}
			_exit(0);
		}
		wait_for(pid, 0);
	}
}
