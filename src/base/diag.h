/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Why a caller was refused: one sentence, written where the knowledge is.
 *
 * Functions return a negative errno and, when the caller passed a struct
 * nb_diag, the reason. A null pointer is fine everywhere and costs nothing.
 */
#ifndef NB_BASE_DIAG_H
#define NB_BASE_DIAG_H

struct nb_diag {
	char msg[320];
};

/*
 * Write the reason (unless diag is null) and return err, a negative errno:
 * "return nb_fail(diag, -EINVAL, "...")". A reason that is longer than the
 * buffer is cut, never overrun.
 */
int nb_fail(struct nb_diag *diag, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4), cold));

#endif
