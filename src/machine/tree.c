/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The files that VMMs and tools look for in sysfs and devfs, as a tree of real files.
 *
 * All of it is static: what a function says about itself is read once from a model that is made for
 * that and thrown away. Devices lie where Linux shows them (sys/bus/pci/devices/ADDRESS),
 * and every link is relative, so the tree works wherever it is put.
 */
#include "machine/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "machine/acpi.h"
#include "machine/desc_vtd.h"
#include "machine/own_iommu.h"

struct tree {
	int root; /* O_PATH of the directory */
	const char *dir;
	struct nb_diag *diag;
};

static int failed(const struct tree *t, const char *path)
{
	int err = -errno;

	return nb_fail(t->diag, err, "cannot make %s/%s: %s", t->dir, path, strerror(-err));
}

/* Make the directories above the last component of a path. */
static int make_parents(const struct tree *t, const char *path)
{
	char part[256];
	const char *p;

	for (p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(p - path), path);
		if (mkdirat(t->root, part, 0755) && errno != EEXIST)
			return failed(t, part);
	}
	return 0;
}

static int put_bytes(const struct tree *t, const char *path, mode_t mode, const void *data, size_t len)
{
	int err = make_parents(t, path), fd;

	if (err)
		return err;
	fd = openat(t->root, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return failed(t, path);
	if (len && write(fd, data, len) != (ssize_t)len)
		err = failed(t, path);
	close(fd);
	return err;
}

static int put_file(const struct tree *t, const char *dir, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
static int put_file(const struct tree *t, const char *dir, const char *name, const char *fmt, ...)
{
	char path[256], text[1024];
	va_list ap;
	int n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	assert(n >= 0 && (size_t)n < sizeof(text));
	return put_bytes(t, path, 0644, text, (size_t)n);
}

static int put_dir(const struct tree *t, const char *path)
{
	int err = make_parents(t, path);

	if (!err && mkdirat(t->root, path, 0755) && errno != EEXIST)
		err = failed(t, path);
	return err;
}

static int put_link(const struct tree *t, const char *path, const char *target)
{
	int err = make_parents(t, path);

	if (!err && symlinkat(target, t->root, path))
		err = failed(t, path);
	return err;
}

/* A bus for models that only tell what they are. */
static int no_read(void *opaque, uint32_t pasid, uint64_t addr, void *buf, size_t len)
{
	(void)opaque, (void)pasid, (void)addr, (void)buf, (void)len;
	return -EFAULT;
}
static int no_write(void *opaque, uint32_t pasid, uint64_t addr, const void *buf, size_t len)
{
	(void)opaque, (void)pasid, (void)addr, (void)buf, (void)len;
	return -EFAULT;
}
static void no_irq(void *opaque, enum dev_irq kind, unsigned int vector, bool level)
{
	(void)opaque, (void)kind, (void)vector, (void)level;
}

/* The "resource" attribute: 13 lines of first, last, flags (Linux's IORESOURCE_*). */
static int put_resources(const struct tree *t, const char *dir, struct dev_fn *fn, unsigned int index)
{
	enum { RES_MEM = 0x200, RES_PREFETCH = 0x2000, RES_MEM_64 = 0x100000, RES_SIZE_ALIGN = 0x40000 };
	/* Nobody decodes these addresses; they only have to be aligned and apart. */
	uint64_t at = UINT64_C(0x380000000000) + (uint64_t)index * UINT64_C(0x100000000);
	char text[1024];
	size_t len = 0;
	unsigned int i;

	for (i = 0; i < 13; i++) {
		struct dev_bar bar = {0};
		uint64_t first = 0, last = 0, flags = 0;

		if (i < DEV_NBARS)
			dev_bar_info(fn, i, &bar);
		if (bar.size) {
			first = nb_align_down(at + bar.size - 1, bar.size);
			last = first + bar.size - 1;
			flags = RES_MEM | RES_SIZE_ALIGN | (bar.prefetchable ? RES_PREFETCH : 0) |
				(bar.is64 ? RES_MEM_64 : 0);
			at = last + 1;
		}
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"0x%016" PRIx64 " 0x%016" PRIx64 " 0x%016" PRIx64 "\n", first, last, flags);
	}
	return put_file(t, dir, "resource", "%s", text);
}

static int put_identity(const struct tree *t, const char *dir, struct dev_fn *fn, const char *bdf)
{
	uint8_t cfg[DEV_CONFIG_SIZE];
	unsigned int vendor, device, class, svendor, sdevice;
	char path[256];
	int err;

	dev_config_read(fn, 0, cfg, sizeof(cfg));
	vendor = cfg[0] | cfg[1] << 8;
	device = cfg[2] | cfg[3] << 8;
	class = cfg[9] | cfg[10] << 8 | (unsigned int)cfg[11] << 16;
	svendor = cfg[0x2c] | cfg[0x2d] << 8;
	sdevice = cfg[0x2e] | cfg[0x2f] << 8;
	snprintf(path, sizeof(path), "%s/config", dir);
	err = put_bytes(t, path, 0644, cfg, sizeof(cfg));
	if (!err)
		err = put_file(t, dir, "vendor", "0x%04x\n", vendor);
	if (!err)
		err = put_file(t, dir, "device", "0x%04x\n", device);
	if (!err)
		err = put_file(t, dir, "subsystem_vendor", "0x%04x\n", svendor);
	if (!err)
		err = put_file(t, dir, "subsystem_device", "0x%04x\n", sdevice);
	if (!err)
		err = put_file(t, dir, "class", "0x%06x\n", class);
	if (!err)
		err = put_file(t, dir, "revision", "0x%02x\n", cfg[8]);
	if (!err)
		err = put_file(t, dir, "uevent",
			       "DRIVER=vfio-pci\nPCI_CLASS=%X\nPCI_ID=%04X:%04X\nPCI_SUBSYS_ID=%04X:%04X\n"
			       "PCI_SLOT_NAME=%s\nMODALIAS=pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X\n",
			       class, vendor, device, svendor, sdevice, bdf, vendor, device, svendor, sdevice, cfg[11],
			       cfg[10], cfg[9]);
	return err;
}

/*
 * What Linux calls a unit: an SMMU by its registers' address (%pa), which is firmware's, a VT-d unit by a number, which our names are
 * made to look like.
 */
static const char *class_name(const struct nb_desc *d, uint32_t unit, char buf[40])
{
	if (d->iommu[unit].vendor == NB_DESC_SMMUV3)
		snprintf(buf, 40, "smmu3.0x%016" PRIx64, ACPI_IORT_UNIT_BASE + unit * ACPI_IORT_UNIT_STEP);
	else
		snprintf(buf, 40, "%s", d->iommu[unit].name);
	return buf;
}

static int put_function_links(const struct tree *t, const struct nb_desc *d, const struct nb_desc_function *f,
			      const char *bdf)
{
	char path[256], target[256], unit[40];
	int err;

	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/iommu_group", bdf);
	snprintf(target, sizeof(target), "../../../../kernel/iommu_groups/%" PRIu32, f->group);
	err = put_link(t, path, target);
	if (err)
		return err;
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/driver", bdf);
	err = put_link(t, path, "../../drivers/vfio-pci");
	if (err)
		return err;
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/subsystem", bdf);
	err = put_link(t, path, "../../../pci");
	if (err)
		return err;
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/iommu", bdf);
	snprintf(target, sizeof(target), "../../../../class/iommu/%s", class_name(d, f->iommu, unit));
	err = put_link(t, path, target);
	if (err)
		return err;
	snprintf(path, sizeof(path), "sys/bus/pci/drivers/vfio-pci/%s", bdf);
	snprintf(target, sizeof(target), "../../devices/%s", bdf);
	err = put_link(t, path, target);
	if (err)
		return err;
	snprintf(target, sizeof(target), "../../../../bus/pci/devices/%s", bdf);
	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%" PRIu32 "/devices/%s", f->group, bdf);
	return put_link(t, path, target);
}

static int put_vfio(const struct tree *t, const char *dir, const char *bdf, unsigned int major, unsigned int n)
{
	char sub[160], path[256], target[256];
	int err;

	snprintf(sub, sizeof(sub), "%s/vfio-dev/vfio%u", dir, n);
	err = put_file(t, sub, "dev", "%u:%u\n", major, n);
	if (!err)
		err = put_file(t, sub, "uevent", "MAJOR=%u\nMINOR=%u\nDEVNAME=vfio/devices/vfio%u\n", major, n, n);
	if (err)
		return err;
	snprintf(path, sizeof(path), "%s/device", sub);
	err = put_link(t, path, "../..");
	if (err)
		return err;
	snprintf(path, sizeof(path), "sys/class/vfio-dev/vfio%u", n);
	snprintf(target, sizeof(target), "../../bus/pci/devices/%s/vfio-dev/vfio%u", bdf, n);
	err = put_link(t, path, target);
	if (err)
		return err;
	snprintf(path, sizeof(path), "dev/vfio/devices/vfio%u", n);
	return put_bytes(t, path, 0666, NULL, 0);
}

static int put_function(const struct tree *t, const struct nb_desc *d, uint32_t i, unsigned int major)
{
	const struct nb_desc_function *f = &d->function[i];
	const struct dev_model *model = dev_model_find(f->model);
	const struct dev_bus bus = {
		.dma_read = no_read, .dma_write = no_write, .irq = no_irq, .board = {.size = own_iommu_size(f)}};
	struct dev_option opt[NB_DESC_MAX_OPTIONS];
	struct dev_fn *fn;
	struct nb_diag why = {""};
	char bdf[32], dir[128];
	unsigned int j, n, nopts = 0;
	int err;

	assert(model); /* the description was checked */
	n = own_iommu_options(f, opt);
	for (j = 0; j < n; j++)
		if (strcmp(opt[j].key, "file") != 0) /* its contents do not show here: leave it alone */
			opt[nopts++] = opt[j];
	snprintf(bdf, sizeof(bdf), "%04x:%02x:%02x.%x", f->segment, f->rid >> 8, f->rid >> 3 & 31, f->rid & 7);
	err = model->create(opt, nopts, &bus, NULL, &fn, &why);
	if (err)
		return nb_fail(t->diag, err, "function %s (%s): %s", bdf, f->model, why.msg);
	snprintf(dir, sizeof(dir), "sys/bus/pci/devices/%s", bdf);
	err = put_identity(t, dir, fn, bdf);
	if (!err)
		err = put_resources(t, dir, fn, i);
	dev_destroy(fn);
	if (!err)
		err = put_file(t, dir, "irq", "0\n");
	if (!err)
		err = put_file(t, dir, "numa_node", "-1\n");
	if (!err)
		err = put_file(t, dir, "enable", "0\n");
	if (!err)
		err = put_file(t, dir, "driver_override", "vfio-pci\n");
	if (!err)
		err = put_vfio(t, dir, bdf, major, i);
	if (!err)
		err = put_function_links(t, d, f, bdf);
	return err;
}

struct region {
	uint64_t first, last;
	bool msi; /* else direct: the firmware's */
};

static int by_first(const void *a, const void *b)
{
	const struct region *x = a, *y = b;

	return x->first != y->first ? (x->first < y->first ? -1 : 1) : (int)x->msi - (int)y->msi;
}

/*
 * What Linux reserves for the functions of a group: what firmware asked for, and the window of messages (of addresses that the kernel maps them at,
 * where messages are translated: IOMMU_RESV_SW_MSI). Neighbours of one type are one region.
 */
static unsigned int group_regions(const struct nb_desc *d, uint32_t i, struct region *r)
{
	bool sw = d->iommu[d->function[i].iommu].vendor == NB_DESC_SMMUV3;
	unsigned int n = 0, k, out = 0;
	uint32_t j;

	r[n++] = sw ? (struct region){0x8000000, 0x80fffff, true} : (struct region){0xfee00000, 0xfeefffff, true};
	for (j = 0; j < d->nfunctions; j++) {
		const struct nb_desc_function *f = &d->function[j];

		for (k = 0; f->group == d->function[i].group && k < f->nrmrrs; k++)
			r[n++] = (struct region){f->rmrr[k].base, f->rmrr[k].base + (f->rmrr[k].size - 1), false};
	}
	qsort(r, n, sizeof(*r), by_first);
	for (k = 0; k < n; k++) {
		unsigned int l = out;

		while (l > 0 && r[l - 1].msi != r[k].msi)
			l--;
		if (l > 0 && r[k].first <= r[l - 1].last + 1)
			r[l - 1].last = r[k].last > r[l - 1].last ? r[k].last : r[l - 1].last;
		else
			r[out++] = r[k];
	}
	return out;
}

static int put_regions(const struct tree *t, const struct nb_desc *d, uint32_t i, const char *dir)
{
	const unsigned int max = NB_DESC_MAX_FUNCTIONS * NB_DESC_MAX_RMRRS + 1;
	const size_t line = sizeof("0x0123456789abcdef 0x0123456789abcdef direct\n");
	struct region *r = nb_calloc(max, sizeof(*r));
	char *text = nb_zalloc(max * line), path[192];
	unsigned int n, k;
	size_t len = 0;
	int err = -ENOMEM;

	if (!r || !text) {
		nb_fail(t->diag, err, "out of memory");
		goto out;
	}
	n = group_regions(d, i, r);
	for (k = 0; k < n; k++)
		len += (size_t)snprintf(text + len, line, "0x%016" PRIx64 " 0x%016" PRIx64 " %s\n", r[k].first, r[k].last,
					r[k].msi ? "msi" : "direct");
	snprintf(path, sizeof(path), "%s/reserved_regions", dir);
	err = put_bytes(t, path, 0644, text, len);
out:
	nb_free(text);
	nb_free(r);
	return err;
}

static int put_group(const struct tree *t, const struct nb_desc *d, uint32_t i)
{
	char dir[128];
	uint32_t j;
	int err;

	for (j = 0; j < i; j++)
		if (d->function[j].group == d->function[i].group)
			return 0;
	snprintf(dir, sizeof(dir), "sys/kernel/iommu_groups/%" PRIu32, d->function[i].group);
	err = put_file(t, dir, "type", "DMA\n");
	if (!err)
		err = put_regions(t, d, i, dir);
	return err;
}

static int put_vtd(const struct tree *t, const char *dir, const struct nb_desc_vtd *vtd)
{
	struct vtd_caps caps;
	int err;

	desc_vtd_caps(vtd, &caps);
	err = put_file(t, dir, "intel-iommu/cap", "%" PRIx64 "\n", vtd_caps_cap(&caps));
	if (!err)
		err = put_file(t, dir, "intel-iommu/ecap", "%" PRIx64 "\n", vtd_caps_ecap(&caps));
	if (!err)
		err = put_file(t, dir, "intel-iommu/domains_supported", "%u\n", 1u << vtd->nd_lg2);
	return err;
}

static int put_iommu(const struct tree *t, const struct nb_desc *d, uint32_t i)
{
	char dir[128], path[256], target[128], name[40];
	uint32_t j;
	int err;

	snprintf(dir, sizeof(dir), "sys/class/iommu/%s", class_name(d, i, name));
	snprintf(path, sizeof(path), "%s/devices", dir);
	err = put_dir(t, path);
	for (j = 0; !err && j < d->nfunctions; j++) {
		const struct nb_desc_function *f = &d->function[j];

		if (f->iommu != i)
			continue;
		snprintf(path, sizeof(path), "%s/devices/%04x:%02x:%02x.%x", dir, f->segment, f->rid >> 8,
			 f->rid >> 3 & 31, f->rid & 7);
		snprintf(target, sizeof(target), "../../../../bus/pci/devices/%04x:%02x:%02x.%x", f->segment, f->rid >> 8,
			 f->rid >> 3 & 31, f->rid & 7);
		err = put_link(t, path, target);
	}
	if (!err && d->iommu[i].vendor == NB_DESC_VTD) /* Linux says nothing about an SMMU */
		err = put_vtd(t, dir, &d->iommu[i].vtd);
	return err;
}

int machine_make_tree(const struct nb_desc *d, const char *dir, unsigned int major, struct nb_diag *diag)
{
	struct tree t = {.dir = dir, .diag = diag};
	uint32_t i;
	int err;

	t.root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (t.root < 0) {
		err = -errno;
		return nb_fail(diag, err, "%s: %s", dir, strerror(-err));
	}
	err = put_dir(&t, "sys/bus/pci/drivers/vfio-pci");
	if (!err)
		err = put_bytes(&t, "dev/iommu", 0666, NULL, 0);
	if (!err)
		err = put_dir(&t, "dev/vfio/devices");
	for (i = 0; !err && i < d->niommus; i++)
		err = put_iommu(&t, d, i);
	for (i = 0; !err && i < d->nfunctions; i++)
		err = put_group(&t, d, i);
	for (i = 0; !err && i < d->nfunctions; i++)
		err = put_function(&t, d, i, major);
	close(t.root);
	return err;
}
