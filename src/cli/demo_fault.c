/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `nestbox demo`: a page fault of the device, served from userspace.
 *
 * The engine's own TLB misses, the IOMMU's answer is that there is no translation, so the engine requests the page and waits. The
 * request goes through the hardware's queue and the host's driver into a fault queue, from which the VMM reads it as QEMU would for its guest.
 */
#include "cli/demo.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dev/dmatest_regs.h"
#include "uapi/iommufd.h"

#define NEW UINT64_C(0x5ca1ab1e0ddba11)

/* The nested table again, this time with a queue for its faults. 0: the device is attached to it. */
static int nest_with_queue(struct demo_vm *vm, int *queue, struct nb_diag *diag)
{
	struct iommu_fault_alloc alloc = {.size = sizeof(alloc)};
	long r = demo_vm_ioctl(vm, vm->iommufd, IOMMU_FAULT_QUEUE_ALLOC, &alloc);

	if (r)
		return demo_vm_refused(diag, r, "make a fault queue");
	*queue = (int)alloc.out_fault_fd;
	vm->fault_queue = alloc.out_fault_id;
	return demo_vm_nest(vm, diag);
}

static void serve(struct story *s, int queue, unsigned int page)
{
	struct demo_vm *vm = &s->vm;
	uint64_t at = DEMO_DST + (uint64_t)page * GUEST_PAGE;
	uint64_t asked = demo_counter(vm, "hw.page-request"), faults = demo_counter(vm, "hw.fault");
	struct iommu_hwpt_page_response answer = {.code = IOMMUFD_PAGE_RESP_SUCCESS};
	struct iommu_hwpt_pgfault f;
	ssize_t n;
	int r;

	memset(&f, 0, sizeof(f));
	demo_vm_write(vm, DMATEST_CONTROL, DMATEST_CONTROL_ATS | DMATEST_CONTROL_PRI, 4);
	r = demo_vm_dma(vm, DMATEST_CMD_FILL, 0, at, GUEST_PAGE, NEW);
	claim(s, r == DMATEST_ERROR_NONE && demo_vm_read(vm, DMATEST_STATUS, 4) == DMATEST_STATUS_WAITING &&
			 demo_counter(vm, "hw.page-request") == asked + 1 && holds_pattern(vm, vm->dst, 0, page, page + 1),
	      "the device finds no translation of 0x%" PRIx64 ", requests the page and waits", at);
	n = vm->k->read(vm->k->opaque, queue, &f, sizeof(f));
	claim(s, n == sizeof(f) && f.addr == at && f.dev_id == vm->devid && (f.perm & IOMMU_PGFAULT_PERM_WRITE) &&
			 (f.flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE),
	      "the host's fault queue has it: device %" PRIu32 " wants to write 0x%" PRIx64, f.dev_id, (uint64_t)f.addr);
	guest_map(&vm->guest, iova(at), vm->dst[page], true);
	answer.cookie = f.cookie;
	n = vm->k->write(vm->k->opaque, queue, &answer, sizeof(answer));
	claim(s, n == sizeof(answer) && demo_vm_read(vm, DMATEST_STATUS, 4) == DMATEST_STATUS_DONE &&
			 demo_vm_read(vm, DMATEST_ERROR, 4) == DMATEST_ERROR_NONE &&
			 holds_pattern(vm, vm->dst, NEW, page, page + 1) && demo_counter(vm, "hw.fault") == faults,
	      "the guest maps it, the VMM answers: the device has tried again and written all of it");
	demo_vm_write(vm, DMATEST_CONTROL, 0, 4);
}

void demo_page_fault(struct story *s, unsigned int page)
{
	struct demo_vm *vm = &s->vm;
	struct nb_diag why = {""};
	int queue = -1, err;

	printf("5. The device asks for the page that is not there.\n\n");
	memset(guest_ptr(&vm->guest, vm->dst[page]), 0, GUEST_PAGE);
	err = vm->kind->page_requests ? nest_with_queue(vm, &queue, &why) : -ENODEV;
	if (!vm->kind->page_requests)
		printf("         left out: the driver of these IOMMUs refuses page requests, as Linux's does\n");
	else if (err == -ENODEV)
		printf("         left out: nothing on this host requests pages\n");
	else if (err)
		claim(s, false, "%s", why.msg);
	else
		serve(s, queue, page);
}
