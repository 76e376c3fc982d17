/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer: a hostile VMM in front of the host: iommufd and VFIO calls with structures of any size, ids that mostly exist, and
 * pointers into memory, into nothing and across the end of it; DMA and revocation between them.
 *
 * At the end everything is closed and the machine is taken down: its own asserts, and the leak checker, say whether
 * something was left.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rig.h"
#include "uapi/iommufd.h"
#include "uapi/nestbox.h"
#include "uapi/vfio.h"
#include "input.h"

#define BUF_LEN (64u << 12)

static uint8_t *buffer; /* followed by a page that is not there */
static int some_fd[2];	/* an eventfd, a memfd */

/* Pointers that a hostile caller has; none leads into what is the fuzzer's own. */
static uint64_t pointer(struct input *in)
{
	uint64_t v = take(in, 2);

	switch (v & 7) {
	case 0:
		return 0;
	case 1:
		return (uintptr_t)buffer + BUF_LEN - (v >> 3 & 0x3f);
	case 2:
		return UINT64_C(0x8000000000000000) | v << 12;
	case 3:
		return UINT64_MAX - (v >> 3);
	case 4:
		return (uintptr_t)buffer + (v >> 3);
	default:
		return (uintptr_t)buffer + (v >> 3 << 12) % BUF_LEN;
	}
}

static uint64_t number(struct input *in)
{
	uint8_t k = (uint8_t)take(in, 1);

	switch (k & 7) {
	case 0:
		return take(in, 8);
	case 1:
		return (take(in, 2) & 0x3ff) << 12;
	case 2:
		return UINT64_MAX - (take(in, 1) << (k & 8 ? 12 : 0));
	case 3:
		return UINT64_C(1) << (k >> 3);
	case 4:
		return (UINT64_C(1) << (k >> 3)) - 4096;
	default:
		return k >> 3;
	}
}

/* What a field of a structure is, so that most of it makes sense. */
enum field { END, SIZE, ID, U32, FLAGS, U64, PTR, FD, U16, FIXED_PTR };

struct call {
	unsigned int cmd;
	uint8_t size;
	uint8_t field[12];
};

#define STRUCT(s) sizeof(struct s)
static const struct call iommu_calls[] = {
	{IOMMU_DESTROY, STRUCT(iommu_destroy), {SIZE, ID}},
	{IOMMU_IOAS_ALLOC, STRUCT(iommu_ioas_alloc), {SIZE, FLAGS, U32}},
	{IOMMU_IOAS_ALLOW_IOVAS, STRUCT(iommu_ioas_allow_iovas), {SIZE, ID, U32, FLAGS, PTR}},
	{IOMMU_IOAS_COPY, STRUCT(iommu_ioas_copy), {SIZE, FLAGS, ID, ID, U64, U64, U64}},
	{IOMMU_IOAS_IOVA_RANGES, STRUCT(iommu_ioas_iova_ranges), {SIZE, ID, U32, FLAGS, PTR, U64}},
	{IOMMU_IOAS_MAP, STRUCT(iommu_ioas_map), {SIZE, FLAGS, ID, FLAGS, FIXED_PTR, U64, U64}},
	{IOMMU_IOAS_MAP, STRUCT(iommu_ioas_map), {SIZE, FLAGS, ID, FLAGS, PTR, U64, U64}},
	{IOMMU_IOAS_UNMAP, STRUCT(iommu_ioas_unmap), {SIZE, ID, U64, U64}},
	{IOMMU_OPTION, STRUCT(iommu_option), {SIZE, U32, U16, U16, ID, U64}},
	{IOMMU_VFIO_IOAS, STRUCT(iommu_vfio_ioas), {SIZE, ID, U16, U16}},
	{IOMMU_HWPT_ALLOC, STRUCT(iommu_hwpt_alloc), {SIZE, FLAGS, ID, ID, U32, FLAGS, U32, U32, PTR, ID, FLAGS}},
	{IOMMU_GET_HW_INFO, STRUCT(iommu_hw_info), {SIZE, FLAGS, ID, U32, PTR, U32, U32, U64}},
	{IOMMU_HWPT_SET_DIRTY_TRACKING, STRUCT(iommu_hwpt_set_dirty_tracking), {SIZE, FLAGS, ID, FLAGS}},
	{IOMMU_HWPT_GET_DIRTY_BITMAP, STRUCT(iommu_hwpt_get_dirty_bitmap), {SIZE, ID, FLAGS, FLAGS, U64, U64, U64, PTR}},
	{IOMMU_HWPT_INVALIDATE, STRUCT(iommu_hwpt_invalidate), {SIZE, ID, PTR, FLAGS, U32, U32, FLAGS}},
	{IOMMU_FAULT_QUEUE_ALLOC, STRUCT(iommu_fault_alloc), {SIZE, FLAGS, U32, U32}},
	{IOMMU_IOAS_MAP_FILE, STRUCT(iommu_ioas_map_file), {SIZE, FLAGS, ID, FD, U64, U64, U64}},
	{IOMMU_VIOMMU_ALLOC, STRUCT(iommu_viommu_alloc), {SIZE, FLAGS, U32, ID, ID, U32, U32, FLAGS, PTR}},
	{IOMMU_VDEVICE_ALLOC, STRUCT(iommu_vdevice_alloc), {SIZE, ID, ID, U32, U64}},
	{IOMMU_IOAS_CHANGE_PROCESS, STRUCT(iommu_ioas_change_process), {SIZE, FLAGS}},
	{NESTBOX_GUEST_MSI_BIND, STRUCT(nestbox_guest_msi_bind), {SIZE, FLAGS, ID, FLAGS, U64, U64, U64}},
	{NESTBOX_GUEST_MSI_UNBIND, STRUCT(nestbox_guest_msi_unbind), {SIZE, FLAGS, ID, FLAGS}},
	{VFIO_IOMMU_MAP_DMA, 32, {SIZE, FLAGS, PTR, U64, U64}},
	{VFIO_IOMMU_UNMAP_DMA, 24, {SIZE, FLAGS, U64, U64}},
	{VFIO_IOMMU_GET_INFO, 24, {SIZE, FLAGS, U64, U32, U32}},
	{VFIO_CHECK_EXTENSION, 8, {U32, U32}},
};
static const struct call vfio_calls[] = {
	{VFIO_DEVICE_BIND_IOMMUFD, STRUCT(vfio_device_bind_iommufd), {SIZE, FLAGS, FD, U32, PTR}},
	{VFIO_DEVICE_ATTACH_IOMMUFD_PT, STRUCT(vfio_device_attach_iommufd_pt), {SIZE, FLAGS, ID, U32}},
	{VFIO_DEVICE_ATTACH_IOMMUFD_PT, STRUCT(vfio_device_attach_iommufd_pt), {SIZE, FLAGS, ID, U32}},
	{VFIO_DEVICE_DETACH_IOMMUFD_PT, STRUCT(vfio_device_detach_iommufd_pt), {SIZE, FLAGS, U32}},
	{VFIO_DEVICE_GET_INFO, STRUCT(vfio_device_info), {SIZE, FLAGS, U32, U32, U32}},
	{VFIO_DEVICE_GET_REGION_INFO, STRUCT(vfio_region_info), {SIZE, FLAGS, U32, U32, U64, U64}},
	{VFIO_DEVICE_GET_IRQ_INFO, STRUCT(vfio_irq_info), {SIZE, FLAGS, U32, U32}},
	{VFIO_DEVICE_SET_IRQS, 32, {SIZE, FLAGS, U32, U32, U32, FD, FD, FD}},
	{VFIO_DEVICE_RESET, 0, {END}},
	{VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, 64, {SIZE, FLAGS, U32, U64, U64}},
	{VFIO_DEVICE_PCI_HOT_RESET, 32, {SIZE, FLAGS, U32, FD, FD}},
	{VFIO_DEVICE_IOEVENTFD, 32, {SIZE, FLAGS, U64, U64, FD}},
	{VFIO_DEVICE_FEATURE, 64, {SIZE, FLAGS, U64, U64, U64}},
};

static size_t put(uint8_t *arg, size_t at, const void *v, size_t n)
{
	memcpy(arg + at, v, n);
	return at + n;
}

static void fill(uint8_t *arg, const struct call *c, struct input *in)
{
	size_t at = 0;
	unsigned int i;

	for (i = 0; i < 12 && c->field[i] != END && at < 100; i++) {
		uint32_t v32 = 0;
		uint64_t v64 = 0;
		uint16_t v16;

		switch ((enum field)c->field[i]) {
		case SIZE:
			v32 = (uint32_t)take(in, 1);
			v32 = v32 & 0x80 ? v32 * 8 : c->size; /* mostly right */
			break;
		case ID:
			v32 = (uint32_t)take(in, 1) & 31;
			break;
		case FLAGS:
			v32 = (uint32_t)take(in, 1);
			v32 = v32 & 0x80 ? 0 : v32 & 0x0f;
			break;
		case FD:
			v32 = (uint32_t)take(in, 1);
			v32 = v32 & 4 ? 7 /* the iommufd, as the rig names it */ : v32 & 2 ? (uint32_t)some_fd[v32 & 1] : UINT32_MAX;
			break;
		case U16:
			v16 = (uint16_t)take(in, 1) & 3;
			at = put(arg, at, &v16, 2);
			continue;
		case U64:
			v64 = number(in);
			at = put(arg, at, &v64, 8);
			continue;
		case PTR:
			v64 = pointer(in);
			at = put(arg, at, &v64, 8);
			continue;
		case FIXED_PTR:
			v64 = (uintptr_t)buffer + (take(in, 1) & 63) * 4096;
			at = put(arg, at, &v64, 8);
			continue;
		default:
			v32 = (uint32_t)number(in);
		}
		at = put(arg, at, &v32, 4);
	}
}

static void any_ioctl(struct rig *r, struct input *in, bool vfio)
{
	const struct call *c = vfio ? &vfio_calls[take(in, 1) % ARRAY_SIZE(vfio_calls)]
				    : &iommu_calls[take(in, 1) % ARRAY_SIZE(iommu_calls)];
	uint8_t arg[2048 + 256] = {0};
	unsigned int cmd = c->cmd;
	uint64_t uarg = (uintptr_t)arg;
	long ret;

	fill(arg, c, in);
	switch (take(in, 1)) {
	case 0:
		uarg = pointer(in);
		break;
	case 1:
		cmd = (cmd & 0xff00) | (unsigned int)take(in, 1);
		break;
	case 2: /* the end of the structure is not there */
		uarg = (uintptr_t)buffer + BUF_LEN - (take(in, 1) & 0x3f);
		memcpy((void *)(uintptr_t)uarg, arg, (uintptr_t)buffer + BUF_LEN - uarg);
		break;
	default:
		break;
	}
	ret = vfio ? vfio_ioctl(r->dev[take(in, 1) % r->ndevs].vfio, cmd, uarg) : iommufd_ioctl(r->iommufd, cmd, uarg);
	if (ret < -4095)
		abort();
}

/* A nested domain over a parent, attached: what random calls would rarely reach. */
static void shortcut(struct rig *r, struct input *in)
{
	unsigned int dev = (unsigned int)take(in, 1) % r->ndevs;
	uint32_t ioas, parent, nested, pasid = take(in, 1) & 3 ? NB_NO_PASID : 5;
	uint64_t *t = (uint64_t *)buffer;

	if (rig_ioas(r, &ioas) || rig_map(r, ioas, buffer, 0x100000, BUF_LEN, HW_READ | HW_WRITE) ||
	    rig_hwpt(r, dev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID, &parent) ||
	    rig_hwpt_nested(r, dev, parent, IOMMU_HWPT_ALLOC_PASID, 0x100000, 48, 0, &nested))
		return;
	t[0] = 0x101007;
	t[512] = 0x102007;
	t[1024] = 0x87; /* 2 MiB at 0: not mapped below 0x100000, mapped above */
	(void)rig_attach(r, dev, pasid, nested);
	(void)rig_invalidate(r, nested, 0, UINT64_MAX, false);
}

static void dma(struct rig *r, struct input *in, bool write)
{
	unsigned int dev = (unsigned int)take(in, 1) % r->ndevs;
	uint32_t pasid = take(in, 1) & 3 ? NB_NO_PASID : 5;
	uint64_t iova = number(in);
	uint8_t data[512] = {0};
	size_t len = 1 + (take(in, 2) & 511);

	(void)(write ? rig_write(r, dev, pasid, iova, data, len) : rig_read(r, dev, pasid, iova, data, len));
}

static void region(struct rig *r, struct input *in, bool write)
{
	struct vfio_file *f = r->dev[take(in, 1) % r->ndevs].vfio;
	uint64_t k = take(in, 1), off = (k & 15) << 40 | (take(in, 2) & (k & 16 ? 0xffff : 0x1fff));
	uint64_t at = k & 32 ? pointer(in) : (uintptr_t)buffer + (take(in, 2) & 0xfff);
	size_t len = take(in, 1) & 0x7f;
	ssize_t n = write ? vfio_pwrite(f, (const void *)(uintptr_t)at, len, off)
			  : vfio_pread(f, (void *)(uintptr_t)at, len, off);

	if (n > (ssize_t)len)
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	buffer = mmap(NULL, BUF_LEN + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buffer == MAP_FAILED || mprotect(buffer + BUF_LEN, 4096, PROT_NONE))
		return 1;
	some_fd[0] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	some_fd[1] = memfd_create("fuzz", MFD_CLOEXEC);
	if (some_fd[0] < 0 || some_fd[1] < 0 || ftruncate(some_fd[1], 1 << 20))
		return 1;
	return 0;
}

/* Two with VT-d, and one with SMMUs on which guests may bind messages. */
static const struct nb_desc *host_of(uint8_t choice)
{
	static struct nb_desc arm;

	if ((choice & 0xc0) != 0xc0)
		return nb_desc_find(choice & 3 ? "spr-fixed" : "legacy");
	arm = *nb_desc_find("grace");
	for (uint32_t i = 0; i < arm.niommus; i++)
		arm.iommu[i].smmuv3.guest_msi = true;
	return &arm;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	unsigned int ops;
	struct rig r;

	memset(buffer, 0, BUF_LEN);
	if (!rig_up(&r, host_of((uint8_t)take(&in, 1))))
		abort();
	for (ops = 0; in.left && ops < 200; ops++) {
		uint8_t op = (uint8_t)take(&in, 1);
		uint64_t p;

		switch (op & 15) {
		case 0:
			shortcut(&r, &in);
			break;
		case 1:
		case 2:
			dma(&r, &in, op & 1);
			break;
		case 3:
		case 4:
			region(&r, &in, op & 1);
			break;
		case 5:
			p = (uintptr_t)buffer + (take(&in, 1) & 63) * 4096;
			host_revoke(machine_host(r.m), p, (take(&in, 1) & 15) * 4096);
			break;
		case 6: /* the guest's tables change */
			p = number(&in);
			memcpy(buffer + (take(&in, 2) & 0x3ff8), &p, 8);
			break;
		case 7:
		case 8:
		case 9:
			any_ioctl(&r, &in, true);
			break;
		default:
			any_ioctl(&r, &in, false);
		}
	}
	rig_down(&r);
	return 0;
}
