/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Physical region pages (NVMe 1.4, 4.3): from PRP1 and PRP2 to pieces of host memory, and data through them.
 *
 * PRP1 may start anywhere in its page. What does not fit there goes to whole pages: if one is enough PRP2 is its address,
 * else PRP2 points at a list, which may start inside a page; a list's last slot in its page points at the next list
 * when more is to come, and that one starts at a page. Every list is fetched once, up to the slots that are needed, and since only the first
 * may start in the last slot, the number of fetches is bounded by the length of the transfer. Neighbouring pages
 * become one piece, so that a contiguous buffer is one transaction.
 *
 * A list that cannot be fetched is a Data Transfer Error like data that cannot be moved.
 */
#include "dev/nvme/nvme.h"

#define PRP_DWORD_MASK UINT64_C(3)
#define PRP_LIST_MASK  UINT64_C(7)
#define LIST_BATCH     NVME_MAX_SEGS /* a list is never longer than a whole transfer */

static uint16_t dma_error(struct nvme *n, const struct nvme_cmd *cmd, uint64_t addr)
{
	NB_TRACE(n->fn.tr, nvme_dma_error, cmd->sqid, cmd->cid, addr);
	return NVME_DATA_TRANSFER_ERROR;
}

static void add(struct nvme_sg *sg, uint64_t addr, uint64_t len)
{
	if (sg->nsegs && addr != 0 && sg->seg[sg->nsegs - 1].addr + sg->seg[sg->nsegs - 1].len == addr) {
		sg->seg[sg->nsegs - 1].len += len;
		return;
	}
	sg->seg[sg->nsegs].addr = addr;
	sg->seg[sg->nsegs].len = len;
	sg->nsegs++;
}

static uint16_t map_list(struct nvme *n, const struct nvme_cmd *cmd, uint64_t list, uint64_t left, struct nvme_sg *sg)
{
	uint64_t page = BIT(n->page_lg2);
	le64_t slot[LIST_BATCH];

	if (list & PRP_LIST_MASK)
		return NVME_INVALID_PRP_OFFSET | NVME_DNR;
	while (left) {
		uint64_t need = (left + page - 1) / page;
		uint64_t room = (page - (list & (page - 1))) / sizeof(slot[0]);
		uint64_t take = need < room ? need : room;

		if (pci_dma_read(&n->fn, NB_NO_PASID, list, slot, take * sizeof(slot[0])))
			return dma_error(n, cmd, list);
		for (uint64_t i = 0; i < take; i++) {
			uint64_t addr = cpu64(slot[i]);

			if (!nb_aligned(addr, page))
				return NVME_INVALID_PRP_OFFSET | NVME_DNR;
			if (i == room - 1 && need > room) {
				list = addr;
				break;
			}
			add(sg, addr, left < page ? left : page);
			left -= left < page ? left : page;
		}
	}
	return NVME_SUCCESS;
}

uint16_t nvme_map(struct nvme *n, const struct nvme_cmd *cmd, uint64_t len, struct nvme_sg *sg)
{
	uint64_t page = BIT(n->page_lg2), first = page - (cmd->prp1 & (page - 1));

	sg->nsegs = 0;
	if (cmd->prp1 & PRP_DWORD_MASK)
		return NVME_INVALID_PRP_OFFSET | NVME_DNR;
	if (first >= len) {
		add(sg, cmd->prp1, len);
		return NVME_SUCCESS;
	}
	add(sg, cmd->prp1, first);
	len -= first;
	if (len > page)
		return map_list(n, cmd, cmd->prp2, len, sg);
	if (!nb_aligned(cmd->prp2, page))
		return NVME_INVALID_PRP_OFFSET | NVME_DNR;
	add(sg, cmd->prp2, len);
	return NVME_SUCCESS;
}

uint16_t nvme_sg_write(struct nvme *n, const struct nvme_cmd *cmd, const struct nvme_sg *sg, const void *buf)
{
	const uint8_t *p = buf;

	for (unsigned int i = 0; i < sg->nsegs; i++) {
		if (pci_dma_write(&n->fn, NB_NO_PASID, sg->seg[i].addr, p, sg->seg[i].len))
			return dma_error(n, cmd, sg->seg[i].addr);
		p += sg->seg[i].len;
	}
	return NVME_SUCCESS;
}

uint16_t nvme_sg_read(struct nvme *n, const struct nvme_cmd *cmd, const struct nvme_sg *sg, void *buf)
{
	uint8_t *p = buf;

	for (unsigned int i = 0; i < sg->nsegs; i++) {
		if (pci_dma_read(&n->fn, NB_NO_PASID, sg->seg[i].addr, p, sg->seg[i].len))
			return dma_error(n, cmd, sg->seg[i].addr);
		p += sg->seg[i].len;
	}
	return NVME_SUCCESS;
}

uint16_t nvme_to_host(struct nvme *n, const struct nvme_cmd *cmd, const void *buf, uint64_t len)
{
	struct nvme_sg sg;
	uint16_t status = nvme_map(n, cmd, len, &sg);

	return status ? status : nvme_sg_write(n, cmd, &sg, buf);
}

uint16_t nvme_from_host(struct nvme *n, const struct nvme_cmd *cmd, void *buf, uint64_t len)
{
	struct nvme_sg sg;
	uint16_t status = nvme_map(n, cmd, len, &sg);

	return status ? status : nvme_sg_read(n, cmd, &sg, buf);
}
