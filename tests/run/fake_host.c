/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake_host.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "machine/machine.h"
#include "uapi/vfio.h"

struct machine {
	struct machine_cfg cfg;
	struct nb_desc desc;
	struct nb_trace *tr;
	pthread_mutex_t lock; /* not recursive: a hook that came back here while we call libc would hang */
	uint64_t watch, revokes;
	bool dead;
	unsigned int nopen;
	unsigned int nmapped;
	uint64_t mapped; /* the last one */
	int bar_fd[FAKE_DEVICES];
	bool bound[FAKE_DEVICES];
	uint8_t regs[FAKE_DEVICES][FAKE_BAR_SIZE];
};

struct iommufd_file {
	struct machine *m;
	uint64_t value;
};

struct queue_file {
	struct machine *m;
	char data[64];
	size_t len;
};

struct iommufd_mapping {
	struct machine *m;
};

struct vfio_file {
	struct machine *m;
	uint64_t value;
	unsigned int n;
	bool bound;
};

int machine_create(const struct machine_cfg *cfg, struct machine **out, struct nb_diag *diag)
{
	struct machine *m;
	unsigned int i;
	int err = guard_init();

	if (err)
		return nb_fail(diag, err, "no handlers");
	if (cfg->desc->nfunctions != FAKE_DEVICES)
		return nb_fail(diag, -EINVAL, "not the description of the fake host");
	m = nb_zalloc(sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->cfg = *cfg;
	m->desc = *cfg->desc;
	m->tr = nb_trace_new(cfg->counters);
	err = nb_trace_log(m->tr, cfg->trace_patterns, cfg->trace_fd, diag);
	if (err) {
		nb_trace_free(m->tr);
		nb_free(m);
		return err;
	}
	pthread_mutex_init(&m->lock, NULL);
	for (i = 0; i < FAKE_DEVICES; i++) {
		m->bar_fd[i] = memfd_create("bar", MFD_CLOEXEC);
		if (m->bar_fd[i] < 0 || ftruncate(m->bar_fd[i], FAKE_BAR_SIZE))
			abort();
	}
	*out = m;
	return 0;
}

struct host *machine_host(struct machine *m)
{
	return (struct host *)(void *)m;
}

/* Its models have no threads. */
void machine_threads(struct machine *m, enum hw_threads what)
{
	(void)m;
	(void)what;
}

struct nb_trace *machine_trace(struct machine *m)
{
	return m->tr;
}

int machine_walk(struct machine *m, uint16_t segment, uint16_t rid, uint32_t pasid, uint64_t addr, uint8_t access,
		 char *buf, size_t size)
{
	(void)m;
	if (segment || rid != 0x100)
		return -ENOENT;
	return snprintf(buf, size, "rid %04x pasid %x addr %llx access %x\n", rid, pasid, (unsigned long long)addr,
			access);
}

void host_revoke(struct host *h, uint64_t va, uint64_t len)
{
	struct machine *m = (struct machine *)(void *)h;

	pthread_mutex_lock(&m->lock);
	m->revokes++;
	if (m->watch && m->watch >= va && m->watch - va < len)
		m->dead = true;
	if (m->mapped && m->mapped >= va && m->mapped - va < len) {
		m->nmapped--;
		m->mapped = 0;
	}
	pthread_mutex_unlock(&m->lock);
}

/* What a room does under its lock: allocate, map, open. */
static void busy(struct machine *m, uint64_t bytes)
{
	void *p;
	int fd;

	pthread_mutex_lock(&m->lock);
	p = nb_zalloc(bytes);
	nb_free(p);
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p != MAP_FAILED)
		munmap(p, bytes);
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	close(fd);
	pthread_mutex_unlock(&m->lock);
}

static long common(struct machine *m, uint64_t *value, unsigned int cmd, uint64_t arg)
{
	const struct timespec ts = {.tv_sec = (time_t)(arg / 1000), .tv_nsec = (long)(arg % 1000) * 1000000};
	uint64_t v;

	switch (cmd) {
	case FAKE_SET:
		*value = arg;
		return 0;
	case FAKE_GET:
		return (long)*value;
	case FAKE_LOAD:
		return guard_load64((const void *)(uintptr_t)arg, &v) ? 0 : -EFAULT;
	case FAKE_OPEN:
		return m->nopen;
	case FAKE_SLEEP:
		nanosleep(&ts, NULL);
		return 0;
	case FAKE_REVOKED:
		return (long)m->revokes;
	case FAKE_FILL:
		busy(m, arg);
		return 0;
	default:
		return -ENOTTY;
	}
}

int iommufd_open(struct host *h, struct iommufd_file **out)
{
	*out = nb_zalloc(sizeof(**out));
	if (!*out)
		return -ENOMEM;
	(*out)->m = (struct machine *)(void *)h;
	(*out)->m->nopen++;
	return 0;
}

void iommufd_close(struct iommufd_file *f)
{
	f->m->nopen--;
	nb_free(f);
}

static long queue_open(struct machine *m, enum host_queue_kind kind, bool abort_it)
{
	struct queue_file *q = nb_zalloc(sizeof(*q));
	int fd, err;

	if (!q)
		return -ENOMEM;
	q->m = m;
	err = m->cfg.queue_fd(m->cfg.opaque, q, kind, &fd);
	if (err || abort_it) {
		if (!err)
			m->cfg.queue_fd_abort(m->cfg.opaque, q, fd);
		nb_free(q);
		return err ? err : -EFAULT;
	}
	m->nopen++;
	return fd;
}

ssize_t host_queue_read(struct queue_file *q, void *ubuf, size_t len, uint64_t off)
{
	ssize_t n = (ssize_t)q->len;

	if (off || len < q->len)
		return -EINVAL;
	if (guard_copy(ubuf, q->data, q->len))
		return -EFAULT;
	q->len = 0;
	q->m->cfg.queue_ready(q->m->cfg.opaque, q, false);
	return n;
}

ssize_t host_queue_write(struct queue_file *q, const void *ubuf, size_t len, uint64_t off)
{
	if (off || len > sizeof(q->data) - q->len)
		return -EINVAL;
	if (guard_copy(q->data + q->len, ubuf, len))
		return -EFAULT;
	q->len += len;
	q->m->cfg.queue_ready(q->m->cfg.opaque, q, q->len != 0);
	return (ssize_t)len;
}

void host_queue_close(struct queue_file *q)
{
	q->m->nopen--;
	nb_free(q);
}

long iommufd_ioctl(struct iommufd_file *f, unsigned int cmd, uint64_t uarg)
{
	if (cmd == FAKE_FAULT || cmd == FAKE_ABORT)
		return queue_open(f->m, (enum host_queue_kind)uarg, cmd == FAKE_ABORT);
	if (cmd == FAKE_WATCH) {
		f->m->watch = uarg;
		f->m->dead = false;
		return 0;
	}
	if (cmd == FAKE_DEAD)
		return f->m->dead;
	if (cmd == FAKE_MAPPED)
		return f->m->nmapped;
	return common(f->m, &f->value, cmd, uarg);
}

/* One at a time is remembered. */
int iommufd_mmap(struct iommufd_file *f, uint64_t off, size_t len, int prot, int flags, int *fd, uint64_t *fd_off,
		 struct iommufd_mapping **out)
{
	(void)prot;
	if (off != FAKE_PAGES || len != 0x2000 || !(flags & MAP_SHARED))
		return -ENXIO;
	*out = nb_zalloc(sizeof(**out));
	if (!*out)
		return -ENOMEM;
	(*out)->m = f->m;
	f->m->nmapped++;
	*fd = f->m->bar_fd[0];
	*fd_off = 0x1000;
	return 0;
}

void iommufd_mapped(struct iommufd_mapping *m, uint64_t va)
{
	pthread_mutex_lock(&m->m->lock);
	if (va)
		m->m->mapped = va;
	else
		m->m->nmapped--;
	pthread_mutex_unlock(&m->m->lock);
	nb_free(m);
}

int vfio_open(struct host *h, unsigned int n, struct vfio_file **out)
{
	if (n >= FAKE_DEVICES)
		return -ENOENT;
	*out = nb_zalloc(sizeof(**out));
	if (!*out)
		return -ENOMEM;
	(*out)->m = (struct machine *)(void *)h;
	(*out)->n = n;
	(*out)->m->nopen++;
	return 0;
}

void vfio_close(struct vfio_file *f)
{
	if (f->bound)
		f->m->bound[f->n] = false;
	f->m->nopen--;
	nb_free(f);
}

long vfio_ioctl(struct vfio_file *f, unsigned int cmd, uint64_t uarg)
{
	struct vfio_device_bind_iommufd bind;
	struct iommufd_file *iommufd;
	int err;

	if (cmd != FAKE_BIND)
		return common(f->m, &f->value, cmd, uarg);
	if (guard_copy(&bind, (const void *)(uintptr_t)uarg, sizeof(bind)))
		return -EFAULT;
	if (f->m->bound[f->n])
		return -EINVAL;
	err = f->m->cfg.resolve_iommufd(f->m->cfg.opaque, bind.iommufd, &iommufd);
	if (err)
		return err;
	if (iommufd->m != f->m)
		abort();
	f->bound = f->m->bound[f->n] = true;
	return 0;
}

ssize_t vfio_pread(struct vfio_file *f, void *ubuf, size_t len, uint64_t off)
{
	if (!f->bound || off >= FAKE_BAR_SIZE)
		return -EINVAL;
	if (len > FAKE_BAR_SIZE - off)
		len = FAKE_BAR_SIZE - off;
	return guard_copy(ubuf, f->m->regs[f->n] + off, len) ? -EFAULT : (ssize_t)len;
}

ssize_t vfio_pwrite(struct vfio_file *f, const void *ubuf, size_t len, uint64_t off)
{
	if (!f->bound || off >= FAKE_BAR_SIZE)
		return -EINVAL;
	if (len > FAKE_BAR_SIZE - off)
		len = FAKE_BAR_SIZE - off;
	return guard_copy(f->m->regs[f->n] + off, ubuf, len) ? -EFAULT : (ssize_t)len;
}

int vfio_mmap(struct vfio_file *f, uint64_t off, size_t len, int prot, int flags, int *fd, uint64_t *fd_off)
{
	(void)prot;
	if (!f->bound || off < FAKE_BAR2 || off - FAKE_BAR2 >= FAKE_BAR_SIZE || len > FAKE_BAR_SIZE ||
	    !(flags & MAP_SHARED))
		return -EINVAL;
	*fd = f->m->bar_fd[f->n];
	*fd_off = off - FAKE_BAR2;
	return 0;
}
