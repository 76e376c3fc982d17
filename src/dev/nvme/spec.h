/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Layouts of NVM Express, revision 1.4: registers (section 3.1), entries (4.2, 4.6), status codes
 * (4.6.1.2), and the numbers of commands, features and logs (5, 6). Types and numbers only.
 */
#ifndef NB_DEV_NVME_SPEC_H
#define NB_DEV_NVME_SPEC_H

#include "base/bits.h"

/* Registers, 3.1. */
#define NVME_CAP	0x00
#define NVME_VS		0x08
#define NVME_INTMS	0x0c
#define NVME_INTMC	0x10
#define NVME_CC		0x14
#define NVME_CSTS	0x1c
#define NVME_AQA	0x24
#define NVME_ASQ	0x28
#define NVME_ACQ	0x30
#define NVME_DOORBELLS	0x1000

#define NVME_VS_1_4	0x00010400

#define NVME_CAP_MQES	BITS(15, 0) /* largest queue, minus one */
#define NVME_CAP_CQR	BIT(16)	    /* queues must be contiguous */
#define NVME_CAP_TO	BITS(31, 24) /* time to become ready, 500 ms each */
#define NVME_CAP_CSS_NVM BIT(37)
#define NVME_CAP_MPSMAX BITS(55, 52)

#define NVME_CC_EN	BIT(0)
#define NVME_CC_CSS	BITS(6, 4)
#define NVME_CC_MPS	BITS(10, 7)
#define NVME_CC_AMS	BITS(13, 11)
#define NVME_CC_SHN	BITS(15, 14)
#define NVME_CC_IOSQES	BITS(19, 16)
#define NVME_CC_IOCQES	BITS(23, 20)
#define NVME_CC_WRITABLE BITS(23, 4)

#define NVME_CSTS_RDY	BIT(0)
#define NVME_CSTS_CFS	BIT(1)
#define NVME_CSTS_SHST	BITS(3, 2)
#define NVME_CSTS_SHST_DONE 2

#define NVME_AQA_ASQS	BITS(11, 0)
#define NVME_AQA_ACQS	BITS(27, 16)

/* Submission queue entry, 4.2: sixteen dwords. */
#define NVME_SQE_LG2	6
#define NVME_CQE_LG2	4
struct nvme_sqe {
	le32_t dw[16];
};
struct nvme_cqe {
	le64_t q[2]; /* stored in this order: the phase tag is in the second */
};
_Static_assert(sizeof(struct nvme_sqe) == 1u << NVME_SQE_LG2, "NVMe 1.4, 4.2");
_Static_assert(sizeof(struct nvme_cqe) == 1u << NVME_CQE_LG2, "NVMe 1.4, 4.6");

#define NVME_DW0_OPCODE BITS(7, 0)
#define NVME_DW0_FUSE	BITS(9, 8)
#define NVME_DW0_PSDT	BITS(15, 14)
#define NVME_DW0_CID	BITS(31, 16)

#define NVME_CQE_0_RESULT BITS(31, 0)
#define NVME_CQE_1_SQHD	  BITS(15, 0)
#define NVME_CQE_1_SQID	  BITS(31, 16)
#define NVME_CQE_1_CID	  BITS(47, 32)
#define NVME_CQE_1_PHASE  BIT(48)
#define NVME_CQE_1_STATUS BITS(63, 49)

/* Status, 4.6.1: type << 8 | code, with "do not retry" in bit 14. */
enum {
	NVME_DNR = 0x4000,

	NVME_SUCCESS = 0x000,
	NVME_INVALID_OPCODE = 0x001,
	NVME_INVALID_FIELD = 0x002,
	NVME_DATA_TRANSFER_ERROR = 0x004,
	NVME_INTERNAL_ERROR = 0x006,
	NVME_ABORT_REQUESTED = 0x007,
	NVME_INVALID_NAMESPACE = 0x00b,
	NVME_SEQUENCE_ERROR = 0x00c,
	NVME_INVALID_PRP_OFFSET = 0x013,
	NVME_WRITE_PROTECTED = 0x020,
	NVME_LBA_OUT_OF_RANGE = 0x080,

	NVME_CQ_INVALID = 0x100,
	NVME_INVALID_QID = 0x101,
	NVME_INVALID_QUEUE_SIZE = 0x102,
	NVME_AER_LIMIT = 0x105,
	NVME_INVALID_VECTOR = 0x108,
	NVME_INVALID_LOG_PAGE = 0x109,
	NVME_INVALID_QUEUE_DELETION = 0x10c,
	NVME_FEATURE_NOT_SAVEABLE = 0x10d,
	NVME_FEATURE_NOT_CHANGEABLE = 0x10e,
	NVME_FEATURE_NOT_PER_NS = 0x10f,

	NVME_WRITE_FAULT = 0x280,
	NVME_UNRECOVERED_READ = 0x281,
	NVME_COMPARE_FAILURE = 0x285,
};

enum { /* admin commands, 5 */
	NVME_ADM_DELETE_SQ = 0x00,
	NVME_ADM_CREATE_SQ = 0x01,
	NVME_ADM_GET_LOG = 0x02,
	NVME_ADM_DELETE_CQ = 0x04,
	NVME_ADM_CREATE_CQ = 0x05,
	NVME_ADM_IDENTIFY = 0x06,
	NVME_ADM_ABORT = 0x08,
	NVME_ADM_SET_FEATURES = 0x09,
	NVME_ADM_GET_FEATURES = 0x0a,
	NVME_ADM_ASYNC_EVENT = 0x0c,
};

enum { /* NVM commands, 6 */
	NVME_CMD_FLUSH = 0x00,
	NVME_CMD_WRITE = 0x01,
	NVME_CMD_READ = 0x02,
	NVME_CMD_COMPARE = 0x05,
	NVME_CMD_WRITE_ZEROES = 0x08,
	NVME_CMD_DSM = 0x09,
};

#define NVME_RW_NLB	BITS(15, 0) /* cdw12 */
#define NVME_RW_FUA	BIT(30)
#define NVME_DSM_NR	BITS(7, 0)  /* cdw10 */
#define NVME_DSM_AD	BIT(2)	    /* cdw11 */
#define NVME_QUEUE_ID	BITS(15, 0) /* cdw10 of create and delete */
#define NVME_QUEUE_SIZE BITS(31, 16)
#define NVME_QUEUE_PC	BIT(0) /* cdw11 of create */
#define NVME_CQ_IEN	BIT(1)
#define NVME_CQ_IV	BITS(31, 16)
#define NVME_SQ_CQID	BITS(31, 16)

enum { /* features, 5.21.1 */
	NVME_FEAT_ARBITRATION = 0x01,
	NVME_FEAT_POWER = 0x02,
	NVME_FEAT_TEMPERATURE = 0x04,
	NVME_FEAT_ERROR_RECOVERY = 0x05,
	NVME_FEAT_WRITE_CACHE = 0x06,
	NVME_FEAT_QUEUES = 0x07,
	NVME_FEAT_COALESCING = 0x08,
	NVME_FEAT_VECTOR = 0x09,
	NVME_FEAT_ATOMICITY = 0x0a,
	NVME_FEAT_ASYNC_EVENT = 0x0b,
};

enum { /* logs, 5.14.1 */
	NVME_LOG_ERROR = 0x01,
	NVME_LOG_SMART = 0x02,
	NVME_LOG_FIRMWARE = 0x03,
	NVME_LOG_CHANGED_NS = 0x04,
	NVME_LOG_EFFECTS = 0x05,
};

/* Asynchronous events, 5.2.1: dword 0 of the completion. */
#define NVME_AER_TYPE BITS(2, 0)
#define NVME_AER_INFO BITS(15, 8)
#define NVME_AER_LOG  BITS(23, 16)

#define NVME_NSID_ALL 0xffffffffu

#endif
