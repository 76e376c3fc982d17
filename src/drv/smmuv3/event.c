/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the unit has to say: event queue (IHI 0070 7.2, 7.3), PRI queue (8.1), global errors (7.5).
 *
 * The interrupt may come on any thread, also on one that is inside this driver, since a register write may be what makes the unit
 * send it. So nothing in it waits for a lock: whoever comes while the queues are being read leaves a mark and goes, and the reader
 * looks again. The unit interrupts when a queue stops being empty, so a reader goes on until it is.
 *
 * A record of a stalled transaction is a page request of one page, named by its STAG; the answer is CMD_RESUME. A record of a
 * device that stands on a vIOMMU goes to the guest, if it is about what the guest owns. All others are traced.
 * Page requests over PRI are refused, as Linux does.
 */
#include "drv/smmuv3/smmu.h"

#include <errno.h>

#include "uapi/iommufd.h"

#define EVTQ_LG2_MAX 10
#define PRIQ_LG2_MAX 10
/* Passes over the queues that one interrupt makes at most: devices may keep filling them. */
#define MAX_ROUNDS 64

/* ---- answers ---- */

static void resume(struct dsmmu *u, uint16_t sid, uint32_t pasid, uint32_t stag, enum drv_page_code code)
{
	NB_TRACE(u->base.cfg.tr, drv_page_response, sid, pasid, stag, code);
	dsmmu_queue_begin(u);
	dsmmu_queue_push(u, dsmmu_cmd_resume(sid, stag, code));
	dsmmu_queue_end(u);
}

void dsmmu_page_response(struct drv_dev *dev, const struct drv_page_response *resp)
{
	uint64_t max = FIELD_MAX(SMMU_CMD_RESUME_1_STAG);

	assert(resp->grpid <= max);
	resume(dsmmu_of(dev->iommu), dev->rid, resp->pasid, resp->grpid, resp->code);
}

/* ---- events ---- */

static struct nb_list *bucket(struct dsmmu_evt *e, uint16_t sid)
{
	return &e->devs[(sid ^ sid >> 6) & (ARRAY_SIZE(e->devs) - 1)];
}

/* Evt lock. */
static struct dsmmu_dev *find_dev(struct dsmmu_evt *e, uint32_t sid)
{
	struct dsmmu_dev *sdev;

	if (sid > UINT16_MAX)
		return NULL;
	nb_list_for_each(sdev, bucket(e, (uint16_t)sid), evt_link)
		if (sdev->dev->rid == sid)
			return sdev;
	return NULL;
}

/* A transaction waits: somebody answers it, always. Evt lock. */
static void stalled(struct dsmmu *u, struct dsmmu_dev *sdev, const uint64_t q[4])
{
	uint32_t sid = (uint32_t)FIELD_GET(SMMU_EVT_0_SID, q[0]);
	struct drv_page_request pr = {
		.addr = q[2],
		.pasid = q[0] & SMMU_EVT_0_SSV ? (uint32_t)FIELD_GET(SMMU_EVT_0_SSID, q[0]) : NB_NO_PASID,
		.grpid = (uint32_t)FIELD_GET(SMMU_EVT_1_STAG, q[1]),
		.perm = (q[1] & SMMU_EVT_1_RNW ? DRV_PERM_READ : DRV_PERM_WRITE) | (q[1] & SMMU_EVT_1_IND ? DRV_PERM_EXEC : 0u) |
			(q[1] & SMMU_EVT_1_PNU ? DRV_PERM_PRIV : 0u),
		.last = true,
	};

	NB_TRACE(u->base.cfg.tr, drv_page_request, sid, pr.pasid, pr.addr, pr.grpid);
	if (sdev && sdev->dev->report_fault && sdev->dev->report_fault(sdev->dev, &pr) == 0)
		return;
	if (sid <= UINT16_MAX)
		resume(u, (uint16_t)sid, pr.pasid, pr.grpid, DRV_PAGE_INVALID);
}

/* Faults that the guest's own tables, STE or CDs can cause; the rest is the host's doing, whoever is attached. */
static bool is_for_guest(const uint64_t q[4])
{
	if (q[1] & SMMU_EVT_1_S2)
		return false;
	switch (FIELD_GET(SMMU_EVT_0_ID, q[0])) {
	case SMMU_EVT_BAD_STE:
	case SMMU_EVT_STREAM_DISABLED:
	case SMMU_EVT_BAD_SUBSTREAMID:
	case SMMU_EVT_BAD_CD:
	case SMMU_EVT_TRANSLATION:
	case SMMU_EVT_ADDR_SIZE:
	case SMMU_EVT_ACCESS:
	case SMMU_EVT_PERMISSION:
		return true;
	default:
		return false;
	}
}

/* Evt lock. 0: the guest was told. */
static int tell_guest(const struct dsmmu_dev *sdev, const uint64_t q[4])
{
	struct drv_viommu *v = &sdev->viommu->base;
	struct iommu_vevent_arm_smmuv3 ev;
	unsigned int i;

	if (!v->report_event)
		return -EOPNOTSUPP;
	for (i = 0; i < 4; i++)
		ev.evt[i] = le64(q[i]).le;
	ev.evt[0] = le64((q[0] & ~SMMU_EVT_0_SID) | FIELD(SMMU_EVT_0_SID, sdev->vsid)).le;
	return v->report_event(v, IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, &ev, sizeof(ev));
}

static void on_event(struct dsmmu *u, const uint64_t q[4])
{
	uint64_t id = FIELD_GET(SMMU_EVT_0_ID, q[0]);
	bool may_stall = id >= SMMU_EVT_TRANSLATION && id <= SMMU_EVT_PERMISSION;
	struct dsmmu_dev *sdev = find_dev(&u->evt, (uint32_t)FIELD_GET(SMMU_EVT_0_SID, q[0]));

	if (may_stall && (q[1] & SMMU_EVT_1_STALL)) {
		stalled(u, sdev, q);
		return;
	}
	if (sdev && sdev->viommu && is_for_guest(q) && tell_guest(sdev, q) == 0)
		return;
	NB_TRACE(u->base.cfg.tr, drv_fault, FIELD_GET(SMMU_EVT_0_SID, q[0]),
		 q[0] & SMMU_EVT_0_SSV ? FIELD_GET(SMMU_EVT_0_SSID, q[0]) : NB_NO_PASID, q[2], id);
}

/* Nobody asked the function to make page requests, so whoever does is refused. A stop marker gets no answer. */
static void on_page_request(struct dsmmu *u, const uint64_t q[2])
{
	uint32_t ssid = q[0] & SMMU_PRI_0_SSV ? (uint32_t)FIELD_GET(SMMU_PRI_0_SSID, q[0]) : NB_NO_PASID;
	uint32_t sid = (uint32_t)FIELD_GET(SMMU_PRI_0_SID, q[0]), prgi = (uint32_t)FIELD_GET(SMMU_PRI_1_PRGI, q[1]);

	NB_TRACE(u->base.cfg.tr, drv_page_request, sid, ssid, q[1] & SMMU_PRI_1_ADDR, prgi);
	if (!(q[0] & SMMU_PRI_0_LAST) || !(q[0] & (SMMU_PRI_0_R | SMMU_PRI_0_W)))
		return;
	NB_TRACE(u->base.cfg.tr, drv_page_response, sid, ssid, prgi, SMMU_PRI_RESP_FAILURE);
	dsmmu_queue_begin(u);
	dsmmu_queue_push(u, dsmmu_cmd_pri_resp(sid, ssid, prgi, SMMU_PRI_RESP_FAILURE));
	dsmmu_queue_end(u);
}

/* ---- the queues ---- */

/* One pass over what is there; true if there was anything. Evt lock. */
static bool read_queue(struct dsmmu *u, struct dsmmu_outq *q, uint64_t prod_reg, uint64_t cons_reg,
		       void (*on_entry)(struct dsmmu *, const uint64_t *))
{
	uint32_t lap = (2u << q->lg2) - 1, prod;

	if (!q->ring)
		return false;
	prod = dsmmu_read32(u, prod_reg);
	if (((prod ^ q->cons) & lap) == 0)
		return false;
	atomic_thread_fence(memory_order_acquire); /* the entries, after the index */
	if (((prod - q->cons) & lap) > 1u << q->lg2)
		q->cons = (prod - (1u << q->lg2)) & lap; /* not a state that a sane unit shows: bounded all the same */
	for (; q->cons != (prod & lap); q->cons = (q->cons + 1) & lap) {
		const le64_t *slot = &q->ring[(size_t)(q->cons & (lap >> 1)) * q->words];
		uint64_t e[4];
		unsigned int i;

		for (i = 0; i < q->words; i++)
			e[i] = cpu64((le64_t){ __atomic_load_n(&slot[i].le, __ATOMIC_RELAXED) });
		on_entry(u, e);
	}
	/* OVFLG says that entries were lost; there is nobody to tell, and stalled transactions never are (7.4). */
	dsmmu_write32(u, cons_reg, q->cons | (prod & SMMU_Q_PROD_OVFLG));
	return true;
}

/* Evt lock. True: there was something, and more may be there. */
static bool read_both(struct dsmmu *u)
{
	bool any = read_queue(u, &u->evt.evtq, SMMU_REG_EVENTQ_PROD, SMMU_REG_EVENTQ_CONS, on_event);

	return read_queue(u, &u->evt.priq, SMMU_REG_PRIQ_PROD, SMMU_REG_PRIQ_CONS, on_page_request) || any;
}

/*
 * Read until nobody has left a mark, or the lock is somebody else's, who will see it. For what MAX_ROUNDS leaves no interrupt may come, as
 * the queue was never empty: whoever sends a command next goes on.
 */
static void serve_marks(struct dsmmu *u)
{
	unsigned int rounds = MAX_ROUNDS;

	while (rounds && atomic_load(&u->evt.pending) && pthread_mutex_trylock(&u->evt.lock) == 0) {
		atomic_store(&u->evt.pending, false);
		while (read_both(u)) {
			if (--rounds == 0) {
				atomic_store(&u->evt.pending, true);
				atomic_store(&u->evt.left, true);
				break;
			}
		}
		pthread_mutex_unlock(&u->evt.lock);
	}
}

void dsmmu_evt_leftover(struct dsmmu *u)
{
	if (atomic_exchange(&u->evt.left, false))
		serve_marks(u);
}

void dsmmu_evt_drain(struct dsmmu *u)
{
	pthread_mutex_lock(&u->evt.lock);
	read_both(u);
	atomic_store(&u->evt.pending, true);
	pthread_mutex_unlock(&u->evt.lock);
	serve_marks(u);
}

static void serve_gerror(struct dsmmu *u)
{
	bool failed = false;

	while (atomic_load(&u->gerror_pending) && pthread_mutex_trylock(&u->gerror_lock) == 0) {
		uint32_t active;

		atomic_store(&u->gerror_pending, false);
		active = (dsmmu_read32(u, SMMU_REG_GERROR) ^ u->gerrorn) & ~(uint32_t)SMMU_GERROR_CMDQ_ERR;
		if (active) {
			NB_TRACE(u->base.cfg.tr, drv_queue_error, active, dsmmu_read32(u, SMMU_REG_CMDQ_CONS));
			failed |= (active & SMMU_GERROR_SFM_ERR) != 0;
			u->gerrorn ^= active;
			dsmmu_write32(u, SMMU_REG_GERRORN, u->gerrorn);
		}
		pthread_mutex_unlock(&u->gerror_lock);
	}
	if (failed)
		dsmmu_unit_died(u);
}

void dsmmu_gerror_ack(struct dsmmu *u, uint32_t bits)
{
	pthread_mutex_lock(&u->gerror_lock);
	u->gerrorn ^= bits;
	dsmmu_write32(u, SMMU_REG_GERRORN, u->gerrorn);
	pthread_mutex_unlock(&u->gerror_lock);
	serve_gerror(u);
}

/* A command queue error is left to the submitter, who waits in queue.c. */
void dsmmu_irq(struct drv_iommu *iommu, uint32_t data)
{
	struct dsmmu *u = dsmmu_of(iommu);

	if (data == iommu->cfg.msi_data) {
		atomic_store(&u->gerror_pending, true);
		serve_gerror(u);
	} else if (data == iommu->cfg.msi_data + DRV_MSI_PAGE_REQUEST) {
		atomic_store(&u->evt.pending, true);
		serve_marks(u);
	} else if (data == iommu->cfg.msi_data + DRV_MSI_COMPANION) {
		dsmmu_cmdqv_irq(u);
	}
}

/* ---- devices ---- */

int dsmmu_evt_add(struct dsmmu_dev *sdev)
{
	struct dsmmu_evt *e = &sdev->unit->evt;
	int err = 0;

	pthread_mutex_lock(&e->lock);
	if (find_dev(e, sdev->dev->rid))
		err = -EBUSY;
	else
		nb_list_add_tail(bucket(e, sdev->dev->rid), &sdev->evt_link);
	pthread_mutex_unlock(&e->lock);
	return err;
}

void dsmmu_evt_del(struct dsmmu_dev *sdev)
{
	struct dsmmu_evt *e = &sdev->unit->evt;

	pthread_mutex_lock(&e->lock);
	nb_list_del(&sdev->evt_link);
	pthread_mutex_unlock(&e->lock);
}

void dsmmu_evt_route(struct dsmmu_dev *sdev, struct dsmmu_viommu *v, uint32_t vsid)
{
	struct dsmmu_evt *e = &sdev->unit->evt;

	pthread_mutex_lock(&e->lock);
	sdev->viommu = v;
	sdev->vsid = vsid;
	pthread_mutex_unlock(&e->lock);
}

void dsmmu_evt_unroute(struct dsmmu_dev *sdev, const struct dsmmu_viommu *v)
{
	struct dsmmu_evt *e = &sdev->unit->evt;

	pthread_mutex_lock(&e->lock);
	if (sdev->viommu == v)
		sdev->viommu = NULL;
	pthread_mutex_unlock(&e->lock);
}

/* ---- the unit ---- */

static int outq_init(struct dsmmu *u, struct dsmmu_outq *q, unsigned int lg2, unsigned int max, uint8_t words)
{
	size_t bytes;
	unsigned int order = 0;

	q->lg2 = (uint8_t)(lg2 < max ? lg2 : max);
	q->words = words;
	bytes = ((size_t)words * 8) << q->lg2;
	while ((size_t)4096 << order < bytes)
		order++;
	q->ring = mem_page_alloc(u->base.cfg.pool, order, &q->pa);
	if (!q->ring)
		return -ENOMEM;
	dsmmu_flush(u, q->ring, bytes);
	return 0;
}

static void outq_fini(struct dsmmu *u, struct dsmmu_outq *q)
{
	unsigned int order = 0;

	while ((size_t)4096 << order < ((size_t)q->words * 8) << q->lg2)
		order++;
	mem_page_free(u->base.cfg.pool, q->ring, order);
}

int dsmmu_evt_init(struct dsmmu *u, struct nb_diag *diag)
{
	struct dsmmu_evt *e = &u->evt;

	if (outq_init(u, &e->evtq, (unsigned int)FIELD_GET(SMMU_IDR1_EVENTQS, u->idr[1]), EVTQ_LG2_MAX, 4) ||
	    (u->pri && outq_init(u, &e->priq, (unsigned int)FIELD_GET(SMMU_IDR1_PRIQS, u->idr[1]), PRIQ_LG2_MAX, 2)))
		return nb_fail(diag, -ENOMEM, "no memory for the event queues");
	return 0;
}

void dsmmu_evt_fini(struct dsmmu *u)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(u->evt.devs); i++)
		assert(nb_list_empty(&u->evt.devs[i])); /* all released */
	outq_fini(u, &u->evt.evtq);
	outq_fini(u, &u->evt.priq);
	pthread_mutex_destroy(&u->evt.lock);
}
