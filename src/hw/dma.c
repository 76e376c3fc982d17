/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DMA: translate and access in one read section, page by page.
 *
 * The section is what an invalidation waits for, so the physical address never outlives it. Faults are logged
 * after it, because logging may send an interrupt and that calls out.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "base/bits.h"
#include "base/rcu.h"
#include "hw/hw.h"

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

/* `write` is constant where this is called from. */
static inline __attribute__((always_inline)) int dma(struct hw_iommu *hw, uint16_t rid, uint32_t pasid, uint64_t addr,
						     char *buf, size_t len, const bool write)
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
		if (likely(res.kind == HW_OK))
			err = write ? mem_copy_to(hw->mem, res.pa, buf + done, n) :
				      mem_copy_from(hw->mem, buf + done, res.pa, n);
		nb_rcu_read_unlock();
		if (unlikely(res.kind == HW_FAULT)) {
			hw->ops->report(hw, &req, &res);
			if (res.fault.stalled)
				return -EAGAIN;
			if (!res.fault.raz_wi)
				return -EFAULT;
			if (!write)
				memset(buf + done, 0, n);
			continue;
		}
		if (unlikely(write && res.kind == HW_INTERRUPT)) {
			if (message(hw, &req, buf + done, n))
				return -EFAULT;
			continue;
		}
		if (unlikely(err)) {
			NB_TRACE(hw->tr, hw_dma_bad_pa, rid, req.addr, res.pa.v);
			return -EFAULT;
		}
	}
	return 0;
}

int hw_dma_read(struct hw_iommu *hw, uint16_t rid, uint32_t pasid, uint64_t addr, void *buf, size_t len)
{
	int err = dma(hw, rid, pasid, addr, buf, len, false);

	if (!err)
		NB_TRACE_N(hw->tr, hw_dma_read, len, (uint64_t)rid, (uint64_t)pasid, addr, (uint64_t)len);
	return err;
}

int hw_dma_write(struct hw_iommu *hw, uint16_t rid, uint32_t pasid, uint64_t addr, const void *buf, size_t len)
{
	/* The buffer is only read. */
	int err = dma(hw, rid, pasid, addr, (char *)(uintptr_t)buf, len, true);

	if (!err)
		NB_TRACE_N(hw->tr, hw_dma_write, len, (uint64_t)rid, (uint64_t)pasid, addr, (uint64_t)len);
	return err;
}

int hw_interrupt(struct hw_iommu *hw, uint16_t rid, uint64_t addr, uint32_t data)
{
	struct hw_irq irq = {.dest = (uint32_t)(addr >> 12 & 0xff), .vector = (uint8_t)data};
	/* Sequential consistency: whoever drains and does not see us here, we see what it invalidated before. */
	_Atomic uint32_t *busy = &hw->irq_busy[atomic_load(&hw->irq_phase) & 1];
	int err = 0;

	atomic_fetch_add(busy, 1);
	if (hw->ops->interrupt && hw->ops->interrupt(hw, rid, addr, data, &irq)) {
		err = -EFAULT;
	} else {
		NB_TRACE(hw->tr, hw_intr, rid, addr, irq.dest, irq.vector);
		if (hw->deliver)
			hw->deliver(hw->deliver_opaque, &irq);
	}
	atomic_fetch_sub_explicit(busy, 1, memory_order_release);
	return err;
}

/*
 * New deliveries count elsewhere while we wait, so we are not kept by them. Twice, because one that read the phase long ago may
 * count itself among those of either.
 */
void hw_interrupt_drain(struct hw_iommu *hw)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		_Atomic uint32_t *busy = &hw->irq_busy[atomic_fetch_xor(&hw->irq_phase, 1) & 1];

		while (atomic_load(busy))
			sched_yield();
	}
}
