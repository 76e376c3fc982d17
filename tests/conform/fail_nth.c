/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Out of memory at every place: each call of a virtual host replayed with its n-th allocation failing, until it passes.
 *
 *	fail_nth [CASE] [--conf NAME]
 *
 * After each failure: the call said so with an errno (or did without); every device gets to where it got before, through caches and by memory; and
 * the same call, made again with nothing failing, works. At the end of a case everything is closed and not one allocation and
 * not one page may be left. Creating a host and the whole of `nestbox demo` are cases too.
 *
 * Allocations are counted at the link: --wrap puts the functions below around base/alloc.h and the page pool.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/cli.h"
#include "machine/api.h"
#include "machine/desc_yaml.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"
#include "vendor.h"

/* ---- what is live ---- */

static _Atomic long live, pages_live;

void *__real_nb_zalloc(size_t size);
void *__real_nb_calloc(size_t n, size_t size);
void *__real_nb_realloc(void *p, size_t n, size_t size);
void *__real_nb_aligned_zalloc(size_t align, size_t size);
void __real_nb_free(void *p);
void *__real_mem_page_alloc(struct mem_pool *p, unsigned int order, hpa_t *pa);
void *__real_mem_page_alloc_raw(struct mem_pool *p, unsigned int order, hpa_t *pa);
void __real_mem_page_free(struct mem_pool *p, void *ptr, unsigned int order);
void *__wrap_nb_zalloc(size_t size);
void *__wrap_nb_calloc(size_t n, size_t size);
void *__wrap_nb_realloc(void *p, size_t n, size_t size);
void *__wrap_nb_aligned_zalloc(size_t align, size_t size);
void __wrap_nb_free(void *p);
void *__wrap_mem_page_alloc(struct mem_pool *p, unsigned int order, hpa_t *pa);
void *__wrap_mem_page_alloc_raw(struct mem_pool *p, unsigned int order, hpa_t *pa);
void __wrap_mem_page_free(struct mem_pool *p, void *ptr, unsigned int order);

static void *count(void *p)
{
	if (p)
		atomic_fetch_add(&live, 1);
	return p;
}

void *__wrap_nb_zalloc(size_t size)
{
	return count(__real_nb_zalloc(size));
}
void *__wrap_nb_calloc(size_t n, size_t size)
{
	return count(__real_nb_calloc(n, size));
}
void *__wrap_nb_realloc(void *p, size_t n, size_t size)
{
	void *q = __real_nb_realloc(p, n, size);

	return p ? q : count(q);
}
void *__wrap_nb_aligned_zalloc(size_t align, size_t size)
{
	return count(__real_nb_aligned_zalloc(align, size));
}
void __wrap_nb_free(void *p)
{
	if (p)
		atomic_fetch_sub(&live, 1);
	__real_nb_free(p);
}
void *__wrap_mem_page_alloc(struct mem_pool *p, unsigned int order, hpa_t *pa)
{
	void *page = __real_mem_page_alloc(p, order, pa);

	if (page)
		atomic_fetch_add(&pages_live, 1);
	return page;
}
void *__wrap_mem_page_alloc_raw(struct mem_pool *p, unsigned int order, hpa_t *pa)
{
	void *page = __real_mem_page_alloc_raw(p, order, pa);

	if (page)
		atomic_fetch_add(&pages_live, 1);
	return page;
}
void __wrap_mem_page_free(struct mem_pool *p, void *ptr, unsigned int order)
{
	if (ptr)
		atomic_fetch_sub(&pages_live, 1);
	__real_mem_page_free(p, ptr, order);
}

/* ---- the scene ---- */

#define PAGE  4096u
#define M2    (UINT64_C(2) << 20)
#define NDEVS 4u
#define PASID 70u
#define IOVA  UINT64_C(0x40000000)
#define VA    UINT64_C(0x600000000000)
#define BASE_PAGES 1024u /* of memory that is mapped */

struct scene {
	const struct vendor *v;
	const struct vendor_conf *conf;
	struct nb_host *host;
	struct nb_desc desc;
	int iommufd, dev[NDEVS];
	uint32_t devid[NDEVS], ioas, ioas2, hwpt, parent, parent_b, nested, nested_b, dirty;
	unsigned int ndevs;
	uint8_t *mem;
	uint32_t out; /* id that the call under test made */
	int fd;
	uint32_t pasid_flag; /* IOMMU_HWPT_ALLOC_PASID, where there are PASIDs */
	bool can_nest, can_dirty, can_pasid;
};

static struct {
	char what[64];
	unsigned int failures;
	uint64_t injected, calls;
	char absent[512]; /* what this configuration has not */
} now;

static void fail(struct scene *s, const char *why, long a, long b)
{
	if (now.failures++ < 12)
		printf("FAILED: %s, %s: %s (%ld, %ld)\n", s->conf ? s->conf->name : "-", now.what, why, a, b);
}

static long io(struct scene *s, int fd, unsigned long cmd, void *arg)
{
	return nb_host_ioctl(s->host, fd, cmd, arg);
}

static void must(struct scene *s, long err, const char *what)
{
	if (err < 0) {
		printf("%s: setting up %s: %s returned %ld\n", s->conf->name, now.what, what, err);
		exit(1);
	}
}

static long ioas_alloc(struct scene *s, uint32_t *id)
{
	struct iommu_ioas_alloc a = {.size = sizeof(a)};
	long err = io(s, s->iommufd, IOMMU_IOAS_ALLOC, &a);

	if (!err)
		*id = a.out_ioas_id;
	return err;
}

static long map(struct scene *s, uint32_t ioas, const void *va, uint64_t iova, uint64_t len)
{
	struct iommu_ioas_map a = {.size = sizeof(a), .ioas_id = ioas, .user_va = (uintptr_t)va, .length = len, .iova = iova,
				   .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE};

	return io(s, s->iommufd, IOMMU_IOAS_MAP, &a);
}

static long unmap(struct scene *s, uint32_t ioas, uint64_t iova, uint64_t len)
{
	struct iommu_ioas_unmap a = {.size = sizeof(a), .ioas_id = ioas, .iova = iova, .length = len};

	return io(s, s->iommufd, IOMMU_IOAS_UNMAP, &a);
}

static long hwpt_flags(struct scene *s, uint32_t pt, uint32_t flags, uint32_t fault, uint32_t *id)
{
	struct iommu_hwpt_alloc a = {.size = sizeof(a), .flags = flags | s->pasid_flag, .dev_id = s->devid[0], .pt_id = pt,
				    .fault_id = fault};
	long err = io(s, s->iommufd, IOMMU_HWPT_ALLOC, &a);

	if (!err)
		*id = a.out_hwpt_id;
	return err;
}

static long hwpt_nested(struct scene *s, uint32_t parent, uint64_t root, uint32_t *id)
{
	struct vendor_blob blob;
	struct iommu_hwpt_alloc a;
	long err;

	s->v->s1_blob(root, &blob);
	a = (struct iommu_hwpt_alloc){.size = sizeof(a), .flags = s->pasid_flag, .dev_id = s->devid[0], .pt_id = parent, .data_type = blob.type,
				      .data_len = blob.len, .data_uptr = (uintptr_t)blob.bytes};
	err = io(s, s->iommufd, IOMMU_HWPT_ALLOC, &a);
	if (!err)
		*id = a.out_hwpt_id;
	return err;
}

static long attach(struct scene *s, unsigned int dev, uint32_t pasid, uint32_t pt)
{
	struct vfio_device_attach_iommufd_pt a = {.argsz = sizeof(a), .pt_id = pt, .pasid = pasid == NB_NO_PASID ? 0 : pasid,
						  .flags = pasid == NB_NO_PASID ? 0u : VFIO_DEVICE_ATTACH_PASID};

	return io(s, s->dev[dev], VFIO_DEVICE_ATTACH_IOMMUFD_PT, &a);
}

static long detach(struct scene *s, unsigned int dev, uint32_t pasid)
{
	struct vfio_device_detach_iommufd_pt a = {.argsz = sizeof(a), .pasid = pasid == NB_NO_PASID ? 0 : pasid,
						  .flags = pasid == NB_NO_PASID ? 0u : VFIO_DEVICE_DETACH_PASID};

	return io(s, s->dev[dev], VFIO_DEVICE_DETACH_IOMMUFD_PT, &a);
}

static long destroy(struct scene *s, uint32_t id)
{
	struct iommu_destroy a = {.size = sizeof(a), .id = id};

	return io(s, s->iommufd, IOMMU_DESTROY, &a);
}

static long bind(struct scene *s, unsigned int i)
{
	struct vfio_device_bind_iommufd b = {.argsz = sizeof(b), .iommufd = s->iommufd};
	long err = io(s, s->dev[i], VFIO_DEVICE_BIND_IOMMUFD, &b);

	if (!err)
		s->devid[i] = b.out_devid;
	return err;
}

static bool capable(struct scene *s, enum drv_cap cap)
{
	struct iommu_hw_info a = {.size = sizeof(a), .dev_id = s->devid[0]};
	uint32_t id;

	if (cap == DRV_CAP_NESTING) {
		bool can = hwpt_flags(s, s->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0, &id) == 0;

		if (can)
			destroy(s, id);
		return can;
	}
	return io(s, s->iommufd, IOMMU_GET_HW_INFO, &a) == 0 && (a.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING);
}

/* A guest's table at the beginning of the memory: VA leads to IOVA + 16 pages + `shift` pages. */
static uint64_t guest_tables(struct scene *s, unsigned int at, unsigned int shift)
{
	uint64_t *t = (uint64_t *)(void *)(s->mem + at * PAGE), gpa = IOVA + at * PAGE;
	unsigned int i;

	t[VA >> 39 & 511] = s->v->s1_node(gpa + PAGE);
	t[512 + (VA >> 30 & 511)] = s->v->s1_node(gpa + 2 * PAGE);
	t[1024 + (VA >> 21 & 511)] = s->v->s1_node(gpa + 3 * PAGE);
	for (i = 0; i < 16; i++)
		t[1536 + i] = s->v->s1_leaf(IOVA + (16 + shift + i) * PAGE, HW_READ | HW_WRITE);
	return gpa;
}

/* Device 0, 1: hwpt; 2: nothing; 3: an address space of its own. */
static void scene_up(struct scene *s, const struct vendor *v, const struct vendor_conf *conf, struct nb_host *host, uint8_t *mem)
{
	char path[64];
	unsigned int i;

	memset(s, 0, sizeof(*s));
	s->v = v;
	s->conf = conf;
	s->host = host;
	s->mem = mem;
	s->fd = -1;
	conf->make(&s->desc);
	memset(mem, 0, BASE_PAGES * PAGE);
	s->iommufd = nb_host_open(host, "/dev/iommu", O_RDWR);
	must(s, s->iommufd, "open");
	s->ndevs = s->desc.nfunctions < NDEVS ? s->desc.nfunctions : NDEVS;
	for (i = 0; i < s->ndevs; i++) {
		/* The test engines first: they have PASIDs. */
		snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", i ^ 1u);
		s->dev[i] = nb_host_open(host, path, O_RDWR);
		must(s, s->dev[i], path);
		if (i == 2)
			continue; /* for the case "bind" */
		must(s, bind(s, i), "BIND");
	}
	must(s, ioas_alloc(s, &s->ioas), "IOAS_ALLOC");
	must(s, ioas_alloc(s, &s->ioas2), "IOAS_ALLOC");
	must(s, map(s, s->ioas, mem, IOVA, BASE_PAGES / 2 * PAGE), "map");
	s->pasid_flag = IOMMU_HWPT_ALLOC_PASID;
	if (hwpt_flags(s, s->ioas, 0, 0, &s->hwpt)) {
		s->pasid_flag = 0;
		must(s, hwpt_flags(s, s->ioas, 0, 0, &s->hwpt), "HWPT_ALLOC");
	}
	s->can_nest = capable(s, DRV_CAP_NESTING);
	s->can_dirty = capable(s, DRV_CAP_DIRTY_TRACKING);
	if (s->can_nest) {
		must(s, hwpt_flags(s, s->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0, &s->parent), "parent");
		must(s, hwpt_flags(s, s->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0, &s->parent_b), "parent");
		must(s, hwpt_nested(s, s->parent, guest_tables(s, 0, 0), &s->nested), "nested");
		must(s, hwpt_nested(s, s->parent_b, guest_tables(s, 4, 1), &s->nested_b), "nested");
	}
	if (s->can_dirty)
		must(s, hwpt_flags(s, s->ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 0, &s->dirty), "dirty");
	must(s, attach(s, 0, NB_NO_PASID, s->hwpt), "attach");
	must(s, attach(s, 1, NB_NO_PASID, s->hwpt), "attach");
	must(s, attach(s, 3, NB_NO_PASID, s->ioas2), "attach");
	s->can_pasid = attach(s, 0, 5, s->hwpt) == 0;
}

/* ---- where do the devices get to? ---- */

#define NSEEN 96

static unsigned int see(struct scene *s, uint64_t seen[NSEEN])
{
	static const uint64_t at[] = {IOVA, IOVA + 17 * PAGE, VA + PAGE, VA + 300 * PAGE, IOVA + M2, IOVA + 3 * M2};
	static const uint32_t pasid[] = {NB_NO_PASID, 5, PASID};
	struct machine *m = nb_host_machine(s->host);
	unsigned int d, p, a, n = 0, through;

	for (d = 0; d < s->ndevs; d++) {
		uint16_t rid = s->desc.function[d].rid;
		struct hw_iommu *hw = machine_iommu_of(m, 0, rid);

		for (p = 0; p < 3; p++)
			for (a = 0; a < ARRAY_SIZE(at) && n < NSEEN; a++) {
				struct hw_request req = {.addr = at[a], .pasid = pasid[p], .rid = rid, .access = HW_READ};
				struct hw_result res[2];

				hw_translate(hw, &req, &res[0]);
				req.flags = HW_OBSERVE;
				hw->ops->walk(hw, &req, NULL, NULL, &res[1]);
				for (through = 0; through < 2; through++)
					if (res[through].kind != res[1].kind ||
					    (res[1].kind == HW_OK && res[through].pa.v != res[1].pa.v))
						fail(s, "caches and memory differ", d, a);
				/* Why it is refused may change: a table that was made for an attach stays. */
				seen[n++] = res[1].kind == HW_OK ? res[1].pa.v : BIT(63);
			}
	}
	return n;
}

static bool seen_as_before(struct scene *s, const uint64_t before[NSEEN])
{
	uint64_t seen[NSEEN];
	unsigned int n = see(s, seen), i;

	for (i = 0; i < n; i++)
		if (seen[i] != before[i])
			return false;
	return true;
}

/* ---- the calls ---- */

static long c_ioas(struct scene *s)
{
	return ioas_alloc(s, &s->out);
}
static long u_destroy(struct scene *s)
{
	return destroy(s, s->out);
}
static long c_map(struct scene *s)
{
	return map(s, s->ioas, s->mem + BASE_PAGES / 2 * PAGE, IOVA + 8 * M2 - 3 * PAGE, 7 * PAGE);
}
static long u_map(struct scene *s)
{
	return unmap(s, s->ioas, IOVA + 8 * M2 - 3 * PAGE, 7 * PAGE);
}
static long c_map_far(struct scene *s)
{
	return map(s, s->ioas, s->mem + BASE_PAGES / 2 * PAGE, UINT64_C(0x123456789000), M2);
}
static long u_map_far(struct scene *s)
{
	return unmap(s, s->ioas, UINT64_C(0x123456789000), M2);
}
static long c_unmap(struct scene *s)
{
	return unmap(s, s->ioas, IOVA, BASE_PAGES / 2 * PAGE);
}
static long u_unmap(struct scene *s)
{
	return map(s, s->ioas, s->mem, IOVA, BASE_PAGES / 2 * PAGE);
}
static long c_copy(struct scene *s)
{
	struct iommu_ioas_copy a = {.size = sizeof(a), .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
				    .dst_ioas_id = s->ioas2, .src_ioas_id = s->ioas, .length = 64 * PAGE,
				    .dst_iova = IOVA + 16 * M2, .src_iova = IOVA};

	return io(s, s->iommufd, IOMMU_IOAS_COPY, &a);
}
static long u_copy(struct scene *s)
{
	return unmap(s, s->ioas2, IOVA + 16 * M2, 64 * PAGE);
}
static long c_hwpt(struct scene *s)
{
	return hwpt_flags(s, s->ioas, 0, 0, &s->out);
}
static long c_parent(struct scene *s)
{
	return s->can_nest ? hwpt_flags(s, s->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0, &s->out) : 1;
}
static long c_hwpt_dirty(struct scene *s)
{
	return s->can_dirty ? hwpt_flags(s, s->ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 0, &s->out) : 1;
}
static long c_nested(struct scene *s)
{
	return s->can_nest ? hwpt_nested(s, s->parent, IOVA, &s->out) : 1;
}
static long c_fault_queue(struct scene *s)
{
	struct iommu_fault_alloc a = {.size = sizeof(a)};
	long err = io(s, s->iommufd, IOMMU_FAULT_QUEUE_ALLOC, &a);

	if (!err) {
		s->out = a.out_fault_id;
		s->fd = (int)a.out_fault_fd;
	}
	return err == -EOPNOTSUPP ? 1 : err;
}
static long u_fault_queue(struct scene *s)
{
	nb_host_close(s->host, s->fd);
	return destroy(s, s->out);
}
static long c_hwpt_fault(struct scene *s)
{
	uint32_t queue = s->out, id;
	long err = hwpt_flags(s, s->ioas, IOMMU_HWPT_FAULT_ID_VALID, queue, &id);

	if (!err)
		s->ioas2 = id; /* remembered there for the way back */
	return err;
}
static long u_hwpt_fault(struct scene *s)
{
	return destroy(s, s->ioas2);
}
static long c_attach_again(struct scene *s)
{
	return attach(s, 1, NB_NO_PASID, s->ioas2); /* automatic HWPTs are for functions without PASIDs in use */
}
static long u_attach_again(struct scene *s)
{
	return attach(s, 1, NB_NO_PASID, s->hwpt);
}
static long c_replace_nested(struct scene *s)
{
	return s->can_nest ? attach(s, 0, NB_NO_PASID, s->nested) : 1;
}
static long c_replace_parent(struct scene *s)
{
	return s->can_nest ? attach(s, 0, NB_NO_PASID, s->parent) : 1;
}
static long c_replace_dirty(struct scene *s)
{
	return s->can_dirty ? attach(s, 0, NB_NO_PASID, s->dirty) : 1;
}
static long u_attach(struct scene *s)
{
	return attach(s, 0, NB_NO_PASID, s->hwpt);
}
static long c_nested_to_nested(struct scene *s)
{
	return s->can_nest ? attach(s, 1, NB_NO_PASID, s->nested_b) : 1;
}
static long s_nested(struct scene *s)
{
	return s->can_nest ? attach(s, 1, NB_NO_PASID, s->nested) : 0;
}
static long u_nested_to_nested(struct scene *s)
{
	return attach(s, 1, NB_NO_PASID, s->nested);
}
static long c_attach_pasid(struct scene *s)
{
	return s->can_pasid ? attach(s, 0, PASID, s->hwpt) : 1;
}
static long c_attach_pasid_nested(struct scene *s)
{
	return s->can_pasid && s->can_nest ? attach(s, 0, PASID, s->nested) : 1;
}
static long u_attach_pasid(struct scene *s)
{
	return detach(s, 0, PASID);
}
static long c_detach(struct scene *s)
{
	return detach(s, 0, NB_NO_PASID);
}
static long c_dirty_on(struct scene *s)
{
	struct iommu_hwpt_set_dirty_tracking a = {.size = sizeof(a), .hwpt_id = s->dirty, .flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE};

	return s->can_dirty ? io(s, s->iommufd, IOMMU_HWPT_SET_DIRTY_TRACKING, &a) : 1;
}
static long s_dirty(struct scene *s)
{
	return s->can_dirty ? attach(s, 1, NB_NO_PASID, s->dirty) : 0;
}
static long u_dirty_on(struct scene *s)
{
	struct iommu_hwpt_set_dirty_tracking a = {.size = sizeof(a), .hwpt_id = s->dirty};

	return io(s, s->iommufd, IOMMU_HWPT_SET_DIRTY_TRACKING, &a);
}
static long c_bitmap(struct scene *s)
{
	static uint64_t bits[BASE_PAGES / 128];
	struct iommu_hwpt_get_dirty_bitmap a = {.size = sizeof(a), .hwpt_id = s->dirty, .iova = IOVA,
						.length = BASE_PAGES / 2 * PAGE, .page_size = PAGE, .data = (uintptr_t)bits};

	return s->can_dirty ? io(s, s->iommufd, IOMMU_HWPT_GET_DIRTY_BITMAP, &a) : 1;
}
static long nothing(struct scene *s)
{
	(void)s;
	return 0;
}
static long c_invalidate(struct scene *s)
{
	struct vendor_blob blob;
	struct iommu_hwpt_invalidate a;

	if (!s->can_nest)
		return 1;
	s->v->inv_blob(VA, 1, true, &blob);
	a = (struct iommu_hwpt_invalidate){.size = sizeof(a), .hwpt_id = s->nested, .data_uptr = (uintptr_t)blob.bytes,
					   .data_type = blob.type, .entry_len = blob.len, .entry_num = 1};
	return io(s, s->iommufd, IOMMU_HWPT_INVALIDATE, &a);
}
static long c_bind(struct scene *s)
{
	return bind(s, 2);
}
static long u_bind(struct scene *s)
{
	nb_host_close(s->host, s->dev[2]);
	s->dev[2] = nb_host_open(s->host, "/dev/vfio/devices/vfio3", O_RDWR);
	return s->dev[2] < 0 ? s->dev[2] : 0;
}
static long irqs(struct scene *s, unsigned int index, unsigned int n)
{
	struct {
		struct vfio_irq_set set;
		int32_t fd[4];
	} a = {.set = {.argsz = sizeof(a), .index = index, .count = n,
		       .flags = VFIO_IRQ_SET_ACTION_TRIGGER | (n ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE)}};
	unsigned int i;

	a.set.argsz = (uint32_t)(sizeof(a.set) + 4 * n);
	for (i = 0; i < 4; i++)
		a.fd[i] = s->fd;
	return io(s, s->dev[0], VFIO_DEVICE_SET_IRQS, &a);
}
static long s_irqs(struct scene *s)
{
	s->fd = eventfd(0, EFD_CLOEXEC);
	return s->fd;
}
static long c_msix(struct scene *s)
{
	return irqs(s, VFIO_PCI_MSIX_IRQ_INDEX, 3);
}
static long u_msix(struct scene *s)
{
	return irqs(s, VFIO_PCI_MSIX_IRQ_INDEX, 0);
}
static long c_msi(struct scene *s)
{
	return irqs(s, VFIO_PCI_MSI_IRQ_INDEX, 2);
}
static long u_msi(struct scene *s)
{
	return irqs(s, VFIO_PCI_MSI_IRQ_INDEX, 0);
}
static long c_intx(struct scene *s)
{
	return irqs(s, VFIO_PCI_INTX_IRQ_INDEX, 1);
}
static long u_intx(struct scene *s)
{
	return irqs(s, VFIO_PCI_INTX_IRQ_INDEX, 0);
}
static long c_reset(struct scene *s)
{
	return io(s, s->dev[0], VFIO_DEVICE_RESET, NULL);
}
static long c_hot_reset(struct scene *s)
{
	struct vfio_pci_hot_reset a = {.argsz = sizeof(a)};

	return io(s, s->dev[0], VFIO_DEVICE_PCI_HOT_RESET, &a);
}
/* What cannot be attached again after a reset stays blocked, as in Linux; the user attaches again. */
static long u_reset(struct scene *s)
{
	long err = detach(s, 0, NB_NO_PASID);

	if (!err && s->can_pasid)
		err = detach(s, 0, 5);
	if (!err)
		err = attach(s, 0, NB_NO_PASID, s->hwpt);
	return !err && s->can_pasid ? attach(s, 0, 5, s->hwpt) : err;
}
static long c_open(struct scene *s)
{
	s->fd = nb_host_open(s->host, "/dev/iommu", O_RDWR);
	return s->fd < 0 ? s->fd : 0;
}
static long u_open(struct scene *s)
{
	return nb_host_close(s->host, s->fd);
}

struct call {
	const char *name;
	long (*prepare)(struct scene *s);
	long (*call)(struct scene *s); /* 1: this configuration has no such thing */
	long (*back)(struct scene *s); /* undoes a call that worked */
};

static const struct call calls[] = {
	{"open /dev/iommu", nothing, c_open, u_open},
	{"IOAS_ALLOC", nothing, c_ioas, u_destroy},
	{"map beside what is mapped", nothing, c_map, u_map},
	{"map far away", nothing, c_map_far, u_map_far},
	{"unmap everything", nothing, c_unmap, u_unmap},
	{"IOAS_COPY", nothing, c_copy, u_copy},
	{"HWPT_ALLOC", nothing, c_hwpt, u_destroy},
	{"HWPT_ALLOC parent", nothing, c_parent, u_destroy},
	{"HWPT_ALLOC dirty", nothing, c_hwpt_dirty, u_destroy},
	{"HWPT_ALLOC nested", nothing, c_nested, u_destroy},
	{"FAULT_QUEUE_ALLOC", nothing, c_fault_queue, u_fault_queue},
	{"HWPT_ALLOC with a fault queue", c_fault_queue, c_hwpt_fault, u_hwpt_fault},
	{"replace by an address space", nothing, c_attach_again, u_attach_again},
	{"replace by nested", nothing, c_replace_nested, u_attach},
	{"replace by its parent's kind", nothing, c_replace_parent, u_attach},
	{"replace by tracked", nothing, c_replace_dirty, u_attach},
	{"replace nested by nested", s_nested, c_nested_to_nested, u_nested_to_nested},
	{"attach a PASID", nothing, c_attach_pasid, u_attach_pasid},
	{"attach a PASID, nested", nothing, c_attach_pasid_nested, u_attach_pasid},
	{"detach", nothing, c_detach, u_attach},
	{"dirty tracking on", s_dirty, c_dirty_on, u_dirty_on},
	{"dirty bitmap", s_dirty, c_bitmap, nothing},
	{"HWPT_INVALIDATE", s_nested, c_invalidate, nothing},
	{"BIND", nothing, c_bind, u_bind},
	{"MSI-X", s_irqs, c_msix, u_msix},
	{"MSI", s_irqs, c_msi, u_msi},
	{"INTx", s_irqs, c_intx, u_intx},
	{"reset", nothing, c_reset, u_reset},
	{"hot reset", nothing, c_hot_reset, u_reset},
};

/* ---- */

#define N_MAX 2000u

/* The description goes through a file, as a user's does. */
static char yaml[64];

static void write_desc(const struct vendor_conf *conf)
{
	static struct nb_desc desc;
	int fd;
	FILE *f;

	snprintf(yaml, sizeof(yaml), "/tmp/fail_nth-XXXXXX.yaml");
	fd = mkstemps(yaml, 5);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f)
		exit(1);
	conf->make(&desc);
	desc_yaml_write(&desc, f);
	fclose(f);
}

static struct nb_host *make_host(const struct vendor_conf *conf, bool may_fail)
{
	struct nb_host *host = NULL;
	char why[256] = "";

	if (nb_host_create(yaml, NULL, &host, why, sizeof(why)) == 0)
		return host;
	if (!may_fail) {
		printf("%s: no host: %s\n", conf->name, why);
		exit(1);
	}
	return NULL;
}

static void absent(void)
{
	size_t n = strlen(now.absent);

	now.calls--;
	snprintf(now.absent + n, sizeof(now.absent) - n, "%s%s", n ? ", " : "; opted out, not here: ", now.what);
}

static void run_call(struct scene *s, const struct call *c)
{
	uint64_t before[NSEEN];
	unsigned long n;
	long err;

	snprintf(now.what, sizeof(now.what), "%s", c->name);
	now.calls++;
	if (c->prepare(s) == 1) {
		absent();
		return;
	}
	see(s, before);
	for (n = 1; n < N_MAX; n++) {
		bool fired;

		nb_fail_nth_arm(n);
		err = c->call(s);
		fired = nb_fail_nth_fired();
		now.injected += fired;
		if (err == 1) {
			absent();
			return;
		}
		if (err == 0) {
			if (c->back(s))
				fail(s, "what worked cannot be undone", (long)n, 0);
		} else if (!fired) {
			fail(s, "refused with all the memory there is", (long)n, err);
			return;
		} else if (err != -ENOMEM && err != -EMFILE) { /* descriptors are duplicated: that can fail, too */
			fail(s, "out of memory, but another error", (long)n, err);
		}
		if (!seen_as_before(s, before))
			fail(s, "a device does not get to where it got before", (long)n, err);
		if (!fired)
			return;
	}
	fail(s, "never done", (long)n, 0);
}

static void nothing_left(struct scene *s, long was, long pages_was)
{
	if (live != was || pages_live != pages_was)
		fail(s, "left behind: allocations, pages", live - was, pages_live - pages_was);
}

static void whole_host(const struct vendor *v, const struct vendor_conf *conf)
{
	struct scene s = {.v = v, .conf = conf};
	long was = live, pages_was = pages_live;
	unsigned long n;

	snprintf(now.what, sizeof(now.what), "creation of a host");
	now.calls++;
	for (n = 1; n < N_MAX; n++) {
		struct nb_host *host;
		bool fired;

		nb_fail_nth_arm(n);
		host = make_host(conf, true);
		fired = nb_fail_nth_fired();
		now.injected += fired;
		nb_host_destroy(host);
		nothing_left(&s, was, pages_was);
		if (!fired) {
			if (!host)
				fail(&s, "refused with all the memory there is", (long)n, 0);
			return;
		}
	}
	fail(&s, "never done", 0, 0);
}

int cli_fail(int status, const char *fmt, ...) /* the command's own says it on stderr */
{
	(void)fmt;
	return status;
}

/* stdout goes nowhere meanwhile. Its exit status is about its claims. */
static void whole_demo(void)
{
	struct scene s = {.conf = NULL};
	char *argv[] = {(char *)(uintptr_t)"demo", NULL};
	int out = dup(1), err = dup(2), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	unsigned long n;
	long was, pages_was;

	snprintf(now.what, sizeof(now.what), "nestbox demo");
	now.calls++;
	fflush(stdout);
	dup2(null, 1);
	dup2(null, 2);
	cmd_demo(1, argv);
	was = live;
	pages_was = pages_live;
	for (n = 1; n < 20 * N_MAX; n++) {
		bool fired;
		int r;

		nb_fail_nth_arm(n);
		r = cmd_demo(1, argv);
		fired = nb_fail_nth_fired();
		fflush(stdout);
		now.injected += fired;
		if (live != was || pages_live != pages_was || (!fired && r))
			break;
		if (!fired)
			break;
	}
	dup2(out, 1);
	dup2(err, 2);
	close(out);
	close(err);
	close(null);
	nothing_left(&s, was, pages_was);
}

int main(int argc, char **argv)
{
	const struct vendor *const *v;
	const char *only = NULL, *only_conf = NULL;
	uint8_t *mem;
	unsigned int i, k;
	int a;

	for (a = 1; a < argc; a++) {
		if (strcmp(argv[a], "--conf") == 0 && a + 1 < argc)
			only_conf = argv[++a];
		else
			only = argv[a];
	}
	mem = mmap(NULL, BASE_PAGES * PAGE + M2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return 1;
	mem = (uint8_t *)(((uintptr_t)mem + M2 - 1) & ~(uintptr_t)(M2 - 1));
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (v = vendors; *v; v++) {
		for (i = 0; i < (*v)->nconfs; i++) {
			const struct vendor_conf *conf = &(*v)->conf[i];
			unsigned int failures = now.failures;

			if (only_conf && strcmp(only_conf, conf->name) != 0)
				continue;
			now.injected = now.calls = 0;
			now.absent[0] = 0;
			write_desc(conf);
			if (!only || strcmp(only, "host") == 0)
				whole_host(*v, conf);
			for (k = 0; k < ARRAY_SIZE(calls); k++) {
				struct scene s;
				struct nb_host *host;
				long was = live, pages_was = pages_live;

				if (only && strcmp(only, calls[k].name) != 0)
					continue;
				snprintf(now.what, sizeof(now.what), "%s", calls[k].name);
				memset(&s, 0, sizeof(s));
				host = make_host(conf, false);
				scene_up(&s, *v, conf, host, mem);
				run_call(&s, &calls[k]);
				nb_host_destroy(host);
				nothing_left(&s, was, pages_was);
				if (calls[k].prepare == s_irqs)
					close(s.fd);
			}
			unlink(yaml);
			printf("%s/%-20s %s: %" PRIu64 " calls, %" PRIu64 " failures ordered%s\n", (*v)->name, conf->name,
			       now.failures == failures ? "ok" : "FAILED", now.calls, now.injected, now.absent);
		}
	}
	if (!only && !only_conf) {
		now.injected = 0;
		whole_demo();
		printf("nestbox demo: %" PRIu64 " failures ordered\n", now.injected);
	}
	return now.failures ? 1 : 0;
}
