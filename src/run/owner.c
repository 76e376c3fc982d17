/* SPDX-License-Identifier: BSD-3-Clause */
#include "run/owner.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "run/sys.h"

/* pid << START_BITS | start time in clock ticks since boot */
#define START_BITS 42
#define START_MASK ((UINT64_C(1) << START_BITS) - 1)

/*
 * A page that the kernel empties in a fork's child, however it was forked. Null until it is first
 * needed; where the kernel cannot do that (before 4.14), `fallback` holds the word and is checked against getpid().
 */
static _Atomic(_Atomic uint64_t *) page;
static _Atomic uint64_t fallback;

struct pid_stat {
	char state;
	long threads;
	uint64_t start;
};

/* The few fields of /proc/<pid>/stat that matter. 0, or -errno of open(2). */
static int read_stat(unsigned int pid, struct pid_stat *st)
{
	char path[32] = "/proc/", buf[1024], digits[10], *p = digits + sizeof(digits), *end;
	size_t at = strlen(path);
	unsigned int field;
	long n;
	int fd;

	do
		*--p = (char)('0' + pid % 10);
	while ((pid /= 10) != 0);
	memcpy(path + at, p, (size_t)(digits + sizeof(digits) - p));
	at += (size_t)(digits + sizeof(digits) - p);
	memcpy(path + at, "/stat", sizeof("/stat"));
	fd = sys_open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fd;
	n = sys3(SYS_read, (unsigned int)fd, (uintptr_t)buf, sizeof(buf) - 1);
	sys_close(fd);
	if (n <= 0)
		return -ESRCH;
	buf[n] = 0;
	p = strrchr(buf, ')'); /* the name before it may hold anything */
	if (!p || p[1] != ' ')
		return -ESRCH;
	st->state = p[2];
	p += 3;
	for (field = 3; *p == ' '; p = end) {
		long long v = strtoll(p, &end, 10);

		if (end == p)
			break;
		if (++field == 20)
			st->threads = (long)v;
		if (field == 22) {
			st->start = (uint64_t)v;
			return 0;
		}
	}
	return -ESRCH;
}

static uint64_t word_now(void)
{
	unsigned int pid = (unsigned int)sys0(SYS_getpid);
	struct pid_stat st;

	return (uint64_t)pid << START_BITS | (read_stat(pid, &st) ? 0 : st.start & START_MASK);
}

unsigned int owner_pid(uint64_t owner)
{
	return (unsigned int)(owner >> START_BITS);
}

uint64_t owner_known(void)
{
	_Atomic uint64_t *p = atomic_load_explicit(&page, memory_order_acquire);
	uint64_t w;

	if (!p)
		return 0;
	if (p != &fallback)
		return atomic_load_explicit(p, memory_order_relaxed);
	w = atomic_load_explicit(p, memory_order_relaxed);
	return w && owner_pid(w) == (unsigned int)sys0(SYS_getpid) ? w : 0;
}

uint64_t owner_self(void)
{
	_Atomic uint64_t *p = atomic_load_explicit(&page, memory_order_acquire), *none = NULL;
	uint64_t w = owner_known();
	long map;

	if (w)
		return w;
	if (!p) {
		map = sys6(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1, 0);
		p = map < 0 && map >= -4095 ? &fallback : (_Atomic uint64_t *)(uintptr_t)map;
		if (p != &fallback && sys3(SYS_madvise, map, 4096, MADV_WIPEONFORK)) {
			sys2(SYS_munmap, map, 4096);
			p = &fallback;
		}
		/* Another thread may have been first: its page stays, ours is left alone. */
		if (!atomic_compare_exchange_strong(&page, &none, p))
			p = none;
	}
	w = word_now();
	atomic_store_explicit(p, w, memory_order_relaxed);
	return w;
}

bool owner_alive(uint64_t owner)
{
	uint64_t start = owner & START_MASK;
	struct pid_stat st = {0};
	int err;

	if (!owner)
		return false;
	err = read_stat(owner_pid(owner), &st);
	if (err) /* no such process, or no /proc */
		return sys2(SYS_kill, (uint64_t)owner_pid(owner), 0) != -ESRCH;
	if (start && (st.start & START_MASK) != start)
		return false;
	/* The first thread may have exited before the others. */
	return !(st.state == 'X' || (st.state == 'Z' && st.threads <= 1));
}
