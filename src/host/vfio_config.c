/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Configuration space for the owner of a function.
 *
 * Virtual: the base address registers (a write of ones reads back the size), memory decode, INTx disable, the interrupt line, and the MSI
 * capability, since messages are set up by SET_IRQS and not by writing addresses. The function itself always decodes memory.
 * Passed on: bus master and the other command bits, device control, power state. Setting the function-level reset bit resets as
 * VFIO_DEVICE_RESET does. The capabilities of PASID, ATS and page requests belong to the host and are never written: ATS and page requests can be
 * seen as they are, PASID is hidden. (Linux has it so by its table of lengths of extended capabilities, where only
 * PASID has none; what it hides can still be reached there as bytes that belong to no capability, which are zeros here.)
 */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "host/host_priv.h"
#include "host/vfio.h"

#define PCI_COMMAND    0x04
#define PCI_CMD_IO     0x0001
#define PCI_CMD_MEM    0x0002
#define PCI_CMD_BM     0x0004
#define PCI_CMD_NOINTX 0x0400
#define PCI_STATUS     0x06
#define PCI_STATUS_CAP 0x10
#define PCI_CACHE_LINE 0x0c
#define PCI_BAR0       0x10
#define PCI_BAR_END    0x28
#define PCI_CAP_PTR    0x34
#define PCI_INT_LINE   0x3c

#define CAP_PM	 0x01
#define CAP_MSI	 0x05
#define CAP_PCIE 0x10

#define EXT_FIRST 0x100
#define EXT_ATS	  0x0f
#define EXT_PRI	  0x13
#define EXT_PASID 0x1b

#define PCIE_DEVCTL	0x08
#define PCIE_DEVCTL_FLR 0x8000
#define PCIE_DEVCTL2	0x28

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}
static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) | (uint32_t)get16(p + 2) << 16;
}
static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}
static void put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)v);
	put16(p + 2, (uint16_t)(v >> 16));
}

static uint16_t hw_get16(const struct host_function *f, uint32_t off)
{
	uint8_t b[2];

	dev_config_read(f->fn, off, b, 2);
	return get16(b);
}
static void hw_put16(const struct host_function *f, uint32_t off, uint16_t v)
{
	uint8_t b[2];

	put16(b, v);
	dev_config_write(f->fn, off, b, 2);
}

static void virtual_bits(struct vfio_config *c, uint32_t off, uint16_t virt, uint16_t write)
{
	put16(c->virt + off, virt);
	put16(c->write + off, write);
}

static void add_msi(struct vfio_config *c, uint16_t at, uint16_t flags)
{
	bool is64 = flags & 0x80, maskable = flags & 0x100;
	uint16_t data = (uint16_t)(at + (is64 ? 12 : 8));

	c->msi = at;
	virtual_bits(c, at + 2u, 0x0071, 0x0071);
	for (uint16_t i = (uint16_t)(at + 4); i < data + 2; i++)
		c->virt[i] = c->write[i] = 0xff;
	if (maskable)
		memset(c->write + data + 4, 0xff, 4); /* to the function */
}

/* Walks the list as the function has it; both walks are bounded by the number of places where a capability can be. */
static void scan_caps(struct vfio_config *c, const uint8_t *raw)
{
	uint8_t at = raw[PCI_CAP_PTR] & 0xfc;

	if (!(raw[PCI_STATUS] & PCI_STATUS_CAP))
		return;
	for (unsigned int n = 0; n < 48 && at >= 0x40 && at <= 0xf8; n++, at = raw[at + 1] & 0xfc) {
		switch (raw[at]) {
		case CAP_PM:
			c->pm = at;
			virtual_bits(c, at + 4u, 0, 0x0003);
			break;
		case CAP_MSI:
			if (at <= 0x100 - 0x18)
				add_msi(c, at, get16(raw + at + 2));
			break;
		case CAP_PCIE:
			if (at > 0x100 - 0x3c)
				break;
			c->pcie = at;
			c->size = DEV_CONFIG_SIZE;
			/* payload and read request size: the owner's opinion, not the bus's */
			virtual_bits(c, at + PCIE_DEVCTL, PCIE_DEVCTL_FLR | 0x70e0, 0xfdff);
			virtual_bits(c, at + PCIE_DEVCTL2, 0, 0xffdf);
			break;
		default:
			break;
		}
	}
}

static void hide(struct vfio_config *c, uint32_t at, uint32_t len)
{
	memset(c->virt + at, 0xff, len);
	memset(c->write + at, 0, len);
	memset(c->copy + at, 0, len);
}

static void scan_ext_caps(struct vfio_config *c, const uint8_t *raw)
{
	uint32_t at = EXT_FIRST, prev = 0, header;

	for (unsigned int n = 0; n < (DEV_CONFIG_SIZE - EXT_FIRST) / 8 && at >= EXT_FIRST && at <= DEV_CONFIG_SIZE - 16;
	     n++, at = header >> 20 & 0xffc) {
		uint32_t id;
		bool hidden;

		header = get32(raw + at);
		id = header & 0xffff;
		hidden = id == EXT_PASID;
		if (header == 0 || header == UINT32_MAX)
			return;
		if (id == EXT_PASID)
			c->pasid = (uint16_t)at;
		if (id == EXT_ATS)
			c->ats = (uint16_t)at;
		if (id == EXT_PRI)
			c->pri = (uint16_t)at;
		if (!hidden) {
			prev = at;
			continue;
		}
		hide(c, at, 8);
		if (prev) { /* the one before points to the one after */
			if (!c->virt[prev])
				memcpy(c->copy + prev, raw + prev, 4);
			memset(c->virt + prev, 0xff, 4);
			put32(c->copy + prev, (get32(c->copy + prev) & 0xfffff) | (header & 0xffc00000u));
		} else { /* the first must stay, as a capability that is none */
			put32(c->copy + at, header & 0xffc00000u);
			prev = at;
		}
	}
}

/* Low bits and what of the address is writable, for the register of a BAR or of its upper half. */
static uint32_t bar_mask(const struct host_function *f, unsigned int n, uint32_t *type)
{
	const struct dev_bar *b = &f->bar[n];

	*type = 0;
	if (b->size) {
		*type = (b->is64 ? 4u : 0u) | (b->prefetchable ? 8u : 0u);
		return (uint32_t)~(b->size - 1) & ~0xfu;
	}
	if (n && f->bar[n - 1].size && f->bar[n - 1].is64)
		return (uint32_t)(~(f->bar[n - 1].size - 1) >> 32);
	return 0;
}

static void fix_bars(struct host_function *f)
{
	for (unsigned int n = 0; n < DEV_NBARS; n++) {
		uint8_t *reg = f->config->copy + PCI_BAR0 + 4 * n;
		uint32_t type, mask = bar_mask(f, n, &type);

		put32(reg, (get32(reg) & mask) | type);
	}
}

int vfio_config_create(struct host_function *f)
{
	struct vfio_config *c = nb_zalloc(sizeof(*c));
	uint8_t *raw = nb_zalloc(DEV_CONFIG_SIZE);

	if (!c || !raw) {
		nb_free(raw);
		nb_free(c);
		return -ENOMEM;
	}
	dev_config_read(f->fn, 0, raw, DEV_CONFIG_SIZE);
	c->size = 256;
	virtual_bits(c, PCI_COMMAND, PCI_CMD_IO | PCI_CMD_MEM | PCI_CMD_NOINTX, 0xffff);
	c->write[PCI_CACHE_LINE] = 0xff;
	memset(c->virt + PCI_BAR0, 0xff, PCI_BAR_END - PCI_BAR0);
	memset(c->write + PCI_BAR0, 0xff, PCI_BAR_END - PCI_BAR0);
	c->virt[PCI_INT_LINE] = c->write[PCI_INT_LINE] = 0xff;
	scan_caps(c, raw);
	if (c->pcie)
		scan_ext_caps(c, raw);
	nb_free(raw);
	f->config = c;
	return 0;
}

/* Where no driver tells the function anything, the host switches on what it has. */
static void host_enables(struct host_function *f)
{
	if (f->drv->fn_ops)
		return;
	if (f->config->pasid && f->drv->max_pasids)
		hw_put16(f, f->config->pasid + 6u, 0x0001);
	if (f->config->ats && f->drv->ats)
		hw_put16(f, f->config->ats + 6u, 0x8000);
}

static void set_mem_enabled(struct host_function *f)
{
	atomic_store_explicit(&f->mem_enabled, (f->config->copy[PCI_COMMAND] & PCI_CMD_MEM) != 0, memory_order_relaxed);
}

void vfio_config_open_locked(struct host_function *f)
{
	struct vfio_config *c = f->config;

	hw_put16(f, PCI_COMMAND, PCI_CMD_MEM);
	put16(c->copy + PCI_COMMAND, PCI_CMD_MEM);
	memset(c->copy + PCI_BAR0, 0, PCI_BAR_END - PCI_BAR0);
	c->copy[PCI_INT_LINE] = 0;
	if (c->msi)
		memset(c->copy + c->msi + 2, 0, 12);
	if (c->pcie)
		put16(c->copy + c->pcie + PCIE_DEVCTL, (uint16_t)(hw_get16(f, c->pcie + PCIE_DEVCTL) & 0x70e0));
	fix_bars(f);
	host_enables(f);
	set_mem_enabled(f);
}

void vfio_config_reset_locked(struct host_function *f)
{
	static const enum dev_feature order[] = {DEV_FEATURE_PASID, DEV_FEATURE_ATS, DEV_FEATURE_PRI};
	const struct vfio_config *c = f->config;
	uint32_t arg[ARRAY_SIZE(order)] = {0};
	bool on[ARRAY_SIZE(order)];

	for (unsigned int i = 0; i < ARRAY_SIZE(order); i++)
		on[i] = dev_feature_enabled(f->fn, order[i]);
	if (on[1]) /* PCI Express 5.0, 10.5.1.3: the smallest unit in powers of two of 4 KiB */
		arg[1] = 12u + (hw_get16(f, c->ats + 6u) & 0x1f);
	if (on[2]) /* 10.5.2.5: allocation */
		arg[2] = hw_get16(f, c->pri + 12u) | (uint32_t)hw_get16(f, c->pri + 14u) << 16;
	dev_reset(f->fn);
	for (unsigned int i = 0; i < ARRAY_SIZE(order); i++) {
		if (on[i])
			(void)dev_feature_enable(f->fn, order[i], true, arg[i]);
	}
}

void vfio_config_save_locked(struct host_function *f, struct vfio_saved *s)
{
	const struct vfio_config *c = f->config;

	s->command = hw_get16(f, PCI_COMMAND);
	dev_config_read(f->fn, PCI_CACHE_LINE, &s->cache_line, 1);
	s->devctl = c->pcie ? hw_get16(f, c->pcie + PCIE_DEVCTL) : 0;
	s->devctl2 = c->pcie ? hw_get16(f, c->pcie + PCIE_DEVCTL2) : 0;
}

void vfio_config_restore_locked(struct host_function *f, const struct vfio_saved *s)
{
	const struct vfio_config *c = f->config;

	dev_config_write(f->fn, PCI_CACHE_LINE, &s->cache_line, 1);
	if (c->pcie) {
		hw_put16(f, c->pcie + PCIE_DEVCTL, (uint16_t)(s->devctl & ~PCIE_DEVCTL_FLR));
		hw_put16(f, c->pcie + PCIE_DEVCTL2, s->devctl2);
	}
	host_enables(f);
	hw_put16(f, PCI_COMMAND, s->command);
}

static void config_read_locked(struct host_function *f, uint32_t pos, uint8_t *buf, uint32_t len)
{
	const struct vfio_config *c = f->config;

	dev_config_read(f->fn, pos, buf, len);
	for (uint32_t i = 0; i < len; i++)
		buf[i] = (uint8_t)((buf[i] & ~c->virt[pos + i]) | (c->copy[pos + i] & c->virt[pos + i]));
}

static bool covers(uint32_t pos, uint32_t len, uint32_t at, uint32_t n)
{
	return pos < at + n && at < pos + len;
}

/* At most 4 bytes, within one aligned word. */
static void config_write_locked(struct host_function *f, uint32_t pos, const uint8_t *buf, uint32_t len)
{
	struct vfio_config *c = f->config;
	uint8_t hw[4];
	bool pass = false, flr = false;

	dev_config_read(f->fn, pos, hw, len);
	for (uint32_t i = 0; i < len; i++) {
		uint8_t virt = c->write[pos + i] & c->virt[pos + i];
		uint8_t real = c->write[pos + i] & (uint8_t)~c->virt[pos + i];

		c->copy[pos + i] = (uint8_t)((c->copy[pos + i] & ~virt) | (buf[i] & virt));
		hw[i] = (uint8_t)((hw[i] & ~real) | (buf[i] & real));
		pass |= real != 0;
	}
	if (covers(pos, len, PCI_COMMAND, 2) && covers(pos, len, PCI_COMMAND, 1))
		hw[PCI_COMMAND - pos] |= PCI_CMD_MEM; /* the function always decodes */
	if (c->pcie && covers(pos, len, c->pcie + PCIE_DEVCTL + 1u, 1)) {
		uint8_t *b = &c->copy[c->pcie + PCIE_DEVCTL + 1];

		flr = *b & PCIE_DEVCTL_FLR >> 8;
		*b &= (uint8_t)~(PCIE_DEVCTL_FLR >> 8);
		hw[c->pcie + PCIE_DEVCTL + 1 - pos] &= (uint8_t)~(PCIE_DEVCTL_FLR >> 8);
	}
	/* Bytes that nothing may change are not written either: some clear when written with what was read. */
	for (uint32_t i = 0; pass && i < len; i++) {
		if (c->write[pos + i] & (uint8_t)~c->virt[pos + i])
			dev_config_write(f->fn, pos + i, &hw[i], 1);
	}
	if (covers(pos, len, PCI_BAR0, PCI_BAR_END - PCI_BAR0))
		fix_bars(f);
	if (covers(pos, len, PCI_COMMAND, 2)) {
		set_mem_enabled(f);
		vfio_irq_set_intx_disabled_locked(f, get16(c->copy + PCI_COMMAND) & PCI_CMD_NOINTX);
	}
	if (c->msi && covers(pos, len, c->msi + 2u, 1) && f->irq.mode != IRQ_MODE_MSI)
		c->copy[c->msi + 2] &= (uint8_t)~1u; /* not before SET_IRQS has set messages up */
	if (flr && f->caps.flr)
		vfio_reset_locked(f);
}

ssize_t vfio_config_rw(struct host_function *f, uint64_t ubuf, size_t len, uint64_t pos, bool write)
{
	size_t done = 0;
	int err = 0;

	if (pos >= f->config->size || len > f->config->size - pos)
		return -EFAULT;
	while (done < len && !err) {
		uint32_t at = (uint32_t)pos + (uint32_t)done;
		uint8_t buf[64];
		uint32_t unit = write ? 4 : (uint32_t)sizeof(buf);
		uint32_t n = unit - at % unit;

		if (n > len - done)
			n = (uint32_t)(len - done);
		if (write)
			err = user_read(buf, ubuf + done, n);
		pthread_mutex_lock(&f->lock);
		if (write && !err)
			config_write_locked(f, at, buf, n);
		else if (!write)
			config_read_locked(f, at, buf, n);
		pthread_mutex_unlock(&f->lock);
		if (!write)
			err = user_write(ubuf + done, buf, n);
		done += n;
	}
	return err ? err : (ssize_t)done;
}
