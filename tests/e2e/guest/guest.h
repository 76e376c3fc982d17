/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of the test guest's /init share.
 *
 * The guest runs one scenario, named on the kernel's command line as nb=NAME[,KEY=VALUE...], reports on the
 * console in lines "NB: KEY=VALUE" and powers off. The last line is "NB: done=ok" or
 * "NB: done=fail reason=...". Nothing here returns an error that the scenario could go on after: what goes
 * wrong ends the run through fail().
 */
#ifndef NB_GUEST_H
#define NB_GUEST_H

#include <stddef.h>
#include <stdint.h>

#define SECTOR 512u

/* report.c */
void report_init(void);
void report(const char *key, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
_Noreturn void finish(void);
_Noreturn void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void watchdog_start(unsigned int seconds);

/* params.c: the KEY=VALUE pairs behind the scenario's name */
void params_init(void);
const char *param_scenario(void);
const char *param(const char *key, const char *fallback);
unsigned int param_uint(const char *key, unsigned int fallback);

/* clock.c */
double now(void); /* seconds since boot */
#define PATIENCE 30 /* seconds for what takes a moment, on a busy machine. The watchdog is the last word. */
void sleep_ms(unsigned int ms);

/* files.c: small files of sysfs and procfs */
int read_text(const char *path, char *buf, size_t size); /* without the newline; -1 when unreadable */
void write_text(const char *path, const char *text);

/* modules.c */
void module_load(const char *name); /* and what it depends on */
void module_load_with(const char *name, const char *options); /* "KEY=VALUE ..." if it is not loaded yet */

/* pattern.c: data that can be told from any other data of its kind */
uint64_t mix64(uint64_t v);
uint64_t rng_next(uint64_t *state);
void pattern_fill(void *buf, size_t size, uint64_t seed);      /* size in whole 64-bit words */
uint64_t checksum(uint64_t sum, const void *buf, size_t size); /* order matters; same unit */

/* disk.c */
#define DISKS_MAX 8

struct disk {
	char name[32]; /* nvme0n1 */
	char pci[16];  /* 0000:00:04.0 */
	uint64_t bytes;
};

unsigned int disks_list(struct disk *disks); /* at most DISKS_MAX, in the order of their PCI addresses */
unsigned int disks_wait(struct disk *disks, unsigned int count);
void disk_wait_at(struct disk *disk, const char *pci);
int disk_open(const struct disk *disk, int flags);
void *io_buffer(size_t size); /* page-aligned, never freed */

/* pci.c */
int pci_find(unsigned int vendor, unsigned int device, char *pci, size_t size); /* 0, or -1: no such function */

/* load.c: verified O_DIRECT load in the background */
struct load;
struct load_stats {
	uint64_t ops, bytes, errors;
};

struct load *load_start(const struct disk *disk, unsigned int threads, uint64_t seed);
void load_stop(struct load *load, struct load_stats *stats);
uint64_t load_check_once(const struct disk *disk, unsigned int ops, uint64_t seed); /* returns errors */

/* scenarios */
void scenario_nvme(void);
void scenario_nvme_load(void);
void scenario_perf(void);
void scenario_hotplug(void);
void scenario_net(void);
void scenario_idle(void);
void scenario_dmatest(void);
void scenario_pasid(void);
void scenario_own_iommu(void);
void scenario_smmu(void);
void scenario_smmu_disk(void);

#endif
