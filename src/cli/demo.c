/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `nestbox demo`: the whole stack in one process and a story on stdout.
 *
 * Every claim that is printed was checked; the exit status is 0 only if all of them held.
 */
#include "cli/cli.h"

#include <inttypes.h>
#include <stdarg.h>

#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "cli/demo.h"
#include "dev/dmatest_regs.h"

#define LEN	((uint64_t)DEMO_PAGES * GUEST_PAGE)
#define PATTERN UINT64_C(0x1122334455667788)
#define STALE	UINT64_C(0xbadbadbadbadbad0)
#define VICTIM	3u /* the page of the destination that the guest takes back */

static const char help[] =
	"usage: nestbox demo [--host NAME|FILE]\n\n"
	"Builds a virtual host, a small guest and an assigned DMA engine in one process, moves data through both\n"
	"stages, shows a walk, shows that a missed invalidation is caught, answers a page fault of the device, and\n"
	"lets it forge interrupts. Takes an instant. The exit status is 0 only if everything came out as it must.\n";

void claim(struct story *s, bool held, const char *fmt, ...)
{
	va_list ap;

	printf("  %s  ", held ? "ok   " : "WRONG");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	s->wrong += !held;
}

bool holds_pattern(const struct demo_vm *vm, const gpa_t *page, uint64_t pattern, unsigned int first, unsigned int end)
{
	unsigned int i, w;

	for (i = first; i < end; i++)
		for (w = 0; w < GUEST_PAGE / 8; w++)
			if (((const volatile uint64_t *)guest_ptr(&vm->guest, page[i]))[w] != pattern)
				return false;
	return true;
}

uint64_t demo_counter(struct demo_vm *vm, const char *event)
{
	uint64_t v = 0;

	return nb_host_counter(vm->host, event, &v) ? 0 : v;
}

static void show_walk(struct demo_vm *vm, uint64_t addr, bool stage1_only)
{
	static char text[1 << 16];
	const char *line;
	size_t n;

	nb_host_walk(vm->host, vm->segment, vm->rid, NB_NO_PASID, addr, HW_WRITE, text, sizeof(text));
	putchar('\n');
	for (line = text; *line; line += n) {
		n = strcspn(line, "\n") + 1;
		if (stage1_only && (strncmp(line + 5, "stage-2", 7) == 0 || strncmp(line + 5, "config", 6) == 0 ||
				    strncmp(line, "     ", 5) == 0))
			continue;
		printf("%.*s", (int)n, line);
	}
	putchar('\n');
}

void show_indented(const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		printf("         | %.*s\n", (int)n, text);
		text += n + (text[n] == '\n');
	}
}

static void move_data(struct story *s)
{
	struct demo_vm *vm = &s->vm;
	uint64_t hits, misses;
	int r;

	printf("\n2. The device moves data, through stage-1 and stage-2.\n\n");
	r = demo_vm_dma(vm, DMATEST_CMD_FILL, 0, DEMO_SRC, LEN, PATTERN);
	claim(s, r == DMATEST_ERROR_NONE && holds_pattern(vm, vm->src, PATTERN, 0, DEMO_PAGES),
	      "fill    64 KiB at 0x%" PRIx64 ": every byte is in the guest page that the guest meant", DEMO_SRC);
	r = demo_vm_dma(vm, DMATEST_CMD_COPY, DEMO_SRC, DEMO_DST, LEN, 0);
	claim(s, r == DMATEST_ERROR_NONE && holds_pattern(vm, vm->dst, PATTERN, 0, DEMO_PAGES),
	      "copy    to 0x%" PRIx64 ", whose pages lie in the opposite order", DEMO_DST);
	r = demo_vm_dma(vm, DMATEST_CMD_COMPARE, DEMO_SRC, DEMO_DST, LEN, 0);
	claim(s, r == DMATEST_ERROR_NONE, "compare both, by the device's own reads");
	hits = demo_counter(vm, "hw.tlb-hit");
	misses = demo_counter(vm, "hw.tlb-miss");
	claim(s, misses >= 2 * DEMO_PAGES && hits > 0, "%" PRIu64 " translations missed the TLB, %" PRIu64 " hit it",
	      misses, hits);
	printf("\n   This is the way of one address, every entry as the hardware reads it:\n");
	show_walk(vm, DEMO_DST + VICTIM * GUEST_PAGE, false);
}

/* The page is the guest's again, says its table. Only the hardware was not told. */
static void forget_invalidation(struct story *s)
{
	struct demo_vm *vm = &s->vm;
	uint64_t at = DEMO_DST + VICTIM * GUEST_PAGE;
	int r;

	printf("3. The guest unmaps the page at 0x%" PRIx64 " and forgets to invalidate.\n\n", at);
	guest_unmap(&vm->guest, iova(at));
	memset(guest_ptr(&vm->guest, vm->dst[VICTIM]), 0, GUEST_PAGE); /* somebody else's data now */
	r = demo_vm_dma(vm, DMATEST_CMD_FILL, 0, at, GUEST_PAGE, STALE);
	claim(s, r == DMATEST_ERROR_NONE && holds_pattern(vm, vm->dst, STALE, VICTIM, VICTIM + 1),
	      "stale: the device still writes to the page, out of its TLB, as silicon does. Caught:");
	printf("         the page at guest address 0x%" PRIx64 " was overwritten after it was unmapped\n",
	       vm->dst[VICTIM].v);
}

static void invalidate(struct story *s)
{
	struct demo_vm *vm = &s->vm;
	uint64_t at = DEMO_DST + VICTIM * GUEST_PAGE, faults = demo_counter(vm, "hw.fault");
	char log[2048];
	int r;

	printf("\n4. The guest invalidates, and the same DMA again.\n\n");
	memset(guest_ptr(&vm->guest, vm->dst[VICTIM]), 0, GUEST_PAGE);
	r = demo_vm_invalidate(vm, at, 1);
	claim(s, r == 0, "IOMMU_HWPT_INVALIDATE of one page");
	demo_vm_log(vm, log, sizeof(log)); /* nothing so far */
	claim(s, log[0] == 0, "no fault was reported up to here");
	r = demo_vm_dma(vm, DMATEST_CMD_FILL, 0, at, GUEST_PAGE, STALE);
	claim(s, r == DMATEST_ERROR_DST_DMA && demo_vm_error_addr(vm) == at, "the device's write is aborted at 0x%" PRIx64,
	      demo_vm_error_addr(vm));
	claim(s, holds_pattern(vm, vm->dst, 0, VICTIM, VICTIM + 1), "the page is untouched");
	demo_vm_log(vm, log, sizeof(log));
	claim(s, demo_counter(vm, "hw.fault") == faults + 1 && strstr(log, "hw.fault") && strstr(log, "drv.fault"),
	      "one fault, recorded by the hardware and read by the host's driver:");
	show_indented(log);
	r = demo_vm_dma(vm, DMATEST_CMD_COMPARE, DEMO_SRC, DEMO_DST, VICTIM * (uint64_t)GUEST_PAGE, 0);
	claim(s, r == DMATEST_ERROR_NONE, "the pages beside it work as before");
	printf("\n   The way of that address now, its stage-1 entries only:\n");
	show_walk(vm, at, true);
}

int cmd_demo(int argc, char **argv)
{
	struct story *s;
	struct nb_diag why = {"out of memory"};
	const char *host = "spr";
	struct timespec t0, t1;
	unsigned int wrong;
	int err = -1;

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		fputs(help, stdout);
		return CLI_OK;
	}
	if (argc == 3 && strcmp(argv[1], "--host") == 0) {
		host = argv[2];
	} else if (argc != 1) {
		fputs(help, stderr);
		return CLI_USAGE;
	}
	clock_gettime(CLOCK_MONOTONIC, &t0);
	s = nb_zalloc(sizeof(*s));
	if (s)
		err = demo_vm_start(&s->vm, host, &why);
	if (err) {
		if (s)
			demo_vm_stop(&s->vm);
		nb_free(s);
		return cli_fail(CLI_FAILED, "demo: %s", why.msg);
	}
	printf("1. A host (%s), a guest with 16 MiB, and a DMA engine at %04x:%02x:%02x.%x assigned to it.\n\n"
	       "         stage-1  the guest's own table, in guest memory: device address -> guest address\n"
	       "         stage-2  the host's table: guest address -> memory\n"
	       "         The guest's table at guest address 0x%" PRIx64 " %s.\n",
	       host, s->vm.segment, s->vm.rid >> 8, s->vm.rid >> 3 & 31, s->vm.rid & 7, s->vm.guest.root.v, s->vm.kind->how);
	move_data(s);
	forget_invalidation(s);
	invalidate(s);
	demo_page_fault(s, VICTIM);
	demo_forged_interrupts(s);
	wrong = s->wrong;
	demo_vm_stop(&s->vm);
	nb_free(s);
	clock_gettime(CLOCK_MONOTONIC, &t1);
	printf("%s, in %.2f s.\n", wrong ? "NOT as it must be" : "All as it must be",
	       (double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) / 1e9);
	return wrong ? cli_fail(CLI_FAILED, "demo: %u claims did not hold", wrong) : CLI_OK;
}
