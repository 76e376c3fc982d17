/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `nestbox translate`: a memory image and registers in, translations and faults out.
 *
 * Requests are read and results written by the megabyte. Results are written out before we wait for more requests, so that a
 * program at the other end of two pipes may ask and listen in turns.
 */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/translate.h"

#define BUFFER (1u << 20)
_Static_assert(BUFFER > LINE_MAX_LEN && BUFFER > RESULT_MAX, "a line of each fits");

static const char help[] =
	"usage: nestbox translate --model NAME --config CONFIG.json [--requests FILE] [--results FILE]\n"
	"                         [--image-out DIR]\n\n"
	"Answers translation requests from a memory image and register values, as the IOMMU would.\n\n"
	"  --model NAME      the hardware: vtd or smmuv3\n"
	"  --config FILE     memory, registers and, if need be, capabilities\n"
	"  --requests FILE   one JSON object a line; - or nothing: standard input\n"
	"  --results FILE    one JSON object a line, in order; - or nothing: standard output\n"
	"  --image-out DIR   write the memory there afterwards, with accessed and dirty bits\n\n"
	"The formats are described in nestbox-translate(1).\n";

struct options {
	const char *model, *config, *requests, *results, *image_out;
};

struct stream {
	const char *name;
	int in, out;
	char *buf, *obuf;
	char *end; /* of what is in obuf */
	char scratch[JSON_SCRATCH];
	const char *out_name;
	struct offline *o;
	struct line line;
	int err; /* of writing */
};

static int parse_options(int argc, char **argv, struct options *o)
{
	enum { MODEL = 256, CONFIG, REQUESTS, RESULTS, IMAGE_OUT };
	static const struct option longs[] = {
		{"model", required_argument, NULL, MODEL},	 {"config", required_argument, NULL, CONFIG},
		{"requests", required_argument, NULL, REQUESTS}, {"results", required_argument, NULL, RESULTS},
		{"image-out", required_argument, NULL, IMAGE_OUT}, {NULL, 0, NULL, 0},
	};
	const char **where;
	int c;

	opterr = 0;
	optind = 1;
	while ((c = getopt_long(argc, argv, ":", longs, NULL)) != -1) {
		switch (c) {
		case MODEL:
			where = &o->model;
			break;
		case CONFIG:
			where = &o->config;
			break;
		case REQUESTS:
			where = &o->requests;
			break;
		case RESULTS:
			where = &o->results;
			break;
		case IMAGE_OUT:
			where = &o->image_out;
			break;
		case ':':
			return cli_fail(CLI_USAGE, "%s needs a value (try nestbox translate --help)", argv[optind - 1]);
		default:
			return cli_fail(CLI_USAGE, "there is no option \"%s\" (try nestbox translate --help)",
					argv[optind - 1]);
		}
		if (*where)
			return cli_fail(CLI_USAGE, "--%s is given twice", longs[c - MODEL].name);
		*where = optarg;
	}
	if (argv[optind])
		return cli_fail(CLI_USAGE, "\"%s\" is one word too many (try nestbox translate --help)", argv[optind]);
	if (!o->model || !o->config)
		return cli_fail(CLI_USAGE, "translate needs --%s (try nestbox translate --help)",
				o->model ? "config" : "model");
	if (o->image_out && !*o->image_out)
		return cli_fail(CLI_USAGE, "--image-out needs the name of a folder");
	return 0;
}

static bool is_std(const char *name)
{
	return !name || strcmp(name, "-") == 0;
}

/* ---- the loop ---- */

static void write_out(struct stream *s)
{
	const char *p = s->obuf;

	while (!s->err && p < s->end) {
		ssize_t n = write(s->out, p, (size_t)(s->end - p));

		if (n < 0 && errno != EINTR)
			s->err = errno;
		else if (n > 0)
			p += n;
	}
	s->end = s->obuf;
}

static inline void make_room(struct stream *s)
{
	if ((size_t)(s->end - s->obuf) > BUFFER - RESULT_MAX)
		write_out(s);
}

static void do_line(struct stream *s, const char *text, size_t len)
{
	struct hw_result res;

	make_room(s);
	if (len > LINE_MAX_LEN) {
		s->end = line_put_error(s->end, &(struct json_str){"null", 4}, "the line is longer than 65536 bytes");
		return;
	}
	switch (line_parse(text, len, s->scratch, &s->line)) {
	case LINE_REQUEST:
		offline_translate(s->o, &s->line.req, &res);
		s->end = line_put_result(s->end, &s->line, &res);
		break;
	case LINE_FLUSH:
		offline_flush(s->o);
		break;
	case LINE_BAD:
		s->end = line_put_error(s->end, &s->line.id, s->line.error);
		break;
	}
}

/* All requests until the end. 0 or the errno of reading. */
static int run(struct stream *s)
{
	size_t have = 0; /* bytes of a line that has not ended */
	bool too_long = false;

	for (;;) {
		const char *p = s->buf, *nl, *end;
		ssize_t n;

		write_out(s); /* reading may wait */
		if (s->err)
			return 0;
		n = read(s->in, s->buf + have, BUFFER - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		end = s->buf + have + n;
		nl = n > 0 ? memchr(s->buf + have, '\n', (size_t)n) : NULL;
		for (; nl && !s->err; nl = memchr(p, '\n', (size_t)(end - p))) {
			do_line(s, p, too_long ? LINE_MAX_LEN + 1 : (size_t)(nl - p));
			too_long = false;
			p = nl + 1;
		}
		have = (size_t)(end - p);
		if (n == 0) { /* the last line may lack its end */
			if (have || too_long)
				do_line(s, p, too_long ? LINE_MAX_LEN + 1 : have);
			write_out(s);
			return 0;
		}
		if (too_long || have > LINE_MAX_LEN) {
			too_long = true; /* its end is waited for, its bytes are not kept */
			have = 0;
		}
		memmove(s->buf, p, have);
	}
}

/* ---- around it ---- */

static bool same_file(const struct stat *a, const struct stat *b)
{
	return S_ISREG(a->st_mode) && S_ISREG(b->st_mode) && a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static int open_requests(struct stream *s, const char *name)
{
	struct stat st;

	s->name = is_std(name) ? "standard input" : name;
	s->in = is_std(name) ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (s->in < 0)
		return cli_fail(CLI_FAILED, "%s: %s", name, strerror(errno));
	if (!fstat(s->in, &st) && S_ISDIR(st.st_mode))
		return cli_fail(CLI_FAILED, "%s: %s", s->name, strerror(EISDIR));
	return 0;
}

/* Not truncated before it is known that this is none of the files that we read. */
static int open_results(struct stream *s, const char *name)
{
	struct stat in, out;

	s->out_name = is_std(name) ? "standard output" : name;
	s->out = is_std(name) ? STDOUT_FILENO : open(name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
	if (s->out < 0)
		return cli_fail(CLI_FAILED, "%s: %s", name, strerror(errno));
	if (fstat(s->out, &out))
		return cli_fail(CLI_FAILED, "%s: %s", s->out_name, strerror(errno));
	if (!S_ISREG(out.st_mode))
		return 0;
	if ((!fstat(s->in, &in) && same_file(&in, &out)) || offline_reads_file(s->o, out.st_dev, out.st_ino))
		return cli_fail(CLI_FAILED, "%s: the results would overwrite what they are made from", s->out_name);
	if (!is_std(name) && ftruncate(s->out, 0))
		return cli_fail(CLI_FAILED, "%s: %s", s->out_name, strerror(errno));
	return 0;
}

static int serve(struct stream *s, const struct options *o)
{
	struct nb_diag why = {""};
	int status, err;

	status = open_requests(s, o->requests);
	if (!status)
		status = open_results(s, o->results);
	if (status)
		return status;
	err = run(s);
	if (s->err)
		return cli_fail(CLI_FAILED, "%s: %s", s->out_name, strerror(s->err));
	if (err)
		return cli_fail(CLI_FAILED, "%s: %s", s->name, strerror(err));
	/* A full disk may say so only now. */
	if (!is_std(o->results)) {
		err = close(s->out) ? errno : 0;
		s->out = -1;
		if (err)
			return cli_fail(CLI_FAILED, "%s: %s", s->out_name, strerror(err));
	}
	if (o->image_out && offline_write_back(s->o, o->image_out, &why))
		return cli_fail(CLI_FAILED, "%s", why.msg);
	return CLI_OK;
}

static int translate(const struct options *o, struct stream *s)
{
	struct config *c = NULL;
	struct nb_diag why = {"out of memory"};
	int err, status;

	err = offline_model_check(o->model, &why);
	if (err)
		return cli_fail(err == -ENOENT ? CLI_USAGE : CLI_FAILED, "%s", why.msg);
	err = config_read(o->config, &c, &why);
	if (!err)
		err = config_create_model(c, o->model, &s->o, &why);
	if (!err && o->image_out)
		err = config_check_write_back(c, s->o, &why);
	config_free(c);
	if (!err) {
		s->buf = nb_zalloc(BUFFER);
		s->end = s->obuf = nb_zalloc(BUFFER);
		if (!s->buf || !s->obuf)
			err = nb_fail(&why, -ENOMEM, "out of memory");
	}
	status = err ? cli_fail(CLI_FAILED, "%s", why.msg) : serve(s, o);
	return status;
}

int cmd_translate(int argc, char **argv)
{
	struct options o = {NULL, NULL, NULL, NULL, NULL};
	struct stream *s;
	int status;

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		fputs(help, stdout);
		return CLI_OK;
	}
	status = parse_options(argc, argv, &o);
	if (status)
		return status;
	s = nb_zalloc(sizeof(*s));
	if (!s)
		return cli_fail(CLI_FAILED, "out of memory");
	s->in = s->out = -1;
	status = translate(&o, s);
	if (s->in > STDIN_FILENO)
		close(s->in);
	if (s->out > STDERR_FILENO)
		close(s->out);
	offline_destroy(s->o);
	nb_free(s->buf);
	nb_free(s->obuf);
	nb_free(s);
	return status;
}
