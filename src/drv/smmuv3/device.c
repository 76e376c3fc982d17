/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where entries lie: the stream table of a unit, the CD table of a device (IHI 0070 3.3.1, 3.3.2), and the life of a device.
 *
 * A stream table has two levels with 256 STEs in the second, if the unit can and has more StreamIDs than that. Every STE within
 * reach is valid and aborts until its device is attached to something. StreamIDs beyond the table abort too.
 *
 * CD tables are made when the first CD is needed, and stay until the device is released.
 */
#include "drv/smmuv3/smmu.h"

#include <errno.h>

#include "base/alloc.h"

#define SPLIT	    8
#define L2_ORDER    2 /* 256 STEs of 64 bytes: 16 KiB */
#define L2_SPAN	    (SPLIT + 1)
#define LINEAR_MAX  15 /* largest table that the pool can give: 2 MiB */
#define REQUESTER_BITS 16

static unsigned int order_of(size_t bytes)
{
	unsigned int order = 0;

	while ((size_t)4096 << order < bytes)
		order++;
	return order;
}

static void fill_abort(struct dsmmu *u, le64_t *stes, size_t n)
{
	struct dsmmu_entry abort;
	size_t i;

	dsmmu_ste_make_abort(&abort);
	for (i = 0; i < n; i++)
		stes[i * DSMMU_ENTRY_WORDS] = le64(abort.q[0]);
	dsmmu_flush(u, stes, n * sizeof(struct smmu_ste));
}

/* ---- stream table ---- */

int dsmmu_strtab_init(struct dsmmu *u, struct nb_diag *diag)
{
	unsigned int lg2 = u->sid_bits < REQUESTER_BITS ? u->sid_bits : REQUESTER_BITS;
	size_t bytes;

	if (lg2 <= SPLIT)
		u->st_2level = false;
	if (!u->st_2level && lg2 > LINEAR_MAX)
		lg2 = LINEAR_MAX;
	bytes = u->st_2level ? sizeof(struct smmu_l1std) << (lg2 - SPLIT) : sizeof(struct smmu_ste) << lg2;
	u->strtab_lg2 = (uint8_t)lg2;
	u->strtab_order = (uint8_t)order_of(bytes);
	u->strtab = mem_page_alloc(u->base.cfg.pool, u->strtab_order, &u->strtab_pa);
	if (!u->strtab)
		return nb_fail(diag, -ENOMEM, "no memory for the stream table");
	if (u->st_2level)
		dsmmu_flush(u, u->strtab, bytes);
	else
		fill_abort(u, u->strtab, (size_t)1 << lg2);
	dsmmu_write64(u, SMMU_REG_STRTAB_BASE, u->strtab_pa.v | SMMU_STRTAB_BASE_RA);
	dsmmu_write32(u, SMMU_REG_STRTAB_BASE_CFG,
		      (uint32_t)(FIELD(SMMU_STRTAB_BASE_CFG_LOG2SIZE, lg2) |
				 (u->st_2level ? FIELD_C(SMMU_STRTAB_BASE_CFG_FMT, SMMU_STRTAB_2LEVEL) |
							 FIELD_C(SMMU_STRTAB_BASE_CFG_SPLIT, SPLIT) : 0)));
	return 0;
}

static le64_t *l2_of(const struct dsmmu *u, uint64_t l1)
{
	return l1 & SMMU_L1STD_0_SPAN ? mem_page_ptr(u->base.cfg.pool, hpa(l1 & SMMU_L1STD_0_L2PTR)) : NULL;
}

void dsmmu_strtab_fini(struct dsmmu *u)
{
	uint32_t i;

	if (!u->strtab)
		return;
	for (i = 0; u->st_2level && i < 1u << (u->strtab_lg2 - SPLIT); i++)
		mem_page_free(u->base.cfg.pool, l2_of(u, cpu64(u->strtab[i])), L2_ORDER);
	mem_page_free(u->base.cfg.pool, u->strtab, u->strtab_order);
}

le64_t *dsmmu_ste(struct dsmmu *u, uint16_t sid)
{
	le64_t *l2;

	if (sid >> u->strtab_lg2)
		return NULL;
	if (!u->st_2level)
		return &u->strtab[(size_t)sid * DSMMU_ENTRY_WORDS];
	l2 = l2_of(u, cpu64(u->strtab[sid >> SPLIT]));
	return l2 ? &l2[(size_t)(sid & ((1u << SPLIT) - 1)) * DSMMU_ENTRY_WORDS] : NULL;
}

/* The same, making the second level. The unit may have cached that there was none (3.21.3). Unit lock. */
static le64_t *make_ste(struct dsmmu *u, uint16_t sid)
{
	le64_t *live = dsmmu_ste(u, sid), *l2;
	hpa_t pa;

	if (live || sid >> u->strtab_lg2)
		return live;
	l2 = mem_page_alloc(u->base.cfg.pool, L2_ORDER, &pa);
	if (!l2)
		return NULL;
	fill_abort(u, l2, (size_t)1 << SPLIT);
	__atomic_store_n(&u->strtab[sid >> SPLIT].le, le64(pa.v | FIELD_C(SMMU_L1STD_0_SPAN, L2_SPAN)).le, __ATOMIC_RELEASE);
	dsmmu_flush(u, &u->strtab[sid >> SPLIT], sizeof(*u->strtab));
	dsmmu_queue_begin(u);
	dsmmu_queue_push(u, dsmmu_cmd_cfgi_ste(sid, false));
	dsmmu_queue_end(u);
	return dsmmu_ste(u, sid);
}

struct ste_sync {
	struct dsmmu *u;
	le64_t *live;
	uint16_t sid;
};

static void sync_ste(void *opaque)
{
	const struct ste_sync *s = opaque;

	dsmmu_flush(s->u, s->live, sizeof(struct smmu_ste));
	dsmmu_queue_begin(s->u);
	dsmmu_queue_push(s->u, dsmmu_cmd_cfgi_ste(s->sid, true));
	dsmmu_queue_end(s->u);
}

void dsmmu_ste_write(struct dsmmu *u, uint16_t sid, le64_t *live, const struct dsmmu_entry *to)
{
	struct ste_sync s = { u, live, sid };
	const struct dsmmu_writer w = { dsmmu_ste_used, dsmmu_ste_safe, sync_ste, &s };

	dsmmu_entry_write(live, to, &w);
	dsmmu_queue_begin(u);
	dsmmu_queue_push(u, dsmmu_cmd_prefetch_ste(sid));
	dsmmu_queue_end(u);
}

/* ---- CD table ---- */

static void cds_free(struct dsmmu *u, struct dsmmu_cds *c)
{
	if (!c)
		return;
	mem_page_free(u->base.cfg.pool, c->cd, c->order);
	nb_free(c->att);
	nb_free(c);
}

static struct dsmmu_cds *cds_new(struct dsmmu *u, unsigned int lg2)
{
	struct dsmmu_cds *c = nb_zalloc(sizeof(*c));
	size_t bytes = sizeof(struct smmu_cd) << lg2;

	if (!c)
		return NULL;
	c->order = (uint8_t)order_of(bytes);
	c->att = nb_calloc((size_t)1 << lg2, sizeof(*c->att));
	c->cd = c->att ? mem_page_alloc(u->base.cfg.pool, c->order, &c->pa) : NULL;
	if (!c->cd) {
		cds_free(u, c);
		return NULL;
	}
	dsmmu_flush(u, c->cd, bytes);
	return c;
}

static uint32_t cd_leaves(const struct dsmmu_dev *sdev)
{
	return sdev->two_level ? 1u << (sdev->ssid_bits - DSMMU_CD_SPLIT) : 1;
}

static bool make_cdtab(struct dsmmu_dev *sdev)
{
	struct dsmmu *u = sdev->unit;

	sdev->two_level = sdev->ssid_bits > DSMMU_CD_SPLIT;
	sdev->cds = nb_calloc(cd_leaves(sdev), sizeof(struct dsmmu_cds *));
	if (!sdev->cds)
		return false;
	if (sdev->two_level) {
		sdev->l1_order = (uint8_t)order_of(cd_leaves(sdev) * sizeof(struct smmu_l1cd));
		sdev->l1 = mem_page_alloc(u->base.cfg.pool, sdev->l1_order, &sdev->cdtab_pa);
		if (sdev->l1) {
			dsmmu_flush(u, sdev->l1, cd_leaves(sdev) * sizeof(struct smmu_l1cd));
			return true;
		}
	} else {
		sdev->cds[0] = cds_new(u, sdev->ssid_bits);
		if (sdev->cds[0]) {
			sdev->cdtab_pa = sdev->cds[0]->pa;
			return true;
		}
	}
	nb_free(sdev->cds);
	sdev->cds = NULL;
	return false;
}

static void cfgi_cd(struct dsmmu_dev *sdev, uint32_t ssid, bool leaf)
{
	struct dsmmu *u = sdev->unit;

	dsmmu_queue_begin(u);
	dsmmu_queue_push(u, dsmmu_cmd_cfgi_cd(sdev->dev->rid, ssid, leaf));
	dsmmu_queue_end(u);
}

struct dsmmu_cds *dsmmu_cds(struct dsmmu_dev *sdev, uint32_t ssid, bool make)
{
	struct dsmmu *u = sdev->unit;
	struct dsmmu_cds *c;
	uint32_t i;

	if (ssid >> sdev->ssid_bits)
		return NULL;
	if (!sdev->cds && (!make || !make_cdtab(sdev)))
		return NULL;
	if (!sdev->two_level)
		return sdev->cds[0];
	i = ssid >> DSMMU_CD_SPLIT;
	c = sdev->cds[i];
	if (c || !make)
		return c;
	c = cds_new(u, DSMMU_CD_SPLIT);
	if (!c)
		return NULL;
	sdev->cds[i] = c;
	__atomic_store_n(&sdev->l1[i].le, le64(c->pa.v | SMMU_L1CD_0_V).le, __ATOMIC_RELEASE);
	dsmmu_flush(u, &sdev->l1[i], sizeof(*sdev->l1));
	cfgi_cd(sdev, ssid, false); /* it may have been cached as invalid */
	return c;
}

struct cd_sync {
	struct dsmmu_dev *sdev;
	struct smmu_cd *live;
	uint32_t ssid;
};

static void sync_cd(void *opaque)
{
	const struct cd_sync *s = opaque;

	dsmmu_flush(s->sdev->unit, s->live, sizeof(*s->live));
	cfgi_cd(s->sdev, s->ssid, true);
}

void dsmmu_cd_write(struct dsmmu_dev *sdev, uint32_t ssid, const struct dsmmu_entry *to)
{
	struct dsmmu_cds *c = dsmmu_cds(sdev, ssid, false);
	struct smmu_cd *live = &c->cd[sdev->two_level ? ssid & ((1u << DSMMU_CD_SPLIT) - 1) : ssid];
	struct cd_sync s = { sdev, live, ssid };
	const struct dsmmu_writer w = { dsmmu_cd_used, NULL, sync_cd, &s };

	dsmmu_entry_write(live->q, to, &w);
}

static void cdtab_free(struct dsmmu_dev *sdev)
{
	struct dsmmu *u = sdev->unit;
	uint32_t i;

	for (i = 0; sdev->cds && i < cd_leaves(sdev); i++)
		cds_free(u, sdev->cds[i]);
	nb_free(sdev->cds);
	if (sdev->two_level)
		mem_page_free(u->base.cfg.pool, sdev->l1, sdev->l1_order);
}

/* ---- devices ---- */

int dsmmu_probe_device(struct drv_dev *dev, struct nb_diag *diag)
{
	struct dsmmu *u = dsmmu_of(dev->iommu);
	struct dsmmu_dev *sdev;

	if (dev->rid >> u->strtab_lg2)
		return nb_fail(diag, -ERANGE, "function %04x is beyond the SMMU's %u bits of StreamID", dev->rid, u->strtab_lg2);
	sdev = nb_zalloc(sizeof(*sdev));
	if (!sdev)
		return nb_fail(diag, -ENOMEM, "no memory for function %04x", dev->rid);
	sdev->dev = dev;
	sdev->unit = u;
	pthread_mutex_lock(&u->lock);
	sdev->ste = make_ste(u, dev->rid);
	pthread_mutex_unlock(&u->lock);
	if (!sdev->ste) {
		nb_free(sdev);
		return nb_fail(diag, -ENOMEM, "no memory for the stream table of function %04x", dev->rid);
	}
	if (dsmmu_evt_add(sdev)) {
		nb_free(sdev);
		return nb_fail(diag, -EBUSY, "function %04x is there already", dev->rid);
	}
	dsmmu_features_find(sdev);
	dev->priv = sdev;
	return 0;
}

void dsmmu_release_device(struct drv_dev *dev)
{
	struct dsmmu_dev *sdev = dev->priv;
	uint32_t i, k, n = 1u << (sdev->two_level ? DSMMU_CD_SPLIT : sdev->ssid_bits);

	for (i = 0; sdev->pasids && i < cd_leaves(sdev); i++)
		for (k = 0; sdev->cds[i] && k < n; k++)
			if (sdev->cds[i]->att[k])
				dsmmu_block(dev, i * n + k);
	dsmmu_block(dev, NB_NO_PASID);
	dsmmu_features_off(sdev);
	dsmmu_evt_drain(sdev->unit);
	dsmmu_evt_del(sdev);
	dev->priv = NULL;
	cdtab_free(sdev);
	nb_free(sdev);
}
