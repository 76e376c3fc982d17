/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupt vectors of the virtual CPUs: (APIC id, vector) to the message of a function that it stands for.
 *
 * There are as many CPUs as messages need, up to a bound. Their APIC ids are small enough for the architecture's plain message, so that
 * units without remapping can be served too.
 *
 * Locking: giving and taking back serialise on `lock`, a leaf. Looking up takes no lock: it happens on any thread that sends a message.
 */
#ifndef NB_HOST_IRQ_VECTOR_H
#define NB_HOST_IRQ_VECTOR_H

#include <pthread.h>
#include <stdatomic.h>

#include "dev/dev.h"
#include "drv/drv.h"

struct host;
struct host_function;

#define IRQ_CPUS	 64u
#define IRQ_VECTOR_FIRST 0x20u /* below are the exceptions */
#define IRQ_VECTOR_LAST	 0xefu /* above, what a kernel keeps for itself */
#define IRQ_PER_CPU	 (IRQ_VECTOR_LAST + 1 - IRQ_VECTOR_FIRST)

struct irq_cpu {
	_Atomic uint64_t slot[IRQ_PER_CPU]; /* 0: free; irq_vector.c packs them */
};

struct irq_vectors {
	pthread_mutex_t lock;
	_Atomic(struct irq_cpu *) cpu[IRQ_CPUS]; /* released when made, and never taken away before the end */
};

/* A message of a function: consecutive vectors on one CPU, and how the function reaches them. */
struct irq_message {
	struct drv_irq_target first;
	unsigned int n; /* power of two; 0: none */
	bool remapped;
	uint32_t handle; /* the driver's, or the first event at the doorbell */
	struct drv_msi msg; /* at a doorbell only the data: the address is msi.h's */
};

void irq_vectors_init(struct irq_vectors *v);
void irq_vectors_fini(struct irq_vectors *v);

/*
 * Vectors for messages `first` to `first + n - 1` of f, and a mapping of the unit to them. n is rounded up to a power of two, and is
 * more than one only for MSI. -ENOSPC, -ENOMEM, and what the driver says.
 */
int irq_message_create(struct host_function *f, enum dev_irq kind, unsigned int first, unsigned int n,
		       struct irq_message *out, struct nb_diag *diag);
/* When this returns nothing is delivered any more. */
void irq_message_destroy(struct host_function *f, struct irq_message *m);

#endif
