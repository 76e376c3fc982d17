/* SPDX-License-Identifier: BSD-3-Clause */
#include "machine/own_iommu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/rcu.h"
#include "hw/smmuv3/smmu.h"
#include "machine/board.h"
#include "spec/smmuv3/cmds.h"
#include "spec/smmuv3/regs.h"

#define KEY_UNIT   "own-iommu"
#define KEY_BEHIND "behind"
#define KEY_STREAM "own-stream"

/* A fault of the host's unit that nobody could be told of where it happened. One: a driver that is told of none of a storm's others misses nothing. */
enum aside { ASIDE_FREE, ASIDE_BUSY, ASIDE_FULL };

struct own_iommu {
	struct function *f;
	struct hw_iommu *hw;
	struct mem mem;	     /* a bus: f's, behind the unit */
	struct nb_trace *tr; /* the unit's own: its events are not to be counted with those of the host's units */
	pthread_mutex_t irq_lock;
	_Atomic bool unsettled; /* the level was told to the function, and is counted in machine.waiting */
	uint64_t command; /* first half of the one that is being read; under the unit's lock of registers */
	_Atomic uint32_t aside_state; /* enum aside */
	struct {
		struct hw_request req;
		struct hw_result res;
	} aside; /* owned by who made it ASIDE_BUSY */
};

/*
 * What a kernel's driver can use here: both stages, all granules, tables of two levels, range invalidation, access and dirty flags. Not what
 * needs a partner that the function is not (ATS, page requests, stalls) nor messages, which would not find the way into a guest.
 */
static const struct smmu_caps caps = {
	.oas = 48, .sid_bits = 16, .ssid_bits = 8, .cmdq_lg2 = 10, .evtq_lg2 = 10, .httu = SMMU_HTTU_AD,
	.stall_model = SMMU_STALL_NEVER, .s1 = true, .s2 = true, .asid16 = true, .vmid16 = true,
	.gran4k = true, .gran16k = true, .gran64k = true, .st_2level = true, .cd_2level = true,
	.coherent = true, .ril = true, .had = true, .bbml = 2,
};

/* ---- description ---- */

static const char *option(const struct nb_desc_function *d, const char *key)
{
	unsigned int i;

	for (i = 0; i < d->noptions; i++)
		if (strcmp(d->option[i].key, key) == 0)
			return d->option[i].value;
	return NULL;
}

unsigned int own_iommu_options(const struct nb_desc_function *d, struct dev_option opt[NB_DESC_MAX_OPTIONS])
{
	unsigned int i, n = 0;

	for (i = 0; i < d->noptions; i++) {
		const struct nb_desc_option *o = &d->option[i];

		if (strcmp(o->key, KEY_UNIT) != 0 && strcmp(o->key, KEY_BEHIND) != 0 && strcmp(o->key, KEY_STREAM) != 0)
			opt[n++] = (struct dev_option){.key = o->key, .value = o->value};
	}
	return n;
}

uint64_t own_iommu_size(const struct nb_desc_function *d)
{
	return option(d, KEY_UNIT) ? SMMU_REGS_SIZE : 0;
}

/* Without an option: the function's own number, as the host's unit knows it. */
static bool stream_of(const struct nb_desc_function *d, uint16_t *out)
{
	const char *s = option(d, KEY_STREAM);
	unsigned long v;
	char *end;

	*out = d->rid;
	if (!s)
		return true;
	if (*s < '0' || *s > '9') /* strtoul() takes signs and blanks */
		return false;
	v = strtoul(s, &end, s[0] == '0' && (s[1] | 0x20) == 'x' ? 16 : 10);
	*out = (uint16_t)v;
	return !*end && v <= UINT16_MAX;
}

/* Which function's unit it is behind: itself, an earlier one, or d->nfunctions: none that is there, or none at all. Later ones are not looked at. */
static uint32_t bringer_of(const struct nb_desc *d, uint32_t i)
{
	const char *where = option(&d->function[i], KEY_BEHIND);
	char address[32];
	uint32_t j;

	if (option(&d->function[i], KEY_UNIT))
		return i;
	for (j = 0; where && j < i; j++) {
		const struct nb_desc_function *f = &d->function[j];

		snprintf(address, sizeof(address), "%04x:%02x:%02x.%x", f->segment, f->rid >> 8, f->rid >> 3 & 31, f->rid & 7);
		if (strcmp(address, where) == 0 && option(f, KEY_UNIT))
			return j;
	}
	return d->nfunctions;
}

/* Of two functions, i the later. */
static int check_pair(const struct nb_desc *d, uint32_t i, uint32_t j, struct nb_diag *diag)
{
	uint32_t bringer = bringer_of(d, i);
	uint16_t a, b;

	if (bringer != bringer_of(d, j))
		return 0;
	if (d->function[i].group != d->function[j].group)
		return nb_fail(diag, -EINVAL, "functions behind one unit on a board are to be given away together: they need one group");
	(void)stream_of(&d->function[i], &a);
	(void)stream_of(&d->function[j], &b);
	if (a == b)
		return nb_fail(diag, -EINVAL, "option " KEY_STREAM ": two functions behind one unit have StreamID %#x", a);
	return 0;
}

int own_iommu_check(const struct nb_desc *d, uint32_t i, struct nb_diag *diag)
{
	const struct nb_desc_function *f = &d->function[i];
	const char *unit = option(f, KEY_UNIT), *behind = option(f, KEY_BEHIND);
	struct dev_option opt[NB_DESC_MAX_OPTIONS];
	uint16_t stream;
	uint32_t j;
	int err = 0;

	if (unit && behind)
		return nb_fail(diag, -EINVAL, "options " KEY_UNIT " and " KEY_BEHIND ": a function is behind one unit");
	if (!unit && !behind)
		return option(f, KEY_STREAM) ? nb_fail(diag, -EINVAL, "option " KEY_STREAM " needs " KEY_UNIT " or " KEY_BEHIND) : 0;
	if (unit && strcmp(unit, "smmuv3") != 0)
		return nb_fail(diag, -EINVAL, "option " KEY_UNIT ": \"%s\" is no unit that a function can bring; smmuv3 is", unit);
	if (behind && bringer_of(d, i) >= i)
		return nb_fail(diag, -EINVAL, "option " KEY_BEHIND ": no function before this one is at \"%s\" and has " KEY_UNIT, behind);
	if (!stream_of(f, &stream))
		return nb_fail(diag, -EINVAL, "option " KEY_STREAM ": \"%s\" is not a number from 0 to 65535", option(f, KEY_STREAM));
	if (dev_options_ats(dev_model_find(f->model), opt, own_iommu_options(f, opt)))
		return nb_fail(diag, -EINVAL, "behind a unit on the board there is no ATS: this function needs ats: off");
	for (j = 0; j < i && !err; j++)
		if (bringer_of(d, j) < d->nfunctions)
			err = check_pair(d, i, j, diag);
	return err;
}

/* ---- the unit's memory: the function's bus ---- */

static void put_aside(struct own_iommu *own, const struct hw_request *req, const struct hw_result *res)
{
	uint32_t was = ASIDE_FREE;

	if (!atomic_compare_exchange_strong(&own->aside_state, &was, ASIDE_BUSY)) {
		NB_TRACE(own->f->unit->m->tr, hw_fault_lost, req->rid, res->fault.reason);
		return;
	}
	own->aside.req = *req;
	own->aside.res = *res;
	atomic_store(&own->aside_state, ASIDE_FULL);
}

/* Without locks of either unit and outside read sections. */
static void report_aside(struct own_iommu *own)
{
	struct hw_iommu *hw = own->f->unit->hw;
	uint32_t was = ASIDE_FULL;
	struct hw_request req;
	struct hw_result res;

	if (likely(atomic_load_explicit(&own->aside_state, memory_order_relaxed) != ASIDE_FULL) ||
	    !atomic_compare_exchange_strong(&own->aside_state, &was, ASIDE_BUSY))
		return;
	req = own->aside.req;
	res = own->aside.res;
	atomic_store(&own->aside_state, ASIDE_FREE);
	hw->ops->report(hw, &req, &res);
}

/* Inside a read section: where the host's unit lets the access go, or -EFAULT. The host's message addresses are no memory of anybody's. */
static int through_host(struct own_iommu *own, const struct function *from, uint64_t addr, uint8_t access, hpa_t *out)
{
	struct hw_iommu *hw = from->unit->hw;
	const struct hw_request req = {
		.addr = addr, .pasid = NB_NO_PASID, .rid = from->desc->rid, .access = access, .flags = HW_NO_MSG};
	struct hw_result res;

	hw->ops->translate(hw, &req, &res);
	if (unlikely(res.kind == HW_FAULT))
		put_aside(own, &req, &res);
	*out = res.pa;
	return res.kind == HW_OK ? 0 : -EFAULT;
}

/* A command comes as two loads, under the unit's lock. IHI 0070, 4.1.3: the opcode is in the low byte. */
static void count_command(struct own_iommu *own, uint64_t at, uint64_t v)
{
	struct nb_trace *tr = own->f->unit->m->tr;
	uint64_t first = own->command;

	if (!(at & 8)) {
		own->command = v;
		return;
	}
	switch (first & 0xff) {
	case SMMU_CMD_CFGI_STE:
	case SMMU_CMD_CFGI_STE_RANGE:
	case SMMU_CMD_CFGI_CD:
	case SMMU_CMD_CFGI_CD_ALL:
		NB_TRACE(tr, own_cmd_config, first, v);
		break;
	case SMMU_CMD_SYNC:
		NB_TRACE(tr, own_cmd_sync, first, v);
		break;
	default:
		if ((first & 0xff) >= SMMU_CMD_TLBI_NH_ALL && (first & 0xff) <= SMMU_CMD_TLBI_NSNH_ALL)
			NB_TRACE(tr, own_cmd_tlb, first, v);
		else
			NB_TRACE(tr, own_cmd_other, first, v);
		break;
	}
}

static int own_load64(void *opaque, hpa_t pa, uint64_t *v)
{
	struct own_iommu *own = opaque;
	bool table = nb_rcu_in_section(); /* all that a unit reads outside of one are commands */
	hpa_t at;
	int err;

	nb_rcu_read_lock();
	err = through_host(own, own->f, pa.v, HW_READ, &at);
	if (!err)
		err = mem_load64(own->f->unit->hw->mem, at, v);
	nb_rcu_read_unlock();
	if (table)
		NB_TRACE(own->f->unit->m->tr, own_fetch, own->f->desc->rid, pa.v, err ? 0 : *v);
	else if (!err)
		count_command(own, pa.v, *v);
	return err;
}

static int own_cas64(void *opaque, hpa_t pa, uint64_t *expected, uint64_t desired)
{
	struct own_iommu *own = opaque;
	hpa_t at;
	int err;

	nb_rcu_read_lock();
	err = through_host(own, own->f, pa.v, HW_READ | HW_WRITE, &at);
	if (!err)
		err = mem_cas64(own->f->unit->hw->mem, at, expected, desired);
	nb_rcu_read_unlock();
	return err;
}

/* To the end of the page, or of what is left: a unit translates at least 4 KiB at once. */
static size_t piece(uint64_t addr, size_t left)
{
	size_t n = 4096 - (size_t)(addr & 4095);

	return n < left ? n : left;
}

/* Inside a read section, within a page. */
static int copy_piece(struct own_iommu *own, const struct function *from, uint64_t addr, char *buf, size_t n, uint8_t access)
{
	struct mem *mem = from->unit->hw->mem;
	hpa_t at;
	int err = through_host(own, from, addr, access, &at);

	if (unlikely(err))
		return err;
	return access == HW_WRITE ? mem_copy_to(mem, at, buf, n) : mem_copy_from(mem, buf, at, n);
}

static int own_copy(struct own_iommu *own, uint64_t addr, char *buf, size_t len, uint8_t access)
{
	size_t done, n;
	int err = 0;

	for (done = 0; done < len && !err; done += n) {
		n = piece(addr + done, len - done);
		nb_rcu_read_lock();
		err = copy_piece(own, own->f, addr + done, buf + done, n, access);
		nb_rcu_read_unlock();
	}
	return err;
}

static int own_copy_from(void *opaque, void *dst, hpa_t pa, size_t len)
{
	return own_copy(opaque, pa.v, dst, len, HW_READ);
}

static int own_copy_to(void *opaque, hpa_t pa, const void *src, size_t len)
{
	return own_copy(opaque, pa.v, (char *)(uintptr_t)src, len, HW_WRITE); /* which only reads it */
}

static const struct mem_bus_ops mem_ops = {
	.load64 = own_load64, .cas64 = own_cas64, .copy_from = own_copy_from, .copy_to = own_copy_to};

/* ---- interrupts ---- */

static uint32_t reg(struct own_iommu *own, uint64_t off)
{
	return (uint32_t)own->hw->ops->mmio_read(own->hw, off, 4);
}

/* 6.3.16, 6.3.19, 6.3.29: queues hold something where the indices differ, wrap bit included; overflow flags are no index. */
static bool wants_interrupt(struct own_iommu *own)
{
	const uint32_t index = (uint32_t)SMMU_Q_IDX;
	uint32_t enabled = reg(own, SMMU_REG_IRQ_CTRL);

	if ((enabled & SMMU_IRQ_CTRL_EVENTQ) && ((reg(own, SMMU_REG_EVENTQ_PROD) ^ reg(own, SMMU_REG_EVENTQ_CONS)) & index))
		return true;
	return (enabled & SMMU_IRQ_CTRL_GERROR) && reg(own, SMMU_REG_GERROR) != reg(own, SMMU_REG_GERRORN);
}

static void level_update(struct own_iommu *own)
{
	struct machine *m = own->f->unit->m;

	pthread_mutex_lock(&own->irq_lock);
	dev_board_intx(own->f->fn, wants_interrupt(own));
	pthread_mutex_unlock(&own->irq_lock);
	/* Counted before it can be found, as in wires.c: never below what waits, or another's answer would be left lying. */
	atomic_fetch_add_explicit(&m->waiting, 1, memory_order_relaxed);
	if (atomic_exchange(&own->unsettled, true))
		atomic_fetch_sub_explicit(&m->waiting, 1, memory_order_relaxed);
}

/* The line is the host's to hear of, without locks: functions whose DMA moved the level hold theirs. */
void own_iommu_settle(struct own_iommu *own)
{
	if (!atomic_exchange(&own->unsettled, false))
		return;
	atomic_fetch_sub_explicit(&own->f->unit->m->waiting, 1, memory_order_relaxed);
	dev_board_settle(own->f->fn);
}

/* A wire. The unit holds no lock; the function may, but for its innermost. */
static void own_wire(void *opaque, uint64_t addr, uint32_t data)
{
	struct own_iommu *own = opaque;

	(void)addr;
	NB_TRACE(own->f->unit->m->tr, own_irq, own->f->desc->rid, data);
	level_update(own);
}

/* ---- the function's side ---- */

static uint64_t board_read(void *opaque, uint64_t off, unsigned int size)
{
	struct own_iommu *own = ((struct function *)opaque)->own;
	uint64_t v = own->hw->ops->mmio_read(own->hw, off, size);

	NB_TRACE(own->f->unit->m->tr, own_mmio_read, own->f->desc->rid, off, size, v);
	return v;
}

static void board_write(void *opaque, uint64_t off, unsigned int size, uint64_t v)
{
	struct own_iommu *own = ((struct function *)opaque)->own;

	NB_TRACE(own->f->unit->m->tr, own_mmio_write, own->f->desc->rid, off, size, v);
	own->hw->ops->mmio_write(own->hw, off, size, v);
	level_update(own);
	report_aside(own);
}

static void board_reset(void *opaque)
{
	struct own_iommu *own = ((struct function *)opaque)->own;

	own->hw->ops->reset(own->hw);
	level_update(own);
	report_aside(own);
}

/* One page at most: as in hw_dma_read() and hw_dma_write(), but what comes out of the unit is an address for the host's. */
static int move_page(struct function *f, const struct hw_request *req, char *buf, size_t n)
{
	struct own_iommu *own = f->behind;
	struct hw_result res;
	int err = -EFAULT;

	nb_rcu_read_lock();
	own->hw->ops->translate(own->hw, req, &res);
	if (likely(res.kind == HW_OK))
		err = copy_piece(own, f, res.pa.v, buf, n, req->access);
	nb_rcu_read_unlock();
	if (unlikely(res.kind == HW_FAULT)) {
		own->hw->ops->report(own->hw, req, &res);
		if (!res.fault.raz_wi)
			return -EFAULT;
		if (req->access == HW_READ)
			memset(buf, 0, n);
		return 0;
	}
	return err;
}

static int move(struct function *f, uint32_t pasid, uint64_t addr, char *buf, size_t len, uint8_t access)
{
	struct hw_request req = {.pasid = pasid, .rid = f->stream, .access = access};
	struct nb_trace *tr = f->unit->m->tr;
	size_t done, n;
	int err = 0;

	for (done = 0; done < len && !err; done += n) {
		req.addr = addr + done;
		n = piece(req.addr, len - done);
		err = move_page(f, &req, buf + done, n);
	}
	report_aside(f->behind);
	if (err)
		NB_TRACE(tr, own_refused, f->desc->rid, pasid, req.addr, access);
	else if (access == HW_WRITE)
		NB_TRACE_N(tr, hw_dma_write, len, (uint64_t)f->desc->rid, (uint64_t)pasid, addr, (uint64_t)len);
	else
		NB_TRACE_N(tr, hw_dma_read, len, (uint64_t)f->desc->rid, (uint64_t)pasid, addr, (uint64_t)len);
	return err;
}

static int own_dma_read(void *opaque, uint32_t pasid, uint64_t addr, void *buf, size_t len)
{
	return move(opaque, pasid, addr, buf, len, HW_READ);
}

static int own_dma_write(void *opaque, uint32_t pasid, uint64_t addr, const void *buf, size_t len)
{
	/* The buffer is only read. */
	return move(opaque, pasid, addr, (char *)(uintptr_t)buf, len, HW_WRITE);
}

void own_iommu_bus(struct function *f, struct dev_bus *bus)
{
	if (!f->behind)
		return;
	*bus = (struct dev_bus){
		.opaque = bus->opaque,
		.board = {.size = own_iommu_size(f->desc), .read = board_read, .write = board_write, .reset = board_reset},
		.dma_read = own_dma_read,
		.dma_write = own_dma_write,
		.irq = bus->irq,
		.msi = bus->msi,
	};
}

/* ---- life ---- */

static int create(struct function *f, struct nb_diag *diag)
{
	struct own_iommu *own = nb_zalloc(sizeof(*own));
	int err;

	if (!own)
		return nb_fail(diag, -ENOMEM, "out of memory");
	own->f = f;
	err = mem_init_bus(&own->mem, &mem_ops, own);
	if (err) {
		nb_free(own);
		return nb_fail(diag, err, "out of memory");
	}
	pthread_mutex_init(&own->irq_lock, NULL);
	own->tr = nb_trace_new(NULL);
	err = own->tr ? smmu_create(&caps, &own->mem, own->tr, &own->hw, diag) : nb_fail(diag, -ENOMEM, "out of memory");
	if (err) {
		own_iommu_destroy(own);
		return err;
	}
	own->hw->msi = own_wire;
	own->hw->msi_opaque = own;
	f->own = own;
	return 0;
}

int own_iommus_create(struct machine *m, struct nb_diag *diag)
{
	uint32_t i, bringer;
	int err;

	for (i = 0; i < m->desc.nfunctions; i++) {
		struct function *f = &m->function[i];

		bringer = bringer_of(&m->desc, i);
		if (bringer == m->desc.nfunctions)
			continue;
		err = bringer == i ? create(f, diag) : 0;
		if (err)
			return err;
		f->behind = m->function[bringer].own; /* of an earlier function, as was checked */
		(void)stream_of(f->desc, &f->stream);
	}
	return 0;
}

void own_iommu_destroy(struct own_iommu *own)
{
	if (!own)
		return;
	if (own->hw)
		own->hw->ops->destroy(own->hw);
	nb_trace_free(own->tr);
	mem_fini(&own->mem);
	pthread_mutex_destroy(&own->irq_lock);
	nb_free(own);
}
