/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Identify (NVMe 1.4, 5.15): controller, namespace, namespace list, namespace descriptors.
 *
 * Offsets are the spec's, figures 245, 247 and 249. Names that must differ between controllers (subsystem name, NGUID,
 * EUI-64) are made from the serial number: a guest refuses two disks that claim to be one.
 */
#include "dev/nvme/nvme.h"

#include <stdio.h>
#include <string.h>

#define DATA_LEN 4096

enum { CNS_NAMESPACE, CNS_CONTROLLER, CNS_ACTIVE_LIST, CNS_DESCRIPTORS };

/* ASCII strings of the spec are padded with blanks and have no terminator. */
static void put_string(uint8_t *p, size_t len, const char *s)
{
	size_t n = strnlen(s, len);

	memset(p, ' ', len);
	memcpy(p, s, n);
}

static uint64_t hash(uint64_t h, const char *s)
{
	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * UINT64_C(0x100000001b3);
	return h ^ h >> 29;
}

/* Locally administered (bit 1 of the first byte), so that no registered number can be hit. */
static void put_eui64(const struct nvme *n, uint8_t p[8])
{
	nvme_put64(p, hash(UINT64_C(0xcbf29ce484222325), n->serial));
	p[0] = (uint8_t)((p[0] & ~1u) | 2u);
}

static void put_nguid(const struct nvme *n, uint8_t p[16])
{
	nvme_put64(p, hash(UINT64_C(0x6e62646d), n->serial));
	put_eui64(n, p + 8);
}

static void identify_controller(const struct nvme *n, uint8_t *d)
{
	nvme_put16(d + 0, NVME_PCI_VENDOR);
	nvme_put16(d + 2, NVME_PCI_VENDOR);
	put_string(d + 4, 20, n->serial);
	put_string(d + 24, 40, "nestbox NVMe");
	put_string(d + 64, 8, "1.0");
	d[77] = NVME_MDTS;
	nvme_put32(d + 80, NVME_VS_1_4);
	nvme_put32(d + 84, 1000000); /* RTD3 resume and entry latency, us */
	nvme_put32(d + 88, 1000000);
	d[111] = 1;		   /* an I/O controller */
	d[258] = 3;		   /* aborts at once, minus one */
	d[259] = NVME_AERS - 1;
	d[260] = 1u << 1 | 1;	   /* one firmware slot, read-only */
	d[261] = 1u << 1 | 1u << 2; /* effects log; offsets and long lengths in Get Log Page */
	d[262] = NVME_ERRORS - 1;
	nvme_put16(d + 266, 343);  /* warning and critical temperature, K */
	nvme_put16(d + 268, 353);
	nvme_put64(d + 280, n->ns.bytes);
	d[512] = NVME_SQE_LG2 << 4 | NVME_SQE_LG2;
	d[513] = NVME_CQE_LG2 << 4 | NVME_CQE_LG2;
	nvme_put32(d + 516, 1);	   /* namespaces */
	nvme_put16(d + 520, 1u << 0 | 1u << 2 | 1u << 3 | 1u << 4); /* compare, DSM, write zeroes, select in features */
	d[525] = 3u << 1 | 1;	   /* volatile write cache; flush of all namespaces works */
	snprintf((char *)d + 768, 256, "nqn.2014-08.org.nvmexpress:nestbox:%s", n->serial);
	nvme_put16(d + 2048, 1500); /* power state 0: 15 W */
}

static void identify_namespace(const struct nvme *n, uint8_t *d)
{
	nvme_put64(d + 0, n->ns.nlbas);
	nvme_put64(d + 8, n->ns.nlbas);
	nvme_put64(d + 16, n->ns.nlbas);
	d[33] = 1u << 3 | 1;	   /* deallocated blocks read as zeroes; write zeroes may deallocate */
	nvme_put64(d + 48, n->ns.bytes);
	d[99] = n->ns.readonly;
	put_nguid(n, d + 104);
	put_eui64(n, d + 120);
	d[128 + 2] = (uint8_t)n->ns.lba_lg2; /* the one format */
}

/* Figure 249: type, length, two reserved bytes, the identifier. A type of 0 ends the list. */
static void identify_descriptors(const struct nvme *n, uint8_t *d)
{
	d[0] = 1;
	d[1] = 8;
	put_eui64(n, d + 4);
	d[12] = 2;
	d[13] = 16;
	put_nguid(n, d + 16);
}

uint16_t nvme_identify(struct nvme *n, const struct nvme_cmd *cmd)
{
	uint8_t data[DATA_LEN] = {0};

	switch (cmd->cdw10 & 0xff) {
	case CNS_NAMESPACE:
		/* Without namespace management NSID_ALL names nothing: 5.15.2.1 */
		if (cmd->nsid != 1)
			return NVME_INVALID_NAMESPACE | NVME_DNR;
		identify_namespace(n, data);
		break;
	case CNS_CONTROLLER:
		identify_controller(n, data);
		break;
	case CNS_ACTIVE_LIST:
		if (cmd->nsid >= NVME_NSID_ALL - 1)
			return NVME_INVALID_NAMESPACE | NVME_DNR;
		if (cmd->nsid < 1)
			nvme_put32(data, 1);
		break;
	case CNS_DESCRIPTORS:
		if (cmd->nsid != 1)
			return NVME_INVALID_NAMESPACE | NVME_DNR;
		identify_descriptors(n, data);
		break;
	default:
		return NVME_INVALID_FIELD | NVME_DNR;
	}
	return nvme_to_host(n, cmd, data, sizeof(data));
}
