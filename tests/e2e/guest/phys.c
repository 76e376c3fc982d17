/* SPDX-License-Identifier: BSD-3-Clause */
/* See phys.h. */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"
#include "phys.h"

#define HUGE_PAGE       (2u << 20)
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_PFN     ((UINT64_C(1) << 55) - 1)

static uint64_t physical(const void *va)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry;

	if (fd < 0 || pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)va / PHYS_PAGE * sizeof(entry))) !=
			      sizeof(entry))
		fail("/proc/self/pagemap: %s", strerror(errno));
	close(fd);
	if (!(entry & PAGEMAP_PRESENT) || !(entry & PAGEMAP_PFN))
		fail("/proc/self/pagemap hides physical addresses");
	return (entry & PAGEMAP_PFN) * PHYS_PAGE;
}

static unsigned char *base;
static uint64_t base_pa;

struct phys phys_alloc(void)
{
	static uint32_t used;
	struct phys page;

	if (!base) {
		write_text("/proc/sys/vm/nr_hugepages", "1");
		base = mmap(NULL, HUGE_PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE, -1, 0);
		if (base == MAP_FAILED)
			fail("no huge page: %s", strerror(errno));
		base_pa = physical(base);
	}
	if (used == HUGE_PAGE)
		fail("the huge page is used up");
	page = (struct phys){base + used, base_pa + used};
	used += PHYS_PAGE;
	memset(page.va, 0, PHYS_PAGE);
	return page;
}

void *phys_va(uint64_t pa)
{
	return base + (pa - base_pa);
}

volatile void *phys_mmio(uint64_t pa, uint64_t size)
{
	int fd = open("/dev/mem", O_RDWR | O_SYNC | O_CLOEXEC);
	void *p;

	if (fd < 0)
		fail("/dev/mem: %s", strerror(errno));
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)pa);
	if (p == MAP_FAILED)
		fail("mapping %#llx (booted with iomem=relaxed?): %s", (unsigned long long)pa, strerror(errno));
	close(fd);
	return p;
}
