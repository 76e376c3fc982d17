/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `nestbox demo`: forged interrupts.
 *
 * An interrupt message is a 32-bit write, so a guest can have its device write any of them by DMA.
 *
 * On x86 the address says which entry of the interrupt remapping table is meant, and each entry names the function that may use it. On
 * Arm the address is translated like any other, and what is written to the doorbell is the number of an event of the function that writes:
 * in the kernel's window, which the guest's table has to show one to one, or, where the host offers guest-MSI bindings (uapi/nestbox.h),
 * anywhere that the guest's table takes to the guest's own doorbell.
 */
#include "cli/demo.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/bits.h"
#include "dev/dmatest_regs.h"
#include "machine/desc.h"
#include "machine/own_iommu.h"
#include "uapi/iommufd.h"
#include "uapi/nestbox.h"
#include "uapi/vfio.h"

#define ECAP_IR BIT(3) /* VT-d, 11.4.3 */
#define ENTRIES 16u    /* of the table that are tried */
/* 5.1.2.2, remappable format without sub-handle. */
#define MESSAGE(index)	  (UINT64_C(0xfee00010) | (uint64_t)(index) << 5)
#define SOURCE_DIFFERS "reason 26" /* table 15: the source-id is not the one in the entry */

/* The kernel's window for doorbells; of a binding, where the guest's driver sends messages and where the guest believes its doorbell. */
#define ARM_WINDOW UINT64_C(0x8000000)
#define BOUND_FROM UINT64_C(0x660000000000)
#define BOUND_TO   UINT64_C(0x30000000)
#define TRANSLATER UINT64_C(0x40) /* GITS_TRANSLATER in the page (IHI 0069) */

static bool remaps_interrupts(struct demo_vm *vm)
{
	struct iommu_hw_info_vtd vtd = {0};
	struct iommu_hw_info info = {
		.size = sizeof(info), .dev_id = vm->devid, .data_len = sizeof(vtd), .data_uptr = (uintptr_t)&vtd};

	return demo_vm_ioctl(vm, vm->iommufd, IOMMU_GET_HW_INFO, &info) == 0 &&
	       info.out_data_type == IOMMU_HW_INFO_TYPE_INTEL_VTD && (vtd.ecap_reg & ECAP_IR);
}

static uint32_t engine_index(struct demo_vm *vm)
{
	const struct nb_desc *d = machine_desc(nb_host_machine(vm->host));
	uint32_t i = 0;

	while (d->function[i].segment != vm->segment || d->function[i].rid != vm->rid)
		i++;
	return i;
}

/* What the engine writes by DMA meets an IOMMU on its own board first. */
static bool behind_own_iommu(struct demo_vm *vm)
{
	const struct nb_desc *d = machine_desc(nb_host_machine(vm->host));
	const struct nb_desc_function *f = &d->function[engine_index(vm)];
	struct dev_option opt[NB_DESC_MAX_OPTIONS];

	return own_iommu_options(f, opt) < f->noptions;
}

/* Another function behind the engine's IOMMU, opened and bound. -ENODEV: there is none. */
static int open_victim(struct demo_vm *vm)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = vm->iommufd};
	const struct nb_desc *d = machine_desc(nb_host_machine(vm->host));
	uint32_t i, engine = engine_index(vm);
	char path[64];
	long r;
	int fd;

	for (i = 0; i < d->nfunctions; i++)
		if (i != engine && d->function[i].iommu == d->function[engine].iommu)
			break;
	if (i == d->nfunctions)
		return -ENODEV;
	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%" PRIu32, i);
	fd = vm->k->open(vm->k->opaque, path, O_RDWR);
	if (fd < 0)
		return fd;
	r = demo_vm_ioctl(vm, fd, VFIO_DEVICE_BIND_IOMMUFD, &bind);
	if (r) {
		vm->k->close(vm->k->opaque, fd);
		return (int)r;
	}
	return fd;
}

/* The first MSI-X vector of a function to an eventfd: the host makes an entry for it. The eventfd or -errno. */
static int first_vector(struct demo_vm *vm, int device)
{
	union {
		struct vfio_irq_set head;
		uint8_t bytes[sizeof(struct vfio_irq_set) + sizeof(int32_t)];
	} set = {.head = {.argsz = sizeof(set.bytes),
			  .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			  .index = VFIO_PCI_MSIX_IRQ_INDEX,
			  .count = 1}};
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int32_t fd32 = fd;
	long r;

	if (fd < 0)
		return -errno;
	memcpy(set.bytes + sizeof(struct vfio_irq_set), &fd32, sizeof(fd32));
	r = demo_vm_ioctl(vm, device, VFIO_DEVICE_SET_IRQS, &set);
	if (r) {
		close(fd);
		return (int)r;
	}
	return fd;
}

/* Interrupts that came since it was last asked. */
static uint64_t came(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

/* How many lines of the log have both words; the first of them alone is what stays of the log. */
static unsigned int keep_first(char *log, const char *event, const char *word)
{
	const char *first = NULL;
	unsigned int n = 0;
	char *line, *end;

	for (line = log; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		if (!strstr(line, event) || !strstr(line, word))
			continue;
		first = n++ ? first : line;
	}
	if (first)
		memmove(log, first, strlen(first) + 1);
	return n;
}

/* The engine interrupts, by its first vector. */
static void interrupt(struct demo_vm *vm)
{
	demo_vm_write(vm, DMATEST_CONTROL, DMATEST_CONTROL_INT_EN, 4);
	demo_vm_dma(vm, DMATEST_CMD_NOP, 0, 0, 0, 0);
	demo_vm_write(vm, DMATEST_CONTROL, 0, 4);
}

/* Guest-MSI: before the interrupt is set up. 1: done, 0: the host offers none, or -errno. */
static int bind_messages(struct demo_vm *vm)
{
	struct nestbox_guest_msi_bind bind = {
		.size = sizeof(bind), .dev_id = vm->devid, .giova = BOUND_FROM, .gdb = BOUND_TO, .granule = GUEST_PAGE};
	long r = demo_vm_ioctl(vm, vm->iommufd, NESTBOX_GUEST_MSI_BIND, &bind);

	return r == -ENOTTY || r == -EOPNOTSUPP ? 0 : r ? (int)r : 1;
}

/* The guest shows the window to its devices one to one, as the table of its firmware asks it to, or its own doorbell wherever it likes. */
static void forge_arm(struct story *s, bool bound, int own, int others)
{
	struct demo_vm *vm = &s->vm;
	uint64_t page = bound ? BOUND_FROM : ARM_WINDOW;
	uint64_t passed, dropped, mine, theirs, faults;
	unsigned int i;
	char log[8192];
	int err;

	err = guest_map(&vm->guest, iova(page), gpa(bound ? BOUND_TO : ARM_WINDOW), true);
	interrupt(vm);
	if (bound)
		claim(s, !err && came(own) == 1 && came(others) == 0,
		      "an interrupt of the device is a write to %#" PRIx64 ", by the guest's table to its doorbell at %#" PRIx64
		      ", by the host's to the real one",
		      page + TRANSLATER, BOUND_TO);
	else
		claim(s, !err && came(own) == 1 && came(others) == 0,
		      "an interrupt of the device is a write to %#" PRIx64 " through both stages, to the doorbell", page + TRANSLATER);

	demo_vm_log(vm, log, sizeof(log));
	passed = demo_counter(vm, "hw.its-message");
	dropped = demo_counter(vm, "hw.its-no-event");
	for (i = 0; i < ENTRIES; i++)
		demo_vm_dma(vm, DMATEST_CMD_FILL, 0, page + TRANSLATER, 4, i);
	passed = demo_counter(vm, "hw.its-message") - passed;
	dropped = demo_counter(vm, "hw.its-no-event") - dropped;
	mine = came(own);
	theirs = came(others);
	demo_vm_log(vm, log, sizeof(log));
	claim(s, mine == 1 && theirs == 0 && passed == DMATEST_VECTORS && dropped == ENTRIES - passed,
	      "it writes %u messages by DMA: %" PRIu64 " are its own events and pass, none reaches the other function", ENTRIES, passed);
	printf("         %" PRIu64 " are none of its events, and the doorbell drops them:\n", dropped);
	keep_first(log, "hw.its-no-event", "device");
	show_indented(log);

	guest_unmap(&vm->guest, iova(page));
	err = demo_vm_invalidate(vm, page, 1);
	faults = demo_counter(vm, "hw.fault");
	interrupt(vm);
	claim(s, !err && came(own) == 0 && demo_counter(vm, "hw.fault") == faults + 1,
	      "when the guest's table does not show the doorbell, an interrupt is a fault, not a silent loss");
}

static void forge(struct story *s, int own, int others)
{
	struct demo_vm *vm = &s->vm;
	uint64_t passed, blocked, mine, theirs;
	unsigned int i, forged;
	char log[8192];

	interrupt(vm);
	claim(s, came(own) == 1 && came(others) == 0, "an interrupt of the device comes in through its entry of the IOMMU's table");

	demo_vm_log(vm, log, sizeof(log));
	passed = demo_counter(vm, "hw.intr");
	blocked = demo_counter(vm, "hw.intr-blocked");
	for (i = 0; i < ENTRIES; i++)
		demo_vm_dma(vm, DMATEST_CMD_FILL, 0, MESSAGE(i), 4, 0);
	passed = demo_counter(vm, "hw.intr") - passed;
	blocked = demo_counter(vm, "hw.intr-blocked") - blocked;
	mine = came(own);
	theirs = came(others);
	demo_vm_log(vm, log, sizeof(log));
	forged = keep_first(log, "hw.intr-blocked", SOURCE_DIFFERS);
	claim(s, mine == 1 && theirs == 0 && forged > 0 && forged <= blocked && passed + blocked == ENTRIES,
	      "it writes %u messages by DMA: %" PRIu64 " name its own entries and pass, none reaches the other function", ENTRIES, passed);
	printf("         %u name entries of the other function, and the IOMMU blocks them:\n", forged);
	show_indented(log);
}

void demo_forged_interrupts(struct story *s)
{
	struct demo_vm *vm = &s->vm;
	bool arm = vm->kind->hw_info == IOMMU_HW_INFO_TYPE_ARM_SMMUV3;
	int victim, bound, own, others;

	printf("\n6. The device forges interrupts of another function.\n\n");
	if (behind_own_iommu(vm)) {
		printf("         left out: what the device writes by DMA goes to the IOMMU on its own board, and no message passes that\n\n");
		return;
	}
	victim = arm || remaps_interrupts(vm) ? open_victim(vm) : -ENODEV;
	if (victim == -ENODEV) {
		printf("         left out: no interrupt remapping on this host, or no other function behind it\n\n");
		return;
	}
	bound = victim < 0 || !arm ? 0 : bind_messages(vm);
	own = victim < 0 ? victim : bound < 0 ? bound : first_vector(vm, vm->device);
	others = own < 0 ? own : first_vector(vm, victim);
	if (others < 0)
		claim(s, false, "the host gives no interrupts: %s", strerror(-others));
	else if (arm)
		forge_arm(s, bound, own, others);
	else
		forge(s, own, others);
	putchar('\n');
	if (victim >= 0)
		vm->k->close(vm->k->opaque, victim);
	if (others >= 0)
		close(others);
	if (own >= 0)
		close(own);
}
