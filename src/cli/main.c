/* SPDX-License-Identifier: BSD-3-Clause */
/* The `nestbox` command: finds the subcommand, and what all of them need for speaking and reading words. */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/bits.h"

static const struct {
	const char *name, *brief;
	int (*run)(int argc, char **argv);
} commands[] = {
	{"run", "run a program on a virtual host with nesting IOMMUs", cmd_run},
	{"host", "list, show or check host descriptions", cmd_host},
	{"demo", "show both stages and a missed invalidation, in one process", cmd_demo},
	{"walk", "print every table entry that a DMA address goes through", cmd_walk},
	{"translate", "answer requests from a memory image and registers", cmd_translate},
};

static void usage(FILE *f)
{
	size_t i;

	fputs("usage: nestbox COMMAND ...\n\n", f);
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(f, "  %-9s %s\n", commands[i].name, commands[i].brief);
	fputs("\n`nestbox COMMAND --help` says more; the manual is nestbox(1). For a start:\n\n"
	      "  nestbox demo\n"
	      "  nestbox run -- qemu-system-x86_64 ... -object iommufd,id=iommufd0 \\\n"
	      "      -device intel-iommu,scalable-mode=on,fsts=on,caching-mode=on \\\n"
	      "      -device vfio-pci,host=0000:01:00.0,iommufd=iommufd0\n",
	      f);
}

int cli_fail(int status, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("nestbox: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

void cli_warn(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("nestbox: warning: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

bool cli_parse_u64(const char *s, uint64_t *v)
{
	char *end;

	if (s[0] < '0' || s[0] > '9')
		return false;
	errno = 0;
	*v = strtoull(s, &end, 0);
	return !errno && !*end;
}

bool cli_parse_rid(const char *s, uint16_t *segment, uint16_t *rid, uint32_t *pasid)
{
	unsigned int seg = 0, bus, dev, fn;
	uint64_t v;
	int n = 0;

	/* sscanf() takes signs and blanks; an address has neither. */
	if (strspn(s, "0123456789abcdefxABCDEFX:.") != strlen(s) || strlen(s) > 32)
		return false;
	if (sscanf(s, "%4x:%2x:%2x.%1x%n", &seg, &bus, &dev, &fn, &n) != 4) {
		seg = 0;
		if (sscanf(s, "%2x:%2x.%1x%n", &bus, &dev, &fn, &n) != 3)
			return false;
	}
	if (dev > 31 || fn > 7)
		return false;
	*segment = (uint16_t)seg;
	*rid = (uint16_t)(bus << 8 | dev << 3 | fn);
	if (pasid)
		*pasid = NB_NO_PASID;
	if (!s[n])
		return true;
	if (!pasid || s[n] != '.' || !cli_parse_u64(s + n + 1, &v) || v > NB_PASID_MAX)
		return false;
	*pasid = (uint32_t)v;
	return true;
}

/* A description or a walk of which the disk took a part only is not done. */
static int all_written(int status)
{
	bool lost = ferror(stdout) != 0;

	if (fflush(stdout) == 0 && !lost)
		return status;
	return status == CLI_OK ? cli_fail(CLI_FAILED, "standard output: %s", lost ? "not all of it could be written" : strerror(errno)) : status;
}

int main(int argc, char **argv)
{
	size_t i;

	if (argc < 2) {
		usage(stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		usage(stdout);
		return CLI_OK;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("nestbox " NB_VERSION);
		return CLI_OK;
	}
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return all_written(commands[i].run(argc - 1, argv + 1));
	return cli_fail(CLI_USAGE, "there is no command \"%s\" (try nestbox --help)", argv[1]);
}
