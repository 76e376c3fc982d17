/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer: `nestbox translate`: a configuration, a line that is "%%", then request lines.
 *
 * The configuration may name files. The one that is there is called "100" (beside the configuration, which is
 * /proc/self/fd/101, so it is descriptor 100): the memory of a valid nested setup. Checked: each line gives one result of bounded length
 * that is JSON; a refusal says why.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/translate.h"
#include "vtd.h"

#define IMAGE_FD  100
#define CONFIG_FD 101

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A memory file under a known number. */
static void make_file(int fd, const void *bytes, size_t n)
{
	int made = memfd_create("fuzz", 0);

	if (made < 0 || dup2(made, fd) < 0 || close(made) || (size_t)pwrite(fd, bytes, n, 0) != n)
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct fz_vtd z;

	(void)argc;
	(void)argv;
	if (guard_init())
		return 1;
	if (!fz_up(&z, 1u << 1 | 1u << 9))
		return 1;
	make_file(IMAGE_FD, z.ram, FZ_LEN);
	fz_down(&z);
	make_file(CONFIG_FD, "", 0);
	return 0;
}

static void is_json_line(const char *p, const char *end)
{
	char scratch[JSON_SCRATCH];
	struct json j = {.p = p, .end = end, .scratch = scratch};

	check(end > p && end[-1] == '\n' && (size_t)(end - p) <= RESULT_MAX);
	check(memchr(p, '\n', (size_t)(end - p)) == end - 1);
	check(json_skip(&j, NULL) && json_end(&j));
}

static void answer(struct offline *o, const char *text, size_t len)
{
	static char out[RESULT_MAX], scratch[JSON_SCRATCH];
	struct hw_result res;
	struct line l;

	switch (line_parse(text, len, scratch, &l)) {
	case LINE_REQUEST:
		offline_translate(o, &l.req, &res);
		is_json_line(out, line_put_result(out, &l, &res));
		break;
	case LINE_FLUSH:
		offline_flush(o);
		break;
	case LINE_BAD:
		check(l.error[0] != 0);
		is_json_line(out, line_put_error(out, &l.id, l.error));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *end = text + size, *mark = memmem(text, size, "\n%%\n", 4);
	size_t config_len = mark ? (size_t)(mark - text) + 1 : size;
	struct nb_diag diag = {""};
	struct config *c;
	struct offline *o;
	unsigned int n;

	if (ftruncate(CONFIG_FD, 0) || (size_t)pwrite(CONFIG_FD, text, config_len, 0) != config_len)
		abort();
	if (config_read("/proc/self/fd/101", &c, &diag)) {
		check(diag.msg[0] != 0);
		return 0;
	}
	if (config_create_model(c, "vtd", &o, &diag)) {
		check(diag.msg[0] != 0);
		config_free(c);
		return 0;
	}
	config_free(c);
	for (text = mark ? mark + 4 : end, n = 0; text < end && n < 500; n++) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		size_t len = nl ? (size_t)(nl - text) : (size_t)(end - text);

		answer(o, text, len);
		text += len + 1;
	}
	offline_destroy(o);
	return 0;
}
