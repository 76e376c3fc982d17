/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Get Log Page (NVMe 1.4, 5.14): error information, SMART, firmware slots, changed namespaces, effects.
 */
#include "dev/nvme/nvme.h"

#include <string.h>

#define LOG_MAX	    4096
#define ERROR_LEN   64

#define LOG_ID	  BITS(7, 0) /* cdw10 */
#define LOG_RAE	  BIT(15)
#define LOG_NUMDL BITS(31, 16)
#define LOG_NUMDU BITS(15, 0) /* cdw11 */

void nvme_log_error(struct nvme *n, const struct nvme_cmd *cmd, uint16_t status)
{
	pthread_mutex_lock(&n->log_lock);
	n->nerrors++;
	n->error[(n->nerrors - 1) % NVME_ERRORS] = (struct nvme_error){
		.count = n->nerrors,
		.lba = cmd->sqid ? cmd->cdw10 | (uint64_t)cmd->cdw11 << 32 : 0,
		.sqid = cmd->sqid,
		.cid = cmd->cid,
		.status = status,
		.nsid = cmd->nsid,
	};
	pthread_mutex_unlock(&n->log_lock);
}

/* Newest first; slots that were never used stay zero. */
static uint64_t log_errors(struct nvme *n, uint8_t *d)
{
	pthread_mutex_lock(&n->log_lock);
	for (uint64_t i = 0; i < NVME_ERRORS && i < n->nerrors; i++) {
		const struct nvme_error *e = &n->error[(n->nerrors - 1 - i) % NVME_ERRORS];
		uint8_t *p = d + i * ERROR_LEN;

		nvme_put64(p + 0, e->count);
		nvme_put16(p + 8, e->sqid);
		nvme_put16(p + 10, e->cid);
		nvme_put16(p + 12, (uint32_t)e->status << 1);
		nvme_put16(p + 14, 0xffff); /* not about one field */
		nvme_put64(p + 16, e->lba);
		nvme_put32(p + 24, e->nsid);
	}
	pthread_mutex_unlock(&n->log_lock);
	return NVME_ERRORS * ERROR_LEN;
}

static uint64_t log_smart(struct nvme *n, uint8_t *d)
{
	struct nvme_stats sum = {0};

	/* State is held for writing: nobody counts meanwhile. */
	for (unsigned int i = 0; i <= n->nqueues; i++) {
		sum.reads += n->cq[i].stats.reads;
		sum.writes += n->cq[i].stats.writes;
		sum.read_bytes += n->cq[i].stats.read_bytes;
		sum.write_bytes += n->cq[i].stats.write_bytes;
	}
	d[0] = (uint8_t)(nvme_too_warm(n) << 1 | n->ns.readonly << 3);
	nvme_put16(d + 1, NVME_TEMPERATURE);
	d[3] = 100; /* spare left and its threshold, percent */
	d[4] = 10;
	nvme_put64(d + 32, (sum.read_bytes + 511999) / 512000);
	nvme_put64(d + 48, (sum.write_bytes + 511999) / 512000);
	nvme_put64(d + 64, sum.reads);
	nvme_put64(d + 80, sum.writes);
	nvme_put64(d + 112, 1); /* power cycles */
	pthread_mutex_lock(&n->log_lock);
	nvme_put64(d + 176, n->nerrors);
	pthread_mutex_unlock(&n->log_lock);
	return 512;
}

static uint64_t log_firmware(uint8_t *d)
{
	d[0] = 1; /* slot 1 runs */
	memcpy(d + 8, "1.0     ", 8);
	return 512;
}

static uint64_t log_effects(uint8_t *d)
{
	static const uint8_t admin[] = {NVME_ADM_DELETE_SQ, NVME_ADM_CREATE_SQ, NVME_ADM_GET_LOG, NVME_ADM_DELETE_CQ,
					NVME_ADM_CREATE_CQ, NVME_ADM_IDENTIFY, NVME_ADM_ABORT, NVME_ADM_SET_FEATURES,
					NVME_ADM_GET_FEATURES, NVME_ADM_ASYNC_EVENT};
	static const struct {
		uint8_t opcode, effects; /* bit 0 supported, bit 1 changes blocks */
	} io[] = {{NVME_CMD_FLUSH, 1}, {NVME_CMD_WRITE, 3}, {NVME_CMD_READ, 1}, {NVME_CMD_COMPARE, 1},
		  {NVME_CMD_WRITE_ZEROES, 3}, {NVME_CMD_DSM, 3}};

	for (size_t i = 0; i < ARRAY_SIZE(admin); i++)
		nvme_put32(d + 4 * admin[i], 1);
	for (size_t i = 0; i < ARRAY_SIZE(io); i++)
		nvme_put32(d + 1024 + 4 * io[i].opcode, io[i].effects);
	return LOG_MAX;
}

uint16_t nvme_get_log(struct nvme *n, const struct nvme_cmd *cmd)
{
	uint8_t id = (uint8_t)FIELD_GET(LOG_ID, (uint64_t)cmd->cdw10), data[LOG_MAX] = {0};
	uint64_t dwords = (FIELD_GET(LOG_NUMDU, (uint64_t)cmd->cdw11) << 16 | FIELD_GET(LOG_NUMDL, (uint64_t)cmd->cdw10)) + 1;
	uint64_t off = cmd->cdw12 | (uint64_t)cmd->cdw13 << 32, len = dwords * 4, size;
	uint16_t status;

	if (cmd->nsid > 1 && cmd->nsid != NVME_NSID_ALL)
		return NVME_INVALID_NAMESPACE | NVME_DNR;
	switch (id) {
	case NVME_LOG_ERROR:
		size = log_errors(n, data);
		break;
	case NVME_LOG_SMART:
		if (cmd->nsid == 1) /* LPA bit 0 is clear: not per namespace */
			return NVME_INVALID_FIELD | NVME_DNR;
		size = log_smart(n, data);
		break;
	case NVME_LOG_FIRMWARE:
		size = log_firmware(data);
		break;
	case NVME_LOG_CHANGED_NS:
		size = LOG_MAX; /* nothing ever changes */
		break;
	case NVME_LOG_EFFECTS:
		size = log_effects(data);
		break;
	default:
		return NVME_INVALID_LOG_PAGE | NVME_DNR;
	}
	if (off > size || !nb_aligned(off, 4) || len > NVME_MAX_DATA)
		return NVME_INVALID_FIELD | NVME_DNR;
	if (len > size - off) /* what lies past the end of the log is undefined: 5.14 */
		len = size - off;
	status = len ? nvme_to_host(n, cmd, data + off, len) : NVME_SUCCESS;
	if (!status && !(cmd->cdw10 & LOG_RAE))
		nvme_event_log_read(n, id);
	return status;
}
