/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fault handler behind the guarded routines, and the routines that are not worth inlining.
 *
 * nb_guard holds pairs of 32-bit offsets, each relative to its own place: the
 * instruction that may fault, and where to go on. The handler changes nothing but
 * the program counter and the carry flag, so it is async-signal-safe by construction.
 */
#include "mem/guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <ucontext.h>

struct guard_entry {
	int32_t insn, fixup;
};

extern const struct guard_entry __start_nb_guard[] __attribute__((visibility("hidden")));
extern const struct guard_entry __stop_nb_guard[] __attribute__((visibility("hidden")));

/* What the program has, or believes to have, installed. Index 0 SIGSEGV, 1 SIGBUS. Written under chain_lock;
 * the handler reads a copy whose pointer is published whole. */
static struct sigaction chain[2][2];
static _Atomic(struct sigaction *) chain_now[2];
static pthread_mutex_t chain_lock = PTHREAD_MUTEX_INITIALIZER;
static bool installed;
static int (*real_sigaction)(int, const struct sigaction *, struct sigaction *) = sigaction;

static int chain_index(int sig)
{
	return sig == SIGSEGV ? 0 : sig == SIGBUS ? 1 : -1;
}

static uintptr_t fixup_of(uintptr_t pc)
{
	const struct guard_entry *e;

	for (e = __start_nb_guard; e != __stop_nb_guard; e++)
		if ((uintptr_t)&e->insn + (uintptr_t)(intptr_t)e->insn == pc)
			return (uintptr_t)&e->fixup + (uintptr_t)(intptr_t)e->fixup;
	return 0;
}

/* Die, or whatever the default is, of a signal that nobody wanted: on return the instruction runs again. */
static void take_default(int sig, const siginfo_t *info)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};

	real_sigaction(sig, &dfl, NULL);
	if (info->si_code <= 0) /* sent by kill(2) and the like: nothing will run again */
		raise(sig);
}

static void handler(int sig, siginfo_t *info, void *uc_)
{
	ucontext_t *uc = uc_;
	greg_t *pc = &uc->uc_mcontext.gregs[REG_RIP];
	uintptr_t to = info->si_code > 0 ? fixup_of((uintptr_t)*pc) : 0;
	struct sigaction sa;
	sigset_t old;
	int i;

	if (to) {
		*pc = (greg_t)to;
		uc->uc_mcontext.gregs[REG_EFL] |= 1; /* carry: the access failed */
		return;
	}
	i = chain_index(sig);
	sa = *atomic_load_explicit(&chain_now[i], memory_order_acquire);
	if (!(sa.sa_flags & SA_SIGINFO) && (sa.sa_handler == SIG_DFL || sa.sa_handler == SIG_IGN)) {
		if (sa.sa_handler == SIG_IGN && info->si_code <= 0)
			return;
		take_default(sig, info);
		return;
	}
	if (sa.sa_flags & SA_RESETHAND) {
		struct sigaction dfl = {.sa_handler = SIG_DFL};

		/* Not under chain_lock: a signal handler may not wait. A race with sigaction() loses one of two writes. */
		chain[i][1] = dfl;
		atomic_store_explicit(&chain_now[i], &chain[i][1], memory_order_release);
	}
	if (sa.sa_flags & SA_NODEFER)
		sigdelset(&sa.sa_mask, sig);
	else
		sigaddset(&sa.sa_mask, sig);
	pthread_sigmask(SIG_BLOCK, &sa.sa_mask, &old);
	if (sa.sa_flags & SA_SIGINFO)
		sa.sa_sigaction(sig, info, uc_);
	else
		sa.sa_handler(sig);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void guard_use_sigaction(int (*fn)(int, const struct sigaction *, struct sigaction *))
{
	real_sigaction = fn;
}

int guard_init(void)
{
	static const int sigs[2] = {SIGSEGV, SIGBUS};
	struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER}, now;
	int err = 0;
	unsigned int i;

	sigemptyset(&sa.sa_mask);
	pthread_mutex_lock(&chain_lock);
	for (i = 0; i < 2; i++) {
		struct sigaction *old = atomic_load_explicit(&chain_now[i], memory_order_acquire);

		if (real_sigaction(sigs[i], NULL, &now)) {
			err = -errno;
			break;
		}
		if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == handler)
			continue;
		/* The old handler must be in place before ours can run. */
		old = old == &chain[i][0] ? &chain[i][1] : &chain[i][0];
		*old = now;
		atomic_store_explicit(&chain_now[i], old, memory_order_release);
		if (real_sigaction(sigs[i], &sa, NULL)) {
			err = -errno;
			break;
		}
	}
	if (!err)
		installed = true;
	pthread_mutex_unlock(&chain_lock);
	return err;
}

int guard_chain_sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	int i = chain_index(sig);
	struct sigaction *now, *next;

	if (i < 0)
		return -EINVAL;
	pthread_mutex_lock(&chain_lock);
	if (!installed) {
		int r = real_sigaction(sig, act, old);

		pthread_mutex_unlock(&chain_lock);
		return r ? -errno : 0;
	}
	now = atomic_load_explicit(&chain_now[i], memory_order_acquire);
	if (old)
		*old = *now;
	if (act) {
		next = now == &chain[i][0] ? &chain[i][1] : &chain[i][0];
		*next = *act;
		atomic_store_explicit(&chain_now[i], next, memory_order_release);
	}
	pthread_mutex_unlock(&chain_lock);
	return 0;
}

bool guard_load32(const void *p, uint32_t *v)
{
	uint32_t x;
	bool bad;

	__asm__ volatile("clc\n"
			 "1:\tmovl (%2), %0\n"
			 "2:\n\t" GUARD_ENTRY("1b", "2b")
			 : "=r"(x), "=@ccc"(bad)
			 : "r"(p)
			 : "memory");
	if (!bad)
		*v = x;
	return !bad;
}

bool guard_store32(void *p, uint32_t v)
{
	bool bad;

	__asm__ volatile("clc\n"
			 "1:\tmovl %2, (%1)\n"
			 "2:\n\t" GUARD_ENTRY("1b", "2b")
			 : "=@ccc"(bad)
			 : "r"(p), "r"(v)
			 : "memory");
	return !bad;
}

bool guard_load8(const void *p, uint8_t *v)
{
	uint32_t x;
	bool bad;

	__asm__ volatile("clc\n"
			 "1:\tmovzbl (%2), %0\n"
			 "2:\n\t" GUARD_ENTRY("1b", "2b")
			 : "=r"(x), "=@ccc"(bad)
			 : "r"(p)
			 : "memory");
	if (!bad)
		*v = (uint8_t)x;
	return !bad;
}

bool guard_touch_write(void *p)
{
	int bad = 0;

	__asm__ volatile("1:\tlock orb $0, (%1)\n"
			 "2:\n\t"
			 ".pushsection .text.unlikely, \"ax\"\n"
			 "3:\tmovl $1, %0\n\t"
			 "jmp 2b\n\t"
			 ".popsection\n\t" GUARD_ENTRY("1b", "3b")
			 : "+r"(bad)
			 : "r"(p)
			 : "memory", "cc");
	return !bad;
}

/* Descriptors and entries: few words, each loaded and stored whole. Bulk data goes by string instructions. */
#define WORDS_MAX 256

size_t guard_copy(void *dst, const void *src, size_t len)
{
	if (len <= WORDS_MAX && (((uintptr_t)dst | (uintptr_t)src | len) & 7) == 0) {
		size_t i;

		for (i = 0; i < len; i += 8) {
			uint64_t w;

			/* as numbers: a caller's address may be null, and arithmetic on that is undefined */
			if (!guard_load64((const void *)((uintptr_t)src + i), &w) ||
			    !guard_store64((void *)((uintptr_t)dst + i), w))
				return len - i;
		}
		return 0;
	}
	__asm__ volatile("1: rep movsb\n\t"
			 "2:\n\t" GUARD_ENTRY("1b", "2b")
			 : "+D"(dst), "+S"(src), "+c"(len)
			 :
			 : "memory");
	return len;
}

size_t guard_fill(void *dst, uint8_t byte, size_t len)
{
	__asm__ volatile("1: rep stosb\n\t"
			 "2:\n\t" GUARD_ENTRY("1b", "2b")
			 : "+D"(dst), "+c"(len)
			 : "a"(byte)
			 : "memory");
	return len;
}
