/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NB_MACHINE_REASON_TEXT_H
#define NB_MACHINE_REASON_TEXT_H

#include <stdint.h>

/* A vendor's fault reason in words, for people. Null: the vendor has no such reason, or it says all there is to say. */
const char *reason_text(const char *vendor, uint16_t reason);
/* The manual's name of it: "F_TRANSLATION". Null: it has none. */
const char *reason_name(const char *vendor, uint16_t reason);

#endif
