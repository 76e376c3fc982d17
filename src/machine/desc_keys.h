/* SPDX-License-Identifier: BSD-3-Clause */
/* What to tell somebody who wrote a word that is none of those that are known. Lists of words end with a null pointer. */
#ifndef NB_MACHINE_DESC_KEYS_H
#define NB_MACHINE_DESC_KEYS_H

#include <stddef.h>

/* "one, two, three" */
void desc_keys_list(const char *const *keys, char *buf, size_t size);

/*
 * The end of a sentence about a word of len bytes, of any kind: all keys if buf has room for them, else up to three that are spelled most
 * alike, else where to look. Never a part of a list. At least 64 bytes and three keys must fit.
 */
void desc_keys_suggest(const char *const *keys, const char *word, size_t len, char *buf, size_t size);

#endif
