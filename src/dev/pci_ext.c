/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a function does when its PASID, ATS and PRI capabilities are written: PCI Express Base 5.0, 7.8.8, 10.5.1 and 10.5.2.
 *
 * Under VFIO these capabilities are the host's, which writes them through dev_feature_enable(); a test writes the configuration space.
 * Both end in the same place. Locks: dev_fn.lock; the bus is told of ATS after it has been dropped.
 */
#include "dev/pci.h"

#define ATS_CTL	       0x06
#define ATS_CTL_STU    BITS(4, 0)
#define ATS_CTL_EN     BIT(15)
#define PRI_CTL	       0x04
#define PRI_CTL_EN     BIT(0)
#define PRI_CTL_RESET  BIT(1)
#define PRI_STATUS     0x06
#define PRI_STOPPED    BIT(8)
#define PRI_ALLOCATION 0x0c
#define PASID_CTL      0x06
#define PASID_CTL_EN   BIT(0)

static uint16_t control(const struct dev_fn *fn, uint16_t cap, uint16_t off)
{
	return cap ? pci_get16(fn->config + cap + off) : 0;
}

void pci_ext_controls_locked(const struct dev_fn *fn, struct pci_ext_controls *out)
{
	out->ats = control(fn, fn->ats, ATS_CTL) & ATS_CTL_EN;
	out->pri = control(fn, fn->pri, PRI_CTL) & PRI_CTL_EN;
}

/* Reset works only while the interface is off, and then has it as after a reset of the function. Returns whether that was so. */
static bool pri_written_locked(struct dev_fn *fn, bool before)
{
	uint8_t *ctl = fn->config + fn->pri + PRI_CTL, *status = fn->config + fn->pri + PRI_STATUS;
	uint16_t c = pci_get16(ctl), s = pci_get16(status);
	bool on = c & PRI_CTL_EN, reset = (c & PRI_CTL_RESET) && !before;

	if (reset)
		s &= (uint16_t)~(PCI_PRI_FAILED | PCI_PRI_UNEXPECTED);
	pci_put16(ctl, (uint16_t)(c & ~PRI_CTL_RESET));
	/* Off means stopped at once: no model makes a request that it has not sent when its register access ends. */
	pci_put16(status, (uint16_t)(on ? s & ~PRI_STOPPED : s | PRI_STOPPED));
	return reset;
}

void pci_ext_written_locked(struct dev_fn *fn, const struct pci_ext_controls *before, struct pci_ext_effect *after)
{
	struct pci_ext_controls now;

	pci_ext_controls_locked(fn, &now);
	after->pri_reset = fn->pri && pri_written_locked(fn, before->pri);
	after->ats_switched = before->ats != now.ats;
}

void pci_ext_tell(struct dev_fn *fn, const struct pci_ext_effect *after)
{
	if (after->ats_switched && fn->bus.ats_switched)
		fn->bus.ats_switched(fn->bus.opaque);
	if (after->pri_reset && fn->ops->pri_reset)
		fn->ops->pri_reset(fn);
}

void pci_ext_shadow_locked(struct dev_fn *fn, bool master)
{
	struct pci_ext_controls now;
	bool failed = control(fn, fn->pri, PRI_STATUS) & PCI_PRI_FAILED;

	pci_ext_controls_locked(fn, &now);
	atomic_store_explicit(&fn->ats_on, master && now.ats, memory_order_relaxed);
	atomic_store_explicit(&fn->pri_failed, failed, memory_order_relaxed);
	atomic_store_explicit(&fn->pri_on, now.pri && !failed, memory_order_relaxed);
}

void pci_pri_status(struct dev_fn *fn, uint16_t bits)
{
	uint8_t *status = fn->config + fn->pri + PRI_STATUS;

	if (!fn->pri)
		return;
	pthread_mutex_lock(&fn->lock);
	pci_put16(status, pci_get16(status) | bits);
	pci_shadow_locked(fn);
	pthread_mutex_unlock(&fn->lock);
}

unsigned int pci_ats_stu(struct dev_fn *fn)
{
	unsigned int stu;

	pthread_mutex_lock(&fn->lock);
	stu = (unsigned int)FIELD_GET(ATS_CTL_STU, control(fn, fn->ats, ATS_CTL));
	pthread_mutex_unlock(&fn->lock);
	return stu;
}

uint32_t pci_pri_allocation(struct dev_fn *fn)
{
	uint32_t n;

	pthread_mutex_lock(&fn->lock);
	n = fn->pri ? pci_get32(fn->config + fn->pri + PRI_ALLOCATION) : 0;
	pthread_mutex_unlock(&fn->lock);
	return n;
}

/* The smallest unit is 4 KiB times 2 to the power of what the field says. */
static uint16_t ats_control(bool on, uint32_t lg2)
{
	uint32_t stu = lg2 < 12 ? 0 : lg2 - 12;

	return on ? (uint16_t)(ATS_CTL_EN | FIELD(ATS_CTL_STU, stu > 31 ? 31 : stu)) : 0;
}

int dev_feature_enable(struct dev_fn *fn, enum dev_feature what, bool on, uint32_t arg)
{
	struct pci_ext_controls before;
	struct pci_ext_effect after;

	if (what == DEV_FEATURE_PASID ? !fn->pasid : what == DEV_FEATURE_ATS ? !fn->ats : !fn->pri)
		return -ENODEV;
	pthread_mutex_lock(&fn->lock);
	pci_ext_controls_locked(fn, &before);
	switch (what) {
	case DEV_FEATURE_PASID:
		pci_put16(fn->config + fn->pasid + PASID_CTL, on ? PASID_CTL_EN : 0);
		break;
	case DEV_FEATURE_ATS:
		pci_put16(fn->config + fn->ats + ATS_CTL, ats_control(on, arg));
		break;
	case DEV_FEATURE_PRI:
		/* A kernel resets the interface before it enables it: both writes at once. On while it is on: a new allocation. */
		if (on)
			pci_put32(fn->config + fn->pri + PRI_ALLOCATION, arg);
		pci_put16(fn->config + fn->pri + PRI_CTL, on ? PRI_CTL_EN | PRI_CTL_RESET : 0);
		break;
	}
	pci_ext_written_locked(fn, &before, &after);
	pci_shadow_locked(fn);
	pthread_mutex_unlock(&fn->lock);
	pci_ext_tell(fn, &after);
	return 0;
}

bool dev_feature_enabled(struct dev_fn *fn, enum dev_feature what)
{
	bool on = false;

	pthread_mutex_lock(&fn->lock);
	switch (what) {
	case DEV_FEATURE_PASID:
		on = control(fn, fn->pasid, PASID_CTL) & PASID_CTL_EN;
		break;
	case DEV_FEATURE_ATS:
		on = control(fn, fn->ats, ATS_CTL) & ATS_CTL_EN;
		break;
	case DEV_FEATURE_PRI:
		on = control(fn, fn->pri, PRI_CTL) & PRI_CTL_EN;
		break;
	}
	pthread_mutex_unlock(&fn->lock);
	return on;
}

void dev_page_response(struct dev_fn *fn, uint32_t pasid, unsigned int prgi, unsigned int code)
{
	if (fn->ops->page_response)
		fn->ops->page_response(fn, pasid, prgi, code);
}

void dev_stall_done(struct dev_fn *fn, uint32_t pasid, uint64_t addr, bool all, enum dev_stall_end end)
{
	if (all || pasid == NB_NO_PASID)
		pci_message_stall_done(fn, addr, all, end);
	if (fn->ops->stall_done)
		fn->ops->stall_done(fn, pasid, addr, all, end);
}
