/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The figures come from the event counters of all processes of the run, so they count what happened and not what the
 * program says. What only the guest knows comes from its console and may be missing.
 */
#include "cli/summary.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* A console may be long and hold anything; lines longer than this are not ours. */
#define MAX_LINE 512

static void on_report(struct summary *s, const char *key, const char *value)
{
	char *end;
	double v;

	if (strcmp(key, "checksum_ok") == 0) {
		/* Several disks report one by one; all must be well. */
		if (s->checksum_ok != NO)
			s->checksum_ok = strcmp(value, "1") == 0 ? YES : NO;
	} else if (strcmp(key, "guest_kernel") == 0 || strcmp(key, "kernel") == 0) {
		snprintf(s->guest_kernel, sizeof(s->guest_kernel), "%.*s", (int)sizeof(s->guest_kernel) - 1, value);
	} else if (strcmp(key, "boot_seconds") == 0) {
		v = strtod(value, &end);
		if (end != value && !*end && v >= 0 && v < 1e6)
			s->boot_seconds = v;
	}
}

int summary_read_guest_log(struct summary *s, const char *path)
{
	FILE *f = fopen(path, "re");
	char line[MAX_LINE];
	bool whole = true;

	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		bool starts = whole;
		char *eq;

		whole = strchr(line, '\n') != NULL;
		line[strcspn(line, "\r\n")] = 0;
		if (!starts || strncmp(line, "NB: ", 4) != 0)
			continue;
		eq = strchr(line, '=');
		if (!eq)
			continue;
		*eq = 0;
		on_report(s, line + 4, eq + 1);
	}
	fclose(f);
	return 0;
}

/* The data path counts each request once, as a hit or as a miss. */
static uint64_t translations(const struct summary *s)
{
	return s->count[NB_EV_hw_tlb_hit] + s->count[NB_EV_hw_tlb_miss];
}

bool summary_used(const struct summary *s)
{
	return s->count[NB_EV_run_open] || s->count[NB_EV_host_ioctl];
}

bool summary_nesting_dropped(const struct summary *s)
{
	const struct qemu_devices *q = &s->command->devices;

	return q->asks_nesting && s->count[NB_EV_host_attach_unnested] > q->outside;
}

/* "67.1 MB"; exact bytes are in the JSON. */
static const char *bytes(uint64_t n, char buf[32])
{
	static const char *const unit[] = {"bytes", "kB", "MB", "GB", "TB", "PB", "EB"};
	double v = (double)n;
	unsigned int u = 0;

	for (; v >= 999.95 && u < 6; u++)
		v /= 1000;
	snprintf(buf, 32, u ? "%.1f %s" : "%.0f %s", v, unit[u]);
	return buf;
}

static void row(FILE *f, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void row(FILE *f, const char *name, const char *fmt, ...)
{
	va_list ap;

	fprintf(f, "  %-22s ", name);
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fputc('\n', f);
}

/* What guests have the host invalidate: by ranges, or by commands as their own unit has them. */
static uint64_t s1_invalidations(const struct summary *s)
{
	return s->count[NB_EV_drv_inv_user] + s->count[NB_EV_drv_inv_cmd];
}

void summary_print(const struct summary *s, FILE *f)
{
	static const char *const verdict[] = {"WRONG: the guest did not read back what it wrote",
					      "right: the guest read back what it wrote"};
	uint64_t hits = s->count[NB_EV_hw_tlb_hit], misses = s->count[NB_EV_hw_tlb_miss];
	const char *after = s->command->devices.viommu_after;
	char buf[32];

	fprintf(f, "\nnestbox: the run on host %s%s%s%s\n\n", s->host->name, s->host->title[0] ? " (" : "", s->host->title,
		s->host->title[0] ? ")" : "");
	if (s->command->qemu_version[0])
		row(f, "QEMU", "%s", s->command->qemu_version);
	if (s->guest_kernel[0])
		row(f, "guest kernel", "%s", s->guest_kernel);
	if (s->boot_seconds >= 0)
		row(f, "time to boot", "%.1f s", s->boot_seconds);
	row(f, "nested domains", "%" PRIu64 " made, %" PRIu64 " destroyed", s->count[NB_EV_host_hwpt_nested],
	    s->count[NB_EV_host_hwpt_nested_destroy]);
	row(f, "stage-1 invalidations", "%" PRIu64, s1_invalidations(s));
	if (s->count[NB_EV_host_viommu]) {
		row(f, "vIOMMUs", "%" PRIu64 " made, %" PRIu64 " devices named, %" PRIu64 " hardware queues",
		    s->count[NB_EV_host_viommu], s->count[NB_EV_host_vdevice], s->count[NB_EV_host_hw_queue]);
		row(f, "events to the guest", "%" PRIu64 ", %" PRIu64 " lost", s->count[NB_EV_host_vevent],
		    s->count[NB_EV_host_vevent_lost]);
	}
	if (hits + misses)
		row(f, "translations", "%" PRIu64 " (%" PRIu64 " hits, %" PRIu64 " misses: %.1f %% hit)", translations(s),
		    hits, misses, 100.0 * (double)hits / (double)translations(s));
	else
		row(f, "translations", "none");
	row(f, "DMA faults", "%" PRIu64, s->count[NB_EV_hw_fault]);
	row(f, "devices read", "%s", bytes(s->count[NB_EV_hw_dma_read], buf));
	row(f, "devices wrote", "%s", bytes(s->count[NB_EV_hw_dma_write], buf));
	if (s->count[NB_EV_own_mmio_write]) {
		row(f, "IOMMU on a board", "%" PRIu64 " register reads, %" PRIu64 " writes", s->count[NB_EV_own_mmio_read],
		    s->count[NB_EV_own_mmio_write]);
		row(f, "", "commands: %" PRIu64 " configuration, %" PRIu64 " TLB, %" PRIu64 " sync, %" PRIu64 " other",
		    s->count[NB_EV_own_cmd_config], s->count[NB_EV_own_cmd_tlb], s->count[NB_EV_own_cmd_sync],
		    s->count[NB_EV_own_cmd_other]);
		row(f, "", "%" PRIu64 " fetches of entries and tables, %" PRIu64 " refused, %" PRIu64 " interrupts",
		    s->count[NB_EV_own_fetch], s->count[NB_EV_own_refused], s->count[NB_EV_own_irq]);
	}
	if (s->checksum_ok != UNKNOWN)
		row(f, "checksum", "%s", verdict[s->checksum_ok]);
	row(f, "exit status", "%d", s->exit_status);
	if (summary_nesting_dropped(s))
		fprintf(f, "\nnestbox: warning: nesting was dropped: a device was attached without it%s%s%s\n",
			after ? "; name " : "", after ? after : "", after ? " before vfio-pci on the command line" : "");
	fflush(f);
}

/* A JSON string, null when empty. What is not printable ASCII is not ours to judge and becomes a question mark. */
static void put_string(FILE *f, const char *s)
{
	if (!s[0]) {
		fputs("null", f);
		return;
	}
	fputc('"', f);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fprintf(f, "\\%c", *s);
		else if ((unsigned char)*s < 0x20 || (unsigned char)*s >= 0x7f)
			fputc('?', f);
		else
			fputc(*s, f);
	}
	fputc('"', f);
}

void summary_json(const struct summary *s, FILE *f)
{
	const uint64_t *n = s->count;
	const struct {
		const char *name;
		uint64_t value;
	} counts[] = {
		{"nested_hwpt_allocs", n[NB_EV_host_hwpt_nested]},
		{"nested_hwpt_destroys", n[NB_EV_host_hwpt_nested_destroy]},
		{"s1_invalidations", s1_invalidations(s)},
		{"viommus", n[NB_EV_host_viommu]},
		{"vdevices", n[NB_EV_host_vdevice]},
		{"hw_queues", n[NB_EV_host_hw_queue]},
		{"guest_events", n[NB_EV_host_vevent]},
		{"guest_events_lost", n[NB_EV_host_vevent_lost]},
		{"translations", translations(s)},
		{"tlb_hits", n[NB_EV_hw_tlb_hit]},
		{"tlb_misses", n[NB_EV_hw_tlb_miss]},
		{"dma_faults", n[NB_EV_hw_fault]},
		{"dma_read_bytes", n[NB_EV_hw_dma_read]},
		{"dma_write_bytes", n[NB_EV_hw_dma_write]},
		{"interrupts", n[NB_EV_hw_intr] + n[NB_EV_hw_its_message]},
		{"ats_requests", n[NB_EV_hw_ats_request]},
		{"page_requests", n[NB_EV_hw_page_request]},
		{"own_register_reads", n[NB_EV_own_mmio_read]},
		{"own_register_writes", n[NB_EV_own_mmio_write]},
		{"own_config_commands", n[NB_EV_own_cmd_config]},
		{"own_tlb_commands", n[NB_EV_own_cmd_tlb]},
		{"own_syncs", n[NB_EV_own_cmd_sync]},
		{"own_other_commands", n[NB_EV_own_cmd_other]},
		{"own_fetches", n[NB_EV_own_fetch]},
		{"own_refused", n[NB_EV_own_refused]},
		{"own_interrupts", n[NB_EV_own_irq]},
	};
	size_t i;

	fputs("{\n  \"host\": ", f);
	put_string(f, s->host->name);
	fputs(",\n  \"qemu_version\": ", f);
	put_string(f, s->command->qemu_version);
	fputs(",\n  \"guest_kernel\": ", f);
	put_string(f, s->guest_kernel);
	fputs(",\n  \"boot_seconds\": ", f);
	if (s->boot_seconds >= 0)
		fprintf(f, "%.3f", s->boot_seconds);
	else
		fputs("null", f);
	fprintf(f, ",\n  \"checksum_ok\": %s", s->checksum_ok == UNKNOWN ? "null" : s->checksum_ok ? "true" : "false");
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		fprintf(f, ",\n  \"%s\": %" PRIu64, counts[i].name, counts[i].value);
	fprintf(f, ",\n  \"nesting_dropped\": %s,\n  \"exit_status\": %d\n}\n",
		summary_nesting_dropped(s) ? "true" : "false", s->exit_status);
}
