/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CONFIG.json: which files are memory, and what the registers hold.
 *
 * Every complaint names the line and the key. What only the model can judge (an overlap, a register that it does not
 * have) comes back as the index of an item, and the item knows its line.
 */
#include "cli/translate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

#define MAX_FILE   (4u << 20)
#define MAX_VALUES 16

struct values {
	struct offline_value v[MAX_VALUES];
	unsigned int line[MAX_VALUES], at; /* at: of the object */
	size_t n;
};

struct config {
	char *path;
	char *text;
	size_t len;
	char scratch[JSON_SCRATCH];
	struct json j;
	struct nb_diag *diag;

	struct offline_region *region;
	unsigned int *region_line;
	size_t nregions, room;
	unsigned int memory_at;
	struct values reg, cap;
};

static unsigned int line_at(const struct config *c, const char *p)
{
	unsigned int line = 1;
	const char *q = c->text;

	while ((q = memchr(q, '\n', (size_t)(p - q)))) {
		line++;
		q++;
	}
	return line;
}

/* At the value that is to be read next. */
static unsigned int here(struct config *c)
{
	json_peek(&c->j);
	return line_at(c, c->j.p);
}

static int refuse(const struct config *c, unsigned int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int refuse(const struct config *c, unsigned int line, const char *fmt, ...)
{
	char why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return nb_fail(c->diag, -EINVAL, "%s:%u: %s", c->path, line, why);
}

static int not_json(const struct config *c, const char *what)
{
	return refuse(c, line_at(c, c->j.p), "%s: not JSON: %s", what, c->j.why);
}

#define SHOWN(s) (int)((s)->n > 40 ? 40 : (s)->n), (s)->p

static char *copy(const struct json_str *s)
{
	char *p = nb_zalloc(s->n + 1);

	if (p)
		memcpy(p, s->p, s->n);
	return p;
}

static int need(struct config *c, enum json_type want, const char *what, const char *article)
{
	enum json_type t = json_peek(&c->j);

	if (t == want)
		return 0;
	if (t == JSON_BAD)
		return not_json(c, what);
	return refuse(c, line_at(c, c->j.p), "%s must be %s", what, article);
}

static int get_hex(struct config *c, const char *what, uint64_t *v)
{
	static const char article[] = "a hexadecimal string like \"0x1000\"";
	struct json_str s;
	unsigned int line = here(c);
	int err = need(c, JSON_STRING, what, article);

	if (err)
		return err;
	if (!json_string(&c->j, &s))
		return not_json(c, what);
	if (!json_hex(&s, v))
		return refuse(c, line, "%s must be %s of at most 64 bits, and is \"%.*s\"", what, article, SHOWN(&s));
	return 0;
}

/* A relative name is looked for beside the configuration, and then where we are. */
static char *find_file(const struct config *c, const struct json_str *s)
{
	const char *slash = strrchr(c->path, '/');
	size_t dir = slash ? (size_t)(slash - c->path) + 1 : 0;
	char *name = copy(s), *beside;

	if (!name || name[0] == '/' || dir == 0)
		return name;
	beside = nb_zalloc(dir + s->n + 1);
	if (!beside) {
		nb_free(name);
		return NULL;
	}
	memcpy(beside, c->path, dir);
	memcpy(beside + dir, name, s->n);
	if (access(beside, F_OK) && !access(name, F_OK)) {
		nb_free(beside);
		return name;
	}
	nb_free(name);
	return beside;
}

static int get_file(struct config *c, const char *what, const char **out)
{
	struct json_str s;
	unsigned int line = here(c);
	int err = need(c, JSON_STRING, what, "the name of a file");

	if (err)
		return err;
	if (!json_string(&c->j, &s))
		return not_json(c, what);
	if (s.n == 0)
		return refuse(c, line, "%s must be the name of a file", what);
	*out = find_file(c, &s);
	return *out ? 0 : nb_fail(c->diag, -ENOMEM, "out of memory");
}

static int more_room(struct config *c)
{
	size_t room = c->room ? 2 * c->room : 8;
	struct offline_region *r = nb_realloc(c->region, room, sizeof(*r));
	unsigned int *line;

	if (r)
		c->region = r;
	line = r ? nb_realloc(c->region_line, room, sizeof(*line)) : NULL;
	if (!line)
		return nb_fail(c->diag, -ENOMEM, "out of memory");
	c->region_line = line;
	c->room = room;
	return 0;
}

static int read_region(struct config *c, size_t i)
{
	enum { BASE = 1, FILE_NAME = 2 };
	unsigned int seen = 0, n = 0, line = here(c);
	struct offline_region *r;
	struct json_str key;
	char what[64];
	int err;

	snprintf(what, sizeof(what), "memory[%zu]", i);
	err = need(c, JSON_OBJECT, what, "an object with \"base\" and \"file\"");
	if (err)
		return err;
	if (i == OFFLINE_MAX_REGIONS)
		return refuse(c, line, "%s: there may be at most %d regions", what, OFFLINE_MAX_REGIONS);
	if (i == c->room && more_room(c))
		return -ENOMEM;
	r = &c->region[i];
	*r = (struct offline_region){0, NULL};
	c->region_line[i] = line;
	c->nregions = i + 1;
	json_begin(&c->j, '{');
	while (json_member(&c->j, &n, &key)) {
		unsigned int k = json_is(&key, "base") ? BASE : json_is(&key, "file") ? FILE_NAME : 0;

		line = line_at(c, c->j.p);
		if (!k)
			return refuse(c, line, "%s has no key \"%.*s\" (known: base, file)", what, SHOWN(&key));
		if (seen & k)
			return refuse(c, line, "%s.%s is given twice", what, k == BASE ? "base" : "file");
		seen |= k;
		snprintf(what, sizeof(what), "memory[%zu].%s", i, k == BASE ? "base" : "file");
		err = k == BASE ? get_hex(c, what, &r->base) : get_file(c, what, &r->file);
		if (err)
			return err;
		snprintf(what, sizeof(what), "memory[%zu]", i);
	}
	if (c->j.why)
		return not_json(c, what);
	if (seen != (BASE | FILE_NAME))
		return refuse(c, c->region_line[i], "%s has no \"%s\"", what, seen & BASE ? "file" : "base");
	return 0;
}

static int read_memory(struct config *c)
{
	unsigned int n = 0;
	int err = need(c, JSON_ARRAY, "memory", "an array of regions");

	if (err)
		return err;
	c->memory_at = line_at(c, c->j.p);
	json_begin(&c->j, '[');
	while (json_element(&c->j, &n)) {
		err = read_region(c, n - 1);
		if (err)
			return err;
	}
	return c->j.why ? not_json(c, "memory") : 0;
}

static int read_values(struct config *c, const char *part, struct values *v)
{
	unsigned int n = 0, line;
	struct json_str key;
	char what[96], *name;
	int err = need(c, JSON_OBJECT, part, "an object of names and hexadecimal strings");

	if (err)
		return err;
	v->at = line_at(c, c->j.p);
	json_begin(&c->j, '{');
	while (json_member(&c->j, &n, &key)) {
		line = line_at(c, c->j.p);
		if (v->n == MAX_VALUES)
			return refuse(c, line, "%s: there may be at most %d", part, MAX_VALUES);
		name = copy(&key);
		if (!name)
			return nb_fail(c->diag, -ENOMEM, "out of memory");
		snprintf(what, sizeof(what), "%s.%.40s", part, name);
		v->line[v->n] = line;
		v->v[v->n++].name = name;
		err = get_hex(c, what, &v->v[v->n - 1].value);
		if (err)
			return err;
	}
	return c->j.why ? not_json(c, part) : 0;
}

static int read_top(struct config *c)
{
	enum { MEMORY = 1, REGISTERS = 2, CAPS = 4 };
	unsigned int seen = 0, n = 0;
	struct json_str key;
	int err = need(c, JSON_OBJECT, "the configuration", "an object with \"memory\" and \"registers\"");

	if (err)
		return err;
	json_begin(&c->j, '{');
	while (json_member(&c->j, &n, &key)) {
		unsigned int k = json_is(&key, "memory")	? MEMORY :
				 json_is(&key, "registers") ? REGISTERS :
				 json_is(&key, "caps")	? CAPS : 0;

		if (!k)
			return refuse(c, line_at(c, c->j.p), "the configuration has no key \"%.*s\" (known: memory, registers, caps)",
				      SHOWN(&key));
		if (seen & k)
			return refuse(c, line_at(c, c->j.p), "%.*s is given twice", SHOWN(&key));
		seen |= k;
		err = k == MEMORY ? read_memory(c) : k == REGISTERS ? read_values(c, "registers", &c->reg) :
								       read_values(c, "caps", &c->cap);
		if (err)
			return err;
	}
	if (!json_end(&c->j))
		return not_json(c, "the configuration");
	if (!(seen & MEMORY) || !(seen & REGISTERS))
		return refuse(c, 1, "the configuration has no \"%s\"", seen & MEMORY ? "registers" : "memory");
	return 0;
}

static int load_text(struct config *c)
{
	const char *path = c->path;
	int err = 0, fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n = 1;

	if (fd < 0)
		return nb_fail(c->diag, -errno, "%s: %s", path, strerror(errno));
	c->text = nb_zalloc(MAX_FILE + 1);
	if (!c->text) {
		close(fd);
		return nb_fail(c->diag, -ENOMEM, "%s: out of memory", path);
	}
	while (c->len <= MAX_FILE && n) {
		n = read(fd, c->text + c->len, MAX_FILE + 1 - c->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err = nb_fail(c->diag, -errno, "%s: %s", path, strerror(errno));
			break;
		}
		c->len += (size_t)n;
	}
	if (!err && c->len > MAX_FILE)
		err = nb_fail(c->diag, -EINVAL, "%s: larger than 4 MiB, this is no configuration", path);
	close(fd);
	return err;
}

int config_read(const char *path, struct config **out, struct nb_diag *diag)
{
	struct config *c = nb_zalloc(sizeof(*c));
	int err;

	if (!c)
		return nb_fail(diag, -ENOMEM, "out of memory");
	c->diag = diag;
	c->path = nb_zalloc(strlen(path) + 1);
	if (!c->path) {
		config_free(c);
		return nb_fail(diag, -ENOMEM, "out of memory");
	}
	strcpy(c->path, path);
	err = load_text(c);
	if (!err) {
		c->j = (struct json){.p = c->text, .end = c->text + c->len, .scratch = c->scratch};
		err = read_top(c);
	}
	if (err) {
		config_free(c);
		return err;
	}
	c->diag = NULL;
	*out = c;
	return 0;
}

void config_free(struct config *c)
{
	size_t i;

	if (!c)
		return;
	for (i = 0; i < c->nregions; i++)
		nb_free((char *)(uintptr_t)c->region[i].file);
	for (i = 0; i < c->reg.n; i++)
		nb_free((char *)(uintptr_t)c->reg.v[i].name);
	for (i = 0; i < c->cap.n; i++)
		nb_free((char *)(uintptr_t)c->cap.v[i].name);
	nb_free(c->region);
	nb_free(c->region_line);
	nb_free(c->text);
	nb_free(c->path);
	nb_free(c);
}

static int blamed(const struct config *c, const struct offline_blame *b, int err, const char *why, struct nb_diag *diag)
{
	const struct values *v = b->part == OFFLINE_REGISTERS ? &c->reg : &c->cap;
	const char *part = b->part == OFFLINE_REGISTERS ? "registers" : "caps";

	switch (b->part) {
	case OFFLINE_MEMORY:
		if (b->item < c->nregions)
			return nb_fail(diag, err, "%s:%u: memory[%zu]: %s", c->path, c->region_line[b->item], b->item, why);
		return nb_fail(diag, err, "%s:%u: memory: %s", c->path, c->memory_at, why);
	case OFFLINE_REGISTERS:
	case OFFLINE_CAPS:
		if (b->item < v->n)
			return nb_fail(diag, err, "%s:%u: %s: %s", c->path, v->line[b->item], part, why);
		return nb_fail(diag, err, "%s:%u: %s: %s", c->path, v->at ? v->at : 1, part, why);
	default:
		return nb_fail(diag, err, "%s", why);
	}
}

int config_create_model(const struct config *c, const char *model, struct offline **out, struct nb_diag *diag)
{
	const struct offline_cfg cfg = {
		.model = model,
		.region = c->region,
		.nregions = c->nregions,
		.reg = c->reg.v,
		.nregs = c->reg.n,
		.cap = c->cap.v,
		.ncaps = c->cap.n,
	};
	struct nb_diag why = {""};
	struct offline_blame blame;
	int err = offline_create(&cfg, out, &blame, &why);

	return err ? blamed(c, &blame, err, why.msg, diag) : 0;
}

int config_check_write_back(const struct config *c, const struct offline *o, struct nb_diag *diag)
{
	struct nb_diag why = {""};
	struct offline_blame blame;
	int err = offline_can_write_back(o, &blame, &why);

	return err ? blamed(c, &blame, err, why.msg, diag) : 0;
}
