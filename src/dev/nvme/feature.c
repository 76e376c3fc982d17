/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Features (NVMe 1.4, 5.9, 5.21). None survives a reset, so "saved" is "default" and saving is refused.
 */
#include "dev/nvme/nvme.h"

#define SELECT		BITS(10, 8) /* cdw10 of Get Features */
#define SAVE		BIT(31)	    /* cdw10 of Set Features */
#define TEMP_SENSOR	BITS(19, 16)
#define TEMP_TYPE	BITS(21, 20)
#define TEMP_ALL	15
#define CHANGEABLE	BIT(2)
#define PER_NAMESPACE	BIT(1)
#define VECTOR		BITS(15, 0)
#define VECTOR_CD	BIT(16)
#define DULBE		BIT(16)

enum { SEL_CURRENT, SEL_DEFAULT, SEL_SAVED, SEL_CAPABILITIES };

static const struct nvme_features defaults = {
	.arbitration = 7, /* no limit on bursts */
	.temp_over = 343,
	.write_cache = true,
};

void nvme_features_reset(struct nvme *n)
{
	n->feat = defaults;
	n->feat.queues = n->nqueues;
}

bool nvme_too_warm(const struct nvme *n)
{
	return NVME_TEMPERATURE >= n->feat.temp_over || NVME_TEMPERATURE <= n->feat.temp_under;
}

static uint16_t temperature_threshold(uint32_t cdw11, struct nvme_features *f, uint16_t **out)
{
	uint64_t type = FIELD_GET(TEMP_TYPE, (uint64_t)cdw11), sensor = FIELD_GET(TEMP_SENSOR, (uint64_t)cdw11);

	/* There is the composite temperature (0) and no sensor. */
	if (type > 1 || (sensor != 0 && sensor != TEMP_ALL))
		return NVME_INVALID_FIELD | NVME_DNR;
	*out = type ? &f->temp_under : &f->temp_over;
	return NVME_SUCCESS;
}

static uint16_t get(struct nvme *n, struct nvme_features *f, uint8_t id, uint32_t cdw11, uint32_t *result)
{
	uint64_t vector = FIELD_GET(VECTOR, (uint64_t)cdw11);
	uint16_t *threshold, status;

	switch (id) {
	case NVME_FEAT_ARBITRATION:
		*result = f->arbitration;
		return NVME_SUCCESS;
	case NVME_FEAT_POWER:
		*result = 0;
		return NVME_SUCCESS;
	case NVME_FEAT_TEMPERATURE:
		status = temperature_threshold(cdw11, f, &threshold);
		if (!status)
			*result = *threshold;
		return status;
	case NVME_FEAT_ERROR_RECOVERY:
		*result = f->error_recovery;
		return NVME_SUCCESS;
	case NVME_FEAT_WRITE_CACHE:
		*result = f->write_cache;
		return NVME_SUCCESS;
	case NVME_FEAT_QUEUES:
		*result = (f->queues - 1) << 16 | (f->queues - 1);
		return NVME_SUCCESS;
	case NVME_FEAT_COALESCING:
		*result = f->coalescing;
		return NVME_SUCCESS;
	case NVME_FEAT_VECTOR:
		if (vector > n->nqueues)
			return NVME_INVALID_FIELD | NVME_DNR;
		*result = (uint32_t)(vector | (f->no_coalesce & BIT(vector) ? VECTOR_CD : 0));
		return NVME_SUCCESS;
	case NVME_FEAT_ATOMICITY:
		*result = f->atomicity;
		return NVME_SUCCESS;
	case NVME_FEAT_ASYNC_EVENT:
		*result = f->async_event;
		return NVME_SUCCESS;
	default:
		return NVME_INVALID_FIELD | NVME_DNR;
	}
}

uint16_t nvme_get_features(struct nvme *n, const struct nvme_cmd *cmd, uint32_t *result)
{
	uint8_t id = (uint8_t)(cmd->cdw10 & 0xff);
	struct nvme_features initial = defaults;
	uint16_t status;

	initial.queues = n->nqueues;
	if (id == NVME_FEAT_ERROR_RECOVERY && cmd->nsid > 1 && cmd->nsid != NVME_NSID_ALL)
		return NVME_INVALID_NAMESPACE | NVME_DNR;
	switch (FIELD_GET(SELECT, (uint64_t)cmd->cdw10)) {
	case SEL_CURRENT:
		return get(n, &n->feat, id, cmd->cdw11, result);
	case SEL_DEFAULT:
	case SEL_SAVED:
		return get(n, &initial, id, cmd->cdw11, result);
	case SEL_CAPABILITIES:
		status = get(n, &initial, id, 0, result);
		if (!status)
			*result = (uint32_t)(CHANGEABLE | (id == NVME_FEAT_ERROR_RECOVERY ? PER_NAMESPACE : 0));
		return status;
	default:
		return NVME_INVALID_FIELD | NVME_DNR;
	}
}

static bool any_io_queue(const struct nvme *n)
{
	for (unsigned int i = 1; i <= n->nqueues; i++) {
		if (n->cq[i].live || n->sq[i].live)
			return true;
	}
	return false;
}

/* 5.21.1.7: asked for minus one each; we grant pairs. */
static uint16_t set_queues(struct nvme *n, uint32_t cdw11, uint32_t *result)
{
	uint32_t nsq = cdw11 & UINT16_MAX, ncq = cdw11 >> 16, want = (nsq > ncq ? nsq : ncq) + 1;

	if (any_io_queue(n))
		return NVME_SEQUENCE_ERROR | NVME_DNR;
	if (nsq == UINT16_MAX || ncq == UINT16_MAX)
		return NVME_INVALID_FIELD | NVME_DNR;
	n->feat.queues = want < n->nqueues ? want : n->nqueues;
	*result = (n->feat.queues - 1) << 16 | (n->feat.queues - 1);
	return NVME_SUCCESS;
}

uint16_t nvme_set_features(struct nvme *n, const struct nvme_cmd *cmd, uint32_t *result)
{
	uint8_t id = (uint8_t)(cmd->cdw10 & 0xff);
	struct nvme_features *f = &n->feat;
	uint64_t vector = FIELD_GET(VECTOR, (uint64_t)cmd->cdw11);
	uint16_t *threshold, status;
	uint32_t unused = 0;

	if (cmd->cdw10 & SAVE)
		return NVME_FEATURE_NOT_SAVEABLE | NVME_DNR;
	if (cmd->nsid > 1 && cmd->nsid != NVME_NSID_ALL)
		return NVME_INVALID_NAMESPACE | NVME_DNR;
	if (cmd->nsid == 1 && id != NVME_FEAT_ERROR_RECOVERY) {
		status = get(n, f, id, 0, &unused); /* unknown features are called unknown */
		return status ? status : NVME_FEATURE_NOT_PER_NS | NVME_DNR;
	}
	switch (id) {
	case NVME_FEAT_ARBITRATION:
		f->arbitration = cmd->cdw11;
		return NVME_SUCCESS;
	case NVME_FEAT_POWER:
		return cmd->cdw11 & 0x1f ? NVME_INVALID_FIELD | NVME_DNR : NVME_SUCCESS;
	case NVME_FEAT_TEMPERATURE:
		status = temperature_threshold(cmd->cdw11, f, &threshold);
		if (status)
			return status;
		*threshold = (uint16_t)cmd->cdw11;
		if (nvme_too_warm(n))
			nvme_event(n, NVME_EVENT_TEMPERATURE);
		return NVME_SUCCESS;
	case NVME_FEAT_ERROR_RECOVERY:
		if (cmd->cdw11 & DULBE) /* NSFEAT does not offer it */
			return NVME_INVALID_FIELD | NVME_DNR;
		f->error_recovery = cmd->cdw11 & UINT16_MAX;
		return NVME_SUCCESS;
	case NVME_FEAT_WRITE_CACHE:
		/* Turning the cache off makes what it holds durable. */
		if (f->write_cache && !(cmd->cdw11 & 1) && nvme_ns_flush(&n->ns))
			return NVME_WRITE_FAULT;
		f->write_cache = cmd->cdw11 & 1;
		return NVME_SUCCESS;
	case NVME_FEAT_QUEUES:
		return set_queues(n, cmd->cdw11, result);
	case NVME_FEAT_COALESCING:
		f->coalescing = cmd->cdw11 & UINT16_MAX;
		return NVME_SUCCESS;
	case NVME_FEAT_VECTOR:
		if (vector > n->nqueues)
			return NVME_INVALID_FIELD | NVME_DNR;
		f->no_coalesce = (f->no_coalesce & ~BIT(vector)) | (cmd->cdw11 & VECTOR_CD ? BIT(vector) : 0);
		return NVME_SUCCESS;
	case NVME_FEAT_ATOMICITY:
		f->atomicity = cmd->cdw11 & 1;
		return NVME_SUCCESS;
	case NVME_FEAT_ASYNC_EVENT:
		f->async_event = cmd->cdw11;
		return NVME_SUCCESS;
	default:
		return NVME_INVALID_FIELD | NVME_DNR;
	}
}
