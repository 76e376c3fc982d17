/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The NVMe model: options, creation, reset, destruction.
 */
#include "dev/nvme/nvme.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "dev/option.h"

#define NS_SIZE_MIN     UINT64_C(4096)
#define NS_SIZE_MAX     (UINT64_C(16) << 40)
#define NS_SIZE_DEFAULT (UINT64_C(1) << 30)

static int parse_serial(const struct dev_option *o, const char **out, struct nb_diag *diag)
{
	size_t len = strlen(o->value);

	for (size_t i = 0; i < len; i++) {
		if (o->value[i] <= ' ' || o->value[i] > '~')
			len = 0;
	}
	if (len == 0 || len > NVME_SERIAL_LEN)
		return nb_fail(diag, -EINVAL, "option serial: \"%s\" is not 1 to %d printable characters without blanks",
			       o->value, NVME_SERIAL_LEN);
	*out = o->value;
	return 0;
}

static int parse_options(const struct dev_option *opt, unsigned int nopts, struct nvme_options *out,
			 struct nb_diag *diag)
{
	struct nvme_options o = {.lba = 512, .queues = 8};
	int err = 0;

	for (unsigned int i = 0; i < nopts && !err; i++) {
		const char *key = opt[i].key;

		if (strcmp(key, "size") == 0) {
			err = option_bytes(&opt[i], NS_SIZE_MIN, NS_SIZE_MAX, &o.size, diag);
		} else if (strcmp(key, "file") == 0) {
			o.file = opt[i].value;
			if (!*o.file)
				err = nb_fail(diag, -EINVAL, "option file: no path given");
		} else if (strcmp(key, "lba") == 0) {
			err = option_number(&opt[i], 512, 4096, &o.lba, diag);
			if (!err && o.lba != 512 && o.lba != 4096)
				err = nb_fail(diag, -EINVAL, "option lba: %" PRIu64 " is neither 512 nor 4096", o.lba);
		} else if (strcmp(key, "queues") == 0) {
			err = option_number(&opt[i], 1, NVME_MAX_QUEUES, &o.queues, diag);
		} else if (strcmp(key, "irq-delay") == 0) {
			err = option_number(&opt[i], 0, 1000, &o.irq_delay, diag);
		} else if (strcmp(key, "serial") == 0) {
			err = parse_serial(&opt[i], &o.serial, diag);
		} else if (strcmp(key, "readonly") == 0) {
			err = option_bool(&opt[i], &o.readonly, diag);
		} else {
			err = option_unknown(&opt[i], "nvme", diag);
		}
	}
	if (err)
		return err;
	if (o.size & (o.lba - 1))
		return nb_fail(diag, -EINVAL, "option size: %" PRIu64 " is not a multiple of the block size %" PRIu64,
			       o.size, o.lba);
	if (!o.file && !o.size)
		o.size = NS_SIZE_DEFAULT;
	*out = o;
	return 0;
}

static int nvme_check(const struct dev_option *opt, unsigned int nopts, struct nb_diag *diag)
{
	struct nvme_options o;

	return parse_options(opt, nopts, &o, diag);
}

/* Two disks with one serial number are one disk to a guest, so a number nobody chose is random. */
static void make_serial(struct nvme *n, const char *chosen)
{
	uint64_t r = (uintptr_t)n;

	if (!chosen && getrandom(&r, sizeof(r), GRND_NONBLOCK) != sizeof(r))
		r ^= (uintptr_t)n->ns.base << 8;
	if (chosen)
		snprintf(n->serial, sizeof(n->serial), "%s", chosen);
	else
		snprintf(n->serial, sizeof(n->serial), "NB%016" PRIx64, r);
}

static void nvme_reset(struct dev_fn *fn)
{
	struct nvme *n = nvme_of(fn);

	pthread_rwlock_wrlock(&n->state);
	nvme_disable_locked(n);
	n->cc = n->aqa = 0;
	n->asq = n->acq = 0;
	pthread_rwlock_unlock(&n->state);
}

static void nvme_irq_mode_changed(struct dev_fn *fn)
{
	struct nvme_work w = {0};

	nvme_finish(nvme_of(fn), &w);
}

static void locks_fini(struct nvme *n)
{
	for (unsigned int i = 0; i <= NVME_MAX_QUEUES; i++)
		pthread_mutex_destroy(&n->cq[i].lock);
	pthread_mutex_destroy(&n->log_lock);
	pthread_mutex_destroy(&n->intx_lock);
	pthread_rwlock_destroy(&n->state);
}

/* A guest that hammers doorbells from many CPUs must not keep a reset out: writers go first. */
static int locks_init(struct nvme *n)
{
	pthread_rwlockattr_t attr;
	int err;

	if (pthread_rwlockattr_init(&attr))
		return -ENOMEM;
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	err = pthread_rwlock_init(&n->state, &attr);
	pthread_rwlockattr_destroy(&attr);
	if (err)
		return -ENOMEM;
	/* glibc's default mutexes hold nothing but their own bytes: these cannot fail. */
	pthread_mutex_init(&n->log_lock, NULL);
	pthread_mutex_init(&n->intx_lock, NULL);
	for (unsigned int i = 0; i <= NVME_MAX_QUEUES; i++)
		pthread_mutex_init(&n->cq[i].lock, NULL);
	return 0;
}

static void nvme_destroy(struct dev_fn *fn)
{
	struct nvme *n = nvme_of(fn);

	nvme_pace_free(n->pace);
	pci_fini(fn);
	locks_fini(n);
	nvme_ns_close(&n->ns);
	nb_free(n);
}

static int nvme_create(const struct dev_option *opt, unsigned int nopts, const struct dev_bus *bus, struct nb_trace *tr,
		       struct dev_fn **out, struct nb_diag *diag)
{
	static const struct dev_fn_ops ops = {
		.destroy = nvme_destroy,
		.reset = nvme_reset,
		.bar_read = nvme_bar_read,
		.bar_write = nvme_bar_write,
		.irq_mode_changed = nvme_irq_mode_changed,
	};
	static const struct pci_id id = {NVME_PCI_VENDOR, NVME_PCI_DEVICE, 0x010802, 1};
	struct nvme_options o;
	struct nvme *n;
	int err = dev_check_options(&nvme_model.m, opt, nopts, diag);

	if (!err)
		err = parse_options(opt, nopts, &o, diag);
	if (err)
		return err;
	n = nb_zalloc(sizeof(*n));
	if (!n)
		return nb_fail(diag, -ENOMEM, "nvme: out of memory");
	n->nqueues = (unsigned int)o.queues;
	err = nvme_ns_open(&n->ns, &o, diag);
	if (err)
		goto out_free;
	err = locks_init(n);
	if (err)
		goto out_ns;
	err = pci_init(&n->fn, &ops, bus, tr, &id);
	if (err)
		goto out_locks;
	make_serial(n, o.serial);
	nvme_features_reset(n);
	pci_add_bar(&n->fn, 0, &(struct dev_bar){.size = NVME_BAR_SIZE, .is64 = true, .mem_fd = -1});
	pci_add_intx(&n->fn);
	pci_add_pm(&n->fn);
	pci_add_msi(&n->fn, 4);
	pci_add_pcie(&n->fn);
	pci_add_msix(&n->fn, NVME_BAR_MSIX, n->nqueues + 1);
	pci_ready(&n->fn);
	if (o.irq_delay) {
		err = nvme_pace_new(n, (unsigned int)o.irq_delay, &n->pace);
		if (err) {
			(void)nb_fail(diag, err, "nvme: no thread for irq-delay: %s", strerror(-err));
			goto out_pci;
		}
	}
	*out = &n->fn;
	return 0;

out_pci:
	pci_fini(&n->fn);
out_locks:
	locks_fini(n);
out_ns:
	nvme_ns_close(&n->ns);
out_free:
	nb_free(n);
	return err;
}

const struct pci_model nvme_model = {
	.m = {
		.name = "nvme",
		.brief = "an NVMe 1.4 disk on a file or on memory",
		.options = "size=BYTES     namespace size, KiB to TiB allowed (default 1GiB, or the file's)\n"
			   "file=PATH      keep the namespace in this file; with size it is made or grown, sparse\n"
			   "lba=512|4096   block size (default 512)\n"
			   "queues=N       pairs of I/O queues, 1 to 63 (default 8)\n"
			   "irq-delay=US   hold interrupts of I/O queues back so long, 0 to 1000, to gather several (default 0)\n"
			   "serial=TEXT    serial number, up to 20 characters (default random)\n"
			   "readonly=BOOL  the namespace is write protected (default off)",
		.create = nvme_create,
	},
	.check = nvme_check,
};
