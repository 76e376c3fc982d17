/* SPDX-License-Identifier: BSD-3-Clause */
/* The models that a host description can name. */
#include <string.h>

#include "dev/pci.h"

const struct dev_model *const dev_models[] = {&nvme_model.m, &dmatest_model.m, NULL};

const struct dev_model *dev_model_find(const char *name)
{
	for (const struct dev_model *const *m = dev_models; name && *m; m++) {
		if (strcmp((*m)->name, name) == 0)
			return *m;
	}
	return NULL;
}

int dev_check_options(const struct dev_model *m, const struct dev_option *opt, unsigned int nopts, struct nb_diag *diag)
{
	const struct pci_model *p = (const struct pci_model *)(const void *)m; /* m is the first member of each */

	for (unsigned int i = 0; i < nopts; i++) {
		if (!opt[i].key || !opt[i].value)
			return nb_fail(diag, -EINVAL, "%s: an option without a name or value", m->name);
		for (unsigned int j = 0; j < i; j++) {
			if (strcmp(opt[i].key, opt[j].key) == 0)
				return nb_fail(diag, -EINVAL, "%s: option \"%s\" is given twice", m->name, opt[i].key);
		}
	}
	return p->check(opt, nopts, diag);
}

bool dev_options_ats(const struct dev_model *m, const struct dev_option *opt, unsigned int nopts)
{
	const struct pci_model *p = (const struct pci_model *)(const void *)m; /* as above */

	return p && p->has_ats && p->has_ats(opt, nopts);
}
