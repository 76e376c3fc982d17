/* SPDX-License-Identifier: BSD-3-Clause */
/* mem: guarded access, regions and MMIO ranges, buses, pools. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "mem/mem.h"

/* cmocka puts its own handlers in front for each test. */
static void arm(void)
{
	assert_int_equal(guard_init(), 0);
}

static char *pages(size_t n, int prot)
{
	char *p = mmap(NULL, n * 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

static void guard_refuses_what_is_not_there(void **state)
{
	char *p = pages(2, PROT_READ | PROT_WRITE), buf[8192];
	uint64_t v = 0x1122, e = 0;
	uint32_t w = 3;
	uint8_t b = 1;

	(void)state;
	assert_int_equal(guard_init(), 0);
	munmap(p + 4096, 4096);
	assert_false(guard_load64(p + 4096, &v));
	assert_int_equal(v, 0x1122);
	assert_false(guard_store64(p + 4096, 5));
	assert_int_equal(guard_cas64(p + 4096, &e, 5), -1);
	assert_false(guard_load32(p + 4096, &w));
	assert_false(guard_store32(p + 4096, 1));
	assert_false(guard_load8(p + 4096, &b));
	assert_false(guard_touch_write(p + 4096));
	assert_int_equal(w, 3);
	assert_int_equal(b, 1);
	assert_true(guard_store64(p + 8, 77));
	assert_true(guard_load64(p + 8, &v));
	assert_int_equal(v, 77);
	e = 76;
	assert_int_equal(guard_cas64(p + 8, &e, 1), 1);
	assert_int_equal(e, 77);
	assert_int_equal(guard_cas64(p + 8, &e, 1), 0);
	/* The copy stops exactly at the border and says how much is missing. */
	memset(buf, 0xee, sizeof(buf));
	assert_int_equal(guard_copy(p + 4000, buf, 4096), 4000);
	assert_int_equal((uint8_t)p[4095], 0xee);
	assert_int_equal(guard_copy(buf, p + 4096 - 64, 128), 64);
	assert_int_equal(guard_fill(p, 9, 8192), 4096);
	/* Read-only is not writable. */
	mprotect(p, 4096, PROT_READ);
	assert_false(guard_touch_write(p));
	assert_false(guard_store64(p, 1));
	munmap(p, 4096);
}

/* A file that shrinks under its mapping: SIGBUS. */
static void guard_catches_sigbus(void **state)
{
	int fd = memfd_create("t", 0);
	char *p, buf[64];

	(void)state;
	arm();
	assert_int_equal(ftruncate(fd, 4096), 0);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_int_equal(guard_copy(buf, p, 64), 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(guard_copy(buf, p, 64), 64);
	munmap(p, 4096);
	close(fd);
}

/* An address that the compiler cannot see to be bad. */
static volatile int *nowhere(void)
{
	volatile uintptr_t a = 8;

	return (volatile int *)a;
}

static volatile sig_atomic_t seen;
static sigjmp_buf back;
static void own_handler(int sig, siginfo_t *si, void *uc)
{
	(void)uc;
	seen = sig == SIGSEGV && si->si_addr == (void *)8;
	siglongjmp(back, 1);
}

/* The program's own handler gets the faults that are not ours, in whichever order both were installed. */
static void program_handler_still_works(void **state)
{
	struct sigaction sa = {.sa_sigaction = own_handler, .sa_flags = SA_SIGINFO}, old;
	uint64_t v;

	(void)state;
	arm();
	assert_int_equal(guard_chain_sigaction(SIGSEGV, &sa, NULL), 0);
	assert_int_equal(guard_chain_sigaction(SIGSEGV, NULL, &old), 0);
	assert_ptr_equal(old.sa_sigaction, own_handler);
	seen = 0;
	if (sigsetjmp(back, 1) == 0)
		(void)*nowhere();
	assert_true(seen);
	assert_false(guard_load64((void *)8, &v));
	sa.sa_flags = 0;
	sa.sa_handler = SIG_DFL;
	assert_int_equal(guard_chain_sigaction(SIGSEGV, &sa, NULL), 0);
	assert_int_equal(guard_chain_sigaction(SIGUSR1, &sa, NULL), -EINVAL);
}

static void default_action_still_kills(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	arm();
	if (pid == 0) {
		struct sigaction dfl = {.sa_handler = SIG_DFL};

		guard_chain_sigaction(SIGSEGV, &dfl, NULL);
		close(2);
		(void)*nowhere();
		_exit(0);
	}
	waitpid(pid, &status, 0);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
#else
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
#endif
}

static uint64_t reg_read(void *o, uint64_t off, unsigned int size)
{
	(void)o;
	return off << 8 | size;
}
static uint64_t last_write[3];
static void reg_write(void *o, uint64_t off, unsigned int size, uint64_t v)
{
	(void)o;
	last_write[0] = off;
	last_write[1] = size;
	last_write[2] = v;
}
static const struct mem_mmio_ops reg_ops = {reg_read, reg_write};

/* Two words at once, wherever the buffer lies and whatever is behind the address. */
/* A bus that refuses what is beyond its memory and is never asked for less than whole words by loads and exchanges. */
struct bus {
	uint64_t word[8];
	unsigned int calls;
};

static uint64_t *bus_at(void *opaque, hpa_t pa, size_t len)
{
	struct bus *b = opaque;

	b->calls++;
	return pa.v >= 4096 && pa.v - 4096 <= sizeof(b->word) - len ? (uint64_t *)(void *)((char *)b->word + (pa.v - 4096)) : NULL;
}

static int bus_load64(void *opaque, hpa_t pa, uint64_t *v)
{
	const uint64_t *at = bus_at(opaque, pa, 8);

	assert_int_equal(pa.v % 8, 0);
	if (at)
		*v = *at;
	return at ? 0 : -EFAULT;
}

static int bus_cas64(void *opaque, hpa_t pa, uint64_t *expected, uint64_t desired)
{
	uint64_t *at = bus_at(opaque, pa, 8), was;

	if (!at)
		return -EFAULT;
	was = *at;
	if (was == *expected)
		*at = desired;
	*expected = was;
	return *at != desired;
}

static int bus_copy_from(void *opaque, void *dst, hpa_t pa, size_t len)
{
	const uint64_t *at = bus_at(opaque, pa, len);

	if (at)
		memcpy(dst, at, len);
	return at ? 0 : -EFAULT;
}

static int bus_copy_to(void *opaque, hpa_t pa, const void *src, size_t len)
{
	uint64_t *at = bus_at(opaque, pa, len);

	if (at)
		memcpy(at, src, len);
	return at ? 0 : -EFAULT;
}

static void a_bus_is_asked_for_all(void **state)
{
	static const struct mem_bus_ops ops = {bus_load64, bus_cas64, bus_copy_from, bus_copy_to};
	static const struct mem_mmio_ops mmio;
	struct bus b = {.word = {1, 2, 3}};
	uint64_t v = 7, two[2] = {0, 0}, four[4] = {9, 9, 9, 9};
	uint32_t half = 0;
	struct mem m;

	(void)state;
	arm();
	assert_int_equal(mem_init_bus(&m, &ops, &b), 0);
	assert_int_equal(mem_add_region(&m, hpa(0), &b, 4096), -EINVAL);
	assert_int_equal(mem_add_mmio(&m, hpa(0), 4096, &mmio, NULL), -EINVAL);

	assert_int_equal(mem_load64(&m, hpa(4096 + 8), &v), 0);
	assert_int_equal(v, 2);
	assert_int_equal(mem_load128(&m, hpa(4096), two), 0);
	assert_true(two[0] == 1 && two[1] == 2);
	assert_int_equal(mem_load32(&m, hpa(4096 + 16), &half), 0);
	assert_int_equal(half, 3);
	assert_int_equal(mem_store64(&m, hpa(4096), 5), 0);
	assert_int_equal(mem_store32(&m, hpa(4096 + 8), 6), 0);
	v = 4;
	assert_int_equal(mem_cas64(&m, hpa(4096), &v, 8), 1);
	assert_int_equal(v, 5);
	assert_int_equal(mem_cas64(&m, hpa(4096), &v, 8), 0);
	assert_int_equal(mem_copy_from(&m, four, hpa(4096), sizeof(four)), 0);
	assert_true(four[0] == 8 && four[1] == 6 && four[2] == 3 && four[3] == 0);
	assert_int_equal(mem_copy_to(&m, hpa(4096 + 32), four, sizeof(four)), 0);
	assert_int_equal(b.word[4], 8);
	assert_int_equal(b.calls, 10);

	/* What it refuses is refused, and nothing comes of it. */
	assert_int_equal(mem_load64(&m, hpa(8192), &v), -EFAULT);
	assert_int_equal(v, 5);
	assert_int_equal(mem_load128(&m, hpa(4096 + 64), two), -EFAULT);
	assert_true(two[0] == 1 && two[1] == 2);
	assert_int_equal(mem_cas64(&m, hpa(0), &v, 1), -EFAULT);
	assert_int_equal(mem_store64(&m, hpa(UINT64_MAX - 7), 1), -EFAULT);
	assert_int_equal(mem_copy_to(&m, hpa(4096 + 40), four, sizeof(four)), -EFAULT);
	mem_fini(&m);
}

static void two_words(void **state)
{
	uint64_t a[67] __attribute__((aligned(16))), v[2] = {1, 2};
	struct mem m;
	unsigned int i;
	char *gone;

	(void)state;
	arm();
	for (i = 0; i < ARRAY_SIZE(a); i++)
		a[i] = i;
	assert_int_equal(mem_init_regions(&m), 0);
	assert_int_equal(mem_add_region(&m, hpa(0x10000), a, 256), 0);
	assert_int_equal(mem_add_region(&m, hpa(0x10100), a + 33, 256), 0); /* as its address is not aligned */
	assert_int_equal(mem_add_region(&m, hpa(0x10200), a, 8), 0);
	assert_int_equal(mem_add_mmio(&m, hpa(0x14000), 0x100, &reg_ops, NULL), 0);
	assert_int_equal(mem_load128(&m, hpa(0x100f0), v), 0);
	assert_int_equal(v[0], 30);
	assert_int_equal(v[1], 31);
	assert_int_equal(mem_load128(&m, hpa(0x10110), v), 0);
	assert_int_equal(v[0], 35);
	assert_int_equal(v[1], 36);
	assert_int_equal(mem_load128(&m, hpa(0x14010), v), 0);
	assert_int_equal(v[0], 0x1008);
	assert_int_equal(v[1], 0x1808);
	assert_int_equal(mem_load128(&m, hpa(0x10200), v), -EFAULT); /* the second word is not there */
	assert_int_equal(mem_load128(&m, hpa(0x20000), v), -EFAULT);
	assert_int_equal(v[0], 0x1008);
	mem_fini(&m);

	gone = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(gone != MAP_FAILED);
	assert_int_equal(mem_init_process(&m), 0);
	assert_int_equal(mem_load128(&m, hpa((uint64_t)(uintptr_t)gone), v), -EFAULT);
	assert_int_equal(mem_load128(&m, hpa((uint64_t)(uintptr_t)a), v), 0);
	assert_int_equal(v[1], 1);
	mem_fini(&m);
	munmap(gone, 4096);
}

static void regions_and_mmio(void **state)
{
	struct mem m;
	uint64_t a[1024], b[1024], v = 1;
	char buf[16];
	uint32_t w;

	(void)state;
	arm();
	memset(a, 0, sizeof(a));
	memset(b, 0, sizeof(b));
	assert_int_equal(mem_init_regions(&m), 0);
	assert_int_equal(mem_load64(&m, hpa(0), &v), -EFAULT);
	assert_int_equal(mem_add_region(&m, hpa(0x10000), a, sizeof(a)), 0);
	assert_int_equal(mem_add_region(&m, hpa(0x12000), b, sizeof(b)), 0);
	assert_int_equal(mem_add_region(&m, hpa(0x11ff8), b, 16), -EINVAL);
	assert_int_equal(mem_add_region(&m, hpa(UINT64_MAX - 6), b, 8), -EINVAL);
	assert_int_equal(mem_add_region(&m, hpa(0x20000), b, 0), -EINVAL);
	assert_int_equal(mem_add_mmio(&m, hpa(0x14000), 0x100, &reg_ops, NULL), 0);
	assert_int_equal(mem_store64(&m, hpa(0x11ff8), 5), 0);
	assert_int_equal(a[1023], 5);
	assert_int_equal(mem_store64(&m, hpa(0x12000), 6), 0);
	assert_int_equal(b[0], 6);
	/* Across the border of two regions. */
	assert_int_equal(mem_copy_from(&m, buf, hpa(0x11ff8), 16), 0);
	assert_int_equal(buf[0], 5);
	assert_int_equal(buf[8], 6);
	assert_int_equal(mem_load64(&m, hpa(0x0fff8), &v), -EFAULT);
	assert_int_equal(mem_load64(&m, hpa(0x0fffc), &v), -EFAULT);
	assert_int_equal(mem_load64(&m, hpa(0x140fc), &v), -EFAULT);
	assert_int_equal(v, 1);
	assert_int_equal(mem_load64(&m, hpa(0x14010), &v), 0);
	assert_int_equal(v, 0x1008);
	assert_int_equal(mem_load32(&m, hpa(0x14014), &w), 0);
	assert_int_equal(w, 0x1404);
	assert_int_equal(mem_store32(&m, hpa(0x14018), 0xaabb), 0);
	assert_int_equal(last_write[0], 0x18);
	assert_int_equal(last_write[1], 4);
	assert_int_equal(last_write[2], 0xaabb);
	assert_int_equal(mem_cas64(&m, hpa(0x14010), &v, 1), -EFAULT);
	v = 6;
	assert_int_equal(mem_cas64(&m, hpa(0x12000), &v, 9), 0);
	assert_int_equal(b[0], 9);
	assert_int_equal(mem_copy_to(&m, hpa(0x13ff8), buf, 16), 0);
	assert_int_equal(last_write[0], 0);
	assert_int_equal(mem_copy_to(&m, hpa(0x140f8), buf, 16), -EFAULT);
	mem_fini(&m);
}

static void process_space(void **state)
{
	struct mem m;
	uint64_t x = 42, v;

	(void)state;
	arm();
	assert_int_equal(mem_init_process(&m), 0);
	assert_int_equal(mem_load64(&m, hpa((uintptr_t)&x), &v), 0);
	assert_int_equal(v, 42);
	assert_int_equal(mem_load64(&m, hpa(0), &v), -EFAULT);
	assert_int_equal(mem_load64(&m, hpa(UINT64_C(1) << 47), &v), -EFAULT);
	assert_int_equal(mem_load64(&m, hpa(UINT64_C(0xffff800000000000)), &v), -EFAULT);
	assert_int_equal(mem_load64(&m, hpa(UINT64_MAX - 7), &v), -EFAULT);
	assert_int_equal(mem_copy_from(&m, &v, hpa((uintptr_t)&x), 0), 0);
	mem_fini(&m);
}

static void pool_orders(void **state)
{
	struct mem m;
	struct mem_pool *p;
	void *page[64];
	unsigned int i;

	(void)state;
	assert_int_equal(mem_init_process(&m), 0);
	p = mem_pool_new(&m);
	for (i = 0; i < 64; i++) {
		unsigned int order = i % 10;
		hpa_t pa;

		page[i] = mem_page_alloc(p, order, &pa);
		assert_non_null(page[i]);
		assert_true(nb_aligned(pa.v, UINT64_C(4096) << order));
		assert_ptr_equal(mem_page_ptr(p, pa), page[i]);
		for (size_t k = 0; k < (size_t)4096 << order; k += 512)
			assert_int_equal(((char *)page[i])[k], 0);
		memset(page[i], 0xff, (size_t)4096 << order);
	}
	for (i = 0; i < 64; i++)
		mem_page_free(p, page[i], i % 10);
	assert_int_equal(mem_pool_used(p), 0);
	/* A page that comes back is clean. */
	page[0] = mem_page_alloc(p, 0, NULL);
	for (i = 0; i < 512; i++)
		assert_int_equal(((uint64_t *)page[0])[i], 0);
	mem_page_free(p, page[0], 0);
	nb_fail_nth_arm(1);
	assert_null(mem_page_alloc(p, 0, NULL));
	assert_true(nb_fail_nth_fired());
	mem_pool_free(p);
	mem_fini(&m);
}

static char *victim;
static atomic_bool done;
static void *unmapper(void *arg)
{
	(void)arg;
	while (!atomic_load(&done)) {
		mprotect(victim, 4096, PROT_NONE);
		mprotect(victim, 4096, PROT_READ | PROT_WRITE);
	}
	return NULL;
}

/* Pages that go away between two instructions: every access succeeds or fails, nothing else happens. */
static void guard_races_unmap(void **state)
{
	unsigned long ok = 0, bad = 0;
	char buf[4096];
	pthread_t t;

	(void)state;
	arm();
	victim = pages(1, PROT_READ | PROT_WRITE);
	pthread_create(&t, NULL, unmapper, NULL);
	while (ok < 100 || bad < 100) {
		if (guard_copy(buf, victim, 4096) == 0)
			ok++;
		else
			bad++;
	}
	atomic_store(&done, true);
	pthread_join(t, NULL);
	munmap(victim, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guard_refuses_what_is_not_there),
		cmocka_unit_test(guard_catches_sigbus),
		cmocka_unit_test(program_handler_still_works),
		cmocka_unit_test(default_action_still_kills),
		cmocka_unit_test(regions_and_mmio),
		cmocka_unit_test(a_bus_is_asked_for_all),
		cmocka_unit_test(two_words),
		cmocka_unit_test(process_space),
		cmocka_unit_test(pool_orders),
		cmocka_unit_test(guard_races_unmap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
