/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libnestbox: a machine and a table of descriptors.
 *
 * A descriptor number is an index plus FD_BASE, far above what a process has open, so that a real descriptor and one of ours are
 * not taken for each other by accident.
 *
 * Locking: `lock` protects the table and the reference counts; it is innermost and nobody is called under it. A call holds a reference on its slot while it is in the host; close unpublishes the slot and waits
 * until it has the last one.
 */
#include "machine/api.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "machine/desc_yaml.h"
#include "uapi/vfio.h"

#define FD_BASE 0x100000
#define MAX_OPEN 1024

enum kind { FREE, IOMMUFD, VFIO, QUEUE };

struct open_file {
	enum kind kind;	   /* under lock */
	bool closing;	   /* under lock */
	unsigned int refs; /* under lock: calls inside */
	struct iommufd_file *iommufd;
	struct vfio_file *vfio;
	struct queue_file *queue;
	/* Queues; under lock: */
	struct open_file *next; /* of those that are open */
	bool ready;		/* there is something to read */
	int event_fd;		/* says so too; -1 until somebody asks for it */
};

struct nb_host {
	struct machine *machine;
	struct nb_kernel kernel;
	pthread_rwlock_t bind_lock; /* outermost: readers bind, the writer closes an iommufd */
	pthread_mutex_t lock;
	pthread_cond_t idle; /* some refs went to 0, or a slot got free */
	struct open_file *queues; /* under lock */
	struct open_file file[MAX_OPEN];
};

const char *nb_version(void)
{
	return NB_VERSION;
}

static struct open_file *file_get(struct nb_host *h, int fd)
{
	struct open_file *f = NULL;

	if (fd < FD_BASE || fd >= FD_BASE + MAX_OPEN)
		return NULL;
	pthread_mutex_lock(&h->lock);
	if (h->file[fd - FD_BASE].kind != FREE && !h->file[fd - FD_BASE].closing) {
		f = &h->file[fd - FD_BASE];
		f->refs++;
	}
	pthread_mutex_unlock(&h->lock);
	return f;
}

static void file_put(struct nb_host *h, struct open_file *f)
{
	pthread_mutex_lock(&h->lock);
	if (--f->refs == 0 && f->closing)
		pthread_cond_broadcast(&h->idle);
	pthread_mutex_unlock(&h->lock);
}

/*
 * For BIND, inside a nb_host_ioctl() that holds bind_lock for reading: the file cannot be closed before the ioctl
 * returns.
 */
static int resolve_iommufd(void *opaque, int fd, struct iommufd_file **out)
{
	struct nb_host *h = opaque;
	int err = -EBADF;

	if (fd < FD_BASE || fd >= FD_BASE + MAX_OPEN)
		return -EBADF;
	pthread_mutex_lock(&h->lock);
	if (h->file[fd - FD_BASE].kind == IOMMUFD && !h->file[fd - FD_BASE].closing) {
		*out = h->file[fd - FD_BASE].iommufd;
		err = 0;
	} else if (h->file[fd - FD_BASE].kind != FREE) {
		err = -EBADFD;
	}
	pthread_mutex_unlock(&h->lock);
	return err;
}

/* "/dev/vfio/devices/vfio7" is 7; anything that is not one is -1. */
static int vfio_number(const char *path)
{
	static const char prefix[] = "/dev/vfio/devices/vfio";
	const char *p = path + strlen(prefix);
	int n = 0;

	if (strncmp(path, prefix, strlen(prefix)) != 0 || !*p || (p[0] == '0' && p[1]))
		return -1;
	for (; *p; p++) {
		if (*p < '0' || *p > '9' || n > 1000)
			return -1;
		n = n * 10 + (*p - '0');
	}
	return n;
}

/* A free slot made f, or -EMFILE. */
static int file_add(struct nb_host *h, const struct open_file *f)
{
	int i;

	pthread_mutex_lock(&h->lock);
	for (i = 0; i < MAX_OPEN; i++)
		if (h->file[i].kind == FREE)
			break;
	if (i < MAX_OPEN)
		h->file[i] = *f;
	if (i < MAX_OPEN && f->kind == QUEUE) {
		h->file[i].next = h->queues;
		h->queues = &h->file[i];
	}
	pthread_mutex_unlock(&h->lock);
	return i < MAX_OPEN ? FD_BASE + i : -EMFILE;
}

int nb_host_open(struct nb_host *h, const char *path, int flags)
{
	struct iommufd_file *iommufd = NULL;
	struct vfio_file *vfio = NULL;
	int n = vfio_number(path), err, fd;

	(void)flags;
	if (strcmp(path, "/dev/iommu") == 0)
		err = iommufd_open(machine_host(h->machine), &iommufd);
	else
		err = n < 0 ? -ENOENT : vfio_open(machine_host(h->machine), (unsigned int)n, &vfio);
	if (err)
		return err;
	fd = file_add(h, &(struct open_file){.kind = iommufd ? IOMMUFD : VFIO, .iommufd = iommufd, .vfio = vfio});
	if (fd >= 0)
		return fd;
	if (iommufd)
		iommufd_close(iommufd);
	else
		vfio_close(vfio);
	return fd;
}

/* ---- queues: host_cfg's callbacks, inside an ioctl ---- */

static int queue_fd(void *opaque, struct queue_file *file, enum host_queue_kind kind, int *fd)
{
	(void)kind; /* nobody polls the number itself */
	int r = file_add(opaque, &(struct open_file){.kind = QUEUE, .queue = file, .event_fd = -1});

	if (r < 0)
		return r;
	*fd = r;
	return 0;
}

/* Nobody is in it any more. */
static void slot_free(struct nb_host *h, struct open_file *f)
{
	struct open_file **link;
	int event_fd = -1;

	pthread_mutex_lock(&h->lock);
	if (f->kind == QUEUE) {
		event_fd = f->event_fd;
		for (link = &h->queues; *link != f; link = &(*link)->next)
			;
		*link = f->next;
	}
	*f = (struct open_file){.kind = FREE};
	pthread_cond_broadcast(&h->idle);
	pthread_mutex_unlock(&h->lock);
	if (event_fd >= 0)
		close(event_fd);
}

static struct open_file *queue_find_locked(struct nb_host *h, const struct queue_file *file)
{
	struct open_file *f = h->queues;

	while (f && f->queue != file)
		f = f->next;
	return f;
}

/* The number was never told, but may have been guessed: wait for whoever uses it, or is closing it. */
static void queue_fd_abort(void *opaque, struct queue_file *file, int fd)
{
	struct nb_host *h = opaque;
	struct open_file *f;
	bool mine;

	(void)fd;
	pthread_mutex_lock(&h->lock);
	f = queue_find_locked(h, file);
	mine = f && !f->closing;
	if (mine)
		f->closing = true;
	while (mine ? f->refs > 0 : queue_find_locked(h, file) != NULL)
		pthread_cond_wait(&h->idle, &h->lock);
	pthread_mutex_unlock(&h->lock);
	if (mine)
		slot_free(h, f);
}

/* The event's count is 1 while there is something to read, and 0 otherwise. */
static void event_set(int event_fd, bool ready)
{
	uint64_t count = 1;
	ssize_t r = ready ? write(event_fd, &count, sizeof(count)) : read(event_fd, &count, sizeof(count));

	(void)r; /* it cannot block or overflow, and a program that meddles with it deceives itself */
}

static void queue_ready(void *opaque, struct queue_file *file, bool ready)
{
	struct nb_host *h = opaque;
	struct open_file *f;

	pthread_mutex_lock(&h->lock);
	f = queue_find_locked(h, file);
	if (f && f->ready != ready) {
		f->ready = ready;
		if (f->event_fd >= 0)
			event_set(f->event_fd, ready);
	}
	pthread_mutex_unlock(&h->lock);
}

int nb_host_poll_fd(struct nb_host *h, int fd)
{
	struct open_file *f = file_get(h, fd);
	int made, r = -EINVAL;

	if (!f)
		return -EBADF;
	if (f->kind == QUEUE) {
		made = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		r = made < 0 ? -errno : 0;
		pthread_mutex_lock(&h->lock);
		if (f->event_fd < 0 && made >= 0) {
			f->event_fd = made;
			if (f->ready)
				event_set(made, true);
			made = -1;
		}
		if (f->event_fd >= 0)
			r = f->event_fd;
		pthread_mutex_unlock(&h->lock);
		if (made >= 0)
			close(made);
	}
	file_put(h, f);
	return r;
}

int nb_host_close(struct nb_host *h, int fd)
{
	struct open_file *f;

	if (fd < FD_BASE || fd >= FD_BASE + MAX_OPEN)
		return -EBADF;
	f = &h->file[fd - FD_BASE];
	pthread_mutex_lock(&h->lock);
	if (f->kind == FREE || f->closing) {
		pthread_mutex_unlock(&h->lock);
		return -EBADF;
	}
	f->closing = true;
	while (f->refs)
		pthread_cond_wait(&h->idle, &h->lock);
	pthread_mutex_unlock(&h->lock);

	if (f->kind == IOMMUFD) {
		pthread_rwlock_wrlock(&h->bind_lock);
		iommufd_close(f->iommufd);
		pthread_rwlock_unlock(&h->bind_lock);
	} else if (f->kind == VFIO) {
		vfio_close(f->vfio);
	} else {
		host_queue_close(f->queue);
	}
	slot_free(h, f);
	return 0;
}

long nb_host_ioctl(struct nb_host *h, int fd, unsigned long cmd, void *arg)
{
	struct open_file *f = file_get(h, fd);
	bool bind;
	long r;

	if (!f)
		return -EBADF;
	bind = f->kind == VFIO && (unsigned int)cmd == VFIO_DEVICE_BIND_IOMMUFD;
	if (bind)
		pthread_rwlock_rdlock(&h->bind_lock);
	if (f->kind == IOMMUFD)
		r = iommufd_ioctl(f->iommufd, (unsigned int)cmd, (uintptr_t)arg);
	else if (f->kind == VFIO)
		r = vfio_ioctl(f->vfio, (unsigned int)cmd, (uintptr_t)arg);
	else
		r = -ENOTTY;
	if (bind)
		pthread_rwlock_unlock(&h->bind_lock);
	file_put(h, f);
	return r;
}

ssize_t nb_host_pread(struct nb_host *h, int fd, void *buf, size_t len, uint64_t off)
{
	struct open_file *f = file_get(h, fd);
	ssize_t r;

	if (!f)
		return -EBADF;
	r = f->kind == VFIO ? vfio_pread(f->vfio, buf, len, off) : f->kind == QUEUE ? -ESPIPE : -EINVAL;
	file_put(h, f);
	return r;
}

ssize_t nb_host_pwrite(struct nb_host *h, int fd, const void *buf, size_t len, uint64_t off)
{
	struct open_file *f = file_get(h, fd);
	ssize_t r;

	if (!f)
		return -EBADF;
	r = f->kind == VFIO ? vfio_pwrite(f->vfio, buf, len, off) : f->kind == QUEUE ? -ESPIPE : -EINVAL;
	file_put(h, f);
	return r;
}

/* Linux's iommufd and vfio files have a position, which we do not, and nothing to read or write at it but regions: refused. */
ssize_t nb_host_read(struct nb_host *h, int fd, void *buf, size_t len)
{
	struct open_file *f = file_get(h, fd);
	ssize_t r;

	if (!f)
		return -EBADF;
	r = f->kind == QUEUE ? host_queue_read(f->queue, buf, len, 0) : -EINVAL;
	file_put(h, f);
	return r;
}

ssize_t nb_host_write(struct nb_host *h, int fd, const void *buf, size_t len)
{
	struct open_file *f = file_get(h, fd);
	ssize_t r;

	if (!f)
		return -EBADF;
	r = f->kind == QUEUE ? host_queue_write(f->queue, buf, len, 0) : -EINVAL;
	file_put(h, f);
	return r;
}

void *nb_host_mmap(struct nb_host *h, void *addr, size_t len, int prot, int flags, int fd, uint64_t off, int *err)
{
	struct open_file *f = file_get(h, fd);
	struct iommufd_mapping *mapping = NULL;
	uint64_t real_off;
	void *p = NULL;
	int real, r = -EINVAL;

	if (!f) {
		*err = -EBADF;
		return NULL;
	}
	if (f->kind == VFIO)
		r = vfio_mmap(f->vfio, off, len, prot, flags, &real, &real_off);
	else if (f->kind == IOMMUFD)
		r = iommufd_mmap(f->iommufd, off, nb_align_down(len + 4095, 4096), prot, flags, &real, &real_off, &mapping);
	if (!r) {
		p = mmap(addr, len, prot, flags, real, (off_t)real_off);
		if (p == MAP_FAILED) {
			p = NULL;
			r = -errno;
		}
	}
	if (mapping)
		iommufd_mapped(mapping, (uintptr_t)p);
	file_put(h, f);
	if (!p)
		*err = r;
	return p;
}

void nb_host_revoke(struct nb_host *h, void *va, size_t len)
{
	host_revoke(machine_host(h->machine), (uintptr_t)va, len);
}

int nb_host_walk(struct nb_host *h, uint16_t segment, uint16_t rid, uint32_t pasid, uint64_t addr, uint8_t access,
		 char *buf, size_t size)
{
	return machine_walk(h->machine, segment, rid, pasid, addr, access, buf, size);
}

int nb_host_counter(struct nb_host *h, const char *event, uint64_t *value)
{
	enum nb_event ev;

	for (ev = 0; ev < NB_EV_COUNT; ev++)
		if (strcmp(nb_event_name(ev), event) == 0) {
			*value = nb_trace_count(machine_trace(h->machine), ev);
			return 0;
		}
	return -ENOENT;
}

/* The members of struct nb_kernel are the calls above with the host behind an opaque pointer. */
static int k_open(void *opaque, const char *path, int flags)
{
	return nb_host_open(opaque, path, flags);
}
static int k_close(void *opaque, int fd)
{
	return nb_host_close(opaque, fd);
}
static long k_ioctl(void *opaque, int fd, unsigned long cmd, void *arg)
{
	return nb_host_ioctl(opaque, fd, cmd, arg);
}
static ssize_t k_read(void *opaque, int fd, void *buf, size_t len)
{
	return nb_host_read(opaque, fd, buf, len);
}
static ssize_t k_write(void *opaque, int fd, const void *buf, size_t len)
{
	return nb_host_write(opaque, fd, buf, len);
}
static ssize_t k_pread(void *opaque, int fd, void *buf, size_t len, uint64_t off)
{
	return nb_host_pread(opaque, fd, buf, len, off);
}
static ssize_t k_pwrite(void *opaque, int fd, const void *buf, size_t len, uint64_t off)
{
	return nb_host_pwrite(opaque, fd, buf, len, off);
}
static void *k_mmap(void *opaque, void *addr, size_t len, int prot, int flags, int fd, uint64_t off, int *err)
{
	return nb_host_mmap(opaque, addr, len, prot, flags, fd, off, err);
}

const struct nb_kernel *nb_host_kernel(struct nb_host *h)
{
	return &h->kernel;
}

struct machine *nb_host_machine(struct nb_host *h)
{
	return h->machine;
}

/* Size-prefixed options: what the caller's version lacks is zero, what ours lacks must be. */
static int read_opts(const struct nb_host_opts *opts, struct nb_host_opts *out, struct nb_diag *diag)
{
	uint32_t i;

	memset(out, 0, sizeof(*out));
	if (!opts)
		return 0;
	if (opts->size < sizeof(opts->size))
		return nb_fail(diag, -EINVAL, "nb_host_opts.size is %u", opts->size);
	for (i = sizeof(*out); i < opts->size; i++)
		if (((const uint8_t *)opts)[i])
			return nb_fail(diag, -E2BIG, "nb_host_opts asks for what this version does not have");
	memcpy(out, opts, opts->size < sizeof(*out) ? opts->size : sizeof(*out));
	if (out->flags)
		return nb_fail(diag, -EINVAL, "nb_host_opts.flags has unknown bits");
	return 0;
}

static int create(const char *name, const struct nb_host_opts *opts, struct nb_host **out, struct nb_diag *diag)
{
	struct nb_desc *desc = nb_zalloc(sizeof(*desc));
	struct nb_host *h = nb_zalloc(sizeof(*h));
	struct nb_host_opts o;
	int err = nb_fail(diag, -ENOMEM, "out of memory");

	if (!desc || !h)
		goto fail;
	err = read_opts(opts, &o, diag);
	if (!err)
		err = desc_yaml_find(name, desc, diag);
	if (err)
		goto fail;
	err = machine_create(&(struct machine_cfg){.desc = desc,
						   .resolve_iommufd = resolve_iommufd,
						   .opaque = h,
						   .trace_patterns = o.log,
						   .trace_fd = o.log_fd,
						   .queue_fd = queue_fd,
						   .queue_fd_abort = queue_fd_abort,
						   .queue_ready = queue_ready},
			     &h->machine, diag);
	if (err)
		goto fail;
	pthread_mutex_init(&h->lock, NULL);
	pthread_rwlock_init(&h->bind_lock, NULL);
	pthread_cond_init(&h->idle, NULL);
	h->kernel = (struct nb_kernel){
		.opaque = h,
		.open = k_open,
		.close = k_close,
		.ioctl = k_ioctl,
		.read = k_read,
		.write = k_write,
		.pread = k_pread,
		.pwrite = k_pwrite,
		.mmap = k_mmap,
	};
	*out = h;
	nb_free(desc);
	return 0;
fail:
	if (h)
		machine_destroy(h->machine);
	nb_free(h);
	nb_free(desc);
	return err;
}

int nb_host_create(const char *name, const struct nb_host_opts *opts, struct nb_host **out, char *why, size_t why_size)
{
	struct nb_diag diag = {""};
	int err = create(name, opts, out, &diag);

	if (err && why && why_size)
		snprintf(why, why_size, "%s", diag.msg);
	return err;
}

void nb_host_destroy(struct nb_host *h)
{
	int i;

	if (!h)
		return;
	/* Devices before the contexts they are bound to, as a process's exit would in the worst case not do. */
	for (i = 0; i < MAX_OPEN; i++)
		if (h->file[i].kind == VFIO)
			vfio_close(h->file[i].vfio);
	for (i = 0; i < MAX_OPEN; i++) {
		if (h->file[i].kind != QUEUE)
			continue;
		host_queue_close(h->file[i].queue);
		slot_free(h, &h->file[i]);
	}
	for (i = 0; i < MAX_OPEN; i++)
		if (h->file[i].kind == IOMMUFD)
			iommufd_close(h->file[i].iommufd);
	machine_destroy(h->machine);
	pthread_cond_destroy(&h->idle);
	pthread_rwlock_destroy(&h->bind_lock);
	pthread_mutex_destroy(&h->lock);
	nb_free(h);
}
