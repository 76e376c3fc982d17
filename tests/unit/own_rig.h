/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For the tests of a function that brings an SMMUv3 of its own: a host with one and with a second function behind it, driven as a guest's kernel
 * does, through BAR 5 and tables in the guest's memory. Numbers of IHI 0070 by hand. Include after cmocka.h.
 */
#ifndef NB_TESTS_OWN_RIG_H
#define NB_TESTS_OWN_RIG_H

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "machine/api.h"

#define SCENE_CHECK(c) assert_true(c)
#include "../run/scene.h"

#define PAT UINT64_C(0x1122334455667788)
#define VA  UINT64_C(0x12345000)
#define SID	  0x1234u
#define OTHER_SID 0x0300u /* that of the function behind, which has no option for it: its own address */

/* Pages of the guest's memory. */
enum { CMDQ = 16, EVTQ, STRTAB, STRTAB2, STES, OTHER_STES, CDS, ROOT = 24, OTHER_ROOT = 28, DATA = 40 };
#define GPA(page) (SCENE_GPA + 4096 * (uint64_t)(page))

/* Registers: 6.3, page 1 from 0x10000. */
enum { IDR0 = 0x0, IDR1 = 0x4, CR0 = 0x20, CR0ACK = 0x24, CR1 = 0x28, IRQ_CTRL = 0x50, IRQ_CTRLACK = 0x54, GERROR = 0x60, GERRORN = 0x64,
       STRTAB_BASE = 0x80, STRTAB_BASE_CFG = 0x88, CMDQ_BASE = 0x90, CMDQ_PROD = 0x98, CMDQ_CONS = 0x9c, EVENTQ_BASE = 0xa0,
       EVENTQ_PROD = 0x100a8, EVENTQ_CONS = 0x100ac };

struct world {
	struct nb_host *h;
	struct scene s, other;
	uint32_t prod; /* of the command queue */
	int intx;
	_Atomic bool stop;
	_Atomic unsigned long done; /* fills */
};

static inline uint64_t count(struct world *w, const char *event)
{
	uint64_t n;

	assert_int_equal(nb_host_counter(w->h, event, &n), 0);
	return n;
}

static inline uint32_t get(struct world *w, uint64_t reg)
{
	uint32_t v = 0;

	assert_int_equal(w->s.k->pread(w->s.k->opaque, w->s.dev, &v, 4, SCENE_BAR(5) + reg), 4);
	return v;
}

static inline void put(struct world *w, uint64_t reg, uint32_t v)
{
	assert_int_equal(w->s.k->pwrite(w->s.k->opaque, w->s.dev, &v, 4, SCENE_BAR(5) + reg), 4);
}

static inline void put64(struct world *w, uint64_t reg, uint64_t v)
{
	assert_int_equal(w->s.k->pwrite(w->s.k->opaque, w->s.dev, &v, 8, SCENE_BAR(5) + reg), 8);
}

/* What the host's unit is. */
#define VTD  "like: spr"
#define SMMU "vendor: smmuv3"

/* A host from this text; the reason if there is none. */
static inline int make(struct world *w, const char *unit, const char *functions, char why[256])
{
	char path[] = "/tmp/nb-own-XXXXXX.yaml";
	int fd = mkstemps(path, 5), err;

	assert_true(fd >= 0);
	assert_true(dprintf(fd, "name: t\niommus:\n  - name: u\n    %s\nfunctions:\n%s", unit, functions) > 0);
	close(fd);
	err = nb_host_create(path, NULL, &w->h, why, 256);
	unlink(path);
	return err;
}

#define DISK "  - {address: 0000:01:00.0, iommu: u, model: nvme, group: 9}\n"
#define ENGINE(options) "  - {address: 0000:02:00.0, iommu: u, model: dmatest, group: 1, options: {" options "}}\n"
#define SECOND(options) "  - {address: 0000:03:00.0, iommu: u, model: dmatest, group: 1, options: {" options "}}\n"
#define BRINGS "ats: off, own-iommu: smmuv3, own-stream: 0x1234"
#define BEHIND "ats: off, behind: 0000:02:00.0"

static inline void intx_on(struct world *w)
{
	char buf[sizeof(struct vfio_irq_set) + 4];
	struct vfio_irq_set set = {.argsz = sizeof(buf), .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, .count = 1};

	w->intx = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	memcpy(buf, &set, sizeof(set));
	memcpy(buf + sizeof(set), &w->intx, 4);
	assert_int_equal(scene_ioctl(&w->s, w->s.dev, VFIO_DEVICE_SET_IRQS, buf), 0);
}

/* Has the line risen since? VFIO masks it then. */
static inline bool rose(struct world *w)
{
	uint64_t n;

	return read(w->intx, &n, sizeof(n)) == sizeof(n);
}

static inline void unmask(struct world *w)
{
	struct vfio_irq_set set = {.argsz = sizeof(set), .flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, .count = 1};

	assert_int_equal(scene_ioctl(&w->s, w->s.dev, VFIO_DEVICE_SET_IRQS, &set), 0);
}

static inline void up_behind(struct world *w, const char *unit)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	uint16_t command = 6;
	char why[256] = "";

	*w = (struct world){.intx = -1};
	if (make(w, unit, DISK ENGINE(BRINGS) SECOND(BEHIND), why))
		fail_msg("%s", why);
	scene_open(&w->s, nb_host_kernel(w->h));
	w->other = w->s;
	w->other.dev = w->s.k->open(w->s.k->opaque, "/dev/vfio/devices/vfio2", O_RDWR);
	bind.iommufd = w->s.iommu;
	assert_int_equal(scene_ioctl(&w->other, w->other.dev, VFIO_DEVICE_BIND_IOMMUFD, &bind), 0);
	assert_int_equal(w->s.k->pwrite(w->s.k->opaque, w->other.dev, &command, 2, SCENE_CONFIG + 4), 2);
	scene_attach(&w->s, w->s.ioas);
	scene_attach(&w->other, w->s.ioas);
	scene_put64(&w->s, DMATEST_PATTERN, PAT);
	scene_put64(&w->other, DMATEST_PATTERN, ~PAT);
	memset(w->s.guest, 0, SCENE_PAGES * 4096);
}

static inline void up(struct world *w)
{
	up_behind(w, VTD);
}

static inline void down(struct world *w)
{
	assert_int_equal(w->s.k->close(w->s.k->opaque, w->other.dev), 0);
	if (w->intx >= 0)
		close(w->intx);
	scene_close(&w->s);
	nb_host_destroy(w->h);
}

static inline bool holds(struct world *w, unsigned int page, uint64_t pattern)
{
	for (unsigned int i = 0; i < 512; i++)
		if (scene_table(&w->s, page)[i] != pattern)
			return false;
	return true;
}

static inline void command(struct world *w, uint64_t lo, uint64_t hi)
{
	uint64_t *slot = scene_table(&w->s, CMDQ) + 2 * (w->prod & 255);

	slot[0] = lo;
	slot[1] = hi;
	w->prod = (w->prod + 1) & 511;
	put(w, CMDQ_PROD, w->prod);
}

static inline void sync_(struct world *w)
{
	command(w, 0x46, 0);
	assert_int_equal(get(w, CMDQ_CONS), w->prod);
}

static inline void cr0(struct world *w, uint32_t v)
{
	put(w, CR0, v);
	assert_int_equal(get(w, CR0ACK), v);
}

/* A stream table of two levels, 64 entries each; queues of 256 commands and 128 events. Streams are invalid. */
static inline void bring_up(struct world *w)
{
	cr0(w, 0);
	put(w, CR1, 0xd75);
	put64(w, STRTAB_BASE, GPA(STRTAB) | UINT64_C(1) << 62);
	put(w, STRTAB_BASE_CFG, 1 << 16 | 6 << 6 | 16);
	scene_table(&w->s, STRTAB)[SID >> 6] = GPA(STES) | 7;
	scene_table(&w->s, STRTAB)[OTHER_SID >> 6] = GPA(OTHER_STES) | 7;
	put64(w, CMDQ_BASE, GPA(CMDQ) | 8);
	put(w, CMDQ_PROD, 0);
	put(w, CMDQ_CONS, 0);
	cr0(w, 8);
	command(w, 0x04, 31); /* CFGI_ALL */
	command(w, 0x30, 0);  /* TLBI_NSNH_ALL */
	sync_(w);
	put64(w, EVENTQ_BASE, GPA(EVTQ) | 7);
	put(w, EVENTQ_PROD, 0);
	put(w, EVENTQ_CONS, 0);
	cr0(w, 0xc);
	put(w, IRQ_CTRL, 5);
	assert_int_equal(get(w, IRQ_CTRLACK), 5);
	cr0(w, 0xd);
}

/* Words that a unit may be reading. */
static inline void store(uint64_t *at, uint64_t v)
{
	__atomic_store_n(at, v, __ATOMIC_RELEASE);
}

/* Stage 1 with one context: 39 bits, 4 KiB pages, access flag by hardware, ASID 5 or 6. VA leads to `page`. */
static inline void stream_tables(struct world *w, unsigned int sid, unsigned int root, unsigned int page, uint64_t attr)
{
	uint64_t *ste = scene_table(&w->s, sid == SID ? STES : OTHER_STES) + 8 * (sid & 63);
	uint64_t *cd = scene_table(&w->s, CDS) + 8 * (sid == SID);

	store(&scene_table(&w->s, root)[VA >> 30 & 511], GPA(root + 1) | 3);
	store(&scene_table(&w->s, root + 1)[VA >> 21 & 511], GPA(root + 2) | 3);
	store(&scene_table(&w->s, root + 2)[VA >> 12 & 511], page ? GPA(page) | attr : 0);
	store(&cd[1], GPA(root));
	store(&cd[0], 25 | UINT64_C(1) << 30 | UINT64_C(1) << 31 | UINT64_C(5) << 32 | UINT64_C(1) << 41 | UINT64_C(1) << 43 |
		      UINT64_C(3) << 45 | (UINT64_C(5) + (sid != SID)) << 48);
	store(&ste[1], UINT64_C(1) << 44);
	store(&ste[0], (GPA(CDS) + 64 * (sid == SID)) | 0xb);
}

static inline void stream(struct world *w, unsigned int sid, unsigned int root, unsigned int page, uint64_t attr)
{
	stream_tables(w, sid, root, page, attr);
	command(w, (uint64_t)sid << 32 | 3, 1); /* CFGI_STE */
	sync_(w);
}
#define RW  UINT64_C(0xc43)
#define RW_NEVER_USED UINT64_C(0x843) /* access flag clear */

static inline uint32_t fill(struct scene *s, uint64_t addr)
{
	return scene_run(s, DMATEST_CMD_FILL, 0, addr, 4096);
}

/* The oldest event that is not read; type, StreamID and address. */
static inline void expect_event(struct world *w, unsigned int type, unsigned int sid, uint64_t addr)
{
	uint32_t cons = get(w, EVENTQ_CONS);
	uint64_t *e = scene_table(&w->s, EVTQ) + 4 * (cons & 127);

	assert_int_not_equal(get(w, EVENTQ_PROD), cons);
	assert_int_equal(e[0] & 0xff, type);
	assert_int_equal(e[0] >> 32, sid);
	if (addr)
		assert_int_equal(e[2], addr);
	put(w, EVENTQ_CONS, (cons + 1) & 255);
}

#endif
