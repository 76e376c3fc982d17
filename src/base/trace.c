/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/trace.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/diag.h"

struct nb_trace {
	struct nb_trace_hot hot;
	struct nb_counters *own; /* null when the counters are somebody else's */
	_Atomic int log_fd;
};

static const struct {
	const char *name, *fmt;
} events[NB_EV_COUNT] = {
#define X(id, name, fmt) [NB_EV_##id] = {name, fmt},
	NB_TRACE_EVENTS(X)
#undef X
};

__thread unsigned int nb_trace_slot_plus1;
static _Atomic unsigned int slots_given;

unsigned int nb_trace_slot_new(void)
{
	unsigned int n = atomic_fetch_add_explicit(&slots_given, 1, memory_order_relaxed);

	nb_trace_slot_plus1 = (n < NB_TRACE_SLOTS ? n : NB_TRACE_SLOTS - 1) + 1;
	return nb_trace_slot_plus1;
}

struct nb_trace *nb_trace_new(struct nb_counters *counters)
{
	struct nb_trace *tr = nb_zalloc(sizeof(*tr));

	if (!tr)
		return NULL;
	if (!counters) {
		counters = tr->own = nb_aligned_zalloc(_Alignof(struct nb_counters), sizeof(*counters));
		if (!counters) {
			nb_free(tr);
			return NULL;
		}
	}
	tr->hot.counters = counters;
	atomic_store(&tr->log_fd, -1);
	return tr;
}

void nb_trace_free(struct nb_trace *tr)
{
	if (!tr)
		return;
	nb_free(tr->own);
	nb_free(tr);
}

int nb_trace_log(struct nb_trace *tr, const char *patterns, int fd, struct nb_diag *diag)
{
	bool logged[NB_EV_COUNT] = {false};
	char pat[64];
	unsigned int ev;

	while (patterns && *patterns) {
		size_t n = strcspn(patterns, ",");
		bool any = false;

		if (n >= sizeof(pat))
			return nb_fail(diag, -EINVAL, "log pattern \"%.20s...\" is too long", patterns);
		memcpy(pat, patterns, n);
		pat[n] = 0;
		for (ev = 0; ev < NB_EV_COUNT; ev++)
			if (fnmatch(pat, events[ev].name, 0) == 0)
				logged[ev] = any = true;
		if (!any)
			return nb_fail(diag, -EINVAL, "log pattern \"%s\" matches no event", pat);
		patterns += n + (patterns[n] == ',');
	}
	atomic_store(&tr->log_fd, fd);
	for (ev = 0; ev < NB_EV_COUNT; ev++)
		atomic_store(&tr->hot.logged[ev], logged[ev]);
	return 0;
}

uint64_t nb_counters_sum(const struct nb_counters *c, enum nb_event ev)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < NB_TRACE_SLOTS; i++)
		sum += atomic_load_explicit(&c->slot[i].v[ev], memory_order_relaxed);
	return sum;
}

uint64_t nb_trace_count(const struct nb_trace *tr, enum nb_event ev)
{
	return nb_counters_sum(tr->hot.counters, ev);
}

const char *nb_event_name(enum nb_event ev)
{
	return events[ev].name;
}

void nb_trace_emit(struct nb_trace *tr, enum nb_event ev, const uint64_t a[4])
{
	char line[256];
	int n = snprintf(line, sizeof(line), "nestbox: %s ", events[ev].name), m;
	int fd = atomic_load_explicit(&tr->log_fd, memory_order_relaxed);

	if (fd < 0 || n < 0)
		return;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	/* The formats are the ones of trace_events.h; each takes at most four longs. */
	m = snprintf(line + n, sizeof(line) - (size_t)n - 1, events[ev].fmt, a[0], a[1], a[2], a[3]);
#pragma GCC diagnostic pop
	if (m < 0)
		return;
	n += m;
	if ((size_t)n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	/* A log that cannot be written must not disturb the program. */
	if (write(fd, line, (size_t)n) < 0)
		return;
}
