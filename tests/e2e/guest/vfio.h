/* SPDX-License-Identifier: BSD-3-Clause */
/* One PCI function in the hands of this process, through the guest kernel's VFIO (group and type 1 interface).
 */
#ifndef NB_GUEST_VFIO_H
#define NB_GUEST_VFIO_H

#include <stddef.h>
#include <stdint.h>

struct vfio {
	int container, group, device;
};

void vfio_bind(const char *pci); /* gives the function to the guest's VFIO; part of vfio_open() */
void vfio_open(struct vfio *v, const char *pci); /* takes the function from its driver; bus master on */
void vfio_close(struct vfio *v);
void vfio_map(struct vfio *v, void *va, uint64_t iova, uint64_t size, int writable);
void vfio_unmap(struct vfio *v, uint64_t iova, uint64_t size);
volatile void *vfio_bar(struct vfio *v, unsigned int bar, size_t *size);
int vfio_msix(struct vfio *v); /* vector 0: an eventfd, non-blocking */

#endif
