/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NVM commands (NVMe 1.4, 6): flush, read, write, compare, write zeroes, dataset management.
 *
 * Data goes straight between the namespace's mapping and the host. When DMA is aborted the command ends
 * with Data Transfer Error: a read has changed no host memory past the aborted byte, a write has changed no
 * byte of the namespace that did not arrive. What arrived before the abort may be in the namespace: its blocks hold old or new data, as 6.15
 * allows for a failed write.
 */
#include "dev/nvme/nvme.h"

#include <string.h>

#define COMPARE_CHUNK 4096
#define DSM_MAX	      256

struct dsm_range { /* 6.7, one range definition */
	le32_t attributes, nlb;
	le64_t slba;
};

static uint16_t check_range(const struct nvme *n, uint64_t slba, uint64_t nlb)
{
	return slba > n->ns.nlbas || nlb > n->ns.nlbas - slba ? NVME_LBA_OUT_OF_RANGE | NVME_DNR : NVME_SUCCESS;
}

static uint64_t slba_of(const struct nvme_cmd *cmd)
{
	return cmd->cdw10 | (uint64_t)cmd->cdw11 << 32;
}
static uint64_t nlb_of(const struct nvme_cmd *cmd)
{
	return FIELD_GET(NVME_RW_NLB, (uint64_t)cmd->cdw12) + 1;
}

/* The cache is off, or the command wants this write on the medium. */
static uint16_t write_through(struct nvme *n, const struct nvme_cmd *cmd)
{
	if (!(cmd->cdw12 & NVME_RW_FUA) && n->feat.write_cache)
		return NVME_SUCCESS;
	return nvme_ns_flush(&n->ns) ? NVME_WRITE_FAULT : NVME_SUCCESS;
}

static uint16_t flush(struct nvme *n)
{
	return nvme_ns_flush(&n->ns) ? NVME_WRITE_FAULT : NVME_SUCCESS;
}

static uint16_t read_write(struct nvme *n, const struct nvme_cmd *cmd, struct nvme_stats *stats)
{
	uint64_t slba = slba_of(cmd), nlb = nlb_of(cmd), len = nlb << n->ns.lba_lg2;
	bool write = cmd->opcode == NVME_CMD_WRITE;
	struct nvme_sg sg;
	uint8_t *p;
	uint16_t status;

	if (len > NVME_MAX_DATA)
		return NVME_INVALID_FIELD | NVME_DNR;
	status = check_range(n, slba, nlb);
	if (status)
		return status;
	if (write && n->ns.readonly)
		return NVME_WRITE_PROTECTED | NVME_DNR;
	status = nvme_map(n, cmd, len, &sg);
	if (status)
		return status;
	p = n->ns.base + (slba << n->ns.lba_lg2);
	if (!write) {
		status = nvme_sg_write(n, cmd, &sg, p);
		if (!status) {
			stats->reads++;
			stats->read_bytes += len;
		}
		return status;
	}
	status = nvme_sg_read(n, cmd, &sg, p);
	if (status)
		return status;
	stats->writes++;
	stats->write_bytes += len;
	return write_through(n, cmd);
}

/* 6.6. Both sides go through a copy of ours: each is compared as it was at one moment. */
static uint16_t compare(struct nvme *n, const struct nvme_cmd *cmd, struct nvme_stats *stats)
{
	uint64_t slba = slba_of(cmd), nlb = nlb_of(cmd), len = nlb << n->ns.lba_lg2;
	uint64_t off = slba << n->ns.lba_lg2;
	uint8_t host[COMPARE_CHUNK], own[COMPARE_CHUNK];
	struct nvme_sg sg;
	uint16_t status;

	if (len > NVME_MAX_DATA)
		return NVME_INVALID_FIELD | NVME_DNR;
	status = check_range(n, slba, nlb);
	if (!status)
		status = nvme_map(n, cmd, len, &sg);
	if (status)
		return status;
	for (unsigned int i = 0; i < sg.nsegs; i++) {
		for (uint64_t done = 0; done < sg.seg[i].len;) {
			uint64_t addr = sg.seg[i].addr + done, left = sg.seg[i].len - done;
			size_t chunk = left < COMPARE_CHUNK ? left : COMPARE_CHUNK;

			if (pci_dma_read(&n->fn, NB_NO_PASID, addr, host, chunk)) {
				NB_TRACE(n->fn.tr, nvme_dma_error, cmd->sqid, cmd->cid, addr);
				return NVME_DATA_TRANSFER_ERROR;
			}
			if (nvme_ns_get(&n->ns, off, own, chunk))
				return NVME_UNRECOVERED_READ;
			if (memcmp(host, own, chunk) != 0)
				return NVME_COMPARE_FAILURE | NVME_DNR;
			done += chunk;
			off += chunk;
		}
	}
	stats->reads++;
	stats->read_bytes += len;
	return NVME_SUCCESS;
}

static uint16_t write_zeroes(struct nvme *n, const struct nvme_cmd *cmd)
{
	uint16_t status = check_range(n, slba_of(cmd), nlb_of(cmd));

	if (status)
		return status;
	if (n->ns.readonly)
		return NVME_WRITE_PROTECTED | NVME_DNR;
	if (nvme_ns_zero(&n->ns, slba_of(cmd) << n->ns.lba_lg2, nlb_of(cmd) << n->ns.lba_lg2))
		return NVME_WRITE_FAULT;
	return write_through(n, cmd);
}

/* 6.7. All ranges are checked before the first is deallocated. Hints about use are accepted and mean nothing. */
static uint16_t dataset_management(struct nvme *n, const struct nvme_cmd *cmd)
{
	unsigned int nr = (unsigned int)FIELD_GET(NVME_DSM_NR, (uint64_t)cmd->cdw10) + 1;
	struct dsm_range range[DSM_MAX];
	uint16_t status = nvme_from_host(n, cmd, range, nr * sizeof(range[0]));

	for (unsigned int i = 0; i < nr && !status; i++)
		status = check_range(n, cpu64(range[i].slba), cpu32(range[i].nlb));
	if (status || !(cmd->cdw11 & NVME_DSM_AD))
		return status;
	if (n->ns.readonly)
		return NVME_WRITE_PROTECTED | NVME_DNR;
	for (unsigned int i = 0; i < nr; i++) {
		uint64_t nlb = cpu32(range[i].nlb);

		if (nlb && nvme_ns_deallocate(&n->ns, cpu64(range[i].slba) << n->ns.lba_lg2, nlb << n->ns.lba_lg2))
			return NVME_WRITE_FAULT;
	}
	return NVME_SUCCESS;
}

uint16_t nvme_io(struct nvme *n, const struct nvme_cmd *cmd, struct nvme_stats *stats)
{
	if (cmd->odd)
		return NVME_INVALID_FIELD | NVME_DNR;
	switch (cmd->opcode) {
	case NVME_CMD_FLUSH:
	case NVME_CMD_WRITE:
	case NVME_CMD_READ:
	case NVME_CMD_COMPARE:
	case NVME_CMD_WRITE_ZEROES:
	case NVME_CMD_DSM:
		break;
	default:
		return NVME_INVALID_OPCODE | NVME_DNR;
	}
	if (cmd->nsid != 1 && !(cmd->opcode == NVME_CMD_FLUSH && cmd->nsid == NVME_NSID_ALL))
		return NVME_INVALID_NAMESPACE | NVME_DNR;
	switch (cmd->opcode) {
	case NVME_CMD_FLUSH:
		return flush(n);
	case NVME_CMD_COMPARE:
		return compare(n, cmd, stats);
	case NVME_CMD_WRITE_ZEROES:
		return write_zeroes(n, cmd);
	case NVME_CMD_DSM:
		return dataset_management(n, cmd);
	default:
		return read_write(n, cmd, stats);
	}
}
