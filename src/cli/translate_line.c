/* SPDX-License-Identifier: BSD-3-Clause */
/* One request line in, one result line out: half a million a second is the aim, so by hand and without printf. */
#include "cli/translate.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"

enum { K_ID = 1, K_RID = 2, K_PASID = 4, K_ADDR = 8, K_OP = 16, K_PRIV = 32, K_FLUSH = 64 };

/* A line that is JSON but no request is read to its end, so that its id is known; the first reason counts. */
static __attribute__((cold, format(printf, 2, 3))) void no_request(struct line *l, const char *fmt, ...)
{
	va_list ap;

	if (l->error[0])
		return;
	va_start(ap, fmt);
	vsnprintf(l->error, sizeof(l->error), fmt, ap);
	va_end(ap);
}

/* What came from the line, fit to be shown: at most 40 characters, none of which JSON escapes. */
static const char *shown(const struct json_str *s, char buf[44])
{
	size_t i, n = s->n > 40 ? 40 : s->n;

	for (i = 0; i < n; i++)
		buf[i] = s->p[i] >= 0x20 && s->p[i] < 0x7f && s->p[i] != '"' && s->p[i] != '\\' ? s->p[i] : '?';
	strcpy(buf + n, s->n > 40 ? "..." : "");
	return buf;
}

static unsigned int key_of(const struct json_str *k)
{
	switch (k->n) {
	case 2:
		return json_is(k, "id") ? K_ID : json_is(k, "op") ? K_OP : 0;
	case 3:
		return json_is(k, "rid") ? K_RID : 0;
	case 4:
		return json_is(k, "addr") ? K_ADDR : json_is(k, "priv") ? K_PRIV : 0;
	case 5:
		return json_is(k, "pasid") ? K_PASID : json_is(k, "flush") ? K_FLUSH : 0;
	default:
		return 0;
	}
}

/* A value of another type than the key wants: checked to be JSON and passed over. */
static __attribute__((cold, noinline)) bool wrong_type(struct json *j, struct line *l, const char *what)
{
	no_request(l, "%s", what);
	return json_skip(j, NULL);
}

static bool on_id(struct json *j, struct line *l)
{
	enum json_type t = json_peek(j);
	struct json_str raw;

	if (t == JSON_OBJECT || t == JSON_ARRAY)
		return wrong_type(j, l, "id is neither a number nor a string");
	if (t == JSON_NUMBER ? !json_number(j, &raw) : !json_skip(j, &raw))
		return false;
	if (raw.n > LINE_MAX_ID)
		no_request(l, "id is longer than %u bytes", LINE_MAX_ID);
	else
		l->id = raw;
	return true;
}

static bool on_rid(struct json *j, struct line *l)
{
	static const char what[] = "rid is not an integer from 0 to 65535";
	struct json_str s;
	uint64_t v;

	if (json_peek(j) != JSON_NUMBER)
		return wrong_type(j, l, what);
	if (!json_number(j, &s))
		return false;
	if (json_uint(&s, UINT16_MAX, &v))
		l->req.rid = (uint16_t)v;
	else
		no_request(l, what);
	return true;
}

static bool on_pasid(struct json *j, struct line *l)
{
	static const char what[] = "pasid is neither null nor an integer from 0 to 1048575";
	enum json_type t = json_peek(j);
	struct json_str s;
	uint64_t v;

	if (t == JSON_NULL)
		return json_literal(j, t);
	if (t != JSON_NUMBER)
		return wrong_type(j, l, what);
	if (!json_number(j, &s))
		return false;
	if (json_uint(&s, NB_PASID_MAX, &v))
		l->req.pasid = (uint32_t)v;
	else
		no_request(l, what);
	return true;
}

static bool on_addr(struct json *j, struct line *l)
{
	struct json_str s;

	if (json_peek(j) != JSON_STRING)
		return wrong_type(j, l, "addr is not a hexadecimal string");
	if (!json_string(j, &s))
		return false;
	if (!json_hex(&s, &l->req.addr))
		no_request(l, "addr is not a hexadecimal string of at most 64 bits, like 0x12345000");
	return true;
}

static bool on_op(struct json *j, struct line *l)
{
	static const char what[] = "op is none of read, write, exec and atomic";
	struct json_str s;

	if (json_peek(j) != JSON_STRING)
		return wrong_type(j, l, what);
	if (!json_string(j, &s))
		return false;
	if (json_is(&s, "read"))
		l->req.access = HW_READ;
	else if (json_is(&s, "write"))
		l->req.access = HW_WRITE;
	else if (json_is(&s, "exec"))
		l->req.access = HW_EXEC;
	else if (json_is(&s, "atomic"))
		l->req.access = HW_READ | HW_WRITE;
	else
		no_request(l, what);
	return true;
}

static bool on_priv(struct json *j, struct line *l)
{
	enum json_type t = json_peek(j);

	if (t != JSON_TRUE && t != JSON_FALSE)
		return wrong_type(j, l, "priv is neither true nor false");
	if (t == JSON_TRUE)
		l->req.flags |= HW_PRIV;
	return json_literal(j, t);
}

static bool on_flush(struct json *j, struct line *l)
{
	enum json_type t = json_peek(j);

	if (t != JSON_TRUE)
		return wrong_type(j, l, "flush is not true");
	return json_literal(j, t);
}

static bool on_key(struct json *j, struct line *l, unsigned int key)
{
	switch (key) {
	case K_ID:
		return on_id(j, l);
	case K_RID:
		return on_rid(j, l);
	case K_PASID:
		return on_pasid(j, l);
	case K_ADDR:
		return on_addr(j, l);
	case K_OP:
		return on_op(j, l);
	case K_PRIV:
		return on_priv(j, l);
	default:
		return on_flush(j, l);
	}
}

enum line_kind line_parse(const char *text, size_t len, char *scratch, struct line *l)
{
	struct json j = {.p = text, .end = text + len, .scratch = scratch};
	unsigned int seen = 0, n = 0, key;
	struct json_str name;
	char buf[44];

	l->id = (struct json_str){"null", 4};
	l->error[0] = 0;
	l->req = (struct hw_request){.pasid = NB_NO_PASID};
	if (json_begin(&j, '{')) {
		while (json_member(&j, &n, &name)) {
			key = key_of(&name);
			if (!key)
				no_request(l, "there is no key %s", shown(&name, buf));
			else if (seen & key)
				no_request(l, "%s is given twice", shown(&name, buf));
			if (!key || (seen & key) ? !json_skip(&j, NULL) : !on_key(&j, l, key))
				break;
			seen |= key;
		}
	}
	if (unlikely(!json_end(&j))) {
		if (j.p == l->id.p + l->id.n)
			l->id = (struct json_str){"null", 4}; /* 05, 5x: who knows */
		/* Where it is no JSON any more comes before what was wrong with it so far. */
		l->error[0] = 0;
		no_request(l, "not a JSON object: at byte %zu %s", (size_t)(j.p - text) + 1, j.why);
		for (char *c = l->error; *c; c++)
			if (*c == '"' || *c == '\\')
				*c = '\'';
		return LINE_BAD;
	}
	if (unlikely(l->error[0]))
		return LINE_BAD;
	if (likely((seen & (K_RID | K_ADDR | K_OP)) == (K_RID | K_ADDR | K_OP) && !(seen & K_FLUSH)))
		return LINE_REQUEST;
	if (seen == K_FLUSH)
		return LINE_FLUSH;
	if (seen & K_FLUSH)
		no_request(l, "flush stands alone");
	else
		no_request(l, "%s is missing", !(seen & K_RID) ? "rid" : !(seen & K_ADDR) ? "addr" : "op");
	return LINE_BAD;
}

/* ---- results ---- */

static inline char *put(char *out, const char *s, size_t n)
{
	memcpy(out, s, n);
	return out + n;
}
#define PUT(out, literal) put(out, literal, sizeof(literal) - 1)

static const char hex_digits[] = "0123456789abcdef";

/* "0x..." in quotes. */
static inline char *put_hex(char *out, uint64_t v)
{
	unsigned int n = v ? nb_ilog2(v) / 4 + 1 : 1, i;

	out = PUT(out, "\"0x");
	for (i = n; i-- > 0; v >>= 4)
		out[i] = hex_digits[v & 15];
	out += n;
	*out++ = '"';
	return out;
}

static inline char *put_uint8(char *out, unsigned int v)
{
	if (v >= 100)
		*out++ = (char)('0' + v / 100);
	if (v >= 10)
		*out++ = (char)('0' + v / 10 % 10);
	*out++ = (char)('0' + v % 10);
	return out;
}

/* The bytes in the order in which they lie in memory. */
static char *put_record(char *out, const struct hw_fault *f)
{
	unsigned int i;

	*out++ = '"';
	for (i = 0; i < f->record_len && i < sizeof(f->record); i++) {
		unsigned int byte = (unsigned int)(f->record[i / 8] >> (i % 8 * 8)) & 0xff;

		*out++ = hex_digits[byte >> 4];
		*out++ = hex_digits[byte & 15];
	}
	*out++ = '"';
	return out;
}

static char *put_fault(char *out, const struct hw_fault *f)
{
	out = PUT(out, ", \"ok\": false, \"fault\": ");
	out = put_hex(out, f->reason);
	out = PUT(out, ", \"stage\": ");
	out = f->stage ? put_uint8(out, f->stage) : PUT(out, "null");
	out = PUT(out, ", \"ipa\": ");
	out = f->stage == 2 && f->gpa_valid ? put_hex(out, f->gpa.v) : PUT(out, "null");
	out = PUT(out, ", \"record\": ");
	return f->record_len ? put_record(out, f) : PUT(out, "null");
}

char *line_put_result(char *out, const struct line *l, const struct hw_result *res)
{
	out = PUT(out, "{ \"id\": ");
	out = put(out, l->id.p, l->id.n);
	if (unlikely(res->kind == HW_FAULT)) {
		out = put_fault(out, &res->fault);
	} else { /* an interrupt message as well: it goes out as it came */
		out = PUT(out, ", \"ok\": true, \"pa\": ");
		out = put_hex(out, res->pa.v);
		out = PUT(out, ", \"lg2\": ");
		out = put_uint8(out, res->lg2);
		out = PUT(out, ", \"perm\": \"");
		if (res->perm & HW_READ)
			*out++ = 'r';
		if (res->perm & HW_WRITE)
			*out++ = 'w';
		if (res->perm & HW_EXEC)
			*out++ = 'x';
		*out++ = '"';
	}
	return PUT(out, " }\n");
}

char *line_put_error(char *out, const struct json_str *id, const char *why)
{
	out = PUT(out, "{ \"id\": ");
	out = put(out, id->p, id->n);
	out = PUT(out, ", \"error\": \"");
	out = put(out, why, strlen(why));
	return PUT(out, "\" }\n");
}
