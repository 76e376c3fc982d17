/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupts that wait a moment (option irq-delay).
 *
 * A command is done before the doorbell that started it returns, so a host that submits commands one by one is
 * interrupted once for each, where a disk that takes its time would tell of several at once. With a delay the first completion
 * starts the clock, and what else completes until it has run shares the interrupt. Only the message waits: data and
 * completion are in memory when the doorbell returns.
 *
 * This needs a thread, since no trap comes when the host waits. It lives from creation to destruction, blocks all
 * signals but those that guarded access needs, and holds no lock while it sleeps or sends.
 */
#include "dev/nvme/nvme.h"

#include <signal.h>
#include <sys/prctl.h>
#include <time.h>

#include "base/alloc.h"

struct nvme_pace {
	struct dev_fn *fn;
	unsigned int delay_us;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool idle, stop; /* under lock */
	_Atomic uint64_t held; /* vectors to send. Or-ed in (release) before the lock is looked at, taken (acquire) by the thread */
};

static void *run(void *arg)
{
	struct nvme_pace *p = arg;
	struct timespec delay = {.tv_nsec = (long)p->delay_us * 1000};
	bool stop;

	/* The default slack of 50 us would be most of the delay; without it the delay is only longer. */
	(void)prctl(PR_SET_TIMERSLACK, 1000UL);
	for (;;) {
		pthread_mutex_lock(&p->lock);
		p->idle = true;
		while (!p->stop && atomic_load_explicit(&p->held, memory_order_relaxed) == 0)
			pthread_cond_wait(&p->wake, &p->lock);
		p->idle = false;
		stop = p->stop;
		pthread_mutex_unlock(&p->lock);
		if (stop)
			return NULL;
		nanosleep(&delay, NULL); /* woken early: sent early */
		pci_message(p->fn, atomic_exchange_explicit(&p->held, 0, memory_order_acquire));
	}
}

void nvme_pace_send(struct nvme_pace *p, uint64_t vectors)
{
	/* Somebody has already seen to it that the thread comes by. */
	if (atomic_fetch_or_explicit(&p->held, vectors, memory_order_release) != 0)
		return;
	pthread_mutex_lock(&p->lock);
	if (p->idle)
		pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

int nvme_pace_new(struct nvme *n, unsigned int delay_us, struct nvme_pace **out)
{
	struct nvme_pace *p = nb_zalloc(sizeof(*p));
	sigset_t all, old;
	int err;

	if (!p)
		return -ENOMEM;
	p->fn = &n->fn;
	p->delay_us = delay_us;
	pthread_mutex_init(&p->lock, NULL); /* default attributes: cannot fail in glibc */
	pthread_cond_init(&p->wake, NULL);
	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = nb_should_fail() ? ENOMEM : pthread_create(&p->thread, NULL, run, p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err) {
		pthread_cond_destroy(&p->wake);
		pthread_mutex_destroy(&p->lock);
		nb_free(p);
		return -err;
	}
	*out = p;
	return 0;
}

void nvme_pace_free(struct nvme_pace *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	nb_free(p);
}
