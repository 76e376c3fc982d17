/* SPDX-License-Identifier: BSD-3-Clause */
#include "machine/desc_keys.h"

#include <stdio.h>
#include <string.h>

#include "base/bits.h"

#define MAX_KEY 32

void desc_keys_list(const char *const *keys, char *buf, size_t size)
{
	size_t at = 0;

	for (buf[0] = 0; *keys && at < size; keys++)
		at += (size_t)snprintf(buf + at, size - at, "%s%s", at ? ", " : "", *keys);
}

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/* How many characters must be put in, taken out or replaced to make one of the other. */
static unsigned int spelling_distance(const char *a, size_t na, const char *b, size_t nb)
{
	unsigned int row[MAX_KEY + 1], corner, left;
	size_t i, j;

	for (j = 0; j <= nb; j++)
		row[j] = (unsigned int)j;
	for (i = 1; i <= na; i++) {
		corner = row[0]++;
		for (j = 1; j <= nb; j++) {
			left = corner + (a[i - 1] != b[j - 1]);
			corner = row[j];
			row[j] = least(left, least(row[j], row[j - 1]) + 1);
		}
	}
	return row[nb];
}

void desc_keys_suggest(const char *const *keys, const char *word, size_t len, char *buf, size_t size)
{
	const char *near[4] = {NULL};
	size_t all = 0, n, i;
	unsigned int d, best = 0, found = 0;
	int at;

	for (n = 0; keys[n]; n++)
		all += strlen(keys[n]) + 2;
	if (all < size - sizeof("known: ")) {
		at = snprintf(buf, size, "known: ");
		desc_keys_list(keys, buf + at, size - (size_t)at);
		return;
	}
	for (i = 0; i < n && len <= MAX_KEY; i++) {
		if (strlen(keys[i]) > MAX_KEY)
			continue;
		d = spelling_distance(word, len, keys[i], strlen(keys[i]));
		if (d > 1 + len / 4 || (found && d > best))
			continue;
		if (!found || d < best)
			found = 0;
		best = d;
		if (found < ARRAY_SIZE(near) - 1)
			near[found++] = keys[i];
	}
	near[found] = NULL;
	at = snprintf(buf, size, "%zu are known, `nestbox host show` prints them", n);
	if (found) {
		at = snprintf(buf, size, "did you mean ");
		desc_keys_list(near, buf + at, size - (size_t)at);
		at += (int)strlen(buf + at);
		snprintf(buf + at, size - (size_t)at, "?");
	}
}
