/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nestbox: a virtual host with nesting IOMMUs inside your own process.
 *
 * The library builds a machine out of a description: IOMMUs, PCI functions behind them, and a
 * host kernel's iommufd and VFIO on top. A program speaks to it with the same ioctls, structures and errors as with
 * Linux's, through the calls below instead of system calls:
 *
 *	struct nb_host *host;
 *	char why[256];
 *
 *	if (nb_host_create("spr", NULL, &host, why, sizeof(why)))
 *		die(why);
 *	iommufd = nb_host_open(host, "/dev/iommu", O_RDWR);
 *	device = nb_host_open(host, "/dev/vfio/devices/vfio0", O_RDWR);
 *	bind.iommufd = iommufd;
 *	nb_host_ioctl(host, device, VFIO_DEVICE_BIND_IOMMUFD, &bind);
 *
 * Unless stated otherwise: functions return 0 or a positive result, or a negative errno (never -1 and errno); any
 * thread may call them at any time between create and destroy; none blocks on anything but a short lock; pointers stay
 * the caller's and are not kept. Memory that was mapped into an IOAS is used in place: functions reach it whenever they
 * do DMA, until it is unmapped there. It may go away at any time, DMA to it is then a DMA error. The library
 * takes the process's SIGSEGV and SIGBUS for this and passes on those that are not its own.
 */
#ifndef NESTBOX_H
#define NESTBOX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NB_API __attribute__((visibility("default")))

/* The library's version, "0.1.0". Static. */
NB_API const char *nb_version(void);

struct nb_host; /* opaque */

/* Zero means default; fields that later versions add are zero for callers that do not know them. */
struct nb_host_opts {
	uint32_t size;	 /* sizeof(struct nb_host_opts) at the caller */
	int32_t log_fd;	 /* where `log` goes, used only with `log`; stays the caller's, open until destroy */
	uint64_t flags;	 /* must be 0 */
	const char *log; /* events to log: comma-separated patterns as for `nestbox run --log`; may be null */
};

/*
 * Build a host. `name` is a built-in description ("spr"; `nestbox host list` lists them) or the path of one in
 * YAML (anything with a '/' in it, or ending in ".yaml" or ".yml"). opts may be null. Only regular
 * files and what the functions' options name are opened.
 *
 * -ENOENT no such built-in host or file; -EINVAL the description or the options are wrong; -E2BIG options of a newer
 * version that are not zero; -ENOMEM. Unless why is null, why[0..why_size) gets the reason as one sentence.
 */
NB_API int nb_host_create(const char *name, const struct nb_host_opts *opts, struct nb_host **out, char *why,
			  size_t why_size);

/* Closes all that is still open. No call on this host may be running or follow. Null is fine. */
NB_API void nb_host_destroy(struct nb_host *host);

/*
 * Open "/dev/iommu" or "/dev/vfio/devices/vfioN" (functions in the order of the description). Flags are ignored
 * beyond that. The result is a number of this host, not of the system: use it with the calls below, with BIND_IOMMUFD's
 * `iommufd` and with nothing else. -ENOENT, -EMFILE, -ENOMEM.
 */
NB_API int nb_host_open(struct nb_host *host, const char *path, int flags);
NB_API int nb_host_close(struct nb_host *host, int fd); /* -EBADF. Waits for calls that still use it. */

/* ioctl(2) with Linux's numbers and structures. */
NB_API long nb_host_ioctl(struct nb_host *host, int fd, unsigned long cmd, void *arg);

/*
 * read(2) and write(2) on a fault queue (IOMMU_FAULT_QUEUE_ALLOC's out_fault_fd is a number of this host): groups of page requests out,
 * answers in. Never block: nothing to read is 0. Devices that got their answer go on before nb_host_write() returns. -EINVAL on other files.
 */
NB_API ssize_t nb_host_read(struct nb_host *host, int fd, void *buf, size_t len);
NB_API ssize_t nb_host_write(struct nb_host *host, int fd, const void *buf, size_t len);
/*
 * A descriptor of the system's for poll(2) and the like: readable while a read of the fault queue would give something. Do not
 * read it. It is the queue's and goes with it. -EINVAL on other files; what eventfd(2) gives.
 */
NB_API int nb_host_poll_fd(struct nb_host *host, int fd);

/* A function's regions, as pread(2), pwrite(2) and mmap(2) on its descriptor. */
NB_API ssize_t nb_host_pread(struct nb_host *host, int fd, void *buf, size_t len, uint64_t off);
NB_API ssize_t nb_host_pwrite(struct nb_host *host, int fd, const void *buf, size_t len, uint64_t off);
/*
 * The mapping is an ordinary one of the process: munmap(2) ends it. Null on failure, with the negative errno in *err. Also pages that a vIOMMU
 * offers, on "/dev/iommu": nb_host_revoke() says that they go, and until then the vIOMMU is in use.
 */
NB_API void *nb_host_mmap(struct nb_host *host, void *addr, size_t len, int prot, int flags, int fd, uint64_t off,
			  int *err);

/*
 * Tell the host that process memory [va, va + len) goes away or is replaced: every mapping of it stops translating
 * before this returns. For memory that is unmapped and reused while an IOAS still maps it.
 */
NB_API void nb_host_revoke(struct nb_host *host, void *va, size_t len);

/* "Any PASID": a request without one. */
#define NB_HOST_NO_PASID UINT32_MAX

/*
 * What would a function's DMA meet? Writes a table of every entry that the hardware reads, and the verdict, as text into buf
 * (always terminated) and changes nothing. `rid` is bus << 8 | device << 3 | function; `access` is 1 read, 2
 * write, 4 execute, or a sum of them. Returns the length of the whole text, which may be more than fit. -ENOENT.
 */
NB_API int nb_host_walk(struct nb_host *host, uint16_t segment, uint16_t rid, uint32_t pasid, uint64_t addr,
			uint8_t access, char *buf, size_t size);

/* How often has an event ("hw.tlb-miss") happened? For "hw.dma-read" and "hw.dma-write": bytes. -ENOENT. */
NB_API int nb_host_counter(struct nb_host *host, const char *event, uint64_t *value);

#ifdef __cplusplus
}
#endif

#endif
