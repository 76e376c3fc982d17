/* SPDX-License-Identifier: BSD-3-Clause */
/* See engine.h. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine.h"
#include "guest.h"

void engine_find(char *pci, size_t size)
{
	if (pci_find(DMATEST_PCI_VENDOR, DMATEST_PCI_DEVICE, pci, size) < 0)
		fail("there is no dmatest function");
}

void engine_init(struct engine *e, volatile void *regs)
{
	e->regs = regs;
	if (engine_read32(e, DMATEST_ID) != DMATEST_ID_VALUE)
		fail("dmatest: its id reads %#x", engine_read32(e, DMATEST_ID));
}

void engine_open(struct engine *e, const char *pci)
{
	uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	char path[PATH_MAX];
	void *regs;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/enable", pci);
	write_text(path, "1"); /* the bridges above it, too */
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", pci);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || pwrite(fd, &command, sizeof(command), PCI_COMMAND) != sizeof(command))
		fail("%s: %s", path, strerror(errno));
	close(fd);

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource%u", pci, DMATEST_BAR_REGS);
	fd = open(path, O_RDWR | O_SYNC | O_CLOEXEC);
	if (fd < 0)
		fail("%s: %s", path, strerror(errno));
	regs = mmap(NULL, DMATEST_BAR_REGS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (regs == MAP_FAILED)
		fail("mapping %s: %s", path, strerror(errno));
	close(fd);
	engine_init(e, regs);
}

uint32_t engine_read32(struct engine *e, unsigned int reg)
{
	return *(volatile uint32_t *)(e->regs + reg);
}

uint64_t engine_read64(struct engine *e, unsigned int reg)
{
	return *(volatile uint64_t *)(e->regs + reg);
}

void engine_write32(struct engine *e, unsigned int reg, uint32_t v)
{
	*(volatile uint32_t *)(e->regs + reg) = v;
}

void engine_write64(struct engine *e, unsigned int reg, uint64_t v)
{
	*(volatile uint64_t *)(e->regs + reg) = v;
}

uint32_t engine_run(struct engine *e, uint32_t command, uint64_t src, uint64_t dst, uint64_t length)
{
	engine_write64(e, DMATEST_SRC, src);
	engine_write64(e, DMATEST_DST, dst);
	engine_write64(e, DMATEST_LENGTH, length);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* the data before the doorbell */
	engine_write32(e, DMATEST_COMMAND, command);
	return engine_read32(e, DMATEST_ERROR);
}

void engine_expect(struct engine *e, uint32_t error, const char *what, uint32_t command, uint64_t src,
		   uint64_t dst, uint64_t length)
{
	uint32_t got = engine_run(e, command, src, dst, length);

	if (got != error)
		fail("%s: error %u instead of %u, at address %#llx", what, got, error,
		     (unsigned long long)engine_read64(e, DMATEST_ERROR_ADDR));
}
