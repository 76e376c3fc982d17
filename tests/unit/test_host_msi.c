/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Doorbells in page tables, in the host's core alone: places in the window, which tables show them and when, and the rules of guest-MSI
 * bindings. What messages do on real tables is in test_machine_msi.c.
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

#include "dev/dmatest_regs.h"
#include "host_rig.h"
#include "uapi/nestbox.h"

#define WIN	 UINT64_C(0x8000000)
#define DOORBELL UINT64_C(0x7000000000040)
#define GIOVA	 UINT64_C(0x33000)
#define GDB	 UINT64_C(0x55000)
#define EV	 (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER)
#define NONE	 (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER)
#define PARENT	 IOMMU_HWPT_ALLOC_NEST_PARENT
#define OK(c)	 assert_int_equal((c), 0)

static struct host_doorbell bells[NFN];
static unsigned int mapped_events;

static int bell_map(void *opaque, unsigned int event, unsigned int n, const struct drv_irq_target *to)
{
	(void)opaque, (void)event;
	assert_true(to[0].vector >= 0x20);
	mapped_events += n;
	return 0;
}

static void bell_unmap(void *opaque, unsigned int event, unsigned int n)
{
	(void)opaque, (void)event;
	mapped_events -= n;
}

static int make(void **state, bool guest)
{
	struct rig *r;

	for (unsigned int i = 0; i < NFN; i++)
		bells[i] = (struct host_doorbell){.addr = DOORBELL, .map = bell_map, .unmap = bell_unmap};
	rig_doorbell = bells;
	rig_guest_msi = guest;
	r = rig_new_msi(true);
	r->unit.resv[0] = (struct drv_resv){WIN, WIN + 0xfffff, DRV_RESV_SW_MSI};
	*state = r;
	return 0;
}
static int setup(void **state)
{
	return make(state, false);
}
static int setup_guest(void **state)
{
	return make(state, true);
}
static int teardown(void **state)
{
	rig_free(*state);
	assert_int_equal(mapped_events, 0);
	return 0;
}

/* One vector of MSI-X to an eventfd, which sets up all; or all down. */
static long irqs(struct rig *r, unsigned int i, bool on)
{
	struct {
		uint32_t h[5];
		int32_t fd;
	} q = {{on ? 24 : 20, on ? EV : NONE, VFIO_PCI_MSIX_IRQ_INDEX, 0, on}, on ? eventfd(0, EFD_NONBLOCK) : -1};
	long err = vfio_ioctl(r->vf[i], VFIO_DEVICE_SET_IRQS, (uintptr_t)&q);

	if (on)
		close(q.fd);
	return err;
}

/* Where the function writes to now. */
static uint64_t message(struct rig *r, unsigned int i, unsigned int vector)
{
	uint32_t v = DMATEST_CONTROL_INT_EN | vector << 8;
	uint16_t command = 6;

	r->msi_addr = 0;
	assert_int_equal(vfio_pwrite(r->vf[i], &command, 2, (UINT64_C(7) << 40) + 4), 2);
	assert_int_equal(vfio_pwrite(r->vf[i], &v, 4, DMATEST_CONTROL), 4);
	v = DMATEST_CMD_NOP;
	assert_int_equal(vfio_pwrite(r->vf[i], &v, 4, DMATEST_COMMAND), 4);
	assert_int_equal(r->msi_data, vector);
	return r->msi_addr;
}

static struct fake_domain *table(unsigned int i)
{
	struct drv_domain *d = rig_attached[RID(i)];

	assert_non_null(d);
	return fake(d->parent ? d->parent : d);
}

/* What is at ia of a table; null: nothing. All that was unmapped was invalidated. */
static const struct fake_map *at(const struct fake_domain *f, uint64_t ia)
{
	assert_false(f->unsynced);
	for (unsigned int k = 0; k < f->n; k++) {
		if (ia - f->map[k].ia < f->map[k].len)
			return &f->map[k];
	}
	return NULL;
}

static void shows(const struct fake_domain *f, uint64_t ia, uint64_t pa, unsigned int prot)
{
	const struct fake_map *m = at(f, ia);

	assert_non_null(m);
	assert_int_equal(m->pa, pa & ~(PG - 1));
	assert_int_equal(m->len, PG);
	assert_int_equal(m->prot, prot);
}

static void window(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t s = rig_ioas(r), a, b;
	struct fake_domain *f, *g;

	rig_bind(r, 0);
	a = rig_hwpt(r, 0, s, 0);
	b = rig_hwpt(r, 0, s, 0);
	OK(rig_attach(r, 0, a));
	f = table(0);
	assert_null(at(f, WIN)); /* not before somebody needs it */
	OK(irqs(r, 0, true));
	shows(f, WIN, DOORBELL, PT_READ | PT_WRITE | PT_DEVICE);
	assert_null(at(f, WIN + PG));
	assert_int_equal(message(r, 0, 0), WIN + 0x40);
	assert_int_equal(message(r, 0, 3), WIN + 0x40);
	/* It stays with the group, from table to table. */
	OK(rig_attach(r, 0, b));
	g = table(0);
	assert_ptr_not_equal(f, g);
	assert_null(at(f, WIN));
	shows(g, WIN, DOORBELL, PT_READ | PT_WRITE | PT_DEVICE);
	OK(irqs(r, 0, false));
	OK(rig_detach(r, 0));
	assert_null(at(g, WIN));
	OK(rig_attach(r, 0, s));
	shows(table(0), WIN, DOORBELL, PT_READ | PT_WRITE | PT_DEVICE);
	/* A table that cannot show it is not attached, and what is attached stays. */
	OK(rig_attach(r, 0, a));
	r->unit.map_err = -ENOMEM;
	assert_int_equal(rig_attach(r, 0, b), -ENOMEM);
	assert_ptr_equal(table(0), f);
	shows(f, WIN, DOORBELL, PT_READ | PT_WRITE | PT_DEVICE);
	r->unit.map_err = 0;
	r->unit.attach_err = -EIO;
	assert_int_equal(rig_attach(r, 0, b), -EIO);
	assert_null(at(g, WIN));
	r->unit.attach_err = 0;
	OK(rig_attach(r, 0, b));
	OK(rig_detach(r, 0));
	OK(rig_destroy(r, a));
	OK(rig_destroy(r, b));
	OK(rig_destroy(r, s));
}

/* What nothing translates, or everything stops, gets the doorbell's own address. So does a device whose driver names no window. */
static void no_window(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t s = rig_ioas(r);

	rig_bind(r, 0);
	OK(irqs(r, 0, true));
	assert_int_equal(message(r, 0, 0), DOORBELL);
	OK(rig_attach(r, 0, s)); /* as in Linux: what is set up stays as it was */
	assert_int_equal(message(r, 0, 0), DOORBELL);
	assert_null(at(table(0), WIN));
	OK(irqs(r, 0, false));
	r->unit.nresv = 0;
	OK(irqs(r, 0, true));
	assert_int_equal(message(r, 0, 1), DOORBELL);
	assert_null(at(table(0), WIN));
	OK(irqs(r, 0, false));
}

/* With live messages from one address space to another, both functions of a group. The window is reserved where something is attached. */
static void other_address_space(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t s = rig_ioas(r), t = rig_ioas(r), a, b;
	uint8_t *buf = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct fake_domain *f, *g;
	uint64_t n;

	rig_bind(r, 1);
	rig_bind(r, 2);
	a = rig_hwpt(r, 1, s, 0);
	b = rig_hwpt(r, 1, t, 0);
	OK(rig_attach(r, 1, a));
	OK(rig_attach(r, 2, a));
	f = table(1);
	OK(irqs(r, 1, true));
	OK(irqs(r, 2, true));
	OK(rig_map_at(r, t, buf, PG, WIN + 0xff000));
	assert_int_equal(rig_attach(r, 1, b), -EADDRINUSE);
	assert_ptr_equal(table(2), f);
	shows(f, WIN, DOORBELL, PT_READ | PT_WRITE | PT_DEVICE);
	assert_int_equal(message(r, 2, 1), WIN + 0x40);
	OK(rig_unmap(r, t, WIN + 0xff000, PG, NULL));
	OK(rig_attach(r, 1, b));
	g = table(2);
	assert_ptr_not_equal(f, g);
	assert_null(at(f, WIN));
	shows(g, WIN, DOORBELL, PT_READ | PT_WRITE | PT_DEVICE);
	/* One stays: so does all of it. */
	OK(rig_detach(r, 1));
	shows(g, WIN, DOORBELL, PT_READ | PT_WRITE | PT_DEVICE);
	assert_int_equal(rig_map_at(r, t, buf, PG, WIN), -EINVAL);
	OK(rig_map_at(r, s, buf, PG, WIN));
	/* Areas on both sides: what is unmapped and counted is theirs. */
	OK(rig_map_at(r, t, buf, PG, WIN - PG));
	OK(rig_map_at(r, t, buf, 2 * PG, WIN + 0x100000));
	OK(rig_unmap(r, t, 0, UINT64_MAX, &n));
	assert_int_equal(n, 3 * PG);
	assert_int_equal(g->n, 1);
	shows(g, WIN, DOORBELL, PT_READ | PT_WRITE | PT_DEVICE);
	OK(rig_map_at(r, t, buf, PG, WIN - PG));
	OK(rig_map_at(r, t, buf, PG, WIN + 0x100000));
	OK(rig_unmap(r, t, WIN - PG, 0x102000, &n));
	assert_int_equal(n, 2 * PG);
	assert_int_equal(g->n, 1);
	assert_int_equal(rig_unmap(r, t, WIN, PG, NULL), -ENOENT);
	/* The descriptors may go in any order. */
	iommufd_close(r->fd);
	r->fd = NULL;
	assert_int_equal(message(r, 2, 1), WIN + 0x40);
	vfio_close(r->vf[2]);
	r->vf[2] = NULL;
	assert_null(rig_attached[RID(2)]);
	munmap(buf, 2 * PG);
}

/* 64 a context, at 4 KiB each; one that has its place keeps it. */
static void too_many_doorbells(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t s = rig_ioas(r);

	rig_bind(r, 0);
	OK(rig_attach(r, 0, s));
	for (unsigned int k = 0; k < 64; k++) {
		bells[0].addr = DOORBELL + k * PG;
		OK(irqs(r, 0, true));
		assert_int_equal(message(r, 0, 0), WIN + k * PG + 0x40);
		shows(table(0), WIN + k * PG, DOORBELL + k * PG, PT_READ | PT_WRITE | PT_DEVICE);
		OK(irqs(r, 0, false));
	}
	bells[0].addr = DOORBELL + 64 * PG;
	assert_int_equal(irqs(r, 0, true), -EOVERFLOW);
	assert_int_equal(mapped_events, 0);
	assert_null(at(table(0), WIN + 64 * PG));
	bells[0].addr = DOORBELL + 63 * PG + 8;
	OK(irqs(r, 0, true));
	assert_int_equal(message(r, 0, 0), WIN + 63 * PG + 0x48);
	/* Another context begins anew. */
	OK(irqs(r, 0, false));
	vfio_close(r->vf[0]);
	r->vf[0] = NULL;
	rig_bind(r, 0);
	OK(rig_attach(r, 0, s));
	bells[0].addr = DOORBELL + 64 * PG;
	assert_int_equal(irqs(r, 0, true), -EOVERFLOW);
	OK(rig_detach(r, 0));
	assert_int_equal(r->nlog > 0 && strstr(r->log, "64 doorbells") != NULL, 1);
}

/* What a group needs is said in its owner's terms, and goes with it. */
static void next_owner(void **state)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = 11};
	struct iommu_ioas_alloc ioas = {.size = sizeof(ioas)};
	struct rig *r = rig_of(state);

	rig_bind(r, 0);
	OK(rig_attach(r, 0, rig_ioas(r)));
	OK(irqs(r, 0, true));
	vfio_close(r->vf[0]);
	OK(vfio_open(r->host, 0, &r->vf[0]));
	OK(vfio_ioctl(r->vf[0], VFIO_DEVICE_BIND_IOMMUFD, (uintptr_t)&bind));
	OK(iommufd_ioctl(r->fd2, IOMMU_IOAS_ALLOC, (uintptr_t)&ioas));
	OK(rig_attach(r, 0, ioas.out_ioas_id));
	assert_int_equal(table(0)->n, 0);
	OK(irqs(r, 0, true));
	shows(table(0), WIN, DOORBELL, PT_READ | PT_WRITE | PT_DEVICE);
}

/* A small window is full before the table is; another one is empty. */
static void small_window(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t s = rig_ioas(r);

	r->unit.resv[0].last = WIN + 2 * PG - 1;
	rig_bind(r, 0);
	OK(rig_attach(r, 0, s));
	for (unsigned int k = 0; k < 3; k++) {
		bells[0].addr = DOORBELL + k * PG;
		assert_int_equal(irqs(r, 0, true), k < 2 ? 0 : -EOVERFLOW);
		if (k < 2)
			OK(irqs(r, 0, false));
	}
	OK(rig_detach(r, 0));
	r->unit.resv[0] = (struct drv_resv){2 * WIN, 2 * WIN + 0xfffff, DRV_RESV_SW_MSI};
	OK(rig_attach(r, 0, s));
	bells[0].addr = DOORBELL;
	OK(irqs(r, 0, true));
	assert_int_equal(message(r, 0, 0), 2 * WIN + 0x40);
	shows(table(0), 2 * WIN, DOORBELL, PT_READ | PT_WRITE | PT_DEVICE);
}

/* Two functions of a group, and a nested one: the parent shows it, and the last one to go takes it away. */
static void groups_and_parents(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t s = rig_ioas(r), parent, n0, n1;
	struct fake_domain *f;

	for (unsigned int i = 0; i < 3; i++)
		rig_bind(r, i);
	parent = rig_hwpt(r, 0, s, PARENT);
	OK(rig_nested_try(r, 0, parent, 0, &n0));
	OK(rig_nested_try(r, 1, parent, 0, &n1));
	OK(rig_attach(r, 0, n0));
	OK(irqs(r, 0, true));
	f = table(0);
	shows(f, WIN, DOORBELL, PT_READ | PT_WRITE | PT_DEVICE);
	assert_int_equal(message(r, 0, 2), WIN + 0x40);
	bells[2].addr = DOORBELL + PG;
	OK(rig_attach(r, 1, n1)); /* group 2: functions 1 and 2 */
	OK(rig_attach(r, 2, n1));
	OK(irqs(r, 1, true));
	OK(irqs(r, 2, true));
	shows(f, WIN + PG, DOORBELL + PG, PT_READ | PT_WRITE | PT_DEVICE);
	OK(rig_detach(r, 0));
	shows(f, WIN, DOORBELL, PT_READ | PT_WRITE | PT_DEVICE);
	OK(rig_detach(r, 1));
	shows(f, WIN, DOORBELL, PT_READ | PT_WRITE | PT_DEVICE);
	OK(rig_detach(r, 2));
	assert_null(at(f, WIN));
	assert_null(at(f, WIN + PG));
	OK(rig_attach(r, 2, n1));
	shows(f, WIN, DOORBELL, PT_READ | PT_WRITE | PT_DEVICE);
	shows(f, WIN + PG, DOORBELL + PG, PT_READ | PT_WRITE | PT_DEVICE);
	OK(rig_detach(r, 2));
}

/* ---- guest-MSI bindings ---- */

static long bind(struct rig *r, uint32_t dev, uint64_t giova, uint64_t gdb, uint64_t granule)
{
	struct nestbox_guest_msi_bind b = {.size = sizeof(b), .dev_id = dev, .giova = giova, .gdb = gdb, .granule = granule};

	return rig_ioctl(r, NESTBOX_GUEST_MSI_BIND, &b);
}

static long unbind(struct rig *r, uint32_t dev)
{
	struct nestbox_guest_msi_unbind u = {.size = sizeof(u), .dev_id = dev};

	return rig_ioctl(r, NESTBOX_GUEST_MSI_UNBIND, &u);
}

/* Where the description does not say so, there are no such calls. */
static void not_offered(void **state)
{
	struct rig *r = rig_of(state);

	rig_bind(r, 0);
	assert_int_equal(bind(r, r->devid[0], GIOVA, GDB, PG), -ENOTTY);
	assert_int_equal(unbind(r, r->devid[0]), -ENOTTY);
}

static void binding_refused(void **state)
{
	struct rig *r = rig_of(state);
	struct nestbox_guest_msi_bind b = {.size = sizeof(b), .giova = GIOVA, .gdb = GDB, .granule = PG};
	struct nestbox_guest_msi_unbind u = {.size = sizeof(u)};
	uint32_t s = rig_ioas(r), dev;

	rig_bind(r, 0);
	dev = b.dev_id = u.dev_id = r->devid[0];
	assert_int_equal(bind(r, s, GIOVA, GDB, PG), -ENOENT);
	assert_int_equal(unbind(r, s), -ENOENT);
	assert_int_equal(unbind(r, dev), -ENOENT);
	b.flags = 1;
	assert_int_equal(rig_ioctl(r, NESTBOX_GUEST_MSI_BIND, &b), -EOPNOTSUPP);
	b.flags = 0;
	b.__reserved = 1;
	assert_int_equal(rig_ioctl(r, NESTBOX_GUEST_MSI_BIND, &b), -EOPNOTSUPP);
	b.__reserved = 0;
	b.size--;
	assert_int_equal(rig_ioctl(r, NESTBOX_GUEST_MSI_BIND, &b), -EINVAL);
	u.flags = 1;
	assert_int_equal(rig_ioctl(r, NESTBOX_GUEST_MSI_UNBIND, &u), -EOPNOTSUPP);
	assert_int_equal(rig_ioctl(r, NESTBOX_GUEST_MSI_UNBIND + 1, &u), -ENOTTY);
	assert_int_equal(rig_ioctl(r, NESTBOX_GUEST_MSI_BIND | 0x10000, &b), -ENOTTY);
	/* The guest's page must hold one of stage 2's, and both addresses be pages. */
	assert_int_equal(bind(r, dev, GIOVA, GDB, 0), -EINVAL);
	assert_int_equal(bind(r, dev, GIOVA, GDB, 2048), -EINVAL);
	assert_int_equal(bind(r, dev, 0, 0, 3 * PG), -EINVAL);
	assert_int_equal(bind(r, dev, GIOVA + 0x40, GDB, PG), -EINVAL);
	assert_int_equal(bind(r, dev, GIOVA, GDB + 0x40, PG), -EINVAL);
	assert_int_equal(bind(r, dev, GIOVA, 0x50000, 16 * PG), -EINVAL);
	OK(bind(r, dev, 0x30000, 0x50000, 16 * PG));
	OK(unbind(r, dev));
	/* Hardware that knows messages by their address has no use for it. */
	r->unit.resv[0] = (struct drv_resv){0xfee00000, 0xfeefffff, DRV_RESV_MSI};
	assert_int_equal(bind(r, dev, GIOVA, GDB, PG), -EINVAL);
	assert_non_null(strstr(r->log, "hardware"));
}

static void bound(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t s = rig_ioas(r), parent, parent2, nested, nested2, dev;
	struct fake_domain *f;

	rig_bind(r, 0);
	dev = r->devid[0];
	parent = rig_hwpt(r, 0, s, PARENT);
	parent2 = rig_hwpt(r, 0, s, PARENT);
	OK(rig_nested_try(r, 0, parent, 0, &nested));
	OK(rig_nested_try(r, 0, parent2, 0, &nested2));
	OK(rig_attach(r, 0, nested));
	f = table(0);
	/* Without a binding it is said where interrupts are set up. */
	assert_int_equal(irqs(r, 0, true), -ENOENT);
	assert_int_equal(nb_trace_count(r->tr, NB_EV_host_msi_unbound), 1);
	assert_int_equal(mapped_events, 0);
	assert_int_equal(f->n, 0);
	OK(bind(r, dev, GIOVA, GDB, PG));
	OK(bind(r, dev, GIOVA, GDB, PG));
	assert_int_equal(f->n, 0); /* at first use */
	OK(irqs(r, 0, true));
	assert_int_equal(f->n, 1);
	shows(f, GDB, DOORBELL, PT_WRITE | PT_DEVICE);
	assert_int_equal(message(r, 0, 1), GIOVA + 0x40);
	OK(bind(r, dev, GIOVA, GDB, PG));
	assert_int_equal(f->n, 1);
	assert_int_equal(f->map[0].ia, GDB);
	/* Bound anew: the new page is there, the old one not, and the function knows. */
	OK(bind(r, dev, GIOVA + PG, GDB + PG, PG));
	assert_null(at(f, GDB));
	shows(f, GDB + PG, DOORBELL, PT_WRITE | PT_DEVICE);
	assert_int_equal(message(r, 0, 1), GIOVA + PG + 0x40);
	/* It goes along to another parent, and back if that fails. */
	r->unit.attach_err = -EIO;
	assert_int_equal(rig_attach(r, 0, nested2), -EIO);
	r->unit.attach_err = 0;
	shows(f, GDB + PG, DOORBELL, PT_WRITE | PT_DEVICE);
	OK(rig_attach(r, 0, nested2));
	assert_int_equal(f->n, 0);
	f = table(0);
	shows(f, GDB + PG, DOORBELL, PT_WRITE | PT_DEVICE);
	/* The window is another way: not while interrupts are set up. */
	assert_int_equal(rig_attach(r, 0, parent2), -EBUSY);
	shows(f, GDB + PG, DOORBELL, PT_WRITE | PT_DEVICE);
	OK(unbind(r, dev));
	assert_int_equal(f->n, 0);
	assert_int_equal(unbind(r, dev), -ENOENT);
	assert_int_equal(rig_attach(r, 0, nested), -ENOENT); /* it would lose them */
	assert_int_equal(nb_trace_count(r->tr, NB_EV_host_msi_unbound), 2);
	OK(bind(r, dev, GIOVA, GDB, PG)); /* live: mapped at once */
	shows(f, GDB, DOORBELL, PT_WRITE | PT_DEVICE);
	assert_int_equal(message(r, 0, 1), GIOVA + 0x40);
	OK(rig_detach(r, 0));
	assert_int_equal(f->n, 0);
	OK(rig_attach(r, 0, nested2));
	shows(f, GDB, DOORBELL, PT_WRITE | PT_DEVICE);
	OK(irqs(r, 0, false));
	OK(rig_attach(r, 0, parent2));
	assert_null(at(f, GDB));
	OK(irqs(r, 0, true)); /* not nested: the kernel's way, binding or not */
	assert_int_equal(message(r, 0, 0), WIN + 0x40);
	assert_int_equal(rig_attach(r, 0, nested2), -EBUSY);
	OK(irqs(r, 0, false));
	OK(rig_attach(r, 0, nested2));
	OK(irqs(r, 0, true));
	/* The binding goes with the device. */
	vfio_close(r->vf[0]);
	r->vf[0] = NULL;
	assert_int_equal(f->n, 0);
	rig_bind(r, 0);
	assert_int_equal(unbind(r, r->devid[0]), -ENOENT);
	assert_int_equal(r->unit.domains, 4);
}

/* Nothing of the user's may be where the doorbell is shown, and nothing can be put there. */
static void place_is_taken(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t s = rig_ioas(r), parent, nested, dev;
	struct iommu_iova_range allowed = {0x100000, 0x1fffff};
	struct iommu_ioas_allow_iovas allow = {.size = sizeof(allow), .ioas_id = s, .num_iovas = 1, .allowed_iovas = (uintptr_t)&allowed};
	uint8_t *buf = mmap(NULL, 4 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct fake_domain *f;

	rig_bind(r, 0);
	dev = r->devid[0];
	parent = rig_hwpt(r, 0, s, PARENT);
	OK(rig_nested_try(r, 0, parent, 0, &nested));
	OK(rig_attach(r, 0, nested));
	f = table(0);
	OK(rig_map_at(r, s, buf, 4 * PG, GDB - PG));
	OK(bind(r, dev, GIOVA, GDB, PG));
	assert_int_equal(irqs(r, 0, true), -EADDRINUSE);
	assert_int_equal(mapped_events, 0);
	OK(rig_unmap(r, s, GDB - PG, 4 * PG, NULL));
	/* A table without memory for it: the place is free again. */
	r->unit.map_err = -ENOMEM;
	assert_int_equal(irqs(r, 0, true), -ENOMEM);
	r->unit.map_err = 0;
	OK(rig_map_at(r, s, buf, PG, GDB));
	OK(rig_unmap(r, s, GDB, PG, NULL));
	OK(irqs(r, 0, true));
	assert_int_equal(rig_map_at(r, s, buf, 4 * PG, GDB - PG), -EINVAL);
	OK(rig_map_at(r, s, buf, PG, GDB - PG));
	OK(rig_map_at(r, s, buf, 2 * PG, GDB + PG));
	/* Unmapping everything is about the user's areas; unbinding about the doorbell. */
	OK(rig_unmap(r, s, 0, UINT64_MAX, NULL));
	shows(f, GDB, DOORBELL, PT_WRITE | PT_DEVICE);
	OK(rig_map_at(r, s, buf, PG, GDB - PG));
	OK(rig_map_at(r, s, buf + 2 * PG, PG, GDB + PG));
	/* Live, and the new place is taken: the old one stays. */
	assert_int_equal(bind(r, dev, GIOVA + PG, GDB + PG, PG), -EADDRINUSE);
	shows(f, GDB, DOORBELL, PT_WRITE | PT_DEVICE);
	assert_int_equal(message(r, 0, 0), GIOVA + 0x40);
	assert_int_equal(bind(r, dev, GIOVA, BIT(48), PG), -ERANGE);
	OK(unbind(r, dev));
	assert_int_equal(f->n, 2);
	assert_non_null(at(f, GDB - PG));
	assert_non_null(at(f, GDB + PG));
	OK(rig_map_at(r, s, buf + PG, PG, GDB));
	/* What may be mapped and nothing else, and a place of the window's that is in use. */
	assert_int_equal(bind(r, dev, GIOVA, GDB, PG), -EADDRINUSE);
	OK(rig_unmap(r, s, 0, UINT64_MAX, NULL));
	OK(rig_ioctl(r, IOMMU_IOAS_ALLOW_IOVAS, &allow));
	assert_int_equal(bind(r, dev, GIOVA, 0x180000, PG), -EADDRINUSE);
	OK(bind(r, dev, GIOVA, WIN, PG));
	shows(f, WIN, DOORBELL, PT_WRITE | PT_DEVICE);
	OK(irqs(r, 0, false));
	munmap(buf, 4 * PG);
}

/* Devices of one guest write to one doorbell of the guest's. Two of ours cannot be at one place. */
static void shared_place(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t s = rig_ioas(r), parent, n0, n1;
	struct fake_domain *f;

	rig_bind(r, 0);
	rig_bind(r, 1);
	parent = rig_hwpt(r, 0, s, PARENT);
	OK(rig_nested_try(r, 0, parent, 0, &n0));
	OK(rig_nested_try(r, 1, parent, 0, &n1));
	OK(rig_attach(r, 0, n0));
	OK(rig_attach(r, 1, n1));
	f = table(0);
	OK(bind(r, r->devid[0], GIOVA, GDB, PG));
	OK(bind(r, r->devid[1], GIOVA + 5 * PG, GDB, PG));
	OK(irqs(r, 0, true));
	OK(irqs(r, 1, true));
	assert_int_equal(f->n, 1);
	assert_int_equal(message(r, 1, 2), GIOVA + 5 * PG + 0x40);
	OK(unbind(r, r->devid[0]));
	shows(f, GDB, DOORBELL, PT_WRITE | PT_DEVICE);
	OK(irqs(r, 1, false));
	OK(unbind(r, r->devid[1]));
	assert_int_equal(f->n, 0);
	OK(bind(r, r->devid[0], GIOVA, GDB, PG));
	OK(bind(r, r->devid[1], GIOVA, GDB, PG));
	bells[1].addr = DOORBELL + PG;
	assert_int_equal(irqs(r, 1, true), -EADDRINUSE);
	/* A place of the window's, first used by one way and then wanted by the other. */
	OK(unbind(r, r->devid[1]));
	OK(rig_attach(r, 1, parent));
	OK(irqs(r, 1, true));
	shows(f, WIN, DOORBELL + PG, PT_READ | PT_WRITE | PT_DEVICE);
	assert_int_equal(bind(r, r->devid[0], GIOVA, WIN, PG), -EADDRINUSE);
	OK(irqs(r, 1, false));
	OK(rig_detach(r, 1));
	OK(rig_detach(r, 0)); /* the last: the window is empty */
	OK(rig_attach(r, 0, n0));
	OK(bind(r, r->devid[0], GIOVA, WIN, PG));
	assert_int_equal(rig_attach(r, 1, parent), -EADDRINUSE);
}

/* ---- bound anew while a message is on its way: the old place is there until it has been sent ---- */

static struct {
	struct rig *r;
	_Atomic bool inside, started, bound, late;
} race;

static void slow_message(void)
{
	atomic_store(&race.inside, true);
	while (!atomic_load(&race.started))
		sched_yield();
	for (unsigned int i = 0; i < 200; i++)
		sched_yield(); /* time enough for one that does not wait */
	atomic_store(&race.late, atomic_load(&race.bound));
}

static void *send(void *arg)
{
	(void)arg;
	(void)message(race.r, 0, 1);
	return NULL;
}

static void bound_in_flight(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t s = rig_ioas(r), parent, nested;
	pthread_t t;

	rig_bind(r, 0);
	parent = rig_hwpt(r, 0, s, PARENT);
	OK(rig_nested_try(r, 0, parent, 0, &nested));
	OK(rig_attach(r, 0, nested));
	OK(bind(r, r->devid[0], GIOVA, GDB, PG));
	OK(irqs(r, 0, true));
	race.r = r;
	for (unsigned int i = 1; i <= 20; i++) {
		race.inside = race.started = race.bound = race.late = false;
		rig_in_msi = slow_message;
		OK(pthread_create(&t, NULL, send, NULL));
		while (!atomic_load(&race.inside))
			sched_yield();
		rig_in_msi = NULL;
		atomic_store(&race.started, true);
		OK(bind(r, r->devid[0], GIOVA + i * PG, GDB + i * PG, PG));
		atomic_store(&race.bound, true);
		pthread_join(t, NULL);
		assert_false(race.late);
	}
}

int main(void)
{
#define T(f, up) cmocka_unit_test_setup_teardown(f, up, teardown)
	const struct CMUnitTest tests[] = {
		T(window, setup),
		T(no_window, setup),
		T(other_address_space, setup),
		T(too_many_doorbells, setup),
		T(next_owner, setup),
		T(small_window, setup),
		T(groups_and_parents, setup),
		T(not_offered, setup),
		T(binding_refused, setup_guest),
		T(bound, setup_guest),
		T(place_is_taken, setup_guest),
		T(shared_place, setup_guest),
		T(bound_in_flight, setup_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
