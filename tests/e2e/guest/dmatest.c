/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dmatest: this process drives the dmatest function through the guest's VFIO. Mapped DMA must be right to the
 * byte, unmapped DMA must be refused and reported where it happened, and life goes on after it.
 */

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine.h"
#include "guest.h"
#include "vfio.h"

#define SIZE   0x10000u
#define PAGE   0x1000u
#define IOVA_A UINT64_C(0x1234560000)
#define IOVA_B UINT64_C(0x7f0000000000) /* far away: no table in common but the root */
#define HOLE   UINT64_C(0x4000000000)

struct stage {
	struct vfio vfio;
	struct engine engine;
	unsigned char *a, *b, *other;
};

static unsigned char *pages(void)
{
	void *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		fail("out of memory");
	return p;
}

static void expect_bytes(const char *what, const unsigned char *got, const unsigned char *want, size_t size)
{
	if (memcmp(got, want, size) != 0)
		fail("%s: wrong data", what);
	report(what, "ok");
}

static void copy(struct stage *s, const char *what)
{
	pattern_fill(s->a, SIZE, (uintptr_t)what);
	memset(s->b, 0, SIZE);
	engine_expect(&s->engine, DMATEST_ERROR_NONE, what, DMATEST_CMD_COPY, IOVA_A, IOVA_B, SIZE);
	expect_bytes(what, s->b, s->a, SIZE);
}

/* Not a byte outside the range may change, where the range is not page-aligned. */
static void copy_unaligned(struct stage *s)
{
	static unsigned char want[SIZE];

	memset(s->b, 0, SIZE);
	memcpy(want + 0xff1, s->a + 0x123, 5000);
	engine_expect(&s->engine, DMATEST_ERROR_NONE, "copy_unaligned", DMATEST_CMD_COPY, IOVA_A + 0x123,
		      IOVA_B + 0xff1, 5000);
	expect_bytes("copy_unaligned", s->b, want, SIZE);
}

static void fill_compare(struct stage *s)
{
	engine_write64(&s->engine, DMATEST_PATTERN, UINT64_C(0x8877665544332211));
	engine_expect(&s->engine, DMATEST_ERROR_NONE, "fill", DMATEST_CMD_FILL, 0, IOVA_B, SIZE);
	for (size_t i = 0; i < SIZE; i++) {
		if (s->b[i] != (i % 8 + 1) * 0x11)
			fail("fill: wrong data at %zu", i);
	}
	memcpy(s->a, s->b, SIZE);
	engine_expect(&s->engine, DMATEST_ERROR_NONE, "compare", DMATEST_CMD_COMPARE, IOVA_A, IOVA_B, SIZE);
	s->a[SIZE - 5] ^= 1;
	engine_expect(&s->engine, DMATEST_ERROR_MISMATCH, "compare", DMATEST_CMD_COMPARE, IOVA_A, IOVA_B, SIZE);
	if (engine_read64(&s->engine, DMATEST_MISMATCH) != SIZE - 5)
		fail("compare: mismatch at the wrong place");
	report("fill_compare", "ok");
}

static void refused(struct stage *s, const char *what, uint32_t error, uint64_t src, uint64_t dst, uint64_t at,
		    uint64_t done)
{
	engine_expect(&s->engine, error, what, DMATEST_CMD_COPY, src, dst, SIZE);
	if (engine_read64(&s->engine, DMATEST_ERROR_ADDR) != at ||
	    engine_read64(&s->engine, DMATEST_DONE) != done)
		fail("%s: reported at %#llx after %llu bytes", what,
		     (unsigned long long)engine_read64(&s->engine, DMATEST_ERROR_ADDR),
		     (unsigned long long)engine_read64(&s->engine, DMATEST_DONE));
	report(what, "ok");
}

static void interrupt(struct stage *s, int eventfd)
{
	struct pollfd pfd = {.fd = eventfd, .events = POLLIN};
	uint64_t count;

	if (read(eventfd, &count, sizeof(count)) != -1 || errno != EAGAIN)
		fail("msix: an interrupt nobody asked for");
	engine_write32(&s->engine, DMATEST_CONTROL, DMATEST_CONTROL_INT_EN);
	engine_expect(&s->engine, DMATEST_ERROR_NONE, "msix", DMATEST_CMD_NOP, 0, 0, 0);
	if (poll(&pfd, 1, 5000) != 1 || read(eventfd, &count, sizeof(count)) != sizeof(count) || count != 1)
		fail("msix: no interrupt");
	engine_write32(&s->engine, DMATEST_CONTROL, 0);
	report("msix", "ok");
}

/* The same IOVA for other memory: whoever still has the old translation writes to the wrong place. */
static void remap(struct stage *s)
{
	memset(s->b, 0, SIZE);
	memset(s->other, 0, SIZE);
	vfio_map(&s->vfio, s->other, IOVA_B, SIZE, 1);
	engine_expect(&s->engine, DMATEST_ERROR_NONE, "remap", DMATEST_CMD_COPY, IOVA_A, IOVA_B, SIZE);
	expect_bytes("remap", s->other, s->a, SIZE);
	for (size_t i = 0; i < SIZE; i++) {
		if (s->b[i])
			fail("remap: the old memory was written");
	}
	vfio_unmap(&s->vfio, IOVA_B, SIZE);
}

static void read_only(struct stage *s)
{
	vfio_map(&s->vfio, s->b, IOVA_B, SIZE, 0);
	engine_expect(&s->engine, DMATEST_ERROR_NONE, "read_only", DMATEST_CMD_COPY, IOVA_B, IOVA_A, SIZE);
	refused(s, "read_only", DMATEST_ERROR_DST_DMA, IOVA_A, IOVA_B, IOVA_B, 0);
	vfio_unmap(&s->vfio, IOVA_B, SIZE);
}

/*
 * Through the device's own TLB: what it has learnt it keeps until the guest's invalidation has gone all the way to it. The
 * guest does not see the capability; the host has switched it on for the nested table.
 */
static void device_tlb(struct stage *s)
{
	if (!(engine_read32(&s->engine, DMATEST_FEATURES) & DMATEST_FEATURE_ATS_ON))
		fail("device_tlb: ATS is off");
	engine_write32(&s->engine, DMATEST_CONTROL, DMATEST_CONTROL_ATS);
	copy(s, "device_tlb");
	copy(s, "device_tlb_again");
	vfio_unmap(&s->vfio, IOVA_B, SIZE);
	refused(s, "device_tlb_after_unmap", DMATEST_ERROR_DST_DMA, IOVA_A, IOVA_B, IOVA_B, 0);
	remap(s);
	vfio_map(&s->vfio, s->b, IOVA_B, SIZE, 1);
	copy(s, "device_tlb_at_end");
	engine_write32(&s->engine, DMATEST_CONTROL, 0);
}

void scenario_dmatest(void)
{
	struct stage s = {.a = pages(), .b = pages(), .other = pages()};
	char pci[16];
	size_t size;
	int eventfd;

	engine_find(pci, sizeof(pci));
	vfio_open(&s.vfio, pci);
	engine_init(&s.engine, vfio_bar(&s.vfio, DMATEST_BAR_REGS, &size));
	eventfd = vfio_msix(&s.vfio);
	vfio_map(&s.vfio, s.a, IOVA_A, SIZE, 1);
	vfio_map(&s.vfio, s.b, IOVA_B, SIZE, 1);

	copy(&s, "copy");
	copy_unaligned(&s);
	fill_compare(&s);
	interrupt(&s, eventfd);

	refused(&s, "unmapped_write", DMATEST_ERROR_DST_DMA, IOVA_A, HOLE, HOLE, 0);
	refused(&s, "unmapped_read", DMATEST_ERROR_SRC_DMA, HOLE, IOVA_B, HOLE, 0);
	refused(&s, "half_mapped", DMATEST_ERROR_DST_DMA, IOVA_A, IOVA_B + PAGE, IOVA_B + SIZE, SIZE - PAGE);
	copy(&s, "copy_after_faults");

	vfio_unmap(&s.vfio, IOVA_B, SIZE);
	refused(&s, "after_unmap", DMATEST_ERROR_DST_DMA, IOVA_A, IOVA_B, IOVA_B, 0);
	remap(&s);
	read_only(&s);
	vfio_map(&s.vfio, s.b, IOVA_B, SIZE, 1);
	copy(&s, "copy_at_end");
	device_tlb(&s);
	vfio_close(&s.vfio);
}
