/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Typed events and their sinks: counters, a log with patterns, USDT probes.
 *
 * A struct nb_trace belongs to one virtual host; nothing is global but a small
 * per-thread number. Counters are per thread, so the data path counts without
 * sharing a cache line; they live in one flat block that may be placed in memory
 * shared with another process (the launcher reads it when the program has ended,
 * however it ended).
 *
 * Emitting: NB_TRACE(tr, hw_fault, rid, pasid, addr, reason). Missing arguments are 0.
 * tr may be null.
 */
#ifndef NB_BASE_TRACE_H
#define NB_BASE_TRACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/trace_events.h"

#if defined(__has_include)
#if __has_include(<sys/sdt.h>) && !defined(__SANITIZE_THREAD__)
#include <sys/sdt.h>
#define NB_USDT(id, a, b, c, d) STAP_PROBE4(nestbox, id, a, b, c, d)
#endif
#endif
#ifndef NB_USDT
#define NB_USDT(id, a, b, c, d) ((void)0)
#endif

enum nb_event {
#define X(id, name, fmt) NB_EV_##id,
	NB_TRACE_EVENTS(X)
#undef X
		NB_EV_COUNT
};

/* Threads 0..NB_TRACE_SLOTS-2 have a slot of their own; all later ones share the last. */
#define NB_TRACE_SLOTS 64

struct nb_counters {
	struct {
		_Atomic uint64_t v[NB_EV_COUNT];
	} __attribute__((aligned(512))) slot[NB_TRACE_SLOTS]; /* a power of two: the index is a shift */
};

struct nb_trace;

struct nb_trace_hot { /* first member of struct nb_trace: what the inline part needs */
	struct nb_counters *counters;
	_Atomic bool logged[NB_EV_COUNT];
};

/*
 * Counters are put into `counters` when it is not null (zeroed by the caller, and kept alive longer than
 * the trace), else into memory of its own. Null on out of memory.
 */
struct nb_trace *nb_trace_new(struct nb_counters *counters);
void nb_trace_free(struct nb_trace *tr);

/*
 * Log events whose name matches one of the comma-separated fnmatch patterns to fd, one line each, written with
 * one write(2). Null or "" logs nothing. -EINVAL: a pattern matches no event.
 */
struct nb_diag;
int nb_trace_log(struct nb_trace *tr, const char *patterns, int fd, struct nb_diag *diag);

/* Sum over all threads; exact only when they are quiet. */
uint64_t nb_trace_count(const struct nb_trace *tr, enum nb_event ev);
uint64_t nb_counters_sum(const struct nb_counters *c, enum nb_event ev);

const char *nb_event_name(enum nb_event ev);

unsigned int nb_trace_slot_new(void); /* cold half of nb_trace_slot() */
extern __thread unsigned int nb_trace_slot_plus1 __attribute__((tls_model("initial-exec")));
void nb_trace_emit(struct nb_trace *tr, enum nb_event ev, const uint64_t a[4]); /* logged events only */

static inline void nb_trace_add(struct nb_trace *tr, enum nb_event ev, uint64_t n)
{
	struct nb_trace_hot *hot = (struct nb_trace_hot *)(void *)tr;
	unsigned int slot = nb_trace_slot_plus1;
	_Atomic uint64_t *c;

	if (!tr)
		return;
	if (__builtin_expect(slot == 0, 0))
		slot = nb_trace_slot_new();
	c = &hot->counters->slot[slot - 1].v[ev];
	if (__builtin_expect(slot < NB_TRACE_SLOTS, 1)) /* ours alone: no locked instruction */
		atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
	else
		atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

static inline bool nb_trace_logged(struct nb_trace *tr, enum nb_event ev)
{
	return tr && atomic_load_explicit(&((struct nb_trace_hot *)(void *)tr)->logged[ev], memory_order_relaxed);
}

#define NB_TRACE_ARGS(a, b, c, d, ...) (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d)
#define NB_TRACE_N(tr, id, n, a, b, c, d)                                                                     \
	do {                                                                                                  \
		struct nb_trace *tr_ = (tr);                                                                  \
		NB_USDT(id, a, b, c, d);                                                                      \
		nb_trace_add(tr_, NB_EV_##id, (n));                                                           \
		if (__builtin_expect(nb_trace_logged(tr_, NB_EV_##id), 0))                                    \
			nb_trace_emit(tr_, NB_EV_##id, (const uint64_t[4]){a, b, c, d});                      \
	} while (0)
#define NB_TRACE_(tr, id, a, b, c, d, ...)                                                                    \
	NB_TRACE_N(tr, id, 1, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d))
/* One event, counted once. */
#define NB_TRACE(tr, id, ...) NB_TRACE_(tr, id, ##__VA_ARGS__, 0, 0, 0, 0, 0)

#endif
