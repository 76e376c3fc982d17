/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DMA: translate and access in one read section, page by page.
 *
 * The section is what an invalidation waits for, so the physical address never outlives it. Faults are logged
 * after it, because logging may send an interrupt and that calls out.
 */
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/rcu.h"
#include "hw/request.h"

void hw_translate(struct hw_iommu *hw, const struct hw_request *req, struct hw_result *res)
{
	nb_rcu_read_lock();
	hw->ops->translate(hw, req, res);
	nb_rcu_read_unlock();
	if (unlikely(res->kind == HW_FAULT))
		hw->ops->report(hw, req, res);
}

/* To the end of the page, or of what is left. A unit translates at least 4 KiB at once. */
static size_t piece(uint64_t addr, size_t left)
{
	size_t n = 4096 - (size_t)(addr & 4095);

	return n < left ? n : left;
}

/* A write into the interrupt range. Whatever is not one aligned 32-bit word is no interrupt message: the unit says what it thinks of it. */
static __attribute__((cold, noinline)) int message(struct hw_iommu *hw, const struct hw_request *req, const char *buf, size_t n)
{
	struct hw_request bad = *req;
	struct hw_result res;
	le32_t data;

	NB_TRACE(hw->tr, hw_dma_irq, req->rid, req->addr, n);
	if (n != sizeof(data) || req->addr % sizeof(data) != 0) {
		bad.flags |= HW_NO_MSG;
		hw_translate(hw, &bad, &res);
		return -EFAULT;
	}
	memcpy(&data, buf, sizeof(data));
	return hw_interrupt(hw, req->rid, req->addr, cpu32(data));
}

static inline bool is_doorbell(const struct hw_doorbell *d, hpa_t pa)
{
	return d && pa.v >= d->base.v && pa.v - d->base.v < d->size;
}

__attribute__((cold, noinline)) int hw_no_memory(struct hw_iommu *hw, uint16_t rid, uint64_t addr, hpa_t pa, const void *buf,
						  size_t n, bool write)
{
	const struct hw_doorbell *d = hw->doorbell;
	bool message, there = write && is_doorbell(d, pa);
	uint64_t token = 0;

	message = there && d->accept(d->opaque, hw->doorbell_device | rid, pa.v - d->base.v, buf, n, &token);
	nb_rcu_read_unlock();
	if (message)
		d->ring(d->opaque, token);
	if (there)
		return 0;
	NB_TRACE(hw->tr, hw_dma_bad_pa, rid, addr, pa.v);
	return -EFAULT;
}

/* Not plain memory, or none. Inside the read section, which ends in here. 0: go on behind it. */
static __attribute__((cold, noinline)) int not_moved(struct hw_iommu *hw, const struct hw_request *req, struct hw_result *res, char *buf,
						     size_t n, bool write)
{
	if (res->kind == HW_OK)
		return hw_no_memory(hw, req->rid, req->addr, res->pa, buf, n, write);
	nb_rcu_read_unlock();
	if (res->kind == HW_FAULT) {
		hw->ops->report(hw, req, res);
		if (res->fault.stalled)
			return -EAGAIN;
		if (!res->fault.raz_wi)
			return -EFAULT;
		if (!write)
			memset(buf, 0, n);
		return 0;
	}
	if (write)
		return message(hw, req, buf, n);
	NB_TRACE(hw->tr, hw_dma_bad_pa, req->rid, req->addr, res->pa.v); /* nobody answers reads of the interrupt range */
	return -EFAULT;
}

/*
 * `write` and `msi` are constant where this is called from. msi: it is expected at the doorbell, so that is looked for first; any other
 * DMA finds out there by a fault in the process, which is slow and keeps the comparison from all that goes to memory.
 */
static inline __attribute__((always_inline)) int dma(struct hw_iommu *hw, uint16_t rid, uint32_t pasid, uint64_t addr,
						     char *buf, size_t len, const bool write, const bool msi)
{
	struct hw_request req = {.pasid = pasid, .rid = rid, .access = write ? HW_WRITE : HW_READ};
	struct hw_result res;
	size_t done, n;
	int err;

	for (done = 0; done < len; done += n) {
		req.addr = addr + done;
		n = piece(req.addr, len - done);
		err = -EFAULT;
		nb_rcu_read_lock();
		hw->ops->translate(hw, &req, &res);
		if (likely(res.kind == HW_OK) && !(msi && is_doorbell(hw->doorbell, res.pa)))
			err = write ? mem_copy_to(hw->mem, res.pa, buf + done, n) :
				      mem_copy_from(hw->mem, buf + done, res.pa, n);
		if (likely(!err)) {
			nb_rcu_read_unlock();
			continue;
		}
		err = not_moved(hw, &req, &res, buf + done, n, write);
		if (err)
			return err;
	}
	return 0;
}

int hw_dma_read(struct hw_iommu *hw, uint16_t rid, uint32_t pasid, uint64_t addr, void *buf, size_t len)
{
	int err = dma(hw, rid, pasid, addr, buf, len, false, false);

	if (!err)
		NB_TRACE_N(hw->tr, hw_dma_read, len, (uint64_t)rid, (uint64_t)pasid, addr, (uint64_t)len);
	return err;
}

int hw_dma_write(struct hw_iommu *hw, uint16_t rid, uint32_t pasid, uint64_t addr, const void *buf, size_t len)
{
	/* The buffer is only read. */
	int err = dma(hw, rid, pasid, addr, (char *)(uintptr_t)buf, len, true, false);

	if (!err)
		NB_TRACE_N(hw->tr, hw_dma_write, len, (uint64_t)rid, (uint64_t)pasid, addr, (uint64_t)len);
	return err;
}

int hw_message(struct hw_iommu *hw, uint16_t rid, uint64_t addr, uint32_t data)
{
	le32_t word = {NB_SWAP32(data)};
	int err;

	if (!hw->doorbell)
		return hw_interrupt(hw, rid, addr, data);
	err = dma(hw, rid, NB_NO_PASID, addr, (char *)&word, sizeof(word), true, true);
	if (!err)
		NB_TRACE_N(hw->tr, hw_dma_write, sizeof(word), (uint64_t)rid, (uint64_t)NB_NO_PASID, addr, (uint64_t)sizeof(word));
	return err;
}

int hw_interrupt(struct hw_iommu *hw, uint16_t rid, uint64_t addr, uint32_t data)
{
	struct hw_irq irq = {.dest = (uint32_t)(addr >> 12 & 0xff), .vector = (uint8_t)data};
	unsigned int phase = nb_drain_enter(&hw->irq_drain);
	int err = 0;

	if (hw->ops->interrupt && hw->ops->interrupt(hw, rid, addr, data, &irq)) {
		err = -EFAULT;
	} else {
		NB_TRACE(hw->tr, hw_intr, rid, addr, irq.dest, irq.vector);
		if (hw->deliver)
			hw->deliver(hw->deliver_opaque, &irq);
	}
	nb_drain_leave(&hw->irq_drain, phase);
	return err;
}

void hw_interrupt_drain(struct hw_iommu *hw)
{
	nb_drain_wait(&hw->irq_drain);
}
