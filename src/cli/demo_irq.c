/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `nestbox demo`: forged interrupts.
 *
 * An interrupt message is a 32-bit write, so a guest can have its device write any of them by DMA.
 *
 * On x86 the address says which entry of the interrupt remapping table is meant, and each entry names the function that may use it. On
 * Arm the address is translated like any other, and what is written to the doorbell is the number of an event of the function that writes.
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
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

#define ECAP_IR BIT(3) /* VT-d, 11.4.3 */
#define ENTRIES 16u    /* of the table that are tried */
/* 5.1.2.2, remappable format without sub-handle. */
#define MESSAGE(index)	  (UINT64_C(0xfee00010) | (uint64_t)(index) << 5)
#define SOURCE_DIFFERS "reason 26" /* table 15: the source-id is not the one in the entry */

/* The kernel's window for doorbells, and GITS_TRANSLATER of the first one (IHI 0069). */
#define ARM_WINDOW   UINT64_C(0x8000000)
#define ARM_DOORBELL (ARM_WINDOW + 0x40)

static bool remaps_interrupts(struct demo_vm *vm)
{
	struct iommu_hw_info_vtd vtd = {0};
	struct iommu_hw_info info = {
		.size = sizeof(info), .dev_id = vm->devid, .data_len = sizeof(vtd), .data_uptr = (uintptr_t)&vtd};

	return demo_vm_ioctl(vm, vm->iommufd, IOMMU_GET_HW_INFO, &info) == 0 &&
	       info.out_data_type == IOMMU_HW_INFO_TYPE_INTEL_VTD && (vtd.ecap_reg & ECAP_IR);
}

/* Another function behind the engine's IOMMU, opened and bound. -ENODEV: there is none. */
static int open_victim(struct demo_vm *vm)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = vm->iommufd};
	const struct nb_desc *d = machine_desc(nb_host_machine(vm->host));
	uint32_t i, engine = 0;
	char path[64];
	long r;
	int fd;

	while (d->function[engine].segment != vm->segment || d->function[engine].rid != vm->rid)
		engine++;
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

/* The guest shows the window to its devices one to one, as the table of its firmware asks it to. */
static void forge_arm(struct story *s, int own, int others)
{
	struct demo_vm *vm = &s->vm;
	uint64_t passed, dropped, mine, theirs, faults;
	unsigned int i;
	char log[8192];
	int err;

	err = guest_map(&vm->guest, iova(ARM_WINDOW), gpa(ARM_WINDOW), true);
	interrupt(vm);
	claim(s, !err && came(own) == 1 && came(others) == 0,
	      "an interrupt of the device is a write to %#" PRIx64 " through both stages, to the doorbell", ARM_DOORBELL);

	demo_vm_log(vm, log, sizeof(log));
	passed = demo_counter(vm, "hw.its-message");
	dropped = demo_counter(vm, "hw.its-no-event");
	for (i = 0; i < ENTRIES; i++)
		demo_vm_dma(vm, DMATEST_CMD_FILL, 0, ARM_DOORBELL, 4, i);
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

	guest_unmap(&vm->guest, iova(ARM_WINDOW));
	err = demo_vm_invalidate(vm, ARM_WINDOW, 1);
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
	int victim, own, others;

	printf("\n6. The device forges interrupts of another function.\n\n");
	victim = arm || remaps_interrupts(vm) ? open_victim(vm) : -ENODEV;
	if (victim == -ENODEV) {
		printf("         left out: no interrupt remapping on this host, or no other function behind it\n\n");
		return;
	}
	own = victim < 0 ? victim : first_vector(vm, vm->device);
	others = own < 0 ? own : first_vector(vm, victim);
	if (others < 0)
		claim(s, false, "the host gives no interrupts: %s", strerror(-others));
	else if (arm)
		forge_arm(s, own, others);
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
