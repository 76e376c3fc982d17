/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket: questions to a machine that is at work.
 *
 * One connection, one line, one answer, closed by us. Requests:
 *
 *   walk RID PASID ADDR ACCESS   the table of `nestbox walk`. RID is [SSSS:]BB:DD.F or a 16-bit hexadecimal number (then segment 0);
 *                                PASID is a number or "-"; ADDR is hexadecimal; ACCESS is letters of r, w, x
 *   counters                     a line "room.event value" for every event
 *
 * An answer that starts with "error: " is a refusal. The thread is started with the machine, so before a program has a
 * chance to lock itself in, but it may well have done so already: then there is no socket, and that is all.
 */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <fcntl.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "machine/machine.h"
#include "run/rundir.h"
#include "run/sys.h"
#include "run/vhost.h"

#define LINE_SIZE   256
#define ANSWER_SIZE (64u * 1024)
#define PATIENCE_S  2 /* with a client that does not speak or listen */
#define STACK_SIZE  (256u * 1024)

/* One per process, like the machine: written under claim_lock, or in a fork's child while it is alone. */
static struct {
	int listener;
	struct machine *m;
} control = {.listener = -1};

static bool parse_hex(const char *s, uint64_t max, uint64_t *v)
{
	char *end;

	if (!*s || strspn(s, "0123456789abcdefABCDEFxX") != strlen(s))
		return false;
	errno = 0;
	*v = strtoull(s, &end, 16);
	return !errno && !*end && *v <= max;
}

static bool parse_rid(const char *s, uint16_t *segment, uint16_t *rid)
{
	unsigned int seg = 0, bus, dev, fn;
	uint64_t v;
	char more;

	if (strchr(s, ':')) {
		if (sscanf(s, "%4x:%2x:%2x.%1x%c", &seg, &bus, &dev, &fn, &more) != 4) {
			seg = 0;
			if (sscanf(s, "%2x:%2x.%1x%c", &bus, &dev, &fn, &more) != 3)
				return false;
		}
		if (seg > 0xffff || bus > 0xff || dev > 31 || fn > 7)
			return false;
		v = bus << 8 | dev << 3 | fn;
	} else if (!parse_hex(s, 0xffff, &v)) {
		return false;
	}
	*segment = (uint16_t)seg;
	*rid = (uint16_t)v;
	return true;
}

static bool parse_pasid(const char *s, uint32_t *pasid)
{
	unsigned long v;
	char *end;

	*pasid = NB_NO_PASID;
	if (strcmp(s, "-") == 0)
		return true;
	if (*s < '0' || *s > '9')
		return false;
	v = strtoul(s, &end, 0);
	*pasid = (uint32_t)v;
	return !*end && v < 1u << 20;
}

static bool parse_access(const char *s, uint8_t *access)
{
	*access = 0;
	for (; *s; s++) {
		if (*s == 'r')
			*access |= HW_READ;
		else if (*s == 'w')
			*access |= HW_WRITE;
		else if (*s == 'x')
			*access |= HW_EXEC;
		else
			return false;
	}
	return *access != 0;
}

static size_t say(char *buf, size_t size, const char *text)
{
	int n = snprintf(buf, size, "error: %s\n", text);

	return n < 0 ? 0 : (size_t)n;
}

static size_t answer_walk(struct machine *m, const char *args, char *buf, size_t size)
{
	char rid_s[32], pasid_s[16], addr_s[24], access_s[8], more;
	uint16_t segment, rid;
	uint32_t pasid;
	uint64_t addr;
	uint8_t access;
	int n;

	if (sscanf(args, "%31s %15s %23s %7s %c", rid_s, pasid_s, addr_s, access_s, &more) != 4)
		return say(buf, size, "walk wants RID PASID ADDR ACCESS");
	if (!parse_rid(rid_s, &segment, &rid))
		return say(buf, size, "RID is [SSSS:]BB:DD.F or a hexadecimal number");
	if (!parse_pasid(pasid_s, &pasid))
		return say(buf, size, "PASID is a number below 2^20 or -");
	if (!parse_hex(addr_s, UINT64_MAX, &addr))
		return say(buf, size, "ADDR is a hexadecimal number");
	if (!parse_access(access_s, &access))
		return say(buf, size, "ACCESS is letters of r, w and x");
	n = machine_walk(m, segment, rid, pasid, addr, access, buf, size);
	if (n == -ENOENT)
		return say(buf, size, "the host has no such function");
	return n < 0 ? say(buf, size, strerror(-n)) : (size_t)n;
}

static size_t answer_counters(struct machine *m, char *buf, size_t size)
{
	struct nb_trace *tr = machine_trace(m);
	size_t len = 0;
	unsigned int ev;

	for (ev = 0; ev < NB_EV_COUNT; ev++) {
		int n = snprintf(len < size ? buf + len : NULL, len < size ? size - len : 0, "%s %" PRIu64 "\n",
				 nb_event_name(ev), nb_trace_count(tr, ev));

		if (n > 0)
			len += (size_t)n;
	}
	return len;
}

size_t control_answer(struct machine *m, const char *line, char *buf, size_t size)
{
	buf[0] = 0;
	if (strncmp(line, "walk ", 5) == 0)
		return answer_walk(m, line + 5, buf, size);
	if (strcmp(line, "counters") == 0)
		return answer_counters(m, buf, size);
	return say(buf, size, "requests are: walk RID PASID ADDR ACCESS, counters");
}

/* One line into buf, without its end. False: too long, or the peer went. */
static bool read_line(int fd, char *buf, size_t size)
{
	size_t len = 0;
	long n;

	while (len < size - 1) {
		char *end;

		n = sys3(SYS_read, (unsigned int)fd, (uintptr_t)buf + len, size - 1 - len);
		if (n < 0 && n != -EINTR)
			return false;
		if (n == 0) /* a line that ends with the stream will do */
			break;
		if (n > 0)
			len += (size_t)n;
		buf[len] = 0;
		end = strpbrk(buf, "\r\n");
		if (end) {
			*end = 0;
			return true;
		}
	}
	buf[len] = 0;
	return len > 0 && len < size - 1;
}

static void write_all(int fd, const char *buf, size_t len)
{
	while (len) {
		long n = sys6(SYS_sendto, (unsigned int)fd, (uintptr_t)buf, len, MSG_NOSIGNAL, 0, 0);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return;
		buf += n;
		len -= (size_t)n;
	}
}

static void serve(struct machine *m, int fd)
{
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	char line[LINE_SIZE], *buf;
	size_t len;

	sys5(SYS_setsockopt, (unsigned int)fd, SOL_SOCKET, SO_RCVTIMEO, (uintptr_t)&patience, sizeof(patience));
	sys5(SYS_setsockopt, (unsigned int)fd, SOL_SOCKET, SO_SNDTIMEO, (uintptr_t)&patience, sizeof(patience));
	if (!read_line(fd, line, sizeof(line)))
		return;
	buf = nb_zalloc(ANSWER_SIZE);
	if (!buf)
		return;
	vhost_enter();
	len = control_answer(m, line, buf, ANSWER_SIZE);
	vhost_leave();
	write_all(fd, buf, len < ANSWER_SIZE ? len : ANSWER_SIZE - 1);
	nb_free(buf);
}

static void *control_thread(void *arg)
{
	int listener = control.listener, fd;

	for (;;) {
		fd = (int)sys4(SYS_accept4, (unsigned int)listener, 0, 0, SOCK_CLOEXEC);
		if (fd == -EINTR || fd == -ECONNABORTED)
			continue;
		if (fd < 0) {
			if (fd != -EMFILE && fd != -ENFILE && fd != -ENOMEM)
				return NULL; /* a sandbox closed in; nothing to be done */
			const struct timespec nap = {.tv_nsec = 100000000};

			sys2(SYS_nanosleep, (uintptr_t)&nap, 0);
			continue;
		}
		fd_mark_set(fd, FD_INTERNAL);
		serve(arg, fd);
		fd_mark_set(fd, FD_UNKNOWN);
		sys_close(fd);
	}
}

/* The socket's name may be longer than an address holds; through /proc its directory is a number. */
static int bind_in(const char *dir, int sock)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	char name[32];
	int n, dirfd = sys_open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	long r;

	if (dirfd < 0)
		return dirfd;
	snprintf(name, sizeof(name), NB_RUN_CONTROL "%ld", sys0(SYS_getpid));
	sys3(SYS_unlinkat, (unsigned int)dirfd, (uintptr_t)name, 0);
	n = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s", dir, name);
	if (n < 0 || (size_t)n >= sizeof(sa.sun_path))
		snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/%s", dirfd, name);
	r = sys3(SYS_bind, (unsigned int)sock, (uintptr_t)&sa, sizeof(sa));
	sys_close(dirfd);
	return (int)r;
}

static int start_thread(struct machine *m)
{
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	/* The program's signals are for the program's threads; faults are for guarded access. */
	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sys4(SYS_rt_sigprocmask, SIG_SETMASK, (uintptr_t)&all, (uintptr_t)&old, 8);
	err = pthread_create(&thread, &attr, control_thread, m);
	sys4(SYS_rt_sigprocmask, SIG_SETMASK, (uintptr_t)&old, 0, 8);
	pthread_attr_destroy(&attr);
	return -err;
}

int control_start(struct machine *m, const char *dir)
{
	int fd = (int)sys3(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), high;
	long r;

	if (fd < 0)
		return fd;
	high = run_keep_fd(fd);
	sys_close(fd);
	if (high < 0)
		return high;
	r = bind_in(dir, high);
	if (!r)
		r = sys2(SYS_listen, (unsigned int)high, 8);
	control.listener = high;
	control.m = m;
	if (!r)
		r = start_thread(m);
	if (r)
		control_forget();
	return (int)r;
}

void control_forget(void)
{
	if (control.listener < 0)
		return;
	fd_mark_set(control.listener, FD_UNKNOWN);
	sys_close(control.listener);
	control.listener = -1;
	control.m = NULL;
}
