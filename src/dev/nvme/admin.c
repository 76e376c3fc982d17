/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Admin commands (NVMe 1.4, 5): the table of them, and the life of I/O queues.
 *
 * The state lock is held for writing, so no I/O command runs beside an admin command: a queue that is
 * deleted has nothing in flight.
 */
#include "dev/nvme/nvme.h"

static uint16_t check_queue(const struct nvme *n, const struct nvme_cmd *cmd, uint32_t entry_lg2, uint64_t es_field)
{
	uint64_t entries = FIELD_GET(NVME_QUEUE_SIZE, (uint64_t)cmd->cdw10) + 1;

	if (entries < 2 || entries > NVME_MAX_ENTRIES || es_field != entry_lg2)
		return NVME_INVALID_QUEUE_SIZE | NVME_DNR;
	if (!(cmd->cdw11 & NVME_QUEUE_PC)) /* CAP.CQR */
		return NVME_INVALID_FIELD | NVME_DNR;
	if (!nb_aligned(cmd->prp1, BIT(n->page_lg2)))
		return NVME_INVALID_PRP_OFFSET | NVME_DNR;
	return NVME_SUCCESS;
}

static uint32_t entries_of(const struct nvme_cmd *cmd)
{
	return (uint32_t)FIELD_GET(NVME_QUEUE_SIZE, (uint64_t)cmd->cdw10) + 1;
}
static uint16_t qid_of(const struct nvme_cmd *cmd)
{
	return (uint16_t)FIELD_GET(NVME_QUEUE_ID, (uint64_t)cmd->cdw10);
}

static uint16_t create_cq(struct nvme *n, const struct nvme_cmd *cmd, uint32_t *result)
{
	uint16_t qid = qid_of(cmd), status;
	uint64_t vector = FIELD_GET(NVME_CQ_IV, (uint64_t)cmd->cdw11);

	(void)result;
	if (qid == 0 || qid > n->feat.queues || n->cq[qid].live)
		return NVME_INVALID_QID | NVME_DNR;
	status = check_queue(n, cmd, NVME_CQE_LG2, FIELD_GET(NVME_CC_IOCQES, (uint64_t)n->cc));
	if (status)
		return status;
	if (vector > n->nqueues)
		return NVME_INVALID_VECTOR | NVME_DNR;
	nvme_cq_init(&n->cq[qid], qid, cmd->prp1, entries_of(cmd), cmd->cdw11 & NVME_CQ_IEN, (uint16_t)vector);
	return NVME_SUCCESS;
}

static uint16_t create_sq(struct nvme *n, const struct nvme_cmd *cmd, uint32_t *result)
{
	uint16_t qid = qid_of(cmd), status;
	uint64_t cqid = FIELD_GET(NVME_SQ_CQID, (uint64_t)cmd->cdw11);

	(void)result;
	if (qid == 0 || qid > n->feat.queues || n->sq[qid].live)
		return NVME_INVALID_QID | NVME_DNR;
	if (cqid == 0 || cqid > n->nqueues || !n->cq[cqid].live)
		return NVME_CQ_INVALID | NVME_DNR;
	status = check_queue(n, cmd, NVME_SQE_LG2, FIELD_GET(NVME_CC_IOSQES, (uint64_t)n->cc));
	if (status)
		return status;
	nvme_sq_init(&n->sq[qid], qid, cmd->prp1, entries_of(cmd), &n->cq[cqid]);
	return NVME_SUCCESS;
}

static uint16_t delete_sq(struct nvme *n, const struct nvme_cmd *cmd, uint32_t *result)
{
	uint16_t qid = qid_of(cmd);

	(void)result;
	if (qid == 0 || qid > n->nqueues || !n->sq[qid].live)
		return NVME_INVALID_QID | NVME_DNR;
	nvme_sq_drop(&n->sq[qid]);
	return NVME_SUCCESS;
}

static uint16_t delete_cq(struct nvme *n, const struct nvme_cmd *cmd, uint32_t *result)
{
	uint16_t qid = qid_of(cmd);

	(void)result;
	if (qid == 0 || qid > n->nqueues || !n->cq[qid].live)
		return NVME_INVALID_QID | NVME_DNR;
	if (n->cq[qid].nsqs)
		return NVME_INVALID_QUEUE_DELETION | NVME_DNR;
	nvme_cq_drop(n, &n->cq[qid]);
	return NVME_SUCCESS;
}

/* 5.1. Commands finish before the next is looked at, so only event requests can still be there. */
static uint16_t abort_command(struct nvme *n, const struct nvme_cmd *cmd, uint32_t *result)
{
	*result = 1; /* not aborted */
	if ((cmd->cdw10 & UINT16_MAX) == 0 && nvme_async_event_abort(n, (uint16_t)(cmd->cdw10 >> 16)))
		*result = 0;
	return NVME_SUCCESS;
}

static uint16_t identify(struct nvme *n, const struct nvme_cmd *cmd, uint32_t *result)
{
	(void)result;
	return nvme_identify(n, cmd);
}

static uint16_t get_log(struct nvme *n, const struct nvme_cmd *cmd, uint32_t *result)
{
	(void)result;
	return nvme_get_log(n, cmd);
}

static uint16_t async_event(struct nvme *n, const struct nvme_cmd *cmd, uint32_t *result)
{
	(void)result;
	return nvme_async_event_request(n, cmd);
}

uint16_t nvme_admin(struct nvme *n, const struct nvme_cmd *cmd, uint32_t *result)
{
	static uint16_t (*const commands[])(struct nvme *n, const struct nvme_cmd *cmd, uint32_t *result) = {
		[NVME_ADM_DELETE_SQ] = delete_sq,	      [NVME_ADM_CREATE_SQ] = create_sq,
		[NVME_ADM_GET_LOG] = get_log,		      [NVME_ADM_DELETE_CQ] = delete_cq,
		[NVME_ADM_CREATE_CQ] = create_cq,	      [NVME_ADM_IDENTIFY] = identify,
		[NVME_ADM_ABORT] = abort_command,	      [NVME_ADM_SET_FEATURES] = nvme_set_features,
		[NVME_ADM_GET_FEATURES] = nvme_get_features, [NVME_ADM_ASYNC_EVENT] = async_event,
	};

	if (cmd->opcode >= ARRAY_SIZE(commands) || !commands[cmd->opcode])
		return NVME_INVALID_OPCODE | NVME_DNR;
	if (cmd->odd)
		return NVME_INVALID_FIELD | NVME_DNR;
	return commands[cmd->opcode](n, cmd, result);
}
