/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `nestbox walk`: what would a function's DMA to this address meet? Asks a running `nestbox run` through its control socket, or the
 * demo's machine.
 */
#include "cli/cli.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/demo_vm.h"
#include "cli/rundir.h"
#include "run/rundir.h"

#define TIMEOUT_SECONDS 10

static const char help[] =
	"usage: nestbox walk [--pid N | --run DIR] RID[.PASID] ADDRESS [r|w|rw|x]\n"
	"       nestbox walk --demo [--host NAME|FILE] [RID[.PASID] ADDRESS [r|w|rw|x]]\n\n"
	"Prints every entry that the IOMMU reads for this DMA address, both stages, and the verdict. Changes nothing.\n"
	"RID is the function's address on the virtual host, as 0000:01:00.0.\n\n"
	"  --pid N     the program on the virtual host (QEMU) has this process id\n"
	"  --run DIR   the run directory of a nestbox run\n"
	"  --demo      the machine of nestbox demo, before anything is unmapped; --host as there\n\n"
	"Without these, the only program that is running on a virtual host is asked.\n";

struct question {
	uint16_t segment, rid;
	uint32_t pasid;
	uint64_t addr;
	uint8_t access;
};

static int parse_question(int argc, char **argv, struct question *q)
{
	static const struct {
		const char *word;
		uint8_t access;
	} words[] = {{"r", HW_READ}, {"w", HW_WRITE}, {"rw", HW_READ | HW_WRITE}, {"x", HW_READ | HW_EXEC}};
	size_t i;

	if (argc < 2 || argc > 3) {
		fputs(help, stderr);
		return CLI_USAGE;
	}
	if (!cli_parse_rid(argv[0], &q->segment, &q->rid, &q->pasid))
		return cli_fail(CLI_USAGE, "\"%s\" is not a function's address like 0000:01:00.0 or, with PASID 5, 0000:01:00.0.5",
				argv[0]);
	if (!cli_parse_u64(argv[1], &q->addr))
		return cli_fail(CLI_USAGE, "\"%s\" is not an address like 0x12345000", argv[1]);
	q->access = HW_READ;
	if (argc < 3)
		return 0;
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(argv[2], words[i].word) == 0) {
			q->access = words[i].access;
			return 0;
		}
	return cli_fail(CLI_USAGE, "\"%s\" is not an access: r, w, rw or x", argv[2]);
}

static int walk_demo(int argc, char **argv)
{
	struct question q = {.pasid = NB_NO_PASID, .addr = DEMO_SRC, .access = HW_READ};
	static char text[1 << 16];
	struct demo_vm vm;
	const char *host = "spr";
	struct nb_diag why = {""};
	int status, n;

	if (argc >= 2 && strcmp(argv[0], "--host") == 0) {
		host = argv[1];
		argc -= 2, argv += 2;
	}
	status = argc ? parse_question(argc, argv, &q) : 0;
	if (status)
		return status;
	if (demo_vm_start(&vm, host, &why)) {
		demo_vm_stop(&vm);
		return cli_fail(CLI_FAILED, "%s", why.msg);
	}
	if (!argc) {
		q.segment = vm.segment;
		q.rid = vm.rid;
	}
	n = nb_host_walk(vm.host, q.segment, q.rid, q.pasid, q.addr, q.access, text, sizeof(text));
	if (n >= 0)
		fputs(text, stdout);
	demo_vm_stop(&vm);
	if (n < 0)
		return cli_fail(CLI_FAILED, "the demo has no function %04x:%02x:%02x.%x", q.segment, q.rid >> 8, q.rid >> 3 & 31,
				q.rid & 7);
	return CLI_OK;
}

struct found {
	char path[PATH_MAX];
	unsigned int count;
	char pids[128];
};

/* The control sockets of living processes in one run directory; pid 0: of any. */
static void look_in(const char *dir, pid_t pid, struct found *f)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		uint64_t n;

		if (strncmp(e->d_name, NB_RUN_CONTROL, strlen(NB_RUN_CONTROL)) != 0 ||
		    !cli_parse_u64(e->d_name + strlen(NB_RUN_CONTROL), &n) || n == 0 || n > INT_MAX ||
		    (pid && n != (uint64_t)pid) || (kill((pid_t)n, 0) && errno == ESRCH))
			continue;
		if ((size_t)snprintf(f->path, sizeof(f->path), "%s/%s", dir, e->d_name) >= sizeof(f->path))
			continue;
		snprintf(f->pids + strlen(f->pids), sizeof(f->pids) - strlen(f->pids), "%s%" PRIu64, f->count ? ", " : "", n);
		f->count++;
	}
	if (d)
		closedir(d);
}

static void look_everywhere(pid_t pid, struct found *f)
{
	const char *parent = rundir_parent();
	DIR *d = opendir(parent);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char dir[PATH_MAX];
		struct stat st;

		if (strncmp(e->d_name, RUNDIR_PREFIX, strlen(RUNDIR_PREFIX)) != 0 ||
		    (size_t)snprintf(dir, sizeof(dir), "%s/%s", parent, e->d_name) >= sizeof(dir) || lstat(dir, &st) ||
		    !S_ISDIR(st.st_mode) || (st.st_uid != geteuid() && geteuid() != 0))
			continue;
		look_in(dir, pid, f);
	}
	if (d)
		closedir(d);
}

static int connect_to(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	const struct timeval limit = {.tv_sec = TIMEOUT_SECONDS};
	int fd;

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	strcpy(sa.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa))) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

static int ask(const char *path, const struct question *q)
{
	char line[128], pasid[16] = "-", buf[4096];
	bool error = false, first = true;
	ssize_t n;
	int fd = connect_to(path), len;

	if (fd < 0)
		return cli_fail(CLI_FAILED, "%s: %s", path, strerror(-fd));
	if (q->pasid != NB_NO_PASID)
		snprintf(pasid, sizeof(pasid), "%" PRIu32, q->pasid);
	len = snprintf(line, sizeof(line), "walk %04x:%02x:%02x.%x %s 0x%" PRIx64 " %s%s%s\n", q->segment, q->rid >> 8,
		       q->rid >> 3 & 31, q->rid & 7, pasid, q->addr, q->access & HW_READ ? "r" : "",
		       q->access & HW_WRITE ? "w" : "", q->access & HW_EXEC ? "x" : "");
	if (send(fd, line, (size_t)len, MSG_NOSIGNAL) != len) {
		close(fd);
		return cli_fail(CLI_FAILED, "%s: %s", path, strerror(errno));
	}
	shutdown(fd, SHUT_WR);
	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0) {
		size_t skip = 0;

		if (first && n >= 7 && memcmp(buf, "error: ", 7) == 0) {
			error = true;
			skip = 7;
			fputs("nestbox: ", stderr);
		}
		fwrite(buf + skip, 1, (size_t)n - skip, error ? stderr : stdout);
		first = false;
	}
	close(fd);
	if (n < 0)
		return cli_fail(CLI_FAILED, "%s: no answer: %s", path, strerror(errno));
	if (first)
		return cli_fail(CLI_FAILED, "%s: no answer", path);
	return error ? CLI_FAILED : CLI_OK;
}

int cmd_walk(int argc, char **argv)
{
	struct question q;
	struct found f = {.count = 0};
	const char *dir = NULL;
	uint64_t pid = 0;
	int status;

	argc--, argv++;
	if (argc == 1 && strcmp(argv[0], "--help") == 0) {
		fputs(help, stdout);
		return CLI_OK;
	}
	if (argc >= 1 && strcmp(argv[0], "--demo") == 0)
		return walk_demo(argc - 1, argv + 1);
	if (argc >= 2 && strcmp(argv[0], "--pid") == 0) {
		if (!cli_parse_u64(argv[1], &pid) || pid == 0 || pid > INT_MAX)
			return cli_fail(CLI_USAGE, "\"%s\" is not a process id", argv[1]);
		argc -= 2, argv += 2;
	} else if (argc >= 2 && strcmp(argv[0], "--run") == 0) {
		dir = argv[1];
		argc -= 2, argv += 2;
	}
	status = parse_question(argc, argv, &q);
	if (status)
		return status;
	if (dir)
		look_in(dir, 0, &f);
	else
		look_everywhere((pid_t)pid, &f);
	if (f.count == 0 && pid)
		return cli_fail(CLI_FAILED, "process %" PRIu64 " is not running on a virtual host", pid);
	if (f.count == 0)
		return cli_fail(CLI_FAILED, "no program is running on a virtual host%s%s", dir ? " in " : "", dir ? dir : "");
	if (f.count > 1)
		return cli_fail(CLI_FAILED, "several programs are running on a virtual host, say which with --pid: %s", f.pids);
	return ask(f.path, &q);
}
