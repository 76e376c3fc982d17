/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The doorbell of machines whose messages are writes to memory (Arm): one ITS for all units, in a frame of the process that nothing else can
 * be at.
 *
 * A DeviceID is the segment's number above the requester id, as the IORT says (acpi_iort.c). An LPI stands for a vector of a virtual CPU, so
 * that what the host decides about interrupts is the same on all machines.
 */
#include "machine/board.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/bits.h"

#define LPI_DEST   BITS(15, 8) /* of an LPI, from the first one */
#define LPI_VECTOR BITS(7, 0)

static void deliver(void *opaque, uint32_t lpi)
{
	struct machine *m = opaque;

	lpi -= ITS_LPI_FIRST;
	host_deliver(m->host, (uint32_t)FIELD_GET(LPI_DEST, lpi), (uint8_t)FIELD_GET(LPI_VECTOR, lpi));
}

int doorbell_create(struct machine *m)
{
	void *p = mmap(NULL, ITS_FRAME_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	m->doorbell = p;
	m->its = gic_its_new(m->tr, deliver, m);
	return m->its ? 0 : -ENOMEM;
}

void doorbell_destroy(struct machine *m)
{
	gic_its_free(m->its);
	if (m->doorbell)
		munmap(m->doorbell, ITS_FRAME_SIZE);
}

uint64_t doorbell_addr(const struct machine *m)
{
	return (uintptr_t)m->doorbell + ITS_TRANSLATER;
}

void doorbell_unit(struct unit *u, uint16_t segment)
{
	u->hw->doorbell = gic_its_doorbell(u->m->its, hpa((uintptr_t)u->m->doorbell));
	u->hw->doorbell_device = (uint32_t)segment << 16;
}

static uint32_t device_of(const struct function *f)
{
	return f->unit->hw->doorbell_device | f->desc->rid;
}

static int map(void *opaque, unsigned int event, unsigned int n, const struct drv_irq_target *to)
{
	struct function *f = opaque;
	unsigned int i;
	int err = 0;

	for (i = 0; i < n && !err; i++)
		err = gic_its_map(f->unit->m->its, device_of(f), event + i,
				  ITS_LPI_FIRST + (uint32_t)(FIELD(LPI_DEST, to[i].dest) | FIELD(LPI_VECTOR, to[i].vector)));
	if (err)
		gic_its_unmap(f->unit->m->its, device_of(f), event, i);
	return err;
}

static void unmap(void *opaque, unsigned int event, unsigned int n)
{
	struct function *f = opaque;

	gic_its_unmap(f->unit->m->its, device_of(f), event, n);
}

/* As many events as it has messages of either kind; MSI's are a power of two. */
int doorbell_function(struct function *f, const struct dev_caps *caps)
{
	unsigned int n = caps->msi_vectors > 1 ? 1u << (nb_ilog2(caps->msi_vectors - 1) + 1) : caps->msi_vectors;

	if (caps->msix_vectors > n)
		n = caps->msix_vectors;
	f->doorbell = (struct host_doorbell){.addr = doorbell_addr(f->unit->m), .opaque = f, .map = map, .unmap = unmap};
	return gic_its_add_device(f->unit->m->its, device_of(f), n);
}
