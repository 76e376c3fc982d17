/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dmatest's page requests, stalled accesses, and the life of a command around them; translation requests. dmatest.h has the states.
 *
 * PCI Express Base 5.0, 10.4: a group of requests is named by its index until the response to it has come, so we remember which are
 * out, and with which PASID: the capability says that responses must carry it.
 */
#include "dev/dmatest.h"

static bool is_out(const struct dmatest *d, unsigned int group)
{
	return d->out[group / 64] & BIT(group % 64);
}

static void set_out(struct dmatest *d, unsigned int group, uint32_t pasid)
{
	if (!is_out(d, group))
		d->nout++;
	d->out[group / 64] |= BIT(group % 64);
	d->out_pasid[group] = pasid;
}

static void clear_out(struct dmatest *d, unsigned int group)
{
	d->out[group / 64] &= ~BIT(group % 64);
	d->nout--;
}

/* A free index, or DMATEST_GROUPS. */
static unsigned int find_group(const struct dmatest *d)
{
	for (unsigned int i = 0; i < DMATEST_GROUPS; i++) {
		unsigned int g = (d->next_group + i) % DMATEST_GROUPS;

		if (!is_out(d, g))
			return g;
	}
	return DMATEST_GROUPS;
}

/* Returns whether the end interrupts. */
static bool end_locked(struct dmatest *d, uint32_t error)
{
	d->state = DMATEST_ENDED;
	d->stall.on = false;
	d->number++;
	d->error = error;
	NB_TRACE(d->fn.tr, dmatest_done, d->error, d->error_addr);
	if (!(d->job.control & DMATEST_CONTROL_INT_EN))
		return false;
	d->int_pending = true;
	pci_intx_level(&d->fn, true);
	return true;
}

/* Send a request with the lock dropped. False: the job is no longer ours. */
static bool send_locked(struct dmatest *d, const struct dev_page_request *pr)
{
	uint64_t number = d->number;

	if (pr->access & (DEV_READ | DEV_WRITE | DEV_EXEC)) /* else a stop marker, which nobody answers */
		set_out(d, pr->prgi, pr->pasid);
	d->requests++;
	pthread_mutex_unlock(&d->lock);
	d->fn.bus.page_request(d->fn.bus.opaque, pr);
	pthread_mutex_lock(&d->lock);
	return d->number == number;
}

/* Ask for the page of d->miss. DMATEST_ERROR_*; *ours as send_locked()'s result. */
static uint32_t ask_locked(struct dmatest *d, bool *ours)
{
	struct dev_page_request pr = {
		.addr = nb_align_down(d->miss.addr, 4096), .pasid = d->job.pasid, .access = d->miss.access, .last = true};
	unsigned int group = find_group(d);

	*ours = true;
	if (d->miss.tries == DMATEST_MAX_RETRIES)
		return DMATEST_ERROR_RETRIES;
	if (group == DMATEST_GROUPS || d->nout >= pci_pri_allocation(&d->fn))
		return DMATEST_ERROR_NO_GROUP;
	d->next_group = (group + 1) % DMATEST_GROUPS;
	d->miss.tries++;
	d->miss.group = group;
	d->miss.answered = false;
	pr.prgi = (uint16_t)group;
	d->state = DMATEST_ASKING;
	*ours = send_locked(d, &pr);
	return DMATEST_ERROR_NONE;
}

static uint32_t answer_error(unsigned int code)
{
	switch (code) {
	case 0:
		return DMATEST_ERROR_NONE;
	case 1:
		return DMATEST_ERROR_INVALID;
	default: /* 10.4.2.1: what is reserved is handled as a response failure */
		return DMATEST_ERROR_FAILURE;
	}
}

/* PAGE_REQUEST: as the registers say, whether or not the interface is on: the other side has to cope. */
static uint32_t storm_locked(struct dmatest *d, bool *ours)
{
	const struct dmatest_job j = d->job;
	bool each = j.request & DMATEST_REQUEST_EACH;
	struct dev_page_request pr = {.pasid = j.pasid};

	*ours = true;
	if (!d->fn.bus.page_request)
		return DMATEST_ERROR_ABSENT;
	if (j.length == 0 || j.length > DMATEST_MAX_REQUESTS)
		return DMATEST_ERROR_LENGTH;
	pr.access = (uint8_t)FIELD_GET((uint64_t)(DMATEST_REQUEST_READ | DMATEST_REQUEST_WRITE | DMATEST_REQUEST_EXEC |
						  DMATEST_REQUEST_PRIV),
				       (uint64_t)j.request);
	d->state = DMATEST_ASKING;
	for (uint64_t i = 0; i < j.length; i++) {
		pr.addr = nb_align_down(j.src, 4096) + i * 4096;
		pr.prgi = (uint16_t)((j.request + (each ? i : 0)) & DMATEST_REQUEST_GROUP);
		pr.last = each || (i == j.length - 1 && (j.request & DMATEST_REQUEST_LAST));
		*ours = send_locked(d, &pr);
		if (!*ours)
			break;
		d->done++;
	}
	return DMATEST_ERROR_NONE;
}

/* Move the job on until it ends or waits. */
static bool go_on_locked(struct dmatest *d)
{
	uint32_t err;
	bool ours;

	for (;;) {
		d->state = DMATEST_RUNNING;
		err = dmatest_advance_locked(d);
		if (unlikely(err == DMATEST_STALLED)) {
			d->state = DMATEST_WAITING;
			return false;
		}
		if (likely(err != DMATEST_MISSING))
			return end_locked(d, err);
		err = ask_locked(d, &ours);
		if (!ours)
			return false;
		if (err)
			return end_locked(d, err);
		if (!d->miss.answered) {
			d->state = DMATEST_WAITING;
			return false;
		}
		err = answer_error(d->miss.code);
		if (err)
			return end_locked(d, err);
		d->error_addr = 0;
	}
}

bool dmatest_start_locked(struct dmatest *d)
{
	uint32_t err;
	bool ours;

	NB_TRACE(d->fn.tr, dmatest_cmd, d->command, d->src, d->dst, d->length);
	d->done = d->mismatch = d->error_addr = 0;
	d->count++;
	d->number++;
	d->error = DMATEST_ERROR_NONE;
	d->job = (struct dmatest_job){
		.src = d->src,
		.dst = d->dst,
		.length = d->length,
		.pattern = d->pattern,
		.command = d->command,
		.control = d->control,
		.request = d->request,
		.pasid = d->pasid & DMATEST_PASID_EN ? d->pasid & DMATEST_PASID_VALUE : NB_NO_PASID,
		.checksum = DMATEST_FNV_BASIS,
	};
	d->miss = (struct dmatest_miss){0};
	d->stall = (struct dmatest_stall){0};
	if (d->command != DMATEST_CMD_PAGE_REQUEST)
		return go_on_locked(d);
	err = storm_locked(d, &ours);
	return ours && end_locked(d, err);
}

bool dmatest_abort_locked(struct dmatest *d)
{
	if (d->state != DMATEST_ASKING && d->state != DMATEST_WAITING)
		return false;
	return end_locked(d, DMATEST_ERROR_ABORTED);
}

void dmatest_drop_locked(struct dmatest *d)
{
	d->number++;
	d->state = DMATEST_IDLE;
	d->miss = (struct dmatest_miss){0};
	d->stall = (struct dmatest_stall){0};
	for (unsigned int i = 0; i < DMATEST_GROUPS / 64; i++)
		d->out[i] = 0;
	d->nout = 0;
}

void dmatest_interrupt(struct dmatest *d, uint32_t control)
{
	pci_message(&d->fn, BIT(FIELD_GET((uint64_t)DMATEST_CONTROL_VECTOR, (uint64_t)control)));
	pci_irq_update(&d->fn);
}

/* Enters the response into the registers. Returns whether the job that waits may go on. */
static bool take_response_locked(struct dmatest *d, uint32_t pasid, unsigned int group, unsigned int code)
{
	d->last_response = group | (uint64_t)(code & 0xf) << 12;
	if (pasid != NB_NO_PASID)
		d->last_response |= DMATEST_RESPONSE_HAS_PASID | (uint64_t)(pasid & DMATEST_PASID_VALUE) << 32;
	if (!is_out(d, group) || d->out_pasid[group] != pasid) {
		d->unexpected++;
		pci_pri_status(&d->fn, PCI_PRI_UNEXPECTED);
		return false;
	}
	clear_out(d, group);
	d->responses++;
	if (answer_error(code) == DMATEST_ERROR_FAILURE)
		pci_pri_status(&d->fn, PCI_PRI_FAILED);
	if ((d->state != DMATEST_ASKING && d->state != DMATEST_WAITING) || !d->miss.tries || d->miss.answered ||
	    d->miss.group != group)
		return false;
	d->miss.answered = true;
	d->miss.code = code;
	return d->state == DMATEST_WAITING; /* asking: the thread that asks goes on */
}

void dmatest_page_response(struct dev_fn *fn, uint32_t pasid, unsigned int prgi, unsigned int code)
{
	struct dmatest *d = dmatest_of(fn);
	bool message = false;
	uint32_t control, err;

	if (pci_pri_failed(fn))
		return;
	pthread_mutex_lock(&d->lock);
	if (take_response_locked(d, pasid, prgi % DMATEST_GROUPS, code)) {
		err = answer_error(code);
		d->error_addr = err ? d->miss.addr : 0;
		message = err ? end_locked(d, err) : go_on_locked(d);
	}
	control = d->job.control;
	pthread_mutex_unlock(&d->lock);
	if (message)
		dmatest_interrupt(d, control);
}

/*
 * Our transactions have no other name than PASID and address: the end of one that a job left behind (ABORT, reset) may be taken for that of a
 * later job's at the same place. A retry does no harm then: it stalls again.
 */
void dmatest_stall_done(struct dev_fn *fn, uint32_t pasid, uint64_t addr, bool all, enum dev_stall_end end)
{
	struct dmatest *d = dmatest_of(fn);
	bool message = false;
	uint32_t control;

	pthread_mutex_lock(&d->lock);
	if (d->state == DMATEST_WAITING && d->stall.on && (all || (pasid == d->job.pasid && addr == d->stall.addr))) {
		d->stall.on = false;
		d->stall.raz = end == DEV_STALL_RAZ_WI;
		if (end == DEV_STALL_ABORT) {
			message = end_locked(d, d->stall.error);
		} else {
			d->error_addr = 0;
			message = go_on_locked(d);
		}
	}
	control = d->job.control;
	pthread_mutex_unlock(&d->lock);
	if (message)
		dmatest_interrupt(d, control);
}

void dmatest_pri_reset(struct dev_fn *fn)
{
	struct dmatest *d = dmatest_of(fn);
	bool message;
	uint32_t control;

	pthread_mutex_lock(&d->lock);
	for (unsigned int i = 0; i < DMATEST_GROUPS / 64; i++)
		d->out[i] = 0;
	d->nout = 0;
	message = dmatest_abort_locked(d);
	control = d->job.control;
	pthread_mutex_unlock(&d->lock);
	if (message)
		dmatest_interrupt(d, control);
}

uint32_t dmatest_translate_locked(struct dmatest *d)
{
	struct dev_ats c = {0};
	unsigned int access = (unsigned int)FIELD_GET((uint64_t)(DMATEST_REQUEST_READ | DMATEST_REQUEST_WRITE |
								 DMATEST_REQUEST_EXEC | DMATEST_REQUEST_PRIV),
						      (uint64_t)d->job.request);

	d->result = 0;
	d->result_addr = 0;
	if (!d->fn.bus.ats_translate)
		return DMATEST_ERROR_ABSENT;
	if (!atomic_load_explicit(&d->fn.master_on, memory_order_relaxed)) {
		d->error_addr = d->job.src;
		return DMATEST_ERROR_SRC_DMA;
	}
	d->fn.bus.ats_translate(d->fn.bus.opaque, d->job.pasid, d->job.src, access, &c);
	if (c.ur || c.ca) {
		d->result = c.ur ? DMATEST_RESULT_UR : DMATEST_RESULT_CA;
		d->error_addr = d->job.src;
		return DMATEST_ERROR_ATS;
	}
	d->result = (c.lg2 & DMATEST_RESULT_LG2) | (uint32_t)(c.perm & 7) << 8 |
		    (c.untranslated_only ? DMATEST_RESULT_U : 0) | (c.global ? DMATEST_RESULT_GLOBAL : 0);
	d->result_addr = c.pa;
	return DMATEST_ERROR_NONE;
}

uint32_t dmatest_features(struct dmatest *d)
{
	struct dev_fn *fn = &d->fn;
	uint32_t v = 0;

	if (fn->ats)
		v |= DMATEST_FEATURE_ATS | pci_ats_stu(fn) << 8;
	if (dev_feature_enabled(fn, DEV_FEATURE_ATS))
		v |= DMATEST_FEATURE_ATS_ON;
	if (fn->pri)
		v |= DMATEST_FEATURE_PRI;
	if (dev_feature_enabled(fn, DEV_FEATURE_PRI))
		v |= DMATEST_FEATURE_PRI_ON;
	if (fn->pasid)
		v |= DMATEST_FEATURE_PASID | (uint32_t)fn->pasid_bits << 16;
	if (dev_feature_enabled(fn, DEV_FEATURE_PASID))
		v |= DMATEST_FEATURE_PASID_ON;
	if (fn->stall)
		v |= DMATEST_FEATURE_STALL;
	return v;
}
