/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Kernel modules. The image carries /modules/NAME.ko and for each module it was asked to bring
 * /modules/NAME.order: the module's files in an order in which they can be loaded.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"

static void insert(const char *name, const char *options)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/modules/%s.ko", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail("%s: %s", path, strerror(errno));
	if (syscall(SYS_finit_module, fd, options, 0) < 0 && errno != EEXIST)
		fail("loading %s: %s", name, strerror(errno));
	close(fd);
}

void module_load(const char *name)
{
	module_load_with(name, "");
}

void module_load_with(const char *name, const char *options)
{
	char path[128], order[1024], *save;

	snprintf(path, sizeof(path), "/modules/%s.order", name);
	if (read_text(path, order, sizeof(order)) < 0)
		fail("the guest image carries no module %s", name);
	for (char *word = strtok_r(order, " ", &save); word;) {
		char *next = strtok_r(NULL, " ", &save);

		insert(word, next ? "" : options);
		word = next;
	}
}
