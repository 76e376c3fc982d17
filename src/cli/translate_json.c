/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/translate_json.h"

#include <string.h>

static bool bad(struct json *j, const char *why)
{
	if (!j->why)
		j->why = why;
	return false;
}

static inline void blanks(struct json *j)
{
	while (j->p < j->end && (*j->p == ' ' || *j->p == '\t' || *j->p == '\n' || *j->p == '\r'))
		j->p++;
}

enum json_type json_peek(struct json *j)
{
	blanks(j);
	if (j->p == j->end) {
		bad(j, "it ends where a value should be");
		return JSON_BAD;
	}
	switch (*j->p) {
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_ARRAY;
	case '"':
		return JSON_STRING;
	case 't':
		return JSON_TRUE;
	case 'f':
		return JSON_FALSE;
	case 'n':
		return JSON_NULL;
	default:
		if (*j->p == '-' || (*j->p >= '0' && *j->p <= '9'))
			return JSON_NUMBER;
		bad(j, "there should be a value");
		return JSON_BAD;
	}
}

/* The length of a UTF-8 sequence of two bytes or more (Unicode, table 3-7), or 0. */
static size_t utf8_len(const unsigned char *p, size_t left)
{
	unsigned char lo = 0x80, hi = 0xbf;
	size_t n, i;

	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		n = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (left < n)
		return 0;
	if (p[0] == 0xe0)
		lo = 0xa0;
	else if (p[0] == 0xed)
		hi = 0x9f;
	else if (p[0] == 0xf0)
		lo = 0x90;
	else if (p[0] == 0xf4)
		hi = 0x8f;
	if (p[1] < lo || p[1] > hi)
		return 0;
	for (i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

static bool hex4(const char *p, const char *end, uint32_t *v)
{
	int i;

	if (end - p < 4)
		return false;
	*v = 0;
	for (i = 0; i < 4; i++) {
		char c = p[i];
		uint32_t d = c >= '0' && c <= '9' ? (uint32_t)(c - '0') :
			     (c | 32) >= 'a' && (c | 32) <= 'f' ? (uint32_t)((c | 32) - 'a') + 10 : 16;

		if (d == 16)
			return false;
		*v = *v << 4 | d;
	}
	return true;
}

static size_t put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* At a backslash. Appends at out[*n], where four bytes are free. */
static bool escape(struct json *j, char *out, size_t *n)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	uint32_t c, low;
	const char *f;

	if (j->end - j->p < 2)
		return bad(j, "a string does not end");
	if (j->p[1] != 'u') {
		f = memchr(from, j->p[1], sizeof(from) - 1);
		if (!f)
			return bad(j, "a string has an escape that does not exist");
		out[(*n)++] = to[f - from];
		j->p += 2;
		return true;
	}
	if (!hex4(j->p + 2, j->end, &c))
		return bad(j, "a string has a \\u without four hexadecimal digits");
	if (c == 0)
		return bad(j, "a string has a NUL");
	if (c >= 0xd800 && c <= 0xdfff) {
		if (c >= 0xdc00 || j->end - j->p < 12 || j->p[6] != '\\' || j->p[7] != 'u' || !hex4(j->p + 8, j->end, &low) ||
		    low < 0xdc00 || low > 0xdfff)
			return bad(j, "a string has half of a surrogate pair");
		c = 0x10000 + ((c & 0x3ff) << 10) + (low & 0x3ff);
		j->p += 6;
	}
	*n += put_utf8(out + *n, c);
	j->p += 6;
	return true;
}

/* From the first byte that is not plain: the string is put together in scratch. */
static __attribute__((noinline)) bool string_slow(struct json *j, const char *start, struct json_str *s)
{
	size_t n = (size_t)(j->p - start), len;

	if (n >= JSON_SCRATCH - 4)
		return bad(j, "a string is too long");
	memcpy(j->scratch, start, n);
	for (;;) {
		if (n >= JSON_SCRATCH - 4)
			return bad(j, "a string is too long");
		if (j->p == j->end)
			return bad(j, "a string does not end");
		if (*j->p == '"')
			break;
		if (*j->p == '\\') {
			if (!escape(j, j->scratch, &n))
				return false;
			continue;
		}
		if ((unsigned char)*j->p < 0x20)
			return bad(j, *j->p ? "a string has a control character" : "there is a NUL byte");
		len = 1;
		if ((unsigned char)*j->p >= 0x80) {
			len = utf8_len((const unsigned char *)j->p, (size_t)(j->end - j->p));
			if (!len)
				return bad(j, "a string is not UTF-8");
		}
		memcpy(j->scratch + n, j->p, len);
		n += len;
		j->p += len;
	}
	j->p++;
	s->p = j->scratch;
	s->n = n;
	return true;
}

bool json_string(struct json *j, struct json_str *s)
{
	const char *start;

	blanks(j);
	if (j->p == j->end || *j->p != '"')
		return bad(j, "there should be a string");
	start = ++j->p;
	while (j->p < j->end && (signed char)*j->p >= 0x20 && *j->p != '"' && *j->p != '\\')
		j->p++;
	if (j->p == j->end || *j->p != '"')
		return string_slow(j, start, s);
	s->p = start;
	s->n = (size_t)(j->p++ - start);
	return true;
}

static size_t digits(struct json *j)
{
	const char *start = j->p;

	while (j->p < j->end && *j->p >= '0' && *j->p <= '9')
		j->p++;
	return (size_t)(j->p - start);
}

bool json_number(struct json *j, struct json_str *s)
{
	const char *start;

	blanks(j);
	start = j->p;
	if (j->p < j->end && *j->p == '-')
		j->p++;
	if (j->p < j->end && *j->p == '0')
		j->p++;
	else if (!digits(j))
		return bad(j, "there should be a number");
	if (j->p < j->end && *j->p == '.') {
		j->p++;
		if (!digits(j))
			return bad(j, "a number ends in its point");
	}
	if (j->p < j->end && (*j->p == 'e' || *j->p == 'E')) {
		j->p++;
		if (j->p < j->end && (*j->p == '+' || *j->p == '-'))
			j->p++;
		if (!digits(j))
			return bad(j, "a number has an exponent without digits");
	}
	s->p = start;
	s->n = (size_t)(j->p - start);
	return true;
}

bool json_literal(struct json *j, enum json_type t)
{
	const char *word = t == JSON_TRUE ? "true" : t == JSON_FALSE ? "false" : "null";
	size_t n = strlen(word);

	blanks(j);
	if ((size_t)(j->end - j->p) < n || memcmp(j->p, word, n) != 0)
		return bad(j, "there should be a value");
	j->p += n;
	return true;
}

bool json_begin(struct json *j, char bracket)
{
	blanks(j);
	if (j->p == j->end || *j->p != bracket)
		return bad(j, bracket == '{' ? "there should be an object" : "there should be an array");
	j->p++;
	return true;
}

/* The comma before, or the bracket that closes. True: a value follows. */
static inline bool next(struct json *j, unsigned int *n, char close)
{
	blanks(j);
	if (j->p == j->end)
		return bad(j, close == '}' ? "an object does not end" : "an array does not end");
	if (*j->p == close) {
		j->p++;
		return false;
	}
	if (*n > 0) {
		if (*j->p != ',')
			return bad(j, close == '}' ? "there should be \",\" or \"}\"" : "there should be \",\" or \"]\"");
		j->p++;
	}
	(*n)++;
	return true;
}

bool json_member(struct json *j, unsigned int *n, struct json_str *key)
{
	if (j->why || !next(j, n, '}') || !json_string(j, key))
		return false;
	blanks(j);
	if (j->p == j->end || *j->p != ':')
		return bad(j, "there should be \":\"");
	j->p++;
	return true;
}

bool json_element(struct json *j, unsigned int *n)
{
	return !j->why && next(j, n, ']');
}

bool json_end(struct json *j)
{
	if (j->why)
		return false;
	blanks(j);
	return j->p == j->end || bad(j, "there is more behind the end");
}

static bool skip_scalar(struct json *j, enum json_type t)
{
	struct json_str s;

	switch (t) {
	case JSON_STRING:
		return json_string(j, &s);
	case JSON_NUMBER:
		return json_number(j, &s);
	case JSON_TRUE:
	case JSON_FALSE:
	case JSON_NULL:
		return json_literal(j, t);
	default:
		return false;
	}
}

bool json_skip(struct json *j, struct json_str *s)
{
	char close[JSON_MAX_DEPTH];
	unsigned int count[JSON_MAX_DEPTH], depth = 0;
	struct json_str key;
	const char *start;

	json_peek(j);
	start = j->p;
	do {
		enum json_type t;

		if (depth > 0) {
			bool more = close[depth - 1] == '}' ? json_member(j, &count[depth - 1], &key) :
							      json_element(j, &count[depth - 1]);

			if (j->why)
				return false;
			if (!more) {
				depth--;
				continue;
			}
		}
		t = json_peek(j);
		if (t == JSON_OBJECT || t == JSON_ARRAY) {
			if (depth == JSON_MAX_DEPTH)
				return bad(j, "values are nested too deeply");
			close[depth] = t == JSON_OBJECT ? '}' : ']';
			count[depth++] = 0;
			j->p++;
		} else if (!skip_scalar(j, t)) {
			return false;
		}
	} while (depth > 0);
	if (s) {
		s->p = start;
		s->n = (size_t)(j->p - start);
	}
	return true;
}

bool json_hex(const struct json_str *s, uint64_t *v)
{
	uint64_t x = 0;
	size_t i;

	if (s->n < 3 || s->p[0] != '0' || (s->p[1] | 32) != 'x')
		return false;
	for (i = 2; i < s->n; i++) {
		unsigned int c = (unsigned char)s->p[i], d;

		if (c - '0' < 10)
			d = c - '0';
		else if ((c | 32) - 'a' < 6)
			d = (c | 32) - 'a' + 10;
		else
			return false;
		if (x >> 60)
			return false;
		x = x << 4 | d;
	}
	*v = x;
	return true;
}

bool json_uint(const struct json_str *s, uint64_t max, uint64_t *v)
{
	uint64_t x = 0;
	size_t i;

	for (i = 0; i < s->n; i++) {
		unsigned int d = (unsigned int)(unsigned char)s->p[i] - '0';

		if (d > 9 || x > (UINT64_MAX - d) / 10)
			return false;
		x = x * 10 + d;
	}
	if (!s->n || x > max)
		return false;
	*v = x;
	return true;
}
