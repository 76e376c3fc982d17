/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The board: builds a virtual host out of a description and wires the rooms together.
 *
 *   function --DMA, ATS, page requests--> its IOMMU's hw port --> mem     driver --MMIO--> hw --MSI--> driver
 *   function --message--> hw --remapped--> host (vfio) --> eventfd        host --ops--> driver --> function
 *
 * This is the one room that includes them all; nothing includes it but run, cli, tests and bench.
 */
#ifndef NB_MACHINE_MACHINE_H
#define NB_MACHINE_MACHINE_H

#include "base/diag.h"
#include "base/trace.h"
#include "host/host.h"
#include "hw/hw.h"
#include "machine/desc.h"

struct machine;

struct machine_cfg {
	const struct nb_desc *desc;	 /* copied */
	struct nb_counters *counters; /* may be null; see nb_trace_new() */
	const char *trace_patterns;   /* nb_trace_log(), from the units' bring-up on; may be null; not kept */
	int trace_fd;
	int (*resolve_iommufd)(void *opaque, int fd, struct iommufd_file **out);
	void *opaque;
	void (*log)(void *opaque, const char *line);
	bool (*is_node)(void *opaque, int fd); /* as in struct host_cfg; may be null */
	/* As in struct host_cfg; null: no queues. */
	int (*queue_fd)(void *opaque, struct queue_file *f, enum host_queue_kind kind, int *fd);
	void (*queue_fd_abort)(void *opaque, struct queue_file *f, int fd);
	void (*queue_ready)(void *opaque, struct queue_file *f, bool ready);
};

/* guard_init() is done here. 0, -EINVAL (description), -ENOMEM, or what a part refused, with the reason. */
int machine_create(const struct machine_cfg *cfg, struct machine **out, struct nb_diag *diag);
void machine_destroy(struct machine *m); /* all files of its host closed */

/*
 * The models' own threads, around a fork. HOLD before it, with no lock of the host's or of whom it calls; GO in the parent; in the child LOST, and AGAIN if it goes
 * on with the machine.
 */
void machine_threads(struct machine *m, enum hw_threads what);

struct host *machine_host(struct machine *m);
struct nb_trace *machine_trace(struct machine *m);
const struct nb_desc *machine_desc(const struct machine *m);
/* The hardware in front of a function; null when there is no such function. */
struct hw_iommu *machine_iommu_of(struct machine *m, uint16_t segment, uint16_t rid);
struct dev_fn *machine_function(struct machine *m, uint16_t segment, uint16_t rid);
/* vfio cdev number of a function, or -ENOENT. */
int machine_vfio_index(struct machine *m, uint16_t segment, uint16_t rid);

/*
 * `nestbox walk` for a function of this machine: the table of entries and the verdict as text into buf (at most size bytes, always
 * terminated). Returns the length that it would have had. -ENOENT: no such function.
 */
int machine_walk(struct machine *m, uint16_t segment, uint16_t rid, uint32_t pasid, uint64_t addr, uint8_t access,
		 char *buf, size_t size);

/*
 * Make the sysfs and devfs files that VMMs look for, as real files under `dir` (an empty directory):
 * dir/sys/bus/pci/devices/0000:01:00.0/..., dir/dev/vfio/devices/vfioN. Regular files where the content is static.
 * `major` is used in the "dev" attributes (minor = N).
 */
int machine_make_tree(const struct nb_desc *d, const char *dir, unsigned int major, struct nb_diag *diag);

#endif
