/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A walk as a table that a person reads: one line for every entry that the hardware fetched, in the order in which it
 * did, and the verdict below. The steps come from the model itself, so the picture cannot differ from what DMA meets.
 */
#include "machine/machine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "machine/reason_text.h"

/* Two stages of five levels are (5 + 1) * 5 + 5 reads, and the configuration entries are a handful. */
#define MAX_STEPS 96

struct walk {
	struct hw_step *step;
	unsigned int n, lost;
};

struct text {
	char *buf;
	size_t size, len; /* len: what it would have been */
};

static void put(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->len < t->size ? t->buf + t->len : NULL, t->len < t->size ? t->size - t->len : 0, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len += (size_t)n;
}

static void on_step(void *opaque, const struct hw_step *step)
{
	struct walk *w = opaque;

	if (w->n < MAX_STEPS)
		w->step[w->n++] = *step;
	else
		w->lost++;
}

static const char *perm_words(unsigned int perm, char buf[32])
{
	snprintf(buf, 32, "%s%s%s", perm & HW_READ ? " read" : "", perm & HW_WRITE ? " write" : "",
		 perm & HW_EXEC ? " execute" : "");
	return buf[0] ? buf + 1 : "nothing";
}

static const char *size_word(unsigned int lg2, char buf[16])
{
	static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};

	snprintf(buf, 16, "%u %s", 1u << lg2 % 10, unit[lg2 / 10 > 6 ? 6 : lg2 / 10]);
	return buf;
}

/* As the manual counts: levels of 4 to 1, or from -1 or 0 down to 3. */
static void put_level(char out[8], const struct hw_step *s, bool arm)
{
	if (!s->level)
		snprintf(out, 8, "-");
	else if (arm)
		snprintf(out, 8, "%d", 4 - (s->level & 15));
	else
		snprintf(out, 8, "%u", s->level);
}

static void put_step(struct text *t, unsigned int number, const struct hw_step *s, int name_width, bool arm)
{
	static const char *const stages[] = {"config", "stage-1", "stage-2"};
	char level[8], at[24] = "";
	unsigned int i;

	put_level(level, s, arm);
	if (s->gpa_valid)
		snprintf(at, sizeof(at), "0x%" PRIx64, s->gpa.v);
	put(t, "%3u  %-7s  %-5s  %-*s  %-14s  0x%-14" PRIx64, number, s->stage < 3 ? stages[s->stage] : "?", level,
	    name_width, s->name, at, s->pa.v);
	if (!s->fetched) {
		put(t, "  %-18s  no memory there\n", "-");
		return;
	}
	put(t, "  0x%016" PRIx64 "  %s\n", s->word[0], s->fields);
	for (i = 1; i < s->nwords && i < 8; i++)
		if (s->word[i])
			put(t, "%*s[%u]  0x%016" PRIx64 "\n", 3 + 2 + 7 + 2 + 5 + 2 + name_width + 2 + 14 + 2 + 16 - 3, "", i,
			    s->word[i]);
}

static void put_verdict(struct text *t, const char *vendor, const struct hw_result *res)
{
	static const char *const stages[] = {"the configuration", "stage-1", "stage-2"};
	const char *why = reason_text(vendor, res->fault.reason), *name = reason_name(vendor, res->fault.reason);
	char perm[32], size[16];

	switch (res->kind) {
	case HW_OK:
		put(t, "\nverdict: reaches memory at 0x%" PRIx64 "; the translation covers %s and permits %s\n", res->pa.v,
		    size_word(res->lg2, size), perm_words(res->perm, perm));
		break;
	case HW_INTERRUPT:
		put(t, "\nverdict: an interrupt message, not translated\n");
		break;
	case HW_FAULT:
		put(t, "\nverdict: refused by %s, reason 0x%x", res->fault.stage < 3 ? stages[res->fault.stage] : "?",
		    res->fault.reason);
		if (name)
			put(t, " (%s)", name);
		if (res->fault.gpa_valid)
			put(t, ", at guest address 0x%" PRIx64, res->fault.gpa.v);
		put(t, "%s%s\n", why ? ": " : "", why ? why : "");
		break;
	}
}

int machine_walk(struct machine *m, uint16_t segment, uint16_t rid, uint32_t pasid, uint64_t addr, uint8_t access,
		 char *buf, size_t size)
{
	struct hw_iommu *hw = machine_iommu_of(m, segment, rid);
	struct hw_request req = {.addr = addr, .pasid = pasid, .rid = rid, .access = access, .flags = HW_OBSERVE};
	struct hw_result res = {.kind = HW_FAULT};
	struct text t = {.buf = buf, .size = size};
	struct walk w = {NULL, 0, 0};
	char perm[32];
	int name_width = 5;
	unsigned int i;

	if (size)
		buf[0] = 0;
	if (!hw)
		return -ENOENT;
	w.step = nb_calloc(MAX_STEPS, sizeof(*w.step));
	if (!w.step)
		return -ENOMEM;
	hw->ops->walk(hw, &req, on_step, &w, &res);

	put(&t, "%04x:%02x:%02x.%x", segment, rid >> 8, rid >> 3 & 31, rid & 7);
	if (pasid != NB_NO_PASID)
		put(&t, " pasid %" PRIu32, pasid);
	put(&t, " wants to %s 0x%" PRIx64 " (%s)\n\n", perm_words(access, perm), addr, hw->ops->vendor);
	for (i = 0; i < w.n; i++)
		if ((int)strlen(w.step[i].name) > name_width)
			name_width = (int)strlen(w.step[i].name);
	put(&t, "%3s  %-7s  %-5s  %-*s  %-14s  %-16s  %-18s  %s\n", "#", "stage", "level", name_width, "entry",
	    "guest address", "host address", "value", "decoded");
	for (i = 0; i < w.n; i++)
		put_step(&t, i + 1, &w.step[i], name_width, strcmp(hw->ops->vendor, "smmuv3") == 0);
	if (w.lost)
		put(&t, "     and %u more\n", w.lost);
	put_verdict(&t, hw->ops->vendor, &res);
	nb_free(w.step);
	return (int)t.len;
}
