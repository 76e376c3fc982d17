/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dmatest: a DMA engine for test programs. docs/dmatest.md is the contract with the guest.
 *
 * The thread that writes COMMAND runs it under `lock`, which every register access takes: so
 * nobody sees a command half done, and a reset waits for the one that runs. Work is bounded by the maximal length; requests
 * never cross a 4 KiB boundary, so the address of an aborted one is exact.
 */
#include "dev/dmatest_regs.h"

#include <string.h>
#include <sys/mman.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "dev/option.h"
#include "dev/pci.h"

#define CHUNK 4096

struct dmatest {
	struct dev_fn fn;
	uint8_t *local; /* BAR 2; guests write it at any time */
	int local_fd;

	pthread_mutex_t lock; /* all below; held while a command runs; dev_fn.lock nests inside */
	uint64_t src, dst, length, pattern, scratch;
	uint32_t pasid, control, command, status, error;
	uint64_t error_addr, done, mismatch, count, checksum;
	bool int_pending;
};

static struct dmatest *dmatest_of(struct dev_fn *fn)
{
	return container_of(fn, struct dmatest, fn);
}

/* One side of a command: an address on the bus, or an offset in local memory. */
struct side {
	uint64_t addr;
	bool local;
	uint32_t error; /* what an abort on this side is called */
};

static uint32_t side_check(const struct side *s, uint64_t length)
{
	if (s->local)
		return s->addr > DMATEST_BAR_LOCAL_SIZE || length > DMATEST_BAR_LOCAL_SIZE - s->addr ?
			       DMATEST_ERROR_LOCAL :
			       DMATEST_ERROR_NONE;
	return s->addr + (length - 1) < s->addr ? DMATEST_ERROR_LENGTH : DMATEST_ERROR_NONE;
}

static uint64_t to_boundary(const struct side *s, uint64_t off)
{
	return CHUNK - ((s->addr + off) & (CHUNK - 1));
}

static uint32_t aborted(struct dmatest *d, const struct side *s, uint64_t off)
{
	d->error_addr = s->addr + off;
	return s->error;
}

static uint32_t fetch(struct dmatest *d, const struct side *s, uint64_t off, uint8_t *buf, size_t n)
{
	uint32_t pasid = d->pasid & DMATEST_PASID_EN ? d->pasid & DMATEST_PASID_VALUE : NB_NO_PASID;

	if (s->local)
		memcpy(buf, d->local + s->addr + off, n);
	else if (pci_dma_read(&d->fn, pasid, s->addr + off, buf, n))
		return aborted(d, s, off);
	return DMATEST_ERROR_NONE;
}

static uint32_t store(struct dmatest *d, const struct side *s, uint64_t off, const uint8_t *buf, size_t n)
{
	uint32_t pasid = d->pasid & DMATEST_PASID_EN ? d->pasid & DMATEST_PASID_VALUE : NB_NO_PASID;

	if (s->local)
		memcpy(d->local + s->addr + off, buf, n);
	else if (pci_dma_write(&d->fn, pasid, s->addr + off, buf, n))
		return aborted(d, s, off);
	return DMATEST_ERROR_NONE;
}

static uint64_t fnv1a(uint64_t h, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * DMATEST_FNV_PRIME;
	return h;
}

/* Run the command in the registers; results go into them. Returns ERROR. */
static uint32_t run(struct dmatest *d)
{
	struct side src = {d->src, d->command & DMATEST_CMD_SRC_LOCAL, DMATEST_ERROR_SRC_DMA};
	struct side dst = {d->dst, d->command & DMATEST_CMD_DST_LOCAL, DMATEST_ERROR_DST_DMA};
	uint32_t op = d->command & DMATEST_CMD_OPCODE, err;
	bool uses_src = op != DMATEST_CMD_FILL, uses_dst = op != DMATEST_CMD_CHECKSUM;
	uint64_t length = d->length, checksum = DMATEST_FNV_BASIS;
	uint8_t a[CHUNK], b[CHUNK];

	if (op > DMATEST_CMD_CHECKSUM ||
	    (d->command & ~(uint32_t)(DMATEST_CMD_OPCODE | DMATEST_CMD_SRC_LOCAL | DMATEST_CMD_DST_LOCAL)))
		return DMATEST_ERROR_COMMAND;
	if (op == DMATEST_CMD_NOP)
		return DMATEST_ERROR_NONE;
	if (length == 0 || length > DMATEST_MAX_LENGTH)
		return DMATEST_ERROR_LENGTH;
	if (uses_src && (err = side_check(&src, length)) != 0)
		return err;
	if (uses_dst && (err = side_check(&dst, length)) != 0)
		return err;

	while (d->done < length) {
		uint64_t off = d->done, n = length - off;

		if (uses_src && n > to_boundary(&src, off))
			n = to_boundary(&src, off);
		if (uses_dst && n > to_boundary(&dst, off))
			n = to_boundary(&dst, off);
		if (uses_src && (err = fetch(d, &src, off, a, n)) != 0)
			return err;
		switch (op) {
		case DMATEST_CMD_FILL:
			for (size_t i = 0; i < n; i++)
				a[i] = (uint8_t)(d->pattern >> 8 * ((off + i) & 7));
			/* fall through */
		case DMATEST_CMD_COPY:
			if ((err = store(d, &dst, off, a, n)) != 0)
				return err;
			break;
		case DMATEST_CMD_COMPARE:
			if ((err = fetch(d, &dst, off, b, n)) != 0)
				return err;
			for (size_t i = 0; i < n; i++) {
				if (a[i] != b[i]) {
					d->done = d->mismatch = off + i;
					return DMATEST_ERROR_MISMATCH;
				}
			}
			break;
		default:
			checksum = fnv1a(checksum, a, n);
			break;
		}
		d->done += n;
	}
	if (op == DMATEST_CMD_CHECKSUM)
		d->checksum = checksum;
	return DMATEST_ERROR_NONE;
}

/* Returns whether the end of the command interrupts. */
static bool run_locked(struct dmatest *d)
{
	NB_TRACE(d->fn.tr, dmatest_cmd, d->command, d->src, d->dst, d->length);
	d->done = d->mismatch = d->error_addr = 0;
	d->count++;
	d->error = run(d);
	d->status = d->error ? DMATEST_STATUS_ERROR : DMATEST_STATUS_DONE;
	NB_TRACE(d->fn.tr, dmatest_done, d->error, d->error_addr);
	if (!(d->control & DMATEST_CONTROL_INT_EN))
		return false;
	d->int_pending = true;
	return true;
}

/* The registers as 64-bit words: off is a multiple of 8. */
static uint64_t word_locked(const struct dmatest *d, uint64_t off)
{
	switch (off) {
	case DMATEST_ID:
		return DMATEST_ID_VALUE | (uint64_t)DMATEST_VERSION_VALUE << 32;
	case DMATEST_STATUS:
		return d->status | (uint64_t)d->error << 32;
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
		d->control = v & (DMATEST_CONTROL_INT_EN | DMATEST_CONTROL_VECTOR);
		return false;
	case DMATEST_COMMAND:
		d->command = v;
		return run_locked(d);
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
	uint64_t vector;

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
	vector = FIELD_GET((uint64_t)DMATEST_CONTROL_VECTOR, (uint64_t)d->control);
	pthread_mutex_unlock(&d->lock);

	if (message)
		pci_message(fn, BIT(vector));
	pci_irq_update(fn);
}

static void dmatest_reset(struct dev_fn *fn)
{
	struct dmatest *d = dmatest_of(fn);

	pthread_mutex_lock(&d->lock);
	d->src = d->dst = d->length = d->pattern = d->scratch = 0;
	d->pasid = d->control = d->command = d->status = d->error = 0;
	d->error_addr = d->done = d->mismatch = d->count = d->checksum = 0;
	d->int_pending = false;
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

static int dmatest_check(const struct dev_option *opt, unsigned int nopts, struct nb_diag *diag)
{
	return nopts ? option_unknown(&opt[0], "dmatest", diag) : 0;
}

static int dmatest_create(const struct dev_option *opt, unsigned int nopts, const struct dev_bus *bus,
			  struct nb_trace *tr, struct dev_fn **out, struct nb_diag *diag)
{
	static const struct dev_fn_ops ops = {
		.destroy = dmatest_destroy,
		.reset = dmatest_reset,
		.bar_read = dmatest_bar_read,
		.bar_write = dmatest_bar_write,
	};
	static const struct pci_id id = {DMATEST_PCI_VENDOR, DMATEST_PCI_DEVICE, DMATEST_PCI_CLASS, 1};
	struct dmatest *d;
	int err = dev_check_options(&dmatest_model.m, opt, nopts, diag);

	if (err)
		return err;
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
	pci_add_ats(&d->fn);
	pci_add_pasid(&d->fn, DMATEST_PASID_BITS);
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
		.brief = "a documented DMA engine: copy, fill, compare, checksum, with or without PASID",
		.options = "",
		.create = dmatest_create,
	},
	.check = dmatest_check,
};
