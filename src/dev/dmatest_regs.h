/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dmatest: the registers a guest program sees. docs/dmatest.md explains them.
 *
 * Plain #defines without includes, so that a guest program, a kernel module or a
 * test can take this file as it is.
 */
#ifndef NB_DEV_DMATEST_REGS_H
#define NB_DEV_DMATEST_REGS_H

/* 0x1234 is the vendor number that emulators share unofficially; no hardware has it. */
#define DMATEST_PCI_VENDOR	 0x1234
#define DMATEST_PCI_DEVICE	 0x6e62
#define DMATEST_PCI_CLASS	 0x088000 /* system peripheral, other */

#define DMATEST_BAR_REGS	 0	 /* registers, never mapped */
#define DMATEST_BAR_REGS_SIZE	 0x1000
#define DMATEST_BAR_LOCAL	 2	 /* plain memory, may be mapped */
#define DMATEST_BAR_LOCAL_SIZE	 0x10000
#define DMATEST_BAR_MSIX	 4	 /* MSI-X table and pending bits */
#define DMATEST_VECTORS		 4	 /* of MSI and of MSI-X */
#define DMATEST_PASID_BITS	 20	 /* unless the host description says less */

/* Offsets in BAR 0. 64-bit registers may be written as two 32-bit halves. */
#define DMATEST_ID		 0x000	 /* 32, RO: DMATEST_ID_VALUE */
#define DMATEST_VERSION		 0x004	 /* 32, RO: major << 16 | minor */
#define DMATEST_STATUS		 0x008	 /* 32, RO: DMATEST_STATUS_* */
#define DMATEST_ERROR		 0x00c	 /* 32, RO: DMATEST_ERROR_* of the last command */
#define DMATEST_SRC		 0x010	 /* 64, RW */
#define DMATEST_DST		 0x018	 /* 64, RW */
#define DMATEST_LENGTH		 0x020	 /* 64, RW: bytes, 1 to DMATEST_MAX_LENGTH */
#define DMATEST_PATTERN		 0x028	 /* 64, RW: for FILL */
#define DMATEST_PASID		 0x030	 /* 32, RW: value | DMATEST_PASID_EN */
#define DMATEST_CONTROL		 0x034	 /* 32, RW: DMATEST_CONTROL_* */
#define DMATEST_COMMAND		 0x038	 /* 32, RW: DMATEST_CMD_*, an operation and its flags; the write runs it */
#define DMATEST_INT		 0x03c	 /* 32, RW1C: bit 0 = interrupt pending (INTx level) */
#define DMATEST_ERROR_ADDR	 0x040	 /* 64, RO: address of the request that was aborted, or that waits for its page */
#define DMATEST_DONE		 0x048	 /* 64, RO: bytes finished by the last command */
#define DMATEST_MISMATCH	 0x050	 /* 64, RO: offset of the first byte that differs */
#define DMATEST_COUNT		 0x058	 /* 64, RO: commands run since reset */
#define DMATEST_CHECKSUM	 0x060	 /* 64, RO: of the last CHECKSUM command */
#define DMATEST_SCRATCH		 0x068	 /* 64, RW: no effect */
/* Since 1.1: */
#define DMATEST_REQUEST		 0x070	 /* 32, RW: DMATEST_REQUEST_*, for TRANSLATE and PAGE_REQUEST */
#define DMATEST_RESULT		 0x074	 /* 32, RO: DMATEST_RESULT_* of the last TRANSLATE */
#define DMATEST_RESULT_ADDR	 0x078	 /* 64, RO: translated address of the last TRANSLATE */
#define DMATEST_FEATURES	 0x080	 /* 32, RO: DMATEST_FEATURE_* */
#define DMATEST_WAIT		 0x084	 /* 32, RO: DMATEST_WAIT_ON | group while STATUS is WAITING for a response, else 0 */
#define DMATEST_REQUESTS	 0x088	 /* 64, RO: page requests sent since reset */
#define DMATEST_RESPONSES	 0x090	 /* 64, RO: responses that came to groups we had asked for */
#define DMATEST_UNEXPECTED	 0x098	 /* 64, RO: responses to nothing that we had asked for */
#define DMATEST_RESPONSE	 0x0a0	 /* 64, RO: DMATEST_RESPONSE_* of the last response of either kind */

#define DMATEST_ID_VALUE	 0x6e62646d
#define DMATEST_VERSION_VALUE	 0x00010001
#define DMATEST_MAX_LENGTH	 0x1000000 /* 16 MiB */

#define DMATEST_STATUS_IDLE	 0	 /* no command since reset */
#define DMATEST_STATUS_DONE	 1
#define DMATEST_STATUS_ERROR	 2
#define DMATEST_STATUS_WAITING	 3	 /* for a page, a stalled access, or for page requests to be taken */

#define DMATEST_ERROR_NONE	 0
#define DMATEST_ERROR_COMMAND	 1	 /* unknown command or flag */
#define DMATEST_ERROR_LENGTH	 2	 /* 0, above the maximum, or past the end of the address space */
#define DMATEST_ERROR_SRC_DMA	 3	 /* a read at the source was aborted */
#define DMATEST_ERROR_DST_DMA	 4	 /* a write (COMPARE: a read) at the destination was aborted */
#define DMATEST_ERROR_MISMATCH	 5	 /* COMPARE found a difference */
#define DMATEST_ERROR_LOCAL	 6	 /* a local range is not inside BAR 2 */
#define DMATEST_ERROR_INVALID	 7	 /* the page request was answered: invalid */
#define DMATEST_ERROR_FAILURE	 8	 /* the page request was answered: response failure */
#define DMATEST_ERROR_RETRIES	 9	 /* answered with success DMATEST_MAX_RETRIES times, and still no page */
#define DMATEST_ERROR_NO_GROUP	 10	 /* no page request group was free, or none are allowed */
#define DMATEST_ERROR_ABORTED	 11	 /* ABORT, or the page request interface was reset */
#define DMATEST_ERROR_ATS	 12	 /* TRANSLATE: unsupported request or completer abort, see RESULT */
#define DMATEST_ERROR_ABSENT	 13	 /* nothing like that on this function's bus */

#define DMATEST_PASID_VALUE	 0x000fffff
#define DMATEST_PASID_EN	 0x80000000

#define DMATEST_CONTROL_INT_EN	 0x00000001 /* interrupt at the end of every command */
#define DMATEST_CONTROL_ATS	 0x00000002 /* DMA through the device-TLB, if ATS is on */
#define DMATEST_CONTROL_PRI	 0x00000004 /* and request pages that are missing, if PRI is on */
#define DMATEST_CONTROL_VECTOR	 0x00000300 /* which MSI or MSI-X vector, 0 to 3 */

#define DMATEST_CMD_OPCODE	 0x000000ff
#define DMATEST_CMD_NOP		 0
#define DMATEST_CMD_COPY	 1	 /* LENGTH bytes SRC -> DST */
#define DMATEST_CMD_FILL	 2	 /* LENGTH bytes of PATTERN, low byte first -> DST */
#define DMATEST_CMD_COMPARE	 3	 /* LENGTH bytes SRC against DST */
#define DMATEST_CMD_CHECKSUM	 4	 /* FNV-1a, 64 bits, over LENGTH bytes at SRC */
#define DMATEST_CMD_TRANSLATE	 5	 /* one ATS translation request for SRC */
#define DMATEST_CMD_PAGE_REQUEST 6	 /* LENGTH page requests for the pages from SRC on; answers are not waited for */
#define DMATEST_CMD_FORGET	 7	 /* empty the device-TLB */
#define DMATEST_CMD_ABORT	 8	 /* end the command that waits */
#define DMATEST_CMD_SRC_LOCAL	 0x00000100 /* SRC is an offset in BAR 2 */
#define DMATEST_CMD_DST_LOCAL	 0x00000200 /* DST is an offset in BAR 2 */
#define DMATEST_CMD_SRC_TRANSLATED 0x00000400 /* SRC is an address out of a translation: sent with AT = 10b */
#define DMATEST_CMD_DST_TRANSLATED 0x00000800

#define DMATEST_REQUEST_GROUP	 0x000001ff /* page request group index */
#define DMATEST_REQUEST_READ	 0x00001000
#define DMATEST_REQUEST_WRITE	 0x00002000
#define DMATEST_REQUEST_EXEC	 0x00004000
#define DMATEST_REQUEST_PRIV	 0x00008000
#define DMATEST_REQUEST_LAST	 0x00010000 /* the last of the requests ends its group */
#define DMATEST_REQUEST_EACH	 0x00020000 /* each request is a group of its own, indices counting up from GROUP */

#define DMATEST_MAX_REQUESTS	 0x10000 /* of one PAGE_REQUEST */
#define DMATEST_MAX_RETRIES	 8	 /* page requests in a row without a byte moved */
#define DMATEST_GROUPS		 512

#define DMATEST_RESULT_LG2	 0x0000003f /* log2 of the size of the translation */
#define DMATEST_RESULT_READ	 0x00000100
#define DMATEST_RESULT_WRITE	 0x00000200
#define DMATEST_RESULT_EXEC	 0x00000400
#define DMATEST_RESULT_U	 0x00010000 /* untranslated access only */
#define DMATEST_RESULT_GLOBAL	 0x00020000
#define DMATEST_RESULT_CA	 0x40000000 /* completer abort */
#define DMATEST_RESULT_UR	 0x80000000 /* unsupported request */

#define DMATEST_FEATURE_ATS	 0x00000001 /* the capability is there; next bit: switched on */
#define DMATEST_FEATURE_ATS_ON	 0x00000002
#define DMATEST_FEATURE_PRI	 0x00000004
#define DMATEST_FEATURE_PRI_ON	 0x00000008
#define DMATEST_FEATURE_PASID	 0x00000010
#define DMATEST_FEATURE_PASID_ON 0x00000020
#define DMATEST_FEATURE_STALL	 0x00000040 /* plain accesses can wait until software has mended a fault */
#define DMATEST_FEATURE_STU	 0x00001f00 /* smallest translation unit: 4 KiB << this */
#define DMATEST_FEATURE_BITS	 0x001f0000 /* width of a PASID */

#define DMATEST_WAIT_GROUP	 0x000001ff
#define DMATEST_WAIT_ON		 0x80000000

#define DMATEST_RESPONSE_GROUP	 0x00000000000001ff
#define DMATEST_RESPONSE_CODE	 0x000000000000f000
#define DMATEST_RESPONSE_PASID	 0x000fffff00000000
#define DMATEST_RESPONSE_HAS_PASID 0x8000000000000000

#define DMATEST_INT_PENDING	 0x00000001

#define DMATEST_FNV_BASIS	 0xcbf29ce484222325
#define DMATEST_FNV_PRIME	 0x00000100000001b3

#endif
