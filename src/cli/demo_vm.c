/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/demo_vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dev/dmatest_regs.h"
#include "machine/desc.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

#define GUEST_RAM (UINT64_C(16) << 20)
#define PCI_COMMAND 4
#define PCI_COMMAND_MEMORY_MASTER 6

int demo_vm_refused(struct nb_diag *diag, long err, const char *what)
{
	return nb_fail(diag, (int)err, "the host refused to %s: %s", what, strerror((int)-err));
}

long demo_vm_ioctl(struct demo_vm *vm, int fd, unsigned long cmd, void *arg)
{
	return vm->k->ioctl(vm->k->opaque, fd, cmd, arg);
}

static int find_engine(struct demo_vm *vm, struct nb_diag *diag)
{
	const struct nb_desc *d = machine_desc(nb_host_machine(vm->host));
	char path[64];
	uint32_t i;

	for (i = 0; i < d->nfunctions; i++)
		if (strcmp(d->function[i].model, "dmatest") == 0)
			break;
	if (i == d->nfunctions)
		return nb_fail(diag, -ENOENT, "host %s has no dmatest function, the demo needs one", d->name);
	vm->segment = d->function[i].segment;
	vm->rid = d->function[i].rid;
	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", i);
	vm->device = vm->k->open(vm->k->opaque, path, O_RDWR);
	return vm->device < 0 ? demo_vm_refused(diag, vm->device, "open the device") : 0;
}

/* bind, stage-2: the whole guest memory at guest address 0 */
static int build_stage2(struct demo_vm *vm, struct nb_diag *diag)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = vm->iommufd};
	struct iommu_ioas_alloc ioas = {.size = sizeof(ioas)};
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
		.user_va = (uintptr_t)vm->guest.ram,
		.length = vm->guest.size,
	};
	struct iommu_hwpt_alloc hwpt = {.size = sizeof(hwpt), .flags = IOMMU_HWPT_ALLOC_NEST_PARENT};
	long r;

	r = demo_vm_ioctl(vm, vm->device, VFIO_DEVICE_BIND_IOMMUFD, &bind);
	if (r)
		return demo_vm_refused(diag, r, "bind the device");
	vm->devid = bind.out_devid;
	r = demo_vm_ioctl(vm, vm->iommufd, IOMMU_IOAS_ALLOC, &ioas);
	if (r)
		return demo_vm_refused(diag, r, "make an address space");
	vm->ioas = map.ioas_id = ioas.out_ioas_id;
	r = demo_vm_ioctl(vm, vm->iommufd, IOMMU_IOAS_MAP, &map);
	if (r)
		return demo_vm_refused(diag, r, "map the guest's memory");
	hwpt.dev_id = vm->devid;
	hwpt.pt_id = vm->ioas;
	r = demo_vm_ioctl(vm, vm->iommufd, IOMMU_HWPT_ALLOC, &hwpt);
	if (r)
		return demo_vm_refused(diag, r, "make a stage-2 table that others can nest on");
	vm->parent = hwpt.out_hwpt_id;
	return 0;
}

/* The guest's driver gets two buffers of pages that lie anywhere but in order, and enters them in its tables. */
static int build_stage1(struct demo_vm *vm, struct nb_diag *diag)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < DEMO_PAGES && !err; i++) {
		err = guest_alloc(&vm->guest, &vm->dst[DEMO_PAGES - 1 - i]);
		if (!err)
			err = guest_alloc(&vm->guest, &vm->src[i]);
	}
	for (i = 0; i < DEMO_PAGES && !err; i++) {
		err = guest_map(&vm->guest, iova(DEMO_SRC + (uint64_t)i * GUEST_PAGE), vm->src[i], true);
		if (!err)
			err = guest_map(&vm->guest, iova(DEMO_DST + (uint64_t)i * GUEST_PAGE), vm->dst[i], true);
	}
	return err ? nb_fail(diag, err, "the guest's memory is too small") : 0;
}

/* Which IOMMU is it? Its kind decides on the form of the guest's tables. */
static int find_kind(struct demo_vm *vm, struct nb_diag *diag)
{
	struct iommu_hw_info info = {.size = sizeof(info), .dev_id = vm->devid};
	long r = demo_vm_ioctl(vm, vm->iommufd, IOMMU_GET_HW_INFO, &info);

	if (r)
		return demo_vm_refused(diag, r, "tell which IOMMU the device is behind");
	vm->kind = demo_nest_find(info.out_data_type);
	if (!vm->kind)
		return nb_fail(diag, -EOPNOTSUPP, "the demo does not know how to nest on an IOMMU of type %u", info.out_data_type);
	vm->guest.fmt = vm->kind->fmt;
	return 0;
}

int demo_vm_nest(struct demo_vm *vm, struct nb_diag *diag)
{
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach)};
	int err = vm->kind->nest(vm, diag);
	long r;

	if (err)
		return err;
	attach.pt_id = vm->nested;
	r = demo_vm_ioctl(vm, vm->device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
	return r ? demo_vm_refused(diag, r, "attach the device to the nested table") : 0;
}

static int enable_engine(struct demo_vm *vm, struct nb_diag *diag)
{
	struct vfio_region_info config = {.argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX};
	struct vfio_region_info bar = {.argsz = sizeof(bar), .index = DMATEST_BAR_REGS};
	uint16_t command = PCI_COMMAND_MEMORY_MASTER;
	uint32_t id = 0;
	long r;

	r = demo_vm_ioctl(vm, vm->device, VFIO_DEVICE_GET_REGION_INFO, &config);
	if (!r)
		r = demo_vm_ioctl(vm, vm->device, VFIO_DEVICE_GET_REGION_INFO, &bar);
	if (r)
		return demo_vm_refused(diag, r, "tell where the registers are");
	vm->bar0 = bar.offset;
	r = vm->k->pwrite(vm->k->opaque, vm->device, &command, sizeof(command), config.offset + PCI_COMMAND);
	if (r == sizeof(command))
		r = vm->k->pread(vm->k->opaque, vm->device, &id, sizeof(id), vm->bar0 + DMATEST_ID);
	if (r != sizeof(id) || id != DMATEST_ID_VALUE)
		return nb_fail(diag, r < 0 ? (int)r : -ENODEV, "the engine does not answer (id %#x)", id);
	return 0;
}

int demo_vm_start(struct demo_vm *vm, const char *host, struct nb_diag *diag)
{
	struct nb_host_opts opts = {.size = sizeof(opts), .log = "hw.fault,drv.fault,hw.intr-blocked,hw.its-no-event"};
	int err;

	memset(vm, 0, sizeof(*vm));
	vm->iommufd = vm->device = vm->log[0] = vm->log[1] = -1;
	if (pipe2(vm->log, O_CLOEXEC | O_NONBLOCK))
		return nb_fail(diag, -errno, "cannot make a pipe: %s", strerror(errno));
	opts.log_fd = vm->log[1];
	err = nb_host_create(host, &opts, &vm->host, diag->msg, sizeof(diag->msg));
	if (err)
		return err;
	vm->k = nb_host_kernel(vm->host);
	err = guest_create(&vm->guest, GUEST_RAM, diag);
	if (err)
		return err;
	vm->iommufd = vm->k->open(vm->k->opaque, "/dev/iommu", O_RDWR);
	if (vm->iommufd < 0)
		return demo_vm_refused(diag, vm->iommufd, "open /dev/iommu");
	err = find_engine(vm, diag);
	if (!err)
		err = build_stage2(vm, diag);
	if (!err)
		err = find_kind(vm, diag);
	if (!err)
		err = build_stage1(vm, diag);
	if (!err)
		err = demo_vm_nest(vm, diag);
	if (!err)
		err = enable_engine(vm, diag);
	return err;
}

void demo_vm_stop(struct demo_vm *vm)
{
	if (vm->device >= 0)
		vm->k->close(vm->k->opaque, vm->device);
	if (vm->iommufd >= 0)
		vm->k->close(vm->k->opaque, vm->iommufd);
	nb_host_destroy(vm->host);
	guest_destroy(&vm->guest);
	if (vm->log[0] >= 0) {
		close(vm->log[0]);
		close(vm->log[1]);
	}
}

int demo_vm_write(struct demo_vm *vm, uint64_t reg, uint64_t v, size_t size)
{
	ssize_t n = vm->k->pwrite(vm->k->opaque, vm->device, &v, size, vm->bar0 + reg);

	return n == (ssize_t)size ? 0 : n < 0 ? (int)n : -EIO;
}

uint64_t demo_vm_read(struct demo_vm *vm, uint64_t reg, size_t size)
{
	uint64_t v = 0;

	return vm->k->pread(vm->k->opaque, vm->device, &v, size, vm->bar0 + reg) == (ssize_t)size ? v : UINT64_MAX;
}

int demo_vm_dma(struct demo_vm *vm, uint32_t cmd, uint64_t src, uint64_t dst, uint64_t len, uint64_t pattern)
{
	int err = demo_vm_write(vm, DMATEST_SRC, src, 8);

	if (!err)
		err = demo_vm_write(vm, DMATEST_DST, dst, 8);
	if (!err)
		err = demo_vm_write(vm, DMATEST_LENGTH, len, 8);
	if (!err)
		err = demo_vm_write(vm, DMATEST_PATTERN, pattern, 8);
	if (!err)
		err = demo_vm_write(vm, DMATEST_COMMAND, cmd, 4); /* runs it */
	if (err)
		return err;
	return (int)demo_vm_read(vm, DMATEST_ERROR, 4);
}

uint64_t demo_vm_error_addr(struct demo_vm *vm)
{
	return demo_vm_read(vm, DMATEST_ERROR_ADDR, 8);
}

int demo_vm_invalidate(struct demo_vm *vm, uint64_t addr, uint64_t pages)
{
	return vm->kind->invalidate(vm, addr, pages);
}

void demo_vm_log(struct demo_vm *vm, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len + 1 < size && (n = read(vm->log[0], buf + len, size - 1 - len)) > 0)
		len += (size_t)n;
	buf[len] = 0;
}
