/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finding the command and seeing, before it starts, what would go wrong later without a word: programs that the
 * dynamic linker never preloads into, and QEMUs that cannot nest.
 */
#include "cli/command.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

#define QEMU_MAJOR 11 /* 11.1: before it, option names and the nesting ABI differ */
#define QEMU_MINOR 1
#define VERSION_TIMEOUT_MS 20000

static int find_in_path(const char *name, struct command *c, struct nb_diag *diag)
{
	const char *path = getenv("PATH"), *p, *end;
	bool denied = false;

	if (strchr(name, '/')) {
		struct stat st;

		if (strlen(name) >= sizeof(c->path))
			return nb_fail(diag, CLI_NOT_FOUND, "%.60s...: the name is too long", name);
		if (stat(name, &st))
			return nb_fail(diag, CLI_NOT_FOUND, "%s: %s", name, strerror(errno));
		if (!S_ISREG(st.st_mode) || access(name, X_OK))
			return nb_fail(diag, CLI_CANNOT_RUN, "%s: not a file that may be executed", name);
		strcpy(c->path, name);
		return 0;
	}
	for (p = path ? path : "/usr/local/bin:/usr/bin:/bin"; *name; p = end + 1) {
		struct stat st;

		end = strchrnul(p, ':');
		if ((size_t)snprintf(c->path, sizeof(c->path), "%.*s/%s", end > p ? (int)(end - p) : 1,
				     end > p ? p : ".", name) <
			    sizeof(c->path) &&
		    stat(c->path, &st) == 0 && S_ISREG(st.st_mode)) {
			if (access(c->path, X_OK) == 0)
				return 0;
			denied = true;
		}
		if (!*end)
			break;
	}
	if (denied)
		return nb_fail(diag, CLI_CANNOT_RUN, "%s: found in PATH, but it may not be executed", name);
	return nb_fail(diag, CLI_NOT_FOUND, "%s: command not found", name[0] ? name : "\"\"");
}

/* ld.so as a command has no interpreter, being the interpreter, and preloads all the same. */
static bool is_dynamic_linker(const char *path)
{
	char real[PATH_MAX];
	const char *base = realpath(path, real) ? strrchr(real, '/') + 1 : path;

	return strncmp(base, "ld-linux", 8) == 0 || strncmp(base, "ld-2.", 5) == 0 || strncmp(base, "ld.so", 5) == 0;
}

/* Everything that is not a 64-bit ELF program is left to execve(2): scripts above all. */
static int check_elf(struct command *c, int fd, struct nb_diag *diag)
{
	Elf64_Ehdr eh;
	unsigned int i;

	if (pread(fd, &eh, sizeof(eh), 0) < EI_NIDENT || memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0)
		return 0;
	c->elf = true;
	if (eh.e_ident[EI_CLASS] != ELFCLASS64)
		return nb_fail(diag, CLI_CANNOT_RUN, "%s is a 32-bit program; the virtual host is a 64-bit library", c->path);
	if (eh.e_phentsize != sizeof(Elf64_Phdr))
		return 0;
	for (i = 0; i < eh.e_phnum; i++) {
		Elf64_Phdr ph;
		off_t off;

		if (__builtin_add_overflow(eh.e_phoff, (uint64_t)i * sizeof(ph), &off) ||
		    pread(fd, &ph, sizeof(ph), off) != (ssize_t)sizeof(ph))
			return 0;
		if (ph.p_type == PT_INTERP)
			return 0;
	}
	if (is_dynamic_linker(c->path))
		return 0;
	return nb_fail(diag, CLI_CANNOT_RUN,
		       "%s is statically linked, so the virtual host cannot be preloaded into it; use a dynamic build",
		       c->path);
}

static int check_privilege(const struct command *c, int fd, struct nb_diag *diag)
{
	struct stat st;

	if (fstat(fd, &st))
		return 0;
	if (((st.st_mode & S_ISUID) && st.st_uid != getuid()) || ((st.st_mode & S_ISGID) && st.st_gid != getgid()))
		return nb_fail(diag, CLI_CANNOT_RUN,
			       "%s is setuid or setgid, so the system ignores preloaded libraries in it; run it as its owner",
			       c->path);
	if (getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0)
		return nb_fail(diag, CLI_CANNOT_RUN,
			       "%s has file capabilities, so the system ignores preloaded libraries in it", c->path);
	return 0;
}

/* What the child says within the time it has; at most size - 1 bytes. */
static void read_answer(int fd, char *buf, size_t size)
{
	struct timespec start, now;
	size_t len = 0;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		long spent;
		ssize_t n;

		clock_gettime(CLOCK_MONOTONIC, &now);
		spent = (now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000;
		if (spent >= VERSION_TIMEOUT_MS || len + 1 >= size)
			break;
		if (poll(&p, 1, (int)(VERSION_TIMEOUT_MS - spent)) < 0 && errno != EINTR)
			break;
		if (!p.revents)
			continue;
		n = read(fd, buf + len, size - 1 - len);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	buf[len] = 0;
}

/* Run "COMMAND --version", not on the virtual host, and read its answer. Nothing is said when that does not work. */
static void ask_version(struct command *c, char *name)
{
	char *const argv[] = {name, (char[]){"--version"}, NULL};
	char answer[512];
	unsigned int major, minor, micro;
	const char *p;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return;
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		setpgid(0, 0); /* a wrapper's children go with it when time is up */
		dup2(null, 0);
		dup2(fds[1], 1);
		dup2(null, 2);
		execv(c->path, argv);
		_exit(127);
	}
	close(fds[1]);
	if (pid > 0) {
		read_answer(fds[0], answer, sizeof(answer));
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL); /* it has said what it had to say */
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		p = strstr(answer, "version ");
		if (p && sscanf(p + 8, "%3u.%3u.%3u", &major, &minor, &micro) == 3)
			snprintf(c->qemu_version, sizeof(c->qemu_version), "%u.%u.%u", major, minor, micro);
	}
	close(fds[0]);
}

static int check_qemu(struct command *c, char *name, bool force, struct nb_diag *diag)
{
	unsigned int major, minor;

	ask_version(c, name);
	if (sscanf(c->qemu_version, "%u.%u", &major, &minor) != 2) {
		cli_warn("cannot tell the version of %s; at least %d.%d is needed", c->path, QEMU_MAJOR, QEMU_MINOR);
		return 0;
	}
	if (major > QEMU_MAJOR || (major == QEMU_MAJOR && minor >= QEMU_MINOR))
		return 0;
	if (force) {
		cli_warn("QEMU %s is older than %d.%d, running it because of --force", c->qemu_version, QEMU_MAJOR,
			 QEMU_MINOR);
		return 0;
	}
	return nb_fail(diag, CLI_CANNOT_RUN,
		       "QEMU %s is too old: nesting on iommufd needs %d.%d or newer (--force runs it all the same)",
		       c->qemu_version, QEMU_MAJOR, QEMU_MINOR);
}

int command_find(char *const argv[], bool force, struct command *c, struct nb_diag *diag)
{
	const char *base;
	int err, fd;

	memset(c, 0, sizeof(*c));
	err = find_in_path(argv[0], c, diag);
	if (err)
		return err;
	fd = open(c->path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) { /* execute-only programs are not ours to refuse */
		err = check_elf(c, fd, diag);
		if (!err)
			err = check_privilege(c, fd, diag);
		close(fd);
	}
	if (err)
		return err;
	base = strrchr(c->path, '/') ? strrchr(c->path, '/') + 1 : c->path;
	c->qemu = strncmp(base, "qemu-system-", 12) == 0;
	if (!c->qemu)
		return 0;
	c->devices = qemu_devices_look(argv);
	return check_qemu(c, argv[0], force, diag);
}
