/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * own-iommu: the kernel's SMMUv3 driver on the registers of a model. The dmatest function brings the SMMU as its BAR 5; the device tree has
 * it at `bar` (in hexadecimal), where the kernel puts that BAR. A disk is behind it, too.
 *
 * The driver's first look, early at boot, finds a BAR that nobody decodes, so it is asked again. Then the disk gets its driver: scenario
 * nvme with its parameters. Then this process drives dmatest through VFIO: what is mapped is right, what is not is an event that the kernel reads
 * from the queue when the SMMU has interrupted.
 */

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine.h"
#include "guest.h"
#include "vfio.h"

enum { KLOG_READ_ALL = 3 }; /* syslog(2) */

#define SIZE   0x10000u
#define PAGE   0x1000u
#define IOVA_A UINT64_C(0x12340000)
#define IOVA_B UINT64_C(0x7f0000000000) /* far away: no table in common but the root */

static void function_write(const char *pci, const char *name, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", pci, name);
	write_text(path, text);
}

/* Line n of the file is resource n: first, last, flags. */
static unsigned long bar_address(const char *pci, unsigned int bar)
{
	char path[PATH_MAX], text[2048], *line = text;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource", pci);
	if (read_text(path, text, sizeof(text)) < 0)
		fail("%s cannot be read", path);
	while (bar-- && line)
		line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL;
	return line ? strtoul(line, NULL, 16) : 0;
}

static void start_driver(const char *pci)
{
	unsigned long where = bar_address(pci, 5), want = strtoul(param("bar", "0"), NULL, 16);
	char name[64], path[PATH_MAX];

	if (where != want)
		fail("BAR 5 is at %#lx and not where the device tree has the SMMU, %#lx", where, want);
	function_write(pci, "enable", "1");
	snprintf(name, sizeof(name), "%lx.iommu", want);
	write_text("/sys/bus/platform/drivers_probe", name);
	snprintf(path, sizeof(path), "/sys/bus/platform/devices/%s/driver", name);
	if (access(path, F_OK) != 0)
		fail("the kernel's driver did not take the SMMU");
	report("driver", "ok");
}

static unsigned int events_at(uint64_t iova)
{
	static char log[1 << 18];
	char address[32];
	unsigned int n = 0;
	int len = klogctl(KLOG_READ_ALL, log, sizeof(log) - 1);
	const char *at = log;

	log[len > 0 ? len : 0] = '\0';
	snprintf(address, sizeof(address), "0x%016llx", (unsigned long long)iova);
	while ((at = strstr(at, "event 0x10 received")) != NULL) { /* F_TRANSLATION; its four words follow, the third is the address */
		const char *word = strstr(at, address), *next = strstr(at + sizeof("event 0x10 received:"), "received:");

		n += word && (!next || word < next);
		at++;
	}
	return n;
}

static void expect_event(const char *what, uint64_t iova, unsigned int count)
{
	double limit = now() + PATIENCE;

	while (events_at(iova) < count) {
		if (now() > limit)
			fail("%s: the kernel's driver printed no event for it", what);
		sleep_ms(10);
	}
	report(what, "ok");
}

static unsigned char *pages(void)
{
	void *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		fail("out of memory");
	return p;
}

static void copy(struct engine *e, const char *what, unsigned char *from, unsigned char *to)
{
	pattern_fill(from, SIZE, mix64((uintptr_t)what));
	memset(to, 0, SIZE);
	engine_expect(e, DMATEST_ERROR_NONE, what, DMATEST_CMD_COPY, IOVA_A, IOVA_B, SIZE);
	if (memcmp(from, to, SIZE) != 0)
		fail("%s: wrong data", what);
	report(what, "ok");
}

void scenario_own_iommu(void)
{
	unsigned char *a = pages(), *b = pages(), *other = pages();
	struct engine e;
	struct vfio v;
	char pci[16];
	size_t size;

	engine_find(pci, sizeof(pci));
	start_driver(pci);
	scenario_nvme();

	/* What resets the function, or puts it to sleep, does so to the SMMU. */
	function_write(pci, "reset_method", "\n");
	module_load_with("vfio-pci", "disable_idle_d3=1");
	module_load_with("vfio_iommu_type1", "allow_unsafe_interrupts=1");
	vfio_open(&v, pci);
	engine_init(&e, vfio_bar(&v, DMATEST_BAR_REGS, &size));
	vfio_map(&v, a, IOVA_A, SIZE, 1);
	vfio_map(&v, b, IOVA_B, SIZE, 1);
	copy(&e, "copy", a, b);
	engine_expect(&e, DMATEST_ERROR_SRC_DMA, "hole", DMATEST_CMD_CHECKSUM, IOVA_A + SIZE, 0, 64);
	expect_event("event", IOVA_A + SIZE, 1);

	vfio_unmap(&v, IOVA_B, SIZE);
	engine_expect(&e, DMATEST_ERROR_DST_DMA, "after_unmap", DMATEST_CMD_COPY, IOVA_A, IOVA_B, SIZE);
	expect_event("event_after_unmap", IOVA_B, 1);
	vfio_map(&v, other, IOVA_B, SIZE, 1);
	memset(b, 0x5a, SIZE);
	copy(&e, "copy_to_other_memory", a, other);
	for (size_t i = 0; i < SIZE; i++) {
		if (b[i] != 0x5a)
			fail("the memory that was unmapped is written");
	}
	/* Left open: closing switches off the function's registers before the kernel has detached it from the SMMU. */
}
