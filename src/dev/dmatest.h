/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dmatest inside: the function's state and how a command runs.
 *
 * A command is a job: a copy of the operands at the time of the write to COMMAND. dmatest_run_locked() moves it on until it ends or
 * needs a page; then a page request leaves without any lock of ours, because the answer may come before the call returns.
 *
 *   state     who enters                                lock
 *   idle      reset                                     held
 *   running   COMMAND; the thread that goes on          held all the time: nobody else sees it
 *   asking    the running thread, a request to send     dropped around bus.page_request
 *   waiting   the same thread, if no answer has come;   dropped; the thread leaves
 *             the running thread, if its access stalled
 *   ended     running, or ABORT in asking and waiting   held
 *
 * Whoever moves a job on holds the lock and knows its number: a job that was aborted or reset has another, so a thread that
 * comes back from asking leaves what is not its own alone. An answer that comes while the asking thread is on its way back is left to that
 * thread: so answers that come inside the call do not nest.
 */
#ifndef NB_DEV_DMATEST_H
#define NB_DEV_DMATEST_H

#include "dev/dmatest_regs.h"
#include "dev/pci.h"

enum dmatest_state { DMATEST_IDLE, DMATEST_RUNNING, DMATEST_ASKING, DMATEST_WAITING, DMATEST_ENDED };

struct dmatest_job {
	uint64_t src, dst, length, pattern;
	uint32_t command, control, request;
	uint32_t pasid; /* or NB_NO_PASID */
	uint64_t checksum; /* so far */
};

struct dmatest_miss { /* the access that found no translation */
	uint64_t addr;
	uint8_t access; /* DEV_READ or DEV_WRITE */
	unsigned int tries; /* page requests since the job last got on */
	unsigned int group; /* of the one that is out */
	bool answered;
	unsigned int code;
};

struct dmatest_stall { /* the access that stalled */
	bool on, raz;	 /* raz: it ended, and reads zero when it is done again */
	uint64_t addr;
	uint32_t error;	 /* what its abort is called */
};

struct dmatest {
	struct dev_fn fn;
	uint8_t *local; /* BAR 2; guests write it at any time */
	int local_fd;

	/* All below; held while a command moves on, dropped around page requests; dev_fn.lock nests inside. */
	pthread_mutex_t lock;
	uint64_t src, dst, length, pattern, scratch;
	uint32_t pasid, control, command, request, error;
	uint64_t error_addr, done, mismatch, count, checksum;
	uint32_t result;
	uint64_t result_addr;
	bool int_pending;

	enum dmatest_state state;
	uint64_t number; /* of the job */
	struct dmatest_job job;
	struct dmatest_miss miss;
	struct dmatest_stall stall;

	uint64_t requests, responses, unexpected, last_response;
	unsigned int next_group; /* where the search for a free one starts; not reset, so that late answers find nobody */
	unsigned int nout;
	uint64_t out[DMATEST_GROUPS / 64];    /* groups that were asked for and not answered */
	uint32_t out_pasid[DMATEST_GROUPS];
};

static inline struct dmatest *dmatest_of(struct dev_fn *fn)
{
	return container_of(fn, struct dmatest, fn);
}

/* dmatest_run.c. Results are DMATEST_ERROR_*, or DMATEST_MISSING: d->miss says what, or DMATEST_STALLED: d->stall does. */
#define DMATEST_MISSING UINT32_MAX
#define DMATEST_STALLED (UINT32_MAX - 1)
uint32_t dmatest_advance_locked(struct dmatest *d);

/*
 * dmatest_ats.c. Each may drop the lock and take it again. True: the job ended in here and interrupts; to be sent by the
 * caller after it has dropped the lock, with dmatest_interrupt().
 */
bool dmatest_start_locked(struct dmatest *d);
bool dmatest_abort_locked(struct dmatest *d);
void dmatest_interrupt(struct dmatest *d, uint32_t control);
/* What waits is no more, nobody is told: for resets. */
void dmatest_drop_locked(struct dmatest *d);
uint32_t dmatest_translate_locked(struct dmatest *d);
void dmatest_page_response(struct dev_fn *fn, uint32_t pasid, unsigned int prgi, unsigned int code);
void dmatest_stall_done(struct dev_fn *fn, uint32_t pasid, uint64_t addr, bool all, enum dev_stall_end end);
void dmatest_pri_reset(struct dev_fn *fn);
uint32_t dmatest_features(struct dmatest *d);

#endif
