/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/irq_vector.h"

#include <assert.h>
#include <errno.h>

#include "base/alloc.h"
#include "host/host_priv.h"
#include "host/vfio.h"

/* A slot in use: the function's number, MSI-X or MSI, and which of its messages. */
#define SLOT_USED     BIT(63)
#define SLOT_MSIX     BIT(62)
#define SLOT_FUNCTION BITS(61, 32)
#define SLOT_INDEX    BITS(31, 0)

/* The architecture's plain message (processor manual, volume 3, 11.11): physical destination, fixed delivery, edge. */
#define MSI_BASE     UINT64_C(0xfee00000)
#define MSI_DEST_LSB BIT(12)

#define MSI_MAX 32u /* messages of one function */

void irq_vectors_init(struct irq_vectors *v)
{
	pthread_mutex_init(&v->lock, NULL);
}

void irq_vectors_fini(struct irq_vectors *v)
{
	for (unsigned int i = 0; i < IRQ_CPUS; i++)
		nb_free(atomic_load_explicit(&v->cpu[i], memory_order_relaxed));
	pthread_mutex_destroy(&v->lock);
}

/* n free vectors of c in a row; the first is a multiple of n, because a function with several messages puts its number there. */
static bool find_row(const struct irq_cpu *c, unsigned int n, unsigned int *first)
{
	_Static_assert(IRQ_VECTOR_FIRST % MSI_MAX == 0, "aligned for any n");

	for (unsigned int v = IRQ_VECTOR_FIRST; v + n - 1 <= IRQ_VECTOR_LAST; v += n) {
		unsigned int i;

		for (i = 0; i < n; i++) {
			if (atomic_load_explicit(&c->slot[v + i - IRQ_VECTOR_FIRST], memory_order_relaxed))
				break;
		}
		if (i == n) {
			*first = v;
			return true;
		}
	}
	return false;
}

static int take_row(struct irq_vectors *v, unsigned int n, uint64_t slot, struct drv_irq_target *out)
{
	int err = -ENOSPC;

	pthread_mutex_lock(&v->lock);
	for (unsigned int i = 0; i < IRQ_CPUS && err == -ENOSPC; i++) {
		struct irq_cpu *c = atomic_load_explicit(&v->cpu[i], memory_order_relaxed);
		unsigned int first;

		if (!c) {
			c = nb_zalloc(sizeof(*c));
			if (!c) {
				err = -ENOMEM;
				break;
			}
			/* Release: pairs with the acquire in host_deliver(). */
			atomic_store_explicit(&v->cpu[i], c, memory_order_release);
		}
		if (!find_row(c, n, &first))
			continue;
		for (unsigned int k = 0; k < n; k++)
			atomic_store_explicit(&c->slot[first + k - IRQ_VECTOR_FIRST], slot + k, memory_order_release);
		*out = (struct drv_irq_target){.dest = i, .vector = (uint8_t)first};
		err = 0;
	}
	pthread_mutex_unlock(&v->lock);
	return err;
}

static void put_row(struct irq_vectors *v, struct drv_irq_target first, unsigned int n)
{
	struct irq_cpu *c = atomic_load_explicit(&v->cpu[first.dest], memory_order_relaxed);

	pthread_mutex_lock(&v->lock);
	for (unsigned int k = 0; k < n; k++)
		atomic_store_explicit(&c->slot[first.vector + k - IRQ_VECTOR_FIRST], 0, memory_order_release);
	pthread_mutex_unlock(&v->lock);
}

/* The number of the message is the event, so that several of MSI, whose low bits of the data are the function's, are the row they have to be. */
static int at_doorbell(struct host_function *f, enum dev_irq kind, unsigned int first, const struct drv_irq_target *target,
		       struct irq_message *m, struct nb_diag *diag)
{
	int err = f->doorbell->map(f->doorbell->opaque, first, m->n, target);

	if (err)
		return nb_fail(diag, err, "the doorbell has no room for the function's events");
	err = msi_add(f, kind, diag);
	if (err) {
		f->doorbell->unmap(f->doorbell->opaque, first, m->n);
		return err;
	}
	m->handle = m->msg.data = first;
	return 0;
}

static int by_driver(struct host_function *f, const struct drv_irq_target *target, struct irq_message *m, struct nb_diag *diag)
{
	const struct drv_ops *ops = f->drv->iommu->ops;
	int err = ops->irq_map ? ops->irq_map(f->drv, m->n, target, &m->handle, &m->msg, diag) : -EOPNOTSUPP;

	m->remapped = !err;
	if (err != -EOPNOTSUPP)
		return err;
	m->msg = (struct drv_msi){.addr = MSI_BASE | m->first.dest * MSI_DEST_LSB, .data = m->first.vector};
	return 0;
}

int irq_message_create(struct host_function *f, enum dev_irq kind, unsigned int first, unsigned int n,
		       struct irq_message *out, struct nb_diag *diag)
{
	struct irq_vectors *v = &f->host->irqs;
	struct irq_message m = {.n = n > 1 ? 1u << (nb_ilog2(n - 1) + 1) : 1};
	struct drv_irq_target target[MSI_MAX];
	int err;

	assert(m.n <= MSI_MAX);
	err = take_row(v, m.n,
		       SLOT_USED | (kind == DEV_IRQ_MSIX ? SLOT_MSIX : 0) | FIELD(SLOT_FUNCTION, f->number) |
			       FIELD(SLOT_INDEX, first),
		       &m.first);
	if (err)
		return nb_fail(diag, err, "no interrupt vectors are left");
	for (unsigned int i = 0; i < m.n; i++)
		target[i] = (struct drv_irq_target){.dest = m.first.dest, .vector = (uint8_t)(m.first.vector + i)};
	err = f->doorbell ? at_doorbell(f, kind, first, target, &m, diag) : by_driver(f, target, &m, diag);
	if (err)
		put_row(v, m.first, m.n);
	else
		*out = m;
	return err;
}

void irq_message_destroy(struct host_function *f, struct irq_message *m)
{
	if (!m->n)
		return;
	if (f->doorbell) {
		f->doorbell->unmap(f->doorbell->opaque, m->handle, m->n);
		msi_remove(f);
	}
	if (m->remapped)
		f->drv->iommu->ops->irq_unmap(f->drv, m->handle, m->n);
	put_row(&f->host->irqs, m->first, m->n);
	m->n = 0;
}

void host_deliver(struct host *h, uint32_t dest, uint8_t vector)
{
	const struct irq_cpu *c;
	uint64_t slot;

	if (dest >= IRQ_CPUS || vector < IRQ_VECTOR_FIRST || vector > IRQ_VECTOR_LAST)
		return;
	c = atomic_load_explicit(&h->irqs.cpu[dest], memory_order_acquire);
	slot = c ? atomic_load_explicit(&c->slot[vector - IRQ_VECTOR_FIRST], memory_order_acquire) : 0;
	if (slot & SLOT_USED) /* functions stay as long as the host */
		host_function_irq(h->fn[FIELD_GET(SLOT_FUNCTION, slot)], slot & SLOT_MSIX ? DEV_IRQ_MSIX : DEV_IRQ_MSI,
				  (unsigned int)FIELD_GET(SLOT_INDEX, slot), true);
}
