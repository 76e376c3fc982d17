/* SPDX-License-Identifier: BSD-3-Clause */
#include "qtest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_ARGS 48
#define IO_TIMEOUT_MS 60000

struct qtest {
	pid_t pid;
	int to, from; /* pipes; both non-blocking */
	int ram_fd;
	uint8_t *ram;
	uint64_t ram_size;
	char *out;
	size_t out_len, out_room;
	size_t ncmds;
	uint64_t *answer;
	size_t answer_room;
	char line[512];
	size_t line_len;
};

/* What exit() has to kill. A worker process has one QEMU at a time. */
static pid_t running;

static void kill_running(void)
{
	if (running > 0) {
		kill(running, SIGKILL);
		waitpid(running, NULL, 0);
		running = 0;
	}
}

const char *qtest_find(const char *program, const char **why)
{
	static char path[4096], text[4300];
	const char *own = getenv("NB_ORACLE_QEMU"), *cache = getenv("NESTBOX_CACHE"), *xdg = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");

	if (own)
		snprintf(path, sizeof(path), "%s/%s", own, program);
	else if (cache)
		snprintf(path, sizeof(path), "%s/bin/%s", cache, program);
	else if (xdg && *xdg)
		snprintf(path, sizeof(path), "%s/nestbox/bin/%s", xdg, program);
	else
		snprintf(path, sizeof(path), "%s/.cache/nestbox/bin/%s", home ? home : "", program);
	if (access(path, X_OK) == 0)
		return path;
	snprintf(text, sizeof(text), "no QEMU at %s (scripts/setup guest fetches it)", path);
	*why = text;
	return NULL;
}

static void child(const char *program, const char *const *args, int in, int out, int ram_fd, uint64_t ram_size)
{
	const char *argv[MAX_ARGS];
	char object[160], size[32];
	unsigned int n = 0;
	int null;

	/* The parent may have died before this line: then there is nobody to kill us. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == 1)
		_exit(127);
	dup2(in, 0);
	dup2(out, 1);
	null = getenv("NB_ORACLE_VERBOSE") ? -1 : open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (null >= 0)
		dup2(null, 2); /* it tells of every fault */
	fcntl(ram_fd, F_SETFD, 0);
	snprintf(object, sizeof(object), "memory-backend-file,id=ram0,share=on,mem-path=/proc/self/fd/%d,size=%" PRIu64 "M",
		 ram_fd, ram_size >> 20);
	snprintf(size, sizeof(size), "%" PRIu64 "M", ram_size >> 20);
	argv[n++] = program;
	while (*args && n < MAX_ARGS - 16)
		argv[n++] = *args++;
	argv[n++] = "-object";
	argv[n++] = object;
	argv[n++] = "-m";
	argv[n++] = size;
	argv[n++] = "-nodefaults";
	argv[n++] = "-display";
	argv[n++] = "none";
	argv[n++] = "-monitor";
	argv[n++] = "none";
	argv[n++] = "-serial";
	argv[n++] = "none";
	argv[n++] = "-qtest";
	argv[n++] = "stdio";
	argv[n++] = "-qtest-log";
	argv[n++] = "none";
	argv[n] = NULL;
	execv(program, (char *const *)(uintptr_t)argv);
	_exit(127);
}

static struct qtest *refuse(struct qtest *q, struct nb_diag *diag, const char *what)
{
	nb_fail(diag, -errno, "%s: %s", what, strerror(errno));
	qtest_stop(q);
	return NULL;
}

struct qtest *qtest_start(const char *program, const char *const *args, uint64_t ram_size, struct nb_diag *diag)
{
	struct qtest *q = calloc(1, sizeof(*q));
	static int hooked;
	int in[2], out[2];

	if (!q)
		return NULL;
	q->to = q->from = q->ram_fd = -1;
	q->ram_size = ram_size;
	q->ram_fd = memfd_create("oracle-ram", MFD_CLOEXEC);
	if (q->ram_fd < 0 || ftruncate(q->ram_fd, (off_t)ram_size))
		return refuse(q, diag, "guest RAM");
	q->ram = mmap(NULL, ram_size, PROT_READ | PROT_WRITE, MAP_SHARED, q->ram_fd, 0);
	if (q->ram == MAP_FAILED) {
		q->ram = NULL;
		return refuse(q, diag, "guest RAM");
	}
	if (pipe2(in, O_CLOEXEC))
		return refuse(q, diag, "pipe");
	q->to = in[1];
	if (pipe2(out, O_CLOEXEC)) {
		close(in[0]);
		return refuse(q, diag, "pipe");
	}
	q->from = out[0];
	if (!hooked++)
		atexit(kill_running);
	signal(SIGPIPE, SIG_IGN);
	q->pid = fork();
	if (q->pid == 0)
		child(program, args, in[0], out[1], q->ram_fd, ram_size);
	close(in[0]);
	close(out[1]);
	if (q->pid < 0)
		return refuse(q, diag, "fork");
	running = q->pid;
	fcntl(q->to, F_SETFL, O_NONBLOCK);
	fcntl(q->from, F_SETFL, O_NONBLOCK);
	/* It is up when it answers. */
	(void)qtest_read(q, 4, 0);
	if (qtest_flush(q, diag)) {
		qtest_stop(q);
		return NULL;
	}
	return q;
}

void qtest_stop(struct qtest *q)
{
	if (!q)
		return;
	if (q->pid > 0) {
		kill(q->pid, SIGKILL);
		waitpid(q->pid, NULL, 0);
		running = 0;
	}
	if (q->to >= 0)
		close(q->to);
	if (q->from >= 0)
		close(q->from);
	if (q->ram)
		munmap(q->ram, q->ram_size);
	if (q->ram_fd >= 0)
		close(q->ram_fd);
	free(q->out);
	free(q->answer);
	free(q);
}

uint8_t *qtest_ram(struct qtest *q)
{
	return q->ram;
}

void qtest_ram_clear(struct qtest *q)
{
	if (fallocate(q->ram_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)q->ram_size))
		memset(q->ram, 0, q->ram_size);
}

static size_t add(struct qtest *q, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static size_t add(struct qtest *q, const char *fmt, ...)
{
	va_list ap;

	if (q->out_room - q->out_len < 128) {
		q->out_room = q->out_room ? 2 * q->out_room : 65536;
		q->out = realloc(q->out, q->out_room);
		if (!q->out)
			abort();
	}
	va_start(ap, fmt);
	q->out_len += (size_t)vsnprintf(q->out + q->out_len, 128, fmt, ap);
	va_end(ap);
	return q->ncmds++;
}

static char letter(unsigned int size)
{
	return size == 8 ? 'q' : size == 4 ? 'l' : size == 2 ? 'w' : 'b';
}

size_t qtest_write(struct qtest *q, unsigned int size, uint64_t addr, uint64_t v)
{
	return add(q, "write%c 0x%" PRIx64 " 0x%" PRIx64 "\n", letter(size), addr, v);
}

size_t qtest_read(struct qtest *q, unsigned int size, uint64_t addr)
{
	return add(q, "read%c 0x%" PRIx64 "\n", letter(size), addr);
}

size_t qtest_out32(struct qtest *q, uint16_t port, uint32_t v)
{
	return add(q, "outl 0x%x 0x%" PRIx32 "\n", port, v);
}

size_t qtest_clock_step(struct qtest *q, uint64_t ns)
{
	return add(q, "clock_step %" PRIu64 "\n", ns);
}

uint64_t qtest_answer(const struct qtest *q, size_t index)
{
	return q->answer[index];
}

/* Bytes from QEMU: whole lines become answers. Returns how many, or -1 for a line that is no answer. */
static int take_lines(struct qtest *q, const char *buf, size_t len, size_t *got, struct nb_diag *diag)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (buf[i] != '\n') {
			if (q->line_len < sizeof(q->line) - 1)
				q->line[q->line_len++] = buf[i];
			continue;
		}
		q->line[q->line_len] = 0;
		q->line_len = 0;
		if (strncmp(q->line, "IRQ ", 4) == 0)
			continue;
		if (strncmp(q->line, "OK", 2) != 0 || *got == q->ncmds)
			return nb_fail(diag, -EIO, "QEMU answers \"%.200s\"", q->line);
		q->answer[(*got)++] = strtoull(q->line + 2, NULL, 0);
	}
	return 0;
}

int qtest_flush(struct qtest *q, struct nb_diag *diag)
{
	size_t sent = 0, got = 0;
	char buf[65536];
	int err = 0;

	if (q->ncmds > q->answer_room) {
		q->answer_room = 2 * q->ncmds;
		q->answer = realloc(q->answer, q->answer_room * sizeof(*q->answer));
		if (!q->answer)
			abort();
	}
	/* Both ways at once: either pipe may be full while the other has something to say. */
	while (!err && got < q->ncmds) {
		struct pollfd p[2] = {{q->from, POLLIN, 0}, {q->to, POLLOUT, 0}};
		ssize_t n;

		n = poll(p, sent < q->out_len ? 2 : 1, IO_TIMEOUT_MS);
		if (n == 0)
			err = nb_fail(diag, -EIO, "QEMU is silent for %d s", IO_TIMEOUT_MS / 1000);
		if (n <= 0)
			continue;
		if (p[0].revents) {
			n = read(q->from, buf, sizeof(buf));
			if (n > 0)
				err = take_lines(q, buf, (size_t)n, &got, diag);
			else if (n == 0)
				err = nb_fail(diag, -EIO, "QEMU went away");
		}
		if (sent < q->out_len && p[1].revents) {
			n = write(q->to, q->out + sent, q->out_len - sent);
			if (n > 0)
				sent += (size_t)n;
			else if (errno == EPIPE)
				err = nb_fail(diag, -EIO, "QEMU went away");
		}
	}
	q->out_len = 0;
	q->ncmds = 0;
	return err;
}

void qtest_pci_enable(struct qtest *q, unsigned int devfn, uint32_t bar0)
{
	qtest_out32(q, 0xcf8, 0x80000000u | devfn << 8 | 0x10);
	qtest_out32(q, 0xcfc, bar0);
	qtest_out32(q, 0xcf8, 0x80000000u | devfn << 8 | 0x04);
	qtest_out32(q, 0xcfc, 6); /* memory space, bus master */
}

void qtest_ecam_enable(struct qtest *q, uint64_t ecam, uint32_t bar0)
{
	qtest_write(q, 4, ecam + 0x10, bar0);
	qtest_write(q, 4, ecam + 0x04, 6);
}
