/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "host/host_priv.h"
#include "host/ioas.h"
#include "host/mmap.h"
#include "host/vfio.h"
#include "mem/guard.h"

int host_create(const struct host_cfg *cfg, struct host **out)
{
	int err = guard_init();
	struct host *h;

	if (err)
		return err;
	h = nb_zalloc(sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->cfg = *cfg;
	pthread_mutex_init(&h->revoke_lock, NULL);
	pthread_mutex_init(&h->fault_lock, NULL);
	irq_vectors_init(&h->irqs);
	nb_list_init(&h->ioas_list);
	nb_list_init(&h->mappings);
	nb_list_init(&h->groups);
	atomic_init(&h->va_lo, UINT64_MAX);
	atomic_init(&h->va_hi, 0);
	*out = h;
	return 0;
}

void host_destroy(struct host *h)
{
	struct host_group *g, *next;

	(void)mmap_drop(&h->mappings); /* of contexts whose files are closed: their end */
	for (unsigned int i = 0; i < h->nfn; i++) {
		struct host_function *f = h->fn[i];

		assert(!f->opener);
		f->drv->iommu->ops->release_device(f->drv);
		nb_list_del(&f->group_link);
		vfio_irq_fini(f);
		fault_source_fini(f);
		pthread_mutex_destroy(&f->lock);
		nb_free(f->config);
		nb_free(f);
	}
	nb_list_for_each_safe(g, next, &h->groups, link) {
		nb_list_del(&g->link);
		pthread_mutex_destroy(&g->lock);
		nb_free(g);
	}
	assert(nb_list_empty(&h->ioas_list));
	nb_free(h->fn);
	irq_vectors_fini(&h->irqs);
	pthread_mutex_destroy(&h->fault_lock);
	pthread_mutex_destroy(&h->revoke_lock);
	nb_free(h);
}

static struct host_group *group_get(struct host *h, uint32_t id)
{
	struct host_group *g;

	nb_list_for_each(g, &h->groups, link) {
		if (g->id == id)
			return g;
	}
	g = nb_zalloc(sizeof(*g));
	if (!g)
		return NULL;
	g->id = id;
	g->host = h;
	pthread_mutex_init(&g->lock, NULL);
	nb_list_init(&g->functions);
	nb_list_init(&g->attaches);
	for (unsigned int i = 0; i < FAULT_BUCKETS; i++)
		nb_list_init(&g->routes[i]);
	nb_list_add_tail(&h->groups, &g->link);
	return g;
}

int host_add_function(struct host *h, const struct host_function_cfg *cfg, struct host_function **out)
{
	struct host_function **fns, *f;
	struct nb_diag diag = {.msg = ""};
	int err;

	fns = nb_realloc(h->fn, h->nfn + 1, sizeof(struct host_function *));
	if (!fns)
		return -ENOMEM;
	h->fn = fns;
	f = nb_zalloc(sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->host = h;
	f->number = h->nfn;
	f->segment = cfg->segment;
	f->rid = cfg->rid;
	f->fn = cfg->fn;
	f->drv = cfg->dev;
	f->doorbell = cfg->doorbell;
	f->guest_msi = cfg->doorbell && cfg->guest_msi;
	dev_caps(f->fn, &f->caps);
	for (unsigned int i = 0; i < DEV_NBARS; i++)
		dev_bar_info(f->fn, i, &f->bar[i]);
	err = vfio_config_create(f);
	if (err)
		goto out_free;
	f->group = group_get(h, cfg->group); /* an empty group does no harm */
	err = f->group ? 0 : -ENOMEM;
	fault_source_init(f);
	f->drv->core = f;
	f->drv->report_fault = fault_report;
	f->drv->discard_partial = fault_discard_partial;
	if (!err)
		err = f->drv->iommu->ops->probe_device(f->drv, &diag);
	if (err) {
		host_log_refusal(h, "probe", err, &diag);
		goto out_config;
	}
	pthread_mutex_init(&f->lock, NULL);
	vfio_irq_init(f);
	nb_list_add_tail(&f->group->functions, &f->group_link);
	h->fn[h->nfn++] = f;
	h->guest_msi |= f->guest_msi;
	*out = f;
	return 0;

out_config:
	f->drv->report_fault = NULL;
	f->drv->discard_partial = NULL;
	f->drv->core = NULL;
	nb_free(f->config);
out_free:
	nb_free(f);
	return err;
}

int iommufd_open(struct host *h, struct iommufd_file **out)
{
	struct iommufd_file *f = nb_zalloc(sizeof(*f));
	int err;

	if (!f)
		return -ENOMEM;
	err = ictx_create(h, &f->ctx);
	if (err)
		nb_free(f);
	else
		*out = f;
	return err;
}

void iommufd_close(struct iommufd_file *f)
{
	struct host *h = f->ctx->host;

	ictx_put(f->ctx);
	nb_free(f);
	host_settle(h);
}

void host_log_refusal(struct host *h, const char *call, int err, const struct nb_diag *diag)
{
	char line[sizeof(diag->msg) + 128];

	if (!h->cfg.log || !diag->msg[0])
		return;
	snprintf(line, sizeof(line), "%s: %s: %s", call, strerrorname_np(-err), diag->msg);
	h->cfg.log(h->cfg.opaque, line);
}

void host_log_note(struct host *h, const char *call, const struct nb_diag *diag)
{
	char line[sizeof(diag->msg) + 128];

	if (!h->cfg.log)
		return;
	snprintf(line, sizeof(line), "%s: %s", call, diag->msg);
	h->cfg.log(h->cfg.opaque, line);
}

void host_add_ioas(struct host *h, struct ioas *s)
{
	pthread_mutex_lock(&h->revoke_lock);
	nb_list_add_tail(&h->ioas_list, &s->host_link);
	pthread_mutex_unlock(&h->revoke_lock);
}

void host_remove_ioas(struct host *h, struct ioas *s)
{
	pthread_mutex_lock(&h->revoke_lock);
	nb_list_del(&s->host_link);
	if (nb_list_empty(&h->ioas_list)) {
		atomic_store_explicit(&h->va_lo, UINT64_MAX, memory_order_release);
		atomic_store_explicit(&h->va_hi, 0, memory_order_release);
	}
	pthread_mutex_unlock(&h->revoke_lock);
}

void host_revoke_lock(struct host *h)
{
	pthread_mutex_lock(&h->revoke_lock);
}

void host_revoke_unlock(struct host *h)
{
	pthread_mutex_unlock(&h->revoke_lock);
}

void host_revoke(struct host *h, uint64_t va, uint64_t len)
{
	struct nb_list gone;
	unsigned int n = 0;
	struct ioas *s;
	uint64_t last;

	if (len == 0)
		return;
	last = va + (len - 1) < va ? UINT64_MAX : va + (len - 1);
	/* Acquire: pairs with host_widen_va(). */
	if (va > atomic_load_explicit(&h->va_hi, memory_order_acquire) ||
	    last < atomic_load_explicit(&h->va_lo, memory_order_acquire))
		return;
	pthread_mutex_lock(&h->revoke_lock);
	nb_list_for_each(s, &h->ioas_list, host_link)
		n += ioas_revoke(s, va, last);
	nb_list_init(&gone);
	mmap_revoke_locked(h, va, last, &gone);
	pthread_mutex_unlock(&h->revoke_lock);
	if (mmap_drop(&gone))
		host_settle(h);
	if (n)
		NB_TRACE(h->cfg.tr, host_revoke, va, len, n);
}
