/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupt messages of functions on their way through a unit: vectors of the virtual CPUs, what the driver is asked for, what the function is told
 * to send, delivery, and taking it all back. The unit of the rig remaps by a handle in the address, or not at all.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dev/dmatest_regs.h"
#include "host/irq_vector.h"
#include "host_rig.h"

#define EV   (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER)
#define NONE (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER)
#define MSI  1
#define MSIX 2

static int setup(void **state)
{
	*state = rig_new_msi(true);
	return 0;
}
static int teardown(void **state)
{
	rig_free(*state);
	return 0;
}

static long set_irqs(struct rig *r, unsigned int i, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
		     const int32_t *fds)
{
	struct {
		uint32_t h[5];
		int32_t fd[8];
	} q = {{20, flags, index, start, count}, {0}};

	if (fds) {
		memcpy(q.fd, fds, count * 4);
		q.h[0] += count * 4;
	}
	return vfio_ioctl(r->vf[i], VFIO_DEVICE_SET_IRQS, (uintptr_t)&q);
}

static uint64_t fired(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void bind_master(struct rig *r, unsigned int i)
{
	uint16_t v = 6;

	rig_bind(r, i);
	assert_int_equal(vfio_pwrite(r->vf[i], &v, 2, (UINT64_C(7) << 40) + 4), 2);
}

static void interrupt(struct rig *r, unsigned int i, unsigned int vector)
{
	uint32_t v = DMATEST_CONTROL_INT_EN | vector << 8;

	assert_int_equal(vfio_pwrite(r->vf[i], &v, 4, DMATEST_CONTROL), 4);
	v = DMATEST_CMD_NOP;
	assert_int_equal(vfio_pwrite(r->vf[i], &v, 4, DMATEST_COMMAND), 4);
}

static void events(int32_t *e, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		e[i] = eventfd(0, EFD_NONBLOCK);
		assert_true(e[i] >= 0);
	}
}
static void close_all(const int32_t *e, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		close(e[i]);
}

static uint32_t msi_cap(struct rig *r, unsigned int i)
{
	uint8_t at = 0, b[2];

	dev_config_read(r->fn[i], 0x34, &at, 1);
	for (unsigned int n = 0; n < 48 && at; n++, at = b[1]) {
		dev_config_read(r->fn[i], at, b, 2);
		if (b[0] == 5)
			return at;
	}
	fail();
	return 0;
}

static uint64_t msix_addr(struct rig *r, unsigned int i, unsigned int v)
{
	return dev_bar_read(r->fn[i], DMATEST_BAR_MSIX, 16 * v, 4) |
	       dev_bar_read(r->fn[i], DMATEST_BAR_MSIX, 16 * v + 4, 4) << 32;
}
static uint32_t msix_data(struct rig *r, unsigned int i, unsigned int v)
{
	return (uint32_t)dev_bar_read(r->fn[i], DMATEST_BAR_MSIX, 16 * v + 8, 4);
}

static void msi(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t addr = 0, at = msi_cap(r, 0);
	int32_t e[4];
	uint16_t ctl;

	events(e, 4);
	bind_master(r, 0);
	/* three: a mapping of four, since the function puts its number into the data */
	assert_int_equal(set_irqs(r, 0, EV, MSI, 0, 3, e), 0);
	assert_int_equal(r->unit.nirqs, 1);
	assert_int_equal(r->unit.irq[0].n, 4);
	assert_int_equal(r->unit.irq[0].rid, RID(0));
	for (unsigned int i = 0; i < 4; i++) {
		const struct drv_irq_target *t = &r->unit.irq[0].target[i];

		assert_int_equal(t->dest, r->unit.irq[0].target[0].dest);
		assert_int_equal(t->vector, r->unit.irq[0].target[0].vector + i);
		assert_in_range(t->vector, 0x20, 0xef);
	}
	assert_int_equal(r->unit.irq[0].target[0].vector % 4, 0);
	dev_config_read(r->fn[0], at + 4, &addr, 4);
	assert_int_equal(addr, 0xfee00010);
	for (unsigned int v = 0; v < 3; v++) {
		interrupt(r, 0, v);
		assert_int_equal(r->msi_addr, 0xfee00010);
		assert_int_equal(r->msi_data, v);
		for (unsigned int i = 0; i < 3; i++)
			assert_int_equal(fired(e[i]), i == v);
	}
	/* the fourth has a vector and nobody behind it */
	interrupt(r, 0, 3);
	assert_int_equal(nb_trace_count(r->tr, NB_EV_vfio_irq_lost), 1);
	/* a reset takes the message out of the function; it is put back */
	assert_int_equal(vfio_ioctl(r->vf[0], VFIO_DEVICE_RESET, 0), 0);
	assert_int_equal(r->unit.nirqs, 1);
	interrupt(r, 0, 2);
	assert_int_equal(fired(e[2]), 1);
	/* down: the function is silent first, then the mapping goes, then the vectors */
	assert_int_equal(set_irqs(r, 0, NONE, MSI, 0, 0, NULL), 0);
	assert_int_equal(r->unit.irqs_mapped, 0);
	dev_config_read(r->fn[0], at + 2, &ctl, 2);
	assert_int_equal(ctl & 1, 0);
	host_deliver(r->host, r->unit.irq[0].target[2].dest, r->unit.irq[0].target[2].vector);
	assert_int_equal(fired(e[2]), 0);
	assert_int_equal(nb_trace_count(r->tr, NB_EV_vfio_irq_lost), 1); /* nobody has that vector */
	/* again: the same ones */
	assert_int_equal(set_irqs(r, 0, EV, MSI, 0, 4, e), 0);
	assert_int_equal(r->unit.irq[1].target[0].vector, r->unit.irq[0].target[0].vector);
	vfio_close(r->vf[0]); /* closing takes them down as well */
	r->vf[0] = NULL;
	assert_int_equal(r->unit.irqs_mapped, 0);
	close_all(e, 4);
}

static void msix(void **state)
{
	struct rig *r = rig_of(state);
	int32_t e[4], none = -1;

	events(e, 4);
	bind_master(r, 0);
	bind_master(r, 1);
	assert_int_equal(set_irqs(r, 0, EV, MSIX, 0, 1, e), 0);
	assert_int_equal(set_irqs(r, 1, EV, MSIX, 0, 1, &e[3]), 0);
	assert_int_equal(r->unit.irqs_mapped, 8); /* all of both tables */
	for (unsigned int i = 0; i < 8; i++) {
		assert_int_equal(r->unit.irq[i].n, 1);
		assert_int_equal(r->unit.irq[i].rid, RID(i / 4));
		assert_int_equal(msix_addr(r, i / 4, i % 4), 0xfee00010 | i << 5);
		assert_int_equal(msix_data(r, i / 4, i % 4), 0);
		for (unsigned int k = 0; k < i; k++) /* everybody has one of his own */
			assert_false(r->unit.irq[i].target[0].dest == r->unit.irq[k].target[0].dest &&
				     r->unit.irq[i].target[0].vector == r->unit.irq[k].target[0].vector);
	}
	interrupt(r, 0, 0);
	assert_int_equal(fired(e[0]), 1);
	/* what comes before there is a descriptor waits for it; vectors may be added and taken away without a new mapping */
	interrupt(r, 0, 2);
	assert_int_equal(set_irqs(r, 0, EV, MSIX, 2, 1, &e[2]), 0);
	assert_int_equal(fired(e[2]), 1);
	assert_int_equal(set_irqs(r, 0, EV, MSIX, 2, 1, &none), 0);
	interrupt(r, 0, 2);
	assert_int_equal(fired(e[2]), 0);
	assert_int_equal(set_irqs(r, 0, EV, MSIX, 2, 1, &e[2]), 0);
	assert_int_equal(fired(e[2]), 1);
	assert_int_equal(r->unit.nirqs, 8);
	assert_int_equal(vfio_ioctl(r->vf[0], VFIO_DEVICE_RESET, 0), 0);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(msix_addr(r, 0, i), 0xfee00010 | i << 5);
	interrupt(r, 0, 2);
	assert_int_equal(fired(e[2]), 1);
	interrupt(r, 1, 0);
	assert_int_equal(fired(e[3]), 1);
	assert_int_equal(set_irqs(r, 0, NONE, MSIX, 0, 0, NULL), 0);
	assert_int_equal(r->unit.irqs_mapped, 4);
	interrupt(r, 1, 0); /* the neighbour's stay */
	assert_int_equal(fired(e[3]), 1);
	close_all(e, 4);
}

/* A unit that remaps nothing: the architecture's own message. */
static void plain(void **state)
{
	struct rig *r = rig_of(state);
	int32_t e[4];

	events(e, 4);
	bind_master(r, 0);
	r->unit.irq_err = -EOPNOTSUPP;
	for (unsigned int index = MSI; index <= MSIX; index++) {
		assert_int_equal(set_irqs(r, 0, EV, index, 0, index == MSI ? 4 : 1, e), 0);
		if (index == MSIX) {
			for (unsigned int i = 1; i < 4; i++)
				assert_int_equal(set_irqs(r, 0, EV, index, i, 1, &e[i]), 0);
		}
		for (unsigned int v = 0; v < 4; v++) {
			interrupt(r, 0, v);
			assert_int_equal(r->msi_addr & ~UINT64_C(0xff000), 0xfee00000);
			assert_in_range(r->msi_data, 0x20, 0xef);
			assert_int_equal(r->msi_data % (index == MSI ? 4 : 1), index == MSI ? v : 0);
			for (unsigned int i = 0; i < 4; i++)
				assert_int_equal(fired(e[i]), i == v);
		}
		assert_int_equal(set_irqs(r, 0, NONE, index, 0, 0, NULL), 0);
	}
	close_all(e, 4);
}

/* The driver has no place for one of them: nothing is left, and the function stays as it was. */
static void refused(void **state)
{
	struct rig *r = rig_of(state);
	struct irq_message m[8];
	int32_t e[4];

	events(e, 4);
	bind_master(r, 0);
	r->unit.irq_err = -ENOSPC;
	r->unit.irq_err_after = 2;
	assert_int_equal(set_irqs(r, 0, EV, MSIX, 0, 4, e), -ENOSPC);
	assert_int_equal(r->unit.irqs_mapped, 0);
	r->unit.irq_err_after = 0;
	assert_int_equal(set_irqs(r, 0, EV, MSI, 0, 4, e), -ENOSPC);
	r->unit.irq_err = 0;
	assert_int_equal(set_irqs(r, 0, NONE, MSI, 0, 1, NULL), -EINVAL); /* not set up */
	/* and no vector is lost: the very first are free */
	for (unsigned int i = 0; i < 8; i++) {
		assert_int_equal(irq_message_create(r->hf[0], DEV_IRQ_MSIX, 0, 1, &m[i], NULL), 0);
		assert_int_equal(m[i].first.dest, 0);
		assert_int_equal(m[i].first.vector, 0x20 + i);
	}
	for (unsigned int i = 0; i < 8; i++)
		irq_message_destroy(r->hf[0], &m[i]);
	irq_message_destroy(r->hf[0], &m[0]); /* nothing any more */
	assert_int_equal(set_irqs(r, 0, EV, MSI, 0, 4, e), 0);
	close_all(e, 4);
}

static void exhausted(void **state)
{
	struct rig *r = rig_of(state);
	const unsigned int all = IRQ_CPUS * IRQ_PER_CPU;
	struct irq_message *m = calloc(all, sizeof(*m)), block[384], more;

	r->unit.irq_err = -EOPNOTSUPP;
#define CREATE(kind, n, out) irq_message_create(r->hf[0], kind, 0, n, out, NULL)
	for (unsigned int i = 0; i < all; i++) {
		assert_int_equal(CREATE(DEV_IRQ_MSIX, 1, &m[i]), 0);
		assert_in_range(m[i].first.dest, 0, 254); /* fits the plain message, and is not everybody */
		assert_int_equal(m[i].msg.addr, 0xfee00000 | m[i].first.dest << 12);
		assert_int_equal(m[i].msg.data, m[i].first.vector);
	}
	assert_int_equal(CREATE(DEV_IRQ_MSIX, 1, &more), -ENOSPC);
	/* one hole is one vector */
	irq_message_destroy(r->hf[0], &m[4711]);
	assert_int_equal(CREATE(DEV_IRQ_MSI, 2, &more), -ENOSPC);
	assert_int_equal(CREATE(DEV_IRQ_MSIX, 1, &m[4711]), 0);
	for (unsigned int i = 0; i < all; i++)
		irq_message_destroy(r->hf[0], &m[i]);
	for (unsigned int i = 0; i < 384; i++) {
		assert_int_equal(CREATE(DEV_IRQ_MSI, 17, &block[i]), 0);
		assert_int_equal(block[i].n, 32);
		assert_int_equal(block[i].first.vector % 32, 0);
	}
	assert_int_equal(CREATE(DEV_IRQ_MSI, 32, &more), -ENOSPC);
	assert_int_equal(CREATE(DEV_IRQ_MSI, 16, &m[0]), 0); /* 0xe0 to 0xef */
	assert_int_equal(m[0].first.vector, 0xe0);
	irq_message_destroy(r->hf[0], &m[0]);
	for (unsigned int i = 0; i < 384; i++)
		irq_message_destroy(r->hf[0], &block[i]);
	free(m);
}

static void stray(void **state)
{
	struct rig *r = rig_of(state);
	int32_t e;

	events(&e, 1);
	bind_master(r, 0);
	for (unsigned int v = 0; v < 256; v++) {
		host_deliver(r->host, 0, (uint8_t)v); /* nothing is set up at all */
		host_deliver(r->host, IRQ_CPUS, (uint8_t)v);
		host_deliver(r->host, UINT32_MAX, (uint8_t)v);
	}
	assert_int_equal(set_irqs(r, 0, EV, MSI, 0, 1, &e), 0);
	for (unsigned int d = 1; d < 300; d++) {
		for (unsigned int v = 0; v < 256; v++)
			host_deliver(r->host, d, (uint8_t)v);
	}
	assert_int_equal(fired(e), 0);
	for (unsigned int v = 0; v < 256; v++)
		host_deliver(r->host, 0, (uint8_t)v);
	assert_int_equal(fired(e), 1);
	close(e);
}

static void unsafe(void **state)
{
	struct rig *r = rig_of(state);

	rig_bind(r, 0);
	assert_int_equal(r->nlog, 0);
	r->unit.no_caps = 1u << DRV_CAP_ISOLATED_MSI;
	rig_bind(r, 1);
	assert_int_equal(r->nlog, 1);
	assert_non_null(strstr(r->log, "allow_unsafe_interrupts"));
	rig_bind(r, 2);
	assert_int_equal(r->nlog, 1);
}

static void fail_nth(void **state)
{
	struct rig *r = rig_of(state);
	int32_t e[4];
	unsigned int n, failures = 0;

	events(e, 4);
	bind_master(r, 0);
	for (n = 1; n < 100; n++) {
		bool done;

		nb_fail_nth_arm(n);
		for (unsigned int index = MSI; index <= MSIX; index++) {
			long err = set_irqs(r, 0, EV, index, 0, 4, e);

			if (!err)
				assert_int_equal(set_irqs(r, 0, NONE, index, 0, 0, NULL), 0);
			failures += err != 0;
			assert_int_equal(r->unit.irqs_mapped, 0);
		}
		done = !nb_fail_nth_fired();
		nb_fail_nth_arm(0);
		r->unit.nirqs = 0;
		if (done)
			break;
	}
	assert_in_range(n, 10, 60);
	assert_int_equal(failures, n - 1);
	close_all(e, 4);
}

/* Messages for everybody while a function's are set up and taken down: what arrives is for whoever has the vector. */
static _Atomic bool stop;

static void *storm(void *arg)
{
	struct rig *r = arg;

	while (!atomic_load(&stop)) {
		for (unsigned int v = 0x20; v < 0x30; v++)
			host_deliver(r->host, 0, (uint8_t)v);
	}
	return NULL;
}

static void threads(void **state)
{
	struct rig *r = rig_of(state);
	pthread_t t[2];
	int32_t e[4];

	events(e, 4);
	bind_master(r, 0);
	bind_master(r, 1);
	assert_int_equal(set_irqs(r, 1, EV, MSIX, 0, 1, &e[3]), 0);
	atomic_store(&stop, false);
	for (unsigned int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, storm, r);
	r->unit.irq_err = -EOPNOTSUPP;
	for (unsigned int i = 0; i < 1000; i++) {
		assert_int_equal(set_irqs(r, 0, EV, i & 1 ? MSI : MSIX, 0, 1, e), 0);
		while (i % 100 == 0 && !fired(e[0])) /* the storm has met it, too */
			sched_yield();
		assert_int_equal(set_irqs(r, 0, NONE, i & 1 ? MSI : MSIX, 0, 0, NULL), 0);
	}
	atomic_store(&stop, true);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_true(fired(e[3]) > 0);
	close_all(e, 4);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(msi), T(msix), T(plain), T(refused), T(exhausted), T(stray), T(unsafe), T(fail_nth), T(threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
