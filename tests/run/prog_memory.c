/* SPDX-License-Identifier: BSD-3-Clause */
/* The address space and the program's own handling of faults. */
#include "prog.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

static char *page_of(int iommu)
{
	char *p = mmap(NULL, 0x4000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	CHECK(ioctl(iommu, FAKE_WATCH, p + 0x1000) == 0);
	return p;
}

static bool dead(int iommu)
{
	int r = ioctl(iommu, FAKE_DEAD);

	CHECK(r >= 0);
	return r;
}

static void revokes(void)
{
	int iommu = open_iommu();
	char *p = page_of(iommu), *q;

	CHECK(munmap(p + 0x2000, 0x2000) == 0 && !dead(iommu)); /* the neighbour */
	CHECK_ERR(munmap(p + 0x1001, 0x1000), EINVAL);
	CHECK_ERR(munmap(p, 0), EINVAL);
	CHECK(!dead(iommu)); /* what the kernel refuses changes nothing */
	CHECK(munmap(p + 0x1000, 1) == 0 && dead(iommu));

	p = page_of(iommu);
	CHECK(mmap(p + 0x1000, 0x1000, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p + 0x1000);
	CHECK(dead(iommu));

	p = page_of(iommu);
	q = mmap(NULL, 0x4000, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(q != MAP_FAILED && !dead(iommu));
	CHECK(mremap(p, 0x4000, 0x4000, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q && dead(iommu)); /* moved away */
	CHECK(ioctl(iommu, FAKE_WATCH, q + 0x1000) == 0);
	p = mmap(NULL, 0x4000, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(mremap(p, 0x4000, 0x4000, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q && dead(iommu)); /* overwritten */

	p = page_of(iommu);
	CHECK(mremap(p, 0x4000, 0x3000, 0) == p && !dead(iommu)); /* shrunk, behind it */
	CHECK(mremap(p, 0x3000, 0x4000, 0) == p && !dead(iommu)); /* grown in place */
	CHECK(mremap(p, 0x4000, 0x1000, 0) == p && dead(iommu));

	p = page_of(iommu);
	CHECK(ioctl(iommu, FAKE_WATCH, p + 0x3000) == 0);
	CHECK(mremap(p, 0x3000, 0x2fff, 0) == p && !dead(iommu)); /* as many pages as before */
	CHECK(mremap(p, 0x3000, 0x1001, 0) == p && !dead(iommu)); /* what lies behind the old end stays */

	p = page_of(iommu);
	CHECK(mmap(p + 0x4000, 0x1000, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != NULL);
	CHECK(!dead(iommu));
	CHECK_ERR(mremap(p, 0x4000, 0x40000, 0) == MAP_FAILED ? -1 : 0, ENOMEM);
	CHECK(!dead(iommu));
	q = mremap(p, 0x4000, 0x400000, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && (q == p || dead(iommu)));
}

/* The rooms below allocate and map under their own lock; that must not come back to them. */
static void no_recursion(void)
{
	int iommu = open_iommu(), before;

	CHECK(ioctl(iommu, FAKE_GET) == 0);
	before = ioctl(iommu, FAKE_REVOKED);
	CHECK(ioctl(iommu, FAKE_FILL, 1 << 20) == 0);
	CHECK(ioctl(iommu, FAKE_REVOKED) == before);
}

/* A fork's child that takes over has also followed what it did to its memory in between. */
static void revoke_in_child(void)
{
	int iommu = open_iommu(), out[2];
	char *p, byte;
	pid_t pid;

	CHECK(pipe(out) == 0);
	pid = fork();
	if (pid == 0) {
		iommu = open_iommu();
		p = page_of(iommu);
		if (fork() > 0) {
			usleep(100000);
			_exit(0);
		}
		CHECK(munmap(p, 0x4000) == 0); /* the parent is still there */
		CHECK(dead(iommu));	       /* waits for it to go */
		CHECK(write(out[1], "k", 1) == 1);
		_exit(0);
	}
	wait_for(pid, 0);
	close(out[1]);
	CHECK(read(out[0], &byte, 1) == 1 && byte == 'k');
}

static volatile sig_atomic_t hits, last_sig;
static void *volatile last_addr;
static volatile bool on_stack;
static sigjmp_buf back;
static char stack[65536];

static void on_fault(int sig)
{
	hits++;
	last_sig = sig;
	siglongjmp(back, 1);
}

static void on_info(int sig, siginfo_t *info, void *uc)
{
	char here;

	(void)uc;
	hits++;
	last_sig = sig;
	last_addr = info->si_addr;
	on_stack = &here >= stack && &here < stack + sizeof(stack);
	siglongjmp(back, 1);
}

/* Fault as the program; true if its handler came. */
static bool faults(volatile char *p)
{
	int before = hits;

	if (sigsetjmp(back, 1) == 0)
		*p = 1;
	return hits == before + 1;
}

/* A fault of the host's guarded access is not the program's. */
static void guarded(int iommu, void *bad)
{
	int before = hits;

	CHECK(ioctl(iommu, FAKE_LOAD, bad) == -1 && errno == EFAULT);
	CHECK(hits == before);
}

static void handler_before(void)
{
	char *bad = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct sigaction old;
	int iommu;

	CHECK(signal(SIGSEGV, on_fault) == SIG_DFL);
	iommu = open_iommu();
	guarded(iommu, bad);
	CHECK(faults(bad) && last_sig == SIGSEGV);
	guarded(iommu, bad);
	CHECK(sigaction(SIGSEGV, NULL, &old) == 0 && old.sa_handler == on_fault && (old.sa_flags & SA_RESTART));
	CHECK(signal(SIGSEGV, SIG_IGN) == on_fault && signal(SIGSEGV, on_fault) == SIG_IGN);
	CHECK(faults(bad));
}

static void handler_after(void)
{
	char *bad = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct sigaction sa = {.sa_sigaction = on_info, .sa_flags = (int)SA_SIGINFO | SA_ONSTACK}, old;
	stack_t ss = {.ss_sp = stack, .ss_size = sizeof(stack)};
	int iommu = open_iommu();

	guarded(iommu, bad);
	CHECK(sigaltstack(&ss, NULL) == 0);
	sigaddset(&sa.sa_mask, SIGUSR1);
	CHECK(sigaction(SIGSEGV, &sa, &old) == 0 && old.sa_handler == SIG_DFL);
	guarded(iommu, bad);
	CHECK(faults(bad + 8) && last_addr == bad + 8 && on_stack);
	guarded(iommu, bad);
	CHECK(sigaction(SIGSEGV, NULL, &old) == 0 && old.sa_sigaction == on_info && sigismember(&old.sa_mask, SIGUSR1));
	/* one shot */
	sa.sa_flags |= (int)SA_RESETHAND;
	CHECK(sigaction(SIGSEGV, &sa, NULL) == 0 && faults(bad));
	CHECK(sigaction(SIGSEGV, NULL, &old) == 0 && old.sa_handler == SIG_DFL);
	guarded(iommu, bad);
	CHECK(sigaction(SIGBUS, &sa, &old) == 0 && old.sa_handler == SIG_DFL); /* the other one is apart */
	CHECK(raise(SIGBUS) == 0 || last_sig == SIGBUS);
}

/* Without a handler a fault of the program's still kills it, as it should. */
static void no_handler(void)
{
	char *bad = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int status, sig;

	for (sig = 0; sig < 2; sig++) {
		pid_t pid = fork();

		if (pid == 0) {
			guarded(open_iommu(), bad);
			if (sig)
				raise(SIGSEGV);
			else
				*bad = 1;
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	}
}

static void *masked_thread(void *arg)
{
	int iommu = *(int *)arg;
	char *bad = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sigset_t all, old;

	sigfillset(&all);
	CHECK(pthread_sigmask(SIG_SETMASK, &all, NULL) == 0); /* before its first use */
	guarded(iommu, bad);
	CHECK(pthread_sigmask(SIG_BLOCK, NULL, &old) == 0);
	CHECK(sigismember(&old, SIGSEGV) == 1 && sigismember(&old, SIGBUS) == 1 && sigismember(&old, SIGUSR1) == 1);
	CHECK(pthread_sigmask(SIG_UNBLOCK, &all, NULL) == 0);
	CHECK(sigprocmask(SIG_SETMASK, &all, &old) == 0 && sigismember(&old, SIGSEGV) == 0); /* and after */
	guarded(iommu, bad);
	CHECK(sigprocmask(SIG_SETMASK, &old, &all) == 0 && sigismember(&all, SIGBUS) == 1);
	guarded(iommu, bad);
	return NULL;
}

static void masked(void)
{
	int iommu = open_iommu();
	pthread_t thread;
	sigset_t all;

	sigfillset(&all);
	CHECK(sigprocmask(SIG_SETMASK, &all, NULL) == 0); /* the machine is made under this mask */
	masked_thread(&iommu);
	CHECK(sigprocmask(SIG_SETMASK, &all, NULL) == 0);
	CHECK(pthread_create(&thread, NULL, masked_thread, &iommu) == 0 && pthread_join(thread, NULL) == 0);
}

const struct prog_case memory_cases[] = {
	{"revoke", revokes},	       {"no-recursion", no_recursion},	 {"revoke-in-child", revoke_in_child},
	{"handler-before", handler_before}, {"handler-after", handler_after}, {"no-handler", no_handler},
	{"masked", masked},	       {0},
};
