/* SPDX-License-Identifier: BSD-3-Clause */
#include "stores.h"

#include <assert.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define LINE 64u

#if defined(__SANITIZE_THREAD__)
#define WHY "the thread sanitizer puts signals off until the next function call"
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WHY "the thread sanitizer puts signals off until the next function call"
#endif
#endif
#if !defined(WHY) && !defined(__x86_64__)
#define WHY "single steps are written for x86-64 only"
#endif

#ifdef WHY

const char *stores_cannot(void)
{
	return WHY;
}
void stores_init(void *base, size_t len, stores_fn *fn, void *opaque)
{
	(void)base;
	(void)len;
	(void)fn;
	(void)opaque;
}
void stores_fini(void)
{
}
void stores_on(void)
{
}
void stores_off(void)
{
}
void stores_pause(void)
{
}
void stores_resume(void)
{
}

#else

#define TRAP_FLAG 0x100

/* The program has one watch; signal handlers have no argument of ours. */
static struct {
	char *base;
	size_t len;
	stores_fn *fn;
	void *opaque;
	int paused;  /* > 0: stores are somebody else's; the first of them opens the range */
	bool opened; /* while paused */
	bool on, stepping;
	size_t off;	     /* of the line that is being stored to, and the next one, as they were */
	char was[2 * LINE];
	struct sigaction segv, trap; /* who had them */
} w;

static void protect(int prot)
{
	if (mprotect(w.base, w.len, prot))
		abort();
}

/* The pages that a store at w.off may touch: far cheaper than all. */
static void protect_here(int prot)
{
	size_t first = w.off & ~(size_t)4095, end = (w.off + 2 * LINE + 4095) & ~(size_t)4095;

	if (mprotect(w.base + first, (end < w.len ? end : w.len) - first, prot))
		abort();
}

static size_t two_lines(size_t off)
{
	return w.len - off < 2 * LINE ? w.len - off : 2 * LINE;
}

static void on_segv(int sig, siginfo_t *info, void *uc_)
{
	ucontext_t *uc = uc_;
	size_t off = (size_t)((char *)info->si_addr - w.base);

	if (!w.on || w.stepping || off >= w.len || info->si_code != SEGV_ACCERR || (w.paused && w.opened)) {
		w.segv.sa_sigaction(sig, info, uc_); /* guarded access */
		return;
	}
	if (w.paused) {
		w.opened = true;
		protect(PROT_READ | PROT_WRITE);
		return;
	}
	w.off = off & ~(size_t)(LINE - 1);
	memcpy(w.was, w.base + w.off, two_lines(w.off));
	w.stepping = true;
	protect_here(PROT_READ | PROT_WRITE);
	uc->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void on_trap(int sig, siginfo_t *info, void *uc_)
{
	ucontext_t *uc = uc_;
	char was[2 * LINE]; /* fn's: it may be stepped, too */
	size_t n, i;

	(void)sig;
	(void)info;
	if (!w.stepping)
		abort();
	uc->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
	w.stepping = false;
	protect_here(PROT_READ);
	n = two_lines(w.off);
	memcpy(was, w.was, n);
	for (i = 0; i < n; i += LINE) {
		if (memcmp(was + i, w.base + w.off + i, LINE) == 0)
			continue;
		stores_pause();
		w.fn(w.opaque, w.off + i, was + i);
		stores_resume();
	}
}

const char *stores_cannot(void)
{
	return NULL;
}

void stores_init(void *base, size_t len, stores_fn *fn, void *opaque)
{
	struct sigaction sa = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_NODEFER};

	memset(&w, 0, sizeof(w));
	w.base = base;
	w.len = len;
	w.fn = fn;
	w.opaque = opaque;
	sigemptyset(&sa.sa_mask);
	if (sigaction(SIGSEGV, &sa, &w.segv) || !(w.segv.sa_flags & SA_SIGINFO))
		abort();
	sa.sa_sigaction = on_trap;
	if (sigaction(SIGTRAP, &sa, &w.trap))
		abort();
}

void stores_fini(void)
{
	assert(!w.on);
	if (sigaction(SIGSEGV, &w.segv, NULL) || sigaction(SIGTRAP, &w.trap, NULL))
		abort();
}

void stores_on(void)
{
	assert(!w.on);
	w.paused = 0;
	w.opened = false;
	w.on = true;
	protect(PROT_READ);
}

void stores_off(void)
{
	w.on = false;
	protect(PROT_READ | PROT_WRITE);
}

void stores_pause(void)
{
	w.paused += w.on;
}

void stores_resume(void)
{
	if (!w.on || --w.paused > 0 || !w.opened)
		return;
	w.opened = false;
	protect(PROT_READ);
}

#endif
