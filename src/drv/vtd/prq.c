/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Page requests (VT-d 7.4 to 7.6, 7.10): the ring, the requests that are answered here, overflow, drain.
 *
 * A request goes to the core through drv_dev.report_fault(), on the thread that reads the ring: the one on which
 * the interrupt came, one that drains, or one that already was reading when the interrupt came. What the core does not take
 * is answered "invalid request"; a response is made for the last request of a group only.
 *
 * Answered without asking the core, as Linux does: an address that is not canonical, a privileged read or write, an execute
 * request, a function that is not known. A stop marker (last, neither read nor write) is answered by nobody.
 */
#include "drv/vtd/vtd.h"

#include <errno.h>

/* Passes over the ring that one interrupt makes at most: others may keep filling it. */
#define MAX_ROUNDS 64
/* Of a drain, while the ring runs over beside it. */
#define MAX_DRAINS 8

/* ---- responses ---- */

static void respond(struct vtd_unit *u, uint16_t rid, uint32_t pasid, uint32_t grpid, enum drv_page_code code)
{
	static const unsigned int codes[] = {
		[DRV_PAGE_SUCCESS] = VTD_PRGR_SUCCESS,
		[DRV_PAGE_INVALID] = VTD_PRGR_INVALID,
		[DRV_PAGE_FAILURE] = VTD_PRGR_FAILURE, /* Linux 7.2 sends its own enum's value, which is reserved */
	};

	NB_TRACE(u->base.cfg.tr, drv_page_response, rid, pasid, grpid, codes[code]);
	dvtd_queue_begin(u);
	dvtd_queue_push(u, dvtd_desc_page_response(rid, pasid, grpid, codes[code]));
	dvtd_queue_end(u);
}

void dvtd_page_response(struct drv_dev *dev, const struct drv_page_response *resp)
{
	struct vtd_unit *u = dvtd_unit(dev->iommu);
	uint64_t max_group = FIELD_MAX(VTD_INV_PRGR_1_PRGI);

	if (!u->prq.ring)
		return;
	assert(resp->grpid <= max_group && (resp->pasid == NB_NO_PASID || resp->pasid <= NB_PASID_MAX));
	respond(u, dev->rid, resp->pasid, resp->grpid, resp->code);
}

/* ---- one request ---- */

static struct nb_list *bucket(struct vtd_prq *q, uint16_t rid)
{
	return &q->devs[(rid ^ rid >> 6) & (ARRAY_SIZE(q->devs) - 1)];
}

/* PRQ lock. */
static struct vtd_dev *find_dev(struct vtd_prq *q, uint16_t rid)
{
	struct vtd_dev *vdev;

	nb_list_for_each(vdev, bucket(q, rid), prq_link)
		if (vdev->dev->rid == rid)
			return vdev;
	return NULL;
}

/* As wide as the unit's first-stage tables go. */
static bool canonical(const struct vtd_unit *u, uint64_t addr)
{
	unsigned int unused = u->cap & VTD_CAP_FS5LP ? 64 - 57 : 64 - 48;

	return (uint64_t)((int64_t)(addr << unused) >> unused) == addr;
}

/* PRQ lock. */
static void handle(struct vtd_unit *u, uint64_t lo, uint64_t hi)
{
	uint16_t rid = (uint16_t)FIELD_GET(VTD_PREQ_0_RID, lo);
	struct drv_page_request pr = {
		.addr = hi & VTD_PREQ_1_ADDR,
		.pasid = lo & VTD_PREQ_0_PP ? (uint32_t)FIELD_GET(VTD_PREQ_0_PASID, lo) : NB_NO_PASID,
		.grpid = (uint32_t)FIELD_GET(VTD_PREQ_1_PRGI, hi),
		.perm = (hi & VTD_PREQ_1_RD ? DRV_PERM_READ : 0u) | (hi & VTD_PREQ_1_WR ? DRV_PERM_WRITE : 0u) |
			(lo & VTD_PREQ_0_EXE ? DRV_PERM_EXEC : 0u) | (lo & VTD_PREQ_0_PRIV ? DRV_PERM_PRIV : 0u),
		.last = hi & VTD_PREQ_1_LPIG,
		.needs_pasid = lo & VTD_PREQ_0_PP,
	};
	bool rdwr = pr.perm & (DRV_PERM_READ | DRV_PERM_WRITE);
	struct vtd_dev *vdev;

	NB_TRACE(u->base.cfg.tr, drv_page_request, rid, pr.pasid, pr.addr, pr.grpid);
	if (!canonical(u, pr.addr) || ((pr.perm & DRV_PERM_PRIV) && rdwr) ||
	    ((pr.perm & DRV_PERM_EXEC) && (pr.perm & DRV_PERM_READ)))
		goto invalid;
	if (pr.last && !rdwr)
		return; /* stop marker */
	vdev = find_dev(&u->prq, rid);
	if (vdev && vdev->pri && vdev->dev->report_fault(vdev->dev, &pr) == 0)
		return;
invalid:
	if (pr.last)
		respond(u, rid, pr.pasid, pr.grpid, DRV_PAGE_INVALID);
}

/* ---- the ring ---- */

static uint32_t read_tail(const struct vtd_unit *u)
{
	return (uint32_t)FIELD_GET(VTD_PQT_PQT, dvtd_read64(u, VTD_REG_PQT)) & (VTD_PRQ_SLOTS - 1);
}

/*
 * 7.4: since PRO was set the unit has thrown requests away and told the functions to try again. That goes on until PRO is
 * cleared, which we do when the ring is empty. Groups of which the core knows a part may never be completed. PRQ lock.
 */
static void recover(struct vtd_unit *u)
{
	struct vtd_dev *vdev;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(u->prq.devs); i++)
		nb_list_for_each(vdev, &u->prq.devs[i], prq_link)
			if (vdev->dev->discard_partial)
				vdev->dev->discard_partial(vdev->dev);
	dvtd_write32(u, VTD_REG_PRS, VTD_PRS_PRO | VTD_PRS_PPR);
}

/* What is in the ring now. True: it ran over, and more may be there. PRQ lock. */
static bool read_ring(struct vtd_unit *u)
{
	struct vtd_prq *q = &u->prq;
	uint32_t tail;

	/* First: for what is written behind the tail that we read the unit sends another interrupt. */
	dvtd_write32(u, VTD_REG_PRS, VTD_PRS_PPR);
	tail = read_tail(u);
	for (; q->head != tail; q->head = (q->head + 1) & (VTD_PRQ_SLOTS - 1)) {
		const struct vtd_page_req *slot = &q->ring[q->head];

		handle(u, cpu64((le64_t){__atomic_load_n(&slot->q[0].le, __ATOMIC_RELAXED)}),
		       cpu64((le64_t){__atomic_load_n(&slot->q[1].le, __ATOMIC_RELAXED)}));
	}
	dvtd_write64(u, VTD_REG_PQH, (uint64_t)q->head * sizeof(struct vtd_page_req));
	if (!(dvtd_read32(u, VTD_REG_PRS) & VTD_PRS_PRO))
		return false;
	/* Beside PRO no interrupt comes, so nothing may be left behind. */
	if (read_tail(u) == q->head)
		recover(u);
	return true;
}

/*
 * Read until nobody has left a mark, or the lock is somebody else's, who will see it. Whoever has done MAX_ROUNDS leaves the rest
 * to the next interrupt: for that the unit must not think that one is pending.
 */
static void serve_marks(struct vtd_unit *u)
{
	struct vtd_prq *q = &u->prq;
	unsigned int rounds = MAX_ROUNDS;

	while (atomic_load(&q->pending) && pthread_mutex_trylock(&q->lock) == 0) {
		if (rounds-- == 0) {
			recover(u);
			pthread_mutex_unlock(&q->lock);
			return;
		}
		atomic_store(&q->pending, false);
		if (read_ring(u))
			atomic_store(&q->pending, true);
		pthread_mutex_unlock(&q->lock);
	}
}

void dvtd_prq_irq(struct vtd_unit *u)
{
	if (!u->prq.ring)
		return;
	atomic_store(&u->prq.pending, true);
	serve_marks(u);
}

/* Everything that is in the ring when we come. True: it ran over. No driver lock. */
static bool read_all(struct vtd_unit *u)
{
	bool over;

	pthread_mutex_lock(&u->prq.lock);
	over = read_ring(u);
	if (over)
		atomic_store(&u->prq.pending, true);
	pthread_mutex_unlock(&u->prq.lock);
	serve_marks(u);
	return over;
}

/*
 * 7.10, a to d. Requests that the unit has taken are in the ring, or answered by it, when the wait completes; the invalidation of the
 * device's TLB goes ahead of it, as what the device posts is in order with its completion. What both invalidations name is not
 * important; another domain that has the id by now fetches again what it needs. Then the ring is read.
 */
void dvtd_prq_drain(struct vtd_dev *vdev, uint16_t did, uint32_t pasid)
{
	struct vtd_unit *u = vdev->unit;
	unsigned int n = 0;

	if (!u->prq.ring)
		return;
	do {
		dvtd_queue_begin(u);
		dvtd_queue_push(u, dvtd_desc_fence());
		if (pasid == 0)
			dvtd_queue_push(u, dvtd_desc_iotlb(u, VTD_INV_IOTLB_DOMAIN, did, 0, 0, false));
		else
			dvtd_queue_push(u, dvtd_desc_piotlb(VTD_INV_PIOTLB_PASID, did, pasid, 0, 0, false));
		dvtd_push_devtlb(u, vdev->dev->rid, pasid, 0, 52);
		dvtd_queue_end_drain(u);
	} while (read_all(u) && ++n < MAX_DRAINS);
}

void dvtd_prq_add(struct vtd_dev *vdev)
{
	struct vtd_prq *q = &vdev->unit->prq;

	if (!q->ring)
		return;
	pthread_mutex_lock(&q->lock);
	nb_list_add_tail(bucket(q, vdev->dev->rid), &vdev->prq_link);
	pthread_mutex_unlock(&q->lock);
}

void dvtd_prq_del(struct vtd_dev *vdev)
{
	struct vtd_prq *q = &vdev->unit->prq;

	if (!q->ring)
		return;
	pthread_mutex_lock(&q->lock); /* whoever reports has it */
	nb_list_del(&vdev->prq_link);
	pthread_mutex_unlock(&q->lock);
}

/* ---- the unit ---- */

/* Without ECAP.PDS nothing could ever be drained, so the queue is not used. */
int dvtd_prq_init(struct vtd_unit *u, struct nb_diag *diag)
{
	const uint64_t need = VTD_ECAP_PRS | VTD_ECAP_PDS | VTD_ECAP_DT;
	struct vtd_prq *q = &u->prq;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(q->devs); i++)
		nb_list_init(&q->devs[i]);
	if (!u->scalable || (u->ecap & need) != need)
		return 0;
	_Static_assert(sizeof(struct vtd_page_req) * VTD_PRQ_SLOTS == 4096 << VTD_PRQ_ORDER, "11.4.11.3, PQS");
	q->ring = mem_page_alloc(u->base.cfg.pool, VTD_PRQ_ORDER, &q->ring_pa);
	if (!q->ring)
		return nb_fail(diag, -ENOMEM, "no memory for the page request queue");
	return 0;
}

void dvtd_prq_start(struct vtd_unit *u)
{
	const struct drv_iommu_cfg *cfg = &u->base.cfg;

	if (!u->prq.ring)
		return;
	dvtd_write32(u, VTD_REG_PECTL, VTD_ECTL_IM);
	dvtd_write32(u, VTD_REG_PEDATA, cfg->msi_data + DRV_MSI_PAGE_REQUEST);
	dvtd_write32(u, VTD_REG_PEADDR, (uint32_t)cfg->msi_addr);
	dvtd_write32(u, VTD_REG_PEUADDR, (uint32_t)(cfg->msi_addr >> 32));
	dvtd_write64(u, VTD_REG_PQH, 0);
	dvtd_write64(u, VTD_REG_PQT, 0);
	dvtd_write64(u, VTD_REG_PQA, u->prq.ring_pa.v | FIELD_C(VTD_PQA_PQS, VTD_PRQ_ORDER));
	dvtd_write32(u, VTD_REG_PRS, VTD_PRS_PRO | VTD_PRS_PPR);
	dvtd_write32(u, VTD_REG_PECTL, 0);
}

void dvtd_prq_stop(struct vtd_unit *u)
{
	if (!u->prq.ring)
		return;
	dvtd_write32(u, VTD_REG_PECTL, VTD_ECTL_IM);
	dvtd_write64(u, VTD_REG_PQA, 0);
	dvtd_write64(u, VTD_REG_PQH, 0);
	dvtd_write64(u, VTD_REG_PQT, 0);
}

void dvtd_prq_fini(struct vtd_unit *u)
{
	unsigned int i;

	for (i = 0; u->prq.ring && i < ARRAY_SIZE(u->prq.devs); i++)
		assert(nb_list_empty(&u->prq.devs[i])); /* all released */
	mem_page_free(u->base.cfg.pool, u->prq.ring, VTD_PRQ_ORDER);
	pthread_mutex_destroy(&u->prq.lock);
}
