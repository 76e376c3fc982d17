/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls on /dev/iommu that are nestbox's own: Linux has none such, and its numbers (0x80 to 0x93 of ';' in 7.2) are far from these.
 * They are there only where the host's description says so (`guest-msi: true` of a unit); else they are -ENOTTY, as on Linux.
 *
 * Guest-MSI binding. Where interrupt messages are translated like other writes (Arm), today's kernel makes a device of a guest write to an
 * address that the kernel chose (0x8000000 and up), and the guest's own page table has to map that one to one. With a binding the
 * device writes to the address that the guest's driver gave it, as on a machine without nesting:
 *
 *	device --giova--> guest's stage 1 --gdb--> host's stage 2 --> the host's doorbell
 *
 * The guest maps giova to its own doorbell, at gdb. The VMM, which emulates that doorbell, knows both when the guest programs the
 * first message, and gives them here before it sets up the interrupt (VFIO_DEVICE_SET_IRQS). The host has the function write to giova, with
 * the offset in the page and the datum that the host's doorbell wants, and shows that doorbell at gdb in the nesting parent: write-only, and
 * not before an interrupt needs it.
 *
 * The binding belongs to the device, not to what it is attached to, and goes when the device is closed. It counts while the device is
 * attached to a nested HWPT; then VFIO_DEVICE_SET_IRQS without one is -ENOENT. Attached to anything else the device has the kernel's window as
 * always. A device with interrupts set up cannot change between the two (-EBUSY from the attach): take them down first. Devices of a guest may
 * share gdb; it is shown until the last is unbound, detached or moved to another parent.
 *
 * Errors of an attach to a nested HWPT, or of SET_IRQS, that maps a binding for the first time: -EADDRINUSE: something is mapped, allowed or
 * used in the window at gdb; -EINVAL: the parent's smallest page is larger than granule; what mapping can say. All fields are 0 where nothing
 * is said of them.
 */
#ifndef NB_UAPI_NESTBOX_H
#define NB_UAPI_NESTBOX_H

#include <stdint.h>

/* As in iommufd.h: ';' << 8 | number. */
enum {
	NESTBOX_GUEST_MSI_BIND = 0x3bf0,
	NESTBOX_GUEST_MSI_UNBIND = 0x3bf1,
};

/*
 * Bind, or bind anew: live interrupts change over without loss, if the guest's table shows both giovas. The same again changes nothing.
 *
 * granule is the size of the guest's page at giova, a power of two and at least 4096; giova and gdb are multiples of it. Only the first of
 * the parent's smallest pages in it is shown.
 *
 * -ENOENT: no such device. -EOPNOTSUPP: unknown flags, a reserved field, or the device's unit offers no binding. -EINVAL: granule or alignment; the device's IOMMU
 * has a hardware range for messages. If interrupts are live, also the errors above; then the old binding stays.
 */
struct nestbox_guest_msi_bind {
	uint32_t size;
	uint32_t flags; /* 0 */
	uint32_t dev_id;
	uint32_t __reserved;
	uint64_t giova;
	uint64_t gdb;
	uint64_t granule;
};

/*
 * What was mapped for it is unmapped, and nothing else. When it returns no message goes that way any more; live interrupts fault until the
 * device is bound again. -ENOENT: no such device, or it is not bound. -EOPNOTSUPP: unknown flags or a reserved field.
 */
struct nestbox_guest_msi_unbind {
	uint32_t size;
	uint32_t flags; /* 0 */
	uint32_t dev_id;
	uint32_t __reserved;
};

#endif
