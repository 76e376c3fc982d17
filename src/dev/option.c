/* SPDX-License-Identifier: BSD-3-Clause */
#include "dev/option.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* strtoull() takes signs and leading blanks, which would turn "-1" into a huge size: the first byte must be a digit. */
static bool parse(const char *s, uint64_t *v, const char **rest)
{
	char *end;

	if (!s || *s < '0' || *s > '9')
		return false;
	errno = 0;
	*v = strtoull(s, &end, s[0] == '0' && (s[1] | 0x20) == 'x' ? 16 : 10);
	*rest = end;
	return errno == 0;
}

static const char *shown(const struct dev_option *o)
{
	return o->value ? o->value : "";
}

int option_number(const struct dev_option *o, uint64_t min, uint64_t max, uint64_t *out, struct nb_diag *diag)
{
	const char *rest;
	uint64_t v;

	if (!parse(o->value, &v, &rest) || *rest || v < min || v > max)
		return nb_fail(diag, -EINVAL, "option %s: \"%s\" is not a number from %" PRIu64 " to %" PRIu64,
			       o->key, shown(o), min, max);
	*out = v;
	return 0;
}

int option_bytes(const struct dev_option *o, uint64_t min, uint64_t max, uint64_t *out, struct nb_diag *diag)
{
	static const struct {
		const char *suffix;
		uint64_t factor;
	} units[] = {
		{ "", 1 },		{ "B", 1 },
		{ "KiB", UINT64_C(1) << 10 }, { "K", UINT64_C(1) << 10 },
		{ "MiB", UINT64_C(1) << 20 }, { "M", UINT64_C(1) << 20 },
		{ "GiB", UINT64_C(1) << 30 }, { "G", UINT64_C(1) << 30 },
		{ "TiB", UINT64_C(1) << 40 }, { "T", UINT64_C(1) << 40 },
	};
	const char *rest = "";
	uint64_t v;

	if (!parse(o->value, &v, &rest))
		return nb_fail(diag, -EINVAL, "option %s: \"%s\" is not a size such as 512MiB", o->key, shown(o));
	while (*rest == ' ')
		rest++;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcasecmp(rest, units[i].suffix) != 0)
			continue;
		if (v > max / units[i].factor || v * units[i].factor < min)
			return nb_fail(diag, -EINVAL, "option %s: \"%s\" is not between %" PRIu64 " and %" PRIu64 " bytes",
				       o->key, shown(o), min, max);
		*out = v * units[i].factor;
		return 0;
	}
	return nb_fail(diag, -EINVAL, "option %s: \"%s\" ends in an unknown unit; KiB, MiB, GiB and TiB are known",
		       o->key, shown(o));
}

int option_bool(const struct dev_option *o, bool *out, struct nb_diag *diag)
{
	static const char *const words[2][4] = {{"off", "false", "no", "0"}, {"on", "true", "yes", "1"}};

	for (int v = 0; v < 2; v++) {
		for (int i = 0; i < 4; i++) {
			if (o->value && strcasecmp(o->value, words[v][i]) == 0) {
				*out = v;
				return 0;
			}
		}
	}
	return nb_fail(diag, -EINVAL, "option %s: \"%s\" is neither on nor off", o->key, shown(o));
}

int option_unknown(const struct dev_option *o, const char *model, struct nb_diag *diag)
{
	return nb_fail(diag, -EINVAL, "%s has no option \"%s\"", model, o->key ? o->key : "");
}
