/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host kernel's core: iommufd contexts and VFIO devices over vendor drivers.
 *
 * Calls take and return what Linux's do: ioctl numbers, user pointers (addresses in this process, never
 * trusted), results >= 0 or negative errno. File descriptors are not known
 * here: the virtual host maps its descriptors to the two file kinds below and gives a way to resolve
 * the one that BIND names.
 *
 * No vendor's word appears in this room.
 */
#ifndef NB_HOST_HOST_H
#define NB_HOST_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/diag.h"
#include "base/trace.h"
#include "dev/dev.h"
#include "drv/drv.h"
#include "mem/mem.h"

struct host;	      /* one virtual machine room */
struct iommufd_file;  /* an open /dev/iommu */
struct vfio_file;     /* an open /dev/vfio/devices/vfioN */
struct host_function; /* a PCI function bound to vfio-pci */
struct queue_file;    /* an open queue: of page requests, or of a vIOMMU's events */

/* POLLOUT is always there on a queue of the first kind, and never on one of the second, which takes no writes. */
enum host_queue_kind { HOST_QUEUE_FAULT, HOST_QUEUE_EVENT };

struct host_cfg {
	struct mem *mem; /* process space */
	struct nb_trace *tr;
	/*
	 * The iommufd that BIND names by number. 0 with *out borrowed for the length of the call, -EBADF no such descriptor, -EBADFD it is
	 * something else. May be called from the thread that is in vfio_ioctl().
	 */
	int (*resolve_iommufd)(void *opaque, int fd, struct iommufd_file **out);
	/*
	 * Is fd one of the descriptors that this host is behind, whatever it is made of? Its memory is none that IOMMU_IOAS_MAP_FILE may
	 * map. Called without locks, from the thread that is in iommufd_ioctl(). Null: none is.
	 */
	bool (*is_node)(void *opaque, int fd);
	void *opaque;
	/*
	 * A descriptor for a new queue: *fd >= 0, or -errno. The descriptor owns the file: host_queue_close() when its last copy is
	 * gone. Null: IOMMU_FAULT_QUEUE_ALLOC and IOMMU_VEVENTQ_ALLOC are -EOPNOTSUPP. queue_fd_abort: the ioctl failed after all (its result
	 * could not be copied out); the descriptor goes, host_queue_close() is not called. queue_ready: poll shall say POLLIN, or no
	 * longer; any thread, with locks of the host and of drivers held: may not call back.
	 */
	int (*queue_fd)(void *opaque, struct queue_file *f, enum host_queue_kind kind, int *fd);
	void (*queue_fd_abort)(void *opaque, struct queue_file *f, int fd);
	void (*queue_ready)(void *opaque, struct queue_file *f, bool ready);
	/*
	 * Memory to map for registers [reg, reg + len) of a unit, whole pages: a descriptor (the host's, as long as the unit lives) and an offset
	 * in it; or -errno. Without locks but the one that orders the making of objects. Null: no unit has registers that users may map.
	 */
	int (*unit_pages)(void *opaque, struct drv_iommu *iommu, uint64_t reg, uint64_t len, int *fd, uint64_t *fd_off);
	/*
	 * Called at the end of every call into the host that may have answered page requests, without any lock: functions go on
	 * with what they waited for. May be null.
	 */
	void (*settle)(void *opaque);
	/* One line for the person who reads the log: refused calls with the reason. May be null. */
	void (*log)(void *opaque, const char *line);
};

int host_create(const struct host_cfg *cfg, struct host **out);
void host_destroy(struct host *h); /* all files closed; functions and IOMMUs stay the caller's */

/*
 * A doorbell: where the messages of a function are written to, on machines on which they are writes like any other. Each is known by the
 * function that wrote it and an event, the datum. Lives as long as the host.
 */
struct host_doorbell {
	uint64_t addr; /* physical; no memory is in its page */
	void *opaque;
	/* Events event to event + n - 1 of the function are for targets: they come to host_deliver(). 0 or -errno, and then none of them. */
	int (*map)(void *opaque, unsigned int event, unsigned int n, const struct drv_irq_target *to);
	/* When it returns, none of them arrives any more. */
	void (*unmap)(void *opaque, unsigned int event, unsigned int n);
};

/*
 * Plug a function in: dev is probed here (drv_ops.probe_device), released by host_destroy(), and stays the caller's, as does fn. Functions of one group number share
 * an IOMMU group. The device node is called "vfio<N>", N counting from 0 in order of this call.
 */
struct host_function_cfg {
	uint16_t segment, rid;
	uint32_t group;
	struct dev_fn *fn;
	struct drv_dev *dev;
	const struct host_doorbell *doorbell; /* null: the driver makes its messages (irq_map) */
	bool guest_msi;			      /* guests may bind its messages: uapi/nestbox.h */
};
int host_add_function(struct host *h, const struct host_function_cfg *cfg, struct host_function **out);
/* For the function's struct dev_bus: an interrupt arrived. Any thread. */
void host_function_irq(struct host_function *f, enum dev_irq kind, unsigned int vector, bool level);

/*
 * An interrupt after remapping: to whom it goes is what the host decided when it programmed the function. Any thread, no locks.
 */
void host_deliver(struct host *h, uint32_t dest, uint8_t vector);

/* read(2) and write(2) of a queue; results as Linux's. Never block. */
ssize_t host_queue_read(struct queue_file *f, void *ubuf, size_t len, uint64_t off);
ssize_t host_queue_write(struct queue_file *f, const void *ubuf, size_t len, uint64_t off);
void host_queue_close(struct queue_file *f);

int iommufd_open(struct host *h, struct iommufd_file **out);
void iommufd_close(struct iommufd_file *f); /* the context lives on while a bound device holds it */
long iommufd_ioctl(struct iommufd_file *f, unsigned int cmd, uint64_t uarg);
/*
 * mmap(2) of pages that an object of the context offered (a vIOMMU's), as Linux's: len is a multiple of the page size, as the kernel makes it.
 * Says what to map, like vfio_mmap(), and keeps the object from being destroyed. The caller maps, and then says where with
 * iommufd_mapped() (0: it did not work), which takes m over. From then on host_revoke() is told as pages go; with the last of them the object is
 * free to go. -EINVAL, -EPERM (to execute), -ENXIO (nothing is exactly there), -ENOMEM.
 */
struct iommufd_mapping;
int iommufd_mmap(struct iommufd_file *f, uint64_t off, size_t len, int prot, int flags, int *fd, uint64_t *fd_off,
		 struct iommufd_mapping **m);
void iommufd_mapped(struct iommufd_mapping *m, uint64_t va);

int vfio_open(struct host *h, unsigned int n, struct vfio_file **out); /* -ENOENT; -EBUSY is BIND's business */
void vfio_close(struct vfio_file *f);
long vfio_ioctl(struct vfio_file *f, unsigned int cmd, uint64_t uarg);
ssize_t vfio_pread(struct vfio_file *f, void *ubuf, size_t len, uint64_t off);
ssize_t vfio_pwrite(struct vfio_file *f, const void *ubuf, size_t len, uint64_t off);
/*
 * Check a mapping as vfio_pci_mmap() does and say what to map: a descriptor (borrowed) and an offset in it. 0 or
 * -EINVAL.
 */
int vfio_mmap(struct vfio_file *f, uint64_t off, size_t len, int prot, int flags, int *fd, uint64_t *fd_off);

/*
 * Process memory [va, va + len) is about to go away or to be replaced: every mapping of it, in every IOAS,
 * stops translating before this returns. Areas stay, dead, until they are unmapped. Mappings of iommufds that are there end. Cheap when
 * nothing is mapped there.
 */
void host_revoke(struct host *h, uint64_t va, uint64_t len);

#endif
