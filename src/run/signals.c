/* SPDX-License-Identifier: BSD-3-Clause */
#include "run/signals.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>

#include "mem/guard.h"
#include "run/next.h"
#include "run/sys.h"

#define BIT(sig) (UINT64_C(1) << ((sig)-1))
#define OURS	 (BIT(SIGSEGV) | BIT(SIGBUS))

static _Atomic bool taken;

/* Of a thread that has been in the virtual host: its mask never holds our signals, `hidden` is what the program believes of them. */
static __thread struct {
	bool unblocked;
	uint64_t hidden;
} self __attribute__((tls_model("initial-exec")));

void signals_take(void)
{
	atomic_store(&taken, true);
}

void signals_unblock(void)
{
	uint64_t set = OURS, old = 0;

	if (__builtin_expect(self.unblocked, 1))
		return;
	sys4(SYS_rt_sigprocmask, SIG_UNBLOCK, (uintptr_t)&set, (uintptr_t)&old, sizeof(set));
	self.hidden = old & OURS;
	self.unblocked = true;
}

int signals_sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	int err;

	if ((sig != SIGSEGV && sig != SIGBUS) || !atomic_load_explicit(&taken, memory_order_acquire))
		return NEXT(sigaction)(sig, act, old);
	err = guard_chain_sigaction(sig, act, old);
	return err ? (int)sys_ret(err) : 0;
}

static uint64_t bits_of(const sigset_t *set)
{
	return (sigismember(set, SIGSEGV) == 1 ? BIT(SIGSEGV) : 0) | (sigismember(set, SIGBUS) == 1 ? BIT(SIGBUS) : 0);
}

int signals_mask(int (*next_mask)(int, const sigset_t *, sigset_t *), int how, const sigset_t *set, sigset_t *old)
{
	uint64_t was = self.hidden, now = was;
	sigset_t copy;
	int r;

	if (!self.unblocked)
		return next_mask(how, set, old);
	if (set) {
		copy = *set;
		now = bits_of(set);
		now = how == SIG_BLOCK ? was | now : how == SIG_UNBLOCK ? was & ~now : now;
		sigdelset(&copy, SIGSEGV);
		sigdelset(&copy, SIGBUS);
	}
	r = next_mask(how, set ? &copy : NULL, old);
	if (r)
		return r;
	self.hidden = now;
	if (old && (was & BIT(SIGSEGV)))
		sigaddset(old, SIGSEGV);
	if (old && (was & BIT(SIGBUS)))
		sigaddset(old, SIGBUS);
	return 0;
}
