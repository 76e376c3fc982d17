/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer: host descriptions. A text is refused with a sentence that names the file, or it is a description that
 * passes the check on its own, and which written out and read again is the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/desc_yaml.h"
#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct nb_desc d, again;
	struct nb_diag diag = {""};
	char *text = NULL, what[32];
	size_t len = 0;
	FILE *f;

	memset(&d, 0, sizeof(d));
	if (desc_yaml_parse("FUZZ", data, size, &d, &diag)) {
		check(strncmp(diag.msg, "FUZZ", 4) == 0);
		return 0;
	}
	check(nb_desc_check(&d, what, &diag) == 0);
	f = open_memstream(&text, &len);
	if (!f)
		abort();
	desc_yaml_write(&d, f);
	fclose(f);
	memset(&again, 0, sizeof(again));
	check(desc_yaml_parse("again", text, len, &again, &diag) == 0);
	check(memcmp(&d, &again, sizeof(d)) == 0);
	free(text);
	return 0;
}
