/* SPDX-License-Identifier: BSD-3-Clause */
/* `nestbox host`: the descriptions of virtual hosts, built in and of the user's own. */
#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "dev/dev.h"
#include "machine/acpi.h"
#include "machine/desc_yaml.h"

static const char help[] =
	"usage: nestbox host list         the built-in hosts\n"
	"       nestbox host show NAME    one of them as YAML: the start of your own\n"
	"       nestbox host check FILE   is this description one that can be run?\n"
	"       nestbox host models       the PCI functions that a description can name\n"
	"       nestbox host acpi NAME|FILE -o TABLE   its DMAR or IORT table, as firmware would give it\n\n"
	"The format is described in nestbox-host(5).\n";

static const char *plural(uint32_t n)
{
	return n == 1 ? "" : "s";
}

static int host_list(void)
{
	const struct nb_desc *const *d;

	for (d = nb_desc_builtin; *d; d++)
		printf("%-10s  %s; %" PRIu32 " IOMMU%s, %" PRIu32 " function%s\n", (*d)->name, (*d)->title, (*d)->niommus,
		       plural((*d)->niommus), (*d)->nfunctions, plural((*d)->nfunctions));
	return CLI_OK;
}

static int host_models(void)
{
	const struct dev_model *const *m;

	for (m = dev_models; *m; m++) {
		const char *line = (*m)->options ? (*m)->options : "";

		printf("%-10s  %s\n", (*m)->name, (*m)->brief);
		while (*line) {
			size_t n = strcspn(line, "\n");

			printf("%12s  %.*s\n", "", (int)n, line);
			line += n + (line[n] == '\n');
		}
	}
	puts("every model\n"
	     "              own-iommu=smmuv3  brings an IOMMU of its own, for a guest to drive; needs ats off\n"
	     "              behind=ADDRESS    is behind the one that an earlier function of its group brings\n"
	     "              own-stream=N      its StreamID there, default its own number");
	return CLI_OK;
}

/* show takes a file too: it prints what the file comes to, defaults filled in. */
static int host_show(const char *name)
{
	struct nb_desc *d = nb_zalloc(sizeof(*d));
	struct nb_diag why = {"out of memory"};
	int err = d ? desc_yaml_find(name, d, &why) : -1;

	if (!err)
		desc_yaml_write(d, stdout);
	nb_free(d);
	return err ? cli_fail(CLI_FAILED, "%s", why.msg) : CLI_OK;
}

static int host_check(const char *path)
{
	struct nb_desc *d = nb_zalloc(sizeof(*d));
	struct nb_diag why = {"out of memory"};
	int err = d ? desc_yaml_read(path, d, &why) : -1;

	if (!err)
		printf("%s: host %s: %" PRIu32 " IOMMU%s, %" PRIu32 " function%s\n", path, d->name, d->niommus, plural(d->niommus),
		       d->nfunctions, plural(d->nfunctions));
	nb_free(d);
	return err ? cli_fail(CLI_FAILED, "%s", why.msg) : CLI_OK;
}

static int write_table(const char *path, const uint8_t *table, size_t len)
{
	bool std = strcmp(path, "-") == 0;
	FILE *f = std ? stdout : fopen(path, "we");
	int err = 0;

	if (!f)
		return cli_fail(CLI_FAILED, "%s: %s", path, strerror(errno));
	errno = EIO;
	if (fwrite(table, 1, len, f) != len || fflush(f))
		err = errno;
	if (!std && fclose(f) && !err)
		err = errno;
	return err ? cli_fail(CLI_FAILED, "%s: %s", std ? "standard output" : path, strerror(err)) : CLI_OK;
}

static int host_acpi(const char *name, const char *path)
{
	struct nb_desc *d = nb_zalloc(sizeof(*d));
	struct nb_diag why = {"out of memory"};
	uint8_t table[ACPI_MAX];
	int err = d ? desc_yaml_find(name, d, &why) : -ENOMEM, status;

	status = err ? cli_fail(CLI_FAILED, "%s", why.msg) : write_table(path, table, acpi_table(d, table));
	nb_free(d);
	return status;
}

int cmd_host(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (strcmp(verb, "--help") == 0) {
		fputs(help, stdout);
		return CLI_OK;
	}
	if (strcmp(verb, "list") == 0 && argc == 2)
		return host_list();
	if (strcmp(verb, "models") == 0 && argc == 2)
		return host_models();
	if (strcmp(verb, "show") == 0 && argc == 3)
		return host_show(argv[2]);
	if (strcmp(verb, "check") == 0 && argc == 3)
		return host_check(argv[2]);
	if (strcmp(verb, "acpi") == 0 && argc == 5 && strcmp(argv[3], "-o") == 0)
		return host_acpi(argv[2], argv[4]);
	if (strcmp(verb, "acpi") == 0 && argc == 5 && strcmp(argv[2], "-o") == 0)
		return host_acpi(argv[4], argv[3]);
	fputs(help, stderr);
	return CLI_USAGE;
}
