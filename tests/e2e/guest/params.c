/* SPDX-License-Identifier: BSD-3-Clause */
/* The scenario and its parameters, from nb=NAME[,KEY=VALUE...] on the kernel's command line. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"

static char text[2048];
static const char *scenario = "";
static struct {
	const char *key, *value;
} pairs[32];
static size_t npairs;

void params_init(void)
{
	char *word, *save;

	if (read_text("/proc/cmdline", text, sizeof(text)) < 0)
		fail("/proc/cmdline cannot be read");
	for (word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (strncmp(word, "nb=", 3) == 0)
			break;
	}
	if (!word)
		fail("no nb= on the kernel's command line");

	scenario = strtok_r(word + 3, ",", &save);
	while ((word = strtok_r(NULL, ",", &save)) != NULL) {
		char *eq = strchr(word, '=');

		if (!eq || npairs == sizeof(pairs) / sizeof(pairs[0]))
			fail("bad parameter '%s'", word);
		*eq = '\0';
		pairs[npairs].key = word;
		pairs[npairs].value = eq + 1;
		npairs++;
	}
	if (!scenario)
		fail("nb= names no scenario");
}

const char *param_scenario(void)
{
	return scenario;
}

const char *param(const char *key, const char *fallback)
{
	for (size_t i = 0; i < npairs; i++) {
		if (strcmp(pairs[i].key, key) == 0)
			return pairs[i].value;
	}
	return fallback;
}

unsigned int param_uint(const char *key, unsigned int fallback)
{
	const char *value = param(key, NULL);
	unsigned long n;
	char *end;

	if (!value)
		return fallback;
	n = strtoul(value, &end, 0);
	if (*end || end == value || n > 1000000000)
		fail("parameter %s: '%s' is not a number", key, value);
	return (unsigned int)n;
}
