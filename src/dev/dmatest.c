/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dmatest: a DMA engine for test programs. docs/dmatest.md is the contract with the guest.
 *
 * Here: the registers, the function's birth and death. How a command runs is in dmatest.h.
 */
#include "dev/dmatest.h"

#include <string.h>
#include <sys/mman.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "dev/option.h"

static uint32_t status_of(const struct dmatest *d)
{
	switch (d->state) {
	case DMATEST_IDLE:
		return DMATEST_STATUS_IDLE;
	case DMATEST_ENDED:
		return d->error ? DMATEST_STATUS_ERROR : DMATEST_STATUS_DONE;
	default:
		return DMATEST_STATUS_WAITING;
	}
}

static uint32_t wait_of(const struct dmatest *d)
{
	bool on = (d->state == DMATEST_ASKING || d->state == DMATEST_WAITING) && d->miss.tries;

	return on ? DMATEST_WAIT_ON | d->miss.group : 0;
}

/* The registers as 64-bit words: off is a multiple of 8. */
static uint64_t word_locked(struct dmatest *d, uint64_t off)
{
	switch (off) {
	case DMATEST_ID:
		return DMATEST_ID_VALUE | (uint64_t)DMATEST_VERSION_VALUE << 32;
	case DMATEST_STATUS:
		return status_of(d) | (uint64_t)d->error << 32;
	case DMATEST_SRC:
		return d->src;
	case DMATEST_DST:
		return d->dst;
	case DMATEST_LENGTH:
		return d->length;
	case DMATEST_PATTERN:
		return d->pattern;
	case DMATEST_PASID:
		return d->pasid | (uint64_t)d->control << 32;
	case DMATEST_COMMAND:
		return d->command | (uint64_t)d->int_pending << 32;
	case DMATEST_ERROR_ADDR:
		return d->error_addr;
	case DMATEST_DONE:
		return d->done;
	case DMATEST_MISMATCH:
		return d->mismatch;
	case DMATEST_COUNT:
		return d->count;
	case DMATEST_CHECKSUM:
		return d->checksum;
	case DMATEST_SCRATCH:
		return d->scratch;
	case DMATEST_REQUEST:
		return d->request | (uint64_t)d->result << 32;
	case DMATEST_RESULT_ADDR:
		return d->result_addr;
	case DMATEST_FEATURES:
		return dmatest_features(d) | (uint64_t)wait_of(d) << 32;
	case DMATEST_REQUESTS:
		return d->requests;
	case DMATEST_RESPONSES:
		return d->responses;
	case DMATEST_UNEXPECTED:
		return d->unexpected;
	case DMATEST_RESPONSE:
		return d->last_response;
	default:
		return 0;
	}
}

static uint64_t dmatest_bar_read(struct dev_fn *fn, unsigned int bar, uint64_t off, unsigned int size)
{
	struct dmatest *d = dmatest_of(fn);
	uint64_t v = 0;

	if (bar == DMATEST_BAR_LOCAL) {
		memcpy(&v, d->local + off, size);
		return v;
	}
	pthread_mutex_lock(&d->lock);
	v = word_locked(d, nb_align_down(off, 8));
	pthread_mutex_unlock(&d->lock);
	return v >> 8 * (off & 7);
}

/* A 32-bit store into half of a 64-bit register, or all of it. */
static void put(uint64_t *reg, uint64_t off, unsigned int size, uint64_t v)
{
	if (size == 8)
		*reg = v;
	else if (off & 4)
		*reg = (*reg & UINT32_MAX) | v << 32;
	else
		*reg = (*reg & ~(uint64_t)UINT32_MAX) | v;
}

/* A 32-bit register. Returns whether its effect interrupts. */
static bool put32_locked(struct dmatest *d, uint64_t off, uint32_t v)
{
	switch (off) {
	case DMATEST_PASID:
		d->pasid = v & (DMATEST_PASID_VALUE | DMATEST_PASID_EN);
		return false;
	case DMATEST_CONTROL:
		d->control = v & (DMATEST_CONTROL_INT_EN | DMATEST_CONTROL_ATS | DMATEST_CONTROL_PRI |
				  DMATEST_CONTROL_VECTOR);
		return false;
	case DMATEST_COMMAND:
		if (v == DMATEST_CMD_ABORT)
			return dmatest_abort_locked(d);
		if (d->state == DMATEST_ASKING || d->state == DMATEST_WAITING)
			return false;
		d->command = v;
		return dmatest_start_locked(d);
	case DMATEST_REQUEST:
		d->request = v & (DMATEST_REQUEST_GROUP | DMATEST_REQUEST_READ | DMATEST_REQUEST_WRITE |
				  DMATEST_REQUEST_EXEC | DMATEST_REQUEST_PRIV | DMATEST_REQUEST_LAST |
				  DMATEST_REQUEST_EACH);
		return false;
	case DMATEST_INT:
		if (v & DMATEST_INT_PENDING)
			d->int_pending = false;
		return false;
	default:
		return false;
	}
}

static void dmatest_bar_write(struct dev_fn *fn, unsigned int bar, uint64_t off, unsigned int size, uint64_t v)
{
	struct dmatest *d = dmatest_of(fn);
	bool message = false;
	uint32_t control;

	if (bar == DMATEST_BAR_LOCAL) {
		memcpy(d->local + off, &v, size);
		return;
	}
	if (size < 4)
		return;
	pthread_mutex_lock(&d->lock);
	switch (nb_align_down(off, 8)) {
	case DMATEST_SRC:
		put(&d->src, off, size, v);
		break;
	case DMATEST_DST:
		put(&d->dst, off, size, v);
		break;
	case DMATEST_LENGTH:
		put(&d->length, off, size, v);
		break;
	case DMATEST_PATTERN:
		put(&d->pattern, off, size, v);
		break;
	case DMATEST_SCRATCH:
		put(&d->scratch, off, size, v);
		break;
	default: /* two 32-bit registers */
		message = put32_locked(d, off, (uint32_t)v);
		if (size == 8)
			message |= put32_locked(d, off + 4, (uint32_t)(v >> 32));
		break;
	}
	pci_intx_level(fn, d->int_pending);
	control = d->job.control;
	pthread_mutex_unlock(&d->lock);

	if (message)
		dmatest_interrupt(d, control);
	else
		pci_irq_update(fn);
}

static void dmatest_reset(struct dev_fn *fn)
{
	struct dmatest *d = dmatest_of(fn);

	pthread_mutex_lock(&d->lock);
	d->src = d->dst = d->length = d->pattern = d->scratch = 0;
	d->pasid = d->control = d->command = d->request = d->result = d->error = 0;
	d->error_addr = d->done = d->mismatch = d->count = d->checksum = 0;
	d->result_addr = d->requests = d->responses = d->unexpected = d->last_response = 0;
	d->int_pending = false;
	dmatest_drop_locked(d);
	pthread_mutex_unlock(&d->lock);
}

static void dmatest_destroy(struct dev_fn *fn)
{
	struct dmatest *d = dmatest_of(fn);

	pci_fini(fn);
	pthread_mutex_destroy(&d->lock);
	munmap(d->local, DMATEST_BAR_LOCAL_SIZE);
	close(d->local_fd);
	nb_free(d);
}

/* Sealed against resizing: whoever gets the descriptor by mmap of BAR 2 cannot take the pages from under us. */
static int local_new(struct dmatest *d, struct nb_diag *diag)
{
	void *p = MAP_FAILED;
	int err;

	d->local_fd = nb_should_fail() ? (errno = ENOMEM, -1) :
					 memfd_create("nestbox-dmatest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (d->local_fd < 0)
		return nb_fail(diag, -errno, "dmatest: no memory file for BAR 2: %s", strerror(errno));
	if (!ftruncate(d->local_fd, DMATEST_BAR_LOCAL_SIZE) &&
	    !fcntl(d->local_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		p = mmap(NULL, DMATEST_BAR_LOCAL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, d->local_fd, 0);
	if (p == MAP_FAILED) {
		err = nb_fail(diag, -errno, "dmatest: no memory for BAR 2: %s", strerror(errno));
		close(d->local_fd);
		return err;
	}
	d->local = p;
	return 0;
}

struct options {
	bool ats, pri, stall;
	uint64_t pasid_bits;
};

static int read_options(const struct dev_option *opt, unsigned int nopts, struct options *o, struct nb_diag *diag)
{
	int err = 0;

	*o = (struct options){.ats = true, .pri = true, .pasid_bits = DMATEST_PASID_BITS};
	for (unsigned int i = 0; i < nopts && !err; i++) {
		if (strcmp(opt[i].key, "ats") == 0)
			err = option_bool(&opt[i], &o->ats, diag);
		else if (strcmp(opt[i].key, "pri") == 0)
			err = option_bool(&opt[i], &o->pri, diag);
		else if (strcmp(opt[i].key, "stall") == 0)
			err = option_bool(&opt[i], &o->stall, diag);
		else if (strcmp(opt[i].key, "pasid-bits") == 0)
			err = option_number(&opt[i], 0, DMATEST_PASID_BITS, &o->pasid_bits, diag);
		else
			err = option_unknown(&opt[i], "dmatest", diag);
	}
	if (!o->ats)
		o->pri = false; /* a page request helps only who asks for translations */
	return err;
}

static int dmatest_check(const struct dev_option *opt, unsigned int nopts, struct nb_diag *diag)
{
	struct options o;

	return read_options(opt, nopts, &o, diag);
}

static bool dmatest_has_ats(const struct dev_option *opt, unsigned int nopts)
{
	struct options o;

	return !read_options(opt, nopts, &o, NULL) && o.ats;
}

static int dmatest_create(const struct dev_option *opt, unsigned int nopts, const struct dev_bus *bus,
			  struct nb_trace *tr, struct dev_fn **out, struct nb_diag *diag)
{
	static const struct dev_fn_ops ops = {
		.destroy = dmatest_destroy,
		.reset = dmatest_reset,
		.bar_read = dmatest_bar_read,
		.bar_write = dmatest_bar_write,
		.page_response = dmatest_page_response,
		.stall_done = dmatest_stall_done,
		.pri_reset = dmatest_pri_reset,
	};
	static const struct pci_id id = {DMATEST_PCI_VENDOR, DMATEST_PCI_DEVICE, DMATEST_PCI_CLASS, 1};
	struct options o;
	struct dmatest *d;
	int err = dev_check_options(&dmatest_model.m, opt, nopts, diag);

	if (err)
		return err;
	(void)read_options(opt, nopts, &o, diag); /* checked */
	d = nb_zalloc(sizeof(*d));
	if (!d)
		return nb_fail(diag, -ENOMEM, "dmatest: out of memory");
	err = local_new(d, diag);
	if (err)
		goto out_free;
	if (pthread_mutex_init(&d->lock, NULL)) {
		err = -ENOMEM;
		goto out_local;
	}
	err = pci_init(&d->fn, &ops, bus, tr, &id);
	if (err)
		goto out_lock;
	pci_add_bar(&d->fn, DMATEST_BAR_REGS, &(struct dev_bar){.size = DMATEST_BAR_REGS_SIZE, .mem_fd = -1});
	pci_add_bar(&d->fn, DMATEST_BAR_LOCAL,
		    &(struct dev_bar){.size = DMATEST_BAR_LOCAL_SIZE, .mmap = true, .is64 = true,
				      .prefetchable = true, .mem_fd = d->local_fd});
	pci_add_intx(&d->fn);
	pci_add_pm(&d->fn);
	pci_add_msi(&d->fn, DMATEST_VECTORS);
	pci_add_pcie(&d->fn);
	pci_add_msix(&d->fn, DMATEST_BAR_MSIX, DMATEST_VECTORS);
	if (o.ats)
		pci_add_ats(&d->fn);
	if (o.pasid_bits)
		pci_add_pasid(&d->fn, (unsigned int)o.pasid_bits);
	if (o.pri)
		pci_add_pri(&d->fn);
	d->fn.stall = o.stall;
	pci_ready(&d->fn);
	*out = &d->fn;
	return 0;

out_lock:
	pthread_mutex_destroy(&d->lock);
out_local:
	munmap(d->local, DMATEST_BAR_LOCAL_SIZE);
	close(d->local_fd);
out_free:
	nb_free(d);
	return err;
}

const struct pci_model dmatest_model = {
	.m = {
		.name = "dmatest",
		.brief = "a documented DMA engine: copy, fill, compare, checksum, with or without PASID, ATS, page requests",
		.options = "ats=BOOL  the ATS capability, default on\n"
			   "pri=BOOL  the page request interface, default on with ats\n"
			   "stall=BOOL  its accesses can wait for software behind an SMMU, default off\n"
			   "pasid-bits=NUMBER  width of a PASID, 0: no capability; default 20\n",
		.create = dmatest_create,
	},
	.check = dmatest_check,
	.has_ats = dmatest_has_ats,
};
