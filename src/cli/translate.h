/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `nestbox translate`: what its files share. nestbox-translate(1) is the manual of the formats.
 *
 * translate.c reads and writes, translate_config.c knows the configuration, translate_line.c a request and its result.
 */
#ifndef NB_CLI_TRANSLATE_H
#define NB_CLI_TRANSLATE_H

#include "base/diag.h"
#include "cli/translate_json.h"
#include "machine/offline.h"

/* ---- configuration ---- */

struct config; /* the file's text and what was made of it */

/* "FILE:LINE: reason" or "FILE: reason" in diag. */
int config_read(const char *path, struct config **out, struct nb_diag *diag);
void config_free(struct config *c);
int config_create_model(const struct config *c, const char *model, struct offline **out, struct nb_diag *diag);
/* Refuse, naming the line, what offline_write_back() could not do. */
int config_check_write_back(const struct config *c, const struct offline *o, struct nb_diag *diag);

/* ---- requests and results ---- */

#define LINE_MAX_LEN  65536u
#define LINE_MAX_ID   1024u
/* Room that one result takes at most. */
#define RESULT_MAX (LINE_MAX_ID + 512u)

enum line_kind { LINE_REQUEST, LINE_FLUSH, LINE_BAD };

struct line {
	struct hw_request req;
	struct json_str id;   /* as it was written; "null" where there is none */
	char error[192];      /* LINE_BAD: why, nothing in it that JSON would have to escape */
};

/* scratch: JSON_SCRATCH bytes. id points into text. */
enum line_kind line_parse(const char *text, size_t len, char *scratch, struct line *l);
/* Each appends a line at `out`, where RESULT_MAX bytes are free, and returns its end. */
char *line_put_result(char *out, const struct line *l, const struct hw_result *res);
char *line_put_error(char *out, const struct json_str *id, const char *why);

#endif
