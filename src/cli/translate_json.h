/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * JSON (RFC 8259) as `nestbox translate` reads it: a cursor over text in memory, no tree, no allocation.
 *
 * Strict: what is not JSON is refused, with a reason and the place. Strings are checked to be UTF-8 and
 * may not hold NUL, not even as an escape, because every one that we look at is a name or a number for us. Depth is
 * bounded, so text of any kind takes a time that is linear in its length and a fixed stack.
 */
#ifndef NB_CLI_TRANSLATE_JSON_H
#define NB_CLI_TRANSLATE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_SCRATCH 4096
#define JSON_MAX_DEPTH 32

struct json {
	const char *p, *end;
	const char *why; /* set when something was refused; p is where */
	char *scratch;	 /* JSON_SCRATCH bytes: where a string with escapes is put */
};

struct json_str {
	const char *p; /* in the text, or in scratch until the next string is read */
	size_t n;
};

enum json_type { JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_NUMBER, JSON_TRUE, JSON_FALSE, JSON_NULL, JSON_BAD };

/* Each returns false, with `why` set, when the text is not JSON. */

/* What comes next, blanks skipped; nothing is consumed. JSON_BAD: nothing that begins a value. */
enum json_type json_peek(struct json *j);
bool json_string(struct json *j, struct json_str *s);
/* Its text as it stands. */
bool json_number(struct json *j, struct json_str *s);
/* true, false or null: the one that json_peek() announced. */
bool json_literal(struct json *j, enum json_type t);
/* Any value, checked and left out; *s (may be null) is its text. */
bool json_skip(struct json *j, struct json_str *s);

/*
 * Members of an object, elements of an array: begin, then `while (json_member(...))` with the value consumed each time. *n counts them from
 * 0. json_member() returns false at the end or at an error: look at why.
 */
bool json_begin(struct json *j, char bracket);
bool json_member(struct json *j, unsigned int *n, struct json_str *key);
bool json_element(struct json *j, unsigned int *n);
/* Nothing but blanks may be left. */
bool json_end(struct json *j);

/* "0x" and 1 to 16 significant hexadecimal digits. */
bool json_hex(const struct json_str *s, uint64_t *v);
/* A number's text as an integer from 0 to max; no sign, fraction or exponent. */
bool json_uint(const struct json_str *s, uint64_t max, uint64_t *v);

static inline bool json_is(const struct json_str *s, const char *word)
{
	size_t n = __builtin_strlen(word);

	return s->n == n && __builtin_memcmp(s->p, word, n) == 0;
}

#endif
