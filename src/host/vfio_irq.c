/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupts of a function, delivered by adding one to eventfds of the owner's.
 *
 * The owner may close its descriptor right after SET_IRQS, so we hold a duplicate. A vector without a descriptor is as good as
 * masked: a message that comes is kept and delivered with the next descriptor.
 * INTx is a level: firing masks it until the owner unmasks, and it fires again then if the line is still asserted.
 *
 * Each message has vectors of the virtual CPUs (irq_vector.c); what the function is told to send is what the unit's driver says. All messages of the
 * mode have theirs from the moment it is set up, so a vector of MSI-X may get its descriptor at any time, and later lose it.
 *
 * f->lock serialises changes; f->irq.lock protects the state against interrupts and is never held while the function is called.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "host/host_priv.h"
#include "host/sys.h"
#include "host/vfio.h"

void vfio_irq_init(struct host_function *f)
{
	pthread_mutex_init(&f->irq.lock, NULL);
	f->irq.err_fd = f->irq.req_fd = -1;
}

void vfio_irq_fini(struct host_function *f)
{
	pthread_mutex_destroy(&f->irq.lock);
}

unsigned int vfio_irq_count(const struct host_function *f, uint32_t index)
{
	switch (index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		return f->caps.intx;
	case VFIO_PCI_MSI_IRQ_INDEX:
		return f->caps.msi_vectors;
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return f->caps.msix_vectors;
	case VFIO_PCI_ERR_IRQ_INDEX:
		return f->caps.pcie;
	case VFIO_PCI_REQ_IRQ_INDEX:
		return 1;
	default:
		return 0;
	}
}

long vfio_irq_info(struct host_function *f, uint64_t uarg)
{
	struct vfio_irq_info c;

	if (user_read(&c, uarg, sizeof(c)))
		return -EFAULT;
	if (c.argsz < sizeof(c) || c.index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	if (c.index == VFIO_PCI_ERR_IRQ_INDEX && !f->caps.pcie)
		return -EINVAL;
	c.count = vfio_irq_count(f, c.index);
	c.flags = VFIO_IRQ_INFO_EVENTFD;
	if (c.index == VFIO_PCI_INTX_IRQ_INDEX)
		c.flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
	else if (c.index != VFIO_PCI_MSIX_IRQ_INDEX)
		c.flags |= VFIO_IRQ_INFO_NORESIZE; /* MSI-X vectors may come one by one */
	return user_write(uarg, &c, sizeof(c));
}

/* Delivery */

static void signal_vector_locked(struct host_function *f, unsigned int index, unsigned int vector, int fd)
{
	if (sys_event_signal(fd) == 0)
		NB_TRACE(f->host->cfg.tr, vfio_irq, f->number, index, vector);
	else
		NB_TRACE(f->host->cfg.tr, vfio_irq_lost, f->number, index, vector);
}

static void intx_fire_locked(struct host_function *f)
{
	struct vfio_irqs *q = &f->irq;

	if (q->mode != IRQ_MODE_INTX || q->intx_masked || q->intx_disabled || q->vec[0].fd < 0)
		return;
	q->intx_masked = true;
	signal_vector_locked(f, VFIO_PCI_INTX_IRQ_INDEX, 0, q->vec[0].fd);
}

void host_function_irq(struct host_function *f, enum dev_irq kind, unsigned int vector, bool level)
{
	struct vfio_irqs *q = &f->irq;
	enum irq_mode want = kind == DEV_IRQ_MSI ? IRQ_MODE_MSI : IRQ_MODE_MSIX;
	unsigned int index = kind == DEV_IRQ_MSI ? VFIO_PCI_MSI_IRQ_INDEX : VFIO_PCI_MSIX_IRQ_INDEX;

	pthread_mutex_lock(&q->lock);
	if (kind == DEV_IRQ_INTX) {
		if (level)
			intx_fire_locked(f);
	} else if (q->mode != want || vector >= q->nvec) {
		NB_TRACE(f->host->cfg.tr, vfio_irq_lost, f->number, index, vector);
	} else if (q->vec[vector].fd < 0) {
		q->vec[vector].pending = true;
	} else {
		signal_vector_locked(f, index, vector, q->vec[vector].fd);
	}
	pthread_mutex_unlock(&q->lock);
}

/* The mask may just have come off. The line is asked without our lock: the function has its own. */
static void intx_again(struct host_function *f)
{
	bool pending = dev_intx_pending(f->fn);

	pthread_mutex_lock(&f->irq.lock);
	if (pending)
		intx_fire_locked(f);
	pthread_mutex_unlock(&f->irq.lock);
}

void vfio_irq_set_intx_disabled_locked(struct host_function *f, bool disabled)
{
	bool was;

	pthread_mutex_lock(&f->irq.lock);
	was = f->irq.intx_disabled;
	f->irq.intx_disabled = disabled;
	pthread_mutex_unlock(&f->irq.lock);
	if (was && !disabled)
		intx_again(f);
}

/* Setting up */

/* A duplicate of an eventfd of the caller's: -EBADF, -EINVAL (some other file), -EMFILE. */
static int take_eventfd(int fd, struct nb_diag *diag)
{
	char path[32], link[32] = "";
	int own = sys_dupfd(fd);
	struct stat st;
	long n = 0;
	unsigned int i = sizeof(path);

	if (own < 0)
		return nb_fail(diag, own, "descriptor %d cannot be used", fd);
	if (sys_fstat(own, &st) == 0 && (st.st_mode & S_IFMT) != 0) {
		sys_close(own);
		return nb_fail(diag, -EINVAL, "descriptor %d is no eventfd", fd);
	}
	/* Anonymous; which kind, /proc says where there is one. */
	path[--i] = '\0';
	for (int v = own; v || path[i] == '\0'; v /= 10)
		path[--i] = (char)('0' + v % 10);
	i -= (unsigned int)strlen("/proc/self/fd/");
	memcpy(path + i, "/proc/self/fd/", strlen("/proc/self/fd/"));
	n = sys_readlink(path + i, link, sizeof(link) - 1);
	if (n > 0 && strcmp(link, "anon_inode:[eventfd]") != 0) {
		sys_close(own);
		return nb_fail(diag, -EINVAL, "descriptor %d is no eventfd", fd);
	}
	return own;
}

static enum dev_irq kind_of(enum irq_mode mode)
{
	return mode == IRQ_MODE_MSIX ? DEV_IRQ_MSIX : mode == IRQ_MODE_MSI ? DEV_IRQ_MSI : DEV_IRQ_INTX;
}

static void destroy_messages_locked(struct host_function *f)
{
	for (unsigned int i = 0; i < f->irq.nmsg; i++)
		irq_message_destroy(f, &f->irq.msg[i]);
	nb_free(f->irq.msg);
	f->irq.msg = NULL;
	f->irq.nmsg = 0;
}

static int create_messages_locked(struct host_function *f, enum irq_mode mode, unsigned int nvec, struct nb_diag *diag)
{
	unsigned int n = mode == IRQ_MODE_MSIX ? nvec : mode == IRQ_MODE_MSI ? 1 : 0;
	int err = 0;

	if (!n)
		return 0;
	f->irq.msg = nb_calloc(n, sizeof(*f->irq.msg));
	if (!f->irq.msg)
		return -ENOMEM;
	f->irq.nmsg = n;
	for (unsigned int i = 0; i < n && !err; i++)
		err = irq_message_create(f, kind_of(mode), i, mode == IRQ_MODE_MSI ? nvec : 1, &f->irq.msg[i], diag);
	if (err)
		destroy_messages_locked(f);
	return err;
}

/* Into the function's table or capability. */
static int program_messages_locked(struct host_function *f, enum irq_mode mode)
{
	int err = 0;

	for (unsigned int i = 0; i < f->irq.nmsg && !err; i++)
		err = f->doorbell ? msi_program(f, i, f->irq.msg[i].msg.data) :
				    dev_irq_message(f->fn, kind_of(mode), i, f->irq.msg[i].msg.addr, f->irq.msg[i].msg.data);
	return err;
}

static void disable_locked(struct host_function *f)
{
	struct vfio_irqs *q = &f->irq;
	struct irq_vector *vec = q->vec;
	unsigned int nvec = q->nvec;
	enum irq_mode mode = q->mode;

	if (mode == IRQ_MODE_NONE)
		return;
	pthread_mutex_lock(&q->lock);
	q->mode = IRQ_MODE_NONE;
	q->vec = NULL;
	q->nvec = 0;
	pthread_mutex_unlock(&q->lock);
	(void)dev_irq_enable(f->fn, kind_of(mode), 0);
	destroy_messages_locked(f);
	for (unsigned int i = 0; i < nvec; i++) {
		if (vec[i].fd >= 0)
			sys_close(vec[i].fd);
	}
	nb_free(vec);
}

static int enable_locked(struct host_function *f, enum irq_mode mode, unsigned int nvec, struct nb_diag *diag)
{
	struct vfio_irqs *q = &f->irq;
	struct irq_vector *vec = nb_calloc(nvec, sizeof(*vec));
	int err;

	if (!vec)
		return -ENOMEM;
	for (unsigned int i = 0; i < nvec; i++)
		vec[i].fd = -1;
	err = create_messages_locked(f, mode, nvec, diag);
	if (err) {
		nb_free(vec);
		return err;
	}
	pthread_mutex_lock(&q->lock);
	q->vec = vec;
	q->nvec = nvec;
	q->mode = mode;
	q->intx_masked = false;
	pthread_mutex_unlock(&q->lock);
	err = program_messages_locked(f, mode);
	if (!err)
		err = dev_irq_enable(f->fn, kind_of(mode), nvec);
	if (err) {
		disable_locked(f);
		return nb_fail(diag, err, "the function cannot send %u messages", nvec);
	}
	return 0;
}

/* fd -1 takes the vector's descriptor away. */
static int set_vector_locked(struct host_function *f, unsigned int vector, int fd, struct nb_diag *diag)
{
	struct vfio_irqs *q = &f->irq;
	struct irq_vector *v = &q->vec[vector];
	int own = -1, old;

	if (fd >= 0) {
		own = take_eventfd(fd, diag);
		if (own < 0)
			return own;
	}
	pthread_mutex_lock(&q->lock);
	old = v->fd;
	v->fd = own;
	if (own >= 0 && v->pending) {
		v->pending = false;
		signal_vector_locked(f, q->mode == IRQ_MODE_MSIX ? VFIO_PCI_MSIX_IRQ_INDEX : VFIO_PCI_MSI_IRQ_INDEX, vector,
				     own);
	}
	pthread_mutex_unlock(&q->lock);
	if (old >= 0)
		sys_close(old);
	return 0;
}

/* SET_IRQS, taken apart. */
struct set {
	uint32_t flags, index, start, count;
	const uint8_t *data; /* count bytes (bool) or count times 4 (eventfd) */
};

static int32_t set_fd(const struct set *s, uint32_t i)
{
	int32_t fd;

	memcpy(&fd, s->data + i * sizeof(fd), sizeof(fd));
	return fd < 0 ? -1 : fd;
}

static int check_fd(const struct set *s, uint32_t i, struct nb_diag *diag)
{
	int32_t fd;

	memcpy(&fd, s->data + i * sizeof(fd), sizeof(fd));
	return fd < -1 ? nb_fail(diag, -EINVAL, "descriptor %" PRId32, fd) : 0;
}

static int intx_trigger(struct host_function *f, const struct set *s, struct nb_diag *diag)
{
	enum irq_mode mode = f->irq.mode;
	bool ours = mode == IRQ_MODE_INTX, fire;
	int err;

	if (ours && !s->count && s->flags & VFIO_IRQ_SET_DATA_NONE) {
		disable_locked(f);
		return 0;
	}
	if ((!ours && mode != IRQ_MODE_NONE) || s->start != 0 || s->count != 1)
		return nb_fail(diag, -EINVAL, "INTx has one line, and another kind of interrupt may not be set up");
	if (s->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
		err = check_fd(s, 0, diag);
		if (err)
			return err;
		if (!ours) {
			err = enable_locked(f, IRQ_MODE_INTX, 1, diag);
			if (err)
				return err;
		}
		err = set_vector_locked(f, 0, set_fd(s, 0), diag);
		if (err && !ours)
			disable_locked(f);
		if (!err)
			intx_again(f);
		return err;
	}
	if (!ours)
		return nb_fail(diag, -EINVAL, "INTx is not set up");
	fire = s->flags & VFIO_IRQ_SET_DATA_NONE || s->data[0];
	pthread_mutex_lock(&f->irq.lock);
	if (fire && f->irq.vec[0].fd >= 0)
		signal_vector_locked(f, VFIO_PCI_INTX_IRQ_INDEX, 0, f->irq.vec[0].fd);
	pthread_mutex_unlock(&f->irq.lock);
	return 0;
}

static int intx_mask(struct host_function *f, const struct set *s, bool mask, struct nb_diag *diag)
{
	if (f->irq.mode != IRQ_MODE_INTX || s->start != 0 || s->count != 1)
		return nb_fail(diag, -EINVAL, "INTx is not set up");
	if (s->flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return nb_fail(diag, -ENOTTY, "masking by eventfd is not offered");
	if (s->flags & VFIO_IRQ_SET_DATA_BOOL && !s->data[0])
		return 0;
	pthread_mutex_lock(&f->irq.lock);
	f->irq.intx_masked = mask;
	pthread_mutex_unlock(&f->irq.lock);
	if (!mask)
		intx_again(f);
	return 0;
}

static int set_block(struct host_function *f, const struct set *s, struct nb_diag *diag)
{
	int err = 0;
	uint32_t i;

	if (s->start + s->count > f->irq.nvec)
		return nb_fail(diag, -EINVAL, "vector %" PRIu32 " was not set up", s->start + s->count - 1);
	for (i = 0; i < s->count && !err; i++) {
		err = check_fd(s, i, diag);
		if (!err)
			err = set_vector_locked(f, s->start + i, set_fd(s, i), diag);
	}
	for (; err && i-- > 0;)
		(void)set_vector_locked(f, s->start + i, -1, NULL);
	return err;
}

static int message_trigger(struct host_function *f, const struct set *s, struct nb_diag *diag)
{
	enum irq_mode want = s->index == VFIO_PCI_MSI_IRQ_INDEX ? IRQ_MODE_MSI : IRQ_MODE_MSIX;
	enum irq_mode mode = f->irq.mode;
	int err;

	if (mode == want && !s->count && s->flags & VFIO_IRQ_SET_DATA_NONE) {
		disable_locked(f);
		return 0;
	}
	if (mode != want && mode != IRQ_MODE_NONE)
		return nb_fail(diag, -EINVAL, "another kind of interrupt is set up");
	if (s->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
		if (mode == want)
			return set_block(f, s, diag);
		if (s->start + s->count == 0)
			return nb_fail(diag, -EINVAL, "no vector");
		/* MSI-X vectors may be added later, so all of them are set up; MSI's number is fixed now. */
		err = enable_locked(f, want,
				    want == IRQ_MODE_MSIX ? vfio_irq_count(f, s->index) : s->start + s->count, diag);
		if (err)
			return err;
		err = set_block(f, s, diag);
		if (err)
			disable_locked(f);
		return err;
	}
	if (mode != want || s->start + s->count > f->irq.nvec)
		return nb_fail(diag, -EINVAL, "the vectors are not set up");
	pthread_mutex_lock(&f->irq.lock);
	for (uint32_t i = 0; i < s->count; i++) {
		int fd = f->irq.vec[s->start + i].fd;

		if (fd >= 0 && (s->flags & VFIO_IRQ_SET_DATA_NONE || s->data[i]))
			signal_vector_locked(f, s->index, s->start + i, fd);
	}
	pthread_mutex_unlock(&f->irq.lock);
	return 0;
}

/* ERR and REQ: one descriptor each. */
static int single_trigger(struct host_function *f, const struct set *s, int *fd, struct nb_diag *diag)
{
	int own = -1, old, err;

	if (s->start != 0 || s->count > 1)
		return -EINVAL;
	if (s->flags & VFIO_IRQ_SET_DATA_NONE) {
		if (*fd < 0)
			return nb_fail(diag, -EINVAL, "no eventfd is set");
		if (s->count) {
			signal_vector_locked(f, s->index, 0, *fd);
			return 0;
		}
	} else if (!s->count) {
		return -EINVAL;
	} else if (s->flags & VFIO_IRQ_SET_DATA_BOOL) {
		if (s->data[0] && *fd >= 0)
			signal_vector_locked(f, s->index, 0, *fd);
		return 0;
	} else {
		err = check_fd(s, 0, diag);
		if (err)
			return err;
		if (set_fd(s, 0) >= 0) {
			own = take_eventfd(set_fd(s, 0), diag);
			if (own < 0)
				return own;
		}
	}
	old = *fd;
	*fd = own;
	if (old >= 0)
		sys_close(old);
	return 0;
}

static int apply_locked(struct host_function *f, const struct set *s, struct nb_diag *diag)
{
	uint32_t action = s->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;

	switch (s->index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		if (action == VFIO_IRQ_SET_ACTION_TRIGGER)
			return intx_trigger(f, s, diag);
		if (action == VFIO_IRQ_SET_ACTION_MASK || action == VFIO_IRQ_SET_ACTION_UNMASK)
			return intx_mask(f, s, action == VFIO_IRQ_SET_ACTION_MASK, diag);
		break;
	case VFIO_PCI_MSI_IRQ_INDEX:
	case VFIO_PCI_MSIX_IRQ_INDEX:
		if (action == VFIO_IRQ_SET_ACTION_TRIGGER)
			return message_trigger(f, s, diag);
		break;
	case VFIO_PCI_ERR_IRQ_INDEX:
		if (action == VFIO_IRQ_SET_ACTION_TRIGGER && f->caps.pcie)
			return single_trigger(f, s, &f->irq.err_fd, diag);
		break;
	case VFIO_PCI_REQ_IRQ_INDEX:
		if (action == VFIO_IRQ_SET_ACTION_TRIGGER)
			return single_trigger(f, s, &f->irq.req_fd, diag);
		break;
	default:
		break;
	}
	return nb_fail(diag, -ENOTTY, "index %" PRIu32 " has no such action", s->index);
}

long vfio_set_irqs(struct host_function *f, uint64_t uarg, struct nb_diag *diag)
{
	const uint32_t known = VFIO_IRQ_SET_DATA_TYPE_MASK | VFIO_IRQ_SET_ACTION_TYPE_MASK;
	struct vfio_irq_set c;
	uint32_t max, size, minsz = offsetof(struct vfio_irq_set, data);
	struct set s;
	uint8_t *data = NULL;
	int err;

	if (user_read(&c, uarg, minsz))
		return -EFAULT;
	max = vfio_irq_count(f, c.index);
	if (c.argsz < minsz || c.index >= VFIO_PCI_NUM_IRQS || c.count >= UINT32_MAX - c.start || c.flags & ~known)
		return nb_fail(diag, -EINVAL, "index %" PRIu32 " start %" PRIu32 " count %" PRIu32 " flags %#" PRIx32, c.index,
			       c.start, c.count, c.flags);
	if (c.start >= max || c.start + c.count > max)
		return nb_fail(diag, -EINVAL, "index %" PRIu32 " has %" PRIu32 " vectors", c.index, max);
	switch (c.flags & VFIO_IRQ_SET_DATA_TYPE_MASK) {
	case VFIO_IRQ_SET_DATA_NONE:
		size = 0;
		break;
	case VFIO_IRQ_SET_DATA_BOOL:
		size = 1;
		break;
	case VFIO_IRQ_SET_DATA_EVENTFD:
		size = sizeof(int32_t);
		break;
	default:
		return nb_fail(diag, -EINVAL, "flags name no data type, or two");
	}
	/* max bounds count, count bounds the allocation */
	if (size && c.argsz - minsz < c.count * size)
		return nb_fail(diag, -EINVAL, "%" PRIu32 " bytes of data are too few", c.argsz - minsz);
	if (size && c.count) {
		data = nb_zalloc((size_t)c.count * size);
		if (!data)
			return -ENOMEM;
		if (user_read(data, uarg + minsz, (size_t)c.count * size)) {
			nb_free(data);
			return -EFAULT;
		}
	}
	s = (struct set){c.flags, c.index, c.start, c.count, data};
	pthread_mutex_lock(&f->lock);
	err = apply_locked(f, &s, diag);
	pthread_mutex_unlock(&f->lock);
	nb_free(data);
	return err;
}

void vfio_irq_close_locked(struct host_function *f)
{
	disable_locked(f);
	if (f->irq.err_fd >= 0)
		sys_close(f->irq.err_fd);
	if (f->irq.req_fd >= 0)
		sys_close(f->irq.req_fd);
	f->irq.err_fd = f->irq.req_fd = -1;
	vfio_irq_set_intx_disabled_locked(f, false);
}

void vfio_irq_restore_locked(struct host_function *f)
{
	if (f->irq.mode == IRQ_MODE_NONE)
		return;
	(void)program_messages_locked(f, f->irq.mode); /* both worked before the reset */
	(void)dev_irq_enable(f->fn, kind_of(f->irq.mode), f->irq.nvec);
}
