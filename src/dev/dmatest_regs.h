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
#define DMATEST_PASID_BITS	 20

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
#define DMATEST_COMMAND		 0x038	 /* 32, RW: DMATEST_CMD_* | DMATEST_CMD_*_LOCAL; the write runs it */
#define DMATEST_INT		 0x03c	 /* 32, RW1C: bit 0 = interrupt pending (INTx level) */
#define DMATEST_ERROR_ADDR	 0x040	 /* 64, RO: address of the request that was aborted */
#define DMATEST_DONE		 0x048	 /* 64, RO: bytes finished by the last command */
#define DMATEST_MISMATCH	 0x050	 /* 64, RO: offset of the first byte that differs */
#define DMATEST_COUNT		 0x058	 /* 64, RO: commands run since reset */
#define DMATEST_CHECKSUM	 0x060	 /* 64, RO: of the last CHECKSUM command */
#define DMATEST_SCRATCH		 0x068	 /* 64, RW: no effect */

#define DMATEST_ID_VALUE	 0x6e62646d
#define DMATEST_VERSION_VALUE	 0x00010000
#define DMATEST_MAX_LENGTH	 0x1000000 /* 16 MiB */

#define DMATEST_STATUS_IDLE	 0	 /* no command since reset */
#define DMATEST_STATUS_DONE	 1
#define DMATEST_STATUS_ERROR	 2

#define DMATEST_ERROR_NONE	 0
#define DMATEST_ERROR_COMMAND	 1	 /* unknown command or flag */
#define DMATEST_ERROR_LENGTH	 2	 /* 0, above the maximum, or past the end of the address space */
#define DMATEST_ERROR_SRC_DMA	 3	 /* a read at the source was aborted */
#define DMATEST_ERROR_DST_DMA	 4	 /* a write (COMPARE: a read) at the destination was aborted */
#define DMATEST_ERROR_MISMATCH	 5	 /* COMPARE found a difference */
#define DMATEST_ERROR_LOCAL	 6	 /* a local range is not inside BAR 2 */

#define DMATEST_PASID_VALUE	 0x000fffff
#define DMATEST_PASID_EN	 0x80000000

#define DMATEST_CONTROL_INT_EN	 0x00000001 /* interrupt at the end of every command */
#define DMATEST_CONTROL_VECTOR	 0x00000300 /* which MSI or MSI-X vector, 0 to 3 */

#define DMATEST_CMD_OPCODE	 0x000000ff
#define DMATEST_CMD_NOP		 0
#define DMATEST_CMD_COPY	 1	 /* LENGTH bytes SRC -> DST */
#define DMATEST_CMD_FILL	 2	 /* LENGTH bytes of PATTERN, low byte first -> DST */
#define DMATEST_CMD_COMPARE	 3	 /* LENGTH bytes SRC against DST */
#define DMATEST_CMD_CHECKSUM	 4	 /* FNV-1a, 64 bits, over LENGTH bytes at SRC */
#define DMATEST_CMD_SRC_LOCAL	 0x00000100 /* SRC is an offset in BAR 2 */
#define DMATEST_CMD_DST_LOCAL	 0x00000200 /* DST is an offset in BAR 2 */

#define DMATEST_INT_PENDING	 0x00000001

#define DMATEST_FNV_BASIS	 0xcbf29ce484222325
#define DMATEST_FNV_PRIME	 0x00000100000001b3

#endif
